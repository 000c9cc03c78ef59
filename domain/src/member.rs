//! One member's own choices and standing.
//!
//! Protects: the time of registration never changes; a member opens no more requests within 24 h than the policy
//! allows, over all conversations; a suspended member changes no setting; the DM setting has a version of its own.
//! Stream `member-{id}`. State is bounded by the policy's bounds: one registration, setting and suspension, the request
//! slots of the last 24 h (at most [`REQUESTS_PER_DAY_MAX`]) and the reports of the last 24 h (at most
//! [`REPORTS_PER_DAY_MAX`]).
//!
//! Decided here, where the domain's page is silent:
//! - The setting's version counts how often what it says was set: 1 at registration, one more with each choice, and with
//!   each change of age band while the default is in force. It is not the stream's version, from which a member could
//!   count the slots taken, and so tell a request from a delivered message.
//! - A member under 16 chooses no audience, as a suspended one does not: the choice would outlive the default of 16-17.
//! - *Fifty reports a day* means within 24 h, as the requests do.
//! - A limit on opening requests comes with the moderators' decisions: its events and its `limited` belong here, beside
//!   the suspension, and [`Facts::limited`] is where rule 3 reads it. Until then nobody is limited.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::Recorded;
use crate::evidence::Cause;
use crate::ids::{CommandId, ConversationId, MemberId, ReasonCode, ReportId};
use crate::policy::{Audience, InForce, REPORTS_PER_DAY_MAX, REQUESTS_PER_DAY_MAX, Rules};
use crate::rejection::{Code, CommandName, Rejection};
use crate::text::{self, Limits, Text};
use crate::time::{DAY_MS, Timestamp};

/// The stream of a member.
pub fn stream(member: &MemberId) -> String {
    format!("member-{member}")
}

/// The limits of the text for the member that comes with a suspension.
pub const STATEMENT_LIMITS: Limits = Limits {
    graphemes_max: 2_000,
    bytes_max: 8 * 1024,
};

/// How old a member is, as the host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// They are about to open a request.
    RequestSlotTaken(RequestSlotTaken),
    /// They opened none after all.
    RequestSlotReturned(RequestSlotReturned),
    /// They are about to report.
    ReportCounted(ReportCounted),
}

/// `member-registered.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRegistered {
    /// Who.
    pub member: MemberId,
    /// How old.
    pub age_band: AgeBand,
    /// Since when, as the host says.
    pub registered_at: Timestamp,
}

/// `age-band-changed.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeBandChanged {
    /// Who.
    pub member: MemberId,
    /// How old now.
    pub age_band: AgeBand,
}

/// `dm-setting-changed.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmSettingChanged {
    /// Who.
    pub member: MemberId,
    /// Whom they let write to them from here on.
    pub audience: Audience,
    /// The setting's own version.
    pub version: u64,
}

/// `member-suspended.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSuspended<'a> {
    /// Who.
    pub member: MemberId,
    /// Which moderator.
    pub by: MemberId,
    /// Until when; for good when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    #[serde(borrow)]
    pub text: Text<'a>,
}

/// `member-reinstated.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReinstated {
    /// Who.
    pub member: MemberId,
    /// Which moderator.
    pub by: MemberId,
}

/// `suspension-ended.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspensionEnded {
    /// Who.
    pub member: MemberId,
    /// The end that came due.
    pub until: Timestamp,
}

/// `request-slot-taken.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSlotTaken {
    /// Who.
    pub member: MemberId,
    /// Where the request is to be opened.
    pub conversation: ConversationId,
    /// By which command.
    pub command_id: CommandId,
}

/// `request-slot-returned.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSlotReturned {
    /// Who.
    pub member: MemberId,
    /// Where no request was opened.
    pub conversation: ConversationId,
    /// The command that took the slot.
    pub command_id: CommandId,
}

