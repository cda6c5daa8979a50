//! XOR chunks (encoding 1): Gorilla-style float samples (`tsdb/chunkenc/xor.go` upstream,
//! `docs/format/chunkenc.md`).
//!
//! The decoder keeps a bit *position* instead of a bit buffer: positions advance by constants that the branch
//! predictor knows, so no chain of shifts runs from sample to sample. Inside a fixed window the position is masked,
//! which proves every load in bounds; over-reads are harmless because the final position is compared with the chunk's
//! length once.
//!
//! Where values change at some samples and stay at others, as buckets of histograms do, no predictor helps: there
//! several samples are taken from one word without a branch between "same" and "changed". `benches/decode.rs` has the
//! numbers.

use super::bits::{Bits, Checked, PADDED, WINDOW, Window};
use crate::raw::{Cursor, Fault, FaultKind};
use crate::sample::Samples;
use crate::tsdb::chunks::ChunkSlice;

/// The widest value window for which several samples are taken from one word.
const NARROW: u32 = 11;
/// Bits per sample of a chunk whose values change at some samples and stay at others, as buckets of histograms do.
/// Below, hardly any value changes; above, nearly every one does.
const MIXED_BITS: std::ops::Range<usize> = 4..10;

/// Appends the chunk's samples to `out`. On an error nothing is appended.
///
/// Timestamps are whatever the chunk says; order is checked by the reader above. Allocates for at most 65535 samples,
/// and only after the count was found to fit in the bytes.
pub fn decode(chunk: &ChunkSlice<'_>, out: &mut Samples) -> Result<(), Fault> {
    let before = out.len();
    let result = if chunk.len > WINDOW {
        decode_bits(&Checked(chunk.data()), chunk, out)
    } else if let Some(window) = chunk.window.first_chunk::<PADDED>() {
        decode_bits(&Window(window), chunk, out)
    } else {
        let mut padded = [0u8; PADDED];
        for (to, from) in padded.iter_mut().zip(chunk.data()) {
            *to = *from;
        }
        decode_bits(&Window(&padded), chunk, out)
    };
    if result.is_err() {
        out.ts.truncate(before);
        out.bits.truncate(before);
    }
    result
}

/// The sign rule of `dod` fields: raw `p` of `n` bits above 2^(n-1) stands for `p - 2^n`, so the range is
/// -(2^(n-1) - 1) to +2^(n-1). This is not two's complement.
#[inline(always)]
fn signed(raw: u64, bits: u32) -> i64 {
    if raw > 1 << (bits - 1) { raw as i64 - (1 << bits) } else { raw as i64 }
}

/// The state between two samples.
struct Reader<'a, B> {
    bits: &'a B,
    /// The next bit.
    pos: usize,
    t: i64,
    delta: i64,
    v: u64,
    /// The value window: payloads have 64 - `shift` bits and stand `trailing` bits from the right.
    shift: u32,
    trailing: u32,
    /// Values of the chunk change at some samples and stay at others, so that branching on it often fails.
    mixed: bool,
    /// How many samples [`Reader::few`] may take from one word; 0 where it should not be used.
    per_word: u32,
}

/// Leading zeros and significant bits of a value window that make more than 64.
struct TooWide(u32);

