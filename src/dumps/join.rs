//! Files into series: scrapes of a target in the order of time, with what a server adds between them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::cut::{Moment, cut_at_a_line};
use super::read::{Contents, Oddity, Scrape};
use super::{DumpSeries, TimeRule};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Label, Labels, METRIC_NAME, printable};
use crate::loss::{Conflict, Ledger, Loss, counted_noun};
use crate::sample::{STALE_NAN_BITS, Samples};
use crate::time::{DurationMs, Interval, TimestampMs, human_duration};

/// What tells targets apart: the labels that their files were given, and the path of the files without its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetKey {
    pub(super) labels: Labels,
    pub(super) stream: String,
}

/// A scrape of one target, its series by their position in [`Join::series`].
struct Seen {
    file: usize,
    scrape: Scrape,
}

/// Samples of one series from one target, in strictly increasing time.
struct Run {
    target: usize,
    samples: Samples,
}

/// A series on its way.
struct Building {
    labels: Labels,
    metadata: Option<[String; 3]>,
    runs: Vec<Run>,
    /// Samples with times of their own, in the order of the files.
    timed: Samples,
    /// The number of the scrape that it was last seen in, counted over all targets from 1; 0 before.
    seen: usize,
}

/// The files of a SOURCE, one after the other.
#[derive(Default)]
pub(super) struct Join {
    by_labels: HashMap<Labels, u32>,
    series: Vec<Building>,
    targets: BTreeMap<TargetKey, Vec<Seen>>,
    /// The first file that has it, and how many do.
    oddities: BTreeMap<Oddity, (usize, usize)>,
    pub(super) ledger: Ledger,
    pub(super) depends_on_release: bool,
    pub(super) evaluated: bool,
}

/// What joining has to know.
pub(super) struct Rules<'a> {
    pub(super) assume_up: bool,
    /// The expected spacing of dumps, where it is not read off their times.
    pub(super) interval_ms: Option<DurationMs>,
    /// What tells times before anything else does.
    pub(super) time_from: Option<TimeRule>,
    /// The files, for errors.
    pub(super) files: &'a [String],
}

impl Join {
    /// Takes the contents of the file at position `file`, whose target is `key`.
    pub(super) fn add(&mut self, file: usize, key: TargetKey, contents: Contents) {
        self.depends_on_release |= contents.depends_on_release;
        self.evaluated |= contents.evaluated;
        self.ledger.losses.extend(contents.losses);
        self.ledger.notes.extend(contents.notes);
        for oddity in contents.oddities {
            self.oddities.entry(oddity).or_insert((file, 0)).1 += 1;
        }
        let mut ids = Vec::with_capacity(contents.series.len());
        for mut s in contents.series {
            let next = self.series.len() as u32;
            let id = *self.by_labels.entry(s.labels.clone()).or_insert(next);
            if id == next {
                let timed = std::mem::take(&mut s.timed);
                let runs = Vec::new();
                self.series.push(Building { labels: s.labels, metadata: s.metadata, runs, timed, seen: 0 });
            } else if let Some(of) = self.series.get_mut(id as usize) {
                of.timed.append(&mut s.timed);
                // The last file counts, as the last scrape does on a server.
                of.metadata = s.metadata.or(of.metadata.take());
            }
            ids.push(id);
        }
        let of = self.targets.entry(key).or_default();
        for mut scrape in contents.scrapes {
            for id in scrape.ids.iter_mut().chain(&mut scrape.order) {
                *id = ids.get(*id as usize).copied().unwrap_or_default();
            }
            of.push(Seen { file, scrape });
        }
    }

