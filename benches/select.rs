//! Whether time depends on what matches rather than on what is there: one service's series over a day, beside 100,
//! 1 000 and 10 000 series of other services.
//!
//! The blocks (6000 samples per series, 15 s apart; the largest has 60 million) are written once into
//! `promproof-bench-2/` below the system's folder for temporary files (`TMPDIR`) and used again by later runs. Remove
//! the folder to get the space (about 170 MB) back.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

mod made;

use std::path::PathBuf;

use divan::{Bencher, black_box};

use made::{Kind, random, samples};
use promproof::labels::Labels;
use promproof::samples::{Loaded, Reach, load_all};
use promproof::selector::Selector;
use promproof::series::select;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::tsdb::Ulid;
use promproof::tsdb::write::BlockWriter;
use promproof::verdict::availability::{Mode, Requirement, judge};
use promproof::windows::Span;
use promproof::windows::availability::{Question, evaluate};
use promproof::windows::semantics::{SemanticsChoice, resolve};

const UNRELATED: [usize; 3] = [100, 1_000, 10_000];
const START_MS: i64 = 1_763_553_600_000;
const STEP_MS: i64 = 15_000;
/// 25 hours.
const SAMPLES: usize = 6_000;
const HOUR_MS: i64 = 3_600_000;

/// What is asked for: all that a report about the service reads.
const SELECTORS: [&str; 4] = [
    "recommend_requests_total",
    "service_health_status",
    "recommend_latency_seconds_bucket",
    r#"up{job="recommender"}"#,
];
/// How many series the selectors find.
const MATCHING: usize = 12 + 2 + 22 + 2;

fn main() {
    for unrelated in UNRELATED {
        let found: usize = load_day(&open(unrelated)).iter().map(|l| l.series.len()).sum();
        assert_eq!(found, MATCHING, "beside {unrelated} series");
    }
    divan::main();
}

/// The service's series with two instances.
fn recommender() -> Vec<(Labels, Kind)> {
    let mut all = Vec::new();
    let mut add = |kind, name: &str, pairs: &[(&str, &str)]| {
        for instance in ["10.0.0.1:8080", "10.0.0.2:8080"] {
            let own = [("__name__", name), ("instance", instance), ("job", "recommender")];
            all.push((Labels::from_pairs(own.iter().chain(pairs).copied()), kind));
        }
    };
    for endpoint in ["/recommend", "/similar"] {
        for (status, kind) in [("200", Kind::Busy), ("500", Kind::Idle), ("503", Kind::Idle)] {
            let pairs = [("endpoint", endpoint), ("status", status)];
            add(kind, "recommend_requests_total", &pairs);
        }
    }
    add(Kind::Constant, "service_health_status", &[]);
    add(Kind::Constant, "up", &[]);
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
    for le in bounds {
        add(Kind::Bucket(1024), "recommend_latency_seconds_bucket", &[("le", le)]);
    }
    add(Kind::Busy, "recommend_latency_seconds_count", &[]);
    add(Kind::Gauge, "recommend_latency_seconds_sum", &[]);
    all
}

/// One of many series of other services; one in 50 is an `up`.
fn other(i: usize) -> (Labels, Kind) {
    let (job, instance) = (format!("service-{}", i % 37), format!("10.1.{}.{}:9090", i / 250, i % 250));
    let (name, kind) = match i % 50 {
        0 => ("up".to_owned(), Kind::Constant),
        n => {
            let kinds = [Kind::Busy, Kind::Idle, Kind::Gauge, Kind::Constant, Kind::Bucket(1024)];
            (format!("service_metric_{n}_total"), kinds[n % kinds.len()])
        }
    };
    let pairs = [("__name__", name.as_str()), ("instance", &instance), ("job", &job)];
    (Labels::from_pairs(pairs), kind)
}

