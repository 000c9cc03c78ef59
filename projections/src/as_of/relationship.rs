//! What is known between two members at a moment, by the very state that decisions are made on.

use domain::conversation::{self, RequestState};
use domain::event::{Event, Recorded};
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;

use super::{Bounds, Moment, Past, PastError, gather};
use crate::{Answer, QueryError};

/// What is known between the two members of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFacts {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// How many messages it has, withheld and unsent ones too.
    pub messages: u64,
    /// Each of the two, lower id first.
    pub sides: [SideFacts; 2],
}

/// What one member is and did towards the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideFacts {
    /// Who.
    pub member: MemberId,
    /// They follow the other.
    pub follows: bool,
    /// The other is suggested to them.
    pub suggested: bool,
    /// They block the other.
    pub blocks: bool,
    /// What became of the other's request to them.
    pub request: RequestState,
}

impl Past {
    /// What is known between the two as of a moment. [`QueryError::NotFound`] before anything was.
    pub async fn relationship(
        &self,
        id: ConversationId,
        moment: Moment,
    ) -> Result<Answer<PairFacts>, PastError> {
        let [lower, higher] = self.members_of(id, moment.position).await?;
        let gathered = gather::gather(
            self.log(),
            &[conversation::stream(id)].into(),
            moment.position,
            &|_| true,
            self.bounds,
        )
        .await?;
        let mut state = conversation::State::default();
        for event in &gathered.events {
            let decoded = super::decoded("relationship", event)?;
            if let Event::Conversation(decoded) = &decoded {
                let recorded = Recorded {
                    version: event.version(),
                    at: Timestamp(event.at_ms()),
                };
                conversation::evolve(&mut state, recorded, decoded);
            }
        }
        let side = |member: &MemberId, other: &MemberId| {
            let incoming = state.relationship(other);
            SideFacts {
                member: member.clone(),
                follows: incoming.recipient_follows,
                suggested: incoming.suggested,
                blocks: state.blocks(member),
                request: state.request_state(other),
            }
        };
        if state.pair().is_none() {
            // Refusals alone: nothing is known between them.
            return Err(QueryError::NotFound.into());
        }
        Ok(Answer {
            value: PairFacts {
                conversation_id: id,
                messages: state.last_number(),
                sides: [side(&lower, &higher), side(&higher, &lower)],
            },
            position: moment.position,
        })
    }

    /// The bounds of a question.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }
}
