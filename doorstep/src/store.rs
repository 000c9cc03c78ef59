//! `store`: the embedded store alone, behind KurrentDB's protocol, for tests and for a small log that several share.
//!
//! Nothing is decided here: who may append appends what they like, at the version they expect. Without a signing key
//! everyone may, and so it is served to this machine alone. Stopped, it answers what it took and marks the log as closed;
//! killed, it has lost nothing that was answered.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use api::KeySet;
use event_store::EventStore;
use kurrent::server::{Access, Everyone, Faults, Numbering, Options};

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::door::{ByToken, Door};
use crate::failure::{Done, Failure};
use crate::serve::{listen, say_listening, stop_signal};

/// Serves the store until it is told to stop.
pub(crate) async fn run(args: &cli::Store, json: bool) -> Done {
    let Some(address) = &args.listen else {
        return Err(Failure::usage("store needs --listen"));
    };
    let files = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let door = Door::with(files, args.advertise.as_deref())?;
    let access: Arc<dyn Access> = match &args.key.auth_key {
        Some(file) => Arc::new(ByToken::of(&Arc::new(KeySet::open(file, None)?))),
        None => Arc::new(Everyone),
    };
    let stop = stop_signal()?;
    let listener = listen("listen", address).await?;
    let listening = listener.local_addr()?;
    if args.key.auth_key.is_none() && !listening.ip().is_loopback() {
        return Err(open_to_all(listening));
    }
    let folder = DataFolder::at(&args.folder.data);
    let store = compose::open_store(
        &folder,
        &cli::StoreArgs {
            store: "embedded".to_owned(),
            log: args.log,
        },
    )?;
    let (numbering, faults) = match args.test_faults {
        Some(seed) => {
            tracing::warn!(seed, "answers are lost, late and stale on purpose");
            (Numbering::Gaps { seed }, Some(Faults::by_chance(seed)))
        }
        None => (Numbering::Same, None),
    };
    let options = Options {
        numbering,
        faults,
        ..door.options(Options::appending(access))
    };
    let place = folder.path().display().to_string();
    say_listening(&place, &door.url(listening), json);
    let log = Arc::clone(&store) as Arc<dyn EventStore>;
    let served = kurrent::server::serve(listener, log, options, stop).await;
    tracing::info!("stopping");
    store.close();
    served.context("serving ended")?;
    tracing::info!("stopped");
    Ok(())
}

/// A store that takes everyone is for this machine.
fn open_to_all(listening: SocketAddr) -> Failure {
    Failure::usage(format!(
        "--listen: {listening} can be reached from elsewhere, and without --auth-key everyone may read and append; give a key, or listen on 127.0.0.1"
    ))
}
