//! Text dumps as SOURCEs: what files become, which times they get, and the same answers as the data that they were printed from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use promproof::dumps::{Answers, DumpOptions, Glob, LabelRules, TimeRule};
use promproof::error::ErrorKind;
use promproof::sample::{STALE_NAN_BITS, is_stale};
use promproof::scrape::NAN_BITS;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use promproof::version::PromVersion;
use tempfile::TempDir;

use crate::cli::{copy_tree, json, p, run, status, text};
use crate::expected::full_read;
use crate::support::fixtures;

const T0: i64 = 1_763_553_600_000;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        write(dir.path(), name, text.as_bytes());
    }
    dir
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn options(dumps: DumpOptions) -> OpenOptions {
    OpenOptions { dumps, ..OpenOptions::default() }
}

fn open(path: &Path) -> Source {
    Source::open(path, &OpenOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn refusal(path: &Path, dumps: DumpOptions) -> String {
    match Source::open(path, &options(dumps)) {
        Ok(_) => panic!("it was opened"),
        Err(e) => e.to_string(),
    }
}

/// Each series with `time:value` of its samples, the time in seconds behind T0, a stale marker as `stale`.
fn told(source: &Source) -> Vec<String> {
    let (series, _) = full_read(source);
    let sample = |(t, bits): (i64, u64)| {
        let value = if is_stale(bits) { "stale".to_owned() } else { f64::from_bits(bits).to_string() };
        format!(" {}:{value}", (t - T0) as f64 / 1000.0)
    };
    series.iter().map(|s| s.labels.to_string() + &s.samples.iter().map(sample).collect::<String>()).collect()
}

fn losses(source: &Source) -> Vec<String> {
    full_read(source).1.losses.iter().map(|l| l.to_line()).collect()
}

fn notes(source: &Source) -> String {
    full_read(source).1.notes.join("\n")
}

#[test]
fn scrapes_become_series_with_stale_markers_between() {
    let dir = folder(&[
        ("20251119T120000Z.prom", "a 1\nb{x=\"y\"} 2\nown 3 1763553590000\n"),
        ("20251119T120100Z.prom", "a 2\nown 3 1763553590000\n"),
        ("20251119T120200Z.prom", "a 3\nb{x=\"y\"} 1\n"),
        ("README.md", "These are dumps of our service.\n"),
    ]);
    let source = open(dir.path());
    assert_eq!(told(&source), ["a 0:1 60:2 120:3", "b{x=\"y\"} 0:2 60:stale 120:1", "own -10:3"]);
    assert_eq!(losses(&source), Vec::<String>::new());
    let notes = notes(&source);
    assert!(notes.contains("the times of 3 files are from file names: 2025-11-19T12:00:00Z to 2025-11-19T12:02:00Z"));
    assert!(notes.contains("README.md: text that no form of a dump explains; left out"), "{notes}");
}

#[test]
fn times_come_in_their_order_and_none_is_guessed() {
    let manifest = "{\"file\": \"a.prom\", \"time\": \"2025-11-19T12:00:00Z\", \"labels\": {\"instance\": \"i\"}}\n\
                    {\"file\": \"1763553660.prom\", \"time\": 1763553720}\n";
    let files = [("a.prom", "a 1\n"), ("1763553660.prom", "a 2\n"), ("manifest.json", manifest)];
    let dir = folder(&files);
    assert_eq!(told(&open(dir.path())), ["a 120:2", "a{instance=\"i\"} 0:1"]);
    let by_name = options(DumpOptions { time_from: Some(TimeRule::Name), ..DumpOptions::default() });
    assert_eq!(told(&Source::open(dir.path(), &by_name).unwrap()), ["a 60:2", "a{instance=\"i\"} 0:1"]);
    // A fixed time is for all files, and these two are of different targets.
    let fixed = options(DumpOptions { time_from: Some(TimeRule::Fixed(T0 + 5000)), ..DumpOptions::default() });
    assert_eq!(told(&Source::open(dir.path(), &fixed).unwrap()), ["a 5:2", "a{instance=\"i\"} 5:1"]);

    let dir = folder(&[("metrics.prom", "a 1\n")]);
    let error = refusal(dir.path(), DumpOptions::default());
    assert!(error.contains("metrics.prom: line 1: a has no timestamp"), "{error}");
    assert!(error.contains("--time-from"), "{error}");
    let file = std::fs::File::options().write(true).open(dir.path().join("metrics.prom")).unwrap();
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_millis((T0 + 250) as u64);
    file.set_modified(written).unwrap();
    let mtime = options(DumpOptions { time_from: Some(TimeRule::Mtime), ..DumpOptions::default() });
    let source = Source::open(dir.path(), &mtime).unwrap();
    assert_eq!(told(&source), ["a 0.25:1"]);
    assert!(notes(&source).contains("from modification times"));

    let dir = folder(&[("1763553600-1763553660.prom", "a 1\n")]);
    assert!(refusal(dir.path(), DumpOptions::default()).contains("several times"));
    let dir =
        folder(&[("1763553600.prom", "a 1\n"), ("manifest.json", "[{\"file\": \"b.prom\", \"time\": 1763553600}]")]);
    assert!(losses(&open(dir.path()))[0].contains("b.prom: manifest.json names it, and it is not there"));
    let dir = folder(&[("1763553600.prom", "a 1\n"), ("manifest.json", "[{\"name\": \"b.prom\"}]")]);
    assert!(
        refusal(dir.path(), DumpOptions::default()).contains("manifest.json: this manifest of dumps cannot be used")
    );
}

#[test]
fn several_expositions_in_a_file() {
    let dir = folder(&[(
        "all.txt",
        "# scrape 2025-11-19T12:00:00Z\na 1\nb 1\n# scrape 1763553660\na 2\n# EOF\n# scrape 1763553720\na 3\nb 2\n",
    )]);
    assert_eq!(told(&open(dir.path())), ["a 0:1 60:2 120:3", "b 0:1 60:stale 120:2"]);
    // Behind the end of an exposition the file's time counts again, and here there is none.
    let dir = folder(&[("all.txt", "# scrape 1763553600\na 1\n# EOF\na 2\n# EOF\n")]);
    assert!(refusal(dir.path(), DumpOptions::default()).contains("line 4: a has no timestamp"));
    for text in ["a 1\nb 2\na 3\n", "a 1\n# EOF\na 2\n# EOF\n"] {
        let dir = folder(&[("1763553600.prom", text)]);
        let error = refusal(dir.path(), DumpOptions::default());
        assert!(error.contains("line 3 repeats a without a timestamp") && error.contains("# scrape <time>"), "{error}");
    }
    // Two targets behind each other.
    let dir = folder(&[("1763553600.om", "a 1\n# EOF\nb 2\n# EOF\n")]);
    assert_eq!(told(&open(dir.path())), ["a 0:1", "b 0:2"]);
}

#[test]
fn the_same_moment_twice_is_refused() {
    let mut files = Vec::new();
    for minute in 0..5 {
        for (ending, second) in [("prom", "00.100"), ("om", "00.104")] {
            let text = if ending == "om" { "a 1\n# EOF\n" } else { "a 1\n" };
            files.push((format!("api/20251119T120{minute}{second}Z.{ending}"), text));
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), *t)).collect();
    let dir = folder(&files);
    let error = refusal(dir.path(), DumpOptions::default());
    assert!(error.contains("a is in api/20251119T120000.1") && error.contains("--include '*.om'"), "{error}");
    let include = Some(Glob::parse("--include", "*.om").unwrap());
    let only = options(DumpOptions { include, ..DumpOptions::default() });
    assert_eq!(told(&Source::open(dir.path(), &only).unwrap()).len(), 1);

    // Two targets in one folder, whose names differ in the time alone.
    let names: Vec<String> = (0..6).map(|n| format!("{}.prom", 1_763_553_600 + n / 2 * 60 + n % 2)).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "a 1\n")).collect();
    let dir = folder(&files);
    let error = refusal(dir.path(), DumpOptions::default());
    assert!(error.contains("1s apart, while most dumps are 59s apart"), "{error}");
    let close = options(DumpOptions { interval_ms: Some(1000), ..DumpOptions::default() });
    assert_eq!(told(&Source::open(dir.path(), &close).unwrap()), ["a 0:1 1:1 60:1 61:1 120:1 121:1"]);

    // Two targets that are told apart by nothing, half a minute apart.
    let files = [("x/1763553600.prom", "a 1\n"), ("y/1763553630.prom", "a 9\n"), ("x/1763553660.prom", "a 2\n")];
    let dir = folder(&files);
    assert!(refusal(dir.path(), DumpOptions::default()).contains("whose files cover the same time"));
    let mut labels = LabelRules::default();
    labels.add_from_path("(?P<instance>[^/]+)/").unwrap();
    labels.add_fixed("x/*:job=j").unwrap();
    let labelled = options(DumpOptions { labels, ..DumpOptions::default() });
    let told = told(&Source::open(dir.path(), &labelled).unwrap());
    assert_eq!(told, ["a{instance=\"x\", job=\"j\"} 0:1 60:2", "a{instance=\"y\"} 30:9"]);
}

