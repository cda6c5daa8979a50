//! Blocks beside each other: who replaces whom, who overlaps whom, who is there twice.

use std::collections::BTreeMap;

use super::block::Walked;
use super::findings::{Finding, several};
use crate::error::ErrorKind;
use crate::time::Interval;
use crate::tsdb::meta::BlockMeta;
use crate::tsdb::ulid::Ulid;

/// Adds what the blocks of one root say about each other to the verdicts on their `meta.json`.
pub(super) fn relate(blocks: &mut [Walked]) {
    parents(blocks);
    unnamed(blocks);
    twice(blocks);
    overlaps(blocks);
    servers(blocks);
}

/// The blocks that a loadable block names as its parents, by the position of that block.
fn children(blocks: &[Walked]) -> BTreeMap<Ulid, usize> {
    let mut out = BTreeMap::new();
    for (i, b) in blocks.iter().enumerate().filter(|(_, b)| b.loadable) {
        for p in b.meta.iter().flat_map(BlockMeta::compaction_parents) {
            out.entry(p).or_insert(i);
        }
    }
    out
}

fn parents(blocks: &mut [Walked]) {
    let mut by_ulid: BTreeMap<Ulid, usize> = BTreeMap::new();
    for (i, b) in blocks.iter().enumerate() {
        if let Ok(meta) = &b.meta {
            by_ulid.entry(meta.ulid).or_insert(i);
        }
    }
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    for (child, b) in blocks.iter().enumerate() {
        let Ok(meta) = &b.meta else { continue };
        for p in &meta.parents {
            let Some(at) = by_ulid.get(&p.ulid).copied().filter(|at| *at != child) else { continue };
            let Some(Ok(parent)) = blocks.get(at).map(|b| &b.meta) else { continue };
            let interval = Some(parent.interval());
            if !b.loadable {
                let found = format!("{} names it as a parent and cannot be opened", meta.ulid);
                let effect = "this block counts instead, here and on a server";
                findings.push((at, Finding::note("block", found, effect).over(interval)));
                continue;
            }
            let found = format!("it was compacted into {}", meta.ulid);
            let effect = "it is not read, here or on a server, which deletes it: its samples are in that block";
            findings.push((at, Finding::note("block", found, effect).over(interval)));
            if parent.min_time_ms < meta.min_time_ms || parent.max_time_ms > meta.max_time_ms {
                let effect = "the parent is not read, so what it holds outside this block's range is in no answer";
                let expected = format!("parents inside {}", meta.interval());
                let found = format!("{} over {}", p.ulid, parent.interval());
                let finding = Finding::bad(ErrorKind::Malformed, "compaction.parents", expected, found, effect);
                findings.push((child, finding.over(interval)));
            } else if (p.min_time_ms, p.max_time_ms) != (parent.min_time_ms, parent.max_time_ms) {
                let effect = "none, if the parent's own file is right: its range decides";
                let expected = format!("{} over {}, as its own file says", p.ulid, parent.interval());
                let found = format!("{} to {} ms", p.min_time_ms, p.max_time_ms);
                let finding = Finding::bad(ErrorKind::Malformed, "compaction.parents", expected, found, effect);
                findings.push((child, finding.over(interval)));
            }
            if parent.compaction_parents().contains(&meta.ulid) {
                let effect = "each replaces the other: neither is read, here or on a server, which deletes both";
                let found = format!("{} names this block as its parent", p.ulid);
                let finding = Finding::bad(ErrorKind::Malformed, "compaction.parents", "older blocks", found, effect);
                findings.push((child, finding.over(interval)));
            }
        }
    }
    for (at, finding) in findings {
        if let Some(b) = blocks.get_mut(at) {
            b.verdict.push(finding);
        }
    }
}

/// Folders with a block's name whose `meta.json` gives none.
fn unnamed(blocks: &mut [Walked]) {
    let children = children(blocks);
    for b in blocks {
        let Err((kind, detail)) = &b.meta else { continue };
        let expected = "a meta.json that says which block this is";
        let finding = if !b.holds_data {
            let effect = "none: there is neither an index nor a chunk, and a server skips the folder";
            Finding::note("block", detail, effect)
        } else if Ulid::parse(&b.name).is_some_and(|u| children.contains_key(&u)) {
            let effect = "none: the block was compacted into another one, and its samples are there";
            Finding::note("block", detail, effect).over(b.covered)
        } else {
            let effect = format!(
                "a server skips the block: what its index names ({}) is in no answer, here or there",
                several(b.series, "series")
            );
            Finding::bad(*kind, "block", expected, detail, effect).over(b.covered)
        };
        b.verdict.push(finding);
    }
}

fn twice(blocks: &mut [Walked]) {
    let mut seen: BTreeMap<Ulid, String> = BTreeMap::new();
    for b in blocks {
        let Ok(meta) = &b.meta else { continue };
        if let Some(first) = seen.get(&meta.ulid) {
            let effect =
                "their samples count once here; a server takes them for one block and loads whichever it meets last";
            let found = format!("{first} is the same block");
            b.verdict.push(Finding::note("ulid", found, effect).over(Some(meta.interval())));
        } else {
            seen.insert(meta.ulid, b.name.clone());
        }
    }
}

/// Positions of the blocks that are read, by start.
fn served(blocks: &[Walked]) -> Vec<(usize, Interval)> {
    let children = children(blocks);
    let mut out: Vec<(usize, Interval)> = Vec::new();
    for (i, b) in blocks.iter().enumerate() {
        let Ok(meta) = &b.meta else { continue };
        if b.loadable && !meta.deletable && children.get(&meta.ulid).is_none_or(|child| *child == i) {
            out.push((i, meta.interval()));
        }
    }
    out.sort_by_key(|(i, interval)| (interval.start, *i));
    out
}

fn overlaps(blocks: &mut [Walked]) {
    let mut reaching: Option<(usize, Interval)> = None;
    for (at, interval) in served(blocks) {
        if let Some((other, _)) = reaching.filter(|(_, r)| r.overlaps(&interval)) {
            let other = blocks.get(other).map_or_else(String::new, |b| b.name.clone());
            let shared = reaching.map(|(_, r)| Interval::new(interval.start, interval.end.min(r.end)));
            let effect = "samples of both are merged as a server does, equal ones count once";
            let finding = Finding::note("minTime, maxTime", format!("the block overlaps {other}"), effect);
            if let Some(b) = blocks.get_mut(at) {
                b.verdict.push(finding.over(shared));
            }
        }
        if reaching.is_none_or(|(_, r)| r.end < interval.end) {
            reaching = Some((at, interval));
        }
    }
}

/// Blocks that differ in labels outside the index belong to different servers.
fn servers(blocks: &mut [Walked]) {
    let mut first: Option<(BlockMeta, String)> = None;
    for b in blocks {
        let Ok(meta) = &b.meta else { continue };
        let Some((other, name)) = &first else {
            first = Some((meta.clone(), b.name.clone()));
            continue;
        };
        if (&other.external_labels, other.resolution_ms) != (&meta.external_labels, meta.resolution_ms) {
            let effect = "they come from different servers, so the other commands refuse to answer from both";
            let found = format!("other external labels or another resolution than {name} has");
            b.verdict.push(Finding::note("thanos", found, effect));
        }
    }
}
