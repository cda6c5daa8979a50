//! `servers/`: what real servers answered over the same data, compared bit for bit.

use std::path::PathBuf;

use crate::golden::{compare, served};
use crate::support::{fixture_sets, name, read_json, read_text};
use promproof::promql::PromVersion;

/// A folder of data, and answers with the version that gave them.
struct Golden {
    data: PathBuf,
    answers: PathBuf,
}

fn goldens() -> Vec<Golden> {
    let mut out = Vec::new();
    for set in fixture_sets("servers") {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&set).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for answers in files {
            let name = answers.file_name().unwrap().to_string_lossy().into_owned();
            let data: Vec<&str> = match name.split('.').next().unwrap() {
                // backfill: the same answers over both folders.
                n if n.starts_with("golden-2") || n.starts_with("golden-3") => {
                    vec!["blocks", "snapshot"]
                }
                n if n.starts_with("golden-snapshot-deleted") => vec!["snapshot-deleted"],
                "golden-snapshot" => vec!["snapshot"],
                // A raw data directory: answers about times that its blocks cover.
                "golden" | "golden-use-start-timestamps" => vec!["data"],
                n if n.starts_with("golden-by-") => vec!["data"],
                _ => vec![],
            };
            for d in data.into_iter().map(|d| set.join(d)).filter(|d| d.is_dir()) {
                out.push(Golden { data: d, answers: answers.clone() });
            }
        }
    }
    out
}

/// Every folder of data, and the recorded answers over it.
pub fn data_and_answers() -> Vec<(PathBuf, PathBuf)> {
    goldens().into_iter().map(|g| (g.data, g.answers)).collect()
}

/// The release that a set's own server had.
fn version(set: &std::path::Path) -> PromVersion {
    let golden = read_json(&set.join("golden.json"));
    PromVersion::parse(golden["version"].as_str().unwrap()).unwrap()
}

#[test]
fn every_served_sample_has_the_servers_bits() {
    let (mut all, mut failed) = (0, 0);
    for set in fixture_sets("servers") {
        let recorded = set.join("served.json");
        if read_text(&recorded).is_none() {
            continue;
        }
        // Without an out-of-order window the snapshot has every sample of the directory.
        let folders = if name(&set).contains("live-2") { &["data", "snapshot"][..] } else { &["data"] };
        for data in folders.iter().map(|f| set.join(f)).filter(|d| d.is_dir()) {
            // The chunk range is what the blocks show.
            let compared = served(&data, &recorded, version(&set), None);
            println!("{}: {compared}", name(&data));
            all += 1;
            failed += compared.differences();
        }
    }
    println!("{all} folders, {failed} series differ");
    assert_eq!(failed, 0);
}

#[test]
fn every_recorded_answer_has_the_servers_bits() {
    let goldens = goldens();
    assert!(!goldens.is_empty());
    let (mut all, mut failed) = (0, 0);
    for g in &goldens {
        let compared = compare(&g.data, &g.answers);
        println!("{} over {}: {compared}", name(&g.answers), name(&g.data));
        all += compared.equal;
        failed += compared.differing.len();
    }
    println!("{all} answers equal, {failed} differ");
    assert_eq!(failed, 0);
}
