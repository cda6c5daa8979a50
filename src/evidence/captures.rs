//! `api_samples/`: saved responses under their usual names, or recognised by content, each checked.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::Result;
use crate::labels::printable;
use crate::sample::is_stale;
use crate::samples::{LoadedSeries, Reach, load_all};
use crate::selector::Selector;
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs, rfc3339};
use crate::verdict::counted_noun;

use super::Options;
use super::exposition::{self, parse};
use super::folder::{Check, Folder, Kind, Origin};
use super::git::{Repo, is_commit};
use super::given::Given;
use super::registry::{self, is_empty, says_nothing, timestamp};

pub const HEALTH: &str = "api_samples/healthz.json";
pub const SAMPLE: &str = "api_samples/recommend_sample.json";
pub const PROVENANCE: &str = "api_samples/recommend_with_provenance.json";
pub const TRACE: &str = "api_samples/trace_sample.json";
pub const ROLLOUT: &str = "api_samples/rollout_status.json";
pub const METRICS: &str = "api_samples/metrics.txt";

/// What every recommendation says about itself.
const FIELDS: [&str; 7] =
    ["request_id", "model_version", "git_sha", "data_snapshot_id", "container_image_digest", "timestamp", "latency_ms"];

/// More than this no request takes.
const MOST_LATENCY_MS: f64 = 3_600_000.0;
/// When a service of this kind can have answered: from 2000, in years with a notation.
const SERVICE_TIMES: RangeInclusive<TimestampMs> = 946_684_800_000..=253_402_300_799_999;

/// A server looks back this far for the value of a gauge.
const LOOK_BACK_MS: DurationMs = 300_000;
/// Scrapes further away say nothing about a moment between them.
const AROUND_MS: DurationMs = 3_600_000;

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

