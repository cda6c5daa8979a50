//! Native histograms (encodings 2, 3, 5 and 6): integer and float counts, with and without start timestamps
//! (`tsdb/chunkenc/{histogram,float_histogram}{,_st}.go` and `histogram_meta.go` upstream,
//! `docs/format/chunkenc.md`).
//!
//! All samples of a chunk have one layout: schema, thresholds and which buckets there are. It is stored once and shared
//! by what is decoded, so that a sample costs its counts alone.

use std::sync::Arc;

use super::Encoding;
use super::bits::{BitCursor, Xored};
use crate::raw::{Cursor, Fault, FaultKind};
use crate::sample::is_stale;
use crate::tsdb::chunks::ChunkSlice;

/// The schema of histograms whose bucket bounds are listed in [`Layout::custom_bounds`].
pub const CUSTOM_BOUNDS: i32 = -53;
/// The finest schema that is handed out. Chunks with finer ones come from newer releases; they are reduced to this.
pub const FINEST: i32 = 8;
/// Schemas with exponential buckets that chunks may have.
const EXPONENTIAL: std::ops::RangeInclusive<i64> = -9..=52;

/// Whether a schema is one that is read.
pub(crate) fn is_known_schema(schema: i64) -> bool {
    EXPONENTIAL.contains(&schema) || schema == i64::from(CUSTOM_BOUNDS)
}

/// Consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// For the first span the index of its first bucket, for later ones the buckets left out since the span before.
    /// Nothing checks that those are not negative, and indexes may leave 32 bits: add in `i64`.
    pub offset: i32,
    /// The number of buckets; 0 is legal.
    pub length: u32,
}

/// What all histograms of a chunk have in common. The default is that of a stale marker: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// -9 to 8: bucket i ends at 2^(i * 2^-schema). [`CUSTOM_BOUNDS`]: bucket i ends at the i-th bound.
    pub schema: i32,
    /// Bits of the width of the zero bucket.
    pub zero_threshold: u64,
    /// Which buckets of positive observations there are.
    pub positive_spans: Vec<Span>,
    /// Which buckets of negative observations there are.
    pub negative_spans: Vec<Span>,
    /// Bits of the upper bounds, the last bucket's +Inf left out; empty unless the schema is [`CUSTOM_BOUNDS`].
    pub custom_bounds: Vec<u64>,
}

/// The counts of one histogram; buckets are absolute, in the order of the spans, none of them cumulative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// Integers.
    Int {
        /// All observations.
        count: u64,
        /// Those in the zero bucket.
        zero: u64,
        /// Per bucket of [`Layout::positive_spans`].
        positive: Vec<i64>,
        /// Per bucket of [`Layout::negative_spans`].
        negative: Vec<i64>,
    },
    /// Bits of doubles.
    Float {
        /// All observations.
        count: u64,
        /// Those in the zero bucket.
        zero: u64,
        /// Per bucket of [`Layout::positive_spans`].
        positive: Vec<u64>,
        /// Per bucket of [`Layout::negative_spans`].
        negative: Vec<u64>,
    },
}

/// Whether a counter histogram was reset between the sample before and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetHint {
    /// Compare the counts to know.
    Unknown,
    /// It was.
    Reset,
    /// It was not.
    NotReset,
    /// No counter: it may fall at any time.
    Gauge,
}

/// One histogram at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramSample {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// When counting started; 0 where it is not known.
    pub start_ms: i64,
    /// Bits of the sum of all observations.
    pub sum: u64,
    /// What a server says when it reads the chunk: never [`ResetHint::Reset`], since the chunk before may be missing.
    pub hint: ResetHint,
    /// Schema and buckets; the default for a stale marker.
    pub layout: Arc<Layout>,
    /// Counts; all zero and without buckets for a stale marker, which keeps the kind of its chunk.
    pub counts: Counts,
}

