//! `report.html`: one self-contained page from an evidence folder alone, without a script, a font or a request.

mod checklist;
mod plots;
mod svg;

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::report::python::thousands;
use crate::time::parse_time;

use plots::{clock, float, int, list, replica};
use svg::escape;

const STYLE: &str = include_str!("style.css");
/// What is listed one by one; the JSON documents have all.
const MOST: usize = 50;

/// The documents of an evidence folder.
struct Documents {
    summary: Value,
    timeline: Value,
    windows: [Value; 2],
    updates: Value,
    /// Of a package; null for an evidence folder by itself.
    checklist: Value,
}

impl Documents {
    fn read(folder: &Path, document: impl Fn(&Path, &str) -> Result<Value>) -> Result<Documents> {
        Ok(Documents {
            summary: document(folder, super::summary::NAME)?,
            timeline: document(folder, "availability/timeline.json")?,
            windows: [
                document(folder, "availability/availability_72h.json")?,
                document(folder, "availability/availability_144h.json")?,
            ],
            updates: document(folder, "model_updates/model_updates_verification.json")?,
            checklist: Value::Null,
        })
    }
}

fn document(folder: &Path, name: &str) -> Result<Value> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read it", &e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(ErrorKind::Malformed, format!("it is no JSON: {e}"))
            .at(&path)
            .hint("collect the evidence again with `promproof collect`")
    })
}

/// The page. Everything on it is in the folder, and everything from the folder is escaped. Errs where a document is missing
/// or no JSON.
pub fn page(folder: &Path) -> Result<String> {
    Ok(draw(&Documents::read(folder, document)?))
}

/// The page of a package: with its checklist, the document `promproof.package/1`. What it cannot read of the folder is not
/// on the page; the checklist says what that is.
pub fn with_checklist(folder: &Path, checklist: &Value) -> Result<String> {
    let d = Documents::read(folder, |folder, name| Ok(document(folder, name).unwrap_or_default()))?;
    Ok(draw(&Documents { checklist: checklist.clone(), ..d }))
}

fn draw(d: &Documents) -> String {
    let name = d.summary["source"]["name"].as_str().unwrap_or("evidence");
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Evidence: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the verdicts</a>\n",
        escape(name)
    );
    out.push_str(&header(d, name));
    out.push_str("<main id=\"main\">\n");
    out.push_str(&verdicts(d));
    out.push_str(&contents(d));
    out.push_str(&over_time(d));
    out.push_str(&targets(d));
    out.push_str(&days(&d.timeline));
    out.push_str(&findings(d));
    out.push_str(&checklist::section(&d.checklist));
    out.push_str(&checks(&d.summary));
    out.push_str(&files(&d.summary));
    out.push_str("</main>\n");
    let tool = &d.summary["tool"];
    out.push_str(&format!(
        "<footer><p>Made by {} {} from the evidence folder alone. The figures are those of its JSON documents.</p></footer>\n</body>\n</html>\n",
        text(&tool["name"]),
        text(&tool["version"])
    ));
    out
}

fn header(d: &Documents, name: &str) -> String {
    let timeline = &d.timeline;
    let submission = match d.summary["submission"].as_str() {
        Some(t) => fact("Submission", &minute(t)),
        None => String::new(),
    };
    format!(
        "<header>\n<p class=\"kind\">Evidence report</p>\n<h1>{}</h1>\n<dl class=\"facts\">{}{}{submission}{}{}</dl>\n</header>\n",
        escape(name),
        fact("Period", &span(timeline)),
        fact("Data until", &clock(&timeline["data_until"])),
        fact("Collected", &clock(&d.summary["collection_timestamp"])),
        fact("Semantics", timeline["semantics"]["name"].as_str().unwrap_or("unknown")),
    )
}

fn fact(name: &str, value: &str) -> String {
    format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(value))
}

/// `start` and `end` of a document.
fn span(document: &Value) -> String {
    let (start, end) = (clock(&document["start"]), clock(&document["end"]));
    format!("{} to {end}", start.strip_suffix(" UTC").unwrap_or(&start))
}

