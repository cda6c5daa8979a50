//! The command as people and scripts use it: exit status, every format, the same bytes whatever the machine does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::fixtures;

fn backfill() -> PathBuf {
    fixtures().join("servers/backfill-6d/snapshot")
}

fn live() -> PathBuf {
    fixtures().join("servers/live-2.53/snapshot")
}

pub fn run(args: &[&str]) -> Output {
    run_in(&fixtures(), args)
}

pub fn run_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_promproof")).args(args).current_dir(dir).output().unwrap()
}

pub fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

pub fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stdout)))
}

pub fn p(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Compares with a golden file; `UPDATE_GOLDEN=1` writes it.
pub fn golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{name} differs; UPDATE_GOLDEN=1 writes it anew:\n{got}");
}

pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

fn blocks(dir: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    list.sort();
    list
}

#[test]
fn reports_are_what_they_were() {
    for (name, args) in [
        ("availability.txt", &["availability", "servers/backfill-6d/snapshot"][..]),
        ("availability-explain.txt", &["availability", "servers/live-2.53/snapshot", "--window", "2m", "--explain"]),
        ("availability.json", &["availability", "servers/backfill-6d/snapshot", "--format", "json"]),
        (
            "availability-counted.json",
            &[
                "availability",
                "servers/live-2.42/snapshot",
                "--semantics",
                "counted",
                "--window",
                "3m",
                "--format",
                "json",
                "--digests",
            ],
        ),
        (
            "availability-sliding.txt",
            &["availability", "servers/backfill-6d/snapshot", "--window", "24h", "--every", "6h"],
        ),
        (
            "availability.csv",
            &["availability", "servers/backfill-6d/snapshot", "servers/live-3.5/snapshot", "--format", "csv"],
        ),
        ("model-updates.txt", &["model-updates", "servers/backfill-6d/snapshot"]),
        ("model-updates.json", &["model-updates", "servers/live-3.16/snapshot", "--format", "json"]),
        (
            "model-updates.table",
            &["model-updates", "servers/backfill-6d/snapshot", "servers/live-2.42/snapshot", "--format", "table"],
        ),
        ("inspect.txt", &["inspect", "servers/live-2.53/snapshot-deleted"]),
        ("inspect.json", &["inspect", "encodings/overlap-3/data", "--format", "json"]),
        (
            "dump.txt",
            &["dump", "servers/live-2.42/snapshot", "--match", "model_switches_total", "--end", "2026-11-23T13:41:00Z"],
        ),
        (
            "no-such-metric.txt",
            &[
                "availability",
                "servers/live-2.42/snapshot",
                "--total",
                "recommend_request_total",
                "--bad",
                "recommend_request_total{status=\"500\"}",
            ],
        ),
    ] {
        let output = run(args);
        golden(name, &format!("$ promproof {}\n[exit {}]\n{}", args.join(" "), status(&output), text(&output.stdout)));
    }
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let output = text(&run(&["availability", "servers/backfill-6d/snapshot"]).stdout);
    let command = "$ cargo run --release -- availability fixtures/servers/backfill-6d/snapshot\n";
    assert!(readme.contains(&format!("{command}{output}```")), "README's example differs from:\n{output}");
}

