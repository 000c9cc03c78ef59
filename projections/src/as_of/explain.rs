//! Why a message went to the inbox or the requests, was withheld or refused: as recorded with the decision.
//!
//! Nothing is decided again here. The event that sent a message, and the one that recorded a refusal, bear the rule that
//! matched, the versions of the rules and of the recipient's setting, and the class of the relationship; this finds the
//! event, and puts it into words ([`words_of`]).

use std::fmt::Write as _;

use domain::conversation::{self, AcceptMethod, Route};
use domain::event::Event;
use domain::evidence::{Cause, Evidence};
use domain::ids::{ConversationId, MemberId};
use domain::policy::{Audience, Class};
use domain::rejection::{Code, CommandName};
use domain::time::Timestamp;
use event_store::{Position, RecordedEvent};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::{Moment, Past, PastError, gather};
use crate::{Answer, QueryError};

/// Which decisions are to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// That on the message of this number.
    Message(u64),
    /// Those on the commands of this id: of one member at most one, refused ones too.
    Command(String),
}

/// Where a decision led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To the recipient's inbox.
    Inbox,
    /// To the recipient's requests.
    Request,
    /// Told as sent, and shown to nobody but its sender.
    Withheld,
    /// Refused.
    Refused,
    /// Of a command that sends nothing: carried out.
    Done,
    /// It was so already.
    Unchanged,
}

/// A decision, with what it was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The command; none where it is no client's.
    pub command: Option<CommandName>,
    /// Its id.
    pub command_id: String,
    /// Who acted.
    pub by: MemberId,
    /// The other member.
    pub towards: MemberId,
    /// Where it led.
    pub outcome: Outcome,
    /// The number of the message, if it sent one.
    pub number: Option<u64>,
    /// The code of a refusal.
    pub code: Option<Code>,
    /// What it was made on; the rule is part of it.
    pub evidence: Option<Evidence>,
    /// What exactly matched, where there is no whole evidence.
    pub cause: Option<Cause>,
    /// The request that was accepted in the same append, and how.
    pub accepted: Option<AcceptMethod>,
    /// A request was opened in the same append.
    pub opened: bool,
    /// When.
    pub at: Timestamp,
    /// The position of the event that records it.
    pub position: Position,
    /// Its version in the conversation's stream.
    pub version: u64,
    /// The same in words.
    pub words: String,
}

/// What stands beside a decision in the same append.
#[derive(Clone, Copy, Default)]
struct Beside {
    accepted: Option<AcceptMethod>,
    opened: bool,
}

impl Past {
    /// The decisions meant, as they were made up to a moment. [`QueryError::NotFound`] where there is none.
    pub async fn explain(
        &self,
        id: ConversationId,
        which: &Which,
        moment: Moment,
    ) -> Result<Answer<Vec<Decision>>, PastError> {
        let members = self.members_of(id, moment.position).await?;
        let gathered = gather::gather(
            self.log(),
            &[conversation::stream(id)].into(),
            moment.position,
            &|_| true,
            self.bounds,
        )
        .await?;
        let mut decisions: Vec<Decision> = Vec::new();
        let (mut of, mut beside) = (None, Beside::default());
        for event in &gathered.events {
            if of != Some(event.correlation_id()) {
                (of, beside) = (Some(event.correlation_id()), Beside::default());
            }
            let decoded = super::decoded("explain", event)?;
            note(&decoded, &mut beside);
            if !meant(which, event, &decoded) {
                continue;
            }
            let Some(decision) = decision(event, &decoded, beside, &members) else {
                continue;
            };
            // Of what one command did, what became of its message tells most; else the first event.
            match decisions
                .last_mut()
                .filter(|last| last.by == decision.by && last.command_id == decision.command_id)
            {
                Some(last) if last.outcome == Outcome::Done => *last = decision,
                Some(_) => {}
                None => decisions.push(decision),
            }
        }
        if decisions.is_empty() {
            return Err(QueryError::NotFound.into());
        }
        Ok(Answer {
            value: decisions,
            position: moment.position,
        })
    }
}

fn note(decoded: &Event<'_>, beside: &mut Beside) {
    if let Event::Conversation(conversation::Event::RequestAccepted(accepted)) = decoded {
        beside.accepted = Some(accepted.method);
    } else if let Event::Conversation(conversation::Event::RequestOpened(_)) = decoded {
        beside.opened = true;
    }
}

