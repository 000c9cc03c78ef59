//! Refusals, failed commands and failed queries in words: what was wrong this time, and what to do.
//!
//! The words follow from the code and from what the refusal records with it, so that a refusal that is repeated years
//! later reads as it did the first time. What must not be told apart has the words of its code alone: a block, an
//! audience, an age and an unknown recipient (`not_allowed`), a waiting and a withheld message (`limit_reached`).

use commands::{CommandError, WrongTime};
use domain::evidence::Cause;
use domain::policy::{COOLDOWNS_MAX, DAYS_MAX};
use domain::rejection::{Code as Refused, Rejection};
use domain::text::TextProblem;
use projections::{PastError, QueryError, WaitError};

use super::{ApiError, Code, FieldCode, Limit};
use crate::caller::DOORSTEP_AT;
use crate::damage::FoundPlace;
use crate::time;

const HOUR_S: u64 = 60 * 60;

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refused(&refusal.rejection),
            CommandError::NotFound => Code::NotFound.into(),
            CommandError::CommandIdReused => Code::CommandIdReused.into(),
            CommandError::InvalidTime(why) => ApiError::at_field(
                Code::InvalidTime,
                DOORSTEP_AT,
                FieldCode::Unfit,
                match why {
                    WrongTime::Ahead => {
                        "It is more than 5 seconds ahead of the service's clock. Give the time at which it happened, or none."
                    }
                    WrongTime::BeforeLast => {
                        "It is before the last event of what it concerns, where time never falls. Tell things in the order in which they happened, or give no time."
                    }
                },
            ),
            CommandError::RateLimited => ApiError::with_detail(
                Code::RateLimited,
                "Too many commands of this member were refused within a day; wait as long as `Retry-After` says.",
            )
            .retry_after_s(HOUR_S),
            CommandError::Busy => ApiError::new(Code::Busy).retry_after_s(1),
            CommandError::TooLarge => ApiError::with_detail(
                Code::BodyTooLarge,
                "It would make an event that is larger than the log takes; send less at once.",
            ),
            CommandError::StorageFull => ApiError::new(Code::StorageFull).retry_after_s(10),
            CommandError::OutcomeUnknown => ApiError::new(Code::OutcomeUnknown).retry_after_s(1),
            CommandError::StoreUnavailable(why) => {
                // Where the store is and what it says is the operator's to know.
                tracing::debug!(why, "the store cannot be reached");
                ApiError::new(Code::StoreUnavailable).retry_after_s(1)
            }
            CommandError::AboveLevel(above) => {
                ApiError::with_detail(Code::Internal, above.to_string())
            }
            CommandError::Unreadable(what) => ApiError::with_detail(Code::Internal, what),
        }
    }
}

fn refused(rejection: &Rejection) -> ApiError {
    let code = match rejection.code() {
        Refused::AccountRestricted => Code::AccountRestricted,
        Refused::InvalidMessage => Code::InvalidMessage,
        Refused::LimitReached => Code::LimitReached,
        Refused::NotAllowed => Code::NotAllowed,
        Refused::NotFound => Code::NotFound,
        Refused::RequestFrozen => Code::RequestFrozen,
        Refused::RequestNotPending => Code::RequestNotPending,
        Refused::AlreadyAccepted => Code::AlreadyAccepted,
        Refused::NotRestorable => Code::NotRestorable,
        Refused::NotAccepted => Code::NotAccepted,
        Refused::NotAuthor => Code::NotAuthor,
        Refused::InvalidReport => Code::InvalidReport,
        Refused::InvalidReadMark => Code::InvalidReadMark,
        Refused::InvalidMember => Code::InvalidMember,
        Refused::RegisteredAtFixed => Code::RegisteredAtFixed,
        Refused::InvalidSuspension => Code::InvalidSuspension,
        Refused::InvalidPolicy => Code::InvalidPolicy,
        Refused::AlreadyClaimed => Code::AlreadyClaimed,
        Refused::NotClaimed => Code::NotClaimed,
        Refused::SameModerator => Code::SameModerator,
        Refused::InvalidReportLimit => Code::InvalidReportLimit,
        Refused::InvalidNote => Code::InvalidNote,
        Refused::AlreadyDecided => Code::AlreadyDecided,
        Refused::InvalidDecision => Code::InvalidDecision,
        Refused::OwnCase => Code::OwnCase,
        Refused::AlreadyAppealed => Code::AlreadyAppealed,
        Refused::AppealWindowOver => Code::AppealWindowOver,
        Refused::AlreadyReversed => Code::AlreadyReversed,
        Refused::NotAppealed => Code::NotAppealed,
        Refused::InvalidAppeal => Code::InvalidAppeal,
        Refused::SlotNeeded | Refused::CountNeeded | Refused::MovedOn => {
            return ApiError::with_detail(
                Code::Internal,
                "a refusal of the write side's own left it",
            );
        }
    };
    if let Some(field) = rejection.field() {
        let (what, message) = of_field(code, field, rejection);
        return ApiError::at_field(code, field, what, message);
    }
    let restorable_until = rejection
        .restorable_until()
        .map(|at| time::format(at.as_millis()));
    of_state(code, rejection.cause(), restorable_until.is_some()).restorable_until(restorable_until)
}

