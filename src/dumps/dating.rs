//! When files were made, and whose targets' they are: by the rules of the user, `manifest.json` beside them, their names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::manifest::{self, MANIFEST};
use super::name::{NameTime, time_in};
use super::{DumpFile, DumpOptions, Found, UNDATABLE, is_dump_name, stream};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::{Label, Labels, printable};
use crate::loss::{Ledger, Loss, counted_noun};
use crate::time::{Interval, TimestampMs, human_duration, parse_time, rfc3339};

/// What tells first when a file was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRule {
    /// Its name.
    Name,
    /// `manifest.json` beside it.
    Manifest,
    /// When the file was last written, as the system says.
    Mtime,
    /// This time, in milliseconds.
    Fixed(TimestampMs),
}

impl TimeRule {
    /// Reads `name`, `manifest`, `mtime`, or a time.
    pub fn parse(text: &str) -> Result<TimeRule> {
        match text {
            "name" => Ok(TimeRule::Name),
            "manifest" => Ok(TimeRule::Manifest),
            "mtime" => Ok(TimeRule::Mtime),
            _ => parse_time(text).map(|(ms, _)| TimeRule::Fixed(ms)).map_err(|_| {
                Error::usage(format!("--time-from {}: this is neither a rule nor a time", printable(text)))
                    .hint("write name, manifest, mtime, or a time such as 2025-11-19T12:00:00Z")
            }),
        }
    }

    /// The rule in words.
    pub(super) fn name(self) -> &'static str {
        match self {
            TimeRule::Name => "file names",
            TimeRule::Manifest => "manifest.json",
            TimeRule::Mtime => "modification times",
            TimeRule::Fixed(_) => "--time-from",
        }
    }
}

/// When files were made.
pub(super) struct Dating<'a> {
    options: &'a DumpOptions,
    /// By path relative to the root.
    entries: BTreeMap<String, manifest::Entry>,
    /// Manifests that cannot be used and are not needed, and why.
    pub(super) passed_over: Vec<String>,
}

