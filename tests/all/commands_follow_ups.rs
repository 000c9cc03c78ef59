//! What follows by itself: reports reach their case once, suspensions end once, over restarts and kills; and an import
//! comes out the same, event for event, however often it was killed.

use std::sync::Arc;

use commands::{Command, CommandHandler, Envelope, Kind, Mode, Options};
use domain::case::Category;
use domain::conversation::{Also, DeleteMode};
use domain::ids::ReasonCode;
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::Timestamp;
use event_store::{EmbeddedStore, EventStore, RecordedEvent};
use tests::commands::{Desk, appends_of, code, id, log, member, message, store_options, with};

fn suspend(who: &str, until: i64) -> Command {
    Command::SuspendMember {
        member: member(who),
        until: Some(Timestamp(until)),
        reason: ReasonCode::new("spam").unwrap(),
        text: "a week of rest".to_owned(),
        facts: "Ten letters.".to_owned(),
    }
}

fn report(other: &str, messages: Vec<u64>) -> Command {
    Command::ReportMessage {
        target: with(other),
        messages,
        category: Category::Spam,
        comment: "again".to_owned(),
        also: Also::Delete,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_ends_by_an_event_at_its_time_once() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let until = tests::commands::START.0 + 60_000;
    desk.send("mod", suspend("bob", until)).await.unwrap();
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "account_restricted"
    );
    let desk = desk.reopen().await;
    desk.handler.run_timers(Timestamp(until - 1)).await.unwrap();
    assert_eq!(desk.count("restriction-ended.v1").await, 0);
    desk.clock.advance_ms(61_000);
    desk.handler
        .run_timers(Timestamp(until + 1_000))
        .await
        .unwrap();
    let desk = desk.reopen().await;
    desk.handler
        .run_timers(Timestamp(until + 1_000))
        .await
        .unwrap();
    let log = desk.log().await;
    let ended: Vec<_> = log
        .iter()
        .filter(|record| record.event_type() == "restriction-ended.v1")
        .collect();
    let suspended = log
        .iter()
        .find(|record| record.event_type() == "member-suspended.v2")
        .unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (ended[0].at_ms(), ended[0].causation_id()),
        (until, suspended.event_id())
    );
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "ok");
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_of_a_lifted_suspension_does_nothing() {
    let desk = Desk::open().await;
    desk.members(&["bob"]).await;
    let until = tests::commands::START.0 + 60_000;
    desk.send("mod", suspend("bob", until)).await.unwrap();
    desk.send(
        "mod",
        Command::ReinstateMember {
            member: member("bob"),
        },
    )
    .await
    .unwrap();
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    assert_eq!(desk.count("restriction-ended.v1").await, 0);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_that_cannot_be_ended_keeps_no_other_waiting() {
    let desk = Desk::open().await;
    desk.members(&["bob", "eve"]).await;
    let until = tests::commands::START.0 + 60_000;
    desk.send("mod", suspend("bob", until)).await.unwrap();
    desk.send("mod", suspend("eve", until + 1)).await.unwrap();
    // As a newer program would write it: bob's state cannot be read any more.
    let mut log = desk.log().await;
    log.retain(|record| record.stream() == "member-bob");
    let mut event = tests::commands::copy_of(&log[1]);
    event.event_id = domain::ids::event_id("bob", "later", "member-bob", 0);
    event.data = b"{}".as_slice().into();
    let append = event_store::Append {
        stream: event_store::StreamName::new("member-bob").unwrap(),
        expected: event_store::ExpectedVersion::of(log.last().map(RecordedEvent::version)),
        events: vec![event],
        reads: Vec::new(),
    };
    let appended = desk.store.append(append).await.unwrap();
    appended.durable().await.unwrap();
    let outcome = desk.handler.run_timers(Timestamp(until + 1)).await;
    assert!(outcome.is_err());
    let desk = desk.reopen().await;
    let log = desk.log().await;
    let mut ended = log.iter();
    let ended = ended.rfind(|record| record.event_type() == "restriction-ended.v1");
    assert_eq!(ended.unwrap().stream(), "member-eve");
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_whose_reactor_was_killed_reaches_its_case_after_the_start() {
    let whole = Desk::open().await;
    whole.members(&["ann", "bob"]).await;
    whole.message("bob", "ann", "buy").await.unwrap();
    whole.send("ann", report("bob", vec![1])).await.unwrap();
    whole.handler.drain_reactors().await.unwrap();
    whole.handler.stop().await;
    let log = whole.log().await;
    let end = log
        .iter()
        .position(|record| record.event_type() == "case-opened.v1")
        .unwrap();
    // The same log, ended before the reactor's event.
    let cut = Desk::over_twice(&log[..end]).await;
    assert_eq!(cut.count("case-opened.v1").await, 1);
    assert_eq!(cut.count("report-joined.v2").await, 1);
    let status = cut.handler.reactors();
    assert_eq!((status[0].name, status[0].parked), ("cases", 0));
    cut.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_reports_of_one_message_at_once_are_one_report() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "buy").await.unwrap();
    let (one, other) = tokio::join!(
        desk.send_as("ann", "r1", report("bob", vec![1])),
        desk.send_as("ann", "r2", report("bob", vec![1]))
    );
    let mut kinds = [one.unwrap().kind, other.unwrap().kind];
    kinds.sort_by_key(|kind| *kind == Kind::Unchanged);
    assert_eq!(kinds, [Kind::Done, Kind::Unchanged]);
    assert_eq!(desk.count("messages-reported.v1").await, 1);
    desk.handler.stop().await;
}

/// One line of an import.
struct Line {
    actor: &'static str,
    at: i64,
    command: Command,
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = 1_100_000_000_000;
    let mut line = |actor: &'static str, after_ms: i64, command: Command| {
        at += after_ms;
        lines.push(Line { actor, at, command });
        at
    };
    for who in ["ann", "bob", "eve", "zoe"] {
        let register = |age_band| Command::RegisterMember {
            member: member(who),
            age_band,
            registered_at: None,
        };
        line(who, 0, register(AgeBand::Adult));
        line(
            who,
            0,
            Command::ChangeDmSetting {
                audience: Audience::Everyone,
            },
        );
    }
    line(
        "ann",
        1_000,
        Command::UnblockMember {
            other: member("bob"),
        },
    );
    line("bob", 10, message("ann", "hi"));
    line("bob", 10, message("ann", " "));
    line(
        "ann",
        10,
        Command::AcceptRequest {
            target: with("eve"),
        },
    );
    line("eve", 10, message("ann", "buy"));
    line("eve", 10, message("zoe", "buy"));
    line("ann", 500, report("eve", vec![1]));
    line("zoe", 100, report("eve", vec![1]));
    line(
        "ann",
        10,
        Command::DeleteRequest {
            target: with("bob"),
            mode: DeleteMode::Quiet,
        },
    );
    line(
        "ann",
        10,
        Command::AcceptRequest {
            target: with("bob"),
        },
    );
    line(
        "ann",
        10,
        Command::BlockMember {
            other: member("bob"),
        },
    );
    line("bob", 10, message("ann", "hello?"));
    line(
        "ann",
        10,
        Command::BlockMember {
            other: member("bob"),
        },
    );
    line(
        "ann",
        10,
        Command::UnblockMember {
            other: member("bob"),
        },
    );
    let suspended = line("mod", 10, suspend("eve", 1_100_000_060_000));
    assert!(suspended < 1_100_000_060_000);
    line("eve", 10, message("bob", "buy"));
    line("ann", 100_000, message("eve", "why?"));
    line("eve", 1_500, message("bob", "sorry"));
    line("bob", 1_500, report("eve", vec![1]));
    line(
        "zoe",
        10,
        Command::AcceptRequest {
            target: with("eve"),
        },
    );
    line(
        "bob",
        10,
        Command::UnsendMessage {
            target: with("ann"),
            number: 1,
        },
    );
    lines
}

