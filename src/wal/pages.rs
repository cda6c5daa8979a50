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
/// The largest window that is kept while decompressing: 32 MiB. Prometheus writes windows of up to 8 MiB.
const MAX_WINDOW_LOG: u32 = 25;
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
    blank: Option<Blank>,
}

/// Zeros where a writer leaves none: it fills a page up only if no header fits any more, or behind the segment's last record.
/// A server reads over them in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blank {
    /// Where they begin.
    pub offset: u64,
    /// Whether fragments follow. If not, the segment was not written to its end.
    pub followed: bool,
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
        Records { bytes, at: 0, padded, limit: DEFAULT_LIMIT, ended: false, unfinished: None, blank: None }
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

    /// Once the records have ended without a fault: where a record starts that has no end, but zeros or nothing behind
    /// it. A server reads over it in silence.
    pub fn unfinished(&self) -> Option<u64> {
        self.unfinished
    }

    /// The first zeros so far that no writer leaves.
    pub fn blank(&self) -> Option<Blank> {
        self.blank
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
            // The bytes end where a fragment, or the next part of one, would start.
            let end_of_bytes = |kind| match kind {
                kind::FIRST | kind::MIDDLE => {
                    let found = FaultKind::Truncated { wanted: FRAGMENT_HEADER_LEN as u64, left: 0 };
                    Err(fail(found, "rest of a record", self.padded, true))
                }
                _ => Ok(()),
            };
            if at >= self.padded {
                end_of_bytes(kind)?;
                self.unfinished = begun.is_some().then_some(record);
                return Ok(None);
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
                let whole_page = at.is_multiple_of(PAGE_LEN) && at < self.bytes.len();
                let amid_pages = end - at >= FRAGMENT_HEADER_LEN && end < self.bytes.len();
                if self.blank.is_none() && (whole_page || amid_pages) {
                    self.blank = Some(Blank { offset: at as u64, followed: false });
                }
                self.at = end;
                continue;
            }
            if let Some(blank) = &mut self.blank {
                blank.followed = true;
            }
            let data_at = at + FRAGMENT_HEADER_LEN;
            if data_at > self.padded {
                if at + 1 == self.padded {
                    end_of_bytes(kind)?;
                    self.unfinished = Some(record);
                    return Ok(None);
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
                    end_of_bytes(kind)?;
                    self.unfinished = Some(record);
                    return Ok(None);
                }
                let found = FaultKind::Truncated { wanted: len as u64, left: (self.padded - data_at) as u64 };
                return Err(fail(found, "fragment", self.padded, self.is_tail(at, end, begun.is_some())));
            }
            let data = self.stretch(data_at, len);
            let computed = crc32c(&data);
            if computed != crc {
                let found = FaultKind::Checksum { stored: crc, computed };
                return Err(fail(found, "fragment", end, self.is_tail(at, end, begun.is_some())));
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
    fn is_tail(&self, at: usize, end: usize, begun: bool) -> bool {
        let bytes = self.bytes;
        let header = bytes.get(at).copied().unwrap_or(0);
        let goes_on = matches!(header & KIND_MASK, kind::MIDDLE | kind::LAST);
        // No writer begins a fragment like this.
        if header & !(KIND_MASK | SNAPPY_FLAG | ZSTD_FLAG) != 0 || header & KIND_MASK > kind::LAST || goes_on != begun {
            return false;
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    fn fragment(header: u8, data: &[u8]) -> Vec<u8> {
        let len = (data.len() as u16).to_be_bytes();
        [&[header], &len[..], &crc32c(data).to_be_bytes(), data].concat()
    }

    /// Offset, end and content.
    type Found = Vec<(u64, u64, Vec<u8>)>;

    fn read(bytes: &[u8]) -> (Found, Option<RecordFault>) {
        let mut found = Vec::new();
        let mut records = Records::new(bytes);
        let fault = loop {
            match records.next() {
                Some(Ok(r)) => found.push((r.offset, r.end, r.stored.into_owned())),
                Some(Err(fault)) => break Some(fault),
                None => break None,
            }
        };
        assert!(records.next().is_none(), "nothing follows an end");
        (found, fault)
    }

    fn fault(bytes: &[u8]) -> RecordFault {
        read(bytes).1.unwrap()
    }

    /// A record that ends `left` bytes before the page does.
    fn filler(left: usize) -> Vec<u8> {
        fragment(kind::FULL, &vec![7; PAGE_LEN - FRAGMENT_HEADER_LEN - left])
    }

    #[test]
    fn records_are_fragments_put_together() {
        let long = [filler(10), fragment(2, b"abc"), fragment(3, &[b'd'; PAGE_LEN - 7]), fragment(4, b"e")].concat();
        let (found, fault) = read(&long);
        assert_eq!(fault, None);
        let [first, second] = &found[..] else { unreachable!() };
        assert_eq!((first.0, first.1), (0, PAGE_LEN as u64 - 10));
        assert_eq!((second.0, second.1), (PAGE_LEN as u64 - 10, 2 * PAGE_LEN as u64 + 8));
        assert_eq!(second.2, [b"abc", &[b'd'; PAGE_LEN - 7][..], b"e"].concat());
        let one = fragment(1, b"x");
        let record = Records::new(&one).next().unwrap().unwrap();
        assert!(matches!(record.stored, Cow::Borrowed(b"x")));
        assert_eq!(read(&[]), (vec![], None));
    }

    #[test]
    fn the_rest_of_a_page_is_zero() {
        // Room for a header is used; less than that is zero, down to a single byte.
        for left in 0..FRAGMENT_HEADER_LEN {
            let bytes = [filler(left), vec![0; left], fragment(1, b"x")].concat();
            assert_eq!(read(&bytes).0.len(), 2, "{left}");
        }
        // Compression flags and the upper bits do not make a fragment of a zero.
        let bytes = [fragment(1, b"x"), vec![0xf8], vec![0; PAGE_LEN - 9], fragment(1, b"y")].concat();
        assert_eq!(read(&bytes).0.len(), 2);
        let mut bytes = [fragment(1, b"x"), vec![0; PAGE_LEN - 8], fragment(1, b"y")].concat();
        bytes[100] = 1;
        let found = fault(&bytes);
        assert_eq!((found.fault.offset, found.record, found.reported, found.tail), (8, 8, PAGE_LEN as u64, false));
        // Within the segment's last page, too.
        let mut bytes = [fragment(1, b"x"), vec![0; 20]].concat();
        assert_eq!(read(&bytes).1, None);
        bytes[27] = 1;
        assert!(matches!(fault(&bytes).fault.kind, FaultKind::Malformed { found: 1, .. }));
    }

    #[test]
    fn fragments_out_of_order_are_damage() {
        let (one, first, middle, last) = (fragment(1, b"x"), fragment(2, b"x"), fragment(3, b"x"), fragment(4, b"x"));
        for (bytes, at, record) in [
            ([&one[..], &middle].concat(), 8, 8),
            ([&one[..], &last].concat(), 8, 8),
            ([&first[..], &one].concat(), 8, 0),
            ([&first[..], &middle, &first].concat(), 16, 0),
            ([&first[..], &last, &last].concat(), 16, 16),
            (fragment(5, b"x"), 0, 0),
            (fragment(7, b"x"), 0, 0),
        ] {
            let found = fault(&bytes);
            assert_eq!((found.fault.offset, found.record, found.tail), (at, record, false), "{bytes:?}");
            assert_eq!(found.reported, at + 8);
            assert_eq!(found.fault.field, "kind of a fragment");
        }
        // The checksum is looked at first, the length before both.
        let mut bytes = fragment(7, b"x");
        bytes[7] = 0;
        assert!(matches!(fault(&bytes).fault.kind, FaultKind::Checksum { .. }));
        bytes[1] = 0x80;
        let found = fault(&bytes);
        assert_eq!((found.fault.field, found.reported, found.tail), ("length of a fragment", 7, false));
        assert_eq!(fault(&[1, 0x7f, 0xfa]).fault.field, "length of a fragment");
        assert_eq!(fault(&[1, 0x7f, 0xf9]).fault.field, "fragment");
        // Between a first and a last fragment there may be zeros.
        let bytes = [&first[..], &vec![0; PAGE_LEN - 8], &last].concat();
        assert_eq!(read(&bytes), (vec![(0, PAGE_LEN as u64 + 8, b"xx".to_vec())], None));
    }

    #[test]
    fn a_record_cut_anywhere_is_a_torn_tail() {
        let whole = [fragment(1, b"whole"), fragment(1, b"the one that is cut")].concat();
        for cut in 12..whole.len() {
            let (found, fault) = read(&whole[..cut]);
            assert_eq!(found[0], (0, 12, b"whole".to_vec()));
            // What is left of the header makes a fragment of nothing, whose checksum is zero.
            let nothing = cut == 13 || cut == 14;
            assert_eq!((found.len(), fault.is_none()), (1 + usize::from(nothing), cut <= 14), "{cut}");
            let Some(fault) = fault else { continue };
            assert_eq!((fault.fault.offset, fault.record, fault.tail), (12, 12, true), "{cut}");
        }
        // What was cut off were zeros: the fragment is whole.
        let zeros = fragment(1, &[1, 0, 0, 0]);
        assert_eq!(read(&zeros[..8]), (vec![(0, 11, vec![1, 0, 0, 0])], None));
        assert_eq!(read(&[1]), (vec![(0, 7, vec![])], None));
    }

    #[test]
    fn a_record_without_its_end_is_torn_unless_zeros_follow() {
        let first = [filler(20), fragment(2, &[5; 13])].concat();
        assert_eq!(first.len(), PAGE_LEN);
        let found = fault(&first);
        assert_eq!((found.fault.offset, found.record, found.tail), (PAGE_LEN as u64, PAGE_LEN as u64 - 20, true));
        assert_eq!((found.fault.field, found.reported), ("rest of a record", PAGE_LEN as u64));
        let mut records = Records::new(&first[PAGE_LEN - 20..]);
        assert_eq!((records.next(), records.unfinished()), (None, Some(0)), "the page is filled up");
        let bytes = [first, vec![0; 5]].concat();
        let mut records = Records::new(&bytes);
        assert!(records.next().unwrap().is_ok());
        assert_eq!((records.next(), records.unfinished()), (None, Some(PAGE_LEN as u64 - 20)));
    }

    #[test]
    fn zeros_where_records_should_be_are_seen() {
        let blank = |bytes: &[u8]| {
            let mut records = Records::new(bytes);
            assert!(records.by_ref().all(|r| r.is_ok()));
            records.blank().map(|b| (b.offset, b.followed))
        };
        let page = PAGE_LEN as u64;
        for left in 0..FRAGMENT_HEADER_LEN {
            assert_eq!(blank(&[filler(left), vec![0; left], fragment(1, b"x"), vec![0; 99]].concat()), None);
        }
        assert_eq!(blank(&[filler(7), vec![0; 7]].concat()), None, "the end of a segment");
        assert_eq!(blank(&[filler(7), vec![0; 7], fragment(1, b"x")].concat()), Some((page - 7, true)));
        assert_eq!(blank(&[filler(3), vec![0; 3 + PAGE_LEN], fragment(1, b"x")].concat()), Some((page, true)));
        assert_eq!(blank(&[filler(3), vec![0; 4]].concat()), Some((page, false)), "one byte of a page");
        assert_eq!((blank(&[0]), blank(&[])), (Some((0, false)), None));
    }

    #[test]
    fn pages_that_end_in_a_header_end_in_silence_as_upstream_has_it() {
        let mut bytes = [filler(7), fragment(1, &[0; 50])].concat();
        bytes.truncate(PAGE_LEN);
        let mut records = Records::new(&bytes);
        assert!(records.next().unwrap().is_ok());
        assert_eq!((records.next(), records.unfinished()), (None, Some(PAGE_LEN as u64 - 7)));
        bytes[PAGE_LEN - 7] = 2;
        assert!(fault(&bytes).tail);
        let mut bytes = [filler(1), vec![1]].concat();
        assert_eq!(read(&bytes).1, None);
        bytes[PAGE_LEN - 1] = 3;
        assert!(fault(&bytes).tail);
        let bytes = [filler(3), vec![1, 0, 5]].concat();
        let found = fault(&bytes);
        assert_eq!((found.fault.field, found.reported, found.tail), ("header of a fragment", PAGE_LEN as u64, true));
    }

    #[test]
    fn damage_is_no_tail() {
        let two = [fragment(1, &[9; 600]), fragment(1, &[9; 600])].concat();
        let flipped = |at: usize, bit: u8| {
            let mut bytes = two.clone();
            bytes[at] ^= bit;
            fault(&bytes)
        };
        // In the first one, in the last one, and in the first one's length so that it reaches behind the end.
        assert!(!flipped(300, 1).tail);
        assert!(!flipped(900, 1).tail);
        let far = flipped(1, 0x10);
        assert_eq!((far.fault.offset, far.tail), (0, false));
        assert!(flipped(608, 0x10).tail, "nothing tells a damaged length of the last one from a cut");
        // Sectors that were never written.
        let mut bytes = two.clone();
        bytes[1024..].fill(0);
        assert!(fault(&bytes).tail);
        bytes.resize(3 * PAGE_LEN, 0);
        assert!(fault(&bytes).tail);
        bytes[2 * PAGE_LEN] = 1;
        assert!(!fault(&bytes).tail);
        let mut bytes = two.clone();
        bytes[512..607].fill(0);
        assert!(!fault(&bytes).tail, "another record follows");
        // Zeros at the end of the data are not enough.
        let mut bytes = fragment(1, &[[9; 40], [0; 40]].concat());
        bytes[8] ^= 1;
        assert!(!fault(&bytes).tail);
    }

    fn record(header: u8, stored: &[u8]) -> RawRecord<'static> {
        let bytes = fragment(header, stored);
        let record = Records::new(&bytes).limit(100_000).next().unwrap().unwrap();
        RawRecord { stored: Cow::Owned(record.stored.into_owned()), ..record }
    }

    fn decompressed(header: u8, stored: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut buffer = vec![0xee; 3];
        record(header, stored).decompress(&mut buffer).map(<[u8]>::to_vec)
    }

    fn snappy(data: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(data).unwrap()
    }

    #[test]
    fn the_last_fragments_flags_decide_and_snappy_wins() {
        let data = [2; 400];
        let block = snappy(&data);
        assert_eq!(decompressed(0x01, &data).unwrap(), data);
        assert_eq!(decompressed(0x09, &block).unwrap(), data);
        assert_eq!(decompressed(0x19, &block).unwrap(), data);
        assert_eq!(decompressed(0xe9, &block).unwrap(), data, "upper bits mean nothing");
        assert_eq!(decompressed(0x11, &zstd::encode_all(&data[..], 0).unwrap()).unwrap(), data);
        let bytes = [fragment(0x02, &block[..9]), fragment(0x0c, &block[9..])].concat();
        let record = Records::new(&bytes).next().unwrap().unwrap();
        assert_eq!(record.compression, Compression::Snappy);
        assert_eq!(record.decompress(&mut Vec::new()).unwrap(), data);
        for header in [0x01, 0x09, 0x11] {
            assert_eq!(decompressed(header, b"").unwrap(), b"", "nothing is nothing in every compression");
        }
        let names = [0x01, 0x09, 0x11].map(|h| super::Compression::of(h).name());
        assert_eq!(names, ["none", "snappy", "zstd"]);
    }

    #[test]
    fn snappy_lengths_are_not_believed() {
        let fails = |stored: &[u8]| decompressed(0x09, stored).unwrap_err();
        // 2^32 - 1 bytes, over the limit; 2^16 bytes within the limit but in too few bytes; more than 32 bits.
        let huge = fails(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41]);
        assert_eq!(huge.field, "length of a record");
        let dense = fails(&[0x80, 0x80, 0x04, 0x00, 0x41]);
        assert!(matches!(dense.kind, FaultKind::Malformed { found: 65536, .. }), "{dense}");
        assert_eq!(fails(&[0xff, 0xff, 0xff, 0xff, 0x1f, 0x00, 0x41]).field, "Snappy block");
        // The densest there is: 64 bytes for three.
        let mut block = vec![0x80, 0x80, 0x04, 0x00, 0x41];
        block.extend([0xfe, 0x01, 0x00].repeat(1023));
        block.extend([0xfa, 0x01, 0x00]);
        assert_eq!(decompressed(0x09, &block).unwrap(), vec![0x41; 65536]);
        // Short, long, a copy from before the start, a literal that is cut off.
        assert!(decompressed(0x09, &[2, 0x00, 0x41]).is_err());
        assert!(decompressed(0x09, &[0, 0x00, 0x41]).is_err());
        assert!(decompressed(0x09, &[4, 0x0e, 0x01, 0x00]).is_err());
        assert!(decompressed(0x09, &[4, 0x0c, 0x41]).is_err());
        assert_eq!(decompressed(0x09, &[0]).unwrap(), b"");
    }

    #[test]
    fn zstd_is_stopped_at_the_limit() {
        // Without a length in the frame, as a stream may be written.
        let zeros = |n: usize| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_contentsize(false).unwrap();
            std::io::Write::write_all(&mut encoder, &vec![0; n]).unwrap();
            encoder.finish().unwrap()
        };
        let claimed = zstd::zstd_safe::get_frame_content_size(&zeros(50_000));
        assert_eq!(claimed.ok(), Some(None));
        for n in [1, 4096, 4097, 99_999, 100_000] {
            assert_eq!(decompressed(0x11, &zeros(n)).unwrap().len(), n);
        }
        for n in [100_001, 10_000_000] {
            assert_eq!(decompressed(0x11, &zeros(n)).unwrap_err().field, "length of a record");
        }
        // With a length, and with one that is wrong.
        let mut frame = zstd::bulk::compress(&vec![0; 90_000], 3).unwrap();
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&frame).ok(), Some(Some(90_000)));
        assert_eq!(decompressed(0x11, &frame).unwrap().len(), 90_000);
        assert!(decompressed(0x11, &frame[..frame.len() - 1]).is_err());
        frame[6] ^= 1;
        assert!(decompressed(0x11, &frame).is_err());
        let big = zstd::bulk::compress(&vec![0; 100_001], 3).unwrap();
        assert_eq!(decompressed(0x11, &big).unwrap_err().field, "length of a record");
        // Frames one behind the other, and what is none.
        assert_eq!(decompressed(0x11, &[zeros(3), zeros(5)].concat()).unwrap().len(), 8);
        assert!(decompressed(0x11, &[&zeros(3)[..], b"x"].concat()).is_err());
        assert!(decompressed(0x11, b"nothing of the kind").is_err());
        // The limit holds for plain records, too.
        let bytes = fragment(1, &[0; 11]);
        let record = Records::new(&bytes).limit(10).next().unwrap().unwrap();
        assert!(record.decompress(&mut Vec::new()).is_err());
    }

    #[test]
    fn types_are_seen_without_decompressing() {
        let long: Vec<u8> = (0..70_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
        for len in [1, 59, 60, 61, 256, 257, 300, 65_536, 70_000] {
            let data = &long[..len];
            let compressed = snappy(data);
            let parts: Vec<&[u8]> = compressed.chunks(30_000).collect();
            let stored = Cow::Borrowed(&compressed[..]);
            assert!(!parts.is_empty());
            let record = RawRecord { offset: 0, end: 0, compression: Compression::Snappy, stored, limit: 1 << 20 };
            assert_eq!(record.peek_type(), Some(data[0]), "{len}");
        }
        assert_eq!(record(0x01, &[9, 8]).peek_type(), Some(9));
        assert_eq!(record(0x01, &[]).peek_type(), None);
        assert_eq!(record(0x11, &zstd::encode_all(&b"x"[..], 0).unwrap()).peek_type(), None);
        for stored in [&[][..], &[0x80], &[1], &[4, 0x0e, 1, 0], &[200, 0xf4, 1, 0]] {
            assert_eq!(record(0x09, stored).peek_type(), None, "{stored:?}");
        }
    }

    #[test]
    fn reading_may_start_inside() {
        let bytes = [fragment(1, b"before"), fragment(1, b"behind")].concat();
        let starts = |at| Records::new(&bytes).starting_at(at).map(|r| r.unwrap().offset).collect::<Vec<_>>();
        assert_eq!(starts(0), [0, 13]);
        assert_eq!(starts(13), [13]);
        assert_eq!(starts(26), [0; 0]);
        assert_eq!(starts(u64::MAX), [0; 0]);
    }
}
