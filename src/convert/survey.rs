//! One pass over the labels of everything that is converted.

use std::collections::BTreeMap;

use super::Options;
use crate::dataset::LabelColumns;
use crate::samples::at_most;
use crate::series::{Member, SeriesWalk};
use crate::source::Source;
use crate::time::Interval;

/// What has to be known before the first sample is written.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// All series, of every shard.
    pub series: u64,
    /// The first series of this shard, and the first behind it.
    pub shard: (i64, i64),
    /// Samples, estimated.
    pub samples: u64,
    /// The times of their chunks inside what is asked for.
    pub times: Option<Interval>,
    /// Labels with a column of their own: the same for every shard.
    pub columns: LabelColumns,
}

impl Survey {
    pub(super) fn take(source: &Source, walk: &SeriesWalk<'_>, options: &Options) -> Survey {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut survey = Survey::default();
        for series in walk.iter() {
            survey.series += 1;
            survey.samples += at_most(source, &series, options.interval);
            for label in series.labels.iter() {
                match counts.get_mut(&label.name[..]) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(label.name.to_vec(), 1);
                    }
                }
            }
            let pieces = series.members.iter().flat_map(Member::pieces).filter(|p| p.overlaps(&options.interval));
            survey.times = pieces.fold(survey.times, |all, p| {
                // A hostile index may say that a chunk ends before it starts.
                let p = Interval::new(p.start.min(p.end), p.end.max(p.start));
                Interval::joined(all, Some(p))
            });
        }
        survey.columns = LabelColumns::choose(&counts);
        let total = survey.series;
        let part = |i: u64, of: u64| (u128::from(total) * u128::from(i) / u128::from(of.max(1))) as i64;
        survey.shard = match options.shard {
            None => (0, total as i64),
            Some((index, of)) => (part(index.into(), of.into()), part(u64::from(index) + 1, of.into())),
        };
        survey
    }
}
