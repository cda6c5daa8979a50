//! The chunks that a restarted server makes of samples that only the logs have. Reading them back gives the floats as
//! logged, but native histograms in the common buckets of their chunk and with other hints; and where samples conflict,
//! the server's choice depends on the chunks (`appendPreprocessor`, `histogramsAppendPreprocessor` in
//! `tsdb/head_append.go`, `ToEncodedChunks` in `tsdb/ooo_head.go` upstream).

use super::recode::OpenHistograms;
use super::rules::ReplayRules;
use super::size::FloatSize;
use crate::tsdb::chunkenc::histogram::{Counts, HistogramSample};
use crate::tsdb::meta::BlockMeta;
use crate::tsdb::run::{Position, Run};

/// The time that a head's chunks do not cross, in ms, unless the server was started with another
/// `--storage.tsdb.min-block-duration`.
pub const DEFAULT_CHUNK_RANGE_MS: i64 = 2 * 3_600_000;

/// The range that a server's blocks show, in ms: the coarsest in which all of them end that were cut from a head, but not
/// more than the default. A block of level 1 is not longer than it; where one is, the ends say nothing.
pub fn chunk_range_of<'a>(blocks: impl Iterator<Item = &'a BlockMeta>) -> i64 {
    let (mut range, mut longest) = (DEFAULT_CHUNK_RANGE_MS, 0);
    for meta in blocks.filter(|m| m.hints.iter().all(|h| h == "from-out-of-order")) {
        let parents = meta.parents.iter().map(|p| p.max_time_ms);
        range = parents.chain([meta.max_time_ms]).fold(range, gcd);
        if meta.level <= 1 {
            longest = longest.max(meta.max_time_ms.saturating_sub(meta.min_time_ms));
        }
    }
    if longest <= range { range } else { DEFAULT_CHUNK_RANGE_MS }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(i64::MAX)
}

/// Samples that a chunk of floats should have.
const FLOATS: usize = 120;
/// Bytes that a chunk of floats may have before one more sample of up to 19 bytes.
const FLOAT_BYTES: u64 = 1024 - 19;
/// Bytes that a chunk of histograms should have.
const HISTOGRAM_BYTES: u64 = 1024;
/// The least histograms of a chunk that ends because of its bytes.
const HISTOGRAMS: usize = 10;

/// What a head's chunks depend on, beside the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Chunks end where a multiple of this is crossed, in ms.
    pub range_ms: i64,
    /// Whether floats are put into encoding 4, not 1.
    pub xor2: bool,
    /// Whether histograms are stored with start timestamps (encodings 5 and 6).
    pub histogram_starts: bool,
    /// The rules of the release.
    pub rules: ReplayRules,
}

impl ChunkOptions {
    /// The chunks of samples that came in order, each as it is read back. The last one is open.
    pub(super) fn in_order(self, samples: &Run) -> Vec<Run> {
        let mut cutter = Cutter { options: self, samples, done: Vec::new(), open: None, next_at: 0, predicted: false };
        for (t_ms, position) in samples.order() {
            match position {
                Position::Float(i) => cutter.float(t_ms, i),
                Position::Histogram(i) => {
                    if let Some(h) = samples.histograms.get(i) {
                        cutter.histogram(h.clone());
                    }
                }
            }
        }
        cutter.close();
        cutter.done
    }

    /// The chunks of an out-of-order buffer: a new one at every change of kind and wherever a histogram does not fit.
    pub(super) fn late(self, samples: &Run) -> Vec<Run> {
        let mut cutter = Cutter { options: self, samples, done: Vec::new(), open: None, next_at: 0, predicted: false };
        for (_, position) in samples.order() {
            match position {
                Position::Float(i) => {
                    if !matches!(cutter.open, Some(Open::Floats { .. })) {
                        cutter.close();
                    }
                    cutter.push_float(i);
                }
                Position::Histogram(i) => {
                    if let Some(h) = samples.histograms.get(i) {
                        if !cutter.is_open_for(h) {
                            cutter.close();
                        }
                        cutter.push_histogram(h.clone());
                    }
                }
            }
        }
        cutter.close();
        cutter.done
    }

    /// Where the range of `t_ms` ends.
    fn range_end(self, t_ms: i64) -> i64 {
        let width = self.range_ms.max(1);
        (t_ms / width).wrapping_mul(width).wrapping_add(width)
    }
}

