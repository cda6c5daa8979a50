//! Where results go: standard output, or a file or folder that appears whole or not at all.

use std::collections::BTreeSet;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::archive::PrivateDir;
use crate::cli::args::ReportFormat;
use crate::cli::plan::Common;
use crate::error::{Error, Result};
use crate::labels::printable;
use crate::report::table::Table;
use crate::source::digest::sha256_file;

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
        keep_what_exists(path, common.force)?;
        let dir = parent(path);
        keep_out_of_sources(common, path)?;
        let temp = NamedTempFile::new_in(dir).map_err(|e| Error::io(dir, "write there", &e))?;
        Ok(Output::File { writer: BufWriter::new(temp), path: path.clone(), force: common.force })
    }

    /// Writes text.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes. Where the reader of a pipe went away the rest is dropped: the exit status still tells the verdict.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let (result, path) = match self {
            Output::Stdout(w) => (or_closed(w.write_all(bytes)), None),
            Output::File { writer, path, .. } => (writer.write_all(bytes), Some(path.clone())),
        };
        result.map_err(|e| write_error(&e, path.as_deref()))
    }

    /// Flushes, renames, and tells the path on stderr.
    pub fn finish(self, common: &Common) -> Result<()> {
        match self {
            Output::Stdout(mut w) => or_closed(w.flush()).map_err(|e| write_error(&e, None)),
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

/// Errs where a file of this name may not be written: nothing but a regular file is replaced, and that only by `force`.
fn keep_what_exists(path: &Path, force: bool) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(m) if !m.is_file() => Err(Error::usage("the output exists and is no regular file, so it is not replaced")
            .at(path)
            .hint("choose another name")),
        Ok(_) if !force => {
            Err(Error::usage("the output exists already").at(path).hint("choose another name, or add --force"))
        }
        _ => Ok(()),
    }
}

/// The folder that a path lies in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Errs where `path` would lie inside a SOURCE.
pub fn keep_out_of_sources(common: &Common, path: &Path) -> Result<()> {
    keep_out_of(&common.sources, path, "the output would lie inside a SOURCE, and evidence stays untouched")
}

/// Errs with `why` where `path` would lie inside one of `inputs`.
pub fn keep_out_of<'a>(inputs: impl IntoIterator<Item = &'a PathBuf>, path: &Path, why: &str) -> Result<()> {
    let dir = parent(path);
    let real = dir.canonicalize().map_err(|e| Error::io(dir, "write there", &e))?;
    let target = path.file_name().map_or_else(|| real.clone(), |name| real.join(name));
    if inputs.into_iter().any(|input| input.canonicalize().is_ok_and(|i| target.starts_with(i))) {
        return Err(Error::usage(why).at(path).hint("write it somewhere else"));
    }
    Ok(())
}

/// A folder that is filled under another name beside its place, and renamed when it is complete.
#[derive(Debug)]
pub struct OutputFolder {
    private: PrivateDir,
    target: PathBuf,
    /// Whether a folder is to be replaced.
    replaces: bool,
}

impl OutputFolder {
    /// Begins the folder `target`. Errs where something is there, unless it is a folder to be replaced by `force` in which
    /// every file is one of `own`, relative with `/`: what somebody else wrote is not removed.
    pub fn create(target: &Path, force: bool, own: impl FnOnce(&Path) -> BTreeSet<String>) -> Result<OutputFolder> {
        let existing = std::fs::symlink_metadata(target).ok();
        if let Some(existing) = &existing {
            if !existing.is_dir() {
                return Err(Error::usage("the output exists and is no folder, so it is not replaced").at(target));
            }
            if let Some(name) = stranger(target, "", &own(target))? {
                let message = format!("the output exists, and {} in it is not from this command", printable(&name));
                return Err(Error::usage(message).at(target).hint("choose another name"));
            }
            if !force {
                let error = Error::usage("the output exists already").at(target);
                return Err(error.hint("choose another name, or add --force"));
            }
        }
        let private = private_dir(target)?;
        Ok(OutputFolder { private, target: target.to_path_buf(), replaces: existing.is_some() })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.private.path()
    }

    /// Gives the folder its name, and tells it on stderr.
    pub fn finish(self, quiet: bool) -> Result<()> {
        self.private.publish(&self.target, self.replaces)?;
        if !quiet {
            let _ = writeln!(std::io::stderr(), "{}", self.target.display());
        }
        Ok(())
    }
}

