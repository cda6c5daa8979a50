//! [`Cursor`]: walks over one entry of a dump. What the dialects share is here: names, quoted texts, label pairs.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use crate::labels::METRIC_NAME;

use super::fault::FaultKind;
use super::{MetricType, event::Escapes};

/// Why an entry is not understood, and at which of its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub at: usize,
    pub kind: FaultKind,
    /// The text ends inside quotes that may run over several lines: more text may help.
    pub open: bool,
}

/// A label of an entry, as places in its text. Lines are shorter than 4 GiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    name: [u32; 2],
    value: [u32; 2],
    /// Whether there are escapes in them.
    pub name_escaped: bool,
    pub value_escaped: bool,
}

impl Pair {
    fn new(name: Quoted, value: Quoted) -> Pair {
        let narrow = |r: Range<usize>| [r.start as u32, r.end as u32];
        Pair {
            name: narrow(name.range),
            value: narrow(value.range),
            name_escaped: name.escaped,
            value_escaped: value.escaped,
        }
    }

    pub fn name(&self) -> Range<usize> {
        self.name[0] as usize..self.name[1] as usize
    }

    pub fn value(&self) -> Range<usize> {
        self.value[0] as usize..self.value[1] as usize
    }
}

/// A text in the entry, without its quotes.
#[derive(Debug, Clone, Default)]
pub(super) struct Quoted {
    pub range: Range<usize>,
    pub escaped: bool,
}

/// Room for the labels of one entry, used again for the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub pairs: Vec<Pair>,
    pub exemplar: Vec<Pair>,
}

/// What an entry says, as places in its text.
#[derive(Debug)]
pub(super) enum Entry {
    Blank,
    Sample { name: Name, bits: u64, timestamp_ms: Option<i64>, exemplar: Option<(u64, Option<i64>)> },
    Histogram { name: Name, text: Range<usize>, timestamp_ms: i64 },
    Type { family: Quoted, metric_type: MetricType },
    Help { family: Quoted, text: Range<usize>, escapes: Escapes },
    Unit { family: Quoted, unit: Range<usize> },
    Comment,
    Eof,
    Scrape { time_ms: i64 },
}

/// Where the metric name is.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub text: Quoted,
    /// The pair of which it is the value.
    pub pair: Option<usize>,
    /// Where the name and all labels end.
    pub series_end: usize,
}

/// How a dialect writes labels in braces.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelRules {
    /// Blanks and tabs may stand anywhere, and the comma may be missing.
    pub loose: bool,
    /// Values may hold line breaks.
    pub value_over_lines: bool,
    /// A quoted text alone is the metric name.
    pub metric_name: bool,
}

/// A place in the text of one entry. The text may go on behind it; a line break outside quotes ends the entry.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    ascii: bool,
}

/// What a byte can be part of.
const LABEL_START: u8 = 1;
const LABEL: u8 = 2;
const METRIC_START: u8 = 4;
const METRIC: u8 = 8;
const BLANK: u8 = 16;

#[expect(clippy::indexing_slicing, reason = "the compiler goes over all bytes")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        if byte.is_ascii_alphabetic() || byte == b'_' {
            classes[b] |= LABEL_START | LABEL | METRIC_START | METRIC;
        } else if byte.is_ascii_digit() {
            classes[b] |= LABEL | METRIC;
        } else if byte == b':' {
            classes[b] |= METRIC_START | METRIC;
        } else if byte == b' ' || byte == b'\t' {
            classes[b] |= BLANK;
        }
        b += 1;
    }
    classes
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|c| c & class != 0)
}

/// Whether a metric name may start with this byte without quotes.
pub(super) fn starts_metric(byte: u8) -> bool {
    is(byte, METRIC_START)
}

