//! `lxcproxy man`: the command line's own description -> manual pages.
//!
//! In: a directory, or none. Out: `lxcproxy.1` on standard output, or a page for every subcommand in the directory.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, print};

/// Print the manual page, or write those of all subcommands into a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy man > lxcproxy.1
  lxcproxy man /usr/local/share/man/man1")]
pub(super) struct ManPages {
    /// Where to write lxcproxy.1, lxcproxy-get.1 and so on; it is made if it is not there.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl ManPages {
    #[allow(clippy::disallowed_methods, reason = "a directory that the user named, on the user's own rights")]
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        let mut command = Cli::command();
        command.build();
        let Some(directory) = &self.directory else { return print(&page(command)?.1) };
        let place = || directory.display().to_string();
        fs::create_dir_all(directory).with_context(place)?;
        let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
        for command in std::iter::once(command).chain(subcommands) {
            let (file, text) = page(command)?;
            fs::write(directory.join(file), text).with_context(place)?;
        }
        Ok(())
    }
}

/// A page and the name of its file.
fn page(command: Command) -> io::Result<(String, String)> {
    let man = Man::new(command).source(concat!("lxcproxy ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render(&mut text)?;
    // What stands behind the options are examples, in each of our commands.
    let text = String::from_utf8_lossy(&text).replace(".SH EXTRA\n", ".SH EXAMPLES\n");
    Ok((man.get_filename(), text))
}
