//! `chunks_head/`: chunks of the head that are full and mapped from disk (`tsdb/chunks/head_chunks.go` upstream,
//! `docs/format/head-chunks.md`).

use std::path::Path;

use super::chunkenc::{Encoding, claimed_samples};
use super::chunks::{ChunkSlice, HEADER_LEN};
use super::numbered::{Naming, NumberedFile, list};
use crate::error::Result;
use crate::raw::{Cursor, Fault, FaultKind, crc32c};
use crate::time::Interval;

const MAGIC: u32 = 0x0130_BC91;
/// The bit of the encoding byte that says that the chunk's samples came too late.
const OUT_OF_ORDER: u8 = 0x80;
/// The most that a chunk takes beside its data, the length at its longest. Where less is left there is no chunk.
const MOST_META: usize = 34;

/// A series of the head, as log records and head chunks name it. Unrelated to the references of a block's index, and
/// to those of another server or another time: after a series was dropped it returns under another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadSeriesRef(pub u64);

/// A chunk's place in `chunks_head/`: the upper 32 bits are the file's number, the lower 32 the byte offset of the
/// chunk in it. References grow in the order in which the chunks were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadChunkRef(pub u64);

impl HeadChunkRef {
    /// A reference from its two parts, of which the lower 32 bits count.
    pub fn new(file_number: u64, offset_bytes: u64) -> HeadChunkRef {
        HeadChunkRef(file_number << 32 | offset_bytes & 0xffff_ffff)
    }

    /// The number in the file's name: 1 for `000001`.
    pub fn file_number(self) -> u64 {
        self.0 >> 32
    }

    /// Where in the file.
    pub fn offset_bytes(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// The file's name.
    pub fn file_name(self) -> String {
        format!("{:06}", self.file_number())
    }
}

/// What a head chunk file says about one of its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadChunk {
    /// Where it is.
    pub reference: HeadChunkRef,
    /// Whose it is.
    pub series: HeadSeriesRef,
    /// Milliseconds of its first sample, as claimed.
    pub min_time_ms: i64,
    /// Milliseconds of its last sample, as claimed.
    pub max_time_ms: i64,
    /// How its data are encoded, the bit for late samples taken out.
    pub encoding: Encoding,
    /// Whether its samples came too late for the chunk that was open. Such chunks may overlap all others.
    pub out_of_order: bool,
    /// The number of samples that its data claim; 0 where that is not known.
    pub samples: u64,
}

impl HeadChunk {
    /// The claimed times of its first and last sample, both included, whichever way round they are claimed.
    pub fn interval(&self) -> Interval {
        Interval::new(self.min_time_ms.min(self.max_time_ms), self.min_time_ms.max(self.max_time_ms))
    }
}

/// Visits every chunk of a head chunk file in order, each after its checksum was verified.
///
/// Ends at the zeros that a file is allocated with. The first fault ends the walk: a server then drops the whole file
/// and all files behind it. Chunks of unknown encodings are visited.
pub fn walk(bytes: &[u8], file: u64, mut visit: impl FnMut(HeadChunk)) -> Result<(), Fault> {
    check_header(bytes)?;
    let mut at = HEADER_LEN;
    while let Some((chunk, _, end)) = next(bytes, file, at)? {
        visit(chunk);
        at = end;
    }
    Ok(())
}

/// The chunk at `at` of a head chunk file, its checksum verified, its data, and the offset behind it; `None` where the
/// zeros start that the file was allocated with.
pub fn next<'a>(bytes: &'a [u8], file: u64, at: u64) -> Result<Option<(HeadChunk, ChunkSlice<'a>, u64)>, Fault> {
    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    if rest.len() < MOST_META {
        if rest.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let kind = FaultKind::Truncated { wanted: MOST_META as u64, left: rest.len() as u64 };
        return Err(Fault::new(at, "head chunk", kind));
    }
    // Series, first and last time: a file that was allocated further than it was written.
    if rest.iter().take(24).all(|b| *b == 0) {
        return Ok(None);
    }
    let (mut chunk, data, end) = parse(rest, at)?;
    chunk.reference = HeadChunkRef::new(file, at);
    chunk.samples = claimed_samples(chunk.encoding, data.data()).unwrap_or(0);
    Ok(Some((chunk, data, end)))
}