impl<'a> Cursor<'a> {
    /// At the start of an entry; `ascii` says that its text is known to be ASCII.
    pub fn new(text: &'a [u8], ascii: bool) -> Cursor<'a> {
        Cursor { text, at: 0, ascii }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// What is left of the text.
    pub fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn get(&self, range: Range<usize>) -> &'a [u8] {
        self.text.get(range).unwrap_or_default()
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub fn skip(&mut self, n: usize) {
        self.at = (self.at + n).min(self.text.len());
    }

    pub fn at_line_end(&self) -> bool {
        matches!(self.peek(), None | Some(b'\n'))
    }

    /// Takes `expected` if it comes next.
    pub fn take(&mut self, expected: &[u8]) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    pub fn refuse<T>(&self, kind: FaultKind) -> Result<T, Refusal> {
        Err(Refusal { at: self.at, kind, open: false })
    }

    pub fn refuse_at<T>(&self, at: usize, kind: FaultKind) -> Result<T, Refusal> {
        Err(Refusal { at, kind, open: false })
    }

    pub fn expect_line_end(&self) -> Result<(), Refusal> {
        if self.at_line_end() { Ok(()) } else { self.refuse(FaultKind::LineEnd) }
    }

    pub fn blanks(&mut self) {
        self.run(BLANK);
    }

    pub fn metric_name(&mut self) -> Range<usize> {
        self.run(METRIC)
    }

    fn run(&mut self, class: u8) -> Range<usize> {
        let start = self.at;
        self.at += self.rest().iter().position(|b| !is(*b, class)).unwrap_or(self.text.len() - start);
        start..self.at
    }

    /// Everything up to a byte that `ends` it, the end of the line at the latest.
    pub fn until(&mut self, ends: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let length = self.rest().iter().position(|b| *b == b'\n' || ends(*b));
        self.at += length.unwrap_or(self.text.len() - start);
        start..self.at
    }

    pub fn rest_of_line(&mut self) -> Range<usize> {
        let start = self.at;
        self.at += memchr(b'\n', self.rest()).unwrap_or(self.text.len() - start);
        start..self.at
    }

    pub fn expect_utf8(&self, range: Range<usize>) -> Result<(), Refusal> {
        if self.ascii {
            return Ok(());
        }
        match std::str::from_utf8(self.get(range.clone())) {
            Ok(_) => Ok(()),
            Err(e) => self.refuse_at(range.start + e.valid_up_to(), FaultKind::Utf8),
        }
    }

    /// A quoted text from its first quote to behind its last. A backslash takes the next byte with it, whatever it is.
    pub fn quoted(&mut self, over_lines: bool) -> Result<Quoted, Refusal> {
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            let found =
                if over_lines { memchr2(b'"', b'\\', rest) } else { memchr3(b'"', b'\\', b'\n', rest) }.map(|n| at + n);
            let byte = found.and_then(|n| self.text.get(n));
            match (found, byte) {
                (Some(end), Some(b'"')) => {
                    self.at = end + 1;
                    return Ok(Quoted { range: start..end, escaped });
                }
                (Some(backslash), Some(b'\\')) => {
                    if matches!(self.text.get(backslash + 1), None | Some(b'\n')) {
                        return self.refuse_at(backslash, FaultKind::Escape);
                    }
                    escaped = true;
                    at = backslash + 2;
                }
                // The end of the line, or of the text.
                _ => return Err(Refusal { at: self.at, kind: FaultKind::OpenQuote, open: over_lines }),
            }
        }
    }

    /// A quoted name, which may hold no NUL.
    pub fn quoted_name(&mut self, over_lines: bool) -> Result<Quoted, Refusal> {
        let name = self.quoted(over_lines)?;
        match memchr(0, self.get(name.range.clone())) {
            Some(n) => self.refuse_at(name.range.start + n, FaultKind::LabelName),
            None => Ok(name),
        }
    }

    /// Labels from behind the opening brace to behind the closing one. `name` is the metric name, here or before.
    pub fn labels(
        &mut self,
        rules: LabelRules,
        pairs: &mut Vec<Pair>,
        name: &mut Option<Quoted>,
    ) -> Result<(), Refusal> {
        loop {
            self.blanks_if(rules.loose);
            let start = self.at;
            let found = match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    // Of an exemplar upstream takes any labels.
                    return if rules.metric_name { self.expect_distinct(pairs, true) } else { Ok(()) };
                }
                Some(b'"') => self.quoted_name(rules.metric_name)?,
                Some(b) if is(b, LABEL_START) => Quoted { range: self.run(LABEL), escaped: false },
                _ => return self.refuse(FaultKind::LabelName),
            };
            let is_quoted = found.range.start != start;
            self.blanks_if(rules.loose);
            if is_quoted && rules.metric_name && matches!(self.peek(), Some(b',' | b'}')) {
                self.set_name(name, found, start)?;
                self.take(b",");
                continue;
            }
            // Of an exemplar upstream takes any name.
            if is_quoted && rules.metric_name {
                if found.range.is_empty() {
                    return self.refuse_at(start, FaultKind::LabelName);
                }
                self.expect_utf8(found.range.clone())?;
            }
            if !self.take(b"=") {
                return self.refuse(FaultKind::Equals);
            }
            self.blanks_if(rules.loose);
            if self.peek() != Some(b'"') {
                return self.refuse(FaultKind::LabelValue);
            }
            let value = self.quoted(rules.value_over_lines)?;
            self.expect_utf8(value.range.clone())?;
            pairs.push(Pair::new(found, value));
            self.blanks_if(rules.loose);
            if !self.take(b",") && !rules.loose && self.peek() != Some(b'}') {
                return self.refuse(FaultKind::AfterLabel);
            }
        }
    }

    fn blanks_if(&mut self, loose: bool) {
        if loose {
            self.blanks();
        }
    }

    fn set_name(&self, name: &mut Option<Quoted>, found: Quoted, start: usize) -> Result<(), Refusal> {
        if name.is_some() {
            return self.refuse_at(start, FaultKind::SecondName);
        }
        if found.range.is_empty() {
            return self.refuse_at(start, FaultKind::NoName);
        }
        self.expect_utf8(found.range.clone())?;
        *name = Some(found);
        Ok(())
    }

    /// Labels as promtool prints them, from behind the opening brace to behind the closing one: Go's quoting, `separator`
    /// between them, and names of any bytes, in quotes or bare.
    pub fn go_labels(&mut self, separator: &[u8], pairs: &mut Vec<Pair>) -> Result<(), Refusal> {
        while !self.take(b"}") {
            if !pairs.is_empty() && !self.take(separator) {
                return self.refuse(FaultKind::AfterLabel);
            }
            let start = self.at;
            let name = if self.peek() == Some(b'"') { self.go_quoted()? } else { self.bare_go_name()? };
            if name.range.is_empty() {
                return self.refuse_at(start, FaultKind::LabelName);
            }
            if !self.take(b"=") {
                return self.refuse(FaultKind::Equals);
            }
            if self.peek() != Some(b'"') {
                return self.refuse(FaultKind::LabelValue);
            }
            let value = self.go_quoted()?;
            pairs.push(Pair::new(name, value));
        }
        self.expect_distinct(pairs, false)
    }

    /// Releases before 3.16 print every name bare, whatever is in it: it ends where `="` begins.
    fn bare_go_name(&mut self) -> Result<Quoted, Refusal> {
        let start = self.at;
        let line = self.rest();
        let mut equals = memchr_iter(b'=', line).filter(|n| line.get(n + 1) == Some(&b'"'));
        let Some(end) = equals.next().map(|n| start + n) else {
            return self.refuse(FaultKind::LabelName);
        };
        self.expect_utf8(start..end)?;
        self.at = end;
        Ok(Quoted { range: start..end, escaped: false })
    }

    fn go_quoted(&mut self) -> Result<Quoted, Refusal> {
        let start = self.at;
        let text = self.quoted(false)?;
        self.expect_utf8(text.range.clone())?;
        if text.escaped && unquote_go(self.get(text.range.clone())).is_none() {
            return self.refuse_at(start, FaultKind::Escape);
        }
        Ok(text)
    }

    /// A label name twice is no series. In an exposition the metric name stands elsewhere and may not be among the labels.
    fn expect_distinct(&self, pairs: &[Pair], in_exposition: bool) -> Result<(), Refusal> {
        /// From here on sorting beats comparing each with each, and a hostile line cannot make it slow.
        const FEW: usize = 16;
        let raw = |p: &Pair| self.get(p.name());
        // Go writes equal names equally.
        let is_escaped = |p: &Pair| in_exposition && p.name_escaped;
        let twice = if pairs.len() > FEW || pairs.iter().any(is_escaped) {
            let meant =
                |p: &Pair| if is_escaped(p) { Cow::Owned(unescape(raw(p), true)) } else { Cow::Borrowed(raw(p)) };
            let mut names: Vec<_> = pairs.iter().map(|p| (meant(p), p.name().start)).collect();
            names.sort_unstable();
            names.windows(2).find_map(|w| match w {
                [a, b] if a.0 == b.0 => Some(b.1),
                _ => None,
            })
        } else {
            let mut later = pairs.iter().enumerate();
            later.find_map(|(i, p)| pairs.iter().take(i).any(|q| raw(q) == raw(p)).then_some(p.name().start))
        };
        let name = || pairs.iter().find(|p| in_exposition && raw(p) == METRIC_NAME).map(|p| p.name().start);
        match twice.or_else(name) {
            Some(at) => self.refuse_at(at, FaultKind::DuplicateLabel),
            None => Ok(()),
        }
    }
}

