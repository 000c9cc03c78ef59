//! `doorstep audit`: the same of a folder at rest and of a running service, exit statuses, and a kill between the record
//! of a look and its answer.

use std::path::Path;

use serde_json::{Value, json};
use tests::program::{self, Ended, Server};

use crate::program_care::on;

/// A data folder in which bob knocks at ann's, is let in, and ann takes a message back; days apart.
fn filled(data: &Path) {
    let day = |day: u32| format!("2004-01-{day:02}T10:00:00Z");
    let lines = [
        json!({"id": "c1", "at": day(1), "command": "RegisterMember", "member": "ann", "age_band": "adult"}),
        json!({"id": "c1", "at": day(1), "command": "RegisterMember", "member": "bob", "age_band": "adult"}),
        json!({"id": "c2", "at": day(2), "command": "ChangeDmSetting", "member": "ann", "audience": "everyone"}),
        json!({"id": "c3", "at": day(3), "command": "SendMessage", "member": "bob", "to": "ann", "text": "may I?"}),
        json!({"id": "c4", "at": day(4), "command": "AcceptRequest", "member": "ann", "with": "bob"}),
        json!({"id": "c5", "at": day(5), "command": "SendMessage", "member": "ann", "to": "bob", "text": "you may"}),
        json!({"id": "c6", "at": day(6), "command": "UnsendMessage", "member": "ann", "with": "bob", "number": 2}),
        json!({"id": "c7", "at": day(7), "command": "BlockMember", "member": "ann", "other": "bob"}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let file = data.with_extension("ndjson");
    std::fs::write(&file, lines.join("\n")).expect("the lines");
    let mut import = program::doorstep(["import"]);
    program::ended(import.arg(&file).arg("--data").arg(data)).done();
}

/// Waits until the views that a new service makes are there.
async fn ready(server: &Server) {
    let url = format!("{}/readyz", server.url);
    let client = reqwest::Client::new();
    while client.get(&url).send().await.expect("an answer").status() != 200 {
        tokio::task::yield_now().await;
    }
}

#[track_caller]
fn fails(ended: &Ended, status: i32, words: &str) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_and_of_a_running_service_the_same_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, served) = (folder.path().join("data"), folder.path().join("served"));
    filled(&data);
    filled(&served);
    let server = Server::start(&served, &[]);
    ready(&server).await;
    let token = server.token("ada", "auditor");
    let remote = |what: &[&str]| {
        let url = ["--url", &server.url, "--token", &token];
        program::run([&["audit"][..], what, &url].concat())
    };
    let at_rest = |what: &[&str]| on(&data, &[&["audit"][..], what].concat());
    let cid = tests::views::conversation_of("ann", "bob").to_string();
    for what in [
        &["member", "ann", "--as-of", "2004-01-03T12:00:00Z"][..],
        &["member", "ann", "--as-of", "2004-01-05T12:00:00Z"],
        &["member", "bob", "--as-of", "8"],
        &["conversation", &cid, "--as-of", "2004-01-05T10:00:00Z"],
        &["conversation", &cid, "--as-of", "2004-01-06T10:00:00Z"],
        &[
            "diff",
            "ann",
            "--from",
            "2004-01-03T12:00:00Z",
            "--to",
            "2004-01-07T12:00:00Z",
        ],
        &[
            "diff",
            &cid,
            "--from",
            "2004-01-05T12:00:00Z",
            "--to",
            "2004-01-06T12:00:00Z",
        ],
    ] {
        let (here, there) = (at_rest(what).done(), remote(what).done());
        assert_eq!(here.json(), there.json(), "{what:?}");
        assert!(here.stderr.contains("not recorded"), "{}", here.stderr);
    }
    // What it says is what was.
    let then = at_rest(&["member", "ann", "--as-of", "2004-01-03T12:00:00Z"]).json();
    assert_eq!(
        (&then["unread"], &then["inbox"]),
        (&json!({"inbox": 0, "requests": 1}), &json!([]))
    );
    assert_eq!(then["requests"][0]["last_message"]["text"], "may I?");
    let now = at_rest(&["member", "ann"]).done().json();
    assert_eq!(
        (&now["inbox"], &now["blocks"][0]["member"]),
        (&json!([]), &json!("bob"))
    );
    let talk = at_rest(&["conversation", &cid]).done().json();
    assert_eq!(
        (&talk["messages"][0]["text"], &talk["messages"][1]["text"]),
        (&Value::Null, &json!("may I?"))
    );
    let unsent = at_rest(&[
        "diff",
        &cid,
        "--from",
        "2004-01-05T12:00:00Z",
        "--to",
        "2004-01-06T12:00:00Z",
    ])
    .json();
    let messages: Vec<&Value> = unsent["items"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|item| item["view"] == "messages")
        .collect();
    assert_eq!(messages.len(), 2, "{unsent}");
    assert_eq!(messages[0]["events"][0]["type"], "message-unsent.v1");

    let beyond = ["member", "ann", "--as-of", "1000000"];
    fails(
        &at_rest(&beyond),
        1,
        "has not come: the log ends at position",
    );
    fails(&remote(&beyond), 1, "as_of_beyond_end");
    let before = ["member", "ann", "--as-of", "1969-01-01T00:00:00Z"];
    fails(&at_rest(&before), 1, "ann was not known as of position 0");
    fails(&remote(&before), 1, "not_found");
    let unknown = ["diff", "zoe", "--from", "1", "--to", "2"];
    fails(&at_rest(&unknown), 1, "zoe was not known");
    fails(&remote(&unknown), 1, "not_found");
    let backwards = ["diff", "ann", "--from", "3", "--to", "2"];
    fails(&at_rest(&backwards), 2, "--to is before --from");
    fails(&remote(&backwards), 2, "before `from`");
    for (what, words) in [
        (
            &["member", "ann", "--as-of", "soon"][..],
            "a moment is a position",
        ),
        (&["conversation", "talk"], "UUID"),
        (&["diff", "ann", "--from", "1"], "--from and --to"),
        (&["member", "ann", "--from", "1"], "for audit diff"),
        (
            &["diff", "ann", "--from", "1", "--to", "2", "--as-of", "1"],
            "not --as-of",
        ),
        (&["member", "a b"], "an id is 1 to 128"),
        (&["disclosures", "a b"], "an id is 1 to 128"),
        (&["disclosures", "ann", "--as-of", "1"], "no --as-of"),
        (&["disclosures", "ann", "--to", "1"], "for audit diff"),
        (&["member", "ann", "--purpose", "No Code"], "a purpose is"),
        (&["stranger", "ann"], "stranger"),
    ] {
        fails(&at_rest(what), 2, words);
        fails(&remote(what), 2, words);
    }
    let member = server.token("ann", "member");
    let refused = program::run([
        "audit",
        "member",
        "ann",
        "--url",
        &server.url,
        "--token",
        &member,
    ]);
    fails(&refused, 1, "forbidden");
    let nobody = ["disclosures", "zoe"];
    fails(&remote(&nobody), 1, "not_found");
    fails(&at_rest(&nobody), 1, "zoe was not known");
    // The ledger has every look at ann, and the one at itself for whoever reads it next.
    let told = remote(&["disclosures", "ann", "--purpose", "oversight"]);
    let told = told.done().json();
    assert!(server.stop().success());
    let here = on(&served, &["audit", "disclosures", "ann"]).done().json();
    let (told, here) = (&told["disclosures"], &here["disclosures"]);
    let mut here = here.as_array().expect("looks").clone();
    let last = here.remove(0);
    assert_eq!(
        (&last["looked"], &last["purpose"], &last["by"]),
        (&json!("disclosures"), &json!("oversight"), &json!("ada"))
    );
    assert!(here.len() > 5, "{here:?}");
    assert_eq!(told, &Value::from(here));
}