    /// The series in label order.
    ///
    /// Errs where a series stands twice at one moment, or comes from files of several targets at overlapping times.
    pub(super) fn finish(mut self, rules: &Rules<'_>) -> Result<(Vec<DumpSeries>, Ledger)> {
        for (oddity, (first, count)) in std::mem::take(&mut self.oddities) {
            let first = rules.files.get(first).map(|f| printable(f)).unwrap_or_default();
            let count = counted_noun(count, "file", "files");
            self.ledger.notes.push(format!("{count} {} (first: {first})", oddity.words()));
        }
        let mut up: BTreeMap<Labels, Vec<TimestampMs>> = BTreeMap::new();
        // Which file a target's samples came from, for errors.
        let mut places: Vec<Vec<(TimestampMs, usize)>> = Vec::new();
        let mut next_number = 1;
        for (target, (key, mut scrapes)) in std::mem::take(&mut self.targets).into_iter().enumerate() {
            scrapes.sort_by_key(|s| (s.scrape.t_ms, s.file));
            mark_cut(&mut scrapes, &self.series, rules, &mut self.ledger);
            places.push(scrapes.iter().map(|s| (s.scrape.t_ms, s.file)).collect());
            if rules.assume_up {
                // An empty file may be what a client left that reached nobody.
                let sound = scrapes.iter().filter(|s| s.scrape.whole && !s.scrape.ids.is_empty());
                up.entry(with_name(b"up", &key.labels)).or_default().extend(sound.map(|s| s.scrape.t_ms));
            }
            let count = scrapes.len();
            self.follow(target, next_number, scrapes, rules)?;
            next_number += count + 1;
        }
        self.add_up(up);
        let mut series = Vec::with_capacity(self.series.len());
        for s in self.series {
            series.push(s.finish(&places, rules, &mut self.ledger)?);
        }
        series.retain(|s| !s.samples.is_empty());
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok((series, self.ledger))
    }

    /// Adds the scrapes of one target, which are numbered from `first` on, and a stale marker where a series is gone.
    fn follow(&mut self, target: usize, first: usize, scrapes: Vec<Seen>, rules: &Rules<'_>) -> Result<()> {
        let times: Vec<TimestampMs> = scrapes.iter().map(|s| s.scrape.t_ms).collect();
        let interval = rules.interval_ms.or_else(|| spacing(&times));
        let mut present: Vec<u32> = Vec::new();
        let mut last: Option<(TimestampMs, usize)> = None;
        let mut rest = scrapes.into_iter().peekable();
        let mut number = first;
        // Parts of one moment, such as two expositions behind each other, are one scrape.
        while let Some((t_ms, file)) = rest.peek().map(|s| (s.scrape.t_ms, s.file)) {
            let gap = last.map(|(t, from)| (t_ms.saturating_sub(t), from));
            let too_close = gap.filter(|(gap, _)| interval.is_some_and(|i| *gap < i / 4));
            let mut all = Vec::new();
            let mut all_whole = true;
            while let Some(part) = rest.next_if(|s| s.scrape.t_ms == t_ms) {
                let Scrape { ids, bits, starts, whole, .. } = part.scrape;
                for (at, (id, bits)) in ids.iter().zip(bits).enumerate() {
                    let Some(s) = self.series.get_mut(*id as usize) else { continue };
                    if s.seen == number {
                        return Err(twice(&s.labels, (file, part.file), rules, Some((0, None))));
                    }
                    if let Some((gap, from)) = too_close
                        && s.seen + 1 == number
                        && from != part.file
                    {
                        return Err(twice(&s.labels, (from, part.file), rules, Some((gap, interval))));
                    }
                    s.seen = number;
                    s.push(target, t_ms, bits, starts.get(at).copied().unwrap_or(0));
                }
                all.extend(ids);
                all_whole &= whole;
            }
            last = Some((t_ms, file));
            let mut gone = present;
            gone.retain(|id| self.series.get(*id as usize).is_some_and(|s| s.seen != number));
            present = all;
            if all_whole {
                for id in gone {
                    if let Some(s) = self.series.get_mut(id as usize) {
                        s.push(target, t_ms, STALE_NAN_BITS, 0);
                    }
                }
            } else {
                // What a damaged scrape does not show may have been on the lines that were lost.
                present.append(&mut gone);
            }
            number += 1;
        }
        Ok(())
    }

    /// Adds `up` = 1 for every scrape that was whole, unless the dumps say how the target was.
    fn add_up(&mut self, up: BTreeMap<Labels, Vec<TimestampMs>>) {
        for (labels, mut times) in up {
            if times.is_empty() {
                continue;
            }
            if self.by_labels.contains_key(&labels) {
                self.ledger.notes.push(format!("{labels} is in the dumps, so --assume-up adds nothing to it"));
                continue;
            }
            times.sort_unstable();
            times.dedup();
            let bits = vec![1f64.to_bits(); times.len()];
            let timed = Samples::new(times, bits);
            self.series.push(Building { labels, metadata: None, runs: Vec::new(), timed, seen: 0 });
        }
    }
}

