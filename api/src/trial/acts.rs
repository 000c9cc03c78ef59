//! `POST /try/act`: one form is one command of one of the two, carried out as the interface carries it out.
//!
//! A form that another site sent, or that was made for another browser, does nothing. What is refused is told on the page
//! itself, with the form as it was sent; what is done leads to the page anew, which waits for it.

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use commands::{Command, Target};
use domain::conversation::{DeleteMode, GivenRelationship};
use domain::ids::{CommandId, ConversationId, MemberId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::asked::{Asked, Done, Slot, conversation};
use super::page;
use super::refused::Refused;
use super::told::{self, Act};
use super::{COOKIE, trial};
use crate::app::{Shared, State};
use crate::caller::{Access, Acting, AsMemberUnlimited, AsSender, Caller, ShownPosition};
use crate::pages::form::Fields;
use crate::pages::guard::from_elsewhere;
use crate::pages::see;
use crate::problem::{ApiError, Code};
use crate::routes::appeals::named;
use crate::tokens::Principal;
use crate::words;

/// What a form says.
struct Asking {
    asked: Asked,
    slot: Slot,
    act: Act,
    key: String,
    fields: Fields,
}

/// Carries a form out.
pub(super) async fn act(Extract(shared): Extract<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asking = async {
        let trial = trial(&shared)?;
        if from_elsewhere(&parts.headers) {
            return Err(not_from_here());
        }
        let fields = Fields::read(&shared, &parts.headers, body).await?;
        let cookie = COOKIE.of(&parts.headers).unwrap_or_default();
        let current = COOKIE.marked(&shared, cookie, fields.text("csrf"));
        let asked = Asked::of(&Fields::of_query(parts.uri.query())?, trial)?;
        Ok((trial, asking(fields, asked)?, current))
    };
    let (trial, asking, current) = match asking.await {
        Ok(asking) => asking,
        Err(error) => return page::failed(error),
    };
    if !current {
        let refused = Refused::of(asking.slot, asking.act, asking.fields, &out_of_date());
        return page::answer(&shared, trial, &parts.headers, &asking.asked, Some(refused)).await;
    }
    match carried_out(&shared, &asking).await {
        Ok((done, at)) => {
            let mut asked = asking.asked.clone();
            if matches!(asking.act, Act::Send) {
                *asking.slot.of_mut(&mut asked.open) = done.on;
            }
            asked.done = Some(done);
            asked.at = Some(at);
            see(&asked.address())
        }
        Err(error) => {
            let refused = refused(&shared, &asking, &error).await;
            page::answer(&shared, trial, &parts.headers, &asking.asked, Some(refused)).await
        }
    }
}

fn not_from_here() -> ApiError {
    let words = "The form was not made by this page for this browser, so nothing was done. Load the page again and send it once more.";
    ApiError::with_detail(Code::Forbidden, words)
}

/// What a form is told whose mark is not this browser's, or not any more.
fn out_of_date() -> ApiError {
    let words = "The form was not made for this browser as it is now, so nothing was done. What was typed is kept: send it once more.";
    ApiError::with_detail(Code::Forbidden, words)
}

fn asking(fields: Fields, asked: Asked) -> Result<Asking, ApiError> {
    let slot = Slot::named(fields.text("side"));
    let act = Act::named(fields.text("do"));
    let (Some(slot), Some(act)) = (slot, act) else {
        return Err(unreadable("do"));
    };
    Ok(Asking {
        key: fields.text("key").to_owned(),
        asked,
        slot,
        act,
        fields,
    })
}

/// What only a form that is none of ours can be told.
fn unreadable(field: &'static str) -> ApiError {
    let words = "It is not what the forms of this page send; load the page again.";
    ApiError::field(Code::InvalidBody, field, words)
}

impl Asking {
    fn member(&self) -> &MemberId {
        self.slot.of(&self.asked.members)
    }

    /// The id of the command: that of the form, which may offer several things to do.
    fn id(&self) -> Result<CommandId, ApiError> {
        if self.key.is_empty() {
            return Err(unreadable("key"));
        }
        CommandId::new(&format!("{}.{}", self.key, self.act.as_str()))
            .map_err(|_| unreadable("key"))
    }

    /// The member that a form names, of the sample or not.
    fn other(&self) -> Result<MemberId, ApiError> {
        MemberId::new(self.fields.text("other")).map_err(|_| unreadable("other"))
    }

    fn on(&self) -> Result<ConversationId, ApiError> {
        conversation(self.fields.text("on")).ok_or_else(|| unreadable("on"))
    }

    fn target(&self) -> Result<Target, ApiError> {
        self.on().map(Target::Conversation)
    }

    /// A word of the wire that a form names.
    fn word<T: DeserializeOwned>(&self, field: &'static str) -> Result<T, ApiError> {
        let word = Value::from(self.fields.text(field));
        serde_json::from_value(word).map_err(|_| unreadable(field))
    }

    /// The conversation that it is about; none where it is about none.
    fn about(&self) -> Option<ConversationId> {
        match self.act {
            Act::Send | Act::Block | Act::Unblock => {
                let other = self.other().ok()?;
                Some(ConversationId::of(self.member(), &other))
            }
            Act::Accept
            | Act::Delete
            | Act::DeleteFinal
            | Act::Restore
            | Act::Report
            | Act::Unsend
            | Act::MoveToRequests => self.on().ok(),
            Act::Audience | Act::Appeal => None,
        }
    }

    async fn command(&self, shared: &State) -> Result<Command, ApiError> {
        let numbers = |field: &'static str| {
            let all = self.fields.all(field).map(str::parse);
            all.collect::<Result<Vec<u64>, _>>()
                .map_err(|_| unreadable(field))
        };
        Ok(match self.act {
            Act::Send => Command::SendMessage {
                to: self.other()?,
                text: self.fields.text("text").to_owned(),
                relationship: GivenRelationship::default(),
            },
            Act::Accept => Command::AcceptRequest {
                target: self.target()?,
            },
            Act::Delete => Command::DeleteRequest {
                target: self.target()?,
                mode: DeleteMode::Quiet,
            },
            Act::DeleteFinal => Command::DeleteRequest {
                target: self.target()?,
                mode: DeleteMode::Final,
            },
            Act::Restore => Command::RestoreRequest {
                target: self.target()?,
            },
            Act::MoveToRequests => Command::MoveToRequests {
                target: self.target()?,
            },
            Act::Unsend => Command::UnsendMessage {
                target: self.target()?,
                number: numbers("message")?.first().copied().unwrap_or_default(),
            },
            Act::Report => Command::ReportMessage {
                target: self.target()?,
                messages: numbers("message")?,
                category: self.word::<words::Category>("category")?.into(),
                comment: self.fields.text("comment").to_owned(),
                also: self.word::<words::Also>("also")?.into(),
            },
            Act::Block => Command::BlockMember {
                other: self.other()?,
            },
            Act::Unblock => Command::UnblockMember {
                other: self.other()?,
            },
            Act::Audience => Command::ChangeDmSetting {
                audience: self.word::<words::Audience>("audience")?.into(),
            },
            Act::Appeal => {
                let (case, decision) = named(shared, self.fields.text("decision")).await?;
                Command::AppealDecision {
                    case,
                    decision,
                    text: self.fields.text("text").to_owned(),
                }
            }
        })
    }
}

