//! `POST /v1/moderation/members/{id}/decisions`, `GET /v1/moderation/acts/{id}`, `POST …/reverse`: one decision on many cases
//! of a member, how far it has come, and its reversal.
//!
//! Each case is decided as it was seen, or passed over, one after another. The answer waits for all of them, and its position
//! reaches up to what the act does; where that takes too long the answer says so, and who waits asks for the act.

use axum::extract::State as Extract;
use commands::{Answer, Command};
use domain::act::{PassedCase, SeenCase};
use domain::case::Ruling;
use domain::ids::{CaseId, MemberId, ReasonCode};
use projections::{Act, ActStep, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsModerator, Caller, ShownPosition};
use crate::follow_ups::{Carried, act, carried_out};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, AsOf, Members, Query, Segments};
use crate::time;
use crate::words::Action;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(decide))
        .routes(routes!(shown))
        .routes(routes!(reverse))
}

/// A case as the caller saw it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Seen {
    #[schema(value_type = String, format = Uuid)]
    case_id: CaseId,
    /// As the queue or the case told it.
    revision: u64,
}

/// A decision on many cases of one member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDecisions {
    /// 1-200 cases, each once.
    #[schema(min_items = 1, max_items = 200)]
    cases: Vec<Seen>,
    /// Any but `remove_messages`, which names messages of one case.
    action: Action,
    /// RFC 3339. `limit` needs it, `suspend` is for good without it, the others have none.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// What the member is told: at most 2,000 graphemes and 8 KiB; may be empty for `no_action` alone.
    #[serde(default)]
    text: String,
    /// The facts relied on, within the same limits.
    #[serde(default)]
    facts: String,
}

/// An act that was made.
#[derive(Debug, Serialize, ToSchema)]
struct ActBegun {
    #[schema(format = Uuid)]
    act_id: String,
    position: ShownPosition,
    /// Whether all its cases were gone through, and `position` reaches up to there. Where they were not by now, that goes on
    /// by itself, and `GET /v1/moderation/acts/{id}` tells how far it is.
    carried_out: bool,
}

/// Decides many cases of a member as one act.
#[utoipa::path(post, path = "/v1/moderation/members/{id}/decisions", tag = "moderator", params(("id" = String, Path)),
    request_body = NewDecisions,
    responses((status = 200, body = ActBegun), (status = 422, description = "`invalid_decision`", body = Problem)))]
async fn decide(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Members(member): Members<MemberId>,
    Json(decisions): Json<NewDecisions>,
) -> Result<Answered<ActBegun>, ApiError> {
    let until = match &decisions.until {
        Some(text) => Some(query::time(Code::InvalidBody, "until", text)?),
        None => None,
    };
    let cases = decisions.cases.iter().map(|seen| SeenCase {
        case: seen.case_id,
        revision: seen.revision,
    });
    let command = Command::DecideCases {
        member,
        cases: cases.collect(),
        ruling: Ruling {
            action: decisions.action.into(),
            until,
            messages: Vec::new(),
            reason: decisions.reason,
            text: decisions.text,
            facts: decisions.facts,
        },
    };
    let (outcome, _) = act(&shared, &acting, command).await?;
    let Answer::DecidedMany { act } = outcome.answer else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "an act without an id",
        ));
    };
    let carried = carried_out(&shared, &acting, &outcome).await;
    let body = ActBegun {
        act_id: act.to_string(),
        position: carried.position.clone(),
        carried_out: carried.carried_out,
    };
    Ok(Answered::ok(carried.position, body))
}

/// A case that an act passed over.
#[derive(Debug, Serialize, ToSchema)]
struct MovedOn {
    #[schema(format = Uuid)]
    case_id: String,
    /// `not_found` (no such case of the member), `own_case` (the moderator reported in it), `claimed` (by
    /// another), `decided`, `escalated` (by this moderator, or since it was seen), `reported` or `reopened` since, `reversed`
    /// already, `appealed` (the decision is the moderator's own, and its appeal waits for another).
    why: &'static str,
}

impl From<PassedCase> for MovedOn {
    fn from(passed: PassedCase) -> Self {
        MovedOn {
            case_id: passed.case.to_string(),
            why: passed.why.as_str(),
        }
    }
}