#[test]
fn exit_status_says_how_it_ended() {
    let source = p(&backfill());
    for (want, args) in [
        (0, vec!["availability", &source]),
        (1, vec!["availability", &source, "--required", "99"]),
        (3, vec!["availability", &source, "--total", "nothing", "--good", "nothing{a=\"b\"}"]),
        (3, vec!["availability", &source, "--end", "2024-01-01T00:00:00Z"]),
        (3, vec!["availability", &source, "--window", "9d", "--required", "95"]),
        (1, vec!["availability", &source, "--window", "9d", "--required", "96", "--verdict", "observed"]),
        (3, vec!["availability", &source, "--window", "9d", "--require-coverage", "95%"]),
        (0, vec!["model-updates", &source]),
        (3, vec!["model-updates", &source, "--minimum", "7"]),
        (
            1,
            vec![
                "model-updates",
                &source,
                "--start",
                "2025-11-14T00:00:00Z",
                "--end",
                "2025-11-19T12:00:00Z",
                "--minimum",
                "7",
            ],
        ),
        (0, vec!["inspect", &source]),
        (0, vec!["dump", &source, "--match", "up"]),
        (3, vec!["dump", &source, "--match", "nothing"]),
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (2, vec![]),
        (2, vec!["availability"]),
        (2, vec!["availability", "/does/not/exist"]),
        (2, vec!["availability", &source, "--end", "yesterday"]),
        (2, vec!["availability", &source, "--start", "5", "--end", "4"]),
        (2, vec!["availability", &source, "--start", "4", "--end", "5", "--window", "1h"]),
        (2, vec!["availability", &source, "--window", "1h", "--hours", "1"]),
        (2, vec!["availability", &source, "--total", "up"]),
        (2, vec!["availability", &source, "--good", "up"]),
        (2, vec!["availability", &source, "--total", "up{"]),
        (2, vec!["availability", &source, "--required", "101"]),
        (2, vec!["availability", &source, "--semantics", "prometheus-2.39"]),
        (2, vec!["availability", &source, "--semantics", "thanos"]),
        (2, vec!["availability", &source, "--threads", "0"]),
        (2, vec!["availability", &source, "--root", "../x"]),
    ] {
        let output = run(&args);
        assert_eq!(status(&output), want, "{args:?}: {}", text(&output.stderr));
        if want == 2 && !args.is_empty() {
            assert!(!output.stderr.is_empty(), "{args:?} says nothing");
            assert!(output.stdout.is_empty(), "{args:?} prints a result");
        }
    }
}

#[test]
fn the_same_bytes_for_any_threads_and_reading() {
    let source = p(&backfill());
    for args in [
        vec!["availability", &source, "--every", "3h", "--format", "json", "--window", "24h"],
        vec!["availability", &source, "--semantics", "counted", "--explain"],
        vec!["model-updates", &source, "--format", "json"],
        vec!["inspect", &source, "--format", "json"],
        vec![
            "dump",
            &source,
            "--match",
            "{job=\"movie-recommender\"}",
            "--format",
            "csv",
            "--start",
            "2025-11-19T00:00:00Z",
        ],
    ] {
        let reference = run(&args);
        assert!(!reference.stdout.is_empty());
        for extra in [&["--threads", "1"][..], &["--threads", "7"], &["--no-mmap"]] {
            let other = run(&[&args[..], extra].concat());
            assert!(reference.stdout == other.stdout, "{args:?} with {extra:?}");
        }
    }
}

#[test]
fn several_sources_are_answered_in_order_and_the_worst_status_counts() {
    let (a, b) = (p(&backfill()), p(&live()));
    let output = run(&["availability", &a, "/does/not/exist", &b, "--format", "json", "--window", "2m"]);
    assert_eq!(status(&output), 2);
    let documents: Vec<Value> = text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(documents.len(), 2, "one document per line");
    assert_eq!(documents[0]["source"]["name"], "snapshot");
    assert!(text(&output.stderr).contains("/does/not/exist"));
    let rows = text(&run(&["availability", &a, &b, "--format", "csv"]).stdout);
    assert_eq!(rows.lines().count(), 3);
}

#[test]
fn parts_of_one_server_merge_to_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (i, block) in blocks(&backfill()).iter().enumerate() {
        // The parts overlap by one block, as copies taken at different times do.
        for part in 0..2 {
            if i % 2 == part || i == 2 {
                copy_tree(block, &dir.path().join(format!("part-{part}")).join(block.file_name().unwrap()));
            }
        }
    }
    let whole = json(&run(&["availability", &p(&backfill()), "--format", "json"]));
    let args = ["availability", "part-0", "part-1", "--merge", "--format", "json", "--end", "2025-11-19T11:59:51.740Z"];
    let merged = json(&run_in(dir.path(), &args));
    for key in ["metrics", "exact", "counted", "verdict", "coverage", "series"] {
        assert_eq!(whole[key], merged[key], "{key}");
    }
    assert_eq!(merged["source"]["name"], "part-0+part-1");
}

