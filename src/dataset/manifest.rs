//! `manifest.json`: what a dataset was made of, what is in it, and the digests by which damage is noticed.
//!
//! The manifest ends with a digest of itself. It names every file with its length and digest, and where the footer of a
//! file of samples begins; that footer has the checksum of each row group. So every byte of a dataset is covered, and a
//! question reads and checks only the row groups that it needs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::loss::Loss;
use crate::raw::hex;

/// The name of the file.
pub const MANIFEST: &str = "manifest.json";
/// What `format` says.
pub const DATASET_FORMAT: &str = "promproof-dataset";
/// The version of the format that is written; older ones are read, newer ones are refused.
pub const FORMAT_VERSION: u32 = 1;
/// More than this is no manifest of ours.
const MAX_MANIFEST_BYTES: u64 = 1 << 30;
/// What stands before the digest at the end.
const SEAL: &str = ",\n  \"manifest_sha256\": \"";

/// The content of `manifest.json`. Times are milliseconds since the epoch, both ends included unless said otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`DATASET_FORMAT`].
    pub format: String,
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// SHA-256 over the digests of the source's files and the options: the same for all shards of one conversion.
    pub dataset_id: String,
    /// Name and version of the program.
    pub tool: Value,
    /// The source with its files and their digests.
    pub source: Value,
    /// The release whose rules decided what is served, and whether another one would have served something else.
    pub semantics: String,
    /// Whether another release would replay the source's logs to something else.
    pub depends_on_release: bool,
    /// `served` or `union`.
    pub view: String,
    /// `simple` or `compact`.
    pub layout: String,
    /// `none` or `day`.
    pub partition: String,
    /// First time that was converted; null without a bound.
    pub start_ms: Option<i64>,
    /// Last time that was converted; null without a bound.
    pub end_ms: Option<i64>,
    /// The selectors of the series that were converted; empty for all.
    pub matches: Vec<String>,
    /// Which part of the series this folder holds; null for all.
    pub shard: Option<Shard>,
    /// Series in the dataset, all shards together.
    pub series: u64,
    /// Series in this folder.
    pub series_here: u64,
    /// Float samples, stale markers included.
    pub float_samples: u64,
    /// Stale markers among them.
    pub stale_samples: u64,
    /// Native histograms.
    pub histogram_samples: u64,
    /// Samples that deletions hide.
    pub deleted_samples: u64,
    /// Samples that another part of the source repeats.
    pub duplicate_samples: u64,
    /// Lost samples; null where some of `losses` could not be counted.
    pub lost_samples: Option<u64>,
    /// Times at which parts of the source contradict each other; `conflicts` of the series table has them.
    pub conflicting_samples: u64,
    /// First and last time of any sample of the source, before any selection.
    pub covered_ms: Option<(i64, i64)>,
    /// The blocks' times, the end not included.
    pub blocks_ms: Vec<(i64, i64)>,
    /// The head, where there was one.
    pub head: Option<HeadEntry>,
    /// Columns of the series table that hold one label each: label name to column name.
    pub label_columns: BTreeMap<String, String>,
    /// Labels that are in `labels` only, and why.
    pub labels_without_column: BTreeMap<String, String>,
    /// What was lost of the source.
    pub losses: Vec<LossEntry>,
    /// What was odd about the source.
    pub notes: Vec<String>,
    /// The files.
    pub files: Vec<FileEntry>,
}

/// Where the data directory's head was, for the order of sums (reading rules of `source::SumOrder`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadEntry {
    /// First and last sample that came in order.
    pub in_order_ms: Option<(i64, i64)>,
    /// First and last sample that came out of order.
    pub out_of_order_ms: Option<(i64, i64)>,
}

/// Shard `index` of `count`: the series from `first_series` to before `end_series`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
    /// The first series of it.
    pub first_series: i64,
    /// The first series of the next one.
    pub end_series: i64,
}

