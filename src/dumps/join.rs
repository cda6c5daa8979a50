//! Files into series: scrapes of a target in the order of time, with what a server adds between them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;

use super::building::Building;
use super::cut::{Moment, cut_at_a_line};
use super::ids::Ids;
use super::read::{Bundle, Contents, Oddity, Scrape};
use super::{DumpSeries, TimeRule};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Label, Labels, METRIC_NAME, printable};
use crate::loss::{Ledger, Loss, counted_noun};
use crate::sample::Samples;
use crate::time::{DurationMs, Interval, TimestampMs, human_duration};
use crate::tsdb::tombstones::merged;

/// What tells targets apart: the labels that their files were given, and the path of the files without its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetKey {
    pub(super) labels: Labels,
    pub(super) stream: String,
}

/// Which file a target's samples came from, by time, for errors.
#[derive(Default)]
struct Files(BTreeMap<usize, Vec<(TimestampMs, usize)>>);

impl Files {
    fn at(&self, target: usize, t_ms: TimestampMs) -> usize {
        let of = self.0.get(&target).map(Vec::as_slice).unwrap_or_default();
        of.get(of.partition_point(|(at, _)| *at < t_ms)).map_or(0, |(_, file)| *file)
    }
}

/// When a target was scraped as a whole, in strictly increasing time.
struct Up {
    target: usize,
    times: Vec<TimestampMs>,
}

/// A scrape of one target, its series by their position in [`Join::series`].
struct Seen {
    file: usize,
    scrape: Scrape,
}

/// The files of a SOURCE, one after the other.
#[derive(Default)]
pub(super) struct Join {
    by_labels: HashMap<Labels, u32>,
    series: Vec<Building>,
    target_ids: BTreeMap<TargetKey, usize>,
    /// The scrapes of each target.
    targets: Vec<Vec<Seen>>,
    /// The first file that has it, and how many do.
    oddities: BTreeMap<Oddity, (usize, usize)>,
    pub(super) ledger: Ledger,
    pub(super) depends_on_release: bool,
    pub(super) evaluated: bool,
}

/// Where series and targets of a bundle are among those of all files.
pub(super) struct Places {
    series: Vec<u32>,
    targets: Vec<usize>,
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

impl Rules<'_> {
    /// The path of a file.
    fn file(&self, position: usize) -> &str {
        self.files.get(position).map_or("", String::as_str)
    }
}

impl Join {
    /// Takes the series of the next files.
    pub(super) fn add_series(&mut self, bundle: Bundle) -> Places {
        self.depends_on_release |= bundle.depends_on_release;
        let targets: Vec<usize> = bundle.targets.into_iter().map(|key| self.target(key)).collect();
        let mut series = Vec::with_capacity(bundle.series.len());
        for s in bundle.series {
            let next = self.series.len() as u32;
            let id = *self.by_labels.entry(s.labels.clone()).or_insert(next);
            if id == next {
                self.series.push(Building::new(s.labels.clone()));
            }
            if let Some(of) = self.series.get_mut(id as usize) {
                of.append(s, &targets);
            }
            series.push(id);
        }
        Places { series, targets }
    }

    fn target(&mut self, key: TargetKey) -> usize {
        let next = self.targets.len();
        let target = *self.target_ids.entry(key).or_insert(next);
        if target == next {
            self.targets.push(Vec::new());
        }
        target
    }

    /// Takes what else the file at position `file` holds, whose series and target are at these places.
    pub(super) fn add(&mut self, file: usize, places: &Places, contents: Contents) {
        self.evaluated |= contents.evaluated;
        self.ledger.losses.extend(contents.losses);
        self.ledger.notes.extend(contents.notes);
        for oddity in contents.oddities {
            self.oddities.entry(oddity).or_insert((file, 0)).1 += 1;
        }
        let target = places.targets.get(contents.target).copied().unwrap_or_default();
        let Some(of) = self.targets.get_mut(target) else { return };
        let placed = |ids: &Ids| ids.iter().filter_map(|id| places.series.get(id as usize).copied()).collect();
        for mut scrape in contents.scrapes {
            (scrape.ids, scrape.order) = (placed(&scrape.ids), placed(&scrape.order));
            of.push(Seen { file, scrape });
        }
    }

