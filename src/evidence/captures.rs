//! `api_samples/`: saved responses under their usual names, or recognised by content, each checked.

use std::path::Path;

use serde_json::Value;

use crate::error::Result;
use crate::labels::printable;
use crate::sample::is_stale;
use crate::samples::{Reach, load_all};
use crate::selector::Selector;
use crate::source::Source;
use crate::time::{Interval, TimestampMs, rfc3339};

use super::exposition::{self, parse};
use super::folder::{Folder, Kind, Origin};
use super::given::{Given, list};
use super::registry::{is_empty, timestamp};

pub const HEALTH: &str = "api_samples/healthz.json";
pub const SAMPLE: &str = "api_samples/recommend_sample.json";
pub const PROVENANCE: &str = "api_samples/recommend_with_provenance.json";
pub const TRACE: &str = "api_samples/trace_sample.json";
pub const ROLLOUT: &str = "api_samples/rollout_status.json";
pub const METRICS: &str = "api_samples/metrics.txt";

/// What every recommendation says about itself.
const FIELDS: [&str; 7] =
    ["request_id", "model_version", "git_sha", "data_snapshot_id", "container_image_digest", "timestamp", "latency_ms"];

/// A server looks back this far for the value of a gauge.
const LOOK_BACK_MS: i64 = 300_000;

/// What a response is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Health,
    Recommendation,
    Trace,
    Rollout,
    Metrics,
}

impl Shape {
    fn of(bytes: &[u8]) -> Option<(Shape, Value)> {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            let read = parse(bytes).is_some_and(|p| p.samples > p.faults);
            return read.then_some((Shape::Metrics, Value::Null));
        };
        let o = value.as_object()?;
        let words = ["rollout", "canary", "strategy"];
        let shape = if o.contains_key("request_id") && o.contains_key("trace") {
            Shape::Trace
        } else if o.contains_key("provenance") || (o.contains_key("user_id") && o.contains_key("items")) {
            Shape::Recommendation
        } else if o.keys().any(|k| words.iter().any(|w| k.contains(w))) {
            Shape::Rollout
        } else if o.contains_key("status") {
            Shape::Health
        } else {
            return None;
        };
        Some((shape, value))
    }
}

/// A place in `api_samples/`: its file, what belongs there, and how to get it.
struct Place {
    file: &'static str,
    shape: Shape,
    endpoint: &'static str,
}

// In this order content is given a place: the recommendation that a trace belongs to is the one with provenance.
const PLACES: [Place; 6] = [
    Place { file: HEALTH, shape: Shape::Health, endpoint: "/healthz" },
    Place { file: TRACE, shape: Shape::Trace, endpoint: "/trace/REQUEST_ID" },
    Place { file: PROVENANCE, shape: Shape::Recommendation, endpoint: "/recommend/456?k=5" },
    Place { file: SAMPLE, shape: Shape::Recommendation, endpoint: "/recommend/123?k=10" },
    Place { file: ROLLOUT, shape: Shape::Rollout, endpoint: "/rollout/status" },
    Place { file: METRICS, shape: Shape::Metrics, endpoint: "/metrics" },
];

/// A file that was given, read.
struct Capture {
    given: Given,
    bytes: Vec<u8>,
    content: Option<(Shape, Value)>,
}

impl Capture {
    fn is(&self, shape: Shape) -> bool {
        self.content.as_ref().is_some_and(|(s, _)| *s == shape)
    }

    fn value(&self) -> &Value {
        self.content.as_ref().map_or(&Value::Null, |(_, value)| value)
    }
}

