//! What a recipient does with a request, what its sender takes back, and when it is frozen.
//!
//! Decided here, where the domain's page is silent:
//! - A thread in the inbox that was never a request (by relationship, or opened by an own message) counts as accepted
//!   for accept (*unchanged*), delete (`already_accepted`) and move to requests (it moves).
//! - A deletion takes along an earlier deleted part that can still be restored, with one clock for both. An earlier part
//!   past its time stays away until the sender is accepted; acceptance brings everything back, whatever its age.
//! - Deletions are counted until the recipient accepts: a restore or a follow ends the cooldown, but the next deletion's
//!   is the next one in the row. `final` after `quiet` starts no new clock for restoring, and is not counted again.
//! - A follow made later lifts the cooldown of a final deletion too; so does a restore.
//! - Delete after withdrawal is `request_not_pending`; move to requests of what is deleted or withdrawn is
//!   `not_accepted`. Restore where nothing was deleted, or all of it was unsent, is `not_restorable`.
//! - Unsending the last message of a *deleted* request does not withdraw it, or it would end its cooldown.
//! - A suspended recipient may restore and move: only sending, accepting and the audience are closed to them.
//! - A request is not frozen by its sender's own block of the recipient, who would see by it that they are blocked.

use crate::conversation::command::{
    AcceptRequest, DeleteRequest, MoveToRequests, RestoreRequest, Standing, UnsendMessage,
};
use crate::conversation::event::{
    AcceptMethod, DeleteMode, Event, MessageUnsent, MovedToRequests, RequestAccepted,
    RequestDeleted, RequestRestored, RequestWithdrawn,
};
use crate::conversation::state::{Direction, RequestState, State, Who};
use crate::evidence::{Cause, Evidence};
use crate::ids::MemberId;
use crate::member::{AgeBand, Facts};
use crate::policy::{Admission, InForce};
use crate::rejection::{Code, Rejection};
use crate::time::Timestamp;

/// Why a pending request is hidden: its sender could not send it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frozen {
    /// The recipient blocks the sender.
    Blocked,
    /// One of them is under 16, or unknown.
    Age,
    /// The sender is suspended.
    Suspended,
    /// The recipient's audience refuses the sender.
    Audience,
}

/// A direction as its recipient meets it: the sender, and what there is.
pub(super) struct Received<'a> {
    pub(super) from: &'a MemberId,
    pub(super) who: Who,
    pub(super) direction: &'a Direction,
}

/// What `by` received; not found where nothing ever reached them.
pub(super) fn received<'a>(state: &'a State, by: &MemberId) -> Result<Received<'a>, Rejection> {
    let who = state.who(by).ok_or_else(Rejection::not_found)?.other();
    let from = state.other(by).ok_or_else(Rejection::not_found)?;
    let direction = state.outgoing(who);
    if !direction.reached() {
        return Err(Rejection::not_found());
    }
    Ok(Received {
        from,
        who,
        direction,
    })
}

/// Whether the direction from `from` is frozen by the facts of now, if it is pending: the first cause found.
pub fn frozen(
    state: &State,
    from: &MemberId,
    standing: &Standing,
    policy: &InForce,
) -> Option<Frozen> {
    let who = state.who(from)?;
    if state.side(who.other()).blocks.holds {
        return Some(Frozen::Blocked);
    }
    let of_age = |facts: &Facts| facts.age_band != AgeBand::Under16;
    let (Some(sender), Some(recipient)) = (
        standing.sender.filter(of_age),
        standing.recipient.filter(of_age),
    ) else {
        return Some(Frozen::Age);
    };
    if sender.suspended {
        return Some(Frozen::Suspended);
    }
    let relationship = state.relationship_of(who);
    let (admission, _) = policy
        .rules
        .audience_table
        .admit(recipient.audience, relationship);
    (admission == Admission::Refused).then_some(Frozen::Audience)
}

