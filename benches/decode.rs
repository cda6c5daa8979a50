//! How long it takes to read an XOR chunk: length, checksum, samples.
//!
//! One iteration reads 1 000 000 samples, so **milliseconds per iteration are nanoseconds per sample**. Iterations walk
//! through data that does not fit in the caches (`real`, `regular`). Before anything is timed, every chunk is read
//! by both decoders and compared with the samples that were written.
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=x86-64-v3" cargo bench --bench decode
//! ```

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

mod made;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Mutex;

use divan::Bencher;
use divan::counter::ItemsCount;

use made::{Kind, random, samples};
use promproof::raw::crc32c;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::xor;
use promproof::tsdb::chunks::ChunkSlice;
use promproof::tsdb::write::{SAMPLES_PER_CHUNK, XorEncoder};

/// Samples per iteration.
const PART: usize = 1_000_000;
/// Samples per series: 41 chunks of 120 samples and one of 80.
const SERIES: usize = 5_000;

/// Data sets: name, parts, and the kinds of series that take turns.
const SETS: &[(&str, usize, &[Kind])] = &[
    ("real", 32, REAL),
    ("regular", 32, &[Kind::Steady]),
    ("counters", 8, &[Kind::Busy]),
    ("idle", 8, &[Kind::Idle]),
    ("gauges", 8, &[Kind::Gauge]),
    ("buckets", 8, &[Kind::Bucket(1024)]),
    ("constants", 8, &[Kind::Constant]),
];

/// The mix of a server with a few services.
const REAL: &[Kind] = &[
    Kind::Busy,
    Kind::Idle,
    Kind::Gauge,
    Kind::Constant,
    Kind::Bucket(1024),
    Kind::Bucket(1024),
    Kind::Bucket(1024),
    Kind::Busy,
    Kind::Gauge,
    Kind::Idle,
];

/// The chunks of a segment, in parts of [`PART`] samples.
struct Set {
    segment: Vec<u8>,
    parts: Vec<Vec<usize>>,
}

fn main() {
    for (name, parts, _) in SETS {
        let per_sample = set(name).segment.len() as f64 / (parts * PART) as f64;
        println!("{name}: {per_sample:.2} bytes per sample, read alike by both decoders");
    }
    divan::main();
}

/// The set of that name, made and checked at its first use, then kept.
fn set(name: &str) -> &'static Set {
    static MADE: Mutex<BTreeMap<String, &'static Set>> = Mutex::new(BTreeMap::new());
    let mut sets = MADE.lock().unwrap();
    sets.entry(name.to_owned()).or_insert_with(|| Box::leak(Box::new(make(name))))
}

fn make(name: &str) -> Set {
    let (_, parts, kinds) = SETS.iter().find(|s| s.0 == name).unwrap();
    let mut random = random(7);
    let mut set = Set { segment: vec![0; 8], parts: Vec::new() };
    let mut kinds = kinds.iter().cycle();
    for _ in 0..*parts {
        let mut offsets = Vec::new();
        for kind in kinds.by_ref().take(PART / SERIES) {
            let written = samples(*kind, &mut random, 1_763_553_600_000, 15_000, SERIES);
            let chunks = written.ts.chunks(SAMPLES_PER_CHUNK);
            for (ts, bits) in chunks.zip(written.bits.chunks(SAMPLES_PER_CHUNK)) {
                let offset = append_chunk(&mut set.segment, ts, bits);
                check(&set.segment, offset, ts, bits);
                offsets.push(offset);
            }
        }
        set.parts.push(offsets);
    }
    // What follows the last chunk in a real segment is the next one.
    set.segment.resize(set.segment.len() + 4096, 0);
    set
}

fn append_chunk(segment: &mut Vec<u8>, ts: &[i64], bits: &[u64]) -> usize {
    let offset = segment.len();
    let mut encoder = XorEncoder::new();
    for (t, v) in ts.iter().zip(bits) {
        encoder.push(*t, *v).unwrap();
    }
    let data = encoder.finish();
    let mut length = data.len();
    while length >= 0x80 {
        segment.push(length as u8 | 0x80);
        length >>= 7;
    }
    segment.push(length as u8);
    let encoding_at = segment.len();
    segment.push(1);
    segment.extend_from_slice(&data);
    let crc = crc32c(segment.get(encoding_at..).unwrap());
    segment.extend_from_slice(&crc.to_be_bytes());
    offset
}

fn check(segment: &[u8], offset: usize, ts: &[i64], bits: &[u64]) {
    let mut out = Samples::default();
    ours(segment, offset, &mut out);
    assert_eq!((out.ts.as_slice(), out.bits.as_slice()), (ts, bits));
    let theirs = rusty(segment, offset);
    assert_eq!(theirs.len(), ts.len());
    for ((theirs, t), v) in theirs.iter().zip(ts).zip(bits) {
        assert_eq!((theirs.timestamp, theirs.value.to_bits()), (*t, *v));
    }
}

fn ours(segment: &[u8], offset: usize, out: &mut Samples) {
    let chunk = ChunkSlice::read(segment, offset as u64).unwrap();
    out.clear();
    xor::decode(&chunk, out).unwrap();
}

fn rusty(segment: &[u8], offset: usize) -> Vec<rusty_chunkenc::XORSample> {
    let (_, chunk) = rusty_chunkenc::read_chunk(segment.get(offset..).unwrap()).unwrap();
    // The crate hands out a slice of the chunk that it built.
    chunk.as_xor().unwrap().samples().to_vec()
}

/// Runs `read` on every chunk of a part, the next part at each iteration.
fn run(bencher: Bencher<'_, '_>, name: &str, mut read: impl FnMut(&[u8], usize)) {
    let set = set(name);
    let mut parts = set.parts.iter().cycle();
    bencher.counter(ItemsCount::new(PART)).with_inputs(|| parts.next().unwrap()).bench_local_values(|part| {
        for offset in part {
            read(&set.segment, *offset);
        }
    });
}

/// This crate: checksum and samples, into columns that are used again.
#[divan::bench(args = SETS.iter().map(|s| s.0), sample_count = 192)]
fn promproof(bencher: Bencher<'_, '_>, name: &str) {
    let mut out = Samples::default();
    run(bencher, name, |segment, offset| {
        ours(segment, offset, &mut out);
        black_box(&out);
    });
}

/// The checksum alone.
#[divan::bench(args = SETS.iter().map(|s| s.0), sample_count = 192)]
fn promproof_checksum_only(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, name, |segment, offset| {
        black_box(ChunkSlice::read(segment, offset as u64).unwrap());
    });
}

/// The crate rusty-chunkenc: checksum and samples, into a new vector per chunk.
#[divan::bench(args = SETS.iter().map(|s| s.0), sample_count = 32)]
fn rusty_chunkenc(bencher: Bencher<'_, '_>, name: &str) {
    run(bencher, name, |segment, offset| {
        let chunk = segment.get(offset..).unwrap();
        black_box(rusty_chunkenc::read_chunk(chunk).unwrap());
    });
}
