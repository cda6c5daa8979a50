//! `chunks/`: segment files and the chunks in them (`tsdb/chunks/chunks.go` upstream, `docs/format/chunks.md`).

use crate::raw::{Cursor, Fault, FaultKind, FileBytes, crc32c};

const MAGIC: u32 = 0x85BD_40DD;
/// Bytes before the first chunk of a segment.
pub const HEADER_LEN: u64 = 8;

/// A chunk's place in a block: the upper 32 bits are the segment's index, the lower 32 the byte offset in it.
/// Index 0 is the file named `000001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockChunkRef(pub u64);

impl BlockChunkRef {
    /// A reference from its two parts.
    pub fn new(segment_index: u32, offset_bytes: u32) -> BlockChunkRef {
        BlockChunkRef(u64::from(segment_index) << 32 | u64::from(offset_bytes))
    }

    /// Which segment.
    pub fn segment_index(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Where in the segment.
    pub fn offset_bytes(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// The segment's file name, `000001` for index 0.
    pub fn file_name(self) -> String {
        format!("{:06}", u64::from(self.segment_index()) + 1)
    }
}

/// One chunk inside its segment, checksum verified.
#[derive(Debug, Clone, Copy)]
pub struct ChunkSlice<'a> {
    /// The encoding byte.
    pub encoding: u8,
    /// The data and whatever follows it in the segment: fast decoders look ahead inside the window instead of
    /// testing for the end at every bit.
    pub window: &'a [u8],
    /// The length of the data at the start of `window`.
    pub len: usize,
    /// Byte offset of the data in the segment.
    pub offset: u64,
    /// The stored checksum.
    pub crc: u32,
}

impl<'a> ChunkSlice<'a> {
    /// The data alone.
    pub fn data(&self) -> &'a [u8] {
        self.window.get(..self.len).unwrap_or_default()
    }

    /// The bytes of the chunk at `offset`: length, encoding, data and checksum; `None` where the length cannot be read.
    pub fn extent(segment: &[u8], offset: u64) -> Option<u64> {
        let mut cursor = Cursor::new(segment.get(usize::try_from(offset).ok()?..)?, offset);
        let length = cursor.uvarint("length of a chunk").ok()?;
        (cursor.offset() - offset).checked_add(length)?.checked_add(5)
    }

    /// Reads the chunk at `offset` of a segment and verifies its checksum.
    pub fn read(segment: &'a [u8], offset: u64) -> Result<ChunkSlice<'a>, Fault> {
        let Some(rest) = usize::try_from(offset).ok().and_then(|o| segment.get(o..)) else {
            let kind = FaultKind::Truncated { wanted: offset, left: segment.len() as u64 };
            return Err(Fault::new(offset, "chunk", kind));
        };
        if offset < HEADER_LEN {
            let kind = FaultKind::Malformed { found: offset, rule: "chunks start behind the 8-byte header" };
            return Err(Fault::new(offset, "chunk", kind));
        }
        let mut cursor = Cursor::new(rest, offset);
        let len = cursor.uvarint("length of a chunk")?;
        if cursor.offset() - offset > 5 {
            let kind = FaultKind::Malformed { found: len, rule: "its varint has at most 5 bytes" };
            return Err(Fault::new(offset, "length of a chunk", kind));
        }
        let encoding_at = cursor.rest();
        let encoding = cursor.u8("encoding of a chunk")?;
        let data_at = cursor.offset();
        let window = cursor.rest();
        cursor.take(len, "chunk")?;
        let stored = cursor.u32("checksum of a chunk")?;
        let computed = crc32c(encoding_at.get(..1 + len as usize).unwrap_or_default());
        if stored != computed {
            return Err(Fault::new(offset, "chunk", FaultKind::Checksum { stored, computed }));
        }
        Ok(ChunkSlice { encoding, window, len: len as usize, offset: data_at, crc: stored })
    }
}

/// Checks a segment's header: magic, version 1, three bytes of padding.
pub fn check_header(segment: &[u8]) -> Result<(), Fault> {
    let mut cursor = Cursor::new(segment, 0);
    let magic = cursor.u32("segment magic")?;
    if magic != MAGIC {
        let kind = FaultKind::Malformed { found: u64::from(magic), rule: "it must be 0x85BD40DD" };
        return Err(Fault::new(0, "segment magic", kind));
    }
    match cursor.u8("segment version")? {
        1 => Ok(()),
        n => Err(Fault::new(4, "segment version", FaultKind::Unsupported { found: u64::from(n) })),
    }
}

/// One segment file, opened or not.
#[derive(Debug)]
pub struct Segment {
    /// Path relative to the SOURCE.
    pub file: String,
    /// Its bytes, or why there are none.
    pub bytes: Result<FileBytes, crate::loss::Loss>,
}
