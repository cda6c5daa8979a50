//! XOR chunks (encoding 1), written: the inverse of [`crate::tsdb::chunkenc::xor`] and, bit for bit, what upstream's
//! appender writes (`tsdb/chunkenc/xor.go: xorAppender`).

use super::output::{put_uvarint, put_varint};

/// The chunk holds [`MAX_SAMPLES`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkFull;

/// The most samples that a chunk's 16-bit count can say. Where to cut, usually at 120, is the caller's business.
pub const MAX_SAMPLES: u16 = u16::MAX;

/// The bits of a value that are worth writing: everything between `leading` and `trailing` zeros.
#[derive(Debug, Clone, Copy)]
struct Window {
    leading: u32,
    trailing: u32,
}

/// One chunk being written.
///
/// Any times and any value bits can be written, in any order: differences wrap. Readers want strictly increasing times.
#[derive(Debug, Clone, Default)]
pub struct XorEncoder {
    /// Finished bytes behind the count.
    bytes: Vec<u8>,
    /// Further bits, left-aligned: `used` of them, below 64.
    pending: u64,
    used: u32,
    count: u16,
    t: i64,
    delta: i64,
    value: u64,
    window: Option<Window>,
}

impl XorEncoder {
    /// A chunk without samples.
    pub fn new() -> XorEncoder {
        XorEncoder::default()
    }

    /// The number of samples so far.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is no sample yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a sample at `t_ms` with these value bits (`f64::to_bits`).
    pub fn push(&mut self, t_ms: i64, bits: u64) -> Result<(), ChunkFull> {
        match self.count {
            MAX_SAMPLES => return Err(ChunkFull),
            0 => {
                put_varint(&mut self.bytes, t_ms);
                self.put(bits, 64);
            }
            n => {
                let delta = t_ms.wrapping_sub(self.t);
                if n == 1 {
                    // The first sample is whole bytes, so nothing is pending in front of the varint.
                    put_uvarint(&mut self.bytes, delta as u64);
                } else {
                    self.put_dod(delta.wrapping_sub(self.delta));
                }
                self.delta = delta;
                self.put_value(bits ^ self.value);
            }
        }
        self.t = t_ms;
        self.value = bits;
        self.count += 1;
        Ok(())
    }

    /// The chunk's data as it stands behind the encoding byte of a segment; the encoder is empty again.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut data = Vec::with_capacity(2 + self.bytes.len() + 8);
        self.finish_into(&mut data);
        data
    }

    /// As [`XorEncoder::finish`], appended to `out`; the encoder keeps its memory.
    pub fn finish_into(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.bytes);
        let rest = self.pending.to_be_bytes();
        out.extend(rest.iter().take(self.used.div_ceil(8) as usize));
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *self = XorEncoder { bytes, ..XorEncoder::default() };
    }

    /// The change of the time difference: the first width that holds it, see [`fits`].
    fn put_dod(&mut self, dod: i64) {
        let raw = dod as u64;
        match dod {
            0 => self.put(0, 1),
            _ if fits(dod, 14) => self.put(0b10 << 14 | raw & low(14), 16),
            _ if fits(dod, 17) => self.put(0b110 << 17 | raw & low(17), 20),
            _ if fits(dod, 20) => self.put(0b1110 << 20 | raw & low(20), 24),
            _ => {
                self.put(0b1111, 4);
                self.put(raw, 64);
            }
        }
    }

    /// The changed bits of the value. The last window is used again whenever it holds them all, however wide it is.
    fn put_value(&mut self, changed: u64) {
        if changed == 0 {
            return self.put(0, 1);
        }
        // Five bits hold at most 31.
        let leading = changed.leading_zeros().min(31);
        let trailing = changed.trailing_zeros();
        match self.window {
            Some(w) if leading >= w.leading && trailing >= w.trailing => {
                self.put(0b10, 2);
                self.put(changed >> w.trailing, 64 - w.leading - w.trailing);
            }
            _ => {
                let significant = 64 - leading - trailing;
                self.window = Some(Window { leading, trailing });
                // Six bits hold at most 63; none at all never occurs, so 0 stands for 64.
                let header = 0b11 << 11 | u64::from(leading) << 6 | u64::from(significant) & low(6);
                self.put(header, 13);
                self.put(changed >> trailing, significant);
            }
        }
    }

    /// Appends the lowest `n` bits of `value`, 1 to 64; the bits above them are zero.
    #[inline]
    fn put(&mut self, value: u64, n: u32) {
        let room = 64 - self.used;
        if n < room {
            self.pending |= value << (room - n);
            self.used += n;
            return;
        }
        let over = n - room;
        self.bytes.extend_from_slice(&(self.pending | value >> over).to_be_bytes());
        self.pending = if over == 0 { 0 } else { value << (64 - over) };
        self.used = over;
    }
}

