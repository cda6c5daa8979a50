//! Column chunks of our own: pages with the encodings that fit samples, handed to parquet's writer as finished bytes.
//!
//! parquet's writers take values row by row, through levels and statistics that samples do not need; here a page is
//! made from slices. `docs/format/parquet.md` says what is written; every file is read back by other libraries in tests.
//!
//! | encoding | module |
//! |---|---|
//! | DELTA_BINARY_PACKED | `delta` |
//! | levels and dictionary indexes | `runs` |
//! | PLAIN and BYTE_STREAM_SPLIT | `doubles` |

mod delta;
mod doubles;
mod runs;

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use delta::Widths;
pub(in crate::dataset) use runs::count_false;

/// Rows in a page. Larger pages help split bytes and harm whole values; this is where both are content.
pub(super) const PAGE_ROWS: usize = 20_000;
/// zstd's level: 3 saves a tenth of a plain value column at two thirds of the speed.
const LEVEL: i32 = 1;

/// What encoding needs and every row group uses anew.
pub(super) struct Scratch {
    zstd: Compressor<'static>,
    /// The content of one page.
    body: Vec<u8>,
    packed: Vec<u8>,
    words: Vec<u64>,
    integers: Vec<i64>,
}

impl Scratch {
    pub(super) fn new() -> Result<Scratch, ParquetError> {
        let zstd = Compressor::new(LEVEL).map_err(|e| ParquetError::External(Box::new(e)))?;
        Ok(Scratch { zstd, body: Vec::new(), packed: Vec::new(), words: Vec::new(), integers: Vec::new() })
    }
}

/// Compresses `bytes` into `packed`, whatever it held before, and gives the length.
fn compressed(zstd: &mut Compressor<'_>, bytes: &[u8], packed: &mut Vec<u8>) -> Result<usize, ParquetError> {
    packed.clear();
    packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
    zstd.compress_to_buffer(bytes, packed).map_err(|e| ParquetError::External(Box::new(e)))
}

/// A finished column chunk, its offsets counted from its own start.
pub(super) struct Column {
    pub(super) bytes: Vec<u8>,
    pub(super) close: ColumnCloseResult,
}

/// A column chunk under way.
struct Building<'s> {
    descr: ColumnDescPtr,
    sink: TrackedWrite<Vec<u8>>,
    scratch: &'s mut Scratch,
    encodings: Vec<Encoding>,
    has_dictionary: bool,
    /// Where the first data page begins.
    data_at: Option<u64>,
    rows: u64,
    uncompressed: u64,
    nulls: u64,
    /// Least and greatest value, of all pages and of each.
    range: Option<(i64, i64)>,
    page_ranges: Vec<(i64, i64)>,
    offsets: OffsetIndexBuilder,
}

