//! `GET /v1/moderation/transparency`: the figures of a report on moderation over some days, as JSON and as CSV.
//!
//! Sums alone: nobody is named, so that moderators and auditors may read them without a look on record. Days are those of
//! UTC, both ends included; what is finer than a day the figures cannot tell, and a time is refused.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use domain::case::AppealOutcome;
use projections::{Day, MedianTime, Source, Transparency, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::State;
use crate::caller::{AsOverseer, Caller, DOORSTEP_POSITION};
use crate::problem::{ApiError, Code, FieldCode};
use crate::query::Query;
use crate::time;
use crate::words::{Action, Category};

mod csv;

const VIEW: ViewName = ViewName::Transparency;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(transparency))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// The first day, in UTC, such as `2026-01-01`.
    from: Option<String>,
    /// The last day, in UTC; at most 366 days from the first on.
    to: Option<String>,
    /// Waits until the view has come to this position, given as it was received.
    min_position: Option<String>,
}

impl Asked {
    /// The first and the last day.
    fn days(&self) -> Result<(Day, Day), ApiError> {
        let first = day("from", self.from.as_deref())?;
        let last = day("to", self.to.as_deref())?;
        if last < first {
            return Err(ApiError::at_field(
                Code::InvalidQuery,
                "to",
                FieldCode::OutOfRange,
                "It is before `from`.",
            ));
        }
        Ok((first, last))
    }
}

fn day(field: &'static str, text: Option<&str>) -> Result<Day, ApiError> {
    let Some(text) = text else {
        return Err(ApiError::at_field(
            Code::InvalidQuery,
            field,
            FieldCode::Missing,
            "It is missing; give a day such as `2026-01-31`.",
        ));
    };
    time::parse_day(text).map(Day).ok_or_else(|| {
        ApiError::field(
            Code::InvalidQuery,
            field,
            "It has to be a day such as `2026-01-31`: the figures are kept by days in UTC, and cannot tell a part of one.",
        )
    })
}

/// What was reported, decided and reversed on some days.
#[derive(Debug, Serialize, ToSchema)]
struct Report {
    /// The first day.
    #[schema(format = Date)]
    from: String,
    /// The last day.
    #[schema(format = Date)]
    to: String,
    notices: Notices,
    /// Cases that were opened, each by its first report.
    cases_opened: u64,
    decisions: Decisions,
    appeals: Appeals,
    reversals: Reversals,
    restrictions_in_force: InForce,
}

/// Reports by members.
#[derive(Debug, Serialize, ToSchema)]
struct Notices {
    submitted: u64,
    /// How many of them no human looked at: none is.
    processed_by_automated_means: u64,
    /// Those categories of which there were some.
    by_category: Vec<NoticesOfCategory>,
}

/// Reports of a category.
#[derive(Debug, Serialize, ToSchema)]
struct NoticesOfCategory {
    category: Category,
    submitted: u64,
}

/// What was decided.
#[derive(Debug, Serialize, ToSchema)]
struct Decisions {
    taken: u64,
    /// How many of them no human took: none is.
    taken_by_automated_means: u64,
    /// From the first report that waited for it to the decision on a case, in milliseconds, within 0.4 %; null where none
    /// was decided.
    median_time_ms: Option<u64>,
    /// By what was done and why, the most frequent first; of more than 200 those.
    by_ground: Vec<OfGround>,
    left_out: LeftOut,
}

/// Decisions of one kind for one reason.
#[derive(Debug, Serialize, ToSchema)]
struct OfGround {
    action: Action,
    /// The reason's code.
    ground: String,
    source: DecisionSource,
    taken: u64,
}

/// What led to a decision.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DecisionSource {
    /// Reports, by way of their case.
    Notices,
    /// A moderator suspended the member without a case.
    OwnInitiative,
}

impl DecisionSource {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Notices => "notices",
            Self::OwnInitiative => "own_initiative",
        }
    }
}

impl From<Source> for DecisionSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Notices => Self::Notices,
            Source::OwnInitiative => Self::OwnInitiative,
        }
    }
}

/// What `by_ground` has no room for.
#[derive(Debug, Serialize, ToSchema)]
struct LeftOut {
    /// How many pairs of action and ground.
    grounds: u64,
    /// How many decisions.
    taken: u64,
}

/// Appeals of the members concerned.
#[derive(Debug, Serialize, ToSchema)]
struct Appeals {
    received: u64,
    /// The decision stays.
    upheld: u64,
    /// The decision was reversed.
    reversed: u64,
    /// From an appeal to its decision, in milliseconds, within 0.4 %; null where none was decided.
    median_time_ms: Option<u64>,
}

