//! `GET /v1/me/decisions`: what was decided about the caller, why, and how to appeal it.
//!
//! A statement tells what, until when, on which facts and by which rule; never who reported, in which conversation, or
//! which moderator. Beside our own fields `statement_of_reasons` has those of the EU's transparency database (Article 24(5)
//! of the Digital Services Act), by their own names and words, as far as they fit.

use axum::extract::State as Extract;
use domain::case;
use projections::{OwnAppeal, OwnDecision, OwnReversal, ViewName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::{State, now};
use crate::caller::{AsMember, Caller};
use crate::problem::ApiError;
use crate::query::{Paging, Query};
use crate::time;
use crate::words::{Action, AppealOutcome, Category};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(list))
}

/// A decision about the caller.
#[derive(Debug, Serialize, ToSchema)]
struct ToldDecision {
    #[schema(format = Uuid)]
    decision_id: String,
    action: Action,
    #[schema(format = DateTime)]
    decided_at: String,
    /// Null where it has no end.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// When what it restricts ended: by time, by hand, or by its reversal. Null before, and where it restricts nothing.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The gravest of what was reported; null of a suspension that is no decision on a report.
    category: Option<Category>,
    /// The rule that was broken, as a code.
    reason: String,
    /// What the moderators say.
    text: String,
    /// The facts relied on; null of a suspension by hand from before such were given.
    facts: Option<String>,
    /// How many messages it removes.
    messages: usize,
    /// Whether it was decided without a human being: never.
    automated: bool,
    /// Where to send an appeal; null where there is none, or no more.
    appeal_at: Option<String>,
    /// From when on it can be appealed no more; null where there is no appeal.
    #[schema(format = DateTime)]
    appealable_until: Option<String>,
    appeal: Option<StatedAppeal>,
    reversal: Option<StatedReversal>,
    statement_of_reasons: StatementOfReasons,
}

/// The caller's appeal.
#[derive(Debug, Serialize, ToSchema)]
struct StatedAppeal {
    text: String,
    #[schema(format = DateTime)]
    appealed_at: String,
    /// Null while it waits.
    outcome: Option<AppealOutcome>,
    /// What the moderators say.
    answer: Option<String>,
    #[schema(format = DateTime)]
    answered_at: Option<String>,
}

/// That the decision was reversed.
#[derive(Debug, Serialize, ToSchema)]
struct StatedReversal {
    reason: String,
    /// What the moderators say.
    text: String,
    #[schema(format = DateTime)]
    reversed_at: String,
}

