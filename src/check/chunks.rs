//! `chunks/`: every chunk that the index names, and every byte that it does not.

use rayon::prelude::*;

use super::findings::{FileVerdict, Finding, several};
use super::index::{ChunkUse, IndexWalk};
use crate::error::ErrorKind;
use crate::raw::Fault;
use crate::time::Interval;
use crate::tsdb::chunkenc::{self, Encoding, claimed_samples};
use crate::tsdb::chunks::{BlockChunkRef, ChunkSlice, HEADER_LEN, check_header};
use crate::tsdb::run::Run;

/// Chunks that one thread reads at a time.
const BATCH: usize = 64;

/// What the chunks of a block hold, each counted as often as the index names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub floats: u64,
    pub histograms: u64,
    /// Chunks whose samples could not be counted.
    pub lost: u64,
}

impl Held {
    pub(super) fn add(&mut self, other: Held) {
        self.floats += other.floats;
        self.histograms += other.histograms;
        self.lost += other.lost;
    }
}

/// One place in a segment that the index names.
struct Item<'u> {
    offset: u64,
    /// Who names it.
    uses: &'u [ChunkUse],
    /// Its bytes by its own length.
    extent: Option<u64>,
    read: Result<Chunk, (Fault, Option<u64>)>,
}

/// A chunk that was read and decoded.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    samples: u64,
    histogram: bool,
    interval: Option<Interval>,
}

/// Checks the header of a segment. A server opens no block with a wrong one.
pub(super) fn header(bytes: &[u8], verdict: &mut FileVerdict) -> bool {
    if let Err(fault) = check_header(bytes) {
        let effect = "all chunks in this segment are lost, and a server does not start on the block; what follows was checked all the same";
        verdict.push(Finding::fault(&fault, effect));
        return false;
    }
    match bytes.get(5..HEADER_LEN as usize) {
        Some([0, 0, 0]) => true,
        Some(padding) => {
            let at = padding.iter().position(|b| *b != 0).unwrap_or(0) as u64;
            let effect = "none: nobody reads these bytes";
            verdict.push(
                Finding::bad(ErrorKind::Malformed, "segment header", "padding of zeros", "others", effect).at(5 + at),
            );
            true
        }
        None => {
            let left = bytes.len().saturating_sub(5);
            let effect = "all chunks in this segment are lost, and a server does not start on the block";
            let found = several(left as u64, "byte");
            verdict
                .push(Finding::bad(ErrorKind::Truncated, "segment header", "3 bytes of padding", found, effect).at(5));
            false
        }
    }
}

/// Walks one segment: `uses` are the chunks that the index names in it, by offset.
pub(super) fn walk(
    bytes: &[u8],
    name: &str,
    uses: &[ChunkUse],
    index: &mut IndexWalk<'_>,
    verdict: &mut FileVerdict,
    index_verdict: &mut FileVerdict,
) -> Held {
    let mut held = Held::default();
    let mut walked = 0;
    let mut free = HEADER_LEN;
    // Chunks do not overlap, so all together they are no longer than the segment. Damaged lengths may be.
    let mut left = (bytes.len() as u64).saturating_mul(4).saturating_add(1 << 20);
    let mut owner: Option<&ChunkUse> = None;
    // The bytes behind a chunk that cannot be read belong to it, as far as anybody can tell.
    let mut known = true;
    let mut rest = uses;
    while !rest.is_empty() {
        let (batch, overlapping) = take_batch(bytes, &mut rest, &mut left);
        let items: Vec<Item<'_>> = batch
            .par_chunks(BATCH)
            .flat_map_iter(|part| {
                let mut run = Run::default();
                part.iter().map(|(offset, uses)| read(bytes, *offset, uses, &mut run)).collect::<Vec<_>>()
            })
            .collect();
        for item in items {
            let Some(first) = item.uses.first() else { continue };
            let n = item.uses.len() as u64;
            match &item.read {
                Ok(chunk) => {
                    walked += 1;
                    let samples = chunk.samples * n;
                    if chunk.histogram {
                        held.histograms += samples
                    } else {
                        held.floats += samples
                    }
                    for u in item.uses {
                        times(name, u, chunk, index, index_verdict);
                    }
                }
                Err((fault, claimed)) => {
                    held.lost += n;
                    if item.offset >= free || owner.is_none() {
                        lost(first, fault, *claimed, index, verdict);
                    }
                }
            }
            if item.offset < free {
                overlap(name, first, owner, index, index_verdict);
            } else if item.offset > free && known {
                unreferenced(bytes, free, item.offset, index.whole, verdict);
            }
            for again in item.uses.iter().skip(1) {
                shared(name, again, first, index, index_verdict);
            }
            let end = item.offset.saturating_add(item.extent.unwrap_or(0));
            match item.read {
                Ok(_) => {
                    if end > free {
                        (free, owner, known) = (end, Some(first), true);
                    }
                }
                Err(_) if item.offset >= free => (free, owner, known) = (item.offset, None, false),
                Err(_) => {}
            }
        }
        if overlapping {
            let part = format!("references to chunks in {name}");
            let found = "places whose lengths add up to more than four times the segment";
            let effect = format!("{} were not checked", several(rest.len() as u64, "chunk"));
            index_verdict.push(Finding::bad(ErrorKind::Malformed, part, "chunks side by side", found, effect));
            held.lost += rest.len() as u64;
            known = false;
            break;
        }
    }
    if known {
        unreferenced(bytes, free, bytes.len() as u64, index.whole, verdict);
    }
    verdict.count("chunks", walked);
    verdict.count("samples", held.floats + held.histograms);
    held
}