/// Imports lines as the program does: what left a trace is repeated; what left none before the last trace is decided
/// as of just before the next one; what comes after is new.
async fn import(handler: &CommandHandler, lines: &[Line]) -> Vec<String> {
    let envelope = |index: usize, line: &Line| Envelope {
        actor: member(line.actor),
        command_id: id(&format!("line-{index}")),
        id_given: true,
        at: Some(Timestamp(line.at)),
        command: line.command.clone(),
    };
    let mut traces = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Envelope {
            actor, command_id, ..
        } = envelope(index, line);
        let trace = handler.trace(&actor, &command_id).await.unwrap();
        traces.push(trace.map(|trace| trace.before));
    }
    let mut outcomes = Vec::new();
    let mut unfinished = handler.unfinished();
    for (index, line) in lines.iter().enumerate() {
        let envelope = envelope(index, line);
        let next = traces[index..].iter().flatten().next().copied();
        let then = match next.or(unfinished) {
            Some(before) if traces[index].is_none() => handler
                .decide_as_of(envelope.clone(), before, Timestamp(line.at))
                .await
                .transpose(),
            _ => None,
        };
        let outcome = if let Some(outcome) = then {
            if next.is_none() {
                handler.run_timers(Timestamp(line.at)).await.unwrap();
            }
            outcome
        } else {
            assert!(next.is_none() || traces[index].is_some(), "decided before");
            if next.is_none() {
                unfinished = None;
            }
            handler.submit(envelope).await.unwrap().durable().await
        };
        let kind = outcome.as_ref().map(|outcome| outcome.kind);
        outcomes.push(format!(
            "{} {}",
            code(&outcome),
            if kind == Ok(Kind::Unchanged) {
                "unchanged"
            } else {
                ""
            }
        ));
    }
    handler.drain_reactors().await.unwrap();
    outcomes
}