/// The decision in the fields of the EU's transparency database; dates are days.
#[derive(Debug, Serialize, ToSchema)]
struct StatementOfReasons {
    /// The platform's own id of it.
    puid: String,
    decision_visibility: Option<[&'static str; 1]>,
    decision_provision: Option<&'static str>,
    #[schema(format = Date)]
    end_date_service_restriction: Option<String>,
    decision_account: Option<&'static str>,
    #[schema(format = Date)]
    end_date_account_restriction: Option<String>,
    decision_ground: &'static str,
    incompatible_content_ground: String,
    incompatible_content_explanation: String,
    decision_facts: Option<String>,
    content_type: [&'static str; 1],
    category: &'static str,
    source_type: &'static str,
    automated_detection: &'static str,
    automated_decision: &'static str,
    #[schema(format = Date)]
    application_date: String,
}

fn when(at: domain::Timestamp) -> String {
    time::format(at.as_millis())
}

/// The day of a moment, in UTC.
fn day(at: domain::Timestamp) -> String {
    when(at).chars().take_while(|char| *char != 'T').collect()
}

impl StatementOfReasons {
    fn of(decision: &OwnDecision) -> Self {
        let until = decision.until.map(day);
        let when = |holds: bool| until.clone().filter(|_| holds);
        let (removes, limits, suspends) = (
            decision.action == case::Action::RemoveMessages,
            decision.action == case::Action::Limit,
            decision.action == case::Action::Suspend,
        );
        StatementOfReasons {
            puid: decision.decision_id.to_string(),
            decision_visibility: removes.then_some(["DECISION_VISIBILITY_CONTENT_REMOVED"]),
            decision_provision: limits.then_some("DECISION_PROVISION_PARTIAL_SUSPENSION"),
            end_date_service_restriction: when(limits),
            // Who is suspended for good goes on reading: no account is terminated.
            decision_account: suspends.then_some("DECISION_ACCOUNT_SUSPENDED"),
            end_date_account_restriction: when(suspends),
            decision_ground: "DECISION_GROUND_INCOMPATIBLE_CONTENT",
            incompatible_content_ground: decision.reason.to_string(),
            incompatible_content_explanation: decision.text.clone(),
            decision_facts: decision.facts.clone(),
            content_type: ["CONTENT_TYPE_TEXT"],
            category: decision
                .category
                .map_or(OTHER_VIOLATION, statement_category),
            source_type: if decision.by_hand {
                "SOURCE_VOLUNTARY"
            } else {
                "SOURCE_TYPE_OTHER_NOTIFICATION"
            },
            automated_detection: "No",
            automated_decision: "AUTOMATED_DECISION_NOT_AUTOMATED",
            application_date: day(decision.decided_at),
        }
    }
}

const OTHER_VIOLATION: &str = "STATEMENT_CATEGORY_OTHER_VIOLATION_TC";

/// The database's word for a category, the nearest there is.
const fn statement_category(category: case::Category) -> &'static str {
    use case::Category as C;
    match category {
        C::Scam | C::Impersonation => "STATEMENT_CATEGORY_SCAMS_AND_FRAUD",
        C::Harassment => "STATEMENT_CATEGORY_CYBER_VIOLENCE",
        C::Hate => "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH",
        C::MinorSafety => "STATEMENT_CATEGORY_PROTECTION_OF_MINORS",
        C::Violence => "STATEMENT_CATEGORY_VIOLENCE",
        C::SelfHarm => "STATEMENT_CATEGORY_SELF_HARM",
        C::IllegalGoods => "STATEMENT_CATEGORY_UNSAFE_AND_PROHIBITED_PRODUCTS",
        C::Spam | C::SexualContent | C::Other => OTHER_VIOLATION,
    }
}

impl From<OwnAppeal> for StatedAppeal {
    fn from(appeal: OwnAppeal) -> Self {
        let (outcome, answer, answered_at) = match appeal.answer {
            Some((outcome, text, at)) => (Some(outcome.into()), Some(text), Some(when(at))),
            None => (None, None, None),
        };
        StatedAppeal {
            text: appeal.text,
            appealed_at: when(appeal.appealed_at),
            outcome,
            answer,
            answered_at,
        }
    }
}

impl From<OwnReversal> for StatedReversal {
    fn from(reversal: OwnReversal) -> Self {
        StatedReversal {
            reason: reversal.reason.to_string(),
            text: reversal.text,
            reversed_at: when(reversal.reversed_at),
        }
    }
}

impl ToldDecision {
    /// As of `now`, which says whether there still is an appeal.
    fn of(decision: OwnDecision, now: domain::Timestamp) -> Self {
        let open = decision.appealable_until.is_some_and(|until| now < until)
            && decision.appeal.is_none()
            && decision.reversal.is_none();
        let id = decision.decision_id;
        ToldDecision {
            statement_of_reasons: StatementOfReasons::of(&decision),
            decision_id: id.to_string(),
            action: decision.action.into(),
            decided_at: when(decision.decided_at),
            until: decision.until.map(when),
            ended_at: decision.ended_at.map(when),
            category: decision.category.map(Into::into),
            reason: decision.reason.to_string(),
            text: decision.text,
            facts: decision.facts,
            messages: decision.messages,
            automated: false,
            appeal_at: open.then(|| format!("/v1/decisions/{id}/appeal")),
            appealable_until: decision.appealable_until.map(when),
            appeal: decision.appeal.map(Into::into),
            reversal: decision.reversal.map(Into::into),
        }
    }
}

/// What was decided about the caller, the latest first.
#[utoipa::path(get, path = "/v1/me/decisions", tag = "member", params(Paging), responses((status = 200, body = Listed<ToldDecision>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<Paging>,
) -> Result<Answered<Listed<ToldDecision>>, ApiError> {
    const VIEW: ViewName = ViewName::Decisions;
    let page = shared.page(&caller, VIEW.as_str(), &asked)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared.reads.my_decisions(caller.sub(), &page).await?;
    let now = now();
    Ok(shared.listed(&caller, VIEW.as_str(), page, |decision| {
        ToldDecision::of(decision, now)
    }))
}
