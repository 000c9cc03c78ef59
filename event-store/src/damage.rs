//! Where a log that does not check cannot be read, found by reading it.
//!
//! A reading that meets damage says which bytes do not check. Whoever reads events wants to know which event that is:
//! the first one that is not given out, found here by asking for fewer and fewer at once.

use crate::{EventStore, Position, ReadError};

/// Events asked for at once at most.
const BLOCK_EVENTS: usize = 2048;
/// Bytes asked for at once at most.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Events looked at before it is given up.
const EVENTS_MAX: usize = 1_000_000;

/// How many events to ask for once so many met damage; none where it was one.
pub fn fewer(events: usize) -> Option<usize> {
    (events > 1).then(|| (events / 8).max(1))
}

/// The position of the first event after `after` that cannot be read because the log is damaged there; none where there
/// is none among the next million events.
pub async fn first_damaged(store: &dyn EventStore, after: Position) -> Option<Position> {
    let (mut after, mut looked_at) = (after, 0);
    let mut at_once = BLOCK_EVENTS;
    while looked_at < EVENTS_MAX {
        match store.read_all(after, at_once, BLOCK_BYTES).await {
            Ok(events) => {
                after = events.last()?.position();
                looked_at += events.len();
            }
            Err(ReadError::Damaged { .. }) => match fewer(at_once) {
                Some(less) => at_once = less,
                // One event was asked for: the next one, and positions have no gaps where there are files to be damaged.
                None => return Some(Position(after.0.saturating_add(1))),
            },
            Err(
                ReadError::Closed
                | ReadError::Io { .. }
                | ReadError::Unavailable { .. }
                | ReadError::Foreign { .. },
            ) => return None,
        }
    }
    None
}
