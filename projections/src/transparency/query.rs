//! A report over days: the sums of theirs.
//!
//! The same rows give the same report. Grounds are free words: of many those with the most decisions are listed, and what was
//! left out is told.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::Context;
use domain::case::{Action, AppealOutcome, Category};
use domain::member::Restriction;
use domain::time::{DAY_MS, Timestamp};
use tables::key::{Key, Parts};
use tables::{Order, Reader, Span};

use super::{CHANGES, COUNTS, Changed, DURATIONS, Figure, Timed, durations, number_of, place_of};
use crate::rows::decode;
use crate::{Answer, QueryError};

/// A day in UTC, by its number since 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// The day of a time.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.0.div_euclid(DAY_MS))
    }
}

/// What was reported, decided and reversed on some days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transparency {
    /// Reports by category, in the order of the categories; those of which there were none are left out.
    pub notices: Vec<(Category, u64)>,
    /// Cases that were opened.
    pub cases_opened: u64,
    /// All that was decided.
    pub decisions: u64,
    /// By what is done and why, the most frequent first; at most [`Transparency::GROUNDS_MAX`].
    pub by_ground: Vec<DecisionFigure>,
    /// How many more there are than `by_ground` lists, and how many decisions these are.
    pub left: (u64, u64),
    /// From the first report that waited for it to the decision on a case.
    pub time_to_decision: Option<MedianTime>,
    /// Appeals that were made.
    pub appeals: u64,
    /// Appeals that were decided, by what became of them; those of which there were none are left out.
    pub appeals_decided: Vec<(AppealOutcome, u64)>,
    /// From an appeal to its decision.
    pub time_to_appeal_decision: Option<MedianTime>,
    /// Decisions that were reversed upon an appeal.
    pub reversed_on_appeal: u64,
    /// Decisions that were reversed without one.
    pub reversed_unasked: u64,
    /// Suspensions in force at the end of the last day.
    pub suspensions: u64,
    /// Limits in force at the end of the last day.
    pub limits: u64,
}

impl Transparency {
    /// How many pairs of action and ground are listed.
    pub const GROUNDS_MAX: usize = 200;
    /// Days of one report: a year.
    pub const DAYS_MAX: i64 = 366;
    /// Rows of counts that one report adds up.
    pub const ROWS_MAX: usize = 200_000;
}

/// What led to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Reports, by way of their case.
    Notices,
    /// A moderator suspended the member without a case.
    OwnInitiative,
}

/// How often something was done for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionFigure {
    /// What was done.
    pub action: Action,
    /// Why, as a code.
    pub ground: String,
    /// What led to it.
    pub source: Source,
    /// How often.
    pub count: u64,
}

/// A time in the middle of others, within 1 in 256 of it; of an even number the lesser of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MedianTime {
    /// Of how many.
    pub of: u64,
    /// In milliseconds.
    pub ms: u64,
}

