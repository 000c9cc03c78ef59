//! `/desk/queue`: the cases that wait, the most urgent first, as `GET /v1/moderation/queue` answers them: none of who looks.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use domain::case::{Category, PriorityInputs};
use domain::ids::MemberId;
use domain::time::Timestamp;
use projections::{CaseState, QueueFilter, QueueItem, QueueSort, ViewName};

use super::counts::Counts;
use super::session::Seat;
use crate::app::State;
use crate::caller::AsModerator;
use crate::pages::alert::{Alert, Named};
use crate::pages::filled::Filled;
use crate::pages::form::{Fields, encoded};
use crate::pages::shown::{self, When, category, count};
use crate::pages::{Frame, html};
use crate::problem::{ApiError, Code};
use crate::query::Paging;
use crate::words;

const VIEW: ViewName = ViewName::ModerationQueue;
/// Cases of a page.
const ITEMS_MAX: usize = 25;
/// The word for cases with an appeal that waits, whatever their state.
pub(super) const APPEALED: &str = "appealed";
/// From so many on it is said at first sight that many members reported the same one.
const REPORTERS_MANY: u32 = 3;
/// What the filter keeps in the links of a page.
const FILTERS: [&str; 7] = [
    "state",
    "category",
    "member",
    "claimed_by",
    "opened_after",
    "opened_before",
    "sort",
];

/// The fields of the filter, as the page calls them.
const FIELDS: [Named<'static>; 7] = [
    ("state", "state", "State"),
    ("category", "category", "Category"),
    ("member", "member", "Reported member"),
    ("claimed_by", "claimed_by", "Held by"),
    ("opened_after", "opened_after", "Opened from"),
    ("opened_before", "opened_before", "Opened before"),
    ("sort", "sort", "Order"),
];

#[derive(Template)]
#[template(path = "desk/queue.html")]
struct Page {
    frame: Frame,
    csrf: String,
    /// What is wrong with the filter.
    problem: Option<Alert>,
    /// How many cases there are; none where the filter is wrong.
    counts: Option<Counts>,
    /// Whether the filter names anything.
    filtered: bool,
    states: Vec<Choice>,
    categories: Vec<Choice>,
    sorts: Vec<Choice>,
    member: String,
    claimed_by: String,
    opened_after: String,
    opened_before: String,
    items: Vec<Item>,
    next: Option<String>,
    /// Whether it is not the first page.
    later: bool,
    /// Where the first page of this filter is.
    first: String,
}

impl Page {
    /// Whether this field is wrong.
    fn is_wrong(&self, field: &str) -> bool {
        self.problem
            .as_ref()
            .is_some_and(|alert| alert.is_at(field))
    }
}

/// A choice of a list.
struct Choice {
    value: String,
    text: &'static str,
    chosen: bool,
}

/// A case as a line.
struct Item {
    id: String,
    /// The id of the command, if it is claimed here.
    key: String,
    may_claim: bool,
    member: String,
    state: &'static str,
    categories: String,
    reports: String,
    /// How many members reported this one, where that is many.
    many: Option<u32>,
    why: Vec<String>,
    opened_at: When,
    /// Whether it is of reports, and not of a suspension by hand.
    reported: bool,
    held: Option<Held>,
    escalated_by: Option<String>,
    appealed_at: Option<When>,
}

/// Who holds a case.
pub(super) struct Held {
    /// Who.
    pub(super) by: String,
    /// Whether that is who looks.
    pub(super) mine: bool,
    /// When it lapses.
    pub(super) until: Option<When>,
}

/// Who holds a case, as one of them sees it.
pub(super) fn held(item: &QueueItem, me: &MemberId) -> Option<Held> {
    item.claimed_by.as_ref().map(|by| Held {
        by: by.to_string(),
        mine: by == me,
        until: item.claimed_until.map(When),
    })
}

