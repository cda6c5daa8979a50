//! Any source as a dataset: its series in label order, their samples row group by row group, and the manifest.
//!
//! | step | module |
//! |---|---|
//! | what is asked for | here |
//! | the digests of the source and the dataset's id, meanwhile | `identity` |
//! | one pass over all labels: how many series, which labels, which shard | `survey` |
//! | series into tasks of one row group each, tasks into batches that fit the memory | `tasks` |
//! | loading and encoding them on all threads, writing them in order | `samples` |
//! | every sample on disk instead of those that a server serves | `union` |
//! | what is left when all samples are written: series, views, manifest | here |
//!
//! Tasks are cut by what indexes say and never by threads or memory, so equal sources give equal bytes.

mod accounts;
mod identity;
mod samples;
mod survey;
mod tasks;
mod union;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::dataset::{
    DATASET_FORMAT, FORMAT_VERSION, FileEntry, HeadEntry, Layout, LossEntry, MANIFEST, Manifest, Partition,
    SeriesRecord, SeriesWriter, Shard, VIEWS, views_sql,
};
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::loss::{Ledger, Loss};
use crate::raw::make_folders;
use crate::samples::{exclusive_chunks, head_reference};
use crate::selector::Selector;
use crate::series::{Member, MergedSeries, SeriesWalk};
use crate::source::{Source, SourceDataset};
use crate::time::Interval;
use crate::wal::record::metric_type;

use accounts::Accounts;
use identity::{Identity, Known};
use survey::Survey;
use union::Everything;

/// What is converted, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Series that any of these accepts; all without one.
    pub selectors: Vec<Selector>,
    /// Times, both ends included.
    pub interval: Interval,
    /// How values stand.
    pub layout: Layout,
    /// How samples are split into folders; the union view is not.
    pub partition: Partition,
    /// Every sample on disk with its origin, instead of what a server serves.
    pub union: bool,
    /// Shard `.0` of `.1`, counted from 0.
    pub shard: Option<(u32, u32)>,
    /// What the conversion may hold in memory, in bytes.
    pub memory_limit: u64,
    /// The name of the release whose rules the source follows, such as `prometheus-3.16`.
    pub semantics: String,
}

impl Options {
    fn view(&self) -> &'static str {
        if self.union { "union" } else { "served" }
    }
}

/// Is told how far a conversion is.
pub trait Progress: Sync {
    /// So many samples more are written; `total` is an estimate.
    fn advance(&self, samples: u64, total: u64);
}

/// What was converted.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The manifest as written.
    pub manifest: Manifest,
    /// Bytes of all files but the manifest.
    pub bytes: u64,
    /// What was lost, contradicted or odd.
    pub ledger: Ledger,
    /// What was asked for of datasets that were converted without it.
    pub beyond: Vec<Loss>,
}

/// Converts `source` into the empty folder `dir`.
///
/// Errs where the folder cannot be written to or the source cannot be read any more, and with several SOURCEs that turn out
/// to be different servers. Damage is a loss in the manifest.
pub fn convert(source: &Source, options: &Options, dir: &Path, progress: &dyn Progress) -> Result<Converted> {
    let beyond = beyond_datasets(source, options);
    let options = &within_datasets(source, options)?;
    std::thread::scope(|scope| {
        let identity = Identity::begin(scope, source, options);
        let mut ledger = source.opening_ledger();
        let (everything, walk) = if options.union {
            let (everything, walk) = Everything::find(source, &options.selectors, &mut ledger)?;
            (Some(everything), walk)
        } else {
            let exclusive =
                |series: Vec<MergedSeries>, ledger: &mut Ledger| exclusive_chunks(source, &series, ledger).into_owned();
            (None, SeriesWalk::open(source, &options.selectors, options.memory_limit / 8, &mut ledger, exclusive))
        };
        let survey = Survey::take(source, &walk, options);
        let (survey, everything, identity) = (&survey, everything.as_ref(), &|| identity.get());
        let job = samples::Job { source, options, walk: &walk, survey, everything, identity, dir, progress };
        let (mut files, mut accounts) = job.run(ledger)?;
        accounts.ledger.settle();
        accounts.ledger.check_one_server()?;
        let (series, losses) = write_series(&job, &accounts)?;
        files.push(series);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let views = views_sql(options.partition.name());
        let path = dir.join(VIEWS);
        std::fs::write(&path, &views).map_err(|e| Error::io(&path, "write it", &e))?;
        let bytes = files.iter().map(|f| f.bytes).sum::<u64>() + views.len() as u64;
        let manifest = manifest(&job, identity()?, &accounts, losses, files);
        let path = dir.join(MANIFEST);
        std::fs::write(&path, manifest.to_text()?).map_err(|e| Error::io(&path, "write it", &e))?;
        Ok(Converted { manifest, bytes, ledger: accounts.ledger, beyond })
    })
}

/// What the options ask for beyond what datasets were converted from.
fn beyond_datasets(source: &Source, options: &Options) -> Vec<Loss> {
    let of = |d: &SourceDataset| -> Vec<Loss> {
        let series = options.selectors.iter().filter_map(|s| d.dataset.beyond(s.matchers()));
        series.chain(d.dataset.outside(options.interval, &d.elsewhere)).collect()
    };
    source.datasets.iter().flat_map(of).collect()
}

