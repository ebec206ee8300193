//! `lxcproxy demo`: nothing -> a daemon at work on an application, and things to try on it.
//!
//! In: nothing. Out: a temporary directory, a URL, commands to paste. Never: root, a container, a file left behind.

mod application;
mod tour;
mod workplace;

use anyhow::Context;
use clap::Args;

use self::workplace::Workplace;
use super::{print, warn_user};
use crate::config::{self, Settings};
use crate::daemon::{self, Hangup};
use crate::telemetry::{self, Format};

/// Serve a small application from a temporary directory, and say what to try on it
///
/// Needs neither root nor a container: a directory stands in for one. Ctrl-C ends it and removes the directory.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lxcproxy demo")]
pub(super) struct Demo {
    /// What is logged: a level, or directives such as `info,lxcproxy::reconcile=debug`.
    #[arg(long = "log", value_name = "FILTER", env = "LXCPROXY_LOG", default_value = "error", value_parser = telemetry::filter)]
    log: String,
}

impl Demo {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let log = telemetry::Settings { filter: self.log, format: Format::Text };
        log.start()?;
        let workplace = Workplace::create().context("no temporary directory for the demo")?;
        application::start(&workplace.socket()).context("the sample application can't be started")?;
        let program = std::env::current_exe().context("where this program is, is not known")?;
        let settings = settings(&workplace, log);
        let tour = |ready: daemon::Ready| {
            let Some(&listen) = ready.listen.first() else { return };
            if let Err(error) = print(&tour::text(&workplace, &program, listen)) {
                warn_user(&format!("error: {error:#}"));
            }
        };
        daemon::run(&settings, Hangup::End, tour)?;
        Ok(())
    }
}

fn settings(workplace: &Workplace, log: telemetry::Settings) -> Settings {
    Settings {
        manifests: workplace.manifests(),
        state_dir: workplace.state(),
        admin: workplace.admin(),
        metrics_listen: None,
        listen: ([127, 0, 0, 1], 0).into(),
        media_types: config::DEFAULT_MEDIA_TYPES.into(),
        lxcpath: None,
        drain: std::time::Duration::from_secs(1),
        threads: config::cores(),
        allow_empty: false,
        log,
        access_log: telemetry::access::Settings::default(),
    }
}
