//! The college workload, every message of it: carried out while the views follow, in processes killed for real on the way
//! and one stopped in order. What the views have then is what the log gives, and what an auditor is told of the middle of
//! the period is what stood then.
//!
//! The child is this test binary, run again with one test and a folder in its environment. The tests share one log.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use domain::conversation::RequestState;
use domain::ids::{CaseId, ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::{EventStore, Position, RecordedEvent};
use futures::StreamExt as _;
use projections::{Answer, DomainCodec, Options, OwnView, PairFacts, PairItem, ReadSide, When};
use tables::{RebuildOptions, Runner, RunnerHandle, RunnerOptions, View, digest};
use tempfile::TempDir;
use tests::eventful::{Writing, middle_of_the_period, some_members};
use tests::killed;
use tests::store::all_events;
use tests::views::id;

use crate::audit_views::{compare_cases, compare_member, fresh};
use crate::views_own::first_contact::FirstContact;

const CHILD_DIR: &str = "DOORSTEP_COLLEGE_KILL_DIR";
/// How many messages are durable when a child is killed.
const KILLED_AT: [usize; 3] = [12_000, 25_000, 43_000];
/// And when the one after them is stopped in order.
const STOPPED_AT: usize = 52_000;
const LONG: Duration = Duration::from_mins(5);
/// Later than all that happens here.
const CLOCK: Timestamp = Timestamp(4_000_000_000_000);

#[test]
fn the_importing_child_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    runtime().block_on(async {
        let writing = Writing::open(dir).await;
        // Often, so that kills fall on all sides of the checkpoints of some view.
        let options = RunnerOptions {
            checkpoint_every: Duration::from_millis(500),
            checkpoint_events: 5_000,
            ..RunnerOptions::in_dir(dir.join("views"))
        };
        let store = Arc::clone(&writing.store);
        let views = Runner::start(store, DomainCodec, every_view(), options);
        let views = views.await.unwrap();
        killed::tell(&format!("went on {}", went_on(&views)));
        let told = |messages| {
            killed::tell(&format!("durable {messages}"));
            ControlFlow::Continue(())
        };
        writing.carry_out(&views, told).await;
    });
}

/// Views of one's own: those that are listed, and the worked example.
fn own() -> Vec<Arc<dyn OwnView>> {
    let mut own = projections::own_views();
    own.push(Arc::new(FirstContact));
    own
}

/// Every view that can run, the worked example of one's own among them.
pub(crate) fn every_view() -> Vec<Arc<dyn View<DomainCodec>>> {
    let own = own()
        .into_iter()
        .map(|view| view as Arc<dyn View<DomainCodec>>);
    projections::views().into_iter().chain(own).collect()
}

/// One thread: commands that are decided one after the other wake nobody else.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// How many views go on from a checkpoint, at the opening.
fn went_on(views: &RunnerHandle) -> usize {
    let states = views.states();
    let beyond = states
        .iter()
        .filter(|status| status.durable > Position::START);
    beyond.count()
}

/// The log that was written through all kills, and the views that followed it.
struct Imported {
    runtime: tokio::runtime::Runtime,
    store: Arc<dyn EventStore>,
    reads: ReadSide,
    writing: Writing,
    /// At each opening after a kill, how many views went on from a checkpoint.
    went_on: Vec<usize>,
    dir: TempDir,
}

impl Drop for Imported {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            let _ = self.reads.stop().await;
            self.writing.stop().await;
        });
    }
}

/// Whoever comes first imports; the log goes when nobody has it any more.
fn imported() -> Arc<Imported> {
    static SHARED: Mutex<Weak<Imported>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(imported) = shared.upgrade() {
        return imported;
    }
    let imported = Arc::new(import());
    *shared = Arc::downgrade(&imported);
    imported
}

