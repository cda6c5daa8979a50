//! `model_registry/`: every version's `meta.json`, checked against itself, the repository and the switches.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Result;
use crate::labels::printable;
use crate::time::{TimestampMs, parse_time, rfc3339};

use super::folder::{Check, Folder, Origin};
use super::git::Repo;
use super::given::Given;

pub const FILE: &str = "model_registry/versions_summary.json";
const KEYS: [&str; 7] =
    ["version", "created_at", "model_name", "git_sha", "data_snapshot_id", "artifact_sha", "metrics"];

/// Writes the summary, and gives it, where a registry was given. `updates` is `model_updates_verification.json`.
pub fn write(folder: &mut Folder, path: Option<&Path>, repo: Option<&Repo>, updates: &Value) -> Result<Option<Value>> {
    const HOW: &str = "give the folder with v*/meta.json with --registry DIR";
    let Some(path) = path else {
        folder.lacks(FILE, "no registry was given", HOW);
        return Ok(None);
    };
    let listed = folder.list("--registry", path, 1)?;
    let mut metas: Vec<(String, Given)> = Vec::new();
    for file in listed.files {
        match file.name.strip_suffix("/meta.json") {
            Some(version) => metas.push((version.to_owned(), file)),
            // Artifacts of versions belong there and are no evidence by themselves; they need no word.
            None if file.name.contains('/') => {}
            None => folder.unused.push((printable(&file.name), "it is no version's meta.json".to_owned())),
        }
    }
    for version in listed.folders.iter().filter(|f| !metas.iter().any(|(version, _)| version == *f)) {
        let what = format!("model_registry/{}/meta.json", printable(version));
        let how = "save the version's meta.json there, or give a folder with nothing but versions";
        folder.lacks(what, "this folder of --registry has no meta.json", how);
    }
    if metas.is_empty() {
        folder.lacks(FILE, "no folder in --registry has a meta.json", HOW);
        return Ok(None);
    }
    metas.sort_by_key(|(version, _)| natural(version));
    let mut versions = Vec::new();
    for (name, file) in metas {
        let parsed = file
            .read()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).map_err(|e| format!("it is no JSON: {e}")));
        let metadata = parsed.unwrap_or_else(|why| {
            folder.check("registry_meta_parses", false, FILE, format!("{}: meta.json: {why}", printable(&name)));
            json!({})
        });
        versions.push(json!({"version": name, "metadata": metadata}));
    }
    let document = json!({"versions": versions});
    folder.write(FILE, format!("{document:#}\n").as_bytes(), Origin::captured("--registry"))?;
    folder.checks.extend(checks(&document, updates));
    if let Some(repo) = repo {
        for (shown, sha) in git_shas(&document) {
            let (there, detail) = repo.commit(sha);
            folder.check("registry_git_sha_in_repo", there, FILE, format!("{shown}: {detail}"));
        }
    }
    Ok(Some(document))
}

/// The versions of `versions_summary.json`: their names and `meta.json`.
fn versions(document: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let versions = document["versions"].as_array().into_iter().flatten();
    versions.map(|v| (v["version"].as_str().unwrap_or_default(), &v["metadata"]))
}

/// What the registry knows about a version.
pub fn metadata<'a>(document: &'a Value, version: &str) -> Option<&'a Value> {
    versions(document).find(|(name, _)| *name == version).map(|(_, metadata)| metadata)
}

/// Each version's name, shown, with the commit that it says it was built from.
pub fn git_shas(document: &Value) -> impl Iterator<Item = (String, &str)> {
    let shas = versions(document).filter_map(|(name, meta)| Some((printable(name), meta["git_sha"].as_str()?)));
    shas.filter(|(_, sha)| !sha.is_empty())
}

