//! Made-up snapshots (`docs/synth.md`): what is read from them is what their truth says, and real servers agree.
//!
//! `PROMPROOF_SYNTH` names a folder that `promproof synth` wrote, with `answers-<version>.jsonl` of real servers in it.
//! `.ci/run` makes one; without it the comparison says that it was skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use promproof::archive::Limits;
use promproof::check::{State, check};
use promproof::labels::Labels;
use promproof::promql::{PromVersion, Window};
use promproof::sample::{Samples, is_stale};
use promproof::samples::{Reach, load_all};
use promproof::selector::{Matcher, Selector};
use promproof::source::{OpenOptions, Source, locate};
use promproof::synth::{Spec, write};
use promproof::time::Interval;
use promproof::windows::Span;
use promproof::windows::availability::{Availability, GoodRule, Question, evaluate};
use promproof::windows::semantics::{SemanticsChoice, resolve};
use promproof::windows::switches;

use crate::cli::{p, run, status, text};
use crate::differential::{five_figures, lines, vector};
use crate::support::read_json;

const END_MS: i64 = 1_767_225_600_000;

fn spec(seed: u64) -> Spec {
    Spec { seed, end_ms: END_MS, days: 3, interval_ms: 30_000, series: 348, replicas: 2, churn_ratio: 0.5 }
}

/// A set with its truth as written.
struct Set {
    dir: tempfile::TempDir,
    truth: Value,
    source: Source,
}

fn make(spec: &Spec) -> Set {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), spec, |_| {}).unwrap();
    let truth = read_json(&dir.path().join("truth.json"));
    let source = Source::open(&dir.path().join("snapshot"), &OpenOptions::default()).unwrap();
    Set { dir, truth, source }
}

fn int(v: &Value) -> i64 {
    v.as_i64().unwrap_or_else(|| panic!("{v} is no integer"))
}

fn list(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().unwrap().iter()
}

/// Everything about one replica in a window.
fn ask(source: &Source, instance: &str, start: i64, end: i64) -> Availability {
    let of = |s: Selector| s.and(Matcher::equal(b"instance", instance.as_bytes()));
    let requests = || of(Selector::metric("recommend_requests_total"));
    let status = |code: &str| requests().and(Matcher::equal(b"status", code.as_bytes()));
    let question = Question {
        total: requests(),
        rule: GoodRule::Preset { good: status("200"), bad: status("500") },
        ..Question::recommender()
    };
    let span = Span { start, end };
    evaluate(source, &question, span, resolve(SemanticsChoice::Counted, source, span)).unwrap()
}

/// Counted requests by status. A step across the start that is too long to be dated is kept apart; together they are
/// what the samples show.
fn counted(answer: &Availability) -> Value {
    let mut by_status = BTreeMap::from([("200", 0.0), ("404", 0.0), ("500", 0.0)]);
    for s in &answer.series {
        let status = s.labels.get_text("status");
        *by_status.get_mut(status.as_str()).unwrap() += s.counted.increase + s.counted.undatable;
    }
    Value::Object(by_status.into_iter().map(|(k, n)| (k.to_owned(), (n as u64).into())).collect())
}

