//! The default end of a window: the newest sample there is.

use crate::samples::{Reach, load};
use crate::selector::Selector;
use crate::series::{MergedSeries, select};
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
    let mut series: Vec<MergedSeries> = Vec::new();
    for selector in selectors.iter().copied().chain([&up]) {
        series.extend(select(source, selector.matchers()).series);
    }
    let mut best: Option<TimestampMs> = None;
    for s in series {
        let mut chunks: Vec<Interval> =
            s.members.iter().flat_map(|m| m.entry.chunks.iter()).map(|c| c.interval()).collect();
        chunks.sort_by_key(|c| std::cmp::Reverse(c.end));
        for c in chunks {
            if best.is_some_and(|b| c.end <= b) {
                break;
            }
            let loaded = load(source, &s, c, Reach::Exact);
            best = best.max(loaded.samples.last_live().map(|(t, _)| t));
        }
    }
    best
}