impl HistogramSample {
    /// Whether two samples are the same histogram, whatever their hints and wherever their empty buckets are.
    pub fn is_same_value(&self, other: &HistogramSample) -> bool {
        let buckets = |s: &HistogramSample| -> [Vec<(i64, u64)>; 2] {
            match &s.counts {
                Counts::Int { positive, negative, .. } => [
                    filled(&s.layout.positive_spans, positive.iter().map(|n| *n as u64)),
                    filled(&s.layout.negative_spans, negative.iter().map(|n| *n as u64)),
                ],
                Counts::Float { positive, negative, .. } => [
                    filled(&s.layout.positive_spans, positive.iter().copied()),
                    filled(&s.layout.negative_spans, negative.iter().copied()),
                ],
            }
        };
        let (a, b) = (&self.layout, &other.layout);
        let counts = match (&self.counts, &other.counts) {
            (Counts::Int { count: a, zero: x, .. }, Counts::Int { count: b, zero: y, .. })
            | (Counts::Float { count: a, zero: x, .. }, Counts::Float { count: b, zero: y, .. }) => a == b && x == y,
            _ => false,
        };
        self.sum == other.sum
            && counts
            && (a.schema, a.zero_threshold, &a.custom_bounds) == (b.schema, b.zero_threshold, &b.custom_bounds)
            && buckets(self) == buckets(other)
    }

    /// Whether this is a stale marker: only its time says something.
    pub fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }
}

/// The buckets that are not empty (for float counts: whose bits are not those of 0), with their indexes.
fn filled(spans: &[Span], counts: impl Iterator<Item = u64>) -> Vec<(i64, u64)> {
    let mut next = 0i64;
    let indexes = spans.iter().flat_map(|s| {
        let first = next.saturating_add(i64::from(s.offset));
        next = first.saturating_add(i64::from(s.length));
        first..next
    });
    indexes.zip(counts).filter(|(_, n)| *n != 0).collect()
}

/// All samples of a histogram chunk. Order of times is checked by the reader above.
///
/// Takes memory in proportion to the chunk: buckets of 8 bytes for at least a bit each, and at most 65535 samples (16383
/// with start timestamps) for at least 4 bits each.
pub fn decode(chunk: &ChunkSlice<'_>) -> Result<Vec<HistogramSample>, Fault> {
    Histograms::new(chunk)?.collect()
}

/// The samples of a histogram chunk, one at a time. Ends after a fault.
#[derive(Debug)]
pub struct Histograms<'a> {
    bits: BitCursor<'a>,
    reset: ResetHint,
    count: usize,
    /// Samples read.
    read: usize,
    /// Read all that can be read.
    ended: bool,
    float: bool,
    starts: Option<Starts>,
    layout: Arc<Layout>,
    /// The layout of stale markers.
    nothing: Arc<Layout>,
    positive: Side,
    negative: Side,
    t_ms: i64,
    t_delta: i64,
    start_ms: i64,
    sum: Xored,
    fields: Fields,
}

/// Start timestamps: the first sample has one, the others have one from a sample on (0 is never).
#[derive(Debug)]
struct Starts {
    known: bool,
    from: usize,
    /// The time of the sample before minus the start.
    difference: i64,
}

/// How the buckets of one sign are stored.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Stored buckets.
    buckets: usize,
    /// For schemas that are too fine: the bucket of the reduced layout that takes each stored one, never decreasing.
    targets: Option<Vec<usize>>,
    /// Buckets of the reduced layout.
    reduced: usize,
}

/// An integer that is stored as the change of its change.
#[derive(Debug, Clone, Copy, Default)]
struct Tracked {
    value: i64,
    delta: i64,
}

impl Tracked {
    fn new(value: i64) -> Tracked {
        Tracked { value, delta: 0 }
    }

