//! [`Ids`]: the series of a scrape, one after the other. A target prints them in one order, so that nearly all follow the one
//! before by number too.

/// Numbers of series in the order of their lines, as runs of numbers that follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ids(Vec<Run>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    count: u32,
}

impl Ids {
    pub(super) fn push(&mut self, id: u32) {
        match self.0.last_mut() {
            Some(run) if run.first.checked_add(run.count) == Some(id) => run.count += 1,
            _ => self.0.push(Run { first: id, count: 1 }),
        }
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<u32> {
        self.0.last().map(|run| run.first + (run.count - 1))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|run| (0..run.count).map(|i| run.first + i))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u32> for Ids {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Ids {
        let mut out = Ids::default();
        ids.into_iter().for_each(|id| out.push(id));
        out.0.shrink_to_fit();
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_come_back_and_equal_ones_are_equal(ids in proptest::collection::vec(prop_oneof![0u32..6, Just(u32::MAX)], 0..20)) {
            let packed: Ids = ids.iter().copied().collect();
            prop_assert_eq!(packed.last(), ids.last().copied());
            prop_assert_eq!(packed.is_empty(), ids.is_empty());
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), ids);
            prop_assert_eq!(packed.iter().collect::<Ids>(), packed);
        }
    }
}