/// The folder that holds a block with that many unrelated series, written if it is not there yet.
fn data(unrelated: usize) -> PathBuf {
    let dir = std::env::temp_dir().join("promproof-bench-2").join(unrelated.to_string());
    let ulid = Ulid::from_parts(START_MS as u64, unrelated as u128);
    if dir.join(ulid.to_string()).exists() {
        return dir;
    }
    // Whatever an interrupted run left.
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).unwrap();
    println!("writing {} series below {}", unrelated + recommender().len(), dir.display());
    let mut all = recommender();
    all.extend((0..unrelated).map(other));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut random = random(unrelated as u64);
    let end = START_MS + (SAMPLES as i64 + 1) * STEP_MS;
    let mut writer = BlockWriter::create(&dir, ulid, START_MS, end).unwrap();
    for (labels, kind) in all {
        let samples = samples(kind, &mut random, START_MS, STEP_MS, SAMPLES);
        writer.add_series(&labels, &samples).unwrap();
    }
    println!("{:?}", writer.finish().unwrap());
    dir
}

fn open(unrelated: usize) -> Source {
    Source::open(&data(unrelated), &OpenOptions::default()).unwrap()
}

fn selectors() -> Vec<Selector> {
    SELECTORS.iter().map(|s| Selector::parse(s).unwrap()).collect()
}

/// Everything that the selectors find in 24 hours, and what a counter needs from before.
fn load_day(source: &Source) -> Vec<Loaded> {
    let day = Interval::new(START_MS + HOUR_MS, START_MS + 25 * HOUR_MS);
    selectors().iter().map(|s| load_all(source, s, day, Reach::WithHistory)).collect()
}

/// Finding the series in the index.
#[divan::bench(args = UNRELATED)]
fn select_only(bencher: Bencher<'_, '_>, unrelated: usize) {
    let (source, selectors) = (open(unrelated), selectors());
    bencher.bench_local(|| {
        for s in &selectors {
            black_box(select(&source, s.matchers()));
        }
    });
}

/// Finding the series and reading their samples of 24 hours.
#[divan::bench(args = UNRELATED)]
fn select_and_load(bencher: Bencher<'_, '_>, unrelated: usize) {
    let source = open(unrelated);
    bencher.bench_local(|| black_box(load_day(&source)));
}

/// The same from opening the folder on, as a command does.
#[divan::bench(args = UNRELATED)]
fn open_select_and_load(bencher: Bencher<'_, '_>, unrelated: usize) {
    let dir = data(unrelated);
    bencher.bench_local(|| {
        let source = Source::open(&dir, &OpenOptions::default()).unwrap();
        black_box(load_day(&source))
    });
}

/// The whole question, from opening the folder to the verdict: five figures, counted increments, coverage, bounds.
#[divan::bench(args = UNRELATED)]
fn availability(bencher: Bencher<'_, '_>, unrelated: usize) {
    let dir = data(unrelated);
    let requirement = Requirement { percent: 70.0, mode: Mode::Bounded, coverage_ratio: None };
    bencher.bench_local(|| {
        let source = Source::open(&dir, &OpenOptions::default()).unwrap();
        let span = Span { start: START_MS + HOUR_MS, end: START_MS + 25 * HOUR_MS };
        let semantics = resolve(SemanticsChoice::Auto, &source, span);
        let answer = evaluate(&source, &Question::recommender(), span, semantics).unwrap();
        assert!(answer.exact.total.is_some_and(|t| t > 0.0));
        black_box(judge(&answer, requirement))
    });
}

/// 4320 windows of so many hours, spread over the time before the last one: the cost per window does not grow with its
/// length.
#[divan::bench(args = [1, 6, 12])]
fn sliding_4320_windows_of_hours(bencher: Bencher<'_, '_>, hours: i64) {
    let source = open(100);
    let end = START_MS + 24 * HOUR_MS;
    let span = Span { start: end - hours * HOUR_MS, end };
    // The step is what the time before the first window allows.
    let every = (24 - hours) * HOUR_MS / 4320;
    let question = Question { every: Some(every), ..Question::recommender() };
    bencher.bench_local(|| {
        let answer = evaluate(&source, &question, span, resolve(SemanticsChoice::Auto, &source, span)).unwrap();
        assert!(answer.sliding.as_ref().is_some_and(|s| s.windows.len() >= 4320));
        black_box(answer)
    });
}
