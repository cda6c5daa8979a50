//! Generated data, real servers, no tolerance: `tests/oracle` writes the data and asks the servers.
//!
//! `PROMPROOF_ORACLE` names a folder with `data/`, `questions.jsonl`, `truth.json` and `answers-<version>.jsonl` (also
//! in `engine/`). `.ci/run` makes one; without it these tests say that they were skipped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde_json::Value;

use promproof::labels::Labels;
use promproof::promql::PromVersion;
use promproof::selector::{Matcher, Selector};
use promproof::source::{OpenOptions, Source};
use promproof::windows::Span;
use promproof::windows::availability::{GoodRule, Question, evaluate};
use promproof::windows::semantics::{SemanticsChoice, resolve};
use promproof::windows::switches;

fn oracle() -> Option<PathBuf> {
    match std::env::var_os("PROMPROOF_ORACLE") {
        Some(dir) => Some(PathBuf::from(dir)),
        None => {
            eprintln!("skipped: no answers of real servers; see tests/oracle/README.md and PROMPROOF_ORACLE");
            None
        }
    }
}

fn question(set: &str) -> Question {
    let of = |s: Selector| s.and(Matcher::equal(b"set", set.as_bytes()));
    let requests = || of(Selector::metric("recommend_requests_total"));
    let status = |code: &str| requests().and(Matcher::equal(b"status", code.as_bytes()));
    Question {
        total: requests(),
        rule: GoodRule::Preset { good: status("200"), bad: status("500") },
        health: Some(of(Selector::metric("service_health_status"))),
        latency: Some(of(Selector::metric("recommend_latency_seconds_bucket"))),
        ..Question::recommender()
    }
}

/// As the oracle writes values.
pub fn bits(v: Option<f64>) -> Value {
    match v {
        None => Value::Null,
        Some(v) if v.is_nan() => "nan".into(),
        Some(v) => format!("{:016x}", v.to_bits()).into(),
    }
}

/// One JSON value a line.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A vector as the oracle writes it.
pub fn vector(samples: &[(Labels, f64)]) -> Value {
    samples.iter().map(|(l, v)| serde_json::json!({"labels": l.to_json(), "bits": bits(Some(*v))})).collect()
}

