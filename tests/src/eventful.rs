//! The college workload, every message of it, with what else happens between people: carried out by the write side on a
//! real log while the views follow it live, in a process that may be killed at any moment and goes on where the log ends.
//!
//! What happens beside the messages follows from their number alone, so that a run that goes on does what the first one
//! would have done: what it repeats is known by its command id and writes nothing.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use commands::{
    Answer, Command, CommandError, CommandHandler, Envelope, Look, Mode, Options, Outcome, Pending,
};
use domain::act::Looked;
use domain::case::{Action, Category};
use domain::conversation::{Also, DeleteMode, RelationshipKind};
use domain::ids::{CaseId, CommandId, ConversationId, MemberId, ReasonCode};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::{DAY_MS, Timestamp};
use doorstep::line::{At, Line, LineCommand};
use doorstep::workload::{Contact, Workload};
use event_store::{EmbeddedStore, EventStore};
use tables::RunnerHandle;

use crate::college;
use crate::commands::store_options;

/// Commands that are decided and not yet durable, at most.
const PENDING_MAX: usize = 1024;
/// After how many messages it is told how far the log is.
const TOLD_EVERY: usize = 500;

fn member(number: u32) -> MemberId {
    MemberId::new(&number.to_string()).unwrap()
}

fn workload() -> Workload {
    Workload::read(&college::messages(), &college::texts()).unwrap()
}

/// So many members of the college, from all over it.
///
/// # Panics
/// When the college has fewer.
pub fn some_members(count: usize) -> Vec<MemberId> {
    let contacts = workload().contacts;
    let all: BTreeSet<u32> = contacts.iter().flat_map(|of| [of.from, of.to]).collect();
    let apart = all.len() / count;
    let some = all.into_iter().step_by(apart).take(count).map(member);
    some.collect()
}

/// Halfway between the first message and the last.
///
/// # Panics
/// When there are none.
pub fn middle_of_the_period() -> Timestamp {
    let contacts = workload().contacts;
    let [first, last] = [contacts.first(), contacts.last()].map(|of| of.unwrap().at_seconds);
    Timestamp(first.midpoint(last) * 1_000)
}

/// A log that is written, and its write side.
pub struct Writing {
    /// The log.
    pub store: Arc<dyn EventStore>,
    log: EmbeddedStore,
    handler: CommandHandler,
}

