//! At a case: opening it again when somebody asks, and letting fewer of a flooding reporter's reports count.

use serde_json::json;
use tests::desk::{Desk, RULING};

#[tokio::test]
async fn a_decided_case_is_opened_again_with_a_reason_and_it_is_on_record() {
    let desk = Desk::open().await;
    let (mia, max) = (desk.sits("mia").await, desk.sits("max").await);
    assert!(!desk.shown(&mia).await.has_form(&desk.form("reopen")));
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let _ = desk.act(&mia, "decision", &RULING).await.expect(303);
    let long = "x".repeat(2_001);
    for (fields, status) in [
        ([("reason", "no code"), ("text", "He <b>asks</b>")], 400),
        ([("reason", ""), ("text", "He <b>asks</b>")], 400),
        ([("reason", "asked"), ("text", &*long)], 422),
    ] {
        let refused = desk.act(&max, "reopen", &fields).await.expect(status);
        let form = refused.form(&desk.form("reopen"));
        assert!(form.html.contains("class=\"problem\""), "{fields:?}");
        for (name, typed) in fields {
            assert_eq!(form.field(name), typed);
        }
    }
    assert!(desk.events("case-reopened").await.is_empty());
    let fields = [("reason", "asked"), ("text", "He <b>asks</b>")];
    let sent = desk.act(&max, "reopen", &fields).await;
    let after = max.follow(&sent).await.expect(200);
    assert!(after.says("The case is open again.") && after.says("He <b>asks</b>"));
    assert!(after.says("suspended now"), "what was decided goes on");
    assert!(!after.has_form(&desk.form("reopen")) && after.has_form(&desk.form("claim")));
    assert_eq!(desk.events("case-reopened").await.len(), 1);
    let shown = desk.shown(&mia).await;
    let done = &shown.html[shown.html.find("id=\"done\"").unwrap()..];
    assert!(done.contains("<bdi>max</bdi></span> <span>opened it again"));
    let log = max.page("/desk/log").await.expect(200);
    assert!(log.says("opened it again"));
}

#[tokio::test]
async fn fewer_of_a_reporters_reports_count_until_a_time_or_until_all_do_again() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let (limit, lift) = (desk.form("report-limit"), desk.form("report-limit-end"));
    let shown = desk.shown(&mia).await;
    assert!(!shown.has_form(&lift));
    assert_eq!(
        shown.html.matches(&format!("action=\"{limit}\"")).count(),
        1,
        "bob made no reports"
    );
    let good = [
        ("per_day", "1"),
        ("until", "2031-05-06T07:08"),
        ("reason", "flooding"),
    ];
    for (change, status) in [
        (("per_day", "many"), 400),
        (("per_day", "1001"), 422),
        (("until", ""), 400),
        (("until", "tomorrow"), 400),
        (("until", "2001-01-01T00:00"), 422),
        (("reason", "No Code"), 400),
    ] {
        let mut fields = good.to_vec();
        fields.retain(|(name, _)| *name != change.0);
        fields.push(change);
        let refused = desk.act(&mia, "report-limit", &fields).await.expect(status);
        let form = refused.form(&limit);
        assert!(form.html.contains("class=\"problem\""), "{change:?}");
        for (name, typed) in fields {
            assert_eq!(form.field(name), typed, "{change:?}");
        }
    }
    assert!(!desk.shown(&mia).await.has_form(&lift));
    let sent = desk.act(&mia, "report-limit", &good).await;
    let after = mia.follow(&sent).await.expect(200);
    assert!(after.says("No more of their reports count than you said."));
    assert!(after.says("1 report a day count") && after.says("6 May 2031, 07:08 UTC"));
    assert!(after.has_form(&lift));
    // What is reported beyond it is taken alike, and marked.
    desk.door.register("cat").await;
    let sent = desk.door.send("cat", "ann", "hi").await.expect(201).json();
    let report = json!({"conversation_id": sent["conversation_id"], "messages": [sent["number"]], "category": "spam"});
    let token = desk.door.member("ann");
    let _ = desk
        .door
        .post("/v1/reports", &token, report)
        .await
        .expect(201);
    desk.door.views_at_the_end().await;
    let queue = mia.page("/desk/queue?member=cat").await.expect(200);
    assert!(queue.html.contains("so it comes last"), "{}", queue.html);
    let sent = desk.act(&mia, "report-limit-end", &[]).await;
    let after = mia.follow(&sent).await.expect(200);
    assert!(after.says("All of their reports count again.") && !after.has_form(&lift));
    let log = mia.page("/desk/log").await.expect(200);
    assert!(log.says("let fewer of their reports count"));
    assert!(log.says("let all of their reports count again"));
}
