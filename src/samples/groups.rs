//! The row groups of datasets that one load needs, each decoded once for all series of the load.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::Kinds;
use crate::dataset::{Dataset, Group};
use crate::loss::Loss;
use crate::series::{Member, MergedSeries};
use crate::source::Source;
use crate::time::Interval;
use crate::tsdb::run::Run;

/// What was decoded of one row group: the series of the load that it has, or why nothing can be.
type Decoded = Result<BTreeMap<i64, Run>, Box<Loss>>;

/// The row groups of all datasets, decoded when they are asked for.
pub(super) struct Groups<'a> {
    datasets: Vec<OfDataset<'a>>,
}

struct OfDataset<'a> {
    dataset: &'a Dataset,
    /// The series of the load, ascending.
    wanted: Vec<i64>,
    cells: Vec<OnceLock<Decoded>>,
}

impl<'a> Groups<'a> {
    /// Prepares for `series`, and decodes what `interval` needs on all threads.
    pub(super) fn open(source: &'a Source, series: &[MergedSeries], interval: Interval, kinds: Kinds) -> Groups<'a> {
        let of = |(at, d): (usize, &'a crate::source::SourceDataset)| {
            let members = series.iter().flat_map(|s| &s.members).filter_map(|m| match m {
                Member::Dataset { dataset, position, .. } if *dataset == at => d.dataset.series.get(*position),
                _ => None,
            });
            let mut wanted: Vec<i64> = members.map(|s| s.record.id).collect();
            wanted.sort_unstable();
            let cells = d.dataset.groups.iter().map(|_| OnceLock::new()).collect();
            let of = OfDataset { dataset: &d.dataset, wanted, cells };
            (0..d.dataset.groups.len()).into_par_iter().for_each(|group| {
                let asked = |g: &&Group| g.times.overlaps(&interval) && (kinds == Kinds::All || !g.is_histograms());
                if d.dataset.groups.get(group).filter(asked).is_some() && of.has_wanted(group) {
                    of.decoded(group);
                }
            });
            of
        };
        Groups { datasets: source.datasets.iter().enumerate().map(of).collect() }
    }

    /// What the row groups that overlap `range` have of a series, each whole, in their order.
    pub(super) fn of(
        &self,
        dataset: usize,
        series: i64,
        range: Interval,
    ) -> impl Iterator<Item = (&'a Group, Result<Option<&Run>, &Loss>)> {
        let of = self.datasets.get(dataset);
        of.into_iter().flat_map(move |of| {
            let groups = of.dataset.groups_of(series).filter(move |(_, g)| g.times.overlaps(&range));
            groups.filter_map(move |(at, group)| {
                let decoded = of.decoded(at)?;
                Some((group, decoded.as_ref().map(|runs| runs.get(&series)).map_err(|loss| loss.as_ref())))
            })
        })
    }
}

impl OfDataset<'_> {
    fn has_wanted(&self, group: usize) -> bool {
        self.dataset.groups.get(group).is_some_and(|g| {
            let from = self.wanted.partition_point(|id| *id < g.series.0);
            self.wanted.get(from).is_some_and(|id| *id <= g.series.1)
        })
    }

    fn decoded(&self, group: usize) -> Option<&Decoded> {
        let (cell, of) = (self.cells.get(group)?, self.dataset.groups.get(group)?);
        let wanted = || {
            let from = self.wanted.partition_point(|id| *id < of.series.0);
            let to = self.wanted.partition_point(|id| *id <= of.series.1);
            self.wanted.get(from..to).unwrap_or_default()
        };
        Some(cell.get_or_init(|| of.read(wanted()).map(BTreeMap::from_iter)))
    }
}
