//! What a line of a message may say of the two it is between.

use super::*;

fn command(fields: &str) -> Option<Command> {
    let line = format!(
        r#"{{"id": "c1", "at": "2004-01-02T10:00:00Z", "command": "SendMessage", "member": "bob", "to": "ann", "text": "hi"{fields}}}"#
    );
    let line = Line::parse(line.as_bytes()).ok()?;
    Some(line.envelope().command)
}

fn said(fields: &str) -> Option<GivenRelationship> {
    if let Command::SendMessage { relationship, .. } = command(fields)? {
        Some(relationship)
    } else {
        None
    }
}

fn of(command: &str, fields: &str) -> Option<Command> {
    let head = r#""id": "c1", "at": "2004-01-02T10:00:00Z", "member": "mia""#;
    let line = format!(r#"{{{head}, "command": "{command}", {fields}}}"#);
    let line = Line::parse(line.as_bytes()).ok()?;
    Some(line.envelope().command)
}

#[test]
fn a_moderators_lines_are_the_commands_of_their_routes() {
    let nil = uuid::Uuid::nil();
    let reason = ReasonCode::new("spam").unwrap();
    let cases = format!(r#""other": "bob", "cases": [{{"case": "{nil}", "revision": 1}}]"#);
    let decided = of(
        "DecideCases",
        &format!(r#"{cases}, "action": "warn", "reason": "spam", "text": "x", "facts": "y""#),
    );
    assert!(matches!(decided, Some(Command::DecideCases { cases, .. }) if cases[0].revision == 1));
    assert_eq!(
        of("DecideCases", &format!(r#"{cases}, "messages": [1]"#)),
        None
    );
    let (text, act) = (String::new(), domain::ids::ActId(nil));
    assert_eq!(
        of(
            "ReverseCases",
            &format!(r#""act": "{nil}", "reason": "spam""#)
        ),
        Some(Command::ReverseCases {
            act,
            reason: reason.clone(),
            text: text.clone()
        })
    );
    let case = CaseId(nil);
    assert_eq!(
        of(
            "ReopenCase",
            &format!(r#""case": "{nil}", "reason": "spam""#)
        ),
        Some(Command::ReopenCase {
            case,
            reason: reason.clone(),
            text
        })
    );
    let member = MemberId::new("bob").unwrap();
    assert_eq!(
        of(
            "LimitReports",
            r#""other": "bob", "until": "1970-01-01T00:00:01Z", "reason": "spam""#
        ),
        Some(Command::LimitReports {
            member: member.clone(),
            per_day: 0,
            until: Timestamp(1_000),
            reason,
        })
    );
    assert_eq!(
        of("LiftReportLimit", r#""other": "bob""#),
        Some(Command::LiftReportLimit { member })
    );
}

#[test]
fn a_message_may_say_what_the_host_knows_of_the_two() {
    assert_eq!(said(""), Some(GivenRelationship::default()));
    let both = r#", "relationship": {"recipient_follows": true, "suggested": false}"#;
    let expected = GivenRelationship {
        recipient_follows: Some(true),
        sender_follows: None,
        suggested: Some(false),
    };
    assert_eq!(said(both), Some(expected));
    assert_eq!(said(r#", "relationship": {"follows": true}"#), None);
}
