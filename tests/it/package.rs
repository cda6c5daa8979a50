//! Packages of deliverables: what is copied, what each status comes from, what is refused, and that nothing gets out of
//! its place.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::cli::{copy_tree, golden, p, run_in, status, text, tree};
use crate::evidence::{Case, check_page, edit, poison};
#[cfg(unix)]
use crate::support::as_anybody;
use crate::support::fixtures;

const SUMMARY: &str = "evidence/EVIDENCE_SUMMARY.json";
pub const DOCS_AND_CODE: [&str; 4] = ["--docs", "docs", "--code", "code"];

/// An evidence folder beside documents and code.
pub struct Pack(pub Case);

impl Pack {
    /// From the snapshot of 6.5 days, without a submission.
    pub fn collected() -> Pack {
        let case = Case::full();
        assert_eq!(case.collect().0, 0);
        Pack(case)
    }

    /// From ten made-up days around a submission, with everything that the guide asks for.
    pub fn complete() -> Pack {
        let mut case = Case::full();
        let made = p(&case.path("made"));
        let synth =
            ["synth", "-o", &made, "--days", "10", "--interval", "1m", "--series", "60", "--replicas", "2", "--quiet"];
        assert_eq!(status(&run_in(case.dir.path(), &synth)), 0);
        case.arguments[1] = format!("{made}/snapshot");
        let case = case.with(&["--submission", "2025-12-26T00:00:00Z", "--force"]);
        // The captures have to be of a version that was served, and the registry has to know every version.
        case.collect();
        let timeline = read(&case.path("evidence/availability/timeline.json"));
        let served = timeline["served_versions"].as_array().unwrap();
        let last = served.iter().max_by_key(|s| s["end"].as_str().unwrap()).unwrap();
        let (version, end) = (last["version"].as_str().unwrap(), last["end"].as_str().unwrap());
        let now = promproof::time::parse_time(end).unwrap().0 - 60_000;
        for file in ["recommend_sample", "recommend-456", "trace", "healthz", "rollout_status"] {
            let path = case.path(&format!("api/{file}.json"));
            let before = std::fs::read_to_string(&path).unwrap();
            let after = before.replace("v0.6", version).replace("1763553480000", &now.to_string());
            std::fs::write(&path, after.replace("1763553510250", &now.to_string())).unwrap();
        }
        let meta = std::fs::read_to_string(case.path("registry/v0.6/meta.json")).unwrap();
        for s in served {
            let version = s["version"].as_str().unwrap();
            std::fs::create_dir_all(case.path(&format!("registry/{version}"))).unwrap();
            let meta = meta.replace("v0.6", version);
            std::fs::write(case.path(&format!("registry/{version}/meta.json")), meta).unwrap();
        }
        let (code, summary) = case.collect();
        assert_eq!(code, 0, "{summary:#}");
        Pack(case)
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.0.path(rel)
    }

    pub fn output(&self, more: &[&str]) -> Output {
        let arguments = [&["package", "--evidence", "evidence", "--output", "out", "--quiet"][..], more].concat();
        run_in(self.0.dir.path(), &arguments)
    }

    /// Packages with documents and code, and gives the status and the checklist.
    pub fn package(&self, more: &[&str]) -> (i32, Value) {
        let output = self.output(&[&DOCS_AND_CODE[..], &["--force"], more].concat());
        assert!(self.path("out/DELIVERABLES_CHECKLIST.json").exists(), "{}", text(&output.stderr));
        (status(&output), read(&self.path("out/DELIVERABLES_CHECKLIST.json")))
    }

    /// Changes a text in a file of the evidence, and gives the summary the new digest: somebody who forges both.
    fn forge(&self, file: &str, from: &str, to: &str) {
        edit(&self.path(&format!("evidence/{file}")), from, to);
        self.reseal();
    }

    /// Gives the summary the digests and sizes that the files have.
    pub fn reseal(&self) {
        let mut summary = read(&self.path(SUMMARY));
        for file in summary["files"].as_array_mut().unwrap() {
            let path = self.path("evidence").join(file["path"].as_str().unwrap());
            if let Ok(digest) = promproof::source::digest::sha256_file(&path) {
                file["sha256"] = digest.into();
                file["bytes"] = std::fs::metadata(&path).unwrap().len().into();
            }
        }
        std::fs::write(self.path(SUMMARY), format!("{summary:#}\n")).unwrap();
    }
}

pub fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The names of all checks that do not hold, with what they are about, of deliverables and of items; each once.
fn open(checklist: &Value, ok: &Value) -> Vec<(String, String)> {
    let lists = ["deliverables", "before_submission"].map(|key| checklist[key].as_array().unwrap());
    let checks = lists.into_iter().flatten().flat_map(|d| d["checks"].as_array().unwrap());
    let chosen = checks.filter(|c| c["ok"] == *ok && c["name"] != "deliverable_complete");
    let mut open: Vec<(String, String)> =
        chosen.map(|c| (c["name"].as_str().unwrap().to_owned(), c["file"].as_str().unwrap().to_owned())).collect();
    open.sort();
    open.dedup();
    open
}

fn failed(checklist: &Value) -> Vec<(String, String)> {
    open(checklist, &Value::Bool(false))
}

fn status_of(checklist: &Value, id: u64) -> String {
    let deliverables = checklist["deliverables"].as_array().unwrap();
    let found = deliverables.iter().find(|d| d["id"] == id).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, file)| ((*name).to_owned(), (*file).to_owned())).collect()
}

