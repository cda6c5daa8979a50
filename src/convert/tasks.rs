//! Series into tasks of about one row group, tasks into batches that fit the memory.
//!
//! A task is cut by what indexes and headers say; threads and memory decide only how many tasks are under way at once.

use crate::samples::{at_most, logged};
use crate::series::{Member, MergedSeries};
use crate::source::Source;
use crate::time::Interval;

/// Rows of a row group, about. A quarter of this costs a few permille in size, four times as much costs memory.
pub(super) const GROUP_ROWS: usize = 1 << 18;
/// A series with more samples than this is loaded piece by piece.
const LONG_SERIES: u64 = 1 << 22;
/// What is held of a series while its batch is under way: labels, and each chunk's place and times.
const SERIES_BYTES: u64 = 1024;
const CHUNK_BYTES: u64 = 24;
/// A logged sample, read again for its batch; and a sample in a mapped chunk, which stays resident until the batch ends.
const LOGGED_BYTES: u64 = 24;
const MAPPED_BYTES: u64 = 3;

/// Some series of a batch over some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    /// Positions in [`TaskBatch::series`].
    pub from: usize,
    pub to: usize,
    pub interval: Interval,
}

/// Tasks that are under way together.
#[derive(Debug, Default)]
pub(super) struct TaskBatch {
    /// The id of the first series; the others follow.
    pub first_id: i64,
    pub series: Vec<MergedSeries>,
    pub tasks: Vec<Task>,
}

/// Cuts series into batches of tasks.
pub(super) struct Batches<'a, I> {
    source: &'a Source,
    series: I,
    interval: Interval,
    /// Bytes that a batch may take.
    budget: u64,
    next_id: i64,
}

impl<'a, I: Iterator<Item = MergedSeries>> Batches<'a, I> {
    /// `series` are those from `first_id` on.
    pub(super) fn new(source: &'a Source, series: I, first_id: i64, interval: Interval, budget: u64) -> Batches<'a, I> {
        Batches { source, series, interval, budget, next_id: first_id }
    }
}

impl<I: Iterator<Item = MergedSeries>> Iterator for Batches<'_, I> {
    type Item = TaskBatch;

    fn next(&mut self) -> Option<TaskBatch> {
        let mut batch = TaskBatch { first_id: self.next_id, ..TaskBatch::default() };
        let (mut cost, mut open, mut rows) = (0u64, 0, 0u64);
        // A batch ends with a task, so that it leaves no trace in where tasks are cut.
        while cost < self.budget || open < batch.series.len() {
            let Some(series) = self.series.next() else { break };
            self.next_id += 1;
            let samples = at_most(self.source, &series, self.interval);
            let chunks = series.members.iter().flat_map(Member::pieces).count() as u64;
            cost += SERIES_BYTES
                + chunks * CHUNK_BYTES
                + samples * MAPPED_BYTES
                + logged(self.source, &series) * LOGGED_BYTES;
            let at = batch.series.len();
            if samples > LONG_SERIES {
                batch.close(&mut open, at, self.interval);
                let slices = slices(&series, self.interval);
                batch.tasks.extend(slices.into_iter().map(|interval| Task { from: at, to: at + 1, interval }));
                batch.series.push(series);
                (open, rows) = (at + 1, 0);
                continue;
            }
            batch.series.push(series);
            rows += samples;
            if rows >= GROUP_ROWS as u64 {
                batch.close(&mut open, at + 1, self.interval);
                rows = 0;
            }
        }
        let end = batch.series.len();
        batch.close(&mut open, end, self.interval);
        (!batch.series.is_empty()).then_some(batch)
    }
}

impl TaskBatch {
    /// Makes a task of the series from `open` to before `to`.
    fn close(&mut self, open: &mut usize, to: usize, interval: Interval) {
        if *open < to {
            self.tasks.push(Task { from: *open, to, interval });
        }
        *open = to;
    }
}

/// Disjoint intervals that cover `interval`, cut where chunks begin, with about a row group each.
fn slices(series: &MergedSeries, interval: Interval) -> Vec<Interval> {
    let mut starts: Vec<i64> = series.members.iter().flat_map(Member::pieces).map(|p| p.start).collect();
    starts.retain(|s| *s > interval.start && *s <= interval.end);
    starts.sort_unstable();
    let mut out = Vec::new();
    let mut from = interval.start;
    for start in starts.iter().copied().step_by(GROUP_ROWS / 120).skip(1) {
        if start > from {
            out.push(Interval::new(from, start - 1));
            from = start;
        }
    }
    out.push(Interval::new(from, interval.end));
    out
}
