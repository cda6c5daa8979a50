//! One Parquet file under way: row groups go in, digests come out.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::TypePtr;
use sha2::{Digest, Sha256};

use super::manifest::{FileEntry, FooterDigest};
use super::samples::SampleGroup;
use super::schema::{self, column};
use crate::error::{Error, ErrorKind, Result};
use crate::raw::{crc32c_append, hex};
use crate::time::Interval;

/// The key under which every file names its dataset.
pub(super) const DATASET_KEY: &str = "promproof.dataset";
/// The key under which every file has the CRC-32C of each of its row groups, in hex.
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

/// A new file that is hashed while it is written, its footer once more apart.
struct HashedFile {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    whole: Sha256,
    /// The CRC-32C of what was written since it was last taken.
    crc: u32,
    /// Where the footer begins, and the digest of what is behind.
    footer: Option<(u64, Sha256)>,
}

impl HashedFile {
    fn create(path: &Path) -> Result<HashedFile> {
        let file = File::create_new(path).map_err(|e| Error::io(path, "create it", &e))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(HashedFile { path: path.to_path_buf(), file, bytes: 0, whole: Sha256::new(), crc: 0, footer: None })
    }

    /// The CRC-32C of what was written since the last call.
    fn take_crc(&mut self) -> u32 {
        std::mem::take(&mut self.crc)
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
        self.crc = crc32c_append(self.crc, buf);
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

/// Writes row groups into a file, in the order in which they are given.
struct GroupWriter {
    path: PathBuf,
    rel: String,
    writer: SerializedFileWriter<HashedFile>,
    rows: u64,
    cover: Cover,
    crcs: Vec<u32>,
}

impl GroupWriter {
    /// Creates `rel` below the dataset's folder `dir`.
    fn create(dir: &Path, rel: String, schema: TypePtr, properties: WriterPropertiesBuilder) -> Result<GroupWriter> {
        let path = dir.join(&rel);
        let writer = SerializedFileWriter::new(HashedFile::create(&path)?, schema, Arc::new(properties.build()))
            .map_err(|e| write_error(&path, &e))?;
        let mut file = GroupWriter { path, rel, writer, rows: 0, cover: Cover::default(), crcs: Vec::new() };
        // What stands before the first row group belongs to none.
        file.take_crc()?;
        Ok(file)
    }

    /// Appends a row group of `rows` rows, which `put` writes.
    fn append(
        &mut self,
        rows: u64,
        cover: Cover,
        put: impl FnOnce(&mut SerializedRowGroupWriter<'_, HashedFile>) -> Result<(), ParquetError>,
    ) -> Result<()> {
        let append = || {
            let mut out = self.writer.next_row_group()?;
            put(&mut out)?;
            out.close().map(drop)
        };
        append().map_err(|e| write_error(&self.path, &e))?;
        self.rows += rows;
        self.cover.add(cover.series, cover.times);
        let crc = self.take_crc()?;
        self.crcs.push(crc);
        Ok(())
    }

    fn take_crc(&mut self) -> Result<u32> {
        // Parquet has a buffer of its own before the file.
        self.writer.flush().map_err(|e| Error::io(&self.path, "write it", &e))?;
        Ok(self.writer.inner_mut().take_crc())
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    fn finish(mut self, dataset_id: &str) -> Result<FileEntry> {
        let crcs: Vec<String> = self.crcs.iter().map(|crc| format!("{crc:08x}")).collect();
        for (key, value) in [(DATASET_KEY, dataset_id.to_owned()), (GROUPS_KEY, crcs.join(","))] {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.inner_mut().begin_footer();
        let file = self.writer.into_inner().map_err(|e| write_error(&self.path, &e))?;
        file.finish(self.rel, self.rows, self.cover)
    }
}

/// Rows of one of the tables that Arrow encodes, gathered until a batch of them is encoded.
pub(super) trait Batched {
    /// Rows since the last batch.
    fn len(&self) -> usize;

    /// The batch, which leaves none behind.
    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ParquetError>;
}

/// How many rows of a table stand together.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableRows {
    /// Encoded at once.
    pub batch: usize,
    /// In a row group, and so in memory.
    pub group: u64,
}

/// Writes the rows of a table into a file.
pub(super) struct TableWriter<R> {
    file: GroupWriter,
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    /// The columns of the row group under way.
    columns: Vec<ArrowColumnWriter>,
    sizes: TableRows,
    rows: R,
    in_group: u64,
    cover: Cover,
}

impl<R: Batched> TableWriter<R> {
    /// Creates `rel` below the dataset's folder `dir`.
    pub(super) fn create(
        dir: &Path,
        rel: String,
        schema: SchemaRef,
        rows: R,
        sizes: TableRows,
    ) -> Result<TableWriter<R>> {
        // No Arrow schema is embedded: it would change the types that engines see.
        let types = ArrowSchemaConverter::new().convert(&schema).map_err(|e| write_error(&dir.join(&rel), &e))?;
        let file = GroupWriter::create(dir, rel, types.root_schema_ptr(), properties())?;
        let factory = ArrowRowGroupWriterFactory::new(&file.writer, schema.clone());
        Ok(TableWriter {
            file,
            schema,
            factory,
            columns: Vec::new(),
            sizes,
            rows,
            in_group: 0,
            cover: Cover::default(),
        })
    }

    /// Appends the row that `put` adds, of a series and of these times. Series do not come before the last one.
    pub(super) fn push(&mut self, series: i64, times: Option<Interval>, put: impl FnOnce(&mut R)) -> Result<()> {
        put(&mut self.rows);
        self.in_group += 1;
        self.cover.add(Some((series, series)), times);
        if self.rows.len() == self.sizes.batch {
            self.encode_batch().map_err(|e| write_error(&self.file.path, &e))?;
        }
        if self.in_group == self.sizes.group { self.close_group() } else { Ok(()) }
    }

    fn encode_batch(&mut self) -> Result<(), ParquetError> {
        if self.columns.is_empty() {
            self.columns = self.factory.create_column_writers(self.file.crcs.len())?;
        }
        let batch = self.rows.finish(&self.schema)?;
        let mut columns = self.columns.iter_mut();
        for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, array)? {
                // There is one for each leaf.
                columns.next().map_or(Ok(()), |column| column.write(&leaf))?;
            }
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<()> {
        self.encode_batch().map_err(|e| write_error(&self.file.path, &e))?;
        let (rows, cover) = (std::mem::take(&mut self.in_group), std::mem::take(&mut self.cover));
        let columns = std::mem::take(&mut self.columns);
        self.file.append(rows, cover, |out| {
            columns.into_iter().try_for_each(|column| column.close()?.append_to_row_group(out))
        })
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    pub(super) fn finish(mut self, dataset_id: &str) -> Result<FileEntry> {
        if self.in_group > 0 {
            self.close_group()?;
        }
        self.file.finish(dataset_id)
    }
}

/// Writes row groups of samples into a file, in the order in which they are given.
pub struct SampleWriter(GroupWriter);

impl SampleWriter {
    /// Creates `rel` below the dataset's folder `dir`.
    pub fn create(dir: &Path, rel: String) -> Result<SampleWriter> {
        let sorted = |column: usize| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false };
        let properties = properties().set_sorting_columns(Some(vec![sorted(column::SERIES_ID), sorted(column::TS)]));
        GroupWriter::create(dir, rel, schema::samples().root_schema_ptr(), properties).map(SampleWriter)
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    /// Appends a row group; its series and times do not come before the last one's.
    pub fn append(&mut self, group: SampleGroup) -> Result<()> {
        let cover = Cover { series: group.series, times: group.times };
        self.0.append(group.rows as u64, cover, |out| {
            let mut columns = group.columns.into_iter();
            columns.try_for_each(|c| out.append_column(&Bytes::from(c.bytes), c.close).map(drop))
        })
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    pub fn finish(self, dataset_id: &str) -> Result<FileEntry> {
        self.0.finish(dataset_id)
    }
}
