//! Go's unstable sort and binary heap, step for step.
//!
//! Where Prometheus sorts with ties or pops a heap with ties, the order of equals decides the answer: which block's
//! value wins, which series set is read first. These are the algorithms of Go's `slices.SortFunc` (pattern-defeating
//! quicksort, Go 1.19 and later) and `container/heap`, so that equals come out in the same order here.

use std::cmp::Ordering;

/// Sorts like Go's `slices.SortFunc` and `sort.Sort`: up to 12 elements by insertion (stable), more by
/// pattern-defeating quicksort (not stable, but the same permutation as Go's). The comparison need not be consistent.
pub fn sort_by<T>(data: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let n = data.len();
    let limit = usize::BITS - n.leading_zeros();
    let mut less = |a: &T, b: &T| compare(a, b) == Ordering::Less;
    pdq(data, 0, n, limit, &mut less);
}

#[derive(PartialEq, Clone, Copy)]
enum Hint {
    Unknown,
    Increasing,
    Decreasing,
}

type Less<'a, T> = &'a mut dyn FnMut(&T, &T) -> bool;

fn at<T>(data: &[T], i: usize, j: usize, less: Less<'_, T>) -> bool {
    match (data.get(i), data.get(j)) {
        (Some(a), Some(b)) => less(a, b),
        _ => false,
    }
}

fn insertion<T>(data: &mut [T], a: usize, b: usize, less: Less<'_, T>) {
    for i in a + 1..b {
        let mut j = i;
        while j > a && at(data, j, j - 1, less) {
            data.swap(j, j - 1);
            j -= 1;
        }
    }
}

fn sift_down<T>(data: &mut [T], lo: usize, hi: usize, first: usize, less: Less<'_, T>) {
    let mut root = lo;
    loop {
        let mut child = 2 * root + 1;
        if child >= hi {
            return;
        }
        if child + 1 < hi && at(data, first + child, first + child + 1, less) {
            child += 1;
        }
        if !at(data, first + root, first + child, less) {
            return;
        }
        data.swap(first + root, first + child);
        root = child;
    }
}

fn heap_sort<T>(data: &mut [T], a: usize, b: usize, less: Less<'_, T>) {
    let hi = b - a;
    for i in (0..hi.saturating_sub(1) / 2 + 1).rev() {
        sift_down(data, i, hi, a, less);
    }
    for i in (0..hi).rev() {
        data.swap(a, a + i);
        sift_down(data, 0, i, a, less);
    }
}

fn pdq<T>(data: &mut [T], mut a: usize, mut b: usize, mut limit: u32, less: Less<'_, T>) {
    let (mut balanced, mut partitioned) = (true, true);
    loop {
        let length = b - a;
        if length <= 12 {
            return insertion(data, a, b, less);
        }
        if limit == 0 {
            return heap_sort(data, a, b, less);
        }
        if !balanced {
            break_patterns(data, a, b);
            limit -= 1;
        }
        let (mut pivot, mut hint) = choose_pivot(data, a, b, less);
        if hint == Hint::Decreasing {
            data[a..b].reverse();
            pivot = (b - 1) - (pivot - a);
            hint = Hint::Increasing;
        }
        if balanced && partitioned && hint == Hint::Increasing && partial_insertion(data, a, b, less) {
            return;
        }
        if a > 0 && !at(data, a - 1, pivot, less) {
            a = partition_equal(data, a, b, pivot, less);
            continue;
        }
        let (mid, was_partitioned) = partition(data, a, b, pivot, less);
        partitioned = was_partitioned;
        let (left, right) = (mid - a, b - mid);
        let threshold = length / 8;
        if left < right {
            balanced = left >= threshold;
            pdq(data, a, mid, limit, less);
            a = mid + 1;
        } else {
            balanced = right >= threshold;
            pdq(data, mid + 1, b, limit, less);
            b = mid;
        }
    }
}

