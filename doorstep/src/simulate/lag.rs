//! How far the views of a node are behind the log: events are applied in batches, and a reader near the log's end rests.
//!
//! Every node applies every event of the log, whoever wrote it; that is what this adds up. The rest is the one of
//! `tables/src/feed.rs`: three times as long as the batch took, 5 to 50 ms.

use hdrhistogram::Histogram;

use super::Micros;
use super::assumed::Assumed;

/// Events that are taken at once at most.
const BATCH: usize = 4_096;
/// How long a reader rests near the log's end, for each time that it worked, and within these bounds.
const REST_TIMES: u64 = 3;
const REST: (Micros, Micros) = (5_000, 50_000);

/// For times up to an hour, to a thousandth of each.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(3_600_000_000, 3)?)
}

/// Notes from commit to applied for each event of the counted time on a node whose subscription is so late.
pub(super) fn note(
    assumed: &Assumed,
    commits: &[Micros],
    told_after: Micros,
    lags: &mut Histogram<u64>,
) {
    let mut now = 0;
    let mut rest = commits;
    while let Some(first) = rest.first() {
        now = now.max(first + told_after);
        let there = rest.partition_point(|commit| commit + told_after <= now);
        let (batch, later) = rest.split_at(there.clamp(1, BATCH));
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let worked = count * assumed.apply_us + assumed.apply_commit_us;
        now += worked;
        for commit in batch.iter().filter(|commit| assumed.counts(**commit)) {
            lags.saturating_record(now - commit);
        }
        let near = there <= BATCH;
        rest = later;
        if near {
            now += (worked * REST_TIMES).clamp(REST.0, REST.1);
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn highest(commits: &[Micros]) -> Micros {
        let mut lags = histogram().unwrap();
        note(&Assumed::smoke(), commits, 2_000, &mut lags);
        lags.max()
    }

    #[test]
    fn a_single_event_takes_its_way_and_its_commit() {
        let lag = highest(&[2_000_000]);
        assert!((3_000..3_100).contains(&lag), "{lag}");
    }

    #[test]
    fn more_than_is_applied_a_second_lags_ever_further() {
        let every = |us: u64| (0..100_000).map(|n| 1_000_000 + n * us).collect::<Vec<_>>();
        assert!(highest(&every(32)) < 200_000);
        assert!(highest(&every(8)) > 500_000);
    }
}
