//! Tombstones, checksum set right where the first byte is odd; merged intervals are sorted and disjoint.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::tsdb::tombstones::Tombstones;

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 {
        promproof_fuzz::seal_tombstones(&mut bytes);
    }
    let Ok(stones) = Tombstones::parse(&bytes) else {
        return;
    };
    let mut count = 0;
    for (series, intervals) in stones.iter() {
        assert_eq!(stones.of(series), intervals);
        count += intervals.len();
        for i in intervals {
            assert!(i.start <= i.end);
        }
        for w in intervals.windows(2) {
            assert!(w[0].end.checked_add(1).is_some_and(|e| e < w[1].start));
        }
    }
    assert_eq!(stones.count(), count);
});
