//! Saved answers of `/api/v1/query` and `/api/v1/query_range` (`docs/format/exposition.md#answers-of-the-query-api`).
//!
//! A vector has one sample per series, a matrix several: the raw samples behind a range selector, or the values of an
//! evaluated expression, which the answer itself does not tell apart.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::labels::Labels;
use crate::sample::Samples;

use super::number;

/// One series of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerSeries {
    /// Its labels; without a metric name where an expression dropped it.
    pub labels: Labels,
    /// Its float samples in the order of the answer. A server leaves stale markers out.
    pub samples: Samples,
    /// The times of its native histograms, in milliseconds; their text is not read.
    pub histograms_ms: Vec<i64>,
}

/// What an answer says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerSummary {
    /// `success` or `error`.
    pub status: String,
    /// `vector` or `matrix`.
    pub result_type: String,
    /// Why the server refused, with `status` `error`: the kind of the error, and what it says.
    pub error: Option<String>,
    /// `warnings`: what may make the answer another one than was asked for. A partial answer says so here.
    pub warnings: Vec<String>,
    /// `infos`: what else the server wants to be known.
    pub infos: Vec<String>,
}

/// Why an answer could not be read to its end; series before that place were handed over whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerFault {
    /// The line, counted from 1.
    pub line: u64,
    /// The byte in that line, counted from 1.
    pub column: u64,
    /// What was expected and found.
    pub message: String,
}

/// What the engine's own warnings begin with, which are about the query (`util/annotations` upstream).
const OF_THE_ENGINE: &str = "PromQL warning";

impl AnswerSummary {
    /// Warnings that are not about the query itself: the data behind the answer may not have been whole.
    pub fn doubts(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str).filter(|w| !w.starts_with(OF_THE_ENGINE))
    }

    /// All other warnings, and what else the server wants to be known.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        let of_the_engine = self.warnings.iter().filter(|w| w.starts_with(OF_THE_ENGINE));
        of_the_engine.chain(&self.infos).map(String::as_str)
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// Reads an answer and hands each series to `each`; memory is that of the largest series.
///
/// Errs where the JSON is damaged or cut, or is no answer with series.
pub fn read_answer<R: Read>(source: R, mut each: impl FnMut(AnswerSeries)) -> Result<AnswerSummary, AnswerFault> {
    let mut json = serde_json::Deserializer::from_reader(std::io::BufReader::new(source));
    let mut summary = AnswerSummary::default();
    let answer = Answer { each: &mut each, summary: &mut summary };
    answer.deserialize(&mut json).and_then(|()| json.end()).map_err(|e| {
        let text = e.to_string();
        let message = text.split(" at line ").next().unwrap_or_default().to_owned();
        AnswerFault { line: e.line() as u64, column: e.column() as u64, message }
    })?;
    Ok(summary)
}

/// The whole object, and `data` inside it.
struct Answer<'a, F> {
    each: &'a mut F,
    summary: &'a mut AnswerSummary,
}

impl<'de, F: FnMut(AnswerSeries)> DeserializeSeed<'de> for Answer<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(AnswerSeries)> Visitor<'de> for Answer<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an answer of the query API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut known = false;
        while let Some(key) = map.next_key::<String>()? {
            known |= matches!(key.as_str(), "status" | "data" | "result" | "resultType");
            match key.as_str() {
                "status" => self.summary.status = map.next_value()?,
                "data" => map.next_value_seed(Answer { each: &mut *self.each, summary: &mut *self.summary })?,
                "resultType" => self.summary.result_type = map.next_value()?,
                "result" => map.next_value_seed(AllSeries(&mut *self.each))?,
                "error" | "errorType" => {
                    let said: String = map.next_value()?;
                    self.summary.error = Some(match (self.summary.error.take(), key == "error") {
                        (None, _) => said,
                        (Some(kind), true) => format!("{kind}: {said}"),
                        (Some(text), false) => format!("{said}: {text}"),
                    });
                }
                "warnings" => self.summary.warnings.extend(map.next_value::<Vec<String>>()?),
                "infos" => self.summary.infos.extend(map.next_value::<Vec<String>>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if known { Ok(()) } else { Err(A::Error::custom("expected `status` and `data` of an answer of the query API")) }
    }
}

/// The list of series.
struct AllSeries<'a, F>(&'a mut F);

impl<'de, F: FnMut(AnswerSeries)> DeserializeSeed<'de> for AllSeries<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(AnswerSeries)> Visitor<'de> for AllSeries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of series (answers of type scalar and string have none)")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(series) = list.next_element::<StoredSeries>()? {
            (self.0)(series.into());
        }
        Ok(())
    }
}