#[test]
fn at_rest_nothing_of_the_folder_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let before = on(&data, &["events"]).done().stdout;
    on(&data, &["audit", "member", "ann"]).done();
    assert_eq!(on(&data, &["events"]).done().stdout, before);
    let none = folder.path().join("none");
    fails(&on(&none, &["audit", "member", "ann"]), 1, "holds no log");
    assert!(!none.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_record_of_a_look_and_its_answer_is_harmless() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let inbox = async |server: &Server| {
        let url = format!("{}/v1/inbox", server.url);
        let token = server.token("bob", "member");
        let answer = reqwest::Client::new()
            .get(url)
            .bearer_auth(token)
            .send()
            .await;
        answer.expect("an answer").text().await.expect("a body")
    };
    let mut answered = 0;
    let mut seen = None;
    for _ in 0..3 {
        let server = Server::start(&data, &[]);
        ready(&server).await;
        let shown = inbox(&server).await;
        assert_eq!(
            *seen.get_or_insert(shown.clone()),
            shown,
            "who is looked at sees no difference"
        );
        let token = server.token("ada", "auditor");
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..2 {
            let (url, token, told) = (server.url.clone(), token.clone(), told.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let url = format!("{url}/v1/audit/members/ann/timeline");
                // Until the service is gone.
                while let Ok(answer) = client.get(&url).bearer_auth(&token).send().await {
                    if answer.status() == 200 && answer.bytes().await.is_ok() {
                        let _ = told.send(());
                    }
                }
            });
        }
        drop(told);
        for _ in 0..5 {
            tells.recv().await.expect("looks are answered");
            answered += 1;
        }
        server.kill();
        while tells.recv().await.is_some() {
            answered += 1;
        }
    }
    let recorded = on(&data, &["events", "--type", "act-content-disclosed"]).done();
    let recorded = recorded.stdout.lines().count();
    assert!(
        recorded >= answered,
        "{answered} were shown, {recorded} are recorded"
    );
    let report = on(&data, &["verify"]).done().json();
    assert_eq!(report["ok"], true, "{report}");
}
