//! `SendMessage`: twelve rules in order, the first that matches wins, each a function named for what it asks.
//!
//! A rule that refuses ends the decision with its number and its facts as evidence; one that withholds ends it with a
//! `message-withheld`; the others pass on. What the sender can tell apart is the refusal's code alone: blocks, `no_one`,
//! age and unknown recipients all end in `not_allowed`.
//!
//! Decided here, where the domain's page is silent:
//! - *First contact* is a conversation without any message: the first message opens its direction and the way back.
//! - A direction that was never a request and whose messages went to the inbox by relationship stays `none`: nobody
//!   consented, so the table is asked again for each message until the recipient writes. Should the table come to say
//!   *request* for it, a request opens, which takes no slot, for it is no first contact.
//! - Rule 5 is *in a request* unless the direction is accepted or opened by the recipient's own message, or was never
//!   a request and the table says inbox.
//! - What rule 5 withholds accepts the other direction as a delivered message would (rule 7): it is the sender's own
//!   consent, and without it deleting or moving the thread would answer otherwise to who is blocked.
//! - Rule 7 is a *crossing* when this direction waits too, or when the message is not later than the request it meets,
//!   so that it cannot be an answer to it.

use crate::conversation::command::{SendMessage, Slot};
use crate::conversation::event::{
    AcceptMethod, Event, MessageSent, MessageWithheld, RequestAccepted, RequestOpened, Route,
};
use crate::conversation::state::{Direction, RequestState, State, Who};
use crate::evidence::{Cause, Evidence};
use crate::member::{AgeBand, Facts};
use crate::policy::{Admission, Audience, Class};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};

/// The events of a message, or why it is refused.
pub(super) fn decide(
    state: &State,
    command: &SendMessage,
) -> Result<Vec<Event<'static>>, Rejection> {
    let sending = Sending::new(state, command);
    let sender = sending.rule_1_sender_may_write()?;
    sending.rule_2_message_is_valid()?;
    sending.rule_3_first_contact_is_within_limits(sender)?;
    let recipient = sending.rule_4_recipient_can_be_written_to()?;
    let mut events = Vec::with_capacity(3);
    if let Some(evidence) = sending.rule_5_withheld_by_block(recipient)? {
        events.extend(sending.rule_7_accepts_the_other_direction());
        events.push(sending.withheld(evidence));
        return Ok(events);
    }
    sending.rule_6_audience_is_not_no_one(recipient)?;
    events.extend(sending.rule_7_accepts_the_other_direction());
    if let Some(evidence) = sending.rule_8_direction_is_open(recipient) {
        events.push(sending.sent(Route::Inbox, evidence));
        return Ok(events);
    }
    let (admission, class) = sending.rule_9_audience_admits_the_class(recipient)?;
    let decided = |rule| Evidence {
        class: Some(class),
        ..sending.evidence_of(recipient, rule)
    };
    if let Some(evidence) = sending.rule_10_withheld_by_cooldown(admission, class, decided(10))? {
        // Reached only when nothing of the other direction was accepted: a reply to a deleted or waiting request of
        // the recipient's comes with it, so its acceptance stands before what is withheld.
        events.push(sending.withheld(evidence));
        return Ok(events);
    }
    if admission == Admission::Inbox {
        events.extend(sending.accepted_by_relationship());
        events.push(sending.sent(Route::Inbox, decided(9)));
        return Ok(events);
    }
    sending.rule_11_request_has_room(decided(11))?;
    events.extend(sending.rule_12_opens_a_request()?);
    events.push(sending.sent(Route::Request, decided(12)));
    Ok(events)
}

/// One message, held against the rules.
struct Sending<'a> {
    state: &'a State,
    command: &'a SendMessage,
    from: Who,
    /// The direction it is written in.
    own: &'a Direction,
    /// The way back.
    back: &'a Direction,
}

impl<'a> Sending<'a> {
    fn new(state: &'a State, command: &'a SendMessage) -> Self {
        let from = Who::of(&command.from, &command.to);
        Sending {
            state,
            command,
            from,
            own: state.outgoing(from),
            back: state.outgoing(from.other()),
        }
    }

