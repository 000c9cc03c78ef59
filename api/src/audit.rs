//! Asking what stood when: which moment is meant, that looking is recorded, and how pages stay at their moment.
//!
//! A look is one event, durable before anything of it is shown: of a list the first page records it, and the cursors of
//! its pages bear the moment and the time of the look, so that going on pages through the same moment and records
//! nothing more. A page that is asked for [`LOOK_LASTS_MS`] after its look is a look of its own. Questions that are
//! refused, or find nothing, are not recorded. What the rows are is `projections`' matter.

use commands::{Command, Look};
use domain::act::Looked;
use domain::case::ShownMessages;
use domain::ids::{CaseId, ConversationId, MemberId, ReasonCode};
use domain::time::Timestamp;
use event_store::Position;
use projections::{
    Cursor, Moment, Page, PageRequest, Past, PastError, QueryError, WaitError, When,
};
use tokio::sync::SemaphorePermit;

use crate::answers::{Answered, Listed};
use crate::app::{Options, Shared, StoreState, now};
use crate::audit_documents;
use crate::caller::{Acting, AsAuditor, Caller};
use crate::problem::{ApiError, Code, FieldCode};

/// Questions about the past that are answered at once; each may hold as much memory as its bounds say.
pub(crate) const AT_ONCE: usize = 2;
/// How long the pages of a look need no look of their own.
const LOOK_LASTS_MS: i64 = 60 * 60 * 1_000;
/// Bytes of a cursor before the view's own.
const BORNE_BYTES: usize = 24;

/// A question that may be asked now.
pub(crate) struct Question<'s> {
    shared: &'s Shared,
    pub(crate) past: Past,
    _permit: SemaphorePermit<'s>,
}

/// The page of a list at a moment.
pub(crate) struct PastPage {
    pub(crate) moment: Moment,
    /// The moment is the present one.
    present: bool,
    /// When the look began that this page belongs to; none for a look that begins.
    looked_at: Option<Timestamp>,
    /// Where the page before ended, in the view's own words.
    place: Option<Vec<u8>>,
    limit: usize,
}

impl PastPage {
    /// The page as views take it.
    pub(crate) fn request(&self) -> Result<PageRequest, ApiError> {
        let after = self.place.as_deref().map(Cursor::from_bytes).transpose()?;
        Ok(PageRequest::new(self.limit, after)?)
    }

    /// The position before which a timeline's page begins.
    pub(crate) fn before(&self) -> Option<Position> {
        let place = self.place.as_deref()?.first_chunk::<8>()?;
        Some(Position(u64::from_be_bytes(*place)))
    }

    /// Items at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

/// What a list of the past is asked with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) as_of: Option<&'a str>,
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<&'a str>,
}

/// What an auditor looks at.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) looked: Looked,
    pub(crate) member: MemberId,
    pub(crate) other: Option<MemberId>,
    pub(crate) conversation: Option<ConversationId>,
    /// The moderators' file, and which messages it shows.
    pub(crate) case: Option<(CaseId, ShownMessages)>,
}

impl Subject {
    /// Something of a member's.
    pub(crate) fn of(looked: Looked, member: &MemberId) -> Self {
        Self {
            looked,
            member: member.clone(),
            other: None,
            conversation: None,
            case: None,
        }
    }

    /// Something between two members.
    pub(crate) fn between(looked: Looked, id: ConversationId, [one, other]: [MemberId; 2]) -> Self {
        Self {
            looked,
            member: one,
            other: Some(other),
            conversation: Some(id),
            case: None,
        }
    }

    /// What cursors of it are for.
    fn scope(&self) -> String {
        format!(
            "audit {:?} {} {:?}",
            self.looked, self.member, self.conversation
        )
    }
}

impl Shared {
    /// Begins a question about the past, unless too many are asked at once.
    pub(crate) async fn question(&self) -> Result<Question<'_>, ApiError> {
        let permit = self.auditing.try_acquire().map_err(|_| {
            ApiError::with_detail(
                Code::Busy,
                format!(
                    "{AT_ONCE} questions about the past are being answered, as many as are at once. Ask again after the seconds of `Retry-After`."
                ),
            )
            .retry_after_s(1)
        })?;
        Ok(Question {
            shared: self,
            past: self.past().await?,
            _permit: permit,
        })
    }

    async fn past(&self) -> Result<Past, ApiError> {
        let Options {
            view_wait, past, ..
        } = self.options;
        let found = self.reads.past_within(view_wait, past).await;
        found.map_err(|error| {
            let is_behind = matches!(error, PastError::Wait(WaitError::Behind(_)));
            // What the indexes lack then, such as an event acknowledged just before, is where nobody answers.
            if is_behind && self.care.state() == StoreState::Unavailable {
                ApiError::new(Code::StoreUnavailable).retry_after_s(1)
            } else {
                error.into()
            }
        })
    }
}

