//! Tokens: what verifies, what does not, and how the set of keys changes while the service runs.

use std::path::Path;

use api::{KeyError, KeySet, Role};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Setting, reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const RSA: &[u8] = include_bytes!("../fixtures/keys/rs256.pem");
const EC: &[u8] = include_bytes!("../fixtures/keys/es256.pem");
const ED: &[u8] = include_bytes!("../fixtures/keys/eddsa.pem");
/// 2100 and 2001.
const LATER: u64 = 4_102_444_800;
const LONG_AGO: u64 = 978_307_200;

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(algorithm)
    };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn secret(door: &Door) -> Vec<u8> {
    std::fs::read(door.dir().join("auth.key"))
        .unwrap()
        .trim_ascii_end()
        .to_vec()
}

fn claims() -> Value {
    json!({"sub": "host", "roles": ["service"], "exp": LATER})
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

fn write_set(file: &Path, keys: Vec<Jwk>) {
    std::fs::write(file, serde_json::to_vec(&JwkSet { keys }).unwrap()).unwrap();
}

/// Base64url without padding, by its definition.
fn part(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for letter in 0..=chunk.len() {
            text.push(LETTERS[(word >> (18 - 6 * letter)) as usize & 63].into());
        }
    }
    text
}

/// HMAC-SHA-256, by its definition; the key is no longer than a block.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let padded = |with: u8| -> Vec<u8> {
        let mut block = [with; 64];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = Sha256::digest([padded(0x36), text.as_bytes().to_vec()].concat());
    Sha256::digest([padded(0x5c), inner.to_vec()].concat()).to_vec()
}

/// `docs/tokens.md`, step by step: the secret is the bytes of the file, whatever they look like.
#[tokio::test]
async fn a_token_signed_as_the_page_says_is_let_in() {
    let door = Door::open().await;
    door.register("ann").await;
    let exp = chrono::Utc::now().timestamp() + 3_600;
    let signed = |claims: &Value| {
        let head = part(br#"{"alg": "HS256", "typ": "JWT"}"#);
        let signed = format!("{head}.{}", part(claims.to_string().as_bytes()));
        let signature = part(&hmac(&secret(&door), &signed));
        format!("{signed}.{signature}")
    };
    let token = signed(&json!({"sub": "ann", "roles": ["member"], "exp": exp}));
    let _ = door.get("/v1/inbox", &token).await.expect(200);
    let without_roles = signed(&json!({"sub": "ann", "exp": exp}));
    let _ = door.get("/v1/inbox", &without_roles).await.expect(200);
    let over = signed(&json!({"sub": "ann", "exp": exp - 7_200}));
    let refused = door.get("/v1/inbox", &over).await.failure();
    assert_eq!(refused, (401, "token_expired".to_owned()));
    let ahead = signed(&json!({"sub": "ann", "exp": exp, "nbf": exp - 60}));
    let refused = door.get("/v1/inbox", &ahead).await.failure();
    assert_eq!(refused, (401, "token_invalid".to_owned()));
}

/// The page's example itself, where there is a Python to run it.
#[tokio::test]
async fn the_example_of_the_page_signs_a_token_that_is_let_in() {
    let page = include_str!("../../docs/tokens.md");
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let door = Door::open().await;
    door.register("ann").await;
    let ran = std::process::Command::new("python3")
        .args(["-c", example])
        .arg(door.dir().join("auth.key"))
        .output();
    let output = match ran {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("{error}"),
    };
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let token = String::from_utf8(output.stdout).unwrap();
    let _ = door.get("/v1/inbox", token.trim()).await.expect(200);
}

/// What the service says to a token on a route of `service`.
async fn outcome(door: &Door, token: &str) -> (u16, String) {
    door.get("/v1/policy", token).await.failure()
}

#[tokio::test]
async fn two_tokens_at_once_are_none() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let request = door
        .request(reqwest::Method::GET, "/v1/inbox")
        .bearer_auth(door.member("ann"))
        .bearer_auth(door.member("bob"));
    assert_eq!(
        tests::api::reply(request).await.failure(),
        (401, "token_invalid".to_owned())
    );
}

#[tokio::test]
async fn a_token_of_the_data_folders_key_opens_with_and_without_its_kid() {
    let door = Door::open().await;
    let key = EncodingKey::from_secret(&secret(&door));
    assert_eq!(outcome(&door, &door.service()).await.0, 200);
    assert_eq!(
        outcome(&door, &sign(Algorithm::HS256, None, &key, &claims()))
            .await
            .0,
        200
    );
    let unknown = sign(Algorithm::HS256, Some("unknown"), &key, &claims());
    assert_eq!(
        outcome(&door, &unknown).await,
        (401, "token_invalid".to_owned())
    );
}

