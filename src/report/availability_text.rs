//! The availability report for people: every block of the original, then what it could not say.

use crate::promql::format_shortest;
use crate::report::provenance::{loss_lines, note_lines};
use crate::report::python::{round, thousands};
use crate::report::style::{Style, block, list, title};
use crate::report::table::Table;
use crate::time::{Interval, human_duration, isoformat, rfc3339};
use crate::verdict::availability::{Judgement, Mode, percent_text};
use crate::verdict::{Verdict, counted_noun};
use crate::windows::availability::Availability;
use crate::windows::targets::Coverage;

/// The most gaps, losses and the like that the text lists one by one.
const MOST: usize = 12;

/// The report. `trailing` says that the window ends at the newest sample; `explain` adds a row per series.
pub fn report(source: &str, a: &Availability, j: &Judgement, trailing: bool, explain: bool, style: Style) -> String {
    let mut out = title(style, "API AVAILABILITY REPORT");
    let f = a.deciding();
    let rows = |list: &[(&str, String)]| -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect()
    };
    out.push_str(&format!("\nSource: {}\n", crate::labels::printable(source)));
    block(
        &mut out,
        style,
        "Time Window:",
        &rows(&[
            ("Start:", isoformat(a.span.start)),
            ("End:", isoformat(a.span.end)),
            ("Duration:", duration(a.span.length())),
        ]),
    );
    let percent = percent_text(j.percent, |p| round(p, 2));
    block(
        &mut out,
        style,
        "Request Metrics:",
        &rows(&[
            ("Total Requests:", figure(f.total)),
            (if a.preset { "Successful (200):" } else { "Good Requests:" }, figure(f.good)),
            (if a.preset { "Errors (500):" } else { "Bad Requests:" }, figure(f.bad)),
            ("Availability:", percent.clone()),
        ]),
    );
    let health = match a.health.first() {
        Some((_, v)) => format!("{:.3}", round(*v, 3)),
        None => "no data".to_owned(),
    };
    let p95 = match a.p95_seconds {
        Some(v) if v.is_finite() => format!("{:.3}s", round(v, 3)),
        Some(v) => format_shortest(v),
        None => "no data".to_owned(),
    };
    block(&mut out, style, "Additional Metrics:", &rows(&[("Avg Health Status:", health), ("P95 Latency:", p95)]));
    let status = match j.verdict {
        Verdict::Met => style.good("✅ PASS"),
        Verdict::NotMet => style.bad("❌ FAIL"),
        Verdict::Unknown => style.warn("❔ UNKNOWN"),
    };
    let finite = j.percent.filter(|p| p.is_finite());
    let margin =
        finite.map_or("-".to_owned(), |p| format!("{:+.2} percentage points", round(p - j.requirement.percent, 2)));
    block(
        &mut out,
        style,
        "SLO Compliance:",
        &rows(&[
            ("Required:", format!("≥{}%", j.requirement.percent)),
            ("Actual:", percent),
            ("Status:", status),
            ("Margin:", margin),
        ]),
    );
    bounds_and_counts(&mut out, style, a, j);
    coverage(&mut out, style, &a.coverage);
    if a.groups.len() > 1 || explain {
        groups(&mut out, style, a);
    }
    sliding(&mut out, style, a);
    if explain {
        series(&mut out, style, a);
    }
    list(&mut out, style, "Reasons:", &j.reasons);
    list(&mut out, style, "Losses:", &loss_lines(&a.losses, MOST));
    let warnings: Vec<String> = a.warnings.iter().chain(&j.warnings).map(|w| crate::labels::printable(w)).collect();
    list(&mut out, style, "Warnings:", &warnings);
    list(&mut out, style, "Notes:", &note_lines(&a.notes));
    out.push_str(&format!("\n{}\n", style.dim(&format!("Semantics: {} ({})", a.semantics.name(), a.semantics.why))));
    out.push('\n');
    out.push_str(&match j.verdict {
        Verdict::Met => format!("🎉 The API met its availability requirement of {}%.\n", j.requirement.percent),
        Verdict::NotMet => {
            format!("⚠️  WARNING: the API did not meet its availability requirement of {}%.\n", j.requirement.percent)
        }
        Verdict::Unknown => "❔ The data cannot say whether the requirement was met.\n".to_owned(),
    });
    if trailing {
        out.push_str("   The window ends at the newest sample; --end chooses another time.\n");
    }
    out
}

/// Hours with one decimal, as in the original; where that hides something, the exact length behind it.
fn duration(ms: i64) -> String {
    let hours = format!("{:.1} hours", ms as f64 / 3_600_000.0);
    if ms % 360_000 == 0 { hours } else { format!("{hours} ({})", human_duration(ms)) }
}

fn figure(x: Option<f64>) -> String {
    match x {
        None => "no data".to_owned(),
        Some(x) if x.is_finite() => thousands(x),
        Some(x) => format_shortest(x),
    }
}

fn bounds_and_counts(out: &mut String, style: Style, a: &Availability, j: &Judgement) {
    let mut rows = Vec::new();
    if let Some(b) = j.bounds {
        let note = match j.requirement.mode {
            Mode::Bounded => "",
            Mode::Observed => "  (gaps ignored)",
        };
        rows.push(("Bounds:".to_owned(), format!("{:.2}% to {:.2}%{note}", b.worst * 100.0, b.best * 100.0)));
    }
    let (name, other) = if a.semantics.counted { ("PromQL:", a.exact) } else { ("Counted:", a.counted) };
    let ratio = percent_text(other.ratio(), |r| r * 100.0);
    let of = match (other.good_or_zero(), other.total) {
        (Some(good), Some(total)) => {
            format!("  ({} of {})", figure(Some(good)), figure(Some(total)))
        }
        _ => String::new(),
    };
    rows.push((name.to_owned(), format!("{ratio}{of}")));
    if a.undatable.total > 0.0 {
        rows.push((
            "Undatable:".to_owned(),
            format!("{} requests at the start of the window", figure(Some(a.undatable.total))),
        ));
    }
    block(out, style, "What the Data Leave Open:", &rows);
}

