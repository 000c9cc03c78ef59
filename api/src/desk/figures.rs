//! `/desk/figures`: the figures of `GET /v1/moderation/transparency`, as tables and small charts.
//!
//! The charts are drawn here, as SVG in the page; each says nothing that does not stand beside it as a number. Of a month
//! at most the days are drawn one by one.

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use domain::case::AppealOutcome;
use projections::{Day, MedianTime, Source, Transparency};

use super::ruling::action;
use super::session::{AsAnyone, Seat};
use crate::app::{State, now};
use crate::pages::alert::Alert;
use crate::pages::form::Fields;
use crate::pages::shown::category;
use crate::pages::{Frame, html};
use crate::problem::{ApiError, Code};
use crate::time;

/// The days that are shown where none are named.
const DAYS: i64 = 30;
/// Days that are drawn one by one at most.
const DRAWN_MAX: i64 = 31;
/// How high a day's column can be.
const COLUMN: u64 = 100;

#[derive(Template)]
#[template(path = "desk/figures.html")]
struct Page {
    frame: Frame,
    problem: Option<Alert>,
    from: String,
    to: String,
    figures: Option<Figures>,
}

struct Figures {
    totals: Vec<(&'static str, String)>,
    notices: Vec<Bar>,
    decisions: Vec<Bar>,
    grounds: Vec<Ground>,
    /// How many grounds, and decisions for them, are not listed.
    left: Option<(u64, u64)>,
    days: Vec<Days>,
}

/// A number with its share of the largest beside it.
struct Bar {
    name: &'static str,
    count: u64,
    /// Of 100.
    share: u64,
}

/// Decisions of one kind for one reason.
struct Ground {
    action: &'static str,
    reason: String,
    unasked: bool,
    count: u64,
}

impl Page {
    /// Whether this field is wrong.
    fn is_wrong(&self, field: &str) -> bool {
        self.problem
            .as_ref()
            .is_some_and(|alert| alert.is_at(field))
    }
}

/// A number for each day.
struct Days {
    name: &'static str,
    most: u64,
    columns: Vec<Column>,
}

/// A day's column: how many days from the first, and from where down it is drawn.
struct Column {
    at: usize,
    top: u64,
    height: u64,
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsAnyone>,
    uri: Uri,
) -> Response {
    match asked(&shared, &seat, &uri).await {
        Ok((status, page)) => html(status, &page),
        Err(error) => seat.failed(error),
    }
}

async fn asked(
    shared: &State,
    seat: &Seat<AsAnyone>,
    uri: &Uri,
) -> Result<(StatusCode, Page), ApiError> {
    let fields = Fields::of_query(uri.query())?;
    let today = Day::of(now());
    let written = |field: &str, day: i64| {
        let given = fields.get(field).map(str::to_owned);
        given.unwrap_or_else(|| time::format_day(day))
    };
    let mut page = Page {
        frame: seat.frame("Figures"),
        problem: None,
        from: written("from", today.0 - DAYS + 1),
        to: written("to", today.0),
        figures: None,
    };
    match figures(shared, &page.from, &page.to).await {
        Ok(figures) => page.figures = Some(figures),
        Err(error) if error.code() == Code::InvalidQuery => {
            let fields = [("from", "from", "First day"), ("to", "to", "Last day")];
            page.problem = Some(Alert::of(&error, &fields, ""));
            return Ok((error.status(), page));
        }
        Err(error) => return Err(error),
    }
    Ok((StatusCode::OK, page))
}

async fn figures(shared: &State, from: &str, to: &str) -> Result<Figures, ApiError> {
    let day = |field: &str, text: &str| {
        let what = "It has to be a day such as 2026-01-31.";
        let day = time::parse_day(text).map(Day);
        day.ok_or_else(|| ApiError::field(Code::InvalidQuery, field, what))
    };
    let (first, last) = (day("from", from)?, day("to", to)?);
    if last < first {
        let what = "The last day is before the first.";
        return Err(ApiError::field(Code::InvalidQuery, "to", what));
    }
    let sums = shared.reads.transparency(first, last).await?.value;
    let mut days = Vec::new();
    if last.0 - first.0 < DRAWN_MAX {
        for day in first.0..=last.0 {
            days.push(shared.reads.transparency(Day(day), Day(day)).await?.value);
        }
    }
    let notices = |sums: &Transparency| sums.notices.iter().map(|(_, count)| count).sum();
    let drawn = [
        ("Reports", days.iter().map(notices).collect::<Vec<u64>>()),
        ("Decisions", days.iter().map(|day| day.decisions).collect()),
    ];
    let mut kinds: Vec<(&'static str, u64)> = Vec::new();
    for figure in &sums.by_ground {
        let name = action(figure.action);
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += figure.count,
            None => kinds.push((name, figure.count)),
        }
    }
    let of_category = sums.notices.iter();
    let of_category = of_category.map(|(of, count)| (category(*of), *count));
    Ok(Figures {
        totals: totals(&sums, notices(&sums)),
        notices: bars(of_category.collect()),
        decisions: bars(kinds),
        left: (sums.left.0 > 0).then_some(sums.left),
        grounds: sums
            .by_ground
            .into_iter()
            .map(|figure| Ground {
                action: action(figure.action),
                reason: figure.ground,
                unasked: figure.source == Source::OwnInitiative,
                count: figure.count,
            })
            .collect(),
        days: drawn
            .into_iter()
            .filter(|(_, days)| days.len() > 1)
            .map(|(name, days)| columns(name, &days))
            .collect(),
    })
}

fn totals(sums: &Transparency, notices: u64) -> Vec<(&'static str, String)> {
    let answered = |outcome| {
        let known = sums.appeals_decided.iter();
        let counts = known.filter(|(known, _)| *known == outcome);
        counts.map(|(_, count)| count).sum::<u64>().to_string()
    };
    vec![
        ("Reports", notices.to_string()),
        ("Cases opened", sums.cases_opened.to_string()),
        ("Decisions", sums.decisions.to_string()),
        ("Median time to a decision", median(sums.time_to_decision)),
        ("Appeals", sums.appeals.to_string()),
        (
            "Appeals where the decision stays",
            answered(AppealOutcome::Upheld),
        ),
        ("Appeals granted", answered(AppealOutcome::Reversed)),
        (
            "Median time to an answer",
            median(sums.time_to_appeal_decision),
        ),
        (
            "Taken back without an appeal",
            sums.reversed_unasked.to_string(),
        ),
        (
            "Suspensions in force at the end",
            sums.suspensions.to_string(),
        ),
        ("Limits in force at the end", sums.limits.to_string()),
    ]
}

/// How long, in the two largest units that there are.
fn median(time: Option<MedianTime>) -> String {
    let Some(time) = time else {
        return "none".to_owned();
    };
    let seconds = time.ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// The largest first.
fn bars(mut counts: Vec<(&'static str, u64)>) -> Vec<Bar> {
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let most = counts.first().map_or(0, |(_, count)| *count);
    let bar = |(name, count): (&'static str, u64)| Bar {
        name,
        count,
        share: share(count, most),
    };
    counts.into_iter().map(bar).collect()
}

/// What is something is seen, however little it is.
fn share(count: u64, most: u64) -> u64 {
    let share = count.saturating_mul(COLUMN).checked_div(most).unwrap_or(0);
    if count > 0 { share.max(1) } else { 0 }
}

fn columns(name: &'static str, days: &[u64]) -> Days {
    let most = days.iter().copied().max().unwrap_or(0);
    let column = |(at, count): (usize, &u64)| {
        let height = share(*count, most);
        Column {
            at,
            top: COLUMN - height,
            height,
        }
    };
    Days {
        name,
        most,
        columns: days.iter().enumerate().map(column).collect(),
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_share_is_seen_and_never_over_the_whole() {
        assert_eq!(
            [0, 1, 5, 10].map(|count| share(count, 10)),
            [0, 10, 50, 100]
        );
        assert_eq!((share(1, 1_000_000), share(0, 0)), (1, 0));
    }

    #[test]
    fn a_time_is_told_in_two_units() {
        let told = |ms| median(Some(MedianTime { of: 1, ms }));
        assert_eq!(told(59_999), "59 s");
        assert_eq!(told(61_000), "1 min 1 s");
        assert_eq!(told(2 * 3_600_000 + 5 * 60_000), "2 h 5 min");
        assert_eq!(told(49 * 3_600_000), "2 d 1 h");
        assert_eq!(median(None), "none");
    }
}
