//! [`Block`]: one block directory, opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::chunkenc::{Encoding, claimed_samples, xor};
use super::chunks::{ChunkSlice, Segment, check_header};
use super::index::{ChunkMeta, Index, SeriesEntry};
use super::meta::BlockMeta;
use super::tombstones::Tombstones;
use crate::error::{Error, ErrorKind};
use crate::loss::{Ledger, Loss};
use crate::raw::{Fault, FileBytes, ReadMode};
use crate::sample::Samples;

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
    /// What was lost or odd when opening.
    pub opening: Ledger,
}

/// What became of the samples of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// Decoded: this many float samples were appended.
    Floats(usize),
    /// Native histograms, which this release does not decode: none of them is a float sample.
    Histograms(u64),
    /// Lost; the ledger has the reason.
    Lost,
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
            opening: Ledger::default(),
            meta,
        };
        block.open_index(mode);
        block.open_tombstones(mode);
        block.open_segments(mode);
        block
    }

    /// The path of one of the block's files, relative to the SOURCE.
    pub fn file(&self, name: &str) -> String {
        if self.rel.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.rel)
        }
    }

    fn whole_block_loss(
        &self,
        file: &str,
        offset: Option<u64>,
        kind: ErrorKind,
        detail: String,
    ) -> Loss {
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
        let opened = FileBytes::open(&self.dir.join("index"), mode)
            .map_err(|e| self.whole_block_loss("index", None, io_kind(&e), describe(&e)))
            .and_then(|bytes| {
                Index::parse(bytes, self.meta.version == 2).map_err(|f| {
                    let detail = format!("{f}; the whole block is lost");
                    self.whole_block_loss("index", Some(f.offset), f.error_kind(), detail)
                })
            });
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
            Err(loss) => self.opening.losses.push(loss),
        }
    }

    fn open_tombstones(&mut self, mode: ReadMode) {
        let path = self.dir.join("tombstones");
        if !path.exists() {
            return;
        }
        let parsed = FileBytes::open(&path, mode)
            .map_err(|e| (None, io_kind(&e), describe(&e)))
            .and_then(|b| {
                Tombstones::parse(&b).map_err(|f| (Some(f.offset), f.error_kind(), f.to_string()))
            });
        match parsed {
            Ok(t) => self.tombstones = t,
            Err((offset, kind, detail)) => {
                let detail = format!(
                    "{detail}; deletions of this block are unknown, so deleted samples may be counted"
                );
                let loss = Loss {
                    samples: None,
                    ..self.whole_block_loss("tombstones", offset, kind, detail)
                };
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
                let loss =
                    self.whole_block_loss("chunks", None, ErrorKind::Missing, describe(&error));
                if self.meta.stats.chunks != Some(0) {
                    self.opening.losses.push(loss);
                }
            }
        }
        numbers.sort_unstable();
        let last = numbers.last().copied().unwrap_or(0);
        if last as usize != numbers.len() {
            let missing: Vec<String> = (1..=last)
                .filter(|n| numbers.binary_search(n).is_err())
                .take(5)
                .map(|n| format!("{n:06}"))
                .collect();
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
                (
                    n - 1,
                    Segment {
                        file: self.file(&name),
                        bytes,
                    },
                )
            })
            .collect();
    }

    /// The sizes of the segments in bytes, in order.
    pub fn segment_bytes(&self) -> u64 {
        self.segments
            .values()
            .map(|s| s.bytes.as_ref().map_or(0, |b| b.len() as u64))
            .sum()
    }

    fn segment(&self, chunk: &ChunkMeta) -> Result<&Segment, String> {
        self.segments
            .get(&chunk.reference.segment_index())
            .ok_or_else(|| self.file(&format!("chunks/{}", chunk.reference.file_name())))
    }

    /// Reads one chunk, checksum verified. The loss is complete but for nothing: file, offset, series and interval.
    pub fn chunk(
        &self,
        entry: &SeriesEntry,
        chunk: &ChunkMeta,
    ) -> Result<ChunkSlice<'_>, Box<Loss>> {
        let offset = chunk.reference.offset_bytes();
        let loss = |file: String, offset, kind, detail: String, samples| {
            Box::new(Loss {
                file,
                offset: Some(offset),
                kind,
                detail,
                series: Some(entry.labels.clone()),
                interval: Some(sound_interval(chunk)),
                samples,
            })
        };
        let segment = self.segment(chunk).map_err(|file| {
            loss(
                file,
                offset,
                ErrorKind::Missing,
                "the segment is not there; its chunks are lost".to_owned(),
                None,
            )
        })?;
        let bytes = match &segment.bytes {
            Ok(bytes) => bytes,
            Err(l) => {
                let detail = format!("the segment cannot be read ({})", l.detail);
                return Err(loss(segment.file.clone(), offset, l.kind, detail, None));
            }
        };
        ChunkSlice::read(bytes, offset).map_err(|f| {
            loss(
                segment.file.clone(),
                offset,
                f.error_kind(),
                f.to_string(),
                None,
            )
        })
    }

    /// Decodes one chunk's float samples into `out`, tombstones not applied. Losses go to `ledger`.
    pub fn decode(
        &self,
        entry: &SeriesEntry,
        chunk: &ChunkMeta,
        out: &mut Samples,
        ledger: &mut Ledger,
    ) -> ChunkOutcome {
        let slice = match self.chunk(entry, chunk) {
            Ok(slice) => slice,
            Err(loss) => {
                ledger.losses.push(*loss);
                return ChunkOutcome::Lost;
            }
        };
        let encoding = Encoding(slice.encoding);
        let claimed = claimed_samples(encoding, slice.data());
        let mut lost = |offset: u64, kind, detail: String, samples| {
            ledger.losses.push(Loss {
                file: self.file(&format!("chunks/{}", chunk.reference.file_name())),
                offset: Some(offset),
                kind,
                detail,
                series: Some(entry.labels.clone()),
                interval: Some(sound_interval(chunk)),
                samples,
            });
            ChunkOutcome::Lost
        };
        let before = out.len();
        let decoded = match encoding {
            Encoding::XOR => xor::decode(&slice, out),
            e if e.is_histogram() => return ChunkOutcome::Histograms(claimed.unwrap_or(0)),
            e => {
                let detail = format!(
                    "chunks of encoding {} ({}) are not read by this release",
                    e.0,
                    e.name()
                );
                return lost(
                    chunk.reference.offset_bytes(),
                    ErrorKind::Unsupported,
                    detail,
                    claimed,
                );
            }
        };
        if let Err(fault) = decoded {
            return lost(fault.offset, fault.error_kind(), fault.to_string(), claimed);
        }
        let new = out.ts.get(before..).unwrap_or_default();
        if !new.is_sorted_by(|a, b| a < b) {
            let detail = "timestamps inside the chunk do not increase".to_owned();
            out.ts.truncate(before);
            out.bits.truncate(before);
            return lost(
                chunk.reference.offset_bytes(),
                ErrorKind::Malformed,
                detail,
                claimed,
            );
        }
        if let (Some(first), Some(last)) = (new.first(), new.last())
            && (*first, *last) != (chunk.min_time_ms, chunk.max_time_ms)
        {
            ledger.notes.push(format!(
                "{}: the index says that the chunk at {} byte {} covers {} to {} ms, its samples go from {first} to {last} ms",
                self.file("index"),
                chunk.reference.file_name(),
                chunk.reference.offset_bytes(),
                chunk.min_time_ms,
                chunk.max_time_ms,
            ));
        }
        ChunkOutcome::Floats(new.len())
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

/// A chunk's interval as the index gives it; hostile ones may end before they start.
fn sound_interval(chunk: &ChunkMeta) -> crate::time::Interval {
    let i = chunk.interval();
    crate::time::Interval::new(i.start.min(i.end), i.end.max(i.start))
}

fn io_kind(error: &Error) -> ErrorKind {
    error.kind()
}

fn describe(error: &Error) -> String {
    error.message().to_owned()
}
