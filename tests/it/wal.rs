//! Logs, checkpoints, head chunks and chunk snapshots: what lies on disk, against what Prometheus' own library found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use promproof::labels::Labels;
use promproof::raw::{Cursor, Fault, crc32c};
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::histogram::{Counts, HistogramSample, Layout, ResetHint, Span};
use promproof::tsdb::chunkenc::{Encoding, claimed_samples, histogram, xor, xor2};
use promproof::tsdb::chunks::ChunkSlice;
use promproof::tsdb::head_chunks::{self, HeadChunkRef};
use promproof::wal::record::{self, HistogramRecord, SampleRecord, types};
use promproof::wal::snapshot::{self, SnapshotRecord};
use promproof::wal::{HeadSeriesRef, Records, list_checkpoints, list_segments};

use crate::support::{fixture_sets, read_json};

/// Counts of one log, in the form of `physical.json`.
#[derive(Debug, Default)]
struct Counted {
    segments: Vec<u64>,
    records: BTreeMap<String, u64>,
    entries: BTreeMap<String, u64>,
    /// Segment, reported offset, and whether it is a torn tail.
    damage: Option<(u64, u64, bool)>,
}

/// Reads a log until its first damage, handing each record to `check`.
fn walk_log(dir: &Path, mut check: impl FnMut(&[u8]) -> Result<Option<u64>, Fault>) -> Counted {
    let listed = list_segments(dir).unwrap();
    assert_eq!(listed.gap_before, Vec::<u64>::new(), "{}", dir.display());
    let mut counted = Counted { segments: listed.segments.iter().map(|s| s.number).collect(), ..Counted::default() };
    let mut buffer = Vec::new();
    for segment in &listed.segments {
        let bytes = std::fs::read(&segment.path).unwrap();
        assert_eq!(bytes.len() as u64, segment.len);
        let mut end = 0;
        for raw in Records::new(&bytes) {
            let raw = match raw {
                Ok(raw) => raw,
                Err(fault) => {
                    counted.damage = Some((segment.number, fault.reported, fault.tail));
                    return counted;
                }
            };
            assert!(raw.offset >= end && raw.end > raw.offset, "records follow each other");
            end = raw.end;
            let bytes = raw.decompress(&mut buffer).unwrap();
            if let Some(peeked) = raw.peek_type() {
                assert_eq!(Some(&peeked), bytes.first());
            }
            let found = bytes.first().map_or("none".to_owned(), |t| t.to_string());
            *counted.records.entry(found.clone()).or_default() += 1;
            if let Some(entries) = check(bytes).unwrap_or_else(|f| panic!("{}: {f}", segment.path.display())) {
                *counted.entries.entry(found).or_default() += entries;
            }
        }
    }
    counted
}

/// Reads a record with the decoder of its type, which must agree with [`record::check`].
fn entries(bytes: &[u8]) -> Result<Option<u64>, Fault> {
    let count = match bytes[0] {
        types::SERIES => {
            let mut out = Vec::new();
            record::series(bytes, &mut out)?;
            assert!(out.iter().all(|s| !s.odd_labels));
            out.len()
        }
        types::SAMPLES | types::SAMPLES_V2 => {
            let (mut out, mut each) = (Vec::new(), Vec::new());
            record::samples(bytes, &mut out)?;
            record::for_each_sample(bytes, |s| each.push(s))?;
            assert_eq!(out, each);
            assert!(bytes[0] == types::SAMPLES_V2 || out.iter().all(|s| s.start_ms == 0));
            out.len()
        }
        types::TOMBSTONES => {
            let mut out = Vec::new();
            record::tombstones(bytes, &mut out)?;
            out.len()
        }
        types::EXEMPLARS => {
            let mut out = Vec::new();
            record::exemplars(bytes, &mut out)?;
            out.len()
        }
        types::MMAP_MARKERS => {
            let mut out = Vec::new();
            record::markers(bytes, &mut out)?;
            out.len()
        }
        types::METADATA => {
            let mut out = Vec::new();
            record::metadata(bytes, &mut out)?;
            out.len()
        }
        // The fixtures count none.
        types::MIN_VALID_TIME => return record::min_valid_time(bytes).map(|_| Some(0)),
        t if (types::HISTOGRAMS..=types::FLOAT_HISTOGRAMS_V2).contains(&t) => {
            let mut out = Vec::new();
            assert_eq!(record::histograms(bytes, &mut out)?, 0);
            out.len()
        }
        t => {
            assert_eq!(types::name(t), None);
            0
        }
    };
    assert_eq!(record::check(bytes)?, count as u64);
    Ok(Some(count as u64))
}

