//! What was known of a member or a conversation as of a moment, as one document: what `doorstep audit` prints.
//!
//! The items have the shapes of `/v1/audit/…`, and the names of its routes; lists are whole. For a log at rest the
//! documents are made here; of a running service the program puts the same together from the answers.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::{EventStore, Position};
use projections::{
    AsOf, Cursor, LIMIT_MAX, Moment, Options, PageRequest, Past, PastError, ReadSide, Subject,
    ViewName, When,
};
use serde_json::{Value, json};

use crate::caller::ShownPosition;
use crate::routes::audit::disclosures::Disclosure;
use crate::routes::audit::shapes::{Changes, Pair};
use crate::routes::blocks::Block;
use crate::routes::dm_setting::DmSetting;
use crate::routes::inbox::InboxEntry;
use crate::routes::messages::ShownMessage;
use crate::routes::requests::Request;
use crate::routes::unread::Unread;

/// How long views of a log at rest may take to come to its end.
const AT_REST: Duration = Duration::from_hours(1);

/// The moment that a text names: a position, or a time of RFC 3339; none where it is neither.
pub fn when(text: &str) -> Option<When> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let position = text.parse().ok().filter(|_| digits).map(Position);
    position
        .map(When::At)
        .or_else(|| crate::time::parse(text).map(|at| When::Time(Timestamp(at))))
}

/// A list whole, each item in its shape.
macro_rules! whole {
    ($shape:ty, $page:ident => $query:expr) => {{
        let (mut items, mut cursor): (Vec<Value>, Option<Cursor>) = (Vec::new(), None);
        loop {
            let $page = PageRequest::new(LIMIT_MAX, cursor)?;
            let found = $query?;
            items.extend(
                found
                    .items
                    .into_iter()
                    .map(|item| json!(<$shape>::from(item))),
            );
            cursor = found.next;
            if cursor.is_none() {
                break items;
            }
        }
    }};
}

/// What a member had before them.
pub async fn member(past: &Past, member: &MemberId, moment: Moment) -> Result<Value, PastError> {
    let views = [
        ViewName::Members,
        ViewName::Inbox,
        ViewName::Requests,
        ViewName::Unread,
        ViewName::Blocked,
    ];
    let subject = Subject::Member(member.clone());
    let rows: AsOf = past.as_of(&subject, &views, moment).await?;
    let setting = rows.member(member).await?.value.dm_setting;
    let position = ShownPosition::Number(setting.position.0);
    Ok(json!({
        "member": member.as_str(),
        "position": moment.position.0,
        "dm_setting": DmSetting::shown(&setting, position),
        "unread": Unread::from(rows.unread(member).await?.value),
        "inbox": whole!(InboxEntry, page => rows.inbox(member, &page).await),
        "requests": whole!(Request, page => rows.requests(member, &page).await),
        "blocks": whole!(Block, page => rows.blocks(member, &page).await),
    }))
}

/// Who was shown what is a member's, by a log at rest.
pub async fn disclosures(log: Arc<dyn EventStore>, member: &MemberId) -> Result<Value, PastError> {
    let needed = [ViewName::Members, ViewName::Disclosures];
    let mut views = projections::views();
    views.retain(|view| needed.iter().any(|it| it.as_str() == view.name()));
    let options = Options {
        own: Vec::new(),
        ..Options::in_memory()
    };
    let end = log.durable_position();
    let reads = ReadSide::open_with(options, log, views).await?;
    for view in needed {
        reads.wait(view, end, AT_REST).await?;
    }
    reads.member(member).await?;
    let items = whole!(Disclosure, page => reads.disclosures(member, end, &page).await);
    reads.stop().await?;
    Ok(json!({ "member": member.as_str(), "position": end.0, "disclosures": items }))
}

/// What was said and known in a conversation.
pub async fn conversation(
    past: &Past,
    id: ConversationId,
    moment: Moment,
) -> Result<Value, PastError> {
    let subject = Subject::Conversation(id);
    let facts = past.relationship(id, moment).await?.value;
    let rows = past
        .as_of(&subject, &[ViewName::Conversation], moment)
        .await?;
    let messages = if facts.messages == 0 {
        Vec::new()
    } else {
        whole!(ShownMessage, page => rows.all_messages(id, &page).await)
    };
    Ok(json!({
        "conversation_id": id.to_string(),
        "position": moment.position.0,
        "relationship": Pair::from(facts),
        "messages": messages,
    }))
}

/// What changed from one moment to another.
pub async fn diff(
    past: &Past,
    subject: &Subject,
    from: Moment,
    to: Moment,
) -> Result<Value, PastError> {
    Ok(json!(Changes::from(past.diff(subject, from, to).await?)))
}
