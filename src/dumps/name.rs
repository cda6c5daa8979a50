//! Times in file names: RFC 3339 in the spellings that file systems allow, and Unix times.

use std::ops::Range;

use crate::time::{TimestampMs, parse_time};

/// What a file name says about when the file was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameTime {
    /// One time.
    One(Told),
    /// Something that may mean several times, in words.
    Unclear(&'static str),
    /// None.
    None,
}

/// A time in a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// In milliseconds.
    pub(super) t_ms: TimestampMs,
    /// Where it stands in the name.
    pub(super) range: Range<usize>,
    /// The offset of the zone that stands behind it, in minutes east of UTC.
    pub(super) offset_minutes: Option<i32>,
}

/// Zones are no further from UTC.
const MOST_OFFSET_HOURS: i32 = 14;
/// Zones in letters, of which several mean different offsets in different countries.
const ZONES: [&str; 29] = [
    "ACDT", "ACST", "AEDT", "AEST", "AKDT", "AKST", "AST", "AWST", "BST", "CDT", "CEST", "CET", "CST", "EDT", "EEST",
    "EET", "EST", "HKT", "HST", "IST", "JST", "KST", "MDT", "MESZ", "MEZ", "MSK", "MST", "PDT", "PST",
];

/// The time in a file name, which may stand anywhere in it.
///
/// Read are a date and a time of day (`2025-11-19T12:00:00Z`, `2025-11-19_12-00-00`, `20251119T120000.250Z`, `20251119120000`),
/// with a zone or in UTC, and Unix seconds (ten digits) or milliseconds (thirteen). A date alone is no time.
pub(super) fn time_in(name: &str) -> NameTime {
    let bytes = name.as_bytes();
    let mut found: Option<Told> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let begins = byte.is_ascii_digit() && !at.checked_sub(1).is_some_and(|before| is_digit(bytes, before));
        if !begins {
            at += 1;
            continue;
        }
        let civil = civil(bytes, at);
        if let Some(why) = civil.as_ref().and_then(|told| unclear(bytes, told.range.end)) {
            return NameTime::Unclear(why);
        }
        let Some(told) = civil.or_else(|| unix(bytes, at)) else {
            at += 1;
            continue;
        };
        at = told.range.end;
        if found.as_ref().is_some_and(|first| first.t_ms != told.t_ms) {
            return NameTime::Unclear("several times");
        }
        found = found.or(Some(told));
    }
    found.map_or(NameTime::None, NameTime::One)
}

/// Why what stands behind a time of day may change it.
fn unclear(bytes: &[u8], end: usize) -> Option<&'static str> {
    let behind = bytes.get(end..).unwrap_or_default();
    let digits = |from: usize| behind.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    if matches!(behind.first(), Some(b'+' | b'-'))
        && (digits(1) == 4 || (digits(1) == 2 && behind.get(3) == Some(&b':')))
    {
        return Some("a time and behind it a number that is no offset of a zone");
    }
    let separators = usize::from(matches!(behind.first(), Some(b' ' | b'_' | b'-')));
    let rest = behind.get(separators..).unwrap_or_default();
    let word = rest.get(..rest.iter().take_while(|b| b.is_ascii_alphabetic()).count()).unwrap_or_default();
    let word = std::str::from_utf8(word).unwrap_or_default();
    if ["AM", "PM"].contains(&word.to_ascii_uppercase().as_str()) {
        return Some("a time of AM or PM, which is not read");
    }
    let seems_a_zone = separators == 0 && (3..=5).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_uppercase());
    let is_utc = ["UTC", "GMT"].contains(&word);
    (ZONES.contains(&word) || (seems_a_zone && !is_utc)).then_some("a time with a zone in letters, which is not read")
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

/// A place in a name; each step moves behind what it takes.
struct Steps<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Steps<'a> {
    fn digits(&mut self, count: usize) -> Option<&'a str> {
        let part = self.bytes.get(self.at..self.at + count).filter(|p| p.iter().all(u8::is_ascii_digit))?;
        self.at += count;
        std::str::from_utf8(part).ok()
    }

    /// All digits from here on.
    fn run(&mut self) -> &'a str {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.digits(count).unwrap_or_default()
    }

    fn one_of(&mut self, these: &[u8]) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied().filter(|b| these.contains(b))?;
        self.at += 1;
        Some(byte)
    }

    /// The separator that was chosen before, or none.
    fn same(&mut self, separator: Option<u8>) -> Option<()> {
        match separator {
            Some(byte) => self.one_of(&[byte]).map(|_| ()),
            None => Some(()),
        }
    }

    /// Up to three decimals behind a point or a comma; what follows without one is something else. Finer digits are cut.
    fn fraction(&mut self) -> String {
        if !is_digit(self.bytes, self.at + 1) || self.one_of(b".,").is_none() {
            return String::new();
        }
        format!(".{}", self.run().chars().take(3).collect::<String>())
    }
}

/// A date and a time of day, and where they end.
fn civil(bytes: &[u8], from: usize) -> Option<Told> {
    let mut s = Steps { bytes, at: from };
    let year = s.digits(4)?;
    let date_separator = s.one_of(b"-_.");
    let month = s.digits(2)?;
    s.same(date_separator)?;
    let day = s.digits(2)?;
    if s.one_of(b"Tt_- .").is_none() && date_separator.is_some() {
        return None;
    }
    let hour = s.digits(2)?;
    let time_separator = s.one_of(b":-_.");
    let minute = s.digits(2)?;
    s.same(time_separator)?;
    let second = s.digits(2)?;
    let mut fraction = s.fraction();
    if fraction.is_empty() && time_separator.is_none() && is_digit(bytes, s.at) {
        // YYYYMMDDHHMMSSmmm, and nothing longer.
        fraction = format!(".{}", s.digits(3)?);
    }
    if is_digit(bytes, s.at) {
        return None;
    }
    let offset_minutes = zone(&mut s);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}Z");
    let t_ms = parse_time(&text).ok()?.0 - i64::from(offset_minutes.unwrap_or(0)) * 60_000;
    Some(Told { t_ms, range: from..s.at, offset_minutes })
}

