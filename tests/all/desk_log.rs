//! What was done is told at the desk: the log of who did it, what is taken back, and the figures.

use api::Role;
use serde_json::json;
use tests::desk::{Desk, RULING};
use tests::pages::{Shown, Sitting};

#[tokio::test]
async fn the_log_tells_a_moderator_what_they_did_and_an_auditor_what_anybody_did() {
    let desk = Desk::open().await;
    let (mia, max) = (desk.sits("mia").await, desk.sits("max").await);
    let empty = mia.page("/desk/log").await.expect(200);
    assert!(empty.says("Nothing"));
    for act in ["claim", "release"] {
        let _ = desk.act(&mia, act, &[]).await.expect(303);
    }
    let _ = desk
        .act(&max, "notes", &[("text", "seen")])
        .await
        .expect(303);
    let body = json!({"reason": "spam", "text": "Enough.", "facts": "Ten letters."});
    let path = "/v1/moderation/members/bob/suspension";
    let token = desk.door.token("max", &[Role::Moderator]);
    let _ = desk.door.put(path, &token, body).await.expect(200);
    desk.door.views_at_the_end().await;
    let lines = |shown: &Shown| -> Vec<String> {
        let lines = shown.html.split("</time></span> <span>").skip(1);
        let line = |rest: &str| rest.split("</span>").next().unwrap().to_owned();
        lines.map(line).collect()
    };
    let log = mia.page("/desk/log").await.expect(200);
    assert_eq!(lines(&log), ["released", "looked", "claimed", "looked"]);
    assert!(log.html.contains(&format!("href=\"{}\"", desk.path())));
    let log = max.page("/desk/log").await.expect(200);
    assert_eq!(lines(&log), ["suspended by hand", "noted", "looked"]);
    let _ = max.page("/desk/log?by=mia").await.expect(403);
    assert_eq!(lines(&max.page("/desk/log?by=max").await).len(), 3);
    let token = desk.door.token("ada", &[Role::Auditor]);
    let ada = Sitting::of(&desk.door, &token).await;
    let log = ada.page("/desk/log?by=mia").await.expect(200);
    assert_eq!(lines(&log), ["released", "looked", "claimed", "looked"]);
    assert!(!log.html.contains("href=\"/desk/cases/"));
    let _ = ada.page("/desk/log?by=a%20b").await.expect(400);
    // And the case tells what was done on it, by whomever.
    let shown = desk.shown(&mia).await;
    let done = &shown.html[shown.html.find("id=\"done\"").unwrap()..];
    for words in [
        "<bdi>max</bdi></span> <span>noted",
        "<bdi>mia</bdi></span> <span>claimed",
        "<bdi>ann</bdi></span> <span>reported",
    ] {
        assert!(done.contains(words), "{words}");
    }
}

#[tokio::test]
async fn the_log_goes_on_page_by_page() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let token = desk.door.token("mia", &[Role::Moderator]);
    for _ in 0..60 {
        let path = format!("/v1/moderation/cases/{}", desk.case);
        let _ = desk.door.get(&path, &token).await.expect(200);
    }
    desk.door.views_at_the_end().await;
    let first = mia.page("/desk/log").await.expect(200);
    let next = first.html.split("\" rel=\"next\"").next().unwrap();
    let next = next.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    let second = mia.page(&next).await.expect(200);
    let count = |shown: &Shown| shown.html.matches("<span>looked</span>").count();
    assert_eq!((count(&first), count(&second)), (50, 10));
    assert!(!second.html.contains("rel=\"next\""));
    let other = desk.sits("max").await;
    let _ = other
        .page(&next.replace("by=mia", "by=max"))
        .await
        .expect(400);
}

#[tokio::test]
async fn an_appeal_is_answered_by_another_moderator_and_a_decision_taken_back_with_all_it_changed()
{
    let desk = Desk::open().await;
    let (mia, max) = (desk.sits("mia").await, desk.sits("max").await);
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let _ = desk.act(&mia, "decision", &RULING).await.expect(303);
    let decision = desk.events("case-decided").await[0]["data"]["decision"].clone();
    let decision: domain::ids::DecisionId = decision.as_str().unwrap().parse().unwrap();
    let appeal = commands::Envelope {
        actor: "bob".parse().unwrap(),
        command_id: domain::ids::CommandId::new("a1").unwrap(),
        id_given: true,
        at: None,
        command: commands::Command::AppealDecision {
            case: desk.case.parse().unwrap(),
            decision,
            text: "It was <b>not</b> me".to_owned(),
        },
    };
    let _ = desk.door.commands.handle(appeal).await.unwrap();
    desk.door.views_at_the_end().await;
    let queue = mia.page("/desk/queue?state=appealed").await.expect(200);
    assert!(queue.html.contains(&desk.path()) && queue.says("Appealed"));
    let answer = [("outcome", "reversed"), ("text", "We were wrong.")];
    let refused = desk.act(&mia, "appeal", &answer).await.expect(409);
    assert!(refused.says("It was <b>not</b> me"));
    assert!(
        refused.html.contains("role=\"alert\"")
            && refused.html.contains("We were wrong.</textarea>")
    );
    for (fields, status) in [
        (&[("text", "x")][..], 400),
        (&[("outcome", "perhaps"), ("text", "x")], 400),
        (&[("outcome", "upheld"), ("text", " ")], 422),
    ] {
        let _ = desk.act(&max, "appeal", fields).await.expect(status);
    }
    let sent = desk.act(&max, "appeal", &answer).await;
    let after = max.follow(&sent).await.expect(200);
    assert!(after.says("The appeal is answered.") && after.says("The appeal was granted"));
    assert!(after.says("Taken back") && !after.has_form(&desk.form("appeal")));
    assert!(!after.says("suspended now"));
    let _ = desk.door.send("bob", "ann", "thank you").await.expect(201);
}

