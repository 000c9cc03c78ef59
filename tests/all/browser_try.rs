//! `/try` in a real browser: what a newcomer does first, what comes up by itself, and texts that a page may trip over.

use tests::browser::{Browser, Scheme, keys};
use tests::trial;

#[tokio::test]
async fn a_newcomer_writes_accepts_deletes_and_blocks_and_is_told_what_it_means() {
    let door = trial::door().await;
    let url = format!("http://{}/try", door.address);
    let browser = Browser::open().await;
    browser.go(&url).await;
    browser.pictures("try-first").await;

    browser
        .fill("#left-text", "Hi Ann, do you play chess?")
        .await;
    browser.click("#left-side .write button").await;
    browser.until_says("#told", "sent, and no more.").await;
    browser
        .until_says("#told", "it waits on the doorstep")
        .await;
    browser
        .until_says("#right-region .requests", "do you play chess?")
        .await;
    browser.pictures("try-told").await;

    browser.click("#right-region .requests a").await;
    browser
        .until_says("#right-open", "A request on the doorstep")
        .await;
    browser.click("#right-report summary").await;
    browser.click("#right-settings summary").await;
    browser.pictures("try-open").await;

    browser.click("#right-open button[value=accept]").await;
    browser.until_says("#told", "moved to the inbox").await;
    browser
        .until_says("#right-region .inbox", "do you play chess?")
        .await;

    browser.click("#right-open button[value=block]").await;
    browser
        .until_says("#told", "their inbox does not change")
        .await;
    browser.fill("#left-text", "Are you there?").await;
    browser.click("#left-side .write button").await;
    browser
        .until_says("#told", "sent, exactly as if it had arrived.")
        .await;
    browser.until_says("#told", "Rule 5: ann blocks bob").await;

    browser.provokes(403);
    browser.click("#left-settings summary").await;
    browser.choose("#left-audience", "no_one").await;
    browser.click("#left-settings button").await;
    browser.until_says("#told", "the setting is in force").await;
    browser.go(&format!("{url}?left=bob&right=cat")).await;
    browser.fill("#right-text", "Hello?").await;
    browser.click("#right-side .write button").await;
    browser.until_says("#right-problem", "not_allowed").await;
    browser
        .until("document.getElementById('right-text').value === 'Hello?'")
        .await;
    browser
        .until("document.activeElement.id === 'right-problem'")
        .await;
    browser.press(None, keys::TAB).await;
    browser.press(None, keys::ENTER).await;
    browser
        .until("document.activeElement.id === 'right-text'")
        .await;
    browser.pictures("try-refused").await;
    browser.is_quiet().await;
}

#[tokio::test]
async fn what_others_do_comes_up_by_itself_and_what_is_typed_stays() {
    let door = trial::door().await;
    let browser = Browser::open().await;
    browser.go(&format!("http://{}/try", door.address)).await;
    browser.fill("#right-text", "half a sent").await;
    let first = door.sent("cat", "ann", "one by another").await;
    browser
        .until_says("#right-region .requests", "one by another")
        .await;
    browser
        .until("document.getElementById('right-text').value === 'half a sent'")
        .await;

    browser.click("#right-region .requests a").await;
    browser.click("#right-report summary").await;
    browser.fill("#right-comment", "I do not kn").await;
    let _ = door.sent("cat", "ann", "and two").await;
    browser.until_says("#right-open", "and two").await;
    let kept = "document.getElementById('right-comment').value === 'I do not kn'
        && document.getElementById('right-report').open && document.activeElement.id === 'right-comment'";
    browser.until(kept).await;
    let accept = format!("/v1/requests/{first}/accept");
    let _ = door
        .post(&accept, &door.member("ann"), serde_json::Value::Null)
        .await
        .expect(200);
    browser.until_says("#right-region .inbox", "and two").await;
    browser
        .until("!document.querySelector('#right-region .requests')")
        .await;
    browser.is_sound().await;
}

#[tokio::test]
async fn texts_that_a_page_may_trip_over_show_as_text_and_break_no_layout() {
    let door = trial::door().await;
    let texts = trial::hostile_texts();
    let mut cid = String::new();
    // An open request takes three; accepted, the rest.
    for (number, text) in texts.iter().enumerate() {
        cid = door.sent("bob", "ann", text).await;
        if number == 0 {
            let _ = door.sent("cat", "ann", text).await;
            let accept = format!("/v1/requests/{cid}/accept");
            let token = door.member("ann");
            let _ = door
                .post(&accept, &token, serde_json::Value::Null)
                .await
                .expect(200);
        }
    }
    let long = texts.last().unwrap();
    let _ = door.sent("cat", "ann", long).await;
    door.views_at_the_end().await;
    let browser = Browser::open().await;
    let url = format!("http://{}/try", door.address);
    browser
        .go(&format!("{url}?left_open={cid}&right_open={cid}"))
        .await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.look(360, scheme).await;
        browser.fits().await;
    }
    for slot in ["left", "right"] {
        let shown =
            format!("[...document.querySelectorAll('#{slot}-open .said')].map(e => e.textContent)");
        let shown = browser.script(&format!("return {shown}")).await;
        assert_eq!(shown, serde_json::json!(texts), "{slot}");
    }
    browser.until("document.title.startsWith('Try it')").await;
    browser.pictures("try-hostile").await;
    browser.is_quiet().await;
}
