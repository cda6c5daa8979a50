//! [`Block`]: one block directory, opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::chunkenc::{self, Encoding, claimed_samples};
use super::chunks::{ChunkSlice, Segment, check_header};
use super::index::{BlockSeriesRef, ChunkMeta, Index, SeriesEntry};
use super::meta::BlockMeta;
use super::run::Run;
use super::tombstones::Tombstones;
use crate::error::{Error, ErrorKind};
use crate::loss::{Ledger, Loss};
use crate::raw::{Fault, FaultKind, FileBytes, ReadMode};
use crate::time::Interval;

/// An opened block. Segments are mapped at opening and read chunk by chunk.
#[derive(Debug)]
pub struct Block {
    /// The directory.
    pub dir: PathBuf,
    /// The directory relative to its SOURCE, with `/`; empty when the SOURCE is the block itself.
    pub rel: String,
    /// What `meta.json` says.
    pub meta: BlockMeta,
    /// The index; `None` when it cannot be opened, which loses the whole block.
    pub index: Option<Index>,
    /// Deleted intervals.
    pub tombstones: Tombstones,
    segments: BTreeMap<u32, Segment>,
    /// The times that the chunks cover, as the index says; `None` without a readable index or without chunks.
    pub covered: Option<Interval>,
    /// What was lost or odd when opening.
    pub opening: Ledger,
}

/// What became of the samples of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// Decoded: this many float samples.
    Floats(usize),
    /// This many native histograms, which were decoded if they were wanted.
    Histograms(u64),
    /// Lost; the ledger has the reason. The number of samples where the chunk's header could be read.
    Lost(Option<u64>),
}

impl Block {
    /// Opens the block in `dir`; its `meta.json` has been read already. Damage goes to [`Block::opening`].
    pub fn open(dir: &Path, rel: &str, meta: BlockMeta, mode: ReadMode) -> Block {
        let mut block = Block {
            dir: dir.to_path_buf(),
            rel: rel.to_owned(),
            index: None,
            tombstones: Tombstones::default(),
            segments: BTreeMap::new(),
            covered: None,
            opening: Ledger::default(),
            meta,
        };
        for odd in block.meta.oddities.clone() {
            let note = format!("{}: {odd}", block.file("meta.json"));
            block.opening.notes.push(note);
        }
        block.open_index(mode);
        block.open_tombstones(mode);
        block.open_segments(mode);
        block.cross_check();
        block
    }

