//! The rules of a member's stream as sentences: given what happened, when a command comes, then these events.
//!
//! Everything is about Ann, registered on day 100; events and refusals are told in short words.

use std::sync::Arc;

use super::*;
use crate::event::Recorded;
use crate::ids::{DecisionId, ReasonCode};
use crate::policy::InForce;
use crate::time::HOUR_MS;

const ANN: &str = "ann";

/// What happened to Ann so far, and the time.
#[derive(Clone)]
struct Story {
    state: State,
    next_version: u64,
    at: Timestamp,
    rules: Rules,
}

fn unknown() -> Story {
    Story {
        state: State::default(),
        next_version: 0,
        at: Timestamp(0).plus_days(100),
        rules: Rules::default(),
    }
}

fn registered() -> Story {
    unknown().and(|at| register(AgeBand::Adult, None, at))
}

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn register(age_band: AgeBand, registered_at: Option<Timestamp>, at: Timestamp) -> Command {
    Command::RegisterMember {
        member: id(ANN),
        age_band,
        registered_at,
        at,
    }
}

fn choose(audience: Audience) -> impl Fn(Timestamp) -> Command {
    move |at| Command::ChangeDmSetting {
        member: id(ANN),
        audience,
        at,
    }
}

fn suspend_days(days: Option<u32>) -> impl Fn(Timestamp) -> Command {
    move |at| {
        Command::SuspendMember(SuspendMember {
            member: id(ANN),
            command_id: command_id(0),
            by: id("mod"),
            until: days.map(|days| at.plus_days(days)),
            reason: ReasonCode::new("spam").unwrap(),
            text: "You sent spam.".to_owned(),
            facts: "Ten letters.".to_owned(),
            at,
        })
    }
}

fn reinstate(at: Timestamp) -> Command {
    Command::ReinstateMember {
        member: id(ANN),
        by: id("mod"),
        at,
    }
}

fn end_suspension(at: Timestamp) -> Command {
    let suspended_at = Timestamp(0).plus_days(100);
    Command::EndRestriction {
        member: id(ANN),
        decision: DecisionId::by_hand(&id(ANN), &id("mod"), &command_id(0), suspended_at),
        at,
    }
}

fn conversation() -> ConversationId {
    ConversationId::of(&id(ANN), &id("bob"))
}

fn command_id(number: usize) -> CommandId {
    CommandId::new(&format!("c{number}")).unwrap()
}

fn policy() -> InForce {
    InForce {
        version: 0,
        rules: Arc::new(Rules::default()),
    }
}

fn take_slot(number: usize) -> impl Fn(Timestamp) -> Command {
    move |at| Command::TakeRequestSlot {
        member: id(ANN),
        conversation: conversation(),
        command_id: command_id(number),
        policy: policy(),
        at,
    }
}

fn return_slot(number: usize) -> impl Fn(Timestamp) -> Command {
    move |_| Command::ReturnRequestSlot {
        member: id(ANN),
        command_id: command_id(number),
    }
}

fn count_report(number: usize) -> impl Fn(Timestamp) -> Command {
    move |at| Command::CountReport {
        member: id(ANN),
        report_id: ReportId::of(&id(ANN), &command_id(number)),
        policy: policy(),
        at,
    }
}

impl Story {
    #[track_caller]
    fn and(mut self, command: impl Fn(Timestamp) -> Command) -> Story {
        let events = decide(&self.state, &command(self.at)).expect("the command is carried out");
        for event in &events {
            evolve(
                &mut self.state,
                Recorded {
                    version: self.next_version,
                    at: self.at,
                },
                event,
            );
            self.next_version += 1;
        }
        self
    }

    fn days(mut self, days: u32) -> Story {
        self.at = self.at.plus_days(days);
        self
    }

    fn hours(mut self, hours: i64) -> Story {
        self.at = self.at.plus_ms(hours * HOUR_MS);
        self
    }

    /// What comes of a command: events, the version that made it already so, or the refusal.
    fn when(self, command: impl Fn(Timestamp) -> Command) -> Told {
        let command = command(self.at);
        Told(match decide(&self.state, &command) {
            Err(rejection) => {
                let cause = rejection.cause().map(|cause| format!(" ({cause:?})"));
                format!("{}{}", rejection.code().as_str(), cause.unwrap_or_default())
            }
            Ok(events) if events.is_empty() => match already(&self.state, &command) {
                Some(version) => format!("unchanged since {version}"),
                None => "unchanged since ever".to_owned(),
            },
            Ok(events) => events.iter().map(brief).collect::<Vec<_>>().join("; "),
        })
    }

