//! A conversation's state as bytes, for a cache that spares the fold of a long stream.
//!
//! Promise: what is read back is the very state that was written. The bytes hold for one [`STATE_VERSION`] and are no
//! contract beyond it: whoever changes the state's shape, or what `evolve` makes of any event, raises that number, and
//! what was kept under another is not read. `golden/snapshots.ndjson` tells when it must be raised. Every field is named
//! here, so that a new one does not build before it is kept.

use crate::conversation::event::DeleteMode;
use crate::conversation::state::{Cooldown, Direction, Fact, Removed, RequestState, Side, State};
use crate::ids::MemberId;
use crate::time::Timestamp;

/// The version of the state and of its fold.
pub const STATE_VERSION: u32 = 2;

type Facts = (bool, Option<u64>);
type Sides = (Facts, Facts, Facts, Facts, u64, Option<u64>);
type Version = Option<u64>;
/// The state, and what was written.
type Written = (u8, Version, Option<Timestamp>, u64, u64, Version, u32, u64);
/// What was deleted, and what is left.
type Left = (
    u64,
    Timestamp,
    u64,
    u64,
    u64,
    Option<DeleteMode>,
    u32,
    (u8, Timestamp),
    Version,
    Option<(u64, u64)>,
);
type Whole = (Option<[MemberId; 2]>, [Sides; 2], [(Written, Left); 2], u64);

impl State {
    /// The state as bytes of this [`STATE_VERSION`].
    pub fn to_snapshot(&self) -> Vec<u8> {
        let State {
            pair,
            sides,
            directions,
            last_number,
        } = self;
        let whole: Whole = (
            pair.clone(),
            sides.each_ref().map(of_side),
            directions.each_ref().map(of_direction),
            *last_number,
        );
        // Strings, numbers and enums: nothing that JSON cannot hold.
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    /// The state that these bytes hold; none where they hold none.
    pub fn from_snapshot(bytes: &[u8]) -> Option<State> {
        let (pair, sides, [lower, higher], last_number): Whole =
            serde_json::from_slice(bytes).ok()?;
        Some(State {
            pair,
            sides: sides.map(to_side),
            directions: [to_direction(lower)?, to_direction(higher)?],
            last_number,
        })
    }
}

fn of_fact(fact: Fact) -> Facts {
    let Fact { holds, version } = fact;
    (holds, version)
}

fn to_fact((holds, version): Facts) -> Fact {
    Fact { holds, version }
}

fn of_side(side: &Side) -> Sides {
    let Side {
        blocks,
        follows,
        suggested,
        muted,
        read_up_to,
        read_version,
    } = *side;
    (
        of_fact(blocks),
        of_fact(follows),
        of_fact(suggested),
        of_fact(muted),
        read_up_to,
        read_version,
    )
}

fn to_side((blocks, follows, suggested, muted, read_up_to, read_version): Sides) -> Side {
    Side {
        blocks: to_fact(blocks),
        follows: to_fact(follows),
        suggested: to_fact(suggested),
        muted: to_fact(muted),
        read_up_to,
        read_version,
    }
}

fn of_direction(direction: &Direction) -> (Written, Left) {
    let Direction {
        state,
        state_version,
        opened_at,
        last_written,
        last_reached,
        reached_version,
        count,
        deleted_up_to,
        restorable_after,
        restorable_until,
        live,
        live_restorable,
        live_lost,
        mode,
        deletes,
        cooldown,
        restored_version,
        removed,
    } = *direction;
    let state = match state {
        RequestState::None => 0,
        RequestState::Pending => 1,
        RequestState::Accepted => 2,
        RequestState::Deleted => 3,
        RequestState::Withdrawn => 4,
    };
    let cooldown = match cooldown {
        Cooldown::None => (0, Timestamp::EPOCH),
        Cooldown::Until(until) => (1, until),
        Cooldown::UntilRecipientActs => (2, Timestamp::EPOCH),
    };
    (
        (
            state,
            state_version,
            opened_at,
            last_written,
            last_reached,
            reached_version,
            count,
            deleted_up_to,
        ),
        (
            restorable_after,
            restorable_until,
            live,
            live_restorable,
            live_lost,
            mode,
            deletes,
            cooldown,
            restored_version,
            removed.map(|removed| (removed.case_version, removed.version)),
        ),
    )
}

fn to_direction((written, left): (Written, Left)) -> Option<Direction> {
    let (
        state,
        state_version,
        opened_at,
        last_written,
        last_reached,
        reached_version,
        count,
        up_to,
    ) = written;
    let (
        after,
        until,
        live,
        live_restorable,
        live_lost,
        mode,
        deletes,
        cooldown,
        restored,
        removed,
    ) = left;
    let state = match state {
        0 => RequestState::None,
        1 => RequestState::Pending,
        2 => RequestState::Accepted,
        3 => RequestState::Deleted,
        4 => RequestState::Withdrawn,
        _ => return None,
    };
    let cooldown = match cooldown {
        (0, _) => Cooldown::None,
        (1, until) => Cooldown::Until(until),
        (2, _) => Cooldown::UntilRecipientActs,
        _ => return None,
    };
    Some(Direction {
        state,
        state_version,
        opened_at,
        last_written,
        last_reached,
        reached_version,
        count,
        deleted_up_to: up_to,
        restorable_after: after,
        restorable_until: until,
        live,
        live_restorable,
        live_lost,
        mode,
        deletes,
        cooldown,
        restored_version: restored,
        removed: removed.map(|(case_version, version)| Removed {
            case_version,
            version,
        }),
    })
}
