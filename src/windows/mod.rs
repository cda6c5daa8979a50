//! Windows over time: PromQL answers and counted increments side by side, coverage, sliding windows, model switches.
//!
//! `docs/windows.md` has the definitions with pictures; nothing here reads files or decides a verdict.

pub mod availability;
pub mod counted;
pub mod instead;
pub mod inventory;
pub mod newest;
mod requests;
pub mod semantics;
pub mod sliding;
pub mod switches;
pub mod targets;
pub mod timeline;
pub mod versions;
mod vitals;

use crate::time::{DurationMs, TimestampMs};

/// A span of time with a meaning: `(start, end]` for counted figures, the edges of the chosen release for PromQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Left edge in milliseconds.
    pub start: TimestampMs,
    /// Right edge in milliseconds, included.
    pub end: TimestampMs,
}

impl Span {
    /// The length in milliseconds.
    pub fn length(&self) -> DurationMs {
        self.end.saturating_sub(self.start)
    }
}