/// The next places with those who name them. The flag tells that they take more than there is.
fn take_batch<'u>(bytes: &[u8], rest: &mut &'u [ChunkUse], left: &mut u64) -> (Vec<(u64, &'u [ChunkUse])>, bool) {
    const PLACES: usize = 1 << 14;
    let mut batch = Vec::new();
    while let Some(first) = rest.first().filter(|_| batch.len() < PLACES) {
        let offset = BlockChunkRef(first.reference).offset_bytes();
        let extent = ChunkSlice::extent(bytes, offset).unwrap_or(0).min(bytes.len() as u64);
        match left.checked_sub(extent) {
            Some(less) => *left = less,
            None => return (batch, true),
        }
        let n = rest.partition_point(|u| u.reference == first.reference);
        let (uses, behind) = rest.split_at_checked(n).unwrap_or((rest, &[]));
        batch.push((offset, uses));
        *rest = behind;
    }
    (batch, false)
}

fn read<'u>(bytes: &[u8], offset: u64, uses: &'u [ChunkUse], run: &mut Run) -> Item<'u> {
    let extent = ChunkSlice::extent(bytes, offset);
    let at_start = |f: Fault| Fault::new(offset, f.field, f.kind);
    let read = ChunkSlice::read(bytes, offset).map_err(|f| (at_start(f), None)).and_then(|slice| decode(&slice, run));
    Item { offset, uses, extent, read }
}

fn decode(slice: &ChunkSlice<'_>, run: &mut Run) -> Result<Chunk, (Fault, Option<u64>)> {
    let encoding = Encoding(slice.encoding);
    chunkenc::decode(slice, true, run).map_err(|f| (f, claimed_samples(encoding, slice.data())))?;
    Ok(Chunk { samples: run.len() as u64, histogram: encoding.is_histogram(), interval: run.interval() })
}

fn lost(u: &ChunkUse, fault: &Fault, claimed: Option<u64>, index: &mut IndexWalk<'_>, verdict: &mut FileVerdict) {
    if verdict.is_full() {
        return verdict.push(Finding::fault(fault, ""));
    }
    let what = match claimed {
        Some(n) => format!("the chunk with its {}", several(n, "sample")),
        None => "the chunk".to_owned(),
    };
    let effect = format!(
        "{what} is lost to every answer about this series and time; a server fails at such a query or leaves it out"
    );
    verdict.push(Finding::fault(fault, effect).of(index.labels(u.series)).over(Some(u.interval())));
}

fn times(name: &str, u: &ChunkUse, chunk: &Chunk, index: &mut IndexWalk<'_>, verdict: &mut FileVerdict) {
    let claimed = (u.min_time_ms, u.max_time_ms);
    let (found, expected) = match chunk.interval {
        Some(i) if (i.start, i.end) == claimed => return,
        Some(i) => (
            format!("{} for the chunk in {name} at byte {}", u.interval(), offset(u)),
            format!("the times of its samples, {i}"),
        ),
        None => (
            format!("{} for the chunk in {name} at byte {}, which holds no sample", u.interval(), offset(u)),
            "a chunk with samples".to_owned(),
        ),
    };
    let at = index.series.get(u.series as usize).map_or(0, |s| s.offset);
    let effect = "chunks are chosen by these times, here and on a server, so answers about the time between the two miss samples";
    let labels = (!verdict.is_full()).then(|| index.labels(u.series)).flatten();
    let over = chunk.interval.map_or(u.interval(), |i| i.hull(u.interval()));
    verdict.push(
        Finding::bad(ErrorKind::Malformed, "times of a chunk", expected, found, effect)
            .at(at)
            .of(labels)
            .over(Some(over)),
    );
}

