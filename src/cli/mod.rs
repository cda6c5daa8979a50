//! The command line: what was typed (`args`), what it means (`plan`), one file per command. Only this room talks to the
//! terminal and looks at the environment.

mod args;
mod availability;
mod check;
mod collect;
mod convert;
mod dump;
mod inspect;
mod model_updates;
mod output;
mod package;
mod plan;
mod progress;
mod signals;
mod synth;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;

use crate::error::{Error, Result};
use crate::selector::Selector;
use crate::source::{OpenOptions, Source};
use crate::windows::semantics::storage_release;

/// Runs the command line and returns the exit status: 0 yes; 1 no; 2 could not run; 3 ran, but the data cannot say.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let parsed = match args::Cli::try_parse_from(args) {
        Ok(parsed) => parsed,
        Err(e) => {
            // Help and version are answers, everything else is misuse.
            let status = if e.use_stderr() { 2 } else { 0 };
            let _ = e.print();
            return status;
        }
    };
    match dispatch(parsed) {
        Ok(status) => status,
        Err(e) => {
            complain(&e);
            2
        }
    }
}

fn dispatch(cli: args::Cli) -> Result<u8> {
    match cli.command {
        args::Command::Availability(a) => availability::run(a),
        args::Command::ModelUpdates(a) => model_updates::run(a),
        args::Command::Inspect(a) => inspect::run(a),
        args::Command::Check(a) => check::run(a),
        args::Command::Dump(a) => dump::run(a),
        args::Command::Convert(a) => convert::run(a),
        args::Command::Collect(a) => collect::run(a),
        args::Command::Package(a) => package::run(a),
        args::Command::Synth(a) => synth::run(a),
    }
}

/// Prints an error to stderr.
fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "promproof: {error}");
}

/// Opens every SOURCE and hands each to `answer`, or all of them joined with `--merge`. A SOURCE that cannot be opened
/// is reported and does not keep the others from being answered; the status is the largest.
///
/// `wanted` are the series that the answer takes.
fn each_source(common: &plan::Common, wanted: &[Selector], mut answer: impl FnMut(Source) -> Result<u8>) -> Result<u8> {
    // Only archives leave something behind that has to be removed.
    if common.sources.iter().any(|s| s.is_file()) {
        signals::remove_private_folders();
    }
    let options = OpenOptions { wanted: wanted.to_vec(), ..common.open.clone() };
    let follow = |source: Source| match source.heads.is_empty() && source.datasets.is_empty() && source.dumps.is_empty()
    {
        true => Ok(source),
        false => {
            let release = storage_release(common.semantics, &source);
            source.follow(release, wanted)
        }
    };
    if common.merge {
        let opened: Result<Vec<Source>> = common.sources.iter().map(|p| Source::open(p, &options)).collect();
        return answer(follow(Source::merge(opened?)?)?);
    }
    let mut status = 0;
    for path in &common.sources {
        common.progress(&format!("reading {}", path.display()));
        let result = Source::open(path, &options).and_then(follow).and_then(&mut answer);
        status = status.max(result.unwrap_or_else(|e| {
            complain(&e);
            2
        }));
    }
    Ok(status)
}
