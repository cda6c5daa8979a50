//! What is logged: from a decompressed record to its entries (`tsdb/record/record.go` upstream, `docs/format/wal.md`).
//!
//! A record is its type byte and entries one behind the other; the type byte alone is a record without entries. Every
//! decoder reads to the record's last byte or errs, and a record that errs yields nothing. Offsets in faults count from
//! the type byte.

mod histogram;

pub use histogram::{HistogramRecord, histograms};
pub(super) use histogram::{Kind as HistogramKind, body as histogram_body};

use crate::labels::{Label, Labels};
use crate::raw::{Cursor, Fault, FaultKind};
use crate::time::Interval;

use super::{HeadChunkRef, HeadSeriesRef};

/// The types of records.
pub mod types {
    /// Series and their labels.
    pub const SERIES: u8 = 1;
    /// Float samples.
    pub const SAMPLES: u8 = 2;
    /// Deleted intervals.
    pub const TOMBSTONES: u8 = 3;
    /// Exemplars.
    pub const EXEMPLARS: u8 = 4;
    /// Chunks that a log of late samples has handed to `chunks_head/`.
    pub const MMAP_MARKERS: u8 = 5;
    /// Type, unit and help of metrics.
    pub const METADATA: u8 = 6;
    /// Native histograms with integer counts.
    pub const HISTOGRAMS: u8 = 7;
    /// Native histograms with float counts.
    pub const FLOAT_HISTOGRAMS: u8 = 8;
    /// Native histograms with integer counts and custom bounds (3.2).
    pub const CUSTOM_HISTOGRAMS: u8 = 9;
    /// Native histograms with float counts and custom bounds (3.2).
    pub const CUSTOM_FLOAT_HISTOGRAMS: u8 = 10;
    /// Float samples with optional start timestamps (3.11).
    pub const SAMPLES_V2: u8 = 11;
    /// Native histograms with integer counts and optional start timestamps (3.12).
    pub const HISTOGRAMS_V2: u8 = 12;
    /// Native histograms with float counts and optional start timestamps (3.12).
    pub const FLOAT_HISTOGRAMS_V2: u8 = 13;
    /// The time before which a checkpoint holds nothing (3.16).
    pub const MIN_VALID_TIME: u8 = 14;

    /// The types of records of native histograms.
    pub const ALL_HISTOGRAMS: [u8; 6] =
        [HISTOGRAMS, FLOAT_HISTOGRAMS, CUSTOM_HISTOGRAMS, CUSTOM_FLOAT_HISTOGRAMS, HISTOGRAMS_V2, FLOAT_HISTOGRAMS_V2];

    /// The name of a type as upstream prints it; `None` for a type that is skipped.
    pub fn name(record_type: u8) -> Option<&'static str> {
        Some(match record_type {
            SERIES => "series",
            SAMPLES => "samples",
            TOMBSTONES => "tombstones",
            EXEMPLARS => "exemplars",
            MMAP_MARKERS => "mmapmarkers",
            METADATA => "metadata",
            HISTOGRAMS => "histogram_samples",
            FLOAT_HISTOGRAMS => "float_histogram_samples",
            CUSTOM_HISTOGRAMS => "custom_buckets_histogram_samples",
            CUSTOM_FLOAT_HISTOGRAMS => "custom_buckets_float_histogram_samples",
            SAMPLES_V2 => "samples_v2",
            HISTOGRAMS_V2 => "histogram_samples_v2",
            FLOAT_HISTOGRAMS_V2 => "float_histogram_samples_v2",
            MIN_VALID_TIME => "min_valid_time",
            _ => return None,
        })
    }
}

/// A series and its labels. It comes before everything else that names it, if nothing was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRecord {
    /// What other records call it.
    pub reference: HeadSeriesRef,
    /// Its labels, put in order.
    pub labels: Labels,
    /// Whether they had to be: labels that were unsorted, repeated or empty, which no server logs.
    pub odd_labels: bool,
}

/// A float sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRecord {
    /// Whose it is.
    pub reference: HeadSeriesRef,
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// When counting started; 0 where it is not known.
    pub start_ms: i64,
    /// Bits of the value.
    pub bits: u64,
}

/// A deletion: both ends of the interval are in it. `i64::MIN` to `i64::MAX` says that the series was dropped (3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedRecord {
    /// Whose samples.
    pub reference: HeadSeriesRef,
    /// Which of them.
    pub interval: Interval,
}

