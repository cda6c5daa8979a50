//! How far a long run is: a bar on a terminal, else a line now and then.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::convert::Progress;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A line every 30 s.
    Lines,
    /// A bar that is drawn anew.
    Bar,
}

const EVERY: Duration = Duration::from_secs(30);
const REDRAW: Duration = Duration::from_millis(100);
const WIDTH: usize = 28;

/// Shows samples on standard error.
#[derive(Debug)]
pub struct Samples {
    shown: Shown,
    begun: Instant,
    done: AtomicU64,
    last: Mutex<Instant>,
}

impl Samples {
    /// Begins now.
    pub fn new(shown: Shown) -> Samples {
        let now = Instant::now();
        Samples { shown, begun: now, done: AtomicU64::new(0), last: Mutex::new(now) }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if self.shown == Shown::Bar {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn text(&self, done: u64, total: u64) -> String {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-9);
        let rate = done as f64 / seconds;
        let total = total.max(done);
        let left = (total - done) as f64 / rate.max(1.0);
        format!(
            "{} of about {} samples, {} a second, {} left",
            count(done),
            count(total),
            count(rate as u64),
            clock(left.min(359_999.0) as u64)
        )
    }
}

impl Progress for Samples {
    fn advance(&self, samples: u64, total: u64) {
        let done = self.done.fetch_add(samples, Ordering::Relaxed) + samples;
        let pause = match self.shown {
            Shown::Nothing => return,
            Shown::Lines => EVERY,
            Shown::Bar => REDRAW,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < pause {
            return;
        }
        *last = Instant::now();
        let text = self.text(done, total);
        let _ = match self.shown {
            Shown::Bar => {
                let full = (done.min(total) as f64 / total.max(1) as f64 * WIDTH as f64) as usize;
                let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full.min(WIDTH)));
                write!(std::io::stderr(), "\r\x1b[K{bar} {text}")
            }
            _ => writeln!(std::io::stderr(), "{text}"),
        };
    }
}

/// A number in thousands or millions, three digits of it.
pub fn count(n: u64) -> String {
    let (value, unit) = match n {
        0..10_000 => return n.to_string(),
        10_000..1_000_000 => (n as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "M"),
        _ => (n as f64 / 1e9, "G"),
    };
    if value < 100.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(count(9_999), "9999");
        assert_eq!(count(12_345), "12.3 k");
        assert_eq!(count(123_456_789), "123 M");
        assert_eq!(clock(3_723), "1:02:03");
    }
}
