//! The plots of the report, each drawn from the same numbers for every width: wide, and narrow for a phone.

use serde_json::Value;

use crate::time::rfc3339;

use super::svg::{Anchor, Svg};
use super::words::clock;

const HOUR_MS: i64 = 3_600_000;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;
/// The height of a line of text above a plot.
const LINE: f64 = 18.0;

/// A drawing as HTML, in both widths.
pub fn both(id: &str, title: &str, description: &str, draw: impl Fn(&Frame) -> Svg) -> String {
    let wide = draw(&Frame { width: 960.0, ticks: 14 }).finish(&format!("{id}-w"), "wide", title, description);
    let narrow = draw(&Frame { width: 360.0, ticks: 5 }).finish(&format!("{id}-n"), "narrow", title, description);
    wide + &narrow
}

/// What differs between the widths.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    width: f64,
    /// The most labels of the time axis.
    ticks: i64,
}

/// For a printed page.
#[cfg(feature = "pdf")]
pub const PAPER: Frame = Frame { width: 800.0, ticks: 10 };

/// The times that are drawn, on the width of a frame.
#[derive(Debug, Clone, Copy)]
struct TimeAxis {
    frame: Frame,
    start: i64,
    end: i64,
    left: f64,
}

impl TimeAxis {
    fn of(timeline: &Value, frame: &Frame, left: f64) -> TimeAxis {
        let (start, end) = (int(&timeline["start_ms"]), int(&timeline["end_ms"]));
        TimeAxis { frame: *frame, start, end: end.max(start.saturating_add(1)), left }
    }

    fn x(&self, t: i64) -> f64 {
        let t = t.clamp(self.start, self.end);
        let share = (t - self.start) as f64 / (self.end - self.start) as f64;
        self.left + share * (self.frame.width - self.left - RIGHT)
    }

    /// Whole hours or days of UTC with their labels.
    fn draw(&self, svg: &mut Svg, top: f64, bottom: f64) {
        let steps = [1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 720, 2160, 8760].map(|h| h * HOUR_MS);
        let fits = |step: &&i64| (self.end - self.start) / **step < self.frame.ticks;
        let step = steps.iter().find(fits).copied().unwrap_or(self.end - self.start);
        svg.text("tick", self.left - 6.0, bottom + 19.0, Anchor::End, "UTC");
        let mut t = self.start.div_euclid(step).saturating_add(1).saturating_mul(step);
        while t <= self.end {
            let x = self.x(t);
            svg.line("grid", (x, top), (x, bottom));
            let room = x > self.left + 22.0 && x < self.frame.width - 16.0;
            if room {
                svg.text("tick", x, bottom + 19.0, Anchor::Middle, &label(t, step));
            }
            t = t.saturating_add(step);
        }
    }
}

fn label(t: i64, step: i64) -> String {
    let text = rfc3339(t);
    let (month, day) = (text.get(5..7).unwrap_or_default(), text.get(8..10).unwrap_or_default());
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = month.parse::<usize>().ok().and_then(|m| names.get(m.checked_sub(1)?)).unwrap_or(&"");
    match text.get(11..16) {
        Some(clock) if step < 24 * HOUR_MS && clock != "00:00" => clock.to_owned(),
        _ => format!("{month} {day}"),
    }
}

/// Values on the height of a plot.
struct ValueAxis {
    top: f64,
    bottom: f64,
    most: f64,
}

