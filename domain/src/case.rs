//! The moderators' file on one reported member in one conversation.
//!
//! Protects: a report is in its case once, however often a reactor brings it; a case that was never opened discloses
//! nothing. Stream `case-{uuid}`, the uuid being [`CaseId::of`] its conversation and reported member.
//!
//! State is bounded: beside whom it is about it keeps of the reports their count, the inputs of the case's priority, and the version in the conversation's
//! stream up to which they were taken. All reports of a case come from one conversation, in the order of its versions,
//! so *already joined* is *not above that version*. The other acts of moderators (claim, note, escalate, decide,
//! appeal, reverse, and the reopening of a decided case by a newly reported message) extend `Event`, `State` and
//! `Command` here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Recorded;
use crate::ids::{CaseId, ConversationId, MemberId, ReasonCode, ReportId};
use crate::policy::REPORT_MESSAGES_MAX;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// The stream of a case.
pub fn stream(case: CaseId) -> String {
    format!("case-{case}")
}

/// What a report complains of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Category {
    Spam,
    Scam,
    Harassment,
    Hate,
    SexualContent,
    MinorSafety,
    Violence,
    SelfHarm,
    Impersonation,
    IllegalGoods,
    Other,
}

impl Category {
    /// Every category, in the order of the domain's page.
    pub const ALL: [Category; 11] = [
        Category::Spam,
        Category::Scam,
        Category::Harassment,
        Category::Hate,
        Category::SexualContent,
        Category::MinorSafety,
        Category::Violence,
        Category::SelfHarm,
        Category::Impersonation,
        Category::IllegalGoods,
        Category::Other,
    ];

    /// How urgent a report of this category is, 1 to 5. The page asks for a severity and gives no numbers: harm to
    /// life and to minors first, then harm done to a person, then to their purse, then nuisance.
    pub const fn severity(self) -> u8 {
        match self {
            Category::MinorSafety | Category::SelfHarm => 5,
            Category::Violence => 4,
            Category::Hate | Category::Harassment | Category::SexualContent => 3,
            Category::Scam | Category::Impersonation | Category::IllegalGoods => 2,
            Category::Spam | Category::Other => 1,
        }
    }
}

/// What orders the queue. The rule stands here alone: [`PriorityInputs::rank`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PriorityInputs {
    /// Severity of the worst category reported, 1 to 5.
    pub severity: u8,
    /// Different members who reported this member within 90 days, in any conversation; reports over their reporters'
    /// daily limit do not count.
    pub reporters: u32,
    /// Earlier cases against this member that were upheld.
    pub upheld: u32,
    /// Whether every report of the case was over its reporter's daily limit: such a case is sorted last.
    pub over_limit: bool,
}

impl PriorityInputs {
    /// Days within which reporters count.
    pub const REPORTERS_DAYS: u32 = 90;

    /// The inputs once a report joins a case with these inputs, or opens one: they change at reports and at nothing else.
    /// While a report within its reporter's daily limit is there, those over theirs do not make the case graver.
    #[must_use]
    pub fn at_report(
        before: Option<PriorityInputs>,
        severity: u8,
        over_limit: bool,
        reporters: u32,
        upheld: u32,
    ) -> PriorityInputs {
        let severity = match before {
            Some(before) if before.over_limit == over_limit => before.severity.max(severity),
            Some(before) if over_limit => before.severity,
            Some(_) | None => severity,
        };
        PriorityInputs {
            severity,
            reporters,
            upheld,
            over_limit: over_limit && before.is_none_or(|before| before.over_limit),
        }
    }

    /// Higher comes first; among equals the case opened earlier comes first. Cases within the reporters' daily limits
    /// come before all others; then the severity decides, then how many members complain (no difference above
    /// 65,535), then how many earlier cases were upheld (above 255 alike).
    pub fn rank(&self) -> u64 {
        let reporters = u64::from(self.reporters.min(0xffff));
        let upheld = u64::from(self.upheld.min(0xff));
        (u64::from(!self.over_limit) << 32)
            | (u64::from(self.severity) << 24)
            | (reporters << 8)
            | upheld
    }
}

/// What happens to a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The file is opened.
    CaseOpened(CaseOpened),
    /// A report belongs to it; the first, too.
    ReportJoined(ReportJoined),
    /// Its content was shown to somebody.
    ContentDisclosed(ContentDisclosed),
}

/// `case-opened.v1`: the moderators' file on a reported member is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseOpened {
    /// The case itself.
    pub case: CaseId,
    /// The conversation the reports come from.
    pub conversation: ConversationId,
    /// The member reported.
    pub reported: MemberId,
    /// The other member of the conversation, who reported; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<MemberId>,
}

