//! `SendMessage`, rules 1 to 6: who may write at all, and to whom.
//!
//! A refusal is told with its rule and its cause, which stand in the event alone: the sender's answer is the code.

use super::*;

const HI: Act = Act::Send("hi");

// Rule 1: the sender.

#[test]
fn refuses_a_message_from_an_unknown_member() {
    open_door()
        .bob_unknown()
        .when(BOB, HI)
        .then("account_restricted by rule 1 (sender_unknown)");
}

#[test]
fn refuses_a_message_from_a_suspended_member() {
    open_door()
        .bob(|bob| bob.suspended = true)
        .when(BOB, HI)
        .then("account_restricted by rule 1 (sender_suspended)");
}

#[test]
fn refuses_a_message_from_a_member_under_16() {
    open_door()
        .bob(|bob| bob.age_band = AgeBand::Under16)
        .when(BOB, HI)
        .then("account_restricted by rule 1 (sender_under16)");
}

#[test]
fn refuses_the_suspended_before_it_reads_their_text() {
    open_door()
        .bob(|bob| bob.suspended = true)
        .when(BOB, Act::Send(" "))
        .then("account_restricted by rule 1 (sender_suspended)");
}

// Rule 2: the message.

#[test]
fn refuses_a_text_of_nothing_but_white_space() {
    open_door()
        .when(BOB, Act::Send(" \u{3000}\n\u{85}"))
        .then("invalid_message for text Empty");
}

#[test]
fn refuses_a_text_over_1000_graphemes() {
    let text: &'static str = Box::leak("e\u{301}".repeat(1_001).into_boxed_str());
    open_door()
        .when(BOB, Act::Send(text))
        .then("invalid_message for text GraphemesMax(1000)");
}

#[test]
fn takes_a_text_of_1000_graphemes_of_several_code_points() {
    let text: &'static str = Box::leak("e\u{301}".repeat(1_000).into_boxed_str());
    open_door()
        .when(BOB, Act::Send(text))
        .then("opened at 1; sent 1 to request by rule 12");
}

#[test]
fn refuses_a_text_over_8_kib() {
    let text: &'static str = Box::leak("\u{1f469}\u{200d}\u{1f467}".repeat(745).into_boxed_str());
    assert!(text.len() > 8 * 1024);
    open_door()
        .when(BOB, Act::Send(text))
        .then("invalid_message for text BytesMax(8192)");
}

#[test]
fn refuses_a_text_with_a_nul() {
    open_door()
        .when(BOB, Act::Send("a\0b"))
        .then("invalid_message for text Nul");
}

#[test]
fn refuses_a_message_to_oneself() {
    let story = open_door();
    let Command::SendMessage(command) = story.command(BOB, HI) else {
        unreachable!()
    };
    let command = SendMessage {
        to: id(BOB),
        ..command
    };
    let rejection = decide(story.state(), &Command::SendMessage(command)).unwrap_err();
    assert_eq!(refusal(&rejection), "invalid_message for to");
}

#[test]
fn does_not_record_what_depends_on_the_message_alone() {
    let mut story = open_door();
    assert!(!story.act(BOB, Act::Send("")).unwrap_err().recorded());
    let mut story = open_door().bob_unknown();
    assert!(story.act(BOB, HI).unwrap_err().recorded());
}

#[test]
fn stores_the_text_as_it_was_sent() {
    let events = open_door().events(BOB, Act::Send("  hi \n"));
    assert!(
        matches!(events.last(), Some(Event::MessageSent(sent)) if sent.text.as_str() == "  hi \n")
    );
}

// Rule 3: the daily limit of first contacts.

#[test]
fn refuses_a_first_contact_of_a_limited_member() {
    open_door()
        .bob(|bob| bob.limited = true)
        .when(BOB, HI)
        .then("account_restricted by rule 3 (sender_limited)");
}

#[test]
fn lets_a_limited_member_write_on_where_they_wrote_before() {
    open_door()
        .and(BOB, HI)
        .bob(|bob| bob.limited = true)
        .when(BOB, HI)
        .then("sent 2 to request by rule 12");
}

#[test]
fn refuses_the_21st_request_within_24_hours() {
    open_door()
        .slots_used(20)
        .when(BOB, HI)
        .then("limit_reached by rule 3 (requests_of_the_day)");
    open_door()
        .slots_used(19)
        .when(BOB, HI)
        .then("opened at 1; sent 1 to request by rule 12");
}

