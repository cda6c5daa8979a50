//! The chunks that a restarted server makes of samples that only the logs have. Reading them back gives the floats as
//! logged, but native histograms in the common buckets of their chunk and with other hints; and where samples conflict,
//! the server's choice depends on the chunks (`appendPreprocessor`, `histogramsAppendPreprocessor` in
//! `tsdb/head_append.go`, `ToEncodedChunks` in `tsdb/ooo_head.go` upstream).

use super::recode::OpenHistograms;
use super::rules::ReplayRules;
use super::size::FloatSize;
use crate::tsdb::chunkenc::histogram::{Counts, HistogramSample};
use crate::tsdb::run::{Position, Run};

/// The time that a head's chunks do not cross, in ms, unless the server was started with another
/// `--storage.tsdb.min-block-duration`.
pub const DEFAULT_CHUNK_RANGE_MS: i64 = 2 * 3_600_000;

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
