//! What is known of the two members of a case: what was reported about them, and what came of what they reported.
//!
//! One member who is reported by many, and one who reports many, are told by numbers alone: whom they reported stands in
//! other cases. Who floods the moderators is kept from moving the queue by the form here.

use domain::case::PriorityInputs;
use projections::MemberHistory;

use super::case::Forms;
use crate::pages::filled::Filled;
use crate::pages::shown::{When, count};

/// From so many on it is said at first sight that one reports many.
const REPORTED_MANY: u32 = 5;

/// The history of a member.
pub(super) struct History {
    pub(super) title: &'static str,
    pub(super) member: String,
    pub(super) registered_at: Option<When>,
    pub(super) rows: Vec<(&'static str, u64)>,
    pub(super) suspended: bool,
    /// That they report many, if they do.
    pub(super) reports_many: Option<String>,
    /// How many of their reports a day count by a moderator, and until when.
    pub(super) limit: Option<(String, When)>,
    /// The form that says so, for who reports.
    pub(super) limiting: Option<Filled>,
    /// The form that ends it.
    pub(super) lifting: Option<Filled>,
}

impl History {
    /// The history of a member with a title.
    pub(super) fn new(title: &'static str, history: &MemberHistory, forms: &mut Forms) -> Self {
        let days = PriorityInputs::REPORTERS_DAYS;
        let rows = [
            ("Reports about them", history.reports_received),
            ("Members who reported them", history.reporters.into()),
            ("Cases about them", history.cases),
            ("Cases upheld", history.cases_upheld),
            ("Suspensions", history.suspensions),
            ("Reports they made", history.reports_made),
            ("Of those decided", history.reports_decided),
            ("Of those upheld", history.reports_upheld),
            ("Members they reported", history.members_reported.into()),
        ];
        let reported = history.members_reported;
        let many = (reported >= REPORTED_MANY).then(|| {
            let upheld = match history.reports_decided {
                0 => "none of their reports is decided yet".to_owned(),
                decided => format!(
                    "of {decided} that are decided {} upheld",
                    history.reports_upheld
                ),
            };
            format!("reported {reported} members within {days} days; {upheld}")
        });
        let limit = history
            .report_limit
            .map(|(per_day, until)| (count(per_day.into(), "report", "reports"), When(until)));
        let member = history.member.as_str();
        let limiting = forms.limit.taken_by("member", member);
        let lifting = forms.unlimit.taken_by("member", member);
        let reports = history.reports_made > 0 || limiting.is_refused();
        let lifts = limit.is_some() || lifting.is_refused();
        History {
            limiting: reports.then_some(limiting),
            lifting: lifts.then_some(lifting),
            title,
            member: history.member.to_string(),
            registered_at: history.registered_at.map(When),
            rows: rows.into(),
            suspended: history.suspended,
            reports_many: many,
            limit,
        }
    }
}
