//! What the writer writes the reader reads: chunks and whole blocks. The chunk decoder that looks ahead against one
//! that takes a bit at a time, on chunks that no writer wrote.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use promproof::labels::{Label, Labels};
use promproof::raw::{Cursor, ReadMode};
use promproof::sample::{STALE_NAN_BITS, Samples};
use promproof::samples::{Reach, load};
use promproof::series::select;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::tsdb::chunkenc::xor;
use promproof::tsdb::chunks::ChunkSlice;
use promproof::tsdb::meta::Parent;
use promproof::tsdb::write::{BlockWriter, Compaction, RawChunk, XorEncoder};
use promproof::tsdb::{BlockMeta, Ulid};

use crate::random::Random;

/// The decoder under test, with `behind` following the chunk as the rest of a segment would.
fn decoded(data: &[u8], behind: &[u8]) -> Option<Samples> {
    let window = [data, behind].concat();
    let chunk = ChunkSlice { encoding: 1, window: &window, len: data.len(), offset: 8, crc: 0 };
    let mut out = Samples::default();
    out.push(-1, 1);
    let ok = xor::decode(&chunk, &mut out).is_ok();
    assert_eq!((out.ts[0], out.bits[0]), (-1, 1), "what was there stays");
    assert!(ok || out.len() == 1, "nothing is appended on an error");
    out.ts.remove(0);
    out.bits.remove(0);
    ok.then_some(out)
}

/// The format read as it is described, one bit at a time; `None` for anything that is wrong.
fn decoded_bit_by_bit(data: &[u8]) -> Option<Samples> {
    struct Bits<'a>(&'a [u8], usize);
    impl Bits<'_> {
        fn take(&mut self, n: u32) -> Option<u64> {
            let mut value = 0;
            for _ in 0..n {
                let byte = *self.0.get(self.1 / 8)?;
                value = value << 1 | u64::from(byte >> (7 - self.1 % 8) & 1);
                self.1 += 1;
            }
            Some(value)
        }
        fn dod(&mut self, n: u32) -> Option<i64> {
            let raw = self.take(n)? as i64;
            Some(if raw > 1 << (n - 1) { raw - (1 << n) } else { raw })
        }
    }
    let mut out = Samples::default();
    let [a, b, rest @ ..] = data else { return None };
    let count = u16::from_be_bytes([*a, *b]);
    let mut head = Cursor::new(rest, 2);
    let (mut t, mut v, mut delta) = (0i64, 0u64, 0i64);
    let (mut leading, mut significant) = (0u32, 64u32);
    let mut bits = Bits(&[], 0);
    for i in 0..count {
        match i {
            0 => {
                t = head.varint("t").ok()?;
                v = head.u64("v").ok()?;
                out.push(t, v);
                continue;
            }
            1 => {
                delta = head.uvarint("delta").ok()? as i64;
                bits = Bits(head.rest(), 0);
            }
            _ => {
                let mut ones = 0;
                while ones < 4 && bits.take(1)? == 1 {
                    ones += 1;
                }
                delta = delta.wrapping_add(match ones {
                    0 => 0,
                    1 => bits.dod(14)?,
                    2 => bits.dod(17)?,
                    3 => bits.dod(20)?,
                    _ => bits.take(64)? as i64,
                });
            }
        }
        t = t.wrapping_add(delta);
        if bits.take(1)? == 1 {
            if bits.take(1)? == 1 {
                leading = bits.take(5)? as u32;
                significant = match bits.take(6)? as u32 {
                    0 => 64,
                    n => n,
                };
                if leading + significant > 64 {
                    return None;
                }
            }
            v ^= bits.take(significant)? << (64 - leading - significant);
        }
        out.push(t, v);
    }
    Some(out)
}

/// Samples of all kinds: counters and buckets with narrow windows, gauges, bit patterns, jumps in time, stale markers.
fn some_samples(r: &mut Random) -> Vec<(i64, u64)> {
    let count = [0, 1, 2, 3, 40, 120, 120, 300, 1500][r.below(9)];
    let kind = r.below(6);
    let mut t = (r.bits() as i64) >> r.below(64);
    let mut counter = r.bits() >> (24 + r.below(40));
    let mut v = 0;
    (0..count)
        .map(|_| {
            let late = match r.below(60) {
                0 => (r.bits() as i64) >> r.below(64),
                1 => [8192, -8191, 65536, -65535, 524_288, -524_287][r.below(6)],
                2 => 3,
                _ => 0,
            };
            t = t.wrapping_add(15_000).wrapping_add(late);
            v = match kind {
                0 => v,
                1 => r.bits(),
                2 => ((r.bits() % 90_000) as f64 / 1000.0).to_bits(),
                3 => v ^ (r.bits() >> r.below(64)) << r.below(64),
                _ => {
                    counter = counter.wrapping_add(r.bits() & r.bits() & 3);
                    (counter as f64).to_bits()
                }
            };
            if r.below(200) == 0 {
                v = STALE_NAN_BITS;
            }
            (t, v)
        })
        .collect()
}

