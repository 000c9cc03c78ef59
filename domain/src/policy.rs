//! The rules in force: limits, cooldowns and the audience table, as events of the one stream `policy`.
//!
//! Protects: a policy that is in force is valid ([`Rules::check`]), and every decision can name the one it used by its
//! version in this stream. State is the rules in force and the version that set them: bounded by [`Rules`].
//!
//! The first policy comes from configuration and has the Unix epoch as its `at`, so that every moment has one.
//! [`Rules::default`] is what the domain's page says. A policy has effect from the next decision on; nothing that was
//! decided under another is decided again.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Recorded;
use crate::member::AgeBand;
use crate::rejection::{Code, Rejection};
use crate::text::Limits;
use crate::time::Timestamp;

/// The stream of the rules.
pub const STREAM: &str = "policy";

/// The most requests a day that any policy may allow; it bounds the slots a member's state holds.
pub const REQUESTS_PER_DAY_MAX: u32 = 1_000;
/// The most reports a day before marking that any policy may set; it bounds the reports a member's state holds.
pub const REPORTS_PER_DAY_MAX: u32 = 1_000;
/// The most messages a report may name under any policy: their copies must fit one event.
pub const REPORT_MESSAGES_MAX: u32 = 20;
/// The most bytes of a message text under any policy.
pub const TEXT_BYTES_MAX: u32 = 8 * 1024;
/// The most bytes of a report's comment under any policy.
pub const COMMENT_BYTES_MAX: u32 = 8 * 1024;
/// The most cooldowns a policy may list.
pub const COOLDOWNS_MAX: usize = 16;
/// The longest span in days that a policy may set.
pub const DAYS_MAX: u32 = 3_650;

/// Whom a member lets write to them: the value of the DM setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Anyone; who is not followed knocks.
    Everyone,
    /// Whom the member follows.
    Following,
    /// Friends, and whom the host suggests to the member.
    FriendsAndSuggested,
    /// Friends alone.
    Friends,
    /// Nobody.
    NoOne,
}

/// What a sender is to the recipient: the column of the audience table that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The recipient follows the sender.
    RecipientFollows,
    /// The sender is suggested to the recipient.
    Suggested,
    /// Both follow each other.
    Friend,
    /// None of the others.
    Anyone,
}

/// Where the audience table lets a message go, from closed to open.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Nowhere.
    Refused,
    /// The request folder.
    Request,
    /// The inbox.
    Inbox,
}

/// One row of the audience table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AudienceRow {
    /// Where the sender goes whom the recipient follows.
    pub recipient_follows: Admission,
    /// Where the sender goes who is suggested to the recipient.
    pub suggested: Admission,
    /// Where a friend goes.
    pub friend: Admission,
    /// Where anyone else goes.
    pub anyone: Admission,
}

/// The audience table, a row per value of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AudienceTable {
    /// The row of the setting `everyone`.
    pub everyone: AudienceRow,
    /// The row of the setting `following`.
    pub following: AudienceRow,
    /// The row of the setting `friends_and_suggested`.
    pub friends_and_suggested: AudienceRow,
    /// The row of the setting `friends`.
    pub friends: AudienceRow,
    /// The row of the setting `no_one`: refused throughout, in every policy.
    pub no_one: AudienceRow,
}

/// What is known between sender and recipient when a message is routed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Relationship {
    /// The recipient follows the sender.
    pub recipient_follows: bool,
    /// The sender follows the recipient. Alone it opens nothing.
    pub sender_follows: bool,
    /// The sender is suggested to the recipient.
    pub suggested: bool,
}

impl AudienceTable {
    /// The row of a setting.
    pub fn row(&self, audience: Audience) -> &AudienceRow {
        match audience {
            Audience::Everyone => &self.everyone,
            Audience::Following => &self.following,
            Audience::FriendsAndSuggested => &self.friends_and_suggested,
            Audience::Friends => &self.friends,
            Audience::NoOne => &self.no_one,
        }
    }

    /// Where a sender of this relationship goes, and the class that says so: of the columns that apply the most open
    /// wins. Between equals the closer one is named (friend, then followed, then suggested), so that
    /// [`Class::Suggested`] with [`Admission::Inbox`] means *by suggestion alone*.
    pub fn admit(&self, audience: Audience, relationship: Relationship) -> (Admission, Class) {
        let row = self.row(audience);
        let mut best = None;
        let mut consider = |applies: bool, admission: Admission, class: Class| {
            if applies && best.is_none_or(|(so_far, _)| admission > so_far) {
                best = Some((admission, class));
            }
        };
        let friend = relationship.recipient_follows && relationship.sender_follows;
        consider(friend, row.friend, Class::Friend);
        consider(
            relationship.recipient_follows,
            row.recipient_follows,
            Class::RecipientFollows,
        );
        consider(relationship.suggested, row.suggested, Class::Suggested);
        best.unwrap_or((row.anyone, Class::Anyone))
    }
}

