//! Over HTTP/1.1: 64 connections that send messages, beside an empty `POST` handler of the same framework.
//!
//! The generator runs in a thread of its own on this machine and is the same for both, down to the bytes it sends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::Role;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use commands::Mode;
use event_store::EventStore;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::Plan;
use super::client::{Client, request};
use super::commands::rate;
use super::figures::{Row, Target, median, number, quantile};
use super::world::{self, Texts};
use crate::care::Care;
use crate::cli::KeyArgs;
use crate::compose::{self, DataFolder};

const CONNECTIONS: u64 = 64;

/// What a run of the generator saw.
struct Seen {
    answers: u64,
    took: Duration,
    /// Milliseconds.
    times: Vec<f64>,
}

/// `http`: commands over HTTP.
pub(crate) async fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let folder = DataFolder::at(&plan.scratch.join("http"));
    folder.create()?;
    let store = Arc::new(compose::open_embedded(
        &folder,
        event_store::Options::default(),
    )?);
    let handler = compose::start_commands(&folder, &store, Mode::Service).await?;
    let reads = compose::start_reads(&folder, &store, 128 << 20).await?;
    let keys = Arc::new(compose::open_keys(&folder, &KeyArgs { auth_key: None })?);
    let mut tokens = Vec::new();
    for pair in 0..CONNECTIONS {
        let (one, other) = (2 * pair, 2 * pair + 1);
        world::register(&handler, one).await?;
        world::register(&handler, other).await?;
        world::follow(&handler, other, one).await?;
        tokens.push(keys.sign(world::member(one)?.as_str(), &[Role::Member], 3600)?);
    }
    let mut options = api::Options::default();
    // The limits of one member are not what is measured.
    options.rate_limits.member_per_second = 0;
    let app = api::App {
        commands: handler.clone(),
        reads: reads.clone(),
        store: Arc::clone(&store) as Arc<dyn EventStore>,
        care: Arc::new(Care::new(Arc::clone(&store), 0)),
        keys,
        options,
    };
    let service = Serving::start(api::router(app)).await?;
    let empty =
        Serving::start(Router::new().route("/v1/messages", post(|| async { StatusCode::CREATED })))
            .await?;

    let (mut ours, mut bare, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        let time = if round == 0 { plan.warm_up } else { plan.round };
        let seen = generate(&service.address, &tokens, round, time).await?;
        let empty = generate(&empty.address, &tokens, round, time).await?;
        if round > 0 {
            ours.push(rate(seen.answers, seen.took));
            bare.push(rate(empty.answers, empty.took));
            p99.push(quantile(seen.times, 0.99));
        }
    }
    // What the views take of the same cores.
    reads.stop().await?;
    let without = generate(&service.address, &tokens, plan.rounds + 1, plan.round).await?;
    let without = rate(without.answers, without.took);
    service.stop().await?;
    empty.stop().await?;
    handler.stop().await;
    store.close();
    std::fs::remove_dir_all(folder.path())?;
    Ok(vec![
        Row::new(
            "http",
            "SendMessage over HTTP/1.1, durable, 64 connections, all views on",
            "/s",
            median(ours),
            Target::RatioAtLeast(0.5),
        )
        .beside("an empty POST handler of the same framework", median(bare))
        .noting(format!(
            "p99 {} ms; without views {}/s",
            number(median(p99)),
            number(without)
        )),
    ])
}

/// A router that is served until it is stopped.
pub(crate) struct Serving {
    /// Where.
    pub(crate) address: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Serves a router.
    pub(crate) async fn start(router: Router) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(api::serve_router(
            listener,
            router,
            api::ServeOptions::default(),
            shutdown,
        ));
        Ok(Self {
            address,
            stop,
            served,
        })
    }

    /// Ends in order.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        Ok(self.served.await??)
    }
}

/// Sends messages over all connections for so long, from a thread of its own.
async fn generate(
    address: &str,
    tokens: &[String],
    round: u64,
    time: Duration,
) -> anyhow::Result<Seen> {
    let (address, tokens) = (address.to_owned(), tokens.to_vec());
    let (told, seen) = oneshot::channel();
    std::thread::spawn(move || {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let work = tokio::task::LocalSet::new();
            work.block_on(&runtime, connections(address, tokens, round, time))
        };
        let _ = told.send(run());
    });
    seen.await.context("the generator ended early")?
}

async fn connections(
    address: String,
    tokens: Vec<String>,
    round: u64,
    time: Duration,
) -> anyhow::Result<Seen> {
    let texts = Texts::read()?;
    let started = Instant::now();
    let mut running = Vec::new();
    for (connection, token) in tokens.into_iter().enumerate() {
        let (address, texts) = (address.clone(), texts.clone());
        running.push(tokio::task::spawn_local(async move {
            let mut client = Client::connect(&address).await?;
            let to = world::member(2 * u64::try_from(connection)? + 1)?;
            let mut times = Vec::new();
            let mut n = 0;
            while started.elapsed() < time {
                n += 1;
                let body =
                    serde_json::json!({ "to": to.as_str(), "text": texts.get(n) }).to_string();
                let key = format!("idempotency-key: {round}-{n}\r\n");
                let bytes = request("POST", "/v1/messages", &token, &key, &body);
                let sent = Instant::now();
                let answer = client.send(&bytes).await?;
                anyhow::ensure!(
                    answer.status == 201,
                    "{} {}",
                    answer.status,
                    String::from_utf8_lossy(answer.body)
                );
                times.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(times)
        }));
    }
    let mut times = Vec::new();
    for connection in running {
        times.extend(connection.await??);
    }
    Ok(Seen {
        answers: times.len() as u64,
        took: started.elapsed(),
        times,
    })
}