/// A member of the sample as a caller of the interface.
pub(super) async fn caller<A: Access>(
    shared: &Shared,
    member: &MemberId,
) -> Result<Caller<A>, ApiError> {
    Caller::admitted(shared, Principal::of_the_sample(member.clone())).await
}

async fn carried_out(shared: &State, asking: &Asking) -> Result<(Done, String), ApiError> {
    let (command, command_id) = (asking.command(shared).await?, asking.id()?);
    let position = if asking.act == Act::Send {
        let caller = caller::<AsSender>(shared, asking.member()).await?;
        shared.limiter.may_send(asking.member().as_str())?;
        carry_out(shared, caller, &command_id, command).await?
    } else {
        let caller = caller::<AsMemberUnlimited>(shared, asking.member()).await?;
        carry_out(shared, caller, &command_id, command).await?
    };
    let ShownPosition::Opaque(position) = position else {
        return Err(ApiError::new(Code::Internal));
    };
    let done = Done {
        by: asking.slot,
        act: asking.act,
        command: command_id,
        on: asking.about(),
    };
    Ok((done, position))
}

async fn carry_out<A>(
    shared: &State,
    caller: Caller<A>,
    command_id: &CommandId,
    command: Command,
) -> Result<ShownPosition, ApiError> {
    let acting = Acting {
        caller,
        command_id: command_id.clone(),
        id_given: true,
        at: None,
    };
    let (_, position) = shared.carry_out(&acting, command).await?;
    Ok(position)
}

async fn refused(shared: &State, asking: &Asking, error: &ApiError) -> Refused {
    let why = match (asking.about(), asking.id()) {
        (Some(on), Ok(id)) => told::decision(shared, on, asking.member(), &id).await,
        _ => None,
    };
    let mut refused = Refused::of(asking.slot, asking.act, asking.fields.clone(), error);
    refused.why = why.map(|decision| told::plain(&decision.words));
    refused
}
