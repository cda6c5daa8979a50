//! A small writer of SVG: shapes with classes instead of colours, numbers with one decimal, all text escaped.

use crate::labels::printable;

/// Text as HTML and SVG show it; control characters and what is invisible become escapes first.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A length with at most one decimal, so that the same numbers are the same text everywhere.
fn short(x: f64) -> String {
    let text = format!("{:.1}", if x.is_finite() { x } else { 0.0 });
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The part of a text that stands at its place.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing.
#[derive(Debug)]
pub struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { body: String::new(), width, height }
    }

    /// A filled rectangle; `hint` is shown when it is pointed at.
    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, hint: &str) {
        if width <= 0.0 || height <= 0.0 {
            return;
        }
        let head = format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            short(x),
            short(y),
            short(width.max(0.4)),
            short(height.max(0.4))
        );
        self.body.push_str(&head);
        match hint {
            "" => self.body.push_str("/>"),
            hint => self.body.push_str(&format!("><title>{}</title></rect>", escape(hint))),
        }
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.body.push_str(&format!(
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1)
        ));
    }

    /// Lines through runs of points; a single point is a dot.
    pub fn path(&mut self, class: &str, runs: &[Vec<(f64, f64)>]) {
        for run in runs {
            if let [(x, y)] = run.as_slice() {
                self.body.push_str(&format!(
                    "<circle class=\"{class} dot\" cx=\"{}\" cy=\"{}\" r=\"2.5\"/>",
                    short(*x),
                    short(*y)
                ));
                continue;
            }
            let points: Vec<String> = run.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect();
            self.body.push_str(&format!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
        }
    }

    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.body.push_str(&format!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            short(x),
            short(y),
            escape(text)
        ));
    }

    /// The drawing with its name and description for those who do not see it; `id` is unique in the document.
    pub fn finish(self, id: &str, class: &str, title: &str, description: &str) -> String {
        format!(
            "<svg class=\"plot {class}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{}</svg>\n",
            short(self.width),
            short(self.height),
            escape(title),
            escape(description),
            self.body
        )
    }

    /// The drawing by itself, with the style sheet that has its classes. It is XML, where the other one is part of a page.
    #[cfg(feature = "pdf")]
    pub fn alone(self, style: &str) -> String {
        let (width, height) = (short(self.width), short(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"><style>{style}</style>{}</svg>",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_text() {
        assert_eq!(escape("<a href='x'>&\"\u{1b}\u{202e}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\\u001b\\u202e");
        let mut svg = Svg::new(10.0, 10.0);
        svg.text("t", 0.0, -0.01, Anchor::End, "</text><script>");
        svg.rect("r", f64::NAN, 0.0, 5.0, 0.0, "none");
        let text = svg.finish("a", "wide", "<", ">");
        assert!(text.contains("y=\"0\" text-anchor=\"end\">&lt;/text&gt;&lt;script&gt;</text>"), "{text}");
        assert!(!text.contains("rect"));
    }
}
