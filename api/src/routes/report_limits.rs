//! `/v1/moderation/members/{id}/report-limit`: a moderator sets how many of a member's reports a day count, or lifts that.
//!
//! The member is told nowhere: their reports are taken and answered as before.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::{MemberId, ReasonCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsModerator};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Members};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(set, lift))
}

/// How many of a member's reports count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportLimit {
    /// How many within 24 hours, 0-1,000; none when absent. It never lets more count than the policy does.
    #[serde(default)]
    #[schema(maximum = 1000)]
    per_day: u32,
    /// RFC 3339: it always has an end.
    #[schema(format = DateTime)]
    until: String,
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
}

/// Sets how many of a member's reports count.
#[utoipa::path(put, path = "/v1/moderation/members/{id}/report-limit", tag = "moderator", params(("id" = String, Path)),
    request_body = ReportLimit,
    responses((status = 200, body = Reached), (status = 409, description = "`own_case`", body = Problem),
        (status = 422, description = "`invalid_report_limit`", body = Problem)))]
async fn set(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Members(member): Members<MemberId>,
    Json(limit): Json<ReportLimit>,
) -> Result<Answered<Reached>, ApiError> {
    let command = Command::LimitReports {
        member,
        per_day: limit.per_day,
        until: query::time(Code::InvalidBody, "until", &limit.until)?,
        reason: limit.reason,
    };
    shared.reach(acting, command).await
}

/// Lets all of a member's reports count again. *Unchanged* where they do.
#[utoipa::path(delete, path = "/v1/moderation/members/{id}/report-limit", tag = "moderator", params(("id" = String, Path)),
    responses((status = 200, body = Reached)))]
async fn lift(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Members(member): Members<MemberId>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(acting, Command::LiftReportLimit { member })
        .await
}
