//! The service `Streams`: what is asked is held against what is served, and begun.
//!
//! Every call is counted by how it was taken, and every reading noted in the access log, with who reads and from where.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_store::{Direction, EventStore, Position, ReadError, StreamFrom, StreamName};
use metrics::counter;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::access::{Access, Act, Entered, denied};
use super::appending;
use super::faults::Faults;
use super::filter::Filter;
use super::messages::{self, Ids};
use super::reading::{At, Reading};
use super::session::{self, Bounds, Places, Told};
use super::subscribing::{Followed, Subscription};
use super::{Door, Numbering, Options};
use crate::proto::event_store::client::StreamIdentifier;
use crate::proto::event_store::client::streams::read_req::Options as Asked;
use crate::proto::event_store::client::streams::read_req::options::all_options::AllOption;
use crate::proto::event_store::client::streams::read_req::options::stream_options::RevisionOption;
use crate::proto::event_store::client::streams::read_req::options::uuid_option::Content as AskedIds;
use crate::proto::event_store::client::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, ReadDirection, StreamOption, StreamOptions,
};
use crate::proto::event_store::client::streams::read_resp::{Content, SubscriptionConfirmation};
use crate::proto::event_store::client::streams::streams_server::Streams;
use crate::proto::event_store::client::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq,
    ReadResp, TombstoneReq, TombstoneResp,
};

/// The service.
pub(super) struct Served {
    store: Arc<dyn EventStore>,
    access: Arc<dyn Access>,
    door: Door,
    numbering: Numbering,
    readings: Places,
    subscriptions: Places,
    batches: Places,
    recheck: Duration,
    stopping: watch::Receiver<bool>,
    faults: Option<Arc<Faults>>,
}

