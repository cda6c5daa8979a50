//! A report as the values that the template reads.

use serde_json::{Value, json};

use crate::evidence::page::model::{Card, Cell, Count, Figure, List, Part, Report, Run, Section, Table, Tone, more};
use crate::evidence::page::paper;

use super::alphabet::{Alphabet, CODE, TEXT};

/// The longest word that is not cut: a time with milliseconds.
const WORD: usize = 24;
/// The longest text; of a longer one the rest is in the files alone.
const LONGEST: usize = 5_000;
/// The longest title: as long as the name of a file can be.
const TITLE: usize = 255;
/// The longest name in the foot of a page and in a plot.
const NAME: usize = 70;

/// All that the template reads.
pub fn document(report: &Report, listings: Value, alphabet: &Alphabet) -> Value {
    let w = Writer { alphabet, timeline: legible(&report.timeline, alphabet) };
    let facts: Vec<Value> = report.facts.iter().map(|(name, value)| json!([name, w.text(value)])).collect();
    let name = alphabet.text(&report.name);
    let colours: serde_json::Map<String, Value> =
        paper::palette().into_iter().map(|(name, colour)| (name.to_owned(), colour.into())).collect();
    json!({
        "title": format!("Evidence: {}", shortened(&name, TITLE)),
        "name": pieces(&shortened(&name, TITLE)),
        "short_name": shortened(&name, NAME),
        "facts": facts,
        "cards": report.cards.iter().map(|c| w.card(c)).collect::<Vec<Value>>(),
        "counts": report.counts.iter().map(|c| w.count(c)).collect::<Vec<Value>>(),
        "windows_are": w.text(&if report.windows_are.is_empty() { String::new() } else { format!("{}.", report.windows_are) }),
        "sections": report.sections.iter().map(|s| w.section(s)).collect::<Vec<Value>>(),
        "listings": listings,
        "made_by": w.text(&format!("Made by {} from the evidence and the code samples alone. The figures are those of the JSON documents.", report.made_by)),
        "fonts": [TEXT, CODE],
        "colours": colours,
    })
}

/// A value with names that fit into a plot, in letters that can be written.
fn legible(value: &Value, alphabet: &Alphabet) -> Value {
    match value {
        Value::String(s) => shortened(&alphabet.text(s), NAME).into(),
        Value::Array(all) => all.iter().map(|v| legible(v, alphabet)).collect(),
        Value::Object(all) => all.iter().map(|(k, v)| (alphabet.text(k), legible(v, alphabet))).collect(),
        other => other.clone(),
    }
}

/// The start of a long text.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() { text.to_owned() } else { text.chars().take(most).chain(['…']).collect() }
}

/// Text in pieces between which a line may end: beside the spaces of its words, behind signs in long words, and anywhere in
/// endless ones.
pub fn pieces(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let mut left = word.trim_end().chars().count();
        let is_long = left > WORD;
        let mut run = 0;
        for c in word.chars() {
            if let Some(piece) = out.last_mut() {
                piece.push(c);
            }
            left = left.saturating_sub(1);
            run += 1;
            if is_long && left > 0 && (run >= WORD || "/_,;=&|".contains(c)) {
                out.push(String::new());
                run = 0;
            }
        }
    }
    out
}

fn tone(tone: Tone) -> Value {
    json!({"colour": tone.class(), "mark": tone.mark()})
}

/// Writes the parts of a report.
struct Writer<'a> {
    alphabet: &'a Alphabet,
    /// What plots are drawn from.
    timeline: Value,
}

