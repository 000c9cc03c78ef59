//! Every page and form of the desk, asked by everybody who may sit there: what is theirs is shown, and nothing else is, nor
//! done.

use api::Role;
use serde_json::{Value, json};
use tests::desk::Desk;
use tests::pages::{Shown, Sitting, send};

/// Who sits at the desk: a moderator of no part in it, the one who reported, the one who is reported, and an auditor.
const WHO: [&str; 4] = ["max", "ann", "bob", "ada"];

async fn sits<'a>(desk: &'a Desk, sub: &str) -> Sitting<'a> {
    let role = if sub == "ada" {
        Role::Auditor
    } else {
        Role::Moderator
    };
    Sitting::of(&desk.door, &desk.door.token(sub, &[role])).await
}

/// Mia decides the case about bob by an act on many; the act.
async fn acted(desk: &Desk) -> String {
    let mia = desk.door.token("mia", &[Role::Moderator]);
    let queue = desk.door.get("/v1/moderation/queue", &mia).await.json();
    let case = &queue["items"][0];
    let decision = json!({"cases": [{"case_id": case["case_id"], "revision": case["revision"]}],
        "action": "warn", "reason": "spam", "text": "Too much.", "facts": "One letter."});
    let path = "/v1/moderation/members/bob/decisions";
    let decided = desk.door.post(path, &mia, decision).await.expect(200);
    desk.door.views_at_the_end().await;
    decided.json()["act_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_page_is_shown_to_whom_it_is_for_and_to_nobody_else() {
    let desk = Desk::open().await;
    let act = format!("/desk/acts/{}", acted(&desk).await);
    let case = desk.path();
    for (path, statuses) in [
        ("/desk", [303; 4]),
        ("/desk/queue", [200, 200, 200, 403]),
        ("/desk/queue?state=decided", [200, 200, 200, 403]),
        (&*case, [200, 409, 404, 403]),
        ("/desk/members/bob", [200, 200, 200, 403]),
        (&*act, [200, 200, 404, 403]),
        ("/desk/log", [200; 4]),
        ("/desk/log?by=mia", [403, 403, 403, 200]),
        ("/desk/ledger", [403, 403, 403, 200]),
        ("/desk/figures", [200; 4]),
        ("/desk/nowhere", [404; 4]),
    ] {
        for (who, status) in WHO.into_iter().zip(statuses) {
            let shown = sits(&desk, who).await.page(path).await;
            assert_eq!(shown.status, status, "{path} to {who}");
            if who == "bob" {
                // Their own case is named on no page of theirs.
                assert!(!shown.html.contains(&desk.case), "{path} to bob");
            }
        }
    }
    let queue = async |who: &str| {
        let sitting = sits(&desk, who).await;
        let shown = sitting.page("/desk/queue?state=decided").await;
        shown.html.contains(&desk.case) || shown.html.contains(&case)
    };
    assert!(queue("max").await);
    assert!(!queue("ann").await && !queue("bob").await);
}

#[tokio::test]
async fn no_form_does_anything_for_who_has_a_part_in_the_case_or_another_role() {
    let desk = Desk::open().await;
    let act = acted(&desk).await;
    let before = desk.door.position().await;
    let text = ("text", "Let it be.");
    let reason = ("reason", "mistake");
    for (form, fields, statuses) in [
        (desk.form("claim"), &[][..], [409, 404, 403]),
        (desk.form("release"), &[], [409, 404, 403]),
        (desk.form("notes"), &[text], [409, 404, 403]),
        (desk.form("escalate"), &[text], [409, 404, 403]),
        (
            desk.form("decision"),
            &[("action", "warn"), reason, text, ("facts", "None.")],
            [409, 404, 403],
        ),
        (
            desk.form("appeal"),
            &[("outcome", "upheld"), text],
            [409, 404, 403],
        ),
        (desk.form("reopen"), &[reason, text], [409, 404, 403]),
        (
            format!("/desk/acts/{act}/reverse"),
            &[reason, text],
            [0, 404, 403],
        ),
        (
            "/desk/members/bob/decisions".to_owned(),
            &[("action", "warn"), reason, text, ("facts", "None.")],
            [0, 0, 403],
        ),
        (
            desk.form("report-limit"),
            &[("member", "ann"), reason, ("until", "2999-01-01T00:00")],
            [0, 0, 403],
        ),
        (
            desk.form("report-limit-end"),
            &[("member", "ann")],
            [0, 0, 403],
        ),
    ] {
        for (who, status) in ["ann", "bob", "ada"].into_iter().zip(statuses) {
            // None where it is theirs to do.
            if status == 0 {
                continue;
            }
            let sent = sent(&sits(&desk, who).await, &form, fields).await;
            assert_eq!(sent.status, status, "{form} by {who}: {}", sent.html);
        }
    }
    // Nothing was done: what stands in the log since are refusals.
    let path = format!("/v1/events?after={before}&limit=200");
    let since = desk.door.get(&path, &desk.door.service()).await.json();
    for event in since["items"].as_array().unwrap() {
        assert_eq!(event["type"], "command-refused.v2", "{event}");
    }
}

/// Sends a form with the mark of the sitting, as its page would if there were one.
async fn sent(sitting: &Sitting<'_>, form: &str, fields: &[(&str, &str)]) -> Shown {
    let page = sitting.page("/desk/figures").await.expect(200);
    let hidden = page.hidden("/desk/sign-out");
    let csrf = hidden.iter().find(|(name, _)| name == "csrf").unwrap();
    let key = Value::from(form).to_string();
    let mut all = vec![("csrf", &*csrf.1), ("key", &*key)];
    all.extend(fields);
    send(sitting.door, form, &sitting.cookie, &all).await
}
