//! Samples of one series in memory as XOR chunks: about two bytes each, where columns need sixteen.

use crate::sample::Samples;
use crate::time::{Interval, TimestampMs};
use crate::tsdb::chunkenc::{Encoding, xor};
use crate::tsdb::chunks::ChunkSlice;
use crate::tsdb::write::XorEncoder;

/// Samples in one chunk, as a server cuts them.
const CHUNK_SAMPLES: usize = 120;

/// Samples, packed, in the order in which they were appended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chunks(Vec<Chunk>);

/// Up to [`CHUNK_SAMPLES`] samples.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    /// The earliest and the latest time.
    times: Interval,
    samples: usize,
    data: Box<[u8]>,
    /// When counting started, as the times of a chunk without values; empty where no sample of the chunk has it.
    starts: Box<[u8]>,
}

impl Chunks {
    /// The samples.
    pub(super) fn all(&self) -> Samples {
        let mut out = Samples::default();
        self.0.iter().for_each(|c| c.read(&mut out));
        out
    }

    /// The samples inside `range`, both ends included, where their times increase.
    pub(super) fn inside(&self, range: Interval) -> Samples {
        let mut out = Samples::default();
        self.overlapping(range).for_each(|c| c.read(&mut out));
        out.truncate(out.upper_bound(range.end));
        out.drop_front(out.lower_bound(range.start));
        out
    }

    /// No fewer samples than `range` has; chunks that begin or end in it count whole.
    pub(super) fn at_most(&self, range: Interval) -> usize {
        self.overlapping(range).map(|c| c.samples).sum()
    }

    /// The times of each chunk.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Interval> {
        self.0.iter().map(|c| c.times)
    }

    /// The earliest and the latest time, both included.
    pub(super) fn times(&self) -> Option<Interval> {
        self.pieces().reduce(Interval::hull)
    }

    fn overlapping(&self, range: Interval) -> impl Iterator<Item = &Chunk> {
        self.0.iter().filter(move |c| c.times.overlaps(&range))
    }
}

impl Chunk {
    /// Appends its samples to `out`.
    fn read(&self, out: &mut Samples) {
        let mut samples = Samples::default();
        decode(&self.data, &mut samples);
        if !self.starts.is_empty() {
            let mut starts = Samples::default();
            decode(&self.starts, &mut starts);
            samples.starts = starts.ts;
        }
        out.append(&mut samples);
    }
}

fn decode(data: &[u8], out: &mut Samples) {
    let chunk = ChunkSlice { encoding: Encoding::XOR.0, window: data, len: data.len(), offset: 0, crc: 0 };
    let decoded = xor::decode(&chunk, out);
    debug_assert!(decoded.is_ok(), "an encoder wrote it: {decoded:?}");
}

/// Packs samples as they come, whatever their times are.
#[derive(Debug, Clone, Default)]
pub(super) struct Appender {
    chunks: Vec<Chunk>,
    data: XorEncoder,
    /// As many as there are samples in `data`, or none at all.
    starts: Option<Box<XorEncoder>>,
    /// The times in `data`.
    open_times: Option<Interval>,
    /// The times of all samples.
    times: Option<Interval>,
    last: TimestampMs,
    unsorted: bool,
}

impl Appender {
    /// Appends one sample; `start` is 0 where it is not known.
    pub(super) fn push(&mut self, t_ms: TimestampMs, bits: u64, start: i64) {
        if self.data.len() >= CHUNK_SAMPLES {
            self.cut();
        }
        if start != 0 && self.starts.is_none() {
            let mut unknown = XorEncoder::new();
            let pushed = (0..self.data.len()).try_for_each(|_| unknown.push(0, 0));
            debug_assert!(pushed.is_ok(), "a chunk is cut long before it is full");
            self.starts = Some(Box::new(unknown));
        }
        let pushed = self.data.push(t_ms, bits).and_then(|()| match &mut self.starts {
            Some(starts) => starts.push(start, 0),
            None => Ok(()),
        });
        debug_assert!(pushed.is_ok(), "a chunk is cut long before it is full");
        self.unsorted |= self.times.is_some() && t_ms <= self.last;
        self.last = t_ms;
        let at = Some(Interval::new(t_ms, t_ms));
        self.open_times = Interval::joined(self.open_times, at);
        self.times = Interval::joined(self.times, at);
    }

