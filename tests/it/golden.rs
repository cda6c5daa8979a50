//! Answers that a server gave (`golden.json`) and all samples that it served (`served.json`), beside promproof's.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use promproof::promql::PromVersion;
use promproof::sample::is_stale;
use promproof::source::{OpenOptions, Source};
use promproof::time::parse_duration;
use promproof::tsdb::chunkenc::histogram::Counts;
use promproof::windows::Span;
use promproof::windows::availability::{Availability, Question, evaluate};
use promproof::windows::semantics::{SemanticsChoice, resolve};

use crate::expected::full_read;
use crate::support::read_json;

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

/// What came of comparing a file of answers.
#[derive(Default)]
pub struct Compared {
    pub equal: usize,
    /// Questions that the server failed to answer.
    pub errors: usize,
    pub differing: Vec<String>,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Compared { equal, errors, differing } = self;
        write!(f, "{equal} equal, {errors} server errors, {} differ", differing.len())?;
        differing.iter().take(5).try_for_each(|d| write!(f, "\n  {d}"))
    }
}

/// The server's shortest block, where its flags, recorded with the answers, give one.
pub fn told_range(document: &Value) -> Option<i64> {
    let flags = document["flags"].as_array()?.iter().filter_map(Value::as_str);
    let told = flags.filter_map(|f| f.strip_prefix("--storage.tsdb.min-block-duration=")).next()?;
    Some(parse_duration(told).unwrap())
}

/// Compares every recorded answer of the grade's shapes. A loss by damage does not excuse another answer than the
/// server's, which had the same damage before it.
pub fn compare(data: &Path, answers: &Path) -> Compared {
    let document = read_json(answers);
    let version = PromVersion::parse(document["version"].as_str().unwrap()).unwrap();
    let start_timestamps = answers.to_str().unwrap().contains("use-start-timestamps");
    let version = PromVersion { start_timestamps, ..version };
    let question = Question::recommender();
    let wanted = question.selectors();
    let options =
        OpenOptions { wanted: wanted.clone(), min_block_duration_ms: told_range(&document), ..OpenOptions::default() };
    let source = Source::open(data, &options).unwrap();
    let source = source.follow(version, &wanted).unwrap();
    let mut cache: BTreeMap<(i64, i64), Availability> = BTreeMap::new();
    let mut compared = Compared::default();
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
        if answer.get("error").is_some_and(|e| !e.is_null()) {
            compared.errors += 1;
            continue;
        }
        let theirs = recorded(answer);
        if ours == theirs {
            compared.equal += 1;
        } else {
            compared.differing.push(format!("{query} at {t_ms}: {theirs:?}, ours {ours:?}"));
        }
    }
    compared
}

/// What came of comparing every sample.
pub enum Served {
    Equal { series: usize, floats: usize, histograms: usize },
    Differs(Vec<String>),
}

impl Served {
    pub fn differences(&self) -> usize {
        if let Served::Differs(differences) = self { differences.len() } else { 0 }
    }
}

impl std::fmt::Display for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Served::Equal { series, floats, histograms } => {
                write!(f, "{series} series, {floats} floats, {histograms} histograms equal")
            }
            Served::Differs(differences) => {
                write!(f, "{} series differ", differences.len())?;
                differences.iter().take(5).try_for_each(|d| write!(f, "\n  {d}"))
            }
        }
    }
}

/// Every sample that the restarted server returned, without stale markers as it leaves them out: floats bit for bit;
/// histograms by time, count and sum.
pub fn served(data: &Path, recorded: &Path, version: PromVersion, min_block_duration_ms: Option<i64>) -> Served {
    let options = OpenOptions { min_block_duration_ms, ..OpenOptions::default() };
    let source = match Source::open(data, &options).and_then(|s| s.follow(version, &[])) {
        Ok(source) => source,
        Err(e) => return Served::Differs(vec![e.to_string()]),
    };
    let (loaded, _) = full_read(&source);
    /// Times with values as text: floats, histograms.
    type Lines = (Vec<(i64, String)>, Vec<(i64, String)>);
    let mut ours: BTreeMap<String, Lines> = BTreeMap::new();
    for s in &loaded {
        let floats = s.samples.iter().filter(|(_, v)| !is_stale(*v)).map(|(t, v)| (t, bits(f64::from_bits(v))));
        let histograms = s.histograms.iter().filter(|h| !h.is_stale()).map(|h| {
            let count = match &h.counts {
                Counts::Int { count, .. } => *count as f64,
                Counts::Float { count, .. } => f64::from_bits(*count),
            };
            (h.t_ms, format!("{} {}", bits(count), bits(f64::from_bits(h.sum))))
        });
        ours.insert(canonical(&s.labels.to_json()), (floats.collect(), histograms.collect()));
    }
    let (mut series, mut floats, mut histograms, mut wrong) = (0, 0, 0, Vec::new());
    for theirs in read_json(recorded)["result"].as_array().unwrap() {
        let labels = canonical(&theirs["metric"]);
        let list = |key: &str| theirs[key].as_array().cloned().unwrap_or_default();
        let their_floats: Vec<(i64, String)> = list("values")
            .iter()
            .map(|v| ((v[0].as_f64().unwrap() * 1000.0).round() as i64, bits(v[1].as_str().unwrap().parse().unwrap())))
            .collect();
        let their_histograms: Vec<(i64, String)> = list("histograms")
            .iter()
            .map(|v| {
                let number = |key: &str| bits(v[1][key].as_str().unwrap().parse().unwrap());
                ((v[0].as_f64().unwrap() * 1000.0).round() as i64, format!("{} {}", number("count"), number("sum")))
            })
            .collect();
        let (our_floats, our_histograms) = ours.remove(&labels).unwrap_or_default();
        if our_floats != their_floats {
            wrong.push(format!("{labels}: {}", first_difference(&our_floats, &their_floats)));
        }
        if our_histograms != their_histograms {
            wrong.push(format!("{labels}, histograms: {}", first_difference(&our_histograms, &their_histograms)));
        }
        series += 1;
        floats += their_floats.len();
        histograms += their_histograms.len();
    }
    for (labels, (floats, histograms)) in ours.iter().filter(|(_, (f, h))| !f.is_empty() || !h.is_empty()) {
        wrong.push(format!("{labels}: not served, ours has {} samples", floats.len() + histograms.len()));
    }
    if wrong.is_empty() { Served::Equal { series, floats, histograms } } else { Served::Differs(wrong) }
}

fn first_difference(ours: &[(i64, String)], theirs: &[(i64, String)]) -> String {
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let (a, b) = (ours.get(at), theirs.get(at));
    format!("{} samples, ours {}; from sample {at} on {b:?}, ours {a:?}", theirs.len(), ours.len())
}