/// Everything a policy fixes. As data of an event it is read with the default of any field it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rules {
    /// Most graphemes of a message.
    #[schemars(range(min = 1, max = TEXT_BYTES_MAX))]
    pub text_graphemes_max: u32,
    /// Most bytes of a message.
    #[schemars(range(min = 1, max = TEXT_BYTES_MAX))]
    pub text_bytes_max: u32,
    /// Requests a member may open within 24 h.
    #[schemars(range(max = REQUESTS_PER_DAY_MAX))]
    pub requests_per_day: u32,
    /// The same for a member registered less than `new_member_days` ago.
    #[schemars(range(max = REQUESTS_PER_DAY_MAX))]
    pub requests_per_day_new: u32,
    /// How long a member is new, in days of 24 h.
    #[schemars(range(max = DAYS_MAX))]
    pub new_member_days: u32,
    /// Messages in a direction before its recipient accepts.
    #[schemars(range(min = 1, max = 1_000))]
    pub request_messages_max: u32,
    /// Cooldown after the first quiet delete, the second, and so on, in days of 24 h; after the last entry it runs
    /// until the recipient acts.
    #[schemars(length(max = COOLDOWNS_MAX), inner(range(max = DAYS_MAX)))]
    pub cooldown_days: Vec<u32>,
    /// How long a deleted request can be restored, in days of 24 h.
    #[schemars(range(max = DAYS_MAX))]
    pub restore_days: u32,
    /// Reports of one member within 24 h before further ones are marked.
    #[schemars(range(min = 1, max = REPORTS_PER_DAY_MAX))]
    pub reports_per_day: u32,
    /// Most messages one report names.
    #[schemars(range(min = 1, max = REPORT_MESSAGES_MAX))]
    pub report_messages_max: u32,
    /// Most graphemes of a report's comment.
    #[schemars(range(max = COMMENT_BYTES_MAX))]
    pub comment_graphemes_max: u32,
    /// Most bytes of a report's comment.
    #[schemars(range(max = COMMENT_BYTES_MAX))]
    pub comment_bytes_max: u32,
    /// The setting of an adult who has not chosen.
    pub default_audience_adult: Audience,
    /// The setting of a member of 16 or 17 who has not chosen.
    pub default_audience_16_17: Audience,
    /// Who goes where.
    pub audience_table: AudienceTable,
}

impl Default for Rules {
    fn default() -> Self {
        use Admission::{Inbox, Refused, Request};
        let row = |recipient_follows, suggested, friend, anyone| AudienceRow {
            recipient_follows,
            suggested,
            friend,
            anyone,
        };
        Rules {
            text_graphemes_max: 1_000,
            text_bytes_max: TEXT_BYTES_MAX,
            requests_per_day: 20,
            requests_per_day_new: 5,
            new_member_days: 7,
            request_messages_max: 3,
            cooldown_days: vec![7, 30],
            restore_days: 30,
            reports_per_day: 50,
            report_messages_max: REPORT_MESSAGES_MAX,
            comment_graphemes_max: 2_000,
            comment_bytes_max: COMMENT_BYTES_MAX,
            default_audience_adult: Audience::FriendsAndSuggested,
            default_audience_16_17: Audience::NoOne,
            audience_table: AudienceTable {
                everyone: row(Inbox, Request, Inbox, Request),
                following: row(Inbox, Refused, Inbox, Refused),
                friends_and_suggested: row(Refused, Inbox, Inbox, Refused),
                friends: row(Refused, Refused, Inbox, Refused),
                no_one: row(Refused, Refused, Refused, Refused),
            },
        }
    }
}

impl Rules {
    /// The limits of a message text.
    pub fn text_limits(&self) -> Limits {
        Limits {
            graphemes_max: self.text_graphemes_max,
            bytes_max: self.text_bytes_max,
        }
    }

    /// The limits of a report's comment.
    pub fn comment_limits(&self) -> Limits {
        Limits {
            graphemes_max: self.comment_graphemes_max,
            bytes_max: self.comment_bytes_max,
        }
    }

