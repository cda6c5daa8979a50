//! Writing a block that a Prometheus server opens: what tests, benchmarks and made-up data are built with.
//!
//! | file | module |
//! |---|---|
//! | `chunks/000001`, … | `segment`, with chunks from `xor` |
//! | `index` | `index` |
//! | `tombstones`, `meta.json` | here |
//!
//! Analysis never writes into a SOURCE; a block is always a directory of its own.

mod index;
mod output;
mod segment;
mod series;
mod xor;

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use index::IndexWriter;
use output::{Output, put_uvarint, put_varint};
pub use segment::{SEGMENT_BYTES, SegmentWriter};
pub use series::SeriesEncoder;
pub use xor::{ChunkFull, MAX_SAMPLES, XorEncoder};

use super::chunkenc::{Encoding, claimed_samples};
use super::index::ChunkMeta;
use super::meta::Parent;
use super::tombstones::merged;
use super::ulid::Ulid;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::raw::crc32c;
use crate::sample::Samples;
use crate::time::{Interval, TimestampMs};

/// The number of samples after which [`SeriesEncoder`] starts a new chunk, as the head does.
pub const SAMPLES_PER_CHUNK: usize = 120;

/// Magic of `tombstones`, then version 1.
const TOMBSTONES_HEADER: [u8; 5] = [0x01, 0x30, 0xBA, 0x30, 1];

/// A chunk that is encoded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawChunk {
    /// The encoding byte.
    pub encoding: Encoding,
    /// First sample's time as the index will say.
    pub min_time_ms: TimestampMs,
    /// Last sample's time (included) as the index will say.
    pub max_time_ms: TimestampMs,
    /// The data behind the encoding byte.
    pub data: Vec<u8>,
}

impl RawChunk {
    /// Encodes samples as one XOR chunk. `None` for no sample at all or more than 65535.
    pub fn xor(samples: impl IntoIterator<Item = (TimestampMs, u64)>) -> Option<RawChunk> {
        let mut encoder = XorEncoder::new();
        let mut range: Option<(i64, i64)> = None;
        for (t, bits) in samples {
            encoder.push(t, bits).ok()?;
            range = Some((range.map_or(t, |r| r.0), t));
        }
        range.map(|(min_time_ms, max_time_ms)| RawChunk {
            encoding: Encoding::XOR,
            min_time_ms,
            max_time_ms,
            data: encoder.finish(),
        })
    }
}

/// The `compaction` part of `meta.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// 1 for a block that came from the head.
    pub level: i64,
    /// The blocks of level 1 that went into this one.
    pub sources: Vec<Ulid>,
    /// The blocks that this one replaces.
    pub parents: Vec<Parent>,
    /// `from-out-of-order` and the like.
    pub hints: Vec<String>,
    /// A compaction of this block gave no samples.
    pub deletable: bool,
    /// A compaction of this block failed.
    pub failed: bool,
}

/// What [`BlockWriter::finish`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteStats {
    /// The finished block.
    pub dir: PathBuf,
    /// Float samples.
    pub float_samples: u64,
    /// Native histogram samples, from chunks that were encoded before.
    pub histogram_samples: u64,
    /// Series, those without chunks included.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Deleted intervals, merged.
    pub tombstones: u64,
    /// Segment files.
    pub segments: u32,
    /// Bytes of the segments.
    pub chunk_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
}