#[test]
fn two_servers_do_not_merge() {
    // The same targets seen by two servers: other timestamps in the same time.
    let dir = tempfile::tempdir().unwrap();
    let labels = promproof::labels::Labels::from_pairs([
        ("__name__", "recommend_requests_total"),
        ("status", "200"),
        ("job", "a"),
    ]);
    for (name, shift) in [("one", 0), ("two", 7)] {
        let mut samples = promproof::sample::Samples::default();
        for i in 0..100i64 {
            samples.push(i * 15_000 + shift, (i as f64).to_bits());
        }
        let path = dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let ulid = promproof::tsdb::Ulid::from_parts(1, shift as u128);
        let mut w = promproof::tsdb::write::BlockWriter::create(&path, ulid, 0, 7_200_000).unwrap();
        w.add_series(&labels, &samples).unwrap();
        w.finish().unwrap();
    }
    for command in [&["availability", "one", "two", "--merge"][..], &["inspect", "one", "two", "--merge"]] {
        let output = run_in(dir.path(), command);
        assert_eq!(status(&output), 2, "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains("different servers"), "{}", text(&output.stderr));
    }
    assert_eq!(
        status(&run_in(dir.path(), &["availability", "one", "two"])),
        3,
        "no `up`, so the bounds stay open or it is met"
    );
}

#[test]
fn evidence_stays_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("snapshot");
    copy_tree(&live(), &source);
    let before = tree(dir.path());
    let s = p(&source);
    for args in
        [vec!["availability", &s], vec!["model-updates", &s], vec!["inspect", &s], vec!["dump", &s, "--match", "up"]]
    {
        run(&args);
    }
    let inside = p(&source.join("report.json"));
    let output = run(&["availability", &s, "--output", &inside]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("evidence"), "{}", text(&output.stderr));
    assert!(before == tree(dir.path()), "something was written");
}

#[test]
fn output_appears_whole_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.json");
    let (f, s) = (p(&file), p(&live()));
    let args = ["availability", s.as_str(), "--format", "json", "--window", "2m", "--output", f.as_str()];
    let first = run(&args);
    assert_eq!(status(&first), 0);
    assert!(first.stdout.is_empty() && text(&first.stderr).contains("a.json"), "the path goes to stderr");
    let written = std::fs::read(&file).unwrap();
    assert_eq!(written, run(&args[..6]).stdout, "the same bytes as on standard output");
    assert_eq!(status(&run(&args)), 2, "it exists");
    assert_eq!(status(&run(&[&args[..], &["--force"]].concat())), 0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn one_window_three_ways() {
    let s = p(&backfill());
    let ask = |extra: &[&str]| json(&run(&[&["availability", s.as_str(), "--format", "json"][..], extra].concat()));
    let a = ask(&["--end", "2025-11-18T00:00:00Z", "--window", "24h"]);
    for other in [
        ask(&["--start", "2025-11-17T00:00:00Z", "--hours", "24"]),
        ask(&["--start", "1763337600", "--end", "2025-11-18T01:00:00+01:00"]),
        ask(&["--start", "2025-11-17T00:00:00", "--end", "2025-11-18"]),
    ] {
        assert_eq!(a, other);
    }
    let output = run(&["availability", &s, "--end", "2025-11-18T00:00:00"]);
    assert!(text(&output.stderr).contains("UTC"), "an assumed zone is said");
}

#[test]
fn a_selector_question_equals_the_preset() {
    let s = p(&backfill());
    let preset = json(&run(&["availability", &s, "--format", "json"]));
    let good = json(&run(&[
        "availability",
        &s,
        "--format",
        "json",
        "--total",
        "recommend_requests_total",
        "--good",
        "recommend_requests_total{status=\"200\"}",
    ]));
    let bad = json(&run(&[
        "availability",
        &s,
        "--format",
        "json",
        "--total",
        "recommend_requests_total",
        "--bad",
        "{__name__=\"recommend_requests_total\",status!=\"200\"}",
    ]));
    assert_eq!(preset["exact"]["total_requests"], good["exact"]["total_requests"]);
    assert_eq!(preset["exact"]["successful_requests"], good["exact"]["successful_requests"]);
    assert_eq!(good["exact"]["avg_health_status"], serde_json::json!([]), "health only if given");
    assert_eq!(good["counted"]["successful_requests"], bad["counted"]["successful_requests"]);
}

#[test]
fn a_flipped_bit_costs_its_chunk_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("snapshot");
    copy_tree(&backfill(), &source);
    // A bit in every chunk of one block's segment from the middle on: find the ones that a question needs.
    let block = blocks(&source).pop().unwrap();
    let segment = block.join("chunks/000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    for at in (middle..middle + 3000).step_by(40) {
        bytes[at] ^= 1;
    }
    std::fs::write(&segment, bytes).unwrap();
    let output = run(&["inspect", &p(&source), "--format", "json"]);
    assert_eq!(status(&output), 3);
    let losses = json(&output)["losses"].as_array().unwrap().clone();
    assert!(!losses.is_empty());
    for l in &losses {
        assert_eq!(l["kind"], "checksum");
        assert!(l["file"].as_str().unwrap().ends_with("chunks/000001"));
        assert!(l["offset"].is_u64() && l["series"].is_object() && l["start"].is_string() && l["end"].is_string());
    }
    let text_report = text(&run(&["inspect", &p(&source)]).stdout);
    assert!(text_report.contains("checksum") && text_report.contains("Accounts That Do Not Add Up"));
}

