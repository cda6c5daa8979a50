//! The open chunks of a chunk snapshot, which a server that finds it takes over instead of cutting them anew.

use std::collections::BTreeMap;

use crate::labels::Labels;
use crate::raw::{FileBytes, ReadMode};
use crate::tsdb::chunkenc::histogram::{self, HistogramSample};
use crate::wal::dir::list_segments;
use crate::wal::pages::Records;
use crate::wal::snapshot::{SnapshotDir, SnapshotRecord, decode};

/// The chunks of native histograms by series. Floats are the same however they are cut. A server gives up a snapshot that
/// it cannot read to its end; then there is none here, either.
pub(super) fn histograms(snapshot: &SnapshotDir) -> BTreeMap<Labels, Vec<HistogramSample>> {
    read(snapshot).unwrap_or_default()
}

fn read(snapshot: &SnapshotDir) -> Option<BTreeMap<Labels, Vec<HistogramSample>>> {
    let mut found = BTreeMap::new();
    let mut buffer = Vec::new();
    for segment in list_segments(&snapshot.dir).ok()?.segments {
        let bytes = FileBytes::open(&segment.path, ReadMode::Read).ok()?;
        for record in Records::new(&bytes).limit(super::MAX_RECORD) {
            let record = record.ok()?;
            let SnapshotRecord::Series(series) = decode(record.decompress(&mut buffer).ok()?).ok()? else { continue };
            if let Some(chunk) = series.chunk.filter(|c| c.encoding.is_histogram()) {
                found.insert(series.labels, histogram::decode(&chunk.data).ok()?);
            }
        }
    }
    Some(found)
}
