//! A record of a log: all decoders agree with the one that only counts, and take no more memory than the record allows.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::tsdb::chunkenc::histogram::{Counts, Span};
use promproof::wal::record::{self, types};

fn buckets(spans: &[Span]) -> usize {
    spans.iter().map(|s| s.length as usize).sum()
}

fuzz_target!(|record: &[u8]| {
    let checked = record::check(record);
    let Some(found) = record.first() else {
        assert_eq!(checked, Ok(0));
        return;
    };
    let size = record.len();
    let read = match *found {
        types::SERIES => {
            let mut out = Vec::new();
            let read = record::series(record, &mut out);
            assert!(out.len() * 9 < size);
            assert!(out.iter().map(|s| s.labels.len()).sum::<usize>() * 2 < size);
            read.map(|()| out.len())
        }
        types::SAMPLES | types::SAMPLES_V2 => {
            let (mut out, mut each) = (Vec::new(), Vec::new());
            let read = record::samples(record, &mut out);
            assert!(out.capacity() <= size && out.len() * 10 < size);
            let counted = record::for_each_sample(record, |s| each.push(s));
            assert_eq!(counted, checked);
            assert!(read.is_err() || out == each);
            read.map(|()| out.len())
        }
        types::TOMBSTONES => {
            let mut out = Vec::new();
            record::tombstones(record, &mut out).map(|()| out.len())
        }
        types::EXEMPLARS => {
            let mut out = Vec::new();
            record::exemplars(record, &mut out).map(|()| out.len())
        }
        types::MMAP_MARKERS => {
            let mut out = Vec::new();
            record::markers(record, &mut out).map(|()| out.len())
        }
        types::METADATA => {
            let mut out = Vec::new();
            let read = record::metadata(record, &mut out);
            assert!(out.iter().map(|m| m.unit.len() + m.help.len()).sum::<usize>() < size);
            read.map(|()| out.len())
        }
        types::MIN_VALID_TIME => record::min_valid_time(record).map(|_| 1),
        t if types::name(t).is_some() => {
            let mut out = Vec::new();
            let read = record::histograms(record, &mut out);
            let mut taken = 0;
            for h in &out {
                let layout = &h.sample.layout;
                let (positive, negative) = match &h.sample.counts {
                    Counts::Int { positive, negative, .. } => (positive.len(), negative.len()),
                    Counts::Float { positive, negative, .. } => (positive.len(), negative.len()),
                };
                assert_eq!(positive, buckets(&layout.positive_spans));
                assert_eq!(negative, buckets(&layout.negative_spans));
                assert!((-9..=8).contains(&layout.schema) || layout.schema == -53);
                taken += positive + negative + layout.positive_spans.len() + layout.custom_bounds.len();
            }
            assert!(taken < size);
            read.map(|_| out.len())
        }
        _ => {
            assert_eq!(checked, Ok(0));
            return;
        }
    };
    assert_eq!(read.map(|n| n as u64), checked);
});
