//! The figures of moderation over HTTP: as JSON and as CSV, by the days that are asked for, the same after a rebuild.

use api::Role;
use api::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Scene, reply};

const PATH: &str = "/v1/moderation/transparency";

/// The days around now, so that no test meets midnight.
fn days() -> String {
    let day = |days| {
        let day = chrono::Utc::now() + chrono::Duration::days(days);
        day.format("%Y-%m-%d")
    };
    format!("from={}&to={}", day(-1), day(1))
}

/// Ann reports bob, whom a moderator limits for it; a moderator suspends cleo. The position of the last of it.
async fn moderated(door: &Door, cid: &str) -> String {
    let mia = door.token("mia", &[Role::Moderator]);
    let report = json!({"conversation_id": cid, "messages": [1], "category": "scam"});
    let ann = door.member("ann");
    let reported = door.post("/v1/reports", &ann, report).await.expect(201);
    let queue = format!("/v1/moderation/queue?min_position={}", reported.position());
    let queue = door.get(&queue, &mia).await.json();
    let case = queue["items"][0]["case_id"].as_str().unwrap().to_owned();
    let act = async |act: &str, body: Value| {
        let path = format!("/v1/moderation/cases/{case}/{act}");
        door.post(&path, &mia, body).await.expect(200)
    };
    let _ = act("claim", Value::Null).await;
    let until = chrono::Utc::now() + chrono::Duration::days(30);
    let until = until.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let decision = json!({"action": "limit", "until": until, "reason": "fraud", "text": "No.", "facts": "Message 1."});
    let _ = act("decision", decision).await;
    door.register("cleo").await;
    let suspension = json!({"reason": "stolen_account", "text": "We hold it for you.", "facts": "A new device."});
    let path = "/v1/moderation/members/cleo/suspension";
    let suspended = door.put(path, &mia, suspension).await.expect(200);
    suspended.position()
}

async fn asked(door: &Door, query: &str, accept: &str) -> Reply {
    let mia = door.token("mia", &[Role::Moderator]);
    let request = door.request(Method::GET, &format!("{PATH}?{query}"));
    reply(request.bearer_auth(mia).header("accept", accept)).await
}

#[tokio::test]
async fn tells_the_figures_of_the_days_that_are_asked_for() {
    let Scene { door, cid } = Scene::open().await;
    let position = moderated(&door, &cid).await;
    let query = format!("{}&min_position={position}", days());
    let told = asked(&door, &query, "application/json").await.expect(200);
    assert!(!told.position().is_empty());
    let mut told = told.json();
    let median = told["decisions"]["median_time_ms"].take();
    assert!(median.is_u64(), "{median}");
    let (from, to) = (told["from"].take(), told["to"].take());
    assert!(
        days()
            == format!(
                "from={}&to={}",
                from.as_str().unwrap(),
                to.as_str().unwrap()
            )
    );
    let ground = |action, ground, source| json!({"action": action, "ground": ground, "source": source, "taken": 1});
    assert_eq!(
        told,
        json!({
            "from": null, "to": null,
            "notices": {"submitted": 1, "processed_by_automated_means": 0,
                "by_category": [{"category": "scam", "submitted": 1}]},
            "cases_opened": 1,
            "decisions": {"taken": 2, "taken_by_automated_means": 0, "median_time_ms": null,
                "by_ground": [ground("limit", "fraud", "notices"), ground("suspend", "stolen_account", "own_initiative")],
                "left_out": {"grounds": 0, "taken": 0}},
            "appeals": {"received": 0, "upheld": 0, "reversed": 0, "median_time_ms": null},
            "reversals": {"on_appeal": 0, "own_initiative": 0},
            "restrictions_in_force": {"suspensions": 1, "limits": 1},
        })
    );
    // Of other days nothing, and an auditor is told the same.
    let auditor = door.token("ada", &[Role::Auditor]);
    let path = format!("{PATH}?from=2020-02-29&to=2021-02-28");
    let none = door.get(&path, &auditor).await.expect(200).json();
    assert_eq!(none["notices"]["submitted"], 0);
    assert_eq!(none["decisions"]["median_time_ms"], Value::Null);
    assert_eq!(none["restrictions_in_force"]["suspensions"], 0);
}

