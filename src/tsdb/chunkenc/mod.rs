//! Chunk encodings (`tsdb/chunkenc` upstream, `docs/format/chunkenc.md`): bytes to samples.

mod bits;

pub mod histogram;
pub mod xor;
pub mod xor2;

use super::chunks::ChunkSlice;
use super::run::Run;
use crate::raw::{Fault, FaultKind};

/// The encoding byte of a chunk. Unknown values survive and print; they become losses, never defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding(pub u8);

impl Encoding {
    /// Float samples, the only encoding before 2.40.
    pub const XOR: Encoding = Encoding(1);
    /// Native histograms with integer counts.
    pub const HISTOGRAM: Encoding = Encoding(2);
    /// Native histograms with float counts.
    pub const FLOAT_HISTOGRAM: Encoding = Encoding(3);
    /// Float samples with optional start timestamps (3.11).
    pub const XOR2: Encoding = Encoding(4);
    /// Integer histograms with start timestamps (3.14).
    pub const HISTOGRAM_ST: Encoding = Encoding(5);
    /// Float histograms with start timestamps (3.14).
    pub const FLOAT_HISTOGRAM_ST: Encoding = Encoding(6);
    /// Downsampled aggregates of Thanos.
    pub const THANOS_AGGR: Encoding = Encoding(0xff);

    /// The encoding's name as upstream prints it.
    pub fn name(self) -> String {
        match self {
            Encoding::XOR => "XOR".to_owned(),
            Encoding::HISTOGRAM => "histogram".to_owned(),
            Encoding::FLOAT_HISTOGRAM => "floathistogram".to_owned(),
            Encoding::XOR2 => "XOR2".to_owned(),
            Encoding::HISTOGRAM_ST => "histogramST".to_owned(),
            Encoding::FLOAT_HISTOGRAM_ST => "floathistogramST".to_owned(),
            Encoding::THANOS_AGGR => "Thanos AGGR (downsampled)".to_owned(),
            Encoding(n) => format!("unknown encoding {n}"),
        }
    }

    /// What a chunk of an encoding that is not read is called in a fault.
    fn field(self) -> &'static str {
        match self {
            Encoding::THANOS_AGGR => "encoding of a downsampled chunk of Thanos (AGGR)",
            _ => "encoding of the chunk",
        }
    }

    /// Whether chunks of this encoding hold native histograms, never floats.
    pub fn is_histogram(self) -> bool {
        matches!(
            self,
            Encoding::HISTOGRAM | Encoding::FLOAT_HISTOGRAM | Encoding::HISTOGRAM_ST | Encoding::FLOAT_HISTOGRAM_ST
        )
    }
}

/// Puts the samples of a chunk into `out`, whatever it held before. Native histograms are decoded only if they are wanted;
/// otherwise `out` is empty for them.
///
/// Errs if the chunk breaks its format, if its encoding is not known, or if times inside it do not increase.
pub fn decode(chunk: &ChunkSlice<'_>, histograms: bool, out: &mut Run) -> Result<(), Fault> {
    out.clear();
    let encoding = Encoding(chunk.encoding);
    let ordered = match encoding {
        Encoding::XOR => {
            xor::decode(chunk, &mut out.floats)?;
            out.floats.ts.is_sorted_by(|a, b| a < b)
        }
        Encoding::XOR2 => {
            let mut starts = Vec::new();
            xor2::decode(chunk, &mut out.floats, Some(&mut starts))?;
            if starts.iter().any(|s| *s != 0) {
                out.floats.starts = starts;
            }
            out.floats.ts.is_sorted_by(|a, b| a < b)
        }
        e if e.is_histogram() => {
            if histograms {
                out.histograms = histogram::decode(chunk)?;
            }
            out.histograms.is_sorted_by(|a, b| a.t_ms < b.t_ms)
        }
        e => {
            let kind = FaultKind::Unsupported { found: u64::from(e.0) };
            return Err(Fault::new(chunk.offset, e.field(), kind));
        }
    };
    if ordered {
        return Ok(());
    }
    out.clear();
    let kind = FaultKind::Malformed { found: 0, rule: "they must increase inside a chunk" };
    Err(Fault::new(chunk.offset, "timestamps", kind))
}

/// The number of samples that a chunk's header claims, for accounting losses; `None` if there is no header.
pub fn claimed_samples(encoding: Encoding, data: &[u8]) -> Option<u64> {
    let [a, b] = *data.first_chunk::<2>()?;
    let count = u64::from(u16::from_be_bytes([a, b]));
    match encoding {
        Encoding::HISTOGRAM_ST | Encoding::FLOAT_HISTOGRAM_ST => Some(count & 0x3fff),
        Encoding::THANOS_AGGR => None,
        _ => Some(count),
    }
}
