//! The lines that are imported: of a file, of standard input, or at hand.
//!
//! A line that is too long or is no text is told as such and passed over. The lines can be gone through twice, because
//! they are looked up in the log before the first of them is carried out.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use event_store::Position;

use crate::line::Line;

/// A longer line is invalid; no command is that long.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a file that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A line that is not blank: its number from 1, the bytes up to its end, and its text or why it cannot be read.
pub(super) struct RawLine<'a> {
    pub(super) number: u64,
    pub(super) ends_at: u64,
    pub(super) text: Result<&'a [u8], String>,
}

/// What is read, opened before anything is made for it.
pub(super) enum Input {
    /// A file, or a pipe with a name.
    File {
        /// Where.
        path: PathBuf,
        /// Opened.
        file: File,
    },
    /// Standard input.
    Standard,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        if file.metadata().with_context(cannot)?.is_dir() {
            bail!("{}: it is a folder", cannot());
        }
        Ok(Self::File {
            path: path.to_owned(),
            file,
        })
    }
}

/// The lines of a file, the last of which may have no end; the file is at its beginning again.
fn count_lines(file: &mut File) -> std::io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut lines, mut last) = (0, b'\n');
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        lines += bytes
            .iter()
            .map(|byte| u64::from(*byte == b'\n'))
            .sum::<u64>();
        last = bytes.last().copied().unwrap_or(last);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(lines + u64::from(last != b'\n'))
}

/// Where the lines come from.
pub(crate) struct Source {
    reader: Box<dyn Rewindable>,
    /// Bytes of all lines, where that is known.
    pub(super) bytes: Option<u64>,
    /// How many lines there are, where that is known.
    pub(super) lines_of: Option<u64>,
    bytes_read: u64,
    lines_read: u64,
    line: Vec<u8>,
    /// The log is not empty: an earlier run may have begun this.
    pub(super) may_be_known: bool,
}

/// A buffered reader, of which only those of a known length are asked to go back.
trait Rewindable: BufRead + Send {
    fn rewind(&mut self) -> std::io::Result<()>;
}

impl Rewindable for BufReader<File> {
    fn rewind(&mut self) -> std::io::Result<()> {
        self.seek(SeekFrom::Start(0)).map(drop)
    }
}

impl Rewindable for BufReader<std::io::Stdin> {
    fn rewind(&mut self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::NotSeekable.into())
    }
}

impl Rewindable for std::io::Cursor<Vec<u8>> {
    fn rewind(&mut self) -> std::io::Result<()> {
        self.set_position(0);
        Ok(())
    }
}

impl Source {
    /// The lines of an input. Where the log has events, input that cannot be read twice is kept in a nameless file first,
    /// because the lines are looked up before the first of them is carried out.
    pub(super) fn new(input: Input, durable: Position) -> anyhow::Result<Self> {
        let may_be_known = durable > Position::START;
        match input {
            Input::File { path, file } => Self::of_file(file, may_be_known)
                .with_context(|| format!("cannot read {}", path.display())),
            Input::Standard if may_be_known => {
                let mut kept = tempfile::tempfile().context("cannot keep standard input")?;
                std::io::copy(&mut std::io::stdin().lock(), &mut kept)
                    .context("cannot keep standard input")?;
                kept.seek(SeekFrom::Start(0))?;
                Self::of_file(kept, may_be_known)
            }
            Input::Standard => {
                let reader = BufReader::new(std::io::stdin());
                Ok(Self::of_reader(Box::new(reader), None, None, false))
            }
        }
    }

    fn of_file(mut file: File, may_be_known: bool) -> anyhow::Result<Self> {
        let metadata = file.metadata()?;
        let (bytes, lines_of) = if metadata.is_file() {
            (Some(metadata.len()), Some(count_lines(&mut file)?))
        } else {
            (None, None)
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Self::of_reader(
            Box::new(reader),
            bytes,
            lines_of,
            may_be_known,
        ))
    }

    /// Lines that are at hand.
    pub(crate) fn of_lines(lines: &[Line]) -> anyhow::Result<Self> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let reader = std::io::Cursor::new(text);
        Ok(Self::of_reader(Box::new(reader), None, None, true))
    }

    fn of_reader(
        reader: Box<dyn Rewindable>,
        bytes: Option<u64>,
        lines_of: Option<u64>,
        may_be_known: bool,
    ) -> Self {
        Self {
            reader,
            bytes,
            lines_of,
            bytes_read: 0,
            lines_read: 0,
            line: Vec::new(),
            may_be_known,
        }
    }

    pub(super) fn rewind(&mut self) -> anyhow::Result<()> {
        self.reader.rewind()?;
        self.bytes_read = 0;
        self.lines_read = 0;
        Ok(())
    }

    /// The next line that is not blank, with its number from 1, or why it cannot be one.
    pub(super) fn next_line(&mut self) -> anyhow::Result<Option<RawLine<'_>>> {
        loop {
            self.line.clear();
            let limit = u64::try_from(LINE_BYTES_MAX)? + 1;
            let read = (&mut self.reader)
                .take(limit)
                .read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.bytes_read += u64::try_from(read)?;
            self.lines_read += 1;
            if self.line.len() > LINE_BYTES_MAX && !self.line.ends_with(b"\n") {
                self.bytes_read += skip_line(self.reader.as_mut())?;
                let text = Err(format!("longer than {LINE_BYTES_MAX} bytes"));
                return Ok(Some(RawLine {
                    number: self.lines_read,
                    ends_at: self.bytes_read,
                    text,
                }));
            }
            if !self.line.trim_ascii().is_empty() {
                let text = Ok(self.line.as_slice());
                return Ok(Some(RawLine {
                    number: self.lines_read,
                    ends_at: self.bytes_read,
                    text,
                }));
            }
        }
    }
}

/// Passes over the rest of a line, and says how many bytes it had.
fn skip_line(reader: &mut dyn Rewindable) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let (used, ends) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(index) => (index + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        skipped += u64::try_from(used).unwrap_or_default();
        if ends {
            return Ok(skipped);
        }
    }
}
