//! Files of dumps: which there are, what is in them, and their bytes without compression.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::archive::Kind;
use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::scrape::{Event, Form, Reader, Sniffed, sniff};

/// Bytes that tell the form.
const HEAD_BYTES: u64 = 64 << 10;
/// Folders below a SOURCE that are looked through, and files in them.
const MAX_DEPTH: usize = 10;
const MAX_FILES: usize = 1_000_000;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, of one member or several.
    Gzip,
    /// zstd, of one frame or several.
    Zstd,
}

/// A file that may be a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// The same relative to the root, with `/`; the name of a root that is a file.
    pub rel: String,
    /// Its length as it lies there.
    pub bytes: u64,
}

/// The regular files of a root, or a root that is one, in the order of their paths. Links and hidden files are left out, and
/// what macOS adds to archives.
pub fn files(root: &Path) -> Result<Vec<Found>> {
    list(root).map(|(files, _)| files)
}

/// The same, and the paths of links, pipes and the like, which are not followed.
pub(super) fn list(root: &Path) -> Result<(Vec<Found>, Vec<String>)> {
    let meta = std::fs::metadata(root).map_err(|e| Error::io(root, "open it", &e))?;
    let (mut out, mut not_followed) = (Vec::new(), Vec::new());
    if meta.is_dir() {
        walk(root, "", 0, &mut out, &mut not_followed)?;
        out.sort_by(|a, b| a.rel.cmp(&b.rel));
        not_followed.sort();
    } else {
        let rel = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        out.push(Found { path: root.to_path_buf(), rel, bytes: meta.len() });
    }
    Ok((out, not_followed))
}

fn walk(dir: &Path, rel: &str, depth: usize, out: &mut Vec<Found>, not_followed: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, "list it", &e))? {
        let entry = entry.map_err(|e| Error::io(dir, "list it", &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (path, kind) = (entry.path(), entry.file_type().map_err(|e| Error::io(&entry.path(), "open it", &e))?);
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let rel = if rel.is_empty() { name } else { format!("{rel}/{name}") };
        if kind.is_dir() && depth < MAX_DEPTH {
            match walk(&path, &rel, depth + 1, out, not_followed) {
                // A folder of somebody else's, such as lost+found, does not hide the files beside it.
                Err(e) if e.kind() == ErrorKind::Permission => {}
                walked => walked?,
            }
        } else if kind.is_file() {
            let bytes = entry.metadata().map_err(|e| Error::io(&path, "open it", &e))?.len();
            out.push(Found { path, rel, bytes });
        } else if !kind.is_dir() {
            not_followed.push(rel);
        }
        if out.len() > MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files here, which is more than are read as dumps");
            return Err(Error::new(ErrorKind::Unsupported, message).at(dir).hint("give parts of it"));
        }
    }
    Ok(())
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A dump of a known form.
    Dump(Sniffed),
    /// Nothing but blanks.
    Empty,
    /// JSON of another kind, without a fault as far as it was looked at.
    Json,
    /// Something else, in words.
    Other(&'static str),
    /// Compressed, and so cut or damaged that what comes out of it tells nothing. Why, in words.
    Damaged(String),
}

/// A file without its compression, behind a look at its first bytes.
pub struct Opened {
    /// How it is compressed.
    pub packing: Packing,
    /// What it is.
    pub content: Content,
    /// All of its bytes, from the first one on.
    pub bytes: Box<dyn Read + Send>,
}

/// Opens a file. `max_zstd_window` bounds the memory of decoding. Errs where it cannot be read; what its bytes are worth is
/// found by reading them.
pub fn open(path: &Path, max_zstd_window: u64) -> Result<Opened> {
    let failed = |e: &io::Error| Error::io(path, "read it", e);
    let mut file = File::open(path).map_err(|e| Error::io(path, "open it", &e))?;
    let mut magic = Vec::with_capacity(4);
    (&mut file).take(4).read_to_end(&mut magic).map_err(|e| failed(&e))?;
    let packing = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Packing::Zstd,
        _ => Packing::Plain,
    };
    let raw = BufReader::with_capacity(1 << 16, Cursor::new(magic).chain(file));
    let mut rest: Box<dyn Read + Send> = match packing {
        Packing::Plain => Box::new(raw),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(|e| failed(&e))?;
            decoder.window_log_max(max_zstd_window.max(1).ilog2()).map_err(|e| failed(&e))?;
            Box::new(decoder)
        }
    };
    let mut head = Vec::new();
    // A cut file may end inside its first bytes; what it has is read, and its end is told behind that.
    let failure = (&mut rest).take(HEAD_BYTES).read_to_end(&mut head).err();
    if packing == Packing::Plain
        && let Some(e) = failure
    {
        return Err(failed(&e));
    }
    let content = match (content(&head), &failure) {
        (Content::Dump(sniffed), _) => Content::Dump(sniffed),
        (_, Some(e)) => Content::Damaged(format!("its compression is cut or damaged near its start: {}", plain_io(e))),
        (content, None) => content,
    };
    Ok(Opened { packing, content, bytes: Box::new(Cursor::new(head).chain(Behind { failure, rest })) })
}

