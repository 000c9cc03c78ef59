//! The desk at work: the queue, a case, and its forms, which do what they say, once, and lose nothing that was typed.

use api::Role;
use serde_json::json;
use tests::api::Scene;
use tests::desk::{Desk, RULING};
use tests::pages::{Sitting, escaped, page};

/// Texts that a page may take for something else.
fn hostile() -> Vec<String> {
    vec![
        "<script>alert(1)</script><img src=x onerror=alert(1)>".to_owned(),
        "\"><b>'&amp;&lt;</textarea></div>{{ 7*7 }}{% block %}".to_owned(),
        "\u{202e}txet desrever\u{202c} \u{2066}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{2069}".to_owned(),
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} z\u{334}\u{335}\u{336}\u{337}\u{338}"
            .to_owned(),
        "a\u{200b}\u{200c}\u{feff}\u{2060}b".to_owned(),
        "tab\tnew\n\n\nlines  and   spaces".to_owned(),
    ]
}

#[tokio::test]
async fn the_queue_shows_what_waits_who_holds_it_and_why_it_is_where_it_is() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let queue = mia.page("/desk/queue").await.expect(200);
    assert!(queue.html.contains(&format!("href=\"{}\"", desk.path())));
    for words in [
        "bob",
        "open",
        "scam",
        "1 report",
        "severity 2 of 5",
        "reported by 1 member within 90 days",
    ] {
        assert!(queue.says(words), "{words}");
    }
    // It can be claimed from there.
    let claimed = mia.fill(&queue, &desk.form("claim"), &[]).await;
    let case = mia.follow(&claimed).await.expect(200);
    assert!(case.says("You hold this case now."));
    let queue = mia.page("/desk/queue").await;
    assert!(queue.says("You hold it until") && !queue.has_form(&desk.form("claim")));
    let max = desk.sits("max").await;
    let queue = max.page("/desk/queue").await;
    assert!(queue.html.contains("Held by <bdi>mia</bdi>"));
}

#[tokio::test]
async fn the_queue_is_filtered_and_tells_what_is_wrong_with_a_filter() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    for (query, there) in [
        ("state=open", true),
        ("state=claimed", false),
        (
            "category=scam&member=bob&claimed_by=&sort=oldest&state=",
            true,
        ),
        ("category=spam", false),
        ("member=ann", false),
        ("claimed_by=mia", false),
        ("sort=newest", true),
    ] {
        let shown = mia.page(&format!("/desk/queue?{query}")).await.expect(200);
        assert_eq!(shown.html.contains(&desk.path()), there, "{query}");
        assert_eq!(shown.says("No case is like that."), !there, "{query}");
    }
    for (query, field) in [
        ("state=lost", "state"),
        ("category=rude", "category"),
        ("member=a%20b", "member"),
        ("claimed_by=%3Cb%3E", "claimed_by"),
        ("sort=random", "sort"),
    ] {
        let shown = mia.page(&format!("/desk/queue?{query}")).await.expect(400);
        assert_eq!(shown.led_to(), [field], "{query}");
        assert!(
            shown.has_form("/desk/queue"),
            "the filter is there to be mended"
        );
    }
    for query in ["cursor=x", "at=x", "member=%ff"] {
        let shown = mia.page(&format!("/desk/queue?{query}")).await.expect(400);
        assert!(shown.says("Back to the beginning"));
    }
}

