//! Made-up data whose truth is known: a snapshot of any size with the recommender's metrics and others beside them.
//!
//! | step | module |
//! |---|---|
//! | random numbers that can be had in any order | `chance` |
//! | when a target is scraped and what the scrapes find | `timeline` |
//! | how values move | `kind` |
//! | replicas of the recommender; everything else | `recommender`, `others` |
//! | which blocks, what really happened | `blocks`, `truth` |
//!
//! Everything follows from the [`Spec`]: integers and single IEEE operations only, so that every machine and every
//! number of threads gives the same bytes. `docs/synth.md` says what is written.

mod blocks;
pub mod chance;
pub mod kind;
mod others;
mod recommender;
mod timeline;
pub mod truth;

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::time::{DurationMs, TimestampMs};
use crate::tsdb::ulid::Ulid;
use crate::tsdb::write::{BlockWriter, RawChunk};
use blocks::ranges;
use chance::Key;
use others::{Made, Others, States};
use recommender::Replica;
use timeline::{DAY_MS, Span, server_gaps};
use truth::{BlockTruth, Truth, Update};

/// The folder of the TSDB root below the one that is written to.
pub const SNAPSHOT: &str = "snapshot";
/// The file with the truth, beside it.
pub const TRUTH: &str = "truth.json";

/// The longest span of time.
const MAX_DAYS: u32 = 3_650;
/// More series and replicas would not sort by their numbers.
const MAX_SERIES: usize = 10_000_000;
const MAX_REPLICAS: usize = 1_000;
/// The bounds of the scrape interval: events are longer, delays shorter.
const INTERVALS_MS: std::ops::RangeInclusive<DurationMs> = 1_000..=300_000;
/// Samples, about 3 bytes each, and series that are encoded at once; as many again wait to be written.
const BATCH_SAMPLES: u64 = 4_000_000;
const BATCH_SERIES: u64 = 10_000;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spec {
    /// Everything random follows from it.
    pub seed: u64,
    /// End of the data, excluded.
    pub end_ms: TimestampMs,
    /// Length of the data in days, 1 to 3650.
    pub days: u32,
    /// Time between two scrapes of a target, 1 s to 5 min.
    pub interval_ms: DurationMs,
    /// Series that live at any moment, the recommender's included, but for its model switch counters.
    pub series: usize,
    /// Replicas of the recommender, 1 to 1000.
    pub replicas: usize,
    /// Share of the other services' series that is replaced each day, 0 to 1.
    pub churn_ratio: f64,
}

impl Spec {
    /// The time that the data cover.
    fn span(&self) -> Span {
        Span { from_ms: self.end_ms - i64::from(self.days) * DAY_MS, to_ms: self.end_ms }
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String, expected: String| Err(Error::usage(format!("{what}: {expected}")));
        if !(1..=MAX_DAYS).contains(&self.days) {
            return wrong(format!("{} days", self.days), format!("1 to {MAX_DAYS} can be made"));
        }
        if !(i64::from(self.days) * DAY_MS..1 << 47).contains(&self.end_ms) {
            return wrong(
                format!("data that end at {} ms", self.end_ms),
                "they must lie between the years 1970 and 6429".to_owned(),
            );
        }
        if !INTERVALS_MS.contains(&self.interval_ms) {
            return wrong(format!("an interval of {} ms", self.interval_ms), "1s to 5m can be made".to_owned());
        }
        if !(1..=MAX_REPLICAS).contains(&self.replicas) {
            return wrong(format!("{} replicas", self.replicas), format!("1 to {MAX_REPLICAS} can be made"));
        }
        let least = self.replicas * recommender::SERIES;
        if !(least..=MAX_SERIES).contains(&self.series) {
            let expected = format!("the replicas have {least}, and at most {MAX_SERIES} can be made");
            return wrong(format!("{} series", self.series), expected);
        }
        if !(0.0..=1.0).contains(&self.churn_ratio) {
            return wrong(format!("a churn of {}", self.churn_ratio), "a ratio from 0 to 1 is expected".to_owned());
        }
        Ok(())
    }
}