/// What the chunk at `at` says about itself although its checksum is wrong or its end not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub series: HeadSeriesRef,
    /// The times of its first and last sample, whichever way round they are claimed.
    pub interval: Interval,
    /// The offset behind it; `None` where that lies outside the file.
    pub end: Option<u64>,
}

/// Reads the head of the chunk at `at` without verifying anything; `None` where the file ends in it.
pub fn claim(bytes: &[u8], at: u64) -> Option<Claim> {
    let mut cursor = Cursor::new(bytes.get(usize::try_from(at).ok()?..)?, at);
    let series = HeadSeriesRef(cursor.u64("series of a head chunk").ok()?);
    let from = cursor.u64("first time of a head chunk").ok()? as i64;
    let to = cursor.u64("last time of a head chunk").ok()? as i64;
    let mut end = || {
        cursor.u8("encoding of a head chunk").ok()?;
        let len = cursor.uvarint("length of a head chunk").ok()?;
        cursor.take(len.checked_add(4)?, "head chunk").ok()?;
        Some(cursor.offset())
    };
    Some(Claim { series, interval: Interval::new(from.min(to), from.max(to)), end: end() })
}

/// Reads the chunk that `chunk` names from its file and verifies its checksum. The slice has the encoding without the
/// bit for late samples, and is ready for the decoders of [`super::chunkenc`].
pub fn read<'a>(bytes: &'a [u8], chunk: HeadChunkRef) -> Result<ChunkSlice<'a>, Fault> {
    let offset = chunk.offset_bytes();
    if offset < HEADER_LEN {
        let kind = FaultKind::Malformed { found: offset, rule: "chunks start behind the 8-byte header" };
        return Err(Fault::new(offset, "head chunk", kind));
    }
    let Some(rest) = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)) else {
        let kind = FaultKind::Truncated { wanted: offset, left: bytes.len() as u64 };
        return Err(Fault::new(offset, "head chunk", kind));
    };
    parse(rest, offset).map(|(_, slice, _)| slice)
}

/// The chunk at the start of `rest`, its data, and the offset behind it; reference and number of samples are still open.
fn parse<'a>(rest: &'a [u8], at: u64) -> Result<(HeadChunk, ChunkSlice<'a>, u64), Fault> {
    let mut cursor = Cursor::new(rest, at);
    let series = HeadSeriesRef(cursor.u64("series of a head chunk")?);
    let min_time_ms = cursor.u64("first time of a head chunk")? as i64;
    let max_time_ms = cursor.u64("last time of a head chunk")? as i64;
    let byte = cursor.u8("encoding of a head chunk")?;
    let encoding = Encoding(byte & !OUT_OF_ORDER);
    let length_at = cursor.offset();
    let len = cursor.uvarint("length of a head chunk")?;
    if cursor.offset() - length_at > 5 {
        let kind = FaultKind::Malformed { found: len, rule: "its varint has at most 5 bytes" };
        return Err(Fault::new(length_at, "length of a head chunk", kind));
    }
    let data_at = cursor.offset();
    let window = cursor.rest();
    cursor.take(len, "head chunk")?;
    let checked = rest.len() - cursor.left();
    let stored = cursor.u32("checksum of a head chunk")?;
    let computed = crc32c(rest.get(..checked).unwrap_or_default());
    if stored != computed {
        return Err(Fault::new(at, "head chunk", FaultKind::Checksum { stored, computed }));
    }
    let chunk = HeadChunk {
        reference: HeadChunkRef::new(0, at),
        series,
        min_time_ms,
        max_time_ms,
        encoding,
        out_of_order: byte & OUT_OF_ORDER != 0,
        samples: 0,
    };
    let slice = ChunkSlice { encoding: encoding.0, window, len: len as usize, offset: data_at, crc: stored };
    Ok((chunk, slice, cursor.offset()))
}