/// The late samples of a series up to here went into a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerRecord {
    /// Whose they are.
    pub reference: HeadSeriesRef,
    /// The chunk; 0 where there was none yet.
    pub chunk: HeadChunkRef,
}

/// What is known about the metric of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataRecord {
    /// Which series.
    pub reference: HeadSeriesRef,
    /// The metric's type; [`metric_type`] names it.
    pub kind: u8,
    /// Its unit, as logged.
    pub unit: Box<[u8]>,
    /// Its help text, as logged.
    pub help: Box<[u8]>,
}

/// The name of a metric type; those that are not known are `unknown`, as upstream has it.
pub fn metric_type(kind: u8) -> &'static str {
    match kind {
        1 => "counter",
        2 => "gauge",
        3 => "histogram",
        4 => "gaugehistogram",
        5 => "summary",
        6 => "info",
        7 => "stateset",
        _ => "unknown",
    }
}

/// An exemplar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemplarRecord {
    /// Whose it is.
    pub reference: HeadSeriesRef,
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// Bits of the value.
    pub bits: u64,
    /// Its own labels, put in order.
    pub labels: Labels,
    /// Whether they had to be.
    pub odd_labels: bool,
}

/// The entries of a record behind its type byte, which must be one of `allowed`.
fn open<'a>(record: &'a [u8], allowed: &[u8]) -> Result<(u8, Cursor<'a>), Fault> {
    let mut cursor = Cursor::new(record, 0);
    let found = cursor.u8("type of a record")?;
    if !allowed.contains(&found) {
        let kind = FaultKind::Malformed { found: u64::from(found), rule: "it is not of the type to be decoded" };
        return Err(Fault::new(0, "type of a record", kind));
    }
    Ok((found, cursor))
}

/// Appends to `out` what `read` yields; nothing, if it errs.
fn collect<T>(out: &mut Vec<T>, read: impl FnOnce(&mut Vec<T>) -> Result<(), Fault>) -> Result<(), Fault> {
    let before = out.len();
    read(out).inspect_err(|_| out.truncate(before))
}

/// Labels as records have them: a number, then names and values.
pub(super) fn labels(cursor: &mut Cursor<'_>) -> Result<(Labels, bool), Fault> {
    let count = cursor.uvarint("number of labels")?;
    let count = cursor.bounded(count, 2, "labels")?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let name = cursor.string("name of a label")?.into();
        pairs.push(Label { name, value: cursor.string("value of a label")?.into() });
    }
    Ok(Labels::normalized(pairs))
}

fn each_series(record: &[u8], mut f: impl FnMut(SeriesRecord)) -> Result<(), Fault> {
    let (_, mut cursor) = open(record, &[types::SERIES])?;
    while cursor.left() > 0 {
        let reference = HeadSeriesRef(cursor.u64("series")?);
        let (labels, odd_labels) = labels(&mut cursor)?;
        f(SeriesRecord { reference, labels, odd_labels });
    }
    Ok(())
}

/// Appends the series of a record of type 1.
pub fn series(record: &[u8], out: &mut Vec<SeriesRecord>) -> Result<(), Fault> {
    collect(out, |out| each_series(record, |s| out.push(s)))
}

/// Appends the samples of a record of type 2 or 11.
pub fn samples(record: &[u8], out: &mut Vec<SampleRecord>) -> Result<(), Fault> {
    collect(out, |out| {
        // A sample takes at least ten bytes; logged close to each other, they take little more.
        out.reserve(record.len() / 10);
        for_each_sample(record, |s| out.push(s)).map(|_| ())
    })
}

/// Hands the samples of a record of type 2 or 11 to `f` without storing them, and counts them.
///
/// Where it errs, `f` has seen the samples before the fault. A server takes none of them.
#[inline]
pub fn for_each_sample(record: &[u8], f: impl FnMut(SampleRecord)) -> Result<u64, Fault> {
    let (found, cursor) = open(record, &[types::SAMPLES, types::SAMPLES_V2])?;
    if cursor.left() == 0 {
        return Ok(0);
    }
    if found == types::SAMPLES { samples_v1(cursor, f) } else { samples_v2(cursor, f) }
}

const SERIES_STEP: &str = "series of a sample";
const TIME: &str = "time of a sample";
const START: &str = "start timestamp of a sample";
const VALUE: &str = "value of a sample";

