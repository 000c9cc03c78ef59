//! Which streams the rows of each view depend on, seen from one subject.
//!
//! A view declares its sources in [`of`]; there is no arm for all others, so a new view does not build before it has
//! said so. What is not declared is not read, and a row that depended on it would differ from the live one: the tests
//! that compare the two hold the declarations.

use std::collections::BTreeSet;

use domain::event::Event;
use domain::ids::{CaseId, ConversationId, MemberId};
use domain::{case, conversation, member, policy};
use event_store::{Direction, Position, StreamFrom, StreamName};

use super::{Past, PastError, Subject};
use crate::{QueryError, ViewName};

/// A kind of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The rules in force.
    Policy,
    /// The subject's own member stream; of a conversation or a case both members'.
    Members,
    /// The member streams of all with whom the subject has a conversation.
    Counterparts,
    /// The subject's conversations.
    Conversations,
    /// The subject's case; of a member those about them, and those about whom they reported.
    Cases,
    /// The whole log: nothing that could be folded for one subject.
    Log,
}

/// The sources of a view.
const fn of(view: ViewName) -> &'static [Source] {
    match view {
        ViewName::Inbox | ViewName::Conversation | ViewName::Blocked | ViewName::Pairs => {
            &[Source::Conversations]
        }
        // A suspended or too young sender freezes, the recipient's own audience and the rules hide.
        ViewName::Requests | ViewName::Unread | ViewName::Feed => &[
            Source::Policy,
            Source::Members,
            Source::Counterparts,
            Source::Conversations,
        ],
        // What ranks a case are all reports of its member, and its history shows all of both.
        ViewName::ModerationQueue => &[Source::Members, Source::Conversations, Source::Cases],
        ViewName::Reports => &[Source::Conversations, Source::Cases],
        ViewName::Members => &[Source::Policy, Source::Members],
        // Figures are sums over everybody, and whoever audits may have looked at anybody; what a moderator did stands in the
        // streams of all cases; the files on a member's suspensions by hand are named by the member's own events alone; of one's
        // own nobody has said what its rows depend on.
        ViewName::Times
        | ViewName::Transparency
        | ViewName::Disclosures
        | ViewName::ModerationLog
        | ViewName::Decisions
        | ViewName::Own(_) => &[Source::Log],
    }
}

/// What a question is about, resolved to streams.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    members: Vec<MemberId>,
    counterparts: Vec<MemberId>,
    conversations: Vec<ConversationId>,
    cases: Vec<CaseId>,
}

impl Concerned {
    /// Adds the streams that a view's rows depend on.
    pub(super) fn streams_of(&self, view: ViewName, streams: &mut BTreeSet<String>) {
        for source in of(view) {
            match source {
                Source::Policy => {
                    streams.insert(policy::STREAM.to_owned());
                }
                Source::Members => streams.extend(self.members.iter().map(member::stream)),
                Source::Counterparts => {
                    streams.extend(self.counterparts.iter().map(member::stream));
                }
                Source::Conversations => streams.extend(
                    self.conversations
                        .iter()
                        .map(|id| conversation::stream(*id)),
                ),
                Source::Cases => streams.extend(self.cases.iter().map(|id| case::stream(*id))),
                Source::Log => {}
            }
        }
    }
}

impl Past {
    /// Resolves a subject, as it was known at a position.
    pub(super) async fn concerned(
        &self,
        subject: &Subject,
        until: Position,
    ) -> Result<Concerned, PastError> {
        match subject {
            Subject::Member(member) => {
                let pairs = self.conversations(member, until)?;
                let cases = pairs.iter().flat_map(|pair| {
                    [member, &pair.with].map(|about| CaseId::of(pair.conversation_id, about))
                });
                Ok(Concerned {
                    members: vec![member.clone()],
                    counterparts: pairs.iter().map(|pair| pair.with.clone()).collect(),
                    conversations: pairs.iter().map(|pair| pair.conversation_id).collect(),
                    cases: cases.collect(),
                })
            }
            Subject::Conversation(id) => {
                let members = self.members_of(*id, until).await?;
                Ok(Concerned {
                    members: members.to_vec(),
                    conversations: vec![*id],
                    ..Concerned::default()
                })
            }
            Subject::Case(id) => {
                let members = self.members_of_case(*id).await?;
                let (mut conversations, mut cases) = (Vec::new(), vec![*id]);
                let mut members = members.to_vec();
                // Of a suspension by hand there is one.
                members.dedup();
                for member in &members {
                    let pairs = self.conversations(member, until)?;
                    let ids = pairs.iter().map(|pair| pair.conversation_id);
                    // Their history counts what was decided on all cases about them, and on those of their reports.
                    cases.extend(ids.clone().map(|id| CaseId::of(id, member)));
                    let of_others = pairs.iter();
                    cases
                        .extend(of_others.map(|pair| CaseId::of(pair.conversation_id, &pair.with)));
                    conversations.extend(ids);
                }
                Ok(Concerned {
                    members,
                    conversations,
                    cases,
                    ..Concerned::default()
                })
            }
        }
    }

    /// The two members of a conversation that had begun at `until`, by its first event.
    pub async fn members_of(
        &self,
        id: ConversationId,
        until: Position,
    ) -> Result<[MemberId; 2], PastError> {
        let name = StreamName::new(conversation::stream(id)).map_err(anyhow::Error::from)?;
        let first = self
            .log
            .read_stream(&name, StreamFrom::Start, Direction::Forward, 1)
            .await?;
        let Some(first) = first.first().filter(|first| first.position() <= until) else {
            return Err(QueryError::NotFound.into());
        };
        let decoded = super::decoded("conversation", first)?;
        match decoded.members() {
            [Some(one), Some(other)] if one != other => {
                let mut members = [one.clone(), other.clone()];
                members.sort();
                Ok(members)
            }
            _ => Err(QueryError::NotFound.into()),
        }
    }

    /// The reported member of a case and the one who reported, by its first event; of a suspension by hand its member twice.
    /// Before the reactor opened its stream a case is not known here.
    async fn members_of_case(&self, id: CaseId) -> Result<[MemberId; 2], PastError> {
        let name = StreamName::new(case::stream(id)).map_err(anyhow::Error::from)?;
        let first = self
            .log
            .read_stream(&name, StreamFrom::Start, Direction::Forward, 2)
            .await?;
        for event in &first {
            let decoded = super::decoded("case", event)?;
            if let Event::Case(case::Event::SuspensionFiled(filed)) = &decoded {
                return Ok([filed.reported.clone(), filed.reported.clone()]);
            }
            // Old `case-opened` events do not name the reporter; the report that follows in the same append does.
            if let (Event::Case(_), [Some(reported), Some(reporter)]) =
                (&decoded, decoded.members())
            {
                return Ok([reported.clone(), reporter.clone()]);
            }
        }
        Err(QueryError::NotFound.into())
    }
}
