//! `SendMessage`, rules 7 to 12: inbox, request, or withheld.
//!
//! Every cell of the audience table is tried; a number in what is told is the rule that decided.

use super::*;
use crate::policy::{Admission, Class};

const HI: Act = Act::Send("hi");

// Rule 7: writing back accepts.

#[test]
fn accepts_a_waiting_request_by_a_reply() {
    open_door()
        .and(BOB, HI)
        .a_moment()
        .when(ANN, HI)
        .then("bob accepted (Reply); sent 2 to inbox by rule 8");
}

#[test]
fn accepts_a_deleted_request_by_a_message() {
    open_door()
        .and(BOB, HI)
        .and(ANN, FINAL)
        .when(ANN, HI)
        .then("bob accepted (Reply); sent 2 to inbox by rule 8");
}

#[test]
fn accepts_a_withdrawn_request_by_a_message() {
    open_door()
        .and(BOB, HI)
        .and(BOB, Act::Unsend(1))
        .when(ANN, HI)
        .then("bob accepted (Reply); sent 2 to inbox by rule 8");
}

#[test]
fn tells_a_crossing_when_both_knock_at_once() {
    open_door()
        .and(BOB, HI)
        .when(ANN, HI)
        .then("bob accepted (Crossing); sent 2 to inbox by rule 8");
}

#[test]
fn tells_a_crossing_when_both_directions_wait() {
    open_door()
        .bob(|bob| bob.audience = Audience::Everyone)
        .and(BOB, HI)
        .a_moment()
        .and(ANN, HI)
        .and(BOB, Act::MoveToRequests)
        .and(ANN, Act::MoveToRequests)
        .a_moment()
        .when(BOB, HI)
        .then("ann accepted (Crossing); sent 3 to request by rule 12");
}

#[test]
fn accepts_nothing_when_the_message_is_refused() {
    let mut story = open_door()
        .and(BOB, HI)
        .bob(|bob| bob.audience = Audience::NoOne);
    assert!(story.act(ANN, HI).is_err());
    assert_eq!(story.state().request_state(&id(BOB)), RequestState::Pending);
}

// Rule 8: the inbox of who consented.

#[test]
fn delivers_to_the_inbox_once_accepted() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .when(BOB, HI)
        .then("sent 2 to inbox by rule 8");
}

#[test]
fn delivers_to_the_inbox_of_who_wrote_first() {
    open_door()
        .and(BOB, HI)
        .when(ANN, HI)
        .then("bob accepted (Crossing); sent 2 to inbox by rule 8");
    given(Audience::Friends)
        .bob(|bob| bob.audience = Audience::Everyone)
        .and(ANN, HI)
        .and(BOB, HI)
        .times(5, BOB, HI)
        .when(BOB, HI)
        .then("sent 8 to inbox by rule 8");
}

#[test]
fn delivers_on_after_an_unfollow_once_accepted() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .and(ANN, HI)
        .and(ANN, UNFOLLOW)
        .when(BOB, HI)
        .then("sent 3 to inbox by rule 8");
}

#[test]
fn delivers_on_when_the_setting_is_tightened_once_accepted() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .ann(|ann| ann.audience = Audience::Friends)
        .when(BOB, HI)
        .then("sent 2 to inbox by rule 8");
}

// Rule 9: the audience table.

/// A story in which Bob is of this class to Ann, and nothing more.
fn of_class(audience: Audience, class: Class) -> Story {
    let story = given(audience);
    match class {
        Class::RecipientFollows => story.and(ANN, FOLLOW),
        Class::Suggested => story.and(ANN, SUGGEST),
        Class::Friend => story.and(ANN, FOLLOW).and(BOB, FOLLOW),
        Class::Anyone => story,
    }
}

