//! Native histograms in records (`DecodeHistogram`, `DecodeFloatHistogram` in `tsdb/record/record.go` upstream).

use std::sync::Arc;

use super::{Steps, collect, open, types};
use crate::raw::{Cursor, Fault};
use crate::sample::is_stale;
use crate::tsdb::chunkenc::histogram::{
    CUSTOM_BOUNDS, Counts, FINEST, HistogramSample, Layout, ResetHint, Side, Span, is_known_schema,
};
use crate::wal::HeadSeriesRef;

/// A native histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramRecord {
    /// Whose it is.
    pub reference: HeadSeriesRef,
    /// The histogram, buckets absolute, its hint as logged. A stale marker has its time, hint and start alone.
    pub sample: HistogramSample,
}

/// How counts are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wal) enum Kind {
    Int,
    Float,
}

const TYPES: [u8; 6] = [
    types::HISTOGRAMS,
    types::FLOAT_HISTOGRAMS,
    types::CUSTOM_HISTOGRAMS,
    types::CUSTOM_FLOAT_HISTOGRAMS,
    types::HISTOGRAMS_V2,
    types::FLOAT_HISTOGRAMS_V2,
];

pub(super) fn is_type(found: u8) -> bool {
    TYPES.contains(&found)
}

/// Appends the histograms of a record of type 7 to 10, 12 or 13. The number is that of histograms whose schema is not
/// known, which are left out, as a server does.
///
/// Schemas finer than [`FINEST`] are reduced to it. Errs where spans name another number of buckets than there are,
/// which upstream lets pass.
pub fn histograms(record: &[u8], out: &mut Vec<HistogramRecord>) -> Result<u64, Fault> {
    let mut skipped = 0;
    collect(out, |out| {
        skipped = each(record, |h| out.push(h))?;
        Ok(())
    })?;
    Ok(skipped)
}

pub(super) fn each(record: &[u8], mut f: impl FnMut(HistogramRecord)) -> Result<u64, Fault> {
    let (found, mut cursor) = open(record, &TYPES)?;
    let kind = match found {
        types::HISTOGRAMS | types::CUSTOM_HISTOGRAMS | types::HISTOGRAMS_V2 => Kind::Int,
        _ => Kind::Float,
    };
    if cursor.left() == 0 {
        return Ok(0);
    }
    let mut skipped = 0;
    let mut take = |cursor: &mut Cursor<'_>, reference, t_ms, start_ms| {
        match body(cursor, kind, t_ms, start_ms)? {
            Some(sample) => f(HistogramRecord { reference: HeadSeriesRef(reference), sample }),
            None => skipped += 1,
        }
        Ok(())
    };
    if matches!(found, types::HISTOGRAMS_V2 | types::FLOAT_HISTOGRAMS_V2) {
        let mut steps = Steps::new(&mut cursor)?;
        let mut first = true;
        while cursor.left() > 0 {
            if !std::mem::take(&mut first) {
                steps.next(&mut cursor)?;
            }
            take(&mut cursor, steps.reference, steps.t_ms, steps.start_ms)?;
        }
    } else {
        let reference = cursor.u64("first series of a record")?;
        let t_ms = cursor.u64("first time of a record")? as i64;
        while cursor.left() > 0 {
            let reference = reference.wrapping_add(cursor.varint("series of a histogram")? as u64);
            let t_ms = t_ms.wrapping_add(cursor.varint("time of a histogram")?);
            take(&mut cursor, reference, t_ms, 0)?;
        }
    }
    Ok(skipped)
}