/// First series and time, to which all samples are relative.
#[inline]
fn samples_v1(mut cursor: Cursor<'_>, mut f: impl FnMut(SampleRecord)) -> Result<u64, Fault> {
    let reference = cursor.u64("first series of a record")?;
    let t_ms = cursor.u64("first time of a record")? as i64;
    let mut count = 0;
    while cursor.left() > 0 {
        let reference = HeadSeriesRef(reference.wrapping_add(cursor.varint(SERIES_STEP)? as u64));
        let t_ms = t_ms.wrapping_add(cursor.varint(TIME)?);
        f(SampleRecord { reference, t_ms, start_ms: 0, bits: cursor.u64(VALUE)? });
        count += 1;
    }
    Ok(count)
}

#[inline]
fn samples_v2(mut cursor: Cursor<'_>, mut f: impl FnMut(SampleRecord)) -> Result<u64, Fault> {
    let mut steps = Steps::new(&mut cursor)?;
    f(SampleRecord {
        reference: HeadSeriesRef(steps.reference),
        t_ms: steps.t_ms,
        start_ms: steps.start_ms,
        bits: cursor.u64(VALUE)?,
    });
    let mut count = 1;
    while cursor.left() > 0 {
        steps.next(&mut cursor)?;
        f(SampleRecord {
            reference: HeadSeriesRef(steps.reference),
            t_ms: steps.t_ms,
            start_ms: steps.start_ms,
            bits: cursor.u64(VALUE)?,
        });
        count += 1;
    }
    Ok(count)
}

/// Where the entries of the second version stand: series relative to the entry before, times to the first one, and a
/// byte that tells whether there is a start timestamp.
#[derive(Debug, Clone, Copy)]
struct Steps {
    first_t_ms: i64,
    first_start_ms: i64,
    reference: u64,
    t_ms: i64,
    start_ms: i64,
}

impl Steps {
    #[inline]
    fn new(cursor: &mut Cursor<'_>) -> Result<Steps, Fault> {
        let reference = cursor.varint(SERIES_STEP)? as u64;
        let t_ms = cursor.varint(TIME)?;
        let start_ms = cursor.varint(START)?;
        Ok(Steps { first_t_ms: t_ms, first_start_ms: start_ms, reference, t_ms, start_ms })
    }

    #[inline]
    fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.reference = self.reference.wrapping_add(cursor.varint(SERIES_STEP)? as u64);
        self.t_ms = self.first_t_ms.wrapping_add(cursor.varint(TIME)?);
        match cursor.u8(START)? {
            0 => self.start_ms = 0,
            1 => {}
            _ => self.start_ms = self.first_start_ms.wrapping_add(cursor.varint(START)?),
        }
        Ok(())
    }
}

fn each_tombstone(record: &[u8], mut f: impl FnMut(DeletedRecord)) -> Result<(), Fault> {
    let (_, mut cursor) = open(record, &[types::TOMBSTONES])?;
    while cursor.left() > 0 {
        let reference = HeadSeriesRef(cursor.u64("series of a deletion")?);
        let interval = Interval::new(cursor.varint("start of a deletion")?, cursor.varint("end of a deletion")?);
        f(DeletedRecord { reference, interval });
    }
    Ok(())
}

/// Appends the deletions of a record of type 3, unmerged and in their order.
pub fn tombstones(record: &[u8], out: &mut Vec<DeletedRecord>) -> Result<(), Fault> {
    collect(out, |out| each_tombstone(record, |d| out.push(d)))
}

fn each_marker(record: &[u8], mut f: impl FnMut(MarkerRecord)) -> Result<(), Fault> {
    let (_, mut cursor) = open(record, &[types::MMAP_MARKERS])?;
    while cursor.left() > 0 {
        let reference = HeadSeriesRef(cursor.u64("series of a marker")?);
        f(MarkerRecord { reference, chunk: HeadChunkRef(cursor.u64("chunk of a marker")?) });
    }
    Ok(())
}

/// Appends the markers of a record of type 5.
pub fn markers(record: &[u8], out: &mut Vec<MarkerRecord>) -> Result<(), Fault> {
    collect(out, |out| each_marker(record, |m| out.push(m)))
}

