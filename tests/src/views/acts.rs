//! Random histories: what members do to one another, carried out in a [`World`].

use domain::case::Category;
use domain::conversation::{Also, DeleteMode, RelationshipKind};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use proptest::prelude::*;

use super::World;

/// The members of random histories.
pub const MEMBERS: [&str; 4] = ["ann", "bob", "cleo", "dan"];

/// Something that a member does to another.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Writes.
    Send,
    /// Accepts.
    Accept,
    /// Deletes.
    Delete(DeleteMode),
    /// Restores.
    Restore,
    /// Moves to the requests.
    Move,
    /// Unsends the nth last message.
    Unsend(u64),
    /// Reads up to the nth last message.
    Read(u64),
    /// Mutes.
    Mute,
    /// Unmutes.
    Unmute,
    /// Blocks.
    Block,
    /// Unblocks.
    Unblock,
    /// Is related otherwise.
    Relate(RelationshipKind),
    /// Reports the nth last message.
    Report(u64, Also),
    /// Has moderators remove the nth last message, if the other wrote it and it arrived.
    Remove(u64),
    /// Has moderators show the nth last message again, if they removed it.
    ShowAgain(u64),
    /// Chooses an audience.
    Audience(Audience),
    /// Is of another age.
    Age(AgeBand),
    /// Is suspended.
    Suspend,
    /// Is reinstated.
    Reinstate,
    /// The default of those of 16 and 17 changes.
    Policy(Audience),
    /// Days pass.
    Wait(i64),
}

fn act() -> impl Strategy<Value = Act> {
    use RelationshipKind::{Follow, Suggest, Unfollow, Unsuggest};
    let audience = || {
        prop::sample::select(vec![
            Audience::Everyone,
            Audience::Everyone,
            Audience::Following,
            Audience::FriendsAndSuggested,
            Audience::Friends,
            Audience::NoOne,
        ])
    };
    let ages = vec![
        AgeBand::Adult,
        AgeBand::Adult,
        AgeBand::From16To17,
        AgeBand::Under16,
    ];
    prop_oneof![
        20 => Just(Act::Send),
        4 => Just(Act::Accept),
        4 => prop::sample::select(vec![DeleteMode::Quiet, DeleteMode::Final]).prop_map(Act::Delete),
        3 => Just(Act::Restore),
        4 => Just(Act::Move),
        6 => (1..6_u64).prop_map(Act::Unsend),
        4 => (1..6_u64).prop_map(Act::Read),
        1 => Just(Act::Mute),
        1 => Just(Act::Unmute),
        2 => Just(Act::Block),
        2 => Just(Act::Unblock),
        5 => prop::sample::select(vec![Follow, Follow, Unfollow, Suggest, Unsuggest]).prop_map(Act::Relate),
        2 => ((1..4_u64), prop::sample::select(vec![Also::None, Also::Delete, Also::Block]))
            .prop_map(|(number, also)| Act::Report(number, also)),
        2 => (1..6_u64).prop_map(Act::Remove),
        2 => (1..6_u64).prop_map(Act::ShowAgain),
        3 => audience().prop_map(Act::Audience),
        1 => prop::sample::select(ages).prop_map(Act::Age),
        1 => Just(Act::Suspend),
        2 => Just(Act::Reinstate),
        1 => audience().prop_map(Act::Policy),
        4 => (0..20_i64).prop_map(Act::Wait),
    ]
}

/// Who does what to whom.
pub fn steps() -> impl Strategy<Value = Vec<(usize, usize, Act)>> {
    // Two of the four do most, so that their conversation gets far.
    let who = || prop_oneof![6 => 0..2_usize, 1 => 0..4_usize];
    prop::collection::vec((who(), who(), act()), 1..80)
}

/// Carries an act out, or tries to.
pub fn carry_out(world: &mut World, by: &str, other: &str, act: Act) {
    let counted =
        |world: &World, back: u64| (world.state(by, other).last_number() + 1).saturating_sub(back);
    // What is refused leaves no trace in the views, and that is the point of trying it.
    let _ = match act {
        Act::Send => world
            .send(
                by,
                other,
                &format!("{by} to {other} at {}", world.events().len()),
            )
            .map(|_| ()),
        Act::Accept => world.accept(by, other),
        Act::Delete(mode) => world.delete(by, other, mode),
        Act::Restore => world.restore(by, other),
        Act::Move => world.move_to_requests(by, other),
        Act::Unsend(back) => world.unsend(by, other, counted(world, back)),
        Act::Read(back) => world.read(by, other, counted(world, back)),
        Act::Mute => world.mute(by, other),
        Act::Unmute => world.unmute(by, other),
        Act::Block => world.block(by, other),
        Act::Unblock => world.unblock(by, other),
        Act::Report(back, also) => {
            let number = counted(world, back);
            world
                .report(by, other, &[number], Category::Spam, "", also)
                .map(|_| ())
        }
        Act::Remove(back) => {
            let number = counted(world, back);
            if world.arrived(other, by, number) {
                let version = world.position().0;
                world.remove(other, by, version, &[number]);
            }
            Ok(())
        }
        Act::ShowAgain(back) => {
            let number = counted(world, back);
            if world.arrived(other, by, number) && world.removed(other, by, number) {
                let version = world.position().0;
                world.show_again(other, by, version, &[number]);
            }
            Ok(())
        }
        Act::Relate(kind) => {
            world.relate(kind, by, other);
            Ok(())
        }
        Act::Audience(audience) => {
            world.audience(by, audience);
            Ok(())
        }
        Act::Age(band) => {
            world.register(by, band);
            Ok(())
        }
        Act::Suspend => {
            world.suspend(by);
            Ok(())
        }
        Act::Reinstate => {
            world.reinstate(by);
            Ok(())
        }
        Act::Policy(audience) => {
            world.set_policy(Rules {
                default_audience_16_17: audience,
                ..Rules::default()
            });
            Ok(())
        }
        Act::Wait(days) => {
            world.wait_days(days);
            Ok(())
        }
    };
    world.now += 1;
}

/// The world after these steps; what may not happen does not.
pub fn run(steps: &[(usize, usize, Act)]) -> World {
    let mut world = World::open(&MEMBERS);
    for (by, other, act) in steps {
        if by != other {
            carry_out(&mut world, MEMBERS[*by], MEMBERS[*other], *act);
        }
    }
    world
}