fn meant(which: &Which, event: &RecordedEvent, decoded: &Event<'_>) -> bool {
    match which {
        Which::Command(id) => event.command_id() == id,
        Which::Message(number) => match decoded {
            Event::Conversation(decoded) => {
                crate::codec::message_of(decoded).is_some_and(|sent| sent.number == *number)
            }
            Event::Member(_)
            | Event::Case(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => false,
        },
    }
}

fn decision(
    event: &RecordedEvent,
    decoded: &Event<'_>,
    beside: Beside,
    members: &[MemberId; 2],
) -> Option<Decision> {
    use conversation::Event as C;
    let of_command = |outcome, [by, towards]: [&MemberId; 2]| Decision {
        command: None,
        command_id: event.command_id().to_owned(),
        by: by.clone(),
        towards: towards.clone(),
        outcome,
        number: None,
        code: None,
        evidence: None,
        cause: None,
        accepted: beside.accepted,
        opened: beside.opened,
        at: Timestamp(event.at_ms()),
        position: event.position(),
        version: event.version(),
        words: String::new(),
    };
    let mut decision = match decoded {
        Event::Conversation(C::MessageSent(sent)) => Decision {
            command: Some(CommandName::SendMessage),
            number: Some(sent.number),
            evidence: Some(sent.evidence),
            ..of_command(
                match sent.route {
                    Route::Inbox => Outcome::Inbox,
                    Route::Request => Outcome::Request,
                },
                [&sent.from, &sent.to],
            )
        },
        Event::Conversation(C::MessageWithheld(withheld)) => Decision {
            command: Some(CommandName::SendMessage),
            number: Some(withheld.number),
            evidence: Some(withheld.evidence),
            ..of_command(Outcome::Withheld, [&withheld.from, &withheld.to])
        },
        Event::Conversation(C::RequestAccepted(accepted)) => Decision {
            evidence: accepted.evidence,
            ..of_command(Outcome::Done, [&accepted.by, &accepted.from])
        },
        Event::Conversation(other) => of_command(Outcome::Done, other.members()),
        Event::Refused(refused) => Decision {
            command: Some(refused.command),
            code: Some(refused.code),
            evidence: refused.evidence,
            cause: refused.cause,
            ..of_command(
                Outcome::Refused,
                of_two(&refused.by, refused.other.as_ref(), members),
            )
        },
        Event::Unchanged(unchanged) => Decision {
            command: named(&unchanged.command),
            ..of_command(
                Outcome::Unchanged,
                of_two(&unchanged.by, unchanged.other.as_ref(), members),
            )
        },
        Event::Member(_)
        | Event::Case(_)
        | Event::Policy(_)
        | Event::Reactor(_)
        | Event::Act(_) => return None,
    };
    decision.words = words_of(&decision);
    Some(decision)
}

/// Who acts, and the other of a conversation's members where none is named.
fn of_two<'a>(
    by: &'a MemberId,
    other: Option<&'a MemberId>,
    [lower, higher]: &'a [MemberId; 2],
) -> [&'a MemberId; 2] {
    [
        by,
        other.unwrap_or(if by == lower { higher } else { lower }),
    ]
}

/// A command by its name.
fn named(command: &str) -> Option<CommandName> {
    let name: StrDeserializer<'_, ValueError> = command.into_deserializer();
    CommandName::deserialize(name).ok()
}

/// A decision in words, a sentence for what matched and one for what came of it.
fn words_of(decision: &Decision) -> String {
    let Decision { by, towards, .. } = decision;
    let evidence = decision.evidence.unwrap_or_default();
    let cause = evidence.cause.or(decision.cause);
    let mut words = String::new();
    if let Some(rule) = evidence.rule {
        let _ = write!(
            words,
            "Rule {rule}: {}. ",
            matched(decision, rule, evidence)
        );
    } else if let Some(cause) = cause {
        // Of an accepted or restored request it is the other member who is the sender.
        let accepts = matches!(
            decision.command,
            Some(CommandName::AcceptRequest | CommandName::RestoreRequest)
        );
        let (sender, recipient) = if accepts {
            (towards, by)
        } else {
            (by, towards)
        };
        let said = if matches!(cause, Cause::ActorUnder16 | Cause::ActorSuspended) {
            caused(cause, by, towards)
        } else {
            caused(cause, sender, recipient)
        };
        let _ = write!(words, "{}. ", capital(&said));
    }
    if let Some(method) = decision.accepted.filter(|_| decision.number.is_some()) {
        let how = match method {
            AcceptMethod::Accept => "by command",
            AcceptMethod::Reply => "by this reply (rule 7)",
            AcceptMethod::Crossing => "because both knocked at once (rule 7)",
            AcceptMethod::Relationship => "because the audience table came to say inbox",
        };
        let _ = write!(words, "A request was accepted with it, {how}. ");
    }
    let came = match decision.outcome {
        Outcome::Inbox => format!("It went to the inbox of {towards}."),
        Outcome::Request if decision.opened => {
            format!("It opened a request on the doorstep of {towards}.")
        }
        Outcome::Request => format!("It waits in the open request on the doorstep of {towards}."),
        Outcome::Withheld => {
            format!("It was withheld: {by} was told `sent`, and {towards} never sees it.")
        }
        Outcome::Refused => format!(
            "It was refused, `{}`.",
            decision.code.map_or("", Code::as_str)
        ),
        Outcome::Done => "It was carried out.".to_owned(),
        Outcome::Unchanged => "It was so already, and changed nothing.".to_owned(),
    };
    words.push_str(&came);
    words
}

