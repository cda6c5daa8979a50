//! The policy: which documents and code are copied, and what each deliverable has to show. Its default is `policy.toml`.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::dumps::Glob;
use crate::error::{Error, Result};
use crate::labels::printable;
use crate::source::digest::sha256_bytes;

use super::content::{self, Content};
use super::{CODE, DOCUMENTS, EVIDENCE};

/// The default policy as text, with comments.
pub const DEFAULT: &str = include_str!("policy.toml");

/// What the default is called.
pub const STANDARD: &str = "default";

/// What is copied, and what has to be shown.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `default`, or the name of its file.
    pub name: String,
    /// The digest of its text.
    pub sha256: String,
    /// Documents, below `--docs`.
    pub documents: Vec<Pattern>,
    /// Code, below `--code`.
    pub code: Vec<Pattern>,
    /// The deliverables, at least one.
    pub deliverables: Vec<Deliverable>,
}

/// What has to be delivered.
#[derive(Debug, Clone)]
pub struct Deliverable {
    /// A number of its own.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it has to show.
    pub description: String,
    /// The files that show it, by their paths in the package.
    pub evidence: Vec<Pattern>,
    /// What these files have to say.
    pub checks: Vec<&'static Content>,
}

/// A path, or a pattern of paths, with `/`.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it was written.
    pub text: String,
    glob: Glob,
}

impl Pattern {
    /// Whether it names one path.
    pub fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?'])
    }

    /// The folder that all it matches lies in, and whether anything deeper can match.
    pub fn base(&self) -> (&str, bool) {
        let wild = self.text.find(['*', '?']).unwrap_or(self.text.len());
        let base = self.text.get(..wild).and_then(|head| head.rfind('/')).unwrap_or(0);
        let (base, rest) = self.text.split_at(base);
        (base, rest.trim_start_matches('/').contains('/'))
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &str) -> bool {
        if self.is_literal() { self.text == path } else { self.glob.matches(&format!("./{path}")) }
    }
}

/// The file as TOML gives it; the places are for errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    documents: Vec<Spanned<String>>,
    code: Vec<Spanned<String>>,
    deliverables: Spanned<Vec<WrittenDeliverable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDeliverable {
    id: Spanned<u64>,
    name: Spanned<String>,
    description: String,
    evidence: Vec<Spanned<String>>,
    checks: Vec<Spanned<String>>,
}

impl Policy {
    /// The default.
    pub fn standard() -> Result<Policy> {
        Policy::parse(DEFAULT, Path::new("the default policy"))
    }

    /// Reads a policy; `path` is named in errors, with the line.
    pub fn parse(text: &str, path: &Path) -> Result<Policy> {
        let reader = Reader { text, path };
        let written: Written = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            reader.error(at, e.message())
        })?;
        let at = written.deliverables.span().start;
        let mut deliverables: Vec<Deliverable> = Vec::new();
        for d in written.deliverables.into_inner() {
            if deliverables.iter().any(|other| other.id == *d.id.get_ref()) {
                return Err(reader.error(d.id.span().start, "two deliverables have this id"));
            }
            deliverables.push(reader.deliverable(d)?);
        }
        if deliverables.is_empty() {
            return Err(reader.error(at, "there has to be at least one deliverable"));
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Policy {
            // A copy of the default is the default.
            name: if text == DEFAULT { STANDARD.to_owned() } else { file.into_owned() },
            sha256: sha256_bytes(text.as_bytes()),
            documents: reader.patterns(written.documents)?,
            code: reader.patterns(written.code)?,
            deliverables,
        })
    }
}

/// A policy's text while it is read.
struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reader<'_> {
    fn error(&self, offset: usize, message: &str) -> Error {
        let line = self.text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1;
        Error::usage(format!("line {line}: {}", printable(message.trim_end())))
            .at(self.path)
            .hint("`promproof package --print-policy` prints the default with comments")
    }

    fn deliverable(&self, d: WrittenDeliverable) -> Result<Deliverable> {
        if d.name.get_ref().trim().is_empty() {
            return Err(self.error(d.name.span().start, "a deliverable has to have a name"));
        }
        if d.evidence.is_empty() && d.checks.is_empty() {
            let message = "a deliverable without evidence and checks shows nothing: give it at least one of them";
            return Err(self.error(d.name.span().start, message));
        }
        for text in &d.evidence {
            let folders = [EVIDENCE, DOCUMENTS, CODE];
            if !folders.iter().any(|f| text.get_ref().strip_prefix(f).is_some_and(|rest| rest.starts_with('/'))) {
                let message = format!("`{}` is not below {EVIDENCE}/, {DOCUMENTS}/ or {CODE}/", text.get_ref());
                return Err(self.error(text.span().start, &message));
            }
        }
        let checks = d.checks.iter().map(|name| {
            content::CHECKS.iter().find(|c| c.name == name.get_ref()).ok_or_else(|| {
                let known: Vec<&str> = content::CHECKS.iter().map(|c| c.name).collect();
                let message = format!("there is no check `{}`; there are {}", name.get_ref(), known.join(", "));
                self.error(name.span().start, &message)
            })
        });
        Ok(Deliverable {
            id: d.id.into_inner(),
            checks: checks.collect::<Result<_>>()?,
            name: printable(d.name.get_ref()),
            description: printable(&d.description),
            evidence: self.patterns(d.evidence)?,
        })
    }

    fn patterns(&self, list: Vec<Spanned<String>>) -> Result<Vec<Pattern>> {
        list.into_iter().map(|text| self.pattern(&text)).collect()
    }

    fn pattern(&self, text: &Spanned<String>) -> Result<Pattern> {
        let (at, text) = (text.span().start, text.get_ref());
        let bad = |why: &str| self.error(at, &format!("`{text}`: {why}"));
        if text.contains(['\\', '\0']) {
            return Err(bad("folders are separated by `/`"));
        }
        match text.split('/').find(|part| ["", ".", ".."].contains(part)) {
            Some("..") => return Err(bad("a path does not lead out of its folder")),
            Some(_) => return Err(bad("a path is relative, and no part of it is empty or `.`")),
            None => {}
        }
        // A pattern without a folder would match in all of them.
        let glob = Glob::parse("a path", &format!("./{text}")).map_err(|e| bad(e.message()))?;
        Ok(Pattern { text: text.clone(), glob })
    }
}