#[test]
fn a_damaged_log_is_listed_with_the_time_it_may_cover() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("data");
    copy_tree(&live(), &source);
    std::fs::create_dir(source.join("wal")).unwrap();
    std::fs::write(source.join("wal/00000000"), [1u8; 4096]).unwrap();
    std::fs::create_dir_all(source.join("snapshots/20260901T000000Z-0123456789abcdef")).unwrap();
    let s = p(&source);
    // The newest sample of the blocks lies before the log: it is listed and changes nothing about this window.
    let output = run(&["availability", &s, "--window", "1m", "--format", "json", "--required", "50"]);
    let trailing = json(&output);
    assert_eq!(status(&output), 0);
    assert_eq!(trailing["losses"][0]["file"], "wal/00000000");
    assert!(trailing["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains("may be newer")));
    // Asked about a time before it, the log is beside the question.
    let before =
        json(&run(&["availability", &s, "--window", "1m", "--end", "2026-11-23T13:57:00Z", "--format", "json"]));
    assert_eq!(before["losses"], serde_json::json!([]));
    assert!(trailing["notes"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().contains("snapshots/")));
    // A window that reaches into the log's time cannot be settled by what the log may hold.
    let later = run(&["availability", &s, "--window", "3m", "--end", "2026-11-23T13:59:18Z", "--format", "json"]);
    assert_eq!(status(&later), 3);
    assert_eq!(json(&later)["losses"][0]["file"], "wal/00000000");
}

/// Found by a stranger: the copy of a folder that was renamed by hand was a note, and its time an outage.
#[test]
fn a_block_under_a_wrong_name_is_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("data");
    copy_tree(&live(), &source);
    let block =
        std::fs::read_dir(&source).unwrap().map(|e| e.unwrap().path()).find(|p| p.join("index").is_file()).unwrap();
    std::fs::rename(&block, source.join(format!("{} (1)", block.file_name().unwrap().to_str().unwrap()))).unwrap();
    let output = run(&["inspect", &p(&source), "--format", "json"]);
    let losses = json(&output)["losses"].as_array().unwrap().clone();
    assert_eq!(status(&output), 3);
    let loss = losses.iter().find(|l| l["file"].as_str().unwrap().ends_with(" (1)/meta.json")).unwrap();
    assert!(loss["start"].is_string() && loss["samples"].is_u64(), "{loss}");
    // Beside the block itself it is a copy, and costs nothing.
    copy_tree(&source.join(format!("{} (1)", block.file_name().unwrap().to_str().unwrap())), &block);
    assert_eq!(json(&run(&["inspect", &p(&source), "--format", "json"]))["losses"], serde_json::json!([]));
}

