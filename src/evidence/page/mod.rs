//! `report.html`: one self-contained page from an evidence folder alone, without a script, a font or a request. What it says
//! (`model`) is drawn on paper, too.
//!
//! ```text
//! documents of the folder -> content, over_time, targets, checklist (model) -> html | paper, with plots of svg
//! ```

mod checklist;
mod content;
mod html;
pub(crate) mod model;
mod over_time;
#[cfg(feature = "pdf")]
pub(crate) mod paper;
mod plots;
mod svg;
mod targets;
mod words;

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

use model::Report;
#[cfg(feature = "pdf")]
pub(crate) use words::{moment, pieces};

/// The documents of an evidence folder.
struct Documents {
    summary: Value,
    timeline: Value,
    windows: [Value; 2],
    updates: Value,
    /// Of a package; null for an evidence folder by itself.
    checklist: Value,
}

impl Documents {
    fn read(folder: &Path, document: impl Fn(&Path, &str) -> Result<Value>) -> Result<Documents> {
        Ok(Documents {
            summary: document(folder, super::summary::NAME)?,
            timeline: document(folder, "availability/timeline.json")?,
            windows: [
                document(folder, "availability/availability_72h.json")?,
                document(folder, "availability/availability_144h.json")?,
            ],
            updates: document(folder, "model_updates/model_updates_verification.json")?,
            checklist: Value::Null,
        })
    }
}

fn document(folder: &Path, name: &str) -> Result<Value> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read it", &e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(ErrorKind::Malformed, format!("it is no JSON: {e}"))
            .at(&path)
            .hint("collect the evidence again with `promproof collect`")
    })
}

/// The page. Everything on it is in the folder, and everything from the folder is escaped. Errs where a document is missing
/// or no JSON.
pub fn page(folder: &Path) -> Result<String> {
    Ok(html::page(&content::report(&Documents::read(folder, document)?)))
}

/// The report of a package: with its checklist, the document `promproof.package/1`. What cannot be read of the folder is not
/// in it; the checklist says what that is.
pub(crate) fn with_checklist(folder: &Path, checklist: &Value) -> Result<Report> {
    let d = Documents::read(folder, |folder, name| Ok(document(folder, name).unwrap_or_default()))?;
    Ok(content::report(&Documents { checklist: checklist.clone(), ..d }))
}

impl Report {
    /// The report as a page.
    pub(crate) fn html(&self) -> String {
        html::page(self)
    }
}