impl<'a> Dating<'a> {
    /// Reads every `manifest.json` among the files.
    pub(super) fn new(found: &[Found], options: &'a DumpOptions) -> Result<Dating<'a>> {
        let (mut entries, mut passed_over) = (BTreeMap::<String, manifest::Entry>::new(), Vec::new());
        // The user says where times are from, and so that a manifest's are not needed.
        let is_needed = options.time_from.is_none_or(|rule| rule == TimeRule::Manifest);
        for f in found {
            let (folder, name) = f.rel.rsplit_once('/').unwrap_or(("", &f.rel));
            if name != MANIFEST {
                continue;
            }
            let below = |file: String| if folder.is_empty() { file } else { format!("{folder}/{file}") };
            match manifest::read(&f.path) {
                Ok(read) => {
                    for (file, entry) in read {
                        let rel = below(file);
                        let differs = |other: &&manifest::Entry| {
                            other.labels != entry.labels || (is_needed && other.time_ms != entry.time_ms)
                        };
                        if let Some(other) = entries.get(&rel).filter(differs) {
                            return Err(two_manifests(f, &rel, other, &entry));
                        }
                        entries.insert(rel, entry);
                    }
                }
                Err(e) if !is_needed => {
                    passed_over.push(format!("{}: {}; it is passed over", f.rel, e.message()));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Dating { options, entries, passed_over })
    }

    /// The time of a file and what told it, or why nothing does. Errs where the system does not answer.
    pub(super) fn time_of(&self, found: &Found) -> Result<Result<(TimestampMs, TimeRule), String>> {
        let mut why = "its name has no time, and no manifest.json names it".to_owned();
        for rule in self.options.time_from.into_iter().chain([TimeRule::Manifest, TimeRule::Name]) {
            let time = match rule {
                TimeRule::Fixed(ms) => Some(ms),
                TimeRule::Manifest => self.entries.get(&found.rel).and_then(|e| e.time_ms),
                TimeRule::Mtime => Some(modified(&found.path)?),
                TimeRule::Name => match time_of_path(&found.rel) {
                    NameTime::One(told) => Some(told.t_ms),
                    NameTime::Unclear(what) => {
                        why = format!("its name has {what}, and no manifest.json names it");
                        None
                    }
                    NameTime::None => None,
                },
            };
            if let Some(ms) = time {
                return Ok(Ok((ms, rule)));
            }
        }
        Ok(Err(why))
    }

    /// Whether the user wants a file.
    pub(super) fn includes(&self, rel: &str) -> bool {
        self.options.include.as_ref().is_none_or(|glob| glob.matches(rel))
    }

    /// The time in the name of something that is no file; `None`, which stands for all times, where nothing tells.
    pub(super) fn time_of_name(&self, rel: &str) -> Option<Interval> {
        match time_of_path(rel) {
            NameTime::One(told) => Some(Interval::new(told.t_ms, told.t_ms)),
            _ => None,
        }
    }

    /// The labels of a file's target: of the manifest, of its path, and of `--label`; the last ones count.
    pub(super) fn labels_of(&self, found: &Found, options: &DumpOptions) -> Labels {
        let stored = self.entries.get(&found.rel).into_iter().flat_map(|e| e.labels.clone());
        let all: BTreeMap<String, String> = stored.chain(options.labels.of(&found.rel)).collect();
        let pair = |(name, value): (String, String)| Label {
            name: name.into_bytes().into(),
            value: value.into_bytes().into(),
        };
        Labels::normalized(all.into_iter().map(pair).collect()).0
    }

    /// Whether a file that is no dump was meant to be one.
    pub(super) fn looks_like_a_dump(&self, found: &Found) -> bool {
        self.entries.contains_key(&found.rel) || is_dump_name(&found.rel)
    }

    /// A loss for every file that a manifest names and that is not there.
    pub(super) fn tell_missing(&self, names: &[String], ledger: &mut Ledger) {
        let names: BTreeSet<&String> = names.iter().collect();
        for (rel, entry) in self.entries.iter().filter(|(rel, _)| !names.contains(rel) && self.includes(rel)) {
            ledger.losses.push(Loss {
                file: rel.clone(),
                offset: None,
                kind: ErrorKind::Missing,
                detail: "manifest.json names it, and it is not there".to_owned(),
                series: None,
                interval: entry.time_ms.map(|t| Interval::new(t, t)),
                samples: None,
            });
        }
    }
}

/// Two manifests that name one file, in its folder and above it, and say different things about it.
fn two_manifests(second: &Found, rel: &str, a: &manifest::Entry, b: &manifest::Entry) -> Error {
    let time = |entry: &manifest::Entry| entry.time_ms.map_or("no time".to_owned(), rfc3339);
    let (is, other) = match a.time_ms == b.time_ms {
        true => ("has labels".to_owned(), "other ones".to_owned()),
        false => (format!("says {}", time(b)), time(a)),
    };
    let message = format!("this manifest {is} for {}, and another one {other}", printable(rel));
    let hint = "leave out one of the two, or correct it";
    Error::new(ErrorKind::Ambiguous, message).at(&second.path).hint(hint)
}

/// Errs where names told when dumps of one target were made, with offsets that no change to summer time explains: numbers that
/// count files look like some of them.
pub(super) fn check_offsets(files: &[DumpFile]) -> Result<()> {
    let mut first: BTreeMap<String, (i32, &DumpFile)> = BTreeMap::new();
    for f in files.iter().filter(|f| f.time_from == Some(TimeRule::Name.name())) {
        let NameTime::One(told) = time_of_path(&f.rel) else { continue };
        let offset = told.offset_minutes.unwrap_or(0);
        let (before, other) = first.entry(stream(&f.rel)).or_insert((offset, f));
        let apart = (*before - offset).abs();
        if apart > 60 {
            let message = format!(
                "the times in {} and in {} have offsets that differ by {}, as no zone's do: they may be numbers that count files",
                printable(&other.rel),
                printable(&f.rel),
                human_duration(i64::from(apart) * 60_000)
            );
            return Err(Error::new(ErrorKind::Ambiguous, message).at(&f.path).hint(UNDATABLE));
        }
    }
    Ok(())
}

/// What the name of a file says, whose path is given.
fn time_of_path(rel: &str) -> NameTime {
    time_in(rel.rsplit('/').next().unwrap_or_default())
}

fn modified(path: &Path) -> Result<TimestampMs> {
    let failed = |e: std::io::Error| Error::io(path, "ask when it was written", &e);
    let time = std::fs::metadata(path).and_then(|m| m.modified()).map_err(failed)?;
    let before = |e: std::time::SystemTimeError| i64::try_from(e.duration().as_millis()).map(|ms| -ms);
    let ms = time.duration_since(std::time::UNIX_EPOCH).map_or_else(before, |d| i64::try_from(d.as_millis()));
    ms.map_err(|_| Error::new(ErrorKind::Unsupported, "its modification time is out of range").at(path))
}

/// Notes which rule told the times of how many files.
pub(super) fn tell_times(files: &[DumpFile], ledger: &mut Ledger) {
    let mut by_rule: BTreeMap<&'static str, (usize, Interval)> = BTreeMap::new();
    for f in files.iter().filter(|f| f.scrapes > 0) {
        if let (Some(rule), Some(t)) = (f.time_from, f.time_ms) {
            let of = by_rule.entry(rule).or_insert((0, Interval::new(t, t)));
            *of = (of.0 + 1, of.1.hull(Interval::new(t, f.until_ms.unwrap_or(t).max(t))));
        }
    }
    for (rule, (count, times)) in by_rule {
        ledger.notes.push(format!(
            "the times of {} are from {rule}: {} to {}",
            counted_noun(count, "file", "files"),
            rfc3339(times.start),
            rfc3339(times.end)
        ));
    }
}
