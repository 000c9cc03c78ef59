//! Whatever is appended, refused, reopened or cut off: the store is what a list would be.

use std::sync::Arc;

use event_store::faults::{FaultyBackend, Survives};
use event_store::{
    AppendError, Direction, EmbeddedStore, EventStore, ExpectedVersion, StreamFrom, StreamName,
};
use proptest::prelude::*;
use tests::store::{DATA_DIR, Model, event, open_small, options, stream};

#[derive(Clone, Debug)]
enum Step {
    /// Events of this size to a stream, where it is.
    Append {
        stream: u64,
        events: u64,
        bytes: usize,
    },
    /// Where it is not.
    Misplaced { stream: u64, by: u64 },
    /// With a fact that does not hold.
    Misread { stream: u64, read: u64 },
    /// The append of this number again.
    Repeat { append: usize },
    /// Some versions of a stream, backward.
    Page { stream: u64, from: u64, max: usize },
    /// A clean stop and a start.
    Reopen,
    /// The end of the process.
    Kill,
    /// A loss of power.
    PowerLoss(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let append =
        (0..40_u64, 1..4_u64, 0..2_500_usize).prop_map(|(stream, events, bytes)| Step::Append {
            stream,
            events,
            bytes,
        });
    prop_oneof![
        30 => append,
        2 => (0..40_u64, 1..3_u64).prop_map(|(stream, by)| Step::Misplaced { stream, by }),
        2 => (0..40_u64, 0..40_u64).prop_map(|(stream, read)| Step::Misread { stream, read }),
        3 => (0..100_usize).prop_map(|append| Step::Repeat { append }),
        4 => (0..40_u64, 0..12_u64, 1..6_usize)
            .prop_map(|(stream, from, max)| Step::Page { stream, from, max }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerLoss),
    ]
}

struct World {
    backend: FaultyBackend,
    store: Option<EmbeddedStore>,
    model: Model,
    number: u64,
}

impl World {
    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().unwrap()
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Append {
                stream: name,
                events,
                bytes,
            } => {
                let new = (0..*events)
                    .map(|n| event(self.number + n, *bytes))
                    .collect();
                self.number += events;
                let append = self.model.append(&stream(*name), new);
                let ticket = self.store().append(append).await.unwrap();
                assert!(!ticket.repeated);
                ticket.durable().await.unwrap();
            }
            Step::Misplaced { stream: name, by } => {
                let held = self.model.expected(&stream(*name));
                let wrong = ExpectedVersion::Exact(held.next() + by - 1);
                let mut append = self
                    .model
                    .clone()
                    .append(&stream(*name), vec![event(u64::MAX - 9, 5)]);
                append.expected = wrong;
                let refused = self.store().append(append).await.unwrap_err();
                let AppendError::WrongVersion { actual, .. } = refused else {
                    panic!("{refused}")
                };
                assert_eq!(actual, held.version());
            }
            Step::Misread { stream: name, read } => {
                let held = self.model.expected(&stream(*read));
                let mut append = self
                    .model
                    .clone()
                    .append(&stream(*name), vec![event(u64::MAX - 9, 5)]);
                append.reads = vec![(stream(*read), ExpectedVersion::Exact(held.next()))];
                let refused = self.store().append(append).await.unwrap_err();
                assert!(
                    matches!(refused, AppendError::WrongVersion { .. }),
                    "{refused}"
                );
            }
            Step::Repeat { append } => {
                let Some((name, events)) = self.model.appends.get(*append).cloned() else {
                    return;
                };
                let mut before = self.model.clone();
                before.appends.truncate(*append);
                let mut replayed = Model::default();
                for (name, events) in before.appends {
                    replayed.append(&name, events);
                }
                let again = replayed.append(&name, events);
                let ticket = self.store().append(again).await.unwrap();
                assert!(ticket.repeated);
                ticket.durable().await.unwrap();
            }
            Step::Page {
                stream: name,
                from,
                max,
            } => {
                let name = stream(*name);
                let page = self
                    .store()
                    .read_stream(&name, StreamFrom::Version(*from), Direction::Backward, *max)
                    .await
                    .unwrap();
                let last = self.model.expected(&name).version();
                let top = last.map(|last| last.min(*from));
                let wanted: Vec<_> =
                    top.map_or(Vec::new(), |top| (0..=top).rev().take(*max).collect());
                let got: Vec<_> = page
                    .iter()
                    .map(event_store::RecordedEvent::version)
                    .collect();
                assert_eq!(got, wanted);
            }
            Step::Reopen => {
                self.store = None;
                self.store = Some(open_small(&self.backend).unwrap());
                assert!(self.store().recovery().clean);
            }
            Step::Kill => self.restart(Survives::Everything),
            Step::PowerLoss(seed) => self.restart(Survives::Chance(*seed)),
        }
    }

    fn restart(&mut self, survives: Survives) {
        // The store before goes on in a world that nobody looks at any more.
        self.backend = self.backend.power_loss(survives);
        self.store = Some(open_small(&self.backend).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn is_what_a_list_would_be(steps in prop::collection::vec(step(), 1..160)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let backend = FaultyBackend::new();
            let store = open_small(&backend).unwrap();
            let mut world =
                World { backend, store: Some(store), model: Model::default(), number: 0 };
            for step in &steps {
                world.take(step).await;
            }
            world.model.compare(world.store()).await;
            world.store().verify().unwrap();
            world.take(&Step::Reopen).await;
            world.model.compare(world.store()).await;
        });
    }
}