#[test]
fn a_package_is_what_it_was() {
    let pack = Pack::collected();
    let inputs = tree(pack.0.dir.path());
    let output = pack.output(&DOCS_AND_CODE);
    // Without a submission nobody can say what was after it; everything else is there.
    assert_eq!((status(&output), text(&output.stderr)), (3, String::new()), "{}", text(&output.stdout));
    golden("package.txt", &text(&output.stdout));
    golden(
        "DELIVERABLES_CHECKLIST.json",
        &std::fs::read_to_string(pack.path("out/DELIVERABLES_CHECKLIST.json")).unwrap(),
    );
    golden("package-README.md", &std::fs::read_to_string(pack.path("out/README.md")).unwrap());
    assert_eq!(std::fs::read(pack.path("out/DELIVERABLES_CHECKLIST.txt")).unwrap(), output.stdout);
    check_page(&std::fs::read_to_string(pack.path("out/report.html")).unwrap());
    if let Some(dir) = std::env::var_os("PROMPROOF_PAGES") {
        std::fs::copy(pack.path("out/report.html"), Path::new(&dir).join("package.html")).unwrap();
    }
    for (path, bytes) in inputs {
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
    // The copies are copies, and the sums are those of every file.
    for (from, to) in [("evidence", "evidence"), ("docs", "docs"), ("code", "code_samples")] {
        assert!(relative(&pack.path(from)) == relative(&pack.path(&format!("out/{to}"))), "{from}");
    }
    let sums = std::fs::read_to_string(pack.path("out/SHA256SUMS")).unwrap();
    let mut summed: Vec<String> = Vec::new();
    for line in sums.lines() {
        let (digest, path) = line.split_once("  ").unwrap();
        assert_eq!(promproof::source::digest::sha256_file(&pack.path("out").join(path)).unwrap(), digest, "{path}");
        summed.push(path.to_owned());
    }
    let all: Vec<String> = relative(&pack.path("out")).into_keys().filter(|f| f != "SHA256SUMS").collect();
    assert_eq!(summed, all);
    let checked =
        Command::new("sha256sum").args(["-c", "--quiet", "SHA256SUMS"]).current_dir(pack.path("out")).output();
    assert!(checked.is_ok_and(|o| o.status.success() && o.stdout.is_empty()));
}

/// The files of a folder by their paths in it.
pub fn relative(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = tree(dir).into_iter();
    files.map(|(path, bytes)| (p(path.strip_prefix(dir).unwrap()), bytes)).collect()
}

#[test]
fn everything_complete_is_a_yes() {
    let pack = Pack::complete();
    let (code, checklist) = pack.package(&[]);
    assert_eq!((code, failed(&checklist), open(&checklist, &Value::Null)), (0, vec![], vec![]));
    assert_eq!(
        checklist["summary"],
        json!({"total_deliverables": 8, "completed": 8, "completion_percentage": 100.0, "pending": 0, "incomplete": 0})
    );
    assert_eq!(checklist["submission_date"], "2025-12-26T00:00:00Z");
    let printed = std::fs::read_to_string(pack.path("out/DELIVERABLES_CHECKLIST.txt")).unwrap();
    assert!(printed.contains("Completed:          8 (100%)") && !printed.contains('❌'), "{printed}");
    let readme = std::fs::read_to_string(pack.path("out/README.md")).unwrap();
    assert!(readme.contains("**8 of 8 deliverables are complete.** Submission: 2025-12-26T00:00:00Z."), "{readme}");
    let page = std::fs::read_to_string(pack.path("out/report.html")).unwrap();
    check_page(&page);
    assert!(page.contains("<span class=\"pill good\">✓ All 8 deliverables are complete</span>"));
    if let Some(dir) = std::env::var_os("PROMPROOF_PAGES") {
        std::fs::write(Path::new(&dir).join("package-complete.html"), page).unwrap();
    }
    // Its own copies make the same package again, from inside it.
    let again =
        ["package", "--evidence", "evidence", "--docs", "docs", "--code", "code_samples", "--output", "../again"];
    assert_eq!(status(&run_in(&pack.path("out"), &again)), 0);
    assert!(relative(&pack.path("out")) == relative(&pack.path("again")));
}

#[test]
fn before_the_submission_some_is_pending() {
    let case = Case::full().with(&["--submission", "2025-11-19T00:00:00Z"]);
    assert_eq!(case.collect().0, 3);
    let pack = Pack(case);
    let (code, checklist) = pack.package(&[]);
    assert_eq!((code, failed(&checklist)), (3, vec![]));
    let after = "evidence/availability/availability_144h.json";
    assert_eq!(open(&checklist, &Value::Null), owned(&[("availability_144h", after), ("scraped_144h", after)]));
    assert_eq!(status_of(&checklist, 7), "⏳ Pending");
    assert_eq!(checklist["summary"]["completed"], 7);
    // What is pending is no failure.
    let page = std::fs::read_to_string(pack.path("out/report.html")).unwrap();
    assert!(page.contains("<span class=\"pill unknown\">? 7 of 8 deliverables are complete, 1 is pending</span>"));
    // Nor can a window that has not begun.
    let case = Case::full().with(&["--submission", "2025-11-19T12:00:00Z"]);
    case.collect();
    let pack = Pack(case);
    assert_eq!(pack.package(&[]).0, 3);
    let printed = std::fs::read_to_string(pack.path("out/DELIVERABLES_CHECKLIST.txt")).unwrap();
    assert!(printed.contains(&format!("scraped_144h ({after}): nothing of the window was scraped\n")), "{printed}");
}

#[test]
fn documents_follow_their_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/package.schema.json");
    let validator = jsonschema::validator_for(&read(&path)).unwrap();
    let pack = Pack::collected();
    let whole = pack.package(&[]).1;
    std::fs::remove_file(pack.path("evidence/logs/api_logs_sample.txt")).unwrap();
    std::fs::write(pack.path("evidence/more"), "x").unwrap();
    std::fs::remove_file(pack.path("docs/RUNBOOK.md")).unwrap();
    for document in [whole, pack.package(&[]).1] {
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn every_missing_file_is_named() {
    let pack = Pack::collected();
    let without = |place: &str, packaged: &str| {
        let (path, away) = (pack.path(place), pack.path("away"));
        std::fs::rename(&path, &away).unwrap();
        let (code, checklist) = pack.package(&[]);
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(code, 1, "{place}");
        let printed = std::fs::read_to_string(pack.path("out/DELIVERABLES_CHECKLIST.txt")).unwrap();
        assert!(printed.contains(packaged), "{place}: {printed}");
        assert!(failed(&checklist).iter().any(|(_, file)| file == packaged), "{place}: {:?}", failed(&checklist));
        checklist
    };
    let files = |folder: &str| relative(&pack.path(folder)).into_keys().collect::<Vec<_>>();
    for file in files("docs") {
        let checklist = without(&format!("docs/{file}"), &format!("docs/{file}"));
        assert_eq!(failed(&checklist), owned(&[("file_there", &format!("docs/{file}"))]));
        assert_eq!(checklist["missing"][0]["what"], format!("docs/{file}"));
    }
    for file in files("code") {
        without(&format!("code/{file}"), &format!("code_samples/{file}"));
    }
    for file in files("evidence").iter().filter(|f| *f != "EVIDENCE_SUMMARY.json") {
        let place = format!("evidence/{file}");
        let checklist = without(&place, &place);
        assert!(failed(&checklist).contains(&("evidence_missing".to_owned(), place.clone())), "{file}");
    }
    // What collecting missed is said with its words.
    let case = Case::bare("servers/backfill-6d/snapshot");
    case.collect();
    let pack = Pack(case);
    let output = pack.output(&[]);
    let printed = text(&output.stdout);
    assert_eq!(status(&output), 1);
    for words in [
        "file_there (evidence/api_samples/healthz.json): it is missing: no responses were given",
        "evidence/system_info/docker_images.txt: nothing about the system was given",
        "docs/README.md: no --docs was given; give the folder that has it with --docs DIR",
        "code_samples/service/app.py: no --code was given",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[test]
fn every_check_can_fail() {
    let pack = Pack::collected();
    let sample = "api_samples/recommend_sample.json";
    let provenance = "api_samples/recommend_with_provenance.json";
    let before = "availability/availability_72h.json";
    let after = "availability/availability_144h.json";
    let updates = "model_updates/model_updates_verification.json";
    let metrics = "api_samples/metrics.txt";
    let commits = "git_history/commits.txt";
    let registry = "model_registry/versions_summary.json";
    let timeline = "availability/timeline.json";
    let submission = "EVIDENCE_SUMMARY.json";
    let fails = Value::Bool(false);
    let kept = tree(&pack.path("evidence"));
    for (file, from, to, name, ok) in [
        (registry, "\"artifact_sha\"", "\"sha\"", "registry_versions", &fails),
        (registry, "\"versions\"", "\"others\"", "registry_versions", &fails),
        (commits, "|", " ", "commits_listed", &fails),
        (commits, "1452f840", "1452f841", "commits_listed", &fails),
        (sample, "\"items\"", "\"things\"", "recommendation_items", &fails),
        ("api_samples/healthz.json", "healthy", "degraded", "service_healthy", &fails),
        (metrics, "latency_seconds_bucket", "latency_seconds", "p95_latency_series", &fails),
        (metrics, "+Inf", "9.0", "p95_latency_series", &fails),
        (metrics, "status=", "code=", "error_rate_series", &fails),
        (metrics, "service_health_status", "service_status", "uptime_series", &fails),
        (metrics, "service_health_status 1", "service_health_status{ 1", "file_readable", &fails),
        (sample, "\"variant\": \"A\"", "\"variant\": \" \"", "ab_variant", &fails),
        (provenance, "\"latency_ms\": 45", "\"latency_ms\": null", "provenance_fields", &fails),
        (provenance, "\"snapshot-2025-11-18\"", "\" Unknown\"", "provenance_fields", &fails),
        (provenance, "sha256:5f70bf18a0", "sha256:latest", "provenance_fields", &fails),
        ("api_samples/trace_sample.json", "7c9e6679", "8c9e6679", "trace_of_the_recommendation", &fails),
        ("api_samples/rollout_status.json", "{", "", "file_readable", &fails),
        // Figures, lists and words that the other files do not bear.
        (before, "\"verdict\": \"met\"", "\"verdict\": \"not_met\"", "evidence_contradicts", &fails),
        (before, "\"availability_ratio\": 0.95", "\"availability_ratio\": 0.01", "evidence_contradicts", &fails),
        (before, "\"downs\": [", "\"others\": [", "evidence_contradicts", &fails),
        (before, "\"reasons\"", "\"grounds\"", "evidence_contradicts", &fails),
        (timeline, "\"required_percent\": 70.0", "\"required_percent\": 99.0", "evidence_contradicts", &fails),
        (timeline, "\"data_until\": \"2025-11-19", "\"data_until\": \"2025-12-19", "evidence_contradicts", &fails),
        (before, "\"worst\": 0.95", "\"worst\": 0.96", "evidence_contradicts", &fails),
        (before, "\"total_requests\": 18", "\"total_requests\": 19", "evidence_contradicts", &fails),
        (submission, "\"figure\": \"95.42%", "\"figure\": \"99.42%", "evidence_contradicts", &fails),
        (submission, "\"data_reach_the_end\": true", "\"data_reach_the_end\": false", "evidence_contradicts", &fails),
        (
            submission,
            "\"windows_are\": \"no submission",
            "\"windows_are\": \"a submission",
            "evidence_contradicts",
            &fails,
        ),
        (submission, "\"kind\": \"reconstructed\"", "\"kind\": \"captured\"", "evidence_contradicts", &fails),
        (submission, "\"availability/timeline.json\",", "\"availability/other.json\",", "evidence_contradicts", &fails),
        (
            submission,
            "\"name\": \"git_sha_in_repo\"",
            "\"name\": \"model_version_was_served\"",
            "evidence_contradicts",
            &fails,
        ),
        (
            submission,
            "\"name\": \"registry_git_sha_in_repo\"",
            "\"name\": \"registry_meta_parses\"",
            "evidence_contradicts",
            &fails,
        ),
        (submission, "--start 2025-11-16", "--start 2025-11-15", "evidence_contradicts", &fails),
        (
            submission,
            "\"name\": \"service_is_healthy\"",
            "\"name\": \"service_is_fine\"",
            "evidence_contradicts",
            &fails,
        ),
        (submission, "\"name\": \"snapshot\"", "\"name\": \"elsewhere\"", "evidence_contradicts", &fails),
        (
            timeline,
            "\"data_until_ms\": 1763553591740",
            "\"data_until_ms\": 1763553591741",
            "evidence_contradicts",
            &fails,
        ),
        (timeline, "\"to_version\": \"v0.6\"", "\"to_version\": \"v0.7\"", "evidence_contradicts", &fails),
        (timeline, "\"figure\": \"95.42%", "\"figure\": \"99.42%", "evidence_contradicts", &fails),
        ("availability/availability_72h.txt", "✅ PASS", "❌ FAIL", "evidence_contradicts", &fails),
        ("availability/availability_72h.txt", "Actual:   95.42%", "Actual:   99.42%", "evidence_contradicts", &fails),
        (before, "\"uncovered_seconds\": 0.0", "\"uncovered_seconds\": 9.0", "evidence_contradicts", &fails),
        (before, "\"avg_health_status\": 0.", "\"avg_health_status\": 1.", "evidence_contradicts", &fails),
        (updates, "\"total_switches\": ", "\"total_switches\": 1", "evidence_contradicts", &fails),
        (updates, "\"actual_updates\": 6", "\"actual_updates\": 7", "evidence_contradicts", &fails),
        (updates, "\"switch_count\": 6", "\"switch_count\": 5", "evidence_contradicts", &fails),
        (updates, "\"end\": \"2025-11-20T21", "\"end\": \"2025-11-21T21", "evidence_contradicts", &fails),
        (updates, "\"version\": \"v0.6\"", "\"version\": \"v0.5\"", "evidence_contradicts", &fails),
        // Captures and the registry are looked at again, whatever the summary says about them.
        (sample, "\"latency_ms\": 45", "\"latency_ms\": -45", "collected_checks", &fails),
        (provenance, "\"git_sha\": \"1452f840", "\"git_sha\": \"0452f840", "collected_checks", &fails),
        (sample, "527", "null", "recommendation_items", &fails),
        (registry, "2025-11-16T08", "yesterday", "collected_checks", &fails),
        (before, "\"verdict\": \"met\"", "\"verdict\": \"not_met\"", "availability_72h", &fails),
        (before, "\"verdict\": \"met\"", "\"verdict\": \"unknown\"", "availability_72h", &Value::Null),
        (before, "\"required_availability\": 70.0", "\"required_availability\": 50.0", "availability_72h", &fails),
        (before, "\"actual_availability\": 95.42", "\"actual_availability\": 65.42", "evidence_contradicts", &fails),
        (before, "\"slo_compliance\"", "\"slo\"", "availability_72h", &fails),
        (before, "\"worst\": 0.95", "\"worst\": 0.15", "evidence_contradicts", &fails),
        (before, "\"meets_requirement\": true", "\"meets_requirement\": null", "evidence_contradicts", &fails),
        (submission, "\"verdict\": \"met\"", "\"verdict\": \"unknown\"", "evidence_contradicts", &fails),
        (before, "2025-11-16T11:59:51.740000Z", "2025-11-17T11:59:51.740000Z", "window_72h", &fails),
        (after, "2025-11-13T11:59:51.740000Z", "2025-11-14T11:59:51.740000Z", "window_144h", &fails),
        (after, "\"verdict\": \"met\"", "\"verdict\": \"not_met\"", "availability_144h", &fails),
        (
            before,
            "\"gaps\": []",
            "\"gaps\": [{\"start\": \"2025-11-16T11:59:51.740Z\", \"end\": \"2025-11-17T00:00:00Z\"}]",
            "scraped_72h",
            &Value::Null,
        ),
        (
            before,
            "\"downs\": [",
            "\"downs\": [{\"start\": \"2025-11-19T11:00:00Z\", \"end\": \"2025-11-19T11:59:51Z\"}, ",
            "scraped_72h",
            &fails,
        ),
        (
            after,
            "\"downs\": [",
            "\"downs\": [{\"start\": \"2025-11-13T11:00:00Z\", \"end\": \"2025-11-13T12:00:00Z\"}, ",
            "scraped_144h",
            &fails,
        ),
        (after, "\"targets\"", "\"others\"", "scraped_144h", &Value::Null),
        (updates, "\"verdict\": \"met\"", "\"verdict\": \"not_met\"", "updates_within_7_days", &fails),
        (updates, "\"verdict\": \"met\"", "\"verdict\": \"unknown\"", "updates_within_7_days", &Value::Null),
        (updates, "\"minimum_updates\": 2", "\"minimum_updates\": 1", "updates_within_7_days", &fails),
        (updates, "\"within_days\": 7", "\"within_days\": 70", "updates_within_7_days", &fails),
        (updates, "\"actual_updates\": 6", "\"actual_updates\": 1", "evidence_contradicts", &fails),
        (timeline, "\"switches\"", "\"others\"", "switched_without_restart", &Value::Null),
        (submission, "\"submission\": null", "\"submission\": \"soon\"", "window_72h", &fails),
        (submission, "\"submission\": null", "\"submission\": \"2025-11-18T00:00:00Z\"", "window_72h", &fails),
        (submission, "\"ok\": true", "\"ok\": false", "collected_checks", &fails),
        (submission, "\"ok\": true", "\"ok\": null", "collected_checks", &Value::Null),
        (submission, "\"ok\": true", "\"ok\": false", "evidence_contradicts", &fails),
    ] {
        pack.forge(file, from, to);
        let (code, checklist) = pack.package(&[]);
        let found: Vec<String> = open(&checklist, ok).into_iter().map(|(name, _)| name).collect();
        assert!(found.iter().any(|f| f == name), "{file}: {from} to {to}: {found:?}");
        assert_eq!(code, if failed(&checklist).is_empty() { 3 } else { 1 }, "{file}: {from} to {to}");
        // No forgery is a yes.
        assert!(code == 1 || *ok == Value::Null, "{file}: {from} to {to}");
        for (path, bytes) in &kept {
            std::fs::write(path, bytes).unwrap();
        }
    }
    // Code without a word of a statistical test cannot be judged; a document without a word is none.
    edit(&pack.path("code/service/ab_analysis.py"), "z_test", "comparison");
    let (code, checklist) = pack.package(&[]);
    assert!(open(&checklist, &Value::Null).iter().any(|(name, _)| name == "statistical_test"));
    assert_eq!((code, status_of(&checklist, 5)), (3, "⏳ Pending".to_owned()));
    std::fs::write(pack.path("docs/RUNBOOK.md"), " \n").unwrap();
    std::fs::write(pack.path("docs/README.md"), b"\xff\xfe").unwrap();
    let (code, checklist) = pack.package(&[]);
    let failing = owned(&[("file_readable", "docs/README.md"), ("file_readable", "docs/RUNBOOK.md")]);
    assert_eq!((code, failed(&checklist)), (1, failing));
}

#[test]
fn switches_beside_restarts_are_no_hot_swaps() {
    let pack = Pack::collected();
    let path = pack.path("evidence/availability/timeline.json");
    let timeline = read(&path);
    let switches = timeline["switches"].as_array().unwrap();
    let times: Vec<Value> = switches.iter().map(|s| s["timestamp"].clone()).collect();
    for name in ["timeline", "availability_72h", "availability_144h"] {
        // What only one document says contradicts the others.
        let path = pack.path(&format!("evidence/availability/{name}.json"));
        let mut document = read(&path);
        for target in document["coverage"]["targets"].as_array_mut().unwrap() {
            target["restarts"] = times.clone().into();
        }
        std::fs::write(&path, document.to_string()).unwrap();
    }
    pack.reseal();
    let (code, checklist) = pack.package(&[]);
    let failing = owned(&[("switched_without_restart", "evidence/availability/timeline.json")]);
    assert_eq!((code, failed(&checklist), status_of(&checklist, 3)), (1, failing, "❌ Incomplete".to_owned()));
}

/// What a package makes again is what collect made, from whatever source, window and semantics.
#[test]
fn evidence_of_every_source_agrees_with_itself() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run_in(dir.path(), arguments);
    let mut packages = 0;
    for source in [
        "servers/backfill-6d/snapshot",
        "servers/live-2.42/data",
        "servers/live-2.53/snapshot-deleted",
        "servers/live-3.16-xor2/data",
        "encodings/xor-block",
        "encodings/wal-none",
        "encodings/head-torn",
        "encodings/ooo",
        "damage/data",
        "dumps/federate.prom",
    ] {
        let source = p(&fixtures().join(source));
        for more in [
            &[][..],
            &["--submission", "2025-11-18T00:00:00.250Z", "--semantics", "prometheus-2.42"],
            &["--submission", "2026-11-23T13:56:00Z", "--semantics", "counted"],
        ] {
            let collected =
                run(&[&["collect", &source, "--output", "evidence", "--force", "--quiet"][..], more].concat());
            assert_ne!(status(&collected), 2, "{source} {more:?}: {}", text(&collected.stderr));
            run(&["package", "--evidence", "evidence", "--output", "out", "--force", "--quiet"]);
            let checklist = read(&dir.path().join("out/DELIVERABLES_CHECKLIST.json"));
            let contradicts: Vec<&Value> =
                checklist["before_submission"][0]["checks"].as_array().unwrap().iter().collect();
            assert!(contradicts.iter().all(|c| c["ok"] == true), "{source} {more:?}: {contradicts:?}");
            packages += 1;
        }
    }
    assert_eq!(packages, 30);
}

/// What was taken out of the summary's lists together with its file was silently absent.
#[test]
fn what_belongs_into_the_evidence_is_there_or_missing() {
    let pack = Pack::collected();
    for path in ["system_info/docker_images.txt", "availability/timeline.json", "git_history/branches.txt"] {
        let kept = (std::fs::read(pack.path(SUMMARY)).unwrap(), pack.path(&format!("evidence/{path}")));
        let bytes = std::fs::read(&kept.1).unwrap();
        std::fs::remove_file(&kept.1).unwrap();
        let mut summary = read(&pack.path(SUMMARY));
        summary["files"].as_array_mut().unwrap().retain(|f| f["path"] != path);
        for list in summary["evidence_collected"].as_object_mut().unwrap().values_mut() {
            list.as_array_mut().unwrap().retain(|f| f != path);
        }
        std::fs::write(pack.path(SUMMARY), summary.to_string()).unwrap();
        let (code, checklist) = pack.package(&[]);
        let contradicts = ("evidence_contradicts".to_owned(), format!("evidence/{path}"));
        assert!(code == 1 && failed(&checklist).contains(&contradicts), "{path}: {:?}", failed(&checklist));
        std::fs::write(pack.path(SUMMARY), kept.0).unwrap();
        std::fs::write(kept.1, bytes).unwrap();
    }
}

/// Figures that agree with each other prove nothing by themselves, and the package says so with the command that does.
#[test]
fn what_only_the_source_proves_is_said_with_its_command() {
    let pack = Pack::collected();
    let (_, checklist) = pack.package(&[]);
    let command = "promproof collect snapshot --output again";
    let proof = checklist["proof"].as_str().unwrap();
    assert!(proof.contains("no file here can prove that") && proof.ends_with(command), "{proof}");
    let written = |name: &str| std::fs::read_to_string(pack.path("out").join(name)).unwrap();
    assert!(written("DELIVERABLES_CHECKLIST.txt").contains(&format!("Note: {proof}\n")));
    // As it is typed, times included.
    assert!(written("report.html").replace("<wbr>", "").contains(&format!("<code class=\"path\">{command}</code>")));
    let readme = written("README.md");
    assert!(readme.contains(&format!("What only the source can prove: {proof}\n")), "{readme}");
    // What has no command of its own is named with the digest that collecting again gives.
    for path in ["availability/timeline.json", "api_samples/metrics.txt"] {
        let digest = promproof::source::digest::sha256_file(&pack.path("evidence").join(path)).unwrap();
        assert!(readme.contains(&format!("sha256sum again/{path}\n# {digest}\n")), "{readme}");
    }
    assert!(readme.contains("so no command prints that alone"), "{readme}");
    // A command that does anything else is not repeated.
    for other in [
        "promproof collect x --output /home",
        "promproof collect x --force --output again",
        "curl x --output again",
        "promproof collect $(x) --output again",
    ] {
        let mut summary = read(&pack.path(SUMMARY));
        summary["command"] = other.into();
        std::fs::write(pack.path(SUMMARY), summary.to_string()).unwrap();
        let (_, checklist) = pack.package(&[]);
        assert!(checklist["proof"].as_str().unwrap().contains("promproof collect SOURCE --output again"));
        assert!(!std::fs::read_to_string(pack.path("out/README.md")).unwrap().contains(other), "{other}");
    }
}

/// README and checklist did not say that samples of the source were lost.
#[test]
fn losses_are_named() {
    let pack = Pack::collected();
    let (_, checklist) = pack.package(&[]);
    let none = "no sample of the source that these answers need was lost";
    assert_eq!(checklist["losses"], json!({"count": 0, "in_words": none, "first": []}));
    let case = Case::full().with(&["--force"]);
    copy_tree(&fixtures().join("servers/backfill-6d/snapshot"), &case.path("snapshot"));
    let segment = tree(&case.path("snapshot")).into_keys().find(|p| p.ends_with("chunks/000001")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    for at in (500..bytes.len()).step_by(700) {
        bytes[at] ^= 0xff;
    }
    std::fs::write(&segment, &bytes).unwrap();
    let mut case = case;
    case.arguments[1] = "snapshot".to_owned();
    case.collect();
    let pack = Pack(case);
    let (_, checklist) = pack.package(&[]);
    let losses = &checklist["losses"];
    let count = losses["count"].as_u64().unwrap();
    assert!(count > 5 && losses["first"].as_array().unwrap().len() == 6, "{losses}");
    assert_eq!(losses["first"][5], format!("and {} more", count - 5));
    assert!(!failed(&checklist).iter().any(|(name, _)| name == "evidence_contradicts"), "{:?}", failed(&checklist));
    let first = losses["first"][0].as_str().unwrap();
    for file in ["README.md", "DELIVERABLES_CHECKLIST.txt"] {
        let written = std::fs::read_to_string(pack.path("out").join(file)).unwrap();
        let said = format!("{count} losses of samples touch these answers; all are in");
        assert!(written.contains(&said) && written.replace('\\', "").contains(first), "{file}: {written}");
    }
    std::fs::write(pack.path("evidence/availability/availability_72h.json"), "{").unwrap();
    let (_, checklist) = pack.package(&[]);
    assert_eq!(checklist["losses"]["count"], Value::Null);
    assert!(checklist["losses"]["in_words"].as_str().unwrap().starts_with("whether samples were lost is not known"));
}

/// SOURCE_DATE_EPOCH became the date of the submission.
#[test]
fn the_date_is_the_submission_or_the_evaluation() {
    for (submission, date, is) in [
        (&["--submission", "2025-11-19T00:00:00Z"][..], "2025-11-19T00:00:00Z", "submission"),
        (&[], "2025-11-19T11:59:51.740000Z", "evaluation"),
    ] {
        let mut case = Case::full().with(submission);
        case.environment = vec![("SOURCE_DATE_EPOCH", "1763600000".into())];
        assert_eq!(case.collect().1["collection_timestamp"], "2025-11-20T00:53:20Z");
        let (_, checklist) = Pack(case).package(&[]);
        assert_eq!((&checklist["submission_date"], &checklist["submission_date_is"]), (&date.into(), &is.into()));
    }
}

/// Every kind of source has its digests in README.md.
#[test]
fn sources_of_every_kind_have_digests() {
    let pack = Pack::collected();
    let source = fixtures().join("servers/backfill-6d/snapshot");
    let converted = run_in(pack.0.dir.path(), &["convert", &p(&source), "--output", "dataset", "--quiet"]);
    assert_eq!(status(&converted), 0, "{}", text(&converted.stderr));
    let dump = "{__name__=\"up\", instance=\"a:1\"} 1 1763553600000\n";
    std::fs::write(pack.path("dump.txt"), dump).unwrap();
    for (source, file) in [("dataset", "dataset/manifest.json"), ("dump.txt", "dump.txt")] {
        let again = ["collect", source, "--output", "evidence", "--force", "--quiet"];
        run_in(pack.0.dir.path(), &again);
        pack.package(&[]);
        let digest = promproof::source::digest::sha256_file(&pack.path(file)).unwrap();
        for name in ["README.md", "report.html"] {
            let written = std::fs::read_to_string(pack.path("out").join(name)).unwrap();
            assert!(written.contains(&digest), "{source}: {name}: {written}");
        }
    }
}

/// What is neither a file nor a folder, what cannot be read, and a repository among the code were not listed as refused.
#[cfg(unix)]
#[test]
fn everything_that_is_refused_is_listed() {
    let pack = Pack::collected();
    std::fs::remove_file(pack.path("docs/RUNBOOK.md")).unwrap();
    for pipe in ["docs/RUNBOOK.md", "docs/other.md", "code/service/pipe.py"] {
        assert!(Command::new("mkfifo").arg(pack.path(pipe)).status().unwrap().success());
    }
    let _socket = std::os::unix::net::UnixListener::bind(pack.path("code/service/socket.py")).unwrap();
    std::fs::create_dir_all(pack.path("code/.git/objects")).unwrap();
    std::fs::write(pack.path("code/.git/config"), "secret\n").unwrap();
    std::fs::create_dir_all(pack.path("code/service/.git")).unwrap();
    std::fs::write(pack.path("code/service/.git/hook.py"), "secret\n").unwrap();
    let refused = |more: &[&str]| {
        let (_, checklist) = pack.package(more);
        assert!(!tree(&pack.path("out")).values().any(|bytes| bytes == b"secret\n"));
        let refused = checklist["refused"].as_array().unwrap().iter();
        refused
            .map(|r| (r["path"].as_str().unwrap().to_owned(), r["why"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let (special, git) =
        ("it is neither a file nor a folder", "it is a repository's own folder, and is not looked into");
    assert_eq!(refused(&[]), owned(&[("docs/RUNBOOK.md", special), ("code_samples/.git", git)]));
    let policy = "documents = [\"*.md\"]\ncode = [\"**/*\", \".git/config\"]\n[[deliverables]]\nid = 1\nname = \"a\"\ndescription = \"\"\nevidence = [\"code_samples/**\"]\nchecks = []\n";
    std::fs::write(pack.path("policy.toml"), policy).unwrap();
    assert_eq!(
        refused(&["--policy", "policy.toml"]),
        owned(&[
            ("docs/RUNBOOK.md", special),
            ("docs/other.md", special),
            ("code_samples/.git", git),
            ("code_samples/.git/config", git),
            ("code_samples/service/.git", git),
            ("code_samples/service/pipe.py", special),
            ("code_samples/service/socket.py", special),
        ])
    );
}

/// A folder that cannot be read stopped the package; now everything in it is missing.
#[cfg(unix)]
#[test]
fn roots_that_cannot_be_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (Some(mut command), Some(mut elsewhere)) = (as_anybody(), as_anybody()) else { return };
    let pack = Pack::collected();
    let mode = |path: &str, mode| {
        std::fs::set_permissions(pack.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(".", 0o777);
    mode("docs", 0o000);
    mode("code/service", 0o000);
    command.args(["package", "--evidence", "evidence", "--output", "out", "--quiet"]).args(DOCS_AND_CODE);
    let output = command.current_dir(pack.0.dir.path()).output().unwrap();
    ["docs", "code/service"].iter().for_each(|path| mode(path, 0o755));
    assert_eq!(status(&output), 1, "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for words in [
        "--docs: it cannot be read: permission denied",
        "docs/RUNBOOK.md: it cannot be read: permission denied",
        "code_samples/service/app.py: it cannot be read: permission denied",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    // An output in a folder that nobody may write to is no matter of archives.
    mode(".", 0o555);
    elsewhere.args(["package", "--evidence", "evidence", "--output", "out2", "--quiet"]);
    let output = elsewhere.current_dir(pack.0.dir.path()).output().unwrap();
    mode(".", 0o755);
    let said = text(&output.stderr);
    let hint = "in a folder that you may write to";
    assert!(status(&output) == 2 && said.contains(hint) && !said.contains("--temp-dir"), "{said}");
}

#[test]
fn evidence_that_is_not_what_was_collected() {
    let pack = Pack::collected();
    edit(&pack.path("evidence/availability/availability_72h.json"), "95.42", "99.42");
    std::fs::write(pack.path("evidence/more.txt"), "more").unwrap();
    std::fs::remove_file(pack.path("evidence/logs/api_logs_sample.txt")).unwrap();
    let mut summary = read(&pack.path(SUMMARY));
    std::fs::write(pack.path("secret"), "secret").unwrap();
    let outside =
        json!({"path": "../secret", "bytes": 6, "sha256": "", "source": "", "kind": "captured", "command": null});
    summary["files"].as_array_mut().unwrap().push(outside);
    std::fs::write(pack.path(SUMMARY), summary.to_string()).unwrap();
    let (code, checklist) = pack.package(&[]);
    assert_eq!(code, 1);
    assert_eq!(
        failed(&checklist),
        owned(&[
            ("evidence_added", "evidence/more.txt"),
            ("evidence_altered", "evidence/availability/availability_72h.json"),
            ("evidence_contradicts", SUMMARY),
            ("evidence_contradicts", "evidence/availability/availability_72h.json"),
            ("evidence_contradicts", "evidence/availability/availability_72h.txt"),
            ("evidence_contradicts", "evidence/availability/timeline.json"),
            ("evidence_missing", "evidence/../secret"),
            ("evidence_missing", "evidence/logs/api_logs_sample.txt"),
            ("file_there", "evidence/logs/api_logs_sample.txt"),
        ])
    );
    assert_eq!(status_of(&checklist, 7), "❌ Incomplete");
    assert!(!pack.path("out/evidence/more.txt").exists());
    assert!(!tree(&pack.path("out")).values().any(|bytes| bytes == b"secret"));
    let unaltered = &checklist["before_submission"][0];
    assert_eq!(
        (unaltered["name"].as_str().unwrap(), unaltered["status"].as_str().unwrap()),
        ("The evidence is as it was collected", "❌ Incomplete")
    );
    // A summary of another shape proves nothing, and does not stop anything.
    std::fs::write(pack.path(SUMMARY), "{\"schema\": \"promproof.evidence/1\", \"files\": {}, \"windows\": 5}")
        .unwrap();
    let (code, checklist) = pack.package(&[]);
    assert_eq!((code, &checklist["submission_date"]), (1, &Value::Null));
    check_page(&std::fs::read_to_string(pack.path("out/report.html")).unwrap());
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let pack = Pack::collected();
    std::fs::write(pack.path("secret"), "not to be read\n").unwrap();
    std::fs::create_dir(pack.path("elsewhere")).unwrap();
    std::fs::write(pack.path("elsewhere/app.py"), "not to be read\n").unwrap();
    let link = |to: &str, from: &str| {
        let from = pack.path(from);
        let _ = std::fs::remove_file(&from);
        let _ = std::fs::remove_dir_all(&from);
        std::os::unix::fs::symlink(pack.path(to), from).unwrap();
    };
    link("secret", "docs/RUNBOOK.md");
    link("elsewhere", "code/service");
    link("secret", "evidence/api_samples/healthz.json");
    let (code, checklist) = pack.package(&[]);
    assert_eq!(code, 1);
    let refused: Vec<&str> =
        checklist["refused"].as_array().unwrap().iter().map(|r| r["path"].as_str().unwrap()).collect();
    for path in ["docs/RUNBOOK.md", "code_samples/service/app.py", "evidence/api_samples/healthz.json"] {
        assert!(refused.contains(&path), "{path}: {refused:?}");
        assert!(!pack.path("out").join(path).exists());
    }
    let healthz = ("evidence_refused".to_owned(), "evidence/api_samples/healthz.json".to_owned());
    assert!(failed(&checklist).contains(&healthz));
    let globs = "documents = [\"*.md\"]\ncode = [\"**/*.py\", \"service/*\"]\n[[deliverables]]\nid = 1\nname = \"a\"\ndescription = \"\"\nevidence = [\"docs/*\"]\nchecks = []\n";
    std::fs::write(pack.path("policy.toml"), globs).unwrap();
    pack.package(&["--policy", "policy.toml"]);
    assert!(!tree(&pack.path("out")).values().any(|bytes| bytes == b"not to be read\n"));
}

#[test]
fn policies_choose() {
    let pack = Pack::collected();
    let printed = run_in(pack.0.dir.path(), &["package", "--print-policy"]);
    assert_eq!(status(&printed), 0);
    std::fs::write(pack.path("standard.toml"), &printed.stdout).unwrap();
    pack.package(&[]);
    let standard = relative(&pack.path("out"));
    pack.package(&["--policy", "standard.toml"]);
    assert!(standard == relative(&pack.path("out")));
    let digest = promproof::source::digest::sha256_file(&pack.path("standard.toml")).unwrap();
    assert_eq!(
        read(&pack.path("out/DELIVERABLES_CHECKLIST.json"))["policy"],
        json!({"name": "default", "sha256": digest})
    );
    let policy = "documents = [\"*GUIDE.md\", \"RUN???K.md\", \"chapters/*\"]\ncode = [\"**/*.py\", \"service/*.py\"]\n\n[[deliverables]]\nid = 3\nname = \"Code\"\ndescription = \"\"\nevidence = [\"code_samples/**\", \"docs/*.md\"]\nchecks = [\"statistical_test\"]\n";
    std::fs::write(pack.path("policy.toml"), policy).unwrap();
    let (code, checklist) = pack.package(&["--policy", "policy.toml"]);
    let copied: Vec<String> =
        relative(&pack.path("out")).into_keys().filter(|f| f.starts_with("docs/") || f.starts_with("code")).collect();
    assert_eq!(
        copied,
        [
            "code_samples/recommender/als.py",
            "code_samples/service/ab_analysis.py",
            "code_samples/service/app.py",
            "code_samples/service/loader.py",
            "code_samples/service/middleware.py",
            "code_samples/service/rollout.py",
            "docs/AB_TESTING_GUIDE.md",
            "docs/PROVENANCE_GUIDE.md",
            "docs/RUNBOOK.md",
        ]
    );
    assert_eq!(failed(&checklist), owned(&[("file_there", "docs/chapters/*")]));
    assert_eq!((code, status_of(&checklist, 3)), (1, "✅ Complete".to_owned()));
    assert_eq!(checklist["deliverables"][0]["evidence"].as_array().unwrap().len(), 9);
    // Every output names the policy.
    let digest = promproof::source::digest::sha256_file(&pack.path("policy.toml")).unwrap();
    assert_eq!(checklist["policy"], json!({"name": "policy.toml", "sha256": digest}));
    for (file, name) in [
        ("README.md", "the policy `policy.toml`, whose SHA-256"),
        ("DELIVERABLES_CHECKLIST.txt", "policy.toml (sha256"),
        ("README.md", "--policy policy.toml "),
    ] {
        let written = std::fs::read_to_string(pack.path("out").join(file)).unwrap();
        assert!(written.contains(name) && written.contains(&digest), "{file}: {written}");
    }
}

#[test]
fn policy_errors_name_the_line() {
    let pack = Pack::collected();
    let standard = text(&run_in(pack.0.dir.path(), &["package", "--print-policy"]).stdout);
    let line = |needle: &str| standard.lines().position(|l| l.contains(needle)).unwrap() + 1;
    for (from, to, at, what) in [
        ("\"RUNBOOK.md\",", "\"../RUNBOOK.md\",", "\"RUNBOOK.md\"", "`../RUNBOOK.md`: a path does not lead out"),
        ("\"RUNBOOK.md\",", "\"/RUNBOOK.md\",", "\"RUNBOOK.md\"", "`/RUNBOOK.md`: a path is relative"),
        ("\"RUNBOOK.md\",", "\"a\\\\b\",", "\"RUNBOOK.md\"", "folders are separated by `/`"),
        ("\"RUNBOOK.md\",", "\"RUNBOOK.md\" = 5,", "\"RUNBOOK.md\"", ""),
        ("\"RUNBOOK.md\",", "5,", "\"RUNBOOK.md\"", "invalid type"),
        ("id = 2", "id = 1", "id = 2", "two deliverables have this id"),
        ("id = 2", "id = -2", "id = 2", "invalid value"),
        ("name = \"API Service\"", "name = \" \"", "API Service", "has to have a name"),
        ("name = \"API Service\"", "title = \"API Service\"", "API Service", "unknown field `title`"),
        (
            "\"evidence/api_samples/healthz.json\"",
            "\"api/healthz.json\"",
            "samples/healthz.json",
            "is not below evidence/",
        ),
        (
            "\"uptime_series\"",
            "\"uptime\"",
            "uptime_series",
            "there is no check `uptime`; there are registry_versions,",
        ),
    ] {
        assert!(standard.contains(from), "{from}");
        std::fs::write(pack.path("policy.toml"), standard.replacen(from, to, 1)).unwrap();
        let output = pack.output(&["--policy", "policy.toml"]);
        let said = text(&output.stderr);
        assert_eq!(status(&output), 2, "{to}");
        assert!(said.contains(&format!("policy.toml: line {}: ", line(at))) && said.contains(what), "{to}: {said}");
        assert!(!pack.path("out").exists());
    }
    // One that shows nothing was complete.
    let empty = standard.replacen(
        "evidence = [\"evidence/model_updates/model_updates_verification.json\"]",
        "evidence = []",
        1,
    );
    std::fs::write(pack.path("policy.toml"), empty.replacen("checks = [\"updates_within_7_days\"]", "checks = []", 1))
        .unwrap();
    let said = text(&pack.output(&["--policy", "policy.toml"]).stderr);
    let named =
        format!("policy.toml: line {}: a deliverable without evidence and checks shows nothing", line("Model Updates"));
    assert!(said.contains(&named), "{said}");
    for policy in ["", "documents = []\ncode = []\ndeliverables = []\n", "\u{1b}[2J = 5"] {
        std::fs::write(pack.path("policy.toml"), policy).unwrap();
        let output = pack.output(&["--policy", "policy.toml"]);
        let said = text(&output.stderr);
        assert!(status(&output) == 2 && said.contains("line ") && !said.contains('\u{1b}'), "{said}");
    }
}

#[test]
fn archives_are_the_folder() {
    let pack = Pack::collected();
    for kind in ["zip", "tar.zst"] {
        let output = pack.output(&[&DOCS_AND_CODE[..], &["--archive", kind, "--force"]].concat());
        assert_eq!(status(&output), 3);
        let archive = pack.path(&format!("out.{kind}"));
        let bytes = std::fs::read(&archive).unwrap();
        let digest = promproof::source::digest::sha256_file(&archive).unwrap();
        assert!(
            text(&output.stdout).ends_with(&format!("\nArchive:\n  {digest}  out.{kind}\n")),
            "{}",
            text(&output.stdout)
        );
        // What promproof unpacks, and what the crates unpack, are the files of the folder, sorted, all of one time and mode.
        let members = if kind == "zip" { unzip(&bytes) } else { untar(&bytes) };
        let folder: Vec<(String, Vec<u8>)> =
            relative(&pack.path("out")).into_iter().map(|(path, bytes)| (format!("out/{path}"), bytes)).collect();
        assert!(members == folder, "{kind}");
        // Again, elsewhere, later.
        std::thread::sleep(std::time::Duration::from_millis(2100));
        pack.output(&[&DOCS_AND_CODE[..], &["--archive", kind, "--force"]].concat());
        assert!(bytes == std::fs::read(&archive).unwrap(), "{kind}");
        // What is there stays without --force, and no folder appears beside it.
        std::fs::remove_dir_all(pack.path("out")).unwrap();
        let output = pack.output(&["--archive", kind]);
        assert_eq!(status(&output), 2);
        assert!(!pack.path("out").exists() && bytes == std::fs::read(&archive).unwrap());
    }
}

fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let members = (0..zip.len()).map(|i| {
        let mut file = zip.by_index(i).unwrap();
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o644);
        assert_eq!(file.last_modified(), Some(zip::DateTime::default()));
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.name().unwrap().into_owned(), bytes)
    });
    members.collect()
}

fn untar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(bytes).unwrap());
    let members = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap(), header.uid().unwrap()), (0o644, 315_532_800, 0));
        let path = p(&entry.path().unwrap());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (path, bytes)
    });
    members.collect()
}

#[test]
fn two_runs_give_the_same_bytes() {
    let pack = Pack::collected();
    let run = |environment: [(&str, &str); 4]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promproof"));
        command.args(["package", "--evidence", "evidence", "--output", "out", "--force", "--archive", "tar.zst"]);
        let output = command.args(DOCS_AND_CODE).envs(environment).current_dir(pack.0.dir.path()).output().unwrap();
        assert_eq!(status(&output), 3, "{}", text(&output.stderr));
        (relative(&pack.path("out")), std::fs::read(pack.path("out.tar.zst")).unwrap(), output.stdout)
    };
    let one = run([("RAYON_NUM_THREADS", "1"), ("TZ", "UTC"), ("LANG", "C"), ("SOURCE_DATE_EPOCH", "")]);
    let three = run([
        ("RAYON_NUM_THREADS", "3"),
        ("TZ", "Asia/Tokyo"),
        ("LANG", "de_DE.UTF-8"),
        ("SOURCE_DATE_EPOCH", "1763600000"),
    ]);
    assert!(one == three);
}

