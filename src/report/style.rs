//! Terminal style: colour only where it was asked for, and text that stays readable without.

/// Whether to write escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Colours and bold are on.
    pub color: bool,
}

impl Style {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Something good.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Something bad.
    pub fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Something to look at.
    pub fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Something less important.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

/// The boxed title of the original reports.
pub fn title(style: Style, text: &str) -> String {
    const WIDTH: usize = 64;
    let bar = "═".repeat(WIDTH);
    let left = (WIDTH - text.chars().count().min(WIDTH)) / 2;
    let right = WIDTH - left - text.chars().count().min(WIDTH);
    format!("╔{bar}╗\n║{}{}{}║\n╚{bar}╝\n", " ".repeat(left), style.bold(text), " ".repeat(right))
}

/// A heading and its rows, names aligned.
pub fn block(out: &mut String, style: Style, heading: &str, rows: &[(String, String)]) {
    out.push_str(&format!("\n{}\n", style.bold(heading)));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        let pad = width - name.chars().count();
        out.push_str(&format!("  {name}{} {value}\n", " ".repeat(pad)));
    }
}

/// A heading and a list of sentences, wrapped by the terminal.
pub fn list(out: &mut String, style: Style, heading: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", style.bold(heading)));
    for item in items {
        out.push_str(&format!("  • {item}\n"));
    }
}
