//! The last message of a conversation as lists show it, and where its text is.
//!
//! A row keeps the text when the event that made it had it, or another row of the same message did. Where neither is
//! so (a deleted request comes back, the last of a request is unsent), the row names the event and the text is read
//! from the log when the list is asked for: rare, and healed by the next message.

use std::borrow::Cow;

use domain::conversation::Event;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent};
use serde::{Deserialize, Serialize};

use crate::codec::message_of;
use crate::texts;
use crate::thread::{Mark, Side};

/// The last message of a conversation, as one of the two sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// Its number in the conversation.
    pub number: u64,
    /// Who wrote it.
    pub from: MemberId,
    /// What it says; none once unsent or removed.
    pub text: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// The message of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown<'a> {
    number: u64,
    /// The row's owner wrote it.
    own: bool,
    #[serde(borrow)]
    content: Content<'a>,
}

/// What a row keeps of its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Content<'a> {
    /// Time and text are here.
    Here {
        /// When it was sent.
        sent_at: i64,
        /// The text.
        #[serde(borrow)]
        text: Cow<'a, str>,
    },
    /// The message was unsent or removed.
    Unsent {
        /// When it was sent.
        sent_at: i64,
    },
    /// Time and text are those of the event of this version.
    InLog {
        /// Its version in the conversation.
        version: u64,
        /// The message was unsent or removed: the text is not to be shown.
        unsent: bool,
    },
}

impl<'a> Content<'a> {
    /// What is known of a message by its mark alone.
    pub(crate) fn in_log(mark: Mark) -> Self {
        Self::InLog {
            version: mark.version,
            unsent: mark.unsent || mark.removed,
        }
    }

    /// The message that this event sends, if it is the one of that mark.
    pub(crate) fn sent(recorded: &RecordedEvent, event: &'a Event<'_>, mark: Mark) -> Option<Self> {
        let message = message_of(event).filter(|message| message.number == mark.number)?;
        Some(Self::Here {
            sent_at: recorded.at_ms(),
            text: Cow::Borrowed(message.text.as_str()),
        })
    }

    fn unsent(self) -> Self {
        match self {
            Self::Here { sent_at, .. } | Self::Unsent { sent_at } => Self::Unsent { sent_at },
            Self::InLog { version, .. } => Self::InLog {
                version,
                unsent: true,
            },
        }
    }

    fn into_owned(self) -> Content<'static> {
        match self {
            Self::Here { sent_at, text } => Content::Here {
                sent_at,
                text: Cow::Owned(text.into_owned()),
            },
            Self::Unsent { sent_at } => Content::Unsent { sent_at },
            Self::InLog { version, unsent } => Content::InLog { version, unsent },
        }
    }
}

impl<'a> Shown<'a> {
    /// The message of `mark`, in the row of the member on `side`.
    pub(crate) fn new(mark: Mark, side: Side, content: Content<'a>) -> Self {
        let content = if mark.unsent || mark.removed {
            content.unsent()
        } else if matches!(content, Content::Here { .. }) {
            content
        } else {
            // It may have been removed, and is shown again.
            Content::in_log(mark)
        };
        Self {
            number: mark.number,
            own: mark.from == side,
            content,
        }
    }

    /// What is kept of the message.
    pub(crate) fn into_content(self) -> Content<'a> {
        self.content
    }

    /// The same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Shown<'static> {
        Shown {
            number: self.number,
            own: self.own,
            content: self.content.into_owned(),
        }
    }

    /// The message as `owner` of the row sees it; what is missing is told beside it.
    pub(crate) fn told(self, owner: &MemberId, with: &MemberId) -> (LastMessage, Option<Missing>) {
        let (text, sent_at, missing) = match self.content {
            Content::Here { sent_at, text } => (Some(text.into_owned()), sent_at, None),
            Content::Unsent { sent_at } => (None, sent_at, None),
            Content::InLog { version, unsent } => (None, 0, Some(Missing { version, unsent })),
        };
        let message = LastMessage {
            number: self.number,
            from: if self.own { owner } else { with }.clone(),
            text,
            sent_at: Timestamp(sent_at),
        };
        (message, missing)
    }
}

/// Time and text of a message that its row has not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    version: u64,
    unsent: bool,
}

impl LastMessage {
    /// Reads what is missing from the log.
    pub(crate) async fn complete(
        &mut self,
        missing: Missing,
        store: &dyn EventStore,
        conversation: ConversationId,
    ) -> anyhow::Result<()> {
        let sent = texts::message(store, conversation, missing.version).await?;
        self.text = (!missing.unsent).then_some(sent.text);
        self.sent_at = sent.sent_at;
        Ok(())
    }
}
