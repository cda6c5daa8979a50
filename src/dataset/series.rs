//! `series/`: one row per series, with its labels and what was found of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};

use super::manifest::FileEntry;
use super::part::{Batched, TableRows, TableWriter};
use crate::error::Result;
use crate::labels::{Label, Labels, METRIC_NAME, is_label_identifier};
use crate::raw::hex;
use crate::time::Interval;

/// Labels with a column of their own, at most.
pub(super) const MOST_LABEL_COLUMNS: usize = 64;
/// Series that are encoded at once, and that stand in one row group.
pub(super) const ROWS: TableRows = TableRows { batch: 1 << 12, group: 1 << 16 };

/// What stands in one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesRecord {
    /// The position among all series of the dataset, in label order.
    pub id: i64,
    /// The identity.
    pub labels: Labels,
    /// Float samples, stale markers included.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// First and last sample of any kind.
    pub times: Option<Interval>,
    /// Type, unit and help as the logs have them.
    pub metadata: Option<[String; 3]>,
    /// The reference in the head: sums that a head serves alone run in this order.
    pub head_reference: Option<u64>,
    /// Times at which samples may be missing: deletions and losses.
    pub holes: Vec<Interval>,
    /// Times at which parts of the source contradict each other.
    pub conflicts: Vec<i64>,
}

impl SeriesRecord {
    /// About how much memory it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        let labels: usize = self.labels.iter().map(|l| l.name.len() + l.value.len() + size_of::<Label>()).sum();
        let metadata: usize = self.metadata.iter().flatten().map(String::len).sum();
        size_of::<SeriesRecord>() + labels + metadata + self.holes.len() * 16 + self.conflicts.len() * 8
    }
}

/// Which labels have a column of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelColumns {
    /// Label name to column name.
    pub columns: BTreeMap<String, String>,
    /// Labels that are in `labels` only, and why.
    pub without: BTreeMap<String, String>,
}

impl LabelColumns {
    /// The most frequent of the names that engines can use as a column; `counts` says in how many series each is.
    pub fn choose(counts: &BTreeMap<Vec<u8>, u64>) -> LabelColumns {
        let mut chosen = LabelColumns::default();
        let folded = |name: &str| name.to_ascii_lowercase();
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        for name in counts.keys() {
            *alike.entry(folded(&String::from_utf8_lossy(name))).or_default() += 1;
        }
        let mut names: Vec<(&Vec<u8>, &u64)> = counts.iter().filter(|(name, _)| *name != METRIC_NAME).collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        for (bytes, _) in names {
            let name = String::from_utf8_lossy(bytes).into_owned();
            let why = if !is_label_identifier(bytes) {
                "engines do not take it as the name of a column"
            } else if alike.get(&folded(&name)).is_some_and(|n| *n > 1) {
                "another label has the same name but for case"
            } else if chosen.columns.len() >= MOST_LABEL_COLUMNS {
                "64 more frequent labels have a column"
            } else {
                let column = format!("label_{name}");
                chosen.columns.insert(name, column);
                continue;
            };
            chosen.without.insert(name, why.to_owned());
        }
        chosen
    }
}

pub(super) fn utc_ms() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, false)))
}

fn schema(labels: &LabelColumns) -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    let required = |name: &str, kind: DataType| Field::new(name, kind, false);
    let mut fields = vec![
        required("series_id", DataType::Int64),
        required("series_hash", DataType::Utf8),
        field("metric_name", DataType::Utf8),
        required("labels", DataType::Utf8),
        field("labels_binary", DataType::Binary),
        required("samples", DataType::Int64),
        required("histograms", DataType::Int64),
        field("first_ts", utc_ms()),
        field("last_ts", utc_ms()),
        field("kinds", DataType::Utf8),
        field("type", DataType::Utf8),
        field("unit", DataType::Utf8),
        field("help", DataType::Utf8),
        field("head_ref", DataType::Int64),
        field("hole_start", list_of(utc_ms())),
        field("hole_end", list_of(utc_ms())),
        field("conflicts", list_of(utc_ms())),
    ];
    fields.extend(labels.columns.values().map(|column| field(column, DataType::Utf8)));
    Arc::new(Schema::new(fields))
}

