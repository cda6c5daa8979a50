//! The package's README.md: what is in it, what it shows with its figures, and how to verify each claim again. Whatever
//! comes from files is escaped; a recorded command is repeated only if it can do nothing but print an answer.

use serde_json::Value;

use crate::evidence::folder::Check;
use crate::evidence::{SUMMARY, shell_word, shell_words, source_files};
use crate::labels::printable;
use crate::time::isoformat;
use crate::verdict::counted_noun;

use super::checklist::{Checklist, Deliverable, Status};
use super::content::{self, Contents};
use super::policy::STANDARD;
use super::{CHECKLIST_JSON, CHECKLIST_TEXT, CODE, DOCUMENTS, EVIDENCE, PDF, REPORT, SUMS};

/// The document; `pdf` is whether there is a report.pdf.
pub fn text(contents: &Contents<'_>, list: &Checklist, pdf: bool) -> String {
    let mut out = overview(contents, list);
    out.push_str(&structure(contents, pdf));
    out.push_str("\n## Deliverables\n");
    list.deliverables.iter().for_each(|d| out.push_str(&deliverable(d)));
    out.push_str("\n## Before submission\n\n");
    for item in &list.before_submission {
        out.push_str(&format!("- {} {}\n", item.status().text(), escape(&item.name)));
    }
    let missing = list.missing.iter().map(|m| format!("{}: {}; {}", m.what, m.why, m.how_to_get_it));
    out.push_str(&listed("Missing", missing));
    out.push_str(&listed("Found and not copied", list.refused.iter().map(|(path, why)| format!("{path}: {why}"))));
    out.push_str(&losses(list));
    out.push_str(&verification(contents, list, pdf));
    out.push_str(&source(&contents.evidence.summary));
    out
}

fn overview(contents: &Contents<'_>, list: &Checklist) -> String {
    let (total, complete) = (list.deliverables.len(), list.count(Status::Complete));
    let date = list.date.map_or("unknown".to_owned(), isoformat);
    let which = if list.is_submission { "Submission" } else { "Evaluation (no submission time was given)" };
    let words = contents.evidence.summary["windows_are"].as_str().unwrap_or_default();
    let mut out = format!("# Deliverables\n\n**{complete} of {total} deliverables are complete.** {which}: {date}.\n");
    let (policy, sha256) = &list.policy;
    out.push_str(&format!("\nWhat has to be shown is the policy {}, whose SHA-256 is {sha256}.\n", code(policy)));
    if !words.is_empty() {
        out.push_str(&format!("\nAbout the times: {}.\n", escape(words)));
    }
    out.push_str("\n| | deliverable | status |\n|---|---|---|\n");
    for d in &list.deliverables {
        out.push_str(&format!("| {} | {} | {} |\n", d.id, escape(&d.item.name), d.item.status().text()));
    }
    out
}

fn structure(contents: &Contents<'_>, pdf: bool) -> String {
    let count = |folder| counted_noun(contents.below(folder).len(), "file", "files");
    let paper = if pdf { format!("- `{PDF}`: the same on paper, with the code samples\n") } else { String::new() };
    format!(
        "\n## Structure\n\n- `{REPORT}`: verdicts, plots, checks and digests on one page\n{paper}- `{CHECKLIST_JSON}`, `{CHECKLIST_TEXT}`: every deliverable with the checks that its status comes from\n- `{EVIDENCE}/`: {}, listed with their digests in `{SUMMARY}`\n- `{DOCUMENTS}/`: {}\n- `{CODE}/`: {}\n- `{SUMS}`: the SHA-256 of every other file\n",
        count(EVIDENCE),
        count(DOCUMENTS),
        count(CODE)
    )
}

fn deliverable(d: &Deliverable) -> String {
    let mut out = format!("\n### {}. {}: {}\n\n", d.id, escape(&d.item.name), d.item.status().text());
    if !d.description.is_empty() {
        out.push_str(&format!("{}\n\n", escape(&d.description)));
    }
    for path in &d.evidence {
        out.push_str(&format!("- {}\n", code(path)));
    }
    let hold = d.item.checks.iter().filter(|c| c.ok == Some(true)).count();
    out.push_str(&format!("- {hold} of {}\n", counted_noun(d.item.checks.len(), "check holds", "checks hold")));
    // That a file is there goes without saying; what it says, and what is wrong, does not.
    let telling = |c: &&Check| c.ok != Some(true) || content::Content::by_name(c.name).is_some();
    for check in d.item.checks.iter().filter(telling) {
        let mark = match check.ok {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        };
        let file = if check.ok == Some(true) { String::new() } else { format!(" ({})", code(&check.file)) };
        out.push_str(&format!("  - {mark} {}{file}: {}\n", escape(check.name), escape(&check.detail)));
    }
    out
}

