//! [`Dataset`]: a dataset opened again, with all of its shards.
//!
//! Opening reads the manifest, the series and the footers; row groups are read when they are asked for, each as one piece
//! whose checksum is verified before anything in it is believed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{BoolType, DataType, DoubleType, Int64Type as Int64};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::manifest::{FileEntry, MANIFEST, Manifest};
use super::part::{DATASET_KEY, GROUPS_KEY};
use super::schema::column;
use super::series::{SeriesRecord, labels_of};
use super::{histograms, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::loss::{Ledger, Loss};
use crate::raw::{crc32c, hex};
use crate::sample::STALE_NAN_BITS;
use crate::selector::{Matcher, Selector};
use crate::time::Interval;
use crate::tsdb::run::Run;

/// Rows in a row group of samples, at most: twice of what is aimed at.
const MOST_ROWS: i64 = 1 << 19;

/// An opened dataset.
#[derive(Debug)]
pub struct Dataset {
    /// What the manifest says; of shards, the first one's.
    pub manifest: Manifest,
    /// The folders that hold it: one, or one per shard that is there.
    pub folders: Vec<Folder>,
    /// Its series, in label order.
    pub series: Vec<SeriesRow>,
    /// Its samples, in the order of series and time; days one after the other.
    pub groups: Vec<Group>,
    /// What was lost or odd.
    pub opening: Ledger,
}

/// A folder with a manifest.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub dir: PathBuf,
    /// The same relative to the dataset, with `/`; empty where it is the dataset itself.
    pub rel: String,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Folder {
    /// The path of one of its files, relative to the dataset.
    pub fn file(&self, name: &str) -> String {
        if self.rel.is_empty() { name.to_owned() } else { format!("{}/{name}", self.rel) }
    }
}

/// A series of a dataset.
#[derive(Debug, Clone)]
pub struct SeriesRow {
    /// What its row says.
    pub record: SeriesRecord,
    /// What was lost of it.
    pub losses: Vec<Loss>,
}

/// A row group with samples, or a file whose row groups cannot be found.
#[derive(Debug)]
pub struct Group {
    /// The file, relative to the dataset.
    pub file: String,
    /// First and last series.
    pub series: (i64, i64),
    /// Earliest and latest time.
    pub times: Interval,
    /// Rows.
    pub rows: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Float samples: a row group of a file.
    Floats { path: PathBuf, footer: Arc<ParquetMetaData>, group: usize, crc: u32 },
    /// Native histograms: a whole file.
    Histograms { path: PathBuf, sha256: String, bytes: u64 },
    /// Nothing that can be read.
    Lost(ErrorKind, String),
}

impl Group {
    /// Whether it holds native histograms.
    pub fn is_histograms(&self) -> bool {
        matches!(self.content, Content::Histograms { .. })
    }

    fn lost(entry: &FileEntry, file: String, kind: ErrorKind, detail: String) -> Option<Group> {
        let (start, end) = entry.times_ms?;
        let content = Content::Lost(kind, detail);
        Some(Group { file, series: entry.series?, times: Interval::new(start, end), rows: entry.rows, content })
    }

    /// The samples of `wanted` (ascending) in this group, in the order of the rows; the loss if it cannot be read.
    pub fn read(&self, wanted: &[i64]) -> Result<Vec<(i64, Run)>, Box<Loss>> {
        let found = match &self.content {
            Content::Floats { path, footer, group, crc } => read_group(path, footer, *group, *crc, wanted),
            Content::Histograms { path, sha256, bytes } => read_histograms(path, sha256, *bytes, wanted),
            Content::Lost(kind, detail) => Err((None, *kind, detail.clone())),
        };
        found.map_err(|(offset, kind, detail)| {
            Box::new(Loss {
                file: self.file.clone(),
                offset,
                kind,
                detail,
                series: None,
                interval: Some(self.times),
                samples: Some(self.rows),
            })
        })
    }
}

/// Where a file is damaged, how, and in words.
type Damage = (Option<u64>, ErrorKind, String);

fn damaged(e: ParquetError) -> Damage {
    (None, ErrorKind::Malformed, format!("it cannot be decoded: {e}"))
}

fn unreadable(e: &std::io::Error) -> Damage {
    (None, ErrorKind::Io, format!("it cannot be read: {}", crate::error::plain_io(e)))
}

impl Dataset {
    /// The folders of the dataset in `dir`: itself, or those of its shards. `None` where there is no dataset.
    pub fn folders(dir: &Path) -> Result<Option<Vec<PathBuf>>> {
        if is_manifest(&dir.join(MANIFEST)) {
            return Ok(Some(vec![dir.to_path_buf()]));
        }
        let mut shards = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, "list it", &e))? {
            let entry = entry.map_err(|e| Error::io(dir, "list it", &e))?;
            let is_shard = entry.file_name().to_string_lossy().starts_with("shard-");
            if is_shard && is_manifest(&entry.path().join(MANIFEST)) {
                shards.push(entry.path());
            }
        }
        shards.sort();
        Ok((!shards.is_empty()).then_some(shards))
    }

    /// Opens the dataset in `dir`. Errs where a manifest cannot be used or the shards are not of one dataset; damage to
    /// other files is a loss.
    pub fn open(dir: &Path) -> Result<Dataset> {
        let dirs = Dataset::folders(dir)?
            .ok_or_else(|| Error::new(ErrorKind::Missing, "there is no manifest.json of a dataset").at(dir))?;
        let mut folders = Vec::new();
        for folder in dirs {
            let manifest = Manifest::read(&folder)?;
            let rel = folder.strip_prefix(dir).unwrap_or(Path::new("")).to_string_lossy().replace('\\', "/");
            folders.push(Folder { dir: folder, rel, manifest });
        }
        let manifest = one_dataset(dir, &folders)?;
        if manifest.view != "served" {
            let message =
                "the dataset holds every sample on disk, repeated and refused ones too, and no answer rests on those";
            return Err(Error::new(ErrorKind::Unsupported, message)
                .at(dir)
                .hint("convert the source again without --view union"));
        }
        let mut dataset =
            Dataset { manifest, folders, series: Vec::new(), groups: Vec::new(), opening: Ledger::default() };
        dataset.open_series();
        dataset.open_groups();
        dataset.add_losses();
        dataset.note_missing_shards();
        Ok(dataset)
    }

    /// The times of all samples in it.
    pub fn interval(&self) -> Option<Interval> {
        self.series.iter().filter_map(|s| s.record.times).reduce(Interval::hull)
    }

    /// The groups that may have samples of a series, by position.
    pub fn groups_of(&self, series: i64) -> impl Iterator<Item = (usize, &Group)> {
        self.groups.iter().enumerate().filter(move |(_, g)| (g.series.0..=g.series.1).contains(&series))
    }

    /// The times that the groups have of a series, group by group.
    pub fn pieces(&self, of: &SeriesRecord) -> Vec<Interval> {
        let Some(times) = of.times else { return Vec::new() };
        let clipped = |g: &Group| Interval::new(g.times.start.max(times.start), g.times.end.min(times.end));
        self.groups_of(of.id).map(|(_, g)| clipped(g)).filter(|i| i.start <= i.end).collect()
    }

    /// The loss that a question about `matchers` meets where it may ask for series that were not converted.
    pub fn beyond(&self, matchers: &[Matcher]) -> Option<Loss> {
        let implied = |d: &Matcher| {
            let equal = |q: &&Matcher| q.name() == d.name() && q.equal_value().is_some_and(|v| d.matches(v));
            matchers.contains(d) || matchers.iter().find(equal).is_some()
        };
        let covered = |text: &String| Selector::parse(text).is_ok_and(|s| s.matchers().iter().all(implied));
        // Who asks for everything asks for what there is.
        if matchers.is_empty() || self.manifest.matches.is_empty() || self.manifest.matches.iter().any(covered) {
            return None;
        }
        let asked: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        Some(Loss {
            file: MANIFEST.to_owned(),
            offset: None,
            kind: ErrorKind::Missing,
            detail: format!(
                "only {} was converted, and {{{}}} may match more; convert the source without --match, or with one for this",
                self.manifest.matches.join(" and "),
                asked.join(", ")
            ),
            series: None,
            interval: self.manifest.covered_ms.map(|(a, b)| Interval::new(a, b)),
            samples: None,
        })
    }

    /// What `range` asks for beyond the times that were converted. An open end asks for what there is.
    pub fn outside(&self, range: Interval) -> Vec<Loss> {
        let Manifest { start_ms, end_ms, .. } = self.manifest;
        let before = start_ms.filter(|s| range.start != i64::MIN && range.start < *s);
        let after = end_ms.filter(|e| range.end != i64::MAX && range.end > *e);
        let gaps = before.map(|s| Interval::new(range.start, range.end.min(s.saturating_sub(1))));
        let gaps =
            gaps.into_iter().chain(after.map(|e| Interval::new(range.start.max(e.saturating_add(1)), range.end)));
        gaps.map(|gap| Loss {
            file: MANIFEST.to_owned(),
            offset: None,
            kind: ErrorKind::Missing,
            detail: "these times were not converted; convert the source with other --start and --end".to_owned(),
            series: None,
            interval: Some(gap),
            samples: None,
        })
        .collect()
    }

    /// Where nothing is known of any series, because it was not converted.
    pub fn unknown(&self) -> impl Iterator<Item = Interval> {
        let Manifest { start_ms, end_ms, .. } = self.manifest;
        let before = start_ms.map(|s| Interval::new(i64::MIN, s.saturating_sub(1)));
        before.into_iter().chain(end_ms.map(|e| Interval::new(e.saturating_add(1), i64::MAX)))
    }

    fn open_series(&mut self) {
        let files: Vec<(&Folder, &FileEntry)> =
            self.folders.iter().flat_map(|f| files_below(f, "series/").map(move |e| (f, e))).collect();
        let read: Vec<Result<Vec<SeriesRecord>, Damage>> =
            files.par_iter().map(|(folder, entry)| read_series(&folder.dir.join(&entry.path), entry)).collect();
        let (mut series, mut losses) = (Vec::new(), Vec::new());
        for ((folder, entry), read) in files.into_iter().zip(read) {
            match read {
                Ok(records) => {
                    series.extend(records.into_iter().map(|record| SeriesRow { record, losses: Vec::new() }));
                }
                Err((offset, kind, detail)) => losses.push(Loss {
                    file: folder.file(&entry.path),
                    offset,
                    kind,
                    detail: format!("{detail}; the samples of its {} series have no name", entry.rows),
                    series: None,
                    interval: entry.times_ms.map(|(a, b)| Interval::new(a, b)),
                    samples: None,
                }),
            }
        }
        self.series = series;
        self.opening.losses = losses;
        self.series.sort_by_key(|s| s.record.id);
    }

    fn open_groups(&mut self) {
        let files: Vec<(&Folder, &FileEntry)> = self
            .folders
            .iter()
            .flat_map(|f| files_below(f, "samples/").chain(files_below(f, "histograms/")).map(move |e| (f, e)))
            .collect();
        let groups: Vec<Vec<Group>> = files.par_iter().map(|(folder, entry)| groups_in(folder, entry)).collect();
        self.groups = groups.into_iter().flatten().collect();
    }

    /// What was lost of the source stays lost.
    fn add_losses(&mut self) {
        for folder in &self.folders {
            for entry in &folder.manifest.losses {
                let loss = Loss {
                    file: entry.file.clone(),
                    offset: entry.offset,
                    kind: ErrorKind::by_name(&entry.kind).unwrap_or(ErrorKind::Malformed),
                    detail: entry.detail.clone(),
                    series: None,
                    interval: entry.start_ms.zip(entry.end_ms).map(|(a, b)| Interval::new(a, b)),
                    samples: entry.samples,
                };
                let of = entry.series_id.and_then(|id| {
                    self.series.binary_search_by_key(&id, |s| s.record.id).ok().and_then(|at| self.series.get_mut(at))
                });
                match of {
                    Some(row) => row.losses.push(Loss { series: Some(row.record.labels.clone()), ..loss }),
                    None => self.opening.losses.push(loss),
                }
            }
        }
        self.opening.notes.extend(self.manifest.notes.iter().cloned());
        self.opening.settle();
    }

    fn note_missing_shards(&mut self) {
        let Some(shard) = self.manifest.shard else { return };
        let there: Vec<u32> = self.folders.iter().filter_map(|f| f.manifest.shard).map(|s| s.index).collect();
        for missing in (0..shard.count).filter(|i| !there.contains(i)) {
            self.opening.losses.push(Loss {
                file: format!("shard-{missing:05}-of-{:05}", shard.count),
                offset: None,
                kind: ErrorKind::Missing,
                detail: "this shard is not here, and any series may be in it".to_owned(),
                series: None,
                interval: self.manifest.covered_ms.map(|(a, b)| Interval::new(a, b)),
                samples: None,
            });
        }
    }
}

