//! Decimal values as integers: `value_int / div` gives back the same bits.
//!
//! Most gauges have a few decimals and most counters none. Such values are integers over a power of ten, and integers
//! pack into a few bits each. One IEEE division is correctly rounded everywhere, so every reader gets the same double.

/// What integers may be divided by.
pub(super) const DIVISORS: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

/// Values that are looked at to find the divisor of a series.
const LOOKED_AT: usize = 64;

/// 1.5 * 2^52: adding it rounds a double of less than 2^51 to an integer, which then stands in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The integer for `value` over `div`, and whether it gives back the same bits.
#[inline]
fn scale(bits: u64, div: f64) -> (i64, bool) {
    let shifted = f64::from_bits(bits) * div + ROUNDER;
    let integer = shifted.to_bits().wrapping_sub(ROUNDER.to_bits()) as i64;
    let whole = shifted - ROUNDER;
    let exact = (whole / div).to_bits() == bits && whole.abs() < (1u64 << 51) as f64;
    (integer, exact)
}

/// The position in [`DIVISORS`] that fits most of the values, the least one among equals.
pub(super) fn divisor(bits: &[u64]) -> usize {
    let step = bits.len().div_ceil(LOOKED_AT).max(1);
    let looked_at = || bits.iter().step_by(step);
    let most = looked_at().count();
    let mut best = (0, 0);
    for (i, div) in DIVISORS.iter().enumerate() {
        let exact = looked_at().filter(|b| scale(**b, *div).1).count();
        if exact > best.1 {
            best = (i, exact);
        }
        if exact == most {
            break;
        }
    }
    best.0
}

/// Appends an integer for every value, and whether it stands for it.
pub(super) fn convert(bits: &[u64], div: f64, integers: &mut Vec<i64>, exact: &mut Vec<bool>) {
    let from = integers.len();
    integers.resize(from + bits.len(), 0);
    exact.resize(from + bits.len(), false);
    let places = integers.iter_mut().skip(from).zip(exact.iter_mut().skip(from));
    // By a constant, so that the division falls away for the many integers.
    if div == 1.0 {
        bits.iter().zip(places).for_each(|(bits, (integer, exact))| (*integer, *exact) = scale(*bits, 1.0));
    } else {
        bits.iter().zip(places).for_each(|(bits, (integer, exact))| (*integer, *exact) = scale(*bits, div));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives(value: f64, div: f64) -> bool {
        let (integer, exact) = scale(value.to_bits(), div);
        assert!(!exact || (integer as f64 / div).to_bits() == value.to_bits(), "{value} over {div}: {integer}");
        exact
    }

    #[test]
    fn what_is_exact_comes_back_bit_for_bit() {
        let max = ((1i64 << 51) - 1) as f64;
        for (value, div, expected) in [
            (0.0, 1.0, true),
            (-0.0, 1.0, false),
            (12.345, 1e3, true),
            (-12.345, 1e3, true),
            (0.1 + 0.2, 1e6, false),
            (max, 1.0, true),
            (-max, 1.0, true),
            (max + 1.0, 1.0, false),
            (f64::MAX, 1e6, false),
            (f64::INFINITY, 1.0, false),
            (f64::NAN, 1.0, false),
            (5e-324, 1e6, false),
        ] {
            assert_eq!(survives(value, div), expected, "{value} over {div}");
        }
    }

    #[test]
    fn the_divisor_is_the_least_that_fits() {
        let of = |v: &[f64]| DIVISORS[divisor(&v.iter().map(|v| v.to_bits()).collect::<Vec<_>>())];
        assert_eq!(of(&[1.0, 2.0]), 1.0);
        assert_eq!(of(&[1.0, 2.5, 0.125]), 1e3);
        assert_eq!(of(&[0.1 + 0.2, std::f64::consts::PI]), 1.0);
        assert_eq!(of(&[]), 1.0);
    }
}
