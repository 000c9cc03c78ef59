//! The signing keys: a set that is read from one file and reread when the file changes.
//!
//! A file that begins with `{` is a JWKS of HS256 (`oct`), RS256 (`RSA`), ES256 (`EC`, P-256) and `EdDSA` (`OKP`, Ed25519)
//! keys; of these the last one is the newest. Any other file is one HS256 secret: its bytes without trailing white
//! space, at least 32. Every key of the set verifies; the newest secret signs. The seals of opaque positions and cursors
//! come from the secrets of the set, or, where it has public keys only, from a secret that the caller gives.
//! Checking a token against the set is in `tokens`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::seals::Seal;
use crate::time::now_ms;
use crate::tokens::Role;

/// A secret shorter than this many bytes is refused.
pub const SECRET_BYTES_MIN: usize = 32;
/// A key file larger than this is refused.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The file is looked at again at most this often.
const RECHECK_MS: i64 = 1_000;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The secret is too short to be safe.
    #[error("the key file {path} holds {bytes} bytes; a secret has at least {SECRET_BYTES_MIN}")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// How many bytes it has without trailing white space.
        bytes: usize,
    },
    /// It begins with `{` and is no JWKS, or a key in it is none.
    #[error("the key file {path} is not a JWKS of HS256, RS256, ES256 or EdDSA keys: {reason}")]
    NotAKeySet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A token cannot be signed with public keys.
    #[error("the key file holds no secret, so tokens are signed by whoever holds the private keys")]
    NothingSigns,
    /// Positions and cursors need a secret, and there is none.
    #[error("the key file {path} holds public keys only, and no secret was given beside it")]
    NoSecret {
        /// The file.
        path: PathBuf,
    },
    /// The token could not be made.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

/// One key that verifies, with the one algorithm it is for.
pub(crate) struct VerifyingKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

struct Signer {
    kid: String,
    key: EncodingKey,
}

/// The keys of one reading of the file.
pub(crate) struct Keys {
    /// Counts the readings; what was cached under another one is void.
    pub(crate) generation: u64,
    pub(crate) verifying: Vec<VerifyingKey>,
    signer: Option<Signer>,
    seals: Vec<Seal>,
}

impl Keys {
    /// The seals, newest first, never empty.
    pub(crate) fn seals(&self) -> &[Seal] {
        &self.seals
    }
}

/// The key set in force.
pub struct KeySet {
    path: PathBuf,
    beside: Option<Vec<u8>>,
    current: RwLock<Arc<Keys>>,
    stamp: Mutex<Stamp>,
    checked_ms: AtomicI64,
}

/// What tells whether a file has changed.
#[derive(Clone, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        Stamp(
            std::fs::metadata(path)
                .ok()
                .and_then(|meta| Some((meta.modified().ok()?, meta.len()))),
        )
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    roles: Vec<&'static str>,
    iat: i64,
    exp: i64,
}

impl KeySet {
    /// Reads the set from `path`. `beside` is a file with the secret that the seals come from when the set has none;
    /// it may be absent where no positions are shown, such as for printing a token.
    pub fn open(path: &Path, beside: Option<&Path>) -> Result<Self, KeyError> {
        let beside = match beside {
            Some(file) => Some(read_secret(file)?),
            None => None,
        };
        let stamp = Stamp::of(path);
        let keys = read(path, beside.as_deref(), 1)?;
        Ok(KeySet {
            path: path.to_owned(),
            beside,
            current: RwLock::new(Arc::new(keys)),
            stamp: Mutex::new(stamp),
            checked_ms: AtomicI64::new(now_ms()),
        })
    }

    /// Whether a file holds what [`Self::open`] takes.
    pub fn check(path: &Path) -> Result<(), KeyError> {
        read(path, Some(&[0; SECRET_BYTES_MIN]), 0).map(drop)
    }

    /// Whether the set has a secret of its own, which positions and cursors are sealed with; else it is the one beside it.
    pub fn has_secret(&self) -> bool {
        self.keys().signer.is_some()
    }

    /// Writes a new random secret to `path` unless a file is there, readable by its owner alone. It gets its name once it
    /// is whole and durable: who reads beside this finds all of it or none, and a failure leaves nothing.
    pub fn create_if_missing(path: &Path) -> Result<(), KeyError> {
        let io = |error| KeyError::Io {
            path: path.to_owned(),
            error,
        };
        if path.try_exists().map_err(io)? {
            return Ok(());
        }
        let mut secret = [0_u8; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| io(std::io::Error::other(error.to_string())))?;
        let mut line = URL_SAFE_NO_PAD.encode(secret);
        line.push('\n');
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(io)?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(io)?;
        match file.persist_noclobber(path) {
            Ok(_) => File::open(dir).and_then(|dir| dir.sync_all()).map_err(io),
            // Somebody else made one meanwhile.
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(io(error.error)),
        }
    }