/// The answer in one screen: three cards, and what is missing or failed.
fn verdicts(d: &Documents) -> String {
    let mut out = "<section aria-labelledby=\"verdicts\">\n<h2 id=\"verdicts\" class=\"quiet\">Verdicts</h2>\n<div class=\"cards\">\n".to_owned();
    for window in list(&d.summary["windows"]) {
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
        let (class, word) = match window["verdict"].as_str() {
            Some("met") => ("good", "Met"),
            Some("not_met") => ("bad", "Not met"),
            _ => ("unknown", "Unknown"),
        };
        out.push_str(&format!(
            "<article class=\"card {class}\"><h3>{}</h3><p class=\"verdict\"><span class=\"pill {class}\">{} {word}</span></p><p class=\"figure\">{}</p><p class=\"unit\">{}</p><p class=\"span\">{}</p>",
            escape(&title),
            mark(class),
            escape(&figure),
            escape(&unit),
            escape(&span(window)),
        ));
        let until = Some(&window["until"]).filter(|u| !u.is_null());
        let reasons = list(&window["reasons"]).iter().take(4).chain(until);
        let reasons: Vec<String> = reasons.map(|r| format!("<li>{}</li>", text(r))).collect();
        out.push_str(&format!("<ul class=\"reasons\">{}</ul></article>\n", reasons.concat()));
    }
    out.push_str("</div>\n");
    let checks = list(&d.summary["checks"]);
    let hold = checks.iter().filter(|c| c["ok"] == true).count();
    let failed = checks.iter().filter(|c| c["ok"] == false).count();
    let missing = list(&d.summary["missing"]).len();
    let class = |n: usize| if n == 0 { "good" } else { "bad" };
    out.push_str(&format!(
        "<ul class=\"counts\">{}<li><b>{}</b> files with digests</li><li class=\"{}\"><b>{hold}</b> of {} checks hold</li><li class=\"{}\"><b>{missing}</b> parts missing</li><li><b>{}</b> losses</li></ul>\n",
        checklist::count(&d.checklist),
        list(&d.summary["files"]).len(),
        class(failed),
        checks.len(),
        class(missing),
        losses(d).len(),
    ));
    out.push_str(&format!("<p class=\"note\">{}.</p>\n</section>\n", sentence(&d.summary["windows_are"])));
    out
}

fn contents(d: &Documents) -> String {
    let parts = [
        ("time", "Over time"),
        ("targets", "Targets and versions"),
        ("days", "Day by day"),
        ("findings", "Losses and warnings"),
        ("deliverables", "Deliverables"),
        ("checks", "Checks"),
        ("files", "Files and digests"),
    ];
    let shown = parts.iter().filter(|(id, _)| *id != "deliverables" || !d.checklist.is_null());
    let links: Vec<String> = shown.map(|(id, name)| format!("<li><a href=\"#{id}\">{name}</a></li>")).collect();
    format!("<nav aria-label=\"Contents\"><ul>{}</ul></nav>\n", links.concat())
}

fn over_time(d: &Documents) -> String {
    let timeline = &d.timeline;
    let mut out = section("time", "Over time");
    let hours = list(&timeline["hours"]);
    let requests: f64 = hours.iter().filter_map(|h| float(&h["total_requests"])).sum();
    if requests == 0.0 {
        out.push_str("<p class=\"note\">There are no requests in this period.</p>\n");
    }
    let rolling = list(&timeline["rolling"]["points"]);
    let last = rolling.last().and_then(|p| float(&p["availability_ratio"]));
    let last = last.map_or("no value".to_owned(), |r| format!("{:.2}%", r * 100.0));
    let required = number(&timeline["required_percent"]);
    let outages = list(&timeline["outages"]);
    out.push_str(&figure(
        "Availability",
        &plots::both(
            "availability",
            "Availability by the hour",
            &format!("Good requests of each hour, the last 72 hours before each hour, which end at {last}, and the requirement of {required}%. {} outages.", outages.len()),
            |frame| plots::availability(timeline, frame),
        ),
        &[
            ("box good", "hour at or above the requirement"),
            ("box bad", "hour below it"),
            ("stroke rolling", "last 72 hours"),
            ("stroke required", "requirement"),
            ("box outage", "no target up"),
            ("box unknown", "not scraped"),
            ("stroke restart", "restart"),
        ],
        "Good requests in percent of all requests. Hours count the increments that the samples prove; the line is PromQL's.",
    ));
    if requests > 0.0 {
        out.push_str(&requests_and_latency(timeline, requests));
    }
    out.push_str("</section>\n");
    out
}

