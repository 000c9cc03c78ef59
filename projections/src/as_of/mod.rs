//! What stood where at a moment of the log: the views' own rows, folded in memory from just the streams they depend on.
//!
//! A question names a [`Subject`] and views; [`sources`] says which streams the rows of each view depend on, `pairs`
//! which conversations a member has, [`gather`] reads those streams up to the moment and merges them by position, and the
//! views' very `apply` folds them ([`tables::Fold`]). The answers come from the same query functions as the live ones.
//! So the cost follows the subject's events and not the log; it is bounded by [`Bounds`], and what is beyond them is
//! [`PastError::TooMuch`]. Who may ask, and that looking is recorded, is the interface's.

mod diff;
mod explain;
mod gather;
mod relationship;
mod sources;
mod timeline;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::event::Event;
use domain::ids::{CaseId, ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::{EventStore, LogId, Position, RecordedEvent};
use tables::{Codec as _, Fold, Letter, Reader, Skips, View};

use crate::codec::DomainCodec;
use crate::pairs::Pairs;
use crate::times::{self, Times};
use crate::views::Views;
use crate::{
    Answer, BlockItem, Case, InboxItem, Member, MessageItem, Page, PageRequest, QueryError,
    ReportItem, RequestItem, Unread, ViewName, WaitError, blocked, case, conversation, inbox,
    members, pairs, registry, reports, requests, unread,
};

pub use diff::{Diff, RowChange, Shown};
pub use explain::{Decision, Outcome, Which};
pub use gather::Bounds;
pub use relationship::{PairFacts, SideFacts};
pub use timeline::{Statement, TimelinePage};

/// Which moment is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The durable end of the log.
    Now,
    /// Right after the event at this position.
    At(Position),
    /// A time: the end of the longest prefix of the log in which no `at` is later.
    Time(Timestamp),
}

/// A moment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The last position that had happened; 0 before the first event.
    pub position: Position,
    /// The time it was, for what time takes part in: the one that was named, or the latest `at` up to the position.
    pub now: Timestamp,
}

/// Whom or what a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A member, with all their conversations.
    Member(MemberId),
    /// One conversation, without its members' others.
    Conversation(ConversationId),
    /// A moderators' file, with all conversations of its two members: their reports rank it.
    Case(CaseId),
}

/// Why a question about a moment has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The moment has not come.
    #[error("the log ends at position {end}")]
    BeyondEnd {
        /// The end of the log.
        end: Position,
    },
    /// More events than one question may read.
    #[error(
        "the answer depends on more than {} events, {} bytes of them or {} streams",
        .0.events_max, .0.bytes_max, .0.streams_max
    )]
    TooMuch(Bounds),
    /// An event that the answer depends on cannot be applied, or cannot be read.
    #[error("`{view}` cannot apply the event {version} of {stream}: {cause}")]
    Incomplete {
        /// The view, or what was asked for where none is folded.
        view: &'static str,
        /// The event's stream.
        stream: String,
        /// Its version there.
        version: u64,
        /// Why not.
        cause: String,
    },
    /// More changes than one answer tells.
    #[error("more than {0} rows changed")]
    TooManyChanges(usize),
    /// The index of streams or of times has not come as far as the log.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// As of any query.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl PastError {
    /// Of an event that an answer depends on and that cannot be applied.
    fn incomplete(
        view: &'static str,
        event: &RecordedEvent,
        cause: &dyn std::fmt::Display,
    ) -> Self {
        Self::Incomplete {
            view,
            stream: event.stream().to_owned(),
            version: event.version(),
            cause: cause.to_string(),
        }
    }

    /// Of an event that is set aside.
    pub(crate) fn set_aside(view: &'static str, letter: &Letter) -> Self {
        Self::Incomplete {
            view,
            stream: letter.stream.to_string(),
            version: letter.version,
            cause: letter
                .cause
                .as_deref()
                .unwrap_or("it waits behind an earlier one")
                .to_owned(),
        }
    }
}

impl From<anyhow::Error> for PastError {
    fn from(error: anyhow::Error) -> Self {
        Self::Query(QueryError::Storage(error))
    }
}

impl From<event_store::ReadError> for PastError {
    fn from(error: event_store::ReadError) -> Self {
        Self::Query(QueryError::Storage(error.into()))
    }
}

/// A stored event as the domain reads it, for an answer that is made without a view; `asked` says which.
fn decoded<'e>(asked: &'static str, event: &'e RecordedEvent) -> Result<Event<'e>, PastError> {
    let decoded = domain::codec::decode(event.event_type(), event.data());
    decoded.map_err(|cause| PastError::incomplete(asked, event, &cause))
}

/// The log up to an end, with the indexes that questions about its past begin at.
#[derive(Clone)]
pub struct Past {
    log: Arc<dyn EventStore>,
    end: Position,
    pairs: Reader,
    times: Reader,
    /// What `pairs` could not apply, beside what its reader tells.
    set_aside: Arc<[Letter]>,
    bounds: Bounds,
}

