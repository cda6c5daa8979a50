//! A report as one page. Whatever comes from files is escaped here and nowhere else; words of our own are no markup.

use super::model::{Card, Cell, Count, Figure, List, Part, Report, Run, Section, Table, Tone};
use super::plots;
use super::svg::escape;
use super::words::{WORD, moment, pieces};

const STYLE: &str = concat!(include_str!("plots.css"), include_str!("style.css"));

/// The page.
pub fn page(report: &Report) -> String {
    let name = escape(&report.name);
    let facts: Vec<String> = report
        .facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(value)))
        .collect();
    let sections: Vec<String> = report.sections.iter().map(|s| section(report, s)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Evidence: {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the verdicts</a>\n<header>\n<p class=\"kind\">Evidence report</p>\n<h1>{name}</h1>\n<dl class=\"facts\">{}</dl>\n</header>\n<main id=\"main\">\n{}{}{}</main>\n<footer><p>Made by {} from the evidence folder alone. The figures are those of its JSON documents.</p></footer>\n</body>\n</html>\n",
        facts.concat(),
        verdicts(report),
        contents(&report.sections),
        sections.concat(),
        escape(&report.made_by),
    )
}

/// The answer in one screen.
fn verdicts(report: &Report) -> String {
    let status = report
        .status
        .as_ref()
        .map_or(String::new(), |(tone, words)| format!("<p class=\"status\">{}</p>\n", pill(*tone, words)));
    let cards: Vec<String> = report.cards.iter().map(card).collect();
    let counts: Vec<String> = report.counts.iter().map(count).collect();
    format!(
        "<section aria-labelledby=\"verdicts\">\n<h2 id=\"verdicts\" class=\"quiet\">Verdicts</h2>\n{status}<div class=\"cards\">\n{}</div>\n<ul class=\"counts\">{}</ul>\n<p class=\"note\">{}</p>\n</section>\n",
        cards.concat(),
        counts.concat(),
        runs(&report.windows_are),
    )
}

fn card(card: &Card) -> String {
    let reasons: Vec<String> = card.reasons.iter().map(|r| format!("<li>{}</li>", runs(r))).collect();
    format!(
        "<article class=\"card {}\"><h3>{}</h3><p class=\"verdict\">{}</p><p class=\"figure\">{}</p><p class=\"unit\">{}</p><p class=\"span\">{}</p><ul class=\"reasons\">{}</ul></article>\n",
        card.tone.class(),
        escape(&card.title),
        pill(card.tone, card.word),
        escape(&card.figure),
        escape(&card.unit),
        escape(&card.span),
        reasons.concat(),
    )
}

fn count(count: &Count) -> String {
    let mark = count.tone.map_or(String::new(), |tone| pill(tone, "") + " ");
    format!("<li>{mark}<b>{}</b> {}</li>", escape(&count.figure), escape(&count.words))
}

/// A mark in its colour, and a word behind it or none.
fn pill(tone: Tone, word: &str) -> String {
    let space = if word.is_empty() { "" } else { " " };
    format!("<span class=\"pill {}\">{}{space}{}</span>", tone.class(), tone.mark(), escape(word))
}

fn contents(sections: &[Section]) -> String {
    let links: Vec<String> =
        sections.iter().map(|s| format!("<li><a href=\"#{}\">{}</a></li>", s.id, s.title)).collect();
    format!("<nav aria-label=\"Contents\"><ul>{}</ul></nav>\n", links.concat())
}

fn section(report: &Report, section: &Section) -> String {
    let (id, title) = (section.id, section.title);
    let parts: Vec<String> = section.parts.iter().map(|p| part(report, section, p)).collect();
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{}</section>\n", parts.concat())
}

fn part(report: &Report, section: &Section, part: &Part) -> String {
    match part {
        Part::Text(text) => format!("<p>{text}</p>\n"),
        Part::Note(text) => note(text),
        Part::Figure(f) => figure(report, f),
        Part::Table(t) => table(t, !section.says(t.name)),
        Part::Folded(words, t) => {
            format!("<details><summary>{}</summary>\n{}</details>\n", escape(words), table(t, false))
        }
        Part::List(l) => list(l),
    }
}

