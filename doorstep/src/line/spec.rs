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