fn partition<T>(data: &mut [T], a: usize, b: usize, pivot: usize, less: Less<'_, T>) -> (usize, bool) {
    data.swap(a, pivot);
    let (mut i, mut j) = (a + 1, b - 1);
    while i <= j && at(data, i, a, less) {
        i += 1;
    }
    while i <= j && !at(data, j, a, less) {
        j -= 1;
    }
    if i > j {
        data.swap(j, a);
        return (j, true);
    }
    data.swap(i, j);
    i += 1;
    j -= 1;
    loop {
        while i <= j && at(data, i, a, less) {
            i += 1;
        }
        while i <= j && !at(data, j, a, less) {
            j -= 1;
        }
        if i > j {
            break;
        }
        data.swap(i, j);
        i += 1;
        j -= 1;
    }
    data.swap(j, a);
    (j, false)
}

fn partition_equal<T>(data: &mut [T], a: usize, b: usize, pivot: usize, less: Less<'_, T>) -> usize {
    data.swap(a, pivot);
    let (mut i, mut j) = (a + 1, b - 1);
    loop {
        while i <= j && !at(data, a, i, less) {
            i += 1;
        }
        while i <= j && at(data, a, j, less) {
            j -= 1;
        }
        if i > j {
            return i;
        }
        data.swap(i, j);
        i += 1;
        j -= 1;
    }
}

fn partial_insertion<T>(data: &mut [T], a: usize, b: usize, less: Less<'_, T>) -> bool {
    let mut i = a + 1;
    for _ in 0..5 {
        while i < b && !at(data, i, i - 1, less) {
            i += 1;
        }
        if i == b {
            return true;
        }
        if b - a < 50 {
            return false;
        }
        data.swap(i, i - 1);
        if i - a >= 2 {
            let mut j = i - 1;
            while j >= 1 {
                if !at(data, j, j - 1, less) {
                    break;
                }
                data.swap(j, j - 1);
                j -= 1;
            }
        }
        if b - i >= 2 {
            for j in i + 1..b {
                if !at(data, j, j - 1, less) {
                    break;
                }
                data.swap(j, j - 1);
            }
        }
    }
    false
}

fn break_patterns<T>(data: &mut [T], a: usize, b: usize) {
    let length = b - a;
    if length < 8 {
        return;
    }
    let mut random = length as u64;
    let modulus = 1usize << (usize::BITS - length.leading_zeros());
    let index = a + (length / 4) * 2 - 1;
    for i in 0..3 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut other = (random as usize) & (modulus - 1);
        if other >= length {
            other -= length;
        }
        data.swap(index + i, a + other);
    }
}

fn choose_pivot<T>(data: &[T], a: usize, b: usize, less: Less<'_, T>) -> (usize, Hint) {
    let length = b - a;
    let mut swaps = 0;
    let (mut i, mut j, mut k) = (a + length / 4, a + length / 4 * 2, a + length / 4 * 3);
    if length >= 8 {
        let mut median = |x: usize, y: usize, z: usize, swaps: &mut u32| {
            let (mut x, mut y, mut z) = (x, y, z);
            let mut order = |p: &mut usize, q: &mut usize| {
                if at(data, *q, *p, less) {
                    *swaps += 1;
                    std::mem::swap(p, q);
                }
            };
            order(&mut x, &mut y);
            order(&mut y, &mut z);
            order(&mut x, &mut y);
            let _ = (x, z);
            y
        };
        if length >= 50 {
            i = median(i - 1, i, i + 1, &mut swaps);
            j = median(j - 1, j, j + 1, &mut swaps);
            k = median(k - 1, k, k + 1, &mut swaps);
        }
        j = median(i, j, k, &mut swaps);
    }
    match swaps {
        0 => (j, Hint::Increasing),
        12 => (j, Hint::Decreasing),
        _ => (j, Hint::Unknown),
    }
}

