//! What the files of the evidence bear of what its summary says: checks, verdicts, windows and lists are made again from the
//! files, and every difference is a fault. What only the source and the repository can prove is believed, and said to be.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::evidence::folder::{Check, Kind};
use crate::evidence::{self, SUMMARY, captures, computed, git, registry};
use crate::labels::printable;
use crate::report::python::{int, rounded};
use crate::time::{DurationMs, TimestampMs, isoformat, rfc3339};
use crate::verdict::Verdict;

use super::EVIDENCE;
use super::content::{Contents, list, longest_interval};
use super::gather::Fault;
use super::readme::only_prints;

/// The checks of collect that rest on more than the evidence folder.
const BELIEVED: [&str; 4] =
    ["registry_meta_parses", "registry_git_sha_in_repo", "git_sha_in_repo", "model_version_was_served"];
const WEEK_MS: DurationMs = 7 * 86_400_000;
/// Figures that were computed in another order differ by less.
const NEARLY: f64 = 1e-9;

/// The checks of the evidence's files, made again; those that cannot be are collect's.
pub fn checks(contents: &Contents<'_>) -> Vec<Check> {
    let mut checks = again(contents);
    let said = list(&contents.evidence.summary["checks"]).iter();
    checks.extend(said.filter_map(|c| {
        let name = BELIEVED.iter().find(|name| c["name"] == **name)?;
        Some(Check::new(name, c["ok"].as_bool(), c["file"].as_str()?, text(&c["detail"])))
    }));
    checks
}

fn again(contents: &Contents<'_>) -> Vec<Check> {
    let read = |file: &str| contents.bytes(&format!("{EVIDENCE}/{file}")).ok();
    let document = |file: &str| read(file).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let registry = document(registry::FILE);
    let mut checks = Vec::new();
    if let Some(registry) = &registry {
        let [_, _, updates] = computed::DOCUMENTS;
        checks.extend(registry::checks(registry, &document(updates).unwrap_or_default()));
    }
    checks.extend(captures::checks(read, registry.as_ref()));
    checks
}

/// A text of a document, shown.
fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default())
}

/// Everything that the evidence says and its files do not bear.
pub fn faults(contents: &Contents<'_>) -> Vec<Fault> {
    let mut found = Found { contents, faults: Vec::new() };
    found.checks();
    found.lists();
    found.windows();
    found.faults.sort_by(|a, b| (&a.file, a.name).cmp(&(&b.file, b.name)));
    found.faults
}

struct Found<'a> {
    contents: &'a Contents<'a>,
    faults: Vec<Fault>,
}