#[tokio::test]
async fn the_token_is_looked_at_before_anything_else_of_a_request() {
    let door = Door::open().await;
    door.register("ann").await;
    let forged = format!("{}x", door.member("ann"));
    let auditor = door.token("ann", &[Role::Auditor]);
    let unknown = door.member("nobody");
    for (method, path) in [
        (Method::PUT, "/v1/me/blocks/bob?x=1"),
        (Method::DELETE, "/v1/me/blocks/bob?x=1"),
        (Method::POST, "/v1/messages"),
        (Method::POST, "/v1/requests/accept"),
        (Method::POST, "/v1/reports?x=1"),
        (Method::GET, "/v1/inbox?limit=many"),
        (Method::GET, "/v1/me/dm-setting?x=1"),
    ] {
        for (token, told) in [
            ("", (401, "unauthenticated")),
            (forged.as_str(), (401, "token_invalid")),
            (auditor.as_str(), (403, "forbidden")),
            (unknown.as_str(), (403, "forbidden")),
        ] {
            if told.0 == 403 && token == unknown && path == "/v1/messages" {
                continue; // Who is not registered is told so as a sender.
            }
            let mut request = door.request(method.clone(), path).body("no JSON");
            if !token.is_empty() {
                request = request.bearer_auth(token);
            }
            let told = (told.0, told.1.to_owned());
            assert_eq!(reply(request).await.failure(), told, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn nothing_is_read_of_a_body_for_nobody() {
    let door = Door::open().await;
    for route in ["PUT /v1/me/blocks/bob", "POST /v1/messages"] {
        for token in ["", "authorization: Bearer a.b.c\r\n"] {
            let mut stream = TcpStream::connect(door.address).await.unwrap();
            let head =
                format!("{route} HTTP/1.1\r\nhost: d\r\n{token}content-length: 1000\r\n\r\n{{");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut first = [0; 13];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 401 ", "{route}");
        }
    }
}

#[tokio::test]
async fn refuses_tokens_that_are_missing_expired_forged_or_of_no_algorithm() {
    let door = Door::open().await;
    let key = EncodingKey::from_secret(&secret(&door));
    let foreign = EncodingKey::from_secret(b"another secret that is long enough for a key");
    let good = door.service();
    let (head, payload, signature) = {
        let mut parts = good.split('.');
        (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        )
    };
    let moderator = door.token("host", &[Role::Moderator]);
    let other_payload = moderator.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"} and {"alg":"None"}.
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
    let none_signed = format!("eyJhbGciOiJOb25lIn0.{payload}.{signature}");
    let with = |field: &str, value: Value| {
        let mut claims = claims();
        claims[field] = value;
        sign(Algorithm::HS256, None, &key, &claims)
    };
    let without = |field: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(field);
        sign(Algorithm::HS256, None, &key, &claims)
    };
    let rows = [
        ("expired", with("exp", json!(LONG_AGO)), "token_expired"),
        ("not yet valid", with("nbf", json!(LATER)), "token_invalid"),
        ("no expiry", without("exp"), "token_invalid"),
        ("no sub", without("sub"), "token_invalid"),
        (
            "a sub that is no id",
            with("sub", json!("a b")),
            "token_invalid",
        ),
        ("an empty sub", with("sub", json!("")), "token_invalid"),
        (
            "roles that are no list",
            with("roles", json!("service")),
            "token_invalid",
        ),
        (
            "forged by another key",
            sign(Algorithm::HS256, None, &foreign, &claims()),
            "token_invalid",
        ),
        (
            "another payload",
            format!("{head}.{other_payload}.{signature}"),
            "token_invalid",
        ),
        ("alg none", none, "token_invalid"),
        ("alg None, signed", none_signed, "token_invalid"),
        (
            "another algorithm of the family",
            sign(Algorithm::HS512, None, &key, &claims()),
            "token_invalid",
        ),
        ("not a token", "garbage".to_owned(), "token_invalid"),
        ("too many parts", format!("{good}.x"), "token_invalid"),
        (
            "longer than a token can be",
            "a".repeat(9_000),
            "token_invalid",
        ),
    ];
    for (what, token, code) in rows {
        let reply = door.get("/v1/policy", &token).await;
        assert_eq!(reply.failure(), (401, code.to_owned()), "{what}");
        assert!(
            reply.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer error="),
            "{what}"
        );
    }
    for authorization in [None, Some("Basic aG9zdDpob3N0"), Some("Bearer")] {
        let mut request = door.request(reqwest::Method::GET, "/v1/policy");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let reply = tests::api::reply(request).await;
        assert_eq!(
            reply.failure(),
            (401, "unauthenticated".to_owned()),
            "{authorization:?}"
        );
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn the_role_defaults_to_member_and_unknown_roles_open_nothing() {
    let door = Door::open().await;
    door.register("ann").await;
    let key = EncodingKey::from_secret(&secret(&door));
    let plain = sign(
        Algorithm::HS256,
        None,
        &key,
        &json!({"sub": "ann", "exp": LATER}),
    );
    assert_eq!(door.get("/v1/inbox", &plain).await.status, 200);
    let unknown = json!({"sub": "ann", "roles": ["admin", "root"], "exp": LATER});
    let unknown = sign(Algorithm::HS256, None, &key, &unknown);
    assert_eq!(
        door.get("/v1/inbox", &unknown).await.failure(),
        (403, "forbidden".to_owned())
    );
}

#[tokio::test]
async fn a_set_of_public_keys_verifies_each_with_its_own_algorithm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let keys = [
        (
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(RSA).unwrap(),
            "rsa",
        ),
        (
            Algorithm::ES256,
            EncodingKey::from_ec_pem(EC).unwrap(),
            "ec",
        ),
        (
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(ED).unwrap(),
            "ed",
        ),
    ];
    write_set(
        &file,
        keys.iter()
            .map(|(algorithm, key, kid)| jwk(key, *algorithm, kid))
            .collect(),
    );
    let door = Door::open_with(Setting {
        keys: Some(file.clone()),
        ..Setting::default()
    })
    .await;
    for (algorithm, key, kid) in &keys {
        for kid in [Some(*kid), None] {
            assert_eq!(
                outcome(&door, &sign(*algorithm, kid, key, &claims()))
                    .await
                    .0,
                200,
                "{algorithm:?} {kid:?}"
            );
        }
        let swapped = if *kid == "rsa" { "ec" } else { "rsa" };
        let swapped = sign(*algorithm, Some(swapped), key, &claims());
        assert_eq!(
            outcome(&door, &swapped).await,
            (401, "token_invalid".to_owned())
        );
    }
    // The public key taken for a secret must not verify.
    let public = Jwk::from_encoding_key(&keys[0].1, Algorithm::RS256).unwrap();
    let public = EncodingKey::from_secret(serde_json::to_string(&public).unwrap().as_bytes());
    assert_eq!(
        outcome(
            &door,
            &sign(Algorithm::HS256, Some("rsa"), &public, &claims())
        )
        .await
        .0,
        401
    );
    assert!(matches!(
        door.keys.sign("host", &[Role::Service], 60),
        Err(KeyError::NothingSigns)
    ));
    assert!(matches!(
        KeySet::open(&file, None),
        Err(KeyError::NoSecret { .. })
    ));
}

#[tokio::test]
async fn the_keys_are_read_again_when_their_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let (old, new) = (
        EncodingKey::from_secret(&[1; 40]),
        EncodingKey::from_secret(&[2; 40]),
    );
    let (old_jwk, new_jwk) = (
        jwk(&old, Algorithm::HS256, "old"),
        jwk(&new, Algorithm::HS256, "new"),
    );
    write_set(&file, vec![old_jwk.clone()]);
    let door = Door::open_with(Setting {
        keys: Some(file.clone()),
        ..Setting::default()
    })
    .await;
    let by_old = door.service();
    let position = door.get("/v1/policy", &by_old).await.expect(200);
    drop(position);

    write_set(&file, vec![old_jwk, new_jwk.clone()]);
    door.keys.reread();
    let by_new = door.service();
    assert_eq!(
        jsonwebtoken::decode_header(&by_new).unwrap().kid.as_deref(),
        Some("new"),
        "the newest signs"
    );
    assert_eq!(
        (
            outcome(&door, &by_old).await.0,
            outcome(&door, &by_new).await.0
        ),
        (200, 200),
        "all verify"
    );

    write_set(&file, vec![new_jwk]);
    door.keys.reread();
    assert_eq!(
        outcome(&door, &by_old).await,
        (401, "token_invalid".to_owned()),
        "though it was remembered"
    );
    assert_eq!(outcome(&door, &by_new).await.0, 200);

    std::fs::write(&file, "{ not a set").unwrap();
    door.keys.reread();
    assert_eq!(
        outcome(&door, &by_new).await.0,
        200,
        "a file that cannot be read leaves the keys as they were"
    );
}

#[test]
fn a_secret_is_the_files_bytes_without_trailing_white_space() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef \r\n\n").unwrap();
    let keys = KeySet::open(&file, None).unwrap();
    let token = keys.sign("ann", &[Role::Member], 60).unwrap();
    let key = jsonwebtoken::DecodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
    let validation = jsonwebtoken::Validation::new(Algorithm::HS256);
    let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
    assert_eq!(decoded.claims["roles"], json!(["member"]));
    std::fs::write(&file, "0123456789abcdef0123456789abcde\n").unwrap();
    assert!(matches!(
        KeySet::open(&file, None),
        Err(KeyError::TooShort { bytes: 31, .. })
    ));
    let short = json!({"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}).to_string();
    for set in [
        "{}",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "EC"}]}"#,
        short.as_str(),
    ] {
        std::fs::write(&file, set).unwrap();
        assert!(
            matches!(KeySet::open(&file, None), Err(KeyError::NotAKeySet { .. })),
            "{set}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_new_secret_is_its_owners_alone_and_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.key");
    KeySet::create_if_missing(&file).unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let first = std::fs::read(&file).unwrap();
    KeySet::create_if_missing(&file).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), first);
    assert!(KeySet::open(&file, None).is_ok());
}
