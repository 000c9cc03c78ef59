//! A relationship that the host gives with a message: what differs is recorded first, and the message decided on it.

use super::*;

const HI: Act = Act::Send("hi");

/// What the host says: the recipient follows the sender, the sender the recipient, the sender is suggested.
fn says(
    recipient_follows: Option<bool>,
    sender_follows: Option<bool>,
    suggested: Option<bool>,
) -> GivenRelationship {
    GivenRelationship {
        recipient_follows,
        sender_follows,
        suggested,
    }
}

#[test]
fn decides_a_message_on_the_relationship_that_comes_with_it() {
    given(Audience::Following)
        .told(says(Some(true), None, None))
        .when(BOB, HI)
        .then("Follow; sent 1 to inbox by rule 9");
    given(Audience::FriendsAndSuggested)
        .told(says(None, None, Some(true)))
        .when(BOB, HI)
        .then("Suggest; sent 1 to inbox by rule 9");
    given(Audience::Friends)
        .told(says(Some(true), Some(true), None))
        .when(BOB, HI)
        .then("Follow; Follow; sent 1 to inbox by rule 9");
}

#[test]
fn records_whose_follow_and_to_whom_is_suggested() {
    let events = open_door()
        .told(says(Some(true), Some(true), Some(true)))
        .events(BOB, HI);
    let mut recorded = Vec::new();
    for event in &events {
        if let Event::RelationshipRecorded(event) = event {
            recorded.push((event.kind, event.member.to_string()));
        }
    }
    let (ann, bob) = (ANN.to_owned(), BOB.to_owned());
    assert_eq!(
        recorded,
        [
            (RelationshipKind::Follow, ann.clone()),
            (RelationshipKind::Follow, bob),
            (RelationshipKind::Suggest, ann)
        ]
    );
}

#[test]
fn records_the_end_of_what_no_longer_holds() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .and(BOB, HI)
        .told(says(Some(false), None, None))
        .when(BOB, HI)
        .then("not_allowed by rule 9 (audience)");
    open_door()
        .and(ANN, FOLLOW)
        .told(says(Some(false), None, None))
        .when(BOB, HI)
        .then("Unfollow; opened at 1; sent 1 to request by rule 12");
}

#[test]
fn records_nothing_that_is_so_already_or_was_not_said() {
    given(Audience::Following)
        .and(ANN, FOLLOW)
        .told(says(Some(true), Some(false), None))
        .when(BOB, HI)
        .then("sent 1 to inbox by rule 9");
}

#[test]
fn lifts_a_cooldown_by_a_follow_that_comes_with_the_message() {
    open_door()
        .and(BOB, HI)
        .and(ANN, FINAL)
        .told(says(Some(true), None, None))
        .when(BOB, HI)
        .then("Follow; bob accepted (Relationship); sent 2 to inbox by rule 9");
}

#[test]
fn puts_what_the_host_knows_before_a_refusal() {
    let story = given(Audience::Friends).told(says(Some(true), None, None));
    let command = story.command(BOB, HI);
    let first = recorded_first(story.state(), &command);
    assert_eq!(first.len(), 1);
    assert_eq!(brief(&first[0], story.now()), "Follow");
    story.when(BOB, HI).then("not_allowed by rule 9 (audience)");
}

#[test]
fn asks_for_a_slot_by_the_relationship_that_comes_with_a_message() {
    let slot_needed = |story: &Story| {
        let Command::SendMessage(command) = story.command(BOB, HI) else {
            unreachable!()
        };
        let slot = Slot::Open { used: 0 };
        needs_slot(story.state(), &SendMessage { slot, ..command })
    };
    assert!(slot_needed(&open_door()));
    assert!(!slot_needed(&open_door().told(says(
        Some(true),
        None,
        None
    ))));
}

#[test]
fn knows_no_relationship_of_a_member_to_themselves() {
    let story = open_door().told(says(Some(true), None, None));
    let Command::SendMessage(command) = story.command(BOB, HI) else {
        unreachable!()
    };
    let command = Command::SendMessage(SendMessage {
        to: id(BOB),
        ..command
    });
    assert!(recorded_first(story.state(), &command).is_empty());
}
