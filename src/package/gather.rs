//! What is copied: the evidence, held against its own summary; documents and code, by the patterns of the policy.
//! No link is followed, and nothing outside the given folders is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result, plain_io};
use crate::evidence::folder::{Folder, Origin};
use crate::evidence::given::{DEEP, GIT, GIT_WHY, Given, LINK, Listed, SPECIAL, Unused, list};
use crate::evidence::{SUMMARY, SUMMARY_SCHEMA};
use crate::labels::printable;

use super::EVIDENCE;
use super::policy::Pattern;

/// How many folders deep `**` looks.
const DEPTH: usize = 16;
/// Why a file with a name that is not plain is not copied.
const ODD_NAME: &str = "its name has control characters, a backslash or bytes that are no UTF-8";

/// A way in which the evidence is not what its summary says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A word for it.
    pub name: &'static str,
    /// The file, by its path in the package.
    pub file: String,
    /// What was found.
    pub detail: String,
}

/// The evidence as it was found.
#[derive(Debug)]
pub struct Evidence {
    /// EVIDENCE_SUMMARY.json.
    pub summary: Value,
    /// Its digest.
    pub sha256: String,
    /// How many files the summary lists.
    pub listed: usize,
    /// How the folder differs from the summary.
    pub faults: Vec<Fault>,
}

/// Copies the evidence: every file that its summary lists, altered or not. Errs where `root` is no evidence folder.
pub fn evidence(folder: &mut Folder, root: &Path) -> Result<Evidence> {
    let mut refused = Unused::new();
    let Listed { files: found, unreadable, .. } = list(&mut refused, "--evidence", root, DEPTH)?;
    refused.extend(unreadable);
    let summary = read_summary(root, &found)?;
    let listed = listed(&summary);
    let mut faults: Vec<Fault> = Vec::new();
    let mut sha256 = String::new();
    let fault = |name, file: &str, detail: String| Fault { name, file: format!("{EVIDENCE}/{file}"), detail };
    for (path, why) in refused {
        faults.push(fault("evidence_refused", &path, why.clone()));
        folder.unused.push((format!("{EVIDENCE}/{path}"), why));
    }
    let mut missing: BTreeSet<&str> = listed.keys().copied().collect();
    for file in &found {
        if !is_plain(&file.name) {
            let shown = printable(&file.name);
            faults.push(fault("evidence_refused", &shown, ODD_NAME.to_owned()));
            folder.unused.push((format!("{EVIDENCE}/{shown}"), ODD_NAME.to_owned()));
            continue;
        }
        let expected = listed.get(file.name.as_str()).copied();
        if expected.is_none() && file.name != SUMMARY {
            let why = format!("it is not listed in {SUMMARY}");
            let shown = printable(&file.name);
            faults.push(fault("evidence_added", &shown, why.clone()));
            folder.unused.push((format!("{EVIDENCE}/{shown}"), why));
            continue;
        }
        let Some(copied) = copy(folder, "--evidence", EVIDENCE, file)? else { continue };
        missing.remove(file.name.as_str());
        match expected {
            None => sha256 = copied,
            Some(expected) if expected == copied => {}
            Some(expected) => {
                let detail = format!("its SHA-256 is {copied}, and {SUMMARY} says {}", printable(expected));
                faults.push(fault("evidence_altered", &file.name, detail));
            }
        }
    }
    for path in missing {
        let detail = format!("{SUMMARY} lists it, and it is not there or cannot be read");
        faults.push(fault("evidence_missing", &printable(path), detail));
    }
    faults.sort_by(|a, b| (&a.file, a.name).cmp(&(&b.file, b.name)));
    let count = listed.len();
    Ok(Evidence { summary, sha256, listed: count, faults })
}

fn read_summary(root: &Path, found: &[Given]) -> Result<Value> {
    // Whoever was handed a package has its evidence in it.
    let has_evidence = found.iter().any(|f| f.name == format!("{EVIDENCE}/{SUMMARY}"));
    let bad = |why: String| {
        Error::new(ErrorKind::Malformed, why).at(&root.join(SUMMARY)).hint(match has_evidence {
            true => format!("the folder {EVIDENCE} in it is one: give that"),
            false => "--evidence takes a folder that `promproof collect` wrote".to_owned(),
        })
    };
    let file = found.iter().find(|f| f.name == SUMMARY);
    let file = file.ok_or_else(|| bad("there is no such file, so this is no evidence folder".to_owned()))?;
    let bytes = file.read().map_err(bad)?;
    let summary: Value = serde_json::from_slice(&bytes).map_err(|e| bad(format!("it is no JSON: {e}")))?;
    if summary["schema"] != SUMMARY_SCHEMA {
        return Err(bad(format!(
            "its schema is {}, and {SUMMARY_SCHEMA} is expected",
            printable(&summary["schema"].to_string())
        )));
    }
    Ok(summary)
}

/// The digests that the summary gives, by path; of two for one path the last.
fn listed(summary: &Value) -> BTreeMap<&str, &str> {
    let files = summary["files"].as_array().into_iter().flatten();
    files.filter_map(|f| Some((f["path"].as_str()?, f["sha256"].as_str().unwrap_or_default()))).collect()
}

/// A folder that documents or code come from.
pub struct Root<'a> {
    /// The option that names it.
    pub flag: &'static str,
    /// It, where it was given.
    pub path: Option<&'a Path>,
    /// Where its files go in the package.
    pub into: &'static str,
    /// What is not taken from it: the package itself, which may lie in it.
    pub except: &'a Path,
}

