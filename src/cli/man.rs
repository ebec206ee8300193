//! `lxcproxy man`: the command line's own description -> manual pages.
//!
//! In: a directory, or none. Out: `lxcproxy.1` on standard output, or a page for every subcommand in the directory.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
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
        let Some(directory) = &self.directory else {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            return print(&String::from_utf8_lossy(&page));
        };
        let place = || directory.display().to_string();
        fs::create_dir_all(directory).with_context(place)?;
        clap_mangen::generate_to(Cli::command(), directory).with_context(place)
    }
}
