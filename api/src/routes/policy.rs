//! `/v1/policy`: the rules in force, for the host.
//!
//! The rules are put whole; a field that is missing or unknown is refused, so that nobody changes by leaving out.

use std::sync::Arc;

use axum::extract::State as Extract;
use commands::{Answer, Command, CommandError};
use domain::event::Event;
use domain::policy::{self, Rules as DomainRules};
use event_store::{Direction, RecordedEvent, StreamFrom, StreamName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::{Shared, State};
use crate::body::Json;
use crate::caller::{Acting, AsService, Caller, ShownPosition};
use crate::problem::{ApiError, Code, Problem};
use crate::words::{Admission, Audience};

/// Events of the policy's stream read at once; refusals may stand between the policies.
const READ_AT_ONCE: usize = 16;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(show, change))
}

/// One row of the audience table: where each kind of sender goes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AudienceRow {
    recipient_follows: Admission,
    suggested: Admission,
    friend: Admission,
    anyone: Admission,
}

/// The audience table, a row per value of the setting.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AudienceTable {
    everyone: AudienceRow,
    following: AudienceRow,
    friends_and_suggested: AudienceRow,
    friends: AudienceRow,
    /// Refused throughout, in every policy.
    no_one: AudienceRow,
}

/// The limits, cooldowns and the audience table.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rules {
    text_graphemes_max: u32,
    text_bytes_max: u32,
    /// Requests a member may open within 24 h.
    requests_per_day: u32,
    /// The same for a new member.
    requests_per_day_new: u32,
    /// How long a member is new, in days of 24 h.
    new_member_days: u32,
    /// Messages in a request that waits.
    request_messages_max: u32,
    /// Cooldown after the first quiet delete, the second and so on, in days of 24 h.
    cooldown_days: Vec<u32>,
    /// How long a deleted request can be restored, in days of 24 h.
    restore_days: u32,
    /// Reports of one member within 24 h before further ones are marked.
    reports_per_day: u32,
    report_messages_max: u32,
    comment_graphemes_max: u32,
    comment_bytes_max: u32,
    default_audience_adult: Audience,
    default_audience_16_17: Audience,
    audience_table: AudienceTable,
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
struct Policy {
    /// Every decision records the version it used.
    version: u64,
    position: ShownPosition,
    rules: Rules,
}

/// The policy that a change came to.
#[derive(Debug, Serialize, ToSchema)]
struct Changed {
    version: u64,
    position: ShownPosition,
}

/// The rules in force.
#[utoipa::path(get, path = "/v1/policy", tag = "service", responses((status = 200, body = Policy)))]
async fn show(
    Extract(shared): Extract<State>,
    caller: Caller<AsService>,
) -> Result<Answered<Policy>, ApiError> {
    let stands_at = shared.store.durable_position();
    let event = last_set(&shared).await?;
    let Ok(Event::Policy(policy::Event::PolicySet(set))) =
        domain::codec::decode(event.event_type(), event.data())
    else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "the policy in force cannot be decoded",
        ));
    };
    let position = caller.shows(&shared, event.position());
    let body = Policy {
        version: event.version(),
        position,
        rules: Rules::from(&*set.rules),
    };
    Ok(shared.standing_at(&caller, stands_at, body))
}

async fn last_set(shared: &Shared) -> Result<RecordedEvent, ApiError> {
    let failed = |what: String| ApiError::with_detail(Code::Internal, what);
    let stream = StreamName::new(policy::STREAM).map_err(|error| failed(error.to_string()))?;
    let mut from = StreamFrom::End;
    loop {
        let events = shared
            .store
            .read_stream(&stream, from, Direction::Backward, READ_AT_ONCE)
            .await
            .map_err(CommandError::from)?;
        if let Some(set) = events
            .iter()
            .find(|event| event.event_type().starts_with("policy-set."))
        {
            return Ok(set.clone());
        }
        match events
            .last()
            .and_then(|event| event.version().checked_sub(1))
        {
            Some(version) => from = StreamFrom::Version(version),
            None => return Err(failed("the log has no policy".to_owned())),
        }
    }
}

/// Puts rules in force, whole.
#[utoipa::path(put, path = "/v1/policy", tag = "service", request_body = Rules,
    responses((status = 200, body = Changed), (status = 422, description = "`invalid_policy`", body = Problem)))]
async fn change(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Json(rules): Json<Rules>,
) -> Result<Answered<Changed>, ApiError> {
    let command = Command::ChangePolicy {
        rules: Arc::new(rules.into()),
    };
    let (outcome, position) = shared.carry_out(&acting, command).await?;
    let Answer::Policy { version } = outcome.answer else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "a policy was changed without an answer",
        ));
    };
    Ok(Answered::ok(
        position.clone(),
        Changed { version, position },
    ))
}

impl From<policy::AudienceRow> for AudienceRow {
    fn from(row: policy::AudienceRow) -> Self {
        AudienceRow {
            recipient_follows: row.recipient_follows.into(),
            suggested: row.suggested.into(),
            friend: row.friend.into(),
            anyone: row.anyone.into(),
        }
    }
}

impl From<AudienceRow> for policy::AudienceRow {
    fn from(row: AudienceRow) -> Self {
        policy::AudienceRow {
            recipient_follows: row.recipient_follows.into(),
            suggested: row.suggested.into(),
            friend: row.friend.into(),
            anyone: row.anyone.into(),
        }
    }
}

impl From<&DomainRules> for Rules {
    fn from(rules: &DomainRules) -> Self {
        let table = &rules.audience_table;
        Rules {
            text_graphemes_max: rules.text_graphemes_max,
            text_bytes_max: rules.text_bytes_max,
            requests_per_day: rules.requests_per_day,
            requests_per_day_new: rules.requests_per_day_new,
            new_member_days: rules.new_member_days,
            request_messages_max: rules.request_messages_max,
            cooldown_days: rules.cooldown_days.clone(),
            restore_days: rules.restore_days,
            reports_per_day: rules.reports_per_day,
            report_messages_max: rules.report_messages_max,
            comment_graphemes_max: rules.comment_graphemes_max,
            comment_bytes_max: rules.comment_bytes_max,
            default_audience_adult: rules.default_audience_adult.into(),
            default_audience_16_17: rules.default_audience_16_17.into(),
            audience_table: AudienceTable {
                everyone: table.everyone.into(),
                following: table.following.into(),
                friends_and_suggested: table.friends_and_suggested.into(),
                friends: table.friends.into(),
                no_one: table.no_one.into(),
            },
        }
    }
}

impl From<Rules> for DomainRules {
    fn from(rules: Rules) -> Self {
        let table = rules.audience_table;
        DomainRules {
            text_graphemes_max: rules.text_graphemes_max,
            text_bytes_max: rules.text_bytes_max,
            requests_per_day: rules.requests_per_day,
            requests_per_day_new: rules.requests_per_day_new,
            new_member_days: rules.new_member_days,
            request_messages_max: rules.request_messages_max,
            cooldown_days: rules.cooldown_days,
            restore_days: rules.restore_days,
            reports_per_day: rules.reports_per_day,
            report_messages_max: rules.report_messages_max,
            comment_graphemes_max: rules.comment_graphemes_max,
            comment_bytes_max: rules.comment_bytes_max,
            default_audience_adult: rules.default_audience_adult.into(),
            default_audience_16_17: rules.default_audience_16_17.into(),
            audience_table: policy::AudienceTable {
                everyone: table.everyone.into(),
                following: table.following.into(),
                friends_and_suggested: table.friends_and_suggested.into(),
                friends: table.friends.into(),
                no_one: table.no_one.into(),
            },
        }
    }
}
