//! In which order a server adds series up.

use crate::time::Interval;

/// Whether a query is answered from the head alone, told from what a server knows when it chooses what to read
/// (`tsdb/db.go: Querier`). The head hands its series out in the order of their references, that is of their creation;
/// everything else is in label order. Sums of doubles depend on it in the last bit.
#[derive(Debug, Clone, Default)]
pub struct SumOrder {
    pub(super) head: Option<HeadTimes>,
    /// Times of the blocks, the end not included.
    pub(super) blocks: Vec<(i64, i64)>,
}

#[derive(Debug, Clone)]
pub(super) struct HeadTimes {
    pub(super) in_order: Option<Interval>,
    pub(super) late: Option<Interval>,
    /// Whether out-of-order samples are a part of their own.
    pub(super) apart: bool,
}

impl SumOrder {
    /// Whether sums over a query of `window`, both ends included, run in the order of references.
    pub fn by_reference(&self, window: Interval) -> bool {
        let Some(head) = &self.head else { return false };
        let in_order = head.in_order.is_some_and(|t| window.end >= t.start);
        let late = head.late.is_some_and(|t| t.overlaps(&window));
        let one_head = if head.apart { in_order != late } else { in_order || late };
        one_head && !self.blocks.iter().any(|(min, max)| *min <= window.end && window.start < *max)
    }
}
