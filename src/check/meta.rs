//! `meta.json`: the file by itself, and against what the block holds. It has no checksum and decides what counts.

use std::path::Path;

use super::chunks::Held;
use super::findings::{FileVerdict, Finding};
use crate::error::ErrorKind;
use crate::raw::{FileBytes, ReadMode};
use crate::time::Interval;
use crate::tsdb::meta::{BlockMeta, MAX_META_BYTES};
use crate::tsdb::ulid::Ulid;

/// The longest range of a block that servers write by default; larger ones are configured by hand.
const LONGEST_MS: u64 = 31 * 24 * 3_600_000;

/// Reads the file; what is wrong with it by itself goes to `verdict`. `Err` says why there is no block by it.
pub(super) fn read(path: &Path, verdict: &mut FileVerdict) -> Result<BlockMeta, (ErrorKind, String)> {
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    if size > MAX_META_BYTES {
        return Err((ErrorKind::Malformed, format!("{size} bytes; at most {MAX_META_BYTES} are read")));
    }
    let bytes = FileBytes::open(path, ReadMode::Read).map_err(|e| (e.kind(), e.message().to_owned()))?;
    let meta = BlockMeta::parse(&bytes).map_err(|detail| (ErrorKind::Malformed, detail))?;
    for key in meta.unknown_keys() {
        let effect = "none: it was left aside, as a server does";
        verdict.push(Finding::note("keys", format!("`{key}` is not known"), effect));
    }
    for hint in meta.unknown_hints() {
        let effect = "none here; a release that knows it may treat the block in another way";
        verdict.push(Finding::note("compaction.hints", format!("`{hint}` is not known"), effect));
    }
    for odd in meta.contradictions() {
        let effect = "the file has no checksum and decides which blocks count, so one of the two is damaged or forged";
        verdict.push(Finding::bad(ErrorKind::Malformed, "keys", "keys that agree with each other", odd, effect));
    }
    if meta.version == 2 {
        let effect = "none: its index is read as version 2 whatever its header says";
        verdict.push(Finding::note("version", "2, which Prometheus 2.1 wrote", effect));
    }
    if meta.deletable {
        let effect = "no sample of it is in any answer, here or on a server, which deletes the block";
        let interval = Some(meta.interval());
        verdict.push(Finding::note("compaction.deletable", "true", effect).over(interval));
    }
    if meta.failed {
        let effect = "none: a compaction of it failed, and its samples are read";
        verdict.push(Finding::note("compaction.failed", "true", effect));
    }
    if meta.resolution_ms > 0 {
        let effect = "availability cannot be computed from downsampled data; the other commands refuse the block";
        let found = format!("{} ms", meta.resolution_ms);
        verdict.push(Finding::note("thanos.downsample.resolution", found, effect));
    }
    if meta.compaction_parents().contains(&meta.ulid) {
        let effect = "a server deletes the block as its own parent";
        verdict.push(Finding::bad(
            ErrorKind::Malformed,
            "compaction.parents",
            "other blocks",
            "this block itself",
            effect,
        ));
    }
    Ok(meta)
}

/// What the rest of a block holds, as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Series and chunks of a whole index.
    pub counts: Option<(u64, u64)>,
    pub held: Held,
    /// Merged deleted intervals; `None` where the file is damaged.
    pub deletions: Option<u64>,
    /// From the earliest start to the latest end of a chunk as the index says.
    pub covered: Option<Interval>,
}

/// Compares the claims with the facts.
pub(super) fn compare(meta: &BlockMeta, facts: &Facts, verdict: &mut FileVerdict) {
    let stats = &meta.stats;
    let has_stats = meta.raw.get("stats").is_some_and(|s| s.is_object());
    // Upstream leaves a count of 0 out.
    let mut count = |key: &str, claimed: Option<u64>, found: u64, effect: &str| {
        let claimed = claimed.unwrap_or(0);
        if has_stats && claimed != found {
            let expected = format!("{found}, as the block holds");
            let part = format!("stats.{key}");
            verdict.push(Finding::bad(ErrorKind::Malformed, part, expected, claimed.to_string(), effect));
        }
    };
    const ADVISORY: &str =
        "none: figures come from the chunks; either the count is wrong or the block was changed after it was written";
    if let Some((series, chunks)) = facts.counts {
        count("numSeries", stats.series, series, ADVISORY);
        count("numChunks", stats.chunks, chunks, ADVISORY);
        if facts.held.lost == 0 {
            count("numSamples", stats.samples, facts.held.floats + facts.held.histograms, ADVISORY);
            if stats.float_samples.is_some() || stats.histogram_samples.is_some() {
                count("numFloatSamples", stats.float_samples, facts.held.floats, ADVISORY);
                count("numHistogramSamples", stats.histogram_samples, facts.held.histograms, ADVISORY);
            }
        }
    }
    if let Some(found) = facts.deletions {
        let effect = match stats.tombstones.unwrap_or(0) > found {
            true => "deletions may be missing, so deleted samples may be in answers",
            false => "there are more deletions than were counted, so samples may be missing from answers",
        };
        count("numTombstones", stats.tombstones, found, effect);
    }
    let Some(covered) = facts.covered.filter(|_| facts.counts.is_some()) else { return };
    let claimed = meta.interval();
    if covered.start < meta.min_time_ms || covered.end >= meta.max_time_ms {
        let effect = "samples outside are in answers only where the rest of the block is asked for, too; a compaction drops them";
        let expected = format!("a range that holds its chunks, {covered}");
        let finding = Finding::bad(ErrorKind::Malformed, "minTime, maxTime", expected, claimed.to_string(), effect);
        verdict.push(finding.over(Some(covered)));
    } else if meta.parents.is_empty()
        && (between(meta.min_time_ms, covered.start) || between(meta.max_time_ms, covered.end.saturating_add(1)))
    {
        let effect = "the order in which blocks are merged follows minTime, and maxTime tells where the log begins";
        let found = format!("{claimed}: no whole minutes, or far from the chunks, {covered}");
        verdict.push(Finding::note("minTime, maxTime", found, effect));
    }
}

/// Blocks are cut at multiples of a configured range, or around the samples of a head. Such ranges are whole minutes,
/// which no flipped bit of a decimal digit preserves.
fn between(claimed: i64, sample: i64) -> bool {
    (claimed % 60_000 != 0 && claimed != sample) || claimed.abs_diff(sample) > LONGEST_MS
}

/// The folder's name against the block's identity.
pub(super) fn compare_name(meta: &BlockMeta, folder: &str, verdict: &mut FileVerdict) {
    if Ulid::parse(folder).is_some_and(|u| u != meta.ulid) {
        let effect = "the block counts under the name in the file; a server looks for its files under that name and fails, or deletes the wrong block";
        let found = meta.ulid.to_string();
        let expected = format!("{folder}, the folder's name");
        verdict.push(Finding::bad(ErrorKind::Malformed, "ulid", expected, found, effect));
    }
}
