//! Reading the logs in the order of a starting server, and what their ends and faults mean to it.

use std::collections::BTreeMap;

use super::files::{HeadFiles, LogFile, unreadable};
use super::mapped::Mapped;
use super::replay::{Replay, Replayed};
use super::series::Outline;
use super::units::{Entry, Log, Read, Unit, read_segment};
use super::{HeadOptions, MAX_RECORD};
use crate::error::{ErrorKind, Result};
use crate::loss::{Ledger, Loss};
use crate::raw::{FileBytes, ReadMode, crc32c};
use crate::time::Interval;
use crate::tsdb::head_chunks;
use crate::wal::pages::PAGE_LEN;

/// A log may unfold to this many times its bytes, and the first bytes to that: real ones reach 5.
const MAX_RATIO: u64 = 64;
const FREE_BYTES: u64 = 1 << 26;

/// Runs the logs through a replay.
pub(super) struct Reader<'a> {
    pub files: &'a HeadFiles,
    pub mode: ReadMode,
}

/// What one pass over all logs carries along.
struct Pass<'a, 'r> {
    replay: &'a mut Replay<'r>,
    ledger: &'a mut Ledger,
    twins: Twins,
    /// Bytes to which the logs may still unfold.
    budget: u64,
}

impl Pass<'_, '_> {
    /// The times that a fault in a log may cost: those of the head; out-of-order samples may have any.
    fn since(&self, log: Log) -> Option<Interval> {
        (log == Log::InOrder).then(|| Interval::new(self.replay.cutoff(), i64::MAX))
    }
}

const GAP: &str = "segments before it are missing, and a server does not start on that";

