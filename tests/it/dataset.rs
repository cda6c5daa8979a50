//! Converted data: the same answers as their source, equal bytes from equal sources, and damage that is noticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use promproof::convert::{Converted, Options, Progress, convert};
use promproof::dataset::{Layout, Manifest, Partition};
use promproof::report::{availability_json, updates_json};
use promproof::samples::LoadedSeries;
use promproof::selector::Selector;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::verdict::{self, availability::judge};
use promproof::windows::Span;
use promproof::windows::availability::{self, Question};
use promproof::windows::newest::default_end;
use promproof::windows::semantics::{SemanticsChoice, resolve, storage_release};
use promproof::windows::switches;
use rayon::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{copy_tree, json, p, run, status, text, tree};
use crate::expected::full_read;
use crate::forge::reseal;
use crate::random::Random;
use crate::support::{fixture_sets, fixtures, name, read_json};

struct Silent;

impl Progress for Silent {
    fn advance(&self, _samples: u64, _total: u64) {}
}

fn options(layout: Layout) -> Options {
    Options {
        selectors: Vec::new(),
        interval: Interval::ALL,
        layout,
        partition: Partition::None,
        union: false,
        shard: None,
        memory_limit: 512 << 20,
        semantics: "prometheus-3.16".to_owned(),
    }
}

/// A source under the rules of the release that its data name, or of `semantics`.
fn open(path: &Path, semantics: &str) -> Source {
    let choice = SemanticsChoice::parse(semantics).unwrap();
    let options = OpenOptions { release: choice.release(), ..OpenOptions::default() };
    let source = Source::open(path, &options).unwrap_or_else(|e| panic!("{e}"));
    let release = storage_release(choice, &source);
    source.follow(release, &[]).unwrap()
}

fn converted(source: &Source, options: &Options, into: &Path) -> Converted {
    std::fs::create_dir_all(into).unwrap();
    convert(source, options, into, &Silent).unwrap_or_else(|e| panic!("{e}"))
}

/// Every folder of data among the fixtures.
fn sources() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fixture_sets("encodings").into_iter().map(|case| case.join("data")).collect();
    for set in fixture_sets("servers") {
        let folders = ["data", "blocks", "snapshot", "snapshot-deleted"].map(|folder| set.join(folder));
        all.extend(folders.into_iter().filter(|d| d.is_dir()));
    }
    all.retain(|d| d.is_dir());
    all
}

/// Where two reads differ, in a few words.
fn difference(a: &[LoadedSeries], b: &[LoadedSeries]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} series, not {}", b.len(), a.len()));
    }
    a.iter().zip(b).find_map(|(a, b)| {
        let what = [
            (a.labels != b.labels, "labels"),
            (a.samples.ts != b.samples.ts, "times"),
            (a.samples.bits != b.samples.bits, "values"),
            ((0..a.samples.len()).any(|i| a.samples.start(i) != b.samples.start(i)), "starts"),
            (a.histograms != b.histograms, "histograms"),
            (a.head_reference != b.head_reference, "reference"),
        ];
        what.iter().find(|(differs, _)| *differs).map(|(_, what)| format!("{what} of {}", a.labels))
    })
}