/// `container/heap`: a binary heap whose order of equals is Go's.
#[derive(Debug)]
pub struct Heap<T> {
    items: Vec<T>,
}

impl<T> Default for Heap<T> {
    fn default() -> Heap<T> {
        Heap { items: Vec::new() }
    }
}

impl<T> Heap<T> {
    /// The least item.
    pub fn peek(&self) -> Option<&T> {
        self.items.first()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item.
    pub fn push(&mut self, item: T, mut less: impl FnMut(&T, &T) -> bool) {
        self.items.push(item);
        let mut j = self.items.len() - 1;
        while j > 0 {
            let i = (j - 1) / 2;
            if i == j || !at(&self.items, j, i, &mut less) {
                break;
            }
            self.items.swap(i, j);
            j = i;
        }
    }

    /// Removes the least item.
    pub fn pop(&mut self, mut less: impl FnMut(&T, &T) -> bool) -> Option<T> {
        let n = self.items.len().checked_sub(1)?;
        self.items.swap(0, n);
        sift_down(&mut self.items, 0, n, 0, &mut |a: &T, b: &T| less(b, a));
        self.items.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_equal_items_pop_as_one_three_two() {
        let mut heap = Heap::default();
        for i in 1..=3 {
            heap.push(i, |_, _| false);
        }
        let order: Vec<i32> = std::iter::from_fn(|| heap.pop(|_, _| false)).collect();
        assert_eq!(order, [1, 3, 2]);
    }

    /// Hashes (FNV-1a over the original positions) of the permutations that Go 1.26's `slices.SortFunc` gave for keys
    /// with many ties: number of elements, shift of the generator's output, hash.
    #[test]
    fn permutations_are_gos() {
        for (n, shift, expected) in [
            (13, 60, 0xf7d4b9e66695f679),
            (13, 62, 0x4d14e9467e723fad),
            (13, 52, 0xf7d81ae66698d123),
            (49, 60, 0x95e9d971aa826b1d),
            (49, 62, 0x3621946542df5a8f),
            (49, 52, 0xeccdbfb8d4b18401),
            (50, 60, 0x245968847bd69f0e),
            (50, 62, 0xda4534d0017b0972),
            (50, 52, 0xe388bcdff13604f4),
            (100, 60, 0xceb3482011c44151),
            (100, 62, 0x38376d79ef23f645),
            (100, 52, 0x6a32bf7a47e58c79),
            (1000, 60, 0x2f8f53e8d08a64a7),
            (1000, 62, 0xa5b991a57fca6643),
            (1000, 52, 0xe665b87ee043d12b),
            (5000, 60, 0xd5a1e1a11d600ebb),
            (5000, 62, 0xeca83cbef88023d7),
            (5000, 52, 0xacc167f7da71747d),
        ] {
            let mut x = 12345u64;
            let mut data: Vec<(u64, usize)> = (0..n)
                .map(|i| {
                    x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (x >> shift, i)
                })
                .collect();
            sort_by(&mut data, |a, b| a.0.cmp(&b.0));
            let hash = data
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |h, (_, i)| (h ^ *i as u64).wrapping_mul(1_099_511_628_211));
            assert_eq!(hash, expected, "{n} elements, shift {shift}");
        }
    }

    #[test]
    fn sorts_are_sorted_and_small_ones_stable() {
        for n in [0usize, 1, 5, 12, 13, 49, 50, 100, 1000] {
            let mut x = 12345u64;
            let mut data: Vec<(u64, usize)> = (0..n)
                .map(|i| {
                    x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (x >> 60, i)
                })
                .collect();
            let mut expected = data.clone();
            expected.sort();
            sort_by(&mut data, |a, b| a.0.cmp(&b.0));
            assert!(data.windows(2).all(|w| w[0].0 <= w[1].0), "{n}");
            if n <= 12 {
                assert_eq!(data, expected, "{n}");
            }
            data.sort();
            assert_eq!(data, expected, "a permutation");
        }
    }
}