    fn next(&mut self, bits: &mut BitCursor<'_>, field: &'static str) -> Result<(), Fault> {
        self.delta = self.delta.wrapping_add(bits.varbit_int(field)?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }
}

#[derive(Debug)]
enum Fields {
    Int {
        count: Tracked,
        zero: Tracked,
        /// Each bucket minus the one before it, positive ones first.
        buckets: Vec<Tracked>,
    },
    Float {
        count: Xored,
        zero: Xored,
        /// Absolute, positive ones first.
        buckets: Vec<Xored>,
    },
}

impl<'a> Histograms<'a> {
    /// Reads the chunk's header and, if there are samples, their layout.
    pub fn new(chunk: &ChunkSlice<'a>) -> Result<Histograms<'a>, Fault> {
        let encoding = Encoding(chunk.encoding);
        let (float, with_starts) = match encoding {
            Encoding::HISTOGRAM => (false, false),
            Encoding::FLOAT_HISTOGRAM => (true, false),
            Encoding::HISTOGRAM_ST => (false, true),
            Encoding::FLOAT_HISTOGRAM_ST => (true, true),
            Encoding(n) => {
                let kind = FaultKind::Unsupported { found: u64::from(n) };
                return Err(Fault::new(chunk.offset, "encoding of a histogram chunk", kind));
            }
        };
        let mut head = Cursor::new(chunk.data(), chunk.offset);
        let count = match head.take(2, "number of samples")? {
            [a, b] => u16::from_be_bytes([*a, *b]),
            _ => 0,
        };
        let third = head.u8("flags of a histogram chunk")?;
        let (count, reset, starts) = if with_starts {
            let starts = Starts { known: third & 0x80 != 0, from: usize::from(third & 0x7f), difference: 0 };
            (count & 0x3fff, count >> 14, Some(starts))
        } else {
            (count, u16::from(third >> 6), None)
        };
        let reset = match reset {
            0b00 => ResetHint::Unknown,
            0b10 => ResetHint::Reset,
            0b01 => ResetHint::NotReset,
            _ => ResetHint::Gauge,
        };
        let layout = Arc::new(Layout::default());
        let mut chunk = Histograms {
            bits: BitCursor::new(head.rest(), head.offset()),
            reset,
            count: usize::from(count),
            read: 0,
            ended: count == 0,
            float,
            starts,
            nothing: Arc::clone(&layout),
            layout,
            positive: Side::default(),
            negative: Side::default(),
            t_ms: 0,
            t_delta: 0,
            start_ms: 0,
            sum: Xored::new(0),
            fields: Fields::Int { count: Tracked::default(), zero: Tracked::default(), buckets: Vec::new() },
        };
        if count > 0 {
            chunk.read_layout()?;
        }
        Ok(chunk)
    }

    /// Why the chunk was started, as its writer says: after a reset, without one, as a gauge, or unknown.
    pub fn chunk_reset(&self) -> ResetHint {
        self.reset
    }

    /// What the chunk's histograms have in common, stale markers aside.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn read_layout(&mut self) -> Result<(), Fault> {
        let bits = &mut self.bits;
        let zero_threshold = zero_threshold(bits)?;
        let field = "schema of a histogram chunk";
        let schema = bits.varbit_int(field)?;
        if !is_known_schema(schema) {
            return Err(bits.unsupported(field, schema as u64));
        }
        let schema = schema as i32;
        let mut positive_spans = spans(bits)?;
        let mut negative_spans = spans(bits)?;
        let custom_bounds = if schema == CUSTOM_BOUNDS { custom_bounds(bits)? } else { Vec::new() };
        // Upstream asks for memory here; a span of a few bits may claim 2^32 buckets. Each takes a bit or a double in
        // the first sample.
        let buckets: u64 = positive_spans.iter().chain(&negative_spans).map(|s| u64::from(s.length)).sum();
        let need = buckets.saturating_mul(if self.float { 64 } else { 1 });
        if need > bits.left() as u64 {
            return Err(bits.short("buckets of a histogram chunk", need));
        }
        // Later samples take a bit for time, count, zero count and sum each.
        let need = 4 * (self.count as u64 - 1);
        if need > bits.left() as u64 {
            return Err(bits.short("samples of a histogram chunk", need));
        }
        self.positive.buckets = positive_spans.iter().map(|s| s.length as usize).sum();
        self.negative.buckets = negative_spans.iter().map(|s| s.length as usize).sum();
        if schema > FINEST {
            for (side, spans) in [(&mut self.positive, &mut positive_spans), (&mut self.negative, &mut negative_spans)]
            {
                *spans = side
                    .reduce(spans, schema - FINEST)
                    .map_err(|(found, rule)| bits.malformed("spans of a histogram chunk", found, rule))?;
            }
        }
        let schema = schema.min(FINEST);
        self.layout = Arc::new(Layout { schema, zero_threshold, positive_spans, negative_spans, custom_bounds });
        Ok(())
    }

