//! Command line and environment -> the settings of the daemon.
//!
//! In: `--flags`, else `LXCPROXY_*`, else defaults. Out: [`Settings`], every value checked. Never: a look at files or the network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{FalseyValueParser, RangedU64ValueParser};

use crate::api::v1::{self, ScalarError};
use crate::telemetry;

/// Where manifests are, if nobody says otherwise.
pub const DEFAULT_MANIFESTS: &str = "/etc/lxcproxy.d";
/// Where the admin socket is, if nobody says otherwise.
pub const DEFAULT_ADMIN: &str = "/run/lxcproxy/admin.sock";

/// Where the system's table of media types is, if nobody says otherwise.
pub const DEFAULT_MEDIA_TYPES: &str = "/etc/mime.types";

/// What `lxcproxy run` needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(skip)]
pub struct Settings {
    /// The directory of manifests. It is read and watched, never written.
    #[arg(long, value_name = "DIR", env = "LXCPROXY_MANIFESTS", default_value = DEFAULT_MANIFESTS)]
    pub manifests: PathBuf,
    /// Where the last good version of every manifest is kept.
    #[arg(long, value_name = "DIR", env = "LXCPROXY_STATE_DIR", default_value = "/var/lib/lxcproxy")]
    pub state_dir: PathBuf,
    /// The unix socket that `get` and `wait` ask.
    #[arg(long, value_name = "SOCKET", env = "LXCPROXY_ADMIN", default_value = DEFAULT_ADMIN)]
    pub admin: PathBuf,
    /// Where metrics are answered beside the admin socket, to whoever asks: a loopback address. Port 0: a free one. Default: nowhere.
    #[arg(long, value_name = "ADDR", env = "LXCPROXY_METRICS_LISTEN", value_parser = loopback)]
    pub metrics_listen: Option<SocketAddr>,
    /// The address that is served. Port 0: a free one.
    #[arg(long, value_name = "ADDR", env = "LXCPROXY_LISTEN", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,
    /// Where LXC keeps its containers. Default: LXC's own (`lxc-config lxc.lxcpath`).
    #[arg(long, value_name = "DIR", env = "LXCPROXY_LXCPATH")]
    pub lxcpath: Option<PathBuf>,
    /// The system's table of media types, by the extensions of files. It is read once; where it says nothing, a built-in one does.
    #[arg(long, value_name = "FILE", env = "LXCPROXY_MEDIA_TYPES", default_value = DEFAULT_MEDIA_TYPES)]
    pub media_types: PathBuf,
    /// How long requests in flight may take after a SIGTERM; 0s: not at all.
    #[arg(long = "drain-timeout", value_name = "DURATION", env = "LXCPROXY_DRAIN_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub drain: Duration,
    /// Serving threads. Default: one per core.
    #[arg(long, value_name = "N", env = "LXCPROXY_THREADS", default_value_t = cores(), hide_default_value = true,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: usize,
    /// A manifest directory that is suddenly empty means that every application is to go.
    #[arg(long, env = "LXCPROXY_ALLOW_EMPTY", value_parser = FalseyValueParser::new())]
    pub allow_empty: bool,
    /// The log.
    #[command(flatten)]
    pub log: telemetry::Settings,
    /// The access log.
    #[command(flatten)]
    pub access_log: telemetry::access::Settings,
}

/// A length of time as manifests write it (GEP-2257): `30s`, `1m30s`, `500ms`.
///
/// # Errors
/// One sentence that says what was expected.
pub fn duration(text: &str) -> Result<Duration, ScalarError> {
    text.parse::<v1::Duration>().map(|duration| duration.limit().unwrap_or(Duration::ZERO))
}

/// An address and a port.
///
/// # Errors
/// One sentence that says what was expected.
pub fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected ADDRESS:PORT, for example 127.0.0.1:8080, 0.0.0.0:80 or [::]:80")
}

/// A loopback address and a port.
///
/// # Errors
/// One sentence that says what was expected, and why.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected ADDRESS:PORT, for example 127.0.0.1:9090".to_owned())?;
    if address.ip().to_canonical().is_loopback() {
        return Ok(address);
    }
    let port = address.port();
    Err(format!(
        "{} is not a loopback address: metrics name every App, and nobody is asked there who he is; give 127.0.0.1:{port} or [::1]:{port}",
        address.ip()
    ))
}

/// How many threads can run at a time.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn parse(line: &[&str]) -> Result<Settings, clap::Error> {
        Line::try_parse_from(std::iter::once("run").chain(line.iter().copied())).map(|line| line.settings)
    }

    #[test]
    fn an_empty_command_line_gives_the_documented_defaults() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.manifests, PathBuf::from("/etc/lxcproxy.d"));
        assert_eq!(settings.state_dir, PathBuf::from("/var/lib/lxcproxy"));
        assert_eq!(settings.admin, PathBuf::from("/run/lxcproxy/admin.sock"));
        assert_eq!(settings.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!((settings.drain, settings.allow_empty, settings.lxcpath), (Duration::from_secs(30), false, None));
        assert_eq!(settings.threads, cores());
    }

    #[test]
    fn durations_have_a_unit_and_zero_is_zero() {
        for (text, expected) in [("30s", 30_000), ("1m30s", 90_000), ("500ms", 500), ("0s", 0)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(expected), "{text}");
        }
        for bad in ["30", "-1s", "", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn metrics_are_answered_on_loopback_addresses_only() {
        for (text, expected) in [("127.0.0.1:9090", "127.0.0.1:9090"), ("127.8.8.8:0", "127.8.8.8:0"), ("[::1]:9090", "[::1]:9090")] {
            assert_eq!(parse(&["--metrics-listen", text]).unwrap().metrics_listen, Some(expected.parse().unwrap()));
        }
        for bad in ["0.0.0.0:9090", "[::]:9090", "192.0.2.1:9090", "[2001:db8::1]:9090"] {
            let error = parse(&["--metrics-listen", bad]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
            assert!(error.to_string().contains("nobody is asked there who he is; give 127.0.0.1:9090"), "{error}");
        }
        assert!(loopback("localhost:9090").is_err() && loopback("127.0.0.1").is_err());
        assert_eq!(parse(&[]).unwrap().metrics_listen, None);
    }

    #[test]
    fn every_option_has_an_environment_variable() {
        let command = <Line as clap::CommandFactory>::command();
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
            assert!(variable.is_some_and(|name| name.starts_with("LXCPROXY_")), "{}", argument.get_id());
        }
    }

    #[test]
    fn values_out_of_range_are_usage_errors() {
        for bad in [
            ["--threads", "0"],
            ["--listen", "8080"],
            ["--drain-timeout", "30"],
            ["--log", "x=loud"],
            ["--log-format", "xml"],
            ["--access-log", "common"],
        ] {
            assert_eq!(parse(&bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
