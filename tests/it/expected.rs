//! What the library reads from a case (`expected/`), and what promproof reads from it, in one form.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use promproof::ErrorKind;
use promproof::loss::{Ledger, Loss};
use promproof::sample::Samples;
use promproof::samples::{LoadedSeries, Reach, load_selected};
use promproof::series::select;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::tsdb::chunkenc::histogram::{Counts, HistogramSample, ResetHint, Span, decode};
use promproof::tsdb::chunkenc::{Encoding, xor, xor2};

use crate::support::read_text;

/// Cases with stores that promproof does not read yet: their loads report losses of kind `unsupported`.
pub const UNREAD: [&str; 12] = [
    "agent",
    "chunk-snapshot",
    "head-mixed",
    "head-torn",
    "ooo",
    "ooo-compacted",
    "ref-reuse",
    "scraped-availability",
    "stray-entries",
    "wal-none",
    "wal-snappy",
    "wal-zstd",
];

/// Whether the logs of servers are read, so that no answer may stand behind one that is not.
pub const LOGS_ARE_READ: bool = false;

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

/// Every series with its float samples over all time, and everything that was noticed.
pub fn full_read(source: &Source) -> (Vec<LoadedSeries>, Ledger) {
    let selection = select(source, &[]);
    let loaded = load_selected(source, &selection.series, selection.ledger, Interval::ALL, Reach::Exact);
    let mut ledger = source.opening_ledger();
    ledger.absorb(loaded.ledger);
    (loaded.series, ledger)
}

/// The stores that promproof left unread: logs, mapped head chunks. Chunks of histograms, which are no part of the float
/// samples, are not among them.
pub fn unread(losses: &[Loss]) -> Vec<&Loss> {
    losses.iter().filter(|l| l.kind == ErrorKind::Unsupported && !is_histogram_chunk(l)).collect()
}

fn is_histogram_chunk(loss: &Loss) -> bool {
    loss.kind == ErrorKind::Unsupported && loss.series.is_some() && loss.samples.is_some()
}

/// Floats and histograms of every series with start timestamps, read chunk by chunk, deletions applied, in the form of
/// [`expected`]. `None` where chunks of a series overlap, and a choice would have to be made.
pub fn chunk_by_chunk(source: &Source, chunks: &mut BTreeMap<String, usize>) -> Option<Vec<Value>> {
    let mut all = BTreeMap::new();
    for block in source.blocks.iter().map(|b| &b.block) {
        for entry in block.index.as_ref().unwrap().scan().series {
            let (floats, histograms, newest): &mut (Vec<_>, Vec<_>, i64) =
                all.entry(entry.labels.clone()).or_insert((vec![], vec![], i64::MIN));
            let deleted = block.tombstones.of(entry.reference);
            let kept = |t: i64| !deleted.iter().any(|d| d.contains(t));
            for meta in &entry.chunks {
                let chunk = block.chunk(&entry, meta).unwrap();
                let encoding = Encoding(chunk.encoding);
                *chunks.entry(encoding.name()).or_default() += 1;
                let times: Vec<i64> = if encoding.is_histogram() {
                    let samples = decode(&chunk).unwrap();
                    histograms.extend(samples.iter().filter(|s| kept(s.t_ms)).map(as_json));
                    samples.iter().map(|s| s.t_ms).collect()
                } else {
                    let (mut samples, mut starts) = (Samples::default(), Vec::new());
                    if encoding == Encoding::XOR2 {
                        xor2::decode(&chunk, &mut samples, Some(&mut starts)).unwrap();
                    } else {
                        xor::decode(&chunk, &mut samples).unwrap();
                        starts.resize(samples.len(), 0);
                    }
                    let rows = samples.iter().zip(&starts).filter(|((t, _), _)| kept(*t));
                    floats.extend(rows.map(|((t, v), start)| with_start(t, hex(v), *start)));
                    samples.ts
                };
                assert_eq!(times.first(), Some(&meta.min_time_ms));
                assert_eq!(times.last(), Some(&meta.max_time_ms));
                if meta.min_time_ms <= *newest && *newest != i64::MIN {
                    return None;
                }
                *newest = meta.max_time_ms;
            }
        }
    }
    let rows = all.into_iter().filter(|(_, (f, h, _))| !f.is_empty() || !h.is_empty());
    Some(rows.map(|(l, (f, h, _))| json!({"labels": l.to_json(), "floats": f, "histograms": h})).collect())
}

/// How much of a case was compared and equal.
#[derive(Default)]
pub struct Equal {
    pub series: usize,
    pub floats: usize,
    pub starts: usize,
    pub histograms: usize,
    /// Histograms and start timestamps that only the chunks of blocks give, in a case where they do not suffice.
    pub uncompared: usize,
}

impl Equal {
    pub fn add(&mut self, more: Equal) {
        self.series += more.series;
        self.floats += more.floats;
        self.starts += more.starts;
        self.histograms += more.histograms;
        self.uncompared += more.uncompared;
    }
}

impl std::fmt::Display for Equal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Equal { series, floats, starts, histograms, uncompared } = self;
        write!(f, "{series} series, {floats} floats, {histograms} histograms, {starts} start timestamps; ")?;
        write!(f, "{uncompared} histograms and start timestamps were counted only")
    }
}

