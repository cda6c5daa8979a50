//! What the library reads from a case (`expected/`), and what promproof reads from it, in one form.

use std::path::Path;

use serde_json::{Value, json};

use promproof::ErrorKind;
use promproof::loss::{Ledger, Loss};
use promproof::samples::{Kinds, LoadedSeries, Reach, load_kinds};
use promproof::series::{Selection, select};
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::tsdb::chunkenc::histogram::{Counts, HistogramSample, ResetHint, Span};

use crate::support::{read_json, read_text};

fn hex(bits: u64) -> Value {
    format!("{bits:016x}").into()
}

/// The same text as in `expected/series.jsonl`, start timestamp last unless it is 0.
fn as_json(s: &HistogramSample) -> Value {
    let spans = |spans: &[Span]| -> Value { spans.iter().map(|s| json!([s.offset, s.length])).collect() };
    let hexes = |values: &[u64]| -> Value { values.iter().map(|v| hex(*v)).collect() };
    let (kind, count, zero, positive, negative) = match &s.counts {
        Counts::Int { count, zero, positive, negative } => {
            let (p, n) = (positive.clone().into(), negative.clone().into());
            ("int", count.to_string().into(), zero.to_string().into(), p, n)
        }
        Counts::Float { count, zero, positive, negative } => {
            ("float", hex(*count), hex(*zero), hexes(positive), hexes(negative))
        }
    };
    let h = json!({
        "kind": kind,
        "schema": s.layout.schema,
        "count": count,
        "zero_threshold_bits": hex(s.layout.zero_threshold),
        "zero_count": zero,
        "sum_bits": hex(s.sum),
        "positive_spans": spans(&s.layout.positive_spans),
        "positive_buckets": positive,
        "negative_spans": spans(&s.layout.negative_spans),
        "negative_buckets": negative,
        "custom_values_bits": hexes(&s.layout.custom_bounds),
        "reset_hint": match s.hint {
            ResetHint::Unknown => "unknown",
            ResetHint::Reset => "reset",
            ResetHint::NotReset => "not",
            ResetHint::Gauge => "gauge",
        },
    });
    with_start(s.t_ms, h, s.start_ms)
}

fn with_start(t_ms: i64, value: Value, start_ms: i64) -> Value {
    if start_ms == 0 { json!([t_ms, value]) } else { json!([t_ms, value, start_ms]) }
}

/// One line of `series.jsonl` or `digest.jsonl`.
pub struct Expected {
    pub labels: Value,
    pub floats: Vec<Value>,
    pub histograms: Vec<Value>,
    /// Of all floats, instead of them.
    sha256: Option<(usize, String)>,
}

impl Expected {
    pub fn float_count(&self) -> usize {
        self.sha256.as_ref().map_or(self.floats.len(), |(count, _)| *count)
    }

    fn starts(&self) -> usize {
        self.floats.iter().chain(&self.histograms).filter(|s| s.as_array().is_some_and(|s| s.len() == 3)).count()
    }
}

/// What the library served over all time, in label order.
pub fn expected(case: &Path) -> Vec<Expected> {
    let text = ["series.jsonl", "digest.jsonl"]
        .iter()
        .find_map(|name| read_text(&case.join("expected").join(name)))
        .unwrap_or_else(|| panic!("{}: nothing expected", case.display()));
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    text.lines()
        .map(|line| {
            let v: Value = serde_json::from_str(line).unwrap();
            let digest = v["sha256"].as_str().map(|s| (v["count"].as_u64().unwrap() as usize, s.to_owned()));
            Expected {
                labels: v["labels"].clone(),
                floats: list(&v["floats"]),
                histograms: list(&v["histograms"]),
                sha256: digest,
            }
        })
        .collect()
}

/// Every series with all its samples over all time, and everything that was noticed.
pub fn full_read(source: &Source) -> (Vec<LoadedSeries>, Ledger) {
    let Selection { series, ledger } = select(source, &[]);
    let loaded = load_kinds(source, &series, ledger, Interval::ALL, Reach::Exact, Kinds::All);
    let mut ledger = source.opening_ledger();
    ledger.absorb(loaded.ledger);
    (loaded.series, ledger)
}

/// How much of a case was compared and equal.
#[derive(Default)]
pub struct Equal {
    pub series: usize,
    pub floats: usize,
    pub starts: usize,
    pub histograms: usize,
}

