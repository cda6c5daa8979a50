//! [`Cursor`]: reads big-endian integers and varints from a slice and never looks outside it.
//!
//! Lengths from the file are compared in `u64` before anything is narrowed (`docs/format/README.md`, primitives).

use crate::error::ErrorKind;

/// What went wrong while decoding; small and `Copy`, turned into text only when somebody prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Byte offset, relative to the start of the file (or of the slice that the cursor was made from).
    pub offset: u64,
    /// The field being read.
    pub field: &'static str,
    /// What about it.
    pub kind: FaultKind,
}

/// The kinds of [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The bytes end first.
    Truncated {
        /// Bytes that the field needs.
        wanted: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A varint is longer than 10 bytes or its value wider than 64 bits.
    VarintOverflow,
    /// The stored checksum differs from the computed one.
    Checksum {
        /// The checksum in the file.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The value breaks a rule.
    Malformed {
        /// The value found.
        found: u64,
        /// The rule.
        rule: &'static str,
    },
    /// A version or encoding that is not read by this release.
    Unsupported {
        /// The value found.
        found: u64,
    },
}

impl Fault {
    /// A fault at `offset` in `field`.
    pub fn new(offset: u64, field: &'static str, kind: FaultKind) -> Fault {
        Fault { offset, field, kind }
    }

    /// The same fault with its offset moved by `base`, from a slice to its file.
    #[must_use]
    pub fn shifted(mut self, base: u64) -> Fault {
        self.offset = self.offset.wrapping_add(base);
        self
    }

    /// The kind as used in errors and losses.
    pub fn error_kind(&self) -> ErrorKind {
        match self.kind {
            FaultKind::Truncated { .. } => ErrorKind::Truncated,
            FaultKind::Checksum { .. } => ErrorKind::Checksum,
            FaultKind::Unsupported { .. } => ErrorKind::Unsupported,
            FaultKind::VarintOverflow | FaultKind::Malformed { .. } => ErrorKind::Malformed,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = self.field;
        match self.kind {
            FaultKind::Truncated { wanted, left } => {
                write!(f, "{field}: cut off, {wanted} bytes expected and {left} left")
            }
            FaultKind::VarintOverflow => write!(f, "{field}: a varint of more than 64 bits"),
            FaultKind::Checksum { stored, computed } => {
                write!(f, "{field}: checksum {stored:08x} stored, {computed:08x} computed")
            }
            FaultKind::Malformed { found, rule } => write!(f, "{field}: found {found}, but {rule}"),
            FaultKind::Unsupported { found } => write!(f, "{field}: {found} is not supported"),
        }
    }
}

/// A position in a slice. Every read checks the bounds and names the field in its fault.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`; `base` is where they begin in the file and only used in faults.
    pub fn new(bytes: &'a [u8], base: u64) -> Cursor<'a> {
        Cursor { bytes, at: 0, base }
    }

    /// The offset in the file of the next byte.
    pub fn offset(&self) -> u64 {
        self.base.wrapping_add(self.at as u64)
    }

    /// The number of bytes left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn short(&self, field: &'static str, wanted: u64) -> Fault {
        Fault::new(self.offset(), field, FaultKind::Truncated { wanted, left: self.left() as u64 })
    }

    /// A fault that the value just read breaks a rule.
    pub fn malformed(&self, field: &'static str, found: u64, rule: &'static str) -> Fault {
        Fault::new(self.offset(), field, FaultKind::Malformed { found, rule })
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: u64, field: &'static str) -> Result<&'a [u8], Fault> {
        if len > self.left() as u64 {
            return Err(self.short(field, len));
        }
        let end = self.at + len as usize;
        let taken = self.bytes.get(self.at..end).unwrap_or_default();
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Fault> {
        match self.rest().first_chunk::<N>() {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(self.short(field, N as u64)),
        }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Fault> {
        self.array::<1>(field).map(|[b]| b)
    }

    /// A big-endian 32-bit integer.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Fault> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A big-endian 64-bit integer.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Fault> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// An unsigned LEB128 varint of at most 10 bytes and 64 bits; overlong forms are legal.
    #[inline]
    pub fn uvarint(&mut self, field: &'static str) -> Result<u64, Fault> {
        let mut value = 0u64;
        for (i, byte) in self.rest().iter().copied().enumerate().take(10) {
            if i == 9 && byte > 1 {
                return Err(Fault::new(self.offset(), field, FaultKind::VarintOverflow));
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        if self.left() >= 10 {
            return Err(Fault::new(self.offset(), field, FaultKind::VarintOverflow));
        }
        Err(self.short(field, self.left() as u64 + 1))
    }

    /// A zigzag varint.
    #[inline]
    pub fn varint(&mut self, field: &'static str) -> Result<i64, Fault> {
        self.uvarint(field).map(|u| ((u >> 1) as i64) ^ -((u & 1) as i64))
    }

    /// A byte string with a varint length before it.
    #[inline]
    pub fn string(&mut self, field: &'static str) -> Result<&'a [u8], Fault> {
        let len = self.uvarint(field)?;
        self.take(len, field)
    }

    /// A count of items that take at least `least` bytes each; refused when they cannot fit in what is left.
    pub fn bounded(&self, count: u64, least: u64, field: &'static str) -> Result<usize, Fault> {
        match count.checked_mul(least) {
            Some(need) if need <= self.left() as u64 => Ok(count as usize),
            Some(need) => Err(self.short(field, need)),
            None => Err(self.short(field, u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_at_their_limits() {
        let read = |b: &[u8]| Cursor::new(b, 0).uvarint("x").ok();
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some(u64::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
        assert_eq!(read(&[0x80, 0x00]), Some(0), "overlong is legal");
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x80, 0x80]), None);
        let signed = |b: &[u8]| Cursor::new(b, 0).varint("x").ok();
        assert_eq!(signed(&[0x01]), Some(-1));
        assert_eq!(signed(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some(i64::MIN));
    }

    #[test]
    fn a_length_beyond_the_end_is_a_fault_with_its_place() {
        let mut c = Cursor::new(&[0xff, 0xff, 0x03, 1, 2], 100);
        let fault = c.string("symbol").err();
        assert_eq!(fault, Some(Fault::new(103, "symbol", FaultKind::Truncated { wanted: 65535, left: 2 })));
    }
}
