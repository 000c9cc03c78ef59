//! A member's cases are decided at once at the desk: as they were seen, followed while it goes on, and taken back whole.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::Door;
use tests::desk::RULING;
use tests::pages::{Shown, Sitting};
use tests::sse::Stream;

const REPORTERS: [&str; 3] = ["ann", "ben", "cat"];
const FORM: &str = "/desk/members/bob/decisions";

/// A door with cases about bob, one by each of whom he wrote to.
async fn with_cases() -> Door {
    let door = Door::open().await;
    door.register("bob").await;
    for reporter in REPORTERS {
        door.register(reporter).await;
        door.audience(reporter, "everyone").await;
        let cid = door.sent("bob", reporter, "buy").await;
        let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
        let made = door
            .post("/v1/reports", &door.member(reporter), report)
            .await;
        let _ = made.expect(201);
    }
    door.views_at_the_end().await;
    door
}

async fn sits<'a>(door: &'a Door, sub: &str) -> Sitting<'a> {
    Sitting::of(door, &door.token(sub, &[Role::Moderator])).await
}

async fn act(door: &Door, case: &str, act: &str) {
    let token = door.token("max", &[Role::Moderator]);
    let path = format!("/v1/moderation/cases/{case}/{act}");
    let _ = door.post(&path, &token, Value::Null).await.expect(200);
}

