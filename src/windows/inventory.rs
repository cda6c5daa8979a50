//! What a SOURCE holds, read in full: blocks with their accounts, metrics by size, targets, damage.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::labels::METRIC_NAME;
use crate::loss::Ledger;
use crate::samples::{EncodingCount, MemberCount, Reach, exclusive_chunks, load};
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::time::Interval;
use crate::tsdb::chunkenc::Encoding;
use crate::windows::Span;
use crate::windows::semantics::{Semantics, SemanticsChoice, resolve};
use crate::windows::targets::{Coverage, Targets, coverage};

/// One block, read in full.
#[derive(Debug, Clone, Default)]
pub struct BlockAccount {
    /// What its chunks hold.
    pub count: MemberCount,
    /// Series in its index.
    pub series: u64,
    /// Chunks that its index names.
    pub chunks: u64,
    /// First and last time of a chunk as the index says.
    pub chunk_interval: Option<Interval>,
    /// Where the account and `meta.json` disagree, and which side lies.
    pub disagreements: Vec<String>,
}

/// One metric name over all blocks.
#[derive(Debug, Clone, Default)]
pub struct MetricSize {
    /// The name; empty for series without one.
    pub name: String,
    /// Series.
    pub series: u64,
    /// Samples served, histograms included.
    pub samples: u64,
    /// Bytes of its chunks.
    pub bytes: u64,
}

/// Everything about a SOURCE.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// In the order of [`Source::blocks`].
    pub blocks: Vec<BlockAccount>,
    /// Metrics, the largest first.
    pub metrics: Vec<MetricSize>,
    /// Series over all blocks, each label set once.
    pub series: u64,
    /// Float samples served after merging and deletions.
    pub served: u64,
    /// Native histogram samples found.
    pub histograms: u64,
    /// First and last sample served.
    pub interval: Option<Interval>,
    /// Targets with their scrapes over all of the data; `None` without data.
    pub coverage: Option<Coverage>,
    /// The server's version, where the data say so.
    pub semantics: Option<Semantics>,
    /// Losses, contradictions, notes, deletions and duplicates of the whole read.
    pub ledger: Ledger,
}

struct SeriesAccount {
    served: u64,
    interval: Option<Interval>,
    members: Vec<MemberCount>,
    ledger: Ledger,
}

/// Reads all of `source`, series by series in parallel; memory holds the series' labels and one series' samples per
/// thread.
pub fn take(source: &Source) -> Inventory {
    let selection = select(source, &[]);
    let mut ledger = source.opening_ledger();
    let exclusive = exclusive_chunks(source, &selection.series, &mut ledger);
    let accounts: Vec<SeriesAccount> = exclusive.par_iter().map(|s| account(source, s)).collect();
    ledger.absorb(selection.ledger.clone());
    let mut blocks: Vec<BlockAccount> = source.blocks.iter().map(|_| BlockAccount::default()).collect();
    let mut metrics: BTreeMap<String, MetricSize> = BTreeMap::new();
    let (mut served, mut histograms) = (0, 0);
    let mut interval: Option<Interval> = None;
    for (series, account) in selection.series.iter().zip(accounts) {
        let name = String::from_utf8_lossy(series.labels.get(METRIC_NAME)).into_owned();
        let metric = metrics.entry(name.clone()).or_default();
        metric.name = name;
        metric.series += 1;
        metric.samples += account.served;
        served += account.served;
        for m in &account.members {
            histograms += m.histograms;
            metric.samples += m.histograms;
            metric.bytes += m.encodings.values().map(|e| e.bytes).sum::<u64>();
        }
        if let Some(i) = account.interval {
            let all = interval.get_or_insert(i);
            *all = all.hull(i);
        }
        for m in &series.members {
            if let Some(b) = blocks.get_mut(m.block) {
                b.series += 1;
                b.chunks += m.entry.chunks.len() as u64;
                for c in &m.entry.chunks {
                    let all = b.chunk_interval.get_or_insert(c.interval());
                    *all = all.hull(c.interval());
                }
            }
        }
        for m in account.members {
            if let Some(b) = blocks.get_mut(m.block) {
                absorb(&mut b.count, m);
            }
        }
        ledger.absorb(account.ledger);
    }
    for (b, account) in source.blocks.iter().zip(&mut blocks) {
        if b.block.index.is_some() {
            account.disagreements = disagreements(&b.block, account);
        }
    }
    ledger.settle();
    let mut metrics: Vec<MetricSize> = metrics.into_values().collect();
    metrics.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(b.samples.cmp(&a.samples)).then(a.name.cmp(&b.name)));
    let span = interval.map(|i| Span { start: i.start.saturating_sub(1), end: i.end });
    Inventory {
        coverage: span.map(|span| coverage(&Targets::load(source, &[], span, None), span, &[])),
        semantics: span.map(|span| resolve(SemanticsChoice::Auto, source, span)),
        blocks,
        metrics,
        series: selection.series.len() as u64,
        served,
        histograms,
        interval,
        ledger,
    }
}

fn account(source: &Source, series: &MergedSeries) -> SeriesAccount {
    let loaded = load(source, series, Interval::ALL, Reach::Exact);
    let interval = match (loaded.samples.ts.first(), loaded.samples.ts.last()) {
        (Some(a), Some(b)) => Some(Interval::new(*a, *b)),
        _ => None,
    };
    SeriesAccount { served: loaded.samples.len() as u64, interval, members: loaded.members, ledger: loaded.ledger }
}

fn absorb(into: &mut MemberCount, from: MemberCount) {
    into.floats += from.floats;
    into.histograms += from.histograms;
    into.deleted += from.deleted;
    into.lost += from.lost;
    into.lost_unknown += from.lost_unknown;
    for (encoding, n) in from.encodings {
        let of: &mut EncodingCount = into.encodings.entry(encoding).or_default();
        of.chunks += n.chunks;
        of.samples += n.samples;
        of.bytes += n.bytes;
    }
}

/// Samples found plus samples lost should make what `meta.json` says.
fn disagreements(block: &crate::tsdb::Block, account: &BlockAccount) -> Vec<String> {
    let stats = &block.meta.stats;
    let mut out = Vec::new();
    let found: u64 = account.count.encodings.values().map(|e| e.samples).sum();
    let unknown = account.count.lost_unknown;
    if let Some(claimed) = stats.samples {
        if unknown > 0 && claimed >= found {
            out.push(format!(
                "{} samples are in the {unknown} chunks that cannot be read, if meta.json is right",
                claimed - found
            ));
        } else if claimed != found {
            out.push(format!(
                "meta.json says {claimed} samples, the chunks hold {found}: their checksums match, so meta.json is wrong"
            ));
        }
    }
    for (what, claimed, found) in [("series", stats.series, account.series), ("chunks", stats.chunks, account.chunks)] {
        if let Some(claimed) = claimed.filter(|c| *c != found) {
            out.push(format!("meta.json says {claimed} {what}, the index names {found}"));
        }
    }
    if let Some(i) = account.chunk_interval
        && (i.start < block.meta.min_time_ms || i.end >= block.meta.max_time_ms)
    {
        out.push(format!("meta.json says {}, the index has chunks over {i}", block.meta.interval()));
    }
    out
}

/// All encodings of all blocks.
pub fn encodings(inventory: &Inventory) -> BTreeMap<Encoding, EncodingCount> {
    let mut all = MemberCount::default();
    for b in &inventory.blocks {
        absorb(&mut all, MemberCount { encodings: b.count.encodings.clone(), ..MemberCount::default() });
    }
    all.encodings
}