/// Our answers to the five questions of the oracle, by their fields.
pub fn five_figures(
    source: &Source,
    version: PromVersion,
    question: &Question,
    span: Span,
) -> [(&'static str, Value); 5] {
    let semantics = resolve(SemanticsChoice::Prometheus(version), source, span);
    let a = evaluate(source, question, span, semantics).unwrap();
    [
        ("total", bits(a.exact.total)),
        ("success", bits(a.exact.good)),
        ("error", bits(a.exact.bad)),
        ("health", vector(&a.health)),
        ("p95", bits(a.p95_seconds)),
    ]
}

#[test]
fn five_figures_equal_the_servers_on_generated_data() {
    let Some(dir) = oracle() else { return };
    let source = Source::open(&dir.join("data"), &OpenOptions::default()).unwrap();
    let mut files: Vec<PathBuf> = [dir.clone(), dir.join("engine")]
        .iter()
        .filter_map(|d| std::fs::read_dir(d).ok())
        .flatten()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("answers-"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no answers in {}", dir.display());
    let mut failed = 0;
    for file in files {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let version = PromVersion::parse(stem.strip_prefix("answers-").unwrap()).unwrap();
        let answers = lines(&file);
        let (equal, empty, nan) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let differing: Vec<String> = answers
            .par_iter()
            .flat_map_iter(|answer| {
                let (t, range) = (answer["t_ms"].as_i64().unwrap(), answer["range_ms"].as_i64().unwrap());
                let set = answer["set"].as_str().unwrap();
                let ours = five_figures(&source, version, &question(set), Span { start: t - range, end: t });
                let mut wrong = Vec::new();
                for (field, value) in ours {
                    let theirs = &answer[field];
                    empty.fetch_add(usize::from(theirs.is_null()), Ordering::Relaxed);
                    nan.fetch_add(usize::from(theirs == "nan"), Ordering::Relaxed);
                    if *theirs == value {
                        equal.fetch_add(1, Ordering::Relaxed);
                    } else {
                        wrong.push(format!("set {set} T={t} R={range} {field}: server {theirs}, ours {value}"));
                    }
                }
                wrong
            })
            .collect();
        println!(
            "{version}: {} questions, {} answers equal ({} without result, {} NaN), {} differ",
            answers.len(),
            equal.into_inner(),
            empty.into_inner(),
            nan.into_inner(),
            differing.len()
        );
        for d in differing.iter().take(5) {
            println!("  {d}");
        }
        failed += differing.len();
    }
    assert_eq!(failed, 0);
}

/// What the counted rule must find of one true increment in `(start, end]`: the amount, or `None` where the samples
/// cannot date it.
fn provable(i: &Value, replica: &Value, span: Span) -> f64 {
    let Some(t) = i["t_ms"].as_i64() else { return 0.0 };
    if t <= span.start || t > span.end {
        return 0.0;
    }
    let (value, amount) = (i["value"].as_f64().unwrap(), i["amount"].as_f64().unwrap());
    let prev = i["prev_value"].as_f64();
    let started = || {
        let life = i["life"].as_i64().unwrap();
        let start = replica["processes"].as_array().unwrap().iter().find(|p| p["life"] == life).unwrap();
        // Processes expose hundredths of a second.
        (replica["start_time_exposed"] == true).then(|| start["start_ms"].as_i64().unwrap() / 10 * 10)
    };
    if i["absent"] == true {
        // A scrape without the child after its stale marker is proof that it was made anew.
        return value;
    }
    match i["kind"].as_str().unwrap() {
        // The process exposes that it started inside the window: all of it was counted there.
        "initial" => started().filter(|s| *s > span.start).map_or(0.0, |_| value),
        "step" => amount,
        "return" | "remade" => match prev {
            Some(p) if value >= p => value - p,
            _ => value,
        },
        // Without a marker (the server itself was away) only a lower value or the start time tells.
        "restart" | "birth" => match prev {
            Some(p) if value >= p && started().is_none() => value - p,
            _ => value,
        },
        other => panic!("unknown kind {other}"),
    }
}

#[test]
fn counted_increments_are_those_of_the_generator() {
    let Some(dir) = oracle() else { return };
    let source = Source::open(&dir.join("data"), &OpenOptions::default()).unwrap();
    let truth: Value = serde_json::from_slice(&std::fs::read(dir.join("truth.json")).unwrap()).unwrap();
    let questions = lines(&dir.join("questions.jsonl"));
    let mut compared = 0;
    let mut skipped = 0;
    let mut wrong = Vec::new();
    for set in truth["sets"].as_array().unwrap().iter().filter(|s| s["truth"] == true) {
        let name = set["set"].as_str().unwrap();
        for q in questions.iter().filter(|q| q["set"] == name) {
            let (t, range) = (q["t_ms"].as_i64().unwrap(), q["range_ms"].as_i64().unwrap());
            let span = Span { start: t - range, end: t };
            let a = evaluate(&source, &question(name), span, resolve(SemanticsChoice::Counted, &source, span)).unwrap();
            let expected: f64 = set["replicas"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|r| r["requests"].as_array().unwrap().iter().map(move |i| (r, i)))
                .map(|(r, i)| provable(i, r, span))
                .sum();
            // A step across the start that is too long to be dated is kept apart; together they are the truth.
            let counted = a.counted.total.unwrap_or(0.0) + a.undatable.total;
            if a.undatable.total > 0.0 {
                skipped += 1;
            }
            compared += 1;
            if counted != expected {
                wrong.push(format!("set {name} T={t} R={range}: counted {counted}, the generator says {expected}"));
            }
        }
    }
    println!("{compared} windows compared ({skipped} with undatable steps), {} differ", wrong.len());
    for w in wrong.iter().take(10) {
        println!("  {w}");
    }
    assert!(compared > 300);
    assert!(wrong.is_empty());
}

#[test]
fn model_switches_are_those_of_the_generator() {
    let Some(dir) = oracle() else { return };
    let source = Source::open(&dir.join("data"), &OpenOptions::default()).unwrap();
    let truth: Value = serde_json::from_slice(&std::fs::read(dir.join("truth.json")).unwrap()).unwrap();
    let (mut compared, mut switches_seen) = (0, 0);
    let mut wrong = Vec::new();
    for set in truth["sets"].as_array().unwrap().iter().filter(|s| s["truth"] == true) {
        let name = set["set"].as_str().unwrap();
        let of = |s: Selector| s.and(Matcher::equal(b"set", name.as_bytes()));
        let question = switches::Question {
            switches: of(switches::Question::recommender().switches),
            version_info: of(switches::Question::recommender().version_info),
            ..switches::Question::recommender()
        };
        let span =
            Span { start: set["first_ms"].as_i64().unwrap() - 86_400_000, end: set["last_ms"].as_i64().unwrap() };
        let u = switches::evaluate(&source, &question, span, resolve(SemanticsChoice::Counted, &source, span)).unwrap();
        let mut ours: Vec<(i64, String, String, String)> = u
            .switches
            .iter()
            .map(|s| (s.t_ms, s.replica.get_text("instance"), s.from_version.clone(), s.to_version.clone()))
            .collect();
        let mut theirs = Vec::new();
        for r in set["replicas"].as_array().unwrap() {
            for i in r["switches"].as_array().unwrap() {
                let text = |v: &Value| v.as_str().unwrap().to_owned();
                for _ in 0..provable(i, r, span) as usize {
                    theirs.push((
                        i["t_ms"].as_i64().unwrap(),
                        text(&r["instance"]),
                        text(&i["labels"]["from_version"]),
                        text(&i["labels"]["to_version"]),
                    ));
                }
            }
        }
        ours.sort();
        theirs.sort();
        compared += 1;
        switches_seen += theirs.len();
        if ours != theirs {
            wrong.push(format!("set {name}: ours {ours:?}, the generator says {theirs:?}"));
        }
    }
    println!("{compared} sets, {switches_seen} switches, {} sets differ", wrong.len());
    for w in wrong.iter().take(5) {
        println!("  {w}");
    }
    assert!(compared > 10 && switches_seen > 30);
    assert!(wrong.is_empty());
}
