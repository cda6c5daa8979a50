//! Sets checksums right after a mutation, so that a fuzzer reaches the decoders behind them.

use std::sync::OnceLock;

use promproof::raw::crc32c;
use promproof::selector::Selector;

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

fn uvarint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for i in 0..10 {
        let byte = *bytes.get(at + i)?;
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte < 0x80 {
            return Some((value, at + i + 1));
        }
    }
    None
}

/// Writes the checksum of `from..to` behind it.
fn seal(bytes: &mut [u8], from: usize, to: usize) -> Option<()> {
    let crc = crc32c(bytes.get(from..to)?).to_be_bytes();
    bytes.get_mut(to..to.checked_add(4)?)?.copy_from_slice(&crc);
    Some(())
}

fn seal_section(bytes: &mut [u8], at: usize) -> Option<usize> {
    let length = u32_at(bytes, at)?;
    let to = at.checked_add(4)?.checked_add(length)?;
    seal(bytes, at + 4, to)?;
    Some(to + 4)
}

/// An index: trailer, symbols, series, postings lists, table of postings.
pub fn seal_index(bytes: &mut [u8]) {
    let _ = seal_index_sections(bytes);
}

fn seal_index_sections(bytes: &mut [u8]) -> Option<()> {
    let toc = bytes.len().checked_sub(52)?;
    seal(bytes, toc, toc + 48);
    let section = |bytes: &[u8], i: usize| u64_at(bytes, toc + 8 * i);
    if let Some(at) = section(bytes, 0) {
        seal_section(bytes, at);
    }
    if let Some(mut at) = section(bytes, 5) {
        seal_section(bytes, at);
        // Every list that the table names.
        at = at.checked_add(8)?;
        for _ in 0..64 {
            let Some((_, next)) = uvarint(bytes, at) else {
                break;
            };
            let Some((name, next)) = uvarint(bytes, next) else {
                break;
            };
            let Some(next) = next.checked_add(name as usize) else {
                break;
            };
            let Some((value, next)) = uvarint(bytes, next) else {
                break;
            };
            let Some(next) = next.checked_add(value as usize) else {
                break;
            };
            let Some((list, next)) = uvarint(bytes, next) else {
                break;
            };
            seal_section(bytes, list as usize);
            at = next;
        }
    }
    let mut at = section(bytes, 1)?;
    for _ in 0..256 {
        at = at.checked_next_multiple_of(16)?;
        let (length, from) = uvarint(bytes, at)?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        seal(bytes, from, to)?;
        at = to.checked_add(4)?;
    }
    Some(())
}

/// A tombstones file.
pub fn seal_tombstones(bytes: &mut [u8]) {
    if let Some(to) = bytes.len().checked_sub(4).filter(|n| *n >= 5) {
        seal(bytes, 5, to);
    }
}

/// All chunks of a segment, one behind the other.
pub fn seal_segment(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some((length, encoding)) = uvarint(bytes, at) {
        let Some(to) = usize::try_from(length)
            .ok()
            .and_then(|n| encoding.checked_add(n)?.checked_add(1))
        else {
            return;
        };
        if seal(bytes, encoding, to).is_none() {
            return;
        }
        at = to + 4;
    }
}

/// The fragments of a log's segment, until its kinds or lengths stop making sense.
pub fn seal_log(bytes: &mut [u8]) {
    const PAGE: usize = 32 * 1024;
    let mut at = 0;
    while let Some(header) = bytes.get(at) {
        if header & 7 == 0 {
            at = (at / PAGE + 1) * PAGE;
            continue;
        }
        let Some([a, b]) = bytes.get(at + 1..at + 3) else {
            return;
        };
        let end = at + 7 + (usize::from(*a) << 8 | usize::from(*b));
        let Some(data) = bytes.get(at + 7..end) else {
            return;
        };
        let crc = crc32c(data).to_be_bytes();
        bytes[at + 3..at + 7].copy_from_slice(&crc);
        at = end;
    }
}

/// The chunks of a head chunk file, one behind the other.
pub fn seal_head_chunks(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some((length, data)) = uvarint(bytes, at + 25) {
        let Some(to) = usize::try_from(length).ok().and_then(|n| data.checked_add(n)) else {
            return;
        };
        if seal(bytes, at, to).is_none() {
            return;
        }
        at = to + 4;
    }
}

/// All headers of a tar, one behind the other as their sizes say.
pub fn seal_tar(bytes: &mut [u8]) {
    let mut at = 0usize;
    while let Some(header) = bytes.get_mut(at..).and_then(|b| b.first_chunk_mut::<512>()) {
        if header.iter().any(|b| *b != 0) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let size = header[124..136]
            .iter()
            .filter(|b| (b'0'..=b'7').contains(b))
            .fold(0usize, |n, b| n.wrapping_mul(8).wrapping_add(usize::from(b - b'0')));
        let Some(next) = size.checked_next_multiple_of(512).and_then(|n| n.checked_add(at)?.checked_add(512)) else {
            return;
        };
        at = next;
    }
}

/// Every matcher that a selection of series meets in practice.
pub fn selectors() -> &'static [Selector] {
    static PARSED: OnceLock<Vec<Selector>> = OnceLock::new();
    PARSED.get_or_init(|| {
        [
            r#"{__name__=~".+"}"#,
            r#"up{job="api",code!="500"}"#,
            r#"{job=~"a.*|",__name__!=""}"#,
        ]
        .iter()
        .filter_map(|s| Selector::parse(s).ok())
        .collect()
    })
}
