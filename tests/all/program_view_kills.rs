//! The real service, killed and stopped while a view is made anew, switched, taken back, given up and proved.
//!
//! After each kill what is served is what the log gives, and nothing is left behind. Moments are counted in answers of the
//! service, never in time, by numbers that are the same in every run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::program::Server;

use crate::program_care::{filled, on};
use crate::program_views::{at, files, item};

/// Messages of the log that a service is killed over.
const MESSAGES: u64 = 3_000;

/// A running service, asked by its operator and a member.
struct Asked {
    server: Server,
    client: reqwest::Client,
    operator: String,
    ann: String,
}

impl Asked {
    fn start(data: &Path, flags: &[&str]) -> Self {
        let server = Server::start(data, flags);
        Asked {
            operator: server.token("otto", "operator"),
            ann: server.token("ann", "member"),
            client: reqwest::Client::new(),
            server,
        }
    }

    async fn get(&self, path: &str, token: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.server.url));
        let answer = request.bearer_auth(token).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// The inbox' item once it is served as it stands in its file.
    async fn inbox(&self) -> Value {
        item(&self.get("/v1/views", &self.operator).await, "inbox")
    }

    /// A request of the operator's about the inbox.
    fn request(&self, method: Method, what: &str) -> RequestBuilder {
        let url = format!("{}/v1/views/inbox/{what}", self.server.url);
        self.client.request(method, url).bearer_auth(&self.operator)
    }

    async fn rebuild(&self) -> u16 {
        let answer = self.request(Method::POST, "rebuild").send().await;
        answer.expect("an answer").status().as_u16()
    }

    async fn live(&self) {
        while self.inbox().await["state"] != "live" {}
    }

    /// The inbox is what the log gives, to its owner and by its digest, and nothing lies beside it but an earlier file.
    async fn is_right(&self, data: &Path, when: &str) {
        self.live().await;
        for left in files(data) {
            let (view, rest) = left.split_once(".v").expect("a view's file");
            let kept = view == "inbox" && rest.ends_with(".previous.redb");
            assert!(kept || rest.matches('.').count() == 1, "{left}, {when}");
        }
        let inbox = self.get("/v1/inbox", &self.ann).await;
        assert_eq!(
            inbox["items"][0]["last_message"]["number"], MESSAGES,
            "{when}: {inbox}"
        );
        assert_eq!(inbox["items"][0]["unread"], MESSAGES, "{when}: {inbox}");
        let verified = at(&self.server, &self.operator, &["verify", "inbox"]).done();
        assert_eq!(verified.json()["equal"], true, "{when}");
    }
}

/// A folder with so many messages, its views at rest at the log's end.
fn at_rest(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    filled(&data);
    let mut lines = String::new();
    for number in 200..MESSAGES {
        let line = json!({"id": format!("m{number}"), "at": "2004-01-02T10:00:00Z", "command": "SendMessage",
            "member": "bob", "to": "ann", "text": "one of many"});
        writeln!(lines, "{line}").expect("memory");
    }
    let file = folder.join("more.ndjson");
    std::fs::write(&file, lines).expect("the lines");
    on(&data, &["import", &file.to_string_lossy()]).done();
    on(&data, &["views", "list"]).done();
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_view_is_made_anew_a_service_serves_what_is_right_and_leaves_nothing_behind()
{
    let folder = tempfile::tempdir().expect("a folder");
    let data = at_rest(folder.path());
    // Killed as soon as it is seen in such a stage, or has come to its end before.
    for stage in [
        "comparing",
        "folding",
        "folding_again",
        "catching_up",
        "folding",
        "none",
    ] {
        let asked = Asked::start(&data, &[]);
        asked.live().await;
        assert_eq!(asked.rebuild().await, 202);
        loop {
            let work = asked.inbox().await["work"].clone();
            if work.is_null() || work["stage"] == stage {
                break;
            }
        }
        asked.server.kill();

        let asked = Asked::start(&data, &[]);
        asked.is_right(&data, stage).await;
        asked.server.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_of_a_switch_back_and_forth_a_service_serves_what_is_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = at_rest(folder.path());
    let mut moment = 7_u64;
    for round in 0..12 {
        let asked = Asked::start(&data, &[]);
        asked.is_right(&data, &format!("round {round}")).await;
        if asked.inbox().await["previous"].is_null() {
            assert_eq!(asked.rebuild().await, 202);
            while !asked.inbox().await["work"].is_null() {}
        }
        let (method, what, longest) = [
            (Method::POST, "rebuild", 60),
            (Method::POST, "rollback", 3),
            (Method::DELETE, "previous", 3),
        ][round % 3]
            .clone();
        let request = tokio::spawn(asked.request(method, what).send());
        moment = moment
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(11);
        for _ in 0..(moment >> 33) % longest {
            let _ = asked.inbox().await;
        }
        asked.server.kill();
        // Answered, or cut off by the kill.
        let _ = request.await.expect("no panic");
    }
    let asked = Asked::start(&data, &[]);
    asked.is_right(&data, "at the end").await;
    assert!(asked.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_schedule_proves_a_view_a_service_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = at_rest(folder.path());
    for answers in [0, 5] {
        let flags = ["--verify-views-every", "60s", "--log", "info"];
        let asked = Asked::start(&data, &flags);
        // Seen under way, or told to have ended.
        while asked.inbox().await["work"].is_null()
            && !asked.server.words().contains("what the log gives")
        {}
        for _ in 0..answers {
            let _ = asked.inbox().await;
        }
        asked.server.kill();
        let asked = Asked::start(&data, &[]);
        asked.is_right(&data, "the schedule").await;
        asked.server.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_while_a_view_is_made_anew_a_service_ends_in_order_and_leaves_nothing_behind()
{
    let folder = tempfile::tempdir().expect("a folder");
    let data = at_rest(folder.path());
    for stage in ["comparing", "folding", "folding_again", "catching_up"] {
        let asked = Asked::start(&data, &["--log", "info"]);
        asked.live().await;
        assert_eq!(asked.rebuild().await, 202);
        loop {
            let work = asked.inbox().await["work"].clone();
            if work.is_null() || work["stage"] == stage {
                break;
            }
        }
        asked.server.terminate();
        let _ = asked.server.line_with(&["INFO", "stopping"]);
        // What became of it is told: it was ended, or had come to its end.
        let _ = asked
            .server
            .line_with(&["INFO", "inbox", "kind=\"rebuild\""]);
        assert!(asked.server.ended().success(), "{stage}");
        let asked = Asked::start(&data, &[]);
        asked.is_right(&data, stage).await;
        assert!(asked.server.stop().success());
    }
}
