//! A report as the values that the template reads.

use serde_json::{Value, json};

use crate::evidence::page::model::{Card, Cell, Count, Figure, List, Part, Report, Run, Section, Table, Tone};
use crate::evidence::page::{moment, paper, pieces};

use super::alphabet::{Alphabet, CODE, TEXT};

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
        "status": report.status.as_ref().map(|(of, words)| w.pill(*of, words)),
        "cards": report.cards.iter().map(|c| w.card(c)).collect::<Vec<Value>>(),
        "counts": report.counts.iter().map(|c| w.count(c)).collect::<Vec<Value>>(),
        "windows_are": w.cell(&report.windows_are),
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
            "reasons": card.reasons.iter().map(|r| self.cell(r)).collect::<Vec<Value>>(),
        })
    }

    fn count(&self, count: &Count) -> Value {
        json!({"tone": count.tone.map(tone), "figure": self.text(&count.figure), "words": self.text(&count.words)})
    }

    fn section(&self, section: &Section) -> Value {
        let parts: Vec<Value> = section.parts.iter().map(|p| self.part(section, p)).collect();
        json!({"id": section.id, "title": section.title, "parts": parts})
    }

    fn part(&self, section: &Section, part: &Part) -> Value {
        match part {
            Part::Text(text) => json!({"kind": "text", "text": self.text(text)}),
            Part::Note(text) => json!({"kind": "note", "text": self.text(text)}),
            Part::Figure(figure) => self.figure(figure),
            Part::Table(table) => self.table(table, Some(table.name).filter(|name| !section.says(name))),
            Part::Folded(words, table) => self.table(table, Some(words)),
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
            "figures": figure.figures,
            "alt": format!("{}. {}", figure.name, shortened(&self.alphabet.text(&figure.description), LONGEST)),
            "legend": legend.collect::<Vec<Value>>(),
            "svg": paper::plot(figure, &self.timeline, TEXT),
        })
    }

    fn table(&self, table: &Table, title: Option<&str>) -> Value {
        let row = |row: &Vec<Cell>| row.iter().map(|c| self.cell(c)).collect::<Vec<Value>>();
        json!({
            "kind": "table",
            "name": table.name,
            "title": title,
            "compact": table.compact,
            "head": table.head.iter().map(|h| self.text(h)).collect::<Vec<Value>>(),
            "numeric": (0..table.head.len()).map(|column| table.is_numeric(column)).collect::<Vec<bool>>(),
            "rows": table.rows.iter().map(row).collect::<Vec<Vec<Value>>>(),
            "more": table.rest(),
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
            Run::Pill(of, word) => self.pill(*of, word),
            Run::Time(exact) => json!({"kind": "time", "text": [moment(exact)]}),
            Run::Break => json!({"kind": "break"}),
        }
    }

    fn pill(&self, of: Tone, word: &str) -> Value {
        json!({"kind": "pill", "tone": tone(of), "text": self.text(word)})
    }

    fn list(&self, list: &List) -> Value {
        let lines: Vec<Value> = list.lines.iter().map(|l| self.cell(l)).collect();
        json!({"kind": "list", "title": list.title, "lines": lines, "more": list.rest()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!((shortened("äöü", 3).as_str(), shortened("äöü", 2).as_str()), ("äöü", "äö…"));
    }
}
