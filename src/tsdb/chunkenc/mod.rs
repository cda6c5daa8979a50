//! Chunk encodings (`tsdb/chunkenc` upstream, `docs/format/chunkenc.md`): bytes to samples.

mod bits;

pub mod histogram;
pub mod xor;
pub mod xor2;

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

    /// Whether chunks of this encoding hold native histograms, never floats.
    pub fn is_histogram(self) -> bool {
        matches!(
            self,
            Encoding::HISTOGRAM | Encoding::FLOAT_HISTOGRAM | Encoding::HISTOGRAM_ST | Encoding::FLOAT_HISTOGRAM_ST
        )
    }
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
