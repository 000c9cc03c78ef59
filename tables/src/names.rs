//! The names under which a view's files lie, and how they are given.
//!
//! `NAME.vN.redb` is served. Beside it may lie one that is built for the first time (`building`), one that is made anew
//! (`rebuilt`) and one to compare that with (`compared`), which a crash leaves behind and the next start takes away, and
//! the one that was served before the last switch (`previous`), which goes on following the log until it is dropped. Two
//! files change places in one step, so that under the served name there always is a whole one. Files of two versions keep
//! their names, whichever is served: the newer one where it is whole, unless an empty file beside it (`rolled_back`) says
//! that it was taken back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::file::{io, remove};
use crate::{TableError, ViewFile};

/// The path of a view's file in `dir`.
pub(crate) fn file_path(dir: &Path, view: &str, version: u32) -> PathBuf {
    dir.join(format!("{view}.v{version}.redb"))
}

/// Where a file is built that shall be served from there.
pub(crate) fn packed_path(served: &Path) -> PathBuf {
    served.with_extension("packed")
}

/// Where a view is made anew beside the file that is served.
pub(crate) fn rebuilt_path(served: &Path) -> PathBuf {
    served.with_extension("rebuilt.redb")
}

/// Where a view is made once more, only to be compared.
pub(crate) fn compared_path(served: &Path) -> PathBuf {
    served.with_extension("compared.redb")
}

/// Where the file lies that was served before the last switch, and is kept for going back.
pub(crate) fn previous_path(served: &Path) -> PathBuf {
    served.with_extension("previous.redb")
}

/// Whether the version whose file is served from there was taken back.
pub(crate) fn is_marked(served: &Path) -> bool {
    mark_path(served).exists()
}

/// Says durably that the version whose file is served from there was taken back. Where that fails, it was not.
pub(crate) fn mark(served: &Path) -> Result<(), TableError> {
    let mark = mark_path(served);
    fs::write(&mark, []).map_err(|cause| io(&mark, "making", cause))?;
    let synced = sync_dir_of(&mark);
    if synced.is_err() {
        remove(&mark)?;
    }
    synced
}

/// Takes that back, durably.
pub(crate) fn unmark(served: &Path) -> Result<(), TableError> {
    let mark = mark_path(served);
    if !mark.exists() {
        return Ok(());
    }
    remove(&mark)?;
    sync_dir_of(&mark)
}

fn mark_path(served: &Path) -> PathBuf {
    served.with_extension("rolled_back")
}

/// Deletes what a killed rebuild or comparison left beside a served file.
pub(crate) fn remove_unfinished(served: &Path) -> Result<(), TableError> {
    for path in [rebuilt_path(served), compared_path(served)] {
        ViewFile::discard(&path)?;
        remove(&packed_path(&path))?;
    }
    remove(&between_path(served))
}

/// Lets two files take each other's names, durably and in one step where the file system can.
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<(), TableError> {
    let failed = |cause| io(one, "exchanging", cause);
    exchange_names(one, other).map_err(failed)?;
    sync_dir_of(one).or_else(|error| {
        // Whoever is told that it failed finds everything as it was.
        exchange_names(one, other).map_err(failed)?;
        Err(error)
    })
}

#[cfg(target_os = "linux")]
fn exchange_names(one: &Path, other: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => exchange_by_steps(one, other),
        done => Ok(done?),
    }
}

#[cfg(not(target_os = "linux"))]
fn exchange_names(one: &Path, other: &Path) -> std::io::Result<()> {
    exchange_by_steps(one, other)
}

/// A kill between the steps leaves no file under the first name, and the view is made again from the log. A step that fails
/// takes those before it back.
fn exchange_by_steps(one: &Path, other: &Path) -> std::io::Result<()> {
    let between = between_path(one);
    fs::rename(one, &between)?;
    if let Err(error) = fs::rename(other, one) {
        fs::rename(&between, one)?;
        return Err(error);
    }
    if let Err(error) = fs::rename(&between, other) {
        fs::rename(one, other)?;
        fs::rename(&between, one)?;
        return Err(error);
    }
    Ok(())
}

/// Where a file lies while it changes places with another by steps.
fn between_path(one: &Path) -> PathBuf {
    one.with_extension("exchanged")
}

/// Gives a file another name, durably; what had that name goes.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), TableError> {
    fs::rename(from, to).map_err(|cause| io(from, "renaming", cause))?;
    sync_dir_of(to)
}

fn sync_dir_of(path: &Path) -> Result<(), TableError> {
    let Some(dir) = path.parent() else {
        return Ok(());
    };
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|cause| io(dir, "syncing", cause))
}

pub(crate) fn building_path(served: &Path) -> PathBuf {
    served.with_extension("building.redb")
}

/// A file of a view's version that lies in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The view's name.
    pub view: String,
    /// The view's version.
    pub version: u32,
    /// Whether it had caught up, and is served by the version of the program that has this version of the view.
    pub finished: bool,
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// The files of all views and versions in `dir`, those of older versions too, which are kept for a rollback; by view
/// and version.
pub fn stored_files(dir: &Path) -> Result<Vec<StoredFile>, TableError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(io(dir, "listing", cause)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| io(dir, "listing", cause))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".redb")) else {
            continue;
        };
        let (name, finished) = name
            .strip_suffix(".building")
            .map_or((name, true), |name| (name, false));
        let Some((view, version)) = name.rsplit_once(".v") else {
            continue;
        };
        let Ok(version) = version.parse() else {
            continue;
        };
        let bytes = entry
            .metadata()
            .map_err(|cause| io(&entry.path(), "looking at", cause))?
            .len();
        files.push(StoredFile {
            view: view.to_owned(),
            version,
            finished,
            path: entry.path(),
            bytes,
        });
    }
    files
        .sort_unstable_by(|a, b| (&a.view, a.version, &a.path).cmp(&(&b.view, b.version, &b.path)));
    Ok(files)
}

/// Deletes one of them. The caller makes sure that no runner has it open.
pub fn delete_stored(file: &StoredFile) -> Result<(), TableError> {
    fs::remove_file(&file.path).map_err(|cause| io(&file.path, "deleting", cause))
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn files_that_change_places_by_steps_are_as_they_were_where_one_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] =
            ["inbox.v1.redb", "inbox.v1.rebuilt.redb"].map(|name| dir.path().join(name));
        fs::write(&one, "old").unwrap();
        fs::write(&other, "new").unwrap();
        let held = || [&one, &other].map(|path| fs::read_to_string(path).unwrap_or_default());
        exchange_by_steps(&one, &other).unwrap();
        assert_eq!(held(), ["new", "old"]);
        fs::remove_file(&other).unwrap();
        exchange_by_steps(&one, &other).unwrap_err();
        assert_eq!(held(), ["new", ""]);
        fs::write(between_path(&one), "left by a kill").unwrap();
        remove_unfinished(&one).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
