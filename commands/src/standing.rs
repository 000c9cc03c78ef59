//! What a member may be told of their own standing, beside a refusal: their state as the write side has it.
//!
//! Promise: never older than what decided their last command on this node. It decides nothing; what of it is told, and
//! to whom, is the interface's matter.

use std::sync::Arc;

use domain::ids::MemberId;
use domain::member;

use crate::{CommandError, CommandHandler};

impl CommandHandler {
    /// The member's own state; empty for who is not known.
    pub async fn standing(&self, member: &MemberId) -> Result<Arc<member::State>, CommandError> {
        let facts = &self.inner.shared.facts;
        if let Some(held) = facts.member(member) {
            return Ok(Arc::clone(&held.state));
        }
        let read = facts.load_member(member).await;
        let fact = read.map_err(|error| CommandError::Unreadable(error.to_string()))?;
        Ok(Arc::clone(&fact.state))
    }
}
