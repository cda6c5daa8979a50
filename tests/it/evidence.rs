//! Evidence folders: what is computed, what is copied, what is missing, what fails, and what is never followed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{copy_tree, golden, p, run, run_in, status, text, tree};
use crate::package::read;
#[cfg(unix)]
use crate::support::as_anybody;
use crate::support::fixtures;

/// Inputs that fit together, in a folder of their own, and the evidence made from them.
pub struct Case {
    pub dir: TempDir,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
}

impl Case {
    /// The snapshot alone.
    pub fn bare(source: &str) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["collect", &p(&fixtures().join(source)), "--output", "evidence", "--quiet"];
        Case { dir, arguments: arguments.map(str::to_owned).to_vec(), environment: vec![] }
    }

    /// With everything that somebody could save.
    pub fn full() -> Case {
        let mut case = Case::bare("servers/backfill-6d/snapshot");
        copy_tree(&fixtures().join("captures"), case.dir.path());
        repository(&case.path("repo"));
        for (flag, folder) in
            [("captures", "api"), ("registry", "registry"), ("logs", "logs"), ("system", "system"), ("repo", "repo")]
        {
            case.arguments.extend([format!("--{flag}"), folder.to_owned()]);
        }
        case
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    pub fn with(mut self, more: &[&str]) -> Case {
        self.arguments.extend(more.iter().map(|a| (*a).to_owned()));
        self
    }

    pub fn output(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promproof"));
        command.args(&self.arguments).current_dir(self.dir.path()).env_remove("SOURCE_DATE_EPOCH");
        command.envs(self.environment.iter().map(|(k, v)| (*k, v.as_str())));
        command.output().unwrap()
    }

    /// Collects, and gives the status and the summary.
    pub fn collect(&self) -> (i32, Value) {
        let output = self.output();
        let summary = std::fs::read(self.path("evidence/EVIDENCE_SUMMARY.json"));
        let summary = summary.unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
        (status(&output), serde_json::from_slice(&summary).unwrap())
    }
}

/// git as the tests call it: the same commits everywhere.
fn git(dir: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "A. Author"),
        ("GIT_AUTHOR_EMAIL", "author@example.org"),
        ("GIT_AUTHOR_DATE", "2025-11-10T09:00:00+01:00"),
        ("GIT_COMMITTER_NAME", "A. Author"),
        ("GIT_COMMITTER_EMAIL", "author@example.org"),
        ("GIT_COMMITTER_DATE", "2025-11-10T09:00:00+01:00"),
    ] {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
}

/// A repository with the commit that `fixtures/captures` names.
fn repository(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    git(dir, &["init", "-q", "--object-format=sha1", "--initial-branch=main", "."]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", "service: first version"]);
}

fn strings(value: &Value, key: &str) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v[key].as_str().unwrap().to_owned()).collect()
}

/// The checks that do not hold, by name.
fn failed(summary: &Value) -> Vec<String> {
    let checks = summary["checks"].as_array().unwrap();
    checks.iter().filter(|c| c["ok"] == false).map(|c| c["name"].as_str().unwrap().to_owned()).collect()
}

/// The paths of `missing`.
fn missing(summary: &Value) -> Vec<String> {
    strings(&summary["missing"], "what")
}

pub fn edit(path: &Path, from: &str, to: &str) {
    let before = std::fs::read_to_string(path).unwrap();
    assert!(before.contains(from), "{} has no {from}", path.display());
    std::fs::write(path, before.replace(from, to)).unwrap();
}

#[test]
fn everything_is_there() {
    let case = Case::full();
    let inputs = tree(case.dir.path());
    let output = case.output();
    assert_eq!((status(&output), text(&output.stderr)), (0, String::new()), "{}", text(&output.stdout));
    golden("evidence-collect.txt", &text(&output.stdout));
    golden("EVIDENCE_SUMMARY.json", &std::fs::read_to_string(case.path("evidence/EVIDENCE_SUMMARY.json")).unwrap());
    golden(
        "evidence-timeline.json",
        &std::fs::read_to_string(case.path("evidence/availability/timeline.json")).unwrap(),
    );
    golden("evidence-metrics.txt", &std::fs::read_to_string(case.path("evidence/api_samples/metrics.txt")).unwrap());
    // What was given is as it was.
    for (path, bytes) in inputs {
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
    // The lists of the original have every file but the summary, and every digest is the file's.
    let summary: Value =
        serde_json::from_slice(&std::fs::read(case.path("evidence/EVIDENCE_SUMMARY.json")).unwrap()).unwrap();
    let mut listed: Vec<String> = Vec::new();
    for list in summary["evidence_collected"].as_object().unwrap().values() {
        listed.extend(list.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()));
    }
    listed.sort();
    let on_disk: Vec<String> = tree(&case.path("evidence"))
        .keys()
        .map(|f| p(f.strip_prefix(case.path("evidence")).unwrap()))
        .filter(|f| f != "EVIDENCE_SUMMARY.json")
        .collect();
    assert_eq!(listed, on_disk);
    for file in summary["files"].as_array().unwrap() {
        let path = case.path("evidence").join(file["path"].as_str().unwrap());
        assert_eq!(promproof::source::digest::sha256_file(&path).unwrap(), file["sha256"].as_str().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), file["bytes"].as_u64().unwrap());
    }
    let logs = std::fs::read_to_string(case.path("evidence/logs/api_logs_sample.txt")).unwrap();
    assert_eq!((logs.lines().count(), logs.lines().next()), (500, Some("api-0  | INFO request 21 status 200")));
}

