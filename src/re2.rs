//! Regular expressions as Prometheus reads them: RE2's syntax, carried over to the `regex` crate.
//!
//! The two agree on nearly everything. Where they differ a pattern is rewritten so that it means what Go's `regexp` makes
//! of it, or refused as Go refuses it: Perl classes and word boundaries are ASCII, `&&`, `--`, `~~` and `[` inside a class
//! are plain characters, `\\Q…\\E` quotes, only the flags `imsU` exist, repetitions go up to 1000 and are not repeated.

/// The pattern in the crate's syntax, or why RE2 refuses it.
pub fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    // Whether the last thing written was a repetition, and may be made lazy by one `?`.
    let (mut repeated, mut lazy_allowed) = (false, false);
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let was_repeated = std::mem::take(&mut repeated);
        let may_be_lazy = std::mem::take(&mut lazy_allowed);
        rest = after;
        match c {
            '\\' => rest = escape(after, in_class, &mut out)?,
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                // `]` right behind the opening is a character.
                let (negated, body) = match after.strip_prefix('^') {
                    Some(body) => (true, body),
                    None => (false, after),
                };
                out.push_str(if negated { "^" } else { "" });
                rest = body;
                if let Some(body) = body.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = body;
                }
            }
            '[' => match after.strip_prefix(':').and_then(|r| r.find(":]").map(|end| (r, end))) {
                // A POSIX class such as [:alpha:] is the same in both.
                Some((name, end))
                    if name
                        .get(..end)
                        .is_some_and(|n| n.trim_start_matches('^').chars().all(|c| c.is_ascii_lowercase())) =>
                {
                    out.push_str("[:");
                    out.push_str(name.get(..end + 2).unwrap_or_default());
                    rest = name.get(end + 2..).unwrap_or_default();
                }
                _ => out.push_str("\\["),
            },
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && (out.ends_with('[') || out.ends_with("[^") || after.starts_with(']')) => {
                out.push_str("\\-")
            }
            '-' if in_class && after.starts_with('-') => return Err("bad character class range"),
            _ if in_class => out.push(c),
            '(' if after.starts_with('?') => {
                let head = after.get(1..).unwrap_or_default();
                let named = head.starts_with("P<") || head.starts_with('<');
                let flags = head.find([')', ':']).and_then(|end| head.get(..end));
                if !named && !flags.is_some_and(|f| f.chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'))) {
                    return Err("invalid or unsupported group or flags; RE2 knows the flags i, m, s, U");
                }
                out.push('(');
            }
            '?' if may_be_lazy => {
                out.push('?');
                repeated = true;
            }
            '*' | '+' | '?' => {
                if was_repeated {
                    return Err("a repetition cannot be repeated");
                }
                out.push(c);
                (repeated, lazy_allowed) = (true, true);
            }
            '{' => match bounds(after)? {
                Some(length) => {
                    if was_repeated {
                        return Err("a repetition cannot be repeated");
                    }
                    out.push('{');
                    out.push_str(after.get(..length).unwrap_or_default());
                    rest = after.get(length..).unwrap_or_default();
                    (repeated, lazy_allowed) = (true, true);
                }
                // A brace that opens no repetition is a character.
                None => out.push_str("\\{"),
            },
            '}' => out.push_str("\\}"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What follows a backslash; returns the rest behind it.
fn escape<'a>(after: &'a str, in_class: bool, out: &mut String) -> Result<&'a str, &'static str> {
    let Some(c) = after.chars().next() else { return Err("trailing backslash") };
    let rest = after.get(c.len_utf8()..).unwrap_or_default();
    let set = match c {
        'w' | 'W' => Some("0-9A-Za-z_"),
        'd' | 'D' => Some("0-9"),
        's' | 'S' => Some("\\t\\n\\x0c\\r "),
        _ => None,
    };
    match (c, set) {
        (_, Some(set)) if c.is_ascii_uppercase() => out.push_str(&format!("[^{set}]")),
        (_, Some(set)) if in_class => out.push_str(set),
        (_, Some(set)) => out.push_str(&format!("[{set}]")),
        ('b' | 'B', _) if !in_class => out.push_str(&format!("(?-u:\\{c})")),
        ('Q', _) if !in_class => {
            let (quoted, behind) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return Ok(behind);
        }
        ('p' | 'P', _) => {
            out.push('\\');
            out.push(c);
        }
        ('A' | 'z', _) if !in_class => {
            out.push('\\');
            out.push(c);
        }
        ('a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x', _) => {
            out.push('\\');
            out.push(c);
        }
        ('0'..='7', _) => {
            let digits: String = after.chars().take(3).take_while(|c| ('0'..='7').contains(c)).collect();
            if c != '0' && digits.len() < 2 {
                return Err("invalid escape sequence: back-references do not exist");
            }
            let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(after.get(digits.len()..).unwrap_or_default());
        }
        (c, _) if c.is_ascii_punctuation() => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        _ => return Err("invalid escape sequence"),
    }
    Ok(rest)
}