impl Found<'_> {
    fn summary(&self) -> &Value {
        &self.contents.evidence.summary
    }

    fn add(&mut self, file: &str, detail: String) {
        self.faults.push(Fault { name: "evidence_contradicts", file: format!("{EVIDENCE}/{file}"), detail });
    }

    fn document(&self, file: &str) -> Option<Value> {
        self.contents.json(&format!("{EVIDENCE}/{file}")).ok()
    }

    /// Each check that can be made again is in the summary as it comes out, and no other one is.
    fn checks(&mut self) {
        let again = again(self.contents);
        let said = list(&self.summary()["checks"]).to_vec();
        for check in &again {
            let same = |c: &Value| {
                c["name"] == check.name
                    && c["file"] == *check.file
                    && c["ok"] == Value::from(check.ok)
                    && c["detail"] == *check.detail
            };
            if !said.iter().any(same) {
                let word = if check.ok == Some(true) { "holds" } else { "fails" };
                self.add(
                    &check.file,
                    format!("{} {word} ({}), and {SUMMARY} does not say so", check.name, check.detail),
                );
            }
        }
        for c in &said {
            let known = again.iter().any(|check| c["name"] == check.name && c["file"] == *check.file);
            if !known && !BELIEVED.iter().any(|name| c["name"] == *name) {
                let file = printable(c["file"].as_str().unwrap_or_default());
                self.add(&file, format!("{SUMMARY} has a check {} that its files do not give", text(&c["name"])));
            }
        }
        for (name, file, count) in self.beside() {
            let there = said.iter().filter(|c| c["name"] == name && c["file"] == file).count();
            if there != count {
                self.add(file, format!("{SUMMARY} has {there} checks {name}, and collect makes {count}"));
            }
        }
        self.served();
    }

    /// How many checks collect makes of a file beside those that can be made again.
    fn beside(&self) -> Vec<(&'static str, &'static str, usize)> {
        let asked = git::files().any(|file| self.contents.bytes(&format!("{EVIDENCE}/{file}")).is_ok());
        let mut expected = Vec::new();
        for file in [captures::SAMPLE, captures::PROVENANCE] {
            let answer = self.document(file).unwrap_or_default();
            let commit = asked && captures::text_field(&answer, "git_sha").is_some();
            expected.push(("git_sha_in_repo", file, usize::from(commit)));
            expected.push(("model_version_was_served", file, usize::from(captures::served_by(&answer).is_some())));
        }
        let registry = self.document(registry::FILE).unwrap_or_default();
        let shas = if asked { registry::git_shas(&registry).count() } else { 0 };
        expected.push(("registry_git_sha_in_repo", registry::FILE, shas));
        expected
    }

    /// A version that was served then is among those that the switch verification saw.
    fn served(&mut self) {
        let [_, _, updates] = computed::DOCUMENTS;
        let Some(updates) = self.document(updates) else { return };
        let said: Vec<Value> = list(&self.summary()["checks"]).to_vec();
        for c in said.iter().filter(|c| c["name"] == "model_version_was_served" && c["ok"] == true) {
            let file = c["file"].as_str().unwrap_or_default();
            let answer = self.document(file).unwrap_or_default();
            let Some((version, t)) = captures::served_by(&answer) else { continue };
            let spans = list(&updates["served_versions"]).iter();
            let then: Vec<&Value> = spans.filter(|s| holds(s, t)).collect();
            if !then.is_empty() && !then.iter().any(|s| s["version"] == version) {
                let others: Vec<String> = then.iter().map(|s| text(&s["version"])).collect();
                let detail = format!(
                    "{SUMMARY} says that {} was served at {}, and the updates verification saw {}",
                    printable(version),
                    rfc3339(t),
                    others.join(", ")
                );
                self.add(&printable(file), detail);
            }
        }
    }

    /// The lists of the summary are those of its files, and what belongs into the evidence is there or missing.
    fn lists(&mut self) {
        let summary = self.summary().clone();
        let files = list(&summary["files"]);
        let paths: Vec<&str> = files.iter().filter_map(|f| f["path"].as_str()).collect();
        if summary["evidence_collected"] != evidence::lists(paths.iter().copied()) {
            self.add(SUMMARY, "its evidence_collected does not list its files".to_owned());
        }
        for (file, path) in files.iter().filter_map(|f| Some((f, f["path"].as_str()?))) {
            let copied = self.contents.files.iter().find(|f| f.path == format!("{EVIDENCE}/{path}"));
            let Some(copied) = copied else { continue };
            if file["bytes"] != copied.bytes {
                let detail = format!("it has {} bytes, and {SUMMARY} says {}", copied.bytes, file["bytes"]);
                self.add(path, printable(&detail));
            }
            let kind = self.kind(path).name();
            if file["kind"] != kind {
                self.add(path, format!("it is {kind}, and {SUMMARY} says {}", text(&file["kind"])));
            }
        }
        let missing: Vec<&str> = list(&summary["missing"]).iter().filter_map(|m| m["what"].as_str()).collect();
        for file in evidence::all_files() {
            let named = missing.iter().any(|m| *m == file || (m.ends_with('/') && file.starts_with(m)));
            let listed = paths.contains(&file.as_str());
            if !listed && !named {
                self.add(&file, format!("{SUMMARY} neither lists it nor says that it is missing"));
            }
            if listed && missing.contains(&file.as_str()) {
                self.add(&file, format!("{SUMMARY} lists it and says that it is missing"));
            }
        }
    }

    /// Where the bytes of a file come from, by its place and its first line.
    fn kind(&self, path: &str) -> Kind {
        let begins = |with: &str| {
            self.contents.bytes(&format!("{EVIDENCE}/{path}")).is_ok_and(|b| b.starts_with(with.as_bytes()))
        };
        match path {
            _ if path.starts_with("availability/") || path.starts_with("model_updates/") => Kind::Computed,
            captures::METRICS if begins(evidence::exposition::RECONSTRUCTED) => Kind::Reconstructed,
            _ => Kind::Captured,
        }
    }

    /// The windows are those of the submission, and say what the documents say that answer; these agree with themselves, with
    /// each other, and with their texts.
    fn windows(&mut self) {
        let documents = computed::DOCUMENTS.map(|file| self.document(file));
        for (file, document) in computed::DOCUMENTS.iter().zip(&documents) {
            let Some(document) = document else { continue };
            let said = if document["requirement"].is_object() { updates(document) } else { availability(document) };
            said.into_iter().for_each(|detail| self.add(file, detail));
            if document["source"] != self.summary()["source"] {
                self.add(file, format!("its source is not that of {SUMMARY}"));
            }
            self.text(file, document);
        }
        let Some(timeline) = self.document(computed::TIMELINE) else { return };
        if let Some(updates) = &documents[2] {
            for key in ["switches", "updates", "served_versions"] {
                if timeline[key] != updates[key] {
                    let [_, _, file] = computed::DOCUMENTS;
                    self.add(computed::TIMELINE, format!("its {key} are not those of {file}"));
                }
            }
        }
        let (Some(newest), Ok(submission)) = (timeline["data_until_ms"].as_i64(), self.contents.submission()) else {
            return self.add(computed::TIMELINE, "it does not say until when the data go".to_owned());
        };
        if self.summary()["windows_are"] != computed::words(submission, newest) {
            self.add(SUMMARY, "its windows_are does not say what its windows are".to_owned());
        }
        let windows = computed::windows(submission, newest);
        let said = [(SUMMARY, &self.summary()["windows"]), (computed::TIMELINE, &timeline["windows"])]
            .map(|(place, windows)| (place, windows.clone()));
        for (i, ((window, file), document)) in windows.iter().zip(computed::DOCUMENTS).zip(&documents).enumerate() {
            let Some(document) = document else { continue };
            let (start, end) = (window.span.start, window.span.end);
            let period = &document["observation_period"];
            let asked = if period.is_object() { period } else { &document["time_window"] };
            if asked["start"] != isoformat(start) || asked["end"] != isoformat(end) {
                let detail =
                    format!("it is not about {} to {}, as the submission has it", rfc3339(start), rfc3339(end));
                self.add(file, detail);
            }
            let expected = computed::window_json(window, document, newest);
            for (place, windows) in &said {
                let keys = expected.as_object().into_iter().flatten();
                let differing = keys.into_iter().find(|(key, value)| windows[i][key.as_str()] != **value);
                if let Some((key, value)) = differing {
                    let detail = format!(
                        "{key} of its window {} is {}, and {file} gives {}",
                        window.name,
                        printable(&windows[i][key.as_str()].to_string()),
                        printable(&value.to_string())
                    );
                    self.add(place, detail);
                }
            }
            if let Some(detail) = silence(document, (start, end), newest) {
                self.add(file, detail);
            }
            for detail in restarts((file, document), asked, &timeline) {
                self.add(computed::TIMELINE, detail);
            }
            self.command(file, start, end);
        }
    }

    /// The recorded command asks about the same time.
    fn command(&mut self, file: &str, start: TimestampMs, end: TimestampMs) {
        let [json, txt] = ["json", "txt"].map(|ending| file.replace(".json", &format!(".{ending}")));
        let window = format!(" --start {} --end {} ", rfc3339(start), rfc3339(end));
        let files = list(&self.summary()["files"]).to_vec();
        for f in files.iter().filter(|f| f["path"] == *json || f["path"] == *txt) {
            let command = f["command"].as_str().unwrap_or_default();
            if !only_prints(command) || !command.contains(&window) {
                let path = f["path"].as_str().unwrap_or_default();
                self.add(path, format!("the command that {SUMMARY} has does not ask about {}", window.trim()));
            }
        }
    }

    /// The report for people says what the document beside it does.
    fn text(&mut self, file: &str, document: &Value) {
        let txt = file.replace(".json", ".txt");
        let Ok(report) = self.contents.text(&format!("{EVIDENCE}/{txt}")) else { return };
        let mark = match document["verdict"].as_str() {
            Some("met") => "✅ PASS",
            Some("not_met") => "❌ FAIL",
            _ => "❔ UNKNOWN",
        };
        let window = [&document["time_window"], &document["observation_period"]].into_iter().find(|w| w.is_object());
        let edge = |key: &str| window.map_or(String::new(), |w| text(&w[key]));
        let decided = computed::decided(document)["availability_ratio"].is_number();
        let actual = document["slo_compliance"]["actual_availability"].as_f64().filter(|_| decided);
        let actual = actual.map(|percent| ("Actual:", format!("{percent:.2}%")));
        let fixed = [("Status:", mark.to_owned()), ("Start:", edge("start")), ("End:", edge("end"))];
        for (label, value) in fixed.into_iter().chain(actual) {
            let says = |line: &str| line.trim().strip_prefix(label).is_some_and(|rest| rest.trim() == value);
            if !report.lines().any(says) {
                self.add(&txt, format!("it has no line {label} {value}, as {file} has it"));
            }
        }
    }
}