impl Reader<'_> {
    /// Losses and notes about the logs go to `ledger` where there is one.
    pub(super) fn replay(
        &self,
        options: &HeadOptions<'_>,
        mapped: &Mapped,
        ledger: Option<&mut Ledger>,
    ) -> Result<Replayed> {
        let mut quiet = Ledger::default();
        let mut replay = Replay::new(options.rules, options.cutoff, mapped, options.keep);
        self.run(&mut replay, ledger.unwrap_or(&mut quiet))?;
        Ok(replay.finish())
    }

    /// Runs all logs through `replay`, in the order of a starting server.
    pub(super) fn run(&self, replay: &mut Replay<'_>, ledger: &mut Ledger) -> Result<()> {
        let files = self.files;
        let segments = files.checkpoint.len();
        let beyond = segments + files.segments.len();
        let late = beyond + files.beyond.len();
        let budget = unfolded(files.log_bytes());
        let mut pass = Pass { replay, ledger, twins: Twins::default(), budget };
        self.checkpoint(&mut pass)?;
        for m in &files.missing {
            let log = if m.of_any_time { Log::Late } else { Log::InOrder };
            let interval = pass.since(log);
            pass.ledger.losses.push(Loss {
                file: m.rel.clone(),
                offset: None,
                kind: ErrorKind::Missing,
                detail: m.detail.clone(),
                series: None,
                interval,
                samples: None,
            });
        }
        let whole = files.beyond.is_empty();
        match self.log(Log::InOrder, (segments, &files.segments), whole, &mut pass)? {
            None => {
                self.beyond(Log::InOrder, (beyond, &files.beyond), GAP, &mut pass)?;
                self.log(Log::Late, (late, &files.late), files.late_beyond.is_empty(), &mut pass)?;
            }
            Some(torn) => {
                let why = format!(
                    "a server that has to repair {} reads the out-of-order log only at its next start",
                    torn.rel
                );
                self.beyond(Log::Late, (late, &files.late), &why, &mut pass)?;
            }
        }
        self.beyond(Log::Late, (late + files.late.len(), &files.late_beyond), GAP, &mut pass)
    }

    /// The checkpoint. A server does not start on a damaged one; what can be read of it is used.
    fn checkpoint(&self, pass: &mut Pass<'_, '_>) -> Result<()> {
        for (i, file) in self.files.checkpoint.iter().enumerate() {
            pass.replay.reads(i);
            let replay = &mut *pass.replay;
            let ended = self.segment(file, Log::InOrder, &mut pass.budget, |unit| {
                let first = unit.records.first().filter(|r| i == 0 && r.offset == 0);
                if let Some(Entry::MinValidTime(t)) = first.map(|r| &r.entry) {
                    replay.raise_cutoff(*t);
                }
                replay.apply(unit);
            })?;
            let since = pass.since(Log::InOrder);
            pass.twins.look_at(file, ended.print, since, pass.ledger);
            for odd in ended.blank.iter().chain(&ended.foreign) {
                report_passed_over(odd, file, false, None, pass.ledger);
            }
            if let Some(stop) = ended.stop {
                let detail = format!(
                    "{}; a server refuses to start on a damaged checkpoint, the rest of it is lost",
                    stop.detail
                );
                pass.ledger.losses.push(stop.loss(file, detail, None));
            }
        }
        Ok(())
    }

    /// The segments of one log, up to the one that a server has to cut: it is returned, and those behind it are lost.
    /// `whole` says that nothing of the log lies behind `files`.
    fn log<'f>(
        &self,
        log: Log,
        (first, files): (usize, &'f [LogFile]),
        whole: bool,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Option<&'f LogFile>> {
        let behind = |number: u64| self.files.snapshot.as_ref().is_some_and(|s| number > s.segment);
        for (i, file) in files.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|i| files.get(i));
            if log == Log::InOrder && behind(file.number) && before.is_some_and(|b| !behind(b.number)) {
                pass.replay.mark_snapshot();
            }
            pass.replay.reads(first + i);
            let replay = &mut *pass.replay;
            let ended = self.segment(file, log, &mut pass.budget, |unit| match log {
                Log::InOrder => replay.apply(unit),
                Log::Late => replay.apply_late(unit),
            })?;
            let last = i + 1 == files.len() && whole;
            let since = pass.since(log);
            pass.twins.look_at(file, ended.print, since, pass.ledger);
            for odd in ended.blank.iter().chain(&ended.foreign) {
                report_passed_over(odd, file, last, since, pass.ledger);
            }
            let Some(stop) = ended.stop else { continue };
            if stop.passed_over {
                report_passed_over(&stop, file, last, since, pass.ledger);
                continue;
            }
            if last && stop.tail {
                pass.ledger.notes.push(format!(
                    "{} at byte {}: {}; a killed server leaves such an end, and a restarted one cuts it off",
                    file.rel, stop.offset, stop.detail
                ));
            } else {
                let detail = format!("{}; a restarted server cuts the log here, the rest of it is lost", stop.detail);
                pass.ledger.losses.push(stop.loss(file, detail, since));
            }
            let rest = files.get(i + 1..).unwrap_or_default();
            let why = format!("a restarted server deletes it, since {} is damaged", file.rel);
            self.beyond(log, (first + i + 1, rest), &why, pass)?;
            return Ok(Some(file));
        }
        Ok(None)
    }

    /// Reads one segment to its end, or as far as it can be read.
    fn segment(&self, file: &LogFile, log: Log, budget: &mut u64, mut apply: impl FnMut(Unit) + Send) -> Result<Ended> {
        let bytes = match FileBytes::open(&file.path, self.mode) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::Permission => return Err(e),
            Err(e) => {
                let detail = unreadable(file.rel.clone(), &e).detail;
                let stop = Some(Stop { offset: 0, kind: e.kind(), detail, tail: false, passed_over: false });
                return Ok(Ended { stop, blank: None, foreign: None, print: None });
            }
        };
        let print = bytes.first().is_some_and(|b| *b != 0).then(|| {
            let start = bytes.get(..PAGE_LEN).unwrap_or(&bytes);
            (bytes.len() as u64, crc32c(start))
        });
        let (mut stop, mut foreign) = (None, None);
        let silent = read_segment(&bytes, log, MAX_RECORD, |mut unit| {
            let odd = |r: &&Read| matches!(r.entry, Entry::Foreign | Entry::Unknown);
            if foreign.is_none() {
                foreign = unit.records.iter().find(odd).map(|r| (r.offset, r.kind, matches!(r.entry, Entry::Unknown)));
            }
            let used = unit.records.iter().map(|r| r.len).sum();
            let fault = unit.fault.take();
            match budget.checked_sub(used) {
                Some(left) => *budget = left,
                None => {
                    let offset = unit.records.first().map_or(0, |r| r.offset);
                    let detail = format!("the log unfolds to more than {MAX_RATIO} times its bytes");
                    stop = Some(Stop { offset, kind: ErrorKind::Malformed, detail, tail: false, passed_over: false });
                    return false;
                }
            }
            if let Some(f) = fault {
                // Something else that was put here does not look like a log that was cut off.
                let (fault, tail) = (f.fault, f.tail && head_chunks::check_header(&bytes).is_err());
                stop = Some(Stop {
                    offset: fault.offset,
                    kind: fault.error_kind(),
                    detail: fault.to_string(),
                    tail,
                    passed_over: false,
                });
            }
            apply(unit);
            stop.is_none()
        });
        if let (None, Some(offset)) = (&stop, silent.unfinished) {
            let detail = "a record without an end, zeros behind it".to_owned();
            stop = Some(Stop { offset, kind: ErrorKind::Truncated, detail, tail: true, passed_over: true });
        }
        let blank = silent.blank.map(|b| {
            let detail = "zeros where records should be".to_owned();
            Stop { offset: b.offset, kind: ErrorKind::Malformed, detail, tail: !b.followed, passed_over: true }
        });
        let foreign = foreign.map(|(offset, kind, unknown)| {
            let (error, what) = match unknown {
                true => (ErrorKind::Unsupported, "which is not known: what it and others like it hold is not read"),
                false => (
                    ErrorKind::Malformed,
                    "which this log never has: another file lies in its place, and what it held is lost",
                ),
            };
            let detail = format!("a record of type {kind}, {what}");
            Stop { offset, kind: error, detail, tail: false, passed_over: true }
        });
        Ok(Ended { stop, blank, foreign, print })
    }

    /// Segments that a server does not come to: a loss for each, with what it holds.
    fn beyond(&self, log: Log, (first, files): (usize, &[LogFile]), why: &str, pass: &mut Pass<'_, '_>) -> Result<()> {
        let cutoff = if log == Log::Late { i64::MIN } else { pass.replay.cutoff() };
        for (i, file) in files.iter().enumerate() {
            let mut held = Outline::default();
            pass.replay.reads(first + i);
            let replay = &mut *pass.replay;
            let ended = self.segment(file, log, &mut unfolded(file.len), |unit| {
                for s in unit.samples.iter().filter(|s| s.t_ms >= cutoff) {
                    held.add(s.t_ms, false);
                }
                for r in &unit.records {
                    if let Entry::Histograms(list, _) = &r.entry {
                        list.iter().filter(|h| h.sample.t_ms >= cutoff).for_each(|h| held.add(h.sample.t_ms, true));
                    }
                }
                replay.pass_over(unit);
            })?;
            let whole = ended.stop.is_none() && ended.blank.is_none();
            if held.samples() == 0 && whole {
                continue;
            }
            pass.ledger.losses.push(Loss {
                file: file.rel.clone(),
                offset: None,
                kind: ErrorKind::Malformed,
                detail: why.to_owned(),
                series: None,
                interval: if whole { held.interval } else { None },
                samples: whole.then_some(held.samples()),
            });
        }
        Ok(())
    }
}

