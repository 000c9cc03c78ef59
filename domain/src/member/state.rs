//! What decisions need of a member, and what other streams' decisions see of them.
//!
//! Slots and reports older than 24 h are dropped as new ones come, and never more are kept than any policy allows, so
//! the state is bounded whatever the log holds. Of what
//! restricts a member it keeps where the log says why, and none of the words. `evolve` never fails.

use std::collections::VecDeque;

use crate::event::Recorded;
use crate::ids::{CommandId, ConversationId, DecisionId, ReasonCode, ReportId};
use crate::member::event::{AgeBand, Event, Restriction};
use crate::policy::{Audience, REPORTS_PER_DAY_MAX, REQUESTS_PER_DAY_MAX, Rules};
use crate::time::{DAY_MS, Timestamp};
use uuid::Uuid;

/// Restrictions of a member of one kind that are kept while they stand: one for each decision. Beyond that the one that ends
/// first goes; what is kept still restricts until the last end of all.
pub(super) const RESTRICTIONS_MAX: usize = 256;

/// Decisions on a member that are remembered as carried out: a reactor brings one again within its checkpoint's second.
pub(super) const DECISIONS_REMEMBERED_MAX: usize = 1_024;

/// What decisions need of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(super) registration: Option<Registration>,
    pub(super) setting: Setting,
    pub(super) suspension: Option<Suspension>,
    pub(super) suspension_over: Option<u64>,
    pub(super) slots: VecDeque<Slot>,
    pub(super) reports: VecDeque<Report>,
    pub(super) restrictions: Vec<Restricted>,
    pub(super) carried_out: VecDeque<CarriedOut>,
    pub(super) report_limit: Option<ReportLimit>,
    /// Version of the event that ended the last one.
    pub(super) report_limit_over: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) registered_at: Timestamp,
    pub(super) age_band: AgeBand,
    pub(super) version: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) chosen: Option<Audience>,
    pub(super) count: u64,
    pub(super) version: Option<u64>,
}

/// A suspension by hand of before these were decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    pub(super) until: Option<Timestamp>,
    pub(super) version: u64,
}

/// What a decision restricts, until its end is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restricted {
    pub(super) decision: DecisionId,
    pub(super) restriction: Restriction,
    pub(super) until: Option<Timestamp>,
    /// By hand: what stands for its reason and words, so that the same again is known.
    pub(super) said: Option<Uuid>,
    /// Version of its event, which says why.
    pub(super) version: u64,
}

impl Restricted {
    pub(super) fn holds(&self, restriction: Restriction, at: Timestamp) -> bool {
        self.restriction == restriction && self.until.is_none_or(|until| at < until)
    }
}

/// How many reports a day count, by a moderator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReportLimit {
    pub(super) per_day: u32,
    pub(super) until: Timestamp,
    pub(super) reason: ReasonCode,
    pub(super) version: u64,
}

