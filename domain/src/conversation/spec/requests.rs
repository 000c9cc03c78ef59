//! The request in one direction: accept, freeze, take along, unsend, move back.
//!
//! Each row of the table of requests that is not about deleting has its sentences here, with what is quiet and what is
//! refused.

use super::*;

const HI: Act = Act::Send("hi");
const DAY_130: &str = "until day 130";

/// Bob's request waits.
fn pending() -> Story {
    open_door().and(BOB, HI)
}

// Accept.

#[test]
fn accepts_a_waiting_request() {
    pending()
        .when(ANN, Act::Accept)
        .then("bob accepted (Accept)");
}

#[test]
fn stays_quiet_when_accepted_twice() {
    pending()
        .and(ANN, Act::Accept)
        .when(ANN, Act::Accept)
        .then("unchanged since 2");
}

#[test]
fn stays_quiet_when_accepting_what_the_relationship_let_in() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .when(ANN, Act::Accept)
        .then("unchanged since 1");
}

#[test]
fn knows_no_request_where_nothing_was_ever_visible() {
    open_door().when(ANN, Act::Accept).then("not_found");
    open_door().when(ANN, QUIET).then("not_found");
    open_door()
        .and(ANN, FOLLOW)
        .when(ANN, Act::Accept)
        .then("not_found");
    pending().when(BOB, Act::Accept).then("not_found");
    pending().when(BOB, QUIET).then("not_found");
    pending().when(BOB, Act::Restore).then("not_found");
    pending().when(BOB, Act::MoveToRequests).then("not_found");
}

#[test]
fn does_not_record_what_is_not_found() {
    let mut story = pending();
    assert!(!story.act(BOB, Act::Accept).unwrap_err().recorded());
}

#[test]
fn refuses_to_accept_after_a_delete_telling_until_when_it_can_be_restored() {
    pending()
        .and(ANN, QUIET)
        .when(ANN, Act::Accept)
        .then(&format!("request_not_pending {DAY_130}"));
}

#[test]
fn refuses_to_accept_after_a_withdrawal() {
    pending()
        .and(BOB, Act::Unsend(1))
        .when(ANN, Act::Accept)
        .then("request_not_pending");
}

#[test]
fn refuses_to_accept_by_a_suspended_member() {
    pending()
        .ann(|ann| ann.suspended = true)
        .when(ANN, Act::Accept)
        .then("account_restricted (actor_suspended)");
}

#[test]
fn gives_the_loser_of_accept_against_delete_the_current_state() {
    pending()
        .and(ANN, Act::Accept)
        .when(ANN, QUIET)
        .then("already_accepted");
    pending()
        .and(ANN, QUIET)
        .when(ANN, Act::Accept)
        .then(&format!("request_not_pending {DAY_130}"));
}

#[test]
fn records_what_an_acceptance_was_decided_on() {
    let events = pending().events(ANN, Act::Accept);
    let Some(Event::RequestAccepted(accepted)) = events.first() else {
        unreachable!()
    };
    let evidence = accepted.evidence.unwrap();
    assert_eq!(
        (evidence.policy_version, evidence.setting_version),
        (3, Some(1))
    );
    assert_eq!(evidence.rule, None);
}

// Frozen.

#[test]
fn freezes_while_the_recipient_blocks_the_sender() {
    let blocked = pending().and(ANN, Act::Block);
    assert_eq!(blocked.frozen(), Some(Frozen::Blocked));
    blocked
        .clone()
        .when(ANN, Act::Accept)
        .then("request_frozen (recipient_blocks)");
    blocked
        .and(ANN, Act::Unblock)
        .when(ANN, Act::Accept)
        .then("bob accepted (Accept)");
}

#[test]
fn freezes_while_the_audience_refuses_the_class() {
    let closed = |audience| pending().ann(|ann| ann.audience = audience);
    closed(Audience::NoOne)
        .when(ANN, Act::Accept)
        .then("request_frozen (audience)");
    closed(Audience::Friends)
        .when(ANN, Act::Accept)
        .then("request_frozen (audience)");
    closed(Audience::Friends)
        .ann(|ann| ann.audience = Audience::Everyone)
        .when(ANN, Act::Accept)
        .then("bob accepted (Accept)");
}

