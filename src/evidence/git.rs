//! `git_history/`, by asking `git` about a repository that may be hostile. Git never sees the repository's own configuration,
//! whose settings and includes can run programs and read files anywhere: it is given a private folder with a configuration of
//! ours and copies of the references, and of the repository itself nothing but its objects. Its environment is clean, there
//! are no hooks, no pager and no network.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::archive::PrivateDir;
use crate::error::{Result, plain_io};
use crate::labels::printable;

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

/// The files that belong into `git_history/`.
pub fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(file, _)| *file)
}

/// A reference has no more bytes, and a list of them no more.
const MOST_REFERENCE_BYTES: u64 = 1 << 10;
const MOST_LIST_BYTES: u64 = 64 << 20;
/// How many folders deep references lie, and how many there are at most.
const MOST_DEPTH: usize = 16;
const MOST_REFERENCES: usize = 100_000;

/// A repository to ask.
#[derive(Debug)]
pub struct Repo {
    program: PathBuf,
    objects: PathBuf,
    /// What git takes for the repository.
    view: PrivateDir,
}

/// Why a repository is not asked, in words.
type Refused<T> = std::result::Result<T, String>;

impl Repo {
    /// The repository at `path`, a work tree or a bare one. The view of it is made in the folder `beside`.
    fn open(program: &Path, path: &Path, beside: &Path) -> Refused<Repo> {
        let inside = path.join(".git");
        let git_dir = match std::fs::symlink_metadata(&inside) {
            Ok(m) if m.is_dir() => inside,
            Ok(_) => return Err("its .git is a link or a file that leads elsewhere, which is not followed".to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => path.to_path_buf(),
            Err(e) => return Err(unreadable(&e)),
        };
        let is_folder = |name: &str| std::fs::symlink_metadata(git_dir.join(name)).is_ok_and(|m| m.is_dir());
        let Some(head) = text(&git_dir.join("HEAD"), MOST_REFERENCE_BYTES)?.filter(|h| is_reference(h)) else {
            return Err("it is no git repository".to_owned());
        };
        if !is_folder("objects") || !is_folder("refs") {
            return Err("it is no git repository".to_owned());
        }
        let elsewhere = ["commondir", "objects/info/alternates", "objects/info/http-alternates"];
        if let Some(name) = elsewhere.iter().find(|n| std::fs::symlink_metadata(git_dir.join(n)).is_ok()) {
            return Err(format!("its {name} leads to another repository, which is not followed"));
        }
        if is_folder("reftable") {
            return Err(
                "its references are in a reftable, which is not read: give a clone with --ref-format=files".to_owned()
            );
        }
        let objects = git_dir.join("objects");
        only_files(&objects, "objects", 2)?;
        // git changes nothing about its folder, so the path has to hold from anywhere.
        let objects = objects.canonicalize().map_err(|e| unreadable(&e))?;
        let beside = beside.canonicalize().map_err(|e| unreadable(&e))?;
        let view = PrivateDir::new(Some(&beside)).map_err(|e| e.message().to_owned())?;
        let repo = Repo { program: program.to_path_buf(), objects, view };
        let mut references = vec![("HEAD".to_owned(), head)];
        collect_references(&git_dir, "refs", MOST_DEPTH, &mut references)?;
        let mut sha256 = false;
        for (name, content) in &references {
            sha256 |= content.trim().len() == 64;
            repo.put(name, content)?;
        }
        for name in ["packed-refs", "shallow"] {
            if let Some(list) = text(&git_dir.join(name), MOST_LIST_BYTES)? {
                sha256 |= list.lines().any(|line| line.split(' ').next().is_some_and(|hash| hash.len() == 64));
                repo.put(name, &list)?;
            }
        }
        // Stored graphs and indexes of packs say about commits what the commits themselves say.
        let format = if sha256 { "sha256" } else { "sha1" };
        let config = format!(
            "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n\tcommitGraph = false\n\tmultiPackIndex = false\n[extensions]\n\tobjectFormat = {format}\n"
        );
        repo.put("config", &config)?;
        std::fs::create_dir_all(repo.view.path().join("refs")).map_err(|e| plain_io(&e))?;
        Ok(repo)
    }

    /// Writes a file of the view.
    fn put(&self, name: &str, content: &str) -> Refused<()> {
        let path = self.view.path().join(name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, content))
            .map_err(|e| format!("it cannot be looked at: {}", plain_io(&e)))
    }