fn offset(u: &ChunkUse) -> u64 {
    BlockChunkRef(u.reference).offset_bytes()
}

/// A second name for a chunk.
fn shared(name: &str, u: &ChunkUse, first: &ChunkUse, index: &mut IndexWalk<'_>, verdict: &mut FileVerdict) {
    let expected = "each chunk in one place of one series";
    let (found, effect) = if u.series == first.series {
        ("twice in this series".to_owned(), "the samples count once here; a server reads them twice")
    } else {
        let other = (!verdict.is_full()).then(|| index.labels(first.series)).flatten();
        let other = other.map_or_else(|| "another series".to_owned(), |l| l.to_string());
        (format!("also in {other}"), "the samples of one series are answered as those of the other, too")
    };
    reference_finding(name, u, expected, &found, effect, index, verdict);
}

/// A name for bytes inside another chunk.
fn overlap(name: &str, u: &ChunkUse, owner: Option<&ChunkUse>, index: &mut IndexWalk<'_>, verdict: &mut FileVerdict) {
    let Some(owner) = owner else { return };
    let other = (!verdict.is_full()).then(|| index.labels(owner.series)).flatten();
    let other = other.map_or_else(String::new, |l| format!(" of {l}"));
    let found = format!("inside the chunk at byte {}{other}", offset(owner));
    let effect = "what is read there is not what was written for this series, or nothing";
    reference_finding(name, u, "chunks that do not overlap", &found, effect, index, verdict);
}

fn reference_finding(
    name: &str,
    u: &ChunkUse,
    expected: &str,
    found: &str,
    effect: &str,
    index: &mut IndexWalk<'_>,
    verdict: &mut FileVerdict,
) {
    let at = index.series.get(u.series as usize).map_or(0, |s| s.offset);
    let labels = (!verdict.is_full()).then(|| index.labels(u.series)).flatten();
    let part = format!("reference to the chunk in {name} at byte {}", offset(u));
    verdict.push(
        Finding::bad(ErrorKind::Malformed, part, expected, found, effect).at(at).of(labels).over(Some(u.interval())),
    );
}

/// Bytes that no series names. Where series entries are lost their chunks are among them, so they are walked by
/// themselves and only what cannot be read there is bad.
fn unreferenced(bytes: &[u8], from: u64, to: u64, index_whole: bool, verdict: &mut FileVerdict) {
    if from >= to {
        return;
    }
    let gap = bytes.get(..to as usize).unwrap_or(bytes);
    let (mut at, mut chunks, mut samples) = (from, 0u64, 0u64);
    let mut interval: Option<Interval> = None;
    let mut run = Run::default();
    let mut stop = None;
    while at < to {
        let read = ChunkSlice::read(gap, at).map_err(|f| (f, None)).and_then(|slice| {
            let chunk = decode(&slice, &mut run)?;
            Ok((chunk, slice.offset + slice.len as u64 + 4))
        });
        match read {
            Ok((chunk, end)) => {
                chunks += 1;
                samples += chunk.samples;
                interval = Interval::joined(interval, chunk.interval);
                at = end;
            }
            Err((fault, _)) => {
                stop = Some(fault);
                break;
            }
        }
    }
    let whole = match chunks {
        0 => String::new(),
        n => format!(", among them {} with {}, each whole", several(n, "chunk"), several(samples, "sample")),
    };
    let found = format!("{}{whole}", several(to - from, "byte"));
    if index_whole {
        let effect = match chunks {
            0 => "none: nothing reads them",
            _ => "nothing reads them: samples that were written are in no answer, here or on a server",
        };
        let expected = "one chunk behind the other, each named by a series";
        verdict.push(
            Finding::bad(ErrorKind::Malformed, "unreferenced bytes", expected, found, effect).at(from).over(interval),
        );
        return;
    }
    let effect = "they belong to series entries that cannot be read, and are lost with them";
    verdict.push(Finding::note("unreferenced bytes", found, effect).at(from).over(interval));
    if let Some(fault) = stop {
        let effect = format!("none beyond that; {} from here on were not checked", several(to - at, "byte"));
        verdict.push(Finding::fault(&fault, effect));
    }
}
