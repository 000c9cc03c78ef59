//! What a member did and what others did towards them, as one list of plain statements, newest first.
//!
//! The member's own stream and the streams of their conversations, refusals among them, in the log's order. A statement
//! says who did what, to whom and where; what was written, reported or told stays in the log.

use domain::conversation::{self, AcceptMethod, DeleteMode, RelationshipKind, Route};
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::member;
use domain::time::Timestamp;
use event_store::{Position, RecordedEvent};

use super::{Moment, Past, PastError, gather};
use crate::Page;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The position of its event.
    pub position: Position,
    /// Its event's stored type.
    pub event_type: String,
    /// When.
    pub at: Timestamp,
    /// Who did it: a member, a moderator, the host, or the service itself.
    pub by: String,
    /// The member it was done to, if that is another.
    pub whom: Option<MemberId>,
    /// Where, if it happened in a conversation.
    pub conversation_id: Option<ConversationId>,
    /// The number of the message it is about, if it is about one.
    pub number: Option<u64>,
    /// The same in words.
    pub words: String,
}

/// Which part of a timeline is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelinePage {
    /// Statements at most.
    pub limit: usize,
    /// Those before this position; the newest where there is none.
    pub before: Option<Position>,
}

impl Past {
    /// A page of a member's timeline up to a moment, and the position before which the next one begins.
    pub async fn timeline(
        &self,
        member: &MemberId,
        moment: Moment,
        page: TimelinePage,
    ) -> Result<(Page<Statement>, Option<Position>), PastError> {
        let events = self
            .happened(member, Position::START, moment.position)
            .await?;
        let before = page.before.unwrap_or(Position(u64::MAX));
        let mut left = events
            .iter()
            .rev()
            .skip_while(|event| event.position() >= before);
        let mut items = Vec::new();
        for event in left.by_ref().take(page.limit) {
            items.push(statement("timeline", event)?);
        }
        let more = left.next().is_some();
        let next = items.last().filter(|_| more).map(|last| last.position);
        let page = Page {
            items,
            next: None,
            position: moment.position,
        };
        Ok((page, next))
    }

    /// The events of a member's own stream and of their conversations after a position, in order.
    pub(super) async fn happened(
        &self,
        member: &MemberId,
        after: Position,
        until: Position,
    ) -> Result<Vec<RecordedEvent>, PastError> {
        let mut streams: std::collections::BTreeSet<String> = self
            .conversations(member, until)?
            .iter()
            .map(|pair| conversation::stream(pair.conversation_id))
            .collect();
        streams.insert(member::stream(member));
        let mut gathered =
            gather::gather(self.log(), &streams, until, &|_| true, self.bounds).await?;
        gathered.events.retain(|event| event.position() > after);
        Ok(gathered.events)
    }
}

/// An event as a statement of what was asked for.
pub(super) fn statement(
    asked: &'static str,
    event: &RecordedEvent,
) -> Result<Statement, PastError> {
    let decoded = super::decoded(asked, event)?;
    let by = event.actor().to_owned();
    let whom = decoded
        .members()
        .into_iter()
        .flatten()
        .find(|member| member.as_str() != by)
        .cloned();
    Ok(Statement {
        position: event.position(),
        event_type: event.event_type().to_owned(),
        at: Timestamp(event.at_ms()),
        by,
        whom,
        conversation_id: crate::codec::conversation_of(event).ok(),
        number: number_of(&decoded),
        words: words_of(&decoded),
    })
}

fn number_of(event: &Event<'_>) -> Option<u64> {
    use conversation::Event as C;
    match event {
        Event::Conversation(event) => match event {
            C::MessageSent(event) => Some(event.number),
            C::MessageWithheld(event) => Some(event.number),
            C::MessageUnsent(event) => Some(event.number),
            C::ReadMarked(event) => Some(event.up_to),
            C::RequestOpened(event) => Some(event.number),
            C::RequestAccepted(_)
            | C::RequestDeleted(_)
            | C::RequestRestored(_)
            | C::RequestWithdrawn(_)
            | C::MovedToRequests(_)
            | C::ConversationMuted(_)
            | C::ConversationUnmuted(_)
            | C::MemberBlocked(_)
            | C::MemberUnblocked(_)
            | C::MessagesRemoved(_)
            | C::MessagesRestored(_)
            | C::RelationshipRecorded(_)
            | C::MessagesReported(_) => None,
        },
        Event::Member(_)
        | Event::Case(_)
        | Event::Policy(_)
        | Event::Reactor(_)
        | Event::Act(_)
        | Event::Refused(_)
        | Event::Unchanged(_) => None,
    }
}

fn words_of(event: &Event<'_>) -> String {
    match event {
        Event::Conversation(event) => between(event),
        Event::Member(event) => of_member(event),
        Event::Refused(refused) => {
            let rule = refused.evidence.and_then(|evidence| evidence.rule);
            let rule = rule.map_or(String::new(), |rule| format!(" by rule {rule}"));
            let towards = towards(refused.other.as_ref());
            format!(
                "{:?} of {}{towards} was refused{rule}, `{}`",
                refused.command,
                refused.by,
                refused.code.as_str()
            )
        }
        Event::Unchanged(unchanged) => {
            let towards = towards(unchanged.other.as_ref());
            format!(
                "{} of {}{towards} was so already, and changed nothing",
                unchanged.command, unchanged.by
            )
        }
        Event::Case(_) => "a moderators' file changed".to_owned(),
        Event::Policy(_) => "the rules were set".to_owned(),
        Event::Reactor(_) => "a reactor went on".to_owned(),
        Event::Act(act) if act.leaves_nothing() => "an auditor looked".to_owned(),
        Event::Act(_) => "a moderator decided on many cases at once".to_owned(),
    }
}

