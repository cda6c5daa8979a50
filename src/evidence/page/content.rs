//! What the report of an evidence folder says.

use serde_json::Value;

use crate::loss::counted_noun;
use crate::report::python::thousands;

use super::model::{Card, Cell, Count, List, Part, Report, Run, Section, Table, Tone, path, plain, text, value};
use super::plots::{float, hour_of, list};
use super::words::{NONE, clock, moment, prose};
use super::{Documents, checklist, over_time, targets};

/// What is listed one by one; the JSON documents have all.
const MOST: usize = 50;
const SUMMARY: &str = super::super::summary::NAME;

/// The report, from top to bottom.
pub fn report(d: &Documents) -> Report {
    let sections = [
        Some(over_time::plots(&d.timeline)),
        Some(targets::section(&d.timeline)),
        Some(over_time::days(&d.timeline)),
        Some(windows(d)),
        Some(findings(d)),
        checklist::section(&d.checklist),
        Some(checks(&d.summary)),
        Some(files(&d.summary)),
        Some(over_time::hours(&d.timeline)),
    ];
    let tool = &d.summary["tool"];
    Report {
        name: d.summary["source"]["name"].as_str().unwrap_or("evidence").to_owned(),
        facts: facts(d),
        status: checklist::status(&d.checklist),
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
    let mut facts = vec![
        ("Period", span(&hour_of(&d.timeline), &d.timeline["end"])),
        ("Data until", clock(&d.timeline["data_until"])),
    ];
    facts.extend(submission.map(|t| ("Submission", moment(t))));
    facts.push(("Collected", clock(&d.summary["collection_timestamp"])));
    facts.push(("Semantics", semantics.to_owned()));
    facts
}

/// A time and its end, to the minute.
fn span(start: &str, end: &Value) -> String {
    format!("{} to {}", start.strip_suffix(" UTC").unwrap_or(start), clock(end))
}

/// What a window of the summary is called.
fn title(window: &Value) -> String {
    match window["name"].as_str().unwrap_or_default() {
        "updates" => "Model updates".to_owned(),
        name => format!("Availability, {} hours", name.trim_end_matches('h')),
    }
}

/// The answer about the availability in a window; nothing for that of the updates.
fn answer<'a>(d: &'a Documents, window: &Value) -> Option<&'a Value> {
    match window["name"].as_str() {
        Some("updates") => None,
        name => d.windows.get(usize::from(name == Some("144h"))),
    }
}

fn verdict(window: &Value) -> (Tone, &'static str) {
    match window["verdict"].as_str() {
        Some("met") => (Tone::Good, "Met"),
        Some("not_met") => (Tone::Bad, "Not met"),
        _ => (Tone::Unknown, "Unknown"),
    }
}

/// The verdict of a window, or of the updates.
fn card(d: &Documents, window: &Value) -> Card {
    let (figure, unit) = match answer(d, window) {
        None => {
            let count = &d.updates["requirement"]["actual_updates"];
            let least = &d.updates["requirement"]["minimum_updates"];
            (count.to_string(), format!("within 7 days, at least {least} required"))
        }
        Some(document) => {
            let percent = float(&document["slo_compliance"]["actual_availability"]);
            let any = float(&document["metrics"]["total_requests"]).is_some_and(|t| t > 0.0);
            let required = float(&document["slo_compliance"]["required_availability"]);
            let required = required.map_or(NONE.to_owned(), |r| r.to_string());
            let figure = percent.filter(|_| any).map_or(NONE.to_owned(), |p| format!("{p:.2}%"));
            (figure, format!("at least {required}% required"))
        }
    };
    let (tone, word) = verdict(window);
    let until = Some(&window["until"]).filter(|u| !u.is_null());
    let reasons = list(&window["reasons"]).iter().take(4).chain(until).map(value).collect();
    Card {
        tone,
        word,
        title: title(window),
        figure,
        unit,
        span: span(&clock(&window["start"]), &window["end"]),
        reasons,
    }
}