    fn next_sample(&mut self) -> Result<HistogramSample, Fault> {
        let before = self.t_ms;
        if self.read == 0 {
            self.first_fields()?;
        } else {
            self.next_fields()?;
        }
        self.read_start(before)?;
        let stale = is_stale(self.sum.value);
        let hint = match self.reset {
            _ if stale => ResetHint::Unknown,
            ResetHint::Gauge => ResetHint::Gauge,
            _ if self.read == 0 => ResetHint::Unknown,
            _ => ResetHint::NotReset,
        };
        self.read += 1;
        Ok(HistogramSample {
            t_ms: self.t_ms,
            start_ms: self.start_ms,
            sum: self.sum.value,
            hint,
            layout: Arc::clone(if stale { &self.nothing } else { &self.layout }),
            counts: self.counts(stale),
        })
    }

    fn first_fields(&mut self) -> Result<(), Fault> {
        let buckets = self.positive.buckets + self.negative.buckets;
        let bits = &mut self.bits;
        self.t_ms = bits.varbit_int(TIME)?;
        if self.float {
            let count = Xored::new(bits.bits(64, COUNT)?);
            let zero = Xored::new(bits.bits(64, ZERO)?);
            self.sum = Xored::new(bits.bits(64, SUM)?);
            let buckets = (0..buckets).map(|_| Ok(Xored::new(bits.bits(64, BUCKETS)?))).collect::<Result<_, _>>()?;
            self.fields = Fields::Float { count, zero, buckets };
        } else {
            let count = Tracked::new(bits.varbit_uint(COUNT)? as i64);
            let zero = Tracked::new(bits.varbit_uint(ZERO)? as i64);
            self.sum = Xored::new(bits.bits(64, SUM)?);
            let buckets =
                (0..buckets).map(|_| Ok(Tracked::new(bits.varbit_int(BUCKETS)?))).collect::<Result<_, _>>()?;
            self.fields = Fields::Int { count, zero, buckets };
        }
        Ok(())
    }

    /// The second sample has no form of its own: its change is the change of a change of 0.
    fn next_fields(&mut self) -> Result<(), Fault> {
        let bits = &mut self.bits;
        self.t_delta = self.t_delta.wrapping_add(bits.varbit_int(TIME)?);
        self.t_ms = self.t_ms.wrapping_add(self.t_delta);
        match &mut self.fields {
            Fields::Int { count, zero, buckets } => {
                count.next(bits, COUNT)?;
                zero.next(bits, ZERO)?;
                self.sum.next(bits, SUM)?;
                // Nothing but its time belongs to a stale marker.
                if !is_stale(self.sum.value) {
                    buckets.iter_mut().try_for_each(|b| b.next(bits, BUCKETS))?;
                }
            }
            Fields::Float { count, zero, buckets } => {
                count.next(bits, COUNT)?;
                zero.next(bits, ZERO)?;
                self.sum.next(bits, SUM)?;
                if !is_stale(self.sum.value) {
                    buckets.iter_mut().try_for_each(|b| b.next(bits, BUCKETS))?;
                }
            }
        }
        Ok(())
    }

    /// The start timestamp behind a sample; `before` is the time of the sample before. It stays where none is stored.
    fn read_start(&mut self, before: i64) -> Result<(), Fault> {
        let Some(starts) = &mut self.starts else {
            return Ok(());
        };
        let field = "start timestamp of a histogram";
        if self.read == 0 {
            if starts.known {
                self.start_ms = self.t_ms.wrapping_sub(self.bits.varint(field)?);
            }
        } else if starts.from > 0 && self.read >= starts.from {
            starts.difference = starts.difference.wrapping_add(self.bits.varbit_int(field)?);
            self.start_ms = before.wrapping_sub(starts.difference);
        }
        Ok(())
    }

