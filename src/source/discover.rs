//! Finding the TSDB root below a path.

use std::path::{Path, PathBuf};

use crate::archive::Limits;
use crate::dataset::Dataset;
use crate::dumps::{self, holds_dumps, is_dump};
use crate::error::{Error, ErrorKind, Result};
use crate::tsdb::ulid::Ulid;

/// Folders below a SOURCE that are looked through, and how deep.
const MAX_DEPTH: usize = 10;
const MAX_FOLDERS: usize = 20_000;

/// What a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RootKind {
    /// A snapshot or data directory: block directories, perhaps a log.
    Tsdb,
    /// A single block directory.
    Block,
    /// A dataset that promproof converted.
    Dataset,
    /// Text dumps, in a folder or as a single file.
    Dumps,
}

/// A TSDB root, found and not yet opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder that holds the data.
    pub root: PathBuf,
    /// What it is.
    pub kind: RootKind,
    /// The last component of the SOURCE's path.
    pub name: String,
    /// Where below the SOURCE the root is; empty where it is the SOURCE itself.
    pub below: String,
}

/// Finds the root below `path`, or the one that `chosen` names, without opening anything in it. Also takes a folder that
/// [`super::Source::open`] refuses because a file is missing without which nothing can be read: what is left of a block
/// or of a head.
///
/// Errs when there is no root, when there are several and `chosen` names none, or when a folder cannot be listed.
pub fn locate(path: &Path, chosen: Option<&Path>, limits: &Limits) -> Result<Place> {
    let (root, kind) = match find_root(path, chosen, limits) {
        Ok((root, kind, _)) => (root, kind),
        Err(e) if e.kind() == ErrorKind::Missing => {
            let root = chosen.map_or_else(|| path.to_path_buf(), |c| path.join(c));
            let kind = remains(&root).ok_or(e)?;
            (root, kind)
        }
        Err(e) => return Err(e),
    };
    let below = root.strip_prefix(path).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Place { root, kind, name: super::source_name(path), below })
}

/// What a folder was, judged by what is left in it.
fn remains(dir: &Path) -> Option<RootKind> {
    let file = |name| dir.join(name).is_file();
    if file("meta.json") || file("index") || dir.join("chunks").is_dir() {
        return Some(RootKind::Block);
    }
    let snapshot = std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .any(|e| crate::wal::snapshot::parse_name(&e.file_name().to_string_lossy()).is_some());
    (snapshot || dir.join("wbl").is_dir()).then_some(RootKind::Tsdb)
}