/// Whether a file is the manifest of a dataset, whole or not.
fn is_manifest(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut start = Vec::new();
    let read = file.take(256).read_to_end(&mut start);
    read.is_ok() && String::from_utf8_lossy(&start).contains(super::manifest::DATASET_FORMAT)
}

/// The manifest of a dataset in several folders; errs unless they are shards of one conversion.
fn one_dataset(dir: &Path, folders: &[Folder]) -> Result<Manifest> {
    let Some(first) = folders.first() else {
        return Err(Error::new(ErrorKind::Missing, "there is no manifest.json of a dataset").at(dir));
    };
    let ambiguous = |message: &str| {
        Error::new(ErrorKind::Ambiguous, message.to_owned())
            .at(dir)
            .hint("keep the shards of each conversion in a folder of their own")
    };
    let mut seen = Vec::new();
    for folder in folders {
        if folder.manifest.dataset_id != first.manifest.dataset_id {
            return Err(ambiguous("the shards here are of different conversions"));
        }
        let Some(shard) = folder.manifest.shard else { continue };
        let count = first.manifest.shard.map(|s| s.count);
        if count != Some(shard.count) || seen.contains(&shard.index) {
            return Err(ambiguous("the shards here are of different splits, or one is here twice"));
        }
        seen.push(shard.index);
    }
    Ok(first.manifest.clone())
}

