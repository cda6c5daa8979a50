//! What the report of an evidence folder says.

use serde_json::Value;

use crate::report::python::thousands;
use crate::time::parse_time;

use super::model::{Card, Count, Figure, List, Part, Report, Run, Section, Table, Tone, path, plain, text, value};
use super::plots::{self, clock, float, int, list, replica};
use super::{Documents, checklist};

/// What is listed one by one; the JSON documents have all.
const MOST: usize = 50;

/// The report, from top to bottom.
pub fn report(d: &Documents) -> Report {
    let sections = [
        Some(over_time(&d.timeline)),
        Some(targets(&d.timeline)),
        Some(days(&d.timeline)),
        Some(findings(d)),
        checklist::section(&d.checklist),
        Some(checks(&d.summary)),
        Some(files(&d.summary)),
    ];
    let tool = &d.summary["tool"];
    Report {
        name: d.summary["source"]["name"].as_str().unwrap_or("evidence").to_owned(),
        facts: facts(d),
        cards: list(&d.summary["windows"]).iter().map(|window| card(d, window)).collect(),
        counts: counts(d),
        windows_are: sentence(&d.summary["windows_are"]),
        sections: sections.into_iter().flatten().collect(),
        made_by: format!("{} {}", text(&tool["name"]), text(&tool["version"])),
        timeline: d.timeline.clone(),
    }
}

fn facts(d: &Documents) -> Vec<(&'static str, String)> {
    let submission = d.summary["submission"].as_str();
    let semantics = d.timeline["semantics"]["name"].as_str().unwrap_or("unknown");
    let mut facts = vec![("Period", span(&d.timeline)), ("Data until", clock(&d.timeline["data_until"]))];
    facts.extend(submission.map(|t| ("Submission", minute(t))));
    facts.push(("Collected", clock(&d.summary["collection_timestamp"])));
    facts.push(("Semantics", semantics.to_owned()));
    facts
}

/// `start` and `end` of a document.
fn span(document: &Value) -> String {
    let (start, end) = (clock(&document["start"]), clock(&document["end"]));
    format!("{} to {end}", start.strip_suffix(" UTC").unwrap_or(&start))
}

/// The verdict of a window, or of the updates.
fn card(d: &Documents, window: &Value) -> Card {
    let name = window["name"].as_str().unwrap_or_default();
    let (title, figure, unit) = match name {
        "updates" => {
            let count = &d.updates["requirement"]["actual_updates"];
            let least = &d.updates["requirement"]["minimum_updates"];
            ("Model updates".to_owned(), count.to_string(), format!("within 7 days, at least {least} required"))
        }
        _ => {
            let document = d.windows.get(usize::from(name == "144h")).unwrap_or(&Value::Null);
            let percent = float(&document["slo_compliance"]["actual_availability"]);
            let any = float(&document["metrics"]["total_requests"]).is_some_and(|t| t > 0.0);
            let figure = percent.filter(|_| any).map_or("—".to_owned(), |p| format!("{p:.2}%"));
            let required = &document["slo_compliance"]["required_availability"];
            let title = format!("Availability, {} hours", name.trim_end_matches('h'));
            (title, figure, format!("at least {}% required", number(required)))
        }
    };
    let (tone, word) = match window["verdict"].as_str() {
        Some("met") => (Tone::Good, "Met"),
        Some("not_met") => (Tone::Bad, "Not met"),
        _ => (Tone::Unknown, "Unknown"),
    };
    let until = Some(&window["until"]).filter(|u| !u.is_null());
    let reasons = list(&window["reasons"]).iter().take(4).chain(until).map(text).collect();
    Card { tone, word, title, figure, unit, span: span(window), reasons }
}

/// What is missing or failed, and how much there is.
fn counts(d: &Documents) -> Vec<Count> {
    let checks = list(&d.summary["checks"]);
    let hold = checks.iter().filter(|c| c["ok"] == true).count();
    let failed = checks.iter().filter(|c| c["ok"] == false).count();
    let missing = list(&d.summary["missing"]).len();
    let none = |n: usize| Some(Tone::from(Some(n == 0)));
    let count = |tone, n: usize, words: &str| Count { tone, figure: n.to_string(), words: words.to_owned() };
    let mut counts: Vec<Count> = checklist::count(&d.checklist).into_iter().collect();
    counts.push(count(None, list(&d.summary["files"]).len(), "files with digests"));
    counts.push(count(none(failed), hold, &format!("of {} checks hold", checks.len())));
    counts.push(count(none(missing), missing, "parts missing"));
    counts.push(count(None, losses(d).len(), "losses"));
    counts
}

