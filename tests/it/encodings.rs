//! `encodings/`: every sample that Prometheus' own library reads must come out with the same bits, in the same order.

use std::path::Path;

use promproof::ErrorKind;
use promproof::loss::Ledger;
use promproof::samples::{LoadedSeries, Reach, load_selected};
use promproof::series::select;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;

use crate::support::fixture_sets;

/// What `series.jsonl` or `digest.jsonl` says about one series.
struct Expected {
    labels: serde_json::Value,
    floats: Vec<(i64, u64)>,
    count: usize,
    sha256: Option<String>,
}

fn expected(case: &Path) -> Vec<Expected> {
    let (path, digest) = match case.join("expected/series.jsonl") {
        p if p.exists() => (p, false),
        _ => (case.join("expected/digest.jsonl"), true),
    };
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines()
        .map(|line| {
            let v: serde_json::Value = serde_json::from_str(line).unwrap();
            if digest {
                let sha256 = Some(v["sha256"].as_str().unwrap().to_owned());
                return Expected {
                    labels: v["labels"].clone(),
                    floats: vec![],
                    count: v["count"].as_u64().unwrap() as usize,
                    sha256,
                };
            }
            let floats: Vec<(i64, u64)> = v["floats"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| (s[0].as_i64().unwrap(), u64::from_str_radix(s[1].as_str().unwrap(), 16).unwrap()))
                .collect();
            Expected { labels: v["labels"].clone(), count: floats.len(), floats, sha256: None }
        })
        .collect()
}

fn full_read(source: &Source) -> (Vec<LoadedSeries>, Ledger) {
    let selection = select(source, &[]);
    let loaded = load_selected(source, &selection.series, selection.ledger, Interval::ALL, Reach::Exact);
    let mut ledger = source.opening_ledger();
    ledger.absorb(loaded.ledger);
    (loaded.series, ledger)
}

#[test]
fn every_sample_has_the_bits_that_prometheus_reads() {
    let (mut cases, mut series, mut samples, mut skipped) = (0, 0, 0, Vec::new());
    for case in fixture_sets("encodings") {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let data = case.join("data");
        if ["wal", "wbl", "chunks_head"].iter().any(|d| data.join(d).is_dir()) {
            skipped.push(name);
            continue;
        }
        let source = Source::open(&data, &OpenOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (loaded, ledger) = full_read(&source);
        let unsupported: Vec<_> = ledger.losses.iter().filter(|l| l.kind == ErrorKind::Unsupported).collect();
        if !unsupported.is_empty() {
            assert!(unsupported.iter().all(|l| l.series.is_some() && l.samples.is_some()), "{name}");
            skipped.push(format!("{name} ({})", unsupported[0].detail));
            continue;
        }
        assert!(ledger.losses.is_empty(), "{name}: {:?}", ledger.losses);
        let got: Vec<&LoadedSeries> = loaded.iter().filter(|s| !s.samples.is_empty()).collect();
        let want: Vec<Expected> = expected(&case).into_iter().filter(|e| e.count > 0).collect();
        assert_eq!(got.len(), want.len(), "{name}: number of series with float samples");
        for (got, want) in got.iter().zip(&want) {
            assert_eq!(got.labels.to_json(), want.labels, "{name}");
            match &want.sha256 {
                None => {
                    let pairs: Vec<(i64, u64)> = got.samples.iter().collect();
                    assert_eq!(pairs, want.floats, "{name}: {}", got.labels);
                }
                Some(sha256) => {
                    use sha2::Digest;
                    let mut hash = sha2::Sha256::new();
                    for (t, bits) in got.samples.iter() {
                        hash.update(t.to_be_bytes());
                        hash.update(bits.to_be_bytes());
                    }
                    let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
                    assert_eq!((got.samples.len(), &hex), (want.count, sha256), "{name}: {}", got.labels);
                }
            }
            samples += want.count;
        }
        cases += 1;
        series += want.len();
    }
    println!("{cases} cases, {series} series, {samples} samples equal; not read yet: {}", skipped.join(", "));
    assert!(cases > 0);
}

/// `sum(increase(x[10m]))` in its parts: whether summed, the function, the selector, the range in milliseconds.
fn parts(query: &str) -> Option<(bool, &str, &str, i64)> {
    let (summed, inner) = match query.strip_prefix("sum(").and_then(|q| q.strip_suffix(')')) {
        Some(inner) => (true, inner),
        None => (false, query),
    };
    let (function, rest) = inner.split_once('(')?;
    let (selector, range) = rest.strip_suffix("])")?.rsplit_once('[')?;
    ["increase", "rate", "avg_over_time"].contains(&function).then_some(())?;
    Some((summed, function, selector, promproof::time::parse_duration(range).ok()?))
}

#[test]
fn recorded_answers_of_the_engine_have_the_same_bits() {
    use promproof::promql::{NEWEST, Window, avg_over_time, increase, rate, sum};
    let (mut equal, mut from_full_read) = (0, 0);
    for case in fixture_sets("encodings") {
        let data = case.join("data");
        if ["wal", "wbl", "chunks_head"].iter().any(|d| data.join(d).is_dir())
            || !case.join("expected/promql.json").exists()
        {
            continue;
        }
        let source = Source::open(&data, &OpenOptions::default()).unwrap();
        for answer in crate::support::read_json(&case.join("expected/promql.json")).as_array().unwrap() {
            let query = answer["query"].as_str().unwrap();
            let Some((summed, function, selector, range)) = parts(query) else { continue };
            let window = Window { end: answer["time_ms"].as_i64().unwrap(), range };
            let selector = promproof::selector::Selector::parse(selector).unwrap();
            let interval = Interval::new(window.start(), window.end);
            let loaded = promproof::samples::load_all(&source, &selector, interval, Reach::Exact);
            let unread = loaded.ledger.losses.iter().any(|l| l.kind == ErrorKind::Unsupported);
            if unread || loaded.series.iter().any(|s| s.members.iter().any(|m| m.histograms > 0)) {
                continue;
            }
            let values = loaded.series.iter().filter_map(|s| {
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
            from_full_read += usize::from(full.is_some());
            let want = full.or_else(|| recorded("result")).unwrap();
            assert_eq!(ours, want, "{}: {query} at {}", case.display(), window.end);
            equal += 1;
        }
    }
    println!("{equal} answers equal, {from_full_read} of them where another query order gives another value");
    assert!(equal > 50);
}
