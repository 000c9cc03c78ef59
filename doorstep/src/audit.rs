//! `audit`: what was known, shown and changed as of a moment, from a data folder at rest or from a running service.
//!
//! Both print the same object. A service records each look in its log (`/v1/audit/…`); at rest nothing is written, not
//! even that, which is said on standard error: whoever holds the folder can read it anyway.

use std::sync::Arc;

use anyhow::Context as _;
use api::audit_documents as documents;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::{EventStore, Position};
use projections::{Moment, Past, PastError, QueryError, Subject, When};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::{self, AuditWhat};
use crate::compose::{self, DataFolder, OnCluster};
use crate::failure::{Done, Failure};
use crate::remote::Service;

/// Prints what was asked for.
pub(crate) async fn run(args: &cli::Audit) -> Done {
    let asked = Asked::of(args)?;
    let answer = match Service::of(&args.remote)? {
        Some(service) => remote(&service, &asked).await?,
        None => at_rest(&DataFolder::at(&args.folder.data), &asked).await?,
    };
    println!("{answer}");
    Ok(())
}

/// What is asked, checked as far as the line itself goes.
struct Asked<'a> {
    args: &'a cli::Audit,
    /// The conversation that the id may be.
    conversation: Option<ConversationId>,
}

impl<'a> Asked<'a> {
    fn of(args: &'a cli::Audit) -> Result<Self, Failure> {
        let conversation = Uuid::try_parse(&args.id)
            .ok()
            .filter(|_| args.id.len() == 36)
            .map(ConversationId);
        let spans = args.from.is_some() || args.to.is_some();
        match args.what {
            AuditWhat::Diff if args.from.is_none() || args.to.is_none() => {
                Err(Failure::usage("audit diff needs --from and --to"))
            }
            AuditWhat::Diff if args.as_of.is_some() => Err(Failure::usage(
                "audit diff takes --from and --to, not --as-of",
            )),
            AuditWhat::Member | AuditWhat::Conversation | AuditWhat::Disclosures if spans => {
                Err(Failure::usage("--from and --to are for audit diff"))
            }
            AuditWhat::Disclosures if args.as_of.is_some() => Err(Failure::usage(
                "audit disclosures takes no --as-of: it tells all looks, each with its time",
            )),
            AuditWhat::Conversation if conversation.is_none() => Err(Failure::usage(
                "the id of a conversation is a UUID, as `conversation_id` tells it",
            )),
            AuditWhat::Member | AuditWhat::Diff | AuditWhat::Disclosures
                if MemberId::new(&args.id).is_err() =>
            {
                Err(Failure::usage(
                    "an id is 1 to 128 of the characters A-Z a-z 0-9 . _ : -",
                ))
            }
            AuditWhat::Member
            | AuditWhat::Conversation
            | AuditWhat::Diff
            | AuditWhat::Disclosures => Ok(Self { args, conversation }),
        }
    }

    fn id(&self) -> &str {
        &self.args.id
    }
}

/// The answer of a folder's log.
async fn at_rest(folder: &DataFolder, asked: &Asked<'_>) -> Result<Value, Failure> {
    let log: Arc<dyn EventStore> = Arc::new(compose::open_at_rest(folder, OnCluster::Asked)?);
    eprintln!("doorstep: read at rest: that it was looked at is not recorded");
    let past = Past::at_rest(Arc::clone(&log)).await?;
    let clock = Timestamp(chrono::Utc::now().timestamp_millis());
    let moment = async |flag: &str, text: Option<&str>| -> Result<Moment, Failure> {
        let when = match text {
            Some(text) => documents::when(text).ok_or_else(|| no_moment(flag))?,
            None => When::At(past.end()),
        };
        past.moment(when, clock).await.map_err(|error| match error {
            PastError::BeyondEnd { end } => {
                anyhow::anyhow!("--{flag} has not come: the log ends at position {end}").into()
            }
            error @ (PastError::TooMuch(_)
            | PastError::Incomplete { .. }
            | PastError::TooManyChanges(_)
            | PastError::Wait(_)
            | PastError::Query(_)) => error.into(),
        })
    };
    let args = asked.args;
    let member = || MemberId::new(asked.id()).context("an id was checked");
    let answer = match (args.what, asked.conversation) {
        (AuditWhat::Member, _) => {
            let moment = moment("as-of", args.as_of.as_deref()).await?;
            (documents::member(&past, &member()?, moment).await, moment)
        }
        (AuditWhat::Conversation, Some(id)) => {
            let moment = moment("as-of", args.as_of.as_deref()).await?;
            (documents::conversation(&past, id, moment).await, moment)
        }
        (AuditWhat::Conversation, None) => return Err(Failure::usage("no conversation's id")),
        (AuditWhat::Disclosures, _) => {
            let moment = moment("as-of", None).await?;
            (documents::disclosures(log, &member()?).await, moment)
        }
        (AuditWhat::Diff, conversation) => {
            let from = moment("from", args.from.as_deref()).await?;
            let to = moment("to", args.to.as_deref()).await?;
            if from.position > to.position {
                return Err(Failure::usage("--to is before --from"));
            }
            let subject = match conversation {
                Some(id) => match past.members_of(id, to.position).await {
                    Ok(_) => Subject::Conversation(id),
                    Err(PastError::Query(QueryError::NotFound)) => Subject::Member(member()?),
                    Err(error) => return Err(error.into()),
                },
                None => Subject::Member(member()?),
            };
            if let Subject::Member(member) = &subject {
                // Of one who was not known nothing changed; that is an answer of its own.
                documents::member(&past, member, to)
                    .await
                    .map_err(|error| not_known(asked, error, to.position))?;
            }
            (documents::diff(&past, &subject, from, to).await, to)
        }
    };
    let (answer, moment) = answer;
    answer.map_err(|error| not_known(asked, error, moment.position))
}

