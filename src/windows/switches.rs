//! Model switches: every increment of a switch counter, joined across replicas to updates, and the best window.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::labels::{Labels, METRIC_NAME};
use crate::loss::{Conflict, Loss, counted_noun};
use crate::samples::{LoadedSeries, Reach, load_selected};
use crate::selector::{Matcher, Selector};
use crate::series::select;
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs, rfc3339};
use crate::windows::Span;
use crate::windows::availability::{concerning, joined_interval};
use crate::windows::counted::{Counter, Proofs};
use crate::windows::instead::instead;
use crate::windows::semantics::Semantics;
use crate::windows::targets::{Coverage, TargetId, Targets, coverage};
use crate::windows::versions::{ServedVersion, Switched, served_versions};

/// A counter that rises further than this in one step counts no model switches.
const MAX_SWITCHES: f64 = 100_000.0;

/// What to compute.
#[derive(Debug, Clone)]
pub struct Question {
    /// The switch counter.
    pub switches: Selector,
    /// The info gauge of served versions.
    pub version_info: Selector,
    /// Length of the window that must hold enough updates.
    pub within_ms: DurationMs,
    /// Switches of replicas to the same version this close together are one update.
    pub same_update_ms: DurationMs,
    /// Overrides the scrape interval that is read off `up`.
    pub scrape_interval: Option<DurationMs>,
    /// The period ends at the newest sample that could be read, so what was lost behind it matters, too.
    pub ends_at_newest: bool,
}

impl Question {
    /// The recommender's metrics, a window of seven days, ten minutes for one update.
    pub fn recommender() -> Question {
        Question {
            switches: Selector::metric("model_switches_total").and(Matcher::equal(b"status", b"success")),
            version_info: Selector::metric("model_version_info"),
            within_ms: 7 * 86_400_000,
            same_update_ms: 600_000,
            scrape_interval: None,
            ends_at_newest: false,
        }
    }

    /// Every selection that an answer takes, so that a source can be opened for it.
    pub fn selectors(&self) -> Vec<Selector> {
        let mut all = vec![self.switches.clone(), self.version_info.clone()];
        all.extend(super::requests::about_targets(&self.switches));
        all
    }
}

/// The event: one increment of a switch counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSwitch {
    /// The first sample that shows it.
    pub t_ms: TimestampMs,
    /// The sample of the same series before, if there is one.
    pub after_ms: Option<TimestampMs>,
    /// The version before.
    pub from_version: String,
    /// The version after.
    pub to_version: String,
    /// The other labels: which replica switched.
    pub replica: Labels,
    /// The step reaches over the start of the period and is too long to be dated: it may belong before.
    pub undatable: bool,
}

/// One update of the model: the switches of several replicas to one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its first switch.
    pub t_ms: TimestampMs,
    /// The version that the replicas switched to.
    pub to_version: String,
    /// Positions in [`ModelUpdates::switches`].
    pub switches: Vec<usize>,
}

/// The window with the most updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestWindow {
    /// The first update in it.
    pub start_ms: TimestampMs,
    /// The start plus the window's length, included.
    pub end_ms: TimestampMs,
    /// Positions in [`ModelUpdates::updates`].
    pub updates: Vec<usize>,
}

/// Switches that may have happened inside the period without being proven.
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    /// How many; infinite where nothing bounds them.
    pub count: f64,
    /// Why, in words.
    pub why: String,
}

