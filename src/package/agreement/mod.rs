//! What the files of the evidence bear of what its summary says: checks, verdicts, windows and lists are made again from the
//! files, and every difference is a fault. What only the source and the repository can prove is believed, and said to be.

mod documents;
mod timeline;

use serde_json::Value;

use crate::evidence::folder::{Check, Kind};
use crate::evidence::{self, SUMMARY, captures, computed, git, registry};
use crate::labels::printable;
use crate::time::{TimestampMs, isoformat, rfc3339};

use super::EVIDENCE;
use super::content::{Contents, list};
use super::gather::Fault;
use super::readme::only_prints;

/// The checks of collect that rest on more than the evidence folder.
const BELIEVED: [&str; 4] =
    ["registry_meta_parses", "registry_git_sha_in_repo", "git_sha_in_repo", "model_version_was_served"];

/// The checks of the evidence's files, made again; those that cannot be are collect's.
pub fn checks(contents: &Contents<'_>) -> Vec<Check> {
    let mut checks = again(contents);
    let said = list(&contents.evidence.summary["checks"]).iter();
    checks.extend(said.filter_map(|c| {
        let name = BELIEVED.iter().find(|name| c["name"] == **name)?;
        Some(Check::new(name, c["ok"].as_bool(), c["file"].as_str()?, text(&c["detail"])))
    }));
    checks
}

fn again(contents: &Contents<'_>) -> Vec<Check> {
    let read = |file: &str| contents.bytes(&format!("{EVIDENCE}/{file}")).ok();
    let document = |file: &str| read(file).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let registry = document(registry::FILE);
    let mut checks = Vec::new();
    if let Some(registry) = &registry {
        let [_, _, updates] = computed::DOCUMENTS;
        checks.extend(registry::checks(registry, &document(updates).unwrap_or_default()));
    }
    checks.extend(captures::checks(read, registry.as_ref()));
    checks
}

/// A text of a document, shown.
fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default())
}

/// Everything that the evidence says and its files do not bear.
pub fn faults(contents: &Contents<'_>) -> Vec<Fault> {
    let mut found = Found { contents, faults: Vec::new() };
    found.checks();
    found.lists();
    found.windows();
    found.faults.sort_by(|a, b| (&a.file, a.name).cmp(&(&b.file, b.name)));
    found.faults
}

struct Found<'a> {
    contents: &'a Contents<'a>,
    faults: Vec<Fault>,
}

