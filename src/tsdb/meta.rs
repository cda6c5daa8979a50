//! `meta.json`: who a block is and what it claims to hold (`tsdb/block.go` upstream, `docs/format/meta.md`).

use serde_json::Value;

use super::ulid::Ulid;
use crate::time::Interval;

/// The largest `meta.json` that is read; Thanos' lists of files stay far below.
pub const MAX_META_BYTES: u64 = 64 << 20;

/// What `meta.json` says. Unknown keys are kept in [`BlockMeta::raw`].
#[derive(Debug, Clone, PartialEq)]
pub struct BlockMeta {
    /// The block's identity, whatever its directory is called.
    pub ulid: Ulid,
    /// First millisecond of the block.
    pub min_time_ms: i64,
    /// End of the block, exclusive.
    pub max_time_ms: i64,
    /// 1, or 2 for blocks of Prometheus 2.1 whose index header lies about its version.
    pub version: i64,
    /// Advisory counts; what a file holds is recounted.
    pub stats: BlockStats,
    /// How often the block was compacted; 1 when it came from the head.
    pub level: i64,
    /// The blocks of level 1 that went into this one.
    pub sources: Vec<Ulid>,
    /// The blocks that this one replaces.
    pub parents: Vec<Parent>,
    /// A compaction of this block gave no samples, so it may be deleted.
    pub deletable: bool,
    /// A compaction of this block failed.
    pub failed: bool,
    /// `from-out-of-order`, `from-stale-series`, `from-selected-series`, or names this release does not know.
    pub hints: Vec<String>,
    /// Thanos and Mimir: labels of the block that are not in its index, sorted.
    pub external_labels: Vec<(String, String)>,
    /// Thanos: the resolution of a downsampled block in milliseconds; 0 is raw data.
    pub resolution_ms: i64,
    /// The whole document, unknown keys included.
    pub raw: Value,
    /// What no writer produces. The file has no checksum, so a flipped bit shows here or nowhere.
    pub oddities: Vec<String>,
}

/// The counters of `meta.json`; absent ones are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockStats {
    /// All samples.
    pub samples: Option<u64>,
    /// Float samples (since 3.6).
    pub float_samples: Option<u64>,
    /// Native histogram samples (since 3.6).
    pub histogram_samples: Option<u64>,
    /// Series.
    pub series: Option<u64>,
    /// Chunks.
    pub chunks: Option<u64>,
    /// Deleted intervals.
    pub tombstones: Option<u64>,
}

/// A block that another one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its identity.
    pub ulid: Ulid,
    /// Its first millisecond.
    pub min_time_ms: i64,
    /// Its end, exclusive.
    pub max_time_ms: i64,
}

/// Keys that somebody writes: Prometheus, and at the top level Thanos and Mimir. `thanos` itself is theirs to extend.
const KNOWN_KEYS: [(&str, &[&str]); 3] = [
    ("", &["ulid", "minTime", "maxTime", "stats", "compaction", "version", "thanos", "out_of_order"]),
    ("stats", &["numSamples", "numFloatSamples", "numHistogramSamples", "numSeries", "numChunks", "numTombstones"]),
    ("compaction", &["level", "sources", "deletable", "parents", "failed", "hints"]),
];

fn of_object(raw: &Value, key: &str) -> bool {
    raw.get(key).is_some_and(Value::is_object)
}

