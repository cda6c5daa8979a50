//! The commands of `docs/guide.md` and `docs/troubleshooting.md`, exactly as they stand there.

#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::cli::text;
use crate::support::fixtures;

/// A command of a page.
struct Step {
    command: String,
    /// The exit status that the page gives, 0 without one.
    status: i32,
    /// Lines that the page shows of its output.
    lines: Vec<String>,
}

/// Every command of a page, in order.
fn steps(page: &str) -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let page = std::fs::read_to_string(path).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), status: 0, lines: vec![] });
        } else {
            let step = steps.last_mut().unwrap();
            if step.command.ends_with('\\') {
                step.command.push_str(&format!("\n{line}"));
            } else if let Some(status) = line.strip_prefix("[exit ").and_then(|s| s.strip_suffix(']')) {
                step.status = status.parse().unwrap();
            } else {
                step.lines.push(line.to_owned());
            }
        }
    }
    steps
}

/// Runs a page beside the fixtures; gives the folder that it ran in, and how many of its commands were promproof's.
fn run(page: &str) -> (TempDir, usize) {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(fixtures(), dir.path().join("fixtures")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_promproof")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut count = 0;
    for Step { command, status, lines } in steps(page) {
        count += usize::from(command.starts_with("promproof "));
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &command]).current_dir(dir.path()).env("PATH", &path).output().unwrap();
        let printed = text(&output.stdout);
        assert_eq!(output.status.code(), Some(status), "{command}\n{printed}{}", text(&output.stderr));
        for line in lines {
            assert!(printed.lines().any(|l| l == line), "{command}\nhas no line\n{line}\nbut\n{printed}");
        }
    }
    (dir, count)
}

#[test]
fn the_guide_runs_as_it_stands() {
    let (dir, count) = run("guide.md");
    assert_eq!(count, 10);
    // What the guide says about the two packages.
    for folder in ["deliverables-before", "deliverables-after"] {
        let path = dir.path().join(folder).join("DELIVERABLES_CHECKLIST.json");
        let checklist: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let deliverables = checklist["deliverables"].as_array().unwrap();
        let open: Vec<_> = deliverables.iter().filter(|d| d["status"] != "✅ Complete").collect();
        assert_eq!(open.len(), 1, "{folder}: {open:?}");
        assert_eq!((&open[0]["id"], &open[0]["status"]), (&7.into(), &"⏳ Pending".into()), "{folder}");
    }
}

#[test]
fn troubleshooting_has_the_words_of_the_reports() {
    let (_, count) = run("troubleshooting.md");
    assert_eq!(count, 9);
}
