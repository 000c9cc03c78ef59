//! The care of the views: proving one, making it anew, going back; and what the last of these came to.
//!
//! What is done is done by `tables`. Here it begins as a task of its own, so that whoever asked for it need not stay, and
//! its outcome is kept, one a view, until the next or the end of the process. It is entered before the work ends, so that
//! who no longer finds the work finds what it came to. Operators and the schedule ask for it alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use event_store::{Position, ReadError};
use parking_lot::Mutex;
use tables::{
    Begun, Kind, Letter, Reconsidered as Tried, Retry, SetAside, Skips, StartError, Verified,
    WaitError, Work,
};
use tokio::task::JoinHandle;

use crate::{DomainCodec, ReadSide, ViewName};

/// What the last work on a view came to.
#[derive(Clone, Debug)]
pub struct Last {
    /// Tells it from work before, which has a lower one, and after.
    pub number: u64,
    /// `verify` or `rebuild`.
    pub kind: &'static str,
    /// What was compared, or why nothing came of it.
    pub outcome: Result<Verified, String>,
    /// What of the log could not be read, if that is why.
    pub unread: Option<ReadError>,
}

/// Work on a view that has begun.
#[derive(Debug)]
pub struct Beginning {
    /// As it began.
    pub work: Work,
    /// What it comes to; it goes on whether or not anybody waits.
    pub last: JoinHandle<Last>,
}

/// Why work on a view does not begin, or nothing is switched.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// One at a time.
    #[error("the view `{0}` is being verified or made anew; one at a time")]
    Busy(String),
    /// There is no earlier file.
    #[error("the view `{0}` keeps no earlier file")]
    NoPrevious(ViewName),
    /// It is built for the first time, has stopped without rows, or is closed.
    #[error("the view is not served: {0}")]
    NotServed(String),
    /// The earlier file is behind the one that is served, or has stopped.
    #[error("nothing was switched: {0}")]
    NotSwitched(String),
    /// A file or the log failed; what was served is served.
    #[error("nothing was done: {0}")]
    Failed(String),
}

/// What the last work on each view came to.
pub(crate) type Lasts = Arc<Mutex<BTreeMap<ViewName, Last>>>;

impl ReadSide {
    /// What is done to a view at the moment.
    pub fn work(&self) -> Option<Work> {
        self.runner().work()
    }

    /// What the last verification or rebuild of a view came to, since the read side was opened.
    pub fn last(&self, view: ViewName) -> Option<Last> {
        self.lasts.lock().get(&view).cloned()
    }

    /// Begins to fold the log once more and to compare its rows with those that are served.
    pub fn begin_verify(&self, view: ViewName) -> Result<Beginning, CareError> {
        let begun = self.begin(view, Kind::Verify)?;
        let (work, lasts) = (begun.work(), Arc::clone(&self.lasts));
        let last = tokio::spawn(async move {
            let outcome = begun.verify().await;
            ended(&lasts, view, &work, outcome)
        });
        Ok(Beginning { work, last })
    }

    /// Begins to make a view anew, by the newest version of its code, beside the one that is served, to compare it, and to
    /// switch to it.
    pub fn begin_rebuild(&self, view: ViewName) -> Result<Beginning, CareError> {
        let begun = self.begin(view, Kind::Rebuild)?;
        Ok(self.rebuilding(view, begun))
    }

    /// Makes the new version of each view of which the earlier one is served, one after the other, whatever else is done to
    /// views in between. One that fails is told, and stays as it is until it is asked for again or the next start.
    pub async fn renew(&self) {
        for name in self.runner().outdated() {
            let Some(view) = ViewName::named(name) else {
                continue;
            };
            match self.runner().begin_in_turn(name, Kind::Rebuild).await {
                Ok(begun) => {
                    let Beginning { work, last } = self.rebuilding(view, begun);
                    tracing::info!(%view, version = work.version, "a new version of the view is made");
                    // Kept and told there; one that panicked was told by the panic.
                    let _ = last.await;
                }
                Err(tables::CareError::Closed) => return,
                Err(error) => tracing::error!(%view, %error, "the new version is not made"),
            }
        }
    }

    fn rebuilding(&self, view: ViewName, begun: Begun) -> Beginning {
        let (work, lasts) = (begun.work(), Arc::clone(&self.lasts));
        let last = tokio::spawn(async move {
            let outcome = begun.rebuild().await.map(|switched| switched.compared);
            ended(&lasts, view, &work, outcome)
        });
        Beginning { work, last }
    }

    /// Serves the file again that was served before the last switch; gives where it stands.
    pub async fn go_back(&self, view: ViewName) -> Result<Position, CareError> {
        let gone_back = self.runner().go_back(view.as_str()).await;
        let position = gone_back.map_err(|error| told(view, error))?;
        tracing::info!(%view, %position, "the earlier file of the view is served again");
        Ok(position)
    }

