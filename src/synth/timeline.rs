//! When a target is scraped, and what the scrapes find: the process, no answer, or nobody asked.

use std::ops::Range;

use serde::Serialize;

use super::chance::{Key, Random};
use crate::time::{DurationMs, TimestampMs};

const MINUTE_MS: DurationMs = 60_000;
const HOUR_MS: DurationMs = 60 * MINUTE_MS;
/// Events begin this long after the start of a day and end before the next one, so that those of one kind never overlap.
const QUIET_MS: DurationMs = 3 * HOUR_MS;
const EVENTFUL_MS: u64 = 18 * HOUR_MS as u64;
/// A day.
pub const DAY_MS: DurationMs = 24 * HOUR_MS;
/// A process answers this long after its start.
const STARTING_MS: DurationMs = 1_000;

/// A half-open stretch of time, `[from_ms, to_ms)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// First millisecond.
    pub from_ms: TimestampMs,
    /// End, excluded.
    pub to_ms: TimestampMs,
}

/// The times at which a target is scraped, numbered from 0. One scrape in 50 is late by up to 30 ms, as on a loaded server.
#[derive(Debug, Clone, Copy)]
pub struct Scrapes {
    first_ms: TimestampMs,
    interval_ms: DurationMs,
    key: Key,
}

impl Scrapes {
    /// Scrapes of a target from `start_ms` on, `interval_ms` (at least 1 s) apart; the first within an interval.
    pub fn new(key: Key, start_ms: TimestampMs, interval_ms: DurationMs) -> Scrapes {
        let offset = Random::new(key.part(0)).below(interval_ms as u64 / 2) as i64;
        Scrapes { first_ms: start_ms + offset, interval_ms, key: key.part(1) }
    }

    /// The time of a scrape; strictly increasing.
    #[inline]
    pub fn time(&self, scrape: u64) -> TimestampMs {
        let bits = self.key.bits(scrape);
        // The high bits choose the scrape, the low ones the delay.
        let late = if bits >> 32 < (1 << 32) / 50 { ((bits & 0xffff) * 31) >> 16 } else { 0 };
        self.first_ms + scrape as i64 * self.interval_ms + late as i64
    }

    /// The first scrape at or after `t_ms`.
    pub fn first_at(&self, t_ms: TimestampMs) -> u64 {
        let on_time = (t_ms - self.first_ms).max(0) as u64;
        let next = on_time.div_ceil(self.interval_ms as u64);
        // The one before may be late.
        match next.checked_sub(1) {
            Some(before) if self.time(before) >= t_ms => before,
            _ => next,
        }
    }

    /// The scrapes in `[from_ms, to_ms)`.
    pub fn within(&self, span: Span) -> Range<u64> {
        self.first_at(span.from_ms)..self.first_at(span.to_ms)
    }
}

/// One process of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it started, in whole hundredths of a second, as processes expose it.
    pub start_ms: TimestampMs,
    /// When it died; `i64::MAX` if it outlives the data.
    pub end_ms: TimestampMs,
}

/// What a scrape finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The process answers.
    Seen,
    /// Nothing answers: `up` is 0.
    Failed,
    /// The server itself is away: no scrape, no sample, no stale marker.
    Unasked,
}

/// Neighbouring scrapes that find the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The scrapes.
    pub scrapes: Range<u64>,
    /// What they find.
    pub sight: Sight,
    /// The process that lives, or the last one that did.
    pub life: usize,
    /// Whether it lives.
    pub alive: bool,
}

/// All that happens to one target.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// When it is scraped.
    pub scrapes: Scrapes,
    /// Its processes in order of time; the first began before the data.
    pub lives: Vec<Life>,
    /// When the process lives and cannot be reached.
    pub unreachable: Vec<Span>,
    /// In order, without holes, from scrape 0 on.
    runs: Vec<Run>,
}

