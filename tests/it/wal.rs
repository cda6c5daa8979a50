//! Logs, checkpoints, head chunks and chunk snapshots: what lies on disk, against what Prometheus' own library found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use promproof::raw::Fault;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::{Encoding, claimed_samples, histogram, xor, xor2};
use promproof::tsdb::chunks::ChunkSlice;
use promproof::tsdb::head_chunks;
use promproof::wal::record::{self, types};
use promproof::wal::snapshot::{self, SnapshotRecord};
use promproof::wal::{Records, list_checkpoints, list_segments};

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