#[test]
fn counted_requests_restarts_and_outages_are_those_of_the_truth() {
    let mut events = BTreeMap::from([("restarts", 0), ("down", 0), ("server_away", 0), ("unseen", 0)]);
    for seed in 1..=6 {
        let Set { truth, source, dir: _dir } = make(&spec(seed));
        // One millisecond earlier, so that a scrape at the very start is inside.
        let (start, end) = (int(&truth["start_ms"]) - 1, int(&truth["end_ms"]));
        for replica in list(&truth["replicas"]) {
            let instance = replica["instance"].as_str().unwrap();
            for slice in list(&replica["slices"]) {
                let answer = ask(&source, instance, int(&slice["from_ms"]), int(&slice["to_ms"]));
                assert_eq!(counted(&answer), slice["shown"], "seed {seed}, {instance}, {slice}");
            }
            let whole = ask(&source, instance, start, end);
            assert_eq!(counted(&whole), replica["requests"]["shown"], "seed {seed}, {instance}");
            let total: i64 = replica["requests"]["shown"].as_object().unwrap().values().map(int).sum();
            assert_eq!(whole.counted.total, Some(total as f64));
            for kind in ["counted", "shown"] {
                for code in ["200", "404", "500"] {
                    let hours: i64 = list(&replica["slices"]).map(|s| int(&s[kind][code])).sum();
                    assert_eq!(hours, int(&replica["requests"][kind][code]), "hours add up");
                }
            }
            let unseen = int(&replica["requests"]["counted"]["200"]) - int(&replica["requests"]["shown"]["200"]);
            assert!(unseen >= 0);
            *events.get_mut("unseen").unwrap() += unseen;

            let [target] = &whole.coverage.targets[..] else { panic!("one target: {:?}", whole.coverage.targets) };
            assert_eq!(target.interval_ms, Some(30_000));
            let shown = list(&replica["restarts"]).filter_map(|r| r["shown_ms"].as_i64());
            assert_eq!(target.restarts, Some(shown.collect()), "seed {seed}, {instance}");
            let downs: Vec<Interval> =
                list(&replica["down"]).map(|d| Interval::new(int(&d["first_ms"]), int(&d["last_ms"]))).collect();
            assert_eq!(target.downs, downs, "seed {seed}, {instance}");
            let (ok, failed) = (int(&replica["scrapes"]["successful"]), int(&replica["scrapes"]["failed"]));
            assert_eq!(target.up_ratio, Some(ok as f64 / (ok + failed) as f64));
            *events.get_mut("restarts").unwrap() += target.restarts.as_ref().unwrap().len() as i64;
            *events.get_mut("down").unwrap() += downs.len() as i64;
            // Where the server was away no target was scraped.
            for away in list(&truth["server_away"]) {
                let (from, to) = (int(&away["from_ms"]), int(&away["to_ms"]));
                assert!(target.gaps.iter().any(|g| g.start <= from && g.end >= to - 45_000), "{away}");
                *events.get_mut("server_away").unwrap() += 1;
            }
        }
        // All replicas together are the sum of the replicas.
        for kind in ["counted", "shown"] {
            let sum: i64 = list(&truth["replicas"]).map(|r| int(&r["requests"][kind]["200"])).sum();
            assert_eq!(sum, int(&truth["requests"][kind]["200"]));
            let hours: i64 = list(&truth["slices"]).map(|s| int(&s[kind]["200"])).sum();
            assert_eq!(hours, sum);
        }
    }
    println!("{events:?}");
    assert!(events.values().all(|n| *n > 2), "the seeds have every kind of event: {events:?}");
}

#[test]
fn model_switches_are_those_of_the_truth() {
    let (mut seen, mut failures) = (0, 0);
    for seed in 1..=6 {
        let set = make(&Spec { days: 8, interval_ms: 60_000, series: 40, replicas: 2, ..spec(seed) });
        let Set { truth, source, dir: _dir } = &set;
        let span = Span { start: int(&truth["start_ms"]) - 1, end: int(&truth["end_ms"]) };
        let choice = resolve(SemanticsChoice::Counted, source, span);
        let updates = switches::evaluate(source, &switches::Question::recommender(), span, choice).unwrap();
        let mut ours: Vec<Value> = updates
            .switches
            .iter()
            .map(|s| json!([s.t_ms, s.replica.get_text("instance"), s.from_version, s.to_version]))
            .collect();
        let replicas = list(&truth["replicas"]);
        let mut theirs: Vec<Value> = replicas
            .flat_map(|r| list(&r["switches"]).map(move |s| json!([s["shown_ms"], r["instance"], s["from"], s["to"]])))
            .filter(|s| !s[0].is_null())
            .collect();
        ours.sort_by_key(Value::to_string);
        theirs.sort_by_key(Value::to_string);
        assert_eq!(ours, theirs, "seed {seed}");
        seen += ours.len();
        assert!(updates.warnings.is_empty(), "the gauge of versions agrees: {:?}", updates.warnings);
        let failed = Selector::metric("model_switches_total").and(Matcher::equal(b"status", b"failure"));
        failures += load_all(source, &failed, Interval::ALL, Reach::Exact).series.len();
    }
    println!("{seen} switches, {failures} series of failed ones");
    assert!(seen > 30 && failures > 0);
}

