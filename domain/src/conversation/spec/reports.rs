//! Reports: what they name, what they copy, and what else they do.
//!
//! The story looks up the named messages as the write side does, and counts a report before it is made.

use super::*;

const HI: Act = Act::Send("hi");

const ALL: [u64; 20] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

fn report(numbers: &'static [u64]) -> Act {
    Act::Report(numbers, Also::None)
}

#[test]
fn reports_messages_of_a_request() {
    open_door()
        .times(3, BOB, HI)
        .when(ANN, report(&[3, 1, 3]))
        .then("reported [1, 3]");
}

#[test]
fn copies_the_messages_as_they_were_sent() {
    let events = open_door()
        .and(BOB, Act::Send(" buy now "))
        .and(BOB, Act::Unsend(1))
        .days(1)
        .events(ANN, report(&[1]));
    let Some(Event::MessagesReported(report)) = events.first() else {
        unreachable!()
    };
    assert_eq!(report.messages[0].text.as_str(), " buy now ");
    assert_eq!(report.messages[0].sent_at, Timestamp(0).plus_days(100));
    assert_eq!(
        (report.reporter.as_str(), report.reported.as_str()),
        (ANN, BOB)
    );
}

#[test]
fn reports_after_a_block_an_unsend_and_a_deletion() {
    let story = open_door().and(BOB, HI);
    story
        .clone()
        .and(ANN, Act::Block)
        .when(ANN, report(&[1]))
        .then("reported [1]");
    story
        .clone()
        .and(BOB, Act::Unsend(1))
        .when(ANN, report(&[1]))
        .then("reported [1]");
    story
        .and(ANN, FINAL)
        .days(365)
        .when(ANN, report(&[1]))
        .then("reported [1]");
}

#[test]
fn reports_in_an_accepted_conversation() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .when(ANN, report(&[1]))
        .then("reported [1]");
}

#[test]
fn knows_nothing_to_report_where_nothing_was_ever_visible() {
    open_door().when(ANN, report(&[1])).then("not_found");
    open_door()
        .and(BOB, HI)
        .when(BOB, report(&[1]))
        .then("not_found");
}

#[test]
fn refuses_own_withheld_and_missing_messages_alike() {
    let story = open_door()
        .and(BOB, HI)
        .and(ANN, HI)
        .and(ANN, Act::Block)
        .and(BOB, HI);
    for numbers in [&[2], &[3], &[4], &[0]] {
        story
            .clone()
            .when(ANN, report(numbers))
            .then("invalid_report for messages");
    }
}

#[test]
fn refuses_to_name_none_or_more_than_20_messages() {
    const MANY: [u64; 21] = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    ];
    let story = open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .times(20, BOB, HI);
    story
        .clone()
        .when(ANN, report(&[]))
        .then("invalid_report for messages");
    story
        .clone()
        .when(ANN, report(&MANY))
        .then("invalid_report for messages");
    let told = story.when(ANN, report(MANY.split_at(20).0));
    told.then("reported [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]");
}

#[test]
fn refuses_a_comment_over_its_limits() {
    let story = open_door().and(BOB, HI);
    let Command::ReportMessage(command) = story.command(ANN, report(&[1])) else {
        unreachable!()
    };
    let commented = |comment: String| {
        let command = ReportMessage {
            comment,
            ..command.clone()
        };
        decide(story.state(), &Command::ReportMessage(command)).map(|events| events.len())
    };
    assert_eq!(commented("x".repeat(2_000)), Ok(1));
    assert_eq!(
        commented("x".repeat(2_001)).unwrap_err().field(),
        Some("comment")
    );
    assert_eq!(
        commented("e\u{301}".repeat(2_731)).unwrap_err().field(),
        Some("comment")
    );
}

#[test]
fn refuses_copies_that_no_event_holds() {
    let text: &'static str =
        Box::leak(format!("{}e{}", "\u{1}".repeat(999), "\u{301}".repeat(3_590)).into_boxed_str());
    let story = open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .times(20, BOB, Act::Send(text));
    story
        .clone()
        .when(ANN, report(&ALL))
        .then("invalid_report for messages");
    story
        .when(ANN, report(ALL.split_at(10).0))
        .then("reported [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]");
}

#[test]
fn counts_nothing_twice() {
    let reported = open_door().times(2, BOB, HI).and(ANN, report(&[1]));
    reported
        .clone()
        .when(ANN, report(&[1]))
        .then("unchanged since 3");
    reported
        .clone()
        .when(ANN, report(&[1, 2]))
        .then("reported [2]");
    reported
        .and(ANN, report(&[2]))
        .when(ANN, report(&[2, 1]))
        .then("unchanged since 3");
}

#[test]
fn gives_the_earliest_report_when_nothing_is_new() {
    let story = open_door()
        .times(2, BOB, HI)
        .and(ANN, report(&[2]))
        .and(ANN, report(&[1]));
    let Command::ReportMessage(command) = story.command(ANN, report(&[1, 2])) else {
        unreachable!()
    };
    assert_eq!(
        earliest_report(&command).map(|reported| reported.report_id),
        Some(report_id(3))
    );
}

#[test]
fn lets_each_member_report_for_themselves() {
    open_door()
        .and(BOB, HI)
        .and(ANN, HI)
        .and(ANN, report(&[1]))
        .when(BOB, report(&[2]))
        .then("reported [2]");
}

#[test]
fn keeps_and_marks_what_is_over_the_daily_limit() {
    open_door()
        .and(BOB, HI)
        .reports_over()
        .when(ANN, report(&[1]))
        .then("reported [1] over limit");
}

#[test]
fn asks_for_its_count_before_it_reports() {
    let story = open_door().and(BOB, HI);
    let Command::ReportMessage(counted) = story.command(ANN, report(&[1])) else {
        unreachable!()
    };
    let uncounted = ReportMessage {
        count: Count::NotYet,
        ..counted
    };
    assert!(needs_count(story.state(), &uncounted));
    let rejection = decide(story.state(), &Command::ReportMessage(uncounted)).unwrap_err();
    assert_eq!(
        (rejection.code(), rejection.recorded()),
        (Code::CountNeeded, false)
    );
}

#[test]
fn deletes_along_with_the_report() {
    open_door()
        .and(BOB, HI)
        .when(ANN, Act::Report(&[1], Also::Delete))
        .then("reported [1], Delete Done; deleted Quiet 0..1 for 7 days, restorable 30 days");
}

#[test]
fn tells_when_a_deletion_does_not_apply() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .when(ANN, Act::Report(&[1], Also::Delete))
        .then("reported [1], Delete Skipped");
    open_door()
        .and(BOB, HI)
        .and(ANN, FINAL)
        .when(ANN, Act::Report(&[1], Also::Delete))
        .then("reported [1], Delete Already");
}

#[test]
fn blocks_along_with_the_report() {
    let story = open_door().and(BOB, HI);
    story
        .clone()
        .when(ANN, Act::Report(&[1], Also::Block))
        .then("reported [1], Block Done; blocked");
    story
        .and(ANN, Act::Block)
        .when(ANN, Act::Report(&[1], Also::Block))
        .then("reported [1], Block Already");
}

#[test]
fn does_what_else_was_asked_even_when_nothing_is_new() {
    open_door()
        .and(BOB, HI)
        .and(ANN, report(&[1]))
        .when(ANN, Act::Report(&[1], Also::Block))
        .then("blocked");
}