/// The checks of `versions_summary.json` that rest on nothing but the evidence folder; `updates` is
/// `model_updates_verification.json`. `promproof package` makes them again.
pub fn checks(document: &Value, updates: &Value) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name, ok: bool, detail| checks.push(Check::new(name, ok, FILE, detail));
    for (name, meta) in versions(document) {
        let shown = printable(name);
        let (whole, detail) = keys(meta);
        check("registry_keys", whole, format!("{shown}: {detail}"));
        if let Some(version) = meta["version"].as_str().filter(|v| !v.is_empty()) {
            let detail = format!("{shown}: meta.json says {}", printable(version));
            check("registry_version_is_folder", version == name, detail);
        }
        if let Some(created) = meta.get("created_at").filter(|v| !v.is_null()) {
            let t = timestamp(created);
            let detail = match t {
                Some(t) => format!("{shown}: created at {}", rfc3339(t)),
                None => format!("{shown}: created_at is no time: {}", printable(&created.to_string())),
            };
            check("registry_created_at", t.is_some(), detail);
        }
    }
    let switches = updates["switches"].as_array().into_iter().flatten();
    let switched: BTreeSet<&str> = switches.filter_map(|s| s["to_version"].as_str()).collect();
    let absent: Vec<String> =
        switched.iter().filter(|v| metadata(document, v).is_none()).map(|v| printable(v)).collect();
    let detail = match (switched.is_empty(), absent.is_empty()) {
        (true, _) => "no version was switched to in the period".to_owned(),
        (false, true) => "every version that was switched to is in the registry".to_owned(),
        (false, false) => format!("switched to, but not in the registry: {}", absent.join(", ")),
    };
    check("switched_versions_in_registry", absent.is_empty(), detail);
    checks
}

/// Whether a version's `meta.json` says all that it should, and what it leaves out.
pub fn keys(meta: &Value) -> (bool, String) {
    let lacking: Vec<&str> = KEYS.iter().copied().filter(|key| says_nothing(meta.get(key))).collect();
    match lacking.as_slice() {
        [] if !meta["metrics"].is_object() => (false, "its metrics are no object with a number for each".to_owned()),
        [] => (true, format!("all of {}", KEYS.join(", "))),
        some => (false, format!("missing or empty: {}", some.join(", "))),
    }
}

/// What stands for nothing, in lower case.
const PLACEHOLDERS: [&str; 11] = ["n/a", "na", "none", "null", "nil", "undefined", "unknown", "todo", "tbd", "-", "?"];

/// Whether there is nothing in a value, or a word that stands for nothing.
pub fn says_nothing(value: Option<&Value>) -> bool {
    let word = value.and_then(Value::as_str).unwrap_or_default().trim().to_ascii_lowercase();
    is_empty(value) || PLACEHOLDERS.contains(&word.as_str())
}

/// Whether there is nothing in a value.
pub fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(s)) => s.trim().is_empty(),
        Some(Value::Object(o)) => o.is_empty(),
        Some(Value::Array(a)) => a.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

/// A time in JSON: text, Unix seconds, or Unix milliseconds, which no time of this century in seconds is as large as.
pub fn timestamp(value: &Value) -> Option<TimestampMs> {
    match value {
        // Python writes microseconds, and often no zone.
        Value::String(text) => parse_time(&to_milliseconds(text)).ok().map(|(t, _)| t),
        Value::Number(n) => match n.as_f64()? {
            ms if ms.abs() >= 1e11 => Some(ms as i64),
            seconds => Some((seconds * 1000.0) as i64),
        },
        _ => None,
    }
}

/// Cuts a fraction to three digits.
fn to_milliseconds(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (fraction, zone) = rest.split_at(digits);
    format!("{whole}.{}{zone}", fraction.get(..3).unwrap_or(fraction))
}

/// Text and numbers by turns, so that v0.10 comes behind v0.9.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.len() - rest.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
        let (word, behind) = rest.split_at(word);
        let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = behind.split_at(digits);
        parts.push((word.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_their_order() {
        let mut list = vec!["v0.10", "v0.9", "v1", "v0.9-b"];
        list.sort_by_key(|v| natural(v));
        assert_eq!(list, ["v0.9", "v0.9-b", "v0.10", "v1"]);
    }

    #[test]
    fn times_of_every_kind() {
        for (value, ms) in [
            (json!("2025-11-19T12:00:00.123456"), Some(1_763_553_600_123)),
            (json!("2025-11-19T12:00:00+01:00"), Some(1_763_550_000_000)),
            (json!(1_763_553_600), Some(1_763_553_600_000)),
            (json!(1_763_553_600_123_u64), Some(1_763_553_600_123)),
            (json!("soon"), None),
            (json!({}), None),
        ] {
            assert_eq!(timestamp(&value), ms, "{value}");
        }
    }
}
