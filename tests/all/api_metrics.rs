//! Metrics, scraped from the real program: every metric of the catalogue is there, described, within its labels, and
//! moves; nothing else is there.

use std::collections::{BTreeMap, BTreeSet};

use api::metering::{CATALOGUE, Kind};
use futures::future::join_all;
use serde_json::{Value, json};
use tests::program::Server;

/// A scrape, taken apart.
#[derive(Debug, Default)]
struct Scrape {
    described: BTreeSet<String>,
    types: BTreeMap<String, String>,
    /// Name, labels and value of each line.
    series: Vec<(String, BTreeMap<String, String>, f64)>,
    lines: usize,
}

impl Scrape {
    fn of(text: &str) -> Self {
        let mut scrape = Scrape {
            lines: text.lines().count(),
            ..Scrape::default()
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("words");
                assert!(words.len() > 10, "{line}");
                scrape.described.insert(name.to_owned());
            } else if let Some(of_type) = line.strip_prefix("# TYPE ") {
                let (name, kind) = of_type.split_once(' ').expect("a type");
                scrape.types.insert(name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let labels = labels
                    .trim_end_matches('}')
                    .split("\",")
                    .filter_map(|label| label.split_once("=\""))
                    .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
                    .collect();
                let value = value.parse().expect("a number");
                scrape.series.push((name.to_owned(), labels, value));
            }
        }
        scrape
    }

    async fn from(server: &Server) -> Self {
        let answer = reqwest::get(format!("{}/metrics", server.url)).await;
        Self::of(&answer.unwrap().text().await.unwrap())
    }

    /// The sum of the series of a name whose labels have this value, if one is asked for.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let with = |labels: &BTreeMap<String, String>| {
            label.is_empty() || labels.values().any(|value| value == label)
        };
        self.series
            .iter()
            .filter(|(of, labels, _)| of == name && with(labels))
            .map(|(_, _, value)| value)
            .sum()
    }
}

/// The name of the metric that a series belongs to.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            CATALOGUE
                .iter()
                .any(|metric| metric.name == family && matches!(metric.kind, Kind::Histogram(_)))
                .then_some(family)
        })
        .unwrap_or(name)
}

struct Host {
    server: Server,
    client: reqwest::Client,
    service: String,
}

impl Host {
    async fn register(&self, member: &str) {
        let url = format!("{}/v1/members/{member}", self.server.url);
        let request = self.client.put(url).bearer_auth(&self.service);
        let body = json!({"age_band": "adult", "registered_at": "2020-01-01T00:00:00Z"});
        assert_eq!(request.json(&body).send().await.unwrap().status(), 200);
    }

    /// Whoever chose nothing takes messages from everyone, and may open many requests.
    async fn open_doors(&self) {
        let url = format!("{}/v1/policy", self.server.url);
        let shown = self.client.get(&url).bearer_auth(&self.service);
        let policy: Value = shown.send().await.unwrap().json().await.unwrap();
        let mut rules = policy["rules"].clone();
        rules["default_audience_adult"] = json!("everyone");
        rules["requests_per_day"] = json!(1_000);
        let request = self.client.put(&url).bearer_auth(&self.service);
        assert_eq!(request.json(&rules).send().await.unwrap().status(), 200);
    }

    async fn send(&self, token: &str, to: &str) -> u16 {
        let request = self
            .client
            .post(format!("{}/v1/messages", self.server.url))
            .bearer_auth(token);
        let request = request.json(&json!({"to": to, "text": "a text of somebody"}));
        request.send().await.unwrap().status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_there_described_within_its_labels_and_moves() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        &folder.path().join("data"),
        &["--kurrent-listen", "127.0.0.1:0"],
    );
    let host = Host {
        service: server.token("some-host", "service"),
        client: reqwest::Client::new(),
        server,
    };
    let first = Scrape::from(&host.server).await;
    for member in ["ann-a", "bob-b"] {
        host.register(member).await;
    }
    let (ann, bob) = (
        host.server.token("ann-a", "member"),
        host.server.token("bob-b", "member"),
    );
    host.open_doors().await;
    assert_eq!(host.send(&bob, "ann-a").await, 201);
    assert_eq!(host.send(&ann, "nobody").await, 403);