/// Writes one block: create, add series in label order, finish.
///
/// ```
/// use promproof::labels::Labels;
/// use promproof::sample::Samples;
/// use promproof::tsdb::{Ulid, write::BlockWriter};
///
/// # fn main() -> promproof::Result<()> {
/// # let parent = tempfile::tempdir().map_err(|e| promproof::Error::io(".".as_ref(), "create it", &e))?;
/// let mut writer = BlockWriter::create(parent.path(), Ulid::from_parts(1_763_553_600_000, 1), 0, 7_200_000)?;
/// let up = Labels::from_pairs([("__name__", "up"), ("job", "recommender")]);
/// let samples = Samples::new(vec![0, 15_000], vec![1f64.to_bits(), 0f64.to_bits()]);
/// writer.add_series(&up, &samples)?;
/// let stats = writer.finish()?;
/// assert_eq!((stats.series, stats.chunks, stats.float_samples), (1, 1, 2));
/// # Ok(())
/// # }
/// ```
///
/// Everything goes to `<ulid>.tmp-for-creation`, which readers skip, and appears as `<ulid>` only when it is complete
/// and synced. Dropping the writer removes what was begun. Chunks are streamed; see [`IndexWriter`] for what stays in
/// memory.
#[derive(Debug)]
pub struct BlockWriter {
    building: Building,
    target: PathBuf,
    ulid: Ulid,
    min_time_ms: TimestampMs,
    max_time_ms: TimestampMs,
    segments: SegmentWriter,
    index: IndexWriter,
    /// Position of the series, deleted interval.
    tombstones: Vec<(usize, Interval)>,
    compaction: Compaction,
    extra_meta: Map<String, Value>,
    stats: WriteStats,
    encoder: SeriesEncoder,
}

impl BlockWriter {
    /// Starts the block `ulid` below `parent_dir`, which exists, for samples in `[min_time_ms, max_time_ms)`.
    ///
    /// Errs when the block or an unfinished one of that name exists, or when the range ends before it starts.
    pub fn create(
        parent_dir: &Path,
        ulid: Ulid,
        min_time_ms: TimestampMs,
        max_time_ms: TimestampMs,
    ) -> Result<BlockWriter> {
        let target = parent_dir.join(ulid.to_string());
        if min_time_ms > max_time_ms {
            let message = format!("a block cannot go from {min_time_ms} to {max_time_ms} ms");
            return Err(Error::new(ErrorKind::Malformed, message).at(&target));
        }
        if target.exists() {
            return Err(Error::new(ErrorKind::Io, "the block exists already").at(&target));
        }
        let building = Building::create(parent_dir.join(format!("{ulid}.tmp-for-creation")))?;
        let chunks_dir = building.path.join("chunks");
        std::fs::create_dir(&chunks_dir).map_err(|e| Error::io(&chunks_dir, "create it", &e))?;
        Ok(BlockWriter {
            segments: SegmentWriter::new(&chunks_dir, SEGMENT_BYTES),
            building,
            target,
            ulid,
            min_time_ms,
            max_time_ms,
            index: IndexWriter::new(),
            tombstones: Vec::new(),
            compaction: Compaction {
                level: 1,
                sources: vec![ulid],
                parents: Vec::new(),
                hints: Vec::new(),
                deletable: false,
                failed: false,
            },
            extra_meta: Map::new(),
            stats: WriteStats::default(),
            encoder: SeriesEncoder::new(),
        })
    }