/// The length of `n}`, `n,}` or `n,m}` behind a brace; `None` where it is no repetition.
fn bounds(after: &str) -> Result<Option<usize>, &'static str> {
    let Some(end) = after.find('}') else { return Ok(None) };
    let body = after.get(..end).unwrap_or_default();
    let (least, most) = body.split_once(',').unwrap_or((body, body));
    let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !number(least) || !(most.is_empty() && body.contains(',') || number(most)) {
        return Ok(None);
    }
    let too_large = |t: &str| !t.is_empty() && t.parse::<u32>().map_or(true, |n| n > 1000);
    if too_large(least) || too_large(most) {
        return Err("invalid repeat count: at most 1000");
    }
    Ok(Some(end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> Option<bool> {
        let translated = translate(pattern).ok()?;
        let regex = regex::bytes::Regex::new(&format!("^(?s:{translated})$")).ok()?;
        Some(regex.is_match(text.as_bytes()))
    }

    /// Checked with Go's `regexp`.
    #[test]
    fn patterns_mean_what_go_makes_of_them() {
        for (pattern, text, want) in [
            (r"m\w+", "m\u{e9}", Some(false)),
            (r"m\w+", "mx_9", Some(true)),
            (r"[\w-]+", "a-b", Some(true)),
            (r"[^\d]", "\u{0663}", Some(true)),
            (r"[a-z&&-]+", "a&-", Some(true)),
            (r"[0-9&&5]+", "207", Some(true)),
            (r"[[a]+", "[a", Some(true)),
            (r"[[:alpha:]_]+", "ab_", Some(true)),
            (r"[]a]+", "]a", Some(true)),
            (r"[^]a]", "b", Some(true)),
            (r"\Qa.b\E+", "a.bb", Some(true)),
            (r"\Qa.b\E", "axb", Some(false)),
            (r"x{2}|{{.*}}", "{{y}}", Some(true)),
            (r"a{,2}", "a{,2}", Some(true)),
            (r"a{1000}", "a", Some(false)),
            (r"a{1001}", "a", None),
            (r"a**", "a", None),
            (r"a*?", "aa", Some(true)),
            (r"a??", "a", Some(true)),
            (r"a???", "a", None),
            (r"(?x)a", "a", None),
            (r"(?R)a", "a", None),
            (r"(?i)ABC", "abc", Some(true)),
            (r"(?i:A)b", "ab", Some(true)),
            (r"(?P<n>a)", "a", Some(true)),
            (r"\u006d", "m", None),
            (r"\1", "1", None),
            (r"\101", "A", Some(true)),
            (r"\.\-\/", ".-/", Some(true)),
            (r"2..|", "", Some(true)),
            (r"first.second", "first\nsecond", Some(true)),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text:?}");
        }
    }
}