/// The root below `path`, what it is, and notes about what lies beside it.
pub(super) fn find_root(
    path: &Path,
    chosen: Option<&Path>,
    limits: &Limits,
) -> Result<(PathBuf, RootKind, Vec<String>)> {
    let meta = std::fs::metadata(path).map_err(|e| Error::io(path, "open it", &e))?;
    if meta.is_file() && is_dump(path, limits) {
        return Ok((path.to_path_buf(), RootKind::Dumps, Vec::new()));
    }
    if !meta.is_dir() {
        return Err(Error::new(ErrorKind::Unsupported, "this is neither a folder nor a regular file")
            .at(path)
            .hint("a SOURCE is a folder, a text dump, or an archive: .tar, .tar.gz, .tar.zst or .zip"));
    }
    if let Some(chosen) = chosen {
        let root = path.join(chosen);
        let inside =
            chosen.components().all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir));
        if !inside {
            return Err(Error::usage(format!("--root {} must be a path below the SOURCE", chosen.display())));
        }
        return match classify(&root)? {
            Some(kind) => Ok((root, kind, Vec::new())),
            None if holds_dumps(&root, limits) => Ok((root, RootKind::Dumps, Vec::new())),
            None => {
                Err(Error::new(ErrorKind::Missing, "--root names a folder without blocks, a log, a dataset or dumps")
                    .at(&root))
            }
        };
    }
    if let Some(kind) = classify(path)? {
        return Ok((path.to_path_buf(), kind, Vec::new()));
    }
    let mut roots = Vec::new();
    let mut folders = 0;
    search(path, path, 0, &mut folders, &mut roots)?;
    roots.sort();
    match roots.as_slice() {
        [] if holds_dumps(path, limits) => Ok((path.to_path_buf(), RootKind::Dumps, Vec::new())),
        [] => Err(Error::new(
            ErrorKind::Missing,
            format!("no Prometheus data found here or in {folders} folders below"),
        )
        .adding(&dumps::damaged(path, limits).map_or(String::new(), |file| format!("\n  {file}")))
        .at(path)
        .hint("give a snapshot directory (…/snapshots/<name>), a data directory, a dataset (a folder with manifest.json), one block (a folder with meta.json, index and chunks/), or text dumps")),
        [(rel, kind)] => {
            let note = format!("data found in {}", rel.display());
            Ok((path.join(rel), *kind, vec![note]))
        }
        several => {
            let list: Vec<String> =
                several.iter().take(50).map(|(rel, _)| format!("\n  --root {}", rel.display())).collect();
            let more = if several.len() > 50 { format!("\n  and {} more", several.len() - 50) } else { String::new() };
            Err(Error::new(
                ErrorKind::Ambiguous,
                format!("there are {} sets of data here, and one SOURCE is one server:{}{more}", several.len(), list.concat()),
            )
            .at(path)
            .hint("choose one with --root, or give each as a SOURCE of its own"))
        }
    }
}

/// What a folder is by itself; `None` where it is neither.
fn classify(dir: &Path) -> Result<Option<RootKind>> {
    // Without its manifest a dataset is still recognised, so that the error says what is missing.
    if Dataset::folders(dir)?.is_some() || (dir.join("samples").is_dir() && dir.join("series").is_dir()) {
        return Ok(Some(RootKind::Dataset));
    }
    if dir.join("meta.json").is_file() && (dir.join("index").exists() || dir.join("chunks").is_dir()) {
        return Ok(Some(RootKind::Block));
    }
    if dir.join("wal").is_dir() || dir.join("chunks_head").is_dir() {
        return Ok(Some(RootKind::Tsdb));
    }
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, "list it", &e))? {
        let entry = entry.map_err(|e| Error::io(dir, "list it", &e))?;
        if Ulid::parse(&entry.file_name().to_string_lossy()).is_some() && entry.path().is_dir() {
            return Ok(Some(RootKind::Tsdb));
        }
    }
    Ok(None)
}

fn search(
    top: &Path,
    dir: &Path,
    depth: usize,
    folders: &mut usize,
    roots: &mut Vec<(PathBuf, RootKind)>,
) -> Result<()> {
    if depth >= MAX_DEPTH || *folders >= MAX_FOLDERS {
        return Ok(());
    }
    let mut below: Vec<PathBuf> = Vec::new();
    let listed = match std::fs::read_dir(dir) {
        // A folder of somebody else's, such as lost+found, does not hide the data beside it.
        Err(e) if depth > 0 && e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
        listed => listed.map_err(|e| Error::io(dir, "list it", &e))?,
    };
    for entry in listed {
        let entry = entry.map_err(|e| Error::io(dir, "list it", &e))?;
        // What macOS puts beside the files of an archive looks like them and holds none of their bytes.
        if entry.file_name() == "__MACOSX" {
            continue;
        }
        // Links are not followed: a loop would never end, and a link may lead out of the SOURCE.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            below.push(entry.path());
        }
    }
    below.sort();
    for folder in below {
        *folders += 1;
        let kind = match classify(&folder) {
            Err(e) if e.kind() == ErrorKind::Permission => continue,
            kind => kind?,
        };
        match kind {
            Some(kind) => {
                let rel = folder.strip_prefix(top).unwrap_or(&folder).to_path_buf();
                roots.push((rel, kind));
            }
            None => search(top, &folder, depth + 1, folders, roots)?,
        }
    }
    Ok(())
}
