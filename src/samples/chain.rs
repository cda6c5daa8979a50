//! Merging the parts of one series (`storage/merge.go: chainSampleIterator`).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::read::PartRun;
use crate::gosort::Heap;
use crate::sample::Samples;
use crate::source::Part;
use crate::tsdb::chunkenc::histogram::{HistogramSample, ResetHint};
use crate::tsdb::run::{Position, Run};

/// All samples of several sources; at equal times the first source's value.
#[derive(Debug, Default)]
pub(super) struct Union {
    pub samples: Samples,
    /// Samples that another source repeated with the same bits.
    pub duplicates: u64,
    /// Times at which sources differ.
    pub conflicts: Vec<i64>,
}

/// Merges sources that are each strictly increasing, and tells where they repeat or contradict each other. Without
/// contradictions the result does not depend on the order of the sources.
pub(super) fn union(runs: &[&Samples]) -> Union {
    let mut out = Union::default();
    let head = |run: usize, at: usize| -> Option<Reverse<(i64, usize, usize)>> {
        Some(Reverse((*runs.get(run)?.ts.get(at)?, run, at)))
    };
    let bits_of = |run: usize, at: usize| runs.get(run).and_then(|r| r.bits.get(at)).copied().unwrap_or(0);
    // The least time first, of equal times the first source.
    let mut heap: BinaryHeap<Reverse<(i64, usize, usize)>> = (0..runs.len()).filter_map(|run| head(run, 0)).collect();
    while let Some(Reverse((t, run, at))) = heap.pop() {
        heap.extend(head(run, at + 1));
        let bits = bits_of(run, at);
        match (out.samples.ts.last(), out.samples.bits.last()) {
            (Some(last), Some(first)) if *last == t => {
                out.duplicates += 1;
                if *first != bits && out.conflicts.last() != Some(&t) {
                    out.conflicts.push(t);
                }
            }
            _ => out.samples.push_with_start(t, bits, runs.get(run).map_or(0, |r| r.start(at))),
        }
    }
    out
}

