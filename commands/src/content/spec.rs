//! What commands promise: their content is the same for ever, and tells them apart.

use std::sync::Arc;

use domain::act::{Looked, SeenCase};
use domain::case::{Action, AppealOutcome, Category};
use domain::conversation::{Also, DeleteMode, RelationshipKind};
use domain::ids::{ActId, CaseId, ConversationId, DecisionId, ReasonCode, ViewId, causation_id};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::Timestamp;

use super::*;
use crate::command::Look;

const GOLDEN: &str = include_str!("../../golden/causation-ids.txt");

fn member(id: &str) -> MemberId {
    MemberId::new(id).unwrap()
}

fn samples() -> Vec<Command> {
    let with = || Target::With(member("bob"));
    let reason = || ReasonCode::new("spam").unwrap();
    let case = || CaseId(uuid::Uuid::from_u128(7));
    let ruling = || Ruling {
        action: Action::Limit,
        until: Some(Timestamp(1)),
        messages: vec![1, 2],
        reason: reason(),
        text: "why".into(),
        facts: "what".into(),
    };
    let decision = || DecisionId(uuid::Uuid::from_u128(8));
    vec![
        Command::RegisterMember {
            member: member("bob"),
            age_band: AgeBand::Adult,
            registered_at: Some(Timestamp(1)),
        },
        Command::RecordRelationship {
            member: member("bob"),
            kind: RelationshipKind::Follow,
            other: member("cyd"),
        },
        Command::SuspendMember {
            member: member("bob"),
            until: None,
            reason: reason(),
            text: "why".into(),
            facts: "what".into(),
        },
        Command::ReinstateMember {
            member: member("bob"),
        },
        Command::ChangePolicy {
            rules: Arc::new(Rules::default()),
        },
        Command::DiscloseCase {
            case: CaseId(uuid::Uuid::from_u128(7)),
            purpose: reason(),
            shown: ShownMessages::default(),
        },
        Command::DiscloseCase {
            case: CaseId(uuid::Uuid::from_u128(7)),
            purpose: reason(),
            shown: ShownMessages {
                reported: vec![2],
                around: vec![1, 3],
            },
        },
        Command::ClaimCase { case: case() },
        Command::ReleaseCase { case: case() },
        Command::NoteOnCase {
            case: case(),
            text: "why".into(),
        },
        Command::EscalateCase {
            case: case(),
            text: "why".into(),
        },
        Command::DecideCase {
            case: case(),
            ruling: ruling(),
        },
        Command::LimitReports {
            member: member("bob"),
            per_day: 0,
            until: Timestamp(1),
            reason: reason(),
        },
        Command::LiftReportLimit {
            member: member("bob"),
        },
        Command::ReopenCase {
            case: case(),
            reason: reason(),
            text: "why".into(),
        },
        Command::DecideCases {
            member: member("bob"),
            cases: vec![SeenCase {
                case: case(),
                revision: 1,
            }],
            ruling: ruling(),
        },
        Command::ReverseCases {
            act: ActId(uuid::Uuid::from_u128(9)),
            reason: reason(),
            text: "why".into(),
        },
        Command::AppealDecision {
            case: case(),
            decision: decision(),
            text: "why".into(),
        },
        Command::DecideAppeal {
            case: case(),
            decision: Some(decision()),
            outcome: AppealOutcome::Reversed,
            text: "why".into(),
        },
        Command::ReverseDecision {
            case: case(),
            decision: decision(),
            reason: reason(),
            text: "why".into(),
        },
        Command::DiscloseToAuditor {
            look: Look {
                looked: Looked::Messages,
                purpose: reason(),
                member: member("ann"),
                other: Some(member("bob")),
                conversation: None,
                case: None,
                shown: None,
                from: None,
                as_of: Some(Timestamp(1)),
            },
        },
        Command::DiscloseToAuditor {
            look: Look {
                looked: Looked::Case,
                purpose: reason(),
                member: member("bob"),
                other: Some(member("ann")),
                conversation: None,
                case: Some(CaseId(uuid::Uuid::from_u128(7))),
                shown: Some(ShownMessages {
                    reported: vec![2],
                    around: vec![1, 3],
                }),
                from: None,
                as_of: None,
            },
        },
        Command::SkipEvent {
            view: ViewId::new("inbox").unwrap(),
            view_version: 1,
            stream: "conversation-1".to_owned(),
            version: 3,
            reason: reason(),
            text: "why".into(),
        },
        Command::ChangeDmSetting {
            audience: Audience::Everyone,
        },
        Command::SendMessage {
            to: member("bob"),
            text: "hi".into(),
            relationship: GivenRelationship::default(),
        },
        Command::SendMessage {
            to: member("bob"),
            text: "hi".into(),
            relationship: GivenRelationship {
                recipient_follows: Some(true),
                sender_follows: None,
                suggested: Some(false),
            },
        },
        Command::AcceptRequest { target: with() },
        Command::DeleteRequest {
            target: with(),
            mode: DeleteMode::Quiet,
        },
        Command::RestoreRequest { target: with() },
        Command::MoveToRequests { target: with() },
        Command::UnsendMessage {
            target: with(),
            number: 3,
        },
        Command::MarkRead {
            target: with(),
            up_to: 3,
        },
        Command::MuteConversation { target: with() },
        Command::UnmuteConversation { target: with() },
        Command::BlockMember {
            other: member("bob"),
        },
        Command::UnblockMember {
            other: member("bob"),
        },
        Command::ReportMessage {
            target: with(),
            messages: vec![1, 2],
            category: Category::Spam,
            comment: "c".into(),
            also: Also::Block,
        },
    ]
}

/// A repeat of an old command id must be recognised for as long as the log lives: its content's bytes are frozen.
#[test]
fn gives_every_command_the_causation_id_it_always_had() {
    let actor = member("ann");
    let lines: Vec<String> = samples()
        .iter()
        .map(|command| {
            let id = causation_id("ann", "key", &command.content(&actor));
            format!("{} {id}", command.name())
        })
        .collect();
    assert_eq!(lines, GOLDEN.lines().collect::<Vec<_>>());
}

#[test]
fn tells_commands_apart_by_any_field() {
    let actor = member("ann");
    let contents: std::collections::BTreeSet<Vec<u8>> = samples()
        .iter()
        .map(|command| command.content(&actor))
        .collect();
    assert_eq!(contents.len(), samples().len());
    let named = Command::AcceptRequest {
        target: Target::Conversation(ConversationId::of(&actor, &member("bob"))),
    };
    let addressed = Command::AcceptRequest {
        target: Target::With(member("bob")),
    };
    assert_eq!(named.content(&actor), addressed.content(&actor));
}
