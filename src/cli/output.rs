//! Where results go: standard output, or a file that appears whole or not at all.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::plan::Common;
use crate::error::{Error, Result};

/// A sink for results.
#[derive(Debug)]
pub enum Output {
    /// Standard output. A reader that went away is a clean end.
    Stdout(BufWriter<std::io::Stdout>),
    /// A temporary sibling of the file, renamed by [`Output::finish`].
    File { writer: BufWriter<NamedTempFile>, path: PathBuf, force: bool },
}

impl Output {
    /// Opens the sink that the arguments ask for. Errs if the file exists and `--force` is missing, or if it would lie
    /// inside a SOURCE: evidence is never written to.
    pub fn open(common: &Common) -> Result<Output> {
        let Some(path) = &common.output else {
            return Ok(Output::Stdout(BufWriter::with_capacity(1 << 16, std::io::stdout())));
        };
        if path.exists() && !common.force {
            return Err(Error::usage("the output exists already").at(path).hint("choose another name, or add --force"));
        }
        let dir = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let real = dir.canonicalize().map_err(|e| Error::io(dir, "write there", &e))?;
        for source in &common.sources {
            if source.canonicalize().is_ok_and(|s| real.starts_with(s)) {
                return Err(Error::usage("the output would lie inside a SOURCE, and evidence stays untouched")
                    .at(path)
                    .hint("write it somewhere else"));
            }
        }
        let temp = NamedTempFile::new_in(dir).map_err(|e| Error::io(dir, "write there", &e))?;
        Ok(Output::File { writer: BufWriter::new(temp), path: path.clone(), force: common.force })
    }

    /// Writes text.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes; a closed pipe ends the process' work quietly with [`Closed`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let (result, path) = match self {
            Output::Stdout(w) => (w.write_all(bytes), None),
            Output::File { writer, path, .. } => (writer.write_all(bytes), Some(path.clone())),
        };
        result.map_err(|e| write_error(&e, path.as_deref()))
    }

    /// Flushes, renames, and tells the path on stderr.
    pub fn finish(self, common: &Common) -> Result<()> {
        match self {
            Output::Stdout(mut w) => w.flush().map_err(|e| write_error(&e, None)),
            Output::File { writer, path, force } => {
                let temp = writer.into_inner().map_err(|e| write_error(e.error(), Some(&path)))?;
                make_readable(&temp, &path)?;
                temp.as_file().sync_all().map_err(|e| write_error(&e, Some(&path)))?;
                let renamed = if force { temp.persist(&path) } else { temp.persist_noclobber(&path) };
                renamed.map_err(|e| write_error(&e.error, Some(&path)))?;
                if !common.quiet {
                    let _ = writeln!(std::io::stderr(), "{}", path.display());
                }
                Ok(())
            }
        }
    }
}

/// Temporary files are private; results get the mode that any new file would have.
fn make_readable(temp: &NamedTempFile, path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        temp.as_file().set_permissions(mode).map_err(|e| write_error(&e, Some(path)))?;
    }
    #[cfg(not(unix))]
    let _ = (temp, path);
    Ok(())
}

fn write_error(e: &std::io::Error, path: Option<&Path>) -> Error {
    if e.kind() == ErrorKind::BrokenPipe {
        return Error::new(crate::ErrorKind::Io, CLOSED);
    }
    match path {
        Some(path) => Error::io(path, "write it", e),
        None => Error::io(Path::new("standard output"), "write to it", e),
    }
}

const CLOSED: &str = "the reader of the output went away";

/// Whether an error only says that nobody reads the output any more, which is a clean end.
pub fn is_closed(error: &Error) -> bool {
    error.message() == CLOSED
}
