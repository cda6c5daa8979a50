//! Bits of a chunk, most significant first, for the encodings whose fields stand at any bit.
//!
//! Two ways to read them. [`Bits`] is for floats: the decoder keeps a position, loads never fail, and the position is
//! compared with the end of the chunk once ([`super::xor`] says why). [`BitCursor`] is for histograms: every read
//! checks the end and names its field.

use crate::raw::{Fault, FaultKind};

/// Bytes of a window that positions may address; larger chunks take the checked reader.
pub(super) const WINDOW: usize = 2048;
/// The window and what a load at its last byte may touch.
pub(super) const PADDED: usize = WINDOW + 16;

/// Where bits come from. Positions count bits from the start of the chunk's data.
pub(super) trait Bits {
    /// At least 57 bits from `pos`, left-aligned.
    fn word(&self, pos: usize) -> u64;
    /// Exactly 64 bits from `pos`.
    fn full(&self, pos: usize) -> u64;
}

/// A chunk and what follows it in its segment.
pub(super) struct Window<'a>(pub(super) &'a [u8; PADDED]);

impl Window<'_> {
    #[inline(always)]
    fn load(&self, byte: usize) -> (u64, u8) {
        let byte = byte & (WINDOW - 1);
        // The mask keeps `byte` below 2048, so the nine bytes behind it are inside the 2064.
        match self.0.get(byte..byte + 9).and_then(|s| s.first_chunk::<9>()) {
            Some([a, b, c, d, e, f, g, h, i]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), *i),
            None => (0, 0),
        }
    }
}

impl Bits for Window<'_> {
    #[inline(always)]
    fn word(&self, pos: usize) -> u64 {
        self.load(pos >> 3).0 << (pos & 7)
    }

    #[inline(always)]
    fn full(&self, pos: usize) -> u64 {
        let (word, next) = self.load(pos >> 3);
        word << (pos & 7) | u64::from(next) >> (8 - (pos & 7))
    }
}

/// Any slice; bits beyond its end are zero.
pub(super) struct Checked<'a>(pub(super) &'a [u8]);

impl Bits for Checked<'_> {
    #[inline]
    fn word(&self, pos: usize) -> u64 {
        self.full(pos)
    }

    #[inline]
    fn full(&self, pos: usize) -> u64 {
        let rest = self.0.get(pos >> 3..).unwrap_or_default();
        let mut nine = [0u8; 9];
        match rest.first_chunk::<9>() {
            Some(whole) => nine = *whole,
            None => {
                for (to, from) in nine.iter_mut().zip(rest) {
                    *to = *from;
                }
            }
        }
        let [a, b, c, d, e, f, g, h, i] = nine;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) << (pos & 7) | u64::from(i) >> (8 - (pos & 7))
    }
}

/// The sign rule of `dod` fields: raw `p` of `n` bits above 2^(n-1) stands for `p - 2^n`, so the range is
/// -(2^(n-1) - 1) to +2^(n-1). This is not two's complement, except that 64 bits are.
#[inline(always)]
fn signed_dod(raw: u64, bits: u32) -> i64 {
    if bits < 64 && raw > 1 << (bits - 1) { raw.wrapping_sub(1 << bits) as i64 } else { raw as i64 }
}

/// The bits of a varbit number's prefix and of its payload, by the number of ones at its start (more than 8 are 8).
#[inline(always)]
fn varbit_widths(ones: u32) -> (u32, u32) {
    match ones {
        0 => (1, 0),
        1 => (2, 3),
        2 => (3, 6),
        3 => (4, 9),
        4 => (5, 12),
        5 => (6, 18),
        6 => (7, 25),
        7 => (8, 56),
        _ => (8, 64),
    }
}

/// A signed varbit number at `pos`, and the position behind it.
#[inline(always)]
pub(super) fn varbit_int(bits: &impl Bits, pos: usize) -> (i64, usize) {
    let word = bits.full(pos);
    let (prefix, width) = varbit_widths(word.leading_ones());
    let value = match width {
        0 => 0,
        64 => bits.full(pos + 8) as i64,
        n => signed_dod(word << prefix >> (64 - n), n),
    };
    (value, pos + (prefix + width) as usize)
}