fn numbers(value: &serde_json::Value) -> BTreeMap<String, u64> {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(k, v)| (k.clone(), v.as_u64().unwrap())).collect()
}

fn assert_log(name: &str, got: &Counted, want: &serde_json::Value) {
    let segments: Vec<u64> = want["segments"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(got.segments, segments, "{name}");
    assert_eq!(got.records, numbers(&want["records_by_type"]), "{name}");
    assert_eq!(got.entries, numbers(&want["entries_by_type"]), "{name}");
    let damage = want.get("damage").map(|d| (d["segment"].as_u64().unwrap(), d["offset"].as_u64().unwrap()));
    assert_eq!(got.damage.map(|(segment, offset, _)| (segment, offset)), damage, "{name}");
    // All damage in the fixtures is a cut.
    assert!(got.damage.is_none_or(|d| d.2), "{name}");
}

#[test]
fn logs_hold_what_prometheus_found_in_them() {
    let (mut logs, mut records, mut entries_read) = (0, 0, 0);
    for case in fixture_sets("encodings") {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let data = case.join("data");
        if !data.join("wal").is_dir() {
            continue;
        }
        let physical = read_json(&case.join("expected/physical.json"));
        let mut check = |what: &str, dir: &Path, want: &serde_json::Value| {
            let got = walk_log(dir, entries);
            assert_log(&format!("{name}: {what}"), &got, want);
            logs += 1;
            records += got.records.values().sum::<u64>();
            entries_read += got.entries.values().sum::<u64>();
        };
        for log in ["wal", "wbl"] {
            if data.join(log).is_dir() {
                check(log, &data.join(log), &physical[log]);
            }
        }
        let (checkpoints, _) = list_checkpoints(&data.join("wal")).unwrap();
        for listed in physical["checkpoints"].as_array().into_iter().flatten() {
            let folder = listed["name"].as_str().unwrap();
            let found = checkpoints.iter().find(|c| c.name == folder);
            assert_eq!(found.is_none(), folder.ends_with(".tmp"), "{name}: {folder}");
            check(folder, &data.join("wal").join(folder), &listed["log"]);
        }
    }
    println!("{logs} logs, {records} records, {entries_read} entries");
}

/// The number of samples in a chunk's data.
fn decoded(chunk: &ChunkSlice<'_>) -> usize {
    let mut out = Samples::default();
    match Encoding(chunk.encoding) {
        Encoding::XOR => xor::decode(chunk, &mut out).map(|_| out.len()),
        Encoding::XOR2 => xor2::decode(chunk, &mut out, None).map(|_| out.len()),
        _ => histogram::decode(chunk).map(|h| h.len()),
    }
    .unwrap()
}

#[test]
fn head_chunks_are_those_that_prometheus_found() {
    let (mut files, mut chunks) = (0, 0);
    for case in fixture_sets("encodings") {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let dir = case.join("data/chunks_head");
        if !dir.is_dir() {
            continue;
        }
        let listed = head_chunks::list_files(&dir).unwrap();
        assert_eq!((listed.oddities, listed.gap_before), (vec![], vec![]), "{name}");
        let (mut by_encoding, mut samples, mut series) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for file in &listed.files {
            let bytes = std::fs::read(&file.path).unwrap();
            assert!(!head_chunks::is_empty_last(&bytes));
            head_chunks::walk(&bytes, file.number, |chunk| {
                assert_eq!(chunk.reference.file_number(), file.number);
                assert_eq!(chunk.reference.file_name(), file.name);
                let slice = head_chunks::read(&bytes, chunk.reference).unwrap();
                assert_eq!(slice.encoding, chunk.encoding.0);
                assert_eq!(decoded(&slice) as u64, chunk.samples, "{name}");
                let late = if chunk.out_of_order { " out-of-order" } else { "" };
                let encoding = format!("{}{late}", chunk.encoding.name());
                *by_encoding.entry(encoding.clone()).or_insert(0) += 1;
                *samples.entry(encoding).or_insert(0) += chunk.samples;
                series.insert(chunk.series);
                chunks += 1;
            })
            .unwrap();
            files += 1;
        }
        let want = &read_json(&case.join("expected/physical.json"))["chunks_head"];
        assert_eq!(Some(listed.files.len() as u64), want["files"].as_u64(), "{name}");
        assert_eq!(by_encoding, numbers(&want["chunks_by_encoding"]), "{name}");
        assert_eq!(samples, numbers(&want["samples_by_encoding"]), "{name}");
        assert_eq!(Some(series.len() as u64), want["series_refs"].as_u64(), "{name}");
    }
    println!("{files} files, {chunks} head chunks");
}

#[test]
fn chunk_snapshots_decode_to_their_last_byte() {
    let mut found = 0;
    for case in fixture_sets("encodings") {
        let data = case.join("data");
        let (snapshots, notes) = snapshot::list_snapshots(&data).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        for listed in &snapshots {
            let (mut open, mut exemplars, mut deletions) = (0, 0, 0);
            let got = walk_log(&listed.dir, |bytes| {
                match snapshot::decode(bytes)? {
                    SnapshotRecord::Series(series) => {
                        assert!(!series.odd_labels);
                        if let Some(chunk) = series.chunk {
                            let claimed = claimed_samples(chunk.encoding, chunk.data.data());
                            assert_eq!(Some(decoded(&chunk.data) as u64), claimed);
                            let mut samples = Samples::default();
                            if chunk.encoding == Encoding::XOR {
                                xor::decode(&chunk.data, &mut samples).unwrap();
                                let (t, bits) = samples.iter().next_back().unwrap();
                                assert_eq!((t, snapshot::LastValue::Float(bits)), (chunk.max_time_ms, chunk.last));
                            } else if chunk.encoding.is_histogram() {
                                let snapshot::LastValue::Histogram(Some(last)) = chunk.last else { panic!() };
                                let decoded = histogram::decode(&chunk.data).unwrap();
                                let newest = decoded.last().unwrap();
                                assert_eq!((newest.t_ms, newest.sum), (last.t_ms, last.sum));
                                assert_eq!(newest.counts, last.counts);
                            }
                            open += 1;
                        }
                    }
                    SnapshotRecord::Tombstones(found) => deletions += found.len(),
                    SnapshotRecord::Exemplars(found) => exemplars += found.len(),
                }
                Ok(None)
            });
            let want = &read_json(&case.join("expected/physical.json"))["chunk_snapshot"];
            assert_eq!(listed.name, want["name"].as_str().unwrap());
            assert_log(&listed.name, &got, &want["log"]);
            // The log goes on where the name says.
            let log = list_segments(&data.join("wal")).unwrap();
            assert!(log.segments.iter().any(|s| s.number == listed.segment && s.len >= listed.offset));
            println!("{}: {open} open chunks, {deletions} deletions, {exemplars} exemplars", listed.name);
            found += 1;
        }
    }
    println!("{found} chunk snapshots");
}

const PAGE: usize = 32 * 1024;

/// Writes records as a log does: fragments that fill pages, each with its checksum.
#[derive(Debug, Clone, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// The offsets behind the records.
    ends: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Store {
    Plain,
    Snappy,
    Zstd,
}

impl Segment {
    fn log(&mut self, record: &[u8], store: Store) {
        let (flag, stored) = match store {
            Store::Plain => (0, record.to_vec()),
            Store::Snappy => (8, snap::raw::Encoder::new().compress_vec(record).unwrap()),
            Store::Zstd => (16, zstd::encode_all(record, 1).unwrap()),
        };
        let mut rest = &stored[..];
        let mut first = true;
        while first || !rest.is_empty() {
            let room = PAGE - self.bytes.len() % PAGE;
            let (part, behind) = rest.split_at(rest.len().min(room - 7));
            let kind = match (first, behind.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            self.bytes.push(kind | flag);
            self.bytes.extend((part.len() as u16).to_be_bytes());
            self.bytes.extend(crc32c(part).to_be_bytes());
            self.bytes.extend(part);
            (rest, first) = (behind, false);
            if rest.is_empty() {
                self.ends.push(self.bytes.len() as u64);
            }
            if PAGE - self.bytes.len() % PAGE < 7 {
                self.bytes.resize(self.bytes.len().next_multiple_of(PAGE), 0);
            }
        }
    }
}

/// What is read from a segment: the records with the offset behind each, and where reading failed, if it did.
type Outcome = (Vec<(u64, Vec<u8>)>, Option<u64>);

fn read_segment(bytes: &[u8]) -> Outcome {
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    for raw in Records::new(bytes) {
        match raw {
            Err(fault) => {
                assert!(fault.record <= fault.fault.offset && fault.fault.offset <= fault.reported);
                return (found, Some(fault.reported));
            }
            Ok(raw) => match raw.decompress(&mut buffer) {
                Ok(record) => found.push((raw.end, record.to_vec())),
                Err(_) => return (found, Some(raw.end)),
            },
        }
    }
    (found, None)
}

/// The format as a stream that is read byte by byte from a segment filled up with zeros.
fn read_as_stream(bytes: &[u8]) -> Outcome {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(PAGE), 0);
    let (mut found, mut at, mut parts, mut kind) = (Vec::new(), 0, Vec::<&[u8]>::new(), 0);
    // The next so many bytes: none of them, fewer, or all.
    let take = |at: &mut usize, n: usize| {
        let part = &padded[*at..(*at + n).min(padded.len())];
        *at += part.len();
        part
    };
    loop {
        let torn = |kind: u8| if kind == 2 || kind == 3 { Some(padded.len() as u64) } else { None };
        let [header] = take(&mut at, 1) else { return (found, torn(kind)) };
        kind = header & 7;
        if kind == 0 {
            let padding = at.next_multiple_of(PAGE) - at;
            let rest = take(&mut at, padding);
            if rest.iter().any(|b| *b != 0) {
                return (found, Some(at as u64));
            }
            continue;
        }
        let head = take(&mut at, 6);
        if head.is_empty() {
            return (found, torn(kind));
        }
        let [l0, l1, crc @ ..] = head else { return (found, Some(at as u64)) };
        let len = usize::from(*l0) << 8 | usize::from(*l1);
        if crc.len() < 4 || len > PAGE - 7 {
            return (found, Some(at as u64));
        }
        let data = take(&mut at, len);
        if len > 0 && data.is_empty() {
            return (found, torn(kind));
        }
        let in_order = match kind {
            1 | 2 => parts.is_empty(),
            3 | 4 => !parts.is_empty(),
            _ => false,
        };
        if data.len() < len || crc32c(data).to_be_bytes() != crc || !in_order {
            return (found, Some(at as u64));
        }
        parts.push(data);
        if kind == 1 || kind == 4 {
            let stored = std::mem::take(&mut parts).concat();
            let record = match header & 0x18 {
                _ if stored.is_empty() => Some(stored),
                0 => Some(stored),
                0x10 => zstd::decode_all(&stored[..]).ok(),
                _ => snap::raw::Decoder::new().decompress_vec(&stored).ok(),
            };
            let Some(record) = record else { return (found, Some(at as u64)) };
            found.push((at as u64, record));
        }
    }
}

fn stores() -> impl Strategy<Value = Store> {
    prop_oneof![Just(Store::Plain), Just(Store::Snappy), Just(Store::Zstd)]
}

/// Records of a few bytes, some that do not fit into a page, and some that leave next to nothing of it.
fn logged() -> impl Strategy<Value = Vec<u8>> {
    let repeated =
        |len| (any::<u8>(), any::<u8>(), len).prop_map(|(a, b, n): (u8, u8, usize)| [a, b, a ^ 1].repeat(n / 3));
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..200),
        2 => repeated(0..100_000usize),
        1 => repeated(PAGE - 30..PAGE + 30),
        1 => prop::collection::vec(any::<u8>(), PAGE - 600..PAGE),
    ]
}

