//! Following: a hundred who follow the log from its beginning at once, beside one who does, and the memory that takes.
//!
//! They filter for what the log has little of, so that the time is the service's; one more asks for all of it and takes
//! nothing, as a reader who is away would.

use std::time::Instant;

use anyhow::{Context as _, bail};
use api::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Client, request};
use super::figures::{Row, Target, number};
use super::log::Filled;
use super::process::Service;
use crate::cli::KeyArgs;
use crate::compose;

/// The rows of this file.
pub(crate) const ROWS: [&str; 2] = ["follow", "memory-following"];

/// How many follow at once.
const FOLLOWERS: usize = 100;
/// What they ask for, and one who takes nothing.
const LITTLE: &str = "/v1/events?follow=true&type=case-opened";
const ALL: &str = "/v1/events?follow=true";
/// Memory that following may take, in MiB: the blocks that are kept, and one for each who follows.
const MEMORY_MIB: f64 = 128.0;
/// How much longer a hundred may take than one: each looks at every event.
const TIMES: f64 = 50.0;

/// Measures it in a process of its own.
pub(crate) async fn measure(log: &Filled) -> anyhow::Result<Vec<Row>> {
    let service = Service::start(log).await?;
    let keys = compose::open_keys(&log.folder, &KeyArgs { auth_key: None })?;
    let token = keys.sign("ada", &[Role::Auditor], 24 * 3600)?;
    let (serving, _) = service.memory_mib()?;
    let (one, one_read) = follow(&service, &token, 1).await?;
    let mut away = TcpStream::connect(&service.address).await?;
    away.write_all(&request("GET", ALL, &token, "", "")).await?;
    let (many, many_read) = follow(&service, &token, FOLLOWERS).await?;
    let (_, most) = service.memory_mib()?;
    drop(away);
    service.stop()?;
    let what = format!("{FOLLOWERS} follow the log at once, from its beginning to its end");
    let read = format!(
        "{} readings of the log, of one {}",
        number(many_read),
        number(one_read)
    );
    let took = Row::new("follow", &what, "s", many, Target::RatioAtMost(TIMES))
        .beside("one does", one)
        .noting(read);
    let what = "memory at most while they do, and one more takes nothing";
    let target = Target::AtMost(serving + MEMORY_MIB);
    Ok(vec![
        took,
        Row::new("memory-following", what, "MiB", most, target),
    ])
}

/// So many follow to the log's end: how long all of them took, and how often the log was read for them.
async fn follow(service: &Service, token: &str, count: usize) -> anyhow::Result<(f64, f64)> {
    let before = readings(service).await?;
    let started = Instant::now();
    let mut following = tokio::task::JoinSet::new();
    for _ in 0..count {
        let address = service.address.clone();
        let asked = request("GET", LITTLE, token, "accept: application/x-ndjson\r\n", "");
        following.spawn(async move { to_the_end(&address, &asked).await });
    }
    while let Some(ended) = following.join_next().await {
        ended??;
    }
    let took = started.elapsed().as_secs_f64();
    Ok((took, readings(service).await? - before))
}

/// Follows until the end of the log as it was when asked is reached.
async fn to_the_end(address: &str, asked: &[u8]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(asked).await?;
    let mut text = String::new();
    let mut reached = None;
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            bail!("a follower was cut off: {text}");
        }
        text.push_str(&String::from_utf8_lossy(
            bytes.get(..read).unwrap_or_default(),
        ));
        if reached.is_none() && text.contains("\r\n\r\n") {
            let end = text
                .lines()
                .find_map(|line| line.strip_prefix("doorstep-position: "))
                .with_context(|| format!("no position: {text}"))?;
            reached = Some(format!("{{\"reached\":{{\"position\":{end}}}}}"));
        }
        if reached.as_ref().is_some_and(|end| text.contains(end)) {
            return Ok(());
        }
    }
}

/// How often the log was read for those who follow.
async fn readings(service: &Service) -> anyhow::Result<f64> {
    let mut client = Client::connect(&service.address).await?;
    let answer = client.send(&request("GET", "/metrics", "", "", "")).await?;
    let text = std::str::from_utf8(answer.body)?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("doorstep_follow_blocks_read_total "));
    Ok(value.context("no such metric")?.parse()?)
}
