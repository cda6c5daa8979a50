//! One entry of the Prometheus text format 0.0.4 (`model/textparse/promlex.l`, `promparse.go`; `docs/format/exposition.md`).

use super::cursor::{Cursor, Entry, LabelRules, Name, Quoted, Refusal, Scratch, starts_metric};
use super::event::{Escapes, MetricType};
use super::fault::FaultKind;
use super::{number, openmetrics};

const LABELS: LabelRules = LabelRules { loose: true, value_over_lines: true, metric_name: true };

pub(super) fn entry(cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<Entry, Refusal> {
    cursor.blanks();
    let mut name = None;
    match cursor.peek() {
        None | Some(b'\n') => return Ok(Entry::Blank),
        Some(b'#') => return comment(cursor),
        Some(b'{') => {}
        Some(b) if starts_metric(b) => {
            let end = cursor.metric_name().end;
            // Upstream counts blanks before the name to it, and a server that takes UTF-8 names stores them.
            name = Some(Quoted { range: 0..end, escaped: false });
            cursor.blanks();
        }
        _ => return cursor.refuse(FaultKind::Start),
    }
    if cursor.take(b"{") {
        cursor.labels(LABELS, &mut scratch.pairs, &mut name)?;
        cursor.blanks();
    }
    let Some(text) = name else { return cursor.refuse_at(0, FaultKind::NoName) };
    let at = cursor.at();
    let value = cursor.until(|b| matches!(b, b' ' | b'\t' | b'{'));
    if value.is_empty() {
        return cursor.refuse(FaultKind::Value);
    }
    let Some(bits) = number::value_bits(cursor.get(value)) else { return cursor.refuse_at(at, FaultKind::Number) };
    cursor.blanks();
    let timestamp_ms = if cursor.at_line_end() { None } else { Some(timestamp(cursor)?) };
    cursor.blanks();
    cursor.expect_line_end()?;
    Ok(Entry::Sample { name: Name { text, pair: None, series_end: at }, bits, timestamp_ms, exemplar: None })
}

fn timestamp(cursor: &mut Cursor<'_>) -> Result<i64, Refusal> {
    let at = cursor.at();
    let digits = cursor.until(|b| !b.is_ascii_digit());
    match number::unsigned_ms(cursor.get(digits)) {
        Some(ms) => Ok(ms),
        None => cursor.refuse_at(at, FaultKind::Timestamp),
    }
}

/// A comment, of which HELP and TYPE are understood, and the separators of dumps.
fn comment(cursor: &mut Cursor<'_>) -> Result<Entry, Refusal> {
    if let Some(separator) = openmetrics::separator(cursor) {
        return Ok(separator);
    }
    cursor.skip(1);
    let before = cursor.at();
    cursor.blanks();
    let is_help = cursor.rest().starts_with(b"HELP");
    let keyword = cursor.rest().get(..5);
    if cursor.at() == before
        || !matches!(keyword, Some([b'H', b'E', b'L', b'P', b' ' | b'\t'] | [b'T', b'Y', b'P', b'E', b' ' | b'\t']))
    {
        cursor.rest_of_line();
        return Ok(Entry::Comment);
    }
    cursor.skip(4);
    cursor.blanks();
    let family = openmetrics::family(cursor)?;
    let mut text = cursor.rest_of_line();
    let rest = cursor.get(text.clone());
    if rest.first() == Some(&0) {
        return cursor.refuse_at(text.start, FaultKind::FamilyText);
    }
    // Upstream drops one byte behind the name, whatever it is; blanks alone are no text.
    text.start = if rest.iter().all(|b| matches!(b, b' ' | b'\t')) { text.end } else { text.start + 1 };
    if is_help {
        cursor.expect_utf8(text.clone())?;
        return Ok(Entry::Help { family, text, escapes: Escapes::Help });
    }
    let metric_type = match cursor.get(text.clone()) {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"summary" => MetricType::Summary,
        b"untyped" => MetricType::Unknown,
        _ => return cursor.refuse_at(text.start, FaultKind::FamilyType),
    };
    Ok(Entry::Type { family, metric_type })
}
