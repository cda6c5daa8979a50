//! [`Error`]: what stops a command, with the place and the way out.
//!
//! Damage that costs only part of the data is not an error but a [`crate::loss::Loss`]; an `Error` means that no
//! answer can be given. Every error says what was wrong, where, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is; also used for losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes end before the structure does.
    Truncated,
    /// A stored checksum does not match the bytes.
    Checksum,
    /// The bytes break a rule of the format.
    Malformed,
    /// A version or encoding that this release does not read.
    Unsupported,
    /// Something that another file refers to is not there.
    Missing,
    /// The operating system could not read.
    Io,
    /// The operating system did not allow it.
    Permission,
    /// The command line asks for something impossible.
    Usage,
    /// The input could mean several things; the message lists them.
    Ambiguous,
}

impl ErrorKind {
    /// The kind as one lower-case word, as used in JSON (`losses[].kind`).
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Truncated => "truncated",
            ErrorKind::Checksum => "checksum",
            ErrorKind::Malformed => "malformed",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Missing => "missing",
            ErrorKind::Io => "io",
            ErrorKind::Permission => "permission",
            ErrorKind::Usage => "usage",
            ErrorKind::Ambiguous => "ambiguous",
        }
    }

    /// The kind of that name.
    pub fn by_name(name: &str) -> Option<ErrorKind> {
        use ErrorKind::*;
        let all = [Truncated, Checksum, Malformed, Unsupported, Missing, Io, Permission, Usage, Ambiguous];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a command could not run. Displayed as `path at byte N: message` followed by the hint on its own line.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    offset: Option<u64>,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error of `kind` with a message for a person.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, path: None, offset: None, message: message.into(), hint: None }
    }

    /// An impossible request on the command line.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message)
    }

    /// An operating system error at `path`. A permission error also names the file's owner and mode.
    pub fn io(path: &Path, action: &str, source: &std::io::Error) -> Error {
        let kind = match source.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            _ => ErrorKind::Io,
        };
        let error = Error::new(kind, format!("cannot {action}: {}", plain_io(source))).at(path);
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => match owner_of(path) {
                Some(owner) => {
                    error.hint(format!("{owner}; run as that user, or copy the data with read permission for yours"))
                }
                None => error.hint("ask for read permission on the file and on every folder above it"),
            },
            std::io::ErrorKind::NotFound => error.hint("check the path; nothing exists there"),
            _ => error,
        }
    }

    /// Adds the file that the error is about.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Error {
        self.path = Some(path.to_path_buf());
        self
    }

    /// Adds the byte offset in that file.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Error {
        self.offset = Some(offset);
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Adds to the message.
    #[must_use]
    pub fn adding(mut self, text: &str) -> Error {
        self.message.push_str(text);
        self
    }

    /// The same error about a file below `to` where it was about one below `from`: what was unpacked is named by its
    /// place in the archive.
    #[must_use]
    pub fn moved(mut self, from: &Path, to: &Path) -> Error {
        if let Some(rest) = self.path.as_deref().and_then(|p| p.strip_prefix(from).ok()) {
            self.path = Some(if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) });
        }
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file that it is about.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What to do next.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message alone, without place and hint.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}", crate::labels::printable(&path.to_string_lossy()))?;
            if let Some(offset) = self.offset {
                write!(f, " at byte {offset}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The system's message without Rust's "(os error N)" tail.
pub(crate) fn plain_io(source: &std::io::Error) -> String {
    let text = source.to_string();
    match text.rfind(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

#[cfg(unix)]
fn owner_of(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let mut place = Some(path);
    while let Some(p) = place {
        if let Ok(m) = std::fs::symlink_metadata(p) {
            return Some(format!(
                "{} belongs to uid {}, gid {} with mode {:04o}",
                p.display(),
                m.uid(),
                m.gid(),
                m.mode() & 0o7777
            ));
        }
        place = p.parent();
    }
    None
}

#[cfg(not(unix))]
fn owner_of(_path: &Path) -> Option<String> {
    None
}