    /// Starts a new segment at `bytes` instead of [`SEGMENT_BYTES`]. Before the first series.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> BlockWriter {
        self.segments = SegmentWriter::new(&self.building.path.join("chunks"), bytes);
        self
    }

    /// Replaces the `compaction` part of `meta.json`; otherwise it is level 1 with this block as its only source.
    pub fn set_compaction(&mut self, compaction: Compaction) {
        self.compaction = compaction;
    }

    /// Adds or replaces a key at the top of `meta.json`, such as `thanos`.
    pub fn set_meta(&mut self, key: &str, value: Value) {
        self.extra_meta.insert(key.to_owned(), value);
    }

    /// Appends a series in XOR chunks of at most [`SAMPLES_PER_CHUNK`] samples. Without samples it has no chunks, and
    /// queries skip it.
    ///
    /// Errs when the series does not come behind the last one in label order, when times do not strictly increase, or
    /// when a time lies outside the block; nothing is written then. Series that are encoded on several threads, each by a
    /// [`SeriesEncoder`] of its own, go to [`BlockWriter::add_chunks`] in label order and give the same bytes.
    pub fn add_series(&mut self, labels: &Labels, samples: &Samples) -> Result<()> {
        self.check(labels)?;
        let wrong = |why: String| {
            let message = format!("samples of {labels} {why}");
            Err(Error::new(ErrorKind::Malformed, message).at(&self.target))
        };
        if samples.ts.len() != samples.bits.len() {
            return wrong(format!("have {} times and {} values", samples.ts.len(), samples.bits.len()));
        }
        if !samples.ts.is_sorted_by(|a, b| a < b) {
            return wrong("do not strictly increase in time".to_owned());
        }
        if let (Some(first), Some(last)) = (samples.ts.first(), samples.ts.last())
            && (*first < self.min_time_ms || *last >= self.max_time_ms)
        {
            return wrong(format!(
                "go from {first} to {last} ms, outside the block's {} to {} ms",
                self.min_time_ms, self.max_time_ms
            ));
        }
        for (t, bits) in samples.iter() {
            self.encoder.push(t, bits);
        }
        let chunks = self.encoder.finish();
        self.add_chunks(labels, &chunks)
    }

    /// Appends a series with chunks that are encoded already. They are written as they are, in the order given: data
    /// and times are not looked at, so damaged and overlapping ones can be made.
    pub fn add_chunks(&mut self, labels: &Labels, chunks: &[RawChunk]) -> Result<()> {
        self.check(labels)?;
        let mut metas = Vec::with_capacity(chunks.len());
        for c in chunks {
            metas.push(ChunkMeta {
                reference: self.segments.write(c.encoding.0, &c.data)?,
                min_time_ms: c.min_time_ms,
                max_time_ms: c.max_time_ms,
            });
            let samples = claimed_samples(c.encoding, &c.data).unwrap_or(0);
            if c.encoding.is_histogram() {
                self.stats.histogram_samples += samples;
            } else {
                self.stats.float_samples += samples;
            }
        }
        self.stats.chunks += chunks.len() as u64;
        self.index.add(labels, &metas)
    }

    fn check(&self, labels: &Labels) -> Result<()> {
        self.index.check(labels).map_err(|e| e.at(&self.target))
    }

    /// Deletes an interval (both ends included) from the series added last, as a tombstone: its samples stay in the
    /// chunks. Intervals are merged when they are written.
    pub fn delete(&mut self, interval: Interval) -> Result<()> {
        match self.index.len().checked_sub(1) {
            Some(last) => {
                self.tombstones.push((last, interval));
                Ok(())
            }
            None => {
                let message = "there is no series yet to delete from";
                Err(Error::new(ErrorKind::Usage, message).at(&self.target))
            }
        }
    }

    /// Writes `index`, `tombstones` and `meta.json`, syncs, and gives the block its name.
    pub fn finish(self) -> Result<WriteStats> {
        let BlockWriter {
            building,
            target,
            ulid,
            min_time_ms,
            max_time_ms,
            segments,
            index,
            tombstones,
            compaction,
            extra_meta,
            mut stats,
            encoder: _,
        } = self;
        stats.series = index.len() as u64;
        (stats.segments, stats.chunk_bytes) = segments.finish()?;
        let (index_bytes, refs) = index.finish(building.path.join("index"))?;
        stats.index_bytes = index_bytes;
        let refs = |series: usize| refs.get(series).map_or(0, |r| r.0);
        stats.tombstones = write_tombstones(&building.path, tombstones, refs)?;
        let mut meta = meta_json(ulid, min_time_ms, max_time_ms, &stats, &compaction);
        meta.extend(extra_meta);
        write_meta(&building.path, &Value::Object(meta))?;
        sync_dir(&building.path.join("chunks"))?;
        building.rename_to(&target)?;
        stats.dir = target;
        Ok(stats)
    }
}