#[test]
fn hostile_texts_stay_texts() {
    let pack = Pack::collected();
    let bad = "\"><script>alert(1)</script></title><!-- ' | `````\n# h\n[x](http://y) \u{1b}[31m\u{202e}";
    for file in [
        "EVIDENCE_SUMMARY.json",
        "availability/timeline.json",
        "availability/availability_72h.json",
        "availability/availability_144h.json",
        "model_updates/model_updates_verification.json",
        "model_registry/versions_summary.json",
        "api_samples/healthz.json",
        "api_samples/recommend_sample.json",
        "api_samples/trace_sample.json",
    ] {
        let path = pack.path("evidence").join(file);
        let mut document = read(&path);
        let kept = ["schema", "files"].map(|key| (key, document[key].clone()));
        poison(&mut document, bad);
        for (key, value) in kept.into_iter().filter(|(_, value)| !value.is_null()) {
            document[key] = value;
        }
        // The commands of the summary are hostile, the paths are not.
        for file in document["files"].as_array_mut().into_iter().flatten() {
            file["command"] = format!("promproof availability $(touch sprung) {bad}").into();
        }
        std::fs::write(&path, document.to_string()).unwrap();
    }
    std::fs::write(pack.path("evidence/git_history/commits.txt"), format!("{bad}|||||\n")).unwrap();
    std::fs::write(pack.path("evidence/git_history/current_sha.txt"), bad).unwrap();
    pack.reseal();
    let names = ["$(touch x).md", "<b>.md", "a`b|c.md", "-rf.md"];
    for name in names {
        std::fs::write(pack.path("docs").join(name), "# text\n").unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        for name in [&b"new\nline.md"[..], b"esc\x1b[2J.md", b"\xff.md", b"back\\slash.md"] {
            std::fs::write(pack.path("docs").join(std::ffi::OsStr::from_bytes(name)), "# text\n").unwrap();
        }
    }
    let policy = text(&run_in(pack.0.dir.path(), &["package", "--print-policy"]).stdout);
    let policy = policy.replacen("\"README.md\",", "\"*.md\",", 1);
    let policy = policy.replacen("name = \"Training Pipeline\"", &format!("name = {}", Value::from(bad)), 1);
    std::fs::write(pack.path("policy.toml"), policy.replace("\\u{1b}", "\\u001b")).unwrap();
    let output = pack.output(&[&DOCS_AND_CODE[..], &["--policy", "policy.toml"]].concat());
    assert_eq!(status(&output), 1, "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let written = |name: &str| std::fs::read_to_string(pack.path("out").join(name)).unwrap();
    for shown in [&printed, &written("README.md"), &written("DELIVERABLES_CHECKLIST.json"), &written("report.html")] {
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    }
    check_page(&written("report.html"));
    for name in names {
        assert!(pack.path("out/docs").join(name).exists(), "{name}");
    }
    let sums = written("SHA256SUMS");
    assert!(sums.lines().all(|l| l.as_bytes()[64..66] == *b"  "), "{sums}");
    #[cfg(unix)]
    assert_eq!(relative(&pack.path("out")).keys().filter(|f| f.starts_with("docs/")).count(), 5 + names.len());
    let readme = written("README.md");
    check_markdown(&readme);
    assert!(!readme.contains("touch sprung"), "{readme}");
    assert!(readme.contains("23 commands of the summary are none that `promproof collect` records"), "{readme}");
}

/// Reads Markdown as far as hostile text could reach: outside of code there is no tag, no link and no heading but ours.
fn check_markdown(readme: &str) {
    let mut fence: Option<String> = None;
    for line in readme.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) => {
                if ticks == *open && line == ticks {
                    fence = None;
                }
                continue;
            }
            None if ticks.len() >= 3 => {
                fence = Some(ticks);
                continue;
            }
            None => {}
        }
        let heading = line.starts_with('#');
        let known = ["# Deliverables", "## ", "### "].iter().any(|h| line.starts_with(h));
        assert!(!heading || known, "{line}");
        let bare = outside_code(line);
        for (at, c) in bare.char_indices().filter(|(_, c)| "<>[]`".contains(*c)) {
            let escapes = bare[..at].chars().rev().take_while(|c| *c == '\\').count();
            assert!(escapes % 2 == 1, "{c} in {line}");
        }
        assert!(!bare.contains("http://") && !bare.contains("https://"), "{line}");
    }
    assert_eq!(fence, None);
}

