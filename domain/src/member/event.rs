//! What happens to a member: the payloads of its events, each a stored contract.
//!
//! `member` is always the one whose stream it is. Times other than the event's own `at` are milliseconds since the Unix
//! epoch. The text of a suspension is personal content, and has the type for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, ConversationId, DecisionId, MemberId, ReasonCode, ReportId};
use crate::policy::{Audience, REPORTS_PER_DAY_MAX};
use crate::text::Text;
use crate::time::Timestamp;

/// How old a member is, as the host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AgeBand {
    /// Under 16: may not send, and nothing reaches them.
    #[serde(rename = "under_16")]
    Under16,
    /// 16 or 17: closed until they choose otherwise.
    #[serde(rename = "16_17")]
    From16To17,
    /// 18 or older.
    #[serde(rename = "adult")]
    Adult,
}

/// What happens to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The host made them known.
    MemberRegistered(MemberRegistered),
    /// The host knows their age otherwise.
    AgeBandChanged(AgeBandChanged),
    /// They chose an audience.
    DmSettingChanged(DmSettingChanged),
    /// A moderator suspended them.
    MemberSuspended(MemberSuspended<'a>),
    /// A moderator ended their suspension.
    MemberReinstated(MemberReinstated),
    /// Their suspension came to its end.
    SuspensionEnded(SuspensionEnded),
    /// A decision on a case restricts them.
    MemberRestricted(MemberRestricted<'a>),
    /// What a decision restricted came to its end.
    RestrictionEnded(RestrictionEnded),
    /// What a decision restricted is lifted: the decision was reversed.
    RestrictionLifted(RestrictionLifted),
    /// They are about to open a request.
    RequestSlotTaken(RequestSlotTaken),
    /// They opened none after all.
    RequestSlotReturned(RequestSlotReturned),
    /// They are about to report.
    ReportCounted(ReportCounted),
    /// A moderator set how many of their reports a day count.
    ReportLimitSet(ReportLimitSet),
    /// A moderator lifted that.
    ReportLimitLifted(ReportLimitLifted),
    /// It came to its end.
    ReportLimitEnded(ReportLimitEnded),
}

/// `member-registered.v1`: the host made a member known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRegistered {
    /// Who.
    pub member: MemberId,
    /// How old.
    pub age_band: AgeBand,
    /// Since when, as the host says.
    pub registered_at: Timestamp,
}

/// `age-band-changed.v1`: the host knows a member's age otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgeBandChanged {
    /// Who.
    pub member: MemberId,
    /// How old now.
    pub age_band: AgeBand,
}

/// `dm-setting-changed.v1`: a member chose an audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DmSettingChanged {
    /// Who.
    pub member: MemberId,
    /// Whom they let write to them from here on.
    pub audience: Audience,
    /// The setting's own version.
    #[schemars(range(min = 1))]
    pub version: u64,
}

/// `member-suspended.v2`: a moderator suspended a member by hand, without a case that asks for it. Like what decisions on cases
/// restrict it stands under its decision, beside whatever else does, and ends by `restriction-ended` or `restriction-lifted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberSuspended<'a> {
    /// Who.
    pub member: MemberId,
    /// The decision; absent in old events: nobody can appeal these, the next takes their place, and `suspension-ended` ends them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Which moderator.
    pub by: MemberId,
    /// Until when; for good when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told; may be empty in old events.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// The facts relied on; empty in old events.
    #[serde(borrow)]
    pub facts: Text<'a>,
    /// From when on the member can appeal no more; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appealable_until: Option<Timestamp>,
}

/// `member-reinstated.v1`: a moderator ended a member's suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberReinstated {
    /// Who.
    pub member: MemberId,
    /// Which moderator.
    pub by: MemberId,
}

/// `suspension-ended.v1`: a suspension by hand of before these were decisions came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuspensionEnded {
    /// Who.
    pub member: MemberId,
    /// The end that came due.
    pub until: Timestamp,
}

/// What a decision restricts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restriction {
    /// The member is suspended.
    Suspension,
    /// The member may open no requests.
    Limit,
}

/// `member-restricted.v1`: what moderators decided on a case restricts the member, beside whatever else does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRestricted<'a> {
    /// Who.
    pub member: MemberId,
    /// The decision.
    pub decision: DecisionId,
    /// Which moderator decided.
    pub by: MemberId,
    /// How.
    pub restriction: Restriction,
    /// Until when; for good when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    #[serde(borrow)]
    pub text: Text<'a>,
}

