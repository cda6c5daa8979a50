//! [`Records`]: from the bytes of a segment to its records (`tsdb/wlog/reader.go` upstream, `docs/format/wal.md`).
//!
//! A segment is a row of pages, a record a row of fragments, none of which crosses a page. Which bytes count as damage,
//! and which as an end, follows upstream's reader to the letter: a server cuts its log there.

use std::borrow::Cow;

use crate::raw::{Fault, FaultKind, crc32c};

/// Bytes of a page.
pub const PAGE_LEN: usize = 32 * 1024;
/// Bytes before a fragment's data: kind and compression, length, checksum.
pub const FRAGMENT_HEADER_LEN: usize = 7;
/// What a record may hold when it is decompressed, unless [`Records::limit`] says otherwise.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

const KIND_MASK: u8 = 0b0000_0111;
const SNAPPY_FLAG: u8 = 0b0000_1000;
const ZSTD_FLAG: u8 = 0b0001_0000;
/// The largest window that is kept while decompressing: 128 MiB. Prometheus writes windows of up to 8 MiB.
const MAX_WINDOW_LOG: u32 = 27;
/// The unit in which a file system loses what was not written yet.
const SECTOR_LEN: usize = 512;

mod kind {
    pub(super) const NONE: u8 = 0;
    pub(super) const FULL: u8 = 1;
    pub(super) const FIRST: u8 = 2;
    pub(super) const MIDDLE: u8 = 3;
    pub(super) const LAST: u8 = 4;
}

/// How a record is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// As it is.
    Plain,
    /// As a raw Snappy block.
    Snappy,
    /// As Zstandard frames (2.46).
    Zstd,
}

impl Compression {
    fn of(header: u8) -> Compression {
        match header {
            h if h & SNAPPY_FLAG != 0 => Compression::Snappy,
            h if h & ZSTD_FLAG != 0 => Compression::Zstd,
            _ => Compression::Plain,
        }
    }

    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Plain => "none",
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
        }
    }
}

/// The records of one segment in order. Ends behind a fault, since nothing says where the next record starts.
///
/// A segment that ends inside a page counts as filled up with zeros, as a server reads it. That is why a fragment that
/// was cut off shows as a wrong checksum.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    /// Where the next fragment starts.
    at: usize,
    /// The segment's length, filled up to a page.
    padded: usize,
    limit: u64,
    ended: bool,
    unfinished: Option<u64>,
}

/// One record, still compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Byte offset of its first fragment's header.
    pub offset: u64,
    /// Byte offset behind its last fragment. In a segment that was cut short it may lie behind the segment's end.
    pub end: u64,
    /// How it is stored.
    pub compression: Compression,
    /// Its fragments put together; borrowed where there is only one.
    pub stored: Cow<'a, [u8]>,
    limit: u64,
}

/// Where and why a segment stops being readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFault {
    /// What is wrong; its offset is where the fragment starts that cannot be read.
    pub fault: Fault,
    /// Where the record of that fragment starts: what is kept when the segment is repaired ends here.
    pub record: u64,
    /// The offset that a server reports: how far it had read when it noticed.
    pub reported: u64,
    /// Whether this is what a server leaves that was killed: the last thing in the segment, cut off or continued by zeros
    /// only. Anything else is damage. Whether readable fragments follow is looked at.
    pub tail: bool,
}