    /// How many requests a member registered at `registered_at` may open within 24 h, as of `at`.
    pub fn requests_per_day(&self, registered_at: Timestamp, at: Timestamp) -> u32 {
        if at < registered_at.plus_days(self.new_member_days) {
            self.requests_per_day_new
        } else {
            self.requests_per_day
        }
    }

    /// The setting of a member who has not chosen. Under 16 nothing is open, whatever the policy.
    pub fn default_audience(&self, age_band: AgeBand) -> Audience {
        match age_band {
            AgeBand::Under16 => Audience::NoOne,
            AgeBand::From16To17 => self.default_audience_16_17,
            AgeBand::Adult => self.default_audience_adult,
        }
    }

    /// Names the first field whose value no policy may have.
    pub fn check(&self) -> Result<(), Rejection> {
        let invalid = |field| Rejection::of_command(Code::InvalidPolicy).with_field(field);
        let within = |value: u32, least: u32, most: u32, field: &'static str| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(invalid(field).with_range(least.into(), most.into()))
            }
        };
        within(
            self.text_graphemes_max,
            1,
            TEXT_BYTES_MAX,
            "text_graphemes_max",
        )?;
        within(self.text_bytes_max, 1, TEXT_BYTES_MAX, "text_bytes_max")?;
        within(
            self.requests_per_day,
            0,
            REQUESTS_PER_DAY_MAX,
            "requests_per_day",
        )?;
        within(
            self.requests_per_day_new,
            0,
            REQUESTS_PER_DAY_MAX,
            "requests_per_day_new",
        )?;
        within(self.new_member_days, 0, DAYS_MAX, "new_member_days")?;
        within(self.request_messages_max, 1, 1_000, "request_messages_max")?;
        if self.cooldown_days.len() > COOLDOWNS_MAX
            || self.cooldown_days.iter().any(|days| *days > DAYS_MAX)
        {
            return Err(invalid("cooldown_days"));
        }
        within(self.restore_days, 0, DAYS_MAX, "restore_days")?;
        within(
            self.reports_per_day,
            1,
            REPORTS_PER_DAY_MAX,
            "reports_per_day",
        )?;
        within(
            self.report_messages_max,
            1,
            REPORT_MESSAGES_MAX,
            "report_messages_max",
        )?;
        within(
            self.comment_graphemes_max,
            0,
            COMMENT_BYTES_MAX,
            "comment_graphemes_max",
        )?;
        within(
            self.comment_bytes_max,
            0,
            COMMENT_BYTES_MAX,
            "comment_bytes_max",
        )?;
        let closed = AudienceRow {
            recipient_follows: Admission::Refused,
            suggested: Admission::Refused,
            friend: Admission::Refused,
            anyone: Admission::Refused,
        };
        if self.audience_table.no_one != closed {
            return Err(invalid("audience_table.no_one"));
        }
        Ok(())
    }
}

/// What happens to the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// These rules are in force from here on.
    PolicySet(PolicySet),
}

/// `policy-set.v1`: these rules are in force from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySet {
    /// All the rules, not only what changed.
    pub rules: Arc<Rules>,
}

/// The rules in force, if any were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    in_force: Option<InForce>,
}

/// Rules with the version that names them: the place in the stream `policy` of the event that set them. It is an
/// input of every decision that uses a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Version in the stream `policy`.
    pub version: u64,
    /// The rules.
    pub rules: Arc<Rules>,
}

impl State {
    /// What decisions use now; none before the first policy.
    pub fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_ref()
    }
}

/// What may be asked of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Put these in force, whole. Also sets the first policy.
    ChangePolicy {
        /// All the rules.
        rules: Arc<Rules>,
    },
}

/// The events that carry a command out; none when these rules are in force already. Refuses rules that no policy may
/// have (`invalid_policy`, naming the field), which depends on the command alone.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::ChangePolicy { rules } => {
            rules.check()?;
            if state
                .in_force()
                .is_some_and(|in_force| in_force.rules == *rules)
            {
                return Ok(Vec::new());
            }
            Ok(vec![Event::PolicySet(PolicySet {
                rules: Arc::clone(rules),
            })])
        }
    }
}