fn each_metadata(record: &[u8], mut f: impl FnMut(MetadataRecord)) -> Result<(), Fault> {
    let (_, mut cursor) = open(record, &[types::METADATA])?;
    while cursor.left() > 0 {
        let reference = HeadSeriesRef(cursor.uvarint("series of metadata")?);
        let kind = cursor.u8("metric type")?;
        let count = cursor.uvarint("number of metadata fields")?;
        let count = cursor.bounded(count, 2, "metadata fields")?;
        let (mut unit, mut help): (&[u8], &[u8]) = (&[], &[]);
        for _ in 0..count {
            let name = cursor.string("name of a metadata field")?;
            let value = cursor.string("value of a metadata field")?;
            match name {
                b"UNIT" => unit = value,
                b"HELP" => help = value,
                _ => {}
            }
        }
        f(MetadataRecord { reference, kind, unit: unit.into(), help: help.into() });
    }
    Ok(())
}

/// Appends the metadata of a record of type 6. Fields other than unit and help are passed over.
pub fn metadata(record: &[u8], out: &mut Vec<MetadataRecord>) -> Result<(), Fault> {
    collect(out, |out| each_metadata(record, |m| out.push(m)))
}

fn each_exemplar(record: &[u8], f: impl FnMut(ExemplarRecord)) -> Result<(), Fault> {
    let (_, mut cursor) = open(record, &[types::EXEMPLARS])?;
    exemplar_entries(&mut cursor, f)
}

/// First series and time, to which all exemplars are relative.
pub(super) fn exemplar_entries(cursor: &mut Cursor<'_>, mut f: impl FnMut(ExemplarRecord)) -> Result<(), Fault> {
    if cursor.left() == 0 {
        return Ok(());
    }
    let reference = cursor.u64("first series of a record")?;
    let t_ms = cursor.u64("first time of a record")? as i64;
    while cursor.left() > 0 {
        let reference = HeadSeriesRef(reference.wrapping_add(cursor.varint("series of an exemplar")? as u64));
        let t_ms = t_ms.wrapping_add(cursor.varint("time of an exemplar")?);
        let bits = cursor.u64("value of an exemplar")?;
        let (labels, odd_labels) = labels(cursor)?;
        f(ExemplarRecord { reference, t_ms, bits, labels, odd_labels });
    }
    Ok(())
}

/// Appends the exemplars of a record of type 4.
pub fn exemplars(record: &[u8], out: &mut Vec<ExemplarRecord>) -> Result<(), Fault> {
    collect(out, |out| each_exemplar(record, |e| out.push(e)))
}

/// The milliseconds in a record of type 14. Counts only as the first record of a checkpoint.
pub fn min_valid_time(record: &[u8]) -> Result<i64, Fault> {
    let (_, mut cursor) = open(record, &[types::MIN_VALID_TIME])?;
    let t_ms = cursor.u64("minimum valid time")? as i64;
    if cursor.left() > 0 {
        return Err(cursor.malformed("minimum valid time", cursor.left() as u64, "nothing follows it"));
    }
    Ok(t_ms)
}

