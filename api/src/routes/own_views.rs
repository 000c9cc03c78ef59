//! `GET /v1/views/{name}`: the rows of a view of one's own.
//!
//! Who may read them, which parameters narrow them and what a row is, the view says, in the version whose rows are served;
//! nothing here knows one from another.
//! Members have no way in: what their routes must not tell is held route by route.

use std::sync::Arc;

use axum::extract::State as Extract;
use projections::{Cursor, Narrowed, Order, OwnView, PageRequest, Staff, Why, WrongParameter};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::{Shared, State};
use crate::caller::{AsStaff, Caller};
use crate::problem::{ApiError, Code, FieldCode, FieldError, Problem};
use crate::query::{Partly, Segments, names};
use crate::tokens::{Role, Roles};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(rows))
}

/// In which order of the rows' keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum InOrder {
    #[default]
    Ascending,
    Descending,
}

impl From<InOrder> for Order {
    fn from(word: InOrder) -> Self {
        match word {
            InOrder::Ascending => Order::Ascending,
            InOrder::Descending => Order::Descending,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// 1-200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same filter and order.
    cursor: Option<String>,
    /// By the parts of the list's keys: `ascending` (when absent) or `descending`.
    #[param(inline)]
    order: Option<InOrder>,
    /// Waits until the view has come to this position, given as it was received.
    min_position: Option<String>,
}

/// A row, as its view tells it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct OwnRow(Box<RawValue>);

impl PartialSchema for OwnRow {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("A row, with the fields that its view tells."))
            .into()
    }
}

impl ToSchema for OwnRow {
    fn name() -> std::borrow::Cow<'static, str> {
        "OwnRow".into()
    }
}

/// The rows of a view of one's own.
#[utoipa::path(get, path = "/v1/views/{name}", tag = "staff",
    params(("name" = String, Path), Asked,
        ("narrowed" = Option<std::collections::HashMap<String, String>>, Query, style = Form, explode,
            description = "The view's own parameters, each by its name: `PART=` for a part of its keys, `PART_from=` and `PART_to=` (both inclusive) for a range of the part after those.")),
    responses((status = 200, body = Listed<OwnRow>), (status = 404, description = "`not_found`", body = Problem)))]
async fn rows(
    Extract(shared): Extract<State>,
    caller: Caller<AsStaff>,
    Segments(name): Segments<String>,
    query: Partly<Asked>,
) -> Result<Answered<Listed<OwnRow>>, ApiError> {
    let view = shared.reads.own_served(named(&shared, &name)?);
    may_read(&caller, &*view)?;
    let (asked, narrowed) = understood(&*view, query)?;
    let order = asked.order.unwrap_or_default();
    // A cursor is for one version's keys, one filter and order: with another it is none.
    let version = view.version();
    let scope = format!("view {name} {version} {order:?} {}", narrowed.scope());
    let of = projections::ViewName::Own(view.name());
    let after = match &asked.cursor {
        Some(text) => {
            let content = shared.cursor_given(&scope, caller.sub().as_str(), text)?;
            Some(Cursor::of(of, &content)?)
        }
        None => None,
    };
    let limit = asked.limit.unwrap_or(projections::LIMIT_DEFAULT);
    let page = PageRequest::new(limit, after)?;
    shared
        .reached(&caller, of, asked.min_position.as_deref())
        .await?;
    let page = shared
        .reads
        .own_rows(&*view, &narrowed, order.into(), &page)
        .await?;
    Ok(shared.listed(&caller, &scope, page, OwnRow))
}

/// The own view that a path names.
fn named<'s>(shared: &'s Shared, name: &str) -> Result<&'s Arc<dyn OwnView>, ApiError> {
    let own = shared.reads.own();
    let found = own.iter().find(|view| view.name() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = own.iter().map(|view| view.name()).collect();
        let served = if names.is_empty() {
            "this program has none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        let words = match shared.reads.named(name) {
            Some(_) => format!("The view `{name}` is built in, and answers routes of its own. Only views of one's own are read here; {served}."),
            None => format!("There is no such view of one's own; {served}."),
        };
        ApiError::with_detail(Code::NotFound, words)
    })
}

/// Whether the token has one of the roles that the view is for.
fn may_read(caller: &Caller<AsStaff>, view: &dyn OwnView) -> Result<(), ApiError> {
    let role = |staff: &Staff| match staff {
        Staff::Moderator => Role::Moderator,
        Staff::Auditor => Role::Auditor,
        Staff::Service => Role::Service,
        Staff::Operator => Role::Operator,
    };
    let readers: Vec<Role> = view.readers().iter().map(role).collect();
    let (readers, roles) = (Roles::of(&readers), caller.principal().roles);
    if roles.meet(readers) {
        return Ok(());
    }
    let name = view.name();
    let words = format!("The view `{name}` is for the role {readers}; the token has {roles}.");
    Err(ApiError::with_detail(Code::Forbidden, words))
}

/// What is asked for, or every parameter that is wrong.
fn understood(view: &dyn OwnView, query: Partly<Asked>) -> Result<(Asked, Narrowed), ApiError> {
    match (query.known, Narrowed::by(view, &query.others)) {
        (Ok(asked), Ok(narrowed)) => Ok((asked, narrowed)),
        (known, narrowed) => {
            let narrowed = narrowed.err().into_iter().flatten().map(told);
            let errors = known.err().into_iter().flatten().chain(narrowed);
            Err(ApiError::at_fields(Code::InvalidQuery, errors.collect()))
        }
    }
}

fn told(wrong: WrongParameter) -> FieldError {
    let (code, message) = match wrong.why {
        Why::Unknown(own) => {
            let all = names::<Asked>().into_iter().chain(own);
            let all: Vec<String> = all.map(|name| format!("`{name}`")).collect();
            let message = format!("The view does not know it; it takes {}.", all.join(", "));
            (FieldCode::Unknown, message)
        }
        Why::Repeated => (
            FieldCode::Repeated,
            "It is given more than once.".to_owned(),
        ),
        Why::Malformed(form) => (FieldCode::Malformed, format!("It has to be {form}.")),
        Why::Unfit(lists) => {
            let lists: Vec<String> = lists
                .iter()
                .map(|parts| format!("`{}`", parts.join("`, `")))
                .collect();
            let message = format!(
                "It does not go with the others: parameters narrow one list from its first part on, and the part after those that are given by `_from` and `_to`; there is {}.",
                lists.join(" or ")
            );
            (FieldCode::Unfit, message)
        }
    };
    FieldError {
        field: wrong.name,
        code,
        message,
    }
}
