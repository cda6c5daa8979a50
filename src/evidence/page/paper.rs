//! Plots and their colours for a printed page.

use serde_json::Value;

use super::model::Figure;
use super::plots::PAPER;

/// The light palette, and the rules of the plots.
const STYLE: &str = include_str!("plots.css");

/// A plot as a drawing by itself.
pub(crate) fn plot(figure: &Figure, timeline: &Value, font: &str) -> String {
    let named = |rules: String, (name, colour): (&str, &str)| rules.replace(&format!("var(--{name})"), colour);
    let rules = palette().into_iter().fold(parts().1.to_owned(), named);
    (figure.draw)(timeline, &PAPER).alone(&format!("text {{ font-family: \"{font}\"; }}{rules}"))
}

/// The colours by the names that the classes of plots and keys share with them.
pub(crate) fn palette() -> Vec<(&'static str, &'static str)> {
    let declarations = parts().0.split([';', '{']).filter_map(|d| d.split_once(':'));
    declarations.filter_map(|(name, colour)| Some((name.trim().strip_prefix("--")?, colour.trim()))).collect()
}

/// The block of colours, and what follows it.
fn parts() -> (&'static str, &'static str) {
    STYLE.split_once('}').unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_a_pdf_is_in_the_palette() {
        let palette = palette();
        assert!(palette.contains(&("bg", "#f6f7f9")) && palette.contains(&("s5", "#8a939f")), "{palette:?}");
        for name in parts().1.split("var(--").skip(1).filter_map(|r| r.split(')').next()) {
            assert!(palette.iter().any(|(n, _)| *n == name), "{name}");
        }
    }
}
