//! What the simulation takes for granted: times of the network and the cluster, and how much is asked.
//!
//! Each stands beside its reason, and is printed with what came of it. The rules that are simulated have no figure here:
//! they are the code's own.

use serde::Serialize;

use super::Micros;
use super::chance::ZIPF_EXPONENT;

/// What is taken for granted.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Assumed {
    /// One way between two machines of one data centre.
    pub(super) way_us: Micros,
    /// What a way may take more, on average.
    pub(super) way_more_us: Micros,
    /// Calls that the leader serves at once.
    pub(super) leader_servers: usize,
    /// How long it serves one: with the above 20,000 calls a second, reads and appends together, which is what the maker
    /// measured of clusters fit for production (<https://developers.eventstore.com/cloud/provision/sizing.html>).
    pub(super) leader_call_us: Micros,
    /// Until a majority has an event on its disk; a server's flushes are 2 ms apart unless told otherwise (`MinFlushDelayMs`).
    pub(super) commit_us: Micros,
    /// What that may take more, on average.
    pub(super) commit_more_us: Micros,
    /// From the commit until a node's subscription tells it: each node has its own between these two.
    pub(super) told_us: [Micros; 2],
    /// What a node takes to put one event into all its views: one in 62,935 of a second (`bench --only send-with-views`).
    pub(super) apply_us: Micros,
    /// And to commit what it put there.
    pub(super) apply_commit_us: Micros,
    /// Commands a second and node.
    pub(super) commands_per_node: u64,
    /// Commands a second in the one hot conversation, of all nodes together.
    pub(super) commands_hot: u64,
    /// Conversations that go on at a time, for each node.
    pub(super) conversations_per_node: u64,
    /// How the conversations differ where they do.
    pub(super) zipf_exponent: f64,
    /// Of a hundred commands so many say how far one has read; the others are messages.
    pub(super) reads_percent: u64,
    /// The seconds before counting begins.
    pub(super) warm_up_s: u64,
    /// The seconds that are counted.
    pub(super) counted_s: u64,
}

impl Assumed {
    /// Whether what happens then is counted.
    pub(super) const fn counts(&self, moment: Micros) -> bool {
        moment >= self.counted_from() && moment < self.end()
    }

    /// When counting begins.
    pub(super) const fn counted_from(&self) -> Micros {
        self.warm_up_s * 1_000_000
    }

    /// When it ends.
    pub(super) const fn end(&self) -> Micros {
        (self.warm_up_s + self.counted_s) * 1_000_000
    }

    /// For figures.
    pub(super) const fn whole() -> Self {
        Self {
            way_us: 250,
            way_more_us: 50,
            leader_servers: 4,
            leader_call_us: 200,
            commit_us: 2_000,
            commit_more_us: 500,
            told_us: [1_000, 6_000],
            apply_us: 16,
            apply_commit_us: 1_000,
            commands_per_node: 100,
            commands_hot: 100,
            conversations_per_node: 250,
            zipf_exponent: ZIPF_EXPONENT,
            reads_percent: 20,
            warm_up_s: 5,
            counted_s: 20,
        }
    }

    /// To see that it works.
    pub(super) const fn smoke() -> Self {
        Self {
            warm_up_s: 1,
            counted_s: 2,
            ..Self::whole()
        }
    }
}
