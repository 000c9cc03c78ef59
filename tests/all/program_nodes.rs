//! Three services over one log, and the college workload dealt out to them by chance: each command is sent twice, to two
//! nodes, at once, one after the other or much later, while nodes are killed and come back.
//!
//! What the log has then is compared, stream for stream and event for event, with what one node alone makes of the same
//! commands in their order; each answered command is in it once, and the views of all nodes, and of a new one, are the same
//! rows. Left out of the comparison is what no rule decides: positions and times of recording, and the reactor's
//! checkpoints, which say how far it was and not what it did.
//!
//! A slice is carried out, by a seed that is printed. `DOORSTEP_NODES_SEED` sets it, `DOORSTEP_NODES_MESSAGES` how many
//! messages of the workload are taken (59,835 are all of them; use `--release`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use commands::{CommandError, CommandHandler, Mode, Options};
use domain::ids::correlation_id;
use domain::policy::Rules;
use doorstep::line::{Line, LineCommand};
use doorstep::workload::Workload;
use event_store::{EmbeddedStore, EventStore, Position, RecordedEvent};
use futures::StreamExt as _;
use futures::future::Either;
use futures::stream::FuturesUnordered;
use projections::ReadSide;
use serde_json::Value;
use tests::college;
use tests::commands::store_options;
use tests::nodes::{Answered, Chance, Nodes};
use tests::store::all_events;
use tokio::task::JoinHandle;

/// Messages of the workload in a usual run.
const MESSAGES: usize = 300;
/// The seed of a usual run.
const SEED: u64 = 4;
const NODES: usize = 3;
/// Commands that are on their way at once.
const AT_ONCE: usize = 16;
/// Kills of a usual run; a longer one has as many for as many commands.
const COMMANDS_A_KILL: usize = 250;
/// Refusals of one member that are recorded within a day of the clock, less than a node's bound: each node counts for
/// itself, and what is beyond it leaves no event.
const REFUSALS_MAX: u32 = 90;
/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(10);

fn number_of(variable: &str) -> Option<u64> {
    let set = std::env::var(variable).ok()?;
    Some(set.parse().expect("a number"))
}

/// An event, without what no rule decides.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    event_type: String,
    at_ms: i64,
    event_id: uuid::Uuid,
    command_id: String,
    causation: uuid::Uuid,
    actor: String,
    last_number: Option<u64>,
    data: Value,
}

fn told(record: &RecordedEvent) -> Told {
    let mut data: Value = serde_json::from_slice(record.data()).expect("JSON");
    if let Some(evidence) = data.get_mut("evidence").and_then(Value::as_object_mut) {
        // How far the streams of the two were, in which their first contacts with others count as well.
        evidence.remove("sender_version");
        evidence.remove("recipient_version");
    }
    Told {
        event_type: record.event_type().to_owned(),
        at_ms: record.at_ms(),
        event_id: record.event_id(),
        command_id: record.command_id().to_owned(),
        causation: record.causation_id(),
        actor: record.actor().to_owned(),
        last_number: record.last_number(),
        data,
    }
}

type Streams = BTreeMap<String, Vec<Told>>;

/// The events by stream, in the order of their versions.
fn by_stream(log: &[RecordedEvent]) -> Streams {
    let mut streams = Streams::new();
    for record in log {
        if record.stream().starts_with("reactor-") {
            continue;
        }
        let events = streams.entry(record.stream().to_owned()).or_default();
        assert_eq!(record.version(), events.len() as u64, "{}", record.stream());
        events.push(told(record));
    }
    streams
}

/// What one node alone makes of the workload.
struct Alone {
    /// The lines, but for those whose refusal would not be recorded.
    lines: Vec<Line>,
    /// What each came to: the code of its refusal, if it was refused.
    refused: Vec<Option<&'static str>>,
    /// Which lines must have been answered before each is sent, for its outcome to follow from the rules.
    after: Vec<Vec<usize>>,
    /// Which lines may open a request.
    first_contacts: Vec<bool>,
    log: Vec<RecordedEvent>,
}

