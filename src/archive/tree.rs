//! [`Tree`]: the members of an archive on their way into the private folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::rc::Rc;

use super::kind::is_archive_name;
use super::name::PlainName;
use super::stream::{Shared, size};
use super::{Lost, PrivateDir, Spooled};
use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::labels::printable;
use crate::loss::Loss;

/// Lines of one kind among the notes; the rest is counted.
const MOST_NOTES: usize = 20;
/// Bytes of all names, which are held in memory.
const MAX_NAME_BYTES: usize = 64 << 20;
const BUFFER_BYTES: usize = 1 << 18;

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
enum Node {
    /// A folder, named by a member or only by what lies in it.
    Folder,
    /// A member at this byte of the archive; `spooled` where it has a file.
    Member { at: u64, spooled: bool },
}

/// How far a member could be read.
pub(super) enum Filled {
    /// As long as it should be, checksums included.
    Whole,
    /// It ended, or stopped making sense, after so many bytes.
    Short { got: u64, why: Option<io::Error> },
}

/// The members so far.
pub(super) struct Tree {
    dir: PrivateDir,
    shared: Rc<Shared>,
    /// The archive's file name, for losses that are about all of it.
    archive: String,
    /// What the offsets of members count: `""`, or `" of the unpacked tar"`.
    pub(super) offsets_of: &'static str,
    nodes: BTreeMap<PlainName, Node>,
    /// The first spelling of every folded name.
    folded: BTreeMap<String, PlainName>,
    entries: u64,
    lost: Vec<Lost>,
    name_bytes: usize,
    alike: Few,
    aliases: Few,
    notes: Vec<String>,
    nested: Vec<String>,
    buffer: Vec<u8>,
}

impl Tree {
    pub(super) fn new(dir: PrivateDir, shared: Rc<Shared>, archive: String) -> Tree {
        Tree {
            dir,
            shared,
            archive,
            offsets_of: "",
            nodes: BTreeMap::new(),
            folded: BTreeMap::new(),
            entries: 0,
            lost: Vec::new(),
            name_bytes: 0,
            alike: Few::default(),
            aliases: Few::default(),
            notes: Vec::new(),
            nested: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    pub(super) fn into_spooled(mut self) -> Spooled {
        self.notes.extend(self.alike.into_lines("more names differ only in case or Unicode form"));
        self.notes.extend(self.aliases.into_lines("more hard links were read as the members they name"));
        Spooled { dir: self.dir, lost: self.lost, notes: self.notes, nested: self.nested }
    }

    /// Counts a member or a folder; errs where there are too many.
    pub(super) fn count(&mut self) -> Result<()> {
        self.entries += 1;
        let most = self.shared.limits().max_entries;
        if self.entries > most {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the archive has more than {most} members and folders"),
            )
            .hint("--max-entries N allows more"));
        }
        Ok(())
    }

    /// Whether nothing was counted yet.
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The checked form of a member's name; a name that is refused becomes a loss.
    pub(super) fn name(&mut self, raw: &[u8], at: u64) -> Option<PlainName> {
        match PlainName::parse(raw) {
            Ok(name) => Some(name),
            Err(why) => {
                let detail = format!("refused: {why}; the member at byte {at}{} was not read", self.offsets_of);
                self.lose(None, &String::from_utf8_lossy(raw), ErrorKind::Malformed, detail);
                None
            }
        }
    }

    /// A loss about one member. Without a `place` it may have been any part of the data.
    pub(super) fn lose(&mut self, place: Option<&PlainName>, file: &str, kind: ErrorKind, detail: String) {
        // Hostile names may be long; the start is enough to find them.
        let file: String = file.chars().take(512).collect();
        let loss = Loss { file, offset: None, kind, detail, series: None, interval: None, samples: None };
        self.lost.push(Lost { loss, place: place.map(PlainName::path) });
    }