/// What came of comparing a case.
pub enum Outcome {
    Equal(Equal),
    /// Stores that were left unread: how many, and the first.
    Unread(usize, String),
    Differs(String),
}

/// Compares everything that promproof reads from `data/` with what the library read.
pub fn compare(case: &Path, chunks: &mut BTreeMap<String, usize>) -> Outcome {
    let data = case.join("data");
    let source = match Source::open(&data, &OpenOptions::default()) {
        Ok(source) => source,
        Err(e) => return Outcome::Differs(e.to_string()),
    };
    let (loaded, ledger) = full_read(&source);
    let left = unread(&ledger.losses);
    if let Some(first) = left.first() {
        return Outcome::Unread(left.len(), first.to_line());
    }
    // Damage is a loss, and does not excuse another answer than the library's.
    let damaged = read_text(&case.join("expected/physical.json")).is_some_and(|t| t.contains("\"damage\""));
    if !damaged && let Some(loss) = ledger.losses.iter().find(|l| !is_histogram_chunk(l)) {
        return Outcome::Differs(format!("{} losses, such as {}", ledger.losses.len(), loss.to_line()));
    }
    let want = expected(case);
    let mut equal = Equal::default();
    if let Err(difference) = same_floats(&loaded, &want, &mut equal) {
        return Outcome::Differs(difference);
    }
    let logs = ["wal", "wbl", "chunks_head"].iter().any(|d| data.join(d).is_dir());
    // A digest has no start timestamps.
    let rows = if logs || want.iter().any(|w| w.sha256.is_some()) { None } else { chunk_by_chunk(&source, chunks) };
    match rows {
        None => equal.uncompared += want.iter().map(|w| w.histograms.len() + w.starts()).sum::<usize>(),
        Some(rows) => {
            if let Err(difference) = same_rows(&rows, &want, &mut equal) {
                return Outcome::Differs(difference);
            }
        }
    }
    Outcome::Equal(equal)
}

/// Float samples without start timestamps, and that no histogram went unnoticed.
fn same_floats(loaded: &[LoadedSeries], want: &[Expected], equal: &mut Equal) -> Result<(), String> {
    let histograms = |s: &LoadedSeries| s.members.iter().map(|m| m.histograms + m.lost).sum::<u64>();
    let got: BTreeMap<String, &LoadedSeries> = loaded.iter().map(|s| (s.labels.to_json().to_string(), s)).collect();
    for want in want {
        let Some(got) = got.get(&want.labels.to_string()) else {
            return Err(format!("{} is missing", want.labels));
        };
        let pairs = || got.samples.iter().map(|(t, v)| (t, format!("{v:016x}")));
        if got.samples.len() != want.float_count() {
            return Err(format!("{}: {} floats, not {}", want.labels, got.samples.len(), want.float_count()));
        }
        for (got, want_sample) in pairs().zip(&want.floats) {
            if (Some(got.0), Some(got.1.as_str())) != (want_sample[0].as_i64(), want_sample[1].as_str()) {
                return Err(format!("{}: {got:?}, not {want_sample}", want.labels));
            }
        }
        if let Some((_, sha256)) = &want.sha256 {
            use sha2::Digest;
            let mut hash = sha2::Sha256::new();
            for (t, bits) in got.samples.iter() {
                hash.update(t.to_be_bytes());
                hash.update(bits.to_be_bytes());
            }
            let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
            if hex != *sha256 {
                return Err(format!("{}: the digest is {hex}, not {sha256}", want.labels));
            }
        }
        if histograms(got) < want.histograms.len() as u64 {
            return Err(format!("{}: {} histograms, not {}", want.labels, histograms(got), want.histograms.len()));
        }
        equal.series += 1;
        equal.floats += want.float_count();
    }
    let known: std::collections::BTreeSet<String> = want.iter().map(|w| w.labels.to_string()).collect();
    match got.iter().find(|(labels, s)| !known.contains(*labels) && !s.samples.is_empty()) {
        Some((labels, s)) => {
            Err(format!("{labels} has {} floats, and the library has no such series", s.samples.len()))
        }
        None => Ok(()),
    }
}

/// Floats with start timestamps and histograms with every field, in label order.
fn same_rows(rows: &[Value], want: &[Expected], equal: &mut Equal) -> Result<(), String> {
    for (got, want) in rows.iter().zip(want) {
        if got["labels"] != want.labels {
            return Err(format!("{}, not {}", got["labels"], want.labels));
        }
        for (kind, want_samples) in [("floats", &want.floats), ("histograms", &want.histograms)] {
            let samples = got[kind].as_array().unwrap();
            if let Some((g, w)) = samples.iter().zip(want_samples).find(|(g, w)| g != w) {
                return Err(format!("{}: {g}, not {w}", want.labels));
            }
            if samples.len() != want_samples.len() {
                return Err(format!("{}: {} {kind}, not {}", want.labels, samples.len(), want_samples.len()));
            }
        }
        equal.histograms += want.histograms.len();
        equal.starts += want.starts();
    }
    if rows.len() == want.len() { Ok(()) } else { Err(format!("{} series, not {}", rows.len(), want.len())) }
}