/// `report-joined.v2`: a report belongs to the case; the first, too. It records what the case's priority follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportJoined {
    /// The report.
    pub report_id: ReportId,
    /// Version of the `messages-reported` event in the conversation's stream.
    pub conversation_version: u64,
    /// Who reported.
    pub reporter: MemberId,
    /// The member reported.
    pub reported: MemberId,
    /// What for.
    pub category: Category,
    /// How urgent a report of this category was held to be, 1 to 5.
    #[schemars(range(min = 1, max = 5))]
    pub severity: u8,
    /// How many messages it newly names.
    #[schemars(range(min = 1, max = REPORT_MESSAGES_MAX))]
    pub messages: u32,
    /// Made beyond the reporter's daily limit.
    pub over_limit: bool,
    /// Different members who reported this member within 90 days, this one among them, when it joined. Reports over
    /// their reporters' daily limit do not count.
    pub reporters: u32,
    /// Earlier cases against this member that were upheld, when it joined.
    pub upheld: u32,
}

/// `content-disclosed.v1`: the case's content was shown to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentDisclosed {
    /// Who read.
    pub by: MemberId,
    /// The member whose case it is.
    pub reported: MemberId,
    /// What for.
    pub purpose: ReasonCode,
    /// The conversation that the messages are of; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The other member of the conversation, who reported; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<MemberId>,
    /// Which messages; absent in old events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<ShownMessages>,
}

/// The messages of a case that somebody is shown, by number, ascending. A case shows a bounded number of reports, a
/// report names a bounded number of messages, and around each are few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownMessages {
    /// The reported ones, as they were sent.
    pub reported: Vec<u64>,
    /// Those around them.
    pub around: Vec<u64>,
}

impl Event {
    /// The members the event concerns, for its header: the two of the conversation. Of an old event without its
    /// reporter the reported one alone; who acts is in the header already.
    pub fn members(&self) -> [Option<&MemberId>; 2] {
        match self {
            Event::CaseOpened(opened) => [Some(&opened.reported), opened.reporter.as_ref()],
            Event::ReportJoined(joined) => [Some(&joined.reported), Some(&joined.reporter)],
            Event::ContentDisclosed(disclosed) => {
                [Some(&disclosed.reported), disclosed.reporter.as_ref()]
            }
        }
    }
}

/// What decisions about a case need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    reported: Option<MemberId>,
    reporter: Option<MemberId>,
    conversation: Option<ConversationId>,
    opened_at: Option<Timestamp>,
    reports: u32,
    priority: Option<PriorityInputs>,
    joined_up_to: Option<Joined>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Joined {
    conversation_version: u64,
    version: u64,
}

impl State {
    /// Whether there is a case at all.
    pub fn exists(&self) -> bool {
        self.reported.is_some()
    }

    /// When it was opened, if it was.
    pub fn opened_at(&self) -> Option<Timestamp> {
        self.opened_at
    }

    /// How many reports joined it.
    pub fn reports(&self) -> u32 {
        self.reports
    }

    /// What its place in the queue follows from, as its last report recorded it; none before any report.
    pub fn priority(&self) -> Option<PriorityInputs> {
        self.priority
    }
}

/// What may be asked of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A report was made: by the reactor, from the conversation's event.
    JoinReport(JoinReport),
    /// Somebody is about to be shown the case.
    DiscloseCase {
        /// Who reads.
        by: MemberId,
        /// What for.
        purpose: ReasonCode,
        /// Which messages.
        shown: ShownMessages,
    },
}

/// A report on its way into its case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReport {
    /// The conversation it was made in.
    pub conversation: ConversationId,
    /// Version of the `messages-reported` event in that conversation's stream.
    pub conversation_version: u64,
    /// The report.
    pub report_id: ReportId,
    /// Who reported.
    pub reporter: MemberId,
    /// The member reported.
    pub reported: MemberId,
    /// What for.
    pub category: Category,
    /// How many messages it newly names.
    pub messages: u32,
    /// Made beyond the reporter's daily limit.
    pub over_limit: bool,
    /// Different members who reported this member within 90 days, this one among them.
    pub reporters: u32,
    /// Earlier cases against this member that were upheld.
    pub upheld: u32,
}

