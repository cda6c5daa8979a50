//! Mutations of a few blocks.

use super::forgeries::forgeries;
use super::*;

pub fn golden() -> Golden {
    let golden = Golden::new("damage/data", Kinds::Floats, &SELECTORS);
    assert_eq!(golden.files.len(), 12);
    assert!(golden.reference.1.deleted > 0 && golden.reference.1.conflicts.is_empty());
    golden
}

/// A deleted folder leaves nothing that tells of it.
pub fn nothing_left(m: &Mutation, _: &(Answer, Ledger), _: &[Changed]) -> Option<Outcome> {
    (m.class == "deleted block").then_some(Outcome::Untold)
}

#[test]
fn every_accident_is_survived_or_named() {
    let golden = golden();
    let (many, mut mutations) = accidents(&golden.files);
    let rest = 20_000usize.saturating_sub(mutations.len()).max(2_000);
    mutations.extend(sampled(many, rest));
    let total = mutations.len();
    assert!(total >= 20_000);
    let before = peak_kb();
    let tally = run(&golden, &mutations, &nothing_left);
    print("accidents", &tally, total);
    bounded(&tally, before);
    assert!(tally.silent.is_empty(), "{} wrong answers without a named loss", tally.silent.len());
}

#[test]
fn forged_data_ends_in_an_answer_or_an_error() {
    let golden = golden();
    let mutations = sampled(forgeries(&golden.files), 12_000);
    let total = mutations.len();
    assert!(total >= 12_000);
    let before = peak_kb();
    let tally = run(&golden, &mutations, &no_excuse);
    print("forgeries", &tally, total);
    bounded(&tally, before);
}

/// Reads the golden directory with one change.
fn with(file: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> (Answer, Ledger) {
    let dir = scratch();
    for (name, bytes) in golden().files {
        let changed = if name == file { change(bytes) } else { Some(bytes) };
        write(dir.path(), &name, changed.as_deref());
    }
    read(dir.path(), PLAIN, &parsed(&SELECTORS)).unwrap()
}

#[test]
fn deletions_that_vanish_are_a_loss() {
    let (_, ledger) = with("01M89YB0KY3HFCEWR5CDW6RXJN/tombstones", |_| None);
    assert!(ledger.losses.iter().any(|l| l.file.ends_with("tombstones") && l.detail.contains("3 deleted intervals")));
}

#[test]
fn a_broken_key_name_brings_no_parent_back_in_silence() {
    let meta = "01M89YB0KY3HFCEWR5CDW6RXJN/meta.json";
    let (answer, ledger) = with(meta, |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        Some(text.replace("\"parents\"", "\"parentr\"").into_bytes())
    });
    assert!(answer.shadowed.is_empty());
    let named = |what: &str| ledger.notes.iter().any(|n| n.contains(what));
    assert!(named("compaction.parentr") && named("names no parents"));
}
