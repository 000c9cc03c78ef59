//! What is said of a view of one's own: a parameter that narrows nothing, a view that cannot be served, and the worked
//! example in the documents, which is the file as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::event::Event;
use event_store::{LogId, RecordedEvent};
use projections::{
    Cursor, DomainCodec, List, Narrowed, Options, Order, OwnView, PageRequest, Part, QueryError,
    ReadSide, Staff, ViewName, Why,
};
use serde_json::value::{RawValue, to_raw_value};
use tables::key::Key;
use tables::{ApplyError, Tx, View};
use tests::views::World;
use uuid::Uuid;

use crate::views_own::first_contact::FirstContact;
use crate::views_own::narrowed;

/// What stands in a page between this line and the end of the block of code below it.
fn block<'p>(page: &'p str, mark: &str) -> &'p str {
    let (_, after) = page.split_once(mark).unwrap_or_else(|| panic!("no {mark}"));
    let (_, code) = after.split_once("```rust\n").unwrap();
    code.split_once("```\n").unwrap().0
}

/// The marks of a page that say where a block of code is from.
fn marks<'p>(page: &'p str, kind: &str) -> Vec<(&'p str, &'p str)> {
    let marks = page.lines().filter_map(|line| {
        let path = line.strip_prefix("<!-- ")?.strip_prefix(kind)?;
        Some((line, path.strip_suffix(" -->")?))
    });
    marks.collect()
}

#[test]
fn the_example_stands_in_the_documents_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let file = "projections/examples/first_contact.rs";
    let mut page = read("docs/views.md");
    let wholes = marks(&page, "the whole of ");
    let [(mark, path)] = wholes[..] else {
        panic!("{wholes:?}")
    };
    assert_eq!(path, file);
    if std::env::var_os("DOORSTEP_UPDATE_DOCS").is_some() {
        let (before, after) = page.split_once(mark).unwrap();
        let code = block(&page, mark).len();
        let (opening, rest) = after.split_once("```rust\n").unwrap();
        page = format!(
            "{before}{mark}{opening}```rust\n{}{}",
            read(file),
            &rest[code..]
        );
        std::fs::write(root.join("docs/views.md"), &page).unwrap();
    }
    let mark = format!("<!-- the whole of {file} -->");
    assert!(
        block(&page, &mark) == read(file),
        "docs/views.md has another first_contact.rs; DOORSTEP_UPDATE_DOCS=1 writes it anew"
    );
    for (page, least) in [("docs/views.md", 1), ("CONTRIBUTING.md", 2)] {
        let text = read(page);
        let parts = marks(&text, "from ");
        assert!(parts.len() >= least, "{page}: {parts:?}");
        for (mark, path) in parts {
            let code = block(&text, mark);
            assert!(
                read(path).contains(code),
                "{page}: this is not in {path}:\n{code}"
            );
        }
    }
}

/// What a trait lets its types say, by the source of it.
fn methods(source: &str, of: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("pub trait {of}")).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let names = body.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("    fn ")?.split_once('(')?;
        Some(name.to_owned())
    });
    names.collect()
}

#[test]
fn all_that_such_a_file_may_say_stands_in_the_documents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let page = read("docs/views.md");
    let (_, table) = page.split_once("## What the file says").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    for (of, file, least) in [
        ("View", "tables/src/view.rs", 10),
        ("OwnView", "projections/src/own_view.rs", 4),
    ] {
        let methods = methods(&read(file), of);
        assert!(methods.len() >= least, "{of}: {methods:?}");
        for method in methods {
            let first = format!("| `{of}::{method}`");
            let beside = format!(", `{method}`");
            let both = format!(", `{of}::{method}`");
            let told = table.lines().any(|line| {
                let cell = line.split(" | ").next().unwrap_or_default();
                [&first, &beside, &both]
                    .iter()
                    .any(|name| cell.contains(name.as_str()))
            });
            assert!(told, "docs/views.md does not say what `{of}::{method}` is");
        }
    }
}

#[test]
fn what_narrows_nothing_is_told_and_why() {
    let why = |given: &[(&str, &str)]| -> Vec<(String, Why)> {
        let wrong = narrowed(given).unwrap_err();
        wrong
            .into_iter()
            .map(|wrong| (wrong.name, wrong.why))
            .collect()
    };
    let takes = ["member", "week", "week_from", "week_to"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(
        why(&[("members", "ann"), ("member_from", "a"), ("week", "5")]),
        [
            ("member_from".to_owned(), Why::Unknown(takes.clone())),
            ("members".to_owned(), Why::Unknown(takes)),
            (
                "week".to_owned(),
                Why::Malformed("an ISO week such as `2004-W05`")
            ),
        ]
    );
    assert_eq!(
        why(&[("member", "ann"), ("member", "ann"), ("member", "ann")]),
        [("member".to_owned(), Why::Repeated)]
    );
    let lists = vec![vec!["member", "week"], vec!["week", "member"]];
    assert_eq!(
        why(&[("week", "2004-W05"), ("week_to", "2004-W07")]),
        [("week_to".to_owned(), Why::Unfit(lists))]
    );
    assert!(narrowed(&[]).is_ok());
    let names: Vec<String> = (0..1_000).map(|number| format!("p{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(why(&many).len(), 16, "not more than anybody reads");
}

const ROWS: &[List] = &[List {
    table: "rows",
    key: &[],
}];

/// A view that says of itself what a test wants, with a row an event at a key that no cursor bears.
struct Said {
    name: &'static str,
    lists: &'static [List],
    readers: &'static [Staff],
}

impl View<DomainCodec> for Said {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["rows"]
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        _: &Event<'_>,
    ) -> Result<(), ApplyError> {
        let key = Key::new().text(&"k".repeat(Cursor::KEY_BYTES_MAX));
        Ok(tx.put("rows", &key.u64(recorded.position().0), b"a row")?)
    }
}

impl OwnView for Said {
    fn lists(&self) -> &'static [List] {
        self.lists
    }

    fn readers(&self) -> &'static [Staff] {
        self.readers
    }

    fn item(&self, _: &[u8], _: &[u8]) -> anyhow::Result<Box<RawValue>> {
        Ok(to_raw_value("a row")?)
    }
}

