//! The `promproof` command: parse, run, exit status. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(promproof::cli::run(std::env::args_os()))
}