/// Reads a record of any type to its end and counts its entries, histograms of unknown schemas left out. Records of
/// types that are not known, and those without a type, have none.
pub fn check(record: &[u8]) -> Result<u64, Fault> {
    let mut count = 0;
    match record.first().copied().unwrap_or(0) {
        types::SERIES => each_series(record, |_| count += 1)?,
        types::SAMPLES | types::SAMPLES_V2 => count = for_each_sample(record, |_| ())?,
        types::TOMBSTONES => each_tombstone(record, |_| count += 1)?,
        types::EXEMPLARS => each_exemplar(record, |_| count += 1)?,
        types::MMAP_MARKERS => each_marker(record, |_| count += 1)?,
        types::METADATA => each_metadata(record, |_| count += 1)?,
        found if types::ALL_HISTOGRAMS.contains(&found) => {
            histogram::each(record, |_| count += 1)?;
        }
        types::MIN_VALID_TIME => {
            min_valid_time(record)?;
            count = 1;
        }
        _ => {}
    }
    Ok(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot prepare its input fails")]
pub(super) mod tests {
    use super::*;
    use crate::raw::FaultKind;

    /// Builds records field by field.
    #[derive(Default, Clone)]
    pub(crate) struct Made(pub(crate) Vec<u8>);

    impl Made {
        pub(crate) fn of(record_type: u8) -> Made {
            Made(vec![record_type])
        }
        pub(crate) fn raw(mut self, bytes: &[u8]) -> Made {
            self.0.extend(bytes);
            self
        }
        pub(crate) fn u64(self, value: u64) -> Made {
            self.raw(&value.to_be_bytes())
        }
        pub(crate) fn uvarint(mut self, mut value: u64) -> Made {
            while value >= 0x80 {
                self.0.push(value as u8 | 0x80);
                value >>= 7;
            }
            self.raw(&[value as u8])
        }
        pub(crate) fn varint(self, value: i64) -> Made {
            self.uvarint((value << 1 ^ value >> 63) as u64)
        }
        pub(crate) fn string(self, text: &str) -> Made {
            self.uvarint(text.len() as u64).raw(text.as_bytes())
        }
    }

    /// What `read` appends, the record cut and extended everywhere as well: all of that must be refused or shorter.
    fn read<T>(made: Made, read: fn(&[u8], &mut Vec<T>) -> Result<(), Fault>) -> Vec<T> {
        let mut whole = Vec::new();
        read(&made.0, &mut whole).unwrap();
        assert_eq!(check(&made.0), Ok(whole.len() as u64));
        for cut in 0..made.0.len() {
            let mut out = Vec::new();
            match read(&made.0[..cut], &mut out) {
                Ok(()) => assert!(out.len() < whole.len(), "{cut}"),
                Err(fault) => assert!(out.is_empty() && fault.offset <= cut as u64),
            }
        }
        let mut out = Vec::new();
        assert!(read(&made.raw(&[0]).0, &mut out).is_err() && out.is_empty());
        assert!(read(&[200], &mut out).is_err() && read(&[], &mut out).is_err());
        whole
    }

    fn kind(record: &Made) -> FaultKind {
        check(&record.0).unwrap_err().kind
    }

    #[test]
    fn a_type_alone_is_a_record_without_entries() {
        for record_type in 1..=13 {
            assert_eq!(check(&[record_type]), Ok(0), "{record_type}");
            assert!(types::name(record_type).is_some());
        }
        // But for the one that has no entries.
        assert!(check(&[types::MIN_VALID_TIME]).is_err());
        for unknown in [0, 15, 200, 255] {
            assert_eq!((check(&[unknown, 1, 2]), types::name(unknown)), (Ok(0), None));
        }
        assert_eq!(check(&[]), Ok(0));
    }

    #[test]
    fn series_have_their_labels_in_order() {
        let made = Made::of(1).u64(1 << 39).uvarint(2).string("__name__").string("up").string("job").string("a");
        let made = made.u64(2).uvarint(3).string("b").string("1").string("a").string("").string("b").string("2");
        let found = read(made.u64(3).uvarint(0), series);
        let [sound, odd, empty] = &found[..] else { unreachable!() };
        assert_eq!((sound.reference, sound.odd_labels), (HeadSeriesRef(1 << 39), false));
        assert_eq!(sound.labels, Labels::from_pairs([("__name__", "up"), ("job", "a")]));
        assert_eq!((&odd.labels, odd.odd_labels), (&Labels::from_pairs([("b", "1")]), true));
        assert_eq!((&empty.labels, empty.odd_labels), (&Labels::default(), false));
        for claimed in [4, 1 << 40, u64::MAX] {
            let made = Made::of(1).u64(1).uvarint(claimed).raw(&[0; 7]);
            assert!(matches!(kind(&made), FaultKind::Truncated { .. }), "{claimed}");
            let made = Made::of(1).u64(1).uvarint(1).uvarint(claimed);
            assert!(matches!(kind(&made), FaultKind::Truncated { .. }), "{claimed}");
        }
    }

    fn sample(reference: u64, t_ms: i64, start_ms: i64, bits: u64) -> SampleRecord {
        SampleRecord { reference: HeadSeriesRef(reference), t_ms, start_ms, bits }
    }

    #[test]
    fn samples_are_relative_to_the_first_and_wrap() {
        let made = Made::of(2).u64(100).u64(1_000).varint(0).varint(0).u64(7).varint(-1).varint(-5).u64(8);
        let made = made.varint(-101).varint(i64::MAX).u64(crate::sample::STALE_NAN_BITS);
        assert_eq!(
            read(made, samples),
            [
                sample(100, 1_000, 0, 7),
                sample(99, 995, 0, 8),
                sample(u64::MAX, i64::MIN + 999, 0, crate::sample::STALE_NAN_BITS),
            ]
        );
        // The head of a record without samples.
        assert_eq!(check(&Made::of(2).u64(1).u64(1).0), Ok(0));
        assert!(check(&Made::of(2).u64(1).0).is_err());
    }

    #[test]
    fn samples_with_start_timestamps_are_relative_to_the_one_before() {
        let made = Made::of(11).varint(100).varint(1_000).varint(900).u64(1);
        let made = made.varint(1).varint(10).raw(&[1]).u64(2);
        let made = made.varint(1).varint(20).raw(&[0]).u64(3);
        let made = made.varint(-3).varint(-20).raw(&[1]).u64(4);
        let made =
            made.varint(-100).varint(0).raw(&[2]).varint(-1).u64(5).varint(0).varint(0).raw(&[255]).varint(9).u64(6);
        assert_eq!(
            read(made, samples),
            [
                sample(100, 1_000, 900, 1),
                sample(101, 1_010, 900, 2),
                sample(102, 1_020, 0, 3),
                sample(99, 980, 0, 4),
                sample(u64::MAX, 1_000, 899, 5),
                sample(u64::MAX, 1_000, 909, 6),
            ]
        );
    }

    #[test]
    fn samples_before_a_fault_are_seen_but_not_kept() {
        let made = Made::of(2).u64(1).u64(1).varint(0).varint(0).u64(7).varint(1);
        let mut seen = 0;
        assert!(for_each_sample(&made.0, |_| seen += 1).is_err());
        assert_eq!(seen, 1);
        let mut out = vec![sample(9, 9, 9, 9)];
        assert!(samples(&made.0, &mut out).is_err());
        assert_eq!(out, [sample(9, 9, 9, 9)]);
    }

    #[test]
    fn deletions_markers_and_times() {
        let made = Made::of(3).u64(5).varint(i64::MIN).varint(i64::MAX).u64(5).varint(3).varint(-3);
        let found = read(made, tombstones);
        assert_eq!(found[0], DeletedRecord { reference: HeadSeriesRef(5), interval: Interval::ALL });
        assert_eq!(found[1].interval, Interval::new(3, -3));
        let found = read(Made::of(5).u64(5).u64(0).u64(6).u64(3 << 32 | 8), markers);
        assert_eq!((found[0].reference, found[0].chunk), (HeadSeriesRef(5), HeadChunkRef(0)));
        assert_eq!((found[1].chunk.file_number(), found[1].chunk.offset_bytes()), (3, 8));
        let made = Made::of(14).u64(-7i64 as u64);
        assert_eq!((min_valid_time(&made.0), check(&made.0)), (Ok(-7), Ok(1)));
        assert!(min_valid_time(&made.clone().raw(&[0]).0).is_err());
        assert!(min_valid_time(&made.0[..8]).is_err() && min_valid_time(&[2]).is_err());
    }

    #[test]
    fn metadata_of_unknown_fields_are_passed_over() {
        let made = Made::of(6).uvarint(300).raw(&[1]).uvarint(4).string("UNIT").string("s").string("LATER").string("x");
        let made = made.string("HELP").string("first").string("HELP").string("second").uvarint(1).raw(&[9]).uvarint(0);
        let found = read(made, metadata);
        let [first, second] = &found[..] else { unreachable!() };
        assert_eq!((first.reference, metric_type(first.kind)), (HeadSeriesRef(300), "counter"));
        assert_eq!((&first.unit[..], &first.help[..]), (&b"s"[..], &b"second"[..]), "the last one counts");
        assert_eq!((metric_type(second.kind), second.unit.len() + second.help.len()), ("unknown", 0));
        assert!(check(&Made::of(6).uvarint(1).raw(&[1]).uvarint(u64::MAX).0).is_err());
        let names: Vec<_> = (0..8).map(metric_type).collect();
        assert_eq!(
            names,
            ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]
        );
    }

    #[test]
    fn exemplars_have_labels_of_their_own() {
        let made = Made::of(4).u64(10).u64(50).varint(-1).varint(2).u64(7).uvarint(1).string("trace_id").string("abc");
        let found = read(made.varint(0).varint(0).u64(8).uvarint(0), exemplars);
        assert_eq!((found[0].reference, found[0].t_ms, found[0].bits), (HeadSeriesRef(9), 52, 7));
        assert_eq!(found[0].labels, Labels::from_pairs([("trace_id", "abc")]));
        assert_eq!((found[1].labels.len(), found[1].odd_labels), (0, false));
        assert_eq!(check(&Made::of(4).u64(1).u64(1).0), Ok(0));
    }
}
