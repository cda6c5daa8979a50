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
    let (found, mut cursor) = open(record, &types::ALL_HISTOGRAMS)?;
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
        // Only what has to be reduced is looked at upstream.
        if schema > FINEST {
            side(cursor, kind, schema, &mut positive_spans, positive)?;
            side(cursor, kind, schema, &mut negative_spans, negative)?;
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::super::{check, tests::Made};
    use super::*;
    use crate::raw::FaultKind;
    use crate::sample::STALE_NAN_BITS;

    const THRESHOLD: u64 = 0x3f50_624d_d2f1_a9fc;

    fn read(made: &Made) -> Vec<HistogramRecord> {
        let mut out = Vec::new();
        assert_eq!(histograms(&made.0, &mut out), Ok(0));
        assert_eq!(check(&made.0), Ok(out.len() as u64));
        out
    }

    /// Hint, schema, counts and sum of an integer histogram; spans and buckets are to follow.
    fn int(made: Made, hint: u8, schema: i64, sum: u64) -> Made {
        made.raw(&[hint]).varint(schema).u64(THRESHOLD).uvarint(2).uvarint(300).u64(sum)
    }

    fn head(record_type: u8) -> Made {
        Made::of(record_type).u64(10).u64(1_000).varint(1).varint(5)
    }

    #[test]
    fn integer_buckets_are_added_up() {
        let made = int(head(7), 2, 3, 77).uvarint(2).varint(-3).uvarint(2).varint(4).uvarint(1).uvarint(1).varint(0);
        let made = made.uvarint(1).uvarint(3).varint(5).varint(-2).varint(1).uvarint(1).varint(9);
        let found = read(&made);
        let HistogramRecord { reference, sample } = &found[0];
        assert_eq!((*reference, sample.t_ms, sample.start_ms), (HeadSeriesRef(11), 1_005, 0));
        assert_eq!((sample.sum, sample.hint), (77, ResetHint::NotReset));
        let spans =
            |s: &[(i32, u32)]| s.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect();
        let expected = Layout {
            schema: 3,
            zero_threshold: THRESHOLD,
            positive_spans: spans(&[(-3, 2), (4, 1)]),
            negative_spans: spans(&[(0, 1)]),
            custom_bounds: vec![],
        };
        assert_eq!(*sample.layout, expected);
        assert_eq!(sample.counts, Counts::Int { count: 300, zero: 2, positive: vec![5, 3, 4], negative: vec![9] });
        for cut in 1..made.0.len() {
            // Behind the head there is a record without histograms.
            assert_eq!(check(&made.0[..cut]).is_err(), cut != 1 && cut != 17, "{cut}");
        }
        assert!(check(&made.raw(&[0]).0).is_err());
    }

    #[test]
    fn float_buckets_and_custom_bounds() {
        let made =
            head(10).raw(&[3]).varint(-53).u64(0).u64(1).u64(2).u64(3).uvarint(1).varint(0).uvarint(2).uvarint(0);
        let made = made.uvarint(2).u64(4).u64(5).uvarint(0).uvarint(1).u64(6);
        let sample = &read(&made)[0].sample;
        assert_eq!((sample.hint, sample.layout.schema), (ResetHint::Gauge, CUSTOM_BOUNDS));
        assert_eq!(sample.layout.custom_bounds, [6]);
        assert_eq!(sample.counts, Counts::Float { count: 2, zero: 1, positive: vec![4, 5], negative: vec![] });
    }

    fn empty(made: Made, hint: u8, schema: i64, sum: u64) -> Made {
        let made = int(made, hint, schema, sum).uvarint(0).uvarint(0).uvarint(0).uvarint(0);
        if schema == -53 { made.uvarint(0) } else { made }
    }

    #[test]
    fn the_second_version_has_start_timestamps() {
        let made = Made::of(12).varint(10).varint(1_000).varint(900);
        let made = empty(made, 0, 0, 1).varint(1).varint(5).raw(&[1]);
        let made = empty(made, 1, -53, 2).varint(1).varint(6).raw(&[0]);
        let made = empty(made, 9, 53, 3).varint(1).varint(7).raw(&[7]).varint(-1);
        let made = empty(made, 9, 0, 4);
        let mut out = Vec::new();
        // The third one's schema is unknown; the fourth one still counts from it.
        assert_eq!(histograms(&made.0, &mut out), Ok(1));
        let found: Vec<_> =
            out.iter().map(|h| (h.reference.0, h.sample.t_ms, h.sample.start_ms, h.sample.hint)).collect();
        assert_eq!(
            found,
            [
                (10, 1_000, 900, ResetHint::Unknown),
                (11, 1_005, 900, ResetHint::Reset),
                (13, 1_007, 899, ResetHint::Unknown)
            ]
        );
        assert_eq!(check(&made.0), Ok(3));
        assert_eq!(check(&Made::of(13).varint(1).varint(1).varint(1).0), Ok(0), "a head alone");
        assert!(check(&Made::of(13).varint(1).varint(1).0).is_err());
    }

    #[test]
    fn schemas_are_read_skipped_or_reduced() {
        for schema in [-10, 53, -54, -52, 100] {
            let mut out = Vec::new();
            assert_eq!(histograms(&empty(head(7), 0, schema, 1).0, &mut out), Ok(1), "{schema}");
        }
        for (schema, read_as) in [(-9, -9), (8, 8), (9, 8), (52, 8), (-53, -53), ((1 << 32) + 2, 2)] {
            assert_eq!(read(&empty(head(9), 0, schema, 1))[0].sample.layout.schema, read_as, "{schema}");
        }
        // Buckets 1 to 4 of schema 9 in pairs; absolute counts 1, 3, 6, 10.
        let made = int(head(7), 0, 9, 1).uvarint(1).varint(1).uvarint(4).uvarint(0);
        let made = made.uvarint(4).varint(1).varint(2).varint(3).varint(4).uvarint(0);
        let sample = &read(&made)[0].sample;
        assert_eq!(sample.layout.positive_spans, [Span { offset: 1, length: 2 }]);
        assert_eq!(sample.counts, Counts::Int { count: 300, zero: 2, positive: vec![4, 16], negative: vec![] });
        let half = |n: f64| Made::default().u64(n.to_bits()).0;
        let made = head(8).raw(&[0]).varint(9).u64(0).u64(1).u64(2).u64(3).uvarint(1).varint(1).uvarint(2).uvarint(0);
        let made = made.uvarint(2).raw(&half(0.5)).raw(&half(0.25)).uvarint(0);
        let positive = vec![0.75f64.to_bits()];
        assert_eq!(read(&made)[0].sample.counts, Counts::Float { count: 2, zero: 1, positive, negative: vec![] });
    }

    #[test]
    fn stale_markers_have_no_buckets() {
        let made = |schema| int(head(7), 2, schema, STALE_NAN_BITS).uvarint(1).varint(0).uvarint(1);
        let sample = &read(&made(0).uvarint(0).uvarint(1).varint(4).uvarint(0))[0].sample;
        assert_eq!((sample.is_stale(), sample.t_ms, &*sample.layout), (true, 1_005, &Layout::default()));
        assert_eq!(sample.counts, Counts::Int { count: 0, zero: 0, positive: vec![], negative: vec![] });
        // Spans without buckets do not matter unless they are to be reduced.
        assert_eq!(read(&made(0).uvarint(0).uvarint(0).uvarint(0)).len(), 1);
        assert!(check(&made(9).uvarint(0).uvarint(0).uvarint(0).0).is_err());
    }

    #[test]
    fn claims_cost_nothing() {
        let at = |spans: u64, length: u64, buckets: u64| {
            int(head(7), 0, 0, 1)
                .uvarint(spans)
                .varint(0)
                .uvarint(length)
                .uvarint(0)
                .uvarint(buckets)
                .varint(1)
                .uvarint(0)
        };
        assert_eq!(read(&at(1, 1, 1)).len(), 1);
        for made in [at(1 << 40, 1, 1), at(1, 1, 1 << 40), at(1, 1, u64::MAX)] {
            assert!(matches!(check(&made.0).unwrap_err().kind, FaultKind::Truncated { .. }));
        }
        let fault = check(&at(1, u64::from(u32::MAX), 1).0).unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Malformed { found: 0xffff_ffff, .. }), "{fault}");
        let made = int(head(9), 0, -53, 1).uvarint(0).uvarint(0).uvarint(0).uvarint(0).uvarint(1 << 61);
        assert!(matches!(check(&made.0).unwrap_err().kind, FaultKind::Truncated { .. }));
        // Upstream has no spans that go back where it has to reduce them.
        let back = int(head(7), 0, 9, 1).uvarint(2).varint(1).uvarint(1).varint(-1).uvarint(1).uvarint(0);
        assert!(check(&back.uvarint(2).varint(1).varint(1).uvarint(0).0).is_err());
    }
}
