//! The one subscription of this node: all of the log's events, as they come, into the [`Tail`].
//!
//! Promise: each event once and in order, over lost connections, other nodes and servers that end it, because it always
//! goes on after its own last checkpoint: the last event, or what the server last said it had looked at. The server leaves
//! out what is not of this log. No persistent subscriptions: their checkpoints are the server's.

use std::sync::Arc;
use std::time::Duration;

use event_store::Position;
use eventstore::{Client, Error, StreamPosition, SubscribeToAllOptions, SubscriptionEvent};
use tracing::instrument::WithSubscriber as _;

use super::endless::Endless;
use super::event;
use super::link::Link;
use super::streams::Streams;
use super::tail::Tail;

/// Events that a server looks at between two checkpoints.
const CHECKPOINT_EVENTS: u32 = 1_024;
/// Between two subscriptions, so that a server that ends each at once is not besieged.
const PAUSE: Duration = Duration::from_millis(50);

/// Follows the log until the link is closed.
pub(super) async fn follow(link: Arc<Link>, tail: Arc<Tail>, streams: Streams) {
    while let Some(generation) = link.client().await {
        let client = generation.client.clone();
        let mut following = tokio::spawn(
            subscription(client, Arc::clone(&tail), streams).with_subscriber(Endless::dispatch()),
        );
        tokio::select! {
            ended = &mut following => {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "the subscription broke off");
                        link.suspect();
                    }
                    // Ended without an error by the server, or by a message that the client does not know.
                    Err(_) => tracing::debug!("the subscription ended"),
                }
            }
            () = link.replaced(&generation) => {
                following.abort();
                // What it told last is in the tail before the next one begins after it.
                let _ = following.await;
            }
        }
        drop(generation);
        if link.is_closed() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One subscription, from where the tail ends.
async fn subscription(client: Client, tail: Arc<Tail>, streams: Streams) -> Result<(), Error> {
    let at = match tail.told() {
        Position::START => StreamPosition::Start,
        Position(at) => StreamPosition::Position(eventstore::Position {
            commit: at,
            prepare: at,
        }),
    };
    let options = SubscribeToAllOptions::default()
        .position(at)
        .filter(streams.filter().max(CHECKPOINT_EVENTS))
        .requires_leader(true);
    let mut subscription = client.subscribe_to_all(&options).await;
    // Once the store has ended, what breaks off is nothing that the client should tell of as an error.
    let mut changes = tail.changes();
    let mut ended = std::pin::pin!(async move { while changes.changed().await.is_ok() {} });
    loop {
        let told = tokio::select! {
            biased;
            () = &mut ended => return Ok(()),
            told = subscription.next_subscription_event() => told?,
        };
        match told {
            SubscriptionEvent::EventAppeared(told) => {
                let position = event::position(&told);
                if !streams.has(event::stream(&told)) {
                    tail.checkpoint(position);
                    continue;
                }
                match event::recorded(&told) {
                    Ok(event) => tail.push(event),
                    Err(error) => {
                        tracing::error!(%error, "the log has an event that is not Doorstep's");
                        tail.pass(position);
                    }
                }
            }
            SubscriptionEvent::Checkpoint(at) => tail.checkpoint(Position(at.commit)),
            SubscriptionEvent::Confirmed(_)
            | SubscriptionEvent::FirstStreamPosition(_)
            | SubscriptionEvent::LastStreamPosition(_)
            | SubscriptionEvent::LastAllPosition(_)
            | SubscriptionEvent::CaughtUp(_)
            | SubscriptionEvent::FellBehind(_) => {}
        }
    }
}