fn requests_and_latency(timeline: &Value, requests: f64) -> String {
    let mut out = String::new();
    let hours = list(&timeline["hours"]);
    let groups = list(&timeline["groups"]);
    let names: Vec<(String, String)> = groups
        .iter()
        .enumerate()
        .map(|(i, g)| (i, g.as_str().unwrap_or_default()))
        .map(|(i, g)| (format!("box {}", plots::group_class(g, i)), format!("status {g}")))
        .collect();
    let legend: Vec<(&str, &str)> = names.iter().take(12).map(|(c, n)| (c.as_str(), n.as_str())).collect();
    out.push_str(&figure(
        "Requests by status",
        &plots::both(
            "requests",
            "Requests by status and hour",
            &format!("{} requests of {} statuses.", thousands(requests), groups.len()),
            |frame| plots::requests(timeline, frame),
        ),
        &legend,
        "Requests per hour of the clock; the first and the last hour may be shorter.",
    ));
    let highest = hours.iter().filter_map(|h| float(&h["p95_latency_seconds"])).fold(0.0, f64::max);
    out.push_str(&figure(
        "Latency",
        &plots::both(
            "latency",
            "Latency, 95th percentile by the hour",
            &format!("The highest is {:.0} milliseconds.", highest * 1000.0),
            |frame| plots::latency(timeline, frame),
        ),
        &[("stroke latency", "95th percentile"), ("box outage", "no target up")],
        "95 of 100 requests of an hour were answered at least this fast, by histogram_quantile.",
    ));
    out
}

fn targets(d: &Documents) -> String {
    let timeline = &d.timeline;
    let mut out = section("targets", "Targets and versions");
    let versions = plots::version_names(timeline);
    let switches = list(&timeline["switches"]);
    let names: Vec<(String, &str)> =
        versions.iter().enumerate().map(|(i, v)| (format!("box s{}", i % 6), v.as_str())).collect();
    let mut legend: Vec<(&str, &str)> = names.iter().take(12).map(|(c, n)| (c.as_str(), *n)).collect();
    legend.push(("stroke switch", "switch"));
    if versions.is_empty() && switches.is_empty() {
        out.push_str("<p class=\"note\">No served version and no switch is in the data.</p>\n");
    } else {
        out.push_str(&figure(
            "Served versions",
            &plots::both(
                "versions",
                "Served model versions and switches by replica",
                &format!(
                    "{} versions, {} switches, {} distinct updates.",
                    versions.len(),
                    switches.len(),
                    list(&timeline["updates"]).len()
                ),
                |frame| plots::versions(timeline, frame),
            ),
            &legend,
            "What model_version_info showed of each replica, and every increment of model_switches_total.",
        ));
    }
    let all = list(&timeline["coverage"]["targets"]);
    if all.is_empty() {
        out.push_str("<p class=\"note\">Nothing is known about scrapes.</p>\n</section>\n");
        return out;
    }
    let ratio = float(&timeline["coverage"]["ratio"]).unwrap_or(0.0) * 100.0;
    out.push_str(&figure(
        "Coverage",
        &plots::both(
            "coverage",
            "Scrapes by target",
            &format!("{} targets; {ratio:.2}% of the period was scraped.", all.len()),
            |frame| plots::coverage(timeline, frame),
        ),
        &[
            ("box good", "scraped and up"),
            ("box bad", "scraped and down"),
            ("box gap", "not scraped"),
            ("stroke restart", "restart"),
        ],
        "Down is a scrape that said 0; a gap is a scrape that is not there; a stale marker says that a series ended.",
    ));
    let rows = all.iter().take(MOST).map(|t| {
        let percent = |v: &Value| float(v).map_or("—".to_owned(), |r| format!("{:.2}%", r * 100.0));
        let outage = &t["longest_outage"];
        let outage = float(&outage["seconds"]).map_or("none".to_owned(), |s| {
            format!("{} from {}", crate::time::human_duration((s * 1000.0) as i64), clock(&outage["start"]))
        });
        [
            escape(&replica(&t["labels"])),
            percent(&t["ratio"]),
            percent(&t["up_ratio"]),
            list(&t["downs"]).len().to_string(),
            t["restarts"].as_array().map_or("unknown".to_owned(), |r| r.len().to_string()),
            int(&t["stale_markers"]).to_string(),
            escape(&outage),
        ]
    });
    let head = ["Target", "Scraped", "Up", "Down", "Restarts", "Stale markers", "Longest outage"];
    out.push_str(&table("Targets", &head, rows, all.len()));
    let rows = switches.iter().take(MOST).map(|s| {
        [
            escape(&clock(&s["timestamp"])),
            text(&s["from_version"]),
            text(&s["to_version"]),
            escape(&replica(&s["replica"])),
        ]
    });
    out.push_str(&table("Switches", &["Seen at", "From", "To", "Replica"], rows, switches.len()));
    out.push_str("</section>\n");
    out
}

