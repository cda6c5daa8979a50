//! [`Dataset`]: a dataset opened again, with all of its shards.
//!
//! Opening reads the manifest, the series and the footers; row groups are read when they are asked for.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{BoolType, DataType, DoubleType, Int64Type as Int64};
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;
use rayon::prelude::*;

use super::groups::{Damage, Piece, Place, damaged, guarded, unexpected};
use super::manifest::{FileEntry, MANIFEST, Manifest};
use super::schema::column;
use super::series::{self, SeriesRecord};
use super::{histograms, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::loss::{Ledger, Loss};
use crate::sample::STALE_NAN_BITS;
use crate::selector::{Matcher, Selector};
use crate::time::Interval;
use crate::tsdb::run::Run;

/// Rows in a row group of samples, at most: twice of what is aimed at.
const MOST_ROWS: u64 = 1 << 19;
/// What the rows of a table may take in memory beside [`MOST_RATIO`] times its bytes: two thirds of what a full row group of
/// usual ones takes.
const FREE_BYTES: usize = 64 << 20;
const MOST_RATIO: usize = 256;

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
    Floats(Place),
    Histograms(Place),
    /// Nothing that can be read.
    Lost(ErrorKind, String),
}

impl Group {
    /// Whether it holds native histograms.
    pub fn is_histograms(&self) -> bool {
        matches!(self.content, Content::Histograms(_))
    }

    fn lost(entry: &FileEntry, file: String, kind: ErrorKind, detail: String) -> Option<Group> {
        let (start, end) = entry.times_ms?;
        let content = Content::Lost(kind, detail);
        Some(Group { file, series: entry.series?, times: Interval::new(start, end), rows: entry.rows, content })
    }

