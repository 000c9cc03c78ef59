//! A member's state as bytes, for a cache that spares the fold of a long stream.
//!
//! Promise: what is read back is the very state that was written. The bytes hold for one [`STATE_VERSION`] and are no
//! contract beyond it: whoever changes the state's shape, or what `evolve` makes of any event, raises that number, and
//! what was kept under another is not read. A member who is suspended or limited, in what they report too, has no
//! snapshot: what they were told is personal, and stands in the log alone.

use crate::ids::{CommandId, ConversationId, DecisionId, ReportId};
use crate::member::event::AgeBand;
use crate::member::state::{CarriedOut, Registration, Report, Setting, Slot, State};
use crate::policy::Audience;
use crate::time::Timestamp;

/// The version of the state and of its fold.
pub const STATE_VERSION: u32 = 4;

type Whole = (
    Option<(Timestamp, AgeBand, u64)>,
    (Option<Audience>, u64, Option<u64>),
    Option<u64>,
    Vec<(CommandId, ConversationId, Timestamp, u64)>,
    Vec<(ReportId, bool, Timestamp, u64)>,
    Vec<(DecisionId, u64)>,
    Option<u64>,
);

impl State {
    /// The state as bytes of this [`STATE_VERSION`]; none while a suspension or a limit is part of it.
    pub fn to_snapshot(&self) -> Option<Vec<u8>> {
        let State {
            registration,
            setting,
            suspension,
            suspension_over,
            slots,
            reports,
            restrictions,
            carried_out,
            report_limit,
            report_limit_over,
        } = self;
        if suspension.is_some() || !restrictions.is_empty() || report_limit.is_some() {
            return None;
        }
        let registration = registration.map(|registration| {
            let Registration {
                registered_at,
                age_band,
                version,
            } = registration;
            (registered_at, age_band, version)
        });
        let Setting {
            chosen,
            count,
            version,
        } = *setting;
        let of_slot = |slot: &Slot| {
            let Slot {
                command_id,
                conversation,
                at,
                version,
            } = slot;
            (command_id.clone(), *conversation, *at, *version)
        };
        let of_report = |report: &Report| {
            let Report {
                id,
                over_limit,
                at,
                version,
            } = *report;
            (id, over_limit, at, version)
        };
        let of_decision = |carried: &CarriedOut| {
            let CarriedOut { decision, version } = *carried;
            (decision, version)
        };
        let whole: Whole = (
            registration,
            (chosen, count, version),
            *suspension_over,
            slots.iter().map(of_slot).collect(),
            reports.iter().map(of_report).collect(),
            carried_out.iter().map(of_decision).collect(),
            *report_limit_over,
        );
        serde_json::to_vec(&whole).ok()
    }

    /// The state that these bytes hold; none where they hold none.
    pub fn from_snapshot(bytes: &[u8]) -> Option<State> {
        let whole: Whole = serde_json::from_slice(bytes).ok()?;
        let (registration, setting, suspension_over, slots, reports, carried, report_limit_over) =
            whole;
        let (chosen, count, version) = setting;
        let to_slot = |(command_id, conversation, at, version)| Slot {
            command_id,
            conversation,
            at,
            version,
        };
        let to_report = |(id, over_limit, at, version)| Report {
            id,
            over_limit,
            at,
            version,
        };
        Some(State {
            registration: registration.map(|(registered_at, age_band, version)| Registration {
                registered_at,
                age_band,
                version,
            }),
            setting: Setting {
                chosen,
                count,
                version,
            },
            suspension: None,
            suspension_over,
            slots: slots.into_iter().map(to_slot).collect(),
            reports: reports.into_iter().map(to_report).collect(),
            restrictions: Vec::new(),
            carried_out: carried
                .into_iter()
                .map(|(decision, version)| CarriedOut { decision, version })
                .collect(),
            report_limit: None,
            report_limit_over,
        })
    }
}
