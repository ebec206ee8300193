//! `lxcproxy version`: what this is.

use clap::Args;

/// Print the version
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lxcproxy version")]
pub(super) struct Version {}

impl Version {
    #[allow(clippy::unused_self, reason = "every subcommand has the same form")]
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        super::print(concat!("lxcproxy ", env!("CARGO_PKG_VERSION"), "\n"))
    }
}
