//! Files, one after the other: their lines become scrapes, at the file's time or at that of a `# scrape` line, and samples with
//! times of their own.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;

use super::Answers;
use super::building::Building;
use super::file::Opened;
use super::ids::Ids;
use super::join::TargetKey;
use super::texts::Texts;
use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::labels::{Label, Labels, METRIC_NAME};
use crate::loss::{Loss, counted_noun};
use crate::sample::STALE_NAN_BITS;
use crate::scrape::{
    Dialect, Event, Families, Family, Fault, FaultKind, Form, MetricType, NAN_BITS, Part, Reader, Sample, Sniffed,
};
use crate::time::{Interval, TimestampMs};
use crate::version::{NEWEST, OLDEST, PromVersion};

/// Losses of one file that are listed one by one; further ones are counted.
const MOST_LOSSES: usize = 1000;

/// What decides beside the bytes of a line which labels are stored: whose bounds a release writes in its own way.
const NO_BOUNDS: u8 = 0;
const BOUNDS_OF_HISTOGRAMS: u8 = 1;
const BOUNDS_OF_SUMMARIES: u8 = 2;

/// What is known about a file before it is read.
pub(super) struct Context<'a> {
    /// Its path, for losses and errors.
    pub(super) rel: &'a str,
    /// When it was made, or why nothing tells.
    pub(super) time: Result<TimestampMs, &'a str>,
    /// Its target.
    pub(super) target: &'a TargetKey,
    pub(super) release: PromVersion,
    pub(super) answers: Answers,
}

/// What was seen at one time.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) t_ms: TimestampMs,
    /// The series whose samples are of this time, in the order of their lines.
    pub(super) ids: Ids,
    /// Whether nothing of it was lost, so that what is not there was not exposed.
    pub(super) whole: bool,
    /// Whether it says where it ends, or is empty; else it may have been cut at the end of a line.
    pub(super) closed: bool,
    /// The series of all lines, where some of them have times of their own and so are not in `ids`.
    pub(super) order: Ids,
}

impl Scrape {
    fn at(t_ms: TimestampMs) -> Scrape {
        Scrape { t_ms, ids: Ids::default(), whole: true, closed: false, order: Ids::default() }
    }

    /// The series of its lines, one after the other.
    pub(super) fn lines(&self) -> &Ids {
        if self.order.is_empty() { &self.ids } else { &self.order }
    }
}

/// Something about a file that costs nothing here, and that all files of a folder are likely to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Oddity {
    ByteOrderMark,
    CrLf,
    NoSample,
}

impl Oddity {
    /// In words, behind how many files it is about.
    pub(super) fn words(self) -> &'static str {
        match self {
            Oddity::ByteOrderMark => "with a byte order mark, which is skipped; a server would refuse the scrape",
            Oddity::CrLf => "with CR LF, read as line breaks; a server would refuse the scrape",
            Oddity::NoSample => "without a sample, where --assume-up adds no `up`",
        }
    }
}

/// What a file holds beside its series.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Position of its target in [`Bundle::targets`].
    pub(super) target: usize,
    pub(super) scrapes: Vec<Scrape>,
    pub(super) losses: Vec<Loss>,
    pub(super) notes: Vec<String>,
    /// What is told once for all files that have it.
    pub(super) oddities: Vec<Oddity>,
    /// Float samples.
    pub(super) samples: u64,
    /// How many of the scrapes have the time of a line `# scrape`.
    pub(super) separated: usize,
    /// Whether its samples are what a server evaluated, each repeated for up to 5 minutes.
    pub(super) evaluated: bool,
}

/// Files that are read one after the other, and their series. Nearly every line of a scrape stands in the one before it too, so
/// what its labels mean is worked out once.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    pub(super) targets: Vec<TargetKey>,
    pub(super) series: Vec<Building>,
    /// Whether another release stores other labels.
    pub(super) depends_on_release: bool,
    /// As many as there are series.
    marks: Vec<Mark>,
    by_labels: HashMap<Labels, u32>,
    /// By the labels of targets, and by dialect, which has its own escapes.
    texts: Vec<((Labels, Dialect), Texts)>,
    groups: Groups,
    /// Expositions so far, where those at a file's own time are one.
    expositions: u32,
}

/// Where a series was last seen.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// The number of the exposition, counted from 1.
    exposition: u32,
    /// The number of the file, which is that of the exposition at its own time.
    file: u32,
    /// The group of the series, and whether it is the one that says when counting started.
    group: Option<(u32, bool)>,
}

