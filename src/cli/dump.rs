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
use crate::report::provenance::loss_lines;
use crate::report::table::csv_line;
use crate::sample::{Samples, is_stale};
use crate::samples::{LoadedSeries, Reach, load};
use crate::selector::Selector;
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::windows::Span;
use crate::windows::instead::instead;

/// Series that are decoded at once; the memory in use is theirs.
const BATCH: usize = 64;

pub fn run(args: DumpArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let interval = plan::dump_interval(&common, args.start.as_deref(), args.end.as_deref())?;
    let selectors: Vec<Selector> = args.matches.iter().map(|m| Selector::parse(m)).collect::<Result<_>>()?;
    let mut out = Output::open(&common)?;
    if args.format == DumpFormat::Csv {
        out.text("series,timestamp_ms,value,value_bits,stale\n")?;
    }
    let status = each_source(&common, |source| {
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
        let mut printed = 0;
        for batch in series.chunks(BATCH) {
            let loaded: Vec<LoadedSeries> =
                batch.par_iter().map(|s| load(&source, s, interval, Reach::Exact)).collect();
            for s in loaded {
                let text = render(args.format, &s.labels, &s.samples);
                printed += s.samples.len();
                out.text(&text)?;
                ledger.absorb(s.ledger);
            }
        }
        ledger.settle();
        ledger.check_one_server()?;
        tell(&common, &source, &ledger, &interval);
        let lost = ledger.losses.iter().any(|l| l.touches(&interval));
        if printed == 0 && !series.is_empty() && !lost {
            let covered = source.interval().map_or("nothing".to_owned(), |i| i.to_string());
            common.note(&format!("{}: no sample between {interval}; the blocks cover {covered}", source.name));
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

fn render(format: DumpFormat, labels: &Labels, samples: &Samples) -> String {
    let mut text = String::new();
    match format {
        DumpFormat::Promtool => {
            let series = promtool_labels(labels);
            for (t, bits) in samples.iter() {
                text.push_str(&format!("{series} {} {t}\n", format_shortest(f64::from_bits(bits))));
            }
        }
        DumpFormat::Csv => {
            let series = labels.to_string();
            for (t, bits) in samples.iter() {
                let cells = [
                    series.clone(),
                    t.to_string(),
                    format_shortest(f64::from_bits(bits)),
                    format!("{bits:016x}"),
                    is_stale(bits).to_string(),
                ];
                text.push_str(&csv_line(&cells));
            }
        }
        DumpFormat::Jsonl => {
            let labels = labels.to_json();
            for (t, bits) in samples.iter() {
                let value = crate::report::python::exact(Some(f64::from_bits(bits)));
                let object = json!({"labels": labels, "timestamp_ms": t, "value": value, "value_bits": format!("{bits:016x}"), "stale": is_stale(bits)});
                text.push_str(&format!("{object}\n"));
            }
        }
    }
    text
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
