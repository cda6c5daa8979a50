//! Saved answers of the query API: raw samples, or evaluations.

use std::io::Read;

use super::Answers;
use super::read::{Bundle, Contents, Context, completed, loss};
use crate::error::ErrorKind;
use crate::labels::printable;
use crate::loss::Loss;
use crate::scrape::{AnswerSeries, read_answer};
use crate::time::{Interval, TimestampMs};

impl Bundle {
    /// A saved answer of the query API.
    pub(super) fn answer(&mut self, bytes: impl Read, context: &Context<'_>, target: usize) -> Contents {
        let mut contents = Contents { target, ..Contents::default() };
        let (mut grid, mut histograms) = (Grid::default(), Vec::new());
        let summary = read_answer(bytes, |AnswerSeries { labels, samples, histograms_ms }| {
            grid.add(&samples.ts);
            contents.samples += samples.len() as u64;
            let labels = completed(&labels, &context.target.labels);
            if let (Some(first), Some(last)) = (histograms_ms.iter().min(), histograms_ms.iter().max()) {
                let detail = "native histograms in answers are not read".to_owned();
                histograms.push(Loss {
                    series: Some(labels.clone()),
                    interval: Some(Interval::new(*first, *last)),
                    samples: Some(histograms_ms.len() as u64),
                    ..loss(context.rel, None, ErrorKind::Unsupported, detail)
                });
            }
            let id = self.id(labels);
            self.series.get_mut(id as usize).into_iter().for_each(|s| s.timed.extend(&samples));
        });
        let is_empty = contents.samples == 0 && histograms.is_empty();
        match &summary {
            Ok(summary) => {
                if summary.status != "success" {
                    let why = summary.error.clone().unwrap_or_else(|| format!("its status is `{}`", summary.status));
                    let detail = format!("the server answered with an error: {why}");
                    contents.losses.push(loss(context.rel, None, ErrorKind::Missing, detail));
                }
                contents.losses.extend(summary.doubts().map(|doubt| {
                    let detail = format!("the server warned that its answer may lack something: {}", printable(doubt));
                    loss(context.rel, None, ErrorKind::Missing, detail)
                }));
                let remarks = summary.remarks().map(|w| format!("{}: the server said: {}", context.rel, printable(w)));
                contents.notes.extend(remarks);
            }
            Err(fault) => {
                let detail = format!("{fault}; the series before it are used");
                contents.losses.push(loss(context.rel, None, ErrorKind::Malformed, detail));
            }
        }
        // Whatever kept the server or the file from saying all of it is a loss.
        if is_empty && contents.losses.is_empty() {
            contents.notes.push(format!("{}: the answer is empty: nothing matched what was asked", context.rel));
            return contents;
        }
        let is_vector = summary.as_ref().is_ok_and(|s| s.result_type == "vector");
        contents.evaluated = match context.answers {
            Answers::Raw => false,
            Answers::Evaluated => true,
            Answers::Auto => is_vector || grid.is_one(),
        };
        if contents.evaluated {
            contents.notes.push(format!(
                "{}: these look like evaluations at even steps (query_range), each sample repeated for up to 5 minutes, so nothing here says what was scraped and coverage is unknown; --answers raw if they are raw samples",
                context.rel
            ));
        }
        contents.losses.extend(histograms);
        contents
    }
}

/// Times of series, of which it tells whether all are steps of one grid, as those of evaluations are. Those of raw samples of
/// several targets are not, since each target has a phase of its own.
#[derive(Debug, Default)]
struct Grid {
    first: Option<TimestampMs>,
    /// The shortest time between two samples of a series.
    step: Option<u64>,
    /// The longest step with which all times are reached from the first one.
    divisor: u64,
}

impl Grid {
    /// Adds the times of one series.
    fn add(&mut self, times: &[TimestampMs]) {
        let spacings = times.windows(2).filter_map(|w| Some(w.last()?.abs_diff(*w.first()?)).filter(|d| *d > 0));
        self.step = self.step.into_iter().chain(spacings).min();
        for t in times {
            let first = *self.first.get_or_insert(*t);
            self.divisor = greatest_common_divisor(self.divisor, t.abs_diff(first));
        }
    }

    fn is_one(&self) -> bool {
        self.first.is_some() && self.step.map_or(self.divisor == 0, |step| self.divisor.is_multiple_of(step))
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_stand_on_one_grid() {
        let is_one = |all: &[&[i64]]| {
            let mut grid = Grid::default();
            all.iter().for_each(|times| grid.add(times));
            grid.is_one()
        };
        assert!(is_one(&[&[10, 15, 25], &[20]]));
        assert!(is_one(&[&[10], &[10]]));
        assert!(!is_one(&[&[10, 15, 25], &[12, 17]]));
        assert!(!is_one(&[&[10, 15, 21]]));
        assert!(!is_one(&[&[10], &[12]]));
        assert!(!is_one(&[]));
    }
}