/// When the server itself is away: on one day in four, for 2 to 45 minutes.
pub fn server_gaps(key: Key, span: Span) -> Vec<Span> {
    let mut random = Random::new(key);
    let mut gaps = Vec::new();
    for day in days(span) {
        if random.one_in(4) {
            gaps.push(eventful(&mut random, day, 2 * MINUTE_MS, 45 * MINUTE_MS));
        }
    }
    gaps
}

/// The starts of the days of `span`.
fn days(span: Span) -> impl Iterator<Item = TimestampMs> {
    (0..).map(move |n| span.from_ms + n * DAY_MS).take_while(move |t| *t < span.to_ms)
}

/// A stretch of `least` to `most` ms inside a day, in whole hundredths of a second.
fn eventful(random: &mut Random, day: TimestampMs, least: DurationMs, most: DurationMs) -> Span {
    let hundredths = |ms: i64| ms.div_euclid(10) * 10;
    let from_ms = hundredths(day + QUIET_MS + random.below(EVENTFUL_MS) as i64);
    let length = least + random.below((most - least) as u64) as i64;
    Span { from_ms, to_ms: from_ms + hundredths(length) }
}

impl Timeline {
    /// Plans what happens to a target in `span`: each day has a restart, and cannot-be-reached time, once in `rarity` days.
    pub fn plan(key: Key, span: Span, interval_ms: DurationMs, gaps: &[Span], rarity: u64) -> Timeline {
        let mut random = Random::new(key.part(0));
        let born = span.from_ms - MINUTE_MS - random.below(30 * DAY_MS as u64) as i64;
        let mut lives = vec![Life { start_ms: born.div_euclid(10) * 10, end_ms: i64::MAX }];
        let mut unreachable = Vec::new();
        for day in days(span) {
            if random.one_in(rarity) {
                let quick = random.one_in(3);
                let (least, most) = if quick { (500, 5_000) } else { (MINUTE_MS, 30 * MINUTE_MS) };
                let dead = eventful(&mut random, day, least, most);
                if let Some(life) = lives.last_mut() {
                    life.end_ms = dead.from_ms;
                }
                lives.push(Life { start_ms: dead.to_ms, end_ms: i64::MAX });
            }
            if random.one_in(rarity) {
                unreachable.push(eventful(&mut random, day, interval_ms, interval_ms + 40 * MINUTE_MS));
            }
        }
        let scrapes = Scrapes::new(key.part(1), span.from_ms, interval_ms);
        let runs = runs(&scrapes, &lives, &unreachable, gaps);
        Timeline { scrapes, lives, unreachable, runs }
    }

    /// The runs of scrapes inside `scrapes`, cut at its edges.
    pub fn runs(&self, scrapes: Range<u64>) -> impl Iterator<Item = Run> {
        let first = self.runs.partition_point(|r| r.scrapes.end <= scrapes.start);
        let inside = self.runs.get(first..).unwrap_or_default().iter();
        inside.map_while(move |r| {
            let cut = r.scrapes.start.max(scrapes.start)..r.scrapes.end.min(scrapes.end);
            (cut.start < cut.end).then(|| Run { scrapes: cut, ..r.clone() })
        })
    }

    /// What `process_start_time_seconds` of a life says.
    pub fn start_seconds(&self, life: usize) -> f64 {
        self.lives.get(life).map_or(0.0, |l| l.start_ms as f64 / 1000.0)
    }

    /// The run of one scrape, cut to it.
    pub fn at(&self, scrape: u64) -> Option<Run> {
        self.runs(scrape..scrape + 1).next()
    }
}

