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
    /// How many there are, where that is known.
    all: Option<u64>,
    told: Instant,
    told_at: u64,
}

impl Progress {
    /// Of so many events, where that is known.
    pub(crate) fn new(all: Option<u64>, every: Duration) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(all, target);
            style(&bar, all.is_some());
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            every: (!terminal).then_some(every),
            stage: "",
            all,
            told: Instant::now(),
            told_at: 0,
        }
    }

    /// There are so many, as is known now.
    pub(crate) fn all_are(&mut self, events: u64) {
        self.all = Some(events);
        self.bar.set_length(events);
        style(&self.bar, true);
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
        let told = self.words(events);
        eprintln!("copy: {told}, {per_second} per second");
        self.told = Instant::now();
        self.told_at = events;
    }

    /// How far it is, of all where that is known.
    fn words(&self, events: u64) -> String {
        let all = self.all.filter(|all| *all >= events);
        let of = all.map_or_else(String::new, |all| format!(" of {all}"));
        format!("{events}{of} events {}", self.stage)
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

/// How a bar looks, with an end or without.
fn style(bar: &ProgressBar, ends: bool) {
    let template = if ends {
        "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}"
    } else {
        "{msg} {pos} {per_sec}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_told_where_that_is_known_and_not_less_than_there_were() {
        let mut progress = Progress::new(None, Duration::from_secs(10));
        progress.begin("compared", 0);
        assert_eq!(progress.words(14_059), "14059 events compared");
        progress.all_are(59_835);
        progress.begin("read back", 0);
        assert_eq!(progress.words(14_059), "14059 of 59835 events read back");
        assert_eq!(progress.words(59_836), "59836 events read back");
        let progress = Progress::new(Some(40), Duration::from_secs(10));
        assert_eq!(progress.words(40), "40 of 40 events ");
    }
}
