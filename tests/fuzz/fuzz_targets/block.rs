//! A whole block: the input is cut into `index`, a segment and `tombstones` at the lengths that its first bytes give,
//! beside a `meta.json` that is always good. Opened and read in full through the public path.
#![no_main]
use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use promproof::raw::ReadMode;
use promproof::samples::{Reach, load_all};
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;

const META: &str = r#"{"ulid":"01M89YB0MVJPAEHFDVE9PG5M78","minTime":1763568000000,"maxTime":1763571600000,
"stats":{"numSamples":256,"numSeries":5,"numChunks":5,"numTombstones":1},"compaction":{"level":1},"version":1}"#;

thread_local!(static DIR: OnceCell<tempfile::TempDir> = const { OnceCell::new() });

fuzz_target!(|data: &[u8]| {
    let Some(([mode, a, b, c, d], rest)) = data.split_first_chunk::<5>() else {
        return;
    };
    let index_len = usize::from(u16::from_be_bytes([*a, *b])).min(rest.len());
    let (index, rest) = rest.split_at(index_len);
    let segment_len = usize::from(u16::from_be_bytes([*c, *d])).min(rest.len());
    let (segment, tombstones) = rest.split_at(segment_len);
    let (mut index, mut segment, mut tombstones) =
        (index.to_vec(), segment.to_vec(), tombstones.to_vec());
    if mode & 1 == 1 {
        promproof_fuzz::seal_index(&mut index);
        promproof_fuzz::seal_segment(&mut segment);
        promproof_fuzz::seal_tombstones(&mut tombstones);
    }
    DIR.with(|dir| {
        let dir = dir.get_or_init(|| {
            tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap()
        });
        let block = dir.path().join("01M89YB0MVJPAEHFDVE9PG5M78");
        std::fs::create_dir_all(block.join("chunks")).unwrap();
        std::fs::write(block.join("meta.json"), META).unwrap();
        std::fs::write(block.join("index"), &index).unwrap();
        std::fs::write(block.join("chunks/000001"), &segment).unwrap();
        std::fs::write(block.join("tombstones"), &tombstones).unwrap();
        let read_mode = if mode & 2 == 2 {
            ReadMode::Map
        } else {
            ReadMode::Read
        };
        let Ok(source) = Source::open(
            dir.path(),
            &OpenOptions {
                read_mode,
                ..OpenOptions::default()
            },
        ) else {
            return;
        };
        let ledger = source.opening_ledger();
        for loss in &ledger.losses {
            let _ = (loss.to_json(), loss.to_line());
        }
        for selector in promproof_fuzz::selectors() {
            for (interval, reach) in [
                (Interval::ALL, Reach::Exact),
                (
                    Interval::new(1_763_569_000_000, 1_763_570_000_000),
                    Reach::WithHistory,
                ),
            ] {
                let loaded = load_all(&source, selector, interval, reach);
                for s in &loaded.series {
                    assert!(s.samples.ts.is_sorted_by(|a, b| a < b));
                    assert_eq!(s.samples.ts.len(), s.samples.bits.len());
                }
                for loss in &loaded.ledger.losses {
                    let _ = (loss.to_json(), loss.to_line());
                }
            }
        }
    });
});
