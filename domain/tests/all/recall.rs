//! What the naive model recalls: how things stand, worked out anew from its whole history at every question.
//!
//! The last change of a kind wins, and what is counted is counted from the beginning. Nothing is kept between questions,
//! so nothing here can go stale as a folded state could.

use domain::Timestamp;
use domain::conversation::RelationshipKind;
use domain::member::AgeBand;
use domain::policy::Audience;

use crate::model::{Fact, Model, Person, RequestState, Who};

/// Where the table of rule 9 lets a message go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Inbox,
    Request,
    Refused,
}

impl Model {
    pub(crate) fn state(&self, from: Who) -> RequestState {
        let change = |fact: &Fact| match fact {
            Fact::Opened { from: who, .. }
            | Fact::Restored { from: who }
            | Fact::Moved { from: who } => (*who == from).then_some(RequestState::Pending),
            Fact::Accepted { from: who, .. } => (*who == from).then_some(RequestState::Accepted),
            Fact::Deleted { from: who, .. } => (*who == from).then_some(RequestState::Deleted),
            Fact::Withdrawn { from: who } => (*who == from).then_some(RequestState::Withdrawn),
            _ => None,
        };
        self.facts
            .iter()
            .rev()
            .find_map(|(_, fact)| change(fact))
            .unwrap_or(RequestState::None)
    }

    /// A pending request is frozen while its sender could not send it now.
    pub(crate) fn frozen(&self, from: Who, own: &Person, others: &Person) -> bool {
        self.blocks(from.other())
            || !own.known
            || !others.known
            || own.age_band == AgeBand::Under16
            || others.age_band == AgeBand::Under16
            || others.suspended
            || self.column(from, own.audience).0 == Column::Refused
    }

    /// The table of rule 9, and whether only the suggestion says inbox.
    pub(crate) fn column(&self, from: Who, audience: Audience) -> (Column, bool) {
        use Column::{Inbox, Refused, Request};
        let followed = self.follows(from.other());
        let suggested = self.suggested_to(from.other());
        let friend = followed && self.follows(from);
        match audience {
            Audience::Everyone => (if followed { Inbox } else { Request }, false),
            Audience::Following => (if followed { Inbox } else { Refused }, false),
            Audience::FriendsAndSuggested => (
                if friend || suggested { Inbox } else { Refused },
                suggested && !friend,
            ),
            Audience::Friends => (if friend { Inbox } else { Refused }, false),
            Audience::NoOne => (Refused, false),
        }
    }

    pub(crate) fn cooldown_runs(&self, from: Who, at: Timestamp) -> bool {
        for (_, fact) in self.facts.iter().rev() {
            match fact {
                Fact::Related {
                    member,
                    kind: RelationshipKind::Follow,
                } if *member == from.other() => return false,
                Fact::Deleted {
                    from: who,
                    cooldown_until,
                    ..
                } if *who == from => {
                    return cooldown_until.is_none_or(|until| at < until);
                }
                _ => {}
            }
        }
        false
    }

    pub(crate) fn written_since_acceptance(&self, from: Who) -> usize {
        let mut count = 0;
        for (_, fact) in &self.facts {
            match fact {
                Fact::Sent { from: who, .. } | Fact::Withheld { from: who, .. } if *who == from => {
                    count += 1;
                }
                Fact::Accepted { from: who, .. } | Fact::Moved { from: who } if *who == from => {
                    count = 0;
                }
                _ => {}
            }
        }
        count
    }

    /// How often a waiting request was deleted; making a quiet deletion final is no second one.
    pub(crate) fn deletions_since_acceptance(&self, from: Who) -> usize {
        let mut count = 0;
        let mut deleted = false;
        for (_, fact) in &self.facts {
            match fact {
                Fact::Deleted { from: who, .. } if *who == from => {
                    count += usize::from(!deleted);
                    deleted = true;
                }
                Fact::Opened { from: who, .. } | Fact::Restored { from: who } if *who == from => {
                    deleted = false;
                }
                Fact::Accepted { from: who, .. } if *who == from => {
                    count = 0;
                    deleted = false;
                }
                _ => {}
            }
        }
        count
    }

    pub(crate) fn ever_reached_from(&self, from: Who) -> bool {
        self.messages
            .iter()
            .any(|message| message.from == from && !message.withheld)
    }

    /// A conversation that holds no message visible to the caller does not exist for them.
    pub(crate) fn sees_something(&self, who: Who, at: Timestamp) -> bool {
        let in_request = !matches!(
            self.state(who.other()),
            RequestState::None | RequestState::Accepted
        );
        let waits = self.state(who.other()) == RequestState::Pending;
        self.messages.iter().any(|message| {
            let visible_to_recipient = !message.withheld
                && match message.deleted_until {
                    Some(until) => at <= until && !message.unsent,
                    None => !in_request || (waits && !message.unsent),
                };
            message.from == who || visible_to_recipient
        })
    }

    pub(crate) fn last_of(&self, holds: impl Fn(&Fact) -> Option<bool>) -> bool {
        self.facts
            .iter()
            .rev()
            .find_map(|(_, fact)| holds(fact))
            .unwrap_or(false)
    }

    pub(crate) fn blocks(&self, who: Who) -> bool {
        self.last_of(|fact| match fact {
            Fact::Blocked { by, on } if *by == who => Some(*on),
            _ => None,
        })
    }

    pub(crate) fn muted(&self, who: Who) -> bool {
        self.last_of(|fact| match fact {
            Fact::Muted { by, on } if *by == who => Some(*on),
            _ => None,
        })
    }

    pub(crate) fn follows(&self, who: Who) -> bool {
        self.last_of(|fact| match fact {
            Fact::Related {
                member,
                kind: RelationshipKind::Follow,
            } if *member == who => Some(true),
            Fact::Related {
                member,
                kind: RelationshipKind::Unfollow,
            } if *member == who => Some(false),
            _ => None,
        })
    }

    pub(crate) fn suggested_to(&self, who: Who) -> bool {
        self.last_of(|fact| match fact {
            Fact::Related {
                member,
                kind: RelationshipKind::Suggest,
            } if *member == who => Some(true),
            Fact::Related {
                member,
                kind: RelationshipKind::Unsuggest,
            } if *member == who => Some(false),
            _ => None,
        })
    }

    /// What is new in what the host says with a message of `from`: that the recipient follows them, that they follow the
    /// recipient, that they are suggested to the recipient.
    pub(crate) fn told(&self, from: Who, said: [Option<bool>; 3]) -> Vec<Fact> {
        use RelationshipKind::{Follow, Suggest, Unfollow, Unsuggest};
        let to = from.other();
        let known = [
            (to, self.follows(to), Follow, Unfollow),
            (from, self.follows(from), Follow, Unfollow),
            (to, self.suggested_to(to), Suggest, Unsuggest),
        ];
        let mut told = Vec::new();
        for (said, (member, known, begins, ends)) in said.into_iter().zip(known) {
            if said == Some(!known) {
                let kind = if known { ends } else { begins };
                told.push(Fact::Related { member, kind });
            }
        }
        told
    }

    pub(crate) fn read_up_to(&self, who: Who) -> u64 {
        let marks = self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Read { by, up_to } if *by == who => Some(*up_to),
            _ => None,
        });
        marks.max().unwrap_or(0)
    }
}
