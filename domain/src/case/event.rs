//! What is stored of a case: its payloads, field by field.
//!
//! Every event names the two members of the conversation, so that it is found by either of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::priority::Category;
use crate::ids::{ActId, CaseId, ConversationId, DecisionId, MemberId, ReasonCode, ReportId};
use crate::policy::REPORT_MESSAGES_MAX;
use crate::text::Text;
use crate::time::Timestamp;

/// What happens to a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The file is opened.
    CaseOpened(CaseOpened),
    /// The file on a suspension by hand is opened.
    SuspensionFiled(SuspensionFiled),
    /// A report belongs to it; the first, too.
    ReportJoined(ReportJoined),
    /// Its content was shown to a moderator.
    ContentDisclosed(ContentDisclosed),
    /// A moderator holds it.
    CaseClaimed(CaseClaimed),
    /// Its holder let it go.
    CaseReleased(CaseReleased),
    /// Its holder did nothing with it for as long as a claim lasts.
    ClaimLapsed(ClaimLapsed),
    /// A moderator wrote something down.
    CaseNoted(CaseNoted<'a>),
    /// Its holder leaves it to another moderator.
    CaseEscalated(CaseEscalated<'a>),
    /// Its holder decided it.
    CaseDecided(CaseDecided<'a>),
    /// Nobody can appeal any more.
    CaseClosed(CaseClosed),
    /// A moderator wants it decided once more.
    CaseReopened(CaseReopened<'a>),
    /// The member appeals a decision.
    DecisionAppealed(DecisionAppealed<'a>),
    /// Another moderator decided the appeal.
    AppealDecided(AppealDecided<'a>),
    /// What a decision changed is taken back.
    DecisionReversed(DecisionReversed<'a>),
}

/// `case-opened.v1`: the moderators' file on a reported member is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseOpened {
    /// The case itself.
    pub case: CaseId,
    /// The conversation the reports come from.
    pub conversation: ConversationId,
    /// The member reported.
    pub reported: MemberId,
    /// The other member of the conversation, who reported; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<MemberId>,
}

/// `suspension-filed.v1`: the moderators' file on a suspension by hand is opened, on which it is appealed. No report
/// belongs to it, and no conversation: in what follows the member stands for the reporter as well. What was said stands in
/// the member's own stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuspensionFiled {
    /// The case itself.
    pub case: CaseId,
    /// The decision.
    pub decision: DecisionId,
    /// Which moderator suspended.
    pub by: MemberId,
    /// The member suspended.
    pub reported: MemberId,
    /// Version of the `member-suspended` event in the member's stream.
    pub member_version: u64,
    /// From when on the member can appeal no more.
    pub appealable_until: Timestamp,
}

/// `report-joined.v2`: a report belongs to the case; the first, too. It records what the case's priority follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportJoined {
    /// The report.
    pub report_id: ReportId,
    /// Version of the `messages-reported` event in the conversation's stream.
    pub conversation_version: u64,
    /// Who reported.
    pub reporter: MemberId,
    /// The member reported.
    pub reported: MemberId,
    /// What for.
    pub category: Category,
    /// How urgent a report of this category was held to be, 1 to 5.
    #[schemars(range(min = 1, max = 5))]
    pub severity: u8,
    /// How many messages it newly names.
    #[schemars(range(min = 1, max = REPORT_MESSAGES_MAX))]
    pub messages: u32,
    /// Made beyond the reporter's daily limit.
    pub over_limit: bool,
    /// Different members who reported this member within 90 days, this one among them, when it joined; 250 at most. Reports
    /// over their reporters' daily limit do not count.
    pub reporters: u32,
    /// Earlier cases against this member that were upheld, when it joined.
    pub upheld: u32,
}

/// `content-disclosed.v1`: the case's content was shown to a moderator. What an auditor is shown of it stands with the
/// auditor's other looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentDisclosed {
    /// Who read.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// What for.
    pub purpose: ReasonCode,
    /// The conversation that the messages are of; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The other member of the conversation, who reported; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<MemberId>,
    /// Which messages; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<ShownMessages>,
}

/// The messages of a case that somebody is shown, by number, ascending. A case shows a bounded number of reports, a
/// report names a bounded number of messages, and around each are few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownMessages {
    /// The reported ones, as they were sent.
    pub reported: Vec<u64>,
    /// Those around them.
    pub around: Vec<u64>,
}

/// `case-claimed.v1`: a moderator holds the case from now on, or for longer than until now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseClaimed {
    /// Who holds it.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// When the claim lapses unless its holder acts before.
    pub until: Timestamp,
}

