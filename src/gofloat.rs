//! Go's float syntax (`strconv.ParseFloat`) and its `%g`.

/// Parses what Go's `ParseFloat(s, 64)` accepts, to the same double; `None` where Go returns an error, a finite text
/// too large for a double included.
///
/// `Inf` and `Infinity` in any case with an optional sign, `NaN` in any case without one, decimal and hexadecimal
/// (which need a `p` exponent) floats, `_` between digits.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let (negative, body) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let signed = |v: f64| if negative { -v } else { v };
    if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") {
        return Some(signed(f64::INFINITY));
    }
    if text.eq_ignore_ascii_case(b"nan") {
        return Some(f64::NAN);
    }
    let hex = matches!(body, [b'0', b'x' | b'X', ..]);
    if !underscores_separate_digits(body, hex) {
        return None;
    }
    let plain: Vec<u8> = body.iter().copied().filter(|b| *b != b'_').collect();
    if hex {
        return parse_hex(plain.get(2..)?).map(signed);
    }
    let mut digits = 0;
    let mut rest = plain.as_slice();
    let skip_digits = |rest: &mut &[u8]| {
        let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        *rest = rest.get(n..).unwrap_or_default();
        n
    };
    digits += skip_digits(&mut rest);
    if let Some((b'.', after)) = rest.split_first() {
        rest = after;
        digits += skip_digits(&mut rest);
    }
    if digits == 0 {
        return None;
    }
    if let Some((b'e' | b'E', after)) = rest.split_first() {
        rest = after;
        if let Some((b'+' | b'-', after)) = rest.split_first() {
            rest = after;
        }
        if skip_digits(&mut rest) == 0 {
            return None;
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let value: f64 = std::str::from_utf8(&plain).ok()?.parse().ok()?;
    value.is_finite().then(|| signed(value))
}

/// An underscore stands between two digits, or between the base prefix and a digit.
fn underscores_separate_digits(body: &[u8], hex: bool) -> bool {
    if !body.contains(&b'_') {
        return true;
    }
    let digit = |b: &u8| {
        if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() }
    };
    body.iter().enumerate().filter(|(_, b)| **b == b'_').all(|(i, _)| {
        let before = i.checked_sub(1).and_then(|j| body.get(j));
        let prefix = hex && i == 2;
        (prefix || before.is_some_and(digit)) && body.get(i + 1).is_some_and(digit)
    })
}

/// A hexadecimal float behind its `0x`, correctly rounded to nearest even.
fn parse_hex(text: &[u8]) -> Option<f64> {
    let at = text.iter().position(|b| matches!(b, b'p' | b'P'))?;
    let (mantissa, exponent) = (text.get(..at)?, text.get(at + 1..)?);
    let (down, digits) = match exponent.split_first()? {
        (b'-', d) => (true, d),
        (b'+', d) => (false, d),
        _ => (false, exponent),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |n, d| (n * 10 + i64::from(d - b'0')).min(100_000));
    let mut exponent = if down { -magnitude } else { magnitude };
    let mut value: u64 = 0;
    let mut sticky = false;
    let (mut seen, mut point) = (false, false);
    for b in mantissa {
        let digit = match char::from(*b).to_digit(16) {
            Some(d) => d,
            None if *b == b'.' && !point => {
                point = true;
                continue;
            }
            None => return None,
        };
        seen = true;
        if value >> 59 == 0 {
            value = value << 4 | u64::from(digit);
            exponent -= if point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if point { 0 } else { 4 };
        }
    }
    if !seen {
        return None;
    }
    if value == 0 {
        return Some(0.0);
    }
    // value * 2^exponent with 1 <= bits <= 63; keep 53 bits, fewer for subnormals.
    let bits = 64 - i64::from(value.leading_zeros());
    let top = exponent + bits - 1;
    if top > 1023 {
        return None;
    }
    let keep = if top >= -1022 { 53 } else { 53 - (-1022 - top) };
    if keep < 0 {
        return Some(0.0);
    }
    let drop = (bits - keep).max(0) as u32;
    let (mut kept, rest) = if drop >= 64 { (0, value) } else { (value >> drop, value & ((1u64 << drop) - 1)) };
    if drop > 0 {
        let half = 1u64 << (drop - 1);
        if rest > half || (rest == half && (sticky || kept & 1 == 1)) {
            kept += 1;
        }
    }
    let result = kept as f64 * power_of_two(exponent + i64::from(drop));
    result.is_finite().then_some(result)
}

