//! Text dumps as a SOURCE: a file, or a folder of files, becomes the series that scrapes would have stored (`docs/dumps.md`).
//!
//! ```text
//! file (which files, compression, form) -> read (lines into scrapes and timed samples) -> join (targets, stale markers, series)
//!   dating (when), rules (which labels)             answer (JSON), texts (series by lines)  cut (at the end of a line)
//!                                                       building, packed, ids (what is held)
//! ```
//!
//! The text streams; the series and their samples are held as XOR chunks, about two bytes a sample. Files are read on all
//! threads, in bundles that lie beside each other, and joined in the order of their paths.

#![deny(clippy::indexing_slicing)]

mod answer;
mod building;
mod cut;
mod dating;
mod file;
mod ids;
mod join;
mod manifest;
mod name;
mod packed;
mod read;
mod rules;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::archive::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Labels, printable};
use crate::loss::{Ledger, Loss, counted_noun};
use crate::sample::Samples;
use crate::scrape::{Form, Sniffed};
use crate::time::{DurationMs, Interval, TimestampMs};
use crate::version::PromVersion;

use dating::{Dating, check_offsets, tell_times};
use join::{Join, Rules, TargetKey};
use name::{NameTime, time_in};
use packed::Chunks;
use read::{Bundle, Contents, Context};

pub use dating::TimeRule;
pub use file::{Content, Found, Opened, Packing, files, open};
pub use manifest::MANIFEST;
pub use rules::{Glob, LabelRules};

/// Files in one bundle, which one thread reads: many enough that what their lines have in common is worked out once, few and
/// small enough that there are bundles for all threads.
const BUNDLE_FILES: usize = 64;
/// Bytes of files in one bundle, as they lie there, unless one file alone has more.
const BUNDLE_BYTES: u64 = 16 << 20;

/// What tells the times of scrapes in one file.
const SCRAPE_LINES: &str = "lines `# scrape`";

const UNDATABLE: &str = "say when with a time in the file's name, a manifest.json beside the files, a line `# scrape <time>`, --time-from mtime, or --time-from and one time for all; --include GLOB leaves out what is no dump";

/// What the samples in saved answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answers {
    /// Judged by their times: evaluations stand on one grid.
    #[default]
    Auto,
    /// Raw samples, of a range selector.
    Raw,
    /// Evaluations, of `query_range` or an instant query.
    Evaluated,
}

/// How dumps are read.
#[derive(Debug, Clone, Default)]
pub struct DumpOptions {
    /// What tells times before anything else does.
    pub time_from: Option<TimeRule>,
    /// The labels of targets.
    pub labels: LabelRules,
    /// Only files whose path matches; all without one.
    pub include: Option<Glob>,
    /// Whether `up` = 1 is added at each scrape.
    pub assume_up: bool,
    /// The expected spacing of dumps of one target; read off their times without one.
    pub interval_ms: Option<DurationMs>,
    /// What saved answers hold.
    pub answers: Answers,
    /// Files of which an archive has only a part, for which it has its losses.
    pub parts: BTreeSet<PathBuf>,
}

impl DumpOptions {
    /// The flags that were given, which mean nothing for other data.
    pub fn flags(&self) -> Vec<&'static str> {
        let given = [
            (self.time_from.is_some(), "--time-from"),
            (self.include.is_some(), "--include"),
            (self.assume_up, "--assume-up"),
            (self.interval_ms.is_some(), "--dump-interval"),
            (self.answers != Answers::Auto, "--answers"),
        ];
        let flags = given.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag);
        flags.chain(self.labels.flags()).collect()
    }
}

/// A series of dumps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpSeries {
    /// The identity.
    pub labels: Labels,
    /// Type, unit and help, of the last file that has them.
    pub metadata: Option<Arc<[String; 3]>>,
    /// Its samples in strictly increasing time, stale markers included.
    chunks: Chunks,
    /// From the first to the last scrape that says something about it; `None` where all samples have times of their own.
    pub scraped: Option<Interval>,
}

impl DumpSeries {
    /// The samples inside `range`, both ends included, in strictly increasing time, stale markers included.
    pub fn samples(&self, range: Interval) -> Samples {
        self.chunks.inside(range)
    }

    /// No fewer samples than there are inside `range`, without reading any.
    pub fn at_most(&self, range: Interval) -> u64 {
        self.chunks.at_most(range) as u64
    }

    /// From the first to the last sample, both included.
    pub fn interval(&self) -> Option<Interval> {
        self.chunks.times()
    }

