//! What each member does on their own side (read marks, mutes, blocks), the host's relationships, and unsending.
//!
//! Also what does not exist for a caller: a conversation without a message that they can see, a message that is not
//! theirs to know.

use super::*;

const HI: Act = Act::Send("hi");

// Read marks.

#[test]
fn marks_read() {
    open_door()
        .times(2, BOB, HI)
        .when(ANN, Act::Read(1))
        .then("read up to 1");
}

#[test]
fn stays_quiet_at_a_mark_that_is_there() {
    let marked = open_door().times(2, BOB, HI).and(ANN, Act::Read(2));
    marked
        .clone()
        .when(ANN, Act::Read(2))
        .then("unchanged since 3");
    marked.when(ANN, Act::Read(1)).then("unchanged since 3");
    open_door()
        .and(BOB, HI)
        .when(ANN, Act::Read(0))
        .then("unchanged since ever");
}

#[test]
fn refuses_a_mark_above_the_last_message_the_reader_can_see() {
    let story = open_door().and(BOB, HI).and(ANN, Act::Block).and(BOB, HI);
    story
        .clone()
        .when(ANN, Act::Read(2))
        .then("invalid_read_mark for up_to");
    story.when(BOB, Act::Read(2)).then("read up to 2");
}

#[test]
fn knows_no_conversation_without_a_message_visible_to_the_caller() {
    for act in [Act::Read(1), Act::Mute, Act::Unmute] {
        open_door().when(ANN, act).then("not_found");
        open_door()
            .and(ANN, Act::Block)
            .when(ANN, act)
            .then("not_found");
        open_door()
            .and(BOB, HI)
            .and(ANN, QUIET)
            .days(31)
            .when(ANN, act)
            .then("not_found");
        open_door()
            .and(BOB, HI)
            .and(BOB, Act::Unsend(1))
            .when(ANN, act)
            .then("not_found");
    }
}

#[test]
fn knows_a_conversation_that_is_frozen_blocked_or_restorable() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .when(ANN, Act::Read(1))
        .then("read up to 1");
    open_door()
        .and(BOB, HI)
        .and(ANN, QUIET)
        .days(30)
        .when(ANN, Act::Read(1))
        .then("read up to 1");
    open_door()
        .and(BOB, HI)
        .ann(|ann| ann.audience = Audience::NoOne)
        .when(ANN, Act::Read(1))
        .then("read up to 1");
}

// Mutes.

#[test]
fn mutes_and_unmutes() {
    let story = open_door().and(BOB, HI);
    story.clone().when(ANN, Act::Mute).then("muted");
    story
        .and(ANN, Act::Mute)
        .when(ANN, Act::Unmute)
        .then("unmuted");
}

#[test]
fn stays_quiet_when_muted_or_unmuted_twice() {
    let story = open_door().and(BOB, HI);
    story
        .clone()
        .when(ANN, Act::Unmute)
        .then("unchanged since ever");
    story
        .clone()
        .and(ANN, Act::Mute)
        .when(ANN, Act::Mute)
        .then("unchanged since 2");
    story
        .and(ANN, Act::Mute)
        .and(ANN, Act::Unmute)
        .when(ANN, Act::Unmute)
        .then("unchanged since 3");
}

#[test]
fn mutes_one_side_alone() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Mute)
        .when(BOB, Act::Mute)
        .then("muted");
}

// Blocks.

#[test]
fn blocks_and_unblocks_without_any_message() {
    open_door().when(ANN, Act::Block).then("blocked");
    open_door()
        .and(ANN, Act::Block)
        .when(ANN, Act::Unblock)
        .then("unblocked");
}

#[test]
fn stays_quiet_when_blocked_twice_or_never() {
    open_door()
        .when(ANN, Act::Unblock)
        .then("unchanged since ever");
    open_door()
        .and(ANN, Act::Block)
        .when(ANN, Act::Block)
        .then("unchanged since 0");
    open_door()
        .and(ANN, Act::Block)
        .and(ANN, Act::Unblock)
        .when(ANN, Act::Unblock)
        .then("unchanged since 1");
}

#[test]
fn refuses_to_block_or_relate_to_oneself() {
    let story = open_door();
    let (by, at) = (id(ANN), story.now());
    let block = BlockMember {
        by: by.clone(),
        other: by.clone(),
        at,
    };
    let relate = RecordRelationship {
        kind: RelationshipKind::Follow,
        member: by.clone(),
        other: by,
        at,
    };
    for command in [
        Command::BlockMember(block),
        Command::RecordRelationship(relate),
    ] {
        let rejection = decide(story.state(), &command).unwrap_err();
        assert_eq!(
            (rejection.code(), rejection.recorded()),
            (Code::InvalidMember, false)
        );
    }
}

#[test]
fn returns_an_accepted_thread_by_unblocking() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .and(ANN, Act::Block)
        .and(ANN, Act::Unblock)
        .when(BOB, HI)
        .then("sent 2 to inbox by rule 8");
}

// Relationships.

#[test]
fn records_what_the_host_reports() {
    let unsuggest = Act::Relate(RelationshipKind::Unsuggest);
    open_door().when(ANN, FOLLOW).then("Follow");
    open_door()
        .and(ANN, FOLLOW)
        .when(ANN, UNFOLLOW)
        .then("Unfollow");
    open_door().when(ANN, SUGGEST).then("Suggest");
    open_door()
        .and(ANN, SUGGEST)
        .when(ANN, unsuggest)
        .then("Unsuggest");
}

#[test]
fn stays_quiet_at_what_it_knows_of_a_relationship() {
    open_door().when(ANN, UNFOLLOW).then("unchanged since ever");
    open_door()
        .and(ANN, FOLLOW)
        .and(BOB, FOLLOW)
        .when(ANN, FOLLOW)
        .then("unchanged since 0");
    open_door()
        .and(ANN, FOLLOW)
        .and(ANN, UNFOLLOW)
        .when(ANN, UNFOLLOW)
        .then("unchanged since 1");
}

// Unsending outside of requests.

#[test]
fn unsends_in_an_accepted_conversation() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Accept)
        .when(BOB, Act::Unsend(1))
        .then("unsent 1");
}

#[test]
fn unsends_a_withheld_message() {
    open_door()
        .and(BOB, HI)
        .and(ANN, Act::Block)
        .and(BOB, HI)
        .when(BOB, Act::Unsend(2))
        .then("unsent 2 (withheld)");
}

#[test]
fn stays_quiet_when_unsent_twice() {
    open_door()
        .times(2, BOB, HI)
        .and(BOB, Act::Unsend(1))
        .when(BOB, Act::Unsend(1))
        .then("unchanged since 3");
}

#[test]
fn refuses_to_unsend_what_the_other_wrote() {
    open_door()
        .and(BOB, HI)
        .when(ANN, Act::Unsend(1))
        .then("not_author");
}

#[test]
fn knows_no_message_that_is_missing_or_withheld_from_the_caller() {
    let story = open_door().and(BOB, HI).and(ANN, Act::Block).and(BOB, HI);
    story.clone().when(BOB, Act::Unsend(3)).then("not_found");
    story.when(ANN, Act::Unsend(2)).then("not_found");
}

#[test]
fn remembers_the_version_that_unsent_a_message() {
    // Between the two unsends lies something else, so that the answer is not merely the last event.
    open_door()
        .times(2, BOB, HI)
        .and(BOB, Act::Unsend(1))
        .and(ANN, Act::Mute)
        .when(BOB, Act::Unsend(1))
        .then("unchanged since 3");
}
