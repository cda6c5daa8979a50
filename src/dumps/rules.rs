//! What the command line says about files: which to read, and which labels they get.

use regex::Regex;

use crate::error::{Error, Result};
use crate::labels::{METRIC_NAME, is_label_identifier, printable};
use crate::loss::counted_noun;
use crate::re2;

/// A pattern of paths relative to the SOURCE: `*` and `?` within a name, `**` over folders. Without a `/` it is about the
/// file's name alone.
#[derive(Debug, Clone)]
pub struct Glob(Regex);

impl Glob {
    /// Reads a pattern; `flag` is named in the error.
    pub fn parse(flag: &str, text: &str) -> Result<Glob> {
        let mut pattern = String::from(if text.contains('/') { "^" } else { "^(?:.*/)?" });
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (piece, length) = match c {
                '*' if rest.starts_with("**/") => ("(?:.*/)?".to_owned(), 3),
                '*' if rest.starts_with("**") => (".*".to_owned(), 2),
                '*' => ("[^/]*".to_owned(), 1),
                '?' => ("[^/]".to_owned(), 1),
                c => (regex::escape(c.encode_utf8(&mut [0; 4])), c.len_utf8()),
            };
            pattern.push_str(&piece);
            rest = rest.get(length..).unwrap_or_default();
        }
        pattern.push('$');
        let compiled = regex::RegexBuilder::new(&pattern).dot_matches_new_line(true).build();
        compiled.map(Glob).map_err(|_| Error::usage(format!("{flag} {}: the pattern is too long", printable(text))))
    }

    /// Whether a path matches.
    pub fn matches(&self, rel: &str) -> bool {
        self.0.is_match(rel)
    }
}

/// `--label` and `--label-from-path`: the labels of a target that a raw scrape lacks.
#[derive(Debug, Clone, Default)]
pub struct LabelRules {
    fixed: Vec<Fixed>,
    /// As typed, and compiled.
    from_path: Vec<(String, Regex)>,
}

/// A label of the files that match.
#[derive(Debug, Clone)]
struct Fixed {
    /// As typed.
    text: String,
    glob: Glob,
    name: String,
    value: String,
}

impl LabelRules {
    /// Adds `GLOB:name=value`.
    pub fn add_fixed(&mut self, text: &str) -> Result<()> {
        let bad = |why: &str| {
            Error::usage(format!("--label {}: {why}", printable(text)))
                .hint("for example --label 'api-0/*:instance=api-0:8080', or --label '*:job=recommender' for all files")
        };
        // Globs and values may hold colons, so the first one behind which a name and `=` stand separates them.
        let parts = |(at, _): (usize, &str)| {
            let (name, value) = text.get(at + 1..)?.split_once('=')?;
            Some((text.get(..at)?, name, value))
        };
        let mut places = text.match_indices(':').filter_map(parts);
        let first = places.clone().next().ok_or_else(|| bad("GLOB:name=value is expected"))?;
        let (glob, name, value) = places.find(|(_, name, _)| is_label_name(name)).unwrap_or(first);
        check_name(name).map_err(|why| bad(&why))?;
        if value.is_empty() {
            return Err(bad(&format!("the value of `{name}` is empty, which is a label that is not there")));
        }
        if glob.is_empty() {
            return Err(bad("there is no pattern of paths before the colon"));
        }
        let glob = Glob::parse("--label", glob)?;
        self.fixed.push(Fixed { text: text.to_owned(), glob, name: name.to_owned(), value: value.to_owned() });
        Ok(())
    }