/// The labels in a form that keeps every byte, where they are no UTF-8: each name and value behind its length as four
/// bytes, least significant first.
fn binary(labels: &Labels) -> Option<Vec<u8>> {
    if labels.iter().all(|l| std::str::from_utf8(&l.name).is_ok() && std::str::from_utf8(&l.value).is_ok()) {
        return None;
    }
    let mut out = Vec::new();
    for part in labels.iter().flat_map(|l| [&l.name, &l.value]) {
        out.extend_from_slice(&(part.len() as u32).to_le_bytes());
        out.extend_from_slice(part);
    }
    Some(out)
}

/// The labels of a row.
pub(super) fn labels_of(json: &str, binary: Option<&[u8]>) -> Option<Labels> {
    let mut pairs = Vec::new();
    match binary {
        Some(mut rest) => {
            let mut part = || -> Option<Box<[u8]>> {
                let (length, behind) = rest.split_first_chunk::<4>()?;
                let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                rest = behind;
                Some(part.into())
            };
            while let Some(name) = part() {
                pairs.push(Label { name, value: part()? });
            }
        }
        None => {
            let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
            for (name, value) in map {
                pairs.push(Label { name: name.into_bytes().into(), value: value.as_str()?.as_bytes().into() });
            }
        }
    }
    Some(Labels::normalized(pairs).0)
}

/// The rows of a batch. `None` where the columns are not those that are written here.
pub(super) fn records_of(batch: &RecordBatch) -> Option<Vec<SeriesRecord>> {
    let column = |name: &str| batch.column_by_name(name);
    let longs = |name: &str| column(name)?.as_primitive_opt::<Int64Type>();
    let times = |name: &str| column(name)?.as_primitive_opt::<TimestampMillisecondType>();
    let texts = |name: &str| column(name)?.as_string_opt::<i32>();
    let (ids, samples, histograms) = (longs("series_id")?, longs("samples")?, longs("histograms")?);
    let (labels, binaries) = (texts("labels")?, column("labels_binary")?.as_binary_opt::<i32>()?);
    let (first, last, references) = (times("first_ts")?, times("last_ts")?, longs("head_ref")?);
    let metadata = [texts("type")?, texts("unit")?, texts("help")?];
    let list = |name: &str, row: usize| -> Option<Vec<i64>> {
        let lists = column(name)?.as_list_opt::<i32>()?;
        if lists.is_null(row) {
            return Some(Vec::new());
        }
        Some(lists.value(row).as_primitive_opt::<TimestampMillisecondType>()?.values().to_vec())
    };
    let mut out = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let binary = (!binaries.is_null(row)).then(|| binaries.value(row));
        let text = |of: &StringArray| if of.is_null(row) { String::new() } else { of.value(row).to_owned() };
        let metadata = metadata.map(text);
        let holes = list("hole_start", row)?.into_iter().zip(list("hole_end", row)?);
        out.push(SeriesRecord {
            id: ids.value(row),
            labels: labels_of(labels.value(row), binary)?,
            samples: samples.value(row) as u64,
            histograms: histograms.value(row) as u64,
            times: (!first.is_null(row)).then(|| Interval::new(first.value(row), last.value(row))),
            metadata: metadata.iter().any(|m| !m.is_empty()).then_some(metadata),
            head_reference: (!references.is_null(row)).then(|| references.value(row) as u64),
            holes: holes.map(|(a, b)| Interval::new(a, b)).collect(),
            conflicts: list("conflicts", row)?,
        });
    }
    Some(out)
}

/// Builders of one batch of rows.
struct Rows {
    ids: Int64Builder,
    hashes: StringBuilder,
    names: StringBuilder,
    labels: StringBuilder,
    binaries: BinaryBuilder,
    counts: [Int64Builder; 2],
    times: [TimestampMillisecondBuilder; 2],
    kinds: StringBuilder,
    metadata: [StringBuilder; 3],
    references: Int64Builder,
    lists: [ListBuilder<TimestampMillisecondBuilder>; 3],
    columns: Vec<StringBuilder>,
    len: usize,
}