    fn counts(&self, stale: bool) -> Counts {
        match &self.fields {
            Fields::Int { .. } if stale => Counts::Int { count: 0, zero: 0, positive: vec![], negative: vec![] },
            Fields::Float { .. } if stale => Counts::Float { count: 0, zero: 0, positive: vec![], negative: vec![] },
            Fields::Int { count, zero, buckets } => {
                let (positive, negative) = buckets.split_at_checked(self.positive.buckets).unwrap_or((buckets, &[]));
                let absolute = |side: &Side, buckets: &[Tracked]| {
                    let running = buckets.iter().scan(0i64, |sum, b| {
                        *sum = sum.wrapping_add(b.value);
                        Some(*sum)
                    });
                    side.gather(running, i64::wrapping_add)
                };
                Counts::Int {
                    count: count.value as u64,
                    zero: zero.value as u64,
                    positive: absolute(&self.positive, positive),
                    negative: absolute(&self.negative, negative),
                }
            }
            Fields::Float { count, zero, buckets } => {
                let (positive, negative) = buckets.split_at_checked(self.positive.buckets).unwrap_or((buckets, &[]));
                let absolute = |side: &Side, buckets: &[Xored]| {
                    let sum = |a, b| (f64::from_bits(a) + f64::from_bits(b)).to_bits();
                    side.gather(buckets.iter().map(|b| b.value), sum)
                };
                Counts::Float {
                    count: count.value,
                    zero: zero.value,
                    positive: absolute(&self.positive, positive),
                    negative: absolute(&self.negative, negative),
                }
            }
        }
    }
}

const TIME: &str = "time of a histogram";
const COUNT: &str = "count of a histogram";
const ZERO: &str = "zero count of a histogram";
const SUM: &str = "sum of a histogram";
const BUCKETS: &str = "bucket of a histogram";

impl Iterator for Histograms<'_> {
    type Item = Result<HistogramSample, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let sample = self.next_sample();
        self.ended = sample.is_err() || self.read == self.count;
        Some(sample)
    }
}

impl std::iter::FusedIterator for Histograms<'_> {}

impl Side {
    /// So many buckets, none of which is reduced yet.
    pub(crate) fn new(buckets: usize) -> Side {
        Side { buckets, ..Side::default() }
    }

    /// The spans of this side when `shift` schemas coarser, each of which halves the buckets. Remembers which bucket
    /// goes where.
    pub(crate) fn reduce(&mut self, spans: &[Span], shift: i32) -> Result<Vec<Span>, (u64, &'static str)> {
        let mut out: Vec<Span> = Vec::new();
        let mut targets = Vec::with_capacity(self.buckets);
        let mut index = 0i64;
        let mut last: Option<i64> = None;
        for (i, span) in spans.iter().enumerate() {
            if i > 0 && span.offset < 0 {
                return Err((u64::from(span.offset.unsigned_abs()), "spans behind the first do not go back"));
            }
            // At most a span for two bits, each of less than 2^33: this stays far from 64 bits.
            index += i64::from(span.offset);
            for _ in 0..span.length {
                let target = ((index - 1) >> shift) + 1;
                let gap = last.map_or(target, |l| target - l - 1);
                match (out.last_mut(), last) {
                    (_, Some(l)) if l == target => {}
                    (Some(span), Some(_)) if gap == 0 => {
                        span.length += 1;
                        self.reduced += 1;
                    }
                    _ => {
                        let offset = i32::try_from(gap)
                            .map_err(|_| (gap.unsigned_abs(), "the gap between two buckets has at most 31 bits"))?;
                        out.push(Span { offset, length: 1 });
                        self.reduced += 1;
                    }
                }
                targets.push(self.reduced - 1);
                last = Some(target);
                index += 1;
            }
        }
        self.targets = Some(targets);
        Ok(out)
    }

