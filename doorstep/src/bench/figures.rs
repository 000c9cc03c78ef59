//! What a measurement says: rows, each beside its baseline, as a table and as JSON.

use serde::Serialize;

/// One figure beside its baseline.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The row's short name, as `--only` knows it.
    pub(crate) name: String,
    /// What was measured.
    pub(crate) what: String,
    /// Ours, in `unit`.
    pub(crate) ours: f64,
    /// What it stands beside.
    pub(crate) baseline_is: String,
    /// The baseline, in `unit`; none where the target is a figure by itself.
    pub(crate) baseline: Option<f64>,
    /// The unit of both.
    pub(crate) unit: &'static str,
    /// Ours over the baseline.
    pub(crate) ratio: Option<f64>,
    /// What to reach.
    pub(crate) target: Target,
    /// Whether it was reached.
    pub(crate) reached: bool,
    /// Whether the further conditions of the target are met.
    #[serde(skip)]
    also: bool,
    /// What else was seen in the same run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

/// What a row is to reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Ours over the baseline is at least this.
    RatioAtLeast(f64),
    /// Ours over the baseline is at most this.
    RatioAtMost(f64),
    /// Ours is at most this.
    AtMost(f64),
}

impl Row {
    /// A figure beside its baseline.
    pub(crate) fn new(
        name: &str,
        what: &str,
        unit: &'static str,
        ours: f64,
        target: Target,
    ) -> Self {
        let mut row = Self {
            name: name.to_owned(),
            what: what.to_owned(),
            ours,
            baseline_is: String::new(),
            baseline: None,
            unit,
            ratio: None,
            target,
            reached: false,
            also: true,
            note: String::new(),
        };
        row.judge();
        row
    }

    /// The same beside this baseline.
    #[must_use]
    pub(crate) fn beside(mut self, baseline_is: &str, baseline: f64) -> Self {
        baseline_is.clone_into(&mut self.baseline_is);
        self.baseline = Some(baseline);
        self.ratio = (baseline > 0.0).then(|| self.ours / baseline);
        self.judge();
        self
    }

    /// The same with a remark.
    #[must_use]
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The same with one more condition of its target.
    #[must_use]
    pub(crate) fn and(mut self, met: bool) -> Self {
        self.also = self.also && met;
        self.judge();
        self
    }

    fn judge(&mut self) {
        let within = match self.target {
            Target::RatioAtLeast(least) => self.ratio.is_some_and(|ratio| ratio >= least),
            Target::RatioAtMost(most) => self.ratio.is_some_and(|ratio| ratio <= most),
            Target::AtMost(most) => self.ours <= most,
        };
        self.reached = within && self.also;
    }
}

/// The rows as a table for people, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| row | what | measured | baseline in the same run | ratio | target | |".to_owned(),
        "| --- | --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    for row in rows {
        let baseline = row.baseline.map_or_else(String::new, |b| {
            format!("{} {}: {}", number(b), row.unit, row.baseline_is)
        });
        let target = match row.target {
            Target::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Target::RatioAtMost(most) => format!("ratio ≤ {most}"),
            Target::AtMost(most) => format!("≤ {} {}", number(most), row.unit),
        };
        lines.push(format!(
            "| {} | {}{} | {} {} | {} | {} | {} | {} |",
            row.name,
            row.what,
            if row.note.is_empty() {
                String::new()
            } else {
                format!(" ({})", row.note)
            },
            number(row.ours),
            row.unit,
            baseline,
            row.ratio
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            target,
            if row.reached { "reached" } else { "missed" },
        ));
    }
    lines.join("\n")
}

/// A number with three digits that say something, and thousands apart.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.3}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}")
}

/// The middle value; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    values.get(middle).copied().unwrap_or(0.0)
}

/// The value below which this share of them lies; 0 of none.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (values.len() as f64 * share) as usize;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}