/// The offset of a zone in minutes; UTC with `Z`, or without one. A minus with two digits alone is a counter, not an offset.
fn zone(s: &mut Steps<'_>) -> Option<i32> {
    if s.one_of(b"Zz").is_some() {
        return None;
    }
    let before = s.at;
    let offset = offset(s);
    if offset.is_none() {
        s.at = before;
    }
    offset
}

fn offset(s: &mut Steps<'_>) -> Option<i32> {
    let sign = s.one_of(b"+-")?;
    let hours: i32 = s.digits(2)?.parse().ok()?;
    let separator = s.one_of(b":");
    let minutes: i32 = match s.digits(2) {
        Some(minutes) if !is_digit(s.bytes, s.at) => minutes.parse().ok()?,
        None if sign == b'+' && separator.is_none() => 0,
        _ => return None,
    };
    let all = hours * 60 + minutes;
    let is_real = minutes < 60 && all % 15 == 0 && all <= MOST_OFFSET_HOURS * 60;
    is_real.then_some(if sign == b'-' { -all } else { all })
}

/// Unix seconds, perhaps with decimals, or milliseconds.
fn unix(bytes: &[u8], from: usize) -> Option<Told> {
    let mut s = Steps { bytes, at: from };
    let digits = s.run();
    let t_ms = match digits.len() {
        10 => {
            let fraction = s.fraction();
            parse_time(&format!("{digits}{fraction}")).ok()?.0
        }
        13 => digits.parse().ok()?,
        _ => return None,
    };
    Some(Told { t_ms, range: from..s.at, offset_minutes: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_763_553_600_000;

    #[test]
    fn names_say_when() {
        for (name, ms) in [
            ("2025-11-19T12:00:00Z.prom", NOON),
            ("api-0_2025-11-19T12-00-00Z.prom", NOON),
            ("api-0-2025-11-19_12-00-00.txt", NOON),
            ("2025-11-19 12.00.00.prom", NOON),
            ("2025.11.19_12.00.00.prom", NOON),
            ("2025_11_19_12_00_00.om.gz", NOON),
            ("2025-11-19T13:00:00+01:00.prom", NOON),
            ("2025-11-19T13-00-00+0100.prom", NOON),
            ("2025-11-19T13-00-00+01.prom", NOON),
            ("2025-11-19T07-00-00-0500.prom", NOON),
            ("2025-11-19T12-00-00-01.prom", NOON),
            ("2025-11-19T12-00-00-001.prom", NOON),
            ("2025-11-19T17-45-00+0545.prom", NOON),
            ("2025-11-19T12-00-00_UTC.prom", NOON),
            ("20251119T120000UTC.prom", NOON),
            ("20251119T120000api.prom", NOON),
            ("20251119T120000_prod.prom", NOON),
            ("20251119T120000Z.prom", NOON),
            ("20251119T120000.496Z.prom", NOON + 496),
            ("20251119T120000,5Z", NOON + 500),
            ("20251119T120000.123456789Z.om", NOON + 123),
            ("20251119-120000", NOON),
            ("metrics_20251119_120000.txt", NOON),
            ("20251119120000.txt", NOON),
            ("20251119120000250.txt", NOON + 250),
            ("1763553600", NOON),
            ("api-1763553600.250.prom", NOON + 250),
            ("metrics.1763553600250.prom", NOON + 250),
        ] {
            assert!(matches!(time_in(name), NameTime::One(told) if told.t_ms == ms), "{name}: {:?}", time_in(name));
        }
    }

    #[test]
    fn other_names_say_nothing_or_too_much() {
        for name in
            ["metrics.prom", "20251119.prom", "2025-11-19.prom", "api-0.prom", "20251399T120000Z.prom", "123456789012"]
        {
            assert_eq!(time_in(name), NameTime::None, "{name}");
        }
        assert_eq!(time_in("1763553600-1763553615.prom"), NameTime::Unclear("several times"));
        assert!(matches!(time_in("1763553600_20251119T120000Z.prom"), NameTime::One(Told { t_ms: NOON, .. })));
        let told = Told { t_ms: NOON, range: 2..18, offset_minutes: None };
        assert_eq!(time_in("a-20251119T120000Z-b.om"), NameTime::One(told));
    }

    /// A number that counts files was taken for the offset of a zone, and every file had one of its own.
    #[test]
    fn what_may_change_a_time_makes_it_unclear() {
        for name in [
            "20251119T120000-0001.prom",
            "20251119T120000-0060.prom",
            "20251119T120000+2500.prom",
            "2025-11-19T12:00:00+25:00.prom",
            "2025-11-19T12:00:00CET.prom",
            "2025-11-19T12-00-00_EST.prom",
            "2025-11-19T12:00:00 MEZ.prom",
            "2025-11-19_01-00-00PM.prom",
            "2025-11-19_01-00-00 pm.prom",
        ] {
            assert!(matches!(time_in(name), NameTime::Unclear(_)), "{name}: {:?}", time_in(name));
        }
    }
}
