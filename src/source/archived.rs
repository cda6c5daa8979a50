//! An archive as a SOURCE: spooled, then opened like the folder that it was made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::RootKind;
use super::{OpenOptions, Source, source_name};
use crate::archive::{self, Lost, PrivateDir, Spooled};
use crate::dumps::{self, TimeRule};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::printable;
use crate::loss::Loss;
use crate::tsdb::ulid::Ulid;

/// Lines about members that could not be used, in an error.
const MOST_LINES: usize = 10;

/// An archive that a SOURCE was read from, and the folder that holds its members as long as this lives.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// Its last component.
    pub name: String,
    /// The members; removed with the last clone.
    pub spool: Arc<PrivateDir>,
}

/// Opens the archive at `path`; `None` where `path` is no file.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Option<Source>> {
    // What cannot be looked at is left to the search for a root, which says why.
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file()) {
        return Ok(None);
    }
    if options.dumps.time_from == Some(TimeRule::Mtime) {
        return Err(Error::usage(
            "--time-from mtime: the files of an archive are unpacked now, so theirs is no time of a dump",
        )
        .at(path)
        .hint("unpack it with a tool that keeps modification times, and give the folder"));
    }
    dumps::refuse_text(path, &options.archive)?;
    let Spooled { dir, lost, notes, nested } = archive::spool(path, &options.archive)?;
    let mut options = options.clone();
    options.dumps.parts = lost.iter().filter_map(|l| Some(dir.path().join(l.place.as_ref()?))).collect();
    let (mut source, kind) = match Source::open_folder(dir.path(), &options) {
        Ok(opened) => opened,
        Err(e) => return Err(explain(e.moved(dir.path(), path), &lost, &nested)),
    };
    source.name = source_name(path);
    source.ledger.notes.extend(notes);
    for lost in lost {
        add(&mut source, kind, lost);
    }
    source.archives.push(Archive { path: path.to_path_buf(), name: source.name.clone(), spool: Arc::new(dir) });
    Ok(Some(source))
}

/// Why nothing was found, with what could not be read.
fn explain(error: Error, lost: &[Lost], nested: &[String]) -> Error {
    let mut error = error;
    for Lost { loss, .. } in lost.iter().take(MOST_LINES) {
        error = error.adding(&format!("\n  {}", loss.to_line()));
    }
    if lost.len() > MOST_LINES {
        error = error.adding(&format!("\n  and {} more", lost.len() - MOST_LINES));
    }
    if error.kind() == ErrorKind::Missing && !nested.is_empty() {
        let names: Vec<String> = nested.iter().take(MOST_LINES).map(|n| printable(n)).collect();
        error = error
            .adding(&format!("\n  it holds {}: archives inside archives are not opened", names.join(", ")))
            .hint("unpack the outer archive and give the inner one");
    }
    error
}

/// Adds what an archive lost: as a loss where it may have been part of the data, as a note where it lay beside them.
fn add(source: &mut Source, kind: RootKind, lost: Lost) {
    let Lost { mut loss, place } = lost;
    let Some(place) = place else {
        source.ledger.losses.push(loss);
        return;
    };
    match place.strip_prefix(&source.below) {
        Ok(rel) if is_data(kind, rel) => {
            loss.file = rel.to_string_lossy().into_owned();
            bound(source, &mut loss);
            source.ledger.losses.push(loss);
        }
        _ => source.ledger.notes.push(format!("{}; it is no part of the data", loss.to_line())),
    }
}

/// Whether a server would look at this path below the root.
fn is_data(kind: RootKind, rel: &Path) -> bool {
    let first = rel.components().next().map(|c| c.as_os_str().to_string_lossy());
    match (kind, first) {
        (RootKind::Block | RootKind::Dataset | RootKind::Dumps, _) => true,
        (RootKind::Tsdb, Some(first)) => {
            let is_log =
                ["wal", "wbl", "chunks_head"].contains(&first.as_ref()) || first.starts_with("chunk_snapshot.");
            is_log || Ulid::parse(&first).is_some()
        }
        // The root itself was something else than a folder.
        (RootKind::Tsdb, None) => true,
    }
}

/// A member of a block can have held nothing outside the block's time, if the `meta.json` that gives it is whole.
fn bound(source: &Source, loss: &mut Loss) {
    for block in &source.blocks {
        let rel = &block.block.rel;
        let inside = if rel.is_empty() {
            Some(loss.file.as_str())
        } else {
            loss.file.strip_prefix(rel.as_str()).and_then(|rest| rest.strip_prefix('/'))
        };
        if inside.is_some_and(|file| file != "meta.json") {
            loss.interval = Some(block.block.meta.interval());
        }
    }
}
