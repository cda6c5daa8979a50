//! Row groups where they lie: found by the footer of their file, read as one piece whose checksum is verified before
//! anything in it is believed, and not handed to the Parquet library where they claim more than a row group of ours can be.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use sha2::{Digest, Sha256};

use super::manifest::FileEntry;
use super::part::{DATASET_KEY, GROUPS_KEY};
use super::thrift::{Walk, kind};
use crate::error::ErrorKind;
use crate::raw::{crc32c, hex};
use crate::time::Interval;

/// Elements of the schema in a footer, at most: more than any table of ours has.
const MOST_SCHEMA_ELEMENTS: usize = 1024;
/// Values in one page, at most. A row of conflicts is never cut, and a series with so many would be years long.
const MOST_VALUES: i64 = 1 << 26;
/// What a column may unfold to, beside [`MOST_RATIO`] times its bytes.
const FREE_BYTES: i64 = 64 << 20;
/// The most that is written here, labels of many equal series, unfolds to a fifth of this.
const MOST_RATIO: i64 = 256;
/// The encodings that are written here, by their numbers. Others could unfold without bound.
const ENCODINGS: [i64; 6] = [0, 2, 3, 5, 8, 9];
/// Rows of a table that are decoded at once, where their dictionaries are small.
const BATCH_ROWS: usize = 1024;
/// What one column of a batch may take if every row is the largest entry of a dictionary.
const BATCH_BYTES: usize = 1 << 28;

/// Where something is damaged, how, and in words.
pub(super) type Damage = (Option<u64>, ErrorKind, String);

/// What the Parquet library says of bytes.
pub(super) fn damaged(e: ParquetError) -> Damage {
    (None, ErrorKind::Malformed, format!("it cannot be decoded: {e}"))
}

/// The columns of another release.
pub(super) fn unexpected() -> Damage {
    (None, ErrorKind::Malformed, "its columns are not those of this release".to_owned())
}

fn excessive(what: &str) -> Damage {
    (None, ErrorKind::Malformed, format!("{what}: more than a dataset has"))
}

fn unreadable(e: &std::io::Error) -> Damage {
    match e.kind() {
        std::io::ErrorKind::NotFound => (None, ErrorKind::Missing, "the file is not there".to_owned()),
        _ => (None, ErrorKind::Io, format!("it cannot be read: {}", crate::error::plain_io(e))),
    }
}

thread_local! {
    /// Whether a panic of this thread will be caught.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a part of the Parquet library. What it does with bytes whose digests somebody made fit is not ours to know: if it
/// panics, the bytes are lost and the process goes on.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    let gave_up = |_| Err((None, ErrorKind::Malformed, "the Parquet library cannot make sense of it".to_owned()));
    GUARDED.set(true);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    GUARDED.set(false);
    outcome.unwrap_or_else(gave_up)
}

/// Keeps panics of the Parquet library, which become losses, from being told on standard error. For the whole process, to
/// be called once at its start.
pub fn hush_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |about| {
        if !GUARDED.get() {
            usual(about);
        }
    }));
}

/// A row group of a file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
    footer: Arc<ParquetMetaData>,
    group: usize,
    crc: u32,
}

impl Place {
    /// The row groups of a file of the dataset `dataset_id`, none of more than `most_rows` rows.
    pub(super) fn all(path: &Path, entry: &FileEntry, dataset_id: &str, most_rows: u64) -> Result<Vec<Place>, Damage> {
        let digest = entry.footer.as_ref().ok_or_else(unexpected)?;
        let mut open = File::open(path).map_err(|e| unreadable(&e))?;
        let found = open.metadata().map_err(|e| unreadable(&e))?.len();
        if found != entry.bytes || digest.from > found {
            return Err((None, ErrorKind::Truncated, format!("{found} bytes; the manifest says {}", entry.bytes)));
        }
        let mut tail = Vec::new();
        open.seek(SeekFrom::Start(digest.from)).map_err(|e| unreadable(&e))?;
        open.read_to_end(&mut tail).map_err(|e| unreadable(&e))?;
        if hex(&Sha256::digest(&tail)) != digest.sha256 {
            let detail = "its footer is not the one that the manifest knows, so its row groups cannot be found";
            return Err((Some(digest.from), ErrorKind::Checksum, detail.to_owned()));
        }
        check_footer(&tail)?;
        let footer = guarded(|| footer_of(&Piece { from: digest.from, bytes: Bytes::from(tail) }))?;
        let about = |key: &str| {
            let all = footer.file_metadata().key_value_metadata()?;
            all.iter().find(|kv| kv.key == key)?.value.clone()
        };
        if about(DATASET_KEY).as_deref() != Some(dataset_id) {
            return Err((None, ErrorKind::Malformed, "it is a file of another dataset".to_owned()));
        }
        let crcs: Option<Vec<u32>> = about(GROUPS_KEY)
            .filter(|text| !text.is_empty())
            .map_or(Some(Vec::new()), |text| text.split(',').map(|c| u32::from_str_radix(c, 16).ok()).collect());
        let crcs = crcs.filter(|c| c.len() == footer.num_row_groups()).ok_or_else(unexpected)?;
        let footer = Arc::new(footer);
        let place = |(group, crc)| Place { path: path.to_path_buf(), footer: footer.clone(), group, crc };
        let places: Vec<Place> = crcs.into_iter().enumerate().map(place).collect();
        places.iter().try_for_each(|p| check_group(p.about(), most_rows))?;
        let rows: u64 = places.iter().map(Place::rows).sum();
        if rows != entry.rows {
            return Err((None, ErrorKind::Malformed, format!("{rows} rows; the manifest says {}", entry.rows)));
        }
        Ok(places)
    }

