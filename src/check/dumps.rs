//! Text dumps: every line that is not understood, and every sample that another parser reads otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::findings::{FileKind, FileVerdict, Finding, State};
use super::tree::{self, Entry, Is};
use crate::dumps::{self, Content, Dumps, Found, MANIFEST};
use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::loss::{Conflict, Loss};
use crate::scrape::{CrossCheck, Dialect, Event, Fault, FaultKind, Form, Reader, read_answer};
use crate::source::OpenOptions;
use crate::time::Interval;
use crate::version::NEWEST;

/// Checks the dumps in `root`, a folder or a file: each by itself, then whether they can be opened together.
pub(super) fn walk(root: &Path, options: &OpenOptions, out: &mut Vec<FileVerdict>) -> Result<()> {
    let found: BTreeMap<String, Found> = dumps::files(root)?.into_iter().map(|f| (f.rel.clone(), f)).collect();
    let mut others = Vec::new();
    if root.is_dir() {
        let folder = Entry { name: String::new(), rel: String::new(), path: root.to_path_buf(), is: Is::Folder };
        tree::others(folder, None, &mut others);
    }
    for mut verdict in others.into_iter().filter(|v| !found.contains_key(&v.file)) {
        if verdict.bytes.is_some() {
            verdict.push(Finding::note("file", "a hidden file or a link", "none: it is not read as a dump"));
        }
        out.push(verdict);
    }
    out.par_extend(found.par_iter().map(|(_, found)| file(found, options.archive.max_zstd_window)));
    match Dumps::open(root, &options.dumps, options.release.unwrap_or(NEWEST), &options.archive) {
        Ok(dumps) => {
            let bad: BTreeSet<String> = out.iter().filter(|v| v.state == State::Bad).map(|v| v.file.clone()).collect();
            // What a file lost at some place has its finding there already.
            let is_new = |loss: &&Loss| loss.offset.is_none() && !bad.contains(&loss.file);
            let together = dumps.opening.losses.iter().filter(is_new);
            together.for_each(|loss| add(&loss.file, lost(loss), out));
            let place = found.values().next().filter(|_| found.len() == 1).map_or(".", |f| &f.rel);
            dumps.opening.conflicts.iter().for_each(|conflict| add(place, contradicting(conflict), out));
        }
        // A manifest that cannot be used has its finding, too.
        Err(e) if e.path().is_some_and(|p| p.ends_with(MANIFEST)) => {}
        Err(e) => {
            let file = found.values().find(|f| Some(f.path.as_path()) == e.path());
            add(file.map_or(".", |f| &f.rel), refused(&e), out);
        }
    }
    Ok(())
}

/// Adds a finding about a file, which may not be there.
fn add(file: &str, finding: Finding, out: &mut Vec<FileVerdict>) {
    if !out.iter().any(|v| v.file == file) {
        out.push(FileVerdict::new(file, FileKind::Dump, None));
    }
    if let Some(verdict) = out.iter_mut().find(|v| v.file == file) {
        verdict.push(finding);
    }
}

/// What a file lacks beside the others, such as the end that those around it have.
fn lost(loss: &Loss) -> Finding {
    let effect = "what is missing is in no answer";
    let finding = Finding::bad(loss.kind, "file", "whole, as the other files say", loss.detail.clone(), effect);
    finding.of(loss.series.clone()).over(loss.interval)
}

/// Two values of one series at one time.
fn contradicting(conflict: &Conflict) -> Finding {
    let effect =
        "the first one, in the order of paths, is in answers; one of the dumps was changed or is of another target";
    let found = "another value in another place";
    let finding = Finding::bad(ErrorKind::Ambiguous, "samples", "one value of a series at a time", found, effect);
    finding.of(Some(conflict.series.clone())).over(Some(Interval::new(conflict.t_ms, conflict.t_ms)))
}

/// Why the dumps cannot be opened.
fn refused(error: &Error) -> Finding {
    let hint = error.advice().map_or_else(String::new, |hint| format!("; {hint}"));
    let effect = format!("no other command opens these dumps{hint}");
    Finding::bad(error.kind(), "dumps", "they can be opened", error.message(), effect)
}

fn file(found: &Found, max_zstd_window: u64) -> FileVerdict {
    let verdict = |kind| FileVerdict::new(found.rel.clone(), kind, Some(found.bytes));
    if found.rel.rsplit('/').next() == Some(MANIFEST) {
        let mut verdict = verdict(FileKind::Manifest);
        match dumps::manifest_entries(&found.path) {
            Ok(entries) => verdict.count("files", entries),
            Err(e) => verdict.push(Finding::bad(
                e.kind(),
                "manifest",
                "a list of files with times and labels",
                e.message(),
                "the dumps cannot be opened",
            )),
        }
        return verdict;
    }
    let opened = match dumps::open(&found.path, max_zstd_window) {
        Ok(opened) => opened,
        Err(e) => {
            let mut verdict = verdict(FileKind::Dump);
            verdict.push(Finding::unreadable(&e, "the dumps cannot be opened"));
            return verdict;
        }
    };
    match opened.content {
        Content::Dump(sniffed) => {
            let mut verdict = verdict(FileKind::Dump);
            match sniffed.form {
                Form::Text(dialect) => {
                    lines(Reader::new(opened.bytes, dialect).crlf(sniffed.crlf), dialect, &mut verdict);
                }
                _ => answer(opened.bytes, &mut verdict),
            }
            if sniffed.crlf {
                let effect = "none: they are read as line breaks; a server would refuse them";
                verdict.push(Finding::note("line ends", "CR LF", effect));
            }
            verdict
        }
        Content::Damaged(why) => {
            let mut verdict = verdict(FileKind::Dump);
            let expected = "compressed data that can be read";
            verdict.push(Finding::bad(ErrorKind::Truncated, "file", expected, why, "nothing of it is in any answer"));
            verdict
        }
        Content::Empty | Content::Other(_) if dumps::is_answer_name(&found.rel) => {
            let mut verdict = verdict(FileKind::Dump);
            let found = if let Content::Other(what) = opened.content { what } else { "an empty file" };
            let expected = "an answer of the query API, as its name says";
            let effect = "the samples that were asked for are in no answer, of whatever time they are";
            verdict.push(Finding::bad(ErrorKind::Malformed, "file", expected, found, effect));
            verdict
        }
        Content::Other(what) if dumps::is_dump_name(&found.rel) => {
            let mut verdict = verdict(FileKind::Dump);
            let effect = "nothing of it is in any answer";
            verdict.push(Finding::bad(ErrorKind::Unsupported, "file", "a dump, as its name says", what, effect));
            verdict
        }
        Content::Empty if dumps::is_dump_name(&found.rel) => {
            let mut verdict = verdict(FileKind::Dump);
            verdict.push(Finding::note("file", "empty", "the series of its target end there"));
            verdict
        }
        Content::Empty | Content::Json | Content::Other(_) => verdict(FileKind::Other),
    }
}