/// The plots as figures, a day a row.
fn days(timeline: &Value) -> String {
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
            escape(d.date),
            thousands(d.total),
            thousands(d.good),
            percent,
            d.p95.map_or("—".to_owned(), |p| format!("{:.0} ms", p * 1000.0)),
            format!("{:.2}%", d.covered / d.hours.max(1e-9) * 100.0),
        ]
    });
    let head = ["Day (UTC)", "Requests", "Good", "Availability", "Highest hourly p95", "Scraped"];
    format!("{}{}</section>\n", section("days", "Day by day"), table("Days", &head, rows, days.len()))
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

fn findings(d: &Documents) -> String {
    let mut warnings: Vec<String> = Vec::new();
    for document in d.windows.iter().chain([&d.updates]) {
        for warning in list(&document["warnings"]).iter().filter_map(Value::as_str) {
            if !warnings.iter().any(|w| w == warning) {
                warnings.push(warning.to_owned());
            }
        }
    }
    let lost = losses(d);
    let mut out = section("findings", "Losses and warnings");
    if lost.is_empty() && warnings.is_empty() {
        out.push_str("<p>None: every sample that these answers need was read.</p>\n");
    }
    for (name, lines) in [("Losses", &lost), ("Warnings", &warnings)] {
        if lines.is_empty() {
            continue;
        }
        let items: Vec<String> = lines.iter().take(MOST).map(|l| format!("<li>{}</li>", escape(l))).collect();
        out.push_str(&format!("<h3>{name}</h3>\n<ul>{}</ul>\n{}", items.concat(), more(lines.len())));
    }
    out.push_str("</section>\n");
    out
}

fn checks(summary: &Value) -> String {
    let mut out = section("checks", "Checks");
    let missing = list(&summary["missing"]);
    if !missing.is_empty() {
        let rows = missing.iter().take(MOST).map(|m| [text(&m["what"]), text(&m["why"]), text(&m["how_to_get_it"])]);
        out.push_str(&table("Missing", &["Missing", "Why", "How to get it"], rows, missing.len()));
    }
    let checks = list(&summary["checks"]);
    // What does not hold comes first.
    let mut sorted: Vec<&Value> = checks.iter().collect();
    sorted.sort_by_key(|c| match c["ok"].as_bool() {
        Some(false) => 0,
        None => 1,
        Some(true) => 2,
    });
    let rows = sorted.iter().take(2 * MOST).map(|c| {
        let (class, word) = match c["ok"].as_bool() {
            Some(true) => ("good", "holds"),
            Some(false) => ("bad", "fails"),
            None => ("unknown", "cannot say"),
        };
        let name = c["name"].as_str().unwrap_or_default().replace('_', " ");
        [
            format!("<span class=\"pill {class}\">{} {word}</span>", mark(class)),
            escape(&name),
            text(&c["detail"]),
            path(&c["file"]),
        ]
    });
    out.push_str(&table("Checks", &["Result", "Check", "What was found", "File"], rows, checks.len()));
    let unused = list(&summary["unused"]);
    if !unused.is_empty() {
        let rows = unused.iter().take(MOST).map(|u| [text(&u["path"]), text(&u["why"])]);
        out.push_str(&table("Found and not used", &["File", "Why"], rows, unused.len()));
    }
    out.push_str("</section>\n");
    out
}