impl<'s> Building<'s> {
    fn new(descr: &ColumnDescPtr, scratch: &'s mut Scratch) -> Building<'s> {
        let encodings = if descr.max_def_level() > 0 { vec![Encoding::RLE] } else { Vec::new() };
        scratch.body.clear();
        Building {
            descr: descr.clone(),
            sink: TrackedWrite::new(Vec::new()),
            scratch,
            encodings,
            has_dictionary: false,
            data_at: None,
            rows: 0,
            uncompressed: 0,
            nulls: 0,
            range: None,
            page_ranges: Vec::new(),
            offsets: OffsetIndexBuilder::new(),
        }
    }

    fn compress(&mut self) -> Result<Bytes, ParquetError> {
        let Scratch { zstd, body, packed, .. } = &mut *self.scratch;
        compressed(zstd, body, packed)?;
        Ok(Bytes::copy_from_slice(packed))
    }

    fn note(&mut self, encoding: Encoding) {
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
    }

    /// Writes what is in the scratch's body as the dictionary.
    fn dictionary(&mut self, count: usize) -> Result<(), ParquetError> {
        let uncompressed = self.scratch.body.len();
        let buf = self.compress()?;
        let page = Page::DictionaryPage { buf, num_values: count as u32, encoding: Encoding::PLAIN, is_sorted: false };
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, uncompressed))?;
        self.uncompressed += spec.uncompressed_size as u64;
        self.note(Encoding::PLAIN);
        self.has_dictionary = true;
        self.scratch.body.clear();
        Ok(())
    }

    /// Writes what is in the scratch's body as a data page.
    fn page(&mut self, rows: usize, nulls: usize, encoding: Encoding) -> Result<(), ParquetError> {
        let uncompressed = self.scratch.body.len();
        let buf = self.compress()?;
        let page = Page::DataPage {
            buf,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, uncompressed))?;
        self.data_at.get_or_insert(spec.offset);
        self.offsets.append_row_count(rows as i64);
        self.offsets.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        self.uncompressed += spec.uncompressed_size as u64;
        self.rows += rows as u64;
        self.nulls += nulls as u64;
        self.note(encoding);
        self.scratch.body.clear();
        Ok(())
    }

    /// The least and greatest value of the page that was written last.
    fn page_range(&mut self, low: i64, high: i64) {
        self.page_ranges.push((low, high));
        self.range = Some(self.range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
    }

    fn finish(self, order: BoundaryOrder) -> Result<Column, ParquetError> {
        let bytes = self.sink.into_inner()?;
        let nulls = Some(self.nulls);
        let statistics = match (self.descr.physical_type(), self.range) {
            (Type::INT64, range) => Statistics::int64(range.map(|r| r.0), range.map(|r| r.1), None, nulls, false),
            (Type::DOUBLE, _) => Statistics::double(None, None, None, nulls, false),
            (Type::BOOLEAN, _) => Statistics::boolean(None, None, None, nulls, false),
            _ => Statistics::byte_array(None, None, None, nulls, false),
        };
        let mut index = ColumnIndexBuilder::new(self.descr.physical_type());
        for (low, high) in &self.page_ranges {
            index.append(false, low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec(), 0, None);
        }
        index.set_boundary_order(order);
        let column_index = if self.page_ranges.is_empty() { None } else { Some(index.build()?) };
        let metadata = ColumnChunkMetaData::builder(self.descr)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_encodings(self.encodings)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(self.data_at.unwrap_or(0) as i64)
            .set_dictionary_page_offset(self.has_dictionary.then_some(0))
            .set_statistics(statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter: None,
            column_index,
            offset_index: Some(self.offsets.build()),
        };
        Ok(Column { bytes, close })
    }
}

/// Which rows of a column have a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Defined<'a> {
    /// Every row; the column cannot be null.
    Required,
    /// Those that say so.
    Rows(&'a [bool]),
}

impl Defined<'_> {
    /// Writes the levels of the rows in `range` and counts its nulls.
    fn put(self, range: Range<usize>, out: &mut Vec<u8>) -> usize {
        let Defined::Rows(rows) = self else { return 0 };
        runs::put_levels(rows.get(range).unwrap_or_default(), out)
    }

    /// The values of the rows in `range` that have one, which all but `nulls` do. Only where some have and some have not,
    /// they are gathered in `buffer`.
    fn values<'v, T: Copy>(self, all: &'v [T], range: Range<usize>, nulls: usize, buffer: &'v mut Vec<T>) -> &'v [T] {
        let values = all.get(range.clone()).unwrap_or_default();
        match self {
            Defined::Rows(rows) if nulls > 0 => {
                buffer.clear();
                if nulls < values.len() {
                    let rows = rows.get(range).unwrap_or_default();
                    buffer.extend(values.iter().zip(rows).filter(|(_, defined)| **defined).map(|(v, _)| *v));
                }
                buffer
            }
            _ => values,
        }
    }
}

/// The row ranges of the pages of a column chunk.
fn pages_of(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(PAGE_ROWS).map(move |from| from..(from + PAGE_ROWS).min(rows))
}

/// A column of any type in which every row is null.
pub(super) fn nothing(descr: &ColumnDescPtr, rows: usize, scratch: &mut Scratch) -> Result<Column, ParquetError> {
    let mut column = Building::new(descr, scratch);
    runs::put_same_levels(false, rows, &mut column.scratch.body);
    column.page(rows, rows, Encoding::PLAIN)?;
    column.finish(BoundaryOrder::UNORDERED)
}

/// Timestamps: every row has one.
pub(super) fn timestamps(descr: &ColumnDescPtr, ts: &[i64], scratch: &mut Scratch) -> Result<Column, ParquetError> {
    let mut column = Building::new(descr, scratch);
    for range in pages_of(ts.len()) {
        let page = ts.get(range).unwrap_or_default();
        delta::encode(page, Widths::WholeBytes, &mut column.scratch.body);
        column.page(page.len(), 0, Encoding::DELTA_BINARY_PACKED)?;
        let (low, high) = page.iter().fold((i64::MAX, i64::MIN), |(a, b), t| (a.min(*t), b.max(*t)));
        column.page_range(low, high);
    }
    column.finish(BoundaryOrder::UNORDERED)
}