#[test]
fn routes_by_every_cell_of_the_audience_table() {
    use Audience::{Everyone, Following, Friends, FriendsAndSuggested};
    let (inbox, request, refused) = (Admission::Inbox, Admission::Request, Admission::Refused);
    let table = [
        (Everyone, [inbox, request, inbox, request]),
        (Following, [inbox, refused, inbox, refused]),
        (FriendsAndSuggested, [refused, inbox, inbox, refused]),
        (Friends, [refused, refused, inbox, refused]),
    ];
    let columns = [
        Class::RecipientFollows,
        Class::Suggested,
        Class::Friend,
        Class::Anyone,
    ];
    for (audience, cells) in table {
        for (class, cell) in columns.into_iter().zip(cells) {
            of_class(audience, class).when(BOB, HI).then(match cell {
                Admission::Inbox => "sent 1 to inbox by rule 9",
                Admission::Request => "opened at 1; sent 1 to request by rule 12",
                Admission::Refused => "not_allowed by rule 9 (audience)",
            });
        }
    }
    for class in columns {
        of_class(Audience::NoOne, class)
            .when(BOB, HI)
            .then("not_allowed by rule 6 (audience)");
    }
}

#[test]
fn lets_the_most_open_column_win() {
    given(Audience::FriendsAndSuggested)
        .and(ANN, FOLLOW)
        .and(ANN, SUGGEST)
        .when(BOB, HI)
        .then("sent 1 to inbox by rule 9");
}

#[test]
fn opens_nothing_by_the_senders_own_follow() {
    given(Audience::Following)
        .and(BOB, FOLLOW)
        .when(BOB, HI)
        .then("not_allowed by rule 9 (audience)");
    given(Audience::Everyone)
        .and(BOB, FOLLOW)
        .when(BOB, HI)
        .then("opened at 1; sent 1 to request by rule 12");
}

#[test]
fn asks_the_table_again_while_nobody_consented() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .and(ANN, UNFOLLOW)
        .when(BOB, HI)
        .then("not_allowed by rule 9 (audience)");
}

#[test]
fn takes_no_slot_for_a_request_that_is_no_first_contact() {
    open_door()
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .and(ANN, UNFOLLOW)
        .slots_used(20)
        .when(BOB, HI)
        .then("opened at 2; sent 2 to request by rule 12");
}

#[test]
fn records_the_evidence_of_a_delivery() {
    let events = open_door().and(ANN, SUGGEST).events(BOB, HI);
    let Some(Event::MessageSent(sent)) = events.last() else {
        unreachable!()
    };
    let evidence = sent.evidence;
    assert_eq!(evidence.rule, Some(12));
    assert_eq!(
        (evidence.policy_version, evidence.setting_version),
        (3, Some(1))
    );
    assert_eq!(
        (evidence.sender_version, evidence.recipient_version),
        (Some(8), Some(7))
    );
    assert_eq!(
        (evidence.audience, evidence.class),
        (Some(Audience::Everyone), Some(Class::Suggested))
    );
}

// Rule 10: the cooldown of a deleted request.

#[test]
fn withholds_while_the_cooldown_of_a_deleted_request_runs() {
    open_door()
        .and(BOB, HI)
        .and(ANN, QUIET)
        .days(6)
        .when(BOB, HI)
        .then("withheld 2 by rule 10");
}

#[test]
fn withholds_during_a_cooldown_up_to_the_cap_of_a_request() {
    open_door()
        .and(BOB, HI)
        .and(ANN, QUIET)
        .times(2, BOB, HI)
        .when(BOB, HI)
        .then("limit_reached by rule 10 (cooldown)");
}

#[test]
fn withholds_what_comes_by_suggestion_alone_while_a_cooldown_runs() {
    let deleted = open_door()
        .and(BOB, HI)
        .and(ANN, QUIET)
        .ann(|ann| ann.audience = Audience::FriendsAndSuggested);
    deleted
        .clone()
        .and(ANN, SUGGEST)
        .when(BOB, HI)
        .then("withheld 2 by rule 10");
    deleted
        .and(ANN, SUGGEST)
        .days(7)
        .when(BOB, HI)
        .then("bob accepted (Relationship); sent 2 to inbox by rule 9");
}

