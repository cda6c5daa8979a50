//! The samples of heads that only their logs have, for one load.

use std::collections::{BTreeMap, BTreeSet};

use super::Reach;
use crate::head::{Head, LogSamples};
use crate::loss::{Ledger, Loss};
use crate::series::{Member, MergedSeries};
use crate::source::Source;
use crate::time::Interval;

/// What was read from the logs again, beside what the heads kept.
pub(super) struct Logs<'a> {
    heads: Vec<(&'a Head, BTreeMap<usize, LogSamples>)>,
}

impl<'a> Logs<'a> {
    /// Reads the logs of each head once, if `series` need more of them than was kept. A log that cannot be read any more is
    /// a loss.
    pub(super) fn fetch(
        source: &'a Source,
        series: &[MergedSeries],
        interval: Interval,
        reach: Reach,
        ledger: &mut Ledger,
    ) -> Logs<'a> {
        let mut wanted: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); source.heads.len()];
        for m in series.iter().flat_map(|s| &s.members) {
            if let Member::Head { head, position, pieces } = m {
                let needed = |p: &Interval| match reach {
                    Reach::Exact => p.overlaps(&interval),
                    Reach::WithHistory => p.start <= interval.end,
                };
                if pieces.iter().any(needed)
                    && let Some(set) = wanted.get_mut(*head)
                {
                    set.insert(*position);
                }
            }
        }
        let fetch = |(h, positions): (&'a crate::source::SourceHead, BTreeSet<usize>)| {
            let fetched = h.head.fetch(&positions).unwrap_or_else(|e| {
                ledger.losses.push(Loss {
                    file: "wal".to_owned(),
                    offset: None,
                    kind: e.kind(),
                    detail: format!("{e}; it could be read before"),
                    series: None,
                    interval: None,
                    samples: None,
                });
                BTreeMap::new()
            });
            (&h.head, fetched)
        };
        Logs { heads: source.heads.iter().zip(wanted).map(fetch).collect() }
    }

    /// The samples of a series; `None` where the logs have none, or none that were asked for.
    pub(super) fn of(&self, head: usize, position: usize) -> Option<&LogSamples> {
        let (h, fetched) = self.heads.get(head)?;
        h.kept_samples(position).or_else(|| fetched.get(&position))
    }
}