impl Found<'_> {
    fn summary(&self) -> &Value {
        &self.contents.evidence.summary
    }

    fn add(&mut self, file: &str, detail: String) {
        self.faults.push(Fault { name: "evidence_contradicts", file: format!("{EVIDENCE}/{file}"), detail });
    }

    fn document(&self, file: &str) -> Option<Value> {
        self.contents.json(&format!("{EVIDENCE}/{file}")).ok()
    }

    /// Each check that can be made again is in the summary as it comes out, and no other one is.
    fn checks(&mut self) {
        let again = again(self.contents);
        let said = list(&self.summary()["checks"]).to_vec();
        for check in &again {
            let same = |c: &Value| {
                c["name"] == check.name
                    && c["file"] == *check.file
                    && c["ok"] == Value::from(check.ok)
                    && c["detail"] == *check.detail
            };
            if !said.iter().any(same) {
                let word = if check.ok == Some(true) { "holds" } else { "fails" };
                self.add(
                    &check.file,
                    format!("{} {word} ({}), and {SUMMARY} does not say so", check.name, check.detail),
                );
            }
        }
        for c in &said {
            let known = again.iter().any(|check| c["name"] == check.name && c["file"] == *check.file);
            if !known && !BELIEVED.iter().any(|name| c["name"] == *name) {
                let file = printable(c["file"].as_str().unwrap_or_default());
                self.add(&file, format!("{SUMMARY} has a check {} that its files do not give", text(&c["name"])));
            }
        }
        for (name, file, count) in self.beside() {
            let there = said.iter().filter(|c| c["name"] == name && c["file"] == file).count();
            if there != count {
                self.add(file, format!("{SUMMARY} has {there} checks {name}, and collect makes {count}"));
            }
        }
        self.served();
    }

    /// How many checks collect makes of a file beside those that can be made again.
    fn beside(&self) -> Vec<(&'static str, &'static str, usize)> {
        let asked = git::files().any(|file| self.contents.bytes(&format!("{EVIDENCE}/{file}")).is_ok());
        let mut expected = Vec::new();
        for file in [captures::SAMPLE, captures::PROVENANCE] {
            let answer = self.document(file).unwrap_or_default();
            let commit = asked && captures::text_field(&answer, "git_sha").is_some();
            expected.push(("git_sha_in_repo", file, usize::from(commit)));
            expected.push(("model_version_was_served", file, usize::from(captures::served_by(&answer).is_some())));
        }
        let registry = self.document(registry::FILE).unwrap_or_default();
        let shas = if asked { registry::git_shas(&registry).count() } else { 0 };
        expected.push(("registry_git_sha_in_repo", registry::FILE, shas));
        expected
    }

    /// A version that was served then is among those that the switch verification saw.
    fn served(&mut self) {
        let [_, _, updates] = computed::DOCUMENTS;
        let Some(updates) = self.document(updates) else { return };
        let said: Vec<Value> = list(&self.summary()["checks"]).to_vec();
        for c in said.iter().filter(|c| c["name"] == "model_version_was_served" && c["ok"] == true) {
            let file = c["file"].as_str().unwrap_or_default();
            let answer = self.document(file).unwrap_or_default();
            let Some((version, t)) = captures::served_by(&answer) else { continue };
            let spans = list(&updates["served_versions"]).iter();
            let then: Vec<&Value> = spans.filter(|s| holds(s, t)).collect();
            if !then.is_empty() && !then.iter().any(|s| s["version"] == version) {
                let others: Vec<String> = then.iter().map(|s| text(&s["version"])).collect();
                let detail = format!(
                    "{SUMMARY} says that {} was served at {}, and the updates verification saw {}",
                    printable(version),
                    rfc3339(t),
                    others.join(", ")
                );
                self.add(&printable(file), detail);
            }
        }
    }

    /// The lists of the summary are those of its files, and what belongs into the evidence is there or missing.
    fn lists(&mut self) {
        let summary = self.summary().clone();
        let files = list(&summary["files"]);
        let paths: Vec<&str> = files.iter().filter_map(|f| f["path"].as_str()).collect();
        if summary["evidence_collected"] != evidence::lists(paths.iter().copied()) {
            self.add(SUMMARY, "its evidence_collected does not list its files".to_owned());
        }
        for (file, path) in files.iter().filter_map(|f| Some((f, f["path"].as_str()?))) {
            let copied = self.contents.files.iter().find(|f| f.path == format!("{EVIDENCE}/{path}"));
            let Some(copied) = copied else { continue };
            if file["bytes"] != copied.bytes {
                let detail = format!("it has {} bytes, and {SUMMARY} says {}", copied.bytes, file["bytes"]);
                self.add(path, printable(&detail));
            }
            let kind = self.kind(path).name();
            if file["kind"] != kind {
                self.add(path, format!("it is {kind}, and {SUMMARY} says {}", text(&file["kind"])));
            }
        }
        let missing: Vec<&str> = list(&summary["missing"]).iter().filter_map(|m| m["what"].as_str()).collect();
        for file in evidence::all_files() {
            let named = missing.iter().any(|m| *m == file || (m.ends_with('/') && file.starts_with(m)));
            let listed = paths.contains(&file.as_str());
            if !listed && !named {
                self.add(&file, format!("{SUMMARY} neither lists it nor says that it is missing"));
            }
            if listed && missing.contains(&file.as_str()) {
                self.add(&file, format!("{SUMMARY} lists it and says that it is missing"));
            }
        }
    }

    /// Where the bytes of a file come from, by its place and its first line.
    fn kind(&self, path: &str) -> Kind {
        let begins = |with: &str| {
            self.contents.bytes(&format!("{EVIDENCE}/{path}")).is_ok_and(|b| b.starts_with(with.as_bytes()))
        };
        match path {
            _ if path.starts_with("availability/") || path.starts_with("model_updates/") => Kind::Computed,
            captures::METRICS if begins(evidence::exposition::RECONSTRUCTED) => Kind::Reconstructed,
            _ => Kind::Captured,
        }
    }

    /// The windows are those of the submission, and say what the documents say that answer; these agree with themselves, with
    /// each other, and with their texts.
    fn windows(&mut self) {
        let documents = computed::DOCUMENTS.map(|file| self.document(file));
        for (file, document) in computed::DOCUMENTS.iter().zip(&documents) {
            let Some(document) = document else { continue };
            let said = if document["requirement"].is_object() {
                documents::updates(document)
            } else {
                documents::availability(document)
            };
            said.into_iter().for_each(|detail| self.add(file, detail));
            if document["source"] != self.summary()["source"] {
                self.add(file, format!("its source is not that of {SUMMARY}"));
            }
            self.text(file, document);
        }
        let Some(drawn) = self.document(computed::TIMELINE) else { return };
        timeline::times(&drawn).into_iter().for_each(|detail| self.add(computed::TIMELINE, detail));
        if let Some(updates) = &documents[2] {
            for key in ["switches", "updates", "served_versions"] {
                if drawn[key] != updates[key] {
                    let [_, _, file] = computed::DOCUMENTS;
                    self.add(computed::TIMELINE, format!("its {key} are not those of {file}"));
                }
            }
        }
        let (Some(newest), Ok(submission)) = (drawn["data_until_ms"].as_i64(), self.contents.submission()) else {
            return self.add(computed::TIMELINE, "it does not say until when the data go".to_owned());
        };
        if self.summary()["windows_are"] != computed::words(submission, newest) {
            self.add(SUMMARY, "its windows_are does not say what its windows are".to_owned());
        }
        let windows = computed::windows(submission, newest);
        let said = [(SUMMARY, &self.summary()["windows"]), (computed::TIMELINE, &drawn["windows"])]
            .map(|(place, windows)| (place, windows.clone()));
        for (i, ((window, file), document)) in windows.iter().zip(computed::DOCUMENTS).zip(&documents).enumerate() {
            let Some(document) = document else { continue };
            let (start, end) = (window.span.start, window.span.end);
            let period = &document["observation_period"];
            let asked = if period.is_object() { period } else { &document["time_window"] };
            if asked["start"] != isoformat(start) || asked["end"] != isoformat(end) {
                let detail =
                    format!("it is not about {} to {}, as the submission has it", rfc3339(start), rfc3339(end));
                self.add(file, detail);
            }
            let expected = computed::window_json(window, document, newest);
            for (place, windows) in &said {
                let keys = expected.as_object().into_iter().flatten();
                let differing = keys.into_iter().find(|(key, value)| windows[i][key.as_str()] != **value);
                if let Some((key, value)) = differing {
                    let detail = format!(
                        "{key} of its window {} is {}, and {file} gives {}",
                        window.name,
                        printable(&windows[i][key.as_str()].to_string()),
                        printable(&value.to_string())
                    );
                    self.add(place, detail);
                }
            }
            if let Some(detail) = timeline::silence(document, (start, end), newest) {
                self.add(file, detail);
            }
            timeline::beside(document, asked, &drawn).into_iter().for_each(|detail| self.add(file, detail));
            self.command(file, start, end);
        }
    }

    /// The recorded command asks about the same time.
    fn command(&mut self, file: &str, start: TimestampMs, end: TimestampMs) {
        let [json, txt] = ["json", "txt"].map(|ending| file.replace(".json", &format!(".{ending}")));
        let window = format!(" --start {} --end {} ", rfc3339(start), rfc3339(end));
        let files = list(&self.summary()["files"]).to_vec();
        for f in files.iter().filter(|f| f["path"] == *json || f["path"] == *txt) {
            let command = f["command"].as_str().unwrap_or_default();
            if !only_prints(command) || !command.contains(&window) {
                let path = f["path"].as_str().unwrap_or_default();
                self.add(path, format!("the command that {SUMMARY} has does not ask about {}", window.trim()));
            }
        }
    }

    /// The report for people says what the document beside it does.
    fn text(&mut self, file: &str, document: &Value) {
        let txt = file.replace(".json", ".txt");
        let Ok(report) = self.contents.text(&format!("{EVIDENCE}/{txt}")) else { return };
        let mark = match document["verdict"].as_str() {
            Some("met") => "✅ PASS",
            Some("not_met") => "❌ FAIL",
            _ => "❔ UNKNOWN",
        };
        let window = [&document["time_window"], &document["observation_period"]].into_iter().find(|w| w.is_object());
        let edge = |key: &str| window.map_or(String::new(), |w| text(&w[key]));
        let decided = computed::decided(document)["availability_ratio"].is_number();
        let actual = document["slo_compliance"]["actual_availability"].as_f64().filter(|_| decided);
        let actual = actual.map(|percent| ("Actual:", format!("{percent:.2}%")));
        let fixed = [("Status:", mark.to_owned()), ("Start:", edge("start")), ("End:", edge("end"))];
        for (label, value) in fixed.into_iter().chain(actual) {
            let says = |line: &str| line.trim().strip_prefix(label).is_some_and(|rest| rest.trim() == value);
            if !report.lines().any(says) {
                self.add(&txt, format!("it has no line {label} {value}, as {file} has it"));
            }
        }
        for (heading, key) in [("Warnings:", "warnings"), ("Reasons:", "reasons")] {
            let behind = report.lines().skip_while(|line| *line != heading).skip(1);
            let listed: Vec<&str> = behind.map_while(|line| line.strip_prefix("  • ")).collect();
            let said: Vec<String> = list(&document[key]).iter().map(text).collect();
            if listed != said {
                self.add(&txt, format!("its {key} are not those of {file}"));
            }
        }
    }
}

/// Whether a stretch of served versions has a time.
fn holds(served: &Value, t: TimestampMs) -> bool {
    let at = |key: &str| registry::timestamp(&served[key]);
    at("start").is_some_and(|start| start <= t) && at("end").is_some_and(|end| t <= end)
}