#[tokio::test]
async fn a_view_that_cannot_be_served_does_not_open() {
    const READERS: &[Staff] = &[Staff::Operator];
    const LIMIT: &[List] = &[List {
        table: "rows",
        key: &[Part::number("limit")],
    }];
    const TWICE: &[List] = &[List {
        table: "rows",
        key: &[Part::number("at"), Part::text("at_from")],
    }];
    const NO_NAME: &[List] = &[List {
        table: "rows",
        key: &[Part::text("At")],
    }];
    const OTHER: &[List] = &[List {
        table: "columns",
        key: &[],
    }];
    let world = World::open(&[]);
    for (name, lists, readers, told) in [
        ("inbox", ROWS, READERS, "two views are named `inbox`"),
        ("In box", ROWS, READERS, "is not a name"),
        ("said", &[][..], READERS, "has no list"),
        ("said", ROWS, &[][..], "nobody may read it"),
        ("said", OTHER, READERS, "no table `columns`"),
        ("said", LIMIT, READERS, "parameter `limit`"),
        ("said", TWICE, READERS, "parameter `at_from`"),
        ("said", NO_NAME, READERS, "parameter `At`"),
    ] {
        let mut options = Options::in_memory();
        options.own = vec![Arc::new(Said {
            name,
            lists,
            readers,
        })];
        let Err(error) = ReadSide::open(options, world.log()).await else {
            panic!("{name} {lists:?}")
        };
        assert!(error.to_string().contains(told), "{error}");
    }
}

/// A read side with `said` and the worked example, come to the end of a world where ann has two first contacts.
async fn reads(said: Said) -> ReadSide {
    let mut world = World::open(&["ann", "bob", "cat"]);
    world.send("bob", "ann", "hi").unwrap();
    world.wait_days(7);
    world.send("cat", "ann", "hi").unwrap();
    let mut options = Options::in_memory();
    options.own = vec![Arc::new(FirstContact), Arc::new(said)];
    let reads = ReadSide::open(options, world.log()).await.unwrap();
    for view in reads.names() {
        let wait = reads.wait(view, world.position(), Duration::from_mins(2));
        wait.await.unwrap();
    }
    reads
}

fn said() -> Said {
    Said {
        name: "said",
        lists: ROWS,
        readers: &[Staff::Operator],
    }
}

#[tokio::test]
async fn a_cursor_is_of_its_log_and_its_view() {
    let reads = reads(said()).await;
    let asked = async |cursor: Option<Cursor>| {
        let page = PageRequest::new(1, cursor).unwrap();
        let all = narrowed(&[]).unwrap();
        reads
            .own_rows(&FirstContact, &all, Order::Ascending, &page)
            .await
    };
    let next = asked(None).await.unwrap().next.unwrap();
    let (mine, other) = (ViewName::Own("first_contact"), ViewName::Own("said"));
    assert_eq!(next.view, mine);
    let bytes = next.to_bytes();
    assert_eq!(Cursor::of(mine, &bytes).unwrap(), next);
    let read = Cursor::from_bytes(&bytes);
    assert!(
        matches!(read, Err(QueryError::BadCursor)),
        "no built-in view's"
    );
    for view in [other, ViewName::Inbox] {
        let read = Cursor::of(view, &bytes);
        assert!(matches!(read, Err(QueryError::BadCursor)), "{view}");
        let cursor = Cursor {
            view,
            ..next.clone()
        };
        let page = asked(Some(cursor)).await;
        assert!(matches!(page, Err(QueryError::BadCursor)), "{view}");
    }
    let elsewhere = Cursor {
        log_id: LogId(Uuid::from_u128(9)),
        ..next.clone()
    };
    let page = asked(Some(elsewhere)).await;
    assert!(matches!(page, Err(QueryError::OtherLog)));
    let last = asked(Some(next)).await.unwrap();
    assert_eq!((last.items.len(), last.next), (1, None));
    assert_eq!(reads.named("said"), Some(other));
    assert_eq!(reads.named("nothing"), None);
}

#[tokio::test]
async fn a_page_whose_cursor_would_be_too_long_is_a_defect_that_is_told() {
    let reads = reads(said()).await;
    let all = Narrowed::by(&said(), &[]).unwrap();
    let page = PageRequest::first(1).unwrap();
    let page = reads.own_rows(&said(), &all, Order::Ascending, &page).await;
    let Err(QueryError::Storage(error)) = page else {
        panic!("{page:?}")
    };
    assert!(
        error.to_string().contains("too long for a cursor"),
        "{error}"
    );
}
