//! How many bytes a chunk would have while it grows: what a head decides by where to cut. Nothing is written; the bits
//! of each field are counted as the encoders spend them (`tsdb/chunkenc/{varbit,xor,xor2,histogram,float_histogram,st}.go`
//! upstream, `docs/format/chunkenc.md`).

use crate::sample::is_stale;
use crate::tsdb::chunkenc::histogram::{CUSTOM_BOUNDS, Counts, HistogramSample, Layout, Span};

/// The sample from which on an encoder with start timestamps stores one in any case.
const START_AT_LATEST: usize = 127;

/// Whether `bits` bits hold `value`, from -(2^(bits-1) - 1) to 2^(bits-1).
fn fits(value: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    -(half - 1) <= value && value <= half
}

/// Widths of a field of variable length: the bits that the number itself has, and those with its prefix.
const VARBIT: [(u32, u64); 7] = [(3, 5), (6, 9), (9, 13), (12, 17), (18, 24), (25, 32), (56, 64)];

fn varbit_int(value: i64) -> u64 {
    match value {
        0 => 1,
        _ => VARBIT.iter().find(|(bits, _)| fits(value, *bits)).map_or(72, |(_, all)| *all),
    }
}

fn varbit_uint(value: u64) -> u64 {
    match value {
        0 => 1,
        _ => VARBIT.iter().find(|(bits, _)| value >> bits == 0).map_or(72, |(_, all)| *all),
    }
}

/// A number in groups of seven bits.
fn uvarint(value: u64) -> u64 {
    u64::from((64 - value.leading_zeros()).max(1).div_ceil(7)) * 8
}

fn varint(value: i64) -> u64 {
    uvarint(((value << 1) ^ (value >> 63)) as u64)
}

/// The zeros that are not written before and behind the changed bits of a double.
#[derive(Debug, Clone, Copy)]
struct Window {
    leading: u32,
    trailing: u32,
}

impl Window {
    fn of(changed: u64) -> Window {
        // Five bits hold at most 31.
        Window { leading: changed.leading_zeros().min(31), trailing: changed.trailing_zeros() }
    }

    fn holds(self, other: Window) -> bool {
        other.leading >= self.leading && other.trailing >= self.trailing
    }

    fn zeros(self) -> u32 {
        self.leading + self.trailing
    }

    fn bits(self) -> u64 {
        u64::from(64 - self.zeros())
    }
}

/// A double that is stored as its changed bits.
#[derive(Debug, Clone, Copy)]
struct Xored {
    bits: u64,
    window: Option<Window>,
}

impl Xored {
    fn new(bits: u64) -> Xored {
        Xored { bits, window: None }
    }

    fn next(&mut self, bits: u64) -> u64 {
        let changed = self.bits ^ bits;
        self.bits = bits;
        if changed == 0 {
            return 1;
        }
        let new = Window::of(changed);
        match self.window {
            Some(w) if w.holds(new) => 2 + w.bits(),
            _ => {
                self.window = Some(new);
                13 + new.bits()
            }
        }
    }
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

    fn next(&mut self, value: i64) -> u64 {
        let delta = value.wrapping_sub(self.value);
        let bits = varbit_int(delta.wrapping_sub(self.delta));
        *self = Tracked { value, delta };
        bits
    }
}

/// Start timestamps behind the samples of a histogram chunk or an XOR2 chunk.
#[derive(Debug, Clone, Copy, Default)]
struct Starts {
    start_ms: i64,
    difference: i64,
    changing: bool,
}

impl Starts {
    /// The bits for the sample at `position`, which is not before the one at `before_ms`.
    fn next(&mut self, position: usize, t_ms: i64, before_ms: i64, start_ms: i64) -> u64 {
        let difference = before_ms.wrapping_sub(start_ms);
        let bits = match position {
            0 if start_ms == 0 => 0,
            0 => varint(t_ms.wrapping_sub(start_ms)),
            _ if self.changing => varbit_int(difference.wrapping_sub(self.difference)),
            n if start_ms == self.start_ms && n != START_AT_LATEST => 0,
            _ => {
                self.changing = true;
                varbit_int(difference)
            }
        };
        self.start_ms = start_ms;
        if self.changing {
            self.difference = difference;
        }
        bits
    }
}

