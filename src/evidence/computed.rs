//! What the source proves: both availability windows, the model updates, and the timeline.

use serde_json::{Value, json};

use crate::error::Result;
use crate::loss::Loss;
use crate::report::style::Style;
use crate::report::{availability_json, availability_text, timeline_json, updates_json, updates_text};
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs, human_duration, rfc3339};
use crate::verdict::availability::{Mode, Requirement, judge, percent_text};
use crate::verdict::{Verdict, counted_noun, updates};
use crate::windows::availability::evaluate;
use crate::windows::semantics::{SemanticsChoice, resolve};
use crate::windows::switches;
use crate::windows::{Span, timeline};

use super::Options;
use super::folder::{Folder, Kind, Origin};

/// What all that is drawn is in.
pub const TIMELINE: &str = "availability/timeline.json";
/// The documents that answer, in the order of [`windows`].
pub const DOCUMENTS: [&str; 3] = [
    "availability/availability_72h.json",
    "availability/availability_144h.json",
    "model_updates/model_updates_verification.json",
];

const HOUR_MS: DurationMs = 3_600_000;
const BEFORE_MS: DurationMs = 72 * HOUR_MS;
const AFTER_MS: DurationMs = 144 * HOUR_MS;
const UPDATES_MS: DurationMs = 7 * 24 * HOUR_MS;
/// The required availability in percent.
const REQUIRED_PERCENT: f64 = 70.0;
/// The required distinct updates within seven days.
const MINIMUM_UPDATES: usize = 2;

/// A span that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// `72h`, `144h` or `updates`.
    pub name: &'static str,
    /// The span.
    pub span: Span,
}

/// What was asked and what came out.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The span.
    pub window: Window,
    /// The verdict.
    pub verdict: Verdict,
    /// The span, the answer in a few words, and how far the data go, as the summary has it.
    pub entry: Value,
    /// What was lost that touches it.
    pub losses: Vec<Loss>,
}

impl Answer {
    /// A text of its entry.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.entry[key].as_str()
    }

    /// Why, in sentences.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.entry["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }
}

/// What other parts need.
pub struct Computed {
    pub answers: Vec<Answer>,
    /// `model_updates_verification.json`.
    pub updates: Value,
}

/// The three spans: around the submission, or ending at the newest sample.
pub fn windows(submission: Option<TimestampMs>, newest: TimestampMs) -> [Window; 3] {
    let window = |name, start: TimestampMs, end| Window { name, span: Span { start, end } };
    match submission {
        Some(t) => {
            let end = t.saturating_add(AFTER_MS);
            [
                window("72h", t.saturating_sub(BEFORE_MS), t),
                window("144h", t, end),
                window("updates", t.saturating_sub(UPDATES_MS), end),
            ]
        }
        None => [
            window("72h", newest.saturating_sub(BEFORE_MS), newest),
            window("144h", newest.saturating_sub(AFTER_MS), newest),
            window("updates", newest.saturating_sub(UPDATES_MS), newest),
        ],
    }
}

/// What the windows are, in words.
pub fn words(submission: Option<TimestampMs>, newest: TimestampMs) -> String {
    match submission {
        Some(t) => format!(
            "the windows are the 72 hours before and the 144 hours after the submission at {}; model updates are counted from 7 days before it to the end of the 144 hours",
            rfc3339(t)
        ),
        None => format!(
            "no submission time was given (--submission), so the windows are the last 72 hours, 144 hours and 7 days before the newest sample at {}; they say nothing about the time after it",
            rfc3339(newest)
        ),
    }
}

/// Writes `availability/` and `model_updates/`.
pub fn write(
    folder: &mut Folder,
    source: &Source,
    described: &Value,
    options: &Options,
    windows: &[Window; 3],
    newest: TimestampMs,
) -> Result<Computed> {
    let [before, after, period] = windows;
    let title = source.title();
    let mut answers = Vec::new();
    for window in [before, after] {
        answers.push(availability(folder, source, described, options, *window, newest)?);
    }
    let semantics = resolve(options.semantics, source, period.span);
    let question = &options.switches;
    let updates = switches::evaluate(source, question, period.span, semantics)?;
    let judged = updates::judge(&updates, updates::Requirement { minimum: MINIMUM_UPDATES });
    let within = question.within_ms;
    let origin = |format: &str| Origin {
        kind: Kind::Computed,
        source: title.clone(),
        command: Some(command(options, "model-updates", period.span, format)),
    };
    let document = updates_json::document(&updates, &judged, within, described.clone());
    let text = updates_text::report(&title, &updates, &judged, within, false, Style::default());
    let file = "model_updates/model_updates_verification";
    folder.write(&format!("{file}.json"), format!("{document:#}\n").as_bytes(), origin("--format json"))?;
    folder.write(&format!("{file}.txt"), text.as_bytes(), origin(""))?;
    answers.push(answer(*period, judged.verdict, &document, newest, updates.losses.clone()));

    // The period is drawn as far as there are data, the windows in full.
    let data = source.interval().unwrap_or(Interval::new(newest, newest));
    let drawn = Span {
        start: before.span.start.min(after.span.start).min(period.span.start.max(data.start.saturating_sub(1))),
        end: before.span.end.max(after.span.end),
    };
    let semantics = resolve(options.semantics, source, drawn);
    let drawn = timeline::evaluate(source, &options.requests, drawn, newest, BEFORE_MS, &semantics)?;
    let windows = answers.iter().map(|a| a.entry.clone()).collect();
    let timeline = timeline_json::document(&drawn, &updates, windows, newest, REQUIRED_PERCENT, &semantics);
    let origin = Origin { kind: Kind::Computed, source: title, command: None };
    folder.write(TIMELINE, format!("{timeline:#}\n").as_bytes(), origin)?;
    Ok(Computed { answers, updates: document })
}

