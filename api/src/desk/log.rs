//! `/desk/log`: what one has done at the desk, the latest first; and what was done on a case, for its page.
//!
//! A moderator sees what they did themselves. An auditor names the moderator whose acts are asked for. A decision on many
//! cases is one line, with how far it came, whatever came of it; what became of each case stands on the act's page.

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use domain::case::AppealOutcome;
use domain::ids::{ActId, CaseId, MemberId};
use projections::{ActProgress, Done, LogItem, LogLine, PageRequest, ViewName};

use super::ruling::action;
use super::session::{AsAnyone, Seat};
use crate::app::State;
use crate::pages::form::{Fields, encoded};
use crate::pages::shown::{When, count};
use crate::pages::{Frame, html};
use crate::problem::{ApiError, Code};
use crate::query::Paging;
use crate::tokens::Role;

const VIEW: ViewName = ViewName::ModerationLog;
/// Acts of a page, and of a case's page.
const ITEMS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "desk/log.html")]
struct Page {
    frame: Frame,
    /// Whose log it is, where one has to say.
    asks: bool,
    /// Whether the cases are theirs to open.
    opens: bool,
    by: String,
    mine: bool,
    items: Vec<Line>,
    next: Option<String>,
    /// Where the first page is, of a later one.
    first: Option<String>,
}

/// An act as a line.
pub(super) struct Line {
    pub(super) what: String,
    pub(super) by: String,
    pub(super) case: Option<String>,
    /// The act on many cases that it is, or is part of.
    pub(super) act: Option<String>,
    pub(super) member: String,
    pub(super) at: When,
}

impl From<LogItem> for Line {
    fn from(item: LogItem) -> Self {
        Line {
            act: item.act_id.as_ref().map(ActId::to_string),
            what: what(item.what),
            by: item.by.to_string(),
            case: item.case_id.map(|case| case.to_string()),
            member: item.member.to_string(),
            at: When(item.at),
        }
    }
}

impl From<LogLine> for Line {
    fn from(LogLine { item, progress }: LogLine) -> Self {
        let far = progress.map(|progress| far(item.what, progress));
        let mut line = Line::from(item);
        if let Some(far) = far {
            line.what = format!("{}; {far}", line.what);
        }
        line
    }
}

/// How far an act on many cases has come, in words.
fn far(what: Done, progress: ActProgress) -> String {
    let ActProgress {
        cases,
        done,
        passed_over,
        finished,
    } = progress;
    let of = count(cases, "case", "cases");
    let doing = if what == Done::ReversedMany {
        "taken back"
    } else {
        "decided"
    };
    match (finished, passed_over) {
        (false, _) => format!("{done} of {of} {doing} so far"),
        (true, 0) => format!("{done} of {of} {doing}"),
        (true, _) => format!("{done} of {of} {doing}, {passed_over} had moved on"),
    }
}

/// What was done, in words.
fn what(done: Done) -> String {
    let words = match done {
        Done::Reported => "reported",
        Done::Looked => "looked",
        Done::Claimed => "claimed",
        Done::Released => "released",
        Done::Lapsed => "claim lapsed",
        Done::Noted => "noted",
        Done::Escalated => "left to another moderator",
        Done::Decided(of) => return format!("decided: {}", action(of).to_lowercase()),
        Done::DecidedMany(of) => {
            return format!("decided many at once: {}", action(of).to_lowercase());
        }
        Done::ReversedMany => "took an act on many cases back",
        Done::Appealed => "appealed",
        Done::Answered(AppealOutcome::Upheld) => "answered the appeal: the decision stays",
        Done::Answered(AppealOutcome::Reversed) => "answered the appeal: reversed",
        Done::Reversed => "took the decision back",
        Done::Reopened => "opened it again",
        Done::ReportsLimited => "let fewer of their reports count",
        Done::ReportsUnlimited => "let all of their reports count again",
        Done::Suspended => "suspended by hand",
        Done::Reinstated => "reinstated by hand",
    };
    words.to_owned()
}

/// What was done on a case of late.
pub(super) async fn on_case(shared: &State, case: CaseId) -> Result<Vec<Line>, ApiError> {
    let page = PageRequest::first(ITEMS_MAX)?;
    let listed = shared.reads.log_on_case(case, &page).await?;
    Ok(listed.items.into_iter().map(Line::from).collect())
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsAnyone>,
    uri: Uri,
) -> Response {
    match asked(&shared, &seat, &uri).await {
        Ok(page) => html(StatusCode::OK, &page),
        Err(error) => seat.failed(error),
    }
}

async fn asked(shared: &State, seat: &Seat<AsAnyone>, uri: &Uri) -> Result<Page, ApiError> {
    let fields = Fields::of_query(uri.query())?;
    let me = seat.caller.sub();
    let asks = seat.caller.principal().roles.has(Role::Auditor);
    let by = match fields.get("by").map(str::trim) {
        Some(by) if asks || by == me.as_str() => MemberId::new(by).map_err(|_| {
            let message = format!("It has to be {}.", crate::fields::MEMBER_ID);
            ApiError::field(Code::InvalidQuery, "by", message)
        })?,
        Some(_) => {
            let words = "What other moderators did is for auditors.";
            return Err(ApiError::with_detail(Code::Forbidden, words));
        }
        None => me.clone(),
    };
    let scope = format!("{VIEW} {by}");
    let paging = Paging {
        limit: Some(ITEMS_MAX),
        cursor: fields.get("cursor").map(str::to_owned),
        min_position: None,
    };
    let asked = shared.page(&seat.caller, &scope, &paging)?;
    let listed = shared.reads.log_of_moderator(&by, &asked).await?;
    let first = format!("/desk/log?by={}", encoded(by.as_str()));
    let next = listed.next.map(|next| {
        let cursor = shared.cursor_shown(&scope, me.as_str(), &next.to_bytes());
        format!("{first}&cursor={}", encoded(&cursor))
    });
    Ok(Page {
        frame: seat.frame("Log"),
        asks,
        opens: seat.caller.principal().roles.has(Role::Moderator),
        mine: by == *me,
        by: by.to_string(),
        items: listed.items.into_iter().map(Line::from).collect(),
        next,
        first: fields.get("cursor").map(|_| first),
    })
}
