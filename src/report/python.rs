//! Rounding and number formats of the original scripts, which were Python.

use serde_json::Value;

/// Python's `round(x, digits)`: correctly rounded to decimals, ties to even on the exact binary value.
pub fn round(x: f64, digits: usize) -> f64 {
    if !x.is_finite() {
        return x;
    }
    // Formatting with a precision is correctly rounded from the exact value.
    format!("{x:.digits$}").parse().unwrap_or(x)
}

/// Python's `int(x)`: towards zero. Values beyond 64 bits and non-finite ones give what fits.
pub fn int(x: f64) -> Value {
    Value::from(x.trunc() as i64)
}

/// A rounded figure; NaN and infinities, which JSON cannot hold, are null.
pub fn rounded(x: f64, digits: usize) -> Value {
    let r = round(x, digits);
    if r.is_finite() { Value::from(r) } else { Value::Null }
}

/// A figure as its shortest round-trip double; `None` is null, what JSON cannot hold is a string.
pub fn exact(x: Option<f64>) -> Value {
    match x {
        None => Value::Null,
        Some(x) if x.is_nan() => Value::from("NaN"),
        Some(x) if x == f64::INFINITY => Value::from("+Inf"),
        Some(x) if x == f64::NEG_INFINITY => Value::from("-Inf"),
        Some(x) => Value::from(x),
    }
}

/// An integer with thousands separators.
pub fn thousands(x: f64) -> String {
    let text = format!("{:.0}", x.trunc().abs());
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i > 0 && (text.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    if x.trunc() < 0.0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_pythons() {
        // python3: round(x, 2) and round(x, 3)
        for (x, digits, r) in [
            (0.125, 2, 0.12),
            (0.375, 2, 0.38),
            (2.675, 2, 2.67),
            (1.005, 2, 1.0),
            (96.485, 2, 96.48),
            (0.0005, 3, 0.001),
            (0.0625, 3, 0.062),
            (-0.125, 2, -0.12),
            (1e22, 2, 1e22),
        ] {
            assert_eq!(round(x, digits), r, "{x}");
        }
        assert_eq!(int(-1.9), Value::from(-1));
        assert_eq!(thousands(1234567.9), "1,234,567");
        assert_eq!(thousands(-999.0), "-999");
    }
}
