//! The desk changes when the log does: its stream tells a page that it has changed, and nothing else.

use api::{FollowOptions, Options, Role};
use reqwest::Method;
use serde_json::json;
use tests::api::{Door, Scene, Setting, reply};
use tests::pages::Sitting;
use tests::sse::Stream;

async fn report(door: &Door, cid: &str, number: u64) {
    let report = json!({"conversation_id": cid, "messages": [number], "category": "spam"});
    let _ = door
        .post("/v1/reports", &door.member("ann"), report)
        .await
        .expect(201);
}

/// The path of the stream that a page is told to follow.
fn live(html: &str) -> String {
    let rest = html.split("data-live=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().replace("&#38;", "&")
}

async fn follow(door: &Door, sitting: &Sitting<'_>, path: &str) -> Stream {
    let request = door
        .request(Method::GET, path)
        .header("cookie", &sitting.cookie);
    Stream::of(request).await
}

/// The next that is told, as its position.
async fn told(stream: &mut Stream) -> String {
    let said = stream.next().await.expect("the stream goes on");
    assert_eq!(said.event, "changed");
    let position = said.json()["position"].as_str().unwrap().to_owned();
    assert_eq!(said.id.as_deref(), Some(&*position));
    position
}

/// A door with a case about bob, and its id.
async fn with_case() -> (Door, String) {
    let Scene { door, cid } = Scene::open().await;
    report(&door, &cid, 1).await;
    door.views_at_the_end().await;
    let token = door.token("max", &[Role::Moderator]);
    let queue = door.get("/v1/moderation/queue", &token).await.json();
    let case = queue["items"][0]["case_id"].as_str().unwrap().to_owned();
    (door, case)
}

/// What max does with a case, and the position that it reached.
async fn act(door: &Door, case: &str, act: &str) -> String {
    let token = door.token("max", &[Role::Moderator]);
    let path = format!("/v1/moderation/cases/{case}/{act}");
    let body = if act == "notes" {
        json!({"text": "x"})
    } else {
        json!(null)
    };
    door.post(&path, &token, body).await.expect(200).position()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_told_what_comes_from_the_moment_it_was_shown() {
    let Scene { door, cid } = Scene::open().await;
    let mia = Sitting::of(&door, &door.token("mia", &[Role::Moderator])).await;
    let queue = mia.page("/desk/queue").await;
    assert!(queue.says("No case waits."));
    // Between the page and its stream.
    report(&door, &cid, 1).await;
    let mut stream = follow(&door, &mia, &live(&queue.html)).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    let position = told(&mut stream).await;
    let fresh = mia.page(&format!("/desk/queue?at={position}")).await;
    let case = fresh.html.split("href=\"/desk/cases/").nth(1).unwrap();
    let case = case.split('"').next().unwrap().to_owned();
    // The reactor's own events are changes as well; they are told before what comes after them.
    let claimed = act(&door, &case, "claim").await;
    while told(&mut stream).await != claimed {}
    let fresh = mia.page(&format!("/desk/queue?at={claimed}")).await;
    assert!(fresh.html.contains("Held by <bdi>max</bdi>"));
    // Going on after what was told last tells of nothing twice.
    drop(stream);
    let mut again = follow(&door, &mia, &format!("/desk/live?after={claimed}")).await;
    let released = act(&door, &case, "release").await;
    assert_eq!(told(&mut again).await, released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_told_of_itself_and_not_that_somebody_looks_at_it() {
    let (door, case) = with_case().await;
    for member in ["eve", "dan"] {
        door.register(member).await;
    }
    let mia = Sitting::of(&door, &door.token("mia", &[Role::Moderator])).await;
    let page = mia.page(&format!("/desk/cases/{case}")).await.expect(200);
    assert!(page.html.contains("data-changed hidden"));
    let mut stream = follow(&door, &mia, &live(&page.html)).await;
    for _ in 0..3 {
        let _ = mia.page(&format!("/desk/cases/{case}")).await.expect(200);
    }
    let cid = door.sent("eve", "ann", "hi").await;
    report(&door, &cid, 1).await;
    let _ = door.position().await;
    let noted = act(&door, &case, "notes").await;
    assert_eq!(told(&mut stream).await, noted);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_are_told_together() {
    let (door, case) = with_case().await;
    let _ = door.position().await;
    let mia = Sitting::of(&door, &door.token("mia", &[Role::Moderator])).await;
    let page = mia.page(&format!("/desk/cases/{case}")).await.expect(200);
    let mut stream = follow(&door, &mia, &live(&page.html)).await;
    let started = std::time::Instant::now();
    let mut last = String::new();
    for _ in 0..40 {
        last = act(&door, &case, "notes").await;
    }
    let mut times = 1;
    while told(&mut stream).await != last {
        times += 1;
    }
    let apart = started.elapsed().as_millis() / 500;
    assert!(times <= apart + 2, "{times} in {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_has_so_many_streams_at_once_and_a_stop_ends_them_with_a_word() {
    let mut door = Door::open_with(Setting {
        api: Options {
            follow: FollowOptions {
                feeds_per_member_max: 2,
                ..FollowOptions::default()
            },
            ..Options::default()
        },
        ..Setting::default()
    })
    .await;
    let cookie = {
        let mia = Sitting::of(&door, &door.token("mia", &[Role::Moderator])).await;
        mia.cookie
    };
    let open = |door: &Door| {
        door.request(Method::GET, "/desk/live")
            .header("cookie", &cookie)
    };
    let mut one = Stream::of(open(&door)).await;
    let _two = Stream::of(open(&door)).await;
    assert_eq!(
        reply(open(&door)).await.failure(),
        (429, "rate_limited".to_owned())
    );
    for bad in ["after=x", "after=1", "after=%ff"] {
        let request = door
            .request(Method::GET, &format!("/desk/live?{bad}"))
            .header("cookie", &cookie);
        assert_eq!(
            reply(request).await.failure(),
            (400, "invalid_query".to_owned())
        );
    }
    door.begin_stop();
    assert_eq!(one.next().await.unwrap().event, "end");
    assert_eq!(one.next().await, None);
}