/// Everything that a report or a verdict needs.
#[derive(Debug, Clone)]
pub struct ModelUpdates {
    /// The observation period `(start, end]`.
    pub span: Span,
    /// The release of the data; the count itself follows the samples.
    pub semantics: Semantics,
    /// In order of time and replica.
    pub switches: Vec<ModelSwitch>,
    /// Distinct updates in order of their first switch.
    pub updates: Vec<Update>,
    /// The first window with the most updates.
    pub best: Option<BestWindow>,
    /// What could add further updates.
    pub hidden: Vec<Hidden>,
    /// Which version each replica served when.
    pub served: Vec<ServedVersion>,
    /// How much of the period was scraped.
    pub coverage: Coverage,
    /// The counters with their samples, for `--explain`.
    pub series: Vec<SwitchSeries>,
    /// Losses that touch the period.
    pub losses: Vec<Loss>,
    /// Contradictions between sources inside the period.
    pub conflicts: Vec<Conflict>,
    /// What is there instead, where the question finds nothing.
    pub instead: Vec<String>,
    /// Findings in words.
    pub warnings: Vec<String>,
    /// Findings that need no attention.
    pub notes: Vec<String>,
    /// Times of the switch counters in all of the data; `None` where nothing matches.
    pub selected_interval: Option<Interval>,
}

/// One switch counter in the period.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchSeries {
    /// The series.
    pub labels: Labels,
    /// What it says about the period.
    pub counted: crate::windows::counted::CountedWindow,
}

/// Computes the switches of the period `(start, end]`.
pub fn evaluate(source: &Source, question: &Question, span: Span, semantics: Semantics) -> Result<ModelUpdates> {
    let interval = Interval::new(span.start, span.end);
    let mut ledger = source.opening_ledger();
    let mut warnings = semantics.warnings.clone();
    let selected = select(source, question.switches.matchers());
    let selected_interval = joined_interval(&selected.series);
    let loaded = load_selected(source, &selected.series, selected.ledger, interval, Reach::WithHistory);
    let info = crate::samples::load_all(source, &question.version_info, interval, Reach::WithHistory);
    // Replicas that never switched are known by their version gauge.
    let refs: Vec<&LoadedSeries> = loaded.series.iter().chain(&info.series).collect();
    let targets = Targets::load(source, &refs, span, question.scrape_interval);
    let coverage = coverage(&targets, span, &loaded.series.iter().collect::<Vec<_>>());
    let request_losses: Vec<Loss> = ledger.losses.iter().chain(&loaded.ledger.losses).cloned().collect();
    let (proofs, created) = Proofs::gather(source, &targets, &selected.series, interval, &request_losses);
    for l in [targets.ledger.clone(), created, loaded.ledger, info.ledger] {
        ledger.absorb(l);
    }

    let mut switches = Vec::new();
    let mut hidden = Vec::new();
    let mut series = Vec::new();
    for s in &loaded.series {
        let counter = Counter::prepare(s, span, &proofs);
        collect_switches(&counter, span, &mut switches, &mut warnings)?;
        let window = counter.window(span);
        hidden.extend(hidden_by_restarts(&counter, &coverage, &targets, span));
        if let (Some(v), Some((t, _))) = (window.baseline_inside.filter(|v| *v > 0.0), window.first) {
            hidden.push(Hidden {
                count: v,
                why: format!("{} begins at {} with {v}: when these happened is not in the data", s.labels, rfc3339(t)),
            });
        }
        series.push(SwitchSeries { labels: s.labels.clone(), counted: window });
    }
    switches.sort_by(|a, b| {
        (a.t_ms, &a.replica, &a.from_version, &a.to_version).cmp(&(b.t_ms, &b.replica, &b.from_version, &b.to_version))
    });
    let updates = join_updates(&switches, question.same_update_ms);
    let best = best_window(&updates, question.within_ms);
    hidden.extend(hidden_by_edges(&coverage, span, targets.longest_interval().unwrap_or(0)));
    hidden.extend(hidden_by_losses(&request_losses, &question.switches, span));

    let seen: Vec<Switched<'_>> = switches
        .iter()
        .map(|s| Switched {
            target: TargetId::of(&s.replica),
            t_ms: s.t_ms,
            after_ms: s.after_ms,
            to_version: &s.to_version,
        })
        .collect();
    let (served, mut disagreements) = served_versions(&info.series, &targets, &seen, span);
    warnings.append(&mut disagreements);
    ledger.settle();
    ledger.check_one_server()?;
    let conflicts: Vec<Conflict> = ledger.conflicts.iter().filter(|c| interval.contains(c.t_ms)).cloned().collect();
    if let Some(first) = conflicts.first() {
        warnings.push(format!(
            "{} of the period have different values in {} (first: {} at {})",
            counted_noun(conflicts.len(), "sample", "samples"),
            source.overlapping(),
            first.series,
            rfc3339(first.t_ms)
        ));
    }
    let (losses, newer) = concerning(ledger.losses, &interval, question.ends_at_newest);
    warnings.extend(newer);
    Ok(ModelUpdates {
        span,
        semantics,
        switches,
        updates,
        best,
        hidden,
        served,
        coverage,
        series,
        losses,
        conflicts,
        instead: instead(source, &question.switches, selected_interval, span),
        warnings,
        notes: ledger.notes,
        selected_interval,
    })
}

