//! What was typed is never lost: a form that was shown to an earlier sign-in does nothing and comes back as it was, and where
//! no page can show it, what was typed is shown for copying.

use api::Role;
use tests::desk::{Desk, RULING};
use tests::pages::{Shown, Sitting};

const TYPED: &str = "typed for \u{1f600} an hour <b>";

/// Signs in anew: with another token, as the same one or another.
async fn anew<'a>(desk: &'a Desk, sub: &str, roles: &[Role]) -> Sitting<'a> {
    let token = desk.door.keys.sign(sub, roles, 7_200).unwrap();
    Sitting::of(&desk.door, &token).await
}

fn key(shown: &Shown, form: &str) -> String {
    let hidden = shown.hidden(form);
    let key = hidden.iter().find(|(name, _)| name == "key");
    key.unwrap().1.clone()
}

/// Fields of a form.
type Fields = &'static [(&'static str, &'static str)];

/// A form of this name, as it is filled, and what is to be kept of it.
const FORMS: [(&str, Fields, &str); 5] = [
    ("notes", &[("text", TYPED)], "text"),
    ("escalate", &[("text", TYPED)], "text"),
    (
        "decision",
        &[
            ("action", "warn"),
            ("reason", "scam"),
            ("text", "Stop."),
            ("facts", TYPED),
        ],
        "facts",
    ),
    (
        "report-limit",
        &[
            ("per_day", "3"),
            ("until", "2031-05-06T07:08"),
            ("reason", "a_reason"),
        ],
        "reason",
    ),
    ("claim", &[], ""),
];

#[tokio::test]
async fn a_form_of_an_earlier_sign_in_does_nothing_and_comes_back_as_it_was_typed() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let _ = desk.act(&mia, "claim", &[]).await.expect(303);
    let shown = desk.shown(&mia).await;
    let again = anew(&desk, "mia", &[Role::Moderator]).await;
    assert_ne!(again.cookie, mia.cookie);
    let before = desk.door.position().await;
    for (act, fields, kept) in FORMS {
        let form = desk.form(act);
        // What this sign-in was shown, sent by the other of the same name.
        let refused = again.fill(&shown, &form, fields).await.expect(403);
        assert!(
            refused
                .says("You have signed in again since this form was shown, so nothing was done."),
            "{act}: {}",
            refused.html
        );
        assert!(refused.led_to().is_empty());
        if !kept.is_empty() {
            let typed = fields.iter().find(|(name, _)| *name == kept).unwrap().1;
            assert_eq!(refused.form(&form).field(kept), typed, "{act}");
        }
        // It may have been done by the earlier one: sent once more it is still the same command.
        assert_eq!(key(&refused, &form), key(&shown, &form), "{act}");
        assert_ne!(refused.hidden(&form)[0], shown.hidden(&form)[0], "{act}");
    }
    // But for looks at the case nothing happened.
    for done in ["case-noted", "case-escalated", "case-decided"] {
        assert!(desk.events(done).await.is_empty(), "{done}");
    }
    assert!(
        before < desk.door.position().await,
        "the looks are on record"
    );
    let form = desk.form("notes");
    let refused = again.fill(&shown, &form, FORMS[0].1).await.expect(403);
    let sent = again.fill(&refused, &form, FORMS[0].1).await.expect(303);
    let after = again.follow(&sent).await.expect(200);
    assert!(after.says(TYPED));
    let _ = again.fill(&refused, &form, FORMS[0].1).await.expect(303);
    assert_eq!(desk.events("case-noted").await.len(), 1);
}

#[tokio::test]
async fn to_another_moderator_it_comes_back_with_who_is_signed_in_now() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let shown = desk.shown(&mia).await;
    let max = anew(&desk, "max", &[Role::Moderator]).await;
    let form = desk.form("notes");
    let refused = max.fill(&shown, &form, FORMS[0].1).await.expect(403);
    assert!(refused.says("This form was shown to mia, and max is signed in now"));
    assert_eq!(refused.form(&form).field("text"), TYPED);
    assert!(desk.events("case-noted").await.is_empty());
    let sent = max.fill(&refused, &form, FORMS[0].1).await;
    let _ = max.follow(&sent).await.expect(200);
    let noted = desk.events("case-noted").await;
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0]["data"]["by"], "max");
    // The forms for many cases do alike.
    let shown = mia.page("/desk/members/bob").await.expect(200);
    let form = "/desk/members/bob/decisions";
    let case = format!("{}:1", desk.case);
    let fields: Vec<_> = RULING.into_iter().chain([("cases", &*case)]).collect();
    let refused = max.fill(&shown, form, &fields).await.expect(403);
    assert!(refused.says("max is signed in now"));
    assert_eq!(refused.field("facts"), "Three messages.");
    assert!(desk.events("case-decided").await.is_empty());
    let sent = mia.fill(&shown, form, &fields).await;
    let act = mia.follow(&sent).await.expect(200);
    let form = format!("{}/reverse", sent.location().split('?').next().unwrap());
    let fields = [("reason", "mistake"), ("text", TYPED)];
    let refused = max.fill(&act, &form, &fields).await.expect(403);
    assert!(refused.says("max is signed in now"));
    assert_eq!(refused.field("text"), TYPED);
    // Signing out is no form to keep.
    let out = max.fill(&act, "/desk/sign-out", &[]).await.expect(403);
    assert_eq!(out.header("set-cookie"), "");
}

#[tokio::test]
async fn what_was_typed_is_shown_for_copying_where_no_page_can_show_the_form() {
    let desk = Desk::open().await;
    let mia = desk.sits("mia").await;
    let shown = desk.shown(&mia).await;
    let form = desk.form("notes");
    // Nobody's page, the page of a case of one's own, and one that is for other roles.
    let ann = anew(&desk, "ann", &[Role::Moderator]).await;
    let bob = anew(&desk, "bob", &[Role::Moderator]).await;
    let ada = anew(&desk, "ada", &[Role::Auditor]).await;
    for (sitting, status) in [(&ann, 409), (&bob, 404), (&ada, 403)] {
        let refused = sitting.fill(&shown, &form, FORMS[0].1).await;
        let refused = refused.expect(status);
        assert!(refused.says("What you had typed") && refused.says(TYPED));
        assert!(!refused.has_form(&form));
    }
    let none = form.replace(&desk.case, "6ab4bcf1-95df-52b5-9a4e-0f7f0f0b7d10");
    let hidden = shown.hidden(&form);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    fields.push(("text", TYPED));
    let sent = tests::pages::send(&desk.door, &none, &mia.cookie, &fields).await;
    let refused = sent.expect(404);
    assert!(refused.says(TYPED) && !refused.html.contains("<b>"));
    // Without its id a form cannot be sent once more, and is not lost either.
    fields.retain(|(name, _)| *name != "key");
    let sent = tests::pages::send(&desk.door, &form, &mia.cookie, &fields).await;
    assert!(sent.expect(400).says(TYPED));
    assert!(desk.events("case-noted").await.is_empty());
}
