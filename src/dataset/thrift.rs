//! Walking over Thrift's compact protocol, which Parquet's footers and page headers are in, without building anything of
//! it (`apache/thrift: doc/specs/thrift-compact-protocol.md`): so it is known how much they claim before the Parquet
//! library believes them.

/// Structures in structures, at most. A footer has six levels.
const MOST_LEVELS: u8 = 16;

/// The types of the compact protocol that Parquet uses.
pub(super) mod kind {
    pub(in crate::dataset) const TRUE: u8 = 1;
    pub(in crate::dataset) const FALSE: u8 = 2;
    pub(in crate::dataset) const BYTE: u8 = 3;
    pub(in crate::dataset) const I16: u8 = 4;
    pub(in crate::dataset) const I32: u8 = 5;
    pub(in crate::dataset) const I64: u8 = 6;
    pub(in crate::dataset) const DOUBLE: u8 = 7;
    pub(in crate::dataset) const BINARY: u8 = 8;
    pub(in crate::dataset) const LIST: u8 = 9;
    pub(in crate::dataset) const SET: u8 = 10;
    pub(in crate::dataset) const STRUCT: u8 = 12;
}

/// A position in some bytes. Everything is `None` where they end early or are no Thrift; a list claims no more elements
/// than there are bytes left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Walk<'a> {
        Walk { bytes, at: 0 }
    }

    /// How many bytes were walked over.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed integer of any width.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Visits the fields of a structure in their order: `visit` gets the number and the type of each, and walks over its
    /// value, or says with `false` that it did not.
    pub(super) fn fields(&mut self, visit: impl FnMut(&mut Walk<'a>, i64, u8) -> Option<bool>) -> Option<()> {
        self.fields_at(0, visit)
    }

    fn fields_at(&mut self, level: u8, mut visit: impl FnMut(&mut Walk<'a>, i64, u8) -> Option<bool>) -> Option<()> {
        let mut id = 0i64;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            id = match header >> 4 {
                0 => self.integer()?,
                delta => id.checked_add(i64::from(delta))?,
            };
            let kind = header & 0x0f;
            if !visit(self, id, kind)? {
                self.skip(kind, level + 1)?;
            }
        }
    }

    /// The number of elements of a list, and their type.
    pub(super) fn list(&mut self) -> Option<(usize, u8)> {
        let header = self.byte()?;
        let size = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            size => usize::from(size),
        };
        (size <= self.bytes.len() - self.at).then_some((size, header & 0x0f))
    }

    /// Walks over a value in `level` others.
    fn skip(&mut self, kind: u8, level: u8) -> Option<()> {
        if level > MOST_LEVELS {
            return None;
        }
        match kind {
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.advance(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.advance(8),
            kind::BINARY => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.advance(length)
            }
            kind::LIST | kind::SET => {
                let (size, kind) = self.list()?;
                // In a list a truth value has a byte.
                let kind = if matches!(kind, kind::TRUE | kind::FALSE) { kind::BYTE } else { kind };
                (0..size).try_for_each(|_| self.skip(kind, level + 1))
            }
            kind::STRUCT => self.fields_at(level, |_, _, _| Some(false)),
            // Parquet has no maps.
            _ => None,
        }
    }

    fn advance(&mut self, length: usize) -> Option<()> {
        self.at = self.at.checked_add(length).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lists_and_levels_are_walked_over() {
        // Field 1: i32 -3; field 2: a list of two structures, each with a string; field 22: true.
        let bytes = [0x15, 5, 0x19, 0x2c, 0x18, 2, b'a', b'b', 0, 0x18, 1, b'c', 0, 0x01, 44, 0];
        let mut seen = Vec::new();
        let mut walk = Walk::new(&bytes);
        let walked = walk.fields(|walk, id, kind| {
            seen.push((id, kind));
            if id == 1 {
                assert_eq!(walk.integer(), Some(-3));
            }
            Some(id == 1)
        });
        assert_eq!((walked, walk.at()), (Some(()), bytes.len()));
        assert_eq!(seen, [(1, kind::I32), (2, kind::LIST), (22, kind::TRUE)]);
        for cut in 0..bytes.len() {
            assert_eq!(Walk::new(&bytes[..cut]).skip(kind::STRUCT, 0), None, "cut at {cut}");
        }
    }

    #[test]
    fn what_claims_more_than_there_is_ends_the_walk() {
        assert_eq!(Walk::new(&[0xf8, 0xff, 0xff, 0xff, 0xff, 0x7f]).list(), None);
        assert_eq!(Walk::new(&[0x1c; 64]).skip(kind::STRUCT, 0), None);
        let long = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(Walk::new(&long).skip(kind::STRUCT, 0), None);
    }
}
