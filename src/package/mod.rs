//! The package of deliverables: evidence, documents and code in one folder, with a checklist whose every status comes from
//! what the files say (`docs/package.md`).
//!
//! ```text
//! policy -> gather (copies, digests, faults) -> content (what the files say), agreement (whether they say the same) -> checklist
//!     -> checklist_json, checklist_text, readme, evidence::page, pdf -> SHA256SUMS -> archive
//! ```
//!
//! Everything is judged on the copies, so that what was looked at is what is handed on.

mod agreement;
pub mod archive;
mod checklist;
mod checklist_json;
pub mod checklist_text;
mod content;
mod gather;
#[cfg(feature = "pdf")]
mod pdf;
mod policy;
mod readme;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::evidence::folder::{Folder, Kind, Origin};
use crate::evidence::page;
use crate::report::style::Style;

pub use checklist::{Checklist, Deliverable, Item, Status};
pub use policy::{DEFAULT, Policy};

const EVIDENCE: &str = "evidence";
const DOCUMENTS: &str = "docs";
const CODE: &str = "code_samples";
const CHECKLIST_JSON: &str = "DELIVERABLES_CHECKLIST.json";
const CHECKLIST_TEXT: &str = "DELIVERABLES_CHECKLIST.txt";
const README: &str = "README.md";
const REPORT: &str = "report.html";
const PDF: &str = "report.pdf";
const SUMS: &str = "SHA256SUMS";
/// What the checklist says that it is.
const SCHEMA: &str = "promproof.package/1";

/// How to get one, in a line.
const NO_PDF: &str = "--pdf: this build makes no PDF; build it with `cargo install --path . --features pdf`, or print report.html, which has the same pages";

/// The files of the package `dir`, relative with `/`, as its SHA256SUMS lists them; nothing where it is none.
pub fn own_files(dir: &Path) -> BTreeSet<String> {
    let checklist = std::fs::read(dir.join(CHECKLIST_JSON)).unwrap_or_default();
    let checklist: Value = serde_json::from_slice(&checklist).unwrap_or_default();
    if checklist["schema"] != SCHEMA {
        return BTreeSet::new();
    }
    let sums = std::fs::read_to_string(dir.join(SUMS)).unwrap_or_default();
    let listed = sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, path)| path);
    listed.chain([SUMS]).map(str::to_owned).collect()
}

/// What goes into a package.
#[derive(Debug, Clone)]
pub struct Options {
    /// A folder that `promproof collect` wrote.
    pub evidence: PathBuf,
    /// Where documents are.
    pub docs: Option<PathBuf>,
    /// Where code is.
    pub code: Option<PathBuf>,
    /// What is copied and what has to be shown.
    pub policy: Policy,
    /// Whether report.pdf is made, too: only in a build with the feature `pdf`.
    pub pdf: bool,
    /// Where the package will be; what lies there now is not copied into it.
    pub place: PathBuf,
}

/// What was packaged.
#[derive(Debug, Clone)]
pub struct Packaged {
    /// Every status with its checks.
    pub checklist: Checklist,
    /// Every file of the package, sorted.
    pub paths: Vec<String>,
}

/// Makes the package in the empty folder `target`.
///
/// Errs where a PDF is asked for and this build makes none, the evidence folder is none, a given folder cannot be read, or `target` cannot be written; everything else
/// that goes wrong is a missing part or a failed check.
pub fn package(options: &Options, target: &Path) -> Result<Packaged> {
    if options.pdf && !cfg!(feature = "pdf") {
        return Err(Error::usage(NO_PDF));
    }
    let mut folder = Folder::new(target);
    let root = |flag, path, into| gather::Root { flag, path, into, except: &options.place };
    let docs = root("--docs", options.docs.as_deref(), DOCUMENTS);
    let code = root("--code", options.code.as_deref(), CODE);
    // All is chosen before anything is copied: the target may lie in one of the folders.
    let documents = gather::choose(&mut folder, &docs, &options.policy.documents)?;
    let samples = gather::choose(&mut folder, &code, &options.policy.code)?;
    let evidence = gather::evidence(&mut folder, &options.evidence)?;
    gather::copy_all(&mut folder, &docs, &documents)?;
    gather::copy_all(&mut folder, &code, &samples)?;
    let contents = content::Contents { root: target.to_path_buf(), files: &folder.files, evidence: &evidence };
    let checklist = checklist::judge(&contents, &options.policy, &folder.missing, &folder.unused);
    let document = checklist_json::document(&checklist);
    let master = readme::text(&contents, &checklist, options.pdf);
    let report = page::with_checklist(&target.join(EVIDENCE), &document)?;
    let text = checklist_text::report(&checklist, Style::default());
    let made = [
        (CHECKLIST_JSON, format!("{document:#}\n").into_bytes()),
        (CHECKLIST_TEXT, text.into_bytes()),
        (README, master.into_bytes()),
        (REPORT, report.html().into_bytes()),
    ];
    #[cfg(feature = "pdf")]
    let paper = options.pdf.then(|| pdf::pdf(&report, &evidence, target, &contents.below(CODE))).transpose()?;
    #[cfg(not(feature = "pdf"))]
    let paper = None;
    for (name, bytes) in made.into_iter().chain(paper.map(|bytes| (PDF, bytes))) {
        let origin = Origin { kind: Kind::Computed, source: "the package".to_owned(), command: None };
        folder.write(name, bytes.as_slice(), origin)?;
    }
    folder.files.sort_by(|a, b| a.path.cmp(&b.path));
    let sums: String = folder.files.iter().map(|f| format!("{}  {}\n", f.sha256, f.path)).collect();
    folder.write_unlisted(SUMS, sums.as_bytes())?;
    let mut paths: Vec<String> = folder.files.into_iter().map(|f| f.path).chain([SUMS.to_owned()]).collect();
    paths.sort();
    Ok(Packaged { checklist, paths })
}
