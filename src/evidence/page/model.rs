//! What a report says, before it is a page or a document: plain text in parts, nothing escaped yet.

use serde_json::Value;

use super::plots::Frame;
use super::svg::Svg;
use super::words::{NONE, prose};

/// A report from top to bottom.
#[derive(Debug)]
pub struct Report {
    /// The name of the source.
    pub name: String,
    /// What it is about: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// How far a package is, in a sentence; nothing for an evidence folder by itself.
    pub status: Option<(Tone, String)>,
    /// The verdicts.
    pub cards: Vec<Card>,
    /// What was counted, below the verdicts.
    pub counts: Vec<Count>,
    /// What the times of the windows are.
    pub windows_are: Cell,
    /// Everything else.
    pub sections: Vec<Section>,
    /// The program and its version.
    pub made_by: String,
    /// What the plots are drawn from: `timeline.json`.
    pub timeline: Value,
}

/// How good something is: its colour and its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It holds.
    Good,
    /// It does not.
    Bad,
    /// Nobody can say.
    Unknown,
}

impl Tone {
    /// Its class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Unknown => "unknown",
        }
    }

    /// What says it without a colour.
    pub fn mark(self) -> &'static str {
        match self {
            Tone::Good => "✓",
            Tone::Bad => "✗",
            Tone::Unknown => "?",
        }
    }
}

impl From<Option<bool>> for Tone {
    fn from(ok: Option<bool>) -> Tone {
        match ok {
            Some(true) => Tone::Good,
            Some(false) => Tone::Bad,
            None => Tone::Unknown,
        }
    }
}

/// A verdict with its figure.
#[derive(Debug)]
pub struct Card {
    pub tone: Tone,
    /// The verdict in words.
    pub word: &'static str,
    pub title: String,
    pub figure: String,
    /// What the figure is held against.
    pub unit: String,
    /// From when to when.
    pub span: String,
    pub reasons: Vec<Cell>,
}

/// A figure with words behind it, such as `3` and `parts missing`.
#[derive(Debug)]
pub struct Count {
    pub tone: Option<Tone>,
    pub figure: String,
    pub words: String,
}

/// A part with a heading.
#[derive(Debug)]
pub struct Section {
    /// A word that is unique in the report.
    pub id: &'static str,
    pub title: &'static str,
    pub parts: Vec<Part>,
}

impl Section {
    pub fn new(id: &'static str, title: &'static str) -> Section {
        Section { id, title, parts: Vec::new() }
    }

    pub fn push(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Adds a table; one without rows is none.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.push(Part::Table(table));
        }
    }

    /// Adds a table that a page shows only when it is asked for.
    pub fn folded(&mut self, words: String, table: Table) {
        if !table.rows.is_empty() {
            self.push(Part::Folded(words, table));
        }
    }

    /// Whether a heading would only say again what that of the section says.
    pub fn says(&self, title: &str) -> bool {
        self.title == title || self.parts.len() == 1
    }
}

