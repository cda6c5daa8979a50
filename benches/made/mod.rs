//! Made-up series from a fixed seed: the same samples on every machine and in every run.

#![allow(dead_code, reason = "each benchmark uses a part of this")]

use promproof::sample::Samples;
use promproof::synth::chance::{Key, Random};
pub use promproof::synth::kind::Kind;
use promproof::synth::kind::Motion;

pub mod wal;

/// Numbers that depend on `seed` alone.
pub fn random(seed: u64) -> Random {
    Random::new(Key::new(seed))
}

/// `count` samples of a series, `step_ms` apart from `start_ms` on. One scrape in 50 is late by up to 30 ms, as on a
/// loaded server; those of [`Kind::Steady`] and [`Kind::Constant`] never are.
pub fn samples(kind: Kind, random: &mut Random, start_ms: i64, step_ms: i64, count: usize) -> Samples {
    let motion = Motion::new(kind, Key::new(random.bits()));
    let delays = Key::new(random.bits());
    let punctual = matches!(kind, Kind::Steady | Kind::Constant);
    let mut state = motion.running();
    let mut out = Samples::default();
    motion.walk(&mut state, 0..count as u64, |i, bits| {
        let late = if !punctual && delays.part(0).one_in(i, 50) { delays.part(1).below(i, 30) as i64 } else { 0 };
        out.push(start_ms + i as i64 * step_ms + late, bits);
    });
    out
}
