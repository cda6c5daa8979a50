//! DELIVERABLES_CHECKLIST.txt, which is also what the command prints.

use crate::evidence::folder::Check;
use crate::labels::printable;
use crate::report::style::{Style, block, list, title};
use crate::time::isoformat;
use crate::verdict::counted_noun;

use super::checklist::{Checklist, Deliverable, Item, Status};

/// The report.
pub fn report(c: &Checklist, style: Style) -> String {
    let mut out = title(style, "DELIVERABLES CHECKLIST");
    let date = c.date.map_or("unknown".to_owned(), isoformat);
    let which = if c.is_submission { "" } else { "  (the evaluation; no submission time was given)" };
    let (policy, sha256) = &c.policy;
    out.push_str(&format!(
        "\nSubmission Date: {date}{which}\nPolicy:          {} (sha256 {sha256})\n",
        printable(policy)
    ));
    for d in &c.deliverables {
        out.push_str(&deliverable(d, style));
    }
    let (total, completed) = (c.deliverables.len(), c.count(Status::Complete));
    let rows = [
        ("Total Deliverables:", total.to_string()),
        ("Completed:", format!("{completed} ({}%)", c.completion_percentage())),
        ("Pending:", c.count(Status::Pending).to_string()),
        ("Incomplete:", c.count(Status::Incomplete).to_string()),
    ];
    block(&mut out, style, "Summary:", &rows.map(|(name, value)| (name.to_owned(), value)));
    out.push_str(&format!("\n{}\n", style.bold("Before Submission:")));
    for item in &c.before_submission {
        out.push_str(&format!("  {}  {}\n", status(item, style), item.name));
        out.push_str(&open_checks(&item.checks, "       "));
    }
    let losses = [c.losses_in_words()].into_iter().chain(c.first_losses());
    list(&mut out, style, "Losses:", &losses.map(|line| printable(&line)).collect::<Vec<_>>());
    let missing = c.missing.iter().map(|m| printable(&format!("{}: {}; {}", m.what, m.why, m.how_to_get_it)));
    list(&mut out, style, "Missing:", &missing.collect::<Vec<_>>());
    let refused = c.refused.iter().map(|(path, why)| printable(&format!("{path}: {why}")));
    list(&mut out, style, "Found and Not Copied:", &refused.collect::<Vec<_>>());
    out.push_str(&format!("\n{}\n", style.dim(&format!("Note: {}", c.proof))));
    out
}

fn deliverable(d: &Deliverable, style: Style) -> String {
    let hold = d.item.checks.iter().filter(|c| c.ok == Some(true)).count();
    let heading = style.bold(&format!("{}. {}", d.id, printable(&d.item.name)));
    let all = counted_noun(d.item.checks.len(), "check holds", "checks hold");
    let mut out = format!("\n{heading}\n   Status:      {}\n", status(&d.item, style));
    out.push_str(&format!("   Description: {}\n   Checks:      {hold} of {all}\n", printable(&d.description)));
    out.push_str(&open_checks(&d.item.checks, "     "));
    out.push_str("   Evidence:\n");
    for path in &d.evidence {
        out.push_str(&format!("     - {}\n", printable(path)));
    }
    out
}

/// What does not hold, and what cannot be said.
fn open_checks(checks: &[Check], indent: &str) -> String {
    let lines = checks.iter().filter(|c| c.ok != Some(true)).map(|c| {
        let mark = if c.ok.is_none() { "?" } else { "✗" };
        format!("{indent}{mark} {}\n", printable(&format!("{} ({}): {}", c.name, c.file, c.detail)))
    });
    lines.collect()
}

fn status(item: &Item, style: Style) -> String {
    let text = item.status().text();
    match item.status() {
        Status::Complete => style.good(text),
        Status::Incomplete => style.bad(text),
        Status::Pending => style.warn(text),
    }
}
