//! Changes below the checksums, which are set right afterwards.

use super::*;

/// A part of a file that a checksum covers: content, and where the checksum stands.
struct Sealed {
    class: &'static str,
    from: usize,
    to: usize,
    crc_at: usize,
    /// The length before the content: place and bytes; a varint where it has less than 4.
    length: Option<(usize, usize)>,
}

fn be(bytes: &[u8], at: usize, n: usize) -> usize {
    bytes[at..at + n].iter().fold(0, |v, b| v << 8 | usize::from(*b))
}

fn uvarint(bytes: &[u8], at: usize) -> (usize, usize) {
    let mut value = 0;
    let mut n = 0;
    loop {
        let byte = usize::from(bytes[at + n]);
        value |= (byte & 0x7f) << (7 * n);
        n += 1;
        if byte < 0x80 {
            return (value, n);
        }
    }
}

/// Every sealed part of a good file.
fn sealed_parts(file: &str, bytes: &[u8]) -> Vec<Sealed> {
    let mut parts = Vec::new();
    let section = |class, at: usize| {
        let (from, length) = (at + 4, be(bytes, at, 4));
        Sealed { class, from, to: from + length, crc_at: from + length, length: Some((at, 4)) }
    };
    match kind_of(file) {
        "index" => {
            let toc = bytes.len() - 52;
            parts.push(Sealed { class: "table of contents", from: toc, to: toc + 48, crc_at: toc + 48, length: None });
            let of = |i: usize| be(bytes, toc + 8 * i, 8);
            parts.push(section("symbols", of(0)));
            let table = section("postings table", of(5));
            let mut at = table.from + 4;
            while at < table.to {
                at += 1;
                for _ in 0..2 {
                    let (length, n) = uvarint(bytes, at);
                    at += n + length;
                }
                let (list, n) = uvarint(bytes, at);
                at += n;
                parts.push(section("postings list", list));
            }
            parts.push(table);
            let mut at = of(1);
            loop {
                at = at.next_multiple_of(16);
                let (length, n) = uvarint(bytes, at);
                if at >= of(4) || length == 0 {
                    break;
                }
                let from = at + n;
                parts.push(Sealed {
                    class: "series",
                    from,
                    to: from + length,
                    crc_at: from + length,
                    length: Some((at, n)),
                });
                at = from + length + 4;
            }
        }
        "chunks/000001" => {
            let mut at = 8;
            while at < bytes.len() {
                let (length, n) = uvarint(bytes, at);
                let from = at + n;
                parts.push(Sealed {
                    class: "chunk",
                    from,
                    to: from + 1 + length,
                    crc_at: from + 1 + length,
                    length: Some((at, n)),
                });
                at = from + 1 + length + 4;
            }
        }
        "wal" | "checkpoint" | "wbl" => {
            // No file here is longer than a page.
            let mut at = 0;
            while at < bytes.len() && bytes[at] & 7 != 0 {
                let from = at + 7;
                let to = from + be(bytes, at + 1, 2);
                parts.push(Sealed { class: "record", from, to, crc_at: at + 3, length: None });
                at = to;
            }
        }
        "chunks_head" => {
            let mut at = 8;
            while be(bytes, at, 8) != 0 {
                let (length, n) = uvarint(bytes, at + 25);
                let to = at + 25 + n + length;
                parts.push(Sealed { class: "head chunk", from: at, to, crc_at: to, length: None });
                at = to + 4;
            }
        }
        "tombstones" => parts.push(Sealed {
            class: "tombstones",
            from: 5,
            to: bytes.len() - 4,
            crc_at: bytes.len() - 4,
            length: None,
        }),
        _ => {}
    }
    parts
}

fn reseal(bytes: &mut [u8], from: usize, to: usize, crc_at: usize) {
    let crc = crc32c(&bytes[from..to]).to_be_bytes();
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc);
}

pub fn forgeries(files: &Files) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (file, bytes) in files {
        for p in sealed_parts(file, bytes) {
            let mut add = |what: String, change: &dyn Fn(&mut [u8])| {
                let mut forged = bytes.clone();
                change(&mut forged[p.from..p.to]);
                reseal(&mut forged, p.from, p.to, p.crc_at);
                all.push(Mutation {
                    class: format!("forged {}", p.class),
                    what: format!("{file} part at {}, {what}", p.from),
                    edits: vec![(file.clone(), Edit::patch(bytes, &forged))],
                });
            };
            let len = p.to - p.from;
            for bit in 0..len * 8 {
                add(format!("bit {bit}"), &|c| c[bit / 8] ^= 1 << (bit % 8));
            }
            // Counts, references and lengths that are far too high, as varints and as fixed integers.
            for at in 0..len {
                for value in [0x00u8, 0x01, 0x7f, 0x80, 0xff] {
                    add(format!("byte {at} = {value:#x}"), &|c| c[at] = value);
                }
                for wild in [
                    &[0xff, 0xff, 0xff, 0xff, 0x0f][..],
                    &[0x80, 0x80, 0x80, 0x80, 0x10],
                    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                    &[0xff, 0xff, 0xff, 0xff],
                    &[0x7f, 0xff, 0xff, 0xff],
                    &[0, 0, 0, 0],
                    &[0, 0, 0, 1, 0, 0, 0, 0],
                ] {
                    if at + wild.len() <= len {
                        add(format!("byte {at} on = {wild:02x?}"), &|c| {
                            c[at..at + wild.len()].copy_from_slice(wild);
                        });
                    }
                }
            }
            // A shorter content with a checksum of its own.
            if let Some((at, n)) = p.length {
                // A chunk's length leaves its encoding byte out.
                let counted = len - usize::from(p.class == "chunk");
                for shorter in 1..=counted.min(40) {
                    let length = counted - shorter;
                    let mut forged = bytes.clone();
                    if n == 4 {
                        forged[at..at + 4].copy_from_slice(&(length as u32).to_be_bytes());
                    } else {
                        // Overlong varints are legal, so the length keeps its width.
                        for i in 0..n {
                            let more = if i + 1 < n { 0x80 } else { 0 };
                            forged[at + i] = (length >> (7 * i)) as u8 & 0x7f | more;
                        }
                    }
                    reseal(&mut forged, p.from, p.to - shorter, p.to - shorter);
                    all.push(Mutation {
                        class: format!("shortened {}", p.class),
                        what: format!("{file} part at {}, {shorter} bytes less", p.from),
                        edits: vec![(file.clone(), Edit::patch(bytes, &forged))],
                    });
                }
            }
        }
    }
    all
}