/// Writes `api_samples/`. `registry` has the known versions, where a registry was given.
pub fn write(folder: &mut Folder, path: Option<&Path>, source: &Source, registry: Option<&[String]>) -> Result<()> {
    let mut captures = Vec::new();
    if let Some(path) = path {
        for given in list(&mut folder.unused, "--captures", path, 3)? {
            match given.read() {
                Ok(bytes) => captures.push(Capture { content: Shape::of(&bytes), given, bytes }),
                Err(why) => folder.unused.push((printable(&given.name), why)),
            }
        }
    }
    let mut taken: Vec<(&Place, Capture)> = Vec::new();
    for place in &PLACES {
        if let Some(i) = named(&captures, place) {
            taken.push((place, captures.remove(i)));
        }
    }
    for place in &PLACES {
        let free = !taken.iter().any(|(p, _)| p.file == place.file);
        let request = taken.iter().find(|(p, _)| p.file == TRACE).map(|(_, c)| c.value().get("request_id").cloned());
        if free && let Some(i) = recognised(&captures, place, request.flatten().as_ref()) {
            taken.push((place, captures.remove(i)));
        }
    }
    for c in captures {
        let why = match c.content {
            Some(_) => "another file has its place",
            None => "it is no response of /healthz, /recommend, /trace, /rollout/status or /metrics",
        };
        folder.unused.push((printable(&c.given.name), why.to_owned()));
    }
    taken.sort_by_key(|(place, _)| PLACES.iter().position(|p| p.file == place.file));
    for (place, capture) in &taken {
        let origin = Origin::captured(format!("--captures {}", printable(&capture.given.name)));
        folder.write(place.file, capture.bytes.as_slice(), origin)?;
        check_shape(folder, place, capture);
    }
    let value = |file: &str| taken.iter().find(|(p, _)| p.file == file).map(|(_, c)| c.value());
    for file in [SAMPLE, PROVENANCE] {
        if let Some(answer) = value(file).filter(|v| v.is_object()) {
            check_provenance(folder, file, answer, source, registry);
        }
    }
    if let (Some(answer), Some(trace)) = (value(PROVENANCE), value(TRACE)) {
        let (same, detail) = same_request(answer, trace);
        folder.check("trace_is_of_the_recommendation", same, TRACE, detail);
    }
    reconstruct_metrics(folder, source)?;
    for place in &PLACES {
        if folder.has(place.file) {
            continue;
        }
        let name = place.file.trim_start_matches("api_samples/");
        let why = if path.is_some() { "no file in --captures is one" } else { "no responses were given" };
        let how = format!(
            "save it before the service is gone (curl -s localhost:8080{} > {name}) and give the folder with --captures DIR",
            place.endpoint
        );
        folder.lacks(place.file, why, how);
    }
    Ok(())
}

/// The file of the usual name.
fn named(captures: &[Capture], place: &Place) -> Option<usize> {
    captures.iter().position(|c| place.file.strip_prefix("api_samples/") == Some(&c.given.file_name))
}

/// The first file with the content of a place; of recommendations the one with the trace's `request`, if there is one.
fn recognised(captures: &[Capture], place: &Place, request: Option<&Value>) -> Option<usize> {
    let fits = |c: &Capture| c.is(place.shape);
    let paired = |c: &Capture| request.is_some() && c.value().pointer("/provenance/request_id") == request;
    let pair = captures.iter().position(|c| place.file == PROVENANCE && fits(c) && paired(c));
    pair.or_else(|| captures.iter().position(fits))
}

fn check_shape(folder: &mut Folder, place: &Place, capture: &Capture) {
    let ok = capture.is(place.shape);
    let detail = match (&capture.content, place.shape) {
        (_, Shape::Metrics) => match parse(&capture.bytes) {
            Some(p) if p.faults == 0 => format!("{} samples", p.samples),
            Some(p) => {
                let first = p.first_fault.unwrap_or_default();
                format!("{} samples, and {} lines that are not understood; the first: {first}", p.samples, p.faults)
            }
            None => "it is in no exposition format".to_owned(),
        },
        (Some(_), _) if ok => format!("a response of {}", place.endpoint),
        (Some(_), _) => format!("it is JSON, but no response of {}", place.endpoint),
        (None, _) => match serde_json::from_slice::<Value>(&capture.bytes) {
            Ok(_) => format!("it is JSON, but no response of {}", place.endpoint),
            Err(e) => format!("it is no JSON: {e}"),
        },
    };
    let whole = place.shape != Shape::Metrics || parse(&capture.bytes).is_some_and(|p| p.faults == 0);
    folder.check("response_parses", ok && whole, place.file, detail);
    if place.shape == Shape::Health && ok {
        let (healthy, detail) = health(capture.value());
        folder.check("service_is_healthy", healthy, place.file, detail);
    }
}