    fn facts(&self) -> Facts {
        self.state
            .facts(&self.rules, self.next_version, self.at)
            .expect("ann is registered")
    }

    fn setting(&self) -> (Audience, u64, u64) {
        let setting = self
            .state
            .dm_setting(&self.rules)
            .expect("ann is registered");
        (setting.audience, setting.version, setting.stream_version)
    }
}

struct Told(String);

impl Told {
    #[track_caller]
    fn then(self, expected: &str) {
        assert_eq!(self.0, expected);
    }
}

fn brief(event: &Event<'_>) -> String {
    let day = |at: Timestamp| at.0 / DAY_MS;
    match event {
        Event::MemberRegistered(event) => {
            let on = day(event.registered_at);
            format!("registered {:?} on day {on}", event.age_band)
        }
        Event::AgeBandChanged(event) => format!("now {:?}", event.age_band),
        Event::DmSettingChanged(event) => {
            format!("{:?}, version {}", event.audience, event.version)
        }
        Event::MemberSuspended(event) => {
            let until = event.until.map_or_else(
                || "for good".to_owned(),
                |until| format!("until day {}", day(until)),
            );
            format!("suspended {until} for {}", event.reason)
        }
        Event::MemberReinstated(_) => "reinstated".to_owned(),
        Event::MemberRestricted(event) => format!("restricted, {:?}", event.restriction),
        Event::RestrictionLifted(_) => "restriction lifted".to_owned(),
        Event::RestrictionEnded(event) => format!("restriction ended, {:?}", event.restriction),
        Event::SuspensionEnded(event) => format!("suspension ended on day {}", day(event.until)),
        Event::RequestSlotTaken(event) => format!("slot taken by {}", event.command_id),
        Event::RequestSlotReturned(event) => format!("slot returned by {}", event.command_id),
        Event::ReportCounted(event) if event.over_limit => "counted over limit".to_owned(),
        Event::ReportCounted(_) => "counted".to_owned(),
        Event::ReportLimitSet(event) => format!("{} reports a day count", event.per_day),
        Event::ReportLimitLifted(_) | Event::ReportLimitEnded(_) => "reports count".to_owned(),
    }
}

// Registration.

#[test]
fn registers_a_member_as_of_now_or_as_the_host_says() {
    unknown()
        .when(|at| register(AgeBand::Adult, None, at))
        .then("registered Adult on day 100");
    unknown()
        .when(|at| register(AgeBand::From16To17, Some(Timestamp(0).plus_days(3)), at))
        .then("registered From16To17 on day 3");
}

#[test]
fn stays_quiet_when_registered_twice() {
    registered()
        .days(1)
        .when(|at| register(AgeBand::Adult, None, at))
        .then("unchanged since 0");
    let since = Some(Timestamp(0).plus_days(100));
    registered()
        .days(1)
        .when(|at| register(AgeBand::Adult, since, at))
        .then("unchanged since 0");
}

#[test]
fn changes_an_age_band() {
    let grown = |at| register(AgeBand::From16To17, None, at);
    registered().when(grown).then("now From16To17");
    registered()
        .and(grown)
        .when(grown)
        .then("unchanged since 1");
}

#[test]
fn refuses_another_time_of_registration() {
    let later = Some(Timestamp(0).plus_days(101));
    registered()
        .when(|at| register(AgeBand::Adult, later, at))
        .then("registered_at_fixed");
}

#[test]
fn refuses_a_registration_that_is_yet_to_come() {
    let ahead = |ms| move |at: Timestamp| register(AgeBand::Adult, Some(at.plus_ms(ms)), at);
    unknown().when(ahead(5_001)).then("invalid_member");
    unknown()
        .when(ahead(5_000))
        .then("registered Adult on day 100");
}

// The DM setting.

#[test]
fn has_the_default_audience_of_its_age_band() {
    let of = |band| unknown().and(|at| register(band, None, at)).setting();
    assert_eq!(of(AgeBand::Adult), (Audience::FriendsAndSuggested, 1, 0));
    assert_eq!(of(AgeBand::From16To17), (Audience::NoOne, 1, 0));
    assert_eq!(of(AgeBand::Under16), (Audience::NoOne, 1, 0));
}

