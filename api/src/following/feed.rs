//! A member's feed: which of their own views changed, in which conversation, and where in the log.
//!
//! The view `feed` of the read side decides what a member is told; the hub says when to look. All that one command changed
//! is told together, the last of it with the `id`, so that who goes on after an id has missed nothing. The ids are positions
//! of the member's own changes, in the form in which queries show positions; a heartbeat is a comment and has none, so
//! that nobody counts what others do.

use std::collections::VecDeque;

use domain::ids::MemberId;
use event_store::Position;
use projections::{Change, Changes, QueryError, ViewName, WaitError};
use serde::Serialize;
use tokio::sync::watch;

use super::frames::{End, Form};
use super::session::{FRAME_BYTES, Frames, Session, Woken};
use crate::app::State;
use crate::caller::{AsMember, Caller, ShownPosition};
use crate::problem::{ApiError, Code};

/// A member's feed.
pub(crate) struct Feed {
    session: Session,
    caller: Caller<AsMember>,
    member: MemberId,
    /// Every change up to here was told.
    at: Position,
    /// Changes that are to be told.
    changes: VecDeque<Change>,
    /// What may concern the member happened up to here.
    concerned: watch::Receiver<Position>,
    /// The view is looked at once it has come this far; none where nothing is to be found.
    look_at: Option<Position>,
    began: bool,
}

/// One thing that changed.
#[derive(Serialize)]
struct Told<'a> {
    view: &'static str,
    conversation_id: Option<String>,
    position: &'a ShownPosition,
}

impl Feed {
    /// The feed of changes after a position, or of what comes after `end`.
    pub(crate) fn new(
        session: Session,
        caller: Caller<AsMember>,
        concerned: watch::Receiver<Position>,
        after: Option<Position>,
        end: Position,
    ) -> Self {
        Self {
            session,
            member: caller.sub().clone(),
            caller,
            at: after.unwrap_or(end),
            changes: VecDeque::new(),
            concerned,
            look_at: after.map(|_| end),
            began: false,
        }
    }

    /// Writes what is at hand, as much as a frame takes.
    fn write(&mut self, frame: &mut Vec<u8>) {
        while frame.len() < FRAME_BYTES
            && let Some(change) = self.changes.pop_front()
        {
            let position = self.caller.shows(self.session.shared(), change.position);
            let last = change.changed.len().saturating_sub(1);
            for (number, (changed, conversation)) in change.changed.into_iter().enumerate() {
                let told = Told {
                    view: changed.as_str(),
                    conversation_id: conversation.map(|id| id.to_string()),
                    position: &position,
                };
                // A client that broke off within goes on before all of it.
                let id = (number == last).then_some(&position);
                Form::Events.said(id, changed.as_str(), &told, frame);
            }
            self.at = change.position;
        }
    }

    /// Takes up what was found.
    fn found(&mut self, found: Changes, position: Position) {
        self.look_at = match found.waits_for {
            Some(more) => Some(more),
            None => found.more.then_some(position),
        };
        self.changes.extend(found.items);
    }

    fn end(&mut self, end: &End, frame: &mut Vec<u8>) {
        Form::Events.end(end, frame);
        self.session.end();
    }

    /// Tells of what could not be read, as much as a query would.
    fn error(&mut self, error: &ApiError, frame: &mut Vec<u8>) {
        if let Some(place) = error.damaged() {
            self.session.shared().damage.note(&place.into());
        }
        if error.code() == Code::Internal {
            tracing::error!(detail = error.detail(), "a feed failed");
        }
        Form::Events.failed(error.code(), frame);
        self.session.end();
    }
}

/// Looks for changes after a position once the view has come to another; none where it has not for long.
async fn look(
    shared: State,
    member: MemberId,
    after: Position,
    position: Position,
) -> Result<Option<Changes>, QueryError> {
    let within = shared.following.options.heartbeat;
    match shared.reads.wait(ViewName::Feed, position, within).await {
        Ok(()) => shared.reads.changes(&member, after).await.map(Some),
        Err(WaitError::Behind(_)) => Ok(None),
        Err(WaitError::Stopped(cause)) => Err(QueryError::Unavailable {
            view: ViewName::Feed,
            cause,
        }),
    }
}

impl Frames for Feed {
    async fn next(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        if !self.began {
            self.began = true;
            Form::Events.beginning(&mut frame);
        }
        loop {
            match self.session.due() {
                Woken::Came(()) => {}
                Woken::Beat => Form::comment(&mut frame),
                Woken::Over(end) => {
                    self.end(&end, &mut frame);
                    return frame;
                }
            }
            self.write(&mut frame);
            if !frame.is_empty() {
                return frame;
            }
            let woken = if let Some(position) = self.look_at {
                let shared = State::clone(self.session.shared());
                let looking = look(shared, self.member.clone(), self.at, position);
                match self.session.wait(looking).await {
                    Woken::Came(Ok(found)) => {
                        if let Some(found) = found {
                            self.found(found, position);
                        }
                        continue;
                    }
                    Woken::Came(Err(QueryError::Unavailable { .. })) => Woken::Over(End::NOT_READY),
                    Woken::Came(Err(error)) => {
                        self.error(&error.into(), &mut frame);
                        return frame;
                    }
                    Woken::Beat => Woken::Beat,
                    Woken::Over(end) => Woken::Over(end),
                }
            } else {
                self.session.wait(self.concerned.changed()).await
            };
            match woken {
                Woken::Came(Ok(())) => self.look_at = Some(*self.concerned.borrow()),
                // Nobody wakes it any more.
                Woken::Came(Err(_)) => self.end(&End::STOPPING, &mut frame),
                Woken::Beat => Form::comment(&mut frame),
                Woken::Over(end) => self.end(&end, &mut frame),
            }
            if !frame.is_empty() {
                return frame;
            }
        }
    }

    fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}
