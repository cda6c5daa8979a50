//! promproof reads what a Prometheus server left behind and proves what it says.
//!
//! The library turns exported TSDB blocks into exact answers: the same numbers, bit for bit, that the server would
//! have given, and beside them what the samples prove by themselves. It never prints, exits, or reads the clock or the
//! environment; the command line (`cli`) does and passes the values in.
//!
//! ```text
//! raw -> tsdb -> wal -> scrape -> head -> dataset -> archive -> dumps -> source -> series -> samples -> promql | windows
//!     -> verdict -> report -> evidence -> package -> cli
//! ```
//!
//! Beside that way stand `synth` (made-up snapshots, from `tsdb`), `check` (every file by
//! itself, from `source`) and `convert` (datasets, from `samples`).
//!
//! A room uses the rooms to its left and the flat files (`error`, `time`, `labels`, `selector`, `re2`, `sample`,
//! `version`, `loss`, `gosort`, `gofloat`), never one to its right; `tests/it/tidy.rs` checks it.

pub mod error;
pub mod gofloat;
pub mod gosort;
pub mod labels;
pub mod loss;
pub mod re2;
pub mod sample;
pub mod selector;
pub mod time;
pub mod version;

pub mod raw;
pub mod tsdb;

pub mod synth;

pub mod wal;

pub mod scrape;

pub mod head;

pub mod dataset;

pub mod archive;

pub mod dumps;

pub mod source;

pub mod check;

pub mod series;

pub mod samples;

pub mod convert;

pub mod promql;
pub mod windows;

pub mod verdict;

pub mod report;

pub mod evidence;

pub mod package;

pub mod cli;

pub use error::{Error, ErrorKind, Result};
