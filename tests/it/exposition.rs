//! Text dumps: upstream's parsers beside ours, damage, round trips, and real dumps.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use promproof::labels::Labels;
use promproof::scrape::{
    CrossCheck, Dialect, Event, Exemplar, FaultKind, Form, LabelPairs, Line, Reader, Sample, read_answer, sniff,
};
use promproof::version::PromVersion;
use serde_json::Value;

use crate::random::Random;
use crate::support;

/// Every entry as one line of text, faults included.
fn entries(mut reader: Reader<impl Read>) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        out.push(shown(&line));
    }
    out
}

fn parse(text: &[u8], dialect: Dialect) -> Vec<String> {
    entries(Reader::new(text, dialect))
}

fn shown(line: &Line<'_>) -> String {
    match &line.event {
        Event::Sample(s) => format!("sample {}", sample(s)),
        Event::Fault(f) => format!("fault {:?} {f}", f.kind),
        Event::Type { family, metric_type } => format!("type {} {}", latin(family), metric_type.name()),
        Event::Help { family, text } => format!("help {} {}", latin(family), latin(text)),
        Event::Unit { family, unit } => format!("unit {} {}", latin(family), latin(unit)),
        Event::Comment(_) => "comment".to_owned(),
        Event::Eof | Event::Scrape { .. } => "separator".to_owned(),
        Event::Histogram(h) => format!("histogram {} {}", latin(h.text), h.timestamp_ms),
        other => panic!("{other:?}"),
    }
}

/// Labels in order of their names, as 3.16 stores them, but with empty values.
fn sample(s: &Sample<'_>) -> String {
    let stored = s.stored_labels(PromVersion::new(3, 16));
    let mut labels = vec![("__name__".to_owned(), latin(&s.name.bytes()))];
    labels.extend(s.labels.iter().map(|(n, v)| {
        let value = if v.raw.is_empty() { v.bytes().into_owned() } else { stored.get(&n.bytes()).to_vec() };
        (latin(&n.bytes()), latin(&value))
    }));
    labels.sort();
    let mut text = format!("{labels:?} {:016x} {:?}", s.bits, s.timestamp_ms);
    if let Some(Exemplar { labels, bits, timestamp_ms }) = &s.exemplar {
        write!(text, " # {:?} {bits:016x} {timestamp_ms:?}", pairs(labels)).unwrap();
    }
    text
}

fn pairs(labels: &LabelPairs<'_>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = labels.iter().map(|(n, v)| (latin(&n.bytes()), latin(&v.bytes()))).collect();
    pairs.sort();
    pairs
}

/// Bytes as the characters of their numbers, as the oracle writes them.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

fn bytes(text: &Value) -> Vec<u8> {
    text.as_str().unwrap_or_default().chars().map(|c| u8::try_from(c).unwrap()).collect()
}

/// An entry of the oracle in the same words.
fn upstream(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let labels = |of: &Value| -> Vec<(String, String)> {
        let all = of["labels"].as_array().into_iter().flatten();
        let mut all: Vec<_> = all.map(|p| (p[0].as_str().unwrap().into(), p[1].as_str().unwrap().into())).collect();
        all.sort();
        all
    };
    let number = |of: &Value| format!("{} {:?}", of["bits"].as_str().unwrap(), of["t_ms"].as_i64());
    match entry["kind"].as_str().unwrap() {
        "sample" => {
            let mut line = format!("sample {:?} {}", labels(entry), number(entry));
            let exemplar = &entry["exemplar"];
            if !exemplar.is_null() {
                write!(line, " # {:?} {}", labels(exemplar), number(exemplar)).unwrap();
            }
            line
        }
        "comment" => "comment".to_owned(),
        // Upstream leaves escapes in the names of families.
        kind => format!("{kind} {} {}", unescaped(&text("name")), text("value")),
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(next @ ('\\' | '"' | 'n'))) => {
                chars.next();
                out.push(if next == 'n' { '\n' } else { next });
            }
            _ => out.push(c),
        }
    }
    out
}