    /// A loss about a member that is listed and not spooled: a link, a device, something encrypted.
    pub(super) fn leave_out(&mut self, name: &PlainName, at: u64, kind: ErrorKind, detail: String) -> Result<()> {
        self.register(name, Node::Member { at, spooled: false }, at)?;
        self.lose(Some(name), &name.text(), kind, detail);
        Ok(())
    }

    /// A loss about the archive from one byte of its file on.
    pub(super) fn lose_rest(&mut self, offset: Option<u64>, kind: ErrorKind, detail: String) {
        let file = self.archive.clone();
        let loss = Loss { file, offset, kind, detail, series: None, interval: None, samples: None };
        self.lost.push(Lost { loss, place: None });
    }

    /// Something worth knowing.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A member that is a folder.
    pub(super) fn folder(&mut self, name: &PlainName, at: u64) -> Result<()> {
        if name.is_top() { Ok(()) } else { self.register(name, Node::Folder, at) }
    }

    /// A member with data: copies what `reader` gives.
    pub(super) fn file(&mut self, name: &PlainName, at: u64, declared: u64, reader: &mut dyn Read) -> Result<Filled> {
        self.register(name, Node::Member { at, spooled: true }, at)?;
        let text = name.text();
        if is_archive_name(&text) && self.nested.len() < MOST_NOTES {
            self.nested.push(text);
        }
        let mut file = self.dir.make_file(&name.path()).map_err(|e| self.cannot_make(name, &e))?;
        let mut got = 0u64;
        loop {
            let n = match reader.read(&mut self.buffer) {
                Ok(0) if got == declared => return Ok(Filled::Whole),
                Ok(0) => return Ok(Filled::Short { got, why: None }),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Ok(Filled::Short { got, why: Some(e) }),
            };
            got += n as u64;
            self.shared.add_spooled(n as u64)?;
            let bytes = self.buffer.get(..n).unwrap_or_default();
            file.write_all(bytes).map_err(|e| self.cannot_write(name, &e))?;
        }
    }

    /// A hard link: the file of an earlier member once more. Returns whether there is such a member.
    pub(super) fn alias(&mut self, name: &PlainName, of: &PlainName, at: u64) -> Result<bool> {
        if !matches!(self.nodes.get(of), Some(Node::Member { spooled: true, .. })) || of == name {
            return Ok(false);
        }
        self.register(name, Node::Member { at, spooled: true }, at)?;
        if self.dir.make_alias(&of.path(), &name.path()).is_err() {
            // Not every file system has hard links.
            let mut from = File::open(self.dir.path().join(of.path())).map_err(|e| self.cannot_write(name, &e))?;
            let length = from.metadata().map_err(|e| self.cannot_write(name, &e))?.len();
            self.shared.add_spooled(length)?;
            let mut to = self.dir.make_file(&name.path()).map_err(|e| self.cannot_make(name, &e))?;
            io::copy(&mut from, &mut to).map_err(|e| self.cannot_write(name, &e))?;
        }
        self.aliases.push(|| format!("{} is a hard link and was read as the member {}", name.text(), of.text()));
        Ok(true)
    }