/// What is missing or failed, and how much there is.
fn counts(d: &Documents) -> Vec<Count> {
    let checks = list(&d.summary["checks"]);
    let of = |ok: Value| checks.iter().filter(|c| c["ok"] == ok).count();
    let (hold, fail, open) = (of(true.into()), of(false.into()), of(Value::Null));
    let missing = list(&d.summary["missing"]).len();
    let lost = losses(d).len();
    let count = |tone, n: usize, words: String| Count { tone, figure: n.to_string(), words };
    let noun = |n: usize, one: &str, many: &str| (if n == 1 { one } else { many }).to_owned();
    let mut words = format!("of {}", counted_noun(checks.len(), "check holds", "checks hold"));
    for (n, verb) in [(fail, "failed"), (open, "cannot be decided")] {
        if n > 0 {
            words.push_str(&format!(", {n} {verb}"));
        }
    }
    let tone = match (fail, open) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Unknown,
        _ => Tone::Bad,
    };
    vec![
        count(None, list(&d.summary["files"]).len(), "files with digests".to_owned()),
        count((!checks.is_empty()).then_some(tone), hold, words),
        count(Some(Tone::from(Some(missing == 0))), missing, noun(missing, "part missing", "parts missing")),
        count((lost > 0).then_some(Tone::Unknown), lost, noun(lost, "loss", "losses")),
    ]
}

/// The windows with the figures and times that the documents have, a window a column.
fn windows(d: &Documents) -> Section {
    let mut out = Section::new("windows", "The windows exactly");
    let windows = list(&d.summary["windows"]);
    if windows.is_empty() {
        return out;
    }
    let row = |name: &str, of: &dyn Fn(&Value) -> Cell| {
        [plain(name)].into_iter().chain(windows.iter().map(of)).collect::<Vec<Cell>>()
    };
    let figure = |window: &Value, of: &dyn Fn(&Value) -> Option<String>| {
        plain(answer(d, window).and_then(of).unwrap_or_else(|| NONE.to_owned()))
    };
    let percent = |v: &Value| float(v).map(|r| format!("{:.4}%", r * 100.0));
    let exact = |value: &Value| match text(value) {
        text if text.is_empty() => plain(NONE),
        text => vec![Run::Code(text)],
    };
    let pill = |(tone, word): (Tone, &str)| vec![Run::Pill(tone, word.to_owned())];
    let updates = |w: &Value| match answer(d, w) {
        None => value(&d.updates["requirement"]["actual_updates"]),
        Some(_) => plain(NONE),
    };
    let rows = [
        row("Verdict", &|w| pill(verdict(w))),
        row("Availability", &|w| figure(w, &|a| percent(&a["exact"]["availability_ratio"]))),
        row("At worst", &|w| figure(w, &|a| percent(&a["bounds"]["worst"]))),
        row("At best", &|w| figure(w, &|a| percent(&a["bounds"]["best"]))),
        row("Requests", &|w| figure(w, &|a| float(&a["exact"]["total_requests"]).map(|n| format!("{n:.2}")))),
        row("Updates", &updates),
        row("After", &|w| exact(&w["start"])),
        row("Until", &|w| exact(&w["end"])),
        row("Data until", &|_| exact(&d.timeline["data_until"])),
    ];
    let columns = ["Of the window".to_owned()].into_iter().chain(windows.iter().map(title)).collect();
    out.table(Table::figures("Windows", columns, rows.into_iter()));
    out
}

/// The losses of both windows and of the updates, each once.
fn losses(d: &Documents) -> Vec<String> {
    crate::evidence::losses(d.windows.iter().chain([&d.updates]))
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
    for (title, lines) in [("Losses", lost), ("Warnings", warnings)] {
        if lines.is_empty() {
            continue;
        }
        let more = lines.len().saturating_sub(MOST);
        out.push(Part::List(List { title, lines: lines.iter().take(MOST).map(|l| prose(l)).collect(), more }));
    }
    out
}

