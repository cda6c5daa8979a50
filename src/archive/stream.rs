//! What the readers of one archive share: limits, counts, and why a read failed.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::{Limits, RATIO_APPLIES_FROM};
use crate::error::{Error, ErrorKind};

/// Bytes of headers in front of one member: long names, extended headers, maps of sparse files. They are held in
/// memory, so this bounds it.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// The accounts of one archive. Readers sit below crates that only pass [`io::Error`]s on, so the real reason of a
/// failure is left here.
pub(super) struct Shared {
    limits: Limits,
    /// Bytes of the archive file.
    length: u64,
    /// Bytes read of the archive file, of a sequential reader.
    consumed: Cell<u64>,
    /// Bytes of the unpacked stream.
    unpacked: Cell<u64>,
    /// Bytes of members.
    spooled: Cell<u64>,
    /// Bytes that may still be read before the next member starts; `None` inside one.
    header_budget: Cell<Option<u64>>,
    /// The unpacked stream is at its end.
    pub(super) ended: Cell<bool>,
    /// The operating system could not read the archive.
    pub(super) failed: Cell<Option<io::Error>>,
    /// A limit was exceeded.
    pub(super) tripped: Cell<Option<Error>>,
    /// The compressed stream makes no sense from here on.
    pub(super) broken: Cell<Option<io::Error>>,
}

impl Shared {
    pub(super) fn new(limits: Limits, length: u64) -> Shared {
        Shared {
            limits,
            length,
            consumed: Cell::new(0),
            unpacked: Cell::new(0),
            spooled: Cell::new(0),
            header_budget: Cell::new(None),
            ended: Cell::new(false),
            failed: Cell::new(None),
            tripped: Cell::new(None),
            broken: Cell::new(None),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes read of the archive file so far.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.get()
    }

    /// Bytes of the unpacked stream so far.
    pub(super) fn unpacked(&self) -> u64 {
        self.unpacked.get()
    }

    /// Bytes of members so far.
    pub(super) fn spooled(&self) -> u64 {
        self.spooled.get()
    }

    /// Allows the headers of the next member, and `skipped` bytes of the last one that nobody read.
    pub(super) fn between_members(&self, skipped: u64) {
        self.header_budget.set(Some(MAX_HEADER_BYTES.saturating_add(skipped)));
    }

    /// The headers are read.
    pub(super) fn inside_member(&self) {
        self.header_budget.set(None);
    }

    /// Whether a read stopped for a reason that ends it all.
    pub(super) fn is_stopped(&self) -> bool {
        let (failed, tripped) = (self.failed.take(), self.tripped.take());
        let stopped = failed.is_some() || tripped.is_some();
        self.failed.set(failed);
        self.tripped.set(tripped);
        stopped
    }

    /// Counts bytes of members; errs where a limit is exceeded.
    pub(super) fn add_spooled(&self, bytes: u64) -> Result<(), Error> {
        let total = self.spooled.get().saturating_add(bytes);
        self.spooled.set(total);
        self.check(total)
    }

    /// Errs where `total` bytes are more than the archive may unpack to.
    pub(super) fn check(&self, total: u64) -> Result<(), Error> {
        if total > self.limits.max_total_bytes {
            let most = size(self.limits.max_total_bytes);
            return Err(Error::new(ErrorKind::Unsupported, format!("the archive unpacks to more than {most}"))
                .hint("--max-total-bytes SIZE allows more"));
        }
        if total > RATIO_APPLIES_FROM && total > self.length.saturating_mul(self.limits.max_ratio) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the archive of {} unpacks to more than {} times its size, as bombs do",
                    size(self.length),
                    self.limits.max_ratio
                ),
            )
            .hint("--max-ratio N allows more, if you know where it comes from"));
        }
        Ok(())
    }
}

/// A number of bytes for a person.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 30 && b % (1 << 30) == 0 => format!("{} GiB", b >> 30),
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b => format!("{b} bytes"),
    }
}

/// The archive file itself.
pub(super) struct Raw {
    file: File,
    shared: Rc<Shared>,
}

impl Raw {
    pub(super) fn new(file: File, shared: Rc<Shared>) -> Raw {
        Raw { file, shared }
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Ok(n) => {
                self.shared.consumed.set(self.shared.consumed.get() + n as u64);
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                let passed_on = io::Error::new(e.kind(), e.to_string());
                self.shared.failed.set(Some(e));
                Err(passed_on)
            }
        }
    }
}

impl Seek for Raw {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The stream that a decompressor gives, counted and limited.
pub(super) struct Unpacked<R> {
    inner: R,
    shared: Rc<Shared>,
}

impl<R: Read> Unpacked<R> {
    pub(super) fn new(inner: R, shared: Rc<Shared>) -> Unpacked<R> {
        Unpacked { inner, shared }
    }

    fn stop(&self, error: Error) -> io::Error {
        self.shared.tripped.set(Some(error));
        io::Error::other("a limit was exceeded")
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let shared = self.shared.clone();
        let mut buffer = buffer;
        if let Some(left) = shared.header_budget.get() {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            if most == 0 && !buffer.is_empty() {
                return Err(self.stop(
                    Error::new(
                        ErrorKind::Malformed,
                        format!(
                            "the headers in front of one member take more than {} (byte {} of the tar)",
                            size(MAX_HEADER_BYTES),
                            shared.unpacked()
                        ),
                    )
                    .hint("pack the data again with plain names, or unpack them and give the folder"),
                ));
            }
            buffer = buffer.get_mut(..most).unwrap_or_default();
        }
        match self.inner.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                shared.ended.set(true);
                Ok(0)
            }
            Ok(n) => {
                let total = shared.unpacked.get().saturating_add(n as u64);
                shared.unpacked.set(total);
                if let Some(left) = shared.header_budget.get() {
                    shared.header_budget.set(Some(left.saturating_sub(n as u64)));
                }
                shared.check(total).map_err(|e| self.stop(e))?;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                let passed_on = io::Error::new(e.kind(), e.to_string());
                shared.broken.set(Some(e));
                Err(passed_on)
            }
        }
    }
}
