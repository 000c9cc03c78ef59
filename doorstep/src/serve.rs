//! `serve`: the service, from an opened data folder to an orderly end.
//!
//! Opening goes from the log upward, stopping from the interface downward: nothing new is accepted, what was accepted
//! is answered, streams are ended, the views' checkpoints are made durable, and the log gets its mark of a clean stop.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{SecondsFormat, Utc};
use commands::Mode;
use domain::codec::LEVEL;
use event_store::Position;
use projections::{CareError, ReadSide};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::demo;
use crate::door::Door;
use crate::failure::{Done, Failure};
use crate::log::Log;

/// Runs the service until it is told to stop.
pub(crate) async fn run(args: &cli::Serve, json: bool) -> Done {
    // Before anything counts: who asks for a meter earlier gets one that nobody reads.
    api::metering::install();
    let folder = DataFolder::at(&args.folder.data);
    let door = Door::of(&args.door)?;
    let stop = stop_signal()?;
    // Two services over one folder are told of the folder; a new folder is not made for an address that is taken.
    let early = if folder.has_log() || folder.was_held() {
        None
    } else {
        Some(Listeners::of(args).await?)
    };
    let log = Log::open(&folder, &args.store).await?;
    let store = log.store();
    let listeners = match early {
        Some(listeners) => listeners,
        None => Listeners::of(args).await?,
    };
    let listener = listeners.http;
    if args.demo && !demo::fits(&store).await? {
        log.close();
        return Err(Failure::usage(format!(
            "{} holds another log than the sample's; --demo (or `demo` in the environment or the file) needs {} of its own",
            log.place(&folder),
            match log {
                Log::Embedded(_) => "a folder",
                Log::Cluster { .. } => "a cluster",
            }
        )));
    }
    if store.schema_level() < LEVEL {
        tracing::info!(
            schema_level = store.schema_level(),
            newest = LEVEL,
            "the log is written as older programs read it; `doorstep raise-level` ends that, when none reads it any more"
        );
    }
    let lacked = compose::lacks_keys(&folder);
    let keys = Arc::new(compose::open_keys(&folder, &args.key)?);
    let begun = store.durable_position() > Position::START;
    compose::tell_of_keys(&folder, args, &keys, lacked.then_some(begun));
    if args.demo {
        demo::load(&folder, &store).await?;
    }
    let commands = compose::start_commands(&folder, &store, Mode::Service).await?;
    let reads = compose::start_reads(&folder, &store, args.cache.cache_bytes).await?;
    let near = reads.clone();
    commands.hold_back_for(move || {
        let near = near.clone();
        async move { near.room().await }
    });
    let trial = if args.demo {
        Some(demo::trial(listener.local_addr()?)?)
    } else {
        None
    };
    let app = api::App {
        commands: commands.clone(),
        reads: reads.clone(),
        store: Arc::clone(&store),
        care: log.care(args.store.log.reserve_bytes),
        keys: Arc::clone(&keys),
        options: api::Options {
            trial: trial.map(Arc::new),
            ..api::Options::default()
        },
    };
    let opened = match listeners.kurrent {
        Some(listener) => {
            let url = door.url(listener.local_addr()?);
            say("KurrentDB's protocol is spoken for reading at", &url, json);
            Some(door.open(listener, Arc::clone(&store), &keys))
        }
        None => None,
    };
    let (stop_door, closing) = opened.unzip();
    let stop = async {
        stop.await;
        // Both stop at once; a door that has ended is told of below.
        let _ = stop_door.map(|stop_door| stop_door.send(()));
    };
    let url = format!("http://{}", listener.local_addr()?);
    say_listening(&log.place(&folder), &url, json);
    if args.demo {
        demo::print(&keys, &url)?;
    }
    let renewing = {
        let reads = reads.clone();
        tokio::spawn(async move { reads.renew().await })
    };
    let proving = args.verify_views_every.map(|every| {
        let reads = reads.clone();
        tokio::spawn(async move { prove(&reads, every).await })
    });
    let served = api::serve(listener, app, api::ServeOptions::default(), stop).await;
    tracing::info!("stopping");
    let door = match closing {
        Some(closing) => closing.closed().await,
        None => Ok(()),
    };
    renewing.abort();
    if let Some(proving) = proving {
        proving.abort();
    }
    commands.stop().await;
    let views = reads.stop().await;
    log.close();
    served.context("serving ended")?;
    door?;
    views.context("the views' checkpoints")?;
    tracing::info!("stopped");
    Ok(())
}

/// Proves one view after the other, all of them evenly over each such time. What it finds is told where it is found.
async fn prove(reads: &ReadSide, every: Duration) {
    let views = reads.names();
    let each = every / u32::try_from(views.len()).unwrap_or(1);
    let mut turns = tokio::time::interval(each);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns.tick().await;
    for view in views.iter().cycle() {
        loop {
            turns.tick().await;
            match reads.begin_verify(*view) {
                Ok(begun) => {
                    // Kept and told there; one that panicked was told by the panic.
                    let _ = begun.last.await;
                    break;
                }
                // It has its turn when the other has ended.
                Err(CareError::Busy(_)) => {}
                Err(error) => {
                    tracing::warn!(%view, %error, "the view was not proved");
                    break;
                }
            }
        }
    }
}

/// What the service listens on.
struct Listeners {
    http: TcpListener,
    kurrent: Option<TcpListener>,
}

impl Listeners {
    /// Takes the addresses.
    async fn of(args: &cli::Serve) -> anyhow::Result<Self> {
        let http = listen("listen", &args.listen).await?;
        let kurrent = match &args.door.listen {
            Some(address) => Some(listen("kurrent-listen", address).await?),
            None => None,
        };
        Ok(Self { http, kurrent })
    }
}

/// Says that the service is there, whatever the log leaves out.
pub(crate) fn say_listening(place: &str, url: &str, json: bool) {
    let words = format!("{place} holds the log; listening on");
    say(&words, url, json);
}

/// Says where something is: a line for people, or one like the log's own.
fn say(words: &str, url: &str, json: bool) {
    let words = format!("{words} {url}");
    if json {
        let line = serde_json::json!({
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "level": "INFO",
            "fields": { "message": words, "url": url },
            "target": module_path!(),
        });
        eprintln!("{line}");
    } else {
        eprintln!("doorstep: {words}");
    }
}

/// Takes the address that a flag names.
pub(crate) async fn listen(flag: &str, address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = if error.kind() == ErrorKind::AddrInUse {
            &format!("; stop what listens there, or choose another with --{flag} (port 0 takes a free one)")
        } else if error.kind() == ErrorKind::AddrNotAvailable {
            "; it is not an address of this machine"
        } else if error.kind() == ErrorKind::PermissionDenied {
            "; ports below 1024 need rights of their own"
        } else {
            ""
        };
        anyhow::anyhow!("cannot listen on {address}: {error}{advice}")
    })
}

/// Done at the first SIGTERM or SIGINT; the second ends the process at once.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            eprintln!("doorstep: stopped at once; nothing that was answered is lost");
            std::process::exit(1);
        });
    })
}
