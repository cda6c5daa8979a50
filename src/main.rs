//! The `promproof` command: parse, run, exit status. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    promproof::dataset::hush_caught_panics();
    ExitCode::from(promproof::cli::run(std::env::args_os()))
}
