//! What really happened, for whoever wants to compare: `truth.json` (`docs/synth.md`).

use std::path::Path;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Spec;
use super::timeline::Span;
use crate::error::{Error, ErrorKind, Result};
use crate::time::{DurationMs, TimestampMs};
use crate::tsdb::write::WriteStats;

/// The statuses of the recommender's requests.
pub const STATUSES: [&str; 3] = ["200", "404", "500"];
/// Slices begin at the start of the data and are this long.
pub const SLICE_MS: DurationMs = 3_600_000;

/// The name of a version of the model.
pub fn version_name(version: u32) -> String {
    format!("v0.{version}")
}

fn version<S: Serializer>(version: &u32, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&version_name(*version))
}

/// Numbers of requests in the order of [`STATUSES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByStatus(pub [u64; STATUSES.len()]);

impl ByStatus {
    fn add(&mut self, more: [u64; STATUSES.len()]) {
        self.0.iter_mut().zip(more).for_each(|(n, more)| *n += more);
    }
}

impl Serialize for ByStatus {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(STATUSES.len()))?;
        for (status, n) in STATUSES.iter().zip(self.0) {
            map.serialize_entry(status, &n)?;
        }
        map.end()
    }
}

/// Requests by when they were counted, and by when a sample showed them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Requests {
    /// Counted by processes, whether anybody saw it or not.
    pub counted: ByStatus,
    /// Shown: what can be read off the samples.
    pub shown: ByStatus,
}

impl Requests {
    fn add(&mut self, more: &Requests) {
        self.counted.add(more.counted.0);
        self.shown.add(more.shown.0);
    }
}

/// The requests of `(from_ms, to_ms]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// Start, excluded.
    pub from_ms: TimestampMs,
    /// End, included.
    pub to_ms: TimestampMs,
    /// What was counted and shown.
    #[serde(flatten)]
    pub requests: Requests,
}

fn slices(span: Span) -> Vec<Slice> {
    let starts = (0..).map(|n| span.from_ms + n * SLICE_MS).take_while(|t| *t < span.to_ms);
    let slice = |from_ms| Slice { from_ms, to_ms: (from_ms + SLICE_MS).min(span.to_ms), requests: Requests::default() };
    starts.map(slice).collect()
}

/// A new version for all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Update {
    /// When it was released; replicas follow within minutes.
    pub at_ms: TimestampMs,
    /// The version.
    #[serde(serialize_with = "version")]
    pub version: u32,
}

/// One successful switch of a replica's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// When it happened.
    pub at_ms: TimestampMs,
    /// The version before.
    #[serde(serialize_with = "version")]
    pub from: u32,
    /// The version after.
    #[serde(serialize_with = "version")]
    pub to: u32,
    /// The first sample that shows it; `None` if the process died before, or the data end.
    pub shown_ms: Option<TimestampMs>,
}

/// A process that died and the one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// When the process died.
    pub died_ms: TimestampMs,
    /// When the next one started: what `process_start_time_seconds` says.
    pub start_ms: TimestampMs,
    /// The first successful scrape of it; `None` if the data end before.
    pub shown_ms: Option<TimestampMs>,
}

/// Failed scrapes without a successful one between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Down {
    /// The first failed scrape.
    pub first_ms: TimestampMs,
    /// The last one.
    pub last_ms: TimestampMs,
}

/// Scrapes of a target by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Outcomes {
    /// `up` is 1.
    pub successful: u64,
    /// `up` is 0.
    pub failed: u64,
}

/// All that happened to one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaTruth {
    /// The label `job`.
    pub job: String,
    /// The label `instance`.
    pub instance: String,
    /// Its scrapes.
    pub scrapes: Outcomes,
    /// When it lived but could not be reached.
    pub unreachable: Vec<Span>,
    /// Failed scrapes, whatever the reason.
    pub down: Vec<Down>,
    /// Its restarts.
    pub restarts: Vec<Restart>,
    /// Its successful model switches.
    pub switches: Vec<Switch>,
    /// All requests since the first scrape.
    pub requests: Requests,
    /// The same hour by hour.
    pub slices: Vec<Slice>,
    /// The last successful scrape so far.
    #[serde(skip)]
    pub(super) last_seen_ms: Option<TimestampMs>,
    /// Switches from this position on are neither shown nor lost.
    #[serde(skip)]
    unseen_switches: usize,
}

