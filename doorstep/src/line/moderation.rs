//! Lines of moderators about more than one case, about reporters, and about a case that is decided once more.

use commands::Command;
use domain::act::SeenCase;
use domain::case::{Action, Ruling};
use domain::ids::{ActId, CaseId, MemberId, ReasonCode};
use serde::{Deserialize, Serialize};

use super::At;

/// `DecideCases`: many cases of `other` as one act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideCases {
    member: MemberId,
    other: MemberId,
    cases: Vec<SeenCase>,
    action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<At>,
    reason: ReasonCode,
    #[serde(default)]
    text: String,
    #[serde(default)]
    facts: String,
}

/// `ReverseCases`: such an act taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReverseCases {
    member: MemberId,
    act: ActId,
    reason: ReasonCode,
    #[serde(default)]
    text: String,
}

/// `ReopenCase`: a decided case is decided once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReopenCase {
    member: MemberId,
    case: CaseId,
    reason: ReasonCode,
    #[serde(default)]
    text: String,
}

/// `LimitReports`: how many reports of `other` count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitReports {
    member: MemberId,
    other: MemberId,
    #[serde(default)]
    per_day: u32,
    until: At,
    reason: ReasonCode,
}

/// `LiftReportLimit`: all of them count again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftReportLimit {
    member: MemberId,
    other: MemberId,
}

impl From<DecideCases> for (MemberId, Command) {
    fn from(line: DecideCases) -> Self {
        let command = Command::DecideCases {
            member: line.other,
            cases: line.cases,
            ruling: Ruling {
                action: line.action,
                until: line.until.map(|at| at.0),
                messages: Vec::new(),
                reason: line.reason,
                text: line.text,
                facts: line.facts,
            },
        };
        (line.member, command)
    }
}

impl From<ReverseCases> for (MemberId, Command) {
    fn from(line: ReverseCases) -> Self {
        let command = Command::ReverseCases {
            act: line.act,
            reason: line.reason,
            text: line.text,
        };
        (line.member, command)
    }
}

impl From<ReopenCase> for (MemberId, Command) {
    fn from(line: ReopenCase) -> Self {
        let command = Command::ReopenCase {
            case: line.case,
            reason: line.reason,
            text: line.text,
        };
        (line.member, command)
    }
}

impl From<LimitReports> for (MemberId, Command) {
    fn from(line: LimitReports) -> Self {
        let command = Command::LimitReports {
            member: line.other,
            per_day: line.per_day,
            until: line.until.0,
            reason: line.reason,
        };
        (line.member, command)
    }
}

impl From<LiftReportLimit> for (MemberId, Command) {
    fn from(line: LiftReportLimit) -> Self {
        let member = line.other;
        (line.member, Command::LiftReportLimit { member })
    }
}