    /// Gives up the file that was served before the last switch.
    pub async fn drop_previous(&self, view: ViewName) -> Result<(), CareError> {
        let dropped = self.runner().drop_previous(view.as_str()).await;
        dropped.map_err(|error| told(view, error))
    }

    /// What a view has set aside beyond `after`, in the log's order, at most `limit`.
    pub fn letters(&self, view: ViewName, after: Position, limit: usize) -> Vec<Letter> {
        let view = self.runner().view(view.as_str());
        view.map_or_else(Vec::new, |view| view.letters(after, limit))
    }

    /// An event, if a view has set it aside.
    pub fn letter(&self, view: ViewName, stream: &str, version: u64) -> Option<Letter> {
        let mut letters = self.letters(view, Position::START, usize::MAX).into_iter();
        letters.find(|letter| *letter.stream == *stream && letter.version == version)
    }

    /// How many events a view has set aside.
    pub fn set_aside(&self, view: ViewName) -> SetAside {
        let view = self.runner().view(view.as_str());
        view.map_or_else(SetAside::default, |view| view.status().set_aside)
    }

    /// The version of a view that is served.
    pub fn version(&self, view: ViewName) -> u32 {
        let view = self.runner().view(view.as_str());
        view.map_or(0, |view| view.version())
    }

    /// Where the log says that a view does without an event, if it does.
    pub async fn does_without(
        &self,
        view: ViewName,
        stream: &str,
        version: u64,
    ) -> Result<Option<Position>, CareError> {
        let end = self.store.durable_position();
        let of = (view.as_str(), self.version(view));
        let read = Skips::read(&*self.store, &DomainCodec, of, end).await;
        let skips = read.map_err(|error| CareError::Failed(error.to_string()))?;
        Ok(skips.decided(stream, version))
    }

    /// Tries again what a view has set aside, and passes over what it shall do without by now.
    pub async fn retry(&self, view: ViewName, retry: Retry) -> Result<Tried, CareError> {
        let tried = self.runner().reconsider(view.as_str(), retry).await;
        tried.map_err(|error| told(view, error))
    }

    /// What of the log could not be read for the views, while they follow it or by the last work on one.
    pub fn not_read(&self) -> Option<ReadError> {
        let following = self.states().into_iter().find_map(|status| status.reading);
        following.or_else(|| {
            let lasts = self.lasts.lock();
            lasts.values().find_map(|last| last.unread.clone())
        })
    }

    fn begin(&self, view: ViewName, kind: Kind) -> Result<Begun, CareError> {
        let begun = self.runner().begin(view.as_str(), kind);
        begun.map_err(|error| told(view, error))
    }
}

/// Enters and tells what work came to.
fn ended(
    lasts: &Lasts,
    view: ViewName,
    work: &Work,
    outcome: Result<Verified, tables::CareError>,
) -> Last {
    let kind = work.kind.name();
    match &outcome {
        Ok(compared) if compared.equal() => {
            let (position, rows) = (compared.position, compared.folded.rows);
            tracing::info!(%view, kind, version = work.version, %position, rows, "the served rows are what the log gives");
        }
        // Told with both digests where it was found.
        Ok(_) => {}
        Err(tables::CareError::Closed | tables::CareError::Fold(StartError::Stopped)) => {
            tracing::info!(%view, kind, "ended with the service");
        }
        Err(error) => tracing::error!(%view, kind, %error, "the view was not proved"),
    }
    let last = Last {
        number: work.number,
        kind,
        unread: match &outcome {
            Err(tables::CareError::Fold(StartError::Read(error))) => Some(error.clone()),
            Ok(_) | Err(_) => None,
        },
        outcome: outcome.map_err(|error| error.to_string()),
    };
    lasts.lock().insert(view, last.clone());
    last
}

fn told(view: ViewName, error: tables::CareError) -> CareError {
    match error {
        tables::CareError::Busy(other) => CareError::Busy(other.to_owned()),
        tables::CareError::NoPrevious(_) => CareError::NoPrevious(view),
        tables::CareError::NotServed(why) => CareError::NotServed(why.to_string()),
        tables::CareError::Switch(why) => CareError::NotSwitched(why),
        tables::CareError::Closed => CareError::NotServed(WaitError::Closed.to_string()),
        failed @ (tables::CareError::UnknownView(_)
        | tables::CareError::InMemory(_)
        | tables::CareError::Fold(_)
        | tables::CareError::Table(_)
        | tables::CareError::Differs { .. }) => CareError::Failed(failed.to_string()),
    }
}