    /// The samples of `wanted` (ascending) in this group, in the order of the rows; the loss if it cannot be read.
    pub fn read(&self, wanted: &[i64]) -> Result<Vec<(i64, Run)>, Box<Loss>> {
        let found = match &self.content {
            Content::Floats(place) => place
                .load()
                .and_then(|piece| guarded(|| decode_floats(&Arc::new(piece), place, wanted).map_err(damaged))),
            Content::Histograms(place) => {
                place.load().and_then(|piece| guarded(|| decode_histograms(piece, place, wanted)))
            }
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
        dataset.opening.losses.extend(dataset.missing_shards());
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

    /// The times that were converted.
    pub fn converted(&self) -> Interval {
        let Manifest { start_ms, end_ms, .. } = self.manifest;
        Interval::new(start_ms.unwrap_or(i64::MIN), end_ms.unwrap_or(i64::MAX))
    }

    /// Where nothing is known of any series, because it was converted neither here nor into a dataset beside it that holds
    /// `elsewhere`.
    pub fn unknown(&self, elsewhere: &[Interval]) -> Vec<Interval> {
        let mut held: Vec<Interval> = elsewhere.iter().copied().chain([self.converted()]).collect();
        held.sort_by_key(|i| i.start);
        let mut gaps = Vec::new();
        // The first time that is not yet held; none behind the last of all times.
        let mut next = Some(i64::MIN);
        for i in held {
            let Some(from) = next else { break };
            if i.start > from {
                gaps.push(Interval::new(from, i.start - 1));
            }
            next = i.end.max(from.saturating_sub(1)).checked_add(1);
        }
        gaps.extend(next.map(|from| Interval::new(from, i64::MAX)));
        gaps
    }

    /// What `range` asks for beyond the times that were converted. An open end asks for what there is.
    pub fn outside(&self, range: Interval, elsewhere: &[Interval]) -> Vec<Loss> {
        let open = |gap: &Interval| {
            (gap.start, range.start) == (i64::MIN, i64::MIN) || (gap.end, range.end) == (i64::MAX, i64::MAX)
        };
        let gaps = self.unknown(elsewhere).into_iter().filter(|gap| gap.overlaps(&range) && !open(gap));
        gaps.map(|gap| Loss {
            file: MANIFEST.to_owned(),
            offset: None,
            kind: ErrorKind::Missing,
            detail: "these times were not converted; convert the source with other --start and --end".to_owned(),
            series: None,
            interval: Some(Interval::new(gap.start.max(range.start), gap.end.min(range.end))),
            samples: None,
        })
        .collect()
    }

    fn open_series(&mut self) {
        let files: Vec<(&Folder, &FileEntry)> =
            self.folders.iter().flat_map(|f| files_below(f, "series/").map(move |e| (f, e))).collect();
        let read: Vec<Result<Vec<SeriesRecord>, Damage>> =
            files.par_iter().map(|(folder, entry)| read_series(folder, entry)).collect();
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

    /// A loss for each shard that is not here.
    pub fn missing_shards(&self) -> Vec<Loss> {
        let Some(shard) = self.manifest.shard else { return Vec::new() };
        let there: Vec<u32> = self.folders.iter().filter_map(|f| f.manifest.shard).map(|s| s.index).collect();
        let missing = (0..shard.count).filter(|i| !there.contains(i));
        missing
            .map(|index| Loss {
                file: format!("shard-{index:05}-of-{:05}", shard.count),
                offset: None,
                kind: ErrorKind::Missing,
                detail: "this shard is not here, and any series may be in it".to_owned(),
                series: None,
                interval: self.manifest.covered_ms.map(|(a, b)| Interval::new(a, b)),
                samples: None,
            })
            .collect()
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

/// How much the rows of some bytes may still take in memory.
struct Room(usize);

impl Room {
    fn of(bytes: usize) -> Room {
        Room(bytes.saturating_mul(MOST_RATIO).saturating_add(FREE_BYTES))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Damage> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            (None, ErrorKind::Malformed, "its rows unfold to more than any table of a dataset does".to_owned())
        })?;
        Ok(())
    }
}

/// The rows of the table of series, which ascend in number and in labels.
fn read_series(folder: &Folder, entry: &FileEntry) -> Result<Vec<SeriesRecord>, Damage> {
    let places = Place::all(&folder.dir.join(&entry.path), entry, &folder.manifest.dataset_id, series::ROWS.group)?;
    let mut out: Vec<SeriesRecord> = Vec::new();
    let mut room = Room::of(usize::try_from(entry.bytes).unwrap_or(usize::MAX));
    for place in places {
        let piece = place.load()?;
        guarded(|| {
            for batch in place.batches(piece)? {
                for record in series::records_of(&batch?).ok_or_else(unexpected)? {
                    let ascends = out.last().is_none_or(|last| last.id < record.id && last.labels < record.labels);
                    if !ascends {
                        let detail = format!("the series {} is not behind the one before it", record.labels);
                        return Err((None, ErrorKind::Malformed, detail));
                    }
                    room.take(record.memory())?;
                    out.push(record);
                }
            }
            Ok(())
        })?;
    }
    Ok(out)
}

/// The row groups of a file of samples or of histograms; a file that cannot be used is one lost group.
fn groups_in(folder: &Folder, entry: &FileEntry) -> Vec<Group> {
    let file = folder.file(&entry.path);
    if entry.rows == 0 {
        return Vec::new();
    }
    let histograms = entry.path.starts_with("histograms/");
    let most_rows = if histograms { histograms::ROWS.group } else { MOST_ROWS };
    let group = |place: Place| -> Result<Group, Damage> {
        if !histograms && place.about().num_columns() != schema::samples().num_columns() {
            return Err(unexpected());
        }
        let (series, times) = place.cover().ok_or_else(unexpected)?;
        let rows = place.rows();
        let content = if histograms { Content::Histograms(place) } else { Content::Floats(place) };
        Ok(Group { file: file.clone(), series, times, rows, content })
    };
    let places = Place::all(&folder.dir.join(&entry.path), entry, &folder.manifest.dataset_id, most_rows);
    match places.and_then(|places| places.into_iter().map(group).collect()) {
        Ok(groups) => groups,
        Err((_, kind, detail)) => Group::lost(entry, file, kind, detail).into_iter().collect(),
    }
}

/// One column of a row group, read forwards.
struct ColumnCursor<T: DataType> {
    reader: ColumnReaderImpl<T>,
    optional: bool,
    at: usize,
}

impl<T: DataType> ColumnCursor<T> {
    fn open(piece: &Arc<Piece>, place: &Place, column: usize) -> Result<Self, ParquetError> {
        let about = place.about();
        let chunk = about.column(column);
        let index = place.footer().page_index_for_row_group(place.group());
        let pages = index.offset_index(column).map(|index| index.page_locations().clone());
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

fn decode_floats(piece: &Arc<Piece>, place: &Place, wanted: &[i64]) -> Result<Vec<(i64, Run)>, ParquetError> {
    let rows = place.rows() as usize;
    let mut ids = Vec::with_capacity(rows);
    ColumnCursor::<Int64>::open(piece, place, column::SERIES_ID)?.rows(0..rows, |id| ids.extend(id.copied()))?;
    let all_null = |column: usize| {
        let statistics = place.about().column(column).statistics();
        statistics.and_then(Statistics::null_count_opt) == Some(rows as u64)
    };
    let open = |column| ColumnCursor::<Int64>::open(piece, place, column);
    let (mut ts, mut stale) = (open(column::TS)?, ColumnCursor::<BoolType>::open(piece, place, column::STALE)?);
    let mut value = ColumnCursor::<DoubleType>::open(piece, place, column::VALUE)?;
    let mut starts = if all_null(column::START_TS) { None } else { Some(open(column::START_TS)?) };
    let mut scaled = if all_null(column::VALUE_INT) {
        None
    } else {
        Some((open(column::VALUE_INT)?, ColumnCursor::<DoubleType>::open(piece, place, column::DIV)?))
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

fn decode_histograms(piece: Piece, place: &Place, wanted: &[i64]) -> Result<Vec<(i64, Run)>, Damage> {
    let mut out: Vec<(i64, Run)> = Vec::new();
    let mut room = Room::of(piece.size());
    for batch in place.batches(piece)? {
        for (id, sample) in histograms::rows_of(&batch?).ok_or_else(unexpected)? {
            if wanted.binary_search(&id).is_err() {
                continue;
            }
            room.take(histograms::memory(&sample))?;
            match out.last_mut() {
                Some((last, run)) if *last == id => run.histograms.push(sample),
                _ => out.push((id, Run { histograms: vec![sample], ..Run::default() })),
            }
        }
    }
    Ok(out)
}
