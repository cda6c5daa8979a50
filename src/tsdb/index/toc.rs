//! The table of contents: the last 52 bytes of an index.

use crate::raw::{Cursor, Fault, FaultKind, crc32c};

/// Bytes of the table: six offsets and a checksum.
const LENGTH: usize = 6 * 8 + 4;

/// Where each section starts. Label indices are dead sections: written until 3.13, read by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toc {
    /// Symbol table.
    pub symbols: u64,
    /// First series.
    pub series: u64,
    /// Label indices (dead).
    pub label_indices: u64,
    /// Table of label indices (dead).
    pub label_index_table: u64,
    /// First postings list.
    pub postings: u64,
    /// Table of postings lists.
    pub postings_table: u64,
}

impl Toc {
    /// Reads the trailer and checks that every offset lies before it.
    pub fn parse(bytes: &[u8]) -> Result<Toc, Fault> {
        let Some(trailer) = bytes.len().checked_sub(LENGTH).and_then(|start| bytes.get(start..)) else {
            let kind = FaultKind::Truncated { wanted: LENGTH as u64, left: bytes.len() as u64 };
            return Err(Fault::new(0, "index table of contents", kind));
        };
        let start = (bytes.len() - LENGTH) as u64;
        let mut cursor = Cursor::new(trailer, start);
        let body = cursor.take(48, "index table of contents")?;
        let stored = cursor.u32("index table of contents")?;
        let computed = crc32c(body);
        if stored != computed {
            let kind = FaultKind::Checksum { stored, computed };
            return Err(Fault::new(start, "index table of contents", kind));
        }
        let mut fields = Cursor::new(body, start);
        let mut next = |field| -> Result<u64, Fault> {
            let offset = fields.u64(field)?;
            if offset > start {
                let kind = FaultKind::Malformed { found: offset, rule: "a section starts before the trailer" };
                return Err(Fault::new(start, field, kind));
            }
            Ok(offset)
        };
        Ok(Toc {
            symbols: next("offset of the symbols")?,
            series: next("offset of the series")?,
            label_indices: next("offset of the label indices")?,
            label_index_table: next("offset of the label index table")?,
            postings: next("offset of the postings")?,
            postings_table: next("offset of the postings table")?,
        })
    }

    /// Where the table itself starts in a file of that length.
    pub fn start(file_len: u64) -> u64 {
        file_len.saturating_sub(LENGTH as u64)
    }

    /// Where the series section ends: at the next section of the file.
    pub fn end_of_series(&self, file_len: u64) -> u64 {
        [self.symbols, self.label_indices, self.label_index_table, self.postings, self.postings_table]
            .into_iter()
            .filter(|o| *o > self.series)
            .min()
            .unwrap_or(file_len.saturating_sub(LENGTH as u64))
    }
}
