//! What the files of a package say: each check looks at one of them and answers yes, no, or that the data cannot say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::evidence::captures;
use crate::evidence::exposition::parse_each;
use crate::evidence::folder::{Check, Entry};
use crate::evidence::given::Given;
use crate::evidence::registry::{self, timestamp};
use crate::labels::printable;
use crate::report::python::thousands;
use crate::time::{DurationMs, TimestampMs, human_duration, rfc3339};
use crate::verdict::counted_noun;

use super::gather::Evidence;

/// Whether something holds (`None`: the data cannot say), and what was found. An error says why nothing could be looked
/// at, and fails the check.
pub type Outcome = std::result::Result<(Option<bool>, String), String>;

/// A check of what a file says.
#[derive(Debug)]
pub struct Content {
    /// A word for it, which policies use.
    pub name: &'static str,
    /// The file, by its path in the package.
    file: &'static str,
    look: fn(&Contents<'_>, &str) -> Outcome,
}

impl Content {
    /// What comes of it.
    pub fn check(&self, contents: &Contents<'_>) -> Check {
        let (ok, detail) = (self.look)(contents, self.file).unwrap_or_else(|why| (Some(false), why));
        Check { name: self.name, ok, detail, file: self.file.to_owned() }
    }

    /// The check of that name.
    pub fn by_name(name: &str) -> Option<&'static Content> {
        CHECKS.iter().find(|c| c.name == name)
    }
}

const SAMPLE: &str = "evidence/api_samples/recommend_sample.json";
const PROVENANCE: &str = "evidence/api_samples/recommend_with_provenance.json";
const METRICS: &str = "evidence/api_samples/metrics.txt";
const BEFORE: &str = "evidence/availability/availability_72h.json";
const AFTER: &str = "evidence/availability/availability_144h.json";
const TIMELINE: &str = "evidence/availability/timeline.json";
const UPDATES: &str = "evidence/model_updates/model_updates_verification.json";

/// Every check.
pub const CHECKS: [Content; 19] = [
    Content {
        name: "registry_versions",
        file: "evidence/model_registry/versions_summary.json",
        look: registry_versions,
    },
    Content { name: "commits_listed", file: "evidence/git_history/commits.txt", look: commits_listed },
    Content { name: "recommendation_items", file: SAMPLE, look: recommendation_items },
    Content { name: "service_healthy", file: "evidence/api_samples/healthz.json", look: service_healthy },
    Content { name: "switched_without_restart", file: TIMELINE, look: switched_without_restart },
    Content { name: "p95_latency_series", file: METRICS, look: p95_latency_series },
    Content { name: "error_rate_series", file: METRICS, look: error_rate_series },
    Content { name: "uptime_series", file: METRICS, look: uptime_series },
    Content { name: "ab_variant", file: SAMPLE, look: ab_variant },
    Content { name: "statistical_test", file: "code_samples/service/ab_analysis.py", look: statistical_test },
    Content { name: "provenance_fields", file: PROVENANCE, look: provenance_fields },
    Content {
        name: "trace_of_the_recommendation",
        file: "evidence/api_samples/trace_sample.json",
        look: trace_of_the_recommendation,
    },
    Content { name: "window_72h", file: BEFORE, look: window_72h },
    Content { name: "availability_72h", file: BEFORE, look: availability },
    Content { name: "scraped_72h", file: BEFORE, look: scraped },
    Content { name: "window_144h", file: AFTER, look: window_144h },
    Content { name: "availability_144h", file: AFTER, look: availability },
    Content { name: "scraped_144h", file: AFTER, look: scraped },
    Content { name: "updates_within_7_days", file: UPDATES, look: updates_within_7_days },
];

/// The copied files, and what the evidence says about itself.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The folder of the package.
    pub root: PathBuf,
    /// Every copied file.
    pub files: &'a [Entry],
    /// The evidence.
    pub evidence: &'a Evidence,
}

