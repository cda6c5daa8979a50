//! How fast a folder of saved `/metrics` becomes a SOURCE, and what memory that takes: 100 MB and 1 GB of scrapes of one target
//! with 2 500 series, opened on one thread and on all.
//!
//! The folders are made once, below `promproof-bench-dumps-1/` in the system's folder for temporary files. Six in ten series are
//! integer counters, three gauges with three decimals, one constant. Each figure is the best of three runs in a process of its
//! own, whose peak resident memory the system tells (Linux).

#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

mod made;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use made::random;
use promproof::source::{OpenOptions, Source};

const SERIES: usize = 2_500;
const RUNS: usize = 3;
/// What tells the program that it is the process of one run: the folder, the number of threads.
const CHILD: &str = "PROMPROOF_BENCH_DUMPS";

/// A folder with `megabytes` of scrapes, 15 s apart; made unless it is there.
fn folder(megabytes: usize) -> PathBuf {
    let dir = std::env::temp_dir().join("promproof-bench-dumps-1").join(megabytes.to_string());
    if dir.exists() {
        return dir;
    }
    let unfinished = dir.with_extension("part");
    drop(std::fs::remove_dir_all(&unfinished));
    std::fs::create_dir_all(&unfinished).unwrap();
    let mut random = random(1);
    let mut values = vec![0u64; SERIES];
    let mut written = 0;
    for time in (1_763_553_600..).step_by(15) {
        let mut text = String::new();
        for (i, value) in values.iter_mut().enumerate() {
            let (family, route) = (i / 50, i % 50);
            if route == 0 {
                let kind = if family % 10 < 6 { "counter" } else { "gauge" };
                writeln!(
                    text,
                    "# HELP app_metric_{family:03}_total What was done.\n# TYPE app_metric_{family:03}_total {kind}"
                )
                .unwrap();
            }
            let labels = format!(r#"handler="/api/v1/route/{route:03}",method="GET",code="200",pod="web-7f9c-000""#);
            let random = random.bits();
            let shown = match family % 10 {
                0..6 => {
                    *value += random % 10;
                    value.to_string()
                }
                6..9 => format!("{:.3}", (random % 100_000) as f64 / 1000.0),
                _ => "1".to_owned(),
            };
            writeln!(text, "app_metric_{family:03}_total{{{labels}}} {shown}").unwrap();
        }
        std::fs::write(unfinished.join(format!("{time}.prom")), &text).unwrap();
        written += text.len();
        if written >= megabytes * 1_000_000 {
            break;
        }
    }
    std::fs::rename(&unfinished, &dir).unwrap();
    dir
}

/// Opens the folder and prints series, seconds, and the peak of memory in kilobytes.
fn child(dir: &Path, threads: usize) {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let began = Instant::now();
    let source = Source::open(dir, &OpenOptions::default()).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    println!("{} {seconds} {}", source.dumps[0].dumps.series.len(), peak.trim().trim_end_matches(" kB"));
}

fn main() {
    if let Ok(run) = std::env::var(CHILD) {
        let (threads, dir) = run.split_once(' ').unwrap();
        return child(Path::new(dir), threads.parse().unwrap());
    }
    println!("  MB text   threads      MB/s   peak MB");
    for megabytes in [100, 1000] {
        let dir = folder(megabytes);
        let bytes: u64 = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
        for threads in [1, std::thread::available_parallelism().unwrap().get()] {
            let run = || {
                let mut program = Command::new(std::env::current_exe().unwrap());
                let output = program.env(CHILD, format!("{threads} {}", dir.display())).output().unwrap();
                let figures: Vec<f64> =
                    String::from_utf8(output.stdout).unwrap().split_whitespace().map(|f| f.parse().unwrap()).collect();
                assert_eq!(figures[0] as usize, SERIES);
                (figures[1], figures[2])
            };
            let (seconds, peak) = (0..RUNS).map(|_| run()).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            println!("{megabytes:9} {threads:9} {:9.0} {:9.0}", bytes as f64 / 1e6 / seconds, peak * 1024.0 / 1e6);
        }
    }
}