/// 2^n for a product that is exact: `kept` has at most 53 bits and the result is representable or overflows.
fn power_of_two(n: i64) -> f64 {
    if n >= -1022 {
        f64::from_bits(((n + 1023).clamp(0, 2047) as u64) << 52)
    } else {
        f64::from_bits(1u64 << (n + 1074).clamp(0, 51))
    }
}

/// The shortest digits of a double that lies halfway between two of them: Go takes the even ones, Rust the greater.
/// `None` where that is no question.
fn even_at_tie(value: f64, digits: &str, exponent: i32) -> Option<String> {
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    let stored = ((value.to_bits() >> 52) & 0x7ff) as i32;
    let fraction = value.to_bits() & ((1 << 52) - 1);
    let (mantissa, two) = if stored == 0 { (fraction, -1074) } else { (fraction | 1 << 52, stored - 1075) };
    // An odd number of 2^-n has n decimals, the last of them 5.
    let decimals = -(two + mantissa.trailing_zeros() as i32);
    let tie = mantissa != 0 && decimals > 0 && exponent + decimals == count as i32;
    if !tie || digits.bytes().last().is_none_or(|d| d % 2 == 0) {
        return None;
    }
    let exact = format!("{value:.count$e}");
    let (exact, power) = exact.split_once('e')?;
    let even = exact.strip_suffix('5')?;
    // Below a power of two doubles are closer, and it may be read back as another one.
    (format!("{even}e{power}").parse() == Ok(value)).then(|| even.to_owned())
}

/// `d.ddd` times ten to the exponent without one, for exponents of few digits.
fn plain(digits: &str, exponent: i32) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let digits = digits.replace('.', "");
    match usize::try_from(exponent) {
        Ok(e) if e + 1 < digits.len() => {
            let (whole, rest) = digits.split_at(e + 1);
            format!("{sign}{whole}.{rest}")
        }
        Ok(e) => format!("{sign}{digits}{}", "0".repeat(e + 1 - digits.len())),
        Err(_) => format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
    }
}

/// A double as Go's `%g` prints it, and with it `promtool tsdb dump`: the shortest digits that read back, in exponent
/// form below 1e-4 and from 1e6 on where the shortest precision is asked for.
pub fn format_shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let even = even_at_tie(value, digits, exponent);
    let digits = even.as_deref().unwrap_or(digits);
    if value == 0.0 || (-4..6).contains(&exponent) {
        return if even.is_some() { plain(digits, exponent) } else { format!("{value}") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn le_values_parse_as_in_go() {
        let ok = |s: &str| parse_float(s.as_bytes());
        for (text, value) in [
            ("1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+Inf", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("1_0", 10.0),
            ("0x1p1", 2.0),
            ("0X_1.8P-1", 0.75),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", 5e-324),
            ("0x1fffffffffffffp0", 9007199254740991.0),
            ("0x3fffffffffffffp0", 18014398509481984.0),
            ("1e-400", 0.0),
            ("1e5", 1e5),
        ] {
            assert_eq!(ok(text), Some(value), "{text}");
        }
        assert!(ok("nAn").is_some_and(f64::is_nan));
        for bad in [
            "", "+", ".", "1e", " 1", "1 ", "-nan", "1e400", "0x1", "0xp1", "_1", "1_", "1__0", "1_.5", "0x1p2000",
            "1f", "e5", "0x1p", "infin",
        ] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }

    #[test]
    fn formatting_is_gos() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (123456789.0, "1.23456789e+08"),
            (100000.0, "100000"),
            (123456.5, "123456.5"),
            (1e6, "1e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            // Halfway between two decimals that both read back.
            (f64::from_bits(0x3ff0_0008_0000_0000), "1.0000076293945312"),
            (-f64::from_bits(0x3ff0_0008_0000_0000), "-1.0000076293945312"),
            (f64::from_bits(0x4310_0000_0000_0001), "1.1258999068426242e+15"),
            (f64::from_bits(0x3e60_0000_0000_0000), "2.9802322387695312e-08"),
            (f64::from_bits(0x3e70_0000_0000_0000), "5.960464477539063e-08"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_shortest(value), text);
        }
    }
}
