//! Whose rules an answer follows, and why.

use crate::error::{Error, Result};
use crate::promql::{NEWEST, OLDEST, PromVersion};
use crate::samples::{Reach, load_all};
use crate::selector::Selector;
use crate::source::Source;
use crate::time::rfc3339;
use crate::windows::Span;

/// What `--semantics` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SemanticsChoice {
    /// The release that wrote the data, where the data say so.
    #[default]
    Auto,
    /// A release by name, as typed.
    Prometheus(PromVersion),
    /// The increments that the samples prove.
    Counted,
}

impl SemanticsChoice {
    /// The release that is asked for by name, as far as its rules are known.
    pub fn release(self) -> Option<PromVersion> {
        match self {
            SemanticsChoice::Prometheus(version) => Some(version.known().unwrap_or(NEWEST)),
            SemanticsChoice::Auto | SemanticsChoice::Counted => None,
        }
    }

    /// Reads `auto`, `counted` or `prometheus-MAJOR.MINOR`.
    pub fn parse(text: &str) -> Result<SemanticsChoice> {
        match text {
            "auto" => return Ok(SemanticsChoice::Auto),
            "counted" => return Ok(SemanticsChoice::Counted),
            _ => {}
        }
        let (release, feature) = match text.strip_suffix("+use-start-timestamps") {
            Some(release) => (release, true),
            None => (text, false),
        };
        let version = release.strip_prefix("prometheus-").and_then(PromVersion::parse);
        let version = version.ok_or_else(|| {
            Error::usage(format!("`{}` is no semantics", crate::labels::printable(text)))
                .hint("write auto, counted, or prometheus-MAJOR.MINOR such as prometheus-2.53 or prometheus-3.5")
        })?;
        if version.known().is_none() {
            return Err(Error::usage(format!("the rules of Prometheus {version} are not known"))
                .hint(format!("the oldest release whose rules are known is prometheus-{OLDEST}")));
        }
        if feature && !version.knows_start_timestamps() {
            return Err(Error::usage(format!("Prometheus {version} has no use-start-timestamps that is known"))
                .hint("the first release with it is prometheus-3.14"));
        }
        Ok(SemanticsChoice::Prometheus(PromVersion { start_timestamps: feature, ..version }))
    }
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Semantics {
    /// The release whose PromQL gives the exact figures.
    pub version: PromVersion,
    /// Whether counted increments decide instead of PromQL.
    pub counted: bool,
    /// Why, in words.
    pub why: String,
    /// Differing or unknown versions.
    pub warnings: Vec<String>,
}

impl Semantics {
    /// The name as `--semantics` takes it.
    pub fn name(&self) -> String {
        if self.counted { "counted".to_owned() } else { format!("prometheus-{}", self.version) }
    }
}

/// The release whose rules the source itself follows: how a head is replayed and in which order parts are merged.
pub fn storage_release(choice: SemanticsChoice, source: &Source) -> PromVersion {
    if let Some(release) = choice.release() {
        return release;
    }
    source
        .interval()
        .map_or(NEWEST, |i| from_data(source, Span { start: i.start.saturating_sub(1), end: i.end }, false).version)
}

/// Settles the rules for a window of `source`.
pub fn resolve(choice: SemanticsChoice, source: &Source, span: Span) -> Semantics {
    match choice {
        SemanticsChoice::Prometheus(version) => {
            let known = version.known().unwrap_or(NEWEST);
            let mut warnings = Vec::new();
            if known != version {
                warnings.push(format!(
                    "Prometheus {version} is newer than the newest known rules; those of {known} are used"
                ));
            }
            Semantics { version: known, counted: false, why: "asked for with --semantics".to_owned(), warnings }
        }
        SemanticsChoice::Auto => from_data(source, span, false),
        SemanticsChoice::Counted => from_data(source, span, true),
    }
}

/// The newest `prometheus_build_info{version}` sample at or before the window's end.
fn from_data(source: &Source, span: Span, counted: bool) -> Semantics {
    let selector = Selector::metric("prometheus_build_info");
    let interval = crate::time::Interval::new(span.start, span.end);
    let loaded = load_all(source, &selector, interval, Reach::WithHistory);
    let mut seen: Vec<(i64, String)> = Vec::new();
    let mut inside: Vec<String> = Vec::new();
    for s in &loaded.series {
        let text = s.labels.get_text("version");
        if let Some((t, _)) = s.samples.last_live() {
            seen.push((t, text.clone()));
            if t > span.start {
                inside.push(text);
            }
        }
    }
    seen.sort();
    inside.sort();
    inside.dedup();
    let mut warnings = Vec::new();
    if inside.len() > 1 {
        let list: Vec<String> = inside.iter().map(|v| crate::labels::printable(v)).collect();
        warnings.push(format!(
            "several Prometheus versions inside the window: {}; the newest sample decides",
            list.join(", ")
        ));
    }
    // Under `counted` the release is that of the exact figures, which stand beside the deciding ones.
    let named = |version: PromVersion| match counted {
        true => format!("asked for with --semantics; the exact figures follow prometheus-{version}, "),
        false => String::new(),
    };
    let fallback = |why: String, warnings: Vec<String>| Semantics { version: NEWEST, counted, why, warnings };
    let Some((t, text)) = seen.pop() else {
        return fallback(
            format!("{}the default, since the data have no prometheus_build_info", named(NEWEST)),
            warnings,
        );
    };
    let shown = crate::labels::printable(&text);
    let at = rfc3339(t);
    match PromVersion::parse(&text).map(|v| (v, v.known())) {
        Some((version, Some(known))) => {
            if version != known {
                warnings.push(format!(
                    "Prometheus {version} is newer than the newest known rules; those of {known} are used"
                ));
            }
            let why = format!("{}prometheus_build_info says {shown} at {at}", named(known));
            Semantics { version: known, counted, why, warnings }
        }
        Some((version, None)) => {
            warnings.push(format!("the rules of Prometheus {version} are not known; those of {OLDEST} are used"));
            let why = format!("{}the oldest known; prometheus_build_info says {shown} at {at}", named(OLDEST));
            Semantics { version: OLDEST, counted, why, warnings }
        }
        None => {
            warnings.push(format!("prometheus_build_info has the version `{shown}`, which is none"));
            fallback(format!("{}the default, since the version in the data cannot be read", named(NEWEST)), warnings)
        }
    }
}
