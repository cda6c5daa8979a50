//! PromQL vector selectors: `name{label="value",…}` without range, offset or `@`.

use std::fmt;

use crate::error::{Error, Result};
use crate::labels::{Labels, METRIC_NAME, is_label_identifier, printable, quoted};

/// One condition on one label. A missing label counts as the empty string, as in PromQL.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Box<[u8]>,
    value: Box<[u8]>,
    kind: MatchKind,
}

#[derive(Debug, Clone)]
enum MatchKind {
    Equal,
    NotEqual,
    Regex(regex::bytes::Regex),
    NotRegex(regex::bytes::Regex),
}

impl Matcher {
    /// `name="value"`.
    pub fn equal(name: &[u8], value: &[u8]) -> Matcher {
        Matcher { name: name.into(), value: value.into(), kind: MatchKind::Equal }
    }

    /// The label that is looked at.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The value that an equality matcher asks for.
    pub fn equal_value(&self) -> Option<&[u8]> {
        matches!(self.kind, MatchKind::Equal).then_some(&self.value)
    }

    /// Whether a value satisfies the matcher.
    pub fn matches(&self, value: &[u8]) -> bool {
        match &self.kind {
            MatchKind::Equal => value == self.value.as_ref(),
            MatchKind::NotEqual => value != self.value.as_ref(),
            MatchKind::Regex(r) => r.is_match(value),
            MatchKind::NotRegex(r) => !r.is_match(value),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.kind {
            MatchKind::Equal => "=",
            MatchKind::NotEqual => "!=",
            MatchKind::Regex(_) => "=~",
            MatchKind::NotRegex(_) => "!~",
        };
        if is_label_identifier(&self.name) {
            write!(f, "{}", String::from_utf8_lossy(&self.name))?;
        } else {
            write!(f, "{}", quoted(&self.name))?;
        }
        write!(f, "{op}{}", quoted(&self.value))
    }
}

/// A conjunction of matchers, as written in PromQL.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

impl Selector {
    /// Reads a selector. Ranges, offsets, `@` and functions are refused with the reason.
    pub fn parse(text: &str) -> Result<Selector> {
        Parser { text, at: 0 }.selector()
    }

    /// All series of one metric.
    pub fn metric(name: &str) -> Selector {
        Selector { matchers: vec![Matcher::equal(METRIC_NAME, name.as_bytes())] }
    }

    /// The same selector with one more condition.
    #[must_use]
    pub fn and(mut self, matcher: Matcher) -> Selector {
        self.matchers.push(matcher);
        self
    }

    /// The conditions, the metric name first where it was written in front.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// The metric name, where the selector asks for exactly one.
    pub fn metric_name(&self) -> Option<String> {
        self.matchers
            .iter()
            .find(|m| m.name() == METRIC_NAME)
            .and_then(|m| m.equal_value())
            .map(|v| String::from_utf8_lossy(v).into_owned())
    }