fn listed(title: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.map(|line| format!("- {}\n", escape(&line))).collect();
    if lines.is_empty() { String::new() } else { format!("\n## {title}\n\n{}", lines.concat()) }
}

/// How each claim can be verified again.
fn verification(contents: &Contents<'_>, list: &Checklist, pdf: bool) -> String {
    let given = |flag: &str, folder: &str| match contents.below(folder).as_slice() {
        [] => String::new(),
        _ => format!(" {flag} {folder}"),
    };
    let pdf = if pdf { " --pdf" } else { "" };
    let policy = match list.policy.0.as_str() {
        STANDARD => String::new(),
        name => format!(" --policy {}", shell_word(name)),
    };
    let (docs, code) = (given("--docs", DOCUMENTS), given("--code", CODE));
    let mut out = format!(
        "\n## Verify it again\n\nThat no file was changed since, in this folder:\n\n{}\nThat the evidence is what was collected: this is the digest of its summary, which has those of all its files.\n\n{}\nThat every status follows from the files, in this folder and with the same policy:\n\n{}\nWhat only the source can prove: {}\n",
        block(&[format!("sha256sum -c {SUMS}")]),
        block(&[format!("{}  {EVIDENCE}/{SUMMARY}", list.summary_sha256)]),
        block(&[format!("promproof package --evidence {EVIDENCE}{docs}{code}{policy}{pdf} --output ../again")]),
        escape(&list.proof),
    );
    let mut lines = Vec::new();
    let mut others = 0;
    let mut without = Vec::new();
    for file in contents.evidence.summary["files"].as_array().into_iter().flatten() {
        let Some(path) = file["path"].as_str() else { continue };
        let copied = contents.files.iter().find(|f| f.path.strip_prefix(EVIDENCE) == Some(&format!("/{path}")));
        let Some(command) = file["command"].as_str() else {
            without.extend(copied.filter(|_| file["kind"] != "captured").map(|f| (path, f.sha256.as_str())));
            continue;
        };
        match copied.filter(|_| only_prints(command)) {
            Some(copied) => lines.extend([format!("{command} | sha256sum"), format!("# {}", copied.sha256)]),
            None if command.starts_with("git ") => {}
            None => others += 1,
        }
    }
    if !lines.is_empty() {
        out.push_str("\nThat the answers are those of the data, in the folder that holds the source; each line is followed by the digest that it prints:\n\n");
        out.push_str(&block(&lines));
    }
    out.push_str(&computed_together(&contents.evidence.summary, &without));
    if others > 0 {
        let commands = counted_noun(others, "command", "commands");
        out.push_str(&format!(
            "\n{commands} of the summary are none that `promproof collect` records, and are not repeated here.\n"
        ));
    }
    out
}

/// What was lost.
fn losses(list: &Checklist) -> String {
    let lines: Vec<String> = list.first_losses().iter().map(|line| format!("- {}\n", escape(line))).collect();
    let gap = if lines.is_empty() { "" } else { "\n" };
    format!("\n## Losses\n\n{}.\n{gap}{}", escape(&sentence(&list.losses_in_words())), lines.concat())
}

/// With a capital at its start.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Files that were computed, and that no command prints by itself: how they are computed again, with all else.
fn computed_together(summary: &Value, files: &[(&str, &str)]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let names: Vec<String> = files.iter().map(|(path, _)| code(path)).collect();
    let why = "made from many answers at once, so no command prints that alone";
    let Some(again) = collects_again(summary) else {
        return format!(
            "\n{} cannot be computed again from here: the summary has no command of collect.\n",
            names.join(", ")
        );
    };
    let again = std::iter::once(again.to_owned());
    let sums = files.iter().flat_map(|(path, sha256)| {
        [format!("sha256sum {}", shell_word(&format!("again/{path}"))), format!("# {sha256}")]
    });
    let lines: Vec<String> = again.chain(sums).collect();
    format!("\n{}: {why}. Collect again, in the folder that holds the source:\n\n{}", names.join(", "), block(&lines))
}

/// The summary's command that collects again, if it can do nothing but write the folder `again`.
pub(super) fn collects_again(summary: &Value) -> Option<&str> {
    let command = summary["command"].as_str()?;
    let body = command.strip_suffix(" --output again")?;
    has_only(body, &["collect"], &["--submission"]).then_some(command)
}