impl Contents<'_> {
    /// The copied files below a folder of the package.
    pub fn below(&self, folder: &str) -> Vec<&Entry> {
        self.files.iter().filter(|f| f.path.split('/').next() == Some(folder)).collect()
    }

    /// All bytes of a copied file.
    pub fn bytes(&self, path: &str) -> std::result::Result<Vec<u8>, String> {
        let entry = self.files.iter().find(|f| f.path == path).ok_or_else(|| "it is not there".to_owned())?;
        let name = path.to_owned();
        Given { file_name: name.clone(), name, path: self.root.join(path), bytes: entry.bytes }.read()
    }

    /// A copied file as text.
    pub fn text(&self, path: &str) -> std::result::Result<String, String> {
        String::from_utf8(self.bytes(path)?)
            .map_err(|e| format!("it is no text: byte {} is no UTF-8", e.utf8_error().valid_up_to()))
    }

    /// A copied file as JSON.
    pub fn json(&self, path: &str) -> std::result::Result<Value, String> {
        serde_json::from_slice(&self.bytes(path)?).map_err(|e| format!("it is no JSON: {e}"))
    }

    /// The time of the submission. Errs where the evidence gives one that is no time.
    pub fn submission(&self) -> std::result::Result<Option<TimestampMs>, String> {
        match &self.evidence.summary["submission"] {
            Value::Null => Ok(None),
            given => timestamp(given)
                .map(Some)
                .ok_or_else(|| format!("the submission in the summary is no time: {}", printable(&given.to_string()))),
        }
    }

    /// What the service calls one of its metrics, else as the recommender does.
    fn metric(&self, key: &str, usual: &str) -> String {
        printable(self.evidence.summary["metrics"][key].as_str().unwrap_or(usual))
    }

    /// What the summary says about the window that a document is about.
    fn window(&self, file: &str) -> &Value {
        let windows = self.evidence.summary["windows"].as_array().into_iter().flatten();
        let named = |w: &&Value| w["name"].as_str().is_some_and(|name| file.ends_with(&format!("_{name}.json")));
        windows.into_iter().find(named).unwrap_or(&Value::Null)
    }
}

/// The elements of a list; none where it is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text of a document, shown.
fn shown(value: &Value) -> String {
    printable(value.as_str().unwrap_or("?"))
}

fn plain(found: (bool, String)) -> Outcome {
    Ok((Some(found.0), found.1))
}

fn registry_versions(contents: &Contents<'_>, file: &str) -> Outcome {
    let document = contents.json(file)?;
    let versions = list(&document["versions"]);
    for version in versions {
        if let (false, detail) = registry::keys(&version["metadata"]) {
            return Ok((Some(false), format!("{}: {detail}", shown(&version["version"]))));
        }
    }
    let names: Vec<String> = versions.iter().map(|v| shown(&v["version"])).collect();
    let detail = match names.len() {
        0 => "there is no version".to_owned(),
        n => format!("{}, each with its metadata: {}", counted_noun(n, "version", "versions"), names.join(", ")),
    };
    Ok((Some(!names.is_empty()), detail))
}

