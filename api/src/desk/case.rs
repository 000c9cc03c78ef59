//! `/desk/cases/{id}`: a case with its evidence in context, and the forms of what may be done with it.
//!
//! Showing it is recorded, as by `GET /v1/moderation/cases/{id}`, each time it is shown: after a form, too. A form is
//! there where it could be carried out, and where it was refused, so that what was typed is not lost.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use domain::case::{AppealOutcome, PriorityInputs};
use domain::ids::{MemberId, ReasonCode};
use projections::{
    Case, CaseAnswer, CaseDecision, CaseMessage, CaseNote, CaseReport, CaseReversal, CaseState,
    ViewName,
};

use super::history::History;
use super::log::{self, Line};
use super::queue::{self, Held};
use super::ruling::{self, Choice, action};
use super::session::Seat;
use crate::app::State;
use crate::caller::{Acting, AsModerator, Caller};
use crate::pages::filled::Filled;
use crate::pages::form::Fields;
use crate::pages::shown::{When, category, count};
use crate::pages::{Frame, SeatShown, html};
use crate::problem::ApiError;
use crate::query::{self, Segments};
use crate::routes::moderation::opened;

/// What a case is shown for.
const PURPOSE: &str = "review";
/// Letters of a message in a list of messages.
const EXCERPT_LETTERS_MAX: usize = 60;

/// The forms of a case.
pub(super) struct Forms {
    pub(super) claim: Filled,
    pub(super) release: Filled,
    pub(super) note: Filled,
    pub(super) escalate: Filled,
    pub(super) decide: Filled,
    /// Of the decision that it names.
    pub(super) appeal: Filled,
    /// Of the decision that it names.
    pub(super) reverse: Filled,
    pub(super) reopen: Filled,
    /// Of the member that it names.
    pub(super) limit: Filled,
    /// Of the member that it names.
    pub(super) unlimit: Filled,
}

impl Forms {
    /// Nothing was sent.
    pub(super) fn fresh() -> Self {
        Forms {
            claim: Filled::fresh(),
            release: Filled::fresh(),
            note: Filled::fresh(),
            escalate: Filled::fresh(),
            decide: Filled::fresh(),
            appeal: Filled::fresh(),
            reverse: Filled::fresh(),
            reopen: Filled::fresh(),
            limit: Filled::fresh(),
            unlimit: Filled::fresh(),
        }
    }
}

#[derive(Template)]
#[template(path = "desk/case.html")]
struct Page {
    frame: Frame,
    csrf: String,
    id: String,
    member: String,
    /// Who reported; none of a suspension by hand.
    reporter: Option<String>,
    /// How many members reported this one, where that is many.
    many: Option<u32>,
    state: &'static str,
    categories: String,
    why: Vec<String>,
    opened_at: When,
    held: Option<Held>,
    escalated_by: Option<String>,
    /// What was just done.
    done: Option<&'static str>,
    may_claim: bool,
    may_work: bool,
    may_reopen: bool,
    forms: Forms,
    reports: Vec<Report>,
    messages: Vec<Message>,
    notes: Vec<Note>,
    decisions: Vec<Decision>,
    history: Vec<History>,
    /// Within how many days members are counted there.
    reporters_days: u32,
    log: Vec<Line>,
    actions: Vec<Choice>,
    removable: Vec<Removable>,
    reasons: Vec<&'static str>,
}

struct Report {
    category: &'static str,
    reporter: String,
    comment: String,
    at: When,
    over_limit: bool,
    evidence: Vec<Evidence>,
}

/// A reported message as it was sent; its text only where the context does not have it.
struct Evidence {
    number: u64,
    sent_at: When,
    text: Option<String>,
}

struct Message {
    number: u64,
    from: String,
    /// Whether the reported member wrote it.
    theirs: bool,
    text: Option<String>,
    sent_at: When,
    unsent_at: Option<When>,
    removed_at: Option<When>,
    reported: bool,
    /// Whether messages before it are not shown.
    after_gap: bool,
}

struct Note {
    by: String,
    text: String,
    at: When,
}

struct Decision {
    by: String,
    action: &'static str,
    until: Option<When>,
    messages: String,
    reason: String,
    text: String,
    facts: String,
    at: When,
    appealable_until: Option<When>,
    id: String,
    appeal: Option<Appeal>,
    reversal: Option<Reversal>,
    /// The form that takes it back, where it was not.
    reverse: Option<Filled>,
}

struct Appeal {
    text: String,
    at: When,
    answer: Option<Answer>,
    /// The form of the answer, while the appeal waits.
    form: Option<Filled>,
}

struct Answer {
    by: String,
    stays: bool,
    text: String,
    at: When,
}

struct Reversal {
    by: String,
    reason: String,
    text: String,
    at: When,
}

