//! SHA-256 digests of what was read, so that an answer names its evidence.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::raw::hex;

/// The digest of one file as lower-case hex. Streams; the file may be larger than memory.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, "open it", &e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(|e| Error::io(path, "read it", &e))?;
        match buffer.get(..n) {
            Some([]) | None => return Ok(hex(&hash.finalize())),
            Some(read) => hash.update(read),
        }
    }
}

/// The digest of bytes as lower-case hex.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The files below a block directory in order of their names, as `(path relative to it, bytes, sha256)`.
pub fn sha256_block(dir: &Path) -> Result<Vec<(String, u64, String)>> {
    let mut files = Vec::new();
    for folder in ["", "chunks"] {
        let path = if folder.is_empty() { dir.to_path_buf() } else { dir.join(folder) };
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if folder == "chunks" && e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io(&path, "list it", &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(&path, "list it", &e))?;
            let meta = std::fs::metadata(entry.path()).map_err(|e| Error::io(&entry.path(), "read it", &e))?;
            if meta.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let rel = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                files.push((rel, meta.len(), sha256_file(&entry.path())?));
            }
        }
    }
    files.sort();
    Ok(files)
}