#[test]
fn a_dataset_has_every_sample_of_its_source() {
    let count = |path: &PathBuf| -> (u64, Option<String>) {
        let source = open(path, "auto");
        let (series, ledger) = full_read(&source);
        let samples: usize = series.iter().map(|s| s.samples.len() + s.histograms.len()).sum();
        for (layout, partition) in
            [(Layout::Simple, Partition::None), (Layout::Compact, Partition::None), (Layout::Compact, Partition::Day)]
        {
            let long = source.interval().is_some_and(|i| i.length() > 40 * 86_400_000);
            if partition == Partition::Day && long {
                continue;
            }
            let dir = TempDir::new().unwrap();
            let options = Options { partition, ..options(layout) };
            let converted = converted(&source, &options, dir.path());
            let (read, found) = full_read(&open(dir.path(), "auto"));
            let m = &converted.manifest;
            let describe = |what: String| format!("{} ({layout:?}, {partition:?}): {what}", path.display());
            if let Some(difference) = difference(&series, &read) {
                return (0, Some(describe(difference)));
            }
            if (m.float_samples + m.histogram_samples) as usize != samples {
                return (0, Some(describe("the manifest counts others".to_owned())));
            }
            let lost = |ledger: &promproof::loss::Ledger| -> Vec<String> {
                let mut lines: Vec<String> = ledger.losses.iter().map(|l| l.to_line()).collect();
                lines.sort();
                lines
            };
            if partition == Partition::None && lost(&ledger) != lost(&found) {
                return (0, Some(describe(format!("losses {:?}, not {:?}", lost(&found), lost(&ledger)))));
            }
            if ledger.conflicts != found.conflicts {
                return (0, Some(describe("other conflicts".to_owned())));
            }
        }
        (samples as u64, None)
    };
    let counts: Vec<_> = sources().par_iter().map(count).collect();
    let failures: Vec<&String> = counts.iter().filter_map(|(_, f)| f.as_ref()).collect();
    println!(
        "{} sources, {} samples, {} differ",
        counts.len(),
        counts.iter().map(|(n, _)| n).sum::<u64>(),
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The documents of both questions, without what names the source.
fn documents(source: &Source, semantics: &str) -> Vec<Value> {
    let choice = SemanticsChoice::parse(semantics).unwrap();
    let mut out = Vec::new();
    let question = Question::recommender();
    let newest = default_end(source, &[&question.total]);
    for hours in [1, 24, 72] {
        let span = Span { start: newest - hours * 3_600_000, end: newest };
        let answer = availability::evaluate(source, &question, span, resolve(choice, source, span)).unwrap();
        let requirement = verdict::availability::Requirement {
            percent: 70.0,
            mode: verdict::availability::Mode::Bounded,
            coverage_ratio: None,
        };
        out.push(availability_json::document(&answer, &judge(&answer, requirement), Value::Null));
    }
    let question = switches::Question::recommender();
    let span = Span { start: newest - 7 * 86_400_000, end: newest };
    let answer = switches::evaluate(source, &question, span, resolve(choice, source, span)).unwrap();
    let judgement = verdict::updates::judge(&answer, verdict::updates::Requirement { minimum: 2 });
    out.push(updates_json::document(&answer, &judgement, question.within_ms, Value::Null));
    for document in &mut out {
        // How often parts of a source repeat each other, and what was odd about its files, is not kept per time.
        for key in ["notes", "duplicate_samples", "deleted_samples"] {
            document.as_object_mut().unwrap().shift_remove(key);
        }
    }
    out
}

fn first_difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.len() == y.len() => {
            x.iter().find_map(|(k, v)| first_difference(v, y.get(k).unwrap_or(&Value::Null), &format!("{path}.{k}")))
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(i, (x, y))| first_difference(x, y, &format!("{path}[{i}]")))
        }
        _ if a == b => None,
        _ => Some(format!("{path}: {a} and {b}")),
    }
}

const SEMANTICS: [&str; 8] = [
    "auto",
    "counted",
    "prometheus-2.42",
    "prometheus-2.49",
    "prometheus-2.53",
    "prometheus-3.5",
    "prometheus-3.16",
    "prometheus-3.16+use-start-timestamps",
];

