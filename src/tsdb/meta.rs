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

impl BlockMeta {
    /// Reads `meta.json`. The error says which key is wrong and what it holds.
    pub fn parse(bytes: &[u8]) -> Result<BlockMeta, String> {
        let raw: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
        let object = raw.as_object().ok_or("the top level is not an object")?;
        let int = |v: Option<&Value>, key: &str| -> Result<i64, String> {
            match v {
                None | Some(Value::Null) => Ok(0),
                Some(v) => v
                    .as_i64()
                    .ok_or_else(|| format!("`{key}` is {v}, not an integer")),
            }
        };
        let ulid = |v: Option<&Value>, key: &str| -> Result<Ulid, String> {
            let text = v
                .and_then(Value::as_str)
                .ok_or_else(|| format!("`{key}` is missing"))?;
            Ulid::parse(text).ok_or_else(|| format!("`{key}` is {text:?}, not a ULID"))
        };
        let list = |v: Option<&Value>| v.and_then(Value::as_array).cloned().unwrap_or_default();
        let required = |key: &str| -> Result<i64, String> {
            object
                .get(key)
                .and_then(Value::as_i64)
                .ok_or_else(|| format!("`{key}` is missing or not an integer"))
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
            return Err(format!(
                "`minTime` {min_time_ms} is after `maxTime` {max_time_ms}"
            ));
        }
        let mut sources = Vec::new();
        for s in list(of("sources")) {
            sources.push(ulid(Some(&s), "compaction.sources")?);
        }
        let mut parents = Vec::new();
        for p in list(of("parents")) {
            parents.push(Parent {
                ulid: ulid(p.get("ulid"), "compaction.parents[].ulid")?,
                min_time_ms: int(p.get("minTime"), "compaction.parents[].minTime")?,
                max_time_ms: int(p.get("maxTime"), "compaction.parents[].maxTime")?,
            });
        }
        let thanos = object.get("thanos");
        let mut external_labels: Vec<(String, String)> = thanos
            .and_then(|t| t.get("labels"))
            .and_then(Value::as_object)
            .map(|m| {
                m.iter()
                    .map(|(k, v)| {
                        (
                            k.clone(),
                            v.as_str().map_or_else(|| v.to_string(), str::to_owned),
                        )
                    })
                    .collect()
            })
            .unwrap_or_default();
        external_labels.sort();
        Ok(BlockMeta {
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
            deletable: of("deletable").and_then(Value::as_bool).unwrap_or(false),
            failed: of("failed").and_then(Value::as_bool).unwrap_or(false),
            hints: list(of("hints"))
                .iter()
                .filter_map(|h| h.as_str().map(str::to_owned))
                .collect(),
            external_labels,
            resolution_ms: int(
                thanos
                    .and_then(|t| t.get("downsample"))
                    .and_then(|d| d.get("resolution")),
                "thanos.downsample.resolution",
            )?,
            raw,
        })
    }

    /// The identities of the blocks that this one replaces; the all-zero ULID that Mimir writes names nobody.
    pub fn compaction_parents(&self) -> Vec<Ulid> {
        self.parents
            .iter()
            .map(|p| p.ulid)
            .filter(|u| *u != Ulid::from_parts(0, 0))
            .collect()
    }

    /// The block's range with both ends included. Blocks are half-open on disk; this is the one place that converts.
    pub fn interval(&self) -> Interval {
        Interval::new(
            self.min_time_ms,
            self.max_time_ms.saturating_sub(1).max(self.min_time_ms),
        )
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
        let bad =
            |from: &str, to: &str| BlockMeta::parse(text.replace(from, to).as_bytes()).unwrap_err();
        assert!(bad("\"version\":1", "\"version\":7").contains("version"));
        assert!(bad("\"minTime\":-5", "\"minTime\":50").contains("minTime"));
        assert!(bad("01M84B555R12DA5C7BXMCTXPT6", "x").contains("ULID"));
        assert!(BlockMeta::parse(b"[]").is_err() && BlockMeta::parse(b"{").is_err());
    }
}