fn commits_listed(contents: &Contents<'_>, file: &str) -> Outcome {
    let text = contents.text(file)?;
    let current = contents.text("evidence/git_history/current_sha.txt").map_err(|e| format!("current_sha.txt: {e}"))?;
    let hash = |line: &str| {
        let mut parts = line.splitn(5, '|');
        let hash = parts.next().filter(|h| [40, 64].contains(&h.len()) && h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        (parts.count() == 4).then(|| hash.to_owned())
    };
    let mut newest = None;
    for (number, line) in text.lines().enumerate() {
        let Some(hash) = hash(line) else {
            return Ok((Some(false), format!("line {} is not hash|author|email|date|subject", number + 1)));
        };
        newest.get_or_insert(hash);
    }
    let Some(newest) = newest else { return Ok((Some(false), "there is no commit".to_owned())) };
    if newest != current.trim() {
        return Ok((
            Some(false),
            format!("the first is {newest}, and current_sha.txt says {}", printable(current.trim())),
        ));
    }
    let count = text.lines().count();
    Ok((Some(true), format!("{}, the newest is {newest}", counted_noun(count, "commit", "commits"))))
}

fn recommendation_items(contents: &Contents<'_>, file: &str) -> Outcome {
    plain(captures::items(&contents.json(file)?))
}

fn service_healthy(contents: &Contents<'_>, file: &str) -> Outcome {
    plain(captures::health(&contents.json(file)?))
}

fn provenance_fields(contents: &Contents<'_>, file: &str) -> Outcome {
    plain(captures::provenance_fields(&contents.json(file)?))
}

fn trace_of_the_recommendation(contents: &Contents<'_>, file: &str) -> Outcome {
    let trace = contents.json(file)?;
    let answer = contents.json(PROVENANCE).map_err(|e| format!("{PROVENANCE}: {e}"))?;
    plain(captures::same_request(&answer, &trace))
}

fn ab_variant(contents: &Contents<'_>, file: &str) -> Outcome {
    let answer = contents.json(file)?;
    let variant = [&answer["variant"], &answer["provenance"]["variant"]].into_iter().find_map(Value::as_str);
    Ok(match variant.filter(|v| !v.trim().is_empty()) {
        Some(variant) => (Some(true), format!("variant is {}", printable(variant))),
        None => (Some(false), "there is no field variant, or it is empty".to_owned()),
    })
}

/// Names by which statistical tests are called in Python.
const TESTS: [&str; 12] = [
    "ttest",
    "ztest",
    "z_test",
    "t_test",
    "chi2",
    "chisquare",
    "fisher_exact",
    "mannwhitney",
    "bootstrap",
    "p_value",
    "pvalue",
    "norm.sf",
];

fn statistical_test(contents: &Contents<'_>, file: &str) -> Outcome {
    let code = code_alone(&contents.text(file)?.to_lowercase());
    let named = |line: &str| TESTS.iter().find(|test| names(line, test)).copied();
    let found = code.lines().enumerate().find_map(|(i, line)| Some((i + 1, named(line)?)));
    Ok(match found {
        Some((line, word)) => (Some(true), format!("line {line} has {word}")),
        None => (None, format!("it has none of {}; look whether there is a statistical test", TESTS.join(", "))),
    })
}

/// The lines of a Python text without comments and strings.
fn code_alone(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => string_length(rest, c),
            _ => 0,
        };
        if length == 0 {
            code.push(c);
        }
        // Lines keep their numbers.
        code.extend(rest.get(..length).unwrap_or(rest).chars().filter(|c| *c == '\n'));
        rest = rest.get(length.max(c.len_utf8())..).unwrap_or_default();
    }
    code
}

/// How many bytes the string at the start of `text` has, with its quotes `c`.
fn string_length(text: &str, c: char) -> usize {
    let long = text.get(..3).is_some_and(|q| q.chars().all(|x| x == c));
    let quotes = if long { 3 } else { 1 };
    let mut escaped = false;
    for (at, x) in text.char_indices().skip(quotes) {
        let closes = x == c && (!long || text.get(at..at + 3).is_some_and(|q| q.chars().all(|x| x == c)));
        match x {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // A short string ends with its line anyway.
            '\n' if !long => return at,
            _ if closes => return at + quotes,
            _ => {}
        }
    }
    text.len()
}

/// Whether a line of code calls or defines a function whose name has `test` as a word of its own.
fn names(line: &str, test: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_class = line.trim_start().starts_with("class ");
    line.match_indices(test).any(|(at, _)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        let behind = line.get(at + test.len()..).unwrap_or_default().trim_start_matches(is_word).trim_start();
        !before.is_some_and(char::is_alphanumeric) && behind.starts_with('(') && !is_class
    })
}

/// The samples of `metrics.txt` whose metric is wanted: its label of that name with the value.
fn metric(
    contents: &Contents<'_>,
    file: &str,
    name: &str,
    label: &str,
) -> std::result::Result<Vec<(String, f64)>, String> {
    let bytes = contents.bytes(file)?;
    let mut found = Vec::new();
    let parsed = parse_each(&bytes, |sample| {
        if sample.name.bytes().as_ref() == name.as_bytes() {
            let value = sample.labels.iter().find(|(n, _)| n.bytes().as_ref() == label.as_bytes());
            let value = value.map_or(String::new(), |(_, v)| String::from_utf8_lossy(&v.bytes()).into_owned());
            found.push((value, sample.value()));
        }
    });
    parsed.map(|_| found).ok_or_else(|| "it is in no exposition format".to_owned())
}