impl Alone {
    async fn carry_out(messages: usize) -> Self {
        let mut workload = Workload::read(&college::messages(), &college::texts()).unwrap();
        workload.contacts.truncate(messages);
        let dir = tempfile::tempdir().unwrap();
        let embedded = EmbeddedStore::open(dir.path(), store_options()).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(embedded.clone());
        let mut options = Options::new(None, Mode::Service, Arc::new(Rules::default()));
        options.recorded_refusals_per_day_max = REFUSALS_MAX;
        let handler = CommandHandler::start(Arc::clone(&store), options)
            .await
            .unwrap();
        let (mut lines, mut refused, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let mut first_contacts = Vec::new();
        let mut order = Order::default();
        for line in workload.lines().unwrap() {
            let code = match handler.handle(line.envelope()).await {
                Ok(_) => None,
                Err(CommandError::Refused(refusal)) => Some(refusal.code().as_str()),
                Err(CommandError::RateLimited) => continue,
                Err(error) => panic!("{line:?}: {error}"),
            };
            let (before, is_first) = order.of(&line, lines.len(), code.is_none());
            after.push(before);
            first_contacts.push(is_first);
            lines.push(line);
            refused.push(code);
        }
        handler.drain_reactors().await.unwrap();
        handler.stop().await;
        let log = all_events(&*store).await;
        embedded.close();
        Self {
            lines,
            refused,
            after,
            first_contacts,
            log,
        }
    }
}

/// Which commands have to come one after the other for what they come to, to be what the rules say of them in their order:
/// those of one conversation; what counts on one member's stream, which is first contacts and reports; reports of one
/// member, since each case tells how many there were before. All others may pass each other.
#[derive(Default)]
struct Order {
    last: HashMap<String, usize>,
    begun: HashSet<String>,
}

impl Order {
    /// Which earlier lines a line waits for, and whether it may open a request.
    fn of(&mut self, line: &Line, index: usize, done: bool) -> (Vec<usize>, bool) {
        let mut is_first = false;
        let pair = |one: &domain::MemberId, other: &domain::MemberId| {
            domain::ConversationId::of(one, other).to_string()
        };
        let counts = |member: &domain::MemberId| format!("member-{member}");
        let known = |member: &domain::MemberId| format!("known-{member}");
        let (writes, reads) = if let LineCommand::RegisterMember { member, .. }
        | LineCommand::ChangeDmSetting { member, .. } = &line.command
        {
            (vec![counts(member), known(member)], Vec::new())
        } else if let LineCommand::SendMessage { member, to, .. } = &line.command {
            let pair = pair(member, to);
            is_first = !self.begun.contains(&pair);
            if done {
                self.begun.insert(pair.clone());
            }
            let count = is_first.then(|| counts(member));
            let writes = std::iter::once(pair).chain(count).collect();
            (writes, vec![known(member), known(to)])
        } else if let LineCommand::ReportMessage { member, with, .. } = &line.command {
            let reported = format!("reported-{with}");
            let writes = vec![pair(member, with), counts(member), reported];
            (writes, Vec::new())
        } else {
            panic!("no line of the college: {line:?}");
        };
        let earlier = writes.iter().chain(&reads);
        let mut after: Vec<usize> = earlier
            .filter_map(|key| self.last.get(key).copied())
            .collect();
        after.sort_unstable();
        after.dedup();
        for key in writes {
            self.last.insert(key, index);
        }
        (after, is_first)
    }
}

/// When the second copy of a command is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Together,
    AfterTheFirst,
    AtTheEnd,
}

/// The two answers to each line, and how often it was sent.
struct Dealt {
    answers: Vec<[Answered; 2]>,
    sent: usize,
    kills: usize,
}

type Copy = JoinHandle<(Answered, usize)>;

