//! `promproof synth`: data of any size to try things on.

use std::io::Write;

use crate::cli::args::SynthArgs;
use crate::cli::output::OutputFolder;
use crate::cli::{plan, signals};
use crate::error::Result;
use crate::synth;
use crate::time::rfc3339;

pub fn run(args: SynthArgs) -> Result<u8> {
    let plan = plan::synth(&args)?;
    signals::remove_private_folders();
    let folder = OutputFolder::create(&args.output, args.force, synth::own_files)?;
    let mut written = 0;
    synth::write(folder.path(), &plan.spec, |block| {
        written += block.samples;
        if plan.progress {
            let _ = writeln!(std::io::stderr(), "up to {}: {written} samples", rfc3339(block.max_time_ms));
        }
    })?;
    folder.finish(args.quiet)?;
    Ok(0)
}
