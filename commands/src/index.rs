//! The write side's own tables: a view of the log that serves no query.
//!
//! Promise: every client's command whose events were applied is found by its id (`ids.rs`); every message unsent or
//! reported, every report against a member and every one that is not in its case (`joining.rs`), every decision on a
//! case and the case it is on, how many cases stand upheld (`upheld.rs`), everything that time will end, every slot
//! that opened no request so far is found by its name. It is a function of the log, so it can be thrown away. What is
//! not applied yet, its users learn from the streams themselves or from `idempotency.rs`.

use std::sync::Arc;

use domain::event::Event;
use domain::ids::{ActId, CaseId, CommandId, DecisionId, MemberId, ReportId};
use domain::time::Timestamp;
use domain::{case, codec, conversation, member, reactor};
use event_store::{Position, RecordedEvent, StreamName};
use tables::key::{Key, Parts};
use tables::{ApplyError, Codec, DecodeError, Order, Reader, Span, TableError, Tx, View};
use tokio::sync::watch;
use uuid::Uuid;

use crate::filter::SeenFilter;
use crate::reactors::CASES_STREAM;
use crate::timers::{Due, Ending, Said, Timers};
use crate::{ids, joining, upheld};

/// The view's name.
pub(crate) const VIEW: &str = "write_side";

const UNSENT: &str = "unsent";
const REPORTED: &str = "reported";
const REPORTS: &str = "reports";
const TIMERS: &str = "timers";
const CAUSES: &str = "causes";
const REVERSED: &str = "reversed";
const SLOTS: &str = "slots";
const DECISIONS: &str = "decisions";

// Types are told by their names, of whatever version.

/// What a command does to its slot; the headers of the first two say all.
const SLOT_TAKEN: &str = "request-slot-taken";
const REQUEST_OPENED: &str = "request-opened";
const SLOT_RETURNED: &str = "request-slot-returned";

/// What the reactor `cases` is there for.
const REPORT: &str = "messages-reported";
const CASE_DECIDED: &str = "case-decided";
const CASES_DECIDED: &str = "cases-decided";
const CASES_REVERSED: &str = "cases-reversed";
const DECISION_REVERSED: &str = "decision-reversed";
const MEMBER_SUSPENDED: &str = "member-suspended";

/// Decodes what this view reads, and nothing else: of most events their header is enough. What cannot be decoded is
/// passed over, so that one such event does not end the knowledge of ids; who needs its content finds out.
pub(crate) struct WriteSideCodec;

impl Codec for WriteSideCodec {
    type Decoded<'a> = Option<Event<'a>>;

    fn decode<'a>(&self, event: &'a RecordedEvent) -> Result<Self::Decoded<'a>, DecodeError> {
        if !matters(event.event_type()) {
            return Ok(None);
        }
        let decoded = codec::decode(event.event_type(), event.data());
        if let Err(error) = &decoded {
            tracing::error!(position = %event.position(), %error, "an event cannot be decoded");
        }
        Ok(decoded.ok())
    }
}

/// Types whose content the view reads.
fn matters(event_type: &str) -> bool {
    matches!(
        codec::name(event_type),
        "message-unsent"
            | "messages-reported"
            | MEMBER_SUSPENDED
            | "suspension-filed"
            | "member-reinstated"
            | "suspension-ended"
            | "report-limit-set"
            | "report-limit-lifted"
            | "report-limit-ended"
            | "report-joined"
            | "case-claimed"
            | "case-released"
            | "claim-lapsed"
            | "case-noted"
            | "case-escalated"
            | "case-closed"
            | "case-reopened"
            | CASE_DECIDED
            | DECISION_REVERSED
            | "member-restricted"
            | "restriction-ended"
            | "restriction-lifted"
            | "reactor-checkpoint"
            | SLOT_RETURNED
    )
}

/// Whether an event is a client's command's own: not a step on its way, nor what follows from it. What happens to a case
/// may be either, of one type: who acts in what follows is no member, and told by a `/`.
pub(crate) fn is_clients(event: &RecordedEvent) -> bool {
    let follows = event.stream().starts_with("case-") && event.actor().contains('/');
    is_of_clients(event.event_type()) && !follows
}

/// Whether clients' commands write events of this type.
fn is_of_clients(event_type: &str) -> bool {
    !matches!(
        codec::name(event_type),
        "request-slot-taken"
            | "request-slot-returned"
            | "report-counted"
            | "case-opened"
            | "suspension-filed"
            | "report-joined"
            | "suspension-ended"
            | "report-limit-ended"
            | "claim-lapsed"
            | "case-closed"
            | "member-restricted"
            | "restriction-ended"
            | "restriction-lifted"
            | "messages-removed"
            | "act-carried-out"
            | "messages-restored"
            | "reactor-checkpoint"
    )
}

