//! How far an import is, told while it runs: a bar on a terminal, a line every so often elsewhere.
//!
//! The line is told by a task of its own, so that it comes also while the next line of the file is waited for. Words to
//! standard error go through here, so that they do not run into the bar.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

/// How far an import is. Clones are of one import.
#[derive(Clone)]
pub(crate) struct Progress {
    seen: Arc<Seen>,
    bar: ProgressBar,
    every: Option<Duration>,
}

/// What has been seen so far.
struct Seen {
    /// Lines of the whole file, where that is known.
    lines_of: Option<u64>,
    lines: AtomicU64,
    refused: AtomicU64,
    /// The lines are looked up in the log, and none is carried out yet.
    looks_up: AtomicBool,
}

/// Ends the telling when it is dropped.
pub(crate) struct Telling(Option<JoinHandle<()>>);

impl Drop for Telling {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

impl Progress {
    /// Of a file of so many bytes and lines, where that is known: a bar on a terminal, elsewhere a line every so often.
    pub(crate) fn new(bytes: Option<u64>, lines_of: Option<u64>, every: Duration) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal {
            bar(bytes)
        } else {
            ProgressBar::hidden()
        };
        Self::with(bar, lines_of, (!terminal).then_some(every))
    }

    /// Of what nobody waits for.
    pub(crate) fn silent() -> Self {
        Self::with(ProgressBar::hidden(), None, None)
    }

    fn with(bar: ProgressBar, lines_of: Option<u64>, every: Option<Duration>) -> Self {
        let seen = Seen {
            lines_of,
            lines: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            looks_up: AtomicBool::new(false),
        };
        Self {
            seen: Arc::new(seen),
            bar,
            every,
        }
    }

    /// Begins to look the lines up, or to carry them out.
    pub(crate) fn begin(&self, looks_up: bool) {
        self.seen.looks_up.store(looks_up, Ordering::Relaxed);
        self.seen.lines.store(0, Ordering::Relaxed);
        self.bar.set_position(0);
        self.bar.reset_elapsed();
    }

    /// The line of this number is next; it ends at this byte.
    pub(crate) fn at(&self, line: u64, ends_at: u64) {
        self.seen.lines.store(line, Ordering::Relaxed);
        self.bar.set_position(ends_at);
    }

    /// One more line was refused.
    pub(crate) fn refused(&self) {
        self.seen.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Says something between the lines of progress.
    pub(crate) fn say(&self, words: &str) {
        self.bar.suspend(|| eprintln!("{words}"));
    }

    /// The end: the bar goes.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Tells a line every so often, until what it gives is dropped.
    pub(crate) fn tell(&self) -> Telling {
        let Some(every) = self.every else {
            return Telling(None);
        };
        let seen = Arc::clone(&self.seen);
        Telling(Some(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.tick().await;
            let mut last = (Instant::now(), 0);
            loop {
                ticks.tick().await;
                let (now, lines) = (Instant::now(), seen.lines.load(Ordering::Relaxed));
                let new = lines.saturating_sub(last.1);
                let millis = now.duration_since(last.0).as_millis().max(1);
                let per_second = u128::from(new) * 1000 / millis;
                eprintln!("{}", line(&seen, lines, per_second));
                last = (now, lines);
            }
        })))
    }
}

fn line(seen: &Seen, lines: u64, per_second: u128) -> String {
    let of = seen
        .lines_of
        .map_or_else(String::new, |all| format!(" of {all}"));
    if seen.looks_up.load(Ordering::Relaxed) {
        return format!("import: {lines}{of} lines looked up in the log, {per_second} per second");
    }
    let refused = seen.refused.load(Ordering::Relaxed);
    format!("import: {lines}{of} lines, {per_second} per second, {refused} refused")
}

fn bar(bytes: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar
}
