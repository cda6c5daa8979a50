//! Loading the mapped chunks of a head (`tsdb/head.go: loadMmappedChunks, removeCorruptedMmappedChunks`).

use std::collections::BTreeMap;

use super::files::ChunkFile;
use crate::raw::Fault;
use crate::tsdb::chunkenc::Encoding;
use crate::tsdb::head_chunks::{self, HeadChunk, HeadChunkRef, HeadSeriesRef};

/// The mapped chunks that a server loads at its start.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    /// Chunks of samples in order, by the reference that they were written under, by time.
    pub in_order: BTreeMap<HeadSeriesRef, Vec<HeadChunk>>,
    /// Out-of-order chunks, by place on disk.
    pub late: BTreeMap<HeadSeriesRef, Vec<HeadChunk>>,
    /// The last chunk that was read.
    pub last: HeadChunkRef,
    /// Chunks in files that a server discards, as far as they can be read.
    pub discarded: Vec<HeadChunk>,
    /// Chunks that end before the head begins: blocks have their samples.
    pub compacted: u64,
    /// Samples of all chunks in all files, as they claim.
    pub samples: u64,
    /// What was found, for people.
    pub notes: Vec<String>,
    /// Chunks of an encoding that this release does not know.
    pub unknown: Vec<HeadChunk>,
}

enum Stop {
    /// This file cannot be read on; it and all later ones are discarded.
    File(usize, Fault),
    /// The chunks of one reference go back in time; all files are discarded.
    Order(HeadChunk),
}

impl Mapped {
    /// Loads all files, or those that a server keeps after it found one of them damaged.
    pub(super) fn load(files: &[ChunkFile], cutoff: i64) -> Mapped {
        let mut kept = files.len();
        let mut notes = Vec::new();
        loop {
            let readable = files.get(..kept).unwrap_or_default();
            let mut mapped = Mapped { notes: notes.clone(), ..Mapped::default() };
            match mapped.try_load(readable, cutoff) {
                None => {
                    for file in files.get(kept..).unwrap_or_default() {
                        let _ = head_chunks::walk(&file.bytes, file.number, |c| {
                            mapped.samples += c.samples;
                            mapped.discarded.push(c);
                        });
                    }
                    return mapped;
                }
                Some(Stop::File(at, fault)) => {
                    let file = files.get(at);
                    notes.push(format!(
                        "{} at byte {}: {fault}; a server discards this file and later ones and takes their samples from the log",
                        file.map_or("", |f| &f.rel),
                        fault.offset
                    ));
                    kept = at;
                }
                Some(Stop::Order(chunk)) => {
                    notes.push(format!(
                        "chunks_head: chunks of series {} go back in time at {}; a server discards all mapped chunks and takes their samples from the log",
                        chunk.series.0,
                        crate::time::rfc3339(chunk.min_time_ms)
                    ));
                    kept = 0;
                }
            }
        }
    }

    fn try_load(&mut self, files: &[ChunkFile], cutoff: i64) -> Option<Stop> {
        for (at, file) in files.iter().enumerate() {
            if at + 1 == files.len() && head_chunks::is_empty_last(&file.bytes) {
                break;
            }
            let mut disorder = None;
            let walked = head_chunks::walk(&file.bytes, file.number, |chunk| {
                if disorder.is_none() {
                    disorder = self.take(chunk, cutoff).err();
                }
            });
            if let Some(chunk) = disorder {
                return Some(Stop::Order(chunk));
            }
            if let Err(fault) = walked {
                return Some(Stop::File(at, fault));
            }
        }
        None
    }

    fn take(&mut self, chunk: HeadChunk, cutoff: i64) -> Result<(), HeadChunk> {
        self.last = chunk.reference;
        self.samples += chunk.samples;
        if !chunk.out_of_order && chunk.max_time_ms < cutoff {
            self.compacted += 1;
            return Ok(());
        }
        if !is_known(chunk.encoding) {
            self.unknown.push(chunk);
            return Ok(());
        }
        if chunk.out_of_order {
            self.late.entry(chunk.series).or_default().push(chunk);
            return Ok(());
        }
        let of = self.in_order.entry(chunk.series).or_default();
        if of.last().is_some_and(|last| last.max_time_ms >= chunk.min_time_ms) {
            return Err(chunk);
        }
        of.push(chunk);
        Ok(())
    }
}

fn is_known(encoding: Encoding) -> bool {
    encoding.is_histogram() || matches!(encoding, Encoding::XOR | Encoding::XOR2)
}

/// Chunks of a series under several references, as the server since 3.16 joins them: in order by time, where a chunk of
/// the later definition replaces those that it overlaps; out-of-order ones by place on disk
/// (`tsdb/head_wal.go: mergeReplayMmappedChunks`).
pub(super) fn join(existing: &[HeadChunk], incoming: &[HeadChunk], late: bool) -> Vec<HeadChunk> {
    if existing.is_empty() {
        return incoming.to_vec();
    }
    let mut joined = Vec::with_capacity(existing.len() + incoming.len());
    let mut rest = incoming.iter().peekable();
    for c in existing {
        let before = |n: &&HeadChunk| match late {
            true => n.reference < c.reference,
            false => n.max_time_ms < c.min_time_ms,
        };
        while let Some(n) = rest.next_if(before) {
            joined.push(*n);
        }
        if rest.peek().is_some_and(|n| n.reference == c.reference || (!late && c.max_time_ms >= n.min_time_ms)) {
            continue;
        }
        joined.push(*c);
    }
    joined.extend(rest.copied());
    joined
}
