//! What follows from a slot that opened nothing: it is given back, whoever forgot to.
//!
//! Promise: a slot of the daily limit whose command opened no request is returned, once, also where a crash stood
//! between the slot and its message, or between a refusal and the return, and nobody tries again. Slots without a
//! request are rows of the write side's view, so nothing is lost by a stop. While a slot is looked at its command's id
//! is held, so that a try that comes meanwhile waits, and is then decided without the slot. What a slot is, and that
//! returning it twice does nothing, is the member's own to decide.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::{CommandId, MemberId, correlation_id};
use domain::member;
use domain::time::DAY_MS;
use event_store::RecordedEvent;
use tokio::sync::watch;
use uuid::Uuid;

use crate::aggregate::stream_name;
use crate::idempotency::Begun;
use crate::job::{At, Job, Origin};
use crate::shared::Shared;
use crate::task::Task;
use crate::{CommandError, index};

/// Who acts; no member's id, by its `/`.
const SLOTS_ACTOR: &str = "reactor/slots";
const SLOTS: &str = "slots";
/// A slot is left to its own command, and to its retries, for so long.
pub(crate) const GRACE_MS: i64 = 60_000;
/// And for so long to the node that leads.
const OTHERS_GRACE_MS: i64 = 3 * GRACE_MS;
/// Between two looks.
const EVERY: Duration = Duration::from_secs(30);
/// Slots looked at in one go.
const SLOTS_MAX: usize = 4_096;
/// For how long the view may be behind.
const VIEW_WITHIN: Duration = Duration::from_secs(30);

/// Gives slots back until told to stop.
pub(crate) async fn run(shared: &Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        let given = match shared.leading.leads().await {
            Ok(true) => give_back(shared, GRACE_MS).await,
            // By whoever leads, and else a little later by anybody: it is given back once.
            Ok(false) => give_back(shared, OTHERS_GRACE_MS).await,
            Err(error) => Err(error),
        };
        if let Err(error) = given {
            tracing::warn!(%error, "slots could not be given back, and are tried again");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Gives back every slot that opened nothing, is old enough to be forgotten, and still counts. The first failure, if any.
pub(crate) async fn give_back(shared: &Arc<Shared>, grace_ms: i64) -> Result<(), CommandError> {
    let durable = shared.store.durable_position();
    let view = &shared.view;
    let unreadable = |error: &dyn std::fmt::Display| CommandError::Unreadable(error.to_string());
    view.wait(durable, VIEW_WITHIN)
        .await
        .map_err(|error| unreadable(&error))?;
    let reader = view.reader().map_err(|error| unreadable(&error))?;
    let now = shared.options.clock.now();
    let (after, until) = (now.plus_ms(-DAY_MS), now.plus_ms(-grace_ms));
    let slots =
        index::slots(&reader, after, until, SLOTS_MAX).map_err(|error| unreadable(&error))?;
    drop(reader);
    let mut failed = Ok(());
    for (member, command_id, version) in slots {
        // One that cannot be given back keeps no other waiting.
        failed = failed.and(give_one_back(shared, member, command_id, version).await);
    }
    failed
}

async fn give_one_back(
    shared: &Arc<Shared>,
    member: MemberId,
    command_id: CommandId,
    version: u64,
) -> Result<(), CommandError> {
    let id = correlation_id(member.as_str(), command_id.as_str());
    let applied = shared.view.applied();
    // What is being decided, or was and is not in the view yet, is looked at the next time.
    let Begun::Claimed(held) = shared.recent.begin(id, Uuid::nil(), applied) else {
        return Ok(());
    };
    let unreadable = |error: &dyn std::fmt::Display| CommandError::Unreadable(error.to_string());
    let reader = shared.view.reader().map_err(|error| unreadable(&error))?;
    let open = index::slot_is_open(&reader, &member, &command_id, version)
        .map_err(|error| unreadable(&error))?;
    drop(reader);
    if !open {
        return Ok(());
    }
    let stream = stream_name(member::stream(&member));
    let reading = (Arc::clone(shared), stream.clone());
    let read = async move { reading.0.store.read_one(&reading.1, version).await };
    let taken = match shared.loading.read(read).await {
        Some(taken) => taken?,
        None => None,
    };
    let Some(taken) = taken else { return Ok(()) };
    let at = domain::Timestamp(taken.at_ms());
    let origin = origin(&taken);
    let decided = shared
        .decide(|reply, place| {
            let task = Task::Member(member::Command::ReturnRequestSlot { member, command_id });
            Job::new(stream, task, origin, At::NotBefore(at), reply, place)
        })
        .await;
    drop(held);
    decided.result.map(drop)
}

fn origin(taken: &RecordedEvent) -> Origin {
    Origin::Event {
        actor: Arc::from(SLOTS_ACTOR),
        name: SLOTS,
        cause: taken.event_id(),
        correlation: taken.correlation_id(),
        command_id: Arc::from(taken.command_id()),
    }
}