/// What is missing and what does not hold; the checks that hold are there to be asked for.
fn checks(summary: &Value) -> Section {
    let mut out = Section::new("checks", "Checks");
    let missing = list(&summary["missing"]);
    let rows = missing.iter().take(MOST).map(|m| [value(&m["what"]), value(&m["why"]), value(&m["how_to_get_it"])]);
    out.table(Table::words("Missing", ["Missing", "Why", "How to get it"], rows).of(missing.len(), SUMMARY));
    let checks = list(&summary["checks"]);
    let (hold, open): (Vec<&Value>, Vec<&Value>) = checks.iter().partition(|c| c["ok"] == true);
    // What fails comes first.
    let (fail, unknown): (Vec<&Value>, Vec<&Value>) = open.into_iter().partition(|c| c["ok"] == false);
    let table = |name, checks: &[&Value]| {
        let rows = checks.iter().take(2 * MOST).map(|c| check(c));
        Table::words(name, ["Result", "Check", "What was found", "File"], rows).of(checks.len(), SUMMARY)
    };
    if checks.is_empty() {
        out.push(Part::Note("Nothing was given that could be checked."));
    }
    out.table(table("Checks that do not hold", &[fail, unknown].concat()));
    out.folded(format!("Checks that hold: {}", hold.len()), table("Checks that hold", &hold));
    let unused = list(&summary["unused"]);
    let rows = unused.iter().take(MOST).map(|u| [vec![path(&u["path"])], value(&u["why"])]);
    out.table(Table::words("Found and not used", ["File", "Why"], rows).of(unused.len(), SUMMARY));
    out
}

fn check(check: &Value) -> [Cell; 4] {
    let word = match check["ok"].as_bool() {
        Some(true) => "holds",
        Some(false) => "fails",
        None => "cannot say",
    };
    let name = check["name"].as_str().unwrap_or_default().replace('_', " ");
    let result = vec![Run::Pill(Tone::from(check["ok"].as_bool()), word.to_owned())];
    [result, plain(name), value(&check["detail"]), vec![path(&check["file"])]]
}

fn files(summary: &Value) -> Section {
    let mut out = Section::new("files", "Files and digests");
    let files = list(&summary["files"]);
    let rows = files.iter().map(|f| {
        let mut from = value(&f["source"]);
        if let Some(command) = f["command"].as_str() {
            from.extend([Run::Break, Run::Code(command.to_owned())]);
        }
        [vec![path(&f["path"])], bytes(f), value(&f["kind"]), from, vec![Run::Digest(text(&f["sha256"]))]]
    });
    let words = format!("The evidence: {}", counted_noun(files.len(), "file", "files"));
    out.folded(words, Table::words("Evidence", ["File", "Bytes", "Kind", "From", "SHA-256"], rows));
    let source = &summary["source"];
    let parts = crate::evidence::source_files(source);
    let count = parts.len();
    let rows = parts.into_iter().take(4 * MOST);
    let rows = rows.map(|(name, f)| [vec![Run::Path(name)], bytes(f), vec![Run::Digest(text(&f["sha256"]))]]);
    let table = Table::words("Source", ["File of the source", "Bytes", "SHA-256"], rows).of(count, SUMMARY);
    out.folded(format!("The source: {}", counted_noun(count, "file", "files")), table);
    if out.parts.is_empty() {
        out.push(Part::Note("No files are listed."));
    }
    out
}

fn bytes(file: &Value) -> Cell {
    plain(float(&file["bytes"]).map_or("—".to_owned(), thousands))
}

/// A text of the summary as a sentence.
fn sentence(value: &Value) -> Cell {
    let text = value.as_str().unwrap_or_default();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.is_empty() { "" } else { "." };
    prose(&format!("{first}{}{end}", chars.as_str()))
}