/// The view. Beside its rows it feeds what is held in memory in front of them.
pub(crate) struct WriteSide {
    /// Hints which ids were never seen.
    pub(crate) filter: Arc<SeenFilter>,
    /// Learns of what time will end, by the events of other nodes too.
    pub(crate) timers: Arc<Timers>,
    /// Is told of what the reactors have to handle.
    pub(crate) causes: watch::Sender<Position>,
}

impl View<WriteSideCodec> for WriteSide {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn version(&self) -> u32 {
        7
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            ids::IDS,
            ids::NEW,
            ids::STATE,
            UNSENT,
            REPORTED,
            REPORTS,
            TIMERS,
            CAUSES,
            upheld::UPHELD,
            upheld::UPHELD_CASES,
            REVERSED,
            SLOTS,
            DECISIONS,
            joining::JOINING,
        ]
    }

    fn wants(&self, event_type: &str) -> bool {
        is_of_clients(event_type) || matters(event_type) || codec::name(event_type) == SLOT_TAKEN
    }

    /// What it does not know, decisions would be wrong about.
    fn letters_max(&self) -> usize {
        0
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
        decoded: &Option<Event<'_>>,
    ) -> Result<(), ApplyError> {
        if is_clients(event) {
            self.filter
                .add(ids::mark_of(event.correlation_id()), event.recorded_at_ms());
            ids::add(tx, event)?;
        }
        let name = codec::name(event.event_type());
        if matches!(
            name,
            REPORT
                | CASE_DECIDED
                | DECISION_REVERSED
                | CASES_DECIDED
                | CASES_REVERSED
                | MEMBER_SUSPENDED
        ) {
            let row = cause_row(event.stream(), event.version());
            tx.put(CAUSES, &Key::new().u64(event.position().0), &row)?;
            self.causes.send_replace(event.position());
        }
        if name == REPORT {
            joining::reported(tx, event)?;
        } else if name == SLOT_TAKEN {
            slot_taken(tx, event)?;
        } else if name == REQUEST_OPENED {
            tx.delete(SLOTS, &slot_key(event.actor(), event.command_id()))?;
        }
        let said = decoded
            .as_ref()
            .map_or([None, None], |decoded| Said::by(event.stream(), decoded));
        for said in said.into_iter().flatten() {
            let (id, correlation) = (event.event_id(), event.correlation_id());
            let key = said.of.encode();
            match said.until {
                Some(until) => {
                    let due = Due {
                        until,
                        cause: id,
                        correlation,
                    };
                    tx.put(TIMERS, &key, &due.encode())?;
                }
                None => tx.delete(TIMERS, &key)?,
            }
            self.timers.applied(&said, event.version(), id, correlation);
        }
        match decoded {
            Some(Event::Member(member::Event::RequestSlotReturned(returned))) => {
                let (member, command) = (returned.member.as_str(), returned.command_id.as_str());
                tx.delete(SLOTS, &slot_key(member, command))?;
            }
            // It ends those by decisions as well, and names none of them.
            Some(Event::Member(member::Event::MemberReinstated(reinstated))) => {
                let of_member = Ending::suspensions_by(&reinstated.member);
                tx.delete_span(TIMERS, &Span::prefix(&of_member))?;
            }
            Some(Event::Conversation(conversation::Event::MessageUnsent(unsent))) => {
                tx.put(
                    UNSENT,
                    &message_key(event.stream(), unsent.number),
                    &event.version().to_be_bytes(),
                )?;
            }
            Some(Event::Conversation(conversation::Event::MessagesReported(reported))) => {
                let mut row = reported.report_id.0.into_bytes().to_vec();
                row.extend_from_slice(&event.version().to_be_bytes());
                for message in &reported.messages {
                    tx.put(REPORTED, &message_key(event.stream(), message.number), &row)?;
                }
                if !reported.over_limit {
                    let key = Key::new()
                        .text(reported.reported.as_str())
                        .i64(event.at_ms())
                        .u64(event.position().0)
                        .text(reported.reporter.as_str());
                    tx.put(REPORTS, &key, &[])?;
                }
            }
            Some(Event::Case(case::Event::CaseDecided(decided))) => {
                if let Some(case) = case_of(event.stream()) {
                    tx.put(DECISIONS, decided.decision.0.as_bytes(), case.0.as_bytes())?;
                }
                upheld::decided(tx, event, decided)?;
            }
            // Its file is named by it, and found from here on: who comes for it before it is there waits.
            Some(Event::Member(member::Event::MemberSuspended(suspended))) => {
                if let Some(decision) = suspended.decision {
                    let case = CaseId::of_suspension(decision);
                    tx.put(DECISIONS, decision.0.as_bytes(), case.0.as_bytes())?;
                    joining::suspended(tx, event, case)?;
                }
            }
            Some(Event::Case(case::Event::SuspensionFiled(filed))) => {
                joining::filed(tx, filed.case)?;
            }
            Some(Event::Case(case::Event::DecisionReversed(reversed))) => {
                if let Some(act) = reversed.act {
                    let key = Key::new().fixed(act.0.as_bytes());
                    let key = key.fixed(reversed.decision.0.as_bytes());
                    let at = Key::new().u64(event.position().0);
                    tx.put(REVERSED, &key, at.as_bytes())?;
                }
                upheld::reversed(tx, event, reversed)?;
            }
            Some(Event::Case(case::Event::ReportJoined(joined))) => {
                joining::joined(tx, event, joined)?;
            }
            Some(Event::Reactor(reactor::Event::ReactorCheckpoint(checkpoint)))
                if event.stream() == CASES_STREAM =>
            {
                let row = cause_row(&checkpoint.stream, checkpoint.version);
                let handled = tx
                    .scan(CAUSES, &Span::all(), Order::Ascending)?
                    .find_map(|cause| match cause {
                        Ok((key, value)) if value.as_ref() == row.as_slice() => {
                            Some(Ok(key.to_vec()))
                        }
                        Ok(_) => None,
                        Err(error) => Some(Err(error)),
                    })
                    .transpose()?;
                if let Some(handled) = handled {
                    tx.delete_span(CAUSES, &Span::all().through(&handled))?;
                }
            }
            Some(
                Event::Conversation(_)
                | Event::Member(_)
                | Event::Case(_)
                | Event::Policy(_)
                | Event::Reactor(_)
                | Event::Act(_)
                | Event::Refused(_)
                | Event::Unchanged(_),
            )
            | None => {}
        }
        Ok(())
    }
}