fn runs(scrapes: &Scrapes, lives: &[Life], unreachable: &[Span], gaps: &[Span]) -> Vec<Run> {
    let dead = lives.windows(2).filter_map(|w| match w {
        [before, after] => Some(Span { from_ms: before.end_ms, to_ms: after.start_ms + STARTING_MS }),
        _ => None,
    });
    let dead: Vec<Range<u64>> = dead.map(|s| scrapes.within(s)).collect();
    let unreachable: Vec<Range<u64>> = unreachable.iter().map(|s| scrapes.within(*s)).collect();
    let gaps: Vec<Range<u64>> = gaps.iter().map(|s| scrapes.within(*s)).collect();
    let mut cuts: Vec<u64> = [0, u64::MAX].to_vec();
    cuts.extend(dead.iter().chain(&unreachable).chain(&gaps).flat_map(|r| [r.start, r.end]));
    cuts.sort_unstable();
    cuts.dedup();
    let state = |scrapes: Range<u64>| {
        let among = |list: &[Range<u64>]| list.iter().any(|r| r.contains(&scrapes.start));
        let sight = match (among(&gaps), among(&dead) || among(&unreachable)) {
            (true, _) => Sight::Unasked,
            (false, true) => Sight::Failed,
            (false, false) => Sight::Seen,
        };
        let life = dead.iter().filter(|r| r.end <= scrapes.start).count();
        Run { sight, life, alive: !among(&dead), scrapes }
    };
    let pairs = cuts.windows(2).filter_map(|w| match w {
        [from, to] => Some(*from..*to),
        _ => None,
    });
    pairs.map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Span = Span { from_ms: 1_000 * DAY_MS, to_ms: 1_007 * DAY_MS };

    #[test]
    fn scrapes_increase_and_are_found_by_time() {
        let scrapes = Scrapes::new(Key::new(3), WEEK.from_ms, 15_000);
        let times: Vec<i64> = (0..2_000).map(|k| scrapes.time(k)).collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]));
        assert!(times[0] >= WEEK.from_ms && times[0] < WEEK.from_ms + 15_000);
        let late = times.iter().enumerate().filter(|(k, t)| (**t - scrapes.first_ms) != *k as i64 * 15_000).count();
        assert!((20..80).contains(&late), "{late} of 2000 are late");
        for (k, t) in times.iter().enumerate() {
            assert_eq!(scrapes.first_at(*t), k as u64);
            assert_eq!(scrapes.first_at(*t + 1), k as u64 + 1);
        }
        assert_eq!(scrapes.first_at(i64::MIN / 2), 0);
    }

    #[test]
    fn runs_are_what_the_events_say() {
        let mut sights = [0, 0, 0];
        for seed in 0..40 {
            let gaps = server_gaps(Key::new(seed), WEEK);
            let timeline = Timeline::plan(Key::new(seed).part(1), WEEK, 15_000, &gaps, 2);
            let all = timeline.scrapes.within(WEEK);
            let mut next = 0;
            for run in timeline.runs(all.clone()) {
                assert_eq!(run.scrapes.start, next);
                next = run.scrapes.end;
                for k in run.scrapes.clone() {
                    let t = timeline.scrapes.time(k);
                    let inside = |spans: &[Span]| spans.iter().any(|s| s.from_ms <= t && t < s.to_ms);
                    let life = timeline.lives.iter().rposition(|l| l.start_ms + STARTING_MS <= t).unwrap();
                    assert_eq!((run.life, run.alive), (life, t < timeline.lives[life].end_ms), "{run:?}");
                    let sight = match (inside(&gaps), run.alive && !inside(&timeline.unreachable)) {
                        (true, _) => Sight::Unasked,
                        (false, true) => Sight::Seen,
                        (false, false) => Sight::Failed,
                    };
                    assert_eq!(run.sight, sight);
                    sights[sight as usize] += 1;
                }
                let middle = (run.scrapes.start + run.scrapes.end) / 2;
                assert_eq!(timeline.at(middle).unwrap(), Run { scrapes: middle..middle + 1, ..run });
            }
            assert_eq!(next, all.end);
        }
        assert!(sights.iter().all(|n| *n > 1_000), "{sights:?}");
    }
}
