//! Postings: for every label pair the sorted list of series that carry it.

use std::collections::BTreeMap;

use super::{at, section};
use crate::raw::{Cursor, Fault, FaultKind};

/// Where the entries of each label name stand in the table. Versions 2 and 3 keep a name's entries together; version 1
/// scatters them, which gives a name several runs.
#[derive(Debug)]
pub(super) struct PostingsTable {
    runs: BTreeMap<Box<[u8]>, Vec<Run>>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    offset: u64,
    entries: u64,
}

/// An entry of the postings table: a label pair and where its list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableEntry<'a> {
    /// Byte offset of the entry in the file.
    pub offset: u64,
    /// The label's name; empty, as its value, for the list of all series.
    pub name: &'a [u8],
    /// The label's value.
    pub value: &'a [u8],
    /// Byte offset of the list.
    pub list: u64,
}

pub(super) fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<TableEntry<'a>, Fault> {
    let offset = cursor.offset();
    let keys = cursor.uvarint("number of keys in the postings table")?;
    if keys != 2 {
        return Err(cursor.malformed("number of keys in the postings table", keys, "it must be 2"));
    }
    Ok(TableEntry {
        offset,
        name: cursor.string("label name in the postings table")?,
        value: cursor.string("label value in the postings table")?,
        list: cursor.uvarint("offset of a postings list")?,
    })
}

impl PostingsTable {
    pub(super) fn parse(bytes: &[u8], offset: u64) -> Result<PostingsTable, Fault> {
        let mut cursor = section(bytes, offset, "postings table")?;
        let count = u64::from(cursor.u32("number of postings lists")?);
        cursor.bounded(count, 4, "number of postings lists")?;
        let mut runs: BTreeMap<Box<[u8]>, Vec<Run>> = BTreeMap::new();
        let mut open: Option<(&[u8], Run)> = None;
        for _ in 0..count {
            let e = entry(&mut cursor)?;
            match &mut open {
                Some((name, run)) if *name == e.name => run.entries += 1,
                _ => {
                    if let Some((name, run)) = open.replace((e.name, Run { offset: e.offset, entries: 1 })) {
                        runs.entry(name.into()).or_default().push(run);
                    }
                }
            }
        }
        if let Some((name, run)) = open {
            runs.entry(name.into()).or_default().push(run);
        }
        Ok(PostingsTable { runs })
    }

    /// The series of all values of `name` that `wanted` accepts, sorted, each once.
    pub(super) fn union(&self, bytes: &[u8], name: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<u32>, Fault> {
        let mut refs = Vec::new();
        let mut lists = 0;
        self.each(bytes, name, |value, list| {
            if wanted(value) {
                let members = postings_list(bytes, list)?;
                within(bytes, refs.len() + members.len(), list)?;
                refs.extend(members);
                lists += 1;
            }
            Ok(())
        })?;
        if lists > 1 || !refs.is_sorted() {
            refs.sort_unstable();
        }
        refs.dedup();
        Ok(refs)
    }

    /// The list of all series (the empty label pair) as it is stored; `None` where the table does not name it.
    pub(super) fn all(&self, bytes: &[u8]) -> Result<Option<Vec<u32>>, Fault> {
        let mut refs = None;
        self.each(bytes, b"", |value, list| {
            if value.is_empty() {
                refs = Some(postings_list(bytes, list)?.collect());
            }
            Ok(())
        })?;
        Ok(refs)
    }

    pub(super) fn value_counts(&self, bytes: &[u8], name: &[u8]) -> Result<BTreeMap<Vec<u8>, u64>, Fault> {
        let mut counts = BTreeMap::new();
        let mut total = 0;
        self.each(bytes, name, |value, list| {
            let members = postings_list(bytes, list)?.len();
            total += members;
            within(bytes, total, list)?;
            *counts.entry(value.to_vec()).or_default() += members as u64;
            Ok(())
        })?;
        Ok(counts)
    }

    fn each<'a>(
        &self,
        bytes: &'a [u8],
        name: &[u8],
        mut visit: impl FnMut(&'a [u8], u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for run in self.runs.get(name).into_iter().flatten() {
            let mut cursor = at(bytes, run.offset, "postings table")?;
            for _ in 0..run.entries {
                let e = entry(&mut cursor)?;
                visit(e.value, e.list)?;
            }
        }
        Ok(())
    }
}

/// The lists of one label name share no series, so together they are no longer than the index has room for series (at
/// least 8 bytes each). Without this, many table entries that point at one list would multiply it.
fn within(bytes: &[u8], refs: usize, list: u64) -> Result<(), Fault> {
    if refs <= bytes.len() / 8 {
        return Ok(());
    }
    let kind = FaultKind::Malformed { found: refs as u64, rule: "the lists of a label hold each series once" };
    Err(Fault::new(list, "number of postings", kind))
}

pub(super) fn postings_list(bytes: &[u8], offset: u64) -> Result<impl ExactSizeIterator<Item = u32> + '_, Fault> {
    let mut cursor = section(bytes, offset, "postings list")?;
    let count = u64::from(cursor.u32("number of postings")?);
    if cursor.left() as u64 != count * 4 {
        let kind = FaultKind::Malformed { found: count, rule: "it must fill the list, 4 bytes each" };
        return Err(Fault::new(offset, "number of postings", kind));
    }
    let (words, _) = cursor.rest().as_chunks::<4>();
    Ok(words.iter().map(|w| u32::from_be_bytes(*w)))
}