/// Whether a `dod` field of `bits` bits holds `dod`: from -(2^(bits-1) - 1) to +2^(bits-1), which is not two's
/// complement (`docs/format/chunkenc.md`).
fn fits(dod: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    -(half - 1) <= dod && dod <= half
}

/// A mask of the `n` lowest bits, `n` below 64.
fn low(n: u32) -> u64 {
    (1 << n) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{STALE_NAN_BITS, Samples};
    use crate::tsdb::chunkenc::xor;
    use crate::tsdb::chunks::ChunkSlice;

    fn encoded(samples: &[(i64, u64)]) -> Vec<u8> {
        let mut encoder = XorEncoder::new();
        for (t, v) in samples {
            encoder.push(*t, *v).unwrap();
        }
        assert_eq!(encoder.len(), samples.len());
        encoder.finish()
    }

    fn decoded(data: &[u8]) -> Vec<(i64, u64)> {
        let chunk = ChunkSlice { encoding: 1, window: data, len: data.len(), offset: 0, crc: 0 };
        let mut out = Samples::default();
        xor::decode(&chunk, &mut out).unwrap();
        out.iter().collect()
    }

    /// The example of the README of the crate rusty-chunkenc, which took it from Prometheus.
    #[test]
    fn two_samples_as_upstream_writes_them() {
        let data = encoded(&[(7_200_000, 12_000f64.to_bits()), (7_201_000, 12_001f64.to_bits())]);
        let expected = [
            0x00, 0x02, 0x80, 0xF4, 0xEE, 0x06, 0x40, 0xC7, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0xE8, 0x07, 0xF0, 0x0C,
        ];
        assert_eq!(data, expected);
    }

    #[test]
    fn every_width_takes_its_extremes_and_not_one_more() {
        for (bits, prefix) in [(14, 2), (17, 3), (20, 4)] {
            let half = 1i64 << (bits - 1);
            for dod in [half, -(half - 1)] {
                let samples = [(0, 0), (0, 0), (dod, 0)];
                let data = encoded(&samples);
                assert_eq!(decoded(&data), samples, "{dod}");
                // Head, first sample and delta are 2 + 1 + 8 + 1 bytes and a bit for "same value".
                let wanted = 12 + (1 + prefix + bits + 1usize).div_ceil(8);
                assert_eq!(data.len(), wanted, "{dod}");
            }
            assert!(!fits(half + 1, bits as u32) && !fits(-half, bits as u32));
        }
    }

    #[test]
    fn a_full_chunk_refuses_more_and_finishing_starts_afresh() {
        let mut encoder = XorEncoder::new();
        for t in 0..65535 {
            assert_eq!(encoder.push(t, t as u64), Ok(()));
        }
        assert_eq!(encoder.push(0, 0), Err(ChunkFull));
        let data = encoder.finish();
        assert_eq!(decoded(&data).len(), 65535);
        assert!(encoder.is_empty());
        encoder.push(5, 6).unwrap();
        assert_eq!(encoder.finish(), encoded(&[(5, 6)]));
        assert_eq!(encoder.finish(), [0, 0]);
    }

    fn value() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            any::<f64>().prop_map(f64::to_bits),
            (-1000i32..1000).prop_map(|i| f64::from(i).to_bits()),
            (0u32..64, any::<u64>()).prop_map(|(s, v)| v >> s),
            (0u32..64, any::<u64>()).prop_map(|(s, v)| v << s),
            Just(STALE_NAN_BITS),
            Just(0x7ff8_0000_0000_0001),
            Just(0x8000_0000_0000_0000),
            Just(f64::INFINITY.to_bits()),
        ]
    }

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -1_000_000i64..1_000_000,]
    }

    proptest! {
        #[test]
        fn anything_comes_back(samples in prop::collection::vec((time(), value()), 0..300)) {
            prop_assert_eq!(decoded(&encoded(&samples)), samples);
        }

        #[test]
        fn runs_come_back(
            start in time(),
            runs in prop::collection::vec((value(), 1usize..40, 1i64..2_000_000), 1..20),
        ) {
            let mut t = start;
            let mut samples = Vec::new();
            for (v, n, step) in runs {
                for _ in 0..n {
                    t = t.wrapping_add(step);
                    samples.push((t, v));
                }
            }
            prop_assert_eq!(decoded(&encoded(&samples)), samples);
        }
    }
}
