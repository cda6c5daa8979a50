//! [`FileBytes`]: a whole file as one slice, mapped or read.

use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::Path;

use crate::error::{Error, Result};

/// How files are brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Memory maps: only touched pages are read. The file must not shrink meanwhile.
    #[default]
    Map,
    /// Plain reads into memory: slower and larger, but indifferent to changes while we read.
    Read,
}

/// The content of one file.
#[derive(Debug)]
pub struct FileBytes(Inner);

#[derive(Debug)]
enum Inner {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl FileBytes {
    /// Opens `path` for reading, whole. An empty file gives an empty slice.
    ///
    /// Anything but a regular file (after following links) is refused: a FIFO would block for ever.
    pub fn open(path: &Path, mode: ReadMode) -> Result<FileBytes> {
        let meta = std::fs::metadata(path).map_err(|e| Error::io(path, "open it", &e))?;
        if !meta.is_file() {
            return Err(Error::new(crate::ErrorKind::Malformed, "a regular file was expected").at(path));
        }
        let mut file = File::open(path).map_err(|e| Error::io(path, "open it", &e))?;
        if mode == ReadMode::Read || meta.len() == 0 {
            let mut bytes = Vec::with_capacity(meta.len() as usize);
            file.read_to_end(&mut bytes).map_err(|e| Error::io(path, "read it", &e))?;
            return Ok(FileBytes(Inner::Owned(bytes)));
        }
        match map(&file) {
            Ok(mapped) => Ok(FileBytes(Inner::Mapped(mapped))),
            // A file system that cannot map can still read.
            Err(_) => FileBytes::open(path, ReadMode::Read),
        }
    }

    /// Lets the system take back the pages of a map; they are read again when they are touched. So a walk over a large file
    /// stays small.
    pub fn release(&self) {
        if let Inner::Mapped(mapped) = &self.0 {
            release(mapped);
        }
    }

    /// Bytes that are in memory already.
    pub fn from_vec(bytes: Vec<u8>) -> FileBytes {
        FileBytes(Inner::Owned(bytes))
    }
}

#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the only place")]
fn map(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only and private to this process. The caller vouches that evidence is not truncated
    // while it is read (README, "What it will not do"); a shrinking file ends the process with SIGBUS, and
    // `--no-mmap` avoids maps altogether. Concurrent writes could change bytes under a reader, which every decoder
    // survives, since none relies on two reads of one byte being equal for memory safety.
    unsafe { memmap2::MmapOptions::new().map(file) }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "the advice drops pages, which is unsafe for memory that is not a file's")]
fn release(mapped: &memmap2::Mmap) {
    // SAFETY: the map is a read-only view of a file, so a dropped page comes back with the file's bytes.
    let _ = unsafe { mapped.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}

#[cfg(not(unix))]
fn release(_mapped: &memmap2::Mmap) {}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped(m) => m,
            Inner::Owned(v) => v,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_modes_give_the_same_bytes_and_empty_files_work() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        for content in [&b""[..], &b"abc"[..]] {
            let path = dir.path().join("f");
            std::fs::write(&path, content).unwrap_or_else(|e| unreachable!("{e}"));
            for mode in [ReadMode::Map, ReadMode::Read] {
                let read = FileBytes::open(&path, mode);
                assert_eq!(read.as_deref().ok(), Some(content));
            }
        }
        assert!(FileBytes::open(dir.path(), ReadMode::Map).is_err(), "a folder is not a file");
    }
}
