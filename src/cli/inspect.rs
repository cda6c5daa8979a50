//! `promproof inspect`.

use crate::cli::args::{InspectArgs, InspectFormat};
use crate::cli::output::Output;
use crate::cli::plan::Common;
use crate::cli::{each_source, json_text};
use crate::error::Result;
use crate::report::{inspect_json, inspect_text, provenance};
use crate::windows::inventory::take;

pub fn run(args: InspectArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let mut out = Output::open(&common)?;
    let single = common.sources.len() == 1 || common.merge;
    let mut reports = 0;
    let status = each_source(&common, |source| {
        let inventory = take(&source);
        inventory.ledger.check_one_server()?;
        match args.format {
            InspectFormat::Text => {
                out.text(if reports > 0 { "\n" } else { "" })?;
                out.text(&inspect_text::report(&source, &inventory, common.style))?;
            }
            InspectFormat::Json => {
                let source_json = provenance::source(&source, args.digests)?;
                out.text(&json_text(&inspect_json::document(&source, &inventory, source_json), single))?;
            }
        }
        reports += 1;
        let whole = inventory.ledger.losses.is_empty() && inventory.blocks.iter().all(|b| b.disagreements.is_empty());
        Ok(if whole { 0 } else { 3 })
    })?;
    out.finish(&common)?;
    Ok(status)
}
