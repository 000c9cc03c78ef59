//! What decisions about a case need, and how events make it. `evolve` never fails, and asks no rule and no clock.

use std::collections::VecDeque;

use crate::case::event::{Action, CaseDecided, Event};
use crate::case::priority::PriorityInputs;
use crate::event::Recorded;
use crate::ids::{ActId, ConversationId, DecisionId, MemberId};
use crate::time::Timestamp;

/// How many decisions of a case are known to it, the newest: what was decided before can be neither appealed nor reversed.
/// As many as a case shows.
pub const DECISIONS_KEPT_MAX: usize = 100;

/// What decisions about a case need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(super) reported: Option<MemberId>,
    pub(super) reporter: Option<MemberId>,
    pub(super) conversation: Option<ConversationId>,
    /// The file on a suspension by hand: no report belongs to it.
    pub(super) by_hand: bool,
    opened_at: Option<Timestamp>,
    reports: u32,
    priority: Option<PriorityInputs>,
    pub(super) joined_up_to: Option<Joined>,
    pub(super) claim: Option<Claim>,
    /// Version of the event that ended the last claim.
    pub(super) claim_over: Option<u64>,
    /// Who left it to another.
    pub(super) escalated_by: Option<MemberId>,
    /// The decision that stands while no report has come since.
    pub(super) decided: Option<Decided>,
    /// What was decided, oldest first; at most [`DECISIONS_KEPT_MAX`].
    pub(super) made: VecDeque<Made>,
    /// Version of the event that last opened it again by hand.
    pub(super) reopened: Option<u64>,
    /// How often what is to be decided has changed, and by what last.
    pub(super) revision: u64,
    pub(super) changed_by: Option<Change>,
    /// The last act on many cases that decided it.
    pub(super) act: Option<ActId>,
}

/// What changes what is to be decided. Claims and looks do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Reported,
    Escalated,
    Decided,
}

/// A decision that was made, whether or not it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) decision: DecisionId,
    pub(super) by: MemberId,
    pub(super) action: Action,
    /// The messages that it removes.
    pub(super) messages: Vec<u64>,
    /// From when on it can be appealed no more; none where there is nothing to appeal.
    pub(super) appealable_until: Option<Timestamp>,
    pub(super) appeal: Appeal,
    /// Version of the event that reversed it.
    pub(super) reversed: Option<u64>,
    /// The act on many cases that it is part of.
    pub(super) act: Option<ActId>,
}

/// What has become of the right to appeal a decision once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appeal {
    NotMade,
    Waits,
    Decided,
}

/// A decision that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) decision: DecisionId,
    /// When the case closes; none once it has, or where nothing can be appealed.
    pub(super) closes: Option<Timestamp>,
    /// Version of the event that decided, or closed.
    pub(super) version: u64,
}

/// Up to where reports joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) conversation_version: u64,
    pub(super) version: u64,
}

/// Who holds the case, as recorded: whether the end has passed is asked with a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) by: MemberId,
    pub(super) until: Timestamp,
    /// Version of the event that gave it this end.
    pub(super) version: u64,
}

impl State {
    /// Whether there is a case at all.
    pub fn exists(&self) -> bool {
        self.reported.is_some()
    }

    /// The conversation that its reports come from; none before there is a case.
    pub fn conversation(&self) -> Option<ConversationId> {
        self.conversation
    }

    /// When it was opened, if it was.
    pub fn opened_at(&self) -> Option<Timestamp> {
        self.opened_at
    }

    /// How many reports joined it.
    pub fn reports(&self) -> u32 {
        self.reports
    }

    /// Who holds it at `at`, and until when; a claim whose end has passed is none, whether or not its event is there yet.
    pub fn claimed(&self, at: Timestamp) -> Option<(&MemberId, Timestamp)> {
        let claim = self.claim.as_ref().filter(|claim| at < claim.until)?;
        Some((&claim.by, claim.until))
    }

    /// A decision of the case.
    pub(super) fn made(&self, decision: DecisionId) -> Option<&Made> {
        self.made.iter().find(|made| made.decision == decision)
    }

    /// The decision whose appeal has waited longest, in the order of the decisions.
    pub(super) fn waiting_appeal(&self) -> Option<&Made> {
        self.made.iter().find(|made| made.appeal == Appeal::Waits)
    }

    /// The same of those that this moderator may answer; where there are only their own, one of these.
    pub(super) fn waiting_appeal_for(&self, moderator: &MemberId) -> Option<&Made> {
        let mut waiting = self.made.iter().filter(|made| made.appeal == Appeal::Waits);
        let other = waiting.find(|made| made.by != *moderator);
        other.or_else(|| self.waiting_appeal())
    }

    fn made_mut(&mut self, decision: DecisionId) -> Option<&mut Made> {
        self.made.iter_mut().find(|made| made.decision == decision)
    }

