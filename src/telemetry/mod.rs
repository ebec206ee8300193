//! Settings -> the process's log on standard error; and beside it the access log and the text of the metrics.
//!
//! In: a filter and a form. Out: one subscriber for the whole process. Never: standard output, which belongs to subcommands; colours
//! that nobody sees.

pub mod access;
pub mod exposition;
mod process;
mod reload;

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use reload::follow;

/// What other crates say only to their own developers: that a directory which is gone can't be watched any more.
const QUIET: &str = "notify=error";

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(skip)]
pub struct Settings {
    /// What is logged: a level, or directives such as `info,lxcproxy::reconcile=debug`.
    #[arg(long = "log", value_name = "FILTER", env = "LXCPROXY_LOG", default_value = "info", value_parser = filter)]
    pub filter: String,
    /// The form of a log line.
    #[arg(long = "log-format", value_name = "FORMAT", env = "LXCPROXY_LOG_FORMAT", default_value = "text")]
    pub format: Format,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error("the log filter is not valid")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("logging is set up already")]
    Twice(#[from] TryInitError),
}

impl Settings {
    /// Sets up the log of the process.
    ///
    /// # Errors
    /// The filter does not parse, or the process has a log already.
    pub fn start(&self) -> Result<(), Error> {
        let filter = EnvFilter::builder().parse(format!("{QUIET},{}", self.filter))?;
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours());
        match self.format {
            Format::Text => lines.finish().try_init()?,
            Format::Json => lines.json().finish().try_init()?,
        }
        Ok(())
    }
}

/// Checks a filter where it is written, so that a typing error is a usage error.
///
/// # Errors
/// The parser's own words.
pub fn filter(text: &str) -> Result<String, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned())
}

/// Colours are for terminals, and for people who have not said no (<https://no-color.org>).
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_where_it_is_written() {
        assert_eq!(filter("warn,lxcproxy::admin=debug").unwrap(), "warn,lxcproxy::admin=debug");
        assert!(filter("lxcproxy=loud").is_err());
    }
}
