//! What the embedded fonts can write, and text in their letters.

use typst::foundations::Bytes;
use typst::text::Font;

use crate::labels::printable;

/// The family of text; what it lacks is written in [`CODE`].
pub const TEXT: &str = "Libertinus Serif";
/// The family of code, in which every character is as wide as the next.
pub const CODE: &str = "DejaVu Sans Mono";

/// The fonts, which are part of the program (`fonts/README.md`).
const FONTS: [&[u8]; 5] = [
    include_bytes!("fonts/LibertinusSerif-Regular.otf"),
    include_bytes!("fonts/LibertinusSerif-Semibold.otf"),
    include_bytes!("fonts/LibertinusSerif-Bold.otf"),
    include_bytes!("fonts/DejaVuSansMono.ttf"),
    include_bytes!("fonts/DejaVuSansMono-Bold.ttf"),
];

/// Both families.
pub struct Alphabet {
    pub fonts: Vec<Font>,
}

impl Alphabet {
    pub fn new() -> Alphabet {
        Alphabet { fonts: FONTS.iter().flat_map(|font| Font::iter(Bytes::new(*font))).collect() }
    }

    /// Text in letters that can be written; everything else, and whatever is invisible, becomes an escape.
    pub fn text(&self, text: &str) -> String {
        self.escaped(text, &[TEXT, CODE])
    }

    /// The same for code, in letters of one width.
    pub fn code(&self, text: &str) -> String {
        self.escaped(text, &[CODE])
    }

    fn escaped(&self, text: &str, families: &[&str]) -> String {
        let mut out = String::with_capacity(text.len());
        for c in printable(text).chars() {
            if c.is_ascii() || families.iter().any(|family| self.has(family, c)) {
                out.push(c);
            } else {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
        }
        out
    }

    /// Whether a character is in all fonts of a family.
    fn has(&self, family: &str, c: char) -> bool {
        let mut fonts = self.fonts.iter().map(Font::info).filter(|i| i.family == family);
        fonts.all(|i| i.coverage.contains(u32::from(c)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fonts_lack_is_escaped() {
        let alphabet = Alphabet::new();
        assert_eq!(alphabet.fonts.len(), FONTS.len());
        for (text, shown) in [
            ("95.42% — é Ω ж ✓ ✗", "95.42% — é Ω ж ✓ ✗"),
            ("#read(\"/etc/passwd\") $x$ *b* ]", "#read(\"/etc/passwd\") $x$ *b* ]"),
            ("模型 🚀", "\\u{6a21}\\u{578b} \\u{1f680}"),
            ("a\u{202e}b\u{1b}\n\u{ffff}", "a\\u202eb\\u001b\\n\\u{ffff}"),
        ] {
            assert_eq!(alphabet.text(text), shown);
        }
        assert_eq!(alphabet.code("א"), "\\u{5d0}");
    }
}
