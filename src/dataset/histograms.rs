//! `histograms/`: one row per native histogram, its buckets as lists.
//!
//! Counts are doubles in every row, so that engines see one type; where an integer count is no double, all of them stand in
//! `integers`, too.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMillisecondType,
};
use parquet::errors::ParquetError;

use super::manifest::FileEntry;
use super::part::{Batched, TableRows, TableWriter};
use super::series::utc_ms;
use crate::error::Result;
use crate::sample::STALE_NAN_BITS;
use crate::time::Interval;
use crate::tsdb::chunkenc::histogram::{Counts, HistogramSample, Layout, ResetHint, Span};

/// Histograms that are encoded at once, and that stand in one row group.
pub(super) const ROWS: TableRows = TableRows { batch: 1 << 10, group: 1 << 12 };

fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    let required = |name: &str, kind: DataType| Field::new(name, kind, false);
    let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, false)));
    Arc::new(Schema::new(vec![
        required("series_id", DataType::Int64),
        required("ts", utc_ms()),
        required("stale", DataType::Boolean),
        field("start_ts", utc_ms()),
        required("is_float", DataType::Boolean),
        required("reset_hint", DataType::Utf8),
        field("count", DataType::Float64),
        field("sum", DataType::Float64),
        field("schema", DataType::Int32),
        field("zero_threshold", DataType::Float64),
        field("zero_count", DataType::Float64),
        field("positive_span_offsets", list(DataType::Int32)),
        field("positive_span_lengths", list(DataType::Int64)),
        field("positive_buckets", list(DataType::Float64)),
        field("negative_span_offsets", list(DataType::Int32)),
        field("negative_span_lengths", list(DataType::Int64)),
        field("negative_buckets", list(DataType::Float64)),
        field("custom_bounds", list(DataType::Float64)),
        field("integers", list(DataType::Int64)),
        field("origin", DataType::Utf8),
    ]))
}

fn hint_name(hint: ResetHint) -> &'static str {
    match hint {
        ResetHint::Unknown => "unknown",
        ResetHint::Reset => "reset",
        ResetHint::NotReset => "not_reset",
        ResetHint::Gauge => "gauge",
    }
}

fn hint_of(name: &str) -> Option<ResetHint> {
    [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge]
        .into_iter()
        .find(|h| hint_name(*h) == name)
}

/// Counts as doubles, and as integers where a double does not hold one of them.
struct Numbers {
    count: f64,
    zero: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
    integers: Option<Vec<i64>>,
}

impl Numbers {
    fn of(counts: &Counts) -> Numbers {
        match counts {
            Counts::Float { count, zero, positive, negative } => {
                let doubles = |list: &[u64]| list.iter().map(|b| f64::from_bits(*b)).collect();
                Numbers {
                    count: f64::from_bits(*count),
                    zero: f64::from_bits(*zero),
                    positive: doubles(positive),
                    negative: doubles(negative),
                    integers: None,
                }
            }
            Counts::Int { count, zero, positive, negative } => {
                // Beyond 2^53 not every integer is a double.
                let fits = |n: i64| n.unsigned_abs() <= 1 << 53;
                let all = || [*count as i64, *zero as i64].into_iter().chain(positive.iter().chain(negative).copied());
                let doubles = |list: &[i64]| list.iter().map(|n| *n as f64).collect();
                Numbers {
                    count: *count as f64,
                    zero: *zero as f64,
                    positive: doubles(positive),
                    negative: doubles(negative),
                    integers: (!all().all(fits)).then(|| all().collect()),
                }
            }
        }
    }

    fn into_counts(self, is_float: bool) -> Option<Counts> {
        if is_float {
            let bits = |list: Vec<f64>| list.into_iter().map(f64::to_bits).collect();
            return Some(Counts::Float {
                count: self.count.to_bits(),
                zero: self.zero.to_bits(),
                positive: bits(self.positive),
                negative: bits(self.negative),
            });
        }
        let (positive, negative) = (self.positive.len(), self.negative.len());
        let all = self.integers.unwrap_or_else(|| {
            let doubles = [self.count, self.zero].into_iter().chain(self.positive).chain(self.negative);
            doubles.map(|v| v as i64).collect()
        });
        Some(Counts::Int {
            count: *all.first()? as u64,
            zero: *all.get(1)? as u64,
            positive: all.get(2..2 + positive)?.to_vec(),
            negative: all.get(2 + positive..2 + positive + negative)?.to_vec(),
        })
    }
}

/// A stale marker that is nothing but that.
fn is_bare(sample: &HistogramSample) -> bool {
    let empty = match &sample.counts {
        Counts::Int { count, zero, positive, negative } => {
            (*count, *zero) == (0, 0) && positive.is_empty() && negative.is_empty()
        }
        Counts::Float { count, zero, positive, negative } => {
            (*count, *zero) == (0, 0) && positive.is_empty() && negative.is_empty()
        }
    };
    sample.is_stale() && empty && *sample.layout == Layout::default()
}

