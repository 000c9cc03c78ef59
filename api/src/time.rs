//! Times on the wire: any RFC 3339 is read, UTC with milliseconds is written.
//!
//! Inside, a time is an integer of milliseconds since the Unix epoch; this is the only place where it is text.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeZone as _, Utc};

/// The milliseconds since the Unix epoch of an RFC 3339 time; anything finer is cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.timestamp_millis())
}

/// The time as `2004-01-02T10:00:00.000Z`. Times outside the years that RFC 3339 can write are cut to its ends.
pub(crate) fn format(at_ms: i64) -> String {
    const FIRST_MS: i64 = -62_167_219_200_000;
    const LAST_MS: i64 = 253_402_300_799_999;
    Utc.timestamp_millis_opt(at_ms.clamp(FIRST_MS, LAST_MS))
        .single()
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
        .unwrap_or_default()
}

/// The day of `2004-01-02`, by its number since 1 January 1970; days are written in this one way alone.
pub(crate) fn parse_day(text: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, DAY_FORM).ok()?;
    let written = day.format(DAY_FORM).to_string() == text;
    let since = day.signed_duration_since(NaiveDate::default());
    written.then(|| since.num_days())
}

/// The day as `2004-01-02`.
pub(crate) fn format_day(day: i64) -> String {
    let day = chrono::TimeDelta::try_days(day)
        .and_then(|since| NaiveDate::default().checked_add_signed(since));
    day.map(|day| day.format(DAY_FORM).to_string())
        .unwrap_or_default()
}

const DAY_FORM: &str = "%Y-%m-%d";

/// The time in RFC 3339 now, by the wall clock, in milliseconds.
pub(crate) fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::{format, format_day, parse, parse_day};

    #[test]
    fn reads_any_offset_and_writes_utc_with_milliseconds() {
        assert_eq!(
            format(parse("2004-01-02T11:00:00+01:00").unwrap()),
            "2004-01-02T10:00:00.000Z"
        );
        assert_eq!(
            format(parse("2004-01-02t10:00:00.1239z").unwrap()),
            "2004-01-02T10:00:00.123Z"
        );
        assert_eq!(parse("2004-01-02"), None);
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2004-02-29", 12_477),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(parse_day(text), Some(day));
            assert_eq!(format_day(day), text);
        }
        for none in [
            "2004-1-2",
            "2004-02-30",
            "02004-01-02",
            "+2004-01-02",
            "2004-01-02T00:00:00Z",
            "today",
            "",
        ] {
            assert_eq!(parse_day(none), None, "{none}");
        }
    }

    #[test]
    fn writes_the_ends_of_time() {
        assert_eq!(format(i64::MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(format(i64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
