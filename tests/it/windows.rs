//! Windows on made-up blocks whose truth is plain to see: sliding windows, versions, births, restarts, bounds.

use promproof::labels::Labels;
use promproof::sample::{STALE_NAN_BITS, Samples};
use promproof::source::{OpenOptions, Source};
use promproof::tsdb::Ulid;
use promproof::tsdb::write::BlockWriter;
use promproof::verdict::Verdict;
use promproof::verdict::availability::{Mode, Requirement, judge};
use promproof::windows::Span;
use promproof::windows::availability::{Availability, Question, evaluate};
use promproof::windows::semantics::{SemanticsChoice, resolve};
use promproof::windows::switches;

use crate::support::fixtures;

const STEP: i64 = 15_000;
const STALE: f64 = f64::from_bits(STALE_NAN_BITS);

/// Series as text: name, labels, `(scrape number, value)`.
type Made<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<(i64, f64)>);

fn every(range: std::ops::Range<i64>, value: impl Fn(i64) -> f64) -> Vec<(i64, f64)> {
    range.map(|i| (i, value(i))).collect()
}

fn block(dir: &std::path::Path, series: &[Made<'_>]) {
    let mut all: Vec<(Labels, Samples)> = series
        .iter()
        .map(|(name, labels, values)| {
            let base = [("__name__", *name), ("job", "api"), ("instance", "a:1")];
            let mut samples = Samples::default();
            for (i, v) in values {
                samples.push(i * STEP, v.to_bits());
            }
            // Of two labels of one name the first is kept.
            (Labels::from_pairs(labels.iter().chain(&base).copied()), samples)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut w = BlockWriter::create(dir, Ulid::from_parts(1, 1), 0, 7_200_000).unwrap();
    for (labels, samples) in &all {
        w.add_series(labels, samples).unwrap();
    }
    w.finish().unwrap();
}

fn answer(series: &[Made<'_>], from: i64, to: i64, choice: SemanticsChoice) -> Availability {
    let dir = tempfile::tempdir().unwrap();
    block(dir.path(), series);
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let span = Span { start: from * STEP, end: to * STEP };
    evaluate(&source, &Question::recommender(), span, resolve(choice, &source, span)).unwrap()
}

fn counted(series: &[Made<'_>], from: i64, to: i64) -> f64 {
    answer(series, from, to, SemanticsChoice::Counted).counted.total.unwrap_or(0.0)
}

const REQUESTS: &str = "recommend_requests_total";
const OK: &[(&str, &str)] = &[("status", "200")];

fn up(range: std::ops::Range<i64>) -> Made<'static> {
    ("up", &[], every(range, |_| 1.0))
}

#[test]
fn sliding_windows_equal_the_same_command_at_that_end() {
    let mut compared = 0;
    for (set, window, step) in [
        ("backfill-6d/snapshot", 86_400_000, 9_000_137),
        ("live-2.53/snapshot", 60_000, 3_301),
        ("live-3.5/snapshot", 30_500, 2_003),
    ] {
        let source = Source::open(&fixtures().join("servers").join(set), &OpenOptions::default()).unwrap();
        let end = source.interval().unwrap().end;
        let choices = ["counted", "prometheus-2.42", "prometheus-2.54", "prometheus-3.16"];
        for choice in choices.map(|c| SemanticsChoice::parse(c).unwrap()) {
            let span = Span { start: end - window, end };
            let question = Question { every: Some(step), ..Question::recommender() };
            let all = evaluate(&source, &question, span, resolve(choice, &source, span)).unwrap().sliding.unwrap();
            assert!(all.windows.len() > 20, "{set}: {}", all.windows.len());
            for w in &all.windows {
                let span = Span { start: w.end_ms - window, end: w.end_ms };
                let one = evaluate(&source, &Question::recommender(), span, resolve(choice, &source, span)).unwrap();
                let bits = |f: promproof::windows::availability::Figures| {
                    [f.total, f.good, f.bad].map(|x| x.map(f64::to_bits))
                };
                assert_eq!(bits(w.figures), bits(one.deciding()), "{set} {choice:?} ending {}", w.end_ms);
                compared += 1;
            }
            let worst = all.worst.unwrap().window;
            let ratios = || all.windows.iter().filter_map(|w| w.figures.ratio().map(|r| (r, w.end_ms)));
            let least = ratios().map(|r| r.0).fold(f64::INFINITY, f64::min);
            let earliest = ratios().find(|r| r.0 == least).unwrap();
            assert_eq!((worst.figures.ratio().unwrap(), worst.end_ms), earliest);
        }
    }
    println!("{compared} windows equal");
}

#[test]
fn the_version_in_the_data_decides_and_differences_are_said() {
    fn info(labels: &'static [(&'static str, &'static str)], range: std::ops::Range<i64>) -> Made<'static> {
        ("prometheus_build_info", labels, every(range, |_| 1.0))
    }
    let data: [Made<'_>; 4] = [
        (REQUESTS, OK, every(0..100, |i| i as f64)),
        up(0..100),
        info(&[("version", "2.53.1")], 0..60),
        info(&[("version", "3.5.0")], 60..100),
    ];
    let at = |from, to| answer(&data, from, to, SemanticsChoice::Auto);
    assert_eq!(at(10, 50).semantics.name(), "prometheus-2.53");
    assert!(at(10, 50).warnings.is_empty());
    let both = at(10, 90);
    assert_eq!(both.semantics.name(), "prometheus-3.5");
    assert!(both.warnings.iter().any(|w| w.contains("2.53.1, 3.5.0")), "{:?}", both.warnings);
    let newer: [Made<'_>; 2] = [data[0].clone(), info(&[("version", "4.1.0")], 0..100)];
    let newest = answer(&newer, 10, 50, SemanticsChoice::Auto);
    assert_eq!(newest.semantics.name(), "prometheus-3.16");
    assert!(newest.warnings.iter().any(|w| w.contains("newer")));
    assert!(answer(&data[..2], 10, 50, SemanticsChoice::Auto).semantics.why.contains("default"));
}

#[test]
fn first_increments_count_where_a_birth_is_proven() {
    let child = |from: i64| (REQUESTS, OK, every(from..100, move |i| (i - from + 3) as f64));
    // Scraped before without the child: its first value counts.
    assert_eq!(counted(&[child(50), up(0..100)], 10, 60), 13.0);
    // The first scrape of all shows it: a baseline.
    assert_eq!(counted(&[child(50), up(50..100)], 10, 60), 10.0);
    // The process started inside the window: all of it.
    let started: Made<'_> = ("process_start_time_seconds", &[], every(50..100, |_| 49.5 * 15.0));
    assert_eq!(counted(&[child(50), up(50..100), started.clone()], 10, 60), 13.0);
    // It started before the window: a baseline again.
    let early: Made<'_> = ("process_start_time_seconds", &[], every(50..100, |_| 5.0 * 15.0));
    assert_eq!(counted(&[child(50), up(50..100), early], 10, 60), 10.0);
    // OpenMetrics says when the child was made.
    let created: Made<'_> = ("recommend_requests_created", OK, every(50..100, |_| 49.9 * 15.0));
    assert_eq!(counted(&[child(50), up(50..100), created], 10, 60), 13.0);
}

#[test]
fn restarts_are_counted_where_they_are_proven() {
    let values = |reset_to: f64| {
        let mut v = every(0..50, |i| i as f64);
        v.extend(every(50..100, move |i| reset_to + (i - 50) as f64));
        v
    };
    // Lower: 39 up to scrape 49, then the whole value 5, then 9 more.
    assert_eq!(counted(&[(REQUESTS, OK, values(5.0)), up(0..100)], 10, 59), 39.0 + 5.0 + 9.0);
    // Higher than before, and nothing proves a restart: the difference.
    assert_eq!(counted(&[(REQUESTS, OK, values(60.0)), up(0..100)], 10, 59), 39.0 + 11.0 + 9.0);
    // The start time proves it.
    let started = |at: f64| -> Made<'static> {
        ("process_start_time_seconds", &[], every(0..100, move |i| if i < 50 { -100.0 } else { at * 15.0 }))
    };
    assert_eq!(counted(&[(REQUESTS, OK, values(60.0)), up(0..100), started(49.5)], 10, 59), 39.0 + 60.0 + 9.0);
    // A target whose clock runs ahead shows a start after the sample: no proof.
    assert_eq!(counted(&[(REQUESTS, OK, values(60.0)), up(0..100), started(77.0)], 10, 59), 39.0 + 11.0 + 9.0);
}

#[test]
fn a_child_that_vanished_from_a_scrape_starts_anew() {
    let gone = |marker: bool| {
        let mut v = every(0..40, |i| i as f64);
        if marker {
            v.push((40, STALE));
        }
        v.extend(every(50..100, |i| i as f64));
        v
    };
    // Marker and scrapes without it: the whole 50 counts.
    assert_eq!(counted(&[(REQUESTS, OK, gone(true)), up(0..100)], 10, 59), 29.0 + 50.0 + 9.0);
    // Marker, but the target was not scraped meanwhile: the counter goes on.
    let mut away = up(0..40);
    away.2.push((40, 0.0));
    away.2.extend(every(50..100, |_| 1.0));
    assert_eq!(counted(&[(REQUESTS, OK, gone(true)), away], 10, 59), 29.0 + 11.0 + 9.0);
    // No marker anywhere in the source: the scrapes alone are proof.
    assert_eq!(counted(&[(REQUESTS, OK, gone(false)), up(0..100)], 10, 59), 29.0 + 50.0 + 9.0);
    // NaN counts nothing, and is no absence; the scrapes around it may be one.
    let nan = |at: i64| every(0..100, |i| if i == at { f64::NAN } else { 1000.0 });
    assert_eq!(counted(&[(REQUESTS, OK, nan(50)), up(0..100)], 10, 59), 0.0);
    assert_eq!(counted(&[(REQUESTS, OK, nan(0)), up(0..100)], -1, 59), 0.0, "no birth");
    let mut away = nan(45);
    away.retain(|(i, _)| *i != 44);
    assert_eq!(counted(&[(REQUESTS, OK, away), up(0..100)], 10, 59), 1000.0);
    // No marker here, but the source has some: a hole is no proof.
    let other: Made<'_> = ("other", &[], vec![(0, 1.0), (1, STALE)]);
    assert_eq!(counted(&[(REQUESTS, OK, gone(false)), up(0..100), other], 10, 59), 29.0 + 11.0 + 9.0);
}

#[test]
fn a_long_step_across_the_start_is_kept_apart() {
    let mut v = every(0..5, |i| i as f64);
    v.extend(every(30..60, |i| i as f64));
    let data: [Made<'_>; 2] =
        [(REQUESTS, OK, v), ("up", &[], every(0..5, |_| 1.0).into_iter().chain(every(30..60, |_| 1.0)).collect())];
    let a = answer(&data, 20, 40, SemanticsChoice::Counted);
    assert_eq!(a.counted.total, Some(10.0));
    assert_eq!(a.undatable.total, 26.0);
    // A step of two intervals is dated by the sample that shows it.
    let sparse = || vec![(0, 1.0), (1, 1.0), (2, 1.0), (4, 1.0), (5, 1.0)];
    let counts = vec![(0, 0.0), (1, 1.0), (2, 2.0), (4, 9.0), (5, 10.0)];
    let b = answer(&[(REQUESTS, OK, counts), ("up", &[], sparse())], 3, 5, SemanticsChoice::Counted);
    assert_eq!((b.counted.total, b.undatable.total), (Some(8.0), 0.0));
}

#[test]
fn uncovered_time_widens_the_bounds_that_decide() {
    let good = every(0..100, |i| (i * 8) as f64);
    let bad = every(0..100, |i| (i * 2) as f64);
    let bad_labels: &[(&str, &str)] = &[("status", "500")];
    let data: [Made<'_>; 3] = [(REQUESTS, OK, good), (REQUESTS, bad_labels, bad), up(0..100)];
    let requirement = |percent, mode, coverage_ratio| Requirement { percent, mode, coverage_ratio };
    let full = answer(&data, 10, 90, SemanticsChoice::Auto);
    assert_eq!(full.coverage.ratio, 1.0);
    let j = judge(&full, requirement(80.0, Mode::Bounded, None));
    assert_eq!((j.verdict, j.bounds.unwrap().worst), (Verdict::Met, 0.8), "exactly the requirement is met");
    // A quarter of the window lies behind the data.
    let half = answer(&data, 39, 119, SemanticsChoice::Auto);
    assert_eq!(half.coverage.ratio, 0.75);
    let b = judge(&half, requirement(70.0, Mode::Bounded, None));
    assert_eq!(b.verdict, Verdict::Unknown);
    let bounds = b.bounds.unwrap();
    assert!((bounds.worst - 0.6).abs() < 1e-12 && (bounds.best - 0.85).abs() < 1e-12, "{bounds:?}");
    assert_eq!(judge(&half, requirement(59.0, Mode::Bounded, None)).verdict, Verdict::Met);
    assert_eq!(judge(&half, requirement(86.0, Mode::Bounded, None)).verdict, Verdict::NotMet);
    assert_eq!(judge(&half, requirement(70.0, Mode::Observed, None)).verdict, Verdict::Met);
    assert_eq!(judge(&half, requirement(59.0, Mode::Bounded, Some(0.8))).verdict, Verdict::Unknown);
}

#[test]
fn two_ways_of_counting_that_decide_differently_are_both_named() {
    // One good request before, then a burst of errors that only the first sample of their child shows.
    let errors: &[(&str, &str)] = &[("status", "500")];
    let data: [Made<'_>; 3] =
        [(REQUESTS, OK, every(0..100, |i| i as f64)), (REQUESTS, errors, every(50..100, |_| 500.0)), up(0..100)];
    let a = answer(&data, 10, 90, SemanticsChoice::Auto);
    let j = judge(&a, Requirement { percent: 70.0, mode: Mode::Bounded, coverage_ratio: None });
    assert_eq!(j.verdict, Verdict::Met);
    assert!(
        j.warnings[0].contains("PromQL of 3.16 gives 100.00% (met)") && j.warnings[0].contains("(not_met)"),
        "{:?}",
        j.warnings
    );
    let counted = answer(&data, 10, 90, SemanticsChoice::Counted);
    assert_eq!(judge(&counted, j.requirement).verdict, Verdict::NotMet);
}

#[test]
fn a_loss_between_two_good_samples_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    block(dir.path(), &[(REQUESTS, OK, every(0..480, |i| i as f64)), up(0..480)]);
    let block_dir = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let segment = block_dir.join("chunks/000001");
    let clean = std::fs::read(&segment).unwrap();
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let requests = promproof::series::select(&source, promproof::selector::Selector::metric(REQUESTS).matchers());
    let chunks = requests.series[0].members[0].entry().unwrap().chunks.clone();
    assert_eq!(chunks.len(), 4);
    drop(source);
    let judged = |chunk: usize, from: i64, to: i64| {
        let mut bytes = clean.clone();
        bytes[chunks[chunk].reference.offset_bytes() as usize + 20] ^= 0x10;
        std::fs::write(&segment, bytes).unwrap();
        let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
        let span = Span { start: from * STEP, end: to * STEP };
        let a =
            evaluate(&source, &Question::recommender(), span, resolve(SemanticsChoice::Auto, &source, span)).unwrap();
        assert_eq!(a.losses.len(), 1, "{:?}", a.losses);
        assert_eq!(a.losses[0].interval.unwrap().start, chunks[chunk].min_time_ms);
        (a.counted.total, a.loss_effect.good, a.loss_effect.bad)
    };
    // Samples on both sides inside the window: the difference counts what was lost. That the series is not seen in the
    // lost chunk while its target was scraped does not make it a restart.
    assert_eq!(judged(1, 10, 470), (Some(460.0), 0.0, 0.0));
    // The sample before lies outside the window: at most the difference could move.
    let (_, good, bad) = judged(1, 130, 470);
    assert_eq!((good, bad), (240.0 - 119.0, 0.0));
    // Nothing behind it: the side of good requests is open, that of errors is not.
    let (_, good, bad) = judged(3, 10, 470);
    assert_eq!((good, bad), (f64::INFINITY, 0.0));
}

#[test]
fn switches_of_replicas_join_and_first_ones_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = BlockWriter::create(dir.path(), Ulid::from_parts(1, 1), 0, 7_200_000).unwrap();
    let mut all: Vec<(Labels, Samples)> = Vec::new();
    for (i, instance) in ["a:1", "b:1"].into_iter().enumerate() {
        let mut add = |name: &str, extra: &[(&str, &str)], values: Vec<(i64, f64)>| {
            let mut s = Samples::default();
            values.iter().for_each(|(t, v)| s.push(t * STEP, v.to_bits()));
            let base = [("__name__", name), ("job", "api"), ("instance", instance)];
            all.push((Labels::from_pairs(base.iter().chain(extra).copied()), s));
        };
        let switched = 50 + i as i64;
        let labels = [("from_version", "v1"), ("to_version", "v2"), ("status", "success")];
        add("up", &[], every(0..200, |_| 1.0));
        add("model_switches_total", &labels, every(switched..200, |_| 1.0));
        add("model_version_info", &[("version", "v1")], every(0..switched, |_| 1.0));
        add("model_version_info", &[("version", "v2")], every(switched..150, |_| 1.0));
        add("model_version_info", &[("version", "v3")], every(150..200, |_| 1.0));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (labels, samples) in &all {
        w.add_series(labels, samples).unwrap();
    }
    w.finish().unwrap();
    let source = Source::open(dir.path(), &OpenOptions::default()).unwrap();
    let span = Span { start: 10 * STEP, end: 199 * STEP };
    let u = switches::evaluate(
        &source,
        &switches::Question::recommender(),
        span,
        resolve(SemanticsChoice::Auto, &source, span),
    )
    .unwrap();
    assert_eq!(u.switches.iter().map(|s| s.t_ms / STEP).collect::<Vec<_>>(), [50, 51]);
    assert_eq!(u.updates.len(), 1, "two replicas, one update");
    assert_eq!(u.served.len(), 6);
    let v3 = u.warnings.iter().filter(|w| w.contains("from v2 to v3")).count();
    assert_eq!(v3, 2, "a change without a switch is a warning per replica: {:?}", u.warnings);
    let judged = promproof::verdict::updates::judge(&u, promproof::verdict::updates::Requirement { minimum: 2 });
    assert_eq!(judged.verdict, Verdict::NotMet, "the period is covered and nothing hides more: {:?}", judged.reasons);
}

#[test]
fn a_single_target_and_a_clock_that_is_ahead_are_said_as_documented() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let started = |ahead_s: f64| {
        ("process_start_time_seconds", &[][..], every(0..100, move |i| if i < 50 { 0.0 } else { 750.0 + ahead_s }))
    };
    let with = |more: &[Made<'_>]| {
        let series: Vec<Made<'_>> =
            [(REQUESTS, OK, every(0..100, |i| i as f64)), up(0..100)].into_iter().chain(more.iter().cloned()).collect();
        answer(&series, 10, 99, SemanticsChoice::Counted)
    };
    let alone = with(&[]);
    let [note] = alone.notes.as_slice() else { panic!("{:?}", alone.notes) };
    assert!(note.starts_with("only one target was scraped, api a:1; "), "{note}");
    assert!(page.contains(&format!("\n  • {note}\n")), "{note}");
    // A replica that was scraped before the window only is none of the window's targets; one inside it is.
    let other = |range| ("up", &[("instance", "b:1")][..], every(range, |_| 1.0));
    assert_eq!(with(&[other(0..5)]).notes.len(), 1);
    assert_eq!(
        with(&[other(0..100), (REQUESTS, &[("instance", "b:1"), ("status", "200")], every(0..100, |i| i as f64))])
            .notes,
        [""; 0]
    );
    let ahead = with(&[started(3600.0)]);
    let found: Vec<&String> = ahead.warnings.iter().filter(|w| w.contains("clock")).collect();
    let [warning] = found.as_slice() else { panic!("{:?}", ahead.warnings) };
    assert!(warning.starts_with("api a:1 says that its process started 1h after a scrape of it"), "{warning}");
    assert!(page.contains(&format!("\n  • {warning}\n")), "{warning}");
    // Half a minute is what scrapes and processes differ by.
    assert!(!with(&[started(30.0)]).warnings.iter().any(|w| w.contains("clock")));
}