impl BlockMeta {
    /// Reads `meta.json`. The error says which key is wrong and what it holds.
    pub fn parse(bytes: &[u8]) -> Result<BlockMeta, String> {
        let raw: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
        let object = raw.as_object().ok_or("the top level is not an object")?;
        let int = |v: Option<&Value>, key: &str| -> Result<i64, String> {
            match v {
                None | Some(Value::Null) => Ok(0),
                Some(v) => v.as_i64().ok_or_else(|| format!("`{key}` is {v}, not an integer")),
            }
        };
        let ulid = |v: Option<&Value>, key: &str| -> Result<Ulid, String> {
            let text = v.and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing"))?;
            Ulid::parse(text).ok_or_else(|| format!("`{key}` is {text:?}, not a ULID"))
        };
        // Go refuses the whole file where a known key has another type; so do we where the key decides what is served.
        let list = |v: Option<&Value>, key: &str| -> Result<Vec<Value>, String> {
            match v {
                None | Some(Value::Null) => Ok(Vec::new()),
                Some(Value::Array(items)) => Ok(items.clone()),
                Some(v) => Err(format!("`{key}` is {v}, not a list")),
            }
        };
        let flag = |v: Option<&Value>, key: &str| -> Result<bool, String> {
            match v {
                None | Some(Value::Null) => Ok(false),
                Some(v) => v.as_bool().ok_or_else(|| format!("`{key}` is {v}, not true or false")),
            }
        };
        let required = |key: &str| -> Result<i64, String> {
            object.get(key).and_then(Value::as_i64).ok_or_else(|| format!("`{key}` is missing or not an integer"))
        };
        let compaction = object.get("compaction");
        let of = |key: &str| compaction.and_then(|c| c.get(key));
        let stats = object.get("stats");
        let stat = |key: &str| stats.and_then(|s| s.get(key)).and_then(Value::as_u64);
        let version = required("version")?;
        if version != 1 && version != 2 {
            return Err(format!("`version` is {version}; 1 and 2 are known"));
        }
        let min_time_ms = required("minTime")?;
        let max_time_ms = required("maxTime")?;
        if min_time_ms > max_time_ms {
            return Err(format!("`minTime` {min_time_ms} is after `maxTime` {max_time_ms}"));
        }
        let mut sources = Vec::new();
        for s in list(of("sources"), "compaction.sources")? {
            sources.push(ulid(Some(&s), "compaction.sources")?);
        }
        let mut parents = Vec::new();
        for p in list(of("parents"), "compaction.parents")? {
            parents.push(Parent {
                ulid: ulid(p.get("ulid"), "compaction.parents[].ulid")?,
                min_time_ms: int(p.get("minTime"), "compaction.parents[].minTime")?,
                max_time_ms: int(p.get("maxTime"), "compaction.parents[].maxTime")?,
            });
        }
        for (key, v) in [("compaction", compaction), ("stats", stats)] {
            if let Some(v) = v.filter(|v| !v.is_object() && !v.is_null()) {
                return Err(format!("`{key}` is {v}, not an object"));
            }
        }
        let mut hints = Vec::new();
        for h in list(of("hints"), "compaction.hints")? {
            match h {
                Value::String(h) => hints.push(h),
                h => return Err(format!("`compaction.hints` holds {h}, not a string")),
            }
        }
        let thanos = object.get("thanos");
        let mut external_labels: Vec<(String, String)> = thanos
            .and_then(|t| t.get("labels"))
            .and_then(Value::as_object)
            .map(|m| {
                m.iter().map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect()
            })
            .unwrap_or_default();
        external_labels.sort();
        let mut meta = BlockMeta {
            ulid: ulid(object.get("ulid"), "ulid")?,
            min_time_ms,
            max_time_ms,
            version,
            stats: BlockStats {
                samples: stat("numSamples"),
                float_samples: stat("numFloatSamples"),
                histogram_samples: stat("numHistogramSamples"),
                series: stat("numSeries"),
                chunks: stat("numChunks"),
                tombstones: stat("numTombstones"),
            },
            level: int(of("level"), "compaction.level")?,
            sources,
            parents,
            deletable: flag(of("deletable"), "compaction.deletable")?,
            failed: flag(of("failed"), "compaction.failed")?,
            hints,
            external_labels,
            resolution_ms: int(
                thanos.and_then(|t| t.get("downsample")).and_then(|d| d.get("resolution")),
                "thanos.downsample.resolution",
            )?,
            raw,
            oddities: Vec::new(),
        };
        meta.oddities = meta.find_oddities();
        Ok(meta)
    }

    /// Checks that need nothing but the file itself (`tsdb/compact.go: CompactBlockMetas` and `Write` upstream).
    fn find_oddities(&self) -> Vec<String> {
        let mut odd: Vec<String> =
            self.unknown_keys().iter().map(|key| format!("the key `{key}` is unknown and was ignored")).collect();
        odd.extend(self.contradictions());
        if self.deletable && self.stats.samples.is_some_and(|n| n > 0) {
            odd.push("the block is marked deletable although it holds samples".to_owned());
        }
        odd
    }

