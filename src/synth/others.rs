//! The series beside the recommender's: other services, 250 series a target.
//!
//! Labels are such that the series come out in label order by counting: metric, target, bucket, revision. So they are
//! made while they are written, and only one number per series lives from block to block.

use std::ops::Range;

use rayon::prelude::*;

use super::Encoded;
use super::chance::Key;
use super::kind::{Kind, Motion};
use super::timeline::{DAY_MS, Run, Sight, Span, Timeline};
use crate::labels::Labels;
use crate::sample::STALE_NAN_BITS;
use crate::time::{DurationMs, TimestampMs};
use crate::tsdb::write::SeriesEncoder;

/// Series of a target.
pub const PER_TARGET: usize = 250;
/// Series of a target come in groups of so many, each with the whole mix.
const GROUP: usize = 10;
/// Restarts and outages of a target: once in so many days.
const RARITY: u64 = 10;
/// Targets take turns among so many jobs.
const JOBS: usize = 20;

/// What a series shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// Whether the scrape succeeded.
    Up,
    /// When the process started.
    ProcessStart,
    Values(Kind),
}

/// A series that every target has: `up`, the start of its process, or one of its metrics.
#[derive(Debug, Clone)]
struct Template {
    name: String,
    /// The bound of a bucket, else empty.
    le: &'static str,
    shows: Shows,
    /// Targets with few series have those of low rank.
    rank: usize,
    /// Series of one metric change together.
    metric: u64,
}

/// The templates in label order: of ten, six are counters and buckets, three gauges, one constant.
fn templates() -> Vec<Template> {
    let mut all = Vec::with_capacity(PER_TARGET);
    for group in 0..PER_TARGET / GROUP {
        let constant = match group {
            0 => ("up".to_owned(), Shows::Up),
            1 => ("process_start_time_seconds".to_owned(), Shows::ProcessStart),
            _ => (format!("queue_{group:02}_limit"), Shows::Values(Kind::Constant)),
        };
        let value = |name: &str, kind| (name.replace('#', &format!("{group:02}")), Shows::Values(kind));
        let members = [
            (constant, "", 0),
            (value("jobs_#_total", Kind::Busy), "", 1),
            (value("pool_#_load", Kind::Gauge), "", 2),
            (value("calls_#_seconds_bucket", Kind::Bucket(400)), "0.1", 3),
            (value("calls_#_seconds_bucket", Kind::Bucket(1024)), "+Inf", 3),
            (value("calls_#_seconds_bucket", Kind::Bucket(900)), "1.0", 3),
            (value("heap_#_megabytes", Kind::Gauge), "", 4),
            (value("calls_#_seconds_count", Kind::Bucket(1024)), "", 3),
            (value("retries_#_total", Kind::Idle), "", 5),
            (value("lag_#_seconds", Kind::Gauge), "", 6),
        ];
        for (i, ((name, shows), le, metric)) in members.into_iter().enumerate() {
            let (rank, metric) = (group * GROUP + i, (group * GROUP) as u64 + metric);
            all.push(Template { name, le, shows, rank, metric });
        }
    }
    all.sort_by(|a, b| (&a.name, a.le).cmp(&(&b.name, b.le)));
    all
}

/// A target with its first `count` series by rank.
#[derive(Debug)]
struct Target {
    key: Key,
    timeline: Timeline,
    count: usize,
}

/// All series beside the recommender's.
#[derive(Debug)]
pub struct Others {
    templates: Vec<Template>,
    targets: Vec<Target>,
    start_ms: TimestampMs,
    /// How long a series lives until another one takes its place; `None` for ever.
    lifetime_ms: Option<DurationMs>,
}

/// The state of every place after the last block, by target and rank.
#[derive(Debug)]
pub struct States(Vec<i64>);

impl States {
    /// Keeps the states of series that go on in the next block.
    pub fn keep(&mut self, made: &[Made]) {
        for (place, state) in made.iter().filter_map(|m| m.state) {
            if let Some(kept) = self.0.get_mut(place) {
                *kept = state;
            }
        }
    }
}

