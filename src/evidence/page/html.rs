//! A report as one page. Whatever comes from files is escaped here and nowhere else; words of our own are no markup.

use super::model::{Card, Cell, Count, Figure, List, Part, Report, Run, Section, Table, more};
use super::plots;
use super::svg::escape;

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
    let cards: Vec<String> = report.cards.iter().map(card).collect();
    let counts: Vec<String> = report.counts.iter().map(count).collect();
    format!(
        "<section aria-labelledby=\"verdicts\">\n<h2 id=\"verdicts\" class=\"quiet\">Verdicts</h2>\n<div class=\"cards\">\n{}</div>\n<ul class=\"counts\">{}</ul>\n<p class=\"note\">{}.</p>\n</section>\n",
        cards.concat(),
        counts.concat(),
        escape(&report.windows_are),
    )
}

fn card(card: &Card) -> String {
    let class = card.tone.class();
    let reasons: Vec<String> = card.reasons.iter().map(|r| format!("<li>{}</li>", escape(r))).collect();
    format!(
        "<article class=\"card {class}\"><h3>{}</h3><p class=\"verdict\"><span class=\"pill {class}\">{} {}</span></p><p class=\"figure\">{}</p><p class=\"unit\">{}</p><p class=\"span\">{}</p><ul class=\"reasons\">{}</ul></article>\n",
        escape(&card.title),
        card.tone.mark(),
        card.word,
        escape(&card.figure),
        escape(&card.unit),
        escape(&card.span),
        reasons.concat(),
    )
}

fn count(count: &Count) -> String {
    let class = count.tone.map_or(String::new(), |tone| format!(" class=\"{}\"", tone.class()));
    format!("<li{class}><b>{}</b> {}</li>", escape(&count.figure), escape(&count.words))
}

fn contents(sections: &[Section]) -> String {
    let links: Vec<String> =
        sections.iter().map(|s| format!("<li><a href=\"#{}\">{}</a></li>", s.id, s.title)).collect();
    format!("<nav aria-label=\"Contents\"><ul>{}</ul></nav>\n", links.concat())
}

fn section(report: &Report, section: &Section) -> String {
    let (id, title) = (section.id, section.title);
    let parts: Vec<String> = section.parts.iter().map(|p| part(report, p)).collect();
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{}</section>\n", parts.concat())
}

fn part(report: &Report, part: &Part) -> String {
    match part {
        Part::Text(text) => format!("<p>{text}</p>\n"),
        Part::Note(text) => note(text),
        Part::Figure(f) => figure(report, f),
        Part::Table(t) => table(t),
        Part::Folded(words, t) => {
            let table = t.as_ref().map_or(String::new(), table);
            format!("<details><summary>{}</summary>\n{table}</details>\n", escape(words))
        }
        Part::List(l) => list(l),
    }
}

fn note(text: &str) -> String {
    format!("<p class=\"note\">{text}</p>\n")
}

fn figure(report: &Report, figure: &Figure) -> String {
    let keys: Vec<String> = figure
        .legend
        .iter()
        .map(|(class, name)| format!("<li><i class=\"{class}\"></i>{}</li>", escape(name)))
        .collect();
    format!(
        "<figure>\n<figcaption><h3>{}</h3><p>{}</p></figcaption>\n{}<ul class=\"legend\">{}</ul>\n</figure>\n",
        figure.title,
        figure.note,
        plots::both(figure.id, figure.name, &figure.description, |frame| (figure.draw)(&report.timeline, frame)),
        keys.concat()
    )
}

fn table(table: &Table) -> String {
    let heads: Vec<String> = table.head.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
    let mut body = String::new();
    for row in &table.rows {
        let cells = row.iter().zip(&table.head);
        let cells: Vec<String> = cells.map(|(c, head)| format!("<td data-head=\"{head}\">{}</td>", cell(c))).collect();
        body.push_str(&format!("<tr>{}</tr>\n", cells.concat()));
    }
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"Table: {0}\" tabindex=\"0\"><table><caption>{0}</caption><thead><tr>{1}</tr></thead><tbody>\n{body}</tbody></table></div>\n{2}",
        table.name,
        heads.concat(),
        more(table.more).map_or(String::new(), |m| note(&m)),
    )
}

/// Several parts stay together where a table becomes a list.
fn cell(cell: &Cell) -> String {
    match cell.as_slice() {
        [one] => run(one),
        parts => format!("<div>{}</div>", parts.iter().map(run).collect::<String>()),
    }
}

fn run(run: &Run) -> String {
    match run {
        Run::Text(text) => escape(text),
        Run::Bold(text) => format!("<b>{}</b>", escape(text)),
        Run::Code(text) => format!("<code>{}</code>", escape(text)),
        Run::Path(text) => format!("<code>{}</code>", escape(text).replace('/', "/<wbr>").replace('_', "_<wbr>")),
        Run::Digest(text) => format!("<code class=\"digest\">{}</code>", escape(text)),
        Run::Pill(tone, word) => {
            let space = if word.is_empty() { "" } else { " " };
            format!("<span class=\"pill {}\">{}{space}{}</span>", tone.class(), tone.mark(), escape(word))
        }
        Run::Break => "<br>".to_owned(),
    }
}

fn list(list: &List) -> String {
    let items: Vec<String> = list.lines.iter().map(|l| format!("<li>{}</li>", escape(l))).collect();
    let rest = more(list.more).map_or(String::new(), |m| note(&m));
    format!("<h3>{}</h3>\n<ul>{}</ul>\n{rest}", list.title, items.concat())
}