/// Families and labels that a series shares with its `_created` sample.
#[derive(Debug, Default)]
struct Groups {
    by_name: HashMap<(Vec<u8>, Labels), u32>,
    /// The families.
    names: Vec<Vec<u8>>,
}

impl Groups {
    fn of(&mut self, family: &[u8], labels: &Labels) -> u32 {
        let shared = labels.filtered(|n| n != METRIC_NAME && n != b"le" && n != b"quantile");
        let next = self.names.len() as u32;
        let group = *self.by_name.entry((family.to_vec(), shared)).or_insert(next);
        if group == next {
            self.names.push(family.to_vec());
        }
        group
    }
}

impl Bundle {
    /// Reads a file whose form is known. Errs where it means several things: a time that nothing tells, a series that is
    /// repeated.
    pub(super) fn read(&mut self, opened: Opened, sniffed: Sniffed, context: &Context<'_>) -> Result<Contents> {
        let target = self.target(context.target);
        match sniffed.form {
            Form::Text(dialect) => TextReader::new(self, context, target, dialect).read(opened.bytes, sniffed.crlf),
            _ => Ok(self.answer(opened.bytes, context, target)),
        }
    }

    /// An empty file: a scrape in which nothing was exposed, if its time is known.
    pub(super) fn empty(&mut self, context: &Context<'_>) -> Contents {
        let note = format!(
            "{}: the file is empty; the series of its target end there, as behind a scrape that gave nothing",
            context.rel
        );
        Contents {
            target: self.target(context.target),
            scrapes: context.time.ok().map(|t| Scrape { closed: true, ..Scrape::at(t) }).into_iter().collect(),
            notes: vec![note],
            ..Contents::default()
        }
    }

    fn target(&mut self, key: &TargetKey) -> usize {
        let found = self.targets.iter().position(|t| t == key);
        found.unwrap_or_else(|| {
            self.targets.push(key.clone());
            self.targets.len() - 1
        })
    }

    /// The position of the series with these labels.
    pub(super) fn id(&mut self, labels: Labels) -> u32 {
        let next = self.series.len() as u32;
        let id = *self.by_labels.entry(labels.clone()).or_insert(next);
        if id == next {
            self.series.push(Building::new(labels));
            self.marks.push(Mark::default());
        }
        id
    }

    fn next_exposition(&mut self) -> u32 {
        self.expositions += 1;
        self.expositions
    }
}

/// A loss in a file.
pub(super) fn loss(rel: &str, offset: Option<u64>, kind: ErrorKind, detail: String) -> Loss {
    Loss { file: rel.to_owned(), offset, kind, detail, series: None, interval: None, samples: None }
}

/// The lines of a file on their way into series.
struct TextReader<'a> {
    bundle: &'a mut Bundle,
    context: &'a Context<'a>,
    dialect: Dialect,
    contents: Contents,
    /// Position in [`Bundle::texts`].
    texts: usize,
    families: Families,
    /// Counts up with the lines that describe families.
    described: u64,
    last_name: LastName,
    /// The number of the exposition at the file's own time.
    number: u32,
    open: Option<Exposition>,
    /// Whether there was an entry of an exposition.
    began: bool,
    /// The time of the last `# scrape` line, until `# EOF`.
    separator: Option<TimestampMs>,
    /// A NaN that promtool printed and that may be a stale marker.
    nan: Option<Nan>,
    /// How many were taken for one.
    stale: u64,
    /// Native histograms that are not read, by series.
    histograms: BTreeMap<u32, (u64, Option<Interval>)>,
    lost_lines: u64,
}

/// The last sample of a series, which is NaN.
#[derive(Clone, Copy)]
struct Nan {
    id: u32,
    t_ms: TimestampMs,
    /// Whether the one before is NaN, too: a server writes one stale marker, and not another one behind it.
    repeated: bool,
}

/// What the family of the last metric name says: series of one name stand behind each other.
#[derive(Default)]
struct LastName {
    name: Vec<u8>,
    /// [`TextReader::described`] at that time.
    described: u64,
    metadata: Option<Arc<[String; 3]>>,
    /// The family and whether the name is that of its `_created` samples, where it counts.
    counts: Option<(Vec<u8>, bool)>,
}