#[test]
fn answers_from_a_dataset_are_those_of_its_source() {
    let mut servers: Vec<PathBuf> = sources();
    servers.retain(|p| p.iter().any(|part| part == "servers"));
    let compare = |path: &PathBuf| -> Vec<Result<usize, String>> {
        let made = open(path, "auto");
        let dir = TempDir::new().unwrap();
        let written = converted(&made, &options(Layout::Compact), dir.path());
        let excepted = written.manifest.conflicting_samples > 0 || written.manifest.depends_on_release;
        SEMANTICS
            .iter()
            .map(|semantics| {
                let (source, dataset) = (open(path, semantics), open(dir.path(), semantics));
                let (a, b) = (documents(&source, semantics), documents(&dataset, semantics));
                match a.iter().zip(&b).find_map(|(a, b)| first_difference(a, b, "")) {
                    None => Ok(a.len()),
                    Some(_) if excepted => Ok(0),
                    Some(d) => Err(format!("{} under {semantics}: {d}", path.display())),
                }
            })
            .collect()
    };
    let results: Vec<_> = servers.par_iter().flat_map(compare).collect();
    let failures: Vec<&String> = results.iter().filter_map(|r| r.as_ref().err()).collect();
    println!("{} documents equal, {} differ", results.iter().flatten().sum::<usize>(), failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The recorded answers of a set's server, and the release that gave them.
#[test]
fn recorded_answers_come_out_of_datasets() {
    let (mut equal, mut differing, mut excepted) = (0, 0, 0);
    for (data, answers) in crate::servers::data_and_answers() {
        let semantics = format!(
            "prometheus-{}",
            promproof::promql::PromVersion::parse(read_json(&answers)["version"].as_str().unwrap()).unwrap()
        );
        let source = open(&data, &semantics);
        let dir = TempDir::new().unwrap();
        let written = converted(&source, &options(Layout::Compact), dir.path());
        let compared = crate::golden::compare(dir.path(), &answers);
        equal += compared.equal;
        // The parts of such a source contradict each other, and a server's choice depends on what it reads beside.
        if written.manifest.conflicting_samples > 0 {
            excepted += compared.differing.len();
        } else {
            differing += compared.differing.len();
            compared.differing.iter().take(3).for_each(|d| println!("{}: {d}", name(&answers)));
        }
    }
    println!("{equal} answers equal, {differing} differ, {excepted} differ where sources contradict themselves");
    assert!(equal > 0);
    assert_eq!(differing, 0);
}

fn shipped() -> PathBuf {
    fixtures().join("servers/live-3.16-xor2/data")
}

#[test]
fn equal_sources_give_equal_bytes() {
    let copy = TempDir::new().unwrap();
    copy_tree(&shipped(), &copy.path().join("elsewhere"));
    let make = |path: &Path, threads: usize, memory_limit: u64, layout: Layout| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let dir = TempDir::new().unwrap();
            converted(&open(path, "auto"), &Options { memory_limit, ..options(layout) }, dir.path());
            let strip = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(dir.path()).unwrap().to_owned(), bytes);
            tree(dir.path()).into_iter().map(strip).collect::<BTreeMap<_, _>>()
        })
    };
    for layout in [Layout::Simple, Layout::Compact] {
        let one = make(&shipped(), 1, 512 << 20, layout);
        assert!(one.len() >= 5);
        assert!(one == make(&shipped(), 4, 512 << 20, layout), "threads");
        assert!(one == make(&copy.path().join("elsewhere"), 3, 1 << 16, layout), "place and memory");
    }
}

#[test]
fn shards_are_one_source_and_a_missing_one_is_named() {
    let source = open(&shipped(), "auto");
    let whole = full_read(&source).0;
    let dir = TempDir::new().unwrap();
    let place = |i: u32| dir.path().join(format!("shard-{i:05}-of-00003"));
    for i in 0..3 {
        converted(&source, &Options { shard: Some((i, 3)), ..options(Layout::Compact) }, &place(i));
    }
    let (read, ledger) = full_read(&open(dir.path(), "auto"));
    assert_eq!(difference(&whole, &read), None);
    let before = ledger.losses.len();
    std::fs::remove_dir_all(place(1)).unwrap();
    let (read, ledger) = full_read(&open(dir.path(), "auto"));
    assert!(read.len() < whole.len());
    assert_eq!(ledger.losses.len(), before + 1);
    assert!(ledger.losses.iter().any(|l| l.file == "shard-00001-of-00003"), "{:?}", ledger.losses);
    // One of another conversion does not belong to it.
    converted(&source, &Options { shard: Some((1, 3)), ..options(Layout::Simple) }, &place(1));
    let refused = Source::open(dir.path(), &OpenOptions::default()).unwrap_err().to_string();
    assert!(refused.contains("different conversions"), "{refused}");
}

#[test]
fn what_was_not_converted_is_not_answered() {
    let dir = TempDir::new().unwrap();
    let (some, later) = (dir.path().join("some"), dir.path().join("later"));
    let source = p(&shipped());
    let only = r#"{__name__=~"up|recommend_.*|process_start_time_seconds"}"#;
    assert_eq!(status(&run(&["convert", &source, "-o", &p(&some), "--match", only, "-q"])), 0);
    let all = json(&run(&["availability", &source, "--hours", "1", "--format", "json"]));
    let part = run(&["availability", &p(&some), "--hours", "1", "--format", "json"]);
    assert_eq!(json(&part)["counted"], all["counted"], "what was converted is whole");
    let other = run(&["dump", &p(&some), "--match", "service_health_status"]);
    assert_eq!(status(&other), 3);
    assert!(text(&other.stderr).contains("was converted"), "{}", text(&other.stderr));
    let newest = all["evaluated_at_ms"].as_i64().unwrap();
    let from = promproof::time::rfc3339(newest - 1_800_000);
    assert_eq!(status(&run(&["convert", &source, "-o", &p(&later), "--start", &from, "-q"])), 0);
    let inside = run(&["dump", &p(&later), "--match", "up", "--start", &from]);
    assert_eq!((status(&inside), inside.stderr.len()), (0, 0), "{}", text(&inside.stderr));
    let before = run(&["availability", &p(&later), "--hours", "1"]);
    assert_eq!(status(&before), 3);
    assert!(text(&before.stdout).contains("were not converted"), "{}", text(&before.stdout));
}