impl Building {
    fn push(&mut self, target: usize, t_ms: TimestampMs, bits: u64, start: i64) {
        match self.runs.last_mut() {
            Some(run) if run.target == target => run.samples.push_with_start(t_ms, bits, start),
            _ => {
                let mut samples = Samples::default();
                samples.push_with_start(t_ms, bits, start);
                self.runs.push(Run { target, samples });
            }
        }
    }

    fn finish(
        mut self,
        places: &[Vec<(TimestampMs, usize)>],
        rules: &Rules<'_>,
        ledger: &mut Ledger,
    ) -> Result<DumpSeries> {
        self.runs.sort_by_key(|r| r.samples.ts.first().copied());
        for w in self.runs.windows(2) {
            let [a, b] = w else { continue };
            let (Some(end), Some(start)) = (a.samples.ts.last(), b.samples.ts.first()) else { continue };
            if start <= end {
                let file = |run: &Run, t: TimestampMs| {
                    let of = places.get(run.target)?;
                    of.get(of.partition_point(|(at, _)| *at < t)).map(|(_, file)| *file)
                };
                let first = file(a, a.samples.ts.first().copied().unwrap_or_default()).unwrap_or_default();
                return Err(twice(&self.labels, (first, file(b, *start).unwrap_or_default()), rules, None));
            }
        }
        let mut samples = Samples::default();
        for mut run in self.runs {
            samples.append(&mut run.samples);
        }
        let scraped = samples.ts.first().zip(samples.ts.last()).map(|(first, last)| Interval::new(*first, *last));
        if !self.timed.is_empty() {
            samples.append(&mut self.timed);
            samples = in_order(samples, &self.labels, ledger);
        }
        samples.ts.shrink_to_fit();
        samples.bits.shrink_to_fit();
        Ok(DumpSeries { labels: self.labels, metadata: self.metadata, samples, scraped })
    }
}

/// Whether a counter has less than when it was last seen, or the process another start: a target that began anew lacks what
/// it has not counted yet.
fn began_anew(scrape: &Scrape, series: &[Building], counters: &mut HashMap<u32, f64>) -> bool {
    let mut anew = false;
    for (id, bits) in scrape.ids.iter().zip(&scrape.bits) {
        let Some(of) = series.get(*id as usize) else { continue };
        let is_counter = of.metadata.as_ref().is_some_and(|[kind, ..]| kind == "counter");
        let is_start = of.labels.get(METRIC_NAME) == b"process_start_time_seconds";
        if is_counter || is_start {
            let value = f64::from_bits(*bits);
            let before = counters.insert(*id, value);
            anew |= before.is_some_and(|before| if is_start { before != value } else { value < before });
        }
    }
    anew
}

/// Takes what seems to be cut at the end of a line for damaged, and adds a loss for each.
fn mark_cut(scrapes: &mut [Seen], series: &[Building], rules: &Rules<'_>, ledger: &mut Ledger) {
    let mut counters: HashMap<u32, f64> = HashMap::new();
    let moments: Vec<Moment<'_>> = scrapes
        .chunk_by(|a, b| a.scrape.t_ms == b.scrape.t_ms)
        .map(|parts| {
            // In this order: all counters are looked at.
            let restarted = parts.iter().filter(|p| began_anew(&p.scrape, series, &mut counters)).count() > 0;
            Moment {
                ids: match parts {
                    [one] => Cow::Borrowed(one.scrape.lines()),
                    parts => parts.iter().flat_map(|p| p.scrape.lines()).copied().collect(),
                },
                whole: parts.iter().all(|p| p.scrape.whole),
                closed: restarted || parts.last().is_none_or(|p| p.scrape.closed),
            }
        })
        .collect();
    let lacking: BTreeMap<usize, usize> = cut_at_a_line(&moments).into_iter().collect();
    let moments = scrapes.chunk_by_mut(|a, b| a.scrape.t_ms == b.scrape.t_ms).enumerate();
    for (parts, lacks) in moments.filter_map(|(at, parts)| Some((parts, *lacking.get(&at)?))) {
        let Some(last) = parts.last() else { continue };
        let t_ms = last.scrape.t_ms;
        ledger.losses.push(Loss {
            file: rules.files.get(last.file).cloned().unwrap_or_default(),
            offset: None,
            kind: ErrorKind::Truncated,
            detail: format!(
                "it seems to be cut at the end of a line: {lacks} series that the dumps before and after have are not in it"
            ),
            series: None,
            interval: Some(Interval::new(t_ms, t_ms)),
            samples: Some(lacks as u64),
        });
        parts.iter_mut().for_each(|p| p.scrape.whole = false);
    }
}

