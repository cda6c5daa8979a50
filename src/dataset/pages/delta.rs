//! DELTA_BINARY_PACKED: integers as bit-packed differences (`Encodings.md` of parquet-format).
//!
//! Blocks of 128 differences in 4 mini-blocks of 32. The format asks for no more than that, and short blocks follow short
//! series better than the 256 that libraries write.

/// Differences in a block, and in one of its mini-blocks.
const BLOCK: usize = 128;
const MINI: usize = 32;

/// How wide the differences of a mini-block may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Widths {
    /// As narrow as they fit: values.
    Least,
    /// Whole bytes, and the least difference of the block before where it serves: timestamps, whose jitter repeats and
    /// then compresses better.
    WholeBytes,
}

/// Appends `values` to `out`.
pub(super) fn encode(values: &[i64], widths: Widths, out: &mut Vec<u8>) {
    uvarint(BLOCK as u64, out);
    uvarint((BLOCK / MINI) as u64, out);
    uvarint(values.len() as u64, out);
    let first = values.first().copied().unwrap_or(0);
    zigzag(first, out);
    let mut sticky: Option<i64> = None;
    let mut deltas = [0i64; BLOCK];
    let before = values.chunks(BLOCK);
    for (before, block) in before.zip(values.get(1..).unwrap_or_default().chunks(BLOCK)) {
        for (delta, (before, value)) in deltas.iter_mut().zip(before.iter().zip(block)) {
            *delta = value.wrapping_sub(*before);
        }
        let used = deltas.get(..block.len()).unwrap_or_default();
        let mut least = least_of(used);
        if widths == Widths::WholeBytes {
            let most = used.iter().copied().max().unwrap_or(least);
            let width = |from: i64| width(most.wrapping_sub(from) as u64, widths);
            least = sticky.filter(|s| *s <= least && width(*s) == width(least)).unwrap_or(least);
            sticky = Some(least);
        }
        put_block(used, least, widths, out);
    }
}

/// The least of some numbers, in four lanes that do not wait for each other.
fn least_of(numbers: &[i64]) -> i64 {
    let mut lanes = [i64::MAX; 4];
    let mut fours = numbers.chunks_exact(4);
    for four in &mut fours {
        lanes.iter_mut().zip(four).for_each(|(lane, number)| *lane = (*lane).min(*number));
    }
    lanes.iter().chain(fours.remainder()).copied().min().unwrap_or(i64::MAX)
}

fn put_block(deltas: &[i64], least: i64, widths: Widths, out: &mut Vec<u8>) {
    zigzag(least, out);
    let widths_at = out.len();
    out.extend_from_slice(&[0; BLOCK / MINI]);
    for (mini, deltas) in deltas.chunks(MINI).enumerate() {
        // What pads the last mini-block is 0: a difference that is the least one.
        let mut over = [0u64; MINI];
        let mut all = 0;
        for (over, delta) in over.iter_mut().zip(deltas) {
            *over = delta.wrapping_sub(least) as u64;
            all |= *over;
        }
        let width = width(all, widths);
        if let Some(at) = out.get_mut(widths_at + mini) {
            *at = width as u8;
        }
        pack(&over, width, out);
    }
}

/// The bits that `largest` takes.
fn width(largest: u64, widths: Widths) -> u32 {
    let bits = u64::BITS - largest.leading_zeros();
    if widths == Widths::WholeBytes { bits.next_multiple_of(8) } else { bits }
}

/// Appends 32 values of `width` bits each, the least significant bits first.
fn pack(values: &[u64; MINI], width: u32, out: &mut Vec<u8>) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                $($w => pack_as::<$w>(values, out),)*
                _ => {}
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

/// The same with a width that the compiler knows, so that every shift is a constant.
fn pack_as<const WIDTH: usize>(values: &[u64; MINI], out: &mut Vec<u8>) {
    let mut words = [0u64; 32];
    let mut bit = 0;
    for value in values {
        let (word, shift) = (bit / 64, bit % 64);
        words[word] |= value << shift;
        if shift + WIDTH > 64 {
            words[word + 1] |= value >> (64 - shift);
        }
        bit += WIDTH;
    }
    let mut bytes = [0u8; 256];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(bytes.get(..WIDTH * 4).unwrap_or_default());
}

pub(super) fn uvarint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    uvarint((value << 1 ^ value >> 63) as u64, out);
}