    /// The times that it covers, in pieces of at most 120 samples.
    pub fn pieces(&self) -> Vec<Interval> {
        self.chunks.pieces().collect()
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path relative to the root.
    pub rel: String,
    /// Its length as it lies there.
    pub bytes: u64,
    /// Its form in words.
    pub form: &'static str,
    /// When it was made, or its first scrape, where all have times of their own. `None` where its samples have.
    pub time_ms: Option<TimestampMs>,
    /// The time of its last scrape.
    pub until_ms: Option<TimestampMs>,
    /// Which rule told.
    pub time_from: Option<&'static str>,
    /// The labels that it was given.
    pub labels: Labels,
    /// Scrapes in it at times of their own or the file's.
    pub scrapes: u64,
    /// Float samples in it.
    pub samples: u64,
}

/// Dumps, read.
#[derive(Debug)]
pub struct Dumps {
    /// The folder, or the file.
    pub root: PathBuf,
    /// The files with samples, in the order of their paths.
    pub files: Vec<DumpFile>,
    /// The series, in label order.
    pub series: Vec<DumpSeries>,
    /// What was lost or odd.
    pub opening: Ledger,
    /// Whether another release would store other labels.
    pub depends_on_release: bool,
    /// Whether some samples are evaluations, so that nothing tells what was scraped.
    pub evaluated: bool,
    /// How they were read.
    pub options: DumpOptions,
    normalized: bool,
    /// What stands before the paths in losses; empty where nothing does.
    below: String,
    max_zstd_window: u64,
}

/// Whether a file is a dump by its first bytes.
pub fn is_dump(path: &Path, limits: &Limits) -> bool {
    let is_named = || path.file_name().is_some_and(|name| is_dump_name(&name.to_string_lossy()));
    open(path, limits.max_zstd_window).is_ok_and(|opened| match opened.content {
        Content::Dump(_) => true,
        Content::Damaged(_) => is_named(),
        _ => false,
    })
}

/// Errs where a file is text, and no dump of any form, with what it seems to be. Other files are for others to judge.
pub fn refuse_text(path: &Path, limits: &Limits) -> Result<()> {
    let Ok(opened) = open(path, limits.max_zstd_window) else { return Ok(()) };
    let what = match opened.content {
        _ if opened.packing != Packing::Plain => return Ok(()),
        Content::Empty => "an empty file",
        Content::Json => "JSON that is no answer with samples",
        Content::Other(what) if what.starts_with("text") || what.starts_with("JSON") => what,
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Unsupported, format!("this is {what}, and neither a dump nor an archive")).at(path).hint(
        "a SOURCE is a folder, an archive (.tar, .tar.gz, .tar.zst or .zip), or a dump: what a target's /metrics, /federate, promtool or the query API printed",
    ))
}

/// A note about dumps in and below `path`, where the data in `root` are something else and they are left out.
pub fn left_out(path: &Path, root: &Path, limits: &Limits) -> Option<String> {
    let found = files(path).ok()?;
    let dumps = || found.iter().filter(|f| is_dump_name(&f.rel) && is_dump(&f.path, limits));
    let first = dumps().next()?;
    let count = dumps().count();
    let (lie, are) = if count == 1 { ("text dump lies", "is") } else { ("text dumps lie", "are") };
    let data = root.strip_prefix(path).ok().filter(|rel| !rel.as_os_str().is_empty());
    let beside = data.map_or_else(|| "the data".to_owned(), |rel| printable(&rel.to_string_lossy()));
    let first = printable(&first.rel);
    Some(format!(
        "{count} {lie} beside {beside} and {are} not read (first: {first}); give dumps in a folder of their own"
    ))
}

/// Whether there is a dump in a folder or below it.
pub fn holds_dumps(dir: &Path, limits: &Limits) -> bool {
    files(dir).is_ok_and(|found| found.iter().any(|f| is_dump(&f.path, limits)))
}

/// The first file in a folder without dumps that may have been one before it was damaged, and what is wrong with it.
pub fn damaged(dir: &Path, limits: &Limits) -> Option<String> {
    let why = |f: &Found| match open(&f.path, limits.max_zstd_window).ok()?.content {
        Content::Damaged(why) => Some(format!("{}: {why}", printable(&f.rel))),
        _ => None,
    };
    files(dir).ok()?.iter().find_map(why)
}

