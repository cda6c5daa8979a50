//! Texts of documents as people read them: times without what nobody reads, code told apart from prose.

use serde_json::Value;

use crate::time::{parse_time, rfc3339};

use super::model::{Cell, Run};

/// A sentence of a document as runs: what stands between backticks and the names of options is code, and times are times.
/// Nothing is lost: whatever is none of these stays as it is.
pub fn prose(text: &str) -> Cell {
    let mut out = Cell::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (run, length) = special(rest, plain.chars().next_back()).unzip();
        let length = length.unwrap_or(c.len_utf8());
        match run {
            Some(run) => {
                if !plain.is_empty() {
                    out.push(Run::Text(std::mem::take(&mut plain)));
                }
                out.push(run);
            }
            None => plain.push(c),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    if !plain.is_empty() || out.is_empty() {
        out.push(Run::Text(plain));
    }
    out
}

/// What a text begins with if that is more than a character, and its length in bytes. `before` is the character before it.
fn special(text: &str, before: Option<char>) -> Option<(Run, usize)> {
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    if let Some(inner) = text.strip_prefix('`') {
        let (code, _) = inner.split_once('`')?;
        return (!code.is_empty() && code.trim() == code).then(|| (Run::Code(code.to_owned()), code.len() + 2));
    }
    if let Some(option) = text.strip_prefix("--") {
        let name = option.find(|c: char| !c.is_ascii_lowercase() && c != '-').map_or(option, |end| &option[..end]);
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && before != Some('-');
        return is_name.then(|| (Run::Code(format!("--{name}")), name.len() + 2));
    }
    let end = text.bytes().position(|b| !(b.is_ascii_digit() || b"-:.T".contains(&b)))?;
    let time = text.get(..=end).filter(|t| t.ends_with('Z') && t.contains('T') && parse_time(t).is_ok())?;
    Some((Run::Time(time.to_owned()), time.len()))
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
            if is_long && left > 0 && (run >= WORD || "/_,;=&|{".contains(c)) {
                out.push(String::new());
                run = 0;
            }
        }
    }
    out
}

/// A time to the second, or to the minute where it is a whole one: `2025-11-19 11:59:51 UTC`.
pub fn moment(time: &str) -> String {
    let Ok((ms, _)) = parse_time(time) else { return time.to_owned() };
    let text = rfc3339(ms);
    match (text.get(..10), text.get(11..16), text.get(16..19)) {
        (Some(day), Some(clock), Some(":00")) => format!("{day} {clock} UTC"),
        (Some(day), Some(clock), Some(seconds)) => format!("{day} {clock}{seconds} UTC"),
        _ => text,
    }
}

/// A time of a document to the minute.
pub fn clock(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(clock)) => format!("{day} {clock} UTC"),
        _ => text.to_owned(),
    }
}

/// A ratio in percent, or a dash.
pub fn percent(ratio: Option<f64>) -> String {
    ratio.map_or(NONE.to_owned(), |r| format!("{:.2}%", r * 100.0))
}

/// A latency in milliseconds or seconds, or a dash.
pub fn latency(seconds: Option<f64>) -> String {
    match seconds {
        None => NONE.to_owned(),
        Some(s) if s < 0.01 => format!("{:.1} ms", s * 1000.0),
        Some(s) if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        Some(s) => format!("{s:.2} s"),
    }
}

/// What stands in a cell without a figure.
pub const NONE: &str = "—";
/// The longest word that is not cut: a time with milliseconds.
pub const WORD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_has_code_and_times() {
        let shown = |text: &str| -> Vec<String> {
            let run = |r: Run| match r {
                Run::Text(t) => t,
                Run::Code(t) => format!("<{t}>"),
                Run::Time(t) => format!("[{}]", moment(&t)),
                other => panic!("{other:?}"),
            };
            prose(text).into_iter().map(run).collect()
        };
        for (text, expected) in [
            ("", &[""][..]),
            ("`promproof inspect` lists them", &["<promproof inspect>", " lists them"]),
            ("a `b", &["a `b"]),
            ("`` or it`s `<b>`", &["`` or it`s ", "<<b>>"]),
            ("with --start or --end-time=5", &["with ", "<--start>", " or ", "<--end-time>", "=5"]),
            ("a -- b --- c x--y", &["a -- b --- c x--y"]),
            ("at 2025-11-19T11:59:51.740Z, 6d", &["at ", "[2025-11-19 11:59:51 UTC]", ", 6d"]),
            ("2025-11-19T12:00:00Z", &["[2025-11-19 12:00 UTC]"]),
            ("2025-11-19T12:00:00 1:2.5Z T é 12Z", &["2025-11-19T12:00:00 1:2.5Z T é 12Z"]),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn long_words_are_cut() {
        for (text, expected) in [
            ("", &[""][..]),
            ("no cut, in 2025-11-19 12:00 UTC", &["no cut, in 2025-11-19 12:00 UTC"]),
            ("in evidence/availability/x_72h.json now", &["in evidence/", "availability/", "x_", "72h.json now"]),
            ("x_total{status=\"success\"} is", &["x_", "total{", "status=", "\"success\"} is"]),
            ("at 2025-11-19T11:59:51.740Z", &["at 2025-11-19T11:59:51.740Z"]),
            ("abcdefghijklmnopqrstuvwxyz x", &["abcdefghijklmnopqrstuvwx", "yz x"]),
        ] {
            assert_eq!(pieces(text), expected);
        }
    }

    #[test]
    fn figures_have_their_units() {
        let shown = [0.0004, 0.164, 2.5].map(|s| latency(Some(s)));
        assert_eq!(shown, ["0.4 ms", "164 ms", "2.50 s"]);
        assert_eq!((percent(Some(0.95423)).as_str(), percent(None).as_str()), ("95.42%", "—"));
    }
}
