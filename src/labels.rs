//! Series labels: sorted pairs of byte strings, and their text forms.
//!
//! Names and values are bytes as stored; valid data is UTF-8, damaged or hostile data may not be. Order is upstream's
//! `labels.Compare`: pair by pair, name then value, bytewise; a prefix sorts first.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric name.
pub const METRIC_NAME: &[u8] = b"__name__";

/// One name and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The label's name.
    pub name: Box<[u8]>,
    /// The label's value; never empty in a valid series, since an empty value means that the label is absent.
    pub value: Box<[u8]>,
}

/// The identity of a series: labels sorted by name, without empty values. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// Sorts the pairs, drops empty values, and keeps the first of equal names.
    /// The flag tells whether that changed anything, which valid data never needs.
    pub fn normalized(mut pairs: Vec<Label>) -> (Labels, bool) {
        let before = pairs.len();
        let sorted = pairs.windows(2).all(|w| matches!(w, [a, b] if a.name < b.name));
        if !sorted {
            pairs.sort_by(|a, b| a.name.cmp(&b.name));
            pairs.dedup_by(|b, a| a.name == b.name);
        }
        pairs.retain(|l| !l.value.is_empty());
        let changed = !sorted || pairs.len() != before;
        (Labels(pairs.into()), changed)
    }

    /// Labels from string pairs, for tests, writers and made-up series.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let pairs = pairs.into_iter().map(|(n, v)| Label { name: n.as_bytes().into(), value: v.as_bytes().into() });
        Labels::normalized(pairs.collect()).0
    }

    /// The value of a label, or an empty string where the label is absent, as matchers see it.
    pub fn get(&self, name: &[u8]) -> &[u8] {
        match self.0.binary_search_by(|l| l.name.as_ref().cmp(name)) {
            Ok(at) => self.0.get(at).map_or(b"", |l| &l.value),
            Err(_) => b"",
        }
    }

    /// The value of a label as text; invalid UTF-8 is replaced.
    pub fn get_text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.get(name.as_bytes())).into_owned()
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.0.iter()
    }

    /// The number of labels, the metric name included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels whose names satisfy `keep`.
    pub fn filtered(&self, keep: impl Fn(&[u8]) -> bool) -> Labels {
        Labels(self.0.iter().filter(|l| keep(&l.name)).cloned().collect())
    }

    /// All labels but the metric name: the identity of a result whose name was dropped.
    pub fn without_name(&self) -> Labels {
        self.filtered(|n| n != METRIC_NAME)
    }

    /// As a JSON object of strings, in order of names. Invalid UTF-8 is replaced.
    pub fn to_json(&self) -> serde_json::Value {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        serde_json::Value::Object(
            self.0.iter().map(|l| (text(&l.name), serde_json::Value::String(text(&l.value)))).collect(),
        )
    }
}

impl fmt::Display for Labels {
    /// The series in PromQL notation: `name{a="1",b="2"}`; names that are no identifiers are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get(METRIC_NAME);
        let plain_name = is_metric_identifier(name);
        if plain_name {
            write!(f, "{}", String::from_utf8_lossy(name))?;
        }
        let mut rest = self.0.iter().filter(|l| !(plain_name && l.name.as_ref() == METRIC_NAME)).peekable();
        if rest.peek().is_none() {
            return if plain_name { Ok(()) } else { write!(f, "{{}}") };
        }
        write!(f, "{{")?;
        for (i, l) in rest.enumerate() {
            if i > 0 {
                write!(f, ", ")?;
            }
            if is_label_identifier(&l.name) {
                write!(f, "{}", String::from_utf8_lossy(&l.name))?;
            } else {
                write!(f, "{}", quoted(&l.name))?;
            }
            write!(f, "={}", quoted(&l.value))?;
        }
        write!(f, "}}")
    }
}

fn is_metric_identifier(name: &[u8]) -> bool {
    matches!(name.first(), Some(b) if b.is_ascii_alphabetic() || *b == b'_' || *b == b':')
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b':')
}

/// Whether a name is letters, digits and `_`, and does not begin with a digit.
pub fn is_label_identifier(name: &[u8]) -> bool {
    is_metric_identifier(name) && !name.contains(&b':')
}

/// The bytes as a double-quoted PromQL string; control characters and invalid UTF-8 are escaped, so that nothing in
/// a label can reach a terminal as more than text.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    escape_into(&mut out, bytes, true);
    out.push('"');
    out
}

/// Text from an input made safe for a terminal: control characters become escapes, all else stays.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text.as_bytes(), false);
    out
}

fn escape_into(out: &mut String, bytes: &[u8], quotes: bool) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' if quotes => {
                    out.push('\\');
                    out.push(c);
                }
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() || is_invisible(c) => match u32::from(c) {
                    code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                    code => out.push_str(&format!("\\U{code:08x}")),
                },
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
}

/// Characters that reorder or hide text: bidirectional controls, zero-width characters, line separators.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_promql() {
        let l = Labels::from_pairs([("__name__", "up"), ("job", "a\"b\n"), ("http.code", "200")]);
        assert_eq!(l.to_string(), r#"up{"http.code"="200", job="a\"b\n"}"#);
        assert_eq!(Labels::from_pairs([("__name__", "up")]).to_string(), "up");
        assert_eq!(Labels::from_pairs([("__name__", "my name")]).to_string(), r#"{__name__="my name"}"#);
        assert_eq!(Labels::default().to_string(), "{}");
    }

    #[test]
    fn hostile_values_cannot_reach_the_terminal() {
        assert_eq!(quoted(b"\x1b[31m\xff\r"), r#""\u001b[31m\xff\u000d""#);
        assert_eq!(quoted("\u{202e}x".as_bytes()), r#""\u202ex""#);
    }

    #[test]
    fn order_is_upstreams() {
        let l = |p: &[(&'static str, &'static str)]| Labels::from_pairs(p.iter().copied());
        assert!(l(&[("a", "1")]) < l(&[("a", "1"), ("b", "1")]));
        assert!(l(&[("a", "2")]) > l(&[("a", "1"), ("b", "1")]));
        assert!(l(&[("a", "1"), ("c", "0")]) > l(&[("a", "1"), ("b", "9")]));
    }

    #[test]
    fn duplicates_and_empty_values_are_flagged() {
        let pair = |n: &str, v: &str| Label { name: n.as_bytes().into(), value: v.as_bytes().into() };
        let (l, changed) = Labels::normalized(vec![pair("b", "1"), pair("a", ""), pair("b", "2")]);
        assert!(changed);
        assert_eq!(l, Labels::from_pairs([("b", "1")]));
    }
}
