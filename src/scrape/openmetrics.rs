//! One entry of OpenMetrics 1.0 (`model/textparse/openmetricslex.l`, `openmetricsparse.go`; `docs/format/exposition.md`).

use super::cursor::{Cursor, Entry, LabelRules, Name, Quoted, Refusal, Scratch, starts_metric};
use super::event::{Escapes, MetricType};
use super::fault::FaultKind;
use super::number;

const LABELS: LabelRules = LabelRules { loose: false, value_over_lines: false, metric_name: true };
const EXEMPLAR: LabelRules = LabelRules { loose: false, value_over_lines: false, metric_name: false };

pub(super) fn entry(cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<Entry, Refusal> {
    let mut name = None;
    match cursor.peek() {
        Some(b'#') => return comment(cursor),
        Some(b'{') => {}
        Some(b) if starts_metric(b) => name = Some(Quoted { range: cursor.metric_name(), escaped: false }),
        _ => return cursor.refuse(FaultKind::Start),
    }
    if cursor.take(b"{") {
        cursor.labels(LABELS, &mut scratch.pairs, &mut name)?;
    }
    let Some(text) = name else { return cursor.refuse_at(0, FaultKind::NoName) };
    let name = Name { text, pair: None, series_end: cursor.at() };
    let bits = value(cursor)?;
    let mut timestamp_ms = None;
    if !cursor.at_line_end() && !cursor.rest().starts_with(b" # {") {
        timestamp_ms = Some(timestamp(cursor)?);
    }
    let mut exemplar = None;
    if cursor.take(b" # {") {
        cursor.labels(EXEMPLAR, &mut scratch.exemplar, &mut None)?;
        let bits = value(cursor)?;
        exemplar = Some((bits, if cursor.at_line_end() { None } else { Some(timestamp(cursor)?) }));
    }
    cursor.expect_line_end()?;
    Ok(Entry::Sample { name, bits, timestamp_ms, exemplar })
}

/// One blank and what follows it, up to the next.
fn word<'a>(cursor: &mut Cursor<'a>, kind: FaultKind) -> Result<&'a [u8], Refusal> {
    if !cursor.take(b" ") {
        return cursor.refuse(kind);
    }
    let word = cursor.until(|b| b == b' ');
    if word.is_empty() { cursor.refuse(kind) } else { Ok(cursor.get(word)) }
}

fn value(cursor: &mut Cursor<'_>) -> Result<u64, Refusal> {
    let at = cursor.at() + 1;
    match number::value_bits(word(cursor, FaultKind::Value)?) {
        Some(bits) => Ok(bits),
        None => cursor.refuse_at(at, FaultKind::Number),
    }
}

fn timestamp(cursor: &mut Cursor<'_>) -> Result<i64, Refusal> {
    let at = cursor.at() + 1;
    match number::float_seconds_ms(word(cursor, FaultKind::LineEnd)?) {
        Some(ms) => Ok(ms),
        None => cursor.refuse_at(at, FaultKind::Timestamp),
    }
}

fn comment(cursor: &mut Cursor<'_>) -> Result<Entry, Refusal> {
    if let Some(separator) = separator(cursor) {
        return Ok(separator);
    }
    let start = cursor.at();
    let (is_help, is_type) = (cursor.rest().starts_with(b"# HELP "), cursor.rest().starts_with(b"# TYPE "));
    if !is_help && !is_type && !cursor.rest().starts_with(b"# UNIT ") {
        return cursor.refuse_at(start, FaultKind::Start);
    }
    cursor.skip(b"# HELP ".len());
    let family = family(cursor)?;
    if !cursor.take(b" ") {
        return cursor.refuse(FaultKind::FamilyText);
    }
    let text = cursor.rest_of_line();
    if is_help {
        cursor.expect_utf8(text.clone())?;
        return Ok(Entry::Help { family, text, escapes: Escapes::Exposition });
    }
    if is_type {
        return match metric_type(cursor.get(text.clone())) {
            Some(metric_type) => Ok(Entry::Type { family, metric_type }),
            None => cursor.refuse_at(text.start, FaultKind::FamilyType),
        };
    }
    let unit = cursor.get(text.clone());
    let base = cursor.get(family.range.clone()).strip_suffix(unit);
    if !unit.is_empty() && !base.is_some_and(|base| base.ends_with(b"_")) {
        return cursor.refuse_at(text.start, FaultKind::FamilyUnit);
    }
    Ok(Entry::Unit { family, unit: text })
}

fn metric_type(text: &[u8]) -> Option<MetricType> {
    Some(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        b"unknown" => MetricType::Unknown,
        _ => return None,
    })
}

/// The name of a family, bare or in quotes, in both formats.
pub(super) fn family(cursor: &mut Cursor<'_>) -> Result<Quoted, Refusal> {
    match cursor.peek() {
        Some(b'"') => cursor.quoted_name(true),
        Some(b) if starts_metric(b) => Ok(Quoted { range: cursor.metric_name(), escaped: false }),
        _ => cursor.refuse(FaultKind::FamilyName),
    }
}

/// `# EOF` or `# scrape <time>` alone on its line, in every dialect.
pub(super) fn separator(cursor: &mut Cursor<'_>) -> Option<Entry> {
    let line = cursor.rest().split(|b| *b == b'\n').next()?;
    let entry = if line == b"# EOF" {
        Entry::Eof
    } else {
        let time = std::str::from_utf8(line.strip_prefix(b"# scrape ")?).ok()?;
        Entry::Scrape { time_ms: crate::time::parse_time(time).ok()?.0 }
    };
    cursor.skip(line.len());
    Some(entry)
}
