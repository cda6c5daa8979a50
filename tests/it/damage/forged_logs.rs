//! Records and head chunks with correct checksums and numbers that no server writes, put behind good ones.

use super::*;

fn varint(n: i64) -> Vec<u8> {
    uvarint(((n << 1) ^ (n >> 63)) as u64)
}

fn uvarint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn be(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

/// One whole record in one fragment.
fn fragment(flags: u8, stored: &[u8]) -> Vec<u8> {
    let len = (stored.len() as u16).to_be_bytes();
    [&[flags | 1][..], &len, &crc32c(stored).to_be_bytes(), stored].concat()
}

/// Numbers at the edges of what a field holds.
const EDGES: [u64; 8] = [0, 1, 127, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, u64::MAX];

fn in_order_records() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: String, parts: &[&[u8]]| all.push((what, parts.concat()));
    let label = b"\x01a\x01b";
    for n in EDGES {
        let (raw, fixed, signed) = (uvarint(n), be(n), varint(n as i64));
        add(format!("series with {n} labels"), &[&[1], &be(7000), &raw, label]);
        add(format!("series with a name of {n} bytes"), &[&[1], &be(7000), &[1], &raw, b"a\x01b"]);
        add(format!("series {n}"), &[&[1], &fixed, &[1], label, &fixed, &[1], b"\x01a\x01c"]);
        add(format!("sample of series {n}"), &[&[2], &fixed, &be(1), &[0, 0], &be(0)]);
        add(format!("sample at {n}"), &[&[2], &be(1), &fixed, &[0, 0], &be(0), &[0], &signed, &be(1)]);
        add(format!("sample, series and time {n} further"), &[&[2], &be(1), &be(1), &signed, &signed, &be(0)]);
        add(
            format!("sample of version 2 at {n}"),
            &[&[11], &varint(1), &signed, &signed, &be(0), &signed, &signed, &[2], &signed, &be(0)],
        );
        add(format!("deletion from {n}"), &[&[3], &be(1), &signed, &varint(i64::MAX)]);
        add(format!("deletion to {n}"), &[&[3], &be(1), &varint(i64::MIN), &signed, &fixed, &signed, &signed]);
        add(format!("exemplar with {n} labels"), &[&[4], &be(1), &be(1), &[0, 0], &be(0), &raw, label]);
        add(format!("metadata of series {n}"), &[&[6], &raw, &[1, 1], b"\x04UNIT\x01s"]);
        add(format!("metadata with {n} fields"), &[&[6], &[1, 1], &raw, b"\x04UNIT\x01s"]);
        for kind in [7, 8, 9, 10] {
            let late = be(1_787_964_400_000);
            let counts = if kind % 2 == 1 { vec![0, 0] } else { vec![0; 16] };
            let head = |schema: i64| {
                [&[kind][..], &be(3), &late, &[0, 0, 0], &varint(schema), &be(0), &counts, &be(0)].concat()
            };
            add(format!("histogram {kind} of schema {n}"), &[&head(n as i64), &[0; 4]]);
            add(format!("histogram {kind} with {n} spans"), &[&head(0), &raw, &[0, 1, 0, 1, 2]]);
            add(format!("histogram {kind} with a span of {n}"), &[&head(0), &[1, 0], &raw, &[0, 1, 2, 0]]);
            add(format!("histogram {kind} with a span at {n}"), &[&head(0), &[1], &signed, &[1, 0, 1, 2, 0]]);
            add(format!("histogram {kind} with {n} buckets"), &[&head(0), &[1, 0, 1, 0], &raw, &[2, 0]]);
            add(format!("histogram {kind} with {n} bounds"), &[&head(-53), &[0, 0, 0, 0], &raw, &be(1)]);
        }
    }
    let out_of_order: &[&[u8]] = &[&[1], &be(7001), &[2], b"\x01b\x01x\x01a\x01y"];
    add("labels out of order".into(), out_of_order);
    add("a label twice".into(), &[&[1], &be(7002), &[2], b"\x01a\x01x\x01a\x01y"]);
    add("an existing series under another reference".into(), &[&[1], &be(7003), &[1], b"\x08__name__\x0agone_early"]);
    add("another series under an existing reference".into(), &[&[1], &be(1), &[1], label]);
    add("an unknown type".into(), &[&[200], &[1; 40]]);
    add("a type alone".into(), &[&[2]]);
    all
}

fn fragments() -> Vec<(String, Vec<u8>)> {
    const SNAPPY: u8 = 8;
    const ZSTD: u8 = 16;
    let mut all: Vec<(String, Vec<u8>)> =
        in_order_records().into_iter().map(|(what, record)| (what, fragment(0, &record))).collect();
    let zeros = vec![0; 64 << 20];
    let packed = zstd::encode_all(&zeros[..], 1).unwrap();
    all.push((format!("64 MB in {} bytes of zstd", packed.len()), fragment(ZSTD, &packed)));
    let mut many = Vec::new();
    (0..400).for_each(|_| many.extend_from_slice(&fragment(ZSTD, &packed[..packed.len().min(20_000)])));
    all.push(("25 GB of zstd".into(), many));
    let snappy = snap::raw::Encoder::new().compress_vec(&zeros[..400_000]).unwrap();
    all.push((format!("400 KB in {} bytes of snappy", snappy.len()), fragment(SNAPPY, &snappy)));
    for n in EDGES {
        let stored = [&uvarint(n)[..], &[0, 1]].concat();
        all.push((format!("snappy of {n} bytes"), fragment(SNAPPY, &stored)));
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &n.to_le_bytes(), &[1, 0, 0]].concat();
        all.push((format!("zstd of {n} bytes"), fragment(ZSTD, &frame)));
    }
    all
}