impl Past {
    /// The past of a log whose indexes have come to `end` or further.
    pub(crate) fn of(
        log: Arc<dyn EventStore>,
        end: Position,
        pairs: Reader,
        times: Reader,
        bounds: Bounds,
    ) -> Self {
        Self {
            log,
            end,
            pairs,
            times,
            set_aside: Arc::default(),
            bounds,
        }
    }

    /// The past of a log that nobody follows: its indexes are made in memory, which reads the whole log once. They do
    /// without what the log says they shall; what else they cannot apply is told to whom it concerns.
    pub async fn at_rest(log: Arc<dyn EventStore>) -> Result<Self, PastError> {
        let end = log.durable_position();
        let views: [&dyn View<DomainCodec>; 2] = [&Pairs, &Times];
        let mut folds = Vec::with_capacity(views.len());
        for view in views {
            let skips = skips_of(&*log, view, end).await?;
            folds.push((view, Fold::without(view, skips), Vec::new()));
        }
        let mut after = Position::START;
        while after < end {
            let block = log
                .read_all(after, gather::BLOCK_EVENTS, gather::BLOCK_BYTES)
                .await?;
            let Some(last) = block.last() else {
                break;
            };
            after = last.position();
            for event in &block {
                let decoded = DomainCodec.decode(event);
                for (view, fold, set_aside) in &mut folds {
                    if let Err(cause) = fold.apply(event, &decoded) {
                        let letter = Letter {
                            position: event.position(),
                            stream: event.stream().into(),
                            version: event.version(),
                            event_type: event.event_type().into(),
                            cause: Some(cause.to_string().into()),
                            keys: view.keys(event, decoded.as_ref().ok()).into(),
                        };
                        if set_aside.len() == view.letters_max() {
                            return Err(PastError::set_aside(view.name(), &letter));
                        }
                        set_aside.push(letter);
                    }
                }
            }
        }
        let log_id = log.log_id();
        let mut read = folds.into_iter().map(|(_, mut fold, set_aside)| {
            fold.came_to(after);
            (fold.into_reader(log_id), set_aside)
        });
        let (Some((pairs, set_aside)), Some((times, _))) = (read.next(), read.next()) else {
            return Err(anyhow::anyhow!("a view was not folded").into());
        };
        Ok(Self {
            set_aside: set_aside.into(),
            ..Self::of(log, end, pairs, times, Bounds::default())
        })
    }

    /// The end of the log as it was when this was asked for.
    pub fn end(&self) -> Position {
        self.end
    }

    /// The log.
    pub fn log(&self) -> &dyn EventStore {
        &*self.log
    }

    /// The moment meant. `clock` is the time now: a time later than it has not come, nor has a position beyond the end.
    pub async fn moment(&self, when: When, clock: Timestamp) -> Result<Moment, PastError> {
        match when {
            When::Now => Ok(Moment {
                position: self.end,
                now: clock,
            }),
            When::At(position) if position > self.end => {
                Err(PastError::BeyondEnd { end: self.end })
            }
            When::At(position) => {
                let latest = times::latest_at(&self.times, &*self.log, position).await?;
                Ok(Moment {
                    position,
                    now: latest.unwrap_or(Timestamp(i64::MIN)),
                })
            }
            When::Time(time) if time > clock => Err(PastError::BeyondEnd { end: self.end }),
            When::Time(time) => {
                let position = times::position_at(&self.times, &*self.log, time, self.end).await?;
                Ok(Moment {
                    position,
                    now: time,
                })
            }
        }
    }

    /// The conversations that a member had at a position, by their ids. [`PastError::Incomplete`] where one may be missing.
    pub fn conversations(
        &self,
        member: &MemberId,
        until: Position,
    ) -> Result<Vec<pairs::PairItem>, PastError> {
        let mut missing = self.pairs.letters().chain(&*self.set_aside);
        if let Some(letter) =
            missing.find(|letter| letter.position <= until && pairs::concerns(letter, member))
        {
            return Err(PastError::set_aside(ViewName::Pairs.as_str(), letter));
        }
        let max = self.bounds.streams_max;
        let items = pairs::of_member(&self.pairs, member, until, max)?;
        if items.len() > max {
            return Err(PastError::TooMuch(self.bounds));
        }
        Ok(items)
    }