impl Writer<'_> {
    fn text(&self, text: &str) -> Value {
        pieces(&shortened(&self.alphabet.text(text), LONGEST)).into()
    }

    fn card(&self, card: &Card) -> Value {
        json!({
            "tone": tone(card.tone),
            "word": card.word,
            "title": self.text(&card.title),
            "figure": self.text(&card.figure),
            "unit": self.text(&card.unit),
            "span": self.text(&card.span),
            "reasons": card.reasons.iter().map(|r| self.text(r)).collect::<Vec<Value>>(),
        })
    }

    fn count(&self, count: &Count) -> Value {
        let bad = count.tone == Some(Tone::Bad);
        json!({"bad": bad, "figure": self.text(&count.figure), "words": self.text(&count.words)})
    }

    fn section(&self, section: &Section) -> Value {
        json!({"title": section.title, "parts": section.parts.iter().map(|p| self.part(p)).collect::<Vec<Value>>()})
    }

    fn part(&self, part: &Part) -> Value {
        match part {
            Part::Text(text) => json!({"kind": "text", "text": self.text(text)}),
            Part::Note(text) => json!({"kind": "note", "text": self.text(text)}),
            Part::Figure(figure) => self.figure(figure),
            Part::Table(table) => self.table(table, table.name),
            Part::Folded(words, Some(table)) => self.table(table, words),
            Part::Folded(words, None) => json!({"kind": "note", "text": self.text(words)}),
            Part::List(list) => self.list(list),
        }
    }

    fn figure(&self, figure: &Figure) -> Value {
        let legend = figure.legend.iter().map(|(class, name)| {
            let (shape, class) = class.split_once(' ').unwrap_or_default();
            json!({"shape": shape, "class": class, "name": self.text(name)})
        });
        json!({
            "kind": "figure",
            "title": figure.title,
            "note": self.text(figure.note),
            "alt": format!("{}. {}", figure.name, shortened(&self.alphabet.text(&figure.description), LONGEST)),
            "legend": legend.collect::<Vec<Value>>(),
            "svg": paper::plot(figure, &self.timeline, TEXT),
        })
    }

    fn table(&self, table: &Table, title: &str) -> Value {
        let row = |row: &Vec<Cell>| row.iter().map(|c| self.cell(c)).collect::<Vec<Value>>();
        json!({
            "kind": "table",
            "name": table.name,
            "title": title,
            "head": table.head,
            "rows": table.rows.iter().map(row).collect::<Vec<Vec<Value>>>(),
            "more": more(table.more),
        })
    }

    fn cell(&self, cell: &Cell) -> Value {
        cell.iter().map(|r| self.run(r)).collect()
    }

    fn run(&self, run: &Run) -> Value {
        match run {
            Run::Text(text) => json!({"kind": "text", "text": self.text(text)}),
            Run::Bold(text) => json!({"kind": "bold", "text": self.text(text)}),
            Run::Code(text) | Run::Path(text) => json!({"kind": "code", "text": self.text(text)}),
            Run::Digest(text) => {
                let text: Vec<char> = shortened(&self.alphabet.text(text), NAME).chars().collect();
                let halves: Vec<String> = text.chunks(32).map(|half| half.iter().collect()).collect();
                json!({"kind": "digest", "text": halves})
            }
            Run::Pill(of, word) => json!({"kind": "pill", "tone": tone(*of), "text": self.text(word)}),
            Run::Break => json!({"kind": "break"}),
        }
    }

    fn list(&self, list: &List) -> Value {
        let lines: Vec<Value> = list.lines.iter().map(|l| self.text(l)).collect();
        json!({"kind": "list", "title": list.title, "lines": lines, "more": more(list.more)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut() {
        for (text, expected) in [
            ("", &[""][..]),
            ("no cut, in 2025-11-19 12:00 UTC", &["no cut, in 2025-11-19 12:00 UTC"]),
            ("in evidence/availability/x_72h.json now", &["in evidence/", "availability/", "x_", "72h.json now"]),
            ("at 2025-11-19T11:59:51.740Z", &["at 2025-11-19T11:59:51.740Z"]),
            ("abcdefghijklmnopqrstuvwxyz x", &["abcdefghijklmnopqrstuvwx", "yz x"]),
        ] {
            assert_eq!(pieces(text), expected);
        }
        assert_eq!((shortened("äöü", 3).as_str(), shortened("äöü", 2).as_str()), ("äöü", "äö…"));
    }
}
