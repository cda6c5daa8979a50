//! Servers that were killed at all the wrong moments: promproof must read from what they left behind what a restarted
//! one serves.
//!
//! `PROMPROOF_KILLED` names a folder that `tests/oracle/kill` wrote; without it the test says that it was skipped.

use std::path::{Path, PathBuf};

use promproof::promql::PromVersion;
use rayon::prelude::*;

use crate::golden::{Compared, Served, compare, served, told_range};
use crate::support::{folders, name, read_json};

#[test]
fn every_kill_leaves_what_the_restarted_server_serves() {
    let Some(dir) = std::env::var_os("PROMPROOF_KILLED") else {
        eprintln!("skipped: directories of killed servers; see tests/oracle/README.md and PROMPROOF_KILLED");
        return;
    };
    let kills: Vec<PathBuf> = folders(Path::new(&dir)).iter().flat_map(|run| folders(run)).collect();
    assert!(!kills.is_empty(), "no DIR/<run>/kill-<n>/ in {}", dir.display());
    let results: Vec<(Compared, Served)> = kills
        .par_iter()
        .map(|kill| {
            let data = kill.join("data");
            let golden = kill.join("golden.json");
            let asked = read_json(&golden);
            let version = PromVersion::parse(asked["version"].as_str().unwrap()).unwrap();
            let samples = served(&data, &kill.join("served.json"), version, told_range(&asked));
            (compare(&data, &golden), samples)
        })
        .collect();
    let mut wrong = 0;
    for (kill, (answers, samples)) in kills.iter().zip(&results) {
        let run = read_json(&kill.join("run.json"));
        let cut = run.get("cut").map(|c| format!(" {c}")).unwrap_or_default();
        println!("{}, killed {}{cut}", name(kill), run["kill"].as_str().unwrap());
        println!("  answers: {answers}");
        println!("  samples: {samples}");
        wrong += answers.differing.len() + samples.differences();
    }
    let equal: usize = results.iter().map(|(answers, _)| answers.equal).sum();
    println!("{} kills: {equal} answers equal, {wrong} differences", kills.len());
    assert_eq!(wrong, 0);
}