#[test]
fn follows_the_age_band_with_its_default_until_the_member_chooses() {
    let of_band = |band| move |at| register(band, None, at);
    let story = unknown()
        .and(of_band(AgeBand::From16To17))
        .and(of_band(AgeBand::Adult));
    assert_eq!(story.setting(), (Audience::FriendsAndSuggested, 2, 1));
    let story = story
        .and(choose(Audience::Friends))
        .and(of_band(AgeBand::From16To17));
    assert_eq!(story.setting(), (Audience::Friends, 3, 2));
}

#[test]
fn changes_the_audience_counting_its_versions() {
    registered()
        .when(choose(Audience::Everyone))
        .then("Everyone, version 2");
    let story = registered()
        .and(take_slot(1))
        .and(choose(Audience::Everyone))
        .and(take_slot(2));
    story.when(choose(Audience::NoOne)).then("NoOne, version 3");
}

#[test]
fn takes_a_choice_that_equals_the_default() {
    registered()
        .when(choose(Audience::FriendsAndSuggested))
        .then("FriendsAndSuggested, version 2");
}

#[test]
fn stays_quiet_at_the_audience_that_was_chosen() {
    registered()
        .and(choose(Audience::Everyone))
        .when(choose(Audience::Everyone))
        .then("unchanged since 1");
}

#[test]
fn refuses_a_setting_of_an_unknown_a_suspended_or_a_member_under_16() {
    unknown().when(choose(Audience::Everyone)).then("not_found");
    registered()
        .and(suspend_days(None))
        .when(choose(Audience::Everyone))
        .then("account_restricted (ActorSuspended)");
    unknown()
        .and(|at| register(AgeBand::Under16, None, at))
        .when(choose(Audience::Everyone))
        .then("account_restricted (ActorUnder16)");
}

// Suspension.

#[test]
fn suspends_until_a_time_or_for_good() {
    registered()
        .when(suspend_days(Some(7)))
        .then("suspended until day 107 for spam");
    registered()
        .when(suspend_days(None))
        .then("suspended for good for spam");
    assert!(
        registered()
            .and(suspend_days(None))
            .days(10_000)
            .facts()
            .suspended
    );
}

#[test]
fn replaces_a_suspension_by_another() {
    registered()
        .and(suspend_days(Some(7)))
        .when(suspend_days(None))
        .then("suspended for good for spam");
}

#[test]
fn stays_quiet_when_suspended_alike() {
    registered()
        .and(suspend_days(Some(7)))
        .when(suspend_days(Some(7)))
        .then("unchanged since 1");
}

#[test]
fn refuses_a_suspension_that_is_over_before_it_begins() {
    registered()
        .when(suspend_days(Some(0)))
        .then("invalid_suspension");
    unknown().when(suspend_days(None)).then("not_found");
}

#[test]
fn treats_a_passed_end_as_ended_before_its_event_is_there() {
    let story = registered().and(suspend_days(Some(7)));
    assert!(story.clone().days(6).facts().suspended);
    assert!(!story.clone().days(7).facts().suspended);
    story
        .days(7)
        .when(choose(Audience::Everyone))
        .then("Everyone, version 2");
}

#[test]
fn ends_a_suspension_by_an_event_when_it_is_due() {
    let story = registered().and(suspend_days(Some(7)));
    story
        .clone()
        .days(6)
        .when(end_suspension)
        .then("unchanged since 1");
    story
        .clone()
        .days(8)
        .when(end_suspension)
        .then("restriction ended, Suspension");
    story
        .days(8)
        .and(end_suspension)
        .when(end_suspension)
        .then("unchanged since 2");
}

#[test]
fn does_not_end_a_suspension_that_is_for_good() {
    registered()
        .and(suspend_days(None))
        .days(9)
        .when(end_suspension)
        .then("unchanged since 1");
}

#[test]
fn reinstates_a_suspended_member() {
    let story = registered().and(suspend_days(None));
    story.clone().when(reinstate).then("reinstated");
    assert!(!story.and(reinstate).facts().suspended);
}

#[test]
fn stays_quiet_when_reinstated_twice_or_never_suspended() {
    registered().when(reinstate).then("unchanged since ever");
    registered()
        .and(suspend_days(None))
        .and(reinstate)
        .when(reinstate)
        .then("unchanged since 2");
    registered()
        .and(suspend_days(Some(1)))
        .days(1)
        .when(reinstate)
        .then("unchanged since 1");
    unknown().when(reinstate).then("not_found");
}

