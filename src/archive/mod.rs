//! Archives as a SOURCE: every member is copied into a private folder under a name that was checked first.
//!
//! Nothing is ever written to a path that an archive names. A member's name is taken apart into plain components; the
//! folder below which they are made is new, belongs to us, and holds only folders and files that we made, so there is
//! no link to follow. What cannot be used is a [`Lost`]; what could mean two things stops the archive
//! (`docs/archives.md` lists both).

mod kind;
mod name;
mod private;
mod stream;
mod tarball;
mod tree;
mod zipped;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::loss::Loss;

pub use kind::Kind;
pub use private::{PrivateDir, remove_all};

use stream::Shared;
use tree::Tree;

/// The most that an archive may cost. Every error about one of them names the flag that sets it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Members, the folders that they lie in included (`--max-entries`).
    pub max_entries: u64,
    /// Bytes of all members, and of the unpacked stream (`--max-total-bytes`).
    pub max_total_bytes: u64,
    /// Bytes out for each byte of the archive, once [`RATIO_APPLIES_FROM`] are out (`--max-ratio`).
    pub max_ratio: u64,
    /// The largest window of a zstd frame, in bytes, which is the memory that decoding it takes
    /// (`--max-zstd-window`).
    pub max_zstd_window: u64,
    /// Where the private folder is made (`--temp-dir`); `None` is the system's place for temporary files.
    pub temp_dir: Option<PathBuf>,
}

/// A head chunk file is preallocated as 128 MiB of zeros, so that honest archives of young servers shrink by more than
/// any useful ratio; up to this many bytes no ratio is too large.
pub const RATIO_APPLIES_FROM: u64 = 256 << 20;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_entries: 200_000,
            max_total_bytes: 256 << 30,
            max_ratio: 1000,
            max_zstd_window: 128 << 20,
            temp_dir: None,
        }
    }
}

/// What an archive held, spooled.
#[derive(Debug)]
pub struct Spooled {
    /// The private folder with the members; it is removed when this is dropped.
    pub dir: PrivateDir,
    /// What could not be used.
    pub lost: Vec<Lost>,
    /// What is worth knowing and costs nothing.
    pub notes: Vec<String>,
    /// Members that are archives themselves.
    pub nested: Vec<String>,
}

/// A member, or the rest of the archive, that could not be used or not in full.
#[derive(Debug)]
pub struct Lost {
    /// The loss, without an interval; `file` is the member's name, or the archive's where it is about the archive.
    pub loss: Loss,
    /// The member's place in the private folder; `None` where it has none, so that it may have been anything.
    pub place: Option<PathBuf>,
}

/// Spools the archive at `path`, which is a regular file. Errs where it is no archive, where it is ambiguous, and where
/// it exceeds a limit; damage is a [`Lost`], and everything before it is used.
pub fn spool(path: &Path, limits: &Limits) -> Result<Spooled> {
    let open = || File::open(path).map_err(|e| Error::io(path, "open it", &e));
    let mut file = open()?;
    let length = file.metadata().map_err(|e| Error::io(path, "open it", &e))?.len();
    let mut head = Vec::with_capacity(kind::HEAD_BYTES);
    let head_limit = kind::HEAD_BYTES as u64;
    (&mut file).take(head_limit).read_to_end(&mut head).map_err(|e| Error::io(path, "read it", &e))?;
    let Some(kind) = Kind::of(&head) else {
        let found = kind::description(&head);
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "this is {found}; a SOURCE is a folder, a text dump, or an archive: .tar, .tar.gz, .tar.zst or .zip"
            ),
        )
        .at(path)
        .hint("unpack it and give the snapshot or data directory"));
    };
    let file_name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let shared = Rc::new(Shared::new(limits.clone(), length));
    let spool = PrivateDir::new(limits.temp_dir.as_deref());
    let spool = spool
        .map_err(|e| e.hint("archives are unpacked into a private folder; --temp-dir DIR makes it somewhere else"))?;
    let mut tree = Tree::new(spool, shared.clone(), file_name);
    let walked = match kind {
        Kind::Zip => zipped::walk(&mut tree, &shared, open()?, open()?),
        Kind::Tar | Kind::TarGz | Kind::TarZst => tarball::walk(&mut tree, &shared, open()?, kind),
    };
    // A limit or a failing disk is the reason of whatever a reader made of it.
    if let Some(e) = shared.failed.take() {
        return Err(Error::io(path, "read it", &e));
    }
    if let Some(e) = shared.tripped.take() {
        return Err(e.at(path));
    }
    walked.map_err(|e| e.at(path))?;
    Ok(tree.into_spooled())
}
