//! The archive that a root came out of: what of it could not be used.

use super::{Checked, FileKind, FileVerdict, Finding};
use crate::archive::Spooled;

impl Checked {
    /// Adds the verdict on the archive itself, before those on its members.
    pub fn add_archive(&mut self, name: &str, bytes: u64, spooled: &Spooled) {
        let mut verdict = FileVerdict::new(name.to_owned(), FileKind::Archive, Some(bytes));
        for lost in &spooled.lost {
            let loss = &lost.loss;
            let found = Finding::bad(
                loss.kind,
                loss.file.clone(),
                "a plain file, stored whole under a plain name",
                loss.detail.clone(),
                "it is not read, or only as far as it could be",
            );
            verdict.push(match loss.offset {
                Some(offset) => found.at(offset),
                None => found,
            });
        }
        for note in &spooled.notes {
            verdict.push(Finding::note("archive", note.clone(), "none"));
        }
        verdict.settle();
        self.files.insert(0, verdict);
    }
}
