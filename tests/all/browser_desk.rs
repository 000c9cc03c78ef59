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
async fn many_cases_of_a_member_are_decided_at_once_followed_and_taken_back() {
    let door = Door::open().await;
    door.register("bob").await;
    for reporter in ["ann", "ben", "cat"] {
        door.register(reporter).await;
        door.audience(reporter, "everyone").await;
        let cid = door.sent("bob", reporter, "You have WON a prize").await;
        report(&door, reporter, &cid, &[1], "They ask for money").await;
    }
    door.views_at_the_end().await;
    let browser = Browser::open().await;
    sign_in(&browser, &door, "mia").await;
    browser.until_says("#queue", "3 members reported bob").await;
    browser.until_says("#count-open", "3").await;
    browser.look(1280, Scheme::Light).await;
    let heights = "return new Set([...document.querySelectorAll('.filter input, .filter select')].map(e => e.offsetHeight)).size";
    assert_eq!(browser.script(heights).await, json!(1));
    browser.pictures("desk-queue-of-many").await;
    browser.click("#count-scam").await;
    browser.until_there("#count-scam[aria-current]").await;
    browser
        .click("#queue a[href='/desk/queue?member=bob']")
        .await;
    browser.until_says("#queue", "at once").await;
    browser.click("#queue a[href='/desk/members/bob']").await;
    browser.until_there("input[name=cases]").await;
    browser.pictures("desk-many-cases").await;
    browser.press(None, "d").await;
    browser.press(None, "5").await;
    browser
        .until("document.getElementById('action-suspend').checked")
        .await;
    browser.fill("#reason", "scam").await;
    browser.fill("#text", "You asked many for money.").await;
    browser.fill("#facts", "Message 1 of each.").await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    // It goes on by itself.
    browser.until_says("main", "3 of 3 decided.").await;
    browser.pictures("desk-act").await;
    browser.click("#reverse summary").await;
    browser.fill("#reason", "mistake").await;
    browser.fill("#text", "We were wrong.").await;
    browser.pictures("desk-act-reversing").await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_says("main", "3 of 3 taken back.").await;
    browser.pictures("desk-act-reversed").await;
    browser.is_quiet().await;
}

#[tokio::test]
async fn a_case_is_opened_again_a_reporter_limited_and_the_ledger_read() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let cid = door.sent("bob", "ann", "You have WON a prize").await;
    report(&door, "ann", &cid, &[1], "They ask for money").await;
    door.views_at_the_end().await;
    let browser = Browser::open().await;
    sign_in(&browser, &door, "mia").await;
    browser.until_says("#queue", "Case about bob").await;
    browser.click("#queue .open").await;
    browser.until_there(".talk").await;
    browser.press(None, "c").await;
    browser.until_says(".case-facts", "You hold it").await;
    browser.press(None, "d").await;
    browser.press(None, "1").await;
    browser.fill("#reason", "not_a_violation").await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_says("main", "What was decided").await;
    browser.press(None, "o").await;
    browser
        .until("document.activeElement.id === 'reopen-reason'")
        .await;
    browser.fill("#reopen-reason", "asked").await;
    browser.fill("#reopen-text", "They wrote to us.").await;
    browser.pictures("desk-reopening").await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_says("main", "The case is open again.").await;
    browser.until_says("main", "They wrote to us.").await;
    browser.click("#limit-2 summary").await;
    browser.pictures("desk-limiting").await;
    let until = "document.getElementById('limit-until-2').value = '2031-05-06T07:08'";
    browser.script(until).await;
    browser.fill("#limit-reason-2", "flooding").await;
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser.until_says("main", "0 reports a day count").await;
    browser.pictures("desk-limited").await;
    browser.is_quiet().await;
    // The other cookie is another session's: an auditor signs in instead.
    browser.click(".who button").await;
    browser.until_there("#token").await;
    let token = door.token("ada", &[api::Role::Auditor]);
    browser.fill("#token", &token).await;
    browser.click("form.sheet button").await;
    browser.until_there("nav a[href='/desk/ledger']").await;
    let ledger = format!("http://{}/desk/ledger?member=bob", door.address);
    browser.go(&ledger).await;
    browser.until_says("main", "moderator").await;
    browser.until_says("main", "messages: reported 1").await;
    browser.pictures("desk-ledger").await;
    browser.is_quiet().await;
}

#[tokio::test]
async fn what_was_wrong_with_a_form_leads_to_its_field_by_keyboard_alone() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let cid = door.sent("bob", "ann", "You have WON a prize").await;
    report(&door, "ann", &cid, &[1], "They ask for money").await;
    door.views_at_the_end().await;
    let browser = Browser::open().await;
    sign_in(&browser, &door, "mia").await;
    browser.click("#queue .open").await;
    browser.until_there(".talk").await;
    browser.press(None, "n").await;
    browser.until("document.activeElement.id === 'note'").await;
    browser.provokes(422);
    browser.press(Some(keys::CONTROL), keys::ENTER).await;
    browser
        .until("document.activeElement.id === 'problem'")
        .await;
    browser.press(None, keys::TAB).await;
    browser
        .until("document.activeElement.matches('#problem a')")
        .await;
    browser.pictures("desk-refused").await;
    browser.press(None, keys::ENTER).await;
    browser.until("document.activeElement.id === 'note'").await;
    browser
        .until("document.getElementById('note').getAttribute('aria-invalid') === 'true'")
        .await;
    // In a filter, too, whose fields come before what it shows.
    browser.provokes(400);
    let queue = format!("http://{}/desk/queue?opened_before=once", door.address);
    browser.go(&queue).await;
    browser
        .until("document.activeElement.id === 'problem'")
        .await;
    browser.press(None, keys::TAB).await;
    browser.press(None, keys::ENTER).await;
    browser
        .until("document.activeElement.id === 'opened_before'")
        .await;
    browser.is_sound().await;
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
