//! Ten thousand open cases in a real browser: the queue's first page is there whole.
//!
//! The reports are appended as events, past the write side, whose reactors would take longer than the page is worth: the view
//! makes each case of its report alone. How long the page took to load is no matter of passing; it is kept beside the pictures.

use std::time::Duration;

use api::Role;
use domain::case::Category;
use domain::conversation::{self, Also, MessagesReported, ReportedMessage};
use domain::event::Event;
use domain::ids::ReportId;
use domain::time::Timestamp;
use event_store::{Append, ExpectedVersion, Members, NewEvent, StreamName};
use projections::ViewName;
use serde_json::{Value, json};
use tests::api::{Door, Setting};
use tests::browser::Browser;
use tests::views::{conversation_of, id};
use uuid::Uuid;

/// Open cases: of a thousand members, by ten reporters each.
const CASES: u64 = 10_000;
const REPORTERS: u64 = 10;
/// Members whom the same ten report.
const REPORTED: u64 = 40;
/// Cases of a page.
const ITEMS: u64 = 25;

/// The report that makes a case.
fn report(case: u64, at_ms: i64) -> (StreamName, NewEvent) {
    let by = case / REPORTERS;
    let member = id(&format!("m{by}"));
    let group = by / REPORTED * REPORTERS + case % REPORTERS;
    let reporter = id(&format!("r{group}"));
    let reported = MessagesReported {
        report_id: ReportId(Uuid::from_u64_pair(1, case)),
        reporter: reporter.clone(),
        reported: member.clone(),
        category: Category::ALL[usize::try_from(case).unwrap() % Category::ALL.len()],
        comment: String::new().into(),
        messages: vec![ReportedMessage {
            number: 1,
            sent_at: Timestamp(at_ms),
            text: "buy now".to_owned().into(),
        }],
        over_limit: false,
        also: Also::None,
        also_outcome: None,
        policy_version: 0,
    };
    let stream = conversation::stream(conversation_of(member.as_str(), reporter.as_str()));
    let event = Event::Conversation(conversation::Event::MessagesReported(reported));
    let new = NewEvent {
        event_id: Uuid::from_u64_pair(2, case),
        event_type: domain::codec::event_type(&event).into(),
        at_ms,
        command_id: format!("report-{case}").into(),
        correlation_id: Uuid::from_u64_pair(3, case),
        causation_id: Uuid::from_u64_pair(4, case),
        actor: reporter.as_arc().clone(),
        members: Members::two(member.as_arc().clone(), reporter.as_arc().clone()),
        last_number: Some(1),
        data: domain::codec::encode(&event).into(),
    };
    (StreamName::new(stream).unwrap(), new)
}

/// A door with that many open cases.
async fn door() -> Door {
    let door = Door::open_with(Setting {
        // Reactors run between commands alone, and there are none.
        commands: |options| options.mode = commands::Mode::Import,
        ..Setting::default()
    })
    .await;
    let at_ms = commands::Clock::now(&commands::SystemClock).as_millis();
    let mut last = None;
    for case in 0..CASES {
        let (stream, event) = report(case, at_ms);
        let append = Append {
            stream,
            expected: ExpectedVersion::NoStream,
            events: vec![event],
            reads: Vec::new(),
        };
        last = Some(door.store.append(append).await.unwrap());
    }
    let end = last.unwrap().durable().await.unwrap();
    let view = ViewName::ModerationQueue;
    door.reads
        .wait(view, end, Duration::from_mins(5))
        .await
        .unwrap();
    door
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_of_ten_thousand_open_cases_is_there_whole() {
    let door = door().await;
    let token = door.token("mia", &[Role::Moderator]);
    let first = door
        .get(&format!("/v1/moderation/queue?limit={ITEMS}"), &token)
        .await
        .expect(200)
        .json();
    let cases: Vec<&str> = first["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["case_id"].as_str().unwrap())
        .collect();
    assert_eq!(cases.len() as u64, ITEMS);
    let browser = Browser::open().await;
    browser.go(&format!("http://{}/desk", door.address)).await;
    browser.fill("#token", &token).await;
    browser.click("form.sheet button").await;
    browser.until_there("#queue .case").await;
    // The page is loaded anew, so that what it took is the queue's and not the sign-in's.
    browser
        .go(&format!("http://{}/desk/queue", door.address))
        .await;
    browser.until_there("#queue a[rel=next]").await;
    let links = "return [...document.querySelectorAll('#queue .case .open')].map(e => e.getAttribute('href'))";
    let expected: Vec<String> = cases.iter().map(|id| format!("/desk/cases/{id}")).collect();
    assert_eq!(browser.script(links).await, json!(expected));
    for part in ["h3", ".tags", "time", ".quiet", ".many", "form button"] {
        let each = format!(
            "return [...document.querySelectorAll('#queue .case')].every(e => e.querySelector('{part}')?.offsetHeight > 0)"
        );
        assert_eq!(browser.script(&each).await, json!(true), "{part}");
    }
    assert_eq!(
        browser.text("#count-open").await,
        format!("held by nobody {CASES}")
    );
    let took = "const [of] = performance.getEntriesByType('navigation');
        return {answered_ms: of.responseEnd - of.requestStart, loaded_ms: of.loadEventEnd - of.startTime}";
    let took: Value = browser.script(took).await;
    let what = json!({"open_cases": CASES, "first_page": took});
    browser.keeps("desk-queue-ten-thousand", &what);
    browser.pictures("desk-queue-ten-thousand").await;
    // The second page goes on where the first one ends.
    browser.click("#queue a[rel=next]").await;
    browser.until_says("#queue", "Further cases").await;
    let next = browser.script(links).await;
    let next = next.as_array().unwrap();
    assert_eq!(next.len() as u64, ITEMS);
    assert!(
        next.iter()
            .all(|link| !expected.iter().any(|first| link == first))
    );
    browser.is_sound().await;
}
