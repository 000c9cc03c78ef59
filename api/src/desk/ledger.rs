//! `/desk/ledger`: who was shown what is a member's, when, what for, and which messages.
//!
//! It is what `GET /v1/audit/members/{id}/disclosures` answers, and reading it is recorded alike: with the purpose that the
//! form asks for, once for all its pages.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use domain::act::Looked;
use domain::ids::MemberId;
use projections::{DisclosureItem, LookedAs};

use super::session::Seat;
use crate::app::State;
use crate::audit::Asked;
use crate::caller::{AsAuditor, Caller};
use crate::pages::alert::Alert;
use crate::pages::form::{Fields, encoded};
use crate::pages::shown::When;
use crate::pages::{Frame, html};
use crate::problem::{ApiError, Code};
use crate::routes::audit::disclosures;

/// Looks of a page.
const ITEMS_MAX: usize = 50;
/// What it is read for where nobody says.
const PURPOSE: &str = "audit";

#[derive(Template)]
#[template(path = "desk/ledger.html")]
struct Page {
    frame: Frame,
    member: String,
    purpose: String,
    /// What is wrong with what was asked for.
    problem: Option<Alert>,
    /// The looks; none before anybody is named.
    items: Option<Vec<Line>>,
    next: Option<String>,
    /// Where the first page is, of a later one.
    first: Option<String>,
}

impl Page {
    /// Whether this field is wrong.
    fn is_wrong(&self, field: &str) -> bool {
        self.problem
            .as_ref()
            .is_some_and(|alert| alert.is_at(field))
    }
}

/// A look.
struct Line {
    at: When,
    by: String,
    /// Whether as a moderator, at a case.
    moderator: bool,
    what: &'static str,
    with: Option<String>,
    purpose: String,
    /// Which messages a case showed.
    messages: Option<String>,
    from: Option<When>,
    as_of: Option<When>,
}

/// What was looked at, in words.
const fn what(looked: Looked) -> &'static str {
    match looked {
        Looked::Inbox => "inbox",
        Looked::Requests => "requests",
        Looked::Unread => "what is unread",
        Looked::Blocks => "whom they block",
        Looked::DmSetting => "DM setting",
        Looked::Timeline => "timeline",
        Looked::Diff => "what changed",
        Looked::Messages => "messages",
        Looked::Relationship => "relationship",
        Looked::Explanation => "why a message went where it went",
        Looked::Case => "case",
        Looked::Disclosures => "this ledger",
    }
}

impl From<DisclosureItem> for Line {
    fn from(item: DisclosureItem) -> Self {
        let numbers = |of: &[u64]| {
            let numbers: Vec<String> = of.iter().map(u64::to_string).collect();
            numbers.join(", ")
        };
        // The file on a suspension by hand shows none.
        let shown = item.shown.filter(|shown| !shown.reported.is_empty());
        let messages = shown.map(|shown| {
            let mut words = format!("reported {}", numbers(&shown.reported));
            if !shown.around.is_empty() {
                let _ = write!(words, "; around them {}", numbers(&shown.around));
            }
            words
        });
        Line {
            at: When(item.at),
            by: item.by.to_string(),
            moderator: item.role == LookedAs::Moderator,
            what: what(item.looked),
            with: item.with.map(|with| with.to_string()),
            purpose: item.purpose.to_string(),
            messages,
            from: item.from.map(When),
            as_of: item.as_of.map(When),
        }
    }
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsAuditor>,
    uri: Uri,
) -> Response {
    let fields = match Fields::of_query(uri.query()) {
        Ok(fields) => fields,
        Err(error) => return seat.failed(error),
    };
    let mut page = Page {
        frame: seat.frame("Ledger"),
        member: fields.text("member").trim().to_owned(),
        purpose: fields.get("purpose").unwrap_or(PURPOSE).to_owned(),
        problem: None,
        items: None,
        next: None,
        first: None,
    };
    if page.member.is_empty() {
        return html(StatusCode::OK, &page);
    }
    let cursor = fields.get("cursor");
    let status = match read(&shared, seat.caller, &page, cursor).await {
        Ok((items, next)) => {
            let first = format!(
                "/desk/ledger?member={}&purpose={}",
                encoded(&page.member),
                encoded(&page.purpose)
            );
            page.next = next.map(|next| format!("{first}&cursor={}", encoded(&next)));
            page.first = cursor.map(|_| first);
            page.items = Some(items);
            StatusCode::OK
        }
        Err(error) => {
            let fields = [
                ("member", "member", "Member"),
                ("purpose", "purpose", "Purpose"),
            ];
            page.problem = Some(Alert::of(&error, &fields, ""));
            error.status()
        }
    };
    html(status, &page)
}

async fn read(
    shared: &State,
    caller: Caller<AsAuditor>,
    page: &Page,
    cursor: Option<&str>,
) -> Result<(Vec<Line>, Option<String>), ApiError> {
    let member = MemberId::new(&page.member).map_err(|_| {
        let message = format!("It has to be {}.", crate::fields::MEMBER_ID);
        ApiError::field(Code::InvalidQuery, "member", message)
    })?;
    let asked = Asked {
        as_of: None,
        limit: Some(ITEMS_MAX),
        cursor,
    };
    let purpose = Some(&*page.purpose);
    let listed = disclosures::read(shared, caller, &member, (purpose, asked), Line::from).await?;
    let listed = listed.into_body();
    Ok((listed.items, listed.next_cursor))
}
