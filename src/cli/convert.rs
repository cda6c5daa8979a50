//! `promproof convert`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::cli::args::{ConvertArgs, StatsFormat, View};
use crate::cli::output::{OutputFolder, keep_out_of_sources};
use crate::cli::plan::{self, Common};
use crate::cli::progress::{Samples, count};
use crate::cli::{each_source, signals};
use crate::convert::{Converted, Options, convert};
use crate::dataset::{MANIFEST, Manifest, VIEWS};
use crate::error::{Error, Result};
use crate::labels::printable;
use crate::report::provenance::{loss_lines, note_lines};
use crate::selector::Selector;
use crate::source::Source;
use crate::time::Interval;
use crate::windows::instead::missing;
use crate::windows::semantics::storage_release;

pub fn run(args: ConvertArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let plan = plan::convert(&common, &args)?;
    signals::remove_private_folders();
    let begun = Instant::now();
    each_source(&common, &[], |source| {
        if let Some(above) = &plan.above {
            keep_out_of_sources(&common, above)?;
            std::fs::create_dir_all(above).map_err(|e| Error::io(above, "make it", &e))?;
        }
        keep_out_of_sources(&common, &plan.target)?;
        let folder = OutputFolder::create(&plan.target, common.force, own_files)?;
        let options = Options {
            selectors: plan.selectors.clone(),
            interval: plan.interval,
            layout: plan.layout,
            partition: plan.partition,
            union: args.view == View::Union,
            shard: plan.shard,
            memory_limit: plan.memory_limit,
            semantics: format!("prometheus-{}", storage_release(common.semantics, &source)),
        };
        let progress = Samples::new(common.long_progress());
        let converted = convert(&source, &options, folder.path(), &progress);
        progress.finish();
        let converted = converted?;
        folder.finish(true)?;
        tell(&common, &plan.target, &converted);
        if args.stats == Some(StatsFormat::Json) {
            let _ = writeln!(std::io::stderr(), "{}", stats(&converted, begun.elapsed().as_secs_f64()));
        }
        let samples = converted.manifest.float_samples + converted.manifest.histogram_samples;
        if samples == 0 {
            let why = nothing(&source, &plan.selectors, plan.interval, converted.manifest.series);
            why.iter().for_each(|line| common.note(line));
        }
        let whole = converted.ledger.losses.is_empty() && converted.beyond.is_empty();
        Ok(if whole && samples > 0 { 0 } else { 3 })
    })
}

/// What the dataset in `dir` consists of; nothing where there is none.
fn own_files(dir: &Path) -> BTreeSet<String> {
    let Ok(manifest) = Manifest::read(dir) else { return BTreeSet::new() };
    let files = manifest.files.into_iter().map(|f| f.path);
    files.chain([MANIFEST.to_owned(), VIEWS.to_owned()]).collect()
}

/// Why a dataset has no sample.
fn nothing(source: &Source, selectors: &[Selector], interval: Interval, series: u64) -> Vec<String> {
    if series == 0 && !selectors.is_empty() {
        return selectors.iter().flat_map(|s| missing(source, s)).collect();
    }
    let covered = source.interval().map_or("nothing".to_owned(), |i| i.to_string());
    vec![format!("there is no sample in {interval}; the data cover {covered}")]
}

/// What was written, and what is not in it.
fn tell(common: &Common, target: &Path, converted: &Converted) {
    let m = &converted.manifest;
    let samples = m.float_samples + m.histogram_samples;
    let each = converted.bytes as f64 / samples.max(1) as f64;
    if !common.quiet {
        let _ = writeln!(
            std::io::stderr(),
            "{}: {} samples of {} series in {}B, {each:.2} B a sample",
            printable(&target.to_string_lossy()),
            count(samples),
            count(m.series_here),
            count(converted.bytes)
        );
    }
    for line in loss_lines(&converted.ledger.losses, 20) {
        common.note(&format!("lost: {line}"));
    }
    if !converted.ledger.losses.is_empty() {
        common.note("the dataset is written without what was lost; its manifest lists all of it");
    }
    for line in loss_lines(&converted.beyond, 20) {
        common.note(&format!("not in the source: {line}"));
    }
    if m.conflicting_samples > 0 {
        common.note(&format!(
            "{} samples have different values in parts that overlap; those of a full read are converted, and the series table lists the times",
            m.conflicting_samples
        ));
    }
    for line in note_lines(&m.notes) {
        common.note(&line);
    }
}

fn stats(converted: &Converted, seconds: f64) -> serde_json::Value {
    let m = &converted.manifest;
    let samples = m.float_samples + m.histogram_samples;
    json!({
        "samples": samples,
        "series": m.series_here,
        "bytes": converted.bytes,
        "bytes_per_sample": converted.bytes as f64 / samples.max(1) as f64,
        "seconds": seconds,
        "samples_per_second": samples as f64 / seconds,
        "peak_memory_bytes": peak_memory(),
        "threads": rayon::current_num_threads(),
    })
}

/// The most memory that this process had, mapped files included; `None` where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
