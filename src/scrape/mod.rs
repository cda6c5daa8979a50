//! Text dumps: what a target, a server or promtool printed, line by line (`docs/format/exposition.md`).
//!
//! ```text
//! bytes -> sniff (which form) -> Reader (lines) -> prometheus | openmetrics | promtool (one line each) -> Event
//!                             -> answer (saved JSON of the query API)
//! ```
//!
//! [`Reader`] takes a [`std::io::Read`], so a slice of a mapped file and a decompressor are the same to it, and holds one
//! line at a time. What upstream's parsers accept it accepts, to the same bits. What they refuse is a [`Fault`] with
//! its place, and reading goes on with the next line; a server would have dropped the whole scrape.
//!
//! Plain functions from bytes: which series a dump becomes, and at which times, is decided to the right of this room.
//! [`Families`] keeps the metadata, [`stored_value`] says how a release stores `le` and `quantile`, and [`CrossCheck`]
//! is a second opinion from another parser.

#![deny(clippy::indexing_slicing)]

mod answer;
mod crosscheck;
mod cursor;
mod event;
mod family;
mod fault;
mod number;
mod openmetrics;
mod prometheus;
mod promtool;
mod reader;
mod sniff;
mod stored;

pub use answer::{AnswerFault, AnswerSeries, AnswerSummary, read_answer};
pub use crosscheck::{CrossCheck, Disagreement};
pub use event::{Event, Exemplar, HistogramText, LabelPairs, Line, MetricType, Place, Sample, Text};
pub use family::{Families, Family, Membership, Part};
pub use fault::{Fault, FaultKind};
pub use number::NAN_BITS;
pub use reader::{MAX_LINE_BYTES, Reader};
pub use sniff::{Form, Sniffed, sniff};
pub use stored::stored_value;

/// The grammar of a text dump; [`sniff`] tells which one the first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The Prometheus text format 0.0.4, as targets and `/federate` print it (`model/textparse/promparse.go`).
    Prometheus,
    /// OpenMetrics 1.0 (`model/textparse/openmetricsparse.go`).
    OpenMetrics,
    /// `promtool tsdb dump`: `{__name__="x", a="b"} value milliseconds` (`cmd/promtool/tsdb.go: formatSeriesSet`).
    TsdbDump,
    /// `promtool tsdb dump-openmetrics`, which looks like OpenMetrics without metadata but writes label values as Go
    /// quotes strings, and exact milliseconds (`cmd/promtool/tsdb.go: formatSeriesSetOpenMetrics`).
    TsdbDumpOpenMetrics,
}

impl Dialect {
    /// The dialect in words, for reports.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Prometheus => "Prometheus text 0.0.4",
            Dialect::OpenMetrics => "OpenMetrics 1.0",
            Dialect::TsdbDump => "promtool tsdb dump",
            Dialect::TsdbDumpOpenMetrics => "promtool tsdb dump-openmetrics",
        }
    }

    /// Whether an exposition of this dialect ends with `# EOF`.
    pub fn ends_with_eof(self) -> bool {
        matches!(self, Dialect::OpenMetrics | Dialect::TsdbDumpOpenMetrics)
    }
}