fn collect_switches(
    counter: &Counter,
    span: Span,
    switches: &mut Vec<ModelSwitch>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let text = |name: &str| counter.labels.get_text(name);
    let replica =
        counter.labels.filtered(|n| n != METRIC_NAME && n != b"from_version" && n != b"to_version" && n != b"status");
    for step in counter.steps(span) {
        let whole = step.amount.floor();
        if whole != step.amount {
            warnings.push(format!(
                "{} rises by {} at {}; a switch counter counts whole switches, {whole} are used",
                counter.labels,
                step.amount,
                rfc3339(step.t_ms)
            ));
        }
        if !(0.0..=MAX_SWITCHES - switches.len() as f64).contains(&whole) {
            return Err(Error::usage(format!(
                "{} rises by {} at {}; more than {MAX_SWITCHES} switches are not listed",
                counter.labels,
                step.amount,
                rfc3339(step.t_ms)
            ))
            .hint("this is no counter of model switches; choose another with --switches"));
        }
        for _ in 0..whole as usize {
            switches.push(ModelSwitch {
                t_ms: step.t_ms,
                after_ms: step.after_ms,
                from_version: text("from_version"),
                to_version: text("to_version"),
                replica: replica.clone(),
                undatable: step.undatable,
            });
        }
    }
    Ok(())
}

/// In order of time and replica, a switch joins the oldest update to the same version that began at most `same_update`
/// before and lacks its replica, else it opens one. One replica's switches never join.
fn join_updates(switches: &[ModelSwitch], same_update: DurationMs) -> Vec<Update> {
    let mut updates: Vec<Update> = Vec::new();
    let mut members: Vec<BTreeSet<&Labels>> = Vec::new();
    // Only updates that began recently can be joined, by version and in order of age.
    let mut open: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, s) in switches.iter().enumerate() {
        let candidates = open.entry(&s.to_version).or_default();
        candidates.retain(|u| updates.get(*u).is_some_and(|u| s.t_ms.saturating_sub(u.t_ms) <= same_update));
        let free = candidates.iter().copied().find(|u| members.get(*u).is_some_and(|m| !m.contains(&s.replica)));
        match free.and_then(|u| Some((updates.get_mut(u)?, members.get_mut(u)?))) {
            Some((update, replicas)) => {
                update.switches.push(i);
                replicas.insert(&s.replica);
            }
            None => {
                candidates.push(updates.len());
                updates.push(Update { t_ms: s.t_ms, to_version: s.to_version.clone(), switches: vec![i] });
                members.push(BTreeSet::from([&s.replica]));
            }
        }
    }
    updates
}

/// For each update the window that starts with it and is closed at the end; the first with the most updates.
fn best_window(updates: &[Update], within: DurationMs) -> Option<BestWindow> {
    let mut best: Option<BestWindow> = None;
    for (i, first) in updates.iter().enumerate() {
        let end_ms = first.t_ms.saturating_add(within);
        let inside = updates.iter().skip(i).take_while(|u| u.t_ms <= end_ms).count();
        if best.as_ref().is_none_or(|b| inside > b.updates.len()) {
            best = Some(BestWindow { start_ms: first.t_ms, end_ms, updates: (i..i + inside).collect() });
        }
    }
    best
}

