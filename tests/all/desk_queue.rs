//! The queue at a glance: how many cases wait and of what kind, for how long, and who is reported by many.

use api::Role;
use serde_json::{Value, json};
use tests::api::Door;
use tests::pages::{Shown, Sitting};

/// Reports the first message that the one writes to the other, and leaves the door with its views at the end.
pub(crate) async fn reported(door: &Door, sender: &str, reporter: &str, category: &str) {
    let cid = door.sent(sender, reporter, "buy").await;
    let report = json!({"conversation_id": cid, "messages": [1], "category": category});
    let made = door
        .post("/v1/reports", &door.member(reporter), report)
        .await;
    let _ = made.expect(201);
    door.views_at_the_end().await;
}

/// A door with these members, whom everybody may write to.
async fn with_members(members: &[&str]) -> Door {
    let door = Door::open().await;
    for member in members {
        door.register(member).await;
        door.audience(member, "everyone").await;
    }
    door
}

async fn sits<'a>(door: &'a Door, sub: &str) -> Sitting<'a> {
    Sitting::of(door, &door.token(sub, &[Role::Moderator])).await
}

/// The cases of a page of the queue, in order.
fn cases(shown: &Shown) -> Vec<String> {
    let links = shown.html.split(" href=\"/desk/cases/").skip(1);
    links
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

/// Where a link of the counts goes, and its number.
fn counted(shown: &Shown, id: &str) -> (String, u64) {
    let start = shown.html.split(&format!("id=\"{id}\" href=\"")).nth(1);
    let start = start.unwrap_or_else(|| panic!("{id}: {}", shown.html));
    let (href, rest) = start.split_once('"').unwrap();
    let link = rest.split("</a>").next().unwrap();
    let number = link.split("<strong>").nth(1).unwrap();
    let number = number.split('<').next().unwrap().parse().unwrap();
    (href.replace("&#38;", "&"), number)
}

async fn claim(door: &Door, sub: &str, case: &str) {
    let token = door.token(sub, &[Role::Moderator]);
    let path = format!("/v1/moderation/cases/{case}/claim");
    let _ = door.post(&path, &token, Value::Null).await.expect(200);
    door.views_at_the_end().await;
}

#[tokio::test]
async fn each_count_is_a_link_to_just_those_cases() {
    let door = with_members(&["ann", "ben", "bob", "cat", "dan"]).await;
    for (sender, reporter, category) in [
        ("bob", "ann", "spam"),
        ("bob", "ben", "scam"),
        ("cat", "ann", "spam"),
        ("dan", "ann", "hate"),
    ] {
        reported(&door, sender, reporter, category).await;
    }
    let (mia, max) = (sits(&door, "mia").await, sits(&door, "max").await);
    let all = cases(&mia.page("/desk/queue").await.expect(200));
    assert_eq!(all.len(), 4);
    claim(&door, "mia", &all[0]).await;
    claim(&door, "max", &all[1]).await;
    let queue = mia.page("/desk/queue").await.expect(200);
    for (id, number) in [
        ("count-mine", 1),
        ("count-open", 2),
        ("count-claimed", 2),
        ("count-decided", 0),
        ("count-closed", 0),
        ("count-appealed", 0),
        ("count-spam", 2),
        ("count-scam", 1),
        ("count-hate", 1),
    ] {
        let (href, counted) = counted(&queue, id);
        assert_eq!(counted, number, "{id}");
        let shown = mia.page(&href).await.expect(200);
        assert_eq!(cases(&shown).len() as u64, number, "{id}");
        let current = format!("id=\"{id}\" href=\"{href}\" aria-current=\"true\"");
        assert!(shown.html.contains(&current), "{id}: {}", shown.html);
        assert_eq!(shown.html.matches("aria-current=\"true\"").count(), 1);
    }
    assert!(!queue.html.contains("id=\"count-violence\""));
    let (href, _) = counted(&max.page("/desk/queue").await, "count-mine");
    assert_eq!(href, "/desk/queue?claimed_by=max");
    assert_eq!(cases(&max.page(&href).await), [all[1].clone()]);
    // The order stays, what else is filtered does not.
    let shown = mia.page("/desk/queue?sort=newest&member=cat").await;
    let (href, number) = counted(&shown, "count-spam");
    assert_eq!(
        (&*href, number),
        ("/desk/queue?category=spam&sort=newest", 2)
    );
}

#[tokio::test]
async fn cases_are_filtered_by_when_they_were_opened() {
    let door = with_members(&["ann", "bob"]).await;
    reported(&door, "bob", "ann", "spam").await;
    let mia = sits(&door, "mia").await;
    for (query, there) in [
        ("opened_before=2001-01-01T00:00", 0),
        ("opened_after=2001-01-01T00:00", 1),
        ("opened_before=9998-01-01T00:00&opened_after=", 1),
        ("opened_after=9998-01-01T00:00", 0),
        ("opened_after=2001-01-01T00:00:00Z", 1),
    ] {
        let shown = mia.page(&format!("/desk/queue?{query}")).await.expect(200);
        assert_eq!(cases(&shown).len(), there, "{query}");
        let value = query.split(['=', '&']).nth(1).unwrap();
        assert!(shown.html.contains(&format!("value=\"{value}\"")));
        assert!(shown.says("Show all"), "{query}");
    }
    for field in ["opened_before", "opened_after"] {
        let path = format!("/desk/queue?{field}=yesterday");
        let shown = mia.page(&path).await.expect(400);
        assert_eq!(shown.led_to(), [field]);
        assert_eq!(shown.field(field), "yesterday");
    }
    // Nothing has waited for an hour.
    let queue = mia.page("/desk/queue").await;
    for id in ["hour", "day", "week"] {
        let before = format!("id=\"count-{id}\" href=\"");
        let rest = queue.html.split(&before).nth(1).unwrap();
        let href = rest.split('"').next().unwrap();
        let shown = mia.page(href).await.expect(200);
        assert_eq!(cases(&shown).len(), 0, "{href}");
    }
}

#[tokio::test]
async fn one_who_is_reported_by_many_and_one_who_reports_many_are_seen_as_such() {
    let many = ["m1", "m2", "m3", "m4", "m5"];
    let door = with_members(&[&["ann", "bob"], &many[..]].concat()).await;
    let mia = sits(&door, "mia").await;
    for reporter in &many[..2] {
        reported(&door, "bob", reporter, "spam").await;
    }
    let words = "members reported <bdi>bob</bdi>";
    assert!(!mia.page("/desk/queue").await.html.contains(words));
    reported(&door, "bob", "m3", "spam").await;
    let queue = mia.page("/desk/queue?member=bob&sort=newest").await;
    assert!(queue.html.contains(&format!("3 {words}")));
    let case = format!("/desk/cases/{}", cases(&queue)[0]);
    assert!(mia.page(&case).await.html.contains(&format!("3 {words}")));
    for sender in many {
        reported(&door, sender, "ann", "spam").await;
    }
    let queue = mia.page("/desk/queue?member=m1").await;
    let case = format!("/desk/cases/{}", cases(&queue)[0]);
    let shown = mia.page(&case).await.expect(200);
    let told =
        "<bdi>ann</bdi> reported 5 members within 90 days; none of their reports is decided yet";
    assert!(shown.html.contains(told), "{}", shown.html);
    for row in [
        "<dt>Members they reported</dt><dd>5</dd>",
        "<dt>Of those decided</dt><dd>0</dd>",
        "<dt>Of those upheld</dt><dd>0</dd>",
        "<dt>Members who reported them</dt><dd>1</dd>",
    ] {
        assert!(shown.html.contains(row), "{row}");
    }
}
