//! A naive model of one conversation, written from the domain's page and not from the code: it keeps every message and
//! every change in lists, and works each answer out from the whole of them.
//!
//! It is allowed to be slow, and shares no rule, boundary or counter with the crate; only plain words (a setting, a mode)
//! are the crate's own.

use domain::Timestamp;
use domain::conversation::{AcceptMethod, Also, DeleteMode, RelationshipKind};
use domain::member::AgeBand;
use domain::policy::Audience;
use domain::time::DAY_MS;

use crate::recall::Column;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ann,
    Bob,
}

impl Who {
    pub(crate) fn other(self) -> Who {
        match self {
            Who::Ann => Who::Bob,
            Who::Bob => Who::Ann,
        }
    }
}

/// What one of the two does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Send { valid: bool, slots_used: u32 },
    Accept,
    Delete(DeleteMode),
    Restore,
    MoveToRequests,
    Unsend(u64),
    Read(u64),
    Mute,
    Unmute,
    Block,
    Unblock,
    Relate(RelationshipKind),
    Report(Vec<u64>, Also),
}

/// What is so around the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) known: bool,
    pub(crate) age_band: AgeBand,
    pub(crate) suspended: bool,
    pub(crate) limited: bool,
    pub(crate) registered_at: Timestamp,
    pub(crate) audience: Audience,
}

/// What happens, in words of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Sent {
        number: u64,
        from: Who,
        inbox: bool,
    },
    Withheld {
        number: u64,
        from: Who,
    },
    Opened {
        from: Who,
        again: bool,
    },
    Accepted {
        from: Who,
        method: AcceptMethod,
    },
    Deleted {
        from: Who,
        mode: DeleteMode,
        cooldown_until: Option<Timestamp>,
        restorable_until: Timestamp,
    },
    Restored {
        from: Who,
    },
    Withdrawn {
        from: Who,
    },
    Moved {
        from: Who,
    },
    Unsent {
        number: u64,
    },
    Read {
        by: Who,
        up_to: u64,
    },
    Muted {
        by: Who,
        on: bool,
    },
    Blocked {
        by: Who,
        on: bool,
    },
    Related {
        member: Who,
        kind: RelationshipKind,
    },
    Reported {
        by: Who,
        numbers: Vec<u64>,
    },
}

/// What the page says comes of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Refused(&'static str),
    Done(Vec<Fact>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    None,
    Pending,
    Accepted,
    Deleted,
    Withdrawn,
}

/// A message and all that became of it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) number: u64,
    pub(crate) from: Who,
    pub(crate) withheld: bool,
    pub(crate) unsent: bool,
    /// Deleted by the recipient, and until when they can take that back.
    pub(crate) deleted_until: Option<Timestamp>,
    pub(crate) reported_by: Vec<Who>,
}

/// The whole history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: Vec<Message>,
    pub(crate) facts: Vec<(Timestamp, Fact)>,
}

impl Model {
    /// What must come of an act, by the page alone.
    pub(crate) fn expect(
        &self,
        by: Who,
        act: &Act,
        at: Timestamp,
        own: &Person,
        others: &Person,
    ) -> Outcome {
        let other = by.other();
        match act {
            Act::Send { valid, slots_used } => self.send(by, *valid, *slots_used, at, own, others),
            Act::Block => done_unless(self.blocks(by), Fact::Blocked { by, on: true }),
            Act::Unblock => done_unless(!self.blocks(by), Fact::Blocked { by, on: false }),
            Act::Relate(kind) => {
                let (holds, wanted) = match kind {
                    RelationshipKind::Follow => (self.follows(by), true),
                    RelationshipKind::Unfollow => (self.follows(by), false),
                    RelationshipKind::Suggest => (self.suggested_to(by), true),
                    RelationshipKind::Unsuggest => (self.suggested_to(by), false),
                };
                done_unless(
                    holds == wanted,
                    Fact::Related {
                        member: by,
                        kind: *kind,
                    },
                )
            }
            Act::Unsend(number) => self.unsend(by, *number, at),
            Act::Read(_) | Act::Mute | Act::Unmute if !self.sees_something(by, at) => {
                Outcome::Refused("not_found")
            }
            Act::Read(up_to) => {
                let visible = |message: &&Message| message.from == by || !message.withheld;
                let last = self
                    .messages
                    .iter()
                    .filter(visible)
                    .map(|message| message.number)
                    .max()
                    .unwrap_or(0);
                if *up_to > last {
                    return Outcome::Refused("invalid_read_mark");
                }
                done_unless(
                    *up_to <= self.read_up_to(by),
                    Fact::Read { by, up_to: *up_to },
                )
            }
            Act::Mute => done_unless(self.muted(by), Fact::Muted { by, on: true }),
            Act::Unmute => done_unless(!self.muted(by), Fact::Muted { by, on: false }),
            // From here on the act is upon what the other wrote, some of which must have been visible once.
            Act::Accept | Act::Delete(_) | Act::Restore | Act::MoveToRequests | Act::Report(..)
                if !self.ever_reached_from(other) =>
            {
                Outcome::Refused("not_found")
            }
            Act::Accept => self.accept(other, own, others),
            Act::Delete(mode) => self.delete(other, *mode, at),
            Act::Restore => self.restore(other, at, own, others),
            Act::MoveToRequests => match self.state(other) {
                RequestState::Pending => Outcome::Done(vec![]),
                RequestState::Deleted | RequestState::Withdrawn => Outcome::Refused("not_accepted"),
                RequestState::None | RequestState::Accepted => {
                    Outcome::Done(vec![Fact::Moved { from: other }])
                }
            },
            Act::Report(numbers, also) => self.report(by, numbers, *also, at),
        }
    }