    /// Appends columns.
    pub(super) fn extend(&mut self, samples: &Samples) {
        for (at, (t_ms, bits)) in samples.iter().enumerate() {
            self.push(t_ms, bits, samples.start(at));
        }
    }

    /// Moves the samples of `other` behind these. Short chunks become one.
    pub(super) fn append(&mut self, mut other: Appender) {
        let (Some(times), Some(others)) = (self.times, other.times) else {
            if self.is_empty() {
                *self = other;
            }
            return;
        };
        let unsorted = self.unsorted || other.unsorted || others.start <= times.end;
        let last = other.last;
        other.cut();
        for chunk in other.chunks {
            if self.data.len() + chunk.samples <= CHUNK_SAMPLES {
                let mut samples = Samples::default();
                chunk.read(&mut samples);
                self.extend(&samples);
            } else {
                self.cut();
                self.chunks.push(chunk);
            }
        }
        (self.unsorted, self.last) = (unsorted, last);
        self.times = Some(times.hull(others));
    }

    /// Whether there is no sample yet.
    pub(super) fn is_empty(&self) -> bool {
        self.times.is_none()
    }

    /// The earliest and the latest time, both included.
    pub(super) fn times(&self) -> Option<Interval> {
        self.times
    }

    /// Whether each time is later than the one before.
    pub(super) fn is_sorted(&self) -> bool {
        !self.unsorted
    }

    /// The samples so far.
    pub(super) fn finish(mut self) -> Chunks {
        self.cut();
        self.chunks.shrink_to_fit();
        Chunks(self.chunks)
    }

    /// Ends the chunk that is being written.
    fn cut(&mut self) {
        let Some(times) = self.open_times.take() else { return };
        let samples = self.data.len();
        let starts = self.starts.take().map(|mut s| s.finish().into_boxed_slice()).unwrap_or_default();
        self.chunks.push(Chunk { times, samples, data: self.data.finish().into_boxed_slice(), starts });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns(samples: &[(i64, u64, i64)]) -> Samples {
        let mut out = Samples::default();
        samples.iter().for_each(|(t, bits, start)| out.push_with_start(*t, *bits, *start));
        out
    }

    fn packed(samples: &[(i64, u64, i64)]) -> Appender {
        let mut out = Appender::default();
        out.extend(&columns(samples));
        out
    }

    fn any_samples() -> impl Strategy<Value = Vec<(i64, u64, i64)>> {
        let start = prop_oneof![Just(0), any::<i64>()];
        proptest::collection::vec((any::<i64>(), any::<u64>(), start), 0..300)
    }

    proptest! {
        #[test]
        fn what_was_appended_comes_back(parts in proptest::collection::vec(any_samples(), 0..4)) {
            let mut all = Appender::default();
            parts.iter().for_each(|part| all.append(packed(part)));
            let expected = columns(&parts.concat());
            prop_assert_eq!(all.is_empty(), expected.is_empty());
            prop_assert_eq!(all.is_sorted(), expected.ts.is_sorted_by(|a, b| a < b));
            let times = expected.ts.iter().min().zip(expected.ts.iter().max());
            prop_assert_eq!(all.times(), times.map(|(a, b)| Interval::new(*a, *b)));
            let chunks = all.finish();
            prop_assert_eq!(chunks.times(), times.map(|(a, b)| Interval::new(*a, *b)));
            prop_assert_eq!(chunks.all(), expected);
        }

        #[test]
        fn a_range_has_what_is_inside(
            gaps in proptest::collection::vec(1i64..100, 0..500),
            start in 0i64..30_000,
            length in 0i64..30_000,
        ) {
            let times = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) });
            let samples: Vec<_> = times.map(|t| (t, t as u64, t / 700)).collect();
            let range = Interval::new(start, start + length);
            let inside: Vec<_> = samples.iter().copied().filter(|(t, ..)| range.contains(*t)).collect();
            let chunks = packed(&samples).finish();
            let found = chunks.inside(range);
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), inside.iter().map(|s| (s.0, s.1)).collect::<Vec<_>>());
            prop_assert!((0..inside.len()).all(|at| found.start(at) == inside[at].2));
            prop_assert!(chunks.at_most(range) >= inside.len());
            prop_assert_eq!(chunks.pieces().count(), samples.len().div_ceil(CHUNK_SAMPLES));
        }
    }
}
