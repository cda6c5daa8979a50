//! `encodings/`: every sample that Prometheus' own library reads must come out with the same bits, in the same order.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use promproof::samples::Reach;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;

use crate::expected::{Equal, compare};
use crate::support::{fixture_sets, folders, read_json, read_text};

/// Compares the cases in parallel, prints what came of it, and gives what is wrong.
fn compare_all(cases: &[PathBuf]) -> Vec<String> {
    let outcomes: Vec<Result<Equal, String>> = cases.par_iter().map(|c| compare(c)).collect();
    let (mut equal_cases, mut total, mut wrong) = (0, Equal::default(), Vec::new());
    for (case, outcome) in cases.iter().zip(outcomes) {
        match outcome {
            Ok(equal) => {
                equal_cases += 1;
                total.add(equal);
            }
            Err(what) => wrong.push(format!("{}: {what}", case.display())),
        }
    }
    println!("{equal_cases} cases equal: {total}; {} cases differ", wrong.len());
    wrong
}

#[test]
fn every_sample_has_the_bits_that_prometheus_reads() {
    let wrong = compare_all(&fixture_sets("encodings"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The cases of every seed below `PROMPROOF_SEEDS`, as `tests/fixturegen/seeds.sh` writes them.
fn seeds() -> Option<Vec<PathBuf>> {
    let Some(dir) = std::env::var_os("PROMPROOF_SEEDS") else {
        eprintln!("skipped: cases of further seeds; see tests/fixturegen/README.md and PROMPROOF_SEEDS");
        return None;
    };
    let cases: Vec<PathBuf> = folders(Path::new(&dir)).iter().flat_map(|seed| folders(seed)).collect();
    assert!(!cases.is_empty(), "no DIR/<seed>/<case>/ in {}", dir.display());
    Some(cases)
}

#[test]
fn every_sample_of_further_seeds_has_the_bits_that_prometheus_reads() {
    let Some(cases) = seeds() else { return };
    let wrong = compare_all(&cases);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `sum(increase(x[10m]))` in its parts: whether summed, the function, the selector, the range in milliseconds.
fn parts(query: &str) -> Option<(bool, &str, &str, i64)> {
    let (summed, inner) = match query.strip_prefix("sum(").and_then(|q| q.strip_suffix(')')) {
        Some(inner) => (true, inner),
        None => (false, query),
    };
    let (function, rest) = inner.split_once('(')?;
    let (selector, range) = rest.strip_suffix("])")?.rsplit_once('[')?;
    // Two functions with an operator between them are no such query.
    (["increase", "rate", "avg_over_time"].contains(&function) && !selector.contains("])")).then_some(())?;
    Some((summed, function, selector, promproof::time::parse_duration(range).ok()?))
}

/// Answers that are equal, and of these the ones where another order of a query gives another value.
fn compare_answers(case: &Path) -> (usize, usize, Vec<String>) {
    use promproof::promql::{NEWEST, Window, avg_over_time, increase, rate, sum};
    let (mut equal, mut from_full_read, mut wrong) = (0, 0, Vec::new());
    let source = Source::open(&case.join("data"), &OpenOptions::default()).unwrap();
    for answer in read_json(&case.join("expected/promql.json")).as_array().unwrap() {
        let query = answer["query"].as_str().unwrap();
        let Some((summed, function, selector, range)) = parts(query) else { continue };
        let window = Window { end: answer["time_ms"].as_i64().unwrap(), range };
        let selector = promproof::selector::Selector::parse(selector).unwrap();
        let interval = Interval::new(window.start(), window.end);
        let loaded = promproof::samples::load_all(&source, &selector, interval, Reach::Exact);
        if loaded.series.iter().any(|s| s.members.iter().any(|m| m.histograms > 0)) {
            continue;
        }
        let mut series: Vec<_> = loaded.series.iter().collect();
        if source.sum_order().by_reference(window.query_interval(NEWEST)) {
            series.sort_by_key(|s| s.head_reference);
        }
        let values = series.iter().filter_map(|s| {
            let value = match function {
                "increase" => increase(NEWEST, window, &s.samples),
                "rate" => rate(NEWEST, window, &s.samples),
                _ => avg_over_time(NEWEST, window.select(NEWEST, &s.samples).map(|(_, v)| v)),
            };
            value.map(|v| (s.labels.without_name().to_json(), v))
        });
        let ours: Vec<(serde_json::Value, f64)> = match summed {
            true => sum(NEWEST, values.map(|v| v.1)).map(|v| (serde_json::json!({}), v)).into_iter().collect(),
            false => values.collect(),
        };
        let bits = |v: f64| if v.is_nan() { "NaN".to_owned() } else { format!("{:016x}", v.to_bits()) };
        let mut ours: Vec<String> = ours.into_iter().map(|(l, v)| format!("{l} {}", bits(v))).collect();
        let recorded = |key: &str| -> Option<Vec<String>> {
            let list = answer.get(key)?.as_array()?.iter();
            let line = |r: &serde_json::Value| {
                let value = f64::from_bits(u64::from_str_radix(r["value_bits"].as_str().unwrap(), 16).unwrap());
                format!("{} {}", r["labels"], bits(value))
            };
            let mut lines: Vec<String> = list.map(line).collect();
            lines.sort();
            Some(lines)
        };
        ours.sort();
        // Where values conflict, a query may see others than the full read, which is the rule here.
        let full = recorded("full_read_result");
        let is_full = usize::from(full.is_some());
        let want = full.or_else(|| recorded("result")).unwrap();
        if ours == want {
            equal += 1;
            from_full_read += is_full;
        } else {
            wrong.push(format!("{}: {query} at {}: {ours:?}, not {want:?}", case.display(), window.end));
        }
    }
    (equal, from_full_read, wrong)
}

fn compare_all_answers(cases: &[PathBuf]) {
    let asked: Vec<&PathBuf> = cases.iter().filter(|c| read_text(&c.join("expected/promql.json")).is_some()).collect();
    let results: Vec<_> = asked.par_iter().map(|c| compare_answers(c)).collect();
    let equal: usize = results.iter().map(|r| r.0).sum();
    let from_full_read: usize = results.iter().map(|r| r.1).sum();
    let wrong: Vec<String> = results.into_iter().flat_map(|r| r.2).collect();
    println!("{equal} answers equal, {from_full_read} of them where another query order gives another value");
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal > 50);
}

#[test]
fn recorded_answers_of_the_engine_have_the_same_bits() {
    compare_all_answers(&fixture_sets("encodings"));
}

#[test]
fn recorded_answers_of_the_engine_to_further_seeds_have_the_same_bits() {
    if let Some(cases) = seeds() {
        compare_all_answers(&cases);
    }
}
