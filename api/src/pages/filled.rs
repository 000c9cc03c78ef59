//! A form as a page shows it: fresh, or as it was sent and refused, with what was typed and why.
//!
//! Each form has the id of its command from the moment it is shown, so that sending it twice does it once. A refusal is
//! what that id came to; the form that tells of it has a new one. Where nobody knows whether it was done, or nobody tried to,
//! the id stays.

use std::fmt::Display;

use domain::ids::CommandId;
use uuid::Uuid;

use crate::pages::alert::{Alert, Named, is_of};
use crate::pages::form::Fields;
use crate::problem::{ApiError, Code};

/// The field that has the id.
const KEY: &str = "key";

/// The form.
pub(crate) struct Filled {
    /// The id of its command.
    pub(crate) key: String,
    /// What was typed.
    pub(crate) typed: Fields,
    refused: Option<ApiError>,
}

impl Filled {
    /// Nothing was typed yet.
    pub(crate) fn fresh() -> Self {
        Filled {
            key: Uuid::new_v4().to_string(),
            typed: Fields::default(),
            refused: None,
        }
    }

    /// It was sent, and refused.
    pub(crate) fn refused(typed: Fields, error: ApiError) -> Self {
        // Forbidden it is where it was made for another sign-in, by which it may have been done before.
        let undecided = [
            Code::OutcomeUnknown,
            Code::Busy,
            Code::StoreUnavailable,
            Code::StorageFull,
            Code::Forbidden,
        ];
        let key = if undecided.contains(&error.code()) {
            typed.text(KEY).to_owned()
        } else {
            Uuid::new_v4().to_string()
        };
        Filled {
            key,
            typed,
            refused: Some(error),
        }
    }

    /// The form of one of many, which are told apart by a field: as it was sent where this one was meant, or fresh.
    pub(crate) fn taken_by(&mut self, field: &str, value: &str) -> Self {
        if self.text(field) == value {
            std::mem::replace(self, Self::fresh())
        } else {
            Self::fresh()
        }
    }

    /// Whether it was sent and refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Why it was refused, with the way to its fields: these elements of the page, with this at the end of their ids.
    pub(crate) fn alert(&self, fields: &[Named<'_>], suffix: impl Display) -> Option<Alert> {
        let error = self.refused.as_ref()?;
        Some(Alert::of(error, fields, suffix))
    }

    /// What is wrong with a field.
    pub(crate) fn wrong(&self, field: &str) -> Option<&str> {
        let errors = self.refused.as_ref()?.errors().iter();
        errors
            .filter(|error| is_of(&error.field, field))
            .map(|error| error.message.as_str())
            .next()
    }

    /// What was typed into a field.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.typed.text(field)
    }

    /// Whether a field was sent with this value.
    pub(crate) fn has(&self, field: &str, value: &str) -> bool {
        self.typed.all(field).any(|given| given == value)
    }
}

/// The id of the command that a form is for.
pub(crate) fn command_id(fields: &Fields) -> Result<CommandId, ApiError> {
    CommandId::new(fields.text(KEY)).map_err(|_| {
        let words =
            "The form has no id, so nothing was done. Load the page again and send it from there.";
        ApiError::with_detail(Code::InvalidBody, words)
    })
}