#[test]
fn up_is_added_where_it_is_asked_for() {
    let dir = folder(&[
        ("1763553600.prom", "a 1\n"),
        ("1763553660.prom", "a 2\nb x\n"),
        ("1763553720.prom", ""),
        ("1763553780.prom", "a 3\n"),
    ]);
    assert_eq!(told(&open(dir.path())), ["a 0:1 60:2 120:stale 180:3"]);
    let assumed = options(DumpOptions { assume_up: true, ..DumpOptions::default() });
    // A damaged dump was no successful scrape, and an empty file may be what a failed client left.
    let source = Source::open(dir.path(), &assumed).unwrap();
    assert_eq!(told(&source), ["a 0:1 60:2 120:stale 180:3", "up 0:1 180:1"]);
    assert!(losses(&source)[0].starts_with("1763553660.prom at byte 6: line 2, column 3: expected a number"));
}

#[test]
fn a_damaged_dump_proves_no_absence() {
    let dir =
        folder(&[("1763553600.prom", "a 1\nb 1\n"), ("1763553660.prom", "a 2\nb x\n"), ("1763553720.prom", "a 3\n")]);
    assert_eq!(told(&open(dir.path())), ["a 0:1 60:2 120:3", "b 0:1 120:stale"]);
}

#[test]
fn compressed_and_archived_dumps_are_the_same() {
    let texts = [("1763553600.prom", "a 1\nb 1\n"), ("1763553660.prom", "a 2\n")];
    let plain = folder(&texts);
    let want = told(&open(plain.path()));
    let packed = TempDir::new().unwrap();
    write(packed.path(), "d/1763553600.prom.gz", &gzip(texts[0].1));
    write(packed.path(), "d/1763553660.prom.zst", &zstd::encode_all(texts[1].1.as_bytes(), 3).unwrap());
    assert_eq!(told(&open(packed.path())), want);
    // A single file, by itself and compressed.
    assert_eq!(told(&open(&plain.path().join("1763553660.prom"))), ["a 60:2"]);
    assert_eq!(told(&open(&packed.path().join("d/1763553660.prom.zst"))), ["a 60:2"]);
    // A tar of the folder.
    let tar = packed.path().join("all.tar");
    let mut builder = tar::Builder::new(std::fs::File::create(&tar).unwrap());
    builder.append_dir_all("d", packed.path().join("d")).unwrap();
    builder.finish().unwrap();
    assert_eq!(told(&open(&tar)), want);
    let mtime = DumpOptions { time_from: Some(TimeRule::Mtime), ..DumpOptions::default() };
    assert!(refusal(&tar, mtime).contains("--time-from mtime"));
}

#[test]
fn odd_files_have_their_outcome() {
    let long: String = (0..20_000).map(|n| format!("metric_number_{n} {n}\n")).collect();
    let packed = gzip(&long);
    let dir = TempDir::new().unwrap();
    write(dir.path(), "1763553600.prom.gz", &packed[..packed.len() / 2]);
    write(dir.path(), "1763553660.prom", b"\xef\xbb\xbfcrlf 1\r\n# x\r\nalso 2\r\n");
    write(dir.path(), "1763553720.om", b"# TYPE r counter\nr_total 1\n");
    write(dir.path(), "1763553780.prom", b"last 1\nunterminated 2");
    write(dir.path(), "1763553840.prom", b"<html>502 Bad Gateway</html>\n");
    write(dir.path(), "1763553900.prom", b"a\0 \x001\0\n\0");
    write(dir.path(), "notes.json", b"{\"status\": 1}");
    let source = open(dir.path());
    let (series, ledger) = full_read(&source);
    let lines: Vec<String> = ledger.losses.iter().map(|l| l.to_line()).collect();
    let has = |text: &str| lines.iter().any(|l| l.contains(text));
    assert!(has("1763553600.prom.gz at byte") && has("the rest cannot be read"), "{lines:#?}");
    assert!(has("1763553720.om at byte 27") && has("`# EOF` at the end"), "{lines:#?}");
    assert!(has("1763553780.prom at byte 21") && has("a line break at the end of the file"), "{lines:#?}");
    assert!(has("1763553840.prom: a dump was expected by the file's name"), "{lines:#?}");
    assert!(has("1763553900.prom: a dump was expected") && has("UTF-16"), "{lines:#?}");
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(ledger.losses.iter().all(|l| l.interval.is_some()));
    let names: Vec<String> = series.iter().map(|s| s.labels.get_text("__name__")).collect();
    assert!(names.contains(&"last".to_owned()) && !names.contains(&"unterminated".to_owned()));
    assert!(names.iter().filter(|n| n.starts_with("metric_number_")).count() > 1000);
    let notes = ledger.notes.join("\n");
    assert!(notes.contains("byte order mark") && notes.contains("notes.json: JSON that is no answer"), "{notes}");

    let dir = folder(&[("a.txt", "prose\nand more\n")]);
    assert!(refusal(dir.path(), DumpOptions::default()).contains("no Prometheus data found"));
}

#[test]
fn many_faults_are_counted_and_the_first_ones_located() {
    let text: String = (0..1500).map(|n| format!("good{n} 1\nbad {n} x\n")).collect();
    let dir = folder(&[("1763553600.prom", &text)]);
    let (series, ledger) = full_read(&open(dir.path()));
    assert_eq!((series.len(), ledger.losses.len()), (1500, 1001));
    assert_eq!(ledger.losses.iter().filter_map(|l| l.samples).sum::<u64>(), 1500);
}

#[test]
fn bounds_are_stored_as_the_release_does() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
    let dir = folder(&[("1763553600.prom", text)]);
    let bucket = |source: &Source| told(source).into_iter().find(|s| s.contains("le=\"1")).unwrap();
    let newest = open(dir.path());
    assert_eq!(bucket(&newest), "h_bucket{le=\"1.0\"} 0:1");
    assert!(newest.depends_on_release());
    let old = newest.follow(PromVersion::new(2, 53), &[]).unwrap();
    assert_eq!(bucket(&old), "h_bucket{le=\"1\"} 0:1");
    assert_eq!(bucket(&old.follow(PromVersion::new(3, 5), &[]).unwrap()), "h_bucket{le=\"1.0\"} 0:1");
}

#[test]
fn creation_times_and_metadata_are_kept() {
    let text = "# HELP r What was asked.\n# TYPE r counter\nr_total{a=\"b\"} 5\nr_created{a=\"b\"} 1763553590.5\n\
                # TYPE g gauge\ng 1\n# EOF\n";
    let dir = folder(&[("1763553600.om", text)]);
    let source = open(dir.path());
    let (series, _) = full_read(&source);
    let of = |name: &str| series.iter().find(|s| s.labels.get_text("__name__") == name).unwrap();
    assert_eq!(of("r_total").samples.start(0), T0 - 9500);
    assert_eq!((of("g").samples.start(0), of("r_created").samples.start(0)), (0, 0));
    let kept = source.dumps[0].dumps.series.iter().find(|s| s.labels.get_text("__name__") == "r_total").unwrap();
    assert_eq!(kept.metadata.as_deref(), Some(&["counter", "", "What was asked."].map(str::to_owned)));
}

#[test]
fn answers_are_raw_samples_or_evaluations() {
    let answer = |kind: &str, result: &str| {
        format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[{result}]}}}}")
    };
    let series = |name: &str, times: &[f64]| {
        let values: Vec<String> = times.iter().map(|t| format!("[{t},\"{t}\"]")).collect();
        format!("{{\"metric\":{{\"__name__\":\"{name}\"}},\"values\":[{}]}}", values.join(","))
    };
    let raw = answer("matrix", &[series("a", &[1.5, 16.5]), series("b", &[2.0, 17.0])].join(","));
    let dir = folder(&[("query.json", &raw)]);
    let source = open(dir.path());
    assert!(!source.dumps[0].dumps.evaluated);
    assert_eq!(full_read(&source).0.len(), 2);

    let even = answer("matrix", &[series("a", &[1.0, 16.0, 31.0]), series("b", &[16.0, 31.0])].join(","));
    let dir = folder(&[("range.json", &even)]);
    let source = open(dir.path());
    assert!(source.dumps[0].dumps.evaluated);
    assert!(notes(&source).contains("range.json: these look like evaluations at even steps (query_range)"));
    let told = options(DumpOptions { answers: Answers::Raw, ..DumpOptions::default() });
    assert!(!Source::open(dir.path(), &told).unwrap().dumps[0].dumps.evaluated);

    let dir = folder(&[("error.json", "{\"status\":\"error\",\"resultType\":\"\",\"error\":\"too many samples\"}")]);
    assert!(losses(&open(dir.path()))[0].contains("error.json: the server answered with an error: too many samples"));
}

#[test]
fn evaluations_are_graded_without_coverage() {
    let total = |status: &str, per: f64| {
        let values: Vec<String> =
            (0..120).map(|n| format!("[{},\"{}\"]", 1_763_550_000 + n * 30, f64::from(n) * per)).collect();
        format!(
            "{{\"metric\":{{\"__name__\":\"recommend_requests_total\",\"status\":\"{status}\"}},\"values\":[{}]}}",
            values.join(",")
        )
    };
    let document = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{},{}]}}}}",
        total("200", 9.0),
        total("500", 1.0)
    );
    let dir = folder(&[("query_range.json", &document)]);
    let args = |more: &[&str]| {
        let path = p(dir.path());
        let mut args = vec!["availability", &path, "--window", "30m", "--format", "json", "--semantics", "counted"];
        args.extend(more);
        run(&args)
    };
    let graded = args(&[]);
    assert_eq!(status(&graded), 3, "{}", text(&graded.stderr));
    assert_eq!(json(&graded)["coverage"]["ratio"], 0.0);
    assert!(text(&graded.stdout).contains("coverage is unknown"));
    assert_eq!(status(&args(&["--verdict", "observed"])), 0);
    let raw = args(&["--answers", "raw"]);
    assert_eq!((status(&raw), json(&raw)["coverage"]["ratio"].as_f64()), (0, Some(1.0)));
}

