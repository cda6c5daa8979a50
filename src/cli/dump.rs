//! `promproof dump`: raw samples, streaming.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

use crate::cli::args::{DumpArgs, DumpFormat, View};
use crate::cli::each_source;
use crate::cli::output::Output;
use crate::cli::plan::{self, Common};
use crate::error::{Error, Result};
use crate::head::Physical;
use crate::labels::{Labels, is_label_identifier, printable};
use crate::loss::Ledger;
use crate::promql::format_shortest;
use crate::report::histogram;
use crate::report::provenance::loss_lines;
use crate::report::python::exact;
use crate::report::table::csv_line;
use crate::sample::{Samples, is_stale};
use crate::samples::{Kinds, LoadedSeries, exclusive_chunks, load_in_batches, physical};
use crate::selector::{Matcher, Selector};
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::time::Interval;
use crate::tsdb::chunkenc::histogram::HistogramSample;
use crate::tsdb::run::Run;
use crate::windows::Span;
use crate::windows::instead::instead;

/// Series whose text is made at once; the memory in use is theirs.
const BATCH: usize = 64;

pub fn run(args: DumpArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let interval = plan::sample_interval(&common, args.start.as_deref(), args.end.as_deref())?;
    let selectors: Vec<Selector> = args.matches.iter().map(|m| Selector::parse(m)).collect::<Result<_>>()?;
    let mut out = Output::open(&common)?;
    if args.format == DumpFormat::Csv {
        let origin = if args.view == View::Union { ",origin,offset,state,reference" } else { "" };
        out.text(&format!("series,timestamp_ms,value,value_bits,stale,start_ms,histogram{origin}\n"))?;
    }
    let status = each_source(&common, &selectors, |source| {
        let mut ledger = source.opening_ledger();
        if args.view == View::Union {
            return union(&common, &source, &selectors, interval, args.format, &mut out);
        }
        let mut found: BTreeMap<Labels, MergedSeries> = BTreeMap::new();
        for selector in &selectors {
            let selection = select(&source, selector.matchers());
            if selection.series.is_empty() {
                let span = Span { start: interval.start, end: interval.end };
                for line in instead(&source, selector, None, span) {
                    common.note(&line);
                }
            }
            ledger.absorb(selection.ledger);
            found.extend(selection.series.into_iter().map(|s| (s.labels.clone(), s)));
        }
        let series: Vec<MergedSeries> = found.into_values().collect();
        let series = exclusive_chunks(&source, &series, &mut ledger).into_owned();
        let mut printed = 0;
        load_in_batches(&source, &series, interval, Kinds::All, |_, batch| -> Result<()> {
            ledger.absorb(batch.ledger);
            for group in batch.series.chunks(BATCH) {
                let texts: Vec<String> = group.par_iter().map(|s| render(args.format, s)).collect();
                for (s, text) in group.iter().zip(texts) {
                    printed += s.samples.len() + s.histograms.len();
                    out.text(&text)?;
                }
            }
            Ok(())
        })?;
        ledger.settle();
        ledger.check_one_server()?;
        tell(&common, &source, &ledger, &interval);
        let lost = ledger.losses.iter().any(|l| l.touches(&interval));
        if printed == 0 && !series.is_empty() && !lost {
            let covered = source.interval().map_or("nothing".to_owned(), |i| i.to_string());
            common.note(&format!("{}: no sample between {interval}; the data cover {covered}", source.name));
        }
        Ok(if lost || printed == 0 { 3 } else { 0 })
    })?;
    out.finish(&common)?;
    Ok(status)
}

/// What standard error says about samples that are not in the output, or that could have been others.
fn tell(common: &Common, source: &Source, ledger: &Ledger, interval: &Interval) {
    let losses: Vec<_> = ledger.losses.iter().filter(|l| l.touches(interval)).cloned().collect();
    for line in loss_lines(&losses, 20) {
        common.note(&format!("{}: lost: {line}", source.name));
    }
    if !ledger.conflicts.is_empty() {
        common.note(&format!(
            "{}: {} samples have different values in {}; those of a full read are printed",
            source.name,
            ledger.conflicts.len(),
            source.overlapping()
        ));
    }
    for note in ledger.notes.iter().take(20) {
        common.note(&format!("{}: {note}", source.name));
    }
}

/// Every sample on disk, part by part.
fn union(
    common: &Common,
    source: &Source,
    selectors: &[Selector],
    interval: Interval,
    format: DumpFormat,
    out: &mut Output,
) -> Result<u8> {
    if !source.dumps.is_empty() {
        return Err(Error::usage("--view union: text dumps are the samples that were printed, and have no other view")
            .hint("leave out --view"));
    }
    let mut ledger = source.opening_ledger();
    let mut printed = 0;
    let selections: Vec<&[Matcher]> = selectors.iter().map(Selector::matchers).collect();
    for series in physical(source, &selections, &|_| true, &mut ledger)? {
        for part in &series.parts {
            let mut run = Run::default();
            run.extend(&part.run, interval);
            let mut lines = Lines::new(format, &series.labels);
            lines.origin = Some(part);
            lines.run(&run.floats, &run.histograms);
            printed += run.len();
            out.text(&lines.text)?;
        }
    }
    ledger.settle();
    tell(common, source, &ledger, &interval);
    let lost = ledger.losses.iter().any(|l| l.touches(&interval));
    Ok(if lost || printed == 0 { 3 } else { 0 })
}

