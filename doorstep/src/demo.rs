//! The sample of `serve --demo`: real messages of a few hundred contacts, a few members with names, and their tokens.
//!
//! Its sources and licences are named in `demo/SOURCE.md`. It is loaded into an empty data folder by the same path as
//! any import; where it was begun before, it goes on.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use api::{KeySet, Role, Trial, TrialMember};
use commands::{CommandHandler, Mode};
use domain::ids::MemberId;
use event_store::{EventStore, Position};

use crate::compose::{self, DataFolder};
use crate::import;
use crate::line::Line;
use crate::workload::{self, Workload};

const MESSAGES: &str = include_str!("../demo/messages.txt");
const TEXTS: &str = include_str!("../demo/texts.tsv");
/// Members that the tour writes as.
const NAMED: [&str; 3] = ["ann", "bob", "cat"];
/// Of the sample: the member with most requests, and one with conversations on both sides.
const BUSY: [(&str, &str); 2] = [
    ("58", "a member of the sample with a full request folder"),
    ("72", "a member of the sample who answered some"),
];
/// The two that a newcomer begins with: one who knows nobody, and one whom many wrote to.
const FIRST: [&str; 2] = ["bob", BUSY[0].0];
/// The first event of the sample is among so many first events of its log.
const FIRST_EVENTS: usize = 8;
/// How long the printed tokens are good for.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// The messages and texts of the sample.
pub(crate) fn sample() -> anyhow::Result<Workload> {
    Workload::parse(MESSAGES, TEXTS)
}

/// The commands of the sample.
fn lines() -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for name in NAMED {
        lines.extend(workload::registration(name)?);
    }
    lines.extend(sample()?.lines()?);
    Ok(lines)
}

/// Whether the log is empty, or holds the sample or its beginning: another one is not for anyone who asks for a sample.
pub(crate) async fn fits(store: &Arc<dyn EventStore>) -> anyhow::Result<bool> {
    let lines = lines()?;
    let first = lines.first().context("the sample is empty")?.envelope();
    let begins = store
        .read_all(Position::START, FIRST_EVENTS, usize::MAX)
        .await?;
    // A log whose only event is the first policy is empty.
    Ok(begins.len() < 2
        || begins.iter().any(|event| {
            event.command_id() == first.command_id.as_str() && event.actor() == first.actor.as_str()
        }))
}

/// Loads the sample, or what is still to come of it, into a log that it fits.
pub(crate) async fn load(folder: &DataFolder, store: &Arc<dyn EventStore>) -> anyhow::Result<()> {
    let lines = lines()?;
    let last = lines.last().context("the sample is empty")?.envelope();
    let handler = compose::start_commands(folder, store, Mode::Import).await?;
    let known = |envelope: commands::Envelope, handler: CommandHandler| async move {
        handler
            .trace(&envelope.actor, &envelope.command_id)
            .await
            .map(|trace| trace.is_some())
    };
    if !known(last, handler.clone()).await? {
        let summary = import::carry_out_silently(&handler, &lines).await?;
        tracing::info!(lines = summary.lines, "the sample is loaded");
    }
    handler.stop().await;
    Ok(())
}

/// The sample as `/try` offers it, on a service that listens there.
pub(crate) fn trial(listens: SocketAddr) -> anyhow::Result<Trial> {
    let member = |id: &str, about: &str| {
        Ok::<_, anyhow::Error>(TrialMember {
            id: MemberId::new(id)?,
            about: about.to_owned(),
        })
    };
    let mut members = Vec::new();
    for name in NAMED {
        members.push(member(name, "begins with nothing")?);
    }
    for (id, about) in BUSY {
        members.push(member(id, about)?);
    }
    let sample = sample()?;
    let contacts = sample.contacts.iter();
    let others: BTreeSet<u32> = contacts.flat_map(|one| [one.from, one.to]).collect();
    for id in others.iter().map(u32::to_string) {
        if BUSY.iter().all(|(busy, _)| *busy != id) {
            members.push(member(&id, "")?);
        }
    }
    let [left, right] = FIRST.map(MemberId::new);
    Ok(Trial {
        members,
        first: [left?, right?],
        listens,
    })
}

/// Prints the tokens of the sample's users, and three lines to try.
pub(crate) fn print(keys: &KeySet, url: &str) -> anyhow::Result<()> {
    let token = |sub: &str, role: Role| keys.sign(sub, &[role], TOKEN_SECONDS);
    for (name, who) in [
        ("ann", "a member"),
        ("bob", "a member"),
        ("cat", "a member"),
    ]
    .into_iter()
    .chain(BUSY)
    {
        println!("{name}: {who}\n  {}", token(name, Role::Member)?);
    }
    for (name, role) in [
        ("mia", Role::Moderator),
        ("ada", Role::Auditor),
        ("host", Role::Service),
        ("otto", Role::Operator),
    ] {
        println!("{name}: {}\n  {}", role.as_str(), token(name, role)?);
    }
    let (bob, busy) = (token("bob", Role::Member)?, token("58", Role::Member)?);
    let moderator = token("mia", Role::Moderator)?;
    println!("\nlook at {url}/try in a browser, and at {url}/desk with the token of mia; or try:");
    println!("curl -sS '{url}/v1/requests?limit=3' -H 'Authorization: Bearer {busy}'");
    println!(
        "curl -sS {url}/v1/messages -H 'Authorization: Bearer {bob}' -H 'Content-Type: application/json' -d '{{\"to\": \"ann\", \"text\": \"hi\"}}'"
    );
    println!("curl -sS '{url}/v1/moderation/queue?limit=3' -H 'Authorization: Bearer {moderator}'");
    Ok(())
}