fn encoded(samples: &[(i64, u64)]) -> Vec<u8> {
    let mut encoder = XorEncoder::new();
    for (t, v) in samples {
        encoder.push(*t, *v).unwrap();
    }
    encoder.finish()
}

#[test]
fn looking_ahead_and_bit_by_bit_agree_on_any_bytes() {
    let mut r = Random(20_251_125);
    let behind = r.bytes(4096);
    let (mut good, mut bad) = (0, 0);
    for i in 0..80_000 {
        let mut data = match i % 8 {
            // Random bytes behind a count that they may hold.
            0 => {
                let n = r.below(300);
                let count = (r.below(4 * n + 2) as u16).to_be_bytes();
                [&count[..], &r.bytes(n)].concat()
            }
            // Random bits with few ones: many samples per byte.
            1 => {
                let n = 12 + r.below(200);
                let count = (r.below(3 * n) as u16).to_be_bytes();
                [&count[..], &r.few_ones(n)].concat()
            }
            _ => encoded(&some_samples(&mut r)),
        };
        r.damage(i, &mut data);
        let behind = r.start_of(i, &behind);
        let expected = decoded_bit_by_bit(&data);
        if expected.is_some() {
            good += 1;
        } else {
            bad += 1;
        }
        assert!(
            decoded(&data, behind) == expected,
            "chunk {i} of {} bytes with {} behind it: {data:02x?}",
            data.len(),
            behind.len()
        );
    }
    assert!(good > 20_000 && bad > 20_000, "{good} good, {bad} bad");
}

#[test]
fn chunks_about_as_long_as_the_window_of_the_decoder() {
    let mut r = Random(7);
    let mut sizes = BTreeMap::new();
    for i in 0..400 {
        // 200 to 300 samples of random bits take 1900 to 2900 bytes.
        let samples: Vec<(i64, u64)> = (0..200 + r.below(100)).map(|k| (k as i64 * 1000, r.bits())).collect();
        let data = encoded(&samples);
        *sizes.entry(data.len() > 2048).or_insert(0) += 1;
        let behind = r.bytes(i % 20);
        let out = decoded(&data, &behind).unwrap();
        assert_eq!(out.iter().collect::<Vec<_>>(), samples);
        let cut = &data[..data.len() - 1 - r.below(8)];
        assert_eq!(decoded(cut, &data[cut.len()..]), decoded_bit_by_bit(cut));
    }
    assert!(sizes.len() == 2 && sizes.values().all(|n| *n > 20), "{sizes:?}");
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (-1000i32..1000).prop_map(|i| f64::from(i).to_bits()),
        2 => any::<f64>().prop_map(f64::to_bits),
        2 => any::<u64>(),
        1 => Just(STALE_NAN_BITS),
        1 => Just(0x7ff8_0000_0000_0001),
        1 => Just(1 << 63),
    ]
}

/// Label sets of any text, and label sets that share names and values as real ones do.
fn labels() -> impl Strategy<Value = Labels> {
    let name = prop_oneof![4 => "[a-f]", 1 => "[a-z_]{1,12}", 1 => "\\PC{1,6}"];
    let text = prop_oneof![4 => "[0-9]", 1 => "[a-z/{}]{1,200}", 1 => "\\PC{1,8}"];
    prop::collection::vec((name, text), 1..8).prop_map(|pairs| {
        let pairs = pairs.into_iter().map(|(n, v)| Label { name: n.into_bytes().into(), value: v.into_bytes().into() });
        Labels::normalized(pairs.collect()).0
    })
}