/// The case that a stream is of.
pub(crate) fn case_of(stream: &str) -> Option<CaseId> {
    stream.strip_prefix("case-")?.parse().ok()
}

/// The case that a decision is on.
pub(crate) fn case_of_decision(
    reader: &Reader,
    decision: DecisionId,
) -> Result<Option<CaseId>, TableError> {
    let row = reader.get(DECISIONS, decision.0.as_bytes())?;
    Ok(row.and_then(|row| Some(CaseId(Uuid::from_slice(&row).ok()?))))
}

/// Notes a slot until its command opens a request or it is returned; of its member those that no longer count go.
fn slot_taken(tx: &mut Tx<'_>, event: &RecordedEvent) -> Result<(), ApplyError> {
    let of_member = Key::new().text(event.actor());
    let mut over = Vec::new();
    for row in tx.scan(SLOTS, &Span::prefix(&of_member), Order::Ascending)? {
        let (key, row) = row?;
        let counts = Slot::decode(&row)
            .is_some_and(|slot| event.at_ms().saturating_sub(slot.at) < domain::time::DAY_MS);
        over.extend((!counts).then(|| key.to_vec()));
    }
    for key in over {
        tx.delete(SLOTS, &key)?;
    }
    let slot = Slot {
        version: event.version(),
        at: event.at_ms(),
    };
    let key = slot_key(event.actor(), event.command_id());
    Ok(tx.put(SLOTS, &key, &slot.encode())?)
}

fn slot_key(member: &str, command_id: &str) -> Key {
    Key::new().text(member).text(command_id)
}

/// Where a slot was taken on its member's stream, and when.
#[derive(Clone, Copy)]
struct Slot {
    version: u64,
    at: i64,
}

impl Slot {
    fn encode(self) -> Vec<u8> {
        Key::new().u64(self.version).i64(self.at).into_bytes()
    }

    fn decode(row: &[u8]) -> Option<Self> {
        let mut parts = Parts::of(row);
        Some(Self {
            version: parts.u64()?,
            at: parts.i64()?,
        })
    }
}

/// The slots without a request that were taken after one time and up to another: their members, commands, and versions
/// on the members' streams; at most `max`.
pub(crate) fn slots(
    reader: &Reader,
    after: Timestamp,
    until: Timestamp,
    max: usize,
) -> Result<Vec<(MemberId, CommandId, u64)>, TableError> {
    let mut found = Vec::new();
    for row in reader.scan(SLOTS, &Span::all(), Order::Ascending)? {
        let (key, row) = row?;
        let mut parts = Parts::of(&key);
        let (member, command) = (parts.text(), parts.text());
        let slot = Slot::decode(&row).filter(|slot| slot.at > after.0 && slot.at <= until.0);
        let (Some(slot), Some(member), Some(command)) = (
            slot,
            member.and_then(|member| MemberId::new(&member).ok()),
            command.and_then(|command| CommandId::new(&command).ok()),
        ) else {
            continue;
        };
        found.push((member, command, slot.version));
        if found.len() >= max {
            break;
        }
    }
    Ok(found)
}