    /// The series in label order.
    ///
    /// Errs where a series stands twice at one moment, or comes from files of several targets at overlapping times.
    pub(super) fn finish(mut self, rules: &Rules<'_>) -> Result<(Vec<DumpSeries>, Ledger)> {
        for (oddity, (first, count)) in std::mem::take(&mut self.oddities) {
            let first = printable(rules.file(first));
            let count = counted_noun(count, "file", "files");
            self.ledger.notes.push(format!("{count} {} (first: {first})", oddity.words()));
        }
        let mut up: BTreeMap<Labels, Vec<Up>> = BTreeMap::new();
        let mut in_pauses = 0;
        let mut places = Files::default();
        let mut seen = vec![0; self.series.len()];
        let mut next_number = 1;
        for (key, target) in std::mem::take(&mut self.target_ids) {
            let mut scrapes = self.targets.get_mut(target).map(std::mem::take).unwrap_or_default();
            scrapes.sort_by_key(|s| (s.scrape.t_ms, s.file));
            mark_cut(&mut scrapes, target, &self.series, rules, &mut self.ledger);
            places.0.insert(target, scrapes.iter().map(|s| (s.scrape.t_ms, s.file)).collect());
            let sound = rules.assume_up.then(|| sound(&scrapes));
            let count = scrapes.len();
            self.follow(target, &mut seen, next_number, scrapes, rules)?;
            next_number += count + 1;
            if let Some(mut sound) = sound {
                let pauses = pauses(target, &self.series);
                let all = sound.len();
                sound.retain(|t| {
                    let next = pauses.get(pauses.partition_point(|pause| pause.end < *t));
                    !next.is_some_and(|pause| pause.contains(*t))
                });
                in_pauses += all - sound.len();
                if !sound.is_empty() {
                    up.entry(with_name(b"up", &key.labels)).or_default().push(Up { target, times: sound });
                }
            }
        }
        if in_pauses > 0 {
            let scrapes = counted_noun(in_pauses, "scrape", "scrapes");
            self.ledger.notes.push(format!("--assume-up adds no `up` at {scrapes} without counters of a process that did not start anew: that they come back is no birth"));
        }
        for s in &mut self.series {
            if let Some([(a, first), (b, second)]) = s.overlap() {
                return Err(twice(&s.labels, (places.at(a, first), places.at(b, second)), rules, None));
            }
        }
        self.add_up(up, &places, rules)?;
        let finished: Vec<(DumpSeries, Ledger)> = self.series.into_par_iter().map(Building::finish).collect();
        let mut series = Vec::with_capacity(finished.len());
        for (s, ledger) in finished {
            self.ledger.absorb(ledger);
            series.extend(Some(s).filter(|s| s.interval().is_some()));
        }
        series.par_sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok((series, self.ledger))
    }

    /// Goes over the scrapes of one target, which are numbered from `first` on, and ends a series where it is gone. `seen` has the
    /// number of the scrape that each series was last seen in, counted over all targets from 1; 0 before.
    fn follow(
        &mut self,
        target: usize,
        seen: &mut [usize],
        first: usize,
        scrapes: Vec<Seen>,
        rules: &Rules<'_>,
    ) -> Result<()> {
        let times: Vec<TimestampMs> = scrapes.iter().map(|s| s.scrape.t_ms).collect();
        let interval = rules.interval_ms.or_else(|| spacing(&times));
        let labels = |id: u32| self.series.get(id as usize).map(|s| s.labels.clone()).unwrap_or_default();
        let mut present: Vec<u32> = Vec::new();
        let mut last: Option<(TimestampMs, usize)> = None;
        let mut rest = scrapes.into_iter().peekable();
        let mut number = first;
        let mut ends: Vec<(u32, TimestampMs)> = Vec::new();
        // Parts of one moment, such as two expositions behind each other, are one scrape.
        while let Some((t_ms, file)) = rest.peek().map(|s| (s.scrape.t_ms, s.file)) {
            let gap = last.map(|(t, from)| (t_ms.saturating_sub(t), from));
            let too_close = gap.filter(|(gap, _)| interval.is_some_and(|i| *gap < i / 4));
            let mut all = Vec::new();
            let mut all_whole = true;
            while let Some(part) = rest.next_if(|s| s.scrape.t_ms == t_ms) {
                for id in part.scrape.ids.iter() {
                    let Some(last_seen) = seen.get_mut(id as usize) else { continue };
                    if *last_seen == number {
                        return Err(twice(&labels(id), (file, part.file), rules, Some((0, None))));
                    }
                    if let Some((gap, from)) = too_close
                        && *last_seen + 1 == number
                        && from != part.file
                    {
                        return Err(twice(&labels(id), (from, part.file), rules, Some((gap, interval))));
                    }
                    *last_seen = number;
                    all.push(id);
                }
                all_whole &= part.scrape.whole;
            }
            last = Some((t_ms, file));
            let mut gone = present;
            gone.retain(|id| seen.get(*id as usize).is_some_and(|seen| *seen != number));
            present = all;
            if all_whole {
                ends.extend(gone.into_iter().map(|id| (id, t_ms)));
            } else {
                // What a damaged scrape does not show may have been on the lines that were lost.
                present.append(&mut gone);
            }
            number += 1;
        }
        for (id, t_ms) in ends {
            self.series.get_mut(id as usize).into_iter().for_each(|s| s.end(target, t_ms));
        }
        Ok(())
    }