/// What chooses the data and the metrics in a recorded command.
const CHOOSING: [&str; 20] = [
    "--semantics",
    "--merge",
    "--root",
    "--min-block-duration",
    "--time-from",
    "--label",
    "--label-from-path",
    "--assume-up",
    "--include",
    "--dump-interval",
    "--answers",
    "--scrape-interval",
    "--total",
    "--good",
    "--bad",
    "--by",
    "--health",
    "--latency",
    "--switches",
    "--version-info",
];

/// Whether a line is words of promproof: one of these commands, with no option but these and what chooses the data.
fn has_only(line: &str, commands: &[&str], options: &[&str]) -> bool {
    let Some(words) = shell_words(line) else { return false };
    let mut words = words.iter().map(String::as_str);
    let begins = words.next() == Some("promproof") && words.next().is_some_and(|c| commands.contains(&c));
    let known = |option: &str| CHOOSING.contains(&option) || options.contains(&option);
    begins && words.all(|w| !w.starts_with('-') || known(w.split('=').next().unwrap_or_default()))
}

/// Whether a recorded command is one of promproof's that print an answer and do nothing else.
pub(super) fn only_prints(command: &str) -> bool {
    has_only(command, &["availability", "model-updates"], &["--start", "--end", "--digests", "--format"])
}

/// What the answers rest on.
fn source(summary: &Value) -> String {
    let source = &summary["source"];
    let files = source_files(source);
    let mut out = format!("\n## Source\n\n{}\n", escape(source["name"].as_str().unwrap_or("unknown")));
    match files.is_empty() {
        true => out.push_str("\nThe summary has no digest of it.\n"),
        false => {
            let line = |(path, f): &(String, &Value)| format!("{}  {path}", f["sha256"].as_str().unwrap_or_default());
            let lines: Vec<String> = files.iter().map(line).collect();
            out.push_str(&format!("\n{}", block(&lines)));
        }
    }
    out
}

/// Text as Markdown shows it, in the middle of a line: control characters become escapes, and nothing is markup or a link.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = printable(text);
    // At the start of an item a digit or a sign could begin a list or a heading.
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let leading = text.len() - number.len();
    for (at, c) in text.char_indices() {
        let spaced = text.get(at + c.len_utf8()..).is_some_and(|t| t.is_empty() || t.starts_with(' '));
        let begins = at == 0 && "-+=".contains(c) || at == leading && at > 0 && ".)".contains(c) && spaced;
        // `www.` and `://` would become links.
        let links = c == '.' && text.get(..at).is_some_and(|t| t.to_ascii_lowercase().ends_with("www"))
            || c == ':' && text.get(at..).is_some_and(|t| t.starts_with("://"));
        if begins || links || "\\`*_{}[]<>#!|~&@$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text as it stands, in a line.
fn code(text: &str) -> String {
    let text = printable(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Lines as they stand.
fn block(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{}\n", printable(line))).collect();
    let text = lines.concat();
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{text}{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_text() {
        for (text, shown) in [
            ("95.42%, at least 70%", "95.42%, at least 70%"),
            ("1. a", "1\\. a"),
            ("- a", "\\- a"),
            ("2025-11-19", "2025-11-19"),
            ("[x](javascript:y) <b> a|b", "\\[x\\](javascript:y) \\<b\\> a\\|b"),
            ("https://a.b and www.c.d", "https\\://a.b and www\\.c.d"),
            ("a\n# b\u{1b}", "a\\\\n\\# b\\\\u001b"),
        ] {
            assert_eq!(escape(text), shown, "{text:?}");
        }
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(block(&["```\nx".to_owned()]), "````text\n```\\nx\n````\n");
    }

    #[test]
    fn only_commands_that_print_are_repeated() {
        for command in [
            "promproof availability snapshot --start 2025-11-16T11:59:51.740Z --end 2025-11-19T11:59:51Z --digests",
            "promproof availability dump.txt --label '*:instance=a b:1' --assume-up --total x --bad 'x{a=\"b\"}' --digests",
            "promproof model-updates 'a b' --semantics prometheus-2.53+use-start-timestamps --digests --format json",
        ] {
            assert!(only_prints(command), "{command}");
        }
        for command in [
            "promproof availability x; rm -rf y",
            "promproof availability $(x)",
            "promproof availability x --output y",
            "promproof availability x -o y",
            "promproof availability x --output=y",
            "promproof collect x",
            "promproof availability x\nrm y",
            "promproof availability 'x",
            "curl x",
        ] {
            assert!(!only_prints(command), "{command}");
        }
    }
}