#[test]
fn folders_of_others_stay_and_datasets_are_replaced_on_request() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let convert = |more: &[&str]| run(&[&["convert", &p(&shipped()), "-o", &p(&out), "-q"], more].concat());
    assert_eq!(status(&convert(&[])), 0);
    let first = tree(&out);
    assert_eq!(status(&convert(&[])), 2, "it exists");
    assert_eq!(status(&convert(&["--force", "--layout", "compact"])), 0);
    assert!(first != tree(&out));
    std::fs::remove_dir_all(&out).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "x").unwrap();
    let refused = convert(&["--force"]);
    assert_eq!(status(&refused), 2);
    assert!(text(&refused.stderr).contains("is not from this command"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
}

/// What a reader makes of a dataset: its samples, or why there are none; and whether something was said to be lost.
fn outcome(dir: &Path) -> (Result<Vec<LoadedSeries>, String>, bool) {
    match Source::open(dir, &OpenOptions::default()) {
        Err(e) => (Err(e.to_string()), true),
        Ok(source) => {
            let (series, ledger) = full_read(&source);
            (Ok(series), !ledger.losses.is_empty())
        }
    }
}

#[test]
fn altered_cut_and_deleted_files_are_noticed() {
    let made = TempDir::new().unwrap();
    let case = fixtures().join("encodings");
    let small: Vec<PathBuf> = fixture_sets("encodings").into_iter().filter(|c| c.starts_with(&case)).collect();
    let mut whole_dirs = Vec::new();
    for (i, case) in small.iter().enumerate() {
        let dir = made.path().join(i.to_string());
        let source = Source::open(&case.join("data"), &OpenOptions::default()).unwrap();
        if converted(&source, &options(Layout::Compact), &dir).ledger.losses.is_empty() {
            whole_dirs.push(dir);
        }
    }
    let (mut accidents, mut told) = (0, 0);
    let mut random = Random(7);
    for dir in &whole_dirs {
        let (whole, lost) = outcome(dir);
        let whole = whole.unwrap();
        assert!(!lost);
        for (file, content) in tree(dir) {
            let path = dir.join(&file);
            for accident in 0..14 {
                let mut bytes = content.clone();
                match accident {
                    0 => bytes.clear(),
                    1 => bytes.truncate(bytes.len() - 1),
                    2 => bytes.push(0),
                    3 => bytes.truncate(random.below(bytes.len())),
                    _ => {
                        let at = random.below(bytes.len());
                        bytes[at] ^= 1 << random.below(8);
                    }
                }
                std::fs::write(&path, &bytes).unwrap();
                let (found, lost) = outcome(dir);
                let same = found.as_ref().is_ok_and(|f| difference(&whole, f).is_none());
                assert!(same || lost, "{}: accident {accident} went unnoticed", path.display());
                accidents += 1;
                told += usize::from(lost);
                let verdict = run(&["check", &p(dir), "-q"]);
                assert_eq!(status(&verdict), 1, "{}: {}", path.display(), text(&verdict.stdout));
            }
            std::fs::remove_file(&path).unwrap();
            let (found, lost) = outcome(dir);
            assert!(lost || found.is_ok_and(|f| difference(&whole, &f).is_none()), "{}: deleted", path.display());
            std::fs::write(&path, &content).unwrap();
        }
        assert_eq!(status(&run(&["check", &p(dir), "-q"])), 0, "{}", dir.display());
    }
    println!("{} datasets, {accidents} accidents, {told} told when all is read", whole_dirs.len());
    assert!(accidents > 500);
}

#[test]
fn a_selector_and_times_convert_what_dump_prints() {
    let dir = TempDir::new().unwrap();
    let source = p(&shipped());
    let selector = r#"{__name__=~"recommend_requests_total|up",job="movie-recommender"}"#;
    Selector::parse(selector).unwrap();
    let all = json(&run(&["availability", &source, "--hours", "1", "--format", "json"]));
    let newest = all["evaluated_at_ms"].as_i64().unwrap();
    let (from, to) = (promproof::time::rfc3339(newest - 150_000), promproof::time::rfc3339(newest - 30_000));
    let times = ["--start", &from, "--end", &to];
    let direct = run(&[&["dump", &source, "--match", selector, "--format", "csv"], &times[..]].concat());
    let out = p(&dir.path().join("d"));
    let made = run(&[&["convert", &source, "-o", &out, "--match", selector, "-q"], &times[..]].concat());
    assert_eq!(status(&made), 0, "{}", text(&made.stderr));
    let read = run(&[&["dump", &out, "--match", selector, "--format", "csv"], &times[..]].concat());
    assert!(text(&direct.stdout).lines().count() > 200);
    assert!(text(&direct.stdout) == text(&read.stdout));
}

/// One column of every row of the Parquet files below a folder, as text.
fn column(dir: &Path, name: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap())
                .unwrap()
                .build()
                .unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let values = batch.column_by_name(name).unwrap();
            let formatter = arrow::util::display::ArrayFormatter::try_new(values, &Default::default()).unwrap();
            out.extend((0..values.len()).map(|row| formatter.value(row).to_string()));
        }
    }
    out
}