/// Checks a file's header: magic, version 1, three bytes of padding.
pub fn check_header(bytes: &[u8]) -> Result<(), Fault> {
    let mut cursor = Cursor::new(bytes, 0);
    let magic = cursor.u32("head chunk magic")?;
    if magic != MAGIC {
        let kind = FaultKind::Malformed { found: u64::from(magic), rule: "it must be 0x0130BC91" };
        return Err(Fault::new(0, "head chunk magic", kind));
    }
    match cursor.u8("head chunk version")? {
        1 => cursor.take(3, "head chunk header").map(|_| ()),
        n => Err(Fault::new(4, "head chunk version", FaultKind::Unsupported { found: u64::from(n) })),
    }
}

/// Whether this is a file that was never written to: too short for the magic number, or a magic number of 0. As the
/// last of its folder a server deletes it without a word; anywhere else it is damage.
pub fn is_empty_last(bytes: &[u8]) -> bool {
    bytes.first_chunk::<4>().is_none_or(|magic| *magic == [0; 4])
}

/// What `chunks_head/` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadChunkDir {
    /// Ascending by number, each number once.
    pub files: Vec<NumberedFile>,
    /// Sentences for people: other files, missing numbers.
    pub oddities: Vec<String>,
    /// Numbers of files whose predecessor is missing. A server then reads none of the files.
    pub gap_before: Vec<u64>,
}