    /// The stored buckets as they are, or added up in their order for a reduced layout.
    pub(crate) fn gather<T: Copy>(&self, buckets: impl Iterator<Item = T>, add: impl Fn(T, T) -> T) -> Vec<T> {
        let Some(targets) = &self.targets else {
            return buckets.collect();
        };
        let mut out: Vec<T> = Vec::with_capacity(self.reduced);
        for (bucket, target) in buckets.zip(targets) {
            match out.get_mut(*target) {
                Some(sum) => *sum = add(*sum, bucket),
                None => out.push(bucket),
            }
        }
        out
    }
}

/// 0 stands for 0, 255 for a double that follows, others for powers of two.
fn zero_threshold(bits: &mut BitCursor<'_>) -> Result<u64, Fault> {
    let field = "zero threshold of a histogram chunk";
    Ok(match bits.bits(8, field)? {
        0 => 0,
        255 => bits.bits(64, field)?,
        // 2^(b - 244): the exponent alone, its bias added.
        b => (b + 1023 - 244) << 52,
    })
}

fn spans(bits: &mut BitCursor<'_>) -> Result<Vec<Span>, Fault> {
    let field = "spans of a histogram chunk";
    let count = bits.varbit_uint(field)?;
    let need = count.saturating_mul(2);
    if need > bits.left() as u64 {
        return Err(bits.short(field, need));
    }
    let mut out = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let length = bits.varbit_uint(field)?;
        let length =
            u32::try_from(length).map_err(|_| bits.malformed(field, length, "a length has at most 32 bits"))?;
        let offset = bits.varbit_int(field)?;
        let offset =
            i32::try_from(offset).map_err(|_| bits.malformed(field, offset as u64, "an offset has at most 32 bits"))?;
        out.push(Span { offset, length });
    }
    Ok(out)
}

