//! `/desk` in a real browser: signing in, the queue that changes by itself, a case by keyboard alone, and texts that a page
//! may trip over.

use serde_json::json;
use tests::api::Door;
use tests::browser::{Browser, Scheme, keys};
use tests::trial::hostile_texts;

/// Signs a moderator in.
async fn sign_in(browser: &Browser, door: &Door, moderator: &str) {
    let token = door.token(moderator, &[api::Role::Moderator]);
    browser.go(&format!("http://{}/desk", door.address)).await;
    browser.fill("#token", &token).await;
    browser.click("form.sheet button").await;
    browser.until_there("#queue").await;
}

/// Reports messages of a conversation.
async fn report(door: &Door, by: &str, cid: &str, messages: &[u64], comment: &str) {
    let report = json!({"conversation_id": cid, "messages": messages, "category": "scam", "comment": comment});
    let _ = door
        .post("/v1/reports", &door.member(by), report)
        .await
        .expect(201);
}

#[tokio::test]
async fn a_moderator_signs_in_sees_a_case_come_up_and_decides_it_by_keyboard_alone() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let cid = door.sent("bob", "ann", "You have WON a prize").await;
    let browser = Browser::open().await;
    browser.go(&format!("http://{}/desk", door.address)).await;
    browser.until_there("#token").await;
    browser.pictures("desk-sign-in").await;
    sign_in(&browser, &door, "mia").await;
    browser.until_says("#queue", "No case waits.").await;
    browser.script("window.unreloaded = true").await;
    report(&door, "ann", &cid, &[1], "They ask for money").await;
    browser.until_says("#queue", "Case about bob").await;
    browser.until("window.unreloaded === true").await;
    browser.pictures("desk-queue").await;

    browser.press(None, "j").await;
    browser
        .until("document.activeElement.closest('.case')")
        .await;
    browser.press(None, keys::ENTER).await;
    browser.until_says(".talk", "You have WON a prize").await;
    browser.press(None, "c").await;
    browser.until_says(".case-facts", "You hold it").await;
    browser.pictures("desk-case").await;
    browser.press(None, "n").await;
    browser.until("document.activeElement.id === 'note'").await;
    for letter in "looks like a scam".chars() {
        browser.press(None, &letter.to_string()).await;
    }
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_says("main", "looks like a scam").await;
    browser.press(None, "d").await;
    browser.press(None, "2").await;
    browser
        .until("document.getElementById('action-warn').checked")
        .await;
    browser.fill("#reason", "scam").await;
    browser.fill("#text", "This was a scam.").await;
    browser.fill("#facts", "Message 1 asks for money.").await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_says("main", "What was decided").await;
    browser.pictures("desk-decided").await;
    for page in ["log", "figures"] {
        browser
            .go(&format!("http://{}/desk/{page}", door.address))
            .await;
        browser.until_there("main h1").await;
        browser.pictures(&format!("desk-{page}")).await;
    }
    browser.is_quiet().await;
}

#[tokio::test]
async fn texts_of_members_show_as_text_on_every_page_of_the_desk() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let texts = hostile_texts();
    let mut cid = String::new();
    for (number, text) in texts.iter().enumerate() {
        cid = door.sent("bob", "ann", text).await;
        if number == 0 {
            let accept = format!("/v1/requests/{cid}/accept");
            let _ = door
                .post(&accept, &door.member("ann"), serde_json::Value::Null)
                .await
                .expect(200);
        }
    }
    for (number, text) in (1..).zip(&texts) {
        report(&door, "ann", &cid, &[number], text).await;
    }
    door.views_at_the_end().await;
    let browser = Browser::open().await;
    sign_in(&browser, &door, "mia").await;
    browser.until_says("#queue", "Case about bob").await;
    browser.look(360, Scheme::Light).await;
    browser.fits().await;
    browser.click("#queue .open").await;
    browser.until_there(".talk").await;
    let shown = "return [...document.querySelectorAll('.talk .said')].map(e => e.textContent)";
    assert_eq!(browser.script(shown).await, json!(texts));
    browser.click(".case-facts button").await;
    browser.until_says(".case-facts", "You hold it").await;
    // What a page is filled with again is what was typed.
    for text in texts.iter().filter(|text| text.starts_with(['<', '&'])) {
        browser.fill("#note", text).await;
        let before = browser.count(".said").await;
        browser.press(Some(keys::CONTROL), keys::ENTER).await;
        browser
            .until(&format!(
                "document.querySelectorAll('.said').length > {before}"
            ))
            .await;
    }
    browser
        .until("document.title.startsWith('Case about bob')")
        .await;
    browser.pictures("desk-hostile").await;
    browser.look(360, Scheme::Light).await;
    browser
        .go(&format!("http://{}/desk/log", door.address))
        .await;
    browser.until_there("main h1").await;
    browser.fits().await;
    browser.is_sound().await;
}
