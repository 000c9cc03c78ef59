//! The service as a process of its own over a filled folder: from start to ready, and the memory it takes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use api::Role;

use super::Plan;
use super::client::{Client, request};
use super::figures::{Row, Target, median, number};
use super::log::Filled;
use super::world;
use crate::cli::KeyArgs;
use crate::compose;

/// Pages asked for before memory is read, at most.
const PAGES: u64 = 2_000;
/// Messages sent before the process is killed, at most.
const BEFORE_KILL: u64 = 2_000;

/// A service over a filled folder.
pub(super) struct Service {
    child: Child,
    /// Where it answers, as `host:port`.
    pub(super) address: String,
    ready_after: Duration,
}

impl Service {
    /// Starts the service and waits until it is ready.
    pub(super) async fn start(log: &Filled) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "--log",
                "error",
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(log.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut words = BufReader::new(child.stderr.take().context("piped")?);
        let mut line = String::new();
        let address = loop {
            line.clear();
            if words.read_line(&mut line)? == 0 {
                let _ = child.wait();
                bail!("serve ended before it listened");
            }
            if let Some((_, url)) = line.split_once("listening on http://") {
                break url.trim().to_owned();
            }
        };
        // What it says from here on is nobody's concern, but must not block it.
        std::thread::spawn(move || std::io::copy(&mut words, &mut std::io::sink()));
        let mut service = Self {
            child,
            address,
            ready_after: Duration::ZERO,
        };
        let mut client = Client::connect(&service.address).await?;
        let ask = request("GET", "/readyz", "", "", "");
        while client.send(&ask).await?.status != 200 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        service.ready_after = started.elapsed();
        Ok(service)
    }

    /// Memory in MiB: now, and at most so far.
    pub(super) fn memory_mib(&self) -> anyhow::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> anyhow::Result<f64> {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .context("no such line")?;
            let kib: f64 = line
                .split_whitespace()
                .nth(1)
                .context("no number")?
                .parse()?;
            Ok(kib / 1024.0)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Asks it to stop and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id())?)
            .context("a process id")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "serve ended with {status}");
        Ok(())
    }

    fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `open`: from start to ready after a clean stop, and after a kill under load.
pub(crate) async fn opening(plan: &Plan, log: &Filled) -> anyhow::Result<Vec<Row>> {
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let service = Service::start(log).await?;
        clean.push(service.ready_after.as_secs_f64());
        send(&service, log, BEFORE_KILL.min(plan.events / 10)).await?;
        service.kill()?;
        let service = Service::start(log).await?;
        killed.push(service.ready_after.as_secs_f64());
        service.stop()?;
    }
    let at = format!("from start to ready, at {} events", number(events(log)));
    Ok(vec![
        Row::new(
            "open-clean",
            &format!("{at}, after a clean stop"),
            "s",
            median(clean),
            Target::AtMost(1.0),
        ),
        Row::new(
            "open-killed",
            &format!("{at}, after a kill"),
            "s",
            median(killed),
            Target::AtMost(5.0),
        ),
    ])
}

/// `memory`: serving, at N events beside a tenth of them; and while all views are built anew.
pub(crate) async fn memory(plan: &Plan, log: &Filled, tenth: &Filled) -> anyhow::Result<Vec<Row>> {
    let large = serving(plan, log).await?;
    let small = serving(plan, tenth).await?;
    std::fs::remove_dir_all(log.folder.views())?;
    let service = Service::start(log).await?;
    let (_, building) = service.memory_mib()?;
    service.stop()?;
    let what = format!("memory, serving, at {} events", number(events(log)));
    let row = Row::new("memory", &what, "MiB", large, Target::RatioAtMost(1.5))
        .beside("at a tenth of the events", small)
        .and(large < 512.0)
        .noting("target also below 512 MiB");
    let rebuilding = Row::new(
        "memory-rebuilding",
        "memory at most while all views are built anew",
        "MiB",
        building,
        Target::AtMost(large + 256.0),
    );
    Ok(vec![row, rebuilding])
}

#[expect(clippy::cast_precision_loss, reason = "a number to be read")]
fn events(log: &Filled) -> f64 {
    log.events as f64
}

async fn serving(plan: &Plan, log: &Filled) -> anyhow::Result<f64> {
    let service = Service::start(log).await?;
    let keys = compose::open_keys(&log.folder, &KeyArgs { auth_key: None })?;
    let mut client = Client::connect(&service.address).await?;
    for page in 0..PAGES.min(plan.pages) {
        let member = world::member(world::mix(page) % log.size.members)?;
        let token = keys.sign(member.as_str(), &[Role::Member], 3600)?;
        let path = if page % 2 == 0 {
            "/v1/inbox"
        } else {
            "/v1/requests"
        };
        let answer = client.send(&request("GET", path, &token, "", "")).await?;
        anyhow::ensure!(answer.status == 200, "{path} answers {}", answer.status);
    }
    let (now, _) = service.memory_mib()?;
    service.stop()?;
    Ok(now)
}

/// Sends messages in conversations that are there.
async fn send(service: &Service, log: &Filled, count: u64) -> anyhow::Result<()> {
    let keys = compose::open_keys(&log.folder, &KeyArgs { auth_key: None })?;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(Client::connect(&service.address).await?);
    }
    let mut sending = tokio::task::JoinSet::new();
    for (index, mut client) in clients.into_iter().enumerate() {
        let (to, from) = log.size.pair(2 * u64::try_from(index)? + 1);
        let token = keys.sign(world::member(from)?.as_str(), &[Role::Member], 3600)?;
        let body = serde_json::json!({ "to": world::member(to)?, "text": "hi" }).to_string();
        sending.spawn(async move {
            for n in 0..count / 16 {
                let key = format!("idempotency-key: {}-{n}\r\n", uuid::Uuid::new_v4());
                let answer = client
                    .send(&request("POST", "/v1/messages", &token, &key, &body))
                    .await?;
                anyhow::ensure!(
                    matches!(answer.status, 201 | 429),
                    "a message is answered {}",
                    answer.status
                );
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = sending.join_next().await {
        ended??;
    }
    Ok(())
}
