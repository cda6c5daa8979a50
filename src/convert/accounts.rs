//! What became of every series, gathered in order.

use std::collections::BTreeMap;

use crate::loss::Ledger;
use crate::sample::is_stale;
use crate::samples::LoadedSeries;
use crate::time::Interval;

/// What was written of one series.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeriesCount {
    pub floats: u64,
    pub histograms: u64,
    pub times: Option<Interval>,
}

/// What one load of one series gave beside its rows.
#[derive(Debug)]
pub(super) struct Found {
    pub id: i64,
    count: SeriesCount,
    stale: u64,
    holes: Vec<Interval>,
    conflicts: Vec<i64>,
    ledger: Ledger,
}

impl Found {
    /// Takes everything but the samples out of `loaded`.
    pub(super) fn of(id: i64, loaded: &mut LoadedSeries) -> Found {
        let (floats, histograms) = (&loaded.samples, &loaded.histograms);
        let ends = |first: Option<i64>, last: Option<i64>| Some(Interval::new(first?, last?));
        let times = Interval::joined(
            ends(floats.ts.first().copied(), floats.ts.last().copied()),
            ends(histograms.first().map(|h| h.t_ms), histograms.last().map(|h| h.t_ms)),
        );
        let mut ledger = std::mem::take(&mut loaded.ledger);
        // The id says whose they are.
        let conflicts = std::mem::take(&mut ledger.conflicts).into_iter().map(|c| c.t_ms).collect();
        Found {
            id,
            count: SeriesCount { floats: floats.len() as u64, histograms: histograms.len() as u64, times },
            stale: floats.bits.iter().filter(|b| is_stale(**b)).count() as u64,
            holes: std::mem::take(&mut loaded.holes),
            conflicts,
            ledger,
        }
    }
}

/// Everything that was found, of all series of a shard.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    first: i64,
    counts: Vec<SeriesCount>,
    holes: BTreeMap<i64, Vec<Interval>>,
    conflicts: BTreeMap<i64, Vec<i64>>,
    pub floats: u64,
    pub stale: u64,
    pub histograms: u64,
    pub ledger: Ledger,
}

impl Accounts {
    /// Accounts for the series from `first` to before `end`.
    pub(super) fn new(first: i64, end: i64, ledger: Ledger) -> Accounts {
        let counts = vec![SeriesCount::default(); end.saturating_sub(first).max(0) as usize];
        Accounts { first, counts, ledger, ..Accounts::default() }
    }

    pub(super) fn add(&mut self, found: Found) {
        if let Some(of) = self.counts.get_mut((found.id - self.first) as usize) {
            of.floats += found.count.floats;
            of.histograms += found.count.histograms;
            of.times = Interval::joined(of.times, found.count.times);
        }
        self.floats += found.count.floats;
        self.histograms += found.count.histograms;
        self.stale += found.stale;
        if !found.holes.is_empty() {
            self.holes.entry(found.id).or_default().extend(found.holes);
        }
        if !found.conflicts.is_empty() {
            self.conflicts.entry(found.id).or_default().extend(found.conflicts);
        }
        self.ledger.absorb(found.ledger);
    }

    pub(super) fn count(&self, id: i64) -> SeriesCount {
        self.counts.get((id - self.first) as usize).copied().unwrap_or_default()
    }

    /// Where samples of a series may be missing inside `interval`, sorted and disjoint.
    pub(super) fn holes(&self, id: i64, interval: Interval) -> Vec<Interval> {
        let mut holes: Vec<Interval> = self.holes.get(&id).into_iter().flatten().copied().collect();
        holes.retain(|h| h.overlaps(&interval));
        holes.sort_by_key(|h| (h.start, h.end));
        let mut out: Vec<Interval> = Vec::new();
        for h in holes {
            let h = Interval::new(h.start.max(interval.start), h.end.min(interval.end));
            match out.last_mut() {
                Some(last) if h.start <= last.end.saturating_add(1) => last.end = last.end.max(h.end),
                _ => out.push(h),
            }
        }
        out
    }

    /// When parts of the source contradict each other about a series, ascending.
    pub(super) fn conflicts(&self, id: i64) -> Vec<i64> {
        let mut times: Vec<i64> = self.conflicts.get(&id).into_iter().flatten().copied().collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// How many samples are contradicted.
    pub(super) fn all_conflicts(&self) -> u64 {
        self.conflicts.keys().map(|id| self.conflicts(*id).len() as u64).sum()
    }
}
