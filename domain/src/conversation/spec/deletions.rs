//! The request in one direction: delete, its cooldown, restore.
//!
//! Ann deletes what Bob sent. Days pass by `days`, and every end is tried at its last moment and after it.

use super::*;

const HI: Act = Act::Send("hi");

/// Bob's request waits.
fn pending() -> Story {
    open_door().and(BOB, HI)
}

// Delete, and the cooldown.

#[test]
fn deletes_quietly_with_a_cooldown_of_7_days_then_30_then_until_the_recipient_acts() {
    let story = pending();
    story
        .clone()
        .when(ANN, QUIET)
        .then("deleted Quiet 0..1 for 7 days, restorable 30 days");
    let story = story.and(ANN, QUIET).days(7).and(BOB, HI);
    story
        .clone()
        .when(ANN, QUIET)
        .then("deleted Quiet 0..2 for 30 days, restorable 30 days");
    let story = story.and(ANN, QUIET).days(30).and(BOB, HI);
    story
        .clone()
        .when(ANN, QUIET)
        .then("deleted Quiet 0..3 for good, restorable 30 days");
}

#[test]
fn withholds_to_the_last_millisecond_of_a_cooldown_of_whole_days() {
    let story = pending().and(ANN, QUIET).days(7);
    let at = story.now();
    let mut almost = story.clone();
    almost.at = Timestamp(at.0 - 1);
    almost.when(BOB, HI).then("withheld 2 by rule 10");
    story
        .when(BOB, HI)
        .then("reopened at 2; sent 2 to request by rule 12");
}

#[test]
fn deletes_finally_until_the_recipient_writes() {
    let story = pending();
    story
        .clone()
        .when(ANN, FINAL)
        .then("deleted Final 0..1 for good, restorable 30 days");
    let story = story.and(ANN, FINAL);
    story
        .clone()
        .days(1_000)
        .when(BOB, HI)
        .then("withheld 2 by rule 10");
    story
        .and(ANN, HI)
        .when(BOB, HI)
        .then("sent 3 to inbox by rule 8");
}

#[test]
fn refuses_to_delete_what_was_accepted() {
    pending()
        .and(ANN, Act::Accept)
        .when(ANN, QUIET)
        .then("already_accepted");
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .when(ANN, FINAL)
        .then("already_accepted");
}

#[test]
fn refuses_to_delete_what_was_withdrawn() {
    pending()
        .and(BOB, Act::Unsend(1))
        .when(ANN, QUIET)
        .then("request_not_pending");
}

#[test]
fn writes_final_after_quiet_and_stays_quiet_at_quiet_after_final() {
    let quiet = pending().and(ANN, QUIET);
    quiet.clone().when(ANN, QUIET).then("unchanged since 2");
    quiet
        .clone()
        .days(1)
        .when(ANN, FINAL)
        .then("deleted Final 0..1 for good, restorable 29 days");
    quiet
        .clone()
        .and(ANN, FINAL)
        .when(ANN, QUIET)
        .then("unchanged since 3");
    quiet
        .and(ANN, FINAL)
        .when(ANN, FINAL)
        .then("unchanged since 3");
}

#[test]
fn lifts_the_cooldown_by_the_recipients_own_message() {
    pending()
        .and(ANN, QUIET)
        .and(ANN, HI)
        .when(BOB, HI)
        .then("sent 3 to inbox by rule 8");
}

#[test]
fn lifts_the_cooldown_by_a_later_follow_even_if_it_ends() {
    for mode in [QUIET, FINAL] {
        pending()
            .and(ANN, mode)
            .and(ANN, FOLLOW)
            .and(ANN, UNFOLLOW)
            .when(BOB, HI)
            .then("reopened at 2; sent 2 to request by rule 12");
    }
}

#[test]
fn does_not_lift_the_cooldown_by_an_earlier_follow_or_the_senders() {
    pending()
        .and(ANN, FOLLOW)
        .and(ANN, QUIET)
        .and(ANN, UNFOLLOW)
        .and(BOB, FOLLOW)
        .when(BOB, HI)
        .then("withheld 2 by rule 10");
}

#[test]
fn reopens_by_the_senders_next_message_once_the_cooldown_is_over() {
    pending()
        .and(ANN, QUIET)
        .days(7)
        .slots_used(20)
        .when(BOB, HI)
        .then("reopened at 2; sent 2 to request by rule 12");
}

#[test]
fn counts_deletions_anew_after_acceptance_but_not_after_a_restore() {
    let deleted = pending().and(ANN, QUIET);
    deleted
        .clone()
        .and(ANN, Act::Restore)
        .when(ANN, QUIET)
        .then("deleted Quiet 0..1 for 30 days, restorable 30 days");
    deleted
        .and(ANN, HI)
        .and(ANN, Act::MoveToRequests)
        .when(ANN, QUIET)
        .then("deleted Quiet 0..2 for 7 days, restorable 30 days");
}