    fn make(&mut self, decided: &CaseDecided<'_>) {
        self.made.push_back(Made {
            decision: decided.decision,
            by: decided.by.clone(),
            action: decided.action,
            messages: decided.messages.clone(),
            appealable_until: decided.appealable_until,
            appeal: Appeal::NotMade,
            reversed: None,
            act: decided.act,
        });
        if self.made.len() > DECISIONS_KEPT_MAX {
            self.made.pop_front();
        }
    }

    /// The two members of the conversation, reported and reporter; of a suspension by hand its member twice. None before
    /// there is a case.
    pub(super) fn members(&self) -> Option<(MemberId, MemberId)> {
        self.reported.clone().zip(self.reporter.clone())
    }

    /// How often what is to be decided has changed: by a report, a decision, that it was opened again, or that it was left to
    /// another.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn change(&mut self, by: Change) {
        self.revision = self.revision.saturating_add(1);
        self.changed_by = Some(by);
    }

    fn end_claim(&mut self, version: u64) {
        self.claim = None;
        self.claim_over = Some(version);
    }

    /// What its place in the queue follows from, as its last report recorded it; none before any report.
    pub fn priority(&self) -> Option<PriorityInputs> {
        self.priority
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, recorded: Recorded, event: &Event<'_>) {
    match event {
        Event::CaseOpened(opened) => {
            state
                .reported
                .get_or_insert_with(|| opened.reported.clone());
            state.conversation.get_or_insert(opened.conversation);
            state.opened_at.get_or_insert(recorded.at);
        }
        Event::SuspensionFiled(filed) => {
            state.reported.get_or_insert_with(|| filed.reported.clone());
            state.reporter.get_or_insert_with(|| filed.reported.clone());
            state.opened_at.get_or_insert(recorded.at);
            state.by_hand = true;
            state.made.push_back(Made {
                decision: filed.decision,
                by: filed.by.clone(),
                action: Action::Suspend,
                messages: Vec::new(),
                appealable_until: Some(filed.appealable_until),
                appeal: Appeal::NotMade,
                reversed: None,
                act: None,
            });
            state.decided = Some(Decided {
                decision: filed.decision,
                closes: Some(filed.appealable_until),
                version: recorded.version,
            });
        }
        Event::ReportJoined(joined) => {
            state
                .reporter
                .get_or_insert_with(|| joined.reporter.clone());
            // What is newly reported is yet to be decided.
            let decided = state.decided.take().is_some();
            state.change(Change::Reported);
            state.reports = state.reports.saturating_add(1);
            state.priority = Some(PriorityInputs::at_report(
                state.priority,
                decided,
                joined.severity,
                joined.over_limit,
                joined.reporters,
                joined.upheld,
            ));
            let conversation_version = state
                .joined_up_to
                .map_or(0, |so_far| so_far.conversation_version)
                .max(joined.conversation_version);
            state.joined_up_to = Some(Joined {
                conversation_version,
                version: recorded.version,
            });
        }
        Event::ContentDisclosed(_) => {}
        Event::CaseClaimed(claimed) => {
            state.claim = Some(Claim {
                by: claimed.by.clone(),
                until: claimed.until,
                version: recorded.version,
            });
        }
        Event::CaseReleased(_) | Event::ClaimLapsed(_) => state.end_claim(recorded.version),
        Event::CaseNoted(noted) => {
            if let (Some(claim), Some(until)) = (&mut state.claim, noted.claimed_until) {
                claim.until = until;
                claim.version = recorded.version;
            }
        }
        Event::CaseDecided(decided) => {
            state.end_claim(recorded.version);
            state.change(Change::Decided);
            state.act = decided.act.or(state.act);
            state.escalated_by = None;
            state.make(decided);
            state.decided = Some(Decided {
                decision: decided.decision,
                closes: decided.appealable_until,
                version: recorded.version,
            });
        }
        Event::CaseClosed(_) => {
            if let Some(decided) = &mut state.decided {
                decided.closes = None;
                decided.version = recorded.version;
            }
        }
        Event::DecisionAppealed(appealed) => {
            if let Some(made) = state.made_mut(appealed.decision) {
                made.appeal = Appeal::Waits;
            }
        }
        Event::AppealDecided(appeal) => {
            if let Some(made) = state.made_mut(appeal.decision) {
                made.appeal = Appeal::Decided;
            }
        }
        Event::DecisionReversed(reversed) => {
            if let Some(made) = state.made_mut(reversed.decision) {
                made.reversed = Some(recorded.version);
                if made.appeal == Appeal::Waits {
                    made.appeal = Appeal::Decided;
                }
            }
            if reversed.reopened {
                state.decided = None;
                state.change(Change::Decided);
            }
        }
        Event::CaseReopened(_) => {
            state.decided = None;
            state.reopened = Some(recorded.version);
            state.change(Change::Decided);
        }
        Event::CaseEscalated(escalated) => {
            state.end_claim(recorded.version);
            state.change(Change::Escalated);
            state.escalated_by = Some(escalated.by.clone());
        }
    }
}
