//! What a stream says, written as server-sent events or as lines of JSON.
//!
//! As lines: an event is its JSON, everything else an object with one field of another name, `reached`, `end` or `error`.
//! As server-sent events each of these is an event of that name, and an event of the log one of its type; `id` is the
//! position to go on after. `data` is one line always.

use std::io::Write as _;

use serde::Serialize;

use crate::caller::ShownPosition;
use crate::damage::Broken;
use crate::problem::Code;

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
}

/// When a client of `text/event-stream` tries again, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// Why a stream ends that could have gone on.
#[derive(Debug, Serialize)]
pub(crate) struct End {
    pub(crate) code: &'static str,
    pub(crate) detail: &'static str,
}

impl End {
    /// As many events as were asked for.
    pub(crate) const LIMIT: Self = End {
        code: "limit",
        detail: "These are as many events as were asked for.",
    };
    /// A part of the service is not well.
    pub(crate) const NOT_READY: Self = End {
        code: Code::NotReady.as_str(),
        detail: "The service is not ready to go on; follow again after the last position.",
    };
    /// The service stops.
    pub(crate) const STOPPING: Self = End {
        code: Code::NotReady.as_str(),
        detail: "The service stops; follow again after the last position.",
    };

    /// The token does not count any more.
    pub(crate) const fn of_token(code: Code) -> Self {
        End {
            code: code.as_str(),
            detail: "The token does not count any more; follow again after the last position, with a new one.",
        }
    }
}

impl Form {
    /// The media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Form::Events => "text/event-stream",
            Form::Lines => "application/x-ndjson",
        }
    }

    /// What a stream begins with.
    pub(crate) fn beginning(self, out: &mut Vec<u8>) {
        if self == Form::Events {
            let _ = write!(out, "retry: {RETRY_MS}\n\n");
        }
    }

    /// An event of the log.
    pub(crate) fn event(self, position: u64, event_type: &str, json: &[u8], out: &mut Vec<u8>) {
        if self == Form::Events {
            let _ = write!(out, "id: {position}\nevent: {event_type}\ndata: ");
        }
        out.extend_from_slice(json);
        out.extend_from_slice(self.line_end());
    }

    /// How far was looked.
    pub(crate) fn reached(self, position: &ShownPosition, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Reached<'a> {
            position: &'a ShownPosition,
        }
        self.said(Some(position), "reached", &Reached { position }, out);
    }

    /// Why it ends.
    pub(crate) fn end(self, end: &End, out: &mut Vec<u8>) {
        self.said(None, "end", end, out);
    }

    /// What could not be read.
    pub(crate) fn error(self, broken: &Broken, out: &mut Vec<u8>) {
        self.said(None, "error", broken, out);
    }

    /// That something failed, without where.
    pub(crate) fn failed(self, code: Code, out: &mut Vec<u8>) {
        let failed = End {
            code: code.as_str(),
            detail: code.meaning(),
        };
        self.said(None, "error", &failed, out);
    }

    /// A heartbeat that says nothing.
    pub(crate) fn comment(out: &mut Vec<u8>) {
        out.extend_from_slice(b":\n\n");
    }

    /// Something of a name, after which one can go on where it has an id.
    pub(crate) fn said(
        self,
        id: Option<&ShownPosition>,
        name: &str,
        said: &impl Serialize,
        out: &mut Vec<u8>,
    ) {
        if let (Form::Events, Some(id)) = (self, id) {
            out.extend_from_slice(b"id: ");
            out.extend_from_slice(id.to_header().as_bytes());
            out.push(b'\n');
        }
        // Writing into memory cannot fail.
        let _ = match self {
            Form::Events => write!(out, "event: {name}\ndata: "),
            Form::Lines => write!(out, "{{\"{name}\":"),
        };
        let _ = serde_json::to_writer(&mut *out, said);
        if self == Form::Lines {
            out.push(b'}');
        }
        out.extend_from_slice(self.line_end());
    }

    const fn line_end(self) -> &'static [u8] {
        match self {
            Form::Events => b"\n\n",
            Form::Lines => b"\n",
        }
    }
}