/// What differs between upstream and ours on one text, if anything does.
fn difference(case: &Value) -> Option<String> {
    let text = bytes(&case["text"]);
    let dialect = if case["dialect"] == "prometheus" { Dialect::Prometheus } else { Dialect::OpenMetrics };
    let mut ours = Vec::new();
    let mut reader = Reader::new(text.as_slice(), dialect);
    while let Some(line) = reader.next_line().unwrap() {
        match &line.event {
            // Upstream adds the line break itself.
            Event::Fault(f) if f.kind == FaultKind::Unterminated => {}
            // The end of what upstream reads, or a comment.
            Event::Eof if dialect == Dialect::OpenMetrics => {}
            // Our own separator, which OpenMetrics does not have.
            Event::Scrape { .. } if dialect == Dialect::OpenMetrics => ours.push((true, shown(&line))),
            _ => ours.push((matches!(line.event, Event::Fault(_)), shown(&line))),
        }
    }
    // An empty scrape is none to the parser of OpenMetrics, but no fault to the server (`scrape/scrape.go: append`).
    let error = if text.is_empty() { "" } else { case["error"].as_str().unwrap() };
    let has_nul = text.contains(&0);
    let theirs = case["entries"].as_array().unwrap();
    for (i, entry) in theirs.iter().enumerate() {
        let expected = upstream(entry);
        let refused = entry["refused"] == true;
        // Upstream may hand out a sample and refuse what follows on its line.
        let last_before_error = i + 1 == theirs.len() && !error.is_empty();
        match ours.get(i) {
            Some((true, _)) if refused => return None,
            Some((true, _)) if last_before_error => return None,
            Some((false, found)) if *found == expected && !refused => {}
            Some((false, found)) if found == "separator" && expected == "comment" => {}
            // Outside quotes upstream passes over NUL bytes here, takes them into a token there, and stops at others.
            _ if has_nul => return None,
            // A separator to us, which ends what TYPE lines said; a comment to upstream.
            _ if ours.iter().take(i).any(|(_, event)| event == "separator") => return None,
            found => return Some(format!("entry {i}: upstream has {expected} (refused: {refused}), ours {found:?}")),
        }
    }
    if has_nul {
        return None;
    }
    match ours.get(theirs.len()) {
        None if error.is_empty() => None,
        Some((true, _)) if !error.is_empty() => None,
        found => Some(format!("upstream's end is {error:?}, ours goes on with {found:?}")),
    }
}

fn compare_all(text: &str) -> (usize, usize) {
    let (mut cases, mut accepted) = (0, 0);
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        cases += 1;
        accepted += usize::from(case["error"] == "");
        if let Some(what) = difference(&case) {
            wrong.push(format!("{} {:?}\n  {what}", case["dialect"], case["text"].as_str().unwrap()));
        }
    }
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {cases} differ:\n{shown}", wrong.len());
    (cases, accepted)
}

#[test]
fn upstreams_answers_are_ours() {
    let text = support::read_text(&support::fixtures().join("dumps/upstream-v0.316.0.jsonl")).unwrap();
    let (cases, accepted) = compare_all(&text);
    assert!(cases > 1800 && accepted > 500, "{cases} cases, {accepted} of them accepted");
}

#[test]
fn further_answers_of_upstream_are_ours() {
    let Some(file) = std::env::var_os("PROMPROOF_EXPOSE") else {
        eprintln!("skipped: no further expositions; see tests/oracle/README.md and PROMPROOF_EXPOSE");
        return;
    };
    let text = std::fs::read_to_string(Path::new(&file)).unwrap();
    let (cases, accepted) = compare_all(&text);
    eprintln!("{cases} expositions compared, of which upstream accepts {accepted}");
    assert!(accepted > 0);
}

/// Gives a few bytes at a time.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(self.1).min(to.len());
        let (now, later) = self.0.split_at(n);
        to[..n].copy_from_slice(now);
        self.0 = later;
        Ok(n)
    }
}

