//! The chunks of one series, cut as its samples come.

use super::{RawChunk, SAMPLES_PER_CHUNK, XorEncoder};
use crate::time::TimestampMs;
use crate::tsdb::chunkenc::Encoding;

/// Encodes samples of one series, in increasing time, as XOR chunks of [`SAMPLES_PER_CHUNK`] samples; the last one may
/// have fewer.
///
/// Memory: the encoded chunks. It can be used again after [`SeriesEncoder::finish`].
#[derive(Debug, Default)]
pub struct SeriesEncoder {
    encoder: XorEncoder,
    /// First and last time in the encoder, where it is not empty.
    min_time_ms: TimestampMs,
    max_time_ms: TimestampMs,
    chunks: Vec<RawChunk>,
}

impl SeriesEncoder {
    /// A series without samples.
    pub fn new() -> SeriesEncoder {
        SeriesEncoder::default()
    }

    /// Appends a sample at `t_ms` with these value bits (`f64::to_bits`).
    #[inline]
    pub fn push(&mut self, t_ms: TimestampMs, bits: u64) {
        if self.encoder.len() >= SAMPLES_PER_CHUNK {
            self.cut();
        }
        if self.encoder.is_empty() {
            self.min_time_ms = t_ms;
        }
        self.max_time_ms = t_ms;
        let pushed = self.encoder.push(t_ms, bits);
        debug_assert!(pushed.is_ok(), "a chunk is cut long before it is full");
    }

    /// The chunks in order of time; none without samples.
    pub fn finish(&mut self) -> Vec<RawChunk> {
        if !self.encoder.is_empty() {
            self.cut();
        }
        std::mem::take(&mut self.chunks)
    }

    fn cut(&mut self) {
        self.chunks.push(RawChunk {
            encoding: Encoding::XOR,
            min_time_ms: self.min_time_ms,
            max_time_ms: self.max_time_ms,
            data: self.encoder.finish(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_cut_at_the_limit_and_hold_what_was_pushed() {
        let mut encoder = SeriesEncoder::new();
        assert!(encoder.finish().is_empty());
        for count in [1, SAMPLES_PER_CHUNK, SAMPLES_PER_CHUNK + 1, 3 * SAMPLES_PER_CHUNK - 1] {
            let samples: Vec<(i64, u64)> = (0..count as i64).map(|i| (i * 15_000, (i as f64).to_bits())).collect();
            samples.iter().for_each(|(t, bits)| encoder.push(*t, *bits));
            let expected: Vec<RawChunk> =
                samples.chunks(SAMPLES_PER_CHUNK).filter_map(|c| RawChunk::xor(c.iter().copied())).collect();
            assert_eq!(encoder.finish(), expected);
        }
    }
}
