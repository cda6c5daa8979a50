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
            let until = a.text("until").map_or(String::new(), |u| format!("; {u}"));
            (format!("{}:", a.window.name), format!("{mark}  {}{until}", a.text("figure").unwrap_or_default()))
        })
        .collect();
    block(&mut out, style, "Verdicts:", &rows);
    list(&mut out, style, "Why Something Is Not Met or Unknown:", &reasons(c));
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

/// The reasons of what is not met, each once with the windows that it is about; and how to ask about another service.
fn reasons(c: &Collected) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for answer in c.answers.iter().filter(|a| a.verdict != Verdict::Met) {
        for reason in answer.reasons() {
            match lines.iter_mut().find(|(line, _)| line == reason) {
                Some((_, windows)) if windows.last() == Some(&answer.window.name) => {}
                Some((_, windows)) => windows.push(answer.window.name),
                None => lines.push((reason.to_owned(), vec![answer.window.name])),
            }
        }
    }
    let other = lines.iter().any(|(line, _)| line.starts_with("no series matches"));
    let mut out: Vec<String> =
        lines.into_iter().map(|(line, windows)| printable(&format!("{}: {line}", windows.join(", ")))).collect();
    if other {
        out.push("a service with metrics of its own is collected with --total and --good or --bad, --health, --latency, --switches and --version-info, as promproof availability and model-updates take them".to_owned());
    }
    out
}
