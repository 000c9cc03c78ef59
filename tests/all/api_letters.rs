//! `/v1/views/{name}/letters`: what a view cannot apply, told, tried again and done without; and what an auditor is told
//! meanwhile. The event is one that the real store holds and nobody can read.

use api::Role;
use projections::ViewName;
use serde_json::{Value, json};
use tests::api::{Door, Reply};
use tests::commands::{appends_of, log};
use tests::sse::Stream;

/// A service over whose log bob wrote to ann; then she read that, which nobody can read in the log, and he wrote again.
/// Cat wrote to her meanwhile.
struct Unreadable {
    door: Door,
    /// The stream of the two.
    stream: String,
    /// The version there of what cannot be read.
    version: u64,
    /// The position before bob's second message.
    beginning: String,
}

impl Unreadable {
    async fn open() -> Self {
        let (door, other) = (Door::open().await, Door::open().await);
        for door in [&door, &other] {
            for member in ["ann", "bob", "cat"] {
                door.register(member).await;
            }
            door.sent("bob", "ann", "first").await;
        }
        let (ann, cid) = (
            other.member("ann"),
            other.sent("bob", "ann", "second").await,
        );
        let before = log(&*other.store).await.len();
        let read = format!("/v1/conversations/{cid}/read");
        let _ = other
            .put(&read, &ann, json!({"up_to": 1}))
            .await
            .expect(200);
        other.sent("bob", "ann", "third").await;
        let mut appends = appends_of(&log(&*other.store).await[before..]);
        appends.retain(|append| append.stream.category() == "conversation");
        door.views_at_the_end().await;
        let beginning = door.get("/v1/inbox", &door.member("ann")).await.position();
        door.sent("bob", "ann", "second").await;
        let version = appends[0].expected.next();
        appends[0].events[0].data = b"{}".as_slice().into();
        let stream = appends[0].stream.to_string();
        for append in appends {
            let ticket = door.store.append(append).await.unwrap();
            ticket.durable().await.unwrap();
        }
        door.sent("cat", "ann", "hello").await;
        door.views_at_the_end().await;
        Self {
            door,
            stream,
            version,
            beginning,
        }
    }

    fn operator(&self) -> String {
        self.door.token("otto", &[Role::Operator])
    }

    async fn letters(&self, view: &str) -> Vec<Value> {
        let path = format!("/v1/views/{view}/letters");
        let answer = self.door.get(&path, &self.operator()).await.expect(200);
        answer.json()["items"].as_array().unwrap().clone()
    }

    async fn asks(&self, view: &str, what: &str, body: Value) -> Reply {
        let path = format!("/v1/views/{view}/letters/{what}");
        self.door.post(&path, &self.operator(), body).await
    }

    fn skip(&self) -> Value {
        json!({"stream": self.stream, "version": self.version, "reason": "unreadable", "text": "As agreed."})
    }