impl Writing {
    /// Opens the log of a folder, or makes one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(dir: &Path) -> Self {
        let log = EmbeddedStore::open(dir, store_options()).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(log.clone());
        let tables = Some(dir.join("write"));
        let options = Options::new(tables, Mode::Import, Arc::new(Rules::default()));
        let handler = CommandHandler::start(Arc::clone(&store), options);
        Self {
            handler: handler.await.unwrap(),
            store,
            log,
        }
    }

    /// Carries out all that the log does not have yet, no faster than the views follow, and tells after every so many
    /// messages how many of them are durable, until told to break off.
    ///
    /// # Panics
    /// When a command comes to something else than a rule's answer.
    pub async fn carry_out(&self, views: &RunnerHandle, told: impl Fn(usize) -> ControlFlow<()>) {
        let workload = workload();
        let lines = workload.lines().unwrap();
        let views = views.clone();
        self.handler.hold_back_for(move || {
            let views = views.clone();
            async move { views.room().await }
        });
        let known = self.known(&lines).await;
        let is_message = |line: &&Line| matches!(line.command, LineCommand::SendMessage { .. });
        let mut messages = lines[..known].iter().filter(is_message).count();
        let mut pending = VecDeque::new();
        for line in &lines[known..] {
            let number = self.submit(line, &mut pending).await;
            if !is_message(&line) {
                continue;
            }
            for (name, command) in besides(&workload.contacts, messages, number) {
                let line = Line {
                    id: CommandId::new(&format!("{name}-{messages}")).unwrap(),
                    at: line.at,
                    command,
                };
                self.submit(&line, &mut pending).await;
            }
            if messages % 997 == 500 {
                let (_, member) = pair(&workload.contacts[messages]);
                self.look(&format!("look-{messages}"), line.at.0, member)
                    .await;
            }
            messages += 1;
            if messages.is_multiple_of(TOLD_EVERY) {
                settle(&mut pending, 0).await;
                if told(messages).is_break() {
                    return;
                }
            }
        }
        settle(&mut pending, 0).await;
        self.handler.drain_reactors().await.unwrap();
    }

    /// Ends in order. Nothing is written after it, and the folder is free.
    pub async fn stop(&self) {
        self.handler.stop().await;
        self.log.close();
    }

    /// How many lines need not be looked at again: those before the last message that the log has. A message leaves an
    /// event, whatever comes of it, and the log has all before one that it has.
    async fn known(&self, lines: &[Line]) -> usize {
        let messages: Vec<usize> = (0..lines.len())
            .filter(|index| matches!(lines[*index].command, LineCommand::SendMessage { .. }))
            .collect();
        let (mut least, mut most) = (0, messages.len());
        while least < most {
            let middle = least.midpoint(most);
            let asked = lines[messages[middle]].envelope();
            let trace = self.handler.trace(&asked.actor, &asked.command_id).await;
            if trace.unwrap().is_some() {
                least = middle + 1;
            } else {
                most = middle;
            }
        }
        match least.checked_sub(1) {
            Some(last) => messages[last],
            None => 0,
        }
    }

    /// An auditor looks at a member's inbox.
    async fn look(&self, name: &str, at: Timestamp, member: MemberId) {
        let look = Look {
            looked: Looked::Inbox,
            purpose: ReasonCode::new("audit").unwrap(),
            member,
            other: None,
            conversation: None,
            case: None,
            shown: None,
            from: None,
            as_of: None,
        };
        let envelope = Envelope {
            actor: MemberId::new("auditor").unwrap(),
            command_id: CommandId::new(name).unwrap(),
            id_given: true,
            at: Some(at),
            command: Command::DiscloseToAuditor { look },
        };
        let decided = self.handler.submit(envelope).await.unwrap();
        decided.durable().await.unwrap();
    }

    /// Submits a line; the number of the message that it sent.
    async fn submit(&self, line: &Line, pending: &mut VecDeque<Pending>) -> Option<u64> {
        let decided = match self.handler.submit(line.envelope()).await {
            Ok(decided) => decided,
            Err(error) => panic!("{line:?}: {error}"),
        };
        let number = match decided.decided() {
            Ok(Outcome {
                answer: Answer::Sent { number, .. },
                ..
            }) => Some(*number),
            Ok(_) | Err(CommandError::Refused(_) | CommandError::NotFound) => None,
            Err(error) => panic!("{line:?}: {error}"),
        };
        pending.push_back(decided);
        settle(pending, PENDING_MAX).await;
        number
    }
}

/// Waits until no more than so many are not durable.
async fn settle(pending: &mut VecDeque<Pending>, left: usize) {
    while pending.len() > left {
        if let Some(first) = pending.pop_front() {
            // What came of it was looked at when it was decided.
            let _ = first.durable().await;
        }
    }
}

/// Who wrote a message, and to whom.
fn pair(contact: &Contact) -> (MemberId, MemberId) {
    (member(contact.from), member(contact.to))
}