impl Rows {
    fn new(columns: usize) -> Rows {
        let times = || TimestampMillisecondBuilder::new().with_timezone("UTC");
        let list = || ListBuilder::new(times()).with_field(Field::new_list_field(utc_ms(), false));
        Rows {
            ids: Int64Builder::new(),
            hashes: StringBuilder::new(),
            names: StringBuilder::new(),
            labels: StringBuilder::new(),
            binaries: BinaryBuilder::new(),
            counts: Default::default(),
            times: [times(), times()],
            kinds: StringBuilder::new(),
            metadata: Default::default(),
            references: Int64Builder::new(),
            lists: [list(), list(), list()],
            columns: (0..columns).map(|_| StringBuilder::new()).collect(),
            len: 0,
        }
    }

    fn push(&mut self, record: &SeriesRecord, columns: &LabelColumns) {
        let json = record.labels.to_json().to_string();
        let binary = binary(&record.labels);
        let hash = Sha256::digest(binary.as_deref().unwrap_or(json.as_bytes()));
        let label = |name: &[u8]| match record.labels.get(name) {
            b"" => None,
            value => Some(String::from_utf8_lossy(value).into_owned()),
        };
        self.ids.append_value(record.id);
        self.hashes.append_value(hex(hash.get(..16).unwrap_or_default()));
        self.names.append_option(label(METRIC_NAME));
        self.labels.append_value(json);
        self.binaries.append_option(binary);
        let [samples, histograms] = &mut self.counts;
        samples.append_value(record.samples as i64);
        histograms.append_value(record.histograms as i64);
        let [first, last] = &mut self.times;
        first.append_option(record.times.map(|t| t.start));
        last.append_option(record.times.map(|t| t.end));
        self.kinds.append_option(match (record.samples > 0, record.histograms > 0) {
            (true, true) => Some("float,histogram"),
            (true, false) => Some("float"),
            (false, true) => Some("histogram"),
            (false, false) => None,
        });
        for (i, builder) in self.metadata.iter_mut().enumerate() {
            let text = record.metadata.as_ref().and_then(|m| m.get(i)).filter(|text| !text.is_empty());
            builder.append_option(text);
        }
        self.references.append_option(record.head_reference.map(|r| r as i64));
        let [starts, ends, conflicts] = &mut self.lists;
        let some = |times: Vec<i64>| (!times.is_empty()).then(|| times.into_iter().map(Some));
        starts.append_option(some(record.holes.iter().map(|h| h.start).collect()));
        ends.append_option(some(record.holes.iter().map(|h| h.end).collect()));
        conflicts.append_option(some(record.conflicts.clone()));
        for (builder, name) in self.columns.iter_mut().zip(columns.columns.keys()) {
            builder.append_option(label(name.as_bytes()));
        }
        self.len += 1;
    }
}

impl Batched for Rows {
    fn len(&self) -> usize {
        self.len
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ParquetError> {
        self.len = 0;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.hashes.finish()),
            Arc::new(self.names.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(self.binaries.finish()),
        ];
        arrays.extend(self.counts.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.extend(self.times.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.push(Arc::new(self.kinds.finish()));
        arrays.extend(self.metadata.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.push(Arc::new(self.references.finish()));
        arrays.extend(self.lists.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.extend(self.columns.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        Ok(RecordBatch::try_new(schema.clone(), arrays)?)
    }
}

/// Writes `series/part-00000.parquet`.
pub struct SeriesWriter {
    columns: LabelColumns,
    table: TableWriter<Rows>,
}

impl SeriesWriter {
    /// Creates `rel` below the dataset's folder `dir`.
    pub fn create(dir: &Path, rel: String, columns: &LabelColumns) -> Result<SeriesWriter> {
        let rows = Rows::new(columns.columns.len());
        let table = TableWriter::create(dir, rel, schema(columns), rows, ROWS)?;
        Ok(SeriesWriter { columns: columns.clone(), table })
    }

    /// Appends a row; its series comes after the last one's.
    pub fn push(&mut self, record: &SeriesRecord) -> Result<()> {
        self.table.push(record.id, record.times, |rows| rows.push(record, &self.columns))
    }

    /// Writes the footer, with the id of the dataset, and closes the file.
    pub fn finish(self, dataset_id: &str) -> Result<FileEntry> {
        self.table.finish(dataset_id)
    }
}
