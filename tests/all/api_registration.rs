//! Since when somebody is a member: nobody is registered before it happens, whichever way the host tells it.

use api::problem::Code;
use reqwest::Method;
use serde_json::json;
use tests::api::{Scene, reply};
use tests::program;

#[tokio::test]
async fn nobody_is_registered_before_it_happens() {
    let scene = Scene::open().await;
    let ahead = |seconds: i64| {
        let at = chrono::Utc::now() + chrono::Duration::seconds(seconds);
        let body = json!({"age_band": "adult", "registered_at": at.to_rfc3339()});
        scene
            .door
            .request(Method::PUT, "/v1/members/zoe")
            .bearer_auth(scene.door.service())
            .json(&body)
    };
    let refused = scene
        .refuses("in a minute", 422, Code::InvalidMember, ahead(60))
        .await;
    assert_eq!(refused.json()["errors"][0]["field"], "registered_at");
    let by_its_own_time = ahead(-86_400).header("doorstep-at", "2004-01-01T00:00:00Z");
    let _ = scene
        .refuses(
            "later than the command",
            422,
            Code::InvalidMember,
            by_its_own_time,
        )
        .await;
    assert_eq!(reply(ahead(0)).await.status, 200);
}

#[test]
fn nor_is_anybody_by_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, registered_at: &str| {
        let line = json!({"id": id, "at": "2004-01-01T00:00:00Z", "command": "RegisterMember",
            "member": id, "age_band": "adult", "registered_at": registered_at});
        format!("{line}\n")
    };
    let lines = [
        line("ann", "2004-01-01T00:00:05Z"),
        line("bob", "2004-01-01T00:00:05.001Z"),
    ];
    let file = folder.path().join("lines.ndjson");
    std::fs::write(&file, lines.concat()).unwrap();
    let data = folder.path().join("data");
    let (file, data) = (file.to_string_lossy(), data.to_string_lossy());
    let summary = program::run(["import", &*file, "--data", &*data])
        .done()
        .json();
    assert_eq!(
        (&summary["carried_out"], &summary["refused"]),
        (&json!(1), &json!({"invalid_member": 1}))
    );
}
