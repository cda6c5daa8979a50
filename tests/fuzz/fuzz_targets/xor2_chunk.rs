//! An XOR2 chunk's data: both readers (inside a window, and checked) must agree and stay in bounds.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::sample::Samples;
use promproof::tsdb::chunkenc::xor2;
use promproof::tsdb::chunks::ChunkSlice;

fuzz_target!(|data: &[u8]| {
    // The same data with nothing, with zeros and with ones behind it: what follows a chunk must not matter.
    let mut results = Vec::new();
    for tail in [&[][..], &[0u8; 4096], &[0xff; 4096]] {
        let window = [data, tail].concat();
        let chunk = ChunkSlice {
            encoding: 4,
            window: &window,
            len: data.len(),
            offset: 8,
            crc: 0,
        };
        let mut out = Samples::default();
        out.push(1, 2);
        let mut starts = vec![3];
        let ok = xor2::decode(&chunk, &mut out, Some(&mut starts));
        assert_eq!((out.ts.len(), out.bits.len()), (starts.len(), starts.len()));
        assert_eq!((out.ts[0], out.bits[0], starts[0]), (1, 2, 3));
        assert!(ok.is_ok() || out.len() == 1);
        // A sample takes at least a bit.
        assert!(out.len() <= 2 + data.len() * 8);
        let mut plain = Samples::default();
        assert_eq!(xor2::decode(&chunk, &mut plain, None), ok);
        assert_eq!(plain.ts, out.ts[1..]);
        assert_eq!(plain.bits, out.bits[1..]);
        results.push((ok, out, starts));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
});
