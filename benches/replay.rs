//! How long a head takes to open: a write-ahead log of 60 million samples of 10 000 series, as it is and for one service.
//!
//! The log (about 690 MB, plain, and the same with snappy) is written once into `promproof-bench-wal-2/` below the
//! system's folder for temporary files (`TMPDIR`) and used again by later runs. Remove the folder to get the space back.
//! The same folders can be given to a server: `prometheus --storage.tsdb.path=COPY …`.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

mod made;

use std::path::PathBuf;

use divan::{Bencher, black_box};

use made::wal::{LogWriter, samples_record, series_record};
use made::{Kind, random, samples};
use promproof::labels::Labels;
use promproof::selector::Selector;
use promproof::source::{OpenOptions, Source};

const START_MS: i64 = 1_763_553_600_000;
const STEP_MS: i64 = 15_000;
const SAMPLES: usize = 6_000;
const TARGETS: usize = 10;
const PER_TARGET: usize = 1_000;

fn main() {
    for snappy in [false, true] {
        folder(snappy);
    }
    divan::main();
}

/// The folder of the log, written if it is not there yet.
fn folder(snappy: bool) -> PathBuf {
    let top = std::env::temp_dir().join("promproof-bench-wal-2");
    let dir = top.join(if snappy { "snappy" } else { "plain" });
    if dir.is_dir() {
        return dir;
    }
    let part = top.join("part");
    let _ = std::fs::remove_dir_all(&part);
    let mut log = LogWriter::create(&part.join("wal"), snappy);
    let kinds = [Kind::Busy, Kind::Idle, Kind::Gauge, Kind::Bucket(1024), Kind::Constant, Kind::Steady];
    let mut random = random(7);
    let labels = |target: usize, i: usize| {
        let instance = format!("10.0.0.{target}:8080");
        let name = match (target, i) {
            (0, 0..12) => "recommend_requests_total".to_owned(),
            (_, 0) => "up".to_owned(),
            _ => format!("metric_{}_total", i % 100),
        };
        let (n, status) = (i.to_string(), if i.is_multiple_of(3) { "500" } else { "200" });
        let pairs = [
            ("__name__", name.as_str()),
            ("instance", &instance),
            ("job", "recommender"),
            ("n", &n),
            ("status", status),
        ];
        Labels::from_pairs(pairs)
    };
    let mut columns: Vec<Vec<u64>> = Vec::new();
    for target in 0..TARGETS {
        let references = (0..PER_TARGET).map(|i| ((target * PER_TARGET + i + 1) as u64, labels(target, i)));
        log.log(&series_record(references));
        for i in 0..PER_TARGET {
            columns.push(samples(kinds[i % kinds.len()], &mut random, START_MS, STEP_MS, SAMPLES).bits);
        }
    }
    let value = |series: usize, at: usize| columns.get(series).and_then(|c| c.get(at)).copied().unwrap_or(0);
    for at in 0..SAMPLES {
        for target in 0..TARGETS {
            let t = START_MS + at as i64 * STEP_MS + target as i64 * 1_371;
            let of = (0..PER_TARGET).map(|i| target * PER_TARGET + i);
            log.log(&samples_record(t, of.map(|s| (s as u64 + 1, value(s, at)))));
        }
    }
    log.finish();
    std::fs::rename(&part, &dir).unwrap();
    dir
}

fn opened(snappy: bool, wanted: &[&str]) -> Source {
    let wanted = wanted.iter().map(|s| Selector::parse(s).unwrap()).collect();
    Source::open(&folder(snappy), &OpenOptions { wanted, ..OpenOptions::default() }).unwrap()
}

/// Replay alone: which series there are, how many samples each has and when.
#[divan::bench(args = [false, true], sample_count = 5, sample_size = 1)]
fn outline(bencher: Bencher<'_, '_>, snappy: bool) {
    let samples = divan::counter::ItemsCount::new(TARGETS * PER_TARGET * SAMPLES);
    bencher.counter(samples).bench(|| black_box(opened(snappy, &[])));
}

/// Replay that keeps the samples of one metric.
#[divan::bench(args = [false, true], sample_count = 5, sample_size = 1)]
fn one_metric(bencher: Bencher<'_, '_>, snappy: bool) {
    let samples = divan::counter::ItemsCount::new(TARGETS * PER_TARGET * SAMPLES);
    bencher.counter(samples).bench(|| black_box(opened(snappy, &["recommend_requests_total", "up"])));
}

/// Replay that keeps every sample: 16 bytes each.
#[divan::bench(args = [false], sample_count = 3, sample_size = 1)]
fn everything(bencher: Bencher<'_, '_>, snappy: bool) {
    let samples = divan::counter::ItemsCount::new(TARGETS * PER_TARGET * SAMPLES);
    bencher.counter(samples).bench(|| black_box(opened(snappy, &["{__name__=~\".+\"}"])));
}
