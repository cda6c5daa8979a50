//! The evidence folder: what a source proves, and what was saved before tear-down, checked and listed (`docs/evidence.md`).
//!
//! ```text
//! source   -> computed (availability, timeline, model updates), exposition (metrics.txt where none was saved)
//! captures -> captures      registry -> registry      repo -> git      system, logs -> texts
//!                 every file, gap and check -> folder -> summary
//! ```
//!
//! Nothing is silently absent: what is not there is in `missing`, what was found and not used in `unused`.

pub(crate) mod captures;
pub(crate) mod computed;
pub(crate) mod exposition;
pub(crate) mod folder;
pub(crate) mod git;
pub(crate) mod given;
pub mod page;
pub(crate) mod registry;
mod summary;
pub mod summary_text;
mod texts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Result;
use crate::selector::Selector;
use crate::source::Source;
use crate::time::TimestampMs;
use crate::windows::newest::default_end;
use crate::windows::semantics::SemanticsChoice;
use crate::windows::{availability, switches};

pub use computed::{Answer, Window, windows};
pub use folder::{Check, Entry, Kind, Missing};
pub use git::{shell_word, shell_words};
pub(crate) use summary::lists;
pub use summary::{NAME as SUMMARY, SCHEMA as SUMMARY_SCHEMA};

/// The files of the evidence folder `dir`, relative with `/`, as its summary lists them; nothing where it is none.
pub fn own_files(dir: &Path) -> BTreeSet<String> {
    let text = std::fs::read(dir.join(summary::NAME)).unwrap_or_default();
    let document: Value = serde_json::from_slice(&text).unwrap_or_default();
    if document["schema"] != summary::SCHEMA {
        return BTreeSet::new();
    }
    let listed = document["files"].as_array().into_iter().flatten().filter_map(|f| f["path"].as_str());
    listed.chain([summary::NAME]).map(str::to_owned).collect()
}

/// What was lost that these documents name, each once.
pub(crate) fn losses<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for loss in documents.into_iter().filter_map(|d| d["losses"].as_array()).flatten() {
        let file = loss["file"].as_str().unwrap_or_default();
        let place = loss["offset"].as_u64().map_or(String::new(), |offset| format!(" at byte {offset}"));
        let line = format!("{file}{place}: {}", loss["detail"].as_str().unwrap_or_default());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The files that a `source` of a document consists of, with their paths: of blocks, logs, archives, datasets (their
/// manifests, which have the digests of all else) and text dumps.
pub(crate) fn source_files(source: &Value) -> Vec<(String, &Value)> {
    fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
        value[key].as_array().into_iter().flatten()
    }
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let of_blocks = list(source, "blocks").flat_map(|block| {
        let ulid = text(&block["ulid"]);
        list(block, "files").map(move |f| (format!("{ulid}/{}", f["path"].as_str().unwrap_or_default()), f))
    });
    let manifests = list(source, "datasets").flat_map(|d| list(d, "manifests"));
    let dumps = list(source, "dumps").flat_map(|d| list(d, "list"));
    let others = list(source, "logs").chain(list(source, "archives")).chain(manifests).chain(dumps);
    of_blocks.chain(others.map(|f| (text(if f["path"].is_null() { &f["name"] } else { &f["path"] }), f))).collect()
}

/// Every file that belongs into an evidence folder beside its summary.
pub(crate) fn all_files() -> Vec<String> {
    let [before, after, updates] = computed::DOCUMENTS;
    let texts = [before, after, updates].map(|json| json.replace(".json", ".txt"));
    let fixed = [before, after, updates, computed::TIMELINE, registry::FILE].into_iter();
    let fixed = fixed.chain(captures::files()).chain(git::files()).map(str::to_owned);
    fixed.chain(texts).chain(texts::files()).collect()
}

/// What to collect, and from where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time of the submission; without one the windows end at the newest sample.
    pub submission: Option<TimestampMs>,
    /// Saved responses of the API.
    pub captures: Option<PathBuf>,
    /// The model registry: a folder per version with its `meta.json`.
    pub registry: Option<PathBuf>,
    /// A work tree or a bare repository.
    pub repo: Option<PathBuf>,
    /// Log files.
    pub logs: Option<PathBuf>,
    /// What was saved about the machine and its containers.
    pub system: Option<PathBuf>,
    /// The program `git`; `None` where there is none.
    pub git: Option<PathBuf>,
    /// What `collection_timestamp` says instead of the evaluation time.
    pub timestamp: Option<TimestampMs>,
    /// Whose rules the answers follow.
    pub semantics: SemanticsChoice,
    /// Which requests the availability is of.
    pub requests: availability::Question,
    /// Which switches the model updates are.
    pub switches: switches::Question,
    /// The same for recorded commands.
    pub words: Words,
}

