//! One line of `promtool tsdb dump` and `dump-openmetrics` (`cmd/promtool/tsdb.go: formatSeriesSet`,
//! `formatSeriesSetOpenMetrics`; `docs/format/exposition.md`).

use memchr::memrchr;

use crate::labels::METRIC_NAME;

use super::cursor::{Cursor, Entry, Name, Quoted, Refusal, Scratch};
use super::fault::FaultKind;
use super::{number, openmetrics};

/// `{__name__="x", a="b"} value milliseconds`, or a native histogram in place of the value.
pub(super) fn dump(cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<Entry, Refusal> {
    if let Some(separator) = openmetrics::separator(cursor) {
        return Ok(separator);
    }
    if !cursor.take(b"{") {
        return cursor.refuse(FaultKind::Brace);
    }
    cursor.go_labels(b", ", &mut scratch.pairs)?;
    let pair = scratch.pairs.iter().position(|p| cursor.get(p.name()) == METRIC_NAME);
    let text = pair.and_then(|i| scratch.pairs.get(i)).map(|p| Quoted { range: p.value(), escaped: p.value_escaped });
    let name = Name { text: text.unwrap_or_default(), pair, series_end: cursor.at() };
    if cursor.rest().starts_with(b" {") {
        return histogram(cursor, name);
    }
    let bits = value(cursor)?;
    let timestamp_ms = timestamp(cursor, number::signed_ms)?;
    Ok(Entry::Sample { name, bits, timestamp_ms: Some(timestamp_ms), exemplar: None })
}

/// `name{a="b"} value seconds.mmm`, or `# EOF`.
pub(super) fn dump_openmetrics(cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<Entry, Refusal> {
    if let Some(separator) = openmetrics::separator(cursor) {
        return Ok(separator);
    }
    let range = cursor.until(|b| b == b'{');
    cursor.expect_utf8(range.clone())?;
    if !cursor.take(b"{") {
        return cursor.refuse(FaultKind::Brace);
    }
    cursor.go_labels(b",", &mut scratch.pairs)?;
    let name = Name { text: Quoted { range, escaped: false }, pair: None, series_end: cursor.at() };
    let bits = value(cursor)?;
    let timestamp_ms = timestamp(cursor, number::decimal_seconds_ms)?;
    Ok(Entry::Sample { name, bits, timestamp_ms: Some(timestamp_ms), exemplar: None })
}

fn value(cursor: &mut Cursor<'_>) -> Result<u64, Refusal> {
    if !cursor.take(b" ") {
        return cursor.refuse(FaultKind::Value);
    }
    let text = cursor.until(|b| b == b' ');
    match number::value_bits(cursor.get(text.clone())) {
        Some(bits) => Ok(bits),
        None => cursor.refuse_at(text.start, FaultKind::Number),
    }
}

fn timestamp(cursor: &mut Cursor<'_>, read: fn(&[u8]) -> Option<i64>) -> Result<i64, Refusal> {
    if !cursor.take(b" ") {
        return cursor.refuse(FaultKind::Timestamp);
    }
    let text = cursor.rest_of_line();
    match read(cursor.get(text.clone())) {
        Some(ms) => Ok(ms),
        None => cursor.refuse_at(text.start, FaultKind::Timestamp),
    }
}

/// ` {count:…, sum:…, [0.5,1):2} milliseconds`.
fn histogram(cursor: &mut Cursor<'_>, name: Name) -> Result<Entry, Refusal> {
    cursor.skip(1);
    let rest = cursor.rest_of_line();
    let line = cursor.get(rest.clone());
    let Some(end) = memrchr(b' ', line) else { return cursor.refuse_at(rest.start, FaultKind::Histogram) };
    let (text, time) = line.split_at(end);
    let timestamp_ms = time.strip_prefix(b" ").and_then(number::signed_ms);
    match timestamp_ms {
        Some(timestamp_ms) if text.starts_with(b"{count:") && text.ends_with(b"}") => {
            Ok(Entry::Histogram { name, text: rest.start..rest.start + end, timestamp_ms })
        }
        _ => cursor.refuse_at(rest.start, FaultKind::Histogram),
    }
}
