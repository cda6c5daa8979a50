//! `promproof check`.

use std::path::Path;

use crate::archive;
use crate::check::{Checked, State, check};
use crate::cli::args::{CheckArgs, InspectFormat, ReportFormat};
use crate::cli::complain;
use crate::cli::output::Reports;
use crate::cli::plan::Common;
use crate::dumps::{is_dump, refuse_text};
use crate::error::{Error, Result};
use crate::report::table::Table;
use crate::report::{check_json, check_text};
use crate::source::{Place, locate};

/// Checks a folder, or an archive with what it holds.
fn look(path: &Path, common: &Common) -> Result<(Place, Checked)> {
    let root = common.open.root.as_deref();
    let is_archive = |m: &std::fs::Metadata| m.is_file() && !is_dump(path, &common.open.archive);
    let Some(meta) = std::fs::metadata(path).ok().filter(is_archive) else {
        let place = locate(path, root, &common.open.archive)?;
        let checked = check(&place, &common.open)?;
        return Ok((place, checked));
    };
    refuse_text(path, &common.open.archive)?;
    let spooled = archive::spool(path, &common.open.archive)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let place =
        locate(spooled.dir.path(), root, &common.open.archive).map_err(|e| e.moved(spooled.dir.path(), path))?;
    let place = Place { name: name.clone(), ..place };
    let mut checked = check(&place, &common.open)?;
    checked.add_archive(&name, meta.len(), &spooled);
    Ok((place, checked))
}

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
        let result = look(path, &common).and_then(|(place, checked)| {
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
