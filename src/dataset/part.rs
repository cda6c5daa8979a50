//! One Parquet file under way: row groups go in, digests come out.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use sha2::{Digest, Sha256};

use super::manifest::{FileEntry, FooterDigest};
use super::samples::SampleGroup;
use super::schema::{self, column};
use crate::error::{Error, ErrorKind, Result};
use crate::raw::hex;
use crate::time::Interval;

/// Rows in one row group of a table that Arrow writes.
const TABLE_GROUP_ROWS: usize = 1 << 16;
/// The key under which every file names its dataset.
pub(super) const DATASET_KEY: &str = "promproof.dataset";
/// The key under which a file of samples has the CRC-32C of each of its row groups, in hex.
pub(super) const GROUPS_KEY: &str = "promproof.row_groups.crc32c";

/// What all files have in common.
fn properties() -> WriterPropertiesBuilder {
    // Level 1 is valid.
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    WriterProperties::builder()
        .set_created_by(concat!("promproof version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Page)
}

/// What every file says about where it belongs.
fn belongs_to(dataset_id: &str) -> KeyValue {
    KeyValue::new(DATASET_KEY.to_owned(), dataset_id.to_owned())
}

/// A new file that is hashed while it is written, its footer once more apart.
struct HashedFile {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    whole: Sha256,
    /// Where the footer begins, and the digest of what is behind.
    footer: Option<(u64, Sha256)>,
}

impl HashedFile {
    fn create(path: &Path) -> Result<HashedFile> {
        let file = File::create_new(path).map_err(|e| Error::io(path, "create it", &e))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(HashedFile { path: path.to_path_buf(), file, bytes: 0, whole: Sha256::new(), footer: None })
    }

    /// From here on everything is the footer.
    fn begin_footer(&mut self) {
        self.footer = Some((self.bytes, Sha256::new()));
    }

    /// Closes the file; `rel` is its path in the dataset.
    fn finish(mut self, rel: String, rows: u64, cover: Cover) -> Result<FileEntry> {
        self.file.flush().map_err(|e| Error::io(&self.path, "write it", &e))?;
        let footer = self.footer.map(|(from, hash)| FooterDigest { from, sha256: hex(&hash.finalize()) });
        let sha256 = hex(&self.whole.finalize());
        Ok(FileEntry {
            path: rel,
            bytes: self.bytes,
            sha256,
            rows,
            series: cover.series,
            times_ms: cover.times.map(|t| (t.start, t.end)),
            footer,
        })
    }
}

impl Write for HashedFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(buf)?;
        let buf = buf.get(..written).unwrap_or_default();
        self.bytes += written as u64;
        self.whole.update(buf);
        if let Some((_, footer)) = &mut self.footer {
            footer.update(buf);
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Which series and times some rows cover.
#[derive(Debug, Clone, Copy, Default)]
struct Cover {
    series: Option<(i64, i64)>,
    times: Option<Interval>,
}

impl Cover {
    fn add(&mut self, series: Option<(i64, i64)>, times: Option<Interval>) {
        self.series = match (self.series, series) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.times = Interval::joined(self.times, times);
    }
}

/// The error for what parquet refused while writing `path`.
fn write_error(path: &Path, e: &ParquetError) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write it: {e}")).at(path)
}

/// Rows of one of the tables that Arrow writes, gathered until a batch of them is written.
pub(super) trait Batched {
    /// Rows since the last batch.
    fn len(&self) -> usize;

    /// The batch, which leaves none behind.
    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ParquetError>;
}

/// Writes the batches of a table into a file.
pub(super) struct TableWriter<R> {
    path: PathBuf,
    rel: String,
    schema: SchemaRef,
    writer: ArrowWriter<HashedFile>,
    batch_rows: usize,
    rows: R,
    written: u64,
    cover: Cover,
}

impl<R: Batched> TableWriter<R> {
    /// Creates `rel` below the dataset's folder `dir`, for batches of `batch_rows` rows.
    pub(super) fn create(
        dir: &Path,
        rel: String,
        schema: SchemaRef,
        rows: R,
        batch_rows: usize,
    ) -> Result<TableWriter<R>> {
        let path = dir.join(&rel);
        let properties = properties().set_max_row_group_row_count(Some(TABLE_GROUP_ROWS)).build();
        // An embedded Arrow schema would change the types that engines see.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(HashedFile::create(&path)?, schema.clone(), options)
            .map_err(|e| write_error(&path, &e))?;
        Ok(TableWriter { path, rel, schema, writer, batch_rows, rows, written: 0, cover: Cover::default() })
    }

    /// Appends the row that `put` adds, of a series and of these times. Series do not come before the last one.
    pub(super) fn push(&mut self, series: i64, times: Option<Interval>, put: impl FnOnce(&mut R)) -> Result<()> {
        put(&mut self.rows);
        self.written += 1;
        self.cover.add(Some((series, series)), times);
        if self.rows.len() == self.batch_rows { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let batch = self.rows.finish(&self.schema);
        batch.and_then(|batch| self.writer.write(&batch)).map_err(|e| write_error(&self.path, &e))
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    pub(super) fn finish(mut self, dataset_id: &str) -> Result<FileEntry> {
        self.flush()?;
        self.writer.append_key_value_metadata(belongs_to(dataset_id));
        let file = self.writer.into_inner().map_err(|e| write_error(&self.path, &e))?;
        file.finish(self.rel, self.written, self.cover)
    }
}

/// Writes row groups of samples into a file, in the order in which they are given.
pub struct SampleWriter {
    path: PathBuf,
    rel: String,
    writer: SerializedFileWriter<HashedFile>,
    rows: u64,
    cover: Cover,
    groups: Vec<u32>,
}

impl SampleWriter {
    /// Creates `rel` below the dataset's folder `dir`.
    pub fn create(dir: &Path, rel: String) -> Result<SampleWriter> {
        let path = dir.join(&rel);
        let sorted = |column: usize| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false };
        let properties =
            properties().set_sorting_columns(Some(vec![sorted(column::SERIES_ID), sorted(column::TS)])).build();
        let schema = schema::samples().root_schema_ptr();
        let writer = SerializedFileWriter::new(HashedFile::create(&path)?, schema, Arc::new(properties))
            .map_err(|e| write_error(&path, &e))?;
        Ok(SampleWriter { path, rel, writer, rows: 0, cover: Cover::default(), groups: Vec::new() })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends a row group; its series and times do not come before the last one's.
    pub fn append(&mut self, group: SampleGroup) -> Result<()> {
        self.rows += group.rows as u64;
        self.cover.add(group.series, group.times);
        let mut crc = 0;
        let append = || -> Result<(), ParquetError> {
            let mut out = self.writer.next_row_group()?;
            for column in group.columns {
                crc = crate::raw::crc32c_append(crc, &column.bytes);
                out.append_column(&Bytes::from(column.bytes), column.close)?;
            }
            out.close().map(drop)
        };
        append().map_err(|e| write_error(&self.path, &e))?;
        self.groups.push(crc);
        Ok(())
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    pub fn finish(mut self, dataset_id: &str) -> Result<FileEntry> {
        self.writer.append_key_value_metadata(belongs_to(dataset_id));
        let groups: Vec<String> = self.groups.iter().map(|crc| format!("{crc:08x}")).collect();
        self.writer.append_key_value_metadata(KeyValue::new(GROUPS_KEY.to_owned(), groups.join(",")));
        // Parquet's own buffer still belongs to the row groups.
        self.writer.flush().map_err(|e| Error::io(&self.path, "write it", &e))?;
        self.writer.inner_mut().begin_footer();
        let file = self.writer.into_inner().map_err(|e| write_error(&self.path, &e))?;
        file.finish(self.rel, self.rows, self.cover)
    }
}
