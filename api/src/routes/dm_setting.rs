//! `/v1/me/dm-setting`: whom the caller lets write to them.

use axum::extract::State as Extract;
use commands::Command;
use projections::ViewName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsMember, Caller, ShownPosition};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{AsOf, Query};
use crate::words::Audience;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(show, change))
}

/// The choice of an audience.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Choice {
    audience: Audience,
}

/// The setting in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DmSetting {
    audience: Audience,
    /// How often what it says was set, from 1; the default of the age band is a setting too.
    version: u64,
    /// The position of the event that set it so.
    position: ShownPosition,
}

impl DmSetting {
    /// The setting, with its position as a caller is shown it.
    pub(crate) fn shown(setting: &projections::DmSetting, position: ShownPosition) -> Self {
        DmSetting {
            audience: setting.audience.into(),
            version: setting.version,
            position,
        }
    }
}

/// Whom the caller lets write to them.
#[utoipa::path(get, path = "/v1/me/dm-setting", tag = "member", params(AsOf), responses((status = 200, body = DmSetting)))]
async fn show(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<AsOf>,
) -> Result<Answered<DmSetting>, ApiError> {
    shared
        .reached(&caller, ViewName::Members, asked.min_position.as_deref())
        .await?;
    let answer = shared.reads.member(caller.sub()).await?;
    let setting = answer.value.dm_setting;
    let body = DmSetting::shown(&setting, caller.shows(&shared, setting.position));
    Ok(shared.standing_at(&caller, answer.position, body))
}

/// Chooses whom to let write.
#[utoipa::path(put, path = "/v1/me/dm-setting", tag = "member", request_body = Choice,
    responses((status = 200, body = DmSetting), (status = 403, description = "`account_restricted`", body = Problem)))]
async fn change(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Json(choice): Json<Choice>,
) -> Result<Answered<DmSetting>, ApiError> {
    let command = Command::ChangeDmSetting {
        audience: choice.audience.into(),
    };
    let (outcome, position) = shared.carry_out(&acting, command).await?;
    let commands::Answer::Setting { audience, version } = outcome.answer else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "a setting was changed without an answer",
        ));
    };
    let audience = audience.into();
    Ok(Answered::ok(
        position.clone(),
        DmSetting {
            audience,
            version,
            position,
        },
    ))
}