impl Dumps {
    /// Reads the dumps in `root` as `release` would have stored them.
    ///
    /// Errs where a time cannot be told, where a series stands twice at one moment, and where nothing is a dump. What is not
    /// understood is a loss.
    pub fn open(root: &Path, options: &DumpOptions, release: PromVersion, limits: &Limits) -> Result<Dumps> {
        Dumps::open_in_bundles(root, options, release, limits, BUNDLE_FILES)
    }

    /// The same, with at most so many files in a bundle, which changes nothing but the time.
    fn open_in_bundles(
        root: &Path,
        options: &DumpOptions,
        release: PromVersion,
        limits: &Limits,
        most: usize,
    ) -> Result<Dumps> {
        let (found, not_followed) = file::list(root)?;
        let dating = Dating::new(&found, options)?;
        let include = |f: &Found| dating.includes(&f.rel);
        let is_manifest = |f: &Found| f.rel.rsplit('/').next() == Some(MANIFEST);
        let (candidates, left_out): (Vec<Found>, Vec<Found>) =
            found.into_iter().filter(|f| !is_manifest(f)).partition(include);
        let left_out = match left_out.len() {
            0 => None,
            n => Some(format!("--include left out {}", counted_noun(n, "file", "files"))),
        };
        let names: Vec<String> = candidates.iter().map(|f| f.rel.clone()).collect();
        let mut join = Join::default();
        let mut files = Vec::new();
        let mut position = 0;
        for bundles in bundles(&candidates, most).chunks(2 * rayon::current_num_threads()) {
            let read = |found: &&[Found]| {
                let mut bundle = Bundle::default();
                let read = |f| read_file(f, &dating, options, release, limits, &mut bundle);
                found.iter().map(read).collect::<Result<Vec<Outcome>>>().map(|outcomes| (outcomes, bundle))
            };
            // Of several errors the first in the order of paths counts.
            let read: Vec<Result<(Vec<Outcome>, Bundle)>> = bundles.par_iter().map(read).collect();
            for read in read {
                let (outcomes, bundle) = read?;
                let places = join.add_series(bundle);
                for outcome in outcomes {
                    match outcome {
                        Outcome::Dump(file, contents) => {
                            files.push(file);
                            join.add(position, &places, contents);
                        }
                        Outcome::Lost(loss) => join.ledger.losses.push(loss),
                        Outcome::Other(note) => join.ledger.notes.push(note),
                        Outcome::Known => {}
                    }
                    position += 1;
                }
            }
        }
        if files.is_empty() {
            let mut error = Error::new(ErrorKind::Missing, "there is no dump here").at(root);
            let lines =
                left_out.into_iter().chain(join.ledger.losses.iter().map(Loss::to_line)).chain(join.ledger.notes);
            for line in lines.take(10) {
                error = error.adding(&format!("\n  {line}"));
            }
            return Err(error.hint("a dump is what a target's /metrics, /federate, promtool or the query API printed"));
        }
        join.ledger.notes.extend(left_out);
        join.ledger.notes.extend(dating.passed_over.iter().cloned());
        let (dumps, others): (Vec<String>, Vec<String>) = not_followed.into_iter().partition(|rel| is_dump_name(rel));
        join.ledger.losses.extend(dumps.into_iter().filter(|rel| dating.includes(rel)).map(|rel| Loss {
            interval: dating.time_of_name(&rel),
            ..lost(
                &rel,
                ErrorKind::Unsupported,
                "a link or a pipe, which is not followed: put the file in its place".to_owned(),
            )
        }));
        if let Some(first) = others.first() {
            let count = counted_noun(others.len(), "link or pipe is", "links or pipes are");
            join.ledger.notes.push(format!("{count} not followed (first: {})", printable(first)));
        }
        dating.tell_missing(&names, &mut join.ledger);
        check_offsets(&files)?;
        tell_times(&files, &mut join.ledger);
        let paths: Vec<&str> = files.iter().map(|f| f.rel.as_str()).collect();
        join.ledger.notes.extend(options.labels.unmatched(&paths));
        let (depends_on_release, evaluated) = (join.depends_on_release, join.evaluated);
        let rules = Rules {
            assume_up: options.assume_up,
            interval_ms: options.interval_ms,
            time_from: options.time_from,
            files: &names,
        };
        let (series, opening) = join.finish(&rules).map_err(|e| match root.is_dir() {
            true => e.moved(Path::new(""), root),
            false => e.at(root),
        })?;
        Ok(Dumps {
            root: root.to_path_buf(),
            files,
            series,
            opening,
            depends_on_release,
            evaluated,
            normalized: release.normalizes_bounds(),
            below: String::new(),
            options: options.clone(),
            max_zstd_window: limits.max_zstd_window,
        })
    }

