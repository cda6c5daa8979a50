//! The hybrid of run lengths and bit packing that Parquet uses for levels and dictionary indexes (`Encodings.md` of
//! parquet-format, RLE).

use super::delta::uvarint;

/// The bits that indexes below `count` take.
pub(super) fn width_for(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// Appends `(value, how often)`, each as a run.
pub(super) fn put_runs(width: u32, runs: impl Iterator<Item = (u32, usize)>, out: &mut Vec<u8>) {
    let bytes = width.div_ceil(8) as usize;
    for (value, count) in runs.filter(|(_, count)| *count > 0) {
        uvarint((count as u64) << 1, out);
        out.extend_from_slice(value.to_le_bytes().get(..bytes).unwrap_or_default());
    }
}

/// How many of the rows say no.
pub(in crate::dataset) fn count_false(rows: &[bool]) -> usize {
    // Few enough for a byte, so that many are added at once.
    rows.chunks(255).map(|some| some.iter().map(|row| u8::from(!row)).sum::<u8>() as usize).sum()
}

/// Appends the definition levels of a column that may be null, their length in bytes first: one bit a row. Gives the number
/// of nulls.
pub(super) fn put_levels(defined: &[bool], out: &mut Vec<u8>) -> usize {
    let nulls = count_false(defined);
    if nulls == 0 || nulls == defined.len() {
        put_same_levels(nulls == 0, defined.len(), out);
        return nulls;
    }
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let changes = defined.iter().zip(defined.iter().skip(1)).filter(|(a, b)| a != b).count();
    if changes * 16 <= defined.len() {
        put_runs(1, defined.chunk_by(|a, b| a == b).map(|run| (u32::from(run[0]), run.len())), out);
    } else {
        // Runs this short cost more than one bit a row.
        uvarint((defined.len().div_ceil(8) as u64) << 1 | 1, out);
        put_bits(defined, out);
    }
    finish_length(length_at, out);
    nulls
}

/// The same where all rows are alike.
pub(super) fn put_same_levels(defined: bool, rows: usize, out: &mut Vec<u8>) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    put_runs(1, std::iter::once((u32::from(defined), rows)), out);
    finish_length(length_at, out);
}

fn finish_length(at: usize, out: &mut [u8]) {
    let length = (out.len() - at - 4) as u32;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Appends booleans as bits, the first one lowest: PLAIN, too.
pub(super) fn put_bits(values: &[bool], out: &mut Vec<u8>) {
    out.extend(values.chunks(8).map(|eight| eight.iter().rev().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit))));
}