/// A chunk of floats.
#[derive(Debug, Clone)]
pub(super) struct FloatSize {
    xor2: bool,
    bits: u64,
    samples: usize,
    t: Tracked,
    value: Xored,
    starts: Starts,
}

impl FloatSize {
    /// A chunk without samples, of encoding 4 or of encoding 1.
    pub(super) fn new(xor2: bool) -> FloatSize {
        let header = if xor2 { 3 } else { 2 };
        FloatSize {
            xor2,
            bits: header * 8,
            samples: 0,
            t: Tracked::default(),
            value: Xored::new(0),
            starts: Starts::default(),
        }
    }

    /// The bytes so far, header included and the encoding byte not.
    pub(super) fn bytes(&self) -> u64 {
        self.bits.div_ceil(8)
    }

    pub(super) fn push(&mut self, t_ms: i64, bits: u64, start_ms: i64) {
        let before = self.t.value;
        self.bits += match self.samples {
            0 => {
                self.t = Tracked::new(t_ms);
                // The first value of an XOR2 chunk is written as it is, too, but a stale one is nothing to compare with.
                if !(self.xor2 && is_stale(bits)) {
                    self.value = Xored::new(bits);
                }
                varint(t_ms) + 64
            }
            1 => {
                self.t = Tracked { value: t_ms, delta: t_ms.wrapping_sub(before) };
                uvarint(self.t.delta as u64)
                    + if self.xor2 { self.value.next_xor2(bits) } else { self.value.next(bits) }
            }
            _ => {
                let delta = t_ms.wrapping_sub(before);
                let change = delta.wrapping_sub(self.t.delta);
                self.t = Tracked { value: t_ms, delta };
                if self.xor2 { self.value.joint_xor2(change, bits) } else { xor_time(change) + self.value.next(bits) }
            }
        };
        if self.xor2 {
            self.bits += self.starts.next(self.samples, t_ms, before, start_ms);
        }
        self.samples += 1;
    }
}

/// The change of the time difference in an XOR chunk.
fn xor_time(change: i64) -> u64 {
    match change {
        0 => 1,
        c if fits(c, 14) => 16,
        c if fits(c, 17) => 20,
        c if fits(c, 20) => 24,
        _ => 68,
    }
}

impl Xored {
    /// Time and value together, from the third sample of an XOR2 chunk on.
    fn joint_xor2(&mut self, change: i64, bits: u64) -> u64 {
        let signed = |n: u32| -(1i64 << (n - 1)) <= change && change < 1i64 << (n - 1);
        match change {
            0 if is_stale(bits) => 5,
            0 if bits == self.bits => 1,
            0 => 2 + self.window_xor2(bits, 1, 11, 5),
            _ if signed(13) => 16 + self.next_xor2(bits),
            _ if signed(20) => 24 + self.next_xor2(bits),
            _ => 69 + self.next_xor2(bits),
        }
    }

    /// The value code of an XOR2 chunk.
    fn next_xor2(&mut self, bits: u64) -> u64 {
        match bits {
            b if is_stale(b) => 3,
            b if b == self.bits => 1,
            // "Again" and "new" have prefixes of two and three bits.
            b => self.window_xor2(b, 2, 12, 6),
        }
    }

    /// Changed bits in the window of before or in another one, as the encoder weighs their costs: `saves` is what
    /// keeping the window saves, and a new one takes in the old one for up to `keeps` more bits.
    fn window_xor2(&mut self, bits: u64, again: u64, saves: u32, keeps: u32) -> u64 {
        let mut new = Window::of(self.bits ^ bits);
        self.bits = bits;
        if let Some(w) = self.window {
            if w.holds(new) && new.zeros() <= w.zeros() + saves {
                return again + w.bits();
            }
            if !w.holds(new) {
                let both = Window { leading: new.leading.min(w.leading), trailing: new.trailing.min(w.trailing) };
                if new.zeros() - both.zeros() <= keeps {
                    new = both;
                }
            }
        }
        self.window = Some(new);
        again + u64::from(saves) + new.bits()
    }
}

