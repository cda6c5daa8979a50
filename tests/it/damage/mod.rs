//! Damage: whatever happens to a file, the answer is the same, or the difference is named, or the SOURCE is refused.
//!
//! A small directory is read once as it is: `fixtures/damage` (blocks) and `fixtures/encodings/all-files` (blocks, logs,
//! head chunks). Then every file is flipped bit by bit, cut at every byte, zeroed, swapped, duplicated and deleted, and
//! read again. Forgeries do the same below the checksums, which are set right afterwards: no reader can tell such data
//! from data, so only panics, time and memory are judged, and the silent changes are counted per class.
//!
//! `PROMPROOF_DAMAGE=full` takes every mutation instead of a fixed sample of them. `docs/reliability.md` has the figures.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]

mod blocks;
mod bombs;
mod directory;
mod forged_logs;
mod forgeries;
mod promtool;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use promproof::labels::Labels;
use promproof::loss::Ledger;
use promproof::raw::{ReadMode, crc32c};
use promproof::samples::{Kinds, Reach, load_all, load_kinds};
use promproof::selector::Selector;
use promproof::series::{Selection, select};
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::tsdb::chunkenc::histogram::{Counts, HistogramSample, Span};

/// No mutation of some KB may take longer, even on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(120);
/// How much the process may grow over all mutations.
const MOST_MEMORY_KB: u64 = 512 << 10;

type Files = BTreeMap<String, Vec<u8>>;
/// Time, value and start timestamp. Of a histogram, the value is a digest.
type Sample = (i64, u64, i64);

/// What is compared: the samples of every selection, and the span that commands take as their default.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    series: BTreeMap<(usize, Labels), Vec<Sample>>,
    interval: Option<Interval>,
    shadowed: Vec<String>,
}