/// The samples in strictly increasing time. Of samples with one time the first counts, as on a server that has it already.
fn in_order(samples: Samples, labels: &Labels, ledger: &mut Ledger) -> Samples {
    if samples.ts.windows(2).all(|w| matches!(w, [a, b] if a < b)) {
        return samples;
    }
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|at| samples.ts.get(*at).copied());
    let mut out = Samples::default();
    for at in order {
        let (Some(t_ms), Some(bits)) = (samples.ts.get(at), samples.bits.get(at)) else { continue };
        if out.ts.last() != Some(t_ms) {
            out.push_with_start(*t_ms, *bits, samples.start(at));
        } else if out.bits.last() == Some(bits) {
            ledger.duplicates += 1;
        } else {
            ledger.conflicts.push(Conflict { series: labels.clone(), t_ms: *t_ms });
        }
    }
    out
}

/// The spacing of times: the one that nine in ten neighbours do not exceed, so that neither moments that were saved several
/// times nor a few long gaps change it. `None` below three times, which have nothing to compare.
fn spacing(times: &[TimestampMs]) -> Option<DurationMs> {
    let mut gaps: Vec<DurationMs> =
        times.windows(2).filter_map(|w| Some(w.last()?.saturating_sub(*w.first()?))).collect();
    if gaps.len() < 2 {
        return None;
    }
    gaps.sort_unstable();
    gaps.get(gaps.len() * 9 / 10).copied()
}

fn with_name(name: &[u8], labels: &Labels) -> Labels {
    let named = Label { name: METRIC_NAME.into(), value: name.into() };
    Labels::normalized(labels.iter().cloned().chain([named]).collect()).0
}

/// What to do about a series that stands in two dumps.
pub(super) const COLLISION: &str = "one moment saved in two formats, or the same dump twice: read one of them, such as with --include '*.om'; two targets: tell them apart with --label 'GLOB:instance=…' or --label-from-path; one target that was dumped unevenly: say how close with --dump-interval";

/// The error about a series that stands in two files at one moment, or over the same time.
fn twice(
    labels: &Labels,
    (a, b): (usize, usize),
    rules: &Rules<'_>,
    close: Option<(DurationMs, Option<DurationMs>)>,
) -> Error {
    let name = |file: usize| rules.files.get(file).map(|f| printable(f)).unwrap_or_default();
    let message = match close {
        Some((gap, interval)) => {
            let usual = interval.map(|i| format!(", while dumps are {} apart", human_duration(i))).unwrap_or_default();
            let apart = if gap == 0 { "at the same time".to_owned() } else { format!("{} apart", human_duration(gap)) };
            format!("{labels} is in {} and in {}, {apart}{usual}", name(a), name(b))
        }
        None => format!("{labels} is in {} and in {}, whose files cover the same time", name(a), name(b)),
    };
    let second = Path::new(rules.files.get(b).map_or("", String::as_str));
    Error::new(ErrorKind::Ambiguous, message).at(second).hint(match rules.time_from {
        Some(TimeRule::Mtime) => format!("--time-from mtime, where copying or unpacking gave all files one time: take their times from names or a manifest.json; {COLLISION}"),
        Some(TimeRule::Fixed(_)) => format!("--time-from gave all files one time: take it from names or a manifest.json, or read one file; {COLLISION}"),
        _ => COLLISION.to_owned(),
    })
}
