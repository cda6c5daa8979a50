//! Chance from a seed: the same numbers on every machine, at any place, in any order.

/// What SplitMix64 adds at each step.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's mixing of 64 bits.
#[inline]
fn mix(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// Names one stream of random numbers, in which every number can be had without those before it.
///
/// So a series goes on in the next block, and on another thread, where it left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The key that everything else is derived from.
    pub fn new(seed: u64) -> Key {
        Key(mix(seed.wrapping_add(GAMMA)))
    }

    /// The key of a part, told by a number that no other part of the same whole has.
    #[must_use]
    pub fn part(self, number: u64) -> Key {
        Key(mix(self.0 ^ mix(number.wrapping_mul(GAMMA).wrapping_add(1))))
    }

    /// The 64 bits at `place`: SplitMix64 started with this key, after that many steps.
    #[inline]
    pub fn bits(self, place: u64) -> u64 {
        mix(self.0.wrapping_add(place.wrapping_add(1).wrapping_mul(GAMMA)))
    }

    /// A number from 0 up to, not including, `end`.
    #[inline]
    pub fn below(self, place: u64, end: u64) -> u64 {
        scaled(self.bits(place), end)
    }

    /// True once in `n` places.
    #[inline]
    pub fn one_in(self, place: u64, n: u64) -> bool {
        self.below(place, n) == 0
    }
}

/// 64 random bits as a number below `end`.
#[inline]
pub fn scaled(bits: u64, end: u64) -> u64 {
    ((u128::from(bits) * u128::from(end)) >> 64) as u64
}

/// Numbers one after the other.
#[derive(Debug, Clone)]
pub struct Random {
    key: Key,
    place: u64,
}

impl Random {
    /// The stream of a key from its start.
    pub fn new(key: Key) -> Random {
        Random { key, place: 0 }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.place += 1;
        self.key.bits(self.place - 1)
    }

    /// A number from 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        scaled(self.bits(), end)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_splitmix64_and_keys_differ() {
        // The reference implementation, started with 0, gives these.
        let zero = Key(0);
        assert_eq!(
            [0, 1, 2].map(|i| zero.bits(i)),
            [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]
        );
        let mut random = Random::new(zero);
        assert_eq!([random.bits(), random.bits()], [zero.bits(0), zero.bits(1)]);
        let mut keys: Vec<u64> = (0..50).flat_map(|s| (0..50).map(move |p| Key::new(s).part(p).0)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 2500);
        assert!((0..1000).all(|i| zero.below(i, 7) < 7));
    }
}