fn p95_latency_series(contents: &Contents<'_>, file: &str) -> Outcome {
    let name = contents.metric("latency", "recommend_latency_seconds_bucket");
    let buckets = metric(contents, file, &name, "le")?;
    let bounds: BTreeSet<&str> = buckets.iter().map(|(le, _)| le.as_str()).filter(|le| !le.is_empty()).collect();
    let whole = bounds.len() > 1 && bounds.contains("+Inf");
    let detail = match bounds.len() {
        0 => format!("there is no {name}, from which the 95th percentile is computed"),
        _ if !bounds.contains("+Inf") => format!("{name} has no bucket le=\"+Inf\""),
        n => format!("{name} has {}", counted_noun(n, "bucket", "buckets")),
    };
    Ok((Some(whole), detail))
}

fn error_rate_series(contents: &Contents<'_>, file: &str) -> Outcome {
    let name = contents.metric("requests", "recommend_requests_total");
    let by = contents.evidence.summary["metrics"]["requests_by"][0].as_str().unwrap_or("status");
    let samples = metric(contents, file, &name, by)?;
    let by = printable(by);
    let mut by_status: BTreeMap<&str, f64> = BTreeMap::new();
    for (status, value) in samples.iter().filter(|(status, _)| !status.is_empty()) {
        *by_status.entry(status).or_default() += value;
    }
    let detail = match by_status.len() {
        0 => format!("there is no {name} with a label {by}, from which the error rate is computed"),
        _ => {
            let of: Vec<String> =
                by_status.iter().map(|(s, n)| format!("{} with {by} {}", thousands(*n), printable(s))).collect();
            format!("{name}: {}", of.join(", "))
        }
    };
    Ok((Some(!by_status.is_empty()), detail))
}

fn uptime_series(contents: &Contents<'_>, file: &str) -> Outcome {
    let names = ["service_uptime_seconds".to_owned(), contents.metric("health", "service_health_status")];
    for name in &names {
        if !metric(contents, file, name, "")?.is_empty() {
            return Ok((Some(true), format!("{name} is there")));
        }
    }
    Ok((Some(false), format!("there is none of {}", names.join(", "))))
}

/// The length that the required window has.
const HOUR_MS: DurationMs = 3_600_000;

fn span(document: &Value) -> std::result::Result<(TimestampMs, TimestampMs), String> {
    let window = &document["time_window"];
    match (timestamp(&window["start"]), timestamp(&window["end"])) {
        (Some(start), Some(end)) => Ok((start, end)),
        _ => Err("its time_window has no start and end".to_owned()),
    }
}

fn window_72h(contents: &Contents<'_>, file: &str) -> Outcome {
    let (start, end) = span(&contents.json(file)?)?;
    let length = end.saturating_sub(start);
    let detail = format!("the window is {} to {}", rfc3339(start), rfc3339(end));
    Ok(match contents.submission()? {
        _ if length != 72 * HOUR_MS => (Some(false), format!("{detail}, {} and not 72 hours", human_duration(length))),
        Some(t) if t == end => (Some(true), format!("{detail}, the 72 hours before the submission")),
        Some(t) => (Some(false), format!("{detail}, and the submission was at {}", rfc3339(t))),
        None => (Some(true), format!("{detail}, the 72 hours before the evaluation; no submission time was given")),
    })
}

fn window_144h(contents: &Contents<'_>, file: &str) -> Outcome {
    let (start, end) = span(&contents.json(file)?)?;
    let length = end.saturating_sub(start);
    let detail = format!("the window is {} to {}", rfc3339(start), rfc3339(end));
    Ok(match contents.submission()? {
        _ if length != 144 * HOUR_MS => {
            (Some(false), format!("{detail}, {} and not 144 hours", human_duration(length)))
        }
        Some(t) if t == start => (Some(true), format!("{detail}, the 144 hours after the submission")),
        Some(t) => (Some(false), format!("{detail}, and the submission was at {}", rfc3339(t))),
        None => {
            let todo = "collect again with --submission T, and with data from after it";
            (None, format!("{detail}, which is not after a submission: no submission time was given; {todo}"))
        }
    })
}