    /// Compares what checksums do not cover, or not against each other: the claims of `meta.json`, the list of all
    /// series and the tombstones, each with one pass over the series entries. Differences are notes, since the entries
    /// with their checksums are what is read; a list that lacks series is not used. Only of deletions nothing else tells.
    fn cross_check(&mut self) {
        let Some(index) = &self.index else {
            return;
        };
        let listed = index.all_postings();
        let mut expected = match &listed {
            Ok(Some(refs)) => Some(refs.iter()),
            _ => None,
        };
        let (mut series, mut chunks, mut bad) = (0u64, 0u64, 0u64);
        let mut covered: Option<Interval> = None;
        let mut unlisted: Option<BlockSeriesRef> = None;
        let mut stones = self.tombstones.iter().peekable();
        let mut stray: Option<BlockSeriesRef> = None;
        let mut see = |reference: BlockSeriesRef, interval: Option<Interval>| {
            if let Some(listed) = &mut expected
                && listed.next().is_none_or(|r| u64::from(*r) != reference.0)
            {
                unlisted.get_or_insert(reference);
            }
            while let Some((r, _)) = stones.next_if(|(r, _)| *r < reference) {
                stray.get_or_insert(r);
            }
            if let Some((r, deleted)) = stones.next_if(|(r, _)| *r == reference)
                && interval.is_none_or(|i| deleted.iter().any(|d| !d.overlaps(&i)))
            {
                stray.get_or_insert(r);
            }
        };
        let walked = index.outline(|outline| match outline {
            Ok(o) => {
                series += 1;
                chunks += o.chunks;
                covered = Interval::joined(covered, o.interval);
                see(o.reference, o.interval);
            }
            Err(_) => bad += 1,
        });
        // A damaged entry is accounted for by the selection that meets it; counts and lists cannot agree then.
        let whole = walked.is_ok() && bad == 0;
        let rest = expected.is_some_and(|mut e| e.next().is_some());
        stray = stray.or_else(|| stones.next().map(|(r, _)| r));
        let mut notes = Vec::new();
        let (meta, index_file) = (self.file("meta.json"), self.file("index"));
        if !whole {
            notes.push(format!(
                "{index_file}: some series entries are damaged, so meta.json and the lookup tables were not compared with them"
            ));
        }
        for (what, claimed, found) in
            [("series", self.meta.stats.series, series), ("chunks", self.meta.stats.chunks, chunks)]
        {
            // Upstream leaves a count of 0 out.
            let claimed = claimed.unwrap_or(0);
            if whole && claimed != found {
                notes.push(format!("{meta}: {claimed} {what} are claimed, the index holds {found}"));
            }
        }
        if let Some(c) = covered
            && whole
            && (c.start < self.meta.min_time_ms || c.end >= self.meta.max_time_ms)
        {
            notes.push(format!(
                "{meta}: the block says that it covers {} to {} ms (end excluded), its chunks cover {} to {} ms (end included)",
                self.meta.min_time_ms, self.meta.max_time_ms, c.start, c.end
            ));
        }
        // Blocks are cut at multiples of a configured range, or around the samples of a head. Such ranges are whole
        // minutes, which no flipped bit of a decimal digit preserves, and at most 31 days long.
        let between = |claimed: i64, sample: i64| {
            (claimed % 60_000 != 0 && claimed != sample) || claimed.abs_diff(sample) > 31 * 24 * 3_600_000
        };
        if let Some(c) = covered
            && whole
            && self.meta.parents.is_empty()
            && (between(self.meta.min_time_ms, c.start) || between(self.meta.max_time_ms, c.end.saturating_add(1)))
        {
            notes.push(format!(
                "{meta}: the block's range of {} to {} ms does not fit its chunks, which cover {} to {} ms",
                self.meta.min_time_ms, self.meta.max_time_ms, c.start, c.end
            ));
        }
        let stones = self.tombstones.count() as u64;
        let claimed = self.meta.stats.tombstones.unwrap_or(0);
        let lost = self.opening.losses.iter().any(|l| l.file == self.file("tombstones"));
        if !lost && !(stones..=self.tombstones.entries()).contains(&claimed) {
            let detail = format!(
                "meta.json claims {claimed} deleted intervals, and {stones} are here; deletions may be missing or too many"
            );
            let loss = self.whole_block_loss("tombstones", None, ErrorKind::Malformed, detail);
            self.opening.losses.push(Loss { samples: None, ..loss });
        }
        if let Some(series) = stray.filter(|_| whole) {
            notes.push(format!(
                "{}: deletions of series {} touch none of its chunks, or there is no such series in the index",
                self.file("tombstones"),
                series.0
            ));
        }
        if whole && (unlisted.is_some() || rest || matches!(listed, Ok(None))) {
            let offset = unlisted.map_or(0, |r| r.0);
            let kind = FaultKind::Malformed { found: offset, rule: "it must name every series of the index in order" };
            let fault = Fault::new(0, "list of all series", kind);
            notes.push(format!("{index_file}: {fault}; all series are scanned instead, nothing is lost by it"));
            if let Some(index) = &mut self.index {
                index.distrust_postings(fault);
            }
        }
        self.covered = covered;
        self.opening.notes.extend(notes);
    }

    /// The path of one of the block's files, relative to the SOURCE.
    pub fn file(&self, name: &str) -> String {
        if self.rel.is_empty() { name.to_owned() } else { format!("{}/{name}", self.rel) }
    }

    fn whole_block_loss(&self, file: &str, offset: Option<u64>, kind: ErrorKind, detail: String) -> Loss {
        Loss {
            file: self.file(file),
            offset,
            kind,
            detail,
            series: None,
            interval: Some(self.meta.interval()),
            samples: self.meta.stats.samples,
        }
    }

    fn open_index(&mut self, mode: ReadMode) {
        let opened = match FileBytes::open(&self.dir.join("index"), mode) {
            Ok(bytes) => Index::parse(bytes, self.meta.version == 2)
                .map_err(|f| (Some(f.offset), f.error_kind(), format!("{f}; the whole block is lost"))),
            Err(e) => Err((None, io_kind(&e), describe(&e))),
        };
        match opened {
            Ok(index) => {
                if let Some(fault) = index.postings_fault() {
                    self.opening.notes.push(format!(
                        "{} at byte {}: {fault}; all series are scanned instead, nothing is lost by it",
                        self.file("index"),
                        fault.offset
                    ));
                }
                self.index = Some(index);
            }
            Err((offset, kind, detail)) => {
                let loss = self.whole_block_loss("index", offset, kind, detail);
                self.opening.losses.push(loss);
            }
        }
    }