/// A chunk of histograms of one layout.
#[derive(Debug, Clone)]
pub(super) struct HistogramSize {
    bits: u64,
    samples: usize,
    t: Tracked,
    sum: Xored,
    fields: Fields,
    starts: Option<Starts>,
}

#[derive(Debug, Clone)]
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

impl HistogramSize {
    /// A chunk with one histogram, and with start timestamps or without.
    pub(super) fn new(sample: &HistogramSample, starts: bool) -> HistogramSize {
        let mut bits = 3 * 8 + layout_bits(&sample.layout) + varbit_int(sample.t_ms) + 64;
        let fields = match &sample.counts {
            Counts::Int { count, zero, positive, negative } => {
                let buckets: Vec<Tracked> = deltas(positive).chain(deltas(negative)).map(Tracked::new).collect();
                bits += varbit_uint(*count) + varbit_uint(*zero);
                bits += buckets.iter().map(|b| varbit_int(b.value)).sum::<u64>();
                Fields::Int { count: Tracked::new(*count as i64), zero: Tracked::new(*zero as i64), buckets }
            }
            Counts::Float { count, zero, positive, negative } => {
                let buckets: Vec<Xored> = positive.iter().chain(negative).map(|b| Xored::new(*b)).collect();
                bits += 64 * (2 + buckets.len() as u64);
                Fields::Float { count: Xored::new(*count), zero: Xored::new(*zero), buckets }
            }
        };
        let mut starts = starts.then(Starts::default);
        if let Some(s) = &mut starts {
            bits += s.next(0, sample.t_ms, 0, sample.start_ms);
        }
        HistogramSize { bits, samples: 1, t: Tracked::new(sample.t_ms), sum: Xored::new(sample.sum), fields, starts }
    }

    /// The bytes so far, header included and the encoding byte not.
    pub(super) fn bytes(&self) -> u64 {
        self.bits.div_ceil(8)
    }

    /// One more histogram of the same kind, with the buckets of the chunk or stale.
    pub(super) fn push(&mut self, sample: &HistogramSample) {
        let before = self.t.value;
        self.bits += self.t.next(sample.t_ms) + self.sum.next(sample.sum);
        let stale = sample.is_stale();
        match (&mut self.fields, &sample.counts) {
            (Fields::Int { count, zero, buckets }, Counts::Int { count: c, zero: z, positive, negative }) => {
                let counted = count.next(*c as i64) + zero.next(*z as i64);
                // The counts of a stale marker are written as no change.
                self.bits += if stale { 2 } else { counted };
                let values = deltas(positive).chain(deltas(negative));
                self.bits += buckets.iter_mut().zip(values).map(|(b, v)| b.next(v)).sum::<u64>();
            }
            (Fields::Float { count, zero, buckets }, Counts::Float { count: c, zero: z, positive, negative }) => {
                self.bits += count.next(*c) + zero.next(*z);
                let values = positive.iter().chain(negative);
                self.bits += buckets.iter_mut().zip(values).map(|(b, v)| b.next(*v)).sum::<u64>();
            }
            _ => {}
        }
        if let Some(s) = &mut self.starts {
            self.bits += s.next(self.samples, sample.t_ms, before, sample.start_ms);
        }
        self.samples += 1;
    }
}

/// Each count minus the one before it.
fn deltas(counts: &[i64]) -> impl Iterator<Item = i64> + '_ {
    let before = std::iter::once(0).chain(counts.iter().copied());
    counts.iter().zip(before).map(|(c, b)| c.wrapping_sub(b))
}

fn layout_bits(layout: &Layout) -> u64 {
    let spans = |list: &[Span]| {
        let each = |s: &Span| varbit_uint(u64::from(s.length)) + varbit_int(i64::from(s.offset));
        varbit_uint(list.len() as u64) + list.iter().map(each).sum::<u64>()
    };
    let bounds = match layout.schema {
        CUSTOM_BOUNDS => {
            let list = &layout.custom_bounds;
            varbit_uint(list.len() as u64) + list.iter().map(|b| custom_bound(f64::from_bits(*b))).sum::<u64>()
        }
        _ => 0,
    };
    zero_threshold(layout.zero_threshold)
        + varbit_int(i64::from(layout.schema))
        + spans(&layout.positive_spans)
        + spans(&layout.negative_spans)
        + bounds
}

