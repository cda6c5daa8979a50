//! `promproof availability`.

use crate::cli::args::{AvailabilityArgs, ReportFormat};
use crate::cli::output::Output;
use crate::cli::plan::{self, Common};
use crate::cli::{each_source, json_text};
use crate::error::Result;
use crate::report::{availability_json, availability_row, availability_text, provenance};
use crate::verdict::availability::judge;
use crate::windows::availability::evaluate;
use crate::windows::newest::newest_sample;
use crate::windows::semantics::resolve;

pub fn run(args: AvailabilityArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let plan = plan::availability(&common, &args)?;
    let mut out = Output::open(&common)?;
    let single = common.sources.len() == 1 || common.merge;
    let mut table = availability_row::table();
    let mut reports = 0;
    let status = each_source(&common, |source| {
        let newest = || newest_sample(&source, &[&plan.question.total]).or_else(|| source.interval().map(|i| i.end));
        let Some(span) = plan.window.span(newest) else {
            return Ok(3);
        };
        let semantics = resolve(common.semantics, &source, span);
        let answer = evaluate(&source, &plan.question, span, semantics)?;
        let judgement = judge(&answer, plan.requirement);
        match args.format {
            ReportFormat::Text => {
                let text = availability_text::report(&source.name, &answer, &judgement, args.explain, common.style);
                out.text(if reports > 0 { "\n" } else { "" })?;
                out.text(&text)?;
                if plan.window.is_trailing() {
                    out.text("   The window ends at the newest sample; --end chooses another time.\n")?;
                }
            }
            ReportFormat::Json => {
                let source_json = provenance::source(&source, args.digests)?;
                out.text(&json_text(&availability_json::document(&answer, &judgement, source_json), single))?;
            }
            ReportFormat::Table | ReportFormat::Csv => {
                table.rows.push(availability_row::row(&source.name, &answer, &judgement));
            }
        }
        reports += 1;
        Ok(judgement.verdict.exit_status())
    })?;
    match args.format {
        ReportFormat::Table => out.text(&table.to_text())?,
        ReportFormat::Csv => out.text(&table.to_csv())?,
        _ => {}
    }
    out.finish(&common)?;
    Ok(status)
}