/// The events that carry a command out; none when the report has joined already. Every disclosure is an event of its
/// own, however often the same member reads.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::JoinReport(report) => Ok(join(state, report)),
        Command::DiscloseCase { by, purpose, shown } => {
            let reported = state.reported.clone().ok_or_else(Rejection::not_found)?;
            Ok(vec![Event::ContentDisclosed(ContentDisclosed {
                by: by.clone(),
                reported,
                purpose: purpose.clone(),
                conversation: state.conversation,
                reporter: state.reporter.clone(),
                shown: Some(shown.clone()),
            })])
        }
    }
}

/// The version of the event that made a command already so, when `decide` gives no event. For a report that joined
/// before later ones it is the latest join.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    match command {
        Command::JoinReport(_) => state.joined_up_to.map(|joined| joined.version),
        Command::DiscloseCase { .. } => None,
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, recorded: Recorded, event: &Event) {
    match event {
        Event::CaseOpened(opened) => {
            state
                .reported
                .get_or_insert_with(|| opened.reported.clone());
            state.conversation.get_or_insert(opened.conversation);
            state.opened_at.get_or_insert(recorded.at);
        }
        Event::ReportJoined(joined) => {
            state
                .reporter
                .get_or_insert_with(|| joined.reporter.clone());
            state.reports = state.reports.saturating_add(1);
            state.priority = Some(PriorityInputs::at_report(
                state.priority,
                joined.severity,
                joined.over_limit,
                joined.reporters,
                joined.upheld,
            ));
            let conversation_version = state
                .joined_up_to
                .map_or(0, |so_far| so_far.conversation_version)
                .max(joined.conversation_version);
            state.joined_up_to = Some(Joined {
                conversation_version,
                version: recorded.version,
            });
        }
        Event::ContentDisclosed(_) => {}
    }
}

fn join(state: &State, report: &JoinReport) -> Vec<Event> {
    if state
        .joined_up_to
        .is_some_and(|joined| joined.conversation_version >= report.conversation_version)
    {
        return Vec::new();
    }
    let mut events = Vec::with_capacity(2);
    if !state.exists() {
        events.push(Event::CaseOpened(CaseOpened {
            case: CaseId::of(report.conversation, &report.reported),
            conversation: report.conversation,
            reported: report.reported.clone(),
            reporter: Some(report.reporter.clone()),
        }));
    }
    events.push(Event::ReportJoined(ReportJoined {
        report_id: report.report_id,
        conversation_version: report.conversation_version,
        reporter: report.reporter.clone(),
        reported: report.reported.clone(),
        category: report.category,
        severity: report.category.severity(),
        messages: report.messages,
        over_limit: report.over_limit,
        reporters: report.reporters,
        upheld: report.upheld,
    }));
    events
}

#[cfg(test)]
mod spec {
    use super::*;

    fn id(name: &str) -> MemberId {
        MemberId::new(name).unwrap()
    }

    fn conversation() -> ConversationId {
        ConversationId::of(&id("ann"), &id("bob"))
    }

    fn report(conversation_version: u64) -> Command {
        Command::JoinReport(JoinReport {
            conversation: conversation(),
            conversation_version,
            report_id: ReportId(uuid::Uuid::from_u64_pair(0, conversation_version)),
            reporter: id("ann"),
            reported: id("bob"),
            category: Category::Scam,
            messages: 1,
            over_limit: false,
            reporters: 1,
            upheld: 0,
        })
    }

    fn disclose() -> Command {
        Command::DiscloseCase {
            by: id("mod"),
            purpose: ReasonCode::new("review").unwrap(),
            shown: ShownMessages {
                reported: vec![2],
                around: vec![1, 3],
            },
        }
    }

    /// The state after these commands, all of them carried out.
    fn given(commands: &[Command]) -> State {
        let mut state = State::default();
        let mut version = 0;
        for command in commands {
            for event in decide(&state, command).unwrap() {
                evolve(
                    &mut state,
                    Recorded {
                        version,
                        at: Timestamp(9),
                    },
                    &event,
                );
                version += 1;
            }
        }
        state
    }

    #[test]
    fn opens_a_case_with_its_first_report() {
        let events = decide(&State::default(), &report(4)).unwrap();
        assert!(matches!(events.as_slice(), [
            Event::CaseOpened(opened),
            Event::ReportJoined(joined),
        ] if opened.case == CaseId::of(conversation(), &id("bob")) && joined.conversation_version == 4));
    }

    #[test]
    fn joins_a_later_report() {
        let state = given(&[report(4)]);
        let events = decide(&state, &report(7)).unwrap();
        assert!(matches!(events.as_slice(), [Event::ReportJoined(_)]));
        assert_eq!(state.reports(), 1);
    }

