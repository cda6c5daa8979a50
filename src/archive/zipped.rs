//! Zips, read by their central directory; without one, from front to back.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::rc::Rc;

use zip::CompressionMethod;
use zip::read::{Config, ZipFile, ZipReadOptions, read_zipfile_from_stream};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::name::PlainName;
use super::stream::{Raw, Shared};
use super::tree::{Filled, Tree};
use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::labels::printable;

const READ_BYTES: usize = 1 << 16;
/// What may stand between two members: a data descriptor, at most 24 bytes.
const MAX_DESCRIPTOR_BYTES: u64 = 24;
const TYPE_BITS: u32 = 0o170_000;

type Reader = BufReader<Raw>;

/// Spools every member; `list` and `data` are the same file, opened twice.
pub(super) fn walk(tree: &mut Tree, shared: &Rc<Shared>, list: File, data: File) -> Result<()> {
    let reader = |file| BufReader::with_capacity(READ_BYTES, Raw::new(file, shared.clone()));
    let mut data = reader(data);
    let why = match ZipIterable::try_new(reader(list), Config::default()) {
        Ok(zip) => {
            let mut zip = zip.enforce_header_consistency(true);
            match check(&mut zip, shared)? {
                Checked::Sound(gaps) => {
                    for gap in gaps {
                        tree.note(gap);
                    }
                    return members(tree, shared, &mut zip, &mut data);
                }
                Checked::Damaged(why) => why,
            }
        }
        Err(e) => plain(&e),
    };
    if shared.is_stopped() {
        return Err(Error::new(ErrorKind::Io, why));
    }
    streamed(tree, shared, &mut data, &why)
}

enum Checked {
    /// The directory and the members agree; notes about bytes that belong to neither.
    Sound(Vec<String>),
    /// The directory cannot be read, or points at something that is no member.
    Damaged(String),
}

/// Reads the directory once without the data. Errs where it exceeds a limit or contradicts the members' own headers.
fn check(zip: &mut ZipIterable<Reader>, shared: &Shared) -> Result<Checked> {
    let most = shared.limits().max_entries;
    if zip.len() as u64 > most {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the archive has {} members, and at most {most} are read", zip.len()),
        )
        .hint("--max-entries N allows more"));
    }
    let files = match zip.files() {
        Ok(files) => files,
        Err(e) => return Ok(Checked::Damaged(plain(&e))),
    };
    let mut total = 0u64;
    let mut spans: Vec<(u64, u64, String)> = Vec::new();
    let mut last = String::new();
    for entry in files.by_ref() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(ZipError::InvalidArchive(why)) if why.contains("inconsistency") => {
                let after = if last.is_empty() { String::new() } else { format!(", behind `{}`", printable(&last)) };
                return Err(ambiguous(format!(
                    "a member and the zip's directory contradict each other ({}){after}",
                    printable(why.trim_start_matches("header inconsistency detected: "))
                )));
            }
            Err(e) => return Ok(Checked::Damaged(plain(&e))),
        };
        total = total.saturating_add(entry.size());
        shared.check(total)?;
        last = String::from_utf8_lossy(entry.name_raw()).chars().take(200).collect();
        let least = entry.header_start().saturating_add(30 + entry.name_raw().len() as u64);
        spans.push((entry.header_start(), least.saturating_add(entry.compressed_size()), last.clone()));
    }
    spans.sort();
    let mut gaps = Vec::new();
    for (a, b) in spans.iter().zip(spans.iter().skip(1)) {
        if a.1 > b.0 {
            let (a, b) = (printable(&a.2), printable(&b.2));
            return Err(ambiguous(format!("the members `{a}` and `{b}` overlap, as in bombs")));
        }
        // Extra fields of a local header are at most 64 KiB, and are not known here.
        if b.0 - a.1 > u64::from(u16::MAX) + MAX_DESCRIPTOR_BYTES {
            gaps.push(format!(
                "bytes {} to {} of the zip belong to no member of its directory and were not read",
                a.1, b.0
            ));
        }
    }
    if let Some((start @ 1.., ..)) = spans.first() {
        gaps.push(format!("the first {start} bytes of the zip belong to no member of its directory and were not read"));
    }
    gaps.truncate(20);
    Ok(Checked::Sound(gaps))
}

fn ambiguous(what: String) -> Error {
    Error::new(ErrorKind::Ambiguous, format!("{what}; tools differ in what they make of it"))
        .hint("pack the data again, or unpack them with a tool that you trust and give the folder")
}

