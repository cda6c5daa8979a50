//! Values and timestamps as upstream's parsers read them.

use crate::gofloat;

/// The bits of every NaN that comes from text (`model/value: NormalNaN`).
pub const NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The bits of a value: Go's `ParseFloat` without hexadecimal floats and underscores, which upstream keeps out
/// (`model/textparse/promparse.go: parseFloat`). `None` where upstream refuses, a number too large included.
pub fn value_bits(text: &[u8]) -> Option<u64> {
    if let Some(value) = short_decimal(text) {
        return Some(value.to_bits());
    }
    let digits = match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    };
    // Behind a digit or a point Rust's grammar is Go's decimal one; both round correctly.
    let value = if matches!(digits, [b'0'..=b'9' | b'.', ..]) {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        value.is_finite().then_some(value)?
    } else if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return None;
    } else {
        gofloat::parse_float(text)?
    };
    Some(if value.is_nan() { NAN_BITS } else { value.to_bits() })
}

/// Up to 15 digits with at most one point inside: the digits and the power of ten are exact doubles, so that their quotient
/// is rounded once and correctly. Most values are such, and this is faster than the general way.
fn short_decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if text.is_empty() || text.len() > 16 || text.first() == Some(&b'.') {
        return None;
    }
    let mut digits = 0u64;
    let mut point = None;
    for (i, b) in text.iter().enumerate() {
        match b {
            b'0'..=b'9' => digits = digits * 10 + u64::from(b - b'0'),
            b'.' if point.is_none() => point = Some(i),
            _ => return None,
        }
    }
    let decimals = point.map_or(0, |at| text.len() - 1 - at);
    // Sixteen digits without a point need not be an exact double.
    if point.is_none() && text.len() > 15 {
        return None;
    }
    Some(digits as f64 / POWERS.get(decimals)?)
}

/// Milliseconds in decimal digits, without a sign, as the Prometheus text format has them.
pub fn unsigned_ms(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i64, |n, b| {
        let digit = b.is_ascii_digit().then(|| i64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Milliseconds with an optional minus, as promtool prints them.
pub fn signed_ms(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(b"9223372036854775808") => Some(i64::MIN),
        Some(digits) => unsigned_ms(digits).map(|n| -n),
        None => unsigned_ms(text),
    }
}

/// Seconds as a float, times 1000 and cut, as upstream reads OpenMetrics (`openmetricsparse.go: parseSeriesEndOfLine`):
/// `1.001` is 1000 ms, since 1.001 * 1000 is a little less than 1001 in doubles. Out of range it is what amd64 gives.
pub fn float_seconds_ms(text: &[u8]) -> Option<i64> {
    let seconds = f64::from_bits(value_bits(text)?);
    if !seconds.is_finite() {
        return None;
    }
    let ms = seconds * 1000.0;
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&ms);
    Some(if fits { ms as i64 } else { i64::MIN })
}

/// Seconds with exactly three decimals, as `promtool tsdb dump-openmetrics` prints milliseconds.
pub fn decimal_seconds_ms(text: &[u8]) -> Option<i64> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let point = digits.len().checked_sub(4)?;
    let (whole, fraction) = digits.split_at(point);
    let fraction = unsigned_ms(fraction.strip_prefix(b".")?)?;
    let ms = unsigned_ms(whole)?.checked_mul(1000)?.checked_add(fraction)?;
    Some(if negative { -ms } else { ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_upstreams() {
        for (text, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("-0", -0.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e5", 1e5),
            ("1E-5", 1e-5),
            ("1e-400", 0.0),
            ("4.9e-324", 5e-324),
            ("iNf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("9007199254740993", 9007199254740992.0),
            ("0001", 1.0),
        ] {
            assert_eq!(value_bits(text.as_bytes()), Some(value.to_bits()), "{text}");
        }
        assert_eq!(value_bits(b"NaN"), Some(NAN_BITS));
        for bad in
            ["", "+", ".", "e5", "1e", "1e400", "-nan", "+NaN", "0x1p3", "0x10", "1_0", "1,5", "1\r", "infi", "١"]
        {
            assert_eq!(value_bits(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times_are_upstreams() {
        assert_eq!(unsigned_ms(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(unsigned_ms(b"9223372036854775808"), None);
        assert_eq!(signed_ms(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed_ms(b"-62135596800000"), Some(-62_135_596_800_000));
        assert_eq!(float_seconds_ms(b"1700215884.373"), Some(1_700_215_884_373));
        assert_eq!(float_seconds_ms(b"1.001"), Some(1000));
        assert_eq!(float_seconds_ms(b"-1.5"), Some(-1500));
        assert_eq!(float_seconds_ms(b"1e300"), Some(i64::MIN));
        assert_eq!(float_seconds_ms(b"Inf"), None);
        assert_eq!(decimal_seconds_ms(b"1.001"), Some(1001));
        assert_eq!(decimal_seconds_ms(b"-0.001"), Some(-1));
        for bad in ["", ".001", "1.01", "1", "1.0010", "-", "1e3.000"] {
            assert_eq!(decimal_seconds_ms(bad.as_bytes()), None, "{bad}");
        }
    }
}
