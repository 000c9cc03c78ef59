//! A store in front of another that lets something happen at one moment of who uses it: just before a stream is read, or just
//! before something is appended to it.
//!
//! What happens then has happened when the reading or the append goes on. Everything is the real store's.

use async_trait::async_trait;
use event_store::{Append, EventStore, StreamName};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};

use crate::front::{Front, Fronted};

/// The moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// A stream is read.
    Reading(String),
    /// Something is appended to a stream.
    Appending(String),
}

/// What is to happen, once.
#[derive(Default)]
pub struct Meanwhile(Mutex<Option<(Before, BoxFuture<'static, ()>)>>);

impl Meanwhile {
    /// A store whose users notice nothing so far.
    pub fn over(store: Arc<dyn EventStore>) -> Arc<Fronted<Self>> {
        Fronted::over(store, Self::default())
    }

    /// Lets this happen before that.
    pub fn happens(&self, before: Before, what: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().expect("whole") = Some((before, what.boxed()));
    }

    /// Whether it has happened.
    pub fn has_happened(&self) -> bool {
        self.0.lock().expect("whole").is_none()
    }

    async fn comes(&self, now: &Before) {
        let due = self
            .0
            .lock()
            .expect("whole")
            .take_if(|(before, _)| before == now);
        if let Some((_, what)) = due {
            what.await;
        }
    }
}

#[async_trait]
impl Front for Meanwhile {
    async fn before(&self, _behind: &dyn EventStore, append: &Append) {
        self.comes(&Before::Appending(append.stream.to_string()))
            .await;
    }

    async fn reading(&self, stream: &StreamName) {
        self.comes(&Before::Reading(stream.to_string())).await;
    }
}
