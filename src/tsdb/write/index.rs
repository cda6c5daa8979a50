//! `index`, version 2, written (`tsdb/index/index.go: Writer` upstream, `docs/format/index.md`).
//!
//! The file is what upstream's writer of 3.14 and later gives for the same series, byte for byte: header, symbols,
//! series, postings, postings table, table of contents; the dead sections of label indices only as offsets.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::output::{Output, put_string, put_uvarint, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::raw::crc32c;
use crate::tsdb::index::{BlockSeriesRef, ChunkMeta};

/// Magic and version 2.
const HEADER: [u8; 5] = [0xBA, 0xAA, 0xD7, 0x00, 2];
/// Series start at multiples of this, so that 32-bit references reach 64 GiB.
const SERIES_ALIGN: u64 = 16;

/// Collects series and writes the index at the end, because the symbols come first in the file.
///
/// Memory: every distinct string once, 8 bytes per label of a series, and the encoded chunk list of each series
/// (about 6 bytes per chunk).
#[derive(Debug, Default)]
pub struct IndexWriter {
    /// Strings in the order of their first use.
    symbols: HashMap<Box<[u8]>, u32>,
    /// Labels of all series, as pairs of positions in `symbols`.
    pairs: Vec<(u32, u32)>,
    /// Chunk lists of all series, encoded.
    chunks: Vec<u8>,
    series: Vec<Pending>,
    last: Labels,
}

/// Where a series' parts end in the columns of the writer.
#[derive(Debug, Clone, Copy)]
struct Pending {
    pairs_end: usize,
    chunks_end: usize,
}

impl IndexWriter {
    /// An index without series.
    pub fn new() -> IndexWriter {
        IndexWriter::default()
    }

    /// The number of series so far.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no series yet.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Whether a series of these labels may come next: not empty, and behind the last one in label order.
    pub fn check(&self, labels: &Labels) -> Result<()> {
        let wrong = |why: String| Err(Error::new(ErrorKind::Malformed, why));
        if labels.iter().any(|l| l.name.is_empty()) {
            return wrong(format!("a label of {labels} has no name"));
        }
        if *labels <= self.last {
            return wrong(if labels.is_empty() {
                "a series without labels cannot be written".to_owned()
            } else {
                format!("series must come in label order, each once, but {labels} came after {}", self.last)
            });
        }
        Ok(())
    }