impl<B: Bits> Reader<'_, B> {
    /// One value: `0` same, `10` the window as before, `11` a new window. `w` holds at least 56 bits from `pos`.
    #[inline(always)]
    fn value(&mut self, w: u64) -> Result<(), TooWide> {
        if (w as i64) >= 0 {
            self.pos += 1;
        } else if w >> 62 == 0b10 {
            let payload =
                if self.shift >= 10 { w << 2 >> self.shift } else { self.bits.full(self.pos + 2) >> self.shift };
            self.v ^= payload << self.trailing;
            self.pos += 2 + (64 - self.shift) as usize;
        } else {
            let leading = (w >> 57) as u32 & 31;
            let significant = match (w >> 51) as u32 & 63 {
                0 => 64,
                n => n,
            };
            if leading + significant > 64 {
                return Err(TooWide(leading + significant));
            }
            self.shift = 64 - significant;
            self.trailing = 64 - leading - significant;
            self.per_word = if self.mixed && significant <= NARROW { 57 / (3 + significant) } else { 0 };
            self.v ^= (self.bits.full(self.pos + 13) >> self.shift) << self.trailing;
            self.pos += 13 + significant as usize;
        }
        Ok(())
    }

    /// One sample from the third on: the change of the time difference, then the value.
    #[inline(always)]
    fn sample(&mut self) -> Result<(i64, u64), TooWide> {
        let mut w = self.bits.word(self.pos);
        if (w as i64) >= 0 {
            w <<= 1;
            self.pos += 1;
        } else {
            let dod = match w >> 60 {
                0b1000..=0b1011 => {
                    self.pos += 16;
                    signed(w << 2 >> 50, 14)
                }
                0b1100 | 0b1101 => {
                    self.pos += 20;
                    signed(w << 3 >> 47, 17)
                }
                0b1110 => {
                    self.pos += 24;
                    signed(w << 4 >> 44, 20)
                }
                _ => {
                    let dod = self.bits.full(self.pos + 4) as i64;
                    self.pos += 68;
                    dod
                }
            };
            self.delta = self.delta.wrapping_add(dod);
            w = self.bits.word(self.pos);
        }
        self.t = self.t.wrapping_add(self.delta);
        self.value(w)?;
        Ok((self.t, self.v))
    }

    /// Up to `per_word` samples from one word, none of them told apart by a branch: the time difference stays, and the
    /// value stays (`00`) or changes inside the window (`010`). Stops before the first sample that is anything else.
    /// True if there was none such.
    #[inline(always)]
    fn few<'o>(&mut self, rows: &mut impl Iterator<Item = (&'o mut i64, &'o mut u64)>) -> bool {
        let mut w = self.bits.word(self.pos);
        for _ in 0..self.per_word {
            if w >= 0b011 << 61 {
                return false;
            }
            let Some((t_out, v_out)) = rows.next() else {
                return false;
            };
            let changes = ((w << 1) as i64 >> 63) as u64;
            self.v ^= ((w << 3 >> self.shift) & changes) << self.trailing;
            let used = 2 + ((65 - self.shift) & changes as u32);
            w <<= used;
            self.pos += used as usize;
            self.t = self.t.wrapping_add(self.delta);
            *t_out = self.t;
            *v_out = self.v;
        }
        true
    }
}

#[inline(always)]
fn decode_bits(bits: &impl Bits, chunk: &ChunkSlice<'_>, out: &mut Samples) -> Result<(), Fault> {
    let data = chunk.data();
    let mut head = Cursor::new(data, chunk.offset);
    let count = match head.take(2, "number of samples")? {
        [a, b] => usize::from(u16::from_be_bytes([*a, *b])),
        _ => 0,
    };
    if count == 0 {
        return Ok(());
    }
    let t = head.varint("first timestamp")?;
    let v = head.u64("first value")?;
    out.push(t, v);
    if count == 1 {
        return Ok(());
    }
    let delta = head.uvarint("second timestamp")? as i64;
    let pos = (data.len() - head.left()) * 8;
    let end = data.len() * 8;
    // Every further sample takes at least two bits (the second one at least one).
    let least = 2 * (count - 2) + 1;
    if least > end - pos {
        let kind = FaultKind::Truncated { wanted: least.div_ceil(8) as u64, left: head.left() as u64 };
        return Err(Fault::new(chunk.offset, "samples of an XOR chunk", kind));
    }
    let mut reader = Reader {
        bits,
        pos,
        t: t.wrapping_add(delta),
        delta,
        v,
        shift: 0,
        trailing: 0,
        mixed: MIXED_BITS.contains(&((end - pos) / count)),
        per_word: 0,
    };
    let too_wide = |TooWide(found), pos: usize| {
        let kind = FaultKind::Malformed {
            found: u64::from(found),
            rule: "leading zeros and significant bits make at most 64",
        };
        Fault::new(chunk.offset + (pos / 8) as u64, "value window of an XOR chunk", kind)
    };
    if let Err(e) = reader.value(bits.word(pos)) {
        return Err(too_wide(e, reader.pos));
    }
    out.push(reader.t, reader.v);
    let start = out.len();
    out.ts.resize(start + count - 2, 0);
    out.bits.resize(start + count - 2, 0);
    let ts = out.ts.get_mut(start..).unwrap_or_default();
    let values = out.bits.get_mut(start..).unwrap_or_default();
    let mut rows = ts.iter_mut().zip(values);
    while rows.len() > 0 {
        for (t_out, v_out) in rows.by_ref() {
            match reader.sample() {
                Ok(row) => (*t_out, *v_out) = row,
                Err(e) => return Err(too_wide(e, reader.pos)),
            }
            if reader.per_word > 0 {
                break;
            }
        }
        while reader.per_word > 0 {
            if reader.few(&mut rows) {
                continue;
            }
            let Some((t_out, v_out)) = rows.next() else {
                break;
            };
            match reader.sample() {
                Ok(row) => (*t_out, *v_out) = row,
                Err(e) => return Err(too_wide(e, reader.pos)),
            }
        }
    }
    if reader.pos > end {
        let kind = FaultKind::Truncated { wanted: reader.pos.div_ceil(8) as u64, left: data.len() as u64 };
        return Err(Fault::new(chunk.offset, "samples of an XOR chunk", kind));
    }
    Ok(())
}
