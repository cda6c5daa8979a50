//! Availability against a required percentage.

use crate::time::human_duration;
use crate::verdict::{Verdict, counted_noun};
use crate::windows::availability::{Availability, Figures};

/// What the verdict weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Uncovered time counts once as all failed and once as all served.
    #[default]
    Bounded,
    /// Gaps are ignored, as the live script does.
    Observed,
}

/// The requirement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requirement {
    /// Good requests in percent of all, 0 to 100.
    pub percent: f64,
    /// What the verdict weighs.
    pub mode: Mode,
    /// The coverage ratio below which the verdict is unknown.
    pub coverage_ratio: Option<f64>,
}

/// The lowest and highest availability ratio that gaps and losses leave possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// All that is unknown failed.
    pub worst: f64,
    /// All that is unknown was served.
    pub best: f64,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// The availability in percent that was judged; `None` without requests.
    pub percent: Option<f64>,
    /// What gaps and losses leave possible; `None` without requests.
    pub bounds: Option<Bounds>,
    /// The requirement.
    pub requirement: Requirement,
    /// Whether the figures that do not decide would decide otherwise.
    pub warnings: Vec<String>,
}

/// Judges a window. Met if the worst case meets the requirement, not met if the best case misses it, else unknown.
/// Where counted increments and PromQL would decide differently, a warning names both.
pub fn judge(a: &Availability, requirement: Requirement) -> Judgement {
    let mut judged = judge_figures(a, a.deciding(), requirement);
    let other = judge_figures(a, if a.semantics.counted { a.exact } else { a.counted }, requirement);
    if other.verdict != judged.verdict {
        let describe = |j: &Judgement, name: &str| {
            let percent = percent_text(j.percent, |p| p);
            format!("{name} gives {percent} ({})", j.verdict.name())
        };
        let (counted, promql) = if a.semantics.counted { (&judged, &other) } else { (&other, &judged) };
        judged.warnings.push(format!(
            "{}, {}; --semantics chooses which decides",
            describe(promql, &format!("PromQL of {}", a.semantics.version)),
            describe(counted, "counting the proven increments")
        ));
    }
    judged
}

/// An availability in percent for people, as `round` rounds it; none without requests, and none where a counter is not finite.
pub fn percent_text(percent: Option<f64>, round: impl FnOnce(f64) -> f64) -> String {
    match percent {
        None => "no requests".to_owned(),
        Some(p) if p.is_finite() => format!("{:.2}%", round(p)),
        Some(_) => "no finite number".to_owned(),
    }
}

fn judge_figures(a: &Availability, figures: Figures, requirement: Requirement) -> Judgement {
    let mut judged = Judgement {
        verdict: Verdict::Unknown,
        reasons: Vec::new(),
        percent: None,
        bounds: None,
        requirement,
        warnings: Vec::new(),
    };
    let (Some(total), Some(good)) = (figures.total.filter(|t| *t != 0.0), figures.good_or_zero()) else {
        judged.reasons.push(no_requests(a));
        judged.reasons.extend(a.instead.iter().cloned());
        return judged;
    };
    // The script's expression, so that the same bits are compared.
    let percent = good / total * 100.0;
    judged.percent = Some(percent);
    if !percent.is_finite() {
        judged.reasons.push("the figures are not finite numbers, so there is no ratio to judge".to_owned());
        return judged;
    }
    let bounds = bounds(a, total, good, requirement.mode);
    judged.bounds = Some(bounds);
    let required = requirement.percent;
    if let Some(needed) = requirement.coverage_ratio
        && a.coverage.ratio < needed
    {
        judged.reasons.push(format!(
            "only {:.2}% of the window was scraped; {:.2}% are required",
            a.coverage.ratio * 100.0,
            needed * 100.0
        ));
        return judged;
    }
    // Without gaps and losses both bounds are the ratio itself, and the unrounded percentage decides as it always did.
    let (worst, best) =
        if bounds.worst == bounds.best { (percent, percent) } else { (bounds.worst * 100.0, bounds.best * 100.0) };
    judged.verdict = if worst >= required {
        Verdict::Met
    } else if best < required {
        Verdict::NotMet
    } else {
        Verdict::Unknown
    };
    judged.reasons = reasons(a, &judged, worst, best);
    judged
}