/// `report-counted.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCounted {
    /// Who.
    pub member: MemberId,
    /// The report.
    pub report_id: ReportId,
    /// Whether it is beyond the limit of 24 h.
    pub over_limit: bool,
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::MemberRegistered(event) => Event::MemberRegistered(event),
            Event::AgeBandChanged(event) => Event::AgeBandChanged(event),
            Event::DmSettingChanged(event) => Event::DmSettingChanged(event),
            Event::MemberSuspended(MemberSuspended {
                member,
                by,
                until,
                reason,
                text,
            }) => Event::MemberSuspended(MemberSuspended {
                member,
                by,
                until,
                reason,
                text: text.into_owned(),
            }),
            Event::MemberReinstated(event) => Event::MemberReinstated(event),
            Event::SuspensionEnded(event) => Event::SuspensionEnded(event),
            Event::RequestSlotTaken(event) => Event::RequestSlotTaken(event),
            Event::RequestSlotReturned(event) => Event::RequestSlotReturned(event),
            Event::ReportCounted(event) => Event::ReportCounted(event),
        }
    }

    /// The member the event is about.
    pub fn member(&self) -> &MemberId {
        match self {
            Event::MemberRegistered(event) => &event.member,
            Event::AgeBandChanged(event) => &event.member,
            Event::DmSettingChanged(event) => &event.member,
            Event::MemberSuspended(event) => &event.member,
            Event::MemberReinstated(event) => &event.member,
            Event::SuspensionEnded(event) => &event.member,
            Event::RequestSlotTaken(event) => &event.member,
            Event::RequestSlotReturned(event) => &event.member,
            Event::ReportCounted(event) => &event.member,
        }
    }
}

/// What decisions need of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    registration: Option<Registration>,
    setting: Setting,
    suspension: Option<Suspension>,
    suspension_over: Option<u64>,
    slots: VecDeque<Slot>,
    reports: VecDeque<Report>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registration {
    registered_at: Timestamp,
    age_band: AgeBand,
    version: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Setting {
    chosen: Option<Audience>,
    count: u64,
    version: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Suspension {
    until: Option<Timestamp>,
    reason: ReasonCode,
    text: Text<'static>,
    version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    command_id: CommandId,
    conversation: ConversationId,
    at: Timestamp,
    version: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    id: ReportId,
    over_limit: bool,
    at: Timestamp,
    version: u64,
}

/// What other streams' decisions see of a registered member, as of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The member stream was read up to this version.
    pub version: u64,
    /// Since when the host has them.
    pub registered_at: Timestamp,
    /// How old.
    pub age_band: AgeBand,
    /// Suspended at that moment.
    pub suspended: bool,
    /// May not open requests, by a decision, at that moment.
    pub limited: bool,
    /// Whom they let write to them.
    pub audience: Audience,
    /// The version of that setting.
    pub setting_version: u64,
}

/// A member's DM setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmSetting {
    /// Whom they let write to them.
    pub audience: Audience,
    /// How often what the setting says was set.
    pub version: u64,
    /// Place in the stream of the event that set it so.
    pub stream_version: u64,
}

impl State {
    /// What other decisions see of this member at `at`, the stream having been read up to `version`; none when the
    /// member is unknown.
    pub fn facts(&self, rules: &Rules, version: u64, at: Timestamp) -> Option<Facts> {
        let registration = self.registration.as_ref()?;
        Some(Facts {
            version,
            registered_at: registration.registered_at,
            age_band: registration.age_band,
            suspended: self.suspended(at),
            limited: false,
            audience: self.audience(registration.age_band, rules),
            setting_version: self.setting.count,
        })
    }

    /// The DM setting; none when the member is unknown.
    pub fn dm_setting(&self, rules: &Rules) -> Option<DmSetting> {
        let registration = self.registration.as_ref()?;
        Some(DmSetting {
            audience: self.audience(registration.age_band, rules),
            version: self.setting.count,
            stream_version: self.setting.version.unwrap_or(registration.version),
        })
    }

    /// Whether a suspension is in force at `at`; a passed end counts as ended, whether or not its event is there yet.
    pub fn suspended(&self, at: Timestamp) -> bool {
        self.suspension
            .as_ref()
            .is_some_and(|suspension| suspension.until.is_none_or(|until| at < until))
    }

    /// When the suspension recorded last comes to its end, for the timer; none when there is none or it is for good.
    pub fn suspension_due(&self) -> Option<Timestamp> {
        self.suspension
            .as_ref()
            .and_then(|suspension| suspension.until)
    }

    /// How many request slots were taken within the 24 h before `at`, not counting that of `except`.
    pub fn slots_used(&self, at: Timestamp, except: Option<&CommandId>) -> u32 {
        let used = self
            .slots
            .iter()
            .filter(|slot| {
                at.since_ms(slot.at) < DAY_MS
                    && except.is_none_or(|command| slot.command_id != *command)
            })
            .count();
        u32::try_from(used).unwrap_or(u32::MAX)
    }