/// The exposition that is being read.
struct Exposition {
    t_ms: TimestampMs,
    /// Its series and their values.
    ids: Vec<u32>,
    bits: Vec<u64>,
    /// The series of all lines, where some have times of their own.
    order: Vec<u32>,
    whole: bool,
    closed: bool,
    /// Those at the file's own time share a number, so that none may repeat a series of another.
    number: u32,
    /// Counting starts by group, in milliseconds.
    created: HashMap<u32, i64>,
    /// Whether it has samples with times of their own.
    timed: bool,
    /// Whether it describes families.
    described: bool,
    /// Whether its own time is known.
    dated: bool,
    /// Whether a line `# scrape` told it.
    separated: bool,
}

impl<'a> TextReader<'a> {
    fn new(bundle: &'a mut Bundle, context: &'a Context<'a>, target: usize, dialect: Dialect) -> TextReader<'a> {
        let key = (&context.target.labels, dialect);
        let texts = bundle.texts.iter().position(|((labels, dialect), _)| (labels, *dialect) == key);
        let texts = texts.unwrap_or_else(|| {
            bundle.texts.push(((key.0.clone(), dialect), Texts::default()));
            bundle.texts.len() - 1
        });
        TextReader {
            number: bundle.next_exposition(),
            bundle,
            context,
            dialect,
            contents: Contents { target, ..Contents::default() },
            texts,
            families: Families::default(),
            described: 0,
            last_name: LastName::default(),
            open: None,
            began: false,
            separator: None,
            nan: None,
            stale: 0,
            histograms: BTreeMap::new(),
            lost_lines: 0,
        }
    }

    /// Whether this is what a target prints, in which a series without a time is seen at that of the scrape.
    fn is_exposition(&self) -> bool {
        matches!(self.dialect, Dialect::Prometheus | Dialect::OpenMetrics)
    }

    fn read(mut self, bytes: impl Read, crlf: bool) -> Result<Contents> {
        let mut reader = Reader::new(bytes, self.dialect).crlf(crlf);
        loop {
            let line = match reader.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(e) => {
                    let place = reader.place();
                    self.end_of_bytes(&e, place.number, place.offset);
                    break;
                }
            };
            let number = line.place.number;
            match &line.event {
                // The fault behind it is the loss: half of a number is a number, too.
                Event::Sample(_) if !line.ended => {}
                Event::Sample(sample) => self.sample(sample, number)?,
                Event::Histogram(h) => {
                    let as_sample = Sample {
                        series: h.series,
                        name: h.name,
                        labels: h.labels,
                        bits: 0,
                        timestamp_ms: Some(h.timestamp_ms),
                        exemplar: None,
                        last_type: None,
                    };
                    let id = self.id(&as_sample);
                    let (count, times) = self.histograms.entry(id).or_default();
                    *count += 1;
                    *times = Interval::joined(*times, Some(Interval::new(h.timestamp_ms, h.timestamp_ms)));
                }
                Event::Eof => {
                    self.open.iter_mut().for_each(|open| open.closed = true);
                    self.close();
                    self.separator = None;
                }
                Event::Scrape { time_ms } => {
                    self.close();
                    self.separator = Some(*time_ms);
                    self.exposition();
                }
                Event::Fault(fault) => self.fault(fault),
                event => {
                    if matches!(event, Event::Help { .. } | Event::Type { .. }) && self.is_exposition() {
                        self.exposition().described = true;
                    }
                    self.described += 1;
                    self.families.observe(event);
                }
            }
        }
        if !self.began {
            // Comments alone, or `# EOF`, are a scrape that gave nothing.
            self.exposition();
        }
        self.close();
        self.end_of_nans(false);
        if self.stale > 0 {
            let nans = counted_noun(self.stale as usize, "NaN that stands alone is", "NaNs that stand alone are");
            let why = "taken for stale markers, which promtool prints so";
            self.contents.notes.push(format!("{}: {nans} {why}", self.context.rel));
            self.contents.samples -= self.stale;
        }
        if crlf {
            self.contents.oddities.push(Oddity::CrLf);
        }
        if self.contents.samples == 0 && self.contents.losses.is_empty() && self.is_exposition() {
            self.contents.oddities.push(Oddity::NoSample);
        }
        Ok(self.finish())
    }