    /// What the footer says of it.
    pub(super) fn about(&self) -> &RowGroupMetaData {
        self.footer.row_group(self.group)
    }

    /// The whole footer.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        &self.footer
    }

    /// Which row group of its file it is.
    pub(super) fn group(&self) -> usize {
        self.group
    }

    /// Its rows.
    pub(super) fn rows(&self) -> u64 {
        self.about().num_rows() as u64
    }

    /// Its series and times, by the statistics of its first two columns.
    pub(super) fn cover(&self) -> Option<((i64, i64), Interval)> {
        let range = |of: usize| match self.about().columns().get(of)?.statistics()? {
            Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)),
            _ => None,
        };
        let (first, last) = range(1)?;
        Some((range(0)?, Interval::new(first, last)))
    }

    /// Reads it whole, and verifies its checksum and what its pages claim.
    pub(super) fn load(&self) -> Result<Piece, Damage> {
        let ranges = || self.about().columns().iter().map(|c| c.byte_range());
        let from = ranges().map(|(at, _)| at).min().unwrap_or(0);
        let end = ranges().map(|(at, length)| at.saturating_add(length)).max().unwrap_or(0);
        let mut file = File::open(&self.path).map_err(|e| unreadable(&e))?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).map_err(|e| unreadable(&e))?;
        file.take(end.saturating_sub(from)).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
        let computed = crc32c(&bytes);
        if computed != self.crc {
            let detail = format!("the checksum of the row group is {computed:08x}; the footer says {:08x}", self.crc);
            return Err((Some(from), ErrorKind::Checksum, detail));
        }
        let piece = Piece { from, bytes: Bytes::from(bytes) };
        check_pages(&piece, self.about())?;
        Ok(piece)
    }

    /// Decodes it as a table, batch by batch.
    pub(super) fn batches(
        &self,
        piece: Piece,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Damage>> + use<>, Damage> {
        let dictionary = self.about().columns().iter().filter(|c| c.dictionary_page_offset().is_some());
        let largest = dictionary.map(|c| c.uncompressed_size()).max().unwrap_or(0);
        let rows = (BATCH_BYTES / usize::try_from(largest).unwrap_or(0).max(1)).clamp(1, BATCH_ROWS);
        let reader = ArrowReaderMetadata::try_new(self.footer.clone(), ArrowReaderOptions::new())
            .and_then(|about| {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(piece, about);
                builder.with_row_groups(vec![self.group]).with_batch_size(rows).build()
            })
            .map_err(damaged)?;
        Ok(reader.map(|batch| batch.map_err(|e| damaged(e.into()))))
    }
}

/// A piece of a file in memory, under the offsets of the file.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    from: u64,
    bytes: Bytes,
}

impl Piece {
    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    fn at(&self, start: u64) -> Result<Bytes, ParquetError> {
        let skip = start.checked_sub(self.from).filter(|s| *s <= self.bytes.len() as u64);
        skip.map(|s| self.bytes.slice(s as usize..)).ok_or_else(|| ParquetError::EOF(format!("byte {start}")))
    }
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }
}

impl ChunkReader for Piece {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.at(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let rest = self.at(start)?;
        if length > rest.len() {
            return Err(ParquetError::EOF(format!("{length} bytes at byte {start}")));
        }
        Ok(rest.slice(..length))
    }
}