/// Integers; `values` has one for every row, used where the row is defined.
pub(super) fn integers(
    descr: &ColumnDescPtr,
    values: &[i64],
    defined: Defined<'_>,
    scratch: &mut Scratch,
) -> Result<Column, ParquetError> {
    let mut column = Building::new(descr, scratch);
    for range in pages_of(values.len()) {
        let nulls = defined.put(range.clone(), &mut column.scratch.body);
        let Scratch { body, integers, .. } = &mut *column.scratch;
        let integers = defined.values(values, range.clone(), nulls, integers);
        let encoding = if integers.is_empty() { Encoding::PLAIN } else { Encoding::DELTA_BINARY_PACKED };
        if !integers.is_empty() {
            delta::encode(integers, Widths::Least, body);
        }
        column.page(range.len(), nulls, encoding)?;
    }
    column.finish(BoundaryOrder::UNORDERED)
}

/// Doubles by their bits; `values` has one for every row, used where the row is defined.
pub(super) fn doubles(
    descr: &ColumnDescPtr,
    values: &[u64],
    defined: Defined<'_>,
    scratch: &mut Scratch,
) -> Result<Column, ParquetError> {
    let mut column = Building::new(descr, scratch);
    for range in pages_of(values.len()) {
        let nulls = defined.put(range.clone(), &mut column.scratch.body);
        let Scratch { zstd, packed, body, words, .. } = &mut *column.scratch;
        let words = defined.values(values, range.clone(), nulls, words);
        let encoding = match words {
            [] => Encoding::PLAIN,
            _ => doubles::encode(words, body, |bytes| compressed(zstd, bytes, packed).unwrap_or(usize::MAX)),
        };
        column.page(range.len(), nulls, encoding)?;
    }
    column.finish(BoundaryOrder::UNORDERED)
}

/// Booleans: every row has one.
pub(super) fn booleans(descr: &ColumnDescPtr, values: &[bool], scratch: &mut Scratch) -> Result<Column, ParquetError> {
    let mut column = Building::new(descr, scratch);
    for range in pages_of(values.len()) {
        runs::put_bits(values.get(range.clone()).unwrap_or_default(), &mut column.scratch.body);
        column.page(range.len(), 0, Encoding::PLAIN)?;
    }
    column.finish(BoundaryOrder::UNORDERED)
}

/// Values that repeat row after row.
pub(super) struct Repeated<'a> {
    /// The dictionary in PLAIN encoding.
    pub(super) plain: &'a [u8],
    /// The number of values in it.
    pub(super) count: usize,
    /// The values as integers where they ascend, so that pages say which they hold.
    pub(super) ascending: Option<&'a [i64]>,
    /// `(position in the dictionary, rows)`; null rows are left out.
    pub(super) runs: &'a [(u32, usize)],
}

/// A column of repeated values over `rows` rows.
pub(super) fn repeated(
    descr: &ColumnDescPtr,
    rows: usize,
    values: &Repeated<'_>,
    defined: Defined<'_>,
    scratch: &mut Scratch,
) -> Result<Column, ParquetError> {
    let width = runs::width_for(values.count);
    let mut column = Building::new(descr, scratch);
    column.scratch.body.extend_from_slice(values.plain);
    column.dictionary(values.count)?;
    let mut rest = values.runs.iter().copied();
    let mut open = rest.next();
    let mut page: Vec<(u32, usize)> = Vec::new();
    for range in pages_of(rows) {
        let nulls = defined.put(range.clone(), &mut column.scratch.body);
        let mut wanted = range.len() - nulls;
        page.clear();
        while wanted > 0
            && let Some((value, count)) = open
        {
            let taken = count.min(wanted);
            page.push((value, taken));
            wanted -= taken;
            open = if taken < count { Some((value, count - taken)) } else { rest.next() };
        }
        column.scratch.body.push(width as u8);
        runs::put_runs(width, page.iter().copied(), &mut column.scratch.body);
        column.page(range.len(), nulls, Encoding::RLE_DICTIONARY)?;
        let value = |run: Option<&(u32, usize)>| values.ascending?.get(run?.0 as usize).copied();
        if let (Some(low), Some(high)) = (value(page.first()), value(page.last())) {
            column.page_range(low, high);
        }
    }
    column.finish(if values.ascending.is_some() { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED })
}
