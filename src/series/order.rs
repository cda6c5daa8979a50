//! In which order a server visits the sources of a series when it reads everything.
//!
//! Where sources disagree about a sample, the server's choice depends on the order in which the merging heap pops the
//! parts' series sets, and that order depends on the label sets that were popped before
//! (`storage/merge.go: genericMergeSeriesSet`). A conflicting sample therefore has no value of its own; the rule here
//! is what a read of all series over all time returns. Only conflicts need this, so only then the labels of all
//! series are read.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::gosort::Heap;
use crate::labels::Labels;
use crate::source::{Part, Source};

/// For each wanted label set, its parts in the order of a full read.
pub fn full_read_order(source: &Source, wanted: &[&Labels]) -> BTreeMap<Labels, Vec<Part>> {
    let parts = source.merge_order();
    let lists: Vec<Vec<Labels>> = parts.par_iter().map(|p| labels_of(source, *p)).collect();
    let wanted: BTreeSet<&Labels> = wanted.iter().copied().collect();
    let mut result = BTreeMap::new();
    // A set is a part and a position in its list of labels; only sets with something left are in the heap.
    let head = |set: &(usize, usize)| lists.get(set.0).and_then(|l| l.get(set.1));
    let less = |a: &(usize, usize), b: &(usize, usize)| head(a) < head(b);
    let mut heap = Heap::default();
    for (part, list) in lists.iter().enumerate() {
        if !list.is_empty() {
            heap.push((part, 0), less);
        }
    }
    let mut current: Vec<(usize, usize)> = Vec::new();
    loop {
        for (part, at) in current.drain(..) {
            if lists.get(part).is_some_and(|l| at + 1 < l.len()) {
                heap.push((part, at + 1), less);
            }
        }
        let Some(labels) = heap.peek().and_then(head) else {
            return result;
        };
        while heap.peek().and_then(head) == Some(labels) {
            current.extend(heap.pop(less));
        }
        if wanted.contains(labels) {
            let order = current.iter().filter_map(|(part, _)| parts.get(*part).copied());
            result.insert(labels.clone(), order.collect());
        }
    }
}

/// The label sets of a part, sorted.
fn labels_of(source: &Source, part: Part) -> Vec<Labels> {
    match part {
        Part::Block(i) => {
            let index = source.blocks.get(i).and_then(|b| b.block.index.as_ref());
            index.map_or_else(Vec::new, |index| index.scan().series.into_iter().map(|e| e.labels).collect())
        }
        Part::Dataset(i) => {
            let series = source.datasets.get(i).map_or(&[][..], |d| d.dataset.series.as_slice());
            series.iter().map(|s| s.record.labels.clone()).collect()
        }
        Part::Dumps(i) => {
            let series = source.dumps.get(i).map_or(&[][..], |d| d.dumps.series.as_slice());
            series.iter().map(|s| s.labels.clone()).collect()
        }
        Part::Head(i) | Part::Late(i) => {
            let Some(h) = source.heads.get(i) else { return Vec::new() };
            let late = matches!(part, Part::Late(_));
            let apart = h.head.rules().late_apart;
            let of = h.head.series.iter().filter(|s| match (late, apart) {
                (true, _) => !s.late_chunks.is_empty() || s.late.samples() > 0,
                (false, true) => !s.chunks.is_empty() || s.tail.samples() > 0,
                (false, false) => true,
            });
            let mut labels: Vec<Labels> = of.map(|s| s.labels.clone()).collect();
            labels.sort();
            labels
        }
    }
}