fn members(tree: &mut Tree, shared: &Shared, zip: &mut ZipIterable<Reader>, data: &mut Reader) -> Result<()> {
    let files = zip.files().map_err(|e| Error::new(ErrorKind::Malformed, plain(&e)))?;
    for entry in files.by_ref() {
        let entry = entry.map_err(|e| Error::new(ErrorKind::Malformed, plain(&e)))?;
        tree.count()?;
        let at = entry.header_start();
        let text = match entry.name() {
            Ok(name) => name.into_owned(),
            Err(_) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
        };
        let Some(name) = tree.name(text.as_bytes(), at) else { continue };
        let (mode, declared, method) = (entry.unix_mode(), entry.size(), entry.compression());
        if text.ends_with('/') {
            tree.folder(&name, at)?;
            if declared > 0 {
                tree.lose(
                    Some(&name),
                    &name.text(),
                    ErrorKind::Malformed,
                    format!("a folder with {declared} bytes of data"),
                );
            }
            continue;
        }
        let what = match mode.map(|m| m & TYPE_BITS) {
            None | Some(0 | 0o100_000) => None,
            Some(0o120_000) => Some("a link; links are not followed"),
            Some(0o040_000) => Some("a folder with a file's name"),
            Some(_) => Some("a device or a pipe, which is not read"),
        };
        if let Some(what) = what {
            tree.leave_out(&name, at, ErrorKind::Unsupported, what.to_owned())?;
            continue;
        }
        if let Some(why) = cannot_unpack(method) {
            tree.leave_out(&name, at, ErrorKind::Unsupported, why)?;
            continue;
        }
        match entry.with_reader(data, ZipReadOptions::new()) {
            Ok(mut file) => spool(tree, shared, &name, at, declared, &mut file)?,
            Err(e) => refused(tree, shared, &name, at, &e)?,
        }
    }
    Ok(())
}

/// Copies one member; a failure costs this member only, and what could be read of it stays.
fn spool(
    tree: &mut Tree,
    shared: &Shared,
    name: &PlainName,
    at: u64,
    declared: u64,
    file: &mut impl Read,
) -> Result<()> {
    let Filled::Short { got, why } = tree.file(name, at, declared, file)? else { return Ok(()) };
    if shared.is_stopped() {
        return Err(Error::new(ErrorKind::Io, "stopped"));
    }
    let (kind, why) = match why {
        None => (ErrorKind::Truncated, "the compressed data end early".to_owned()),
        Some(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            (ErrorKind::Truncated, "the archive ends early".to_owned())
        }
        Some(e) if e.to_string() == "Invalid checksum" => {
            (ErrorKind::Checksum, "the zip's CRC-32 does not match".to_owned())
        }
        Some(e) => (ErrorKind::Malformed, plain_io(&e)),
    };
    tree.lose(Some(name), &name.text(), kind, format!("{why}; {got} of {declared} bytes could be read, at byte {at}"));
    Ok(())
}

/// Why a member that is compressed so cannot be read.
fn cannot_unpack(method: CompressionMethod) -> Option<String> {
    let is_read = matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated);
    (!is_read).then(|| format!("compressed with {method}, which is not read; stored and deflated members are"))
}

/// A member whose data cannot be read at all.
fn refused(tree: &mut Tree, shared: &Shared, name: &PlainName, at: u64, error: &ZipError) -> Result<()> {
    if shared.is_stopped() {
        return Err(Error::new(ErrorKind::Io, plain(error)));
    }
    let (kind, detail) = match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            (ErrorKind::Unsupported, "encrypted; pack the data without a password".to_owned())
        }
        ZipError::UnsupportedArchive(_) => (ErrorKind::Unsupported, plain(error)),
        ZipError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            (ErrorKind::Truncated, "the archive ends before it".to_owned())
        }
        other => (ErrorKind::Malformed, plain(other)),
    };
    tree.leave_out(name, at, kind, detail)
}

/// Without a directory: member after member by their own headers, up to where that ends. The rest is lost.
fn streamed(tree: &mut Tree, shared: &Shared, data: &mut Reader, why: &str) -> Result<()> {
    let position = |data: &mut Reader| data.stream_position().unwrap_or(shared.consumed());
    data.rewind().map_err(|e| Error::new(ErrorKind::Io, plain_io(&e)))?;
    let (end, stopped_by) = loop {
        let at = position(data);
        // What a data descriptor's member left unread would be taken for a header.
        let mut file: ZipFile<'_, Reader> = match read_zipfile_from_stream(data) {
            Ok(Some(file)) => file,
            Ok(None) => break (at, "its directory starts there".to_owned()),
            Err(ZipError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof => break (at, "the file ends".to_owned()),
            Err(e) => break (at, plain(&e)),
        };
        tree.count()?;
        let text = match file.name() {
            Ok(name) => name.into_owned(),
            Err(_) => String::from_utf8_lossy(file.name_raw()).into_owned(),
        };
        let declared = file.size();
        let Some(name) = tree.name(text.as_bytes(), at) else { continue };
        if text.ends_with('/') {
            tree.folder(&name, at)?;
        } else if let Some(why) = cannot_unpack(file.compression()) {
            tree.leave_out(&name, at, ErrorKind::Unsupported, why)?;
        } else {
            spool(tree, shared, &name, at, declared, &mut file)?;
        }
    };
    if shared.is_stopped() {
        return Err(Error::new(ErrorKind::Io, stopped_by));
    }
    let detail = format!(
        "the zip has no directory that can be read ({}), so it was cut or damaged: members up to byte {end} were read by their own headers, then {stopped_by}",
        printable(why)
    );
    tree.lose_rest(Some(end), ErrorKind::Truncated, detail);
    Ok(())
}

/// The crate's message, without the prefix that says what kind it is.
fn plain(error: &ZipError) -> String {
    match error {
        ZipError::Io(e) => plain_io(e),
        ZipError::InvalidArchive(why) => printable(why),
        other => printable(&other.to_string()),
    }
}
