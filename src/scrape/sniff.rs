//! [`sniff`]: which form some first bytes have.

use super::{Dialect, Event, Families, Part, Reader};

/// What a file seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sniffed {
    /// The form.
    pub form: Form,
    /// The first line ends with CR LF: [`Reader::crlf`].
    pub crlf: bool,
}

/// The forms of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines, for [`Reader`].
    Text(Dialect),
    /// The JSON of a query, for [`read_answer`](super::read_answer).
    Answer,
    /// Text in UTF-16, as some shells redirect output: to be converted to UTF-8 first.
    Utf16,
    /// Nothing but blanks and line breaks.
    Empty,
    /// No dialect understands any of it.
    Unknown,
}

/// Tells the form from the first bytes of a file; 64 KiB are plenty. A last line that may be cut is left out.
///
/// The dialect in which most lines are understood is taken. Where promtool's dialects understand as many as another one they
/// are meant, since they are narrower. OpenMetrics and the Prometheus text format share most lines: OpenMetrics is meant
/// where something is seen that only it has (`# EOF`, a unit, an exemplar, a counter `x` with a sample `x_total`).
pub fn sniff(head: &[u8]) -> Sniffed {
    let is_utf16 = matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]);
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let first = memchr::memchr(b'\n', text);
    let crlf = first.and_then(|n| text.get(..n)).is_some_and(|line| line.ends_with(b"\r"));
    let whole = memchr::memrchr(b'\n', text).map_or(text.len(), |n| n + 1);
    let lines = text.get(..whole).unwrap_or_default();
    let form = if is_utf16 {
        Form::Utf16
    } else if text.iter().all(u8::is_ascii_whitespace) {
        Form::Empty
    } else if is_json(text) {
        Form::Answer
    } else {
        dialect(lines, crlf).map_or(Form::Unknown, Form::Text)
    };
    Sniffed { form, crlf }
}

/// An object whose first key is followed by a colon, which no label is.
fn is_json(text: &[u8]) -> bool {
    let Some(rest) = text.trim_ascii_start().strip_prefix(b"{") else { return false };
    let Some(key) = rest.trim_ascii_start().strip_prefix(b"\"") else { return false };
    let Some(end) = memchr::memchr(b'"', key) else { return false };
    key.get(end + 1..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"))
}

/// What one dialect makes of the lines.
#[derive(Default)]
struct Verdict {
    understood: u64,
    lost: u64,
    only_openmetrics: bool,
}

fn dialect(lines: &[u8], crlf: bool) -> Option<Dialect> {
    use Dialect::{OpenMetrics, Prometheus, TsdbDump, TsdbDumpOpenMetrics};
    let mut fewest = u64::MAX;
    let mut judge = |dialect| {
        let verdict = judge(lines, dialect, crlf, fewest);
        fewest = fewest.min(verdict.lost);
        verdict
    };
    let prometheus = judge(Prometheus);
    let openmetrics = judge(OpenMetrics);
    let (dump, dump_openmetrics) = (judge(TsdbDump), judge(TsdbDumpOpenMetrics));
    let as_good = |v: &Verdict| v.lost == fewest && v.understood > 0;
    if as_good(&dump) {
        Some(TsdbDump)
    } else if as_good(&dump_openmetrics) {
        Some(TsdbDumpOpenMetrics)
    } else if as_good(&openmetrics) && (openmetrics.only_openmetrics || !as_good(&prometheus)) {
        Some(OpenMetrics)
    } else {
        as_good(&prometheus).then_some(Prometheus)
    }
}

/// Stops where more than `most` lines are lost.
fn judge(lines: &[u8], dialect: Dialect, crlf: bool, most: u64) -> Verdict {
    let mut reader = Reader::new(lines, dialect).crlf(crlf);
    let mut families = Families::default();
    let mut verdict = Verdict::default();
    while verdict.lost <= most
        && let Ok(Some(line)) = reader.next_line()
    {
        match &line.event {
            Event::Fault(fault) => verdict.lost += u64::from(fault.loses_line()),
            // Any text may stand in a comment.
            Event::Comment(_) => {}
            _ => verdict.understood += 1,
        }
        if verdict.only_openmetrics || dialect != Dialect::OpenMetrics {
            continue;
        }
        families.observe(&line.event);
        verdict.only_openmetrics = match &line.event {
            Event::Eof | Event::Unit { .. } => true,
            Event::Sample(sample) if sample.exemplar.is_some() => true,
            Event::Sample(sample) => {
                let name = sample.name.bytes();
                name.ends_with(b"_total") && families.of(&name).is_some_and(|m| m.part == Part::Total)
            }
            _ => false,
        };
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_from_their_first_lines() {
        use Dialect::{OpenMetrics, Prometheus, TsdbDump, TsdbDumpOpenMetrics};
        for (text, form) in [
            ("# HELP a b\n# TYPE a counter\na 1\n", Form::Text(Prometheus)),
            ("# TYPE a_total counter\na_total{b=\"c\"} 1\na_total{b=\"d", Form::Text(Prometheus)),
            ("# TYPE a untyped\na 1 1700000000000\n", Form::Text(Prometheus)),
            ("a 1\n", Form::Text(Prometheus)),
            ("{\"my.name\",a=\"b\"} 1\n", Form::Text(Prometheus)),
            ("# TYPE a counter\na_total 1\n", Form::Text(OpenMetrics)),
            ("# TYPE a gauge\na 1 1700000000.5\n", Form::Text(OpenMetrics)),
            ("a 1\n# EOF\n", Form::Text(OpenMetrics)),
            ("# TYPE a info\n", Form::Text(OpenMetrics)),
            ("{__name__=\"a\", b=\"c\"} 1 2\n", Form::Text(TsdbDump)),
            ("{A=\"b\", __name__=\"a\"} {count:1, sum:2} 3\n", Form::Text(TsdbDump)),
            ("{} 1 2\n", Form::Text(TsdbDump)),
            ("a{b=\"c\"} 1 1700000000.500\n", Form::Text(TsdbDumpOpenMetrics)),
            ("a{} 1 1700000000.000\n# EOF\n", Form::Text(TsdbDumpOpenMetrics)),
            ("{\"status\":\"success\"", Form::Answer),
            (" {\n \"data\" : {", Form::Answer),
            (" \n\r\n", Form::Empty),
            ("", Form::Empty),
            ("<html>\n", Form::Unknown),
            ("# only a comment\n", Form::Unknown),
            ("a\0 \x001\0", Form::Utf16),
        ] {
            assert_eq!(sniff(text.as_bytes()).form, form, "{text}");
        }
        assert_eq!(sniff(b"\xff\xfea\0").form, Form::Utf16);
        let crlf = sniff(b"\xef\xbb\xbf# TYPE a gauge\r\na 1\r\n");
        assert_eq!(crlf, Sniffed { form: Form::Text(Prometheus), crlf: true });
    }
}
