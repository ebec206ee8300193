//! `lxcproxy run`: settings -> the daemon, until it has drained.

use clap::Args;

use crate::config::Settings;
use crate::daemon::{self, Hangup};

/// Serve the manifests of a directory, and follow every change of them
///
/// SIGTERM or SIGINT lets requests in flight finish, a second one stops at once; SIGHUP looks at every manifest again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lxcproxy run --manifests /etc/lxcproxy.d --listen 127.0.0.1:8080")]
pub(super) struct Run {
    #[command(flatten)]
    settings: Settings,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        self.settings.log.start()?;
        daemon::run(&self.settings, Hangup::Relist, |ready| tracing::info!(listen = ?ready.listen, "serving"))?;
        Ok(())
    }
}
