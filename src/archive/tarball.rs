//! Tars, plain or compressed, read once from front to back.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use tar::{Entry, EntryType, PaxExtensions};

use super::kind::{Kind, is_tar_header};
use super::name::PlainName;
use super::stream::{Raw, Shared, Unpacked, size};
use super::tree::{Filled, Tree};
use crate::error::{Error, ErrorKind, Result, plain_io};

const BLOCK: u64 = 512;
/// Sizes from here on do not fit into the octal digits of a header, which then holds something else.
const SIZES_IN_OCTAL: u64 = 1 << 33;
/// GNU tar's types of a volume's name, and of a folder with a list of what it held.
const VOLUME_LABEL: u8 = b'V';
const FOLDER_WITH_LIST: u8 = b'D';
const READ_BYTES: usize = 1 << 18;
/// Extended headers that apply to all that follow; writers put a comment there.
const MAX_GLOBAL_BYTES: u64 = 64 << 10;

type Stream = Box<dyn Read>;

/// Spools every member.
pub(super) fn walk(tree: &mut Tree, shared: &Rc<Shared>, file: File, kind: Kind) -> Result<()> {
    let raw = BufReader::with_capacity(READ_BYTES, Raw::new(file, shared.clone()));
    let stream: Stream = match kind {
        Kind::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        Kind::TarZst => Box::new(zstd_decoder(raw, shared.limits().max_zstd_window)?),
        Kind::Tar | Kind::Zip => Box::new(raw),
    };
    let walk = Walk { shared, is_compressed: matches!(kind, Kind::TarGz | Kind::TarZst) };
    if walk.is_compressed {
        tree.offsets_of = " of the unpacked tar";
    }
    let mut unpacked = Unpacked::new(stream, shared.clone());
    let mut first = Vec::with_capacity(BLOCK as usize);
    let started = (&mut unpacked).take(BLOCK).read_to_end(&mut first);
    if let Err(e) = started {
        return walk.damage(tree, &e, Place::BetweenMembers);
    }
    let is_end = first.iter().all(|b| *b == 0);
    if first.len() == BLOCK as usize && !is_end && !is_tar_header(&first) {
        let what = if kind == Kind::TarGz { "gzip" } else { "zstd" };
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("this is compressed with {what}, and what is inside is no tar"),
        )
        .hint("a SOURCE is a folder, or an archive: .tar, .tar.gz, .tar.zst or .zip"));
    }
    let mut archive = tar::Archive::new(io::Cursor::new(first).chain(unpacked));
    if !walk.members(tree, &mut archive)? {
        return Ok(());
    }
    walk.rest(tree, &mut archive.into_inner())
}

fn zstd_decoder(raw: BufReader<Raw>, window: u64) -> Result<impl Read> {
    let failed = |e: io::Error| Error::new(ErrorKind::Io, format!("cannot start the zstd decoder: {}", plain_io(&e)));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(failed)?;
    // The decoder takes 2^10 to 2^31.
    decoder.window_log_max(window.max(1).ilog2().clamp(10, 31)).map_err(failed)?;
    Ok(decoder)
}

struct Walk<'a> {
    shared: &'a Rc<Shared>,
    is_compressed: bool,
}

/// Where an archive turned out to be damaged.
enum Place<'a> {
    BetweenMembers,
    Inside { name: &'a PlainName, got: u64, declared: u64 },
    BehindTheEnd,
}

/// What the size fields of a member say.
struct Sizes {
    /// Bytes of the member as it was.
    declared: u64,
    /// Bytes of it in the archive.
    stored: u64,
}

