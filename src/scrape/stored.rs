//! [`stored_value`]: `le` and `quantile` as a release stores them.

use std::borrow::Cow;

use crate::gofloat;
use crate::version::PromVersion;

use super::MetricType;

/// The value under which `release` stores a label of a text exposition.
///
/// From 3.0 on, `le` behind `# TYPE … histogram` and `quantile` behind `# TYPE … summary` are written as OpenMetrics
/// writes floats, `1` as `1.0`; before, text stayed as it was (`model/textparse/openmetricsparse.go:
/// normalizeFloatsInLabelValues`). `last_type` is the type of the last TYPE line, whatever family it named.
pub fn stored_value<'a>(
    release: PromVersion,
    last_type: Option<MetricType>,
    name: &[u8],
    value: &'a [u8],
) -> Cow<'a, [u8]> {
    let is_bound = match last_type {
        Some(MetricType::Histogram) => name == b"le",
        Some(MetricType::Summary) => name == b"quantile",
        _ => false,
    };
    match gofloat::parse_float(value) {
        Some(bound) if is_bound && release.normalizes_bounds() => Cow::Owned(openmetrics_float(bound).into_bytes()),
        _ => Cow::Borrowed(value),
    }
}

/// A float as OpenMetrics wants it in labels (`model/labels/float.go: FormatOpenMetricsFloat`).
fn openmetrics_float(value: f64) -> String {
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let text = gofloat::format_shortest(value);
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_stored_as_the_release_does() {
        let stored = |minor: (u32, u32), last, name: &str, value: &'static str| {
            String::from_utf8(
                stored_value(PromVersion::new(minor.0, minor.1), last, name.as_bytes(), value.as_bytes()).into_owned(),
            )
            .unwrap_or_default()
        };
        let (histogram, summary) = (Some(MetricType::Histogram), Some(MetricType::Summary));
        for (value, normal) in [
            ("1", "1.0"),
            ("0", "0.0"),
            ("-0", "0.0"),
            ("-1", "-1.0"),
            ("0.50", "0.5"),
            ("1e6", "1e+06"),
            ("100000", "100000.0"),
            ("+inf", "+Inf"),
            ("nan", "NaN"),
            ("0x1p1", "2.0"),
            ("1_0", "10.0"),
            ("abc", "abc"),
            ("1e400", "1e400"),
            ("", ""),
        ] {
            assert_eq!(stored((3, 0), histogram, "le", value), normal);
            assert_eq!(stored((3, 16), summary, "quantile", value), normal);
            assert_eq!(stored((2, 55), histogram, "le", value), value);
            assert_eq!(stored((3, 16), summary, "le", value), value);
            assert_eq!(stored((3, 16), None, "le", value), value);
        }
    }
}
