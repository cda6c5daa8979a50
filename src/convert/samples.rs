//! Samples on their way into files: loaded and encoded on all threads, written in order.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use parquet::errors::ParquetError;
use rayon::prelude::*;

use super::accounts::{Accounts, Found};
use super::identity::Known;
use super::survey::Survey;
use super::tasks::{Batches, GROUP_ROWS, Task, TaskBatch};
use super::union::Everything;
use super::{Options, Progress};
use crate::dataset::{FileEntry, HistogramWriter, Partition, SampleEncoder, SampleGroup, SampleRows, SampleWriter};
use crate::error::{Error, ErrorKind, Result};
use crate::loss::Ledger;
use crate::raw::make_folders;
use crate::samples::{Batch, Kinds, Reach, Sweep, overdrawn_losses};
use crate::series::{Member, MergedSeries, SeriesWalk};
use crate::source::{Part, Source};
use crate::time::{Interval, date};
use crate::tsdb::chunkenc::histogram::HistogramSample;

const DAY_MS: i64 = 86_400_000;
/// Folders of days, at most: a forged index may claim any times.
const MOST_DAYS: i64 = 36_525;
/// Rows after which another file begins.
const PART_ROWS: u64 = 1 << 27;
/// The part of the memory that a batch of series may take; the rest is for what is being encoded and for the indexes.
const BATCH_SHARE: u64 = 8;
/// Tasks per thread between two writes: the more, the less do threads wait for each other.
const TASKS_PER_THREAD: usize = 8;

/// Everything that a conversion knows while it runs.
pub(super) struct Job<'a> {
    pub source: &'a Source,
    pub options: &'a Options,
    pub walk: &'a SeriesWalk<'a>,
    pub survey: &'a Survey,
    /// In the union view, what there is on disk.
    pub everything: Option<&'a Everything>,
    /// Waits for the digests of the source.
    pub identity: &'a (dyn Fn() -> Result<Known> + Sync),
    pub dir: &'a Path,
    pub progress: &'a dyn Progress,
}

/// A histogram, and in the union view its origin.
pub(super) type Originated = (HistogramSample, Option<String>);

/// What one task gives.
#[derive(Default)]
pub(super) struct Done {
    pub groups: Vec<SampleGroup>,
    /// Histograms by series, each with its origin in the union view.
    pub histograms: Vec<(i64, Vec<Originated>)>,
    pub found: Vec<Found>,
    pub rows: u64,
}

/// Encoders with their buffers, taken and given back by tasks.
type Encoders = Mutex<Vec<(SampleEncoder, SampleRows)>>;

