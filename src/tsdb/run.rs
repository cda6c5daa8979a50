//! [`Run`]: consecutive samples of one series, floats and native histograms.

use std::ops::Range;

use super::chunkenc::histogram::HistogramSample;
use crate::sample::Samples;
use crate::time::Interval;

/// Samples of one series in strictly increasing time. A time is either a float's or a histogram's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Floats.
    pub floats: Samples,
    /// Native histograms.
    pub histograms: Vec<HistogramSample>,
}

impl Run {
    /// The number of samples.
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    /// First and last time.
    pub fn interval(&self) -> Option<Interval> {
        let ends = |a: Option<&i64>, b: Option<&i64>| Some(Interval::new(*a?, *b?));
        let floats = ends(self.floats.ts.first(), self.floats.ts.last());
        let histograms = ends(self.histograms.first().map(|h| &h.t_ms), self.histograms.last().map(|h| &h.t_ms));
        Interval::joined(floats, histograms)
    }

    /// First and last time inside `range`.
    pub fn interval_inside(&self, range: Interval) -> Option<Interval> {
        let whole = self.interval()?;
        if range.contains(whole.start) && range.contains(whole.end) {
            return Some(whole);
        }
        let (floats, histograms) = self.inside(range);
        let floats = self.floats.ts.get(floats).unwrap_or_default();
        let histograms = self.histograms.get(histograms).unwrap_or_default();
        let ends = |a: Option<i64>, b: Option<i64>| Some(Interval::new(a?, b?));
        Interval::joined(
            ends(floats.first().copied(), floats.last().copied()),
            ends(histograms.first().map(|h| h.t_ms), histograms.last().map(|h| h.t_ms)),
        )
    }

    /// The positions of floats and of histograms inside `range`.
    fn inside(&self, range: Interval) -> (Range<usize>, Range<usize>) {
        let floats = self.floats.lower_bound(range.start)..self.floats.upper_bound(range.end);
        let from = self.histograms.partition_point(|h| h.t_ms < range.start);
        let to = self.histograms.partition_point(|h| h.t_ms <= range.end);
        (floats, from..to)
    }

    /// Appends what `other` has inside `range`; all of it is later than what is here.
    pub fn extend(&mut self, other: &Run, range: Interval) {
        let (floats, histograms) = other.inside(range);
        self.floats.extend(&other.floats, floats);
        self.histograms.extend_from_slice(other.histograms.get(histograms).unwrap_or_default());
    }

    /// Moves everything from `other`, all of it later, to the end.
    pub fn append(&mut self, mut other: Run) {
        self.floats.append(&mut other.floats);
        self.histograms.append(&mut other.histograms);
    }

    /// Appends the sample at `at` of `other` by time order; see [`Run::order`].
    pub fn push_from(&mut self, other: &Run, at: Position) {
        match at {
            Position::Float(i) => self.floats.extend(&other.floats, i..i + 1),
            Position::Histogram(i) => self.histograms.extend(other.histograms.get(i).cloned()),
        }
    }

    /// Inserts one sample at its place. Its time must be new.
    pub fn insert_float(&mut self, t_ms: i64, bits: u64, start_ms: i64) {
        let at = self.floats.lower_bound(t_ms);
        if at == self.floats.len() {
            return self.floats.push_with_start(t_ms, bits, start_ms);
        }
        let rest = self.floats.slice(at..self.floats.len());
        self.floats.truncate(at);
        self.floats.push_with_start(t_ms, bits, start_ms);
        self.floats.extend(&rest, 0..rest.len());
    }

    /// Inserts one histogram at its place. Its time must be new.
    pub fn insert_histogram(&mut self, sample: HistogramSample) {
        let at = self.histograms.partition_point(|h| h.t_ms < sample.t_ms);
        self.histograms.insert(at, sample);
    }

    /// The positions of all samples by time.
    pub fn order(&self) -> Vec<(i64, Position)> {
        let floats = self.floats.ts.iter().enumerate().map(|(i, t)| (*t, Position::Float(i)));
        let histograms = self.histograms.iter().enumerate().map(|(i, h)| (h.t_ms, Position::Histogram(i)));
        let mut all: Vec<(i64, Position)> = floats.chain(histograms).collect();
        if !self.floats.is_empty() && !self.histograms.is_empty() {
            all.sort_by_key(|(t, _)| *t);
        }
        all
    }

    /// Keeps the samples whose time `keep` accepts and returns how many were dropped.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) -> u64 {
        let before = self.len();
        if self.floats.ts.iter().any(|t| !keep(*t)) {
            let old = std::mem::take(&mut self.floats);
            for i in 0..old.len() {
                if old.ts.get(i).is_some_and(|t| keep(*t)) {
                    self.floats.extend(&old, i..i + 1);
                }
            }
        }
        self.histograms.retain(|h| keep(h.t_ms));
        (before - self.len()) as u64
    }
}

/// A sample of a [`Run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The position in [`Run::floats`].
    Float(usize),
    /// The position in [`Run::histograms`].
    Histogram(usize),
}
