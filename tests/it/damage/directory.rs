//! Mutations of a whole data directory: blocks, checkpoint, logs, head chunks.

use promproof::wal::Records;

use super::forgeries::forgeries;
use super::*;

pub fn golden() -> Golden {
    let golden = Golden::new("encodings/all-files/data", Kinds::All, &SELECTORS);
    assert!(golden.reference.1.conflicts.is_empty());
    let kinds: BTreeSet<&str> = golden.files.keys().map(|f| kind_of(f)).collect();
    assert!(["checkpoint", "wal", "wbl", "chunks_head", "index", "tombstones"].iter().all(|k| kinds.contains(k)));
    golden
}

/// What only a directory can suffer.
pub fn to_folders(files: &Files) -> Vec<Mutation> {
    let mut all: Vec<Mutation> =
        ["wal", "wbl", "chunks_head"].iter().map(|f| gone(files, f, &format!("deleted {f}/"))).collect();
    let checkpoint = files.keys().find(|f| kind_of(f) == "checkpoint").unwrap().rsplit_once('/').unwrap().0;
    all.push(gone(files, checkpoint, "deleted checkpoint/"));
    for n in 0..12 {
        all.push(copied(files, checkpoint, &format!("wal/checkpoint.{n:08}"), "copied checkpoint"));
    }
    for (file, bytes) in files {
        let Some((folder, name)) = file.rsplit_once('/') else { continue };
        let Ok(number) = name.parse::<u32>() else { continue };
        for to in 0..number + 3 {
            let renamed = format!("{folder}/{to:0w$}", w = name.len());
            if to != number && !files.contains_key(&renamed) {
                all.push(Mutation {
                    class: format!("renumbered {}", kind_of(file)),
                    what: format!("{file} as {renamed}"),
                    edits: vec![(file.clone(), Edit::Delete), (renamed.clone(), Edit::Whole(bytes.clone()))],
                });
                all.push(one("second", format!("a copy of {file}"), &renamed, Edit::Whole(bytes.clone())));
            }
        }
    }
    all
}

/// What is left of a log's file of which the rest is gone: how much of it, and whether anything tells. `None` where it was
/// damaged in another way.
fn shortened(original: &[u8], new: &[u8]) -> Option<(usize, Left)> {
    let ends: Vec<usize> = Records::new(original).map(|r| r.unwrap().end as usize).collect();
    // What is cut off reads as zeros, so it may not even be missing.
    let same = original.iter().zip(new.iter().chain(std::iter::repeat(&0))).take_while(|(a, b)| a == b).count();
    let kept = ends.iter().copied().take_while(|e| *e <= same).last().unwrap_or(0);
    let next = ends.iter().copied().find(|e| *e > same).unwrap_or(kept);
    let written = new.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    match written {
        // A header of one or two bytes reads as a record of nothing.
        n if n <= kept + 2 => Some((kept, Left::WholeRecords)),
        n if n <= next => Some((kept, Left::PartOfARecord)),
        _ => None,
    }
}

#[derive(Debug, PartialEq)]
enum Left {
    WholeRecords,
    PartOfARecord,
}

/// Whether a changed answer is that of a log which ends earlier, as a server may leave it.
fn an_earlier_end(golden: &Golden, m: &Mutation, found: &(Answer, Ledger), changed: &[Changed]) -> Option<Outcome> {
    let [(file, edit)] = &m.edits[..] else { return None };
    let kind = kind_of(file);
    let original = golden.files.get(file).filter(|_| matches!(kind, "wal" | "wbl" | "checkpoint"))?;
    let (kept, left) = shortened(original, &edit.apply(original).unwrap_or_default())?;
    // With as much of it as is left, and nothing behind, the answer must be the same.
    let dir = scratch();
    for (name, bytes) in &golden.files {
        let bytes = if name == file { &bytes[..kept] } else { bytes };
        write(dir.path(), name, Some(bytes));
    }
    let (shorter, _) = read(dir.path(), How { kinds: golden.kinds, ..PLAIN }, &golden.selectors).unwrap();
    let expected = differences(&shorter, &golden.reference.0);
    if !changed.iter().all(|c| expected.contains(c)) {
        return None;
    }
    let last = golden.files.iter().rfind(|(f, b)| kind_of(f) == kind && !b.is_empty()).is_some_and(|(f, _)| f == file);
    let told = |n: &String| n.starts_with(file.as_str()) && n.contains("a killed server leaves such an end");
    match left {
        Left::WholeRecords => Some(Outcome::Untold),
        Left::PartOfARecord => (last && found.1.notes.iter().any(told)).then_some(Outcome::Restarted),
    }
}