    /// Keys that no writer is known to write, with the object that holds them before a dot.
    pub fn unknown_keys(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        for (place, known) in KNOWN_KEYS {
            let object = if place.is_empty() { Some(&self.raw) } else { self.raw.get(place) };
            for key in object.and_then(Value::as_object).into_iter().flat_map(|o| o.keys()) {
                if !known.contains(&key.as_str()) {
                    let dot = if place.is_empty() { "" } else { "." };
                    unknown.push(format!("{place}{dot}{key}"));
                }
            }
        }
        unknown
    }

    /// What contradicts itself inside the file: counts that are none, ranges, levels, sources and parents that do not
    /// belong together.
    pub fn contradictions(&self) -> Vec<String> {
        let mut odd = Vec::new();
        for (key, value) in self.raw.get("stats").and_then(Value::as_object).into_iter().flatten() {
            if value.as_u64().is_none() && !value.is_null() && KNOWN_KEYS.iter().any(|(_, k)| k.contains(&key.as_str()))
            {
                odd.push(format!("`stats.{key}` is {value}, not a count"));
            }
        }
        let parents: Vec<&Parent> = self.parents.iter().filter(|p| p.ulid != Ulid::from_parts(0, 0)).collect();
        // Some parents carry no range: the head that out-of-order blocks name as theirs.
        let ranged = || parents.iter().filter(|p| (p.min_time_ms, p.max_time_ms) != (0, 0));
        let start = ranged().map(|p| p.min_time_ms).min();
        let end = ranged().map(|p| p.max_time_ms).max();
        if let (Some(start), Some(end)) = (start, end)
            && (start, end) != (self.min_time_ms, self.max_time_ms)
        {
            odd.push(format!(
                "the block says that it covers {} to {} ms, its parents cover {start} to {end} ms",
                self.min_time_ms, self.max_time_ms
            ));
        }
        if self.level > 1 && parents.is_empty() && self.parents.is_empty() {
            odd.push(format!(
                "the block is of compaction level {} and names no parents, so blocks that it replaces would count again",
                self.level
            ));
        }
        // Blocks of level 1 are their own only source, so those of level 2 list every parent among the sources.
        for p in parents.iter().filter(|_| self.level == 2) {
            if !self.sources.is_empty() && !self.sources.contains(&p.ulid) {
                odd.push(format!(
                    "the parent {} is not among the block's sources, as it should be at compaction level 2",
                    p.ulid
                ));
            }
        }
        for s in self.sources.iter().filter(|_| self.level == 2) {
            if !parents.is_empty() && !parents.iter().any(|p| p.ulid == *s) {
                odd.push(format!(
                    "the source {s} is not among the block's parents, as it should be at compaction level 2"
                ));
            }
        }
        if self.level == 1 && !self.sources.is_empty() && self.sources != [self.ulid] {
            odd.push(format!("the block {} is of compaction level 1 and not its own only source", self.ulid));
        }
        if self.level < 1 && of_object(&self.raw, "compaction") {
            odd.push(format!("`compaction.level` is {}", self.level));
        }
        odd
    }

    /// Hints that this release does not know.
    pub fn unknown_hints(&self) -> impl Iterator<Item = &str> {
        let known = ["from-out-of-order", "from-stale-series", "from-selected-series"];
        self.hints.iter().map(String::as_str).filter(move |h| !known.contains(h))
    }

    /// The identities of the blocks that this one replaces; the all-zero ULID that Mimir writes names nobody.
    pub fn compaction_parents(&self) -> Vec<Ulid> {
        self.parents.iter().map(|p| p.ulid).filter(|u| *u != Ulid::from_parts(0, 0)).collect()
    }

    /// Whether the block was not cut from the head in order, so that its end says nothing about where the head begins
    /// (`tsdb/db.go: inOrderBlocksMaxTime`).
    pub fn lies_beside_the_head(&self) -> bool {
        self.hints
            .iter()
            .any(|h| ["from-out-of-order", "from-stale-series", "from-selected-series"].contains(&h.as_str()))
    }

