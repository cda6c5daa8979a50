//! [`Folder`]: what was written, with digests, and what could not be.

use std::fs::File;
use std::io::{BufWriter, Read, Write, copy};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::labels::printable;
use crate::raw::make_folders;
use crate::source::digest::sha256_file;

use super::given::{self, Listed, Unused};

/// Where the bytes of a file come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Computed from the source.
    Computed,
    /// Saved by somebody before, copied or listed as it is.
    Captured,
    /// Made from the source in place of something that was not saved.
    Reconstructed,
}

impl Kind {
    /// The word in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Computed => "computed",
            Kind::Captured => "captured",
            Kind::Reconstructed => "reconstructed",
        }
    }
}

/// One file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest in lower-case hex.
    pub sha256: String,
    /// Where its bytes come from.
    pub kind: Kind,
    /// What they come from, in words.
    pub source: String,
    /// The command that gives the same bytes, where there is one.
    pub command: Option<String>,
}

/// Something that belongs into the folder and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The file or part.
    pub what: String,
    /// Why it is not there.
    pub why: String,
    /// What to do.
    pub how_to_get_it: String,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// A word for it, the same in every folder.
    pub name: &'static str,
    /// Whether it holds; `None` where the data cannot say.
    pub ok: Option<bool>,
    /// What was found.
    pub detail: String,
    /// The file it is about.
    pub file: String,
}

impl Check {
    /// A check of `file`.
    pub fn new(name: &'static str, ok: impl Into<Option<bool>>, file: &str, detail: impl Into<String>) -> Check {
        Check { name, ok: ok.into(), detail: detail.into(), file: file.to_owned() }
    }
}

/// The folder while it is filled.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    pub files: Vec<Entry>,
    pub missing: Vec<Missing>,
    pub checks: Vec<Check>,
    /// Files that were found and not used, with the reason.
    pub unused: Unused,
}

/// What stands beside a file in the summary.
#[derive(Debug, Clone)]
pub struct Origin {
    pub kind: Kind,
    pub source: String,
    pub command: Option<String>,
}

impl Origin {
    pub fn captured(source: impl Into<String>) -> Origin {
        Origin { kind: Kind::Captured, source: source.into(), command: None }
    }
}

impl Folder {
    pub fn new(path: &Path) -> Folder {
        Folder { path: path.to_path_buf(), files: vec![], missing: vec![], checks: vec![], unused: vec![] }
    }

    /// Writes a file, from bytes or a file that may be larger than memory, and lists it.
    pub fn write(&mut self, path: &str, mut from: impl Read, origin: Origin) -> Result<()> {
        let (mut file, target) = self.make(path)?;
        let copied = copy(&mut from, &mut file).and_then(|bytes| file.flush().map(|()| bytes));
        let bytes = copied.map_err(|e| Error::io(&target, &format!("copy {} there", origin.source), &e))?;
        let Origin { kind, source, command } = origin;
        self.files.push(Entry { path: path.to_owned(), bytes, sha256: sha256_file(&target)?, kind, source, command });
        Ok(())
    }

    /// Writes the file that lists the others.
    pub fn write_unlisted(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let (mut file, target) = self.make(path)?;
        let written = file.write_all(bytes).and_then(|()| file.flush());
        written.map_err(|e| Error::io(&target, "write it", &e))
    }

    fn make(&self, path: &str) -> Result<(BufWriter<File>, PathBuf)> {
        let target = self.path.join(path);
        if let Some(parent) = Path::new(path).parent() {
            make_folders(&self.path, parent).map_err(|e| Error::io(&target, "make its folder", &e))?;
        }
        let file = File::options().write(true).create_new(true).open(&target);
        Ok((BufWriter::new(file.map_err(|e| Error::io(&target, "write it", &e))?), target))
    }

    /// Whether a file was written.
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|f| f.path == path)
    }

    pub fn lacks(&mut self, what: impl Into<String>, why: impl Into<String>, how: impl Into<String>) {
        self.missing.push(Missing { what: what.into(), why: why.into(), how_to_get_it: how.into() });
    }

    pub fn check(&mut self, name: &'static str, ok: impl Into<Option<bool>>, file: &str, detail: impl Into<String>) {
        self.checks.push(Check::new(name, ok, file, detail));
    }

    /// What lies below the folder that `flag` names. What cannot be looked at is missing, and all else goes on. Errs where
    /// it is no folder.
    pub fn list(&mut self, flag: &str, root: &Path, depth: usize) -> Result<Listed> {
        let listed = given::list(&mut self.unused, flag, root, depth)?;
        for (name, why) in &listed.unreadable {
            self.unreadable(flag, name, why);
        }
        Ok(listed)
    }

    /// Something below the folder that `flag` names could not be read.
    pub fn unreadable(&mut self, flag: &str, name: &str, why: &str) {
        let what = format!("{flag} {}", printable(name));
        self.lacks(what.trim_end(), why, "let it be read, and collect again");
    }

    /// The bytes of a file that was written.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.has(path).then(|| std::fs::read(self.path.join(path)).ok()).flatten()
    }
}
