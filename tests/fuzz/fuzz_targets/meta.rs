//! `meta.json`.
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::tsdb::meta::BlockMeta;

fuzz_target!(|data: &[u8]| {
    if let Ok(meta) = BlockMeta::parse(data) {
        assert!(meta.interval().start <= meta.interval().end);
        let _ = meta.compaction_parents();
        // The same document written again says the same.
        let again = BlockMeta::parse(meta.raw.to_string().as_bytes());
        assert_eq!(again.as_ref(), Ok(&meta));
    }
});
