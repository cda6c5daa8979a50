//! Judging windows against requirements, with reasons and bounds. Nothing here reads files or recomputes figures.

pub mod availability;
pub mod updates;

/// The answer to a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The requirement is met, whatever gaps and losses may hide.
    Met,
    /// The requirement is missed, whatever gaps and losses may hide.
    NotMet,
    /// The data cannot say.
    Unknown,
}

impl Verdict {
    /// `met`, `not_met`, `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::NotMet => "not_met",
            Verdict::Unknown => "unknown",
        }
    }

    /// The exit status of a command with this verdict.
    pub fn exit_status(self) -> u8 {
        match self {
            Verdict::Met => 0,
            Verdict::NotMet => 1,
            Verdict::Unknown => 3,
        }
    }

    /// `true` only for met, `None` where the data cannot say.
    pub fn meets_requirement(self) -> Option<bool> {
        match self {
            Verdict::Met => Some(true),
            Verdict::NotMet => Some(false),
            Verdict::Unknown => None,
        }
    }
}

pub(crate) use crate::loss::counted_noun;