/// What stands in a section.
#[derive(Debug)]
pub enum Part {
    /// A sentence.
    Text(&'static str),
    /// A sentence beside the matter.
    Note(&'static str),
    Figure(Figure),
    Table(Table),
    /// A table that a page shows only when it is asked for, with words that ask.
    Folded(String, Table),
    List(List),
}

/// A plot with its key.
#[derive(Debug)]
pub struct Figure {
    /// A word that is unique in the report.
    pub id: &'static str,
    pub title: &'static str,
    /// What the values are.
    pub note: &'static str,
    /// Name and description for those who do not see the plot.
    pub name: &'static str,
    pub description: String,
    /// The section with the figures, and its title; nothing where they follow at once.
    pub figures: Option<(&'static str, &'static str)>,
    /// Classes of the style sheet with what they stand for.
    pub legend: Vec<(String, String)>,
    pub draw: fn(&Value, &Frame) -> Svg,
}

/// Rows of cells.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub head: Vec<String>,
    /// Each as long as the head.
    pub rows: Vec<Vec<Cell>>,
    /// Whether short figures stand in it, which stay in columns on a narrow screen, where rows of words become lists.
    pub compact: bool,
    /// How many rows there are beside those shown.
    more: usize,
    /// The document that has all of them.
    document: &'static str,
}

impl Table {
    /// A table of words: all rows, or those that are shown.
    pub fn words<const N: usize>(
        name: &'static str,
        head: [&'static str; N],
        rows: impl Iterator<Item = [Cell; N]>,
    ) -> Table {
        let head = head.map(str::to_owned).to_vec();
        Table { name, head, rows: rows.map(Vec::from).collect(), compact: false, more: 0, document: "" }
    }

    /// A table of figures.
    pub fn figures(name: &'static str, head: Vec<String>, rows: impl Iterator<Item = Vec<Cell>>) -> Table {
        Table { name, head, rows: rows.collect(), compact: true, more: 0, document: "" }
    }

    /// Tells that there are `count` rows, all of them in `document`.
    pub fn of(mut self, count: usize, document: &'static str) -> Table {
        self.more = count.saturating_sub(self.rows.len());
        self.document = document;
        self
    }

    /// What is not shown, in words; nothing where all is shown.
    pub fn rest(&self) -> Option<String> {
        more(self.more, self.document)
    }

    /// Whether a column has figures alone, which stand one below the other.
    pub fn is_numeric(&self, column: usize) -> bool {
        let figure = |text: &str| {
            let digits = text.trim_end_matches('%').trim_end_matches(" ms").trim_end_matches(" s");
            text == NONE || !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b".,".contains(&b))
        };
        self.rows.iter().all(|row| matches!(row.get(column).map(Vec::as_slice), Some([Run::Text(t)]) if figure(t)))
    }
}

/// The keys of a plot that has what they stand for.
pub fn legend(keys: &[(&str, &str, bool)]) -> Vec<(String, String)> {
    let shown = keys.iter().filter(|(_, _, is_there)| *is_there);
    shown.map(|(class, name, _)| ((*class).to_owned(), (*name).to_owned())).collect()
}

/// The head of a table of figures.
pub fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|&n| n.to_owned()).collect()
}

/// Lines below a heading.
#[derive(Debug)]
pub struct List {
    pub title: &'static str,
    pub lines: Vec<Cell>,
    /// How many lines there are beside those shown.
    pub more: usize,
}

impl List {
    /// What is not shown, in words; nothing where all is shown.
    pub fn rest(&self) -> Option<String> {
        more(self.more, "the JSON documents")
    }
}

/// What stands in a cell, one after the other.
pub type Cell = Vec<Run>;

/// A piece of text of one kind.
#[derive(Debug)]
pub enum Run {
    Text(String),
    Bold(String),
    Code(String),
    /// Code that may be broken behind `/` and `_`.
    Path(String),
    /// A SHA-256.
    Digest(String),
    /// A mark, and a word behind it or none.
    Pill(Tone, String),
    /// A time as a document has it; it is shown to the second.
    Time(String),
    /// The end of a line.
    Break,
}

/// A cell of plain text.
pub fn plain(text: impl Into<String>) -> Cell {
    vec![Run::Text(text.into())]
}

/// A value of a document as text.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// A cell with a value of a document.
pub fn value(value: &Value) -> Cell {
    prose(&text(value))
}

/// A cell with a path of a document.
pub fn path(value: &Value) -> Run {
    Run::Path(text(value))
}

fn more(count: usize, document: &str) -> Option<String> {
    (count > 0).then(|| format!("And {count} more in {document}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_figures_are_told() {
        let row = |a: &str, b: &str, c: &str| Vec::from([a, b, c].map(plain));
        let rows = [row("1,024", "v1", "12 ms"), row("95.42%", "2", "—"), row("—", "2025-11-19", "1.50 s")];
        let table = Table::figures("t", head(&["a", "b", "c"]), rows.into_iter()).of(5, "timeline.json");
        assert_eq!([0, 1, 2, 3].map(|column| table.is_numeric(column)), [true, false, true, false]);
        assert_eq!(table.rest().as_deref(), Some("And 2 more in timeline.json."));
    }
}