    /// What git prints. The error is a reason in words.
    fn ask(&self, arguments: &[&str]) -> Refused<Vec<u8>> {
        let mut command = Command::new(&self.program);
        command.env_clear().stdin(Stdio::null()).current_dir(self.view.path());
        command.env("GIT_DIR", self.view.path()).env("GIT_OBJECT_DIRECTORY", &self.objects);
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
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
        ] {
            command.env(name, value);
        }
        let output = command.arg("--no-pager").args(arguments).output();
        let output = output.map_err(|e| format!("git cannot be run: {}", plain_io(&e)))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or("nothing");
            return Err(format!("git {} says: {first}", arguments.first().unwrap_or(&"")));
        }
        Ok(output.stdout)
    }

    /// Whether a commit is there, and that in words; `text` is untrusted.
    pub fn commit(&self, text: &str) -> (bool, String) {
        let there = is_commit(text) && self.ask(&["cat-file", "-e", &format!("{text}^{{commit}}")]).is_ok();
        let word = if there { "a commit of --repo" } else { "no commit of --repo" };
        (there, format!("git_sha {} is {word}", printable(text)))
    }
}

fn unreadable(e: &std::io::Error) -> String {
    format!("it cannot be read: {}", plain_io(e))
}

/// Whether a text can name a commit: a hash, or its first digits.
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether the content of a file is a reference: a hash, or the name of another one.
fn is_reference(content: &str) -> bool {
    let content = content.trim_end();
    is_commit(content) || content.strip_prefix("ref: refs/").is_some_and(|name| !name.contains(".."))
}

/// A file of at most so many bytes as text; `None` where there is none, or it is no such file.
fn text(path: &Path, most: u64) -> Refused<Option<String>> {
    if !std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.len() <= most) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|e| unreadable(&e))?;
    Ok(String::from_utf8(bytes).ok())
}

/// The entries of a folder of the repository; refuses links, pipes and devices, which git would follow or open.
fn entries(dir: &Path, shown: &str) -> Refused<Vec<(String, std::fs::Metadata)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| unreadable(&e))? {
        let entry = entry.map_err(|e| unreadable(&e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let meta = entry.metadata().map_err(|e| unreadable(&e))?;
        if !meta.is_file() && !meta.is_dir() {
            return Err(format!(
                "its {shown}/{} is neither a file nor a folder, and is not followed",
                printable(&name)
            ));
        }
        found.push((name, meta));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Refuses a folder with anything but files in it, down to `depth` folders.
fn only_files(dir: &Path, shown: &str, depth: usize) -> Refused<()> {
    for (name, meta) in entries(dir, shown)? {
        if meta.is_dir() && depth > 1 {
            only_files(&dir.join(&name), &format!("{shown}/{name}"), depth - 1)?;
        }
    }
    Ok(())
}

/// The references below a folder, by name. What is none is left out, as git does.
fn collect_references(git_dir: &Path, below: &str, depth: usize, found: &mut Vec<(String, String)>) -> Refused<()> {
    for (name, meta) in entries(&git_dir.join(below), below)? {
        let name = format!("{below}/{name}");
        if meta.is_dir() && depth > 0 {
            collect_references(git_dir, &name, depth - 1, found)?;
        } else if found.len() >= MOST_REFERENCES {
            return Err(format!("it has more than {MOST_REFERENCES} references"));
        } else if let Some(content) = text(&git_dir.join(&name), MOST_REFERENCE_BYTES)?.filter(|c| is_reference(c)) {
            found.push((name, content));
        }
    }
    Ok(())
}

/// Writes `git_history/`. Gives the repository, where there is one.
pub fn write(folder: &mut Folder, path: Option<&Path>, program: Option<&Path>, beside: &Path) -> Result<Option<Repo>> {
    const HOW: &str = "give the work tree or a bare clone with --repo DIR";
    let opened = match (path, program) {
        (None, _) => Err("no repository was given".to_owned()),
        (Some(_), None) => Err("there is no program `git` to ask".to_owned()),
        (Some(path), Some(program)) => Repo::open(program, path, beside),
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
