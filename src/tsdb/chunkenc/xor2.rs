//! XOR2 chunks (encoding 4): float samples whose time and value share a control code, with optional start timestamps
//! (`tsdb/chunkenc/xor2.go` upstream, `docs/format/chunkenc.md`).
//!
//! The decoder is built like that of [`super::xor`]: a bit position in a window of fixed size, loads that cannot leave
//! it, and one comparison with the chunk's end. Which window of bits a writer picks for a value is its own business:
//! 3.16 picks other ones than 3.15 for the same samples.

use super::bits::{Bits, Checked, PADDED, WINDOW, Window, varbit_int};
use crate::raw::{Cursor, Fault, FaultKind};
use crate::sample::{STALE_NAN_BITS, Samples, is_stale};
use crate::tsdb::chunks::ChunkSlice;

/// The leading zeros and the width of a new value window, in front of its bits.
const WINDOW_HEADER: usize = 11;

/// Appends the chunk's samples to `out` and, where wanted, the start timestamp of each to `starts`: 0 where none is
/// known. On an error nothing is appended to either.
///
/// Timestamps are whatever the chunk says; order is checked by the reader above. Allocates for at most 65535 samples,
/// and only after the count was found to fit in the bytes.
pub fn decode(chunk: &ChunkSlice<'_>, out: &mut Samples, mut starts: Option<&mut Vec<i64>>) -> Result<(), Fault> {
    let before = out.len();
    let starts_before = starts.as_ref().map_or(0, |s| s.len());
    let into = starts.as_deref_mut();
    let result = if chunk.len > WINDOW {
        decode_bits(&Checked(chunk.data()), chunk, out, into)
    } else if let Some(window) = chunk.window.first_chunk::<PADDED>() {
        decode_bits(&Window(window), chunk, out, into)
    } else {
        let mut padded = [0u8; PADDED];
        for (to, from) in padded.iter_mut().zip(chunk.data()) {
            *to = *from;
        }
        decode_bits(&Window(&padded), chunk, out, into)
    };
    if result.is_err() {
        out.ts.truncate(before);
        out.bits.truncate(before);
        if let Some(starts) = starts {
            starts.truncate(starts_before);
        }
    }
    result
}

/// The state between two samples.
struct Reader<'a, B> {
    bits: &'a B,
    /// The next bit.
    pos: usize,
    t: i64,
    delta: i64,
    /// The last value that is not a stale marker; changes are relative to it.
    v: u64,
    /// The value window: payloads have 64 - `shift` bits and stand `trailing` bits from the right.
    shift: u32,
    trailing: u32,
}

/// Leading zeros and significant bits of a value window that make more than 64; the position is still in front of them.
struct TooWide(u32);

impl<B: Bits> Reader<'_, B> {
    /// A change inside the window as before. `w` holds at least 54 bits from `pos`.
    #[inline(always)]
    fn inside(&mut self, w: u64) -> u64 {
        let payload = if self.shift >= 10 { w >> self.shift } else { self.bits.full(self.pos) >> self.shift };
        self.pos += (64 - self.shift) as usize;
        self.v ^= payload << self.trailing;
        self.v
    }

    /// A change with a new window. `w` holds at least 11 bits from `pos`.
    #[inline(always)]
    fn new_window(&mut self, w: u64) -> Result<u64, TooWide> {
        let leading = (w >> 59) as u32;
        let significant = match (w >> 53) as u32 & 63 {
            0 => 64,
            n => n,
        };
        if leading + significant > 64 {
            return Err(TooWide(leading + significant));
        }
        self.shift = 64 - significant;
        self.trailing = 64 - leading - significant;
        self.v ^= (self.bits.full(self.pos + WINDOW_HEADER) >> self.shift) << self.trailing;
        self.pos += WINDOW_HEADER + significant as usize;
        Ok(self.v)
    }

    /// One value: `0` same, `10` the window as before, `110` a new window, `111` stale.
    #[inline(always)]
    fn value(&mut self) -> Result<u64, TooWide> {
        let w = self.bits.word(self.pos);
        if (w as i64) >= 0 {
            self.pos += 1;
            return Ok(self.v);
        }
        match w >> 61 {
            0b100 | 0b101 => {
                self.pos += 2;
                Ok(self.inside(w << 2))
            }
            0b110 => {
                self.pos += 3;
                self.new_window(w << 3)
            }
            _ => {
                self.pos += 3;
                Ok(STALE_NAN_BITS)
            }
        }
    }

    /// One sample from the third on.
    #[inline(always)]
    fn sample(&mut self) -> Result<(i64, u64), TooWide> {
        let w = self.bits.word(self.pos);
        let v = if (w as i64) >= 0 {
            self.pos += 1;
            self.v
        } else if w >> 62 == 0b10 {
            self.pos += 3;
            if w >> 61 & 1 == 0 { self.inside(w << 3) } else { self.new_window(w << 3)? }
        } else if w >> 59 == 0b11111 {
            self.pos += 5;
            STALE_NAN_BITS
        } else {
            // Signs by two's complement, unlike those of XOR.
            let dod = match w >> 60 {
                0b1100 | 0b1101 => {
                    self.pos += 16;
                    (w << 3) as i64 >> 51
                }
                0b1110 => {
                    self.pos += 24;
                    (w << 4) as i64 >> 44
                }
                _ => {
                    let dod = self.bits.full(self.pos + 5) as i64;
                    self.pos += 69;
                    dod
                }
            };
            self.delta = self.delta.wrapping_add(dod);
            self.t = self.t.wrapping_add(self.delta);
            return Ok((self.t, self.value()?));
        };
        self.t = self.t.wrapping_add(self.delta);
        Ok((self.t, v))
    }

    fn start_field(&mut self) -> i64 {
        let (field, pos) = varbit_int(self.bits, self.pos);
        self.pos = pos;
        field
    }
}