impl Equal {
    pub fn add(&mut self, more: Equal) {
        self.series += more.series;
        self.floats += more.floats;
        self.starts += more.starts;
        self.histograms += more.histograms;
    }
}

impl std::fmt::Display for Equal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Equal { series, floats, starts, histograms } = self;
        write!(f, "{series} series, {floats} floats, {histograms} histograms, {starts} start timestamps")
    }
}

/// Compares everything that promproof reads from `data/` with what the library read.
pub fn compare(case: &Path) -> Result<Equal, String> {
    let options = OpenOptions { min_block_duration_ms: told_range(case), ..OpenOptions::default() };
    let source = Source::open(&case.join("data"), &options).map_err(|e| e.to_string())?;
    let (loaded, ledger) = full_read(&source);
    let name = case.file_name().unwrap().to_str().unwrap();
    if let Some(loss) = ledger.losses.iter().find(|l| !is_planted(name, l)) {
        return Err(format!("{} losses, such as {}", ledger.losses.len(), loss.to_line()));
    }
    let got: Vec<&LoadedSeries> = loaded.iter().filter(|s| !s.samples.is_empty() || !s.histograms.is_empty()).collect();
    let want = expected(case);
    let mut equal = Equal::default();
    for (got, want) in got.iter().zip(&want) {
        same(got, want, &mut equal)?;
    }
    if got.len() == want.len() { Ok(equal) } else { Err(format!("{} series, not {}", got.len(), want.len())) }
}

/// The shortest block that the library was told, where nothing in the directory shows it.
fn told_range(case: &Path) -> Option<i64> {
    let about = read_json(&case.join("about.json"));
    let told = about["opened_with"].as_array()?.iter().filter_map(|o| o.as_str());
    told.filter_map(|o| o.strip_prefix("shortest block ")?.strip_suffix(" ms")?.parse().ok()).next()
}

/// What the generator breaks on purpose, and a server loses as well.
fn is_planted(case: &str, loss: &Loss) -> bool {
    match case {
        "stray-entries" => loss.kind == ErrorKind::Missing && loss.file.ends_with("/meta.json"),
        // Its head was truncated without a block.
        "wal-snappy" => loss.kind == ErrorKind::Missing && loss.detail.contains("no block reaches to there"),
        "ref-reuse" => {
            loss.kind == ErrorKind::Missing
                || loss.detail.contains("a second series record")
                || loss.detail.contains("a record of type 200")
        }
        // It is killed with chunks that are not yet on disk.
        "ooo-histograms" => loss.detail.contains("late samples went into a chunk here"),
        _ => false,
    }
}

/// Floats with start timestamps and histograms with every field.
fn same(got: &LoadedSeries, want: &Expected, equal: &mut Equal) -> Result<(), String> {
    if got.labels.to_json() != want.labels {
        return Err(format!("{}, not {}", got.labels, want.labels));
    }
    let floats: Vec<Value> =
        got.samples.iter().enumerate().map(|(i, (t, v))| with_start(t, hex(v), got.samples.start(i))).collect();
    let histograms: Vec<Value> = got.histograms.iter().map(as_json).collect();
    match &want.sha256 {
        // A digest has no start timestamps.
        Some(digest) => {
            use sha2::Digest;
            let mut hash = sha2::Sha256::new();
            for (t, bits) in got.samples.iter() {
                hash.update(t.to_be_bytes());
                hash.update(bits.to_be_bytes());
            }
            let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
            if (floats.len(), hex) != *digest {
                return Err(format!("{}: another digest than {digest:?}", want.labels));
            }
        }
        None => same_list(&want.labels, "floats", &floats, &want.floats)?,
    }
    same_list(&want.labels, "histograms", &histograms, &want.histograms)?;
    equal.series += 1;
    equal.floats += want.float_count();
    equal.histograms += want.histograms.len();
    equal.starts += want.starts();
    Ok(())
}

fn same_list(labels: &Value, kind: &str, got: &[Value], want: &[Value]) -> Result<(), String> {
    if let Some((at, (g, w))) = got.iter().zip(want).enumerate().find(|(_, (g, w))| g != w) {
        return Err(format!("{labels}: number {at} of the {kind} is {g}, not {w}"));
    }
    if got.len() != want.len() {
        return Err(format!("{labels}: {} {kind}, not {}", got.len(), want.len()));
    }
    Ok(())
}
