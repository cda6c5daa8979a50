//! An index, checksums as they come (first byte even) or set right (odd).
#![no_main]
use libfuzzer_sys::fuzz_target;
use promproof::raw::FileBytes;
use promproof::tsdb::index::Index;

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 {
        promproof_fuzz::seal_index(&mut bytes);
    }
    let Ok(index) = Index::parse(FileBytes::from_vec(bytes), mode & 2 == 2) else {
        return;
    };
    let all = index.scan();
    let mut outlined = 0;
    let walked = index.outline(|o| outlined += usize::from(o.is_ok()));
    assert!(outlined >= all.series.len() || walked.is_err());
    let _ = index.all_postings();
    let _ = index.value_counts(b"job");
    for selector in promproof_fuzz::selectors() {
        for entry in index.select(selector.matchers()).series {
            assert!(selector.matches(&entry.labels));
        }
    }
});
