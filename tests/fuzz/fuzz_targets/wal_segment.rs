//! A segment of a log, checksums of its fragments set right where the first byte is odd.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::wal::record::check;
use promproof::wal::{Compression, Records};

const LIMIT: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 {
        promproof_fuzz::seal_log(&mut bytes);
    }
    let padded = bytes.len().next_multiple_of(32 * 1024) as u64;
    let mut records = Records::new(&bytes).limit(LIMIT);
    let mut buffer = Vec::new();
    let mut end = 0;
    while let Some(record) = records.next() {
        let raw = match record {
            Ok(raw) => raw,
            Err(fault) => {
                assert!(end <= fault.record && fault.record <= fault.fault.offset);
                assert!(fault.fault.offset <= fault.reported && fault.reported <= padded);
                assert!(records.next().is_none());
                let _ = fault.fault.to_string();
                return;
            }
        };
        assert!(raw.offset >= end && raw.offset + 7 <= raw.end && raw.end <= padded);
        assert!(raw.stored.len() as u64 <= raw.end - raw.offset - 7);
        end = raw.end;
        // It is there by itself, too.
        let again = Records::new(&bytes).limit(LIMIT).starting_at(raw.offset).next();
        assert_eq!(again.as_ref().and_then(|r| r.as_ref().ok()), Some(&raw));
        if let Ok(record) = raw.decompress(&mut buffer) {
            assert!(record.len() as u64 <= LIMIT);
            assert!(raw.peek_type().is_none() || raw.peek_type() == record.first().copied());
            assert!(raw.compression != Compression::Plain || record == &raw.stored[..]);
            let _ = check(record);
        }
        assert!(buffer.len() as u64 <= LIMIT + 1);
    }
    assert!(records.unfinished().is_none_or(|at| at >= end && at < padded));
});
