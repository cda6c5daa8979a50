//! `promproof check`.

use crate::check::{State, check};
use crate::cli::args::{CheckArgs, InspectFormat, ReportFormat};
use crate::cli::complain;
use crate::cli::output::Reports;
use crate::cli::plan::Common;
use crate::error::{Error, Result};
use crate::report::table::Table;
use crate::report::{check_json, check_text};
use crate::source::locate;

/// Checks each SOURCE by itself; one that cannot be looked at does not keep the others from being checked.
pub fn run(args: CheckArgs) -> Result<u8> {
    if args.common.merge {
        return Err(Error::usage("--merge means nothing here: every SOURCE is checked by itself"));
    }
    let common = Common::new(&args.common)?;
    let format = match args.format {
        InspectFormat::Text => ReportFormat::Text,
        InspectFormat::Json => ReportFormat::Json,
    };
    let mut reports = Reports::open(&common, format, Table::default())?;
    let mut status = 0;
    for path in &common.sources {
        common.progress(&format!("checking {}", path.display()));
        let result = locate(path, common.open.root.as_deref()).and_then(|place| {
            let checked = check(&place, common.open.read_mode)?;
            reports.add(
                || check_text::report(&place, &checked, args.all, common.style),
                || Ok(check_json::document(&place, &checked)),
                Vec::new,
            )?;
            Ok(if checked.count(State::Bad) == 0 { 0 } else { 1 })
        });
        status = status.max(result.unwrap_or_else(|e| {
            complain(&e);
            2
        }));
    }
    reports.finish(&common)?;
    Ok(status)
}
