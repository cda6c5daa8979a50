//! Times and durations: integers of milliseconds inside, RFC 3339 in UTC outside.
//!
//! Nothing here reads the clock.

use std::fmt;

use crate::error::{Error, Result};

/// Milliseconds since 1970-01-01T00:00:00Z, as the TSDB stores them.
pub type TimestampMs = i64;

/// A length of time in milliseconds.
pub type DurationMs = i64;

/// A range of timestamps in milliseconds, both ends included: `[start, end]`.
///
/// Blocks and datasets are half-open on disk; the one place that converts is `tsdb::meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// First millisecond inside.
    pub start: TimestampMs,
    /// Last millisecond inside.
    pub end: TimestampMs,
}

impl Interval {
    /// All of time.
    pub const ALL: Interval = Interval { start: i64::MIN, end: i64::MAX };

    /// `[start, end]`.
    pub fn new(start: TimestampMs, end: TimestampMs) -> Interval {
        Interval { start, end }
    }

    /// Whether `t` lies inside.
    pub fn contains(&self, t: TimestampMs) -> bool {
        self.start <= t && t <= self.end
    }

    /// From the first to the last millisecond; saturates.
    pub fn length(&self) -> DurationMs {
        self.end.saturating_sub(self.start)
    }

    /// The least interval that holds both.
    #[must_use]
    pub fn hull(self, other: Interval) -> Interval {
        Interval::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// The least interval that holds both, where there are two; the one there is, where there is one.
    #[must_use]
    pub fn joined(a: Option<Interval>, b: Option<Interval>) -> Option<Interval> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.hull(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether the two share a millisecond.
    pub fn overlaps(&self, other: &Interval) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.start, self.end) {
            (i64::MIN, i64::MAX) => write!(f, "all times"),
            (i64::MIN, end) => write!(f, "all times up to {}", rfc3339(end)),
            (start, i64::MAX) => write!(f, "{} onwards", rfc3339(start)),
            (start, end) => write!(f, "{} to {}", rfc3339(start), rfc3339(end)),
        }
    }
}

/// The last millisecond of the year 9999.
const LAST_MS: TimestampMs = 253_402_300_799_999;

const OUT_OF_RANGE: &str = "it is out of range; times go from the year -9999 to 9999-12-30T22:00:00Z";

/// Reads RFC 3339 (with or without fraction; without a zone it is UTC) or Unix seconds (with or without fraction).
///
/// The result is exact to the millisecond; finer digits are refused rather than rounded.
/// The second value says whether a zone was missing and UTC assumed.
pub fn parse_time(text: &str) -> Result<(TimestampMs, bool)> {
    let bad = |why: &str| {
        Error::usage(format!("`{}` is not a time: {why}", crate::labels::printable(text))).hint(
            "write RFC 3339 such as 2025-11-19T12:00:00Z or 2025-11-19T12:00:00.250+01:00, or Unix seconds such as 1763553600.25",
        )
    };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(bad("it is empty"));
    }
    if trimmed.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-' || b == b'+')
        && !trimmed[1..].contains(['-', '+'])
    {
        let ms = parse_decimal_seconds(trimmed).ok_or_else(|| bad("Unix seconds take at most three decimals"))?;
        if ms > LAST_MS {
            return Err(bad("it is after the year 9999; Unix times are in seconds here, not in milliseconds"));
        }
        return Ok((ms, false));
    }
    let upper = trimmed.replace(' ', "T");
    if has_long_offset(&upper) {
        return Err(bad("the offset of a zone is at most 23:59"));
    }
    if let Ok(ts) = upper.parse::<jiff::Timestamp>() {
        return exact_ms(ts).map(|ms| (ms, false)).ok_or_else(|| bad("it is finer than a millisecond"));
    }
    match upper.parse::<jiff::civil::DateTime>() {
        Ok(civil) => {
            let ts = jiff::tz::Offset::UTC.to_timestamp(civil).map_err(|_| bad(OUT_OF_RANGE))?;
            exact_ms(ts).map(|ms| (ms, true)).ok_or_else(|| bad("it is finer than a millisecond"))
        }
        // A zone keeps it from being civil, and the range from being a time.
        Err(_) if jiff::fmt::temporal::Pieces::parse(&upper).is_ok_and(|p| p.time().is_some()) => {
            Err(bad(OUT_OF_RANGE))
        }
        Err(_) => Err(bad("neither RFC 3339 nor Unix seconds")),
    }
}

/// Whether a time ends with an offset of 24 hours or more, as no zone has.
fn has_long_offset(text: &str) -> bool {
    let offset = text.rsplit_once(['+', '-']).map(|(_, offset)| offset).filter(|_| text.contains(':'));
    let hours = offset.filter(|o| o.len() <= 5 && o.is_ascii()).and_then(|o| o.get(..2)?.parse::<u32>().ok());
    hours.is_some_and(|hours| hours >= 24)
}

fn exact_ms(ts: jiff::Timestamp) -> Option<i64> {
    let ns = ts.as_nanosecond();
    if ns % 1_000_000 != 0 {
        return None;
    }
    i64::try_from(ns / 1_000_000).ok()
}

fn parse_decimal_seconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || fraction.len() > 3 || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut ms = whole.parse::<i64>().ok()?.checked_mul(1000)?;
    if !fraction.is_empty() {
        let scale = [100, 10, 1].get(fraction.len() - 1)?;
        ms = ms.checked_add(fraction.parse::<i64>().ok()? * scale)?;
    }
    Some(if negative { -ms } else { ms })
}