    /// Adds `up` = 1 for every scrape that was whole, unless the dumps say how the target was. Errs where that of several targets
    /// would be one series: one of them would hide that the other was not scraped.
    fn add_up(&mut self, up: BTreeMap<Labels, Vec<Up>>, places: &Files, rules: &Rules<'_>) -> Result<()> {
        for (labels, mut of) in up {
            if self.by_labels.contains_key(&labels) {
                self.ledger.notes.push(format!("{labels} is in the dumps, so --assume-up adds nothing to it"));
                continue;
            }
            of.sort_by_key(|one| one.times.first().copied());
            if let Some([a, b]) = of.array_windows().find(|[a, b]| a.times.last() >= b.times.first()) {
                let [a, b] = [a, b].map(|up| up.times.first().map_or(0, |t| places.at(up.target, *t)));
                let [first, second] = [a, b].map(|file| rules.file(file));
                let message = format!(
                    "--assume-up would add {labels} for {} and for {}, whose files cover the same time, as if they were of one target",
                    printable(first),
                    printable(second)
                );
                return Err(Error::new(ErrorKind::Ambiguous, message).at(Path::new(second)).hint(COLLISION));
            }
            let mut up = Building::new(labels);
            let times = of.into_iter().flat_map(|one| one.times);
            times.for_each(|t_ms| up.timed.push(t_ms, 1f64.to_bits(), 0));
            self.series.push(up);
        }
        Ok(())
    }
}

/// When scrapes, which are in the order of time, show what their target exposed, in strictly increasing time. An empty file may be
/// what a client left that reached nobody.
fn sound(scrapes: &[Seen]) -> Vec<TimestampMs> {
    let sound = scrapes.iter().filter(|s| s.scrape.whole && !s.scrape.ids.is_empty());
    let mut times: Vec<TimestampMs> = sound.map(|s| s.scrape.t_ms).collect();
    times.dedup();
    times
}

/// The times at which a counter of a target has less than when it was last seen, or the process another start: a target that
/// began anew lacks what it has not counted yet.
fn begun_anew(target: usize, series: &[Building]) -> BTreeSet<TimestampMs> {
    let changes = |s: &Building| {
        let is_start = s.is_process_start();
        let samples = if s.is_counter() || is_start { s.scraped(target) } else { None }.unwrap_or_default();
        let is_anew = |before: f64, value: f64| if is_start { before != value } else { value < before };
        let later = samples.iter().skip(1).zip(&samples.bits);
        let anew = later.filter(|((_, bits), before)| is_anew(f64::from_bits(**before), f64::from_bits(*bits)));
        anew.map(|((t_ms, _), _)| t_ms).collect::<Vec<_>>()
    };
    series.iter().flat_map(changes).collect()
}

/// When counters of a target were gone and came back, no lower, in a process that did not start anew: from the first scrape
/// without one to before it came back, in order and disjoint.
fn pauses(target: usize, series: &[Building]) -> Vec<Interval> {
    let starts: Vec<Samples> =
        series.iter().filter(|s| s.is_process_start()).filter_map(|s| s.scraped(target)).collect();
    let value = |samples: &Samples, t: TimestampMs| {
        let at = samples.upper_bound(t).checked_sub(1)?;
        samples.bits.get(at).map(|bits| f64::from_bits(*bits))
    };
    let is_same_process =
        |a, b| !starts.is_empty() && starts.iter().all(|s| value(s, a).is_some_and(|v| value(s, b) == Some(v)));
    let mut out = Vec::new();
    for s in series.iter().filter(|s| s.is_counter()) {
        let Some(run) = s.runs.iter().find(|r| r.target == target && !r.stale.is_empty()) else { continue };
        let samples = s.scraped(target).unwrap_or_default();
        for gone in &run.stale {
            let next = samples.upper_bound(*gone);
            let time = |at: usize| samples.ts.get(at).copied();
            let Some((last, back)) = next.checked_sub(1).and_then(time).zip(time(next)) else { continue };
            let is_lower = value(&samples, last).zip(value(&samples, back)).is_none_or(|(a, b)| b < a);
            if !is_lower && is_same_process(last, back) {
                out.push(Interval::new(*gone, back - 1));
            }
        }
    }
    merged(out)
}

/// Dumps that end at the same line by chance are fewer.
const REPEATED: usize = 3;