/// Each bound is 0 and a double, or thousandths plus one.
fn custom_bounds(bits: &mut BitCursor<'_>) -> Result<Vec<u64>, Fault> {
    let field = "custom bounds of a histogram chunk";
    let count = bits.varbit_uint(field)?;
    let need = count.saturating_mul(5);
    if need > bits.left() as u64 {
        return Err(bits.short(field, need));
    }
    let mut out = Vec::with_capacity(count as usize);
    for _ in 0..count {
        out.push(match bits.varbit_uint(field)? {
            0 => bits.bits(64, field)?,
            k => ((k - 1) as f64 / 1000.0).to_bits(),
        });
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    /// Header and then bits; `count` samples.
    fn data(count: u8, third: u8, bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
        let bytes = bits.chunks(8).map(|c| (0..8).fold(0, |byte, i| byte << 1 | c.get(i).unwrap_or(&0)));
        [0, count, third].into_iter().chain(bytes).collect()
    }

    fn read(encoding: u8, data: &[u8]) -> Result<Vec<HistogramSample>, Fault> {
        decode(&ChunkSlice { encoding, window: data, len: data.len(), offset: 0, crc: 0 })
    }

    /// Zero threshold 0, schema 0, these spans, then time 0, count 0, zero count 0, sum 0 and these bits.
    fn int(spans: &str, buckets: &str) -> Result<Vec<HistogramSample>, Fault> {
        read(2, &data(1, 0, &format!("00000000 0 {spans} 0 0 0 {} {buckets}", "0".repeat(64))))
    }

    #[test]
    fn spans_that_claim_more_than_the_chunk_holds_cost_nothing() {
        let huge = format!("11111110 {}{}", "0".repeat(24), "1".repeat(32));
        // One span of 2^32 - 1 buckets, then none.
        let fault = int(&format!("10 001 {huge} 0 0"), "").unwrap_err();
        assert_eq!(fault.field, "buckets of a histogram chunk");
        assert_eq!(fault.kind, FaultKind::Truncated { wanted: u64::from(u32::MAX).div_ceil(8), left: 9 });
        // 2^32 - 1 spans; 2^56 - 1 of them; a length of 33 bits.
        assert_eq!(int(&huge, "").unwrap_err().field, "spans of a histogram chunk");
        assert!(int(&format!("11111110 {}", "1".repeat(56)), "").is_err());
        let long = format!("10 001 11111110 {}1{} 0 0", "0".repeat(23), "0".repeat(32));
        let fault = int(&long, "").unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Malformed { found: 0x1_0000_0000, .. }), "{fault}");
        // Floats take 64 bits for each bucket: one more than there are.
        let bits = |n: usize| format!("00000000 0 10 001 10 010 0 0 0 {}", "0".repeat(64 * (3 + n)));
        assert_eq!(read(3, &data(1, 0, &bits(2))).unwrap().len(), 1);
        assert!(read(3, &data(1, 0, &bits(1))).is_err());
        // More samples than four bits each allow.
        let fault = read(2, &data(255, 0, &format!("00000000 0 0 0 0 0 0 {}", "0".repeat(64)))).unwrap_err();
        assert_eq!(fault.field, "samples of a histogram chunk");
    }

    #[test]
    fn many_empty_spans_are_stored_once_for_all_samples() {
        // 7 spans without buckets, then 60 samples that change nothing.
        let spans = format!("10 111 {} 0", "0 0".repeat(7));
        let bits = format!("00000000 0 {spans} 0 0 0 {} {}", "0".repeat(64), "0000".repeat(59));
        let samples = read(2, &data(60, 0, &bits)).unwrap();
        assert_eq!(samples.len(), 60);
        assert_eq!(samples[0].layout.positive_spans, [Span { offset: 0, length: 0 }; 7]);
        assert!(samples.iter().all(|s| Arc::ptr_eq(&s.layout, &samples[0].layout)));
        assert_eq!((samples[0].hint, samples[59].hint), (ResetHint::Unknown, ResetHint::NotReset));
    }

    #[test]
    fn zero_thresholds_are_powers_of_two_or_doubles() {
        let threshold = |bits: &str| {
            let rest = format!("{bits} 0 0 0 0 0 0 {}", "0".repeat(64));
            f64::from_bits(read(2, &data(1, 0, &rest)).unwrap()[0].layout.zero_threshold)
        };
        assert_eq!(threshold("00000000"), 0.0);
        assert_eq!(threshold("00000001"), 2f64.powi(-243));
        assert_eq!(threshold("01110100"), 2f64.powi(-128));
        assert_eq!(threshold("11111110"), 2f64.powi(10));
        assert_eq!(threshold(&format!("11111111 {:064b}", 0.001f64.to_bits())), 0.001);
    }

    #[test]
    fn schemas_are_known_or_the_chunk_is_lost() {
        let schema = |bits: &str| {
            let rest = format!("00000000 {bits} 0 0 0 0 0 0 {}", "0".repeat(64));
            read(2, &data(1, 0, &rest)).map(|s| s[0].layout.schema)
        };
        // In six bits -9 and -10, in nine bits 52, 53, -53 and -54.
        assert_eq!(schema("110 110111"), Ok(-9));
        assert_eq!(schema("1110 000110100"), Ok(8));
        assert_eq!(schema("1110 111001011"), Ok(CUSTOM_BOUNDS));
        for unknown in ["110 110110", "1110 000110101", "1110 111001010"] {
            let fault = schema(unknown).unwrap_err();
            assert!(matches!(fault.kind, FaultKind::Unsupported { .. }), "{fault}");
        }
    }

    #[test]
    fn fine_schemas_are_reduced_bucket_by_bucket() {
        let spans = [Span { offset: -3, length: 4 }, Span { offset: 0, length: 0 }, Span { offset: 2, length: 3 }];
        let mut side = Side { buckets: 7, ..Side::default() };
        // Buckets -3, -2, -1, 0 and 3, 4, 5, of which two make one: they end at -1, 0, 2 and 3.
        let reduced = side.reduce(&spans, 1).unwrap();
        assert_eq!(reduced, [Span { offset: -1, length: 2 }, Span { offset: 1, length: 2 }]);
        let counts = side.gather([1i64, 2, 4, 8, 16, 32, 64].into_iter(), i64::wrapping_add);
        assert_eq!(counts, [3, 12, 48, 64]);
        // All of them in one.
        let mut side = Side { buckets: 3, ..Side::default() };
        let one = side.reduce(&[Span { offset: 1, length: 3 }], 44).unwrap();
        assert_eq!(one, [Span { offset: 1, length: 1 }]);
        assert_eq!(side.gather([1u64, 2, 4].into_iter(), u64::wrapping_add), [7]);
        // Upstream panics.
        let mut side = Side { buckets: 2, ..Side::default() };
        assert!(side.reduce(&[Span { offset: 1, length: 1 }, Span { offset: -1, length: 1 }], 1).is_err());
    }

    #[test]
    fn custom_bounds_are_thousandths_or_doubles() {
        let raw = format!("0 {:064b}", (-1.5f64).to_bits());
        // Schema -53; no spans; bounds: 1 stands for 0, 6 for 0.005, and a double.
        let bounds = format!("00000000 1110 111001011 0 0 10 011 10 001 10 110 {raw}");
        let samples = read(2, &data(1, 0, &format!("{bounds} 0 0 0 {}", "0".repeat(64)))).unwrap();
        let expected: Vec<u64> = [0.0f64, 0.005, -1.5].iter().map(|b| b.to_bits()).collect();
        assert_eq!(samples[0].layout.custom_bounds, expected);
        let many = format!("00000000 1110 111001011 0 0 11111110 {}", "1".repeat(56));
        assert_eq!(read(2, &data(1, 0, &many)).unwrap_err().field, "custom bounds of a histogram chunk");
    }

    #[test]
    fn stale_markers_have_nothing_but_their_time() {
        // A gauge with one bucket that holds 1; then the sum becomes stale by one window of 64 bits.
        let first = format!("00000000 0 10 001 10 001 0 0  10 101 10 001 0 {} 10 001", "0".repeat(64));
        let stale = format!("10 010 10 011 0 11 00000 000000 {STALE:064b}", STALE = crate::sample::STALE_NAN_BITS);
        let samples = read(2, &data(2, 0xc0, &format!("{first} {stale}"))).unwrap();
        let [first, stale] = &samples[..] else { unreachable!() };
        assert_eq!((first.t_ms, first.hint, first.is_stale()), (-3, ResetHint::Gauge, false));
        assert_eq!(first.counts, Counts::Int { count: 1, zero: 0, positive: vec![1], negative: vec![] });
        assert_eq!((stale.t_ms, stale.hint, stale.is_stale()), (-1, ResetHint::Unknown, true));
        assert_eq!(*stale.layout, Layout::default());
        assert_eq!(stale.counts, Counts::Int { count: 0, zero: 0, positive: vec![], negative: vec![] });
    }

    #[test]
    fn headers_of_both_kinds() {
        let header = |encoding, bytes: &[u8]| {
            let chunk = ChunkSlice { encoding, window: bytes, len: bytes.len(), offset: 0, crc: 0 };
            Histograms::new(&chunk).map(|h| (h.chunk_reset(), h.count()))
        };
        assert_eq!(header(2, &[0, 0, 0x80]), Ok((ResetHint::Reset, 0)));
        assert_eq!(header(3, &[0, 0, 0x40]), Ok((ResetHint::NotReset, 0)));
        assert_eq!(header(5, &[0xc0, 0, 0xff]), Ok((ResetHint::Gauge, 0)));
        assert_eq!(header(6, &[0x00, 0, 0x40]), Ok((ResetHint::Unknown, 0)));
        assert!(header(5, &[0x80, 1, 0]).is_err(), "one sample and no bits");
        assert!(header(2, &[0, 0]).is_err());
        assert!(header(1, &[0, 0, 0]).is_err(), "floats");
    }
}
