//! One row per SOURCE, for `--format table` and `--format csv`.

use crate::report::table::Table;
use crate::time::rfc3339;
use crate::verdict::updates::Judgement;
use crate::windows::switches::ModelUpdates;

/// The columns of the rows.
pub fn table() -> Table {
    Table::new(&[
        "source",
        "start",
        "end",
        "switches",
        "updates_in_best_window",
        "minimum_updates",
        "verdict",
        "best_window_start",
        "best_window_end",
        "coverage_percent",
        "losses",
        "conflicts",
        "warnings",
    ])
}

/// The row of one SOURCE.
pub fn row(source: &str, u: &ModelUpdates, j: &Judgement) -> Vec<String> {
    let best = |f: fn(&crate::windows::switches::BestWindow) -> i64| {
        u.best.as_ref().map(|b| rfc3339(f(b))).unwrap_or_default()
    };
    vec![
        crate::labels::printable(source),
        rfc3339(u.span.start),
        rfc3339(u.span.end),
        u.switches.len().to_string(),
        u.best.as_ref().map_or(0, |b| b.updates.len()).to_string(),
        j.requirement.minimum.to_string(),
        j.verdict.name().to_owned(),
        best(|b| b.start_ms),
        best(|b| b.end_ms),
        format!("{}", u.coverage.ratio * 100.0),
        u.losses.len().to_string(),
        u.conflicts.len().to_string(),
        u.warnings.len().to_string(),
    ]
}
