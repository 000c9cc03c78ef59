//! What the specs of a case begin with: events carried out, then what comes of one command more.

use super::*;
use crate::event::Recorded;
use crate::ids::{ConversationId, MemberId, ReportId};
use crate::rejection::Code;
use crate::time::Timestamp;

/// A case after some commands.
#[derive(Clone, Default)]
pub(super) struct Given {
    pub(super) state: State,
    version: u64,
}

impl Given {
    /// With a command carried out, which writes something.
    pub(super) fn with(mut self, command: &Command) -> Self {
        let events = decide(&self.state, command).unwrap();
        assert!(!events.is_empty(), "{command:?} is so already");
        for event in events {
            let (version, at) = (self.version, Timestamp(9));
            evolve(&mut self.state, Recorded { version, at }, &event);
            self.version += 1;
        }
        self
    }

    /// Refuses a command.
    #[track_caller]
    pub(super) fn refuses(&self, command: &Command, code: Code) {
        let refused = decide(&self.state, command).map_err(|rejection| rejection.code());
        assert_eq!(refused, Err(code), "{command:?}");
    }

    /// Has nothing to do for a command, since this version.
    #[track_caller]
    pub(super) fn quiet(&self, command: &Command, since: Option<u64>) {
        assert_eq!(decide(&self.state, command), Ok(Vec::new()), "{command:?}");
        if since.is_some() {
            assert_eq!(already(&self.state, command), since, "{command:?}");
        }
    }
}

/// A member of this id.
pub(super) fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

/// The conversation of the specs' two members.
pub(super) fn conversation() -> ConversationId {
    ConversationId::of(&id("ann"), &id("bob"))
}

/// Ann's report of bob, at this version of their conversation.
pub(super) fn report(conversation_version: u64) -> Command {
    Command::JoinReport(JoinReport {
        conversation: conversation(),
        conversation_version,
        report_id: ReportId(uuid::Uuid::from_u64_pair(0, conversation_version)),
        reporter: id("ann"),
        reported: id("bob"),
        category: Category::Scam,
        messages: 1,
        over_limit: false,
        reporters: 1,
        upheld: 0,
    })
}
