//! The checklist: each deliverable, and each item of the guide's list before submitting, with the checks that its status
//! comes from.

use crate::evidence::captures;
use crate::evidence::computed;
use crate::evidence::exposition::parse;
use crate::evidence::folder::{Check, Entry, Missing};
use crate::evidence::given::Unused;
use crate::evidence::registry::timestamp;
use crate::evidence::{SUMMARY, losses};
use crate::labels::printable;
use crate::report::python::{round, thousands};
use crate::time::TimestampMs;
use crate::verdict::counted_noun;

use super::agreement;
use super::content::{Content, Contents};
use super::gather::Fault;
use super::policy::{Pattern, Policy};
use super::readme;
use super::{CODE, DOCUMENTS, EVIDENCE};

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Every check holds.
    Complete,
    /// A check fails.
    Incomplete,
    /// No check fails, and the data cannot decide one: not yet, or not at all.
    Pending,
}

impl Status {
    /// What comes of checks.
    pub fn of<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Status {
        let mut status = Status::Complete;
        for check in checks {
            match check.ok {
                Some(true) => {}
                Some(false) => return Status::Incomplete,
                None => status = Status::Pending,
            }
        }
        status
    }

    /// As the documents have it.
    pub fn text(self) -> &'static str {
        match self {
            Status::Complete => "✅ Complete",
            Status::Incomplete => "❌ Incomplete",
            Status::Pending => "⏳ Pending",
        }
    }
}

/// Something to be ticked off.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// What was looked at; at least one.
    pub checks: Vec<Check>,
}

impl Item {
    /// What comes of its checks.
    pub fn status(&self) -> Status {
        Status::of(&self.checks)
    }
}

/// A deliverable.
#[derive(Debug, Clone)]
pub struct Deliverable {
    /// Its number.
    pub id: u64,
    /// What it has to show.
    pub description: String,
    /// The files that show it; patterns that find none as they are.
    pub evidence: Vec<String>,
    /// Its name and checks.
    pub item: Item,
}

/// The whole list.
#[derive(Debug, Clone)]
pub struct Checklist {
    /// The submission, or else the time of the evaluation; `None` where the evidence has neither.
    pub date: Option<TimestampMs>,
    /// Whether that is the submission.
    pub is_submission: bool,
    /// The deliverables, in the order of the policy.
    pub deliverables: Vec<Deliverable>,
    /// The guide's list before submitting.
    pub before_submission: Vec<Item>,
    /// The name of the policy, and the digest of its text.
    pub policy: (String, String),
    /// The digest of EVIDENCE_SUMMARY.json, which has those of all evidence.
    pub summary_sha256: String,
    /// What was lost in the source that the answers need; `None` where their documents cannot be read.
    pub losses: Option<Vec<String>>,
    /// What no file of the package can prove, and how it is proven, in a sentence.
    pub proof: String,
    /// What is not there, of the evidence too.
    pub missing: Vec<Missing>,
    /// Files that were found and not copied, with the reason.
    pub refused: Unused,
}

impl Checklist {
    /// What was lost, in a sentence.
    pub fn losses_in_words(&self) -> String {
        let documents = computed::DOCUMENTS.map(|file| format!("{EVIDENCE}/{file}")).join(", ");
        match self.losses.as_deref() {
            None => format!("whether samples were lost is not known: one of {documents} cannot be read"),
            Some([]) => "no sample of the source that these answers need was lost".to_owned(),
            Some(list) => {
                let lost = counted_noun(list.len(), "loss of samples touches", "losses of samples touch");
                format!("{lost} these answers; all are in `losses` of {documents}")
            }
        }
    }

    /// The first of the losses, and how many more there are, in lines.
    pub fn first_losses(&self) -> Vec<String> {
        const MOST: usize = 5;
        let list = self.losses.as_deref().unwrap_or_default();
        let more = list.len().saturating_sub(MOST);
        let more = (more > 0).then(|| format!("and {more} more"));
        list.iter().take(MOST).cloned().chain(more).collect()
    }

    /// How many deliverables have a status.
    pub fn count(&self, status: Status) -> usize {
        self.deliverables.iter().filter(|d| d.item.status() == status).count()
    }