#[test]
fn documents_follow_their_schemas() {
    let case = Case::full();
    case.collect();
    for (schema, file) in [("evidence", "EVIDENCE_SUMMARY.json"), ("timeline", "availability/timeline.json")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{schema}.schema.json"));
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let document: Value =
            serde_json::from_slice(&std::fs::read(case.path("evidence").join(file)).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
}

#[test]
fn recorded_commands_print_the_same_bytes() {
    let submission = ["--submission", "2025-11-17T00:00:00.250Z"];
    for (source, more) in [
        ("servers/backfill-6d/snapshot", &[][..]),
        ("servers/backfill-6d/snapshot", &submission),
        ("servers/backfill-6d/snapshot", &["--semantics", "prometheus-2.53"]),
        ("servers/live-3.5/data", &[]),
    ] {
        let case = Case::bare(source).with(more);
        let (_, summary) = case.collect();
        let mut compared = 0;
        for file in summary["files"].as_array().unwrap() {
            let Some(command) = file["command"].as_str() else { continue };
            let words: Vec<&str> = command.split(' ').skip(1).collect();
            let printed = run_in(fixtures().join(source).parent().unwrap(), &words).stdout;
            let written = std::fs::read(case.path("evidence").join(file["path"].as_str().unwrap())).unwrap();
            assert!(printed == written, "{source}: {command}\n{}", text(&printed));
            compared += 1;
        }
        assert_eq!(compared, 6);
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let files = |case: Case| {
        case.collect();
        let folder = case.path("evidence");
        let files = tree(&folder).into_iter();
        files.map(|(path, bytes)| (path.strip_prefix(&folder).unwrap().to_path_buf(), bytes)).collect::<Vec<_>>()
    };
    let first = files(Case::full());
    let mut other = Case::full().with(&["--threads", "1", "--no-mmap"]);
    other.environment = vec![("TZ", "Asia/Tokyo".into()), ("LC_ALL", "de_DE.UTF-8".into())];
    assert!(first == files(other));
    let mut dated = Case::full();
    dated.environment = vec![("SOURCE_DATE_EPOCH", "1763600000".into())];
    assert_eq!(dated.collect().1["collection_timestamp"], "2025-11-20T00:53:20Z");
    dated.environment = vec![("SOURCE_DATE_EPOCH", "soon".into())];
    let dated = dated.with(&["--force"]);
    assert_eq!(status(&dated.output()), 2);
}

#[test]
fn what_is_not_given_is_named() {
    let (code, summary) = Case::bare("servers/backfill-6d/snapshot").collect();
    assert_eq!(code, 1);
    assert_eq!(
        missing(&summary),
        [
            "git_history/",
            "model_registry/versions_summary.json",
            "api_samples/healthz.json",
            "api_samples/trace_sample.json",
            "api_samples/recommend_with_provenance.json",
            "api_samples/recommend_sample.json",
            "api_samples/rollout_status.json",
            "system_info/docker_services.txt",
            "system_info/docker_images.txt",
            "system_info/reqs-recommender.txt",
            "system_info/reqs-ingestor.txt",
            "logs/api_logs_sample.txt",
            "logs/prometheus_logs_sample.txt",
        ]
    );
    for gap in summary["missing"].as_array().unwrap() {
        assert!(gap["why"].as_str().is_some_and(|w| !w.is_empty()), "{gap}");
        assert!(gap["how_to_get_it"].as_str().unwrap().contains("--"), "{gap}");
    }
    // Each part by itself.
    for (file, what) in [
        ("api/healthz.json", "api_samples/healthz.json"),
        ("api/trace.json", "api_samples/trace_sample.json"),
        ("api/recommend_sample.json", "api_samples/recommend_sample.json"),
        ("api/recommend-456.json", "api_samples/recommend_with_provenance.json"),
        ("api/rollout_status.json", "api_samples/rollout_status.json"),
        ("logs/api.log", "logs/api_logs_sample.txt"),
        ("logs/prometheus.log", "logs/prometheus_logs_sample.txt"),
        ("system/docker_images.txt", "system_info/docker_images.txt"),
    ] {
        let case = Case::full();
        std::fs::remove_file(case.path(file)).unwrap();
        let (code, summary) = case.collect();
        assert_eq!((code, missing(&summary)), (1, vec![what.to_owned()]), "{file}");
        assert!(page(&case, "one-missing").contains("1</b> part missing<"), "{file}");
    }
    let case = Case::full();
    std::fs::remove_dir_all(case.path("registry")).unwrap();
    std::fs::create_dir(case.path("registry")).unwrap();
    assert_eq!(missing(&case.collect().1), ["model_registry/versions_summary.json"]);
    // A folder that is not there at all is a slip of the command line.
    std::fs::remove_dir(case.path("registry")).unwrap();
    let output = case.with(&["--force"]).output();
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("--registry"), "{}", text(&output.stderr));
}

/// What fails where the registry names another commit than the repository and both recommendations.
const OTHER_COMMIT: [&str; 3] =
    ["registry_git_sha_in_repo", "git_sha_is_of_the_registry", "git_sha_is_of_the_registry"];

#[test]
fn every_check_can_fail() {
    let answer = "api/recommend-456.json";
    let meta = "registry/v0.6/meta.json";
    for (file, from, to, names) in [
        ("api/healthz.json", "\"healthy\"", "\"degraded\"", &["service_is_healthy"][..]),
        ("api/healthz.json", "{", "", &["response_parses"]),
        ("api/rollout_status.json", "{", "[", &["response_parses"]),
        (answer, "\"latency_ms\": 45", "\"latency_ms\": null", &["provenance_fields"]),
        (answer, "sha256:5f", "", &[]),
        (answer, "\"git_sha\"", "\"sha\"", &["provenance_fields"]),
        (
            answer,
            "v0.6",
            "v0.7",
            &["model_version_in_registry", "trace_is_of_the_recommendation", "model_version_was_served"],
        ),
        (answer, "v0.6", "v0.5", &["trace_is_of_the_recommendation", "model_version_was_served"]),
        // Values that no service means.
        (answer, "\"latency_ms\": 45", "\"latency_ms\": -45", &["provenance_fields"]),
        (answer, "\"latency_ms\": 45", "\"latency_ms\": 1e300", &["provenance_fields"]),
        (answer, "\"latency_ms\": 45", "\"latency_ms\": \"fast\"", &["provenance_fields"]),
        (answer, "\"snapshot-2025-11-18\"", "[7]", &["provenance_fields"]),
        (
            answer,
            "1452f840fc05c349323f3210547b6c1638e4c61d",
            "unknown",
            &["provenance_fields", "git_sha_is_of_the_registry", "git_sha_in_repo"],
        ),
        (answer, "1452f840", "0452f840", &["git_sha_is_of_the_registry", "git_sha_in_repo"]),
        (answer, "1763553510250", "-5", &["provenance_timestamp"]),
        (answer, "1763553510250", "1e300", &["provenance_timestamp"]),
        (answer, "[1, 50, 260, 527, 588]", "[null]", &["recommendation_items"]),
        (answer, "[1, 50, 260, 527, 588]", "[]", &["recommendation_items"]),
        (answer, "[1, 50, 260, 527, 588]", "{\"1\": 50}", &["recommendation_items"]),
        (answer, "[1, 50, 260, 527, 588]", "[1, {}, true]", &["recommendation_items"]),
        (
            "api/trace.json",
            "\"model_version\": \"v0.6\"",
            "\"model_version\": \"v0.5\"",
            &["trace_is_of_the_recommendation"],
        ),
        (answer, "1763553510250", "\"soon\"", &["provenance_timestamp"]),
        ("api/trace.json", "7c9e6679", "8c9e6679", &["trace_is_of_the_recommendation"]),
        (meta, "\"artifact_sha\"", "\"artifact\"", &["registry_keys"]),
        (meta, "\"als\"", "\"\"", &["registry_keys"]),
        (meta, "\"v0.6\"", "\"v6\"", &["registry_version_is_folder"]),
        (meta, "2025-11-16T", "yesterday ", &["registry_created_at"]),
        (meta, "1452f840", "1452f841", &OTHER_COMMIT),
        (meta, "1452f840", "--help; 1452f840", &OTHER_COMMIT),
        (meta, "{", "", &["registry_meta_parses", "registry_keys"]),
        (meta, "{\"hr_at_10\": 0.46, \"ndcg_at_10\": 0.26}", "[null]", &["registry_keys"]),
    ] {
        let case = Case::full();
        edit(&case.path(file), from, to);
        let (code, summary) = case.collect();
        assert_eq!(failed(&summary), names, "{file}: {from} to {to}");
        assert_eq!(code, i32::from(!names.is_empty()), "{file}: {from} to {to}");
        assert!(missing(&summary).is_empty(), "{file}: {from} to {to}");
    }
    let case = Case::full();
    std::fs::remove_dir_all(case.path("registry/v0.6")).unwrap();
    let names = ["switched_versions_in_registry", "model_version_in_registry", "model_version_in_registry"];
    assert_eq!(failed(&case.collect().1), names);
    let case = Case::full();
    std::fs::write(case.path("api/metrics.txt"), "recommend_requests_total{status=\"200\"} 5\nbroken{ 1\n").unwrap();
    let (code, summary) = case.collect();
    assert_eq!((code, failed(&summary)), (1, vec!["response_parses".to_owned()]));
}

#[test]
fn captures_are_recognised_by_content() {
    let case = Case::full();
    for (i, name) in ["healthz", "recommend_sample", "recommend-456", "trace", "rollout_status"].iter().enumerate() {
        let to = case.path(&format!("api/{}.saved", 9 - i));
        std::fs::rename(case.path(&format!("api/{name}.json")), to).unwrap();
    }
    std::fs::write(case.path("api/scrape"), "# TYPE a_total counter\na_total 5\n").unwrap();
    std::fs::write(case.path("api/notes"), "curl said nothing\n").unwrap();
    let (code, summary) = case.collect();
    assert_eq!((code, failed(&summary), missing(&summary)), (0, vec![], vec![]));
    let of = |path: &str| {
        let file = summary["files"].as_array().unwrap().iter().find(|f| f["path"] == path).unwrap();
        (file["source"].as_str().unwrap().to_owned(), file["kind"].as_str().unwrap().to_owned())
    };
    let captured = |name: &str| (format!("--captures {name}"), "captured".to_owned());
    assert_eq!(of("api_samples/recommend_with_provenance.json"), captured("7.saved"));
    assert_eq!(of("api_samples/recommend_sample.json"), captured("8.saved"));
    assert_eq!(of("api_samples/metrics.txt"), captured("scrape"));
    assert_eq!(strings(&summary["unused"], "path"), ["notes"]);
}

#[test]
fn what_the_data_cannot_say_is_unknown() {
    // The 144 hours after the submission have only begun.
    let (code, summary) = Case::full().with(&["--submission", "2025-11-19T00:00:00Z"]).collect();
    assert_eq!((code, failed(&summary), missing(&summary)), (3, vec![], vec![]));
    let window = &summary["windows"][1];
    assert_eq!((&window["name"], &window["verdict"]), (&"144h".into(), &"unknown".into()));
    assert_eq!(window["data_reach_the_end"], false);
    assert!(window["until"].as_str().unwrap().starts_with("the data go until 2025-11-19T11:59:51.740Z, 5d 12h before"));
    assert_eq!(summary["submission"], "2025-11-19T00:00:00Z");
    assert_eq!(summary["windows"][0]["verdict"], "met");
    // A response that was saved after the snapshot.
    let case = Case::full();
    edit(&case.path("api/recommend_sample.json"), "1763553480000", "1763563480000");
    let (code, summary) = case.collect();
    assert_eq!((code, failed(&summary)), (3, vec![]));
    let unknown = summary["checks"].as_array().unwrap().iter().find(|c| c["ok"].is_null()).unwrap();
    assert_eq!(unknown["name"], "model_version_was_served");
    // Nothing of the recommender at all: everything else is collected, and the metrics cannot be made.
    let (code, summary) = Case::bare("encodings/xor-block").collect();
    assert_eq!(code, 1);
    assert!(missing(&summary).contains(&"api_samples/metrics.txt".to_owned()));
    assert_eq!(strings(&summary["windows"], "verdict"), ["unknown", "unknown", "unknown"]);
}

#[cfg(unix)]
/// The stack may have been down for long before its data were saved.
#[test]
fn the_last_scrape_may_be_long_ago() {
    let mut case = Case::bare("servers/backfill-6d/snapshot");
    let target = r#"instance="api-0:8080", job="api""#;
    let mut dump = String::new();
    for minute in 0..300i64 {
        let (t, up) = (1_763_553_600_000 + minute * 60_000, u8::from(minute < 60));
        dump.push_str(&format!("{{__name__=\"up\", {target}}} {up} {t}\n"));
        if up == 1 {
            dump.push_str(&format!(
                "{{__name__=\"recommend_requests_total\", {target}, status=\"200\"}} {minute} {t}\n"
            ));
        }
    }
    std::fs::write(case.path("dump.txt"), dump).unwrap();
    case.arguments[1] = p(&case.path("dump.txt"));
    let (_, summary) = case.collect();
    let metrics = std::fs::read_to_string(case.path("evidence/api_samples/metrics.txt"));
    assert!(metrics.is_ok_and(|m| m.contains("recommend_requests_total{status=\"200\"} 59\n")), "{summary}");
}

/// Dumps that lie further apart than a server looks back left three deliverables pending.
#[test]
fn between_two_dumps_the_version_that_both_show_was_served() {
    for (last, ok) in [("v0.6", Value::Bool(true)), ("v0.7", Value::Null)] {
        let mut case = Case::full();
        std::fs::create_dir(case.path("dumps")).unwrap();
        for (n, version) in ["v0.5", "v0.6", last].iter().enumerate() {
            // The answers are of 480 and 510 seconds behind the second dump.
            let t = 1_763_552_400 + 600 * n as i64;
            let text = format!(
                "recommend_requests_total{{status=\"200\"}} {n}\nmodel_version_info{{version=\"{version}\"}} 1\n"
            );
            std::fs::write(case.path(&format!("dumps/{t}.prom")), text).unwrap();
        }
        case.arguments[1] = p(&case.path("dumps"));
        let (_, summary) = case.with(&["--label", "*:instance=api-0"]).collect();
        let checks = summary["checks"].as_array().unwrap();
        let served: Vec<&Value> = checks.iter().filter(|c| c["name"] == "model_version_was_served").collect();
        assert_eq!(served.len(), 2);
        assert!(served.iter().all(|c| c["ok"] == ok), "{last}: {served:?}");
    }
}

/// A quantile of buckets of which one is lost is no quantile, and what is lost is said where people look first.
#[test]
fn what_is_lost_leaves_no_figure() {
    let case = Case::full();
    let snapshot = case.path("snapshot");
    copy_tree(&fixtures().join("servers/backfill-6d/snapshot"), &snapshot);
    let segment = tree(&snapshot).into_keys().find(|p| p.ends_with("chunks/000001")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    for at in (500..bytes.len()).step_by(2_000) {
        bytes[at] ^= 0xff;
    }
    std::fs::write(&segment, &bytes).unwrap();
    let hours = |case: &Case| {
        case.collect();
        let timeline = std::fs::read(case.path("evidence/availability/timeline.json")).unwrap();
        serde_json::from_slice::<Value>(&timeline).unwrap()["hours"].as_array().unwrap().clone()
    };
    let sound = hours(&case);
    let mut damaged = case.with(&["--force"]);
    damaged.arguments[1] = p(&snapshot);
    let output = damaged.output();
    assert!(text(&output.stdout).contains("Losses:"), "{}", text(&output.stdout));
    let damaged = hours(&damaged);
    let mut unknown = 0;
    for (a, b) in sound.iter().zip(&damaged) {
        for key in ["p95_latency_seconds", "total_requests"] {
            assert!(a[key] == b[key] || b[key].is_null(), "{key}: {a} became {b}");
            unknown += usize::from(b[key].is_null() && !a[key].is_null());
        }
    }
    assert!(unknown > 0 && sound.len() == damaged.len());
}

#[test]
fn links_are_not_followed() {
    let case = Case::full();
    std::fs::write(case.path("secret"), "{\"status\": \"healthy\"}\n").unwrap();
    for link in ["api/healthz.json", "logs/api.log", "system/docker_images.txt", "registry/v0.6/meta.json"] {
        std::fs::remove_file(case.path(link)).unwrap();
        std::os::unix::fs::symlink(case.path("secret"), case.path(link)).unwrap();
    }
    std::fs::create_dir(case.path("elsewhere")).unwrap();
    std::fs::copy(case.path("secret"), case.path("elsewhere/healthz.json")).unwrap();
    std::os::unix::fs::symlink(case.path("elsewhere"), case.path("api/deeper")).unwrap();
    let pipe = Command::new("mkfifo").arg(case.path("logs/api.pipe")).status().unwrap();
    assert!(pipe.success());
    let (code, summary) = case.collect();
    assert_eq!(code, 1);
    assert_eq!(
        missing(&summary),
        [
            "model_registry/v0.6/meta.json",
            "api_samples/healthz.json",
            "system_info/docker_images.txt",
            "logs/api_logs_sample.txt"
        ]
    );
    let unused = strings(&summary["unused"], "path");
    assert_eq!(unused, ["v0.6/meta.json", "deeper", "healthz.json", "docker_images.txt", "api.log", "api.pipe"]);
    let secret = b"{\"status\": \"healthy\"}\n".to_vec();
    assert!(!tree(&case.path("evidence")).values().any(|bytes| *bytes == secret));
}

/// A folder of the registry without its meta.json was passed over.
#[test]
fn a_version_without_metadata_is_missing() {
    let case = Case::full();
    std::fs::create_dir_all(case.path("registry/v0.7/artifacts")).unwrap();
    std::fs::write(case.path("registry/v0.7/model.bin"), "weights").unwrap();
    std::fs::create_dir(case.path("registry/v0.8")).unwrap();
    let (code, summary) = case.collect();
    assert_eq!(
        (code, missing(&summary)),
        (1, vec!["model_registry/v0.7/meta.json".into(), "model_registry/v0.8/meta.json".into()])
    );
}

/// Something that cannot be read in one folder stopped everything.
#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_missing_and_all_else_is_there() {
    use std::os::unix::fs::PermissionsExt;
    let Some(mut command) = as_anybody() else { return };
    let case = Case::full();
    let close = |path: &str| {
        std::fs::set_permissions(case.path(path), std::fs::Permissions::from_mode(0o000)).unwrap();
    };
    for path in ["registry/v0.5", "registry/v0.6/meta.json", "logs", "api/healthz.json", "system/docker_images.txt"] {
        close(path);
    }
    std::fs::set_permissions(case.dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    command.args(&case.arguments).current_dir(case.dir.path()).env_remove("SOURCE_DATE_EPOCH");
    let output = command.output().unwrap();
    for path in ["registry/v0.5", "logs"] {
        std::fs::set_permissions(case.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!(status(&output), 1, "{}", text(&output.stderr));
    let summary: Value =
        serde_json::from_slice(&std::fs::read(case.path("evidence/EVIDENCE_SUMMARY.json")).unwrap()).unwrap();
    assert_eq!(
        missing(&summary),
        [
            "--registry v0.5",
            "model_registry/v0.5/meta.json",
            "--captures healthz.json",
            "api_samples/healthz.json",
            "--system docker_images.txt",
            "system_info/docker_images.txt",
            "--logs",
            "logs/api_logs_sample.txt",
            "logs/prometheus_logs_sample.txt",
        ]
    );
    assert!(failed(&summary).contains(&"registry_meta_parses".to_owned()));
    assert!(case.path("evidence/git_history/commits.txt").exists());
}

#[test]
fn hostile_texts_stay_texts() {
    let case = Case::full();
    let bad = "\u{1b}[2J</script>\u{202e}`|";
    std::fs::write(case.path(&format!("api/{}", bad.replace('/', "_"))), "nothing").unwrap();
    std::fs::write(case.path("system/$(touch x).txt"), "x").unwrap();
    edit(
        &case.path("registry/v0.5/meta.json"),
        "\"v0.5\"",
        &format!("{:?}", bad).replace("\\u{1b}", "\\u001b").replace("\\u{202e}", "\\u202e"),
    );
    edit(&case.path("api/healthz.json"), "healthy", "\\u001b[31mhealthy");
    let output = case.output();
    let printed = text(&output.stdout);
    assert_eq!(status(&output), 1);
    assert!(!printed.contains('\u{1b}') && !printed.contains('\u{202e}'), "{printed}");
    let summary = std::fs::read_to_string(case.path("evidence/EVIDENCE_SUMMARY.json")).unwrap();
    assert!(!summary.contains('\u{1b}') && !summary.contains('\u{202e}'));
    assert!(!case.path("evidence/system_info/$(touch x).txt").exists());
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(failed(&summary), ["registry_version_is_folder", "service_is_healthy"]);
}

#[test]
fn logs_of_any_size() {
    use std::io::{Seek, SeekFrom, Write};
    let case = Case::full();
    let mut log = std::fs::File::options().write(true).open(case.path("logs/api.log")).unwrap();
    log.set_len(5 << 30).unwrap();
    log.seek(SeekFrom::End(0)).unwrap();
    let lines: Vec<u8> =
        (0..600).flat_map(|i| [b"\n\xff\xfe line ".to_vec(), i.to_string().into_bytes()].concat()).collect();
    log.write_all(&lines).unwrap();
    std::fs::File::create(case.path("logs/prometheus.log")).unwrap().set_len(3 << 30).unwrap();
    assert_eq!(case.collect().0, 0);
    let kept = std::fs::read(case.path("evidence/logs/api_logs_sample.txt")).unwrap();
    assert!(kept.starts_with(b"\xff\xfe line 100\n") && kept.ends_with(b"\xff\xfe line 599"));
    let kept = std::fs::metadata(case.path("evidence/logs/prometheus_logs_sample.txt")).unwrap();
    assert_eq!(kept.len(), 16 << 20);
}

#[test]
fn outputs_that_exist() {
    let case = Case::full();
    std::fs::create_dir(case.path("evidence")).unwrap();
    assert_eq!(status(&case.output()), 2);
    let case = case.with(&["--force"]);
    assert_eq!(case.collect().0, 0);
    let before = tree(&case.path("evidence"));
    assert_eq!(case.collect().0, 0);
    assert!(before == tree(&case.path("evidence")));
    std::fs::write(case.path("evidence/thesis.tex"), "mine").unwrap();
    assert_eq!(status(&case.output()), 2);
    assert_eq!(std::fs::read_to_string(case.path("evidence/thesis.tex")).unwrap(), "mine");
    std::fs::remove_file(case.path("evidence/thesis.tex")).unwrap();
    // What would be replaced cannot be read from, and what is read from not be written to.
    let mut again = case;
    let captures = again.arguments.iter().position(|a| a == "api").unwrap();
    again.arguments[captures] = "evidence/api_samples".to_owned();
    let mut inside = Case::full();
    inside.arguments[3] = "api/evidence".to_owned();
    for case in [&again, &inside] {
        assert_eq!(status(&case.output()), 2);
    }
    assert!(before == tree(&again.path("evidence")));
    // Nothing is left behind under any name.
    let left: Vec<_> = std::fs::read_dir(again.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with("promproof-")), "{left:?}");
}

#[cfg(unix)]
#[test]
fn git_runs_nothing_of_the_repository() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::full();
    let repo = case.path("repo");
    let trap = case.path("trap");
    std::fs::write(&trap, format!("#!/bin/sh\ntouch {}\nexit 1\n", p(&case.path("sprung")))).unwrap();
    std::fs::set_permissions(&trap, std::fs::Permissions::from_mode(0o755)).unwrap();
    for setting in [
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "gpg.program",
        "core.alternateRefsCommand",
        "pager.log",
        "pager.branch",
        "diff.external",
        "alias.log",
    ] {
        git(&repo, &["config", setting, &p(&trap)]);
    }
    git(&repo, &["config", "log.showSignature", "true"]);
    git(&repo, &["config", "remote.origin.url", &format!("ext::{}", p(&trap))]);
    git(&repo, &["config", "remote.origin.promisor", "true"]);
    std::fs::create_dir_all(repo.join(".git/hooks")).unwrap();
    for hook in ["post-checkout", "reference-transaction", "post-index-change"] {
        std::fs::copy(&trap, repo.join(".git/hooks").join(hook)).unwrap();
    }
    // A commit that is not there would be fetched from the promisor.
    edit(&case.path("registry/v0.1/meta.json"), "1452f840", "00000000");
    let mut case = case;
    case.environment = vec![
        ("GIT_DIR", p(&case.path("nowhere"))),
        ("GIT_EXTERNAL_DIFF", p(&trap)),
        ("GIT_PAGER", p(&trap)),
        ("PAGER", p(&trap)),
    ];
    let (code, summary) = case.collect();
    assert_eq!((code, failed(&summary)), (1, vec!["registry_git_sha_in_repo".to_owned()]));
    assert!(!case.path("sprung").exists());
    let commits = std::fs::read_to_string(case.path("evidence/git_history/commits.txt")).unwrap();
    let commit = "1452f840fc05c349323f3210547b6c1638e4c61d|A. Author|author@example.org|2025-11-10 09:00:00 +0100|service: first version\n";
    assert_eq!(commits, commit);
    assert_eq!(std::fs::read_to_string(case.path("evidence/git_history/branches.txt")).unwrap(), "* main\n");
}

/// The repository's own configuration could include any file, and name programs in ways that no list of settings covers.
#[cfg(unix)]
#[test]
fn git_never_reads_the_configuration_of_the_repository() {
    let case = Case::full();
    let config = case.path("repo/.git/config");
    // A pipe that is opened for reading blocks until somebody writes.
    let pipe = Command::new("mkfifo").arg(case.path("pipe")).status().unwrap();
    assert!(pipe.success());
    let pipe = p(&case.path("pipe"));
    let hostile = format!(
        "[include]\n\tpath = {pipe}\n[includeIf \"gitdir:/\"]\n\tpath = {pipe}\n[core]\n\tworktree = /\n\tattributesFile = {pipe}\n\texcludesFile = {pipe}\n[mailmap]\n\tfile = {pipe}\n[filter \"x\"]\n\tprocess = {pipe}\n[extensions]\n\tworktreeConfig = true\n"
    );
    let before = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{hostile}{before}")).unwrap();
    std::fs::write(case.path("repo/.git/config.worktree"), format!("[include]\n\tpath = {pipe}\n")).unwrap();
    let (code, summary) = case.collect();
    assert_eq!((code, failed(&summary), missing(&summary)), (0, vec![], vec![]));
    // Not even one that git could not parse.
    std::fs::write(&config, "[[[").unwrap();
    let case = case.with(&["--force"]);
    assert_eq!(case.collect().0, 0);
    // Nothing in the folder of objects leads elsewhere, and no pipe is opened.
    for (link, place) in [("objects/14", true), ("refs/heads/other", true), ("refs/heads/pipe", false)] {
        let place_path = case.path("repo/.git").join(link);
        let kept = case.path("kept");
        if link == "objects/14" {
            std::fs::rename(&place_path, &kept).unwrap();
        }
        match place {
            true => std::os::unix::fs::symlink(&kept, &place_path).unwrap(),
            false => assert!(Command::new("mkfifo").arg(&place_path).status().unwrap().success()),
        }
        let (code, summary) = case.collect();
        let why = format!("its {link} is neither a file nor a folder, and is not followed");
        assert_eq!((code, missing(&summary)), (1, vec!["git_history/".to_owned()]));
        assert_eq!(summary["missing"][0]["why"], why);
        std::fs::remove_file(&place_path).unwrap();
        if link == "objects/14" {
            std::fs::rename(&kept, &place_path).unwrap();
        }
    }
    let left: Vec<_> = std::fs::read_dir(case.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with("promproof-")), "{left:?}");
}

#[test]
fn repositories_of_other_hashes_and_depths() {
    for arguments in [&["--object-format=sha256"][..], &[]] {
        let case = Case::full();
        let repo = case.path("repo");
        if !arguments.is_empty() {
            std::fs::remove_dir_all(&repo).unwrap();
            std::fs::create_dir(&repo).unwrap();
            git(&repo, &[&["init", "-q", "--initial-branch=main"][..], arguments].concat());
        }
        for message in ["second", "third"] {
            git(&repo, &["commit", "-q", "--allow-empty", "-m", message]);
        }
        git(&repo, &["tag", "-a", "v1", "-m", "tagged"]);
        git(&repo, &["checkout", "-q", "--detach"]);
        git(&repo, &["gc", "-q"]);
        let (_, summary) = case.collect();
        assert!(missing(&summary).is_empty(), "{summary:#}");
        let commits = std::fs::read_to_string(case.path("evidence/git_history/commits.txt")).unwrap();
        assert_eq!(commits.lines().count(), if arguments.is_empty() { 3 } else { 2 }, "{commits}");
        // A shallow clone of it has what it has.
        let url = format!("file://{}", p(&repo));
        git(case.dir.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
        std::fs::remove_dir_all(&repo).unwrap();
        std::fs::rename(case.path("shallow"), &repo).unwrap();
        let case = case.with(&["--force"]);
        let (_, summary) = case.collect();
        assert!(missing(&summary).is_empty(), "{summary:#}");
        let commits = std::fs::read_to_string(case.path("evidence/git_history/commits.txt")).unwrap();
        assert_eq!(commits.lines().count(), 1, "{commits}");
    }
}

/// A service with other names was told only that the recommender's are not there.
#[test]
fn a_service_with_names_of_its_own() {
    let case = Case::bare("servers/backfill-6d/snapshot");
    let mut dump = String::new();
    let target = r#"instance="a:1", job="api""#;
    for minute in 0..600i64 {
        let t = 1_763_553_600_000 + minute * 60_000;
        dump.push_str(&format!("{{__name__=\"up\", {target}}} 1 {t}\n"));
        for (code, value) in [("ok", minute * 9), ("failed", minute)] {
            dump.push_str(&format!("{{__name__=\"http_answers_total\", code=\"{code}\", {target}}} {value} {t}\n"));
        }
        for (version, at) in [("b", 200), ("c", 400)] {
            let count = u8::from(minute > at);
            dump.push_str(&format!("{{__name__=\"deploys_total\", to_version=\"{version}\", {target}}} {count} {t}\n"));
        }
    }
    std::fs::write(case.path("dump.txt"), dump).unwrap();
    let mut case = case;
    case.arguments[1] = "dump.txt".to_owned();
    let printed = text(&case.output().stdout);
    for words in
        ["72h, 144h: no series matches recommend_requests_total", "is collected with --total and --good or --bad"]
    {
        assert_eq!(printed.matches(words).count(), 1, "{words}: {printed}");
    }
    let case = case.with(&[
        "--force",
        "--total",
        "http_answers_total",
        "--bad",
        "http_answers_total{code=\"failed\"}",
        "--by",
        "code",
        "--switches",
        "deploys_total",
    ]);
    let (_, summary) = case.collect();
    let figures = strings(&summary["windows"], "figure");
    assert!(figures[0].starts_with("90.00%") && figures[2].starts_with("2 updates"), "{figures:?}");
    assert_eq!(summary["metrics"]["requests"], "http_answers_total");
    let metrics = std::fs::read_to_string(case.path("evidence/api_samples/metrics.txt")).unwrap();
    assert!(metrics.contains("http_answers_total{code=\"failed\"} 599\n"), "{metrics}");
    for file in summary["files"].as_array().unwrap() {
        let Some(command) = file["command"].as_str() else { continue };
        let words = promproof::evidence::shell_words(command).unwrap();
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let printed = run_in(case.dir.path(), &words).stdout;
        let written = std::fs::read(case.path("evidence").join(file["path"].as_str().unwrap())).unwrap();
        assert!(printed == written, "{command}\n{}", text(&printed));
    }
}

/// What chooses the samples of dumps was not in the recorded commands, which printed something else then.
#[test]
fn the_command_of_the_summary_collects_the_same_bytes() {
    let case = Case::bare("servers/backfill-6d/snapshot");
    let mut dump = String::new();
    for minute in 0..300i64 {
        let t = 1_763_553_600_000 + minute * 60_000;
        dump.push_str(&format!("{{__name__=\"recommend_requests_total\", status=\"200\"}} {minute} {t}\n"));
    }
    std::fs::write(case.path("dump.txt"), dump).unwrap();
    let mut case = case.with(&["--assume-up", "--label", "*:instance=a b:1", "--submission", "2025-11-19T14:00:00.5Z"]);
    case.arguments[1] = "dump.txt".to_owned();
    let (_, summary) = case.collect();
    let command = summary["command"].as_str().unwrap();
    assert!(command.ends_with(" --submission 2025-11-19T14:00:00.500Z --output again"), "{command}");
    let words = promproof::evidence::shell_words(command).unwrap();
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    run_in(case.dir.path(), &words);
    let computed = summary["files"].as_array().unwrap().iter().filter(|f| f["kind"] != "captured");
    for path in computed.map(|f| f["path"].as_str().unwrap()) {
        let bytes = |folder: &str| std::fs::read(case.path(folder).join(path)).unwrap();
        assert!(bytes("evidence") == bytes("again"), "{path}");
    }
}

/// Both windows have to have dates, and what cannot be written says where it could be.
#[test]
fn slips_of_the_command_line() {
    let range = "--submission: a time from 1970 to 9999-12-25";
    for (time, why) in [
        ("9999-12-26T00:00:00Z", range),
        ("1969-12-31T23:59:59Z", range),
        ("9999-12-31T00:00:00Z", "it is out of range; times go"),
    ] {
        let output = Case::bare("servers/backfill-6d/snapshot").with(&["--submission", time]).output();
        assert_eq!(status(&output), 2);
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
}

#[cfg(unix)]
#[test]
fn repositories_of_every_kind() {
    let without = |change: &dyn Fn(&Case)| {
        let case = Case::full();
        change(&case);
        let (_, summary) = case.collect();
        (missing(&summary), summary["missing"][0]["why"].as_str().unwrap_or_default().to_owned())
    };
    let named = |what: &str, why: &str| (vec![what.to_owned()], why.to_owned());
    let bare = without(&|case| {
        git(case.dir.path(), &["clone", "-q", "--bare", "repo", "bare.git"]);
        std::fs::remove_dir_all(case.path("repo")).unwrap();
        std::fs::rename(case.path("bare.git"), case.path("repo")).unwrap();
    });
    assert_eq!(bare, (vec![], String::new()));
    let none = without(&|case| std::fs::remove_dir_all(case.path("repo/.git")).unwrap());
    assert_eq!(none, named("git_history/", "it is no git repository"));
    for link in [true, false] {
        let elsewhere = without(&|case| {
            std::fs::rename(case.path("repo/.git"), case.path("moved")).unwrap();
            match link {
                true => std::os::unix::fs::symlink("../moved", case.path("repo/.git")).unwrap(),
                false => std::fs::write(case.path("repo/.git"), "gitdir: ../moved\n").unwrap(),
            }
        });
        let why = "its .git is a link or a file that leads elsewhere, which is not followed";
        assert_eq!(elsewhere, named("git_history/", why));
    }
    let borrowed = without(&|case| {
        std::fs::write(case.path("repo/.git/objects/info/alternates"), "/somewhere\n").unwrap();
    });
    let why = "its objects/info/alternates leads to another repository, which is not followed";
    assert_eq!(borrowed, named("git_history/", why));
    let mut case = Case::full();
    case.environment = vec![("PATH", p(&case.path("repo")))];
    let (code, summary) = case.collect();
    assert_eq!((code, missing(&summary)), (1, vec!["git_history/".to_owned()]));
    assert_eq!(summary["missing"][0]["why"], "there is no program `git` to ask");
    assert_eq!(summary["missing"][0]["how_to_get_it"], "install git");
}

/// Elements that are never closed.
const VOID: [&str; 4] = ["meta", "br", "wbr", "!DOCTYPE"];
/// Everything that the page is made of.
const ELEMENTS: [&str; 46] = [
    "html",
    "time",
    "head",
    "title",
    "style",
    "body",
    "a",
    "header",
    "main",
    "footer",
    "section",
    "article",
    "nav",
    "div",
    "p",
    "h1",
    "h2",
    "h3",
    "dl",
    "dt",
    "dd",
    "ul",
    "li",
    "b",
    "i",
    "span",
    "code",
    "figure",
    "figcaption",
    "details",
    "summary",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "svg",
    "desc",
    "rect",
    "line",
    "polyline",
    "circle",
    "text",
    "g",
];

/// Parses a page as strictly as XML: known elements only, each closed where it should be, no attribute that loads or runs.
pub fn check_page(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>') || open.last() == Some(&"style"), "{}", &rest[..at]);
        let end = rest[at..].find('>').unwrap() + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(ELEMENTS.contains(&name) || VOID.contains(&name), "<{tag}>");
        let attributes = tag[name.len()..].trim_end_matches('/');
        assert_eq!(attributes.matches('"').count() % 2, 0, "<{tag}>");
        for forbidden in [" src=", " style=", " on", "javascript:", "http:", "https:", "url("] {
            assert!(!attributes.contains(forbidden), "<{tag}>");
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|r| r.split('"').next().unwrap()).collect();
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len());
    for part in page.split("aria-labelledby=\"").skip(1).map(|r| r.split('"').next().unwrap()) {
        assert!(part.split(' ').all(|id| ids.contains(&id)), "{part}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf\"") && !page.contains('\u{1b}') && !page.contains("url("));
}

/// The page of a folder. `PROMPROOF_PAGES` names a folder to keep it in, to be looked at.
fn page(case: &Case, name: &str) -> String {
    let page = promproof::evidence::page::page(&case.path("evidence")).unwrap();
    if let Some(dir) = std::env::var_os("PROMPROOF_PAGES") {
        std::fs::write(Path::new(&dir).join(format!("{name}.html")), &page).unwrap();
    }
    check_page(&page);
    page
}

#[test]
fn pages_are_drawn_from_the_folder_alone() {
    let case = Case::full();
    let (_, summary) = case.collect();
    for input in ["repo", "api", "registry", "logs", "system"] {
        std::fs::remove_dir_all(case.path(input)).unwrap();
    }
    let drawn = page(&case, "full");
    assert!(drawn == page(&case, "full"));
    for shown in ["95.42%", "95.55%", "status 404", "api-1:8080", "v0.6", "2025-11-18 17:44 UTC", "47</b> of 47 checks"]
    {
        assert!(drawn.contains(shown), "{shown}");
    }
    for file in summary["files"].as_array().unwrap() {
        assert!(drawn.contains(file["sha256"].as_str().unwrap()), "{file}");
    }
    every_hour_is_in_the_table(&drawn, &read(&case.path("evidence/availability/timeline.json")));
    // Without a document there is no page, and the error names it.
    std::fs::remove_file(case.path("evidence/availability/timeline.json")).unwrap();
    let error = promproof::evidence::page::page(&case.path("evidence")).unwrap_err().to_string();
    assert!(error.contains("timeline.json"), "{error}");
}

/// Every figure of the plots by hours stands in the table of hours, in its row.
fn every_hour_is_in_the_table(page: &str, timeline: &Value) {
    let table = page.split_once("aria-label=\"Table: Hours\"").unwrap().1.split_once("</table>").unwrap().0;
    let points = timeline["rolling"]["points"].as_array().unwrap();
    let hours = timeline["hours"].as_array().unwrap();
    assert!(hours.len() > 140 && points.len() > 70, "{} {}", hours.len(), points.len());
    for hour in hours {
        let start = hour["start"].as_str().unwrap();
        let head = format!("<th scope=\"row\">{} {}</th>", &start[..10], &start[11..16]);
        let row = table.split_once(&head).unwrap().1.split_once("</tr>").unwrap().0;
        let [from, until] = ["start_ms", "end_ms"].map(|key| hour[key].as_i64().unwrap());
        let inside = |p: &&Value| (from + 1..=until).contains(&p["end_ms"].as_i64().unwrap());
        let rolling = points.iter().find(inside).map(|p| p["availability_ratio"].as_f64().unwrap());
        let (total, good) = (hour["total_requests"].as_f64().unwrap(), hour["successful_requests"].as_f64().unwrap());
        let mut figures = vec![total.to_string(), good.to_string(), format!("{:.2}%", good / total * 100.0)];
        figures.extend(rolling.map(|r| format!("{:.2}%", r * 100.0)));
        figures.extend(hour["requests"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap().to_string()));
        figures.push(format!("{:.0} ms", hour["p95_latency_seconds"].as_f64().unwrap() * 1000.0));
        for figure in figures {
            assert!(row.contains(&format!(">{figure}</td>")), "{start}: {figure}: {row}");
        }
    }
}

#[test]
fn pages_of_odd_data() {
    // Nothing of the recommender; four minutes; a submission whose window has only begun.
    for (name, source, more) in [
        ("empty", "encodings/xor-block", &[][..]),
        ("minutes", "servers/live-2.53/snapshot", &[]),
        ("begun", "servers/backfill-6d/snapshot", &["--submission", "2025-11-18T00:00:00Z"]),
    ] {
        let case = Case::bare(source).with(more);
        case.collect();
        let drawn = page(&case, name);
        // Nothing to draw is said, not drawn.
        let shown = drawn.split_once("<body>").unwrap().1;
        assert_eq!(shown.contains("There are no requests in this period."), name == "empty");
        assert_eq!(shown.contains("id=\"availability-w-t\""), name != "empty");
    }
    // Many replicas over nine days around a submission.
    for (name, replicas) in [("two", "2"), ("hundred", "100")] {
        let mut case = Case::full();
        let made = case.path("made");
        let arguments = [
            "synth",
            "-o",
            &p(&made),
            "--days",
            "9",
            "--interval",
            "2m",
            "--series",
            "2000",
            "--replicas",
            replicas,
            "--quiet",
        ];
        let output = run(&arguments);
        assert_eq!(status(&output), 0, "{}", text(&output.stderr));
        case.arguments[1] = p(&made.join("snapshot"));
        let case = case.with(&["--submission", "2025-12-26T00:00:00Z"]);
        case.collect();
        page(&case, name);
    }
    // Not one good request.
    let case = Case::bare("servers/backfill-6d/snapshot");
    case.collect();
    let path = case.path("evidence/availability/timeline.json");
    let mut timeline: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let whole = serde_json::json!([{"start": timeline["start"], "end": timeline["end"], "seconds": 1.0}]);
    timeline["outages"] = whole;
    for hour in timeline["hours"].as_array_mut().unwrap() {
        hour["successful_requests"] = 0.0.into();
        hour["p95_latency_seconds"] = "NaN".into();
    }
    std::fs::write(&path, timeline.to_string()).unwrap();
    let path = case.path("evidence/EVIDENCE_SUMMARY.json");
    let mut summary = read(&path);
    summary["windows"][0]["reasons"] = serde_json::json!(["`a<b>` --start at 2025-11-19T11:59:51.740Z"]);
    std::fs::write(&path, summary.to_string()).unwrap();
    let drawn = page(&case, "outage");
    // In messages code is code, and times are to the second.
    let time = "<time datetime=\"2025-11-19T11:59:51.740Z\">2025-11-19 11:59:51 UTC</time>";
    let code = |text: &str| format!("<code class=\"short\">{text}</code>");
    let reason = format!("<li>{} {} at {time}</li>", code("a&lt;b&gt;"), code("--start"));
    assert!(drawn.contains(&reason), "{reason}");
    assert!(drawn.contains("There are no latencies in this period") && !drawn.contains("id=\"latency-w-t\""));
    assert!(drawn.contains("no target up") && drawn.contains("hour below it") && !drawn.contains("at or above"));
}

/// Replaces every text of a document but times and verdicts by `bad`.
pub fn poison(value: &mut Value, bad: &str) {
    match value {
        Value::String(s)
            if promproof::time::parse_time(s).is_err() && !["met", "unknown", "72h", "144h"].contains(&s.as_str()) =>
        {
            *s = bad.to_owned();
        }
        Value::Array(list) => list.iter_mut().for_each(|v| poison(v, bad)),
        Value::Object(map) => map.values_mut().for_each(|v| poison(v, bad)),
        _ => {}
    }
}

#[test]
fn nothing_in_a_document_gets_out_of_its_place() {
    let case = Case::full();
    case.collect();
    let documents = [
        "EVIDENCE_SUMMARY.json",
        "availability/timeline.json",
        "availability/availability_72h.json",
        "availability/availability_144h.json",
        "model_updates/model_updates_verification.json",
    ];
    for file in documents {
        let path = case.path("evidence").join(file);
        let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        poison(&mut document, "\"><script>alert(1)</script></title><!-- ' \u{1b}[31m\u{202e}");
        std::fs::write(&path, document.to_string()).unwrap();
    }
    page(&case, "hostile");
    // Documents of other shapes give an emptier page, and no panic.
    for shape in ["{}", "[]", "null", "5"] {
        for file in documents {
            std::fs::write(case.path("evidence").join(file), shape).unwrap();
        }
        page(&case, "shapes");
    }
}
