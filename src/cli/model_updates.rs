//! `promproof model-updates`.

use crate::cli::args::{ModelUpdatesArgs, ReportFormat};
use crate::cli::output::Output;
use crate::cli::plan::{self, Common};
use crate::cli::{each_source, json_text};
use crate::error::Result;
use crate::report::{provenance, updates_json, updates_row, updates_text};
use crate::verdict::updates::judge;
use crate::windows::newest::newest_sample;
use crate::windows::semantics::resolve;
use crate::windows::switches::evaluate;

pub fn run(args: ModelUpdatesArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let plan = plan::model_updates(&common, &args)?;
    let mut out = Output::open(&common)?;
    let single = common.sources.len() == 1 || common.merge;
    let mut table = updates_row::table();
    let mut reports = 0;
    let within = plan.question.within_ms;
    let status = each_source(&common, |source| {
        let newest = || newest_sample(&source, &[&plan.question.switches]).or_else(|| source.interval().map(|i| i.end));
        let Some(span) = plan.period.span(newest) else {
            return Ok(3);
        };
        let semantics = resolve(common.semantics, &source, span);
        let answer = evaluate(&source, &plan.question, span, semantics)?;
        let judgement = judge(&answer, plan.requirement);
        match args.format {
            ReportFormat::Text => {
                let text = updates_text::report(&source.name, &answer, &judgement, within, args.explain, common.style);
                out.text(if reports > 0 { "\n" } else { "" })?;
                out.text(&text)?;
            }
            ReportFormat::Json => {
                let source_json = provenance::source(&source, args.digests)?;
                out.text(&json_text(&updates_json::document(&answer, &judgement, within, source_json), single))?;
            }
            ReportFormat::Table | ReportFormat::Csv => {
                table.rows.push(updates_row::row(&source.name, &answer, &judgement));
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
