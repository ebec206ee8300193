//! Arguments -> one subcommand, run to its end.
//!
//! In: the command line. Out: text on standard output, or a [`Failure`]. Never: an exit code of its own; that is `main`'s.

mod apply;
mod client;
mod completion;
mod delete;
mod demo;
mod describe;
mod diff;
mod directory;
mod events;
mod explain;
mod follow;
mod get;
mod input;
mod kind;
mod man;
mod render;
mod run;
mod schema;
mod shell;
mod table;
mod validate;
mod version;
mod wait;
mod yaml;

use std::io::{ErrorKind, Write};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// The reverse proxy for system containers: drop a manifest in, and the application is on the web.
#[derive(Debug, Parser)]
#[command(name = "lxcproxy", version, disable_help_subcommand = true, after_help = TROUBLESHOOTING)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What whoever has a problem needs first.
const TROUBLESHOOTING: &str = "\
Troubleshooting:
  lxcproxy get apps            is every application ready? one line each says why not
  lxcproxy describe app/NAME   why does this one answer 503? what is wrong, and what to do about it
  lxcproxy events              what has happened, the newest last";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Validate(validate::Validate),
    Diff(diff::Diff),
    Apply(apply::Apply),
    Delete(delete::Delete),
    Explain(explain::Explain),
    Schema(schema::Schema),
    Get(get::Get),
    Describe(describe::Describe),
    Events(events::Events),
    Wait(wait::Wait),
    Demo(demo::Demo),
    Completion(completion::Completion),
    Man(man::ManPages),
    Version(version::Version),
}

/// How a subcommand went wrong.
#[derive(Debug)]
pub enum Failure {
    /// It was understood, and the answer is no.
    Failed(anyhow::Error),
    /// It could not be done as asked: arguments, files.
    Usage(anyhow::Error),
}

/// The failure of a command that has said all there is to say.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
struct Silent;

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// As the subcommand says; nothing has been printed about it yet.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(run) => run.execute().map_err(Failure::Failed),
            Command::Validate(validate) => validate.execute(),
            Command::Diff(diff) => diff.execute(),
            Command::Apply(apply) => apply.execute(),
            Command::Delete(delete) => delete.execute(),
            Command::Explain(explain) => explain.execute(),
            Command::Schema(schema) => schema.execute().map_err(Failure::Failed),
            Command::Get(get) => get.execute(),
            Command::Describe(describe) => describe.execute(),
            Command::Events(events) => events.execute(),
            Command::Wait(wait) => wait.execute(),
            Command::Demo(demo) => demo.execute().map_err(Failure::Failed),
            Command::Completion(completion) => completion.execute().map_err(Failure::Failed),
            Command::Man(man) => man.execute().map_err(Failure::Failed),
            Command::Version(version) => version.execute().map_err(Failure::Failed),
        }
    }
}

impl Failure {
    /// Prints one line: the error and its causes. What the daemon refuses is said in kubectl's words.
    pub fn report(&self) {
        let (Self::Failed(error) | Self::Usage(error)) = self;
        match error.downcast_ref() {
            Some(client::Error::Refused(status)) => warn_user(&format!("Error from server ({}): {}", status.reason, status.message)),
            _ if error.is::<Silent>() => {}
            _ => warn_user(&format!("error: {error:#}")),
        }
    }
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    print_to_reader(text).map(|_| ())
}

/// Prints to standard output, colours only if it is a terminal that wants them. Returns whether somebody still reads.
fn print_to_reader(text: &str) -> anyhow::Result<bool> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output can't be written"),
    }
}

/// Prints a line to standard error. If nobody can read it, there is nobody to tell that either.
fn warn_user(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_explains_itself_with_an_example() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("  lxcproxy ") && help.contains(command.get_name()), "{}: {help}", command.get_name());
        }
    }
}
