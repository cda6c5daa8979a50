//! In which order a server visits the sources of a series when it reads everything.
//!
//! Where sources disagree about a sample, the server's choice depends on the order in which the merging heap pops the
//! blocks' series sets, and that order depends on the label sets that were popped before
//! (`storage/merge.go: genericMergeSeriesSet`). A conflicting sample therefore has no value of its own; the rule here
//! is what a read of all series over all time returns. Only conflicts need this, so only then the labels of all
//! series are read.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::gosort::Heap;
use crate::labels::Labels;
use crate::source::Source;

/// For each wanted label set, the positions of its blocks in the order of a full read.
pub fn full_read_order(source: &Source, wanted: &[&Labels]) -> BTreeMap<Labels, Vec<usize>> {
    let lists: Vec<Vec<Labels>> = source
        .blocks
        .par_iter()
        .map(|b| match &b.block.index {
            Some(index) => index.scan().series.into_iter().map(|e| e.labels).collect(),
            None => Vec::new(),
        })
        .collect();
    let wanted: BTreeSet<&Labels> = wanted.iter().copied().collect();
    let mut result = BTreeMap::new();
    // A set is a block and a position in its list of labels; only sets with something left are in the heap.
    let head = |set: &(usize, usize)| lists.get(set.0).and_then(|l| l.get(set.1));
    let less = |a: &(usize, usize), b: &(usize, usize)| head(a) < head(b);
    let mut heap = Heap::default();
    for (block, list) in lists.iter().enumerate() {
        if !list.is_empty() {
            heap.push((block, 0), less);
        }
    }
    let mut current: Vec<(usize, usize)> = Vec::new();
    loop {
        for (block, at) in current.drain(..) {
            if lists.get(block).is_some_and(|l| at + 1 < l.len()) {
                heap.push((block, at + 1), less);
            }
        }
        let Some(labels) = heap.peek().and_then(head) else {
            return result;
        };
        while heap.peek().and_then(head) == Some(labels) {
            current.extend(heap.pop(less));
        }
        if wanted.contains(labels) {
            result.insert(labels.clone(), current.iter().map(|(block, _)| *block).collect());
        }
    }
}
