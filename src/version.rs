//! Which release's rules to follow, and what changed when.

use std::fmt;

/// A minor release of Prometheus; patch numbers do not change semantics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromVersion {
    /// 2 or 3.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// Whether it runs with `--enable-feature=use-start-timestamps` (3.14 and later).
    pub start_timestamps: bool,
}

/// The oldest release whose rules are known.
pub const OLDEST: PromVersion = PromVersion::new(2, 40);

/// The newest release whose rules are known, and the default where the data name none. Changes only in a major
/// release of promproof.
pub const NEWEST: PromVersion = PromVersion::new(3, 16);

/// How `sum` adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SumRule {
    /// Plain `+=` in series order (up to 2.53).
    Plain,
    /// Kahan-Neumaier, seeded with the first value (from 2.54).
    Compensated,
}

/// How `avg_over_time` averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AvgRule {
    /// Compensated incremental mean (up to 2.53).
    Incremental,
    /// The same, and the compensation is dropped when the sum is infinite (2.54).
    IncrementalInf,
    /// Compensated sum, `(s + c) / n` (2.55 to 3.4).
    DirectTogether,
    /// Compensated sum, `s / n + c / n` (from 3.5).
    DirectApart,
}

impl PromVersion {
    /// A release with no features enabled.
    pub const fn new(major: u32, minor: u32) -> PromVersion {
        PromVersion { major, minor, start_timestamps: false }
    }

    /// `MAJOR.MINOR` with an optional patch and pre-release part, as in `prometheus_build_info{version}`.
    pub fn parse(text: &str) -> Option<PromVersion> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts = text.split(['.', '-', '+']);
        let number = |s: Option<&str>| {
            s.filter(|s| s.len() <= 6 && !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()))?.parse::<u32>().ok()
        };
        Some(PromVersion::new(number(parts.next())?, number(parts.next())?))
    }

    /// The release whose rules apply: an unknown newer one is read as the newest known. `None` for releases before
    /// the oldest known.
    pub fn known(self) -> Option<PromVersion> {
        let release = PromVersion::new(self.major, self.minor).min(NEWEST);
        (release >= OLDEST).then_some(PromVersion { start_timestamps: self.start_timestamps, ..release })
    }

    fn at_least(self, major: u32, minor: u32) -> bool {
        self >= PromVersion::new(major, minor)
    }

    /// The range that `[<ms>ms]` means. From 2.54 to 3.4 the parser goes through seconds as a double and cuts the
    /// result, so some ranges with fractional seconds come out a millisecond short (`promql/parser`).
    pub fn parsed_range_ms(self, range_ms: i64) -> i64 {
        if !self.at_least(2, 54) || self.at_least(3, 5) {
            return range_ms;
        }
        let seconds = (range_ms / 1000) as f64 + ((range_ms % 1000) * 1_000_000) as f64 / 1e9;
        (seconds * 1000.0) as i64
    }

    /// Ranges are `(T - R, T]` from 3.0 and `[T - R, T]` before.
    pub fn left_open(self) -> bool {
        self.at_least(3, 0)
    }

    /// From 2.51 the zero clamp comes after the threshold on the left edge.
    pub fn clamp_after_threshold(self) -> bool {
        self.at_least(2, 51)
    }

    /// How `sum` adds.
    pub fn sum_rule(self) -> SumRule {
        if self.at_least(2, 54) { SumRule::Compensated } else { SumRule::Plain }
    }

    /// How `avg_over_time` averages.
    pub fn avg_rule(self) -> AvgRule {
        if self.at_least(3, 5) {
            AvgRule::DirectApart
        } else if self.at_least(2, 55) {
            AvgRule::DirectTogether
        } else if self.at_least(2, 54) {
            AvgRule::IncrementalInf
        } else {
            AvgRule::Incremental
        }
    }

    /// From 2.49 small differences between buckets are levelled; before, a running maximum was kept.
    pub fn tolerant_buckets(self) -> bool {
        self.at_least(2, 49)
    }

    /// Whether `use-start-timestamps` exists in the form that is known: resets by start timestamps, and increments since a
    /// start inside the window.
    pub fn knows_start_timestamps(self) -> bool {
        self.at_least(3, 14)
    }

    /// From 3.15 a start timestamp equal to the one before never says that there was a reset.
    pub fn same_start_is_no_reset(self) -> bool {
        self.at_least(3, 15)
    }

    /// From 3.0 `le` and `quantile` of text expositions are stored as OpenMetrics writes floats.
    pub fn normalizes_bounds(self) -> bool {
        self.at_least(3, 0)
    }

    /// From 3.16 a bucket whose bound is NaN is dropped.
    pub fn drops_nan_bound(self) -> bool {
        self.at_least(3, 16)
    }
}

impl fmt::Display for PromVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feature = if self.start_timestamps { "+use-start-timestamps" } else { "" };
        write!(f, "{}.{}{feature}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_parse_and_fall_into_the_known_range() {
        let v = |s: &str| PromVersion::parse(s).map(|v| v.to_string());
        assert_eq!(v("2.42.0+ds1"), Some("2.42".into()));
        assert_eq!(v("3.0.0-beta.1"), Some("3.0".into()));
        assert_eq!(v("v3.5"), Some("3.5".into()));
        assert_eq!(v("3"), None);
        assert_eq!(v("a.b"), None);
        assert_eq!(PromVersion::new(4, 1).known(), Some(NEWEST));
        assert_eq!(PromVersion::new(2, 30).known(), None);
    }
}
