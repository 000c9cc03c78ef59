//! The words of the wire: closed lists of names, each with what it stands for in the domain.
//!
//! They are types of the interface, so that a rename inside cannot change what clients send.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Declares a list of words with the domain type that it names.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident => $domain:path { $($variant:ident = $word:tt),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub(crate) enum $name {
            $(
                #[doc = concat!("`", $word, "`")]
                #[serde(rename = $word)]
                $variant,
            )+
        }

        impl From<$name> for $domain {
            fn from(word: $name) -> Self {
                use $domain as Named;
                match word { $($name::$variant => Named::$variant),+ }
            }
        }

        impl From<$domain> for $name {
            fn from(named: $domain) -> Self {
                use $domain as Named;
                match named { $(Named::$variant => $name::$variant),+ }
            }
        }
    )+};
}

words! {
    /// How old a member is, as far as the rules ask.
    AgeBand => domain::member::AgeBand {
        Under16 = "under_16",
        From16To17 = "16_17",
        Adult = "adult",
    }

    /// Whom a member lets write to them.
    Audience => domain::policy::Audience {
        Everyone = "everyone",
        Following = "following",
        FriendsAndSuggested = "friends_and_suggested",
        Friends = "friends",
        NoOne = "no_one",
    }

    /// Where the audience table lets a message go.
    Admission => domain::policy::Admission {
        Refused = "refused",
        Request = "request",
        Inbox = "inbox",
    }

    /// What a report is about.
    Category => domain::case::Category {
        Spam = "spam",
        Scam = "scam",
        Harassment = "harassment",
        Hate = "hate",
        SexualContent = "sexual_content",
        MinorSafety = "minor_safety",
        Violence = "violence",
        SelfHarm = "self_harm",
        Impersonation = "impersonation",
        IllegalGoods = "illegal_goods",
        Other = "other",
    }

    /// What a decision on a case does.
    Action => domain::case::Action {
        Nothing = "no_action",
        Warn = "warn",
        RemoveMessages = "remove_messages",
        Limit = "limit",
        Suspend = "suspend",
    }

    /// What becomes of an appeal: the decision stays, or is reversed.
    AppealOutcome => domain::case::AppealOutcome {
        Upheld = "upheld",
        Reversed = "reversed",
    }

    /// What a report does besides, in the same append.
    Also => domain::conversation::Also {
        None = "none",
        Delete = "delete",
        Block = "block",
    }

    /// How a request is deleted: with a cooldown, or until the recipient writes.
    DeleteMode => domain::conversation::DeleteMode {
        Quiet = "quiet",
        Final = "final",
    }

    /// What the host tells of two members: `member` follows `other`; `other` is suggested to `member`.
    RelationshipKind => domain::conversation::RelationshipKind {
        Follow = "follow",
        Unfollow = "unfollow",
        Suggest = "suggest",
        Unsuggest = "unsuggest",
    }
}