fn no_moment(flag: &str) -> Failure {
    Failure::usage(format!(
        "--{flag} is a position, or a time of RFC 3339 such as 2026-01-31T12:00:00Z"
    ))
}

fn not_known(asked: &Asked<'_>, error: PastError, position: Position) -> Failure {
    if let PastError::Query(QueryError::NotFound) = error {
        anyhow::anyhow!("{} was not known as of position {position}", asked.id()).into()
    } else {
        error.into()
    }
}

/// The answer of a running service.
async fn remote(service: &Service, asked: &Asked<'_>) -> Result<Value, Failure> {
    let args = asked.args;
    match (args.what, asked.conversation) {
        (AuditWhat::Member, _) => {
            let of = Of::new(service, format!("/v1/audit/members/{}", asked.id()), args);
            let (setting, at) = of.one("dm-setting", args.as_of.as_deref()).await?;
            let as_of = args.as_of.clone().unwrap_or_else(|| at.to_string());
            Ok(json!({
                "member": asked.id(),
                "position": at,
                "dm_setting": setting,
                "unread": of.one("unread", Some(&as_of)).await?.0,
                "inbox": of.list("inbox", &as_of).await?,
                "requests": of.list("requests", &as_of).await?,
                "blocks": of.list("blocks", &as_of).await?,
            }))
        }
        (AuditWhat::Conversation, _) => {
            let path = format!("/v1/audit/conversations/{}", asked.id());
            let of = Of::new(service, path, args);
            let (facts, at) = of.one("relationship", args.as_of.as_deref()).await?;
            let as_of = args.as_of.clone().unwrap_or_else(|| at.to_string());
            let messages = if facts.get("messages").and_then(Value::as_u64) == Some(0) {
                Vec::new()
            } else {
                of.list("messages", &as_of).await?
            };
            Ok(json!({
                "conversation_id": asked.id(),
                "position": at,
                "relationship": facts,
                "messages": messages,
            }))
        }
        (AuditWhat::Disclosures, _) => {
            let of = Of::new(service, format!("/v1/audit/members/{}", asked.id()), args);
            let first = vec![("limit", "200".to_owned())];
            let (items, at) = of.pages("disclosures", first).await?;
            Ok(json!({ "member": asked.id(), "position": at, "disclosures": items }))
        }
        (AuditWhat::Diff, conversation) => {
            let span = [("from", args.from.clone()), ("to", args.to.clone())];
            let span: Vec<(&str, String)> = span
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            if conversation.is_some() {
                let path = format!("/v1/audit/conversations/{}", asked.id());
                let of = Of::new(service, path, args);
                if let Some((answer, _)) = of.found("diff", &span).await? {
                    return Ok(answer);
                }
            }
            let of = Of::new(service, format!("/v1/audit/members/{}", asked.id()), args);
            Ok(of.ask("diff", &span).await?.0)
        }
    }
}

/// What a service answers of one subject.
struct Of<'a> {
    service: &'a Service,
    path: String,
    purpose: &'a Option<String>,
}

impl<'a> Of<'a> {
    fn new(service: &'a Service, path: String, args: &'a cli::Audit) -> Self {
        Self {
            service,
            path,
            purpose: &args.purpose,
        }
    }

    /// An answer, with the position it stands at.
    async fn ask(&self, what: &str, query: &[(&str, String)]) -> Result<(Value, u64), Failure> {
        let mut query = query.to_vec();
        query.extend(self.purpose.iter().map(|told| ("purpose", told.clone())));
        let path = format!("{}/{what}", self.path);
        let answer = self.service.get(&path, &query, "application/json").await?;
        let at = answer
            .headers()
            .get("doorstep-position")
            .and_then(|position| position.to_str().ok()?.parse().ok())
            .context("the service did not say as of when")?;
        let body = answer.json().await.context("the answer broke off")?;
        Ok((body, at))
    }

    /// The same; none where there is nothing of that name.
    async fn found(
        &self,
        what: &str,
        query: &[(&str, String)],
    ) -> Result<Option<(Value, u64)>, Failure> {
        match self.ask(what, query).await {
            Err(Failure::Failed(error)) if error.to_string().contains(", not_found: ") => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn one(&self, what: &str, as_of: Option<&str>) -> Result<(Value, u64), Failure> {
        let query: Vec<(&str, String)> = as_of
            .iter()
            .map(|as_of| ("as_of", (*as_of).to_owned()))
            .collect();
        self.ask(what, &query).await
    }

    /// A list whole.
    async fn list(&self, what: &str, as_of: &str) -> Result<Vec<Value>, Failure> {
        let first = vec![("limit", "200".to_owned()), ("as_of", as_of.to_owned())];
        Ok(self.pages(what, first).await?.0)
    }

    /// The items of all pages from this first one on, and the position they stand at.
    async fn pages(
        &self,
        what: &str,
        first: Vec<(&str, String)>,
    ) -> Result<(Vec<Value>, u64), Failure> {
        let (mut items, mut query) = (Vec::new(), first);
        loop {
            let (mut page, at) = self.ask(what, &query).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(cursor) => {
                    query = vec![("limit", "200".to_owned()), ("cursor", cursor.to_owned())];
                }
                None => return Ok((items, at)),
            }
        }
    }
}
