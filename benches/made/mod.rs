//! Made-up series from a fixed seed: the same samples on every machine and in every run.

#![allow(dead_code, reason = "each benchmark uses a part of this")]

use promproof::sample::Samples;

pub mod wal;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// Numbers that depend on `seed` alone.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number from 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// How a series behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A counter of a busy service: another integer increment at every scrape.
    Busy,
    /// A counter that rises by one now and then.
    Idle,
    /// A gauge with three decimals that wanders.
    Gauge,
    /// A bucket of a latency histogram: small increments, often none.
    Bucket,
    /// A value that never changes.
    Constant,
    /// A counter that rises by the same integer at every scrape.
    Steady,
}

/// `count` samples of a series, `step_ms` apart from `start_ms` on. One scrape in 50 is late by up to 30 ms, as on a
/// loaded server; those of [`Kind::Steady`] and [`Kind::Constant`] never are.
pub fn samples(kind: Kind, random: &mut Random, start_ms: i64, step_ms: i64, count: usize) -> Samples {
    let rate = match kind {
        Kind::Busy => 20 + random.below(2000),
        Kind::Bucket => 1 + random.below(6),
        _ => 1 + random.below(50),
    };
    let mut counter = random.below(1 << 20);
    let mut thousandths = 50_000 + random.below(100_000) as i64;
    let mut out = Samples::default();
    for i in 0..count as i64 {
        let value = match kind {
            Kind::Busy => {
                counter += rate / 2 + random.below(rate);
                counter as f64
            }
            Kind::Idle => {
                counter += u64::from(random.one_in(40));
                counter as f64
            }
            Kind::Gauge => {
                thousandths += random.below(2001) as i64 - 1000;
                thousandths as f64 / 1000.0
            }
            Kind::Bucket => {
                counter += random.below(rate + 1).saturating_sub(rate / 2);
                counter as f64
            }
            Kind::Constant => counter as f64,
            Kind::Steady => {
                counter += rate;
                counter as f64
            }
        };
        let punctual = matches!(kind, Kind::Steady | Kind::Constant);
        let late = if !punctual && random.one_in(50) { random.below(30) as i64 } else { 0 };
        out.push(start_ms + i * step_ms + late, value.to_bits());
    }
    out
}
