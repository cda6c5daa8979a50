//! The union view: every sample on disk comes out, with its origin and what becomes of it.

use std::collections::BTreeMap;
use std::path::Path;

use promproof::loss::Ledger;
use promproof::samples::{PhysicalSeries, physical};
use promproof::source::{OpenOptions, Source};
use promproof::windows::inventory::take;

use crate::expected::full_read;
use crate::support::{fixture_sets, name, read_json};

fn everything(source: &Source) -> Vec<PhysicalSeries> {
    physical(source, &[&[]], &|_| true, &mut Ledger::default()).unwrap()
}

/// Samples of each kind of store.
fn counts(all: &[PhysicalSeries]) -> BTreeMap<&'static str, u64> {
    let mut out = BTreeMap::new();
    for part in all.iter().flat_map(|s| &s.parts) {
        let store = match part.file.split('/').next().unwrap() {
            "wal" => "wal",
            "wbl" => "wbl",
            "chunks_head" => "chunks_head",
            _ => "blocks",
        };
        *out.entry(store).or_default() += part.run.len() as u64;
    }
    out.retain(|_, n| *n > 0);
    out
}

/// The same from `physical.json`, which counts what lies in the segments that a server reads.
fn recorded(case: &Path) -> BTreeMap<&'static str, u64> {
    let v = read_json(&case.join("expected/physical.json"));
    let by_encoding = |v: &serde_json::Value| -> u64 {
        v["samples_by_encoding"].as_object().map_or(0, |m| m.values().map(|n| n.as_u64().unwrap()).sum())
    };
    let entries = |v: &serde_json::Value| -> u64 {
        let kinds = ["2", "7", "8", "9", "10", "11", "12", "13"];
        kinds.iter().filter_map(|k| v["entries_by_type"][k].as_u64()).sum()
    };
    let mut out = BTreeMap::from([
        ("blocks", v["blocks"].as_array().map_or(0, |b| b.iter().map(by_encoding).sum())),
        ("chunks_head", by_encoding(&v["chunks_head"])),
        (
            "wal",
            entries(&v["wal"]) + v["checkpoints"].as_array().and_then(|c| c.last()).map_or(0, |c| entries(&c["log"])),
        ),
        ("wbl", entries(&v["wbl"])),
    ]);
    out.retain(|_, n| *n > 0);
    out
}

#[test]
fn every_sample_on_disk_is_in_the_union() {
    let mut cases = 0;
    for case in fixture_sets("encodings") {
        let source = Source::open(&case.join("data"), &OpenOptions::default()).unwrap();
        let all = everything(&source);
        // A server skips a block without meta.json, and leftovers beside a checkpoint; the library counted some of these.
        if !["stray-entries", "wal-snappy"].contains(&name(&case).rsplit('/').next().unwrap()) {
            assert_eq!(counts(&all), recorded(&case), "{}", case.display());
        }
        let total: u64 = all.iter().flat_map(|s| &s.parts).map(|p| p.run.len() as u64).sum();
        assert_eq!(take(&source).physical, total, "{}: `inspect` and the union", case.display());
        // Whatever is served lies on disk with the same bits.
        let (served, _) = full_read(&source);
        let on_disk: BTreeMap<_, _> = all.iter().map(|s| (&s.labels, s)).collect();
        for s in served.iter().filter(|s| !s.samples.is_empty()) {
            let physical: std::collections::BTreeSet<(i64, u64)> =
                on_disk[&s.labels].parts.iter().flat_map(|p| p.run.floats.iter()).collect();
            let missing = s.samples.iter().find(|sample| !physical.contains(sample));
            assert_eq!(missing, None, "{}: {}", case.display(), s.labels);
        }
        cases += 1;
    }
    assert!(cases > 10);
}

#[test]
fn a_sample_says_what_becomes_of_it() {
    let case = fixture_sets("encodings").into_iter().find(|c| c.ends_with("ref-reuse")).unwrap();
    let source = Source::open(&case.join("data"), &OpenOptions::default()).unwrap();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for part in everything(&source).iter().flat_map(|s| &s.parts) {
        *states.entry(part.state).or_default() += part.run.len();
    }
    for state in ["stored", "refused", "orphan", "dropped", "evicted"] {
        assert!(states.contains_key(state), "{state} is not among {states:?}");
    }
}
