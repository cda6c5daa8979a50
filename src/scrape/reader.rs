//! [`Reader`]: a stream of bytes as lines of a dump, with one bounded buffer.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

use super::cursor::{Cursor, Entry, Name, Pair, Quoted, Refusal, Scratch};
use super::event::{Escapes, Event, Exemplar, HistogramText, LabelPairs, Line, MetricType, Place, Sample, Text};
use super::fault::{Fault, FaultKind, excerpt};
use super::{Dialect, openmetrics, prometheus, promtool};

/// The longest entry that is read unless [`Reader::max_line_bytes`] says otherwise: 16 MiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The buffer to begin with; it grows only for longer lines.
const BUFFER_BYTES: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the lines of a dump in one dialect. Memory is that of the buffer: 256 KiB, or the longest line up to the limit.
///
/// ```
/// use promproof::scrape::{Dialect, Event, Reader};
///
/// let mut reader = Reader::new(&b"up{job=\"api\"} 1\nup{job= 0\n"[..], Dialect::Prometheus);
/// let line = reader.next_line()?.unwrap();
/// let Event::Sample(sample) = line.event else { panic!() };
/// assert_eq!((sample.value(), sample.labels.len()), (1.0, 1));
/// let line = reader.next_line()?.unwrap();
/// let Event::Fault(fault) = line.event else { panic!() };
/// assert_eq!(fault.to_string(), "line 2, column 9: expected a quoted label value, found `0`");
/// assert!(reader.next_line()?.is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    dialect: Dialect,
    crlf: bool,
    limit: usize,
    /// Bytes read; those in `start..end` are not used yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the file of the first byte of the buffer.
    base: u64,
    /// Number of the line at `start`.
    line: u64,
    /// The source has no more bytes.
    exhausted: bool,
    /// What the source said while lines before were not handed out.
    failure: Option<io::Error>,
    scratch: Scratch,
    last_type: Option<MetricType>,
    /// Faults about the file that come before the next line.
    waiting: VecDeque<Fault>,
    ending: Ending,
}

/// How far the end of an exposition with `# EOF` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nothing read yet.
    Empty,
    /// Inside an exposition.
    Open,
    /// `# EOF` was the last line.
    Closed,
    /// All is said.
    Told,
}

/// The line at `start`.
enum Found {
    /// Its length without the line break, which is missing where the source ends.
    Line {
        length: usize,
        ended: bool,
    },
    TooLong,
    Nothing,
}

/// An entry that was taken from the buffer.
struct Step {
    place: Place,
    /// Its bytes in the buffer.
    range: Range<usize>,
    /// Whether a line break follows them.
    ended: bool,
    what: Result<Entry, Fault>,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of a file.
    pub fn new(source: R, dialect: Dialect) -> Reader<R> {
        Reader {
            source,
            dialect,
            crlf: false,
            limit: MAX_LINE_BYTES,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            line: 1,
            exhausted: false,
            failure: None,
            scratch: Scratch::default(),
            last_type: None,
            waiting: VecDeque::new(),
            ending: Ending::Empty,
        }
    }

    /// Lines end with CR LF, as [`sniff`](super::sniff) tells: the file went through a tool that changed them. Without this a
    /// CR is a byte like any other, and upstream refuses most lines that end with it.
    #[must_use]
    pub fn crlf(mut self, crlf: bool) -> Reader<R> {
        self.crlf = crlf;
        self
    }

    /// The longest line that is read, in bytes, up to 1 GiB; a longer one is a fault.
    #[must_use]
    pub fn max_line_bytes(mut self, limit: usize) -> Reader<R> {
        self.limit = limit.clamp(1, 1 << 30);
        self
    }

