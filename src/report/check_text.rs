//! A verdict on every file, for people.

use crate::check::{Checked, FileKind, FileVerdict, Finding, State};
use crate::labels::printable;
use crate::report::availability_text::indent;
use crate::report::python::thousands;
use crate::report::style::{Style, title};
use crate::report::table::Table;
use crate::source::Place;

/// More files than this are summed up by kind.
const MOST_FILES: usize = 40;
/// Files that are not good, and findings, that are shown.
const MOST: usize = 200;
/// Findings about one file that are shown.
const MOST_PER_FILE: usize = 10;

/// The report; `all` leaves nothing out.
pub fn report(place: &Place, checked: &Checked, all: bool, style: Style) -> String {
    let mut out = title(style, "FILE CHECK");
    let below = if place.below.is_empty() { String::new() } else { format!(" ({})", place.below) };
    out.push_str(&format!("\nSource: {}{}\n", printable(&place.name), printable(&below)));
    let short = !all && checked.files.len() > MOST_FILES;
    if short {
        kinds(&mut out, checked, style);
    }
    files(&mut out, checked, short, all, style);
    faults(&mut out, checked, all, style);
    notes(&mut out, checked, all, style);
    let (noted, bad) = (checked.count(State::Noted), checked.count(State::Bad));
    let there = checked.files.iter().filter(|f| f.bytes.is_some()).count();
    let mut line = counted(there as u64, "files");
    if checked.files.len() > there {
        line = format!("{line} and {} that should be there", checked.files.len() - there);
    }
    line = format!("{line}, {bad} bad");
    if noted > 0 {
        line = format!("{line}, {noted} with notes");
    }
    let line = match bad {
        0 => style.good(&format!("{line}: every checksum and every rule holds.")),
        _ => style.bad(&format!("{line}.")),
    };
    out.push_str(&format!("\n{line}\n"));
    out
}

fn coloured(state: State, style: Style) -> String {
    match state {
        State::Good => style.good("good"),
        State::Noted => style.warn("noted"),
        State::Bad => style.bad("BAD"),
    }
}

/// `1 chunk`, `1,234 chunks`.
fn counted(n: u64, what: &str) -> String {
    let what = what.replace('_', " ");
    let one = match n {
        1 if !matches!(what.as_str(), "series" | "metadata") => what.strip_suffix('s').unwrap_or(&what),
        _ => &what,
    };
    format!("{} {one}", thousands(n as f64))
}