/// What a rule of `SendMessage` matched on.
fn matched(decision: &Decision, rule: u8, evidence: Evidence) -> String {
    let Decision { by, towards, .. } = decision;
    let cause = evidence.cause.or(decision.cause);
    let cause = cause.map(|cause| caused(cause, by, towards));
    let used = match (evidence.used, evidence.limit) {
        (Some(used), Some(limit)) => format!(", {used} of {limit}"),
        _ => String::new(),
    };
    let table = || {
        let audience = evidence.audience.map_or("not recorded", audience_word);
        let class = evidence.class.map_or_else(
            || "of no recorded class".to_owned(),
            |class| class_words(class, towards),
        );
        format!("the audience of {towards} is `{audience}`, and {by} is {class}")
    };
    match (rule, cause) {
        (3, Some(cause)) => format!("of a first contact, whoever is addressed, {cause}{used}"),
        (5, Some(cause)) if decision.outcome == Outcome::Refused => format!(
            "{cause}, and {by}, who wrote before, has written as much as a request may hold{used}"
        ),
        (5, Some(cause)) => format!("{cause}, and {by} had written to them before"),
        (8, _) => {
            format!("the way was open: {towards} had accepted {by}, or had written to them first")
        }
        (9 | 12, _) => table(),
        (10, _) if decision.outcome == Outcome::Refused => format!(
            "the cooldown of the request that {towards} deleted runs, and {by} has written as much as a request may hold{used}"
        ),
        (11, _) => {
            format!("{by} has written as many messages as may wait before {towards} accepts{used}")
        }
        (_, Some(cause)) => format!("{cause}{used}"),
        (_, None) => "what matched is not recorded".to_owned(),
    }
}

/// What exactly stood in the way, between the sender of a direction and its recipient.
fn caused(cause: Cause, sender: &MemberId, recipient: &MemberId) -> String {
    match cause {
        Cause::SenderUnknown => format!("{sender} is not registered"),
        Cause::SenderSuspended | Cause::ActorSuspended => format!("{sender} is suspended"),
        Cause::SenderUnder16 | Cause::ActorUnder16 => format!("{sender} is under 16"),
        Cause::SenderLimited => {
            format!("{sender} may not open requests, by a moderator's decision")
        }
        Cause::RequestsOfTheDay => {
            format!("{sender} opened as many requests within 24 hours as they may")
        }
        Cause::RecipientUnknown => format!("{recipient} is not registered"),
        Cause::RecipientUnder16 => format!("{recipient} is under 16"),
        Cause::RecipientBlocks => format!("{recipient} blocks {sender}"),
        Cause::SenderBlocks => format!("{sender} blocks {recipient}"),
        Cause::Audience => format!("the audience of {recipient} refuses {sender}"),
        Cause::Cooldown => format!("the cooldown of the request that {recipient} deleted runs"),
        Cause::RequestMessages => format!("{sender} has written as many messages as may wait"),
    }
}

pub(super) fn audience_word(audience: Audience) -> &'static str {
    match audience {
        Audience::Everyone => "everyone",
        Audience::Following => "following",
        Audience::FriendsAndSuggested => "friends_and_suggested",
        Audience::Friends => "friends",
        Audience::NoOne => "no_one",
    }
}

fn class_words(class: Class, towards: &MemberId) -> String {
    match class {
        Class::RecipientFollows => format!("followed by {towards}"),
        Class::Suggested => format!("suggested to {towards}"),
        Class::Friend => format!("a friend of {towards}"),
        Class::Anyone => "anyone else to them".to_owned(),
    }
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
