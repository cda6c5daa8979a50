//! The parts of an index one by one, none of them trusted for the sake of another: what a check walks.
//!
//! Readers take [`super::Index`], which refuses an index whose table of contents or symbols are damaged.

use std::ops::Range;

use super::series::{content, entry_length, next_chunk};
use super::{ChunkMeta, IndexVersion, MAGIC, section};
use crate::raw::{Cursor, Fault, FaultKind};

pub use super::postings::TableEntry;

/// Bytes of the header: magic and version.
pub const HEADER_LEN: u64 = 5;

/// The version in the header. `claims_v2` is set for blocks of meta version 2, whose header byte says 1 although the
/// layout is that of version 2 (a bug of Prometheus 2.1, `tsdb/repair.go`).
pub fn header(bytes: &[u8], claims_v2: bool) -> Result<IndexVersion, Fault> {
    let mut header = Cursor::new(bytes, 0);
    let magic = header.u32("index magic")?;
    if magic != MAGIC {
        let kind = FaultKind::Malformed { found: u64::from(magic), rule: "it must be 0xBAAAD700" };
        return Err(Fault::new(0, "index magic", kind));
    }
    match header.u8("index version")? {
        1 if claims_v2 => Ok(IndexVersion::V2),
        1 => Ok(IndexVersion::V1),
        2 => Ok(IndexVersion::V2),
        3 => Ok(IndexVersion::V3),
        n => Err(Fault::new(4, "index version", FaultKind::Unsupported { found: u64::from(n) })),
    }
}

/// Calls `visit` with every symbol and its byte offset in the file. Gives the bytes that the table takes.
pub fn symbols<'a>(bytes: &'a [u8], offset: u64, mut visit: impl FnMut(u64, &'a [u8])) -> Result<Range<u64>, Fault> {
    let mut cursor = section(bytes, offset, "symbol table")?;
    let end = cursor.offset() + cursor.left() as u64 + 4;
    let count = u64::from(cursor.u32("number of symbols")?);
    cursor.bounded(count, 1, "number of symbols")?;
    for _ in 0..count {
        let at = cursor.offset();
        visit(at, cursor.string("symbol")?);
    }
    if cursor.left() > 0 {
        return Err(cursor.malformed("symbol table", cursor.left() as u64, "nothing follows the last symbol"));
    }
    Ok(offset..end)
}

/// A series entry as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawSeries {
    /// The bytes that it takes in the file, checksum included.
    pub extent: Range<u64>,
    /// References to the symbols of each name and value, in stored order.
    pub labels: Vec<(u64, u64)>,
    /// Its chunks in stored order.
    pub chunks: Vec<ChunkMeta>,
    /// Bytes of the content that no field takes.
    pub left: u64,
}

impl RawSeries {
    /// Reads the entry at `offset`, its checksum verified, into this one, whatever it held before.
    pub fn read(&mut self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        self.labels.clear();
        self.chunks.clear();
        let mut c = content(bytes, offset)?;
        self.extent = offset..c.offset() + c.left() as u64 + 4;
        let count = c.uvarint("number of labels")?;
        for _ in 0..c.bounded(count, 2, "number of labels")? {
            let name = c.uvarint("label name")?;
            self.labels.push((name, c.uvarint("label value")?));
        }
        let count = c.uvarint("number of chunks")?;
        for _ in 0..c.bounded(count, 3, "number of chunks")? {
            let chunk = next_chunk(&mut c, self.chunks.last())?;
            self.chunks.push(chunk);
        }
        self.left = c.left() as u64;
        Ok(())
    }
}

/// The length of the entry at `offset` as it claims, varint and checksum included; 0 where padding starts.
pub fn claimed_length(bytes: &[u8], offset: u64) -> Result<u64, Fault> {
    entry_length(bytes, offset)
}

/// Calls `visit` with every entry of the postings table. Gives the bytes that the table takes.
pub fn postings_table<'a>(
    bytes: &'a [u8],
    offset: u64,
    mut visit: impl FnMut(TableEntry<'a>),
) -> Result<Range<u64>, Fault> {
    let mut cursor = section(bytes, offset, "postings table")?;
    let end = cursor.offset() + cursor.left() as u64 + 4;
    let count = u64::from(cursor.u32("number of postings lists")?);
    cursor.bounded(count, 4, "number of postings lists")?;
    for _ in 0..count {
        visit(super::postings::entry(&mut cursor)?);
    }
    if cursor.left() > 0 {
        return Err(cursor.malformed("postings table", cursor.left() as u64, "nothing follows its last entry"));
    }
    Ok(offset..end)
}

/// The references in the postings list at `offset`, its checksum verified, and the bytes that the list takes.
pub fn postings_list(
    bytes: &[u8],
    offset: u64,
) -> Result<(impl ExactSizeIterator<Item = u32> + '_, Range<u64>), Fault> {
    let list = super::postings::postings_list(bytes, offset)?;
    let end = offset + 12 + 4 * list.len() as u64;
    Ok((list, offset..end))
}
