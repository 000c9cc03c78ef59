//! The read side: one file per view.
//!
//! Each view answers one question from rows it made of the log's events, and nothing else: no clock, no lookups, no
//! side effects; thrown away and rebuilt it has the same bytes. [`ReadSide`] opens them all on the runner of `tables`
//! and answers the queries; texts that no row keeps are read from the log. Who may ask what is the interface's.
//! Views of one's own (`own`) stand beside the built-in ones.

// So that the file of an own view reads the same here as in `examples/`.
extern crate self as projections;

mod as_of;
mod blocked;
mod care;
mod case;
mod codec;
mod conversation;
mod decisions;
mod disclosures;
mod doorstep;
mod error;
mod feed;
mod inbox;
mod iso_week;
mod last_message;
mod members;
mod moderation_log;
mod moderation_queue;
mod own;
mod own_rows;
#[cfg(test)]
mod own_spec;
mod own_view;
mod page;
mod pairs;
mod read_side;
mod registry;
mod reports;
mod requests;
pub mod rows;
mod speakers;
mod texts;
mod thread;
mod times;
mod topic;
mod transparency;
mod unread;
mod views;

pub use as_of::{
    AsOf, Bounds, Decision, Diff, Moment, Outcome, PairFacts, Past, PastError, RowChange, Shown,
    SideFacts, Statement, Subject, TimelinePage, When, Which,
};
pub use blocked::BlockItem;
pub use care::{Beginning, CareError, Last};
pub use case::{
    Case, CaseAnswer, CaseAppeal, CaseDecision, CaseMessage, CaseNote, CaseReport, CaseReversal,
    EvidenceItem, MemberHistory,
};
pub use codec::DomainCodec;
pub use conversation::MessageItem;
pub use decisions::{OwnAppeal, OwnDecision, OwnReversal};
pub use disclosures::{DisclosureItem, LookedAs};
pub use error::{QueryError, WaitError};
pub use feed::{Change, Changed, Changes};
pub use inbox::InboxItem;
pub use iso_week::{IsoWeek, NoWeek};
pub use last_message::LastMessage;
pub use members::{DmSetting, Member, Suspension};
pub use moderation_log::{ActProgress, Done, LogItem, LogLine};
pub use moderation_queue::{
    Act, ActStep, CaseState, QueueCounts, QueueFilter, QueueItem, QueueSort,
};
pub use own::{names, own_views};
pub use own_rows::{Narrowed, Why, WrongParameter};
pub use own_view::{List, OWN_NAME_BYTES_MAX, OwnView, Part, Staff};
pub use page::{Answer, Cursor, LIMIT_DEFAULT, LIMIT_MAX, Page, PageRequest};
pub use pairs::PairItem;
pub use read_side::{Options, ReadSide};
pub use registry::{ViewName, views};
pub use reports::{ReportItem, ReportOutcome, ReportState};
pub use requests::{Relationship, RequestItem};
pub use tables::{
    Letter, Order, Reconsidered as Tried, Retry, SetAside, Status, Verified, ViewState, Work,
};
pub use transparency::{Day, DecisionFigure, MedianTime, Source, Transparency};
pub use unread::Unread;