/// Finds the files that `patterns` name; a pattern that finds none is missing.
pub fn choose(folder: &mut Folder, root: &Root<'_>, patterns: &[Pattern]) -> Result<Vec<Given>> {
    let Root { flag, path, into, except } = root;
    let Some(path) = path else {
        for pattern in patterns {
            let how = format!("give the folder that has it with {flag} DIR");
            folder.lacks(format!("{into}/{}", pattern.text), format!("no {flag} was given"), how);
        }
        return Ok(Vec::new());
    };
    let except = except.canonicalize().ok();
    let mut top = Unused::new();
    // Whatever the patterns are, whether it can be looked into is asked, and a repository is named.
    let itself = list(&mut top, flag, path, 0)?.unreadable.into_iter().filter(|(name, _)| name.is_empty());
    let own = top.into_iter().filter(|(_, why)| why == GIT_WHY);
    let mut refused: BTreeMap<String, String> = own.chain(itself).collect();
    let mut chosen: BTreeMap<String, Given> = BTreeMap::new();
    for pattern in patterns {
        let mut unused = Unused::new();
        let found = expand(&mut unused, flag, path, pattern)?;
        refused.extend(unused);
        let before = chosen.len();
        let mut again = 0;
        for file in found {
            let inside = |e: &PathBuf| file.path.canonicalize().is_ok_and(|p| p.starts_with(e));
            if except.as_ref().is_some_and(inside) {
                continue;
            }
            if !is_plain(&file.name) {
                refused.insert(printable(&file.name), ODD_NAME.to_owned());
                continue;
            }
            again += usize::from(chosen.insert(file.name.clone(), file).is_some());
        }
        if chosen.len() == before && again == 0 {
            let why = refused.get(&pattern.text).or_else(|| refused.get(""));
            let why = why.cloned().unwrap_or_else(|| format!("no file below {flag} has this path"));
            let how = format!("write it, give another {flag} DIR, or change the policy (--policy)");
            folder.lacks(format!("{into}/{}", pattern.text), why, how);
        }
    }
    let place = |name: String| if name.is_empty() { (*flag).to_owned() } else { format!("{into}/{name}") };
    folder.unused.extend(refused.into_iter().map(|(name, why)| (place(name), why)));
    Ok(chosen.into_values().collect())
}

/// The files below `root` that one pattern matches.
fn expand(unused: &mut Unused, flag: &str, root: &Path, pattern: &Pattern) -> Result<Vec<Given>> {
    if pattern.is_literal() {
        return Ok(enter(unused, root, &pattern.text, |m| m.is_file()).into_iter().collect());
    }
    let (base, deep) = pattern.base();
    let start = match base {
        "" => root.to_path_buf(),
        base => match enter(unused, root, base, |m| m.is_dir()) {
            Some(folder) => folder.path,
            None => return Ok(Vec::new()),
        },
    };
    let mut below = Unused::new();
    let Listed { files: mut found, unreadable, .. } = list(&mut below, flag, &start, if deep { DEPTH } else { 0 })?;
    let whole = |name: &str| [base, name].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
    found.iter_mut().for_each(|file| file.name = whole(&file.name));
    found.retain(|file| pattern.matches(&file.name));
    // Folders that are too deep for a pattern without `**` were not asked for.
    let refused = below.into_iter().filter(|(_, why)| deep || why != DEEP);
    unused.extend(refused.chain(unreadable).map(|(name, why)| (whole(&name), why)));
    Ok(found)
}

/// Goes down a path of plain names; `None` where it ends early or comes to what is not taken, which is named in `unused`.
fn enter(unused: &mut Unused, root: &Path, path: &str, wanted: fn(&std::fs::Metadata) -> bool) -> Option<Given> {
    let mut place = root.to_path_buf();
    let mut meta = None;
    for part in path.split('/') {
        place.push(part);
        let why = match std::fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => LINK.to_owned(),
            Ok(_) if part == GIT => GIT_WHY.to_owned(),
            Ok(found) if !found.is_file() && !found.is_dir() => SPECIAL.to_owned(),
            Ok(found) => {
                meta = Some(found);
                continue;
            }
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                format!("it cannot be read: {}", plain_io(&e))
            }
            Err(_) => return None,
        };
        unused.push((path.to_owned(), why));
        return None;
    }
    let meta = meta.filter(wanted)?;
    let file_name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Some(Given { name: path.to_owned(), file_name, path: place, bytes: meta.len() })
}

/// Whether a name stays what it is in every list, archive and shell.
fn is_plain(name: &str) -> bool {
    printable(name) == name && !name.contains(['\\', char::REPLACEMENT_CHARACTER])
}

/// Copies chosen files below `into`.
pub fn copy_all(folder: &mut Folder, root: &Root<'_>, chosen: &[Given]) -> Result<()> {
    for file in chosen {
        if copy(folder, root.flag, root.into, file)?.is_none() {
            let how = "give it read permission, and make the package again";
            folder.lacks(format!("{}/{}", root.into, file.name), "it cannot be read", how);
        }
    }
    Ok(())
}

/// Copies a file below `into` and gives the digest of the copy; one that cannot be opened is refused.
fn copy(folder: &mut Folder, flag: &str, into: &str, file: &Given) -> Result<Option<String>> {
    let target = format!("{into}/{}", file.name);
    let open = match File::open(&file.path) {
        Ok(open) => open,
        Err(e) => {
            folder.unused.push((target, format!("it cannot be read: {}", plain_io(&e))));
            return Ok(None);
        }
    };
    folder.write(&target, open, Origin::captured(flag))?;
    Ok(folder.files.last().map(|f| f.sha256.clone()))
}