/// Whether a stretch of served versions has a time.
fn holds(served: &Value, t: TimestampMs) -> bool {
    let at = |key: &str| registry::timestamp(&served[key]);
    at("start").is_some_and(|start| start <= t) && at("end").is_some_and(|end| t <= end)
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|x| x.is_finite())
}

/// Where an availability document does not agree with itself.
fn availability(d: &Value) -> Vec<String> {
    let figures = computed::decided(d);
    let total = finite(&figures["total_requests"]);
    let good = finite(&figures["successful_requests"]).unwrap_or(0.0);
    let percent = total.filter(|t| *t != 0.0).map(|total| good / total * 100.0);
    let slo = &d["slo_compliance"];
    let required = finite(&slo["required_availability"]).unwrap_or(f64::NAN);
    let bounds = (finite(&d["bounds"]["worst"]), finite(&d["bounds"]["best"]));
    let verdict = match (percent, bounds) {
        (Some(percent), (Some(worst), Some(best))) if worst == best => by_bounds(percent, percent, required),
        (Some(_), (Some(worst), Some(best))) => by_bounds(worst * 100.0, best * 100.0, required),
        _ => Verdict::Unknown,
    };
    let mut out = Vec::new();
    let mut differs = |what: &str, said: &Value, found: Value| {
        if *said != found {
            out.push(format!("its {what} is {}, and its own figures give {found}", printable(&said.to_string())));
        }
    };
    if ["total_requests", "successful_requests", "error_requests"].iter().any(|key| figures[*key].is_string()) {
        // What is no finite number decides nothing.
        differs("verdict", &d["verdict"], Verdict::Unknown.name().into());
        return out;
    }
    let metrics = &d["metrics"];
    let share = percent.unwrap_or(0.0);
    differs("verdict", &d["verdict"], verdict.name().into());
    differs("meets_requirement", &slo["meets_requirement"], verdict.meets_requirement().into());
    differs("actual_availability", &slo["actual_availability"], rounded(share, 2));
    differs("availability_percent", &metrics["availability_percent"], rounded(share, 2));
    differs("margin", &slo["margin"], rounded(share - required, 2));
    for key in ["total_requests", "successful_requests", "error_requests"] {
        differs(key, &metrics[key], int(finite(&figures[key]).unwrap_or(0.0)));
    }
    let exact = &d["exact"];
    let vitals = [
        ("avg_health_status", &exact["avg_health_status"][0]["value"]),
        ("p95_latency_seconds", &exact["p95_latency_seconds"]),
    ];
    for (key, value) in vitals {
        // What JSON has no number for is null in the original's keys.
        let value = if value.is_string() { f64::NAN } else { value.as_f64().unwrap_or(0.0) };
        differs(key, &metrics[key], rounded(value, 3));
    }
    out.extend(scraped(d));
    out.extend(parts(d));
    if let (Some(total), (Some(worst), Some(best))) = (total, bounds) {
        let (lowest, highest) = widest(d, total, good);
        let whole = list(&d["losses"]).is_empty();
        let fits = worst <= lowest + NEARLY && best >= highest - NEARLY;
        if !fits || (whole && !(nearly(worst, lowest) && nearly(best, highest))) {
            out.push(format!(
                "its bounds are {worst} and {best}, and what was not scraped gives {lowest} and {highest}"
            ));
        }
    }
    out
}

