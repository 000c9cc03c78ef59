//! The OpenAPI document, made from the routes and served with a page to read it.
//!
//! What all routes share is added here and not at each of them: the token, the headers of commands, the header of
//! positions, and the errors that any route can have. `docs/openapi.json` is this document, compared by a test. The page
//! at `/docs` is part of the program and fetches nothing from anywhere else.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use utoipa::openapi::SchemaFormat;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::KnownFormat;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::caller::ShownPosition;
use crate::problem::{Code, FieldCode, FieldError, Problem};
use crate::{operations, words};

/// Where the document is.
pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";

/// The document before the routes.
pub(crate) fn base() -> OpenApi {
    let description = "Direct messages with a doorstep: what a stranger writes waits until it is accepted, deleted or reported. \
        Each route is for the role that it is tagged with (`auditor`: also `service`; `operator`: also `service`; `staff`: `moderator`, `auditor`, `service` or `operator`, \
        whichever the view is for; `open`: anyone); \
        roles do not include one another.";
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Doorstep")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(description))
                .build(),
        )
        .components(Some(
            ComponentsBuilder::new()
                .schema(Problem::name(), Problem::schema())
                .schema(Code::name(), Code::schema())
                .schema(FieldError::name(), FieldError::schema())
                .schema(FieldCode::name(), FieldCode::schema())
                .schema(ShownPosition::name(), ShownPosition::schema())
                .schema(words::Category::name(), words::Category::schema())
                .schema(words::DeleteMode::name(), words::DeleteMode::schema())
                .security_scheme(
                    "bearer",
                    SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
                )
                .build(),
        ))
        .security(Some([SecurityRequirement::new("bearer", [""; 0])]))
        .build()
}

/// Adds to every operation what all of its kind share.
pub(crate) fn finish(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let PathItem {
            get,
            put,
            post,
            delete,
            ..
        } = item;
        for (method, operation) in [
            ("get", get),
            ("put", put),
            ("post", post),
            ("delete", delete),
        ] {
            if let Some(operation) = operation.as_mut() {
                operation.operation_id = Some(operation_id(method, path));
                finish_operation(operation, path, method);
            }
        }
    }
}

/// A name that no other operation has: `post_requests_cid_accept`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path
        .split(['/', '-', '.'])
        .map(|word| word.trim_matches(['{', '}']));
    words
        .filter(|word| !word.is_empty() && *word != "v1")
        .fold(method.to_owned(), |id, word| id + "_" + word)
}

fn finish_operation(operation: &mut Operation, path: &str, method: &str) {
    let command = method != "get";
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "Done.".clone_into(&mut response.description);
        }
    }
    if let Some(about) = operation.operation_id.as_deref().and_then(operations::of) {
        operation.description = Some(about.description.to_owned());
        give_examples(operation, about);
    }
    let tag = operation
        .tags
        .as_ref()
        .and_then(|tags| tags.first())
        .cloned()
        .unwrap_or_default();
    if tag == "open" {
        return;
    }
    let errors = errors(operation, &tag, path, method);
    let parameters = operation.parameters.get_or_insert_default();
    if command && tag != "operator" {
        parameters.push(
            ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("The client's id of this command, 1-128 bytes: repeated, it takes effect once and answers alike."))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128))))
                .build().into(),
        );
    }
    if command && tag == "service" {
        parameters.push(
            ParameterBuilder::new()
                .name("Doorstep-At")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("When it happened, RFC 3339."))
                .schema(Some(
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
                ))
                .build()
                .into(),
        );
    }
    operation
        .responses
        .responses
        .retain(|status, _| status.starts_with('2'));
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else {
            continue;
        };
        let position = HeaderBuilder::new()
            .schema(Some(Ref::from_schema_name("Position")))
            .description(Some(
                "The position a command reached, or how far the view of a query has come.",
            ))
            .build();
        response
            .headers
            .insert("Doorstep-Position".to_owned(), position.into());
    }
    for (status, codes) in errors {
        let description: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}.", code.as_str(), code.title()))
            .collect();
        let response = ResponseBuilder::new()
            .description(description.join(" "))
            .content(
                "application/problem+json",
                Content::new(Some(Ref::from_schema_name("Problem"))),
            )
            .build();
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), response.into());
    }
    let any_other = ResponseBuilder::new()
        .description("Any other error; `code` says which.")
        .content(
            "application/problem+json",
            Content::new(Some(Ref::from_schema_name("Problem"))),
        )
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), any_other.into());
}

/// Puts the examples of an operation to its body and to its answers.
fn give_examples(operation: &mut Operation, about: &operations::Operation) {
    let example = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = example(about.request);
            }
        }
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && (status.starts_with('2'))
        {
            for content in response.content.values_mut() {
                if let RefOr::T(content) = content {
                    content.example = example(about.answer);
                }
            }
        }
    }
}

/// Every error that an operation can give, by status: its own, and those that all of its kind share.
fn errors(operation: &Operation, tag: &str, path: &str, method: &str) -> BTreeMap<u16, Vec<Code>> {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let command = method != "get";
    let parameters = || operation.parameters.iter().flatten();
    let has = |name: &str| {
        parameters()
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == name))
    };
    let mut codes = vec![
        Code::InvalidQuery,
        Code::Unauthenticated,
        Code::TokenInvalid,
        Code::TokenExpired,
        Code::Forbidden,
        Code::Internal,
    ];
    if operations::is_limited(id) {
        codes.push(Code::RateLimited);
    }
    // What takes no body says so of one.
    if command {
        codes.extend([Code::InvalidBody, Code::RequestTimeout]);
    }
    if operation.request_body.is_some() {
        codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType]);
    }
    // Reading a case is recorded, so that it is a command as well.
    if (command && tag != "operator") || id == "get_moderation_cases_id" {
        codes.extend([
            Code::InvalidHeader,
            Code::CommandIdReused,
            Code::Busy,
            Code::OutcomeUnknown,
            Code::StoreUnavailable,
            Code::StorageFull,
        ]);
    }
    if path.starts_with("/v1/audit/") {
        codes.extend([
            Code::AsOfBeyondEnd,
            Code::AuditTooLarge,
            Code::AuditIncomplete,
            Code::NotFound,
            Code::ViewBehind,
            Code::NotReady,
            Code::Busy,
            Code::OutcomeUnknown,
            Code::StoreUnavailable,
            Code::StorageFull,
            Code::Damaged,
        ]);
    }
    if command && tag == "service" {
        codes.push(Code::InvalidTime);
    }
    if has("min_position") {
        codes.extend([Code::ViewBehind, Code::NotReady, Code::OtherLog]);
    }
    codes.extend(operations::of(id).into_iter().flat_map(|about| about.codes));
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let of_status = by_status.entry(code.status().as_u16()).or_default();
        if !of_status.contains(&code) {
            of_status.push(code);
        }
    }
    if path.contains("/members/{id}") || path.contains("/{other}") {
        let malformed = by_status.entry(400).or_default();
        malformed.push(Code::InvalidMember);
    }
    by_status
}

/// The page at `/docs`.
pub(crate) fn page<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let config = Config::new([DOCUMENT_PATH]).validator_url("none");
    Router::from(SwaggerUi::new("/docs").config(config))
        .layer(middleware::from_fn(fetch_nothing_elsewhere))
}

/// Holds the page to this origin, whatever its scripts might want.
async fn fetch_nothing_elsewhere(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
        ),
    );
    response
}
