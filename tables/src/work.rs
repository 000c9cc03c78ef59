//! Work on a view as it is told while it goes on: what is done, how far it is, and how long it still takes.

use std::time::{Duration, Instant};

use event_store::Position;

/// What is done to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is proved.
    Verify,
    /// It is made anew.
    Rebuild,
}

impl Kind {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Rebuild => "rebuild",
        }
    }
}

/// How far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The log is folded.
    Folding,
    /// It is folded a second time, to compare.
    FoldingAgain,
    /// Rows are compared.
    Comparing,
    /// The new file takes up what was written meanwhile.
    CatchingUp,
}

impl Stage {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folding => "folding",
            Self::FoldingAgain => "folding_again",
            Self::Comparing => "comparing",
            Self::CatchingUp => "catching_up",
        }
    }
}

/// Work on a view that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The view.
    pub view: &'static str,
    /// What is done.
    pub kind: Kind,
    /// The version that is proved, or made.
    pub version: u32,
    /// How far it is.
    pub stage: Stage,
    /// Events of this stage so far.
    pub events: u64,
    /// The last event folded.
    pub position: Position,
    /// Where this stage began.
    pub from: Position,
    /// Where it ends.
    pub until: Position,
    /// When it began.
    pub begun: Instant,
    /// Tells it from work before, which has a lower one, and after.
    pub number: u64,
}

impl Work {
    /// How much of this stage is done, in hundredths.
    pub fn percent(&self) -> u8 {
        let part = |to: Position| u128::from(to.0.saturating_sub(self.from.0));
        let (done, whole) = (part(self.position), part(self.until));
        let percent = (done * 100).checked_div(whole).unwrap_or(0).min(100);
        u8::try_from(percent).unwrap_or(100)
    }

    /// How long this stage still takes at its speed so far; none before anything was done.
    pub fn to_go(&self) -> Option<Duration> {
        let done = self.position.0.checked_sub(self.from.0)?;
        let left = self.until.0.checked_sub(self.position.0)?;
        if done == 0 {
            return None;
        }
        let (done, left) = (u128::from(done), u128::from(left));
        let millis = self.begun.elapsed().as_millis().saturating_mul(left) / done;
        Some(Duration::from_millis(
            u64::try_from(millis).unwrap_or(u64::MAX),
        ))
    }
}