#[test]
fn several_roots_are_listed_with_the_flag_that_chooses() {
    let output = run(&["availability", &p(&fixtures().join("servers/live-2.53"))]);
    assert_eq!(status(&output), 2);
    let message = text(&output.stderr);
    assert!(message.contains("--root snapshot\n") && message.contains("--root snapshot-deleted"), "{message}");
    let chosen =
        run(&["availability", &p(&fixtures().join("servers/live-2.53")), "--root", "snapshot", "--window", "2m"]);
    assert_eq!(status(&chosen), 0);
    assert_eq!(status(&run(&["availability", &p(&fixtures().join("servers/live-3.16"))])), 3, "one root is found");
}

#[test]
fn a_single_block_is_a_source() {
    let block = blocks(&backfill()).into_iter().next().unwrap();
    let output = run(&["inspect", &p(&block), "--format", "json"]);
    assert_eq!(status(&output), 0);
    assert_eq!(json(&output)["blocks"].as_array().unwrap().len(), 1);
}

#[test]
fn documents_follow_their_schemas() {
    let (a, b) = (p(&backfill()), p(&live()));
    for (schema, args) in [
        ("availability", vec!["availability", &a, "--every", "6h", "--window", "24h", "--digests"]),
        ("availability", vec!["availability", &b, "--semantics", "counted"]),
        ("availability", vec!["availability", &b, "--total", "nothing", "--bad", "nothing{a=\"1\"}"]),
        ("model-updates", vec!["model-updates", &a]),
        ("model-updates", vec!["model-updates", &b, "--switches", "nothing"]),
        ("inspect", vec!["inspect", &b, "--digests"]),
        ("inspect", vec!["inspect", "dumps/20261123T135428.496Z.prom", "--digests", "--label", "*:job=a"]),
        ("availability", vec!["availability", "dumps/dump.txt.zst", "--window", "1h", "--digests"]),
        ("model-updates", vec!["model-updates", "dumps/federate.prom", "--digests"]),
        ("check", vec!["check", "dumps/query-raw.json.zst"]),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{schema}.schema.json"));
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let document = json(&run(&[&args[..], &["--format", "json"]].concat()));
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{args:?}: {errors:#?}");
    }
}

#[test]
fn labels_cannot_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "\u{1b}[31mred\u{7}\u{202e}";
    let labels = promproof::labels::Labels::from_pairs([("__name__", "recommend_requests_total"), ("status", evil)]);
    let mut samples = promproof::sample::Samples::default();
    for i in 0..50i64 {
        samples.push(i * 15_000, (i as f64).to_bits());
    }
    let ulid = promproof::tsdb::Ulid::from_parts(1, 1);
    let mut w = promproof::tsdb::write::BlockWriter::create(dir.path(), ulid, 0, 7_200_000).unwrap();
    w.add_series(&labels, &samples).unwrap();
    w.finish().unwrap();
    let s = p(dir.path());
    for args in [
        vec!["availability", s.as_str(), "--explain", "--window", "10m"],
        vec!["availability", s.as_str(), "--format", "table", "--window", "10m"],
        vec!["inspect", s.as_str()],
        vec!["dump", s.as_str(), "--match", "recommend_requests_total"],
    ] {
        let out = text(&run(&args).stdout);
        assert!(!out.contains('\u{1b}') && !out.contains('\u{7}') && !out.contains('\u{202e}'), "{args:?}: {out:?}");
    }
}

