//! What is there: finding the TSDB root below a SOURCE, opening its blocks and its head, leaving out what a server would
//! leave out.
//!
//! One SOURCE is one server. [`Source::open`] gives its parts in the order in which a serving Prometheus merges them;
//! everything that it does not use is a loss or a note in [`Source::ledger`].

mod archived;
pub mod digest;
mod discover;
mod leftovers;
mod provenance;
mod sums;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::archive::Limits;
use crate::dataset::{Dataset, Manifest};
use crate::dumps::{self, DumpOptions, Dumps, is_dump};
use crate::error::{Error, ErrorKind, Result};
use crate::gosort;
use crate::head::{self, Head, HeadFiles, HeadOptions, ReplayRules};
use crate::labels::Labels;
use crate::loss::{Ledger, Loss};
use crate::raw::{FileBytes, ReadMode};
use crate::selector::Selector;
use crate::time::{DurationMs, Interval};
use crate::tsdb::block::Block;
use crate::tsdb::meta::{BlockMeta, MAX_META_BYTES};
use crate::tsdb::ulid::Ulid;
use crate::version::{NEWEST, PromVersion};

use sums::HeadTimes;

pub use archived::Archive;
pub use discover::{Place, RootKind, locate};
pub use sums::SumOrder;

/// How a SOURCE is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Maps or plain reads.
    pub read_mode: ReadMode,
    /// The TSDB root below the SOURCE, where it holds several.
    pub root: Option<PathBuf>,
    /// The series that will be asked for. The logs of a head are read once for these, and again for any other.
    pub wanted: Vec<Selector>,
    /// Whose rules a head is replayed by at first; the newest without one. [`Source::follow`] changes it.
    pub release: Option<PromVersion>,
    /// The `--storage.tsdb.min-block-duration` that the server had, in ms; without one, what its blocks show.
    pub min_block_duration_ms: Option<DurationMs>,
    /// The most that an archive may cost, and where it is unpacked.
    pub archive: Limits,
    /// How text dumps are read.
    pub dumps: DumpOptions,
}

/// An opened SOURCE: the data of one server.
#[derive(Debug)]
pub struct Source {
    /// The last component of the path, or several joined by `+` after a merge.
    pub name: String,
    /// Where below the SOURCE the data were found; empty where the SOURCE itself holds them.
    pub below: String,
    /// The folders that hold the data, one per merged SOURCE.
    pub roots: Vec<PathBuf>,
    /// Blocks in merge order: by start, ties as upstream's sort leaves them (`tsdb/db.go`).
    pub blocks: Vec<SourceBlock>,
    /// What the servers held beside their blocks: one per data directory with a log.
    pub heads: Vec<SourceHead>,
    /// Converted data: one per dataset.
    pub datasets: Vec<SourceDataset>,
    /// Text dumps: one per file or folder of them.
    pub dumps: Vec<SourceDumps>,
    /// Blocks on disk that a server does not serve, and why.
    pub shadowed: Vec<Shadowed>,
    /// What was lost or odd when opening.
    pub ledger: Ledger,
    /// The archives that it was read from, one per merged SOURCE that is one. They hold the files: last, so that they
    /// are dropped last.
    pub archives: Vec<Archive>,
}

/// A block and the SOURCE that it came from.
#[derive(Debug)]
pub struct SourceBlock {
    /// The opened block.
    pub block: Block,
    /// Position of its SOURCE among merged ones; 0 otherwise.
    pub origin: usize,
}

/// A head and the SOURCE that it came from.
#[derive(Debug)]
pub struct SourceHead {
    /// The replayed head.
    pub head: Head,
    /// [`OpenOptions::min_block_duration_ms`], where it was given.
    pub min_block_duration_ms: Option<DurationMs>,
    /// Position of its SOURCE among merged ones; 0 otherwise.
    pub origin: usize,
}

/// A dataset and the SOURCE that it came from.
#[derive(Debug)]
pub struct SourceDataset {
    /// The opened dataset.
    pub dataset: Dataset,
    /// The release that is followed, for the order of sums.
    pub rules: ReplayRules,
    /// The times that merged datasets of the same source and selectors hold.
    pub elsewhere: Vec<Interval>,
    /// Position of its SOURCE among merged ones; 0 otherwise.
    pub origin: usize,
}