/// The chunk that takes samples.
enum Open {
    /// Positions of floats, one behind the other.
    Floats {
        from: usize,
        to: usize,
        size: FloatSize,
    },
    Histograms(Box<OpenHistograms>),
}

struct Cutter<'a> {
    options: ChunkOptions,
    samples: &'a Run,
    done: Vec<Run>,
    open: Option<Open>,
    /// The time at which the open chunk ends at the latest.
    next_at: i64,
    /// Whether that was reckoned from the size of a chunk of histograms.
    predicted: bool,
}

impl Cutter<'_> {
    fn close(&mut self) {
        match self.open.take() {
            Some(Open::Floats { from, to, .. }) => {
                let floats = self.samples.floats.slice(from..to);
                self.done.push(Run { floats, ..Run::default() });
            }
            Some(Open::Histograms(chunk)) => self.done.push(chunk.finish()),
            None => {}
        }
    }

    fn cut(&mut self, t_ms: i64) {
        self.close();
        self.next_at = self.options.range_end(t_ms);
    }

    fn float(&mut self, t_ms: i64, at: usize) {
        let by_bytes = self.options.rules.cuts_by_bytes;
        match &self.open {
            Some(Open::Floats { size, .. }) if !by_bytes || size.bytes() <= FLOAT_BYTES => {}
            _ => self.cut(t_ms),
        }
        let ts = &self.samples.floats.ts;
        if let Some(Open::Floats { from, to, .. }) = &self.open {
            let count = to - from;
            let first_and_last = (ts.get(*from).copied(), to.checked_sub(1).and_then(|last| ts.get(last)).copied());
            if let (true, (Some(first), Some(last))) = (count == FLOATS / 4, first_and_last) {
                self.next_at = chunk_end(first, last, self.next_at, 4.0);
            }
            if t_ms >= self.next_at || count >= 2 * FLOATS {
                self.cut(t_ms);
            }
        }
        self.push_float(at);
    }

    fn push_float(&mut self, at: usize) {
        let floats = &self.samples.floats;
        let open =
            self.open.get_or_insert_with(|| Open::Floats { from: at, to: at, size: FloatSize::new(self.options.xor2) });
        if let (Open::Floats { to, size, .. }, Some(t), Some(bits)) = (open, floats.ts.get(at), floats.bits.get(at)) {
            size.push(*t, *bits, floats.start(at));
            *to = at + 1;
        }
    }

    fn is_open_for(&self, sample: &HistogramSample) -> bool {
        let float = matches!(sample.counts, Counts::Float { .. });
        matches!(&self.open, Some(Open::Histograms(chunk)) if chunk.is_float() == float)
    }

    fn histogram(&mut self, sample: HistogramSample) {
        let t_ms = sample.t_ms;
        if !self.is_open_for(&sample) {
            self.cut(t_ms);
            self.predicted = false;
        }
        if let Some(Open::Histograms(chunk)) = &self.open {
            let (first, last) = chunk.times();
            let (count, bytes) = (chunk.len(), chunk.bytes());
            let ends = if self.options.rules.cuts_by_bytes {
                let range_end = if self.predicted { self.options.range_end(first) } else { self.next_at };
                if !self.predicted && bytes >= HISTOGRAM_BYTES / 4 {
                    self.next_at = chunk_end(first, last, self.next_at, HISTOGRAM_BYTES as f64 / bytes as f64);
                    self.predicted = true;
                }
                (t_ms >= self.next_at || bytes >= 2 * HISTOGRAM_BYTES) && (count >= HISTOGRAMS || t_ms >= range_end)
            } else {
                if count == FLOATS / 4 {
                    self.next_at = chunk_end(first, last, self.next_at, 4.0);
                }
                t_ms >= self.next_at || count >= 2 * FLOATS
            };
            if ends {
                self.cut(t_ms);
                self.predicted = false;
            }
        }
        if self.push_histogram(sample) {
            // What was predicted stays so: upstream reckons anew only where size or time ended the chunk.
            self.next_at = self.options.range_end(t_ms);
        }
    }

    /// Says whether the histogram began another chunk because it does not fit into the open one.
    fn push_histogram(&mut self, sample: HistogramSample) -> bool {
        let starts = self.options.histogram_starts;
        let refused = match &mut self.open {
            Some(Open::Histograms(chunk)) => match chunk.push(sample, self.options.rules) {
                Ok(()) => return false,
                Err(sample) => sample,
            },
            _ => {
                self.open = Some(Open::Histograms(Box::new(OpenHistograms::new(sample, starts))));
                return false;
            }
        };
        self.close();
        self.open = Some(Open::Histograms(Box::new(OpenHistograms::new(refused, starts))));
        true
    }
}