    /// A report of its own: category, beyond the reporter's limit, reporters then.
    fn told(version: u64, category: Category, over_limit: bool, reporters: u32) -> Command {
        let Command::JoinReport(report) = report(version) else {
            unreachable!()
        };
        Command::JoinReport(JoinReport {
            category,
            over_limit,
            reporters,
            ..report
        })
    }

    fn priority(commands: &[Command]) -> (u8, u32, bool) {
        let inputs = given(commands).priority().expect("a report joined");
        (inputs.severity, inputs.reporters, inputs.over_limit)
    }

    #[test]
    fn works_its_priority_out_at_each_report_from_what_it_records() {
        let spam = told(1, Category::Spam, false, 1);
        assert_eq!(given(&[]).priority(), None);
        assert_eq!(priority(std::slice::from_ref(&spam)), (1, 1, false));
        let hate = told(2, Category::Hate, false, 4);
        assert_eq!(priority(&[spam.clone(), hate.clone()]), (3, 4, false));
        let again = told(3, Category::Spam, false, 2);
        assert_eq!(priority(&[spam, hate, again]), (3, 2, false));
    }

    #[test]
    fn leaves_its_priority_as_it_is_when_its_content_is_disclosed() {
        let reported = [told(1, Category::Hate, false, 3)];
        let disclosed = [reported[0].clone(), disclose(), disclose()];
        assert_eq!(priority(&disclosed), priority(&reported));
    }

    #[test]
    fn is_no_graver_by_reports_beyond_the_daily_limit() {
        let over = told(1, Category::MinorSafety, true, 0);
        let within = told(2, Category::Spam, false, 1);
        let over_again = told(3, Category::Violence, true, 1);
        assert_eq!(priority(std::slice::from_ref(&over)), (5, 0, true));
        assert_eq!(priority(&[over.clone(), within.clone()]), (1, 1, false));
        assert_eq!(priority(&[over, within, over_again]), (1, 1, false));
    }

    #[test]
    fn stays_quiet_at_a_report_brought_again() {
        let state = given(&[report(4), report(7)]);
        for version in [4, 7] {
            assert_eq!(decide(&state, &report(version)), Ok(Vec::new()));
            assert_eq!(already(&state, &report(version)), Some(2));
        }
    }

    #[test]
    fn discloses_an_open_case_each_time_anew() {
        let state = given(&[report(4), disclose()]);
        let events = decide(&state, &disclose()).unwrap();
        assert!(
            matches!(events.as_slice(), [Event::ContentDisclosed(disclosed)] if disclosed.reported == id("bob"))
        );
    }

    /// Who saw a member's messages, and which, is found by the member, whoever reported whom.
    #[test]
    fn names_both_members_in_everything_and_what_was_shown_of_them() {
        let mut state = State::default();
        let (bob, ann) = (id("bob"), id("ann"));
        let two = [Some(&bob), Some(&ann)];
        for command in [report(4), report(7), disclose()] {
            for event in decide(&state, &command).unwrap() {
                assert_eq!(event.members(), two, "{event:?}");
                if let Event::ContentDisclosed(disclosed) = &event {
                    let shown = disclosed.shown.clone().unwrap();
                    assert_eq!((shown.reported, shown.around), (vec![2], vec![1, 3]));
                    assert_eq!(disclosed.conversation, Some(conversation()));
                    assert_eq!(disclosed.by, id("mod"));
                }
                let at = Timestamp(9);
                evolve(&mut state, Recorded { version: 0, at }, &event);
            }
        }
    }

    #[test]
    fn knows_no_case_without_a_report() {
        assert_eq!(
            decide(&State::default(), &disclose()),
            Err(Rejection::not_found())
        );
    }

    #[test]
    fn ranks_by_severity_then_reporters_then_upheld_and_what_is_over_the_limit_last() {
        let inputs = |severity, reporters, upheld, over_limit| {
            PriorityInputs {
                severity,
                reporters,
                upheld,
                over_limit,
            }
            .rank()
        };
        assert!(inputs(1, 1, 0, false) > inputs(5, 100, 9, true));
        assert!(inputs(3, 1, 0, false) > inputs(2, 100_000, 1_000, false));
        assert!(inputs(3, 2, 0, false) > inputs(3, 1, 255, false));
        assert!(inputs(3, 2, 1, false) > inputs(3, 2, 0, false));
        assert_eq!(inputs(3, 65_535, 0, false), inputs(3, u32::MAX, 0, false));
    }
}