/// The coverage block, shared with model-updates and inspect.
pub(super) fn coverage(out: &mut String, style: Style, c: &Coverage) {
    out.push_str(&format!("\n{}\n", style.bold("Coverage:")));
    let mut line = |text: String| out.push_str(&format!("  {text}\n"));
    if c.targets.is_empty() {
        line("nothing is known about scrapes: there is no `up`, and no selected series".to_owned());
        return;
    }
    match c.uncovered_ms {
        0 => line("100% of the window was scraped".to_owned()),
        ms => line(format!("{:.3}% of the window was scraped, {} was not", c.ratio * 100.0, human_duration(ms))),
    }
    if !c.from_up {
        line("judged by the selected series, since there is no `up`".to_owned());
    }
    if let Some(gap) = c.gaps.iter().max_by_key(|g| g.length()) {
        line(format!("{}, the longest: {}", counted_noun(c.gaps.len(), "gap", "gaps"), span(*gap)));
    }
    for t in c.targets.iter().take(MOST) {
        line(crate::windows::targets::TargetId::of(&t.labels).display());
        let interval = t.interval_ms.map_or("unknown interval".to_owned(), |i| format!("every {}", human_duration(i)));
        let up = t.up_ratio.map_or(String::new(), |u| format!(", up {:.2}%", u * 100.0));
        line(format!(
            "  {interval}, {:.2}% scraped{up}, {} down, {}, {}",
            t.ratio * 100.0,
            t.downs.len(),
            t.restarts.as_ref().map_or("restarts unknown".to_owned(), |r| counted_noun(r.len(), "restart", "restarts")),
            counted_noun(t.stale_markers as usize, "stale marker", "stale markers"),
        ));
        match (t.longest_outage, t.longest_down) {
            (None, _) => {}
            (Some(outage), Some(down)) if outage == down => line(format!("  longest outage: {}", span(outage))),
            (Some(outage), down) => {
                line(format!("  longest outage, with what was not scraped: {}", span(outage)));
                if let Some(down) = down {
                    line(format!("  longest time down: {}", span(down)));
                }
            }
        }
    }
    if c.targets.len() > MOST {
        line(format!("and {} more targets (--format json lists all)", c.targets.len() - MOST));
    }
}

fn span(i: Interval) -> String {
    format!("{} from {} to {}", human_duration(i.length()), rfc3339(i.start), rfc3339(i.end))
}

fn groups(out: &mut String, style: Style, a: &Availability) {
    let mut table = Table::new(&["group", "promql", "counted"]);
    for g in &a.groups {
        let name: Vec<String> =
            g.labels.iter().map(|(k, v)| format!("{k}={}", crate::labels::quoted(v.as_bytes()))).collect();
        table.rows.push(vec![name.join(" "), figure(g.exact), figure(Some(g.counted))]);
    }
    out.push_str(&format!("\n{}\n", style.bold("Requests by Group:")));
    indent(out, &table.to_text());
}

fn series(out: &mut String, style: Style, a: &Availability) {
    let mut table =
        Table::new(&["series", "baseline", "first", "last", "resets", "births", "counted", "promql_increase"]);
    let point = |p: Option<(i64, f64)>| p.map_or("-".to_owned(), |(t, v)| format!("{v} @ {}", rfc3339(t)));
    let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x}"));
    for s in &a.series {
        table.rows.push(vec![
            s.labels.to_string(),
            point(s.counted.baseline),
            point(s.counted.first),
            point(s.counted.last),
            s.counted.resets.to_string(),
            u64::from(s.counted.born).to_string(),
            number(Some(s.counted.increase)),
            number(s.increase),
        ]);
    }
    table.rows.push(vec![
        "all".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        a.series.iter().map(|s| s.counted.resets).sum::<u64>().to_string(),
        a.series.iter().filter(|s| s.counted.born).count().to_string(),
        number(a.counted.total),
        number(a.exact.total),
    ]);
    out.push_str(&format!("\n{}\n", style.bold("Series:")));
    indent(out, &table.to_text());
}

fn sliding(out: &mut String, style: Style, a: &Availability) {
    let Some(s) = &a.sliding else { return };
    let mut rows = vec![(
        "Evaluated:".to_owned(),
        format!("{} windows of {}, every {}", s.windows.len(), human_duration(s.length_ms), human_duration(s.step_ms)),
    )];
    for (name, d) in [("Worst:", &s.worst), ("Best:", &s.best), ("Last:", &s.last)] {
        if let Some(d) = d {
            let ratio = d.window.figures.ratio().map_or("no requests".to_owned(), |r| format!("{:.2}%", r * 100.0));
            rows.push((name.to_owned(), format!("{ratio}, ending {}", rfc3339(d.window.end_ms))));
        }
    }
    block(out, style, "Sliding Windows:", &rows);
}

/// Indents every line by two.
pub(super) fn indent(out: &mut String, text: &str) {
    for line in text.lines() {
        out.push_str("  ");
        out.push_str(line);
        out.push('\n');
    }
}