    /// Whether a series satisfies all conditions.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| m.matches(labels.get(m.name())))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identifier = |v: &[u8]| {
            !v.is_empty()
                && !v.first().is_some_and(u8::is_ascii_digit)
                && v.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
        };
        let (front, rest): (Option<&Matcher>, &[Matcher]) = match self.matchers.split_first() {
            Some((m, rest)) if m.name() == METRIC_NAME && m.equal_value().is_some_and(identifier) => (Some(m), rest),
            _ => (None, &self.matchers),
        };
        if let Some(value) = front.and_then(Matcher::equal_value) {
            write!(f, "{}", String::from_utf8_lossy(value))?;
        }
        if rest.is_empty() && front.is_some() {
            return Ok(());
        }
        let rest: Vec<String> = rest.iter().map(Matcher::to_string).collect();
        write!(f, "{{{}}}", rest.join(","))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> Error {
        let place = self.text.get(..self.at).map_or(0, |s| s.chars().count()) + 1;
        Error::usage(format!("the selector `{}` is not valid at character {place}: {what}", printable(self.text)))
            .hint("write it as in PromQL, without range or functions: http_requests_total{code=~\"2..\",job=\"api\"}")
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn identifier(&mut self, colon: bool) -> Option<String> {
        self.skip_blanks();
        let rest = self.rest();
        let ok = |(i, b): (usize, u8)| {
            b.is_ascii_alphabetic() || b == b'_' || (colon && b == b':') || (i > 0 && b.is_ascii_digit())
        };
        let len = rest.bytes().enumerate().take_while(|x| ok(*x)).count();
        if len == 0 {
            return None;
        }
        let word = rest.get(..len)?.to_owned();
        self.at += len;
        Some(word)
    }

    fn string(&mut self) -> Result<Option<Vec<u8>>> {
        self.skip_blanks();
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
            return Ok(None);
        };
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.error("the quoted string does not end"));
            };
            self.at += c.len_utf8();
            if c == quote {
                return Ok(Some(out));
            }
            if c == '\n' && quote != '`' {
                return Err(self.error("a quoted string may not contain a line break; write \\n"));
            }
            if c != '\\' || quote == '`' {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            self.escape(quote, &mut out)?;
        }
    }

    /// Go's escape sequences, as in PromQL strings.
    fn escape(&mut self, quote: char, out: &mut Vec<u8>) -> Result<()> {
        let Some(c) = self.rest().chars().next() else {
            return Err(self.error("the quoted string does not end"));
        };
        self.at += c.len_utf8();
        let mut digits = |n: usize, radix: u32| -> Result<u32> {
            let value = self.rest().get(..n).and_then(|d| {
                d.bytes().all(|b| char::from(b).is_digit(radix)).then(|| u32::from_str_radix(d, radix).ok()).flatten()
            });
            match value {
                Some(v) => {
                    self.at += n;
                    Ok(v)
                }
                None => Err(self.error("an escape sequence is cut short")),
            }
        };
        match c {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '\\' => out.push(b'\\'),
            c if c == quote => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            'x' => out.push(digits(2, 16)? as u8),
            'u' | 'U' => {
                let code = digits(if c == 'u' { 4 } else { 8 }, 16)?;
                match char::from_u32(code) {
                    Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => return Err(self.error("that is not a Unicode character")),
                }
            }
            '0'..='7' => {
                self.at -= 1;
                let mut octal = |n| {
                    let d = self.rest().get(..n)?;
                    let v = u8::from_str_radix(d, 8).ok()?;
                    self.at += n;
                    Some(v)
                };
                match octal(3) {
                    Some(v) => out.push(v),
                    None => return Err(self.error("an octal escape takes three digits up to 377")),
                }
            }
            _ => return Err(self.error("that escape sequence is unknown")),
        }
        Ok(())
    }

    fn selector(mut self) -> Result<Selector> {
        let mut matchers = Vec::new();
        if let Some(name) = self.identifier(true) {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_bytes()));
        }
        if self.eat("{") {
            while !self.eat("}") {
                let matcher = self.matcher()?;
                let second_name =
                    matcher.name() == METRIC_NAME && matchers.iter().any(|m: &Matcher| m.name() == METRIC_NAME);
                if second_name && matcher.equal_value().is_some() {
                    return Err(self.error("the metric name is given twice"));
                }
                matchers.push(matcher);
                if !self.eat(",") {
                    if self.eat("}") {
                        break;
                    }
                    return Err(self.error("a comma or `}` was expected"));
                }
            }
        } else if matchers.is_empty() {
            return Err(self.error("a metric name or `{` was expected"));
        }
        self.skip_blanks();
        match self.rest().chars().next() {
            None => {}
            Some('[') => return Err(self.error("no range here; use --window")),
            Some('(') => return Err(self.error("no functions here; give the plain series")),
            Some('@') => return Err(self.error("no `@` here; use --end")),
            Some(_) if self.rest().starts_with("offset") => {
                return Err(self.error("no offset here; use --end"));
            }
            Some(_) => return Err(self.error("the selector should end here")),
        }
        if matchers.iter().all(|m| m.matches(b"")) {
            return Err(self.error("at least one matcher must not match the empty string, else everything is selected"));
        }
        Ok(Selector { matchers })
    }

    fn matcher(&mut self) -> Result<Matcher> {
        self.skip_blanks();
        let (name, was_quoted) = match self.string()? {
            Some(name) => (name, true),
            None => match self.identifier(false) {
                Some(name) => (name.into_bytes(), false),
                None => return Err(self.error("a label name was expected")),
            },
        };
        let op = ["=~", "!~", "!=", "="].into_iter().find(|op| self.eat(op));
        let Some(op) = op else {
            if was_quoted {
                return Ok(Matcher::equal(METRIC_NAME, &name));
            }
            return Err(self.error("one of =, !=, =~, !~ was expected"));
        };
        if op == "=" && self.rest().starts_with('=') {
            return Err(self.error("write = for equality"));
        }
        let before = self.at;
        let Some(value) = self.string()? else {
            return Err(self.error("a quoted value was expected"));
        };
        let kind = match op {
            "=" => MatchKind::Equal,
            "!=" => MatchKind::NotEqual,
            _ => {
                let pattern = String::from_utf8(value.clone()).map_err(|_| self.error("a pattern must be UTF-8"))?;
                let translated = crate::re2::translate(&pattern).map_err(|why| {
                    self.at = before;
                    self.error(&format!("the pattern is not a regular expression: {why}"))
                })?;
                let regex = regex::bytes::Regex::new(&format!("^(?s:{translated})$")).map_err(|e| {
                    self.at = before;
                    let text = e.to_string();
                    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    self.error(&format!("the pattern is not a regular expression: {why}"))
                })?;
                if op == "=~" { MatchKind::Regex(regex) } else { MatchKind::NotRegex(regex) }
            }
        };
        Ok(Matcher { name: name.into(), value: value.into(), kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        Selector::parse(text).unwrap().to_string()
    }

    #[test]
    fn selectors_are_promql() {
        assert_eq!(round("up"), "up");
        assert_eq!(round(" a:b { code =~ '2..' , job!=\"x\" , } "), "a:b{code=~\"2..\",job!=\"x\"}");
        assert_eq!(round(r#"{"my.metric","http.code"="1"}"#), r#"{__name__="my.metric","http.code"="1"}"#);
        assert_eq!(round(r#"x{a="\x41\u00e9\101\n"}"#), "x{a=\"A\u{e9}A\\n\"}");
        assert_eq!(round("x{a=`\\d`}"), "x{a=\"\\\\d\"}");
        // Found by fuzzing: a name that starts with a digit was printed without its quotes.
        assert_eq!(round(r#"x{"9a"="b"}"#), r#"x{"9a"="b"}"#);
    }

    #[test]
    fn what_is_no_selector_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "metric name"),
            ("up[5m]", "--window"),
            ("rate(x)", "functions"),
            ("up offset 5m", "--end"),
            ("up @ 5", "--end"),
            ("{}", "at least one"),
            ("{a=~\".*\"}", "at least one"),
            ("x{a}", "one of"),
            ("x{a=1}", "quoted"),
            ("x{a=\"1", "does not end"),
            ("x{a=~\"(\"}", "regular expression"),
            ("x{__name__=\"y\"}", "twice"),
            ("9m", "metric name"),
            ("x{a=\"\\q\"}", "escape"),
        ] {
            let message = Selector::parse(text).unwrap_err().to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn patterns_are_anchored_and_missing_labels_are_empty() {
        let s = Selector::parse("x{code=~\"2.|\",job!=\"a\"}").unwrap();
        let yes = |p: &[(&'static str, &'static str)]| s.matches(&Labels::from_pairs(p.iter().copied()));
        assert!(yes(&[("__name__", "x"), ("code", "20")]));
        assert!(!yes(&[("__name__", "x"), ("code", "200")]));
        assert!(yes(&[("__name__", "x")]));
        assert!(!yes(&[("__name__", "x"), ("job", "a")]));
    }
}