    fn sample(&mut self, sample: &Sample<'_>, line: u64) -> Result<()> {
        let id = self.id(sample);
        self.contents.samples += 1;
        if let Some(t_ms) = sample.timestamp_ms {
            let (is_exposition, exposition) = (self.is_exposition(), self.exposition());
            if !std::mem::replace(&mut exposition.timed, true) {
                exposition.order.clone_from(&exposition.ids);
            }
            if is_exposition && exposition.order.last() != Some(&id) {
                exposition.order.push(id);
            }
            if is_exposition {
                self.push_timed(id, t_ms, sample.bits);
            } else {
                self.push_printed(id, t_ms, sample.bits);
            }
            return Ok(());
        }
        if let (None, Err(why)) = (self.separator, self.context.time) {
            let name = String::from_utf8_lossy(&sample.name.bytes()).into_owned();
            let message = format!(
                "line {line}: {} has no timestamp, and nothing tells when it was seen: {why}",
                crate::labels::printable(&name)
            );
            return Err(Error::new(ErrorKind::Ambiguous, message).hint(super::UNDATABLE));
        }
        let number = self.exposition().number;
        let Some(mark) = self.bundle.marks.get_mut(id as usize) else { return Ok(()) };
        if std::mem::replace(&mut mark.exposition, number) == number {
            let labels = self.bundle.series.get(id as usize).map(|s| s.labels.to_string()).unwrap_or_default();
            let message = format!("line {line} repeats {labels} without a timestamp");
            return Err(Error::new(ErrorKind::Ambiguous, message).hint(
                "several expositions in one file need a line `# scrape <time>` before each; a target that prints a series twice has to be repaired, or the line removed",
            ));
        }
        let group = mark.group;
        let exposition = self.exposition();
        exposition.ids.push(id);
        if exposition.timed {
            exposition.order.push(id);
        }
        exposition.bits.push(sample.bits);
        if let Some((group, true)) = group {
            // Whole milliseconds, cut as upstream cuts them.
            exposition.created.insert(group, (sample.value() * 1000.0) as i64);
        }
        Ok(())
    }

    fn push_timed(&mut self, id: u32, t_ms: TimestampMs, bits: u64) {
        self.bundle.series.get_mut(id as usize).into_iter().for_each(|s| s.timed.push(t_ms, bits, 0));
    }

    /// A sample that promtool printed. It prints stale markers as NaN, so one by itself is taken for one.
    fn push_printed(&mut self, id: u32, t_ms: TimestampMs, bits: u64) {
        let is_nan = f64::from_bits(bits).is_nan();
        let repeated = self.nan.is_some_and(|nan| nan.id == id) && is_nan;
        self.end_of_nans(repeated);
        if is_nan {
            self.nan = Some(Nan { id, t_ms, repeated });
        } else {
            self.push_timed(id, t_ms, bits);
        }
    }

    /// Keeps the NaN that was held back; `another` follows it.
    fn end_of_nans(&mut self, another: bool) {
        let Some(Nan { id, t_ms, repeated }) = self.nan.take() else { return };
        let is_stale = !repeated && !another;
        self.stale += u64::from(is_stale);
        self.push_timed(id, t_ms, if is_stale { STALE_NAN_BITS } else { NAN_BITS });
    }

    /// The exposition that is open, begun now if there is none.
    fn exposition(&mut self) -> &mut Exposition {
        let time = self.separator.or(self.context.time.ok());
        let separated = self.separator.is_some();
        let (bundle, number, began) = (&mut self.bundle, self.number, &mut self.began);
        self.open.get_or_insert_with(|| {
            *began = true;
            Exposition {
                t_ms: time.unwrap_or_default(),
                ids: Vec::new(),
                bits: Vec::new(),
                order: Vec::new(),
                whole: true,
                closed: false,
                number: if separated { bundle.next_exposition() } else { number },
                created: HashMap::new(),
                timed: false,
                described: false,
                dated: time.is_some(),
                separated,
            }
        })
    }