fn import() -> Imported {
    let dir = tempfile::tempdir().unwrap();
    let mut went_on_after = KILLED_AT.map(|at| killed(dir.path(), at)).to_vec();
    let runtime = runtime();
    let (writing, reads) = runtime.block_on(async {
        let open = async || {
            let writing = Writing::open(dir.path()).await;
            let mut options = Options::in_dir(dir.path().join("views"));
            options.own = own();
            let reads = ReadSide::open(options, Arc::clone(&writing.store));
            (writing, reads.await.unwrap())
        };
        let (writing, reads) = open().await;
        went_on_after.push(went_on(reads.runner()));
        let enough = |messages| match messages {
            STOPPED_AT.. => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        writing.carry_out(reads.runner(), enough).await;
        reads.stop().await.unwrap();
        writing.stop().await;

        let (writing, reads) = open().await;
        let on = |_| ControlFlow::Continue(());
        writing.carry_out(reads.runner(), on).await;
        let end = writing.store.durable_position();
        reads.runner().wait_all(end, LONG).await.unwrap();
        (writing, reads)
    });
    Imported {
        store: Arc::clone(&writing.store),
        runtime,
        reads,
        writing,
        went_on: went_on_after.split_off(1),
        dir,
    }
}

/// Runs a child until so many messages are durable, and kills it. How many views went on from a checkpoint.
fn killed(dir: &Path, at: usize) -> usize {
    let (mut went_on, mut durable) = (None, 0);
    let test = "college_replay::the_importing_child_that_is_killed";
    let told = [(CHILD_DIR, dir.to_string_lossy().into_owned())];
    let reached = killed::when(test, &told, |line| {
        if let Some(views) = line.strip_prefix("went on ") {
            went_on = views.parse().ok();
        }
        if let Some(messages) = line.strip_prefix("durable ") {
            durable = messages.parse().unwrap();
        }
        durable >= at
    });
    assert!(reached, "the child ended by itself at {durable}");
    went_on.expect("a child tells how it began")
}

#[test]
fn killed_on_the_way_every_view_of_the_whole_college_has_the_bytes_of_a_rebuild() {
    let imported = imported();
    assert!(
        imported.went_on.iter().all(|views| *views > 0),
        "none went on from a checkpoint: {:?}",
        imported.went_on
    );
    let end = imported.store.durable_position();
    let views = futures::stream::iter(every_view());
    let compared = views.for_each_concurrent(2, |view| compare(&imported, view, end));
    imported.runtime.block_on(compared);
}

/// The rows of a view that followed, against those that are made of the log in a file aside.
async fn compare(imported: &Imported, view: Arc<dyn View<DomainCodec>>, until: Position) {
    let name = view.name();
    let followed = imported.reads.runner().view(name).unwrap();
    let followed = followed.reader().unwrap();
    assert_eq!(followed.checkpoint().position, until, "{name}");
    let aside = imported.dir.path().join(format!("{name}.aside"));
    let rebuilt = tables::rebuild(
        Arc::clone(&imported.store),
        Arc::new(DomainCodec),
        view,
        &aside,
        until,
        RebuildOptions::default(),
        |_| {},
    );
    // Its rows are read as long as it is open.
    let rebuilt = rebuilt.await.unwrap();
    let (followed, made) = (
        digest(&followed).unwrap(),
        digest(&rebuilt.file.reader()).unwrap(),
    );
    assert_eq!(followed, made, "rows of {name}");
    assert!(made.rows > 0, "{name} has no rows");
}

#[test]
fn of_200_members_of_the_whole_college_the_middle_of_the_period_is_as_it_was() {
    let imported = imported();
    imported.runtime.block_on(async {
        let past = imported.reads.past(LONG).await.unwrap();
        let middle = When::Time(middle_of_the_period());
        let moment = past.moment(middle, CLOCK).await.unwrap();
        assert!(moment.position < past.end());
        let events = all_events(&*imported.store).await;
        let fresh = fresh(&events, moment.position).await;
        let members = some_members(200);
        assert_eq!(members.len(), 200);
        let until = events.partition_point(|event| event.position() <= moment.position);
        let unsent = of_type(&events[..until], "message-unsent.");
        let unsent: HashSet<&str> = unsent.map(RecordedEvent::stream).collect();
        let mut met = Met::default();
        let known = fresh.past(LONG).await.unwrap();
        for member in &members {
            compare_member(&fresh, &past, member, moment).await;
            for pair in past.conversations(member, moment.position).unwrap() {
                let cid = pair.conversation_id;
                let then = past.relationship(cid, moment).await.ok();
                assert_eq!(then, known.relationship(cid, moment).await.ok());
                let stream = domain::conversation::stream(cid);
                met.unsent += usize::from(unsent.contains(&*stream));
                met.note(&fresh, member, &pair, then).await;
            }
        }
        assert!(
            met.suspended > 0 && met.frozen > 0 && met.unsent > 0,
            "{met:?}"
        );
        let cases = cases_by(&events[..until]);
        assert!(cases.len() >= 200, "{} cases", cases.len());
        let some: Vec<CaseId> = cases.iter().copied().step_by(cases.len() / 50).collect();
        compare_cases(&fresh, &past, &some, moment).await;
    });
}

/// How many of the conversations that were compared are of a kind that must be among them.
#[derive(Debug, Default)]
struct Met {
    /// A message of it was unsent.
    unsent: usize,
    /// The other member was suspended.
    suspended: usize,
    /// And what waited of theirs was hidden for it.
    frozen: usize,
}

impl Met {
    async fn note(
        &mut self,
        fresh: &ReadSide,
        member: &MemberId,
        pair: &PairItem,
        known: Option<Answer<PairFacts>>,
    ) {
        let other = fresh.member(&pair.with).await.unwrap().value;
        if other.suspension.is_none() {
            return;
        }
        self.suspended += 1;
        let sides = known.map(|known| known.value.sides);
        let mut own = sides.iter().flatten().filter(|side| side.member == *member);
        self.frozen += usize::from(own.any(|side| side.request == RequestState::Pending));
    }
}

fn of_type<'e>(
    events: &'e [RecordedEvent],
    begins: &'e str,
) -> impl Iterator<Item = &'e RecordedEvent> {
    let of_type = move |event: &&RecordedEvent| event.event_type().starts_with(begins);
    events.iter().filter(of_type)
}

/// The cases that the reports among these events opened.
fn cases_by(events: &[RecordedEvent]) -> BTreeSet<CaseId> {
    let cases = of_type(events, "messages-reported.").map(|event| {
        let mut members = event.members();
        let [reporter, reported] = [(); 2].map(|()| id(members.next().unwrap()));
        CaseId::of(ConversationId::of(&reporter, &reported), &reported)
    });
    cases.collect()
}