    /// The same dumps as `release` would have stored them; read again where that makes a difference.
    pub fn follow(self, release: PromVersion) -> Result<Dumps> {
        if !self.depends_on_release || self.normalized == release.normalizes_bounds() {
            return Ok(self);
        }
        let limits = Limits { max_zstd_window: self.max_zstd_window, ..Limits::default() };
        let mut dumps = Dumps::open(&self.root, &self.options, release, &limits)?;
        if !self.below.is_empty() {
            dumps.put_below(&self.below);
        }
        Ok(dumps)
    }

    /// Puts the name of its SOURCE in front of the paths in losses, where several SOURCEs are merged.
    pub fn put_below(&mut self, name: &str) {
        self.below = name.to_owned();
        for loss in &mut self.opening.losses {
            loss.file = format!("{name}/{}", loss.file);
        }
    }

    /// The times of all samples.
    pub fn interval(&self) -> Option<Interval> {
        self.series.iter().filter_map(DumpSeries::interval).reduce(Interval::hull)
    }
}

/// Errs where scrapes of several SOURCEs, each with its name, show one series over the same time: nothing tells their targets
/// apart, whether or not their values are equal.
pub fn check_apart(parts: &[(String, &Dumps)]) -> Result<()> {
    let mut seen: BTreeMap<&Labels, Vec<(Interval, &str)>> = BTreeMap::new();
    for (name, dumps) in parts {
        for s in &dumps.series {
            let Some(scraped) = s.scraped else { continue };
            let of = seen.entry(&s.labels).or_default();
            if let Some((before, other)) = of.iter().find(|(before, _)| before.overlaps(&scraped)) {
                let both = Interval::new(before.start.max(scraped.start), before.end.min(scraped.end));
                let (a, b) = (printable(other), printable(name));
                let message = format!("{} is in dumps of {a} and of {b} that cover the same time, {both}", s.labels);
                return Err(Error::new(ErrorKind::Ambiguous, message).hint(
                    "paths in --label and --label-from-path begin inside each SOURCE, so put the dumps below one folder, give that one, and tell their targets apart there, such as with --label-from-path '(?P<instance>[^/]+)/'",
                ));
            }
            of.push((scraped, name));
        }
    }
    Ok(())
}

/// What became of one file.
enum Outcome {
    Dump(DumpFile, Contents),
    /// It should have been a dump and is none.
    Lost(Loss),
    /// It is something else.
    Other(String),
    /// There is nothing of it, and that is known already.
    Known,
}

/// How many files a `manifest.json` names. Errs where it cannot be used.
pub fn manifest_entries(path: &Path) -> Result<u64> {
    manifest::read(path).map(|entries| entries.len() as u64)
}

/// Whether a path says that the file is a dump: by a time in its name, or by an ending that only dumps have.
pub fn is_dump_name(rel: &str) -> bool {
    let name = rel.rsplit('/').next().unwrap_or_default();
    time_in(name) != NameTime::None || ENDINGS.iter().any(|e| unpacked_name(name).to_ascii_lowercase().ends_with(e))
}

/// A file's name without the ending of its compression.
fn unpacked_name(name: &str) -> &str {
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name)
}

const ENDINGS: [&str; 4] = [".prom", ".om", ".metrics", ".openmetrics"];

/// Whether a path says that the file is a saved answer of the query API. The samples of an answer have times of their own, so
/// one in its name says nothing about them.
pub fn is_answer_name(rel: &str) -> bool {
    unpacked_name(rel).to_ascii_lowercase().ends_with(".json")
}