#[tokio::test]
async fn the_queue_goes_on_page_by_page() {
    let Scene { door, .. } = Scene::open().await;
    for number in 0..30 {
        let sender = format!("sender-{number}");
        door.register(&sender).await;
        let cid = door.sent(&sender, "ann", "hi").await;
        let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
        let _ = door
            .post("/v1/reports", &door.member("ann"), report)
            .await
            .expect(201);
    }
    door.views_at_the_end().await;
    let mia = Sitting::of(&door, &door.token("mia", &[Role::Moderator])).await;
    let mut path = "/desk/queue?category=spam".to_owned();
    let (mut seen, mut pages) = (std::collections::BTreeSet::new(), 0);
    loop {
        let shown = mia.page(&path).await.expect(200);
        pages += 1;
        let links = shown.html.split("href=\"/desk/cases/").skip(1);
        seen.extend(links.map(|rest| rest.split('"').next().unwrap().to_owned()));
        let Some(before) = shown
            .html
            .split("\" rel=\"next\"")
            .next()
            .filter(|before| before.len() < shown.html.len())
        else {
            break;
        };
        path = before
            .rsplit("href=\"")
            .next()
            .unwrap()
            .replace("&#38;", "&");
        assert!(
            path.starts_with("/desk/queue?category=spam&cursor="),
            "{path}"
        );
    }
    assert_eq!((seen.len(), pages), (30, 2));
}

#[tokio::test]
async fn a_case_shows_its_evidence_in_context_and_that_it_was_looked_at_is_recorded() {
    let desk = Desk::about(&["pay now"], "They want money").await;
    let mia = desk.sits("mia").await;
    let shown = desk.shown(&mia).await;
    for words in [
        "bob",
        "ann",
        "hello",
        "who are you?",
        "pay now",
        "They want money",
        "scam",
    ] {
        assert!(shown.says(words), "{words}");
    }
    assert!(
        shown
            .html
            .contains("id=\"message-3\" class=\"message theirs reported\"")
    );
    assert!(shown.html.contains("id=\"message-2\" class=\"message\""));
    assert!(shown.says("History of both members") && shown.says("Reports they made"));
    let looks = desk.events("content-disclosed").await;
    assert_eq!(looks.len(), 1);
    assert_eq!(looks[0]["data"]["by"], "mia");
    assert_eq!(looks[0]["data"]["purpose"], "review");
}

#[tokio::test]
async fn every_form_does_what_it_says_and_shows_it() {
    let desk = Desk::open().await;
    let (mia, max) = (desk.sits("mia").await, desk.sits("max").await);
    let shown = desk.shown(&mia).await;
    for act in ["release", "escalate", "decision"] {
        assert!(!shown.has_form(&desk.form(act)), "{act}");
    }
    for (act, fields, words) in [
        ("claim", &[][..], "You hold this case now."),
        (
            "notes",
            &[("text", "seen before\r\ntwice")],
            "The note was written down.",
        ),
        ("release", &[], "You have released this case."),
        ("claim", &[], "You hold this case now."),
        (
            "escalate",
            &[("text", "a hard one")],
            "You have left this case to another moderator.",
        ),
    ] {
        let sent = desk.act(&mia, act, fields).await;
        let after = mia.follow(&sent).await.expect(200);
        assert!(after.says(words), "{act}: {}", after.html);
    }
    let shown = desk.shown(&max).await;
    assert!(shown.says("seen before\ntwice") && shown.says("a hard one"));
    let sent = desk.act(&max, "claim", &[]).await;
    assert!(max.follow(&sent).await.says("You hold it"));
    let until = [("until", "2031-05-06T07:08")];
    let fields = [&RULING[..], &until].concat();
    let sent = desk.act(&max, "decision", &fields).await;
    let after = max.follow(&sent).await.expect(200);
    assert!(after.says("The case is decided."));
    for words in [
        "Suspend",
        "You asked for money.",
        "Three messages.",
        "6 May 2031, 07:08 UTC",
        "suspended now",
    ] {
        assert!(after.says(words), "{words}");
    }
    let decided = desk.events("case-decided").await;
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0]["data"]["by"], "max");
    let refused = desk.door.send("bob", "ann", "still here").await;
    assert_eq!(refused.code(), "account_restricted");
}

