//! `promproof availability`.

use crate::cli::args::AvailabilityArgs;
use crate::cli::each_source;
use crate::cli::output::Reports;
use crate::cli::plan::{self, Common};
use crate::error::Result;
use crate::report::{availability_json, availability_row, availability_text};
use crate::verdict::availability::judge;
use crate::windows::availability::evaluate;
use crate::windows::newest::default_end;
use crate::windows::semantics::resolve;

pub fn run(args: AvailabilityArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let plan = plan::availability(&common, &args)?;
    let mut reports = Reports::open(&common, args.format, availability_row::table())?;
    let trailing = plan.window.is_trailing();
    let status = each_source(&common, &plan.question.selectors(), |source| {
        let span = plan.window.span(|| default_end(&source, &[&plan.question.total]));
        let semantics = resolve(common.semantics, &source, span);
        let answer = evaluate(&source, &plan.question, span, semantics)?;
        let judgement = judge(&answer, plan.requirement);
        reports.add(
            || availability_text::report(&source.title(), &answer, &judgement, trailing, args.explain, common.style),
            || Ok(availability_json::document(&answer, &judgement, source.describe(args.digests)?)),
            || availability_row::row(&source.title(), &answer, &judgement),
        )?;
        Ok(judgement.verdict.exit_status())
    })?;
    reports.finish(&common)?;
    Ok(status)
}
