//! Any bytes as an archive, within small limits: whatever is spooled lies in the private folder as plain files and
//! folders, and the folder goes away.
#![no_main]
use std::cell::OnceCell;
use std::io::Write;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use promproof::archive::{Limits, spool};

thread_local!(static DIR: OnceCell<tempfile::TempDir> = const { OnceCell::new() });

/// Bytes of the files below, none of which may be anything but a file or a folder.
fn bytes_below(dir: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        assert!(meta.is_dir() || meta.is_file(), "{path:?}");
        bytes += if meta.is_dir() { bytes_below(&path) } else { meta.len() };
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else {
        return;
    };
    let mut bytes = rest.to_vec();
    if mode & 1 == 1 {
        promproof_fuzz::seal_tar(&mut bytes);
    }
    if mode & 2 == 2 {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        writer.write_all(&bytes).unwrap();
        bytes = writer.finish().unwrap();
    }
    DIR.with(|dir| {
        let dir = dir.get_or_init(|| {
            tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap()
        });
        let path = dir.path().join("archive");
        std::fs::write(&path, &bytes).unwrap();
        let temp = dir.path().join("temp");
        std::fs::create_dir_all(&temp).unwrap();
        let limits = Limits {
            max_entries: 64,
            max_total_bytes: 1 << 20,
            max_ratio: 1000,
            max_zstd_window: 1 << 20,
            temp_dir: Some(temp.clone()),
        };
        match spool(&path, &limits) {
            Ok(spooled) => {
                // Hard links count once for each name.
                let names = limits.max_entries;
                assert!(bytes_below(spooled.dir.path()) <= limits.max_total_bytes * names);
                for lost in &spooled.lost {
                    let _ = (lost.loss.to_json(), lost.loss.to_line());
                    assert!(lost.place.as_ref().is_none_or(|p| p.is_relative()));
                }
            }
            Err(e) => assert!(!e.to_string().is_empty()),
        }
        assert!(std::fs::read_dir(&temp).unwrap().next().is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    });
});
