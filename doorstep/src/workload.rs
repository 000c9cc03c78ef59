//! The college workload: real messages of a college social network, as the commands that would have carried them.
//!
//! Who wrote to whom and when comes from one file, what they wrote from another, in turn. Everybody is an adult,
//! registered on 1 January 2004 with audience `everyone`, so first contacts become requests. A recipient reports the
//! first `spam` text among the stored messages of each request that they never answer, at the time of that message.
//! Which messages will be stored follows from two rules that are foreseen here: the daily limit of new requests and
//! the cap of messages in one. Tests and `bench` read the same generator; `doorstep workload` prints it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::Path;

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat};

use crate::line::{Line, LineCommand};

/// When everybody registered.
const REGISTERED_AT: &str = "2004-01-01T00:00:00.000Z";
/// Requests that a member may open within a day.
const REQUESTS_A_DAY: usize = 20;
/// Messages that a request holds at most.
const REQUEST_MESSAGES: u64 = 3;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// One message of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Who wrote.
    pub from: u32,
    /// Whom to.
    pub to: u32,
    /// When, in Unix seconds.
    pub at_seconds: i64,
}

/// A text and whether people marked it as spam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Marked as spam.
    pub spam: bool,
    /// What it says.
    pub text: String,
}

/// The two files, read.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The messages in the order sent.
    pub contacts: Vec<Contact>,
    /// The texts that they carry in turn.
    pub texts: Vec<Text>,
}

impl Workload {
    /// Reads the two files.
    pub fn read(messages: &Path, texts: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Self::parse(&read(messages)?, &read(texts)?)
    }

    /// Parses the two files: `src dst time` a line below a header, and `ham` or `spam`, a tab and a text a line.
    pub fn parse(messages: &str, texts: &str) -> anyhow::Result<Self> {
        let contacts = messages.lines().enumerate().skip(1).map(|(index, line)| {
            contact(line).with_context(|| {
                format!("line {} of the messages is not `src dst time`", index + 1)
            })
        });
        let texts = texts
            .split('\n')
            .filter(|line| !line.is_empty())
            .enumerate()
            .map(|(index, line)| {
                let (kind, text) = line
                    .split_once('\t')
                    .with_context(|| format!("line {} of the texts has no tab", index + 1))?;
                match kind {
                    "ham" | "spam" => Ok(Text {
                        spam: kind == "spam",
                        text: text.to_owned(),
                    }),
                    other => bail!(
                        "line {} of the texts is `{other}`, not ham or spam",
                        index + 1
                    ),
                }
            });
        let workload = Self {
            contacts: contacts.collect::<Result<_, _>>()?,
            texts: texts.collect::<Result<_, _>>()?,
        };
        if workload.texts.is_empty() {
            bail!("there are no texts");
        }
        Ok(workload)
    }

    /// The commands, in order: registrations, audiences, then each message and the report it meets.
    pub fn lines(&self) -> Vec<Line> {
        let members: BTreeSet<u32> = self.contacts.iter().flat_map(|c| [c.from, c.to]).collect();
        let mut lines = Vec::with_capacity(self.contacts.len() + 2 * members.len());
        for member in &members {
            lines.push(Line {
                id: format!("register-{member}"),
                at: REGISTERED_AT.to_owned(),
                command: LineCommand::RegisterMember {
                    member: member.to_string(),
                    age_band: "adult".to_owned(),
                    registered_at: None,
                },
            });
        }
        for member in &members {
            lines.push(Line {
                id: format!("audience-{member}"),
                at: REGISTERED_AT.to_owned(),
                command: LineCommand::ChangeDmSetting {
                    member: member.to_string(),
                    audience: "everyone".to_owned(),
                },
            });
        }
        let reported = self.reported();
        for (index, contact) in self.contacts.iter().enumerate() {
            let at = time(contact.at_seconds);
            lines.push(Line {
                id: format!("message-{index}"),
                at: at.clone(),
                command: LineCommand::SendMessage {
                    member: contact.from.to_string(),
                    to: contact.to.to_string(),
                    text: self.text(index).text.clone(),
                },
            });
            if let Some(number) = reported.get(&index) {
                lines.push(Line {
                    id: format!("report-{index}"),
                    at,
                    command: LineCommand::ReportMessage {
                        member: contact.to.to_string(),
                        with: contact.from.to_string(),
                        messages: vec![*number],
                        category: "spam".to_owned(),
                        comment: None,
                        also: None,
                    },
                });
            }
        }
        lines
    }

    /// The text that message `index` carries.
    pub fn text(&self, index: usize) -> &Text {
        static NONE: Text = Text {
            spam: false,
            text: String::new(),
        };
        self.texts
            .get(index % self.texts.len().max(1))
            .unwrap_or(&NONE)
    }

    /// Which messages are reported, with their number in the conversation.
    fn reported(&self) -> HashMap<usize, u64> {
        let mut last_written: HashMap<(u32, u32), usize> = HashMap::new();
        for (index, contact) in self.contacts.iter().enumerate() {
            last_written.insert((contact.from, contact.to), index);
        }
        let mut opened: HashMap<(u32, u32), Opened> = HashMap::new();
        let mut slots: HashMap<u32, VecDeque<i64>> = HashMap::new();
        let mut done: HashSet<(u32, u32)> = HashSet::new();
        let mut reported = HashMap::new();
        for (index, contact) in self.contacts.iter().enumerate() {
            let direction = (contact.from, contact.to);
            let back = (contact.to, contact.from);
            if opened.contains_key(&back) {
                continue;
            }
            let slots = slots.entry(contact.from).or_default();
            while slots
                .front()
                .is_some_and(|at| contact.at_seconds - at >= DAY_SECONDS)
            {
                slots.pop_front();
            }
            if !opened.contains_key(&direction) {
                if slots.len() >= REQUESTS_A_DAY {
                    continue;
                }
                slots.push_back(contact.at_seconds);
            }
            let request = opened.entry(direction).or_insert(Opened {
                by: index,
                messages: 0,
            });
            if request.messages >= REQUEST_MESSAGES {
                continue;
            }
            request.messages += 1;
            let answered = last_written
                .get(&back)
                .is_some_and(|last| *last > request.by);
            if !answered && self.text(index).spam && done.insert(direction) {
                reported.insert(index, request.messages);
            }
        }
        reported
    }
}

/// A request: the message that opened it, and how many it holds.
struct Opened {
    by: usize,
    messages: u64,
}

/// Reads `src dst time`.
fn contact(line: &str) -> Option<Contact> {
    let mut fields = line.split(' ');
    let contact = Contact {
        from: fields.next()?.parse().ok()?,
        to: fields.next()?.parse().ok()?,
        at_seconds: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(contact)
}

/// Unix seconds as RFC 3339 in UTC with milliseconds.
fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}
