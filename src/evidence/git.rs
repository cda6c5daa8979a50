//! `git_history/`, by asking `git` about a repository that may be hostile: a clean environment, no hook, pager, network or
//! program of its configuration, and no repository but the one that was given.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Result;

use super::folder::{Folder, Origin};

/// Each file, and what git is asked for it.
const FILES: [(&str, &[&str]); 3] = [
    (
        "git_history/commits.txt",
        &[
            "log",
            "--max-count=50",
            "--no-color",
            "--no-show-signature",
            "--no-mailmap",
            "--encoding=UTF-8",
            "--format=%H|%an|%ae|%ai|%s",
        ],
    ),
    ("git_history/current_sha.txt", &["rev-parse", "--verify", "HEAD"]),
    ("git_history/branches.txt", &["branch", "--all", "--no-color", "--no-column"]),
];

/// What a repository's own configuration could make git run or look at.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "log.showSignature=false",
    "gpg.program=false",
    "protocol.allow=never",
    "color.ui=false",
    // Whose files they are does not matter, since nothing in them is run.
    "safe.directory=*",
];

/// A repository to ask.
#[derive(Debug)]
pub struct Repo {
    program: PathBuf,
    git_dir: PathBuf,
}

impl Repo {
    /// The repository at `path`, a work tree or a bare one. The error is a reason in words.
    fn open(program: &Path, path: &Path) -> std::result::Result<Repo, String> {
        let is = |p: &Path, kind: fn(&std::fs::Metadata) -> bool| std::fs::symlink_metadata(p).is_ok_and(|m| kind(&m));
        let inside = path.join(".git");
        let git_dir = match std::fs::symlink_metadata(&inside) {
            Ok(m) if m.is_dir() => inside,
            Ok(_) => return Err("its .git is a link or a file that leads elsewhere, which is not followed".to_owned()),
            Err(_) => path.to_path_buf(),
        };
        let whole = is(&git_dir.join("HEAD"), std::fs::Metadata::is_file)
            && ["objects", "refs"].iter().all(|d| is(&git_dir.join(d), std::fs::Metadata::is_dir));
        if !whole {
            return Err("it is no git repository".to_owned());
        }
        let elsewhere = ["commondir", "objects/info/alternates", "objects/info/http-alternates"];
        if let Some(name) = elsewhere.iter().find(|n| std::fs::symlink_metadata(git_dir.join(n)).is_ok()) {
            return Err(format!("its {name} leads to another repository, which is not followed"));
        }
        // git changes nothing about its folder, so the path has to hold from anywhere.
        let git_dir = git_dir.canonicalize().map_err(|e| format!("it cannot be read: {e}"))?;
        Ok(Repo { program: program.to_path_buf(), git_dir })
    }

    /// What git prints. The error is a reason in words.
    fn ask(&self, arguments: &[&str]) -> std::result::Result<Vec<u8>, String> {
        let mut command = Command::new(&self.program);
        command.env_clear().stdin(Stdio::null()).current_dir(&self.git_dir);
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_ALLOW_PROTOCOL", ""),
            ("GIT_PAGER", "cat"),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
        ] {
            command.env(name, value);
        }
        command.arg("--no-pager").arg("--git-dir").arg(&self.git_dir);
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        let output = command.args(arguments).output().map_err(|e| format!("git cannot be run: {e}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or("nothing");
            return Err(format!("git {} says: {first}", arguments.first().unwrap_or(&"")));
        }
        Ok(output.stdout)
    }

    /// Whether a commit is there; `text` is untrusted.
    pub fn has_commit(&self, text: &str) -> bool {
        let hex = (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex && self.ask(&["cat-file", "-e", &format!("{text}^{{commit}}")]).is_ok()
    }
}

/// Writes `git_history/`. Gives the repository, where there is one.
pub fn write(folder: &mut Folder, path: Option<&Path>, program: Option<&Path>) -> Result<Option<Repo>> {
    const HOW: &str = "give the work tree or a bare clone with --repo DIR";
    let opened = match (path, program) {
        (None, _) => Err("no repository was given".to_owned()),
        (Some(_), None) => Err("there is no program `git` to ask".to_owned()),
        (Some(path), Some(program)) => Repo::open(program, path),
    };
    let how = if path.is_some() && program.is_none() { "install git" } else { HOW };
    let repo = match opened {
        Ok(repo) => repo,
        Err(why) => {
            folder.lacks("git_history/", why, how);
            return Ok(None);
        }
    };
    for (file, arguments) in FILES {
        match repo.ask(arguments) {
            Ok(bytes) => {
                let words: Vec<String> = arguments.iter().map(|a| shell_word(a)).collect();
                let command = Some(format!("git {}", words.join(" ")));
                folder.write(
                    file,
                    bytes.as_slice(),
                    Origin { command, ..Origin::captured("the repository of --repo") },
                )?;
            }
            Err(why) => folder.lacks(file, why, HOW),
        }
    }
    Ok(Some(repo))
}

/// A word as a POSIX shell reads it back.
pub fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:%+,@".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The words of a line that [`shell_word`] made; `None` for any other line, which a shell could read as more than words.
pub fn shell_words(line: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        let word = words.last_mut()?;
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            '\\' if !quoted => word.push(rest.next()?),
            c => word.push(c),
        }
    }
    let again: Vec<String> = words.iter().map(|w| shell_word(w)).collect();
    (again.join(" ") == line).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::{shell_word, shell_words};

    #[test]
    fn words_are_quoted() {
        assert_eq!(shell_word("snapshot/a-b.1"), "snapshot/a-b.1");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("a'$(x)"), r"'a'\''$(x)'");
        assert_eq!(shell_word(""), "''");
        let words = ["a", "a b", "a'$(x)", "", "--end", "x\n;"];
        let line = words.map(shell_word).join(" ");
        assert_eq!(shell_words(&line).as_deref(), Some(words.map(str::to_owned).as_slice()));
        for line in ["a;b", "a  b", "a 'b", "$(x)", "\\;", "a\nb", "\"a\""] {
            assert_eq!(shell_words(line), None, "{line}");
        }
    }
}