/// A refusal by the state of things.
fn of_state(code: Code, cause: Option<Cause>, deleted: bool) -> ApiError {
    if code == Code::AccountRestricted
        && let Some(words) = cause.and_then(restriction)
    {
        return ApiError::with_detail(code, words);
    }
    if code == Code::LimitReached {
        // A cooldown answers as a request that is full does: that it was deleted is not told.
        let (limit, words) = if cause == Some(Cause::RequestsOfTheDay) {
            (
                Limit::RequestsPerDay,
                "As many new requests were opened within 24 hours as this member may open. Write to someone new later.",
            )
        } else {
            (
                Limit::RequestMessages,
                "As many messages as may wait for this member's answer were sent. Wait until they write or accept.",
            )
        };
        return ApiError::with_detail(code, words).limit(limit);
    }
    if code == Code::RequestNotPending {
        return ApiError::with_detail(
            code,
            if deleted {
                "The request was deleted. It can be restored until the time in `restorable_until`."
            } else {
                "No message of the request waits any more: it was withdrawn."
            },
        );
    }
    ApiError::new(code)
}

/// Why the caller's own account is restricted; none for what concerns another.
fn restriction(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::SenderUnknown => {
            Some("The token's `sub` is not a registered member; the host registers members first.")
        }
        Cause::SenderSuspended | Cause::ActorSuspended => Some(
            "The account is suspended. Reading, deleting, blocking, reporting, marking read and unsending still work.",
        ),
        Cause::SenderUnder16 | Cause::ActorUnder16 => {
            Some("Members under 16 cannot write, accept or choose an audience.")
        }
        Cause::SenderLimited => {
            Some("By a moderator's decision this account may not write to anyone new for now.")
        }
        Cause::RequestsOfTheDay
        | Cause::RecipientUnknown
        | Cause::RecipientUnder16
        | Cause::RecipientBlocks
        | Cause::SenderBlocks
        | Cause::Audience
        | Cause::Cooldown
        | Cause::RequestMessages => None,
    }
}

/// What is wrong with the field that a refusal names, and what to give instead.
fn of_field(code: Code, field: &str, rejection: &Rejection) -> (FieldCode, String) {
    if let Some(problem) = rejection.problem() {
        return of_text(problem);
    }
    if let Some((least, most)) = rejection.range() {
        let message = if field == "messages" {
            format!("It names fewer than {least} or more than {most} messages.")
        } else if field == "cases" {
            format!("It names fewer than {least} or more than {most} cases, or one of them twice.")
        } else {
            format!("It may be from {least} to {most}.")
        };
        return (FieldCode::OutOfRange, message);
    }
    let (what, message): (FieldCode, &str) = match (code, field) {
        (Code::InvalidMessage, _) => (
            FieldCode::Unfit,
            "It names the sender; nobody writes to themself.",
        ),
        (Code::InvalidReport, _) if rejection.recorded() => (
            FieldCode::Unfit,
            "It names a message that the caller cannot report: one of their own, one that never reached them, or none.",
        ),
        (Code::InvalidReport, _) => (
            FieldCode::TooLong,
            "The texts of the named messages are too long for one report together; report fewer at once.",
        ),
        (Code::InvalidReadMark, _) => (
            FieldCode::OutOfRange,
            "It is above the number of the last message that the caller can see.",
        ),
        (Code::InvalidMember, "registered_at") => (
            FieldCode::Unfit,
            "It is later than the registration itself, by more than 5 seconds. Give the time since when they are a member, or leave it out.",
        ),
        (Code::InvalidMember, _) => (
            FieldCode::Unfit,
            "It is the same member on both sides; name two different ones.",
        ),
        (Code::RegisteredAtFixed, _) => (
            FieldCode::Unfit,
            "The member is registered with another time, which cannot change. Give the same, or leave it out.",
        ),
        (Code::InvalidSuspension, _) => (
            FieldCode::Unfit,
            "It is not after the suspension begins. Give a later time, or none for good.",
        ),
        (Code::InvalidReportLimit, _) => {
            (FieldCode::Unfit, "It is not after now. Give a later time.")
        }
        (Code::InvalidDecision, "messages") => (
            FieldCode::Unfit,
            "It names a message that nobody reported in this case. Only reported messages can be removed.",
        ),
        (Code::InvalidDecision, "action") => (
            FieldCode::Unfit,
            "Messages are removed by a decision on their own case. Give another action, or decide the cases one by one.",
        ),
        (Code::InvalidDecision, _) => (
            FieldCode::Unfit,
            "`limit` needs an end after now, `suspend` may have one, and the other actions have none.",
        ),
        (Code::InvalidPolicy, "cooldown_days") => {
            return (
                FieldCode::OutOfRange,
                format!(
                    "It may have at most {COOLDOWNS_MAX} cooldowns, each of at most {DAYS_MAX} days."
                ),
            );
        }
        (Code::InvalidPolicy, "audience_table.no_one") => (
            FieldCode::Unfit,
            "Every column of this row is `refused`, in every policy.",
        ),
        (_, _) => (FieldCode::Unfit, code.meaning()),
    };
    (what, message.to_owned())
}