/// Whether the slot that a command took at this version has opened no request and was not returned.
pub(crate) fn slot_is_open(
    reader: &Reader,
    member: &MemberId,
    command: &CommandId,
    version: u64,
) -> Result<bool, TableError> {
    let row = reader.get(SLOTS, &slot_key(member.as_str(), command.as_str()))?;
    Ok(row
        .and_then(|row| Slot::decode(&row))
        .is_some_and(|slot| slot.version == version))
}

/// A cause by its place in its stream.
fn cause_row(stream: &str, version: u64) -> Vec<u8> {
    let mut row = version.to_be_bytes().to_vec();
    row.extend_from_slice(stream.as_bytes());
    row
}

fn message_key(stream: &str, number: u64) -> Key {
    let conversation = stream.split_once('-').map_or(stream, |(_, id)| id);
    Key::new().text(conversation).u64(number)
}

/// What was done with a message after it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageMarks {
    /// Version of the event that unsent it.
    pub(crate) unsent: Option<u64>,
    /// The report that names it, and the version of that event.
    pub(crate) reported: Option<(ReportId, u64)>,
}

/// What is known of a message up to the reader's checkpoint.
pub(crate) fn message_marks(
    reader: &Reader,
    stream: &StreamName,
    number: u64,
) -> Result<MessageMarks, TableError> {
    let key = message_key(stream.as_str(), number);
    let unsent = reader
        .get(UNSENT, &key)?
        .and_then(|row| row.first_chunk().copied().map(u64::from_be_bytes));
    let reported = reader.get(REPORTED, &key)?.and_then(|row| {
        let (report, version) = row.split_first_chunk::<16>()?;
        Some((
            ReportId(Uuid::from_bytes(*report)),
            u64::from_be_bytes(*version.first_chunk()?),
        ))
    });
    Ok(MessageMarks { unsent, reported })
}

/// How many different members reported this member after `since`, by an event up to this position, each within their own
/// daily limit; at most `max`. How far the reader is beyond it makes no difference.
pub(crate) fn reporters(
    reader: &Reader,
    reported: &MemberId,
    since: Timestamp,
    position: Position,
    max: usize,
) -> Result<u32, TableError> {
    let prefix = Key::new().text(reported.as_str());
    let mut reporters = rustc_hash::FxHashSet::default();
    for row in reader.scan(REPORTS, &Span::prefix(&prefix), Order::Descending)? {
        let (key, _) = row?;
        let mut parts = Parts::of(&key);
        let (Some(_), Some(at), Some(by), Some(reporter)) =
            (parts.bytes(), parts.i64(), parts.u64(), parts.bytes())
        else {
            continue;
        };
        if at <= since.0 || reporters.len() >= max {
            break;
        }
        if by <= position.0 {
            reporters.insert(reporter);
        }
    }
    Ok(u32::try_from(reporters.len()).unwrap_or(u32::MAX))
}

/// How many decisions of an act on many cases are reversed by this position.
pub(crate) fn reversed_of(
    reader: &Reader,
    act: ActId,
    through: Position,
) -> Result<u32, TableError> {
    let mut reversed = 0;
    for row in reader.scan(REVERSED, &Span::prefix(act.0.as_bytes()), Order::Ascending)? {
        let (_, row) = row?;
        let at = Parts::of(&row).u64();
        reversed += u32::from(at.is_some_and(|at| at <= through.0));
    }
    Ok(reversed)
}

/// Where the causes of the `cases` reactor after a position stand, in the order of the log; at most `max`.
pub(crate) fn causes(
    reader: &Reader,
    after: Position,
    max: usize,
) -> Result<Vec<(Position, StreamName, u64)>, TableError> {
    let mut found = Vec::new();
    let span = Span::all().after(&Key::new().u64(after.0));
    for row in reader.scan(CAUSES, &span, Order::Ascending)?.take(max) {
        let (key, row) = row?;
        let position = Parts::of(&key).u64().map(Position);
        let place = row.split_first_chunk::<8>().and_then(|(version, stream)| {
            let stream = StreamName::new(String::from_utf8(stream.to_vec()).ok()?).ok()?;
            Some((stream, u64::from_be_bytes(*version)))
        });
        found.extend(
            position
                .zip(place)
                .map(|(position, (stream, version))| (position, stream, version)),
        );
    }
    Ok(found)
}

/// What time will end, and when.
pub(crate) fn timers(reader: &Reader) -> Result<Vec<(Ending, Due)>, TableError> {
    let mut found = Vec::new();
    for row in reader.scan(TIMERS, &Span::all(), Order::Ascending)? {
        let (key, row) = row?;
        found.extend(Ending::decode(&key).zip(Due::decode(&row)));
    }
    Ok(found)
}

/// The position of rows read through this reader.
pub(crate) fn applied(reader: &Reader) -> Position {
    reader.checkpoint().position
}

#[cfg(test)]
mod spec;
