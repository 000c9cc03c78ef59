//! What was wrong with a form of the desk, told so that one comes to the field by keyboard: an alert that has the focus, with
//! a link to each field that is wrong, which says so itself.

use api::Role;
use tests::desk::{Desk, RULING};
use tests::pages::Sitting;

/// The fields of a form, one of them changed.
fn changed<'a>(form: &[(&'a str, &'a str)], change: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    let mut fields = form.to_vec();
    fields.retain(|(name, _)| *name != change.0);
    fields.push(change);
    fields
}

#[tokio::test]
async fn a_refused_form_of_a_case_leads_to_each_field_that_is_wrong() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let long = "x".repeat(2_001);
    for (change, element) in [
        (("action", "banish"), "decide-action"),
        (("until", "tomorrow"), "until"),
        (("messages", "one"), "remove"),
        (("reason", "Not A Code"), "reason"),
        (("text", &*long), "text"),
        (("facts", &*long), "facts"),
    ] {
        let fields = changed(&RULING, change);
        let refused = desk.act(&mia, "decision", &fields).await;
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
    for (act, element) in [("notes", "note"), ("escalate", "escalate")] {
        let refused = desk.act(&mia, act, &[("text", &long)]).await.expect(422);
        assert_eq!(refused.led_to(), [element]);
    }
    let limit = [
        ("per_day", "1"),
        ("until", "2031-05-06T07:08"),
        ("reason", "x"),
    ];
    for (change, element) in [
        (("per_day", "many"), "per-day-2"),
        (("until", "tomorrow"), "limit-until-2"),
        (("reason", "No Code"), "limit-reason-2"),
    ] {
        let fields = changed(&limit, change);
        let refused = desk.act(&mia, "report-limit", &fields).await.expect(400);
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
    let _ = desk.act(&mia, "decision", &RULING).await.expect(303);
    let id = desk.events("case-decided").await[0]["data"]["decision"].clone();
    let id = id.as_str().unwrap();
    let why = [("reason", "mistake"), ("text", "Sorry.")];
    for (change, element) in [
        (("reason", "No Code"), format!("reverse-reason-{id}")),
        (("text", &long), format!("reverse-text-{id}")),
    ] {
        let fields = changed(&why, change);
        let refused = desk.act(&mia, "reverse", &fields).await;
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
    for (change, element) in [
        (("reason", "No Code"), "reopen-reason"),
        (("text", &long), "reopen-text"),
    ] {
        let fields = changed(&why, change);
        let refused = desk.act(&mia, "reopen", &fields).await;
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
    let appeal = commands::Envelope {
        actor: "bob".parse().unwrap(),
        command_id: domain::ids::CommandId::new("a1").unwrap(),
        id_given: true,
        at: None,
        command: commands::Command::AppealDecision {
            case: desk.case.parse().unwrap(),
            decision: id.parse().unwrap(),
            text: "No.".to_owned(),
        },
    };
    let _ = desk.door.commands.handle(appeal).await.unwrap();
    let max = desk.sits("max").await;
    let answer = [("outcome", "upheld"), ("text", "It stays.")];
    for (change, element) in [
        (("outcome", "perhaps"), format!("outcome-{id}")),
        (("text", &long), format!("answer-{id}")),
    ] {
        let fields = changed(&answer, change);
        let refused = desk.act(&max, "appeal", &fields).await;
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_no_field_is_told_where_one_is() {
    let desk = Desk::open().await;
    let (mia, max) = (desk.sits("mia").await, desk.sits("max").await);
    let early = desk.shown(&max).await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let refused = max.fill(&early, &desk.form("claim"), &[]).await.expect(409);
    assert!(refused.led_to().is_empty());
    assert!(refused.says("One moderator at a time works on a case"));
}

#[tokio::test]
async fn the_forms_for_many_cases_lead_to_their_fields() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let form = "/desk/members/bob/decisions";
    let shown = mia.page("/desk/members/bob").await.expect(200);
    let case = format!("{}:1", desk.case);
    let ruling: Vec<_> = RULING.into_iter().chain([("cases", &*case)]).collect();
    for (change, element) in [
        (("cases", "x"), "cases"),
        (("action", ""), "decide-action"),
        (("until", "tomorrow"), "until"),
        (("reason", "No Code"), "reason"),
        (("text", " "), "text"),
        (("facts", " "), "facts"),
    ] {
        let fields = changed(&ruling, change);
        let refused = mia.fill(&shown, form, &fields).await;
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
    let sent = mia.fill(&shown, form, &ruling).await;
    let act = mia.follow(&sent).await.expect(200);
    let form = format!("{}/reverse", sent.location().split('?').next().unwrap());
    for (change, element) in [(("reason", "No Code"), "reason"), (("text", " "), "text")] {
        let fields = changed(&[("reason", "mistake"), ("text", "Sorry.")], change);
        let refused = mia.fill(&act, &form, &fields).await;
        assert_eq!(refused.led_to(), [element], "{change:?}");
    }
}

#[tokio::test]
async fn a_filter_that_is_wrong_leads_to_its_field() {
    let desk = Desk::open().await;
    let token = desk.door.token("mia", &[Role::Moderator, Role::Auditor]);
    let mia = Sitting::of(&desk.door, &token).await;
    for (path, element) in [
        ("/desk/queue?state=nowhere", "state"),
        ("/desk/queue?category=none", "category"),
        ("/desk/queue?member=a%20b", "member"),
        ("/desk/queue?claimed_by=a%20b", "claimed_by"),
        ("/desk/queue?opened_after=once", "opened_after"),
        ("/desk/queue?opened_before=once", "opened_before"),
        ("/desk/queue?sort=x", "sort"),
        ("/desk/ledger?member=a%20b", "member"),
        ("/desk/ledger?member=bob&purpose=No%20code", "purpose"),
        ("/desk/figures?from=x", "from"),
        ("/desk/figures?from=2001-01-02&to=2001-01-01", "to"),
    ] {
        let shown = mia.page(path).await.expect(400);
        let led = shown.led_to();
        assert_eq!(led, [element], "{path}");
        assert!(shown.says("That cannot be shown as it was asked for."));
    }
    let refused = tests::pages::sign_in(&desk.door, "no-token", &[]).await;
    assert_eq!(refused.expect(401).led_to(), ["token"]);
}