/// What promtool printed of blocks has their samples; a stale marker reads like any other NaN.
#[test]
fn a_dump_of_blocks_has_their_samples() {
    let mut blocks = BTreeMap::new();
    let (first, last) = (1_763_479_000_000, 1_763_494_000_000);
    let source = open(&fixtures().join("servers/backfill-6d/snapshot"));
    for s in full_read(&source).0 {
        let inside = s.samples.lower_bound(first)..s.samples.upper_bound(last);
        let samples: Vec<(i64, u64)> = s.samples.slice(inside).iter().collect();
        if !samples.is_empty() {
            blocks.insert(s.labels.clone(), samples);
        }
    }
    for file in ["dump.txt.zst", "dump.om.zst"] {
        let source = open(&fixtures().join("dumps").join(file));
        assert_eq!(losses(&source), Vec::<String>::new());
        let read: BTreeMap<_, Vec<(i64, u64)>> =
            full_read(&source).0.into_iter().map(|s| (s.labels, s.samples.iter().collect())).collect();
        assert_eq!(read.len(), blocks.len());
        for (labels, want) in &blocks {
            let want: Vec<(i64, u64)> =
                want.iter().map(|(t, b)| (*t, if f64::from_bits(*b).is_nan() { NAN_BITS } else { *b })).collect();
            assert_eq!(read.get(labels), Some(&want), "{file}: {labels}");
        }
        let samples: usize = read.values().map(Vec::len).sum();
        println!("{file}: {} series, {samples} samples", read.len());
    }
}

/// The answer about a window inside the dump, without what names the source.
fn answer(command: &str, path: &Path, more: &[&str]) -> serde_json::Value {
    let path = p(path);
    let mut args = vec![command, &path, "--format", "json"];
    args.extend(more);
    let output = run(&args);
    assert!(matches!(status(&output), 0 | 1 | 3), "{}", text(&output.stderr));
    let mut document = json(&output);
    let of = document.as_object_mut().unwrap();
    of.shift_remove("source").unwrap();
    // Times of samples that the dump does not reach back to.
    of.shift_remove("series");
    document
}

#[test]
fn a_dump_grades_like_its_blocks() {
    let dump = fixtures().join("dumps/dump.txt.zst");
    let blocks = fixtures().join("servers/backfill-6d/snapshot");
    for semantics in ["prometheus-3.16", "prometheus-2.42", "counted"] {
        let window = ["--start", "1763480400", "--end", "1763490600", "--semantics", semantics];
        for command in ["availability", "model-updates"] {
            let (of_dump, of_blocks) = (answer(command, &dump, &window), answer(command, &blocks, &window));
            assert!(of_dump == of_blocks, "{command} {semantics}:\n{of_dump}\n{of_blocks}");
        }
    }
}

#[test]
fn what_promproof_prints_it_reads_again() {
    let data = fixtures().join("servers/live-2.53/snapshot");
    let printed = run(&["dump", &p(&data), "--match", "{__name__=~\"recommend_.*|up\"}"]);
    assert!(matches!(status(&printed), 0 | 3));
    let dir = TempDir::new().unwrap();
    write(dir.path(), "dump.txt", &printed.stdout);
    let again = run(&["dump", &p(dir.path()), "--match", "{__name__=~\".+\"}"]);
    assert_eq!(status(&again), 0, "{}", text(&again.stderr));
    assert!(again.stdout == printed.stdout);
    assert!(!printed.stdout.is_empty());
}

#[test]
fn converted_dumps_hold_what_dump_prints() {
    let text_of = |n: u32| {
        format!(
            "# TYPE r counter\nr_total{{s=\"200\"}} {n}\nr_created{{s=\"200\"}} 1763553000\n{}# EOF\n",
            if n == 2 { "" } else { "gone 1\n" }
        )
    };
    let names: Vec<String> = (0..4).map(|n| format!("api-0/{}.om", 1_763_553_600 + n * 60)).collect();
    let texts: Vec<String> = (0..4).map(text_of).collect();
    let files: Vec<(&str, &str)> = names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let dir = folder(&files);
    let out = TempDir::new().unwrap();
    let flags = ["--assume-up", "--label-from-path", "(?P<instance>[^/]+)/", "--label", "*:job=j"];
    let with = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(flags);
        run(&all)
    };
    let source = p(dir.path());
    let target = p(&out.path().join("set"));
    let converted = with(&["convert", &source, "--output", &target]);
    assert_eq!(status(&converted), 0, "{}", text(&converted.stderr));
    for format in ["promtool", "csv", "jsonl"] {
        let of_dumps = with(&["dump", &source, "--match", "{__name__=~\".+\"}", "--format", format]);
        let of_dataset = run(&["dump", &target, "--match", "{__name__=~\".+\"}", "--format", format]);
        assert_eq!(status(&of_dumps), 0);
        assert!(of_dumps.stdout == of_dataset.stdout, "{format}: {}", text(&of_dumps.stdout));
        assert!(text(&of_dumps.stdout).contains("up"));
    }
}

#[test]
fn the_order_of_files_and_threads_leaves_no_trace() {
    let names: Vec<String> = (0..150).map(|n| format!("{}/{}.prom", n % 3, 1_763_553_600 + n / 3 * 15)).collect();
    let texts: Vec<String> = (0..150).map(|n| format!("a{{n=\"{}\"}} {n}\nb 1\nc x\n", n % 7)).collect();
    let files: Vec<(&str, &str)> = names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let (there, back) = (folder(&files), folder(&files.iter().rev().copied().collect::<Vec<_>>()));
    let inspect = |dir: &Path, threads: &str| {
        let flags = ["--label-from-path", "^(?P<instance>.)/", "--format", "json", "--threads", threads, "--digests"];
        let path = p(dir);
        let mut args = vec!["inspect", &path];
        args.extend(flags);
        let mut document = json(&run(&args));
        document["source"].as_object_mut().unwrap().shift_remove("name");
        document.to_string()
    };
    let want = inspect(there.path(), "1");
    assert!(inspect(back.path(), "1") == want && inspect(there.path(), "3") == want);
}

#[test]
fn two_dumps_are_enough_for_an_increase_between_them() {
    let text = |good: u32, bad: u32| {
        format!("recommend_requests_total{{status=\"200\"}} {good}\nrecommend_requests_total{{status=\"500\"}} {bad}\n")
    };
    let (a, b) = (text(100, 5), text(190, 15));
    let dir = folder(&[("2025-11-19T11-50-00Z.prom", &a), ("2025-11-19T12-00-00Z.prom", &b)]);
    let output = run(&[
        "availability",
        &p(dir.path()),
        "--start",
        "2025-11-19T11:50:00Z",
        "--end",
        "2025-11-19T12:00:00Z",
        "--semantics",
        "counted",
        "--format",
        "json",
    ]);
    let document = json(&output);
    let counted = document["counted"].to_string();
    assert!(counted.contains("100") && counted.contains("90"), "{counted}");
    assert_eq!(status(&output), 0, "{}", text_of(&output));
}

