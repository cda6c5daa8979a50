//! `manifest.json` beside dumps: when each file was made, and the labels of its target.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::rules::check_name;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::printable;
use crate::time::{TimestampMs, parse_time};

/// The file's name. Datasets have one of the same name, and are recognized before.
pub const MANIFEST: &str = "manifest.json";

/// What a manifest says about one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) time_ms: Option<TimestampMs>,
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with file, time and labels")]
struct Stored {
    file: String,
    time: Option<Value>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The entries by file, relative to the manifest's folder: a list of objects, or one object after the other.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read it", &e))?;
    let malformed = |why: String| {
        Error::new(ErrorKind::Malformed, format!("this manifest of dumps cannot be used: {why}"))
            .at(path)
            .hint("write a list of {\"file\": …, \"time\": …, \"labels\": {…}}, or one such object on each line; if it is no manifest of dumps, --time-from name passes over it")
    };
    let mut entries = BTreeMap::new();
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        let list = match value.map_err(|e| malformed(e.to_string()))? {
            Value::Array(list) => list,
            one => vec![one],
        };
        for value in list {
            let Stored { file, time, labels } = serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?;
            labels.keys().try_for_each(|name| check_name(name)).map_err(|why| malformed(format!("{file}: {why}")))?;
            let time_ms = time.map(|t| time_of(&t)).transpose().map_err(|why| malformed(format!("{file}: {why}")))?;
            let name = file.trim_start_matches("./").to_owned();
            if entries.insert(name, Entry { time_ms, labels }).is_some() {
                return Err(malformed(format!("{} is in it twice", printable(&file))));
            }
        }
    }
    Ok(entries)
}

/// Numbers from here on are milliseconds: as seconds they would be of the year 5138 or later.
const LEAST_MS: u64 = 100_000_000_000;

/// Milliseconds with finer digits, which are cut, as Python's `time.time() * 1000` has them.
fn whole_milliseconds(n: &serde_json::Number) -> Option<i64> {
    n.as_f64().filter(|ms| (LEAST_MS as f64..9e15).contains(&ms.abs())).map(|ms| ms.floor() as i64)
}

/// RFC 3339 or Unix seconds as text; Unix seconds as a number, or milliseconds where it is too large for seconds.
fn time_of(value: &Value) -> Result<TimestampMs, String> {
    let parsed = match value {
        Value::String(text) => parse_time(text).map(|(ms, _)| ms),
        Value::Number(n) => match n.as_i64().or_else(|| whole_milliseconds(n)) {
            Some(ms) if ms.unsigned_abs() >= LEAST_MS => Ok(ms),
            _ => parse_time(&n.to_string()).map(|(ms, _)| ms),
        },
        other => return Err(format!("{other} is no time")),
    };
    parsed.map_err(|e| e.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_text_or_numbers() {
        for (text, ms) in [
            ("\"2025-11-19T12:00:00Z\"", Some(1_763_553_600_000)),
            ("\"1763553600.5\"", Some(1_763_553_600_500)),
            ("1763553600", Some(1_763_553_600_000)),
            ("1763553600.25", Some(1_763_553_600_250)),
            ("1763553600250", Some(1_763_553_600_250)),
            ("1763553600250.75", Some(1_763_553_600_250)),
            ("true", None),
            ("\"noon\"", None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            assert_eq!(time_of(&value).ok(), ms, "{text}");
        }
    }
}