/// The cases that the form of a page names, as they were seen.
fn seen(shown: &Shown) -> Vec<String> {
    let boxes = shown.html.split("name=\"cases\" value=\"").skip(1);
    boxes
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

fn id(seen: &str) -> &str {
    seen.split(':').next().unwrap()
}

/// The form filled with these cases.
fn filled(cases: &[String]) -> Vec<(&str, &str)> {
    let cases = cases.iter().map(|case| ("cases", &**case));
    RULING.into_iter().chain(cases).collect()
}

/// The page once it tells of nothing more that goes on, by what its stream tells.
async fn finished(sitting: &Sitting<'_>, mut page: Shown) -> Shown {
    let live = page.html.split("data-live=\"").nth(1).unwrap();
    let live = live.split('"').next().unwrap().replace("&#38;", "&");
    let act = live.split("act=").nth(1).unwrap();
    let act = act.split('&').next().unwrap().to_owned();
    let request = sitting.door.request(Method::GET, &live);
    let mut stream = Stream::of(request.header("cookie", &sitting.cookie)).await;
    while page.says("it goes on") {
        let told = stream.next().await.expect("the stream goes on");
        let position = told.json()["position"].as_str().unwrap().to_owned();
        let path = format!("/desk/acts/{act}?at={position}");
        page = sitting.page(&path).await.expect(200);
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_decides_the_cases_as_they_were_seen_tells_which_had_moved_on_and_is_taken_back() {
    let door = with_cases().await;
    let (mia, max) = (sits(&door, "mia").await, sits(&door, "max").await);
    let queue = mia.page("/desk/queue?member=bob").await.expect(200);
    assert!(queue.html.contains("href=\"/desk/members/bob\""));
    let shown = mia.page("/desk/members/bob").await.expect(200);
    let cases = seen(&shown);
    assert_eq!(cases.len(), 3);
    assert!(shown.says("3 cases, as seen now"));
    assert!(!shown.html.contains("value=\"remove_messages\""));
    act(&door, id(&cases[1]), "claim").await;
    let sent = mia.fill(&shown, FORM, &filled(&cases)).await.expect(303);
    let again = mia.fill(&shown, FORM, &filled(&cases)).await.expect(303);
    let act_of = |shown: &Shown| shown.location().split('?').next().unwrap().to_owned();
    assert_eq!(act_of(&sent), act_of(&again), "sent twice it is done once");
    let page = mia.follow(&sent).await.expect(200);
    assert!(page.says("It is on record"));
    let page = finished(&mia, page).await;
    assert!(page.html.contains("<progress max=\"3\" value=\"3\""));
    assert!(
        page.says("2 of 3 decided; 1 had moved on:"),
        "{}",
        page.html
    );
    assert!(page.says("is held by another moderator"));
    assert!(
        page.html
            .contains(&format!("/desk/cases/{}", id(&cases[1])))
    );
    let refused = door.send("bob", "ann", "hello?").await;
    assert_eq!(refused.code(), "account_restricted");
    // What one holds oneself can be decided as well, what another holds is not offered.
    door.views_at_the_end().await;
    assert_eq!(seen(&mia.page("/desk/members/bob").await).len(), 0);
    assert_eq!(seen(&max.page("/desk/members/bob").await).len(), 1);

    let reverse = format!("{}/reverse", act_of(&sent));
    let bad = [("reason", "no code"), ("text", "We were wrong.")];
    let refused = max.fill(&page, &reverse, &bad).await;
    assert_eq!(refused.status, 403, "the form is mia's");
    let page = max.page(&act_of(&sent)).await.expect(200);
    let refused = max.fill(&page, &reverse, &bad).await.expect(400);
    assert_eq!(refused.field("reason"), "no code");
    assert_eq!(refused.field("text"), "We were wrong.");
    let good = [("reason", "mistake"), ("text", "We were wrong.")];
    let sent = max.fill(&refused, &reverse, &good).await;
    let page = max.follow(&sent).await.expect(200);
    let page = finished(&max, page).await;
    assert!(page.says("2 of 3 taken back"), "{}", page.html);
    assert!(page.says("We were wrong.") && !page.has_form(&reverse));
    let _ = door.send("bob", "ann", "thank you").await.expect(201);
}

#[tokio::test]
async fn what_was_refused_of_an_act_is_said_at_its_form_with_what_was_typed_and_chosen() {
    let door = with_cases().await;
    let mia = sits(&door, "mia").await;
    let shown = mia.page("/desk/members/bob").await.expect(200);
    let cases = seen(&shown);
    let (one, odd) = (
        &cases[..1],
        ["x".to_owned(), format!("{}:y", id(&cases[0]))],
    );
    let checked = |shown: &Shown| shown.html.matches("\" checked>").count();
    assert_eq!(checked(&shown), 3);
    for (chosen, change, status, words) in [
        (one, ("reason", "Not A Code"), 400, "1-64 characters"),
        (one, ("action", "remove_messages"), 422, ""),
        (one, ("action", ""), 400, "Choose what is done."),
        (one, ("text", " "), 422, ""),
        (one, ("until", "tomorrow"), 400, "a day and a time"),
        (&[], ("reason", "scam"), 422, ""),
        (&odd[..1], ("reason", "scam"), 400, "no case as it was seen"),
        (&odd[1..], ("reason", "scam"), 400, "no case as it was seen"),
    ] {
        let mut fields = filled(chosen);
        fields.retain(|(name, _)| *name != change.0);
        fields.push(change);
        let refused = mia.fill(&shown, FORM, &fields).await.expect(status);
        assert!(refused.says(words), "{change:?}: {}", refused.html);
        assert!(refused.html.contains("class=\"problem\""), "{change:?}");
        assert_eq!(refused.field("facts"), "Three messages.", "{change:?}");
        let boxes = refused.html.matches("type=\"checkbox\" id=\"case-").count();
        assert_eq!(boxes, 3);
        let of_cases = refused.html.split("name=\"cases\"").skip(1);
        let checked = of_cases.filter(|rest| rest.split('>').next().unwrap().ends_with("checked"));
        let still = usize::from(chosen.first().is_some_and(|case| case != "x"));
        assert_eq!(checked.count(), still, "{change:?} {chosen:?}");
    }
    let path = "/v1/moderation/queue?state=decided";
    let token = door.token("mia", &[Role::Moderator]);
    let queue = door.get(path, &token).await.json();
    assert_eq!(queue["items"], json!([]), "nothing was done");
}

#[tokio::test]
async fn only_who_may_decide_sees_the_pages_of_acts_and_there_are_none_of_nobodys() {
    let door = with_cases().await;
    let mia = sits(&door, "mia").await;
    let none = "/desk/acts/6ab4bcf1-95df-52b5-9a4e-0f7f0f0b7d10";
    for path in [none, "/desk/acts/x", "/desk/members/a%20b"] {
        let _ = mia.page(path).await.expect(404);
    }
    let nobody = mia.page("/desk/members/zoe").await.expect(200);
    assert!(nobody.says("waits that you could decide.") && seen(&nobody).is_empty());
    for (posted, to) in [
        (FORM, "/desk/members/bob"),
        (&*format!("{none}/reverse"), none),
    ] {
        assert_eq!(mia.page(posted).await.expect(303).location(), to);
    }
    let ada = Sitting::of(&door, &door.token("ada", &[Role::Auditor])).await;
    for path in [none, "/desk/members/bob"] {
        let _ = ada.page(path).await.expect(403);
    }
    let shown = mia.page("/desk/members/bob").await;
    let sent = ada.fill(&shown, FORM, &filled(&seen(&shown))).await;
    let _ = sent.expect(403);
}