/// A state in words.
pub(super) const fn state(state: CaseState) -> &'static str {
    match state {
        CaseState::Open => "open",
        CaseState::Claimed => "held",
        CaseState::Decided => "decided",
        CaseState::Closed => "closed",
    }
}

/// What a case's place in the queue follows from, in words.
pub(super) fn why(priority: &PriorityInputs) -> Vec<String> {
    let reporters = if priority.reporters < PriorityInputs::REPORTERS_MAX {
        count(priority.reporters.into(), "member", "members")
    } else {
        format!("{} members or more", PriorityInputs::REPORTERS_MAX)
    };
    let mut why = vec![
        format!("severity {} of 5", priority.severity),
        format!(
            "reported by {} within {} days",
            reporters,
            PriorityInputs::REPORTERS_DAYS
        ),
    ];
    if priority.upheld > 0 {
        let cases = count(priority.upheld.into(), "earlier case", "earlier cases");
        why.push(format!("{cases} upheld"));
    }
    if priority.over_limit {
        why.push("all reports are over their reporters' daily limit, so it comes last".to_owned());
    }
    why
}

/// How many members reported one, where that is many.
pub(super) fn many(reporters: u32) -> Option<u32> {
    (reporters >= REPORTERS_MANY).then_some(reporters)
}

/// A time as the field of a form has it.
pub(super) fn minute(at: Timestamp) -> String {
    let text = crate::time::format(at.as_millis());
    // RFC 3339, in UTC: up to the minutes.
    text.get(..16).unwrap_or(&text).to_owned()
}

impl Item {
    fn new(item: &QueueItem, me: &MemberId) -> Self {
        let categories: Vec<&str> = item.categories.iter().map(|one| category(*one)).collect();
        Item {
            id: item.case_id.to_string(),
            key: Filled::fresh().key,
            may_claim: item.state == CaseState::Open,
            member: item.member.to_string(),
            state: state(item.state),
            categories: categories.join(", "),
            reports: match item.conversation_id {
                Some(_) => count(item.reports, "report", "reports"),
                None => "suspended by hand".to_owned(),
            },
            many: many(item.reporters),
            why: match item.conversation_id {
                Some(_) => why(&item.priority),
                None => Vec::new(),
            },
            opened_at: When(item.opened_at),
            reported: item.conversation_id.is_some(),
            held: held(item, me),
            escalated_by: item.escalated_by.as_ref().map(MemberId::to_string),
            appealed_at: item.appealed_at.map(When),
        }
    }
}

/// A category's word of the wire.
fn word(category: Category) -> String {
    shown::word(&words::Category::from(category))
}

/// The filter that the page was asked with.
fn filter(fields: &Fields, me: &MemberId) -> Result<QueueFilter, ApiError> {
    let wrong =
        |field: &'static str, what: String| ApiError::field(Code::InvalidQuery, field, what);
    let appealed = fields.get("state") == Some(APPEALED);
    let state = fields.get("state").filter(|_| !appealed).map(|word| {
        CaseState::named(word).ok_or_else(|| wrong("state", "There is no such state.".to_owned()))
    });
    let named = |named: &str| Category::ALL.into_iter().find(|one| word(*one) == named);
    let category = fields.get("category").map(|word| {
        named(word).ok_or_else(|| wrong("category", "There is no such category.".to_owned()))
    });
    let member = |field: &'static str| {
        let id = fields.get(field).map(|id| MemberId::new(id.trim()));
        id.transpose()
            .map_err(|_| wrong(field, format!("It has to be {}.", crate::fields::MEMBER_ID)))
    };
    let time = |field: &'static str| {
        let at = fields.get(field).map(super::ruling::until);
        let what = super::ruling::NO_TIME.to_owned();
        at.map(|at| at.ok_or_else(|| wrong(field, what)))
            .transpose()
    };
    let sort = match fields.get("sort") {
        None | Some("priority") => QueueSort::Priority,
        Some("oldest") => QueueSort::Oldest,
        Some("newest") => QueueSort::Newest,
        Some(_) => return Err(wrong("sort", "There is no such order.".to_owned())),
    };
    Ok(QueueFilter {
        state: state.transpose()?,
        appealed,
        category: category.transpose()?,
        member: member("member")?,
        claimed_by: member("claimed_by")?,
        opened_after: time("opened_after")?,
        opened_before: time("opened_before")?,
        besides: Some(me.clone()),
        sort,
    })
}

