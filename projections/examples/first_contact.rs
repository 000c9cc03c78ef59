//! `first_contact`: of the first contacts that came to a member in a week, how many has the member accepted?
//!
//! The worked example of a view of one's own, whole: this file and one line in `projections/src/own.rs` are all of it.
//!
//! A first contact is a request that was opened by the very first message between two members. It counts for its recipient,
//! in the ISO week (UTC) in which it was opened, and stays in that week: what becomes of it later changes the older row. It
//! stands in exactly one of four counts, as the request stands now: `pending` (frozen or not, also after it was restored,
//! reopened or moved back to the requests), `accepted` (by the recipient, by an answer, by crossing or by relationship),
//! `deleted` or `withdrawn`. `reported` counts beside them those whose recipient reported a message of the sender's. What is
//! withheld opens no request and counts nowhere. The acceptance rate is `accepted` of `first_contacts`, two whole numbers.
//!
//! Rows: by member and week, and the same by week and member. Beside them what is known of each first contact, by sender
//! and recipient. Bound: a row per first contact, two per member and week.
//!
//! `cargo run -p projections --example first_contact` folds a handful of events and prints the rows.

use domain::conversation::Event as Conversation;
use domain::event::Event;
use domain::ids::MemberId;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use projections::rows::{decode, load, store};
use projections::{DomainCodec, IsoWeek, List, OwnView, Part, Staff};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tables::key::Key;
use tables::{ApplyError, Tx, View};

const BY_MEMBER: &str = "by_member";
const BY_WEEK: &str = "by_week";
const CONTACTS: &str = "contacts";

/// `?member=ann`, `?member=ann&week_from=2004-W05`, `?week=2004-W05`: each is one range of one of these tables.
const LISTS: &[List] = &[
    List {
        table: BY_MEMBER,
        key: &[Part::member("member"), Part::week("week")],
    },
    List {
        table: BY_WEEK,
        key: &[Part::week("week"), Part::member("member")],
    },
];

/// A member's week: as it is stored, and as it is served.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    member: MemberId,
    week: IsoWeek,
    first_contacts: u64,
    accepted: u64,
    deleted: u64,
    withdrawn: u64,
    pending: u64,
    reported: u64,
}

/// A first contact: when it came, and how it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contact {
    week: IsoWeek,
    stands: Stands,
    reported: bool,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stands {
    Pending,
    Accepted,
    Deleted,
    Withdrawn,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstContact;

impl View<DomainCodec> for FirstContact {
    fn name(&self) -> &'static str {
        "first_contact"
    }

    /// Raised whenever a row's shape or meaning changes: the view is then built anew.
    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[BY_MEMBER, BY_WEEK, CONTACTS]
    }

    fn wants(&self, event_type: &str) -> bool {
        matches!(
            domain::codec::name(event_type),
            "request-opened"
                | "request-accepted"
                | "request-deleted"
                | "request-restored"
                | "request-withdrawn"
                | "moved-to-requests"
                | "messages-reported"
        )
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        let Event::Conversation(event) = decoded else {
            return Ok(());
        };
        // Each names who knocked, at whose door, and what became of it. No event is left out: a new one does not build
        // before somebody has thought of it here and in `wants`.
        match event {
            Conversation::RequestOpened(it) if it.number == 1 => {
                let week = IsoWeek::of(Timestamp(recorded.at_ms()));
                came(tx, &it.from, &it.to, week)
            }
            Conversation::RequestOpened(it) => stands(tx, &it.from, &it.to, Stands::Pending),
            Conversation::RequestAccepted(it) => stands(tx, &it.from, &it.by, Stands::Accepted),
            Conversation::RequestDeleted(it) => stands(tx, &it.from, &it.by, Stands::Deleted),
            Conversation::RequestRestored(it) => stands(tx, &it.from, &it.by, Stands::Pending),
            Conversation::RequestWithdrawn(it) => stands(tx, &it.from, &it.to, Stands::Withdrawn),
            Conversation::MovedToRequests(it) => stands(tx, &it.from, &it.by, Stands::Pending),
            Conversation::MessagesReported(it) => {
                changes(tx, &it.reported, &it.reporter, |contact| {
                    contact.reported = true;
                })
            }
            Conversation::MessageSent(_)
            | Conversation::MessageWithheld(_)
            | Conversation::MessageUnsent(_)
            | Conversation::ReadMarked(_)
            | Conversation::ConversationMuted(_)
            | Conversation::ConversationUnmuted(_)
            | Conversation::MemberBlocked(_)
            | Conversation::MemberUnblocked(_)
            | Conversation::MessagesRemoved(_)
            | Conversation::MessagesRestored(_)
            | Conversation::RelationshipRecorded(_) => Ok(()),
        }
    }
}

impl OwnView for FirstContact {
    fn lists(&self) -> &'static [List] {
        LISTS
    }

    fn readers(&self) -> &'static [Staff] {
        &[Staff::Service, Staff::Auditor]
    }

    fn item(&self, _key: &[u8], row: &[u8]) -> anyhow::Result<Box<RawValue>> {
        let row: Row = decode(BY_MEMBER, row)?;
        Ok(to_raw_value(&row)?)
    }
}

/// A first contact came in.
fn came(tx: &mut Tx<'_>, from: &MemberId, to: &MemberId, week: IsoWeek) -> Result<(), ApplyError> {
    let contact = Contact {
        week,
        stands: Stands::Pending,
        reported: false,
    };
    store(tx, CONTACTS, &of_contact(from, to), &contact)?;
    count(tx, to, None, &contact)
}

