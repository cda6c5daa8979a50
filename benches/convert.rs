//! How fast a snapshot becomes a dataset, how large it is, and what memory that takes, for growing snapshots: samples a
//! second, bytes a sample, peak resident memory, in both layouts; and `promtool tsdb dump` beside it, up to 60 million
//! samples, where `PROMPROOF_PROMTOOL` names the program.
//!
//! The snapshots are made by `promproof synth` (10 000 series: 60 % integer counters and buckets, 30 % gauges with three
//! decimals, 10 % constants), as a server compacts them; and one block of 60 million samples of the same kinds. They are made
//! once, below `promproof-bench-convert-1/` in the system's folder for temporary files. Sizes
//! are 1, 10 and 60 million samples; `PROMPROOF_BENCH_DAYS` names others as days of 57.6 million samples: `1,5,17.4` goes to
//! 1000 million (3 GB). Each figure is the best of three runs; the command runs as a process of its own, so that memory
//! is what a user sees.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

mod made;

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use made::{Kind, random, samples};
use promproof::labels::Labels;
use promproof::tsdb::Ulid;
use promproof::tsdb::write::BlockWriter;
use serde_json::Value;

const RUNS: usize = 3;

/// Series and scrapes of a snapshot.
struct Size {
    days: f64,
    series: u64,
}

fn sizes() -> Vec<Size> {
    match std::env::var("PROMPROOF_BENCH_DAYS") {
        Ok(days) => days.split(',').map(|d| Size { days: d.trim().parse().unwrap(), series: 10_000 }).collect(),
        Err(_) => {
            vec![Size { days: 1.0, series: 174 }, Size { days: 1.0, series: 1_740 }, Size { days: 1.0, series: 10_417 }]
        }
    }
}

/// A folder with one block of 60 million samples in 10 000 series, six in ten of them integer counters and buckets, three
/// gauges, one constant; made unless it is there.
fn one_block() -> PathBuf {
    const SERIES: usize = 10_000;
    const SAMPLES: usize = 6_000;
    const START_MS: i64 = 1_763_553_600_000;
    const STEP_MS: i64 = 15_000;
    let dir = std::env::temp_dir().join("promproof-bench-convert-1").join("block");
    let (snapshot, ulid) = (dir.join("snapshot"), Ulid::from_parts(START_MS as u64, 1));
    if snapshot.join(ulid.to_string()).exists() {
        return snapshot;
    }
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&snapshot).unwrap();
    let mut random = random(1);
    let mut writer = BlockWriter::create(&snapshot, ulid, START_MS, START_MS + (SAMPLES as i64 + 1) * STEP_MS).unwrap();
    for i in 0..SERIES {
        let kind = match i % 10 {
            0 => Kind::Busy,
            1 => Kind::Bucket(400),
            2 => Kind::Bucket(900),
            3 | 4 => Kind::Bucket(1024),
            5 => Kind::Idle,
            6..=8 => Kind::Gauge,
            _ => Kind::Constant,
        };
        let name = format!("service_metric_{:05}", i);
        let labels =
            Labels::from_pairs([("__name__", name.as_str()), ("instance", "10.0.0.1:9090"), ("job", "service")]);
        writer.add_series(&labels, &samples(kind, &mut random, START_MS, STEP_MS, SAMPLES)).unwrap();
    }
    writer.finish().unwrap();
    snapshot
}

fn promproof(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_promproof")).args(args).stdout(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).unwrap()
}

/// Makes the snapshot unless it is there.
fn snapshot(size: &Size) -> PathBuf {
    let dir = std::env::temp_dir().join("promproof-bench-convert-1");
    std::fs::create_dir_all(&dir).unwrap();
    let set = dir.join(format!("{}x{}", size.series, size.days));
    if !set.exists() {
        let (days, series) = (size.days.ceil().to_string(), size.series.to_string());
        promproof(&["synth", "-o", set.to_str().unwrap(), "--days", &days, "--series", &series, "--seed", "1", "-q"]);
    }
    set.join("snapshot")
}

/// The best of some runs, as `--stats json` gives it.
fn convert(snapshot: &Path, layout: &str, out: &Path) -> Value {
    let run = |_| {
        let (snapshot, out) = (snapshot.to_str().unwrap(), out.to_str().unwrap());
        let args = ["convert", snapshot, "-o", out, "--layout", layout, "--force", "-q", "--stats", "json"];
        serde_json::from_str::<Value>(promproof(&args).lines().last().unwrap()).unwrap()
    };
    let speed = |v: &Value| v["samples_per_second"].as_f64().unwrap();
    (0..RUNS).map(run).max_by(|a, b| speed(a).total_cmp(&speed(b))).unwrap()
}

/// The same with a log, without which promtool dumps nothing: hard links to the files of the blocks beside an empty folder.
fn as_data_directory(snapshot: &Path) -> PathBuf {
    fn link(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() { link(&entry.path(), &to) } else { std::fs::hard_link(entry.path(), to).unwrap() }
        }
    }
    let data = snapshot.with_file_name("data");
    if !data.exists() {
        link(snapshot, &data);
        std::fs::create_dir_all(data.join("wal")).unwrap();
    }
    data
}

/// Dumps everything with promtool; gives the number of lines.
fn promtool_dump(promtool: &OsStr, data: &Path) -> u64 {
    let mut command = Command::new(promtool);
    let mut dump = command.args(["tsdb", "dump"]).arg(data).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = dump.stdout.take().unwrap();
    let (mut lines, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let read = out.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        lines += buffer[..read].iter().filter(|b| **b == b'\n').count() as u64;
    }
    assert!(dump.wait().unwrap().success());
    lines
}

fn line(what: &str, samples: f64, per_second: f64, bytes: Option<f64>, memory: Option<f64>) {
    let bytes = bytes.map_or("-".to_owned(), |b| format!("{b:.2}"));
    let memory = memory.map_or("-".to_owned(), |m| format!("{:.0}", m / 1e6));
    println!("{:>9.1}  {what:<20} {:>12.1} {bytes:>9} {memory:>9}", samples / 1e6, per_second / 1e6);
}

fn main() {
    println!("M samples  what                 M samples/s  B/sample   peak MB");
    let one = std::env::var_os("PROMPROOF_BENCH_DAYS").is_none().then(|| ("of one block", one_block()));
    let made = sizes().into_iter().map(|size| ("", snapshot(&size)));
    for (what, snapshot) in made.chain(one) {
        let out = snapshot.with_file_name("dataset");
        let mut samples = 0.0;
        for layout in ["simple", "compact"] {
            let best = convert(&snapshot, layout, &out);
            let of = |key: &str| best[key].as_f64();
            samples = of("samples").unwrap();
            let name = format!("{layout} {what}");
            line(
                name.trim_end(),
                samples,
                of("samples_per_second").unwrap(),
                of("bytes_per_sample"),
                of("peak_memory_bytes"),
            );
        }
        std::fs::remove_dir_all(&out).unwrap();
        let Some(promtool) = std::env::var_os("PROMPROOF_PROMTOOL").filter(|_| samples < 7e7) else {
            continue;
        };
        let data = as_data_directory(&snapshot);
        let begun = Instant::now();
        assert_eq!(promtool_dump(&promtool, &data) as f64, samples);
        line("promtool tsdb dump", samples, samples / begun.elapsed().as_secs_f64(), None, None);
    }
}