impl Served {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        options: &Options,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let readings = Places::new(options.readings_max, "reading");
        let subscriptions = Places::new(options.subscriptions_max, "subscription");
        let batches = Places::new(options.subscriptions_max, "batches");
        for places in [&readings, &subscriptions, &batches] {
            places.begin();
        }
        Self {
            store,
            access: Arc::clone(&options.access),
            door: options.door,
            numbering: options.numbering,
            readings,
            subscriptions,
            batches,
            recheck: options.recheck,
            stopping,
            faults: options.faults.clone(),
        }
    }

    /// Lets in who may append, where that is done at all: who may not read is not told.
    fn appends<T>(&self, request: &Request<T>) -> Result<Entered, Status> {
        match self.door {
            Door::Appending => Entered::by(&self.access, request, Act::Append),
            Door::Reading => {
                Entered::by(&self.access, request, Act::Read)?;
                Err(denied(
                    "nothing is written by this door: commands are decided by the service",
                ))
            }
        }
    }

    /// Nothing is; who may not come in at all is told that.
    fn deletes<T, R>(&self, request: &Request<T>) -> Result<R, Status> {
        Entered::by(&self.access, request, Act::Read)?;
        Err(denied("nothing is deleted"))
    }

    fn bounds(&self, entered: Entered, stopping: Option<watch::Receiver<bool>>) -> Bounds {
        Bounds {
            entered,
            recheck: self.recheck,
            stopping,
            faults: self.faults.clone(),
        }
    }

    /// Notes in the access log that the log is read; where it is appended to, that is what it is for.
    fn note(&self, who: &str, asked: &Asked, follows: bool) {
        let (stream, from) = match &asked.stream_option {
            Some(StreamOption::Stream(stream)) => {
                // What is no stream's name is not read, and is as long as its sender likes.
                let Ok(name) = stream_name(stream.stream_identifier.clone()) else {
                    return;
                };
                (name.to_string(), of_revision(stream.revision_option))
            }
            Some(StreamOption::All(all)) => ("$all".to_owned(), of_position(all.all_option)),
            None => return,
        };
        let end = self.store.durable_position().0;
        match (self.door, follows) {
            (Door::Reading, true) => {
                tracing::info!(target: "doorstep::access", reader = who, stream, from, end, "the log is followed by the KurrentDB protocol");
            }
            (Door::Reading, false) => {
                tracing::info!(target: "doorstep::access", reader = who, stream, from, end, "the log is read by the KurrentDB protocol");
            }
            (Door::Appending, _) => {
                tracing::debug!(target: "doorstep::access", reader = who, stream, from, end, "the log is read");
            }
        }
    }

    async fn begin(&self, request: Request<ReadReq>) -> Result<Told<ReadResp>, Status> {
        let entered = Entered::by(&self.access, &request, Act::Read)?;
        let leader = request.metadata().get("requires-leader");
        let leader = leader.is_some_and(|leader| leader == "true");
        let asked = request.into_inner().options;
        let asked = asked.ok_or_else(|| Status::invalid_argument("a reading without options"))?;
        let ids = match asked
            .uuid_option
            .as_ref()
            .and_then(|ids| ids.content.as_ref())
        {
            Some(AskedIds::Structured(())) => Ids::Structured,
            Some(AskedIds::String(())) | None => Ids::Text,
        };
        let follows = matches!(asked.count_option, Some(CountOption::Subscription(_)));
        self.note(&entered.who, &asked, follows);
        if let Some(faults) = &self.faults {
            faults.let_go().await;
        }
        let count = match asked.count_option {
            Some(CountOption::Count(count)) => count,
            Some(CountOption::Subscription(_)) | None => u64::MAX,
        };
        if follows {
            let place = self.subscriptions.take()?;
            self.is_place(&asked).await?;
            let subscription = self.subscription(asked, ids).await?;
            let told = futures::stream::try_unfold(subscription, async |mut subscription| {
                let next = subscription.next().await?;
                Ok(next.map(|message| (message, subscription)))
            });
            let bounds = self.bounds(entered, Some(self.stopping.clone()));
            return Ok(session::within(Box::pin(told), place, bounds));
        }
        let place = self.readings.take()?;
        self.is_place(&asked).await?;
        let reading = self.reading(asked, count, ids, leader)?;
        let told = futures::stream::try_unfold(reading, async |mut reading| {
            let next = reading.next().await?;
            Ok(next.map(|message| (message, reading)))
        });
        let bounds = self.bounds(entered, None);
        Ok(session::within(Box::pin(told), place, bounds))
    }

    /// Whether the position that is asked for, if one is, was ever told: KurrentDB answers no other, but one that it has
    /// not come to.
    async fn is_place(&self, asked: &Asked) -> Result<(), Status> {
        let Some(StreamOption::All(all)) = &asked.stream_option else {
            return Ok(());
        };
        let Some(AllOption::Position(at)) = &all.all_option else {
            return Ok(());
        };
        let (told, durable) = (at.commit_position, self.store.durable_position());
        let position = self.numbering.below(told.saturating_add(1));
        if told == 0 || told > self.numbering.told(durable) {
            return Ok(());
        }
        if self.numbering.told(position) == told {
            let event = self.store.read_at(position).await;
            if event.map_err(|error| unread(&error))?.is_some() {
                return Ok(());
            }
        }
        Err(Status::invalid_argument(
            "no event is at this position; give back positions as they were told",
        ))
    }

    fn reading(&self, asked: Asked, count: u64, ids: Ids, leader: bool) -> Result<Reading, Status> {
        let direction = direction(&asked)?;
        let filter = filter(&asked)?;
        let durable = self.store.durable_position();
        let faults = self.faults.as_ref();
        let stale = faults.and_then(|faults| faults.sees_until(durable, leader));
        let until = stale.map_or(durable, |stale| stale.min(durable));
        let at = match stream_option(asked.stream_option)? {
            StreamOption::All(all) => match direction {
                Direction::Forward => {
                    let (at, after) = match all_option(all)? {
                        AllOption::Start(()) => (None, Position::START),
                        AllOption::Position(at) => self.numbering.at(at.commit_position),
                        AllOption::End(()) => (None, until),
                    };
                    At::Forward { at, after, filter }
                }
                Direction::Backward => At::Backward {
                    before: match all_option(all)? {
                        AllOption::Start(()) => Position::START,
                        AllOption::Position(at) => {
                            after(self.numbering.below(at.commit_position).min(until))
                        }
                        AllOption::End(()) => after(until),
                    },
                    filter,
                },
            },
            StreamOption::Stream(stream) => {
                if filter.is_some() {
                    let what = "a filter is for the whole log alone";
                    return Err(Status::invalid_argument(what));
                }
                let (name, revision) = stream_asked(stream)?;
                At::Stream {
                    name,
                    from: match (revision, direction) {
                        (RevisionOption::Start(()), _) => StreamFrom::Start,
                        (RevisionOption::End(()), Direction::Backward) => StreamFrom::End,
                        // What is at the end is read backward.
                        (RevisionOption::End(()), Direction::Forward) => {
                            StreamFrom::Version(u64::MAX)
                        }
                        (RevisionOption::Revision(version), _) => StreamFrom::Version(version),
                    },
                    direction,
                    first: true,
                }
            }
        };
        Ok(Reading {
            store: Arc::clone(&self.store),
            numbering: self.numbering,
            ids,
            left: count,
            until,
            at,
            waiting: VecDeque::new(),
        })
    }

    async fn subscription(&self, asked: Asked, ids: Ids) -> Result<Subscription, Status> {
        if direction(&asked)? == Direction::Backward {
            let what = "a subscription goes forwards";
            return Err(Status::invalid_argument(what));
        }
        let filter = filter(&asked)?;
        let followed = match stream_option(asked.stream_option)? {
            StreamOption::All(all) => Followed::All {
                after: match all_option(all)? {
                    AllOption::Start(()) => Position::START,
                    AllOption::Position(at) => {
                        self.numbering.below(at.commit_position.saturating_add(1))
                    }
                    AllOption::End(()) => self.store.durable_position(),
                },
                filter,
                looked_at: 0,
            },
            StreamOption::Stream(stream) => {
                let (name, revision) = stream_asked(stream)?;
                let told = match revision {
                    RevisionOption::Start(()) => None,
                    RevisionOption::Revision(version) => Some(version),
                    RevisionOption::End(()) => {
                        let head = self.store.head(&name).await;
                        let head = head.map_err(|error| unread(&error))?;
                        head.map(|head| head.version)
                    }
                };
                Followed::Stream { name, told }
            }
        };
        let confirmation = SubscriptionConfirmation {
            subscription_id: Uuid::new_v4().to_string(),
        };
        let confirmation = messages::content(Content::Confirmation(confirmation));
        Ok(Subscription {
            store: Arc::clone(&self.store),
            changes: self.store.durable_changes(),
            seen: self.faults.as_ref().map(|faults| faults.seen()),
            numbering: self.numbering,
            ids,
            followed,
            caught_up: false,
            waiting: VecDeque::from([confirmation]),
        })
    }
}