/// The path of the page with what the filter names.
fn path(fields: &Fields) -> String {
    let mut path = String::from("/desk/queue");
    for name in FILTERS {
        if let Some(value) = fields.get(name) {
            path.push(if path.contains('?') { '&' } else { '?' });
            let _ = write!(path, "{name}={}", encoded(value));
        }
    }
    path
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsModerator>,
    uri: Uri,
) -> Response {
    match asked(&shared, &seat, &uri).await {
        Ok((status, page)) => html(status, &page),
        Err(error) => seat.failed(error),
    }
}

async fn asked(
    shared: &State,
    seat: &Seat<AsModerator>,
    uri: &Uri,
) -> Result<(StatusCode, Page), ApiError> {
    let fields = Fields::of_query(uri.query())?;
    let first = path(&fields);
    let choice = |field, value: &str, text| Choice {
        value: value.to_owned(),
        text,
        chosen: fields.text(field) == value,
    };
    let mut states = vec![choice("state", "", "all that wait")];
    states.extend(CaseState::ALL.map(|of| choice("state", of.as_str(), state(of))));
    states.push(choice("state", APPEALED, "with an appeal"));
    let mut categories = vec![choice("category", "", "any")];
    categories.extend(Category::ALL.map(|of| choice("category", &word(of), category(of))));
    let sorts = [
        ("", "most urgent first"),
        ("oldest", "oldest first"),
        ("newest", "newest first"),
    ];
    let mut page = Page {
        frame: seat.frame("Queue"),
        csrf: seat.shown.csrf.clone(),
        problem: None,
        counts: None,
        filtered: FILTERS.iter().any(|name| fields.get(name).is_some()),
        states,
        categories,
        sorts: sorts
            .map(|(value, text)| choice("sort", value, text))
            .into(),
        member: fields.text("member").to_owned(),
        claimed_by: fields.text("claimed_by").to_owned(),
        opened_after: fields.text("opened_after").to_owned(),
        opened_before: fields.text("opened_before").to_owned(),
        items: Vec::new(),
        next: None,
        later: fields.get("cursor").is_some(),
        first,
    };
    let filter = match filter(&fields, seat.caller.sub()) {
        Ok(filter) => filter,
        Err(error) => {
            page.problem = Some(Alert::of(&error, &FIELDS, ""));
            return Ok((error.status(), page));
        }
    };
    let scope = format!("{VIEW} {filter:?}");
    let paging = Paging {
        limit: Some(ITEMS_MAX),
        cursor: fields.get("cursor").map(str::to_owned),
        min_position: None,
    };
    let asked = shared.page(&seat.caller, &scope, &paging)?;
    shared.reached(&seat.caller, VIEW, fields.get("at")).await?;
    let listed = shared.reads.moderation_queue(&filter, &asked).await?;
    let at = seat.caller.shows(shared, listed.position).to_query();
    page.frame.live = Some(format!("/desk/live?after={at}"));
    let me = seat.caller.sub();
    let counts = shared.reads.queue_counts(me).await?;
    let asked = (&fields, &FILTERS[..]);
    page.counts = Some(Counts::new(&counts.value, asked, me, crate::app::now()));
    page.items = listed
        .items
        .iter()
        .map(|item| Item::new(item, me))
        .collect();
    page.next = listed.next.map(|next| {
        let cursor = shared.cursor_shown(&scope, me.as_str(), &next.to_bytes());
        let separator = if page.first.contains('?') { '&' } else { '?' };
        format!("{}{separator}cursor={}", page.first, encoded(&cursor))
    });
    Ok((StatusCode::OK, page))
}
