//! A service with a sample to try: three members whom anyone may act as at `/try`, and one whom nobody may.

use std::sync::Arc;

use api::{Options, Trial, TrialMember};
use domain::ids::MemberId;

use crate::api::{Door, Setting};

/// The members of the sample.
pub const SAMPLE: [&str; 3] = ["ann", "bob", "cat"];

/// Opens it; `zed` is registered and not of the sample.
pub async fn door() -> Door {
    let id = |id: &str| MemberId::new(id).unwrap();
    let members = SAMPLE.map(|member| TrialMember {
        id: id(member),
        about: String::new(),
    });
    let trial = Trial {
        members: members.to_vec(),
        first: [id("bob"), id("ann")],
        listens: "192.0.2.7:7070".parse().unwrap(),
    };
    let door = Door::open_with(Setting {
        api: Options {
            trial: Some(Arc::new(trial)),
            ..Options::default()
        },
        ..Setting::default()
    })
    .await;
    for member in SAMPLE.into_iter().chain(["zed"]) {
        door.register(member).await;
    }
    door
}

/// Texts that a page may trip over: each shows as text, and breaks no layout.
pub fn hostile_texts() -> Vec<String> {
    vec![
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\"></textarea></div>".into(),
        "&lt;b&gt; &amp; \" ' ` {{ 7 * 7 }} {% raw %} <!-- --> ]]>".into(),
        "\u{202e}\u{2066}right to left \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d}\u{628}\u{627}\u{202d} and never back".into(),
        "\u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{1f3fd}\u{20e3} Z\u{351}\u{36b}\u{343}\u{36a}\u{302}a\u{334}\u{335}\u{31e}l\u{310}g\u{307}o".into(),
        "\u{200b}\u{200b}\u{feff}\u{2060}\u{200d}zero\u{200b}width\u{200b}".into(),
        format!("one line\n\n{}\n\tand a tab", "many\n".repeat(40)),
        "W".repeat(999),
        // 8 KiB of one letter: one grapheme, with marks above and below it.
        format!("a{}", "\u{301}\u{316}".repeat(2_047)),
    ]
}
