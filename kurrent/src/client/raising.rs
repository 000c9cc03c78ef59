//! Raising the schema level of a cluster's log: another event in the stream that says which log it is.
//!
//! Promise: no event of the log is touched, and a level never falls: the event is appended at the version after the one
//! that was read, and who loses to a rival looks again. Running stores of this program take the new level up at their next
//! look at the cluster; those of a program that does not know it use the log no more
//! ([`Held`](super::identity::Held)).

use std::time::{SystemTime, UNIX_EPOCH};

use event_store::Raised;
use eventstore::{AppendToStreamOptions, Error, StreamState};
use uuid::Uuid;

use super::connection::Connection;
use super::event;
use super::identity::{self, Identity};
use super::link::{Failure, Link};
use super::store::{OpenError, Unidentified, identity_of};

/// Rivals that one can lose to: each of them raises the level, and there are not so many.
const TRIES: usize = 8;

/// Raises the log of a cluster to a level, the newest that this program knows. One that is there already stays as it is; one
/// above it is refused, as is a cluster that holds no log.
pub async fn raise_level(connection: Connection, level: u32) -> Result<Raised, OpenError> {
    let store = connection.to_string();
    let away = |why: String| Unidentified::Away(why).of(&store);
    let link = Link::open(connection).await;
    let link = link.map_err(|failure| away(failure.to_string()))?;
    let mut at_first = None;
    for _ in 0..TRIES {
        let found = identity_of(&link).await.map_err(|error| error.of(&store))?;
        let Some((before, version)) = found else {
            let what = "it holds no log of Doorstep's; `serve` begins one";
            return Err(Unidentified::Foreign(what.to_owned()).of(&store));
        };
        if before.schema_level > level {
            return Err(OpenError::SchemaLevel {
                store,
                found: before.schema_level,
                known: level,
            });
        }
        let raised = Raised {
            log_id: before.log_id(),
            before: *at_first.get_or_insert(before.schema_level),
            level,
        };
        if before.schema_level == level {
            return Ok(raised);
        }
        match say(&link, before, level, version).await {
            Ok(_) => return Ok(raised),
            // By a rival, or by this very call, whose answer was lost.
            Err(Failure::Refused(Error::WrongExpectedVersion { .. })) => {}
            Err(failure) => return Err(away(failure.to_string())),
        }
    }
    Err(away(format!(
        "others write to its stream {} all the time",
        identity::STREAM
    )))
}

/// Says the level, after the event of this version.
async fn say(
    link: &Link,
    before: Identity,
    schema_level: u32,
    version: u64,
) -> Result<eventstore::WriteResult, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    let raised = Identity {
        schema_level,
        ..before
    };
    let mut said = raised.to_event(now_ms);
    said.event_id = Uuid::now_v7();
    let proposed = event::proposed(&said, None).map_err(|error| Failure::Away {
        why: error.to_string(),
        begun: false,
    })?;
    let options = AppendToStreamOptions::default()
        .stream_state(StreamState::StreamRevision(version))
        .requires_leader(true);
    link.call(|client| {
        let (options, proposed) = (options.clone(), proposed.clone());
        async move {
            client
                .append_to_stream(identity::STREAM, &options, proposed)
                .await
        }
    })
    .await
}
