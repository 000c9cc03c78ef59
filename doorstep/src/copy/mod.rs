//! `copy`: a log at another place, event by event, the same in all but its id and its positions.
//!
//! The source is read once, from its beginning to the end that it had when it was opened. What the target holds already is
//! compared with it event by event, and has to be a beginning of it: so the target itself says where a copy that was ended
//! goes on, and one that holds anything else is refused before anything is written. Then the rest is appended in order
//! ([`laying`]), read back, and the digests of both logs are compared; until they are equal a data folder says that it is no
//! whole copy. A source that grows is caught up with by copying again. No event is decoded: what a newer program wrote is
//! copied as it is.

mod laying;
mod place;
mod progress;
mod walk;

use anyhow::{anyhow, bail};
use event_store::{LogId, Position, RecordedEvent};
use serde_json::{Value, json};

use laying::Laying;
use place::{Begin, Opened};
use progress::Progress;
use walk::Walk;

pub(crate) use place::Place;

use crate::cli;
use crate::failure::{Done, Failure};
use crate::out;

/// Events of other streams on a cluster that are counted at most.
const BESIDE_MAX: usize = 10_000;

/// Copies a log.
pub(crate) async fn run(args: &cli::Copy) -> Done {
    let (Some(from), Some(to)) = (&args.from, &args.to) else {
        return Err(Failure::usage("copy needs --from and --to"));
    };
    let from = Place::parse(from).map_err(Failure::usage)?;
    let to = Place::parse(to).map_err(Failure::usage)?;
    if from.is_folder_of(&to) {
        return Err(same(&from, &to));
    }
    from.may_be_read()?;
    to.may_be_written()?;
    let Some(source) = from.look().await? else {
        return Err(anyhow!("{from} holds no log").into());
    };
    let result = copied(args, (&from, &source), &to).await;
    source.close();
    let told = result?;
    out::line(&told)?;
    if told.get("equal") == Some(&Value::Bool(true)) {
        Ok(())
    } else {
        let words = format!("{to} is no copy of {from}: somebody else wrote to it meanwhile");
        Err(anyhow!(words).into())
    }
}

fn same(from: &Place, to: &Place) -> Failure {
    Failure::usage(format!("{from} and {to} are the same log"))
}

