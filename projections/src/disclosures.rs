//! `disclosures`: who was shown what is a member's, when, and what for?
//!
//! Key: the member, then the position of the look, falling; the row names the event, a moderator's in its case's stream
//! or an auditor's in their own. What was shown and why is read from there. A look at something between two members stands
//! with both. Bound: two rows per look.
//!
//! Where a look is set aside, the ledgers of those it concerns are not whole, and nobody is told one without it.

use domain::act::Looked;
use domain::case::ShownMessages;
use domain::event::Event;
use domain::ids::{CaseId, ConversationId, MemberId, ReasonCode};
use domain::time::Timestamp;
use domain::{act, case, member};
use event_store::{EventStore, Position, RecordedEvent, StreamName};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Letter, Span, Tx, View, WaitKey};

use crate::codec::DomainCodec;
use crate::rows::{decode, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, PastError, QueryError, ViewName};

const ROWS: &str = "rows";

/// A look at what is a member's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureItem {
    /// Who looked.
    pub by: MemberId,
    /// As what.
    pub role: LookedAs,
    /// When.
    pub at: Timestamp,
    /// What for.
    pub purpose: ReasonCode,
    /// What was looked at; of a list the whole list.
    pub looked: Looked,
    /// The moderators' file.
    pub case_id: Option<CaseId>,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// The other member whose it is as well.
    pub with: Option<MemberId>,
    /// Which messages a moderators' file showed; absent in old events.
    pub shown: Option<ShownMessages>,
    /// The time of the earlier moment that it was compared with.
    pub from: Option<Timestamp>,
    /// The time of the moment it was shown as of; none for the present one.
    pub as_of: Option<Timestamp>,
}

/// As what somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedAs {
    /// At a case that they had to decide.
    Moderator,
    /// By audit.
    Auditor,
}

/// Where the event of a look stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    stream: Stream,
    version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stream {
    Case(CaseId),
    Auditor(MemberId),
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disclosures;

impl View<DomainCodec> for Disclosures {
    fn name(&self) -> &'static str {
        ViewName::Disclosures.as_str()
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Look])
    }

    /// No look changes the row of another; the members are named so that it is known whose ledger is not whole.
    fn keys(&self, event: &RecordedEvent, _decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        let members = event.members();
        members
            .map(|id| WaitKey::Reads(format!("member-{id}")))
            .collect()
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        let (stream, members) = match decoded {
            Event::Case(event @ case::Event::ContentDisclosed(_)) => {
                let id = recorded.stream().strip_prefix("case-");
                let case = id.and_then(|id| id.parse().ok()).ok_or_else(|| {
                    ApplyError::event(anyhow::anyhow!("a look at a case stands elsewhere"))
                })?;
                (Stream::Case(case), event.members())
            }
            Event::Act(event @ act::Event::ContentDisclosed(disclosed)) => {
                (Stream::Auditor(disclosed.by.clone()), event.members())
            }
            Event::Case(_)
            | Event::Act(_)
            | Event::Conversation(_)
            | Event::Member(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => return Ok(()),
        };
        let version = recorded.version();
        let row = Row { stream, version };
        for member in members.into_iter().flatten() {
            let key = key(member).u64_desc(recorded.position().0);
            store(tx, ROWS, &key, &row)?;
        }
        Ok(())
    }
}

fn key(member: &MemberId) -> Key {
    Key::new().text(member.as_str())
}

/// Whether the ledger of a member is not whole while this event is set aside.
fn concerns(letter: &Letter, member: &MemberId) -> bool {
    let own = WaitKey::Reads(member::stream(member));
    letter.keys.is_empty() || letter.keys.contains(&own)
}

impl Row {
    async fn into_item(
        self,
        log: &dyn EventStore,
        member: &MemberId,
    ) -> anyhow::Result<DisclosureItem> {
        let name = match &self.stream {
            Stream::Case(case) => case::stream(*case),
            Stream::Auditor(auditor) => act::stream(auditor),
        };
        let event = log.read_one(&StreamName::new(name)?, self.version).await?;
        let event = event.ok_or_else(|| anyhow::anyhow!("the log has no such look"))?;
        let decoded = domain::codec::decode(event.event_type(), event.data())?;
        let others = decoded.members().map(Option::<&MemberId>::cloned);
        let with = others.into_iter().flatten().find(|other| other != member);
        let at = Timestamp(event.at_ms());
        match self.stream {
            Stream::Case(case) => {
                let Event::Case(case::Event::ContentDisclosed(look)) = decoded else {
                    anyhow::bail!("the event of a moderator's look is none");
                };
                Ok(DisclosureItem {
                    by: look.by,
                    role: LookedAs::Moderator,
                    at,
                    purpose: look.purpose,
                    looked: Looked::Case,
                    case_id: Some(case),
                    conversation_id: look.conversation,
                    with,
                    shown: look.shown,
                    from: None,
                    as_of: None,
                })
            }
            Stream::Auditor(_) => {
                let Event::Act(act::Event::ContentDisclosed(look)) = decoded else {
                    anyhow::bail!("the event of an auditor's look is none");
                };
                Ok(DisclosureItem {
                    by: look.by,
                    role: LookedAs::Auditor,
                    at,
                    purpose: look.purpose,
                    looked: look.looked,
                    case_id: look.case,
                    conversation_id: look.conversation,
                    with,
                    shown: look.shown,
                    from: look.from,
                    as_of: look.as_of,
                })
            }
        }
    }
}

/// A page of the looks at what is a member's, up to a position, the latest first.
pub(crate) async fn query(
    reads: &dyn Views,
    member: &MemberId,
    until: Position,
    page: &PageRequest,
) -> Result<Page<DisclosureItem>, PastError> {
    const VIEW: ViewName = ViewName::Disclosures;
    let reader = reads.reader(VIEW)?;
    let mut missing = reader.letters();
    if let Some(letter) =
        missing.find(|letter| letter.position <= until && concerns(letter, member))
    {
        return Err(PastError::set_aside(VIEW.as_str(), letter));
    }
    drop(missing);
    let prefix = key(member);
    let span = Span::prefix(&prefix).from(&prefix.clone().u64_desc(until.0));
    let page = Page::within(&reader, (ROWS, &prefix, span), page, VIEW, |bytes| {
        decode::<Row>(ROWS, bytes)
    })?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let item = row.into_item(reads.log(), member).await;
        items.push(item.map_err(QueryError::from)?);
    }
    Ok(Page {
        items,
        next: page.next,
        position: page.position,
    })
}
