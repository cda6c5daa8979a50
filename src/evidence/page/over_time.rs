//! Availability, requests and latency over the period, as plots, by days and by hours.

use serde_json::Value;

use crate::loss::counted_noun;
use crate::report::python::thousands;

use super::model::{Cell, Figure, Part, Section, Table, head, legend, plain};
use super::plots::{self, Groups, float, hour_of, int, list, ratio};
use super::words::{NONE, latency, percent};

/// How many hours are listed; no evidence has more.
const MOST_HOURS: usize = 400;
const HOURS: (&str, &str) = ("hours", "Hour by hour");

/// The plots.
pub fn plots(timeline: &Value) -> Section {
    let mut out = Section::new("time", "Over time");
    let hours = list(&timeline["hours"]);
    let any = |key: &str| hours.iter().filter_map(|h| float(&h[key])).any(|x| x > 0.0);
    let is_served = any("total_requests");
    if !is_served {
        out.push(Part::Note("There are no requests in this period."));
    }
    if is_served || !list(&timeline["outages"]).is_empty() {
        out.push(availability(timeline));
    }
    if !is_served {
        return out;
    }
    out.push(requests(timeline));
    if any("p95_latency_seconds") {
        out.push(latencies(hours));
    } else {
        let words = "There are no latencies in this period: no latency histogram counted a request.";
        out.push(Part::Note(words));
    }
    out
}

fn availability(timeline: &Value) -> Part {
    let rolling = list(&timeline["rolling"]["points"]);
    let last = rolling.iter().rev().find_map(|p| float(&p["availability_ratio"]));
    let required = float(&timeline["required_percent"]);
    let outages = list(&timeline["outages"]).len();
    let below = |h: &Value| ratio(h).zip(required).map(|(ratio, required)| ratio * 100.0 < required);
    let hours = || list(&timeline["hours"]).iter().filter_map(below);
    let is_restarted = |t: &Value| !list(&t["restarts"]).is_empty();
    Part::Figure(Figure {
        id: "availability",
        title: "Availability",
        note: "Good requests in percent of all requests. Hours count the increments that the samples prove; the line is PromQL's.",
        name: "Availability by the hour",
        description: format!(
            "Good requests of each hour, the last 72 hours before each hour, which end at {}, and the requirement of {}%. {}.",
            last.map_or("no value".to_owned(), |r| percent(Some(r))),
            required.map_or(NONE.to_owned(), |r| r.to_string()),
            counted_noun(outages, "outage", "outages"),
        ),
        figures: Some(HOURS),
        legend: legend(&[
            ("box good", "hour at or above the requirement", hours().any(|below| !below)),
            ("box bad", "hour below it", hours().any(|below| below)),
            ("stroke rolling", "last 72 hours", last.is_some()),
            ("stroke required", "requirement", true),
            ("box outage", "no target up", outages > 0),
            ("box unknown", "not scraped", !list(&timeline["coverage"]["gaps"]).is_empty()),
            ("stroke restart", "restart", list(&timeline["coverage"]["targets"]).iter().any(is_restarted)),
        ]),
        draw: plots::availability,
    })
}

fn requests(timeline: &Value) -> Part {
    let groups = Groups::of(timeline);
    let statuses = list(&timeline["groups"]).len();
    let keys = groups.named.iter().map(|g| (format!("box {}", g.class), format!("status {}", g.name)));
    let others = (format!("box {}", plots::OTHERS_CLASS), "all other statuses".to_owned());
    let total: f64 = list(&timeline["hours"]).iter().filter_map(|h| float(&h["total_requests"])).sum();
    Part::Figure(Figure {
        id: "requests",
        title: "Requests by status",
        note: "Requests per hour of the clock; the first and the last hour may be shorter.",
        name: "Requests by status and hour",
        description: format!("{} requests of {}.", thousands(total), counted_noun(statuses, "status", "statuses")),
        figures: Some(HOURS),
        legend: keys.chain(Some(others).filter(|_| groups.has_others)).collect(),
        draw: plots::requests,
    })
}

fn latencies(hours: &[Value]) -> Part {
    let highest = hours.iter().filter_map(|h| float(&h["p95_latency_seconds"])).reduce(f64::max);
    Part::Figure(Figure {
        id: "latency",
        title: "Latency",
        note: "95 of 100 requests of an hour were answered at least this fast, by histogram_quantile.",
        name: "Latency, 95th percentile by the hour",
        description: format!("The highest is {}.", latency(highest)),
        figures: Some(HOURS),
        legend: legend(&[("stroke latency", "95th percentile", true)]),
        draw: plots::latency,
    })
}

/// What is known of a day.
#[derive(Default)]
struct Day {
    date: String,
    total: Option<f64>,
    good: f64,
    p95: Option<f64>,
    covered: f64,
    hours: f64,
    /// Whether hours were scraped of which no figure is known.
    is_part: bool,
}