/// Deals the lines out, while nodes are killed.
async fn deal_out(nodes: &Arc<Nodes>, alone: &Alone, seed: u64) -> Dealt {
    let count = alone.lines.len();
    let mut chance = Chance::of(seed, 0);
    let mut waits: Vec<usize> = alone.after.iter().map(Vec::len).collect();
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, after) in alone.after.iter().enumerate() {
        for before in after {
            next[*before].push(index);
        }
    }
    let mut ready: Vec<usize> = (0..count).filter(|index| waits[*index] == 0).collect();
    let lines: Vec<Arc<Line>> = alone.lines.iter().cloned().map(Arc::new).collect();
    let ask = |index: usize, node: usize| -> Copy {
        let (nodes, line) = (Arc::clone(nodes), Arc::clone(&lines[index]));
        tokio::spawn(async move { nodes.ask(&line, node).await })
    };
    let mut first = FuturesUnordered::new();
    let mut seconds: Vec<(usize, Copy)> = Vec::new();
    let mut late: Vec<(usize, usize)> = Vec::new();
    let mut answers: Vec<Vec<Answered>> = vec![Vec::new(); count];
    let (mut sent, mut kills, mut done) = (0, 0, 0);
    let mut killing: Option<JoinHandle<()>> = None;
    let mut kill_at = COMMANDS_A_KILL / 2;
    while done < count {
        while first.len() < AT_ONCE && !ready.is_empty() {
            let index = ready.swap_remove(chance.below(ready.len()));
            let node = chance.below(nodes.count());
            let other = (node + 1 + chance.below(nodes.count() - 1)) % nodes.count();
            let second = match chance.below(4) {
                0 | 1 => Second::Together,
                2 => Second::AfterTheFirst,
                _ => Second::AtTheEnd,
            };
            let one = ask(index, node);
            let two = (second == Second::Together).then(|| ask(index, other));
            let is_first = alone.first_contacts[index];
            first.push(async move {
                // Whichever is answered first lets the next command of the conversation go. But days lie between the
                // first contacts of the workload, which are moments here, and a slot of the daily limit that was taken
                // days ago is forgotten: who may take one waits for both.
                let (mut answered, mut left) = match two {
                    None => (vec![one.await], None),
                    Some(two) => match futures::future::select(one, two).await {
                        Either::Left((answered, two)) => (vec![answered], Some(two)),
                        Either::Right((answered, one)) => (vec![answered], Some(one)),
                    },
                };
                if is_first && let Some(other) = left.take() {
                    answered.push(other.await);
                }
                (index, answered, left, second, other)
            });
        }
        let Some((index, answered, left, second, other)) = first.next().await else {
            panic!("nothing is ready, and {done} of {count} are done");
        };
        done += 1;
        for answer in answered {
            let (answered, times) = answer.expect("no panic");
            sent += times;
            answers[index].push(answered);
        }
        match (left, second) {
            (Some(left), _) => seconds.push((index, left)),
            (None, Second::Together) => {}
            (None, Second::AfterTheFirst) => seconds.push((index, ask(index, other))),
            (None, Second::AtTheEnd) => late.push((index, other)),
        }
        for after in &next[index] {
            waits[*after] -= 1;
            if waits[*after] == 0 {
                ready.push(*after);
            }
        }
        if done >= kill_at && killing.as_ref().is_none_or(JoinHandle::is_finished) {
            if let Some(killing) = killing.take() {
                killing.await.expect("no panic");
            }
            kill_at = done + COMMANDS_A_KILL / 2 + chance.below(COMMANDS_A_KILL);
            let one = chance.below(nodes.count());
            // Now and then two at once.
            let other = (chance.below(3) == 0).then(|| (one + 1) % nodes.count());
            kills += 1 + usize::from(other.is_some());
            let nodes = Arc::clone(nodes);
            killing = Some(tokio::spawn(async move {
                nodes.kill_one(one).await;
                if let Some(other) = other {
                    nodes.kill_one(other).await;
                    nodes.start_one(other).await;
                }
                nodes.start_one(one).await;
            }));
        }
    }
    if let Some(killing) = killing {
        killing.await.expect("no panic");
    }
    while !late.is_empty() {
        let some = late.len().min(AT_ONCE);
        let asked: Vec<_> = (0..some)
            .map(|_| late.swap_remove(chance.below(late.len())))
            .map(|(index, node)| (index, ask(index, node)))
            .collect();
        for (index, copy) in asked {
            let (answered, times) = copy.await.expect("no panic");
            sent += times;
            answers[index].push(answered);
        }
    }
    for (index, copy) in seconds {
        let (answered, times) = copy.await.expect("no panic");
        sent += times;
        answers[index].push(answered);
    }
    let answers = answers.into_iter().map(|two| two.try_into().expect("two"));
    Dealt {
        answers: answers.collect(),
        sent,
        kills,
    }
}

/// Waits until the log has as many events of a type.
async fn has_so_many(store: &dyn EventStore, beginning: &str, count: usize) {
    let counted = async {
        let mut following = store.subscribe(Position::START).await.unwrap();
        let mut found = 0;
        while found < count {
            let events = following.next().await.unwrap();
            found += events
                .iter()
                .filter(|event| event.event_type().starts_with(beginning))
                .count();
        }
    };
    let in_time = tokio::time::timeout(LONG, counted).await;
    in_time.expect("what follows is done in time");
}

