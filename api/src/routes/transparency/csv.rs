//! The report as lines of RFC 4180: a line with the names of the columns, then a figure a line.
//!
//! Every value is a number, a day or a word of `[a-z0-9_]`, so that none needs quotes, and none is a formula to a
//! spreadsheet. A column that a figure has nothing for is empty.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::Report;

const NAMES: [&str; 5] = ["figure", "kind", "ground", "source", "value"];

/// The lines of a report.
pub(super) fn lines(report: &Report) -> String {
    let mut text = NAMES.join(",");
    text.push_str("\r\n");
    let mut line = |figure: &str, kind: &str, ground: &str, source: &str, value: &str| {
        let _ = write!(text, "{figure},{kind},{ground},{source},{value}\r\n");
    };
    let mut plain = |figure: &str, value: u64| line(figure, "", "", "", &value.to_string());
    let (notices, decisions) = (&report.notices, &report.decisions);
    plain("notices_submitted", notices.submitted);
    plain(
        "notices_processed_by_automated_means",
        notices.processed_by_automated_means,
    );
    plain("cases_opened", report.cases_opened);
    plain("decisions_taken", decisions.taken);
    plain(
        "decisions_taken_by_automated_means",
        decisions.taken_by_automated_means,
    );
    plain("decisions_left_out", decisions.left_out.taken);
    plain("grounds_left_out", decisions.left_out.grounds);
    let (appeals, reversals) = (&report.appeals, &report.reversals);
    plain("appeals_received", appeals.received);
    plain("appeals_upheld", appeals.upheld);
    plain("appeals_reversed", appeals.reversed);
    plain("reversals_on_appeal", reversals.on_appeal);
    plain("reversals_own_initiative", reversals.own_initiative);
    let in_force = &report.restrictions_in_force;
    plain("suspensions_in_force", in_force.suspensions);
    plain("limits_in_force", in_force.limits);
    for (figure, median) in [
        ("decisions_median_time_ms", decisions.median_time_ms),
        ("appeals_median_time_ms", appeals.median_time_ms),
    ] {
        let median = median.map_or_else(String::new, |ms| ms.to_string());
        line(figure, "", "", "", &median);
    }
    line("from", "", "", "", &report.from);
    line("to", "", "", "", &report.to);
    for of in &notices.by_category {
        let category = word(&of.category);
        line("notices", &category, "", "", &of.submitted.to_string());
    }
    for of in &decisions.by_ground {
        line(
            "decisions",
            &word(&of.action),
            &of.ground,
            of.source.as_str(),
            &of.taken.to_string(),
        );
    }
    text
}

/// A word of the wire as it is in JSON.
fn word(word: &impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