fn files_below<'a>(folder: &'a Folder, prefix: &'static str) -> impl Iterator<Item = &'a FileEntry> {
    folder.manifest.files.iter().filter(move |e| e.path.starts_with(prefix))
}

/// A whole file whose digest is the manifest's.
fn verified(path: &Path, bytes: u64, sha256: &str) -> Result<Bytes, Damage> {
    let found = std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => (None, ErrorKind::Missing, "the file is not there".to_owned()),
        _ => unreadable(&e),
    })?;
    if found.len() as u64 != bytes {
        return Err((None, ErrorKind::Truncated, format!("{} bytes; the manifest says {bytes}", found.len())));
    }
    let digest = hex(&Sha256::digest(&found));
    if digest != sha256 {
        return Err((None, ErrorKind::Checksum, format!("its SHA-256 is {digest}; the manifest says {sha256}")));
    }
    Ok(Bytes::from(found))
}

fn batches(bytes: Bytes) -> Result<impl Iterator<Item = Result<RecordBatch, Damage>>, Damage> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|b| b.build()).map_err(damaged)?;
    Ok(reader.map(|batch| batch.map_err(|e| damaged(e.into()))))
}

fn unexpected() -> Damage {
    (None, ErrorKind::Malformed, "its columns are not those of this release".to_owned())
}