/// `case-released.v1`: a moderator let the case go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseReleased {
    /// Who held it.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
}

/// `claim-lapsed.v1`: a moderator did nothing with the case for as long as a claim lasts, and holds it no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimLapsed {
    /// Who held it.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// The end that came due.
    pub until: Timestamp,
}

/// `case-noted.v1`: a moderator wrote something down about the case, for moderators alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseNoted<'a> {
    /// Who wrote.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// What.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// When the claim lapses from now on; absent where the writer does not hold the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
}

/// `case-escalated.v1`: a moderator leaves the case to another, who has to claim it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseEscalated<'a> {
    /// Who held it.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// What the next one should know; may be empty.
    #[serde(borrow)]
    pub text: Text<'a>,
}

/// What a decision does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: the reports are not upheld.
    #[serde(rename = "no_action")]
    Nothing,
    /// The member is warned.
    Warn,
    /// Reported messages are removed.
    RemoveMessages,
    /// The member may open no requests, until a time.
    Limit,
    /// The member is suspended, until a time or for good.
    Suspend,
}

impl Action {
    /// Every action, from the mildest to the gravest.
    pub const ALL: [Action; 5] = [
        Action::Nothing,
        Action::Warn,
        Action::RemoveMessages,
        Action::Limit,
        Action::Suspend,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Nothing => "no_action",
            Action::Warn => "warn",
            Action::RemoveMessages => "remove_messages",
            Action::Limit => "limit",
            Action::Suspend => "suspend",
        }
    }

    /// Whether the reports were upheld by it.
    pub const fn upholds(self) -> bool {
        match self {
            Action::Nothing => false,
            Action::Warn | Action::RemoveMessages | Action::Limit | Action::Suspend => true,
        }
    }
}

/// Most messages that one decision removes.
pub const REMOVED_MESSAGES_MAX: u32 = 100;

/// `case-decided.v1`: the case's holder decided it, and holds it no more; or an act on many cases did. What it does to the member stands in the
/// member's own stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseDecided<'a> {
    /// The decision.
    pub decision: DecisionId,
    /// Which moderator.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// What it does.
    pub action: Action,
    /// Until when; absent where it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The messages that are removed, by number, ascending; absent where none are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = REMOVED_MESSAGES_MAX))]
    pub messages: Vec<u64>,
    /// Why, as a code: the rule that was broken, or was not.
    pub reason: ReasonCode,
    /// What the member is told; may be empty where nothing is done.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// The facts relied on; may be empty where nothing is done.
    #[serde(borrow)]
    pub facts: Text<'a>,
    /// From when on the member can appeal no more; absent where there is nothing to appeal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appealable_until: Option<Timestamp>,
    /// The act on many cases that it is part of; absent where it stands by itself. What such an act does to the member is
    /// done once for all of its cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActId>,
}

/// `case-closed.v1`: the case is over: the time in which its last decision could be appealed is, and no appeal waits; or
/// its appeal was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseClosed {
    /// The decision.
    pub decision: DecisionId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
}

/// `decision-appealed.v1`: the member appeals a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionAppealed<'a> {
    /// The decision.
    pub decision: DecisionId,
    /// The member whose case it is, who appeals.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// What they say.
    #[serde(borrow)]
    pub text: Text<'a>,
}

/// What becomes of an appeal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppealOutcome {
    /// The decision stays.
    Upheld,
    /// The decision is reversed.
    Reversed,
}

impl AppealOutcome {
    /// Every outcome.
    pub const ALL: [AppealOutcome; 2] = [AppealOutcome::Upheld, AppealOutcome::Reversed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            AppealOutcome::Upheld => "upheld",
            AppealOutcome::Reversed => "reversed",
        }
    }
}

/// `appeal-decided.v1`: another moderator than the one who decided decided the appeal. Where it is granted, the
/// `decision-reversed` of the decision ends the same append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppealDecided<'a> {
    /// The decision that was appealed.
    pub decision: DecisionId,
    /// Which moderator decided the appeal.
    pub by: MemberId,
    /// The member whose case it is, who appealed.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// Whether the decision stays.
    pub outcome: AppealOutcome,
    /// What the member is told.
    #[serde(borrow)]
    pub text: Text<'a>,
}

