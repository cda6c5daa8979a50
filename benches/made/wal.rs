//! A writer of write-ahead logs: records of types 1 and 2 in pages of 32 KiB, plain or snappy.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use promproof::labels::Labels;
use promproof::raw::crc32c;

const PAGE: usize = 32 * 1024;
const HEADER: usize = 7;
/// Upstream's segments: 128 MiB.
const SEGMENT: usize = 128 << 20;

/// Writes records into the segments of a log.
pub struct LogWriter {
    dir: PathBuf,
    snappy: bool,
    segment: u32,
    written: usize,
    out: BufWriter<File>,
}

impl LogWriter {
    /// Starts with segment 0 in `dir`.
    pub fn create(dir: &Path, snappy: bool) -> LogWriter {
        std::fs::create_dir_all(dir).unwrap();
        let out = BufWriter::with_capacity(1 << 20, File::create(dir.join("00000000")).unwrap());
        LogWriter { dir: dir.to_path_buf(), snappy, segment: 0, written: 0, out }
    }

    /// Logs one record, in a new segment where this one is full.
    pub fn log(&mut self, record: &[u8]) {
        let compressed;
        let (flag, mut rest) = match self.snappy {
            true => {
                compressed = snap::raw::Encoder::new().compress_vec(record).unwrap();
                (8, &compressed[..])
            }
            false => (0, record),
        };
        if self.written + rest.len() + rest.len() / PAGE * HEADER + 2 * PAGE > SEGMENT {
            self.segment += 1;
            self.written = 0;
            let file = File::create(self.dir.join(format!("{:08}", self.segment))).unwrap();
            std::mem::replace(&mut self.out, BufWriter::with_capacity(1 << 20, file)).flush().unwrap();
        }
        let mut first = true;
        loop {
            let left = PAGE - self.written % PAGE;
            if left <= HEADER {
                self.write(&[0; HEADER][..left]);
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(left - HEADER));
            let kind = match (first, later.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            self.write(&[kind | flag]);
            self.write(&(now.len() as u16).to_be_bytes());
            self.write(&crc32c(now).to_be_bytes());
            self.write(now);
            (rest, first) = (later, false);
            if rest.is_empty() {
                return;
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.out.write_all(bytes).unwrap();
        self.written += bytes.len();
    }

    /// Writes what is buffered.
    pub fn finish(mut self) {
        self.out.flush().unwrap();
    }
}

fn uvarint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn varint(out: &mut Vec<u8>, n: i64) {
    uvarint(out, (n << 1 ^ n >> 63) as u64);
}

/// A record of type 1.
pub fn series_record(series: impl Iterator<Item = (u64, Labels)>) -> Vec<u8> {
    let mut out = vec![1];
    for (reference, labels) in series {
        out.extend(reference.to_be_bytes());
        uvarint(&mut out, labels.len() as u64);
        for l in labels.iter() {
            for text in [&l.name, &l.value] {
                uvarint(&mut out, text.len() as u64);
                out.extend_from_slice(text);
            }
        }
    }
    out
}

/// A record of type 2: samples of one time.
pub fn samples_record(t_ms: i64, samples: impl Iterator<Item = (u64, u64)>) -> Vec<u8> {
    let mut out = vec![2];
    let mut base = None;
    for (reference, bits) in samples {
        let base = *base.get_or_insert_with(|| {
            out.extend(reference.to_be_bytes());
            out.extend(t_ms.to_be_bytes());
            reference
        });
        varint(&mut out, reference as i64 - base as i64);
        varint(&mut out, 0);
        out.extend(bits.to_be_bytes());
    }
    out
}
