//! Disk: the log and all views beside the canonical bytes of the events.
//!
//! Canonical bytes here are the header fields that no log decides, with their lengths, and `data` itself (where the
//! canonical form has the digest of `data`). Zero-filled space of the log is told aside: it is given back to nobody,
//! but holds nothing either.

use std::path::Path;

use event_store::{EventStore as _, Position};

use super::figures::{Row, Target, number};
use super::log::Filled;

/// Bytes of the digest that stands for `data` in the canonical form, with its length.
const DIGEST_BYTES: usize = 4 + 32;

/// `disk-log`, `disk-views`.
#[expect(clippy::cast_precision_loss, reason = "numbers to be read")]
pub(crate) async fn measure(log: &Filled) -> anyhow::Result<Vec<Row>> {
    let store = log.open()?;
    let (mut canonical, mut after, mut bytes) = (0_usize, Position::START, Vec::new());
    loop {
        let block = store.read_all(after, 8192, 16 << 20).await?;
        let Some(last) = block.last() else { break };
        after = last.position();
        for event in &block {
            bytes.clear();
            event.canonical_bytes(&mut bytes);
            canonical += bytes.len() - DIGEST_BYTES + 4 + event.data().len();
        }
    }
    store.close();
    let log_bytes = folder_bytes(&log.folder.path().join("log"))?;
    let views = folder_bytes(&log.folder.views())?;
    let write = folder_bytes(&log.folder.write())?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let used = log_bytes.whole - log_bytes.zeros_at_ends;
    Ok(vec![
        Row::new(
            "disk-log",
            "log on disk, zero-filled space aside",
            "MiB",
            mib(used),
            Target::RatioAtMost(1.15),
        )
        .beside(
            "canonical bytes of the events",
            canonical as f64 / f64::from(1 << 20),
        )
        .noting(format!(
            "zero-filled {} MiB",
            number(mib(log_bytes.zeros_at_ends))
        )),
        Row::new(
            "disk-views",
            "all views on disk",
            "MiB",
            mib(views.whole),
            Target::RatioAtMost(0.5),
        )
        .beside("the log", mib(used))
        .noting(format!(
            "the write side's tables {} MiB",
            number(mib(write.whole))
        )),
    ])
}

struct Bytes {
    whole: u64,
    zeros_at_ends: u64,
}

/// Bytes of all files in a folder, and how many of them are zeros at the files' ends.
fn folder_bytes(folder: &Path) -> anyhow::Result<Bytes> {
    let mut bytes = Bytes {
        whole: 0,
        zeros_at_ends: 0,
    };
    if !folder.exists() {
        return Ok(bytes);
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = folder_bytes(&entry.path())?;
            bytes.whole += below.whole;
            bytes.zeros_at_ends += below.zeros_at_ends;
        } else {
            let content = std::fs::read(entry.path())?;
            let used = content
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            bytes.whole += u64::try_from(content.len())?;
            bytes.zeros_at_ends += u64::try_from(content.len() - used)?;
        }
    }
    Ok(bytes)
}
