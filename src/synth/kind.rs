//! How the values of a series move.

use std::ops::Range;

use super::chance::{Key, scaled};

/// The behaviour of a series. Integers inside; a value is one of them, or one division away from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A counter of a busy service: another integer increment at every scrape.
    Busy,
    /// A counter that rises by one now and then.
    Idle,
    /// A gauge with three decimals that wanders.
    Gauge,
    /// A cumulative bucket of a latency histogram that takes so many of 1024 observations: small increments, often none.
    /// Buckets of one key belong to one histogram; the one of 1024 is its count.
    Bucket(u64),
    /// A value that never changes.
    Constant,
    /// A counter that rises by the same integer at every scrape.
    Steady,
}

/// Where in the stream of a key the facts about the whole series stand, far from those of any scrape.
const RATE: u64 = u64::MAX;
const BEGINNING: u64 = u64::MAX - 1;
/// What counters of a process that has run for a while stay below.
const COUNTED: u64 = 1 << 20;

/// A kind with the numbers of one series.
#[derive(Debug, Clone, Copy)]
pub struct Motion {
    kind: Kind,
    key: Key,
    rate: u64,
    beginning: i64,
}

impl Motion {
    /// A series of that kind; everything follows from the key.
    pub fn new(kind: Kind, key: Key) -> Motion {
        let rate = match kind {
            Kind::Busy => 20 + key.below(RATE, 2000),
            Kind::Bucket(_) => 1 + key.below(RATE, 6),
            _ => 1 + key.below(RATE, 50),
        };
        let beginning = match kind {
            Kind::Gauge => 50_000 + key.below(BEGINNING, 100_000) as i64,
            Kind::Constant => key.below(BEGINNING, COUNTED) as i64,
            _ => 0,
        };
        Motion { kind, key, rate, beginning }
    }

    /// The state before the first scrape of a process: counters stand at 0.
    pub fn beginning(&self) -> i64 {
        self.beginning
    }

    /// The state of a process that has run for a while: counters stand anywhere below 2^20, buckets in proportion.
    pub fn running(&self) -> i64 {
        let counted = self.key.below(BEGINNING, COUNTED);
        match self.kind {
            Kind::Gauge | Kind::Constant => self.beginning,
            Kind::Bucket(share) => ((counted * share) >> 10) as i64,
            Kind::Busy | Kind::Idle | Kind::Steady => counted as i64,
        }
    }

    /// Moves the state over the scrapes, in order, and hands each scrape with its value bits to `show`.
    #[inline]
    pub fn walk(&self, state: &mut i64, scrapes: Range<u64>, show: impl FnMut(u64, u64)) {
        let rate = self.rate;
        let whole = |state: i64| state as f64;
        match self.kind {
            Kind::Busy => self.each(state, scrapes, show, |bits| (rate / 2 + scaled(bits, rate)) as i64, whole),
            Kind::Idle => self.each(state, scrapes, show, |bits| i64::from(scaled(bits, 40) == 0), whole),
            Kind::Gauge => {
                let thousandths = |state: i64| state as f64 / 1000.0;
                self.each(state, scrapes, show, |bits| scaled(bits, 2001) as i64 - 1000, thousandths);
            }
            Kind::Bucket(share) => {
                // The low bits round, at random but alike for all buckets, so that none overtakes the next.
                let step = |bits: u64| {
                    let observed = scaled(bits, rate + 1).saturating_sub(rate / 2);
                    ((observed * share + (bits & 1023)) >> 10) as i64
                };
                self.each(state, scrapes, show, step, whole);
            }
            Kind::Constant => self.each(state, scrapes, show, |_| 0, whole),
            Kind::Steady => self.each(state, scrapes, show, |_| rate as i64, whole),
        }
    }

    /// One loop for each kind, so that nothing is decided inside.
    #[inline]
    fn each(
        &self,
        state: &mut i64,
        scrapes: Range<u64>,
        mut show: impl FnMut(u64, u64),
        step: impl Fn(u64) -> i64,
        value: impl Fn(i64) -> f64,
    ) {
        for scrape in scrapes {
            *state += step(self.key.bits(scrape));
            show(scrape, value(*state).to_bits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(kind: Kind, key: Key, scrapes: Range<u64>) -> Vec<f64> {
        let motion = Motion::new(kind, key);
        let (mut state, mut out) = (motion.beginning(), Vec::new());
        motion.walk(&mut state, scrapes, |_, bits| out.push(f64::from_bits(bits)));
        out
    }

    #[test]
    fn kinds_move_as_they_say() {
        for seed in 0..50 {
            let key = Key::new(seed);
            let of = |kind| values(kind, key, 0..500);
            let steps = |v: &[f64]| -> Vec<f64> { v.windows(2).map(|w| w[1] - w[0]).collect() };
            assert!(steps(&of(Kind::Busy)).iter().all(|s| *s >= 10.0 && s.fract() == 0.0));
            assert!(steps(&of(Kind::Idle)).iter().all(|s| *s == 0.0 || *s == 1.0));
            assert!(of(Kind::Gauge).iter().all(|v| (v * 1000.0).round() / 1000.0 == *v));
            assert!(of(Kind::Constant).windows(2).all(|w| w[0] == w[1]));
            assert_eq!(of(Kind::Steady)[9], 10.0 * of(Kind::Steady)[0]);
            let running = |share| Motion::new(Kind::Bucket(share), key).running();
            assert!(running(300) <= running(1024) && running(1024) == Motion::new(Kind::Busy, key).running());
            let buckets: Vec<Vec<f64>> = [300, 900, 1024].map(|share| of(Kind::Bucket(share))).to_vec();
            for pair in buckets.windows(2) {
                assert!(pair[0].iter().zip(&pair[1]).all(|(low, high)| low <= high), "buckets are cumulative");
            }
            assert!(steps(&buckets[2]).iter().all(|s| (0.0..=6.0).contains(s)));
        }
    }

    #[test]
    fn a_walk_in_two_parts_is_the_same_walk() {
        for kind in [Kind::Busy, Kind::Idle, Kind::Gauge, Kind::Bucket(512), Kind::Constant, Kind::Steady] {
            let motion = Motion::new(kind, Key::new(4));
            let mut parts = Vec::new();
            let mut state = motion.beginning();
            for range in [0..7, 7..7, 7..100] {
                motion.walk(&mut state, range, |k, bits| parts.push((k, f64::from_bits(bits))));
            }
            assert!(parts.iter().map(|p| p.1).eq(values(kind, Key::new(4), 0..100)));
            assert!(parts.iter().map(|p| p.0).eq(0..100));
        }
    }
}
