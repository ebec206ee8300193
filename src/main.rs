//! The process: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use lxcproxy::cli::{Cli, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            match failure {
                Failure::Failed(_) => ExitCode::from(1),
                // As clap exits, when the arguments do not parse.
                Failure::Usage(_) => ExitCode::from(2),
            }
        }
    }
}
