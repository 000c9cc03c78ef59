//! How far a copy is, told while it goes on: a bar on a terminal, a line every so often elsewhere; and how long a store that
//! does not answer is waited for.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two tries at a store that does not answer.
const RETRY: Duration = Duration::from_millis(250);

/// How far a copy is.
pub(crate) struct Progress {
    bar: ProgressBar,
    every: Option<Duration>,
    /// What is done to the events.
    stage: &'static str,
    /// How many there are, in words.
    of: String,
    told: Instant,
    told_at: u64,
}

impl Progress {
    /// Of about so many events.
    pub(crate) fn new(events: u64, exactly: bool, every: Duration) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(events), target);
            if let Ok(style) =
                ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}")
            {
                bar.set_style(style);
            }
            bar
        } else {
            ProgressBar::hidden()
        };
        let about = if exactly { "" } else { "about " };
        Self {
            bar,
            every: (!terminal).then_some(every),
            stage: "",
            of: format!("{about}{events}"),
            told: Instant::now(),
            told_at: 0,
        }
    }

    /// Begins with something else, at this event.
    pub(crate) fn begin(&mut self, stage: &'static str, events: u64) {
        self.stage = stage;
        self.bar.set_message(stage);
        self.bar.set_position(events);
        self.bar.reset_eta();
        self.told = Instant::now();
        self.told_at = events;
    }

    /// So many events are done.
    pub(crate) fn at(&mut self, events: u64) {
        self.bar.set_position(events);
        let Some(every) = self.every else { return };
        let elapsed = self.told.elapsed();
        if elapsed < every {
            return;
        }
        let new = u128::from(events.saturating_sub(self.told_at));
        let per_second = new * 1000 / elapsed.as_millis().max(1);
        let (stage, of) = (self.stage, &self.of);
        eprintln!("copy: {events} of {of} events {stage}, {per_second} per second");
        self.told = Instant::now();
        self.told_at = events;
    }

    /// Says something between the lines of progress.
    pub(crate) fn say(&self, words: &str) {
        self.bar.suspend(|| eprintln!("copy: {words}"));
    }

    /// How long a store is waited for, told here.
    pub(crate) fn patience(&self, place: String, most: Duration) -> Patience {
        Patience {
            place,
            most,
            since: None,
            bar: self.bar.clone(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How long a store that does not answer is waited for.
pub(crate) struct Patience {
    place: String,
    most: Duration,
    /// Since when it does not answer.
    since: Option<Instant>,
    bar: ProgressBar,
}

impl Patience {
    /// It has answered.
    pub(crate) fn answered(&mut self) {
        self.since = None;
    }

    /// It has not: waits a little for it, or gives it up.
    pub(crate) async fn wait(&mut self, why: &str) -> anyhow::Result<()> {
        let (place, most) = (&self.place, self.most);
        let since = *self.since.get_or_insert_with(|| {
            self.bar
                .suspend(|| eprintln!("copy: waiting for {place}, which does not answer: {why}"));
            Instant::now()
        });
        if since.elapsed() >= most {
            bail!(
                "{place} has not answered for {} s: {why}; what was copied stays: run the same command again, and it goes on",
                most.as_secs()
            );
        }
        tokio::time::sleep(RETRY).await;
        Ok(())
    }
}