    /// The next entry, `None` at the end of the file. Blank lines of the Prometheus text format are passed over.
    ///
    /// Errs as the source does, with what a decompressor thinks of a cut file, for example; the lines before were whole.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let step = self.step()?;
        Ok(step.map(|step| self.view(step)))
    }

    /// The place behind the last entry.
    pub fn place(&self) -> Place {
        Place { number: self.line, offset: self.base + self.start as u64 }
    }

    // What is between here and `next_line` is inlined: without that an entry is copied from function to function, a quarter of
    // the time (`benches/scrape.rs`).
    #[inline(always)]
    fn step(&mut self) -> io::Result<Option<Step>> {
        loop {
            if let Some(fault) = self.waiting.pop_front() {
                return Ok(Some(Step { place: fault.line, range: 0..0, ended: true, what: Err(fault) }));
            }
            let found = self.find_line()?;
            if self.skip_byte_order_mark() || self.tell_of_the_end(&found) {
                continue;
            }
            let step = match found {
                Found::Nothing => return Ok(None),
                Found::TooLong => self.pass_over()?,
                Found::Line { length, ended } => self.take_line(length, ended),
            };
            match step.what {
                Ok(Entry::Blank) => continue,
                Ok(Entry::Eof) => {
                    self.ending = Ending::Closed;
                    self.last_type = None;
                }
                Ok(Entry::Scrape { .. }) => self.last_type = None,
                Ok(Entry::Type { metric_type, .. }) => self.last_type = Some(metric_type),
                _ => {}
            }
            return Ok(Some(step));
        }
    }

    /// A mark of three bytes that some editors put at the start of a file.
    fn skip_byte_order_mark(&mut self) -> bool {
        let marked = self.place().offset == 0 && self.unused().starts_with(BYTE_ORDER_MARK);
        if marked {
            self.waiting.push_back(self.fault(1, FaultKind::ByteOrderMark));
            self.start += BYTE_ORDER_MARK.len();
        }
        marked
    }

    /// Whether there is a fault to tell about `# EOF` before the line that was found.
    fn tell_of_the_end(&mut self, found: &Found) -> bool {
        let before = self.ending;
        self.ending = match found {
            Found::Nothing if before == Ending::Open => Ending::Told,
            Found::Nothing => before,
            _ => Ending::Open,
        };
        let kind = match (before, self.ending) {
            (Ending::Open, Ending::Told) => FaultKind::MissingEof,
            (Ending::Closed, Ending::Open) => FaultKind::AfterEof,
            _ => return false,
        };
        if self.dialect.ends_with_eof() {
            self.waiting.push_back(self.fault(1, kind));
        }
        self.dialect.ends_with_eof()
    }

    fn fault(&self, column: u64, kind: FaultKind) -> Fault {
        Fault { line: self.place(), column, kind, found: String::new() }
    }

    fn unused(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads until a whole line is in the buffer.
    fn find_line(&mut self) -> io::Result<Found> {
        let mut seen = 0;
        loop {
            let unused = self.unused();
            if let Some(n) = memchr(b'\n', unused.get(seen..).unwrap_or_default()) {
                let length = seen + n;
                return Ok(if length > self.limit { Found::TooLong } else { Found::Line { length, ended: true } });
            }
            seen = unused.len();
            if seen > self.limit {
                return Ok(Found::TooLong);
            }
            if self.exhausted {
                return Ok(if seen == 0 { Found::Nothing } else { Found::Line { length: seen, ended: false } });
            }
            self.read_more()?;
        }
    }

    /// Reads once, after making room: used bytes go, and a full buffer grows.
    fn read_more(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let wanted = (self.buffer.len() * 2).clamp(BUFFER_BYTES, BUFFER_BYTES.max(self.limit + 1));
            self.buffer.resize(wanted.max(self.end + 1), 0);
        }
        loop {
            match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.exhausted = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            return Ok(());
        }
    }

    /// Passes over a line that is longer than the limit without keeping it.
    fn pass_over(&mut self) -> io::Result<Step> {
        let fault = Fault { found: excerpt(self.unused()), ..self.fault(1, FaultKind::TooLong) };
        loop {
            match memchr(b'\n', self.unused()) {
                Some(n) => self.start += n + 1,
                None if !self.exhausted => {
                    self.start = self.end;
                    self.read_more()?;
                    continue;
                }
                None => self.start = self.end,
            }
            self.line += 1;
            return Ok(Step { place: fault.line, range: 0..0, ended: true, what: Err(fault) });
        }
    }

    /// Understands the entry at `start`, whose first line has this length, and moves behind it.
    #[inline(always)]
    fn take_line(&mut self, length: usize, ended: bool) -> Step {
        let carriage = self.crlf && self.unused().get(..length).is_some_and(|line| line.ends_with(b"\r"));
        let text_length = length - usize::from(carriage);
        let place = self.place();
        let mut what = self.understand(self.start..self.start + text_length, true).map(|(entry, _)| entry);
        let mut used = length;
        if let Err(Refusal { open: true, .. }) = what
            && ended
            && !self.crlf
            && let Some((entry, longer)) = self.take_more_lines(length)
        {
            (what, used) = (Ok(entry), longer);
        }
        let range = self.start..self.start + if used == length { text_length } else { used };
        let text = self.buffer.get(range.clone()).unwrap_or_default();
        let breaks = if used == length { 0 } else { memchr_iter(b'\n', text).count() as u64 };
        let has_break = self.buffer.get(self.start + used..self.end).is_some_and(|rest| rest.starts_with(b"\n"));
        let mut what = what.map_err(|refusal| Fault {
            line: place,
            column: refusal.at as u64 + 1,
            kind: refusal.kind,
            found: excerpt(text.get(refusal.at..).unwrap_or_default()),
        });
        if !has_break {
            what = self.last_line(what, place, used);
        }
        self.start += used + usize::from(has_break);
        self.line += breaks + 1;
        Step { place, range, ended: has_break, what }
    }

    /// What becomes of a line without a line break: `# EOF` needs none, the Prometheus text format neither, but the number at
    /// its end may be cut. An entry that is not understood stays the fault that it is.
    fn last_line(&mut self, what: Result<Entry, Fault>, place: Place, length: usize) -> Result<Entry, Fault> {
        let column = length as u64 + 1;
        let fault = |kind| Fault { line: place, column, kind, found: String::new() };
        match (what?, self.dialect) {
            (entry @ (Entry::Eof | Entry::Blank), _) => Ok(entry),
            (entry, Dialect::Prometheus) => {
                self.waiting.push_back(fault(FaultKind::Unterminated));
                Ok(entry)
            }
            _ => Err(fault(FaultKind::Cut)),
        }
    }

    /// Tries again with the lines behind the first one, which ends inside quotes. `None` if that does not help; the entry and
    /// its length otherwise.
    fn take_more_lines(&mut self, first: usize) -> Option<(Entry, usize)> {
        loop {
            let unused = self.unused();
            let within = unused.get(..self.limit).unwrap_or(unused);
            let is_all = self.exhausted && within.len() == unused.len();
            let length = if is_all { within.len() } else { memrchr(b'\n', within).unwrap_or(0) };
            if length > first {
                match self.understand(self.start..self.start + length, false) {
                    Ok((entry, used)) => return Some((entry, used)),
                    Err(Refusal { open: false, .. }) => return None,
                    Err(_) => {}
                }
            }
            if self.exhausted || self.end - self.start > self.limit {
                return None;
            }
            // The lines that are there come first.
            if let Err(e) = self.fill() {
                self.failure = Some(e);
                return None;
            }
        }
    }

    /// Reads until the buffer, made larger if need be, is full.
    fn fill(&mut self) -> io::Result<()> {
        self.read_more()?;
        while !self.exhausted && self.end < self.buffer.len() {
            self.read_more()?;
        }
        Ok(())
    }

    /// The entry at the start of these bytes of the buffer, and how many of them it uses.
    #[inline(always)]
    fn understand(&mut self, range: Range<usize>, is_line: bool) -> Result<(Entry, usize), Refusal> {
        let text = self.buffer.get(range).unwrap_or_default();
        let mut cursor = Cursor::new(text, is_line && text.is_ascii());
        entry(self.dialect, &mut cursor, &mut self.scratch).map(|entry| (entry, cursor.at()))
    }

    /// The entry with its bytes.
    #[inline(always)]
    fn view(&self, step: Step) -> Line<'_> {
        let Step { place, range, ended, what } = step;
        let raw = self.buffer.get(range).unwrap_or_default();
        let event = match what {
            Ok(entry) => self.event(raw, entry),
            Err(fault) => Event::Fault(fault),
        };
        Line { place, raw, ended, event }
    }

    #[inline(always)]
    fn event<'a>(&'a self, raw: &'a [u8], entry: Entry) -> Event<'a> {
        let part = |range: Range<usize>| raw.get(range).unwrap_or_default();
        let escapes = match self.dialect {
            Dialect::Prometheus | Dialect::OpenMetrics => Escapes::Exposition,
            Dialect::TsdbDump | Dialect::TsdbDumpOpenMetrics => Escapes::Go,
        };
        let text = |quoted: Quoted| Text {
            raw: part(quoted.range),
            escapes: if quoted.escaped { escapes } else { Escapes::None },
        };
        let family = |quoted: Quoted| -> Cow<'a, [u8]> { text(quoted).bytes() };
        let labels = |pairs: &'a [Pair], escapes, name| LabelPairs { text: raw, pairs, escapes, name };
        let named =
            |name: Name| (part(0..name.series_end), text(name.text), labels(&self.scratch.pairs, escapes, name.pair));
        match entry {
            Entry::Sample { name, bits, timestamp_ms, exemplar } => {
                let (series, name, labels_of_it) = named(name);
                let exemplar = exemplar.map(|(bits, timestamp_ms)| Exemplar {
                    labels: labels(&self.scratch.exemplar, Escapes::None, None),
                    bits,
                    timestamp_ms,
                });
                let last_type = self.last_type;
                Event::Sample(Sample { series, name, labels: labels_of_it, bits, timestamp_ms, exemplar, last_type })
            }
            Entry::Histogram { name, text, timestamp_ms } => {
                let (series, name, labels) = named(name);
                Event::Histogram(HistogramText { series, name, labels, text: part(text), timestamp_ms })
            }
            Entry::Type { family: name, metric_type } => Event::Type { family: family(name), metric_type },
            Entry::Help { family: name, text, escapes } => {
                Event::Help { family: family(name), text: Text { raw: part(text), escapes }.bytes() }
            }
            Entry::Unit { family: name, unit } => Event::Unit { family: family(name), unit: part(unit) },
            Entry::Blank | Entry::Comment => Event::Comment(raw),
            Entry::Eof => Event::Eof,
            Entry::Scrape { time_ms } => Event::Scrape { time_ms },
        }
    }
}

