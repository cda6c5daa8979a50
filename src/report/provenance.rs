//! What an answer rests on beside its source: losses, conflicts, notes, and the tool.

use serde_json::{Value, json};

use crate::loss::{Conflict, Loss};
use crate::time::rfc3339;

/// The tool's name and version; nothing about the machine or the time.
pub fn tool() -> Value {
    json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// `losses[]`.
pub fn losses(losses: &[Loss]) -> Value {
    losses.iter().map(Loss::to_json).collect()
}

/// `conflicts{count, first}`.
pub fn conflicts(conflicts: &[Conflict]) -> Value {
    let first =
        conflicts.first().map(|c| json!({"series": c.series.to_json(), "time": rfc3339(c.t_ms), "time_ms": c.t_ms}));
    json!({"count": conflicts.len(), "first": first})
}

/// Lines about losses, at most `most` of them.
pub fn loss_lines(list: &[Loss], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = list.iter().take(most).map(Loss::to_line).collect();
    if list.len() > most {
        lines.push(format!("and {} more (--format json lists all)", list.len() - most));
    }
    lines
}

/// Notes for a person, a dozen at most.
pub fn note_lines(notes: &[String]) -> Vec<String> {
    const MOST: usize = 12;
    let mut lines: Vec<String> = notes.iter().take(MOST).map(|n| crate::labels::printable(n)).collect();
    if notes.len() > MOST {
        lines.push(format!("and {} more (--format json lists all)", notes.len() - MOST));
    }
    lines
}