impl ValueAxis {
    fn y(&self, value: f64) -> f64 {
        self.bottom - (value / self.most).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    fn draw(&self, svg: &mut Svg, axis: &TimeAxis, unit: impl Fn(f64) -> String) {
        let step = nice(self.most / 4.0);
        let mut n = 0.0;
        while n * step <= self.most * 1.0001 {
            let y = self.y(n * step);
            svg.line("grid", (axis.left, y), (axis.frame.width - RIGHT, y));
            svg.text("tick", axis.left - 6.0, y + 4.0, Anchor::End, &unit(n * step));
            n += 1.0;
        }
    }
}

/// The next of 1, 2, 2.5 and 5 times a power of ten.
fn nice(x: f64) -> f64 {
    if !(x.is_finite() && x > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(x.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|f| f * power >= x * 0.9999).unwrap_or(10.0);
    factor * power
}

/// An empty plot of figures over the period: the drawing with its axes, and what nothing is known of shaded. Of its height
/// `above` is free for what stands over the plot.
fn framed(
    timeline: &Value,
    frame: &Frame,
    (height, above): (f64, f64),
    most: f64,
    label: impl Fn(f64) -> String,
) -> (Svg, TimeAxis, ValueAxis) {
    let mut svg = Svg::new(frame.width, height);
    let axis = TimeAxis::of(timeline, frame, LEFT);
    let value = ValueAxis { top: TOP + above, bottom: height - BOTTOM, most };
    shade(&mut svg, timeline, &axis, value.top, value.bottom);
    axis.draw(&mut svg, value.top, value.bottom);
    value.draw(&mut svg, &axis, label);
    (svg, axis, value)
}

/// The windows that are judged, as brackets above a plot.
fn windows(svg: &mut Svg, timeline: &Value, axis: &TimeAxis) {
    let judged = list(&timeline["windows"]).iter().filter(|w| w["name"] != "updates");
    for (row, window) in judged.take(2).enumerate() {
        let y = LINE * row as f64 + 9.0;
        let (x, end) = (axis.x(int(&window["start_ms"])), axis.x(int(&window["end_ms"])));
        for edge in [x, end] {
            svg.line("bracket", (edge, y - 4.0), (edge, y + 4.0));
        }
        let name = format!("{} hours", window["name"].as_str().unwrap_or_default().trim_end_matches('h'));
        let half = name.chars().count() as f64 * 4.2 + 2.0;
        let middle = (x + end) / 2.0;
        if end - x < 2.0 * half + 12.0 {
            svg.line("bracket", (x, y), (end, y));
            continue;
        }
        svg.line("bracket", (x, y), (middle - half, y));
        svg.line("bracket", (middle + half, y), (end, y));
        svg.text("tick", middle, y + 4.0, Anchor::Middle, &name);
    }
}

/// Availability by the hour, the rolling window, and the requirement; outages and what nothing is known of behind them.
pub fn availability(timeline: &Value, frame: &Frame) -> Svg {
    let (mut svg, axis, value) = framed(timeline, frame, (290.0, 2.0 * LINE), 100.0, |v| format!("{v:.0}%"));
    windows(&mut svg, timeline, &axis);
    let required = float(&timeline["required_percent"]).unwrap_or(70.0);
    for hour in list(&timeline["hours"]) {
        let Some(ratio) = ratio(hour) else { continue };
        let percent = ratio * 100.0;
        let (x, end) = (axis.x(int(&hour["start_ms"])), axis.x(int(&hour["end_ms"])));
        let class = if percent >= required { "bar good" } else { "bar bad" };
        let y = value.y(percent);
        let total = float(&hour["total_requests"]).unwrap_or(0.0);
        let hint = format!("{}: {percent:.2}% of {total:.0} requests", hour_of(hour));
        // An hour without a single good request is still seen.
        svg.rect(class, x, y.min(value.bottom - 2.0), bar(end - x), (value.bottom - y).max(2.0), &hint);
    }
    restarts(&mut svg, timeline, &axis, value.bottom);
    svg.line("required", (axis.left, value.y(required)), (frame.width - RIGHT, value.y(required)));
    let points = list(&timeline["rolling"]["points"]);
    let at = |p: &Value| float(&p["availability_ratio"]).map(|r| (axis.x(int(&p["end_ms"])), value.y(r * 100.0)));
    svg.path("rolling-back", &runs(points.iter().map(at)));
    svg.path("rolling", &runs(points.iter().map(at)));
    svg
}

/// Requests by group, stacked by the hour.
pub fn requests(timeline: &Value, frame: &Frame) -> Svg {
    let hours = list(&timeline["hours"]);
    let totals = hours.iter().filter_map(|h| float(&h["total_requests"]));
    let (mut svg, axis, value) = framed(timeline, frame, (260.0, LINE), top(totals.fold(0.0, f64::max)), amount);
    svg.text("tick", 0.0, TOP, Anchor::Start, "requests per hour");
    let groups = Groups::of(timeline);
    for hour in hours {
        let (x, end) = (axis.x(int(&hour["start_ms"])), axis.x(int(&hour["end_ms"])));
        let mut below = 0.0;
        let mut stack = |class: &str, n: f64, status: &str| {
            let hint = format!("{}: {n:.0} with {status}", hour_of(hour));
            let (from, to) = (value.y(below), value.y(below + n));
            svg.rect(&format!("bar {class}"), x, to, bar(end - x), from - to, &hint);
            below += n;
        };
        for group in &groups.named {
            stack(&group.class, group.count(hour).unwrap_or(0.0), &format!("status {}", group.name));
        }
        stack(OTHERS_CLASS, groups.others(hour), "another status");
    }
    svg
}

/// The most statuses that are drawn and listed each by itself.
const MOST_GROUPS: usize = 6;
/// The class of all other ones.
pub const OTHERS_CLASS: &str = "gap";

/// A status.
pub struct Group {
    /// The position of its figures in those of an hour.
    position: usize,
    pub name: String,
    /// Its class, and so its colour.
    pub class: String,
}

impl Group {
    /// Its requests in an hour.
    pub fn count(&self, hour: &Value) -> Option<f64> {
        hour["requests"].get(self.position).and_then(float)
    }
}

/// The statuses with the most requests, in the order of their names, and all others together.
pub struct Groups {
    pub named: Vec<Group>,
    /// Whether there are others.
    pub has_others: bool,
}

impl Groups {
    pub fn of(timeline: &Value) -> Groups {
        let names: Vec<&str> = list(&timeline["groups"]).iter().map(|g| g.as_str().unwrap_or_default()).collect();
        let total = |position: usize| -> f64 {
            list(&timeline["hours"]).iter().filter_map(|h| float(h["requests"].get(position)?)).sum()
        };
        let mut most: Vec<(usize, f64)> = (0..names.len()).map(|position| (position, total(position))).collect();
        most.sort_by(|a, b| b.1.total_cmp(&a.1));
        most.truncate(MOST_GROUPS);
        most.sort_by_key(|(position, _)| *position);
        let has_others = most.len() < names.len();
        let mut named: Vec<Group> = Vec::new();
        for (position, _) in most {
            let name = names.get(position).copied().unwrap_or_default();
            let nth = named.iter().filter(|before| colour(&before.name) == colour(name)).count();
            named.push(Group { position, name: name.to_owned(), class: class(name, nth) });
        }
        Groups { named, has_others }
    }

    /// The requests of all others in an hour.
    pub fn others(&self, hour: &Value) -> f64 {
        let all = list(&hour["requests"]).iter().enumerate();
        let others = all.filter(|(at, _)| !self.named.iter().any(|g| g.position == *at));
        others.filter_map(|(_, n)| float(n)).sum()
    }
}

/// The colour of a kind of statuses; others have none of their own.
fn colour(status: &str) -> Option<&'static str> {
    match status.as_bytes().first()? {
        b'2' => Some("good"),
        b'4' => Some("warn"),
        b'5' => Some("bad"),
        _ => None,
    }
}

/// The class of a status before which `nth` of its kind are drawn: a tint of the colour of that kind.
fn class(status: &str, nth: usize) -> String {
    match colour(status) {
        Some(colour) if nth == 0 => colour.to_owned(),
        Some(colour) => format!("{colour} t{}", nth.min(3)),
        // The third colour is too near to that of what is good.
        None => format!("s{}", [0, 3, 1, 4, 6, 7].get(nth).unwrap_or(&0)),
    }
}

/// When an hour begins, to the minute. The edge itself belongs to the hour before.
pub fn hour_of(hour: &Value) -> String {
    clock(&rfc3339(int(&hour["start_ms"]).saturating_add(1)).into())
}

/// The 0.95 quantile of latency by the hour.
pub fn latency(timeline: &Value, frame: &Frame) -> Svg {
    let hours = list(&timeline["hours"]);
    let values = hours.iter().filter_map(|h| float(&h["p95_latency_seconds"]));
    let (mut svg, axis, value) = framed(timeline, frame, (200.0, 0.0), top(values.fold(0.0, f64::max)), seconds);
    // A value is of the whole hour, so it is a step and no slope.
    let mut steps = Vec::new();
    for hour in hours {
        let p95 = float(&hour["p95_latency_seconds"]).map(|p| value.y(p));
        steps.push(p95.map(|y| (axis.x(int(&hour["start_ms"])), y)));
        steps.push(p95.map(|y| (axis.x(int(&hour["end_ms"])), y)));
    }
    svg.path("latency", &runs(steps.into_iter()));
    svg
}

/// How many versions have colours of their own.
pub const COLOURS: usize = 12;

/// Which version each replica served when, and the switches.
pub fn versions(timeline: &Value, frame: &Frame) -> Svg {
    let served = list(&timeline["served_versions"]);
    let mut replicas: Vec<String> = served.iter().map(|s| replica(&s["replica"])).collect();
    replicas.sort();
    replicas.dedup();
    let names = version_names(timeline);
    let lanes = Lanes::new(replicas.len());
    let mut svg = Svg::new(frame.width, lanes.height());
    let axis = TimeAxis::of(timeline, frame, lanes.left(&replicas, frame));
    axis.draw(&mut svg, TOP, lanes.bottom());
    lanes.names(&mut svg, &replicas, &axis);
    for s in served {
        let lane = replicas.binary_search(&replica(&s["replica"])).unwrap_or(0);
        let version = s["version"].as_str().unwrap_or_default();
        let class = names.iter().position(|n| n == version).unwrap_or(0) % COLOURS;
        // One sample is seen, too.
        let end = axis.x(time(&s["end"])).max(axis.left + 2.0);
        let x = axis.x(time(&s["start"])).min(end - 2.0);
        let hint = format!("{}: {version} from {} to {}", replica(&s["replica"]), clock(&s["start"]), clock(&s["end"]));
        svg.rect(&format!("bar s{class}"), x, lanes.y(lane), end - x, lanes.bar, &hint);
        // Only where it fits: seven units a character.
        if lanes.named && end - x > version.chars().count() as f64 * 7.0 + 6.0 {
            svg.text("inside", (x + end) / 2.0, lanes.y(lane) + lanes.bar / 2.0 + 4.0, Anchor::Middle, version);
        }
    }
    for s in list(&timeline["switches"]) {
        let lane = replicas.binary_search(&replica(&s["replica"]));
        let x = axis.x(int(&s["timestamp_ms"]));
        let (top, bottom) = match lane {
            Ok(lane) => (lanes.y(lane) - lanes.over, lanes.y(lane) + lanes.bar + lanes.over),
            Err(_) => (TOP, lanes.bottom()),
        };
        svg.line("switch", (x, top), (x, bottom));
    }
    svg
}

/// The versions that were served, ascending.
pub fn version_names(timeline: &Value) -> Vec<String> {
    let served = list(&timeline["served_versions"]).iter();
    let mut names: Vec<String> = served.filter_map(|s| s["version"].as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// What was scraped of each target, what said 0, and what is missing.
pub fn coverage(timeline: &Value, frame: &Frame) -> Svg {
    let targets = list(&timeline["coverage"]["targets"]);
    let names: Vec<String> = targets.iter().map(|t| replica(&t["labels"])).collect();
    let lanes = Lanes::new(targets.len());
    let mut svg = Svg::new(frame.width, lanes.height());
    let axis = TimeAxis::of(timeline, frame, lanes.left(&names, frame));
    axis.draw(&mut svg, TOP, lanes.bottom());
    lanes.names(&mut svg, &names, &axis);
    for (lane, target) in targets.iter().enumerate() {
        let y = lanes.y(lane);
        let hint = names.get(lane).map_or("", String::as_str);
        svg.rect("bar good", axis.x(axis.start), y, axis.x(axis.end) - axis.x(axis.start), lanes.bar, hint);
        for (class, what, spans) in [("bar gap", "not scraped", &target["gaps"]), ("bar bad", "down", &target["downs"])]
        {
            for span in list(spans) {
                let (x, end) = (axis.x(time(&span["start"])), axis.x(time(&span["end"])));
                let hint = format!("{hint}: {what} from {} to {}", clock(&span["start"]), clock(&span["end"]));
                svg.rect(class, x, y, (end - x).max(1.0), lanes.bar, &hint);
            }
        }
        for restart in list(&target["restarts"]) {
            let x = axis.x(time(restart));
            svg.line("restart", (x, y - lanes.over), (x, y + lanes.bar + lanes.over));
        }
    }
    svg
}

/// Rows of bars, one per target. Where they are many they have no names but the numbers of their rows, and touch.
struct Lanes {
    count: usize,
    pitch: f64,
    bar: f64,
    /// How far marks stand out of a bar.
    over: f64,
    named: bool,
}

impl Lanes {
    fn new(count: usize) -> Lanes {
        match count {
            0..=12 => Lanes { count, pitch: 30.0, bar: 20.0, over: 3.0, named: true },
            13..=40 => Lanes { count, pitch: 16.0, bar: 12.0, over: 1.0, named: true },
            _ => {
                let pitch = (500.0 / count as f64).clamp(0.5, 5.0);
                // They overlap a little, so that nothing shines through between them.
                Lanes { count, pitch, bar: pitch + 0.5, over: 0.0, named: false }
            }
        }
    }

    fn y(&self, lane: usize) -> f64 {
        TOP + 4.0 + lane as f64 * self.pitch
    }

    fn bottom(&self) -> f64 {
        self.y(self.count.max(1)) + 2.0
    }

    fn height(&self) -> f64 {
        self.bottom() + BOTTOM
    }

    fn left(&self, names: &[String], frame: &Frame) -> f64 {
        let longest = names.iter().map(|n| width(n)).fold(0.0, f64::max);
        if self.named { (longest + 14.0).clamp(LEFT, frame.width * 0.28) } else { LEFT }
    }

    fn names(&self, svg: &mut Svg, names: &[String], axis: &TimeAxis) {
        let mut name = |lane: usize, name: &str| {
            svg.text("tick", axis.left - 6.0, self.y(lane) + self.bar / 2.0 + 4.0, Anchor::End, name);
        };
        if !self.named {
            let step = nice(self.count as f64 / 6.0) as usize;
            let numbers = (1..).map(|n| n * step).take_while(|n| *n <= self.count);
            [1].into_iter().chain(numbers.filter(|n| *n > 1)).for_each(|n| name(n - 1, &n.to_string()));
            return;
        }
        for (lane, shown) in fitted(names, axis.left - 10.0).iter().enumerate() {
            name(lane, shown);
        }
    }
}

/// About how wide a text is in the letters of a plot; rather more.
fn width(text: &str) -> f64 {
    text.chars().map(letter).sum()
}

fn letter(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '-' | ' ' | '|' => 5.2,
        'm' | 'w' | 'M' | 'W' | '…' | '@' | '%' => 12.0,
        c if c.is_ascii() => 7.8,
        _ => 12.0,
    }
}

/// Names of at most so much width. What all of them end with is cut first, and then the start: there they differ.
fn fitted(names: &[String], room: f64) -> Vec<String> {
    if names.iter().all(|name| width(name) <= room) {
        return names.to_vec();
    }
    let first = names.first().map_or("", String::as_str);
    let common = |name: &String| name.chars().rev().zip(first.chars().rev()).take_while(|(a, b)| a == b).count();
    // Something of every name is left.
    let less_one = |name: &String| name.chars().count().saturating_sub(1);
    let shared = names.iter().skip(1).map(common).min().unwrap_or(0);
    let shared = names.iter().map(less_one).fold(shared, usize::min);
    let shorten = |name: &String| {
        if width(name) <= room {
            return name.clone();
        }
        let (cut, end) = if shared > 1 { (shared, "…") } else { (0, "") };
        let stem: Vec<char> = name.chars().take(name.chars().count() - cut).collect();
        let whole: String = stem.iter().copied().chain(end.chars()).collect();
        if width(&whole) <= room {
            return whole;
        }
        let mut used = width("…") + width(end);
        let fits = |c: &&char| {
            used += letter(**c);
            used <= room
        };
        match stem.iter().rev().take_while(fits).count() {
            0 => "…".to_owned(),
            kept => format!("…{}{end}", stem.iter().skip(stem.len() - kept).collect::<String>()),
        }
    };
    names.iter().map(shorten).collect()
}

/// Outages, and what was not scraped at all, over the height of a plot.
fn shade(svg: &mut Svg, timeline: &Value, axis: &TimeAxis, top: f64, bottom: f64) {
    for (class, what, spans) in
        [("outage", "outage", &timeline["outages"]), ("unknown", "not scraped", &timeline["coverage"]["gaps"])]
    {
        for span in list(spans) {
            let (x, end) = (axis.x(time(&span["start"])), axis.x(time(&span["end"])));
            let hint = format!("{what} from {} to {}", clock(&span["start"]), clock(&span["end"]));
            svg.rect(class, x, top, (end - x).max(1.0), bottom - top, &hint);
        }
    }
}

fn restarts(svg: &mut Svg, timeline: &Value, axis: &TimeAxis, bottom: f64) {
    for target in list(&timeline["coverage"]["targets"]) {
        for restart in list(&target["restarts"]) {
            let x = axis.x(time(restart));
            svg.line("restart", (x, bottom), (x, bottom + 5.0));
        }
    }
}

/// The width of a bar, with a hair between it and the next one where there is room.
fn bar(width: f64) -> f64 {
    if width > 5.0 { width - 0.8 } else { width }
}

/// A round value above the largest one.
fn top(most: f64) -> f64 {
    let step = nice(most / 4.0);
    (most / step).ceil().max(1.0) * step
}

fn amount(x: f64) -> String {
    if x >= 1e6 {
        format!("{}M", x / 1e6)
    } else if x >= 1e4 {
        format!("{}k", x / 1e3)
    } else {
        format!("{x}")
    }
}

fn seconds(x: f64) -> String {
    if x < 1.0 { format!("{} ms", (x * 1e6).round() / 1e3) } else { format!("{} s", (x * 1e3).round() / 1e3) }
}

/// Points in runs without a hole.
fn runs(points: impl Iterator<Item = Option<(f64, f64)>>) -> Vec<Vec<(f64, f64)>> {
    let mut out: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut open = false;
    for point in points {
        match (point, out.last_mut()) {
            (Some(p), Some(run)) if open => run.push(p),
            (Some(p), _) => out.push(vec![p]),
            (None, _) => {}
        }
        open = point.is_some();
    }
    out
}

/// The instance, or whatever labels a replica has.
pub fn replica(labels: &Value) -> String {
    if let Some(instance) = labels["instance"].as_str() {
        return instance.to_owned();
    }
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { "(no labels)".to_owned() } else { pairs.join(" ") }
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// A figure; text such as `NaN` has none.
pub fn float(value: &Value) -> Option<f64> {
    value.as_f64().filter(|x| x.is_finite())
}

/// The good share of an hour with requests.
pub fn ratio(hour: &Value) -> Option<f64> {
    let (total, good) = (float(&hour["total_requests"])?, float(&hour["successful_requests"])?);
    (total > 0.0).then_some(good / total)
}

fn time(value: &Value) -> i64 {
    value.as_str().and_then(|t| crate::time::parse_time(t).ok()).map_or(0, |(t, _)| t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_values() {
        for (most, step, end) in
            [(0.0, 1.0, 1.0), (7.0, 2.0, 8.0), (100.0, 25.0, 100.0), (0.164, 0.05, 0.2), (813.0, 250.0, 1000.0)]
        {
            assert_eq!((nice(most / 4.0), top(most)), (step, end), "{most}");
        }
    }

    #[test]
    fn names_are_cut_where_they_are_equal() {
        let fitted = |names: &[&str], room| fitted(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>(), room);
        assert_eq!(fitted(&["a", "b"], 8.0), ["a", "b"]);
        let hosts = ["rec-01.compute.internal", "rec-02.compute.internal"];
        assert_eq!(fitted(&hosts, 60.0), ["rec-01…", "rec-02…"]);
        assert_eq!(fitted(&hosts, 50.0), ["…-01…", "…-02…"]);
        assert_eq!(fitted(&["recommender-0", "recommender-1"], 45.0), ["…er-0", "…er-1"]);
        assert_eq!(fitted(&["recommender-0"], 45.0), ["…er-0"]);
        assert_eq!(fitted(&["x", "recommender-x"], 45.0), ["x", "…er-x"]);
        assert_eq!(fitted(&["recommender-0"], 5.0), ["…"]);
    }

    /// Statuses of one kind had one colour, and the legend lacked what was drawn behind the twelfth.
    #[test]
    fn the_most_frequent_statuses_have_colours_of_their_own() {
        let names = ["200", "201", "204", "301", "404", "429", "500", "503", "timeout"];
        let requests = [900.0, 3.0, 5.0, 1.0, 40.0, 20.0, 30.0, 2.0, 25.0];
        let timeline = serde_json::json!({"groups": names, "hours": [{"requests": requests}]});
        let groups = Groups::of(&timeline);
        let told: Vec<(&str, &str)> = groups.named.iter().map(|g| (g.name.as_str(), g.class.as_str())).collect();
        let expected = [
            ("200", "good"),
            ("204", "good t1"),
            ("404", "warn"),
            ("429", "warn t1"),
            ("500", "bad"),
            ("timeout", "s0"),
        ];
        assert_eq!(told, expected);
        assert!(groups.has_others && groups.others(&timeline["hours"][0]) == 6.0);
    }

    #[test]
    fn holes_part_lines() {
        let p = |x: f64| Some((x, 0.0));
        let found = runs([p(1.0), p(2.0), None, None, p(3.0)].into_iter());
        assert_eq!(found, [vec![(1.0, 0.0), (2.0, 0.0)], vec![(3.0, 0.0)]]);
    }
}