#[test]
fn freezes_while_the_sender_is_suspended() {
    let suspended = pending().bob(|bob| bob.suspended = true);
    suspended
        .clone()
        .when(ANN, Act::Accept)
        .then("request_frozen (sender_suspended)");
    suspended
        .bob(|bob| bob.suspended = false)
        .when(ANN, Act::Accept)
        .then("bob accepted (Accept)");
}

#[test]
fn freezes_while_an_age_forbids_it() {
    pending()
        .bob(|bob| bob.age_band = AgeBand::Under16)
        .when(ANN, Act::Accept)
        .then("request_frozen (sender_under16)");
    pending()
        .ann(|ann| ann.age_band = AgeBand::Under16)
        .when(ANN, Act::Accept)
        .then("request_frozen (recipient_under16)");
}

#[test]
fn does_not_freeze_by_the_senders_own_block() {
    pending()
        .and(BOB, Act::Block)
        .when(ANN, Act::Accept)
        .then("bob accepted (Accept)");
}

#[test]
fn stays_frozen_until_every_cause_is_gone() {
    let twice = pending()
        .and(ANN, Act::Block)
        .bob(|bob| bob.suspended = true);
    twice
        .clone()
        .and(ANN, Act::Unblock)
        .when(ANN, Act::Accept)
        .then("request_frozen (sender_suspended)");
    let story = twice
        .and(ANN, Act::Unblock)
        .bob(|bob| bob.suspended = false);
    assert_eq!(story.frozen(), None);
}

#[test]
fn deletes_and_reports_while_frozen() {
    let frozen = pending().and(ANN, Act::Block);
    frozen
        .clone()
        .when(ANN, QUIET)
        .then("deleted Quiet 0..1 for 7 days, restorable 30 days");
    frozen
        .when(ANN, Act::Report(&[1], Also::None))
        .then("reported [1]");
}

#[test]
fn refuses_to_restore_while_frozen() {
    pending()
        .and(ANN, QUIET)
        .and(ANN, Act::Block)
        .when(ANN, Act::Restore)
        .then("request_frozen (recipient_blocks)");
}

// Relationship.

#[test]
fn takes_the_thread_along_when_the_table_comes_to_say_inbox() {
    pending()
        .and(ANN, FOLLOW)
        .when(BOB, HI)
        .then("bob accepted (Relationship); sent 2 to inbox by rule 9");
}

#[test]
fn moves_nothing_by_a_follow_alone() {
    let story = pending().and(ANN, FOLLOW);
    assert_eq!(story.state().request_state(&id(BOB)), RequestState::Pending);
}

#[test]
fn takes_the_thread_along_without_regard_to_the_cap() {
    open_door()
        .times(3, BOB, HI)
        .and(ANN, FOLLOW)
        .when(BOB, HI)
        .then("bob accepted (Relationship); sent 4 to inbox by rule 9");
}

#[test]
fn stays_accepted_after_an_unfollow() {
    pending()
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .and(ANN, UNFOLLOW)
        .when(BOB, HI)
        .then("sent 3 to inbox by rule 8");
}

// Unsend.

#[test]
fn unsends_a_message_of_a_request() {
    open_door()
        .times(2, BOB, HI)
        .when(BOB, Act::Unsend(1))
        .then("unsent 1");
}

#[test]
fn withdraws_the_request_with_its_last_message() {
    open_door()
        .times(2, BOB, HI)
        .and(BOB, Act::Unsend(1))
        .when(BOB, Act::Unsend(2))
        .then("unsent 2; withdrawn");
}

#[test]
fn withdraws_a_frozen_request_too() {
    pending()
        .and(ANN, Act::Block)
        .when(BOB, Act::Unsend(1))
        .then("unsent 1; withdrawn");
}

