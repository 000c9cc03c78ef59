//! The whole story in real browsers, against the real program: a stranger writes, the recipient reports, a moderator sees
//! it come up and suspends, and what the stranger had sent leaves all folders; they read why and appeal; the same moderator
//! is refused, another takes the decision back, and what was sent is there again.

use tests::browser::{Browser, keys};
use tests::program::Server;

/// A moderator's browser, signed in at the open queue.
async fn moderator(server: &Server, name: &str) -> Browser {
    let browser = Browser::open().await;
    browser.go(&format!("{}/desk", server.url)).await;
    browser
        .fill("#token", &server.token(name, "moderator"))
        .await;
    browser.click("form.sheet button").await;
    browser.until_there("#queue").await;
    browser
}

/// Grants the appeal on the case that is shown.
async fn answer(moderator: &Browser, text: &str) {
    moderator.click("[id^=reversed-]").await;
    moderator.fill("[id^=answer-]", text).await;
    moderator.click("form[action$='/appeal'] button").await;
}

#[tokio::test]
async fn a_report_from_the_doorstep_to_the_decision_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--demo"]);
    let url = format!("{}/try", server.url);

    // A stranger writes to two members, who know nothing of each other.
    let two = Browser::open().await;
    two.go(&format!("{url}?left=bob&right=cat")).await;
    two.fill("#left-text", "Hi Cat, send me 100 and get 200 back")
        .await;
    two.click("#left-side .write button").await;
    two.until_says("#right-region .requests", "get 200 back")
        .await;
    two.go(&format!("{url}?left=bob&right=ann")).await;
    two.fill("#left-text", "Hi Ann, I know where you live")
        .await;
    two.click("#left-side .write button").await;
    two.until_says("#told", "it waits on the doorstep").await;
    two.until_says("#right-region .requests", "I know where you live")
        .await;

    // The moderator has the queue open; the recipient reports, and the case comes up there.
    let mia = moderator(&server, "mia").await;
    mia.until_there("#queue .case").await;
    mia.until("!document.getElementById('queue').innerText.includes('Case about bob')")
        .await;
    mia.script("window.unreloaded = true").await;
    two.click("#right-region .requests a").await;
    two.click("#right-report summary").await;
    two.choose("#right-category", "violence").await;
    two.fill("#right-comment", "I am afraid").await;
    two.click("#right-report button").await;
    two.until_says("#told", "a case waits at the moderators' desk")
        .await;
    mia.until_says("#queue", "Case about bob").await;
    mia.until("window.unreloaded === true").await;

    // They claim it, read the context, and suspend.
    mia.script("[...document.querySelectorAll('#queue .open')].find(e => e.innerText.includes('bob')).focus()")
        .await;
    mia.press(None, keys::ENTER).await;
    mia.until_says(".talk", "I know where you live").await;
    mia.until_says("main", "I am afraid").await;
    mia.press(None, "c").await;
    mia.until_says(".case-facts", "You hold it").await;
    mia.press(None, "d").await;
    mia.press(None, "5").await;
    mia.fill("#reason", "threats").await;
    mia.fill("#text", "You threatened somebody.").await;
    mia.fill("#facts", "Message 1 is a threat.").await;
    mia.press(Some(keys::CONTROL), keys::ENTER).await;
    mia.until_says("main", "What was decided").await;

    // What the stranger had sent leaves all folders, by itself.
    two.until_says("#left-region", "Suspended since").await;
    two.until("!document.querySelector('#right-region .requests [data-with=bob]')")
        .await;
    let other = Browser::open().await;
    other.go(&format!("{url}?left=bob&right=cat")).await;
    other.until_says("#left-region", "Suspended since").await;
    other
        .until("!document.querySelector('#right-region .requests [data-with=bob]')")
        .await;
    two.provokes(403);
    two.fill("#left-text", "Let me in").await;
    two.click("#left-side .write button").await;
    two.until_says("#left-problem", "account_restricted").await;

    // The sender reads the statement, and appeals.
    two.until_says("#left-region .statements", "You threatened somebody.")
        .await;
    two.until_says("#left-region .statements", "Message 1 is a threat.")
        .await;
    two.click("[id^=left-appeal-] summary").await;
    two.fill("[id^=left-appeal-text-]", "I had the wrong person")
        .await;
    two.click("[id^=left-appeal-] button").await;
    two.until_says("#told", "another one than before decides it")
        .await;
    two.until_says("#left-region .statements", "and it waits")
        .await;
    two.pictures("try-appealed").await;

    // The moderator's open case says that it has changed; the same moderator is refused, another takes it back.
    mia.until_says("[data-changed]", "This case has changed")
        .await;
    mia.press(None, "l").await;
    mia.until_says("main", "I had the wrong person").await;
    let case = mia.address().await;
    mia.provokes(409);
    answer(&mia, "I was right").await;
    mia.until_says(".problem", "another moderator").await;
    mia.until("document.querySelector('[id^=answer-]').value === 'I was right'")
        .await;
    mia.pictures("desk-same-moderator").await;
    let moe = moderator(&server, "moe").await;
    moe.go(&case).await;
    answer(&moe, "You had indeed.").await;
    moe.until_says("main", "The appeal was granted").await;
    moe.pictures("desk-granted").await;

    // What had been sent is there again, in its place, by itself.
    two.until_says("#left-region .statements", "the decision is taken back")
        .await;
    two.until("!document.getElementById('left-region').innerText.includes('Suspended since')")
        .await;
    two.until_says("#right-region .requests", "I know where you live")
        .await;
    other
        .until_says("#right-region .requests", "get 200 back")
        .await;

    for browser in [&two, &mia, &moe, &other] {
        browser.is_sound().await;
    }
    assert!(server.stop().success());
}