/// A private folder beside `target`, in which it is made.
fn private_dir(target: &Path) -> Result<PrivateDir> {
    PrivateDir::new(Some(parent(target))).map_err(|e| match parent(target).exists() {
        true => e.hint("an output is made beside its place: choose one in a folder that you may write to"),
        false => e,
    })
}

/// The first entry below `dir`, by its path, that is neither one of `own` nor a folder of such.
fn stranger(dir: &Path, rel: &str, own: &BTreeSet<String>) -> Result<Option<String>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io(dir, "read it", &e))?;
    let entries: std::io::Result<Vec<_>> = entries.collect();
    let mut entries = entries.map_err(|e| Error::io(dir, "read it", &e))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let path = format!("{rel}{}", name.to_string_lossy());
        let is_folder = entry.file_type().map_err(|e| Error::io(&entry.path(), "read it", &e))?.is_dir();
        let found = if is_folder {
            stranger(&entry.path(), &format!("{path}/"), own)?
        } else {
            (name.to_str().is_none() || !own.contains(&path)).then_some(path)
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// A file beside a folder: made in a private folder, which a signal removes, and renamed when it is complete.
#[derive(Debug)]
pub struct OutputFile {
    temp: NamedTempFile,
    private: PrivateDir,
    target: PathBuf,
    force: bool,
}

impl OutputFile {
    /// Begins the file `target`. Errs where something is there, unless it is a file to be replaced by `force` that is one of
    /// `own`, which `what` names.
    pub fn create(target: &Path, force: bool, what: &str, own: impl FnOnce(&Path) -> bool) -> Result<OutputFile> {
        keep_what_exists(target, force)?;
        if target.exists() && !own(target) {
            return Err(Error::usage(format!("the output exists and is no {what}, so it is not replaced"))
                .at(target)
                .hint("choose another name"));
        }
        let private = private_dir(target)?;
        let temp = NamedTempFile::new_in(private.path()).map_err(|e| write_error(&e, Some(target)))?;
        Ok(OutputFile { temp, private, target: target.to_path_buf(), force })
    }

    /// Where to write.
    pub fn file(&self) -> &std::fs::File {
        self.temp.as_file()
    }

    /// Gives the file its name, and its digest back.
    pub fn finish(self) -> Result<String> {
        let OutputFile { temp, private, target, force } = self;
        make_readable(&temp, &target)?;
        temp.as_file().sync_all().map_err(|e| write_error(&e, Some(&target)))?;
        let digest = sha256_file(temp.path())?;
        let renamed = if force { temp.persist(&target) } else { temp.persist_noclobber(&target) };
        renamed.map_err(|e| write_error(&e.error, Some(&target)))?;
        drop(private);
        Ok(digest)
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
    match path {
        Some(path) => Error::io(path, "write it", e),
        None => Error::io(Path::new("standard output"), "write to it", e),
    }
}

/// A reader that went away is a clean end.
fn or_closed(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Reports on several SOURCEs in one of the formats.
#[derive(Debug)]
pub struct Reports {
    out: Output,
    format: ReportFormat,
    table: Table,
    single: bool,
    written: usize,
}

impl Reports {
    /// Opens the sink; `table` has the columns of the row formats.
    pub fn open(common: &Common, format: ReportFormat, table: Table) -> Result<Reports> {
        let single = common.sources.len() == 1 || common.merge;
        Ok(Reports { out: Output::open(common)?, format, table, single, written: 0 })
    }

    /// Adds the report on one SOURCE; only the form that the format asks for is made.
    pub fn add(
        &mut self,
        text: impl FnOnce() -> String,
        document: impl FnOnce() -> Result<Value>,
        row: impl FnOnce() -> Vec<String>,
    ) -> Result<()> {
        self.written += 1;
        match self.format {
            ReportFormat::Text if self.written > 1 => self.out.text(&format!("\n{}", text())),
            ReportFormat::Text => self.out.text(&text()),
            // Indented by two for one SOURCE, as the original scripts wrote it; a line each for several.
            ReportFormat::Json if self.single => self.out.text(&format!("{:#}\n", document()?)),
            ReportFormat::Json => self.out.text(&format!("{}\n", document()?)),
            ReportFormat::Table | ReportFormat::Csv => {
                self.table.rows.push(row());
                Ok(())
            }
        }
    }

    /// Writes the rows, if that is the format, and finishes the sink.
    pub fn finish(mut self, common: &Common) -> Result<()> {
        match self.format {
            ReportFormat::Table => self.out.text(&self.table.to_text())?,
            ReportFormat::Csv => self.out.text(&self.table.to_csv())?,
            ReportFormat::Text | ReportFormat::Json => {}
        }
        self.out.finish(common)
    }
}
