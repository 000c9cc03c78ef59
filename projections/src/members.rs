//! `members`: who is registered, and what have they chosen?
//!
//! Key: member. The audience of one who has not chosen follows the rules in force, which are kept beside the rows.
//! Bound: a row per member.

use domain::event::Event;
use domain::ids::{DecisionId, MemberId};
use domain::member::{self, AgeBand, Restriction};
use domain::policy::{self, Audience, Rules};
use domain::time::Timestamp;
use event_store::{Position, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::{ApplyError, Reader, Tx, View};

use crate::codec::DomainCodec;
use crate::doorstep::audience_of;
use crate::rows::{fetch, load, store};
use crate::topic::Topic;
use crate::{Answer, QueryError, ViewName};

const ROWS: &str = "rows";
const POLICY: &str = "policy";
const RULES: &[u8] = b"rules";

/// A registered member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// When they registered.
    pub registered_at: Timestamp,
    /// Their age band.
    pub age_band: AgeBand,
    /// Whom they let write to them.
    pub dm_setting: DmSetting,
    /// Their suspension, if there is one.
    pub suspension: Option<Suspension>,
}

/// A member's DM setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmSetting {
    /// The audience: chosen, or the default of the age band.
    pub audience: Audience,
    /// How often what it says was set, from 1.
    pub version: u64,
    /// The position of the event that set it so.
    pub position: Position,
}

/// A member's suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Until when; none for good.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    registered_at: i64,
    age_band: AgeBand,
    chosen: Option<Audience>,
    setting_version: u64,
    setting_position: u64,
    /// By hand: since when, and until when.
    suspension: Option<(i64, Option<i64>)>,
    /// By decisions: by which, since when, and until when.
    suspended_by: Vec<(DecisionId, i64, Option<i64>)>,
}

impl Row {
    /// Since when they are suspended, by whatever began first, and until when, by what ends last.
    fn suspension(&self) -> Option<Suspension> {
        let by_decision = self.suspended_by.iter();
        let by_decision = by_decision.map(|(_, since, until)| (*since, *until));
        let all = || self.suspension.into_iter().chain(by_decision.clone());
        let since = all().map(|(since, _)| since).min()?;
        let until = all().map(|(_, until)| until.unwrap_or(i64::MAX)).max()?;
        Some(Suspension {
            since: Timestamp(since),
            until: (until != i64::MAX).then_some(Timestamp(until)),
        })
    }

    /// What the setting says was set anew, by choice or by default.
    fn set(self, version: u64, recorded: &RecordedEvent) -> Self {
        Self {
            setting_version: version,
            setting_position: recorded.position().0,
            ..self
        }
    }
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Members;

impl View<DomainCodec> for Members {
    fn name(&self) -> &'static str {
        ViewName::Members.as_str()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, POLICY]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Member, Topic::Policy])
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        match decoded {
            Event::Member(event) => {
                let key = event.member().as_str().as_bytes();
                let before: Option<Row> = load(tx, ROWS, key)?;
                match row_after(before.clone(), recorded, event) {
                    Some(after) if before.as_ref() != Some(&after) => store(tx, ROWS, key, &after),
                    _ => Ok(()),
                }
            }
            Event::Policy(policy::Event::PolicySet(set)) => store(tx, POLICY, RULES, &*set.rules),
            Event::Conversation(_)
            | Event::Case(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => Ok(()),
        }
    }
}

/// A member's row after an event; none for one who is not registered.
fn row_after(
    before: Option<Row>,
    recorded: &RecordedEvent,
    event: &member::Event<'_>,
) -> Option<Row> {
    if let member::Event::MemberRegistered(registered) = event {
        return Some(Row {
            registered_at: registered.registered_at.0,
            age_band: registered.age_band,
            chosen: None,
            setting_version: 1,
            setting_position: recorded.position().0,
            suspension: None,
            suspended_by: Vec::new(),
        });
    }
    let row = before?;
    match event {
        member::Event::AgeBandChanged(changed) => {
            let row = Row {
                age_band: changed.age_band,
                ..row
            };
            let defaulted = row.chosen.is_none();
            let version = row.setting_version + 1;
            Some(if defaulted {
                row.set(version, recorded)
            } else {
                row
            })
        }
        member::Event::DmSettingChanged(changed) => Some(
            Row {
                chosen: Some(changed.audience),
                ..row
            }
            .set(changed.version, recorded),
        ),
        member::Event::MemberSuspended(suspended) => {
            if let Some(decision) = suspended.decision {
                let mut row = row;
                let until = suspended.until.map(|until| until.0);
                row.suspended_by.push((decision, recorded.at_ms(), until));
                return Some(row);
            }
            let since = row.suspension.map_or(recorded.at_ms(), |(since, _)| since);
            Some(Row {
                suspension: Some((since, suspended.until.map(|until| until.0))),
                ..row
            })
        }
        member::Event::MemberReinstated(_) | member::Event::SuspensionEnded(_) => Some(Row {
            suspension: None,
            suspended_by: Vec::new(),
            ..row
        }),
        member::Event::MemberRestricted(restricted) => match restricted.restriction {
            Restriction::Suspension => {
                let mut row = row;
                let until = restricted.until.map(|until| until.0);
                let by = (restricted.decision, recorded.at_ms(), until);
                row.suspended_by.push(by);
                Some(row)
            }
            Restriction::Limit => None,
        },
        member::Event::RestrictionEnded(ended) => {
            let mut row = row;
            row.suspended_by
                .retain(|(decision, ..)| *decision != ended.decision);
            if !ended.suspended {
                // One by hand was over before, and had no event while the decision's held on.
                row.suspension = None;
            }
            Some(row)
        }
        member::Event::RestrictionLifted(lifted) => {
            let mut row = row;
            row.suspended_by
                .retain(|(decision, ..)| *decision != lifted.decision);
            if !lifted.suspended {
                row.suspension = None;
            }
            Some(row)
        }
        member::Event::MemberRegistered(_)
        | member::Event::RequestSlotTaken(_)
        | member::Event::RequestSlotReturned(_)
        | member::Event::ReportLimitSet(_)
        | member::Event::ReportLimitLifted(_)
        | member::Event::ReportLimitEnded(_)
        | member::Event::ReportCounted(_) => None,
    }
}

/// What is known of a member.
pub(crate) fn query(reader: &Reader, member: &MemberId) -> Result<Answer<Member>, QueryError> {
    let row: Row = fetch(reader, ROWS, member.as_str().as_bytes())?.ok_or(QueryError::NotFound)?;
    let rules: Rules = fetch(reader, POLICY, RULES)?.unwrap_or_default();
    let defaults = (rules.default_audience_adult, rules.default_audience_16_17);
    let value = Member {
        registered_at: Timestamp(row.registered_at),
        age_band: row.age_band,
        dm_setting: DmSetting {
            audience: audience_of(row.chosen, row.age_band, defaults),
            version: row.setting_version,
            position: Position(row.setting_position),
        },
        suspension: row.suspension(),
    };
    Ok(Answer {
        value,
        position: reader.checkpoint().position,
    })
}
