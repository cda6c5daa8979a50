//! One row per SOURCE, for `--format table` and `--format csv`.

use crate::promql::format_shortest;
use crate::report::table::Table;
use crate::time::rfc3339;
use crate::verdict::availability::Judgement;
use crate::windows::availability::Availability;

/// The columns of the rows.
pub fn table() -> Table {
    Table::new(&[
        "source",
        "start",
        "end",
        "total_requests",
        "successful_requests",
        "error_requests",
        "availability_percent",
        "required_percent",
        "verdict",
        "worst_percent",
        "best_percent",
        "coverage_percent",
        "p95_latency_seconds",
        "losses",
        "conflicts",
        "warnings",
        "semantics",
    ])
}

/// The row of one SOURCE. Figures are shortest round-trip doubles, empty without a result.
pub fn row(source: &str, a: &Availability, j: &Judgement) -> Vec<String> {
    let number = |x: Option<f64>| x.map(format_plain).unwrap_or_default();
    let f = a.deciding();
    vec![
        crate::labels::printable(source),
        rfc3339(a.span.start),
        rfc3339(a.span.end),
        number(f.total),
        number(f.good),
        number(f.bad),
        number(j.percent),
        number(Some(j.requirement.percent)),
        j.verdict.name().to_owned(),
        number(j.bounds.map(|b| b.worst * 100.0)),
        number(j.bounds.map(|b| b.best * 100.0)),
        number(Some(a.coverage.ratio * 100.0)),
        number(a.p95_seconds),
        a.losses.len().to_string(),
        a.conflicts.len().to_string(),
        (a.warnings.len() + j.warnings.len()).to_string(),
        a.semantics.name(),
    ]
}

/// Shortest round-trip digits without an exponent, as spreadsheets like them.
fn format_plain(x: f64) -> String {
    if x.is_finite() { format!("{x}") } else { format_shortest(x) }
}
