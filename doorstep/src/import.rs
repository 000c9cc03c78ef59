//! `import`: commands from newline-delimited JSON, strictly in the order of the file, with their own times.
//!
//! A run may end at any moment; the next one goes on where it was and does nothing twice, and its summary speaks of the
//! whole file. What a line left in the log is found by its command id, however long ago it was. A line before the last
//! one that left something was decided then: if it left nothing itself (*unchanged*, *not found*), it is decided on the
//! state of that moment, to be counted, and changes nothing. Commands are submitted one after the other without waiting
//! for the disk; a second task waits for their outcomes in the same order. What reactors and timers owe is done between
//! the commands, by the write side.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use commands::{CommandError, CommandHandler, Envelope, Kind, Mode, Outcome, Pending};
use domain::time::Timestamp;
use event_store::{EventStore as _, Position};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::line::Line;

/// Commands that are decided but not yet known to be durable, at most.
const PENDING_MAX: usize = 4096;
/// A longer line is invalid; no command is that long.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What the summary says: of the whole file, whichever run carried a line out.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) lines: u64,
    pub(crate) carried_out: u64,
    pub(crate) unchanged: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) invalid: u64,
    pub(crate) position: Position,
}

impl Summary {
    /// Counts what a line came to; fails where it came to nothing that can be counted.
    fn add(&mut self, outcome: Result<Outcome, CommandError>) -> Result<(), CommandError> {
        let position = match outcome {
            Ok(outcome) => {
                match outcome.kind {
                    Kind::Done => self.carried_out += 1,
                    Kind::Unchanged => self.unchanged += 1,
                }
                outcome.position
            }
            Err(CommandError::Refused(refusal)) => {
                self.refuse(refusal.code().as_str());
                refusal.position
            }
            Err(CommandError::NotFound) => self.refuse("not_found"),
            Err(CommandError::CommandIdReused) => self.refuse("command_id_reused"),
            Err(CommandError::InvalidTime) => self.refuse("invalid_time"),
            Err(CommandError::TooLarge) => self.refuse("too_large"),
            Err(
                error @ (CommandError::RateLimited
                | CommandError::Busy
                | CommandError::StorageFull
                | CommandError::OutcomeUnknown
                | CommandError::Unreadable(_)),
            ) => return Err(error),
        };
        self.position = self.position.max(position);
        Ok(())
    }

    fn refuse(&mut self, code: &str) -> Position {
        *self.refused.entry(code.to_owned()).or_insert(0) += 1;
        Position::START
    }
}

/// Runs `import`.
pub(crate) async fn run(args: &cli::Import) -> Done {
    let folder = DataFolder::at(&args.folder.data);
    let store = compose::open_store(&folder, &args.store)?;
    let handler = compose::start_commands(&folder, &store, Mode::Import).await?;
    let mut source = Source::open(&args.file, store.durable_position())?;
    let result = carry_out(&handler, &mut source).await;
    handler.stop().await;
    store.close();
    let summary = result?;
    serde_json::to_writer(std::io::stdout().lock(), &summary)?;
    println!();
    if summary.invalid > 0 {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}

/// Carries out all lines of a source, and what follows from them.
pub(crate) async fn carry_out(
    handler: &CommandHandler,
    source: &mut Source,
) -> anyhow::Result<Summary> {
    let known = Known::find(handler, source).await?;
    let progress = source.progress();
    let (submitted, pending) = mpsc::channel(PENDING_MAX);
    let counting = tokio::spawn(count(pending));
    let mut reading = Reading {
        progress,
        lines: 0,
        invalid: 0,
        last_at: None,
    };
    let fed = feed(handler, source, &known, &submitted, &mut reading).await;
    drop(submitted);
    let mut summary = counting.await.context("counting ended early")??;
    fed?;
    // Timers run on the log's time: what was due by the last command is done.
    if let Some(last) = reading.last_at {
        handler.run_timers(last).await?;
    }
    handler.drain_reactors().await?;
    reading.progress.finish_and_clear();
    summary.lines = reading.lines;
    summary.invalid = reading.invalid;
    Ok(summary)
}

/// What reading the lines has seen.
struct Reading {
    progress: ProgressBar,
    lines: u64,
    invalid: u64,
    last_at: Option<Timestamp>,
}

/// A line on its way to be counted.
enum Counted {
    /// Decided in this run, perhaps not durable yet.
    Now(Pending),
    /// Decided in an earlier run.
    Then(Result<Outcome, CommandError>),
}

/// Submits the lines in order.
async fn feed(
    handler: &CommandHandler,
    source: &mut Source,
    known: &Known,
    submitted: &mpsc::Sender<Counted>,
    reading: &mut Reading,
) -> anyhow::Result<()> {
    // The last event of the lines so far, while they are those of an earlier run.
    let mut reached = Position::START;
    while let Some(RawLine {
        number,
        ends_at,
        text,
    }) = source.next_line()?
    {
        reading.lines += 1;
        reading.progress.set_position(ends_at);
        let line = match text.and_then(|text| Line::parse(text).map_err(|error| error.to_string()))
        {
            Ok(line) => line,
            Err(reason) => {
                reading.invalid += 1;
                reading
                    .progress
                    .suspend(|| eprintln!("line {number}: {reason}"));
                continue;
            }
        };
        let envelope = line.envelope();
        reading.last_at = reading.last_at.max(envelope.at);
        let decided_then = if known.left_nothing(number) {
            // Submitted where it was not decided then after all: the line was not in the file yet.
            decided_as_of(handler, envelope.clone(), reached).await
        } else {
            None
        };
        let counted = match decided_then {
            Some(outcome) => Counted::Then(outcome),
            None => match handler.submit(envelope).await {
                Ok(pending) => {
                    reached = reached.max(position_of(pending.decided()));
                    Counted::Now(pending)
                }
                Err(error) => Counted::Then(Err(error)),
            },
        };
        if submitted.send(counted).await.is_err() {
            // Counting has ended with an error, which tells why.
            return Ok(());
        }
    }
    Ok(())
}

/// What a command that left nothing came to; none where it was not decided then.
async fn decided_as_of(
    handler: &CommandHandler,
    envelope: Envelope,
    as_of: Position,
) -> Option<Result<Outcome, CommandError>> {
    handler.decide_as_of(envelope, as_of).await.transpose()
}

/// The last event that a line left, or stood on.
fn position_of(decided: &Result<Outcome, CommandError>) -> Position {
    match decided {
        Ok(outcome) => outcome.position,
        Err(CommandError::Refused(refusal)) => refusal.position,
        Err(_) => Position::START,
    }
}

/// Waits for the outcomes in their order, and counts them.
async fn count(mut pending: mpsc::Receiver<Counted>) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    while let Some(counted) = pending.recv().await {
        let outcome = match counted {
            Counted::Now(pending) => pending.durable().await,
            Counted::Then(outcome) => outcome,
        };
        summary
            .add(outcome)
            .context("the import stopped; run it again to go on where it is")?;
    }
    Ok(summary)
}