fn text_of(output: &std::process::Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_names_every_fault_with_its_line() {
    let dir = folder(&[
        ("1763553600.prom", "a 1\nb x\nc 3\nd{e=\"f\" 4\n"),
        ("1763553660.om", "# TYPE r counter\nr_total 1\n"),
        ("1763553720.prom", "a 1\n"),
        ("1763553780.prom", "<html>\n"),
        ("manifest.json", "[{\"file\": \"1763553600.prom\", \"labels\": {\"job\": \"j\"}}]"),
        ("README.md", "Prose.\n"),
    ]);
    let output = run(&["check", &p(dir.path()), "--format", "json"]);
    assert_eq!(status(&output), 1, "{}", text(&output.stderr));
    let document = json(&output);
    let files = document["files"].as_array().unwrap();
    let of = |name: &str| files.iter().find(|f| f["file"] == name).unwrap_or_else(|| panic!("{document}"));
    let parts = |name: &str| -> Vec<String> {
        let findings = of(name)["findings"].as_array().unwrap();
        findings.iter().map(|f| f["part"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(parts("1763553600.prom"), ["line 2, column 3", "line 4, column 9"]);
    assert_eq!(parts("1763553660.om"), ["line 3, column 1"]);
    assert_eq!(
        (of("1763553720.prom")["state"].as_str(), of("README.md")["kind"].as_str()),
        (Some("good"), Some("other"))
    );
    assert_eq!(of("1763553780.prom")["state"], "bad");
    assert_eq!(of("manifest.json")["kind"], "manifest");
    assert_eq!(of("1763553720.prom")["counts"]["cross_checked"], 1);
    let one = run(&["check", &p(&dir.path().join("1763553720.prom"))]);
    assert_eq!(status(&one), 0, "{}", text_of(&one));
}

#[test]
fn real_dumps_of_every_form_are_read_without_loss() {
    let dumps = fixtures().join("dumps");
    for (file, at_least) in [
        ("20261123T135428.496Z.prom", 17),
        ("20261123T135428.500Z.om", 19),
        ("federate.prom", 30),
        ("query-raw.json.zst", 1000),
        ("dump.om.zst", 18_567),
    ] {
        let source = open(&dumps.join(file));
        let (series, ledger) = full_read(&source);
        let samples: usize = series.iter().map(|s| s.samples.len()).sum();
        println!("{file}: {} series, {samples} samples, {:?}", series.len(), ledger.notes);
        assert!(ledger.losses.is_empty(), "{file}: {:?}", ledger.losses);
        assert!(samples >= at_least && !source.dumps[0].dumps.evaluated, "{file}: {samples}");
    }
    let native = open(&dumps.join("query_range-native.json.zst"));
    assert!(losses(&native).iter().any(|l| l.contains("native histograms in answers are not read")));
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let dir = folder(&[("1763553600.prom", "a 1\n")]);
    for flags in [
        ["--time-from", "noon"],
        ["--label", "job=x"],
        ["--label-from-path", "api"],
        ["--dump-interval", "0"],
        ["--answers", "some"],
    ] {
        let path = p(dir.path());
        let mut args = vec!["inspect", &path];
        args.extend(flags);
        assert_eq!(status(&run(&args)), 2, "{flags:?}");
    }
}

/// The dumps of a live server's targets beside what the server stored: every switch, and every counter at every dump.
#[test]
fn dumps_of_targets_count_what_their_server_counted() {
    let Some(more) = std::env::var_os("PROMPROOF_FIXTURES").map(PathBuf::from) else {
        return eprintln!(
            "skipped: dumps of targets beside their server; name the fixtures' folder in PROMPROOF_FIXTURES"
        );
    };
    let metrics = more.join("servers/dumps/live-3.16/metrics");
    let mut labels = LabelRules::default();
    labels.add_from_path("(?P<instance>api-[0-9])/").unwrap();
    let include = Some(Glob::parse("--include", "*.prom").unwrap());
    let dumps = Source::open(&metrics, &options(DumpOptions { labels, include, ..DumpOptions::default() })).unwrap();
    let server = open(&more.join("servers/live-3.16/data"));
    let counters = |source: &Source, name: &str| -> BTreeMap<String, Vec<(i64, f64)>> {
        let mut all: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
        for s in full_read(source).0.into_iter().filter(|s| s.labels.get_text("__name__") == name) {
            let key = s.labels.filtered(|n| n != b"job").to_string().replace(":8080", "");
            let live = s.samples.iter().filter(|(_, b)| *b != STALE_NAN_BITS).map(|(t, b)| (t, f64::from_bits(b)));
            all.entry(key).or_default().extend(live);
        }
        all
    };
    let mut compared = 0;
    for name in ["recommend_requests_total", "model_switches_total"] {
        let (ours, theirs) = (counters(&dumps, name), counters(&server, name));
        assert!(!ours.is_empty(), "{name}");
        for (key, samples) in ours {
            let theirs = &theirs[&key];
            for (t, value) in samples {
                // A server that scrapes every second saw the counter just before and just after the dump.
                let at = theirs.partition_point(|(s, _)| *s <= t);
                let (Some((before, low)), Some((after, high))) = (theirs.get(at.wrapping_sub(1)), theirs.get(at))
                else {
                    continue;
                };
                if after - before > 2000 || low > high {
                    continue;
                }
                assert!((*low..=*high).contains(&value), "{key} at {t}: {low} <= {value} <= {high}");
                compared += 1;
            }
        }
    }
    println!("{compared} values between those of the server");
    assert!(compared > 100);
}

#[test]
fn a_folder_of_blocks_beside_text_is_no_folder_of_dumps() {
    let dir = TempDir::new().unwrap();
    copy_tree(&fixtures().join("encodings/tombstones-block/data"), &dir.path().join("data"));
    write(dir.path(), "1763553600.prom", b"a 1\n");
    let source = open(dir.path());
    assert!(source.dumps.is_empty());
    assert_eq!(source.below, "data");
    let none = TempDir::new().unwrap();
    assert_eq!(Source::open(none.path(), &OpenOptions::default()).unwrap_err().kind(), ErrorKind::Missing);
}

/// What a made-up service says at step `n`: it restarts at step 6, and shows a second model from step 3 on.
fn service(n: u32) -> String {
    let since = if n < 6 { n } else { n - 6 };
    let mut text = format!(
        "# TYPE recommend_requests_total counter\nrecommend_requests_total{{status=\"200\"}} {}\n",
        10 + since * 7
    );
    if n != 4 {
        text += &format!("recommend_requests_total{{status=\"500\"}} {}\n", since / 2);
    }
    text += "# TYPE model_switches_total counter\n";
    text += &format!("model_switches_total{{status=\"success\",to_version=\"v1\"}} {}\n", u32::from(n > 3));
    text += "# TYPE service_health_status gauge\nservice_health_status 1\n";
    text
}

/// Answers requests on a socket: a server's scrape with the step that is current, any other with the same and then goes on.
fn serve(listener: std::net::TcpListener, scraped: std::sync::mpsc::Sender<()>) {
    use std::io::Read;
    let mut step = 0;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let body = service(step);
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        if request.contains("Prometheus/") {
            if scraped.send(()).is_err() {
                return;
            }
        } else {
            step += 1;
        }
    }
}

fn get(address: std::net::SocketAddr) -> String {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// One target, scraped by a real server and saved by plain GETs at the same moments.
#[test]
fn a_server_and_plain_gets_count_the_same() {
    let Some(server) = std::env::var_os("PROMPROOF_LIVE") else {
        return eprintln!("skipped: a live server beside dumps; name its executable in PROMPROOF_LIVE");
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (sender, scraped) = std::sync::mpsc::channel();
    std::thread::spawn(move || serve(listener, sender));
    let dir = TempDir::new().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: recommender\n  static_configs: [{{targets: ['{address}']}}]\n"
    );
    write(dir.path(), "prometheus.yml", config.as_bytes());
    let mut child = std::process::Command::new(server)
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut saved = 0;
    while saved < 12 && scraped.recv_timeout(std::time::Duration::from_secs(30)).is_ok() {
        // The server stores what it was told before this is asked.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        write(dir.path(), &format!("dumps/{now}.prom"), get(address).as_bytes());
        saved += 1;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(saved, 12, "the server did not scrape");
    let (data, dumps) = (p(&dir.path().join("data")), p(&dir.path().join("dumps")));
    let first =
        std::fs::read_dir(&dumps).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).min().unwrap();
    let first: i64 = first.strip_suffix(".prom").unwrap().parse().unwrap();
    let (start, end) = ((first / 1000 - 2).to_string(), (first / 1000 + 20).to_string());
    let window = ["--start", &start, "--end", &end, "--semantics", "counted", "--format", "json"];
    let target = format!("*:instance={address}");
    let labels = ["--label", "*:job=recommender", "--label", &target, "--assume-up"];
    let ask = |command: &str, path: &str, more: &[&str]| {
        let mut args = vec![command, path];
        args.extend(window);
        args.extend(more);
        let output = run(&args);
        assert!(matches!(status(&output), 0 | 1 | 3), "{}", text(&output.stderr));
        json(&output)
    };
    let (of_data, of_dumps) = (ask("availability", &data, &[]), ask("availability", &dumps, &labels));
    println!("{}", of_data["counted"]);
    assert_eq!(of_data["counted"], of_dumps["counted"]);
    assert!(of_data["counted"]["total_requests"].as_f64() >= Some(80.0), "{}", of_data["counted"]);
    let (of_data, of_dumps) = (ask("model-updates", &data, &[]), ask("model-updates", &dumps, &labels));
    let count = |d: &serde_json::Value| d["switches"].as_array().map(Vec::len);
    assert_eq!((count(&of_data), count(&of_dumps)), (Some(1), Some(1)), "{of_data}");
}

/// An answer of the query API with raw samples: each series with its values at a minute's steps behind T0, off the minute.
fn matrix(series: &[(&str, f64)]) -> String {
    let one = |(n, (labels, per)): (usize, &(&str, f64))| {
        let at = |m: u32| T0 as f64 / 1000.0 + f64::from(m) * 60.0 + n as f64 * 0.25;
        let values: Vec<String> = (0..10).map(|m| format!("[{:.3},\"{}\"]", at(m), f64::from(m) * per)).collect();
        format!("{{\"metric\":{{{labels}}},\"values\":[{}]}}", values.join(","))
    };
    let all: Vec<String> = series.iter().enumerate().map(one).collect();
    format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}}}}", all.join(","))
}

/// Raw data split by query, of which one failed: what it should have held may be of any time, whatever the file is called.
#[test]
fn a_failed_answer_is_a_loss_over_all_times() {
    let good = matrix(&[("\"__name__\":\"recommend_requests_total\",\"status\":\"200\"", 9.0)]);
    let up = matrix(&[("\"__name__\":\"up\"", 0.0), ("\"__name__\":\"x\"", 1.0)]).replace("\"0\"]", "\"1\"]");
    let out = TempDir::new().unwrap();
    let refused = "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"query timed out\"}";
    for (name, body, said) in [
        ("bad.json", refused, "execution: query timed out"),
        ("20251119T120000Z.json", refused, "execution: query timed out"),
        ("bad.json", "{\"status\": \"error\", \"error\": \"no such tenant\"}", "no such tenant"),
        ("bad.json", "", "the file is empty"),
        ("20251119T120000Z.json", "", "the file is empty"),
        ("bad.json", "{\"status\":\"success\",\"da", "JSON that is damaged or cut"),
        ("bad.json", "{\"status\":\"success\",\"data\":{\"resultType\":\"mat", "EOF while parsing"),
        ("bad.json", "<html>502 Bad Gateway</html>\n", "text that no form of a dump explains"),
    ] {
        let dir = folder(&[("ok.json", &good), ("up.json", &up), (name, body)]);
        let ledger = full_read(&open(dir.path())).1;
        assert_eq!(ledger.losses.len(), 1, "{name} {body}: {ledger:?}");
        assert_eq!((ledger.losses[0].interval, ledger.losses[0].file.as_str()), (None, name));
        assert!(ledger.losses[0].detail.contains(said), "{body}: {:?}", ledger.losses[0]);
        let path = p(dir.path());
        let graded = run(&["availability", &path, "--window", "8m", "--semantics", "counted", "--format", "json"]);
        assert_eq!(status(&graded), 3, "{name} {body}: {}", text_of(&graded));
        let converted = run(&["convert", &path, "--output", &p(&out.path().join("set")), "--force"]);
        assert_eq!(status(&converted), 3, "{name} {body}: {}", text_of(&converted));
        let checked = run(&["check", &path]);
        assert_eq!(status(&checked), 1, "{name} {body}: {}", text_of(&checked));
        let quoted = said.strip_prefix("the file is ").unwrap_or(said);
        assert!(text(&checked.stdout).contains(quoted), "{body}: {}", text_of(&checked));
    }
    // Other JSON is no answer that failed.
    let dir =
        folder(&[("ok.json", &good), ("up.json", &up), ("labels.json", "{\"status\":\"success\",\"data\":[\"a\"]}")]);
    assert_eq!(losses(&open(dir.path())), Vec::<String>::new());
}