/// What else happens after a message, each under a name of its own. `number` is the message's, if it was sent.
fn besides(
    contacts: &[Contact],
    message: usize,
    number: Option<u64>,
) -> Vec<(&'static str, LineCommand)> {
    let of = |message: usize| pair(&contacts[message]);
    let earlier = |back: usize| message.checked_sub(back).map(of);
    let (from, to) = of(message);
    let (by, with) = (to.clone(), from.clone());
    let mut acts = Vec::new();
    match message % 29 {
        3 | 17 => acts.push(("accept", LineCommand::AcceptRequest { member: by, with })),
        5 => acts.extend(number.map(|number| {
            let (member, with) = (from.clone(), to.clone());
            (
                "unsend",
                LineCommand::UnsendMessage {
                    member,
                    with,
                    number,
                },
            )
        })),
        7 => {
            let mode = DeleteMode::Quiet;
            acts.push((
                "delete",
                LineCommand::DeleteRequest {
                    member: by,
                    with,
                    mode,
                },
            ));
        }
        8 => acts.extend(
            earlier(30)
                .map(|(with, member)| ("restore", LineCommand::RestoreRequest { member, with })),
        ),
        11 => acts.push((
            "block",
            LineCommand::BlockMember {
                member: by,
                other: with,
            },
        )),
        12 if !(message / 29).is_multiple_of(4) => acts.extend(
            earlier(30)
                .map(|(other, member)| ("unblock", LineCommand::UnblockMember { member, other })),
        ),
        13 => acts.extend(number.map(|up_to| {
            (
                "read",
                LineCommand::MarkRead {
                    member: by,
                    with,
                    up_to,
                },
            )
        })),
        19 => acts.extend(number.map(|number| {
            let report = LineCommand::ReportMessage {
                member: by,
                with,
                messages: vec![number],
                category: Category::Scam,
                comment: String::new(),
                also: Also::Delete,
            };
            ("report-too", report)
        })),
        20 => acts.extend(earlier(1).map(|(from, to)| {
            let (member, case) = (moderator(), case_of(&from, &to));
            ("claim", LineCommand::ClaimCase { member, case })
        })),
        21 => acts.push(("mute", LineCommand::MuteConversation { member: by, with })),
        22 => acts.extend(earlier(3).map(|(from, to)| {
            let at = Timestamp(contacts[message].at_seconds * 1_000);
            let case = case_of(&from, &to);
            ("decide", decide(case, message / 29, at))
        })),
        23 => acts.push(("move", LineCommand::MoveToRequests { member: by, with })),
        25 => {
            let (kind, other) = (RelationshipKind::Follow, with);
            let follow = LineCommand::RecordRelationship {
                member: by,
                kind,
                other,
            };
            acts.push(("follow", follow));
        }
        _ => {}
    }
    let at = Timestamp(contacts[message].at_seconds * 1_000);
    match message % 499 {
        40 => acts.push(("suspend", suspend(from, None))),
        90 => acts.push(("younger", of_age(to, AgeBand::From16To17))),
        120 => acts.push(("audience", audience(to, Audience::Following))),
        200 => acts.push(("suspend", suspend(from, Some(Timestamp(at.0 + 3 * DAY_MS))))),
        240 => acts.extend(earlier(150).map(|(_, to)| ("older", of_age(to, AgeBand::Adult)))),
        270 => {
            acts.extend(earlier(150).map(|(_, to)| ("audience", audience(to, Audience::Everyone))));
        }
        // One of four stays suspended.
        340 if !(message / 499).is_multiple_of(4) => acts.extend(earlier(300).map(|(other, _)| {
            let member = moderator();
            ("reinstate", LineCommand::ReinstateMember { member, other })
        })),
        _ => {}
    }
    acts
}

fn moderator() -> MemberId {
    MemberId::new("moderator").unwrap()
}

/// The file on who wrote, in the conversation of the two.
fn case_of(from: &MemberId, to: &MemberId) -> CaseId {
    CaseId::of(ConversationId::of(from, to), from)
}

/// One action after the other.
fn decide(case: CaseId, turn: usize, at: Timestamp) -> LineCommand {
    let actions = [
        Action::Nothing,
        Action::Warn,
        Action::Limit,
        Action::Suspend,
    ];
    let action = actions[turn % actions.len()];
    let ends = matches!(action, Action::Limit | Action::Suspend);
    LineCommand::DecideCase {
        member: moderator(),
        case,
        action,
        until: ends.then_some(At(Timestamp(at.0 + 2 * DAY_MS))),
        messages: Vec::new(),
        reason: ReasonCode::new("scam").unwrap(),
        text: "You were reported.".to_owned(),
        facts: "One message.".to_owned(),
    }
}

fn suspend(other: MemberId, until: Option<Timestamp>) -> LineCommand {
    LineCommand::SuspendMember {
        member: moderator(),
        other,
        until: until.map(At),
        reason: ReasonCode::new("spam").unwrap(),
        text: "You were reported.".to_owned(),
        facts: "Ten letters.".to_owned(),
    }
}

fn of_age(member: MemberId, age_band: AgeBand) -> LineCommand {
    LineCommand::RegisterMember {
        member,
        age_band,
        registered_at: None,
    }
}

fn audience(member: MemberId, audience: Audience) -> LineCommand {
    LineCommand::ChangeDmSetting { member, audience }
}