/// Builders of one batch of rows.
struct Rows {
    ids: Int64Builder,
    ts: TimestampMillisecondBuilder,
    stale: BooleanBuilder,
    starts: TimestampMillisecondBuilder,
    is_float: BooleanBuilder,
    hints: StringBuilder,
    /// Count, sum, zero threshold, zero count.
    doubles: [Float64Builder; 4],
    schemas: Int32Builder,
    /// Of positive, then of negative buckets.
    offsets: [ListBuilder<Int32Builder>; 2],
    lengths: [ListBuilder<Int64Builder>; 2],
    buckets: [ListBuilder<Float64Builder>; 2],
    bounds: ListBuilder<Float64Builder>,
    integers: ListBuilder<Int64Builder>,
    origins: StringBuilder,
    len: usize,
}

impl Rows {
    fn new() -> Rows {
        let times = || TimestampMillisecondBuilder::new().with_timezone("UTC");
        let item = |kind: DataType| Field::new_list_field(kind, false);
        let doubles = || ListBuilder::new(Float64Builder::new()).with_field(item(DataType::Float64));
        let longs = || ListBuilder::new(Int64Builder::new()).with_field(item(DataType::Int64));
        let ints = || ListBuilder::new(Int32Builder::new()).with_field(item(DataType::Int32));
        Rows {
            ids: Int64Builder::new(),
            ts: times(),
            stale: BooleanBuilder::new(),
            starts: times(),
            is_float: BooleanBuilder::new(),
            hints: StringBuilder::new(),
            doubles: Default::default(),
            schemas: Int32Builder::new(),
            offsets: [ints(), ints()],
            lengths: [longs(), longs()],
            buckets: [doubles(), doubles()],
            bounds: doubles(),
            integers: longs(),
            origins: StringBuilder::new(),
            len: 0,
        }
    }

    fn push(&mut self, series: i64, sample: &HistogramSample, origin: Option<&str>) {
        let HistogramSample { t_ms, start_ms, sum, hint, layout, counts } = sample;
        let numbers = Numbers::of(counts);
        let bare = is_bare(sample);
        self.ids.append_value(series);
        self.ts.append_value(*t_ms);
        self.stale.append_value(sample.is_stale());
        self.starts.append_option((*start_ms != 0).then_some(*start_ms));
        self.is_float.append_value(matches!(counts, Counts::Float { .. }));
        self.hints.append_value(hint_name(*hint));
        let [count, sums, threshold, zero] = &mut self.doubles;
        count.append_option((!bare).then_some(numbers.count));
        sums.append_option((!sample.is_stale()).then_some(f64::from_bits(*sum)));
        threshold.append_option((!bare).then_some(f64::from_bits(layout.zero_threshold)));
        zero.append_option((!bare).then_some(numbers.zero));
        self.schemas.append_option((!bare).then_some(layout.schema));
        let sides = [(&layout.positive_spans, numbers.positive), (&layout.negative_spans, numbers.negative)];
        for (i, (spans, buckets)) in sides.into_iter().enumerate() {
            let (Some(offsets), Some(lengths), Some(lists)) =
                (self.offsets.get_mut(i), self.lengths.get_mut(i), self.buckets.get_mut(i))
            else {
                continue;
            };
            offsets.append_option((!bare).then(|| spans.iter().map(|s| Some(s.offset))));
            lengths.append_option((!bare).then(|| spans.iter().map(|s| Some(i64::from(s.length)))));
            lists.append_option((!bare).then(|| buckets.into_iter().map(Some)));
        }
        let bounds = || layout.custom_bounds.iter().map(|b| Some(f64::from_bits(*b)));
        self.bounds.append_option((!layout.custom_bounds.is_empty()).then(bounds));
        self.integers.append_option(numbers.integers.map(|list| list.into_iter().map(Some)));
        self.origins.append_option(origin);
        self.len += 1;
    }
}

impl Batched for Rows {
    fn len(&self) -> usize {
        self.len
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ParquetError> {
        self.len = 0;
        let [count, sum, threshold, zero] = &mut self.doubles;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.ts.finish()),
            Arc::new(self.stale.finish()),
            Arc::new(self.starts.finish()),
            Arc::new(self.is_float.finish()),
            Arc::new(self.hints.finish()),
            Arc::new(count.finish()),
            Arc::new(sum.finish()),
            Arc::new(self.schemas.finish()),
            Arc::new(threshold.finish()),
            Arc::new(zero.finish()),
        ];
        for ((offsets, lengths), buckets) in self.offsets.iter_mut().zip(&mut self.lengths).zip(&mut self.buckets) {
            arrays.push(Arc::new(offsets.finish()));
            arrays.push(Arc::new(lengths.finish()));
            arrays.push(Arc::new(buckets.finish()));
        }
        arrays.push(Arc::new(self.bounds.finish()));
        arrays.push(Arc::new(self.integers.finish()));
        arrays.push(Arc::new(self.origins.finish()));
        Ok(RecordBatch::try_new(schema.clone(), arrays)?)
    }
}

/// Writes `histograms/part-NNNNN.parquet`.
pub struct HistogramWriter(TableWriter<Rows>);