    // Two who write to many at once: each message takes a slot of its sender's, beside the others, until an append has
    // met another version than it was decided on.
    let mut conflicts = 0.0;
    for round in 0..40 {
        let names: Vec<String> = (0..24).map(|n| format!("other-{round}-{n}")).collect();
        join_all(names.iter().map(|name| host.register(name))).await;
        let sends = names
            .iter()
            .flat_map(|name| [host.send(&bob, name), host.send(&ann, name)]);
        join_all(sends).await;
        conflicts = Scrape::from(&host.server)
            .await
            .sum("doorstep_commands_conflicts_total", "");
        if conflicts > 0.0 {
            break;
        }
    }
    assert!(conflicts > 0.0, "no append met another version");

    let url = tests::kurrent::door(&host.server);
    let reader = tests::kurrent::client(&url, &format!("any:{}", host.service));
    let read = tests::kurrent::read_all(&reader, eventstore::ReadAllOptions::default()).await;
    assert!(!read.unwrap().is_empty());

    let last = Scrape::from(&host.server).await;
    let named: BTreeSet<&str> = last
        .series
        .iter()
        .map(|(name, _, _)| family(name))
        .collect();
    let known: BTreeSet<&str> = CATALOGUE.iter().map(|metric| metric.name).collect();
    assert_eq!(named, known, "the catalogue is what is scraped");
    for metric in CATALOGUE {
        assert!(last.described.contains(metric.name), "{}", metric.name);
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert_eq!(
            last.types.get(metric.name).map(String::as_str),
            Some(kind),
            "{}",
            metric.name
        );
    }
    for (name, labels, _) in &last.series {
        let metric = CATALOGUE
            .iter()
            .find(|metric| metric.name == family(name))
            .unwrap();
        let mut expected: BTreeSet<&str> = metric.labels.iter().map(|(label, _)| *label).collect();
        if name.ends_with("_bucket") {
            expected.insert("le");
        }
        assert_eq!(
            labels.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            expected,
            "{name}"
        );
        for value in labels.values() {
            for secret in ["ann-a", "bob-b", "some-host", "conversation-", "member-"] {
                assert!(!value.contains(secret), "{name} {labels:?}");
            }
        }
    }
    assert!(last.lines < 500, "a scrape of {} lines", last.lines);

    for (name, label) in [
        ("doorstep_commands_decided_total", "done"),
        ("doorstep_commands_decided_total", "refused"),
        ("doorstep_commands_refusals_recorded_total", ""),
        ("doorstep_store_batch_events_count", ""),
        ("doorstep_store_batch_events_sum", ""),
        ("doorstep_store_batch_bytes_sum", ""),
        ("doorstep_store_sync_seconds_count", ""),
        ("doorstep_store_sync_seconds_sum", ""),
        ("doorstep_store_durable_position", ""),
        ("doorstep_view_position", "inbox"),
        ("doorstep_view_position", "write_side"),
        ("doorstep_view_apply_seconds_count", ""),
        ("doorstep_view_commit_seconds_count", ""),
        ("doorstep_reactor_position", "cases"),
        ("doorstep_kurrent_calls_total", "taken"),
        ("doorstep_kurrent_messages_total", "reading"),
        ("doorstep_http_answers_total", "/v1/messages"),
        ("doorstep_http_answer_seconds_count", "command"),
    ] {
        let (before, after) = (first.sum(name, label), last.sum(name, label));
        assert!(after > before, "{name} {label}: {before}, then {after}");
    }
    assert!(last.sum("doorstep_store_free_bytes", "") > 1_000_000.0);
    assert!(last.sum("doorstep_view_file_bytes", "inbox") > 0.0);
    assert!(host.server.stop().success());
}
