//! One file: its lines become scrapes, at the file's time or at that of a `# scrape` line, and samples with times of their own.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::Answers;
use super::file::Opened;
use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::labels::{Label, Labels, METRIC_NAME};
use crate::loss::Loss;
use crate::sample::Samples;
use crate::scrape::{
    AnswerSeries, Dialect, Event, Families, Fault, FaultKind, Form, MetricType, Part, Reader, Sample, Sniffed,
    read_answer,
};
use crate::time::{Interval, TimestampMs};
use crate::version::{NEWEST, OLDEST, PromVersion};

/// Losses of one file that are listed one by one; further ones are counted.
const MOST_LOSSES: usize = 1000;

/// What is known about a file before it is read.
pub(super) struct Context<'a> {
    /// Its path, for losses and errors.
    pub(super) rel: &'a str,
    /// When it was made, or why nothing tells.
    pub(super) time: Result<TimestampMs, &'a str>,
    /// The labels of its target.
    pub(super) target: &'a Labels,
    pub(super) release: PromVersion,
    pub(super) answers: Answers,
}

/// A series of a file.
#[derive(Debug)]
pub(super) struct FileSeries {
    pub(super) labels: Labels,
    /// Type, unit and help.
    pub(super) metadata: Option<[String; 3]>,
    /// Samples with a time of their own, in the order of the file.
    pub(super) timed: Samples,
    /// The family and labels that a `_created` sample shares with it, and whether it is that sample.
    group: Option<(usize, bool)>,
    /// The scrape that it was last seen in.
    seen: Option<u32>,
    /// Native histograms that are not read.
    histograms: u64,
    histogram_times: Option<Interval>,
}

/// What was seen at one time.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) t_ms: TimestampMs,
    /// Positions in [`Contents::series`].
    pub(super) ids: Vec<u32>,
    /// As many.
    pub(super) bits: Vec<u64>,
    /// As many, or none at all.
    pub(super) starts: Vec<i64>,
    /// Whether nothing of it was lost, so that what is not there was not exposed.
    pub(super) whole: bool,
    /// Whether it says where it ends, or is empty; else it may have been cut at the end of a line.
    pub(super) closed: bool,
    /// The series of its lines one after the other, where some of them have times of their own and so are not in `ids`.
    pub(super) order: Vec<u32>,
}

impl Scrape {
    fn at(t_ms: TimestampMs) -> Scrape {
        Scrape {
            t_ms,
            ids: Vec::new(),
            bits: Vec::new(),
            starts: Vec::new(),
            whole: true,
            closed: false,
            order: Vec::new(),
        }
    }

    /// The series of its lines, one after the other.
    pub(super) fn lines(&self) -> &[u32] {
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

/// A file as it was read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) series: Vec<FileSeries>,
    pub(super) scrapes: Vec<Scrape>,
    pub(super) losses: Vec<Loss>,
    pub(super) notes: Vec<String>,
    /// What is told once for all files that have it.
    pub(super) oddities: Vec<Oddity>,
    /// Whether another release stores other labels.
    pub(super) depends_on_release: bool,
    /// Whether its samples are what a server evaluated, each repeated for up to 5 minutes.
    pub(super) evaluated: bool,
}

impl Contents {
    /// Float samples.
    pub(super) fn samples(&self) -> u64 {
        let scraped: usize = self.scrapes.iter().map(|s| s.ids.len()).sum();
        let timed: usize = self.series.iter().map(|s| s.timed.len()).sum();
        (scraped + timed) as u64
    }
}

/// Reads a file whose form is known. Errs where it means several things: a time that nothing tells, a series that is repeated.
pub(super) fn read(opened: Opened, sniffed: Sniffed, context: &Context<'_>) -> Result<Contents> {
    match sniffed.form {
        Form::Text(dialect) => TextReader::new(context, dialect).read(opened.bytes, sniffed.crlf),
        _ => Ok(answer(opened.bytes, context)),
    }
}

/// An empty file: a scrape in which nothing was exposed, if its time is known.
pub(super) fn empty(context: &Context<'_>) -> Contents {
    let note = format!(
        "{}: the file is empty; the series of its target end there, as behind a scrape that gave nothing",
        context.rel
    );
    Contents {
        scrapes: context.time.ok().map(|t| Scrape { closed: true, ..Scrape::at(t) }).into_iter().collect(),
        notes: vec![note],
        ..Contents::default()
    }
}

/// A loss in a file.
fn loss(rel: &str, offset: Option<u64>, kind: ErrorKind, detail: String) -> Loss {
    Loss { file: rel.to_owned(), offset, kind, detail, series: None, interval: None, samples: None }
}

/// The lines of a file on their way into series.
struct TextReader<'a> {
    context: &'a Context<'a>,
    dialect: Dialect,
    contents: Contents,
    /// By the bytes of name and labels as they stand in a line, and the last type before it.
    by_text: HashMap<Vec<u8>, u32>,
    by_labels: HashMap<Labels, u32>,
    key: Vec<u8>,
    families: Families,
    groups: HashMap<(Vec<u8>, Labels), usize>,
    open: Option<Exposition>,
    /// Expositions that had an entry so far.
    expositions: u32,
    /// The time of the last `# scrape` line, until `# EOF`.
    separator: Option<TimestampMs>,
    lost_lines: u64,
}