#[test]
fn the_union_view_has_every_sample_on_disk_with_its_origin() {
    let mut folders: Vec<PathBuf> = sources();
    folders.retain(|d| d.starts_with(fixtures()));
    let (mut rows, mut others) = (0, 0);
    for data in folders {
        let source = open(&data, "auto");
        let dir = TempDir::new().unwrap();
        let written = converted(&source, &Options { union: true, ..options(Layout::Simple) }, dir.path());
        let mut ledger = promproof::loss::Ledger::default();
        let found = promproof::samples::physical(&source, &[&[]], &|_| true, &mut ledger).unwrap();
        let parts = || found.iter().flat_map(|s| &s.parts);
        let floats: usize = parts().map(|p| p.run.floats.len()).sum();
        let histograms: usize = parts().map(|p| p.run.histograms.len()).sum();
        let m = &written.manifest;
        assert_eq!((m.float_samples, m.histogram_samples), (floats as u64, histograms as u64), "{}", data.display());
        let mut want: BTreeMap<String, usize> = BTreeMap::new();
        for p in parts() {
            let place = p.file.split('/').next().unwrap();
            *want.entry(format!("{place} {}", p.state)).or_default() += p.run.floats.len();
        }
        want.retain(|_, n| *n > 0);
        let mut got: BTreeMap<String, usize> = BTreeMap::new();
        for origin in column(&dir.path().join("samples"), "origin") {
            *got.entry(origin).or_default() += 1;
        }
        assert_eq!(got, want, "{}", data.display());
        rows += floats + histograms;
        others += got.iter().filter(|(origin, _)| !origin.ends_with(" stored")).map(|(_, n)| n).sum::<usize>();
        // No answer can rest on it.
        let refused = Source::open(dir.path(), &OpenOptions::default()).unwrap_err().to_string();
        assert!(refused.contains("without --view union"), "{refused}");
    }
    println!("{rows} samples on disk, {others} of them not stored");
    assert!(others > 100);
}

/// Values of all kinds: integers, decimals, noise, repetitions, and every odd bit pattern.
fn values(kind: usize, random: &mut Random, count: usize) -> Vec<u64> {
    let odd =
        [0x7ff0_0000_0000_0002u64, 0x7ff8_0000_0000_0001, 0xfff8_dead_beef_0000, 1 << 63, 0x7ff << 52, 0xfff << 52, 1];
    let mut counter = random.below(1 << 20) as f64;
    (0..count)
        .map(|_| {
            counter += random.below(1000) as f64;
            match kind {
                0 => counter.to_bits(),
                1 => (random.below(100_000) as f64 / 1000.0).to_bits(),
                2 => random.bits(),
                3 => 5.0f64.to_bits(),
                4 if random.once_in(3) => odd[random.below(odd.len())],
                4 => (counter / 10.0).to_bits(),
                5 => ((1u64 << (40 + random.below(24))) as f64 - random.below(3) as f64).to_bits(),
                _ => odd[random.below(odd.len())],
            }
        })
        .collect()
}

