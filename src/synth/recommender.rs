//! The movie recommender: replicas that are simulated scrape by scrape, and what they really counted.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Encoded;
use super::chance::{Key, Random, scaled};
use super::timeline::{DAY_MS, Sight, Span, Timeline};
use super::truth::{Down, ReplicaTruth, Restart, STATUSES, Switch, Update, version_name};
use crate::labels::Labels;
use crate::sample::STALE_NAN_BITS;
use crate::time::{DurationMs, TimestampMs};
use crate::tsdb::write::SeriesEncoder;

/// The label `job` of the replicas.
pub const JOB: &str = "movie-recommender";
/// Series of a replica: `up`, the process' start, health, the version, three statuses, ten buckets, sum and count. Its
/// switch counters come on top, a child for each pair of versions that it went through.
pub const SERIES: usize = 6 + STATUSES.len() + BUCKETS.len();
/// Restarts and outages of a replica: once in so many days.
const RARITY: u64 = 2;

/// Bounds of the latency buckets, and how many of 1024 requests are within.
const BUCKETS: [(&str, u64); 10] = [
    ("0.005", 20),
    ("0.01", 90),
    ("0.025", 300),
    ("0.05", 560),
    ("0.1", 800),
    ("0.25", 950),
    ("0.5", 1000),
    ("1.0", 1015),
    ("2.5", 1022),
    ("+Inf", 1024),
];

/// A series of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Metric {
    Up,
    ProcessStart,
    Health,
    /// A position in [`STATUSES`].
    Requests(usize),
    /// A position in [`BUCKETS`].
    Bucket(usize),
    LatencySum,
    LatencyCount,
    Version(u32),
    Switches {
        from: u32,
        to: u32,
        success: bool,
    },
}

impl Metric {
    fn labels(self, instance: &str) -> Labels {
        let mut own: Vec<(&str, String)> = Vec::new();
        let name = match self {
            Metric::Up => "up",
            Metric::ProcessStart => "process_start_time_seconds",
            Metric::Health => "service_health_status",
            Metric::Requests(status) => {
                own.extend(STATUSES.get(status).map(|s| ("status", (*s).to_owned())));
                "recommend_requests_total"
            }
            Metric::Bucket(i) => {
                own.extend(BUCKETS.get(i).map(|(le, _)| ("le", (*le).to_owned())));
                "recommend_latency_seconds_bucket"
            }
            Metric::LatencySum => "recommend_latency_seconds_sum",
            Metric::LatencyCount => "recommend_latency_seconds_count",
            Metric::Version(v) => {
                own.extend([("model_name", "als".to_owned()), ("version", version_name(v))]);
                "model_version_info"
            }
            Metric::Switches { from, to, success } => {
                let status = if success { "success" } else { "failure" }.to_owned();
                own.extend([
                    ("from_version", version_name(from)),
                    ("to_version", version_name(to)),
                    ("status", status),
                ]);
                "model_switches_total"
            }
        };
        if name.starts_with("recommend_") {
            own.push(("endpoint", "/recommend".to_owned()));
        }
        let target = [("__name__", name), ("instance", instance), ("job", JOB)];
        Labels::from_pairs(target.into_iter().chain(own.iter().map(|(n, v)| (*n, v.as_str()))))
    }
}

/// When the model is updated: on every other day, one time in five back to the version before.
pub fn updates(key: Key, span: Span) -> Vec<Update> {
    let mut random = Random::new(key);
    let (mut newest, mut before, mut current) = (1, 1, 1);
    let mut updates = vec![Update { at_ms: span.from_ms, version: current }];
    let days = (span.to_ms - span.from_ms) / DAY_MS;
    for day in 0..days {
        // The first days of any set have one.
        if !random.one_in(2) && day > 0 {
            continue;
        }
        let back = random.one_in(5) && before != current;
        let next = if back { before } else { newest + 1 };
        newest = newest.max(next);
        (before, current) = (current, next);
        let at_ms = span.from_ms + day * DAY_MS + DAY_MS / 8 + random.below(DAY_MS as u64 * 3 / 4) as i64;
        updates.push(Update { at_ms, version: current });
    }
    updates
}

