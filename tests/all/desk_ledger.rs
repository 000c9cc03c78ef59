//! The ledger at the desk: who was shown what is a member's, for auditors, and that reading it is on record.

use api::Role;
use tests::desk::Desk;
use tests::pages::{Shown, Sitting};

async fn auditor(desk: &Desk) -> Sitting<'_> {
    Sitting::of(&desk.door, &desk.door.token("ada", &[Role::Auditor])).await
}

/// The lines of a page, without their marks and times.
fn lines(shown: &Shown) -> Vec<String> {
    let lines = shown.html.split("</time></span> <span>").skip(1);
    let plain = |line: &str| {
        let line = line.split("</li>").next().unwrap();
        let mut plain = String::new();
        for part in line.split('<') {
            plain.push_str(part.rsplit('>').next().unwrap());
        }
        plain
    };
    lines.map(plain).collect()
}

/// How many looks an auditor's stream has.
async fn looks(desk: &Desk) -> usize {
    let token = desk.door.token("ada", &[Role::Auditor]);
    let path = "/v1/events?stream=act-ada&limit=200";
    let page = desk.door.get(path, &token).await.expect(200).json();
    page["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_ledger_tells_who_looked_at_which_messages_and_what_for_and_reading_it_is_a_look() {
    let desk = Desk::about(&["pay now"], "").await;
    let mia = desk.sits("mia").await;
    let _ = desk.shown(&mia).await;
    desk.door.views_at_the_end().await;
    let ada = auditor(&desk).await;
    let empty = ada.page("/desk/ledger").await.expect(200);
    assert!(
        empty
            .html
            .contains("href=\"/desk/ledger\" aria-current=\"page\"")
    );
    assert!(lines(&empty).is_empty());
    assert_eq!(looks(&desk).await, 0, "nobody was named");
    let case = "mia, moderator case, with ann messages: reported 1, 3; around them 2 for: review";
    let bobs = "/desk/ledger?member=bob&purpose=complaint";
    let first = ada.page(bobs).await.expect(200);
    assert_eq!(lines(&first), [case]);
    assert!(first.html.contains("href=\"/desk/log?by=mia\""));
    assert_eq!(looks(&desk).await, 1);
    let again = ada.page(bobs).await.expect(200);
    let own = "ada, auditor this ledger for: complaint";
    assert_eq!(lines(&again), [own, case]);
    // It is the same as the interface answers, in the ledger of the other as well.
    let anns = ada.page("/desk/ledger?member=ann").await.expect(200);
    assert_eq!(lines(&anns), [case.replace("with ann", "with bob")]);
    assert_eq!(looks(&desk).await, 3);
}

#[tokio::test]
async fn the_ledger_goes_on_page_by_page_in_one_look() {
    let desk = Desk::open().await;
    let token = desk.door.token("mia", &[Role::Moderator]);
    for _ in 0..60 {
        let path = format!("/v1/moderation/cases/{}", desk.case);
        let _ = desk.door.get(&path, &token).await.expect(200);
    }
    desk.door.views_at_the_end().await;
    let ada = auditor(&desk).await;
    let first = ada.page("/desk/ledger?member=bob").await.expect(200);
    let next = first.html.split("\" rel=\"next\"").next().unwrap();
    let next = next.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    let second = ada.page(&next).await.expect(200);
    assert_eq!((lines(&first).len(), lines(&second).len()), (50, 10));
    assert!(!second.html.contains("rel=\"next\""));
    assert_eq!(looks(&desk).await, 1);
    let other = next.replace("member=bob", "member=ann");
    let _ = ada.page(&other).await.expect(400);
}

#[tokio::test]
async fn the_ledger_is_for_auditors_and_says_what_is_wrong_with_what_was_asked() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let refused = mia.page("/desk/ledger?member=bob").await.expect(403);
    assert!(!refused.html.contains("href=\"/desk/ledger\""));
    let ada = auditor(&desk).await;
    for (query, status, words) in [
        ("member=a%20b", 400, "Member: It has to be"),
        ("member=bob&purpose=No%20code", 400, "Purpose: "),
        ("member=zoe", 404, "The member was not known"),
        ("member=bob&cursor=x", 400, ""),
        ("member=%3Cb%3E", 400, "Member: It has to be"),
    ] {
        let shown = ada.page(&format!("/desk/ledger?{query}")).await;
        let shown = shown.expect(status);
        assert!(shown.says(words), "{query}: {}", shown.html);
        assert!(shown.html.contains("role=\"alert\"") && !shown.html.contains("<b>"));
    }
    assert_eq!(looks(&desk).await, 0, "nothing was shown");
}