/// Two targets that nothing tells apart are refused however they are given, also where their counters happen to be equal.
#[test]
fn merged_targets_with_equal_labels_are_refused() {
    let at = |n: u32| format!("recommend_requests_total{{status=\"200\"}} {n}\n");
    let names =
        |target: &str| -> Vec<String> { (0..5).map(|n| format!("{target}/{}.prom", 1_763_553_600 + n * 60)).collect() };
    let pairs = |target: &str, per: u32| -> Vec<(String, String)> {
        names(target).into_iter().zip((0..5).map(|n| at(n * per))).collect()
    };
    for other in [7, 10] {
        let all: Vec<(String, String)> = pairs("ta", 10).into_iter().chain(pairs("tb", other)).collect();
        let files: Vec<(&str, &str)> = all.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let dir = folder(&files);
        let hint = "tell them apart with --label 'GLOB:instance=…' or --label-from-path";
        assert!(refusal(dir.path(), DumpOptions::default()).contains(hint));
        // Of several SOURCEs paths begin inside each, where no pattern tells them apart.
        let hint = "put the dumps below one folder, give that one";
        let (a, b) = (p(&dir.path().join("ta")), p(&dir.path().join("tb")));
        for command in ["availability", "inspect", "model-updates"] {
            let merged = run(&[command, "--merge", &a, &b]);
            assert_eq!(status(&merged), 2, "{command}: {}", text_of(&merged));
            let said = text(&merged.stderr);
            assert!(
                said.contains("is in dumps of ta and of tb that cover the same time") && said.contains(hint),
                "{said}"
            );
        }
    }
    // Parts of one target's time are parts of one SOURCE.
    let late: Vec<String> = (5..9).map(|n| format!("tc/{}.prom", 1_763_553_600 + n * 60)).collect();
    let mut all = pairs("ta", 10);
    all.extend(late.into_iter().zip((5..9).map(|n| at(n * 10))));
    let files: Vec<(&str, &str)> = all.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let dir = folder(&files);
    let open_below = |name: &str| open(&dir.path().join(name));
    let merged = Source::merge(vec![open_below("ta"), open_below("tc")]).unwrap();
    assert_eq!(full_read(&merged).0.iter().map(|s| s.samples.len()).sum::<usize>(), 9);
}

/// A service with families in the order of their names, the errors last but one.
fn exposed(good: u32, bad: u32) -> String {
    format!(
        "# HELP recommend_requests_total Requests.\n# TYPE recommend_requests_total counter\n\
         recommend_requests_total{{status=\"200\"}} {good}\nrecommend_requests_total{{status=\"500\"}} {bad}\n\
         # TYPE service_health_status gauge\nservice_health_status 1\n"
    )
}

/// The first lines of a text, as `head -n` gives them.
fn first_lines(text: &str, lines: usize) -> String {
    text.lines().take(lines).map(|l| l.to_owned() + "\n").collect()
}

/// Text 0.0.4 has no end mark: what a dump lacks that those around it have is no absence, if it stands at the end.
#[test]
fn a_dump_cut_at_the_end_of_a_line_is_a_loss() {
    let names: Vec<String> = (0..20).map(|n| format!("{}.prom", 1_763_553_600 + n * 30)).collect();
    let whole: Vec<String> = (0..20).map(|n| exposed(1000 + n * 50, 8 + n)).collect();
    let graded = |cut: &[(usize, usize)], ending: &str| {
        let mut texts = whole.clone();
        for (at, lines) in cut {
            texts[*at] = first_lines(&texts[*at], *lines) + ending;
        }
        let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        let dir = folder(&files);
        let (start, end) = ("1763553600", "1763554170");
        let path = p(dir.path());
        let args =
            ["availability", &path, "--start", start, "--end", end, "--semantics", "counted", "--format", "json"];
        let mut all = Vec::new();
        for more in [&[][..], &["--assume-up"][..]] {
            let output = run(&[&args[..], more].concat());
            all.push((status(&output), json(&output)));
        }
        (dir, all)
    };
    let bad = |of: &serde_json::Value| of["counted"]["error_requests"].as_f64();
    let (_, sound) = graded(&[], "");
    assert_eq!((sound[0].0, bad(&sound[0].1)), (0, Some(19.0)), "{}", sound[0].1);
    // One, two behind each other, one that has comments alone: each by its loss, and no restart.
    for (cut, lacking) in
        [(&[(9, 3)][..], &[2][..]), (&[(9, 3), (10, 4)], &[2, 1]), (&[(9, 4)], &[1]), (&[(9, 2)], &[3])]
    {
        let (dir, all) = graded(cut, "");
        for (status, document) in &all {
            assert_eq!(bad(document), Some(19.0), "{cut:?}: {document}");
            assert_ne!(*status, 1, "{cut:?}");
            assert_eq!(document["losses"].as_array().map(Vec::len), Some(cut.len()), "{cut:?}");
        }
        let source = open(dir.path());
        for ((at, _), lacking) in cut.iter().zip(lacking) {
            let said = format!(
                "{}: it seems to be cut at the end of a line: {lacking} series that the dumps before and after have are not in it",
                names[*at]
            );
            assert!(losses(&source).iter().any(|l| l.starts_with(&said)), "{said}: {:?}", losses(&source));
        }
        assert!(!told(&source).iter().any(|s| s.contains("stale")), "{:?}", told(&source));
    }
    // An end mark, or a series that is gone for longer, is what it says.
    let (dir, _) = graded(&[(9, 3)], "# EOF\n");
    assert_eq!(losses(&open(dir.path())), Vec::<String>::new());
    assert!(told(&open(dir.path())).iter().any(|s| s.contains("270:stale")));
    let (dir, _) = graded(&[(9, 3), (10, 3)], "");
    assert_eq!(losses(&open(dir.path())), Vec::<String>::new());
}

/// A target that began anew lacks what it has not counted yet, and was not cut.
#[test]
fn a_restart_is_no_cut() {
    let text = |n: u32| match n {
        0..9 => exposed(1000 + n * 50, 8 + n),
        9 => first_lines(&exposed(5, 0), 3),
        _ => exposed(5 + (n - 9) * 50, n - 9),
    };
    let names: Vec<String> = (0..20).map(|n| format!("{}.prom", 1_763_553_600 + n * 30)).collect();
    let texts: Vec<String> = (0..20).map(text).collect();
    let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let dir = folder(&files);
    assert_eq!(losses(&open(dir.path())), Vec::<String>::new());
    let graded =
        run(&["availability", &p(dir.path()), "--window", "9m30s", "--semantics", "counted", "--format", "json"]);
    // Eight before the restart, and ten behind it.
    assert_eq!(json(&graded)["counted"]["error_requests"].as_f64(), Some(18.0));
}

/// Where there is no `up`, the values of the selected series do not say whether their target answered.
#[test]
fn without_up_an_outage_is_a_gap() {
    let names: Vec<String> = (0..20).map(|n| format!("{}.prom", 1_763_553_600 + n * 30)).collect();
    let outage = |left_out: std::ops::Range<usize>| {
        let texts: Vec<String> = (0..20).map(|n| exposed(1000 + n * 50, 8 + n)).collect();
        let all = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).enumerate();
        let files: Vec<(&str, &str)> = all.filter(|(n, _)| !left_out.contains(n)).map(|(_, f)| f).collect();
        let dir = folder(&files);
        let path = p(dir.path());
        let window = ["--start", "1763553600", "--end", "1763554170", "--format", "json"];
        let document = json(&run(&[&["availability", &path][..], &window].concat()));
        assert_eq!(document["coverage"]["from_up"], false);
        document["coverage"]["targets"][0]["longest_outage"].clone()
    };
    assert_eq!(outage(0..0), serde_json::Value::Null);
    let gap = outage(8..12);
    // The dump behind it covers one and a half intervals of five.
    assert_eq!(gap["seconds"].as_f64(), Some(105.0), "{gap}");
}

