//! [`Texts`]: which series a line is about, by its bytes.

use std::collections::HashMap;
use std::sync::Arc;

/// Series by their names and labels as they stand in lines.
///
/// A target prints its series in one order, so the series that stood behind this one last time is compared first, and nothing
/// is hashed where it is the one.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: Vec<Text>,
    by_key: HashMap<Arc<[u8]>, usize>,
    /// The position of the line before.
    last: usize,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Text {
    /// The bytes of the line, and one for what else decides.
    key: Arc<[u8]>,
    series: u32,
    /// The position of what stood behind it last time.
    next: usize,
}

impl Texts {
    /// The series of a line with these bytes, if it is known. `kind` tells lines apart whose bytes are equal.
    #[inline]
    pub(super) fn find(&mut self, series: &[u8], kind: u8) -> Option<u32> {
        let guess = self.all.get(self.last).map_or(0, |t| t.next);
        if let Some(text) = self.all.get(guess)
            && text.key.split_last() == Some((&kind, series))
        {
            self.last = guess;
            return Some(text.series);
        }
        self.key.clear();
        self.key.extend_from_slice(series);
        self.key.push(kind);
        let at = *self.by_key.get(self.key.as_slice())?;
        self.step(at);
        self.all.get(at).map(|t| t.series)
    }

    /// Keeps what [`Texts::find`], asked before, did not know.
    pub(super) fn insert(&mut self, series: u32) {
        let key: Arc<[u8]> = self.key.as_slice().into();
        let at = self.all.len();
        self.all.push(Text { key: key.clone(), series, next: at });
        self.by_key.insert(key, at);
        self.step(at);
    }

    fn step(&mut self, at: usize) {
        if let Some(before) = self.all.get_mut(self.last) {
            before.next = at;
        }
        self.last = at;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_found_again_in_any_order(lines in proptest::collection::vec(("[ab]{0,3}", 0u8..2), 0..200)) {
            let mut texts = Texts::default();
            let mut known: HashMap<(String, u8), u32> = HashMap::new();
            for (at, (series, kind)) in lines.into_iter().enumerate() {
                let found = texts.find(series.as_bytes(), kind);
                prop_assert_eq!(found, known.get(&(series.clone(), kind)).copied());
                if found.is_none() {
                    texts.insert(at as u32);
                    known.insert((series, kind), at as u32);
                }
            }
        }
    }
}