fn by_bounds(worst: f64, best: f64, required: f64) -> Verdict {
    match () {
        () if worst >= required => Verdict::Met,
        () if best < required => Verdict::NotMet,
        () => Verdict::Unknown,
    }
}

/// Where the share that was scraped is not what the gaps leave.
fn scraped(d: &Value) -> Option<String> {
    let coverage = &d["coverage"];
    let gaps: f64 = list(&coverage["gaps"]).iter().filter_map(|g| g["seconds"].as_f64()).sum();
    let at = |key: &str| registry::timestamp(&d["time_window"][key]);
    let length = at("end")?.saturating_sub(at("start")?) as f64 / 1000.0;
    let figure = |key: &str| finite(&coverage[key]).unwrap_or(f64::NAN);
    let fits = nearly(figure("ratio"), 1.0 - gaps / length) && nearly(figure("uncovered_seconds"), gaps);
    (!fits).then(|| {
        let (ratio, uncovered) = (figure("ratio"), figure("uncovered_seconds"));
        format!("its coverage is {ratio}, without {uncovered} seconds, and its gaps are {gaps} of {length} seconds")
    })
}

/// Twice the longest expected time between scrapes, in milliseconds: what lies at the edges of any window. `None` where none is
/// known.
fn edge(coverage: &Value) -> Option<DurationMs> {
    longest_interval(coverage).map(|seconds| (seconds * 2000.0) as DurationMs)
}