#[tokio::test]
async fn a_decision_is_taken_back_by_hand_with_a_reason() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let _ = desk.act(&mia, "decision", &RULING).await.expect(303);
    let fields = [("reason", "not a code"), ("text", "Sorry.")];
    let refused = desk.act(&mia, "reverse", &fields).await.expect(400);
    assert!(
        refused.html.contains("value=\"not a code\"") && refused.html.contains("Sorry.</textarea>")
    );
    let fields = [("reason", "mistake"), ("text", "Sorry.")];
    let sent = desk.act(&mia, "reverse", &fields).await;
    let after = mia.follow(&sent).await.expect(200);
    assert!(after.says("The decision is taken back."));
    assert!(after.says("mistake") && !after.says("suspended now"));
}

#[tokio::test]
async fn the_figures_are_those_of_the_interface_for_the_days_that_are_asked_for() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let _ = desk.act(&mia, "decision", &RULING).await.expect(303);
    desk.door.views_at_the_end().await;
    let token = desk.door.token("ada", &[Role::Auditor]);
    for sitting in [&mia, &Sitting::of(&desk.door, &token).await] {
        // A month until today, whenever that is.
        let shown = sitting.page("/desk/figures").await.expect(200);
        for row in [
            "<th scope=\"row\">scam</th><td>1<svg",
            "<th scope=\"row\">Suspend</th><td>1<svg",
            "<td>Suspend</td><td class=\"word\">scam</td><td>reports</td><td>1</td>",
            "<dt>Suspensions in force at the end</dt><dd>1</dd>",
        ] {
            assert!(shown.html.contains(row), "{row}: {}", shown.html);
        }
        assert_eq!(shown.html.matches("<figure").count(), 2);
        assert_eq!(
            shown.html.matches("height=\"100\"></rect>").count(),
            2,
            "one day of each has some"
        );
    }
    let past = mia
        .page("/desk/figures?from=2001-01-01&to=2001-03-01")
        .await
        .expect(200);
    assert!(past.says("None.") && !past.html.contains("<figure"));
    for query in [
        "from=x",
        "from=2001-01-02&to=2001-01-01",
        "from=2001-01-01&to=2009-01-01",
    ] {
        let shown = mia
            .page(&format!("/desk/figures?{query}"))
            .await
            .expect(400);
        assert!(
            shown.html.contains("role=\"alert\"") && shown.has_form("/desk/figures"),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_on_many_cases_is_one_line_of_the_log_whatever_came_of_it() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let token = desk.door.token("mia", &[Role::Moderator]);
    let decide = async |revision: u64| {
        let body = json!({"cases": [{"case_id": desk.case, "revision": revision}],
            "action": "warn", "reason": "scam", "text": "Stop.", "facts": "Message 1."});
        let path = "/v1/moderation/members/bob/decisions";
        let begun = desk.door.post(path, &token, body).await.expect(200);
        desk.door.commands.drain_reactors().await.unwrap();
        desk.door.views_at_the_end().await;
        begun.json()["act_id"].as_str().unwrap().to_owned()
    };
    let none = decide(7).await;
    let one = decide(1).await;
    let log = mia.page("/desk/log").await.expect(200);
    let line = |act: &str, words: &str| {
        format!(
            "<span>decided many at once: warn; {words}</span> <span><a href=\"/desk/acts/{act}\">cases about <bdi>bob</bdi></a></span>"
        )
    };
    for line in [
        line(&one, "1 of 1 case decided"),
        line(&none, "0 of 1 case decided, 1 had moved on"),
    ] {
        assert!(log.html.contains(&line), "{line}: {}", log.html);
    }
    assert_eq!(log.html.matches("</time></span>").count(), 2, "two lines");
    let body = json!({"reason": "mistake", "text": "Sorry."});
    let path = format!("/v1/moderation/acts/{one}/reverse");
    let _ = desk.door.post(&path, &token, body).await.expect(200);
    desk.door.commands.drain_reactors().await.unwrap();
    desk.door.views_at_the_end().await;
    let log = mia.page("/desk/log").await.expect(200);
    assert!(log.says("took an act on many cases back; 1 of 1 case taken back"));
    // An auditor reads the same without the way to pages that are not theirs.
    let token = desk.door.token("ada", &[Role::Auditor]);
    let ada = Sitting::of(&desk.door, &token).await;
    let log = ada.page("/desk/log?by=mia").await.expect(200);
    assert!(log.says("1 of 1 case decided") && !log.html.contains("/desk/acts/"));
    let case = desk.shown(&mia).await;
    assert!(case.html.contains(&format!(
        "decided: warn, <a href=\"/desk/acts/{one}\">with others at once</a>"
    )));
}
