//! The week that a time falls in, by ISO 8601 and UTC: for views that count by weeks.
//!
//! A week begins on Monday and belongs to the year that its Thursday is in, so that 1 January may be in the last week of
//! the year before. Weeks are ordered in time; as text (`2004-W05`) they are in the same order. There is no clock here.

use std::fmt;
use std::str::FromStr;

use domain::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

/// 1 January 1970 was a Thursday: so many days after its Monday.
const EPOCH_WEEKDAY: i64 = 3;
/// Times are told to lie in these years, as RFC 3339 can write no others.
const YEAR_MAX: i64 = 9999;

/// A week, as `2004-W05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IsoWeek {
    year: u16,
    week: u8,
}

/// A text that is no week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO week such as `2004-W05`")]
pub struct NoWeek;

impl IsoWeek {
    /// The week of a moment. What is before the year 0 or after 9999 is held to the nearest week of these.
    pub fn of(at: Timestamp) -> Self {
        let days = at.as_millis().div_euclid(DAY_MS);
        let weekday = (days + EPOCH_WEEKDAY).rem_euclid(7);
        let thursday = days - weekday + EPOCH_WEEKDAY;
        let year = year_of(thursday);
        if year < 0 {
            return Self { year: 0, week: 1 };
        }
        if year > YEAR_MAX {
            return last_of(YEAR_MAX);
        }
        Self::numbered(year, (thursday - january_first(year)) / 7 + 1)
    }

    /// Both numbers are known to be those of a week.
    fn numbered(year: i64, week: i64) -> Self {
        Self {
            year: u16::try_from(year).unwrap_or_default(),
            week: u8::try_from(week).unwrap_or_default(),
        }
    }
}

/// Days from the Unix epoch to the first day of a year.
fn january_first(year: i64) -> i64 {
    let leap_days =
        (year - 1969).div_euclid(4) - (year - 1901).div_euclid(100) + (year - 1601).div_euclid(400);
    365 * (year - 1970) + leap_days
}

/// The year that a day lies in, in days since the Unix epoch.
fn year_of(day: i64) -> i64 {
    // 400 years are 146,097 days; by the mean length of a year one is off by one at most.
    let about = 1970 + (i128::from(day) * 400).div_euclid(146_097);
    let about = i64::try_from(about).unwrap_or(i64::MAX);
    if !(-1..=YEAR_MAX + 1).contains(&about) {
        return about;
    }
    let near = [about + 1, about];
    let begun = near.into_iter().find(|year| january_first(*year) <= day);
    begun.unwrap_or(about - 1)
}

/// The last week of a year: that of 28 December, which is in it in every year.
fn last_of(year: i64) -> IsoWeek {
    let december_28 = january_first(year + 1) - 4;
    let weekday = (december_28 + EPOCH_WEEKDAY).rem_euclid(7);
    let thursday = december_28 - weekday + EPOCH_WEEKDAY;
    IsoWeek::numbered(year, (thursday - january_first(year)) / 7 + 1)
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-W{:02}", self.year, self.week)
    }
}

impl FromStr for IsoWeek {
    type Err = NoWeek;

    fn from_str(text: &str) -> Result<Self, NoWeek> {
        let (year, week) = text.split_once("-W").ok_or(NoWeek)?;
        let digits = |text: &str, count: usize| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(year, 4) || !digits(week, 2) {
            return Err(NoWeek);
        }
        let week = Self {
            year: year.parse().map_err(|_| NoWeek)?,
            week: week.parse().map_err(|_| NoWeek)?,
        };
        let weeks = 1..=last_of(week.year.into()).week;
        weeks.contains(&week.week).then_some(week).ok_or(NoWeek)
    }
}

impl TryFrom<String> for IsoWeek {
    type Error = NoWeek;

    fn try_from(text: String) -> Result<Self, NoWeek> {
        text.parse()
    }
}

impl From<IsoWeek> for String {
    fn from(week: IsoWeek) -> Self {
        week.to_string()
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn week(day: i64) -> String {
        IsoWeek::of(Timestamp(day * DAY_MS)).to_string()
    }

    #[test]
    fn is_that_of_the_calendar() {
        // Days since the epoch of dates whose weeks the calendar tells.
        for (day, of) in [
            (0, "1970-W01"),
            (3, "1970-W01"),
            (4, "1970-W02"),
            (-4, "1969-W52"),
            (-3, "1970-W01"),
            (12_414, "2003-W52"), // Sunday 28 December 2003
            (12_418, "2004-W01"), // Thursday 1 January 2004
            (12_783, "2004-W53"), // Saturday 1 January 2005
            (16_804, "2016-W01"), // Monday 4 January 2016
            (16_803, "2015-W53"),
        ] {
            assert_eq!(week(day), of, "day {day}");
        }
    }

    #[test]
    fn begins_on_monday_and_lasts_seven_days() {
        for monday in [-3, 4, 12_415, 16_804] {
            let first = IsoWeek::of(Timestamp(monday * DAY_MS));
            assert_eq!(IsoWeek::of(Timestamp((monday + 7) * DAY_MS - 1)), first);
            assert!(IsoWeek::of(Timestamp((monday + 7) * DAY_MS)) > first);
            assert!(IsoWeek::of(Timestamp(monday * DAY_MS - 1)) < first);
        }
    }

    #[test]
    fn goes_on_without_a_gap_and_comes_back_from_its_text() {
        let mut last = IsoWeek::of(Timestamp(-800_000 * DAY_MS));
        for day in (-800_000..3_000_000).step_by(7) {
            let next = IsoWeek::of(Timestamp(day * DAY_MS));
            assert!(next >= last && next.to_string() >= last.to_string());
            assert_eq!(next.to_string().parse(), Ok(next));
            last = next;
        }
    }

    #[test]
    fn is_held_to_the_years_that_times_have() {
        assert_eq!(IsoWeek::of(Timestamp(i64::MIN)).to_string(), "0000-W01");
        assert_eq!(IsoWeek::of(Timestamp(i64::MAX)).to_string(), "9999-W52");
    }

    #[test]
    fn what_is_no_week_is_none() {
        for text in [
            "",
            "2004",
            "2004-5",
            "2004-W5",
            "2004-W00",
            "2005-W53",
            "2004-W54",
            "2004-w05",
            "+004-W05",
            "02004-W05",
            "2004-W05 ",
            "2004-05-01",
        ] {
            assert_eq!(text.parse::<IsoWeek>(), Err(NoWeek), "{text}");
        }
        assert!("2004-W53".parse::<IsoWeek>().is_ok());
    }
}