/// What follows the head: perhaps why there is no more of it.
struct Behind {
    failure: Option<io::Error>,
    rest: Box<dyn Read + Send>,
}

impl Read for Behind {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.failure.take().map_or_else(|| self.rest.read(to), Err)
    }
}

fn content(head: &[u8]) -> Content {
    if Kind::of(head).is_some() {
        return Content::Other("an archive; archives inside folders are not opened");
    }
    let sniffed = sniff(head);
    match sniffed.form {
        Form::Empty => Content::Empty,
        Form::Utf16 => Content::Other("text in UTF-16, which has to be converted to UTF-8 first"),
        Form::Answer if is_answer(head) => Content::Dump(sniffed),
        Form::Text(_) if is_mostly_understood(head, sniffed) => Content::Dump(sniffed),
        Form::Answer | Form::Text(_) | Form::Unknown => match json(head) {
            Some(Ok(())) => Content::Json,
            Some(Err(())) => Content::Other("JSON that is damaged or cut"),
            None if is_text(head) => Content::Other("text that no form of a dump explains"),
            None => Content::Other("nothing that a form of a dump explains"),
        },
    }
}

/// Answers with samples name their kind in front, refusals that of the error. Other objects, such as lists of series, have
/// neither.
fn is_answer(head: &[u8]) -> bool {
    let has = |key: &[u8]| memchr::memmem::find(head, key).is_some();
    let refused = || serde_json::from_slice::<Refused>(head).is_ok_and(|r| r.status == "error");
    has(b"\"resultType\"") || has(b"\"errorType\"") || refused()
}

/// What a server, or a proxy in front of it, says instead of an answer.
#[derive(serde::Deserialize)]
struct Refused {
    status: String,
}

/// Lines of UTF-8, perhaps cut, without NUL.
fn is_text(head: &[u8]) -> bool {
    let utf8 = std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    utf8 && head.contains(&b'\n') && !head.contains(&0)
}

/// Whether this is JSON, and if so, whether it is whole or goes on behind the head without a fault.
fn json(head: &[u8]) -> Option<Result<(), ()>> {
    if !head.trim_ascii_start().starts_with(b"{") && !head.trim_ascii_start().starts_with(b"[") {
        return None;
    }
    let goes_on = head.len() as u64 == HEAD_BYTES;
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(head);
    Some(parsed.map(|_| ()).or_else(|e| if e.is_eof() && goes_on { Ok(()) } else { Err(()) }))
}

/// Whether more of the first lines are understood than not: a line of prose may look like a sample.
fn is_mostly_understood(head: &[u8], sniffed: Sniffed) -> bool {
    let Form::Text(dialect) = sniffed.form else { return false };
    let whole = memchr::memrchr(b'\n', head).map_or(head.len(), |n| n + 1);
    let mut reader = Reader::new(head.get(..whole).unwrap_or_default(), dialect).crlf(sniffed.crlf);
    let (mut understood, mut lost) = (0u64, 0u64);
    while let Ok(Some(line)) = reader.next_line() {
        match line.event {
            Event::Fault(fault) => lost += u64::from(fault.loses_line()),
            Event::Comment(_) => {}
            _ => understood += 1,
        }
    }
    understood >= lost
}