/// Writes `api_samples/`. `registry` is `versions_summary.json`, where a registry was given.
pub fn write(
    folder: &mut Folder,
    options: &Options,
    source: &Source,
    registry: Option<&Value>,
    repo: Option<&Repo>,
) -> Result<()> {
    let path = options.captures.as_deref();
    let mut captures = Vec::new();
    if let Some(path) = path {
        for given in folder.list("--captures", path, 3)?.files {
            match given.read() {
                Ok(bytes) => captures.push(Capture { content: Shape::of(&bytes), given, bytes }),
                Err(why) => folder.unreadable("--captures", &given.name, &why),
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
    }
    reconstruct_metrics(folder, source, &options.requests.total)?;
    let checks = checks(|file| folder.read(file), registry);
    folder.checks.extend(checks);
    for (place, capture) in taken.iter().filter(|(p, _)| [SAMPLE, PROVENANCE].contains(&p.file)) {
        check_repo(folder, place.file, capture.value(), repo);
        check_served(folder, place.file, capture.value(), source, &options.switches.version_info);
    }
    for place in &PLACES {
        if folder.has(place.file) {
            continue;
        }
        let name = place.file.trim_start_matches("api_samples/");
        let why = if path.is_some() { "no file in --captures is one" } else { "no responses were given" };
        let why = match place.shape {
            Shape::Metrics => {
                format!("{why}, and the source has no scrape of {} to make it from", options.requests.total)
            }
            _ => why.to_owned(),
        };
        let how = format!(
            "save it before the service is gone (curl -s localhost:8080{} > {name}) and give the folder with --captures DIR",
            place.endpoint
        );
        folder.lacks(place.file, why, how);
    }
    Ok(())
}

/// The files that belong into `api_samples/`.
pub fn files() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|p| p.file)
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

/// The checks of saved responses that rest on nothing but the evidence folder, whose files `read` gives; `registry` is
/// `versions_summary.json`. `promproof package` makes them again.
pub fn checks(read: impl Fn(&str) -> Option<Vec<u8>>, registry: Option<&Value>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut answers: Vec<(&str, Value)> = Vec::new();
    for place in &PLACES {
        let Some(bytes) = read(place.file) else { continue };
        let content = Shape::of(&bytes);
        checks.push(parses(place, &bytes, content.as_ref().map(|(shape, _)| *shape)));
        if let Some((shape, answer)) = content.filter(|(shape, _)| *shape == place.shape) {
            if shape == Shape::Health {
                let (healthy, detail) = health(&answer);
                checks.push(Check::new("service_is_healthy", healthy, place.file, detail));
            }
            answers.push((place.file, answer));
        }
    }
    let answer = |file: &str| answers.iter().find(|(f, _)| *f == file).map(|(_, answer)| answer);
    for file in [SAMPLE, PROVENANCE] {
        if let Some(answer) = answer(file) {
            checks.extend(recommendation(file, answer, registry));
        }
    }
    if let (Some(answer), Some(trace)) = (answer(PROVENANCE), answer(TRACE)) {
        let (same, detail) = same_request(answer, trace);
        checks.push(Check::new("trace_is_of_the_recommendation", same, TRACE, detail));
    }
    checks
}

/// Whether a file is a response of its endpoint, by what it was recognised as.
fn parses(place: &Place, bytes: &[u8], shape: Option<Shape>) -> Check {
    let is = shape == Some(place.shape);
    let (ok, detail) = match place.shape {
        Shape::Metrics => match parse(bytes) {
            Some(p) if p.faults == 0 => (is, counted_noun(p.samples, "sample", "samples")),
            Some(p) => {
                let lines = counted_noun(p.faults, "line that is", "lines that are");
                let first = p.first_fault.unwrap_or_default();
                let samples = counted_noun(p.samples, "sample", "samples");
                (false, format!("{samples}, and {lines} not understood; the first: {first}"))
            }
            None => (false, "it is in no exposition format".to_owned()),
        },
        _ if is => (true, format!("a response of {}", place.endpoint)),
        _ => match serde_json::from_slice::<Value>(bytes) {
            Ok(_) => (false, format!("it is JSON, but no response of {}", place.endpoint)),
            Err(e) => (false, format!("it is no JSON: {e}")),
        },
    };
    Check::new("response_parses", ok, place.file, detail)
}

/// Whether a response of `/healthz` says that all is well, and what it says.
pub fn health(answer: &Value) -> (bool, String) {
    let status = answer.get("status").map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned));
    let status = status.unwrap_or_default();
    let healthy = ["ok", "healthy", "up", "pass", "true"].contains(&status.to_ascii_lowercase().as_str());
    (healthy, format!("status is {}", printable(&status)))
}

/// A field of a recommendation's provenance.
fn field<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    answer.get("provenance").and_then(|p| p.get(name))
}

/// Whether a recommendation recommends something: a list of items, each a name, a number or an object with something in it.
pub fn items(answer: &Value) -> (bool, String) {
    let Some(items) = answer.get("items").and_then(Value::as_array) else {
        return (false, "there is no list of items".to_owned());
    };
    let nothing = |item: &Value| is_empty(Some(item)) || item.is_boolean() || item.is_array();
    match items.iter().position(nothing) {
        _ if items.is_empty() => (false, "the list of items is empty".to_owned()),
        Some(at) => (false, format!("item {} is {}, which recommends nothing", at + 1, shown(items.get(at)))),
        None => {
            let user = shown(answer.get("user_id"));
            (true, format!("{} for user {user}", counted_noun(items.len(), "item", "items")))
        }
    }
}

/// Whether a recommendation says all about itself, and what it leaves out or cannot mean.
pub fn provenance_fields(answer: &Value) -> (bool, String) {
    let lacking: Vec<&str> = FIELDS.iter().copied().filter(|name| says_nothing(field(answer, name))).collect();
    if !lacking.is_empty() {
        return (false, format!("missing or empty: {}", lacking.join(", ")));
    }
    let wrong = FIELDS.iter().find_map(|name| {
        let value = field(answer, name)?;
        let expected = expected(name, value)?;
        Some(format!("{name} is {}, and {expected} is expected", shown(Some(value))))
    });
    (wrong.is_none(), wrong.unwrap_or_else(|| format!("all of {}", FIELDS.join(", "))))
}