fn read_series(path: &Path, entry: &FileEntry) -> Result<Vec<SeriesRecord>, Damage> {
    let bytes = verified(path, entry.bytes, &entry.sha256)?;
    guarded(|| {
        let mut out = Vec::new();
        for batch in batches(bytes)? {
            out.extend(records_of(&batch?).ok_or_else(unexpected)?);
        }
        Ok(out)
    })
}

/// The rows of a batch of the series table.
fn records_of(batch: &RecordBatch) -> Option<Vec<SeriesRecord>> {
    let column = |name: &str| batch.column_by_name(name);
    let longs = |name: &str| column(name)?.as_primitive_opt::<Int64Type>();
    let times = |name: &str| column(name)?.as_primitive_opt::<TimestampMillisecondType>();
    let texts = |name: &str| column(name)?.as_string_opt::<i32>();
    let (ids, samples, histograms) = (longs("series_id")?, longs("samples")?, longs("histograms")?);
    let (labels, binaries) = (texts("labels")?, column("labels_binary")?.as_binary_opt::<i32>()?);
    let (first, last, references) = (times("first_ts")?, times("last_ts")?, longs("head_ref")?);
    let metadata = [texts("type")?, texts("unit")?, texts("help")?];
    let list = |name: &str, row: usize| -> Option<Vec<i64>> {
        let lists = column(name)?.as_list_opt::<i32>()?;
        if lists.is_null(row) {
            return Some(Vec::new());
        }
        Some(lists.value(row).as_primitive_opt::<TimestampMillisecondType>()?.values().to_vec())
    };
    let mut out = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let binary = (!binaries.is_null(row)).then(|| binaries.value(row));
        let text =
            |of: &arrow::array::StringArray| if of.is_null(row) { String::new() } else { of.value(row).to_owned() };
        let metadata = metadata.map(text);
        let holes = list("hole_start", row)?.into_iter().zip(list("hole_end", row)?);
        out.push(SeriesRecord {
            id: ids.value(row),
            labels: labels_of(labels.value(row), binary)?,
            samples: samples.value(row) as u64,
            histograms: histograms.value(row) as u64,
            times: (!first.is_null(row)).then(|| Interval::new(first.value(row), last.value(row))),
            metadata: metadata.iter().any(|m| !m.is_empty()).then_some(metadata),
            head_reference: (!references.is_null(row)).then(|| references.value(row) as u64),
            holes: holes.map(|(a, b)| Interval::new(a, b)).collect(),
            conflicts: list("conflicts", row)?,
        });
    }
    Some(out)
}