/// It stands otherwise.
fn stands(
    tx: &mut Tx<'_>,
    from: &MemberId,
    to: &MemberId,
    stands: Stands,
) -> Result<(), ApplyError> {
    changes(tx, from, to, |contact| contact.stands = stands)
}

/// Something of it changes. A request that was opened by a later message is no first contact, and has no row.
fn changes(
    tx: &mut Tx<'_>,
    from: &MemberId,
    to: &MemberId,
    change: impl FnOnce(&mut Contact),
) -> Result<(), ApplyError> {
    let key = of_contact(from, to);
    let Some(before) = load::<Contact>(tx, CONTACTS, &key)? else {
        return Ok(());
    };
    let mut after = before.clone();
    change(&mut after);
    store(tx, CONTACTS, &key, &after)?;
    count(tx, to, Some(&before), &after)
}

/// Brings the member's week from how the contact stood to how it stands.
fn count(
    tx: &mut Tx<'_>,
    member: &MemberId,
    before: Option<&Contact>,
    after: &Contact,
) -> Result<(), ApplyError> {
    let week = after.week.to_string();
    let by_member = Key::new().text(member.as_str()).text(&week);
    let by_week = Key::new().text(&week).text(member.as_str());
    let row = load(tx, BY_MEMBER, &by_member)?;
    let mut row = row.unwrap_or_else(|| Row::empty(member.clone(), after.week));
    match before {
        None => row.first_contacts += 1,
        Some(before) => *row.count_of(before.stands) -= 1,
    }
    *row.count_of(after.stands) += 1;
    if after.reported && before.is_some_and(|before| !before.reported) {
        row.reported += 1;
    }
    store(tx, BY_MEMBER, &by_member, &row)?;
    store(tx, BY_WEEK, &by_week, &row)
}

fn of_contact(from: &MemberId, to: &MemberId) -> Key {
    Key::new().text(from.as_str()).text(to.as_str())
}

impl Row {
    fn empty(member: MemberId, week: IsoWeek) -> Self {
        Self {
            member,
            week,
            first_contacts: 0,
            accepted: 0,
            deleted: 0,
            withdrawn: 0,
            pending: 0,
            reported: 0,
        }
    }

    fn count_of(&mut self, stands: Stands) -> &mut u64 {
        match stands {
            Stands::Pending => &mut self.pending,
            Stands::Accepted => &mut self.accepted,
            Stands::Deleted => &mut self.deleted,
            Stands::Withdrawn => &mut self.withdrawn,
        }
    }
}

/// What happened to ann, by days after Monday 5 January 2004: events as the log has them.
const STORY: &[(i64, &str, &str)] = &[
    (
        0,
        "request-opened.v1",
        r#"{"from":"bob","to":"ann","number":1,"reopened":false,"relationship":{"recipient_follows":false,"sender_follows":true,"suggested":false}}"#,
    ),
    (
        2,
        "request-opened.v1",
        r#"{"from":"cat","to":"ann","number":1,"reopened":false,"relationship":{"recipient_follows":false,"sender_follows":false,"suggested":false}}"#,
    ),
    (
        7,
        "request-opened.v1",
        r#"{"from":"dan","to":"ann","number":1,"reopened":false,"relationship":{"recipient_follows":false,"sender_follows":false,"suggested":false}}"#,
    ),
    // The answer comes a week later, and counts in the week of the question.
    (
        8,
        "request-accepted.v1",
        r#"{"by":"ann","from":"bob","method":"reply"}"#,
    ),
    (
        9,
        "request-deleted.v1",
        r#"{"by":"ann","from":"dan","mode":"quiet","after":0,"up_to":1,"restorable_until":1076630400000,"policy_version":0}"#,
    ),
];

/// Folds the story through the view, as the service does with its log, and prints the rows as they are served.
fn main() -> anyhow::Result<()> {
    use domain::time::DAY_MS;
    use event_store::{LogId, Members, NewEvent, Position, StreamName};
    use tables::{Fold, Order, Span};
    use uuid::Uuid;

    const MONDAY_MS: i64 = 12_422 * DAY_MS;

    let stream = StreamName::new("conversation-of-the-example")?;
    let mut events = Vec::new();
    for ((day, event_type, data), position) in STORY.iter().zip(1..) {
        println!("day {day}: {event_type} {data}");
        let at_ms = MONDAY_MS + day * DAY_MS;
        let new = NewEvent {
            event_id: Uuid::from_u128(position),
            event_type: (*event_type).into(),
            at_ms,
            command_id: "a-command".into(),
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "somebody".into(),
            members: Members::none(),
            last_number: None,
            data: (*data).into(),
        };
        let position = u64::try_from(position)?;
        let recorded =
            RecordedEvent::record(Position(position), at_ms, &stream, position - 1, &new);
        events.push(recorded);
    }
    let mut fold = Fold::new(&FirstContact);
    fold.apply_all(&DomainCodec, &events)?;
    let rows = fold.into_reader(LogId(Uuid::nil()));
    println!("\nGET /v1/views/first_contact");
    for row in rows.scan(BY_MEMBER, &Span::all(), Order::Ascending)? {
        let (key, row) = row?;
        println!("{}", FirstContact.item(&key, &row)?);
    }
    Ok(())
}