#[tokio::test]
async fn the_same_figures_are_lines_of_csv() {
    let Scene { door, cid } = Scene::open().await;
    let position = moderated(&door, &cid).await;
    let query = format!("{}&min_position={position}", days());
    let json = asked(&door, &query, "application/json").await.json();
    let csv = asked(&door, &query, "text/csv").await.expect(200);
    let media_type = csv.headers["content-type"].to_str().unwrap();
    assert_eq!(media_type, "text/csv; charset=utf-8; header=present");
    assert!(!csv.position().is_empty());
    let text = String::from_utf8(csv.bytes).unwrap();
    let text = text.strip_suffix("\r\n").unwrap();
    let lines: Vec<Vec<&str>> = text
        .split("\r\n")
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(lines[0], ["figure", "kind", "ground", "source", "value"]);
    let value = |figure: &str, kind: &str, ground: &str, source: &str| {
        let line = [figure, kind, ground, source];
        let mut found = lines.iter().filter(|known| known[..4] == line);
        let value = found.next().map(|line| line[4].to_owned());
        assert!(found.next().is_none(), "{line:?}");
        value.unwrap_or_else(|| panic!("{line:?} is none of {text}"))
    };
    let plain = |figure: &str| value(figure, "", "", "");
    let number = |value: &Value| value.as_u64().unwrap().to_string();
    let (notices, decisions) = (&json["notices"], &json["decisions"]);
    assert_eq!(plain("from"), json["from"].as_str().unwrap());
    assert_eq!(plain("to"), json["to"].as_str().unwrap());
    for (figure, told) in [
        ("notices_submitted", &notices["submitted"]),
        ("cases_opened", &json["cases_opened"]),
        ("decisions_taken", &decisions["taken"]),
        ("appeals_received", &json["appeals"]["received"]),
        ("decisions_median_time_ms", &decisions["median_time_ms"]),
        (
            "suspensions_in_force",
            &json["restrictions_in_force"]["suspensions"],
        ),
    ] {
        assert_eq!(plain(figure), number(told), "{figure}");
    }
    assert_eq!(value("notices", "scam", "", ""), "1");
    assert_eq!(value("decisions", "limit", "fraud", "notices"), "1");
    let own = ["decisions", "suspend", "stolen_account", "own_initiative"];
    assert_eq!(value(own[0], own[1], own[2], own[3]), "1");
    for form in ["text/html", "application/pdf"] {
        let refused = asked(&door, &query, form).await;
        assert_eq!(refused.failure(), (406, "not_acceptable".to_owned()));
    }
}

#[tokio::test]
async fn the_figures_are_the_same_after_the_view_was_made_anew() {
    let Scene { door, cid } = Scene::open().await;
    let position = moderated(&door, &cid).await;
    let query = format!("{}&min_position={position}", days());
    let before = asked(&door, &query, "text/csv").await.expect(200);
    let host = door.token("olaf", &[Role::Operator]);
    let rebuild = "/v1/views/transparency/rebuild";
    let began = door.post(rebuild, &host, Value::Null).await.expect(202);
    let number = began.json()["work"]["number"].clone();
    let last = loop {
        let views = door.get("/v1/views", &host).await.json();
        let views = views["items"].as_array().unwrap().clone();
        let view = views.iter().find(|view| view["name"] == "transparency");
        let last = view.unwrap()["last"].clone();
        if last["number"] == number {
            break last;
        }
    };
    assert_eq!(
        (&last["equal"], &last["error"]),
        (&json!(true), &Value::Null)
    );
    let after = asked(&door, &query, "text/csv").await.expect(200);
    assert_eq!(after.bytes, before.bytes);
}

#[tokio::test]
async fn refuses_days_that_it_cannot_tell_of() {
    let scene = Scene::open().await;
    let mia = scene.door.token("mia", &[Role::Moderator]);
    for (query, field) in [
        ("to=2026-01-31", "from"),
        ("from=2026-01-01", "to"),
        ("from=2026-01-01&to=2025-12-31", "to"),
        ("from=2024-12-31&to=2026-01-01", "to"),
        ("from=2026-02-30&to=2026-03-01", "from"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-31", "from"),
        ("from=2026-01-01&to=2026-01-31T12:00:00Z", "to"),
        ("from=12&to=13", "from"),
        ("from=&to=", "from"),
        ("from=2026-01-01&to=2026-01-31&as_of=5", "as_of"),
        (
            "from=2026-01-01&to=2026-01-31&min_position=x",
            "min_position",
        ),
    ] {
        let request = scene.door.request(Method::GET, &format!("{PATH}?{query}"));
        let refused = scene.refuses(query, 400, Code::InvalidQuery, request.bearer_auth(&mia));
        let errors = refused.await.json()["errors"].clone();
        assert_eq!(errors[0]["field"], field, "{query}: {errors}");
    }
}