/// Writes `tombstones`: entries by series reference, CRC over the entries without the version byte. Gives their number.
fn write_tombstones(
    dir: &Path,
    mut tombstones: Vec<(usize, Interval)>,
    reference: impl Fn(usize) -> u64,
) -> Result<u64> {
    tombstones.sort_unstable();
    let mut entries = Vec::new();
    let mut count = 0;
    for of_series in tombstones.chunk_by(|a, b| a.0 == b.0) {
        for interval in merged(of_series.iter().map(|(_, i)| *i).collect()) {
            put_uvarint(&mut entries, of_series.first().map_or(0, |(s, _)| reference(*s)));
            put_varint(&mut entries, interval.start);
            put_varint(&mut entries, interval.end);
            count += 1;
        }
    }
    let mut out = Output::create(dir.join("tombstones"))?;
    out.write(&TOMBSTONES_HEADER)?;
    out.write(&entries)?;
    out.write(&crc32c(&entries).to_be_bytes())?;
    out.finish()?;
    Ok(count)
}

/// `meta.json` with the keys, their order and the omissions of upstream's (`tsdb/block.go: BlockMeta`).
fn meta_json(
    ulid: Ulid,
    min_time_ms: TimestampMs,
    max_time_ms: TimestampMs,
    written: &WriteStats,
    compaction: &Compaction,
) -> Map<String, Value> {
    let mut stats = Map::new();
    for (key, n) in [
        ("numSamples", written.float_samples + written.histogram_samples),
        ("numFloatSamples", written.float_samples),
        ("numHistogramSamples", written.histogram_samples),
        ("numSeries", written.series),
        ("numChunks", written.chunks),
        ("numTombstones", written.tombstones),
    ] {
        if n > 0 {
            stats.insert(key.to_owned(), n.into());
        }
    }
    let mut about = Map::new();
    about.insert("level".to_owned(), compaction.level.into());
    let texts = |ulids: &[Ulid]| -> Value { ulids.iter().map(Ulid::to_string).collect() };
    if !compaction.sources.is_empty() {
        about.insert("sources".to_owned(), texts(&compaction.sources));
    }
    if compaction.deletable {
        about.insert("deletable".to_owned(), true.into());
    }
    if !compaction.parents.is_empty() {
        let parents = compaction
            .parents
            .iter()
            .map(|p| json!({"ulid": p.ulid.to_string(), "minTime": p.min_time_ms, "maxTime": p.max_time_ms}));
        about.insert("parents".to_owned(), parents.collect());
    }
    if compaction.failed {
        about.insert("failed".to_owned(), true.into());
    }
    if !compaction.hints.is_empty() {
        about.insert("hints".to_owned(), compaction.hints.clone().into());
    }
    let mut meta = Map::new();
    meta.insert("ulid".to_owned(), ulid.to_string().into());
    meta.insert("minTime".to_owned(), min_time_ms.into());
    meta.insert("maxTime".to_owned(), max_time_ms.into());
    meta.insert("stats".to_owned(), stats.into());
    meta.insert("compaction".to_owned(), about.into());
    meta.insert("version".to_owned(), 1.into());
    meta
}

fn write_meta(dir: &Path, meta: &Value) -> Result<()> {
    let mut out = Output::create(dir.join("meta.json"))?;
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    meta.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format))
        .map_err(|e| Error::new(ErrorKind::Io, e.to_string()).at(out.path()))?;
    out.write(&text)?;
    out.finish()?;
    Ok(())
}

/// A directory under construction; removed unless it is renamed.
#[derive(Debug)]
struct Building {
    path: PathBuf,
    kept: bool,
}

impl Building {
    fn create(path: PathBuf) -> Result<Building> {
        std::fs::create_dir(&path).map_err(|e| {
            let error = Error::io(&path, "create it", &e);
            if e.kind() == std::io::ErrorKind::AlreadyExists {
                error.hint("an unfinished block of that name is there; remove it if nobody writes it")
            } else {
                error
            }
        })?;
        Ok(Building { path, kept: false })
    }

    fn rename_to(mut self, target: &Path) -> Result<()> {
        sync_dir(&self.path)?;
        std::fs::rename(&self.path, target).map_err(|e| Error::io(target, "rename it", &e))?;
        self.kept = true;
        target.parent().map_or(Ok(()), sync_dir)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if !self.kept {
            // An error is on its way already, or the caller gave up; a leftover is skipped by readers.
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

/// Makes the names in a directory durable, where directories can be opened.
fn sync_dir(dir: &Path) -> Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io(dir, "sync it to disk", &e))
}
