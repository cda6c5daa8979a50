//! The model-update report for people: every block of the original, then what it could not say.

use crate::labels::printable;
use crate::report::availability_text::{coverage, indent};
use crate::report::provenance::{loss_lines, note_lines};
use crate::report::style::{Style, block, list, title};
use crate::report::table::Table;
use crate::time::{DurationMs, human_duration, isoformat, rfc3339};
use crate::verdict::Verdict;
use crate::verdict::updates::Judgement;
use crate::windows::switches::{ModelSwitch, ModelUpdates};

/// The most switches that the text lists one by one.
const MOST: usize = 50;

/// The report. `explain` adds a row per counter.
pub fn report(
    source: &str,
    u: &ModelUpdates,
    j: &Judgement,
    within_ms: DurationMs,
    explain: bool,
    style: Style,
) -> String {
    let mut out = title(style, "MODEL UPDATE VERIFICATION REPORT");
    let rows = |list: &[(&str, String)]| -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect()
    };
    out.push_str(&format!("\nSource: {}\n", printable(source)));
    block(
        &mut out,
        style,
        "Observation Period:",
        &rows(&[
            ("Start:", isoformat(u.span.start)),
            ("End:", isoformat(u.span.end)),
            ("Duration:", format!("{} days", u.span.length().div_euclid(86_400_000))),
        ]),
    );
    let replicas = u.switches.len() - u.updates.len().min(u.switches.len());
    block(
        &mut out,
        style,
        "Model Switches Found:",
        &rows(&[
            ("Switches:", u.switches.len().to_string()),
            (
                "Distinct updates:",
                if replicas > 0 {
                    format!("{} ({replicas} switches of further replicas joined them)", u.updates.len())
                } else {
                    u.updates.len().to_string()
                },
            ),
        ]),
    );
    let line = |i: usize, s: &ModelSwitch| {
        let replica = crate::windows::targets::TargetId::of(&s.replica).display();
        let after = s.after_ms.map_or("first sample".to_owned(), |a| format!("after {}", rfc3339(a)));
        let doubt = if s.undatable { ", may lie before the period" } else { "" };
        format!(
            "{}. [{}] {} → {}   {}, {after}{doubt}",
            i + 1,
            isoformat(s.t_ms),
            printable(&s.from_version),
            printable(&s.to_version),
            replica
        )
    };
    let numbered = |out: &mut String, heading: &str, items: &[&ModelSwitch]| {
        if items.is_empty() {
            return;
        }
        out.push_str(&format!("\n{}\n", style.bold(heading)));
        for (i, s) in items.iter().enumerate().take(MOST) {
            out.push_str(&format!("  {}\n", line(i, s)));
        }
        if items.len() > MOST {
            out.push_str(&format!("  and {} more (--format json lists all)\n", items.len() - MOST));
        }
    };
    numbered(&mut out, "All Model Switches:", &u.switches.iter().collect::<Vec<_>>());
    if let Some(b) = &u.best {
        block(
            &mut out,
            style,
            &format!("Best {} Window:", window_name(within_ms)),
            &rows(&[
                ("Start:", isoformat(b.start_ms)),
                ("End:", isoformat(b.end_ms)),
                ("Updates:", b.updates.len().to_string()),
            ]),
        );
        let mut inside: Vec<&ModelSwitch> = b
            .updates
            .iter()
            .filter_map(|i| u.updates.get(*i))
            .flat_map(|x| x.switches.iter().filter_map(|s| u.switches.get(*s)))
            .collect();
        inside.sort_by(|a, b| (a.t_ms, &a.replica).cmp(&(b.t_ms, &b.replica)));
        numbered(&mut out, "Switches in Best Window:", &inside);
    }
    let status = match j.verdict {
        Verdict::Met => style.good("✅ PASS"),
        Verdict::NotMet => style.bad("❌ FAIL"),
        Verdict::Unknown => style.warn("❔ UNKNOWN"),
    };
    block(
        &mut out,
        style,
        "Requirement Check:",
        &rows(&[
            ("Required:", format!("≥{} updates within {}", j.requirement.minimum, human_duration(within_ms))),
            ("Actual:", u.best.as_ref().map_or(0, |b| b.updates.len()).to_string()),
            ("Possible:", j.best.map_or("no upper bound".to_owned(), |b| format!("at most {b}"))),
            ("Status:", status),
        ]),
    );
    served(&mut out, style, u);
    coverage(&mut out, style, &u.coverage);
    if explain {
        explained(&mut out, style, u);
    }
    list(&mut out, style, "Reasons:", &j.reasons.iter().map(|r| printable(r)).collect::<Vec<_>>());
    list(&mut out, style, "Losses:", &loss_lines(&u.losses, 12));
    list(&mut out, style, "Warnings:", &u.warnings.iter().map(|w| printable(w)).collect::<Vec<_>>());
    list(&mut out, style, "Notes:", &note_lines(&u.notes));
    out.push('\n');
    out.push_str(&match j.verdict {
        Verdict::Met => {
            format!("🎉 At least {} model updates within {}.\n", j.requirement.minimum, human_duration(within_ms))
        }
        Verdict::NotMet => {
            format!(
                "⚠️  WARNING: fewer than {} model updates within {}.\n",
                j.requirement.minimum,
                human_duration(within_ms)
            )
        }
        Verdict::Unknown => "❔ The data cannot say whether the requirement was met.\n".to_owned(),
    });
    out
}

fn window_name(within_ms: DurationMs) -> String {
    if within_ms % 86_400_000 == 0 { format!("{}-Day", within_ms / 86_400_000) } else { human_duration(within_ms) }
}

fn served(out: &mut String, style: Style, u: &ModelUpdates) {
    if u.served.is_empty() {
        return;
    }
    let mut table = Table::new(&["version", "replica", "from", "to", "duration"]);
    for s in u.served.iter().take(MOST) {
        table.rows.push(vec![
            printable(&s.version),
            crate::windows::targets::TargetId::of(&s.replica).display(),
            rfc3339(s.start_ms),
            rfc3339(s.end_ms),
            human_duration(s.duration_ms()),
        ]);
    }
    out.push_str(&format!("\n{}\n", style.bold("Served Versions:")));
    indent(out, &table.to_text());
    if u.served.len() > MOST {
        out.push_str(&format!("  and {} more (--format json lists all)\n", u.served.len() - MOST));
    }
}

fn explained(out: &mut String, style: Style, u: &ModelUpdates) {
    let mut table = Table::new(&["series", "baseline", "first", "last", "resets", "births", "counted"]);
    let point = |p: Option<(i64, f64)>| p.map_or("-".to_owned(), |(t, v)| format!("{v} @ {}", rfc3339(t)));
    for s in &u.series {
        let w = &s.counted;
        table.rows.push(vec![
            s.labels.to_string(),
            point(w.baseline),
            point(w.first),
            point(w.last),
            w.resets.to_string(),
            u64::from(w.born).to_string(),
            format!("{}", w.increase),
        ]);
    }
    out.push_str(&format!("\n{}\n", style.bold("Series:")));
    indent(out, &table.to_text());
}