/// A decision that was carried out here, and the last version that said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CarriedOut {
    pub(super) decision: DecisionId,
    pub(super) version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) command_id: CommandId,
    pub(super) conversation: ConversationId,
    pub(super) at: Timestamp,
    pub(super) version: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) id: ReportId,
    pub(super) over_limit: bool,
    pub(super) at: Timestamp,
    pub(super) version: u64,
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
            limited: self.restricted(Restriction::Limit, at),
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

    /// Whether a suspension is in force at `at`, by hand or by a decision; a passed end counts as ended, whether or not its
    /// event is there yet.
    pub fn suspended(&self, at: Timestamp) -> bool {
        self.suspended_by_hand(at) || self.restricted(Restriction::Suspension, at)
    }

    pub(super) fn suspended_by_hand(&self, at: Timestamp) -> bool {
        self.suspension
            .as_ref()
            .is_some_and(|suspension| suspension.until.is_none_or(|until| at < until))
    }

    pub(super) fn restricted(&self, restriction: Restriction, at: Timestamp) -> bool {
        self.restrictions
            .iter()
            .any(|restricted| restricted.holds(restriction, at))
    }

    /// The version that last said that a decision was carried out here; none where none did.
    pub(super) fn carried_out(&self, decision: DecisionId) -> Option<u64> {
        let mut known = self.carried_out.iter();
        let found = known.find(|carried| carried.decision == decision);
        found.map(|carried| carried.version)
    }

    /// The version of the event of a suspension whose end may not be there yet, of several the newest; none where none is.
    pub(super) fn suspended_since(&self) -> Option<u64> {
        let of_suspension = |it: &&Restricted| it.restriction == Restriction::Suspension;
        let by_decision = self.restrictions.iter().filter(of_suspension);
        let by_decision = by_decision.map(|it| it.version);
        let old = self.suspension.iter().map(|it| it.version);
        by_decision.chain(old).max()
    }

    /// When the suspension recorded last comes to its end, for the timer; none when there is none or it is for good.
    pub fn suspension_due(&self) -> Option<Timestamp> {
        self.suspension
            .as_ref()
            .and_then(|suspension| suspension.until)
    }

    /// The suspension in force at `at`: its end, none where it is for good, and the version of its event, which says why;
    /// of several the one that ends last.
    pub fn suspension_told(&self, at: Timestamp) -> Option<(Option<Timestamp>, u64)> {
        let by_hand = self.suspension.iter();
        let by_hand = by_hand
            .filter(|_| self.suspended_by_hand(at))
            .map(|it| (it.until, it.version));
        let by_decision = self
            .restrictions
            .iter()
            .filter(|it| it.holds(Restriction::Suspension, at))
            .map(|it| (it.until, it.version));
        by_hand
            .chain(by_decision)
            .max_by_key(|(until, _)| until.unwrap_or(Timestamp(i64::MAX)))
    }

    /// When the oldest request slot that counts at `at` ends; none when none counts.
    pub fn slot_ends(&self, at: Timestamp) -> Option<Timestamp> {
        let ends = self.slots.iter().map(|slot| slot.at.plus_ms(DAY_MS));
        ends.filter(|end| at < *end).min()
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

    /// Whether a command holds a slot that counts at `at`: for this conversation, or for any where none is named.
    pub fn has_slot(
        &self,
        command: &CommandId,
        conversation: Option<ConversationId>,
        at: Timestamp,
    ) -> bool {
        self.slots.iter().any(|slot| {
            slot.command_id == *command
                && conversation.is_none_or(|conversation| slot.conversation == conversation)
                && at.since_ms(slot.at) < DAY_MS
        })
    }

    /// How many reports a moderator lets count within 24 h at `at`; none where no moderator says so. A passed end counts as
    /// ended.
    pub fn report_limit(&self, at: Timestamp) -> Option<u32> {
        let limit = self.report_limit.as_ref().filter(|limit| at < limit.until);
        limit.map(|limit| limit.per_day)
    }

    /// How many reports count within 24 h at `at`.
    pub fn reports_per_day(&self, rules: &Rules, at: Timestamp) -> u32 {
        let of_all = rules.reports_per_day;
        self.report_limit(at)
            .map_or(of_all, |limit| limit.min(of_all))
    }

    /// Whether a report was counted, and if so whether beyond the limit.
    pub fn counted(&self, report: ReportId) -> Option<bool> {
        self.reports
            .iter()
            .find(|counted| counted.id == report)
            .map(|counted| counted.over_limit)
    }

    fn audience(&self, age_band: AgeBand, rules: &Rules) -> Audience {
        self.setting
            .chosen
            .unwrap_or_else(|| rules.default_audience(age_band))
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
            if let Some(decision) = suspended.decision {
                let restricted = Restricted {
                    decision,
                    restriction: Restriction::Suspension,
                    until: suspended.until,
                    said: Some(suspended.said()),
                    version: recorded.version,
                };
                restrict(state, restricted);
            } else {
                state.suspension = Some(Suspension {
                    until: suspended.until,
                    version: recorded.version,
                });
                state.suspension_over = None;
            }
        }
        Event::SuspensionEnded(_) => {
            state.suspension = None;
            state.suspension_over = Some(recorded.version);
        }
        Event::MemberReinstated(_) => {
            state.suspension = None;
            state.suspension_over = Some(recorded.version);
            state
                .restrictions
                .retain(|restricted| restricted.restriction != Restriction::Suspension);
        }
        Event::MemberRestricted(restricted) => {
            let restricted = Restricted {
                decision: restricted.decision,
                restriction: restricted.restriction,
                until: restricted.until,
                said: None,
                version: recorded.version,
            };
            restrict(state, restricted);
        }
        Event::RestrictionEnded(ended) => {
            state
                .restrictions
                .retain(|restricted| restricted.decision != ended.decision);
            carry_out(state, ended.decision, recorded.version);
            if ended.restriction == Restriction::Suspension && !ended.suspended {
                end_with(state, recorded.version);
            }
        }
        Event::RestrictionLifted(lifted) => {
            state
                .restrictions
                .retain(|restricted| restricted.decision != lifted.decision);
            carry_out(state, lifted.decision, recorded.version);
            if lifted.restriction == Restriction::Suspension && !lifted.suspended {
                end_with(state, recorded.version);
            }
        }
        Event::ReportLimitSet(set) => {
            state.report_limit = Some(ReportLimit {
                per_day: set.per_day,
                until: set.until,
                reason: set.reason.clone(),
                version: recorded.version,
            });
            state.report_limit_over = None;
        }
        Event::ReportLimitLifted(_) | Event::ReportLimitEnded(_) => {
            state.report_limit = None;
            state.report_limit_over = Some(recorded.version);
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

/// Takes in what a decision restricts. Of more than are kept, one of its kind that ends first goes: what is kept restricts as
/// long as all did.
fn restrict(state: &mut State, restricted: Restricted) {
    carry_out(state, restricted.decision, restricted.version);
    if restricted.restriction == Restriction::Suspension {
        state.suspension_over = None;
    }
    state.restrictions.push(restricted);
    let of_kind = |it: &Restricted| it.restriction == restricted.restriction;
    let kept = state.restrictions.iter().filter(|it| of_kind(it)).count();
    if kept > RESTRICTIONS_MAX {
        let ends = |it: &Restricted| it.until.unwrap_or(Timestamp(i64::MAX));
        let all = state.restrictions.iter().enumerate();
        let first = all
            .filter(|(_, it)| of_kind(it))
            .min_by_key(|(_, it)| ends(it));
        if let Some(index) = first.map(|(index, _)| index) {
            state.restrictions.remove(index);
        }
    }
}

/// No suspension is left, of old ones by hand neither: one that was over before had no event while others held on.
fn end_with(state: &mut State, version: u64) {
    state.suspension = None;
    state.suspension_over = Some(version);
}

/// Notes that a decision was carried out up to this version. The oldest is forgotten beyond the bound.
fn carry_out(state: &mut State, decision: DecisionId, version: u64) {
    state
        .carried_out
        .retain(|carried| carried.decision != decision);
    state
        .carried_out
        .push_back(CarriedOut { decision, version });
    if state.carried_out.len() > DECISIONS_REMEMBERED_MAX {
        state.carried_out.pop_front();
    }
}

/// The default audience was set anew, unless the member has chosen.
fn count_default(state: &mut State, recorded: Recorded) {
    if state.setting.chosen.is_none() {
        state.setting.count = state.setting.count.saturating_add(1);
        state.setting.version = Some(recorded.version);
    }
}