/// The version of the event that made a command already so, when `decide` gives no event.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    match command {
        Command::ChangePolicy { .. } => state.in_force().map(|in_force| in_force.version),
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, recorded: Recorded, event: &Event) {
    match event {
        Event::PolicySet(set) => {
            state.in_force = Some(InForce {
                version: recorded.version,
                rules: Arc::clone(&set.rules),
            });
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn change(state: &State, change: impl FnOnce(&mut Rules)) -> Result<Vec<Event>, Rejection> {
        let mut rules = Rules::default();
        change(&mut rules);
        decide(
            state,
            &Command::ChangePolicy {
                rules: Arc::new(rules),
            },
        )
    }

    fn in_force(version: u64) -> State {
        let mut state = State::default();
        let set = Event::PolicySet(PolicySet {
            rules: Arc::new(Rules::default()),
        });
        evolve(
            &mut state,
            Recorded {
                version,
                at: Timestamp::EPOCH,
            },
            &set,
        );
        state
    }

    #[test]
    fn sets_the_first_policy() {
        let events = change(&State::default(), |_| {}).unwrap();
        assert_eq!(
            events,
            [Event::PolicySet(PolicySet {
                rules: Arc::new(Rules::default())
            })]
        );
    }

    #[test]
    fn changes_a_policy_whole_and_names_it_by_its_version() {
        let mut state = in_force(0);
        let events = change(&state, |rules| rules.requests_per_day = 10).unwrap();
        evolve(
            &mut state,
            Recorded {
                version: 1,
                at: Timestamp(9),
            },
            &events[0],
        );
        let now = state.in_force().unwrap();
        assert_eq!(
            (
                now.version,
                now.rules.requests_per_day,
                now.rules.restore_days
            ),
            (1, 10, 30)
        );
    }

    #[test]
    fn stays_quiet_at_the_rules_in_force() {
        let state = in_force(4);
        let command = Command::ChangePolicy {
            rules: Arc::new(Rules::default()),
        };
        assert_eq!(decide(&state, &command), Ok(Vec::new()));
        assert_eq!(already(&state, &command), Some(4));
    }

    #[test]
    fn refuses_values_that_no_policy_may_have() {
        let refuses = |edit: fn(&mut Rules), field: &str| {
            let rejection = change(&in_force(0), edit).unwrap_err();
            assert_eq!(
                (rejection.code(), rejection.field()),
                (Code::InvalidPolicy, Some(field))
            );
            assert!(!rejection.recorded());
        };
        refuses(|rules| rules.text_graphemes_max = 0, "text_graphemes_max");
        refuses(
            |rules| rules.text_bytes_max = TEXT_BYTES_MAX + 1,
            "text_bytes_max",
        );
        refuses(|rules| rules.requests_per_day = 1_001, "requests_per_day");
        refuses(
            |rules| rules.requests_per_day_new = 1_001,
            "requests_per_day_new",
        );
        refuses(
            |rules| rules.new_member_days = DAYS_MAX + 1,
            "new_member_days",
        );
        refuses(
            |rules| rules.request_messages_max = 0,
            "request_messages_max",
        );
        refuses(|rules| rules.cooldown_days = vec![1; 17], "cooldown_days");
        refuses(|rules| rules.restore_days = DAYS_MAX + 1, "restore_days");
        refuses(|rules| rules.reports_per_day = 0, "reports_per_day");
        refuses(
            |rules| rules.report_messages_max = 21,
            "report_messages_max",
        );
        refuses(
            |rules| rules.comment_bytes_max = COMMENT_BYTES_MAX + 1,
            "comment_bytes_max",
        );
        refuses(
            |rules| rules.audience_table.no_one.friend = Admission::Inbox,
            "audience_table.no_one",
        );
    }

    #[test]
    fn reads_rules_of_an_older_policy_with_the_defaults_of_what_it_lacks() {
        let rules: Rules = serde_json::from_str(r#"{"restore_days": 9, "of_later": 1}"#).unwrap();
        assert_eq!(
            rules,
            Rules {
                restore_days: 9,
                ..Rules::default()
            }
        );
    }

    #[test]
    fn names_the_closer_class_between_equals() {
        let table = Rules::default().audience_table;
        let all = Relationship {
            recipient_follows: true,
            sender_follows: true,
            suggested: true,
        };
        assert_eq!(
            table.admit(Audience::FriendsAndSuggested, all),
            (Admission::Inbox, Class::Friend)
        );
        assert_eq!(
            table.admit(Audience::Everyone, all),
            (Admission::Inbox, Class::Friend)
        );
        let suggested = Relationship {
            suggested: true,
            ..Relationship::default()
        };
        assert_eq!(
            table.admit(Audience::Everyone, suggested),
            (Admission::Request, Class::Suggested)
        );
    }
}
