//! `members`: who is registered, and what have they chosen?

use domain::ids::MemberId;
use domain::member::AgeBand;
use domain::policy::Audience;
use domain::time::Timestamp;
use event_store::Position;

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

pub(crate) fn query(
    reader: &tables::Reader,
    member: &MemberId,
) -> Result<crate::Answer<Member>, crate::QueryError> {
    let _ = (reader, member);
    todo!()
}
