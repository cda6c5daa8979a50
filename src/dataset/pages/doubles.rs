//! Doubles as bytes: PLAIN, or BYTE_STREAM_SPLIT where the values hardly repeat.

use parquet::basic::Encoding;

/// Values from each of three places of a page by which its encoding is chosen.
const TRIED: usize = 1024;

/// Appends `bits` to `out` in the encoding that compresses better, and says which. `size` compresses and gives the length.
pub(super) fn encode(bits: &[u64], out: &mut Vec<u8>, size: impl FnMut(&[u8]) -> usize) -> Encoding {
    if splits(bits, size) {
        split(bits, out);
        Encoding::BYTE_STREAM_SPLIT
    } else {
        plain(bits, out);
        Encoding::PLAIN
    }
}

/// Whether splitting helps. A general compressor finds values that repeat only if they are whole, and the common first
/// bytes of noisy ones only if they are split; which is which shows when a part of the page is compressed both ways.
fn splits(bits: &[u64], mut size: impl FnMut(&[u8]) -> usize) -> bool {
    let mut part: Vec<u64> = Vec::with_capacity(3 * TRIED);
    if bits.len() <= 3 * TRIED {
        part.extend_from_slice(bits);
    } else {
        for sixth in [1, 3, 5] {
            let from = bits.len() * sixth / 6;
            part.extend(bits.iter().skip(from).take(TRIED));
        }
    }
    let (mut whole, mut apart) = (Vec::new(), Vec::new());
    plain(&part, &mut whole);
    split(&part, &mut apart);
    size(&apart) < size(&whole)
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