/// Accepts the request.
pub(super) fn accept(
    state: &State,
    command: &AcceptRequest,
) -> Result<Vec<Event<'static>>, Rejection> {
    let Received {
        from,
        who,
        direction,
    } = received(state, &command.by)?;
    match direction.state {
        RequestState::None | RequestState::Accepted => return Ok(Vec::new()),
        RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn => {}
    }
    if command
        .standing
        .recipient
        .is_some_and(|recipient| recipient.suspended)
    {
        let cause = Cause::ActorSuspended;
        return Err(Rejection::of_state(Code::AccountRestricted).with_cause(cause));
    }
    match direction.state {
        RequestState::None | RequestState::Accepted | RequestState::Pending => {}
        RequestState::Withdrawn => return Err(Rejection::of_state(Code::RequestNotPending)),
        RequestState::Deleted => {
            let until = direction.restorable_until;
            return Err(Rejection::of_state(Code::RequestNotPending).with_restorable_until(until));
        }
    }
    let evidence = thawed(state, from, who, &command.standing, &command.policy)?;
    Ok(vec![Event::RequestAccepted(RequestAccepted {
        by: command.by.clone(),
        from: from.clone(),
        method: AcceptMethod::Accept,
        evidence: Some(evidence),
    })])
}

/// Deletes the request.
pub(super) fn delete(
    state: &State,
    command: &DeleteRequest,
) -> Result<Vec<Event<'static>>, Rejection> {
    let received = received(state, &command.by)?;
    let direction = received.direction;
    match direction.state {
        RequestState::None | RequestState::Accepted => {
            Err(Rejection::of_state(Code::AlreadyAccepted))
        }
        RequestState::Withdrawn => Err(Rejection::of_state(Code::RequestNotPending)),
        RequestState::Deleted => {
            if command.mode == DeleteMode::Quiet || direction.mode == Some(DeleteMode::Final) {
                return Ok(Vec::new());
            }
            Ok(vec![Event::RequestDeleted(RequestDeleted {
                by: command.by.clone(),
                from: received.from.clone(),
                mode: DeleteMode::Final,
                after: direction.restorable_after,
                up_to: direction.deleted_up_to,
                cooldown_until: None,
                restorable_until: direction.restorable_until,
                policy_version: command.policy.version,
            })])
        }
        RequestState::Pending => Ok(vec![deletion(state, &received, command)]),
    }
}

/// The event that deletes a pending request.
fn deletion(state: &State, received: &Received<'_>, command: &DeleteRequest) -> Event<'static> {
    let direction = received.direction;
    let rules = &command.policy.rules;
    let past_restoring = direction.deleted_up_to > direction.restorable_after
        && command.at > direction.restorable_until;
    let cooldown_days = match command.mode {
        DeleteMode::Quiet => rules.cooldown_days.get(direction.deletes as usize).copied(),
        DeleteMode::Final => None,
    };
    Event::RequestDeleted(RequestDeleted {
        by: command.by.clone(),
        from: received.from.clone(),
        mode: command.mode,
        after: if past_restoring {
            direction.deleted_up_to
        } else {
            direction.restorable_after
        },
        up_to: state.last_number(),
        cooldown_until: cooldown_days.map(|days| command.at.plus_days(days)),
        restorable_until: command.at.plus_days(rules.restore_days),
        policy_version: command.policy.version,
    })
}

/// Takes a deletion back.
pub(super) fn restore(
    state: &State,
    command: &RestoreRequest,
) -> Result<Vec<Event<'static>>, Rejection> {
    let Received {
        from,
        who,
        direction,
    } = received(state, &command.by)?;
    if is_restored(direction) {
        return Ok(Vec::new());
    }
    match direction.state {
        RequestState::None | RequestState::Accepted => {
            return Err(Rejection::of_state(Code::NotRestorable));
        }
        RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn => {}
    }
    if !direction.restorable(command.at) {
        return Err(Rejection::of_state(Code::NotRestorable));
    }
    let evidence = thawed(state, from, who, &command.standing, &command.policy)?;
    Ok(vec![Event::RequestRestored(RequestRestored {
        by: command.by.clone(),
        from: from.clone(),
        after: direction.restorable_after,
        merged: direction.state == RequestState::Pending,
        evidence,
    })])
}

/// Pending by a restore after which nothing more was deleted.
fn is_restored(direction: &Direction) -> bool {
    direction.state == RequestState::Pending && direction.restored_version.is_some()
}

/// Moves what is in the inbox back to the doorstep.
pub(super) fn move_to_requests(
    state: &State,
    command: &MoveToRequests,
) -> Result<Vec<Event<'static>>, Rejection> {
    let Received {
        from,
        who,
        direction,
    } = received(state, &command.by)?;
    match direction.state {
        RequestState::Pending => Ok(Vec::new()),
        RequestState::Deleted | RequestState::Withdrawn => {
            Err(Rejection::of_state(Code::NotAccepted))
        }
        RequestState::None | RequestState::Accepted => {
            Ok(vec![Event::MovedToRequests(MovedToRequests {
                by: command.by.clone(),
                from: from.clone(),
                after: state.last_number(),
                relationship: state.relationship_of(who),
            })])
        }
    }
}