impl Question<'_> {
    /// The moment that `as_of` names, and whether it is the present one.
    pub(crate) async fn moment(&mut self, as_of: Option<&str>) -> Result<(Moment, bool), ApiError> {
        let when = match as_of {
            Some(text) => when("as_of", text)?,
            None => When::Now,
        };
        Ok((self.at("as_of", when).await?, when == When::Now))
    }

    /// The moment that a parameter of another name has to give.
    pub(crate) async fn moment_of(
        &mut self,
        field: &'static str,
        text: Option<&str>,
    ) -> Result<Moment, ApiError> {
        let Some(text) = text else {
            return Err(ApiError::at_field(
                Code::InvalidQuery,
                field,
                FieldCode::Missing,
                "It is missing; give a position or a time of RFC 3339.",
            ));
        };
        self.at(field, when(field, text)?).await
    }

    async fn at(&mut self, field: &'static str, when: When) -> Result<Moment, ApiError> {
        let mut moment = self.past.moment(when, now()).await;
        if let (Err(PastError::BeyondEnd { .. }), When::At(position)) = (&moment, when)
            && self.shared.comes_to(position).await
        {
            // It came after the question did.
            self.past = self.shared.past().await?;
            moment = self.past.moment(when, now()).await;
        }
        match moment {
            Err(PastError::BeyondEnd { end }) => Err(ApiError::at_field(
                Code::AsOfBeyondEnd,
                field,
                FieldCode::OutOfRange,
                format!(
                    "It has not come: the log ends at position {end}, and no time after now is known."
                ),
            )),
            other => Ok(other?),
        }
    }

    /// The page of a list that is asked for: the first at the moment named, the next ones at that of their cursor.
    pub(crate) async fn page(
        &mut self,
        caller: &Caller<AsAuditor>,
        subject: &Subject,
        asked: Asked<'_>,
    ) -> Result<PastPage, ApiError> {
        let limit = asked.limit.unwrap_or(projections::LIMIT_DEFAULT);
        // The bounds of a page are told before anything is read.
        PageRequest::first(limit)?;
        let Some(cursor) = asked.cursor else {
            let (moment, present) = self.moment(asked.as_of).await?;
            return Ok(PastPage {
                moment,
                present,
                looked_at: None,
                place: None,
                limit,
            });
        };
        let content = self
            .shared
            .cursor_given(&subject.scope(), caller.sub().as_str(), cursor)?;
        let (moment, looked_at, place) = borne(&content).ok_or(Code::InvalidQuery)?;
        if let Some(text) = asked.as_of {
            let same = match when("as_of", text)? {
                When::At(position) => position == moment.position,
                When::Time(time) => time == moment.now,
                When::Now => false,
            };
            if !same {
                return Err(ApiError::at_field(
                    Code::InvalidQuery,
                    "as_of",
                    FieldCode::Unfit,
                    "It is not the moment of the page before; leave it out beside `cursor`.",
                ));
            }
        }
        let lasts = now().since_ms(looked_at) < LOOK_LASTS_MS;
        Ok(PastPage {
            moment,
            present: false,
            looked_at: lasts.then_some(looked_at),
            place: Some(place),
            limit,
        })
    }

    /// Records a look, unless its page belongs to one that was recorded; then gives the page's answer.
    pub(crate) async fn listed<T, U>(
        &self,
        caller: Caller<AsAuditor>,
        purpose: ReasonCode,
        subject: Subject,
        at: &PastPage,
        (page, next): (Page<T>, Option<Vec<u8>>),
        item: impl FnMut(T) -> U,
    ) -> Result<Answered<Listed<U>>, ApiError> {
        let scope = subject.scope();
        let (caller, looked_at) = if let Some(looked_at) = at.looked_at {
            (caller, looked_at)
        } else {
            let as_of = (!at.present).then_some(at.moment);
            let looked_at = now();
            let caller = self.look(caller, purpose, subject, (None, as_of)).await?;
            (caller, looked_at)
        };
        let next = next.or_else(|| page.next.as_ref().map(Cursor::to_bytes));
        let next_cursor = next.map(|place| {
            let content = bear(at.moment, looked_at, &place);
            self.shared
                .cursor_shown(&scope, caller.sub().as_str(), &content)
        });
        let items = page.items.into_iter().map(item).collect();
        let body = Listed { items, next_cursor };
        Ok(self.shared.standing_at(&caller, at.moment.position, body))
    }

    /// Records a look of its own, then gives the answer.
    pub(crate) async fn answered<T>(
        &self,
        caller: Caller<AsAuditor>,
        purpose: ReasonCode,
        subject: Subject,
        (moment, present): (Moment, bool),
        body: T,
    ) -> Result<Answered<T>, ApiError> {
        let as_of = (!present).then_some(moment);
        let caller = self.look(caller, purpose, subject, (None, as_of)).await?;
        Ok(self.shared.standing_at(&caller, moment.position, body))
    }

    /// Makes durable that the caller is about to be shown something, and gives them back.
    pub(crate) async fn look(
        &self,
        caller: Caller<AsAuditor>,
        purpose: ReasonCode,
        subject: Subject,
        (from, as_of): (Option<Moment>, Option<Moment>),
    ) -> Result<Caller<AsAuditor>, ApiError> {
        let acting = Acting::unasked(caller)?;
        let time = |moment: Option<Moment>| moment.map(|moment| moment.now);
        let (case, shown) = subject.case.unzip();
        let look = Look {
            looked: subject.looked,
            purpose,
            member: subject.member,
            other: subject.other,
            conversation: subject.conversation,
            case,
            shown,
            from: time(from),
            as_of: time(as_of),
        };
        self.shared
            .carry_out(&acting, Command::DiscloseToAuditor { look })
            .await?;
        Ok(acting.caller)
    }
}