/// When to end a chunk that is one `ratio`-th full, so that the chunks up to `end` become equally long
/// (`computeChunkEndTime`).
fn chunk_end(first: i64, last: i64, end: i64, ratio: f64) -> i64 {
    let left = end.wrapping_sub(first) as f64;
    let n = left / (last.wrapping_sub(first).wrapping_add(1) as f64 * ratio);
    if n <= 1.0 { end } else { (first as f64 + left / n.floor()) as i64 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sample::{STALE_NAN_BITS, Samples};
    use crate::tsdb::chunkenc::histogram::{Layout, ResetHint, Span};
    use crate::version::PromVersion;

    fn options(version: &str) -> ChunkOptions {
        let rules = ReplayRules::of(PromVersion::parse(version).unwrap());
        ChunkOptions { range_ms: DEFAULT_CHUNK_RANGE_MS, xor2: false, histogram_starts: false, rules }
    }

    fn histogram(t_ms: i64, spans: &[(i32, u32)], buckets: &[i64]) -> HistogramSample {
        let positive_spans = spans.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect();
        let count = buckets.iter().sum::<i64>() as u64;
        let counts = Counts::Int { count, zero: 0, positive: buckets.to_vec(), negative: vec![] };
        let layout = Arc::new(Layout { positive_spans, ..Layout::default() });
        HistogramSample { t_ms, start_ms: 0, sum: 1f64.to_bits(), hint: ResetHint::Unknown, layout, counts }
    }

    fn spans(h: &HistogramSample) -> Vec<(i32, u32)> {
        h.layout.positive_spans.iter().map(|s| (s.offset, s.length)).collect()
    }

    fn buckets(h: &HistogramSample) -> Vec<i64> {
        match &h.counts {
            Counts::Int { positive, .. } => positive.clone(),
            Counts::Float { .. } => Vec::new(),
        }
    }

    fn floats(step_ms: i64, count: i64, value: impl Fn(i64) -> u64) -> Run {
        let samples = (0..count).map(|i| (i * step_ms, value(i)));
        let (ts, bits) = samples.unzip();
        Run { floats: Samples::new(ts, bits), ..Run::default() }
    }

    fn lengths(chunks: &[Run]) -> Vec<usize> {
        chunks.iter().map(Run::len).collect()
    }

    #[test]
    fn floats_fill_the_range_evenly_and_never_cross_it() {
        // 480 samples in two hours are four chunks.
        assert_eq!(lengths(&options("3.16").in_order(&floats(15_000, 500, |_| 0))), [120, 120, 120, 120, 20]);
        assert_eq!(lengths(&options("3.16").in_order(&floats(60_000, 130, |_| 0))), [120, 10]);
        // Faster than predicted: cut at twice as many samples at the latest.
        let mut run = floats(60_000, 31, |_| 0);
        run.floats.append(&mut Samples::new((0..300).map(|i| 1_860_000 + i).collect(), vec![0; 300]));
        assert_eq!(lengths(&options("3.16").in_order(&run))[0], 240);
    }

    #[test]
    fn floats_end_by_bytes_since_2_47() {
        let noise = |i: i64| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut run = floats(15_000, 120, noise);
        run.floats.ts.iter_mut().enumerate().for_each(|(i, t)| *t += i as i64 % 7);
        assert_eq!(lengths(&options("2.46").in_order(&run)), [120]);
        let cut = options("2.47").in_order(&run);
        assert!(cut.len() == 2 && cut[0].len() > 100, "{:?}", lengths(&cut));
    }

    fn cut(list: Vec<HistogramSample>) -> Vec<Run> {
        options("3.16").in_order(&Run { histograms: list, ..Run::default() })
    }

    #[test]
    fn histograms_get_the_buckets_of_their_chunk_and_its_hints() {
        let list = vec![
            histogram(1, &[(1, 1)], &[2]),
            histogram(2, &[(1, 1), (1, 1)], &[2, 1]),
            histogram(3, &[(0, 2)], &[1, 2]),
        ];
        // The third lacks bucket 3, which counted.
        let chunks = cut(list);
        assert_eq!(lengths(&chunks), [2, 1]);
        let [a, b] = &chunks[0].histograms[..] else { unreachable!() };
        assert_eq!((spans(a), buckets(a), a.hint), (vec![(1, 1), (1, 1)], vec![2, 0], ResetHint::Unknown));
        assert_eq!((spans(b), buckets(b), b.hint), (vec![(1, 1), (1, 1)], vec![2, 1], ResetHint::NotReset));
        assert_eq!(chunks[1].histograms[0].hint, ResetHint::Unknown);
    }

    #[test]
    fn an_empty_bucket_may_go_since_2_55() {
        let list = vec![histogram(1, &[(1, 2)], &[2, 0]), histogram(2, &[(1, 1), (3, 1)], &[2, 5])];
        let run = Run { histograms: list, ..Run::default() };
        let chunks = options("2.55").in_order(&run);
        assert_eq!(lengths(&chunks), [2]);
        assert_eq!(spans(&chunks[0].histograms[0]), [(1, 2), (2, 1)]);
        assert_eq!(buckets(&chunks[0].histograms[1]), [2, 0, 5]);
        assert_eq!(lengths(&options("2.54").in_order(&run)), [1, 1]);
    }

    #[test]
    fn gauges_and_stale_markers_have_chunks_of_their_own_rules() {
        let gauge = |t, spans: &[(i32, u32)], buckets: &[i64]| HistogramSample {
            hint: ResetHint::Gauge,
            ..histogram(t, spans, buckets)
        };
        let chunks = cut(vec![gauge(1, &[(0, 1)], &[5]), gauge(2, &[(2, 1)], &[1]), histogram(3, &[(2, 1)], &[2])]);
        assert_eq!(lengths(&chunks), [2, 1]);
        assert!(chunks[0].histograms.iter().all(|h| spans(h) == [(0, 1), (1, 1)] && h.hint == ResetHint::Gauge));
        assert_eq!(buckets(&chunks[0].histograms[1]), [0, 1]);
        let stale = |t| HistogramSample { sum: STALE_NAN_BITS, ..histogram(t, &[], &[]) };
        let chunks = cut(vec![histogram(1, &[(0, 1)], &[5]), stale(2), stale(3), histogram(4, &[(0, 1)], &[6])]);
        assert_eq!(lengths(&chunks), [3, 1]);
        assert_eq!(chunks[0].histograms[1].hint, ResetHint::Unknown);
        assert_eq!(*chunks[0].histograms[1].layout, Layout::default());
    }

    #[test]
    fn out_of_order_buffers_are_cut_at_changes_only() {
        let mut run = floats(1, 40, |_| 0);
        run.histograms = vec![histogram(100, &[(0, 1)], &[5]), histogram(101, &[(0, 1)], &[4])];
        run.floats.push(200, 0);
        assert_eq!(lengths(&options("3.16").late(&run)), [40, 1, 1, 1]);
    }

    #[test]
    fn blocks_show_the_range() {
        let meta = |min: i64, max: i64, level: i64, more: &str| {
            let text = format!(
                r#"{{"ulid":"01M15QBDTH91R7XHHHW7KSYAN5","minTime":{min},"maxTime":{max},"version":1,"compaction":{{"level":{level}{more}}}}}"#
            );
            BlockMeta::parse(text.as_bytes()).unwrap()
        };
        assert_eq!(chunk_range_of([].iter()), DEFAULT_CHUNK_RANGE_MS);
        let minutes = [meta(1795442073931, 1795442100000, 1, ""), meta(1795442100000, 1795442160000, 1, "")];
        assert_eq!(chunk_range_of(minutes.iter()), 60_000);
        let hours = [meta(1787961600000, 1787968800000, 1, ""), meta(1787968800000, 1787990400000, 2, "")];
        assert_eq!(chunk_range_of(hours.iter()), DEFAULT_CHUNK_RANGE_MS);
        // Written by a tool: it ends where its samples end.
        assert_eq!(chunk_range_of([meta(0, 3_600_001, 1, "")].iter()), DEFAULT_CHUNK_RANGE_MS);
        let hint = r#","hints":["from-stale-series"]"#;
        assert_eq!(chunk_range_of([meta(0, 1234, 1, hint)].iter()), DEFAULT_CHUNK_RANGE_MS);
    }
}