    /// Appends a series. Its chunks are written as they are: times and references may overlap or fall back, since
    /// differences wrap; upstream's writer would refuse that.
    pub fn add(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<()> {
        self.check(labels)?;
        for label in labels.iter() {
            let pair = (self.symbol(&label.name), self.symbol(&label.value));
            self.pairs.push(pair);
        }
        put_uvarint(&mut self.chunks, chunks.len() as u64);
        let mut last: Option<&ChunkMeta> = None;
        for c in chunks {
            let out = &mut self.chunks;
            let length = c.max_time_ms.wrapping_sub(c.min_time_ms) as u64;
            match last {
                None => {
                    put_varint(out, c.min_time_ms);
                    put_uvarint(out, length);
                    put_uvarint(out, c.reference.0);
                }
                Some(last) => {
                    put_uvarint(out, c.min_time_ms.wrapping_sub(last.max_time_ms) as u64);
                    put_uvarint(out, length);
                    put_varint(out, c.reference.0.wrapping_sub(last.reference.0) as i64);
                }
            }
            last = Some(c);
        }
        self.series.push(Pending { pairs_end: self.pairs.len(), chunks_end: self.chunks.len() });
        self.last = labels.clone();
        Ok(())
    }

    fn symbol(&mut self, text: &[u8]) -> u32 {
        if let Some(known) = self.symbols.get(text) {
            return *known;
        }
        let new = self.symbols.len() as u32;
        self.symbols.insert(text.into(), new);
        new
    }

    /// Writes the file; gives its length and the reference of each series in the order of their addition.
    ///
    /// Errs when a section exceeds 4 GiB or the series 64 GiB, as upstream does.
    pub fn finish(self, path: PathBuf) -> Result<(u64, Vec<BlockSeriesRef>)> {
        let IndexWriter { symbols, pairs, chunks, series, last: _ } = self;
        let mut out = Output::create(path)?;
        out.write(&HEADER)?;

        let symbols_at = out.at();
        let mut sorted: Vec<(Box<[u8]>, u32)> = symbols.into_iter().collect();
        sorted.sort_unstable();
        let mut ordinals = vec![0u32; sorted.len()];
        let mut content = (sorted.len() as u32).to_be_bytes().to_vec();
        for (ordinal, (text, first_use)) in sorted.iter().enumerate() {
            put_string(&mut content, text);
            if let Some(place) = ordinals.get_mut(*first_use as usize) {
                *place = ordinal as u32;
            }
        }
        section(&mut out, &content)?;

        let series_at = out.at();
        let mut refs = Vec::with_capacity(series.len());
        // Label pairs by ordinals, which sort like their strings.
        let mut postings: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        let mut all = Vec::with_capacity(series.len());
        let mut head = Vec::new();
        let (mut pairs_start, mut chunks_start) = (0, 0);
        for s in series {
            out.pad(SERIES_ALIGN)?;
            let Ok(reference) = u32::try_from(out.at() / SERIES_ALIGN) else {
                let message = "the series section would exceed 64 GiB";
                return Err(Error::new(ErrorKind::Malformed, message).at(out.path()));
            };
            refs.push(BlockSeriesRef(u64::from(reference)));
            all.push(reference);
            let labels = pairs.get(pairs_start..s.pairs_end).unwrap_or_default();
            content.clear();
            put_uvarint(&mut content, labels.len() as u64);
            for (name, value) in labels {
                let ordinal = |id: &u32| ordinals.get(*id as usize).copied().unwrap_or_default();
                let pair = (ordinal(name), ordinal(value));
                put_uvarint(&mut content, u64::from(pair.0));
                put_uvarint(&mut content, u64::from(pair.1));
                postings.entry(pair).or_default().push(reference);
            }
            content.extend_from_slice(chunks.get(chunks_start..s.chunks_end).unwrap_or_default());
            head.clear();
            put_uvarint(&mut head, content.len() as u64);
            out.write(&head)?;
            out.write(&content)?;
            out.write(&crc32c(&content).to_be_bytes())?;
            (pairs_start, chunks_start) = (s.pairs_end, s.chunks_end);
        }

        // The offsets of the postings and of the dead label indices point before the padding, as upstream's do.
        let postings_at = out.at();
        let mut table = (postings.len() as u32 + 1).to_be_bytes().to_vec();
        let text = |ordinal: u32| sorted.get(ordinal as usize).map_or(&b""[..], |(t, _)| t);
        postings_list(&mut out, &mut table, b"", b"", &all)?;
        for ((name, value), list) in &postings {
            postings_list(&mut out, &mut table, text(*name), text(*value), list)?;
        }

        let table_at = out.at();
        section(&mut out, &table)?;

        content.clear();
        for offset in [symbols_at, series_at, postings_at, table_at, postings_at, table_at] {
            content.extend_from_slice(&offset.to_be_bytes());
        }
        let crc = crc32c(&content);
        content.extend_from_slice(&crc.to_be_bytes());
        out.write(&content)?;
        Ok((out.finish()?, refs))
    }
}

/// A list of series references, aligned to 4 bytes, and its entry in the table.
fn postings_list(out: &mut Output, table: &mut Vec<u8>, name: &[u8], value: &[u8], list: &[u32]) -> Result<()> {
    out.pad(4)?;
    put_uvarint(table, 2);
    put_string(table, name);
    put_string(table, value);
    put_uvarint(table, out.at());
    let mut content = (list.len() as u32).to_be_bytes().to_vec();
    content.extend(list.iter().flat_map(|r| r.to_be_bytes()));
    section(out, &content)
}

/// `u32` length, content, CRC of the content.
fn section(out: &mut Output, content: &[u8]) -> Result<()> {
    let Ok(length) = u32::try_from(content.len()) else {
        let message = format!("a section of {} bytes; at most 4294967295 can be written", content.len());
        return Err(Error::new(ErrorKind::Malformed, message).at(out.path()));
    };
    out.write(&length.to_be_bytes())?;
    out.write(content)?;
    out.write(&crc32c(content).to_be_bytes())
}
