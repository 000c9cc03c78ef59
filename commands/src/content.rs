//! What a command says, as bytes: the same for the same command alone.
//!
//! They are hashed into the causation id of its events, so that an id used again with other content shows. Stored by way
//! of that id: what a command gives never changes.

use domain::case::{Ruling, ShownMessages};
use domain::conversation::GivenRelationship;
use domain::ids::MemberId;
use serde::Serialize;

use crate::command::{Command, Target};

impl Command {
    /// The bytes that two commands share only if they are the same: the name, then each field with its length. The
    /// conversation is resolved, so that naming it by its id or by the other member is one content. Stored by way of
    /// the causation id: never change what a command gives.
    pub(crate) fn content(&self, actor: &MemberId) -> Vec<u8> {
        let mut content = Content::of(self.name());
        match self {
            Self::RegisterMember {
                member,
                age_band,
                registered_at,
            } => {
                content
                    .text(member.as_str())
                    .value(age_band)
                    .value(registered_at);
            }
            Self::RecordRelationship {
                member,
                kind,
                other,
            } => {
                content
                    .text(member.as_str())
                    .value(kind)
                    .text(other.as_str());
            }
            Self::SuspendMember {
                member,
                until,
                reason,
                text,
                facts,
            } => {
                content
                    .text(member.as_str())
                    .value(until)
                    .text(reason.as_str())
                    .text(text)
                    .text(facts);
            }
            Self::LimitReports {
                member,
                per_day,
                until,
                reason,
            } => {
                content
                    .text(member.as_str())
                    .value(per_day)
                    .value(until)
                    .text(reason.as_str());
            }
            Self::ReopenCase { case, reason, text } => {
                let id = case.0.as_bytes();
                content.bytes(id).text(reason.as_str()).text(text);
            }
            Self::LiftReportLimit { member } | Self::ReinstateMember { member } => {
                content.text(member.as_str());
            }
            Self::ChangePolicy { rules } => {
                content.value(rules);
            }
            Self::DiscloseCase {
                case,
                purpose,
                shown,
            } => {
                content.bytes(case.0.as_bytes()).text(purpose.as_str());
                // As it was before it was told what is shown.
                if *shown != ShownMessages::default() {
                    content.value(shown);
                }
            }
            Self::ClaimCase { case } | Self::ReleaseCase { case } => {
                content.bytes(case.0.as_bytes());
            }
            Self::NoteOnCase { case, text } | Self::EscalateCase { case, text } => {
                content.bytes(case.0.as_bytes()).text(text);
            }
            Self::DecideCase { case, ruling } => {
                content.bytes(case.0.as_bytes()).ruling(ruling);
            }
            Self::ReverseCases { act, reason, text } => {
                let id = act.0.as_bytes();
                content.bytes(id).text(reason.as_str()).text(text);
            }
            Self::DecideCases {
                member,
                cases,
                ruling,
            } => {
                content.text(member.as_str()).value(cases).ruling(ruling);
            }
            Self::AppealDecision {
                case,
                decision,
                text,
            } => {
                content
                    .bytes(case.0.as_bytes())
                    .bytes(decision.0.as_bytes())
                    .text(text);
            }
            Self::DecideAppeal {
                case,
                decision,
                outcome,
                text,
            } => {
                content
                    .bytes(case.0.as_bytes())
                    .value(decision)
                    .value(outcome)
                    .text(text);
            }
            Self::ReverseDecision {
                case,
                decision,
                reason,
                text,
            } => {
                content
                    .bytes(case.0.as_bytes())
                    .bytes(decision.0.as_bytes())
                    .text(reason.as_str())
                    .text(text);
            }
            Self::DiscloseToAuditor { look } => {
                content
                    .value(&look.looked)
                    .text(look.purpose.as_str())
                    .text(look.member.as_str())
                    .value(&look.other)
                    .value(&look.conversation)
                    .value(&look.from)
                    .value(&look.as_of);
                // As it was before files were looked at.
                if look.case.is_some() {
                    content.value(&look.case).value(&look.shown);
                }
            }
            Self::SkipEvent {
                view,
                view_version,
                stream,
                version,
                reason,
                text,
            } => {
                content
                    .text(view.as_str())
                    .value(view_version)
                    .text(stream)
                    .value(version)
                    .text(reason.as_str())
                    .text(text);
            }
            Self::ChangeDmSetting { audience } => {
                content.value(audience);
            }
            Self::SendMessage {
                to,
                text,
                relationship,
            } => {
                content
                    .text(to.as_str())
                    .text(text)
                    .relationship(*relationship);
            }
            Self::DeleteRequest { target, mode } => {
                content.target(target, actor).value(mode);
            }
            Self::AcceptRequest { target }
            | Self::RestoreRequest { target }
            | Self::MoveToRequests { target }
            | Self::MuteConversation { target }
            | Self::UnmuteConversation { target } => {
                content.target(target, actor);
            }
            Self::UnsendMessage { target, number }
            | Self::MarkRead {
                target,
                up_to: number,
            } => {
                content.target(target, actor).bytes(&number.to_be_bytes());
            }
            Self::BlockMember { other } | Self::UnblockMember { other } => {
                content.text(other.as_str());
            }
            Self::ReportMessage {
                target,
                messages,
                category,
                comment,
                also,
            } => {
                content
                    .target(target, actor)
                    .value(messages)
                    .value(category)
                    .text(comment)
                    .value(also);
            }
        }
        content.0
    }
}

/// Bytes put together field by field, each with its length before it.
struct Content(Vec<u8>);

impl Content {
    fn of(name: &str) -> Self {
        let mut content = Self(Vec::with_capacity(128));
        content.text(name);
        content
    }

    /// A relationship that says something; a silent one leaves the content as it was before there were any.
    fn relationship(&mut self, given: GivenRelationship) -> &mut Self {
        let GivenRelationship {
            recipient_follows,
            sender_follows,
            suggested,
        } = given;
        if given.is_silent() {
            return self;
        }
        let said = [recipient_follows, sender_follows, suggested];
        self.bytes(&said.map(|said| said.map_or(2, u8::from)))
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0
            .extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn ruling(&mut self, ruling: &Ruling) -> &mut Self {
        let Ruling {
            action,
            until,
            messages,
            reason,
            text,
            facts,
        } = ruling;
        self.value(action)
            .value(until)
            .value(messages)
            .text(reason.as_str())
            .text(text)
            .text(facts)
    }

    fn target(&mut self, target: &Target, actor: &MemberId) -> &mut Self {
        self.bytes(target.resolve(actor).0.as_bytes())
    }

    /// A plain value in its stored form. Those used here cannot fail to serialize; if one did, it would count as empty.
    fn value<T: Serialize>(&mut self, value: &T) -> &mut Self {
        let json = serde_json::to_vec(value).unwrap_or_default();
        self.bytes(&json)
    }
}

#[cfg(test)]
mod spec;