fn bounds(a: &Availability, total: f64, good: f64, mode: Mode) -> Bounds {
    let covered = a.coverage.ratio;
    let unseen = match mode {
        Mode::Observed => 0.0,
        Mode::Bounded if covered > 0.0 => total * (1.0 - covered) / covered,
        Mode::Bounded => f64::INFINITY,
    };
    let (undatable_good, undatable_bad) =
        if a.semantics.counted { (a.undatable.good, a.undatable.total - a.undatable.good) } else { (0.0, 0.0) };
    let more_bad = unseen + undatable_bad + a.loss_effect.bad;
    let more_good = unseen + undatable_good + a.loss_effect.good;
    let worst = if more_bad.is_infinite() { 0.0 } else { good / (total + more_bad) };
    let best = if more_good.is_infinite() { 1.0 } else { (good + more_good) / (total + more_good) };
    Bounds { worst, best }
}

fn no_requests(a: &Availability) -> String {
    match a.selected_interval {
        None => "there are no requests in this source".to_owned(),
        Some(_) if a.series.iter().all(|s| s.counted.first.is_none()) => {
            "the selected series have no sample inside the window".to_owned()
        }
        Some(_) if a.deciding().total.is_none() => {
            "no series has two samples inside the window, which PromQL's increase needs".to_owned()
        }
        Some(_) => {
            let up = a
                .coverage
                .up_ratio
                .map_or(String::new(), |r| format!("; `up` was 1 in {:.2}% of the scrapes", r * 100.0));
            format!("no requests inside the window{up}")
        }
    }
}

fn reasons(a: &Availability, j: &Judgement, worst: f64, best: f64) -> Vec<String> {
    let required = j.requirement.percent;
    let percent = j.percent.unwrap_or_default();
    let mut out = Vec::new();
    let by = if a.semantics.counted { "counted" } else { "by PromQL" };
    out.push(match j.verdict {
        Verdict::Met if worst == best => format!("{percent:.2}% {by} is at least {required}%"),
        Verdict::Met => format!("{percent:.2}% {by}, and even the worst case of {worst:.2}% is at least {required}%"),
        Verdict::NotMet if worst == best => format!("{percent:.2}% {by} is below {required}%"),
        Verdict::NotMet => format!("{percent:.2}% {by}, and even the best case of {best:.2}% is below {required}%"),
        Verdict::Unknown => format!(
            "{percent:.2}% {by}, but between {worst:.2}% and {best:.2}% are possible, which does not settle {required}%"
        ),
    });
    if a.coverage.uncovered_ms > 0 {
        let uncovered = human_duration(a.coverage.uncovered_ms);
        out.push(match j.requirement.mode {
            Mode::Bounded => {
                format!("{uncovered} of the window were not scraped and count once as failed, once as served")
            }
            Mode::Observed => {
                format!("{uncovered} of the window were not scraped and are ignored (--verdict observed)")
            }
        });
        if let (Verdict::Unknown, Some(data)) = (j.verdict, a.selected_interval) {
            out.push(format!(
                "the requests have samples from {data}: ask about a window inside with --start and --end, or leave gaps out of account with --verdict observed"
            ));
        }
    }
    if a.loss_effect.good > 0.0 || a.loss_effect.bad > 0.0 {
        let open = a.loss_effect.good.is_infinite() || a.loss_effect.bad.is_infinite();
        let (one, many) = match open {
            true => (
                "loss touches the window and leaves the figures open",
                "losses touch the window and leave the figures open",
            ),
            false => (
                "loss touches the window and could change the figures within bounds",
                "losses touch the window and could change the figures within bounds",
            ),
        };
        out.push(counted_noun(a.losses.len(), one, many));
    }
    out
}