/// A message that may be removed.
struct Removable {
    number: u64,
    excerpt: String,
    chosen: bool,
}

impl Page {
    /// Where one chooses the messages to remove; what is done, where there are none.
    fn to_remove(&self) -> &'static str {
        if self.removable.is_empty() {
            "decide-action"
        } else {
            "remove"
        }
    }
}

/// What was just done, by the word that the page was called with.
fn done(word: Option<&str>) -> Option<&'static str> {
    match word {
        Some("claimed") => Some("You hold this case now."),
        Some("released") => Some("You have released this case."),
        Some("noted") => Some("The note was written down."),
        Some("escalated") => Some("You have left this case to another moderator."),
        Some("answered") => Some("The appeal is answered."),
        Some("reversed") => Some("The decision is taken back."),
        Some("reopened") => Some("The case is open again."),
        Some("limited") => Some("No more of their reports count than you said."),
        Some("unlimited") => Some("All of their reports count again."),
        Some("decided") => Some("The case is decided."),
        Some(_) | None => None,
    }
}

impl From<CaseNote> for Note {
    fn from(note: CaseNote) -> Self {
        Note {
            by: note.by.to_string(),
            text: note.text,
            at: When(note.at),
        }
    }
}

impl Decision {
    fn new(decision: CaseDecision, forms: &mut Forms) -> Self {
        let id = decision.decision_id.to_string();
        // A form that was refused belongs to the decision that it named.
        let form = |form: &mut Filled| form.taken_by("decision", &id);
        let reversed = decision.reversal.is_some();
        let appeal = decision.appeal.map(|appeal| {
            let waits = appeal.answer.is_none() && !reversed;
            let form = form(&mut forms.appeal);
            Appeal {
                text: appeal.text,
                at: When(appeal.appealed_at),
                answer: appeal.answer.map(Answer::from),
                form: (waits || form.is_refused()).then_some(form),
            }
        });
        let reverse = form(&mut forms.reverse);
        Decision {
            by: decision.by.to_string(),
            action: action(decision.action),
            until: decision.until.map(When),
            messages: numbers(&decision.messages),
            reason: decision.reason.to_string(),
            text: decision.text,
            facts: decision.facts,
            at: When(decision.decided_at),
            appealable_until: decision.appealable_until.map(When),
            appeal,
            reversal: decision.reversal.map(Reversal::from),
            reverse: (!reversed || reverse.is_refused()).then_some(reverse),
            id,
        }
    }
}

impl From<CaseAnswer> for Answer {
    fn from(answer: CaseAnswer) -> Self {
        Answer {
            by: answer.by.to_string(),
            stays: answer.outcome == AppealOutcome::Upheld,
            text: answer.text,
            at: When(answer.decided_at),
        }
    }
}

impl From<CaseReversal> for Reversal {
    fn from(reversal: CaseReversal) -> Self {
        Reversal {
            by: reversal.by.to_string(),
            reason: reversal.reason.to_string(),
            text: reversal.text,
            at: When(reversal.reversed_at),
        }
    }
}

fn numbers(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(", ")
}

fn report(report: CaseReport, in_context: &BTreeSet<u64>) -> Report {
    let evidence = report.evidence.into_iter().map(|item| Evidence {
        number: item.number,
        sent_at: When(item.sent_at),
        text: (!in_context.contains(&item.number)).then_some(item.text),
    });
    Report {
        category: category(report.category),
        reporter: report.reporter.to_string(),
        comment: report.comment,
        at: When(report.reported_at),
        over_limit: report.over_limit,
        evidence: evidence.collect(),
    }
}

fn messages(messages: Vec<CaseMessage>, member: &MemberId) -> Vec<Message> {
    let mut before = 0;
    let mut shown = Vec::with_capacity(messages.len());
    for message in messages {
        shown.push(Message {
            number: message.number,
            theirs: message.from == *member,
            from: message.from.to_string(),
            text: message.text,
            sent_at: When(message.sent_at),
            unsent_at: message.unsent_at.map(When),
            removed_at: message.removed_at.map(When),
            reported: message.reported,
            after_gap: message.number > before + 1,
        });
        before = message.number;
    }
    shown
}

fn removable(messages: &[CaseMessage], member: &MemberId, decide: &Filled) -> Vec<Removable> {
    let may = messages.iter().filter(|message| {
        message.reported && message.from == *member && message.removed_at.is_none()
    });
    may.map(|message| {
        let text = message.text.as_deref().unwrap_or_default();
        let mut excerpt: String = text.chars().take(EXCERPT_LETTERS_MAX).collect();
        if excerpt.len() < text.len() {
            excerpt.push('…');
        }
        Removable {
            number: message.number,
            excerpt,
            chosen: decide.has("messages", &message.number.to_string()),
        }
    })
    .collect()
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsModerator>,
    Segments(id): Segments<String>,
    uri: Uri,
) -> Response {
    let asked = match Fields::of_query(uri.query()) {
        Ok(asked) => asked,
        Err(error) => return seat.failed(error),
    };
    let Seat { caller, shown } = seat;
    let looked = Looked {
        id: &id,
        at: asked.get("at"),
        done: done(asked.get("done")),
        typed: Vec::new(),
    };
    answer(
        &shared,
        caller,
        shown,
        &looked,
        Forms::fresh(),
        StatusCode::OK,
    )
    .await
}

