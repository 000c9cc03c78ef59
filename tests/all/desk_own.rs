//! What concerns whoever sits at the desk: a moderator who is a member of a conversation is told of no case in it, at either
//! door, by no number and no change.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply};
use tests::pages::{Shown, Sitting};
use tests::sse::Stream;

use crate::desk_queue::reported;

/// A door where mia, who moderates, was reported by ann, reported bob, and has nothing to do with what ann reported of him.
async fn door() -> Door {
    let door = Door::open().await;
    for member in ["ann", "bob", "mia"] {
        door.register(member).await;
        door.audience(member, "everyone").await;
    }
    reported(&door, "mia", "ann", "violence").await;
    reported(&door, "bob", "mia", "hate").await;
    reported(&door, "bob", "ann", "spam").await;
    door
}

fn token(door: &Door, sub: &str) -> String {
    door.token(sub, &[Role::Moderator, Role::Member])
}

async fn asked(door: &Door, sub: &str, path: &str) -> Value {
    let reply = door.get(path, &token(door, sub)).await;
    reply.expect(200).json()
}

/// The cases of a page of the queue, in order.
fn cases(shown: &Shown) -> Vec<String> {
    let links = shown.html.split(" href=\"/desk/cases/").skip(1);
    links
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

/// The queue of the interface, one case a page.
async fn queue(door: &Door, sub: &str, filter: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/moderation/queue?limit=1{filter}{cursor}");
        let page = asked(door, sub, &path).await;
        items.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else {
            return items;
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_moderators_queue_has_none_of_their_own_cases_at_either_door() {
    let door = door().await;
    let all = queue(&door, "max", "").await;
    assert_eq!(all.len(), 3);
    let own = queue(&door, "mia", "").await;
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["categories"], json!(["spam"]));
    for (filter, count) in [
        ("&state=open", 1),
        ("&member=mia", 0),
        ("&member=bob", 1),
        ("&category=violence", 0),
        ("&category=hate", 0),
        ("&sort=newest", 1),
        ("&sort=oldest&state=open", 1),
    ] {
        assert_eq!(queue(&door, "mia", filter).await.len(), count, "{filter}");
    }
    let mia = Sitting::of(&door, &token(&door, "mia")).await;
    let max = Sitting::of(&door, &token(&door, "max")).await;
    let case = own[0]["case_id"].as_str().unwrap();
    assert_eq!(cases(&mia.page("/desk/queue").await), [case]);
    assert_eq!(cases(&max.page("/desk/queue").await).len(), 3);
    assert!(cases(&mia.page("/desk/queue?member=mia").await).is_empty());
    assert_eq!(cases(&mia.page("/desk/queue?member=bob").await), [case]);
    // Nor are they offered for deciding at once, where the act would pass them over.
    let boxes = |shown: &Shown| shown.html.matches("name=\"cases\"").count();
    let own = mia.page("/desk/members/mia").await.expect(200);
    assert!(own.says("waits that you could decide.") && boxes(&own) == 0);
    assert_eq!(boxes(&mia.page("/desk/members/bob").await), 1);
    assert_eq!(boxes(&max.page("/desk/members/bob").await), 2);
    assert_eq!(boxes(&max.page("/desk/members/mia").await), 1);
}

#[tokio::test]
async fn no_number_of_the_queue_counts_the_cases_of_who_asks() {
    let door = door().await;
    let path = "/v1/moderation/queue/counts";
    let before = asked(&door, "mia", path).await;
    assert_eq!(before["unclaimed"], 1);
    let of = |counts: &Value, category: &str| -> u64 {
        let mut of = counts["categories"].as_array().unwrap().iter();
        let of = of.find(|of| of["category"] == category).unwrap();
        of["cases"].as_u64().unwrap()
    };
    let kinds = ["violence", "hate", "spam"];
    assert_eq!(kinds.map(|kind| of(&before, kind)), [0, 0, 1]);
    let all = asked(&door, "max", path).await;
    assert_eq!(all["unclaimed"], 3);
    assert_eq!(kinds.map(|kind| of(&all, kind)), [1, 1, 1]);
    let mia = Sitting::of(&door, &token(&door, "mia")).await;
    let shown = mia.page("/desk/queue").await.expect(200);
    assert!(shown.html.contains("id=\"count-spam\""));
    assert!(!shown.html.contains("id=\"count-violence\"") && !shown.html.contains("count-hate"));
    // Whatever becomes of them.
    let all = queue(&door, "max", "&member=mia").await;
    let case = all[0]["case_id"].as_str().unwrap();
    let claim = claim(&door, case).await;
    let path = format!("{path}?min_position={}", claim.position());
    assert_eq!(asked(&door, "mia", &path).await, before);
    assert_eq!(asked(&door, "max", &path).await["mine"], 1);
}

/// Max claims a case.
async fn claim(door: &Door, case: &str) -> Reply {
    let path = format!("/v1/moderation/cases/{case}/claim");
    let reply = door.post(&path, &token(door, "max"), Value::Null).await;
    let reply = reply.expect(200);
    door.views_at_the_end().await;
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_happens_to_ones_own_case_is_told_to_the_pages_that_one_looks_at() {
    let mut door = door().await;
    let mia = Sitting::of(&door, &token(&door, "mia")).await;
    let shown = mia.page("/desk/queue").await.expect(200);
    let cookie = mia.cookie;
    let live = shown.html.split("data-live=\"").nth(1).unwrap();
    let live = live.split('"').next().unwrap().replace("&#38;", "&");
    let case = |cases: &[Value], category: &str| -> String {
        let mut cases = cases.iter();
        let case = cases.find(|case| case["categories"] == json!([category]));
        case.unwrap()["case_id"].as_str().unwrap().to_owned()
    };
    let all = queue(&door, "max", "").await;
    let (own, others) = (case(&all, "violence"), case(&all, "spam"));
    let _ = claim(&door, &own).await;
    // Told from the moment at which the page was shown: of what came since, the first is what is not hers.
    let follow = async |path: &str| {
        let request = door.request(Method::GET, path);
        Stream::of(request.header("cookie", &cookie)).await
    };
    let mut stream = follow(&live).await;
    let mut of_case = follow(&format!("{live}&case={own}")).await;
    let claimed = claim(&door, &others).await.position();
    let told = stream.next().await.expect("the stream goes on");
    assert_eq!(told.json()["position"], json!(claimed));
    // By the case's own id no more is told; what ends the stream comes first.
    door.begin_stop();
    let end = of_case.next().await.expect("the stream says why it ends");
    assert_eq!(end.event, "end");
}