/// What is wrong with a text of a body that no rule takes up.
pub(crate) fn text_of_body(field: &'static str, problem: TextProblem) -> ApiError {
    let (code, message) = of_text(problem);
    ApiError::at_field(Code::InvalidBody, field, code, message)
}

fn of_text(problem: TextProblem) -> (FieldCode, String) {
    match problem {
        TextProblem::Empty => (
            FieldCode::Empty,
            "It says nothing but white space.".to_owned(),
        ),
        TextProblem::GraphemesMax(most) => (
            FieldCode::TooLong,
            format!("It has more than {most} graphemes."),
        ),
        TextProblem::BytesMax(most) => (
            FieldCode::TooLong,
            format!("It has more than {most} bytes."),
        ),
        TextProblem::Nul => (
            FieldCode::ForbiddenCharacter,
            "It holds a U+0000.".to_owned(),
        ),
    }
}

impl From<PastError> for ApiError {
    fn from(error: PastError) -> Self {
        match error {
            PastError::BeyondEnd { .. } => Code::AsOfBeyondEnd.into(),
            PastError::Incomplete { .. } => {
                ApiError::with_detail(Code::AuditIncomplete, format!("{error}."))
            }
            PastError::TooMuch(_) | PastError::TooManyChanges(_) => Code::AuditTooLarge.into(),
            PastError::Wait(WaitError::Behind(_)) => ApiError::with_detail(
                Code::ViewBehind,
                "The indexes by which the past is read have not come to the log's end. Ask again after the seconds of `Retry-After`; where it stays so, `/readyz` says why.",
            )
            .retry_after_s(1),
            PastError::Wait(WaitError::Stopped(_)) => {
                ApiError::new(Code::NotReady).retry_after_s(1)
            }
            PastError::Query(error) => error.into(),
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound => Code::NotFound.into(),
            QueryError::BadLimit => ApiError::at_field(
                Code::InvalidQuery,
                "limit",
                FieldCode::OutOfRange,
                "It takes a whole number from 1 to 200; 50 when it is absent.",
            ),
            QueryError::BadCursor => ApiError::at_field(
                Code::InvalidQuery,
                "cursor",
                FieldCode::Malformed,
                "It is not a cursor of this list; give `next_cursor` of the page before as it was, with the same filter and order.",
            ),
            QueryError::TooWide => ApiError::at_field(
                Code::InvalidQuery,
                "to",
                FieldCode::OutOfRange,
                "A report is over at most 366 days, `from` and `to` included, and adds up at most 200,000 counts; ask for fewer days.",
            ),
            QueryError::OtherLog => Code::OtherLog.into(),
            QueryError::Unavailable { view, .. } => ApiError::with_detail(
                Code::NotReady,
                format!("The view `{view}` cannot be read now; `/readyz` says why. Ask again after the seconds of `Retry-After`."),
            )
            .retry_after_s(1),
            QueryError::Storage(error) => match FoundPlace::of_reading(&error) {
                Some(place) => ApiError::with_detail(
                    Code::Damaged,
                    "Part of what was asked for cannot be read, because the log is damaged there. Whoever runs the service finds the place in its log.",
                )
                .damaged_at(place),
                None if away(&error) => {
                    ApiError::new(Code::StoreUnavailable).retry_after_s(1)
                }
                None => ApiError::with_detail(Code::Internal, format!("{error:#}")),
            },
        }
    }
}

/// Whether a query failed because the log is elsewhere and not reached.
fn away(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(event_store::ReadError::Unavailable { .. })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cooldown_reads_as_a_full_request() {
        let words = |cause| {
            of_state(Code::LimitReached, Some(cause), false)
                .told()
                .to_owned()
        };
        assert_eq!(words(Cause::Cooldown), words(Cause::RequestMessages));
        assert_ne!(words(Cause::Cooldown), words(Cause::RequestsOfTheDay));
        let limit = |cause| of_state(Code::LimitReached, Some(cause), false).0.limit;
        for withheld in [Cause::Cooldown, Cause::RecipientBlocks] {
            assert_eq!(limit(withheld), limit(Cause::RequestMessages));
        }
        assert_eq!(
            limit(Cause::RequestsOfTheDay),
            Some(Limit::RequestsPerDay),
            "which is said whoever is addressed"
        );
    }

    #[test]
    fn why_a_member_takes_no_message_is_not_told() {
        for cause in [
            Cause::RecipientUnknown,
            Cause::RecipientUnder16,
            Cause::RecipientBlocks,
            Cause::SenderBlocks,
            Cause::Audience,
        ] {
            let error = of_state(Code::NotAllowed, Some(cause), false);
            assert_eq!(error.told(), Code::NotAllowed.meaning());
            assert_eq!(restriction(cause), None);
        }
    }
}