    /// Whether a command holds a slot.
    pub fn has_slot(&self, command: &CommandId) -> bool {
        self.slots.iter().any(|slot| slot.command_id == *command)
    }

    /// Whether a report was counted, and if so whether beyond the limit.
    pub fn counted(&self, report: ReportId) -> Option<bool> {
        self.reports
            .iter()
            .find(|counted| counted.id == report)
            .map(|counted| counted.over_limit)
    }

    fn audience(&self, age_band: AgeBand, rules: &Rules) -> Audience {
        self.setting.chosen.unwrap_or(match age_band {
            AgeBand::Under16 => Audience::NoOne,
            AgeBand::From16To17 => rules.default_audience_16_17,
            AgeBand::Adult => rules.default_audience_adult,
        })
    }
}

/// What may be asked of a member's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The host makes a member known, or tells their age again.
    RegisterMember {
        /// Who.
        member: MemberId,
        /// How old.
        age_band: AgeBand,
        /// Since when; `at` when absent.
        registered_at: Option<Timestamp>,
        /// The command's time.
        at: Timestamp,
    },
    /// The member chooses an audience.
    ChangeDmSetting {
        /// Who.
        member: MemberId,
        /// Whom to let write to them.
        audience: Audience,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator suspends the member.
    SuspendMember {
        /// Who.
        member: MemberId,
        /// Which moderator.
        by: MemberId,
        /// Until when; for good when absent.
        until: Option<Timestamp>,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the member is told.
        text: String,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator ends the suspension.
    ReinstateMember {
        /// Who.
        member: MemberId,
        /// Which moderator.
        by: MemberId,
        /// The command's time.
        at: Timestamp,
    },
    /// The timer: a suspension's end came due.
    EndSuspension {
        /// Who.
        member: MemberId,
        /// The time it fires for.
        at: Timestamp,
    },
    /// The write side, before a message opens a request.
    TakeRequestSlot {
        /// Who.
        member: MemberId,
        /// Where.
        conversation: ConversationId,
        /// By which command.
        command_id: CommandId,
        /// The rules in force.
        policy: InForce,
        /// The command's time.
        at: Timestamp,
    },
    /// The write side, when that message opened none.
    ReturnRequestSlot {
        /// Who.
        member: MemberId,
        /// The command that took it.
        command_id: CommandId,
    },
    /// The write side, before a report is made.
    CountReport {
        /// Who.
        member: MemberId,
        /// The report.
        report_id: ReportId,
        /// The rules in force.
        policy: InForce,
        /// The command's time.
        at: Timestamp,
    },
}

impl Command {
    /// The name by which a refusal is recorded; none for what no client asks.
    pub fn name(&self) -> Option<CommandName> {
        match self {
            Command::RegisterMember { .. } => Some(CommandName::RegisterMember),
            Command::ChangeDmSetting { .. } => Some(CommandName::ChangeDmSetting),
            Command::SuspendMember { .. } => Some(CommandName::SuspendMember),
            Command::ReinstateMember { .. } => Some(CommandName::ReinstateMember),
            Command::EndSuspension { .. }
            | Command::TakeRequestSlot { .. }
            | Command::ReturnRequestSlot { .. }
            | Command::CountReport { .. } => None,
        }
    }
}

/// The events that carry a command out, none when it is already so, or why not.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event<'static>>, Rejection> {
    match command {
        Command::RegisterMember {
            member,
            age_band,
            registered_at,
            at,
        } => register(state, member, *age_band, *registered_at, *at),
        Command::ChangeDmSetting {
            member,
            audience,
            at,
        } => change_dm_setting(state, member, *audience, *at),
        Command::SuspendMember {
            member,
            by,
            until,
            reason,
            text,
            at,
        } => suspend(state, member, by, *until, reason, text, *at),
        Command::ReinstateMember { member, by, at } => reinstate(state, member, by, *at),
        Command::EndSuspension { member, at } => Ok(end_suspension(state, member, *at)),
        Command::TakeRequestSlot {
            member,
            conversation,
            command_id,
            policy,
            at,
        } => take_slot(state, member, *conversation, command_id, &policy.rules, *at),
        Command::ReturnRequestSlot { member, command_id } => {
            Ok(return_slot(state, member, command_id))
        }
        Command::CountReport {
            member,
            report_id,
            policy,
            at,
        } => Ok(count_report(state, member, *report_id, &policy.rules, *at)),
    }
}