/// Takes an own message back; the last one of a pending request withdraws it.
pub(super) fn unsend(
    state: &State,
    command: &UnsendMessage,
) -> Result<Vec<Event<'static>>, Rejection> {
    let who = state.who(&command.by).ok_or_else(Rejection::not_found)?;
    let to = state.other(&command.by).ok_or_else(Rejection::not_found)?;
    let facts = command
        .message
        .facts
        .as_ref()
        .ok_or_else(Rejection::not_found)?;
    if facts.from != command.by {
        // A message that was withheld from the caller does not exist for them.
        let reached = !facts.withheld && state.exists_for(&command.by, command.at);
        return Err(if reached {
            Rejection::of_state(Code::NotAuthor)
        } else {
            Rejection::not_found()
        });
    }
    if facts.unsent.is_some() {
        return Ok(Vec::new());
    }
    let number = command.message.number;
    let mut events = vec![Event::MessageUnsent(MessageUnsent {
        number,
        by: command.by.clone(),
        to: to.clone(),
        withheld: facts.withheld,
    })];
    let direction = state.outgoing(who);
    let last_of_pending = direction.state == RequestState::Pending
        && !facts.withheld
        && number > direction.deleted_up_to
        && direction.live <= 1;
    if last_of_pending {
        events.push(Event::RequestWithdrawn(RequestWithdrawn {
            from: command.by.clone(),
            to: to.clone(),
        }));
    }
    Ok(events)
}

/// The evidence for making the request visible or accepted now, or `request_frozen`.
fn thawed(
    state: &State,
    from: &MemberId,
    who: Who,
    standing: &Standing,
    policy: &InForce,
) -> Result<Evidence, Rejection> {
    let recipient = standing.recipient;
    let class = recipient.map(|recipient| {
        policy
            .rules
            .audience_table
            .admit(recipient.audience, state.relationship_of(who))
            .1
    });
    let evidence = Evidence {
        policy_version: policy.version,
        sender_version: standing.sender.map(|sender| sender.version),
        recipient_version: recipient.map(|recipient| recipient.version),
        setting_version: recipient.map(|recipient| recipient.setting_version),
        audience: recipient.map(|recipient| recipient.audience),
        class,
        ..Evidence::default()
    };
    match frozen(state, from, standing, policy) {
        None => Ok(evidence),
        Some(frozen) => {
            let cause = Some(match frozen {
                Frozen::Blocked => Cause::RecipientBlocks,
                Frozen::Age => age_cause(standing),
                Frozen::Suspended => Cause::SenderSuspended,
                Frozen::Audience => Cause::Audience,
            });
            Err(Rejection::of_state(Code::RequestFrozen)
                .with_evidence(Evidence { cause, ..evidence }))
        }
    }
}

fn age_cause(standing: &Standing) -> Cause {
    match (&standing.sender, &standing.recipient) {
        (None, _) => Cause::SenderUnknown,
        (Some(sender), _) if sender.age_band == AgeBand::Under16 => Cause::SenderUnder16,
        (Some(_), None) => Cause::RecipientUnknown,
        (Some(_), Some(_)) => Cause::RecipientUnder16,
    }
}

/// Version of the event that put the direction to `by` where accept or move to requests found it.
pub(super) fn received_version(state: &State, by: &MemberId) -> Option<u64> {
    let direction = received(state, by).ok()?.direction;
    match direction.state {
        RequestState::None => direction.reached_version,
        RequestState::Pending
        | RequestState::Accepted
        | RequestState::Deleted
        | RequestState::Withdrawn => direction.state_version,
    }
}

/// Version of the restore that left nothing to restore.
pub(super) fn restored_version(state: &State, by: &MemberId) -> Option<u64> {
    received(state, by).ok()?.direction.restored_version
}

/// The deletion that a report asks for, where there is a pending request; `None` where there is not.
pub(super) fn deletion_by_report(
    state: &State,
    by: &MemberId,
    at: Timestamp,
    policy: &InForce,
) -> Option<Event<'static>> {
    let received = received(state, by).ok()?;
    let command = DeleteRequest {
        by: by.clone(),
        mode: DeleteMode::Quiet,
        at,
        policy: policy.clone(),
    };
    (received.direction.state == RequestState::Pending)
        .then(|| deletion(state, &received, &command))
}
