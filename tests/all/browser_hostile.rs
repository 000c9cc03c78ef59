//! Texts and names that a page may trip over, on the pages of acts on many cases, the logs and the figures, in a real browser: all
//! of it shows as text and breaks no layout.

use api::Role;
use serde_json::{Value, json};
use tests::api::Door;
use tests::browser::{Browser, Scheme, keys};
use tests::trial::hostile_texts;

/// A door with a case about the longest name there is, by another as long.
struct Scene {
    door: Door,
    member: String,
    case: String,
    token: String,
}

impl Scene {
    async fn open() -> Self {
        let door = Door::open().await;
        let (member, reporter) = ("W".repeat(128), "m".repeat(128));
        for id in [&member, &reporter] {
            door.register(id).await;
        }
        door.audience(&reporter, "everyone").await;
        let cid = door.sent(&member, &reporter, "buy").await;
        let report = json!({"conversation_id": cid, "messages": [1], "category": "illegal_goods"});
        let _ = door
            .post("/v1/reports", &door.member(&reporter), report)
            .await
            .expect(201);
        door.views_at_the_end().await;
        // Whoever sits there may read all of the pages, and has a name as long as any.
        let token = door.token(&"M".repeat(128), &[Role::Moderator, Role::Auditor]);
        let queue = door.get("/v1/moderation/queue", &token).await.json();
        let case = queue["items"][0]["case_id"].as_str().unwrap().to_owned();
        Scene {
            door,
            member,
            case,
            token,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.door.address)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let reply = self.door.post(path, &self.token, body).await;
        let told = reply.expect(200).json();
        self.door.views_at_the_end().await;
        told
    }

    /// Decides the case by an act, or passes it over, for a reason as long as any.
    async fn act(&self, text: &str) -> String {
        let body = json!({"cases": [{"case_id": self.case, "revision": 1}], "action": "warn",
            "reason": "w".repeat(64), "text": text, "facts": text});
        let path = format!("/v1/moderation/members/{}/decisions", self.member);
        let told = self.post(&path, body).await;
        told["act_id"].as_str().unwrap().to_owned()
    }
}

const SAID: &str = "return [...document.querySelectorAll('main .said')].map(e => e.textContent)";

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_typed_shows_as_text_on_the_pages_of_acts_logs_and_figures() {
    let scene = Scene::open().await;
    let texts = hostile_texts();
    let browser = Browser::open().await;
    browser.go(&scene.url("/desk")).await;
    browser.fill("#token", &scene.token).await;
    browser.click("form.sheet button").await;
    browser.until_there("#queue .case").await;
    browser.look(360, Scheme::Light).await;
    browser.fits().await;

    // The form of many cases comes back with what was typed.
    let form = format!("/desk/members/{}", scene.member);
    browser.go(&scene.url(&form)).await;
    browser.until_there("input[name=cases]").await;
    browser.provokes(422);
    browser.click("#action-limit").await;
    browser.fill("#reason", &"w".repeat(64)).await;
    let [markup, .., letters, marks] = &texts[..] else {
        unreachable!()
    };
    browser.fill("#text", markup).await;
    browser.fill("#facts", letters).await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_there("#problem").await;
    let typed = "return ['text', 'facts'].map(id => document.getElementById(id).value)";
    assert_eq!(browser.script(typed).await, json!([markup, letters]));
    browser.pictures("desk-many-hostile").await;

    // The first decides the case, the others pass it over; each is on record with its texts.
    let mut acts = Vec::new();
    for text in &texts {
        acts.push(scene.act(text).await);
    }
    for (act, text) in acts.iter().zip(&texts) {
        browser.go(&scene.url(&format!("/desk/acts/{act}"))).await;
        browser.until_there("progress").await;
        assert_eq!(browser.script(SAID).await, json!([text, text]));
        browser.look(360, Scheme::Dark).await;
        browser.fits().await;
        browser
            .until("document.title.startsWith('Act on cases')")
            .await;
    }
    let why = json!({"reason": "w".repeat(64), "text": markup});
    let path = format!("/v1/moderation/acts/{}/reverse", acts[0]);
    let _ = scene.post(&path, why).await;
    browser
        .go(&scene.url(&format!("/desk/acts/{}", acts[0])))
        .await;
    browser.until_says("main", "1 of 1 taken back").await;
    browser.pictures("desk-act-hostile").await;
    assert!(marks.len() > 8_000);

    let purpose = "p".repeat(64);
    let ledger = format!("/desk/ledger?member={}&purpose={purpose}", scene.member);
    let _ = scene
        .door
        .get(
            &format!(
                "/v1/moderation/cases/{}?purpose={}",
                scene.case,
                "q".repeat(64)
            ),
            &scene.token,
        )
        .await
        .expect(200);
    scene.door.views_at_the_end().await;
    for (path, there, name) in [
        ("/desk/log", "W".repeat(128), "desk-log-hostile"),
        (&ledger, "q".repeat(64), "desk-ledger-hostile"),
        ("/desk/figures", "w".repeat(64), "desk-figures-hostile"),
    ] {
        browser.go(&scene.url(path)).await;
        browser.until_says("main", &there).await;
        browser.pictures(name).await;
    }
    // What is asked for is no less hostile than what is typed.
    browser.provokes(400);
    for text in &texts[..5] {
        for (path, field) in [
            ("ledger", "member"),
            ("queue", "member"),
            ("figures", "from"),
        ] {
            let script = format!(
                "location.assign('/desk/{path}?' + new URLSearchParams({{{field}: {}}}))",
                tests::browser::quoted(text)
            );
            browser.script(&script).await;
            browser
                .until(&format!(
                    "location.pathname === '/desk/{path}' && location.search && document.getElementById('problem')"
                ))
                .await;
            browser.look(360, Scheme::Light).await;
            browser.fits().await;
        }
    }
    browser.until("document.title.startsWith('Figures')").await;
    browser.is_sound().await;
}
