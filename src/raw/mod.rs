//! Bytes: files as slices, a bounds-checked cursor, CRC-32C. Everything from disk passes through here.

#![deny(clippy::indexing_slicing)]

use std::path::Path;

mod cursor;
mod file;

pub use cursor::{Cursor, Fault, FaultKind};
pub use file::{FileBytes, ReadMode};

/// CRC-32C (Castagnoli), the checksum of every TSDB file.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// The CRC-32C of some bytes and then `bytes`, given that of the former.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Makes the folders of `rel` below `root`, which exists and is not made anew: it may have been removed on purpose, by a
/// signal that ends the process.
pub fn make_folders(root: &Path, rel: &Path) -> std::io::Result<()> {
    let mut path = root.to_path_buf();
    for part in rel.components() {
        path.push(part);
        match std::fs::create_dir(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