fn render(format: DumpFormat, series: &LoadedSeries) -> String {
    let mut lines = Lines::new(format, &series.labels);
    lines.run(&series.samples, &series.histograms);
    lines.text
}

/// The lines of one series.
struct Lines<'a> {
    format: DumpFormat,
    name: String,
    labels: serde_json::Value,
    /// Where the samples stand, where that is printed.
    origin: Option<&'a Physical>,
    text: String,
}

impl Lines<'_> {
    fn new(format: DumpFormat, labels: &Labels) -> Self {
        let name = match format {
            DumpFormat::Promtool => promtool_labels(labels),
            DumpFormat::Csv | DumpFormat::Jsonl => labels.to_string(),
        };
        Lines { format, name, labels: labels.to_json(), origin: None, text: String::new() }
    }

    /// All samples by time.
    fn run(&mut self, floats: &Samples, histograms: &[HistogramSample]) {
        let mut waiting = histograms.iter().peekable();
        for (i, (t, bits)) in floats.iter().enumerate() {
            while let Some(h) = waiting.next_if(|h| h.t_ms < t) {
                self.histogram(h);
            }
            self.float(t, bits, floats.start(i));
        }
        waiting.for_each(|h| self.histogram(h));
    }

    fn float(&mut self, t: i64, bits: u64, start: i64) {
        let value = format_shortest(f64::from_bits(bits));
        let hex = || format!("{bits:016x}");
        match self.format {
            DumpFormat::Promtool => self.promtool(&value, t),
            DumpFormat::Csv => self.csv(t, [value, hex()], is_stale(bits), start, String::new()),
            DumpFormat::Jsonl => {
                let value = exact(Some(f64::from_bits(bits)));
                let object = json!({"labels": self.labels, "timestamp_ms": t, "value": value, "value_bits": hex(), "stale": is_stale(bits)});
                self.jsonl(object, start);
            }
        }
    }

    fn histogram(&mut self, sample: &HistogramSample) {
        let (t, stale, start) = (sample.t_ms, sample.is_stale(), sample.start_ms);
        match self.format {
            DumpFormat::Promtool => self.promtool(&histogram::text(sample), t),
            DumpFormat::Csv => self.csv(t, Default::default(), stale, start, histogram::object(sample).to_string()),
            DumpFormat::Jsonl => {
                let object = histogram::object(sample);
                let object = json!({"labels": self.labels, "timestamp_ms": t, "histogram": object, "stale": stale});
                self.jsonl(object, start);
            }
        }
    }

    fn promtool(&mut self, value: &str, t: i64) {
        let origin = self.origin.map(|o| format!(" # {} {}@{}", o.state, printable(&o.file), o.offset));
        self.text.push_str(&format!("{} {value} {t}{}\n", self.name, origin.unwrap_or_default()));
    }

    fn csv(&mut self, t: i64, [value, bits]: [String; 2], stale: bool, start: i64, histogram: String) {
        let start = if start == 0 { String::new() } else { start.to_string() };
        let mut cells = vec![self.name.clone(), t.to_string(), value, bits, stale.to_string(), start, histogram];
        if let Some(o) = self.origin {
            let reference = o.reference.map_or_else(String::new, |r| r.0.to_string());
            cells.extend([o.file.clone(), o.offset.to_string(), o.state.to_owned(), reference]);
        }
        self.text.push_str(&csv_line(&cells));
    }

    fn jsonl(&mut self, mut object: serde_json::Value, start: i64) {
        if let Some(map) = object.as_object_mut() {
            if start != 0 {
                map.insert("start_ms".to_owned(), start.into());
            }
            if let Some(o) = self.origin {
                let reference = o.reference.map(|r| r.0);
                let origin = json!({"file": o.file, "offset": o.offset, "state": o.state, "reference": reference});
                map.insert("origin".to_owned(), origin);
            }
        }
        self.text.push_str(&format!("{object}\n"));
    }
}

/// Labels as upstream's `Labels.String` writes them: every label in braces, the name among them, Go's quoting.
fn promtool_labels(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|l| {
            let name = if is_label_identifier(&l.name) {
                String::from_utf8_lossy(&l.name).into_owned()
            } else {
                go_quote(&l.name)
            };
            format!("{name}={}", go_quote(&l.value))
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Go's `strconv.Quote`.
fn go_quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{7}' => out.push_str("\\a"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
                c if !is_print(c) && (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
                c if !is_print(c) => out.push_str(&format!("\\U{:08x}", c as u32)),
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out.push('"');
    out
}

/// Nearly Go's `unicode.IsPrint`: what Rust's `escape_debug` leaves alone.
fn is_print(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || (c.escape_debug().len() == 1 && (c == ' ' || !c.is_whitespace()))
}
