//! A row group of `samples/`: rows in, finished column chunks out.

use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;

use super::Layout;
use super::pages::{self, Column, Defined, Repeated, Scratch, count_false};
use super::scaled::{self, DIVISORS};
use super::schema::{self, column};
use crate::sample::{Samples, is_stale};
use crate::time::Interval;

/// Rows of one row group in order of series and time.
#[derive(Debug, Default)]
pub struct SampleRows {
    /// Ascending series and how many of the rows are theirs.
    pub series: Vec<(i64, usize)>,
    /// Times, value bits and starts.
    pub samples: Samples,
    /// Where the rows come from, in the union view: `(position in [`SampleRows::origins`], rows)`.
    pub from: Vec<(u32, usize)>,
    /// Names of origins.
    pub origins: Vec<String>,
}

impl SampleRows {
    /// Appends samples of a series that does not come before the last one.
    pub fn push(&mut self, series: i64, samples: &Samples, range: std::ops::Range<usize>) {
        let count = range.len();
        self.samples.extend(samples, range);
        match self.series.last_mut() {
            Some((last, rows)) if *last == series => *rows += count,
            _ if count > 0 => self.series.push((series, count)),
            _ => {}
        }
    }

    /// Says where the row that was pushed last comes from.
    pub fn came_from(&mut self, origin: &str) {
        let at = self.origins.iter().position(|o| o == origin).unwrap_or_else(|| {
            self.origins.push(origin.to_owned());
            self.origins.len() - 1
        });
        match self.from.last_mut() {
            Some((last, rows)) if *last as usize == at => *rows += 1,
            _ => self.from.push((at as u32, 1)),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.series.clear();
        self.samples.clear();
        self.from.clear();
        self.origins.clear();
    }
}

/// A row group, encoded: written by [`super::PartWriter`].
pub struct SampleGroup {
    pub(super) columns: Vec<Column>,
    /// The number of rows.
    pub rows: usize,
    /// First and last series.
    pub(super) series: Option<(i64, i64)>,
    /// Earliest and latest time.
    pub(super) times: Option<Interval>,
}

/// Encodes row groups, one after the other, with buffers of its own.
pub struct SampleEncoder {
    layout: Layout,
    scratch: Scratch,
    integers: Vec<i64>,
    as_integer: Vec<bool>,
    defined: Vec<bool>,
    stale: Vec<bool>,
}

impl SampleEncoder {
    /// An encoder for one layout.
    pub fn new(layout: Layout) -> Result<SampleEncoder, ParquetError> {
        Ok(SampleEncoder {
            layout,
            scratch: Scratch::new()?,
            integers: Vec::new(),
            as_integer: Vec::new(),
            defined: Vec::new(),
            stale: Vec::new(),
        })
    }

    /// Encodes one row group, which is not empty.
    pub fn encode(&mut self, rows: &SampleRows) -> Result<SampleGroup, ParquetError> {
        let schema = schema::samples();
        let count = rows.len();
        let Samples { ts, bits, starts } = &rows.samples;
        let scratch = &mut self.scratch;
        self.stale.clear();
        self.stale.resize(count, false);
        // Most row groups have none.
        if bits.iter().any(|b| is_stale(*b)) {
            bits.iter().zip(&mut self.stale).for_each(|(bits, stale)| *stale = is_stale(*bits));
        }
        let ids: Vec<i64> = rows.series.iter().map(|(id, _)| *id).collect();
        let plain: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let runs: Vec<(u32, usize)> = rows.series.iter().enumerate().map(|(i, (_, rows))| (i as u32, *rows)).collect();
        let values = Repeated { plain: &plain, count: ids.len(), ascending: Some(&ids), runs: &runs };
        let series_id = pages::repeated(&schema.column(column::SERIES_ID), count, &values, Defined::Required, scratch)?;
        let times = pages::timestamps(&schema.column(column::TS), ts, scratch)?;

        let range = match times.close.metadata.statistics() {
            Some(Statistics::Int64(s)) => s.min_opt().zip(s.max_opt()).map(|(low, high)| Interval::new(*low, *high)),
            _ => None,
        };

        let integer = &schema.column(column::VALUE_INT);
        let div = &schema.column(column::DIV);
        let (value_int, div) = match self.layout {
            Layout::Simple => {
                self.defined.clear();
                self.defined.extend(self.stale.iter().map(|stale| !stale));
                (pages::nothing(integer, count, scratch)?, pages::nothing(div, count, scratch)?)
            }
            Layout::Compact => {
                self.integers.clear();
                self.as_integer.clear();
                let mut divisors: Vec<(u32, usize)> = Vec::new();
                let mut from = 0;
                for (_, rows) in &rows.series {
                    let of = bits.get(from..from + rows).unwrap_or_default();
                    let divisor = scaled::divisor(of);
                    scaled::convert(of, DIVISORS[divisor], &mut self.integers, &mut self.as_integer);
                    let inexact = count_false(self.as_integer.get(from..).unwrap_or_default());
                    divisors.push((divisor as u32, rows - inexact));
                    from += rows;
                }
                self.defined.clear();
                let neither = self.as_integer.iter().zip(&self.stale);
                self.defined.extend(neither.map(|(integer, stale)| !integer && !stale));
                let plain: Vec<u8> = DIVISORS.iter().flat_map(|d| d.to_le_bytes()).collect();
                let values = Repeated { plain: &plain, count: DIVISORS.len(), ascending: None, runs: &divisors };
                let defined = Defined::Rows(&self.as_integer);
                let integers = pages::integers(integer, &self.integers, defined, scratch)?;
                (integers, pages::repeated(div, count, &values, defined, scratch)?)
            }
        };
        let value = pages::doubles(&schema.column(column::VALUE), bits, Defined::Rows(&self.defined), scratch)?;
        let stale = pages::booleans(&schema.column(column::STALE), &self.stale, scratch)?;
        let start = &schema.column(column::START_TS);
        let start_ts = if starts.is_empty() {
            pages::nothing(start, count, scratch)?
        } else {
            self.defined.clear();
            self.defined.extend(starts.iter().map(|s| *s != 0));
            pages::integers(start, starts, Defined::Rows(&self.defined), scratch)?
        };
        let origin = &schema.column(column::ORIGIN);
        let origin = if rows.from.is_empty() {
            pages::nothing(origin, count, scratch)?
        } else {
            let mut plain = Vec::new();
            for name in &rows.origins {
                plain.extend_from_slice(&(name.len() as u32).to_le_bytes());
                plain.extend_from_slice(name.as_bytes());
            }
            let values = Repeated { plain: &plain, count: rows.origins.len(), ascending: None, runs: &rows.from };
            self.defined.clear();
            self.defined.resize(count, true);
            pages::repeated(origin, count, &values, Defined::Rows(&self.defined), scratch)?
        };
        Ok(SampleGroup {
            columns: vec![series_id, times, value, stale, start_ts, origin, value_int, div],
            rows: count,
            series: ids.first().copied().zip(ids.last().copied()),
            times: range,
        })
    }
}
