//! The package as one file: members sorted, their times and modes fixed, so that equal packages are equal archives.

use std::fs::File;
use std::io::{Seek, Write, copy};
use std::path::Path;

use super::CHECKLIST_JSON;
use crate::error::{Error, Result};

/// Kinds of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A zip, deflated.
    Zip,
    /// A tar in zstd.
    TarZst,
}

impl Kind {
    /// What the name of such a file ends with.
    pub fn ending(self) -> &'static str {
        match self {
            Kind::Zip => "zip",
            Kind::TarZst => "tar.zst",
        }
    }
}

/// Whether the file at `path` is such an archive: its first member is the first file of a package.
pub fn is_package(kind: Kind, path: &Path) -> bool {
    let first = || -> Option<String> {
        let file = File::open(path).ok()?;
        match kind {
            Kind::Zip => Some(zip::ZipArchive::new(file).ok()?.by_index(0).ok()?.name().ok()?.into_owned()),
            Kind::TarZst => {
                let mut tar = tar::Archive::new(zstd::Decoder::new(file).ok()?);
                let first = tar.entries().ok()?.next()?.ok()?;
                Some(first.path().ok()?.to_string_lossy().into_owned())
            }
        }
    };
    first().is_some_and(|name| name.ends_with(&format!("/{CHECKLIST_JSON}")))
}

/// The time of every member, 1980-01-01T00:00:00Z: the first that a zip can hold.
const TIME_SECONDS: u64 = 315_532_800;
const MODE: u32 = 0o644;
const ZSTD_LEVEL: i32 = 9;

/// Writes the files `paths` below `root`, each as `top/path`, to `out`; `paths` are sorted. `place` is named in errors.
pub fn write(kind: Kind, root: &Path, top: &str, paths: &[String], out: impl Write + Seek, place: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::io(place, "write it", &e);
    match kind {
        Kind::Zip => zip(root, top, paths, out).map_err(|e| failed(e.into())),
        Kind::TarZst => tar_zst(root, top, paths, out).map_err(failed),
    }
}

fn zip(root: &Path, top: &str, paths: &[String], out: impl Write + Seek) -> zip::result::ZipResult<()> {
    let mut zip = zip::ZipWriter::new(out);
    for path in paths {
        let mut file = File::open(root.join(path))?;
        let options = zip::write::SimpleFileOptions::default()
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(MODE)
            .large_file(file.metadata()?.len() > u64::from(u32::MAX) / 2);
        zip.start_file(format!("{top}/{path}"), options)?;
        copy(&mut file, &mut zip)?;
    }
    zip.finish()?.flush()?;
    Ok(())
}

fn tar_zst(root: &Path, top: &str, paths: &[String], out: impl Write) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(out, ZSTD_LEVEL)?);
    for path in paths {
        let file = File::open(root.join(path))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.metadata()?.len());
        header.set_mode(MODE);
        header.set_mtime(TIME_SECONDS);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, format!("{top}/{path}"), file)?;
    }
    tar.into_inner()?.finish()?.flush()
}