/// Whether a response of `/healthz` says that all is well, and what it says.
pub fn health(answer: &Value) -> (bool, String) {
    let status = answer.get("status").map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned));
    let status = status.unwrap_or_default();
    let healthy = ["ok", "healthy", "up", "pass", "true"].contains(&status.to_ascii_lowercase().as_str());
    (healthy, format!("status is {}", printable(&status)))
}

/// Whether a recommendation says all about itself, and what it leaves out.
pub fn provenance_fields(answer: &Value) -> (bool, String) {
    let field = |name: &str| answer.pointer(&format!("/provenance/{name}"));
    let lacking: Vec<&str> = FIELDS.iter().copied().filter(|name| is_empty(field(name))).collect();
    match lacking.as_slice() {
        [] => (true, format!("all of {}", FIELDS.join(", "))),
        some => (false, format!("missing or empty: {}", some.join(", "))),
    }
}

/// Whether a trace is of a recommendation, and the two identities.
pub fn same_request(answer: &Value, trace: &Value) -> (bool, String) {
    let text = |v: Option<&Value>| v.map_or("nothing".to_owned(), |v| printable(&v.to_string()));
    let (asked, got) = (answer.pointer("/provenance/request_id"), trace.get("request_id"));
    let detail = format!("the recommendation's request_id is {}, the trace's is {}", text(asked), text(got));
    (asked.is_some() && asked == got, detail)
}

fn check_provenance(folder: &mut Folder, file: &str, answer: &Value, source: &Source, registry: Option<&[String]>) {
    let field = |name: &str| answer.pointer(&format!("/provenance/{name}"));
    let (whole, detail) = provenance_fields(answer);
    folder.check("provenance_fields", whole, file, detail);
    let Some(version) = field("model_version").and_then(Value::as_str).filter(|v| !v.is_empty()) else { return };
    let shown = printable(version);
    if let Some(versions) = registry {
        let known = versions.iter().any(|v| v == version);
        let word = if known { "is" } else { "is not" };
        folder.check("model_version_in_registry", known, file, format!("{shown} {word} in the registry"));
    }
    let Some(t) = field("timestamp").and_then(timestamp) else {
        if !is_empty(field("timestamp")) {
            folder.check("provenance_timestamp", false, file, "the timestamp is no time");
        }
        return;
    };
    let served = served_at(source, t);
    let at = rfc3339(t);
    let (ok, detail) = match served.as_slice() {
        [] => (None, format!("model_version_info has no sample in the 5 minutes before {at}")),
        list => {
            let list: Vec<String> = list.iter().map(|v| printable(v)).collect();
            (
                Some(served.iter().any(|v| v == version)),
                format!("{shown} answered at {at}; model_version_info says {}", list.join(", ")),
            )
        }
    };
    folder.check("model_version_was_served", ok, file, detail);
}

/// The versions that any replica served at `t`, by its info gauge; ascending.
fn served_at(source: &Source, t: TimestampMs) -> Vec<String> {
    let around = Interval::new(t.saturating_sub(LOOK_BACK_MS), t);
    let loaded = load_all(source, &Selector::metric("model_version_info"), around, Reach::Exact);
    let serving = |bits: u64| !is_stale(bits) && f64::from_bits(bits) != 0.0;
    let live = loaded.series.iter().filter(|s| s.samples.iter().next_back().is_some_and(|(_, bits)| serving(bits)));
    let mut versions: Vec<String> = live.map(|s| s.labels.get_text("version")).collect();
    versions.sort();
    versions.dedup();
    versions
}

/// Without a capture the text is made from the last scrape.
fn reconstruct_metrics(folder: &mut Folder, source: &Source) -> Result<()> {
    if folder.has(METRICS) {
        return Ok(());
    }
    let Some(made) = exposition::reconstruct(source) else { return Ok(()) };
    let origin = Origin { kind: Kind::Reconstructed, source: made.words, command: None };
    folder.write(METRICS, made.text.as_bytes(), origin)?;
    let parsed = parse(made.text.as_bytes()).unwrap_or_default();
    let detail = format!("{} samples, reconstructed from the last scrape", parsed.samples);
    folder.check("response_parses", parsed.faults == 0 && parsed.samples > 0, METRICS, detail);
    Ok(())
}