#[test]
fn refuses_the_sixth_request_of_a_member_registered_under_7_days_ago() {
    let registered_days_ago = |days| {
        let story = open_door().slots_used(5);
        let now = story.now();
        story.bob(|bob| bob.registered_at = Timestamp(now.0 - days * crate::time::DAY_MS))
    };
    registered_days_ago(6)
        .when(BOB, HI)
        .then("limit_reached by rule 3 (requests_of_the_day)");
    registered_days_ago(7)
        .when(BOB, HI)
        .then("opened at 1; sent 1 to request by rule 12");
}

#[test]
fn answers_the_daily_limit_alike_whoever_is_addressed() {
    let used_up = |story: Story| story.slots_used(20).when(BOB, HI);
    used_up(open_door().ann_unknown()).then("limit_reached by rule 3 (requests_of_the_day)");
    used_up(open_door().and(ANN, Act::Block)).then("limit_reached by rule 3 (requests_of_the_day)");
    used_up(given(Audience::NoOne)).then("limit_reached by rule 3 (requests_of_the_day)");
    used_up(open_door().and(ANN, FOLLOW)).then("limit_reached by rule 3 (requests_of_the_day)");
}

#[test]
fn does_not_count_a_reply_against_the_daily_limit() {
    open_door()
        .and(BOB, HI)
        .hours(1)
        .slots_used(20)
        .when(ANN, HI)
        .then("bob accepted (Reply); sent 2 to inbox by rule 8");
}

// Rule 4: who cannot be written to.

#[test]
fn refuses_a_message_to_an_unknown_member() {
    open_door()
        .ann_unknown()
        .when(BOB, HI)
        .then("not_allowed by rule 4 (recipient_unknown)");
}

#[test]
fn refuses_a_message_to_a_member_under_16() {
    open_door()
        .ann(|ann| ann.age_band = AgeBand::Under16)
        .when(BOB, HI)
        .then("not_allowed by rule 4 (recipient_under16)");
}

#[test]
fn refuses_a_message_from_a_blocked_member() {
    open_door()
        .and(ANN, Act::Block)
        .when(BOB, HI)
        .then("not_allowed by rule 4 (recipient_blocks)");
}

#[test]
fn refuses_a_blocked_member_who_was_written_to_but_never_wrote() {
    given(Audience::Everyone)
        .bob(|bob| bob.audience = Audience::Everyone)
        .and(ANN, HI)
        .and(ANN, Act::Block)
        .when(BOB, HI)
        .then("not_allowed by rule 4 (recipient_blocks)");
}

#[test]
fn refuses_a_message_to_whom_the_sender_blocks() {
    open_door()
        .and(BOB, HI)
        .and(BOB, Act::Block)
        .when(BOB, HI)
        .then("not_allowed by rule 4 (sender_blocks)");
}

// Rule 5: a block after the fact.

#[test]
fn withholds_what_a_blocked_member_writes_on() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .when(BOB, HI)
        .then("withheld 2 by rule 5");
}

#[test]
fn withholds_in_a_request_only_up_to_the_cap() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .times(2, BOB, HI)
        .when(BOB, HI)
        .then("limit_reached by rule 5 (recipient_blocks)");
}

#[test]
fn withholds_without_a_cap_once_accepted() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .and(ANN, Act::Block)
        .times(9, BOB, HI)
        .when(BOB, HI)
        .then("withheld 11 by rule 5");
}

#[test]
fn withholds_from_a_blocker_who_closed_to_everyone_as_well() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .ann(|ann| ann.audience = Audience::NoOne)
        .when(BOB, HI)
        .then("withheld 2 by rule 5");
}

#[test]
fn withholds_without_a_cap_what_came_by_relationship_alone() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .times(4, BOB, HI)
        .when(BOB, HI)
        .then("withheld 6 by rule 5");
}

#[test]
fn accepts_the_way_back_with_what_a_block_withholds_as_if_it_were_delivered() {
    // Else whoever deletes or moves the thread again would be told that the message did not arrive.
    let moved = open_door()
        .bob(|bob| bob.audience = Audience::Everyone)
        .and(BOB, HI)
        .and(ANN, HI)
        .and(BOB, Act::MoveToRequests);
    let blocked = moved.clone().and(ANN, Act::Block);
    moved
        .when(BOB, HI)
        .then("ann accepted (Reply); sent 3 to inbox by rule 8");
    blocked
        .when(BOB, HI)
        .then("ann accepted (Reply); withheld 3 by rule 5");
}

// Rule 6: no one.

#[test]
fn refuses_a_message_to_who_lets_no_one_write() {
    given(Audience::NoOne)
        .when(BOB, HI)
        .then("not_allowed by rule 6 (audience)");
}

#[test]
fn refuses_also_in_an_accepted_conversation() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .ann(|ann| ann.audience = Audience::NoOne)
        .when(BOB, HI)
        .then("not_allowed by rule 6 (audience)");
}