    /// Takes what happened into the history.
    pub(crate) fn happen(&mut self, at: Timestamp, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::Sent { number, from, .. } | Fact::Withheld { number, from } => {
                    self.messages.push(Message {
                        number: *number,
                        from: *from,
                        withheld: matches!(fact, Fact::Withheld { .. }),
                        unsent: false,
                        deleted_until: None,
                        reported_by: vec![],
                    });
                }
                Fact::Accepted { from, .. } => {
                    self.received_mut(*from)
                        .for_each(|message| message.deleted_until = None);
                }
                Fact::Restored { from } => self
                    .received_mut(*from)
                    .filter(|message| message.deleted_until.is_some_and(|until| at <= until))
                    .for_each(|message| message.deleted_until = None),
                Fact::Deleted {
                    from,
                    restorable_until,
                    ..
                } => self
                    .received_mut(*from)
                    .filter(|message| message.deleted_until.is_none_or(|until| at <= until))
                    .for_each(|message| message.deleted_until = Some(*restorable_until)),
                Fact::Unsent { number } => {
                    self.messages
                        .iter_mut()
                        .filter(|message| message.number == *number)
                        .for_each(|message| {
                            message.unsent = true;
                        });
                }
                Fact::Reported { by, numbers } => self
                    .messages
                    .iter_mut()
                    .filter(|message| numbers.contains(&message.number))
                    .for_each(|message| message.reported_by.push(*by)),
                Fact::Opened { .. }
                | Fact::Withdrawn { .. }
                | Fact::Moved { .. }
                | Fact::Read { .. }
                | Fact::Muted { .. }
                | Fact::Blocked { .. }
                | Fact::Related { .. } => {}
            }
            self.facts.push((at, fact.clone()));
        }
    }

    /// Messages of this sender that were not withheld.
    fn received_mut(&mut self, from: Who) -> impl Iterator<Item = &mut Message> {
        self.messages
            .iter_mut()
            .filter(move |message| message.from == from && !message.withheld)
    }

    /// The twelve rules of section 4.
    fn send(
        &self,
        by: Who,
        valid: bool,
        slots_used: u32,
        at: Timestamp,
        own: &Person,
        others: &Person,
    ) -> Outcome {
        let other = by.other();
        let number = self.messages.len() as u64 + 1;
        let withheld = |facts: Vec<Fact>| {
            Outcome::Done(
                facts
                    .into_iter()
                    .chain([Fact::Withheld { number, from: by }])
                    .collect(),
            )
        };
        // 1
        if !own.known || own.suspended || own.age_band == AgeBand::Under16 {
            return Outcome::Refused("account_restricted");
        }
        // 2
        if !valid {
            return Outcome::Refused("invalid_message");
        }
        // 3
        let first_contact = self.messages.is_empty();
        if first_contact && own.limited {
            return Outcome::Refused("account_restricted");
        }
        let new = at.0 - own.registered_at.0 < 7 * DAY_MS;
        if first_contact && slots_used >= if new { 5 } else { 20 } {
            return Outcome::Refused("limit_reached");
        }
        // 4
        let wrote_before = self.messages.iter().any(|message| message.from == by);
        if !others.known
            || others.age_band == AgeBand::Under16
            || (self.blocks(other) && !wrote_before)
            || self.blocks(by)
        {
            return Outcome::Refused("not_allowed");
        }
        let count = self.written_since_acceptance(by);
        let consented = self.state(by) == RequestState::Accepted
            || (self.state(by) == RequestState::None
                && self.messages.iter().any(|message| message.from == other));
        let (column, by_suggestion_alone) = self.column(by, others.audience);
        // 7, for what is withheld as for what is delivered
        let mut facts = vec![];
        let back = self.state(other);
        if !matches!(back, RequestState::None | RequestState::Accepted) {
            let opened_now = self.facts.iter().rev().find_map(|(when, fact)| {
                matches!(fact, Fact::Opened { from, .. } if *from == other).then_some(*when)
            }) == Some(at);
            let crossing = back == RequestState::Pending
                && (opened_now || self.state(by) == RequestState::Pending);
            let method = if crossing {
                AcceptMethod::Crossing
            } else {
                AcceptMethod::Reply
            };
            facts.push(Fact::Accepted {
                from: other,
                method,
            });
        }
        // 5
        if self.blocks(other) {
            let lets_in = self.state(by) == RequestState::None && column == Column::Inbox;
            let in_request = !consented && !lets_in;
            if in_request && count >= 3 {
                return Outcome::Refused("limit_reached");
            }
            return withheld(facts);
        }
        // 6
        if others.audience == Audience::NoOne {
            return Outcome::Refused("not_allowed");
        }
        // 8
        if consented {
            facts.push(Fact::Sent {
                number,
                from: by,
                inbox: true,
            });
            return Outcome::Done(facts);
        }
        // 9
        if column == Column::Refused {
            return Outcome::Refused("not_allowed");
        }
        // 10
        let waits = column == Column::Request || by_suggestion_alone;
        if waits && self.state(by) == RequestState::Deleted && self.cooldown_runs(by, at) {
            if count >= 3 {
                return Outcome::Refused("limit_reached");
            }
            return withheld(facts);
        }
        let open = matches!(
            self.state(by),
            RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn
        );
        if column == Column::Inbox {
            if open {
                facts.push(Fact::Accepted {
                    from: by,
                    method: AcceptMethod::Relationship,
                });
            }
            facts.push(Fact::Sent {
                number,
                from: by,
                inbox: true,
            });
            return Outcome::Done(facts);
        }
        // 11
        if count >= 3 {
            return Outcome::Refused("limit_reached");
        }
        // 12
        if self.state(by) != RequestState::Pending {
            facts.push(Fact::Opened {
                from: by,
                again: self.state(by) != RequestState::None,
            });
        }
        facts.push(Fact::Sent {
            number,
            from: by,
            inbox: false,
        });
        Outcome::Done(facts)
    }

    fn accept(&self, from: Who, own: &Person, others: &Person) -> Outcome {
        match self.state(from) {
            RequestState::None | RequestState::Accepted => Outcome::Done(vec![]),
            _ if own.known && own.suspended => Outcome::Refused("account_restricted"),
            RequestState::Deleted | RequestState::Withdrawn => {
                Outcome::Refused("request_not_pending")
            }
            RequestState::Pending if self.frozen(from, own, others) => {
                Outcome::Refused("request_frozen")
            }
            RequestState::Pending => Outcome::Done(vec![Fact::Accepted {
                from,
                method: AcceptMethod::Accept,
            }]),
        }
    }

    fn delete(&self, from: Who, mode: DeleteMode, at: Timestamp) -> Outcome {
        match self.state(from) {
            RequestState::None | RequestState::Accepted => Outcome::Refused("already_accepted"),
            RequestState::Withdrawn => Outcome::Refused("request_not_pending"),
            RequestState::Deleted => {
                let (last_mode, restorable_until) = self
                    .facts
                    .iter()
                    .rev()
                    .find_map(|(_, fact)| match fact {
                        Fact::Deleted {
                            from: who,
                            mode,
                            restorable_until,
                            ..
                        } if *who == from => Some((*mode, *restorable_until)),
                        _ => None,
                    })
                    .expect("a deletion made it deleted");
                let again = mode == DeleteMode::Quiet || last_mode == DeleteMode::Final;
                done_unless(
                    again,
                    Fact::Deleted {
                        from,
                        mode,
                        cooldown_until: None,
                        restorable_until,
                    },
                )
            }
            RequestState::Pending => Outcome::Done(vec![self.deletion(from, mode, at)]),
        }
    }

    fn deletion(&self, from: Who, mode: DeleteMode, at: Timestamp) -> Fact {
        let days = |days: i64| Timestamp(at.0 + days * DAY_MS);
        let cooldown_until = match (mode, self.deletions_since_acceptance(from)) {
            (DeleteMode::Quiet, 0) => Some(days(7)),
            (DeleteMode::Quiet, 1) => Some(days(30)),
            (_, _) => None,
        };
        Fact::Deleted {
            from,
            mode,
            cooldown_until,
            restorable_until: days(30),
        }
    }

    fn restore(&self, from: Who, at: Timestamp, own: &Person, others: &Person) -> Outcome {
        // Nothing was deleted since the last restore, and it waits: it is so already.
        let last = self.facts.iter().rev().find_map(|(_, fact)| match fact {
            Fact::Restored { from: who } if *who == from => Some(true),
            Fact::Deleted { from: who, .. } | Fact::Accepted { from: who, .. } if *who == from => {
                Some(false)
            }
            _ => None,
        });
        let state = self.state(from);
        if state == RequestState::Pending && last == Some(true) {
            return Outcome::Done(vec![]);
        }
        let restorable = self.messages.iter().any(|message| {
            message.from == from
                && !message.withheld
                && !message.unsent
                && message.deleted_until.is_some_and(|until| at <= until)
        });
        if matches!(state, RequestState::None | RequestState::Accepted) || !restorable {
            return Outcome::Refused("not_restorable");
        }
        if self.frozen(from, own, others) {
            return Outcome::Refused("request_frozen");
        }
        Outcome::Done(vec![Fact::Restored { from }])
    }

    fn unsend(&self, by: Who, number: u64, at: Timestamp) -> Outcome {
        let Some(message) = self
            .messages
            .iter()
            .find(|message| message.number == number)
        else {
            return Outcome::Refused("not_found");
        };
        if message.from != by {
            let visible = !message.withheld && self.sees_something(by, at);
            return Outcome::Refused(if visible { "not_author" } else { "not_found" });
        }
        if message.unsent {
            return Outcome::Done(vec![]);
        }
        let mut facts = vec![Fact::Unsent { number }];
        let shown = |message: &&Message| {
            message.from == by
                && !message.withheld
                && !message.unsent
                && message.deleted_until.is_none()
        };
        let left: Vec<u64> = self
            .messages
            .iter()
            .filter(shown)
            .map(|message| message.number)
            .collect();
        if self.state(by) == RequestState::Pending && left == [number] {
            facts.push(Fact::Withdrawn { from: by });
        }
        Outcome::Done(facts)
    }

    fn report(&self, by: Who, numbers: &[u64], also: Also, at: Timestamp) -> Outcome {
        let from = by.other();
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        let named: Vec<&Message> = self
            .messages
            .iter()
            .filter(|message| numbers.contains(&message.number))
            .collect();
        let all_visible = named
            .iter()
            .all(|message| message.from == from && !message.withheld);
        if numbers.is_empty() || numbers.len() > 20 || named.len() != numbers.len() || !all_visible
        {
            return Outcome::Refused("invalid_report");
        }
        let new: Vec<u64> = named
            .iter()
            .filter(|message| !message.reported_by.contains(&by))
            .map(|message| message.number)
            .collect();
        let mut facts = vec![];
        if !new.is_empty() {
            facts.push(Fact::Reported { by, numbers: new });
        }
        match also {
            Also::Delete if self.state(from) == RequestState::Pending => {
                facts.push(self.deletion(from, DeleteMode::Quiet, at));
            }
            Also::Block if !self.blocks(by) => facts.push(Fact::Blocked { by, on: true }),
            Also::None | Also::Delete | Also::Block => {}
        }
        Outcome::Done(facts)
    }
}

fn done_unless(already: bool, fact: Fact) -> Outcome {
    Outcome::Done(if already { vec![] } else { vec![fact] })
}
