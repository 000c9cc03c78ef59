//! What decisions need of other streams: the state of members, and the rules in force.
//!
//! Promise: a fact is the fold of its stream up to the version it names, never older than what this node has appended,
//! and never forgotten while it is not durable. The worker of a stream publishes each new state here as soon as its
//! place is fixed; other workers read it without waiting. That a fact was still true when the append took place is
//! checked by the store, where its grade allows; else facts are read again before every decision.

use std::hash::BuildHasher;
use std::sync::Arc;

use domain::ids::MemberId;
use domain::policy::InForce;
use domain::{member, policy};
use event_store::{EventStore, ExpectedVersion, Position, StreamName};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxBuildHasher;

use crate::aggregate::{Aggregate, LoadError, State, policy_stream, stream_name};
use crate::task::member_of;

/// Parts of the cache with a lock of their own.
const SHARDS: usize = 16;
/// Entries looked at for one that may go.
const EVICTION_TRIES: usize = 8;

/// One member's state as of a version of their stream.
#[derive(Clone, Debug)]
pub(crate) struct MemberFact {
    /// Their stream.
    pub(crate) stream: StreamName,
    /// How far it was folded; none for an unknown member.
    pub(crate) version: Option<u64>,
    /// The position of that event.
    pub(crate) position: Position,
    /// The state.
    pub(crate) state: Arc<member::State>,
}

/// The rules in force, as of a version of their stream.
#[derive(Clone, Debug)]
pub(crate) struct PolicyFact {
    /// How far the stream was folded.
    pub(crate) version: Option<u64>,
    /// The position of that event.
    pub(crate) position: Position,
    /// The rules.
    pub(crate) in_force: InForce,
}

type Shard = Mutex<LruCache<MemberId, Arc<MemberFact>, FxBuildHasher>>;

/// The facts held in memory, shared by all workers.
pub(crate) struct Facts {
    store: Arc<dyn EventStore>,
    members: Vec<Shard>,
    hasher: FxBuildHasher,
    members_per_shard: usize,
    policy: RwLock<Arc<PolicyFact>>,
    policy_stream: StreamName,
}

impl Facts {
    /// An empty cache of at most `members` states over a store whose policy is this.
    pub(crate) fn new(store: Arc<dyn EventStore>, members: usize, policy: PolicyFact) -> Self {
        let shard = || Mutex::new(LruCache::unbounded_with_hasher(FxBuildHasher));
        Self {
            store,
            members: (0..SHARDS).map(|_| shard()).collect(),
            hasher: FxBuildHasher,
            members_per_shard: (members / SHARDS).max(1),
            policy: RwLock::new(Arc::new(policy)),
            policy_stream: policy_stream(),
        }
    }

    /// The rules in force.
    pub(crate) fn policy(&self) -> Arc<PolicyFact> {
        Arc::clone(&self.policy.read())
    }

    /// The name of the rules' stream.
    pub(crate) fn policy_stream(&self) -> &StreamName {
        &self.policy_stream
    }

    /// The member's state, if it is held.
    pub(crate) fn member(&self, member: &MemberId) -> Option<Arc<MemberFact>> {
        self.shard(member)?.lock().get(member).cloned()
    }

    /// Takes over a newer state; an older one than is held is dropped.
    pub(crate) fn publish(&self, stream: &StreamName, aggregate: &Aggregate) {
        match &aggregate.state {
            State::Member(state) => {
                let Some(member) = member_of(stream) else {
                    return;
                };
                self.insert(
                    member,
                    Arc::new(MemberFact {
                        stream: stream.clone(),
                        version: aggregate.version,
                        position: aggregate.position,
                        state: Arc::clone(state),
                    }),
                );
            }
            State::Policy(state) => self.publish_policy(state, aggregate),
            State::Conversation(_) | State::Case(_) | State::Reactor(_) | State::Act(_) => {}
        }
    }

