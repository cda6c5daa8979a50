//! Datasets: a directory of Parquet files that engines read without a plugin and promproof reads back as a SOURCE
//! (`docs/format/parquet.md`).
//!
//! | part of a dataset | module |
//! |---|---|
//! | `samples/**/part-NNNNN.parquet` | `samples` (rows to columns), with `scaled` and `pages` |
//! | `series/part-NNNNN.parquet` | `series` |
//! | `histograms/part-NNNNN.parquet` | `histograms` |
//! | any of these files under way, and its digests | `part` |
//! | `views.sql` | `views` |
//! | `manifest.json` | `manifest` |
//! | row groups found again, and what they may claim | `groups`, `thrift` |
//! | all of it, opened again | `read` |
//!
//! Everything here is about one dataset as bytes; which series and samples go into it is for `convert`.

mod groups;
mod histograms;
mod manifest;
mod pages;
mod part;
mod read;
mod samples;
mod scaled;
mod schema;
mod series;
mod thrift;
mod views;

pub use groups::hush_caught_panics;
pub use histograms::HistogramWriter;
pub use manifest::{DATASET_FORMAT, FORMAT_VERSION, FileEntry, HeadEntry, LossEntry, MANIFEST, Manifest, Shard};
pub use part::SampleWriter;
pub use read::{Dataset, Folder, Group, SeriesRow};
pub use samples::{SampleEncoder, SampleGroup, SampleRows};
pub use series::{LabelColumns, SeriesRecord, SeriesWriter};
pub use views::{VIEWS, views_sql};

/// How values stand in `samples/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// All in `value`.
    Simple,
    /// In `value_int` and `div` where `value_int / div` gives back the same bits, else in `value`.
    Compact,
}

impl Layout {
    /// The name on the command line and in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Simple => "simple",
            Layout::Compact => "compact",
        }
    }
}

/// How `samples/` is split into folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Not at all.
    None,
    /// A folder `date=YYYY-MM-DD` for each day of UTC.
    Day,
}

impl Partition {
    /// The name on the command line and in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Partition::None => "none",
            Partition::Day => "day",
        }
    }
}
