//! Decoding a segment in parallel: records are framed in order, decoded in batches on all threads, and handed on in
//! order while the next batch is being decoded.

use std::ops::Range;

use rayon::prelude::*;

use crate::raw::Fault;
use crate::wal::pages::{Blank, RawRecord, RecordFault, Records};
use crate::wal::record::{
    self, DeletedRecord, HistogramRecord, MarkerRecord, MetadataRecord, SampleRecord, SeriesRecord, types,
};

/// Stored bytes of the records that one thread decodes at a time.
const UNIT_BYTES: usize = 1 << 20;

/// Which log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// The write-ahead log and its checkpoint.
    InOrder,
    /// The log of out-of-order samples.
    Late,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Entry {
    Series(Vec<SeriesRecord>),
    /// These of the unit's samples.
    Samples(Range<usize>),
    Histograms(Vec<HistogramRecord>, u64),
    Tombstones(Vec<DeletedRecord>),
    Markers(Vec<MarkerRecord>),
    Metadata(Vec<MetadataRecord>),
    MinValidTime(i64),
    /// Exemplars and records without a type: checked and passed over.
    Other,
    /// A type that no server writes into this log.
    Foreign,
    /// A type that nobody knows. A server passes over it; it may be newer than this program, or a header's flags are wrong.
    Unknown,
}

/// A record: where it begins, its type byte, its length when decompressed, and what it says.
#[derive(Debug)]
pub(super) struct Read {
    pub offset: u64,
    pub kind: u8,
    pub len: u64,
    pub entry: Entry,
}

/// Consecutive records of one segment.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub records: Vec<Read>,
    pub samples: Vec<SampleRecord>,
    /// Why reading ends behind these records.
    pub fault: Option<RecordFault>,
}

/// What a server passes over in silence.
#[derive(Debug, Default)]
pub(super) struct Silent {
    /// Where a record begins that has no end, but zeros behind it.
    pub unfinished: Option<u64>,
    /// Zeros where records should be.
    pub blank: Option<Blank>,
}

/// Hands the units of a segment to `apply`, in order; ends early where that returns false.
pub(super) fn read_segment(bytes: &[u8], log: Log, limit: u64, mut apply: impl FnMut(Unit) -> bool + Send) -> Silent {
    let mut records = Records::new(bytes).limit(limit);
    let mut current = next_batch(&mut records, log, 1);
    let threads = rayon::current_num_threads().max(2) - 1;
    while !current.is_empty() {
        let last = current.last().is_some_and(|u| u.fault.is_some());
        let (go_on, next) = rayon::join(
            || current.into_iter().all(&mut apply),
            || if last { Vec::new() } else { next_batch(&mut records, log, threads) },
        );
        if !go_on {
            return Silent { unfinished: None, blank: records.blank() };
        }
        current = next;
    }
    Silent { unfinished: records.unfinished(), blank: records.blank() }
}

fn next_batch<'a>(records: &mut Records<'a>, log: Log, units: usize) -> Vec<Unit> {
    let mut batch: Vec<(Vec<RawRecord<'a>>, Option<RecordFault>)> = Vec::new();
    'units: for _ in 0..units {
        let (mut raw, mut bytes) = (Vec::new(), 0);
        while bytes < UNIT_BYTES {
            match records.next() {
                Some(Ok(r)) => {
                    bytes += r.stored.len();
                    raw.push(r);
                }
                Some(Err(fault)) => {
                    batch.push((raw, Some(fault)));
                    break 'units;
                }
                None => {
                    if !raw.is_empty() {
                        batch.push((raw, None));
                    }
                    break 'units;
                }
            }
        }
        batch.push((raw, None));
    }
    batch.into_par_iter().map(|(raw, fault)| decode(&raw, log, fault)).collect()
}

fn decode(raw: &[RawRecord<'_>], log: Log, fault: Option<RecordFault>) -> Unit {
    let mut unit = Unit { records: Vec::with_capacity(raw.len()), ..Unit::default() };
    let mut buffer = Vec::new();
    for r in raw {
        let decoded = r.decompress(&mut buffer).and_then(|bytes| {
            let kind = bytes.first().copied().unwrap_or(0);
            let len = bytes.len() as u64;
            let entry = entry(bytes, kind, log, &mut unit.samples)?;
            Ok(Read { offset: r.offset, kind, len, entry })
        });
        match decoded {
            Ok(read) => unit.records.push(read),
            Err(f) => {
                let fault = Fault::new(r.offset, f.field, f.kind);
                unit.fault = Some(RecordFault { fault, record: r.offset, reported: r.end, tail: false });
                return unit;
            }
        }
    }
    unit.fault = fault;
    unit
}

fn entry(bytes: &[u8], kind: u8, log: Log, samples: &mut Vec<SampleRecord>) -> Result<Entry, Fault> {
    // A server passes over what does not belong into the log without looking into it.
    Ok(match kind {
        types::SERIES | types::TOMBSTONES | types::METADATA | types::EXEMPLARS | types::MIN_VALID_TIME
            if log == Log::Late =>
        {
            Entry::Foreign
        }
        types::MMAP_MARKERS if log == Log::InOrder => Entry::Foreign,
        types::SERIES => {
            let mut out = Vec::new();
            record::series(bytes, &mut out)?;
            Entry::Series(out)
        }
        types::SAMPLES | types::SAMPLES_V2 => {
            let before = samples.len();
            if let Err(fault) = record::samples(bytes, samples) {
                samples.truncate(before);
                return Err(fault);
            }
            Entry::Samples(before..samples.len())
        }
        _ if types::ALL_HISTOGRAMS.contains(&kind) => {
            let mut out = Vec::new();
            let skipped = record::histograms(bytes, &mut out)?;
            Entry::Histograms(out, skipped)
        }
        types::TOMBSTONES => {
            let mut out = Vec::new();
            record::tombstones(bytes, &mut out)?;
            Entry::Tombstones(out)
        }
        types::MMAP_MARKERS => {
            let mut out = Vec::new();
            record::markers(bytes, &mut out)?;
            Entry::Markers(out)
        }
        types::METADATA => {
            let mut out = Vec::new();
            record::metadata(bytes, &mut out)?;
            Entry::Metadata(out)
        }
        types::MIN_VALID_TIME => record::min_valid_time(bytes).map_or(Entry::Other, Entry::MinValidTime),
        types::EXEMPLARS => {
            record::check(bytes)?;
            Entry::Other
        }
        _ if bytes.is_empty() => Entry::Other,
        _ => Entry::Unknown,
    })
}