/// Found by a stranger: with the newest block lost the window slid back in silence.
#[test]
fn a_lost_newest_block_is_named_although_the_window_ends_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("snapshot");
    copy_tree(&backfill(), &source);
    let newest = blocks(&source).into_iter().max_by_key(|b| {
        let meta: Value = serde_json::from_slice(&std::fs::read(b.join("meta.json")).unwrap()).unwrap();
        meta["minTime"].as_i64()
    });
    std::fs::remove_file(newest.unwrap().join("index")).unwrap();
    let report = json(&run(&["availability", &p(&source), "--format", "json"]));
    assert!(report["losses"][0]["file"].as_str().unwrap().ends_with("/index"));
    assert!(report["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains("may be newer")));
}

/// Found by a stranger: a side outside the total gave 8514 %.
#[test]
fn a_side_is_part_of_the_total() {
    let s = p(&backfill());
    let outside = run(&[
        "availability",
        &s,
        "--total",
        "recommend_requests_total{status=\"404\"}",
        "--good",
        "recommend_requests_total{status=\"200\"}",
    ]);
    assert_eq!(status(&outside), 2);
    assert!(text(&outside.stderr).contains("--total does not"), "{}", text(&outside.stderr));
    let nothing = json(&run(&[
        "availability",
        &s,
        "--format",
        "json",
        "--total",
        "recommend_requests_total",
        "--bad",
        "recommend_requests_total{code=~\"5..\"}",
    ]));
    let warnings = nothing["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|w| w.as_str().unwrap().contains("--bad matches nothing")), "{warnings:?}");
    for (flag, other, selector) in [
        ("--good", Some("bad"), "recommend_requests_total{status!=\"418\"}"),
        ("--bad", Some("good"), "recommend_requests_total"),
        ("--good", None, "recommend_requests_total{status!=\"500\"}"),
    ] {
        let all = ["availability", &s, "--format", "json", "--total", "recommend_requests_total", flag, selector];
        let notes = json(&run(&all))["notes"].to_string();
        let told = |other| {
            notes.contains(&format!(
                "{flag} matches every series that --total matches, so that no request here can be {other}"
            ))
        };
        assert_eq!(other.map(told), other.map(|_| true), "{notes}");
        assert_eq!(notes.contains("matches every series"), other.is_some(), "{notes}");
    }
}

/// Found by a stranger: `--force` renamed over a device.
#[test]
fn only_regular_files_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let s = p(&live());
    let folder = p(dir.path());
    let link = dir.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for target in [folder.as_str(), &p(&link)] {
        let output = run(&["availability", &s, "--output", target, "--force"]);
        assert_eq!(status(&output), 2, "{target}");
        assert!(text(&output.stderr).contains("no regular file"), "{}", text(&output.stderr));
    }
}

/// Found by a stranger: nothing on either stream where no sample can be read.
#[test]
fn a_source_without_samples_still_gets_a_report() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("wal")).unwrap();
    std::fs::write(dir.path().join("wal/00000000"), [1u8; 4096]).unwrap();
    let s = p(dir.path());
    for command in ["availability", "model-updates"] {
        let output = run(&[command, &s, "--format", "json"]);
        assert_eq!(status(&output), 3);
        assert_eq!(json(&output)["losses"][0]["file"], "wal/00000000");
    }
    // A server younger than two hours: its snapshot is named, since only that can be read.
    std::fs::write(dir.path().join("wal/00000000"), b"").unwrap();
    std::fs::create_dir_all(dir.path().join("snapshots/20260901T000000Z-0123456789abcdef")).unwrap();
    let output = run(&["inspect", &s]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("snapshots/2026"), "{}", text(&output.stderr));
}

/// Found by a stranger: milliseconds were read as seconds, and a number of threads took minutes to start.
#[test]
fn impossible_numbers_are_refused() {
    let s = p(&live());
    let output = run(&["availability", &s, "--end", "1763553591740"]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("milliseconds"));
    assert_eq!(status(&run(&["availability", &s, "--threads", "99999"])), 2);
}

/// A reader that goes away early does not change the verdict.
#[test]
fn a_closed_pipe_keeps_the_status() {
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_promproof"))
        .args(["availability", &p(&backfill()), "--every", "60s", "--format", "json", "--required", "99"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
