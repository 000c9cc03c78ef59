//! `ReportMessage`: the evidence is copied, what was reported before is not counted twice.
//!
//! Decided here, where the domain's page is silent:
//! - A report holds the named messages that this member had not reported before, and only those; naming one twice names
//!   it once. `also` is done even when nothing is new.
//! - *Visible to the reporter* means that the message reached them once: every message of the other member that was not
//!   withheld. A withheld, an own and a missing number are refused alike, `invalid_report` for `messages`.
//! - `also: delete` applies to a pending request, is *already* so after a deletion, and is skipped otherwise.
//! - Copies that would not fit one event together are refused for `messages`; texts of the usual kind never come near.

use crate::conversation::command::{Count, MessageFacts, ReportMessage, Reported};
use crate::conversation::event::{
    Also, AlsoOutcome, Event, MemberBlocked, MessagesReported, ReportedMessage,
};
use crate::conversation::requests::{self, Received, received};
use crate::conversation::state::{RequestState, State};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};

/// Most bytes that the copied texts and the comment of one report may take as JSON: an event has room for 256 KiB.
const EVIDENCE_BYTES_MAX: usize = 240 * 1024;

/// The events of a report, none when it names nothing new and asks for nothing else.
pub(super) fn decide(
    state: &State,
    command: &ReportMessage,
) -> Result<Vec<Event<'static>>, Rejection> {
    let received = received(state, &command.by)?;
    let messages = named(command)?;
    text::check(&command.comment, command.policy.rules.comment_limits())
        .map_err(|problem| invalid("comment").with_problem(problem))?;
    let mut copies = Vec::with_capacity(messages.len());
    for (number, facts) in messages {
        let facts = facts
            .filter(|facts| facts.from == *received.from && !facts.withheld)
            .ok_or_else(|| Rejection::of_state(Code::InvalidReport).with_field("messages"))?;
        if facts.reported.is_none() {
            let text = Text::from(facts.text.clone());
            copies.push(ReportedMessage {
                number,
                sent_at: facts.sent_at,
                text,
            });
        }
    }
    let (also_outcome, also_event) = also(state, &received, command);
    let mut events = Vec::with_capacity(2);
    if !copies.is_empty() {
        let over_limit = match command.count {
            Count::NotYet => return Err(Rejection::of_command(Code::CountNeeded)),
            Count::Within => false,
            Count::Over => true,
        };
        let copied: usize = copies
            .iter()
            .map(|copy| bytes_as_json(copy.text.as_str()))
            .sum();
        if copied.saturating_add(bytes_as_json(&command.comment)) > EVIDENCE_BYTES_MAX {
            return Err(invalid("messages"));
        }
        events.push(Event::MessagesReported(MessagesReported {
            report_id: command.report_id,
            reporter: command.by.clone(),
            reported: received.from.clone(),
            category: command.category,
            comment: Text::from(command.comment.clone()),
            messages: copies,
            over_limit,
            also: command.also,
            also_outcome,
            policy_version: command.policy.version,
        }));
    }
    events.extend(also_event);
    Ok(events)
}

/// Whether a report names anything its reporter has not reported before, and so has to be counted on their stream
/// before it is decided.
pub fn needs_count(state: &State, command: &ReportMessage) -> bool {
    let uncounted = ReportMessage {
        count: Count::NotYet,
        ..command.clone()
    };
    decide(state, &uncounted).is_err_and(|rejection| rejection.code() == Code::CountNeeded)
}

/// The earliest report in which the reporter named any of these messages: what is answered when nothing is new.
pub fn earliest_report(command: &ReportMessage) -> Option<Reported> {
    let facts = command
        .messages
        .iter()
        .filter_map(|message| message.facts.as_ref());
    facts
        .filter_map(|facts| facts.reported)
        .min_by_key(|reported| reported.version)
}

/// What becomes of what else a report asks for, as things stand; none where it asks for nothing else.
pub fn also_outcome(state: &State, command: &ReportMessage) -> Option<AlsoOutcome> {
    let received = received(state, &command.by).ok()?;
    also(state, &received, command).0
}

/// The messages by number, each once.
fn named(command: &ReportMessage) -> Result<Vec<(u64, Option<&MessageFacts>)>, Rejection> {
    let mut messages: Vec<_> = command
        .messages
        .iter()
        .map(|message| (message.number, message.facts.as_ref()))
        .collect();
    let most = command.policy.rules.report_messages_max;
    if messages.is_empty() || messages.len() > most as usize {
        return Err(invalid("messages").with_range(1, most.into()));
    }
    messages.sort_by_key(|(number, _)| *number);
    messages.dedup_by_key(|(number, _)| *number);
    Ok(messages)
}

/// What becomes of what else the reporter asks for, and its event.
fn also(
    state: &State,
    received: &Received<'_>,
    command: &ReportMessage,
) -> (Option<AlsoOutcome>, Option<Event<'static>>) {
    match command.also {
        Also::None => (None, None),
        Also::Delete => {
            let event =
                requests::deletion_by_report(state, &command.by, command.at, &command.policy);
            let outcome = match (&event, received.direction.state) {
                (Some(_), _) => AlsoOutcome::Done,
                (None, RequestState::Deleted) => AlsoOutcome::Already,
                (
                    None,
                    RequestState::None
                    | RequestState::Pending
                    | RequestState::Accepted
                    | RequestState::Withdrawn,
                ) => AlsoOutcome::Skipped,
            };
            (Some(outcome), event)
        }
        Also::Block if state.blocks(&command.by) => (Some(AlsoOutcome::Already), None),
        Also::Block => {
            let event = Event::MemberBlocked(MemberBlocked {
                by: command.by.clone(),
                other: received.from.clone(),
            });
            (Some(AlsoOutcome::Done), Some(event))
        }
    }
}

/// How many bytes a text takes in JSON: control characters take six each, quotes and backslashes two.
fn bytes_as_json(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

fn invalid(field: &'static str) -> Rejection {
    Rejection::of_command(Code::InvalidReport).with_field(field)
}