/// Decisions that were reversed.
#[derive(Debug, Serialize, ToSchema)]
struct Reversals {
    /// Upon an appeal.
    on_appeal: u64,
    /// By a moderator, without one.
    own_initiative: u64,
}

/// What restricted members at the end of the last day.
#[derive(Debug, Serialize, ToSchema)]
struct InForce {
    suspensions: u64,
    limits: u64,
}

impl Report {
    fn of((first, last): (Day, Day), figures: Transparency) -> Self {
        let median = |time: Option<MedianTime>| time.map(|time| time.ms);
        let decided = |outcome| {
            let known = figures.appeals_decided.iter();
            known
                .filter(|(known, _)| *known == outcome)
                .map(|(_, count)| count)
                .sum()
        };
        let by_category = figures.notices.iter().copied();
        let by_category: Vec<NoticesOfCategory> = by_category
            .map(|(category, submitted)| NoticesOfCategory {
                category: category.into(),
                submitted,
            })
            .collect();
        let by_ground = figures.by_ground.into_iter().map(|figure| OfGround {
            action: figure.action.into(),
            ground: figure.ground,
            source: figure.source.into(),
            taken: figure.count,
        });
        Report {
            from: time::format_day(first.0),
            to: time::format_day(last.0),
            notices: Notices {
                submitted: by_category.iter().map(|notices| notices.submitted).sum(),
                processed_by_automated_means: 0,
                by_category,
            },
            cases_opened: figures.cases_opened,
            decisions: Decisions {
                taken: figures.decisions,
                taken_by_automated_means: 0,
                median_time_ms: median(figures.time_to_decision),
                by_ground: by_ground.collect(),
                left_out: LeftOut {
                    grounds: figures.left.0,
                    taken: figures.left.1,
                },
            },
            appeals: Appeals {
                received: figures.appeals,
                upheld: decided(AppealOutcome::Upheld),
                reversed: decided(AppealOutcome::Reversed),
                median_time_ms: median(figures.time_to_appeal_decision),
            },
            reversals: Reversals {
                on_appeal: figures.reversed_on_appeal,
                own_initiative: figures.reversed_unasked,
            },
            restrictions_in_force: InForce {
                suspensions: figures.suspensions,
                limits: figures.limits,
            },
        }
    }
}

/// The figures of a report on moderation.
#[utoipa::path(get, path = "/v1/moderation/transparency", tag = "moderator", params(Asked),
    responses((status = 200, description = "With `Accept: text/csv` lines of `figure,kind,ground,source,value`, ended by CRLF, after a line with these names.",
        content((Report = "application/json"), (String = "text/csv")))))]
async fn transparency(
    Extract(shared): Extract<State>,
    caller: Caller<AsOverseer>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let days = asked.days()?;
    let wants = Wants::of(&headers)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let answer = shared.reads.transparency(days.0, days.1).await?;
    let report = Report::of(days, answer.value);
    let answered = shared.standing_at(&caller, answer.position, report);
    if wants == Wants::Json {
        return Ok(answered.into_response());
    }
    let lines = csv::lines(answered.body());
    let mut response = lines.into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(
        DOORSTEP_POSITION,
        caller.shows(&shared, answer.position).to_header(),
    );
    Ok(response)
}

/// The form that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Json,
    Csv,
}

impl Wants {
    /// By the first media type that is named and that there is.
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(accept) = headers.get(header::ACCEPT) else {
            return Ok(Wants::Json);
        };
        let named = accept.to_str().unwrap_or("-").split(',');
        let mut named = named.map(|part| part.split(';').next().unwrap_or("").trim());
        let found = named.find_map(|part| match part {
            "application/json" | "application/*" | "*/*" | "" => Some(Wants::Json),
            "text/csv" | "text/*" => Some(Wants::Csv),
            _ => None,
        });
        found.ok_or_else(|| Code::NotAcceptable.into())
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn answers_in_the_first_form_that_it_has() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            Wants::of(&headers).ok()
        };
        assert_eq!(Wants::of(&HeaderMap::new()).ok(), Some(Wants::Json));
        for (accept, form) in [
            ("*/*", Some(Wants::Json)),
            ("text/csv", Some(Wants::Csv)),
            ("text/html, text/csv;q=0.5", Some(Wants::Csv)),
            ("application/json, text/csv", Some(Wants::Json)),
            ("text/html", None),
        ] {
            assert_eq!(wants(accept), form, "{accept}");
        }
    }
}