/// What a field of the provenance should be, where it is something else. The timestamp has a check of its own.
fn expected(name: &str, value: &Value) -> Option<&'static str> {
    let text = value.as_str();
    let (fine, expected) = match name {
        "timestamp" => (true, ""),
        "latency_ms" => (
            value.as_f64().is_some_and(|ms| (0.0..=MOST_LATENCY_MS).contains(&ms)),
            "a number of milliseconds from 0 to 3600000",
        ),
        "git_sha" => (text.is_some_and(is_commit), "a commit of 7 to 64 hexadecimal digits"),
        "container_image_digest" => (text.is_some_and(is_digest), "a digest such as sha256:1a2b…"),
        _ => (text.is_some(), "a text"),
    };
    (!fine).then_some(expected)
}

/// Whether something stands behind the name of the algorithm, where there is one: hexadecimal digits behind that of SHA-2.
fn is_digest(text: &str) -> bool {
    let (algorithm, digits) = text.split_once(':').unwrap_or(("", text));
    let is_hex = || digits.bytes().all(|b| b.is_ascii_hexdigit());
    !digits.is_empty() && (!algorithm.starts_with("sha") || is_hex())
}

/// A value of a document, shown.
fn shown(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), |v| printable(&v.to_string()))
}

/// Whether a trace is of a recommendation, and the two identities. Both name the model, or the trace does not.
pub fn same_request(answer: &Value, trace: &Value) -> (bool, String) {
    let (asked, got) = (field(answer, "request_id"), trace.get("request_id"));
    let detail = format!("the recommendation's request_id is {}, the trace's is {}", shown(asked), shown(got));
    let inner = trace.get("trace");
    if is_empty(inner) {
        return (false, format!("{detail}, and there is nothing in its trace"));
    }
    let (answered, traced) = (field(answer, "model_version"), inner.and_then(|t| t.get("model_version")));
    if traced.is_some() && traced != answered {
        return (false, format!("{detail}; the model_version is {} there, {} here", shown(answered), shown(traced)));
    }
    (!is_empty(asked) && asked == got, detail)
}

/// The checks of a recommendation.
fn recommendation(file: &str, answer: &Value, registry: Option<&Value>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name, (ok, detail): (bool, String)| checks.push(Check::new(name, ok, file, detail));
    check("recommendation_items", items(answer));
    check("provenance_fields", provenance_fields(answer));
    if let Some(given) = field(answer, "timestamp").filter(|t| !is_empty(Some(t))) {
        let t = timestamp(given).filter(|t| SERVICE_TIMES.contains(t));
        let detail = t.map_or(format!("the timestamp is no time of a service: {}", shown(Some(given))), rfc3339);
        check("provenance_timestamp", (t.is_some(), detail));
    }
    let (Some(version), Some(registry)) = (text_field(answer, "model_version"), registry) else { return checks };
    let shown = printable(version);
    let metadata = registry::metadata(registry, version);
    let word = if metadata.is_some() { "is" } else { "is not" };
    check("model_version_in_registry", (metadata.is_some(), format!("{shown} {word} in the registry")));
    let known = metadata.and_then(|m| m["git_sha"].as_str()).filter(|sha| !sha.is_empty());
    if let (Some(known), Some(sha)) = (known, text_field(answer, "git_sha")) {
        let detail = format!("git_sha is {}, the registry has {} for {shown}", printable(sha), printable(known));
        check("git_sha_is_of_the_registry", (same_commit(sha, known), detail));
    }
    checks
}

/// Whether two names of commits are of one: the shorter one begins the other.
fn same_commit(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    is_commit(&a) && is_commit(&b) && (a.starts_with(&b) || b.starts_with(&a))
}

/// A field of a recommendation's provenance that is a text with something in it.
pub fn text_field<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    field(answer, name).and_then(Value::as_str).filter(|v| !v.is_empty())
}

