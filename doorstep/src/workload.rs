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
use domain::case::Category;
use domain::conversation::Also;
use domain::ids::{CommandId, MemberId};
use domain::member::AgeBand;
use domain::policy::Audience;
use domain::time::Timestamp;

use crate::line::{At, Line, LineCommand};

/// When everybody registered: 1 January 2004, in Unix seconds.
const REGISTERED_AT_SECONDS: i64 = 1_072_915_200;
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
    pub fn lines(&self) -> anyhow::Result<Vec<Line>> {
        let members: BTreeSet<u32> = self.contacts.iter().flat_map(|c| [c.from, c.to]).collect();
        let mut lines = Vec::with_capacity(self.contacts.len() + 2 * members.len());
        for member in &members {
            lines.extend(registration(&member.to_string())?);
        }
        let reported = self.reported();
        for (index, contact) in self.contacts.iter().enumerate() {
            let (from, to) = (member(contact.from)?, member(contact.to)?);
            let text = self.text(index).text.clone();
            let send = LineCommand::SendMessage {
                member: from.clone(),
                to: to.clone(),
                text,
                relationship: None,
            };
            lines.push(line(&format!("message-{index}"), contact.at_seconds, send)?);
            if let Some(number) = reported.get(&index) {
                let report = LineCommand::ReportMessage {
                    member: to,
                    with: from,
                    messages: vec![*number],
                    category: Category::Spam,
                    comment: String::new(),
                    also: Also::None,
                };
                lines.push(line(
                    &format!("report-{index}"),
                    contact.at_seconds,
                    report,
                )?);
            }
        }
        Ok(lines)
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

/// The two commands that make somebody known as an adult whom everyone may write to.
pub fn registration(id: &str) -> anyhow::Result<[Line; 2]> {
    let member = MemberId::new(id)?;
    let register = LineCommand::RegisterMember {
        member: member.clone(),
        age_band: AgeBand::Adult,
        registered_at: None,
    };
    let audience = LineCommand::ChangeDmSetting {
        member,
        audience: Audience::Everyone,
    };
    Ok([
        line(&format!("register-{id}"), REGISTERED_AT_SECONDS, register)?,
        line(&format!("audience-{id}"), REGISTERED_AT_SECONDS, audience)?,
    ])
}

fn member(number: u32) -> anyhow::Result<MemberId> {
    Ok(MemberId::new(&number.to_string())?)
}

fn line(id: &str, at_seconds: i64, command: LineCommand) -> anyhow::Result<Line> {
    let at = At(Timestamp(at_seconds.saturating_mul(1000)));
    Ok(Line {
        id: CommandId::new(id)?,
        at,
        command,
    })
}
