//! Logged samples that nothing holds: a mapped chunk, the out-of-order log or a block is missing.

use super::{Kinds, LoadedSeries};
use crate::error::ErrorKind;
use crate::head::Unstored;
use crate::loss::Loss;
use crate::series::{Member, MergedSeries};
use crate::source::Source;
use crate::time::Interval;

/// Adds a loss for what the log of a head has inside `interval` and `loaded`, read from all parts, has not.
pub(super) fn report(
    source: &Source,
    series: &MergedSeries,
    interval: Interval,
    kinds: Kinds,
    loaded: &mut LoadedSeries,
) {
    for member in &series.members {
        let Member::Head { head, position, .. } = member else { continue };
        let found = source.heads.get(*head).and_then(|h| h.head.series.get(*position));
        let logged = found.map_or(&[][..], |s| s.unstored.as_slice());
        let lost = |u: &&Unstored| {
            let t = u.t_ms;
            interval.contains(t)
                && (kinds == Kinds::All || !u.histogram)
                && loaded.samples.ts.binary_search(&t).is_err()
                && loaded.histograms.binary_search_by_key(&t, |h| h.t_ms).is_err()
                && !loaded.holes.iter().any(|h| h.contains(t))
        };
        let lost: Vec<&Unstored> = logged.iter().filter(lost).collect();
        if lost.iter().all(|u| u.raced) {
            continue;
        }
        let mut times: Vec<i64> = lost.iter().map(|u| u.t_ms).collect();
        times.sort_unstable();
        times.dedup();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        let of = Interval::new(*first, *last);
        loaded.holes.push(of);
        loaded.ledger.losses.push(Loss {
            file: "wal".to_owned(),
            offset: None,
            kind: ErrorKind::Missing,
            detail: "samples that were logged and that no chunk, log of late samples or block has; a server drops them"
                .to_owned(),
            series: Some(series.labels.clone()),
            interval: Some(of),
            samples: Some(times.len() as u64),
        });
    }
}
