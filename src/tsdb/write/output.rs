//! [`Output`]: a file being written, with its length so far; and the integers of the format.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes gathered before a write.
const BUFFER_BYTES: usize = 1 << 20;

/// A new file, written from start to end. Every failure names the file.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    at: u64,
}

impl Output {
    /// Creates `path`, which must not exist yet.
    pub(super) fn create(path: PathBuf) -> Result<Output> {
        let file = File::create_new(&path).map_err(|e| Error::io(&path, "create it", &e))?;
        Ok(Output { path, file: BufWriter::with_capacity(BUFFER_BYTES, file), at: 0 })
    }

    /// The number of bytes written so far: the offset of the next one.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, "write it", &e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes zeros up to the next multiple of `align`, at most 16.
    pub(super) fn pad(&mut self, align: u64) -> Result<()> {
        let missing = self.at.next_multiple_of(align) - self.at;
        self.write([0; 16].get(..missing as usize).unwrap_or_default())
    }

    /// Flushes and syncs to disk; gives the length of the file.
    pub(super) fn finish(self) -> Result<u64> {
        let Output { path, file, at } = self;
        let file = file.into_inner().map_err(|e| Error::io(&path, "write it", e.error()))?;
        file.sync_all().map_err(|e| Error::io(&path, "sync it to disk", &e))?;
        Ok(at)
    }
}

/// Appends an unsigned LEB128 varint, at most 10 bytes.
pub(super) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag varint, at most 10 bytes.
pub(super) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, (value << 1 ^ value >> 63) as u64);
}

/// Appends a byte string behind its varint length.
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Cursor;

    #[test]
    fn integers_and_strings_are_what_the_cursor_reads() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            put_varint(&mut out, value as i64);
            put_varint(&mut out, (value as i64).wrapping_neg());
            put_string(&mut out, b"ab");
            let mut c = Cursor::new(&out, 0);
            assert_eq!(c.uvarint("x"), Ok(value));
            assert_eq!(c.varint("x"), Ok(value as i64));
            assert_eq!(c.varint("x"), Ok((value as i64).wrapping_neg()));
            assert_eq!(c.string("x"), Ok(&b"ab"[..]));
            assert_eq!(c.left(), 0);
        }
    }
}