/// From where a stream is read, in words.
fn of_revision(from: Option<RevisionOption>) -> String {
    match from {
        Some(RevisionOption::Revision(version)) => version.to_string(),
        Some(RevisionOption::Start(())) => "start".to_owned(),
        Some(RevisionOption::End(())) => "end".to_owned(),
        None => "nowhere".to_owned(),
    }
}

/// From where the log is read, in words.
fn of_position(from: Option<AllOption>) -> String {
    match from {
        Some(AllOption::Position(at)) => at.commit_position.to_string(),
        Some(AllOption::Start(())) => "start".to_owned(),
        Some(AllOption::End(())) => "end".to_owned(),
        None => "nowhere".to_owned(),
    }
}

/// Counts how a call was taken.
fn counted<T>(call: &'static str, taken: Result<T, Status>) -> Result<Response<T>, Status> {
    let answer = match taken.as_ref().map_err(Status::code) {
        Ok(_) => "taken",
        Err(Code::Unauthenticated) => "unauthenticated",
        Err(Code::PermissionDenied) => "denied",
        Err(Code::InvalidArgument) => "refused",
        Err(_) => "failed",
    };
    counter!("doorstep_kurrent_calls_total", "call" => call, "answer" => answer).increment(1);
    taken.map(Response::new)
}