/// Reads a PromQL duration such as `72h`, `7d`, `1h30m`, `500ms`, or plain seconds such as `90` or `0.5`.
pub fn parse_duration(text: &str) -> Result<DurationMs> {
    let bad = |why: &str| {
        Error::usage(format!("`{}` is not a duration: {why}", crate::labels::printable(text)))
            .hint("write a number with a unit, such as 72h, 7d, 90m, 30s, 500ms, or several: 1h30m")
    };
    let t = text.trim();
    if !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return match parse_decimal_seconds(t) {
            Some(ms) if ms > 0 => Ok(ms),
            Some(_) => Err(bad("it is zero")),
            None => Err(bad("plain seconds take at most three decimals")),
        };
    }
    let mut rest = t;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(bad("a number was expected"));
        }
        let number: i64 = rest[..digits].parse().map_err(|_| bad("the number is too large"))?;
        rest = &rest[digits..];
        let units = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let scale = match &rest[..units] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            "" => return Err(bad("a unit is missing")),
            _ => return Err(bad("units are ms, s, m, h, d, w, y")),
        };
        rest = &rest[units..];
        total = number
            .checked_mul(scale)
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(|| bad("it is longer than 292 million years"))?;
    }
    match total {
        0 if t.is_empty() => Err(bad("it is empty")),
        0 => Err(bad("it is zero")),
        ms => Ok(ms),
    }
}

/// The day in UTC as `YYYY-MM-DD`, or the time as [`rfc3339`] gives it outside the years that it can write.
pub fn date(ms: TimestampMs) -> String {
    let text = rfc3339(ms);
    text.split_once('T').map_or_else(|| text.clone(), |(date, _)| date.to_owned())
}

/// RFC 3339 in UTC, with milliseconds only where they are not zero: `2025-11-19T12:00:00Z`, `…:00.250Z`.
///
/// A time outside the years that RFC 3339 can write is given as `<ms> ms`.
pub fn rfc3339(ms: TimestampMs) -> String {
    if ms.rem_euclid(1000) == 0 { civil(ms, "") } else { civil(ms, &format!(".{:03}", ms.rem_euclid(1000))) }
}

/// The notation of the original scripts (Python's `isoformat` and `Z`): six decimals, or none where they are zero.
pub fn isoformat(ms: TimestampMs) -> String {
    if ms.rem_euclid(1000) == 0 { civil(ms, "") } else { civil(ms, &format!(".{:03}000", ms.rem_euclid(1000))) }
}

fn civil(ms: TimestampMs, fraction: &str) -> String {
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    match epoch.checked_add(jiff::SignedDuration::from_secs(ms.div_euclid(1000))) {
        Ok(d) if d.year() >= 0 => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
            d.year(),
            d.month(),
            d.day(),
            d.hour(),
            d.minute(),
            d.second()
        ),
        _ => format!("{ms} ms"),
    }
}

/// A duration for people: the two largest units, `3d 4h`, `90s`, `250ms`.
pub fn human_duration(ms: DurationMs) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    let units: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let mut rest = ms;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.len() == 1 && ms < 60_000 && rest > 0 {
        return format!("{sign}{}.{:03}s", ms / 1000, rest);
    }
    format!("{sign}{}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_to_the_millisecond() {
        assert_eq!(parse_time("2025-11-19T12:00:00Z").ok(), Some((1_763_553_600_000, false)));
        assert_eq!(parse_time("2025-11-19T12:00:00.137").ok(), Some((1_763_553_600_137, true)));
        assert_eq!(parse_time("2025-11-19 13:00:00+01:00").ok(), Some((1_763_553_600_000, false)));
        assert_eq!(parse_time("1763553600.1").ok(), Some((1_763_553_600_100, false)));
        assert_eq!(parse_time("-1.5").ok(), Some((-1500, false)));
        assert_eq!(parse_time("2025-11-19").ok(), Some((1_763_510_400_000, true)));
        for bad in ["", "now", "1.2345", "2025-13-01T00:00:00Z", "2025-11-19T12:00:00.0001Z", "1e9", "--5"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_take_promql_units() {
        assert_eq!(parse_duration("72h").ok(), Some(259_200_000));
        assert_eq!(parse_duration("1h30m").ok(), Some(5_400_000));
        assert_eq!(parse_duration("7d").ok(), Some(604_800_000));
        assert_eq!(parse_duration("0.5").ok(), Some(500));
        for bad in ["", "0s", "h", "5", "5x", "-5m", "99999999999999y"] {
            assert_eq!(parse_duration(bad).is_err(), bad != "5", "{bad}");
        }
    }

    #[test]
    fn formats_round_trip() {
        for ms in [0, 1, -1, 1_763_553_600_137, -62_135_596_800_000] {
            assert_eq!(parse_time(&rfc3339(ms)).ok().map(|x| x.0), Some(ms), "{}", rfc3339(ms));
        }
        assert_eq!(isoformat(1_763_553_600_137), "2025-11-19T12:00:00.137000Z");
        assert_eq!(rfc3339(i64::MAX), "9223372036854775807 ms");
        assert_eq!(human_duration(90_000), "1m 30s");
        assert_eq!(human_duration(259_200_000), "3d");
        assert_eq!(human_duration(1_500), "1.500s");
    }
}