/// Where nothing was scraped behind the newest sample, and the gaps do not say so.
fn silence(document: &Value, (start, end): (TimestampMs, TimestampMs), newest: TimestampMs) -> Option<String> {
    let coverage = &document["coverage"];
    let usual = edge(coverage)?;
    if end.saturating_sub(newest) <= usual {
        return None;
    }
    let at = |gap: &Value, key: &str| registry::timestamp(&gap[key]);
    let is_told = |gap: &Value| {
        at(gap, "start").is_some_and(|gap_start| gap_start <= newest.max(start).saturating_add(usual))
            && at(gap, "end").is_some_and(|gap_end| gap_end >= end)
    };
    let told = list(&coverage["gaps"]).last().is_some_and(is_told);
    (!told).then(|| format!("the data go until {}, and no gap of it reaches from there to its end", rfc3339(newest)))
}

/// Restarts of a target that only one of two documents has, at times that both are about. Not every document knows them.
fn restarts((file, document): (&str, &Value), asked: &Value, timeline: &Value) -> Vec<String> {
    let at = |value: &Value| registry::timestamp(value).unwrap_or_default();
    // Beside an edge a restart may lie before the first or behind the last sample of one of them.
    let near = edge(&document["coverage"]).unwrap_or(0);
    let from = at(&asked["start"]).max(at(&timeline["start"])).saturating_add(near);
    let to = at(&asked["end"]).min(at(&timeline["end"])).saturating_sub(near);
    let inside = |restarts: &[Value]| -> BTreeSet<TimestampMs> {
        restarts.iter().map(at).filter(|t| (from..=to).contains(t)).collect()
    };
    let mut out = Vec::new();
    for target in list(&document["coverage"]["targets"]) {
        let mut others = list(&timeline["coverage"]["targets"]).iter();
        let Some(other) = others.find(|t| t["labels"] == target["labels"]) else { continue };
        let both = target["restarts"].as_array().zip(other["restarts"].as_array());
        let Some((theirs, ours)) = both.map(|(a, b)| (inside(a), inside(b))) else { continue };
        for t in theirs.symmetric_difference(&ours) {
            let whose = if theirs.contains(t) { file } else { computed::TIMELINE };
            let labels = printable(&target["labels"].to_string());
            out.push(format!("a restart of {labels} at {} is only in {whose}", rfc3339(*t)));
        }
    }
    out
}