/// `decision-reversed.v1`: all that a decision changed is taken back, and nothing else. What it did to the member and to
/// messages is undone on their own streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionReversed<'a> {
    /// The decision.
    pub decision: DecisionId,
    /// Which moderator reversed it.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// What the decision did.
    pub action: Action,
    /// The messages that it removed and no other decision that stands, by number, ascending; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = REMOVED_MESSAGES_MAX))]
    pub messages: Vec<u64>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told; may be empty where nothing had been done.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// It answers an appeal that waited.
    pub appealed: bool,
    /// The case is open again: its reports wait for another decision.
    pub reopened: bool,
    /// The act on many cases that it was part of; absent where it stood by itself. What such an act did to the member is
    /// taken back with the last of its decisions that stands, or with the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActId>,
}

/// `case-reopened.v1`: a moderator opened a decided case again, so that it is decided once more. What was decided before goes
/// on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseReopened<'a> {
    /// Which moderator.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the next one should know; may be empty.
    #[serde(borrow)]
    pub text: Text<'a>,
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::CaseOpened(event) => Event::CaseOpened(event),
            Event::SuspensionFiled(event) => Event::SuspensionFiled(event),
            Event::ReportJoined(event) => Event::ReportJoined(event),
            Event::ContentDisclosed(event) => Event::ContentDisclosed(event),
            Event::CaseClaimed(event) => Event::CaseClaimed(event),
            Event::CaseReleased(event) => Event::CaseReleased(event),
            Event::ClaimLapsed(event) => Event::ClaimLapsed(event),
            Event::CaseNoted(event) => Event::CaseNoted(CaseNoted {
                text: event.text.into_owned(),
                ..event
            }),
            Event::CaseEscalated(event) => Event::CaseEscalated(CaseEscalated {
                text: event.text.into_owned(),
                ..event
            }),
            Event::CaseDecided(event) => Event::CaseDecided(CaseDecided {
                text: event.text.into_owned(),
                facts: event.facts.into_owned(),
                ..event
            }),
            Event::CaseClosed(event) => Event::CaseClosed(event),
            Event::CaseReopened(event) => Event::CaseReopened(CaseReopened {
                text: event.text.into_owned(),
                ..event
            }),
            Event::DecisionAppealed(event) => Event::DecisionAppealed(DecisionAppealed {
                text: event.text.into_owned(),
                ..event
            }),
            Event::AppealDecided(event) => Event::AppealDecided(AppealDecided {
                text: event.text.into_owned(),
                ..event
            }),
            Event::DecisionReversed(event) => Event::DecisionReversed(DecisionReversed {
                text: event.text.into_owned(),
                ..event
            }),
        }
    }

    /// The members the event concerns, for its header: the two of the conversation. Of an old event without its
    /// reporter, and of a case that no report made, the reported one alone; who acts is in the header already.
    pub fn members(&self) -> [Option<&MemberId>; 2] {
        let (reported, reporter) = match self {
            Event::SuspensionFiled(event) => (&event.reported, None),
            Event::CaseOpened(event) => (&event.reported, event.reporter.as_ref()),
            Event::ReportJoined(event) => (&event.reported, Some(&event.reporter)),
            Event::ContentDisclosed(event) => (&event.reported, event.reporter.as_ref()),
            Event::CaseClaimed(event) => (&event.reported, Some(&event.reporter)),
            Event::CaseReleased(event) => (&event.reported, Some(&event.reporter)),
            Event::ClaimLapsed(event) => (&event.reported, Some(&event.reporter)),
            Event::CaseNoted(event) => (&event.reported, Some(&event.reporter)),
            Event::CaseEscalated(event) => (&event.reported, Some(&event.reporter)),
            Event::CaseDecided(event) => (&event.reported, Some(&event.reporter)),
            Event::CaseClosed(event) => (&event.reported, Some(&event.reporter)),
            Event::CaseReopened(event) => (&event.reported, Some(&event.reporter)),
            Event::DecisionAppealed(event) => (&event.reported, Some(&event.reporter)),
            Event::AppealDecided(event) => (&event.reported, Some(&event.reporter)),
            Event::DecisionReversed(event) => (&event.reported, Some(&event.reporter)),
        };
        [Some(reported), reporter.filter(|it| *it != reported)]
    }
}
