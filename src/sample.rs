//! Samples: a timestamp in milliseconds and the bits of a double.
//!
//! Values are carried as `u64` bit patterns from the chunk to the answer, because a stale marker is one particular
//! NaN and other NaN payloads are ordinary values (`model/value/value.go` upstream).

/// The bit pattern that Prometheus writes when a series ends or its target goes away.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether these value bits are a stale marker. Compare bits, never values: other NaNs are not stale.
#[inline]
pub fn is_stale(bits: u64) -> bool {
    bits == STALE_NAN_BITS
}

/// Whether a sample says how far a counter is: neither a stale marker nor another NaN.
#[inline]
pub fn is_countable(bits: u64) -> bool {
    !f64::from_bits(bits).is_nan()
}

/// Float samples of one series in strictly increasing time, as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// Timestamps in milliseconds since the epoch.
    pub ts: Vec<i64>,
    /// Value bits (`f64::to_bits`), as many.
    pub bits: Vec<u64>,
    /// When counting started, in milliseconds, 0 where that is not known; as many, or none at all where no sample has one.
    pub starts: Vec<i64>,
}

impl Samples {
    /// Samples without start timestamps; both columns have equal length.
    pub fn new(ts: Vec<i64>, bits: Vec<u64>) -> Samples {
        Samples { ts, bits, starts: Vec::new() }
    }

    /// The number of samples, stale markers included.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// Sets memory aside for `more` samples, without start timestamps.
    pub fn reserve(&mut self, more: usize) {
        self.ts.reserve(more);
        self.bits.reserve(more);
    }

    /// Appends one sample without a start timestamp.
    pub fn push(&mut self, t: i64, bits: u64) {
        self.ts.push(t);
        self.bits.push(bits);
        if !self.starts.is_empty() {
            self.starts.push(0);
        }
    }

    /// Appends one sample; `start` is 0 where it is not known.
    #[inline]
    pub fn push_with_start(&mut self, t: i64, bits: u64, start: i64) {
        if start != 0 && self.starts.is_empty() {
            self.starts.resize(self.ts.len(), 0);
        }
        self.ts.push(t);
        self.bits.push(bits);
        if start != 0 || !self.starts.is_empty() {
            self.starts.push(start);
        }
    }

    /// Appends the samples of `other` at the positions in `range`, which lies inside it.
    pub fn extend(&mut self, other: &Samples, range: std::ops::Range<usize>) {
        let starts = other.starts.get(range.clone()).unwrap_or_default();
        self.extend_starts(starts, range.len());
        self.ts.extend_from_slice(other.ts.get(range.clone()).unwrap_or_default());
        self.bits.extend_from_slice(other.bits.get(range).unwrap_or_default());
    }

    /// Brings the column of starts to the length that it has after `count` more samples.
    fn extend_starts(&mut self, starts: &[i64], count: usize) {
        if self.starts.is_empty() && starts.iter().all(|s| *s == 0) {
            return;
        }
        self.starts.resize(self.ts.len(), 0);
        self.starts.extend_from_slice(starts);
        self.starts.resize(self.ts.len() + count, 0);
    }

    /// Moves all samples of `other` to the end.
    pub fn append(&mut self, other: &mut Samples) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return other.clear();
        }
        let starts = std::mem::take(&mut other.starts);
        self.extend_starts(&starts, other.len());
        self.ts.append(&mut other.ts);
        self.bits.append(&mut other.bits);
    }

    /// The samples at the positions in `range`, which lies inside.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Samples {
        let mut out = Samples::default();
        out.extend(self, range);
        out
    }

    /// Drops the first `count` samples.
    pub fn drop_front(&mut self, count: usize) {
        self.ts.drain(..count.min(self.ts.len()));
        self.bits.drain(..count.min(self.bits.len()));
        self.starts.drain(..count.min(self.starts.len()));
    }

    /// Keeps the first `count` samples.
    pub fn truncate(&mut self, count: usize) {
        self.ts.truncate(count);
        self.bits.truncate(count);
        self.starts.truncate(count);
    }

    /// Empties all columns, keeping their memory.
    pub fn clear(&mut self) {
        self.ts.clear();
        self.bits.clear();
        self.starts.clear();
    }

    /// `(t_ms, value bits)` in time order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, u64)> + ExactSizeIterator + '_ {
        self.ts.iter().copied().zip(self.bits.iter().copied())
    }

    /// The start timestamp of the sample at `position`; 0 where it is not known.
    pub fn start(&self, position: usize) -> i64 {
        self.starts.get(position).copied().unwrap_or(0)
    }

    /// The position of the first sample with `t >= t_ms`.
    pub fn lower_bound(&self, t_ms: i64) -> usize {
        self.ts.partition_point(|t| *t < t_ms)
    }

    /// The position of the first sample with `t > t_ms`.
    pub fn upper_bound(&self, t_ms: i64) -> usize {
        self.ts.partition_point(|t| *t <= t_ms)
    }

    /// The newest sample that is not a stale marker, with its time.
    pub fn last_live(&self) -> Option<(i64, u64)> {
        self.iter().rev().find(|(_, b)| !is_stale(*b))
    }
}