/// One series in one block, still to be made.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    number: usize,
    target: &'a Target,
    template: &'a Template,
    /// How many series had this place before.
    revision: u64,
    /// Its scrapes in the block. A stale marker may follow.
    scrapes: Range<u64>,
    /// It was born in the block.
    new: bool,
    /// It ends at this scrape of the block, which another one shows in its place.
    ends_at: Option<u64>,
}

/// One series in one block, made.
#[derive(Debug)]
pub struct Made {
    /// What is written.
    pub encoded: Encoded,
    /// The place of its state, and the state after the block; `None` if it ended inside.
    state: Option<(usize, i64)>,
}

impl Others {
    /// `count` series at any moment of `span`, of which the share `churn_ratio` is replaced each day.
    pub fn new(key: Key, span: Span, interval_ms: DurationMs, gaps: &[Span], count: usize, churn_ratio: f64) -> Others {
        let targets = (0..count.div_ceil(PER_TARGET)).into_par_iter().map(|number| {
            let key = key.part(number as u64);
            Target {
                key: key.part(1),
                timeline: Timeline::plan(key.part(0), span, interval_ms, gaps, RARITY),
                count: (count - number * PER_TARGET).min(PER_TARGET),
            }
        });
        let targets: Vec<Target> = targets.collect();
        Others {
            templates: templates(),
            targets,
            start_ms: span.from_ms,
            // Division and the cut to an integer are exact everywhere; a tiny share saturates.
            lifetime_ms: (churn_ratio > 0.0).then(|| (DAY_MS as f64 / churn_ratio) as DurationMs),
        }
    }

    /// The series of `[block.from_ms, block.to_ms)` in label order.
    pub fn items(&self, block: Span) -> impl Iterator<Item = Item<'_>> {
        // Buckets of one metric stand together and differ in a label behind the target's.
        let metrics = self.templates.chunk_by(|a, b| a.name == b.name);
        metrics.flat_map(move |metric| {
            let targets = self.targets.iter().enumerate();
            targets.flat_map(move |(number, target)| {
                let own = metric.iter().filter(|t| t.rank < target.count);
                own.flat_map(move |template| self.revisions(number, target, template, block))
            })
        })
    }

    /// The series that have one place during the block, one after the other.
    fn revisions<'a>(
        &'a self,
        number: usize,
        target: &'a Target,
        template: &'a Template,
        block: Span,
    ) -> impl Iterator<Item = Item<'a>> {
        let scrapes = &target.timeline.scrapes;
        let all = scrapes.within(block);
        let lifetime = self.lifetime_ms.filter(|_| matches!(template.shows, Shows::Values(_)));
        let phase = lifetime.map_or(0, |l| target.key.part(template.metric).below(0, l as u64) as i64);
        // The end of a revision; the first ends after a part of a lifetime.
        let end_ms = move |revision: u64| match lifetime {
            Some(l) => (self.start_ms + phase).saturating_add((revision as i64).saturating_mul(l)),
            None => i64::MAX,
        };
        let end = move |revision: u64| match end_ms(revision) {
            t if t >= block.to_ms => u64::MAX,
            t => scrapes.first_at(t),
        };
        // This one ended before the block, and may still have its marker there.
        let first = lifetime.map_or(0, |l| (block.from_ms - self.start_ms - phase).max(0) / l) as u64;
        (first..)
            .map_while(move |revision| {
                let begins = revision.checked_sub(1).map_or(0, end);
                (begins < all.end).then(|| (revision, begins, end(revision)))
            })
            .filter(move |(_, _, ends)| *ends >= all.start)
            .map(move |(revision, begins, ends)| Item {
                number,
                target,
                template,
                revision,
                scrapes: begins.max(all.start)..ends.min(all.end),
                new: begins >= all.start,
                ends_at: (ends < all.end).then_some(ends),
            })
    }

    /// The states before the first block.
    pub fn states(&self) -> States {
        States(vec![0; self.targets.len() * PER_TARGET])
    }

    /// Makes series; the result has the order of the items.
    pub fn make(&self, items: &[Item<'_>], states: &States) -> Vec<Made> {
        let make = |encoder: &mut SeriesEncoder, item: &Item<'_>| item.make(states, encoder);
        items.par_iter().map_init(SeriesEncoder::new, make).collect()
    }
}