/// What no other command opens is bad, and so is what a file lacks beside the others.
#[test]
fn check_refuses_what_opening_refuses() {
    let formats: Vec<(String, &str)> = (0..5)
        .flat_map(|n| {
            [
                (format!("{}.100.prom", 1_763_553_600 + n * 60), "a 1\n"),
                (format!("{}.104.om", 1_763_553_600 + n * 60), "a 1\n# EOF\n"),
            ]
        })
        .collect();
    let formats: Vec<(&str, &str)> = formats.iter().map(|(n, t)| (n.as_str(), *t)).collect();
    let named = "[{\"file\": \"b.prom\", \"time\": 1763553600}]";
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Files<'_>, &[&str], &str, &str); 6] = [
        (&[("1763553600.prom", "a 1\nb 2\na 3\n")], &[], "1763553600.prom", "line 3 repeats a without a timestamp"),
        (&formats, &[], "1763553600.104.om", "cover the same time"),
        (&[("x.prom", "a 1\n")], &[], "x.prom", "nothing tells when it was seen"),
        (&[("1763553600.prom", "a 1\n"), ("manifest.json", named)], &[], "b.prom", "it is not there"),
        (
            &[("1763553600.prom", "a 1\nb 1\n"), ("1763553660.prom", "a 1\n"), ("1763553720.prom", "a 1\nb 1\n")],
            &[],
            "1763553660.prom",
            "cut at the end of a line",
        ),
        (&[("1763553600.prom", "a 1\n")], &["--include", "*.om"], ".", "--include left out"),
    ];
    for (files, flags, at, said) in cases {
        let dir = folder(files);
        let path = p(dir.path());
        let checked = run(&[&["check", &path, "--format", "json"], flags].concat());
        assert_eq!(status(&checked), 1, "{at}: {}", text_of(&checked));
        let document = json(&checked);
        let of = document["files"]
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["file"] == at)
            .unwrap_or_else(|| panic!("{document}"));
        assert_eq!(of["state"], "bad");
        assert!(of["findings"].to_string().contains(said), "{said}: {of}");
    }
    // With the flags that open them they are good.
    let dir = folder(&formats);
    assert_eq!(status(&run(&["check", &p(dir.path()), "--include", "*.om"])), 0);
}

/// What a command says on both streams.
fn said(args: &[&str]) -> String {
    text_of(&run(args))
}

#[test]
fn rules_that_match_nothing_are_told() {
    let dir = folder(&[("x/1763553600.prom", "a 1\n"), ("x/1763553660.prom", "a 2\n")]);
    let path = p(dir.path());
    let flags = ["--label", "y/*:job=j", "--label", "x/*:zone=z", "--label-from-path", "(?P<instance>[0-9]+)/"];
    let inspected = said(&[&["inspect", &path][..], &flags].concat());
    assert!(inspected.contains("--label y/*:job=j matches the path of none of the 2 files"), "{inspected}");
    assert!(inspected.contains("--label-from-path (?P<instance>[0-9]+)/ matches the path of none"), "{inspected}");
    assert!(!inspected.contains("zone=z matches"), "{inspected}");
    let all = said(&["inspect", &path, "--include", "*.om"]);
    assert!(all.contains("there is no dump here") && all.contains("--include left out 2 files"), "{all}");
    assert!(said(&["inspect", &path, "--include", "*660.prom"]).contains("--include left out 1 file"));
    for (label, why) in [
        ("*:__name__=x", "the name of a metric cannot be set"),
        ("*:job=", "the value of `job` is empty"),
        ("*:in-st=a", "`in-st` is no label name"),
    ] {
        assert!(said(&["inspect", &path, "--label", label]).contains(why), "{label}");
    }
}

#[test]
fn a_file_that_is_no_source_says_what_it_is() {
    let dir = folder(&[
        ("empty.prom", ""),
        ("plain.txt", "These are notes.\n"),
        ("error.json", "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error\"}"),
        ("other.json", "{\"a\": 1}"),
    ]);
    let of = |file: &str| p(&dir.path().join(file));
    for command in ["availability", "check"] {
        assert!(said(&[command, &of("empty.prom")]).contains("this is an empty file, and neither a dump nor"));
        assert!(said(&[command, &of("plain.txt")]).contains("this is text that no form of a dump explains"));
        assert!(said(&[command, &of("other.json")]).contains("this is JSON that is no answer"));
        assert!(said(&[command, &of("error.json")]).contains("bad_data: parse error"));
    }
}

#[test]
fn odd_answers_say_what_they_are() {
    let none = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}";
    let scalar = "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1763553600,\"1\"]}}";
    let dir = folder(&[("none.json", none), ("scalar.json", scalar), ("1763553600.prom", "a 1\n")]);
    let source = open(dir.path());
    assert!(notes(&source).contains("none.json: the answer is empty"), "{}", notes(&source));
    assert!(!notes(&source).contains("evaluations") && !source.dumps[0].dumps.evaluated);
    assert!(said(&["check", &p(&dir.path().join("none.json"))]).contains("nothing matched what was asked"));
    assert!(losses(&source)[0].contains("an answer of type scalar or string has none"), "{:?}", losses(&source));
}

#[test]
fn hints_fit_what_collides() {
    let dir = folder(&[("x/a.prom", "a 1\n"), ("x/b.prom", "a 2\n")]);
    let with = |rule: &str| said(&["inspect", &p(dir.path()), "--time-from", rule]);
    assert!(with("2025-11-19T12:00:00Z").contains("hint: --time-from gave all files one time"));
    assert!(with("2025-11-19T12:00:00Z").contains("or the same dump twice"));
    let undated = with("name");
    assert!(undated.contains("a time in the file's name") && !undated.contains("--time-from name"), "{undated}");
    for name in ["x/a.prom", "x/b.prom"] {
        let file = std::fs::File::options().write(true).open(dir.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(T0 as u64)).unwrap();
    }
    assert!(with("mtime").contains("hint: --time-from mtime, where copying or unpacking gave all files one time"));
}

#[test]
fn dumps_and_their_flags_beside_other_data_are_told() {
    let dir = TempDir::new().unwrap();
    copy_tree(&fixtures().join("encodings/tombstones-block/data"), &dir.path().join("data"));
    write(dir.path(), "dumps/1763553600.prom", b"a 1\n");
    write(dir.path(), "dumps/1763553660.prom", b"a 1\n");
    let inspected = said(&["inspect", &p(dir.path()), "--assume-up", "--label", "*:job=j", "--time-from", "mtime"]);
    let left_out = "2 text dumps lie beside data and are not read (first: dumps/1763553600.prom)";
    assert!(inspected.contains(left_out), "{inspected}");
    assert!(inspected.contains("--time-from, --assume-up, --label: nothing here is a text dump"), "{inspected}");
    write(&dir.path().join("data"), "1763553600.prom", b"a 1\n");
    let inspected = said(&["inspect", &p(&dir.path().join("data"))]);
    assert!(
        inspected.contains("1 text dump lies beside the data and is not read (first: 1763553600.prom)"),
        "{inspected}"
    );
}

#[test]
fn oddities_are_told_once_with_their_number() {
    let marked = "\u{feff}a 1\n";
    let dir = folder(&[
        ("1763553600.prom", marked),
        ("1763553660.prom", marked),
        ("1763553720.prom", "a 3\r\nb 1\r\n"),
        ("1763553780.prom", "# TYPE a gauge\n"),
        ("1763553840.prom", "a 4\n# TYPE b cou"),
    ]);
    let source = Source::open(dir.path(), &options(DumpOptions { assume_up: true, ..DumpOptions::default() })).unwrap();
    let notes = notes(&source);
    assert!(notes.contains("2 files with a byte order mark, which is skipped; a server would refuse the scrape (first: 1763553600.prom)"), "{notes}");
    assert!(
        notes.contains(
            "1 file with CR LF, read as line breaks; a server would refuse the scrape (first: 1763553720.prom)"
        )
    );
    assert!(
        notes.contains("1 file without a sample, where --assume-up adds no `up` (first: 1763553780.prom)"),
        "{notes}"
    );
    // What is lost of a comment is no sample.
    let losses = losses(&source);
    assert!(losses[0].contains("a metric type of this dialect") && !losses[0].contains("1 sample"), "{losses:?}");
    assert_eq!(told(&source).last().map(String::as_str), Some("up 0:1 60:1 120:1"));
}

/// A member of which a cut archive has nothing, or lines up to the end of one, proves no absence.
#[test]
fn a_part_of_a_dump_in_a_cut_archive_is_a_loss_of_the_archive() {
    let dir = TempDir::new().unwrap();
    let line = |n: usize| format!("metric_{n}{{of=\"a line that is sixty-four bytes long with its break\"}} 1\n");
    let whole: String = (0..64).map(line).collect();
    let names = ["d/1763553600.prom", "d/1763553660.prom"];
    let mut builder = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(whole.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, whole.as_bytes()).unwrap();
    }
    let bytes = builder.into_inner().unwrap();
    let second = 512 + whole.len().next_multiple_of(512) + 512;
    for (kept, samples) in [(0, 0), (whole.find("metric_30").unwrap(), 30)] {
        write(dir.path(), "all.tar", &bytes[..second + kept]);
        let source = Source::open(&dir.path().join("all.tar"), &OpenOptions::default()).unwrap();
        let (series, ledger) = full_read(&source);
        assert_eq!(series.iter().map(|s| s.samples.len()).sum::<usize>(), 64 + samples, "{ledger:?}");
        // The archive's end, and what of the member is behind it.
        assert_eq!(ledger.losses.len(), 2, "{ledger:?}");
        assert!(!ledger.notes.join(" ").contains("the file is empty"), "{ledger:?}");
        assert!(!told(&source).join(" ").contains("stale"));
    }
}