/// The version of the event that made a command already so, when `decide` gives no event; none when no event did.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    match command {
        Command::RegisterMember { .. } => {
            state.registration.map(|registration| registration.version)
        }
        Command::ChangeDmSetting { .. } => state.setting.version,
        Command::SuspendMember { .. } => state
            .suspension
            .as_ref()
            .map(|suspension| suspension.version),
        // A suspension that time has ended was given its end by the event that made it.
        Command::ReinstateMember { .. } | Command::EndSuspension { .. } => {
            state.suspension_over.or_else(|| {
                state
                    .suspension
                    .as_ref()
                    .map(|suspension| suspension.version)
            })
        }
        Command::TakeRequestSlot { command_id, .. }
        | Command::ReturnRequestSlot { command_id, .. } => state
            .slots
            .iter()
            .find(|slot| slot.command_id == *command_id)
            .map(|slot| slot.version),
        Command::CountReport { report_id, .. } => state
            .reports
            .iter()
            .find(|report| report.id == *report_id)
            .map(|report| report.version),
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, recorded: Recorded, event: &Event<'_>) {
    match event {
        Event::MemberRegistered(registered) => {
            state.registration = Some(Registration {
                registered_at: registered.registered_at,
                age_band: registered.age_band,
                version: recorded.version,
            });
            count_default(state, recorded);
        }
        Event::AgeBandChanged(changed) => {
            if let Some(registration) = &mut state.registration {
                registration.age_band = changed.age_band;
                registration.version = recorded.version;
            }
            count_default(state, recorded);
        }
        Event::DmSettingChanged(changed) => {
            state.setting = Setting {
                chosen: Some(changed.audience),
                count: changed.version,
                version: Some(recorded.version),
            };
        }
        Event::MemberSuspended(suspended) => {
            state.suspension = Some(Suspension {
                until: suspended.until,
                reason: suspended.reason.clone(),
                text: suspended.text.clone().into_owned(),
                version: recorded.version,
            });
            state.suspension_over = None;
        }
        Event::MemberReinstated(_) | Event::SuspensionEnded(_) => {
            state.suspension = None;
            state.suspension_over = Some(recorded.version);
        }
        Event::RequestSlotTaken(taken) => {
            state.slots.retain(|slot| {
                recorded.at.since_ms(slot.at) < DAY_MS && slot.command_id != taken.command_id
            });
            state.slots.push_back(Slot {
                command_id: taken.command_id.clone(),
                conversation: taken.conversation,
                at: recorded.at,
                version: recorded.version,
            });
            if state.slots.len() > REQUESTS_PER_DAY_MAX as usize {
                state.slots.pop_front();
            }
        }
        Event::RequestSlotReturned(returned) => {
            state
                .slots
                .retain(|slot| slot.command_id != returned.command_id);
        }
        Event::ReportCounted(counted) => {
            state.reports.retain(|report| {
                recorded.at.since_ms(report.at) < DAY_MS && report.id != counted.report_id
            });
            state.reports.push_back(Report {
                id: counted.report_id,
                over_limit: counted.over_limit,
                at: recorded.at,
                version: recorded.version,
            });
            if state.reports.len() > REPORTS_PER_DAY_MAX as usize {
                state.reports.pop_front();
            }
        }
    }
}

/// The default audience was set anew, unless the member has chosen.
fn count_default(state: &mut State, recorded: Recorded) {
    if state.setting.chosen.is_none() {
        state.setting.count = state.setting.count.saturating_add(1);
        state.setting.version = Some(recorded.version);
    }
}

fn register(
    state: &State,
    member: &MemberId,
    age_band: AgeBand,
    registered_at: Option<Timestamp>,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    let Some(registration) = state.registration else {
        return Ok(vec![Event::MemberRegistered(MemberRegistered {
            member: member.clone(),
            age_band,
            registered_at: registered_at.unwrap_or(at),
        })]);
    };
    if registered_at.is_some_and(|given| given != registration.registered_at) {
        return Err(Rejection::of_state(Code::RegisteredAtFixed).with_field("registered_at"));
    }
    if registration.age_band == age_band {
        return Ok(Vec::new());
    }
    Ok(vec![Event::AgeBandChanged(AgeBandChanged {
        member: member.clone(),
        age_band,
    })])
}