/// A line without its code spans.
fn outside_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        if rest[..at].ends_with('\\') {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let ticks = &rest[at..at + run];
        let body = &rest[at + run..];
        let mut end = 0;
        loop {
            let next = end + body[end..].find(ticks).unwrap_or_else(|| panic!("a code span is not closed: {line}"));
            let length = body[next..].len() - body[next..].trim_start_matches('`').len();
            end = next + length;
            if length == run {
                break;
            }
        }
        out.push_str(&rest[..at]);
        rest = &body[end..];
    }
    out.push_str(rest);
    out
}

#[test]
fn outputs_that_exist() {
    let pack = Pack::collected();
    std::fs::create_dir(pack.path("out")).unwrap();
    assert_eq!(status(&pack.output(&DOCS_AND_CODE)), 2);
    let (_, first) = pack.package(&[]);
    let before = tree(&pack.path("out"));
    let (_, second) = pack.package(&[]);
    assert!(first == second && before == tree(&pack.path("out")));
    std::fs::write(pack.path("out/thesis.tex"), "mine").unwrap();
    assert_eq!(status(&pack.output(&["--force"])), 2);
    assert_eq!(std::fs::read_to_string(pack.path("out/thesis.tex")).unwrap(), "mine");
    std::fs::rename(pack.path("out/thesis.tex"), pack.path("out/evidence/logs/thesis.tex")).unwrap();
    let output = pack.output(&["--force"]);
    assert!(status(&output) == 2 && text(&output.stderr).contains("evidence/logs/thesis.tex"));
    std::fs::remove_file(pack.path("out/evidence/logs/thesis.tex")).unwrap();
    // A file of the archive's name that is none.
    std::fs::write(pack.path("out.zip"), "mine").unwrap();
    let archive = pack.output(&["--force", "--archive", "zip"]);
    assert!(status(&archive) == 2 && text(&archive.stderr).contains("is no archive of a package"));
    assert_eq!(std::fs::read_to_string(pack.path("out.zip")).unwrap(), "mine");
    std::fs::remove_file(pack.path("out.zip")).unwrap();
    // Sums alone make no package.
    std::fs::create_dir(pack.path("other")).unwrap();
    std::fs::write(pack.path("other/SHA256SUMS"), format!("{}  mine\n", "0".repeat(64))).unwrap();
    std::fs::write(pack.path("other/mine"), "mine").unwrap();
    let over = ["package", "--evidence", "evidence", "--output", "other", "--force"];
    assert_eq!(status(&run_in(pack.0.dir.path(), &over)), 2);
    assert!(pack.path("other/mine").exists());
    // Nothing is written into the evidence, and nothing is read from what is replaced.
    for arguments in
        [["--evidence", "evidence", "--output", "evidence/out"], ["--evidence", "out/evidence", "--output", "out"]]
    {
        let arguments = [&["package", "--force"][..], &arguments].concat();
        assert_eq!(status(&run_in(pack.0.dir.path(), &arguments)), 2, "{arguments:?}");
    }
    assert!(before == tree(&pack.path("out")));
    let left: Vec<_> = std::fs::read_dir(pack.0.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with("promproof-")), "{left:?}");
}

