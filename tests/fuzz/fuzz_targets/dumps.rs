//! A folder of text dumps, opened and read. The first byte: bit 0 tells two targets apart, bit 1 adds `up`, bits 2 and 3 say how
//! answers are taken, bit 4 follows 2.x. Behind it come the files, each ended by a zero byte; their first byte picks the name.
#![no_main]
use std::cell::OnceCell;
use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use promproof::archive::Limits;
use promproof::dumps::{Answers, DumpOptions, Dumps};
use promproof::labels::Labels;
use promproof::sample::STALE_NAN_BITS;
use promproof::time::Interval;
use promproof::version::{NEWEST, OLDEST};

const ENDINGS: [&str; 4] = ["prom", "om", "txt", "json"];

thread_local! {
    static DIR: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, files)) = data.split_first() else { return };
    let mut options = DumpOptions {
        assume_up: mode & 2 != 0,
        answers: [Answers::Auto, Answers::Raw, Answers::Evaluated, Answers::Auto][usize::from(mode >> 2 & 3)],
        ..DumpOptions::default()
    };
    if mode & 1 != 0 {
        options.labels.add_from_path("^(?P<instance>t[01])_").unwrap();
    }
    let release = if mode & 16 != 0 { OLDEST } else { NEWEST };
    DIR.with(|dir| {
        let dir = dir.get_or_init(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()).path();
        for old in std::fs::read_dir(dir).unwrap() {
            std::fs::remove_file(old.unwrap().path()).unwrap();
        }
        for (at, file) in files.split(|b| *b == 0).take(16).enumerate() {
            let Some((pick, text)) = file.split_first() else { continue };
            let (target, ending) = (pick & 1, ENDINGS[usize::from(pick >> 1 & 3)]);
            let time = 1_763_553_600 + 15 * at as u64 + u64::from(pick >> 6);
            std::fs::write(dir.join(format!("t{target}_{time}.{ending}")), text).unwrap();
        }
        let Ok(dumps) = Dumps::open(dir, &options, release, &Limits::default()) else { return };
        let mut used = dumps.opening.duplicates + dumps.opening.conflicts.len() as u64;
        let mut by_labels: BTreeMap<&Labels, u64> = BTreeMap::new();
        for s in &dumps.series {
            let samples = s.samples(Interval::ALL);
            assert!(!samples.is_empty() && samples.ts.is_sorted_by(|a, b| a < b));
            assert_eq!(s.interval(), samples.ts.first().zip(samples.ts.last()).map(|(a, b)| Interval::new(*a, *b)));
            let scraped = samples.bits.iter().filter(|bits| **bits != STALE_NAN_BITS).count() as u64;
            assert!(by_labels.insert(&s.labels, scraped).is_none(), "{}", s.labels);
            // What --assume-up adds was in no file.
            used += if options.assume_up && s.labels.get(b"__name__") == b"up" { 0 } else { scraped };
        }
        let read: u64 = dumps.files.iter().map(|f| f.samples).sum();
        assert!(if options.assume_up { used <= read } else { used == read }, "{used} of {read} samples");
        for loss in &dumps.opening.losses {
            assert!(loss.interval.is_none_or(|i| i.start <= i.end));
            let _ = (loss.to_json(), loss.to_line());
        }
    });
});