#[test]
fn every_bit_pattern_and_time_comes_back_in_both_layouts() {
    use promproof::dataset::{SampleEncoder, SampleRows, SampleWriter};
    use promproof::sample::{Samples, is_stale};
    let mut rows_read = 0;
    for seed in 0..60 {
        let mut random = Random(seed);
        for layout in [Layout::Simple, Layout::Compact] {
            let dir = TempDir::new().unwrap();
            std::fs::create_dir(dir.path().join("samples")).unwrap();
            let mut writer = SampleWriter::create(dir.path(), "samples/part-00000.parquet".to_owned()).unwrap();
            let mut encoder = SampleEncoder::new(layout).unwrap();
            let mut want: Vec<[String; 4]> = Vec::new();
            let mut series = 0;
            for _ in 0..1 + random.below(2) {
                let mut rows = SampleRows::default();
                for _ in 0..1 + random.below(6) {
                    series += 1 + random.below(3) as i64;
                    let count = [1, 2, 33, 128, 129, 130, 700, 21_000][random.below(8)];
                    let bits = values(random.below(7), &mut random, count);
                    let mut t = if random.once_in(8) { i64::MIN / 2 } else { 1_700_000_000_000 };
                    let ts: Vec<i64> = (0..count)
                        .map(|_| {
                            t += if random.once_in(50) { random.bits() as i64 >> 20 & 0xfff_ffff_ffff } else { 15_000 };
                            t
                        })
                        .collect();
                    let starts: Vec<i64> = match random.below(3) {
                        0 => ts.iter().map(|t| if random.once_in(2) { 0 } else { t - 7 }).collect(),
                        _ => Vec::new(),
                    };
                    let samples = Samples { ts, bits, starts };
                    for i in 0..samples.len() {
                        let (t, bits) = (samples.ts[i], samples.bits[i]);
                        let value = if is_stale(bits) { "stale".to_owned() } else { format!("{bits:016x}") };
                        want.push([series.to_string(), t.to_string(), value, samples.start(i).to_string()]);
                    }
                    rows.push(series, &samples, 0..samples.len());
                }
                writer.append(encoder.encode(&rows).unwrap()).unwrap();
            }
            let entry = writer.finish("0").unwrap();
            assert_eq!(entry.rows as usize, want.len());
            let got = raw_rows(&dir.path().join(entry.path));
            let differs = want.iter().zip(&got).position(|(a, b)| a != b);
            assert!(
                want.len() == got.len() && differs.is_none(),
                "seed {seed}, {layout:?}: {:?}",
                differs.map(|i| (&want[i], &got[i]))
            );
            rows_read += got.len();
        }
    }
    println!("{rows_read} rows");
}

/// Series, time, value and start of every row, as another reader than ours sees them.
fn raw_rows(file: &Path) -> Vec<[String; 4]> {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
    let builder =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap());
    let mut out = Vec::new();
    for batch in builder.unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let of = |name: &str| batch.column_by_name(name).unwrap().clone();
        let (ids, ts, stale) = (of("series_id"), of("ts"), of("stale"));
        let (value, integer, div, start) = (of("value"), of("value_int"), of("div"), of("start_ts"));
        for row in 0..batch.num_rows() {
            let value = match (stale.as_boolean().value(row), value.is_null(row)) {
                (true, null) => {
                    assert!(null && integer.is_null(row));
                    "stale".to_owned()
                }
                (false, false) => format!("{:016x}", value.as_primitive::<Float64Type>().value(row).to_bits()),
                (false, true) => {
                    let integer = integer.as_primitive::<Int64Type>().value(row) as f64;
                    format!("{:016x}", (integer / div.as_primitive::<Float64Type>().value(row)).to_bits())
                }
            };
            let start = start.as_primitive::<TimestampMillisecondType>();
            let time = ts.as_primitive::<TimestampMillisecondType>().value(row).to_string();
            let start = if start.is_null(row) { 0 } else { start.value(row) };
            out.push([ids.as_primitive::<Int64Type>().value(row).to_string(), time, value, start.to_string()]);
        }
    }
    out
}

/// A conversion waits for the source's digests where a file ends; they once waited for the same threads.
#[test]
fn conversions_on_every_thread_of_a_pool_do_not_wait_for_each_other() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let sizes: Vec<u64> = pool.install(|| {
        (0..8)
            .into_par_iter()
            .map(|_| {
                let dir = TempDir::new().unwrap();
                converted(&open(&shipped(), "auto"), &options(Layout::Compact), dir.path()).bytes
            })
            .collect()
    });
    assert!(sizes.iter().all(|s| *s == sizes[0] && *s > 0));
}