impl Day {
    fn add(&mut self, hour: &Value) {
        let length = (int(&hour["end_ms"]) - int(&hour["start_ms"])) as f64 / 3_600_000.0;
        let covered = float(&hour["coverage_ratio"]).unwrap_or(0.0);
        let total = float(&hour["total_requests"]);
        self.total = [self.total, total].into_iter().flatten().reduce(|a, b| a + b);
        self.good += float(&hour["successful_requests"]).unwrap_or(0.0);
        self.p95 = [self.p95, float(&hour["p95_latency_seconds"])].into_iter().flatten().reduce(f64::max);
        self.covered += covered * length;
        self.hours += length;
        self.is_part |= total.is_none() && covered > 0.0;
    }

    fn row(&self) -> Vec<Cell> {
        let least = |n: f64| if self.is_part { format!("≥ {}", thousands(n)) } else { thousands(n) };
        let share = self.total.filter(|total| *total > 0.0 && !self.is_part).map(|total| self.good / total);
        let cells = [
            self.date.clone(),
            self.total.map_or(NONE.to_owned(), least),
            self.total.map_or(NONE.to_owned(), |_| least(self.good)),
            percent(share),
            latency(self.p95),
            percent(Some(self.covered / self.hours.max(1e-9))),
        ];
        cells.map(plain).into()
    }
}

/// A day a row.
pub fn days(timeline: &Value) -> Section {
    let mut days: Vec<Day> = Vec::new();
    for hour in list(&timeline["hours"]) {
        let date = hour_of(hour).get(..10).unwrap_or_default().to_owned();
        if days.last().is_none_or(|d| d.date != date) {
            days.push(Day { date, ..Day::default() });
        }
        days.last_mut().into_iter().for_each(|day| day.add(hour));
    }
    let mut out = Section::new("days", "Day by day");
    if days.iter().any(|day| day.is_part) {
        out.push(Part::Note("At least (≥) where the figures of some hours that were scraped are not known; those hours are dashes below."));
    }
    let head = head(&["Day (UTC)", "Requests", "Good", "Availability", "Highest hourly p95", "Scraped"]);
    out.table(Table::figures("Days", head, days.iter().map(Day::row)));
    out
}

/// What the plots are drawn from, an hour a row. Hours of which nothing is known are left out.
pub fn hours(timeline: &Value) -> Section {
    let mut out = Section::new(HOURS.0, HOURS.1);
    let is_known = |h: &&Value| float(&h["coverage_ratio"]) != Some(0.0) || float(&h["total_requests"]).is_some();
    let known: Vec<&Value> = list(&timeline["hours"]).iter().filter(is_known).collect();
    if known.is_empty() {
        out.push(Part::Note("Nothing is known of any hour."));
        return out;
    }
    let groups = Groups::of(timeline);
    let mut names = head(&["Hour (UTC)", "Requests"]);
    names.extend(groups.named.iter().map(|g| format!("Status {}", g.name)));
    names.extend(groups.has_others.then(|| "Other statuses".to_owned()));
    names.extend(head(&["Good", "Availability", "Last 72 hours", "p95", "Up", "Scraped"]));
    let points = list(&timeline["rolling"]["points"]);
    let rows = known.iter().take(MOST_HOURS).map(|hour| hour_row(hour, &groups, points));
    let table = Table::figures("Hours", names, rows).of(known.len(), "timeline.json");
    out.folded(format!("The figures of the plots: {}", counted_noun(known.len(), "hour", "hours")), table);
    out
}

/// Named statuses have a column, and the others one together.
fn hour_row(hour: &Value, groups: &Groups, points: &[Value]) -> Vec<Cell> {
    let count = |n: Option<f64>| n.map_or(NONE.to_owned(), thousands);
    let total = float(&hour["total_requests"]);
    // Without a figure of all requests that of a status says nothing.
    let of_status = |n: Option<f64>| count(total.and(n));
    let start = hour_of(hour);
    let mut row = vec![start.strip_suffix(" UTC").unwrap_or(&start).to_owned(), count(total)];
    row.extend(groups.named.iter().map(|group| of_status(group.count(hour))));
    row.extend(groups.has_others.then(|| of_status(Some(groups.others(hour)))));
    let inside = |p: &&Value| int(&p["end_ms"]) > int(&hour["start_ms"]) && int(&p["end_ms"]) <= int(&hour["end_ms"]);
    let rolling = points.iter().find(inside).and_then(|p| float(&p["availability_ratio"]));
    row.extend([
        count(float(&hour["successful_requests"])),
        percent(ratio(hour)),
        percent(rolling),
        latency(float(&hour["p95_latency_seconds"])),
        percent(float(&hour["up_ratio"])),
        percent(float(&hour["coverage_ratio"])),
    ]);
    row.into_iter().map(plain).collect()
}
