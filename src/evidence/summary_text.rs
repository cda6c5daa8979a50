//! What `promproof collect` tells a person: verdicts, what is missing, what failed.

use crate::labels::printable;
use crate::report::provenance::loss_lines;
use crate::report::style::{Style, block, list, title};
use crate::verdict::{Verdict, counted_noun};

use super::Collected;

/// The report.
pub fn report(c: &Collected, style: Style) -> String {
    let mut out = title(style, "EVIDENCE COLLECTION");
    out.push('\n');
    let ok = c.checks.iter().filter(|k| k.ok == Some(true)).count();
    out.push_str(&format!(
        "{}, {ok} of {}, {}\n",
        counted_noun(c.files, "file", "files"),
        counted_noun(c.checks.len(), "check holds", "checks hold"),
        counted_noun(c.missing.len(), "part missing", "parts missing"),
    ));
    let rows: Vec<(String, String)> = c
        .answers
        .iter()
        .map(|a| {
            let mark = match a.verdict {
                Verdict::Met => style.good("✅ PASS"),
                Verdict::NotMet => style.bad("❌ FAIL"),
                Verdict::Unknown => style.warn("❔ UNKNOWN"),
            };
            let until = a.until.as_ref().map_or(String::new(), |u| format!("; {u}"));
            (format!("{}:", a.window.name), format!("{mark}  {}{until}", a.figure))
        })
        .collect();
    block(&mut out, style, "Verdicts:", &rows);
    let lost = c.answers.iter().filter(|a| !a.losses.is_empty());
    let lost = lost.flat_map(|a| loss_lines(&a.losses, 3).into_iter().map(|line| format!("{}: {line}", a.window.name)));
    list(&mut out, style, "Losses:", &lost.map(|line| printable(&line)).collect::<Vec<_>>());
    let failed = |ok| -> Vec<String> {
        let chosen = c.checks.iter().filter(|k| k.ok == ok);
        chosen.map(|k| printable(&format!("{} ({}): {}", k.name, k.file, k.detail))).collect()
    };
    list(&mut out, style, "Failed Checks:", &failed(Some(false)));
    list(&mut out, style, "Checks That the Data Cannot Decide:", &failed(None));
    let missing = c.missing.iter().map(|m| printable(&format!("{}: {}; {}", m.what, m.why, m.how_to_get_it)));
    list(&mut out, style, "Missing:", &missing.collect::<Vec<_>>());
    let unused = c.unused.iter().map(|(path, why)| printable(&format!("{path}: {why}")));
    list(&mut out, style, "Found and Not Used:", &unused.collect::<Vec<_>>());
    out.push_str(&format!("\n{}\n", style.dim(&format!("Note: {}.", c.words))));
    out
}
