//! The service `Streams`: what is asked is held against what is served, and begun.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use event_store::{Direction, EventStore, Position, ReadError, StreamFrom, StreamName};
use futures::Stream;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::access::denied;
use super::appending;
use super::filter::Filter;
use super::messages::{self, Ids};
use super::reading::{At, Reading};
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
    door: Door,
    numbering: Numbering,
    places: Arc<Semaphore>,
}

impl Served {
    pub(super) fn new(store: Arc<dyn EventStore>, options: &Options) -> Self {
        Self {
            store,
            door: options.door,
            numbering: options.numbering,
            places: Arc::new(Semaphore::new(options.subscriptions_max)),
        }
    }

    fn appends(&self) -> Result<(), Status> {
        match self.door {
            Door::Appending => Ok(()),
            Door::Reading => Err(denied(
                "nothing is written by this door: commands are decided by the service",
            )),
        }
    }

    fn reading(&self, asked: Asked, count: u64, ids: Ids) -> Result<Reading, Status> {
        let direction = direction(&asked)?;
        let filter = filter(&asked)?;
        let at = match stream_option(asked.stream_option)? {
            StreamOption::All(all) => {
                let durable = self.store.durable_position();
                match direction {
                    Direction::Forward => At::Forward {
                        after: match all_option(all)? {
                            AllOption::Start(()) => Position::START,
                            AllOption::Position(at) => self.numbering.below(at.commit_position),
                            AllOption::End(()) => durable,
                        },
                        until: durable,
                        filter,
                    },
                    Direction::Backward => At::Backward {
                        before: match all_option(all)? {
                            AllOption::Start(()) => Position::START,
                            AllOption::Position(at) => {
                                after(self.numbering.below(at.commit_position))
                            }
                            AllOption::End(()) => after(durable),
                        },
                        filter,
                    },
                }
            }
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
            at,
            waiting: VecDeque::new(),
        })
    }

    async fn subscription(&self, asked: Asked, ids: Ids) -> Result<Subscription, Status> {
        if direction(&asked)? == Direction::Backward {
            let what = "a subscription goes forwards";
            return Err(Status::invalid_argument(what));
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(
                "as many subscriptions as this server takes; try again later",
            )
        })?;
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
            numbering: self.numbering,
            ids,
            followed,
            caught_up: false,
            waiting: VecDeque::from([confirmation]),
            _place: place,
        })
    }
}

type Told<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Streams for Served {
    type ReadStream = Told<ReadResp>;
    type BatchAppendStream = Told<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Told<ReadResp>>, Status> {
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
        let told: Told<ReadResp> = match asked.count_option {
            Some(CountOption::Subscription(_)) => {
                let subscription = self.subscription(asked, ids).await?;
                Box::pin(futures::stream::try_unfold(
                    subscription,
                    async |mut subscription| {
                        let next = subscription.next().await?;
                        Ok(next.map(|message| (message, subscription)))
                    },
                ))
            }
            count @ (Some(CountOption::Count(_)) | None) => {
                let count = match count {
                    Some(CountOption::Count(count)) => count,
                    Some(CountOption::Subscription(_)) | None => u64::MAX,
                };
                let reading = self.reading(asked, count, ids)?;
                Box::pin(futures::stream::try_unfold(reading, async |mut reading| {
                    let next = reading.next().await?;
                    Ok(next.map(|message| (message, reading)))
                }))
            }
        };
        Ok(Response::new(told))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        self.appends()?;
        appending::append(&*self.store, self.numbering, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn delete(&self, _: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(denied("nothing is deleted"))
    }

    async fn tombstone(&self, _: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        Err(denied("nothing is deleted"))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Told<BatchAppendResp>>, Status> {
        self.appends()?;
        let batches = appending::Batches::new(
            Arc::clone(&self.store),
            self.numbering,
            request.into_inner(),
        );
        Ok(Response::new(Box::pin(futures::stream::try_unfold(
            batches,
            async |mut batches| {
                let next = batches.next().await?;
                Ok(next.map(|message| (message, batches)))
            },
        ))))
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
