//! `promproof model-updates`.

use crate::cli::args::ModelUpdatesArgs;
use crate::cli::each_source;
use crate::cli::output::Reports;
use crate::cli::plan::{self, Common};
use crate::error::Result;
use crate::report::{updates_json, updates_row, updates_text};
use crate::verdict::updates::judge;
use crate::windows::newest::default_end;
use crate::windows::semantics::resolve;
use crate::windows::switches::evaluate;

pub fn run(args: ModelUpdatesArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let plan = plan::model_updates(&common, &args)?;
    let mut reports = Reports::open(&common, args.format, updates_row::table())?;
    let within = plan.question.within_ms;
    let status = each_source(&common, &plan.question.selectors(), |source| {
        let span = plan.period.span(|| default_end(&source, &[&plan.question.switches]));
        let semantics = resolve(common.semantics, &source, span);
        let answer = evaluate(&source, &plan.question, span, semantics)?;
        let judgement = judge(&answer, plan.requirement);
        reports.add(
            || updates_text::report(&source.title(), &answer, &judgement, within, args.explain, common.style),
            || Ok(updates_json::document(&answer, &judgement, within, source.describe(args.digests)?)),
            || updates_row::row(&source.title(), &answer, &judgement),
        )?;
        Ok(judgement.verdict.exit_status())
    })?;
    reports.finish(&common)?;
    Ok(status)
}
