//! Blocks made to cost much: few bytes that name many samples, labels or references.

use super::*;

/// An index of version 2 with correct checksums and whatever content.
struct Forger {
    bytes: Vec<u8>,
    series_at: usize,
    refs: Vec<u32>,
}

impl Forger {
    fn new(symbols: &[&[u8]]) -> Forger {
        let mut content = (symbols.len() as u32).to_be_bytes().to_vec();
        for s in symbols {
            put_uvarint(&mut content, s.len() as u64);
            content.extend_from_slice(s);
        }
        let mut forger = Forger { bytes: vec![0xba, 0xaa, 0xd7, 0x00, 2], series_at: 0, refs: Vec::new() };
        forger.section(&content);
        forger.pad(16);
        forger.series_at = forger.bytes.len();
        forger
    }

    fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn section(&mut self, content: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.extend_from_slice(&crc32c(content).to_be_bytes());
        at
    }

    /// A series of symbol numbers with chunks `(start, end, reference)`, all positive and ascending.
    fn series(&mut self, labels: &[(u64, u64)], chunks: &[(u64, u64, u64)]) {
        self.pad(16);
        self.refs.push((self.bytes.len() / 16) as u32);
        let mut c = Vec::new();
        put_uvarint(&mut c, labels.len() as u64);
        for (name, value) in labels {
            put_uvarint(&mut c, *name);
            put_uvarint(&mut c, *value);
        }
        put_uvarint(&mut c, chunks.len() as u64);
        let mut last: Option<(u64, u64, u64)> = None;
        for (start, end, reference) in chunks {
            match last {
                None => put_uvarint(&mut c, start * 2),
                Some((_, previous, _)) => put_uvarint(&mut c, start - previous),
            }
            put_uvarint(&mut c, end - start);
            match last {
                None => put_uvarint(&mut c, *reference),
                Some((_, _, previous)) => put_uvarint(&mut c, (reference - previous) * 2),
            }
            last = Some((*start, *end, *reference));
        }
        put_uvarint(&mut self.bytes, c.len() as u64);
        self.bytes.extend_from_slice(&c);
        self.bytes.extend_from_slice(&crc32c(&c).to_be_bytes());
    }

    /// Adds the lists (name, values that all use it, references) and the trailer.
    fn finish(mut self, lists: &[(&str, Vec<String>, Vec<u32>)]) -> Vec<u8> {
        self.pad(4);
        let postings_at = self.bytes.len();
        let mut table = (lists.iter().map(|l| l.1.len()).sum::<usize>() as u32).to_be_bytes().to_vec();
        for (name, values, refs) in lists {
            let mut content = (refs.len() as u32).to_be_bytes().to_vec();
            content.extend(refs.iter().flat_map(|r| r.to_be_bytes()));
            let at = self.section(&content);
            for value in values {
                put_uvarint(&mut table, 2);
                for s in [*name, value.as_str()] {
                    put_uvarint(&mut table, s.len() as u64);
                    table.extend_from_slice(s.as_bytes());
                }
                put_uvarint(&mut table, at as u64);
            }
        }
        let table_at = self.section(&table);
        let toc: Vec<u8> =
            [5, self.series_at, 0, 0, postings_at, table_at].iter().flat_map(|n| (*n as u64).to_be_bytes()).collect();
        self.bytes.extend_from_slice(&toc);
        self.bytes.extend_from_slice(&crc32c(&toc).to_be_bytes());
        self.bytes
    }
}

