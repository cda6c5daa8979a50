//! House rules that the compiler does not check: which room may use which, what the library may not touch, and that
//! every fixture and every format page can be found.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]

use std::path::{Path, PathBuf};

/// Rooms from left to right, as drawn in `src/lib.rs`: each may use those before it and the flat files.
const ROOMS: [&str; 21] = [
    "raw", "tsdb", "synth", "wal", "scrape", "head", "dataset", "archive", "dumps", "source", "check", "series",
    "samples", "convert", "promql", "windows", "verdict", "report", "evidence", "package", "cli",
];
/// Flat files use only each other.
const FLAT: [&str; 10] =
    ["error", "gofloat", "gosort", "labels", "loss", "sample", "selector", "time", "re2", "version"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

struct Source {
    /// Path below `src/`, with `/`.
    rel: String,
    text: String,
}

impl Source {
    /// The room, or the name of the flat file.
    fn room(&self) -> &str {
        let first = self.rel.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules deep the file is: `super` that many times is the crate.
    fn depth(&self) -> usize {
        let parts = self.rel.split('/').count();
        if self.rel.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    fn is_command_line(&self) -> bool {
        self.room() == "cli" || self.rel == "main.rs"
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let src = root().join("src");
    walk(&src, &mut |path| {
        if path.extension().is_some_and(|e| e == "rs") {
            let rel = path.strip_prefix(&src).unwrap();
            found.push(Source {
                rel: rel.to_str().unwrap().replace('\\', "/"),
                text: std::fs::read_to_string(path).unwrap(),
            });
        }
    });
    assert!(found.len() > 30);
    found
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// The lines of a file without comments, the contents of strings, and unit tests (which end a file here).
fn code(text: &str) -> Vec<(usize, String)> {
    let text = text.split_once("\n#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code);
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if c == '"' {
            string_length(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") && !is_raw_name(rest) {
            raw_string_length(rest)
        } else if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && c == '\'' {
            1 + rest[1..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(n, _)| n + 1)
        } else {
            0
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    let lines = out.lines().map(str::to_owned).enumerate();
    lines.map(|(i, line)| (i + 1, line)).collect()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn is_raw_name(text: &str) -> bool {
    !text[1..].trim_start_matches('#').starts_with('"')
}

fn raw_string_length(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    text[body..].find(&end).map_or(text.len(), |n| body + n + end.len())
}

/// The first names of every path that starts at the crate, groups included.
fn crate_paths(line: &str) -> Vec<String> {
    let name = |s: &str| -> String { s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && !c.is_whitespace() => {
                        names.push(name(&group[i..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            names.push(name(rest));
        }
    }
    names
}

#[test]
fn rooms_use_only_what_is_to_their_left() {
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room();
        if matches!(source.rel.as_str(), "lib.rs" | "main.rs") {
            continue;
        }
        let rank = ROOMS.iter().position(|r| *r == room);
        assert!(
            rank.is_some() || FLAT.contains(&room),
            "src/{}: tell tests/it/tidy.rs where this room stands",
            source.rel
        );
        // A group may run over several lines.
        let joined: String = code(&source.text).into_iter().map(|(_, l)| l + "\n").collect();
        for used in crate_paths(&joined) {
            let allowed = match ROOMS.iter().position(|r| *r == used) {
                Some(other) => rank.is_some_and(|rank| other <= rank),
                // Macros and re-exports of the crate root, such as crate::Error.
                None => FLAT.contains(&used.as_str()) || used.starts_with(|c: char| c.is_ascii_uppercase()),
            };
            if !allowed {
                wrong.push(format!("src/{} uses crate::{used}", source.rel));
            }
        }
        let up = "super::".repeat(source.depth());
        if joined.contains(&up) {
            wrong.push(format!("src/{} reaches the crate by `super`; write `crate::`", source.rel));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "src/{} starts without a `//!` line", source.rel);
    }
}

#[test]
fn the_library_is_silent_and_knows_no_clock() {
    let forbidden = [
        "println!",
        "print!",
        "eprintln!",
        "eprint!",
        "dbg!",
        "std::env",
        "env::var",
        "env::args",
        "SystemTime::now",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "process::exit",
        "process::abort",
    ];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !s.is_command_line()) {
        for (number, line) in code(&source.text) {
            for word in forbidden {
                if line.contains(word) {
                    wrong.push(format!("src/{}:{number}: {word}", source.rel));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "only the command line may:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| s.rel != "raw/file.rs") {
        for (number, line) in code(&source.text) {
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if words.any(|w| w == "unsafe") {
                wrong.push(format!("src/{}:{number}", source.rel));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe outside src/raw/file.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_fixture_is_described() {
    let fixtures = root().join("fixtures");
    let readme = fixtures.join("README.md");
    let text = std::fs::read_to_string(&readme).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; every folder of fixtures/ needs its line there (origin, version, command, why)",
            readme.display()
        )
    });
    for entry in std::fs::read_dir(&fixtures).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            assert!(
                text.contains(&format!("{name}/")) || text.contains(&format!("`{name}`")),
                "fixtures/README.md does not mention {name}/"
            );
        }
    }
}

#[test]
fn every_format_page_is_linked() {
    let pages = root().join("docs/format");
    let text = std::fs::read_to_string(pages.join("README.md")).unwrap();
    for entry in std::fs::read_dir(&pages).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "README.md" {
            assert!(
                text.contains(&format!("]({name})")) || text.contains(&format!("]({name}#")),
                "docs/format/README.md does not link {name}"
            );
        }
    }
}

#[test]
fn the_checks_above_see_what_they_should() {
    let text = "a \"// no\" b // crate::cli\nlet c = '\"'; r#\"unsafe\"# /* x\ny */ z\n";
    let lines: Vec<String> = code(text).into_iter().map(|(_, l)| l).collect();
    assert_eq!(lines, ["a  b ", "let c = ;  ", " z"]);
    assert_eq!(crate_paths("use crate::{a::{x, y}, b};\nlet z = crate::time::now() + pcrate::q;"), ["a", "b", "time"]);
}
