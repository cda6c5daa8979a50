//! Code as rows with the numbers of its lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::evidence::folder::Entry;
use crate::evidence::page::pieces;
use crate::report::python::thousands;

use super::alphabet::Alphabet;

/// How many characters a row has.
const COLUMNS: usize = 100;
/// How many rows of a file are listed; what is behind them is in the file.
const MOST_ROWS: usize = 1_000;
/// How many rows all listings have together.
const MOST_IN_ALL: usize = 10 * MOST_ROWS;
/// What is read of a file. No row of more would be listed.
const MOST_BYTES: u64 = (MOST_ROWS * COLUMNS) as u64;

/// The listings of copied files, in the order of their paths.
pub fn listings(root: &Path, code: &[&Entry], alphabet: &Alphabet) -> Result<Value> {
    let mut sorted = code.to_vec();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut room = MOST_IN_ALL;
    let mut listings = Vec::new();
    for entry in sorted {
        let path = root.join(&entry.path);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|f| f.take(MOST_BYTES).read_to_end(&mut bytes));
        read.map_err(|e| Error::io(&path, "read it", &e))?;
        let whole = bytes.len() as u64 == entry.bytes;
        let is_text = !bytes.contains(&0);
        let mut all = if is_text { rows(&bytes, alphabet) } else { Vec::new() };
        let listed = all.len().min(MOST_ROWS).min(room);
        let rest = match (is_text, all.get(listed)) {
            (false, _) => Some("It is no text, and not listed.".to_owned()),
            (true, Some(_)) => Some("The rest is in the file.".to_owned()),
            (true, None) => (!whole).then(|| "The rest is in the file.".to_owned()),
        };
        all.truncate(listed);
        room -= listed;
        let (numbers, lines): (Vec<String>, Vec<String>) = all.into_iter().unzip();
        listings.push(json!({
            "path": pieces(&alphabet.text(&entry.path)),
            "about": format!("{} bytes", thousands(entry.bytes as f64)),
            "sha256": alphabet.text(&entry.sha256),
            "language": language(&entry.path),
            "numbers": numbers,
            "text": lines.join("\n"),
            "rest": rest,
        }));
    }
    Ok(listings.into())
}

/// Lines cut into rows, each with the number of its line or the sign of a row that continues one.
fn rows(bytes: &[u8], alphabet: &Alphabet) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line: Vec<char> = alphabet.code(&expanded(line)).chars().collect();
        out.push(((i + 1).to_string(), line.iter().take(COLUMNS).collect()));
        out.extend(line.chunks(COLUMNS).skip(1).map(|row| ("↪".to_owned(), row.iter().collect())));
        if out.len() > MOST_ROWS {
            break;
        }
    }
    out
}

/// A line with spaces for tabs, and escapes for bytes that are no UTF-8.
fn expanded(line: &[u8]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut column = 0;
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            let width = if c == '\t' { 4 - column % 4 } else { 1 };
            column += width;
            match c {
                '\t' => out.push_str(&" ".repeat(width)),
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
            column += 4;
        }
    }
    out
}

/// The ending of a name, by which a highlighter knows what it reads.
fn language(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "avsc" => "json".to_owned(),
        _ => ending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_numbered() {
        let alphabet = Alphabet::new();
        let long = "x".repeat(COLUMNS + 3);
        let text = format!("a\tb\r\n\n{long}\n\x07\n");
        let mut bytes = text.into_bytes();
        bytes.extend(b"\xff end");
        let row = |number: &str, text: &str| (number.to_owned(), text.to_owned());
        let expected = [
            row("1", "a   b"),
            row("2", ""),
            row("3", &"x".repeat(COLUMNS)),
            row("↪", "xxx"),
            row("4", "\\u0007"),
            row("5", "\\xff end"),
        ];
        assert_eq!(rows(&bytes, &alphabet), expected);
        assert_eq!(rows(b"", &alphabet), [row("1", "")]);
        assert_eq!(rows(&b"\n".repeat(3 * MOST_ROWS), &alphabet).len(), MOST_ROWS + 1);
    }
}