/// The arguments of recorded commands, quoted for a shell.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// The SOURCE and what else chooses the data.
    pub source: String,
    /// What chooses the requests; empty for the recommender's.
    pub requests: String,
    /// What chooses the switches; empty for the recommender's.
    pub switches: String,
    /// The spacing of scrapes, where it was given.
    pub spacing: String,
}

/// What was collected.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The two windows with their verdicts, and the model updates.
    pub answers: Vec<Answer>,
    /// What is not there.
    pub missing: Vec<Missing>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// Files that were found and not used, each with the reason.
    pub unused: Vec<(String, String)>,
    /// How many files were written beside the summary.
    pub files: usize,
    /// What the windows are, in words.
    pub words: String,
    /// EVIDENCE_SUMMARY.json.
    pub summary: Value,
}

impl Collected {
    /// 0 all there and met; 1 a requirement not met, something missing, a check failed; 3 a verdict or check unknown.
    pub fn exit_status(&self) -> u8 {
        use crate::verdict::Verdict::{NotMet, Unknown};
        let verdict = |v| self.answers.iter().any(|a| a.verdict == v);
        let check = |ok| self.checks.iter().any(|c| c.ok == ok);
        if verdict(NotMet) || !self.missing.is_empty() || check(Some(false)) {
            1
        } else if verdict(Unknown) || check(None) {
            3
        } else {
            0
        }
    }
}

/// Every selection that collecting takes, so that a source can be opened for it.
pub fn selectors(options: &Options) -> Vec<Selector> {
    [options.requests.selectors(), options.switches.selectors()].concat()
}

/// Collects into the empty folder `target`.
///
/// Errs only where there is no answer at all or the folder cannot be written; everything else that goes wrong is a missing
/// part or a failed check.
pub fn collect(source: &Source, options: &Options, target: &Path) -> Result<Collected> {
    let mut folder = folder::Folder::new(target);
    let newest = default_end(source, &[&options.requests.total]);
    let windows = windows(options.submission, newest);
    let described = source.describe(true)?;
    let computed = computed::write(&mut folder, source, &described, options, &windows, newest)?;
    let beside = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let repo = git::write(&mut folder, options.repo.as_deref(), options.git.as_deref(), beside)?;
    let registry = registry::write(&mut folder, options.registry.as_deref(), repo.as_ref(), &computed.updates)?;
    captures::write(&mut folder, options, source, registry.as_ref(), repo.as_ref())?;
    texts::write_system(&mut folder, options.system.as_deref())?;
    texts::write_logs(&mut folder, options.logs.as_deref())?;
    let words = computed::words(options.submission, newest);
    let evaluated = options.timestamp.unwrap_or(newest);
    let summary = summary::document(&folder, &computed.answers, options, evaluated, &words, described);
    folder.write_unlisted(summary::NAME, format!("{summary:#}\n").as_bytes())?;
    let folder::Folder { files, missing, checks, unused, .. } = folder;
    Ok(Collected { answers: computed.answers, missing, checks, unused, files: files.len(), words, summary })
}