/// Changes to a segment: where (in parts of 65536), what, how long.
fn changes() -> impl Strategy<Value = Vec<(u16, u8, u16)>> {
    prop::collection::vec((any::<u16>(), 0u8..6, 0u16..900), 0..4)
}

fn change(bytes: &mut Vec<u8>, changes: &[(u16, u8, u16)]) {
    for (place, what, len) in changes {
        let at = bytes.len() * usize::from(*place) / 65_536;
        if bytes.is_empty() {
            return;
        }
        match what {
            0 => bytes[at] ^= 1 << (len % 8),
            1 => bytes.truncate(at),
            2 => {
                let to = bytes.len().min(at + usize::from(*len));
                bytes[at..to].fill(0);
            }
            3 => bytes[at..].fill(0),
            4 => drop(bytes.drain(at..bytes.len().min(at + usize::from(*len)))),
            _ => bytes[at] = *len as u8,
        }
    }
}

fn v(out: &mut Vec<u8>, value: i64) {
    u(out, (value << 1 ^ value >> 63) as u64);
}

fn u(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn be(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

fn encode_samples(record_type: u8, samples: &[SampleRecord]) -> Vec<u8> {
    let mut out = vec![record_type];
    let Some(first) = samples.first() else { return out };
    if record_type == types::SAMPLES {
        be(&mut out, first.reference.0);
        be(&mut out, first.t_ms as u64);
        for s in samples {
            v(&mut out, s.reference.0.wrapping_sub(first.reference.0) as i64);
            v(&mut out, s.t_ms.wrapping_sub(first.t_ms));
            be(&mut out, s.bits);
        }
        return out;
    }
    for (i, s) in samples.iter().enumerate() {
        step(&mut out, i.checked_sub(1).map(|b| samples[b]), *first, *s);
        be(&mut out, s.bits);
    }
    out
}

/// Series and times of the second version.
fn step(out: &mut Vec<u8>, before: Option<SampleRecord>, first: SampleRecord, s: SampleRecord) {
    let Some(before) = before else {
        v(out, s.reference.0 as i64);
        v(out, s.t_ms);
        return v(out, s.start_ms);
    };
    v(out, s.reference.0.wrapping_sub(before.reference.0) as i64);
    v(out, s.t_ms.wrapping_sub(first.t_ms));
    match s.start_ms {
        0 => out.push(0),
        start if start == before.start_ms => out.push(1),
        start => {
            out.push(2);
            v(out, start.wrapping_sub(first.start_ms));
        }
    }
}

fn encode_histograms(record_type: u8, all: &[HistogramRecord]) -> Vec<u8> {
    let mut out = vec![record_type];
    let place = |h: &HistogramRecord| {
        let (t_ms, start_ms) = (h.sample.t_ms, h.sample.start_ms);
        SampleRecord { reference: h.reference, t_ms, start_ms, bits: 0 }
    };
    let Some(first) = all.first().map(place) else { return out };
    let second_version = record_type >= types::HISTOGRAMS_V2;
    if !second_version {
        be(&mut out, first.reference.0);
        be(&mut out, first.t_ms as u64);
    }
    for (i, h) in all.iter().enumerate() {
        let s = place(h);
        if second_version {
            step(&mut out, i.checked_sub(1).map(|b| place(&all[b])), first, s);
        } else {
            v(&mut out, s.reference.0.wrapping_sub(first.reference.0) as i64);
            v(&mut out, s.t_ms.wrapping_sub(first.t_ms));
        }
        encode_body(&mut out, &h.sample);
    }
    out
}

fn encode_body(out: &mut Vec<u8>, h: &HistogramSample) {
    out.push(match h.hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    });
    v(out, i64::from(h.layout.schema));
    be(out, h.layout.zero_threshold);
    match &h.counts {
        Counts::Int { count, zero, .. } => {
            u(out, *zero);
            u(out, *count);
        }
        Counts::Float { count, zero, .. } => {
            be(out, *zero);
            be(out, *count);
        }
    }
    be(out, h.sum);
    for spans in [&h.layout.positive_spans, &h.layout.negative_spans] {
        u(out, spans.len() as u64);
        for span in spans {
            v(out, i64::from(span.offset));
            u(out, u64::from(span.length));
        }
    }
    match &h.counts {
        Counts::Int { positive, negative, .. } => {
            for side in [positive, negative] {
                u(out, side.len() as u64);
                side.iter().fold(0i64, |before, b| {
                    v(out, b.wrapping_sub(before));
                    *b
                });
            }
        }
        Counts::Float { positive, negative, .. } => {
            for side in [positive, negative] {
                u(out, side.len() as u64);
                side.iter().for_each(|b| be(out, *b));
            }
        }
    }
    if h.layout.schema == histogram::CUSTOM_BOUNDS {
        u(out, h.layout.custom_bounds.len() as u64);
        h.layout.custom_bounds.iter().for_each(|b| be(out, *b));
    }
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 1_787_968_800_000i64..1_787_968_900_000, 1 => any::<i64>(), 1 => Just(0)]
}

