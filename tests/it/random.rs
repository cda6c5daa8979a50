//! Chance from a seed, and the accidents that it does to chunks: the same in every run.

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.bits() as u8).collect()
    }

    /// Bytes of which one bit in eight is set.
    pub fn few_ones(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.bits() & self.bits() & self.bits()) as u8).collect()
    }

    /// What happens to the data of chunk number `i`: nothing, a cut, flipped bits, another count or a stretch of other bytes.
    pub fn damage(&mut self, i: usize, data: &mut Vec<u8>) {
        match i % 4 {
            1 => data.truncate(self.below(data.len() + 1)),
            2 => {
                for _ in 0..1 + self.below(4) {
                    let at = self.below(data.len());
                    data[at] ^= 1 << self.below(8);
                }
            }
            3 if self.once_in(2) => data[1] = data[1].wrapping_add(1 + self.below(3) as u8),
            3 => {
                let at = self.below(data.len());
                let n = self.below(12).min(data.len() - at);
                let other = self.bytes(n);
                data[at..at + n].copy_from_slice(&other);
            }
            _ => {}
        }
    }

    /// As much of `all` as stands behind chunk number `i`: nothing, a little, up to all of it.
    pub fn start_of<'a>(&mut self, i: usize, all: &'a [u8]) -> &'a [u8] {
        match i % 3 {
            0 => &[],
            1 => &all[..self.below(40)],
            _ => &all[..self.below(all.len() + 1)],
        }
    }
}