/// A byte for 0 and for the powers of two from 2^-243 to 2^10, nine for others.
fn zero_threshold(bits: u64) -> u64 {
    let exponent = (bits >> 52) as i64 - 1023;
    let power = bits << 12 == 0 && (-243..=10).contains(&exponent);
    if power || bits << 1 == 0 { 8 } else { 72 }
}

/// Thousandths up to 33554.430, or a bit and a double.
fn custom_bound(bound: f64) -> u64 {
    let thousandths = bound * 1000.0;
    let whole = (thousandths.round() as u64) as f64 / 1000.0 == bound;
    if whole && (0.0..=33_554_430.0).contains(&thousandths) { varbit_uint(thousandths.round() as u64 + 1) } else { 65 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its input fails")]

    use std::path::{Path, PathBuf};

    use super::*;
    use crate::tsdb::chunkenc::{self, Encoding};
    use crate::tsdb::chunks::ChunkSlice;
    use crate::tsdb::head_chunks;
    use crate::tsdb::run::Run;

    /// The bytes that a chunk with these samples has.
    fn counted(encoding: Encoding, run: &Run) -> u64 {
        if !encoding.is_histogram() {
            let mut size = FloatSize::new(encoding == Encoding::XOR2);
            let floats = &run.floats;
            floats.iter().enumerate().for_each(|(i, (t, bits))| size.push(t, bits, floats.start(i)));
            return size.bytes();
        }
        let starts = matches!(encoding, Encoding::HISTOGRAM_ST | Encoding::FLOAT_HISTOGRAM_ST);
        let mut list = run.histograms.iter();
        let mut size = HistogramSize::new(list.next().unwrap(), starts);
        list.for_each(|h| size.push(h));
        size.bytes()
    }

    fn files(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            match entry.is_dir() {
                true => files(&entry, found),
                false => found.push(entry),
            }
        }
    }

    fn compare(path: &Path, chunk: &ChunkSlice<'_>, seen: &mut [u64; 7]) {
        let mut run = Run::default();
        if chunkenc::decode(chunk, true, &mut run).is_err() || run.is_empty() {
            return;
        }
        assert_eq!(
            counted(Encoding(chunk.encoding), &run),
            chunk.len as u64,
            "{} at {}: encoding {}, {} samples",
            path.display(),
            chunk.offset,
            chunk.encoding,
            run.len()
        );
        if let Some(n) = seen.get_mut(usize::from(chunk.encoding)) {
            *n += 1;
        }
    }

    /// Every chunk of the fixtures that upstream's appenders wrote, by the bytes that it has.
    #[test]
    fn chunks_have_the_bytes_that_are_counted() {
        let mut roots = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/encodings")];
        roots.extend(std::env::var_os("PROMPROOF_FIXTURES").map(|d| PathBuf::from(d).join("encodings")));
        let (mut found, mut seen) = (Vec::new(), [0; 7]);
        roots.iter().for_each(|r| files(r, &mut found));
        for path in found {
            let text = path.to_string_lossy();
            let folder = path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
            // Schemas above 8 are read as 8, so those chunks cannot be counted again.
            if text.contains("histograms-odd") {
                continue;
            }
            let bytes = || std::fs::read(&path).unwrap();
            match folder.as_deref() {
                Some("chunks") => {
                    let (segment, mut at) = (bytes(), 8);
                    while let Ok(chunk) = ChunkSlice::read(&segment, at) {
                        compare(&path, &chunk, &mut seen);
                        at = chunk.offset + chunk.len as u64 + 4;
                    }
                }
                Some("chunks_head") => {
                    let (file, mut list) = (bytes(), Vec::new());
                    let _ = head_chunks::walk(&file, 1, |c| list.push(c.reference));
                    for chunk in list.into_iter().filter_map(|r| head_chunks::read(&file, r).ok()) {
                        compare(&path, &chunk, &mut seen);
                    }
                }
                _ => {}
            }
        }
        println!("chunks by encoding: {seen:?}");
        let least = [0, 500, 10, 5, 50, 0, 0];
        assert!(seen.iter().zip(least).all(|(n, least)| *n >= least), "{seen:?}");
    }
}