#[tokio::test]
async fn a_decision_removes_the_messages_that_were_chosen() {
    let desk = Desk::about(&["pay now", "or else"], "").await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let shown = desk.shown(&mia).await;
    assert!(
        !shown.html.contains("id=\"remove-2\""),
        "it is not of the reported member"
    );
    let fields = [
        ("action", "remove_messages"),
        ("messages", "1"),
        ("messages", "4"),
        ("reason", "scam"),
        ("text", "Removed."),
        ("facts", "Two."),
    ];
    let sent = mia.fill(&shown, &desk.form("decision"), &fields).await;
    let after = mia.follow(&sent).await.expect(200);
    assert!(after.says("messages 1, 4"));
    assert_eq!(after.html.matches("· removed <time").count(), 2);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_does_it_once() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let shown = desk.shown(&mia).await;
    for act in ["notes", "decision"] {
        let fields = if act == "notes" {
            &[("text", "once")][..]
        } else {
            &RULING
        };
        let first = mia.fill(&shown, &desk.form(act), fields).await.expect(303);
        let again = mia.fill(&shown, &desk.form(act), fields).await.expect(303);
        assert_eq!(first.location(), again.location());
    }
    assert_eq!(desk.events("case-noted").await.len(), 1);
    assert_eq!(desk.events("case-decided").await.len(), 1);
    // The same form with other words is not the same.
    let other = mia
        .fill(&shown, &desk.form("notes"), &[("text", "twice")])
        .await;
    let other = other.expect(409);
    assert!(other.html.contains(">\ntwice</textarea>"));
    assert_ne!(
        other.hidden(&desk.form("notes")),
        shown.hidden(&desk.form("notes"))
    );
    assert_eq!(desk.events("case-noted").await.len(), 1);
}

#[tokio::test]
async fn what_was_refused_is_said_at_its_form_with_what_was_typed() {
    let desk = Desk::open().await;
    let (mia, max) = (desk.sits("mia").await, desk.sits("max").await);
    let early = desk.shown(&max).await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let refused = max.fill(&early, &desk.form("claim"), &[]).await.expect(409);
    assert!(
        refused.says("One moderator at a time works on a case"),
        "{}",
        refused.html
    );
    assert!(refused.says("Held by") && refused.has_form(&desk.form("claim")));

    let shown = desk.shown(&mia).await;
    let long = "x".repeat(2_001);
    for (change, status, words) in [
        (("action", "limit"), 422, "needs an end"),
        (("action", ""), 400, "Choose what is done."),
        (("action", "banish"), 400, "Choose what is done."),
        (("reason", "Not A Code"), 400, "1-64 characters"),
        (("text", " "), 422, ""),
        (("text", &*long), 422, ""),
        (("facts", ""), 422, ""),
        (("until", "tomorrow"), 400, "a day and a time"),
        (("until", "2001-01-01T00:00"), 422, "an end after now"),
        (("messages", "1"), 422, ""),
        (("messages", "one"), 400, "no number of a message"),
    ] {
        let mut fields: Vec<(&str, &str)> = RULING.to_vec();
        fields.retain(|(name, _)| *name != change.0);
        fields.push(change);
        let refused = mia
            .fill(&shown, &desk.form("decision"), &fields)
            .await
            .expect(status);
        assert!(refused.says(words), "{change:?}: {}", refused.html);
        assert!(refused.html.contains("class=\"problem\""), "{change:?}");
        let kept = |name: &str| {
            let typed = fields.iter().find(|(known, _)| *known == name).unwrap().1;
            assert_eq!(
                refused.form(&desk.form("decision")).field(name),
                typed,
                "{change:?}: {name}"
            );
        };
        kept("reason");
        kept("facts");
        let after = &refused.html[refused.html.find("id=\"text\"").unwrap()..];
        let text = fields.iter().find(|(name, _)| *name == "text").unwrap().1;
        assert!(after.contains(&escaped(text)), "{change:?}");
    }
    assert!(desk.events("case-decided").await.is_empty());
    let refused = desk.act(&max, "notes", &[("text", "  ")]).await.expect(422);
    assert!(refused.html.contains("id=\"wrong-note\""));

    // A form of a case that one does not hold any more stays, with what was typed.
    let _ = desk.act(&mia, "release", &[]).await.expect(303);
    let refused = mia
        .fill(&shown, &desk.form("decision"), &RULING)
        .await
        .expect(409);
    assert!(refused.says("Claim the case first."));
    assert_eq!(
        refused.form(&desk.form("decision")).field("facts"),
        "Three messages."
    );
    assert!(refused.html.contains("value=\"suspend\" required checked"));
    // And what it says can then be done.
    let claimed = mia.fill(&refused, &desk.form("claim"), &[]).await;
    assert_eq!(claimed.status, 303);
    let sent = mia.fill(&refused, &desk.form("decision"), &RULING).await;
    assert_eq!(sent.status, 303);
}