#[test]
fn delivers_a_friends_message_while_a_cooldown_runs() {
    open_door()
        .and(BOB, HI)
        .and(BOB, FOLLOW)
        .and(ANN, FOLLOW)
        .and(ANN, FINAL)
        .when(BOB, HI)
        .then("bob accepted (Relationship); sent 2 to inbox by rule 9");
}

#[test]
fn refuses_during_a_cooldown_what_the_audience_refuses() {
    open_door()
        .and(BOB, HI)
        .and(ANN, QUIET)
        .ann(|ann| ann.audience = Audience::Friends)
        .when(BOB, HI)
        .then("not_allowed by rule 9 (audience)");
}

// Rule 11: three messages in a request.

#[test]
fn refuses_the_fourth_message_of_a_request() {
    open_door()
        .times(3, BOB, HI)
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

#[test]
fn counts_unsent_messages_of_a_request() {
    open_door()
        .times(3, BOB, HI)
        .and(BOB, Act::Unsend(1))
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

#[test]
fn counts_withheld_messages_of_a_request() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .times(2, BOB, HI)
        .and(ANN, Act::Unblock)
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

#[test]
fn counts_deleted_messages_of_a_request() {
    open_door()
        .times(3, BOB, HI)
        .and(ANN, QUIET)
        .days(8)
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

#[test]
fn counts_what_was_withdrawn() {
    open_door()
        .times(3, BOB, HI)
        .and(BOB, Act::Unsend(1))
        .and(BOB, Act::Unsend(2))
        .and(BOB, Act::Unsend(3))
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

#[test]
fn counts_anew_after_acceptance() {
    open_door()
        .times(3, BOB, HI)
        .and(ANN, Act::Accept)
        .and(ANN, Act::MoveToRequests)
        .times(3, BOB, HI)
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

#[test]
fn takes_as_many_messages_as_the_policy_in_force_says() {
    open_door()
        .rules(|rules| rules.request_messages_max = 1)
        .and(BOB, HI)
        .when(BOB, HI)
        .then("limit_reached by rule 11 (request_messages)");
}

// Rule 12: the doorstep.

#[test]
fn opens_a_request_with_a_strangers_first_message() {
    open_door()
        .when(BOB, HI)
        .then("opened at 1; sent 1 to request by rule 12");
}

#[test]
fn joins_the_request_that_waits() {
    open_door()
        .and(BOB, HI)
        .when(BOB, HI)
        .then("sent 2 to request by rule 12");
}

#[test]
fn asks_for_a_slot_before_it_opens_a_request() {
    let story = open_door();
    let Command::SendMessage(taken) = story.command(BOB, HI) else {
        unreachable!()
    };
    let open = SendMessage {
        slot: Slot::Open { used: 0 },
        ..taken
    };
    assert!(needs_slot(story.state(), &open));
    let rejection = decide(story.state(), &Command::SendMessage(open)).unwrap_err();
    assert_eq!(rejection.code(), Code::SlotNeeded);
    assert!(!rejection.recorded());
}

#[test]
fn asks_for_no_slot_where_no_request_is_opened() {
    let open = |story: &Story| {
        let Command::SendMessage(command) = story.command(BOB, HI) else {
            unreachable!()
        };
        SendMessage {
            slot: Slot::Open { used: 0 },
            ..command
        }
    };
    for story in [
        open_door().and(ANN, FOLLOW),
        open_door().and(ANN, Act::Block),
        open_door().and(BOB, HI),
        given(Audience::NoOne),
        open_door().ann_unknown(),
    ] {
        assert!(!needs_slot(story.state(), &open(&story)));
    }
}

#[test]
fn answers_a_sender_alike_for_block_no_one_age_and_unknown() {
    let mut codes = Vec::new();
    for mut story in [
        open_door().and(ANN, Act::Block),
        given(Audience::NoOne),
        open_door().ann(|ann| ann.age_band = AgeBand::Under16),
        open_door().ann_unknown(),
        given(Audience::Friends),
    ] {
        codes.push(story.act(BOB, HI).unwrap_err().code());
    }
    assert_eq!(codes, [Code::NotAllowed; 5]);
}
