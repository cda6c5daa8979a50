//! How fast text dumps are read: 100 MB of an exposition like vLLM's, in three dialects and by prometheus-parse, on one thread.
//!
//! prometheus-parse drops every name with a colon, so it gets the same text with underscores instead.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails may panic")]

use std::fmt::Write as _;
use std::io::BufRead;
use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};

use promproof::scrape::{CrossCheck, Dialect, Event, Reader};
use promproof::version::NEWEST;

const BYTES: usize = 100_000_000;
const BOUNDS: [&str; 14] =
    ["0.001", "0.005", "0.01", "0.02", "0.04", "0.06", "0.08", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "+Inf"];

fn main() {
    divan::main();
}

/// Families of a server, engine after engine, until there is enough.
fn exposition(openmetrics: bool) -> String {
    let mut text = String::with_capacity(BYTES + 100_000);
    let mut engine = 0;
    while text.len() < BYTES {
        let labels = format!(r#"engine="{engine}",model_name="meta-llama/Llama-3.1-8B-Instruct""#);
        let value = engine * 7919 % 100_003;
        for name in ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:gpu_cache_usage_perc"] {
            writeln!(text, "# HELP {name} Statistics of the engine.\n# TYPE {name} gauge").unwrap();
            writeln!(text, "{name}{{{labels}}} {}", f64::from(value % 256) / 256.0).unwrap();
        }
        for name in ["vllm:prompt_tokens", "vllm:generation_tokens", "vllm:request_success"] {
            let family = if openmetrics { name.to_owned() } else { format!("{name}_total") };
            writeln!(text, "# HELP {family} Counted by the engine.\n# TYPE {family} counter").unwrap();
            writeln!(text, "{name}_total{{{labels},finished_reason=\"stop\"}} {value}.0").unwrap();
        }
        for name in
            ["vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds", "vllm:request_prompt_tokens"]
        {
            writeln!(text, "# HELP {name} Histogram of the engine.\n# TYPE {name} histogram").unwrap();
            for (i, bound) in BOUNDS.iter().enumerate() {
                writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {}.0", value * (i as u32 + 1)).unwrap();
            }
            writeln!(
                text,
                "{name}_count{{{labels}}} {}.0\n{name}_sum{{{labels}}} {}",
                value * 14,
                f64::from(value) * 0.137
            )
            .unwrap();
        }
        engine += 1;
    }
    if openmetrics {
        text.push_str("# EOF\n");
    }
    text
}

static PROMETHEUS: LazyLock<String> = LazyLock::new(|| exposition(false));
static OPENMETRICS: LazyLock<String> = LazyLock::new(|| exposition(true));
static UNDERSCORES: LazyLock<String> = LazyLock::new(|| PROMETHEUS.replace("vllm:", "vllm_"));

/// The same samples as `promtool tsdb dump` prints them.
static DUMP: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::with_capacity(BYTES * 3 / 2);
    let mut reader = Reader::new(PROMETHEUS.as_bytes(), Dialect::Prometheus);
    while let Some(line) = reader.next_line().unwrap() {
        let Event::Sample(sample) = line.event else { continue };
        let name = String::from_utf8_lossy(sample.name.raw);
        write!(text, "{{__name__=\"{name}\"").unwrap();
        for (name, value) in sample.labels.iter() {
            let (name, value) = (String::from_utf8_lossy(name.raw), String::from_utf8_lossy(value.raw));
            write!(text, ", {name}=\"{value}\"").unwrap();
        }
        writeln!(text, "}} {} 1763553600137", sample.value()).unwrap();
        if text.len() > BYTES {
            break;
        }
    }
    text
});

/// Samples, and a sum that needs every value and every label.
fn read(text: &str, dialect: Dialect) -> (u64, u64) {
    let mut reader = Reader::new(text.as_bytes(), dialect);
    let (mut samples, mut sum) = (0, 0u64);
    while let Some(line) = reader.next_line().unwrap() {
        match line.event {
            Event::Sample(sample) => {
                samples += 1;
                let label = sample.labels.iter().map(|(n, v)| n.raw.len() + v.raw.len()).sum::<usize>();
                sum = sum.wrapping_add(sample.bits).wrapping_add(label as u64);
            }
            Event::Fault(fault) => panic!("{fault}"),
            _ => {}
        }
    }
    assert!(samples > 500_000);
    (samples, sum)
}

#[divan::bench(sample_count = 9)]
fn prometheus_text(bencher: Bencher) {
    let text = PROMETHEUS.as_str();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| black_box(read(text, Dialect::Prometheus)));
}

#[divan::bench(sample_count = 9)]
fn openmetrics(bencher: Bencher) {
    let text = OPENMETRICS.as_str();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| black_box(read(text, Dialect::OpenMetrics)));
}

#[divan::bench(sample_count = 9)]
fn tsdb_dump(bencher: Bencher) {
    let text = DUMP.as_str();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| black_box(read(text, Dialect::TsdbDump)));
}

/// With labels as a series has them: owned, sorted, normalized.
#[divan::bench(sample_count = 3)]
fn prometheus_text_owned_labels(bencher: Bencher) {
    let text = PROMETHEUS.as_str();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| {
        let mut reader = Reader::new(text.as_bytes(), Dialect::Prometheus);
        let mut sum = 0;
        while let Some(line) = reader.next_line().unwrap() {
            if let Event::Sample(sample) = line.event {
                sum += sample.stored_labels(NEWEST).len();
            }
        }
        black_box(sum)
    });
}

#[divan::bench(sample_count = 1, sample_size = 1)]
fn cross_check(bencher: Bencher) {
    let text = UNDERSCORES.as_str();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| {
        let mut reader = Reader::new(text.as_bytes(), Dialect::Prometheus);
        let mut check = CrossCheck::default();
        while let Some(line) = reader.next_line().unwrap() {
            check.offer(&line);
        }
        assert!(check.compared > 500_000 && check.differing == 0);
        black_box(check)
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn prometheus_parse(bencher: Bencher) {
    let text = UNDERSCORES.as_str();
    bencher.counter(BytesCount::of_str(text)).bench_local(|| {
        let scrape = prometheus_parse::Scrape::parse_at(text.as_bytes().lines(), Default::default()).unwrap();
        assert!(scrape.samples.len() > 50_000);
        black_box(scrape)
    });
}
