//! `chunks/`: segment files, written (`tsdb/chunks/chunks.go: Writer` upstream, `docs/format/chunks.md`).

use std::path::{Path, PathBuf};

use super::output::{Output, put_uvarint};
use crate::error::{Error, ErrorKind, Result};
use crate::raw::crc32c;
use crate::tsdb::chunks::{BlockChunkRef, HEADER_LEN};

/// The size at which upstream starts a new segment.
pub const SEGMENT_BYTES: u64 = 512 << 20;

/// Magic, version 1, three bytes of padding.
const HEADER: [u8; HEADER_LEN as usize] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
/// What a chunk takes besides its data at most: a varint of 5 bytes, the encoding, the checksum.
const OVERHEAD_BYTES: u64 = 5 + 1 + 4;

/// Writes `000001`, `000002`, …: each chunk as varint length, encoding, data, CRC-32C of the last two.
///
/// A segment stays within its limit unless a single chunk alone exceeds it. Memory: one chunk and a write buffer.
#[derive(Debug)]
pub struct SegmentWriter {
    dir: PathBuf,
    limit_bytes: u64,
    /// The segment being written and its index.
    current: Option<(u32, Output)>,
    finished_bytes: u64,
    scratch: Vec<u8>,
}

impl SegmentWriter {
    /// Writes into `dir`, which exists. `limit_bytes` is [`SEGMENT_BYTES`] but in tests, at most `u32::MAX`, because a
    /// reference has 32 bits for the offset.
    pub fn new(dir: &Path, limit_bytes: u64) -> SegmentWriter {
        SegmentWriter {
            dir: dir.to_path_buf(),
            limit_bytes: limit_bytes.min(u64::from(u32::MAX)),
            current: None,
            finished_bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// Appends a chunk and tells where it stands. Data beyond 4 GiB is refused.
    pub fn write(&mut self, encoding: u8, data: &[u8]) -> Result<BlockChunkRef> {
        let length = data.len() as u64;
        if length > u64::from(u32::MAX) {
            let message = format!("a chunk of {length} bytes; at most 4294967295 can be written");
            return Err(Error::new(ErrorKind::Malformed, message).at(&self.dir));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let (index, out) = self.segment_for(length + OVERHEAD_BYTES)?;
        let reference = BlockChunkRef::new(*index, out.at() as u32);
        scratch.clear();
        put_uvarint(&mut scratch, length);
        let covered_from = scratch.len();
        scratch.push(encoding);
        scratch.extend_from_slice(data);
        let crc = crc32c(scratch.get(covered_from..).unwrap_or_default());
        scratch.extend_from_slice(&crc.to_be_bytes());
        out.write(&scratch)?;
        self.scratch = scratch;
        Ok(reference)
    }

    /// The current segment, or a new one if `need` further bytes would exceed the limit.
    fn segment_for(&mut self, need: u64) -> Result<&mut (u32, Output)> {
        let next = match self.current.take() {
            Some((index, out)) if out.at() == HEADER_LEN || out.at() + need <= self.limit_bytes => {
                return Ok(self.current.insert((index, out)));
            }
            Some((index, full)) => {
                self.finished_bytes += full.finish()?;
                index + 1
            }
            None => 0,
        };
        let name = BlockChunkRef::new(next, 0).file_name();
        let mut out = Output::create(self.dir.join(name))?;
        out.write(&HEADER)?;
        Ok(self.current.insert((next, out)))
    }

    /// Syncs the last segment; gives the number of segments and their bytes. Without chunks there is no segment.
    pub fn finish(self) -> Result<(u32, u64)> {
        match self.current {
            Some((index, out)) => Ok((index + 1, self.finished_bytes + out.finish()?)),
            None => Ok((0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tsdb::chunks::{ChunkSlice, check_header};

    #[test]
    fn chunks_are_found_again_across_segments() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::new(dir.path(), 64);
        let chunks: Vec<Vec<u8>> = [10, 30, 20, 200, 0, 1].iter().map(|n| vec![*n as u8; *n]).collect();
        let places: Vec<BlockChunkRef> = chunks.iter().map(|c| writer.write(1, c).unwrap()).collect();
        let (segments, bytes) = writer.finish().unwrap();
        let files: Vec<Vec<u8>> =
            (1..=segments).map(|n| std::fs::read(dir.path().join(format!("{n:06}"))).unwrap()).collect();
        assert_eq!(segments, 4);
        assert_eq!(bytes, files.iter().map(|f| f.len() as u64).sum::<u64>());
        assert!(files.iter().all(|f| check_header(f).is_ok()));
        let index: Vec<u32> = places.iter().map(|p| p.segment_index()).collect();
        assert_eq!(index, [0, 0, 1, 2, 3, 3]);
        for (place, data) in places.iter().zip(&chunks) {
            let file = &files[place.segment_index() as usize];
            let read = ChunkSlice::read(file, place.offset_bytes()).unwrap();
            assert_eq!((read.encoding, read.data()), (1, data.as_slice()));
        }
    }
}
