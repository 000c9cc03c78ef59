//! Two write sides on one log that checks the written stream alone: a command that both are asked takes effect once and has
//! one answer, whatever each knew when it decided, and what one wrote counts at the other at once.
//!
//! Both work through the adapter, against a server of KurrentDB's protocol. What happens at the one while the other is in the
//! middle of a decision is put there exactly.

use std::sync::Arc;
use std::time::Duration;

use commands::{Clock, Command, CommandError, CommandHandler, Envelope, Mode, Options, Outcome};
use domain::case::Category;
use domain::conversation::{Also, DeleteMode};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use event_store::{EventStore, RecordedEvent};
use kurrent::client::{Connection, KurrentStore};
use tests::cluster::{Log, Node};
use tests::commands::{
    REGISTERED, StandingClock, code, envelope, log as events, member, message, number, with,
};
use tests::front::Fronted;
use tests::meanwhile::{Before, Meanwhile};
use tests::views::conversation_of;

/// Longer than any of this takes on a machine that does other things as well.
pub(crate) const LONG: Duration = Duration::from_mins(2);

/// One write side, with a connection and a clock of its own.
pub(crate) struct Side {
    pub(crate) handler: CommandHandler,
    pub(crate) store: Arc<Fronted<Meanwhile>>,
    clock: Arc<StandingClock>,
}

impl Side {
    pub(crate) async fn open(node: &Node) -> Self {
        Self::open_with(node, |_| {}).await
    }

    pub(crate) async fn open_with(node: &Node, change: impl FnOnce(&mut Options)) -> Self {
        Self::open_at(node, domain::codec::LEVEL, change).await
    }

    /// On a log that begins at this schema level, where it is new.
    pub(crate) async fn open_at(
        node: &Node,
        schema_level: u32,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let connection = Connection::parse(&node.at()).expect("a connection string");
        let options = kurrent::client::Options {
            schema_level,
            ..kurrent::client::Options::default()
        };
        let store = KurrentStore::open(connection, options).await;
        let store = Meanwhile::over(Arc::new(store.expect("the log")));
        let clock = StandingClock::new();
        let mut options = Options::new(None, Mode::Service, Arc::new(Rules::default()));
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        options.filter_bytes = 1 << 20;
        change(&mut options);
        let over: Arc<dyn EventStore> = Arc::clone(&store) as Arc<dyn EventStore>;
        let handler = CommandHandler::start(over, options).await;
        Self {
            handler: handler.expect("it starts"),
            store,
            clock,
        }
    }

    pub(crate) async fn ask(
        &self,
        actor: &str,
        id: &str,
        command: Command,
    ) -> Result<Outcome, CommandError> {
        let asked = self.handler.handle(envelope(actor, id, command));
        tokio::time::timeout(LONG, asked).await.expect("in time")
    }

    /// Asks what the other one is asked in the middle of its own decision.
    pub(crate) fn asked_meanwhile(
        &self,
        asked: Vec<Envelope>,
    ) -> impl Future<Output = ()> + Send + use<> + 'static {
        let handler = self.handler.clone();
        async move {
            for envelope in asked {
                // What comes of it is seen in the log.
                let _ = handler.handle(envelope).await;
            }
        }
    }

    pub(crate) async fn members(&self, ids: &[&str]) {
        for id in ids {
            let register = Command::RegisterMember {
                member: member(id),
                age_band: AgeBand::Adult,
                registered_at: Some(REGISTERED),
            };
            let registered = self.ask("host", &format!("register-{id}"), register).await;
            registered.expect("an adult");
            self.audience(id, Audience::Everyone, "first").await;
        }
    }

    async fn audience(&self, of: &str, audience: Audience, id: &str) {
        let set = self.ask(of, id, Command::ChangeDmSetting { audience });
        set.await.expect("a choice");
    }

    pub(crate) async fn log(&self) -> Vec<RecordedEvent> {
        events(&*self.store).await
    }

    pub(crate) async fn count(&self, event_type: &str) -> usize {
        let log = self.log().await;
        log.iter()
            .filter(|event| event.event_type() == event_type)
            .count()
    }
}

/// The two, and what they share.
pub(crate) struct Two {
    pub(crate) one: Side,
    pub(crate) other: Side,
    pub(crate) node: Node,
    _log: Log,
}

impl Two {
    /// With adults whose audience is `everyone`, made known to the one.
    pub(crate) async fn open(members: &[&str]) -> Self {
        let log = Log::new();
        let node = log.serve(77);
        let one = Side::open(&node).await;
        one.members(members).await;
        Self {
            other: Side::open(&node).await,
            one,
            node,
            _log: log,
        }
    }

    pub(crate) async fn stop(self) {
        self.one.handler.stop().await;
        self.other.handler.stop().await;
    }
}

pub(crate) fn conversation(one: &str, other: &str) -> String {
    format!("conversation-{}", conversation_of(one, other))
}