/// The same options where the source is made of datasets that hold a part only: what was not converted once is not there
/// twice. Of several datasets, what any of them holds.
fn within_datasets(source: &Source, options: &Options) -> Result<Options> {
    let mut within = options.clone();
    let Some(held) = source.datasets.iter().map(|d| d.dataset.converted()).reduce(Interval::hull) else {
        return Ok(within);
    };
    within.interval.start = within.interval.start.max(held.start);
    within.interval.end = within.interval.end.min(held.end);
    if within.interval.start > within.interval.end {
        return Err(Error::usage(format!("the dataset holds none of these times, but {held}"))
            .hint("convert the original source instead"));
    }
    let manifests = || source.datasets.iter().map(|d| &d.dataset.manifest);
    if manifests().any(|m| m.matches.is_empty()) {
        return Ok(within);
    }
    let held: Result<Vec<Selector>> = manifests().flat_map(|m| &m.matches).map(|text| Selector::parse(text)).collect();
    let mut held = held?;
    held.dedup();
    within.selectors = if within.selectors.is_empty() {
        held
    } else {
        let both = |a: &Selector, b: &Selector| b.matchers().iter().cloned().fold(a.clone(), Selector::and);
        held.iter().flat_map(|a| within.selectors.iter().map(move |b| both(a, b))).collect()
    };
    Ok(within)
}

/// Writes the table of series, and gives every loss the id of its series.
fn write_series(job: &samples::Job<'_>, accounts: &Accounts) -> Result<(FileEntry, Vec<LossEntry>)> {
    make_folders(job.dir, Path::new("series")).map_err(|e| Error::io(&job.dir.join("series"), "make it", &e))?;
    let path = "series/part-00000.parquet".to_owned();
    let mut writer = SeriesWriter::create(job.dir, path, &job.survey.columns)?;
    let mut ids: BTreeMap<&Labels, Option<i64>> = BTreeMap::new();
    ids.extend(accounts.ledger.losses.iter().filter_map(|l| Some((l.series.as_ref()?, None))));
    for (id, series) in job.series() {
        if let Some(place) = ids.get_mut(&series.labels) {
            *place = Some(id);
        }
        let count = accounts.count(id);
        writer.push(&SeriesRecord {
            id,
            samples: count.floats,
            histograms: count.histograms,
            times: count.times,
            metadata: metadata_of(job.source, &series),
            head_reference: head_reference(job.source, &series),
            holes: accounts.holes(id, job.options.interval),
            conflicts: accounts.conflicts(id),
            labels: series.labels,
        })?;
    }
    let id_of = |loss: &Loss| loss.series.as_ref().and_then(|labels| ids.get(labels).copied().flatten());
    let losses = accounts.ledger.losses.iter().map(|loss| LossEntry::new(loss, id_of(loss))).collect();
    Ok((writer.finish(&(job.identity)()?.dataset_id)?, losses))
}

/// Type, unit and help of a series.
fn metadata_of(source: &Source, series: &MergedSeries) -> Option<[String; 3]> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    series.members.iter().find_map(|m| match m {
        Member::Head { head, position, .. } => {
            let m = source.heads.get(*head)?.head.series.get(*position)?.metadata.as_ref()?;
            Some([metric_type(m.kind).to_owned(), text(&m.unit), text(&m.help)])
        }
        Member::Dataset { dataset, position, .. } => {
            source.datasets.get(*dataset)?.dataset.series.get(*position)?.record.metadata.clone()
        }
        Member::Dumps { dumps, position, .. } => {
            source.dumps.get(*dumps)?.dumps.series.get(*position)?.metadata.as_deref().cloned()
        }
        Member::Block { .. } => None,
    })
}

fn manifest(
    job: &samples::Job<'_>,
    known: Known,
    accounts: &Accounts,
    losses: Vec<LossEntry>,
    files: Vec<FileEntry>,
) -> Manifest {
    let samples::Job { source, options, survey, .. } = job;
    let ends = |interval: Interval| (interval.start, interval.end);
    let (first, end) = survey.shard;
    let ledger = &accounts.ledger;
    Manifest {
        format: DATASET_FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        dataset_id: known.dataset_id,
        tool: json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")}),
        source: known.description,
        semantics: options.semantics.clone(),
        depends_on_release: source.depends_on_release(),
        view: options.view().to_owned(),
        layout: options.layout.name().to_owned(),
        partition: options.partition.name().to_owned(),
        start_ms: Some(options.interval.start).filter(|t| *t != i64::MIN),
        end_ms: Some(options.interval.end).filter(|t| *t != i64::MAX),
        matches: options.selectors.iter().map(Selector::to_string).collect(),
        shard: options.shard.map(|(index, count)| Shard { index, count, first_series: first, end_series: end }),
        series: survey.series,
        series_here: (end - first).max(0) as u64,
        float_samples: accounts.floats,
        stale_samples: accounts.stale,
        histogram_samples: accounts.histograms,
        deleted_samples: ledger.deleted,
        duplicate_samples: ledger.duplicates,
        lost_samples: ledger.losses.iter().map(|l| l.samples).sum(),
        conflicting_samples: accounts.all_conflicts(),
        covered_ms: source.interval().map(ends),
        blocks_ms: source.block_times(),
        head: source
            .head_times()
            .map(|(in_order, late)| HeadEntry { in_order_ms: in_order.map(ends), out_of_order_ms: late.map(ends) }),
        label_columns: survey.columns.columns.clone(),
        labels_without_column: survey.columns.without.clone(),
        losses,
        notes: ledger.notes.clone(),
        files,
    }
}