    fn open_tombstones(&mut self, mode: ReadMode) {
        let path = self.dir.join("tombstones");
        if !path.exists() {
            let claimed = self.meta.stats.tombstones.unwrap_or(0);
            if claimed > 0 {
                let detail = format!(
                    "the file is not there, and meta.json claims {claimed} deleted intervals; deleted samples may be counted"
                );
                let loss = self.whole_block_loss("tombstones", None, ErrorKind::Missing, detail);
                self.opening.losses.push(Loss { samples: None, ..loss });
            }
            return;
        }
        let parsed = FileBytes::open(&path, mode)
            .map_err(|e| (None, io_kind(&e), describe(&e)))
            .and_then(|b| Tombstones::parse(&b).map_err(|f| (Some(f.offset), f.error_kind(), f.to_string())));
        match parsed {
            Ok(t) => self.tombstones = t,
            Err((offset, kind, detail)) => {
                let detail =
                    format!("{detail}; deletions of this block are unknown, so deleted samples may be counted");
                let loss = Loss { samples: None, ..self.whole_block_loss("tombstones", offset, kind, detail) };
                self.opening.losses.push(loss);
            }
        }
    }

    /// Maps `000001`…`N`. Upstream counts files in directory order, so a gap would shift every later reference; here
    /// the number in the name decides, and a gap is named.
    fn open_segments(&mut self, mode: ReadMode) {
        let mut numbers: Vec<u32> = Vec::new();
        let folder = self.dir.join("chunks");
        match std::fs::read_dir(&folder) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    if name.len() >= 6
                        && name.bytes().all(|b| b.is_ascii_digit())
                        && let Ok(n @ 1..) = name.parse::<u32>()
                        && format!("{n:06}") == name
                    {
                        numbers.push(n);
                    }
                }
            }
            Err(e) => {
                let error = Error::io(&folder, "list it", &e);
                let loss = self.whole_block_loss("chunks", None, ErrorKind::Missing, describe(&error));
                if self.meta.stats.chunks != Some(0) {
                    self.opening.losses.push(loss);
                }
            }
        }
        numbers.sort_unstable();
        let last = numbers.last().copied().unwrap_or(0);
        if last as usize != numbers.len() {
            let missing: Vec<String> =
                (1..=last).filter(|n| numbers.binary_search(n).is_err()).take(5).map(|n| format!("{n:06}")).collect();
            self.opening.notes.push(format!(
                "{}: segments are not numbered without a gap (missing: {}); chunks are looked up by file name",
                self.file("chunks"),
                missing.join(", ")
            ));
        }
        self.segments = numbers
            .iter()
            .map(|n| {
                let name = format!("chunks/{n:06}");
                let bytes = FileBytes::open(&self.dir.join(&name), mode)
                    .map_err(|e| (None, io_kind(&e), describe(&e)))
                    .and_then(|b| match check_header(&b) {
                        Ok(()) => Ok(b),
                        Err(f) => Err((Some(f.offset), f.error_kind(), f.to_string())),
                    })
                    .map_err(|(offset, kind, detail)| Loss {
                        samples: None,
                        ..self.whole_block_loss(&name, offset, kind, detail)
                    });
                (n - 1, Segment { file: self.file(&name), bytes })
            })
            .collect();
    }

    /// The sizes of the segments in bytes, in order.
    pub fn segment_bytes(&self) -> u64 {
        self.segments.values().map(|s| s.bytes.as_ref().map_or(0, |b| b.len() as u64)).sum()
    }

    /// Lets the system take back the memory of the segments' maps.
    pub fn release(&self) {
        self.segments.values().filter_map(|s| s.bytes.as_ref().ok()).for_each(FileBytes::release);
    }

    fn segment(&self, chunk: &ChunkMeta) -> Result<&Segment, String> {
        self.segments
            .get(&chunk.reference.segment_index())
            .ok_or_else(|| self.file(&format!("chunks/{}", chunk.reference.file_name())))
    }

    /// The bytes that a chunk takes in its segment, from its length alone; 1 where that cannot be read.
    pub fn chunk_bytes(&self, chunk: &ChunkMeta) -> u64 {
        let segment = self.segments.get(&chunk.reference.segment_index()).and_then(|s| s.bytes.as_ref().ok());
        segment.and_then(|bytes| ChunkSlice::extent(bytes, chunk.reference.offset_bytes())).unwrap_or(1)
    }

    /// Reads one chunk, checksum verified. The loss is complete but for nothing: file, offset, series and interval.
    pub fn chunk(&self, entry: &SeriesEntry, chunk: &ChunkMeta) -> Result<ChunkSlice<'_>, Box<Loss>> {
        let offset = chunk.reference.offset_bytes();
        let loss = |file: String, offset, kind, detail: String, samples| {
            Box::new(Loss {
                file,
                offset: Some(offset),
                kind,
                detail,
                series: Some(entry.labels.clone()),
                interval: Some(chunk.sound_interval()),
                samples,
            })
        };
        let segment = self.segment(chunk).map_err(|file| {
            loss(file, offset, ErrorKind::Missing, "the segment is not there; its chunks are lost".to_owned(), None)
        })?;
        let bytes = match &segment.bytes {
            Ok(bytes) => bytes,
            Err(l) => {
                let detail = format!("the segment cannot be read ({})", l.detail);
                return Err(loss(segment.file.clone(), offset, l.kind, detail, None));
            }
        };
        ChunkSlice::read(bytes, offset)
            .map_err(|f| loss(segment.file.clone(), offset, f.error_kind(), f.to_string(), None))
    }

    /// Puts the samples of one chunk into `out`, tombstones not applied; native histograms only if they are wanted. Losses
    /// go to `ledger`. The size is that of the encoding byte and the data, 0 where the chunk cannot be read.
    pub fn decode(
        &self,
        entry: &SeriesEntry,
        chunk: &ChunkMeta,
        histograms: bool,
        out: &mut Run,
        ledger: &mut Ledger,
    ) -> (ChunkOutcome, Option<Encoding>, usize) {
        out.clear();
        let slice = match self.chunk(entry, chunk) {
            Ok(slice) => slice,
            Err(loss) => {
                ledger.losses.push(*loss);
                return (ChunkOutcome::Lost(None), None, 0);
            }
        };
        let encoding = Encoding(slice.encoding);
        let claimed = claimed_samples(encoding, slice.data());
        let outcome = match chunkenc::decode(&slice, histograms, out) {
            Ok(()) if encoding.is_histogram() => ChunkOutcome::Histograms(claimed.unwrap_or(0)),
            Ok(()) => ChunkOutcome::Floats(out.floats.len()),
            Err(fault) => {
                ledger.losses.push(Loss {
                    file: self.file(&format!("chunks/{}", chunk.reference.file_name())),
                    offset: Some(fault.offset),
                    kind: fault.error_kind(),
                    detail: fault.to_string(),
                    series: Some(entry.labels.clone()),
                    interval: Some(chunk.sound_interval()),
                    samples: claimed,
                });
                ChunkOutcome::Lost(claimed)
            }
        };
        if let Some(found) = out.interval()
            && (found.start, found.end) != (chunk.min_time_ms, chunk.max_time_ms)
        {
            ledger.losses.push(Loss {
                file: self.file(&format!("chunks/{}", chunk.reference.file_name())),
                offset: Some(chunk.reference.offset_bytes()),
                kind: ErrorKind::Malformed,
                detail: format!(
                    "the index says that this chunk covers {} to {} ms, its samples go from {} to {} ms: it may be another one",
                    chunk.min_time_ms, chunk.max_time_ms, found.start, found.end
                ),
                series: Some(entry.labels.clone()),
                interval: Some(chunk.sound_interval().hull(found)),
                samples: None,
            });
        }
        (outcome, Some(encoding), slice.len + 1)
    }

    /// A file of the block that may not be read: nothing is lost yet, somebody has to grant the permission.
    pub fn denied(&self) -> Option<&Loss> {
        let segments = self.segments.values().filter_map(|s| s.bytes.as_ref().err());
        self.opening.losses.iter().chain(segments).find(|l| l.kind == ErrorKind::Permission)
    }

    /// The loss for a series entry of the index that cannot be read.
    pub fn series_loss(&self, fault: &Fault) -> Loss {
        Loss {
            file: self.file("index"),
            offset: Some(fault.offset),
            kind: fault.error_kind(),
            detail: format!("{fault}; a series of this block, its labels unknown, is lost"),
            series: None,
            interval: Some(self.meta.interval()),
            samples: None,
        }
    }
}

fn io_kind(error: &Error) -> ErrorKind {
    error.kind()
}

fn describe(error: &Error) -> String {
    error.message().to_owned()
}
