//! How long a package of the shipped fixture takes, from the command line to the folder in its place, plain and with each
//! archive; and how long the evidence before it. A package has to take less than 2 s.
//!
//! The best and the worst of some runs; the command runs as a process of its own, as a user starts it.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 20;
const MOST_SECONDS: f64 = 2.0;

/// Runs the command in `dir`, which ends with `status`; gives the seconds that it took.
fn promproof(dir: &Path, args: &[&str], status: i32) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_promproof"));
    let begun = Instant::now();
    let output = command.args(args).current_dir(dir).stdout(Stdio::null()).output().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    seconds
}

/// Prints the best and the worst of some runs; gives the worst.
fn measure(what: &str, dir: &Path, args: &[&str], status: i32) -> f64 {
    let seconds: Vec<f64> = (0..RUNS).map(|_| promproof(dir, args, status)).collect();
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    println!("{what:<22} {:>8.1} {:>9.1}", best * 1e3, worst * 1e3);
    worst
}

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let captures = fixtures.join("captures");
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| captures.join(name).to_str().unwrap().to_owned();
    let source = fixtures.join("servers/backfill-6d/snapshot");
    let (api, registry, repo, logs, system) = (at("api"), at("registry"), at("repo.git"), at("logs"), at("system"));
    let (docs, code) = (at("docs"), at("code"));
    let given = ["--captures", &api, "--registry", &registry, "--repo", &repo, "--logs", &logs, "--system", &system];
    let collect = ["collect", source.to_str().unwrap(), "--output", "evidence", "--force", "--quiet"];
    let package = ["package", "--evidence", "evidence", "--output", "package", "--docs", &docs, "--code", &code];
    let package = [&package[..], &["--force", "--quiet"]].concat();
    println!("                       best ms  worst ms");
    measure("collect", dir.path(), &[&collect[..], &given].concat(), 0);
    // The fixture has no time after a submission, so that something is pending.
    let mut worst = measure("package", dir.path(), &package, 3);
    for kind in ["zip", "tar.zst"] {
        let with_archive = [&package[..], &["--archive", kind]].concat();
        worst = worst.max(measure(&format!("package and {kind}"), dir.path(), &with_archive, 3));
    }
    assert!(worst < MOST_SECONDS, "a package took {worst:.2} s, and {MOST_SECONDS} s are the most");
}