    /// Whether the block holds samples that came too late for the head.
    pub fn is_out_of_order(&self) -> bool {
        self.hints.iter().any(|h| h == "from-out-of-order")
    }

    /// The block's range with both ends included. Blocks are half-open on disk; this is the one place that converts.
    pub fn interval(&self) -> Interval {
        Interval::new(self.min_time_ms, self.max_time_ms.saturating_sub(1).max(self.min_time_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_stay_and_wrong_ones_are_named() {
        let text = r#"{"ulid":"01M84B555R12DA5C7BXMCTXPT6","minTime":-5,"maxTime":10,"version":1,"new":{"x":1},
            "stats":{"numSamples":3},"compaction":{"level":2,"hints":["from-out-of-order"],"parents":[{"ulid":"00000000000000000000000000","minTime":0,"maxTime":0}]},
            "thanos":{"labels":{"replica":"a","cluster":"c"},"downsample":{"resolution":300000}}}"#;
        let meta = BlockMeta::parse(text.as_bytes()).unwrap();
        assert_eq!(meta.interval(), Interval::new(-5, 9));
        assert_eq!(meta.stats.samples, Some(3));
        assert_eq!(meta.raw["new"]["x"], 1);
        assert_eq!(meta.external_labels[0].0, "cluster");
        assert_eq!(meta.resolution_ms, 300_000);
        let bad = |from: &str, to: &str| BlockMeta::parse(text.replace(from, to).as_bytes()).unwrap_err();
        assert!(bad("\"version\":1", "\"version\":7").contains("version"));
        assert!(bad("\"minTime\":-5", "\"minTime\":50").contains("minTime"));
        assert!(bad("01M84B555R12DA5C7BXMCTXPT6", "x").contains("ULID"));
        assert!(BlockMeta::parse(b"[]").is_err() && BlockMeta::parse(b"{").is_err());
    }

    #[test]
    fn what_no_writer_produces_is_odd() {
        let good = r#"{"ulid":"01M89YB0KY3HFCEWR5CDW6RXJN","minTime":0,"maxTime":20,"version":1,
            "stats":{"numSamples":3,"numSeries":1},"thanos":{"anything":1},
            "compaction":{"level":2,"sources":["01M89YB0K2SJAD3ZPFPK99CF2H","01M89YB0KJ5RGQCF656ZB3DJYC"],"parents":[
            {"ulid":"01M89YB0K2SJAD3ZPFPK99CF2H","minTime":0,"maxTime":10},
            {"ulid":"01M89YB0KJ5RGQCF656ZB3DJYC","minTime":10,"maxTime":20}]}}"#;
        let odd = |from: &str, to: &str| {
            let text = good.replacen(from, to, 1);
            BlockMeta::parse(text.as_bytes()).map(|m| m.oddities.join("; ")).unwrap()
        };
        assert_eq!(odd("", ""), "");
        for (from, to, why) in [
            ("parents", "parentr", "compaction.parentr"),
            ("parents", "parentr", "names no parents"),
            ("numSeries", "numserieS", "stats.numserieS"),
            ("stats", "ctats", "`ctats`"),
            ("\"numSamples\":3", "\"numSamples\":-3", "not a count"),
            ("\"maxTime\":20", "\"maxTime\":30", "its parents cover"),
            ("9CF2H\",\"minTime", "9CF2J\",\"minTime", "not among the block's sources"),
            ("9CF2H\",\"01", "9CF2J\",\"01", "not among the block's parents"),
            ("\"level\":2,", "\"level\":1,", "own only source"),
            ("\"level\":2,", "\"level\":2,\"deletable\":true,", "deletable"),
        ] {
            assert!(odd(from, to).contains(why), "{to}: {}", odd(from, to));
        }
        // A type that Go refuses would otherwise quietly be the default.
        for (from, to) in [
            ("\"level\":2,", "\"level\":2,\"deletable\":1,"),
            ("\"sources\":[", "\"hints\":[1],\"sources\":["),
            ("\"sources\":[", "\"hints\":\"x\",\"sources\":["),
            ("\"compaction\":{", "\"compaction\":3,\"x\":{"),
        ] {
            assert!(BlockMeta::parse(good.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }
}
