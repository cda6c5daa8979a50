//! A data directory without blocks. The input is cut into a checkpoint, a segment of the log, a segment of the
//! out-of-order log and a head chunk file at the lengths that its first bytes give; then it is opened and read in full
//! by the rules of the newest release and of the oldest.
#![no_main]
use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use promproof::raw::ReadMode;
use promproof::samples::{Kinds, Reach, load_kinds};
use promproof::series::{Selection, select};
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::version::PromVersion;

thread_local!(static DIR: OnceCell<tempfile::TempDir> = const { OnceCell::new() });

const FILES: [&str; 4] = [
    "wal/checkpoint.00000000/00000000",
    "wal/00000001",
    "wbl/00000000",
    "chunks_head/000001",
];

fn read(source: &Source) {
    for loss in &source.opening_ledger().losses {
        let _ = (loss.to_json(), loss.to_line());
    }
    for (interval, reach, kinds) in [
        (Interval::ALL, Reach::Exact, Kinds::All),
        (Interval::new(0, 1 << 40), Reach::WithHistory, Kinds::Floats),
    ] {
        let Selection { series, ledger } = select(source, &[]);
        let loaded = load_kinds(source, &series, ledger, interval, reach, kinds);
        for s in &loaded.series {
            assert!(s.samples.ts.is_sorted_by(|a, b| a < b));
            assert_eq!(s.samples.ts.len(), s.samples.bits.len());
            assert!(s.histograms.is_sorted_by(|a, b| a.t_ms < b.t_ms));
        }
        for loss in &loaded.ledger.losses {
            let _ = (loss.to_json(), loss.to_line());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(([mode, lengths @ ..], mut rest)) = data.split_first_chunk::<7>() else {
        return;
    };
    let mut parts = Vec::new();
    for length in lengths.chunks(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).min(rest.len());
        let (part, behind) = rest.split_at(length);
        parts.push(part.to_vec());
        rest = behind;
    }
    parts.push(rest.to_vec());
    if mode & 1 == 1 {
        parts[..3].iter_mut().for_each(|log| promproof_fuzz::seal_log(log));
        promproof_fuzz::seal_head_chunks(&mut parts[3]);
    }
    DIR.with(|dir| {
        let dir = dir.get_or_init(|| {
            tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap()
        });
        for (file, bytes) in FILES.iter().zip(&parts) {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let read_mode = if mode & 2 == 2 {
            ReadMode::Map
        } else {
            ReadMode::Read
        };
        let options = OpenOptions {
            read_mode,
            // Kept at opening in one half of the runs, read again in the other.
            wanted: promproof_fuzz::selectors()[..usize::from(mode >> 2 & 1)].to_vec(),
            ..OpenOptions::default()
        };
        let Ok(source) = Source::open(dir.path(), &options) else {
            return;
        };
        read(&source);
        if let Ok(source) = source.follow(PromVersion::new(2, 40), &options.wanted) {
            read(&source);
        }
    });
});