/// A little of everything that a dialect has, without a fault.
const SAMPLERS: [(Dialect, &str); 4] = [
    (
        Dialect::Prometheus,
        "# HELP a_total Some\\nhelp.\n# TYPE a_total counter\na_total{b=\"c\",d=\"\\\"e\\\\\"} 1027 1395066363000\n\
         a_total 3\t5\n\n# TYPE h histogram\nh_bucket{le=\"1\",} 2.5e-3\nh_bucket{ le = \"+Inf\" } NaN\n# comment\n\
         {\"my.name\",\"http.code\"=\"200\"} -Inf\nx{y=\"over\nlines\"} 4\nz{y=\"\u{e9}\u{65e5}\"} 0.1\n",
    ),
    (
        Dialect::OpenMetrics,
        "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Some help.\na_seconds_total{b=\"c\"} 1.5 1700215884.373\n\
         a_seconds_created{b=\"c\"} 1.7e9\n# TYPE h histogram\nh_bucket{le=\"1\"} 2 # {id=\"x\"} 0.5 12.25\nh_bucket{le=\"+Inf\"} 3 4 # {} 1\n\
         {\"my.name\",\"q\"=\"\\n\"} NaN\n# EOF\n",
    ),
    (
        Dialect::TsdbDump,
        "{__name__=\"a\", b=\"c\\\"\"} 1.5e+06 1700215884373\n{__name__=\"a\", http.code=\"d\"} NaN -1\n\
         {\"a.b\"=\"\\u200b\", __name__=\"x\"} +Inf 5\n{__name__=\"h\"} {count:5, sum:18.4, (1,2]:4} 7\n",
    ),
    (
        Dialect::TsdbDumpOpenMetrics,
        "a{b=\"c\\t\",d=\"e\"} 1.5e+06 1700215884.373\nb{} 0 -0.001\nmy.name{x.y=\"z\"} -Inf 5.000\n# EOF\n",
    ),
];

#[test]
fn entries_do_not_depend_on_how_bytes_arrive() {
    for (dialect, text) in SAMPLERS {
        let whole = parse(text.as_bytes(), dialect);
        assert!(whole.len() >= 4 && !whole.iter().any(|e| e.starts_with("fault")), "{whole:?}");
        for size in 1..40 {
            assert_eq!(entries(Reader::new(Drops(text.as_bytes(), size), dialect)), whole, "{size} bytes at a time");
        }
    }
}

#[test]
fn a_cut_anywhere_leaves_the_lines_before_it() {
    for (dialect, text) in SAMPLERS {
        for at in 0..text.len() {
            let cut = &text.as_bytes()[..at];
            let breaks = cut.iter().filter(|b| **b == b'\n').count() as u64;
            let mut whole = Reader::new(text.as_bytes(), dialect);
            let mut reader = Reader::new(cut, dialect);
            // Entries that end before the cut are the same.
            while let Some(line) = whole.next_line().unwrap() {
                let lines = line.raw.iter().filter(|b| **b == b'\n').count() as u64 + 1;
                if line.place.number + lines > breaks + 1 {
                    break;
                }
                assert_eq!(reader.next_line().unwrap().map(|l| shown(&l)), Some(shown(&line)), "{dialect:?} at {at}");
            }
            // What is left is a fault, or a line that may be one byte longer, and says so.
            let mut rest = Vec::new();
            while let Some(line) = reader.next_line().unwrap() {
                rest.push(shown(&line));
            }
            let is_fault = |e: &String| e.starts_with("fault");
            let said = match rest.as_slice() {
                [entry, then @ ..] if !is_fault(entry) && dialect == Dialect::Prometheus => {
                    then.len() == 1 && then[0].starts_with("fault Unterminated")
                }
                [entry] if entry == "separator" => text.len() == at + 1,
                rest => rest.iter().all(is_fault),
            };
            assert!(said, "{dialect:?} at {at}: {rest:?}");
            let complete = cut.ends_with(b"\n") || cut.is_empty();
            assert!(complete || !rest.is_empty(), "{dialect:?} at {at}: a cut line without a word");
        }
    }
}