fn canonical(log: &[RecordedEvent]) -> Vec<String> {
    let header = |record: &RecordedEvent| {
        format!(
            "{} {} {} {} {} {} {} {} {:?} {:?} {}",
            record.stream(),
            record.version(),
            record.event_id(),
            record.event_type(),
            record.at_ms(),
            record.command_id(),
            record.correlation_id(),
            record.causation_id(),
            record.last_number(),
            record.members().collect::<Vec<_>>(),
            std::str::from_utf8(record.data()).unwrap(),
        )
    };
    log.iter().map(header).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_killed_anywhere_comes_out_the_same_event_for_event() {
    let lines = lines();
    let options = |dir: &tempfile::TempDir| {
        let mut options = Options::new(
            Some(dir.path().join("tables")),
            Mode::Import,
            Arc::new(Rules::default()),
        );
        options.filter_bytes = 1 << 16;
        options
    };
    let open = |dir: &tempfile::TempDir| -> Arc<dyn EventStore> {
        Arc::new(EmbeddedStore::open(dir.path(), store_options()).unwrap())
    };
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let handler = CommandHandler::start(Arc::clone(&store), options(&dir))
        .await
        .unwrap();
    let outcomes = import(&handler, &lines).await;
    handler.stop().await;
    let whole = log(&*store).await;
    let expected = canonical(&whole);
    for wanted in [
        "restriction-ended.v1",
        "case-opened.v1",
        "reactor-checkpoint.v1",
        "command-refused.v2",
    ] {
        assert!(
            whole.iter().any(|record| record.event_type() == wanted),
            "{wanted}: {expected:#?}"
        );
    }
    // Again on the whole log: nothing changes, and it says the same.
    let handler = CommandHandler::start(Arc::clone(&store), options(&dir))
        .await
        .unwrap();
    assert_eq!(import(&handler, &lines).await, outcomes);
    handler.stop().await;
    assert_eq!(log(&*store).await.len(), whole.len());

    // A kill leaves the log at the end of some append.
    let appends = appends_of(&whole);
    for cut in 0..appends.len() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        for append in appends.iter().take(cut).cloned() {
            store.append(append).await.unwrap().durable().await.unwrap();
        }
        let handler = CommandHandler::start(Arc::clone(&store), options(&dir))
            .await
            .unwrap();
        assert_eq!(
            import(&handler, &lines).await,
            outcomes,
            "cut after {cut} appends"
        );
        handler.stop().await;
        assert_eq!(
            canonical(&log(&*store).await),
            expected,
            "cut after {cut} appends"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_cannot_be_read_parks_its_conversation_and_no_other() {
    let (desk, other) = (Desk::open().await, Desk::open().await);
    for desk in [&desk, &other] {
        desk.members(&["ann", "bob", "eve"]).await;
        for number in 1..=2 {
            desk.send_as("bob", &format!("m{number}"), message("ann", "buy"))
                .await
                .unwrap();
        }
        desk.send_as("eve", "m1", message("ann", "buy"))
            .await
            .unwrap();
    }
    // A report as a newer program would write it, then one that can be read, in the same conversation.
    let before = other.log().await.len();
    other
        .send_as("ann", "r1", report("bob", vec![1]))
        .await
        .unwrap();
    other
        .send_as("ann", "r2", report("bob", vec![2]))
        .await
        .unwrap();
    let log = other.log().await;
    let mut appends = appends_of(&log[before..]);
    appends.retain(|append| append.stream.category() == "conversation");
    let broken = appends[0]
        .events
        .iter_mut()
        .find(|event| event.event_type == "messages-reported.v1");
    broken.unwrap().data = b"{}".as_slice().into();
    for append in appends {
        desk.store
            .append(append)
            .await
            .unwrap()
            .durable()
            .await
            .unwrap();
    }
    desk.send("ann", report("eve", vec![1])).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    assert_eq!(desk.handler.reactors()[0].parked, 1);
    assert_eq!(desk.count("report-joined.v2").await, 1);
    assert_eq!(
        desk.count("reactor-checkpoint.v1").await,
        0,
        "what is parked is not behind a checkpoint"
    );
    // After a restart it is tried again, and shows again.
    let desk = desk.reopen().await;
    desk.handler.drain_reactors().await.unwrap();
    assert_eq!(desk.handler.reactors()[0].parked, 1);
    assert_eq!(desk.count("report-joined.v2").await, 1);
    desk.handler.stop().await;
    other.handler.stop().await;
}
