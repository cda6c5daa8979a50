//! Dumps that were cut at the end of a line. Text 0.0.4 has no end mark, so only the dumps around one tell: what both of them
//! have and it has not stands behind all that it has.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

use super::ids::Ids;

/// What was seen of a target at one time.
pub(super) struct Moment<'a> {
    /// Its series, in the order of the lines.
    pub(super) ids: Cow<'a, Ids>,
    /// Nothing is known to be lost, so that others may be measured by it.
    pub(super) whole: bool,
    /// It says itself where it ends, or why it lacks what was there before: its target began anew.
    pub(super) closed: bool,
}

/// The moments that seem to be cut, by position in time, and how many series each of them lacks. One that is cut is no
/// measure for those beside it, which are then measured by the next one.
pub(super) fn cut_at_a_line(moments: &[Moment<'_>]) -> Vec<(usize, usize)> {
    let sound: Vec<&Moment<'_>> = moments.iter().filter(|m| m.whole).collect();
    let mut before: Vec<Option<usize>> = (0..sound.len()).map(|at| at.checked_sub(1)).collect();
    let mut after: Vec<Option<usize>> = (1..=sound.len()).map(|at| (at < sound.len()).then_some(at)).collect();
    let mut missing = vec![0; sound.len()];
    let mut todo: VecDeque<usize> = (0..sound.len()).collect();
    while let Some(at) = todo.pop_front() {
        let neighbours = before.get(at).copied().flatten().zip(after.get(at).copied().flatten());
        let (Some((left, right)), Some(lacks)) = (neighbours, missing.get_mut(at)) else { continue };
        let (Some(a), Some(m), Some(b)) = (sound.get(left), sound.get(at), sound.get(right)) else { continue };
        if *lacks > 0 || m.closed {
            continue;
        }
        *lacks = missing_at_the_end(&a.ids, &m.ids, &b.ids);
        if *lacks > 0 {
            after.get_mut(left).into_iter().for_each(|of| *of = Some(right));
            before.get_mut(right).into_iter().for_each(|of| *of = Some(left));
            todo.extend([left, right]);
        }
    }
    // What was measured by one that turned out to be cut lacks more.
    let mut next = None;
    for at in (0..sound.len()).rev() {
        after.get_mut(at).into_iter().for_each(|of| *of = next);
        next = if missing.get(at) == Some(&0) { Some(at) } else { next };
    }
    let positions = moments.iter().enumerate().filter(|(_, m)| m.whole).map(|(position, _)| position);
    let mut last = None;
    let mut cut = Vec::new();
    for ((at, position), lacks) in positions.enumerate().zip(missing) {
        if lacks == 0 {
            last = Some(at);
            continue;
        }
        let nothing = Ids::default();
        let ids = |at: Option<usize>| at.and_then(|at| sound.get(at)).map_or(&nothing, |m| &m.ids);
        let all = missing_at_the_end(ids(last), ids(Some(at)), ids(after.get(at).copied().flatten()));
        cut.push((position, lacks.max(all)));
    }
    cut
}

/// How many series `before` and `after` have that `cut` lacks, if all of these stand behind all that it has; 0 otherwise. Where
/// it ends with a series that they do not have, it went on in its own way, and was not cut.
fn missing_at_the_end(before: &Ids, cut: &Ids, after: &Ids) -> usize {
    if before == cut || after == cut {
        return 0;
    }
    let here: HashSet<u32> = cut.iter().collect();
    let earlier: HashSet<u32> = before.iter().collect();
    let lacking: HashSet<u32> = after.iter().filter(|id| earlier.contains(id) && !here.contains(id)).collect();
    if lacking.is_empty() {
        return 0;
    }
    let is_known = cut.last().is_none_or(|last| earlier.contains(&last) && after.iter().any(|id| id == last));
    let ends_with_them = |all: &Ids| {
        let mut from_the_first = all.iter().skip_while(|id| !lacking.contains(id));
        !from_the_first.any(|id| here.contains(&id))
    };
    if is_known && ends_with_them(before) && ends_with_them(after) { lacking.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(ids: &[u32]) -> Moment<'static> {
        Moment { ids: Cow::Owned(ids.iter().copied().collect()), whole: true, closed: false }
    }

    fn found(moments: &[&[u32]]) -> Vec<(usize, usize)> {
        cut_at_a_line(&moments.iter().map(|ids| moment(ids)).collect::<Vec<_>>())
    }

    #[test]
    fn what_both_neighbours_have_behind_the_end_is_missing() {
        let all: &[u32] = &[0, 1, 2, 3];
        assert_eq!(found(&[all, &[0, 1], all]), [(1, 2)]);
        assert_eq!(found(&[all, &[], all]), [(1, 4)], "comments alone");
        assert_eq!(found(&[all, &[0, 1], &[0, 1, 2]]), [(1, 1)]);
        // In the middle, for good, new ones behind it, or beside what has one neighbour only.
        assert_eq!(found(&[all, &[0, 1, 3], all]), []);
        assert_eq!(found(&[all, &[0, 1], &[0, 1]]), []);
        assert_eq!(found(&[all, &[0, 1, 2, 9], all]), []);
        assert_eq!(found(&[&[0, 1], all]), []);
        // A restart that orders them otherwise.
        assert_eq!(found(&[&[0, 1, 2], &[0, 1], &[2, 0, 1]]), []);
    }

    #[test]
    fn cut_ones_beside_each_other_are_measured_by_the_next() {
        let all: &[u32] = &[0, 1, 2, 3];
        assert_eq!(found(&[all, &[0], &[0, 1, 2], all]), [(1, 3), (2, 1)]);
        assert_eq!(found(&[all, &[0, 1, 2], &[0], all]), [(1, 1), (2, 3)]);
        assert_eq!(found(&[all, &[0], &[0, 1], &[0], all]), [(1, 3), (2, 2), (3, 3)]);
        let closed = Moment { closed: true, ..moment(&[0]) };
        assert_eq!(cut_at_a_line(&[moment(all), closed, moment(all)]), []);
        let damaged = Moment { whole: false, ..moment(&[0]) };
        assert_eq!(cut_at_a_line(&[moment(all), damaged, moment(&[0, 1]), moment(all)]), [(2, 2)]);
    }
}