impl<'a> Records<'a> {
    /// The records of a segment, given whole.
    pub fn new(bytes: &'a [u8]) -> Records<'a> {
        let padded = bytes.len().checked_next_multiple_of(PAGE_LEN).unwrap_or(bytes.len());
        Records { bytes, at: 0, padded, limit: DEFAULT_LIMIT, ended: false, unfinished: None }
    }

    /// Refuses records of more than `max_record` bytes when they are decompressed.
    #[must_use]
    pub fn limit(mut self, max_record: u64) -> Self {
        self.limit = max_record;
        self
    }

    /// Starts at a byte offset, where a fragment must start: a chunk snapshot names one.
    #[must_use]
    pub fn starting_at(mut self, offset: u64) -> Self {
        self.at = usize::try_from(offset).unwrap_or(usize::MAX).min(self.padded);
        self
    }

    /// Once the records have ended without a fault: where a record starts that has no end but only zeros behind it.
    /// A server reads over it in silence.
    pub fn unfinished(&self) -> Option<u64> {
        self.unfinished
    }

    fn read(&mut self) -> Result<Option<RawRecord<'a>>, RecordFault> {
        let mut begun: Option<(usize, Cow<'a, [u8]>)> = None;
        // The kind read last, that of zeros included: it decides whether the end of the bytes is one of the records.
        let mut kind = kind::NONE;
        loop {
            let at = self.at;
            let record = begun.as_ref().map_or(at, |(offset, _)| *offset) as u64;
            let fail = |found: FaultKind, field, reported: usize, tail| {
                let fault = Fault::new(at as u64, field, found);
                RecordFault { fault, record, reported: reported as u64, tail }
            };
            let torn = |kind| match kind {
                kind::FIRST | kind::MIDDLE => {
                    let found = FaultKind::Truncated { wanted: FRAGMENT_HEADER_LEN as u64, left: 0 };
                    Err(fail(found, "rest of a record", self.padded, true))
                }
                _ => Ok(None),
            };
            if at >= self.padded {
                self.unfinished = begun.as_ref().map(|_| record);
                return torn(kind);
            }
            let header = self.bytes.get(at).copied().unwrap_or(0);
            kind = header & KIND_MASK;
            if kind == kind::NONE {
                let end = (at / PAGE_LEN + 1) * PAGE_LEN;
                let padding = self.bytes.get(at + 1..end.min(self.bytes.len())).unwrap_or_default();
                if let Some(byte) = padding.iter().find(|b| **b != 0) {
                    let found = FaultKind::Malformed {
                        found: u64::from(*byte),
                        rule: "the rest of a page without fragments is zero",
                    };
                    return Err(fail(found, "padding of a page", end, false));
                }
                self.at = end;
                continue;
            }
            let data_at = at + FRAGMENT_HEADER_LEN;
            if data_at > self.padded {
                if at + 1 == self.padded {
                    return torn(kind);
                }
                let (wanted, left) = (FRAGMENT_HEADER_LEN as u64, (self.padded - at) as u64);
                return Err(fail(FaultKind::Truncated { wanted, left }, "header of a fragment", self.padded, true));
            }
            let stored_header = self.stretch(at + 1, FRAGMENT_HEADER_LEN - 1);
            let (len, crc) = match *stored_header {
                [l0, l1, c0, c1, c2, c3] => {
                    (usize::from(u16::from_be_bytes([l0, l1])), u32::from_be_bytes([c0, c1, c2, c3]))
                }
                _ => (0, 0),
            };
            if len > PAGE_LEN - FRAGMENT_HEADER_LEN {
                let found = FaultKind::Malformed { found: len as u64, rule: "a fragment fits into a page" };
                return Err(fail(found, "length of a fragment", data_at, false));
            }
            let end = data_at + len;
            if end > self.padded {
                if data_at == self.padded {
                    return torn(kind);
                }
                let found = FaultKind::Truncated { wanted: len as u64, left: (self.padded - data_at) as u64 };
                return Err(fail(found, "fragment", self.padded, self.is_tail(at, end)));
            }
            let data = self.stretch(data_at, len);
            let computed = crc32c(&data);
            if computed != crc {
                let found = FaultKind::Checksum { stored: crc, computed };
                return Err(fail(found, "fragment", end, self.is_tail(at, end)));
            }
            let rule = match (kind, &begun) {
                (kind::FULL | kind::FIRST, Some(_)) => Some("a record ends before the next one starts"),
                (kind::MIDDLE | kind::LAST, None) => Some("a record starts with its first fragment"),
                (kind::FULL..=kind::LAST, _) => None,
                _ => Some("there are the kinds 0 to 4"),
            };
            if let Some(rule) = rule {
                let found = FaultKind::Malformed { found: u64::from(kind), rule };
                return Err(fail(found, "kind of a fragment", end, false));
            }
            self.at = end;
            let (offset, stored) = match begun.take() {
                None => (at, data),
                Some((offset, mut stored)) => {
                    stored.to_mut().extend_from_slice(&data);
                    (offset, stored)
                }
            };
            if matches!(kind, kind::FULL | kind::LAST) {
                let compression = Compression::of(header);
                let limit = self.limit;
                return Ok(Some(RawRecord { offset: offset as u64, end: end as u64, compression, stored, limit }));
            }
            begun = Some((offset, stored));
        }
    }

    /// Bytes of the segment, filled up with zeros behind its end.
    #[inline]
    fn stretch(&self, from: usize, len: usize) -> Cow<'a, [u8]> {
        match self.bytes.get(from..from + len) {
            Some(bytes) => Cow::Borrowed(bytes),
            None => {
                let mut bytes = self.bytes.get(from..).unwrap_or_default().to_vec();
                bytes.resize(len, 0);
                Cow::Owned(bytes)
            }
        }
    }

