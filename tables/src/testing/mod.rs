//! Given events, then rows: for the tests of views.
//!
//! [`fold_twice`] runs a view's code in all the ways the runner may: each event in a commit of its own and delivered
//! twice, in batches, and in memory alone. The rows must be the same each time.

mod log;

use std::sync::Arc;
use std::time::Instant;

use event_store::{LogId, RecordedEvent};

use crate::file::Synced;
use crate::follower::{Decoded, Follower, Home};
use crate::{ApplyError, Codec, Digest, Fold, Reader, Skips, View, ViewState, digest};

pub use log::Log;

/// The log id of rows folded for a test.
pub const LOG_ID: LogId = LogId(uuid::Uuid::nil());
const CACHE_BYTES: usize = 4 << 20;

/// The rows of `view` after `events`.
pub fn fold<C: Codec>(
    codec: &C,
    view: &dyn View<C>,
    events: &[RecordedEvent],
) -> Result<Reader, ApplyError> {
    let mut fold = Fold::new(view);
    fold.apply_all(codec, events)?;
    Ok(fold.into_reader(LOG_ID))
}

/// The same, and an error if the rows differ when events are delivered twice, one by one or in batches of any of
/// three sizes.
pub fn fold_twice<C: Codec>(
    codec: &C,
    view: &Arc<dyn View<C>>,
    events: &[RecordedEvent],
) -> Result<Reader, ApplyError> {
    let folded = fold(codec, &**view, events)?;
    let expected = digest(&folded)?;
    for batch in [1, 3, 64] {
        let found = run(codec, view, events, batch)?;
        if found != expected {
            return Err(ApplyError::message(format!(
                "in batches of {batch}, each delivered twice, there are {} rows ({found}); folded, {} rows ({expected})",
                found.rows, expected.rows,
            )));
        }
    }
    Ok(folded)
}

/// Applies events in batches as the runner does, each batch twice. The digest is taken here: the rows can be read as
/// long as their file is open.
fn run<C: Codec>(
    codec: &C,
    view: &Arc<dyn View<C>>,
    events: &[RecordedEvent],
    batch: usize,
) -> Result<Digest, ApplyError> {
    let home = Home {
        path: None,
        log_id: LOG_ID,
        cache_bytes: CACHE_BYTES,
    };
    let (file, _) = home.open(view.tables(), event_store::Position::START)?;
    let mut follower = Follower::new(
        Arc::clone(view),
        Arc::new(Skips::default()),
        home,
        file,
        event_store::Position::START,
        Instant::now(),
    );
    for events in events.chunks(batch) {
        let decoded: Vec<Decoded<'_, C>> = events
            .iter()
            .map(|event| view.wants(event.event_type()).then(|| codec.decode(event)))
            .collect();
        for _ in 0..2 {
            follower.apply(events, &decoded, |_| true, None);
            follower.commit(Synced::No);
        }
    }
    follower.publish();
    let published = follower.shared.published.borrow();
    match (&published.state, &published.reader) {
        (
            ViewState::Stopped {
                position, cause, ..
            },
            _,
        ) => Err(ApplyError::message(format!("at {position}: {cause}"))),
        (_, Some(reader)) => match published.letters.values().next() {
            Some(letter) => Err(ApplyError::message(format!(
                "at {}: {}",
                letter.position,
                letter.cause.as_deref().unwrap_or_default(),
            ))),
            None => Ok(digest(reader)?),
        },
        (_, None) => Err(ApplyError::message("no rows")),
    }
}