fn files(summary: &Value) -> String {
    let mut out = section("files", "Files and digests");
    let files = list(&summary["files"]);
    let rows = files.iter().map(|f| {
        let command = f["command"].as_str().map_or(String::new(), |c| format!("<br><code>{}</code>", escape(c)));
        [
            path(&f["path"]),
            thousands(float(&f["bytes"]).unwrap_or(0.0)),
            text(&f["kind"]),
            format!("{}{command}", text(&f["source"])),
            format!("<code class=\"digest\">{}</code>", text(&f["sha256"])),
        ]
    });
    out.push_str(&table("Evidence", &["File", "Bytes", "Kind", "From", "SHA-256"], rows, files.len()));
    let source = &summary["source"];
    let mut parts: Vec<[String; 3]> = Vec::new();
    for block in list(&source["blocks"]) {
        let ulid = text(&block["ulid"]);
        for f in list(&block["files"]) {
            parts.push(part(&format!("{ulid}/{}", text(&f["path"])), f));
        }
    }
    for f in list(&source["logs"]).iter().chain(list(&source["archives"])) {
        let name = if f["path"].is_null() { &f["name"] } else { &f["path"] };
        parts.push(part(&text(name), f));
    }
    let count = parts.len();
    let shown = table("Source", &["File of the source", "Bytes", "SHA-256"], parts.into_iter().take(4 * MOST), count);
    out.push_str(&format!("<details><summary>The source, {count} files</summary>\n{shown}</details>\n</section>\n"));
    out
}

fn part(name: &str, f: &Value) -> [String; 3] {
    let digest = format!("<code class=\"digest\">{}</code>", text(&f["sha256"]));
    [format!("<code>{name}</code>"), thousands(float(&f["bytes"]).unwrap_or(0.0)), digest]
}

fn section(id: &str, title: &str) -> String {
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n")
}

fn figure(title: &str, plots: &str, legend: &[(&str, &str)], note: &str) -> String {
    let keys: Vec<String> =
        legend.iter().map(|(class, name)| format!("<li><i class=\"{class}\"></i>{}</li>", escape(name))).collect();
    format!(
        "<figure>\n<figcaption><h3>{title}</h3><p>{note}</p></figcaption>\n{plots}<ul class=\"legend\">{}</ul>\n</figure>\n",
        keys.concat()
    )
}

/// A table whose cells are HTML already; `count` is the number of rows that there are. Without rows there is no table.
fn table<const N: usize>(
    name: &str,
    head: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
    count: usize,
) -> String {
    let heads: Vec<String> = head.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
    let mut shown = 0;
    let mut body = String::new();
    for row in rows {
        shown += 1;
        let cells: Vec<String> =
            row.iter().zip(head).map(|(cell, head)| format!("<td data-head=\"{head}\">{cell}</td>")).collect();
        body.push_str(&format!("<tr>{}</tr>\n", cells.concat()));
    }
    if shown == 0 {
        return String::new();
    }
    let rest = if shown < count { more_than(count - shown) } else { String::new() };
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"Table: {name}\" tabindex=\"0\"><table><caption>{name}</caption><thead><tr>{}</tr></thead><tbody>\n{body}</tbody></table></div>\n{rest}",
        heads.concat()
    )
}

fn more(count: usize) -> String {
    if count > MOST { more_than(count - MOST) } else { String::new() }
}

fn more_than(count: usize) -> String {
    format!("<p class=\"note\">And {count} more in the JSON documents.</p>\n")
}

fn mark(class: &str) -> &'static str {
    match class {
        "good" => "✓",
        "bad" => "✗",
        _ => "?",
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => escape(s),
        other => escape(&other.to_string()),
    }
}

/// A path, which may be broken behind `/` and `_`.
fn path(value: &Value) -> String {
    format!("<code>{}</code>", text(value).replace('/', "/<wbr>").replace('_', "_<wbr>"))
}

fn number(value: &Value) -> String {
    float(value).map_or("—".to_owned(), |x| format!("{x}"))
}

/// A text of the summary as a sentence.
fn sentence(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    escape(&format!("{first}{}", chars.as_str()))
}

fn minute(text: &str) -> String {
    match parse_time(text) {
        Ok((t, _)) => clock(&crate::time::rfc3339(t).into()),
        Err(_) => text.to_owned(),
    }
}
