//! `model_registry/`: every version's `meta.json`, checked against itself, the repository and the switches.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Result;
use crate::labels::printable;
use crate::time::{TimestampMs, parse_time, rfc3339};
use crate::windows::switches::ModelUpdates;

use super::folder::{Folder, Origin};
use super::git::Repo;
use super::given::{Given, list};

pub const FILE: &str = "model_registry/versions_summary.json";
const KEYS: [&str; 7] =
    ["version", "created_at", "model_name", "git_sha", "data_snapshot_id", "artifact_sha", "metrics"];

/// Writes the summary. Gives the versions, where a registry was given.
pub fn write(
    folder: &mut Folder,
    path: Option<&Path>,
    repo: Option<&Repo>,
    updates: &ModelUpdates,
) -> Result<Option<Vec<String>>> {
    let Some(path) = path else {
        folder.lacks(FILE, "no registry was given", "give the folder with v*/meta.json with --registry DIR");
        return Ok(None);
    };
    let mut unrelated = Vec::new();
    let mut metas: Vec<(String, Given)> = Vec::new();
    for file in list(&mut folder.unused, "--registry", path, 1)? {
        match file.name.strip_suffix("/meta.json") {
            Some(version) => metas.push((version.to_owned(), file)),
            None => unrelated.push(file.name),
        }
    }
    // Artifacts of versions belong there and are no evidence by themselves; they need no word.
    let stray = unrelated.iter().filter(|name| !name.contains('/'));
    folder.unused.extend(stray.map(|name| (printable(name), "it is no version's meta.json".to_owned())));
    if metas.is_empty() {
        folder.lacks(
            FILE,
            "no folder in --registry has a meta.json",
            "give the folder with v*/meta.json with --registry DIR",
        );
        return Ok(Some(Vec::new()));
    }
    metas.sort_by_key(|(version, _)| natural(version));
    let mut versions = Vec::new();
    let mut names = Vec::new();
    for (name, file) in metas {
        let parsed = file.read().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).map_err(|e| e.to_string()));
        let shown = printable(&name);
        match parsed {
            Ok(metadata) => {
                check_meta(folder, &name, &metadata, repo);
                versions.push(json!({"version": name, "metadata": metadata}));
            }
            Err(why) => {
                folder.check("registry_meta_parses", false, FILE, format!("{shown}: meta.json is no JSON: {why}"));
                versions.push(json!({"version": name, "metadata": {}}));
            }
        }
        names.push(name);
    }
    folder.write(FILE, format!("{:#}\n", json!({"versions": versions})).as_bytes(), Origin::captured("--registry"))?;
    let switched: BTreeSet<&str> = updates.switches.iter().map(|s| s.to_version.as_str()).collect();
    let absent: Vec<String> =
        switched.iter().filter(|v| !names.iter().any(|n| n == **v)).map(|v| printable(v)).collect();
    let detail = match (switched.is_empty(), absent.is_empty()) {
        (true, _) => "no version was switched to in the period".to_owned(),
        (false, true) => "every version that was switched to is in the registry".to_owned(),
        (false, false) => format!("switched to, but not in the registry: {}", absent.join(", ")),
    };
    folder.check("switched_versions_in_registry", absent.is_empty(), FILE, detail);
    Ok(Some(names))
}

fn check_meta(folder: &mut Folder, name: &str, meta: &Value, repo: Option<&Repo>) {
    let shown = printable(name);
    let (whole, detail) = keys(meta);
    folder.check("registry_keys", whole, FILE, format!("{shown}: {detail}"));
    let text = |key: &str| meta.get(key).and_then(Value::as_str).unwrap_or_default();
    if !text("version").is_empty() {
        let detail = format!("{shown}: meta.json says {}", printable(text("version")));
        folder.check("registry_version_is_folder", text("version") == name, FILE, detail);
    }
    if let Some(created) = meta.get("created_at").filter(|v| !v.is_null()) {
        let t = timestamp(created);
        let detail = match t {
            Some(t) => format!("{shown}: created at {}", rfc3339(t)),
            None => format!("{shown}: created_at is no time: {}", printable(&created.to_string())),
        };
        folder.check("registry_created_at", t.is_some(), FILE, detail);
    }
    if let (Some(repo), sha @ [_, ..]) = (repo, text("git_sha").as_bytes()) {
        let sha = String::from_utf8_lossy(sha);
        let there = repo.has_commit(&sha);
        let word = if there { "a commit of --repo" } else { "no commit of --repo" };
        let detail = format!("{shown}: git_sha {} is {word}", printable(&sha));
        folder.check("registry_git_sha_in_repo", there, FILE, detail);
    }
}

/// Whether a version's `meta.json` says all that it should, and what it leaves out.
pub fn keys(meta: &Value) -> (bool, String) {
    let lacking: Vec<&str> = KEYS.iter().copied().filter(|key| is_empty(meta.get(key))).collect();
    match lacking.as_slice() {
        [] => (true, format!("all of {}", KEYS.join(", "))),
        some => (false, format!("missing or empty: {}", some.join(", "))),
    }
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
