//! Bearer tokens: who calls, and in which roles.
//!
//! A token counts if one key of the set verifies it with that key's own algorithm, it has an `exp` that has not passed
//! (no leeway: the clocks of a deployment are kept), and its `sub` can be a member's id. A token that verified is
//! remembered by its SHA-256 until it expires or the keys change, in a cache of two generations that is bounded; a
//! token that did not is checked anew each time. Which route takes which role is in `caller`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::ids::MemberId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::keys::{KeySet, Keys};
use crate::problem::{ApiError, Code};
use crate::time::now_ms;

/// A longer token is none.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Remembered tokens in each of the two generations.
const REMEMBERED_MAX: usize = 32 * 1024;

/// What a token may open. Roles do not include one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A user of the host app.
    Member,
    /// Works on the cases.
    Moderator,
    /// Reads the log and the past.
    Auditor,
    /// The host's own backend.
    Service,
    /// Runs the service.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 5] = [
        Role::Member,
        Role::Moderator,
        Role::Auditor,
        Role::Service,
        Role::Operator,
    ];

    /// Its name in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Moderator => "moderator",
            Role::Auditor => "auditor",
            Role::Service => "service",
            Role::Operator => "operator",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// The set of these.
    pub const fn of(roles: &[Role]) -> Roles {
        let mut bits = 0;
        let mut rest = roles;
        while let [first, others @ ..] = rest {
            bits |= 1 << (*first as u8);
            rest = others;
        }
        Roles(bits)
    }

    /// Whether the sets have a role in common.
    pub const fn meet(self, other: Roles) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the role is in it.
    pub const fn has(self, role: Role) -> bool {
        self.meet(Roles::of(&[role]))
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = Role::ALL
            .into_iter()
            .filter(|role| self.has(*role))
            .map(|role| format!("`{}`", role.as_str()))
            .collect();
        if words.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&words.join(" or "))
    }
}

/// Who calls.
#[derive(Debug)]
pub struct Principal {
    /// The token's `sub`.
    pub sub: MemberId,
    /// The token's roles.
    pub roles: Roles,
    exp_s: i64,
    registered: AtomicBool,
}

impl Principal {
    /// The second from which the token does not count any more.
    pub(crate) fn expires_s(&self) -> i64 {
        self.exp_s
    }

    /// Whether the `sub` was found to be a registered member; once it is, it stays one.
    pub(crate) fn known_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_registered(&self) {
        self.registered.store(true, Ordering::Relaxed);
    }

    /// A member of the demo's sample, as whom anyone acts there: without a token, and with no other role.
    pub(crate) fn of_the_sample(sub: MemberId) -> Arc<Self> {
        Arc::new(Principal {
            sub,
            roles: Roles::of(&[Role::Member]),
            exp_s: i64::MAX,
            registered: AtomicBool::new(false),
        })
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Option<Vec<String>>,
    exp: serde_json::Number,
}

type Digest = [u8; 32];

#[derive(Default)]
struct Remembered {
    generation: u64,
    young: std::collections::HashMap<Digest, Arc<Principal>>,
    old: std::collections::HashMap<Digest, Arc<Principal>>,
}

impl Remembered {
    fn add(&mut self, digest: Digest, principal: &Arc<Principal>) {
        if self.young.len() >= REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, Arc::clone(principal));
    }
}

/// Checks tokens against the key set.
pub struct Tokens {
    keys: Arc<KeySet>,
    remembered: Mutex<Remembered>,
}

impl Tokens {
    /// A checker over this set.
    pub fn new(keys: Arc<KeySet>) -> Self {
        Tokens {
            keys,
            remembered: Mutex::default(),
        }
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.keys()
    }

    /// Who the token speaks for.
    pub fn check(&self, token: &str) -> Result<Arc<Principal>, ApiError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid(
                "The token is longer than a token can be; get a new one.",
            ));
        }
        let keys = self.keys.keys();
        let digest: Digest = Sha256::digest(token).into();
        if let Some(principal) = self.recall(keys.generation, &digest) {
            return if principal.exp_s > now_ms().div_euclid(1000) {
                Ok(principal)
            } else {
                Err(expired())
            };
        }
        let principal = Arc::new(verify(&keys, token)?);
        // The second of `exp` itself is over, whether the token was seen before or not.
        if principal.exp_s <= now_ms().div_euclid(1000) {
            return Err(expired());
        }
        self.remember(keys.generation, digest, &principal);
        Ok(principal)
    }

    fn recall(&self, generation: u64, digest: &Digest) -> Option<Arc<Principal>> {
        let mut remembered = self.remembered.lock();
        if remembered.generation != generation {
            *remembered = Remembered {
                generation,
                ..Remembered::default()
            };
        }
        if let Some(principal) = remembered.young.get(digest) {
            return Some(Arc::clone(principal));
        }
        let principal = remembered.old.remove(digest)?;
        remembered.add(*digest, &principal);
        Some(principal)
    }

    fn remember(&self, generation: u64, digest: Digest, principal: &Arc<Principal>) {
        let mut remembered = self.remembered.lock();
        if remembered.generation != generation {
            return;
        }
        remembered.add(digest, principal);
    }
}

fn invalid(detail: &'static str) -> ApiError {
    ApiError::with_detail(Code::TokenInvalid, detail)
}

fn expired() -> ApiError {
    ApiError::new(Code::TokenExpired)
}

fn verify(keys: &Keys, token: &str) -> Result<Principal, ApiError> {
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| invalid("The header `Authorization` holds no signed token (JWT) of an algorithm that is taken; get a new one."))?;
    if header.crit.is_some() {
        return Err(invalid(
            "The token has critical header fields that are not known here.",
        ));
    }
    let mut outcome = Err(invalid(
        "The token is signed by none of the keys in force; get a new one.",
    ));
    for key in &keys.verifying {
        let named = header.kid.is_none() || header.kid == key.kid;
        if !named || header.alg != key.algorithm {
            continue;
        }
        match jsonwebtoken::decode::<Claims>(token, &key.key, &validation(key.algorithm)) {
            Ok(data) => return principal(data.claims),
            Err(error) => {
                let kind = error.kind();
                if *kind == ErrorKind::ExpiredSignature {
                    outcome = Err(expired());
                } else if *kind == ErrorKind::ImmatureSignature {
                    outcome = Err(invalid("The token is not valid yet: its `nbf` lies ahead."));
                } else if !matches!(kind, ErrorKind::InvalidSignature | ErrorKind::Base64(_)) {
                    outcome = Err(invalid(
                        "The token's claims are not what is needed: `sub`, `exp`, and `roles` as a list.",
                    ));
                }
            }
        }
    }
    outcome
}

fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    validation
}

fn principal(claims: Claims) -> Result<Principal, ApiError> {
    let sub = MemberId::new(&claims.sub)
        .map_err(|_| invalid("The token's `sub` cannot be a member's id."))?;
    let roles = match claims.roles {
        None => Roles::of(&[Role::Member]),
        Some(names) => names
            .iter()
            .filter_map(|name| Role::from_name(name))
            .fold(Roles::default(), |roles, role| {
                Roles(roles.0 | Roles::of(&[role]).0)
            }),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an `exp` in fractions of a second is cut to the second"
    )]
    let exp_s = claims
        .exp
        .as_i64()
        .or_else(|| claims.exp.as_f64().map(|exp| exp as i64))
        .unwrap_or(0);
    Ok(Principal {
        sub,
        roles,
        exp_s,
        registered: AtomicBool::new(false),
    })
}