fn sample_records(starts: bool) -> impl Strategy<Value = Vec<SampleRecord>> {
    let reference = prop_oneof![4 => 0u64..5_000, 1 => any::<u64>()];
    let one = (reference, times(), times(), any::<u64>()).prop_map(move |(reference, t_ms, start_ms, bits)| {
        let start_ms = if starts { start_ms } else { 0 };
        SampleRecord { reference: HeadSeriesRef(reference), t_ms, start_ms, bits }
    });
    prop::collection::vec(one, 0..60)
}

/// Spans and as many buckets as they name.
fn buckets() -> impl Strategy<Value = (Vec<Span>, Vec<u64>)> {
    prop::collection::vec((any::<i32>(), 0u32..5), 0..4).prop_flat_map(|spans| {
        let spans: Vec<Span> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        let count = spans.iter().map(|s| s.length as usize).sum::<usize>();
        (Just(spans), prop::collection::vec(any::<u64>(), count))
    })
}

fn histogram_records(float: bool, starts: bool) -> impl Strategy<Value = Vec<HistogramRecord>> {
    let schema = prop_oneof![-9i32..=8, Just(histogram::CUSTOM_BOUNDS)];
    let place = (any::<u64>(), times(), times(), 0u8..4);
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let bounds = prop::collection::vec(any::<u64>(), 0..5);
    let one = (place, schema, numbers, buckets(), buckets(), bounds).prop_map(
        move |(
            (reference, t_ms, start_ms, hint),
            schema,
            (zero_threshold, zero, count, sum),
            positive,
            negative,
            bounds,
        )| {
            let layout = Layout {
                schema,
                zero_threshold,
                positive_spans: positive.0,
                negative_spans: negative.0,
                custom_bounds: if schema == histogram::CUSTOM_BOUNDS { bounds } else { vec![] },
            };
            let signed = |side: &[u64]| side.iter().map(|b| *b as i64).collect();
            let counts = if float {
                Counts::Float { count, zero, positive: positive.1, negative: negative.1 }
            } else {
                Counts::Int { count, zero, positive: signed(&positive.1), negative: signed(&negative.1) }
            };
            let hint = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge][usize::from(hint)];
            let start_ms = if starts { start_ms } else { 0 };
            let sample = HistogramSample { t_ms, start_ms, sum, hint, layout: Arc::new(layout), counts };
            HistogramRecord { reference: HeadSeriesRef(reference), sample }
        },
    );
    prop::collection::vec(one, 0..8)
}

