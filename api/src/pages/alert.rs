//! What was wrong with a form, told before it: in words, and with a link to each field that has to be mended.
//!
//! Promise: who works by keyboard is led. The alert has the focus when the page is shown, by `autofocus` and so without the
//! script; the next `Tab` is on the link to the first field that is wrong, and that link leads into the field, which says that it
//! is wrong and why. A page shows one at most. `filled` makes it of a form, a page with a filter of what was asked for.

use std::fmt::Display;

use crate::problem::{ApiError, Code, WHOLE_BODY};

/// A field as an error names it, the element that it is on the page, and what it is called there.
pub(crate) type Named<'a> = (&'a str, &'a str, &'a str);

/// What was wrong.
pub(crate) struct Alert {
    /// In words.
    pub(crate) said: String,
    /// The fields that are wrong, each once.
    pub(crate) wrong: Vec<Wrong>,
}

/// A field that is wrong.
pub(crate) struct Wrong {
    /// The element, where the page has one for it.
    pub(crate) element: Option<String>,
    /// What is wrong with it.
    pub(crate) words: String,
}

impl Alert {
    /// Of an error, whose fields are these elements; where a page has several such forms, their ids end in what tells them
    /// apart.
    pub(crate) fn of(error: &ApiError, fields: &[Named<'_>], suffix: impl Display) -> Self {
        let mut wrong: Vec<Wrong> = Vec::new();
        for found in error.errors() {
            if found.field == WHOLE_BODY {
                continue;
            }
            let named = fields.iter().find(|(name, ..)| is_of(&found.field, name));
            let element = named.map(|(_, element, _)| format!("{element}{suffix}"));
            if element.is_some() && wrong.iter().any(|before| before.element == element) {
                continue;
            }
            let words = match named {
                Some((.., label)) => format!("{label}: {}", found.message),
                None => found.message.clone(),
            };
            wrong.push(Wrong { element, words });
        }
        let said = if wrong.is_empty() {
            error.told()
        } else if error.code() == Code::InvalidQuery {
            "That cannot be shown as it was asked for."
        } else {
            error.code().title()
        };
        Alert {
            said: said.to_owned(),
            wrong,
        }
    }

    /// In these words, about one element.
    pub(crate) fn at(said: &str, element: &str, label: &str) -> Self {
        Alert {
            said: said.to_owned(),
            wrong: vec![Wrong {
                element: Some(element.to_owned()),
                words: label.to_owned(),
            }],
        }
    }

    /// Whether it is about this element.
    pub(crate) fn is_at(&self, element: &str) -> bool {
        let mut elements = self.wrong.iter().map(|wrong| wrong.element.as_deref());
        elements.any(|wrong| wrong == Some(element))
    }
}

/// Whether an error of this field is one of a field of a form: of itself, or of one of its items.
pub(crate) fn is_of(found: &str, field: &str) -> bool {
    let rest = found.strip_prefix(field);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::problem::{FieldCode, FieldError};

    const FIELDS: [Named<'static>; 2] = [("text", "note", "Note"), ("cases", "cases", "Cases")];

    fn error(fields: &[&str]) -> ApiError {
        let of = |field: &&str| FieldError {
            field: (*field).to_owned(),
            code: FieldCode::Malformed,
            message: format!("wrong {field}"),
        };
        ApiError::at_fields(Code::InvalidBody, fields.iter().map(of).collect())
    }

    fn links(alert: &Alert) -> Vec<(Option<&str>, &str)> {
        let wrong = alert.wrong.iter();
        wrong
            .map(|wrong| (wrong.element.as_deref(), &*wrong.words))
            .collect()
    }

    #[test]
    fn leads_to_each_field_once_and_tells_what_no_field_is_for() {
        let alert = Alert::of(
            &error(&["text", "cases[0]", "cases[7]", "key"]),
            &FIELDS,
            "-2",
        );
        assert_eq!(
            links(&alert),
            [
                (Some("note-2"), "Note: wrong text"),
                (Some("cases-2"), "Cases: wrong cases[0]"),
                (None, "wrong key"),
            ]
        );
        assert!(alert.is_at("note-2") && !alert.is_at("note"));
        assert_eq!(alert.said, Code::InvalidBody.title());
    }

    #[test]
    fn says_what_is_wrong_with_no_field_in_its_own_words() {
        let alert = Alert::of(&ApiError::with_detail(Code::Busy, "Not now."), &FIELDS, "");
        assert_eq!((&*alert.said, alert.wrong.len()), ("Not now.", 0));
        let whole = Alert::of(&error(&[WHOLE_BODY]), &FIELDS, "");
        assert!(whole.wrong.is_empty());
    }
}