/// An entry as it was before `le` and `quantile` were normalized, since that hangs on other lines.
fn as_written(line: &Line<'_>) -> String {
    match &line.event {
        Event::Sample(s) => {
            let labels = s.stored_labels(PromVersion::new(2, 55));
            let exemplar = s.exemplar.map(|e| (pairs(&e.labels), e.bits, e.timestamp_ms));
            format!("{labels} {:016x} {:?} {exemplar:?}", s.bits, s.timestamp_ms)
        }
        _ => shown(line),
    }
}

#[test]
fn a_flipped_bit_stays_where_it_is() {
    let all = |text: &[u8], dialect| {
        let mut reader = Reader::new(text, dialect);
        let mut all = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            all.push(as_written(&line));
        }
        all
    };
    for (dialect, text) in SAMPLERS {
        let whole = all(text.as_bytes(), dialect);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut flipped = text.as_bytes().to_vec();
                flipped[at] ^= 1 << bit;
                let found = all(&flipped, dialect);
                let same = |a: &(&String, &String)| a.0 == a.1;
                let before = whole.iter().zip(&found).take_while(same).count();
                let after = whole
                    .iter()
                    .rev()
                    .zip(found.iter().rev().filter(|e| !e.contains("MissingEof")))
                    .take_while(same)
                    .count();
                let touched = whole.len().saturating_sub(before + after);
                assert!(touched <= 3, "{dialect:?}, bit {bit} of byte {at}: {touched} entries\n{found:#?}");
            }
        }
    }
}

/// A series of chance: any names and values that Prometheus can store.
fn chance_series(random: &mut Random) -> Labels {
    let names = ["job", "le", "http.code", "a b", "é", "_", "A", "quote\"d", "back\\slash", "quantile"];
    let metrics =
        ["up", "vllm:num_requests_running", "my.metric", "日本", "with \"quotes\"", "with\nbreak", "h_bucket"];
    let parts =
        ["", "a", " ", "\n", "\\", "\"", ",", "=", "}", "{", "#", "é", "\t", "\u{200b}", "日本", "\\n", "0.5", "\u{1}"];
    let mut pairs = vec![("__name__", metrics[random.below(metrics.len())].to_owned())];
    for name in names {
        if random.once_in(4) {
            let value: String = (0..random.below(4)).map(|_| parts[random.below(parts.len())]).collect();
            pairs.push((name, value));
        }
    }
    Labels::from_pairs(pairs.iter().map(|(n, v)| (*n, v.as_str())))
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// As the text formats quote.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// As Go quotes.
fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}").unwrap(),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\u{200b}' => out.push_str("\\u200b"),
            c if c < ' ' => write!(out, "\\x{:02x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out + "\""
}

fn text_of(bits: u64) -> String {
    match f64::from_bits(bits) {
        v if v.is_nan() => "NaN".to_owned(),
        v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        v => format!("{v:e}"),
    }
}

