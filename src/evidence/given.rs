//! The folders that were given: their regular files by name, no links followed, nothing outside opened.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, plain_io};
use crate::labels::printable;

/// Files of more than this are not read whole.
pub const MOST_BYTES: u64 = 64 << 20;
const MOST_FILES: usize = 10_000;
/// Why a link is not used.
pub const LINK: &str = "it is a link, and links are not followed: give the file itself";
/// The folder of a repository's own files, which are neither evidence nor code.
pub const GIT: &str = ".git";
/// Why it is not used.
pub const GIT_WHY: &str = "it is a repository's own folder, and is not looked into";
/// Why a pipe, a socket or a device is not used.
pub const SPECIAL: &str = "it is neither a file nor a folder";
/// Why a folder is not looked into.
pub const DEEP: &str = "it lies deeper than is looked";

/// A regular file below a given folder.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its path below the folder, for people.
    pub name: String,
    /// The last component of its path.
    pub file_name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size when it was listed.
    pub bytes: u64,
}

impl Given {
    /// All of it. The error is a reason in words.
    pub fn read(&self) -> std::result::Result<Vec<u8>, String> {
        if self.bytes > MOST_BYTES {
            return Err(format!("it has {} bytes, and at most {MOST_BYTES} are read", self.bytes));
        }
        let mut bytes = Vec::new();
        let file = File::open(&self.path).and_then(|f| f.take(MOST_BYTES).read_to_end(&mut bytes));
        file.map(|_| bytes).map_err(|e| format!("it cannot be read: {}", plain_io(&e)))
    }
}

/// Files that were found and not used, each with the reason.
pub type Unused = Vec<(String, String)>;

/// What lies below a folder.
#[derive(Debug, Default)]
pub struct Listed {
    /// The regular files, in order of their names.
    pub files: Vec<Given>,
    /// The folders that were looked into.
    pub folders: Vec<String>,
    /// What could not be looked at, with the reason; the folder itself has no name.
    pub unreadable: Unused,
}

/// What lies below `root` down to `depth` folders. Links and what is no file are named in `unused`. Errs where `root` is no
/// folder: that is a slip of the command line.
pub fn list(unused: &mut Unused, flag: &str, root: &Path, depth: usize) -> Result<Listed> {
    let mut found = Listed::default();
    match std::fs::metadata(root) {
        Ok(meta) if !meta.is_dir() => return Err(Error::usage(format!("{flag} names no folder")).at(root)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::io(root, &format!("read what {flag} names"), &e));
        }
        // What cannot be asked for cannot be listed either.
        _ => walk(unused, root, "", depth, &mut found),
    }
    Ok(found)
}

fn walk(unused: &mut Unused, dir: &Path, below: &str, depth: usize, found: &mut Listed) {
    let names = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.file_name())).collect::<std::io::Result<Vec<_>>>());
    let mut names = match names {
        Ok(names) => names,
        Err(e) => return found.unreadable.push((printable(below), format!("it cannot be read: {}", plain_io(&e)))),
    };
    names.sort();
    for file_name in names {
        let path = dir.join(&file_name);
        let file_name = file_name.to_string_lossy().into_owned();
        let name = if below.is_empty() { file_name.clone() } else { format!("{below}/{file_name}") };
        let mut refuse = |why: &str| unused.push((printable(&name), why.to_owned()));
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(e) => {
                found.unreadable.push((printable(&name), format!("it cannot be read: {}", plain_io(&e))));
                continue;
            }
        };
        if meta.is_symlink() {
            refuse(LINK);
        } else if file_name == GIT {
            refuse(GIT_WHY);
        } else if meta.is_dir() && depth > 0 {
            found.folders.push(name.clone());
            walk(unused, &path, &name, depth - 1, found);
        } else if meta.is_dir() {
            refuse(DEEP);
        } else if !meta.is_file() {
            refuse(SPECIAL);
        } else if found.files.len() >= MOST_FILES {
            let why = format!("there are more than {MOST_FILES} files, and it is not looked at");
            found.unreadable.push((printable(&name), why));
            return;
        } else {
            found.files.push(Given { name, file_name, path, bytes: meta.len() });
        }
    }
}

/// The end of a file: its last `lines` lines, but at most `most` bytes. Gives where they start and whether `most` cut them.
pub fn tail(file: &mut File, lines: usize, most: u64) -> std::io::Result<(u64, bool)> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut buffer = vec![0u8; 1 << 16];
    let (mut at, mut left) = (end, lines);
    while at > 0 {
        let from = at.saturating_sub(buffer.len() as u64);
        let part = buffer.get_mut(..(at - from) as usize).unwrap_or_default();
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        for n in memchr::memrchr_iter(b'\n', part) {
            let next = from + n as u64 + 1;
            // The line break at the very end closes the last line and begins none.
            if next == end {
                continue;
            }
            left -= 1;
            if left == 0 {
                return Ok(if end - next > most { (end - most, true) } else { (next, false) });
            }
        }
        if end - from >= most {
            return Ok((end - most, end > most));
        }
        at = from;
    }
    Ok((0, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tail_of(bytes: &[u8], lines: usize, most: u64) -> (Vec<u8>, bool) {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        assert!(file.write_all(bytes).is_ok());
        let (start, cut) = tail(&mut file, lines, most).unwrap_or_else(|e| unreachable!("{e}"));
        (bytes.get(start as usize..).unwrap_or_default().to_vec(), cut)
    }

    #[test]
    fn tails() {
        let told = |b: &str, n, most| {
            let (bytes, cut) = tail_of(b.as_bytes(), n, most);
            (String::from_utf8(bytes).unwrap_or_default(), cut)
        };
        assert_eq!(told("", 2, 99), (String::new(), false));
        assert_eq!(told("a\nb\nc\n", 2, 99), ("b\nc\n".into(), false));
        assert_eq!(told("a\nb\nc", 2, 99), ("b\nc".into(), false));
        assert_eq!(told("a\nb\n", 5, 99), ("a\nb\n".into(), false));
        assert_eq!(told("a\n\n\n", 2, 99), ("\n\n".into(), false));
        assert_eq!(told("aaaa\nbbbb", 2, 6), ("a\nbbbb".into(), true));
        let long = format!("{}\n", "x".repeat(200_000)).repeat(5);
        assert_eq!(tail_of(long.as_bytes(), 3, u64::MAX).0.len(), 3 * 200_001);
        assert_eq!(tail_of(long.as_bytes(), 3, 100_000).0.len(), 100_000);
        assert_eq!(tail_of(b"\xff\xfe\n\xff", 1, 9).0, b"\xff");
    }
}