fn over_time(timeline: &Value) -> Section {
    let mut out = Section::new("time", "Over time");
    let hours = list(&timeline["hours"]);
    let requests: f64 = hours.iter().filter_map(|h| float(&h["total_requests"])).sum();
    if requests == 0.0 {
        out.push(Part::Note("There are no requests in this period."));
    }
    let rolling = list(&timeline["rolling"]["points"]);
    let last = rolling.last().and_then(|p| float(&p["availability_ratio"]));
    let last = last.map_or("no value".to_owned(), |r| format!("{:.2}%", r * 100.0));
    let required = number(&timeline["required_percent"]);
    let outages = list(&timeline["outages"]);
    out.push(Part::Figure(Figure {
        id: "availability",
        title: "Availability",
        note: "Good requests in percent of all requests. Hours count the increments that the samples prove; the line is PromQL's.",
        name: "Availability by the hour",
        description: format!("Good requests of each hour, the last 72 hours before each hour, which end at {last}, and the requirement of {required}%. {} outages.", outages.len()),
        legend: legend(&[
            ("box good", "hour at or above the requirement"),
            ("box bad", "hour below it"),
            ("stroke rolling", "last 72 hours"),
            ("stroke required", "requirement"),
            ("box outage", "no target up"),
            ("box unknown", "not scraped"),
            ("stroke restart", "restart"),
        ]),
        draw: plots::availability,
    }));
    if requests > 0.0 {
        out.push(requests_by_status(timeline, requests));
        out.push(latency(hours));
    }
    out
}

fn legend(keys: &[(&str, &str)]) -> Vec<(String, String)> {
    keys.iter().map(|(class, name)| ((*class).to_owned(), (*name).to_owned())).collect()
}

fn requests_by_status(timeline: &Value, requests: f64) -> Part {
    let groups = list(&timeline["groups"]);
    let names = groups.iter().enumerate().map(|(i, g)| (i, g.as_str().unwrap_or_default()));
    let keys = names.map(|(i, g)| (format!("box {}", plots::group_class(g, i)), format!("status {g}")));
    Part::Figure(Figure {
        id: "requests",
        title: "Requests by status",
        note: "Requests per hour of the clock; the first and the last hour may be shorter.",
        name: "Requests by status and hour",
        description: format!("{} requests of {} statuses.", thousands(requests), groups.len()),
        legend: keys.take(12).collect(),
        draw: plots::requests,
    })
}

fn latency(hours: &[Value]) -> Part {
    let highest = hours.iter().filter_map(|h| float(&h["p95_latency_seconds"])).fold(0.0, f64::max);
    Part::Figure(Figure {
        id: "latency",
        title: "Latency",
        note: "95 of 100 requests of an hour were answered at least this fast, by histogram_quantile.",
        name: "Latency, 95th percentile by the hour",
        description: format!("The highest is {:.0} milliseconds.", highest * 1000.0),
        legend: legend(&[("stroke latency", "95th percentile"), ("box outage", "no target up")]),
        draw: plots::latency,
    })
}