/// The bytes to which so many bytes of a log may unfold.
fn unfolded(bytes: u64) -> u64 {
    bytes.saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES)
}

/// How reading a segment ended.
struct Ended {
    stop: Option<Stop>,
    /// Zeros that were passed over.
    blank: Option<Stop>,
    /// A record that belongs elsewhere.
    foreign: Option<Stop>,
    /// Length and checksum of the first page; `None` where nothing is in it.
    print: Option<(u64, u32)>,
}

/// Files of the logs that are equal: one of them lies in the place of another one.
#[derive(Default)]
struct Twins(BTreeMap<(u64, u32), String>);

impl Twins {
    fn look_at(&mut self, file: &LogFile, print: Option<(u64, u32)>, since: Option<Interval>, ledger: &mut Ledger) {
        let Some(first) = print.and_then(|p| self.0.insert(p, file.rel.clone())) else { return };
        ledger.losses.push(Loss {
            file: file.rel.clone(),
            offset: None,
            kind: ErrorKind::Malformed,
            detail: format!(
                "it is the same as {first}, so one of them lies in the place of another file, which is lost"
            ),
            series: None,
            interval: since,
            samples: None,
        });
    }
}

/// Why a segment is not read on.
struct Stop {
    offset: u64,
    kind: ErrorKind,
    detail: String,
    tail: bool,
    /// A server does not notice and reads the next segment.
    passed_over: bool,
}

/// A record without an end, or zeros: what a killed server leaves in its last segment, a loss anywhere else.
fn report_passed_over(stop: &Stop, file: &LogFile, last: bool, since: Option<Interval>, ledger: &mut Ledger) {
    if last && stop.tail {
        ledger.notes.push(format!(
            "{} at byte {}: {}; a killed server leaves such an end, and a restarted one passes over it",
            file.rel, stop.offset, stop.detail
        ));
    } else {
        let detail = format!("{}; a server passes over it without a word", stop.detail);
        ledger.losses.push(stop.loss(file, detail, since));
    }
}

impl Stop {
    fn loss(&self, file: &LogFile, detail: String, interval: Option<Interval>) -> Loss {
        Loss {
            file: file.rel.clone(),
            offset: Some(self.offset),
            kind: self.kind,
            detail,
            series: None,
            interval,
            samples: None,
        }
    }
}
