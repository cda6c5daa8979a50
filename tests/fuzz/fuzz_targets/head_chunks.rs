//! A head chunk file: what is walked is read again by its reference; checksums set right where the first byte is odd.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::{claimed_samples, histogram, xor, xor2};
use promproof::tsdb::head_chunks::{HeadChunkRef, is_empty_last, read, walk};

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 {
        promproof_fuzz::seal_head_chunks(&mut bytes);
    }
    let mut found = Vec::new();
    let walked = walk(&bytes, 3, |chunk| found.push(chunk));
    assert!(!is_empty_last(&bytes) || walked.is_err());
    let mut end = 8;
    for chunk in &found {
        let at = chunk.reference.offset_bytes();
        assert_eq!((chunk.reference.file_number(), at), (3, end));
        let slice = read(&bytes, chunk.reference).unwrap();
        assert_eq!(slice.encoding, chunk.encoding.0);
        assert_eq!(claimed_samples(chunk.encoding, slice.data()).unwrap_or(0), chunk.samples);
        end = slice.offset + slice.len as u64 + 4;
        let mut out = Samples::default();
        match chunk.encoding.0 {
            1 => drop(xor::decode(&slice, &mut out)),
            4 => drop(xor2::decode(&slice, &mut out, None)),
            _ => drop(histogram::decode(&slice)),
        }
    }
    assert!(end <= bytes.len() as u64 || found.is_empty());
    for offset in (0..bytes.len() as u64 + 2).step_by(7).chain([u64::MAX, 1 << 31]) {
        let _ = read(&bytes, HeadChunkRef::new(3, offset));
    }
});