/// Strictly increasing times inside `range`, regular or not, with values that come in runs.
fn samples(range: Interval) -> impl Strategy<Value = Samples> {
    let times = prop_oneof![
        4 => (0i64..3_600_000, 1i64..60_000, 0usize..400).prop_map(move |(offset, step, n)| {
            let first = range.start.saturating_add(offset);
            (0..n as i64)
                .filter_map(|i| first.checked_add(i * step))
                .collect::<Vec<i64>>()
        }),
        1 => prop::collection::vec(range.start..=range.end, 0..200),
    ];
    let runs = prop::collection::vec((value(), 1usize..20), 1..40);
    (times, runs).prop_map(move |(mut ts, runs)| {
        ts.retain(|t| range.contains(*t));
        ts.sort_unstable();
        ts.dedup();
        let values = runs.iter().cycle().flat_map(|(v, n)| std::iter::repeat_n(*v, *n));
        Samples::new(ts.clone(), values.take(ts.len()).collect())
    })
}

/// Everything in a SOURCE that must be sound, by label set.
fn read(dir: &std::path::Path, read_mode: ReadMode) -> BTreeMap<Labels, Samples> {
    let options = OpenOptions { read_mode, ..OpenOptions::default() };
    let source = Source::open(dir, &options).unwrap();
    let opening = source.opening_ledger();
    assert!(opening.losses.is_empty(), "{:?}", opening.losses);
    let found = select(&source, &[]);
    assert!(found.ledger.losses.is_empty() && found.ledger.notes.is_empty());
    found
        .series
        .iter()
        .map(|s| {
            let loaded = load(&source, s, Interval::ALL, Reach::Exact);
            assert!(loaded.ledger.losses.is_empty(), "{:?}", loaded.ledger);
            assert!(loaded.ledger.notes.is_empty(), "{:?}", loaded.ledger);
            (loaded.labels, loaded.samples)
        })
        .collect()
}

/// A series to write: samples and an interval to delete.
type Written = (Samples, Option<Interval>);