fn towards(other: Option<&MemberId>) -> String {
    other.map_or(String::new(), |other| format!(" towards {other}"))
}

fn between(event: &conversation::Event<'_>) -> String {
    use conversation::Event as C;
    match event {
        C::MessageSent(sent) => {
            let where_to = match sent.route {
                Route::Inbox => "into their inbox",
                Route::Request => "as a request",
            };
            format!(
                "{} sent message {} to {}, {where_to}",
                sent.from, sent.number, sent.to
            )
        }
        C::MessageWithheld(held) => format!(
            "{} sent message {} to {}, who never sees it",
            held.from, held.number, held.to
        ),
        C::RequestOpened(opened) if opened.reopened => {
            format!("a request of {} waits for {} again", opened.from, opened.to)
        }
        C::RequestOpened(opened) => {
            format!("a request of {} waits for {}", opened.from, opened.to)
        }
        C::RequestAccepted(accepted) => {
            let how = match accepted.method {
                AcceptMethod::Accept => "by command",
                AcceptMethod::Reply => "by a reply",
                AcceptMethod::Crossing => "as both knocked at once",
                AcceptMethod::Relationship => "as the audience came to let them in",
            };
            format!("{} accepted {}, {how}", accepted.by, accepted.from)
        }
        C::RequestDeleted(deleted) => {
            let how = match deleted.mode {
                DeleteMode::Quiet => "quietly",
                DeleteMode::Final => "for good",
            };
            format!(
                "{} deleted the request of {}, {how}",
                deleted.by, deleted.from
            )
        }
        C::RequestRestored(restored) => {
            format!("{} restored the request of {}", restored.by, restored.from)
        }
        C::RequestWithdrawn(withdrawn) => format!(
            "the request of {} to {} is withdrawn: all of it was unsent",
            withdrawn.from, withdrawn.to
        ),
        C::MovedToRequests(moved) => format!(
            "{} moved the thread with {} to the requests",
            moved.by, moved.from
        ),
        C::MessageUnsent(unsent) => format!("{} unsent message {}", unsent.by, unsent.number),
        C::MessagesRemoved(removed) => format!(
            "a decision of {} removed {} of {}'s messages",
            removed.by,
            removed.numbers.len(),
            removed.from
        ),
        C::MessagesRestored(restored) => format!(
            "{} reversed a decision: {} of {}'s messages are shown again",
            restored.by,
            restored.numbers.len(),
            restored.from
        ),
        C::ReadMarked(marked) => format!("{} has read up to message {}", marked.by, marked.up_to),
        C::ConversationMuted(muted) => {
            format!("{} muted the conversation with {}", muted.by, muted.other)
        }
        C::ConversationUnmuted(unmuted) => format!(
            "{} unmuted the conversation with {}",
            unmuted.by, unmuted.other
        ),
        C::MemberBlocked(blocked) => format!("{} blocked {}", blocked.by, blocked.other),
        C::MemberUnblocked(unblocked) => {
            format!("{} unblocked {}", unblocked.by, unblocked.other)
        }
        C::RelationshipRecorded(recorded) => {
            let (member, other) = (&recorded.member, &recorded.other);
            match recorded.kind {
                RelationshipKind::Follow => format!("{member} follows {other}"),
                RelationshipKind::Unfollow => format!("{member} no longer follows {other}"),
                RelationshipKind::Suggest => format!("{other} is suggested to {member}"),
                RelationshipKind::Unsuggest => {
                    format!("{other} is no longer suggested to {member}")
                }
            }
        }
        C::MessagesReported(reported) => format!(
            "{} reported {} of {}'s messages",
            reported.reporter,
            reported.messages.len(),
            reported.reported
        ),
    }
}

fn restriction_word(restriction: member::Restriction) -> &'static str {
    match restriction {
        member::Restriction::Suspension => "suspended",
        member::Restriction::Limit => "limited",
    }
}

fn of_member(event: &member::Event<'_>) -> String {
    use member::Event as M;
    let member = event.member();
    match event {
        M::MemberRegistered(_) => format!("{member} was registered"),
        M::AgeBandChanged(_) => format!("the age band of {member} changed"),
        M::DmSettingChanged(changed) => format!(
            "{member} lets `{}` write to them",
            super::explain::audience_word(changed.audience)
        ),
        M::MemberSuspended(suspended) => {
            format!(
                "{} suspended {member}, `{}`",
                suspended.by, suspended.reason
            )
        }
        M::MemberRestricted(restricted) => {
            let how = restriction_word(restricted.restriction);
            format!(
                "a decision of {} {how} {member}, `{}`",
                restricted.by, restricted.reason
            )
        }
        M::RestrictionEnded(ended) => {
            let how = restriction_word(ended.restriction);
            format!("a decision that {how} {member} came to its end")
        }
        M::RestrictionLifted(lifted) => {
            let how = restriction_word(lifted.restriction);
            format!("{} reversed a decision that {how} {member}", lifted.by)
        }
        M::MemberReinstated(reinstated) => {
            format!("{} ended the suspension of {member}", reinstated.by)
        }
        M::SuspensionEnded(_) => format!("the suspension of {member} came to its end"),
        M::RequestSlotTaken(_) => format!("{member} took a slot for a new request"),
        M::RequestSlotReturned(_) => format!("a slot of {member} for a new request came back"),
        M::ReportLimitSet(set) => format!(
            "{} lets {} reports of {member} a day count, `{}`",
            set.by, set.per_day, set.reason
        ),
        M::ReportLimitLifted(lifted) => {
            format!("{} lets all reports of {member} count again", lifted.by)
        }
        M::ReportLimitEnded(_) => format!("the limit of {member}'s reports came to its end"),
        M::ReportCounted(_) => format!("a report of {member} was counted"),
    }
}
