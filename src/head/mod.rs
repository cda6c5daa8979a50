//! The head: what a server had in memory and on disk beside its blocks, replayed from the write-ahead log, the mapped
//! chunks and the out-of-order log as a restarted server would (`tsdb/head.go: Init`).
//!
//! Opening reads every log once and keeps, for each series, how many samples it has and when; the samples themselves are
//! kept for the series that were asked for and read again for others, so that memory follows the question.

mod cut;
mod files;
mod mapped;
mod reader;
mod recode;
mod replay;
mod rules;
mod series;
mod size;
mod snapshot;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use crate::error::{ErrorKind, Result};
use crate::labels::Labels;
use crate::loss::{Ledger, Loss};
use crate::raw::ReadMode;
use crate::time::Interval;
use crate::tsdb::chunkenc::histogram::HistogramSample;
use crate::tsdb::chunkenc::{self, Encoding};
use crate::tsdb::chunks::ChunkSlice;
use crate::tsdb::head_chunks::{self, HeadChunk, HeadSeriesRef};
use crate::tsdb::run::Run;
use crate::wal::record::types;
use mapped::Mapped;
use reader::Reader;
use replay::{Logged, Replay};

pub use cut::{ChunkOptions, DEFAULT_CHUNK_RANGE_MS, chunk_range_of};
pub use files::{ChunkFile, HeadFiles, LogFile};
pub use replay::Account;
pub use rules::ReplayRules;
pub use series::{HeadSeries, LogSamples, Metadata, Outline, Unstored};

/// A record may be as long as this when decompressed. Real ones have a few megabytes.
const MAX_RECORD: u64 = 1 << 28;

/// How a head is opened.
pub struct HeadOptions<'a> {
    /// Maps or plain reads.
    pub read_mode: ReadMode,
    /// Whose rules the replay follows.
    pub rules: ReplayRules,
    /// The end of the newest block that was cut from a head, in ms; samples before it are in blocks. `i64::MIN` without one.
    pub cutoff: i64,
    /// The time that chunks do not cross, in ms: the server's `--storage.tsdb.min-block-duration`.
    pub chunk_range_ms: i64,
    /// The series whose samples are kept.
    pub keep: &'a (dyn Fn(&Labels) -> bool + Sync),
}

/// Samples as they stand in one record or chunk.
#[derive(Debug, Clone)]
pub struct Physical {
    /// Whose they are; empty where nothing tells.
    pub labels: Labels,
    /// The reference that they stand under in a head; `None` in a block.
    pub reference: Option<HeadSeriesRef>,
    /// The file, relative to the SOURCE.
    pub file: String,
    /// Where the record or chunk begins in it.
    pub offset: u64,
    /// What becomes of them: `stored`, `compacted`, `mapped`, `refused`, `orphan`, `dropped`, `evicted`,
    /// `unreached`, `deleted`.
    pub state: &'static str,
    /// The samples.
    pub run: Run,
}

impl Physical {
    /// Itself, and apart from it the samples that deletions hide, which are `deleted` instead.
    pub fn parted(mut self, deleted: &[Interval]) -> impl Iterator<Item = Physical> {
        let hidden = |t: i64| deleted.iter().any(|d| d.contains(t));
        let mut gone = Physical { state: "deleted", run: Run::default(), ..self.clone() };
        if self.run.interval().is_some_and(|i| deleted.iter().any(|d| d.overlaps(&i))) {
            gone.run = self.run.clone();
            gone.run.retain(hidden);
            self.run.retain(|t| !hidden(t));
        }
        [self, gone].into_iter().filter(|p| !p.run.is_empty())
    }
}

