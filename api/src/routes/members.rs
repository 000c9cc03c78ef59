//! `PUT /v1/members/{id}`: the host makes a member known, or tells their age again.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::MemberId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsService, ShownPosition};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Members};
use crate::words::AgeBand;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(register))
}

/// A member as the host tells it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    age_band: AgeBand,
    /// Since when they are a member, RFC 3339; the time of the command when absent. Cannot change.
    #[schema(format = DateTime)]
    registered_at: Option<String>,
}

/// The member as known now.
#[derive(Debug, Serialize, ToSchema)]
struct Registered {
    member: String,
    age_band: AgeBand,
    position: ShownPosition,
}

/// Registers a member, or changes their age band.
#[utoipa::path(put, path = "/v1/members/{id}", tag = "service",
    params(("id" = String, Path, description = "The host's own id.")),
    request_body = Registration,
    responses((status = 200, body = Registered), (status = 409, description = "`registered_at_fixed`", body = Problem)))]
async fn register(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Members(member): Members<MemberId>,
    Json(body): Json<Registration>,
) -> Result<Answered<Registered>, ApiError> {
    let registered_at = match &body.registered_at {
        Some(text) => Some(query::time(Code::InvalidBody, "registered_at", text)?),
        None => None,
    };
    let command = Command::RegisterMember {
        member: member.clone(),
        age_band: body.age_band.into(),
        registered_at,
    };
    let (_, position) = shared.carry_out(&acting, command).await?;
    Ok(Answered::ok(
        position.clone(),
        Registered {
            member: member.to_string(),
            age_band: body.age_band,
            position,
        },
    ))
}