/// The row groups of a file of samples, or the file of histograms; a file that cannot be used is one lost group.
fn groups_in(folder: &Folder, entry: &FileEntry) -> Vec<Group> {
    let (file, path) = (folder.file(&entry.path), folder.dir.join(&entry.path));
    let (Some(series), Some((start, end))) = (entry.series, entry.times_ms) else { return Vec::new() };
    if entry.path.starts_with("histograms/") {
        let content = Content::Histograms { path, sha256: entry.sha256.clone(), bytes: entry.bytes };
        return vec![Group { file, series, times: Interval::new(start, end), rows: entry.rows, content }];
    }
    match footer_groups(&path, entry, &file, &folder.manifest.dataset_id) {
        Ok(groups) => groups,
        Err((_, kind, detail)) => Group::lost(entry, file, kind, detail).into_iter().collect(),
    }
}

fn footer_groups(path: &Path, entry: &FileEntry, file: &str, dataset_id: &str) -> Result<Vec<Group>, Damage> {
    let footer = entry.footer.as_ref().ok_or_else(unexpected)?;
    let mut open = File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => (None, ErrorKind::Missing, "the file is not there".to_owned()),
        _ => unreadable(&e),
    })?;
    let found = open.metadata().map_err(|e| unreadable(&e))?.len();
    if found != entry.bytes || footer.from > found {
        return Err((None, ErrorKind::Truncated, format!("{found} bytes; the manifest says {}", entry.bytes)));
    }
    let mut tail = Vec::new();
    open.seek(SeekFrom::Start(footer.from)).map_err(|e| unreadable(&e))?;
    open.read_to_end(&mut tail).map_err(|e| unreadable(&e))?;
    if hex(&Sha256::digest(&tail)) != footer.sha256 {
        let detail = "its footer is not the one that the manifest knows, so its row groups cannot be found";
        return Err((Some(footer.from), ErrorKind::Checksum, detail.to_owned()));
    }
    let tail = Piece { from: footer.from, bytes: Bytes::from(tail) };
    let metadata = guarded(|| footer_of(&tail))?;
    let about = |key: &str| {
        let all = metadata.file_metadata().key_value_metadata()?;
        all.iter().find(|kv| kv.key == key)?.value.clone()
    };
    if about(DATASET_KEY).as_deref() != Some(dataset_id) {
        return Err((None, ErrorKind::Malformed, "it is a file of another dataset".to_owned()));
    }
    let crcs: Option<Vec<u32>> = about(GROUPS_KEY)
        .filter(|text| !text.is_empty())
        .map_or(Some(Vec::new()), |text| text.split(',').map(|c| u32::from_str_radix(c, 16).ok()).collect());
    let crcs = crcs.filter(|c| c.len() == metadata.num_row_groups()).ok_or_else(unexpected)?;
    let metadata = Arc::new(metadata);
    let mut groups = Vec::new();
    for (group, crc) in crcs.into_iter().enumerate() {
        check_group(&metadata, group)?;
        let about = metadata.row_group(group);
        let range = |of: usize| match about.columns().get(of)?.statistics()? {
            Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)),
            _ => None,
        };
        let (series, times) = range(column::SERIES_ID).zip(range(column::TS)).ok_or_else(unexpected)?;
        groups.push(Group {
            file: file.to_owned(),
            series,
            times: Interval::new(times.0, times.1),
            rows: about.num_rows() as u64,
            content: Content::Floats { path: path.to_path_buf(), footer: metadata.clone(), group, crc },
        });
    }
    Ok(groups)
}

/// A piece of a file in memory, under the offsets of the file.
struct Piece {
    from: u64,
    bytes: Bytes,
}