/// Those of the moments that seem to be cut of which several end with one series and lack as much behind it: their target shows
/// less at times, such as a metric that comes and goes.
fn ends_that_repeat(moments: &[Moment<'_>], lacking: &[(usize, usize)]) -> Vec<usize> {
    let mut by_end: BTreeMap<(Option<u32>, usize), Vec<usize>> = BTreeMap::new();
    for (at, lacks) in lacking {
        let end = moments.get(*at).and_then(|m| m.ids.last());
        by_end.entry((end, *lacks)).or_default().push(*at);
    }
    let mut repeated: Vec<usize> = by_end.into_values().filter(|of| of.len() >= REPEATED).flatten().collect();
    repeated.sort_unstable();
    repeated
}

/// The first part of the moment at a position.
fn scrapes_at(scrapes: &[Seen], moment: usize) -> Option<&Seen> {
    scrapes.chunk_by(|a, b| a.scrape.t_ms == b.scrape.t_ms).nth(moment)?.first()
}

/// Takes what seems to be cut at the end of a line for damaged, and adds a loss for each.
fn mark_cut(scrapes: &mut [Seen], target: usize, series: &[Building], rules: &Rules<'_>, ledger: &mut Ledger) {
    let mut moments: Vec<Moment<'_>> = scrapes
        .chunk_by(|a, b| a.scrape.t_ms == b.scrape.t_ms)
        .map(|parts| Moment {
            ids: match parts {
                [one] => Cow::Borrowed(one.scrape.lines()),
                parts => Cow::Owned(parts.iter().flat_map(|p| p.scrape.lines().iter()).collect()),
            },
            whole: parts.iter().all(|p| p.scrape.whole),
            closed: parts.last().is_none_or(|p| p.scrape.closed),
        })
        .collect();
    let mut lacking = cut_at_a_line(&moments);
    let flickers = ends_that_repeat(&moments, &lacking);
    if !flickers.is_empty() {
        let first = flickers.iter().find_map(|at| scrapes_at(scrapes, *at)).map_or("", |s| rules.file(s.file));
        ledger.notes.push(format!(
            "{} show less than those before and after, at least {REPEATED} each behind one and the same series, and so are not taken for cut at the end of a line (first: {})",
            counted_noun(flickers.len(), "dump", "dumps"),
            printable(first)
        ));
        for at in flickers {
            moments.get_mut(at).into_iter().for_each(|m| m.closed = true);
        }
    }
    if !lacking.is_empty() {
        let anew = begun_anew(target, series);
        let times = scrapes.chunk_by(|a, b| a.scrape.t_ms == b.scrape.t_ms).filter_map(|parts| parts.first());
        for (moment, seen) in moments.iter_mut().zip(times) {
            moment.closed |= anew.contains(&seen.scrape.t_ms);
        }
        lacking = cut_at_a_line(&moments);
    }
    let lacking: BTreeMap<usize, usize> = lacking.into_iter().collect();
    let moments = scrapes.chunk_by_mut(|a, b| a.scrape.t_ms == b.scrape.t_ms).enumerate();
    for (parts, lacks) in moments.filter_map(|(at, parts)| Some((parts, *lacking.get(&at)?))) {
        let Some(last) = parts.last() else { continue };
        let t_ms = last.scrape.t_ms;
        ledger.losses.push(Loss {
            file: rules.file(last.file).to_owned(),
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

/// The spacing of times: the one that three in four neighbours do not exceed, so that neither moments that were saved several
/// times nor long gaps change it. `None` below three times, which have nothing to compare.
fn spacing(times: &[TimestampMs]) -> Option<DurationMs> {
    let mut gaps: Vec<DurationMs> =
        times.windows(2).filter_map(|w| Some(w.last()?.saturating_sub(*w.first()?))).collect();
    if gaps.len() < 2 {
        return None;
    }
    gaps.sort_unstable();
    gaps.get(gaps.len() * 3 / 4).copied()
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
    let name = |file: usize| printable(rules.file(file));
    let message = match close {
        Some((gap, interval)) => {
            let usual =
                interval.map(|i| format!(", while most dumps are {} apart", human_duration(i))).unwrap_or_default();
            let apart = if gap == 0 { "at the same time".to_owned() } else { format!("{} apart", human_duration(gap)) };
            format!("{labels} is in {} and in {}, {apart}{usual}", name(a), name(b))
        }
        None => format!("{labels} is in {} and in {}, whose files cover the same time", name(a), name(b)),
    };
    let second = Path::new(rules.file(b));
    Error::new(ErrorKind::Ambiguous, message).at(second).hint(match rules.time_from {
        Some(TimeRule::Mtime) => format!("--time-from mtime, where copying or unpacking gave all files one time: take their times from names or a manifest.json; {COLLISION}"),
        Some(TimeRule::Fixed(_)) => format!("--time-from gave all files one time: take it from names or a manifest.json, or read one file; {COLLISION}"),
        _ => COLLISION.to_owned(),
    })
}