fn targets(timeline: &Value) -> Section {
    let mut out = Section::new("targets", "Targets and versions");
    let versions = plots::version_names(timeline);
    let switches = list(&timeline["switches"]);
    if versions.is_empty() && switches.is_empty() {
        out.push(Part::Note("No served version and no switch is in the data."));
    } else {
        out.push(served_versions(timeline, &versions));
    }
    let all = list(&timeline["coverage"]["targets"]);
    if all.is_empty() {
        out.push(Part::Note("Nothing is known about scrapes."));
        return out;
    }
    let ratio = float(&timeline["coverage"]["ratio"]).unwrap_or(0.0) * 100.0;
    out.push(Part::Figure(Figure {
        id: "coverage",
        title: "Coverage",
        note: "Down is a scrape that said 0; a gap is a scrape that is not there; a stale marker says that a series ended.",
        name: "Scrapes by target",
        description: format!("{} targets; {ratio:.2}% of the period was scraped.", all.len()),
        legend: legend(&[
            ("box good", "scraped and up"),
            ("box bad", "scraped and down"),
            ("box gap", "not scraped"),
            ("stroke restart", "restart"),
        ]),
        draw: plots::coverage,
    }));
    let rows = all.iter().take(MOST).map(|t| {
        let percent = |v: &Value| float(v).map_or("—".to_owned(), |r| format!("{:.2}%", r * 100.0));
        let outage = &t["longest_outage"];
        let outage = float(&outage["seconds"]).map_or("none".to_owned(), |s| {
            format!("{} from {}", crate::time::human_duration((s * 1000.0) as i64), clock(&outage["start"]))
        });
        [
            replica(&t["labels"]),
            percent(&t["ratio"]),
            percent(&t["up_ratio"]),
            list(&t["downs"]).len().to_string(),
            t["restarts"].as_array().map_or("unknown".to_owned(), |r| r.len().to_string()),
            int(&t["stale_markers"]).to_string(),
            outage,
        ]
        .map(plain)
    });
    let head = ["Target", "Scraped", "Up", "Down", "Restarts", "Stale markers", "Longest outage"];
    out.table("Targets", head, rows, all.len());
    let rows = switches.iter().take(MOST).map(|s| {
        [clock(&s["timestamp"]), text(&s["from_version"]), text(&s["to_version"]), replica(&s["replica"])].map(plain)
    });
    out.table("Switches", ["Seen at", "From", "To", "Replica"], rows, switches.len());
    out
}

fn served_versions(timeline: &Value, versions: &[String]) -> Part {
    let keys = versions.iter().enumerate().map(|(i, v)| (format!("box s{}", i % 6), v.clone()));
    let switch = ("stroke switch".to_owned(), "switch".to_owned());
    Part::Figure(Figure {
        id: "versions",
        title: "Served versions",
        note: "What model_version_info showed of each replica, and every increment of model_switches_total.",
        name: "Served model versions and switches by replica",
        description: format!(
            "{} versions, {} switches, {} distinct updates.",
            versions.len(),
            list(&timeline["switches"]).len(),
            list(&timeline["updates"]).len()
        ),
        legend: keys.take(12).chain([switch]).collect(),
        draw: plots::versions,
    })
}

/// The plots as figures, a day a row.
fn days(timeline: &Value) -> Section {
    struct Day<'a> {
        date: &'a str,
        total: f64,
        good: f64,
        p95: Option<f64>,
        covered: f64,
        hours: f64,
    }
    let mut days: Vec<Day<'_>> = Vec::new();
    for hour in list(&timeline["hours"]) {
        let date = hour["start"].as_str().and_then(|s| s.get(..10)).unwrap_or_default();
        if days.last().is_none_or(|d| d.date != date) {
            days.push(Day { date, total: 0.0, good: 0.0, p95: None, covered: 0.0, hours: 0.0 });
        }
        let Some(day) = days.last_mut() else { continue };
        let length = (int(&hour["end_ms"]) - int(&hour["start_ms"])) as f64 / 3_600_000.0;
        day.total += float(&hour["total_requests"]).unwrap_or(0.0);
        day.good += float(&hour["successful_requests"]).unwrap_or(0.0);
        day.p95 = [day.p95, float(&hour["p95_latency_seconds"])].into_iter().flatten().reduce(f64::max);
        day.covered += float(&hour["coverage_ratio"]).unwrap_or(0.0) * length;
        day.hours += length;
    }
    let rows = days.iter().map(|d| {
        let percent = if d.total > 0.0 { format!("{:.2}%", d.good / d.total * 100.0) } else { "—".to_owned() };
        [
            d.date.to_owned(),
            thousands(d.total),
            thousands(d.good),
            percent,
            d.p95.map_or("—".to_owned(), |p| format!("{:.0} ms", p * 1000.0)),
            format!("{:.2}%", d.covered / d.hours.max(1e-9) * 100.0),
        ]
        .map(plain)
    });
    let mut out = Section::new("days", "Day by day");
    let head = ["Day (UTC)", "Requests", "Good", "Availability", "Highest hourly p95", "Scraped"];
    out.table("Days", head, rows, days.len());
    out
}