#[test]
fn forged_datasets_neither_panic_nor_take_memory_out_of_proportion() {
    let made = TempDir::new().unwrap();
    let case = fixtures().join("encodings");
    let small = fixture_sets("encodings").into_iter().filter(|c| c.starts_with(&case));
    let (mut forgeries, mut refused, mut random) = (0, 0, Random(11));
    for (i, case) in small.enumerate() {
        let dir = made.path().join(i.to_string());
        let source = Source::open(&case.join("data"), &OpenOptions::default()).unwrap();
        converted(&source, &options(if i % 2 == 0 { Layout::Compact } else { Layout::Simple }), &dir);
        let manifest = Manifest::read(&dir).unwrap();
        let whole = tree(&dir);
        for entry in &manifest.files {
            let content = &whole[&dir.join(&entry.path)];
            for _ in 0..40 {
                let mut bytes = content.clone();
                // Mostly in the footer, where sizes and counts are.
                let from = if random.below(3) == 0 { 4 } else { entry.footer.as_ref().unwrap().from as usize };
                for _ in 0..1 + random.below(3) {
                    let at = from + random.below(bytes.len() - from);
                    bytes[at] = random.below(256) as u8;
                }
                std::fs::write(dir.join(&entry.path), &bytes).unwrap();
                reseal(&dir, &manifest);
                forgeries += 1;
                let (found, lost) = outcome(&dir);
                refused += usize::from(lost || found.is_err());
            }
            std::fs::write(dir.join(&entry.path), content).unwrap();
        }
    }
    println!("{forgeries} forgeries, {refused} refused");
    assert!(refused > forgeries / 4 && forgeries > 800, "{refused} of {forgeries}");
}

#[test]
fn force_removes_nothing_that_convert_did_not_write() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let convert = || run(&["convert", &p(&shipped()), "-o", &p(&out), "-q", "--force"]);
    let refused = |file: &str| {
        let output = convert();
        assert_eq!(status(&output), 2, "{file}");
        assert!(text(&output.stderr).contains(&format!("{file} in it is not from this command")), "{file}");
        assert!(out.join(file).is_file(), "{file}");
    };
    // A folder of somebody's with names as a dataset has them.
    std::fs::create_dir_all(out.join("samples")).unwrap();
    std::fs::write(out.join("samples/data.csv"), "precious").unwrap();
    refused("samples/data.csv");
    std::fs::remove_dir_all(&out).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("manifest.json"), r#"[{"file": "a.prom"}]"#).unwrap();
    refused("manifest.json");
    std::fs::remove_dir_all(&out).unwrap();
    // A dataset, and a file of somebody's in it.
    assert_eq!(status(&convert()), 0);
    assert_eq!(status(&convert()), 0);
    std::fs::create_dir(out.join("samples/date=2025-01-01")).unwrap();
    std::fs::write(out.join("samples/date=2025-01-01/mine.parquet"), "precious").unwrap();
    refused("samples/date=2025-01-01/mine.parquet");
}

#[test]
fn check_names_missing_shards_and_shards_of_other_conversions() {
    let dir = TempDir::new().unwrap();
    let out = p(&dir.path().join("d"));
    for shard in ["0/3", "1/3", "2/3"] {
        assert_eq!(status(&run(&["convert", &p(&shipped()), "-o", &out, "-q", "--shard", shard])), 0);
    }
    assert_eq!(status(&run(&["check", &out])), 0);
    let taken = dir.path().join("taken");
    std::fs::rename(Path::new(&out).join("shard-00001-of-00003"), &taken).unwrap();
    let verdict = run(&["check", &out]);
    assert_eq!(status(&verdict), 1);
    assert!(text(&verdict.stdout).contains("shard-00001-of-00003"), "{}", text(&verdict.stdout));
    let other = p(&dir.path().join("other"));
    let compact = ["convert", &p(&shipped()), "-o", &other, "-q", "--shard", "1/3", "--layout", "compact"];
    assert_eq!(status(&run(&compact)), 0);
    let place = Path::new(&out).join("shard-00001-of-00003");
    std::fs::rename(Path::new(&other).join("shard-00001-of-00003"), place).unwrap();
    let verdict = run(&["check", &out]);
    assert_eq!(status(&verdict), 1);
    assert!(text(&verdict.stdout).contains("different conversions"), "{}", text(&verdict.stdout));
}

