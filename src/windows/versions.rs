//! Which version each replica served when, by its info gauge, held against the switches.

use std::collections::BTreeMap;

use crate::labels::Labels;
use crate::sample::is_stale;
use crate::samples::LoadedSeries;
use crate::time::{DurationMs, TimestampMs, rfc3339};
use crate::windows::Span;
use crate::windows::targets::{TargetId, Targets};

/// A replica and a version that it served without interruption by another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedVersion {
    /// The label `version`.
    pub version: String,
    /// Job and instance.
    pub replica: Labels,
    /// First sample that shows it inside the period.
    pub start_ms: TimestampMs,
    /// Last sample that shows it.
    pub end_ms: TimestampMs,
}

impl ServedVersion {
    /// From the first to the last sample that shows it.
    pub fn duration_ms(&self) -> DurationMs {
        self.end_ms - self.start_ms
    }
}

/// What a switch says about the version of a target.
pub(super) struct Switched<'a> {
    pub target: TargetId,
    pub t_ms: TimestampMs,
    /// The sample before, if there is one.
    pub after_ms: Option<TimestampMs>,
    pub to_version: &'a str,
}

/// The timeline, in order of start and replica, and where it disagrees with the switches.
pub(super) fn served_versions(
    info: &[LoadedSeries],
    targets: &Targets,
    switches: &[Switched<'_>],
    span: Span,
) -> (Vec<ServedVersion>, Vec<String>) {
    // Every sample of every replica: (time, version) where the gauge is not 0.
    let mut shown: BTreeMap<TargetId, (Labels, Vec<(TimestampMs, String)>)> = BTreeMap::new();
    for s in info {
        let (labels, list) = shown.entry(TargetId::of(&s.labels)).or_default();
        *labels = s.labels.filtered(|n| n == b"job" || n == b"instance");
        let version = s.labels.get_text("version");
        let samples = s
            .samples
            .iter()
            .filter(|(t, b)| !is_stale(*b) && f64::from_bits(*b) != 0.0 && span.start < *t && *t <= span.end);
        list.extend(samples.map(|(t, _)| (t, version.clone())));
    }
    let mut served: Vec<ServedVersion> = Vec::new();
    let mut warnings = Vec::new();
    for (id, (replica, mut list)) in shown {
        list.sort();
        let tolerance = targets.of(&replica).and_then(|t| t.interval_ms).unwrap_or(60_000).saturating_mul(2);
        let own: Vec<&Switched<'_>> = switches.iter().filter(|s| s.target == id).collect();
        let mut spans: Vec<ServedVersion> = Vec::new();
        for (t, version) in &list {
            match spans.last_mut() {
                Some(last) if last.version == *version => last.end_ms = *t,
                _ => spans.push(ServedVersion {
                    version: version.clone(),
                    replica: replica.clone(),
                    start_ms: *t,
                    end_ms: *t,
                }),
            }
        }
        check(&id, &spans, &own, tolerance, &list, &mut warnings);
        served.append(&mut spans);
    }
    served.sort_by(|a, b| (a.start_ms, &a.replica, &a.version).cmp(&(b.start_ms, &b.replica, &b.version)));
    (served, warnings)
}

/// Each change of the gauge should have a switch to that version nearby, and each switch should show in the gauge.
fn check(
    id: &TargetId,
    spans: &[ServedVersion],
    switches: &[&Switched<'_>],
    tolerance: DurationMs,
    shown: &[(TimestampMs, String)],
    warnings: &mut Vec<String>,
) {
    let text = crate::labels::printable;
    for pair in spans.windows(2) {
        let [before, after] = pair else { continue };
        let explained = switches.iter().any(|s| {
            s.to_version == after.version
                && s.t_ms >= before.end_ms.saturating_sub(tolerance)
                && s.t_ms <= after.start_ms.saturating_add(tolerance)
        });
        if !explained {
            warnings.push(format!(
                "{}: the version gauge changes from {} to {} at {}, but no switch to it is counted",
                id.display(),
                text(&before.version),
                text(&after.version),
                rfc3339(after.start_ms)
            ));
        }
    }
    for s in switches {
        let from = s.after_ms.unwrap_or(s.t_ms).saturating_sub(tolerance);
        let to = s.t_ms.saturating_add(tolerance);
        let around: Vec<&(TimestampMs, String)> = shown.iter().filter(|(t, _)| from <= *t && *t <= to).collect();
        if !around.is_empty() && !around.iter().any(|(_, v)| *v == s.to_version) {
            warnings.push(format!(
                "{}: a switch to {} is counted at {}, but the version gauge does not show it",
                id.display(),
                text(s.to_version),
                rfc3339(s.t_ms)
            ));
        }
    }
}
