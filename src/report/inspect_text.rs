//! What a SOURCE holds, for people.

use std::collections::BTreeSet;

use crate::labels::printable;
use crate::report::availability_text::{coverage, indent};
use crate::report::provenance::{loss_lines, note_lines};
use crate::report::python::thousands;
use crate::report::style::{Style, block, list, title};
use crate::report::table::Table;
use crate::source::Source;
use crate::time::{human_duration, rfc3339};
use crate::windows::inventory::{Inventory, encodings};

/// The most rows of a table.
const MOST: usize = 25;

/// The report.
pub fn report(source: &Source, inventory: &Inventory, style: Style) -> String {
    let mut out = title(style, "SOURCE INVENTORY");
    let n = |x: u64| thousands(x as f64);
    out.push_str(&format!("\nSource: {}\n", printable(&source.title())));
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    match inventory.interval {
        Some(i) => {
            row("First sample:", rfc3339(i.start));
            row("Last sample:", format!("{}  ({})", rfc3339(i.end), human_duration(i.length())));
        }
        None => row("Samples:", "none".to_owned()),
    }
    row("Series:", n(inventory.series));
    row("Float samples:", n(inventory.served));
    if inventory.histograms > 0 {
        row("Native histograms:", n(inventory.histograms));
    }
    row("On disk:", format!("{} samples, repeated, deleted and refused ones included", n(inventory.physical)));
    row("Deleted:", format!("{} by tombstones", n(inventory.ledger.deleted)));
    row("Duplicates:", format!("{} in {}", n(inventory.ledger.duplicates), source.overlapping()));
    row("Conflicts:", n(inventory.ledger.conflicts.len() as u64));
    if let Some(s) = &inventory.semantics {
        row("Semantics:", format!("{} ({})", s.name(), s.why));
    }
    block(&mut out, style, "Contents:", &rows);

    let mut table = Table::new(&["block", "start", "end", "level", "series", "chunks", "samples", "bytes", "hints"]);
    for (b, account) in source.blocks.iter().zip(&inventory.blocks).take(MOST) {
        let meta = &b.block.meta;
        let samples: u64 = account.count.encodings.values().map(|e| e.samples).sum();
        table.rows.push(vec![
            meta.ulid.to_string(),
            rfc3339(meta.min_time_ms),
            rfc3339(meta.max_time_ms),
            meta.level.to_string(),
            account.series.to_string(),
            account.chunks.to_string(),
            samples.to_string(),
            b.block.segment_bytes().to_string(),
            if meta.hints.is_empty() { "-".to_owned() } else { printable(&meta.hints.join(" ")) },
        ]);
    }
    section(&mut out, style, "Blocks:", &table, source.blocks.len());
    let mut table =
        Table::new(&["head", "start", "end", "series", "mapped_chunks", "logged_samples", "late_samples", "refused"]);
    for (h, account) in source.heads.iter().zip(&inventory.heads).take(MOST) {
        let times = h.head.interval();
        table.rows.push(vec![
            format!("behind {}", h.head.cutoff_text()),
            times.map_or_else(|| "-".to_owned(), |i| rfc3339(i.start)),
            times.map_or_else(|| "-".to_owned(), |i| rfc3339(i.end)),
            account.series.to_string(),
            account.chunks.to_string(),
            account.count.logged.to_string(),
            h.head.late_account.samples.to_string(),
            h.head.account.refused.to_string(),
        ]);
    }
    section(&mut out, style, "Head (write-ahead log and mapped chunks):", &table, source.heads.len());
    let mut table =
        Table::new(&["dataset", "layout", "partition", "semantics", "shards", "series", "samples", "histograms"]);
    for (d, account) in source.datasets.iter().zip(&inventory.datasets).take(MOST) {
        let m = &d.dataset.manifest;
        let all = m.shard.map_or(1, |s| s.count);
        table.rows.push(vec![
            m.dataset_id.chars().take(12).collect(),
            printable(&m.layout),
            printable(&m.partition),
            printable(&m.semantics),
            format!("{}/{all}", d.dataset.folders.len()),
            account.series.to_string(),
            account.count.floats.to_string(),
            account.count.histograms.to_string(),
        ]);
    }
    section(&mut out, style, "Converted Data:", &table, source.datasets.len());
    let mut table = Table::new(&["files", "bytes", "scrapes", "times_from", "series", "samples"]);
    for (d, account) in source.dumps.iter().zip(&inventory.dumps).take(MOST) {
        let files = &d.dumps.files;
        let rules: BTreeSet<&str> = files.iter().map(|f| f.time_from.unwrap_or("timestamps")).collect();
        table.rows.push(vec![
            files.len().to_string(),
            files.iter().map(|f| f.bytes).sum::<u64>().to_string(),
            files.iter().map(|f| f.scrapes).sum::<u64>().to_string(),
            rules.into_iter().collect::<Vec<_>>().join(", "),
            account.series.to_string(),
            account.count.floats.to_string(),
        ]);
    }
    section(&mut out, style, "Text Dumps:", &table, source.dumps.len());
    let mut table = Table::new(&["encoding", "chunks", "samples", "bytes", "bytes_per_sample"]);
    for (e, c) in encodings(inventory) {
        let per = if c.samples == 0 { "-".to_owned() } else { format!("{:.2}", c.bytes as f64 / c.samples as f64) };
        table.rows.push(vec![e.name(), c.chunks.to_string(), c.samples.to_string(), c.bytes.to_string(), per]);
    }
    section(&mut out, style, "Encodings:", &table, table.rows.len());
    let mut table = Table::new(&["metric", "series", "samples", "bytes"]);
    for m in inventory.metrics.iter().take(MOST) {
        let name = if m.name.is_empty() { "(no name)".to_owned() } else { printable(&m.name) };
        table.rows.push(vec![name, m.series.to_string(), m.samples.to_string(), m.bytes.to_string()]);
    }
    section(&mut out, style, "Metrics by Size:", &table, inventory.metrics.len());
    if let Some(c) = &inventory.coverage {
        coverage(&mut out, style, c);
    }
    let shadowed: Vec<String> = source.shadowed.iter().map(|s| format!("{}: {}", printable(&s.rel), s.why)).collect();
    list(&mut out, style, "Blocks Not Served:", &shadowed);
    let disagreements: Vec<String> = source
        .blocks
        .iter()
        .zip(&inventory.blocks)
        .flat_map(|(b, a)| a.disagreements.iter().map(|d| format!("{}: {d}", b.block.meta.ulid)))
        .collect();
    list(&mut out, style, "Accounts That Do Not Add Up:", &disagreements);
    let losses = loss_lines(&inventory.ledger.losses, MOST);
    list(&mut out, style, "Losses:", &losses);
    list(&mut out, style, "Notes:", &note_lines(&inventory.ledger.notes));
    if losses.is_empty() && disagreements.is_empty() {
        out.push_str(&format!("\n{}\n", style.good("No damage seen; every account adds up.")));
    }
    out
}

fn section(out: &mut String, style: Style, heading: &str, table: &Table, all: usize) {
    if table.rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", style.bold(heading)));
    indent(out, &table.to_text());
    if all > table.rows.len() {
        out.push_str(&format!("  and {} more (--format json lists all)\n", all - table.rows.len()));
    }
}
