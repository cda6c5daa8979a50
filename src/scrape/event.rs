//! What a line of a dump says, borrowed from the reader's buffer until the next line is asked for.

use std::borrow::Cow;
use std::ops::Range;

use crate::labels::{Label, Labels, METRIC_NAME};
use crate::version::PromVersion;

use super::cursor::{Pair, unescape, unquote_go};
use super::{Fault, stored_value};

/// Where a line starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, counted from 1; an entry over several lines is where its first one is.
    pub number: u64,
    /// Offset in the file of the first byte of the line.
    pub offset: u64,
}

/// One entry of a dump.
#[derive(Debug)]
pub struct Line<'a> {
    /// Where it starts.
    pub place: Place,
    /// Its bytes without the line break; empty for faults that are about the file.
    pub raw: &'a [u8],
    /// Whether a line break ends it. Without one it is the last line of the file, and may be cut.
    pub ended: bool,
    /// What it says.
    pub event: Event<'a>,
}

/// What an entry says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A float sample.
    Sample(Sample<'a>),
    /// A native histogram printed as text by `promtool tsdb dump`; it cannot be read back exactly.
    Histogram(HistogramText<'a>),
    /// `# TYPE`.
    Type {
        /// The family.
        family: Cow<'a, [u8]>,
        /// Its type.
        metric_type: MetricType,
    },
    /// `# HELP`.
    Help {
        /// The family.
        family: Cow<'a, [u8]>,
        /// The text without escapes.
        text: Cow<'a, [u8]>,
    },
    /// `# UNIT` of OpenMetrics.
    Unit {
        /// The family.
        family: Cow<'a, [u8]>,
        /// The unit; may be empty.
        unit: &'a [u8],
    },
    /// Any other comment of the Prometheus text format, with its `#`.
    Comment(&'a [u8]),
    /// `# EOF`: the exposition is complete. In the Prometheus text format, where it is a comment, it says the same.
    Eof,
    /// `# scrape <time>`, a separator of dumps that hold several expositions: what follows was seen at this time.
    Scrape {
        /// Milliseconds since 1970.
        time_ms: i64,
    },
    /// What is not understood.
    Fault(Fault),
}

/// A metric type, the union of both formats (`model.MetricType` upstream).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricType {
    /// `counter`.
    Counter,
    /// `gauge`.
    Gauge,
    /// `histogram`.
    Histogram,
    /// `gaugehistogram`, of OpenMetrics.
    GaugeHistogram,
    /// `summary`.
    Summary,
    /// `info`, of OpenMetrics.
    Info,
    /// `stateset`, of OpenMetrics.
    StateSet,
    /// `untyped` in the Prometheus text format, `unknown` in OpenMetrics.
    Unknown,
}

impl MetricType {
    /// The type as Prometheus' metadata names it.
    pub fn name(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::GaugeHistogram => "gaugehistogram",
            MetricType::Summary => "summary",
            MetricType::Info => "info",
            MetricType::StateSet => "stateset",
            MetricType::Unknown => "unknown",
        }
    }
}

/// How a quoted text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// As it stands.
    None,
    /// `\\`, `\"` and `\n`; any other backslash stays.
    Exposition,
    /// `\\` and `\n` alone, as HELP of the Prometheus text format has them.
    Help,
    /// Go's `strconv.Unquote`.
    Go,
}

/// A name or a value as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The bytes between the quotes, or the bare name.
    pub raw: &'a [u8],
    pub(super) escapes: Escapes,
}

impl<'a> Text<'a> {
    /// The bytes that are meant; borrowed where nothing is escaped.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self.escapes {
            Escapes::Exposition if self.raw.contains(&b'\\') => Cow::Owned(unescape(self.raw, true)),
            Escapes::Help if self.raw.contains(&b'\\') => Cow::Owned(unescape(self.raw, false)),
            // The line was not accepted with an escape that Go does not know.
            Escapes::Go if self.raw.contains(&b'\\') => Cow::Owned(unquote_go(self.raw).unwrap_or_default()),
            _ => Cow::Borrowed(self.raw),
        }
    }
}

/// The labels of an entry in the order of the file, without the metric name.
#[derive(Debug, Clone, Copy)]
pub struct LabelPairs<'a> {
    pub(super) text: &'a [u8],
    pub(super) pairs: &'a [Pair],
    pub(super) escapes: Escapes,
    pub(super) name: Option<usize>,
}

impl<'a> LabelPairs<'a> {
    /// Names and values. Values may be empty, which means that the label is absent.
    pub fn iter(&self) -> impl Iterator<Item = (Text<'a>, Text<'a>)> + use<'a> {
        let LabelPairs { text, pairs, escapes, name } = *self;
        let part = move |range: Range<usize>, escaped| Text {
            raw: text.get(range).unwrap_or_default(),
            escapes: if escaped { escapes } else { Escapes::None },
        };
        let others = pairs.iter().enumerate().filter(move |(i, _)| Some(*i) != name);
        others.map(move |(_, p)| (part(p.name(), p.name_escaped), part(p.value(), p.value_escaped)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pairs.len() - usize::from(self.name.is_some())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A float sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Name and labels as they stand in the file: equal bytes under equal [`Sample::last_type`]s are one series.
    pub series: &'a [u8],
    /// The metric name; empty only in `promtool tsdb dump` of series without one.
    pub name: Text<'a>,
    /// The other labels.
    pub labels: LabelPairs<'a>,
    /// The bits of the value; every NaN is [`NAN_BITS`](super::NAN_BITS), as upstream's parsers have it.
    pub bits: u64,
    /// The sample's own time in milliseconds; without one the time of the exposition counts.
    pub timestamp_ms: Option<i64>,
    /// The exemplar, in OpenMetrics.
    pub exemplar: Option<Exemplar<'a>>,
    /// The type that the last TYPE line named, whatever family it was about: upstream normalizes `le` and `quantile` by it.
    pub last_type: Option<MetricType>,
}

impl Sample<'_> {
    /// The value.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// The labels as `release` stores them: names sorted, empty values left out, `le` and `quantile` normalized.
    pub fn stored_labels(&self, release: PromVersion) -> Labels {
        let mut pairs = Vec::with_capacity(self.labels.len() + 1);
        pairs.push(Label { name: METRIC_NAME.into(), value: self.name.bytes().into() });
        pairs.extend(self.labels.iter().map(|(name, value)| {
            let (name, value) = (name.bytes(), value.bytes());
            let value = stored_value(release, self.last_type, &name, &value).into();
            Label { name: name.into(), value }
        }));
        Labels::normalized(pairs).0
    }
}

/// An exemplar of OpenMetrics.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar<'a> {
    /// Its labels as they stand: upstream does not take escapes out here.
    pub labels: LabelPairs<'a>,
    /// The bits of its value.
    pub bits: u64,
    /// Its time in milliseconds.
    pub timestamp_ms: Option<i64>,
}

/// A native histogram that `promtool tsdb dump` printed.
#[derive(Debug, Clone, Copy)]
pub struct HistogramText<'a> {
    /// Name and labels as they stand in the file.
    pub series: &'a [u8],
    /// The metric name.
    pub name: Text<'a>,
    /// The other labels.
    pub labels: LabelPairs<'a>,
    /// `{count:…, sum:…, …}`.
    pub text: &'a [u8],
    /// Its time in milliseconds.
    pub timestamp_ms: i64,
}