#[inline(always)]
fn entry(dialect: Dialect, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<Entry, Refusal> {
    scratch.pairs.clear();
    scratch.exemplar.clear();
    match dialect {
        Dialect::Prometheus => prometheus::entry(cursor, scratch),
        Dialect::OpenMetrics => openmetrics::entry(cursor, scratch),
        Dialect::TsdbDump => promtool::dump(cursor, scratch),
        Dialect::TsdbDumpOpenMetrics => promtool::dump_openmetrics(cursor, scratch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader says about a text: values of samples, kinds and places of faults, first words of the rest.
    fn told(mut reader: Reader<&[u8]>) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(line) = reader.next_line().unwrap_or_default() {
            all.push(match line.event {
                Event::Sample(s) => {
                    let name = String::from_utf8_lossy(&s.name.bytes()).into_owned();
                    let time = s.timestamp_ms.map_or(String::new(), |t| format!(" @{t}"));
                    format!("{name} {}{time}", s.value())
                }
                Event::Fault(f) => format!("{:?} {}:{} byte {}", f.kind, f.line.number, f.column, f.offset()),
                Event::Type { .. } => "type".to_owned(),
                Event::Help { .. } => "help".to_owned(),
                Event::Unit { .. } => "unit".to_owned(),
                Event::Comment(_) => "comment".to_owned(),
                Event::Eof => "eof".to_owned(),
                Event::Scrape { time_ms } => format!("scrape {time_ms}"),
                Event::Histogram(h) => format!("histogram @{}", h.timestamp_ms),
            });
        }
        all
    }

    fn prometheus(text: &str) -> Vec<String> {
        told(Reader::new(text.as_bytes(), Dialect::Prometheus))
    }

    fn openmetrics(text: &str) -> Vec<String> {
        told(Reader::new(text.as_bytes(), Dialect::OpenMetrics))
    }

    #[test]
    fn a_fault_costs_its_line_only() {
        assert_eq!(prometheus("a 1\nb x\nc 3\n"), ["a 1", "Number 2:3 byte 6", "c 3"]);
        assert_eq!(openmetrics("a 1\n\nc 3\n# EOF\n"), ["a 1", "Start 2:1 byte 4", "c 3", "eof"]);
        let mut reader = Reader::new(&b"a 1\nb{c=\"\xff\"} 2\nd 3\n"[..], Dialect::Prometheus);
        assert_eq!(told(reader), ["a 1", "Utf8 2:6 byte 9", "d 3"]);
        reader = Reader::new(&b"# HELP a \xff\n# \xff\na 1\n"[..], Dialect::Prometheus);
        assert_eq!(told(reader), ["Utf8 1:10 byte 9", "comment", "a 1"]);
    }

    #[test]
    fn blank_lines_comments_and_tabs() {
        assert_eq!(prometheus("\n \t\n# x\n#HELP a b\n\ta\t1\t2\t\n"), ["comment", "comment", "\ta 1 @2"]);
        assert_eq!(openmetrics("a\t1\n# x\n# EOF\n"), ["Value 1:2 byte 1", "Start 2:1 byte 4", "eof"]);
    }

    #[test]
    fn duplicates_are_all_there() {
        assert_eq!(prometheus("a 1\na 1\na 2\n"), ["a 1", "a 1", "a 2"]);
        assert_eq!(prometheus("a{b=\"1\",b=\"2\"} 1\n"), ["DuplicateLabel 1:9 byte 8"]);
    }

    #[test]
    fn values_over_several_lines() {
        assert_eq!(prometheus("a{b=\"c\n\nd\"} 1\ne 2\nf\n"), ["a 1", "e 2", "Value 5:2 byte 19"]);
        // Without a closing quote only the first line is lost.
        assert_eq!(prometheus("a{b=\"c 1\nd 2\n"), ["OpenQuote 1:5 byte 4", "d 2"]);
        assert_eq!(prometheus("a{b=\"c 1\nd{e=\"f\"} 2\n"), ["OpenQuote 1:5 byte 4", "d 2"]);
        assert_eq!(openmetrics("a{b=\"c\nd\"} 1\n# EOF\n"), ["OpenQuote 1:5 byte 4", "Value 2:2 byte 8", "eof"]);
    }

    #[test]
    fn line_ends_of_other_systems() {
        assert_eq!(prometheus("a 1\r\n# x\r\n"), ["Number 1:3 byte 2", "comment"]);
        let crlf = |text: &'static str, dialect| told(Reader::new(text.as_bytes(), dialect).crlf(true));
        assert_eq!(crlf("a 1\r\n\r\nb{c=\"d\"} 2 3\r\ne 4\n", Dialect::Prometheus), ["a 1", "b 2 @3", "e 4"]);
        assert_eq!(crlf("# TYPE a gauge\r\na 1\r\n# EOF\r\n", Dialect::OpenMetrics), ["type", "a 1", "eof"]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(prometheus("\u{feff}a 1\nb x\n"), ["ByteOrderMark 1:1 byte 0", "a 1", "Number 2:3 byte 9"]);
        assert_eq!(prometheus("a 1\n\u{feff}b 2\n"), ["a 1", "Start 2:1 byte 4"]);
    }

    #[test]
    fn a_last_line_without_a_line_break() {
        assert_eq!(prometheus("a 1\nb 23"), ["a 1", "b 23", "Unterminated 2:5 byte 8"]);
        assert_eq!(prometheus("a 1\nb{c=\"d"), ["a 1", "OpenQuote 2:5 byte 8"]);
        assert_eq!(openmetrics("a 1\nb 23"), ["a 1", "Cut 2:5 byte 8", "MissingEof 3:1 byte 8"]);
        assert_eq!(openmetrics("a 1\n# EOF"), ["a 1", "eof"]);
        let dump = Reader::new(&b"{__name__=\"a\"} 1 2\n{__name__=\"a\"} 1 17"[..], Dialect::TsdbDump);
        assert_eq!(told(dump), ["a 1 @2", "Cut 2:20 byte 38"]);
    }

    #[test]
    fn the_end_of_an_exposition() {
        assert_eq!(openmetrics("a 1\n"), ["a 1", "MissingEof 2:1 byte 4"]);
        assert_eq!(openmetrics(""), Vec::<String>::new());
        assert_eq!(openmetrics("a 1\n# EOF\nb 2\n# EOF\n"), ["a 1", "eof", "AfterEof 3:1 byte 10", "b 2", "eof"]);
        assert_eq!(
            openmetrics("# EOF\n\n"),
            ["eof", "AfterEof 2:1 byte 6", "Start 2:1 byte 6", "MissingEof 3:1 byte 7"]
        );
        assert_eq!(prometheus("a 1\n# EOF\na 2\n"), ["a 1", "eof", "a 2"]);
        let text = "# scrape 2025-11-19T12:00:00Z\na 1\n# scrape 1763553615.5\na 2\n# scrape of mine\n";
        assert_eq!(prometheus(text), ["scrape 1763553600000", "a 1", "scrape 1763553615500", "a 2", "comment"]);
    }

    #[test]
    fn a_type_counts_up_to_the_end_of_its_exposition() {
        let text = "# TYPE h histogram\nh{le=\"1\"} 1\n# EOF\nh{le=\"1\"} 1\n";
        let mut reader = Reader::new(text.as_bytes(), Dialect::Prometheus);
        let mut types = Vec::new();
        while let Ok(Some(line)) = reader.next_line() {
            if let Event::Sample(s) = line.event {
                types.push(s.last_type);
            }
        }
        assert_eq!(types, [Some(MetricType::Histogram), None]);
    }

    #[test]
    fn lines_of_any_length_up_to_the_limit() {
        let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(3 * BUFFER_BYTES));
        let text = format!("{long}c 2\n");
        assert_eq!(prometheus(&text), ["a 1", "c 2"]);
        let limited = |limit| told(Reader::new(text.as_bytes(), Dialect::Prometheus).max_line_bytes(limit));
        assert_eq!(limited(long.len() - 1), ["a 1", "c 2"]);
        assert_eq!(limited(long.len() - 2), ["TooLong 1:1 byte 0", "c 2"]);
        assert_eq!(limited(10), ["TooLong 1:1 byte 0", "c 2"]);
        // An entry over several lines is not cut at the limit.
        let lines = Reader::new(&b"a{b=\"c\nd\"} 12345678\n"[..], Dialect::Prometheus);
        assert_eq!(told(lines.max_line_bytes(15)), ["OpenQuote 1:5 byte 4", "Number 2:2 byte 8"]);
        // A quote that never closes is searched for within the limit.
        let open = format!("a{{b=\"{}", "x\n".repeat(100));
        let told = told(Reader::new(open.as_bytes(), Dialect::Prometheus).max_line_bytes(50));
        assert_eq!((told.len(), told[0].as_str()), (100, "OpenQuote 1:5 byte 4"));
    }

    #[test]
    fn memory_is_that_of_the_longest_line() {
        let text = "metric{label=\"value\"} 1\n".repeat(200_000);
        let mut reader = Reader::new(text.as_bytes(), Dialect::Prometheus);
        while let Ok(Some(_)) = reader.next_line() {}
        assert_eq!(reader.place(), Place { number: 200_001, offset: text.len() as u64 });
        assert_eq!(reader.buffer.len(), BUFFER_BYTES);
        let mut reader = Reader::new(io::repeat(b'x').take(50 << 20), Dialect::Prometheus).max_line_bytes(1 << 20);
        while let Ok(Some(_)) = reader.next_line() {}
        assert!(reader.buffer.len() <= (1 << 20) + 1);
    }

    #[test]
    fn promtools_lines() {
        let dump = |text: &str| told(Reader::new(text.as_bytes(), Dialect::TsdbDump));
        let text = "{__name__=\"a\", b=\"c\"} 1.5e+06 -2\n{} NaN 0\n{A.b=\"x\", __name__=\"d\"} +Inf 5\n\
                    {__name__=\"h\", \"b c\"=\"d\"} {count:5, sum:18.4, [-4,-2.8):1, (1,2]:4} 7\n";
        assert_eq!(dump(text), ["a 1500000 @-2", " NaN @0", "d inf @5", "histogram @7"]);
        for (line, fault) in [
            ("{__name__=\"a\",b=\"c\"} 1 2\n", "AfterLabel 1:14 byte 13"),
            ("{__name__=\"a\"} 1 2.5\n", "Timestamp 1:18 byte 17"),
            ("{__name__=\"a\"} 1\n", "Timestamp 1:17 byte 16"),
            ("{__name__=\"\\q\"} 1 2\n", "Escape 1:11 byte 10"),
            ("{__name__=\"a\"} {count:5} x\n", "Histogram 1:16 byte 15"),
            ("a 1 2\n", "Brace 1:1 byte 0"),
        ] {
            assert_eq!(dump(line), [fault], "{line}");
        }
        let dump = |text: &str| told(Reader::new(text.as_bytes(), Dialect::TsdbDumpOpenMetrics));
        let text = "a{b=\"c\",d=\"\\t\"} 1 1.001\nx.y{} 2 -0.001\n# EOF\n";
        assert_eq!(dump(text), ["a 1 @1001", "x.y 2 @-1", "eof"]);
        assert_eq!(dump("a 1 1.001\n# EOF\n"), ["Brace 1:10 byte 9", "eof"]);
    }

    #[test]
    fn an_error_of_the_source_is_handed_on() {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    2 => (&b"a 1\nb{c=\"d\ne 2\nf"[..]).read(to),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
        }
        let mut reader = Reader::new(Broken(0), Dialect::Prometheus);
        for line in 1..=3 {
            let found = reader.next_line().map(|l| l.map(|l| l.place.number));
            assert!(matches!(found, Ok(Some(n)) if n == line), "{found:?}");
        }
        assert!(reader.next_line().is_err());
    }
}
