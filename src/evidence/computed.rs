//! What the source proves: both availability windows, the model updates, and the timeline.

use serde_json::{Value, json};

use crate::error::Result;
use crate::loss::Loss;
use crate::report::style::Style;
use crate::report::{availability_json, availability_text, timeline_json, updates_json, updates_text};
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs, human_duration, rfc3339};
use crate::verdict::availability::{Mode, Requirement, judge, percent_text};
use crate::verdict::{Verdict, updates};
use crate::windows::availability::{Question, evaluate};
use crate::windows::semantics::{SemanticsChoice, resolve};
use crate::windows::switches::{self, ModelUpdates};
use crate::windows::targets::Coverage;
use crate::windows::{Span, timeline};

use super::Options;
use super::folder::{Folder, Kind, Origin};

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
    /// The answer in a few words.
    pub figure: String,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// Whether the data reach the end of the span.
    pub reaches_end: bool,
    /// Until when the data go, in words, where that is before the end.
    pub until: Option<String>,
    /// What was lost that touches it.
    pub losses: Vec<Loss>,
}

/// What other parts need.
pub struct Computed {
    pub answers: Vec<Answer>,
    pub updates: ModelUpdates,
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
    let question = switches::Question::recommender();
    let updates = switches::evaluate(source, &question, period.span, semantics)?;
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
    folder.write(&format!("{file}.json"), format!("{document:#}\n").as_bytes(), origin(" --format json"))?;
    folder.write(&format!("{file}.txt"), text.as_bytes(), origin(""))?;
    let count = updates.best.as_ref().map_or(0, |b| b.updates.len());
    let answer = answer(
        *period,
        judged.verdict,
        format!("{count} updates within 7 days, at least {MINIMUM_UPDATES} are required"),
        judged.reasons,
        &updates.coverage,
        newest,
    );
    answers.push(Answer { losses: updates.losses.clone(), ..answer });

    // The period is drawn as far as there are data, the windows in full.
    let data = source.interval().unwrap_or(Interval::new(newest, newest));
    let drawn = Span {
        start: before.span.start.min(after.span.start).min(period.span.start.max(data.start.saturating_sub(1))),
        end: before.span.end.max(after.span.end),
    };
    let semantics = resolve(options.semantics, source, drawn);
    let drawn = timeline::evaluate(source, &Question::recommender(), drawn, newest, BEFORE_MS, &semantics)?;
    let windows = answers.iter().map(window_json).collect();
    let document = timeline_json::document(&drawn, &updates, windows, newest, REQUIRED_PERCENT, &semantics);
    let origin = Origin { kind: Kind::Computed, source: title, command: None };
    folder.write("availability/timeline.json", format!("{document:#}\n").as_bytes(), origin)?;
    Ok(Computed { answers, updates })
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
    let a = evaluate(source, &Question::recommender(), window.span, semantics)?;
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
    folder.write(&format!("{file}.json"), format!("{document:#}\n").as_bytes(), origin(" --format json"))?;
    folder.write(&format!("{file}.txt"), text.as_bytes(), origin(""))?;
    let bounds = judged.bounds.filter(|b| b.worst != b.best);
    let bounds = bounds.map_or(String::new(), |b| {
        format!(", between {:.2}% and {:.2}% with what is not in the data", b.worst * 100.0, b.best * 100.0)
    });
    let percent = percent_text(judged.percent, |p| p) + &bounds;
    let figure = format!("{percent}, at least {REQUIRED_PERCENT}% are required");
    let answer = answer(window, judged.verdict, figure, judged.reasons, &a.coverage, newest);
    Ok(Answer { losses: a.losses, ..answer })
}

fn answer(
    window: Window,
    verdict: Verdict,
    figure: String,
    reasons: Vec<String>,
    coverage: &Coverage,
    newest: TimestampMs,
) -> Answer {
    // Up to two scrape intervals at the end are what any window has.
    let interval = coverage.targets.iter().filter_map(|t| t.interval_ms).max().unwrap_or(0);
    let reaches_end = window.span.end.saturating_sub(newest) <= interval.saturating_mul(2);
    let until = (!reaches_end).then(|| {
        let short = human_duration(window.span.end.saturating_sub(newest));
        format!("the data go until {}, {short} before the window ends", rfc3339(newest))
    });
    Answer { window, verdict, figure, reasons, reaches_end, until, losses: Vec::new() }
}

/// A window in the summary and the timeline.
pub fn window_json(a: &Answer) -> Value {
    json!({
        "name": a.window.name,
        "start": rfc3339(a.window.span.start),
        "end": rfc3339(a.window.span.end),
        "start_ms": a.window.span.start,
        "end_ms": a.window.span.end,
        "verdict": a.verdict.name(),
        "figure": a.figure,
        "reasons": a.reasons,
        "data_reach_the_end": a.reaches_end,
        "until": a.until,
    })
}

/// The command that prints the same bytes, in the folder that holds the SOURCE.
fn command(options: &Options, name: &str, span: Span, format: &str) -> String {
    let semantics = match options.semantics {
        SemanticsChoice::Auto => String::new(),
        SemanticsChoice::Counted => " --semantics counted".to_owned(),
        SemanticsChoice::Prometheus(version) => format!(" --semantics prometheus-{version}"),
    };
    format!(
        "promproof {name} {} --start {} --end {}{semantics} --digests{format}",
        options.source_words,
        rfc3339(span.start),
        rfc3339(span.end)
    )
}