fn write_sample(out: &mut String, dialect: Dialect, labels: &Labels, bits: u64, t: i64, bare: bool) {
    let name = labels.get_text("__name__");
    let seconds = format!("{}.{:03}", t / 1000, t % 1000);
    let value = text_of(bits);
    let all: Vec<_> = labels
        .iter()
        .map(|l| {
            let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
            (text(&l.name), text(&l.value))
        })
        .collect();
    let others = all.iter().filter(|(n, _)| n != "__name__");
    match dialect {
        Dialect::Prometheus | Dialect::OpenMetrics => {
            let mut inside: Vec<String> = others
                .map(|(n, v)| {
                    let name = if is_plain(n) { n.clone() } else { quoted(n) };
                    format!("{name}={}", quoted(v))
                })
                .collect();
            if !is_plain(&name) {
                inside.insert(0, quoted(&name));
            }
            let outside = if is_plain(&name) { name.as_str() } else { "" };
            let t = if dialect == Dialect::Prometheus { t.to_string() } else { seconds };
            writeln!(out, "{outside}{{{}}} {value} {t}", inside.join(",")).unwrap();
        }
        Dialect::TsdbDump => {
            let inside: Vec<String> = all
                .iter()
                .map(|(n, v)| {
                    let name = if bare || is_plain(n) { n.clone() } else { go_quoted(n) };
                    format!("{name}={}", go_quoted(v))
                })
                .collect();
            writeln!(out, "{{{}}} {value} {t}", inside.join(", ")).unwrap();
        }
        Dialect::TsdbDumpOpenMetrics => {
            let inside: Vec<String> = others.map(|(n, v)| format!("{n}={}", go_quoted(v))).collect();
            writeln!(out, "{name}{{{}}} {value} {seconds}", inside.join(",")).unwrap();
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    for (dialect, _) in SAMPLERS {
        let mut random = Random(dialect as u64);
        let mut text = String::new();
        let mut written = Vec::new();
        for i in 0..20_000 {
            let labels = chance_series(&mut random);
            // promtool prints these bare, and a line break or a quote in a name is then no name any more.
            let broken = |n: &[u8]| n.iter().any(|b| matches!(b, b'\n' | b'"' | b'{'));
            let bare = i % 2 == 0;
            let unreadable = match dialect {
                Dialect::TsdbDump => bare && labels.iter().any(|l| broken(&l.name)),
                Dialect::TsdbDumpOpenMetrics => {
                    labels.iter().any(|l| broken(&l.name)) || broken(labels.get(b"__name__"))
                }
                _ => false,
            };
            if unreadable {
                continue;
            }
            let any = f64::from_bits(random.bits());
            let bits = [any, random.below(1000) as f64, f64::NAN, f64::INFINITY, -0.0][random.below(5)];
            let bits = if bits.is_nan() { promproof::scrape::NAN_BITS } else { bits.to_bits() };
            let t = 1_600_000_000_000 + random.below(400_000_000_000) as i64;
            write_sample(&mut text, dialect, &labels, bits, t, bare);
            written.push((labels, bits, Some(t)));
        }
        if dialect.ends_with_eof() {
            text.push_str("# EOF\n");
        }
        assert!(written.len() > 8_000);
        let mut reader = Reader::new(text.as_bytes(), dialect);
        let mut read = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            match &line.event {
                Event::Sample(s) => read.push((s.stored_labels(PromVersion::new(2, 55)), s.bits, s.timestamp_ms)),
                Event::Eof => {}
                _ => panic!("{line:?}"),
            }
        }
        for (written, read) in written.iter().zip(&read) {
            assert_eq!(written, read, "{dialect:?}");
        }
        assert_eq!(written.len(), read.len());
    }
}

/// A line inside the subset that prometheus-parse reads soundly, now and then one outside.
fn chance_line(random: &mut Random, out: &mut String) {
    let word = |random: &mut Random, out: &mut String| {
        let starts = b"abzAZ_";
        let rest = b"abz_AZ019_total";
        out.push(char::from(starts[random.below(starts.len())]));
        for _ in 0..random.below(12) {
            out.push(char::from(rest[random.below(rest.len())]));
        }
    };
    let inside = ["a", "Z", "0", " ", "/", "{", "é", "日", "'", ".", "-", ":", "#", "\t", "|", "\u{a0}"];
    word(random, out);
    for i in 0..random.below(5) {
        out.push(if i == 0 { '{' } else { ',' });
        word(random, out);
        // Names differ.
        write!(out, "{i}=\"").unwrap();
        for _ in 0..random.below(8) {
            out.push_str(inside[random.below(inside.len())]);
        }
        if random.once_in(400) {
            out.push_str([",", "=", "}", "\\\\"][random.below(4)]);
        }
        out.push('"');
    }
    if out.contains('{') && out.ends_with('"') {
        out.push('}');
    }
    out.push_str([" ", "  ", "\t"][random.below(3)]);
    match random.below(6) {
        0 => out.push_str(
            ["NaN", "nan", "+Inf", "-Inf", "inf", "-infinity", "0", "-0", ".5", "5.", "+1", "1e-400"][random.below(12)],
        ),
        1 => write!(out, "{:e}", f64::from_bits(random.bits() & !(1 << 62))).unwrap(),
        2 => write!(out, "{}", random.bits()).unwrap(),
        3 => write!(out, "{}e{}", random.bits(), random.below(300) as i64 - 320).unwrap(),
        _ => write!(out, "{}", random.below(100_000) as f64 / 64.0).unwrap(),
    }
    if random.once_in(2) {
        write!(out, " {}", random.below(4_000_000_000_000)).unwrap();
    }
}

#[test]
fn a_million_lines_have_no_second_opinion() {
    let mut random = Random(6);
    let mut check = CrossCheck::default();
    let (mut text, mut lines) = (String::new(), 0u64);
    while lines < 1_000_000 {
        text.clear();
        for _ in 0..10_000 {
            let mut line = String::new();
            chance_line(&mut random, &mut line);
            text.push_str(&line);
            text.push('\n');
        }
        let mut reader = Reader::new(text.as_bytes(), Dialect::Prometheus);
        while let Some(line) = reader.next_line().unwrap() {
            lines += 1;
            check.offer(&line);
        }
    }
    assert_eq!(check.disagreements, [], "{} differ", check.differing);
    assert!(
        check.compared > 990_000 && check.outside > 1_000,
        "{} compared, {} outside",
        check.compared,
        check.outside
    );
}

#[test]
fn the_second_opinion_is_heard() {
    // Inside the guard nothing differs, so a sample that was changed on its way stands for a parser that errs.
    let mut reader = Reader::new(&b"a{b=\"c\"} 1 2\n"[..], Dialect::Prometheus);
    let mut line = reader.next_line().unwrap().unwrap();
    let Event::Sample(sample) = &mut line.event else { panic!() };
    sample.bits ^= 1;
    let mut check = CrossCheck::default();
    check.offer(&line);
    assert_eq!((check.compared, check.differing, check.disagreements.len()), (1, 1, 1));
    for outside in [
        "a:b 1",
        "a{} 1",
        "a {b=\"c\"} 1",
        "a {} 1",
        "a{b=\"c\",} 1",
        "a{b=\"c\"}1",
        "a{b=\"c}d\"} 1",
        "a 1 999999999999999",
        "{\"a\"} 1",
    ] {
        let text = format!("{outside}\n");
        let mut reader = Reader::new(text.as_bytes(), Dialect::Prometheus);
        let line = reader.next_line().unwrap().unwrap();
        assert!(matches!(line.event, Event::Sample(_)), "{line:?}");
        let mut check = CrossCheck::default();
        check.offer(&line);
        assert_eq!((check.compared, check.outside), (0, 1), "{outside}");
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
}

/// Every sample of a dump, with its labels; no fault.
fn samples(path: &Path) -> Vec<(Labels, Option<i64>, u64)> {
    let bytes = unpacked(path);
    let sniffed = sniff(&bytes[..bytes.len().min(64 << 10)]);
    let Form::Text(dialect) = sniffed.form else { panic!("{}: {sniffed:?}", path.display()) };
    let mut reader = Reader::new(bytes.as_slice(), dialect).crlf(sniffed.crlf);
    let mut all = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        match &line.event {
            Event::Sample(s) => all.push((s.stored_labels(PromVersion::new(3, 16)), s.timestamp_ms, s.bits)),
            Event::Fault(fault) => panic!("{}: {fault}", path.display()),
            _ => {}
        }
    }
    all
}

#[test]
fn both_dumps_of_a_server_hold_the_same_samples() {
    let dir = support::fixtures().join("dumps");
    let plain = samples(&dir.join("dump.txt.zst"));
    let openmetrics = samples(&dir.join("dump.om.zst"));
    assert!(plain.len() > 10_000, "{}", plain.len());
    assert_eq!(plain, openmetrics);
}

#[test]
fn both_formats_of_a_target_hold_the_same_series() {
    let dir = support::fixtures().join("dumps");
    let mut text = samples(&dir.join("20261123T135428.496Z.prom"));
    let mut openmetrics = samples(&dir.join("20261123T135428.500Z.om"));
    assert!(text.len() > 10);
    let is_created = |s: &(Labels, Option<i64>, u64)| s.0.get(b"__name__").ends_with(b"_created");
    // Client libraries write when counting began as a gauge there, and as part of the family here.
    text.retain(|s| !is_created(s));
    openmetrics.retain(|s| !is_created(s));
    let series = |all: &[(Labels, Option<i64>, u64)]| all.iter().map(|s| s.0.clone()).collect::<Vec<_>>();
    assert_eq!(series(&text), series(&openmetrics));
}

#[test]
fn what_a_server_answered_is_read() {
    let dir = support::fixtures().join("dumps");
    let federated = samples(&dir.join("federate.prom"));
    assert!(federated.len() > 50 && federated.iter().all(|s| s.1.is_some()));

    let read = |name: &str| {
        let bytes = unpacked(&dir.join(name));
        assert_eq!(sniff(&bytes).form, Form::Answer);
        let mut all = Vec::new();
        let summary = read_answer(&bytes[..], |s| all.push(s)).unwrap();
        assert_eq!((summary.status.as_str(), summary.result_type.as_str()), ("success", "matrix"));
        all
    };
    // What the server federates is the newest sample of a series, of which it also gave the raw ones.
    let raw = read("query-raw.json.zst");
    let mut found = 0;
    for series in &raw {
        let newest = series.samples.ts.iter().zip(&series.samples.bits).next_back().unwrap();
        let federated = federated.iter().find(|s| s.0 == series.labels);
        found += usize::from(federated.is_some_and(|s| s.1 >= Some(*newest.0)));
    }
    assert!(found > 10, "{found} of {}", raw.len());
    let native = read("query_range-native.json.zst");
    assert!(native.iter().all(|s| s.samples.is_empty() && s.histograms_ms.len() > 1) && !native.is_empty());
}

#[test]
fn a_cut_answer_hands_over_whole_series_only() {
    let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"2"],[3.5,"4"]]},
        {"metric":{"c":"d"},"values":[[1,"2"]],"histograms":[[5,{"count":"1"}]]}]}}"#;
    let series = |text: &[u8]| {
        let mut all = Vec::new();
        let end = read_answer(text, |s| all.push(s));
        (all, end)
    };
    let (whole, end) = series(text.as_bytes());
    assert!(whole.len() == 2 && end.is_ok());
    for at in 0..text.len() {
        let (cut, end) = series(&text.as_bytes()[..at]);
        assert_eq!(cut, whole[..cut.len()]);
        assert!(end.is_err_and(|e| e.line >= 1), "cut at {at}");
        for bit in 0..8 {
            let mut flipped = text.as_bytes().to_vec();
            flipped[at] ^= 1 << bit;
            let _ = series(&flipped);
        }
    }
}

