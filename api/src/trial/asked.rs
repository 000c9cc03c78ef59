//! What an address of `/try` says: which two members, which conversation each has open, and what was done last.
//!
//! All of it stands in the address, nothing is kept in between: two windows show two different pairs.

use domain::ids::{CommandId, ConversationId, MemberId};
use uuid::Uuid;

use super::told::Act;
use super::{HOME, Trial};
use crate::pages::form::{Fields, encoded};
use crate::problem::{ApiError, Code};

/// Between the parts of what was done; the last of them, a command's id, may have it too.
const PART: &str = "~";

/// One of the two places on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl Slot {
    /// Both.
    pub(super) const ALL: [Slot; 2] = [Slot::Left, Slot::Right];

    /// Its name in addresses and forms.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Slot::Left => "left",
            Slot::Right => "right",
        }
    }

    /// The field with the conversation that is open in it.
    const fn open_field(self) -> &'static str {
        match self {
            Slot::Left => "left_open",
            Slot::Right => "right_open",
        }
    }

    /// The other place.
    pub(super) const fn other(self) -> Slot {
        match self {
            Slot::Left => Slot::Right,
            Slot::Right => Slot::Left,
        }
    }

    /// What belongs to it of a pair.
    pub(super) const fn of<T>(self, [left, right]: &[T; 2]) -> &T {
        match self {
            Slot::Left => left,
            Slot::Right => right,
        }
    }

    /// The same, to be changed.
    pub(super) const fn of_mut<T>(self, [left, right]: &mut [T; 2]) -> &mut T {
        match self {
            Slot::Left => left,
            Slot::Right => right,
        }
    }

    /// The place of this name.
    pub(super) fn named(name: &str) -> Option<Slot> {
        Slot::ALL.into_iter().find(|slot| slot.as_str() == name)
    }
}

/// What was done last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// Who did it.
    pub(super) by: Slot,
    /// What.
    pub(super) act: Act,
    /// The command's id.
    pub(super) command: CommandId,
    /// The conversation that it was about, if it was about one.
    pub(super) on: Option<ConversationId>,
}

/// What an address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The two members.
    pub(super) members: [MemberId; 2],
    /// The conversations that they have open.
    pub(super) open: [Option<ConversationId>; 2],
    /// What was done last.
    pub(super) done: Option<Done>,
    /// The position that the page has to have come to, as members are shown it.
    pub(super) at: Option<String>,
}

impl Asked {
    /// What a query says. What names no member of the sample is refused; the same member twice is the one, and
    /// beside them one of those that one begins with.
    pub(super) fn of(fields: &Fields, trial: &Trial) -> Result<Self, ApiError> {
        let member = |slot: Slot| match fields.get(slot.as_str()) {
            None => Ok(slot.of(&trial.first).clone()),
            Some(id) => trial.member(id).cloned().ok_or_else(|| {
                let words = "The sample has no member of this name; choose one of the list.";
                ApiError::with_detail(Code::NotFound, words)
            }),
        };
        let mut members = [member(Slot::Left)?, member(Slot::Right)?];
        let [left, right] = &mut members;
        if left == right
            && let Some(other) = trial.first.iter().rev().find(|first| *first != left)
        {
            *right = other.clone();
        }
        let open = Slot::ALL.map(|slot| conversation(fields.text(slot.open_field())));
        Ok(Asked {
            members,
            open,
            done: fields.get("done").and_then(done),
            at: fields.get("at").map(str::to_owned),
        })
    }

    /// The pairs that say which page it is.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        for slot in Slot::ALL {
            fields.push((slot.as_str(), slot.of(&self.members).to_string()));
        }
        for slot in Slot::ALL {
            if let Some(open) = slot.of(&self.open) {
                fields.push((slot.open_field(), open.to_string()));
            }
        }
        fields
    }

    /// The address that says so.
    pub(super) fn address(&self) -> String {
        let mut fields = self.fields();
        fields.extend(self.done.as_ref().map(|done| ("done", done.written())));
        fields.extend(self.at.as_ref().map(|at| ("at", at.clone())));
        format!("{HOME}?{}", query(&fields))
    }

    /// Where the forms of this page are sent. The address says which page it is: what is refused is told under it.
    pub(super) fn act(&self) -> String {
        format!("{HOME}/act?{}", query(&self.fields()))
    }

    /// The same two, with this conversation open in a place, and nothing done.
    pub(super) fn opening(&self, slot: Slot, open: Option<ConversationId>) -> Self {
        let mut asked = Asked {
            done: None,
            at: None,
            ..self.clone()
        };
        *slot.of_mut(&mut asked.open) = open;
        asked
    }

    /// Where the page is told of what happens after a position.
    pub(super) fn live(&self, after: &str) -> String {
        let mut fields: Vec<_> = Slot::ALL
            .map(|slot| (slot.as_str(), slot.of(&self.members).to_string()))
            .into();
        fields.push(("after", after.to_owned()));
        format!("{HOME}/live?{}", query(&fields))
    }
}

fn query(fields: &[(&'static str, String)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The conversation of this id; none where it is no id.
pub(super) fn conversation(text: &str) -> Option<ConversationId> {
    Uuid::try_parse(text).ok().map(ConversationId)
}

/// What was done, where an address says so whole.
fn done(text: &str) -> Option<Done> {
    let mut parts = text.splitn(4, PART);
    Some(Done {
        by: Slot::named(parts.next()?)?,
        act: Act::named(parts.next()?)?,
        on: conversation(parts.next()?),
        command: CommandId::new(parts.next()?).ok()?,
    })
}

impl Done {
    /// As an address says it.
    fn written(&self) -> String {
        let on = self.on.map(|on| on.to_string()).unwrap_or_default();
        let parts = [
            self.by.as_str(),
            self.act.as_str(),
            &on,
            self.command.as_str(),
        ];
        parts.join(PART)
    }
}

#[cfg(test)]
mod spec {
    use super::super::TrialMember;
    use super::*;

    fn trial() -> Trial {
        let id = |id: &str| MemberId::new(id).unwrap();
        let members = ["ann", "bob", "a:b"].map(|member| TrialMember {
            id: id(member),
            about: String::new(),
        });
        Trial {
            members: members.to_vec(),
            first: [id("ann"), id("bob")],
            listens: "127.0.0.1:7070".parse().unwrap(),
        }
    }

    fn asked(query: &str) -> Result<Asked, ApiError> {
        Asked::of(&Fields::of_query(Some(query)).unwrap(), &trial())
    }

    #[test]
    fn begins_with_the_first_two_and_says_again_what_it_was_told() {
        assert_eq!(asked("").unwrap().address(), "/try?left=ann&right=bob");
        let open = "right_open=14d1d27c-98f6-50b4-a228-93c749ff66dc";
        let told = "done=left~accept~14d1d27c-98f6-50b4-a228-93c749ff66dc~k~1&at=x_-9";
        let query = format!("left=a%3Ab&right=ann&{open}&{told}");
        assert_eq!(asked(&query).unwrap().address(), format!("/try?{query}"));
    }

    #[test]
    fn takes_members_of_the_sample_alone_and_not_one_twice() {
        assert_eq!(asked("left=zed").unwrap_err().code(), Code::NotFound);
        assert_eq!(
            asked("left=bob&right=bob").unwrap().address(),
            "/try?left=bob&right=ann"
        );
        assert_eq!(
            asked("left=ann&right=ann").unwrap().address(),
            "/try?left=ann&right=bob"
        );
    }
}