impl Job<'_> {
    /// The series of the shard with their ids.
    pub(super) fn series(&self) -> impl Iterator<Item = (i64, MergedSeries)> {
        let (first, end) = self.survey.shard;
        (first..end).zip(self.walk.iter().skip(first as usize))
    }

    /// Writes all samples and histograms.
    pub(super) fn run(&self, opening: Ledger) -> Result<(Vec<FileEntry>, Accounts)> {
        if let Some(everything) = self.everything {
            let (first, end) = self.survey.shard;
            let mut accounts = Accounts::new(first, end, opening);
            let mut out = Parts::new(self, String::new());
            let mut ledger = Ledger::default();
            everything.write(self, &mut ledger, |done| self.write(vec![Ok(done)], &mut out, &mut accounts))?;
            accounts.ledger.absorb(ledger);
            out.even_empty()?;
            return Ok((out.finish()?, accounts));
        }
        let (files, accounts, overdrawn) = self.attempt(opening.clone(), &[])?;
        if overdrawn.is_empty() {
            return Ok((files, accounts));
        }
        // A forged index: its chunks share bytes. Begin again without those blocks.
        for file in files {
            let path = self.dir.join(&file.path);
            std::fs::remove_file(&path).map_err(|e| Error::io(&path, "remove it", &e))?;
        }
        let mut ledger = opening;
        ledger.losses.extend(overdrawn_losses(self.source, &overdrawn));
        let without: Vec<Part> = overdrawn.into_iter().map(Part::Block).collect();
        let (files, accounts, _) = self.attempt(ledger, &without)?;
        Ok((files, accounts))
    }

    /// One pass, leaving out some parts of the source. Also gives the blocks that turn out to be forged.
    fn attempt(
        &self,
        ledger: Ledger,
        without: &[Part],
    ) -> Result<(Vec<FileEntry>, Accounts, std::collections::BTreeSet<usize>)> {
        let (first, end) = self.survey.shard;
        let mut accounts = Accounts::new(first, end, ledger);
        let mut files = Vec::new();
        let sweep = Sweep::new(self.source, Kinds::All);
        for (folder, interval) in self.folders()? {
            let mut out = Parts::new(self, folder);
            self.pass(&sweep, interval, without, &mut out, &mut accounts)?;
            files.extend(out.finish()?);
        }
        let mut empty = Parts::new(self, String::new());
        empty.files = std::mem::take(&mut files);
        empty.even_empty()?;
        let files = empty.finish()?;
        Ok((files, accounts, sweep.overdrawn()))
    }

    /// The folders of samples, with the times of each.
    fn folders(&self) -> Result<Vec<(String, Interval)>> {
        let all = self.options.interval;
        let span = self.survey.times.map(|t| Interval::new(t.start.max(all.start), t.end.min(all.end)));
        match (self.options.partition, span) {
            (Partition::Day, Some(span)) => {
                let days = span.start.div_euclid(DAY_MS)..=span.end.div_euclid(DAY_MS);
                if days.end() - days.start() > MOST_DAYS {
                    let message =
                        format!("--partition day: the chunks cover {span}, which is more than {MOST_DAYS} days");
                    return Err(
                        Error::usage(message).hint("bound the times with --start and --end, or leave --partition out")
                    );
                }
                let of_day = |day: i64| {
                    let start = day.saturating_mul(DAY_MS);
                    let inside = Interval::new(start.max(all.start), start.saturating_add(DAY_MS - 1).min(all.end));
                    (format!("date={}/", date(start)), inside)
                };
                Ok(days.map(of_day).collect())
            }
            _ => Ok(vec![(String::new(), all)]),
        }
    }

    /// Everything inside `interval`.
    fn pass(
        &self,
        sweep: &Sweep<'_>,
        interval: Interval,
        without: &[Part],
        out: &mut Parts<'_>,
        accounts: &mut Accounts,
    ) -> Result<()> {
        let first = self.survey.shard.0;
        let series = self.series().map(|(_, mut s)| {
            s.members.retain(|m| !without.contains(&m.part()));
            s
        });
        let encoders = Encoders::default();
        let wave = TASKS_PER_THREAD * rayon::current_num_threads();
        let budget = self.options.memory_limit / BATCH_SHARE;
        for batch in Batches::new(self.source, series, first, interval, budget) {
            let TaskBatch { series, tasks, first_id } = &batch;
            let loading = sweep.batch(series, interval, Reach::Exact, &mut accounts.ledger);
            let mut before: Vec<Result<Done>> = Vec::new();
            let waves = tasks.chunks(wave).map(Some).chain([None]);
            for tasks in waves {
                let work = || -> Vec<Result<Done>> {
                    let task = |t: &Task| do_task(self, &loading, series, *first_id, *t, &encoders);
                    tasks.unwrap_or_default().par_iter().map(task).collect()
                };
                // The last wave is written while this one is made.
                let (written, made) = rayon::join(|| self.write(std::mem::take(&mut before), out, accounts), work);
                written?;
                before = made;
            }
            self.source.release();
        }
        Ok(())
    }

    fn write(&self, wave: Vec<Result<Done>>, out: &mut Parts<'_>, accounts: &mut Accounts) -> Result<()> {
        for done in wave {
            let done = done?;
            out.samples(done.groups)?;
            for (id, histograms) in &done.histograms {
                for (sample, origin) in histograms {
                    out.histogram_writer()?.push(*id, sample, origin.as_deref())?;
                }
            }
            done.found.into_iter().for_each(|found| accounts.add(found));
            self.progress.advance(done.rows, self.survey.samples);
        }
        Ok(())
    }
}

/// The error for samples that parquet refused.
pub(super) fn refused(e: &ParquetError) -> Error {
    Error::new(ErrorKind::Io, format!("cannot encode samples: {e}"))
}

/// Loads and encodes the series of one task.
fn do_task(
    job: &Job<'_>,
    loading: &Batch<'_>,
    series: &[MergedSeries],
    first_id: i64,
    task: Task,
    encoders: &Encoders,
) -> Result<Done> {
    let idle = encoders.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let (mut encoder, mut rows) = match idle {
        Some(idle) => idle,
        None => (SampleEncoder::new(job.options.layout).map_err(|e| refused(&e))?, SampleRows::default()),
    };
    let mut done = Done::default();
    for at in task.from..task.to {
        let id = first_id + at as i64;
        let mut loaded = loading.load(at, task.interval);
        done.found.push(Found::of(id, &mut loaded));
        if !loaded.histograms.is_empty() {
            let histograms = whole_hints(loading, series.get(at), at, task.interval, loaded.histograms);
            done.histograms.push((id, histograms.into_iter().map(|h| (h, None)).collect()));
        }
        let mut from = 0;
        while from < loaded.samples.len() {
            let to = loaded.samples.len().min(from + 2 * GROUP_ROWS - rows.len());
            rows.push(id, &loaded.samples, from..to);
            from = to;
            if rows.len() >= 2 * GROUP_ROWS {
                done.groups.push(encoder.encode(&rows).map_err(|e| refused(&e))?);
                rows.clear();
            }
        }
        done.rows += loaded.samples.len() as u64;
    }
    if !rows.is_empty() {
        done.groups.push(encoder.encode(&rows).map_err(|e| refused(&e))?);
        rows.clear();
    }
    encoders.lock().unwrap_or_else(PoisonError::into_inner).push((encoder, rows));
    Ok(done)
}