/// The report over the days from `first` to `last`, both included. [`QueryError::TooWide`] where it is over more days or
/// rows than one report.
pub(crate) fn query(
    reader: &Reader,
    first: Day,
    last: Day,
) -> Result<Answer<Transparency>, QueryError> {
    if last.0.saturating_sub(first.0) >= Transparency::DAYS_MAX {
        return Err(QueryError::TooWide);
    }
    let mut report = Transparency::default();
    let mut notices = BTreeMap::new();
    let mut appeals_decided = BTreeMap::new();
    let mut grounds: BTreeMap<(Source, u64, String), u64> = BTreeMap::new();
    let mut rows = 0;
    for row in reader.scan(COUNTS, &days(first, last), Order::Ascending)? {
        rows += 1;
        if rows > Transparency::ROWS_MAX {
            return Err(QueryError::TooWide);
        }
        let (key, value) = row?;
        let count: u64 = decode(COUNTS, &value)?;
        let mut parts = Parts::of(&key);
        parts.i64();
        let figure = parts.u8().and_then(Figure::numbered);
        let sum = match figure.context("a figure that is none")? {
            Figure::Notices => notices.entry(part(parts.u64())?).or_default(),
            Figure::CasesOpened => &mut report.cases_opened,
            Figure::Decisions => {
                let action = part(parts.u64())?;
                let ground = (Source::Notices, action, part(parts.text())?);
                grounds.entry(ground).or_default()
            }
            Figure::OwnInitiative => {
                let ground = (
                    Source::OwnInitiative,
                    place_of(Action::Suspend),
                    part(parts.text())?,
                );
                grounds.entry(ground).or_default()
            }
            Figure::Appeals => &mut report.appeals,
            Figure::AppealsDecided => {
                let outcome = part(parts.text())?;
                appeals_decided.entry(outcome).or_default()
            }
            Figure::Reversals if part(parts.u8())? == 0 => &mut report.reversed_unasked,
            Figure::Reversals => &mut report.reversed_on_appeal,
        };
        add(sum, count);
    }
    report.notices = Category::ALL
        .into_iter()
        .zip(0..)
        .filter_map(|(category, place)| Some((category, *notices.get(&place)?)))
        .collect();
    report.appeals_decided = AppealOutcome::ALL
        .into_iter()
        .filter_map(|outcome| Some((outcome, *appeals_decided.get(outcome.as_str())?)))
        .collect();
    list(&mut report, grounds)?;
    report.time_to_decision = median(reader, first, last, Timed::Decision)?;
    report.time_to_appeal_decision = median(reader, first, last, Timed::Appeal)?;
    [report.suspensions, report.limits] = in_force(reader, last)?;
    Ok(Answer {
        value: report,
        position: reader.checkpoint().position,
    })
}

fn days(first: Day, last: Day) -> Span {
    Span::all()
        .from(&Key::new().i64(first.0))
        .through_prefix(&Key::new().i64(last.0))
}

fn part<T>(part: Option<T>) -> anyhow::Result<T> {
    part.context("a key is too short")
}

fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

/// Lists the grounds with the most decisions, among equals in the order of source, action and word.
fn list(
    report: &mut Transparency,
    grounds: BTreeMap<(Source, u64, String), u64>,
) -> anyhow::Result<()> {
    let mut figures = Vec::with_capacity(grounds.len());
    for ((source, action, ground), count) in grounds {
        add(&mut report.decisions, count);
        let place = usize::try_from(action)?;
        figures.push(DecisionFigure {
            action: *Action::ALL.get(place).context("an action that is none")?,
            ground,
            source,
            count,
        });
    }
    figures.sort_by_key(|figure| Reverse(figure.count));
    for left in figures.iter().skip(Transparency::GROUNDS_MAX) {
        report.left.0 += 1;
        add(&mut report.left.1, left.count);
    }
    figures.truncate(Transparency::GROUNDS_MAX);
    report.by_ground = figures;
    Ok(())
}

fn median(
    reader: &Reader,
    first: Day,
    last: Day,
    timed: Timed,
) -> anyhow::Result<Option<MedianTime>> {
    let mut buckets = BTreeMap::new();
    for row in reader.scan(DURATIONS, &days(first, last), Order::Ascending)? {
        let (key, value) = row?;
        let mut parts = Parts::of(&key);
        parts.i64();
        if parts.u8() == Some(timed.number()) {
            let sum = buckets.entry(part(parts.u64())?).or_default();
            add(sum, decode(DURATIONS, &value)?);
        }
    }
    let median = durations::median(&buckets);
    Ok(median.map(|(of, ms)| MedianTime { of, ms }))
}

/// Suspensions and limits that began up to the end of a day and had not ended by then.
fn in_force(reader: &Reader, last: Day) -> anyhow::Result<[u64; 2]> {
    let mut sums = [Changed::default(); 2];
    let span = Span::all().through_prefix(&Key::new().i64(last.0));
    for row in reader.scan(CHANGES, &span, Order::Ascending)? {
        let (key, value) = row?;
        let mut parts = Parts::of(&key);
        parts.i64();
        let kind = parts.u8();
        let changed: Changed = decode(CHANGES, &value)?;
        for (sum, restriction) in sums
            .iter_mut()
            .zip([Restriction::Suspension, Restriction::Limit])
        {
            if kind == Some(number_of(restriction)) {
                add(&mut sum.began, changed.began);
                add(&mut sum.ended, changed.ended);
            }
        }
    }
    // Within a member's stream an end never stands before its beginning.
    Ok(sums.map(|sum| sum.began.saturating_sub(sum.ended)))
}