fn footer_of(tail: &Piece) -> Result<ParquetMetaData, Damage> {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(tail)
        .map_err(damaged)
}

/// Walks over the footer at the end of `tail`: it is Thrift to its end, and its schema is none to recurse into without end.
fn check_footer(tail: &[u8]) -> Result<(), Damage> {
    let footer = || {
        let (rest, _magic) = tail.split_last_chunk::<4>()?;
        let (rest, length) = rest.split_last_chunk::<4>()?;
        rest.get(rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?..)
    };
    let mut elements = 0;
    let walked = footer().and_then(|footer| {
        Walk::new(footer).fields(|walk, id, kind| {
            if (id, kind) == (2, kind::LIST) {
                // A look ahead, on a copy.
                elements = { *walk }.list()?.0;
            }
            Some(false)
        })
    });
    match walked {
        None => Err((None, ErrorKind::Malformed, "its footer cannot be read".to_owned())),
        Some(()) if elements > MOST_SCHEMA_ELEMENTS => Err(excessive(&format!("a schema of {elements} elements"))),
        Some(()) => Ok(()),
    }
}

/// What the footer says of a row group is what one of ours can be: memory is set aside by it.
fn check_group(about: &RowGroupMetaData, most_rows: u64) -> Result<(), Damage> {
    if !u64::try_from(about.num_rows()).is_ok_and(|rows| rows <= most_rows) {
        return Err(excessive(&format!("a row group of {} rows", about.num_rows())));
    }
    for column in about.columns() {
        let (compressed, unfolded) = (column.compressed_size(), column.uncompressed_size());
        let places = [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(compressed)];
        if places.into_iter().flatten().any(|o| o < 0) {
            return Err((None, ErrorKind::Malformed, "a column lies before the file".to_owned()));
        }
        if unfolded > compressed.saturating_mul(MOST_RATIO).saturating_add(FREE_BYTES) {
            return Err(excessive(&format!("a column of {compressed} bytes that unfold to {unfolded}")));
        }
    }
    Ok(())
}

/// Walks over the headers of all pages of a row group: together they claim no more than their column does.
fn check_pages(piece: &Piece, about: &RowGroupMetaData) -> Result<(), Damage> {
    for column in about.columns() {
        let (mut at, length) = column.byte_range();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut rest = piece.get_bytes(at, length).map_err(damaged)?;
        let mut left = column.uncompressed_size();
        while !rest.is_empty() {
            let broken = |what: &str| (Some(at), ErrorKind::Malformed, what.to_owned());
            let header = PageHeader::read(&rest).ok_or_else(|| broken("the header of a page cannot be read"))?;
            let size = usize::try_from(header.compressed).ok().and_then(|size| size.checked_add(header.bytes));
            let size =
                size.filter(|size| *size <= rest.len()).ok_or_else(|| broken("a page ends behind its column"))?;
            left = left.saturating_sub(header.unfolded);
            if header.unfolded < 0 || left < 0 || !(0..=MOST_VALUES).contains(&header.values) {
                return Err(broken("a page claims more than its column has"));
            }
            if !ENCODINGS.contains(&header.encoding) {
                return Err(broken(&format!(
                    "a page of encoding {}, in which nothing is written here",
                    header.encoding
                )));
            }
            rest.advance(size);
            at += size as u64;
        }
    }
    Ok(())
}

/// What the header of a page says (`PageHeader` in `apache/parquet-format: src/main/thrift/parquet.thrift`).
#[derive(Debug, Default)]
struct PageHeader {
    /// The length of the header itself.
    bytes: usize,
    unfolded: i64,
    compressed: i64,
    values: i64,
    encoding: i64,
}

impl PageHeader {
    fn read(bytes: &[u8]) -> Option<PageHeader> {
        let mut header = PageHeader::default();
        let mut walk = Walk::new(bytes);
        walk.fields(|walk, id, kind| {
            match (id, kind) {
                (2, kind::I32) => header.unfolded = walk.integer()?,
                (3, kind::I32) => header.compressed = walk.integer()?,
                // What it says of a data page, a dictionary, or a data page of version 2.
                (5 | 7 | 8, kind::STRUCT) => walk.fields(|walk, field, kind| {
                    match (field, kind) {
                        (1, kind::I32) => header.values = walk.integer()?,
                        (2, kind::I32) if id != 8 => header.encoding = walk.integer()?,
                        (4, kind::I32) if id == 8 => header.encoding = walk.integer()?,
                        _ => return Some(false),
                    }
                    Some(true)
                })?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        header.bytes = walk.at();
        Some(header)
    }
}