/// `\\` and `\n`, and `\"` where `quotes` says so, as upstream takes them out; any other backslash stays.
pub(super) fn unescape(raw: &[u8], quotes: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(n) = memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(n);
        out.extend_from_slice(before);
        let (meant, length) = match escape {
            [_, b'n', ..] => (b'\n', 2),
            [_, b'\\', ..] => (b'\\', 2),
            [_, b'"', ..] if quotes => (b'"', 2),
            _ => (b'\\', 1),
        };
        out.push(meant);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// What `strconv.Quote` put in quotes; `None` for an escape that it does not write.
pub(super) fn unquote_go(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(n) = memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..n)?);
        let (kind, after) = rest.get(n + 1..)?.split_first()?;
        let mut digits = 0;
        match kind {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' | b'"' => out.push(*kind),
            b'x' => {
                digits = 2;
                out.push(u8::try_from(hex(after, digits)?).ok()?);
            }
            b'u' | b'U' => {
                digits = if *kind == b'u' { 4 } else { 8 };
                let c = char::from_u32(hex(after, digits)?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
        rest = after.get(digits..)?;
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digits = text.get(..digits)?;
    digits.iter().try_fold(0u32, |n, b| Some(n << 4 | char::from(*b).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_out_once() {
        for (raw, meant) in
            [("a\\nb", "a\nb"), ("\\\\n", "\\n"), ("\\t", "\\t"), ("\\\"", "\""), ("\\", "\\"), ("", "")]
        {
            assert_eq!(unescape(raw.as_bytes(), true), meant.as_bytes(), "{raw}");
        }
        assert_eq!(unescape(b"say \\\"hi\\\"\\n", false), b"say \\\"hi\\\"\n");
    }

    #[test]
    fn go_quoting_reads_back() {
        let ok = |s: &str| unquote_go(s.as_bytes());
        assert_eq!(ok(r#"\a\b\f\n\r\t\v\\\""#).as_deref(), Some(&b"\x07\x08\x0c\n\r\t\x0b\\\""[..]));
        assert_eq!(
            ok(r"\x00\xff\u200b\U0001f600é").as_deref(),
            Some("\0\u{ff}\u{200b}😀é".as_bytes()).map(|_| &b"\x00\xff\xe2\x80\x8b\xf0\x9f\x98\x80\xc3\xa9"[..])
        );
        for bad in [r"\", r"\q", r"\x1", r"\xg0", r"\ud800", r"\U00110000", r"\'"] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }
}