impl Piece {
    fn at(&self, start: u64) -> Result<Bytes, ParquetError> {
        let skip = start.checked_sub(self.from).filter(|s| *s <= self.bytes.len() as u64);
        skip.map(|s| self.bytes.slice(s as usize..)).ok_or_else(|| ParquetError::EOF(format!("byte {start}")))
    }
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }
}

impl ChunkReader for Piece {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.at(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let rest = self.at(start)?;
        if length > rest.len() {
            return Err(ParquetError::EOF(format!("{length} bytes at byte {start}")));
        }
        Ok(rest.slice(..length))
    }
}

/// Reads a row group whole and verifies its checksum.
fn load_group(path: &Path, about: &RowGroupMetaData, crc: u32) -> Result<Piece, Damage> {
    let ranges = || about.columns().iter().map(|c| c.byte_range());
    let from = ranges().map(|(at, _)| at).min().unwrap_or(0);
    let end = ranges().map(|(at, length)| at.saturating_add(length)).max().unwrap_or(0);
    let mut file = File::open(path).map_err(|e| unreadable(&e))?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(|e| unreadable(&e))?;
    file.take(end - from).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    let computed = crc32c(&bytes);
    if computed != crc {
        let detail = format!("the checksum of the row group is {computed:08x}; the footer says {crc:08x}");
        return Err((Some(from), ErrorKind::Checksum, detail));
    }
    Ok(Piece { from, bytes: Bytes::from(bytes) })
}

/// One column of a row group, read forwards.
struct ColumnCursor<T: DataType> {
    reader: ColumnReaderImpl<T>,
    optional: bool,
    at: usize,
}

impl<T: DataType> ColumnCursor<T> {
    fn open(piece: &Arc<Piece>, footer: &ParquetMetaData, group: usize, column: usize) -> Result<Self, ParquetError> {
        let about = footer.row_group(group);
        let chunk = about.column(column);
        let pages =
            footer.page_index_for_row_group(group).offset_index(column).map(|index| index.page_locations().clone());
        let pages = SerializedPageReader::new(piece.clone(), chunk, about.num_rows() as usize, pages)?;
        let descr = schema::samples().column(column);
        let optional = descr.max_def_level() > 0;
        let reader = get_typed_column_reader::<T>(get_column_reader(descr, Box::new(pages)));
        Ok(ColumnCursor { reader, optional, at: 0 })
    }

    /// Calls `put` with each of the rows in `range`, `None` for null. Rows are visited forwards only.
    fn rows(&mut self, range: std::ops::Range<usize>, mut put: impl FnMut(Option<&T::T>)) -> Result<(), ParquetError> {
        if range.start > self.at {
            self.reader.skip_records(range.start - self.at)?;
        }
        self.at = range.end;
        let (mut values, mut levels): (Vec<T::T>, Vec<i16>) = (Vec::new(), Vec::new());
        let mut left = range.len();
        while left > 0 {
            values.clear();
            levels.clear();
            let (records, _, _) =
                self.reader.read_records(left, self.optional.then_some(&mut levels), None, &mut values)?;
            if records == 0 {
                return Err(ParquetError::EOF(format!("{left} rows are missing")));
            }
            left -= records;
            if self.optional {
                let mut values = values.iter();
                levels.iter().for_each(|level| put(if *level > 0 { values.next() } else { None }));
            } else {
                values.iter().for_each(|v| put(Some(v)));
            }
        }
        Ok(())
    }
}

fn read_group(
    path: &Path,
    footer: &ParquetMetaData,
    group: usize,
    crc: u32,
    wanted: &[i64],
) -> Result<Vec<(i64, Run)>, Damage> {
    let about = footer.row_group(group);
    let piece = Arc::new(load_group(path, about, crc)?);
    guarded(|| decode_group(&piece, footer, group, wanted).map_err(damaged))
}

/// Runs a part of the Parquet library. What it does with bytes whose digests somebody made fit is not ours to know: if it
/// panics, the bytes are lost and the process goes on.
fn guarded<T>(read: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    let gave_up = |_| Err((None, ErrorKind::Malformed, "the Parquet library cannot make sense of it".to_owned()));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(gave_up)
}

fn footer_of(tail: &Piece) -> Result<ParquetMetaData, Damage> {
    ParquetMetaDataReader::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional)
        .parse_and_finish(tail)
        .map_err(damaged)
}

