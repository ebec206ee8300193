//! `lxcproxy version`: what this is, and what the daemon is.

use clap::Args;
use serde::Deserialize;

use super::client::{Client, converse};
use super::table::plain;
use super::{print, warn_user};

/// Print the version of this command, and that of the daemon if it runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy version
  lxcproxy version --client")]
pub(super) struct Version {
    /// Do not ask the daemon.
    #[arg(long = "client")]
    client_only: bool,
    #[command(flatten)]
    client: Client,
}

/// What the daemon says of itself (Kubernetes `version.Info`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    git_version: String,
}

impl Version {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        const CLIENT: &str = concat!("v", env!("CARGO_PKG_VERSION"));
        print(&format!("Client Version: {CLIENT}\n"))?;
        if self.client_only {
            return Ok(());
        }
        match converse(async { Ok(self.client.object::<Info>("/version").await?) }) {
            Ok(Info { git_version }) => {
                print(&format!("Daemon Version: {}\n", plain(&git_version)))?;
                if git_version != CLIENT {
                    warn_user("warning: the daemon is of another version; after an upgrade it has to be restarted");
                }
            }
            Err(error) => warn_user(&format!("warning: {error:#}")),
        }
        Ok(())
    }
}