fn availability(
    folder: &mut Folder,
    source: &Source,
    described: &Value,
    options: &Options,
    window: Window,
    newest: TimestampMs,
) -> Result<Answer> {
    let title = source.title();
    let semantics = resolve(options.semantics, source, window.span);
    let a = evaluate(source, &options.requests, window.span, semantics)?;
    let requirement = Requirement { percent: REQUIRED_PERCENT, mode: Mode::Bounded, coverage_ratio: None };
    let judged = judge(&a, requirement);
    let origin = |format: &str| Origin {
        kind: Kind::Computed,
        source: title.clone(),
        command: Some(command(options, "availability", window.span, format)),
    };
    let document = availability_json::document(&a, &judged, described.clone());
    let text = availability_text::report(&title, &a, &judged, false, false, Style::default());
    let file = format!("availability/availability_{}", window.name);
    folder.write(&format!("{file}.json"), format!("{document:#}\n").as_bytes(), origin("--format json"))?;
    folder.write(&format!("{file}.txt"), text.as_bytes(), origin(""))?;
    Ok(answer(window, judged.verdict, &document, newest, a.losses))
}

fn answer(window: Window, verdict: Verdict, document: &Value, newest: TimestampMs, losses: Vec<Loss>) -> Answer {
    Answer { window, verdict, entry: window_json(&window, document, newest), losses }
}

/// A window in the summary and the timeline: what its `document` answers, and how far the data go, whose newest sample is at
/// `newest`. `promproof package` makes it again.
pub fn window_json(window: &Window, document: &Value, newest: TimestampMs) -> Value {
    let (start, end) = (window.span.start, window.span.end);
    let targets = document["coverage"]["targets"].as_array().into_iter().flatten();
    let intervals = targets.filter_map(|t| t["scrape_interval_seconds"].as_f64());
    // Up to two scrape intervals at the end are what any window has.
    let allowed = intervals.fold(0.0, f64::max) * 2000.0;
    let short = end.saturating_sub(newest);
    let reaches_end = short as f64 <= allowed;
    let until = (!reaches_end)
        .then(|| format!("the data go until {}, {} before the window ends", rfc3339(newest), human_duration(short)));
    json!({
        "name": window.name,
        "start": rfc3339(start),
        "end": rfc3339(end),
        "start_ms": start,
        "end_ms": end,
        "verdict": document["verdict"],
        "figure": figure(document),
        "reasons": document["reasons"],
        "data_reach_the_end": reaches_end,
        "until": until,
    })
}

/// The answer of a document in a few words.
fn figure(document: &Value) -> String {
    let requirement = &document["requirement"];
    if requirement.is_object() {
        let updates = counted_noun(requirement["actual_updates"].as_u64().unwrap_or(0) as usize, "update", "updates");
        let days = &requirement["within_days"];
        return format!("{updates} within {days} days, at least {} are required", requirement["minimum_updates"]);
    }
    let percent = match &decided(document)["availability_ratio"] {
        Value::Null => percent_text(None, |p| p),
        ratio => percent_text(Some(ratio.as_f64().unwrap_or(f64::NAN) * 100.0), |_| {
            document["slo_compliance"]["actual_availability"].as_f64().unwrap_or(f64::NAN)
        }),
    };
    let bound = |key: &str| document["bounds"][key].as_f64();
    let bounds = match (bound("worst"), bound("best")) {
        (Some(worst), Some(best)) if worst != best => {
            format!(", between {:.2}% and {:.2}% with what is not in the data", worst * 100.0, best * 100.0)
        }
        _ => String::new(),
    };
    let required = document["slo_compliance"]["required_availability"].as_f64().unwrap_or(f64::NAN);
    format!("{percent}{bounds}, at least {required}% are required")
}

/// The figures of an availability document that decide its verdict.
pub fn decided(document: &Value) -> &Value {
    &document[if document["semantics"]["name"] == "counted" { "counted" } else { "exact" }]
}

/// The command that prints the same bytes, in the folder that holds the SOURCE.
fn command(options: &Options, name: &str, span: Span, format: &str) -> String {
    let words = &options.words;
    let metrics = if name == "availability" { &words.requests } else { &words.switches };
    let (start, end) = (rfc3339(span.start), rfc3339(span.end));
    let semantics = semantics(options);
    let window = format!("--start {start} --end {end}");
    let parts = [words.source.as_str(), metrics, &words.spacing, &window, &semantics, "--digests", format];
    format!("promproof {name} {}", joined(&parts))
}

/// The command that computes all of it again, into the folder `again`.
pub fn command_again(options: &Options) -> String {
    let words = &options.words;
    let submission = options.submission.map_or(String::new(), |t| format!("--submission {}", rfc3339(t)));
    let semantics = semantics(options);
    let metrics = [words.requests.as_str(), &words.switches, &words.spacing];
    let parts = [[words.source.as_str()].as_slice(), &metrics, &[&submission, &semantics, "--output again"]].concat();
    format!("promproof collect {}", joined(&parts))
}

fn semantics(options: &Options) -> String {
    match options.semantics {
        SemanticsChoice::Auto => String::new(),
        SemanticsChoice::Counted => "--semantics counted".to_owned(),
        SemanticsChoice::Prometheus(version) => format!("--semantics prometheus-{version}"),
    }
}

fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}
