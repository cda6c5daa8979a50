//! `servers/`: what real servers answered over the same data, compared bit for bit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use promproof::promql::PromVersion;
use promproof::source::{OpenOptions, Source};
use promproof::time::parse_duration;
use promproof::windows::Span;
use promproof::windows::availability::{Availability, Question, evaluate};
use promproof::windows::semantics::{SemanticsChoice, resolve};

use crate::support::{fixture_sets, read_json};

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
                "golden" => vec!["data"],
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

/// The query with its range cut out: `increase(x[3600s])` gives (`increase(x[])`, 3 600 000).
fn shape(query: &str) -> Option<(String, i64)> {
    let (head, rest) = query.split_once('[')?;
    let (range, tail) = rest.split_once(']')?;
    Some((format!("{head}[]{tail}"), parse_duration(range).ok()?))
}

/// A recorded result as sorted (labels, value bits); every NaN is one value.
fn recorded(answer: &serde_json::Value) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = answer["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (canonical(&r["metric"]), bits(r["value"][1].as_str().unwrap().parse().unwrap())))
        .collect();
    out.sort();
    out
}

fn canonical(labels: &serde_json::Value) -> String {
    let map: BTreeMap<String, serde_json::Value> = serde_json::from_value(labels.clone()).unwrap();
    serde_json::to_string(&map).unwrap()
}

fn bits(v: f64) -> String {
    if v.is_nan() { "NaN".into() } else { format!("{:016x}", v.to_bits()) }
}

/// The answer to one of the grade's query shapes; `None` for other shapes.
fn ours(shape: &str, a: &Availability) -> Option<Vec<(String, String)>> {
    let single = |v: Option<f64>| v.map(|v| ("{}".to_owned(), bits(v))).into_iter().collect::<Vec<_>>();
    let mut out = match shape {
        "sum(increase(recommend_requests_total[]))" => single(a.exact.total),
        "sum(increase(recommend_requests_total{status=\"200\"}[]))" => single(a.exact.good),
        "sum(increase(recommend_requests_total{status=\"500\"}[]))" => single(a.exact.bad),
        "increase(recommend_requests_total[])" => a
            .series
            .iter()
            .filter_map(|s| s.increase.map(|v| (canonical(&s.labels.without_name().to_json()), bits(v))))
            .collect(),
        "avg_over_time(service_health_status[])" => {
            a.health.iter().map(|(l, v)| (canonical(&l.to_json()), bits(*v))).collect()
        }
        "histogram_quantile(0.95, sum(rate(recommend_latency_seconds_bucket[])) by (le))"
        | "histogram_quantile(0.95, sum by (le) (rate(recommend_latency_seconds_bucket[])))" => single(a.p95_seconds),
        _ => return None,
    };
    out.sort();
    Some(out)
}

/// Compares every recorded answer of the grade's shapes. Returns (equal, server errors, behind unread data, differing).
fn compare(golden: &Golden) -> (usize, usize, usize, Vec<String>) {
    let document = read_json(&golden.answers);
    let version = PromVersion::parse(document["version"].as_str().unwrap()).unwrap();
    let source = Source::open(&golden.data, &OpenOptions::default()).unwrap();
    let question = Question::recommender();
    let mut cache: BTreeMap<(i64, i64), Availability> = BTreeMap::new();
    let (mut equal, mut errors, mut unread, mut differing) = (0, 0, 0, Vec::new());
    for answer in document["answers"].as_array().unwrap() {
        let query = answer["query"].as_str().unwrap();
        let Some((shape, range)) = shape(query) else {
            continue;
        };
        let t_ms = (answer["time"].as_f64().unwrap() * 1000.0).round() as i64;
        let a = cache.entry((t_ms, range)).or_insert_with(|| {
            let span = Span { start: t_ms - range, end: t_ms };
            evaluate(&source, &question, span, resolve(SemanticsChoice::Prometheus(version), &source, span)).unwrap()
        });
        let Some(ours) = ours(&shape, a) else {
            continue;
        };
        if !a.losses.is_empty() {
            unread += 1;
            continue;
        }
        if answer.get("error").is_some_and(|e| !e.is_null()) {
            errors += 1;
            continue;
        }
        let theirs = recorded(answer);
        if ours == theirs {
            equal += 1;
        } else {
            differing.push(format!("{query} at {t_ms}: {theirs:?}, ours {ours:?}"));
        }
    }
    (equal, errors, unread, differing)
}

#[test]
fn every_recorded_answer_has_the_servers_bits() {
    let goldens = goldens();
    assert!(!goldens.is_empty());
    let (mut all, mut failed) = (0, 0);
    for g in &goldens {
        let (equal, errors, unread, differing) = compare(g);
        println!(
            "{} over {}: {equal} equal, {errors} server errors, {unread} need data not read yet, {} differ",
            name(&g.answers),
            name(&g.data),
            differing.len()
        );
        for d in differing.iter().take(5) {
            println!("  {d}");
        }
        all += equal;
        failed += differing.len();
    }
    println!("{all} answers equal, {failed} differ");
    assert_eq!(failed, 0);
}

fn name(path: &Path) -> String {
    path.iter()
        .rev()
        .take(2)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .map(|p| p.to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}
