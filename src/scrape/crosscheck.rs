//! [`CrossCheck`]: the same lines read once more by the crate prometheus-parse, where that is sound.
//!
//! It is an independent second opinion and not the parser of record, because it drops or changes lines outside a narrow
//! subset without a word (`docs/decisions/0004-parser-of-record.md`).

use super::event::Event;
use super::{Line, Place, Sample, Text};

/// Two readings of one line that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The line.
    pub place: Place,
    /// What [`Reader`](super::Reader) reads.
    pub ours: String,
    /// What prometheus-parse reads.
    pub theirs: String,
}

/// Compares samples of the Prometheus text format with what prometheus-parse makes of their lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrossCheck {
    /// Samples that both read.
    pub compared: u64,
    /// Samples outside the subset in which prometheus-parse is sound.
    pub outside: u64,
    /// How many of the compared samples differ.
    pub differing: u64,
    /// The first of them, at most [`CrossCheck::KEPT`].
    pub disagreements: Vec<Disagreement>,
}

/// Times after the year 9999 are outside: the calendar of the other parser ends, and it takes the default time instead.
const LAST_MS: i64 = 253_402_300_799_999;

impl CrossCheck {
    /// How many disagreements are kept.
    pub const KEPT: usize = 100;

    /// Reads the line again if it is a sample inside the subset; TYPE lines never reach the other parser.
    pub fn offer(&mut self, line: &Line<'_>) {
        let Event::Sample(sample) = &line.event else { return };
        if !is_sound(line.raw, sample.timestamp_ms) {
            self.outside += 1;
            return;
        }
        self.compared += 1;
        let text = String::from_utf8_lossy(line.raw).into_owned();
        // Without a timestamp it takes the time that it is given: 1970 here.
        let theirs = prometheus_parse::Scrape::parse_at(std::iter::once(Ok(text)), Default::default());
        let theirs = theirs.map(|scrape| scrape.samples).unwrap_or_default();
        if let [one] = theirs.as_slice()
            && agree(sample, one)
        {
            return;
        }
        self.differing += 1;
        if self.disagreements.len() < CrossCheck::KEPT {
            self.disagreements.push(Disagreement {
                place: line.place,
                ours: shown(sample),
                theirs: format!("{theirs:?}"),
            });
        }
    }
}

fn agree(ours: &Sample<'_>, theirs: &prometheus_parse::Sample) -> bool {
    let prometheus_parse::Value::Untyped(value) = theirs.value else { return false };
    let is = |a: Text<'_>, b: &str| *a.bytes() == *b.as_bytes();
    let bits = if value.is_nan() { super::NAN_BITS } else { value.to_bits() };
    let mut labels = ours.labels.iter();
    is(ours.name, &theirs.metric)
        && ours.labels.len() == theirs.labels.len()
        && labels.all(|(name, value)| {
            let name = String::from_utf8_lossy(name.raw);
            theirs.labels.get(&name).is_some_and(|v| is(value, v))
        })
        && bits == ours.bits
        && theirs.timestamp.timestamp_millis() == ours.timestamp_ms.unwrap_or(0)
}

fn shown(sample: &Sample<'_>) -> String {
    let text = |t: Text<'_>| crate::labels::quoted(&t.bytes());
    let labels: Vec<String> = sample.labels.iter().map(|(n, v)| format!("{}={}", text(n), text(v))).collect();
    format!("{}{{{}}} {} {:?}", text(sample.name), labels.join(","), sample.value(), sample.timestamp_ms)
}

/// Whether prometheus-parse reads such a line correctly: a plain name without a colon; labels without blanks between them,
/// not none in braces, values without `,` `=` `}` `"` `\`; blanks before the value; milliseconds that it has a date for.
fn is_sound(line: &[u8], timestamp_ms: Option<i64>) -> bool {
    let plain = |rest: &[u8]| {
        let n = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        (n > 0).then_some(n)
    };
    let Some(mut rest) = plain(line).and_then(|n| line.get(n..)) else { return false };
    if rest.starts_with(b"{") {
        loop {
            let label = rest.get(1..).unwrap_or_default();
            let value = plain(label).and_then(|n| label.get(n..)).and_then(|rest| rest.strip_prefix(b"=\""));
            let Some(value) = value else { return false };
            let end = value.iter().position(|b| matches!(b, b',' | b'=' | b'}' | b'"' | b'\\' | b'\n'));
            let after = end.and_then(|n| value.get(n..)).and_then(|rest| rest.strip_prefix(b"\""));
            match after {
                Some([b',', ..]) => rest = after.unwrap_or_default(),
                Some([b'}', after @ ..]) => {
                    rest = after;
                    break;
                }
                _ => return false,
            }
        }
    }
    // Behind a blank it takes labels for the value.
    let is_value = matches!(rest, [b' ' | b'\t', ..]) && !rest.trim_ascii_start().starts_with(b"{");
    is_value && timestamp_ms.is_none_or(|t| t <= LAST_MS)
}