/// One selection that a scan or the list of all series serves, one through postings of several labels.
const SELECTORS: [&str; 2] = [r#"{__name__=~".+"}"#, r#"{__name__=~"requests_total|up",job="api",code!="500"}"#];

fn parsed(selectors: &[&str]) -> Vec<Selector> {
    selectors.iter().map(|s| Selector::parse(s).unwrap()).collect()
}

/// How a directory is read.
#[derive(Debug, Clone, Copy)]
struct How {
    mode: ReadMode,
    kinds: Kinds,
    /// Whether the logs keep samples at opening, or are read again for them.
    kept: bool,
}

/// By mapping, floats only.
const PLAIN: How = How { mode: ReadMode::Map, kinds: Kinds::Floats, kept: true };

fn read(dir: &Path, how: How, selectors: &[Selector]) -> Result<(Answer, Ledger), String> {
    let wanted = if how.kept { selectors.to_vec() } else { Vec::new() };
    let options = OpenOptions { read_mode: how.mode, wanted, ..OpenOptions::default() };
    let source = Source::open(dir, &options).map_err(|e| e.to_string())?;
    let mut ledger = source.opening_ledger();
    let mut series = BTreeMap::new();
    for (i, selector) in selectors.iter().enumerate() {
        let Selection { series: found, ledger: noticed } = select(&source, selector.matchers());
        let loaded = load_kinds(&source, &found, noticed, Interval::ALL, Reach::Exact, how.kinds);
        ledger.absorb(loaded.ledger);
        for s in loaded.series {
            let floats = s.samples.iter().enumerate().map(|(n, (t, v))| (t, v, s.samples.start(n)));
            let mut samples: Vec<Sample> = floats.chain(s.histograms.iter().map(digest)).collect();
            samples.sort_unstable();
            series.insert((i, s.labels), samples);
        }
    }
    ledger.settle();
    let answer = Answer {
        series,
        interval: source.interval(),
        shadowed: source.shadowed.iter().map(|s| s.rel.clone()).collect(),
    };
    Ok((answer, ledger))
}

/// The hint says what came before, so it changes with a neighbour; and a chunk has buckets for all its histograms, the log
/// those of one.
fn digest(h: &HistogramSample) -> Sample {
    let used = |spans: &[Span], counts: &[u64]| -> Vec<(i64, u64)> {
        let mut at = 0i64;
        let mut indexes = Vec::new();
        for s in spans {
            at += i64::from(s.offset);
            indexes.extend((0..i64::from(s.length)).map(|i| at + i));
            at += i64::from(s.length);
        }
        indexes.into_iter().zip(counts.iter().copied()).filter(|(_, n)| *n != 0).collect()
    };
    let layout = &h.layout;
    let bits = |counts: &[i64]| -> Vec<u64> { counts.iter().map(|n| *n as u64).collect() };
    let (total, positive, negative) = match &h.counts {
        Counts::Int { count, zero, positive, negative } => ((false, *count, *zero), &bits(positive), &bits(negative)),
        Counts::Float { count, zero, positive, negative } => ((true, *count, *zero), positive, negative),
    };
    let mut hasher = DefaultHasher::new();
    (total, used(&layout.positive_spans, positive), used(&layout.negative_spans, negative)).hash(&mut hasher);
    (layout.schema, layout.zero_threshold, &layout.custom_bounds, h.sum).hash(&mut hasher);
    (h.t_ms, hasher.finish(), h.start_ms)
}

/// A directory to be mutated, and what it says unharmed.
struct Golden {
    files: Files,
    selectors: Vec<Selector>,
    kinds: Kinds,
    reference: (Answer, Ledger),
}

impl Golden {
    fn new(dir: &str, kinds: Kinds, selectors: &[&str]) -> Golden {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(dir);
        let mut files = Files::new();
        collect(&dir, &dir, &mut files);
        let selectors = parsed(selectors);
        let reference = read(&dir, How { kinds, ..PLAIN }, &selectors).unwrap();
        assert!(reference.1.losses.is_empty(), "{:?}", reference.1.losses);
        assert!(reference.0.series.len() > 5);
        Golden { files, selectors, kinds, reference }
    }
}

fn collect(top: &Path, dir: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(top, &path, files);
        } else {
            let rel = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            files.insert(rel, std::fs::read(&path).unwrap());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Same,
    /// Same samples and something in the ledger.
    SameNoted,
    /// Every changed sample lies in a named loss or conflict.
    Named,
    /// Shorter at the end of a log, as a note says and a restarted server would have it.
    Restarted,
    /// What is left is a directory that a server could have left: nothing in it tells of what is gone.
    Untold,
    /// Changed samples, and a note about it.
    NotedOnly,
    Refused,
    /// Changed, and nobody says so.
    Silent,
    Panicked,
}

/// A sample that is not what it was, in no loss and no conflict.
type Changed = (usize, Labels, i64);

/// Whether an answer that changed in `changed` is right all the same.
type Excuse<'a> = &'a (dyn Fn(&Mutation, &(Answer, Ledger), &[Changed]) -> Option<Outcome> + Sync);

fn no_excuse(_: &Mutation, _: &(Answer, Ledger), _: &[Changed]) -> Option<Outcome> {
    None
}

/// The samples in which two answers differ.
fn differences(answer: &Answer, wanted: &Answer) -> BTreeSet<Changed> {
    let mut changed = BTreeSet::new();
    let keys: BTreeSet<_> = answer.series.keys().chain(wanted.series.keys()).collect();
    for key in keys {
        let side = |a: &Answer| -> BTreeSet<Sample> {
            a.series.get(key).map(|s| s.iter().copied().collect()).unwrap_or_default()
        };
        let (new, old) = (side(answer), side(wanted));
        changed.extend(new.symmetric_difference(&old).map(|s| (key.0, key.1.clone(), s.0)));
        if answer.series.contains_key(key) != wanted.series.contains_key(key) && changed.is_empty() {
            changed.insert((key.0, key.1.clone(), i64::MIN));
        }
    }
    changed
}

fn judge(
    reference: &(Answer, Ledger),
    mutation: &Mutation,
    found: std::thread::Result<Result<(Answer, Ledger), String>>,
    excuse: Excuse<'_>,
) -> Outcome {
    let found = match found {
        Err(_) => return Outcome::Panicked,
        Ok(Err(_)) => return Outcome::Refused,
        Ok(Ok(found)) => found,
    };
    let (answer, ledger) = &found;
    let (wanted, before) = reference;
    let losses: Vec<_> = ledger.losses.iter().filter(|l| !before.losses.contains(l)).collect();
    let noted = ledger.notes.iter().any(|n| !before.notes.contains(n));
    let conflicts: BTreeSet<_> = ledger.conflicts.iter().collect();
    if answer == wanted {
        let quiet = losses.is_empty() && !noted && ledger.conflicts == before.conflicts;
        return if quiet { Outcome::Same } else { Outcome::SameNoted };
    }
    let covered = |series: &Labels, t: i64| {
        losses.iter().any(|l| l.series.as_ref().is_none_or(|s| s == series) && l.interval.is_none_or(|i| i.contains(t)))
            || conflicts.iter().any(|c| c.series == *series && c.t_ms == t)
    };
    let mut changed: Vec<Changed> = differences(answer, wanted).into_iter().collect();
    changed.retain(|(_, series, t)| !covered(series, *t));
    // A changed span without changed samples is named by any loss or note; so is a block that is left out.
    if changed.is_empty() && !(losses.is_empty() && conflicts.is_empty()) {
        return Outcome::Named;
    }
    excuse(mutation, &found, &changed).unwrap_or(if noted { Outcome::NotedOnly } else { Outcome::Silent })
}

/// A change to some files; `None` deletes one.
struct Mutation {
    class: String,
    what: String,
    edits: Vec<(String, Edit)>,
}

enum Edit {
    Flip(usize),
    Cut(usize),
    Zero(usize, usize),
    Whole(Vec<u8>),
    /// New bytes at their places.
    Patch(Vec<(usize, u8)>),
    Delete,
}

impl Edit {
    fn patch(original: &[u8], new: &[u8]) -> Edit {
        let pairs = original.iter().zip(new).enumerate();
        Edit::Patch(pairs.filter(|(_, (a, b))| a != b).map(|(at, (_, b))| (at, *b)).collect())
    }

    fn apply(&self, original: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = original.to_vec();
        match self {
            Edit::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            Edit::Cut(len) => bytes.truncate(*len),
            Edit::Zero(from, to) => bytes[*from..*to].fill(0),
            Edit::Whole(new) => bytes.clone_from(new),
            Edit::Patch(changes) => {
                for (at, byte) in changes {
                    bytes[*at] = *byte;
                }
            }
            Edit::Delete => return None,
        }
        Some(bytes)
    }
}

/// The class of a file: its name without the block; of logs and head chunks, the folder.
fn kind_of(file: &str) -> &str {
    match file.split_once('/') {
        Some(("wal", rest)) => rest.split_once('/').map_or("wal", |_| "checkpoint"),
        Some((folder @ ("wbl" | "chunks_head"), _)) => folder,
        Some((_, rest)) => rest,
        None => file,
    }
}

/// A folder in memory where there is one.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

fn write(dir: &Path, file: &str, bytes: Option<&[u8]>) {
    let path = dir.join(file);
    // A file may still be mapped by nobody: every reader of the last mutation is gone.
    let _ = std::fs::remove_file(&path);
    if let Some(bytes) = bytes {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
}

/// Removes the folders of a file that hold nothing any more.
fn sweep(dir: &Path, file: &str) {
    for folder in Path::new(file).ancestors().skip(1).filter(|f| !f.as_os_str().is_empty()) {
        if std::fs::remove_dir(dir.join(folder)).is_err() {
            return;
        }
    }
}

/// Memory that the process has used at most, in KB; 0 where the system does not say.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn full() -> bool {
    std::env::var("PROMPROOF_DAMAGE").is_ok_and(|v| v == "full")
}

struct Tally {
    counts: BTreeMap<(String, Outcome), usize>,
    examples: BTreeMap<(String, Outcome), String>,
    silent: Vec<String>,
    panics: Vec<String>,
    slowest: (Duration, String),
}

/// Runs every mutation on a few threads, each in a folder of its own.
fn run(golden: &Golden, mutations: &[Mutation], excuse: Excuse<'_>) -> Tally {
    let files = &golden.files;
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally {
        counts: BTreeMap::new(),
        examples: BTreeMap::new(),
        silent: Vec::new(),
        panics: Vec::new(),
        slowest: (Duration::ZERO, String::new()),
    });
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let dir = scratch();
                for (file, bytes) in files {
                    write(dir.path(), file, Some(bytes));
                }
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(m) = mutations.get(n) else { break };
                    for (file, edit) in &m.edits {
                        let original = files.get(file).map_or(&[][..], Vec::as_slice);
                        write(dir.path(), file, edit.apply(original).as_deref());
                    }
                    m.edits.iter().for_each(|(file, _)| sweep(dir.path(), file));
                    let mode = if n.is_multiple_of(2) { ReadMode::Map } else { ReadMode::Read };
                    let how = How { mode, kinds: golden.kinds, kept: n % 4 < 2 };
                    let started = Instant::now();
                    let found = catch_unwind(AssertUnwindSafe(|| read(dir.path(), how, &golden.selectors)));
                    let took = started.elapsed();
                    let outcome = judge(&golden.reference, m, found, excuse);
                    for (file, _) in &m.edits {
                        write(dir.path(), file, files.get(file).map(Vec::as_slice));
                        sweep(dir.path(), file);
                    }
                    let mut t = tally.lock().unwrap();
                    let name = format!("{}: {}", m.class, m.what);
                    *t.counts.entry((m.class.clone(), outcome)).or_default() += 1;
                    t.examples.entry((m.class.clone(), outcome)).or_insert_with(|| m.what.clone());
                    match outcome {
                        Outcome::Silent => t.silent.push(name.clone()),
                        Outcome::Panicked => t.panics.push(name.clone()),
                        _ => {}
                    }
                    if took > t.slowest.0 {
                        t.slowest = (took, name);
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn print(title: &str, tally: &Tally, total: usize) {
    const COLUMNS: [(&str, Outcome); 8] = [
        ("same", Outcome::Same),
        ("+note", Outcome::SameNoted),
        ("named", Outcome::Named),
        ("server", Outcome::Restarted),
        ("untold", Outcome::Untold),
        ("note", Outcome::NotedOnly),
        ("refused", Outcome::Refused),
        ("SILENT", Outcome::Silent),
    ];
    println!("{title}: {total} mutations");
    let line = |class: &str, cells: Vec<String>| {
        println!("  {class:34} {}", cells.iter().map(|c| format!("{c:>7}")).collect::<Vec<_>>().join(" "));
    };
    line("class", COLUMNS.iter().map(|c| c.0.to_owned()).collect());
    let classes: BTreeSet<&String> = tally.counts.keys().map(|(c, _)| c).collect();
    let of = |class: &String, o| tally.counts.get(&(class.clone(), o)).copied().unwrap_or_default();
    for class in &classes {
        line(class, COLUMNS.iter().map(|(_, o)| of(class, *o).to_string()).collect());
    }
    let sum = |o| classes.iter().map(|c| of(c, o)).sum::<usize>();
    line("all", COLUMNS.iter().map(|(_, o)| sum(*o).to_string()).collect());
    println!("  slowest: {:?} ({}); peak memory {} MB", tally.slowest.0, tally.slowest.1, peak_kb() >> 10);
    println!("  wrong answers without a named loss: {}", tally.silent.len());
    for ((class, outcome), what) in &tally.examples {
        if matches!(outcome, Outcome::NotedOnly | Outcome::Untold | Outcome::Silent) {
            println!("  {outcome:?}, such as {class}: {what}");
        }
    }
}

fn bounded(tally: &Tally, before_kb: u64) {
    assert!(tally.panics.is_empty(), "panics: {:?}", tally.panics);
    assert!(tally.slowest.0 < LONGEST, "too slow: {:?}", tally.slowest);
    let grown = peak_kb().saturating_sub(before_kb);
    assert!(grown < MOST_MEMORY_KB, "grew by {grown} KB");
}

/// Every `n`-th, where not everything is asked for.
fn sampled(mutations: Vec<Mutation>, most: usize) -> Vec<Mutation> {
    if full() { mutations } else { thinned(mutations, most) }
}

fn thinned(mut mutations: Vec<Mutation>, most: usize) -> Vec<Mutation> {
    if mutations.len() <= most {
        return mutations;
    }
    // Multiplying by a constant that shares no factor with the length visits everything once, in mixed order.
    let len = mutations.len();
    let step = (1..).map(|i| 7919 + i).find(|s| gcd(*s, len) == 1).unwrap();
    let chosen: BTreeSet<usize> = (0..most).map(|i| i * step % len).collect();
    let mut n = 0;
    mutations.retain(|_| {
        n += 1;
        chosen.contains(&(n - 1))
    });
    mutations
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn one(class: &str, what: String, file: &str, edit: Edit) -> Mutation {
    Mutation {
        class: format!("{class} {}", kind_of(file)),
        what: format!("{file}, {what}"),
        edits: vec![(file.to_owned(), edit)],
    }
}

/// What can happen to any file. The first list has one mutation for each bit.
fn accidents(files: &Files) -> (Vec<Mutation>, Vec<Mutation>) {
    let (mut many, mut few) = (Vec::new(), Vec::new());
    for (file, bytes) in files {
        let meta = file.ends_with("meta.json");
        let written = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
        // Zeros that a file is filled up with are all the same; every 61st byte of them does.
        let looked_at = |at: usize| at <= written + 64 || at.is_multiple_of(61);
        for bit in (0..bytes.len() * 8).filter(|b| looked_at(b / 8)) {
            let what = format!("bit {} of byte {}", bit % 8, bit / 8);
            let m = one("flip", what, file, Edit::Flip(bit));
            if meta { few.push(m) } else { many.push(m) }
        }
        for len in (0..bytes.len()).filter(|at| looked_at(*at)) {
            few.push(one("cut", format!("to {len} bytes"), file, Edit::Cut(len)));
        }
        let pages: Vec<usize> = (0..bytes.len()).step_by(512).collect();
        for &from in &pages {
            let to = (from + 512).min(bytes.len());
            few.push(one("zero page", format!("bytes {from} to {to}"), file, Edit::Zero(from, to)));
            // The page once more, everything behind it moved.
            let mut twice = bytes[..to].to_vec();
            twice.extend_from_slice(&bytes[from..]);
            few.push(one("double page", format!("bytes {from} to {to}"), file, Edit::Whole(twice)));
            let without = [&bytes[..from], &bytes[to..]].concat();
            few.push(one("lose page", format!("bytes {from} to {to}"), file, Edit::Whole(without)));
            for &other in pages.iter().filter(|p| **p > from && **p + 512 <= bytes.len()) {
                let mut swapped = bytes.clone();
                swapped.copy_within(other..other + 512, from);
                swapped[other..other + 512].copy_from_slice(&bytes[from..from + 512]);
                few.push(one("swap pages", format!("at {from} and {other}"), file, Edit::patch(bytes, &swapped)));
            }
        }
        few.push(one("zero", String::new(), file, Edit::Zero(0, bytes.len())));
        few.push(one("delete", String::new(), file, Edit::Delete));
        few.push(one("double", "appended to itself".into(), file, Edit::Whole([&bytes[..], &bytes[..]].concat())));
        let padded = [&bytes[..], &[0; 64][..]].concat();
        few.push(one("pad", "64 zeros".into(), file, Edit::Whole(padded)));
        for (other, content) in files {
            if other > file {
                few.push(Mutation {
                    class: format!("swap {} {}", kind_of(file), kind_of(other)),
                    what: format!("{file} with {other}"),
                    edits: vec![
                        (file.clone(), Edit::Whole(content.clone())),
                        (other.clone(), Edit::Whole(bytes.clone())),
                    ],
                });
            }
            if other != file {
                few.push(Mutation {
                    class: format!("overwrite {} by {}", kind_of(file), kind_of(other)),
                    what: format!("{file} by {other}"),
                    edits: vec![(file.clone(), Edit::Whole(content.clone()))],
                });
            }
        }
        if file.ends_with("chunks/000001") {
            let other = file.replace("000001", "000002");
            few.push(one("second segment", "a copy".into(), &other, Edit::Whole(bytes.clone())));
            few.push(Mutation {
                class: "moved segment".into(),
                what: file.clone(),
                edits: vec![(file.clone(), Edit::Delete), (other, Edit::Whole(bytes.clone()))],
            });
        }
        if let Some(block) = file.strip_suffix("/meta.json") {
            // The same block under another name, and gone altogether.
            few.push(copied(files, block, "01M89YB0ZZZZZZZZZZZZZZZZZZ", "copied block"));
            few.push(gone(files, block, "deleted block"));
        }
    }
    (many, few)
}

/// Everything below `folder` once more under another name.
fn copied(files: &Files, folder: &str, name: &str, class: &str) -> Mutation {
    let inside = files.iter().filter(|(f, _)| f.strip_prefix(folder).is_some_and(|f| f.starts_with('/')));
    let edits = inside.map(|(f, b)| (f.replacen(folder, name, 1), Edit::Whole(b.clone()))).collect();
    Mutation { class: class.into(), what: format!("{folder} as {name}"), edits }
}

/// Everything below `folder` deleted, and the folder with it.
fn gone(files: &Files, folder: &str, class: &str) -> Mutation {
    let inside = files.keys().filter(|f| f.strip_prefix(folder).is_some_and(|f| f.starts_with('/')));
    Mutation {
        class: class.into(),
        what: folder.to_owned(),
        edits: inside.map(|f| (f.clone(), Edit::Delete)).collect(),
    }
}
