//! A decision as a form says it: what is done, until when, why, and what the member is told; of one case or of many.

use domain::case::{Action, Ruling};
use domain::ids::ReasonCode;
use domain::time::Timestamp;

use crate::pages::filled::Filled;
use crate::pages::form::Fields;
use crate::problem::{ApiError, Code, FieldCode};

/// What is told of a time that is none.
pub(super) const NO_TIME: &str = "It has to be a day and a time, such as 2026-01-31T12:00.";

/// An action that may be chosen.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) text: &'static str,
    pub(super) hint: &'static str,
    pub(super) key: usize,
    pub(super) chosen: bool,
}

/// What an action is called.
pub(super) const fn action(action: Action) -> &'static str {
    match action {
        Action::Nothing => "No action",
        Action::Warn => "Warn",
        Action::RemoveMessages => "Remove messages",
        Action::Limit => "Limit",
        Action::Suspend => "Suspend",
    }
}

/// What an action does.
const fn effect(action: Action) -> &'static str {
    match action {
        Action::Nothing => "The reports are not upheld. The case is closed.",
        Action::Warn => "The member is told, and nothing else changes.",
        Action::RemoveMessages => "The chosen messages leave everybody's view; the evidence stays.",
        Action::Limit => "The member may open no new requests until the end that you give.",
        Action::Suspend => {
            "The member may not write until the end that you give, or for good without one. Requests that wait are frozen."
        }
    }
}

/// The actions that a form may choose from. Each keeps its key where another is left out.
pub(super) fn choices(form: &Filled, may: impl Fn(Action) -> bool) -> Vec<Choice> {
    let actions = Action::ALL.into_iter().enumerate();
    let actions = actions
        .filter(|(_, of)| may(*of))
        .map(|(index, of)| Choice {
            value: of.as_str(),
            text: action(of),
            hint: effect(of),
            key: index + 1,
            chosen: form.has("action", of.as_str()),
        });
    actions.collect()
}

/// The words of reports, which a decision's code may be as well.
pub(super) fn reasons() -> Vec<&'static str> {
    vec![
        "spam",
        "scam",
        "harassment",
        "hate",
        "sexual_content",
        "minor_safety",
        "violence",
        "self_harm",
        "impersonation",
        "illegal_goods",
        "not_a_violation",
    ]
}

/// What is wrong with a field of a form.
pub(super) fn wrong(field: &str, code: FieldCode, what: &str) -> ApiError {
    ApiError::at_field(Code::InvalidBody, field, code, what)
}

/// The reason that a form gives.
pub(super) fn reason(fields: &Fields) -> Result<ReasonCode, ApiError> {
    ReasonCode::new(fields.text("reason").trim()).map_err(|_| {
        let what = "It has to be 1-64 characters of a-z, 0-9 and _.";
        wrong("reason", FieldCode::Malformed, what)
    })
}

/// The ruling that the form says.
pub(super) fn ruling(fields: &Fields) -> Result<Ruling, ApiError> {
    let action = Action::ALL
        .into_iter()
        .find(|action| action.as_str() == fields.text("action"));
    let action =
        action.ok_or_else(|| wrong("action", FieldCode::Missing, "Choose what is done."))?;
    let until = match fields.get("until") {
        Some(text) => {
            Some(until(text).ok_or_else(|| wrong("until", FieldCode::Malformed, NO_TIME))?)
        }
        None => None,
    };
    let mut messages = Vec::new();
    for number in fields.all("messages") {
        let number = number.parse();
        let number = number.map_err(|_| {
            wrong(
                "messages",
                FieldCode::Malformed,
                "That is no number of a message.",
            )
        });
        messages.push(number?);
    }
    let reason = reason(fields)?;
    Ok(Ruling {
        action,
        until,
        messages,
        reason,
        text: fields.text("text").to_owned(),
        facts: fields.text("facts").to_owned(),
    })
}

/// A time as browsers give one, in UTC, or as the interface takes one.
pub(super) fn until(text: &str) -> Option<Timestamp> {
    let forms = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z")];
    let at_ms = forms.iter().find_map(|text| crate::time::parse(text))?;
    Some(Timestamp(at_ms))
}
