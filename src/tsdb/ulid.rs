//! Strict ULIDs: 26 characters of Crockford's base 32, upper case, at most 128 bits.

use std::fmt;

/// A block's identity; sorts like its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(u128);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Ulid {
    /// Reads the canonical text. Lower case, other lengths and values beyond 128 bits (first character over `7`) are
    /// refused, as they are for block directories upstream (`tsdb/block.go`).
    pub fn parse(text: &str) -> Option<Ulid> {
        if text.len() != 26 || text.as_bytes().first().is_none_or(|b| *b > b'7') {
            return None;
        }
        let mut value = 0u128;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|c| *c == byte)?;
            value = value << 5 | digit as u128;
        }
        Some(Ulid(value))
    }

    /// A ULID from its 48-bit time in milliseconds and 80 further bits.
    pub fn from_parts(time_ms: u64, rest: u128) -> Ulid {
        Ulid(u128::from(time_ms & 0xffff_ffff_ffff) << 80 | rest & ((1 << 80) - 1))
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in (0..26).rev() {
            let digit = (self.0 >> (5 * i)) as usize & 31;
            write!(f, "{}", char::from(*ALPHABET.get(digit).unwrap_or(&b'0')))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_text_is_a_ulid() {
        let text = "01M84B555R12DA5C7BXMCTXPT6";
        assert_eq!(Ulid::parse(text).map(|u| u.to_string()), Some(text.to_owned()));
        for bad in [
            "01m84b555r12da5c7bxmctxpt6",
            "81M84B555R12DA5C7BXMCTXPT6",
            "01M84B555R12DA5C7BXMCTXPT",
            "01M84B555R12DA5C7BXMCTXPTI",
            "01M84B555R12DA5C7BXMCTXPT6.tmp",
        ] {
            assert!(Ulid::parse(bad).is_none(), "{bad}");
        }
    }
}
