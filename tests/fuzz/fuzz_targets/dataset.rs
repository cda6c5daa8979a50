//! A dataset of floats and native histograms in both layouts. The first byte picks one; each four bytes behind it change a
//! byte of a Parquet file: which file, whether in its footer, where, to what. All digests are made to fit before it is read.
#![no_main]
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use promproof::convert::{Options, Progress, convert};
use promproof::dataset::{Layout, Manifest, Partition, hush_caught_panics};
use promproof::samples::{Kinds, Reach, load_kinds};
use promproof::series::{Selection, select};
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;

#[path = "../../it/forge.rs"]
mod forge;

struct Silent;

impl Progress for Silent {
    fn advance(&self, _samples: u64, _total: u64) {}
}

struct Made {
    dir: PathBuf,
    manifest: Manifest,
    /// Of each file of the manifest.
    contents: Vec<Vec<u8>>,
}

fn make(layout: Layout) -> Made {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encodings/all-files/data");
    let source = Source::open(&case, &OpenOptions::default()).unwrap();
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap().keep();
    let options = Options {
        selectors: Vec::new(),
        interval: Interval::ALL,
        layout,
        partition: Partition::None,
        union: false,
        shard: None,
        memory_limit: 64 << 20,
        semantics: "prometheus-3.16".to_owned(),
    };
    let manifest = convert(&source, &options, &dir, &Silent).unwrap().manifest;
    let contents = manifest.files.iter().map(|f| std::fs::read(dir.join(&f.path)).unwrap()).collect();
    Made { dir, manifest, contents }
}

fn made() -> &'static [Made; 2] {
    static MADE: OnceLock<[Made; 2]> = OnceLock::new();
    MADE.get_or_init(|| {
        // Panics of the Parquet library are caught, and no findings.
        hush_caught_panics();
        [make(Layout::Simple), make(Layout::Compact)]
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((pick, edits)) = data.split_first() else {
        return;
    };
    let made = &made()[usize::from(pick & 1)];
    let mut contents = made.contents.clone();
    for edit in edits.chunks_exact(4) {
        let file = usize::from(edit[0] & 0x7f) % contents.len();
        let footer = made.manifest.files[file].footer.as_ref().map_or(0, |f| f.from as usize);
        let from = if edit[0] & 0x80 == 0 { footer } else { 4 };
        let bytes = &mut contents[file];
        let at = from + usize::from(u16::from_be_bytes([edit[1], edit[2]])) % (bytes.len() - from);
        bytes[at] = edit[3];
    }
    for (entry, bytes) in made.manifest.files.iter().zip(&contents) {
        std::fs::write(made.dir.join(&entry.path), bytes).unwrap();
    }
    forge::reseal(&made.dir, &made.manifest);
    let Ok(source) = Source::open(&made.dir, &OpenOptions::default()) else {
        return;
    };
    for (interval, reach, kinds) in [
        (Interval::ALL, Reach::Exact, Kinds::All),
        (Interval::new(0, 1 << 41), Reach::WithHistory, Kinds::Floats),
    ] {
        let Selection { series, ledger } = select(&source, &[]);
        for s in &load_kinds(&source, &series, ledger, interval, reach, kinds).series {
            assert_eq!(s.samples.ts.len(), s.samples.bits.len());
        }
    }
});
