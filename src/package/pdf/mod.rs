//! `report.pdf`: the report of a package as a document on paper, with the code that it hands in.
//!
//! ```text
//! report, copied code -> data (one JSON) -> template.typ, in a world of two files and two families of fonts -> PDF
//! ```
//!
//! What comes from files reaches the template as values and never as source, so it cannot be markup, whatever it is. The
//! same inputs give the same bytes: there is no clock, and what a PDF says of its making comes from the evidence
//! (`docs/decisions/0006-pdf-by-typst.md`).

mod alphabet;
mod data;
mod listing;
mod world;

use std::path::Path;

use typst::diag::SourceDiagnostic;
use typst::ecow::EcoVec;
use typst::foundations::{Datetime, Smart};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use crate::error::{Error, ErrorKind, Result};
use crate::evidence::folder::Entry;
use crate::evidence::page::model::Report;
use crate::time::{parse_time, rfc3339};

use super::gather::Evidence;
use alphabet::Alphabet;
use world::Paper;

/// The document. It is identified and dated by the evidence; `code` lists copied files below `root`.
pub fn pdf(report: &Report, evidence: &Evidence, root: &Path, code: &[&Entry]) -> Result<Vec<u8>> {
    let alphabet = Alphabet::new();
    let listings = listing::listings(root, code, &alphabet)?;
    let data = data::document(report, listings, &alphabet);
    let creator = alphabet.text(&report.made_by);
    let paper = Paper::new(alphabet, &data).map_err(|e| unexpected(&e.to_string()))?;
    let document: PagedDocument = typst::compile(&paper).output.map_err(failed)?;
    // For readers of every kind: text in order, plots in words, tables with heads.
    let standards = PdfStandards::new(&[PdfStandard::Ua_1]);
    let options = PdfOptions {
        ident: Smart::Custom(evidence.sha256.clone()),
        creator: Smart::Custom(Some(creator)),
        timestamp: evidence.summary["collection_timestamp"].as_str().and_then(timestamp),
        standards: standards.map_err(|e| unexpected(e.message()))?,
        ..PdfOptions::default()
    };
    typst_pdf::pdf(&document, &options).map_err(failed)
}

/// A time as PDF dates documents: in whole seconds of UTC.
fn timestamp(text: &str) -> Option<Timestamp> {
    let text = rfc3339(parse_time(text).ok()?.0);
    let number = |at: usize| text.get(at..at + 2)?.parse::<u8>().ok();
    let (month, day) = (number(5)?, number(8)?);
    let (hour, minute, second) = (number(11)?, number(14)?, number(17)?);
    Datetime::from_ymd_hms(text.get(..4)?.parse().ok()?, month, day, hour, minute, second).map(Timestamp::new_utc)
}

fn failed(errors: EcoVec<SourceDiagnostic>) -> Error {
    unexpected(errors.first().map_or("", |e| &e.message))
}

fn unexpected(why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("report.pdf cannot be laid out: {why}"))
        .hint("make the package without --pdf; report.html prints to the same pages")
}