/// How many samples stand more than once in `runs`, and the times at which they differ. Neither the hint of a histogram
/// nor its empty buckets are part of its value.
pub(super) fn disagreements<'a>(runs: impl Iterator<Item = &'a Run>) -> (u64, BTreeSet<i64>) {
    #[derive(Clone, Copy)]
    enum Value<'a> {
        Float(u64),
        Histogram(&'a HistogramSample),
    }
    let same = |a: Value<'_>, b: Value<'_>| match (a, b) {
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Histogram(a), Value::Histogram(b)) => a.is_same_value(b),
        _ => false,
    };
    let mut all: Vec<(i64, Value<'a>)> = Vec::new();
    for run in runs {
        all.extend(run.floats.iter().map(|(t, bits)| (t, Value::Float(bits))));
        all.extend(run.histograms.iter().map(|h| (h.t_ms, Value::Histogram(h))));
    }
    all.sort_by_key(|(t, _)| *t);
    let mut duplicates = 0;
    let mut conflicts = BTreeSet::new();
    let mut first: Option<(i64, Value<'a>)> = None;
    for (t, value) in all {
        match first {
            Some((at, one)) if at == t => {
                duplicates += 1;
                if !same(one, value) {
                    conflicts.insert(t);
                }
            }
            _ => first = Some((t, value)),
        }
    }
    (duplicates, conflicts)
}

/// What one part of the source gives by itself. In a head chunks that overlap are merged group by group, in the order
/// of their start (`tsdb/ooo_head_read.go: getOOOSeriesChunks`).
pub(super) fn part(part: Part, mut runs: Vec<PartRun>) -> Run {
    if let Part::Block(_) | Part::Dataset(_) | Part::Dumps(_) = part {
        return serve(&runs.into_iter().map(|r| r.run).collect::<Vec<_>>());
    }
    runs.retain(|r| !r.run.is_empty());
    runs.sort_by_key(|r| (r.run.interval().map(|i| i.start), r.rank));
    let mut out = Run::default();
    let mut group: Vec<Run> = Vec::new();
    let mut end = i64::MIN;
    for r in runs {
        let Some(span) = r.run.interval() else { continue };
        if !group.is_empty() && span.start > end {
            out.append(serve(&std::mem::take(&mut group)));
        }
        // The chunk that is still open in memory has no end.
        end = end.max(if r.open { i64::MAX } else { span.end });
        group.push(r.run);
    }
    out.append(serve(&group));
    out
}

/// What a server returns when it reads from the start: at a tie the source that is not current wins, and ties among
/// waiting sources go as Go's heap pops them. The sources are in the order of the merging series set.
pub(super) fn serve(runs: &[Run]) -> Run {
    if let [one] = runs {
        return one.clone();
    }
    let orders: Vec<Vec<(i64, Position)>> = runs.iter().map(Run::order).collect();
    let mut out = Run::default();
    let at = |cursor: &(usize, usize)| orders.get(cursor.0).and_then(|r| r.get(cursor.1)).copied();
    let t_of = |cursor: &(usize, usize)| at(cursor).map(|(t, _)| t);
    let mut emit = |cursor: (usize, usize), consecutive: bool| {
        if let (Some(run), Some((_, position))) = (runs.get(cursor.0), at(&cursor)) {
            out.push_from(run, position);
            if let (Position::Histogram(_), false, Some(h)) = (position, consecutive, out.histograms.last_mut())
                && h.hint != ResetHint::Gauge
            {
                h.hint = ResetHint::Unknown;
            }
        }
    };
    let less = |a: &(usize, usize), b: &(usize, usize)| t_of(a) < t_of(b);
    let mut heap = Heap::default();
    for (i, run) in orders.iter().enumerate().skip(1) {
        if !run.is_empty() {
            heap.push((i, 0), less);
        }
    }
    // The current source, before its first sample.
    let mut current: Option<(usize, usize)> = None;
    let mut next = Some((0, 0));
    let mut last_t = i64::MIN;
    let mut consecutive = false;
    loop {
        // Advance the current source to the next sample.
        let advanced = match current {
            Some((source, at)) => Some((source, at + 1)),
            None => next.take(),
        };
        let candidate = advanced.filter(|c| t_of(c).is_some());
        let chosen = match candidate {
            None => match heap.pop(less) {
                Some(popped) => popped,
                None => return out,
            },
            Some(c) => {
                let t = t_of(&c).unwrap_or(i64::MIN);
                if t == last_t {
                    current = Some(c);
                    continue;
                }
                match heap.peek().and_then(t_of) {
                    Some(next_t) if t >= next_t => {
                        heap.push(c, less);
                        match heap.pop(less) {
                            Some(popped) => popped,
                            None => return out,
                        }
                    }
                    _ => {
                        current = Some(c);
                        last_t = t;
                        emit(c, consecutive);
                        consecutive = true;
                        continue;
                    }
                }
            }
        };
        current = Some(chosen);
        consecutive = false;
        let t = t_of(&chosen).unwrap_or(i64::MIN);
        if t != last_t {
            last_t = t;
            emit(chosen, false);
            consecutive = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ts: &[i64], v: u64) -> Run {
        Run { floats: Samples::new(ts.to_vec(), vec![v; ts.len()]), histograms: Vec::new() }
    }

    #[test]
    fn the_second_source_wins_ties_from_the_start() {
        let served = serve(&[run(&[1, 2, 3], 1), run(&[1, 2, 3], 2)]);
        assert_eq!(served.floats.bits, [2, 2, 2]);
    }

    #[test]
    fn the_later_starting_source_wins_the_overlap() {
        assert_eq!(serve(&[run(&[1, 2, 3], 1), run(&[2, 3, 4], 2)]).floats.bits, [1, 2, 2, 2]);
        assert_eq!(serve(&[run(&[2, 3, 4], 1), run(&[1, 2, 3], 2)]).floats.bits, [2, 1, 1, 1]);
    }

    #[test]
    fn three_sources_rotate() {
        let ts = [1, 2, 3, 4, 5, 6];
        assert_eq!(serve(&[run(&ts, 1), run(&ts, 2), run(&ts, 3)]).floats.bits, [2, 1, 3, 2, 1, 3]);
    }

    #[test]
    fn union_tells_repetitions_from_contradictions() {
        let runs = [run(&[1, 2], 1), run(&[2, 3], 1), run(&[3], 9)];
        let u = union(&runs.iter().map(|r| &r.floats).collect::<Vec<_>>());
        assert_eq!((u.samples.ts.as_slice(), u.duplicates, u.conflicts), (&[1, 2, 3][..], 2, vec![3]));
    }
}