impl Item<'_> {
    fn labels(&self) -> Labels {
        let (number, template) = (self.number, self.template);
        let (instance, job) = (format!("host-{number:05}:9100"), format!("service-{:02}", number % JOBS));
        let revision = match template.shows {
            Shows::Values(_) => format!("{:05}", self.revision),
            Shows::Up | Shows::ProcessStart => String::new(),
        };
        // Labels without a value are left out.
        Labels::from_pairs([
            ("__name__", template.name.as_str()),
            ("instance", &instance),
            ("job", &job),
            ("le", template.le),
            ("revision", &revision),
        ])
    }

    fn make(&self, states: &States, encoder: &mut SeriesEncoder) -> Made {
        let Target { key, timeline, .. } = self.target;
        let place = self.number * PER_TARGET + self.template.rank;
        let mut state = states.0.get(place).copied().unwrap_or_default();
        match self.template.shows {
            Shows::Up => self.up(encoder),
            Shows::ProcessStart => self.runs(encoder, |run, _, encoder| {
                let start = timeline.start_seconds(run.life).to_bits();
                let seen = run.scrapes.clone().filter(|_| run.sight == Sight::Seen);
                seen.for_each(|k| encoder.push(timeline.scrapes.time(k), start));
            }),
            Shows::Values(kind) => {
                let motion = Motion::new(kind, key.part(self.template.metric).part(self.revision));
                self.runs(encoder, |run, new, encoder| {
                    if new {
                        // Only what ran before the data has counted already.
                        let ran = run.life == 0 && self.revision == 0;
                        state = if ran { motion.running() } else { motion.beginning() };
                    }
                    let scrapes = if run.alive { run.scrapes.clone() } else { 0..0 };
                    let seen = run.sight == Sight::Seen;
                    motion.walk(&mut state, scrapes, |k, bits| {
                        if seen {
                            encoder.push(timeline.scrapes.time(k), bits);
                        }
                    });
                });
            }
        }
        let encoded = Encoded { labels: self.labels(), chunks: encoder.finish() };
        Made { encoded, state: self.ends_at.is_none().then_some((place, state)) }
    }

    /// Whether each scrape succeeded; never stale, since the target stays.
    fn up(&self, encoder: &mut SeriesEncoder) {
        let timeline = &self.target.timeline;
        for run in timeline.runs(self.scrapes.clone()).filter(|r| r.sight != Sight::Unasked) {
            let up = if run.sight == Sight::Seen { 1f64 } else { 0f64 }.to_bits();
            run.scrapes.for_each(|k| encoder.push(timeline.scrapes.time(k), up));
        }
    }

    /// Goes through what scrapes find of a series that only a successful one shows: `show` appends its samples, and hears
    /// whether the process is another one than before. Markers are written where a scrape finds the series gone.
    fn runs(&self, encoder: &mut SeriesEncoder, mut show: impl FnMut(&Run, bool, &mut SeriesEncoder)) {
        let timeline = &self.target.timeline;
        let before = self.scrapes.start.checked_sub(1).filter(|_| !self.new).and_then(|k| timeline.at(k));
        let mut shown = before.as_ref().is_some_and(|r| r.sight == Sight::Seen);
        let mut life = before.map(|r| r.life);
        let gone = |scrape, shown: bool, encoder: &mut SeriesEncoder| {
            if shown {
                encoder.push(timeline.scrapes.time(scrape), STALE_NAN_BITS);
            }
        };
        for run in timeline.runs(self.scrapes.clone()) {
            if run.sight == Sight::Failed {
                gone(run.scrapes.start, shown, encoder);
            }
            show(&run, life != Some(run.life), encoder);
            life = Some(run.life);
            shown = run.sight == Sight::Seen;
        }
        if let Some(end) = self.ends_at.and_then(|k| timeline.at(k)).filter(|r| r.sight != Sight::Unasked) {
            gone(end.scrapes.start, shown, encoder);
        }
    }
}
