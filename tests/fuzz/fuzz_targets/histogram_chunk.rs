//! A histogram chunk: the first byte picks the encoding (2, 3, 5, 6), the data follow.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::tsdb::chunkenc::histogram::{Counts, Histograms, ResetHint, Span, decode};
use promproof::tsdb::chunkenc::{Encoding, claimed_samples};
use promproof::tsdb::chunks::ChunkSlice;

fn buckets(spans: &[Span]) -> usize {
    spans.iter().map(|s| s.length as usize).sum()
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, data)) = input.split_first() else {
        return;
    };
    let encoding = [2, 3, 5, 6][usize::from(mode & 3)];
    let chunk = ChunkSlice {
        encoding,
        window: data,
        len: data.len(),
        offset: 8,
        crc: 0,
    };
    let all = decode(&chunk);
    let Ok(mut reader) = Histograms::new(&chunk) else {
        assert!(all.is_err());
        return;
    };
    let float = matches!(encoding, 3 | 6);
    let (mut count, mut taken) = (0, 0);
    while let Some(Ok(s)) = reader.next() {
        let (is_float, positive, negative) = match &s.counts {
            Counts::Int { positive, negative, .. } => (false, positive.len(), negative.len()),
            Counts::Float { positive, negative, .. } => (true, positive.len(), negative.len()),
        };
        assert_eq!(is_float, float);
        assert_eq!(positive, buckets(&s.layout.positive_spans));
        assert_eq!(negative, buckets(&s.layout.negative_spans));
        assert!((-9..=8).contains(&s.layout.schema) || s.layout.schema == -53);
        assert!(!s.is_stale() || positive + negative == 0);
        assert_ne!(s.hint, ResetHint::Reset);
        assert!(encoding >= 5 || s.start_ms == 0);
        if let Ok(all) = &all {
            assert_eq!(all[count], s);
        }
        count += 1;
        taken += positive + negative + 4;
    }
    assert!(reader.next().is_none());
    // Each bucket takes at least a bit, each sample four and the first one more.
    assert!(taken <= data.len() * 8);
    if let Ok(all) = &all {
        assert_eq!(all.len(), count);
        let claimed = claimed_samples(Encoding(encoding), data);
        assert_eq!(claimed, Some(count as u64));
    }
});
