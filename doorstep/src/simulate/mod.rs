//! `simulate`: how conflicts, lag and hot conversations behave as nodes of the service grow in number over one cluster.
//!
//! Promise: the same figures for the same seed, on every machine. Nothing is measured here: times of the network and the
//! cluster are assumed ([`assumed`]), while the decisions, the rules for reading, waiting and trying again, and the bounds are
//! the code's own ([`running`]). The nodes are no real command handlers, because these read on threads of their own and
//! apply views on others, which no simulated clock holds still. `docs/beyond.md` says what the table teaches.

mod assumed;
mod chance;
mod cluster;
mod job;
mod lag;
mod node;
mod running;

use serde::Serialize;
use serde_json::json;

use self::assumed::Assumed;
use self::running::Simulation;
use crate::bench::number;
use crate::cli;
use crate::failure::Done;
use crate::out;

/// Simulated time, in microseconds.
type Micros = u64;

/// Numbers of nodes that are looked at.
const NODES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// The same for a short run.
const NODES_SMOKE: [usize; 2] = [1, 4];

/// Which conversations commands come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Conversations {
    /// All that go on, alike.
    Uniform,
    /// A few much more than the others.
    Zipf,
    /// A single one.
    One,
}

/// Which node a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Routing {
    /// Any, by chance.
    Any,
    /// Always the same for a conversation.
    Sticky,
    /// Any, by chance, where a node that knows its memory to be behind the stream catches up before it decides. That is not
    /// built: it shows what it would be worth.
    AnyCaughtUp,
}

/// One case.
#[derive(Clone, Copy, Debug)]
struct Case {
    nodes: usize,
    conversations: Conversations,
    routing: Routing,
}

impl Case {
    /// All cases, and for the two highest numbers of nodes those of another way as well.
    fn all(nodes: &[usize]) -> Vec<Self> {
        let case = |nodes, conversations, routing| Case {
            nodes,
            conversations,
            routing,
        };
        let mut cases = Vec::new();
        for conversations in [
            Conversations::Uniform,
            Conversations::Zipf,
            Conversations::One,
        ] {
            let any = nodes.iter();
            cases.extend(any.map(|nodes| case(*nodes, conversations, Routing::Any)));
            for routing in [Routing::Sticky, Routing::AnyCaughtUp] {
                let most = nodes.iter().skip(nodes.len().saturating_sub(2));
                cases.extend(most.map(|nodes| case(*nodes, conversations, routing)));
            }
        }
        cases
    }

    /// Commands a second, of all nodes together.
    fn commands_per_s(self, assumed: &Assumed) -> u64 {
        match self.conversations {
            Conversations::One => assumed.commands_hot,
            Conversations::Uniform | Conversations::Zipf => {
                assumed.commands_per_node * u64::try_from(self.nodes).unwrap_or(1)
            }
        }
    }

    /// Conversations that go on.
    fn conversations(self, assumed: &Assumed) -> u64 {
        match self.conversations {
            Conversations::One => 1,
            Conversations::Uniform | Conversations::Zipf => {
                assumed.conversations_per_node * u64::try_from(self.nodes).unwrap_or(1)
            }
        }
    }
}

/// What a case came to.
#[derive(Clone, Debug, Serialize)]
struct Row {
    nodes: usize,
    conversations: Conversations,
    routing: Routing,
    offered_per_s: f64,
    done_per_s: f64,
    busy_percent: f64,
    conflicts_per_command: f64,
    retries_p99: usize,
    p50_ms: f64,
    p99_ms: f64,
    view_lag_p99_ms: f64,
    calls_per_command: f64,
    leader_busy_percent: f64,
}

/// Runs `simulate`.
pub(crate) fn run(args: &cli::Simulate) -> Done {
    let (assumed, mut nodes) = if args.smoke {
        (Assumed::smoke(), NODES_SMOKE.to_vec())
    } else {
        (Assumed::whole(), NODES.to_vec())
    };
    if !args.nodes.is_empty() {
        nodes.clone_from(&args.nodes);
    }
    let mut rows = Vec::new();
    for case in Case::all(&nodes) {
        eprintln!(
            "simulate: {} nodes, {}",
            case.nodes,
            words(case.conversations, case.routing)
        );
        rows.push(Simulation::run(case, assumed, args.seed)?);
    }
    if args.json {
        let report = json!({ "seed": args.seed, "assumed": assumed, "rows": rows });
        return Ok(out::line(serde_json::to_string_pretty(&report)?)?);
    }
    Ok(out::line(table(&rows))?)
}

fn words(conversations: Conversations, routing: Routing) -> &'static str {
    match (conversations, routing) {
        (Conversations::Uniform, Routing::Any) => "all alike",
        (Conversations::Uniform, Routing::Sticky) => "all alike, sticky",
        (Conversations::Uniform, Routing::AnyCaughtUp) => "all alike, caught up first",
        (Conversations::Zipf, Routing::Any) => "Zipf",
        (Conversations::Zipf, Routing::Sticky) => "Zipf, sticky",
        (Conversations::Zipf, Routing::AnyCaughtUp) => "Zipf, caught up first",
        (Conversations::One, Routing::Any) => "one hot",
        (Conversations::One, Routing::Sticky) => "one hot, sticky",
        (Conversations::One, Routing::AnyCaughtUp) => "one hot, caught up first",
    }
}

/// The rows as a table for people, in Markdown.
fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| conversations | nodes | offered/s | done/s | `busy` | conflicts a command | retries p99 | p50 ms | p99 ms | view lag p99 ms | calls a command | leader busy |"
            .to_owned(),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    for row in rows {
        lines.push(format!(
            "| {} | {} | {} | {} | {:.1} % | {:.2} | {} | {:.1} | {:.1} | {:.0} | {:.1} | {:.0} % |",
            words(row.conversations, row.routing),
            row.nodes,
            number(row.offered_per_s),
            number(row.done_per_s),
            row.busy_percent,
            row.conflicts_per_command,
            row.retries_p99,
            row.p50_ms,
            row.p99_ms,
            row.view_lag_p99_ms,
            row.calls_per_command,
            row.leader_busy_percent,
        ));
    }
    lines.join("\n")
}