/// The head of one data directory, replayed.
#[derive(Debug)]
pub struct Head {
    files: HeadFiles,
    mapped: Mapped,
    rules: ReplayRules,
    read_mode: ReadMode,
    first_cutoff: i64,
    chunk_range_ms: i64,
    xor2: bool,
    histogram_starts: bool,
    /// The open chunks of histograms in the chunk snapshot, read when the first one is asked for.
    snapshot: OnceLock<BTreeMap<Labels, Vec<HistogramSample>>>,
    /// The series that a restarted server has, by reference, without their samples.
    pub series: Vec<HeadSeries>,
    /// Samples that were kept, for each of [`Head::series`].
    kept: Vec<Option<LogSamples>>,
    /// What became of the write-ahead log's samples.
    pub account: Account,
    /// What became of the out-of-order log's samples.
    pub late_account: Account,
    /// First and last sample in order, as a server tells whether a query reaches the head; the start is not before the
    /// cutoff. `None` where nothing is in the head.
    pub times: Option<Interval>,
    /// The same for out-of-order samples.
    pub late_times: Option<Interval>,
    /// Samples before this are in blocks.
    pub cutoff: i64,
    /// Whether another release would make something else of these files.
    pub depends_on_release: bool,
    /// Samples in segments that a server does not come to.
    unreached: u64,
    /// What was odd about the files before any was read.
    found: Ledger,
    /// What was lost or odd.
    pub ledger: Ledger,
}

impl Head {
    /// Replays the files. Errs where the operating system does not let them be read; damage goes to the ledger.
    pub fn open(mut files: HeadFiles, options: &HeadOptions<'_>) -> Result<Head> {
        let found = std::mem::take(&mut files.ledger);
        let mut ledger = found.clone();
        let mut mapped = Mapped::load(&files.chunks, options.cutoff);
        ledger.notes.append(&mut mapped.notes);
        let reader = Reader { files: &files, mode: options.read_mode };
        let replayed = reader.replay(options, &mapped, Some(&mut ledger))?;
        let mut head = Head {
            series: replayed.series,
            kept: replayed.samples,
            account: replayed.account,
            late_account: replayed.late_account,
            times: replayed.times.map(|t| Interval { start: t.start.max(replayed.cutoff), end: t.end }),
            late_times: replayed.late_times,
            cutoff: replayed.cutoff,
            depends_on_release: replayed.depends_on_release,
            unreached: replayed.unreached,
            mapped,
            rules: options.rules,
            read_mode: options.read_mode,
            first_cutoff: options.cutoff,
            chunk_range_ms: options.chunk_range_ms,
            xor2: false,
            histogram_starts: false,
            snapshot: OnceLock::new(),
            files,
            found,
            ledger,
        };
        head.find_encodings();
        head.report(&replayed.restarts, &replayed.clashes, &replayed.ambiguous);
        head.report_lost_files(&replayed.gone, replayed.unlogged);
        Ok(head)
    }

    /// The same head by other rules. The logs are read again only where the rules make a difference.
    pub fn follow(mut self, rules: ReplayRules, keep: &(dyn Fn(&Labels) -> bool + Sync)) -> Result<Head> {
        if !self.depends_on_release || rules == self.rules {
            self.rules = rules;
            return Ok(self);
        }
        self.files.ledger = self.found.clone();
        let options = HeadOptions { rules, ..self.options(keep) };
        Head::open(self.files, &options)
    }

