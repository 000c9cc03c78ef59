//! What one member sees: the very answers of the interface to them, cut to what a page takes.
//!
//! Each list is one page of its view; what is not shown is counted. A conversation that is open is shown as far as the
//! member may read it, with what they may do where it stands.

use domain::ids::{ConversationId, MemberId};
use domain::policy::Audience;
use domain::time::Timestamp;
use projections::{
    BlockItem, InboxItem, LIMIT_MAX, MessageItem, PageRequest, QueryError, ReportItem,
    ReportOutcome, ReportState, RequestItem,
};

use super::Trial;
use super::asked::{Asked, Slot};
use super::statements::{Statement, statement};
use crate::app::{State, now};
use crate::pages::shown::{When, category, count, word};
use crate::problem::ApiError;
use crate::words;

/// Items of a list that a page shows.
const SHOWN_MAX: usize = 8;
/// Messages of an open conversation that a page shows, the newest.
const MESSAGES_MAX: usize = 40;
/// Characters of a message in a list.
const GLANCE_CHARS_MAX: usize = 160;

/// One member's side.
pub(super) struct Side {
    pub(super) slot: &'static str,
    pub(super) member: MemberId,
    /// What is particular about them.
    pub(super) about: String,
    /// Since and until when they are suspended.
    pub(super) suspended: Option<Suspended>,
    pub(super) requests: Listed<Knock>,
    pub(super) inbox: Listed<Talk>,
    pub(super) open: Option<Open>,
    /// Whom the form writes to.
    pub(super) to: MemberId,
    pub(super) audiences: Vec<Choice>,
    pub(super) blocked: Listed<Blocked>,
    pub(super) reports: Listed<Report>,
    pub(super) statements: Listed<Statement>,
    /// The message that was sent and refused.
    pub(super) typed: Option<String>,
    /// Whether a choice of an audience was refused.
    pub(super) chooses: bool,
}

/// The first items of a list, and what is left out.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    /// How many there are, in words; at most so many as a page of the view has.
    pub(super) count: String,
    /// How many are not shown, in words.
    pub(super) more: Option<String>,
}

impl<T> Listed<T> {
    fn of<U>(all: Vec<U>, item: impl Fn(U) -> T) -> Self {
        let (number, left) = (all.len(), all.len().saturating_sub(SHOWN_MAX));
        Listed {
            items: all.into_iter().take(SHOWN_MAX).map(item).collect(),
            count: if number >= LIMIT_MAX {
                format!("{LIMIT_MAX} or more")
            } else {
                number.to_string()
            },
            more: (left > 0).then(|| format!("{left} more, not shown here")),
        }
    }
}

/// A suspension.
pub(super) struct Suspended {
    pub(super) since: When,
    /// None for good.
    pub(super) until: Option<When>,
}

/// A request.
pub(super) struct Knock {
    pub(super) cid: ConversationId,
    pub(super) with: MemberId,
    pub(super) glance: Glance,
    pub(super) messages: String,
    pub(super) href: String,
    /// What is known between the two.
    pub(super) known: Option<&'static str>,
}

/// A conversation in the inbox.
pub(super) struct Talk {
    pub(super) with: MemberId,
    pub(super) glance: Glance,
    pub(super) unread: Option<String>,
    pub(super) href: String,
    pub(super) is_open: bool,
}

/// The last message of a conversation, cut to a glance.
pub(super) struct Glance {
    pub(super) own: bool,
    /// None where it was taken back or removed.
    pub(super) text: Option<String>,
    pub(super) at: When,
}

/// Where an open conversation stands for who reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It waits on the doorstep.
    Request,
    /// It is in the inbox.
    Inbox,
    /// The other is blocked.
    Blocked,
    /// It is in no folder: deleted, or frozen.
    Nowhere,
}

/// The open conversation.
pub(super) struct Open {
    pub(super) cid: ConversationId,
    pub(super) with: MemberId,
    pub(super) standing: Standing,
    pub(super) messages: Vec<Message>,
    /// Whether there are older ones.
    pub(super) more: bool,
    /// Whether there is anything to report.
    pub(super) reportable: bool,
    pub(super) close: String,
    pub(super) categories: Vec<Choice>,
    /// What may be done with a report.
    pub(super) also: Vec<Choice>,
    /// The comment of a report that was sent and refused.
    pub(super) comment: String,
    /// Whether there was one.
    pub(super) returned: bool,
}