/// The percentage that the guide requires.
const REQUIRED_PERCENT: f64 = 70.0;

/// The verdict of an availability document, as far as its own figures bear it.
fn availability(contents: &Contents<'_>, file: &str) -> Outcome {
    let document = contents.json(file)?;
    let slo = &document["slo_compliance"];
    let (Some(required), Some(actual)) = (slo["required_availability"].as_f64(), slo["actual_availability"].as_f64())
    else {
        return Err("its slo_compliance has no figures".to_owned());
    };
    let requests = thousands(document["metrics"]["total_requests"].as_f64().unwrap_or(0.0));
    let detail = format!("{actual:.2}% of {requests} requests, at least {required}% are required");
    let verdict = document["verdict"].as_str().unwrap_or_default();
    let reasons: Vec<String> = list(&document["reasons"]).iter().map(shown).collect();
    let until = contents.window(file)["until"].as_str().map_or(String::new(), |u| format!("; {}", printable(u)));
    Ok(match verdict {
        _ if required < REQUIRED_PERCENT => {
            (Some(false), format!("{detail}, and the guide requires {REQUIRED_PERCENT}%"))
        }
        "met" => (Some(true), detail),
        "not_met" => (Some(false), detail),
        _ => (None, format!("the data cannot say: {}{until}", reasons.join("; "))),
    })
}

/// Whether the services ran from the start of the window to its end, as far as scrapes show it.
fn scraped(contents: &Contents<'_>, file: &str) -> Outcome {
    let document = contents.json(file)?;
    let (start, end) = span(&document)?;
    let coverage = &document["coverage"];
    let targets = list(&coverage["targets"]);
    if targets.is_empty() {
        return Ok((None, "nothing is known about scrapes".to_owned()));
    }
    let ratio =
        |key: &str| coverage[key].as_f64().map_or("an unknown part".to_owned(), |r| format!("{:.2}%", r * 100.0));
    let detail =
        format!("{} of the window was scraped, {} of the scrapes found it up", ratio("ratio"), ratio("up_ratio"));
    let down_at = |edge: TimestampMs| targets.iter().all(|target| is_down(target, edge));
    let gaps = list(&coverage["gaps"]);
    let late = gaps.first().filter(|g| timestamp(&g["start"]).is_some_and(|s| s <= start));
    // Up to two scrape intervals at the end are what any window has.
    let interval = longest_interval(coverage).unwrap_or(0.0);
    let long = |g: &&Value| g["seconds"].as_f64().is_some_and(|s| s > 2.0 * interval);
    let early = gaps.last().filter(|g| timestamp(&g["end"]).is_some_and(|e| e >= end)).filter(long);
    Ok(match (late, early) {
        _ if down_at(start) => (Some(false), format!("{detail}; at its start nothing was up")),
        _ if down_at(end) => (Some(false), format!("{detail}; at its end nothing was up")),
        (Some(gap), _) if timestamp(&gap["end"]).is_none_or(|e| e >= end) => {
            (None, "nothing of the window was scraped".to_owned())
        }
        (Some(gap), _) => {
            // What is covered begins somewhat before the scrape that covers it.
            let first = targets.iter().filter_map(|t| timestamp(&t["first_sample"])).min();
            let begin = first.map_or_else(|| shown(&gap["end"]), rfc3339);
            (None, format!("{detail}; the data begin only at {begin}"))
        }
        (None, Some(gap)) => (None, format!("{detail}; the data go only until {}", shown(&gap["start"]))),
        (None, None) => (Some(true), detail),
    })
}

/// The longest expected time between scrapes of a target, in seconds; `None` where none is known.
pub fn longest_interval(coverage: &Value) -> Option<f64> {
    let known = list(&coverage["targets"]).iter().filter_map(|t| t["scrape_interval_seconds"].as_f64());
    known.reduce(f64::max)
}

