//! [`Fault`]: a line that is not understood, or something about the file that a reader of its numbers should know.

use std::fmt;

use crate::error::ErrorKind;
use crate::labels::printable;
use crate::loss::Loss;

use super::Place;

/// What was expected at a place in a dump, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line and the byte at which the entry starts.
    pub line: Place,
    /// The byte in that line, counted from 1.
    pub column: u64,
    /// What about it.
    pub kind: FaultKind,
    /// The bytes at that place, cut to a few and made printable; empty at the end of a line.
    pub found: String,
}

/// The kinds of [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The line starts with nothing that the dialect knows.
    Start,
    /// A label name was expected.
    LabelName,
    /// `=` was expected behind a label name.
    Equals,
    /// A quoted label value was expected.
    LabelValue,
    /// The quote that opens here is not closed.
    OpenQuote,
    /// A backslash is followed by nothing that may follow it.
    Escape,
    /// `,` or `}` was expected behind a label.
    AfterLabel,
    /// `{` was expected.
    Brace,
    /// There is no metric name, or it is empty.
    NoName,
    /// There is a second metric name.
    SecondName,
    /// A label name occurs twice.
    DuplicateLabel,
    /// A value was expected.
    Value,
    /// The text is not a number that Go's `ParseFloat` takes in an exposition.
    Number,
    /// A timestamp was expected, or the text is none.
    Timestamp,
    /// The line should end here.
    LineEnd,
    /// A family name was expected behind HELP, TYPE or UNIT.
    FamilyName,
    /// A blank and text were expected behind the name of a family.
    FamilyText,
    /// The type is not one of the dialect's.
    FamilyType,
    /// The family's name does not end with `_` and the unit.
    FamilyUnit,
    /// The bytes are not UTF-8.
    Utf8,
    /// A native histogram in text is not understood.
    Histogram,
    /// The line is longer than the reader's limit.
    TooLong,
    /// The file starts with a byte order mark. Nothing is lost: what follows is read.
    ByteOrderMark,
    /// The last line has no line break and may have been longer. Nothing is lost: a server takes such a line in the Prometheus
    /// text format, and so does the reader.
    Unterminated,
    /// The last line has no line break, which the dialect needs: it may be cut and is not used.
    Cut,
    /// `# EOF` does not end the exposition, of which a part may be missing. Nothing that is there is lost.
    MissingEof,
    /// Something follows `# EOF`. Nothing is lost: it is read as another exposition.
    AfterEof,
}

impl FaultKind {
    /// What the reader expected, as the end of a sentence.
    pub fn expected(self) -> &'static str {
        match self {
            FaultKind::Start => "a sample or a comment that the dialect knows",
            FaultKind::LabelName => "a label name",
            FaultKind::Equals => "`=`",
            FaultKind::LabelValue => "a quoted label value",
            FaultKind::OpenQuote => "a quoted text that is closed",
            FaultKind::Escape => "an escape that the dialect knows",
            FaultKind::AfterLabel => "`,` or `}`",
            FaultKind::Brace => "`{`",
            FaultKind::NoName => "a metric name",
            FaultKind::SecondName => "one metric name, not two",
            FaultKind::DuplicateLabel => "a label name that does not occur twice",
            FaultKind::Value => "a blank and a value",
            FaultKind::Number => "a number",
            FaultKind::Timestamp => "a timestamp",
            FaultKind::LineEnd => "the end of the line",
            FaultKind::FamilyName => "the name of a metric family",
            FaultKind::FamilyText => "a blank and text",
            FaultKind::FamilyType => "a metric type of this dialect",
            FaultKind::FamilyUnit => "a unit that the name of its family ends with",
            FaultKind::Utf8 => "UTF-8",
            FaultKind::Histogram => "a native histogram as `{count:…}` and a timestamp",
            FaultKind::TooLong => "a line within the limit",
            FaultKind::ByteOrderMark => "no byte order mark; it was skipped",
            FaultKind::Unterminated => "a line break at the end of the file; the last line may be cut",
            FaultKind::Cut => "a line break at the end of the file; the last line may be cut and is not used",
            FaultKind::MissingEof => "`# EOF` at the end; the dump may be cut",
            FaultKind::AfterEof => "nothing behind `# EOF`; it was read as another exposition",
        }
    }
}

impl Fault {
    /// Offset in the file of the byte that is not understood.
    pub fn offset(&self) -> u64 {
        self.line.offset + self.column - 1
    }

    /// Whether the line is lost. A server would have lost the whole exposition to any fault but [`FaultKind::Unterminated`]
    /// in the Prometheus text format.
    pub fn loses_line(&self) -> bool {
        !self.is_about_the_file()
    }

    fn is_about_a_comment(&self) -> bool {
        use FaultKind::{FamilyName, FamilyText, FamilyType, FamilyUnit};
        matches!(self.kind, FamilyName | FamilyText | FamilyType | FamilyUnit) || self.found.starts_with('#')
    }

    fn is_about_the_file(&self) -> bool {
        use FaultKind::{AfterEof, ByteOrderMark, MissingEof, Unterminated};
        matches!(self.kind, ByteOrderMark | Unterminated | MissingEof | AfterEof)
    }

    /// The fault as a loss in `file`.
    pub fn to_loss(&self, file: &str) -> Loss {
        let kind = match self.kind {
            FaultKind::Unterminated | FaultKind::Cut | FaultKind::MissingEof => ErrorKind::Truncated,
            FaultKind::TooLong => ErrorKind::Unsupported,
            _ => ErrorKind::Malformed,
        };
        Loss {
            file: file.to_owned(),
            offset: Some(self.offset()),
            kind,
            detail: self.to_string(),
            series: None,
            interval: None,
            // A comment has no sample, and what it says is of no number.
            samples: (self.loses_line() && !self.is_about_a_comment()).then_some(1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: expected {}", self.line.number, self.column, self.kind.expected())?;
        match self.found.as_str() {
            _ if self.is_about_the_file() => Ok(()),
            "" => write!(f, ", found the end of the line"),
            found => write!(f, ", found `{found}`"),
        }
    }
}

/// The first bytes at a place, for a person.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 40;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let (shown, rest) = line.split_at(line.len().min(LONGEST));
    let text: String = shown
        .utf8_chunks()
        .map(|c| printable(c.valid()) + &c.invalid().iter().map(|b| format!("\\x{b:02x}")).collect::<String>())
        .collect();
    if rest.is_empty() { text } else { text + "…" }
}