/// Time of the period before the first and after the last scrape: anything may have happened there. Up to two scrape
/// intervals at an edge are what any period has.
fn hidden_by_edges(coverage: &Coverage, span: Span, interval: DurationMs) -> Vec<Hidden> {
    let mut out = Vec::new();
    if coverage.targets.is_empty() {
        out.push(Hidden { count: f64::INFINITY, why: "no scrape of the period is in the data".to_owned() });
    }
    for gap in coverage.gaps.iter().filter(|g| g.length() > interval.saturating_mul(2)) {
        let whole = gap.start == span.start && gap.end == span.end;
        let why = match (gap.start == span.start, gap.end == span.end) {
            _ if whole => "no scrape of the period is in the data".to_owned(),
            (true, _) => format!("nothing was scraped before {}, and the period starts earlier", rfc3339(gap.end)),
            (_, true) => format!("nothing was scraped after {}, and the period ends later", rfc3339(gap.start)),
            _ => continue,
        };
        out.push(Hidden { count: f64::INFINITY, why });
    }
    out
}

/// A restart while the target was not scraped: what the counter counted between its last sample and the restart is gone.
fn hidden_by_restarts(counter: &Counter, coverage: &Coverage, targets: &Targets, span: Span) -> Option<Hidden> {
    let target = targets.of(&counter.labels)?;
    let own = coverage.targets.iter().find(|t| t.labels == target.labels)?;
    let long = target.interval_ms.unwrap_or(0).saturating_mul(2);
    let gaps: Vec<&Interval> = own.gaps.iter().filter(|g| g.length() > long).collect();
    let (before, t) = counter
        .restart_steps(span)
        .into_iter()
        .find(|(before, t)| gaps.iter().any(|g| g.overlaps(&Interval::new(*before, *t))))?;
    Some(Hidden {
        count: f64::INFINITY,
        why: format!(
            "{} restarted between {} and {} while it was not scraped; switches before the restart would be gone",
            counter.labels,
            rfc3339(before),
            rfc3339(t)
        ),
    })
}

fn hidden_by_losses(losses: &[Loss], selector: &Selector, span: Span) -> Vec<Hidden> {
    let around = Interval::new(span.start, span.end);
    let relevant = |l: &&Loss| l.touches(&around) && l.series.as_ref().is_none_or(|s| selector.matches(s));
    let count = losses.iter().filter(relevant).count();
    let first = losses.iter().find(relevant);
    first
        .map(|l| Hidden {
            count: f64::INFINITY,
            why: format!(
                "{} may hold switches of the period (first: {})",
                counted_noun(count, "loss", "losses"),
                l.to_line()
            ),
        })
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(t_ms: i64, to: &str, instance: &str) -> ModelSwitch {
        ModelSwitch {
            t_ms,
            after_ms: None,
            from_version: "v0".into(),
            to_version: to.into(),
            replica: Labels::from_pairs([("instance", instance)]),
            undatable: false,
        }
    }

    #[test]
    fn replicas_join_and_one_replica_never_does() {
        let s = [
            switch(0, "v1", "a"),
            switch(5, "v1", "a"),
            switch(6, "v1", "b"),
            switch(7, "v1", "b"),
            switch(8, "v2", "b"),
            switch(11, "v1", "c"),
        ];
        let updates = join_updates(&s, 10);
        let members: Vec<Vec<usize>> = updates.iter().map(|u| u.switches.clone()).collect();
        assert_eq!(members, [vec![0, 2], vec![1, 3, 5], vec![4]]);
    }

    #[test]
    fn the_best_window_is_closed_and_the_first_maximum_wins() {
        let s: Vec<ModelSwitch> = [0, 10, 20, 31].iter().map(|t| switch(*t, &t.to_string(), "a")).collect();
        let updates = join_updates(&s, 1);
        let best = best_window(&updates, 10).unwrap();
        assert_eq!((best.start_ms, best.end_ms, best.updates.len()), (0, 10, 2));
        assert_eq!(best_window(&updates, 9).unwrap().updates.len(), 1);
        assert!(best_window(&[], 9).is_none());
    }
}
