//! Merging the sources of one series (`storage/merge.go: chainSampleIterator`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::gosort::Heap;
use crate::sample::Samples;

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
pub(super) fn union(runs: &[Samples]) -> Union {
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
            _ => out.samples.push(t, bits),
        }
    }
    out
}

/// What a server returns when it reads from the start: at a tie the source that is not current wins, and ties among
/// waiting sources go as Go's heap pops them. The sources are in the order of the merging series set.
pub(super) fn serve(runs: &[Samples]) -> Samples {
    let mut out = Samples::default();
    let t_of = |cursor: &(usize, usize)| runs.get(cursor.0).and_then(|r| r.ts.get(cursor.1)).copied();
    let bits_of = |cursor: &(usize, usize)| runs.get(cursor.0).and_then(|r| r.bits.get(cursor.1)).copied();
    let less = |a: &(usize, usize), b: &(usize, usize)| t_of(a) < t_of(b);
    let mut heap = Heap::default();
    for (i, run) in runs.iter().enumerate().skip(1) {
        if !run.is_empty() {
            heap.push((i, 0), less);
        }
    }
    // The current source, before its first sample.
    let mut current: Option<(usize, usize)> = None;
    let mut next = Some((0, 0));
    let mut last_t = i64::MIN;
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
                        out.push(t, bits_of(&c).unwrap_or(0));
                        continue;
                    }
                }
            }
        };
        current = Some(chosen);
        let t = t_of(&chosen).unwrap_or(i64::MIN);
        if t != last_t {
            last_t = t;
            out.push(t, bits_of(&chosen).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ts: &[i64], v: u64) -> Samples {
        Samples { ts: ts.to_vec(), bits: vec![v; ts.len()] }
    }

    #[test]
    fn the_second_source_wins_ties_from_the_start() {
        let served = serve(&[run(&[1, 2, 3], 1), run(&[1, 2, 3], 2)]);
        assert_eq!(served.bits, [2, 2, 2]);
    }

    #[test]
    fn the_later_starting_source_wins_the_overlap() {
        assert_eq!(serve(&[run(&[1, 2, 3], 1), run(&[2, 3, 4], 2)]).bits, [1, 2, 2, 2]);
        assert_eq!(serve(&[run(&[2, 3, 4], 1), run(&[1, 2, 3], 2)]).bits, [2, 1, 1, 1]);
    }

    #[test]
    fn three_sources_rotate() {
        let ts = [1, 2, 3, 4, 5, 6];
        assert_eq!(serve(&[run(&ts, 1), run(&ts, 2), run(&ts, 3)]).bits, [2, 1, 3, 2, 1, 3]);
    }

    #[test]
    fn union_tells_repetitions_from_contradictions() {
        let u = union(&[run(&[1, 2], 1), run(&[2, 3], 1), run(&[3], 9)]);
        assert_eq!((u.samples.ts.as_slice(), u.duplicates, u.conflicts), (&[1, 2, 3][..], 2, vec![3]));
    }
}
