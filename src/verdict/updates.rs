//! Model updates against a required number within one window.

use crate::verdict::{Verdict, counted_noun};
use crate::windows::switches::ModelUpdates;

/// The requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// Distinct updates that one window must hold.
    pub minimum: usize,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// Distinct updates in the best window that are proven to lie in the period.
    pub worst: usize,
    /// What is possible; `None` where nothing bounds it.
    pub best: Option<usize>,
    /// The requirement.
    pub requirement: Requirement,
}

/// Judges a period. What is proven only grows with more data, so enough proven updates are met; too few are not met
/// only where nothing could hide further ones.
pub fn judge(u: &ModelUpdates, requirement: Requirement) -> Judgement {
    let actual = u.best.as_ref().map_or(0, |b| b.updates.len());
    let doubtful = u.best.as_ref().map_or(0, |b| {
        let doubtful = |update: &usize| {
            u.updates
                .get(*update)
                .is_some_and(|x| x.switches.iter().all(|s| u.switches.get(*s).is_some_and(|s| s.undatable)))
        };
        b.updates.iter().filter(|i| doubtful(i)).count()
    });
    let worst = actual - doubtful;
    let hidden: f64 = u.hidden.iter().map(|h| h.count).sum();
    let best = hidden.is_finite().then(|| actual + hidden as usize);
    let verdict = if worst >= requirement.minimum {
        Verdict::Met
    } else if best.is_some_and(|b| b < requirement.minimum) {
        Verdict::NotMet
    } else {
        Verdict::Unknown
    };
    let found = counted_noun(worst, "distinct update", "distinct updates");
    let minimum = requirement.minimum;
    let mut reasons = vec![match verdict {
        Verdict::Met => format!("{found} within one window; at least {minimum} are required"),
        Verdict::NotMet => format!("only {found} within one window; {minimum} are required, and nothing hides more"),
        Verdict::Unknown if u.selected_interval.is_none() => "no series matches the switch counter".to_owned(),
        Verdict::Unknown => format!("{found} proven within one window; {minimum} are required, and there may be more"),
    }];
    if verdict != Verdict::Met {
        if doubtful > 0 {
            reasons.push(format!(
                "{} cannot be dated: the step reaches over the start of the period",
                counted_noun(doubtful, "further update", "further updates")
            ));
        }
        reasons.extend(u.hidden.iter().map(|h| h.why.clone()));
        reasons.extend(u.instead.iter().cloned());
    }
    Judgement { verdict, reasons, worst, best, requirement }
}