fn change_dm_setting(
    state: &State,
    member: &MemberId,
    audience: Audience,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    let registration = state.registration.ok_or_else(Rejection::not_found)?;
    if state.setting.chosen == Some(audience) {
        return Ok(Vec::new());
    }
    if state.suspended(at) {
        return Err(Rejection::of_state(Code::AccountRestricted).with_cause(Cause::ActorSuspended));
    }
    if registration.age_band == AgeBand::Under16 {
        return Err(Rejection::of_state(Code::AccountRestricted).with_cause(Cause::ActorUnder16));
    }
    let version = state.setting.count.saturating_add(1);
    Ok(vec![Event::DmSettingChanged(DmSettingChanged {
        member: member.clone(),
        audience,
        version,
    })])
}

fn suspend(
    state: &State,
    member: &MemberId,
    by: &MemberId,
    until: Option<Timestamp>,
    reason: &ReasonCode,
    text: &str,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    if until.is_some_and(|until| until <= at) {
        return Err(Rejection::of_command(Code::InvalidSuspension).with_field("until"));
    }
    text::check(text, STATEMENT_LIMITS).map_err(|problem| {
        Rejection::of_command(Code::InvalidSuspension)
            .with_field("text")
            .with_problem(problem)
    })?;
    let same = |suspension: &Suspension| {
        suspension.until == until
            && suspension.reason == *reason
            && suspension.text.as_str() == text
    };
    if state.suspension.as_ref().is_some_and(same) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::MemberSuspended(MemberSuspended {
        member: member.clone(),
        by: by.clone(),
        until,
        reason: reason.clone(),
        text: Text::from(text.to_owned()),
    })])
}

fn reinstate(
    state: &State,
    member: &MemberId,
    by: &MemberId,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    if !state.suspended(at) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::MemberReinstated(MemberReinstated {
        member: member.clone(),
        by: by.clone(),
    })])
}

fn end_suspension(state: &State, member: &MemberId, at: Timestamp) -> Vec<Event<'static>> {
    match state.suspension_due() {
        Some(until) if until <= at => vec![Event::SuspensionEnded(SuspensionEnded {
            member: member.clone(),
            until,
        })],
        Some(_) | None => Vec::new(),
    }
}

fn take_slot(
    state: &State,
    member: &MemberId,
    conversation: ConversationId,
    command_id: &CommandId,
    rules: &Rules,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    let registration = state.registration.ok_or_else(Rejection::not_found)?;
    if state.has_slot(command_id) {
        return Ok(Vec::new());
    }
    if state.slots_used(at, None) >= rules.requests_per_day(registration.registered_at, at) {
        // Not recorded here: the write side decides the message again, and rule 3 records it where it belongs.
        return Err(Rejection::of_command(Code::LimitReached).with_cause(Cause::RequestsOfTheDay));
    }
    Ok(vec![Event::RequestSlotTaken(RequestSlotTaken {
        member: member.clone(),
        conversation,
        command_id: command_id.clone(),
    })])
}

fn return_slot(state: &State, member: &MemberId, command_id: &CommandId) -> Vec<Event<'static>> {
    let slot = state
        .slots
        .iter()
        .find(|slot| slot.command_id == *command_id);
    slot.map_or_else(Vec::new, |slot| {
        vec![Event::RequestSlotReturned(RequestSlotReturned {
            member: member.clone(),
            conversation: slot.conversation,
            command_id: command_id.clone(),
        })]
    })
}

fn count_report(
    state: &State,
    member: &MemberId,
    report_id: ReportId,
    rules: &Rules,
    at: Timestamp,
) -> Vec<Event<'static>> {
    if state.counted(report_id).is_some() {
        return Vec::new();
    }
    let within = state
        .reports
        .iter()
        .filter(|report| at.since_ms(report.at) < DAY_MS)
        .count();
    let over_limit = within >= rules.reports_per_day as usize;
    vec![Event::ReportCounted(ReportCounted {
        member: member.clone(),
        report_id,
        over_limit,
    })]
}