/// Everything that is going to happen.
#[derive(Debug)]
struct Plan {
    gaps: Vec<Span>,
    updates: Vec<Update>,
    replicas: Vec<Replica>,
    others: Others,
}

impl Plan {
    fn new(spec: &Spec) -> Plan {
        let (key, span) = (Key::new(spec.seed), spec.span());
        let gaps = server_gaps(key.part(0), span);
        let updates = recommender::updates(key.part(1), span);
        let replica = |number| Replica::new(key.part(2), number, span, spec.interval_ms, &gaps, &updates);
        let count = spec.series - spec.replicas * recommender::SERIES;
        Plan {
            replicas: (0..spec.replicas).map(replica).collect(),
            others: Others::new(key.part(3), span, spec.interval_ms, &gaps, count, spec.churn_ratio),
            gaps,
            updates,
        }
    }
}

/// A series of one block.
#[derive(Debug)]
struct Encoded {
    labels: Labels,
    chunks: Vec<RawChunk>,
}

/// The files in `dir` that [`write`] wrote, relative with `/`, as the truth lists their blocks; nothing where there is none.
pub fn own_files(dir: &Path) -> BTreeSet<String> {
    let truth: serde_json::Value =
        std::fs::read(dir.join(TRUTH)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut own = BTreeSet::new();
    for ulid in truth["blocks"].as_array().into_iter().flatten().filter_map(|b| Ulid::parse(b["ulid"].as_str()?)) {
        let block = format!("{SNAPSHOT}/{ulid}");
        own.extend(["meta.json", "index", "tombstones"].map(|name| format!("{block}/{name}")));
        let segments = (1..).map(|n| format!("{block}/chunks/{n:06}"));
        own.extend(segments.take_while(|path| dir.join(path).exists()));
    }
    if !own.is_empty() {
        own.insert(TRUTH.to_owned());
    }
    own
}

/// Writes [`SNAPSHOT`] and [`TRUTH`] into `dir`, which exists and has neither. `block_done` hears of each block.
///
/// Memory: one block's index, a batch of encoded series, and 8 bytes per series; it does not grow with the days but for
/// the truth's hours and events. Errs where the spec is out of bounds, named there, and where the disk does.
pub fn write(dir: &Path, spec: &Spec, mut block_done: impl FnMut(&BlockTruth)) -> Result<Truth> {
    spec.check()?;
    let Plan { gaps, updates, mut replicas, others } = Plan::new(spec);
    let mut states = others.states();
    let mut truth = Truth::new(spec, gaps, updates);

    let root = dir.join(SNAPSHOT);
    std::fs::create_dir(&root).map_err(|e| Error::io(&root, "create it", &e))?;
    let (names, span) = (Key::new(spec.seed).part(4), spec.span());
    for range in ranges(span.from_ms, span.to_ms) {
        let block = Span { from_ms: range.min_time_ms, to_ms: range.max_time_ms };
        let mut writer = BlockWriter::create(&root, range.ulid(names), block.from_ms, block.to_ms)?;
        writer.set_compaction(range.compaction(names));
        let mut own: Vec<Encoded> = replicas.par_iter_mut().flat_map_iter(|r| r.advance(block)).collect();
        own.sort_by(|a, b| a.labels.cmp(&b.labels));
        append_all(&mut writer, own, &others, &mut states, block, spec.interval_ms)?;
        let written = BlockTruth::new(block, &writer.finish()?);
        truth.samples += written.samples;
        block_done(&written);
        truth.blocks.push(written);
    }
    replicas.into_iter().for_each(|r| truth.add(r.into_truth()));
    truth.write(&dir.join(TRUTH))?;
    Ok(truth)
}

/// Appends the recommender's series and the others in label order. The next batch is made while the last one is written.
fn append_all(
    writer: &mut BlockWriter,
    own: Vec<Encoded>,
    others: &Others,
    states: &mut States,
    block: Span,
    interval_ms: DurationMs,
) -> Result<()> {
    let per_series = (block.to_ms - block.from_ms) as u64 / interval_ms as u64 + 1;
    let batch = (BATCH_SAMPLES / per_series).clamp(1, BATCH_SERIES) as usize;
    let mut own = own.into_iter().peekable();
    let mut items = others.items(block);
    let mut ready: Vec<Made> = Vec::new();
    loop {
        let next: Vec<_> = items.by_ref().take(batch).collect();
        let write = || {
            ready.iter().try_for_each(|made| {
                while let Some(before) = own.next_if(|e| e.labels < made.encoded.labels) {
                    append(writer, &before)?;
                }
                append(writer, &made.encoded)
            })
        };
        let (made, written) = rayon::join(|| others.make(&next, states), write);
        written?;
        if made.is_empty() {
            break;
        }
        states.keep(&made);
        ready = made;
    }
    own.try_for_each(|e| append(writer, &e))
}

/// A series without samples in the block is left out, as a server does.
fn append(writer: &mut BlockWriter, series: &Encoded) -> Result<()> {
    if series.chunks.is_empty() { Ok(()) } else { writer.add_chunks(&series.labels, &series.chunks) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sample::Samples;
    use crate::tsdb::ChunkSlice;
    use crate::tsdb::chunkenc::xor;

    /// All samples by series, made block by block, and what really happened.
    fn made(spec: &Spec, blocks: &[Span]) -> (BTreeMap<Labels, Samples>, Vec<truth::ReplicaTruth>) {
        let Plan { mut replicas, others, .. } = Plan::new(spec);
        let mut states = others.states();
        let mut all: BTreeMap<Labels, Samples> = BTreeMap::new();
        for block in blocks {
            let items: Vec<_> = others.items(*block).collect();
            let of_others = others.make(&items, &states);
            states.keep(&of_others);
            let own: Vec<Encoded> = replicas.iter_mut().flat_map(|r| r.advance(*block)).collect();
            for series in own.into_iter().chain(of_others.into_iter().map(|m| m.encoded)) {
                let samples = all.entry(series.labels).or_default();
                for chunk in &series.chunks {
                    let data = &chunk.data;
                    let slice = ChunkSlice { encoding: 1, window: data, len: data.len(), offset: 8, crc: 0 };
                    xor::decode(&slice, samples).unwrap();
                    assert!(block.from_ms <= chunk.min_time_ms && chunk.max_time_ms < block.to_ms);
                }
            }
        }
        all.retain(|_, samples| !samples.is_empty());
        (all, replicas.into_iter().map(Replica::into_truth).collect())
    }

    #[test]
    fn where_blocks_end_changes_no_sample_and_no_truth() {
        for seed in 0..3 {
            let end_ms = 20_000 * DAY_MS + 777;
            let spec = Spec { seed, end_ms, days: 4, interval_ms: 300_000, series: 330, replicas: 1, churn_ratio: 0.9 };
            let span = spec.span();
            let every = |length: DurationMs| -> Vec<Span> {
                let starts = (0..).map(|n| span.from_ms + n * length).take_while(|t| *t < span.to_ms);
                starts.map(|t| Span { from_ms: t, to_ms: (t + length).min(span.to_ms) }).collect()
            };
            let whole = made(&spec, &[span]);
            assert!(whole.0.len() > 1_000 && whole.0.values().all(|s| s.ts.is_sorted_by(|a, b| a < b)));
            // Blocks shorter than an outage, and than the time between two scrapes.
            for length in [7_200_000, 1_000_003, 299_000] {
                assert!(whole == made(&spec, &every(length)), "seed {seed}, blocks of {length} ms");
            }
        }
    }
}
