//! Series entries: labels by symbol, chunks with their ranges and places.

use super::{IndexVersion, Symbols, at};
use crate::labels::{Label, Labels};
use crate::raw::{Cursor, Fault, FaultKind, crc32c};
use crate::time::Interval;
use crate::tsdb::chunks::BlockChunkRef;

/// How a block's index names a series: offset / 16 in versions 2 and 3, the byte offset in version 1.
/// Unrelated to the references of the head and of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSeriesRef(pub u64);

impl BlockSeriesRef {
    /// The reference of the entry at a byte offset.
    pub fn from_offset(offset: u64, version: IndexVersion) -> BlockSeriesRef {
        BlockSeriesRef(if version == IndexVersion::V1 { offset } else { offset / 16 })
    }

    /// The byte offset of the entry that it names.
    pub fn offset(self, version: IndexVersion) -> u64 {
        if version == IndexVersion::V1 { self.0 } else { self.0.wrapping_mul(16) }
    }
}

/// Where a chunk is and which times it covers, as the index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Place in the segments.
    pub reference: BlockChunkRef,
    /// First sample's time.
    pub min_time_ms: i64,
    /// Last sample's time (included).
    pub max_time_ms: i64,
}

impl ChunkMeta {
    /// The chunk's times, both ends included.
    pub fn interval(&self) -> Interval {
        Interval::new(self.min_time_ms, self.max_time_ms)
    }

    /// The same with its ends in order: a hostile index may say that a chunk ends before it starts.
    pub fn sound_interval(&self) -> Interval {
        Interval::new(self.min_time_ms.min(self.max_time_ms), self.max_time_ms.max(self.min_time_ms))
    }
}

/// One series of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesEntry {
    /// The series' reference in this block.
    pub reference: BlockSeriesRef,
    /// Byte offset of the entry in the index.
    pub offset: u64,
    /// Its identity.
    pub labels: Labels,
    /// The labels were unsorted, repeated or empty, which no Prometheus writes.
    pub odd_labels: bool,
    /// Its chunks in the order of the index.
    pub chunks: Vec<ChunkMeta>,
}

/// The length of the whole entry at `offset`: varint, content and checksum; 0 where padding starts.
pub(super) fn entry_length(bytes: &[u8], offset: u64) -> Result<u64, Fault> {
    let mut cursor = at(bytes, offset, "series")?;
    let length = cursor.uvarint("length of a series")?;
    if length == 0 {
        return Ok(0);
    }
    let head = cursor.offset() - offset;
    if length > cursor.left() as u64 {
        let kind = FaultKind::Truncated { wanted: length, left: cursor.left() as u64 };
        return Err(Fault::new(offset, "series", kind));
    }
    Ok(head + length + 4)
}

/// More label bytes than this in one series are refused: entries name strings by number, so a small file could
/// otherwise ask for any amount of memory.
const MAX_LABEL_BYTES: usize = 1 << 20;

/// The content of the entry at `offset`, checksum verified.
pub(super) fn content(bytes: &[u8], offset: u64) -> Result<Cursor<'_>, Fault> {
    let mut outer = at(bytes, offset, "series")?;
    let length = outer.uvarint("length of a series")?;
    let content_at = outer.offset();
    let content = outer.take(length, "series")?;
    let stored = outer.u32("checksum of a series")?;
    let computed = crc32c(content);
    if stored != computed {
        return Err(Fault::new(offset, "series", FaultKind::Checksum { stored, computed }));
    }
    Ok(Cursor::new(content, content_at))
}

/// The next chunk of an entry, given the one before it. Overlapping chunks appear as huge differences that only
/// wrapping arithmetic brings back.
pub(super) fn next_chunk(c: &mut Cursor<'_>, last: Option<&ChunkMeta>) -> Result<ChunkMeta, Fault> {
    let min = match last {
        None => c.varint("start of a chunk")?,
        Some(last) => last.max_time_ms.wrapping_add_unsigned(c.uvarint("start of a chunk")?),
    };
    let max = min.wrapping_add_unsigned(c.uvarint("length of a chunk in time")?);
    let reference = match last {
        None => c.uvarint("chunk reference")?,
        Some(last) => last.reference.0.wrapping_add_signed(c.varint("chunk reference")?),
    };
    Ok(ChunkMeta { min_time_ms: min, max_time_ms: max, reference: BlockChunkRef(reference) })
}

/// A series entry without its labels: what a walk over the whole index needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesOutline {
    /// The series' reference in this block.
    pub reference: BlockSeriesRef,
    /// The number of chunks.
    pub chunks: u64,
    /// From the earliest start to the latest end of a chunk; `None` without chunks.
    pub interval: Option<Interval>,
}

impl SeriesOutline {
    pub(super) fn parse(
        bytes: &[u8],
        reference: BlockSeriesRef,
        version: IndexVersion,
    ) -> Result<SeriesOutline, Fault> {
        let mut c = content(bytes, reference.offset(version))?;
        let count = c.uvarint("number of labels")?;
        for _ in 0..c.bounded(count, 2, "number of labels")? {
            c.uvarint("label name")?;
            c.uvarint("label value")?;
        }
        let count = c.uvarint("number of chunks")?;
        let count = c.bounded(count, 3, "number of chunks")?;
        let mut interval: Option<Interval> = None;
        let mut last = None;
        for _ in 0..count {
            let chunk = next_chunk(&mut c, last.as_ref())?;
            interval = Interval::joined(interval, Some(chunk.interval()));
            last = Some(chunk);
        }
        Ok(SeriesOutline { reference, chunks: count as u64, interval })
    }
}

impl SeriesEntry {
    pub(super) fn parse(
        bytes: &[u8],
        reference: BlockSeriesRef,
        version: IndexVersion,
        symbols: &Symbols,
    ) -> Result<SeriesEntry, Fault> {
        let offset = reference.offset(version);
        let mut c = content(bytes, offset)?;
        let count = c.uvarint("number of labels")?;
        let count = c.bounded(count, 2, "number of labels")?;
        let mut pairs = Vec::with_capacity(count);
        let mut size = 0usize;
        for _ in 0..count {
            let name = symbols.get(bytes, c.uvarint("label name")?)?;
            let value = symbols.get(bytes, c.uvarint("label value")?)?;
            size += name.len() + value.len();
            if size > MAX_LABEL_BYTES {
                return Err(c.malformed("labels of a series", size as u64, "they have at most 1048576 bytes"));
            }
            pairs.push(Label { name: name.into(), value: value.into() });
        }
        let (labels, odd_labels) = Labels::normalized(pairs);
        let count = c.uvarint("number of chunks")?;
        let count = c.bounded(count, 3, "number of chunks")?;
        let mut chunks: Vec<ChunkMeta> = Vec::with_capacity(count);
        for _ in 0..count {
            let chunk = next_chunk(&mut c, chunks.last())?;
            chunks.push(chunk);
        }
        Ok(SeriesEntry { reference, offset, labels, odd_labels, chunks })
    }
}
