//! [`PrivateDir`]: a folder that only this process writes to, removed on every way out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, Result};

/// How often a folder is removed that is made again meanwhile.
const REMOVALS: u32 = 1_000;

/// The private folders that exist now. Whatever makes or removes something inside one holds the lock, so that
/// [`remove_all`] finds no folder half made.
static EXISTING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn existing() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    EXISTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every private folder of this process, and lets no more be made: the last thing before a signal ends it.
///
/// A thread that goes on meanwhile waits for ever when it next makes a file or drops a folder, so the caller has to end the
/// process. One that writes into a folder by its path loses the path first: what it goes on to make there again is removed,
/// too.
pub fn remove_all() {
    let folders = existing();
    for folder in folders.iter() {
        let aside = folder.with_extension("removed");
        for _ in 0..REMOVALS {
            let _ = std::fs::rename(folder, &aside);
            let _ = std::fs::remove_dir_all(&aside);
            if !folder.exists() && !aside.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::mem::forget(folders);
}

/// A new folder that nobody else may enter. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    /// `None` only while it is being dropped.
    dir: Option<TempDir>,
}

impl PrivateDir {
    /// Makes one below `parent`, or where the system keeps temporary files.
    pub fn new(parent: Option<&Path>) -> Result<PrivateDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("promproof-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        let mut existing = existing();
        let made = match parent {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        };
        let dir = made.map_err(|e| {
            Error::io(parent.unwrap_or(Path::new("the system's temporary folder")), "make a folder there", &e)
        })?;
        existing.insert(dir.path().to_path_buf());
        Ok(PrivateDir { path: dir.path().to_path_buf(), dir: Some(dir) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets everybody read the folder and gives it the name `target`; what has that name is removed if `replace` says so.
    pub fn publish(mut self, target: &Path, replace: bool) -> Result<()> {
        let mut existing = existing();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&self.path, mode).map_err(|e| Error::io(&self.path, "open it for reading", &e))?;
        }
        let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| Error::io(to, "put it there", &e));
        // The old one stays whole until the new one stands in its place.
        let old = target.with_file_name(format!("{}.old", self.path.file_name().unwrap_or_default().to_string_lossy()));
        if replace {
            rename(target, &old)?;
        }
        if let Err(e) = rename(&self.path, target) {
            if replace {
                rename(&old, target)?;
            }
            return Err(e);
        }
        if replace {
            std::fs::remove_dir_all(&old).map_err(|e| Error::io(&old, "remove it", &e))?;
        }
        existing.remove(&self.path);
        if let Some(dir) = self.dir.take() {
            let _ = dir.keep();
        }
        Ok(())
    }

    /// Makes a folder, whose parent exists.
    pub(super) fn make_folder(&self, rel: &Path) -> io::Result<()> {
        let _lock = existing();
        std::fs::create_dir(self.path.join(rel))
    }

    /// Makes a file that did not exist.
    pub(super) fn make_file(&self, rel: &Path) -> io::Result<File> {
        let _lock = existing();
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options.open(self.path.join(rel))
    }

    /// Gives a file that we made a second name.
    pub(super) fn make_alias(&self, of: &Path, rel: &Path) -> io::Result<()> {
        let _lock = existing();
        std::fs::hard_link(self.path.join(of), self.path.join(rel))
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let mut existing = existing();
        drop(self.dir.take());
        existing.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_enter_and_nothing_stays() {
        let parent = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let dir = PrivateDir::new(Some(parent.path())).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(dir.make_folder(Path::new("a")).is_ok());
        assert!(dir.make_file(Path::new("a/b")).is_ok());
        assert!(dir.make_file(Path::new("a/b")).is_err(), "never opened twice");
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = |p: &Path| std::fs::metadata(p).map(|m| m.mode() & 0o777).ok();
            assert_eq!(mode(dir.path()), Some(0o700));
            assert_eq!(mode(&dir.path().join("a/b")), Some(0o600));
        }
        let path = dir.path().to_path_buf();
        drop(dir);
        assert!(!path.exists());
        assert!(PrivateDir::new(Some(&parent.path().join("none"))).is_err());
    }
}
