//! `promproof collect`.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::args::CollectArgs;
use crate::cli::output::{OutputFolder, keep_out_of_sources};
use crate::cli::plan::{self, Common};
use crate::cli::{each_source, signals};
use crate::error::Result;
use crate::evidence::{collect, own_files, selectors, summary_text};

pub fn run(args: CollectArgs) -> Result<u8> {
    let common = Common::new(&args.common)?;
    let epoch = std::env::var_os("SOURCE_DATE_EPOCH").map(|e| e.to_string_lossy().into_owned());
    let plan = plan::collect(&common, &args, program("git"), epoch.as_deref())?;
    signals::remove_private_folders();
    each_source(&common, &selectors(&plan.options), |source| {
        keep_out_of_sources(&common, &plan.target)?;
        let folder = OutputFolder::create(&plan.target, common.force, own_files)?;
        let collected = collect(&source, &plan.options, folder.path())?;
        folder.finish(common.quiet)?;
        // A reader that went away does not change what was collected.
        let _ = std::io::stdout().write_all(summary_text::report(&collected, common.style).as_bytes());
        Ok(collected.exit_status())
    })
}

/// The first program of this name in PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter(|dir| dir.is_absolute());

    folders.map(|dir| dir.join(name)).find(|candidate| candidate.is_file())
}
