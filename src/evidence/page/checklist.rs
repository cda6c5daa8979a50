//! The deliverables of a package in its report, from the document `promproof.package/1`.

use serde_json::Value;

use super::model::{Cell, List, Part, Run, Section, Table, Tone, path, plain, value};
use super::plots::{int, list};
use crate::loss::counted_noun;

/// How many deliverables are complete, in a sentence; nothing without a checklist.
pub fn status(document: &Value) -> Option<(Tone, String)> {
    if document.is_null() {
        return None;
    }
    let figure = |key: &str| int(&document["summary"][key]);
    let (done, all, incomplete) = (figure("completed"), figure("total_deliverables"), figure("incomplete"));
    if done == all {
        return Some((Tone::Good, format!("All {all} deliverables are complete")));
    }
    let mut words = format!("{done} of {all} deliverables are complete");
    for (n, word) in [(incomplete, "incomplete"), (figure("pending"), "pending")] {
        if n > 0 {
            words.push_str(&format!(", {n} {} {word}", if n == 1 { "is" } else { "are" }));
        }
    }
    Some((if incomplete > 0 { Tone::Bad } else { Tone::Unknown }, words))
}

/// The section; nothing without a checklist.
pub fn section(document: &Value) -> Option<Section> {
    if document.is_null() {
        return None;
    }
    let mut out = Section::new("deliverables", "Deliverables");
    let rows = list(&document["deliverables"]).iter().map(|d| {
        let name = format!("{}. {}", int(&d["id"]), d["name"].as_str().unwrap_or_default());
        let checks = list(&d["checks"]);
        let mut what = found(checks);
        let told: Vec<&Value> = checks.iter().filter(|c| c["ok"] != true).map(|c| &c["file"]).collect();
        for file in list(&d["evidence"]).iter().filter(|f| !told.contains(f)) {
            what.extend([Run::Break, path(file)]);
        }
        let mut description = vec![Run::Bold(name), Run::Break];
        description.extend(value(&d["description"]));
        [status_pill(&d["status"]), description, what]
    });
    out.table(Table::words("Deliverables", ["Status", "Deliverable", "What was found, and where"], rows));
    let items = list(&document["before_submission"]).iter();
    let rows = items.map(|i| [status_pill(&i["status"]), value(&i["name"]), found(list(&i["checks"]))]);
    out.table(Table::words("Before submission", ["Status", "Item", "What was found"], rows));
    let missing = list(&document["missing"]).iter();
    let rows = missing.map(|m| [value(&m["what"]), value(&m["why"]), value(&m["how_to_get_it"])]);
    out.table(Table::words("Missing in the package", ["Missing", "Why", "How to get it"], rows));
    let rows = list(&document["refused"]).iter().map(|r| [vec![path(&r["path"])], value(&r["why"])]);
    out.table(Table::words("Found and not copied", ["File", "Why"], rows));
    let policy = &document["policy"];
    let mut shown = plain("What has to be shown is the policy ");
    shown.extend([path(&policy["name"]), Run::Text(", whose SHA-256 is ".to_owned()), path(&policy["sha256"])]);
    // A command is not prose, in which times are written as people read them.
    let proof = document["proof"].as_str().unwrap_or_default();
    let (words, command) = proof.rsplit_once(": ").unwrap_or((proof, ""));
    let mut rests = plain(format!("{words}: "));
    rests.push(Run::Path(command.to_owned()));
    let lines = vec![shown, rests];
    out.push(Part::List(List { title: "What this rests on", lines, more: 0 }));
    Some(out)
}

fn status_pill(value: &Value) -> Cell {
    let word = value.as_str().unwrap_or_default();
    let tone = match word {
        w if w.ends_with("Complete") => Tone::Good,
        w if w.ends_with("Incomplete") => Tone::Bad,
        _ => Tone::Unknown,
    };
    let word = word.split_once(' ').map_or(word, |(_, word)| word);
    vec![Run::Pill(tone, word.to_owned())]
}

/// How many checks hold, and each that does not.
fn found(checks: &[Value]) -> Cell {
    let hold = checks.iter().filter(|c| c["ok"] == true).count();
    let mut out = plain(format!("{hold} of {}", counted_noun(checks.len(), "check holds", "checks hold")));
    for check in checks.iter().filter(|c| c["ok"] != true) {
        let name = check["name"].as_str().unwrap_or_default().replace('_', " ");
        out.extend([
            Run::Break,
            Run::Pill(Tone::from(check["ok"].as_bool()), String::new()),
            Run::Text(format!(" {name}: ")),
        ]);
        out.extend(value(&check["detail"]));
        out.extend([Run::Text(" ".to_owned()), path(&check["file"])]);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_says_what_is_left() {
        for (completed, incomplete, pending, tone, expected) in [
            (8, 0, 0, Tone::Good, "All 8 deliverables are complete"),
            (7, 0, 1, Tone::Unknown, "7 of 8 deliverables are complete, 1 is pending"),
            (4, 3, 1, Tone::Bad, "4 of 8 deliverables are complete, 3 are incomplete, 1 is pending"),
            (0, 8, 0, Tone::Bad, "0 of 8 deliverables are complete, 8 are incomplete"),
        ] {
            let summary =
                json!({"total_deliverables": 8, "completed": completed, "incomplete": incomplete, "pending": pending});
            assert_eq!(status(&json!({ "summary": summary })), Some((tone, expected.to_owned())));
        }
        assert_eq!(status(&Value::Null), None);
    }
}
