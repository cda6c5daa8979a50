//! Doubles as bytes: PLAIN, or BYTE_STREAM_SPLIT where the values hardly repeat.

use parquet::basic::Encoding;

/// Slots of the table that tells how often values repeat.
const SEEN: usize = 4096;

/// Appends `bits` to `out` in the encoding that compresses better, and says which.
pub(super) fn encode(bits: &[u64], out: &mut Vec<u8>) -> Encoding {
    if repeats(bits) {
        plain(bits, out);
        Encoding::PLAIN
    } else {
        split(bits, out);
        Encoding::BYTE_STREAM_SPLIT
    }
}

/// Whether at least half of the values stood among the last few thousand already: then a general compressor finds whole
/// values, and splitting their bytes would hide them.
fn repeats(bits: &[u64]) -> bool {
    let mut seen = [0u64; SEEN];
    let mut again = 0;
    for value in bits {
        let slot = (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52) as usize;
        again += usize::from(seen[slot] == *value);
        seen[slot] = *value;
    }
    again * 2 >= bits.len()
}

fn plain(bits: &[u64], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + bits.len() * 8, 0);
    for (place, value) in out.get_mut(from..).unwrap_or_default().chunks_exact_mut(8).zip(bits) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

/// The first bytes of all values, then the second ones, and so on.
fn split(bits: &[u64], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + bits.len() * 8, 0);
    let streams = out.get_mut(from..).unwrap_or_default().chunks_exact_mut(bits.len().max(1));
    for (k, stream) in streams.enumerate() {
        for (place, value) in stream.iter_mut().zip(bits) {
            *place = (value >> (8 * k)) as u8;
        }
    }
}