fn histograms_read(record: &[u8]) -> Vec<HistogramRecord> {
    let mut out = Vec::new();
    assert_eq!(record::histograms(record, &mut out), Ok(0));
    assert_eq!(record::check(record), Ok(out.len() as u64));
    out
}

fn label_sets() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::btree_map("[a-z_]{1,8}", "[ -~é]{1,12}", 0..6).prop_map(|m| m.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_a_log_was_given_comes_back(records in prop::collection::vec((logged(), stores()), 0..12)) {
        let mut segment = Segment::default();
        for (record, store) in &records {
            segment.log(record, *store);
        }
        let (found, fault) = read_segment(&segment.bytes);
        let expected: Vec<(u64, Vec<u8>)> = segment.ends.iter().copied().zip(records.into_iter().map(|r| r.0)).collect();
        prop_assert_eq!((found, fault), (expected, None));
    }

    #[test]
    fn a_damaged_segment_ends_where_a_stream_of_it_does(
        records in prop::collection::vec((logged(), stores()), 0..6),
        changes in changes(),
    ) {
        let mut segment = Segment::default();
        for (record, store) in &records {
            segment.log(record, *store);
        }
        change(&mut segment.bytes, &changes);
        prop_assert_eq!(read_segment(&segment.bytes), read_as_stream(&segment.bytes));
    }

    #[test]
    fn a_segment_cut_short_is_torn_at_most(records in prop::collection::vec((logged(), stores()), 1..6), place in any::<u16>()) {
        let mut segment = Segment::default();
        for (record, store) in &records {
            segment.log(record, *store);
        }
        let cut = segment.bytes.len() * usize::from(place) / 65_536;
        let whole = segment.ends.iter().take_while(|end| **end <= cut as u64).count();
        let mut read = 0;
        for raw in Records::new(&segment.bytes[..cut]) {
            match raw {
                Ok(_) => read += 1,
                Err(fault) => prop_assert!(fault.tail, "{:?}", fault),
            }
        }
        // One more may come back where only zeros were cut off, or as a fragment of nothing.
        prop_assert!(read == whole || read == whole + 1, "{} of {}", read, whole);
    }

    #[test]
    fn samples_come_back(v1 in sample_records(false), v2 in sample_records(true)) {
        for (record_type, samples) in [(types::SAMPLES, v1), (types::SAMPLES_V2, v2)] {
            let record = encode_samples(record_type, &samples);
            let mut out = Vec::new();
            prop_assert_eq!(record::samples(&record, &mut out), Ok(()));
            prop_assert_eq!(&out, &samples);
            let mut each = Vec::new();
            prop_assert_eq!(record::for_each_sample(&record, |s| each.push(s)), Ok(samples.len() as u64));
            prop_assert_eq!(each, samples);
            prop_assert_eq!(record::check(&record), Ok(out.len() as u64));
        }
    }

    #[test]
    fn histograms_come_back(
        int in histogram_records(false, false),
        float in histogram_records(true, false),
        int_starts in histogram_records(false, true),
        float_starts in histogram_records(true, true),
    ) {
        for (record_type, all) in [(7, &int), (8, &float), (9, &int), (10, &float), (12, &int_starts), (13, &float_starts)] {
            prop_assert_eq!(&histograms_read(&encode_histograms(record_type, all)), all, "type {}", record_type);
        }
    }

    #[test]
    fn series_and_exemplars_come_back(all in prop::collection::vec((any::<u64>(), label_sets(), times(), any::<u64>()), 0..8)) {
        let labels = |pairs: &[(String, String)]| Labels::from_pairs(pairs.iter().map(|(n, v)| (&n[..], &v[..])));
        let put = |out: &mut Vec<u8>, pairs: &[(String, String)]| {
            u(out, pairs.len() as u64);
            for text in pairs.iter().flat_map(|(n, v)| [n, v]) {
                u(out, text.len() as u64);
                out.extend(text.as_bytes());
            }
        };
        let mut series = vec![types::SERIES];
        let mut exemplars = vec![types::EXEMPLARS];
        for (i, (reference, pairs, t_ms, bits)) in all.iter().enumerate() {
            be(&mut series, *reference);
            put(&mut series, pairs);
            if i == 0 {
                be(&mut exemplars, *reference);
                be(&mut exemplars, *t_ms as u64);
            }
            v(&mut exemplars, reference.wrapping_sub(all[0].0) as i64);
            v(&mut exemplars, t_ms.wrapping_sub(all[0].2));
            be(&mut exemplars, *bits);
            put(&mut exemplars, pairs);
        }
        let mut out = Vec::new();
        prop_assert_eq!(record::series(&series, &mut out), Ok(()));
        prop_assert_eq!(out.len(), all.len());
        for (got, want) in out.iter().zip(&all) {
            prop_assert_eq!((got.reference.0, &got.labels, got.odd_labels), (want.0, &labels(&want.1), false));
        }
        let mut out = Vec::new();
        prop_assert_eq!(record::exemplars(&exemplars, &mut out), Ok(()));
        prop_assert_eq!(out.len(), all.len());
        for (got, want) in out.iter().zip(&all) {
            prop_assert_eq!((got.reference.0, got.t_ms, got.bits, &got.labels), (want.0, want.2, want.3, &labels(&want.1)));
        }
    }

    #[test]
    fn damaged_records_neither_panic_nor_disagree(
        samples in sample_records(true),
        int in histogram_records(false, true),
        float in histogram_records(true, false),
        changes in changes(),
    ) {
        for made in [
            encode_samples(2, &samples), encode_samples(11, &samples), encode_histograms(12, &int), encode_histograms(8, &float),
        ] {
            let mut record = made;
            change(&mut record, &changes);
            for record_type in 0..16 {
                if let Some(first) = record.first_mut() {
                    *first = record_type;
                }
                let checked = record::check(&record);
                let mut out = Vec::new();
                if matches!(record_type, types::SAMPLES | types::SAMPLES_V2) && !record.is_empty() {
                    let read = record::samples(&record, &mut out).map(|_| out.len() as u64);
                    prop_assert_eq!(read, checked);
                }
            }
        }
    }

    #[test]
    fn head_chunks_come_back(
        chunks in prop::collection::vec((any::<u64>(), any::<i64>(), any::<i64>(), any::<u8>(), prop::collection::vec(any::<u8>(), 4..300)), 0..8),
        zeros in 0usize..100,
    ) {
        let mut file = vec![0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0];
        let mut expected = Vec::new();
        for (series, min, max, encoding, data) in &chunks {
            let at = file.len();
            be(&mut file, series | 1);
            be(&mut file, *min as u64);
            be(&mut file, *max as u64);
            file.push(*encoding);
            u(&mut file, data.len() as u64);
            file.extend(data);
            let crc = crc32c(&file[at..]);
            file.extend(crc.to_be_bytes());
            expected.push((HeadChunkRef::new(9, at as u64), series | 1, *min, *max, encoding & 0x7f, encoding & 0x80 != 0));
        }
        file.resize(file.len() + zeros, 0);
        let mut found = Vec::new();
        let walked = head_chunks::walk(&file, 9, |c| {
            found.push((c.reference, c.series.0, c.min_time_ms, c.max_time_ms, c.encoding.0, c.out_of_order));
        });
        prop_assert_eq!(walked, Ok(()));
        prop_assert_eq!(&found, &expected);
        for (chunk, expected) in chunks.iter().zip(&expected) {
            let slice = head_chunks::read(&file, expected.0).unwrap();
            prop_assert_eq!((slice.data(), slice.encoding), (&chunk.4[..], expected.4));
            prop_assert_eq!(Cursor::new(&file[slice.offset as usize..], 0).take(4, "data").unwrap(), &chunk.4[..4]);
        }
    }
}
