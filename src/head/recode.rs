//! One chunk of native histograms as it grows in memory: which histograms it takes, and the common buckets that all of
//! them are given (`appendable`, `appendableGauge`, `recode` in `tsdb/chunkenc/{histogram,float_histogram}.go` and
//! `histogram_meta.go` upstream).

use std::sync::Arc;

use super::rules::ReplayRules;
use super::size::HistogramSize;
use crate::tsdb::chunkenc::histogram::{CUSTOM_BOUNDS, Counts, HistogramSample, Layout, ResetHint, Span};
use crate::tsdb::run::Run;

/// A chunk that is still open.
#[derive(Debug)]
pub(super) struct OpenHistograms {
    /// The first sample's: a gauge or a counter.
    gauge: bool,
    layout: Arc<Layout>,
    /// All in the layout of the chunk, with the hints that a reader gives.
    samples: Vec<HistogramSample>,
    size: HistogramSize,
    /// Whether start timestamps are stored.
    starts: bool,
}

impl OpenHistograms {
    /// A chunk that begins with `first` and takes its layout.
    pub(super) fn new(mut first: HistogramSample, starts: bool) -> OpenHistograms {
        let gauge = first.hint == ResetHint::Gauge;
        first.hint = if gauge && !first.is_stale() { ResetHint::Gauge } else { ResetHint::Unknown };
        OpenHistograms {
            gauge,
            layout: Arc::clone(&first.layout),
            size: HistogramSize::new(&first, starts),
            samples: vec![first],
            starts,
        }
    }

    /// Whether its counts are floats.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.samples.first().map(|s| &s.counts), Some(Counts::Float { .. }))
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// As [`HistogramSize::bytes`].
    pub(super) fn bytes(&self) -> u64 {
        self.size.bytes()
    }

    /// First and last time.
    pub(super) fn times(&self) -> (i64, i64) {
        let t = |s: Option<&HistogramSample>| s.map_or(0, |s| s.t_ms);
        (t(self.samples.first()), t(self.samples.last()))
    }

    /// What a reader gets.
    pub(super) fn finish(self) -> Run {
        Run { histograms: self.samples, ..Run::default() }
    }

    /// Takes a histogram of the chunk's kind, or gives it back if it begins another chunk.
    pub(super) fn push(&mut self, mut sample: HistogramSample, rules: ReplayRules) -> Result<(), HistogramSample> {
        // A stale marker has nothing that could differ, but a chunk of gauges takes gauges only.
        let gauge = sample.hint == ResetHint::Gauge;
        if gauge != self.gauge || sample.hint == ResetHint::Reset {
            return Err(sample);
        }
        if sample.is_stale() {
            sample.hint = ResetHint::Unknown;
            self.take(sample);
            return Ok(());
        }
        let Some(last) = self.samples.last().filter(|l| !l.is_stale()) else { return Err(sample) };
        if !same_kind_of_buckets(&self.layout, &sample.layout) || (!gauge && falls(last, &sample)) {
            return Err(sample);
        }
        let Some([positive, negative]) = join(last, &sample, gauge, rules) else { return Err(sample) };
        let [new_here, new_there] =
            [positive.lacks_first() || negative.lacks_first(), positive.lacks_second() || negative.lacks_second()];
        if new_here {
            // The layout of the newcomer becomes that of all; where it lacks buckets, they are put in.
            let spans = |union: &Union, own: &[Span]| match gauge {
                true if new_there => spans_of(&union.indexes),
                false if union.lacks_second() => spans_of(&union.indexes),
                _ => own.to_vec(),
            };
            self.layout = Arc::new(Layout {
                positive_spans: spans(&positive, &sample.layout.positive_spans),
                negative_spans: spans(&negative, &sample.layout.negative_spans),
                schema: self.layout.schema,
                zero_threshold: self.layout.zero_threshold,
                custom_bounds: self.layout.custom_bounds.clone(),
            });
            for s in &mut self.samples {
                s.layout = Arc::clone(&self.layout);
                spread(&mut s.counts, &positive.first, &negative.first);
            }
            self.recount();
        }
        spread(&mut sample.counts, &positive.second, &negative.second);
        sample.layout = Arc::clone(&self.layout);
        sample.hint = if gauge { ResetHint::Gauge } else { ResetHint::NotReset };
        self.take(sample);
        Ok(())
    }

    fn take(&mut self, sample: HistogramSample) {
        self.size.push(&sample);
        self.samples.push(sample);
    }

    fn recount(&mut self) {
        let mut all = self.samples.iter();
        if let Some(first) = all.next() {
            self.size = HistogramSize::new(first, self.starts);
            all.for_each(|s| self.size.push(s));
        }
    }
}

/// Schema, width of the zero bucket and custom bounds, compared as doubles.
fn same_kind_of_buckets(a: &Layout, b: &Layout) -> bool {
    let same = |a: u64, b: u64| f64::from_bits(a) == f64::from_bits(b);
    a.schema == b.schema
        && same(a.zero_threshold, b.zero_threshold)
        && (a.schema != CUSTOM_BOUNDS
            || (a.custom_bounds.len() == b.custom_bounds.len()
                && a.custom_bounds.iter().zip(&b.custom_bounds).all(|(a, b)| same(*a, *b))))
}