    /// These views of a subject as of a moment. [`QueryError::NotFound`] where the subject was not known then.
    pub async fn as_of(
        &self,
        subject: &Subject,
        views: &[ViewName],
        moment: Moment,
    ) -> Result<AsOf, PastError> {
        let concerned = self.concerned(subject, moment.position).await?;
        let mut streams = BTreeSet::new();
        for view in views {
            concerned.streams_of(*view, &mut streams);
        }
        let folded: Vec<Arc<dyn View<DomainCodec>>> = registry::views()
            .into_iter()
            .filter(|view| views.iter().any(|name| name.as_str() == view.name()))
            .collect();
        let wanted = {
            let folded = folded.clone();
            move |event_type: &str| folded.iter().any(|view| view.wants(event_type))
        };
        let gathered =
            gather::gather(&*self.log, &streams, moment.position, &wanted, self.bounds).await?;
        let log_id = self.log.log_id();
        let events = gathered.events;
        let mut folds = Vec::with_capacity(folded.len());
        for view in folded {
            let skips = skips_of(&*self.log, &*view, self.end()).await?;
            folds.push((view, skips));
        }
        let readers = tokio::task::spawn_blocking(move || fold(&folds, &events, moment, log_id))
            .await
            .map_err(|error| anyhow::anyhow!("the fold did not end: {error}"))??;
        Ok(AsOf {
            log: Arc::clone(&self.log),
            moment,
            readers,
            events: gathered.read,
        })
    }
}

/// What a view shall do without, as the log says up to a position.
async fn skips_of(
    log: &dyn EventStore,
    view: &dyn View<DomainCodec>,
    until: Position,
) -> Result<Skips, PastError> {
    let skips = Skips::read(log, &DomainCodec, (view.name(), view.version()), until).await;
    Ok(skips.map_err(anyhow::Error::from)?)
}

/// Folds the views over events that are in order.
fn fold(
    views: &[(Arc<dyn View<DomainCodec>>, Skips)],
    events: &[RecordedEvent],
    moment: Moment,
    log_id: LogId,
) -> Result<Vec<(&'static str, Reader)>, PastError> {
    let mut folds: Vec<_> = views
        .iter()
        .map(|(view, skips)| (view, Fold::without(&**view, skips.clone())))
        .collect();
    for event in events {
        let decoded = DomainCodec.decode(event);
        for (view, fold) in &mut folds {
            fold.apply(event, &decoded)
                .map_err(|cause| PastError::incomplete(view.name(), event, &cause))?;
        }
    }
    let readers = folds.into_iter().map(|(view, mut fold)| {
        fold.came_to(moment.position);
        (view.name(), fold.into_reader(log_id))
    });
    Ok(readers.collect())
}

/// Views of one subject as of a moment; the queries are the live ones.
pub struct AsOf {
    log: Arc<dyn EventStore>,
    moment: Moment,
    readers: Vec<(&'static str, Reader)>,
    events: usize,
}

impl Views for AsOf {
    fn reader(&self, view: ViewName) -> Result<Reader, QueryError> {
        let found = self.readers.iter().find(|(name, _)| *name == view.as_str());
        found
            .map(|(_, reader)| reader.clone())
            .ok_or_else(|| QueryError::Unavailable {
                view,
                cause: "it was not asked for".to_owned(),
            })
    }

    fn log(&self) -> &dyn EventStore {
        &*self.log
    }
}

#[expect(
    clippy::unused_async,
    reason = "queries are asked alike, whether or not they read the log"
)]
impl AsOf {
    /// The moment.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// How many events were read for it.
    pub fn events(&self) -> usize {
        self.events
    }

    /// As [`crate::ReadSide::inbox`].
    pub async fn inbox(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<InboxItem>, QueryError> {
        inbox::query(self, member, page).await
    }

    /// As [`crate::ReadSide::requests`].
    pub async fn requests(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<RequestItem>, QueryError> {
        requests::query(self, member, page).await
    }

    /// As [`crate::ReadSide::messages`].
    pub async fn messages(
        &self,
        member: &MemberId,
        conversation: ConversationId,
        page: &PageRequest,
    ) -> Result<Page<MessageItem>, QueryError> {
        conversation::query(self, member, conversation, page, self.moment.now).await
    }

    /// Every message of a conversation, whoever of the two saw it.
    pub async fn all_messages(
        &self,
        conversation: ConversationId,
        page: &PageRequest,
    ) -> Result<Page<MessageItem>, QueryError> {
        conversation::query_all(self, conversation, page).await
    }

    /// As [`crate::ReadSide::unread`].
    pub async fn unread(&self, member: &MemberId) -> Result<Answer<Unread>, QueryError> {
        unread::query(&self.reader(ViewName::Unread)?, member)
    }

    /// As [`crate::ReadSide::blocks`].
    pub async fn blocks(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<BlockItem>, QueryError> {
        blocked::query(
            &self.reader(ViewName::Blocked)?,
            member,
            page,
            self.moment.now,
        )
    }

    /// As [`crate::ReadSide::my_reports`].
    pub async fn reports(
        &self,
        member: &MemberId,
        page: &PageRequest,
    ) -> Result<Page<ReportItem>, QueryError> {
        reports::query(self, member, page).await
    }

    /// As [`crate::ReadSide::case`].
    pub async fn case(&self, case: CaseId) -> Result<Answer<Case>, QueryError> {
        case::query(self, case).await
    }

    /// As [`crate::ReadSide::member`].
    pub async fn member(&self, member: &MemberId) -> Result<Answer<Member>, QueryError> {
        members::query(&self.reader(ViewName::Members)?, member)
    }
}
