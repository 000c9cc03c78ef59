//! What an event is about, by its type: so that a view is not given, and nobody decodes for it, what changes no row.
//!
//! The views name topics in their `wants`. A type that is not known here is wanted by all, so that a new one is missed
//! by none.

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A message and what becomes of it.
    Message,
    /// The state of a request.
    Request,
    /// Read marks.
    Reading,
    /// Muted or not.
    Muting,
    /// Blocks.
    Blocking,
    /// Follows and suggestions.
    Relationship,
    /// Reports.
    Report,
    /// A member's registration, setting and standing.
    Member,
    /// What is counted of a member, for limits.
    Count,
    /// A case.
    Case,
    /// The rules in force.
    Policy,
    /// Who was shown what.
    Look,
    /// What concerns no view: refusals, what was so already, the checkpoints of reactors, acts.
    Nothing,
    /// Not known here.
    Unknown,
}

impl Topic {
    /// The topic of a stored type, of whatever version.
    pub(crate) fn of(event_type: &str) -> Self {
        match domain::codec::name(event_type) {
            "message-sent" | "message-withheld" | "message-unsent" | "messages-removed"
            | "messages-restored" => Self::Message,
            "request-opened" | "request-accepted" | "request-deleted" | "request-restored"
            | "request-withdrawn" | "moved-to-requests" => Self::Request,
            "read-marked" => Self::Reading,
            "conversation-muted" | "conversation-unmuted" => Self::Muting,
            "member-blocked" | "member-unblocked" => Self::Blocking,
            "relationship-recorded" => Self::Relationship,
            "messages-reported"
            | "report-limit-set"
            | "report-limit-lifted"
            | "report-limit-ended" => Self::Report,
            "member-registered" | "age-band-changed" | "dm-setting-changed"
            | "member-suspended" | "member-reinstated" | "suspension-ended"
            | "member-restricted" | "restriction-ended" | "restriction-lifted" => Self::Member,
            "request-slot-taken" | "request-slot-returned" | "report-counted" => Self::Count,
            "case-opened" | "suspension-filed" | "report-joined" | "case-claimed"
            | "case-released" | "claim-lapsed" | "case-noted" | "case-escalated"
            | "case-decided" | "case-closed" | "decision-appealed" | "appeal-decided"
            | "decision-reversed" | "case-reopened" | "cases-decided" | "cases-reversed"
            | "act-carried-out" => Self::Case,
            "content-disclosed" | "act-content-disclosed" => Self::Look,
            "policy-set" => Self::Policy,
            "command-refused" | "command-unchanged" | "reactor-checkpoint"
            | "act-event-skipped" => Self::Nothing,
            _ => Self::Unknown,
        }
    }

    /// Whether it is one of these, or not known.
    pub(crate) fn is_one_of(self, topics: &[Self]) -> bool {
        self == Self::Unknown || topics.contains(&self)
    }
}

#[cfg(test)]
mod spec {
    use super::Topic;

    #[test]
    fn every_type_ever_stored_has_a_topic() {
        for known in domain::codec::TYPES {
            assert_ne!(Topic::of(known.name), Topic::Unknown, "{}", known.name);
        }
    }

    #[test]
    fn a_new_version_has_the_topic_of_the_old() {
        assert_eq!(Topic::of("message-sent.v7"), Topic::Message);
    }

    #[test]
    fn an_unknown_type_is_wanted_by_all() {
        assert!(Topic::of("message-sealed.v1").is_one_of(&[]));
    }
}