/// A position in a chunk's data that never passes its end.
#[derive(Debug, Clone)]
pub(super) struct BitCursor<'a> {
    bytes: &'a [u8],
    /// The next bit.
    pos: usize,
    /// Where the bytes begin in the file, for faults.
    base: u64,
}

impl<'a> BitCursor<'a> {
    /// A cursor at the start of `bytes`, which begin at `base` in their file.
    pub(super) fn new(bytes: &'a [u8], base: u64) -> BitCursor<'a> {
        BitCursor { bytes, pos: 0, base }
    }

    /// The number of bits left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.pos
    }

    fn offset(&self) -> u64 {
        self.base.wrapping_add((self.pos / 8) as u64)
    }

    /// A fault that `need` bits do not fit in what is left.
    #[cold]
    pub(super) fn short(&self, field: &'static str, need: u64) -> Fault {
        let kind = FaultKind::Truncated { wanted: need.div_ceil(8), left: self.left() as u64 / 8 };
        Fault::new(self.offset(), field, kind)
    }

    /// A fault that what was just read breaks a rule.
    #[cold]
    pub(super) fn malformed(&self, field: &'static str, found: u64, rule: &'static str) -> Fault {
        Fault::new(self.offset(), field, FaultKind::Malformed { found, rule })
    }

    /// A fault that what was just read is of a kind that is not known.
    #[cold]
    pub(super) fn unsupported(&self, field: &'static str, found: u64) -> Fault {
        Fault::new(self.offset(), field, FaultKind::Unsupported { found })
    }

    /// The next 64 bits, zeros beyond the end.
    #[inline]
    fn peek(&self) -> u64 {
        Checked(self.bytes).full(self.pos)
    }

    #[inline]
    fn skip(&mut self, n: u32, field: &'static str) -> Result<(), Fault> {
        if n as usize > self.left() {
            return Err(self.short(field, u64::from(n)));
        }
        self.pos += n as usize;
        Ok(())
    }

    /// The next `n` bits, 1 to 64.
    #[inline]
    pub(super) fn bits(&mut self, n: u32, field: &'static str) -> Result<u64, Fault> {
        let value = self.peek() >> (64 - n);
        self.skip(n, field)?;
        Ok(value)
    }

    /// The payload of a varbit number and its width.
    #[inline]
    fn varbit(&mut self, field: &'static str) -> Result<(u64, u32), Fault> {
        let word = self.peek();
        let (prefix, width) = varbit_widths(word.leading_ones());
        if width == 64 {
            self.skip(prefix, field)?;
            return Ok((self.bits(64, field)?, 64));
        }
        self.skip(prefix + width, field)?;
        Ok((if width == 0 { 0 } else { word << prefix >> (64 - width) }, width))
    }

    /// An unsigned varbit number.
    #[inline]
    pub(super) fn varbit_uint(&mut self, field: &'static str) -> Result<u64, Fault> {
        Ok(self.varbit(field)?.0)
    }

    /// A signed varbit number, by the dod rule.
    #[inline]
    pub(super) fn varbit_int(&mut self, field: &'static str) -> Result<i64, Fault> {
        let (raw, width) = self.varbit(field)?;
        Ok(if width == 0 { 0 } else { signed_dod(raw, width) })
    }

    /// A zigzag varint whose bytes may stand at any bit.
    pub(super) fn varint(&mut self, field: &'static str) -> Result<i64, Fault> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = self.bits(8, field)?;
            if i == 9 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Fault::new(self.offset(), field, FaultKind::VarintOverflow))
    }
}

/// A value stored as XOR with the one before it, and the window that its changes use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Xored {
    /// The value's bits.
    pub(super) value: u64,
    /// Changes have 64 - `shift` bits and stand `trailing` bits from the right.
    shift: u8,
    trailing: u8,
}

impl Xored {
    /// A value as it stands in a first sample; the window is 64 bits until one is stored.
    pub(super) fn new(value: u64) -> Xored {
        Xored { value, shift: 0, trailing: 0 }
    }

