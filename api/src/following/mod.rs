//! Following: streams that go on, of the log for who may read it and of each member's own changes.
//!
//! `blocks` has the log, read once for everybody; `hub` counts who follows, wakes them, and ends those that take nothing;
//! `session` is what every stream shares: a place of the bounded number there are, heartbeats, the token's end, the
//! service's. `follower` is a stream of the log, `feed` one of a member's changes; `frames` writes both. Nothing here
//! grows with a slow reader: a stream is asked for more only when its connection has room, and holds one block at most.

pub(crate) mod blocks;
pub(crate) mod feed;
pub(crate) mod follower;
pub(crate) mod frames;
pub(crate) mod hub;
pub(crate) mod session;

use std::time::Duration;

/// The bounds of following.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// Streams of the log at once.
    pub followers_max: usize,
    /// Feeds of members at once.
    pub feeds_max: usize,
    /// Feeds of one member at once.
    pub feeds_per_member_max: usize,
    /// A stream with nothing to tell says so this often; its token is looked at as often.
    pub heartbeat: Duration,
    /// A stream whose reader takes nothing of it for so long is cut off.
    pub stall: Duration,
    /// Memory of the blocks of the log that are kept for all who follow.
    pub blocks_bytes_max: usize,
}

impl Default for FollowOptions {
    fn default() -> Self {
        FollowOptions {
            followers_max: 256,
            feeds_max: 4_096,
            feeds_per_member_max: 8,
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            blocks_bytes_max: 16 * 1024 * 1024,
        }
    }
}