impl Open {
    pub(super) fn is_request(&self) -> bool {
        self.standing == Standing::Request
    }

    pub(super) fn is_in_inbox(&self) -> bool {
        self.standing == Standing::Inbox
    }

    pub(super) fn is_nowhere(&self) -> bool {
        self.standing == Standing::Nowhere
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.standing == Standing::Blocked
    }
}

/// A message.
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) own: bool,
    pub(super) text: Option<String>,
    pub(super) at: When,
    /// Whether it is chosen for a report: the newest of the other's, unless others were sent.
    pub(super) chosen: bool,
    /// Why there is no text.
    pub(super) gone: &'static str,
}

/// Something to choose.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) chosen: bool,
}

/// A blocked member.
pub(super) struct Blocked {
    pub(super) member: MemberId,
    pub(super) since: When,
    pub(super) href: Option<String>,
}

/// A report that the member made.
pub(super) struct Report {
    pub(super) member: MemberId,
    pub(super) category: &'static str,
    pub(super) at: When,
    pub(super) became: &'static str,
}

/// What a member sees.
pub(super) async fn side(
    shared: &State,
    trial: &Trial,
    asked: &Asked,
    slot: Slot,
) -> Result<Side, ApiError> {
    let member = slot.of(&asked.members);
    let whole = PageRequest::first(LIMIT_MAX)?;
    let known = shared.reads.member(member).await?.value;
    let requests = shared.reads.requests(member, &whole).await?.items;
    let inbox = shared.reads.inbox(member, &whole).await?.items;
    let blocks = shared.reads.blocks(member, &whole, now()).await?.items;
    let reports = shared.reads.my_reports(member, &whole).await?.items;
    let decisions = shared.reads.my_decisions(member, &whole).await?.items;
    let open = match *slot.of(&asked.open) {
        Some(cid) => {
            let standing = standing(cid, &requests, &inbox, &blocks);
            open(shared, trial, asked, slot, cid, standing).await?
        }
        None => None,
    };
    let about = trial.members.iter().find(|known| known.id == *member);
    let other = slot.other().of(&asked.members);
    Ok(Side {
        slot: slot.as_str(),
        about: about.map(|known| known.about.clone()).unwrap_or_default(),
        suspended: known.suspension.map(|suspension| Suspended {
            since: When(suspension.since),
            until: suspension.until.map(When),
        }),
        to: open
            .as_ref()
            .map_or_else(|| other.clone(), |open| open.with.clone()),
        requests: Listed::of(requests, |item| knock(asked, slot, item)),
        inbox: Listed::of(inbox, |item| talk(asked, slot, member, item)),
        blocked: Listed::of(blocks, |item| blocked(asked, slot, item)),
        reports: Listed::of(reports, report),
        statements: Listed::of(decisions, |decision| statement(decision, now())),
        audiences: audiences(known.dm_setting.audience),
        open,
        typed: None,
        chooses: false,
        member: member.clone(),
    })
}

fn standing(
    cid: ConversationId,
    requests: &[RequestItem],
    inbox: &[InboxItem],
    blocks: &[BlockItem],
) -> Standing {
    if blocks.iter().any(|item| item.conversation_id == Some(cid)) {
        Standing::Blocked
    } else if requests.iter().any(|item| item.conversation_id == cid) {
        Standing::Request
    } else if inbox.iter().any(|item| item.conversation_id == cid) {
        Standing::Inbox
    } else {
        Standing::Nowhere
    }
}