/// Copies, and gives what both ends came to.
async fn copied(
    args: &cli::Copy,
    (from, source): (&Place, &Opened),
    to: &Place,
) -> Result<Value, Failure> {
    let store = source.store();
    let end = store.durable_position();
    let beside = source.beside(BESIDE_MAX).await?;
    // Positions of a cluster have gaps, which do not tell how many events there are.
    let all =
        matches!(source, Opened::AtRest(_)).then(|| store.events_between(Position::START, end));
    let mut progress = Progress::new(all, args.progress);
    let mut reading = Walk::over(
        store.clone(),
        progress.patience(from.to_string(), args.wait),
    );

    progress.begin("compared", 0);
    let mut standing = to.look().await?;
    let mut written = None;
    if let Some(target) = &standing {
        let there = target.store();
        if there.log_id() == store.log_id() {
            return Err(same(from, to));
        }
        let (level, other) = (store.schema_level(), there.schema_level());
        if level != other {
            let words = format!(
                "{to} has a log of schema level {other}, {from} one of {level}, and a copy has that of what it is a copy of: copy to another place"
            );
            return Err(anyhow!(words).into());
        }
        let patience = progress.patience(to.to_string(), args.wait);
        let mut walk = Walk::over(there, patience);
        compare(&mut reading, &mut walk, (from, to), &mut progress).await?;
        if matches!(target, Opened::AtRest(_)) && walk.left_out() > 0 {
            let words = format!("{to} holds events that are no log of Doorstep's");
            return Err(something_else(&words).into());
        }
        written = Some(walk);
    }
    let stood = reading.events();
    let next = reading.next().await?;
    if stood > 0 && next.is_some() {
        progress.say(&format!("{stood} events stand in {to} already"));
    }

    // What was compared of a folder was open to be read alone.
    if !matches!(standing, Some(Opened::Cluster(_))) {
        let id = standing.as_ref().map(|target| target.store().log_id());
        drop(standing.take());
        if let Some(walk) = &mut written {
            walk.let_go();
        }
        let begin = Begin {
            schema_level: store.schema_level(),
            recorded_at_ms: next.as_ref().map(RecordedEvent::recorded_at_ms),
            log: args.log,
        };
        let opened = to.open(&begin).await?;
        let there = opened.store();
        let reached = written.as_ref().map_or(Position::START, Walk::position);
        if there.durable_position() != reached
            || id.is_some_and(|id| id != there.log_id())
            || there.schema_level() != store.schema_level()
        {
            opened.close();
            let words = format!("{to} was changed by somebody else just now");
            return Err(something_else(&words).into());
        }
        let patience = || progress.patience(to.to_string(), args.wait);
        match &mut written {
            Some(walk) => walk.go_on(there),
            None => written = Some(Walk::over(there, patience())),
        }
        standing = Some(opened);
    }
    let (Some(target), Some(mut written)) = (standing, written) else {
        return Err(anyhow!("{to} did not open").into());
    };

    let result = async {
        if next.is_some() {
            to.unfinished()?;
        }
        lay(&mut reading, next, (to, &target), args, &mut progress).await?;
        progress.all_are(reading.events());
        progress.begin("read back", written.events());
        written.go_on(target.store());
        while written.next().await?.is_some() {
            progress.at(written.events());
        }
        let equal = reading.digest() == written.digest() && reading.events() == written.events();
        if equal {
            to.finished()?;
        }
        anyhow::Ok(equal)
    };
    let result = result.await;
    let id = target.store().log_id();
    target.close();
    let equal = result?;

    let left_out = reading.left_out() + beside;
    if left_out > 0 {
        let more = if usize::try_from(beside).is_ok_and(|beside| beside >= BESIDE_MAX) {
            "at least "
        } else {
            ""
        };
        progress.say(&format!(
            "{more}{left_out} events of {from} are in streams that are not Doorstep's, and were left out"
        ));
    }
    Ok(json!({
        "from": side(&reading, store.log_id()),
        "to": side(&written, id),
        "equal": equal,
        "copied": reading.events() - stood,
        "left_out": left_out,
        "recorded_later": reading.raised(),
        "schema_level": store.schema_level(),
    }))
}

/// One end as it is told.
fn side(walk: &Walk, log_id: LogId) -> Value {
    json!({
        "log_id": log_id.0.to_string(),
        "events": walk.events(),
        "position": walk.position(),
        "sha256": walk.digest(),
    })
}

/// Compares what the target holds with the source, which has to begin with it.
async fn compare(
    reading: &mut Walk,
    there: &mut Walk,
    (from, to): (&Place, &Place),
    progress: &mut Progress,
) -> anyhow::Result<()> {
    while let Some(found) = there.next().await? {
        let place = format!("version {} of {}", found.version(), found.stream());
        if reading.next().await?.is_none() {
            bail!(something_else(&format!(
                "{to} goes on where {from} ends, with {place}"
            )));
        }
        if reading.canonical() != there.canonical() {
            bail!(something_else(&format!(
                "{to} holds something else than {from} from its position {} on, {place}",
                found.position()
            )));
        }
        progress.at(reading.events());
    }
    Ok(())
}

/// Why nothing was written.
fn something_else(what: &str) -> anyhow::Error {
    anyhow!(
        "{what}; nothing was written: copy to a place without a log, or to a part of this very copy"
    )
}

/// Appends what the target lacks.
async fn lay(
    reading: &mut Walk,
    mut next: Option<RecordedEvent>,
    (to, target): (&Place, &Opened),
    args: &cli::Copy,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    progress.begin("copied", reading.events());
    let patience = progress.patience(to.to_string(), args.wait);
    let mut laying = Laying::into(target.store(), to.to_string(), patience);
    while let Some(event) = next {
        laying.take(&event).await?;
        progress.at(reading.events());
        next = reading.next().await?;
    }
    laying.finish().await
}
