//! Every sample on disk, repeated, deleted and refused ones too, each with its origin.
//!
//! What a log has of a series stands anywhere in it, so all of the series of a batch are gathered at once, and the logs are
//! read once per batch.

use std::collections::BTreeMap;

use super::accounts::Found;
use super::samples::{Done, Job, refused};
use super::tasks::GROUP_ROWS;
use crate::dataset::{SampleEncoder, SampleRows};
use crate::error::Result;
use crate::head::Physical;
use crate::labels::Labels;
use crate::loss::Ledger;
use crate::samples::{LoadedSeries, PhysicalSeries, physical, physical_labels};
use crate::selector::{Matcher, Selector};
use crate::series::{MergedSeries, SeriesWalk};
use crate::source::Source;
use crate::tsdb::run::{Position, Run};

/// What a sample takes while it is gathered: a logged one stands by itself, with its place.
const SAMPLE_BYTES: u64 = 256;

/// All label sets on disk that any of `selectors` accepts, with about how many samples each has.
pub(super) struct Everything {
    sizes: Vec<u64>,
}

impl Everything {
    /// Finds the label sets, and walks them.
    pub(super) fn find<'a>(
        source: &'a Source,
        selectors: &'a [Selector],
        ledger: &mut Ledger,
    ) -> Result<(Everything, SeriesWalk<'a>)> {
        let served = SeriesWalk::open(source, selectors, u64::MAX, ledger, |series, _| series);
        let mut all: BTreeMap<Labels, (u64, MergedSeries)> = physical_labels(source, selectors)?
            .into_iter()
            .map(|(labels, size)| (labels.clone(), (size, MergedSeries { labels, members: Vec::new() })))
            .collect();
        for series in served.iter() {
            let of = all.entry(series.labels.clone()).or_insert((0, series.clone()));
            of.1 = series;
        }
        let (sizes, series) = all.into_values().unzip();
        Ok((Everything { sizes }, SeriesWalk::of(source, selectors, series)))
    }

    /// Calls `write` with what each series of the shard has.
    pub(super) fn write(
        &self,
        job: &Job<'_>,
        ledger: &mut Ledger,
        mut write: impl FnMut(Done) -> Result<()>,
    ) -> Result<()> {
        let mut encoder = SampleEncoder::new(job.options.layout).map_err(|e| refused(&e))?;
        let sizes = self.sizes.iter().skip(job.survey.shard.0 as usize);
        let mut series = job.series().zip(sizes).peekable();
        let room = job.options.memory_limit / 2 / SAMPLE_BYTES;
        while series.peek().is_some() {
            let mut batch: BTreeMap<Labels, i64> = BTreeMap::new();
            let mut size = 0;
            while size < room
                && let Some(((id, series), samples)) = series.next()
            {
                size += samples;
                batch.insert(series.labels, id);
            }
            let everything: [&[Matcher]; 1] = [&[]];
            for found in physical(job.source, &everything, &|labels| batch.contains_key(labels), ledger)? {
                let Some(id) = batch.get(&found.labels) else { continue };
                write(encode(job, *id, found, &mut encoder).map_err(|e| refused(&e))?)?;
            }
        }
        Ok(())
    }
}

/// The rows of one series, by time; of one time in the order of blocks, logs and mapped chunks.
fn encode(
    job: &Job<'_>,
    id: i64,
    series: PhysicalSeries,
    encoder: &mut SampleEncoder,
) -> Result<Done, parquet::errors::ParquetError> {
    let mut order: Vec<(i64, usize, Position)> = Vec::new();
    let runs: Vec<Run> = series
        .parts
        .iter()
        .map(|part| {
            let mut run = Run::default();
            run.extend(&part.run, job.options.interval);
            run
        })
        .collect();
    for (part, run) in runs.iter().enumerate() {
        order.extend(run.order().into_iter().map(|(t, position)| (t, part, position)));
    }
    order.sort_by_key(|(t, part, _)| (*t, *part));
    let mut rows = SampleRows::default();
    let mut done = Done::default();
    let (mut loaded, mut histograms) = (LoadedSeries { labels: series.labels, ..LoadedSeries::default() }, Vec::new());
    for (_, part, position) in order {
        let (Some(run), Some(of)) = (runs.get(part), series.parts.get(part)) else { continue };
        match position {
            Position::Float(at) => {
                rows.push(id, &run.floats, at..at + 1);
                rows.came_from(&origin(of));
                loaded.samples.extend(&run.floats, at..at + 1);
                if rows.len() == 2 * GROUP_ROWS {
                    done.groups.push(encoder.encode(&rows)?);
                    rows.clear();
                }
            }
            Position::Histogram(at) => {
                histograms.extend(run.histograms.get(at).map(|h| (h.clone(), Some(origin(of)))));
                loaded.histograms.extend(run.histograms.get(at).cloned());
            }
        }
    }
    if !rows.is_empty() {
        done.groups.push(encoder.encode(&rows)?);
    }
    done.rows = loaded.samples.len() as u64;
    done.histograms.push((id, histograms));
    done.found.push(Found::of(id, &mut loaded));
    Ok(done)
}

/// The block, or the folder of a head's files, and what becomes of the sample.
fn origin(of: &Physical) -> String {
    let place = of.file.split('/').next().unwrap_or_default();
    format!("{place} {}", of.state)
}
