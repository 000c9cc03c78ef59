//! A view of one's own in two versions at once: rows are read by the code of the version that made them, over a switch and
//! the way back.

use std::sync::Arc;

use api::Role;
use domain::event::Event;
use event_store::RecordedEvent;
use projections::{DomainCodec, List, OwnView, Part, ReadSide, Staff, rows};
use reqwest::Method;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tables::key::Key;
use tables::{ApplyError, Tx, View};
use tests::api::{Door, Setting};
use tests::views::World;

use crate::api_own_views::{Knocks, door, setting};

/// The next version of `knocks`: by whose door it is, in rows of another shape, for the host alone. Which version before
/// it is followed, and which is read, a test says.
struct Doors {
    followed: Option<Arc<dyn View<DomainCodec>>>,
    read: Option<Arc<dyn OwnView>>,
}

impl View<DomainCodec> for Doors {
    fn name(&self) -> &'static str {
        "knocks"
    }

    fn version(&self) -> u32 {
        4
    }

    fn earlier(&self) -> Option<Arc<dyn View<DomainCodec>>> {
        self.followed.clone()
    }

    fn tables(&self) -> &'static [&'static str] {
        &["doors"]
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        if let Event::Conversation(domain::conversation::Event::RequestOpened(opened)) = decoded {
            let (to, position) = (opened.to.as_str(), recorded.position().0);
            let key = Key::new().text(to).u64(position);
            return rows::store(tx, "doors", &key, &(position, to, opened.from.as_str()));
        }
        Ok(())
    }
}

impl OwnView for Doors {
    fn lists(&self) -> &'static [List] {
        const LISTS: &[List] = &[List {
            table: "doors",
            key: &[Part::text("door")],
        }];
        LISTS
    }

    fn readers(&self) -> &'static [Staff] {
        &[Staff::Service]
    }

    fn item(&self, _key: &[u8], row: &[u8]) -> anyhow::Result<Box<RawValue>> {
        let (_, door, by): (u64, &str, &str) = rows::decode("doors", row)?;
        Ok(to_raw_value(&json!({"door": door, "by": by}))?)
    }

    fn before(&self) -> Option<Arc<dyn OwnView>> {
        self.read.clone()
    }
}

/// The release that has both versions.
fn next_release() -> Setting {
    let doors = Doors {
        followed: Some(Arc::new(Knocks)),
        read: Some(Arc::new(Knocks)),
    };
    Setting {
        own: vec![Arc::new(doors)],
        ..setting()
    }
}

/// What `knocks` answers to a role: its first row, or why there is none.
async fn asked(door: &Door, role: Role, query: &str) -> Result<Value, (u16, String)> {
    let path = format!("/v1/views/knocks?{query}");
    let reply = door.get(&path, &door.token("otto", &[role])).await;
    if reply.status == 200 {
        Ok(reply.json()["items"][0].clone())
    } else {
        Err(reply.failure())
    }
}

fn refused(status: u16, code: &str) -> Result<Value, (u16, String)> {
    Err((status, code.to_owned()))
}

/// The rows are those of the version before, read as that one says, to whom and by what it says.
async fn are_of_the_version_before(door: &Door) {
    let row = Ok(json!({"from": "zoe", "to": "ann"}));
    assert_eq!(asked(door, Role::Moderator, "").await, row);
    assert_eq!(asked(door, Role::Moderator, "from=zoe").await, row);
    let unknown = refused(400, "invalid_query");
    assert_eq!(asked(door, Role::Moderator, "door=ann").await, unknown);
    let forbidden = refused(403, "forbidden");
    assert_eq!(asked(door, Role::Service, "").await, forbidden);
}

/// The same of the newest.
async fn are_of_the_newest(door: &Door) {
    let row = |door: &str| Ok(json!({"door": door, "by": "zoe"}));
    assert_eq!(asked(door, Role::Service, "").await, row("ann"));
    assert_eq!(asked(door, Role::Service, "door=cat").await, row("cat"));
    let unknown = refused(400, "invalid_query");
    assert_eq!(asked(door, Role::Service, "from=zoe").await, unknown);
    let forbidden = refused(403, "forbidden");
    assert_eq!(asked(door, Role::Moderator, "").await, forbidden);
}

#[tokio::test]
async fn rows_are_read_as_the_version_says_that_made_them() {
    let door = door().await.reopen(next_release()).await;
    are_of_the_version_before(&door).await;
    let both = door.token("otto", &[Role::Service, Role::Moderator, Role::Operator]);
    let first = "/v1/views/knocks?limit=1";
    let page = door.get(first, &both).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();

    door.reads.runner().rebuild("knocks").await.unwrap();
    are_of_the_newest(&door).await;
    let on = format!("{first}&cursor={cursor}");
    let of_the_other = door.get(&on, &both).await;
    assert_eq!(
        of_the_other.failure(),
        (400, "invalid_query".to_owned()),
        "its keys are others"
    );

    let back = "/v1/views/knocks/rollback";
    let back = door.call(Method::POST, back, &both, Value::Null).await;
    let _ = back.expect(200);
    are_of_the_version_before(&door).await;
    let page = door.get(&on, &both).await.expect(200).json();
    assert_eq!(page["items"], json!([{"from": "zoe", "to": "bob"}]));

    let door = door.reopen(next_release()).await;
    are_of_the_version_before(&door).await;
}

/// `knocks` once more, in a version of its own.
struct Other;

impl View<DomainCodec> for Other {
    fn name(&self) -> &'static str {
        Knocks.name()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        Knocks.tables()
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        Knocks.apply(tx, recorded, decoded)
    }
}

#[tokio::test]
async fn a_view_that_is_followed_in_a_version_which_it_cannot_read_does_not_open() {
    let world = World::open(&[]);
    let opened = async |doors: Doors| {
        let mut options = projections::Options::in_memory();
        options.own = vec![Arc::new(doors)];
        let opened = ReadSide::open(options, world.log()).await;
        opened.map(drop).map_err(|error| error.to_string())
    };
    let knocks = || Some(Arc::new(Knocks) as Arc<dyn OwnView>);
    for (followed, read, told) in [
        (
            Some(Arc::new(Knocks) as Arc<dyn View<DomainCodec>>),
            None,
            "`earlier` gives version 3 of `knocks`, `before` none",
        ),
        (
            None,
            knocks(),
            "`earlier` gives none, `before` version 3 of `knocks`",
        ),
        (
            Some(Arc::new(Other) as Arc<dyn View<DomainCodec>>),
            knocks(),
            "`earlier` gives version 2 of `knocks`, `before` version 3 of `knocks`",
        ),
    ] {
        let error = opened(Doors { followed, read }).await.unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    let (followed, read) = (None, None);
    opened(Doors { followed, read }).await.unwrap();
}