/// The bits of a chunk of three floats whose last delta of deltas is `dod`.
fn xor(first: i64, dod: i64, count: u16) -> Vec<u8> {
    let mut data = count.to_be_bytes().to_vec();
    data.extend(varint(first));
    data.extend(be(0));
    data.extend(uvarint(1000));
    // Value as before: 0; then 1111 and 64 bits, value as before: 0.
    let bits = 0b0_1111u128 << 65 | u128::from(dod as u64) << 1;
    data.extend((bits << (128 - 70)).to_be_bytes().into_iter().take(9));
    data
}

fn head_chunk(series: u64, min: i64, max: i64, encoding: u8, len: u64, data: &[u8]) -> Vec<u8> {
    let mut chunk = [&be(series)[..], &be(min as u64), &be(max as u64), &[encoding], &uvarint(len), data].concat();
    let crc = crc32c(&chunk).to_be_bytes();
    chunk.extend(crc);
    chunk.extend([0; 64]);
    chunk
}

fn head_chunks() -> Vec<(String, Vec<u8>)> {
    const T: i64 = 1_787_964_400_000;
    let mut all = Vec::new();
    for dod in [i64::MIN, i64::MIN + 1, -1 << 32, 1 << 32, i64::MAX] {
        for count in [0, 1, 3, 4, u16::MAX] {
            let data = xor(T, dod, count);
            let chunk = head_chunk(1, T, T + 3000, 1, data.len() as u64, &data);
            all.push((format!("delta of deltas of {dod}, {count} samples"), chunk));
        }
    }
    let data = xor(T, 0, 3);
    let len = data.len() as u64;
    for encoding in 0..=255 {
        all.push((format!("encoding {encoding}"), head_chunk(1, T, T + 2000, encoding, len, &data)));
    }
    for (min, max) in [(T + 2000, T), (i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, 1), (T, i64::MAX)] {
        for encoding in [1, 0x81] {
            all.push((format!("times {min} to {max}"), head_chunk(1, min, max, encoding, len, &data)));
        }
    }
    for n in EDGES {
        all.push((format!("series {n}"), head_chunk(n, T, T + 2000, 1, len, &data)));
        all.push((format!("length {n}"), head_chunk(1, T, T + 2000, 1, n, &data)));
    }
    let twice = head_chunk(1, T, T + 2000, 1, len, &data);
    let one = &twice[..twice.len() - 64];
    all.push(("twice the same chunk".into(), [one, &twice].concat()));
    all.push(("one chunk of two series".into(), [one, &head_chunk(2, T, T + 2000, 1, len, &data)].concat()));
    all
}

/// `new` behind what a file has, the zeros at its end not counted.
fn behind(file: &str, bytes: &[u8], ends: usize, class: &str, (what, new): (String, Vec<u8>)) -> Mutation {
    Mutation {
        class: class.to_owned(),
        what: format!("{file}, {what}"),
        edits: vec![(file.to_owned(), Edit::Whole([&bytes[..ends], &new].concat()))],
    }
}

fn end_of_records(bytes: &[u8]) -> usize {
    promproof::wal::Records::new(bytes).last().map_or(0, |r| r.unwrap().end as usize)
}

#[test]
fn forged_records_and_chunks_end_in_an_answer_or_an_error() {
    let golden = directory::golden();
    let mut mutations = Vec::new();
    for file in ["wal/00000002", "wal/00000008", "wal/checkpoint.00000001/00000000"] {
        let bytes = &golden.files[file];
        let end = end_of_records(bytes);
        mutations.extend(fragments().into_iter().map(|f| behind(file, bytes, end, "forged record", f)));
        for n in EDGES {
            let first = [fragment(0, &[&[14][..], &be(n)].concat()), bytes.clone()].concat();
            let new = (format!("nothing before {n}"), first);
            mutations.push(behind(file, bytes, 0, "forged minimum", new));
        }
    }
    for file in ["wbl/00000007", "wbl/00000009"] {
        let bytes = &golden.files[file];
        let end = end_of_records(bytes);
        for (a, b) in EDGES.iter().flat_map(|a| EDGES.map(|b| (*a, b))) {
            let marker = (format!("series {a} in chunk {b}"), fragment(0, &[&[5][..], &be(a), &be(b)].concat()));
            mutations.push(behind(file, bytes, end, "forged marker", marker));
        }
        mutations.extend(fragments().into_iter().map(|f| behind(file, bytes, end, "forged late record", f)));
    }
    for file in ["chunks_head/000008", "chunks_head/000009"] {
        let bytes = &golden.files[file];
        // Of the 64 zeros at the end none belongs to a chunk.
        let end = bytes.iter().rposition(|b| *b != 0).unwrap().max(7) + 1;
        mutations.extend(head_chunks().into_iter().map(|c| behind(file, bytes, end, "forged head chunk", c)));
    }
    let before = peak_kb();
    let tally = run(&golden, &mutations, &no_excuse);
    print("records and chunks", &tally, mutations.len());
    bounded(&tally, before);
}
