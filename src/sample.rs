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

/// Float samples of one series in strictly increasing time, as two columns of equal length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// Timestamps in milliseconds since the epoch.
    pub ts: Vec<i64>,
    /// Value bits (`f64::to_bits`).
    pub bits: Vec<u64>,
}

impl Samples {
    /// The number of samples, stale markers included.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// Appends one sample.
    pub fn push(&mut self, t: i64, bits: u64) {
        self.ts.push(t);
        self.bits.push(bits);
    }

    /// Empties both columns, keeping their memory.
    pub fn clear(&mut self) {
        self.ts.clear();
        self.bits.clear();
    }

    /// `(t_ms, value bits)` in time order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, u64)> + ExactSizeIterator + '_ {
        self.ts.iter().copied().zip(self.bits.iter().copied())
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