/// One histogram behind its series and times; `None` if its schema is not known.
pub(in crate::wal) fn body(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    t_ms: i64,
    start_ms: i64,
) -> Result<Option<HistogramSample>, Fault> {
    let hint = match cursor.u8("hint of a histogram")? {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    // Upstream cuts schemas, offsets and lengths to 32 bits.
    let schema = cursor.varint("schema of a histogram")? as i32;
    let zero_threshold = cursor.u64("zero threshold of a histogram")?;
    let number = |cursor: &mut Cursor<'_>, field| match kind {
        Kind::Int => cursor.uvarint(field),
        Kind::Float => cursor.u64(field),
    };
    let zero = number(cursor, "zero count of a histogram")?;
    let count = number(cursor, "count of a histogram")?;
    let sum = cursor.u64("sum of a histogram")?;
    let mut positive_spans = spans(cursor)?;
    let mut negative_spans = spans(cursor)?;
    let positive = buckets(cursor, kind)?;
    let negative = buckets(cursor, kind)?;
    let custom_bounds = if schema == CUSTOM_BOUNDS { custom_bounds(cursor)? } else { Vec::new() };
    if !is_known_schema(i64::from(schema)) {
        return Ok(None);
    }
    let sample = |layout, counts| HistogramSample { t_ms, start_ms, sum, hint, layout: Arc::new(layout), counts };
    if is_stale(sum) {
        let counts = match kind {
            Kind::Int => Counts::Int { count: 0, zero: 0, positive: vec![], negative: vec![] },
            Kind::Float => Counts::Float { count: 0, zero: 0, positive: vec![], negative: vec![] },
        };
        return Ok(Some(sample(Layout::default(), counts)));
    }
    let positive = side(cursor, kind, schema, &mut positive_spans, positive)?;
    let negative = side(cursor, kind, schema, &mut negative_spans, negative)?;
    let schema = schema.min(FINEST);
    let layout = Layout { schema, zero_threshold, positive_spans, negative_spans, custom_bounds };
    let counts = match kind {
        Kind::Int => {
            let signed = |side: Vec<u64>| side.into_iter().map(|b| b as i64).collect();
            Counts::Int { count, zero, positive: signed(positive), negative: signed(negative) }
        }
        Kind::Float => Counts::Float { count, zero, positive, negative },
    };
    Ok(Some(sample(layout, counts)))
}

fn spans(cursor: &mut Cursor<'_>) -> Result<Vec<Span>, Fault> {
    let field = "spans of a histogram";
    let count = cursor.uvarint(field)?;
    let count = cursor.bounded(count, 2, field)?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = cursor.varint(field)? as i32;
        out.push(Span { offset, length: cursor.uvarint(field)? as u32 });
    }
    Ok(out)
}

/// Absolute counts: integers as they are in two's complement, bits of floats.
fn buckets(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Vec<u64>, Fault> {
    let field = "buckets of a histogram";
    let count = cursor.uvarint(field)?;
    let count = cursor.bounded(count, if kind == Kind::Int { 1 } else { 8 }, field)?;
    let mut out = Vec::with_capacity(count);
    let mut running = 0u64;
    for _ in 0..count {
        out.push(match kind {
            Kind::Int => {
                running = running.wrapping_add(cursor.varint(field)? as u64);
                running
            }
            Kind::Float => cursor.u64(field)?,
        });
    }
    Ok(out)
}

/// Compares spans and buckets, and reduces both where the schema is too fine.
fn side(
    cursor: &Cursor<'_>,
    kind: Kind,
    schema: i32,
    spans: &mut Vec<Span>,
    buckets: Vec<u64>,
) -> Result<Vec<u64>, Fault> {
    let named: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if named != buckets.len() as u64 {
        return Err(cursor.malformed("spans of a histogram", named, "they name as many buckets as there are"));
    }
    if schema <= FINEST {
        return Ok(buckets);
    }
    let mut side = Side::new(buckets.len());
    *spans = side
        .reduce(spans, schema - FINEST)
        .map_err(|(found, rule)| cursor.malformed("spans of a histogram", found, rule))?;
    Ok(side.gather(buckets.into_iter(), |a, b| match kind {
        Kind::Int => a.wrapping_add(b),
        Kind::Float => (f64::from_bits(a) + f64::from_bits(b)).to_bits(),
    }))
}

fn custom_bounds(cursor: &mut Cursor<'_>) -> Result<Vec<u64>, Fault> {
    let field = "custom bounds of a histogram";
    let count = cursor.uvarint(field)?;
    let count = cursor.bounded(count, 8, field)?;
    (0..count).map(|_| cursor.u64(field)).collect()
}
