//! `promproof dump`: raw samples, streaming.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

use crate::cli::args::{DumpArgs, DumpFormat};
use crate::cli::each_source;
use crate::cli::output::Output;
use crate::cli::plan::{self, Common};
use crate::error::Result;
use crate::labels::Labels;
use crate::loss::Ledger;
use crate::promql::format_shortest;
use crate::report::histogram;
use crate::report::provenance::loss_lines;
use crate::report::table::csv_line;
use crate::sample::is_stale;
use crate::samples::{Kinds, LoadedSeries, exclusive_chunks, load_in_batches};
use crate::selector::Selector;
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::tsdb::chunkenc::histogram::HistogramSample;
use crate::windows::Span;
use crate::windows::instead::instead;

/// Series whose text is made at once; the memory in use is theirs.
const BATCH: usize = 64;

pub fn run(args: DumpArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let interval = plan::dump_interval(&common, args.start.as_deref(), args.end.as_deref())?;
    let selectors: Vec<Selector> = args.matches.iter().map(|m| Selector::parse(m)).collect::<Result<_>>()?;
    let mut out = Output::open(&common)?;
    if args.format == DumpFormat::Csv {
        out.text("series,timestamp_ms,value,value_bits,stale,start_ms,histogram\n")?;
    }
    let status = each_source(&common, &selectors, |source| {
        let mut ledger = source.opening_ledger();
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
fn tell(common: &Common, source: &Source, ledger: &Ledger, interval: &crate::time::Interval) {
    let losses: Vec<_> = ledger.losses.iter().filter(|l| l.touches(interval)).cloned().collect();
    for line in loss_lines(&losses, 20) {
        common.note(&format!("{}: lost: {line}", source.name));
    }
    if !ledger.conflicts.is_empty() {
        common.note(&format!(
            "{}: {} samples have different values in overlapping blocks; those of a full read are printed",
            source.name,
            ledger.conflicts.len()
        ));
    }
    for note in ledger.notes.iter().take(20) {
        common.note(&format!("{}: {note}", source.name));
    }
}

fn render(format: DumpFormat, series: &LoadedSeries) -> String {
    let mut text = String::new();
    let name = match format {
        DumpFormat::Promtool => promtool_labels(&series.labels),
        DumpFormat::Csv | DumpFormat::Jsonl => series.labels.to_string(),
    };
    let labels = series.labels.to_json();
    let (mut f, mut h) = (0, 0);
    loop {
        let float = series.samples.ts.get(f).copied();
        let histogram = series.histograms.get(h);
        let next = match (float, histogram) {
            (None, None) => return text,
            (Some(t), Some(x)) if x.t_ms < t => Err(x),
            (Some(t), _) => Ok(t),
            (None, Some(x)) => Err(x),
        };
        match next {
            Ok(t) => {
                let bits = series.samples.bits.get(f).copied().unwrap_or(0);
                float_line(&mut text, format, (&name, &labels), t, bits, series.samples.start(f));
                f += 1;
            }
            Err(x) => {
                histogram_line(&mut text, format, (&name, &labels), x);
                h += 1;
            }
        }
    }
}

fn float_line(
    text: &mut String,
    format: DumpFormat,
    (name, labels): (&str, &serde_json::Value),
    t: i64,
    bits: u64,
    start: i64,
) {
    let value = format_shortest(f64::from_bits(bits));
    match format {
        DumpFormat::Promtool => text.push_str(&format!("{name} {value} {t}\n")),
        DumpFormat::Csv => {
            let start = if start == 0 { String::new() } else { start.to_string() };
            let bits_text = format!("{bits:016x}");
            let cells =
                [name.to_owned(), t.to_string(), value, bits_text, is_stale(bits).to_string(), start, String::new()];
            text.push_str(&csv_line(&cells));
        }
        DumpFormat::Jsonl => {
            let value = crate::report::python::exact(Some(f64::from_bits(bits)));
            let mut object = json!({"labels": labels, "timestamp_ms": t, "value": value, "value_bits": format!("{bits:016x}"), "stale": is_stale(bits)});
            if let (Some(map), true) = (object.as_object_mut(), start != 0) {
                map.insert("start_ms".to_owned(), start.into());
            }
            text.push_str(&format!("{object}\n"));
        }
    }
}

fn histogram_line(
    text: &mut String,
    format: DumpFormat,
    (name, labels): (&str, &serde_json::Value),
    sample: &HistogramSample,
) {
    let t = sample.t_ms;
    match format {
        DumpFormat::Promtool => text.push_str(&format!("{name} {} {t}\n", histogram::text(sample))),
        DumpFormat::Csv => {
            let start = if sample.start_ms == 0 { String::new() } else { sample.start_ms.to_string() };
            let object = histogram::object(sample).to_string();
            let stale = sample.is_stale().to_string();
            let cells = [name.to_owned(), t.to_string(), String::new(), String::new(), stale, start, object];
            text.push_str(&csv_line(&cells));
        }
        DumpFormat::Jsonl => {
            let object = histogram::object(sample);
            let mut object =
                json!({"labels": labels, "timestamp_ms": t, "histogram": object, "stale": sample.is_stale()});
            if let (Some(map), true) = (object.as_object_mut(), sample.start_ms != 0) {
                map.insert("start_ms".to_owned(), sample.start_ms.into());
            }
            text.push_str(&format!("{object}\n"));
        }
    }
}

/// Labels as upstream's `Labels.String` writes them: every label in braces, the name among them, Go's quoting.
fn promtool_labels(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|l| {
            let plain = l.name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
                && l.name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let name = if plain { String::from_utf8_lossy(&l.name).into_owned() } else { go_quote(&l.name) };
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