/// The histograms of a series inside `interval` with the hints that they have in the whole: those say whether a histogram
/// was read behind another one of the same part, which a load from the middle on cannot tell.
fn whole_hints(
    loading: &Batch<'_>,
    series: Option<&MergedSeries>,
    at: usize,
    interval: Interval,
    loaded: Vec<HistogramSample>,
) -> Vec<HistogramSample> {
    let pieces = series.into_iter().flat_map(|s| s.members.iter().flat_map(Member::pieces));
    let before = pieces.filter(|p| p.end < interval.start).max_by_key(|p| (p.end, p.start));
    let Some(start) = before.map(|p| p.start) else { return loaded };
    let mut longer = loading.load(at, Interval::new(start, interval.end)).histograms;
    longer.retain(|h| h.t_ms >= interval.start);
    longer
}

/// The files of one folder of samples and histograms.
struct Parts<'a> {
    job: &'a Job<'a>,
    /// Empty, or a folder of a day with its slash.
    folder: String,
    samples: Option<SampleWriter>,
    histograms: Option<HistogramWriter>,
    number: u32,
    files: Vec<FileEntry>,
}

impl<'a> Parts<'a> {
    fn new(job: &'a Job<'a>, folder: String) -> Parts<'a> {
        Parts { job, folder, samples: None, histograms: None, number: 0, files: Vec::new() }
    }

    fn path(&self, kind: &str, number: u32) -> Result<String> {
        let folder = format!("{kind}/{}", self.folder);
        make_folders(self.job.dir, Path::new(&folder))
            .map_err(|e| Error::io(&self.job.dir.join(&folder), "make it", &e))?;
        Ok(format!("{folder}part-{number:05}.parquet"))
    }

    fn sample_writer(&mut self) -> Result<&mut SampleWriter> {
        if self.samples.as_ref().is_some_and(|w| w.rows() >= PART_ROWS)
            && let Some(full) = self.samples.take()
        {
            self.files.push(full.finish(&(self.job.identity)()?.dataset_id)?);
            self.number += 1;
        }
        if self.samples.is_none() {
            let path = self.path("samples", self.number)?;
            self.samples = Some(SampleWriter::create(self.job.dir, path)?);
        }
        self.samples.as_mut().ok_or_else(|| Error::new(ErrorKind::Io, "no file of samples is open"))
    }

    /// Begins the files of each kind that there are none of: engines stumble over patterns that match nothing.
    fn even_empty(&mut self) -> Result<()> {
        if self.samples.is_none() && !self.files.iter().any(|f| f.path.starts_with("samples/")) {
            self.sample_writer()?;
        }
        if self.histograms.is_none() && !self.files.iter().any(|f| f.path.starts_with("histograms/")) {
            self.histogram_writer()?;
        }
        Ok(())
    }

    fn samples(&mut self, groups: Vec<SampleGroup>) -> Result<()> {
        groups.into_iter().try_for_each(|group| self.sample_writer()?.append(group))
    }

    fn histogram_writer(&mut self) -> Result<&mut HistogramWriter> {
        if self.histograms.is_none() {
            let path = self.path("histograms", 0)?;
            self.histograms = Some(HistogramWriter::create(self.job.dir, path)?);
        }
        self.histograms.as_mut().ok_or_else(|| Error::new(ErrorKind::Io, "no file of histograms is open"))
    }

    /// Closes the files.
    fn finish(mut self) -> Result<Vec<FileEntry>> {
        let mut files = std::mem::take(&mut self.files);
        let open = self.samples.is_some() || self.histograms.is_some();
        let id = if open { (self.job.identity)()?.dataset_id } else { String::new() };
        if let Some(writer) = self.samples.take() {
            files.push(writer.finish(&id)?);
        }
        if let Some(writer) = self.histograms.take() {
            files.push(writer.finish(&id)?);
        }
        Ok(files)
    }
}
