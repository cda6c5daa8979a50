//! `promproof inspect`.

use crate::cli::args::{InspectArgs, InspectFormat, ReportFormat};
use crate::cli::each_source;
use crate::cli::output::Reports;
use crate::cli::plan::Common;
use crate::error::Result;
use crate::report::table::Table;
use crate::report::{inspect_json, inspect_text};
use crate::windows::inventory::take;

pub fn run(args: InspectArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let format = match args.format {
        InspectFormat::Text => ReportFormat::Text,
        InspectFormat::Json => ReportFormat::Json,
    };
    let mut reports = Reports::open(&common, format, Table::default())?;
    let status = each_source(&common, &[], |source| {
        let inventory = take(&source);
        inventory.ledger.check_one_server()?;
        reports.add(
            || inspect_text::report(&source, &inventory, common.style),
            || Ok(inspect_json::document(&source, &inventory, source.describe(args.digests)?)),
            Vec::new,
        )?;
        let whole = inventory.ledger.losses.is_empty() && inventory.blocks.iter().all(|b| b.disagreements.is_empty());
        Ok(if whole { 0 } else { 3 })
    })?;
    reports.finish(&common)?;
    Ok(status)
}
