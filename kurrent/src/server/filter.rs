//! Which events a reader of the whole log asks for: by the beginning or a pattern of their stream's name or their type.
//!
//! Patterns are those of published clients, which send a negative look-ahead with every default read: no automaton has
//! that, so they are matched by backtracking, within bounds on a pattern's length and on the steps of one match.

use event_store::RecordedEvent;
use fancy_regex::{Regex, RegexBuilder};
use tonic::Status;

use crate::proto::event_store::client::streams::read_req::options::FilterOptions;
use crate::proto::event_store::client::streams::read_req::options::filter_options::{
    Expression, Filter as Asked, Window,
};

/// Bytes of a pattern at most.
const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Steps back that a match may take at most.
const STEPS_MAX: usize = 10_000;
/// Beginnings that a filter names at most.
const PREFIXES_MAX: usize = 256;
/// Events looked at between two checkpoints where the reader does not say.
const WINDOW: u64 = 1_024;
/// And at most, whatever the reader says.
const WINDOW_MAX: u64 = 1 << 20;

/// Which events are asked for.
pub(super) struct Filter {
    by: By,
    expression: Matching,
    /// Events looked at between two checkpoints.
    pub(super) window: u64,
}

enum By {
    Stream,
    Type,
}

enum Matching {
    Prefixes(Vec<String>),
    Pattern(Box<Regex>),
}

impl Filter {
    pub(super) fn new(asked: FilterOptions) -> Result<Self, Status> {
        let (by, expression) = match asked.filter {
            Some(Asked::StreamIdentifier(expression)) => (By::Stream, expression),
            Some(Asked::EventType(expression)) => (By::Type, expression),
            None => return Err(Status::invalid_argument("a filter without an expression")),
        };
        let each = match asked.window {
            Some(Window::Max(max)) => u64::from(max),
            Some(Window::Count(())) | None => WINDOW,
        };
        let times = u64::from(asked.checkpoint_interval_multiplier.max(1));
        Ok(Self {
            by,
            expression: Matching::new(expression)?,
            window: each.saturating_mul(times).clamp(1, WINDOW_MAX),
        })
    }

    /// Whether an event is asked for.
    pub(super) fn takes(&self, event: &RecordedEvent) -> Result<bool, Status> {
        let text = match self.by {
            By::Stream => event.stream(),
            By::Type => event.event_type(),
        };
        self.expression.matches(text)
    }
}

impl Matching {
    fn new(asked: Expression) -> Result<Self, Status> {
        if asked.regex.is_empty() {
            if asked.prefix.len() > PREFIXES_MAX {
                let what = format!("a filter names at most {PREFIXES_MAX} prefixes");
                return Err(Status::invalid_argument(what));
            }
            return Ok(Self::Prefixes(asked.prefix));
        }
        if asked.regex.len() > PATTERN_BYTES_MAX {
            let what = format!("a filter's pattern has at most {PATTERN_BYTES_MAX} bytes");
            return Err(Status::invalid_argument(what));
        }
        let built = RegexBuilder::new(&asked.regex)
            .backtrack_limit(STEPS_MAX)
            .build();
        let pattern = built.map_err(|error| {
            Status::invalid_argument(format!("not a pattern that is understood: {error}"))
        })?;
        Ok(Self::Pattern(Box::new(pattern)))
    }

    fn matches(&self, text: &str) -> Result<bool, Status> {
        match self {
            // No beginning at all leaves everything in.
            Self::Prefixes(prefixes) => {
                Ok(prefixes.is_empty() || prefixes.iter().any(|prefix| text.starts_with(prefix)))
            }
            Self::Pattern(pattern) => pattern.is_match(text).map_err(|_| {
                let what = format!("the filter's pattern takes more than {STEPS_MAX} steps");
                Status::invalid_argument(what)
            }),
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn pattern(regex: &str) -> Result<Matching, Status> {
        Matching::new(Expression {
            regex: regex.to_owned(),
            prefix: Vec::new(),
        })
    }

    #[test]
    fn a_negative_look_ahead_leaves_out_what_it_names() {
        // Of the Python client's and the Rust client's default readings.
        for regex in [r"^(?!(\$.+|PersistentConfig\d+|Result)$).*", r"^[^\$].*"] {
            let pattern = pattern(regex).unwrap();
            assert!(pattern.matches("message-sent.v1").unwrap(), "{regex}");
            assert!(!pattern.matches("$metadata").unwrap(), "{regex}");
        }
    }

    #[test]
    fn what_takes_too_long_is_refused() {
        assert!(pattern(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(pattern("(").is_err());
        // Each way to share out the letters is tried before it is clear that none ends in the first part again.
        let slow = pattern(r"^(?:(?=a)a|a|aa)+(?=c)").unwrap();
        let text = "a".repeat(200);
        let refused = slow.matches(&text).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(refused.message().contains("more than 10000 steps"));
    }

    #[test]
    fn beginnings_are_any_of_those_named() {
        let prefixes = Matching::new(Expression {
            regex: String::new(),
            prefix: vec!["conversation-".to_owned(), "case-".to_owned()],
        })
        .unwrap();
        assert!(prefixes.matches("case-1").unwrap());
        assert!(!prefixes.matches("member-ann").unwrap());
    }
}