/// What happens inside a replica.
#[derive(Debug, Clone, Copy)]
enum Event {
    Switch { to: u32, success: bool },
    Death,
    Birth { life: usize },
}

/// The counters of a process.
#[derive(Debug, Clone, Default)]
struct Process {
    version: u32,
    requests: [u64; STATUSES.len()],
    /// What of `requests` scrapes have shown.
    shown: [u64; STATUSES.len()],
    buckets: [u64; BUCKETS.len()],
    sum_us: u64,
    switches: BTreeMap<(u32, u32, bool), u64>,
}

/// A series with the scrape that showed it last, if that was the last scrape.
#[derive(Debug)]
struct Child {
    labels: Labels,
    shown_at: Option<u64>,
    encoder: SeriesEncoder,
}

/// What was asked for between two scrapes.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests: [u64; STATUSES.len()],
    all: u64,
    /// Rounds the buckets, alike for all of them.
    rounding: u64,
    sum_us: u64,
}

/// One replica of the recommender.
#[derive(Debug)]
pub struct Replica {
    key: Key,
    timeline: Timeline,
    interval_ms: DurationMs,
    instance: String,
    updates: Vec<Update>,
    /// In order of time, behind `next` those still to come.
    events: Vec<(TimestampMs, Event)>,
    next: usize,
    process: Option<Process>,
    /// The life that the last successful scrape showed.
    seen_life: usize,
    children: BTreeMap<Metric, Child>,
    truth: ReplicaTruth,
}

impl Replica {
    /// The replica with that number, before the first scrape of `span`.
    pub fn new(
        key: Key,
        number: usize,
        span: Span,
        interval_ms: DurationMs,
        gaps: &[Span],
        updates: &[Update],
    ) -> Replica {
        let key = key.part(number as u64);
        let timeline = Timeline::plan(key.part(0), span, interval_ms, gaps, RARITY);
        let mut events: Vec<(TimestampMs, Event)> = Vec::new();
        for (life, l) in timeline.lives.iter().enumerate().skip(1) {
            events.push((l.start_ms, Event::Birth { life }));
        }
        events.extend(timeline.lives.iter().filter(|l| l.end_ms < i64::MAX).map(|l| (l.end_ms, Event::Death)));
        let mut random = Random::new(key.part(1));
        for update in updates.iter().skip(1) {
            // Replicas follow within four minutes; some fail first and succeed two minutes later.
            let mut at = update.at_ms + random.below(240_000) as i64;
            if random.one_in(8) {
                events.push((at, Event::Switch { to: update.version, success: false }));
                at += 120_000;
            }
            events.push((at, Event::Switch { to: update.version, success: true }));
        }
        events.sort_by_key(|(at, _)| *at);
        let before = 5_000 + random.below(50_000);
        let requests = [before * 19, before / 5, before / 2 * (1 - number as u64 % 2)];
        let process = Process {
            version: updates.first().map_or(1, |u| u.version),
            requests,
            shown: requests,
            buckets: BUCKETS.map(|(_, share)| (requests.iter().sum::<u64>() * share) >> 10),
            sum_us: requests.iter().sum::<u64>() * 40_000,
            ..Process::default()
        };
        let instance = format!("api-{number}:8080");
        let truth = ReplicaTruth::new(JOB, &instance, span, &timeline.unreachable);
        Replica {
            key: key.part(2),
            timeline,
            interval_ms,
            instance,
            updates: updates.to_vec(),
            events,
            next: 0,
            process: Some(process),
            seen_life: 0,
            children: BTreeMap::new(),
            truth,
        }
    }

    /// What really happened, after the last block.
    pub fn into_truth(self) -> ReplicaTruth {
        self.truth
    }