fn note(text: &str) -> String {
    format!("<p class=\"note\">{text}</p>\n")
}

fn figure(report: &Report, figure: &Figure) -> String {
    let key = |(class, name): &(String, String)| format!("<li><i class=\"{class}\"></i>{}</li>", escape(name));
    let keys: Vec<String> = figure.legend.iter().map(key).collect();
    let figures =
        figure.figures.map_or(String::new(), |(id, title)| format!(" Figures: <a href=\"#{id}\">{title}</a>"));
    format!(
        "<figure>\n<figcaption><h3>{}</h3><p>{}{figures}</p></figcaption>\n{}<ul class=\"legend\">{}</ul>\n</figure>\n",
        figure.title,
        figure.note,
        plots::both(figure.id, figure.name, &figure.description, |frame| (figure.draw)(&report.timeline, frame)),
        keys.concat()
    )
}

/// A table. One of figures stays a table on a narrow screen, with its first column in sight; rows of words become lists
/// there, in which each cell says what it is.
fn table(table: &Table, is_titled: bool) -> String {
    let class = |column: usize| if table.is_numeric(column) { " class=\"n\"" } else { "" };
    let classes: Vec<&str> = (0..table.head.len()).map(class).collect();
    let heads = table.head.iter().zip(&classes);
    let heads: Vec<String> = heads.map(|(h, n)| format!("<th scope=\"col\"{n}>{}</th>", escape(h))).collect();
    let mut body = String::new();
    for row in &table.rows {
        let columns = row.iter().zip(table.head.iter().zip(&classes)).enumerate();
        let cells: Vec<String> = columns
            .map(|(i, (c, (head, n)))| match (table.compact, i) {
                (true, 0) => format!("<th scope=\"row\">{}</th>", cell(c)),
                (true, _) => format!("<td{n}>{}</td>", cell(c)),
                (false, _) => format!("<td{n} data-head=\"{}\">{}</td>", escape(head), cell(c)),
            })
            .collect();
        body.push_str(&format!("<tr>{}</tr>\n", cells.concat()));
    }
    format!(
        "<div class=\"scroll {}\" role=\"region\" aria-label=\"Table: {1}\" tabindex=\"0\"><table><caption{2}>{1}</caption><thead><tr>{3}</tr></thead><tbody>\n{body}</tbody></table></div>\n{4}",
        if table.compact { "compact" } else { "words" },
        table.name,
        if is_titled { "" } else { " class=\"quiet\"" },
        heads.concat(),
        table.rest().map_or(String::new(), |m| note(&m)),
    )
}

/// Several parts stay together where a table becomes a list.
fn cell(cell: &Cell) -> String {
    if cell.len() == 1 { runs(cell) } else { format!("<div>{}</div>", runs(cell)) }
}

fn runs(cell: &Cell) -> String {
    cell.iter().map(run).collect()
}

fn run(run: &Run) -> String {
    match run {
        Run::Text(text) => pieces(text).iter().map(|p| escape(p)).collect::<Vec<String>>().join("<wbr>"),
        Run::Bold(text) => format!("<b>{}</b>", escape(text)),
        Run::Code(text) => {
            let class = if text.len() <= WORD { " class=\"short\"" } else { "" };
            format!("<code{class}>{}</code>", escape(text))
        }
        Run::Path(text) => {
            format!("<code class=\"path\">{}</code>", escape(text).replace('/', "/<wbr>").replace('_', "_<wbr>"))
        }
        Run::Digest(text) => format!("<code class=\"digest\">{}</code>", escape(text)),
        Run::Pill(tone, word) => pill(*tone, word),
        Run::Time(exact) => format!("<time datetime=\"{}\">{}</time>", escape(exact), escape(&moment(exact))),
        Run::Break => "<br>".to_owned(),
    }
}

fn list(list: &List) -> String {
    let items: Vec<String> = list.lines.iter().map(|l| format!("<li>{}</li>", runs(l))).collect();
    let rest = list.rest().map_or(String::new(), |m| note(&m));
    format!("<h3>{}</h3>\n<ul>{}</ul>\n{rest}", list.title, items.concat())
}
