//! `import`: commands from newline-delimited JSON, strictly in the order of the file, with their own times.
//!
//! A run may end at any moment; the next one goes on where it was and does nothing twice, and its summary speaks of the
//! whole file. What a line left in the log is found by its command id, however long ago it was. A line that left nothing
//! (*unchanged*, *not found*) stands before one that did: it is decided on the state just before that one, to be counted,
//! and changes nothing. An id that left nothing is kept for the rest of the file: the same line again comes to the same,
//! and with other content it is a reused id. A line whose time the clock has not reached is told as refused
//! (`invalid_time`), which is not final: a run after that time carries it out.
//!
//! Commands are submitted one after the other without waiting for the disk; a second task waits for their outcomes in
//! the same order. What reactors and timers owe is done between the commands, by the write side; what falls due after
//! the last of them is left to whoever comes next, because the file may grow.

use std::collections::{BTreeMap, HashMap, HashSet};
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
use uuid::Uuid;

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::line::Line;

/// Commands that are decided but not yet known to be durable, at most.
const PENDING_MAX: usize = 4096;
/// The code of an id that was used with other content.
const REUSED: &str = "command_id_reused";
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
        if let Some(came) = CameTo::of(&outcome) {
            self.position = self.position.max(position_of(&outcome));
            self.count(came);
            return Ok(());
        }
        outcome.map(drop)
    }

    fn count(&mut self, came: CameTo) {
        match came {
            CameTo::Done => self.carried_out += 1,
            CameTo::Unchanged => self.unchanged += 1,
            CameTo::Refused(code) => *self.refused.entry(code.to_owned()).or_insert(0) += 1,
        }
    }
}

/// What a line came to, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameTo {
    Done,
    Unchanged,
    Refused(&'static str),
}

impl CameTo {
    /// None for what stops an import.
    fn of(outcome: &Result<Outcome, CommandError>) -> Option<Self> {
        Some(match outcome {
            Ok(outcome) => match outcome.kind {
                Kind::Done => Self::Done,
                Kind::Unchanged => Self::Unchanged,
            },
            Err(CommandError::Refused(refusal)) => Self::Refused(refusal.code().as_str()),
            Err(CommandError::NotFound) => Self::Refused("not_found"),
            Err(CommandError::CommandIdReused) => Self::Refused(REUSED),
            Err(CommandError::InvalidTime) => Self::Refused("invalid_time"),
            Err(CommandError::TooLarge) => Self::Refused("too_large"),
            Err(
                CommandError::RateLimited
                | CommandError::Busy
                | CommandError::StorageFull
                | CommandError::OutcomeUnknown
                | CommandError::Unreadable(_),
            ) => return None,
        })
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
    };
    let course = Course {
        handler,
        unfinished: handler.unfinished(),
        known,
        passed: 0,
        time: None,
        left_nothing: HashMap::new(),
    };
    let fed = feed(course, source, &submitted, &mut reading).await;
    drop(submitted);
    let mut summary = counting.await.context("counting ended early")??;
    fed?;
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
}

/// A line on its way to be counted.
enum Counted {
    /// Decided in this run, perhaps not durable yet.
    Now(Pending),
    /// Decided in an earlier run.
    Then(Result<Outcome, CommandError>),
    /// Told by an earlier line.
    Again(CameTo),
}

/// Submits the lines in order.
async fn feed(
    mut course: Course<'_>,
    source: &mut Source,
    submitted: &mpsc::Sender<Counted>,
    reading: &mut Reading,
) -> anyhow::Result<()> {
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
        let counted = course.take(number, line.envelope()).await?;
        if submitted.send(counted).await.is_err() {
            // Counting has ended with an error, which tells why.
            return Ok(());
        }
    }
    Ok(())
}

/// The way through the lines.
struct Course<'a> {
    handler: &'a CommandHandler,
    known: Known,
    /// Marks of the lines so far.
    passed: usize,
    /// The latest time of the lines since the last mark: what timers were due by.
    time: Option<Timestamp>,
    /// Where the command that a killed run did not come to begins in the log, until this run comes to it.
    unfinished: Option<Position>,
    /// The ids that left nothing, with their content.
    left_nothing: HashMap<Uuid, (Uuid, CameTo)>,
}