/// The first counts of a file: all of them would not fit into a terminal.
fn walked(v: &FileVerdict) -> String {
    let shown = v.counts.iter().filter(|(what, n)| *n > 0 && *what != "symbols").take(4);
    let parts: Vec<String> = shown.map(|(what, n)| counted(*n, what)).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn bytes(v: &FileVerdict) -> String {
    v.bytes.map_or_else(|| "-".to_owned(), |b| thousands(b as f64))
}

fn kinds(out: &mut String, checked: &Checked, style: Style) {
    let mut table = Table::new(&["kind", "files", "bytes", "good", "noted", "bad"]);
    for kind in FileKind::ALL {
        let of: Vec<&FileVerdict> = checked.files.iter().filter(|f| f.kind == kind).collect();
        if of.is_empty() {
            continue;
        }
        let count = |state| thousands(of.iter().filter(|f| f.state == state).count() as f64);
        table.rows.push(vec![
            kind.name().to_owned(),
            thousands(of.len() as f64),
            thousands(of.iter().filter_map(|f| f.bytes).sum::<u64>() as f64),
            count(State::Good),
            count(State::Noted),
            count(State::Bad),
        ]);
    }
    out.push_str(&format!("\n{}\n", style.bold("Files by Kind:")));
    indent(out, &table.to_text());
}

fn files(out: &mut String, checked: &Checked, short: bool, all: bool, style: Style) {
    let shown: Vec<&FileVerdict> = checked.files.iter().filter(|f| !short || f.state != State::Good).collect();
    let most = if all { usize::MAX } else { MOST };
    let mut table = Table::new(&["file", "bytes", "walked", "verdict"]);
    for v in shown.iter().take(most) {
        table.rows.push(vec![printable(&v.file), bytes(v), walked(v), coloured(v.state, style)]);
    }
    if !table.rows.is_empty() {
        let heading = if short { "Files That Are Not Good:" } else { "Files:" };
        out.push_str(&format!("\n{}\n", style.bold(heading)));
        indent(out, &table.to_text());
        if shown.len() > most {
            out.push_str(&format!("  and {} more (--all lists them)\n", thousands((shown.len() - most) as f64)));
        }
    }
    if short {
        let good = thousands(checked.count(State::Good) as f64);
        out.push_str(&format!("\n  {}\n", style.dim(&format!("{good} good files are not listed (--all lists them)"))));
    }
}

fn place(f: &Finding) -> String {
    let at = f.offset.map(|o| format!("at byte {o}, ")).unwrap_or_default();
    let (part, found) = (printable(&f.part), printable(&f.found));
    match &f.expected {
        Some(expected) => format!("{at}{part}: expected {}, found {found}", printable(expected)),
        None => format!("{at}{part}: {found}"),
    }
}

/// The lines behind the first one of a finding.
fn tail(out: &mut String, f: &Finding, style: Style) {
    let about: Vec<String> =
        f.series.iter().map(ToString::to_string).chain(f.interval.iter().map(ToString::to_string)).collect();
    if !about.is_empty() {
        out.push_str(&format!("      {}\n", about.join("; ")));
    }
    out.push_str(&format!("      {} {}\n", style.dim("→"), printable(&f.effect)));
}

fn faults(out: &mut String, checked: &Checked, all: bool, style: Style) {
    let bad: Vec<&FileVerdict> = checked.files.iter().filter(|f| f.state == State::Bad).collect();
    if bad.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", style.bold("Faults:")));
    let mut left = if all { usize::MAX } else { MOST };
    let mut hidden = 0;
    for v in bad {
        let findings: Vec<&Finding> = v.findings.iter().filter(|f| f.is_bad()).collect();
        if left == 0 {
            hidden += findings.len() as u64 + v.omitted;
            continue;
        }
        out.push_str(&format!("  {} {}\n", style.bad("✗"), printable(&v.file)));
        let most = if all { usize::MAX } else { MOST_PER_FILE.min(left) };
        for f in findings.iter().take(most) {
            out.push_str(&format!("    • {}\n", place(f)));
            tail(out, f, style);
        }
        left -= findings.len().min(most).min(left);
        let more = findings.len().saturating_sub(most) as u64 + v.omitted;
        if more > 0 {
            let hint = if all { "" } else { " (--all lists them)" };
            out.push_str(&format!("    and {}{hint}\n", counted(more, "more")));
        }
    }
    if hidden > 0 {
        out.push_str(&format!("  and {} in further files (--all lists them)\n", counted(hidden, "faults")));
    }
}

/// Notes that say the same about several files stand once.
fn notes(out: &mut String, checked: &Checked, all: bool, style: Style) {
    let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for v in &checked.files {
        for f in v.findings.iter().filter(|f| !f.is_bad()) {
            match groups.iter_mut().rev().take(8).find(|(g, _)| *g == f) {
                Some((_, files)) => files.push(&v.file),
                None => groups.push((f, vec![&v.file])),
            }
        }
    }
    if groups.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", style.bold("Notes:")));
    let most = if all { usize::MAX } else { MOST / 4 };
    for (f, files) in groups.iter().take(most) {
        let shown: Vec<String> = files.iter().take(if all { usize::MAX } else { 3 }).map(|f| printable(f)).collect();
        let more = files.len() - shown.len();
        let more = if more > 0 { format!(" and {} more", thousands(more as f64)) } else { String::new() };
        out.push_str(&format!("  • {}{more}\n", shown.join(", ")));
        out.push_str(&format!("      {}\n", place(f)));
        tail(out, f, style);
    }
    if groups.len() > most {
        out.push_str(&format!("  and {} (--all lists them)\n", counted((groups.len() - most) as u64, "more")));
    }
}