/// Lists the files in `chunks_head/`; a missing folder has none. Errs only where the operating system does not let us
/// look.
pub fn list_files(dir: &Path) -> Result<HeadChunkDir> {
    let listed = list(dir, Naming { noun: "head chunk file", width: 6, is_known: |_| false })?;
    Ok(HeadChunkDir { files: listed.files, oddities: listed.oddities, gap_before: listed.gap_before })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    const HEADER: [u8; 8] = [0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];

    fn chunk(series: u64, times: (i64, i64), encoding: u8, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(series.to_be_bytes());
        out.extend(times.0.to_be_bytes());
        out.extend(times.1.to_be_bytes());
        out.extend([encoding, data.len() as u8]);
        out.extend(data);
        let crc = crc32c(&out);
        out.extend(crc.to_be_bytes());
        out
    }

    fn walked(bytes: &[u8]) -> (Vec<HeadChunk>, Result<(), Fault>) {
        let mut out = Vec::new();
        let end = walk(bytes, 3, |c| out.push(c));
        (out, end)
    }

    #[test]
    fn chunks_follow_each_other_up_to_the_zeros() {
        let first = chunk(7, (-5, i64::MAX), 1, &[0, 2, 9, 9]);
        let second = chunk(0, (0, 1), 0x80 | 5, &[0xc0, 3, 0, 0]);
        let file = [&HEADER[..], &first, &second].concat();
        let expected = [
            HeadChunk {
                reference: HeadChunkRef::new(3, 8),
                series: HeadSeriesRef(7),
                min_time_ms: -5,
                max_time_ms: i64::MAX,
                encoding: Encoding::XOR,
                out_of_order: false,
                samples: 2,
            },
            HeadChunk {
                reference: HeadChunkRef::new(3, 8 + first.len() as u64),
                series: HeadSeriesRef(0),
                min_time_ms: 0,
                max_time_ms: 1,
                encoding: Encoding::HISTOGRAM_ST,
                out_of_order: true,
                samples: 3,
            },
        ];
        for zeros in [0, 1, 23, 24, 33, 34, 35, 5000] {
            let bytes = [&file[..], &vec![0; zeros]].concat();
            let (found, end) = walked(&bytes);
            assert_eq!(found, expected, "{zeros}");
            assert_eq!(end, Ok(()), "{zeros}");
        }
        let slice = read(&file, expected[1].reference).unwrap();
        assert_eq!((slice.encoding, slice.data(), slice.offset), (5, &[0xc0, 3, 0, 0][..], second_data(&first)));
        assert_eq!(read(&file, expected[0].reference).unwrap().window.len(), file.len() - second_data(&[]) as usize);
    }

    /// Where the data of a chunk start that follows `before`.
    fn second_data(before: &[u8]) -> u64 {
        8 + before.len() as u64 + 26
    }

    #[test]
    fn a_short_rest_must_be_zero() {
        // A chunk of 33 bytes at the very end is one too few, whether or not it is whole.
        let short = chunk(7, (1, 2), 1, &[0, 0, 0]);
        assert_eq!(short.len(), 33);
        let file = [&HEADER[..], &short].concat();
        let (found, end) = walked(&file);
        let fault = end.unwrap_err();
        assert_eq!((found.len(), fault.offset), (0, 8));
        assert_eq!(fault.kind, FaultKind::Truncated { wanted: 34, left: 33 });
        assert_eq!(walked(&[&file[..], &[0]].concat()).0.len(), 1);
        assert_eq!(walked(&HEADER), (vec![], Ok(())));
    }

    #[test]
    fn every_flip_in_a_chunk_is_a_fault_and_ends_the_walk() {
        let one = chunk(u64::MAX, (1, 2), 1, &[0, 2, 1, 2, 3, 4, 5, 6]);
        let file = [&HEADER[..], &one, &one].concat();
        assert_eq!(walked(&file).0.len(), 2);
        for at in 8..8 + one.len() {
            for bit in 0..8 {
                let mut bytes = file.clone();
                bytes[at] ^= 1 << bit;
                let (found, end) = walked(&bytes);
                assert!(found.is_empty() && end.is_err(), "{at} {bit}");
                assert!(read(&bytes, HeadChunkRef::new(3, 8)).is_err());
                assert!(read(&bytes, HeadChunkRef::new(3, 8 + one.len() as u64)).is_ok());
            }
        }
        for cut in 8 + one.len()..file.len() {
            let (found, end) = walked(&file[..cut]);
            assert_eq!((found.len(), end.is_err()), (1, cut > 8 + one.len()), "{cut}");
        }
    }

    #[test]
    fn lengths_and_references_stay_inside() {
        let mut bytes = [&HEADER[..], &chunk(7, (1, 2), 1, &[0; 20])].concat();
        for offset in [0, 7, 9, bytes.len() as u64, u64::MAX] {
            assert!(read(&bytes, HeadChunkRef(offset)).is_err(), "{offset}");
        }
        bytes[8 + 25..][..5].fill(0xff);
        assert_eq!(walked(&bytes).1.unwrap_err().field, "length of a head chunk");
        bytes[8 + 25..][..5].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
        let fault = walked(&bytes).1.unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Truncated { wanted: 0x7_ffff_ffff, .. }), "{fault}");
        let reference = HeadChunkRef::new(5, 1 << 33 | 9);
        assert_eq!((reference.file_number(), reference.offset_bytes()), (5, 9));
        assert_eq!(reference.file_name(), "000005");
        assert!(HeadChunkRef::new(2, 0) > HeadChunkRef::new(1, 0xffff_ffff));
    }

    #[test]
    fn headers_are_checked_and_empty_files_known() {
        assert!(is_empty_last(&[]) && is_empty_last(&[1, 2, 3]) && is_empty_last(&[0; 100]));
        assert!(!is_empty_last(&[0, 0, 0, 1]) && !is_empty_last(&HEADER));
        for (bytes, field) in [
            (vec![], "head chunk magic"),
            (vec![0; 100], "head chunk magic"),
            (HEADER[..4].to_vec(), "head chunk version"),
            ([&HEADER[..4], &[2; 40]].concat(), "head chunk version"),
            (HEADER[..7].to_vec(), "head chunk header"),
        ] {
            assert_eq!(walked(&bytes).1.unwrap_err().field, field, "{bytes:?}");
        }
    }
}
