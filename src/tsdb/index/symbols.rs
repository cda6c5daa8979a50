//! The symbol table: every string of the index once.

use super::{IndexVersion, section};
use crate::raw::{Cursor, Fault, FaultKind, FileBytes};

/// Remember the place of every n-th symbol; the others are reached by walking.
const STRIDE: usize = 8;

/// Symbols by reference: an ordinal in versions 2 and 3, an absolute byte offset in version 1.
#[derive(Debug)]
pub(super) struct Symbols {
    start: usize,
    end: usize,
    count: u64,
    sampled: Vec<u32>,
    by_offset: bool,
}

impl Symbols {
    pub(super) fn parse(bytes: &FileBytes, offset: u64, version: IndexVersion) -> Result<Symbols, Fault> {
        let mut cursor = section(bytes, offset, "symbol table")?;
        let count = u64::from(cursor.u32("number of symbols")?);
        cursor.bounded(count, 1, "number of symbols")?;
        let start = cursor.offset() as usize;
        let end = start + cursor.left();
        let mut sampled = Vec::with_capacity(count as usize / STRIDE + 1);
        for i in 0..count {
            if (i as usize).is_multiple_of(STRIDE) {
                // The section's length is a u32, so a place inside fits.
                sampled.push((cursor.offset() as usize - start) as u32);
            }
            cursor.string("symbol")?;
        }
        Ok(Symbols { start, end, count, sampled, by_offset: version == IndexVersion::V1 })
    }

    pub(super) fn get<'a>(&self, bytes: &'a [u8], reference: u64) -> Result<&'a [u8], Fault> {
        let unknown = |rule| {
            Err(Fault::new(self.start as u64, "symbol reference", FaultKind::Malformed { found: reference, rule }))
        };
        let table = bytes.get(self.start..self.end).unwrap_or_default();
        if self.by_offset {
            let Some(rest) = reference.checked_sub(self.start as u64).and_then(|o| table.get(o as usize..)) else {
                return unknown("it must lie inside the symbol table");
            };
            return Cursor::new(rest, reference).string("symbol");
        }
        let Some(place) = self.sampled.get(reference as usize / STRIDE).filter(|_| reference < self.count) else {
            return unknown("it must be below the number of symbols");
        };
        let mut cursor = Cursor::new(table.get(*place as usize..).unwrap_or_default(), self.start as u64);
        for _ in 0..reference as usize % STRIDE {
            cursor.string("symbol")?;
        }
        cursor.string("symbol")
    }
}
