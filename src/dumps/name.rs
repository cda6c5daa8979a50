//! Times in file names: RFC 3339 in the spellings that file systems allow, and Unix times.

use std::ops::Range;

use crate::time::{TimestampMs, parse_time};

/// What a file name says about when the file was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameTime {
    /// One time, in milliseconds, and where it stands.
    One(TimestampMs, Range<usize>),
    /// Several that differ.
    Several,
    /// None.
    None,
}

/// The time in a file name, which may stand anywhere in it.
///
/// Read are a date and a time of day (`2025-11-19T12:00:00Z`, `2025-11-19_12-00-00`, `20251119T120000.250Z`, `20251119120000`),
/// with a zone or in UTC, and Unix seconds (ten digits) or milliseconds (thirteen). A date alone is no time.
pub(super) fn time_in(name: &str) -> NameTime {
    let bytes = name.as_bytes();
    let mut found: Option<(TimestampMs, Range<usize>)> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let begins = byte.is_ascii_digit() && !at.checked_sub(1).is_some_and(|before| is_digit(bytes, before));
        let time = if begins { civil(bytes, at).or_else(|| unix(bytes, at)) } else { None };
        match (time, &found) {
            (Some((ms, end)), None) => {
                found = Some((ms, at..end));
                at = end;
            }
            (Some((ms, _)), Some((first, _))) if ms != *first => return NameTime::Several,
            (Some((_, end)), Some(_)) => at = end,
            (None, _) => at += 1,
        }
    }
    found.map_or(NameTime::None, |(ms, range)| NameTime::One(ms, range))
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
fn civil(bytes: &[u8], from: usize) -> Option<(TimestampMs, usize)> {
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
    let zone = zone(&mut s);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}{zone}");
    parse_time(&text).ok().map(|(ms, _)| (ms, s.at))
}

/// `Z`, or an offset; UTC without one. A minus with two digits alone is a counter, not an offset.
fn zone(s: &mut Steps<'_>) -> String {
    if s.one_of(b"Zz").is_some() {
        return "Z".to_owned();
    }
    let before = s.at;
    if let Some(sign) = s.one_of(b"+-")
        && let Some(hours) = s.digits(2)
    {
        let separator = s.one_of(b":");
        match s.digits(2) {
            Some(minutes) if !is_digit(s.bytes, s.at) => return format!("{}{hours}:{minutes}", char::from(sign)),
            None if sign == b'+' && separator.is_none() => return format!("+{hours}:00"),
            _ => {}
        }
    }
    s.at = before;
    "Z".to_owned()
}

/// Unix seconds, perhaps with decimals, or milliseconds.
fn unix(bytes: &[u8], from: usize) -> Option<(TimestampMs, usize)> {
    let mut s = Steps { bytes, at: from };
    let digits = s.run();
    match digits.len() {
        10 => {
            let fraction = s.fraction();
            parse_time(&format!("{digits}{fraction}")).ok().map(|(ms, _)| (ms, s.at))
        }
        13 => digits.parse().ok().map(|ms| (ms, s.at)),
        _ => None,
    }
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
            assert!(matches!(time_in(name), NameTime::One(found, _) if found == ms), "{name}: {:?}", time_in(name));
        }
    }

    #[test]
    fn other_names_say_nothing_or_too_much() {
        for name in
            ["metrics.prom", "20251119.prom", "2025-11-19.prom", "api-0.prom", "20251399T120000Z.prom", "123456789012"]
        {
            assert_eq!(time_in(name), NameTime::None, "{name}");
        }
        assert_eq!(time_in("1763553600-1763553615.prom"), NameTime::Several);
        assert!(matches!(time_in("1763553600_20251119T120000Z.prom"), NameTime::One(NOON, _)));
        assert_eq!(time_in("a-20251119T120000Z-b.om"), NameTime::One(NOON, 2..18));
    }
}