fn read_file(
    found: &Found,
    dating: &Dating<'_>,
    options: &DumpOptions,
    release: PromVersion,
    limits: &Limits,
    bundle: &mut Bundle,
) -> Result<Outcome> {
    let opened = open(&found.path, limits.max_zstd_window)?;
    let (time, time_from) = match dating.time_of(found)? {
        Ok((time, rule)) => (Ok(time), Some(rule.name())),
        Err(why) => (Err(why), None),
    };
    let target = TargetKey { labels: dating.labels_of(found, options), stream: stream(&found.rel) };
    let context = Context {
        rel: &found.rel,
        time: time.as_ref().map(|t| *t).map_err(String::as_str),
        target: &target,
        release,
        answers: options.answers,
    };
    let is_part = options.parts.contains(&found.path);
    let (form, mut contents) = match opened.content {
        Content::Empty | Content::Damaged(_) if is_part => return Ok(Outcome::Known),
        Content::Dump(sniffed) => {
            (form_name(sniffed), bundle.read(opened, sniffed, &context).map_err(|e| e.at(&found.path))?)
        }
        Content::Damaged(why) => {
            // An answer's samples have times of their own, and nothing tells what a file of another name holds.
            let is_scrape = dating.looks_like_a_dump(found) && !is_answer_name(&found.rel);
            let interval = time.ok().filter(|_| is_scrape).map(|t| Interval::new(t, t));
            let detail = format!("nothing of it is used: {why}; save it again, or leave it out with --include");
            return Ok(Outcome::Lost(Loss { interval, ..lost(&found.rel, ErrorKind::Truncated, detail) }));
        }
        Content::Empty if is_answer_name(&found.rel) => return Ok(lost_answer(found, "the file is empty")),
        Content::Other(what) if is_answer_name(&found.rel) => {
            return Ok(lost_answer(found, &format!("this is {what}")));
        }
        Content::Json if dating.looks_like_a_dump(found) => return Ok(lost_answer(found, "this is other JSON")),
        Content::Json => {
            return Ok(Outcome::Other(format!("{}: JSON that is no answer with samples; left out", found.rel)));
        }
        Content::Empty if dating.looks_like_a_dump(found) => ("empty", bundle.empty(&context)),
        Content::Empty => return Ok(Outcome::Other(format!("{}: the file is empty; left out", found.rel))),
        Content::Other(what) if dating.looks_like_a_dump(found) => {
            let detail = format!("a dump was expected by the file's name, and this is {what}");
            let interval = time.ok().map(|t| Interval::new(t, t));
            return Ok(Outcome::Lost(Loss { interval, ..lost(&found.rel, ErrorKind::Unsupported, detail) }));
        }
        Content::Other(what) => return Ok(Outcome::Other(format!("{}: {what}; left out", found.rel))),
    };
    if is_part {
        // It may end at the end of a line.
        contents.scrapes.last_mut().into_iter().for_each(|last| last.whole = false);
    }
    let times = || contents.scrapes.iter().map(|s| s.t_ms);
    let (time_ms, time_from) = match contents.separated {
        _ if contents.scrapes.is_empty() => (None, None),
        separated if separated == contents.scrapes.len() => (times().min(), Some(SCRAPE_LINES)),
        _ => (time.ok(), time_from),
    };
    let file = DumpFile {
        path: found.path.clone(),
        rel: found.rel.clone(),
        bytes: found.bytes,
        form,
        time_ms,
        until_ms: times().max(),
        time_from,
        labels: target.labels,
        scrapes: contents.scrapes.len() as u64,
        samples: contents.samples,
    };
    Ok(Outcome::Dump(file, contents))
}

/// Files that lie beside each other, so that they are likely to be of one target.
fn bundles(mut files: &[Found], most: usize) -> Vec<&[Found]> {
    let mut bundles = Vec::new();
    while !files.is_empty() {
        let sums = files.iter().take(most).scan(0u64, |sum, f| {
            *sum = sum.saturating_add(f.bytes);
            Some(*sum)
        });
        let count = sums.take_while(|sum| *sum <= BUNDLE_BYTES).count().max(1);
        let (bundle, rest) = files.split_at(count);
        bundles.push(bundle);
        files = rest;
    }
    bundles
}

/// A file of which nothing is used.
fn lost(rel: &str, kind: ErrorKind, detail: String) -> Loss {
    Loss { file: rel.to_owned(), offset: None, kind, detail, series: None, interval: None, samples: None }
}

/// A saved answer that is none: what it should have held may be of any time.
fn lost_answer(found: &Found, what: &str) -> Outcome {
    let detail = format!(
        "an answer of the query API was expected by the file's name, and {what}; ask again, or leave it out with --include"
    );
    Outcome::Lost(lost(&found.rel, ErrorKind::Malformed, detail))
}

fn form_name(sniffed: Sniffed) -> &'static str {
    match sniffed.form {
        Form::Text(dialect) => dialect.name(),
        _ => "answer of the query API",
    }
}