/// Text dumps and the SOURCE that they came from.
#[derive(Debug)]
pub struct SourceDumps {
    /// The dumps as read.
    pub dumps: Dumps,
    /// Position of its SOURCE among merged ones; 0 otherwise.
    pub origin: usize,
}

/// A part of a source, which merging takes as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Position in [`Source::blocks`].
    Block(usize),
    /// Position in [`Source::heads`]; without its out-of-order samples where those are a part of their own.
    Head(usize),
    /// The out-of-order samples of a head, in releases that merge them apart.
    Late(usize),
    /// Position in [`Source::datasets`].
    Dataset(usize),
    /// Position in [`Source::dumps`].
    Dumps(usize),
}

/// A block that is on disk and not served.
#[derive(Debug)]
pub struct Shadowed {
    /// Its identity.
    pub ulid: Ulid,
    /// Directory relative to the SOURCE.
    pub rel: String,
    /// Why it is left out.
    pub why: String,
    /// The block itself, for those who want every sample on disk.
    pub block: Block,
}

impl Source {
    /// Opens a snapshot directory, a data directory, a single block, a dataset, text dumps, or a folder or an archive that holds
    /// one of them.
    ///
    /// Errs when there is no root, when there are several and `options.root` chooses none, or when the root cannot be
    /// listed. Damage inside a block is not an error but a loss.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Source> {
        if path.is_file() && is_dump(path, &options.archive) {
            return Source::open_folder(path, options).map(|(source, _)| source);
        }
        match archived::open(path, options)? {
            Some(source) => Ok(source),
            None => Source::open_folder(path, options).map(|(source, _)| source),
        }
    }

    fn open_folder(path: &Path, options: &OpenOptions) -> Result<(Source, RootKind)> {
        let (root, kind, notes) = discover::find_root(path, options.root.as_deref(), &options.archive)?;
        let mut ledger = Ledger { notes, ..Ledger::default() };
        let name = source_name(path);
        let dirs = match kind {
            RootKind::Block => vec![(root.clone(), String::new())],
            RootKind::Tsdb => block_dirs(&root)?,
            RootKind::Dataset | RootKind::Dumps => Vec::new(),
        };
        let (mut metas, mut unnamed) = (Vec::new(), Vec::new());
        for (dir, rel) in dirs {
            match read_meta(&dir) {
                Ok(meta) => metas.push((dir, rel, meta)),
                Err(MetaFault::Denied(error)) => return Err(error),
                Err(MetaFault::Unusable(kind, detail)) => unnamed.push((dir, rel, kind, detail)),
            }
        }
        let parents: Vec<Ulid> = metas.iter().flat_map(|(_, _, meta)| meta.compaction_parents()).collect();
        for (dir, rel, kind, detail) in unnamed {
            if Ulid::parse(&rel).is_some_and(|u| parents.contains(&u)) {
                ledger.notes.push(format!(
                    "{rel}/meta.json: {detail}; the block was compacted into another one and is not needed"
                ));
                continue;
            }
            match unnamed_block_loss(&dir, &rel, options, kind, detail) {
                Ok(loss) => ledger.losses.push(loss),
                Err(note) => ledger.notes.push(note),
            }
        }
        let blocks: Vec<Block> =
            metas.into_par_iter().map(|(dir, rel, meta)| Block::open(&dir, &rel, meta, options.read_mode)).collect();
        for block in &blocks {
            if let Some(loss) = block.denied() {
                // Opening it again gives the error with the owner's name.
                FileBytes::open(&root.join(&loss.file), ReadMode::Read)?;
                return Err(Error::new(ErrorKind::Permission, loss.detail.clone()).at(&root.join(&loss.file)));
            }
        }
        let blocks: Vec<SourceBlock> = blocks.into_iter().map(|block| SourceBlock { block, origin: 0 }).collect();
        let below = root.strip_prefix(path).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let mut source = Source {
            name,
            below,
            roots: vec![root.clone()],
            blocks,
            heads: Vec::new(),
            datasets: Vec::new(),
            dumps: Vec::new(),
            shadowed: Vec::new(),
            ledger,
            archives: Vec::new(),
        };
        source.note_oddities(path);
        source.settle_blocks();
        source.check_external_labels()?;
        if kind == RootKind::Tsdb {
            leftovers::report(&root, &mut source);
            source.open_head(&root, options)?;
        }
        if kind != RootKind::Dumps {
            let flags = options.dumps.flags().join(", ");
            let unused = Some(format!("{flags}: nothing here is a text dump")).filter(|_| !flags.is_empty());
            source.ledger.notes.extend(dumps::left_out(path, &root, &options.archive).into_iter().chain(unused));
        }
        if kind == RootKind::Dataset {
            let dataset = Dataset::open(&root)?;
            let rules = ReplayRules::of(options.release.unwrap_or(NEWEST));
            source.datasets.push(SourceDataset { dataset, rules, elsewhere: Vec::new(), origin: 0 });
            return Ok((source, kind));
        }
        if kind == RootKind::Dumps {
            let dumps = Dumps::open(&root, &options.dumps, options.release.unwrap_or(NEWEST), &options.archive)?;
            source.dumps.push(SourceDumps { dumps, origin: 0 });
            return Ok((source, kind));
        }
        if source.blocks.is_empty() && source.heads.is_empty() && source.ledger.losses.is_empty() {
            let beside: Vec<String> = source.ledger.notes.iter().map(|n| format!("\n  {n}")).collect();
            let message = format!("there is no block to read here{}", beside.concat());
            return Err(Error::new(ErrorKind::Missing, message).at(&root).hint(
                "a block is a folder with a ULID as its name that holds meta.json, index and chunks/; point at the snapshot or data directory",
            ));
        }
        Ok((source, kind))
    }

    /// Joins several SOURCEs as parts of one server.
    ///
    /// Errs where their blocks are of several servers, or scrapes in dumps of several targets that nothing tells apart.
    pub fn merge(sources: Vec<Source>) -> Result<Source> {
        let mut names = Vec::new();
        let mut merged = Source {
            name: String::new(),
            below: String::new(),
            roots: Vec::new(),
            blocks: Vec::new(),
            heads: Vec::new(),
            datasets: Vec::new(),
            dumps: Vec::new(),
            shadowed: Vec::new(),
            ledger: Ledger::default(),
            archives: Vec::new(),
        };
        let several = sources.len() > 1;
        for (origin, mut source) in sources.into_iter().enumerate() {
            names.push(source.name.clone());
            merged.roots.append(&mut source.roots);
            merged.archives.append(&mut source.archives);
            if several {
                for b in &mut source.blocks {
                    b.block.rel = prefixed(&source.name, &b.block.rel);
                }
                for l in source.ledger.losses.iter_mut() {
                    l.file = prefixed(&source.name, &l.file);
                }
                for h in &mut source.heads {
                    h.head.put_below(&source.name);
                }
                for d in &mut source.dumps {
                    d.dumps.put_below(&source.name);
                }
            }
            merged.blocks.extend(source.blocks.into_iter().map(|b| SourceBlock { origin, ..b }));
            merged.heads.extend(source.heads.into_iter().map(|h| SourceHead { origin, ..h }));
            merged.datasets.extend(source.datasets.into_iter().map(|d| SourceDataset { origin, ..d }));
            merged.dumps.extend(source.dumps.into_iter().map(|d| SourceDumps { origin, ..d }));
            merged.shadowed.append(&mut source.shadowed);
            merged.ledger.absorb(source.ledger);
        }
        merged.tell_datasets_of_each_other();
        let name = |d: &SourceDumps| names.get(d.origin).cloned().unwrap_or_default();
        let dumps: Vec<(String, &Dumps)> = merged.dumps.iter().map(|d| (name(d), &d.dumps)).collect();
        dumps::check_apart(&dumps)?;
        merged.name = names.join("+");
        merged.settle_blocks();
        merged.check_external_labels()?;
        Ok(merged)
    }

    /// Tells each dataset what others of the same source hold: a source may be converted in pieces of time.
    fn tell_datasets_of_each_other(&mut self) {
        let of_one_source =
            |a: &Manifest, b: &Manifest| (&a.source, &a.semantics, &a.matches) == (&b.source, &b.semantics, &b.matches);
        let elsewhere: Vec<Vec<Interval>> = (0..self.datasets.len())
            .zip(&self.datasets)
            .map(|(at, of)| {
                let others = self
                    .datasets
                    .iter()
                    .enumerate()
                    .filter(|(i, other)| *i != at && of_one_source(&of.dataset.manifest, &other.dataset.manifest));
                others.map(|(_, other)| other.dataset.converted()).collect()
            })
            .collect();
        for (d, elsewhere) in self.datasets.iter_mut().zip(elsewhere) {
            d.elsewhere = elsewhere;
        }
    }

    /// Replays the head of a data directory behind the blocks that were cut from it.
    fn open_head(&mut self, root: &Path, options: &OpenOptions) -> Result<()> {
        if !head::has_files(root) {
            return Ok(());
        }
        let mut files = HeadFiles::find(root, options.read_mode)?;
        if files.is_empty() {
            self.ledger.absorb(std::mem::take(&mut files.ledger));
            return Ok(());
        }
        let cut_from_the_head =
            self.blocks.iter().filter(|b| b.block.index.is_some() && !b.block.meta.lies_beside_the_head());
        let keep = |labels: &Labels| options.wanted.iter().any(|s| s.matches(labels));
        let head = Head::open(
            files,
            &HeadOptions {
                read_mode: options.read_mode,
                rules: ReplayRules::of(options.release.unwrap_or(NEWEST)),
                cutoff: cut_from_the_head.map(|b| b.block.meta.max_time_ms).max().unwrap_or(i64::MIN),
                chunk_range_ms: options
                    .min_block_duration_ms
                    .unwrap_or_else(|| head::chunk_range_of(self.blocks.iter().map(|b| &b.block.meta))),
                keep: &keep,
            },
        )?;
        // A checkpoint of 3.16 says since when the log is whole. Up to there a block was written, if there was anything to write.
        let reached =
            self.blocks.iter().filter(|b| !b.block.meta.is_out_of_order()).map(|b| b.block.meta.max_time_ms).max();
        if reached.is_none_or(|r| r < head.cutoff) && head.begins_behind_the_blocks() {
            self.ledger.losses.push(Loss {
                file: "wal".to_owned(),
                offset: None,
                kind: ErrorKind::Missing,
                detail: format!(
                    "the checkpoint holds nothing before {}, and no block reaches to there: it is missing, or there was nothing to write into it",
                    crate::time::rfc3339(head.cutoff)
                ),
                series: None,
                interval: Some(Interval::new(reached.unwrap_or(i64::MIN), head.cutoff.saturating_sub(1))),
                samples: None,
            });
        }
        self.heads.push(SourceHead { head, min_block_duration_ms: options.min_block_duration_ms, origin: 0 });
        Ok(())
    }

    /// The same source as `version` would serve it: its rules for replay and for the order of merging.
    pub fn follow(mut self, version: PromVersion, wanted: &[Selector]) -> Result<Source> {
        let rules = ReplayRules::of(version);
        let keep = |labels: &Labels| wanted.iter().any(|s| s.matches(labels));
        for h in std::mem::take(&mut self.heads) {
            self.heads.push(SourceHead { head: h.head.follow(rules, &keep)?, ..h });
        }
        for d in &mut self.datasets {
            d.rules = rules;
        }
        for d in std::mem::take(&mut self.dumps) {
            self.dumps.push(SourceDumps { dumps: d.dumps.follow(version)?, ..d });
        }
        Ok(self)
    }

    /// The parts in the order in which a server hands them to its merge (`tsdb/db.go: Querier`).
    pub fn merge_order(&self) -> Vec<Part> {
        let blocks = (0..self.blocks.len()).map(Part::Block);
        let heads = self.heads.iter().enumerate().flat_map(|(i, h)| {
            [Some(Part::Head(i)), h.head.rules().late_apart.then_some(Part::Late(i))].into_iter().flatten()
        });
        let datasets = (0..self.datasets.len()).map(Part::Dataset);
        let others = datasets.chain((0..self.dumps.len()).map(Part::Dumps));
        match self.heads.first().is_some_and(|h| h.head.rules().head_first) {
            true => heads.chain(blocks).chain(others).collect(),
            false => blocks.chain(heads).chain(others).collect(),
        }
    }

    /// In which order sums run.
    pub fn sum_order(&self) -> SumOrder {
        let rules = match (self.heads.as_slice(), self.datasets.as_slice()) {
            ([h], []) => Some(h.head.rules()),
            ([], [d]) => Some(d.rules),
            _ => None,
        };
        let head = rules.filter(|r| r.sums_by_reference).and_then(|rules| {
            self.head_times().map(|(in_order, late)| HeadTimes { in_order, late, apart: rules.late_apart })
        });
        SumOrder { head, blocks: self.block_times() }
    }

    /// The times of the samples in the head that came in order, and of those that came late; `None` unless there is just one
    /// head, or one dataset that was made of one.
    pub fn head_times(&self) -> Option<(Option<Interval>, Option<Interval>)> {
        let interval = |times: Option<(i64, i64)>| times.map(|(start, end)| Interval::new(start, end));
        match (self.heads.as_slice(), self.datasets.as_slice()) {
            ([h], []) => Some((h.head.times, h.head.late_times)),
            ([], [d]) => d.dataset.manifest.head.map(|h| (interval(h.in_order_ms), interval(h.out_of_order_ms))),
            _ => None,
        }
    }

    /// The times of the blocks, the end not included; those of a dataset's blocks, too.
    pub fn block_times(&self) -> Vec<(i64, i64)> {
        let blocks = self.blocks.iter().map(|b| (b.block.meta.min_time_ms, b.block.meta.max_time_ms));
        blocks.chain(self.datasets.iter().flat_map(|d| d.dataset.manifest.blocks_ms.iter().copied())).collect()
    }

    /// Whether another release would replay a log to something else.
    pub fn depends_on_release(&self) -> bool {
        self.heads.iter().any(|h| h.head.depends_on_release)
            || self.datasets.iter().any(|d| d.dataset.manifest.depends_on_release)
            || self.dumps.iter().any(|d| d.dumps.depends_on_release)
    }

    /// Puts blocks in merge order and leaves out what a server deletes: parents of a loadable block and blocks marked
    /// deletable (`tsdb/db.go: reloadBlocks`).
    fn settle_blocks(&mut self) {
        let mut parents: BTreeMap<Ulid, Ulid> = BTreeMap::new();
        for b in self.blocks.iter().filter(|b| b.block.index.is_some()) {
            for p in &b.block.meta.compaction_parents() {
                parents.entry(*p).or_insert(b.block.meta.ulid);
            }
        }
        let mut kept = Vec::new();
        for b in std::mem::take(&mut self.blocks) {
            let ulid = b.block.meta.ulid;
            let why = match parents.get(&ulid) {
                Some(child) if *child != ulid => Some(format!("it was compacted into {child}")),
                _ if b.block.meta.deletable => Some("its meta.json marks it as deletable".to_owned()),
                _ => None,
            };
            match why {
                Some(why) => {
                    self.ledger.notes.push(format!("block {ulid} ({}) is not served: {why}", b.block.meta.interval()));
                    let rel = b.block.rel.clone();
                    self.shadowed.push(Shadowed { ulid, rel, why, block: b.block });
                }
                None => kept.push(b),
            }
        }
        gosort::sort_by(&mut kept, |a, b| a.block.meta.min_time_ms.cmp(&b.block.meta.min_time_ms));
        self.blocks = kept;
        self.note_contained_blocks();
        let mut seen = BTreeMap::new();
        for b in &self.blocks {
            if let Some(first) = seen.insert(b.block.meta.ulid, b.block.rel.clone()) {
                self.ledger.notes.push(format!(
                    "{} and {} are the same block by meta.json ({}); their samples count once",
                    first, b.block.rel, b.block.meta.ulid
                ));
            }
        }
    }

    /// A block whose sources all went into another one that does not name it as a parent: a server serves both.
    fn note_contained_blocks(&mut self) {
        let mut notes = Vec::new();
        for (a, b) in self.blocks.iter().flat_map(|a| self.blocks.iter().map(move |b| (a, b))) {
            let (a, b) = (&a.block.meta, &b.block.meta);
            if a.level < b.level && !a.sources.is_empty() && a.sources.iter().all(|s| b.sources.contains(s)) {
                notes.push(format!(
                    "block {} holds the sources of {} and does not name it as a parent; both are served, their samples count once",
                    b.ulid, a.ulid
                ));
            }
        }
        self.ledger.notes.extend(notes);
    }

    fn note_oddities(&mut self, path: &Path) {
        for b in &self.blocks {
            let meta = &b.block.meta;
            let dir_name = match b.block.rel.rsplit('/').next() {
                Some("") | None => path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
                Some(name) => name.to_owned(),
            };
            if Ulid::parse(&dir_name).is_some_and(|u| u != meta.ulid) {
                self.ledger.notes.push(format!("{dir_name}: meta.json says that this is block {}", meta.ulid));
            }
            for hint in &meta.hints {
                if !["from-out-of-order", "from-stale-series", "from-selected-series"].contains(&hint.as_str()) {
                    self.ledger.notes.push(format!("{dir_name}: unknown hint `{hint}` in meta.json"));
                }
            }
        }
    }

    /// Blocks that differ in labels outside the index belong to different servers.
    fn check_external_labels(&self) -> Result<()> {
        /// External labels and resolution: what tells servers apart.
        type Identity<'a> = (&'a [(String, String)], i64);
        let mut kinds: BTreeMap<Identity<'_>, &str> = BTreeMap::new();
        for b in &self.blocks {
            kinds.entry((&b.block.meta.external_labels, b.block.meta.resolution_ms)).or_insert(&b.block.rel);
        }
        if kinds.len() < 2 {
            return Ok(());
        }
        let list: Vec<String> = kinds
            .iter()
            .map(|((labels, resolution), rel)| {
                let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
                format!("\n  {{{}}}, resolution {resolution} ms: {rel}", labels.join(", "))
            })
            .collect();
        Err(Error::new(
            ErrorKind::Ambiguous,
            format!("the blocks carry different external labels or resolutions:{}", list.concat()),
        )
        .hint("they come from different servers; give the blocks of one of them, each set in a folder of its own"))
    }

    /// The name for people: with the place of the data, where that is not the SOURCE itself.
    pub fn title(&self) -> String {
        if self.below.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, self.below) }
    }

    /// The span of all chunks as the indexes say, and of the head; of a block without a readable index as its `meta.json` says.
    pub fn interval(&self) -> Option<Interval> {
        let spans = || self.blocks.iter().map(|b| b.block.covered.unwrap_or_else(|| b.block.meta.interval()));
        let heads = self.heads.iter().filter_map(|h| h.head.interval());
        let datasets = self.datasets.iter().filter_map(|d| d.dataset.manifest.covered_ms);
        let datasets = datasets.map(|(start, end)| Interval::new(start, end));
        let dumps = self.dumps.iter().filter_map(|d| d.dumps.interval());
        spans().chain(heads).chain(datasets).chain(dumps).reduce(Interval::hull)
    }

    /// The parts that may have other values for one sample, for sentences.
    pub fn overlapping(&self) -> &'static str {
        match (self.dumps.is_empty(), self.blocks.is_empty() && self.heads.is_empty() && self.datasets.is_empty()) {
            (true, _) => "blocks or logs that overlap",
            (false, true) => "dumps that overlap",
            (false, false) => "blocks, logs or dumps that overlap",
        }
    }

    /// Lets the system take back the memory of mapped segments, which are read again when they are needed.
    pub fn release(&self) {
        self.blocks.iter().for_each(|b| b.block.release());
    }

    /// The losses known from opening alone, those of the blocks and heads included.
    pub fn opening_ledger(&self) -> Ledger {
        let mut all = self.ledger.clone();
        for b in &self.blocks {
            all.absorb(b.block.opening.clone());
        }
        for h in &self.heads {
            all.absorb(h.head.ledger.clone());
        }
        for d in &self.datasets {
            all.absorb(d.dataset.opening.clone());
        }
        for d in &self.dumps {
            all.absorb(d.dumps.opening.clone());
        }
        all.settle();
        all
    }
}