    fn rule_1_sender_may_write(&self) -> Result<&'a Facts, Rejection> {
        let cause = match &self.command.sender {
            None => Cause::SenderUnknown,
            Some(sender) if sender.suspended => Cause::SenderSuspended,
            Some(sender) if sender.age_band == AgeBand::Under16 => Cause::SenderUnder16,
            Some(sender) => return Ok(sender),
        };
        Err(refused(
            Code::AccountRestricted,
            Evidence {
                cause: Some(cause),
                ..self.evidence(1)
            },
        ))
    }

    fn rule_2_message_is_valid(&self) -> Result<(), Rejection> {
        let invalid = || Rejection::of_command(Code::InvalidMessage);
        if self.command.from == self.command.to {
            return Err(invalid().with_field("to"));
        }
        text::check_nonempty(&self.command.text, self.command.policy.rules.text_limits())
            .map_err(|problem| invalid().with_field("text").with_problem(problem))
    }

    fn rule_3_first_contact_is_within_limits(&self, sender: &Facts) -> Result<(), Rejection> {
        if !self.is_first_contact() {
            return Ok(());
        }
        if sender.limited {
            let evidence = Evidence {
                cause: Some(Cause::SenderLimited),
                ..self.evidence(3)
            };
            return Err(refused(Code::AccountRestricted, evidence));
        }
        let Slot::Open { used } = self.command.slot else {
            return Ok(());
        };
        let limit = self
            .command
            .policy
            .rules
            .requests_per_day(sender.registered_at, self.command.at);
        if used < limit {
            return Ok(());
        }
        let cause = Some(Cause::RequestsOfTheDay);
        let evidence = Evidence {
            cause,
            used: Some(used),
            limit: Some(limit),
            ..self.evidence(3)
        };
        Err(refused(Code::LimitReached, evidence))
    }

    fn rule_4_recipient_can_be_written_to(&self) -> Result<&'a Facts, Rejection> {
        let recipient_blocks = self.state.side(self.from.other()).blocks.holds;
        let sender_blocks = self.state.side(self.from).blocks.holds;
        let cause = match &self.command.recipient {
            None => Cause::RecipientUnknown,
            Some(recipient) if recipient.age_band == AgeBand::Under16 => Cause::RecipientUnder16,
            Some(_) if recipient_blocks && !self.own.written() => Cause::RecipientBlocks,
            Some(_) if sender_blocks => Cause::SenderBlocks,
            Some(recipient) => return Ok(recipient),
        };
        Err(refused(
            Code::NotAllowed,
            Evidence {
                cause: Some(cause),
                ..self.evidence(4)
            },
        ))
    }

    fn rule_5_withheld_by_block(&self, recipient: &Facts) -> Result<Option<Evidence>, Rejection> {
        if !self.state.side(self.from.other()).blocks.holds {
            return Ok(None);
        }
        let evidence = Evidence {
            cause: Some(Cause::RecipientBlocks),
            ..self.evidence(5)
        };
        let inbox_without_request = || {
            self.own.state == RequestState::None && self.admission(recipient).0 == Admission::Inbox
        };
        if !self.is_open() && !inbox_without_request() {
            self.within_request_messages(evidence)?;
        }
        Ok(Some(evidence))
    }

    fn rule_6_audience_is_not_no_one(&self, recipient: &Facts) -> Result<(), Rejection> {
        if recipient.audience != Audience::NoOne {
            return Ok(());
        }
        let evidence = Evidence {
            cause: Some(Cause::Audience),
            ..self.evidence_of(recipient, 6)
        };
        Err(refused(Code::NotAllowed, evidence))
    }

    fn rule_7_accepts_the_other_direction(&self) -> Option<Event<'static>> {
        match self.back.state {
            RequestState::None | RequestState::Accepted => return None,
            RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn => {}
        }
        let meets = self.back.state == RequestState::Pending
            && self
                .back
                .opened_at
                .is_some_and(|opened_at| self.command.at <= opened_at);
        let both_wait =
            self.back.state == RequestState::Pending && self.own.state == RequestState::Pending;
        let method = if meets || both_wait {
            AcceptMethod::Crossing
        } else {
            AcceptMethod::Reply
        };
        Some(Event::RequestAccepted(RequestAccepted {
            by: self.command.from.clone(),
            from: self.command.to.clone(),
            method,
            evidence: None,
        }))
    }

    fn rule_8_direction_is_open(&self, recipient: &Facts) -> Option<Evidence> {
        self.is_open().then(|| Evidence {
            audience: None,
            ..self.evidence_of(recipient, 8)
        })
    }

    fn rule_9_audience_admits_the_class(
        &self,
        recipient: &Facts,
    ) -> Result<(Admission, Class), Rejection> {
        let (admission, class) = self.admission(recipient);
        if admission == Admission::Refused {
            let (cause, class) = (Some(Cause::Audience), Some(class));
            let evidence = Evidence {
                cause,
                class,
                ..self.evidence_of(recipient, 9)
            };
            return Err(refused(Code::NotAllowed, evidence));
        }
        Ok((admission, class))
    }

    fn rule_10_withheld_by_cooldown(
        &self,
        admission: Admission,
        class: Class,
        evidence: Evidence,
    ) -> Result<Option<Evidence>, Rejection> {
        let by_suggestion_alone = admission == Admission::Inbox && class == Class::Suggested;
        let waits = admission == Admission::Request || by_suggestion_alone;
        let runs =
            self.own.state == RequestState::Deleted && self.own.cooldown.runs(self.command.at);
        if !waits || !runs {
            return Ok(None);
        }
        let evidence = Evidence {
            cause: Some(Cause::Cooldown),
            ..evidence
        };
        self.within_request_messages(evidence)?;
        Ok(Some(evidence))
    }

    fn rule_11_request_has_room(&self, evidence: Evidence) -> Result<(), Rejection> {
        self.within_request_messages(evidence)
    }

    /// The event that opens the request, unless it waits already. A first contact must hold its slot.
    fn rule_12_opens_a_request(&self) -> Result<Option<Event<'static>>, Rejection> {
        let reopened = match self.own.state {
            RequestState::Pending => return Ok(None),
            // An accepted direction is open, and was routed by rule 8.
            RequestState::None | RequestState::Accepted => false,
            RequestState::Deleted | RequestState::Withdrawn => true,
        };
        if self.is_first_contact() && self.command.slot != Slot::Taken {
            return Err(Rejection::of_command(Code::SlotNeeded));
        }
        Ok(Some(Event::RequestOpened(RequestOpened {
            from: self.command.from.clone(),
            to: self.command.to.clone(),
            number: self.next_number(),
            reopened,
            relationship: self.state.relationship_of(self.from),
        })))
    }

    /// A waiting request goes to the inbox with the message that the table lets in.
    fn accepted_by_relationship(&self) -> Option<Event<'static>> {
        match self.own.state {
            RequestState::None | RequestState::Accepted => None,
            RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn => {
                Some(Event::RequestAccepted(RequestAccepted {
                    by: self.command.to.clone(),
                    from: self.command.from.clone(),
                    method: AcceptMethod::Relationship,
                    evidence: None,
                }))
            }
        }
    }

    fn is_first_contact(&self) -> bool {
        self.state.last_number() == 0
    }

    /// Accepted, or opened by the recipient's own first message.
    fn is_open(&self) -> bool {
        match self.own.state {
            RequestState::Accepted => true,
            RequestState::None => self.back.written(),
            RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn => false,
        }
    }

    fn admission(&self, recipient: &Facts) -> (Admission, Class) {
        let relationship = self.state.relationship_of(self.from);
        self.command
            .policy
            .rules
            .audience_table
            .admit(recipient.audience, relationship)
    }

    /// The cap of rule 11, which rules 5 and 10 keep to as well.
    fn within_request_messages(&self, evidence: Evidence) -> Result<(), Rejection> {
        let limit = self.command.policy.rules.request_messages_max;
        if self.own.count < limit {
            return Ok(());
        }
        let used = Some(self.own.count);
        let cause = evidence.cause.or(Some(Cause::RequestMessages));
        Err(refused(
            Code::LimitReached,
            Evidence {
                cause,
                used,
                limit: Some(limit),
                ..evidence
            },
        ))
    }

    fn evidence(&self, rule: u8) -> Evidence {
        Evidence {
            rule: Some(rule),
            policy_version: self.command.policy.version,
            sender_version: self.command.sender.map(|sender| sender.version),
            recipient_version: self.command.recipient.map(|recipient| recipient.version),
            ..Evidence::default()
        }
    }

    fn evidence_of(&self, recipient: &Facts, rule: u8) -> Evidence {
        Evidence {
            setting_version: Some(recipient.setting_version),
            audience: Some(recipient.audience),
            ..self.evidence(rule)
        }
    }

    fn next_number(&self) -> u64 {
        self.state.last_number().saturating_add(1)
    }

    fn sent(&self, route: Route, evidence: Evidence) -> Event<'static> {
        Event::MessageSent(MessageSent {
            number: self.next_number(),
            from: self.command.from.clone(),
            to: self.command.to.clone(),
            route,
            text: Text::from(self.command.text.clone()),
            evidence,
        })
    }

    fn withheld(&self, evidence: Evidence) -> Event<'static> {
        Event::MessageWithheld(MessageWithheld {
            number: self.next_number(),
            from: self.command.from.clone(),
            to: self.command.to.clone(),
            text: Text::from(self.command.text.clone()),
            evidence,
        })
    }
}

fn refused(code: Code, evidence: Evidence) -> Rejection {
    Rejection::of_state(code).with_evidence(evidence)
}
