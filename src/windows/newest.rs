//! The default end of a window: the newest sample there is.

use crate::loss::Ledger;
use crate::samples::{Reach, load_selected};
use crate::selector::Selector;
use crate::series::{Member, MergedSeries, select};
use crate::source::Source;
use crate::time::{Interval, TimestampMs};

/// The default end of a window: the newest sample, else the end of the blocks, else the epoch, where there is nothing to
/// choose and the answer says so.
pub fn default_end(source: &Source, selectors: &[&Selector]) -> TimestampMs {
    newest_sample(source, selectors).or_else(|| source.interval().map(|i| i.end)).unwrap_or(0)
}

/// The newest sample that is no stale marker, of `up` or of any of `selectors`. Reads chunks from the end and only as
/// far as needed.
pub fn newest_sample(source: &Source, selectors: &[&Selector]) -> Option<TimestampMs> {
    let up = Selector::metric("up");
    let mut series: Vec<(MergedSeries, Vec<Interval>)> = Vec::new();
    for selector in selectors.iter().copied().chain([&up]) {
        for s in select(source, selector.matchers()).series {
            // Ascending by their end, so that the newest piece is the last one.
            let mut pieces: Vec<Interval> = s.members.iter().flat_map(Member::pieces).collect();
            pieces.sort_by_key(|p| p.end);
            series.push((s, pieces));
        }
    }
    let mut best: Option<TimestampMs> = None;
    for round in 0.. {
        series.retain(|(_, pieces)| pieces.last().is_some_and(|p| best.is_none_or(|b| p.end > b)));
        let Some(newest) = series.iter().filter_map(|(_, p)| p.last()).map(|p| p.end).max() else { break };
        // The newest piece alone settles it unless it ends with stale markers; then all that are left take a step back.
        let mut start = newest;
        let mut batch = Vec::new();
        for (s, pieces) in series.iter_mut().filter(|(_, p)| round > 0 || p.last().is_some_and(|p| p.end == newest)) {
            start = start.min(pieces.pop().map_or(newest, |p| p.start));
            batch.push(s.clone());
        }
        let interval = Interval::new(start, newest);
        let loaded = load_selected(source, &batch, Ledger::default(), interval, Reach::Exact);
        best = best.max(loaded.series.iter().filter_map(|s| s.samples.last_live()).map(|(t, _)| t).max());
    }
    best
}