#[test]
fn does_not_count_a_withheld_message_as_one_that_is_left() {
    pending()
        .and(ANN, Act::Block)
        .and(BOB, HI)
        .when(BOB, Act::Unsend(1))
        .then("unsent 1; withdrawn");
}

#[test]
fn withdraws_a_reopened_request_with_the_last_of_what_came_since() {
    pending()
        .and(ANN, QUIET)
        .days(7)
        .and(BOB, HI)
        .when(BOB, Act::Unsend(2))
        .then("unsent 2; withdrawn");
}

#[test]
fn does_not_withdraw_what_was_deleted_lest_its_cooldown_end() {
    let story = pending().and(ANN, QUIET);
    story.clone().when(BOB, Act::Unsend(1)).then("unsent 1");
    story
        .and(BOB, Act::Unsend(1))
        .when(BOB, HI)
        .then("withheld 2 by rule 10");
}

#[test]
fn reopens_what_was_withdrawn_by_the_senders_next_message() {
    pending()
        .and(BOB, Act::Unsend(1))
        .slots_used(20)
        .when(BOB, HI)
        .then("reopened at 2; sent 2 to request by rule 12");
}

// Move to requests.

#[test]
fn moves_an_accepted_thread_back_with_an_empty_count() {
    let moved = open_door()
        .times(3, BOB, HI)
        .and(ANN, Act::Accept)
        .and(BOB, HI);
    moved
        .clone()
        .when(ANN, Act::MoveToRequests)
        .then("moved to requests after 4");
    moved
        .and(ANN, Act::MoveToRequests)
        .when(BOB, HI)
        .then("sent 5 to request by rule 12");
}

#[test]
fn moves_what_the_relationship_let_in() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .when(ANN, Act::MoveToRequests)
        .then("moved to requests after 1");
}

#[test]
fn stays_quiet_when_moved_twice() {
    let moved = pending()
        .and(ANN, Act::Accept)
        .and(ANN, Act::MoveToRequests);
    moved
        .when(ANN, Act::MoveToRequests)
        .then("unchanged since 3");
    pending()
        .when(ANN, Act::MoveToRequests)
        .then("unchanged since 0");
}

#[test]
fn refuses_to_move_what_is_not_in_the_inbox() {
    pending()
        .and(ANN, QUIET)
        .when(ANN, Act::MoveToRequests)
        .then("not_accepted");
    pending()
        .and(BOB, Act::Unsend(1))
        .when(ANN, Act::MoveToRequests)
        .then("not_accepted");
}

#[test]
fn accepts_again_by_the_recipients_own_message() {
    pending()
        .and(ANN, Act::Accept)
        .and(ANN, Act::MoveToRequests)
        .a_moment()
        .when(ANN, HI)
        .then("bob accepted (Reply); sent 2 to inbox by rule 8");
}

#[test]
fn withdraws_a_moved_thread_only_when_all_of_it_is_unsent() {
    let moved = pending()
        .and(ANN, Act::Accept)
        .and(BOB, HI)
        .and(ANN, Act::MoveToRequests);
    moved.clone().when(BOB, Act::Unsend(2)).then("unsent 2");
    moved
        .and(BOB, Act::Unsend(2))
        .when(BOB, Act::Unsend(1))
        .then("unsent 1; withdrawn");
}

// What a suspended member may do.

#[test]
fn lets_a_suspended_member_delete_block_report_mark_read_and_unsend() {
    let suspended = pending().ann(|ann| ann.suspended = true);
    suspended
        .clone()
        .when(ANN, QUIET)
        .then("deleted Quiet 0..1 for 7 days, restorable 30 days");
    suspended.clone().when(ANN, Act::Block).then("blocked");
    suspended
        .clone()
        .when(ANN, Act::Report(&[1], Also::None))
        .then("reported [1]");
    suspended.when(ANN, Act::Read(1)).then("read up to 1");
    pending()
        .bob(|bob| bob.suspended = true)
        .when(BOB, Act::Unsend(1))
        .then("unsent 1; withdrawn");
}