    /// Goes through the scrapes of a block; gives its series in label order.
    pub fn advance(&mut self, block: Span) -> Vec<Encoded> {
        let scrapes = self.timeline.scrapes.within(block);
        let runs: Vec<_> = self.timeline.runs(scrapes).collect();
        for run in runs {
            if run.sight == Sight::Failed {
                self.note_down(&run.scrapes);
            }
            for scrape in run.scrapes {
                let t = self.timeline.scrapes.time(scrape);
                self.until(t, scrape);
                match run.sight {
                    Sight::Seen => self.shown(t, scrape, run.life),
                    Sight::Failed => self.failed(t, scrape),
                    Sight::Unasked => self.children.values_mut().for_each(|c| c.shown_at = None),
                }
            }
        }
        let children = self.children.values_mut();
        let encoded = children.map(|c| Encoded { labels: c.labels.clone(), chunks: c.encoder.finish() });
        let mut encoded: Vec<Encoded> = encoded.filter(|e| !e.chunks.is_empty()).collect();
        encoded.sort_by(|a, b| a.labels.cmp(&b.labels));
        encoded
    }

    /// Failed scrapes follow each other even where blocks, or the absence of the server, part them.
    fn note_down(&mut self, scrapes: &Range<u64>) {
        let time = |k| self.timeline.scrapes.time(k);
        let (first_ms, last_ms) = (time(scrapes.start), time(scrapes.end - 1));
        match self.truth.down.last_mut() {
            Some(down) if self.truth.last_seen_ms.is_none_or(|seen| seen < down.first_ms) => down.last_ms = last_ms,
            _ => self.truth.down.push(Down { first_ms, last_ms }),
        }
    }

    /// All that happens until the scrape at `t`.
    fn until(&mut self, t: TimestampMs, scrape: u64) {
        while let Some((at, event)) = self.events.get(self.next).copied().filter(|(at, _)| *at <= t) {
            self.next += 1;
            match event {
                Event::Switch { to, success } => self.switch(at, to, success),
                Event::Death => self.die(at, scrape),
                Event::Birth { life } => {
                    let version = self.updates.iter().rev().find(|u| u.at_ms <= at).map_or(1, |u| u.version);
                    self.process = Some(Process { version, ..Process::default() });
                    let died_ms = life.checked_sub(1).and_then(|l| self.timeline.lives.get(l)).map_or(at, |l| l.end_ms);
                    self.truth.restarts.push(Restart { died_ms, start_ms: at, shown_ms: None });
                }
            }
        }
        // What was counted before the first scrape is not of these data.
        if scrape > 0 {
            let load = self.load(scrape, t, self.interval_ms);
            self.count(load, t);
        }
    }

    /// The model is switched, unless the process is dead or serves that version already.
    fn switch(&mut self, at_ms: TimestampMs, to: u32, success: bool) {
        let Some(process) = self.process.as_mut().filter(|p| p.version != to) else { return };
        let from = process.version;
        *process.switches.entry((from, to, success)).or_default() += 1;
        if success {
            process.version = to;
            self.truth.switched(Switch { at_ms, from, to, shown_ms: None });
        }
    }

    /// The process counts until it dies; no scrape shows it.
    fn die(&mut self, at_ms: TimestampMs, scrape: u64) {
        let before = scrape.checked_sub(1).map_or(at_ms, |k| self.timeline.scrapes.time(k));
        let load = self.load(scrape, at_ms, (at_ms - before).max(0));
        self.count(load, at_ms);
        self.truth.died();
        self.process = None;
    }

