//! Which events of the log somebody asks for: of a stream, of a type, concerning a member or done by them.
//!
//! One filter for `GET /v1/events` and for the program's own `events`. What can match nothing, because no event is of
//! that type or no stream of that category, is told as a mistake and not answered with nothing.

use domain::codec;
use domain::ids::MemberId;
use event_store::{RecordedEvent, StreamName};

use crate::near;

/// What streams are of, before the `-`; the rules have one stream of their own.
const CATEGORIES: [&str; 5] = ["conversation", "member", "case", "act", "reactor"];
/// Types that are named where one is not known.
const NEAREST: usize = 3;

/// Part of the log.
#[derive(Debug, Default)]
pub struct EventFilter {
    stream: Option<StreamName>,
    event_type: Option<String>,
    member: Option<String>,
}

/// A filter that matches nothing whatever the log holds.
#[derive(Debug, PartialEq, Eq)]
pub struct NoFilter {
    /// `stream`, `type` or `member`.
    pub field: &'static str,
    /// Why, in words.
    pub detail: String,
}

impl EventFilter {
    /// The filter of these names, each of which may be left out.
    pub fn of(
        stream: Option<&str>,
        event_type: Option<&str>,
        member: Option<&str>,
    ) -> Result<Self, NoFilter> {
        let stream = match stream {
            Some(name) => Some(stream_of(name).map_err(|detail| NoFilter {
                field: "stream",
                detail,
            })?),
            None => None,
        };
        if let Some(name) = event_type {
            check_type(name).map_err(|detail| NoFilter {
                field: "type",
                detail,
            })?;
        }
        if let Some(id) = member
            && MemberId::new(id).is_err()
        {
            return Err(NoFilter {
                field: "member",
                detail:
                    "It cannot be a member's id: 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
                        .to_owned(),
            });
        }
        Ok(Self {
            stream,
            event_type: event_type.map(str::to_owned),
            member: member.map(str::to_owned),
        })
    }

    /// The one stream that is asked for.
    pub fn stream(&self) -> Option<&StreamName> {
        self.stream.as_ref()
    }

    /// Whether an event is asked for.
    pub fn takes(&self, event: &RecordedEvent) -> bool {
        self.stream
            .as_ref()
            .is_none_or(|stream| event.stream() == stream.as_str())
            && self.event_type.as_ref().is_none_or(|wanted| {
                event.event_type() == wanted || codec::name(event.event_type()) == wanted
            })
            && self.member.as_ref().is_none_or(|wanted| {
                event.actor() == wanted || event.members().any(|member| member == wanted)
            })
    }
}

fn check_type(name: &str) -> Result<(), String> {
    let names = || codec::TYPES.iter().map(|known| known.name);
    if names().any(|known| known == name || codec::name(known) == name) {
        return Ok(());
    }
    // Likeness is of the names: a version that all share would make all alike.
    let current = codec::TYPES
        .iter()
        .filter(|known| known.superseded_by.is_none());
    let current = current.map(|known| codec::name(known.name));
    let nearest = near::nearest(codec::name(name), current, NEAREST);
    let nearest: Vec<&str> = nearest
        .into_iter()
        .flat_map(|near| names().filter(move |known| codec::name(known) == near))
        .collect();
    Err(format!(
        "No event is of the type `{name}`; the nearest are {}.",
        nearest.join(", ")
    ))
}

fn stream_of(name: &str) -> Result<StreamName, String> {
    let stream =
        StreamName::new(name).map_err(|_| "It cannot be the name of a stream.".to_owned())?;
    let id = stream
        .as_str()
        .strip_prefix(stream.category())
        .unwrap_or_default();
    let known = stream.as_str() == domain::policy::STREAM
        || (CATEGORIES.contains(&stream.category()) && id.len() > 1);
    if known {
        return Ok(stream);
    }
    Err(format!(
        "No stream is called `{name}`: there is `{}`, and {} each with `-` and an id.",
        domain::policy::STREAM,
        CATEGORIES
            .map(|category| format!("`{category}`"))
            .join(", ")
    ))
}

#[cfg(test)]
mod spec {
    use super::{EventFilter, stream_of};

    fn of_type(name: &str) -> Result<(), String> {
        EventFilter::of(None, Some(name), None)
            .map(drop)
            .map_err(|error| error.detail)
    }

    #[test]
    fn every_type_is_known_with_its_version_and_without() {
        for known in domain::codec::TYPES {
            assert_eq!(of_type(known.name), Ok(()));
            assert_eq!(of_type(domain::codec::name(known.name)), Ok(()));
        }
    }

    #[test]
    fn a_type_that_nothing_is_of_is_told_with_the_nearest() {
        for name in [
            "message-snet.v1",
            "message-sent.v9",
            "message",
            "MessageSent",
        ] {
            let told = of_type(name).unwrap_err();
            assert!(told.contains("message-sent.v1"), "{told}");
        }
        assert!(of_type("").is_err() && of_type("bogus").is_err());
    }

    #[test]
    fn the_streams_of_every_aggregate_are_known() {
        use domain::ids::{CaseId, ConversationId, MemberId};
        let [ann, bob] = ["ann", "bob"].map(|name| MemberId::new(name).unwrap());
        let conversation = ConversationId::of(&ann, &bob);
        for name in [
            domain::conversation::stream(conversation),
            domain::member::stream(&ann),
            domain::case::stream(CaseId::of(conversation, &bob)),
            domain::act::stream(&ann),
            domain::reactor::stream("cases"),
            domain::policy::STREAM.to_owned(),
        ] {
            stream_of(&name).unwrap();
        }
        for name in ["bogus-1", "member", "member-", "policy-1", "a b", ""] {
            stream_of(name).unwrap_err();
        }
    }
}