impl ReplicaTruth {
    pub(super) fn new(job: &str, instance: &str, span: Span, unreachable: &[Span]) -> ReplicaTruth {
        ReplicaTruth {
            job: job.to_owned(),
            instance: instance.to_owned(),
            scrapes: Outcomes::default(),
            unreachable: unreachable.to_vec(),
            down: Vec::new(),
            restarts: Vec::new(),
            switches: Vec::new(),
            requests: Requests::default(),
            slices: slices(span),
            last_seen_ms: None,
            unseen_switches: 0,
        }
    }

    fn slice(&mut self, t: TimestampMs) -> Option<&mut Requests> {
        let start = self.slices.first()?.from_ms;
        // A slice begins behind its start.
        let place = (t - start - 1).max(0) / SLICE_MS;
        self.slices.get_mut(place as usize).map(|s| &mut s.requests)
    }

    /// A process counted requests until `t`.
    pub(super) fn count(&mut self, t: TimestampMs, requests: [u64; STATUSES.len()]) {
        self.requests.counted.add(requests);
        if let Some(slice) = self.slice(t) {
            slice.counted.add(requests);
        }
    }

    /// A successful scrape at `t` shows these requests for the first time, and every switch before it.
    pub(super) fn show(&mut self, t: TimestampMs, requests: [u64; STATUSES.len()]) {
        self.scrapes.successful += 1;
        self.last_seen_ms = Some(t);
        self.requests.shown.add(requests);
        if let Some(slice) = self.slice(t) {
            slice.shown.add(requests);
        }
        for switch in self.switches.iter_mut().skip(self.unseen_switches) {
            switch.shown_ms = Some(t);
        }
        self.unseen_switches = self.switches.len();
    }

    pub(super) fn switched(&mut self, switch: Switch) {
        self.switches.push(switch);
    }

    /// The process is gone, and with it what no scrape has shown.
    pub(super) fn died(&mut self) {
        self.unseen_switches = self.switches.len();
    }

    /// The scrape at `t` is the first to show the newest process.
    pub(super) fn restart_shown(&mut self, t: TimestampMs) {
        if let Some(restart) = self.restarts.last_mut() {
            restart.shown_ms = Some(t);
        }
    }
}

/// A written block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockTruth {
    /// Its folder.
    pub ulid: String,
    /// First millisecond.
    pub min_time_ms: TimestampMs,
    /// End, excluded.
    pub max_time_ms: TimestampMs,
    /// Series with samples.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Samples, stale markers included.
    pub samples: u64,
}

impl BlockTruth {
    pub(super) fn new(span: Span, written: &WriteStats) -> BlockTruth {
        let name = written.dir.file_name().map(|n| n.to_string_lossy().into_owned());
        BlockTruth {
            ulid: name.unwrap_or_default(),
            min_time_ms: span.from_ms,
            max_time_ms: span.to_ms,
            series: written.series,
            chunks: written.chunks,
            samples: written.float_samples,
        }
    }
}

/// All that happened: the content of `truth.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// What was asked for.
    pub spec: Spec,
    /// First millisecond of the data.
    pub start_ms: TimestampMs,
    /// End of the data, excluded.
    pub end_ms: TimestampMs,
    /// Samples in all blocks, stale markers included.
    pub samples: u64,
    /// When the server itself was away and scraped nothing.
    pub server_away: Vec<Span>,
    /// Versions of the model; the first one is that at the start.
    pub updates: Vec<Update>,
    /// Requests of all replicas.
    pub requests: Requests,
    /// The same hour by hour.
    pub slices: Vec<Slice>,
    /// Each replica by itself.
    pub replicas: Vec<ReplicaTruth>,
    /// The blocks in order of time.
    pub blocks: Vec<BlockTruth>,
}

impl Truth {
    pub(super) fn new(spec: &Spec, server_away: Vec<Span>, updates: Vec<Update>) -> Truth {
        let span = spec.span();
        Truth {
            spec: *spec,
            start_ms: span.from_ms,
            end_ms: span.to_ms,
            samples: 0,
            server_away,
            updates,
            requests: Requests::default(),
            slices: slices(span),
            replicas: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Adds what happened to a replica.
    pub(super) fn add(&mut self, replica: ReplicaTruth) {
        self.requests.add(&replica.requests);
        for (all, own) in self.slices.iter_mut().zip(&replica.slices) {
            all.requests.add(&own.requests);
        }
        self.replicas.push(replica);
    }

    /// Writes the file, which must not exist yet.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|e| Error::new(ErrorKind::Malformed, e.to_string()).at(path))?;
        text.push(b'\n');
        let write = || {
            let mut file = std::fs::File::create_new(path)?;
            std::io::Write::write_all(&mut file, &text)?;
            file.sync_all()
        };
        write().map_err(|e| Error::io(path, "write it", &e))
    }
}
