//! The question about requests, and its selections loaded once for any number of windows.

use rayon::prelude::*;

use crate::promql::{self, PromVersion, Window};
use crate::samples::LoadedSeries;
use crate::selector::Selector;
use crate::source::SumOrder;
use crate::time::DurationMs;
use crate::windows::Span;
use crate::windows::counted::{Counter, Proofs};

/// Which requests are good.
#[derive(Debug, Clone, PartialEq)]
pub enum GoodRule {
    /// The recommender: status 200 is good, 500 an error, every other status counts in the total only.
    Preset {
        /// Good requests.
        good: Selector,
        /// Errors.
        bad: Selector,
    },
    /// Good requests are selected; all others are bad.
    Good(Selector),
    /// Bad requests are selected; all others are good.
    Bad(Selector),
}

/// What to compute.
#[derive(Debug, Clone)]
pub struct Question {
    /// All requests.
    pub total: Selector,
    /// Which of them are good.
    pub rule: GoodRule,
    /// Labels to group by.
    pub by: Vec<String>,
    /// The health gauge.
    pub health: Option<Selector>,
    /// Classic latency buckets.
    pub latency: Option<Selector>,
    /// Overrides the scrape interval that is read off `up`.
    pub scrape_interval: Option<DurationMs>,
    /// Also evaluate the same window at earlier ends, this far apart.
    pub every: Option<DurationMs>,
    /// The window ends at the newest sample that could be read, so what was lost behind it matters, too.
    pub ends_at_newest: bool,
}

impl Question {
    /// The recommender service (`docs/windows.md`, "Preset").
    pub fn recommender() -> Question {
        let requests = || Selector::metric("recommend_requests_total");
        let status = |code: &str| requests().and(crate::selector::Matcher::equal(b"status", code.as_bytes()));
        Question {
            total: requests(),
            rule: GoodRule::Preset { good: status("200"), bad: status("500") },
            by: vec!["status".to_owned()],
            health: Some(Selector::metric("service_health_status")),
            latency: Some(Selector::metric("recommend_latency_seconds_bucket")),
            scrape_interval: None,
            every: None,
            ends_at_newest: false,
        }
    }
}

impl Question {
    /// Every selection that an answer takes, so that a source can be opened for it.
    pub fn selectors(&self) -> Vec<Selector> {
        let mut all = vec![self.total.clone()];
        match &self.rule {
            GoodRule::Preset { good, bad } => all.extend([good.clone(), bad.clone()]),
            GoodRule::Good(one) | GoodRule::Bad(one) => all.push(one.clone()),
        }
        all.extend(self.health.clone());
        all.extend(self.latency.clone());
        all.extend(about_targets(&self.total));
        all
    }
}

/// What says when targets were scraped and started, when the selected counters began, and which release scraped them.
pub(super) fn about_targets(selected: &Selector) -> Vec<Selector> {
    let created = selected.metric_name().and_then(|n| n.strip_suffix("_total").map(|n| format!("{n}_created")));
    let names = ["up", "process_start_time_seconds", "prometheus_build_info"].into_iter().map(str::to_owned);
    names.chain(created).map(|n| Selector::metric(&n)).collect()
}

/// The figures of one window by one way of counting. `None` is "no result", as PromQL has it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// All requests.
    pub total: Option<f64>,
    /// Good requests.
    pub good: Option<f64>,
    /// Errors.
    pub bad: Option<f64>,
}

impl Figures {
    /// Good requests where the total has a result: a selector without one counts as 0.
    pub fn good_or_zero(&self) -> Option<f64> {
        self.total.map(|_| self.good.unwrap_or(0.0))
    }

    /// Good over total; `None` without requests.
    pub fn ratio(&self) -> Option<f64> {
        match self.total {
            Some(total) if total != 0.0 => Some(self.good.unwrap_or(0.0) / total),
            _ => None,
        }
    }
}

/// A selection ready to be evaluated at any window.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub series: Vec<LoadedSeries>,
    pub counters: Vec<Counter>,
}

impl Prepared {
    /// `sum(increase(…[R]))`.
    pub fn exact(&self, order: &SumOrder, version: PromVersion, window: Window) -> Option<f64> {
        let series = in_sum_order(order, version, window, &self.series, |s| s.head_reference);
        promql::sum(version, series.into_iter().filter_map(|s| promql::increase(version, window, &s.samples)))
    }

    /// The sum of counted increments in series order; `None` where no series has a sample in the window.
    pub fn counted(&self, span: Span) -> Option<f64> {
        let mut any = false;
        let mut sum = 0.0;
        for c in &self.counters {
            let w = c.window(span);
            any |= w.first.is_some();
            sum += w.increase;
        }
        any.then_some(sum)
    }
}

/// The selections of a question, loaded once.
#[derive(Debug)]
pub(crate) struct Requests {
    pub order: SumOrder,
    pub total: Prepared,
    pub good: Option<Prepared>,
    pub bad: Option<Prepared>,
}

impl Requests {
    /// All figures of a window by PromQL.
    pub fn exact(&self, version: PromVersion, window: Window) -> Figures {
        let of = |p: &Prepared| p.exact(&self.order, version, window);
        Requests::complete(of(&self.total), self.good.as_ref().map(of), self.bad.as_ref().map(of))
    }

    /// All figures of a window by counting.
    pub fn counted(&self, span: Span) -> Figures {
        let of = |p: &Option<Prepared>| p.as_ref().map(|p| p.counted(span));
        Requests::complete(self.total.counted(span), of(&self.good), of(&self.bad))
    }

    /// Where only one side is selected, the other is the rest of the total.
    pub fn complete(total: Option<f64>, good: Option<Option<f64>>, bad: Option<Option<f64>>) -> Figures {
        let rest = |side: Option<f64>| total.map(|t| t - side.unwrap_or(0.0));
        let (good, bad) = match (good, bad) {
            (Some(g), Some(b)) => (g, b),
            (Some(g), None) => (g, rest(g)),
            (None, Some(b)) => (rest(b), b),
            (None, None) => (None, None),
        };
        Figures { total, good, bad }
    }
}

/// The series in the order in which a server adds them up for `window`; they are in label order.
pub(super) fn in_sum_order<'a, S>(
    order: &SumOrder,
    version: PromVersion,
    window: Window,
    series: &'a [S],
    reference: impl Fn(&S) -> Option<u64>,
) -> Vec<&'a S> {
    let mut list: Vec<&S> = series.iter().collect();
    if order.by_reference(window.query_interval(version)) {
        list.sort_by_key(|s| reference(s));
    }
    list
}

/// Makes a selection ready; the proofs must be those of the same source.
pub(super) fn prepare(series: Vec<LoadedSeries>, span: Span, proofs: &Proofs<'_>) -> Prepared {
    let counters = series.par_iter().map(|s| Counter::prepare(s, span, proofs)).collect();
    Prepared { series, counters }
}
