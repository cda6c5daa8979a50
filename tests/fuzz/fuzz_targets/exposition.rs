//! Text dumps: the same entries however the bytes arrive, places inside the file, and no word from the second opinion.
#![no_main]
use std::io::Read;

use libfuzzer_sys::fuzz_target;
use promproof::scrape::{CrossCheck, Dialect, Event, Families, Reader, read_answer, sniff};
use promproof::version::PromVersion;

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

fn entries(mut reader: Reader<impl Read>, dialect: Dialect, length: u64) -> Vec<String> {
    let (mut all, mut families, mut check) = (Vec::new(), Families::default(), CrossCheck::default());
    let mut before = None;
    while let Some(line) = reader.next_line().unwrap() {
        all.push(format!("{line:?}"));
        families.observe(&line.event);
        match &line.event {
            Event::Sample(sample) => {
                let labels = sample.stored_labels(PromVersion::new(3, 16));
                assert!(labels.len() <= sample.labels.len() + 1);
                families.of(&sample.name.bytes());
            }
            Event::Fault(fault) => {
                assert!(fault.offset() <= length);
                assert!(!fault.to_string().is_empty());
            }
            _ => {}
        }
        assert!(line.place.offset <= length && before <= Some(line.place));
        before = Some(line.place);
        if dialect == Dialect::Prometheus {
            check.offer(&line);
        }
    }
    assert!(check.disagreements.is_empty(), "{:?}", check.disagreements);
    assert_eq!(reader.place().offset, length);
    all
}

fuzz_target!(|data: &[u8]| {
    let [mode, text @ ..] = data else { return };
    let dialects = [Dialect::Prometheus, Dialect::OpenMetrics, Dialect::TsdbDump, Dialect::TsdbDumpOpenMetrics];
    let dialect = dialects[usize::from(mode & 3)];
    let (crlf, drop) = (mode & 4 != 0, usize::from(mode >> 4) + 1);
    let limit = if mode & 8 != 0 { 64 } else { 1 << 20 };
    let length = text.len() as u64;
    let whole = entries(Reader::new(text, dialect).crlf(crlf).max_line_bytes(limit), dialect, length);
    let drops = entries(Reader::new(Drops(text, drop), dialect).crlf(crlf).max_line_bytes(limit), dialect, length);
    assert_eq!(whole, drops);
    sniff(text);
    let _ = read_answer(text, |series| assert_eq!(series.samples.ts.len(), series.samples.bits.len()));
});
