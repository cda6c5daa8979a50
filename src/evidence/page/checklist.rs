//! The deliverables of a package on its page, from the document `promproof.package/1`.

use serde_json::Value;

use super::plots::{int, list};
use super::svg::escape;
use super::{mark, path, table, text};

/// How many deliverables are complete, for the first screen; nothing without a checklist.
pub fn count(document: &Value) -> String {
    if document.is_null() {
        return String::new();
    }
    let figure = |key: &str| int(&document["summary"][key]);
    let (done, all) = (figure("completed"), figure("total_deliverables"));
    let class = if done == all { "good" } else { "bad" };
    format!("<li class=\"{class}\"><b>{done}</b> of {all} deliverables complete</li>")
}

/// The section; nothing without a checklist.
pub fn section(document: &Value) -> String {
    if document.is_null() {
        return String::new();
    }
    let mut out = super::section("deliverables", "Deliverables");
    let deliverables = list(&document["deliverables"]);
    let rows = deliverables.iter().map(|d| {
        let files: Vec<String> = list(&d["evidence"]).iter().map(path).collect();
        let name = format!("{}. {}", int(&d["id"]), d["name"].as_str().unwrap_or_default());
        [
            status(&d["status"]),
            cell(&format!("<b>{}</b><br>{}", escape(&name), text(&d["description"]))),
            cell(&format!("{}<br>{}", found(list(&d["checks"])), files.join("<br>"))),
        ]
    });
    let head = ["Status", "Deliverable", "What was found, and where"];
    out.push_str(&table("Deliverables", &head, rows, deliverables.len()));
    let items = list(&document["before_submission"]);
    let rows = items.iter().map(|i| [status(&i["status"]), text(&i["name"]), cell(&found(list(&i["checks"])))]);
    out.push_str(&table("Before submission", &["Status", "Item", "What was found"], rows, items.len()));
    let missing = list(&document["missing"]);
    let rows = missing.iter().map(|m| [text(&m["what"]), text(&m["why"]), text(&m["how_to_get_it"])]);
    out.push_str(&table("Missing in the package", &["Missing", "Why", "How to get it"], rows, missing.len()));
    let refused = list(&document["refused"]);
    let rows = refused.iter().map(|r| [text(&r["path"]), text(&r["why"])]);
    out.push_str(&table("Found and not copied", &["File", "Why"], rows, refused.len()));
    out.push_str("</section>\n");
    out
}

/// Several parts as one, which stays together where a table becomes a list.
fn cell(parts: &str) -> String {
    format!("<div>{parts}</div>")
}

fn status(value: &Value) -> String {
    let word = value.as_str().unwrap_or_default();
    let class = match word {
        w if w.ends_with("Complete") => "good",
        w if w.ends_with("Incomplete") => "bad",
        _ => "unknown",
    };
    let word = word.split_once(' ').map_or(word, |(_, word)| word);
    format!("<span class=\"pill {class}\">{} {}</span>", mark(class), escape(word))
}

/// How many checks hold, and each that does not.
fn found(checks: &[Value]) -> String {
    let hold = checks.iter().filter(|c| c["ok"] == true).count();
    let mut out = format!("{hold} of {} checks hold", checks.len());
    for check in checks.iter().filter(|c| c["ok"] != true) {
        let class = if check["ok"] == false { "bad" } else { "unknown" };
        let name = check["name"].as_str().unwrap_or_default().replace('_', " ");
        out.push_str(&format!(
            "<br><span class=\"pill {class}\">{}</span> {}: {} {}",
            mark(class),
            escape(&name),
            text(&check["detail"]),
            path(&check["file"])
        ));
    }
    out
}
