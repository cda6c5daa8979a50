//! A block directory: `meta.json`, `index`, `chunks/`, `tombstones`; and `chunks_head/`, whose chunks are of the same
//! kinds. One module per file type, as upstream's packages.
//!
//! Decoders here are plain functions from a slice: no I/O beyond opening the files, no threads, no output. The formats
//! are described in `docs/format/`.

#![deny(clippy::indexing_slicing)]

pub mod block;
pub mod chunkenc;
pub mod chunks;
pub mod head_chunks;
pub mod index;
pub mod meta;
pub mod numbered;
pub mod run;
pub mod tombstones;
pub mod ulid;
pub mod write;

pub use block::Block;
pub use chunks::{BlockChunkRef, ChunkSlice};
pub use head_chunks::{HeadChunk, HeadChunkRef, HeadSeriesRef};
pub use index::{BlockSeriesRef, ChunkMeta, SeriesEntry};
pub use meta::BlockMeta;
pub use run::Run;
pub use ulid::Ulid;