#[tonic::async_trait]
impl Streams for Served {
    type ReadStream = Told<ReadResp>;
    type BatchAppendStream = Told<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Told<ReadResp>>, Status> {
        counted("read", self.begin(request).await)
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        let appended = match self.appends(&request) {
            Ok(_) => appending::append(&*self.store, self.numbering, request.into_inner()).await,
            Err(status) => Err(status),
        };
        if let (Ok(_), Some(faults)) = (&appended, &self.faults) {
            faults.answer().await?;
        }
        counted("append", appended)
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        counted("delete", self.deletes(&request))
    }

    async fn tombstone(
        &self,
        request: Request<TombstoneReq>,
    ) -> Result<Response<TombstoneResp>, Status> {
        counted("delete", self.deletes(&request))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Told<BatchAppendResp>>, Status> {
        let begun = self.appends(&request).and_then(|entered| {
            let place = self.batches.take()?;
            let batches = appending::Batches {
                store: Arc::clone(&self.store),
                numbering: self.numbering,
                messages: request.into_inner(),
                stopping: self.stopping.clone(),
                faults: self.faults.clone(),
                begun: None,
            };
            let told = futures::stream::try_unfold(batches, async |mut batches| {
                let next = batches.next().await?;
                Ok(next.map(|message| (message, batches)))
            });
            let bounds = self.bounds(entered, None);
            Ok(session::within(Box::pin(told) as Told<_>, place, bounds))
        });
        counted("batch_append", begun)
    }
}

/// A failed reading, as the protocol tells it.
pub(super) fn unread(error: &ReadError) -> Status {
    match error {
        ReadError::Closed => Status::unavailable("the store has ended"),
        ReadError::Damaged { .. } => Status::data_loss(error.to_string()),
        ReadError::Io { .. } | ReadError::Foreign { .. } => Status::internal(error.to_string()),
        ReadError::Unavailable { .. } => Status::unavailable(error.to_string()),
    }
}

/// The place right after a position, for readings that go backward from it.
fn after(position: Position) -> Position {
    Position(position.0.saturating_add(1))
}

fn direction(asked: &Asked) -> Result<Direction, Status> {
    match ReadDirection::try_from(asked.read_direction) {
        Ok(ReadDirection::Forwards) => Ok(Direction::Forward),
        Ok(ReadDirection::Backwards) => Ok(Direction::Backward),
        Err(_) => Err(Status::invalid_argument("not a direction")),
    }
}

fn filter(asked: &Asked) -> Result<Option<Filter>, Status> {
    match &asked.filter_option {
        Some(FilterOption::Filter(filter)) => Filter::new(filter.clone()).map(Some),
        Some(FilterOption::NoFilter(())) | None => Ok(None),
    }
}

fn stream_option(asked: Option<StreamOption>) -> Result<StreamOption, Status> {
    asked.ok_or_else(|| Status::invalid_argument("neither a stream nor the whole log"))
}

fn all_option(asked: AllOptions) -> Result<AllOption, Status> {
    let missing = || Status::invalid_argument("a reading of the whole log from nowhere");
    asked.all_option.ok_or_else(missing)
}

fn stream_asked(asked: StreamOptions) -> Result<(StreamName, RevisionOption), Status> {
    let revision = asked.revision_option;
    let revision =
        revision.ok_or_else(|| Status::invalid_argument("a reading of a stream from nowhere"))?;
    Ok((stream_name(asked.stream_identifier)?, revision))
}

/// A stream's name as it was given.
pub(super) fn stream_name(given: Option<StreamIdentifier>) -> Result<StreamName, Status> {
    let given = given.ok_or_else(|| Status::invalid_argument("a stream without a name"))?;
    let name = std::str::from_utf8(&given.stream_name)
        .map_err(|_| Status::invalid_argument("a stream's name that is not UTF-8"))?;
    StreamName::new(name).map_err(|error| Status::invalid_argument(error.to_string()))
}
