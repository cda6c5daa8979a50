//! What a SOURCE holds, read in full: blocks and heads with their accounts, metrics by size, targets, damage.

use std::collections::BTreeMap;

use crate::labels::METRIC_NAME;
use crate::loss::Ledger;
use crate::samples::{
    EncodingCount, Kinds, LoadedSeries, MemberCount, exclusive_chunks, load_in_batches, physical_beside_blocks,
};
use crate::series::{Member, select};
use crate::source::{Part, Source};
use crate::time::Interval;
use crate::tsdb::chunkenc::Encoding;
use crate::windows::Span;
use crate::windows::semantics::{Semantics, SemanticsChoice, resolve};
use crate::windows::targets::{Coverage, Targets, coverage};

/// One block or head, read in full.
#[derive(Debug, Clone)]
pub struct PartAccount {
    /// What its chunks hold.
    pub count: MemberCount,
    /// Its series.
    pub series: u64,
    /// Chunks that its index names, or that are mapped.
    pub chunks: u64,
    /// First and last time of a chunk as the index says, or of anything in a head.
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
    pub blocks: Vec<PartAccount>,
    /// In the order of [`Source::heads`].
    pub heads: Vec<PartAccount>,
    /// In the order of [`Source::datasets`].
    pub datasets: Vec<PartAccount>,
    /// In the order of [`Source::dumps`].
    pub dumps: Vec<PartAccount>,
    /// Metrics, the largest first.
    pub metrics: Vec<MetricSize>,
    /// Series over all blocks, each label set once.
    pub series: u64,
    /// Float samples served after merging and deletions.
    pub served: u64,
    /// Native histograms served after merging and deletions.
    pub histograms: u64,
    /// Samples of all kinds on disk, in every block, mapped chunk and log, repetitions, deleted and refused ones included.
    pub physical: u64,
    /// First and last sample served.
    pub interval: Option<Interval>,
    /// Targets with their scrapes over all of the data; `None` without data.
    pub coverage: Option<Coverage>,
    /// The server's version, where the data say so.
    pub semantics: Option<Semantics>,
    /// Losses, contradictions, notes, deletions and duplicates of the whole read.
    pub ledger: Ledger,
}

impl PartAccount {
    fn new(part: Part) -> PartAccount {
        PartAccount {
            count: MemberCount::new(part),
            series: 0,
            chunks: 0,
            chunk_interval: None,
            disagreements: Vec::new(),
        }
    }

    fn part_of(parts: &mut Parts, part: Part) -> Option<&mut PartAccount> {
        match part {
            Part::Block(i) => parts.blocks.get_mut(i),
            Part::Head(i) | Part::Late(i) => parts.heads.get_mut(i),
            Part::Dataset(i) => parts.datasets.get_mut(i),
            Part::Dumps(i) => parts.dumps.get_mut(i),
        }
    }
}

struct Parts {
    blocks: Vec<PartAccount>,
    heads: Vec<PartAccount>,
    datasets: Vec<PartAccount>,
    dumps: Vec<PartAccount>,
}

/// Reads all of `source`, in batches of series; memory holds the series' labels and one batch's samples.
pub fn take(source: &Source) -> Inventory {
    let selection = select(source, &[]);
    let mut ledger = source.opening_ledger();
    let exclusive = exclusive_chunks(source, &selection.series, &mut ledger);
    ledger.absorb(selection.ledger.clone());
    let mut parts = Parts {
        blocks: (0..source.blocks.len()).map(|i| PartAccount::new(Part::Block(i))).collect(),
        heads: (0..source.heads.len()).map(|i| PartAccount::new(Part::Head(i))).collect(),
        datasets: (0..source.datasets.len()).map(|i| PartAccount::new(Part::Dataset(i))).collect(),
        dumps: (0..source.dumps.len()).map(|i| PartAccount::new(Part::Dumps(i))).collect(),
    };
    let mut metrics: BTreeMap<String, MetricSize> = BTreeMap::new();
    let (mut served, mut histograms) = (0, 0);
    let mut interval: Option<Interval> = None;
    let mut account = |at: usize, loaded: LoadedSeries| {
        let Some(series) = selection.series.get(at) else { return };
        let (floats, hists) = (loaded.samples.len() as u64, loaded.histograms.len() as u64);
        let name = String::from_utf8_lossy(series.labels.get(METRIC_NAME)).into_owned();
        let metric = metrics.entry(name.clone()).or_default();
        metric.name = name;
        metric.series += 1;
        metric.samples += floats + hists;
        (served, histograms) = (served + floats, histograms + hists);
        for m in &loaded.members {
            metric.bytes += m.encodings.values().map(|e| e.bytes).sum::<u64>();
        }
        let floats = loaded.samples.ts.first().copied().zip(loaded.samples.ts.last().copied());
        let hists = loaded.histograms.first().map(|h| h.t_ms).zip(loaded.histograms.last().map(|h| h.t_ms));
        for (first, last) in floats.into_iter().chain(hists) {
            interval = Interval::joined(interval, Some(Interval::new(first, last)));
        }
        for m in &series.members {
            let Some(of) = PartAccount::part_of(&mut parts, m.part()) else { continue };
            of.series += 1;
            of.chunks += chunks(source, m);
            for i in m.pieces() {
                of.chunk_interval = Interval::joined(of.chunk_interval, Some(i));
            }
        }
        for m in loaded.members {
            if let Some(of) = PartAccount::part_of(&mut parts, m.part) {
                absorb(&mut of.count, m);
            }
        }
    };
    let _ = load_in_batches(source, &exclusive, Interval::ALL, Kinds::All, |from, batch| {
        for (i, loaded) in batch.series.into_iter().enumerate() {
            account(from + i, loaded);
        }
        ledger.absorb(batch.ledger);
        Ok::<(), std::convert::Infallible>(())
    });
    let Parts { mut blocks, heads, datasets, dumps } = parts;
    let in_blocks: u64 = blocks.iter().flat_map(|b| b.count.encodings.values()).map(|e| e.samples).sum();
    let beside: u64 = datasets.iter().chain(&dumps).map(|d| d.count.floats + d.count.histograms).sum();
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
        heads,
        datasets,
        dumps,
        physical: in_blocks + beside + physical_beside_blocks(source),
        metrics,
        series: selection.series.len() as u64,
        served,
        histograms,
        interval,
        ledger,
    }
}

/// Chunks of a series in one part.
fn chunks(source: &Source, member: &Member) -> u64 {
    match member {
        Member::Block { entry, .. } => entry.chunks.len() as u64,
        Member::Head { head, position, .. } => {
            let series = source.heads.get(*head).and_then(|h| h.head.series.get(*position));
            series.map_or(0, |s| (s.chunks.len() + s.late_chunks.len()) as u64)
        }
        Member::Dataset { .. } | Member::Dumps { .. } => 0,
    }
}

fn absorb(into: &mut MemberCount, from: MemberCount) {
    into.floats += from.floats;
    into.histograms += from.histograms;
    into.logged += from.logged;
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
fn disagreements(block: &crate::tsdb::Block, account: &PartAccount) -> Vec<String> {
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

/// All encodings of all chunks.
pub fn encodings(inventory: &Inventory) -> BTreeMap<Encoding, EncodingCount> {
    let mut all = MemberCount::new(Part::Block(0));
    for part in inventory.blocks.iter().chain(&inventory.heads) {
        absorb(&mut all, part.count.clone());
    }
    all.encodings
}
