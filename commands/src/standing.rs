//! What a member may be told of their own standing, beside a refusal: their state as the write side has it.
//!
//! Promise: never older than what decided their last command on this node. It decides nothing; what of it is told, and
//! to whom, is the interface's matter.

use std::sync::Arc;

use domain::ids::{MemberId, ReasonCode};
use domain::time::Timestamp;
use domain::{Event, codec, member};

use crate::aggregate::stream_name;
use crate::{CommandError, CommandHandler};

/// What a member was told of the suspension that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldSuspension {
    /// Its end; none where it is for good.
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member was told.
    pub text: String,
}

impl CommandHandler {
    /// The member's own state; empty for who is not known.
    pub async fn standing(&self, member: &MemberId) -> Result<Arc<member::State>, CommandError> {
        let facts = &self.inner.shared.facts;
        if let Some(held) = facts.member(member) {
            return Ok(Arc::clone(&held.state));
        }
        let read = facts.load_member(member).await;
        let fact = read.map_err(CommandError::from)?;
        Ok(Arc::clone(&fact.state))
    }

    /// What the member was told of the suspension that is in force at `at`, of several of the one that ends last; none
    /// where none is.
    pub async fn suspension_told(
        &self,
        member: &MemberId,
        at: Timestamp,
    ) -> Result<Option<ToldSuspension>, CommandError> {
        let standing = self.standing(member).await?;
        let Some((until, version)) = standing.suspension_told(at) else {
            return Ok(None);
        };
        let stream = stream_name(member::stream(member));
        let record = self.inner.shared.store.read_one(&stream, version).await?;
        let gone = || CommandError::Unreadable("the event of a suspension is gone".to_owned());
        let record = record.ok_or_else(gone)?;
        let decoded = codec::decode(record.event_type(), record.data())
            .map_err(|error| CommandError::Unreadable(error.to_string()))?;
        let (reason, text) = if let Event::Member(member::Event::MemberSuspended(it)) = decoded {
            (it.reason, it.text)
        } else if let Event::Member(member::Event::MemberRestricted(it)) = decoded {
            (it.reason, it.text)
        } else {
            return Err(gone());
        };
        Ok(Some(ToldSuspension {
            until,
            reason,
            text: text.as_str().to_owned(),
        }))
    }
}