// Restore.

#[test]
fn restores_either_mode_within_30_days() {
    for mode in [QUIET, FINAL] {
        let deleted = pending().and(ANN, mode);
        deleted
            .clone()
            .days(30)
            .when(ANN, Act::Restore)
            .then("restored after 0");
        deleted
            .days(30)
            .a_moment()
            .when(ANN, Act::Restore)
            .then("not_restorable");
    }
}

#[test]
fn ends_the_cooldown_by_a_restore() {
    pending()
        .and(ANN, FINAL)
        .and(ANN, Act::Restore)
        .when(BOB, HI)
        .then("sent 2 to request by rule 12");
}

#[test]
fn merges_what_is_restored_into_a_newer_request() {
    let reopened = pending().and(ANN, QUIET).days(7).and(BOB, HI);
    reopened
        .clone()
        .when(ANN, Act::Restore)
        .then("restored after 0, merged");
    reopened
        .and(ANN, Act::Restore)
        .when(ANN, QUIET)
        .then("deleted Quiet 0..2 for 30 days, restorable 30 days");
}

#[test]
fn stays_quiet_when_restored_twice() {
    pending()
        .and(ANN, QUIET)
        .and(ANN, Act::Restore)
        .when(ANN, Act::Restore)
        .then("unchanged since 3");
}

#[test]
fn refuses_to_restore_what_was_never_deleted() {
    pending().when(ANN, Act::Restore).then("not_restorable");
    pending()
        .and(ANN, Act::Accept)
        .when(ANN, Act::Restore)
        .then("not_restorable");
}

#[test]
fn refuses_to_restore_when_every_deleted_message_was_unsent() {
    pending()
        .and(ANN, QUIET)
        .and(BOB, Act::Unsend(1))
        .when(ANN, Act::Restore)
        .then("not_restorable");
}

#[test]
fn restores_a_deleted_part_after_the_newer_one_was_withdrawn() {
    pending()
        .and(ANN, QUIET)
        .days(7)
        .and(BOB, HI)
        .and(BOB, Act::Unsend(2))
        .when(ANN, Act::Restore)
        .then("restored after 0");
}

#[test]
fn leaves_a_part_past_its_30_days_out_of_a_later_restore() {
    pending()
        .and(ANN, QUIET)
        .days(31)
        .and(BOB, HI)
        .and(ANN, QUIET)
        .when(ANN, Act::Restore)
        .then("restored after 1");
}

#[test]
fn withdraws_nothing_when_a_part_left_out_of_a_restore_is_unsent() {
    let story = pending()
        .and(ANN, QUIET)
        .days(31)
        .and(BOB, HI)
        .and(ANN, QUIET)
        .and(ANN, Act::Restore);
    story.when(BOB, Act::Unsend(1)).then("unsent 1");
}

#[test]
fn brings_every_deleted_part_back_by_acceptance() {
    // Unsending the old message then withdraws nothing: the newer one is still there, and so was the older.
    let story = pending()
        .and(ANN, QUIET)
        .days(31)
        .and(BOB, HI)
        .and(ANN, QUIET)
        .and(ANN, Act::Restore)
        .and(ANN, Act::Accept)
        .and(ANN, Act::MoveToRequests)
        .and(BOB, Act::Unsend(2));
    story.when(BOB, Act::Unsend(1)).then("unsent 1; withdrawn");
}

#[test]
fn keeps_what_was_withheld_away_also_after_a_restore_and_by_acceptance() {
    let withheld = open_door().and(BOB, HI).and(ANN, QUIET).and(BOB, HI);
    let restored = withheld.clone().and(ANN, Act::Restore);
    let accepted = restored.clone().and(ANN, Act::Accept);
    let replied = withheld.and(ANN, HI);
    for (story, last_visible) in [(restored, 1), (accepted, 1), (replied, 3)] {
        story
            .clone()
            .when(ANN, Act::Report(&[2], Also::None))
            .then("invalid_report for messages");
        story
            .when(ANN, Act::Read(last_visible + 1))
            .then("invalid_read_mark for up_to");
    }
}

#[test]
fn takes_no_new_slot_for_a_request_that_opens_again() {
    open_door()
        .and(BOB, HI)
        .and(ANN, QUIET)
        .days(7)
        .slots_used(20)
        .when(BOB, HI)
        .then("reopened at 2; sent 2 to request by rule 12");
    open_door()
        .and(BOB, HI)
        .and(BOB, Act::Unsend(1))
        .slots_used(20)
        .when(BOB, HI)
        .then("reopened at 2; sent 2 to request by rule 12");
}