/// The moment that a text names: a position, or a time.
fn when(field: &'static str, text: &str) -> Result<When, ApiError> {
    audit_documents::when(text).ok_or_else(|| {
        ApiError::field(
            Code::InvalidQuery,
            field,
            "It has to be a position, or a time of RFC 3339 such as `2026-01-31T12:00:00Z`.",
        )
    })
}

/// What the auditor looks for; `audit` when they do not say.
pub(crate) fn purpose(given: Option<&str>) -> Result<ReasonCode, ApiError> {
    ReasonCode::new(given.unwrap_or("audit")).map_err(|_| {
        ApiError::field(
            Code::InvalidQuery,
            "purpose",
            "It has to be 1-64 characters of `a-z 0-9 _`; `audit` when it is absent.",
        )
    })
}

/// Nothing is known of what was asked for, at that moment.
pub(crate) fn unknown(what: &str, moment: Moment) -> ApiError {
    let detail = if moment.position == Position::START {
        "That is before the first event of the log: nothing was known.".to_owned()
    } else {
        format!("{what} was not known as of position {}.", moment.position)
    };
    ApiError::with_detail(Code::NotFound, detail)
}

/// The same where a query found nothing.
pub(crate) fn or_unknown<T>(
    found: Result<T, impl Into<PastError>>,
    what: &str,
    moment: Moment,
) -> Result<T, ApiError> {
    found.map_err(|error| {
        let error: PastError = error.into();
        if let PastError::Query(QueryError::NotFound) = error {
            unknown(what, moment)
        } else {
            error.into()
        }
    })
}

fn bear(moment: Moment, looked_at: Timestamp, place: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(BORNE_BYTES + place.len());
    content.extend_from_slice(&moment.position.0.to_be_bytes());
    content.extend_from_slice(&moment.now.0.to_be_bytes());
    content.extend_from_slice(&looked_at.0.to_be_bytes());
    content.extend_from_slice(place);
    content
}

fn borne(content: &[u8]) -> Option<(Moment, Timestamp, Vec<u8>)> {
    let (position, rest) = content.split_first_chunk::<8>()?;
    let (now, rest) = rest.split_first_chunk::<8>()?;
    let (looked_at, place) = rest.split_first_chunk::<8>()?;
    let moment = Moment {
        position: Position(u64::from_be_bytes(*position)),
        now: Timestamp(i64::from_be_bytes(*now)),
    };
    let looked_at = Timestamp(i64::from_be_bytes(*looked_at));
    Some((moment, looked_at, place.to_vec()))
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_cursor_bears_its_moment_and_its_look() {
        let moment = Moment {
            position: Position(7),
            now: Timestamp(-9),
        };
        let content = bear(moment, Timestamp(5), b"place");
        assert_eq!(
            borne(&content),
            Some((moment, Timestamp(5), b"place".to_vec()))
        );
        assert_eq!(borne(b"short"), None);
    }

    #[test]
    fn a_moment_is_a_position_or_a_time() {
        assert_eq!(when("as_of", "12").unwrap(), When::At(Position(12)));
        let time = when("as_of", "1970-01-01T00:00:00.012Z").unwrap();
        assert_eq!(time, When::Time(Timestamp(12)));
        for none in [
            "",
            "-1",
            "now",
            "1e3",
            "99999999999999999999999",
            "2004-01-02",
        ] {
            assert!(when("as_of", none).is_err(), "{none}");
        }
    }
}
