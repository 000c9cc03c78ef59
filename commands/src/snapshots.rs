//! Long streams folded from a snapshot: a state of before, and what came since.
//!
//! Promise: what is loaded is the fold of the whole stream. A snapshot counts only under the very version of the fold
//! that made it, if it decodes, and if the event it names stands in this log where it says; anything else is a miss, and
//! the stream is folded from its beginning. One is taken, behind the answer, of a stream that was folded over more than
//! [`TAIL_EVENTS_MAX`] events. Cases, the policy and reactors have none: they are short, or their last event is all.

use std::sync::Arc;

use domain::ids::MemberId;
use domain::{Timestamp, conversation, member};
use event_store::{Position, StreamName};
use uuid::Uuid;

use crate::aggregate::{Aggregate, LoadError, State, stream_name};
use crate::facts::MemberFact;
use crate::shared::Shared;

/// Events folded on top of a snapshot before another is taken: some milliseconds of work.
const TAIL_EVENTS_MAX: u64 = 256;
/// Bytes before the state: code version, version, position, event id, time.
const HEADER: usize = 4 + 8 + 8 + 16 + 8;

/// A folded state, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The version of the fold.
    pub(crate) code: u32,
    /// The last event folded.
    pub(crate) version: u64,
    /// Its position.
    pub(crate) position: Position,
    event_id: Uuid,
    at: Timestamp,
    state: Vec<u8>,
}

impl Snapshot {
    /// As a row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(HEADER + self.state.len());
        row.extend_from_slice(&self.code.to_be_bytes());
        row.extend_from_slice(&self.version.to_be_bytes());
        row.extend_from_slice(&self.position.0.to_be_bytes());
        row.extend_from_slice(self.event_id.as_bytes());
        row.extend_from_slice(&self.at.0.to_be_bytes());
        row.extend_from_slice(&self.state);
        row
    }

    /// From a row.
    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let (code, row) = row.split_first_chunk()?;
        let (version, row) = row.split_first_chunk()?;
        let (position, row) = row.split_first_chunk()?;
        let (event_id, row) = row.split_first_chunk()?;
        let (at, state) = row.split_first_chunk()?;
        Some(Self {
            code: u32::from_be_bytes(*code),
            version: u64::from_be_bytes(*version),
            position: Position(u64::from_be_bytes(*position)),
            event_id: Uuid::from_bytes(*event_id),
            at: Timestamp(i64::from_be_bytes(*at)),
            state: state.to_vec(),
        })
    }

    fn aggregate(&self, stream: &StreamName) -> Option<Aggregate> {
        let state = match stream.category() {
            "conversation" => {
                let state = conversation::State::from_snapshot(&self.state)?;
                State::Conversation(Box::new(state))
            }
            "member" => State::Member(Arc::new(member::State::from_snapshot(&self.state)?)),
            _ => return None,
        };
        Some(Aggregate {
            state,
            version: Some(self.version),
            position: self.position,
            at: self.at,
        })
    }
}

/// The version of a stream's fold; none where it has no snapshots.
fn code_of(stream: &StreamName) -> Option<u32> {
    match stream.category() {
        "conversation" => Some(conversation::STATE_VERSION),
        "member" => Some(member::STATE_VERSION),
        _ => None,
    }
}

/// Folds a stream, from its snapshot where there is one. Reads the disk.
pub(crate) async fn load(
    shared: &Shared,
    stream: &StreamName,
    empty: Aggregate,
) -> Result<Aggregate, LoadError> {
    let mut aggregate = begun(shared, stream).await.unwrap_or(empty);
    let before = aggregate.expected().next();
    let mut last_id = None;
    aggregate
        .catch_up(&*shared.store, stream, None, |record| {
            shared.note(stream, record);
            last_id = Some(record.event_id());
        })
        .await?;
    let folded = aggregate.expected().next() - before;
    if folded > TAIL_EVENTS_MAX
        && let (Some(code), Some(version), Some(event_id)) =
            (code_of(stream), aggregate.version, last_id)
        && let Some(state) = bytes_of(&aggregate.state)
    {
        let snapshot = Snapshot {
            code,
            version,
            position: aggregate.position,
            event_id,
            at: aggregate.at,
            state,
        };
        shared.kept.keep_snapshot(stream.clone(), snapshot);
    }
    Ok(aggregate)
}

/// The member's state, from its snapshot where nothing is held. Reads the disk.
pub(crate) async fn load_member(
    shared: &Shared,
    member: &MemberId,
) -> Result<Arc<MemberFact>, LoadError> {
    if shared.facts.member(member).is_none() {
        let stream = stream_name(member::stream(member));
        if let Some(empty) = Aggregate::empty(&stream) {
            let aggregate = load(shared, &stream, empty).await?;
            shared.facts.publish(&stream, &aggregate);
            if let Some(fact) = shared.facts.member(member) {
                return Ok(fact);
            }
        }
    }
    shared.facts.load_member(member).await
}

/// What a snapshot gives to begin with, if it is to be trusted.
async fn begun(shared: &Shared, stream: &StreamName) -> Option<Aggregate> {
    let snapshot = shared.kept.snapshot(stream, code_of(stream)?)?;
    // Where others write, commands that the index has not applied are learned from the events themselves.
    if snapshot.position > shared.view.applied() {
        return None;
    }
    let record = shared
        .store
        .read_one(stream, snapshot.version)
        .await
        .ok()??;
    let stands = record.event_id() == snapshot.event_id && record.position() == snapshot.position;
    stands.then(|| snapshot.aggregate(stream)).flatten()
}

fn bytes_of(state: &State) -> Option<Vec<u8>> {
    match state {
        State::Conversation(state) => Some(state.to_snapshot()),
        State::Member(state) => state.to_snapshot(),
        State::Case(_) | State::Policy(_) | State::Reactor(_) | State::Act(_) => None,
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            code: conversation::STATE_VERSION,
            version: 7,
            position: Position(9),
            event_id: Uuid::from_u128(3),
            at: Timestamp(-1),
            state: conversation::State::default().to_snapshot(),
        }
    }

    #[test]
    fn is_read_as_it_was_written() {
        let row = snapshot().encode();
        assert_eq!(Snapshot::decode(&row), Some(snapshot()));
        let stream = stream_name("conversation-1");
        let aggregate = snapshot().aggregate(&stream).unwrap();
        assert_eq!(
            (aggregate.version, aggregate.position, aggregate.at),
            (Some(7), Position(9), Timestamp(-1))
        );
    }

    #[test]
    fn what_does_not_decode_is_a_miss() {
        let row = snapshot().encode();
        for end in 0..HEADER {
            assert_eq!(Snapshot::decode(&row[..end]), None);
        }
        let cut = Snapshot::decode(&row[..row.len() - 1]).unwrap();
        assert!(cut.aggregate(&stream_name("conversation-1")).is_none());
        assert!(snapshot().aggregate(&stream_name("member-ann")).is_none());
        assert!(snapshot().aggregate(&stream_name("case-1")).is_none());
    }
}