/// Whether both answers to each line are one, and are what the rules say of it; and whether it is in the log just once.
fn check_answers(alone: &Alone, dealt: &Dealt, log: &[RecordedEvent]) {
    let mut own: HashMap<uuid::Uuid, Vec<&RecordedEvent>> = HashMap::new();
    for record in log {
        own.entry(record.causation_id()).or_default().push(record);
    }
    for ((line, [one, other]), refused) in
        alone.lines.iter().zip(&dealt.answers).zip(&alone.refused)
    {
        assert_eq!(one, other, "{line:?}");
        let code = one.body["code"].as_str();
        assert_eq!(code, *refused, "{line:?}: {one:?}");
        assert_eq!(one.status < 300, refused.is_none(), "{line:?}: {one:?}");
        let envelope = line.envelope();
        let correlation = correlation_id(envelope.actor.as_str(), envelope.command_id.as_str());
        let events = own.get(&envelope.ids().1).cloned().unwrap_or_default();
        // A step on another stream, such as a slot, is the command's as well.
        let steps = ["request-slot-taken.v1", "report-counted.v1"];
        let answered: Vec<_> = events
            .iter()
            .filter(|event| !steps.contains(&event.event_type()))
            .collect();
        assert!(!answered.is_empty(), "{line:?} is not in the log");
        let streams: HashSet<&str> = answered.iter().map(|event| event.stream()).collect();
        assert_eq!(streams.len(), 1, "{line:?}: {answered:?}");
        let together = answered
            .windows(2)
            .all(|two| two[0].version() + 1 == two[1].version());
        assert!(together, "{line:?} is there more than once: {answered:?}");
        let ids: HashSet<uuid::Uuid> = answered.iter().map(|event| event.event_id()).collect();
        assert_eq!(ids.len(), answered.len(), "{line:?}: {answered:?}");
        assert!(
            events
                .iter()
                .all(|event| event.correlation_id() == correlation)
        );
        if refused.is_none() {
            let last = answered.last().expect("one").position().0;
            assert_eq!(one.position, Some(last), "{line:?}: {one:?}");
        }
    }
}

/// Whether two logs are the same, stream for stream.
fn check_streams(found: &Streams, expected: &Streams) {
    let names = |streams: &Streams| streams.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "the streams");
    for (stream, expected) in expected {
        let found = &found[stream];
        for (version, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "{stream} at {version}");
        }
        assert_eq!(found.len(), expected.len(), "{stream}: {found:#?}");
    }
}

/// The digests of all views of a data folder, once they have come to the log's end.
async fn digests(data: &Path, store: &Arc<dyn EventStore>) -> BTreeMap<&'static str, String> {
    let options = projections::Options::in_dir(data.join("views"));
    let reads = ReadSide::open(options, Arc::clone(store)).await.unwrap();
    let end = store.durable_position();
    let mut digests = BTreeMap::new();
    for status in reads.runner().states() {
        let view = reads.runner().view(status.view).unwrap();
        view.wait(end, LONG).await.unwrap();
        let rows = tables::digest(&view.reader().unwrap()).unwrap();
        digests.insert(status.view, format!("{} rows, {rows}", rows.rows));
    }
    reads.stop().await.unwrap();
    digests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_on_one_log_do_what_one_does_however_often_they_are_asked_and_killed() {
    let seed = number_of("DOORSTEP_NODES_SEED").unwrap_or(SEED);
    let messages = number_of("DOORSTEP_NODES_MESSAGES");
    let messages = messages.map_or(MESSAGES, |messages| usize::try_from(messages).unwrap());
    eprintln!("DOORSTEP_NODES_SEED={seed} DOORSTEP_NODES_MESSAGES={messages}");
    let alone = Alone::carry_out(messages).await;
    let nodes = Nodes::start(NODES, &[]).await;
    let dealt = deal_out(&nodes, &alone, seed).await;
    eprintln!(
        "{} commands, sent {} times, {} kills",
        alone.lines.len(),
        dealt.sent,
        dealt.kills
    );

    let adapter = nodes.open_log().await;
    let store: Arc<dyn EventStore> = Arc::new(adapter.clone());
    let joined = |log: &[RecordedEvent]| {
        let joined = log
            .iter()
            .filter(|event| event.event_type().starts_with("report-joined."));
        joined.count()
    };
    let reports = joined(&alone.log);
    assert!(reports > 0, "the workload reports");
    has_so_many(&*store, "report-joined.", reports).await;
    nodes.stop().await;
    let log = all_events(&*store).await;
    check_answers(&alone, &dealt, &log);
    check_streams(&by_stream(&log), &by_stream(&alone.log));

    let new = digests(&nodes.folder("new"), &store).await;
    let named = projections::names();
    assert!(named.iter().all(|view| new.contains_key(view)), "{new:?}");
    for number in 0..nodes.count() {
        let rows = digests(nodes.data(number), &store).await;
        assert_eq!(rows, new, "node {number}");
    }
    adapter.close();
}