async fn open(
    shared: &State,
    trial: &Trial,
    asked: &Asked,
    slot: Slot,
    cid: ConversationId,
    standing: Standing,
) -> Result<Option<Open>, ApiError> {
    let member = slot.of(&asked.members);
    let Some(with) = trial.other(member, cid) else {
        return Ok(None);
    };
    let newest = PageRequest::first(MESSAGES_MAX)?;
    let page = match shared.reads.messages(member, cid, &newest, now()).await {
        Ok(page) => page,
        // It is not there for them, or not any more.
        Err(QueryError::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let messages = page.items.into_iter().rev();
    let mut messages: Vec<Message> = messages.map(|item| message(member, item)).collect();
    if let Some(newest) = messages.iter_mut().rev().find(|message| !message.own) {
        newest.chosen = true;
    }
    Ok(Some(Open {
        cid,
        with: with.clone(),
        standing,
        reportable: messages.iter().any(|message| !message.own),
        messages,
        more: page.next.is_some(),
        close: asked.opening(slot, None).address(),
        categories: categories(),
        also: also(with),
        comment: String::new(),
        returned: false,
    }))
}

fn knock(asked: &Asked, slot: Slot, item: RequestItem) -> Knock {
    let related = item.relationship;
    Knock {
        cid: item.conversation_id,
        glance: glance(false, item.last_message.text, item.last_message.sent_at),
        messages: count(item.messages, "message", "messages"),
        href: asked.opening(slot, Some(item.conversation_id)).address(),
        known: match (related.you_follow, related.follows_you, related.suggested) {
            (true, true, _) => Some("You follow each other."),
            (true, false, _) => Some("You follow them."),
            (false, true, _) => Some("They follow you."),
            (false, false, true) => Some("They are suggested to you."),
            (false, false, false) => None,
        },
        with: item.with,
    }
}

fn talk(asked: &Asked, slot: Slot, member: &MemberId, item: InboxItem) -> Talk {
    let last = item.last_message;
    Talk {
        glance: glance(last.from == *member, last.text, last.sent_at),
        unread: (item.unread > 0).then(|| format!("{} unread", item.unread)),
        href: asked.opening(slot, Some(item.conversation_id)).address(),
        is_open: *slot.of(&asked.open) == Some(item.conversation_id),
        with: item.with,
    }
}

fn glance(own: bool, text: Option<String>, at: Timestamp) -> Glance {
    let text = text.map(|text| match text.char_indices().nth(GLANCE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    });
    Glance {
        own,
        text,
        at: When(at),
    }
}

fn message(member: &MemberId, item: MessageItem) -> Message {
    Message {
        number: item.number,
        own: item.from == *member,
        gone: if item.removed_at.is_some() {
            "Removed by the moderators."
        } else {
            "Taken back."
        },
        text: item.text,
        at: When(item.sent_at),
        chosen: false,
    }
}

fn blocked(asked: &Asked, slot: Slot, item: BlockItem) -> Blocked {
    Blocked {
        member: item.member,
        since: When(item.since),
        href: item
            .conversation_id
            .map(|cid| asked.opening(slot, Some(cid)).address()),
    }
}

fn report(item: ReportItem) -> Report {
    Report {
        member: item.member,
        category: category(item.category),
        at: When(item.reported_at),
        became: match (item.state, item.outcome) {
            (ReportState::Open, _) => "the moderators have it",
            (ReportState::Decided, None) => "decided",
            (ReportState::Decided, Some(ReportOutcome::ActedOn)) => "something was done about it",
            (ReportState::Decided, Some(ReportOutcome::NotActedOn)) => "nothing was done about it",
            (ReportState::Decided, Some(ReportOutcome::Reversed)) => {
                "what was done about it was taken back"
            }
        },
    }
}

fn audiences(chosen: Audience) -> Vec<Choice> {
    let all = [
        (Audience::Everyone, "Everyone; who is not followed knocks"),
        (Audience::Following, "Whom they follow"),
        (
            Audience::FriendsAndSuggested,
            "Friends, and whom the app suggests",
        ),
        (Audience::Friends, "Friends alone"),
        (Audience::NoOne, "Nobody"),
    ];
    let choices = all.into_iter().map(|(audience, text)| Choice {
        value: word(&words::Audience::from(audience)),
        text: text.to_owned(),
        chosen: audience == chosen,
    });
    choices.collect()
}

fn also(with: &MemberId) -> Vec<Choice> {
    let all = [
        (words::Also::None, "nothing else".to_owned()),
        (words::Also::Delete, "delete the request".to_owned()),
        (words::Also::Block, format!("block {with}")),
    ];
    let choices = all.into_iter().map(|(also, text)| Choice {
        chosen: matches!(also, words::Also::None),
        value: word(&also),
        text,
    });
    choices.collect()
}

fn categories() -> Vec<Choice> {
    use domain::case::Category as C;
    let all = [
        C::Spam,
        C::Scam,
        C::Harassment,
        C::Hate,
        C::SexualContent,
        C::MinorSafety,
        C::Violence,
        C::SelfHarm,
        C::Impersonation,
        C::IllegalGoods,
        C::Other,
    ];
    let choices = all.into_iter().map(|of| Choice {
        value: word(&words::Category::from(of)),
        text: category(of).to_owned(),
        chosen: of == C::Spam,
    });
    choices.collect()
}