/// A [`Loss`] of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossEntry {
    /// The file in the source.
    pub file: String,
    /// Byte offset in it.
    pub offset: Option<u64>,
    /// The kind, as in `losses[].kind` of every document.
    pub kind: String,
    /// What was expected and what was found.
    pub detail: String,
    /// The series by its id; null where it cannot be told, is all of them, or is none of this dataset.
    pub series_id: Option<i64>,
    /// First time that may be missing.
    pub start_ms: Option<i64>,
    /// Last time that may be missing.
    pub end_ms: Option<i64>,
    /// How many samples, where that is known.
    pub samples: Option<u64>,
}

impl LossEntry {
    /// The entry for a loss of the series `series_id`.
    pub fn new(loss: &Loss, series_id: Option<i64>) -> LossEntry {
        LossEntry {
            file: loss.file.clone(),
            offset: loss.offset,
            kind: loss.kind.name().to_owned(),
            detail: loss.detail.clone(),
            series_id,
            start_ms: loss.interval.map(|i| i.start),
            end_ms: loss.interval.map(|i| i.end),
            samples: loss.samples,
        }
    }
}

/// A file of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path in the dataset, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Its rows.
    pub rows: u64,
    /// First and last series with a row in it.
    pub series: Option<(i64, i64)>,
    /// Earliest and latest time of a row in it.
    pub times_ms: Option<(i64, i64)>,
    /// The footer of a file of samples.
    pub footer: Option<FooterDigest>,
}

/// The end of a Parquet file, behind its row groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FooterDigest {
    /// Where it begins.
    pub from: u64,
    /// The SHA-256 of the bytes from there to the end.
    pub sha256: String,
}

impl Manifest {
    /// The text of the file: JSON, sealed with its own digest.
    pub fn to_text(&self) -> Result<String> {
        let unwritable = |e| Error::new(ErrorKind::Io, format!("the manifest cannot be written: {e}"));
        let mut text = serde_json::to_string_pretty(self).map_err(unwritable)?;
        text.truncate(text.trim_end_matches(['\n', '}']).len());
        let digest = hex(&Sha256::digest(text.as_bytes()));
        text.push_str(SEAL);
        text.push_str(&digest);
        text.push_str("\"\n}\n");
        Ok(text)
    }

    /// Reads the manifest in the folder `dir`, its seal verified.
    pub fn read(dir: &Path) -> Result<Manifest> {
        let path = dir.join(MANIFEST);
        let size = std::fs::metadata(&path).map_err(|e| Error::io(&path, "open it", &e))?.len();
        if size > MAX_MANIFEST_BYTES {
            let message = format!("{size} bytes; a manifest has at most {MAX_MANIFEST_BYTES}");
            return Err(Error::new(ErrorKind::Malformed, message).at(&path));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read it", &e))?;
        Manifest::parse(&text).map_err(|e| e.at(&path))
    }

    /// Reads the text of a manifest, its seal verified.
    pub fn parse(text: &str) -> Result<Manifest> {
        let altered = |what: String| {
            Error::new(ErrorKind::Checksum, what).hint("the manifest was cut or altered; convert the source again")
        };
        let Some((content, seal)) = text.rsplit_once(SEAL) else {
            return Err(altered("it does not end with its own digest".to_owned()));
        };
        let computed = hex(&Sha256::digest(content.as_bytes()));
        if seal != format!("{computed}\"\n}}\n") {
            return Err(altered(format!("its digest is {computed}, and it claims another one")));
        }
        let malformed = |e| Error::new(ErrorKind::Malformed, format!("it is no manifest of this release: {e}"));
        let manifest: Manifest = serde_json::from_str(&format!("{content}\n}}")).map_err(malformed)?;
        if manifest.format != DATASET_FORMAT || manifest.format_version > FORMAT_VERSION {
            let found = format!("{} version {}", manifest.format, manifest.format_version);
            return Err(Error::new(ErrorKind::Unsupported, format!("format {found} is not known"))
                .hint("use the release of promproof that wrote it, or convert the source again"));
        }
        Ok(manifest)
    }
}
