//! How many cases wait and of what kind, as links that filter the queue.
//!
//! Each number is of the whole queue, as `GET /v1/moderation/queue/counts` answers it, and its link shows just those cases:
//! it keeps the order that is shown, and no other filter. What has waited for long has links without numbers, which are
//! counted by nobody.

use std::fmt::Write as _;

use domain::case::Category;
use domain::ids::MemberId;
use domain::time::Timestamp;
use projections::{CaseState, QueueCounts};

use super::queue;
use crate::pages::form::{Fields, encoded};
use crate::pages::shown::{category, word};
use crate::words;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const MINUTE_MS: i64 = 60 * 1_000;
/// How long cases have waited that a link shows, and what it is called.
const AGES: [(i64, &str, &str); 3] = [
    (HOUR_MS, "hour", "for over an hour"),
    (24 * HOUR_MS, "day", "for over a day"),
    (7 * 24 * HOUR_MS, "week", "for over a week"),
];

/// A link to some cases.
pub(super) struct Count {
    /// What the element is called, to find it again when it is replaced.
    pub(super) id: String,
    pub(super) href: String,
    pub(super) text: &'static str,
    /// How many; none where nobody counts them.
    pub(super) cases: Option<u64>,
    /// Whether it is what is shown.
    pub(super) shown: bool,
}

/// The links.
pub(super) struct Counts {
    /// By who works on them.
    pub(super) states: Vec<Count>,
    /// Open ones that were left to another moderator.
    pub(super) escalated: u64,
    /// By what was reported; those that have none are left out.
    pub(super) categories: Vec<Count>,
    /// By how long they wait.
    pub(super) ages: Vec<Count>,
}

/// Where the links go from, and what is shown there.
struct Place<'a> {
    fields: &'a Fields,
    filters: &'a [&'static str],
}

impl Place<'_> {
    fn link(&self, id: &str, set: (&str, &str), text: &'static str, cases: Option<u64>) -> Count {
        let (name, value) = set;
        let mut href = format!("/desk/queue?{name}={}", encoded(value));
        if let Some(sort) = self.fields.get("sort") {
            let _ = write!(href, "&sort={}", encoded(sort));
        }
        let only = |filter: &&&str| {
            let asked = self.fields.get(filter);
            **filter == "sort" || asked == (**filter == name).then_some(value)
        };
        Count {
            id: format!("count-{id}"),
            href,
            text,
            cases,
            shown: self.filters.iter().filter(only).count() == self.filters.len(),
        }
    }
}

impl Counts {
    /// The links of a queue that is asked for by these fields, of which these are its filter.
    pub(super) fn new(
        counts: &QueueCounts,
        (fields, filters): (&Fields, &[&'static str]),
        me: &MemberId,
        now: Timestamp,
    ) -> Self {
        let place = Place { fields, filters };
        let mut states: Vec<Count> = counts
            .states
            .iter()
            .map(|(state, cases)| {
                let value = state.as_str();
                let text = match state {
                    CaseState::Open => "held by nobody",
                    CaseState::Claimed | CaseState::Decided | CaseState::Closed => {
                        queue::state(*state)
                    }
                };
                place.link(value, ("state", value), text, Some(*cases))
            })
            .collect();
        let mine = ("claimed_by", me.as_str());
        states.insert(0, place.link("mine", mine, "mine", Some(counts.mine)));
        let appealed = ("state", queue::APPEALED);
        states.push(place.link(
            "appealed",
            appealed,
            "with an appeal",
            Some(counts.appealed),
        ));
        let some = counts.categories.iter().filter(|(_, cases)| *cases > 0);
        let of = |(named, cases): &(Category, u64)| {
            let value = word(&words::Category::from(*named));
            place.link(&value, ("category", &value), category(*named), Some(*cases))
        };
        let ages = AGES.map(|(ms, id, text)| {
            // To the minute, as the field of a form has it.
            let before = (now.as_millis() - ms).div_euclid(MINUTE_MS) * MINUTE_MS;
            let value = queue::minute(Timestamp(before));
            place.link(id, ("opened_before", &value), text, None)
        });
        Counts {
            states,
            escalated: counts.escalated,
            categories: some.map(of).collect(),
            ages: ages.into(),
        }
    }
}
