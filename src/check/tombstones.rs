//! `tombstones`: every entry, and whether it deletes anything.

use super::findings::{FileVerdict, Finding};
use super::index::IndexWalk;
use crate::error::ErrorKind;
use crate::raw::FaultKind;
use crate::time::Interval;
use crate::tsdb::tombstones::Tombstones;

/// Where the checksum's bytes start.
const ENTRIES_AT: u64 = 5;

/// Walks the file. Gives the number of merged intervals, as `meta.json` counts them; `None` where they are not known.
///
/// `range` is that of the block: any of its samples may be one of those whose deletion is not known.
pub(super) fn walk(
    bytes: &[u8],
    index: Option<&mut IndexWalk<'_>>,
    range: Option<Interval>,
    verdict: &mut FileVerdict,
) -> Option<u64> {
    let mut entries = Vec::new();
    let walked = Tombstones::walk(bytes, |at, series, interval| entries.push((at, series, interval)));
    verdict.count("deletions", entries.len() as u64);
    if let Err(fault) = walked {
        let effect = "which samples were deleted is not known, so deleted samples of this block may be in answers; a server does not start on it";
        let at = if matches!(fault.kind, FaultKind::Checksum { .. }) { ENTRIES_AT } else { fault.offset };
        verdict.push(Finding::fault(&fault, effect).at(at).over(range));
        return None;
    }
    let mut index = index;
    for (at, series, interval) in &entries {
        if verdict.is_full() {
            break;
        }
        if interval.start > interval.end {
            let found = "one that ends before it starts";
            let effect = "none: it deletes nothing";
            verdict.push(
                Finding::bad(ErrorKind::Malformed, "deleted interval", "start before end", found, effect).at(*at),
            );
            continue;
        }
        let Some(index) = index.as_mut().filter(|i| i.whole) else { continue };
        let Some(position) = index.position(*series) else {
            let found = format!("series {}, which it does not have", series.0);
            let effect = "none: it deletes nothing; what it was meant to delete is in answers";
            let finding = Finding::bad(ErrorKind::Missing, "deletion", "a series of the index", found, effect);
            verdict.push(finding.at(*at).over(Some(*interval)));
            continue;
        };
        let times = index.series.get(position as usize).and_then(|s| s.interval);
        if times.is_none_or(|t| !t.overlaps(interval)) {
            let effect = "none: it deletes nothing";
            let finding = Finding::note("deletion", "none of the series' chunks has these times", effect);
            let labels = index.labels(position);
            verdict.push(finding.at(*at).over(Some(*interval)).of(labels));
        }
    }
    // Upstream merges and counts an interval that is turned round like any other.
    let reversed = entries.iter().filter(|(_, _, i)| i.start > i.end).count() as u64;
    Tombstones::parse(bytes).ok().map(|t| t.count() as u64 + reversed)
}