    /// The share of complete deliverables, with two decimals.
    pub fn completion_percentage(&self) -> f64 {
        let share = self.count(Status::Complete) as f64 / self.deliverables.len().max(1) as f64;
        round(share * 100.0, 2)
    }

    /// 0 all complete; 1 one is not; 3 none is incomplete, and one is pending.
    pub fn exit_status(&self) -> u8 {
        let deliverables = self.deliverables.iter().map(|d| d.item.status());
        let all: Vec<Status> = deliverables.chain(self.before_submission.iter().map(Item::status)).collect();
        if all.contains(&Status::Incomplete) {
            1
        } else if all.contains(&Status::Pending) {
            3
        } else {
            0
        }
    }
}

/// Judges what was copied.
pub fn judge(contents: &Contents<'_>, policy: &Policy, missing: &[Missing], refused: &Unused) -> Checklist {
    let looker = Looker {
        contents,
        missing: all_missing(contents, missing),
        faults: [contents.evidence.faults.clone(), agreement::faults(contents)].concat(),
        collected: agreement::checks(contents),
    };
    let deliverables: Vec<Deliverable> = policy.deliverables.iter().map(|d| looker.deliverable(d)).collect();
    let mut before_submission = looker.before_submission(policy);
    before_submission.push(every_deliverable(&deliverables));
    let submission = contents.submission().ok().flatten();
    let timeline = contents.json(&format!("{EVIDENCE}/{}", computed::TIMELINE)).unwrap_or_default();
    let evaluated = timestamp(&timeline["data_until"]);
    let documents = computed::DOCUMENTS.map(|file| contents.json(&format!("{EVIDENCE}/{file}")));
    let documents: Option<Vec<_>> = documents.into_iter().map(Result::ok).collect();
    Checklist {
        date: submission.or(evaluated),
        is_submission: submission.is_some(),
        deliverables,
        before_submission,
        policy: (policy.name.clone(), policy.sha256.clone()),
        summary_sha256: contents.evidence.sha256.clone(),
        losses: documents.map(|list| losses(&list).iter().map(|line| printable(line)).collect()),
        proof: proof(contents),
        missing: looker.missing,
        refused: refused.clone(),
    }
}

/// What rests on the word of collect, and the command that proves it.
fn proof(contents: &Contents<'_>) -> String {
    let summary = &contents.evidence.summary;
    let name = summary["source"]["name"].as_str().unwrap_or("unknown");
    let again = readme::collects_again(summary).unwrap_or("promproof collect SOURCE --output again");
    printable(&format!(
        "availability, model updates and the timeline were computed by promproof collect from the source {name}, which also held the captures against its samples and the repository; no file here can prove that, and this, in the folder that holds the source, must give the same bytes: {again}"
    ))
}

/// What the evidence lacks by its own words, then what the package lacks.
fn all_missing(contents: &Contents<'_>, missing: &[Missing]) -> Vec<Missing> {
    let recorded = contents.evidence.summary["missing"].as_array().into_iter().flatten();
    let text = |v: &serde_json::Value| printable(v.as_str().unwrap_or_default());
    // What is no file of the evidence is a folder that was given to collect.
    let place = |what: String| if what.starts_with("--") { what } else { format!("{EVIDENCE}/{what}") };
    let recorded = recorded.map(|m| Missing {
        what: place(text(&m["what"])),
        why: text(&m["why"]),
        how_to_get_it: text(&m["how_to_get_it"]),
    });
    recorded.chain(missing.iter().cloned()).collect()
}

fn every_deliverable(deliverables: &[Deliverable]) -> Item {
    let checks = deliverables.iter().map(|d| {
        let ok = match d.item.status() {
            Status::Complete => Some(true),
            Status::Incomplete => Some(false),
            Status::Pending => None,
        };
        let failing = d.item.checks.iter().filter(|c| c.ok != Some(true)).count();
        let detail = match failing {
            0 => format!("{}. {}: all checks hold", d.id, d.item.name),
            n => format!("{}. {}: {}", d.id, d.item.name, counted_noun(n, "check does not hold", "checks do not hold")),
        };
        Check { name: "deliverable_complete", ok, detail, file: super::CHECKLIST_JSON.to_owned() }
    });
    Item { name: "Every deliverable is complete".to_owned(), checks: checks.collect() }
}