#[inline(always)]
fn decode_bits(
    bits: &impl Bits,
    chunk: &ChunkSlice<'_>,
    out: &mut Samples,
    mut starts: Option<&mut Vec<i64>>,
) -> Result<(), Fault> {
    let data = chunk.data();
    let mut head = Cursor::new(data, chunk.offset);
    let count = match head.take(2, "number of samples")? {
        [a, b] => usize::from(u16::from_be_bytes([*a, *b])),
        _ => 0,
    };
    let header = head.u8("start timestamps of an XOR2 chunk")?;
    // The first sample has a start; starts follow from sample `from` on, 0 is never.
    let (known, from) = (header & 0x80 != 0, usize::from(header & 0x7f));
    if count == 0 {
        return Ok(());
    }
    let t = head.varint("first timestamp")?;
    let v = head.u64("first value")?;
    let mut start = if known { t.wrapping_sub(head.varint("first start timestamp")?) } else { 0 };
    out.push(t, v);
    if let Some(starts) = &mut starts {
        starts.push(start);
    }
    if count == 1 {
        return Ok(());
    }
    let delta = head.uvarint("second timestamp")? as i64;
    let pos = (data.len() - head.left()) * 8;
    let end = data.len() * 8;
    // From the second sample on each takes at least a bit, and one for its start where it has one.
    let least = count - 1 + if from == 0 { 0 } else { count.saturating_sub(from) };
    if least > end - pos {
        let kind = FaultKind::Truncated { wanted: least.div_ceil(8) as u64, left: head.left() as u64 };
        return Err(Fault::new(chunk.offset, "samples of an XOR2 chunk", kind));
    }
    let v = if is_stale(v) { 0 } else { v };
    let mut reader = Reader { bits, pos, t: t.wrapping_add(delta), delta, v, shift: 0, trailing: 0 };
    // How much is missing is not known: what was read behind the end says nothing.
    let truncated = || {
        let kind = FaultKind::Truncated { wanted: data.len() as u64 + 1, left: data.len() as u64 };
        Fault::new(chunk.offset, "samples of an XOR2 chunk", kind)
    };
    let too_wide = |TooWide(found), pos: usize| {
        if pos + WINDOW_HEADER > end {
            return truncated();
        }
        let rule = "leading zeros and significant bits make at most 64";
        let kind = FaultKind::Malformed { found: u64::from(found), rule };
        Fault::new(chunk.offset + (pos / 8) as u64, "value window of an XOR2 chunk", kind)
    };
    match reader.value() {
        Ok(v) => out.push(reader.t, v),
        Err(e) => return Err(too_wide(e, reader.pos)),
    }
    // Starts are differences to the time of the sample before; the field is the change of that difference.
    let mut difference = 0i64;
    if from == 1 {
        difference = reader.start_field();
        start = t.wrapping_sub(difference);
    }
    if let Some(starts) = &mut starts {
        starts.push(start);
    }
    let first = out.len();
    out.ts.resize(first + count - 2, 0);
    out.bits.resize(first + count - 2, 0);
    let ts = out.ts.get_mut(first..).unwrap_or_default();
    let values = out.bits.get_mut(first..).unwrap_or_default();
    let mut rows = ts.iter_mut().zip(values);
    let plain = if from == 0 { count } else { from }.saturating_sub(2);
    for (t_out, v_out) in rows.by_ref().take(plain) {
        match reader.sample() {
            Ok(row) => (*t_out, *v_out) = row,
            Err(e) => return Err(too_wide(e, reader.pos)),
        }
    }
    if let Some(starts) = &mut starts {
        starts.resize(starts.len() + plain.min(count - 2), start);
    }
    for (t_out, v_out) in rows {
        let before = reader.t;
        match reader.sample() {
            Ok(row) => (*t_out, *v_out) = row,
            Err(e) => return Err(too_wide(e, reader.pos)),
        }
        difference = difference.wrapping_add(reader.start_field());
        if let Some(starts) = &mut starts {
            starts.push(before.wrapping_sub(difference));
        }
    }
    if reader.pos > end {
        return Err(truncated());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    /// Two samples at 0 and 0, both 1.0, then these bits.
    fn decoded(count: u8, header: u8, bits: &str) -> Result<(Samples, Vec<i64>), Fault> {
        let mut data = vec![0, count, header, 0];
        data.extend_from_slice(&1f64.to_bits().to_be_bytes());
        data.push(0);
        let bits: Vec<u8> = format!("0 {bits}").bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
        data.extend(bits.chunks(8).map(|c| (0..8).fold(0, |byte, i| byte << 1 | c.get(i).unwrap_or(&0))));
        let chunk = ChunkSlice { encoding: 4, window: &data, len: data.len(), offset: 0, crc: 0 };
        let (mut out, mut starts) = (Samples::default(), Vec::new());
        decode(&chunk, &mut out, Some(&mut starts))?;
        Ok((out, starts))
    }

    fn times(bits: &str) -> Vec<i64> {
        decoded(3, 0, bits).unwrap().0.ts
    }

    #[test]
    fn differences_are_twos_complement() {
        assert_eq!(times("110 0111111111111 0"), [0, 0, 4095]);
        assert_eq!(times("110 1000000000000 0"), [0, 0, -4096]);
        assert_eq!(times("1110 01111111111111111111 0"), [0, 0, 524_287]);
        assert_eq!(times("1110 10000000000000000000 0"), [0, 0, -524_288]);
        assert_eq!(times(&format!("11110 1{} 0", "0".repeat(63))), [0, 0, i64::MIN]);
    }

    #[test]
    fn a_stale_sample_leaves_the_value_that_changes_are_relative_to() {
        let one = 1f64.to_bits();
        // Stale, same, stale with a difference of 1 in time, one bit of a window of one, same.
        let bits = "11111 0 110 0000000000001 111 101 01011 000001 1 0";
        let (samples, _) = decoded(7, 0, bits).unwrap();
        let two_bits = one ^ 1 << 52;
        assert_eq!(samples.bits, [one, one, STALE_NAN_BITS, one, STALE_NAN_BITS, two_bits, two_bits]);
        assert_eq!(samples.ts, [0, 0, 0, 0, 1, 2, 3]);
    }

    #[test]
    fn after_a_stale_first_sample_the_base_is_zero() {
        let mut data = vec![0, 2, 0, 0];
        data.extend_from_slice(&STALE_NAN_BITS.to_be_bytes());
        data.extend_from_slice(&[5, 0]);
        let chunk = ChunkSlice { encoding: 4, window: &data, len: data.len(), offset: 0, crc: 0 };
        let mut out = Samples::default();
        decode(&chunk, &mut out, None).unwrap();
        assert_eq!(out, Samples::new(vec![0, 5], vec![STALE_NAN_BITS, 0]));
    }

    #[test]
    fn starts_carry_over_until_they_are_stored() {
        // From sample 3 on: minus 5 and the change to minus 4, relative to the time of the sample before.
        let bits = "110 0000000001010 0  0 110 111011  0 10 001";
        let (samples, starts) = decoded(5, 3, bits).unwrap();
        assert_eq!(samples.ts, [0, 0, 10, 20, 30]);
        assert_eq!(starts, [0, 0, 0, 15, 24]);
        // A chunk that ends before the sample with the first start.
        assert_eq!(decoded(3, 100, "0").unwrap().1, [0, 0, 0]);
    }

    #[test]
    fn every_cut_is_noticed() {
        let fault = decoded(200, 0, "0").unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Truncated { .. }), "{fault}");
        let fault = decoded(3, 0, "101 11111 111111 1").unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Malformed { found: 94, .. }), "{fault}");
        for (data, ok) in [(&[0, 0, 0][..], true), (&[0, 0], false), (&[0], false), (&[], false)] {
            let chunk = ChunkSlice { encoding: 4, window: data, len: data.len(), offset: 0, crc: 0 };
            assert_eq!(decode(&chunk, &mut Samples::default(), None).is_ok(), ok, "{data:?}");
        }
    }
}