/// Which version answered, and when.
pub fn served_by(answer: &Value) -> Option<(&str, TimestampMs)> {
    Some((text_field(answer, "model_version")?, field(answer, "timestamp").and_then(timestamp)?))
}

/// Whether the repository has the commit that answered.
fn check_repo(folder: &mut Folder, file: &str, answer: &Value, repo: Option<&Repo>) {
    let (Some(repo), Some(sha)) = (repo, text_field(answer, "git_sha")) else { return };
    let (there, detail) = repo.commit(sha);
    folder.check("git_sha_in_repo", there, file, detail);
}

/// Whether the version that answered was served then, as far as the samples of `info` show it.
fn check_served(folder: &mut Folder, file: &str, answer: &Value, source: &Source, info: &Selector) {
    let Some((version, t)) = served_by(answer) else { return };
    let answered = format!("{} answered at {}", printable(version), rfc3339(t));
    let list = |versions: &[String]| versions.iter().map(|v| printable(v)).collect::<Vec<String>>().join(", ");
    let served = served_at(source, t, info);
    let around = if served.is_empty() { served_around(source, t, info) } else { Vec::new() };
    let (ok, detail) = match (served.as_slice(), around.as_slice()) {
        ([], []) => (
            None,
            format!("{answered}; {info} has no sample in the 5 minutes before, and none on both sides of that time"),
        ),
        ([], around) => (
            around.iter().any(|v| v == version).then_some(true),
            format!("{answered}; {info} says {} in the scrapes before and after that time", list(around)),
        ),
        (served, _) => (Some(served.iter().any(|v| v == version)), format!("{answered}; {info} says {}", list(served))),
    };
    folder.check("model_version_was_served", ok, file, detail);
}

/// The versions that any replica served at `t`, by its info gauge; ascending.
fn served_at(source: &Source, t: TimestampMs, info: &Selector) -> Vec<String> {
    let before = Interval::new(t.saturating_sub(LOOK_BACK_MS), t);
    let loaded = load_all(source, info, before, Reach::Exact);
    let live = loaded.series.iter().filter(|s| s.samples.iter().next_back().is_some_and(|(_, bits)| is_serving(bits)));
    versions(live)
}

/// The versions that a replica served in its last scrape before `t` and in its first one behind it, without a word that it ended
/// between: what dumps that lie further apart than a server looks back can say. Ascending.
fn served_around(source: &Source, t: TimestampMs, info: &Selector) -> Vec<String> {
    let around = Interval::new(t.saturating_sub(AROUND_MS), t.saturating_add(AROUND_MS));
    let loaded = load_all(source, info, around, Reach::Exact);
    let on_both_sides = loaded.series.iter().filter(|s| {
        let next = s.samples.upper_bound(t);
        let sides = [next.checked_sub(1), Some(next)].map(|at| at.and_then(|at| s.samples.bits.get(at)));
        sides.into_iter().all(|bits| bits.is_some_and(|bits| is_serving(*bits)))
    });
    versions(on_both_sides)
}

/// Whether an info gauge says that the version is served.
fn is_serving(bits: u64) -> bool {
    !is_stale(bits) && f64::from_bits(bits) != 0.0
}

fn versions<'a>(series: impl Iterator<Item = &'a LoadedSeries>) -> Vec<String> {
    let mut versions: Vec<String> = series.map(|s| s.labels.get_text("version")).collect();
    versions.sort();
    versions.dedup();
    versions
}

/// Without a capture the text is made from the last scrape.
fn reconstruct_metrics(folder: &mut Folder, source: &Source, requests: &Selector) -> Result<()> {
    if folder.has(METRICS) {
        return Ok(());
    }
    let Some(made) = exposition::reconstruct(source, requests) else { return Ok(()) };
    let origin = Origin { kind: Kind::Reconstructed, source: made.words, command: None };
    folder.write(METRICS, made.text.as_bytes(), origin)
}