/// Whether the count of all observations or that of the zero bucket is lower than before.
fn falls(before: &HistogramSample, now: &HistogramSample) -> bool {
    let float = f64::from_bits;
    match (&before.counts, &now.counts) {
        (Counts::Int { count: a, zero: x, .. }, Counts::Int { count: b, zero: y, .. }) => b < a || y < x,
        (Counts::Float { count: a, zero: x, .. }, Counts::Float { count: b, zero: y, .. }) => {
            float(*b) < float(*a) || float(*y) < float(*x)
        }
        _ => true,
    }
}

/// The buckets of two histograms in one list, by index.
#[derive(Debug, Default)]
struct Union {
    indexes: Vec<i64>,
    /// For each of them its position in the first and in the second histogram, if that has it.
    first: Vec<Option<usize>>,
    second: Vec<Option<usize>>,
}

impl Union {
    fn lacks_first(&self) -> bool {
        self.first.iter().any(Option::is_none)
    }

    fn lacks_second(&self) -> bool {
        self.second.iter().any(Option::is_none)
    }

    /// Goes through both lists at once. Ends where `accepts` refuses the positions of a bucket.
    fn of(first: &[i64], second: &[i64], accepts: impl Fn(Option<usize>, Option<usize>) -> bool) -> Option<Union> {
        let mut union = Union::default();
        let (mut i, mut j) = (0, 0);
        loop {
            let (index, a, b) = match (first.get(i), second.get(j)) {
                (Some(a), Some(b)) if a == b => (*a, Some(i), Some(j)),
                (Some(a), Some(b)) if a < b => (*a, Some(i), None),
                (Some(a), None) => (*a, Some(i), None),
                (_, Some(b)) => (*b, None, Some(j)),
                (None, None) => return Some(union),
            };
            if !accepts(a, b) {
                return None;
            }
            i += usize::from(a.is_some());
            j += usize::from(b.is_some());
            union.indexes.push(index);
            union.first.push(a);
            union.second.push(b);
        }
    }
}

/// Positive and negative buckets of both; `None` where a counter fell or, having counted, lost a bucket.
fn join(last: &HistogramSample, now: &HistogramSample, gauge: bool, rules: ReplayRules) -> Option<[Union; 2]> {
    let (l, n) = (&last.layout, &now.layout);
    let positive = (indexes(&l.positive_spans), indexes(&n.positive_spans));
    let negative = (indexes(&l.negative_spans), indexes(&n.negative_spans));
    // An empty bucket may go where the release puts it back.
    let goes = rules.refills_empty_buckets;
    match (&last.counts, &now.counts) {
        (Counts::Int { positive: p, negative: n, .. }, Counts::Int { positive: q, negative: m, .. }) => {
            let rises = |x: &[i64], y: &[i64], a: Option<usize>, b: Option<usize>| {
                let at = |list: &[i64], i: usize| list.get(i).copied().unwrap_or(0);
                match (a, b) {
                    _ if gauge => true,
                    (Some(a), Some(b)) => at(x, a) <= at(y, b),
                    (Some(a), None) => goes && at(x, a) == 0,
                    _ => true,
                }
            };
            Some([
                Union::of(&positive.0, &positive.1, |a, b| rises(p, q, a, b))?,
                Union::of(&negative.0, &negative.1, |a, b| rises(n, m, a, b))?,
            ])
        }
        (Counts::Float { positive: p, negative: n, .. }, Counts::Float { positive: q, negative: m, .. }) => {
            let falls = |x: &[u64], y: &[u64], a: Option<usize>, b: Option<usize>| {
                let at = |list: &[u64], i: usize| f64::from_bits(list.get(i).copied().unwrap_or(0));
                match (a, b) {
                    _ if gauge => false,
                    (Some(a), Some(b)) => at(x, a) > at(y, b),
                    (Some(a), None) => !goes || at(x, a) != 0.0,
                    _ => false,
                }
            };
            Some([
                Union::of(&positive.0, &positive.1, |a, b| !falls(p, q, a, b))?,
                Union::of(&negative.0, &negative.1, |a, b| !falls(n, m, a, b))?,
            ])
        }
        _ => None,
    }
}

fn indexes(spans: &[Span]) -> Vec<i64> {
    let mut out = Vec::new();
    let mut next = 0i64;
    for s in spans {
        next = next.saturating_add(i64::from(s.offset));
        for _ in 0..s.length {
            out.push(next);
            next = next.wrapping_add(1);
        }
    }
    out
}

/// The least spans for these buckets.
fn spans_of(indexes: &[i64]) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    let mut next = 0;
    for index in indexes {
        let offset = index.wrapping_sub(next);
        match out.last_mut() {
            Some(last) if offset == 0 => last.length += 1,
            _ => out.push(Span { offset: offset as i32, length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    out
}

/// Puts each count at its place in the union, 0 elsewhere.
fn spread(counts: &mut Counts, positive: &[Option<usize>], negative: &[Option<usize>]) {
    fn place<T: Copy + Default>(counts: &mut Vec<T>, places: &[Option<usize>]) {
        if places.iter().enumerate().all(|(i, p)| *p == Some(i)) {
            return;
        }
        *counts = places.iter().map(|p| p.and_then(|p| counts.get(p)).copied().unwrap_or_default()).collect();
    }
    match counts {
        Counts::Int { positive: p, negative: n, .. } => {
            place(p, positive);
            place(n, negative);
        }
        Counts::Float { positive: p, negative: n, .. } => {
            place(p, positive);
            place(n, negative);
        }
    }
}