    /// Signs a token with the newest secret, valid from now for `ttl_s` seconds.
    pub fn sign(&self, sub: &str, roles: &[Role], ttl_s: u64) -> Result<String, KeyError> {
        let keys = self.keys();
        let signer = keys.signer.as_ref().ok_or(KeyError::NothingSigns)?;
        let iat = now_ms().div_euclid(1000);
        let exp = iat.saturating_add(i64::try_from(ttl_s).unwrap_or(i64::MAX));
        let claims = Claims {
            sub,
            roles: roles.iter().map(|role| role.as_str()).collect(),
            iat,
            exp,
        };
        let header = Header {
            kid: Some(signer.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims, &signer.key)
            .map_err(|error| KeyError::Signing(error.to_string()))
    }

    /// The keys in force. Looks at the file again once a second; one that became unreadable leaves the old keys.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        let now = now_ms();
        let checked = self.checked_ms.load(Ordering::Relaxed);
        if (now - checked).abs() >= RECHECK_MS
            && self
                .checked_ms
                .compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.reread_if_changed();
        }
        Arc::clone(&self.current.read())
    }

    fn reread_if_changed(&self) {
        let stamp = Stamp::of(&self.path);
        let mut known = self.stamp.lock();
        if *known == stamp {
            return;
        }
        let generation = self.current.read().generation + 1;
        match read(&self.path, self.beside.as_deref(), generation) {
            Ok(keys) => {
                tracing::info!(
                    keys = keys.verifying.len(),
                    "the signing keys were read again"
                );
                *self.current.write() = Arc::new(keys);
            }
            Err(error) => {
                tracing::error!(%error, "the signing keys could not be read again; the old ones stay");
            }
        }
        *known = stamp;
    }

    /// Checks the file now, without waiting for the next second.
    pub fn reread(&self) {
        self.reread_if_changed();
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, KeyError> {
    let io = |error| KeyError::Io {
        path: path.to_owned(),
        error,
    };
    let meta = std::fs::metadata(path).map_err(io)?;
    if meta.len() > FILE_BYTES_MAX {
        return Err(io(std::io::Error::other("larger than a key file can be")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if meta.permissions().mode() & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "others may read this key file");
        }
    }
    std::fs::read(path).map_err(io)
}

fn trimmed(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
    let secret = bytes.trim_ascii_end();
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyError::TooShort {
            path: path.to_owned(),
            bytes: secret.len(),
        });
    }
    Ok(secret.to_vec())
}

fn read_secret(path: &Path) -> Result<Vec<u8>, KeyError> {
    trimmed(path, &bytes_of(path)?)
}

fn read(path: &Path, beside: Option<&[u8]>, generation: u64) -> Result<Keys, KeyError> {
    let bytes = bytes_of(path)?;
    let mut keys = Keys {
        generation,
        verifying: Vec::new(),
        signer: None,
        seals: Vec::new(),
    };
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        let reason = |reason: String| KeyError::NotAKeySet {
            path: path.to_owned(),
            reason,
        };
        let set: JwkSet =
            serde_json::from_slice(&bytes).map_err(|error| reason(error.to_string()))?;
        for (index, jwk) in set.keys.iter().enumerate() {
            if let Err(why) = add_jwk(&mut keys, jwk) {
                return Err(reason(format!("key {index}: {why}")));
            }
        }
        if keys.verifying.is_empty() {
            return Err(reason("it has no keys".to_owned()));
        }
    } else {
        let secret = trimmed(path, &bytes)?;
        let kid = secret_kid(&secret);
        add_secret(&mut keys, Some(kid), &secret);
    }
    // What signs newest seals newest.
    keys.seals.reverse();
    if keys.seals.is_empty() {
        match beside {
            Some(secret) => keys.seals.push(Seal::derive(secret)),
            None => {
                return Err(KeyError::NoSecret {
                    path: path.to_owned(),
                });
            }
        }
    }
    Ok(keys)
}

/// The name of a secret that has none: it tells which secret, and nothing of it.
fn secret_kid(secret: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"doorstep kid v1\0");
    digest.update(secret);
    let digest: [u8; 32] = digest.finalize().into();
    URL_SAFE_NO_PAD.encode(digest).chars().take(11).collect()
}

fn add_secret(keys: &mut Keys, kid: Option<String>, secret: &[u8]) {
    let name = kid.unwrap_or_else(|| secret_kid(secret));
    keys.verifying.push(VerifyingKey {
        kid: Some(name.clone()),
        algorithm: Algorithm::HS256,
        key: DecodingKey::from_secret(secret),
    });
    keys.signer = Some(Signer {
        kid: name,
        key: EncodingKey::from_secret(secret),
    });
    keys.seals.push(Seal::derive(secret));
}

fn add_jwk(keys: &mut Keys, jwk: &Jwk) -> Result<(), String> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return Ok(());
    }
    let kid = jwk.common.key_id.clone();
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(octets) => {
            let secret = URL_SAFE_NO_PAD
                .decode(&octets.value)
                .map_err(|error| error.to_string())?;
            if secret.len() < SECRET_BYTES_MIN {
                return Err(format!("a secret has at least {SECRET_BYTES_MIN} bytes"));
            }
            agrees(jwk, KeyAlgorithm::HS256)?;
            add_secret(keys, kid, &secret);
            return Ok(());
        }
        AlgorithmParameters::RSA(_) => {
            agrees(jwk, KeyAlgorithm::RS256)?;
            Algorithm::RS256
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            agrees(jwk, KeyAlgorithm::ES256)?;
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            agrees(jwk, KeyAlgorithm::EdDSA)?;
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::Other(_)
        | _ => return Err("a kind of key that is not taken".to_owned()),
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    keys.verifying.push(VerifyingKey {
        kid,
        algorithm,
        key,
    });
    Ok(())
}

/// A key that names its algorithm names the one it is taken for.
fn agrees(jwk: &Jwk, expected: KeyAlgorithm) -> Result<(), String> {
    match jwk.common.key_algorithm {
        Some(named) if named != expected => {
            Err(format!("its algorithm is {named}, which is not taken"))
        }
        _ => Ok(()),
    }
}