/// `restriction-ended.v1`: what a decision restricted came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestrictionEnded {
    /// Who.
    pub member: MemberId,
    /// The decision.
    pub decision: DecisionId,
    /// How it restricted them.
    pub restriction: Restriction,
    /// The end that came due.
    pub until: Timestamp,
    /// They stay suspended, by something else.
    pub suspended: bool,
}

/// `restriction-lifted.v1`: a decision was reversed, and what it restricted is lifted before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestrictionLifted {
    /// Who.
    pub member: MemberId,
    /// The decision.
    pub decision: DecisionId,
    /// Which moderator reversed it.
    pub by: MemberId,
    /// How it restricted them.
    pub restriction: Restriction,
    /// They stay suspended, by something else.
    pub suspended: bool,
}

/// `request-slot-taken.v1`: a member is about to open a request, which counts against their daily limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestSlotTaken {
    /// Who.
    pub member: MemberId,
    /// Where the request is to be opened.
    pub conversation: ConversationId,
    /// By which command.
    pub command_id: CommandId,
}

/// `request-slot-returned.v1`: a member opened no request after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestSlotReturned {
    /// Who.
    pub member: MemberId,
    /// Where no request was opened.
    pub conversation: ConversationId,
    /// The command that took the slot.
    pub command_id: CommandId,
}

/// `report-counted.v1`: a member is about to report, which counts against their daily limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportCounted {
    /// Who.
    pub member: MemberId,
    /// The report.
    pub report_id: ReportId,
    /// Whether it is beyond the limit of 24 h.
    pub over_limit: bool,
}

/// `report-limit-set.v1`: a moderator set how many of a member's reports a day count; the others are kept, answered alike,
/// marked as beyond the limit, and move no queue. The member is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportLimitSet {
    /// Who.
    pub member: MemberId,
    /// Which moderator.
    pub by: MemberId,
    /// How many within 24 hours; never more than the policy lets count.
    #[schemars(range(max = REPORTS_PER_DAY_MAX))]
    pub per_day: u32,
    /// Until when.
    pub until: Timestamp,
    /// Why, as a code.
    pub reason: ReasonCode,
}

/// `report-limit-lifted.v1`: a moderator lets a member's reports count again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportLimitLifted {
    /// Who.
    pub member: MemberId,
    /// Which moderator.
    pub by: MemberId,
}

/// `report-limit-ended.v1`: how many of a member's reports count came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportLimitEnded {
    /// Who.
    pub member: MemberId,
    /// The end that came due.
    pub until: Timestamp,
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::MemberRegistered(event) => Event::MemberRegistered(event),
            Event::AgeBandChanged(event) => Event::AgeBandChanged(event),
            Event::DmSettingChanged(event) => Event::DmSettingChanged(event),
            Event::MemberSuspended(event) => Event::MemberSuspended(MemberSuspended {
                text: event.text.into_owned(),
                facts: event.facts.into_owned(),
                ..event
            }),
            Event::MemberRestricted(event) => Event::MemberRestricted(MemberRestricted {
                text: event.text.into_owned(),
                ..event
            }),
            Event::RestrictionEnded(event) => Event::RestrictionEnded(event),
            Event::RestrictionLifted(event) => Event::RestrictionLifted(event),
            Event::MemberReinstated(event) => Event::MemberReinstated(event),
            Event::SuspensionEnded(event) => Event::SuspensionEnded(event),
            Event::RequestSlotTaken(event) => Event::RequestSlotTaken(event),
            Event::RequestSlotReturned(event) => Event::RequestSlotReturned(event),
            Event::ReportCounted(event) => Event::ReportCounted(event),
            Event::ReportLimitSet(event) => Event::ReportLimitSet(event),
            Event::ReportLimitLifted(event) => Event::ReportLimitLifted(event),
            Event::ReportLimitEnded(event) => Event::ReportLimitEnded(event),
        }
    }

    /// The member the event is about.
    pub fn member(&self) -> &MemberId {
        match self {
            Event::MemberRegistered(event) => &event.member,
            Event::AgeBandChanged(event) => &event.member,
            Event::DmSettingChanged(event) => &event.member,
            Event::MemberSuspended(event) => &event.member,
            Event::MemberRestricted(event) => &event.member,
            Event::RestrictionEnded(event) => &event.member,
            Event::RestrictionLifted(event) => &event.member,
            Event::MemberReinstated(event) => &event.member,
            Event::SuspensionEnded(event) => &event.member,
            Event::RequestSlotTaken(event) => &event.member,
            Event::RequestSlotReturned(event) => &event.member,
            Event::ReportCounted(event) => &event.member,
            Event::ReportLimitSet(event) => &event.member,
            Event::ReportLimitLifted(event) => &event.member,
            Event::ReportLimitEnded(event) => &event.member,
        }
    }
}
