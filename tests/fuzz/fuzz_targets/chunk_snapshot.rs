//! A record of a chunk snapshot, and the open chunk in it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::{histogram, xor, xor2};
use promproof::wal::snapshot::{LastValue, SnapshotRecord, decode};

fuzz_target!(|record: &[u8]| {
    match decode(record) {
        Err(fault) => assert!(fault.offset <= record.len() as u64),
        Ok(SnapshotRecord::Series(series)) => {
            assert_eq!(record.first(), Some(&1));
            let Some(chunk) = series.chunk else {
                return;
            };
            assert_eq!(chunk.encoding.is_histogram(), matches!(chunk.last, LastValue::Histogram(_)));
            let mut out = Samples::default();
            match chunk.encoding.0 {
                1 => drop(xor::decode(&chunk.data, &mut out)),
                4 => drop(xor2::decode(&chunk.data, &mut out, None)),
                _ => drop(histogram::decode(&chunk.data)),
            }
        }
        Ok(SnapshotRecord::Tombstones(found)) => assert!(found.len() * 3 < record.len()),
        Ok(SnapshotRecord::Exemplars(found)) => assert!(found.len() * 11 < record.len()),
    }
});