/// The path of a file without what differs between dumps of one target: the time in its name, or all of the name but its ending
/// where there is no time in it.
fn stream(rel: &str) -> String {
    let (folder, name) = rel.rsplit_once('/').unwrap_or(("", rel));
    let plain = unpacked_name(name);
    let rest = match time_in(plain) {
        NameTime::One(told) => {
            let behind = plain.get(told.range.end..).unwrap_or_default();
            format!("{}*{behind}", plain.get(..told.range.start).unwrap_or_default())
        }
        _ => plain.rsplit_once('.').map_or_else(|| "*".to_owned(), |(_, ending)| format!("*.{ending}")),
    };
    format!("{folder}/{rest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::STALE_NAN_BITS;
    use crate::version::{NEWEST, OLDEST};

    /// Lines of dumps, and of what is none.
    fn line() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            Just("a_total"),
            Just("a_created"),
            Just("a_bucket"),
            Just("b"),
            Just("process_start_time_seconds")
        ];
        let labels = prop_oneof![
            Just(""),
            Just("{}"),
            Just("{c=\"1\"}"),
            Just("{ c=\"1\" }"),
            Just("{le=\"1\"}"),
            Just("{instance=\"x\"}")
        ];
        let behind = prop_oneof![
            12 => Just(""), 1 => Just(" 1763553600000"), 1 => Just(" 1763553605000"), 1 => Just(" 1763553605.5")
        ];
        let sample = (name.clone(), labels, 0u8..4, behind).prop_map(|(n, l, v, b)| format!("{n}{l} {v}{b}\n"));
        let kind = prop_oneof![Just("counter"), Just("histogram"), Just("summary"), Just("gauge")];
        let family = (prop_oneof![Just("a"), Just("a_total"), Just("b")], kind, 0u8..2);
        let family = family.prop_map(|(n, t, help)| format!("# HELP {n} Help {help}.\n# TYPE {n} {t}\n"));
        let odd = prop_oneof![
            Just("# EOF\n"),
            Just("# scrape 1763553607\n"),
            Just("{{\n"),
            Just("# comment\n"),
            Just("b{c=\"1\"} 1 # {d=\"e\"} 1\n")
        ];
        prop_oneof![20 => sample, 4 => family, 1 => odd.prop_map(str::to_owned)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn bundles_change_nothing_and_every_sample_is_somewhere(
            files in proptest::collection::vec((0i64..8, 0u8..3, any::<bool>(), proptest::collection::vec(line(), 0..8)), 1..8),
            telling in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            for (at, target, openmetrics, lines) in files {
                let text = lines.concat() + if openmetrics { "# EOF\n" } else { "" };
                let ending = if openmetrics { "om" } else { "prom" };
                std::fs::write(dir.path().join(format!("t{target}_{}.{ending}", 1_763_553_600 + 15 * at)), text).unwrap();
            }
            let mut options = DumpOptions::default();
            if telling {
                options.labels.add_from_path("^(?P<instance>t.)_").unwrap();
            }
            for release in [OLDEST, NEWEST] {
                let open = |most| Dumps::open_in_bundles(dir.path(), &options, release, &Limits::default(), most);
                let one_by_one = open(1);
                prop_assert_eq!(format!("{:?}", open(3)), format!("{one_by_one:?}"));
                prop_assert_eq!(format!("{:?}", open(BUNDLE_FILES)), format!("{one_by_one:?}"));
                let Ok(dumps) = one_by_one else { continue };
                let mut used = dumps.opening.duplicates + dumps.opening.conflicts.len() as u64;
                for s in &dumps.series {
                    let samples = s.samples(Interval::ALL);
                    prop_assert!(samples.ts.is_sorted_by(|a, b| a < b));
                    used += samples.bits.iter().filter(|bits| **bits != STALE_NAN_BITS).count() as u64;
                }
                prop_assert_eq!(used, dumps.files.iter().map(|f| f.samples).sum::<u64>());
            }
        }
    }

    #[test]
    fn dumps_of_one_target_differ_in_the_time_of_their_names() {
        for (a, b, same) in [
            ("api-0/20251119T120000Z.prom", "api-0/20251119T120015Z.prom.gz", true),
            ("api-0/20251119T120000Z.prom", "api-1/20251119T120000Z.prom", false),
            ("20251119T120000Z.prom", "20251119T120000Z.om", false),
            ("api-0_1763553600.prom", "api-1_1763553600.prom", false),
            ("a.prom", "b.prom", true),
            ("a", "b", true),
        ] {
            assert_eq!(stream(a) == stream(b), same, "{a} {b}");
        }
    }
}
