//! Which blocks a server with that much data would have: their ranges, names and histories.

use super::chance::Key;
use crate::time::{DurationMs, TimestampMs};
use crate::tsdb::Ulid;
use crate::tsdb::meta::Parent;
use crate::tsdb::write::Compaction;

const HOUR_MS: DurationMs = 3_600_000;
/// What a server cuts from its head.
const SMALLEST_MS: DurationMs = 2 * HOUR_MS;
/// How many blocks of one size are compacted into one of the next.
const STEP: DurationMs = 3;
/// A server's largest block is a tenth of its retention and at most this (`cmd/prometheus/main.go` upstream).
const LARGEST_MS: DurationMs = 31 * 24 * HOUR_MS;

/// A block to be written, `[min_time_ms, max_time_ms)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First millisecond.
    pub min_time_ms: TimestampMs,
    /// End, excluded.
    pub max_time_ms: TimestampMs,
    /// The aligned range that was compacted: 2 h, 6 h, 18 h, …
    size_ms: DurationMs,
}

/// The blocks of `[start, end)` in order of time: ranges of 2 h times a power of 3, at multiples of their length since
/// 1970, each as long as a tenth of the whole allows; the newest 2 h are not compacted, as on a server
/// (`tsdb/compact.go: LeveledCompactor.selectDirs` upstream).
pub fn ranges(start: TimestampMs, end: TimestampMs) -> Vec<Range> {
    let newest = (end - 1).div_euclid(SMALLEST_MS) * SMALLEST_MS;
    let largest = ((end - start) / 10).min(LARGEST_MS);
    let mut ranges = Vec::new();
    let mut at = start;
    while at < end {
        let range = |size_ms: DurationMs| Range {
            min_time_ms: at,
            max_time_ms: ((at.div_euclid(size_ms) + 1) * size_ms).min(end),
            size_ms,
        };
        let mut chosen = range(SMALLEST_MS);
        let sizes = std::iter::successors(Some(SMALLEST_MS * STEP), |s| Some(s * STEP)).take_while(|s| *s <= largest);
        for larger in sizes.map(range) {
            // Behind the start of the data a range begins where one of its size does.
            let whole = at == start || at % larger.size_ms == 0;
            // What a single smaller block covers is not compacted by itself.
            if whole && larger.max_time_ms <= newest && larger.max_time_ms > chosen.max_time_ms {
                chosen = larger;
            }
        }
        at = chosen.max_time_ms;
        ranges.push(chosen);
    }
    ranges
}

impl Range {
    /// The block's name: the time of its end, and bits that follow from the key and the range.
    pub fn ulid(&self, key: Key) -> Ulid {
        let own = key.part(self.min_time_ms as u64).part(self.size_ms as u64);
        Ulid::from_parts(self.max_time_ms as u64, u128::from(own.bits(0)) << 16 | u128::from(own.bits(1) & 0xffff))
    }

    /// The blocks of the next smaller size that went into this one; none of the smallest.
    fn parents(&self) -> Vec<Range> {
        let size_ms = self.size_ms / STEP;
        let mut parents = Vec::new();
        let mut at = self.min_time_ms;
        while self.size_ms > SMALLEST_MS && at < self.max_time_ms {
            let max_time_ms = ((at.div_euclid(size_ms) + 1) * size_ms).min(self.max_time_ms);
            parents.push(Range { min_time_ms: at, max_time_ms, size_ms });
            at = max_time_ms;
        }
        parents
    }

    /// The blocks of 2 h that went into this one; itself if it is one.
    fn sources(&self) -> Vec<Range> {
        match self.parents() {
            parents if parents.is_empty() => vec![*self],
            parents => parents.iter().flat_map(Range::sources).collect(),
        }
    }

    /// The block's history for `meta.json`.
    pub fn compaction(&self, key: Key) -> Compaction {
        let mut level = 1;
        let mut size_ms = self.size_ms;
        while size_ms > SMALLEST_MS {
            level += 1;
            size_ms /= STEP;
        }
        let parent = |p: &Range| Parent { ulid: p.ulid(key), min_time_ms: p.min_time_ms, max_time_ms: p.max_time_ms };
        Compaction {
            level,
            sources: self.sources().iter().map(|s| s.ulid(key)).collect(),
            parents: self.parents().iter().map(parent).collect(),
            hints: Vec::new(),
            deletable: false,
            failed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: DurationMs = 24 * HOUR_MS;

    /// Lengths in hours.
    fn hours(start: TimestampMs, end: TimestampMs) -> Vec<i64> {
        ranges(start, end).iter().map(|r| (r.max_time_ms - r.min_time_ms) / HOUR_MS).collect()
    }

    #[test]
    fn blocks_are_those_of_a_server_with_that_retention() {
        assert_eq!(hours(0, DAY_MS), [2; 12], "a tenth of a day holds no range but the smallest");
        assert_eq!(hours(0, 3 * DAY_MS), [vec![6; 11], vec![2; 3]].concat());
        // 10 days start inside ranges of 18 h: what is there of the first one is compacted all the same.
        assert_eq!(hours(10 * DAY_MS, 20 * DAY_MS), [vec![12], vec![18; 12], vec![6; 1], vec![2; 3]].concat());
        assert_eq!(hours(0, 400 * DAY_MS)[..3], [486; 3], "at most 31 days");
    }

    #[test]
    fn ranges_follow_each_other_and_their_history_adds_up() {
        let key = Key::new(1);
        for (start, end) in [(0, 9 * DAY_MS), (5 * HOUR_MS + 7, 40 * DAY_MS + 11), (16 * HOUR_MS, 31 * DAY_MS)] {
            let all = ranges(start, end);
            assert_eq!((all[0].min_time_ms, all[all.len() - 1].max_time_ms), (start, end));
            assert!(all.windows(2).all(|w| w[0].max_time_ms == w[1].min_time_ms));
            for r in &all {
                let compaction = r.compaction(key);
                assert_eq!(compaction.level == 1, compaction.parents.is_empty());
                assert_ne!(compaction.parents.len(), 1, "{r:?}");
                for parts in [r.parents(), r.sources()].iter().filter(|p| !p.is_empty()) {
                    assert!(parts.windows(2).all(|w| w[0].max_time_ms == w[1].min_time_ms));
                    assert_eq!(
                        (parts[0].min_time_ms, parts[parts.len() - 1].max_time_ms),
                        (r.min_time_ms, r.max_time_ms)
                    );
                }
            }
        }
    }
}
