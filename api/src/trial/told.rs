//! What just happened, in the words of the rules: what the one who acted is told, what the other sees, and why.
//!
//! The first two are what the interface answers the two; the third is the reason that is recorded with the decision, which
//! auditors read and no member ever does. It is told here because the sample's members are nobody.

use domain::ids::{CommandId, ConversationId, MemberId};
use projections::{Decision, Outcome, When, Which};

use super::asked::Asked;
use crate::app::{State, now};

/// What one can do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Writes a message.
    Send,
    /// Accepts a request.
    Accept,
    /// Deletes one, quietly.
    Delete,
    /// Deletes one for good.
    DeleteFinal,
    /// Takes a deletion back.
    Restore,
    /// Reports messages.
    Report,
    /// Blocks the other.
    Block,
    /// Ends a block.
    Unblock,
    /// Takes a message back.
    Unsend,
    /// Sends a conversation back to the requests.
    MoveToRequests,
    /// Chooses an audience.
    Audience,
    /// Appeals a decision.
    Appeal,
}

impl Act {
    const ALL: [Act; 12] = [
        Act::Send,
        Act::Accept,
        Act::Delete,
        Act::DeleteFinal,
        Act::Restore,
        Act::Report,
        Act::Block,
        Act::Unblock,
        Act::Unsend,
        Act::MoveToRequests,
        Act::Audience,
        Act::Appeal,
    ];

    /// Its name in addresses and forms.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Act::Send => "send",
            Act::Accept => "accept",
            Act::Delete => "delete",
            Act::DeleteFinal => "delete-final",
            Act::Restore => "restore",
            Act::Report => "report",
            Act::Block => "block",
            Act::Unblock => "unblock",
            Act::Unsend => "unsend",
            Act::MoveToRequests => "move-to-requests",
            Act::Audience => "audience",
            Act::Appeal => "appeal",
        }
    }

    /// The act of this name.
    pub(super) fn named(name: &str) -> Option<Act> {
        Act::ALL.into_iter().find(|act| act.as_str() == name)
    }
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Who acted.
    pub(super) by: MemberId,
    /// What they are told.
    pub(super) answer: &'static str,
    /// The other, if the act is between two.
    pub(super) other: Option<MemberId>,
    /// What the other sees of it.
    pub(super) seen: &'static str,
    /// The reason that is recorded.
    pub(super) why: Option<String>,
}

/// What was done last, if it is told.
pub(super) async fn told(shared: &State, asked: &Asked) -> Option<Told> {
    let done = asked.done.as_ref()?;
    let by = done.by.of(&asked.members);
    let decision = match done.on {
        Some(on) => decision(shared, on, by, &done.command).await,
        None => None,
    };
    let (answer, seen) = words(done.act, decision.as_ref().map(|decision| decision.outcome));
    let other = decision.as_ref().map(|decision| decision.towards.clone());
    let other = other.or_else(|| {
        let on = done.on?;
        shared.options.trial.as_ref()?.other(by, on).cloned()
    });
    Some(Told {
        by: by.clone(),
        answer,
        other,
        seen,
        // Without a message there is nothing to be told of a decision but that it was made.
        why: decision
            .filter(|decision| decision.number.is_some())
            .map(|decision| plain(&decision.words)),
    })
}

/// The decision on what was done, as it is recorded; none where it cannot be read now.
pub(super) async fn decision(
    shared: &State,
    on: ConversationId,
    by: &MemberId,
    command: &CommandId,
) -> Option<Decision> {
    let wait = shared.options.view_wait;
    let past = shared.reads.past_within(wait, shared.options.past).await;
    let past = past.ok()?;
    let moment = past.moment(When::Now, now()).await.ok()?;
    let which = Which::Command(command.as_str().to_owned());
    let found = past.explain(on, &which, moment).await.ok()?;
    let mut decisions = found.value.into_iter();
    decisions.find(|decision| decision.by == *by)
}

/// The words of a decision without the marks around names of the wire.
pub(super) fn plain(words: &str) -> String {
    words.replace('`', "")
}

/// What the one who acted is told, and what the other sees.
const fn words(act: Act, outcome: Option<Outcome>) -> (&'static str, &'static str) {
    match (act, outcome) {
        (Act::Send, Some(Outcome::Inbox)) => ("sent, and no more.", "it is in the inbox."),
        (Act::Send, Some(Outcome::Request)) => (
            "sent, and no more.",
            "it waits on the doorstep, among the requests, until it is accepted, deleted or reported.",
        ),
        (Act::Send, Some(Outcome::Withheld)) => (
            "sent, exactly as if it had arrived.",
            "nothing, now or later.",
        ),
        (Act::Send, Some(Outcome::Refused)) => ("that it was refused.", "nothing."),
        (Act::Send, Some(Outcome::Done | Outcome::Unchanged) | None) => ("sent, and no more.", ""),
        (Act::Accept, _) => (
            "the conversation has moved to the inbox; what comes next arrives there at once.",
            "nothing: whether a request was read or accepted is not told, until somebody answers.",
        ),
        (Act::Delete, _) => (
            "the request is gone, and can be restored for 30 days.",
            "nothing. What they write within the cooldown, 7 days at first, is withheld, and told as sent.",
        ),
        (Act::DeleteFinal, _) => (
            "the request is gone until they themselves write, and can be restored for 30 days.",
            "nothing. What they write is withheld, and told as sent.",
        ),
        (Act::Restore, _) => ("the request is back, as it was.", "nothing."),
        (Act::Report, _) => (
            "the report is kept with copies of the messages, and a case waits at the moderators' desk.",
            "nothing, now or later. Taking the messages back changes nothing in the copies.",
        ),
        (Act::Block, _) => (
            "the conversation has left the inbox or the requests for those blocked.",
            "nothing: their inbox does not change, and what they write is told as sent, or refused as by anyone who takes no messages.",
        ),
        (Act::Unblock, _) => (
            "the block has ended; what it froze is back in its place.",
            "nothing.",
        ),
        (Act::Unsend, _) => (
            "the message is taken back.",
            "a place without words where it stood; in a request, nothing. What was reported of it stays.",
        ),
        (Act::MoveToRequests, _) => (
            "the conversation waits among the requests again.",
            "nothing.",
        ),
        (Act::Audience, _) => (
            "the setting is in force. Requests of those whom it refuses are frozen: gone from the folder, and back when it takes them again. Nothing else moves.",
            "",
        ),
        (Act::Appeal, _) => (
            "the appeal is with the moderators, and another one than before decides it.",
            "",
        ),
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn every_act_is_known_by_its_name() {
        for act in Act::ALL {
            assert_eq!(Act::named(act.as_str()), Some(act));
        }
        assert_eq!(Act::named("else"), None);
    }

    #[test]
    fn a_sender_is_told_alike_of_an_inbox_and_a_request() {
        let told = |outcome| words(Act::Send, Some(outcome)).0;
        assert_eq!(told(Outcome::Inbox), told(Outcome::Request));
    }
}