#[test]
fn sentences_about_dumps_are_about_dumps() {
    // Two answers that differ about one sample.
    let of = |value: &str| {
        matrix(&[("\"__name__\":\"recommend_requests_total\",\"status\":\"200\"", 9.0), ("\"__name__\":\"x\"", 1.0)])
            .replace("\"81\"", value)
    };
    let dir = folder(&[("a.json", &of("\"81\"")), ("b.json", &of("\"82\""))]);
    let path = p(dir.path());
    let graded = said(&["availability", &path, "--window", "8m"]);
    assert!(graded.contains("1 sample of the window have different values in dumps that overlap"), "{graded}");
    // A series without a name is near to none.
    let dir = folder(&[("a.txt", "{a=\"b\"} 1 1763553600000\n{a=\"b\"} 2 1763553660000\n")]);
    let graded = said(&["availability", &p(dir.path())]);
    assert!(!graded.contains("the nearest metric names are") && graded.contains("resembles it"), "{graded}");
    // One loss.
    let dir = folder(&[("1763553600.prom", &exposed(1, 0)), ("1763553630.prom", &exposed(5, 0)), ("x.json", "")]);
    let path = p(dir.path());
    let graded = said(&["availability", &path, "--window", "30s", "--semantics", "counted"]);
    assert!(graded.contains("1 loss touches the window and leaves the figures open"), "{graded}");
    assert!(said(&["model-updates", &path]).contains("1 loss may hold switches"));
    // A counter that is not finite.
    let dir =
        folder(&[("1763553600.prom", &exposed(1, 0)), ("1763553630.prom", &exposed(5, 0).replace("} 5", "} +Inf"))]);
    let graded = said(&["availability", &p(dir.path()), "--window", "30s", "--semantics", "counted"]);
    assert!(graded.contains("no finite number") && !graded.contains("NaN%"), "{graded}");
}

/// A cut or damaged compression used to give an empty file, and so stale markers that nobody wrote, where nothing came out of it.
#[test]
fn compression_that_is_cut_anywhere_is_never_an_empty_file() {
    let text: String = (0..40).map(|i| format!("r_total{{path=\"/{i}\"}} {i}\n")).collect();
    let packed = [("gz", gzip(&text)), ("zst", zstd::encode_all(text.as_bytes(), 3).unwrap())];
    for (ending, bytes) in packed {
        // What is left has to begin as its format does.
        for cut in 4..bytes.len() {
            let dir = folder(&[("1763553600.prom", &text), ("1763553660.prom", &text)]);
            let name = format!("1763553630.prom.{ending}");
            std::fs::write(dir.path().join(&name), &bytes[..cut]).unwrap();
            let source = open(dir.path());
            let losses = &source.dumps[0].dumps.opening.losses;
            assert!(losses.iter().any(|l| l.file == name), "{name} cut at {cut}: {losses:?}");
            let (series, _) = full_read(&source);
            assert!(series.iter().all(|s| s.samples.iter().all(|(_, b)| b != STALE_NAN_BITS)), "{name} cut at {cut}");
            assert_eq!(run(&["check", dir.path().to_str().unwrap()]).status.code(), Some(1), "{name} cut at {cut}");
        }
    }
}

/// Half of a number was a number: a constant counter fell and rose, which made two updates that were none.
#[test]
fn a_value_that_may_be_cut_is_not_used() {
    let dir = folder(&[
        ("1763553600.prom", "a 1\nmodel_switches_total 12\n"),
        ("1763553615.prom", "a 1\nmodel_switches_total 1"),
        ("1763553630.prom", "a 1\nmodel_switches_total 12\n"),
    ]);
    let source = open(dir.path());
    let (series, ledger) = full_read(&source);
    let values = |name: &str| -> Vec<f64> {
        let s = series.iter().find(|s| s.labels.get_text("__name__") == name).unwrap();
        s.samples.iter().map(|(_, bits)| f64::from_bits(bits)).collect()
    };
    assert_eq!((values("model_switches_total"), values("a")), (vec![12.0, 12.0], vec![1.0; 3]));
    assert!(ledger.losses.iter().any(|l| l.file == "1763553615.prom" && l.detail.contains("not used")), "{ledger:?}");
    assert_eq!(run(&["check", dir.path().to_str().unwrap()]).status.code(), Some(1));
}

/// A gauge at the end that comes and goes made whole files out to be cut.
#[test]
fn a_metric_at_the_end_that_comes_and_goes_is_not_cut() {
    let texts: Vec<(String, String)> = (0..12)
        .map(|i| {
            let last = if i % 3 == 1 { "" } else { "z_inflight 1\n" };
            (format!("{}.prom", 1_763_553_600 + 15 * i), format!("a_total {i}\nb 1\n{last}"))
        })
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let source = open(folder(&files).path());
    let opening = &source.dumps[0].dumps.opening;
    assert!(opening.losses.is_empty(), "{opening:?}");
    assert!(opening.notes.iter().any(|n| n.contains("4 dumps show less")), "{opening:?}");
    // Two are fewer than chance could make.
    let source = open(folder(&files[..6]).path());
    assert_eq!(source.dumps[0].dumps.opening.losses.len(), 2);
}

/// Links and pipes were left out without a word.
#[cfg(unix)]
#[test]
fn what_is_not_followed_is_told() {
    let dir = folder(&[("1763553600.prom", "a 1\n"), ("1763553630.prom", "a 1\n")]);
    std::os::unix::fs::symlink("1763553600.prom", dir.path().join("1763553615.prom")).unwrap();
    std::os::unix::fs::symlink("..", dir.path().join("elsewhere")).unwrap();
    let source = open(dir.path());
    let opening = &source.dumps[0].dumps.opening;
    let [loss] = opening.losses.as_slice() else { panic!("{opening:?}") };
    assert_eq!((loss.file.as_str(), loss.interval), ("1763553615.prom", Some(Interval::new(T0 + 15_000, T0 + 15_000))));
    assert!(opening.notes.iter().any(|n| n == "1 link or pipe is not followed (first: elsewhere)"), "{opening:?}");
}

/// promtool prints stale markers as NaN, which used to reach the verdict.
#[test]
fn a_nan_alone_in_a_dump_of_promtool_is_a_stale_marker() {
    let line = |value: &str, i: i64| format!("{{__name__=\"x\"}} {value} {}\n", T0 + 15_000 * i);
    let text: String =
        ["1", "NaN", "2", "NaN", "NaN", "3", "NaN"].iter().zip(0..).map(|(value, i)| line(value, i)).collect();
    let dir = folder(&[("dump.prom", &text)]);
    let source = open(dir.path());
    let (series, _) = full_read(&source);
    let stale: Vec<bool> = series[0].samples.iter().map(|(_, bits)| bits == STALE_NAN_BITS).collect();
    assert_eq!(stale, [false, true, false, false, false, false, true]);
    let notes = &source.dumps[0].dumps.opening.notes;
    assert!(notes.iter().any(|n| n.contains("2 NaNs that stand alone are taken for stale markers")), "{notes:?}");
}