/// A series as the API writes it.
#[derive(Deserialize)]
#[serde(expecting = "a series with its labels and values; an answer of type scalar or string has none")]
struct StoredSeries {
    metric: BTreeMap<String, String>,
    value: Option<FloatPoint>,
    #[serde(default)]
    values: Vec<FloatPoint>,
    histogram: Option<HistogramPoint>,
    #[serde(default)]
    histograms: Vec<HistogramPoint>,
}

impl From<StoredSeries> for AnswerSeries {
    fn from(stored: StoredSeries) -> AnswerSeries {
        let points = stored.values.into_iter().chain(stored.value);
        let (ts, bits) = points.map(|p| (p.0.0, p.1.0)).unzip();
        AnswerSeries {
            labels: Labels::from_pairs(stored.metric.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
            samples: Samples::new(ts, bits),
            histograms_ms: stored.histograms.into_iter().chain(stored.histogram).map(|p| p.0.0).collect(),
        }
    }
}

/// `[seconds, "value"]`.
#[derive(Deserialize)]
struct FloatPoint(Seconds, Value);

/// `[seconds, {…}]`.
#[derive(Deserialize)]
struct HistogramPoint(Seconds, #[allow(dead_code, reason = "it has to be passed over")] IgnoredAny);

/// Milliseconds from seconds with up to three decimals.
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let ms = (seconds * 1000.0).round();
        // Beyond that the milliseconds of a double are not exact.
        if ms.abs() > 9_007_199_254_740_991.0 {
            return Err(D::Error::custom(format!("expected seconds since 1970, found {seconds}")));
        }
        Ok(Seconds(ms as i64))
    }
}

/// The bits of a value in quotes.
struct Value(u64);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bits = number::value_bits(text.as_bytes());
        bits.map(Value).ok_or_else(|| D::Error::custom(format!("expected a number in quotes, found {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<AnswerSeries>, Result<AnswerSummary, String>) {
        let mut all = Vec::new();
        let summary = read_answer(text.as_bytes(), |s| all.push(s)).map_err(|e| e.to_string());
        (all, summary)
    }

    #[test]
    fn vectors_and_matrices_are_read() {
        let (all, summary) = read(
            r#"{"status":"success","data":{"resultType":"matrix","result":[
                {"metric":{"__name__":"up","job":"a"},"values":[[1700000000.123,"1"],[1700000015,"NaN"]]},
                {"histograms":[[1.5,{"count":"3","buckets":[[0,"0","1","3"]]}]],"metric":{"job":"h"}}]},
                "warnings":["partial"],"infos":["i"]}"#,
        );
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].labels, Labels::from_pairs([("__name__", "up"), ("job", "a")]));
        assert_eq!(all[0].samples.ts, [1_700_000_000_123, 1_700_000_015_000]);
        assert_eq!(all[0].samples.bits, [1f64.to_bits(), number::NAN_BITS]);
        assert_eq!((all[1].samples.len(), all[1].histograms_ms.as_slice()), (0, &[1500][..]));
        let summary = summary.unwrap_or_default();
        assert_eq!((summary.status.as_str(), summary.result_type.as_str()), ("success", "matrix"));
        assert_eq!(
            (summary.warnings.as_slice(), summary.infos.as_slice()),
            (&["partial".to_owned()][..], &["i".to_owned()][..])
        );

        let (all, _) = read(r#"{"data":{"result":[{"metric":{},"value":[-1,"+Inf"]}]},"status":"success"}"#);
        assert_eq!((all[0].samples.ts[0], all[0].samples.bits[0]), (-1000, f64::INFINITY.to_bits()));
    }

    #[test]
    fn what_is_no_answer_says_so() {
        for (text, series, message) in [
            (r#"{"status":"success","data":{"result":[{"metric":{},"value":[1,"x"]}]}}"#, 0, "found \"x\""),
            (r#"{"status":"success","data":{"result":[{"metric":{},"value":[1,"1"]},{"met"#, 1, "EOF while parsing"),
            (r#"{"status":"success","data":{"result":[{"metric":{},"value":[1e300,"1"]}]}}"#, 0, "seconds since 1970"),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
                0,
                "expected a series with its labels",
            ),
            (r#"{"a":1}"#, 0, "expected `status` and `data`"),
            (r#"[]"#, 0, "an answer of the query API"),
            (r#"{"status":"success"} x"#, 0, "trailing characters"),
        ] {
            let (all, summary) = read(text);
            assert_eq!(all.len(), series, "{text}");
            assert!(summary.as_ref().is_err_and(|e| e.contains(message)), "{text}: {summary:?}");
        }
        let (_, summary) = read(r#"{"status":"error","errorType":"bad_data","error":"no"}"#);
        assert_eq!(summary.map(|s| s.error), Ok(Some("bad_data: no".to_owned())));
    }
}