/// Whether a target was down at a time, or at the scrapes around it.
fn is_down(target: &Value, at: TimestampMs) -> bool {
    let near = (target["scrape_interval_seconds"].as_f64().unwrap_or(0.0) * 2000.0) as DurationMs;
    list(&target["downs"]).iter().any(|down| match (timestamp(&down["start"]), timestamp(&down["end"])) {
        (Some(from), Some(to)) => from.saturating_sub(near) <= at && at <= to.saturating_add(near),
        _ => false,
    })
}

fn updates_within_7_days(contents: &Contents<'_>, file: &str) -> Outcome {
    let document = contents.json(file)?;
    let requirement = &document["requirement"];
    let figure = |key: &str| requirement[key].as_u64();
    let (Some(minimum), Some(days), Some(actual)) =
        (figure("minimum_updates"), figure("within_days"), figure("actual_updates"))
    else {
        return Err("its requirement has no figures".to_owned());
    };
    let detail = format!(
        "{} within {days} days, at least {minimum} are required",
        counted_noun(actual as usize, "update", "updates")
    );
    let reasons: Vec<String> = list(&document["reasons"]).iter().map(shown).collect();
    Ok(match document["verdict"].as_str().unwrap_or_default() {
        _ if minimum < 2 || days > 7 => (Some(false), format!("{detail}, and the guide requires 2 within 7")),
        "met" => (Some(true), detail),
        "not_met" => (Some(false), detail),
        _ => (None, format!("the data cannot say: {}", reasons.join("; "))),
    })
}

/// Whether a process switched models without being restarted for it.
fn switched_without_restart(contents: &Contents<'_>, file: &str) -> Outcome {
    let document = contents.json(file)?;
    let targets = list(&document["coverage"]["targets"]);
    let switches = list(&document["switches"]);
    let mut dated = 0;
    let mut smooth = Vec::new();
    for switch in switches {
        let Some(target) = targets.iter().find(|t| t["labels"] == switch["replica"]) else { continue };
        let (Some(restarts), Some(at)) = (target["restarts"].as_array(), timestamp(&switch["timestamp"])) else {
            continue;
        };
        // A switch lies between the sample that showed it and the one before; a counter's first sample has none.
        let interval = target["scrape_interval_seconds"].as_f64().map(|s| (s * 1000.0) as DurationMs);
        let before = timestamp(&switch["after"]).or_else(|| Some(at.saturating_sub(interval?.saturating_mul(2))));
        let Some(before) = before else { continue };
        dated += 1;
        if !restarts.iter().filter_map(timestamp).any(|r| before < r && r <= at) {
            smooth.push(format!(
                "{} to {} at {}",
                shown(&switch["from_version"]),
                shown(&switch["to_version"]),
                rfc3339(at)
            ));
        }
    }
    let all = counted_noun(switches.len(), "switch", "switches");
    Ok(match (smooth.first(), dated) {
        (Some(first), _) => (Some(true), format!("{} of {all} without a restart, the first {first}", smooth.len())),
        (None, 0) => (None, format!("{all}, of which none can be set beside the restarts of its process")),
        (None, _) => (Some(false), format!("{all}, each beside a restart of its process")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statistical_test_is_code() {
        let found = |text: &str| code_alone(text).lines().any(|line| TESTS.iter().any(|test| names(line, test)));
        for yes in [
            "p = stats.ttest_ind(a, b)",
            "def two_proportion_z_test(a: int) -> float:",
            r"x = '\'' + f(z_test (1))",
            "\"\"\"doc\"\"\"\nscipy.stats.mannwhitneyu(a, b)",
        ] {
            assert!(found(yes), "{yes}");
        }
        for no in [
            "# TODO: z_test(",
            "print(\"no t_test() here\")",
            "latest_test()",
            "print_test()",
            "class t_test(object): pass",
            "\"\"\"\nwith ttest(a, b)\n\"\"\"",
            "'''ttest(\n",
            "z_test = 1",
        ] {
            assert!(!found(no), "{no}");
        }
        assert_eq!(code_alone("a # b\n'c\n\"\"\"d\ne\"\"\" f\n").lines().count(), 4);
    }
}
