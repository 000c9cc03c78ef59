//! What was asked for at `/try` and not done: told at its side with the way to the field, and the form as it was sent.
//!
//! Nothing typed is lost: the form comes back with it where the page still has that form, and elsewhere it is shown for
//! copying.

use axum::http::StatusCode;

use super::asked::Slot;
use super::side::{Choice, Side};
use super::told::Act;
use crate::pages::alert::{Alert, Named, Wrong};
use crate::pages::form::Fields;
use crate::problem::ApiError;

/// What a form has besides what was typed.
const FORM: [&str; 11] = [
    "csrf", "key", "side", "do", "other", "on", "message", "category", "also", "audience",
    "decision",
];

/// Fields with words of one's own, or the one choice of a form.
const TYPED: [&str; 3] = ["text", "comment", "audience"];

/// What was asked for and not done.
pub(super) struct Refused {
    /// On which side.
    pub(super) at: Slot,
    /// Why, and at which fields.
    pub(super) alert: Alert,
    /// The code, as the interface tells it.
    pub(super) code: &'static str,
    /// The reason that is recorded, which the member is not told.
    pub(super) why: Option<String>,
    /// Whether its form is on the page, as it was sent.
    pub(super) returned: bool,
    /// The status of the answer.
    pub(super) status: StatusCode,
    act: Act,
    fields: Fields,
}

impl Refused {
    /// A form that was refused.
    pub(super) fn of(at: Slot, act: Act, fields: Fields, error: &ApiError) -> Self {
        let element = |name: &str| format!("{}-{name}", at.as_str());
        let [text, comment, messages] = ["text", "comment", "messages"].map(element);
        let [category, also, audience] = ["category", "also", "audience"].map(element);
        let appeal = element(&format!("appeal-text-{}", fields.text("decision")));
        let named: &[Named<'_>] = match act {
            Act::Send => &[("text", &text, "Message")],
            Act::Report => &[
                ("messages", &messages, "Which messages"),
                ("category", &category, "What for"),
                ("comment", &comment, "Comment"),
                ("also", &also, "And also"),
            ],
            Act::Appeal => &[("text", &appeal, "Why it should be taken back")],
            Act::Audience => &[("audience", &audience, "Takes messages from")],
            Act::Accept
            | Act::Delete
            | Act::DeleteFinal
            | Act::Restore
            | Act::Block
            | Act::Unblock
            | Act::Unsend
            | Act::MoveToRequests => &[],
        };
        let mut alert = Alert::of(error, named, "");
        // What is wrong is of no field: then the way leads to what was typed.
        let typed = named.iter().find(|(name, ..)| TYPED.contains(name));
        if alert.wrong.is_empty()
            && let Some((_, element, _)) = typed
        {
            alert.wrong.push(Wrong {
                element: Some((*element).to_owned()),
                words: "Back to the form".to_owned(),
            });
        }
        Refused {
            at,
            alert,
            code: error.code().as_str(),
            why: None,
            returned: false,
            status: error.status(),
            act,
            fields,
        }
    }

    /// What was typed.
    pub(super) fn typed(&self) -> String {
        self.fields.texts_but(&FORM).join("\n")
    }

    /// Puts the form back onto its side as it was sent, where the side has it.
    pub(super) fn put_back(&mut self, side: &mut Side) {
        let fields = &self.fields;
        self.returned = match self.act {
            Act::Send => {
                side.typed = Some(fields.text("text").to_owned());
                true
            }
            Act::Report => match &mut side.open {
                Some(open) if open.reportable && open.cid.to_string() == fields.text("on") => {
                    open.returned = true;
                    fields.text("comment").clone_into(&mut open.comment);
                    choose(&mut open.categories, fields.text("category"));
                    choose(&mut open.also, fields.text("also"));
                    for message in &mut open.messages {
                        let number = message.number.to_string();
                        message.chosen = fields.all("message").any(|sent| sent == number);
                    }
                    true
                }
                Some(_) | None => false,
            },
            Act::Appeal => {
                let mut statements = side.statements.items.iter_mut();
                let named = statements.find(|one| one.id.to_string() == fields.text("decision"));
                match named.filter(|one| one.appealable.is_some()) {
                    Some(statement) => {
                        statement.typed = Some(fields.text("text").to_owned());
                        true
                    }
                    None => false,
                }
            }
            Act::Audience => {
                side.chooses = true;
                choose(&mut side.audiences, fields.text("audience"));
                true
            }
            Act::Accept
            | Act::Delete
            | Act::DeleteFinal
            | Act::Restore
            | Act::Block
            | Act::Unblock
            | Act::Unsend
            | Act::MoveToRequests => true,
        };
        if !self.returned {
            // The ways lead nowhere; what was wrong is told all the same.
            self.alert.wrong.retain(|wrong| wrong.element.is_none());
        }
    }
}

/// Chooses what was sent, where it is one of the choices.
fn choose(choices: &mut [Choice], sent: &str) {
    if !choices.iter().any(|choice| choice.value == sent) {
        return;
    }
    for choice in choices {
        choice.chosen = choice.value == sent;
    }
}
