//! Where fixtures are, and how a test says that it was skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's own fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// promproof as somebody who may not read everything, also where the tests run as root, who may. `None`, which says so, where
/// such a user cannot reach the program, the fixtures or the temporary files.
#[cfg(unix)]
pub fn as_anybody() -> Option<Command> {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let root = tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0;
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promproof"));
        if root {
            command.uid(65_534).gid(65_534);
        }
        command
    };
    let mut probe = command();
    probe.arg("inspect").arg(fixtures().join("encodings/xor-block")).current_dir(std::env::temp_dir());
    let reached = probe.output().is_ok_and(|o| o.status.success());
    if !reached {
        eprintln!(
            "skipped: as another user than root, who cannot reach the program, the fixtures or the temporary files"
        );
    }
    reached.then(command)
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
        sets.extend(folders(root));
    }
    sets
}

/// The folders inside a folder, by name.
pub fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut dirs: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|d| d.is_dir()).collect();
    dirs.sort();
    dirs
}

/// A text file, or the decompressed one with `.zst` behind its name; `None` if there is neither.
pub fn read_text(path: &Path) -> Option<String> {
    let packed = path.with_added_extension("zst");
    if packed.exists() {
        let bytes = zstd::decode_all(&std::fs::read(&packed).unwrap()[..]).unwrap();
        return Some(String::from_utf8(bytes).unwrap());
    }
    path.exists().then(|| std::fs::read_to_string(path).unwrap())
}

/// A JSON file, decompressed where its name ends in `.zst` or would with it.
pub fn read_json(path: &Path) -> serde_json::Value {
    let plain = path.with_extension("");
    let named = if path.extension().is_some_and(|e| e == "zst") { &plain } else { path };
    let text = read_text(named).unwrap_or_else(|| panic!("{} is missing", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The last two parts of a path.
pub fn name(path: &Path) -> String {
    let parts: Vec<_> = path.iter().rev().take(2).map(|p| p.to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}
