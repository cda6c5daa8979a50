//! What a report says, before it is a page or a document: plain text in parts, nothing escaped yet.

use serde_json::Value;

use super::plots::Frame;
use super::svg::Svg;

/// A report from top to bottom.
#[derive(Debug)]
pub struct Report {
    /// The name of the source.
    pub name: String,
    /// What it is about: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// The verdicts.
    pub cards: Vec<Card>,
    /// What was counted, below the verdicts.
    pub counts: Vec<Count>,
    /// What the times of the windows are.
    pub windows_are: String,
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
    pub reasons: Vec<String>,
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
    pub fn table<const N: usize>(
        &mut self,
        name: &'static str,
        head: [&'static str; N],
        rows: impl Iterator<Item = [Cell; N]>,
        count: usize,
    ) {
        if let Some(table) = Table::new(name, head, rows, count) {
            self.push(Part::Table(table));
        }
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
    Folded(String, Option<Table>),
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
    /// Classes of the style sheet with what they stand for.
    pub legend: Vec<(String, String)>,
    pub draw: fn(&Value, &Frame) -> Svg,
}

/// Rows of cells.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub head: Vec<&'static str>,
    /// Each as long as the head.
    pub rows: Vec<Vec<Cell>>,
    /// How many rows there are beside those shown.
    pub more: usize,
}

impl Table {
    /// `count` is the number of rows that there are. Without rows there is no table.
    pub fn new<const N: usize>(
        name: &'static str,
        head: [&'static str; N],
        rows: impl Iterator<Item = [Cell; N]>,
        count: usize,
    ) -> Option<Table> {
        let rows: Vec<Vec<Cell>> = rows.map(Vec::from).collect();
        let more = count.saturating_sub(rows.len());
        (!rows.is_empty()).then(|| Table { name, head: head.to_vec(), rows, more })
    }
}

/// Lines below a heading.
#[derive(Debug)]
pub struct List {
    pub title: &'static str,
    pub lines: Vec<String>,
    /// How many lines there are beside those shown.
    pub more: usize,
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
    plain(text(value))
}

/// A cell with a path of a document.
pub fn path(value: &Value) -> Run {
    Run::Path(text(value))
}

/// What is not shown, in words; nothing where all is shown.
pub fn more(count: usize) -> Option<String> {
    (count > 0).then(|| format!("And {count} more in the JSON documents."))
}