#[test]
fn a_package_in_its_own_code_does_not_eat_itself() {
    let pack = Pack::collected();
    let policy = text(&run_in(pack.0.dir.path(), &["package", "--print-policy"]).stdout);
    std::fs::write(pack.path("policy.toml"), policy.replacen("\"service/app.py\"", "\"**/app.py\"", 1)).unwrap();
    copy_tree(&pack.path("evidence"), &pack.path("code/evidence"));
    let arguments = [
        "package",
        "--evidence",
        "evidence",
        "--docs",
        "../docs",
        "--code",
        ".",
        "--output",
        "deliverables",
        "--policy",
        "../policy.toml",
        "--force",
        "--quiet",
    ];
    let package = || {
        assert_eq!(status(&run_in(&pack.path("code"), &arguments)), 3);
        relative(&pack.path("code/deliverables"))
    };
    let first = package();
    assert!(first == package());
    assert_eq!(first.keys().filter(|f| f.ends_with("app.py")).collect::<Vec<_>>(), ["code_samples/service/app.py"]);
}

#[cfg(unix)]
#[test]
fn inputs_may_be_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let pack = Pack::collected();
    let inputs = ["evidence", "docs", "code"];
    let set = |folder: &str, dirs: u32, files: u32| {
        for path in tree(&pack.path(folder)).into_keys() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(files)).unwrap();
            std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(dirs)).unwrap();
        }
    };
    inputs.iter().for_each(|folder| set(folder, 0o555, 0o444));
    let (code, _) = pack.package(&[]);
    // The copies can be removed by whoever made them.
    let again = pack.package(&[]).0;
    inputs.iter().for_each(|folder| set(folder, 0o755, 0o644));
    assert_eq!((code, again), (3, 3));
}

