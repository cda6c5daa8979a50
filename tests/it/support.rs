//! Where fixtures are, and how a test says that it was skipped.

use std::path::{Path, PathBuf};

/// The project's own fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Folders of fixture sets: the project's own, and the one that `PROMPROOF_FIXTURES` names, which holds more sets of
/// the same layout (`encodings/`, `servers/`).
pub fn fixture_sets(kind: &str) -> Vec<PathBuf> {
    let mut roots = vec![fixtures().join(kind)];
    match std::env::var_os("PROMPROOF_FIXTURES") {
        Some(more) => roots.push(PathBuf::from(more).join(kind)),
        None => {
            eprintln!("skipped: further {kind} fixtures; name their folder in PROMPROOF_FIXTURES")
        }
    }
    let mut sets: Vec<PathBuf> = Vec::new();
    for root in roots.iter().filter(|r| r.is_dir()) {
        let mut dirs: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
        dirs.sort();
        sets.extend(dirs.into_iter().filter(|d| d.is_dir()));
    }
    sets
}

/// A JSON file, decompressed where its name ends in `.zst`.
pub fn read_json(path: &Path) -> serde_json::Value {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let bytes =
        if path.extension().is_some_and(|e| e == "zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
