//! Damage: whatever happens to a file, the answer is the same, or the difference is named, or the SOURCE is refused.
//!
//! `fixtures/damage` is read once as it is. Then every file is flipped bit by bit, cut at every byte, zeroed, swapped,
//! duplicated and deleted, and read again. [`forged`](forged_data_ends_in_an_answer_or_an_error) does the same below
//! the checksums, which are set right afterwards: no reader can tell such data from data, so only panics, time and
//! memory are judged, and the silent changes are counted per class.
//!
//! `PROMPROOF_DAMAGE=full` takes every mutation instead of a fixed sample of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use promproof::labels::Labels;
use promproof::loss::Ledger;
use promproof::raw::{ReadMode, crc32c};
use promproof::samples::{Reach, load_all};
use promproof::selector::Selector;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;

/// No mutation of 8 KB may take longer, even on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(10);
/// How much the process may grow over all mutations.
const MOST_MEMORY_KB: u64 = 512 << 10;

type Files = BTreeMap<String, Vec<u8>>;

/// What is compared: the samples of every selection, and the span that commands take as their default.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    series: BTreeMap<(usize, Labels), Vec<(i64, u64)>>,
    interval: Option<Interval>,
    shadowed: Vec<String>,
}

/// One selection that a scan or the list of all series serves, one through postings of several labels.
fn selectors() -> [Selector; 2] {
    [r#"{__name__=~".+"}"#, r#"{__name__=~"requests_total|up",job="api",code!="500"}"#]
        .map(|s| Selector::parse(s).unwrap())
}

fn read(dir: &Path, mode: ReadMode, selectors: &[Selector]) -> Result<(Answer, Ledger), String> {
    let options = OpenOptions { read_mode: mode, ..OpenOptions::default() };
    let source = Source::open(dir, &options).map_err(|e| e.to_string())?;
    let mut ledger = source.opening_ledger();
    let mut series = BTreeMap::new();
    for (i, selector) in selectors.iter().enumerate() {
        let loaded = load_all(&source, selector, Interval::ALL, Reach::Exact);
        ledger.absorb(loaded.ledger);
        for s in loaded.series {
            series.insert((i, s.labels), s.samples.iter().collect());
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Same,
    /// Same samples and something in the ledger.
    SameNoted,
    /// Every changed sample lies in a named loss or conflict.
    Named,
    /// Changed samples, and a note about it.
    NotedOnly,
    Refused,
    /// Changed, and nobody says so.
    Silent,
    Panicked,
}

fn judge(reference: &(Answer, Ledger), found: std::thread::Result<Result<(Answer, Ledger), String>>) -> Outcome {
    let (answer, ledger) = match found {
        Err(_) => return Outcome::Panicked,
        Ok(Err(_)) => return Outcome::Refused,
        Ok(Ok(found)) => found,
    };
    let (wanted, before) = reference;
    let losses: Vec<_> = ledger.losses.iter().filter(|l| !before.losses.contains(l)).collect();
    let noted = ledger.notes.iter().any(|n| !before.notes.contains(n));
    let conflicts: BTreeSet<_> = ledger.conflicts.iter().collect();
    if answer == *wanted {
        let quiet = losses.is_empty() && !noted && conflicts.is_empty();
        return if quiet { Outcome::Same } else { Outcome::SameNoted };
    }
    let mut changed: Vec<(&Labels, i64)> = Vec::new();
    let keys: BTreeSet<_> = answer.series.keys().chain(wanted.series.keys()).collect();
    for key in keys {
        let side = |a: &'_ Answer| -> BTreeSet<(i64, u64)> {
            a.series.get(key).map(|s| s.iter().copied().collect()).unwrap_or_default()
        };
        let (new, old) = (side(&answer), side(wanted));
        changed.extend(new.symmetric_difference(&old).map(|(t, _)| (&key.1, *t)));
        if answer.series.contains_key(key) != wanted.series.contains_key(key) && changed.is_empty() {
            changed.push((&key.1, i64::MIN));
        }
    }
    let covered = |series: &Labels, t: i64| {
        losses.iter().any(|l| l.series.as_ref().is_none_or(|s| s == series) && l.interval.is_none_or(|i| i.contains(t)))
            || conflicts.iter().any(|c| c.series == *series && c.t_ms == t)
    };
    // A changed span without changed samples is named by any loss or note; so is a block that is left out.
    if changed.iter().all(|(s, t)| covered(s, *t)) && !(losses.is_empty() && conflicts.is_empty()) {
        Outcome::Named
    } else if noted {
        Outcome::NotedOnly
    } else {
        Outcome::Silent
    }
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

/// The class of a file: its name without the block.
fn kind_of(file: &str) -> &str {
    file.split_once('/').map_or(file, |(_, rest)| rest)
}

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/damage/data")
}

fn golden() -> Files {
    let mut files = Files::new();
    let top = golden_dir();
    for block in std::fs::read_dir(&top).unwrap() {
        let block = block.unwrap().file_name().into_string().unwrap();
        for file in ["meta.json", "index", "tombstones", "chunks/000001"] {
            let rel = format!("{block}/{file}");
            files.insert(rel.clone(), std::fs::read(top.join(&rel)).unwrap());
        }
    }
    assert_eq!(files.len(), 12);
    files
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
    silent: Vec<String>,
    panics: Vec<String>,
    slowest: (Duration, String),
}

/// Runs every mutation on a few threads, each in a folder of its own.
fn run(files: &Files, mutations: &[Mutation]) -> Tally {
    let selectors = selectors();
    let reference = read(&golden_dir(), ReadMode::Map, &selectors).unwrap();
    assert!(reference.1.losses.is_empty() && reference.1.conflicts.is_empty());
    assert!(reference.0.series.len() > 5 && reference.1.deleted > 0);
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally {
        counts: BTreeMap::new(),
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
                    let mode = if n.is_multiple_of(2) { ReadMode::Map } else { ReadMode::Read };
                    let started = Instant::now();
                    let found = catch_unwind(AssertUnwindSafe(|| read(dir.path(), mode, &selectors)));
                    let took = started.elapsed();
                    let outcome = judge(&reference, found);
                    for (file, _) in &m.edits {
                        write(dir.path(), file, files.get(file).map(Vec::as_slice));
                        // Blocks that a mutation added go away as a whole.
                        let block = dir.path().join(file.split('/').next().unwrap());
                        if !files.contains_key(file)
                            && !files.keys().any(|f| block.ends_with(f.split('/').next().unwrap()))
                        {
                            let _ = std::fs::remove_dir_all(block);
                        }
                    }
                    let mut t = tally.lock().unwrap();
                    *t.counts.entry((m.class.clone(), outcome)).or_default() += 1;
                    match outcome {
                        Outcome::Silent => t.silent.push(format!("{}: {}", m.class, m.what)),
                        Outcome::Panicked => t.panics.push(format!("{}: {}", m.class, m.what)),
                        _ => {}
                    }
                    if took > t.slowest.0 {
                        t.slowest = (took, format!("{}: {}", m.class, m.what));
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn print(title: &str, tally: &Tally, total: usize) {
    println!("{title}: {total} mutations");
    let classes: BTreeSet<&String> = tally.counts.keys().map(|(c, _)| c).collect();
    println!(
        "  {:34} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "class", "same", "+note", "named", "note", "refused", "SILENT"
    );
    for class in classes {
        let of = |o| tally.counts.get(&(class.clone(), o)).copied().unwrap_or_default();
        println!(
            "  {class:34} {:7} {:7} {:7} {:7} {:7} {:7}",
            of(Outcome::Same),
            of(Outcome::SameNoted),
            of(Outcome::Named),
            of(Outcome::NotedOnly),
            of(Outcome::Refused),
            of(Outcome::Silent)
        );
    }
    println!("  slowest: {:?} ({}); peak memory {} MB", tally.slowest.0, tally.slowest.1, peak_kb() >> 10);
    for s in tally.silent.iter().take(20) {
        println!("  silent: {s}");
    }
}

fn bounded(tally: &Tally, before_kb: u64) {
    assert!(tally.panics.is_empty(), "panics: {:?}", tally.panics);
    assert!(tally.slowest.0 < LONGEST, "too slow: {:?}", tally.slowest);
    let grown = peak_kb().saturating_sub(before_kb);
    assert!(grown < MOST_MEMORY_KB, "grew by {grown} KB");
}

/// Every `n`-th, where not everything is asked for.
fn sampled(mut mutations: Vec<Mutation>, most: usize) -> Vec<Mutation> {
    if full() || mutations.len() <= most {
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

fn accidents(files: &Files) -> (Vec<Mutation>, Vec<Mutation>) {
    let (mut many, mut few) = (Vec::new(), Vec::new());
    for (file, bytes) in files {
        let meta = file.ends_with("meta.json");
        for bit in 0..bytes.len() * 8 {
            let what = format!("bit {} of byte {}", bit % 8, bit / 8);
            let m = one("flip", what, file, Edit::Flip(bit));
            if meta { few.push(m) } else { many.push(m) }
        }
        for len in 0..bytes.len() {
            few.push(one("cut", format!("to {len} bytes"), file, Edit::Cut(len)));
        }
        for from in (0..bytes.len()).step_by(512) {
            let to = (from + 512).min(bytes.len());
            few.push(one("zero page", format!("bytes {from} to {to}"), file, Edit::Zero(from, to)));
            // The page once more, everything behind it moved.
            let mut twice = bytes[..to].to_vec();
            twice.extend_from_slice(&bytes[from..]);
            few.push(one("double page", format!("bytes {from} to {to}"), file, Edit::Whole(twice)));
            let without = [&bytes[..from], &bytes[to..]].concat();
            few.push(one("lose page", format!("bytes {from} to {to}"), file, Edit::Whole(without)));
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
        if file.ends_with("/000001") {
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
            let copies = |name: &str| {
                let of_block = files.iter().filter(|(f, _)| f.starts_with(block));
                of_block.map(|(f, b)| (f.replace(block, name), Edit::Whole(b.clone()))).collect()
            };
            few.push(Mutation {
                class: "copied block".into(),
                what: block.into(),
                edits: copies("01M89YB0ZZZZZZZZZZZZZZZZZZ"),
            });
            let gone = files.keys().filter(|f| f.starts_with(block));
            few.push(Mutation {
                class: "emptied block".into(),
                what: block.into(),
                edits: gone.map(|f| (f.clone(), Edit::Delete)).collect(),
            });
        }
    }
    (many, few)
}

#[test]
fn every_accident_is_survived_or_named() {
    let files = golden();
    let before = peak_kb();
    let (many, mut mutations) = accidents(&files);
    let rest = 20_000usize.saturating_sub(mutations.len()).max(2_000);
    mutations.extend(sampled(many, rest));
    let total = mutations.len();
    assert!(total >= 20_000);
    let tally = run(&files, &mutations);
    print("accidents", &tally, total);
    bounded(&tally, before);
    assert!(tally.silent.is_empty(), "{} wrong answers without a named loss", tally.silent.len());
}

/// A part of a file that a checksum covers: content, and where the checksum stands.
struct Sealed {
    class: &'static str,
    from: usize,
    to: usize,
    crc_at: usize,
    /// The length before the content: place and bytes; a varint where it has less than 4.
    length: Option<(usize, usize)>,
}

fn be(bytes: &[u8], at: usize, n: usize) -> usize {
    bytes[at..at + n].iter().fold(0, |v, b| v << 8 | usize::from(*b))
}

fn uvarint(bytes: &[u8], at: usize) -> (usize, usize) {
    let mut value = 0;
    let mut n = 0;
    loop {
        let byte = usize::from(bytes[at + n]);
        value |= (byte & 0x7f) << (7 * n);
        n += 1;
        if byte < 0x80 {
            return (value, n);
        }
    }
}

/// Every sealed part of a good file.
fn sealed_parts(file: &str, bytes: &[u8]) -> Vec<Sealed> {
    let mut parts = Vec::new();
    let section = |class, at: usize| {
        let (from, length) = (at + 4, be(bytes, at, 4));
        Sealed { class, from, to: from + length, crc_at: from + length, length: Some((at, 4)) }
    };
    match kind_of(file) {
        "index" => {
            let toc = bytes.len() - 52;
            parts.push(Sealed { class: "table of contents", from: toc, to: toc + 48, crc_at: toc + 48, length: None });
            let of = |i: usize| be(bytes, toc + 8 * i, 8);
            parts.push(section("symbols", of(0)));
            let table = section("postings table", of(5));
            let mut at = table.from + 4;
            while at < table.to {
                at += 1;
                for _ in 0..2 {
                    let (length, n) = uvarint(bytes, at);
                    at += n + length;
                }
                let (list, n) = uvarint(bytes, at);
                at += n;
                parts.push(section("postings list", list));
            }
            parts.push(table);
            let mut at = of(1);
            loop {
                at = at.next_multiple_of(16);
                let (length, n) = uvarint(bytes, at);
                if at >= of(4) || length == 0 {
                    break;
                }
                let from = at + n;
                parts.push(Sealed {
                    class: "series",
                    from,
                    to: from + length,
                    crc_at: from + length,
                    length: Some((at, n)),
                });
                at = from + length + 4;
            }
        }
        "chunks/000001" => {
            let mut at = 8;
            while at < bytes.len() {
                let (length, n) = uvarint(bytes, at);
                let from = at + n;
                parts.push(Sealed {
                    class: "chunk",
                    from,
                    to: from + 1 + length,
                    crc_at: from + 1 + length,
                    length: Some((at, n)),
                });
                at = from + 1 + length + 4;
            }
        }
        "tombstones" => parts.push(Sealed {
            class: "tombstones",
            from: 5,
            to: bytes.len() - 4,
            crc_at: bytes.len() - 4,
            length: None,
        }),
        _ => {}
    }
    parts
}

fn reseal(bytes: &mut [u8], from: usize, to: usize, crc_at: usize) {
    let crc = crc32c(&bytes[from..to]).to_be_bytes();
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc);
}

fn forgeries(files: &Files) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (file, bytes) in files {
        for p in sealed_parts(file, bytes) {
            let mut add = |what: String, change: &dyn Fn(&mut [u8])| {
                let mut forged = bytes.clone();
                change(&mut forged[p.from..p.to]);
                reseal(&mut forged, p.from, p.to, p.crc_at);
                all.push(Mutation {
                    class: format!("forged {}", p.class),
                    what: format!("{file} part at {}, {what}", p.from),
                    edits: vec![(file.clone(), Edit::patch(bytes, &forged))],
                });
            };
            let len = p.to - p.from;
            for bit in 0..len * 8 {
                add(format!("bit {bit}"), &|c| c[bit / 8] ^= 1 << (bit % 8));
            }
            // Counts, references and lengths that are far too high, as varints and as fixed integers.
            for at in 0..len {
                for value in [0x00u8, 0x01, 0x7f, 0x80, 0xff] {
                    add(format!("byte {at} = {value:#x}"), &|c| c[at] = value);
                }
                for wild in [
                    &[0xff, 0xff, 0xff, 0xff, 0x0f][..],
                    &[0x80, 0x80, 0x80, 0x80, 0x10],
                    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                    &[0xff, 0xff, 0xff, 0xff],
                    &[0x7f, 0xff, 0xff, 0xff],
                    &[0, 0, 0, 0],
                    &[0, 0, 0, 1, 0, 0, 0, 0],
                ] {
                    if at + wild.len() <= len {
                        add(format!("byte {at} on = {wild:02x?}"), &|c| {
                            c[at..at + wild.len()].copy_from_slice(wild);
                        });
                    }
                }
            }
            // A shorter content with a checksum of its own.
            if let Some((at, n)) = p.length {
                // A chunk's length leaves its encoding byte out.
                let counted = len - usize::from(p.class == "chunk");
                for shorter in 1..=counted.min(40) {
                    let length = counted - shorter;
                    let mut forged = bytes.clone();
                    if n == 4 {
                        forged[at..at + 4].copy_from_slice(&(length as u32).to_be_bytes());
                    } else {
                        // Overlong varints are legal, so the length keeps its width.
                        for i in 0..n {
                            let more = if i + 1 < n { 0x80 } else { 0 };
                            forged[at + i] = (length >> (7 * i)) as u8 & 0x7f | more;
                        }
                    }
                    reseal(&mut forged, p.from, p.to - shorter, p.to - shorter);
                    all.push(Mutation {
                        class: format!("shortened {}", p.class),
                        what: format!("{file} part at {}, {shorter} bytes less", p.from),
                        edits: vec![(file.clone(), Edit::patch(bytes, &forged))],
                    });
                }
            }
        }
    }
    all
}

#[test]
fn forged_data_ends_in_an_answer_or_an_error() {
    let files = golden();
    let before = peak_kb();
    let mutations = sampled(forgeries(&files), 12_000);
    let total = mutations.len();
    assert!(total >= 12_000);
    let tally = run(&files, &mutations);
    print("forgeries", &tally, total);
    bounded(&tally, before);
}

/// An index of version 2 with correct checksums and whatever content.
struct Forger {
    bytes: Vec<u8>,
    series_at: usize,
    refs: Vec<u32>,
}

impl Forger {
    fn new(symbols: &[&[u8]]) -> Forger {
        let mut content = (symbols.len() as u32).to_be_bytes().to_vec();
        for s in symbols {
            put_uvarint(&mut content, s.len() as u64);
            content.extend_from_slice(s);
        }
        let mut forger = Forger { bytes: vec![0xba, 0xaa, 0xd7, 0x00, 2], series_at: 0, refs: Vec::new() };
        forger.section(&content);
        forger.pad(16);
        forger.series_at = forger.bytes.len();
        forger
    }

    fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn section(&mut self, content: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.extend_from_slice(&crc32c(content).to_be_bytes());
        at
    }

    /// A series of symbol numbers with chunks `(start, end, reference)`, all positive and ascending.
    fn series(&mut self, labels: &[(u64, u64)], chunks: &[(u64, u64, u64)]) {
        self.pad(16);
        self.refs.push((self.bytes.len() / 16) as u32);
        let mut c = Vec::new();
        put_uvarint(&mut c, labels.len() as u64);
        for (name, value) in labels {
            put_uvarint(&mut c, *name);
            put_uvarint(&mut c, *value);
        }
        put_uvarint(&mut c, chunks.len() as u64);
        let mut last: Option<(u64, u64, u64)> = None;
        for (start, end, reference) in chunks {
            match last {
                None => put_uvarint(&mut c, start * 2),
                Some((_, previous, _)) => put_uvarint(&mut c, start - previous),
            }
            put_uvarint(&mut c, end - start);
            match last {
                None => put_uvarint(&mut c, *reference),
                Some((_, _, previous)) => put_uvarint(&mut c, (reference - previous) * 2),
            }
            last = Some((*start, *end, *reference));
        }
        put_uvarint(&mut self.bytes, c.len() as u64);
        self.bytes.extend_from_slice(&c);
        self.bytes.extend_from_slice(&crc32c(&c).to_be_bytes());
    }

    /// Adds the lists (name, values that all use it, references) and the trailer.
    fn finish(mut self, lists: &[(&str, Vec<String>, Vec<u32>)]) -> Vec<u8> {
        self.pad(4);
        let postings_at = self.bytes.len();
        let mut table = (lists.iter().map(|l| l.1.len()).sum::<usize>() as u32).to_be_bytes().to_vec();
        for (name, values, refs) in lists {
            let mut content = (refs.len() as u32).to_be_bytes().to_vec();
            content.extend(refs.iter().flat_map(|r| r.to_be_bytes()));
            let at = self.section(&content);
            for value in values {
                put_uvarint(&mut table, 2);
                for s in [*name, value.as_str()] {
                    put_uvarint(&mut table, s.len() as u64);
                    table.extend_from_slice(s.as_bytes());
                }
                put_uvarint(&mut table, at as u64);
            }
        }
        let table_at = self.section(&table);
        let toc: Vec<u8> =
            [5, self.series_at, 0, 0, postings_at, table_at].iter().flat_map(|n| (*n as u64).to_be_bytes()).collect();
        self.bytes.extend_from_slice(&toc);
        self.bytes.extend_from_slice(&crc32c(&toc).to_be_bytes());
        self.bytes
    }
}

fn put_uvarint(to: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// A segment with one XOR chunk of `count` samples a millisecond apart from `start` on, all of value 0.
fn one_chunk_segment(start: u64, count: u16) -> Vec<u8> {
    let mut chunk = vec![1];
    chunk.extend_from_slice(&count.to_be_bytes());
    put_uvarint(&mut chunk, start * 2);
    chunk.extend_from_slice(&[0; 8]);
    if count > 1 {
        put_uvarint(&mut chunk, 1);
        // One bit for the second value, two for each further sample.
        chunk.resize(chunk.len() + (2 * usize::from(count) - 3).div_ceil(8), 0);
    }
    let mut segment = vec![0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];
    put_uvarint(&mut segment, chunk.len() as u64 - 1);
    segment.extend_from_slice(&chunk);
    segment.extend_from_slice(&crc32c(&chunk).to_be_bytes());
    segment
}

fn forged_block(index: &[u8], segment: &[u8], meta: &str) -> tempfile::TempDir {
    let dir = scratch();
    let block = "01M89YB0MVJPAEHFDVE9PG5M78";
    let meta =
        format!(r#"{{"ulid":"{block}","minTime":0,"maxTime":60000,"version":1,"compaction":{{"level":1}},{meta}}}"#);
    for (name, bytes) in [("index", index), ("chunks/000001", segment), ("meta.json", meta.as_bytes())] {
        write(dir.path(), &format!("{block}/{name}"), Some(bytes));
    }
    dir
}

fn all_of(refs: &[u32]) -> (&'static str, Vec<String>, Vec<u32>) {
    ("", vec![String::new()], refs.to_vec())
}

/// Loads everything from a forged block; the growth of the process is bounded.
fn load_forged(index: &[u8], segment: &[u8], meta: &str, selector: &str) -> (Answer, Ledger) {
    let dir = forged_block(index, segment, meta);
    let before = peak_kb();
    let started = Instant::now();
    let selector = Selector::parse(selector).unwrap();
    let found = read(dir.path(), ReadMode::Map, &[selector]).unwrap();
    assert!(started.elapsed() < LONGEST);
    assert!(peak_kb().saturating_sub(before) < MOST_MEMORY_KB);
    found
}

#[test]
fn labels_of_one_series_do_not_multiply_a_symbol() {
    // 4000 labels with one value of a megabyte: 4 GB from an index of 1 MB.
    let names: Vec<String> = (0..4000).map(|i| format!("n{i:04}")).collect();
    let long = vec![b'x'; 1 << 20];
    let mut symbols: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    symbols.push(&long);
    let mut f = Forger::new(&symbols);
    let labels: Vec<(u64, u64)> = (0..4000).map(|i| (i, 4000)).collect();
    f.series(&labels, &[(0, 9, 8)]);
    let refs = f.refs.clone();
    let (answer, ledger) = load_forged(
        &f.finish(&[all_of(&refs), ("n0001", vec!["v".to_owned()], refs)]),
        &one_chunk_segment(0, 10),
        r#""stats":{"numSeries":1,"numChunks":1}"#,
        r#"{n0001!=""}"#,
    );
    assert!(answer.series.is_empty());
    assert_eq!(ledger.losses.len(), 1, "{:?}", ledger.losses);
    assert!(ledger.losses[0].detail.contains("labels of a series"));
}

#[test]
fn labels_of_many_series_do_not_multiply_a_symbol() {
    // 20000 series with one value of half a megabyte: 10 GB from an index of 1 MB.
    let long = vec![b'x'; 1 << 19];
    let mut f = Forger::new(&[b"a", &long]);
    for _ in 0..20_000 {
        f.series(&[(0, 1)], &[]);
    }
    let refs = f.refs.clone();
    let (_, ledger) = load_forged(
        &f.finish(&[all_of(&refs), ("a", vec!["v".to_owned()], refs)]),
        &one_chunk_segment(0, 10),
        r#""stats":{"numSeries":20000}"#,
        r#"{a!=""}"#,
    );
    assert!(ledger.losses.len() > 19_000, "what does not fit is a loss, not memory");
}

#[test]
fn many_table_entries_do_not_multiply_a_list() {
    // 20000 values that share a list of 20000 series: 400 million references from an index of a megabyte.
    let mut f = Forger::new(&[b"a", b"b"]);
    for _ in 0..20_000 {
        f.series(&[(0, 1)], &[]);
    }
    let refs = f.refs.clone();
    let values = (0..20_000).map(|i| format!("{i}")).collect();
    let (answer, ledger) = load_forged(
        &f.finish(&[all_of(&refs), ("a", values, refs.clone())]),
        &one_chunk_segment(0, 10),
        r#""stats":{"numSeries":20000}"#,
        r#"{a=~".+"}"#,
    );
    assert_eq!(answer.series.len(), 1, "all series have the same labels");
    assert!(ledger.losses.is_empty());
    assert!(ledger.notes.iter().any(|n| n.contains("each series once")));
}

#[test]
fn a_series_that_no_list_names_is_found_by_a_scan() {
    let mut f = Forger::new(&[b"__name__", b"up"]);
    f.series(&[(0, 1)], &[(5, 14, 8)]);
    let (answer, ledger) = load_forged(
        &f.finish(&[all_of(&[])]),
        &one_chunk_segment(5, 10),
        r#""stats":{"numSeries":1,"numChunks":1}"#,
        "up",
    );
    assert_eq!(answer.series.values().map(Vec::len).sum::<usize>(), 10);
    assert!(ledger.losses.is_empty());
    assert!(ledger.notes.iter().any(|n| n.contains("list of all series")));
}

/// Reads the golden directory with one change.
fn with(file: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> (Answer, Ledger) {
    let dir = scratch();
    for (name, bytes) in golden() {
        let changed = if name == file { change(bytes) } else { Some(bytes) };
        write(dir.path(), &name, changed.as_deref());
    }
    read(dir.path(), ReadMode::Map, &selectors()).unwrap()
}

#[test]
fn deletions_that_vanish_are_a_loss() {
    let (_, ledger) = with("01M89YB0KY3HFCEWR5CDW6RXJN/tombstones", |_| None);
    assert!(ledger.losses.iter().any(|l| l.file.ends_with("tombstones") && l.detail.contains("3 deleted intervals")));
}

#[test]
fn a_broken_key_name_brings_no_parent_back_in_silence() {
    let meta = "01M89YB0KY3HFCEWR5CDW6RXJN/meta.json";
    let (answer, ledger) = with(meta, |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        Some(text.replace("\"parents\"", "\"parentr\"").into_bytes())
    });
    assert!(answer.shadowed.is_empty());
    let named = |what: &str| ledger.notes.iter().any(|n| n.contains(what));
    assert!(named("compaction.parentr") && named("names no parents"));
}

/// A segment of XOR chunks with two samples each, `(first, second, value bits)`, and the reference of each chunk.
fn pair_segment(pairs: impl Iterator<Item = (u64, u64, u64)>) -> (Vec<u8>, Vec<(u64, u64, u64)>) {
    let mut segment = vec![0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];
    let mut chunks = Vec::new();
    for (first, second, value) in pairs {
        chunks.push((first, second, segment.len() as u64));
        let mut chunk = vec![1, 0, 2];
        put_uvarint(&mut chunk, first * 2);
        chunk.extend_from_slice(&value.to_be_bytes());
        put_uvarint(&mut chunk, second - first);
        chunk.push(0);
        put_uvarint(&mut segment, chunk.len() as u64 - 1);
        segment.extend_from_slice(&chunk);
        segment.extend_from_slice(&crc32c(&chunk).to_be_bytes());
    }
    (segment, chunks)
}

#[test]
fn many_series_do_not_multiply_a_chunk() {
    // 1000 series that name one chunk of 65535 samples: a gigabyte from 60 KB.
    let names: Vec<String> = (0..1000).map(|i| format!("v{i:04}")).collect();
    let mut symbols: Vec<&[u8]> = vec![b"a"];
    symbols.extend(names.iter().map(String::as_bytes));
    let mut f = Forger::new(&symbols);
    for i in 0..1000 {
        f.series(&[(0, 1 + i)], &[(0, 65_534, 8)]);
    }
    let refs = f.refs.clone();
    load_forged(
        &f.finish(&[all_of(&refs), ("a", vec!["v".to_owned()], refs)]),
        &one_chunk_segment(0, 65_535),
        r#""stats":{"numSeries":1000,"numChunks":1000}"#,
        r#"{a!=""}"#,
    );
}

#[test]
fn many_overlapping_chunks_end_in_time() {
    // 100000 chunks of two samples that all overlap: 200000 times x 100000 runs from 3 MB.
    let (segment, chunks) = pair_segment((0..100_000).map(|i| (i, i + 1_000_000, 0)));
    // The starts go back behind the previous end, which the index holds as a wrapped difference: not written here, so
    // the index claims ranges in ascending order and the chunks hold others.
    let claimed: Vec<_> = (0u64..).zip(&chunks).map(|(i, c)| (i * 2, i * 2 + 1, c.2)).collect();
    let mut f = Forger::new(&[b"a", b"b"]);
    f.series(&[(0, 1)], &claimed);
    let refs = f.refs.clone();
    let (answer, _) = load_forged(
        &f.finish(&[all_of(&refs), ("a", vec!["b".to_owned()], refs)]),
        &segment,
        r#""stats":{"numSeries":1,"numChunks":100000}"#,
        r#"{a!=""}"#,
    );
    assert_eq!(answer.series.values().map(Vec::len).sum::<usize>(), 200_000);
}

#[test]
fn many_deletions_end_in_time() {
    // One series with 400000 deleted intervals behind 65535 samples.
    let mut f = Forger::new(&[b"a", b"b"]);
    f.series(&[(0, 1)], &[(0, 65_534, 8)]);
    let series = u64::from(f.refs[0]);
    let refs = f.refs.clone();
    let index = f.finish(&[all_of(&refs), ("a", vec!["b".to_owned()], refs)]);
    let mut body = Vec::new();
    for i in 0..400_000u64 {
        put_uvarint(&mut body, series);
        put_uvarint(&mut body, (65_534 + 2 * i) * 2);
        put_uvarint(&mut body, (65_534 + 2 * i) * 2);
    }
    let mut stones = vec![0x01, 0x30, 0xba, 0x30, 1];
    stones.extend_from_slice(&body);
    stones.extend_from_slice(&crc32c(&body).to_be_bytes());
    let dir = forged_block(&index, &one_chunk_segment(0, 65_535), r#""stats":{"numSeries":1}"#);
    write(dir.path(), "01M89YB0MVJPAEHFDVE9PG5M78/tombstones", Some(&stones));
    let started = Instant::now();
    let found = read(dir.path(), ReadMode::Map, &[Selector::parse(r#"{a!=""}"#).unwrap()]);
    let (answer, _) = found.unwrap();
    assert_eq!(answer.series.values().map(Vec::len).sum::<usize>(), 65_534);
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

#[test]
fn a_long_way_back_ends_in_time() {
    // 100000 chunks of stale markers before the interval that is asked for.
    let (segment, chunks) = pair_segment((0..100_000).map(|i| (2 * i, 2 * i + 1, 0x7ff0_0000_0000_0002)));
    let mut f = Forger::new(&[b"a", b"b"]);
    f.series(&[(0, 1)], &chunks);
    let refs = f.refs.clone();
    let index = f.finish(&[all_of(&refs), ("a", vec!["b".to_owned()], refs)]);
    let dir = forged_block(&index, &segment, r#""stats":{"numSeries":1}"#);
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let started = Instant::now();
    let loaded =
        load_all(&source, &Selector::parse(r#"{a!=""}"#).unwrap(), Interval::new(300_000, 300_001), Reach::WithHistory);
    assert_eq!(loaded.series.len(), 1);
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}