    /// Puts a node at a path, with the folders above it. Errs where the path is taken by anything but a folder twice.
    fn register(&mut self, name: &PlainName, node: Node, at: u64) -> Result<()> {
        match (self.nodes.get(name), node) {
            (Some(Node::Folder), Node::Folder) => return Ok(()),
            (Some(Node::Member { at: first, .. }), Node::Member { .. }) => {
                return Err(self.ambiguous(name, format!("is in the archive twice, at byte {first} and at byte {at}")));
            }
            (Some(Node::Member { at: other, .. }), Node::Folder) => {
                return Err(
                    self.ambiguous(name, format!("is a folder at byte {at} and something else at byte {other}"))
                );
            }
            (Some(Node::Folder), Node::Member { .. }) => {
                return Err(self.ambiguous(name, format!("is no folder at byte {at}, and other members lie in it")));
            }
            (None, _) => {}
        }
        if name.is_top() {
            return Err(self.ambiguous(name, format!("is the name of the member at byte {at}, which is no folder")));
        }
        // From the top down, without recursion: a name can be deep.
        let mut above = Vec::new();
        let mut parent = name.parent();
        while let Some(folder) = parent.filter(|p| !p.is_top()) {
            match self.nodes.get(&folder) {
                Some(Node::Folder) => break,
                Some(Node::Member { at: other, .. }) => {
                    let why = format!("is no folder at byte {other}, and the member at byte {at} lies in it");
                    return Err(self.ambiguous(&folder, why));
                }
                None => {
                    parent = folder.parent();
                    above.push(folder);
                }
            }
        }
        for folder in above.into_iter().rev() {
            self.count()?;
            self.put(&folder, Node::Folder)?;
        }
        self.put(name, node)
    }

    fn put(&mut self, name: &PlainName, node: Node) -> Result<()> {
        self.name_bytes += name.len();
        if self.name_bytes > MAX_NAME_BYTES {
            let message = format!("the names of the archive's members take more than {}", size(MAX_NAME_BYTES as u64));
            return Err(Error::new(ErrorKind::Unsupported, message)
                .hint("pack the data again with shorter names, or unpack them and give the folder"));
        }
        if let Some(first) = self.folded.get(&name.folded()) {
            // What lies in two such folders differs because they do.
            if first.parent() == name.parent() {
                self.alike.push(|| {
                    let (a, b) = (first.text(), name.text());
                    format!("{a} and {b} differ only in case or Unicode form; both were read, as two paths")
                });
            }
        } else {
            self.folded.insert(name.folded(), name.clone());
        }
        if matches!(node, Node::Folder) {
            self.dir.make_folder(&name.path()).map_err(|e| self.cannot_make(name, &e))?;
        }
        self.nodes.insert(name.clone(), node);
        Ok(())
    }

    fn ambiguous(&self, name: &PlainName, why: String) -> Error {
        let what = if name.is_top() { "`.`".to_owned() } else { format!("`{}`", printable(&name.text())) };
        Error::new(
            ErrorKind::Ambiguous,
            format!("{what} {why}{}; tools differ in what they make of it", self.offsets_of),
        )
        .hint("pack the data again with every path once, or unpack them with a tool that you trust and give the folder")
    }

    fn cannot_make(&self, name: &PlainName, e: &io::Error) -> Error {
        if e.kind() != io::ErrorKind::AlreadyExists {
            return self.cannot_write(name, e);
        }
        let other = self.folded.get(&name.folded()).map(PlainName::text).unwrap_or_default();
        Error::new(
            ErrorKind::Ambiguous,
            format!(
                "`{}` and `{}` are one file on the file system of {}",
                printable(&other),
                printable(&name.text()),
                self.dir.path().display()
            ),
        )
        .hint("--temp-dir DIR unpacks on a file system that tells them apart")
    }

    fn cannot_write(&self, name: &PlainName, e: &io::Error) -> Error {
        let why = match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "no room is left".to_owned(),
            _ => plain_io(e),
        };
        Error::new(
            ErrorKind::Io,
            format!(
                "cannot unpack `{}` into {}: {why}, after {} bytes",
                printable(&name.text()),
                self.dir.path().display(),
                self.shared.spooled()
            ),
        )
        .hint("--temp-dir DIR unpacks on a file system with room for all members")
    }
}

/// Lines of which the first are kept.
#[derive(Default)]
struct Few {
    lines: Vec<String>,
    rest: usize,
}

impl Few {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < MOST_NOTES { self.lines.push(line()) } else { self.rest += 1 }
    }

    fn into_lines(mut self, more: &str) -> Vec<String> {
        if self.rest > 0 {
            self.lines.push(format!("{} {more}", self.rest));
        }
        self.lines
    }
}