#[test]
fn what_cannot_run_says_why() {
    let pack = Pack::collected();
    let said = |arguments: &[&str]| {
        let output = run_in(pack.0.dir.path(), &[&["package"][..], arguments].concat());
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert!(!pack.path("out").exists());
        text(&output.stderr)
    };
    if !cfg!(feature = "pdf") {
        let pdf = said(&["--evidence", "evidence", "--output", "out", "--pdf"]);
        let how =
            "build it with `cargo install --path . --features pdf`, or print report.html, which has the same pages";
        assert_eq!(pdf, format!("promproof: --pdf: this build makes no PDF; {how}\n"));
    }
    assert!(said(&["--output", "out"]).contains("--evidence"));
    assert!(said(&["--evidence", "evidence"]).contains("--output"));
    assert!(said(&["--evidence", "nowhere", "--output", "out"]).contains("--evidence"));
    assert!(said(&["--evidence", "docs", "--output", "out"]).contains("this is no evidence folder"));
    assert!(
        said(&["--evidence", ".", "--output", "../never-made"])
            .contains("hint: the folder evidence in it is one: give that")
    );
    assert!(said(&["--evidence", "evidence", "--output", "out", "--docs", "nowhere"]).contains("--docs"));
    assert!(said(&["--evidence", "evidence", "--output", "out", "--code", SUMMARY]).contains("--code names no folder"));
    assert!(said(&["--evidence", "evidence", "--output", "out", "--policy", "nowhere"]).contains("read the policy"));
    for (summary, why) in [("{", "it is no JSON"), ("{}", "its schema is null"), ("[]", "its schema is null")] {
        std::fs::write(pack.path(SUMMARY), summary).unwrap();
        assert!(said(&["--evidence", "evidence", "--output", "out"]).contains(why), "{summary}");
    }
}