/// Where series and groups do not add up to the figures of all requests.
fn parts(d: &Value) -> Vec<String> {
    let sum = |parts: &str, key: &str| -> f64 { list(&d[parts]).iter().filter_map(|p| finite(&p[key])).sum() };
    let sums = [
        ("counted", "total_requests", "series", sum("series", "counted")),
        ("counted", "total_requests", "groups", sum("groups", "counted")),
        ("exact", "total_requests", "groups", sum("groups", "exact")),
    ];
    let wrong = sums.iter().filter_map(|(way, key, parts, sum)| {
        let said = finite(&d[*way][*key]).unwrap_or(0.0);
        (!nearly(said, *sum)).then(|| format!("its {key} ({way}) are {said}, and its {parts} are {sum} together"))
    });
    wrong.collect()
}

/// Whether two figures are one, computed in another order.
fn nearly(a: f64, b: f64) -> bool {
    (a - b).abs() <= NEARLY * a.abs().max(b.abs()).max(1.0)
}

/// The bounds of a window without losses: what was not scraped, and what cannot be dated, once failed and once served.
fn widest(d: &Value, total: f64, good: f64) -> (f64, f64) {
    let covered = finite(&d["coverage"]["ratio"]).unwrap_or(0.0);
    let unseen = if covered > 0.0 { total * (1.0 - covered) / covered } else { f64::INFINITY };
    let undatable = |key: &str| match d["semantics"]["name"] == "counted" {
        true => finite(&d["counted"]["undatable"][key]).unwrap_or(0.0),
        false => 0.0,
    };
    let (all, well) = (undatable("total_requests"), undatable("successful_requests"));
    let (more_bad, more_good) = (unseen + all - well, unseen + well);
    let worst = if more_bad.is_infinite() { 0.0 } else { good / (total + more_bad) };
    let best = if more_good.is_infinite() { 1.0 } else { (good + more_good) / (total + more_good) };
    (worst, best)
}