/// The columns and the size that every row group of ours has: memory is set aside by what it says.
fn check_group(footer: &ParquetMetaData, group: usize) -> Result<(), Damage> {
    let about = footer.row_group(group);
    let columns = schema::samples().num_columns();
    if about.num_columns() != columns || !(0..=MOST_ROWS).contains(&about.num_rows()) {
        return Err(unexpected());
    }
    let sizes = about.columns().iter().map(|c| c.uncompressed_size().max(c.compressed_size()));
    if sizes.max().unwrap_or(0) > MOST_ROWS * 32 || about.columns().iter().any(|c| c.compressed_size() < 0) {
        return Err(unexpected());
    }
    Ok(())
}

fn decode_group(
    piece: &Arc<Piece>,
    footer: &ParquetMetaData,
    group: usize,
    wanted: &[i64],
) -> Result<Vec<(i64, Run)>, ParquetError> {
    let rows = footer.row_group(group).num_rows() as usize;
    let mut ids = Vec::with_capacity(rows);
    ColumnCursor::<Int64>::open(piece, footer, group, column::SERIES_ID)?
        .rows(0..rows, |id| ids.extend(id.copied()))?;
    let all_null = |column: usize| {
        let statistics = footer.row_group(group).column(column).statistics();
        statistics.and_then(Statistics::null_count_opt) == Some(rows as u64)
    };
    let open = |column| ColumnCursor::<Int64>::open(piece, footer, group, column);
    let (mut ts, mut stale) = (open(column::TS)?, ColumnCursor::<BoolType>::open(piece, footer, group, column::STALE)?);
    let mut value = ColumnCursor::<DoubleType>::open(piece, footer, group, column::VALUE)?;
    let mut starts = if all_null(column::START_TS) { None } else { Some(open(column::START_TS)?) };
    let mut scaled = if all_null(column::VALUE_INT) {
        None
    } else {
        Some((open(column::VALUE_INT)?, ColumnCursor::<DoubleType>::open(piece, footer, group, column::DIV)?))
    };
    let mut out = Vec::new();
    for id in wanted {
        let range = ids.partition_point(|i| i < id)..ids.partition_point(|i| i <= id);
        if range.is_empty() {
            continue;
        }
        let mut run = Run::default();
        let floats = &mut run.floats;
        floats.ts.reserve(range.len());
        floats.bits.reserve(range.len());
        ts.rows(range.clone(), |t| floats.ts.extend(t.copied()))?;
        // What is null everywhere is a stale marker; the loops below put in what is not.
        value.rows(range.clone(), |v| floats.bits.push(v.map_or(STALE_NAN_BITS, |v| v.to_bits())))?;
        if let Some((integers, divisors)) = &mut scaled {
            let mut found: Vec<Option<i64>> = Vec::with_capacity(range.len());
            integers.rows(range.clone(), |i| found.push(i.copied()))?;
            let mut found = found.into_iter();
            let mut bits = floats.bits.iter_mut();
            divisors.rows(range.clone(), |div| {
                if let (Some(place), Some(Some(integer)), Some(div)) = (bits.next(), found.next(), div) {
                    *place = (integer as f64 / div).to_bits();
                }
            })?;
        }
        let mut bits = floats.bits.iter_mut();
        stale.rows(range.clone(), |stale| {
            if let (Some(place), Some(true)) = (bits.next(), stale) {
                *place = STALE_NAN_BITS;
            }
        })?;
        if let Some(starts) = &mut starts {
            starts.rows(range.clone(), |start| floats.starts.push(start.copied().unwrap_or(0)))?;
            if floats.starts.iter().all(|s| *s == 0) {
                floats.starts.clear();
            }
        }
        out.push((*id, run));
    }
    Ok(out)
}

fn read_histograms(path: &Path, sha256: &str, bytes: u64, wanted: &[i64]) -> Result<Vec<(i64, Run)>, Damage> {
    let bytes = verified(path, bytes, sha256)?;
    guarded(|| {
        let mut out: Vec<(i64, Run)> = Vec::new();
        for batch in batches(bytes)? {
            for (id, sample) in histograms::rows_of(&batch?).ok_or_else(unexpected)? {
                if wanted.binary_search(&id).is_err() {
                    continue;
                }
                match out.last_mut() {
                    Some((last, run)) if *last == id => run.histograms.push(sample),
                    _ => out.push((id, Run { histograms: vec![sample], ..Run::default() })),
                }
            }
        }
        Ok(out)
    })
}