    /// Whether the fragment in `at..end`, which cannot be read, is the last thing in the segment and was not written to
    /// its end: cut off, or zero from a sector's start on.
    fn is_tail(&self, at: usize, end: usize) -> bool {
        let bytes = self.bytes;
        if end <= bytes.len() {
            let zeros = bytes.iter().rev().take_while(|b| **b == 0).count();
            let sector = (bytes.len() - zeros).next_multiple_of(SECTOR_LEN);
            return at < sector && sector < end;
        }
        // A damaged length may reach beyond the end, too. Then other fragments follow, and there is one to be found.
        let follows = |from: usize| {
            let (head, data) = bytes.get(from..)?.split_first_chunk::<FRAGMENT_HEADER_LEN>()?;
            let [header, l0, l1, c0, c1, c2, c3] = *head;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let plausible = matches!(header & KIND_MASK, kind::FULL..=kind::LAST) && header < 0x20 && len > 0;
            let data = data.get(..len).filter(|_| plausible)?;
            (crc32c(data) == u32::from_be_bytes([c0, c1, c2, c3])).then_some(())
        };
        !(at + 1..bytes.len()).any(|from| follows(from).is_some())
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RawRecord<'a>, RecordFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.read().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

impl std::iter::FusedIterator for Records<'_> {}

impl RawRecord<'_> {
    /// The record as it was logged. A plain one is borrowed; others go into `buffer`, of which the start is returned.
    ///
    /// Errs where the compression is broken or the record is longer than the limit of its [`Records`]. Memory grows with
    /// what was decompressed, never with what a length claims alone. A server treats a broken one like a wrong checksum.
    pub fn decompress<'b>(&'b self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Fault> {
        let stored: &[u8] = &self.stored;
        // Upstream hands out nothing for nothing, whatever the compression.
        if self.compression == Compression::Plain || stored.is_empty() {
            self.within_limit(stored.len() as u64)?;
            return Ok(stored);
        }
        let len = match self.compression {
            Compression::Snappy => self.snappy(buffer)?,
            _ => self.zstd(buffer)?,
        };
        Ok(buffer.get(..len).unwrap_or_default())
    }

    /// The record's type byte without decompressing it; `None` where that is not possible.
    pub fn peek_type(&self) -> Option<u8> {
        match self.compression {
            Compression::Plain => self.stored.first().copied(),
            Compression::Zstd => None,
            Compression::Snappy => {
                let after = self.stored.iter().take(5).position(|b| *b < 0x80)? + 1;
                let (tag, rest) = self.stored.get(after..)?.split_first()?;
                // A block starts with a literal: there is nothing to copy yet.
                let literal = tag & 0b11 == 0;
                let length_bytes = usize::from(tag >> 2).saturating_sub(59);
                rest.get(length_bytes).copied().filter(|_| literal)
            }
        }
    }

    fn malformed(&self, field: &'static str, found: u64, rule: &'static str) -> Fault {
        Fault::new(self.offset, field, FaultKind::Malformed { found, rule })
    }

    fn within_limit(&self, len: u64) -> Result<(), Fault> {
        if len > self.limit {
            return Err(self.malformed("length of a record", len, "records are read up to a limit"));
        }
        Ok(())
    }

    fn snappy(&self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        const FIELD: &str = "Snappy block";
        let broken = |_| self.malformed(FIELD, self.stored.len() as u64, "these bytes are not one");
        let len = snap::raw::decompress_len(&self.stored).map_err(broken)?;
        self.within_limit(len as u64)?;
        // The densest element copies 64 bytes for 3.
        if len as u64 > (self.stored.len() as u64).saturating_mul(22) {
            return Err(self.malformed(FIELD, len as u64, "so few bytes cannot hold so many"));
        }
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        snap::raw::Decoder::new().decompress(&self.stored, buffer).map_err(broken)
    }

    fn zstd(&self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};
        const FIELD: &str = "Zstandard frame";
        let stored: &[u8] = &self.stored;
        let broken = |_| self.malformed(FIELD, stored.len() as u64, "these bytes are not one");
        let mut decoder = Decoder::new().map_err(broken)?;
        decoder.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(broken)?;
        let claimed = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten().unwrap_or(0);
        self.within_limit(claimed)?;
        let start = claimed.min(stored.len() as u64 * 16).max(4096).min(self.limit.saturating_add(1));
        if (buffer.len() as u64) < start {
            buffer.resize(start as usize, 0);
        }
        let mut input = InBuffer::around(stored);
        let mut len = 0;
        loop {
            if len == buffer.len() {
                let more = buffer.len().saturating_mul(2) as u64;
                buffer.resize(more.min(self.limit.saturating_add(1)) as usize, 0);
            }
            let (read, room) = (input.pos(), buffer.len());
            let mut output = OutBuffer::around_pos(buffer.as_mut_slice(), len);
            let hint = decoder.run(&mut input, &mut output).map_err(broken)?;
            let written = output.pos();
            self.within_limit(written as u64)?;
            if hint == 0 && input.pos() == stored.len() {
                return Ok(written);
            }
            if written < room && input.pos() == stored.len() {
                let kind = FaultKind::Truncated { wanted: hint as u64, left: 0 };
                return Err(Fault::new(self.offset, FIELD, kind));
            }
            if written == len && input.pos() == read && len < room {
                return Err(self.malformed(FIELD, written as u64, "decompression goes on"));
            }
            len = written;
        }
    }
}