impl Course<'_> {
    /// Carries out a line, or finds what it came to.
    async fn take(&mut self, number: u64, envelope: Envelope) -> anyhow::Result<Counted> {
        let (id, content) = envelope.ids();
        if let Some((first, came)) = self.left_nothing.get(&id) {
            return Ok(Counted::Again(if *first == content {
                *came
            } else {
                CameTo::Refused(REUSED)
            }));
        }
        let then = self.decided_then(number, &envelope).await;
        let counted = match then {
            Some(outcome) => Counted::Then(outcome),
            None => match self.handler.submit(envelope).await {
                Ok(pending) => Counted::Now(pending),
                Err(error) => Counted::Then(Err(error)),
            },
        };
        let outcome = match &counted {
            Counted::Now(pending) => pending.decided(),
            Counted::Then(outcome) => outcome,
            Counted::Again(_) => return Ok(counted),
        };
        if !self.known.log_has(number)
            && matches!(counted, Counted::Now(_))
            && !matches!(outcome, Err(CommandError::InvalidTime))
        {
            self.unfinished = None;
        }
        match CameTo::of(outcome) {
            // The log has it, or its first use is told apart already.
            None | Some(CameTo::Done | CameTo::Refused(REUSED)) => {}
            Some(came) => drop(self.left_nothing.insert(id, (content, came))),
        }
        Ok(counted)
    }

    /// What a line that left nothing came to in an earlier run; none where it was not decided then.
    async fn decided_then(
        &mut self,
        number: u64,
        envelope: &Envelope,
    ) -> Option<Result<Outcome, CommandError>> {
        let mark = loop {
            match self.known.marks.get(self.passed) {
                Some(mark) if mark.line <= number => {
                    self.passed += 1;
                    self.time = None;
                }
                mark => break mark.copied(),
            }
        };
        if self.known.log_has(number) {
            return None;
        }
        self.time = self.time.max(envelope.at);
        let time = self.time?;
        let moments = match mark {
            Some(mark) => [
                Some(mark.before),
                Some(mark.first).filter(|first| *first < mark.before),
            ],
            None => [self.unfinished, None],
        };
        for moment in moments.into_iter().flatten() {
            let then = self
                .handler
                .decide_as_of(envelope.clone(), moment, time)
                .await;
            let Some(outcome) = then.transpose() else {
                continue;
            };
            // The run that was killed may not have come to all timers that this line lets fire.
            if mark.is_none()
                && let Some(at) = envelope.at
                && let Err(error) = self.handler.run_timers(at).await
            {
                return Some(Err(error));
            }
            return Some(outcome);
        }
        // Not decided then after all: the line was not in the file yet, or is the one to go on with.
        None
    }
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
            Counted::Again(came) => {
                summary.count(came);
                continue;
            }
        };
        summary
            .add(outcome)
            .context("the import stopped; run it again to go on where it is")?;
    }
    Ok(summary)
}

/// What the log has of the lines.
#[derive(Default)]
struct Known {
    /// By line number, whether the log has its id.
    found: Vec<bool>,
    /// The lines that left something, in the order of the file.
    marks: Vec<Mark>,
}

/// A line that left something.
#[derive(Clone, Copy)]
struct Mark {
    line: u64,
    /// Just before what it left.
    before: Position,
    /// The lowest of that of this line and all after it: they differ where lines were put between those of an earlier
    /// import.
    first: Position,
}

impl Known {
    /// Looks every line up in the log, and goes back to the first one.
    async fn find(handler: &CommandHandler, source: &mut Source) -> anyhow::Result<Self> {
        let mut known = Self::default();
        if !source.may_be_known {
            return Ok(known);
        }
        let mut positions = HashSet::new();
        while let Some(RawLine { number, text, .. }) = source.next_line()? {
            let Some(line) = text.ok().and_then(|text| Line::parse(text).ok()) else {
                continue;
            };
            let envelope = line.envelope();
            let trace = handler.trace(&envelope.actor, &envelope.command_id).await?;
            let Some(trace) = trace else {
                continue;
            };
            known.found.resize(usize::try_from(number)?, false);
            known.found.push(true);
            // A line that repeats another one, or uses its id again, left nothing itself.
            let (_, content) = envelope.ids();
            if content == trace.content && positions.insert(trace.position) {
                known.marks.push(Mark {
                    line: number,
                    before: trace.before,
                    first: trace.before,
                });
            }
        }
        let mut first = Position(u64::MAX);
        for mark in known.marks.iter_mut().rev() {
            first = first.min(mark.before);
            mark.first = first;
        }
        source.rewind()?;
        Ok(known)
    }

    /// Whether the log has the id of a line.
    fn log_has(&self, number: u64) -> bool {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.found.get(number))
            == Some(&true)
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
