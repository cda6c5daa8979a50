//! [`Building`]: a series on its way from the lines of files to [`DumpSeries`].

use std::sync::Arc;

use super::DumpSeries;
use super::packed::Appender;
use crate::labels::{Labels, METRIC_NAME};
use crate::loss::{Conflict, Ledger};
use crate::sample::{STALE_NAN_BITS, Samples};
use crate::time::{Interval, TimestampMs};

/// A series whose files are being read.
#[derive(Debug, Default)]
pub(super) struct Building {
    pub(super) labels: Labels,
    /// Type, unit and help, of the last file that has them.
    pub(super) metadata: Option<Arc<[String; 3]>>,
    /// What was scraped, by target.
    pub(super) runs: Vec<Run>,
    /// Samples with times of their own, in the order of the files.
    pub(super) timed: Appender,
}

/// Samples of a series that were scraped from one target, in the order of the files.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Position of the target.
    pub(super) target: usize,
    pub(super) samples: Appender,
    /// When the series was gone, in order.
    pub(super) stale: Vec<TimestampMs>,
}

impl Building {
    pub(super) fn new(labels: Labels) -> Building {
        Building { labels, ..Building::default() }
    }

    /// Whether it counts, by its type.
    pub(super) fn is_counter(&self) -> bool {
        self.metadata.as_ref().is_some_and(|m| m.first().is_some_and(|kind| kind == "counter"))
    }

    /// Whether it says when its process started.
    pub(super) fn is_process_start(&self) -> bool {
        self.labels.get(METRIC_NAME) == b"process_start_time_seconds"
    }

    /// Appends a sample that was scraped from `target`.
    pub(super) fn push(&mut self, target: usize, t_ms: TimestampMs, bits: u64, start: i64) {
        match self.runs.iter_mut().find(|r| r.target == target) {
            Some(run) => run.samples.push(t_ms, bits, start),
            None => {
                let mut run = Run { target, ..Run::default() };
                run.samples.push(t_ms, bits, start);
                self.runs.push(run);
            }
        }
    }

    /// Moves what later files say behind this; a run of their target `t` is one of `targets[t]` here.
    pub(super) fn append(&mut self, other: Building, targets: &[usize]) {
        self.metadata = other.metadata.or(self.metadata.take());
        self.timed.append(other.timed);
        for run in other.runs {
            let target = targets.get(run.target).copied().unwrap_or_default();
            match self.runs.iter_mut().find(|r| r.target == target) {
                Some(of) => of.samples.append(run.samples),
                None => self.runs.push(Run { target, ..run }),
            }
        }
    }

    /// What was scraped from `target`, in order of time.
    pub(super) fn scraped(&self, target: usize) -> Option<Samples> {
        let run = self.runs.iter().find(|r| r.target == target)?;
        Some(in_order(run.samples.clone().finish().all(), &self.labels, &mut Ledger::default()))
    }

    /// Notes that the series was gone at `t_ms`, when `target` was scraped.
    pub(super) fn end(&mut self, target: usize, t_ms: TimestampMs) {
        self.runs.iter_mut().filter(|r| r.target == target).for_each(|run| run.stale.push(t_ms));
    }

    /// Two neighbouring targets whose scrapes of this series overlap in time, each with when its scrapes begin, if there are any.
    pub(super) fn overlap(&mut self) -> Option<[(usize, TimestampMs); 2]> {
        self.runs.sort_by_key(|r| r.times().map(|t| t.start));
        self.runs.windows(2).find_map(|w| {
            let [a, b] = w else { return None };
            let (first, second) = (a.times()?, b.times()?);
            (second.start <= first.end).then_some([(a.target, first.start), (b.target, second.start)])
        })
    }

    /// The series, in increasing time. Its runs are in order and do not overlap, as [`Building::overlap`] leaves them.
    pub(super) fn finish(self) -> (DumpSeries, Ledger) {
        let mut ledger = Ledger::default();
        let mut samples = Appender::default();
        for run in self.runs {
            samples.append(run.finish(&self.labels, &mut ledger));
        }
        let scraped = samples.times();
        samples.append(self.timed);
        let chunks = sorted(samples, &self.labels, &mut ledger).finish();
        (DumpSeries { labels: self.labels, metadata: self.metadata, chunks, scraped }, ledger)
    }
}

impl Run {
    fn times(&self) -> Option<Interval> {
        let ends = self.stale.first().zip(self.stale.last()).map(|(first, last)| Interval::new(*first, *last));
        Interval::joined(self.samples.times(), ends)
    }

    /// The samples with stale markers between them.
    fn finish(self, labels: &Labels, ledger: &mut Ledger) -> Appender {
        let mut samples = self.samples;
        self.stale.into_iter().for_each(|t_ms| samples.push(t_ms, STALE_NAN_BITS, 0));
        sorted(samples, labels, ledger)
    }
}

fn sorted(samples: Appender, labels: &Labels, ledger: &mut Ledger) -> Appender {
    if samples.is_sorted() {
        return samples;
    }
    let mut out = Appender::default();
    out.extend(&in_order(samples.finish().all(), labels, ledger));
    out
}

/// The samples in strictly increasing time. Of samples with one time the first counts, as on a server that has it already.
fn in_order(samples: Samples, labels: &Labels, ledger: &mut Ledger) -> Samples {
    if samples.ts.is_sorted_by(|a, b| a < b) {
        return samples;
    }
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|at| samples.ts.get(*at).copied());
    let mut out = Samples::default();
    for at in order {
        let (Some(t_ms), Some(bits)) = (samples.ts.get(at), samples.bits.get(at)) else { continue };
        if out.ts.last() != Some(t_ms) {
            out.push_with_start(*t_ms, *bits, samples.start(at));
        } else if out.bits.last() == Some(bits) {
            ledger.duplicates += 1;
        } else {
            ledger.conflicts.push(Conflict { series: labels.clone(), t_ms: *t_ms });
        }
    }
    out
}