fn prefixed(name: &str, rel: &str) -> String {
    if rel.is_empty() { name.to_owned() } else { format!("{name}/{rel}") }
}

/// The last component of a path, after resolving `.` and `..`.
fn source_name(path: &Path) -> String {
    let named = path.file_name().map(|n| n.to_string_lossy().into_owned());
    named
        .or_else(|| {
            let full = std::fs::canonicalize(path).ok()?;
            full.file_name().map(|n| n.to_string_lossy().into_owned())
        })
        .unwrap_or_else(|| "source".to_owned())
}

/// The block directories of a root, sorted by name as `os.ReadDir` does.
fn block_dirs(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(root).map_err(|e| Error::io(root, "list it", &e))? {
        let entry = entry.map_err(|e| Error::io(root, "list it", &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if Ulid::parse(&name).is_some() && entry.path().is_dir() {
            dirs.push((entry.path(), name));
        }
    }
    dirs.sort();
    Ok(dirs)
}

/// Why a `meta.json` gives no block.
enum MetaFault {
    /// It may not be read: somebody has to grant the permission.
    Denied(Error),
    /// It is missing or makes no sense.
    Unusable(ErrorKind, String),
}

fn read_meta(dir: &Path) -> Result<BlockMeta, MetaFault> {
    let path = dir.join("meta.json");
    let refused = |e: Error| match e.kind() {
        ErrorKind::Permission => MetaFault::Denied(e),
        kind => MetaFault::Unusable(kind, e.message().to_owned()),
    };
    let size = match std::fs::metadata(&path) {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(MetaFault::Unusable(ErrorKind::Missing, "the file is not there".to_owned()));
        }
        Err(e) => return Err(refused(Error::io(&path, "open it", &e))),
    };
    if size > MAX_META_BYTES {
        let detail = format!("{size} bytes; at most {MAX_META_BYTES} are read");
        return Err(MetaFault::Unusable(ErrorKind::Malformed, detail));
    }
    let bytes = FileBytes::open(&path, ReadMode::Read).map_err(refused)?;
    BlockMeta::parse(&bytes).map_err(|detail| MetaFault::Unusable(ErrorKind::Malformed, detail))
}

/// A directory with a ULID as its name whose `meta.json` cannot be used. A server skips it; what its index names is
/// lost. Without an index it is an empty leftover: a note.
fn unnamed_block_loss(
    dir: &Path,
    rel: &str,
    options: &OpenOptions,
    kind: ErrorKind,
    detail: String,
) -> Result<Loss, String> {
    let file = prefixed(rel, "meta.json");
    let file = file.trim_start_matches('/').to_owned();
    let index = dir.join("index");
    if !index.exists() {
        return Err(format!("{file}: {detail}; there is no index either, so the folder holds no readable data"));
    }
    let mut interval: Option<Interval> = None;
    let mut series = 0u64;
    if let Ok(bytes) = FileBytes::open(&index, options.read_mode)
        && let Ok(opened) = crate::tsdb::index::Index::parse(bytes, false)
    {
        let _ = opened.outline(|outline| {
            let Ok(o) = outline else { return };
            series += 1;
            interval = Interval::joined(interval, o.interval);
        });
    }
    let detail = format!("{detail}; a server skips the block, and so does this answer ({series} series in its index)");
    Ok(Loss { file, offset: None, kind, detail, series: None, interval, samples: None })
}