    /// The flags that gave rules.
    pub(super) fn flags(&self) -> Vec<&'static str> {
        let given = [(self.fixed.is_empty(), "--label"), (self.from_path.is_empty(), "--label-from-path")];
        given.into_iter().filter(|(is_empty, _)| !is_empty).map(|(_, flag)| flag).collect()
    }

    /// A note for each rule that gives no label to any of the files.
    pub(super) fn unmatched(&self, files: &[&str]) -> Vec<String> {
        let note = |flag: &str, text: &str| {
            let files = counted_noun(files.len(), "file", "files");
            format!(
                "{flag} {} matches the path of none of the {files}, which are relative to the SOURCE",
                printable(text)
            )
        };
        let from_path = self.from_path.iter().filter(|(_, p)| !files.iter().any(|f| p.is_match(f)));
        let fixed = self.fixed.iter().filter(|rule| !files.iter().any(|f| rule.glob.matches(f)));
        let from_path = from_path.map(|(text, _)| note("--label-from-path", text));
        from_path.chain(fixed.map(|rule| note("--label", &rule.text))).collect()
    }

    /// Adds a regular expression whose named groups are labels.
    pub fn add_from_path(&mut self, text: &str) -> Result<()> {
        let bad = |why: &str| {
            Error::usage(format!("--label-from-path {}: {why}", printable(text)))
                .hint("for example --label-from-path '(?P<job>[^/]+)/(?P<instance>[^/]+)/'")
        };
        let pattern = re2::translate(text).map_err(bad)?;
        let pattern = Regex::new(&pattern).map_err(|_| bad("this is no regular expression"))?;
        let names: Vec<&str> = pattern.capture_names().flatten().collect();
        if names.is_empty() {
            return Err(bad("it has no named group, so it gives no label"));
        }
        if let Some(name) = names.into_iter().find(|n| !is_label_name(n)) {
            return Err(bad(&format!("`{name}` is no label name")));
        }
        self.from_path.push((text.to_owned(), pattern));
        Ok(())
    }

    /// The labels that the rules give a file, those that count more behind the others.
    pub(super) fn of(&self, rel: &str) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for (_, pattern) in &self.from_path {
            let Some(found) = pattern.captures(rel) else { continue };
            let groups = pattern.capture_names().flatten().filter_map(|name| Some((name, found.name(name)?)));
            out.extend(groups.map(|(name, m)| (name.to_owned(), m.as_str().to_owned())));
        }
        let fixed = self.fixed.iter().filter(|rule| rule.glob.matches(rel));
        out.extend(fixed.map(|rule| (rule.name.clone(), rule.value.clone())));
        out
    }
}

/// Says what is wrong with the name of a label that a target is given.
pub(super) fn check_name(name: &str) -> std::result::Result<(), String> {
    if name.as_bytes() == METRIC_NAME {
        return Err("the name of a metric cannot be set".to_owned());
    }
    if is_label_name(name) { Ok(()) } else { Err(format!("`{}` is no label name", printable(name))) }
}

fn is_label_name(name: &str) -> bool {
    is_label_identifier(name.as_bytes()) && name.as_bytes() != METRIC_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_paths() {
        for (glob, path, matches) in [
            ("*.prom", "a/b/c.prom", true),
            ("*.prom", "c.prom.gz", false),
            ("a/*.prom", "a/c.prom", true),
            ("a/*.prom", "a/b/c.prom", false),
            ("a/**/*.prom", "a/c.prom", true),
            ("a/**", "a/b/c.prom", true),
            ("**/api-?/*", "x/api-0/c.prom", true),
            ("api[0]+", "api[0]+", true),
        ] {
            let found = Glob::parse("--include", glob).is_ok_and(|g| g.matches(path));
            assert_eq!(found, matches, "{glob} {path}");
        }
    }

    #[test]
    fn labels_come_from_globs_and_paths() {
        let mut rules = LabelRules::default();
        for text in ["*12:00*:instance=api-0:8080", "*:job=a=b"] {
            assert!(rules.add_fixed(text).is_ok(), "{text}");
        }
        assert!(rules.add_from_path("^(?P<job>[^/]+)/(?P<zone>[a-z]+)?").is_ok());
        let of = |path: &str| rules.of(path).into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        assert_eq!(of("r/12:00.prom"), ["job=r", "instance=api-0:8080", "job=a=b"]);
        assert_eq!(of("x.prom"), ["job=a=b"]);
        for (text, why) in [
            ("job=x", "GLOB:name=value is expected"),
            ("*:job", "GLOB:name=value is expected"),
            (":job=x", "no pattern of paths"),
            ("*:1x=y", "`1x` is no label name"),
            ("*:in-st=a", "`in-st` is no label name"),
            ("*:__name__=x", "the name of a metric"),
            ("*:job=", "the value of `job` is empty"),
        ] {
            let refused = rules.add_fixed(text).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        let unmatched = rules.unmatched(&["r/12:00.prom", "x.prom"]);
        assert_eq!(unmatched, Vec::<String>::new());
        assert_eq!(rules.unmatched(&["x.prom"]).len(), 2);
        for text in ["api", "(", "(?P<__name__>x)"] {
            assert!(rules.add_from_path(text).is_err(), "{text}");
        }
    }
}