/// An act on many cases of one member.
#[derive(Debug, Serialize, ToSchema)]
struct ShownAct {
    #[schema(format = Uuid)]
    act_id: String,
    member: String,
    /// Which moderator; no member is told.
    by: String,
    action: Action,
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Why, as a code.
    reason: String,
    /// What the member is told.
    text: String,
    /// The facts relied on.
    facts: String,
    #[schema(format = DateTime)]
    decided_at: String,
    /// How many cases it names.
    total: u64,
    /// How many of them are decided so far.
    decided: u64,
    /// Those that had moved on, told once all were gone through.
    moved_on: Vec<MovedOn>,
    /// Whether all were gone through.
    finished: bool,
    /// Its reversal; null where it stands.
    reversal: Option<ActReversal>,
}

/// The reversal of an act.
#[derive(Debug, Serialize, ToSchema)]
struct ActReversal {
    /// Which moderator; no member is told.
    by: String,
    /// Why, as a code.
    reason: String,
    /// What the member is told.
    text: String,
    #[schema(format = DateTime)]
    reversed_at: String,
    /// How many decisions of the act are reversed by it so far.
    reversed: u64,
    /// Those that it had nothing to do on, told once all were gone through.
    moved_on: Vec<MovedOn>,
    /// Whether all were gone through.
    finished: bool,
}

impl From<Act> for ShownAct {
    fn from(act: Act) -> Self {
        let step = act.decision;
        ShownAct {
            act_id: act.act_id.to_string(),
            member: act.member.to_string(),
            by: step.by.to_string(),
            action: act.action.into(),
            until: act.until.map(|at| time::format(at.as_millis())),
            reason: step.reason.to_string(),
            text: step.text,
            facts: act.facts,
            decided_at: time::format(step.at.as_millis()),
            total: act.total,
            decided: step.done,
            moved_on: step.moved_on.into_iter().map(MovedOn::from).collect(),
            finished: step.finished,
            reversal: act.reversal.map(ActReversal::from),
        }
    }
}

impl From<ActStep> for ActReversal {
    fn from(step: ActStep) -> Self {
        ActReversal {
            by: step.by.to_string(),
            reason: step.reason.to_string(),
            text: step.text,
            reversed_at: time::format(step.at.as_millis()),
            reversed: step.done,
            moved_on: step.moved_on.into_iter().map(MovedOn::from).collect(),
            finished: step.finished,
        }
    }
}

/// An act on many cases, and how far it has come.
#[utoipa::path(get, path = "/v1/moderation/acts/{id}", tag = "moderator", params(("id" = String, Path, format = Uuid), AsOf),
    responses((status = 200, body = ShownAct)))]
async fn shown(
    Extract(shared): Extract<State>,
    caller: Caller<AsModerator>,
    Segments(id): Segments<String>,
    Query(asked): Query<AsOf>,
) -> Result<Answered<ShownAct>, ApiError> {
    shared
        .reached(
            &caller,
            ViewName::ModerationQueue,
            asked.min_position.as_deref(),
        )
        .await?;
    let answer = act_for(&shared, &caller, &id).await?;
    Ok(shared.standing_at(&caller, answer.position, ShownAct::from(answer.value)))
}

/// An act, for a moderator whom it is not about: who it is about learns of it what the statement says.
pub(crate) async fn act_for(
    shared: &State,
    caller: &Caller<AsModerator>,
    id: &str,
) -> Result<projections::Answer<Act>, ApiError> {
    let answer = shared.reads.act(query::act(id)).await?;
    if answer.value.member == *caller.sub() {
        return Err(ApiError::new(Code::NotFound));
    }
    Ok(answer)
}

/// Why an act is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReversal {
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// What the member is told: at most 2,000 graphemes and 8 KiB; may be empty where nothing had been done.
    #[serde(default)]
    text: String,
}

/// Takes an act on many cases back. *Unchanged* where that was done.
#[utoipa::path(post, path = "/v1/moderation/acts/{id}/reverse", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = NewReversal,
    responses((status = 200, body = Carried), (status = 422, description = "`invalid_decision`", body = Problem)))]
async fn reverse(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Json(reversal): Json<NewReversal>,
) -> Result<Answered<Carried>, ApiError> {
    let command = Command::ReverseCases {
        act: query::act(&id),
        reason: reversal.reason,
        text: reversal.text,
    };
    let (outcome, _) = act(&shared, &acting, command).await?;
    let carried = carried_out(&shared, &acting, &outcome).await;
    Ok(Answered::ok(carried.position.clone(), carried))
}
