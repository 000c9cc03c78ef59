//! Who of the nodes on one log does what is to be done by one of them: a lease that the store keeps beside the log.
//!
//! It saves work and promises nothing: whoever has it may not know yet that another took it, so what it is for has to come
//! out right when two do it. It has no time of its own, and nobody has to renew it; when it may be taken away is for who
//! uses it to say.

use async_trait::async_trait;
use uuid::Uuid;

use crate::ReadError;

/// How a lease stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The node that has it; none where nobody has.
    pub holder: Option<Uuid>,
    /// How often it changed hands; none where it never had a holder.
    pub term: Option<u64>,
}

/// A lease of a store that several nodes write to.
#[async_trait]
pub trait Lease: Send + Sync + 'static {
    /// How it stands now.
    async fn held(&self) -> Result<Held, ReadError>;

    /// Gives it to this node, or to nobody, if it still stands as told. Whether it did. After an error it may have been given.
    async fn give(&self, standing: Held, to: Option<Uuid>) -> Result<bool, ReadError>;
}