    /// What ann's requests say of bob's: number of the last message, how many wait; and how many requests she has.
    async fn seen(&self) -> (Value, Value, usize) {
        let ann = self.door.member("ann");
        let requests = self.door.get("/v1/requests", &ann).await.expect(200).json();
        let items = requests["items"].as_array().unwrap();
        let bobs = items.iter().find(|item| item["with"] == "bob").unwrap();
        (
            bobs["last_message"]["number"].clone(),
            bobs["messages"].clone(),
            items.len(),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_belongs_to_an_event_that_cannot_be_applied_waits_until_an_operator_has_the_view_do_without_it()
 {
    let at = Unreadable::open().await;
    let (first, second) = (at.version, at.version + 1);
    for view in ["inbox", "requests", "unread", "feed"] {
        let letters = at.letters(view).await;
        let told: Vec<_> = letters
            .iter()
            .map(|letter| (&letter["state"], &letter["version"], &letter["type"]))
            .collect();
        assert_eq!(
            told,
            [
                (&json!("failed"), &json!(first), &json!("read-marked.v1")),
                (&json!("waiting"), &json!(second), &json!("message-sent.v1")),
            ],
            "{view}"
        );
        assert!(letters.iter().all(|letter| letter["stream"] == *at.stream));
        assert!(
            letters[0]["cause"]
                .as_str()
                .unwrap()
                .contains("missing field")
        );
        assert_eq!(letters[1]["cause"], Value::Null);
    }
    assert_eq!(
        at.letters("conversation").await,
        [] as [Value; 0],
        "it wants no read marks"
    );
    // Bob's second message is the last one known, cat's came through.
    assert_eq!(at.seen().await, (json!(2), json!(2), 2));
    let views = at.door.get("/v1/views", &at.operator()).await.json();
    let item = |name: &str| {
        let mut items = views["items"].as_array().unwrap().iter();
        items.find(|item| item["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (&item("inbox")["failed"], &item("inbox")["waiting"]),
        (&json!(1), &json!(1))
    );
    // Page by page.
    let page = at
        .door
        .get("/v1/views/inbox/letters?limit=1", &at.operator())
        .await
        .json();
    assert_eq!(page["items"][0]["version"], first);
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("/v1/views/inbox/letters?limit=1&cursor={cursor}");
    let page = at.door.get(&path, &at.operator()).await.json();
    assert_eq!(
        (&page["items"][0]["version"], &page["next_cursor"]),
        (&json!(second), &Value::Null)
    );

    // Tried again it fails again, and nothing is written.
    let before = log(&*at.door.store).await.len();
    let came = at
        .asks("inbox", "retry", Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(
        [
            &came["applied"],
            &came["failed"],
            &came["left_failed"],
            &came["left_waiting"]
        ],
        [&json!(0), &json!(1), &json!(1), &json!(1)]
    );
    let one = format!("retry?stream={}&version={first}", at.stream);
    let came = at.asks("inbox", &one, Value::Null).await.expect(200).json();
    assert_eq!(came["failed"], 1);
    assert_eq!(log(&*at.door.store).await.len(), before);

    // Once the log says so, the view does without; the command, given again, takes effect once.
    let path = "/v1/views/requests/letters/skip";
    let skip = || {
        let request = at
            .door
            .request(reqwest::Method::POST, path)
            .bearer_auth(at.operator());
        request.header("Idempotency-Key", "skip-1").json(&at.skip())
    };
    let left = tests::api::reply(skip()).await.expect(200).json();
    assert_eq!([&left["left_failed"], &left["left_waiting"]], [0, 0]);
    let again = tests::api::reply(skip()).await.expect(200).json();
    assert_eq!(again["position"], left["position"]);
    // So it is with a key of its own: it was so already, and is not written again.
    let other = at.asks("requests", "skip", at.skip()).await.expect(200);
    assert_eq!(other.json()["position"], left["position"]);
    let events = log(&*at.door.store).await;
    assert_eq!(events.len(), before + 1);
    let told = events.last().unwrap();
    assert_eq!(
        (told.stream(), told.event_type()),
        ("act-view/requests", "act-event-skipped.v1")
    );
    let data: Value = serde_json::from_slice(told.data()).unwrap();
    assert_eq!(
        data,
        json!({"by": "otto", "view": "requests", "view_version": 3, "stream": at.stream, "version": first, "reason": "unreadable", "text": "As agreed."})
    );
    assert_eq!(at.seen().await, (json!(3), json!(3), 2));
    assert_eq!(at.letters("requests").await, [] as [Value; 0]);
    assert_eq!(at.letters("inbox").await.len(), 2, "each view for itself");

    for view in ["inbox", "unread", "feed"] {
        let _ = at.asks(view, "skip", at.skip()).await.expect(200);
    }
    let _ = at.door.get("/readyz", "").await.expect(200);

    // It holds over a restart, and for whoever folds the log anew.
    let dir = at.door.stop().await;
    let door = Door::serve_again(dir).await;
    for view in [
        ViewName::Inbox,
        ViewName::Requests,
        ViewName::Unread,
        ViewName::Feed,
    ] {
        assert!(
            door.reads
                .runner()
                .verify(view.as_str())
                .await
                .unwrap()
                .equal(),
            "{view}"
        );
        door.reads.runner().rebuild(view.as_str()).await.unwrap();
        assert_eq!(door.reads.set_aside(view), projections::SetAside::default());
    }
    let requests = door.list("/v1/requests", "ann").await;
    let items = requests["items"].as_array().unwrap();
    assert!(
        items.iter().any(|item| item["last_message"]["number"] == 3),
        "{requests}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_tried_again_nor_done_without_is_told_and_changes_nothing() {
    let at = Unreadable::open().await;
    let before = log(&*at.door.store).await.len();
    let event =
        |version: u64| json!({"stream": at.stream, "version": version, "reason": "unreadable"});
    let waiting = at.version + 1;
    let of = |version: u64| format!("retry?stream={}&version={version}", at.stream);
    let mut long = event(at.version);
    long["text"] = json!("x".repeat(2_001));
    for (what, body, failure) in [
        ("skip", event(waiting), (409, "event_waits")),
        (&of(waiting), Value::Null, (409, "event_waits")),
        ("skip", event(0), (404, "not_found")),
        (&of(0), Value::Null, (404, "not_found")),
        ("retry?version=3", Value::Null, (400, "invalid_query")),
        (
            "retry?stream=conversation-1",
            Value::Null,
            (400, "invalid_query"),
        ),
        ("skip", long, (400, "invalid_body")),
        (
            "skip",
            json!({"stream": at.stream, "version": at.version}),
            (400, "invalid_body"),
        ),
        (
            "skip",
            json!({"stream": at.stream, "version": at.version, "reason": "Not One"}),
            (400, "invalid_body"),
        ),
    ] {
        let refused = at.asks("inbox", what, body).await;
        assert_eq!(
            refused.failure(),
            (failure.0, failure.1.to_owned()),
            "{what}"
        );
    }
    for what in ["skip", "retry"] {
        let body = if what == "skip" {
            event(at.version)
        } else {
            Value::Null
        };
        assert_eq!(at.asks("outbox", what, body).await.failure().0, 404);
    }
    for limit in ["0", "201"] {
        let path = format!("/v1/views/inbox/letters?limit={limit}");
        assert_eq!(at.door.get(&path, &at.operator()).await.failure().0, 400);
    }
    let auditor = at.door.token("ada", &[Role::Auditor]);
    assert_eq!(
        at.door
            .get("/v1/views/inbox/letters", &auditor)
            .await
            .failure()
            .0,
        403
    );
    assert_eq!(at.letters("inbox").await.len(), 2);
    assert_eq!(log(&*at.door.store).await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_is_told_that_the_past_cannot_be_told_whole_until_the_view_does_without() {
    let at = Unreadable::open().await;
    let auditor = at.door.token("ada", &[Role::Auditor]);
    let asked = async |what: &str| {
        at.door
            .get(&format!("/v1/audit/members/ann/{what}"), &auditor)
            .await
    };
    let refused = asked("requests").await;
    assert_eq!(refused.failure(), (409, "audit_incomplete".to_owned()));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains(&at.stream) && detail.contains("requests"),
        "{detail}"
    );
    let _ = asked("dm-setting").await.expect(200);
    let _ = at.asks("requests", "skip", at.skip()).await.expect(200);
    let requests = asked("requests").await.expect(200).json();
    let items = requests["items"].as_array().unwrap();
    assert!(
        items.iter().any(|item| item["last_message"]["number"] == 3),
        "{requests}"
    );
    assert_eq!(
        asked("inbox").await.failure().1,
        "audit_incomplete",
        "another view"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_feed_is_held_up_by_what_concerns_them_and_goes_on_where_it_was_and_nobody_elses_is()
 {
    let at = Unreadable::open().await;
    let follow = async |member: &str, after: &str| {
        let path = format!("/v1/me/feed?after={after}");
        let request = at.door.request(reqwest::Method::GET, &path);
        let request = request.bearer_auth(at.door.member(member));
        Stream::of(request.header("accept", "text/event-stream")).await
    };
    let mut cat = follow("cat", &at.beginning).await;
    let mut ann = follow("ann", &at.beginning).await;
    let conversation = at.stream.strip_prefix("conversation-").unwrap();
    assert_eq!(cat.next().await.unwrap().event, "inbox", "her own message");
    // Whose requests changed, one change after the other.
    let mut of_requests = async || {
        loop {
            let said = ann.next().await.expect("the feed goes on");
            if said.event == "requests" {
                return said.json()["conversation_id"].clone();
            }
        }
    };
    assert_eq!(of_requests().await, conversation, "by the second message");
    let _ = at.asks("feed", "skip", at.skip()).await.expect(200);
    assert_eq!(of_requests().await, conversation, "by the third");
    assert_ne!(of_requests().await, conversation, "and then by cat's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_auditor_is_told_from_the_log_itself_names_the_event_that_cannot_be_read() {
    let at = Unreadable::open().await;
    let auditor = at.door.token("ada", &[Role::Auditor]);
    let refused = async |path: &str, asked: &str| {
        let path = format!("/v1/audit/{path}");
        let refused = at.door.get(&path, &auditor).await;
        let failure = (409, "audit_incomplete".to_owned());
        assert_eq!(refused.failure(), failure, "{path}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        let event = format!(
            "`{asked}` cannot apply the event {} of {}",
            at.version, at.stream
        );
        assert!(detail.starts_with(&event), "{path}: {detail}");
    };
    let cid = at.stream.strip_prefix("conversation-").unwrap();
    refused("members/ann/timeline", "timeline").await;
    refused(&format!("conversations/{cid}/relationship"), "relationship").await;
    refused(&format!("conversations/{cid}/explain?number=1"), "explain").await;
    // What happened before it is told, and of whom it does not concern all is.
    let events = log(&*at.door.store).await;
    let mut unread = events.iter().filter(|event| event.stream() == at.stream);
    let unread = unread.find(|event| event.version() == at.version).unwrap();
    let before = unread.position().0 - 1;
    let begun = format!("/v1/audit/members/ann/timeline?as_of={before}");
    for path in [&begun, "/v1/audit/members/cat/timeline"] {
        let _ = at.door.get(path, &auditor).await.expect(200);
    }
    // The views do without it; what came between two moments is still read from the log.
    for view in ["inbox", "requests", "unread"] {
        let _ = at.asks(view, "skip", at.skip()).await.expect(200);
    }
    let end = at.door.position().await;
    let between = format!("members/ann/diff?from={before}&to={end}");
    refused(&between, "diff").await;
}

#[test]
fn the_views_that_stop_at_the_first_event_are_those_that_the_document_names() {
    let views = projections::views();
    let stopping = views.iter().filter(|view| view.letters_max() == 0);
    let names: Vec<String> = stopping.map(|view| format!("`{}`", view.name())).collect();
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let told = &document["paths"]["/v1/views/{name}/letters"]["get"]["description"];
    let words = format!(
        "or, of {}, whose rows are an order over the whole log, the first.",
        names.join(" and ")
    );
    assert!(told.as_str().unwrap().contains(&words), "{told}");
}