    /// Ends the open exposition.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.ids.is_empty() && (open.timed || !open.dated || !self.is_exposition()) {
            return;
        }
        for (id, bits) in open.ids.iter().zip(&open.bits) {
            let group = self.bundle.marks.get(*id as usize).and_then(|m| m.group);
            let start = match group {
                Some((group, false)) => open.created.get(&group).copied().filter(|s| *s > 0 && *s <= open.t_ms),
                _ => None,
            };
            let series = self.bundle.series.get_mut(*id as usize);
            series.into_iter().for_each(|s| s.push(self.contents.target, open.t_ms, *bits, start.unwrap_or(0)));
        }
        self.contents.separated += usize::from(open.separated);
        self.contents.scrapes.push(Scrape {
            t_ms: open.t_ms,
            closed: open.closed || open.ids.is_empty() && !open.described,
            whole: open.whole,
            ids: open.ids.into_iter().collect(),
            order: open.order.into_iter().collect(),
        });
    }

    /// The position of a sample's series.
    fn id(&mut self, sample: &Sample<'_>) -> u32 {
        let kind = match sample.last_type {
            Some(MetricType::Histogram) => BOUNDS_OF_HISTOGRAMS,
            Some(MetricType::Summary) => BOUNDS_OF_SUMMARIES,
            _ => NO_BOUNDS,
        };
        let known = self.bundle.texts.get_mut(self.texts).and_then(|(_, texts)| texts.find(sample.series, kind));
        let id = known.unwrap_or_else(|| self.new_id(sample, kind));
        if self.bundle.marks.get(id as usize).is_some_and(|mark| mark.file != self.number) {
            self.describe(id, sample);
        }
        id
    }

    /// The same for a sample whose text is not known yet.
    fn new_id(&mut self, sample: &Sample<'_>, kind: u8) -> u32 {
        let scraped = sample.stored_labels(self.context.release);
        if kind != NO_BOUNDS && !self.bundle.depends_on_release {
            self.bundle.depends_on_release = sample.stored_labels(NEWEST) != sample.stored_labels(OLDEST);
        }
        let target = &self.context.target.labels;
        let labels = if self.is_exposition() { of_target(&scraped, target) } else { completed(&scraped, target) };
        let id = self.bundle.id(labels);
        self.bundle.texts.get_mut(self.texts).into_iter().for_each(|(_, texts)| texts.insert(id));
        id
    }

    /// Gives a series, where it is first seen in this file, what the file says about its family.
    fn describe(&mut self, id: u32, sample: &Sample<'_>) {
        let bundle = &mut *self.bundle;
        let (series, mark) = (bundle.series.get_mut(id as usize), bundle.marks.get_mut(id as usize));
        let (Some(series), Some(mark)) = (series, mark) else { return };
        let name = sample.name.bytes();
        if self.last_name.name != *name || self.last_name.described != self.described {
            self.last_name = LastName {
                described: self.described,
                ..LastName::new(&name, &self.families, series.metadata.as_ref(), self.dialect)
            };
        }
        mark.file = self.number;
        mark.group = self.last_name.counts.as_ref().map(|(family, is_created)| {
            let same = |(group, created): &(u32, bool)| {
                created == is_created && bundle.groups.names.get(*group as usize) == Some(family)
            };
            mark.group.filter(same).unwrap_or_else(|| (bundle.groups.of(family, &series.labels), *is_created))
        });
        if self.last_name.metadata.is_some() {
            series.metadata.clone_from(&self.last_name.metadata);
        }
    }

    /// The times that a damaged line may have had: that of its exposition, where its samples have none of their own.
    fn times(&self) -> Option<Interval> {
        let t_ms = self.separator.or(self.context.time.ok()).filter(|_| self.is_exposition())?;
        Some(Interval::new(t_ms, t_ms))
    }

    fn fault(&mut self, fault: &Fault) {
        match fault.kind {
            FaultKind::ByteOrderMark => return self.contents.oddities.push(Oddity::ByteOrderMark),
            FaultKind::AfterEof => return self.contents.notes.push(format!("{}: {fault}", self.context.rel)),
            _ => {}
        }
        if let Some(open) = &mut self.open {
            open.whole = false;
        } else if fault.loses_line() {
            self.exposition().whole = false;
        } else if let Some(last) = self.contents.scrapes.last_mut() {
            last.whole = false;
        }
        let loss = Loss { interval: self.times(), ..fault.to_loss(self.context.rel) };
        self.lose(match fault.kind {
            FaultKind::Unterminated => Loss { detail: format!("{}, and is not used", loss.detail), ..loss },
            _ => loss,
        });
    }

    fn lose(&mut self, loss: Loss) {
        if self.contents.losses.len() < MOST_LOSSES {
            self.contents.losses.push(loss);
        } else {
            self.lost_lines += 1;
        }
    }

    /// What a decompressor, or the system, says about the end of a file.
    fn end_of_bytes(&mut self, error: &std::io::Error, line: u64, offset: u64) {
        let detail = format!("line {line}: the rest cannot be read: {}; what stands before is used", plain_io(error));
        self.exposition().whole = false;
        let kind = ErrorKind::Truncated;
        let loss = Loss { interval: self.times(), ..loss(self.context.rel, Some(offset), kind, detail) };
        self.lose(loss);
    }

    fn finish(self) -> Contents {
        let mut contents = self.contents;
        if self.lost_lines > 0 {
            let interval = contents.losses.iter().map(|l| l.interval).reduce(|a, b| match (a, b) {
                (Some(a), Some(b)) => Some(a.hull(b)),
                _ => None,
            });
            let detail = format!("{} more lines are not understood; `promproof check` lists them", self.lost_lines);
            contents.losses.push(Loss {
                interval: interval.flatten(),
                samples: Some(self.lost_lines),
                ..loss(self.context.rel, None, ErrorKind::Malformed, detail)
            });
        }
        for (id, (count, times)) in self.histograms {
            contents.losses.push(Loss {
                series: self.bundle.series.get(id as usize).map(|s| s.labels.clone()),
                interval: times,
                samples: Some(count),
                ..loss(
                    self.context.rel,
                    None,
                    ErrorKind::Unsupported,
                    "native histograms in text are not read".to_owned(),
                )
            });
        }
        contents
    }
}