// Slots of the daily request limit.

fn with_slots(story: Story, count: usize) -> Story {
    (0..count).fold(story, |story, number| story.and(take_slot(number)))
}

#[test]
fn takes_at_most_20_slots_within_24_hours() {
    let old = || registered().days(7);
    with_slots(old(), 19)
        .when(take_slot(99))
        .then("slot taken by c99");
    with_slots(old(), 20)
        .when(take_slot(99))
        .then("limit_reached (RequestsOfTheDay)");
    with_slots(old(), 20)
        .hours(23)
        .when(take_slot(99))
        .then("limit_reached (RequestsOfTheDay)");
    with_slots(old(), 20)
        .hours(24)
        .when(take_slot(99))
        .then("slot taken by c99");
}

#[test]
fn takes_at_most_5_slots_in_the_first_7_days() {
    with_slots(registered(), 4)
        .when(take_slot(99))
        .then("slot taken by c99");
    with_slots(registered(), 5)
        .when(take_slot(99))
        .then("limit_reached (RequestsOfTheDay)");
}

#[test]
fn takes_one_slot_for_a_command_that_asks_twice() {
    registered()
        .and(take_slot(1))
        .hours(1)
        .when(take_slot(1))
        .then("unchanged since 1");
}

#[test]
fn takes_a_slot_anew_for_another_conversation_or_another_day() {
    let elsewhere = |at| {
        let mut command = take_slot(1)(at);
        if let Command::TakeRequestSlot { conversation, .. } = &mut command {
            *conversation = ConversationId::of(&id(ANN), &id("zoe"));
        }
        command
    };
    let story = with_slots(registered(), 5);
    story.clone().when(elsewhere).then("slot taken by c1");
    let story = story.and(elsewhere);
    assert_eq!(story.state.slots_used(story.at, None), 5);
    registered()
        .and(take_slot(1))
        .hours(24)
        .when(take_slot(1))
        .then("slot taken by c1");
}

#[test]
fn gives_a_slot_back() {
    let story = with_slots(registered(), 5);
    story
        .clone()
        .when(return_slot(2))
        .then("slot returned by c2");
    story
        .clone()
        .and(return_slot(2))
        .when(take_slot(99))
        .then("slot taken by c99");
    story
        .and(return_slot(2))
        .when(return_slot(2))
        .then("unchanged since ever");
}

#[test]
fn tells_how_many_slots_others_use() {
    let story = with_slots(registered(), 3);
    assert_eq!(story.state.slots_used(story.at, None), 3);
    assert_eq!(story.state.slots_used(story.at, Some(&command_id(1))), 2);
    assert_eq!(story.state.slots_used(story.at.plus_days(1), None), 0);
}

#[test]
fn keeps_no_more_slots_than_24_hours_hold() {
    let story = (0..30).fold(registered().days(7), |story, number| {
        story.and(take_slot(number)).hours(2)
    });
    assert_eq!(story.state.slots.len(), 12);
}

// Reports of the day.

fn with_reports(count: usize) -> Story {
    (0..count).fold(registered(), |story, number| {
        story.and(count_report(number))
    })
}

#[test]
fn marks_the_51st_report_within_24_hours() {
    with_reports(49).when(count_report(99)).then("counted");
    with_reports(50)
        .when(count_report(99))
        .then("counted over limit");
    with_reports(50)
        .hours(24)
        .when(count_report(99))
        .then("counted");
}

#[test]
fn counts_a_report_once() {
    let story = with_reports(50).and(count_report(99));
    assert_eq!(
        story.state.counted(ReportId::of(&id(ANN), &command_id(99))),
        Some(true)
    );
    story.when(count_report(99)).then("unchanged since 51");
}

#[test]
fn tells_other_decisions_what_they_need() {
    let facts = registered().and(choose(Audience::Everyone)).facts();
    let expected = Facts {
        version: 2,
        registered_at: Timestamp(0).plus_days(100),
        age_band: AgeBand::Adult,
        suspended: false,
        limited: false,
        audience: Audience::Everyone,
        setting_version: 2,
    };
    assert_eq!(facts, expected);
    assert_eq!(
        unknown().state.facts(&Rules::default(), 0, Timestamp(0)),
        None
    );
}
