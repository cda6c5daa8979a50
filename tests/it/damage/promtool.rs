//! What `promtool tsdb dump` makes of the same mutations: `PROMPROOF_PROMTOOL` names the command.
//!
//! Its answer to the unharmed directory is the measure, so what it always leaves out does not count.

use std::io::Read;
use std::process::{Command, Stdio};

use super::*;

/// Mutations of each directory.
const BLOCKS: usize = 1_500;
const DIRECTORY: usize = 2_500;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dump {
    Same,
    /// Exit status 0, and lines are missing or others are there.
    Silent,
    Error,
    /// A panic or a signal.
    Crash,
    Hang,
}

/// Its lines in any order, or how it failed.
fn dump(promtool: &Path, dir: &Path) -> Result<Vec<String>, Dump> {
    let mut child = Command::new(promtool)
        .args(["tsdb", "dump"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (lines, said, status) = std::thread::scope(|scope| {
        let read = |from: &mut dyn Read| {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let out = scope.spawn(move || read(&mut out));
        let err = scope.spawn(move || read(&mut err));
        let started = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() > PATIENCE => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        (out.join().unwrap(), err.join().unwrap(), status)
    });
    match status {
        None => Err(Dump::Hang),
        Some(s) if said.contains("goroutine ") || s.code().is_none() => Err(Dump::Crash),
        Some(s) if !s.success() => Err(Dump::Error),
        Some(_) => {
            let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
            lines.sort();
            Ok(lines)
        }
    }
}

fn beside(title: &str, promtool: &Path, golden: &Golden, mutations: &[Mutation], excuse: Excuse<'_>) {
    let place = |dir: &Path, m: Option<&Mutation>| {
        for (file, bytes) in &golden.files {
            write(dir, file, Some(bytes));
        }
        for (file, edit) in m.iter().flat_map(|m| &m.edits) {
            let original = golden.files.get(file).map_or(&[][..], Vec::as_slice);
            write(dir, file, edit.apply(original).as_deref());
            sweep(dir, file);
        }
        // It does not read a directory without one.
        let wal = dir.join("wal");
        if !golden.files.keys().any(|f| kind_of(f) == "wal") {
            std::fs::create_dir_all(wal).unwrap();
        }
    };
    let whole = scratch();
    place(whole.path(), None);
    let reference = match dump(promtool, whole.path()) {
        Ok(lines) => lines,
        Err(e) => return println!("{title}: skipped, this promtool cannot read it unharmed ({e:?})"),
    };
    println!("{title}: {} mutations; unharmed it prints {} samples", mutations.len(), reference.len());
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(BTreeMap::<(String, Dump), usize>::new());
    let ours = Mutex::new(BTreeMap::<(String, Outcome), usize>::new());
    let shown = Mutex::new(BTreeMap::<(String, Dump), String>::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(m) = mutations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dir = scratch();
                    place(dir.path(), Some(m));
                    let how = How { kinds: golden.kinds, ..PLAIN };
                    let found = catch_unwind(AssertUnwindSafe(|| read(dir.path(), how, &golden.selectors)));
                    let outcome = judge(&golden.reference, m, found, excuse);
                    // Ours never writes, the other one may.
                    let theirs = match dump(promtool, dir.path()) {
                        Ok(lines) if lines == reference => Dump::Same,
                        Ok(_) => Dump::Silent,
                        Err(how) => how,
                    };
                    let class = m.class.split(' ').next().unwrap().to_owned();
                    *counts.lock().unwrap().entry((class.clone(), theirs)).or_default() += 1;
                    *ours.lock().unwrap().entry((class, outcome)).or_default() += 1;
                    shown.lock().unwrap().entry((m.class.clone(), theirs)).or_insert_with(|| m.what.clone());
                }
            });
        }
    });
    let (counts, ours) = (counts.into_inner().unwrap(), ours.into_inner().unwrap());
    use {Dump as D, Outcome as O};
    println!(
        "  {:12} | {:>6} {:>6} {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} {:>6}",
        "class", "same", "named", "other*", "refuse", "SILENT", "same", "SILENT", "error", "crash"
    );
    let classes: BTreeSet<&String> = counts.keys().map(|(c, _)| c).collect();
    let row = |name: &str, of: &dyn Fn(&str) -> bool| {
        let o =
            |kinds: &[O]| ours.iter().filter(|((c, k), _)| of(c) && kinds.contains(k)).map(|(_, n)| n).sum::<usize>();
        let d =
            |kinds: &[D]| counts.iter().filter(|((c, k), _)| of(c) && kinds.contains(k)).map(|(_, n)| n).sum::<usize>();
        println!(
            "  {name:12} | {:6} {:6} {:6} {:6} {:6} | {:6} {:6} {:6} {:6}",
            o(&[O::Same, O::SameNoted]),
            o(&[O::Named]),
            o(&[O::Restarted, O::Untold, O::NotedOnly]),
            o(&[O::Refused]),
            o(&[O::Silent, O::Panicked]),
            d(&[D::Same]),
            d(&[D::Silent]),
            d(&[D::Error]),
            d(&[D::Crash, D::Hang]),
        );
    };
    for class in &classes {
        row(class, &|c| c == class.as_str());
    }
    row("all", &|_| true);
    println!("  * as a restarted server, untold, or with a note only");
    for ((class, how), what) in shown.into_inner().unwrap().iter().filter(|((_, how), _)| *how >= Dump::Crash) {
        println!("  {how:?}, such as {class}: {what}");
    }
    assert!(!ours.keys().any(|(_, o)| matches!(o, Outcome::Silent | Outcome::Panicked)));
}

/// As many from each kind of accident, as far as there are so many.
fn chosen(files: &Files, more: Vec<Mutation>, most: usize) -> Vec<Mutation> {
    let (many, few) = accidents(files);
    let mut all = thinned(many, most * 2 / 5);
    let folders = more.len();
    all.extend(more);
    let (cuts, others): (Vec<_>, Vec<_>) = few.into_iter().partition(|m| m.class.starts_with("cut"));
    all.extend(thinned(cuts, most / 5));
    all.extend(thinned(others, (most * 2 / 5).saturating_sub(folders)));
    all
}

#[test]
fn promtool_beside_it() {
    let Some(promtool) = std::env::var_os("PROMPROOF_PROMTOOL").map(PathBuf::from) else {
        eprintln!("skipped: promtool beside the campaign; name it in PROMPROOF_PROMTOOL");
        return;
    };
    let blocks = blocks::golden();
    beside("blocks", &promtool, &blocks, &chosen(&blocks.files, Vec::new(), BLOCKS), &blocks::nothing_left);
    let directory = directory::golden();
    let mutations = chosen(&directory.files, directory::to_folders(&directory.files), DIRECTORY);
    beside("directory", &promtool, &directory, &mutations, &|m, found, changed| {
        directory::excuse(&directory, m, found, changed)
    });
}
