//! `metrics.txt`: what a target exposed at its last scrape, from the samples that the source has of it; and whether such
//! a text can be read.

use std::collections::BTreeSet;

use crate::labels::{Labels, METRIC_NAME, quoted};
use crate::promql::format_shortest;
use crate::sample::is_stale;
use crate::samples::{Reach, load_all, load_selected};
use crate::scrape::{Dialect, Event, Form, Reader, Sample, sniff};
use crate::selector::{Matcher, Selector};
use crate::series::select;
use crate::source::Source;
use crate::time::{Interval, TimestampMs, rfc3339};
use crate::windows::newest::newest_sample;
use crate::windows::targets::TargetId;

/// How far before the newest sample a last scrape is looked for, one after the other: mostly it is near.
const LOOK_BACK_MS: [i64; 3] = [3_600_000, 86_400_000, i64::MAX];

/// How a reconstructed text begins.
pub const RECONSTRUCTED: &str = "# Reconstructed by promproof";

/// A text in the Prometheus format, and what it was made from, in words.
pub struct Reconstructed {
    pub text: String,
    pub words: String,
}

/// The last scrape that succeeded of a target that has `requests`; `None` where there is none.
pub fn reconstruct(source: &Source, requests: &Selector) -> Option<Reconstructed> {
    let wanted: BTreeSet<TargetId> =
        select(source, requests.matchers()).series.iter().map(|s| TargetId::of(&s.labels)).collect();
    let newest = newest_sample(source, &[requests])?;
    let (t, target) = LOOK_BACK_MS
        .iter()
        .find_map(|back| last_scrape(source, &wanted, Interval::new(newest.saturating_sub(*back), newest)))?;
    let of = |name: &[u8]| Matcher::equal(name, target.get(name));
    let found = select(source, &[of(b"job"), of(b"instance")]);
    let loaded = load_selected(source, &found.series, found.ledger, Interval::new(t, t), Reach::Exact);
    let mut lines: Vec<(Vec<u8>, String)> = Vec::new();
    for s in &loaded.series {
        let name = s.labels.get(METRIC_NAME);
        // The server's own words about the scrape.
        if name == b"up" || name.starts_with(b"scrape_") {
            continue;
        }
        if let Some((_, bits)) = s.samples.iter().next().filter(|(_, bits)| !is_stale(*bits)) {
            lines.push((name.to_vec(), line(&s.labels, &target, f64::from_bits(bits))));
        }
    }
    lines.sort();
    let words = format!(
        "the last scrape of job={} instance={} in the source, at {}",
        quoted(target.get(b"job")),
        quoted(target.get(b"instance")),
        rfc3339(t)
    );
    let mut text = format!("{RECONSTRUCTED} from {words}. A source has no types and help texts.\n");
    text.extend(lines.into_iter().map(|(_, line)| line));
    Some(Reconstructed { text, words })
}

/// When one of the targets was last scraped with success inside `around`, and its labels.
fn last_scrape(source: &Source, wanted: &BTreeSet<TargetId>, around: Interval) -> Option<(TimestampMs, Labels)> {
    let ups = load_all(source, &Selector::metric("up"), around, Reach::Exact);
    let mut last: Option<(TimestampMs, Labels)> = None;
    for up in ups.series.iter().filter(|s| wanted.contains(&TargetId::of(&s.labels))) {
        let scrape = up.samples.iter().rev().find(|(_, bits)| f64::from_bits(*bits) == 1.0);
        if let Some((t, _)) = scrape
            && last.as_ref().is_none_or(|(newest, _)| t > *newest)
        {
            last = Some((t, up.labels.without_name()));
        }
    }
    last
}

/// One sample as the target wrote it: without the labels that the scrape added, and those that it renamed renamed back.
fn line(labels: &Labels, target: &Labels, value: f64) -> String {
    let mut pairs = Vec::new();
    for l in labels.iter().filter(|l| *l.name != *METRIC_NAME) {
        let exported = l.name.strip_prefix(b"exported_").filter(|n| !target.get(n).is_empty());
        match exported {
            Some(name) => pairs.push(pair(name, &l.value)),
            None if target.get(&l.name) == l.value.as_ref() => {}
            None => pairs.push(pair(&l.name, &l.value)),
        }
    }
    let name = labels.get(METRIC_NAME);
    let plain = is_plain(name);
    if !plain {
        pairs.insert(0, format!("\"{}\"", escaped(name)));
    }
    let name = if plain { escaped(name) } else { String::new() };
    let pairs = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    format!("{name}{pairs} {}\n", format_shortest(value))
}

fn pair(name: &[u8], value: &[u8]) -> String {
    let name = if is_plain(name) { escaped(name) } else { format!("\"{}\"", escaped(name)) };
    format!("{name}=\"{}\"", escaped(value))
}

fn is_plain(name: &[u8]) -> bool {
    name.first().is_some_and(|b| !b.is_ascii_digit())
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
}

/// Quoted text of the exposition format.
fn escaped(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// How much of a text is an exposition.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub samples: usize,
    pub faults: usize,
    /// The first fault in words.
    pub first_fault: Option<String>,
}

/// Reads a text as a target's exposition; `None` where it is in no such format.
pub fn parse(text: &[u8]) -> Option<Parsed> {
    parse_each(text, |_| ())
}

/// Reads a text as a target's exposition and hands over each sample; `None` where it is in no such format.
pub fn parse_each(text: &[u8], mut each: impl FnMut(&Sample<'_>)) -> Option<Parsed> {
    let head = text.get(..1 << 16).unwrap_or(text);
    let sniffed = sniff(head);
    let Form::Text(dialect @ (Dialect::Prometheus | Dialect::OpenMetrics)) = sniffed.form else { return None };
    let mut parsed = Parsed::default();
    let mut reader = Reader::new(text, dialect).crlf(sniffed.crlf);
    while let Ok(Some(line)) = reader.next_line() {
        match line.event {
            Event::Sample(sample) => {
                parsed.samples += 1;
                each(&sample);
            }
            Event::Fault(fault) => {
                parsed.faults += 1;
                parsed.first_fault.get_or_insert_with(|| fault.to_string());
            }
            _ => {}
        }
    }
    Some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_target() {
        let target = Labels::from_pairs([("job", "j"), ("instance", "i"), ("env", "prod")]);
        let of = |pairs: &[(&str, &str)]| line(&Labels::from_pairs(pairs.iter().copied()), &target, 1.5);
        assert_eq!(of(&[("__name__", "a"), ("job", "j"), ("instance", "i"), ("env", "prod")]), "a 1.5\n");
        assert_eq!(of(&[("__name__", "a"), ("job", "j"), ("exported_job", "x")]), "a{job=\"x\"} 1.5\n");
        assert_eq!(of(&[("__name__", "a.b"), ("c", "\"\\\n")]), "{\"a.b\",c=\"\\\"\\\\\\n\"} 1.5\n");
        for text in ["a{job=\"x\"} 1.5\n", "{\"a.b\",c=\"\\\"\\\\\\n\"} 1.5\n"] {
            assert_eq!(parse(text.as_bytes()), Some(Parsed { samples: 1, ..Parsed::default() }), "{text}");
        }
        assert_eq!(parse(b"{\"status\": \"healthy\"}"), None);
    }
}
