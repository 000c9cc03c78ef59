//! `/v1/audit/…`: what stood when, for auditors alone.
//!
//! The answers that were given then, in the same shapes; `Doorstep-Position` is the position meant. Every look at what is
//! others' is recorded before it is answered (`crate::audit`).

mod cases;
mod conversations;
pub(crate) mod disclosures;
mod members;
pub(crate) mod shapes;

use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::app::State;
use crate::audit;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .merge(members::router())
        .merge(conversations::router())
        .merge(cases::router())
        .merge(disclosures::router())
}

/// The query of a list as of a moment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListAsOf {
    /// A position, or a time of RFC 3339: the end of the longest prefix of the log in which no `at` is later. Now when
    /// absent, or the moment of the cursor.
    as_of: Option<String>,
    /// What for, 1-64 bytes of `[a-z0-9_]`; `audit` when absent. It is recorded.
    purpose: Option<String>,
    /// 1-200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListAsOf {
    fn asked(&self) -> audit::Asked<'_> {
        audit::Asked {
            as_of: self.as_of.as_deref(),
            limit: self.limit,
            cursor: self.cursor.as_deref(),
        }
    }
}

/// The query of one answer as of a moment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OneAsOf {
    /// A position, or a time of RFC 3339: the end of the longest prefix of the log in which no `at` is later. Now when
    /// absent.
    as_of: Option<String>,
    /// What for, 1-64 bytes of `[a-z0-9_]`; `audit` when absent. It is recorded.
    purpose: Option<String>,
}

/// The query of what changed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Span {
    /// The first moment: a position, or a time of RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// The second moment, not before the first.
    #[param(required = true)]
    to: Option<String>,
    /// What for, 1-64 bytes of `[a-z0-9_]`; `audit` when absent. It is recorded.
    purpose: Option<String>,
}

impl Span {
    /// The two moments, in their order.
    async fn moments(
        &self,
        question: &mut audit::Question<'_>,
    ) -> Result<[projections::Moment; 2], crate::problem::ApiError> {
        use crate::problem::{ApiError, Code, FieldCode};
        let from = question.moment_of("from", self.from.as_deref()).await?;
        let to = question.moment_of("to", self.to.as_deref()).await?;
        if from.position > to.position {
            return Err(ApiError::at_field(
                Code::InvalidQuery,
                "to",
                FieldCode::OutOfRange,
                "It is before `from`.",
            ));
        }
        Ok([from, to])
    }
}