/// Where an updates document does not agree with itself.
fn updates(d: &Value) -> Vec<String> {
    let switches = list(&d["switches"]);
    let updates = list(&d["updates"]);
    let times: Vec<TimestampMs> = updates.iter().filter_map(|u| u["timestamp_ms"].as_i64()).collect();
    // The first window with the most updates, closed at both ends.
    let inside = |first: usize| {
        let end = times.get(first).map_or(0, |t| t.saturating_add(WEEK_MS));
        times.iter().skip(first).take_while(|t| **t <= end).count()
    };
    let best = (0..times.len()).rev().max_by_key(|first| inside(*first));
    let within = best.map_or(&[][..], |first| updates.get(first..first + inside(first)).unwrap_or_default());
    let of = |update: &Value| -> Vec<&Value> {
        let positions = list(&update["switches"]).iter().filter_map(|i| switches.get(i.as_u64()? as usize));
        positions.collect()
    };
    let doubtful = within.iter().filter(|u| of(u).iter().all(|s| s["undatable"] == true)).count();
    let mut out = Vec::new();
    let mut differs = |what: &str, said: &Value, found: Value| {
        if *said != found {
            out.push(format!("its {what} is {}, and its own lists give {found}", printable(&said.to_string())));
        }
    };
    let (requirement, bounds) = (&d["requirement"], &d["bounds"]);
    differs("total_switches", &d["total_switches"], switches.len().into());
    differs("actual_updates", &requirement["actual_updates"], within.len().into());
    differs("worst bound", &bounds["worst"], (within.len() - doubtful).into());
    let minimum = finite(&requirement["minimum_updates"]).unwrap_or(f64::NAN);
    let most = finite(&bounds["best"]).unwrap_or(f64::INFINITY);
    let verdict = by_bounds((within.len() - doubtful) as f64, most, minimum);
    differs("verdict", &d["verdict"], verdict.name().into());
    differs("meets_requirement", &requirement["meets_requirement"], verdict.meets_requirement().into());
    let told = |u: &Value| of(u).first().is_some_and(|s| s["timestamp_ms"] == u["timestamp_ms"]);
    let own = |u: &Value| of(u).iter().all(|s| s["to_version"] == u["to_version"]);
    let mut positions: Vec<u64> = within.iter().flat_map(|u| list(&u["switches"])).filter_map(Value::as_u64).collect();
    positions.sort_unstable();
    let counted = positions.iter().filter_map(|i| switches.get(*i as usize).cloned());
    let first = best.and_then(|first| times.get(first).copied());
    let window = json!({
        "start": first.map(isoformat),
        "end": first.map(|t| isoformat(t.saturating_add(WEEK_MS))),
        "switch_count": within.len(),
        "switches": counted.collect::<Vec<Value>>(),
    });
    if d["best_7day_window"] != window {
        out.push("its best_7day_window is not the one that its updates give".to_owned());
    }
    if let Some(update) = updates.iter().find(|u| !told(u) || !own(u)) {
        out.push(format!("its update at {} is none of its switches", text(&update["timestamp"])));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Emptied lists of restarts made a hot swap of each of them.
    #[test]
    fn restarts_are_in_every_document_that_knows_them() {
        let document = |restarts: Value| {
            json!({"start": "2025-11-19T00:00:00Z", "end": "2025-11-20T00:00:00Z", "coverage": {"targets": [
                {"labels": {"instance": "a"}, "scrape_interval_seconds": 60.0, "restarts": restarts}
            ]}})
        };
        let told = |a: Value, b: Value| {
            let (a, b) = (document(a), document(b));
            restarts(("x.json", &a), &a, &b)
        };
        let [noon, edge] = ["2025-11-19T12:00:00Z", "2025-11-19T00:01:00Z"];
        assert_eq!(told(json!([noon, edge]), json!([noon])), Vec::<String>::new());
        assert_eq!(told(Value::Null, json!([noon])), Vec::<String>::new());
        let only = |whose| vec![format!("a restart of {{\"instance\":\"a\"}} at {noon} is only in {whose}")];
        assert_eq!(told(json!([noon]), json!([])), only("x.json"));
        assert_eq!(told(json!([]), json!([noon])), only(computed::TIMELINE));
    }

    /// One gap moved away from the end made a window whole that the data do not reach to its end.
    #[test]
    fn behind_the_newest_sample_there_is_a_gap() {
        let (newest, end) = (1_763_553_600_000, 1_763_553_600_000 + 4 * 3_600_000);
        let with = |gap: Value| {
            let gaps: Vec<Value> = gap.is_object().then_some(gap).into_iter().collect();
            json!({"coverage": {"targets": [{"scrape_interval_seconds": 60.0}], "gaps": gaps}})
        };
        let honest = with(json!({"start": rfc3339(newest), "end": rfc3339(end)}));
        assert_eq!(silence(&honest, (0, end), newest), None);
        assert_eq!(silence(&honest, (newest, end), newest - 86_400_000), None, "a window behind all data");
        for forged in [
            with(json!({"start": rfc3339(newest - 86_400_000), "end": rfc3339(end - 86_400_000)})),
            with(json!({"start": rfc3339(end - 60_000), "end": rfc3339(end)})),
            with(Value::Null),
        ] {
            assert!(silence(&forged, (0, end), newest).is_some(), "{forged}");
            assert_eq!(silence(&forged, (0, newest + 120_000), newest), None);
        }
    }
}
