//! Aligned tables and CSV from the same rows.

/// Rows under named columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Column names, `snake_case` with the unit last.
    pub columns: Vec<&'static str>,
    /// Cells in the order of the columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns, without rows.
    pub fn new(columns: &[&'static str]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Aligned text; numbers to the right, two blanks between the columns.
    pub fn to_text(&self) -> String {
        let numeric = |i: usize| {
            self.rows.iter().all(|r| {
                r.get(i).is_none_or(|c| {
                    c.is_empty() || c == "-" || c.trim_end_matches('%').replace(',', "").parse::<f64>().is_ok()
                })
            })
        };
        let width = |i: usize, name: &str| {
            self.rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).chain([name.chars().count()]).max()
        };
        let mut out = String::new();
        let header: Vec<String> = self.columns.iter().map(|c| (*c).to_owned()).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                let name = self.columns.get(i).copied().unwrap_or_default();
                let pad = " ".repeat(width(i, name).unwrap_or(0).saturating_sub(cell.chars().count()));
                if i > 0 {
                    line.push_str("  ");
                }
                if numeric(i) {
                    line.push_str(&pad);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&pad);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// RFC 4180 CSV with a header line; lines end in `\n`.
    pub fn to_csv(&self) -> String {
        let header: Vec<String> = self.columns.iter().map(|c| (*c).to_owned()).collect();
        std::iter::once(&header).chain(&self.rows).map(|row| csv_line(row)).collect()
    }
}

/// One CSV line, quoted where needed. A cell that a spreadsheet would run as a formula gets a leading apostrophe.
pub fn csv_line(cells: &[String]) -> String {
    let quoted: Vec<String> = cells
        .iter()
        .map(|c| {
            let number = c.parse::<f64>().is_ok();
            let c =
                if !number && c.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{c}") } else { c.clone() };
            if c.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", c.replace('"', "\"\"")) } else { c }
        })
        .collect();
    format!("{}\n", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_defused() {
        assert_eq!(
            csv_line(&["a,b".into(), "=1+1".into(), "-5".into(), "x\"y".into()]),
            "\"a,b\",'=1+1,-5,\"x\"\"y\"\n"
        );
    }
}