#[tokio::test]
async fn reads_any_version_of_streams_spread_over_merged_levels() {
    let backend = FaultyBackend::new();
    let options = options(Arc::new(backend.clone()));
    let store = EmbeddedStore::open(DATA_DIR, options).unwrap();
    let mut model = Model::default();
    for number in 0..1_500 {
        // One stream everywhere, some often, some once.
        let name = match number % 4 {
            0 => 0,
            1 => 1 + number % 7,
            2 => 10 + number % 50,
            _ => 1_000 + number,
        };
        let append = model.append(&stream(name), vec![event(number, 300 + 13 * 7)]);
        store.append(append).await.unwrap().durable().await.unwrap();
    }
    model.compare(&store).await;
    store.verify().unwrap();
    drop(store);
    let store = open_small(&backend).unwrap();
    model.compare(&store).await;
    store.close();
    let names: Vec<_> = backend.files().into_keys().collect();
    let count = |part: &str| {
        names
            .iter()
            .filter(|name| name.to_str().unwrap().contains(part))
            .count()
    };
    assert!(count("streams-1-") >= 2, "levels were merged: {names:?}");
    assert!(count(".seg") > 40);
}

#[tokio::test]
async fn two_streams_of_the_same_hash_are_kept_apart() {
    // The index files know streams by a hash, and these are of the same one.
    let names = ["8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"];
    let [one, other] = names.map(|name| StreamName::new(name).unwrap());
    let backend = FaultyBackend::new();
    let mut store = open_small(&backend).unwrap();
    let mut model = Model::default();
    for number in 0..400 {
        // The other one begins in later segments, and each is now and then alone in one.
        let name = match number {
            0..100 | 200..250 => one.clone(),
            250..300 => other.clone(),
            _ if number % 3 == 0 => one.clone(),
            _ => other.clone(),
        };
        if number == 100 {
            assert_eq!(store.head(&other).await, Ok(None));
            assert_eq!(store.read_one(&other, 0).await, Ok(None));
        }
        let append = model.append(&name, vec![event(number, 900)]);
        store.append(append).await.unwrap().durable().await.unwrap();
        if number % 150 == 149 {
            model.compare(&store).await;
            drop(store);
            store = open_small(&backend).unwrap();
            model.compare(&store).await;
        }
    }
    model.compare(&store).await;
    store.verify().unwrap();
}