    /// Reads the member's stream, or what of it is newer than what is held, and gives the newest state known.
    pub(crate) async fn load_member(
        &self,
        member: &MemberId,
    ) -> Result<Arc<MemberFact>, LoadError> {
        let held = self.member(member);
        let stream = held.as_ref().map_or_else(
            || stream_name(member::stream(member)),
            |fact| fact.stream.clone(),
        );
        let mut aggregate = Aggregate {
            state: State::Member(
                held.as_ref()
                    .map(|fact| Arc::clone(&fact.state))
                    .unwrap_or_default(),
            ),
            version: held.as_ref().and_then(|fact| fact.version),
            position: held.as_ref().map_or(Position::START, |fact| fact.position),
            at: domain::Timestamp(i64::MIN),
        };
        aggregate
            .catch_up(&*self.store, &stream, None, |_| {})
            .await?;
        let State::Member(state) = aggregate.state else {
            unreachable!("made as a member's above")
        };
        let fact = MemberFact {
            stream,
            version: aggregate.version,
            position: aggregate.position,
            state,
        };
        Ok(self.insert(member.clone(), Arc::new(fact)))
    }

    /// Reads what the rules' stream has beyond what is held.
    pub(crate) async fn load_policy(&self) -> Result<(), LoadError> {
        let held = self.policy();
        let mut aggregate =
            Aggregate::empty(&self.policy_stream).unwrap_or_else(|| unreachable!("a category"));
        aggregate.version = held.version;
        aggregate.position = held.position;
        aggregate
            .catch_up(&*self.store, &self.policy_stream, None, |_| {})
            .await?;
        if let State::Policy(state) = &aggregate.state {
            self.publish_policy(state, &aggregate);
        }
        Ok(())
    }

    /// Makes sure that a fact found stale is read again: at least up to `actual`, which is durable.
    pub(crate) async fn refresh(
        &self,
        stream: &StreamName,
        actual: Option<u64>,
    ) -> Result<(), LoadError> {
        if *stream == self.policy_stream {
            if self.policy().version < actual {
                self.load_policy().await?;
            }
        } else if let Some(member) = member_of(stream)
            && self
                .member(&member)
                .is_none_or(|fact| fact.version < actual)
        {
            self.load_member(&member).await?;
        }
        Ok(())
    }

    fn publish_policy(&self, state: &policy::State, aggregate: &Aggregate) {
        let mut held = self.policy.write();
        if held.version < aggregate.version {
            // Where what is newer sets no rules, those held stay in force.
            let in_force = state.in_force().unwrap_or(&held.in_force).clone();
            *held = Arc::new(PolicyFact {
                version: aggregate.version,
                position: aggregate.position,
                in_force,
            });
        }
    }

    /// Holds the newer of what is held and what is given, and gives it.
    fn insert(&self, member: MemberId, fact: Arc<MemberFact>) -> Arc<MemberFact> {
        let Some(shard) = self.shard(&member) else {
            return fact;
        };
        let mut shard = shard.lock();
        if let Some(held) = shard.get(&member)
            && held.version >= fact.version
        {
            return Arc::clone(held);
        }
        shard.put(member, Arc::clone(&fact));
        let mut tries = EVICTION_TRIES;
        while shard.len() > self.members_per_shard && tries > 0 {
            tries -= 1;
            let durable = self.store.durable_position();
            if let Some((member, oldest)) = shard.pop_lru()
                && oldest.position > durable
            {
                // Not durable: reading it again would give an older state.
                shard.put(member, oldest);
            }
        }
        fact
    }

    fn shard(&self, member: &MemberId) -> Option<&Shard> {
        let hash = usize::try_from(self.hasher.hash_one(member.as_str()) >> 32).unwrap_or(0);
        self.members.get(hash % SHARDS)
    }
}

/// What an append names as read: the stream and where it was.
pub(crate) type Read = (StreamName, ExpectedVersion);

impl MemberFact {
    /// What the append names.
    pub(crate) fn read(&self) -> Read {
        (self.stream.clone(), ExpectedVersion::of(self.version))
    }
}