    /// The next value: `0` the same, `10` the window as before, `11` a new one.
    #[inline]
    pub(super) fn next(&mut self, bits: &mut BitCursor<'_>, field: &'static str) -> Result<(), Fault> {
        if bits.bits(1, field)? == 0 {
            return Ok(());
        }
        if bits.bits(1, field)? == 1 {
            let leading = bits.bits(5, field)? as u32;
            let significant = match bits.bits(6, field)? as u32 {
                0 => 64,
                n => n,
            };
            if leading + significant > 64 {
                let found = u64::from(leading + significant);
                return Err(bits.malformed(field, found, "leading zeros and significant bits make at most 64"));
            }
            self.shift = (64 - significant) as u8;
            self.trailing = (64 - leading - significant) as u8;
        }
        self.value ^= bits.bits(64 - u32::from(self.shift), field)? << self.trailing;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    /// The bits of a text of 0 and 1, filled up with ones to whole bytes: what is behind the end must not matter.
    fn packed(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
        bits.chunks(8).map(|c| (0..8).fold(0, |byte, i| byte << 1 | c.get(i).unwrap_or(&1))).collect()
    }

    #[test]
    fn varbit_numbers_at_the_edges_of_every_width() {
        let ones = |n: usize| "1".repeat(n);
        let zeros = |n: usize| "0".repeat(n);
        for (k, width) in [(1, 3), (2, 6), (3, 9), (4, 12), (5, 18), (6, 25), (7, 56)] {
            let half = 1i64 << (width - 1);
            let prefix = format!("{}0", ones(k));
            for (payload, signed, unsigned) in [
                (format!("1{}", zeros(width - 1)), half, half as u64),
                (format!("1{}1", zeros(width - 2)), 1 - half, half as u64 + 1),
                (ones(width), -1, (1 << width) - 1),
                (zeros(width), 0, 0),
            ] {
                let data = packed(&format!("{prefix} {payload}"));
                assert_eq!(BitCursor::new(&data, 0).varbit_int("x"), Ok(signed), "{prefix} {payload}");
                assert_eq!(BitCursor::new(&data, 0).varbit_uint("x"), Ok(unsigned), "{prefix} {payload}");
                assert_eq!(varbit_int(&Checked(&data), 0), (signed, k + 1 + width));
                // Behind seven other bits, and cut short.
                let behind = packed(&format!("0101010 {prefix} {payload}"));
                let mut cursor = BitCursor::new(&behind, 0);
                assert_eq!(cursor.bits(7, "x"), Ok(0b10_1010));
                assert_eq!(cursor.varbit_int("x"), Ok(signed));
                assert_eq!(varbit_int(&Checked(&behind), 7), (signed, 7 + k + 1 + width));
                let cut = &data[..(k + width) / 8];
                assert!(BitCursor::new(cut, 0).varbit_int("x").is_err());
            }
        }
        let wide = packed(&format!("{} 1{}", ones(8), zeros(63)));
        assert_eq!(BitCursor::new(&wide, 0).varbit_int("x"), Ok(i64::MIN));
        assert_eq!(BitCursor::new(&wide, 0).varbit_uint("x"), Ok(1 << 63));
        assert_eq!(varbit_int(&Checked(&wide), 0), (i64::MIN, 72));
        assert_eq!(BitCursor::new(&[0x7f], 0).varbit_int("x"), Ok(0));
        assert!(BitCursor::new(&[], 0).varbit_uint("x").is_err());
    }

    #[test]
    fn varints_stand_at_any_bit() {
        let min = [vec![0xff; 9], vec![1]].concat();
        for (bytes, value) in [(vec![0x01], -1), (vec![0x80, 0x01], 64), (min, i64::MIN)] {
            for shift in 0..8 {
                let text: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
                let data = packed(&format!("{}{text}", "0".repeat(shift)));
                let mut cursor = BitCursor::new(&data, 0);
                if shift > 0 {
                    assert_eq!(cursor.bits(shift as u32, "x"), Ok(0));
                }
                assert_eq!(cursor.varint("x"), Ok(value));
            }
        }
        let over = [vec![0xff; 9], vec![2]].concat();
        let fault = BitCursor::new(&over, 5).varint("x").unwrap_err();
        assert_eq!(fault.kind, FaultKind::VarintOverflow);
        let fault = BitCursor::new(&[0x80], 5).varint("x").unwrap_err();
        assert_eq!(fault, Fault::new(6, "x", FaultKind::Truncated { wanted: 1, left: 0 }));
    }
}
