//! The built-in views: a line each, in each of two lists.
//!
//! They answer the interface's own routes. A view that needs no route of its own is not one of them: it has one line in
//! `own` and nothing here. The runner, readiness, cursors and `min_position` know views by these names alone; numbers
//! stand in cursors and are never given twice.

use std::sync::Arc;

use tables::View;

use crate::blocked::Blocked;
use crate::codec::DomainCodec;
use crate::conversation::Conversation;
use crate::decisions::Decisions;
use crate::disclosures::Disclosures;
use crate::feed::Feed;
use crate::inbox::Inbox;
use crate::members::Members;
use crate::moderation_log::ModerationLog;
use crate::moderation_queue::ModerationQueue;
use crate::pairs::Pairs;
use crate::reports::Reports;
use crate::requests::Requests;
use crate::times::Times;
use crate::transparency::Figures;
use crate::unread::UnreadCounts;

/// The built-in views, to be run or rebuilt.
pub fn views() -> Vec<Arc<dyn View<DomainCodec>>> {
    vec![
        Arc::new(Inbox),
        Arc::new(Requests),
        Arc::new(Conversation),
        Arc::new(UnreadCounts),
        Arc::new(Blocked),
        Arc::new(ModerationQueue),
        Arc::new(Reports),
        Arc::new(Members),
        Arc::new(Pairs),
        Arc::new(Times),
        Arc::new(Feed),
        Arc::new(Figures),
        Arc::new(Disclosures),
        Arc::new(Decisions),
        Arc::new(ModerationLog),
    ]
}

macro_rules! views {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// A view of the read side.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ViewName {
            $($(#[$doc])* $variant,)*
            /// One of one's own, by its name.
            Own(&'static str),
        }

        impl ViewName {
            /// The built-in views.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, as in files, metrics and routes.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Own(name) => name }
            }

            /// The built-in view of that name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            pub(crate) const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* Self::Own(_) => 0 }
            }

            pub(crate) const fn numbered(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

views! {
    /// Which conversations has a member, newest first?
    Inbox = 1, "inbox";
    /// Who waits on a member's doorstep?
    Requests = 2, "requests";
    /// What was said in a conversation?
    Conversation = 3, "conversation";
    /// How many conversations hold something unread?
    Unread = 4, "unread";
    /// Whom has a member blocked?
    Blocked = 5, "blocked";
    /// Which cases wait for a moderator, and what is their evidence?
    ModerationQueue = 6, "moderation_queue";
    /// What has a member reported, and what came of it?
    Reports = 7, "reports";
    /// Who is registered, and what have they chosen?
    Members = 8, "members";
    /// Which conversations has a member, of whatever kind, and since when?
    Pairs = 9, "pairs";
    /// Which part of the log was there at a time?
    Times = 10, "times";
    /// What changed of a member's own views, and where?
    Feed = 11, "feed";
    /// What was reported, decided and reversed, day by day?
    Transparency = 12, "transparency";
    /// Who was shown what is a member's, when, and what for?
    Disclosures = 13, "disclosures";
    /// What was decided about a member, and what do they learn of it?
    Decisions = 14, "decisions";
    /// What did a moderator do, and what was done on a case?
    ModerationLog = 15, "moderation_log";
}

impl std::fmt::Display for ViewName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