impl Walk<'_> {
    /// Whether the end marker was reached.
    fn members(&self, tree: &mut Tree, archive: &mut tar::Archive<impl Read>) -> Result<bool> {
        let mut entries = match archive.entries() {
            Ok(entries) => entries,
            Err(e) => return self.damage(tree, &e, Place::BetweenMembers).map(|()| false),
        };
        // Bytes of the last member that nobody read.
        let mut unread = 0;
        loop {
            self.shared.between_members(unread);
            let before = self.shared.unpacked();
            let next = entries.next();
            self.shared.inside_member();
            let mut entry = match next {
                Some(Ok(entry)) => entry,
                Some(Err(e)) => return self.damage(tree, &e, Place::BetweenMembers).map(|()| false),
                None => {
                    // The crate stops at a block of zeros and at the end of the stream alike; only the former says that
                    // nothing is missing. The first block was read ahead.
                    let read = self.shared.unpacked() - before;
                    let marked =
                        read >= unread.next_multiple_of(BLOCK) + BLOCK || tree.is_empty() && !self.shared.ended.get();
                    if !marked {
                        self.cut(tree, "the archive has no end marker, so it was cut between two members");
                    }
                    return Ok(marked);
                }
            };
            tree.count()?;
            let before = self.shared.unpacked();
            if entry.header().entry_type().is_pax_global_extensions() {
                if !self.global_header(tree, &mut entry)? {
                    return Ok(false);
                }
                unread = 0;
                continue;
            }
            let sizes = self.sizes(&mut entry)?;
            if !self.member(tree, &mut entry, &sizes)? {
                return Ok(false);
            }
            unread = sizes.stored.saturating_sub(self.shared.unpacked() - before);
        }
    }

    /// Sizes that every tool agrees on. The place of all that follows depends on them.
    fn sizes(&self, entry: &mut Entry<'_, impl Read>) -> Result<Sizes> {
        let at = entry.raw_header_position();
        let name = crate::labels::printable(&String::from_utf8_lossy(&entry.path_bytes()));
        let ambiguous = |what: String| {
            Error::new(
                ErrorKind::Ambiguous,
                format!("`{name}` at byte {at} of the tar {what}; tools differ in what they make of it"),
            )
            .hint("pack the data again, or unpack them with a tool that you trust and give the folder")
        };
        let header = entry.header();
        let kind = header.entry_type();
        if kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink() {
            return Err(ambiguous("is an extended header in a tar of a format without them".to_owned()));
        }
        let in_header = header.entry_size().unwrap_or(u64::MAX);
        let declared = entry.size();
        let mut paths = 0;
        let mut sizes = Vec::new();
        if let Ok(Some(extensions)) = entry.pax_extensions() {
            for extension in extensions.flatten() {
                match extension.key_bytes() {
                    b"path" => paths += 1,
                    b"size" => sizes.push(String::from_utf8_lossy(extension.value_bytes()).into_owned()),
                    _ => {}
                }
            }
        }
        if paths > 1 || sizes.len() > 1 {
            return Err(ambiguous("has two names or sizes in its extended header".to_owned()));
        }
        if let Some(text) = sizes.first()
            && text.parse::<u64>().ok() != Some(declared)
        {
            return Err(ambiguous(format!("has the size {} in its extended header", crate::labels::printable(text))));
        }
        if !kind.is_gnu_sparse() && declared != in_header && declared < SIZES_IN_OCTAL {
            return Err(ambiguous(format!(
                "has {in_header} bytes by its header and {declared} by its extended header"
            )));
        }
        let has_data = !matches!(
            kind,
            EntryType::Link
                | EntryType::Symlink
                | EntryType::Char
                | EntryType::Block
                | EntryType::Directory
                | EntryType::Fifo
        );
        if !has_data && declared > 0 {
            return Err(ambiguous(format!("is {} with {declared} bytes of data", kind_name(kind))));
        }
        Ok(Sizes { declared, stored: if kind.is_gnu_sparse() { in_header } else { declared } })
    }

    /// Spools one member, or lists it. Returns whether the archive can be read on.
    fn member(&self, tree: &mut Tree, entry: &mut Entry<'_, impl Read>, sizes: &Sizes) -> Result<bool> {
        let at = entry.raw_header_position();
        let kind = entry.header().entry_type();
        let raw_name = entry.path_bytes().into_owned();
        if kind == EntryType::new(VOLUME_LABEL) {
            return self.skip(tree, entry, kind);
        }
        let Some(name) = tree.name(&raw_name, at) else {
            return self.skip(tree, entry, kind);
        };
        // The oldest writers have no type for folders, only the slash.
        let is_folder =
            kind.is_dir() || kind == EntryType::new(FOLDER_WITH_LIST) || kind.is_file() && raw_name.ends_with(b"/");
        if is_folder {
            tree.folder(&name, at)?;
            return self.skip(tree, entry, kind);
        }
        let is_sparse_in_pax = match entry.pax_extensions() {
            Ok(Some(extensions)) => extensions.flatten().any(|x| x.key_bytes().starts_with(b"GNU.sparse.")),
            _ => false,
        };
        if is_sparse_in_pax {
            let detail =
                "a sparse file in the POSIX form, which is not read; pack the data without --sparse".to_owned();
            tree.leave_out(&name, at, ErrorKind::Unsupported, detail)?;
            return self.skip(tree, entry, kind);
        }
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                match tree.file(&name, at, sizes.declared, entry)? {
                    Filled::Whole => Ok(true),
                    Filled::Short { got, why } => {
                        let why = why.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                        self.damage(tree, &why, Place::Inside { name: &name, got, declared: sizes.declared })?;
                        Ok(false)
                    }
                }
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().map(|t| t.into_owned()).unwrap_or_default();
                let found = match PlainName::parse(&target) {
                    Ok(of) => tree.alias(&name, &of, at)?,
                    Err(_) => false,
                };
                if !found {
                    let target = String::from_utf8_lossy(&target);
                    let detail = format!(
                        "a hard link to {target:?}, which is no earlier file of the archive; links are not followed"
                    );
                    tree.leave_out(&name, at, ErrorKind::Unsupported, detail)?;
                }
                Ok(true)
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().map(|t| t.into_owned()).unwrap_or_default();
                let detail = format!("a link to {:?}; links are not followed", String::from_utf8_lossy(&target));
                tree.leave_out(&name, at, ErrorKind::Unsupported, detail)?;
                Ok(true)
            }
            other => {
                let detail = format!("{}, which is not read", kind_name(other));
                tree.leave_out(&name, at, ErrorKind::Unsupported, detail)?;
                self.skip(tree, entry, kind)
            }
        }
    }

    /// Reads over the data of a member. A sparse one would give its holes as zeros; the next header skips it.
    fn skip(&self, tree: &mut Tree, entry: &mut Entry<'_, impl Read>, kind: EntryType) -> Result<bool> {
        if kind.is_gnu_sparse() {
            return Ok(true);
        }
        let size = entry.size();
        match io::copy(entry, &mut io::sink()) {
            Ok(n) if n == size => Ok(true),
            Ok(_) => self.damage(tree, &io::ErrorKind::UnexpectedEof.into(), Place::BetweenMembers).map(|()| false),
            Err(e) => self.damage(tree, &e, Place::BetweenMembers).map(|()| false),
        }
    }

    /// An extended header for all that follows: a comment is harmless, names and sizes are not.
    fn global_header(&self, tree: &mut Tree, entry: &mut Entry<'_, impl Read>) -> Result<bool> {
        let at = entry.raw_header_position();
        let mut bytes = Vec::new();
        let size = entry.size();
        let read = entry.take(MAX_GLOBAL_BYTES).read_to_end(&mut bytes);
        if let Err(e) = read {
            return self.damage(tree, &e, Place::BetweenMembers).map(|()| false);
        }
        let matters = |key: &[u8]| matches!(key, b"path" | b"size" | b"linkpath") || key.starts_with(b"GNU.sparse.");
        if size > MAX_GLOBAL_BYTES || PaxExtensions::new(&bytes).flatten().any(|x| matters(x.key_bytes())) {
            return Err(Error::new(
                ErrorKind::Ambiguous,
                format!("the header at byte {at} of the tar sets names or sizes for all that follow; tools differ in what they make of it"),
            )
            .hint("pack the data again, or unpack them with a tool that you trust and give the folder"));
        }
        Ok(true)
    }

    /// What follows the end marker: zeros, and the checksum of the compressed stream.
    fn rest(&self, tree: &mut Tree, stream: &mut impl Read) -> Result<()> {
        let mut buffer = vec![0u8; READ_BYTES];
        let mut stray = None;
        loop {
            let before = self.shared.unpacked();
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    let found = buffer.iter().take(n).position(|b| *b != 0);
                    stray = stray.or(found.map(|i| before + i as u64));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return self.damage(tree, &e, Place::BehindTheEnd),
            }
        }
        if let Some(at) = stray {
            let detail = format!(
                "data follow the end marker, from byte {at} of the tar on; they were not read (tars that were joined? pack the data as one)"
            );
            tree.lose_rest((!self.is_compressed).then_some(at), ErrorKind::Unsupported, detail);
        }
        Ok(())
    }

    /// The archive ends here, without saying so.
    fn cut(&self, tree: &mut Tree, why: &str) {
        let detail = format!("{why}: what followed byte {} of the tar is missing", self.shared.unpacked());
        tree.lose_rest(Some(self.shared.consumed()), ErrorKind::Truncated, detail);
    }

    /// The archive cannot be read on. Everything before is used, of the member inside which it happened the part that
    /// was read: its own checksums decide. Errs for what a flag or another disk would change.
    fn damage(&self, tree: &mut Tree, error: &io::Error, place: Place<'_>) -> Result<()> {
        if self.shared.is_stopped() {
            // `spool` takes the reason from where it was left.
            return Err(Error::new(ErrorKind::Io, plain_io(error)));
        }
        let broken = self.shared.broken.take();
        let text = plain_io(broken.as_ref().unwrap_or(error));
        if broken.is_some() && text.contains("too much memory") {
            let window = size(self.shared.limits().max_zstd_window);
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("a zstd frame needs a window of more than {window}"),
            )
            .hint("--max-zstd-window SIZE allows more; decoding takes that much memory"));
        }
        let place = match place {
            Place::Inside { name, got, declared } => {
                let detail = format!("{got} of {declared} bytes could be read");
                tree.lose(Some(name), &name.text(), ErrorKind::Truncated, detail);
                format!("inside {}", crate::labels::printable(&name.text()))
            }
            Place::BetweenMembers => "between two members".to_owned(),
            Place::BehindTheEnd => "behind its end marker".to_owned(),
        };
        let is_cut = match &broken {
            Some(e) => e.kind() == io::ErrorKind::UnexpectedEof,
            None => self.shared.ended.get(),
        };
        if is_cut {
            self.cut(tree, &format!("the archive ends {place}"));
            return Ok(());
        }
        let at = self.shared.unpacked();
        let (kind, offset) = match &broken {
            Some(_) if text.contains("checksum") => (ErrorKind::Checksum, None),
            Some(_) => (ErrorKind::Malformed, None),
            None => (ErrorKind::Malformed, (!self.is_compressed).then_some(at)),
        };
        let detail =
            format!("the archive is damaged {place} ({text}): nothing from byte {at} of the tar on could be read");
        tree.lose_rest(offset, kind, detail);
        Ok(())
    }
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a link",
        EntryType::Char => "a character device",
        EntryType::Block => "a block device",
        EntryType::Directory => "a folder",
        EntryType::Fifo => "a pipe",
        _ => "a member of an unknown type",
    }
}
