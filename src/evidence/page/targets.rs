//! What the replicas served, and how they were scraped.

use serde_json::Value;

use crate::loss::counted_noun;
use crate::time::{human_duration, rfc3339};

use super::model::{Cell, Figure, Part, Run, Section, Table, head, legend, plain, text};
use super::plots::{self, float, int, list, replica};
use super::words::{NONE, clock, percent};

/// What is listed one by one; `timeline.json` has all.
const MOST: usize = 100;
const TIMELINE: &str = "timeline.json";

/// The section.
pub fn section(timeline: &Value) -> Section {
    let mut out = Section::new("targets", "Targets and versions");
    versions(&mut out, timeline);
    coverage(&mut out, timeline);
    out
}

fn versions(out: &mut Section, timeline: &Value) {
    let names = plots::version_names(timeline);
    let switches = list(&timeline["switches"]);
    let updates = list(&timeline["updates"]);
    if names.is_empty() && switches.is_empty() {
        out.push(Part::Note("No served version and no switch is in the data."));
        return;
    }
    let keys = names.iter().enumerate().map(|(i, v)| (format!("box s{i}"), v.clone()));
    out.push(Part::Figure(Figure {
        id: "versions",
        title: "Served versions",
        note: "What model_version_info showed of each replica, and every increment of model_switches_total.",
        name: "Served model versions and switches by replica",
        description: format!(
            "{}, {}, {}.",
            counted_noun(names.len(), "version", "versions"),
            counted_noun(switches.len(), "switch", "switches"),
            counted_noun(updates.len(), "distinct update", "distinct updates"),
        ),
        figures: None,
        legend: keys.take(plots::COLOURS).chain(legend(&[("stroke switch", "switch", !switches.is_empty())])).collect(),
        draw: plots::versions,
    }));
    if names.len() > plots::COLOURS {
        out.push(Part::Note("Colours repeat behind the twelfth version; the tables have each by its name."));
    }
    let rows = updates.iter().take(MOST).map(|u| {
        let of = |i: &Value| switches.get(usize::try_from(int(i)).unwrap_or(usize::MAX));
        let switches: Vec<&Value> = list(&u["switches"]).iter().filter_map(of).collect();
        let mut from: Vec<String> = switches.iter().map(|s| text(&s["from_version"])).collect();
        from.sort();
        from.dedup();
        let last = switches.last().map_or(NONE.to_owned(), |s| clock(&s["timestamp"]));
        let count = switches.len().to_string();
        [clock(&u["timestamp"]), from.join(", "), text(&u["to_version"]), count, last].map(plain).into()
    });
    let columns = head(&["First seen at", "From", "To", "Switches", "Last seen at"]);
    out.table(Table::figures("Distinct updates", columns, rows).of(updates.len(), TIMELINE));
    let rows = switches.iter().take(MOST).map(|s| {
        let exact = Run::Code(rfc3339(int(&s["timestamp_ms"])));
        let others = [text(&s["from_version"]), text(&s["to_version"]), replica(&s["replica"])];
        [vec![exact]].into_iter().chain(others.map(plain)).collect()
    });
    let columns = head(&["Seen at", "From", "To", "Replica"]);
    let words = format!("Switches one by one: {}", switches.len());
    out.folded(words, Table::figures("Switches", columns, rows).of(switches.len(), TIMELINE));
    let served = list(&timeline["served_versions"]);
    let rows = served.iter().take(MOST).map(|s| {
        let length = float(&s["duration_seconds"]).map_or(NONE.to_owned(), length);
        let [from, until] = ["start", "end"].map(|key| exactly(&s[key]));
        vec![plain(text(&s["version"])), plain(replica(&s["replica"])), from, until, plain(length)]
    });
    let columns = head(&["Version", "Replica", "From", "Until", "For"]);
    let words = format!("Served versions one by one: {}", served.len());
    out.folded(words, Table::figures("Served versions", columns, rows).of(served.len(), TIMELINE));
}

fn coverage(out: &mut Section, timeline: &Value) {
    let targets = list(&timeline["coverage"]["targets"]);
    if targets.is_empty() {
        out.push(Part::Note("Nothing is known about scrapes."));
        return;
    }
    let ratio = float(&timeline["coverage"]["ratio"]);
    let any = |key: &str| targets.iter().any(|t| !list(&t[key]).is_empty());
    let is_up = |t: &Value| float(&t["up_ratio"]).is_none_or(|up| up > 0.0);
    out.push(Part::Figure(Figure {
        id: "coverage",
        title: "Coverage",
        note: "Down is a scrape that said 0; a gap is a scrape that is not there; a stale marker says that a series ended.",
        name: "Scrapes by target",
        description: format!(
            "{}; {} of the period was scraped.",
            counted_noun(targets.len(), "target", "targets"),
            percent(ratio)
        ),
        figures: None,
        legend: legend(&[
            ("box good", "scraped and up", targets.iter().any(is_up)),
            ("box bad", "scraped and down", any("downs")),
            ("box gap", "not scraped", any("gaps")),
            ("stroke restart", "restart", any("restarts")),
        ]),
        draw: plots::coverage,
    }));
    let rows = targets.iter().take(MOST).map(|t| {
        let outage = &t["longest_down"];
        let outage = float(&outage["seconds"])
            .map_or("none".to_owned(), |s| format!("{} from {}", length(s), clock(&outage["start"])));
        let cells = [
            replica(&t["labels"]),
            percent(float(&t["ratio"])),
            percent(float(&t["up_ratio"])),
            list(&t["gaps"]).len().to_string(),
            list(&t["downs"]).len().to_string(),
            t["restarts"].as_array().map_or("unknown".to_owned(), |r| r.len().to_string()),
            int(&t["stale_markers"]).to_string(),
            outage,
        ];
        cells.map(plain).into()
    });
    let columns =
        head(&["Target", "Scraped", "Up", "Gaps", "Times down", "Restarts", "Stale markers", "Longest outage"]);
    out.table(Table::figures("Targets", columns, rows).of(targets.len(), TIMELINE));
    let events: Vec<Vec<Cell>> = targets.iter().flat_map(events).collect();
    let count = events.len();
    let columns = head(&["Target", "What", "From", "Until", "For"]);
    let table = Table::figures("Gaps and restarts", columns, events.into_iter().take(MOST)).of(count, TIMELINE);
    out.folded(format!("Gaps, downs and restarts one by one: {count}"), table);
}

/// Everything that the plot shows of a target, each with its time.
fn events(target: &Value) -> Vec<Vec<Cell>> {
    let row = |what: &str, from: &Value, until: Cell, lasting: Option<f64>| {
        let lasting = lasting.map_or(NONE.to_owned(), length);
        vec![plain(replica(&target["labels"])), plain(what), exactly(from), until, plain(lasting)]
    };
    let spans = [("not scraped", "gaps"), ("down", "downs")].into_iter().flat_map(|(what, key)| {
        let spans = list(&target[key]).iter();
        spans.map(move |s| row(what, &s["start"], exactly(&s["end"]), float(&s["seconds"])))
    });
    let restarts = list(&target["restarts"]).iter().map(|t| row("restart", t, plain(NONE), None));
    spans.chain(restarts).collect()
}

/// A time of a document.
fn exactly(time: &Value) -> Cell {
    vec![Run::Time(text(time))]
}

fn length(seconds: f64) -> String {
    human_duration((seconds * 1000.0) as i64)
}