struct Looker<'a> {
    contents: &'a Contents<'a>,
    missing: Vec<Missing>,
    /// How the evidence differs from its summary, and from itself.
    faults: Vec<Fault>,
    /// The checks of collect.
    collected: Vec<Check>,
}

impl Looker<'_> {
    fn deliverable(&self, d: &super::policy::Deliverable) -> Deliverable {
        let mut evidence = Vec::new();
        let mut checks = Vec::new();
        for pattern in &d.evidence {
            let files: Vec<&Entry> = self.contents.files.iter().filter(|f| pattern.matches(&f.path)).collect();
            match files.is_empty() {
                true => evidence.push(pattern.text.clone()),
                false => evidence.extend(files.iter().map(|f| f.path.clone())),
            }
            checks.extend(self.files("", pattern));
        }
        checks.extend(d.checks.iter().map(|c| c.check(self.contents)));
        Deliverable {
            id: d.id,
            description: d.description.clone(),
            evidence,
            item: Item { name: d.name.clone(), checks },
        }
    }

    /// The guide's list, and before it whether the evidence is what was collected.
    fn before_submission(&self, policy: &Policy) -> Vec<Item> {
        let item = |name: &str, checks: Vec<Check>| Item { name: name.to_owned(), checks };
        let named = |names: &[&str]| -> Vec<Check> {
            names.iter().filter_map(|n| Content::by_name(n)).map(|c| c.check(self.contents)).collect()
        };
        let evidence = |paths: &[&str]| -> Vec<Check> {
            paths.iter().flat_map(|p| self.file(&format!("{EVIDENCE}/{p}"))).collect()
        };
        let copied = |into: &str, patterns: &[Pattern]| -> Vec<Check> {
            patterns.iter().flat_map(|p| self.files(&format!("{into}/"), p)).collect()
        };
        vec![
            item("The evidence is as it was collected", self.unaltered()),
            item(
                "The services ran at the start and at the end of both windows",
                named(&["scraped_72h", "scraped_144h"]),
            ),
            item(
                "Availability is at least 70 %",
                named(&["window_72h", "availability_72h", "window_144h", "availability_144h"]),
            ),
            item("At least 2 model updates within 7 days", named(&["updates_within_7_days"])),
            item(
                "All API samples are there",
                evidence(&[
                    captures::HEALTH,
                    captures::SAMPLE,
                    captures::PROVENANCE,
                    captures::TRACE,
                    captures::ROLLOUT,
                    captures::METRICS,
                ]),
            ),
            item(
                "The provenance fields are there",
                named(&["provenance_fields", "trace_of_the_recommendation", "registry_versions"]),
            ),
            item("The documentation is complete", copied(DOCUMENTS, &policy.documents)),
            item("The code samples are complete", copied(CODE, &policy.code)),
            item("The git history is there", named(&["commits_listed"])),
            item("The logs are there", evidence(&["logs/api_logs_sample.txt", "logs/prometheus_logs_sample.txt"])),
        ]
    }

    fn unaltered(&self) -> Vec<Check> {
        let evidence = self.contents.evidence;
        let whole = Check {
            name: "evidence_unaltered",
            ok: Some(evidence.listed > 0),
            detail: format!("{} with the digests of {SUMMARY}", counted_noun(evidence.listed, "file", "files")),
            file: format!("{EVIDENCE}/{SUMMARY}"),
        };
        match self.faults.as_slice() {
            [] => vec![whole],
            faults => faults.iter().map(fault).collect(),
        }
    }

    /// The checks of the files that a pattern finds behind a prefix.
    fn files(&self, prefix: &str, pattern: &Pattern) -> Vec<Check> {
        let matches = |f: &&Entry| f.path.strip_prefix(prefix).is_some_and(|p| pattern.matches(p));
        let found: Vec<&Entry> = self.contents.files.iter().filter(matches).collect();
        match found.is_empty() {
            true => self.file(&format!("{prefix}{}", pattern.text)),
            false => found.iter().flat_map(|f| self.file(&f.path)).collect(),
        }
    }

    /// Whether a file is there, can be read, is what was collected, and what collecting found about it.
    fn file(&self, path: &str) -> Vec<Check> {
        let check = |name, ok, detail| Check { name, ok, detail, file: path.to_owned() };
        let Some(entry) = self.contents.files.iter().find(|f| f.path == path) else {
            let why = self.missing.iter().find(|m| about(&m.what, path));
            let why =
                why.map_or("it is not there".to_owned(), |m| format!("it is missing: {}; {}", m.why, m.how_to_get_it));
            return vec![check("file_there", Some(false), why)];
        };
        let bytes = thousands(entry.bytes as f64);
        let mut checks = vec![check("file_there", Some(entry.bytes > 0), format!("{bytes} bytes"))];
        let (ok, detail) = match self.readable(path) {
            Ok(what) => (true, what),
            Err(why) => (false, why),
        };
        checks.push(check("file_readable", Some(ok), detail));
        checks.extend(self.faults.iter().filter(|f| f.file == path).map(fault));
        checks.extend(self.collected(path));
        checks
    }

    /// What a file is, by reading all of it; the ending of its name says as what.
    fn readable(&self, path: &str) -> std::result::Result<String, String> {
        let name = path.rsplit('/').next().unwrap_or_default();
        match name.rsplit('.').next().unwrap_or_default() {
            "json" | "avsc" => self.contents.json(path).map(|_| "it is JSON".to_owned()),
            _ if path.strip_prefix(EVIDENCE).is_some_and(|p| p.trim_start_matches('/') == captures::METRICS) => {
                let bytes = self.contents.bytes(path)?;
                let parsed = parse(&bytes).ok_or_else(|| "it is in no exposition format".to_owned())?;
                match parsed.first_fault {
                    None => {
                        Ok(format!("{} in an exposition format", counted_noun(parsed.samples, "sample", "samples")))
                    }
                    Some(fault) => Err(format!("{} lines are not understood; the first: {fault}", parsed.faults)),
                }
            }
            // Logs are kept as they are, whatever their bytes.
            _ if path.strip_prefix(EVIDENCE).is_some_and(|p| p.starts_with("/logs/")) => self
                .contents
                .bytes(path)
                .map(|b| counted_noun(b.iter().filter(|b| **b == b'\n').count(), "line", "lines")),
            _ => {
                let text = self.contents.text(path)?;
                match text.trim().is_empty() {
                    true => Err("there is nothing in it".to_owned()),
                    false => Ok(counted_noun(text.lines().count(), "line", "lines")),
                }
            }
        }
    }

    /// The checks of `promproof collect` about a file, made again and joined.
    fn collected(&self, path: &str) -> Option<Check> {
        let below = path.strip_prefix(EVIDENCE)?.strip_prefix('/')?;
        let about: Vec<&Check> = self.collected.iter().filter(|c| c.file == below).collect();
        let words = |ok: Option<bool>| -> Vec<String> {
            about.iter().filter(|c| c.ok == ok).map(|c| format!("{}: {}", c.name, c.detail)).collect()
        };
        let (failed, unknown) = (words(Some(false)), words(None));
        let (ok, detail) = match (failed.is_empty(), unknown.is_empty()) {
            _ if about.is_empty() => return None,
            (false, _) => (Some(false), failed.join("; ")),
            (true, false) => (None, unknown.join("; ")),
            (true, true) => (Some(true), counted_noun(about.len(), "check holds", "checks hold")),
        };
        Some(Check { name: "collected_checks", ok, detail, file: path.to_owned() })
    }
}

fn fault(f: &Fault) -> Check {
    Check { name: f.name, ok: Some(false), detail: f.detail.clone(), file: f.file.clone() }
}

/// Whether something missing, a file or a folder with its `/`, is why a file is not there.
fn about(what: &str, path: &str) -> bool {
    what == path || (what.ends_with('/') && path.starts_with(what))
}
