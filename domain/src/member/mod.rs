//! One member's own choices and standing.
//!
//! Protects: the time of registration never changes; a member opens no more requests within 24 h than the policy
//! allows, over all conversations; a suspended member changes no setting; the DM setting has a version of its own.
//! Stream `member-{id}`. State is bounded by the policy's bounds: one registration, setting and suspension, the request
//! slots of the last 24 h (at most [`crate::policy::REQUESTS_PER_DAY_MAX`]) and the reports of the last 24 h (at most
//! [`crate::policy::REPORTS_PER_DAY_MAX`]).
//!
//! Decided here, where the domain's page is silent:
//! - The setting's version counts how often what it says was set: 1 at registration, one more with each choice, and with
//!   each change of age band while the default is in force. It is not the stream's version, from which a member could
//!   count the slots taken, and so tell a request from a delivered message.
//! - A member under 16 chooses no audience, as a suspended one does not: the choice would outlive the default of 16-17.
//! - Nobody is registered before it happens: a `registered_at` that is later than the command's own time, by more than two
//!   clocks differ, is refused. Of one who is registered already it is compared, and not judged again.
//! - *Fifty reports a day* means within 24 h, as the requests do. A moderator can set fewer for a member, for a time.
//! - What decisions restrict, by hand or on cases, stands side by side, each under its decision, and each ends by itself: suspended is
//!   whom any of them suspends. Reinstating by hand ends all suspensions, and no limit. An event says that a
//!   suspension ended only when none is left, or that one is.

mod command;
mod event;
mod report_limit;
mod restriction;
mod snapshot;
mod state;
mod suspension;

#[cfg(test)]
mod spec;

pub use command::{Command, RestrictMember, SuspendMember};
pub use event::{
    AgeBand, AgeBandChanged, DmSettingChanged, Event, MemberRegistered, MemberReinstated,
    MemberRestricted, MemberSuspended, ReportCounted, ReportLimitEnded, ReportLimitLifted,
    ReportLimitSet, RequestSlotReturned, RequestSlotTaken, Restriction, RestrictionEnded,
    RestrictionLifted, SuspensionEnded,
};
pub use snapshot::STATE_VERSION;
pub use state::{DmSetting, Facts, State, evolve};

use crate::evidence::Cause;
use crate::ids::{CommandId, ConversationId, MemberId, ReportId};
use crate::policy::{Audience, Rules};
use crate::rejection::{Code, Rejection};
use crate::text::Limits;
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

/// How far a member's time of registration may be ahead of the command that tells it: no more than two clocks differ.
pub const REGISTERED_AHEAD_MS_MAX: i64 = 5_000;

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
        Command::SuspendMember(command) => suspension::suspend(state, command),
        Command::ReinstateMember { member, by, at } => {
            suspension::reinstate(state, member, by, *at)
        }
        Command::EndSuspension { member, at } => Ok(suspension::end(state, member, *at)),
        Command::RestrictMember(command) => Ok(restriction::restrict(state, command)),
        Command::EndRestriction {
            member,
            decision,
            at,
        } => Ok(restriction::end(state, member, *decision, *at)),
        Command::LiftRestriction {
            member,
            decision,
            by,
            at,
        } => Ok(restriction::lift(state, member, *decision, by, *at)),
        Command::LimitReports {
            member,
            by,
            per_day,
            until,
            reason,
            at,
        } => report_limit::set(state, member, by, (*per_day, *until, reason), *at),
        Command::LiftReportLimit { member, by, at } => report_limit::lift(state, member, by, *at),
        Command::EndReportLimit { member, at } => Ok(report_limit::end(state, member, *at)),
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
        Command::SuspendMember(command) => suspension::so_already(state, command),
        // A suspension that time has ended was given its end by the event that made it.
        Command::ReinstateMember { .. } | Command::EndSuspension { .. } => {
            state.suspension_over.or_else(|| state.suspended_since())
        }
        Command::RestrictMember(RestrictMember { decision, .. })
        | Command::EndRestriction { decision, .. }
        | Command::LiftRestriction { decision, .. } => state.carried_out(*decision),
        Command::LimitReports { .. }
        | Command::LiftReportLimit { .. }
        | Command::EndReportLimit { .. } => state
            .report_limit
            .as_ref()
            .map(|limit| limit.version)
            .or(state.report_limit_over),
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

fn register(
    state: &State,
    member: &MemberId,
    age_band: AgeBand,
    registered_at: Option<Timestamp>,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    let Some(registration) = state.registration else {
        if registered_at.is_some_and(|given| given.since_ms(at) > REGISTERED_AHEAD_MS_MAX) {
            return Err(Rejection::of_command(Code::InvalidMember).with_field("registered_at"));
        }
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

/// Refuses who would lift what holds for themself.
fn not_own(member: &MemberId, by: &MemberId) -> Result<(), Rejection> {
    if member == by {
        return Err(Rejection::of_state(Code::OwnCase));
    }
    Ok(())
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
    if state.has_slot(command_id, Some(conversation), at) {
        return Ok(Vec::new());
    }
    // A slot that the command took for another conversation gives way to this one.
    if state.slots_used(at, Some(command_id))
        >= rules.requests_per_day(registration.registered_at, at)
    {
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
    let over_limit = within >= state.reports_per_day(rules, at) as usize;
    vec![Event::ReportCounted(ReportCounted {
        member: member.clone(),
        report_id,
        over_limit,
    })]
}