/// Dumps that are too many for the repository.
#[test]
fn further_dumps_have_no_fault() {
    let Some(dir) = std::env::var_os("PROMPROOF_FIXTURES") else {
        eprintln!("skipped: further dumps; name the folder of further fixtures in PROMPROOF_FIXTURES");
        return;
    };
    let mut waiting = vec![PathBuf::from(dir).join("servers/dumps")];
    let mut read = [0u64; 2];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        // Beside the dumps lie lists of series and labels, and the commands.
        let file = path.file_name().unwrap().to_string_lossy();
        if !file.starts_with("query") && (file.ends_with(".json") || file.ends_with(".txt")) {
            continue;
        }
        let bytes = unpacked(&path);
        match sniff(&bytes).form {
            Form::Text(dialect) => {
                let name = path.to_string_lossy().into_owned();
                let expected = [
                    (".prom", Dialect::Prometheus),
                    ("dump.om.zst", Dialect::TsdbDumpOpenMetrics),
                    (".om", Dialect::OpenMetrics),
                    ("dump.txt.zst", Dialect::TsdbDump),
                ];
                let expected = expected.iter().find(|(end, _)| name.ends_with(end)).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(dialect, expected.1, "{name}");
                read[0] += samples(&path).len() as u64;
            }
            Form::Answer => {
                read_answer(&bytes[..], |s| read[1] += s.samples.len() as u64)
                    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            }
            form => panic!("{}: {form:?}", path.display()),
        }
    }
    eprintln!("{} samples of text dumps and {} of answers", read[0], read[1]);
    assert!(read.iter().all(|n| *n > 1000), "{read:?}");
}
