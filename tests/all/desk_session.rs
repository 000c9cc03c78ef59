//! Who gets in at the desk, with what, and what is kept out: by role, by token, by where a form comes from.

use api::Role;
use reqwest::Method;
use tests::api::{Door, reply};
use tests::pages::{Shown, Sitting, page, send, send_from, sign_in};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// An id that no case has.
const NO_CASE: &str = "6ab4bcf1-95df-52b5-9a4e-0f7f0f0b7d10";

fn moderator(door: &Door) -> String {
    door.token("mia", &[Role::Moderator])
}

/// What every answer of the desk has.
fn is_guarded(shown: &Shown) {
    assert_eq!(shown.header("content-security-policy"), POLICY);
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    assert_eq!(shown.header("referrer-policy"), "no-referrer");
    assert_eq!(shown.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_moderator_signs_in_by_a_token_and_out_again() {
    let door = Door::open().await;
    let first = page(&door, "/desk", "").await.expect(303);
    is_guarded(&first);
    assert_eq!(first.location(), "/desk/sign-in?why=in&to=%2Fdesk");
    let shown = page(&door, first.location(), "").await.expect(200);
    is_guarded(&shown);
    // A link from elsewhere brings no cookie along, and leads here: it must not take the token's place.
    assert!(
        shown
            .header("set-cookie")
            .starts_with("doorstep_desk_door=")
    );
    // Pasted from a terminal it may be broken into lines.
    let token = moderator(&door);
    let (one, two) = token.split_at(token.len() / 2);
    let signed = sign_in(&door, &format!(" {one}\r\n{two}\n"), &[])
        .await
        .expect(303);
    is_guarded(&signed);
    assert_eq!(signed.location(), "/desk");
    assert_eq!(
        signed.header("set-cookie"),
        format!("doorstep_desk={token}; HttpOnly; SameSite=Strict; Path=/desk")
    );
    let sitting = Sitting {
        door: &door,
        cookie: signed.cookie().to_owned(),
    };
    let first = sitting.page("/desk").await.expect(303);
    assert_eq!(first.location(), "/desk/queue");
    let queue = sitting.page("/desk/queue").await.expect(200);
    is_guarded(&queue);
    assert!(queue.says("mia") && queue.says("No case waits."));
    assert_eq!(
        sitting.page("/desk/sign-in").await.expect(303).location(),
        "/desk"
    );
    let out = sitting
        .fill(&queue, "/desk/sign-out", &[])
        .await
        .expect(303);
    assert_eq!(
        out.header("set-cookie"),
        "doorstep_desk=; HttpOnly; SameSite=Strict; Path=/desk; Max-Age=0"
    );
    let shown = page(&door, out.location(), "doorstep_desk=")
        .await
        .expect(200);
    assert!(shown.says("You have signed out."));
}

#[tokio::test]
async fn the_cookie_is_for_https_alone_where_a_proxy_says_that_the_browser_speaks_it() {
    let door = Door::open().await;
    let headers = [
        ("x-forwarded-proto", "https"),
        ("sec-fetch-site", "same-origin"),
    ];
    let signed = sign_in(&door, &moderator(&door), &headers)
        .await
        .expect(303);
    let cookie = signed.header("set-cookie");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/desk; Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn a_token_that_does_not_count_gets_the_sign_in_page_with_a_word() {
    let door = Door::open().await;
    let expired = door.keys.sign("mia", &[Role::Moderator], 0).unwrap();
    for (token, status, words) in [
        ("", 422, "Paste a token."),
        ("not-a-token", 401, "This is no token that counts here"),
        (&*expired, 401, "This token has expired."),
        (&*"x".repeat(5_000), 422, "longer than a browser keeps"),
    ] {
        let shown = sign_in(&door, token, &[]).await.expect(status);
        is_guarded(&shown);
        assert!(shown.says(words), "{words}: {}", shown.html);
        assert!(shown.has_form("/desk/sign-in"));
        assert!(!shown.cookie().contains("eyJ"), "{words}");
        assert!(
            token.is_empty() || !shown.html.contains(token),
            "it is shown again"
        );
    }
    for (cookie, why) in [(&*expired, "expired"), ("nonsense", "token"), ("", "token")] {
        let cookie = format!("doorstep_desk={cookie}");
        let shown = page(&door, "/desk/queue?state=open", &cookie)
            .await
            .expect(303);
        assert_eq!(
            shown.location(),
            format!("/desk/sign-in?why={why}&to=%2Fdesk%2Fqueue%3Fstate%3Dopen")
        );
        let shown = page(&door, shown.location(), &cookie).await.expect(200);
        assert!(shown.html.contains("role=\"alert\""), "{}", shown.html);
        assert!(
            shown
                .html
                .contains("name=\"to\" value=\"/desk/queue?state=open\"")
        );
    }
}

#[tokio::test]
async fn after_signing_in_one_is_where_one_wanted_to_be_and_nowhere_else() {
    let door = Door::open().await;
    for (to, there) in [
        ("/desk/queue?state=open", "/desk/queue?state=open"),
        ("https://elsewhere.example/", "/desk"),
        ("//elsewhere.example/desk", "/desk"),
        ("/desk/sign-out", "/desk"),
    ] {
        let shown = page(&door, "/desk/sign-in", "").await;
        let csrf = &shown.hidden("/desk/sign-in")[0].1;
        let token = moderator(&door);
        let fields = [("csrf", &**csrf), ("to", to), ("token", &*token)];
        let signed = send(&door, "/desk/sign-in", shown.cookie(), &fields)
            .await
            .expect(303);
        assert_eq!(signed.location(), there, "{to}");
    }
}

#[tokio::test]
async fn each_role_sees_the_pages_that_are_theirs_and_nobody_any_other() {
    let door = Door::open().await;
    let case = format!("/desk/cases/{NO_CASE}");
    let act = format!("/desk/acts/{NO_CASE}");
    for roles in [
        &[Role::Member][..],
        &[Role::Service],
        &[Role::Operator],
        &[Role::Member, Role::Service, Role::Operator],
    ] {
        let token = door.token("mia", roles);
        let refused = sign_in(&door, &token, &[]).await.expect(403);
        assert!(refused.says("The desk is for moderator or auditor; this token has"));
        // Nor with the cookie of their own making.
        let cookie = format!("doorstep_desk={token}");
        for path in [
            "/desk",
            "/desk/queue",
            "/desk/live",
            "/desk/log",
            "/desk/ledger",
            "/desk/members/bob",
            &act,
            "/desk/figures",
            "/desk/nowhere",
            &case,
        ] {
            let shown = page(&door, path, &cookie).await.expect(403);
            is_guarded(&shown);
            assert!(shown.says("This page is not for the roles of your token."));
        }
        let sent = send(&door, &format!("{case}/claim"), &cookie, &[]).await;
        assert_eq!(sent.status, 403);
    }
    let ada = Sitting::of(&door, &door.token("ada", &[Role::Auditor])).await;
    assert_eq!(ada.page("/desk").await.location(), "/desk/log");
    for path in [
        "/desk/queue",
        "/desk/live",
        "/desk/members/bob",
        &act,
        &case,
    ] {
        let shown = ada.page(path).await.expect(403);
        assert!(shown.says("ada") && !shown.html.contains("href=\"/desk/queue\""));
    }
    let mia = Sitting::of(&door, &moderator(&door)).await;
    assert_eq!(mia.page("/desk/ledger").await.status, 403);
    for path in [
        &*case,
        &act,
        "/desk/cases/x",
        "/desk/nowhere",
        "/desk/queue/x",
    ] {
        is_guarded(&mia.page(path).await.expect(404));
    }
}

#[tokio::test]
async fn nobody_who_is_not_signed_in_sees_a_page_or_sends_a_form() {
    let door = Door::open().await;
    let case = format!("/desk/cases/{NO_CASE}");
    let act = format!("/desk/acts/{NO_CASE}");
    for path in [
        "/desk",
        "/desk/queue",
        "/desk/live",
        "/desk/log",
        "/desk/ledger",
        "/desk/members/bob",
        &act,
        "/desk/figures",
        "/desk/nowhere",
        &case,
    ] {
        let shown = page(&door, path, "").await.expect(303);
        assert!(
            shown.location().starts_with("/desk/sign-in?why=in"),
            "{path}"
        );
    }
    let text = "typed for \u{1f600} an hour <b>";
    let sent = send(&door, &format!("{case}/notes"), "", &[("text", text)]).await;
    let sent = sent.expect(401);
    is_guarded(&sent);
    assert!(
        sent.says("nothing was done") && sent.says(text),
        "what was typed is lost"
    );
    // A bearer token opens the interface, not the pages.
    let request = door
        .request(Method::GET, "/desk/queue")
        .bearer_auth(moderator(&door));
    assert_eq!(reply(request).await.status, 303);
    // And the cookie opens the pages, not the interface.
    let cookie = format!("doorstep_desk={}", moderator(&door));
    let asked = page(&door, "/v1/moderation/queue", &cookie).await;
    assert_eq!(asked.status, 401);
}

#[tokio::test]
async fn a_form_that_was_not_sent_from_the_desk_does_nothing() {
    let door = Door::open().await;
    let mia = Sitting::of(&door, &moderator(&door)).await;
    let other = Sitting::of(&door, &door.token("max", &[Role::Moderator])).await;
    let queue = mia.page("/desk/queue").await;
    let csrf = &*queue.hidden("/desk/sign-out")[0].1;
    let others = other.page("/desk/queue").await;
    let others = &*others.hidden("/desk/sign-out")[0].1;
    assert_ne!(csrf, others);
    let out = "/desk/sign-out";
    for mark in ["", "x", others, &csrf[1..], &csrf.to_uppercase()] {
        let sent = send(&door, out, &mia.cookie, &[("csrf", mark)])
            .await
            .expect(403);
        assert_eq!(sent.header("set-cookie"), "", "{mark}");
        is_guarded(&sent);
    }
    let address = door.address.to_string();
    let (here, secure) = (format!("http://{address}"), format!("https://{address}"));
    for (headers, status) in [
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("sec-fetch-site", "none")], 403),
        (vec![("origin", "http://elsewhere.example")], 403),
        (vec![("origin", "http://127.0.0.1:1")], 403),
        (
            vec![("sec-fetch-site", "cross-site"), ("origin", &*here)],
            403,
        ),
        (vec![], 303),
        (vec![("origin", &*here)], 303),
        (vec![("origin", &*secure)], 303),
        (vec![("origin", "null")], 303),
        (
            vec![("sec-fetch-site", "same-origin"), ("origin", "null")],
            303,
        ),
    ] {
        let sent = send_from(&door, out, &mia.cookie, &[("csrf", csrf)], &headers).await;
        assert_eq!(sent.status, status, "{headers:?}");
    }
    // Nor can anybody be signed in from elsewhere, or with a form that was given to somebody else.
    let token = moderator(&door);
    let headers = [("sec-fetch-site", "cross-site")];
    assert_eq!(sign_in(&door, &token, &headers).await.status, 403);
    let shown = page(&door, "/desk/sign-in", "").await;
    let csrf = &*shown.hidden("/desk/sign-in")[0].1;
    for cookie in ["", "doorstep_desk_door=x"] {
        let fields = [("csrf", csrf), ("token", &*token)];
        let sent = send(&door, "/desk/sign-in", cookie, &fields)
            .await
            .expect(403);
        assert!(!sent.cookie().contains("eyJ"));
    }
}

#[tokio::test]
async fn a_form_of_another_kind_or_size_is_told_so() {
    let door = Door::open().await;
    let mia = Sitting::of(&door, &moderator(&door)).await;
    let sent = |kind: &'static str, body: String| {
        let request = door
            .request(Method::POST, "/desk/sign-out")
            .header("cookie", &mia.cookie)
            .header("content-type", kind)
            .body(body);
        async { Shown::of(reply(request).await) }
    };
    let kind = "application/x-www-form-urlencoded";
    for (shown, status) in [
        (sent("application/json", "{}".to_owned()).await, 415),
        (sent(kind, "text=%ff".to_owned()).await, 400),
        (sent(kind, "x".repeat(65 * 1024)).await, 413),
    ] {
        is_guarded(&shown.expect(status));
    }
}

#[tokio::test]
async fn the_stylesheet_and_the_script_are_ours_and_kept_by_their_names() {
    let door = Door::open().await;
    let shown = page(&door, "/desk/sign-in", "").await;
    let loads = |before: &str| {
        let rest = shown.html.split(before).nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    for (path, kind) in [
        (
            loads("rel=\"stylesheet\" href=\""),
            "text/css; charset=utf-8",
        ),
        (loads("<script src=\""), "text/javascript; charset=utf-8"),
    ] {
        assert!(path.starts_with("/assets/"), "{path}");
        let asset = page(&door, &path, "").await.expect(200);
        assert_eq!(asset.header("content-type"), kind);
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        assert_eq!(
            asset.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert!(!asset.html.contains("http://") && !asset.html.contains("https://"));
        assert!(!asset.html.contains("@import") && !asset.html.contains("url("));
    }
    let inline = [
        "<style",
        "style=",
        "onclick",
        "onload",
        "javascript:",
        "http://",
        "https://",
    ];
    for inside in inline {
        assert!(!shown.html.contains(inside), "{inside}");
    }
    assert_eq!(
        page(&door, "/assets/style-00000000.css", "").await.status,
        404
    );
}