impl LastName {
    /// `known` is used again where it says the same.
    fn new(name: &[u8], families: &Families, known: Option<&Arc<[String; 3]>>, dialect: Dialect) -> LastName {
        let of = families.of(name);
        let metadata = of.map(|of| match known.filter(|known| says(known, of.family)) {
            Some(known) => known.clone(),
            None => {
                let text = |bytes: &Option<Vec<u8>>| {
                    String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
                };
                Arc::new([type_name(of.family).to_owned(), text(&of.family.unit), text(&of.family.help)])
            }
        });
        let counts = |family: &Family| {
            let types = [MetricType::Counter, MetricType::Histogram, MetricType::Summary];
            dialect == Dialect::OpenMetrics && family.metric_type.is_some_and(|t| types.contains(&t))
        };
        let counts = of.filter(|of| counts(of.family)).map(|of| (of.name.to_vec(), of.part == Part::Created));
        LastName { name: name.to_vec(), described: 0, metadata, counts }
    }
}

fn type_name(family: &Family) -> &'static str {
    family.metric_type.map_or("unknown", MetricType::name)
}

/// Whether type, unit and help are those of a family.
fn says([kind, unit, help]: &[String; 3], family: &Family) -> bool {
    let same = |text: &str, bytes: &Option<Vec<u8>>| text.as_bytes() == bytes.as_deref().unwrap_or_default();
    kind == type_name(family) && same(unit, &family.unit) && same(help, &family.help)
}

/// The labels under which a server stores a scraped series of a target: where both have a label, the target's counts and the
/// scraped one is renamed (`scrape/scrape.go: mutateSampleLabels`).
fn of_target(scraped: &Labels, target: &Labels) -> Labels {
    if target.is_empty() {
        return scraped.clone();
    }
    let mut pairs: Vec<Label> = target.iter().cloned().collect();
    let (same, others): (Vec<&Label>, Vec<&Label>) = scraped.iter().partition(|l| !target.get(&l.name).is_empty());
    pairs.extend(others.into_iter().cloned());
    for label in same {
        let mut name = label.name.to_vec();
        while pairs.iter().any(|p| *p.name == *name) {
            name.splice(0..0, *b"exported_");
        }
        pairs.push(Label { name: name.into(), value: label.value.clone() });
    }
    Labels::normalized(pairs).0
}

/// The labels of a series that was stored once, with those of `target` that it lacks.
pub(super) fn completed(stored: &Labels, target: &Labels) -> Labels {
    let lacking = target.iter().filter(|l| stored.get(&l.name).is_empty());
    Labels::normalized(stored.iter().chain(lacking).cloned().collect()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_target_count_and_scraped_ones_are_renamed() {
        let labels = |pairs: &[(&'static str, &'static str)]| Labels::from_pairs(pairs.iter().copied());
        let target = labels(&[("job", "a"), ("instance", "b")]);
        let scraped = labels(&[("__name__", "x"), ("job", "c"), ("exported_job", "d")]);
        assert_eq!(
            of_target(&scraped, &target).to_string(),
            r#"x{exported_exported_job="c", exported_job="d", instance="b", job="a"}"#
        );
        assert_eq!(completed(&scraped, &target).to_string(), r#"x{exported_job="d", instance="b", job="c"}"#);
    }
}