fn put_uvarint(to: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// A segment with one XOR chunk of `count` samples a millisecond apart from `start` on, all of value 0.
fn one_chunk_segment(start: u64, count: u16) -> Vec<u8> {
    let mut chunk = vec![1];
    chunk.extend_from_slice(&count.to_be_bytes());
    put_uvarint(&mut chunk, start * 2);
    chunk.extend_from_slice(&[0; 8]);
    if count > 1 {
        put_uvarint(&mut chunk, 1);
        // One bit for the second value, two for each further sample.
        chunk.resize(chunk.len() + (2 * usize::from(count) - 3).div_ceil(8), 0);
    }
    let mut segment = vec![0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];
    put_uvarint(&mut segment, chunk.len() as u64 - 1);
    segment.extend_from_slice(&chunk);
    segment.extend_from_slice(&crc32c(&chunk).to_be_bytes());
    segment
}

fn forged_block(index: &[u8], segment: &[u8], meta: &str) -> tempfile::TempDir {
    let dir = scratch();
    let block = "01M89YB0MVJPAEHFDVE9PG5M78";
    let meta =
        format!(r#"{{"ulid":"{block}","minTime":0,"maxTime":60000,"version":1,"compaction":{{"level":1}},{meta}}}"#);
    for (name, bytes) in [("index", index), ("chunks/000001", segment), ("meta.json", meta.as_bytes())] {
        write(dir.path(), &format!("{block}/{name}"), Some(bytes));
    }
    dir
}

fn all_of(refs: &[u32]) -> (&'static str, Vec<String>, Vec<u32>) {
    ("", vec![String::new()], refs.to_vec())
}

/// Loads everything from a forged block; the growth of the process is bounded.
fn load_forged(index: &[u8], segment: &[u8], meta: &str, selector: &str) -> (Answer, Ledger) {
    let dir = forged_block(index, segment, meta);
    let before = peak_kb();
    let started = Instant::now();
    let selector = Selector::parse(selector).unwrap();
    let found = read(dir.path(), PLAIN, &[selector]).unwrap();
    assert!(started.elapsed() < LONGEST);
    assert!(peak_kb().saturating_sub(before) < MOST_MEMORY_KB);
    found
}

#[test]
fn labels_of_one_series_do_not_multiply_a_symbol() {
    // 4000 labels with one value of a megabyte: 4 GB from an index of 1 MB.
    let names: Vec<String> = (0..4000).map(|i| format!("n{i:04}")).collect();
    let long = vec![b'x'; 1 << 20];
    let mut symbols: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    symbols.push(&long);
    let mut f = Forger::new(&symbols);
    let labels: Vec<(u64, u64)> = (0..4000).map(|i| (i, 4000)).collect();
    f.series(&labels, &[(0, 9, 8)]);
    let refs = f.refs.clone();
    let (answer, ledger) = load_forged(
        &f.finish(&[all_of(&refs), ("n0001", vec!["v".to_owned()], refs)]),
        &one_chunk_segment(0, 10),
        r#""stats":{"numSeries":1,"numChunks":1}"#,
        r#"{n0001!=""}"#,
    );
    assert!(answer.series.is_empty());
    assert_eq!(ledger.losses.len(), 1, "{:?}", ledger.losses);
    assert!(ledger.losses[0].detail.contains("labels of a series"));
}

#[test]
fn labels_of_many_series_do_not_multiply_a_symbol() {
    // 20000 series with one value of half a megabyte: 10 GB from an index of 1 MB.
    let long = vec![b'x'; 1 << 19];
    let mut f = Forger::new(&[b"a", &long]);
    for _ in 0..20_000 {
        f.series(&[(0, 1)], &[]);
    }
    let refs = f.refs.clone();
    let (_, ledger) = load_forged(
        &f.finish(&[all_of(&refs), ("a", vec!["v".to_owned()], refs)]),
        &one_chunk_segment(0, 10),
        r#""stats":{"numSeries":20000}"#,
        r#"{a!=""}"#,
    );
    assert!(ledger.losses.len() > 19_000, "what does not fit is a loss, not memory");
}

#[test]
fn many_table_entries_do_not_multiply_a_list() {
    // 20000 values that share a list of 20000 series: 400 million references from an index of a megabyte.
    let mut f = Forger::new(&[b"a", b"b"]);
    for _ in 0..20_000 {
        f.series(&[(0, 1)], &[]);
    }
    let refs = f.refs.clone();
    let values = (0..20_000).map(|i| format!("{i}")).collect();
    let (answer, ledger) = load_forged(
        &f.finish(&[all_of(&refs), ("a", values, refs.clone())]),
        &one_chunk_segment(0, 10),
        r#""stats":{"numSeries":20000}"#,
        r#"{a=~".+"}"#,
    );
    assert_eq!(answer.series.len(), 1, "all series have the same labels");
    assert!(ledger.losses.is_empty());
    assert!(ledger.notes.iter().any(|n| n.contains("each series once")));
}

#[test]
fn a_series_that_no_list_names_is_found_by_a_scan() {
    let mut f = Forger::new(&[b"__name__", b"up"]);
    f.series(&[(0, 1)], &[(5, 14, 8)]);
    let (answer, ledger) = load_forged(
        &f.finish(&[all_of(&[])]),
        &one_chunk_segment(5, 10),
        r#""stats":{"numSeries":1,"numChunks":1}"#,
        "up",
    );
    assert_eq!(answer.series.values().map(Vec::len).sum::<usize>(), 10);
    assert!(ledger.losses.is_empty());
    assert!(ledger.notes.iter().any(|n| n.contains("list of all series")));
}

/// A segment of XOR chunks with two samples each, `(first, second, value bits)`, and the reference of each chunk.
fn pair_segment(pairs: impl Iterator<Item = (u64, u64, u64)>) -> (Vec<u8>, Vec<(u64, u64, u64)>) {
    let mut segment = vec![0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];
    let mut chunks = Vec::new();
    for (first, second, value) in pairs {
        chunks.push((first, second, segment.len() as u64));
        let mut chunk = vec![1, 0, 2];
        put_uvarint(&mut chunk, first * 2);
        chunk.extend_from_slice(&value.to_be_bytes());
        put_uvarint(&mut chunk, second - first);
        chunk.push(0);
        put_uvarint(&mut segment, chunk.len() as u64 - 1);
        segment.extend_from_slice(&chunk);
        segment.extend_from_slice(&crc32c(&chunk).to_be_bytes());
    }
    (segment, chunks)
}

#[test]
fn many_series_do_not_multiply_a_chunk() {
    // 1000 series that name one chunk of 65535 samples: a gigabyte from 60 KB.
    let names: Vec<String> = (0..1000).map(|i| format!("v{i:04}")).collect();
    let mut symbols: Vec<&[u8]> = vec![b"a"];
    symbols.extend(names.iter().map(String::as_bytes));
    let mut f = Forger::new(&symbols);
    for i in 0..1000 {
        f.series(&[(0, 1 + i)], &[(0, 65_534, 8)]);
    }
    let refs = f.refs.clone();
    load_forged(
        &f.finish(&[all_of(&refs), ("a", vec!["v".to_owned()], refs)]),
        &one_chunk_segment(0, 65_535),
        r#""stats":{"numSeries":1000,"numChunks":1000}"#,
        r#"{a!=""}"#,
    );
}

#[test]
fn many_overlapping_chunks_end_in_time() {
    // 100000 chunks of two samples that all overlap: 200000 times x 100000 runs from 3 MB.
    let (segment, chunks) = pair_segment((0..100_000).map(|i| (i, i + 1_000_000, 0)));
    // The starts go back behind the previous end, which the index holds as a wrapped difference: not written here, so
    // the index claims ranges in ascending order and the chunks hold others.
    let claimed: Vec<_> = (0u64..).zip(&chunks).map(|(i, c)| (i * 2, i * 2 + 1, c.2)).collect();
    let mut f = Forger::new(&[b"a", b"b"]);
    f.series(&[(0, 1)], &claimed);
    let refs = f.refs.clone();
    let (answer, _) = load_forged(
        &f.finish(&[all_of(&refs), ("a", vec!["b".to_owned()], refs)]),
        &segment,
        r#""stats":{"numSeries":1,"numChunks":100000}"#,
        r#"{a!=""}"#,
    );
    assert_eq!(answer.series.values().map(Vec::len).sum::<usize>(), 200_000);
}

#[test]
fn many_deletions_end_in_time() {
    // One series with 400000 deleted intervals behind 65535 samples.
    let mut f = Forger::new(&[b"a", b"b"]);
    f.series(&[(0, 1)], &[(0, 65_534, 8)]);
    let series = u64::from(f.refs[0]);
    let refs = f.refs.clone();
    let index = f.finish(&[all_of(&refs), ("a", vec!["b".to_owned()], refs)]);
    let mut body = Vec::new();
    for i in 0..400_000u64 {
        put_uvarint(&mut body, series);
        put_uvarint(&mut body, (65_534 + 2 * i) * 2);
        put_uvarint(&mut body, (65_534 + 2 * i) * 2);
    }
    let mut stones = vec![0x01, 0x30, 0xba, 0x30, 1];
    stones.extend_from_slice(&body);
    stones.extend_from_slice(&crc32c(&body).to_be_bytes());
    let dir = forged_block(&index, &one_chunk_segment(0, 65_535), r#""stats":{"numSeries":1}"#);
    write(dir.path(), "01M89YB0MVJPAEHFDVE9PG5M78/tombstones", Some(&stones));
    let started = Instant::now();
    let found = read(dir.path(), PLAIN, &[Selector::parse(r#"{a!=""}"#).unwrap()]);
    let (answer, _) = found.unwrap();
    assert_eq!(answer.series.values().map(Vec::len).sum::<usize>(), 65_534);
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

#[test]
fn a_long_way_back_ends_in_time() {
    // 100000 chunks of stale markers before the interval that is asked for.
    let (segment, chunks) = pair_segment((0..100_000).map(|i| (2 * i, 2 * i + 1, 0x7ff0_0000_0000_0002)));
    let mut f = Forger::new(&[b"a", b"b"]);
    f.series(&[(0, 1)], &chunks);
    let refs = f.refs.clone();
    let index = f.finish(&[all_of(&refs), ("a", vec!["b".to_owned()], refs)]);
    let dir = forged_block(&index, &segment, r#""stats":{"numSeries":1}"#);
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let started = Instant::now();
    let loaded =
        load_all(&source, &Selector::parse(r#"{a!=""}"#).unwrap(), Interval::new(300_000, 300_001), Reach::WithHistory);
    assert_eq!(loaded.series.len(), 1);
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}
