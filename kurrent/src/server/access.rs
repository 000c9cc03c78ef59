//! Who may come in: a token as bearer, or as the password of any user name, as published clients send it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No token, or none that is good.
    Unknown,
    /// A good token that is not enough.
    Role,
}

/// Says who may come in.
pub trait Access: Send + Sync + 'static {
    /// Whether who gives this token may; none where none is given.
    fn takes(&self, token: Option<&str>) -> Result<(), Denied>;
}

/// Takes everyone.
#[derive(Clone, Copy, Debug)]
pub struct Everyone;

impl Access for Everyone {
    fn takes(&self, _token: Option<&str>) -> Result<(), Denied> {
        Ok(())
    }
}

/// Lets through whom [`Access`] takes.
#[derive(Clone)]
pub(super) struct Checked {
    access: Arc<dyn Access>,
}

impl Checked {
    pub(super) fn new(access: Arc<dyn Access>) -> Self {
        Self { access }
    }
}

impl Interceptor for Checked {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get("authorization");
        let token = given
            .and_then(|given| given.to_str().ok())
            .and_then(token_of);
        match self.access.takes(token.as_deref()) {
            Ok(()) => Ok(request),
            Err(Denied::Unknown) => Err(Status::unauthenticated(
                "a token is needed, as bearer or as the password of any user name",
            )),
            Err(Denied::Role) => Err(denied("the token's roles are not enough")),
        }
    }
}

/// A refusal as the protocol tells it.
pub(super) fn denied(why: &str) -> Status {
    let mut status = Status::permission_denied(format!("access denied: {why}"));
    let exception = tonic::metadata::MetadataValue::from_static("access-denied");
    status.metadata_mut().insert("exception", exception);
    status
}

/// The token in an `authorization` header.
fn token_of(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_any_user() {
        assert_eq!(token_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token_of("bearer abc").as_deref(), Some("abc"));
        let basic = format!("Basic {}", STANDARD.encode("admin:a.b:c"));
        assert_eq!(token_of(&basic).as_deref(), Some("a.b:c"));
        for none in ["", "abc", "Digest abc", "Basic !", "Basic YWJj"] {
            assert_eq!(token_of(none), None, "{none}");
        }
    }
}