/// The losses of both windows and of the updates, each once.
fn losses(d: &Documents) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for document in d.windows.iter().chain([&d.updates]) {
        for loss in list(&document["losses"]) {
            let place = match loss["offset"].as_u64() {
                Some(offset) => format!("{} at byte {offset}", loss["file"].as_str().unwrap_or_default()),
                None => loss["file"].as_str().unwrap_or_default().to_owned(),
            };
            let line = format!("{place}: {}", loss["detail"].as_str().unwrap_or_default());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

fn findings(d: &Documents) -> Section {
    let mut warnings: Vec<String> = Vec::new();
    for document in d.windows.iter().chain([&d.updates]) {
        for warning in list(&document["warnings"]).iter().filter_map(Value::as_str) {
            if !warnings.iter().any(|w| w == warning) {
                warnings.push(warning.to_owned());
            }
        }
    }
    let lost = losses(d);
    let mut out = Section::new("findings", "Losses and warnings");
    if lost.is_empty() && warnings.is_empty() {
        out.push(Part::Text("None: every sample that these answers need was read."));
    }
    for (title, mut lines) in [("Losses", lost), ("Warnings", warnings)] {
        if lines.is_empty() {
            continue;
        }
        let more = lines.len().saturating_sub(MOST);
        lines.truncate(MOST);
        out.push(Part::List(List { title, lines, more }));
    }
    out
}

fn checks(summary: &Value) -> Section {
    let mut out = Section::new("checks", "Checks");
    let missing = list(&summary["missing"]);
    let rows = missing.iter().take(MOST).map(|m| [value(&m["what"]), value(&m["why"]), value(&m["how_to_get_it"])]);
    out.table("Missing", ["Missing", "Why", "How to get it"], rows, missing.len());
    let checks = list(&summary["checks"]);
    // What does not hold comes first.
    let mut sorted: Vec<&Value> = checks.iter().collect();
    sorted.sort_by_key(|c| match c["ok"].as_bool() {
        Some(false) => 0,
        None => 1,
        Some(true) => 2,
    });
    let rows = sorted.iter().take(2 * MOST).map(|c| {
        let word = match c["ok"].as_bool() {
            Some(true) => "holds",
            Some(false) => "fails",
            None => "cannot say",
        };
        let name = c["name"].as_str().unwrap_or_default().replace('_', " ");
        let result = vec![Run::Pill(Tone::from(c["ok"].as_bool()), word.to_owned())];
        [result, plain(name), value(&c["detail"]), vec![path(&c["file"])]]
    });
    out.table("Checks", ["Result", "Check", "What was found", "File"], rows, checks.len());
    let unused = list(&summary["unused"]);
    let rows = unused.iter().take(MOST).map(|u| [value(&u["path"]), value(&u["why"])]);
    out.table("Found and not used", ["File", "Why"], rows, unused.len());
    out
}

fn files(summary: &Value) -> Section {
    let mut out = Section::new("files", "Files and digests");
    let files = list(&summary["files"]);
    let rows = files.iter().map(|f| {
        let mut from = value(&f["source"]);
        if let Some(command) = f["command"].as_str() {
            from.extend([Run::Break, Run::Code(command.to_owned())]);
        }
        let bytes = thousands(float(&f["bytes"]).unwrap_or(0.0));
        [vec![path(&f["path"])], plain(bytes), value(&f["kind"]), from, vec![Run::Digest(text(&f["sha256"]))]]
    });
    out.table("Evidence", ["File", "Bytes", "Kind", "From", "SHA-256"], rows, files.len());
    let source = &summary["source"];
    let mut parts: Vec<(String, &Value)> = Vec::new();
    for block in list(&source["blocks"]) {
        let ulid = text(&block["ulid"]);
        parts.extend(list(&block["files"]).iter().map(|f| (format!("{ulid}/{}", text(&f["path"])), f)));
    }
    for f in list(&source["logs"]).iter().chain(list(&source["archives"])) {
        let name = if f["path"].is_null() { &f["name"] } else { &f["path"] };
        parts.push((text(name), f));
    }
    let count = parts.len();
    let rows = parts.into_iter().take(4 * MOST).map(|(name, f)| {
        let bytes = thousands(float(&f["bytes"]).unwrap_or(0.0));
        [vec![Run::Code(name)], plain(bytes), vec![Run::Digest(text(&f["sha256"]))]]
    });
    let table = Table::new("Source", ["File of the source", "Bytes", "SHA-256"], rows, count);
    out.push(Part::Folded(format!("The source, {count} files"), table));
    out
}

fn number(value: &Value) -> String {
    float(value).map_or("—".to_owned(), |x| format!("{x}"))
}

/// A text of the summary as a sentence.
fn sentence(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

fn minute(text: &str) -> String {
    match parse_time(text) {
        Ok((t, _)) => clock(&crate::time::rfc3339(t).into()),
        Err(_) => text.to_owned(),
    }
}