/// Every file below a folder with its bytes, by path.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_seed_alone_decides_every_byte() {
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let set = pool.install(|| make(&Spec { days: 2, ..spec(seed) }));
        files(set.dir.path())
    };
    let one = with(1, 1);
    assert!(one == with(4, 1), "1 and 4 threads write the same");
    let mut digest = Sha256::new();
    for (path, bytes) in &one {
        digest.update(path.to_string_lossy().replace('\\', "/"));
        digest.update(bytes);
    }
    let hex: String = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
    // What every machine writes. Another generator gives other data under the same seed: say so in CHANGELOG.md.
    assert_eq!(hex, "54a603a667adb8ab0f9cef5310e208df48b9e04a0767332ef53c1c4d35e81ad5");
    let other = with(2, 2);
    assert!(one.keys().ne(other.keys()), "another seed gives blocks of other names");
    let of = |files: &BTreeMap<PathBuf, Vec<u8>>| -> BTreeSet<Vec<u8>> {
        let chunks = files.iter().filter(|(p, _)| p.ends_with("chunks/000001"));
        chunks.map(|(_, bytes)| bytes.clone()).collect()
    };
    assert!(of(&one).is_disjoint(&of(&other)));
}

/// Everything in a source by its series.
fn everything(source: &Source) -> BTreeMap<Labels, Samples> {
    let loaded = load_all(source, &Selector::parse(r#"{__name__=~".+"}"#).unwrap(), Interval::ALL, Reach::Exact);
    assert!(loaded.ledger.losses.is_empty(), "{:?}", loaded.ledger.losses);
    loaded.series.into_iter().map(|s| (s.labels, s.samples)).collect()
}

#[test]
fn every_sample_is_read_back_and_follows_its_target() {
    let mut complete = 0;
    for seed in 1..=3 {
        let spec = spec(seed);
        let Set { dir, truth, source } = make(&spec);
        let place = locate(&dir.path().join("snapshot"), None, &Limits::default()).unwrap();
        let checked = check(&place, &OpenOptions::default()).unwrap();
        assert_eq!(checked.count(State::Bad) + checked.count(State::Noted), 0, "every rule of every file holds");
        let all = everything(&source);
        let read: usize = all.values().map(Samples::len).sum();
        assert_eq!(read as i64, int(&truth["samples"]));
        let of_block = |key: &str| -> i64 { list(&truth["blocks"]).map(|b| int(&b[key])).sum() };
        assert_eq!(read as i64, of_block("samples"));

        let by_target = |labels: &Labels| labels.get_text("instance");
        let named = |name: &'static str| all.iter().filter(move |(l, _)| l.get_text("__name__") == name);
        let ups: BTreeMap<String, &Samples> = named("up").map(|(l, s)| (by_target(l), s)).collect();
        let starts: BTreeMap<String, &Samples> =
            named("process_start_time_seconds").map(|(l, s)| (by_target(l), s)).collect();
        assert_eq!(ups.len(), 4, "two replicas, and 310 further series make two targets");
        for (labels, samples) in all.iter().filter(|(l, _)| l.get_text("__name__") != "up") {
            follows(labels, samples, ups[&by_target(labels)], starts[&by_target(labels)]);
        }
        for (labels, samples) in named("calls_00_seconds_bucket").filter(|(l, _)| l.get(b"le") == b"+Inf") {
            cumulative(&all, labels, samples);
        }

        // How many live at the end, where every target answers.
        let last_up = |s: &&Samples| s.bits.last() == Some(&1f64.to_bits());
        if ups.values().all(last_up) {
            let lives = |(l, s): &(&Labels, &Samples)| {
                s.bits.last().is_some_and(|b| !is_stale(*b)) && s.ts.last() == ups[&by_target(l)].ts.last()
            };
            let counted = |l: &Labels| l.get_text("__name__") != "model_switches_total";
            assert_eq!(all.iter().filter(lives).filter(|(l, _)| counted(l)).count(), spec.series);
            complete += 1;
        }
        let revisions = all.keys().filter(|l| l.get(b"revision") > &b"00000"[..]).count();
        let places = all.keys().filter(|l| l.get(b"revision") == b"00000").count();
        let share = revisions as f64 / places as f64 / f64::from(spec.days);
        assert!((0.4..=0.6).contains(&share), "{share} of the series are replaced each day");
    }
    assert!(complete > 0);
}

/// A series has a sample at every successful scrape of its life, and a marker at the scrape that finds it gone, if it is
/// the next one. Counters fall only where the process is another one.
fn follows(labels: &Labels, samples: &Samples, up: &Samples, starts: &Samples) {
    let start_at = |t: i64| f64::from_bits(starts.bits[starts.upper_bound(t) - 1]);
    let name = labels.get_text("__name__");
    let is_counter = ["_total", "_bucket", "_count"].iter().any(|end| name.ends_with(end));
    let mut before: Option<(i64, f64)> = None;
    let mut shown = false;
    let scrapes = up.slice(up.lower_bound(samples.ts[0])..up.upper_bound(*samples.ts.last().unwrap()));
    let mut own = samples.iter().peekable();
    let mut scraped = i64::MIN;
    for (t, ok) in scrapes.iter() {
        if t.saturating_sub(scraped) > 45_000 {
            // A server that was away does not know what it showed before.
            shown = false;
        }
        scraped = t;
        match own.next_if(|(at, _)| *at == t) {
            Some((_, bits)) if is_stale(bits) => {
                assert!(shown, "{labels}: a marker at {t} for what the scrape before did not show");
                shown = false;
            }
            Some((_, bits)) => {
                assert_eq!(f64::from_bits(ok), 1.0, "{labels}: a sample at {t} of a failed scrape");
                let value = f64::from_bits(bits);
                assert_eq!((value * 1e6).round() / 1e6, value, "{labels}: at most six decimals");
                if let Some((last, lower)) = before.filter(|_| is_counter) {
                    assert_eq!(value.fract(), 0.0);
                    let same = start_at(last) == start_at(t);
                    assert!(value >= lower || !same, "{labels} falls from {lower} to {value} at {t}");
                }
                before = Some((t, value));
                shown = true;
            }
            None => assert!(!shown, "{labels}: neither sample nor marker at {t}"),
        }
    }
    assert!(own.next().is_none(), "{labels}: a sample without a scrape");
}

/// The buckets of a histogram are those of the same revision: none is above the next, the last one is the count.
fn cumulative(all: &BTreeMap<Labels, Samples>, last: &Labels, of_last: &Samples) {
    let other = |name: &str, le: &str| {
        let text = |n: &str| last.get_text(n);
        let pairs = [("__name__", name), ("le", le), ("instance", &text("instance")), ("job", &text("job"))];
        &all[&Labels::from_pairs(pairs.into_iter().chain([("revision", text("revision").as_str())]))]
    };
    let name = last.get_text("__name__");
    assert_eq!(other(&name.replace("_bucket", "_count"), ""), of_last);
    let (low, high) = (other(&name, "0.1"), other(&name, "1.0"));
    assert!(low.ts == of_last.ts && high.ts == of_last.ts);
    for ((low, high), last) in low.bits.iter().zip(&high.bits).zip(&of_last.bits) {
        let value = |bits: &u64| if is_stale(*bits) { 0.0 } else { f64::from_bits(*bits) };
        assert!(value(low) <= value(high) && value(high) <= value(last));
    }
}

#[test]
fn impossible_specs_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for (spec, what) in [
        (Spec { days: 0, ..spec(1) }, "0 days"),
        (Spec { end_ms: 5, ..spec(1) }, "the years 1970"),
        (Spec { interval_ms: 1, ..spec(1) }, "1s to 5m"),
        (Spec { replicas: 0, ..spec(1) }, "0 replicas"),
        (Spec { series: 37, ..spec(1) }, "the replicas have 38"),
        (Spec { churn_ratio: f64::NAN, ..spec(1) }, "churn"),
    ] {
        let error = write(dir.path(), &spec, |_| {}).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    assert_eq!(files(dir.path()).len(), 0);
}

#[test]
fn the_command_writes_a_folder_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("made");
    let synth = |more: &[&str]| {
        let base = ["synth", "-o", &p(&out), "--days", "1", "--interval", "2m", "--series", "60"].map(str::to_owned);
        let all: Vec<String> = base.into_iter().chain(more.iter().map(|m| (*m).to_owned())).collect();
        run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let first = synth(&["--progress", "plain"]);
    assert_eq!(status(&first), 0, "{}", text(&first.stderr));
    assert!(first.stdout.is_empty());
    assert_eq!(text(&first.stderr).lines().count(), 12 + 1, "a line per block and the folder");
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(), ["made"]);
    let before = files(&out);
    assert_eq!(read_json(&out.join("truth.json"))["end_ms"], END_MS, "the default end is a fixed date");

    let again = synth(&[]);
    assert_eq!(status(&again), 2);
    assert!(text(&again.stderr).contains("--force"));
    let too_few = synth(&["--force", "--replicas", "9"]);
    assert_eq!(status(&too_few), 2);
    assert!(files(&out) == before, "what was there stays");
    assert_eq!(status(&synth(&["--force", "--seed", "2", "-q"])), 0);
    assert!(files(&out) != before);
    assert_eq!(names(), ["made"]);

    std::fs::write(out.join("mine"), "x").unwrap();
    let stranger = synth(&["--force"]);
    assert_eq!(status(&stranger), 2);
    assert!(text(&stranger.stderr).contains("mine"), "{}", text(&stranger.stderr));
    assert!(out.join("mine").exists() && out.join("snapshot").exists());
    for bad in [&["--churn", "2"][..], &["--threads", "0"], &["--end", "now"], &["--interval", "5"]] {
        assert_eq!(status(&synth(bad)), 2, "{bad:?}");
    }
}

/// The server's instant vectors look back so far.
const LOOK_BACK_MS: i64 = 300_000;

#[test]
fn servers_answer_the_same() {
    let Some(dir) = std::env::var_os("PROMPROOF_SYNTH").map(PathBuf::from) else {
        eprintln!(
            "skipped: no made-up snapshot with answers of servers; see tests/oracle/README.md and PROMPROOF_SYNTH"
        );
        return;
    };
    let source = Source::open(&dir.join("snapshot"), &OpenOptions::default()).unwrap();
    let all = everything(&source);
    let mut versions = 0;
    for version in ["2.42", "3.16"] {
        let file = dir.join(format!("answers-{version}.jsonl"));
        if !file.exists() {
            eprintln!("skipped: {version}, no {}", file.display());
            continue;
        }
        let answers = lines(&file);
        let mut equal = 0;
        for answer in &answers {
            for (field, ours) in synth_answers(&source, &all, PromVersion::parse(version).unwrap(), answer) {
                let asked = format!("{version} T={} R={} {field}", answer["t_ms"], answer["range_ms"]);
                assert_eq!(answer[field], ours, "{asked}: the server's answer, then ours");
                equal += 1;
            }
        }
        let samples: f64 = answers.iter().filter(|a| !a["total"].is_null()).count() as f64;
        assert!(answers.len() > 30 && samples > 20.0);
        println!("{version}: {} questions, {equal} answers equal", answers.len());
        versions += 1;
    }
    assert!(versions > 0, "no answers in {}", dir.display());
}

fn synth_answers(
    source: &Source,
    all: &BTreeMap<Labels, Samples>,
    version: PromVersion,
    answer: &Value,
) -> Vec<(&'static str, Value)> {
    let (t, range) = (int(&answer["t_ms"]), int(&answer["range_ms"]));
    let span = Span { start: t - range, end: t };
    let mut ours = five_figures(source, version, &Question::recommender(), span).to_vec();
    let up = Question { health: Some(Selector::metric("up")), latency: None, ..Question::recommender() };
    let mean = five_figures(source, version, &up, span).into_iter().find(|(field, _)| *field == "health");
    ours.push(("up", mean.unwrap().1));

    let window = Window { end: t, range };
    let counted = all.iter().filter(|(l, _)| l.get(b"__name__") == b"jobs_00_total");
    let counted = counted.map(|(l, s)| (l.without_name(), window.select(version, s).count() as f64));
    ours.push(("samples", vector(&counted.filter(|(_, n)| *n > 0.0).collect::<Vec<_>>())));

    let look_back = Window { end: t, range: LOOK_BACK_MS };
    let mut by_name: BTreeMap<Labels, f64> = BTreeMap::new();
    for (labels, samples) in all {
        let (lo, hi) = look_back.bounds(version, samples);
        if samples.bits[lo..hi].last().is_some_and(|b| !is_stale(*b)) {
            *by_name.entry(labels.filtered(|n| n == b"__name__")).or_default() += 1.0;
        }
    }
    ours.push(("series", vector(&by_name.into_iter().collect::<Vec<_>>())));
    ours
}