fn lines(mut reader: Reader<impl std::io::Read>, dialect: Dialect, verdict: &mut FileVerdict) {
    let mut cross = CrossCheck::default();
    let (mut samples, mut histograms) = (0u64, 0u64);
    loop {
        match reader.next_line() {
            Ok(None) => break,
            Ok(Some(line)) => {
                match &line.event {
                    Event::Sample(_) => samples += 1,
                    Event::Histogram(_) => histograms += 1,
                    Event::Fault(fault) => verdict.push(finding(fault, dialect)),
                    _ => {}
                }
                if dialect == Dialect::Prometheus {
                    cross.offer(&line);
                }
            }
            Err(e) => {
                let place = reader.place();
                let part = format!("line {}", place.number);
                let effect = "what stands behind it is in no answer";
                let found = plain_io(&e);
                let finding = Finding::bad(ErrorKind::Truncated, part, "it can be read to its end", found, effect);
                verdict.push(finding.at(place.offset));
                break;
            }
        }
    }
    verdict.count("samples", samples);
    if histograms > 0 {
        verdict.count("histograms", histograms);
        let found = format!("{histograms} native histograms in text");
        let effect = "they are not read, and each of their series is a loss";
        verdict.push(Finding::bad(ErrorKind::Unsupported, "samples", "floats", found, effect));
    }
    if dialect == Dialect::Prometheus {
        verdict.count("cross_checked", cross.compared);
    }
    for d in &cross.disagreements {
        let found = format!("{} here, {} by prometheus-parse", d.ours, d.theirs);
        let effect = "answers take what is read here; one of the two parsers is wrong, please report it";
        let part = format!("line {}", d.place.number);
        let finding = Finding::bad(ErrorKind::Malformed, part, "two parsers that agree", found, effect);
        verdict.push(finding.at(d.place.offset));
    }
    let kept = cross.disagreements.len() as u64;
    verdict.omitted += cross.differing.saturating_sub(kept);
}

fn finding(fault: &Fault, dialect: Dialect) -> Finding {
    let part = format!("line {}, column {}", fault.line.number, fault.column);
    let found = if fault.found.is_empty() { "the end of the line".to_owned() } else { format!("`{}`", fault.found) };
    let offset = fault.offset();
    match (fault.kind, dialect) {
        (FaultKind::ByteOrderMark, _) => {
            Finding::note(part, "a byte order mark", "none: it is skipped; a server would refuse the scrape").at(offset)
        }
        (FaultKind::AfterEof, _) => {
            Finding::note(part, "something behind `# EOF`", "it is read as another exposition").at(offset)
        }
        (FaultKind::Unterminated, _) => {
            let effect = "the last line is in no answer, since its value may be cut; a server would have taken it";
            Finding::bad(ErrorKind::Truncated, part, fault.kind.expected(), found, effect).at(offset)
        }
        (kind, _) => {
            let error = fault.to_loss("").kind;
            let effect = if fault.loses_line() {
                "the line is in no answer; a server would have refused the whole scrape"
            } else {
                "what follows may be missing; a server would have refused the whole scrape"
            };
            Finding::bad(error, part, kind.expected(), found, effect).at(offset)
        }
    }
}

fn answer(bytes: impl std::io::Read, verdict: &mut FileVerdict) {
    let (mut series, mut samples) = (0u64, 0u64);
    let summary = read_answer(bytes, |s| {
        series += 1;
        samples += s.samples.len() as u64;
    });
    verdict.count("series", series);
    verdict.count("samples", samples);
    let effect = "what stands behind it is in no answer";
    match summary {
        Ok(s) if s.status != "success" => {
            let found = s.error.unwrap_or(s.status);
            let effect = "the samples that were asked for are in no answer, of whatever time they are";
            verdict.push(Finding::bad(ErrorKind::Missing, "status", "success", found, effect));
        }
        Ok(s) => {
            if series == 0 {
                verdict.push(Finding::note("result", "empty", "none: nothing matched what was asked"));
            }
            for doubt in s.doubts() {
                let effect = "what the server left out is in no answer, of whatever time it is";
                verdict.push(Finding::bad(ErrorKind::Missing, "warnings", "a whole answer", doubt, effect));
            }
            for remark in s.remarks() {
                verdict.push(Finding::note("warnings", remark, "none: it is about the query"));
            }
        }
        Err(fault) => {
            let part = format!("line {}, column {}", fault.line, fault.column);
            verdict.push(Finding::bad(ErrorKind::Malformed, part, "an answer of the query API", fault.message, effect));
        }
    }
}