fn block() -> impl Strategy<Value = (Interval, BTreeMap<Labels, Written>, u64)> {
    // Half-open on disk, so nothing can be at the last millisecond of time.
    let range = prop_oneof![
        4 => Just(Interval::new(1_763_553_600_000, 1_763_560_799_999)),
        1 => Just(Interval::new(i64::MIN, i64::MAX - 1)),
        1 => Just(Interval::new(i64::MIN, i64::MIN + 10)),
        1 => Just(Interval::new(-5_000_000, 5_000_000)),
    ];
    range.prop_flat_map(|range| {
        let deleted = prop::option::weighted(
            0.2,
            (0i64..7_200_000, 0i64..1_000_000).prop_map(move |(from, length)| {
                let start = range.start.saturating_add(from);
                Interval::new(start, start.saturating_add(length))
            }),
        );
        let series = prop::collection::btree_map(labels(), (samples(range), deleted), 1..40);
        (Just(range), series, prop_oneof![Just(512u64 << 20), 200u64..4000])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn blocks_come_back((range, series, segment_bytes) in block()) {
        let dir = tempfile::tempdir().unwrap();
        let ulid = Ulid::from_parts(1_763_560_800_000, 77);
        let mut writer = BlockWriter::create(dir.path(), ulid, range.start, range.end + 1)
            .unwrap()
            .segment_bytes(segment_bytes);
        let mut expected = BTreeMap::new();
        for (labels, (samples, deleted)) in &series {
            writer.add_series(labels, samples).unwrap();
            if let Some(interval) = deleted {
                writer.delete(*interval).unwrap();
            }
            let mut left = Samples::default();
            for (t, v) in samples.iter() {
                if !deleted.is_some_and(|d| d.contains(t)) {
                    left.push(t, v);
                }
            }
            expected.insert(labels.clone(), left);
        }
        let stats = writer.finish().unwrap();
        let samples: usize = series.values().map(|(s, _)| s.len()).sum();
        prop_assert_eq!(stats.float_samples, samples as u64);
        prop_assert_eq!(stats.series, series.len() as u64);
        for mode in [ReadMode::Map, ReadMode::Read] {
            prop_assert_eq!(&read(dir.path(), mode), &expected);
        }
    }
}

fn up() -> Labels {
    Labels::from_pairs([("__name__", "up"), ("job", "recommender")])
}

fn three() -> Samples {
    Samples::new(vec![0, 15_000, 30_000], vec![1, 1, 2])
}

#[test]
fn an_ordinary_block_has_nothing_odd() {
    let dir = tempfile::tempdir().unwrap();
    let start = 1_763_553_600_000;
    let ulid = Ulid::from_parts(1_763_560_800_000, 1);
    let mut writer = BlockWriter::create(dir.path(), ulid, start, start + 7_200_000).unwrap();
    for instance in ["a:1", "b:1"] {
        let labels = [("__name__", "up"), ("instance", instance), ("job", "j")];
        let mut samples = Samples::default();
        for i in 0..480 {
            samples.push(start + i * 15_000, 1f64.to_bits());
        }
        let labels = Labels::from_pairs(labels);
        writer.add_series(&labels, &samples).unwrap();
    }
    writer.delete(Interval::new(start + 60_000, start + 90_000)).unwrap();
    let stats = writer.finish().unwrap();
    assert_eq!((stats.chunks, stats.tombstones, stats.segments), (8, 1, 1));
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let opening = source.opening_ledger();
    assert!(opening.losses.is_empty(), "{:?}", opening.losses);
    assert!(opening.notes.is_empty(), "{:?}", opening.notes);
    let counts: Vec<usize> = read(dir.path(), ReadMode::Map).values().map(Samples::len).collect();
    assert_eq!(counts, [480, 477]);
}

#[test]
fn what_would_be_no_sound_block_is_refused_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let ulid = Ulid::from_parts(1, 2);
    let text = |e: promproof::Error| e.to_string();
    assert!(BlockWriter::create(dir.path(), ulid, 5, 4).is_err());
    let mut writer = BlockWriter::create(dir.path(), ulid, 0, 30_000).unwrap();
    let again = BlockWriter::create(dir.path(), ulid, 0, 1).unwrap_err();
    assert!(text(again).contains("tmp-for-creation"));
    let outside = writer.add_series(&up(), &three()).unwrap_err();
    assert!(text(outside).contains("outside the block"));
    let mut back = three();
    back.ts[2] = 15_000;
    let back = writer.add_series(&up(), &back).unwrap_err();
    assert!(text(back).contains("strictly increase"));
    let mut ragged = three();
    ragged.bits.pop();
    assert!(writer.add_series(&up(), &ragged).is_err());
    let nameless = writer.add_series(&Labels::default(), &Samples::default());
    assert!(text(nameless.unwrap_err()).contains("without labels"));
    assert!(writer.delete(Interval::ALL).is_err(), "no series yet");
    writer.add_series(&up(), &Samples::default()).unwrap();
    let twice = writer.add_series(&up(), &Samples::default()).unwrap_err();
    assert!(text(twice).contains("label order"));
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    BlockWriter::create(dir.path(), ulid, 0, 1).unwrap().finish().unwrap();
    assert!(BlockWriter::create(dir.path(), ulid, 0, 1).is_err());
}

#[test]
fn meta_json_says_what_was_set_and_raw_chunks_go_in_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (ulid, parent) = (Ulid::from_parts(9, 9), Ulid::from_parts(8, 8));
    let mut writer = BlockWriter::create(dir.path(), ulid, 0, 60_000).unwrap();
    let compaction = Compaction {
        level: 2,
        sources: vec![parent],
        parents: vec![Parent { ulid: parent, min_time_ms: 0, max_time_ms: 60_000 }],
        hints: vec!["from-out-of-order".to_owned()],
        deletable: true,
        failed: true,
    };
    writer.set_compaction(compaction.clone());
    writer.set_meta("thanos", serde_json::json!({"labels": {"replica": "a"}}));
    let chunk = RawChunk::xor(three().iter()).unwrap();
    assert_eq!((chunk.min_time_ms, chunk.max_time_ms), (0, 30_000));
    // Twice the same: chunks that overlap.
    writer.add_chunks(&up(), &[chunk.clone(), chunk]).unwrap();
    let stats = writer.finish().unwrap();
    assert_eq!((stats.chunks, stats.float_samples), (2, 6));

    let bytes = std::fs::read(stats.dir.join("meta.json")).unwrap();
    let meta = BlockMeta::parse(&bytes).unwrap();
    assert_eq!((meta.ulid, meta.min_time_ms, meta.max_time_ms), (ulid, 0, 60_000));
    assert_eq!((meta.level, meta.sources), (2, compaction.sources));
    assert_eq!((meta.parents, meta.hints), (compaction.parents, compaction.hints));
    assert!(meta.deletable && meta.failed);
    assert_eq!(meta.external_labels, [("replica".to_owned(), "a".to_owned())]);
    assert_eq!(meta.stats.samples, Some(6));

    let keep = stats.dir.join("meta.json");
    let served = String::from_utf8(bytes).unwrap().replace("\"deletable\": true,", "");
    std::fs::write(keep, served).unwrap();
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let found = select(&source, &[]);
    let loaded = load(&source, &found.series[0], Interval::ALL, Reach::Exact);
    assert_eq!(loaded.samples, three());
    assert_eq!(loaded.ledger.duplicates, 3);
}