/// Labels of a manifest were not looked at as those of `--label` are; one of something else made the folder unusable.
#[test]
fn manifests_are_held_to_the_rules_of_flags() {
    for (manifest, says) in [
        (r#"[{"file": "1763553600.prom", "labels": {"__name__": "x"}}]"#, "the name of a metric cannot be set"),
        (r#"[{"file": "1763553600.prom", "labels": {"9 a": "x"}}]"#, "`9 a` is no label name"),
        (r#"{"short_name": "web app"}"#, "cannot be used"),
        ("null", "an object with file, time and labels"),
    ] {
        let dir = folder(&[("1763553600.prom", "a 1\n"), ("manifest.json", manifest)]);
        let error = refusal(dir.path(), DumpOptions::default());
        assert!(error.contains(says), "{error}");
        let dumps = DumpOptions { time_from: Some(TimeRule::Name), ..DumpOptions::default() };
        let source = Source::open(dir.path(), &options(dumps)).unwrap();
        let notes = &source.dumps[0].dumps.opening.notes;
        assert!(notes.iter().any(|n| n.contains("it is passed over")), "{notes:?}");
    }
}

/// A counter that one dump lacked was born anew in the next one, although its process had not started anew.
#[test]
fn a_counter_that_pauses_in_one_process_is_no_birth() {
    let text = |switches: &str, start: i64| {
        format!(
            "# TYPE model_switches_total counter\n{switches}\n# TYPE process_start_time_seconds gauge\n\
             process_start_time_seconds {start}\n"
        )
    };
    let counted = |missing: &str, start_behind: i64| {
        let texts: Vec<(String, String)> = (0..40)
            .map(|i| {
                let here = if i == 20 { missing } else { "model_switches_total{status=\"success\"} 12" };
                let start = if i > 20 { start_behind } else { 1_763_550_000 };
                (format!("{}.prom", 1_763_553_600 + 15 * i), text(here, start))
            })
            .collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let dir = folder(&files);
        let output = run(&[
            "model-updates",
            dir.path().to_str().unwrap(),
            "--assume-up",
            "--label",
            "*:job=r",
            "--label",
            "*:instance=a",
            "--start",
            "2025-11-19T12:00:00Z",
            "--end",
            "2025-11-19T12:09:45Z",
            "--format",
            "json",
        ]);
        json(&output)["total_switches"].as_u64().unwrap()
    };
    let whole = counted("model_switches_total{status=\"success\"} 12", 1_763_550_000);
    assert_eq!(counted("", 1_763_550_000), whole, "one process");
    assert!(counted("", 1_763_553_800) > whole, "another process");
}

/// `check` said nothing about dumps that contradict each other, which answers and `inspect` name.
#[test]
fn check_names_samples_that_contradict_each_other() {
    let t = 1_763_553_600_000i64;
    let dir = folder(&[("a.prom", &format!("a 1 {t}\nb 2 {t}\n")), ("b.prom", &format!("a 1 {t}\nb 3 {t}\n"))]);
    let output = run(&["check", &p(dir.path()), "--format", "json"]);
    assert_eq!(status(&output), 1, "{}", text(&output.stderr));
    let document = json(&output);
    let files = document["files"].as_array().unwrap();
    let findings: Vec<_> = files.iter().flat_map(|f| f["findings"].as_array().unwrap()).collect();
    assert_eq!(findings.len(), 1, "{document}");
    assert_eq!(
        (findings[0]["kind"].as_str(), findings[0]["series"]["__name__"].as_str()),
        (Some("ambiguous"), Some("b"))
    );
    let same = folder(&[("a.prom", &format!("a 1 {t}\n")), ("b.prom", &format!("a 1 {t}\n"))]);
    assert_eq!(status(&run(&["check", &p(same.path())])), 0);
}

/// "No Prometheus data found" was all that was said about a folder of which the one dump was damaged.
#[test]
fn a_damaged_file_in_a_folder_of_nothing_else_is_named() {
    let dir = folder(&[]);
    write(dir.path(), "metrics.txt.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for command in ["inspect", "check"] {
        let said = said(&[command, &p(dir.path())]);
        assert!(said.contains("\n  metrics.txt.gz: its compression is cut or damaged"), "{said}");
    }
}

/// Two folders of different targets without labels: the scrapes of one hid that the other was gone, and 45 % of the window that
/// nobody had seen counted as seen.
#[test]
fn up_of_two_targets_with_equal_labels_is_refused() {
    let mut files = Vec::new();
    for i in 0..20 {
        let t = 1_763_553_600 + 30 * i;
        if !(5..15).contains(&i) {
            files.push((format!("api/{t}.prom"), format!("recommend_requests_total{{status=\"200\"}} {i}\n")));
        }
        files.push((format!("node/{t}.prom"), format!("node_cpu_seconds_total {i}\n")));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let dir = folder(&files);
    let error = refusal(dir.path(), DumpOptions { assume_up: true, ..DumpOptions::default() });
    assert!(error.contains("--assume-up would add up for api/1763553600.prom and for node/1763553600.prom"), "{error}");
    open(dir.path());
    let told = answer("availability", dir.path(), &["--assume-up", "--label-from-path", "(?P<instance>[^/]+)/"]);
    assert!(told["coverage"]["ratio"].as_f64().is_some_and(|ratio| ratio < 0.6), "{}", told["coverage"]);
    // One target whose files lie in a folder for each day.
    let days = folder(&[("18/1763553600.prom", "a 1\n"), ("19/1763553660.prom", "a 2\n")]);
    let up = DumpOptions { assume_up: true, ..DumpOptions::default() };
    assert_eq!(told_of(days.path(), up), ["a 0:1 60:2", "up 0:1 60:1"]);
}

fn told_of(path: &Path, dumps: DumpOptions) -> Vec<String> {
    told(&Source::open(path, &options(dumps)).unwrap())
}

/// A process that began anew while a counter was gone was taken for one that had not, and its scrapes lost their `up`.
#[test]
fn a_counter_that_is_gone_over_a_restart_takes_no_scrape_away() {
    let dump = |start: i64, requests: i64, errors: Option<i64>| {
        let errors = errors.map_or(String::new(), |n| format!("# TYPE e_total counter\ne_total {n}\n"));
        format!(
            "process_start_time_seconds {start}\n# TYPE r_total counter\nr_total {requests}\n{errors}# TYPE z gauge\nz 1\n"
        )
    };
    let dir = folder(&[
        ("1763553600.prom", &dump(1, 10, Some(1))),
        ("1763553660.prom", &dump(2, 1, None)),
        ("1763553720.prom", &dump(2, 2, None)),
        ("1763553780.prom", &dump(2, 3, Some(1))),
    ]);
    let up = DumpOptions { assume_up: true, ..DumpOptions::default() };
    let source = Source::open(dir.path(), &options(up.clone())).unwrap();
    assert!(told(&source).contains(&"up 0:1 60:1 120:1 180:1".to_owned()), "{:?}", told(&source));
    // In one process it pauses, and the note counts the scrapes of all targets.
    let mut files = Vec::new();
    for target in ["a", "b"] {
        for (i, errors) in [Some(1), None, None, Some(1)].into_iter().enumerate() {
            files.push((format!("{target}/{}.prom", 1_763_553_600 + 60 * i), dump(1, i as i64, errors)));
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let dir = folder(&files);
    let mut labels = LabelRules::default();
    labels.add_from_path("^(?P<instance>.)/").unwrap();
    let source = Source::open(dir.path(), &options(DumpOptions { labels, ..up })).unwrap();
    assert!(notes(&source).contains("--assume-up adds no `up` at 4 scrapes"), "{}", notes(&source));
}

/// Numbers that count files were offsets of zones, a different one for every file.
#[test]
fn offsets_in_names_are_those_of_a_zone() {
    let named = |names: [&str; 3]| folder(&names.map(|name| (name, "a 1\n")));
    let counted = named(["20251119T120000-0001.prom", "20251119T120030-0002.prom", "20251119T120100-0003.prom"]);
    let error = refusal(counted.path(), DumpOptions::default());
    assert!(error.contains("a number that is no offset of a zone") && error.contains("--time-from"), "{error}");
    let hundreds = named(["20251119T120000-0100.prom", "20251119T120030-0200.prom", "20251119T120100-0300.prom"]);
    let error = refusal(hundreds.path(), DumpOptions::default());
    assert!(error.contains("have offsets that differ by 2h"), "{error}");
    let summer = named(["20251026T013000+0200.prom", "20251026T013000+0100.prom", "20251026T023000+0100.prom"]);
    open(summer.path());
    let letters = named(["20251119T120000CET.prom", "20251119T120030CET.prom", "20251119T120100CET.prom"]);
    assert!(refusal(letters.path(), DumpOptions::default()).contains("a zone in letters"));
}

/// A server that says that its answer may not be whole was graded as if it were.
#[test]
fn an_answer_that_may_lack_something_is_a_loss() {
    let with = |more: &str| {
        let text = matrix(&[("\"status\":\"200\"", 1.0), ("\"status\":\"500\"", 0.0)]);
        folder(&[("answer.json", &text.replacen('{', &format!("{{{more},"), 1))])
    };
    let partial = with("\"warnings\":[\"results truncated due to limit\"]");
    assert!(losses(&open(partial.path()))[0].contains("may lack something: results truncated"));
    assert_eq!(status(&run(&["check", &p(partial.path())])), 1);
    let wrapped = with("\"warnings\":[\"PromQL: fetching from the remote store: partial response\"]");
    assert!(losses(&open(wrapped.path()))[0].contains("partial response"));
    let about =
        "\"warnings\":[\"PromQL warning: bucket label\"],\"infos\":[\"PromQL info: metric might not be a counter\"]";
    let annotated = with(about);
    let source = open(annotated.path());
    assert!(
        losses(&source).is_empty() && notes(&source).contains("the server said: PromQL info"),
        "{}",
        notes(&source)
    );
    assert_eq!(status(&run(&["check", &p(annotated.path())])), 0);
}

/// Notes and `inspect` named the rule of the file where lines `# scrape` had told the times.
#[test]
fn the_rule_that_told_is_the_one_that_is_named() {
    let dir = folder(&[(
        "20251119T120000Z.prom",
        "# scrape 2025-11-19T13:00:30Z\nx 1\n# scrape 2025-11-19T13:01:30Z\nx 2\n",
    )]);
    let source = open(dir.path());
    let note = "the times of 1 file are from lines `# scrape`: 2025-11-19T13:00:30Z to 2025-11-19T13:01:30Z";
    assert!(notes(&source).contains(note), "{}", notes(&source));
    let file = &source.dumps[0].dumps.files[0];
    assert_eq!((file.time_ms, file.time_from), (Some(T0 + 3_630_000), Some("lines `# scrape`")));
    let timed = folder(&[("20251119T120000Z.prom", "x 1 1763553600000\n")]);
    assert_eq!(open(timed.path()).dumps[0].dumps.files[0].time_from, None);
}

/// Of two manifests the farther one won without a word.
#[test]
fn manifests_that_contradict_each_other_are_refused() {
    let entry = |file: &str, time: u64| format!("[{{\"file\": \"{file}\", \"time\": {time}}}]");
    let two = |near: u64, far: u64| {
        folder(&[
            ("c/x.prom", "a 1\n"),
            ("c/manifest.json", &entry("x.prom", near)),
            ("manifest.json", &entry("c/x.prom", far)),
        ])
    };
    let error = refusal(two(1_763_553_600, 1_763_557_230).path(), DumpOptions::default());
    assert!(error.contains("says 2025-11-19T13:00:30Z for c/x.prom, and another one 2025-11-19T12:00:00Z"), "{error}");
    assert_eq!(told(&open(two(1_763_553_600, 1_763_553_600).path())), ["a 0:1"]);
    let fixed = DumpOptions { time_from: Some(TimeRule::Fixed(T0)), ..DumpOptions::default() };
    assert_eq!(told_of(two(1_763_553_600, 1_763_557_230).path(), fixed), ["a 0:1"]);
}