#[test]
fn pieces_of_time_are_one_source() {
    let dir = TempDir::new().unwrap();
    let source = p(&shipped());
    let grade = |sources: &[&str]| {
        let mut document =
            json(&run(&[&["availability", "--window", "5m", "--format", "json", "--merge"], sources].concat()));
        for key in ["source", "notes", "command"] {
            document.as_object_mut().unwrap().remove(key);
        }
        document
    };
    let newest = grade(&[&source])["evaluated_at_ms"].as_i64().unwrap();
    let at = |back: i64| promproof::time::rfc3339(newest - back);
    let [first, second, gone] = ["first", "second", "gone"].map(|n| p(&dir.path().join(n)));
    let piece = |out: &str, times: &[&str]| run(&[&["convert", &source, "-o", out, "-q"], times].concat());
    assert_eq!(status(&piece(&first, &["--end", &at(120_001)])), 0);
    assert_eq!(status(&piece(&second, &["--start", &at(120_000)])), 0);
    assert_eq!(grade(&[&source]), grade(&[&first, &second]));
    // Put together again they are the whole.
    let whole = p(&dir.path().join("whole"));
    assert_eq!(status(&run(&["convert", &first, &second, "--merge", "-o", &whole, "-q"])), 0);
    let dump = |source: &str| run(&["dump", source, "--format", "csv"]).stdout;
    assert!(dump(&source) == dump(&whole));
    // A gap between two pieces is a gap.
    assert_eq!(status(&piece(&gone, &["--start", &at(60_000)])), 0);
    let gap = run(&["availability", &first, &gone, "--merge", "--window", "5m"]);
    assert_eq!(status(&gap), 3);
    assert!(text(&gap.stdout).contains("these times were not converted"), "{}", text(&gap.stdout));
}

#[test]
fn a_conversion_of_nothing_says_so() {
    let dir = TempDir::new().unwrap();
    let source = p(&shipped());
    let convert = |from: &str, name: &str, more: &[&str]| {
        run(&[&["convert", from, "-o", &p(&dir.path().join(name))], more].concat())
    };
    let none = convert(&source, "a", &["--match", "recommend_request_total"]);
    assert_eq!(status(&none), 3);
    assert!(
        text(&none.stderr).contains("the nearest metric names are recommend_requests_total"),
        "{}",
        text(&none.stderr)
    );
    let late = convert(&source, "b", &["--start", "2100-01-01T00:00:00Z"]);
    assert_eq!(status(&late), 3);
    assert!(text(&late.stderr).contains("the data cover"), "{}", text(&late.stderr));
    // A dataset that holds a part, asked for more.
    assert_eq!(status(&convert(&source, "part", &["--match", "recommend_requests_total"])), 0);
    let part = p(&dir.path().join("part"));
    let beyond = convert(&part, "c", &["--match", "{job=~\".+\"}"]);
    assert_eq!(status(&beyond), 3);
    assert!(text(&beyond.stderr).contains("not in the source"), "{}", text(&beyond.stderr));
    assert_eq!(status(&convert(&part, "d", &["--match", "recommend_requests_total{status=\"200\"}"])), 0);
}

#[test]
fn lost_samples_are_a_number_only_where_they_were_counted() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    copy_tree(&fixtures().join("damage/data"), &data);
    let manifest = |name: &str| {
        let out = dir.path().join(name);
        let made = run(&["convert", &p(&data), "-o", &p(&out), "-q"]);
        (status(&made), Manifest::read(&out).unwrap())
    };
    let (code, whole) = manifest("whole");
    assert_eq!((code, whole.lost_samples), (0, Some(0)));
    let segment =
        std::fs::read_dir(&data).unwrap().map(|e| e.unwrap().path().join("chunks/000001")).find(|p| p.is_file());
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let (code, damaged) = manifest("damaged");
    assert_eq!((code, damaged.lost_samples), (3, None));
    assert!(damaged.float_samples < whole.float_samples && !damaged.losses.is_empty());
}

#[cfg(unix)]
#[test]
fn a_file_size_limit_and_an_interrupt_leave_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let script = |limit: &str| {
        format!("{limit} exec {} convert {} -o {}", env!("CARGO_BIN_EXE_promproof"), p(&shipped()), p(&out))
    };
    let limited = std::process::Command::new("sh").args(["-c", &script("ulimit -f 8;")]).output().unwrap();
    assert_eq!(limited.status.code(), Some(2), "{}", text(&limited.stderr));
    assert!(text(&limited.stderr).contains("write it"), "{}", text(&limited.stderr));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // Interrupted at any time, the folder is whole or not there.
    for wait in (0..60).map(|n| n / 2) {
        let mut child = std::process::Command::new("sh")
            .args(["-c", &script("")])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        child.wait().unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.iter().all(|l| *l == out), "{left:?}");
        if out.exists() {
            assert_eq!(status(&run(&["check", &p(&out), "-q"])), 0);
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
}