/// The exposition that is being read.
struct Exposition {
    scrape: Scrape,
    /// Those at the file's own time share a number, so that none may repeat a series of another.
    number: u32,
    /// Counting starts by group, in milliseconds.
    created: HashMap<usize, i64>,
    /// Whether it has samples with times of their own.
    timed: bool,
    /// Whether it describes families.
    described: bool,
    /// Whether its own time is known.
    dated: bool,
}

impl<'a> TextReader<'a> {
    fn new(context: &'a Context<'a>, dialect: Dialect) -> TextReader<'a> {
        TextReader {
            context,
            dialect,
            contents: Contents::default(),
            by_text: HashMap::new(),
            by_labels: HashMap::new(),
            key: Vec::new(),
            families: Families::default(),
            groups: HashMap::new(),
            open: None,
            expositions: 0,
            separator: None,
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
                Event::Sample(sample) => self.sample(sample, number)?,
                Event::Histogram(h) => {
                    let as_sample = Sample {
                        name: h.name,
                        labels: h.labels,
                        bits: 0,
                        timestamp_ms: Some(h.timestamp_ms),
                        exemplar: None,
                        last_type: None,
                    };
                    let id = self.id(&as_sample);
                    if let Some(s) = self.contents.series.get_mut(id as usize) {
                        s.histograms += 1;
                        let at = Some(Interval::new(h.timestamp_ms, h.timestamp_ms));
                        s.histogram_times = Interval::joined(s.histogram_times, at);
                    }
                }
                Event::Eof => {
                    self.open.iter_mut().for_each(|open| open.scrape.closed = true);
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
                    self.families.observe(event);
                }
            }
        }
        if self.expositions == 0 {
            // Comments alone, or `# EOF`, are a scrape that gave nothing.
            self.exposition();
        }
        self.close();
        if crlf {
            self.contents.oddities.push(Oddity::CrLf);
        }
        if self.contents.samples() == 0 && self.contents.losses.is_empty() && self.is_exposition() {
            self.contents.oddities.push(Oddity::NoSample);
        }
        self.finish()
    }

    fn sample(&mut self, sample: &Sample<'_>, line: u64) -> Result<()> {
        let id = self.id(sample);
        let timestamp = sample.timestamp_ms;
        if let Some(t_ms) = timestamp {
            let (is_exposition, exposition) = (self.is_exposition(), self.exposition());
            if !std::mem::replace(&mut exposition.timed, true) {
                exposition.scrape.order.clone_from(&exposition.scrape.ids);
            }
            if is_exposition && exposition.scrape.order.last() != Some(&id) {
                exposition.scrape.order.push(id);
            }
            if let Some(s) = self.contents.series.get_mut(id as usize) {
                s.timed.push(t_ms, sample.bits);
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
        let Some(series) = self.contents.series.get_mut(id as usize) else { return Ok(()) };
        if series.seen.replace(number) == Some(number) {
            let message = format!("line {line} repeats {} without a timestamp", series.labels);
            return Err(Error::new(ErrorKind::Ambiguous, message).hint(
                "several expositions in one file need a line `# scrape <time>` before each; a target that prints a series twice has to be repaired, or the line removed",
            ));
        }
        let group = series.group;
        let exposition = self.exposition();
        exposition.scrape.ids.push(id);
        if exposition.timed {
            exposition.scrape.order.push(id);
        }
        exposition.scrape.bits.push(sample.bits);
        if let Some((group, true)) = group {
            // Whole milliseconds, cut as upstream cuts them.
            exposition.created.insert(group, (sample.value() * 1000.0) as i64);
        }
        Ok(())
    }

    /// The exposition that is open, begun now if there is none.
    fn exposition(&mut self) -> &mut Exposition {
        let time = self.separator.or(self.context.time.ok());
        let (separated, expositions) = (self.separator.is_some(), &mut self.expositions);
        self.open.get_or_insert_with(|| {
            *expositions += 1;
            Exposition {
                scrape: Scrape::at(time.unwrap_or_default()),
                number: if separated { *expositions } else { 0 },
                created: HashMap::new(),
                timed: false,
                described: false,
                dated: time.is_some(),
            }
        })
    }

    /// Ends the open exposition.
    fn close(&mut self) {
        let Some(Exposition { mut scrape, created, timed, described, dated, .. }) = self.open.take() else { return };
        scrape.closed |= scrape.ids.is_empty() && !described;
        if scrape.ids.is_empty() && (timed || !dated || !self.is_exposition()) {
            return;
        }
        if !created.is_empty() && self.dialect == Dialect::OpenMetrics {
            let series = &self.contents.series;
            let start = |id: &u32| {
                let (group, is_created) = series.get(*id as usize)?.group?;
                let start = created.get(&group).filter(|s| !is_created && **s > 0 && **s <= scrape.t_ms)?;
                Some(*start)
            };
            let starts: Vec<i64> = scrape.ids.iter().map(|id| start(id).unwrap_or(0)).collect();
            if starts.iter().any(|s| *s != 0) {
                scrape.starts = starts;
            }
        }
        scrape.ids.shrink_to_fit();
        scrape.bits.shrink_to_fit();
        self.contents.scrapes.push(scrape);
    }

    /// The position of a sample's series.
    fn id(&mut self, sample: &Sample<'_>) -> u32 {
        self.key.clear();
        // These bytes are in no UTF-8, and so in no name or value.
        self.key.extend_from_slice(sample.name.raw);
        for (name, value) in sample.labels.iter() {
            self.key.push(0xff);
            self.key.extend_from_slice(name.raw);
            self.key.push(0xfe);
            self.key.extend_from_slice(value.raw);
        }
        let bounds = match sample.last_type {
            Some(MetricType::Histogram) => 0xfd,
            Some(MetricType::Summary) => 0xfc,
            _ => 0xfb,
        };
        self.key.push(bounds);
        if let Some(id) = self.by_text.get(&self.key) {
            return *id;
        }
        let scraped = sample.stored_labels(self.context.release);
        if bounds != 0xfb && !self.contents.depends_on_release {
            self.contents.depends_on_release = sample.stored_labels(NEWEST) != sample.stored_labels(OLDEST);
        }
        let labels = if self.is_exposition() {
            of_target(&scraped, self.context.target)
        } else {
            completed(&scraped, self.context.target)
        };
        let next = self.contents.series.len() as u32;
        let id = *self.by_labels.entry(labels.clone()).or_insert(next);
        if id == next {
            let (metadata, group) = self.family(&sample.name.bytes(), &labels);
            self.contents.series.push(FileSeries {
                labels,
                metadata,
                timed: Samples::default(),
                group,
                seen: None,
                histograms: 0,
                histogram_times: None,
            });
        }
        self.by_text.insert(self.key.clone(), id);
        id
    }

    /// The metadata of a series, and the group that it shares with its `_created` sample.
    fn family(&mut self, name: &[u8], labels: &Labels) -> (Option<[String; 3]>, Option<(usize, bool)>) {
        let Some(of) = self.families.of(name) else { return (None, None) };
        let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        let kind = of.family.metric_type.map_or("unknown", MetricType::name).to_owned();
        let metadata = Some([kind, text(&of.family.unit), text(&of.family.help)]);
        let counts =
            matches!(of.family.metric_type, Some(MetricType::Counter | MetricType::Histogram | MetricType::Summary));
        if !counts {
            return (metadata, None);
        }
        let shared = labels.filtered(|n| n != METRIC_NAME && n != b"le" && n != b"quantile");
        let next = self.groups.len();
        let group = *self.groups.entry((of.name.to_vec(), shared)).or_insert(next);
        (metadata, Some((group, of.part == Part::Created)))
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
            open.scrape.whole = false;
        } else if fault.loses_line() {
            self.exposition().scrape.whole = false;
        } else if let Some(last) = self.contents.scrapes.last_mut() {
            last.whole = false;
        }
        let loss = Loss { interval: self.times(), ..fault.to_loss(self.context.rel) };
        self.lose(loss);
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
        self.exposition().scrape.whole = false;
        let kind = ErrorKind::Truncated;
        let loss = Loss { interval: self.times(), ..loss(self.context.rel, Some(offset), kind, detail) };
        self.lose(loss);
    }

    fn finish(self) -> Result<Contents> {
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
        for s in contents.series.iter().filter(|s| s.histograms > 0) {
            contents.losses.push(Loss {
                series: Some(s.labels.clone()),
                interval: s.histogram_times,
                samples: Some(s.histograms),
                ..loss(
                    self.context.rel,
                    None,
                    ErrorKind::Unsupported,
                    "native histograms in text are not read".to_owned(),
                )
            });
        }
        Ok(contents)
    }
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
fn completed(stored: &Labels, target: &Labels) -> Labels {
    let lacking = target.iter().filter(|l| stored.get(&l.name).is_empty());
    Labels::normalized(stored.iter().chain(lacking).cloned().collect()).0
}

/// A saved answer of the query API.
fn answer(bytes: impl Read, context: &Context<'_>) -> Contents {
    let mut all: Vec<AnswerSeries> = Vec::new();
    let summary = read_answer(bytes, |s| all.push(s));
    let mut contents = Contents::default();
    match &summary {
        Ok(summary) => {
            if summary.status != "success" {
                let why = summary.error.clone().unwrap_or_else(|| format!("its status is `{}`", summary.status));
                contents.losses.push(loss(
                    context.rel,
                    None,
                    ErrorKind::Missing,
                    format!("the server answered with an error: {why}"),
                ));
            }
            let warnings = summary.warnings.iter().map(|w| format!("{}: the server warned: {w}", context.rel));
            contents.notes.extend(warnings);
        }
        Err(fault) => {
            let detail = format!("{fault}; the series before it are used");
            contents.losses.push(loss(context.rel, None, ErrorKind::Malformed, detail));
        }
    }
    if all.is_empty() && summary.as_ref().is_ok_and(|s| s.status == "success") {
        contents.notes.push(format!("{}: the answer is empty: nothing matched what was asked", context.rel));
        return contents;
    }
    let is_vector = summary.as_ref().is_ok_and(|s| s.result_type == "vector");
    contents.evaluated = match context.answers {
        Answers::Raw => false,
        Answers::Evaluated => true,
        Answers::Auto => is_vector || is_on_one_grid(&all),
    };
    if contents.evaluated {
        contents.notes.push(format!(
            "{}: these look like evaluations at even steps (query_range), each sample repeated for up to 5 minutes, so nothing here says what was scraped and coverage is unknown; --answers raw if they are raw samples",
            context.rel
        ));
    }
    let mut by_labels: BTreeMap<Labels, usize> = BTreeMap::new();
    for AnswerSeries { labels, samples, histograms_ms } in all {
        let labels = completed(&labels, context.target);
        if let (Some(first), Some(last)) = (histograms_ms.iter().min(), histograms_ms.iter().max()) {
            contents.losses.push(Loss {
                series: Some(labels.clone()),
                interval: Some(Interval::new(*first, *last)),
                samples: Some(histograms_ms.len() as u64),
                ..loss(
                    context.rel,
                    None,
                    ErrorKind::Unsupported,
                    "native histograms in answers are not read".to_owned(),
                )
            });
        }
        let next = contents.series.len();
        let at = *by_labels.entry(labels.clone()).or_insert(next);
        if at == next {
            contents.series.push(FileSeries {
                labels,
                metadata: None,
                timed: Samples::default(),
                group: None,
                seen: None,
                histograms: 0,
                histogram_times: None,
            });
        }
        if let Some(s) = contents.series.get_mut(at) {
            s.timed.extend(&samples, 0..samples.len());
        }
    }
    contents
}

/// Whether all times of all series are steps of one grid, as evaluations are. Raw samples of several targets are not, since
/// each target has a phase of its own.
fn is_on_one_grid(all: &[AnswerSeries]) -> bool {
    let times = || all.iter().flat_map(|s| &s.samples.ts);
    let spacing = |w: &[i64]| w.last().zip(w.first()).map(|(b, a)| b.saturating_sub(*a)).filter(|d| *d > 0);
    let step = all.iter().flat_map(|s| s.samples.ts.windows(2).filter_map(spacing)).min();
    let Some(first) = times().next() else { return false };
    times().all(|t| step.map_or(t == first, |step| t.wrapping_sub(*first) % step == 0))
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

    #[test]
    fn evaluations_stand_on_one_grid() {
        let series = |ts: &[i64]| AnswerSeries {
            labels: Labels::default(),
            samples: Samples::new(ts.to_vec(), vec![0; ts.len()]),
            histograms_ms: Vec::new(),
        };
        assert!(is_on_one_grid(&[series(&[10, 15, 25]), series(&[20])]));
        assert!(!is_on_one_grid(&[series(&[10, 15, 25]), series(&[12, 17])]));
        assert!(!is_on_one_grid(&[series(&[10, 15, 21])]));
        assert!(!is_on_one_grid(&[]));
    }
}
