//! The logs of a head: `wal/`, `wbl/`, checkpoints and chunk snapshots. One module per layer of the format, as
//! described in `docs/format/wal.md`.
//!
//! Decoders here are plain functions from bytes: what a server makes of the records is decided further right.

#![deny(clippy::indexing_slicing)]

pub mod dir;
pub mod pages;
pub mod record;
pub mod snapshot;

pub use crate::tsdb::head_chunks::{HeadChunkRef, HeadSeriesRef};
pub use dir::{Checkpoint, LogDir, SegmentFile, list_checkpoints, list_segments};
pub use pages::{Compression, RawRecord, RecordFault, Records};
