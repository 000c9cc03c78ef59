//! A backup where it lies: told from a data folder by its manifest, and compared with it.
//!
//! A backup is not a log that ended some way: it has to be what its manifest says, file by file, to its last event.
//! Whatever differs is damage, with its place.

use std::io::ErrorKind;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::backend::{Backend, Mode};
use crate::backup::{MANIFEST, Manifest, hex};
use crate::batch::FORMAT;
use crate::recovery::{Listing, damaged, read_file};
use crate::wire::{index, len_u64};
use crate::{OpenError, Position, files};

/// Whether a folder is a backup, which nothing may be written to.
pub fn is_backup(backend: &dyn Backend, dir: &Path) -> bool {
    backend.open(&dir.join(MANIFEST), Mode::Read).is_ok()
}

/// Checks that a log ends where the manifest beside it says; without a manifest it is no backup.
pub(crate) fn reaches(backend: &dyn Backend, dir: &Path, end: Position) -> Result<(), OpenError> {
    match manifest_of(backend, dir)? {
        Some(manifest) => ends_at(dir, &manifest, end),
        None => Ok(()),
    }
}

/// Compares the files of a backup, which was found to end at `end`, with its manifest; a folder without one is no backup.
pub(crate) fn check(backend: &dyn Backend, dir: &Path, end: Position) -> Result<(), OpenError> {
    let Some(manifest) = manifest_of(backend, dir)? else {
        return Ok(());
    };
    let log = dir.join("log");
    for file in &manifest.files {
        let path = log.join(&file.name);
        if files::segment_of_name(&file.name).is_none() && file.name != files::IDENTITY {
            let what = format!("it names no file of a log: {}", file.name);
            return Err(damaged(&dir.join(MANIFEST), 0, what));
        }
        if backend
            .open(&path, Mode::Read)
            .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            return Err(damaged(&path, 0, "it is missing; the manifest names it"));
        }
        let bytes = read_file(backend, &path)?;
        let len = len_u64(bytes.len());
        if len != file.bytes {
            let what = format!("it has {len} bytes, the manifest says {}", file.bytes);
            return Err(damaged(&path, index(len.min(file.bytes)), what));
        }
        if hex(&Sha256::digest(&bytes)) != file.sha256 {
            let what = "its digest is not the one in the manifest";
            return Err(damaged(&path, 0, what));
        }
    }
    let named = |first: &u64| {
        let name = files::segment_name(*first);
        manifest.files.iter().any(|file| file.name == name)
    };
    for first in Listing::of(backend, &log)?.segments {
        if !named(&first) {
            let path = log.join(files::segment_name(first));
            return Err(damaged(&path, 0, "the manifest does not name it"));
        }
    }
    ends_at(dir, &manifest, end)
}

fn ends_at(dir: &Path, manifest: &Manifest, end: Position) -> Result<(), OpenError> {
    if end == manifest.durable_position {
        return Ok(());
    }
    let what = format!(
        "it says that the log ends at position {}; the log beside it ends at {end}",
        manifest.durable_position
    );
    Err(damaged(&dir.join(MANIFEST), 0, what))
}

/// The manifest of a backup; none of another folder.
fn manifest_of(backend: &dyn Backend, dir: &Path) -> Result<Option<Manifest>, OpenError> {
    if !is_backup(backend, dir) {
        return Ok(None);
    }
    let path = dir.join(MANIFEST);
    let text = read_file(backend, &path)?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| damaged(&path, 0, format!("it is no manifest: {error}")))?;
    if manifest.format != FORMAT {
        return Err(OpenError::Format {
            found: manifest.format,
            known: FORMAT,
        });
    }
    Ok(Some(manifest))
}