/// How a case is looked at.
pub(super) struct Looked<'a> {
    /// The case as the path names it.
    pub(super) id: &'a str,
    /// What the view has to have come to.
    pub(super) at: Option<&'a str>,
    /// What was just done.
    pub(super) done: Option<&'static str>,
    /// What was typed into the form that was sent, where one was: for the case that the page cannot be shown.
    pub(super) typed: Vec<String>,
}

/// The page of a case with these forms.
pub(super) async fn answer(
    shared: &State,
    caller: Caller<AsModerator>,
    seat: SeatShown,
    looked: &Looked<'_>,
    forms: Forms,
    status: StatusCode,
) -> Response {
    match made(shared, caller, &seat, looked, forms).await {
        Ok(page) => html(status, &page),
        Err(error) => super::session::lost(error, seat, looked.typed.clone()),
    }
}

async fn made(
    shared: &State,
    caller: Caller<AsModerator>,
    seat: &SeatShown,
    looked: &Looked<'_>,
    mut forms: Forms,
) -> Result<Page, ApiError> {
    let purpose = ReasonCode::new(PURPOSE)
        .map_err(|_| ApiError::with_detail(crate::problem::Code::Internal, "no purpose"))?;
    let acting = Acting::unasked(caller)?;
    let case = query::case(looked.id);
    let answer = opened(shared, &acting, case, purpose, looked.at).await?;
    let caller = &acting.caller;
    shared
        .reached(caller, ViewName::ModerationLog, looked.at)
        .await?;
    let Case {
        summary,
        reporter,
        reports,
        messages: around,
        notes,
        decisions,
        history,
        history_of_reporter,
    } = answer.value;
    let me = acting.caller.sub();
    let held = queue::held(&summary, me);
    let mine = held.as_ref().is_some_and(|held| held.mine);
    let in_context: BTreeSet<u64> = around.iter().map(|message| message.number).collect();
    let categories: Vec<&str> = summary
        .categories
        .iter()
        .map(|one| category(*one))
        .collect();
    let title = match reporter {
        Some(_) => "The reported member",
        None => "The member",
    };
    let mut histories = vec![History::new(title, &history, &mut forms)];
    if let Some(other) = &history_of_reporter {
        histories.push(History::new("The other member", other, &mut forms));
    }
    let decisions = decisions.into_iter();
    let decisions = decisions
        .map(|one| Decision::new(one, &mut forms))
        .collect();
    let actions = ruling::choices(&forms.decide, |_| true);
    let id = summary.case_id.to_string();
    let at = acting.caller.shows(shared, answer.position).to_query();
    let summed = if reporter.is_some() {
        count(summary.reports, "report", "reports")
    } else {
        "suspended by hand".to_owned()
    };
    Ok(Page {
        frame: Frame {
            seat: Some(seat.clone()),
            live: Some(format!("/desk/live?case={id}&after={at}")),
            ..Frame::titled(format!("Case about {}, {summed}", summary.member))
        },
        csrf: seat.csrf.clone(),
        id,
        state: queue::state(summary.state),
        categories: categories.join(", "),
        many: queue::many(summary.reporters),
        why: match reporter {
            Some(_) => queue::why(&summary.priority),
            None => Vec::new(),
        },
        opened_at: When(summary.opened_at),
        escalated_by: summary.escalated_by.as_ref().map(MemberId::to_string),
        done: looked.done,
        may_claim: summary.state == CaseState::Open
            || (summary.state == CaseState::Claimed && mine),
        may_work: mine,
        may_reopen: reporter.is_some()
            && matches!(summary.state, CaseState::Decided | CaseState::Closed),
        held,
        actions,
        removable: removable(&around, &summary.member, &forms.decide),
        forms,
        reports: reports
            .into_iter()
            .map(|one| report(one, &in_context))
            .collect(),
        messages: messages(around, &summary.member),
        notes: notes.into_iter().map(Note::from).collect(),
        decisions,
        history: histories,
        reporters_days: PriorityInputs::REPORTERS_DAYS,
        log: log::on_case(shared, case).await?,
        reasons: ruling::reasons(),
        member: summary.member.to_string(),
        reporter: reporter.map(|id| id.to_string()),
    })
}