#[tokio::test]
async fn a_form_without_its_id_or_about_no_case_does_nothing() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let shown = desk.shown(&mia).await;
    let csrf = shown.hidden(&desk.form("claim"))[0].1.clone();
    let fields = [("csrf", &*csrf), ("text", "x")];
    let sent = tests::pages::send(&desk.door, &desk.form("notes"), &mia.cookie, &fields).await;
    assert!(sent.expect(400).says("The form has no id"));
    let fields = [("csrf", &*csrf), ("key", "k1"), ("text", "x")];
    for case in ["x", "6ab4bcf1-95df-52b5-9a4e-0f7f0f0b7d10"] {
        for act in ["claim", "release", "notes", "escalate"] {
            let path = format!("/desk/cases/{case}/{act}");
            let sent = tests::pages::send(&desk.door, &path, &mia.cookie, &fields).await;
            assert_eq!(sent.status, 404, "{path}");
        }
    }
    // A form's path asked for as a page leads to the case.
    let back = mia.page(&desk.form("notes")).await.expect(303);
    assert_eq!(back.location(), desk.path());
}

#[tokio::test]
async fn text_of_members_shows_as_text_whatever_it_says() {
    let letters = "w".repeat(1_000);
    let mut texts = hostile();
    texts.push(letters);
    let said: Vec<&str> = texts.iter().map(String::as_str).collect();
    let comment = texts[..3].join(" ");
    let desk = Desk::about(&said, &comment).await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    for text in &texts {
        let _ = desk.act(&mia, "notes", &[("text", text)]).await.expect(303);
    }
    let shown = desk.shown(&mia).await;
    for text in texts.iter().chain([&comment]) {
        let in_element = format!("dir=\"auto\">{}</div>", escaped(text));
        assert!(shown.html.contains(&in_element), "{text}");
    }
    for text in &texts {
        let fields = [
            ("action", "warn"),
            ("reason", text.as_str()),
            ("text", text),
            ("facts", text),
        ];
        let refused = desk.act(&mia, "decision", &fields).await.expect(400);
        assert_eq!(refused.form(&desk.form("decision")).field("facts"), *text);
        assert_eq!(refused.form(&desk.form("decision")).field("reason"), *text);
    }
    let fields = [
        ("action", "warn"),
        ("reason", "r"),
        ("text", &*texts[1]),
        ("facts", &*texts[0]),
    ];
    let sent = desk.act(&mia, "decision", &fields).await;
    let after = mia.follow(&sent).await.expect(200);
    for page in [&shown, &after] {
        // Nothing in it is an element that the templates did not write.
        for element in ["<script>", "<img", "<b>", "</textarea></div>"] {
            assert!(!page.html.contains(element), "{element}");
        }
    }
    for (path, text) in [
        ("/desk/queue?member=%22%3E%3Cscript%3E", "\"><script>"),
        ("/desk/queue?claimed_by=%27%3E%3Cscript%3E", "'><script>"),
    ] {
        let shown = mia.page(path).await.expect(400);
        assert!(shown.says(text) && !shown.html.contains("<script>"));
    }
}

#[tokio::test]
async fn a_case_is_shown_once_its_view_has_come_to_what_was_done() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    for number in 0..10 {
        let note = format!("note number {number}");
        let sent = desk.act(&mia, "notes", &[("text", &note)]).await;
        assert!(sent.location().contains("&at="), "{}", sent.location());
        assert!(mia.follow(&sent).await.expect(200).says(&note));
    }
    let shown = page(&desk.door, &format!("{}?at=1", desk.path()), &mia.cookie).await;
    assert_eq!(shown.status, 400, "a moderator counts nothing");
}
