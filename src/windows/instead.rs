//! What is there instead, when a question finds nothing: nearest metric names, label values, covered times.

use std::collections::BTreeSet;

use crate::labels::{METRIC_NAME, printable};
use crate::selector::{Matcher, Selector};
use crate::series::select;
use crate::source::Source;
use crate::time::Interval;
use crate::windows::Span;

/// Sentences that say what the source has in place of what `selector` asked for, and what to do. Empty when the
/// selector has samples inside the window.
pub fn instead(source: &Source, selector: &Selector, selected: Option<Interval>, span: Span) -> Vec<String> {
    let mut out = Vec::new();
    match selected {
        None => out.extend(missing(source, selector)),
        Some(i) if i.end <= span.start || i.start > span.end => {
            out.push(format!(
                "{selector} has samples from {i}, outside the window; ask about that time with --start or --end"
            ));
        }
        Some(_) => {}
    }
    if let Some(all) = source.interval()
        && (!out.is_empty() || all.end <= span.start || all.start > span.end)
    {
        out.push(format!("the data cover {all}"));
    }
    out
}

/// Why a selector finds nothing, and what there is in its place.
pub fn missing(source: &Source, selector: &Selector) -> Vec<String> {
    let names = metric_names(source);
    let mut out = vec![format!("no series matches {selector}")];
    let Some(name) = selector.metric_name() else {
        out.push(format!("the source has {} metric names; `promproof inspect` lists them", names.len()));
        return out;
    };
    if names.contains(&name) {
        // The metric is there, so a label matcher excludes it: say which values there are.
        let all = select(source, &[Matcher::equal(METRIC_NAME, name.as_bytes())]).series;
        for m in selector.matchers().iter().filter(|m| m.name() != METRIC_NAME) {
            if all.iter().any(|s| m.matches(s.labels.get(m.name()))) {
                continue;
            }
            let values: BTreeSet<String> =
                all.iter().map(|s| String::from_utf8_lossy(s.labels.get(m.name())).into_owned()).collect();
            let shown: Vec<String> = values.iter().take(8).map(|v| crate::labels::quoted(v.as_bytes())).collect();
            out.push(format!(
                "{} exists, but {m} matches none of its series; values of {}: {}",
                printable(&name),
                printable(&String::from_utf8_lossy(m.name())),
                shown.join(", ")
            ));
        }
        return out;
    }
    let near = nearest(&name, &names);
    if near.is_empty() {
        out.push(format!("none of the {} metric names resembles it; `promproof inspect` lists them", names.len()));
    } else {
        out.push(format!(
            "the nearest metric names are {}",
            near.iter().map(|n| printable(n)).collect::<Vec<_>>().join(", ")
        ));
    }
    out
}

/// Every metric name of the source, sorted.
pub fn metric_names(source: &Source) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for b in &source.blocks {
        let Some(index) = &b.block.index else {
            continue;
        };
        match index.value_counts(METRIC_NAME) {
            Some(counts) => names.extend(counts.into_keys().map(|n| String::from_utf8_lossy(&n).into_owned())),
            None => names.extend(index.scan().series.iter().map(|s| s.labels.get_text("__name__"))),
        }
    }
    let in_heads = source.heads.iter().flat_map(|h| &h.head.series).map(|s| &s.labels);
    let in_datasets = source.datasets.iter().flat_map(|d| &d.dataset.series).map(|s| &s.record.labels);
    let in_dumps = source.dumps.iter().flat_map(|d| &d.dumps.series).map(|s| &s.labels);
    names.extend(in_heads.chain(in_datasets).chain(in_dumps).map(|labels| labels.get_text("__name__")));
    names
}

/// The names most like `wanted`, best first, at most five; only those that share more than half of the text.
fn nearest(wanted: &str, names: &BTreeSet<String>) -> Vec<String> {
    let mut scored: Vec<(usize, &String)> = names
        .iter()
        // A series may have no name, which is no help.
        .filter(|n| !n.is_empty() && n.len() <= 4 * wanted.len().max(8))
        .map(|n| (distance(wanted.as_bytes(), n.as_bytes()), n))
        .filter(|(d, n)| *d * 2 <= wanted.len().max(n.len()) || n.contains(wanted) || wanted.contains(n.as_str()))
        .collect();
    scored.sort();
    scored.into_iter().take(5).map(|(_, n)| n.clone()).collect()
}

/// Levenshtein's distance in bytes, in memory of one row.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let best = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            left = best;
            next.push(best);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        let names: BTreeSet<String> = ["recommend_request_total", "recommend_requests", "up", "go_goroutines"]
            .iter()
            .map(|s| (*s).to_owned())
            .collect();
        assert_eq!(nearest("recommend_requests_total", &names), ["recommend_request_total", "recommend_requests"]);
    }
}
