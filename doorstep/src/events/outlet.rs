//! Where `events` writes to: standard output, line by line, or a file, whole or not at all.
//!
//! A file is written beside its place under another name and takes its name at the end, when it is whole and on the disk;
//! what fails or breaks off leaves nothing under that name, and an existing file as it was. Data of a file's making (how
//! many events it has) goes to standard output, a bar on a terminal to standard error.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, StdoutLock, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tempfile::NamedTempFile;

use super::table::Table;
use crate::cli::{self, Format};
use crate::failure::Failure;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// Where events go.
pub(crate) enum Outlet {
    /// Standard output, as lines.
    Lines(BufWriter<StdoutLock<'static>>),
    /// A file.
    File(Box<Exported>),
}

/// A file on its way.
pub(crate) struct Exported {
    path: PathBuf,
    force: bool,
    rows: Rows,
    events: u64,
    /// Position of its last event.
    last: u64,
    /// Position before its first.
    after: u64,
    bar: ProgressBar,
}

enum Rows {
    Lines(BufWriter<NamedTempFile>),
    Table(Box<Table<BufWriter<NamedTempFile>>>),
}

impl Outlet {
    /// The one that the flags ask for; a file's place is checked before anything is read.
    pub(crate) fn open(args: &cli::Events) -> Result<Self, Failure> {
        let Some(path) = &args.out else {
            return match args.format {
                Format::Json => Ok(Self::Lines(BufWriter::with_capacity(
                    BUFFER_BYTES,
                    std::io::stdout().lock(),
                ))),
                Format::Parquet => Err(Failure::usage(
                    "--format parquet needs --out: the file is written to its end before it can be read",
                )),
            };
        };
        if !args.force && std::fs::symlink_metadata(path).is_ok() {
            return Err(exists(path).into());
        }
        let name = path
            .file_name()
            .filter(|_| !path.is_dir())
            .with_context(|| {
                format!("--out {} is a folder, and has to be a file", path.display())
            })?;
        let unfinished = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .suffix(".unfinished")
            .tempfile_in(folder_of(path))
            .with_context(|| format!("cannot write to {}", path.display()))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, unfinished);
        Ok(Self::File(Box::new(Exported {
            path: path.clone(),
            force: args.force,
            rows: match args.format {
                Format::Json => Rows::Lines(out),
                Format::Parquet => Rows::Table(Box::new(Table::new(out)?)),
            },
            events: 0,
            last: args.after,
            after: args.after,
            bar: ProgressBar::hidden(),
        })))
    }

    /// Whether somebody else than the writer of a line wants to know its position.
    pub(crate) fn counts(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Shows how far it is on the way to this position, where that is of use.
    pub(crate) fn until(&mut self, end: u64) {
        let Self::File(file) = self else { return };
        if !std::io::stderr().is_terminal() {
            return;
        }
        let all = end.saturating_sub(file.after);
        let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr_with_hz(10));
        let template = "{wide_bar} {human_pos}/{human_len} events {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        file.bar = bar;
    }

    /// Everything up to this position was read.
    pub(crate) fn at(&self, position: u64) {
        if let Self::File(file) = self {
            file.bar.set_position(position.saturating_sub(file.after));
        }
    }

    /// Writes the line of an event, its end included.
    pub(crate) fn take(&mut self, position: u64, line: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Lines(out) => out.write_all(line)?,
            Self::File(file) => {
                file.events += 1;
                file.last = position;
                match &mut file.rows {
                    Rows::Lines(out) => out.write_all(line)?,
                    Rows::Table(table) => table.take(line)?,
                }
            }
        }
        Ok(())
    }

    /// Passes on what was gathered for standard output.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Lines(out) => Ok(out.flush()?),
            Self::File(_) => Ok(()),
        }
    }

    /// Everything is written: a file gets its name, and is told of.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Lines(mut out) => Ok(out.flush()?),
            Self::File(file) => file.finish(),
        }
    }
}

impl Exported {
    fn finish(self) -> anyhow::Result<()> {
        let out = match self.rows {
            Rows::Lines(out) => out,
            Rows::Table(table) => table.finish()?,
        };
        let cannot = || format!("cannot write to {}", self.path.display());
        let unfinished = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .with_context(cannot)?;
        unfinished.as_file().sync_all().with_context(cannot)?;
        if self.force {
            unfinished.persist(&self.path).with_context(cannot)?;
        } else if let Err(error) = unfinished.persist_noclobber(&self.path) {
            if error.error.kind() == std::io::ErrorKind::AlreadyExists {
                return Err(exists(&self.path));
            }
            return Err(anyhow::Error::new(error.error).context(cannot()));
        }
        File::open(folder_of(&self.path))
            .and_then(|folder| folder.sync_all())
            .with_context(cannot)?;
        self.bar.finish_and_clear();
        println!(
            "{}",
            json!({ "file": self.path, "events": self.events, "position": self.last })
        );
        Ok(())
    }
}

fn exists(path: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{} is there already; --force writes over it",
        path.display()
    )
}

/// The folder a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