    /// What is asked for in `length_ms` before `t`: more by day than by night, more errors in bad times.
    fn load(&self, scrape: u64, t: TimestampMs, length_ms: DurationMs) -> Load {
        let minute = t.div_euclid(60_000).rem_euclid(1440) as u64;
        let per_15s = 6 + minute.min(1440 - minute) / 30;
        let mean = per_15s * length_ms as u64 / 15_000;
        let part = |n: u64| self.key.part(n).bits(scrape);
        let all = mean / 2 + scaled(part(1), mean + 1);
        let few = match (self.is_bad(scrape), part(2) & 31) {
            (true, _) => all / 3 + 1,
            (false, 0) => 1 + (part(3) & 1),
            (false, _) => 0,
        };
        let errors = few.min(all);
        let missing = scaled(part(4), all / 8 + 1).min(all - errors);
        Load {
            requests: [all - errors - missing, missing, errors],
            all,
            rounding: part(5) & 1023,
            sum_us: all * (30_000 + scaled(part(6), 20_000)),
        }
    }

    /// One time in 60, for 40 scrapes, the service is not healthy.
    fn is_bad(&self, scrape: u64) -> bool {
        self.key.part(7).one_in(scrape / 40, 60)
    }

    fn count(&mut self, load: Load, t: TimestampMs) {
        let Some(process) = &mut self.process else { return };
        for (counter, n) in process.requests.iter_mut().zip(load.requests) {
            *counter += n;
        }
        for (counter, (_, share)) in process.buckets.iter_mut().zip(BUCKETS) {
            *counter += (load.all * share + load.rounding) >> 10;
        }
        process.sum_us += load.sum_us;
        self.truth.count(t, load.requests);
    }

    /// A successful scrape.
    fn shown(&mut self, t: TimestampMs, scrape: u64, life: usize) {
        let start = self.timeline.start_seconds(life);
        let health = if self.is_bad(scrape) { 0.0 } else { 1.0 };
        // A run is only seen while its process lives.
        let Some(process) = &mut self.process else { return };
        let mut values = vec![
            (Metric::Up, 1.0),
            (Metric::ProcessStart, start),
            (Metric::Health, health),
            (Metric::LatencySum, process.sum_us as f64 / 1e6),
            (Metric::LatencyCount, process.requests.iter().sum::<u64>() as f64),
            (Metric::Version(process.version), 1.0),
        ];
        values.extend(process.buckets.iter().enumerate().map(|(i, n)| (Metric::Bucket(i), *n as f64)));
        // Client libraries make a child at its first increment.
        let requests = process.requests.iter().enumerate().filter(|(_, n)| **n > 0);
        values.extend(requests.map(|(i, n)| (Metric::Requests(i), *n as f64)));
        let switches = process.switches.iter();
        values.extend(
            switches.map(|((from, to, success), n)| {
                (Metric::Switches { from: *from, to: *to, success: *success }, *n as f64)
            }),
        );

        let mut fresh = [0; STATUSES.len()];
        for ((fresh, all), shown) in fresh.iter_mut().zip(process.requests).zip(&mut process.shown) {
            *fresh = all - *shown;
            *shown = all;
        }
        self.truth.show(t, fresh);
        if life != self.seen_life {
            self.seen_life = life;
            self.truth.restart_shown(t);
        }
        for (metric, value) in values {
            self.push(metric, t, scrape, value.to_bits());
        }
        self.mark_stale(t, scrape);
    }

    /// A scrape that nothing answers.
    fn failed(&mut self, t: TimestampMs, scrape: u64) {
        self.truth.scrapes.failed += 1;
        self.push(Metric::Up, t, scrape, 0f64.to_bits());
        self.mark_stale(t, scrape);
    }

    fn push(&mut self, metric: Metric, t: TimestampMs, scrape: u64, bits: u64) {
        let child = self.children.entry(metric).or_insert_with(|| Child {
            labels: metric.labels(&self.instance),
            shown_at: None,
            encoder: SeriesEncoder::new(),
        });
        child.encoder.push(t, bits);
        child.shown_at = Some(scrape);
    }

    /// What the scrape before showed and this one does not gets a marker.
    fn mark_stale(&mut self, t: TimestampMs, scrape: u64) {
        for child in self.children.values_mut().filter(|c| c.shown_at.is_some_and(|at| at != scrape)) {
            child.shown_at = None;
            child.encoder.push(t, STALE_NAN_BITS);
        }
    }
}
