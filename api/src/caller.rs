//! Who may come in where: the extractors that every route begins with.
//!
//! [`Caller`] is a checked token with one of the roles its route is for, within its rate limit and, on members' routes,
//! with a registered `sub`. [`Acting`] adds what a command carries in headers: `Idempotency-Key` and, for `service`,
//! `Doorstep-At`. The roles stand in the type, so that a route cannot forget them. How positions look to a caller is
//! decided here too: numbers for `service` and `auditor`, opaque strings for everybody else.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use commands::{Command, Envelope};
use domain::ids::{CommandId, MemberId};
use domain::time::Timestamp;
use event_store::Position;
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::app::{Shared, State};
use crate::limits::Size;
use crate::problem::{ApiError, Code, FieldCode};
use crate::query::NO_TIME;
use crate::seals::Unsealed;
use crate::time;
use crate::tokens::{Principal, Role, Roles};
use crate::unasked;

/// What a route asks of its caller.
pub(crate) trait Access: Send + Sync + 'static {
    /// One of these roles.
    const ROLES: Roles;
    /// Counts against the rate limit.
    const LIMITED: bool = true;
    /// The `sub` is a registered member.
    const REGISTERED: bool = false;
}

/// Declares the kinds of access there are.
macro_rules! access {
    ($($(#[$doc:meta])* $name:ident: [$($role:ident),+] $(, $constant:ident = $value:literal)*;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Access for $name {
            const ROLES: Roles = Roles::of(&[$(Role::$role),+]);
            $(const $constant: bool = $value;)*
        }
    )+};
}

access! {
    /// A registered member.
    AsMember: [Member], REGISTERED = true;
    /// A registered member on a route that protects them, which is never limited.
    AsMemberUnlimited: [Member], REGISTERED = true, LIMITED = false;
    /// A member's token whose `sub` the domain itself judges: who is not registered is told so as a sender.
    AsSender: [Member];
    /// The host's backend.
    AsService: [Service];
    /// A moderator.
    AsModerator: [Moderator];
    /// Who audits what stood when.
    AsAuditor: [Auditor];
    /// Who answers for moderation, and who looks over it.
    AsOverseer: [Moderator, Auditor];
    /// Who reads the log.
    AsReader: [Auditor, Service];
    /// Who runs the service.
    AsOperator: [Operator, Service];
    /// Everyone but members: which of them, what is asked for says.
    AsStaff: [Moderator, Auditor, Service, Operator];
}

/// A caller who may use the route.
#[derive(Debug)]
pub(crate) struct Caller<A> {
    principal: Arc<Principal>,
    access: PhantomData<A>,
}

impl<A> Caller<A> {
    /// The token's `sub`.
    pub(crate) fn sub(&self) -> &MemberId {
        &self.principal.sub
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether positions are numbers for this caller.
    pub(crate) fn sees_numbers(&self) -> bool {
        self.principal
            .roles
            .meet(Roles::of(&[Role::Service, Role::Auditor]))
    }

    /// A position as this caller is shown it.
    pub(crate) fn shows(&self, shared: &Shared, position: Position) -> ShownPosition {
        if self.sees_numbers() {
            return ShownPosition::Number(position.0);
        }
        let keys = shared.tokens.keys();
        let text = keys
            .seals()
            .first()
            .map(|seal| seal.position(shared.store.log_id().0, position.0));
        ShownPosition::Opaque(text.unwrap_or_default())
    }
}

impl<A: Access> Caller<A> {
    /// Who may use what asks for this access; a refusal is counted and told the same however the token came.
    pub(crate) async fn admitted(
        shared: &Shared,
        principal: Arc<Principal>,
    ) -> Result<Self, ApiError> {
        if !principal.roles.meet(A::ROLES) {
            return Err(ApiError::with_detail(
                Code::Forbidden,
                format!(
                    "This route is for the role {}; the token has {}.",
                    A::ROLES,
                    principal.roles
                ),
            ));
        }
        if A::LIMITED {
            let staff = Roles::of(&[
                Role::Moderator,
                Role::Auditor,
                Role::Service,
                Role::Operator,
            ]);
            let size = if principal.roles.meet(staff) {
                Size::Staff
            } else {
                Size::Member
            };
            shared.limiter.ask(principal.sub.as_str(), size)?;
        }
        if A::REGISTERED && !shared.registered(&principal).await? {
            return Err(ApiError::with_detail(
                Code::Forbidden,
                "The token's `sub` is not a registered member; the host registers members first.",
            ));
        }
        Ok(Caller {
            principal,
            access: PhantomData,
        })
    }
}

impl<A: Access> FromRequestParts<State> for Caller<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &State) -> Result<Self, ApiError> {
        let principal = shared.tokens.check(bearer(&parts.headers)?)?;
        let caller = Caller::admitted(shared, principal).await?;
        unasked::refuse(parts).await?;
        Ok(caller)
    }
}