/// A changed answer that is as good as can be.
pub fn excuse(golden: &Golden, m: &Mutation, found: &(Answer, Ledger), changed: &[Changed]) -> Option<Outcome> {
    if m.class == "deleted block" {
        return Some(Outcome::Untold);
    }
    an_earlier_end(golden, m, found, changed)
}

#[test]
fn every_accident_to_a_directory_is_survived_or_named() {
    let golden = golden();
    let (many, mut mutations) = accidents(&golden.files);
    mutations.extend(to_folders(&golden.files));
    let mut mutations = sampled(mutations, 12_000);
    mutations.extend(sampled(many, 8_000));
    let total = mutations.len();
    assert!(total >= 20_000);
    let before = peak_kb();
    let tally = run(&golden, &mutations, &|m, found, changed| excuse(&golden, m, found, changed));
    print("accidents to a directory", &tally, total);
    bounded(&tally, before);
    assert!(tally.silent.is_empty(), "{} wrong answers without a named loss", tally.silent.len());
}

/// What a server left that was killed: segments of several pages, filled up or not, records over page ends.
#[test]
fn accidents_to_the_directory_of_a_server_are_survived_or_named() {
    let selectors = [SELECTORS[0], r#"{__name__=~"recommend_requests_total|up",status!="500"}"#];
    let mut golden = Golden::new("servers/live-3.5/data", Kinds::All, &selectors);
    golden.files.retain(|f, _| f.contains('/'));
    let (many, mut few) = accidents(&golden.files);
    few.extend(to_folders(&golden.files));
    let most = if full() { 20_000 } else { 2_000 };
    let mut mutations = thinned(many, most);
    mutations.extend(thinned(few, most));
    let total = mutations.len();
    let before = peak_kb();
    let tally = run(&golden, &mutations, &|m, found, changed| excuse(&golden, m, found, changed));
    print("accidents to the directory of a server", &tally, total);
    bounded(&tally, before);
    assert!(tally.silent.is_empty(), "{} wrong answers without a named loss", tally.silent.len());
}

#[test]
fn a_forged_directory_ends_in_an_answer_or_an_error() {
    let golden = golden();
    let mutations = sampled(forgeries(&golden.files), 8_000);
    let total = mutations.len();
    let before = peak_kb();
    let tally = run(&golden, &mutations, &no_excuse);
    print("forgeries in a directory", &tally, total);
    bounded(&tally, before);
}

/// The losses of the directory after a change to its files.
fn losses_with(change: impl Fn(&mut Files)) -> Vec<promproof::loss::Loss> {
    let golden = golden();
    let mut files = golden.files.clone();
    change(&mut files);
    assert_ne!(files, golden.files);
    let dir = scratch();
    files.iter().for_each(|(file, bytes)| write(dir.path(), file, Some(bytes)));
    read(dir.path(), How { kinds: Kinds::All, ..PLAIN }, &golden.selectors).unwrap().1.losses
}

/// The losses of the directory without the files that begin with one of `prefixes`.
fn without(prefixes: &[&str]) -> Vec<promproof::loss::Loss> {
    losses_with(|files| files.retain(|file, _| !prefixes.iter().any(|p| file.starts_with(p))))
}

/// Where the head begins: 20 minutes behind the first sample.
const CUTOFF: i64 = 1_787_961_600_000 + 20 * 60_000;

#[test]
fn a_missing_checkpoint_is_a_loss() {
    let losses = without(&["wal/checkpoint."]);
    let loss =
        losses.iter().find(|l| l.detail.contains("segments 0 to 1 are missing, and so is a checkpoint")).unwrap();
    assert_eq!(loss.interval, Some(Interval::new(CUTOFF, i64::MAX)));
}

#[test]
fn missing_segments_are_a_loss() {
    for (prefixes, said) in [
        (&["wal/00000002"][..], "segments 2 to 2 are missing"),
        (&["wal/00000005"], "segments 5 to 5 are missing"),
        (&["wal/0"], "there is no segment behind the checkpoint"),
        (&["wbl/00000008"], "segments 8 to 8 are missing"),
        (&["wal/checkpoint.00000001/0"], "and so is a checkpoint"),
    ] {
        let losses = without(prefixes);
        assert!(losses.iter().any(|l| l.detail.contains(said)), "{prefixes:?}: {losses:?}");
    }
}

#[test]
fn a_log_that_ends_before_the_chunks_made_from_it_is_a_loss() {
    let losses = without(&["wal/00000007", "wal/00000008"]);
    let loss = losses.iter().find(|l| l.detail.contains("the end of the log is missing")).unwrap();
    assert_eq!((loss.file.as_str(), loss.interval), ("wal", Some(Interval::new(CUTOFF, i64::MAX))));
}

#[test]
fn late_samples_whose_chunk_is_missing_are_a_loss() {
    let losses = without(&["chunks_head/000007"]);
    let late: Vec<_> = losses.iter().filter(|l| l.detail.contains("late samples went into a chunk here")).collect();
    assert!(!late.is_empty(), "{losses:?}");
    assert!(late.iter().all(|l| l.file == "chunks_head/000007" && l.series.is_some()));
}

#[test]
fn a_missing_block_before_the_log_is_a_loss() {
    let golden = golden();
    let block = golden.files.iter().find(|(f, b)| {
        f.ends_with("meta.json") && String::from_utf8_lossy(b).contains(&format!("\"maxTime\": {CUTOFF}"))
    });
    let block = block.unwrap().0.strip_suffix("/meta.json").unwrap();
    let losses = without(&[block]);
    let loss = losses.iter().find(|l| l.detail.contains("no block reaches to there")).unwrap();
    assert_eq!(loss.interval, Some(Interval::new(CUTOFF - 10 * 60_000, CUTOFF - 1)));
}

#[test]
fn a_flag_of_a_header_that_flips_is_a_loss() {
    // No checksum covers it, and what was compressed begins like a record of a type that nobody knows.
    let losses = losses_with(|files| {
        let segment = files.get_mut("wal/00000003").unwrap();
        assert_eq!(segment[0], 9);
        segment[0] = 1;
    });
    assert!(losses.iter().any(|l| l.file == "wal/00000003" && l.detail.contains("a record of type")), "{losses:?}");
}

#[test]
fn logged_samples_that_nothing_holds_are_a_loss() {
    let said = |l: &promproof::loss::Loss| l.detail.contains("samples that were logged and that no chunk");
    // A file of chunks that ends behind its header looks like one that was never written to.
    let losses = losses_with(|files| files.get_mut("chunks_head/000005").unwrap().truncate(8));
    assert_eq!(losses.iter().filter(|l| said(l)).map(|l| l.samples.unwrap()).sum::<u64>(), 30, "{losses:?}");
    // Late samples stand in both logs.
    assert!(without(&["wbl/"]).iter().filter(|l| said(l)).count() > 2);
}

#[test]
fn a_file_in_the_place_of_another_one_is_a_loss() {
    let put = |from: &'static str, to: &'static str| {
        losses_with(move |files| {
            let bytes = files[from].clone();
            files.insert(to.to_owned(), bytes);
        })
    };
    let losses = put("wal/00000005", "wal/00000007");
    assert!(losses.iter().any(|l| l.detail.contains("it is the same as wal/00000005")), "{losses:?}");
    let losses = put("wal/checkpoint.00000001/00000000", "wbl/00000008");
    assert!(losses.iter().any(|l| l.detail.contains("which this log never has")), "{losses:?}");
    let losses = put("chunks_head/000004", "wal/00000008");
    let loss = losses.iter().find(|l| l.file == "wal/00000008").unwrap();
    assert_eq!((loss.offset, loss.interval), (Some(0), Some(Interval::new(CUTOFF, i64::MAX))));
}

#[test]
fn late_samples_whose_chunk_is_another_one_are_a_loss() {
    let losses = losses_with(|files| {
        let eight = files["chunks_head/000008"].clone();
        let nine = files.insert("chunks_head/000009".to_owned(), eight).unwrap();
        files.insert("chunks_head/000008".to_owned(), nine);
    });
    let late = losses.iter().filter(|l| l.detail.contains("late samples went into a chunk here"));
    assert!(late.filter(|l| l.file == "chunks_head/000009").count() > 0, "{losses:?}");
}
