//! A segment: header, then chunks at every offset; checksums set right where the first byte is odd.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::{Encoding, claimed_samples, xor};
use promproof::tsdb::chunks::{ChunkSlice, check_header};

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 {
        promproof_fuzz::seal_segment(&mut bytes);
    }
    let _ = check_header(&bytes);
    let mut out = Samples::default();
    for offset in (0..bytes.len() as u64 + 2).chain([u64::MAX, 1 << 32]) {
        if let Ok(chunk) = ChunkSlice::read(&bytes, offset) {
            assert_eq!(chunk.data().len(), chunk.len);
            let claimed = claimed_samples(Encoding(chunk.encoding), chunk.data());
            out.clear();
            if chunk.encoding == 1 && xor::decode(&chunk, &mut out).is_ok() {
                assert_eq!(claimed, Some(out.len() as u64));
            }
        }
    }
});