pub(crate) fn report(of: &str, messages: Vec<u64>) -> Command {
    Command::ReportMessage {
        target: with(of),
        messages,
        category: Category::Spam,
        comment: String::new(),
        also: Also::None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_the_index_learns_of_after_it_was_asked_is_not_decided_again() {
    let two = Two::open(&["ann", "bob"]).await;
    let asked = || envelope("bob", "m1", message("ann", "hi"));
    // The other has found the id to be new and reads the stream: the one decides it, and the other's index applies that.
    let (one, index) = (two.one.handler.clone(), two.other.handler.clone());
    let stream = conversation("ann", "bob");
    two.other
        .store
        .happens(Before::Reading(stream), async move {
            let decided = one.handle(asked()).await.expect("sent");
            let applied = || {
                index
                    .tables()
                    .iter()
                    .all(|table| table.applied >= decided.position)
            };
            while !applied() {
                tokio::task::yield_now().await;
            }
        });
    let second = two.other.ask("bob", "m1", message("ann", "hi")).await;
    assert!(two.other.store.has_happened());
    assert_eq!(number(&second), 1);
    assert!(second.expect("sent").repeated);
    assert_eq!(two.one.count("message-sent.v1").await, 1);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_command_decided_twice_at_once_has_the_answer_of_the_one_that_is_in_the_log() {
    let two = Two::open(&["ann", "bob"]).await;
    let stream = conversation("ann", "bob");
    two.other.clock.advance_ms(1_500);
    for (turn, text) in ["hi", "hello"].into_iter().enumerate() {
        // The first opens a request, which is two events; the second is one.
        let id = format!("m{turn}");
        let meanwhile = vec![envelope("bob", &id, message("ann", text))];
        let meanwhile = two.one.asked_meanwhile(meanwhile);
        two.other
            .store
            .happens(Before::Appending(stream.clone()), meanwhile);
        let second = two.other.ask("bob", &id, message("ann", text)).await;
        assert!(two.other.store.has_happened());
        let first = two.one.ask("bob", &id, message("ann", text)).await;
        assert_eq!(first, second, "{id}");
        assert!(first.expect("sent").repeated);
    }
    // And what comes after it is decided on what is there.
    let third = two.other.ask("bob", "m2", message("ann", "you?")).await;
    assert_eq!(number(&third), 3);
    assert_eq!(two.one.count("request-slot-taken.v1").await, 1);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_refuses_the_other_has_not_sent() {
    let two = Two::open(&["ann", "bob"]).await;
    let stream = conversation("ann", "bob");
    // They have written to one another: a message is one event, and so is a refusal.
    two.one
        .ask("bob", "b1", message("ann", "hi"))
        .await
        .expect("sent");
    two.one
        .ask("ann", "a1", message("bob", "hi"))
        .await
        .expect("sent");
    let no_one = Command::ChangeDmSetting {
        audience: Audience::NoOne,
    };
    let meanwhile = two.one.asked_meanwhile(vec![
        envelope("ann", "closes", no_one),
        envelope("bob", "b2", message("ann", "there?")),
    ]);
    // The other has read that everyone may write to her.
    two.other
        .store
        .happens(Before::Appending(stream), meanwhile);
    let second = two.other.ask("bob", "b2", message("ann", "there?")).await;
    assert!(two.other.store.has_happened());
    assert_eq!(code(&second), "not_allowed");
    assert_eq!(two.one.count("message-sent.v1").await, 2);
    assert_eq!(two.one.count("command-refused.v2").await, 1);
    two.one.audience("ann", Audience::Everyone, "opens").await;
    let next = two.other.ask("bob", "b3", message("ann", "now?")).await;
    assert_eq!(number(&next), 3);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_by_one_is_reported_at_the_other_at_once() {
    let two = Two::open(&["ann", "bob"]).await;
    // The other has the conversation in memory from here on, as it was before the first message.
    let early = two.other.ask("ann", "r0", report("bob", vec![1])).await;
    assert_eq!(early, Err(CommandError::NotFound));
    for number in 1..=2 {
        let (id, sent) = (format!("r{number}"), format!("m{number}"));
        let sent = two.one.ask("bob", &sent, message("ann", "buy")).await;
        sent.expect("sent");
        let reported = two.other.ask("ann", &id, report("bob", vec![number])).await;
        assert_eq!(code(&reported), "ok", "{number}");
    }
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_taken_for_what_the_other_has_sent_without_one_is_given_back_at_once() {
    let two = Two::open(&["ann", "bob"]).await;
    // The other is about to take a slot: at the one ann writes first, so that bob's message opens nothing.
    let meanwhile = two.one.asked_meanwhile(vec![
        envelope("ann", "a1", message("bob", "hi")),
        envelope("bob", "b1", message("ann", "hi")),
    ]);
    two.other
        .store
        .happens(Before::Appending("member-bob".to_owned()), meanwhile);
    let sent = two.other.ask("bob", "b1", message("ann", "hi")).await;
    assert!(two.other.store.has_happened());
    assert_eq!(number(&sent), 2);
    // Whoever stops has done what follows.
    two.other.handler.stop().await;
    assert_eq!(two.one.count("request-slot-returned.v1").await, 1);
    let bobs = two.one.log().await;
    let bobs = bobs.iter().filter(|event| {
        event.stream() == "member-bob" && event.event_type() == "request-slot-taken.v1"
    });
    assert_eq!(bobs.count(), 1);
    two.one.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_leaves_no_event_is_decided_on_what_another_node_wrote() {
    let mut two = Two::open(&["ann", "bob"]).await;
    let few = |options: &mut Options| options.recorded_refusals_per_day_max = 1;
    two.other.handler.stop().await;
    two.other = Side::open_with(&two.node, few).await;
    let delete = || Command::DeleteRequest {
        target: with("bob"),
        mode: DeleteMode::Quiet,
    };
    let sent = two.one.ask("bob", "hello", message("ann", "hi")).await;
    sent.expect("a request");
    let target = with("bob");
    let accepted = Command::AcceptRequest { target };
    two.one.ask("ann", "yes", accepted).await.expect("accepted");
    let refused = two.other.ask("ann", "delete-1", delete()).await;
    assert_eq!(code(&refused), "already_accepted");
    let recorded = two.other.count("command-refused.v1").await;
    assert_eq!(recorded, 0, "it leaves no event");
    let target = with("bob");
    let back = Command::MoveToRequests { target };
    two.one.ask("ann", "back", back).await.expect("moved");
    let deleted = two.other.ask("ann", "delete-3", delete()).await;
    assert_eq!(code(&deleted), "ok");
    two.stop().await;
}