    fn options<'a>(&self, keep: &'a (dyn Fn(&Labels) -> bool + Sync)) -> HeadOptions<'a> {
        HeadOptions {
            read_mode: self.read_mode,
            rules: self.rules,
            cutoff: self.first_cutoff,
            chunk_range_ms: self.chunk_range_ms,
            keep,
        }
    }

    /// The chunks of the samples in order that only the logs have, each as a restarted server reads it back; the last one
    /// is open. Where there is a chunk snapshot, the server has kept its chunks, and the first of these is one of them.
    pub fn tail_chunks(&self, series: &HeadSeries, logged: &LogSamples) -> Vec<Run> {
        let (options, tail) = (self.chunk_options(), &logged.tail);
        let Some(until) = logged.cut_behind else { return options.in_order(tail) };
        let part = |start: i64, end: i64| {
            let mut run = Run::default();
            if start <= end {
                run.extend(tail, Interval { start, end });
            }
            run
        };
        let kept =
            self.snapshot.get_or_init(|| self.files.snapshot.as_ref().map(snapshot::histograms).unwrap_or_default());
        let kept = kept.get(&series.labels).filter(|k| k.last().is_some_and(|h| h.t_ms == until));
        let Some((first, kept)) = kept.and_then(|k| Some((k.first()?.t_ms, k))) else {
            let mut chunks = options.in_order(&part(i64::MIN, until));
            chunks.append(&mut options.in_order(&part(until.saturating_add(1), i64::MAX)));
            return chunks;
        };
        let mut chunks = options.in_order(&part(i64::MIN, first.saturating_sub(1)));
        let logged = part(first, until);
        let same = logged.floats.is_empty()
            && logged.histograms.len() == kept.len()
            && logged.histograms.iter().zip(kept).all(|(a, b)| a.t_ms == b.t_ms && a.is_same_value(b));
        if same {
            chunks.push(Run { histograms: kept.clone(), ..Run::default() });
        } else {
            chunks.append(&mut options.in_order(&logged));
        }
        chunks.append(&mut options.in_order(&part(until.saturating_add(1), i64::MAX)));
        chunks
    }

    /// The chunks of the out-of-order buffers, buffer by buffer.
    pub fn late_chunks(&self, logged: &LogSamples) -> Vec<Run> {
        logged.late.iter().flat_map(|buffer| self.chunk_options().late(buffer)).collect()
    }

    /// How a restarted server cuts chunks of what only the logs have.
    pub fn chunk_options(&self) -> ChunkOptions {
        ChunkOptions {
            range_ms: self.chunk_range_ms,
            xor2: self.xor2,
            histogram_starts: self.histogram_starts,
            rules: self.rules,
        }
    }

    /// Puts `name/` before the path of every file, for reports about several SOURCEs.
    pub fn put_below(&mut self, name: &str) {
        let prefix = |file: &mut String| *file = format!("{name}/{file}");
        self.files.prefix(name);
        self.ledger.losses.iter_mut().chain(&mut self.found.losses).for_each(|l| prefix(&mut l.file));
    }

    /// Whether its checkpoint and not the blocks says where the head begins.
    pub fn begins_behind_the_blocks(&self) -> bool {
        self.cutoff > self.first_cutoff
    }

    /// The rules that were followed.
    pub fn rules(&self) -> ReplayRules {
        self.rules
    }

    /// The files that it was read from.
    pub fn files(&self) -> &HeadFiles {
        &self.files
    }

    /// The samples that the logs have of the series at `positions`, as far as they were not kept at opening: the logs are
    /// read again, once for all of them.
    pub fn fetch(&self, positions: &BTreeSet<usize>) -> Result<BTreeMap<usize, LogSamples>> {
        let missing = |p: &usize| {
            let logged = self.series.get(*p).is_some_and(|s| s.tail.samples() + s.late.samples() > 0);
            logged && self.kept_samples(*p).is_none()
        };
        let positions: Vec<usize> = positions.iter().copied().filter(missing).collect();
        if positions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let wanted: BTreeSet<&Labels> =
            positions.iter().filter_map(|p| self.series.get(*p)).map(|s| &s.labels).collect();
        let keep = |labels: &Labels| wanted.contains(labels);
        let options = self.options(&keep);
        let reader = Reader { files: &self.files, mode: self.read_mode };
        let mut replayed = reader.replay(&options, &self.mapped, None)?;
        let mut taken = |p: usize| Some((p, replayed.samples.get_mut(p).and_then(Option::take)?));
        Ok(positions.into_iter().filter_map(&mut taken).collect())
    }

    /// Every sample of the series that `keep` accepts as it stands in the logs and mapped chunks, repetitions and refused
    /// ones included. Samples of references that nobody explains come without labels: they may be anybody's.
    pub fn physical(&self, keep: &(dyn Fn(&Labels) -> bool + Sync)) -> Result<Vec<Physical>> {
        let mut replay = Replay::new(self.rules, self.first_cutoff, &self.mapped, keep).tracing();
        let reader = Reader { files: &self.files, mode: self.read_mode };
        reader.run(&mut replay, &mut Ledger::default())?;
        let (rows, owners) = replay.into_rows();
        let names: Vec<String> = self.files.list().into_iter().map(|(_, rel, _)| rel).collect();
        let deleted: BTreeMap<&Labels, &[Interval]> =
            self.series.iter().map(|s| (&s.labels, s.deleted.as_slice())).filter(|(_, d)| !d.is_empty()).collect();
        let mut out: Vec<Physical> = Vec::new();
        let mut put = |one: Physical| {
            let hidden = if one.state == "stored" { deleted.get(&one.labels).copied() } else { None };
            out.extend(one.parted(hidden.unwrap_or_default()));
        };
        for (labels, row) in rows {
            let mut run = Run::default();
            match row.value {
                Logged::Float { t_ms, bits, start_ms } => run.floats.push_with_start(t_ms, bits, start_ms),
                Logged::Histogram(sample) => run.histograms.push(sample),
            }
            let file = names.get(row.file).cloned().unwrap_or_default();
            let reference = Some(row.reference);
            put(Physical { labels, reference, file, offset: row.offset, state: row.fate.name(), run });
        }
        let used: BTreeSet<_> =
            self.series.iter().flat_map(|s| s.chunks.iter().chain(&s.late_chunks)).map(|c| c.reference).collect();
        for file in &self.files.chunks {
            // What cannot be read is in the ledger since the head was opened.
            let _ = head_chunks::walk(&file.bytes, file.number, |chunk| {
                let labels = owners.get(&chunk.series).cloned().unwrap_or_default();
                let mut run = Run::default();
                let wanted = labels.is_empty() || keep(&labels);
                let slice = head_chunks::read(&file.bytes, chunk.reference);
                if !wanted || !slice.is_ok_and(|s| chunkenc::decode(&s, true, &mut run).is_ok()) {
                    return;
                }
                let state = match (used.contains(&chunk.reference), labels.is_empty()) {
                    (true, _) => "stored",
                    (false, true) => "orphan",
                    (false, false) if !chunk.out_of_order && chunk.max_time_ms < self.cutoff => "compacted",
                    (false, false) => "dropped",
                };
                put(Physical {
                    labels,
                    reference: Some(chunk.series),
                    file: file.rel.clone(),
                    offset: chunk.reference.offset_bytes(),
                    state,
                    run,
                });
            });
        }
        Ok(out)
    }

    /// The samples in every file of the head, repetitions, refused and compacted ones included.
    pub fn physical_samples(&self) -> u64 {
        self.mapped.samples + self.account.samples + self.late_account.samples + self.unreached
    }

    /// The samples of a series, where they were kept.
    pub fn kept_samples(&self, position: usize) -> Option<&LogSamples> {
        self.kept.get(position).and_then(Option::as_ref)
    }

    /// The file of a mapped chunk.
    fn file_of(&self, chunk: &HeadChunk) -> Option<&ChunkFile> {
        let number = chunk.reference.file_number();
        self.files.chunks.iter().find(|f| f.number == number)
    }

    /// The bytes of a mapped chunk.
    pub fn chunk(&self, series: &HeadSeries, chunk: &HeadChunk) -> Result<ChunkSlice<'_>, Box<Loss>> {
        let lost =
            |kind, detail| Box::new(self.chunk_loss(series, chunk, chunk.reference.offset_bytes(), kind, detail));
        let Some(file) = self.file_of(chunk) else {
            let detail = format!("there is no file {}", chunk.reference.file_number());
            return Err(lost(ErrorKind::Missing, detail));
        };
        head_chunks::read(&file.bytes, chunk.reference).map_err(|fault| lost(fault.error_kind(), fault.to_string()))
    }

    /// The loss of a mapped chunk because of what stands at `offset` in its file.
    pub fn chunk_loss(
        &self,
        series: &HeadSeries,
        chunk: &HeadChunk,
        offset: u64,
        kind: ErrorKind,
        detail: String,
    ) -> Loss {
        Loss {
            file: self.chunk_file(chunk),
            offset: Some(offset),
            kind,
            detail,
            series: Some(series.labels.clone()),
            interval: Some(chunk.interval()),
            samples: Some(chunk.samples),
        }
    }

    /// The file of a mapped chunk, relative to the SOURCE.
    fn chunk_file(&self, chunk: &HeadChunk) -> String {
        self.file_of(chunk).map_or_else(|| "chunks_head".to_owned(), |f| f.rel.clone())
    }

    /// The cutoff in words.
    pub fn cutoff_text(&self) -> String {
        if self.cutoff == i64::MIN { "nothing".to_owned() } else { crate::time::rfc3339(self.cutoff) }
    }

    /// The hull of [`Head::times`] and [`Head::late_times`].
    pub fn interval(&self) -> Option<Interval> {
        Interval::joined(self.times, self.late_times)
    }

    /// Whether the server that wrote the logs stored start timestamps, or floats in encoding 4, is seen from its records
    /// and its newest mapped chunks; a restarted one is taken to have the same settings.
    fn find_encodings(&mut self) {
        let logged = |kind: u8| [&self.account, &self.late_account].iter().any(|a| a.records.contains_key(&kind));
        let starts = [types::SAMPLES_V2, types::HISTOGRAMS_V2, types::FLOAT_HISTOGRAMS_V2].into_iter().any(logged);
        let newest = |histograms: bool| {
            let all = self.mapped.in_order.values().chain(self.mapped.late.values()).flatten();
            let newest = all.filter(|c| c.encoding.is_histogram() == histograms).max_by_key(|c| c.reference);
            newest.map(|c| c.encoding)
        };
        let xor2 = newest(false) == Some(Encoding::XOR2);
        let with_starts = matches!(newest(true), Some(Encoding::HISTOGRAM_ST | Encoding::FLOAT_HISTOGRAM_ST));
        self.xor2 = starts || xor2;
        self.histogram_starts = starts || with_starts;
    }

    /// Turns what the replay left out into losses and notes.
    fn report(&mut self, restarts: &[replay::Restart], clashes: &[replay::Clash], ambiguous: &[HeadSeries]) {
        let (wal, wbl) = ("wal".to_owned(), "wbl".to_owned());
        let mut losses = Vec::new();
        let mut notes = Vec::new();
        for (account, file, why) in [
            (&self.account, &wal, "a server drops them, too"),
            (
                &self.late_account,
                &wbl,
                "releases before 3.16 dropped such series records too early; a server drops the samples, too",
            ),
        ] {
            if account.orphans.samples() > 0 {
                losses.push(Loss {
                    file: file.clone(),
                    offset: None,
                    kind: ErrorKind::Missing,
                    detail: format!(
                        "{} series references have samples and no series record, so nobody knows their labels; {why}",
                        account.orphan_references
                    ),
                    series: None,
                    interval: account.orphans.interval,
                    samples: Some(account.orphans.samples()),
                });
            }
            if account.unknown_schema > 0 {
                losses.push(Loss {
                    file: file.clone(),
                    offset: None,
                    kind: ErrorKind::Unsupported,
                    detail: "native histograms of an unknown schema".to_owned(),
                    series: None,
                    interval: None,
                    samples: Some(account.unknown_schema),
                });
            }
        }
        if self.account.refused > 0 {
            notes.push(format!(
                "{wal}: {} logged samples are not newer than the one before in their series; a server does not store those in order",
                self.account.refused
            ));
        }
        for r in restarts {
            losses.push(Loss {
                file: wal.clone(),
                offset: None,
                kind: ErrorKind::Malformed,
                detail: "a second series record restarts the series; a server drops the samples before it".to_owned(),
                series: Some(r.labels.clone()),
                interval: r.dropped.interval,
                samples: Some(r.dropped.samples()),
            });
        }
        for c in clashes {
            let [a, b] = &c.labels;
            notes.push(format!("{wal}: reference {} stands for {a} and for {b}", c.reference.0));
        }
        for s in ambiguous {
            let samples = s.tail.samples() + s.late.samples() + s.chunks.iter().map(|c| c.samples).sum::<u64>();
            losses.push(Loss {
                file: wal.clone(),
                offset: None,
                kind: ErrorKind::Malformed,
                detail: format!(
                    "reference {} stands for two series; nothing tells whose samples they are",
                    s.reference.0
                ),
                series: Some(s.labels.clone()),
                interval: s.pieces().into_iter().reduce(Interval::hull),
                samples: Some(samples),
            });
        }
        self.report_chunks(&mut losses);
        self.ledger.losses.extend(losses);
        self.ledger.notes.extend(notes);
    }

    /// What tells of a file that is not there.
    fn report_lost_files(&mut self, gone: &[replay::Gone], unlogged: u64) {
        for g in gone {
            self.ledger.losses.push(Loss {
                file: format!("chunks_head/{}", g.chunk.file_name()),
                offset: Some(g.chunk.offset_bytes()),
                kind: ErrorKind::Missing,
                detail: "late samples went into a chunk here, as wbl says, and it is not there".to_owned(),
                series: Some(g.labels.clone()),
                interval: g.samples.interval,
                samples: Some(g.samples.samples()).filter(|n| *n > 0),
            });
        }
        let since = Interval::new(self.cutoff, i64::MAX);
        // Where the log was not read to its end, that has been said.
        let said = self.ledger.losses.iter().any(|l| l.file.starts_with("wal") && l.series.is_none());
        if unlogged > 0 && !said {
            self.ledger.losses.push(Loss {
                file: "wal".to_owned(),
                offset: None,
                kind: ErrorKind::Missing,
                detail: format!(
                    "{unlogged} series have chunks that end behind their log, and a chunk's samples are logged before it is written: the end of the log is missing"
                ),
                series: None,
                interval: Some(since),
                samples: None,
            });
        }
    }

    /// Mapped chunks that no series took, or that a server discards and the logs do not replace.
    fn report_chunks(&self, losses: &mut Vec<Loss>) {
        let mut used: Vec<_> =
            self.series.iter().flat_map(|s| s.chunks.iter().chain(&s.late_chunks).map(|c| c.reference)).collect();
        used.sort_unstable();
        let loss = |c: &HeadChunk, kind, detail: String, labels: Option<&Labels>| Loss {
            file: self.chunk_file(c),
            offset: Some(c.reference.offset_bytes()),
            kind,
            detail,
            series: labels.cloned(),
            interval: Some(c.interval()),
            samples: Some(c.samples),
        };
        let of = |c: &HeadChunk| {
            let at = self.series.binary_search_by_key(&c.series, |s| s.reference).ok();
            at.and_then(|i| self.series.get(i))
        };
        let all = self.mapped.in_order.values().chain(self.mapped.late.values()).flatten();
        for c in all.filter(|c| used.binary_search(&c.reference).is_err()) {
            // What the log repeats is not missing.
            let again = of(c).filter(|s| !c.out_of_order && covers(s, c));
            if again.is_none() {
                let detail = format!(
                    "no series record in the log uses this chunk of reference {}; a server drops it, too",
                    c.series.0
                );
                losses.push(loss(c, ErrorKind::Missing, detail, of(c).map(|s| &s.labels)));
            }
        }
        for c in &self.mapped.unknown {
            let detail = format!("{} is not read by this release", c.encoding.name());
            losses.push(loss(c, ErrorKind::Unsupported, detail, of(c).map(|s| &s.labels)));
        }
        for c in &self.mapped.discarded {
            if !of(c).is_some_and(|s| covers(s, c)) {
                let detail =
                    "a server discards this chunk with its damaged file, and the log does not have its samples";
                losses.push(loss(c, ErrorKind::Malformed, detail.to_owned(), of(c).map(|s| &s.labels)));
            }
        }
    }
}

/// Whether the log has samples of the series over all of the chunk's time.
fn covers(series: &HeadSeries, chunk: &HeadChunk) -> bool {
    let over = |o: &Outline| o.interval.is_some_and(|i| i.start <= chunk.min_time_ms && i.end >= chunk.max_time_ms);
    over(&series.tail) || over(&series.late)
}

/// Whether a folder has what a head is made of.
pub fn has_files(root: &Path) -> bool {
    ["wal", "chunks_head", "wbl"].iter().any(|d| root.join(d).is_dir())
}
