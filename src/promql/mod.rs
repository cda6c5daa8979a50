//! PromQL's arithmetic, floating operation by operation, per release (`promql/functions.go`, `promql/engine.go`,
//! `promql/quantile.go`; `docs/format/promql.md` lists what changed when).
//!
//! References are the servers' amd64 builds: no operation here is contracted into a fused multiply-add.

mod avg;
mod quantile;
mod rate;
mod sum;

pub use crate::gofloat::{format_shortest, parse_float};
pub use crate::version::{NEWEST, OLDEST, PromVersion};
pub use avg::avg_over_time;
pub use quantile::{Bucket, histogram_quantile};
pub use rate::{Window, extrapolate, increase, rate};
pub use sum::sum;