/// Which lines an earlier run left something of.
#[derive(Default)]
struct Known {
    /// By line number, up to the last one that left something.
    left: Vec<bool>,
}

impl Known {
    /// Looks every line up in the log, and goes back to the first one.
    async fn find(handler: &CommandHandler, source: &mut Source) -> anyhow::Result<Self> {
        let mut known = Self::default();
        if !source.may_be_known {
            return Ok(known);
        }
        while let Some(RawLine { number, text, .. }) = source.next_line()? {
            let Some(line) = text.ok().and_then(|text| Line::parse(text).ok()) else {
                continue;
            };
            let envelope = line.envelope();
            let trace = handler.trace(&envelope.actor, &envelope.command_id).await?;
            if trace.is_some() {
                known.left.resize(usize::try_from(number)?, false);
                known.left.push(true);
            }
        }
        source.rewind()?;
        Ok(known)
    }

    /// Whether a line was decided, and left nothing: it stands before the last one that left something.
    fn left_nothing(&self, number: u64) -> bool {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.left.get(number))
            == Some(&false)
    }
}

/// A line that is not blank: its number from 1, the bytes up to its end, and its text or why it cannot be read.
struct RawLine<'a> {
    number: u64,
    ends_at: u64,
    text: Result<&'a [u8], String>,
}

/// Where the lines come from.
pub(crate) struct Source {
    reader: Box<dyn Rewindable>,
    /// Bytes of all lines, where that is known.
    bytes: Option<u64>,
    bytes_read: u64,
    lines_read: u64,
    line: Vec<u8>,
    /// The log is not empty: an earlier run may have begun this.
    may_be_known: bool,
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
    /// Opens a file, or standard input for `-`. Where the log has events, input that cannot be read twice is kept in a
    /// nameless file first, because the lines are looked up before the first of them is carried out.
    fn open(file: &Path, durable: Position) -> anyhow::Result<Self> {
        let may_be_known = durable > Position::START;
        if file == Path::new("-") {
            if !may_be_known {
                return Ok(Self::new(
                    Box::new(BufReader::new(std::io::stdin())),
                    None,
                    false,
                ));
            }
            let mut kept = tempfile::tempfile().context("cannot keep standard input")?;
            std::io::copy(&mut std::io::stdin().lock(), &mut kept)
                .context("cannot keep standard input")?;
            kept.seek(SeekFrom::Start(0))?;
            return Self::of_file(kept, may_be_known);
        }
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::of_file(opened, may_be_known)
            .with_context(|| format!("cannot read {}", file.display()))
    }

    fn of_file(file: File, may_be_known: bool) -> anyhow::Result<Self> {
        let metadata = file.metadata()?;
        anyhow::ensure!(!metadata.is_dir(), "it is a folder");
        let bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(
            Box::new(BufReader::with_capacity(256 * 1024, file)),
            bytes,
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
        let bytes = u64::try_from(text.len())?;
        Ok(Self::new(
            Box::new(std::io::Cursor::new(text)),
            Some(bytes),
            true,
        ))
    }

    fn new(reader: Box<dyn Rewindable>, bytes: Option<u64>, may_be_known: bool) -> Self {
        Self {
            reader,
            bytes,
            bytes_read: 0,
            lines_read: 0,
            line: Vec::new(),
            may_be_known,
        }
    }

    fn rewind(&mut self) -> anyhow::Result<()> {
        self.reader.rewind()?;
        self.bytes_read = 0;
        self.lines_read = 0;
        Ok(())
    }

    /// The next line that is not blank, with its number from 1, or why it cannot be one.
    fn next_line(&mut self) -> anyhow::Result<Option<RawLine<'_>>> {
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

    /// A bar on a terminal, nothing elsewhere.
    fn progress(&self) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(self.bytes, ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        {
            bar.set_style(style);
        }
        bar
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