/// The token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Code::Unauthenticated)?;
    if values.next().is_some() {
        return Err(ApiError::with_detail(
            Code::TokenInvalid,
            "The header `Authorization` is given more than once; which token is meant is not known.",
        ));
    }
    let value = value.to_str().map_err(|_| Code::TokenInvalid)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Code::Unauthenticated.into()),
    }
}

/// A caller who gives a command.
#[derive(Debug)]
pub(crate) struct Acting<A> {
    /// Who gives it.
    pub caller: Caller<A>,
    /// Its id: the client's, or one made here.
    pub command_id: CommandId,
    /// Whether the client gave it.
    pub id_given: bool,
    /// When it happened, if a `service` says so.
    pub at: Option<Timestamp>,
}

impl<A> Acting<A> {
    /// The caller with a command that they did not give themself: its id is made here.
    pub(crate) fn unasked(caller: Caller<A>) -> Result<Self, ApiError> {
        let (command_id, id_given) = idempotency_key(&HeaderMap::new())?;
        Ok(Acting {
            caller,
            command_id,
            id_given,
            at: None,
        })
    }

    /// The command as the write side takes it.
    pub(crate) fn envelope(&self, command: Command) -> Envelope {
        Envelope {
            actor: self.caller.sub().clone(),
            command_id: self.command_id.clone(),
            id_given: self.id_given,
            at: self.at,
            command,
        }
    }
}

impl<A: Access> FromRequestParts<State> for Acting<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &State) -> Result<Self, ApiError> {
        let caller = Caller::<A>::from_request_parts(parts, shared).await?;
        let (command_id, id_given) = idempotency_key(&parts.headers)?;
        let at = happened_at(&parts.headers, &caller.principal)?;
        Ok(Acting {
            caller,
            command_id,
            id_given,
            at,
        })
    }
}

/// The header with the client's id of a command.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header with the time a command happened.
pub(crate) const DOORSTEP_AT: &str = "doorstep-at";
/// The header with the position that an answer reached or stands at.
pub(crate) const DOORSTEP_POSITION: &str = "doorstep-position";

/// The header with which a stream that broke off is asked to go on.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

/// Where the stream before ended, if there was one.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::at_field(
            Code::InvalidQuery,
            LAST_EVENT_ID,
            FieldCode::Repeated,
            "It is given more than once.",
        ));
    }
    // What is no text is no position.
    let text = first.map(|value| value.to_str().unwrap_or("-"));
    Ok(text.filter(|text| !text.is_empty()))
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::at_field(
            Code::InvalidHeader,
            name,
            FieldCode::Repeated,
            "It is given more than once.",
        ));
    }
    Ok(first)
}

/// The command's id, and whether the client gave it.
fn idempotency_key(headers: &HeaderMap) -> Result<(CommandId, bool), ApiError> {
    let header = single(headers, IDEMPOTENCY_KEY)?;
    let id = match header {
        Some(value) => std::str::from_utf8(value.as_bytes())
            .ok()
            .and_then(|key| CommandId::new(key).ok()),
        None => CommandId::new(
            Uuid::new_v4()
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        )
        .ok(),
    };
    id.map(|id| (id, header.is_some())).ok_or_else(|| {
        ApiError::field(
            Code::InvalidHeader,
            IDEMPOTENCY_KEY,
            "It has to be 1-128 bytes of text without control characters.",
        )
    })
}

fn happened_at(headers: &HeaderMap, principal: &Principal) -> Result<Option<Timestamp>, ApiError> {
    let Some(value) = single(headers, DOORSTEP_AT)? else {
        return Ok(None);
    };
    if !principal.roles.has(Role::Service) {
        return Err(ApiError::with_detail(
            Code::Forbidden,
            "The header `Doorstep-At` is for the role `service`; leave it out.",
        ));
    }
    match value.to_str().ok().and_then(time::parse) {
        Some(at_ms) => Ok(Some(Timestamp(at_ms))),
        None => Err(ApiError::field(Code::InvalidHeader, DOORSTEP_AT, NO_TIME)),
    }
}

