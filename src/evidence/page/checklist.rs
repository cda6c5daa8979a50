//! The deliverables of a package in its report, from the document `promproof.package/1`.

use serde_json::Value;

use super::model::{Cell, Count, Run, Section, Tone, path, plain, text, value};
use super::plots::{int, list};

/// How many deliverables are complete, for the first screen; nothing without a checklist.
pub fn count(document: &Value) -> Option<Count> {
    let figure = |key: &str| int(&document["summary"][key]);
    let (done, all) = (figure("completed"), figure("total_deliverables"));
    (!document.is_null()).then(|| Count {
        tone: Some(Tone::from(Some(done == all))),
        figure: done.to_string(),
        words: format!("of {all} deliverables complete"),
    })
}

/// The section; nothing without a checklist.
pub fn section(document: &Value) -> Option<Section> {
    if document.is_null() {
        return None;
    }
    let mut out = Section::new("deliverables", "Deliverables");
    let deliverables = list(&document["deliverables"]);
    let rows = deliverables.iter().map(|d| {
        let name = format!("{}. {}", int(&d["id"]), d["name"].as_str().unwrap_or_default());
        let mut what = found(list(&d["checks"]));
        what.push(Run::Break);
        for (i, file) in list(&d["evidence"]).iter().enumerate() {
            if i > 0 {
                what.push(Run::Break);
            }
            what.push(path(file));
        }
        let description = vec![Run::Bold(name), Run::Break, Run::Text(text(&d["description"]))];
        [status(&d["status"]), description, what]
    });
    out.table("Deliverables", ["Status", "Deliverable", "What was found, and where"], rows, deliverables.len());
    let items = list(&document["before_submission"]);
    let rows = items.iter().map(|i| [status(&i["status"]), value(&i["name"]), found(list(&i["checks"]))]);
    out.table("Before submission", ["Status", "Item", "What was found"], rows, items.len());
    let missing = list(&document["missing"]);
    let rows = missing.iter().map(|m| [value(&m["what"]), value(&m["why"]), value(&m["how_to_get_it"])]);
    out.table("Missing in the package", ["Missing", "Why", "How to get it"], rows, missing.len());
    let refused = list(&document["refused"]);
    let rows = refused.iter().map(|r| [value(&r["path"]), value(&r["why"])]);
    out.table("Found and not copied", ["File", "Why"], rows, refused.len());
    Some(out)
}

fn status(value: &Value) -> Cell {
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
    let mut out = plain(format!("{hold} of {} checks hold", checks.len()));
    for check in checks.iter().filter(|c| c["ok"] != true) {
        let name = check["name"].as_str().unwrap_or_default().replace('_', " ");
        out.extend([
            Run::Break,
            Run::Pill(Tone::from(check["ok"].as_bool()), String::new()),
            Run::Text(format!(" {name}: {} ", text(&check["detail"]))),
            path(&check["file"]),
        ]);
    }
    out
}
