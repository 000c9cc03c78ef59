//! Members and conversations to measure with: the same ones for the same size, from one seed.
//!
//! Texts are those of the sample. A log of N events holds members, relationships, conversations of some fifteen
//! messages and, one in eight, requests; a few members have very many of both, for pages that are full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use commands::{Command, CommandHandler, Envelope};
use domain::conversation::{GivenRelationship, RelationshipKind};
use domain::ids::{CommandId, MemberId};
use domain::member::AgeBand;
use domain::policy::Audience;

use crate::workload::Workload;

/// Callers at once when a log is filled, and when commands are measured.
pub(crate) const CALLERS: u64 = 512;
/// Members whose pages are full: every tenth conversation is one of theirs.
pub(crate) const HUBS: u64 = 2;
const MESSAGES: u64 = 15;

/// The texts of the sample, in turn.
#[derive(Clone)]
pub(crate) struct Texts(Arc<Workload>);

impl Texts {
    /// Reads the sample.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Ok(Self(Arc::new(crate::demo::sample()?)))
    }

    /// The text of turn `n`.
    pub(crate) fn get(&self, n: u64) -> String {
        self.0
            .text(usize::try_from(n % 1_000_000).unwrap_or_default())
            .text
            .clone()
    }
}

/// How large a log is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Members.
    pub(crate) members: u64,
    /// Conversations.
    pub(crate) conversations: u64,
}

impl Size {
    /// The parts of a log of so many events.
    pub(crate) fn of(events: u64) -> Self {
        let members = (events / 100).clamp(100, 100_000);
        Self {
            members,
            conversations: events.saturating_sub(2 * members) / (MESSAGES + 1),
        }
    }

    /// The two members of a conversation; the first one follows the second.
    pub(crate) fn pair(self, conversation: u64) -> (u64, u64) {
        let random = mix(conversation);
        let one = if conversation.is_multiple_of(10) {
            random % HUBS
        } else {
            random % self.members
        };
        let other = (random >> 32) % self.members;
        if one == other {
            (one, (other + 1) % self.members)
        } else {
            (one, other)
        }
    }
}

/// Member `n`.
pub(crate) fn member(n: u64) -> anyhow::Result<MemberId> {
    Ok(MemberId::new(&format!("member-{n}"))?)
}

/// A number that looks random, the same for the same one.
pub(crate) fn mix(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Carries a command out now, and fails unless it is done.
pub(crate) async fn carry_out(
    handler: &CommandHandler,
    actor: MemberId,
    id: String,
    command: Command,
) -> anyhow::Result<()> {
    let name = command.name();
    let envelope = Envelope {
        actor,
        command_id: CommandId::new(&id)?,
        id_given: true,
        at: None,
        command,
    };
    handler
        .handle(envelope)
        .await
        .with_context(|| format!("{name} {id}"))?;
    Ok(())
}

/// Makes a member known, open to everybody.
pub(crate) async fn register(handler: &CommandHandler, n: u64) -> anyhow::Result<()> {
    let id = member(n)?;
    let register = Command::RegisterMember {
        member: id.clone(),
        age_band: AgeBand::Adult,
        registered_at: None,
    };
    carry_out(handler, id.clone(), format!("register-{n}"), register).await?;
    carry_out(
        handler,
        id,
        format!("audience-{n}"),
        Command::ChangeDmSetting {
            audience: Audience::Everyone,
        },
    )
    .await
}

/// Lets one member's messages into another's inbox.
pub(crate) async fn follow(
    handler: &CommandHandler,
    follower: u64,
    followed: u64,
) -> anyhow::Result<()> {
    let command = Command::RecordRelationship {
        member: member(follower)?,
        kind: RelationshipKind::Follow,
        other: member(followed)?,
    };
    carry_out(
        handler,
        member(follower)?,
        format!("follow-{followed}"),
        command,
    )
    .await
}

/// Fills a log with about so many events.
pub(crate) async fn fill(
    handler: &CommandHandler,
    size: Size,
    texts: &Texts,
) -> anyhow::Result<()> {
    let (handler, texts) = (handler.clone(), texts.clone());
    let registering = handler.clone();
    each(size.members, move |n| {
        let handler = registering.clone();
        async move { register(&handler, n).await }
    })
    .await?;
    each(size.conversations, move |n| {
        let (handler, texts) = (handler.clone(), texts.clone());
        async move { converse(&handler, size, n, &texts).await }
    })
    .await
}

/// One conversation: a followed member and their follower, or, one in eight, a stranger who waits.
async fn converse(
    handler: &CommandHandler,
    size: Size,
    n: u64,
    texts: &Texts,
) -> anyhow::Result<()> {
    let (one, other) = size.pair(n);
    let waits = n.is_multiple_of(8);
    if !waits {
        follow(handler, one, other).await?;
    }
    for turn in 0..if waits { 3 } else { MESSAGES } {
        let (from, to) = if waits || turn % 2 == 0 {
            (other, one)
        } else {
            (one, other)
        };
        let command = Command::SendMessage {
            to: member(to)?,
            text: texts.get(n + turn),
            relationship: GivenRelationship::default(),
        };
        let id = format!("message-{n}-{turn}");
        match carry_out(handler, member(from)?, id, command).await {
            // A request may be full, since pairs come twice; and who opened as many requests as a day allows begins no
            // conversation at all. Both are a part of the world.
            Err(error)
                if (waits || turn == 0)
                    && error
                        .downcast_ref::<commands::CommandError>()
                        .is_some_and(is_refused) =>
            {
                if !waits {
                    return Ok(());
                }
            }
            result => result?,
        }
    }
    Ok(())
}

fn is_refused(error: &commands::CommandError) -> bool {
    matches!(error, commands::CommandError::Refused(_))
}

/// Does something for each number below `count`, so many callers at once.
pub(crate) async fn each<F, W>(count: u64, work: F) -> anyhow::Result<()>
where
    F: Fn(u64) -> W + Clone + Send + 'static,
    W: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS.min(count) {
        let (next, work) = (Arc::clone(&next), work.clone());
        callers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return anyhow::Ok(());
                }
                work(n).await?;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}
