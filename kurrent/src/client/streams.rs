//! Which streams of a cluster are the log: all but the system's, or those of named categories.
//!
//! The server leaves the others out of what is read and followed; what it lets through beside them by the beginning of its
//! name is left out here.

use eventstore::SubscriptionFilter;

use super::{identity, lease};

/// Which streams are the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// All that are not the system's own.
    All,
    /// Those of these categories: `category-…`, or the bare category.
    Categories(&'static [&'static str]),
}

impl Streams {
    /// What the server is asked for.
    pub(super) fn filter(self) -> SubscriptionFilter {
        let by_name = SubscriptionFilter::on_stream_name();
        match self {
            Self::All => by_name.exclude_system_events(),
            Self::Categories(categories) => categories
                .iter()
                .fold(by_name, SubscriptionFilter::add_prefix),
        }
    }

    /// Whether a stream is of the log.
    pub(super) fn has(self, stream: &str) -> bool {
        match self {
            Self::All => {
                !stream.starts_with('$') && ![identity::STREAM, lease::STREAM].contains(&stream)
            }
            Self::Categories(categories) => {
                let category = stream
                    .split_once('-')
                    .map_or(stream, |(category, _)| category);
                categories.contains(&category)
            }
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_stream_is_of_the_log_by_its_whole_category() {
        let some = Streams::Categories(&["case", "policy"]);
        for (stream, all, named) in [
            ("case-1", true, true),
            ("policy", true, true),
            ("policyholder-1", true, false),
            ("orders-1", true, false),
            ("$ce-case", false, false),
            ("$$case-1", false, false),
            (identity::STREAM, false, false),
            (lease::STREAM, false, false),
        ] {
            assert_eq!((Streams::All.has(stream), some.has(stream)), (all, named));
        }
    }
}