/// A position as a caller is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum ShownPosition {
    /// For `service` and `auditor`.
    Number(u64),
    /// For everybody else: the same string for the same position.
    Opaque(String),
}

impl ShownPosition {
    /// As the header `Doorstep-Position`.
    pub(crate) fn to_header(&self) -> HeaderValue {
        match self {
            ShownPosition::Number(number) => HeaderValue::from(*number),
            ShownPosition::Opaque(text) => {
                HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
            }
        }
    }
}

impl ShownPosition {
    /// As it stands in a query; it has no letter that means something there.
    pub(crate) fn to_query(&self) -> String {
        match self {
            ShownPosition::Number(number) => number.to_string(),
            ShownPosition::Opaque(text) => text.clone(),
        }
    }
}

impl PartialSchema for ShownPosition {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                    .minimum(Some(0)),
            )
            .item(ObjectBuilder::new().schema_type(Type::String))
            .description(Some(
                "A position in the log: a number for `service` and `auditor`, an opaque string for everybody else.",
            ))
            .into()
    }
}

impl ToSchema for ShownPosition {
    fn name() -> std::borrow::Cow<'static, str> {
        "Position".into()
    }
}

impl Shared {
    /// The position that a caller gives, in the form in which it was given to them. From one who is shown
    /// strings a number is none, be it right or wrong: by waiting for numbers one would find the log's end, and count.
    pub(crate) fn position_given<A>(
        &self,
        caller: &Caller<A>,
        field: &'static str,
        text: &str,
    ) -> Result<Position, ApiError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !caller.sees_numbers() {
            return Err(ApiError::field(
                Code::InvalidQuery,
                field,
                "A position is given as it was received, in `position` or the header `Doorstep-Position`; as a number only by `service` and `auditor`.",
            ));
        }
        if digits && let Ok(number) = text.parse() {
            return Ok(Position(number));
        }
        let mut other_log = false;
        for seal in self.tokens.keys().seals() {
            match seal.open_position(self.store.log_id().0, text) {
                Unsealed::Here(position) => return Ok(Position(position)),
                Unsealed::OtherLog => other_log = true,
                Unsealed::Nothing => {}
            }
        }
        if other_log {
            Err(Code::OtherLog.into())
        } else {
            Err(ApiError::field(
                Code::InvalidQuery,
                field,
                "It has to be a position as an answer gave it: `position`, or the header `Doorstep-Position`.",
            ))
        }
    }

    /// A view's cursor as it is shown to one reader.
    pub(crate) fn cursor_shown(&self, view: &str, reader: &str, content: &[u8]) -> String {
        let keys = self.tokens.keys();
        keys.seals()
            .first()
            .map(|seal| seal.cursor(self.store.log_id().0, view, reader, content))
            .unwrap_or_default()
    }

    /// The content of a cursor that a reader gives back.
    pub(crate) fn cursor_given(
        &self,
        view: &str,
        reader: &str,
        text: &str,
    ) -> Result<Vec<u8>, ApiError> {
        let mut other_log = false;
        for seal in self.tokens.keys().seals() {
            match seal.open_cursor(self.store.log_id().0, view, reader, text) {
                Unsealed::Here(content) => return Ok(content),
                Unsealed::OtherLog => other_log = true,
                Unsealed::Nothing => {}
            }
        }
        if other_log {
            Err(Code::OtherLog.into())
        } else {
            Err(ApiError::field(
                Code::InvalidQuery,
                "cursor",
                "It is not a cursor of this list for this caller; give `next_cursor` of the page before as it was, with the same filter and order.",
            ))
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn an_id_made_here_is_told_from_one_that_the_client_can_give_again() {
        let mut headers = HeaderMap::new();
        let (made, given) = idempotency_key(&headers).unwrap();
        let (other, _) = idempotency_key(&headers).unwrap();
        assert!(!given && made != other);
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("hello-1"));
        let (id, given) = idempotency_key(&headers).unwrap();
        assert!(given && id.as_str() == "hello-1");
    }
}
