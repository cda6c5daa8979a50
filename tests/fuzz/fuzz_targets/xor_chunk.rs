//! An XOR chunk's data: both readers (inside a window, and checked) must agree and stay in bounds.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::xor;
use promproof::tsdb::chunks::ChunkSlice;

fuzz_target!(|data: &[u8]| {
    // The same data with nothing, with zeros and with ones behind it: what follows a chunk must not matter.
    let mut results = Vec::new();
    for tail in [&[][..], &[0u8; 4096], &[0xff; 4096]] {
        let window = [data, tail].concat();
        let chunk = ChunkSlice {
            encoding: 1,
            window: &window,
            len: data.len(),
            offset: 8,
            crc: 0,
        };
        let mut out = Samples::default();
        out.push(1, 2);
        let ok = xor::decode(&chunk, &mut out);
        assert_eq!(out.ts.len(), out.bits.len());
        assert_eq!((out.ts[0], out.bits[0]), (1, 2));
        assert!(ok.is_ok() || out.len() == 1);
        // A sample takes at least a bit for its time and one for its value.
        assert!(out.len() <= 2 + data.len() * 4);
        // The fault of a chunk that is cut short may name what the look-ahead met; the outcome may not depend on it.
        results.push((ok.is_ok(), out));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
});