impl HistogramWriter {
    /// Creates `rel` below the dataset's folder `dir`.
    pub fn create(dir: &Path, rel: String) -> Result<HistogramWriter> {
        Ok(HistogramWriter(TableWriter::create(dir, rel, schema(), Rows::new(), ROWS)?))
    }

    /// Appends a histogram of a series that does not come before the last one; `origin` in the union view.
    pub fn push(&mut self, series: i64, sample: &HistogramSample, origin: Option<&str>) -> Result<()> {
        let time = Interval::new(sample.t_ms, sample.t_ms);
        self.0.push(series, Some(time), |rows| rows.push(series, sample, origin))
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    pub fn finish(self, dataset_id: &str) -> Result<FileEntry> {
        self.0.finish(dataset_id)
    }
}

/// About how much memory a histogram takes, in bytes, with its layout if that is its own.
pub(super) fn memory(sample: &HistogramSample) -> usize {
    let buckets = match &sample.counts {
        Counts::Int { positive, negative, .. } => positive.len() + negative.len(),
        Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    let layout = match Arc::strong_count(&sample.layout) {
        1 => {
            let Layout { positive_spans, negative_spans, custom_bounds, .. } = sample.layout.as_ref();
            positive_spans.len() + negative_spans.len() + custom_bounds.len()
        }
        _ => 0,
    };
    size_of::<HistogramSample>() + (buckets + layout) * 8
}

/// The histograms in a batch of rows, each with its series. `None` where the columns are not those that are written here.
pub(super) fn rows_of(batch: &RecordBatch) -> Option<Vec<(i64, HistogramSample)>> {
    fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str) -> Option<arrow::array::PrimitiveArray<T>> {
        Some(batch.column_by_name(name)?.as_primitive_opt::<T>()?.clone())
    }
    fn list<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str, row: usize) -> Option<Option<Vec<T::Native>>> {
        let lists = batch.column_by_name(name)?.as_list_opt::<i32>()?;
        if lists.is_null(row) {
            return Some(None);
        }
        Some(Some(lists.value(row).as_primitive_opt::<T>()?.values().to_vec()))
    }
    let ids = numbers::<Int64Type>(batch, "series_id")?;
    let ts = numbers::<TimestampMillisecondType>(batch, "ts")?;
    let starts = numbers::<TimestampMillisecondType>(batch, "start_ts")?;
    let stale = batch.column_by_name("stale")?.as_boolean_opt()?;
    let is_float = batch.column_by_name("is_float")?.as_boolean_opt()?;
    let hints = batch.column_by_name("reset_hint")?.as_string_opt::<i32>()?;
    let schemas = numbers::<Int32Type>(batch, "schema")?;
    let double = |name: &str| numbers::<Float64Type>(batch, name);
    let (count, sum) = (double("count")?, double("sum")?);
    let (threshold, zero) = (double("zero_threshold")?, double("zero_count")?);
    let bits_at = |column: &arrow::array::PrimitiveArray<Float64Type>, row: usize| {
        if column.is_null(row) { 0.0 } else { column.value(row) }
    };
    let mut out: Vec<(i64, HistogramSample)> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let spans = |side: &str| -> Option<Vec<Span>> {
            let offsets = list::<Int32Type>(batch, &format!("{side}_span_offsets"), row)?.unwrap_or_default();
            let lengths = list::<Int64Type>(batch, &format!("{side}_span_lengths"), row)?.unwrap_or_default();
            let span = |(offset, length): (i32, i64)| Some(Span { offset, length: u32::try_from(length).ok()? });
            offsets.into_iter().zip(lengths).map(span).collect()
        };
        let buckets = |side: &str| list::<Float64Type>(batch, &format!("{side}_buckets"), row);
        let bounds = list::<Float64Type>(batch, "custom_bounds", row)?.unwrap_or_default();
        let layout = Layout {
            schema: if schemas.is_null(row) { 0 } else { schemas.value(row) },
            zero_threshold: bits_at(&threshold, row).to_bits(),
            positive_spans: spans("positive")?,
            negative_spans: spans("negative")?,
            custom_bounds: bounds.into_iter().map(f64::to_bits).collect(),
        };
        // Neighbours mostly have the same layout, and share it.
        let layout = match out.last() {
            Some((_, before)) if *before.layout == layout => before.layout.clone(),
            _ => Arc::new(layout),
        };
        let found = Numbers {
            count: bits_at(&count, row),
            zero: bits_at(&zero, row),
            positive: buckets("positive")?.unwrap_or_default(),
            negative: buckets("negative")?.unwrap_or_default(),
            integers: list::<Int64Type>(batch, "integers", row)?,
        };
        let sample = HistogramSample {
            t_ms: ts.value(row),
            start_ms: if starts.is_null(row) { 0 } else { starts.value(row) },
            sum: if stale.value(row) { STALE_NAN_BITS } else { bits_at(&sum, row).to_bits() },
            hint: hint_of(hints.value(row))?,
            layout,
            counts: found.into_counts(is_float.value(row))?,
        };
        out.push((ids.value(row), sample));
    }
    Some(out)
}
