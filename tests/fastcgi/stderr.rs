//! What php-fpm writes to its stderr, through the real daemon: in the log, within bounds, and in the metrics.

use std::time::Instant;

use super::container::served;
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::openmetrics::Exposition;

/// 64 lines of 500 characters, twice what one request may log.
const LOUD: &str = "<?php for ($i = 0; $i < 64; $i++) error_log(str_repeat('loud ', 100)); echo 'fine';";
const ESCAPES: &str = "<?php error_log(\"red \\e[31m and a bell \\x07 and {\\\"level\\\":\\\"ERROR\\\"}\"); echo 'fine';";

fn counted(daemon: &Daemon, family: &str) -> f64 {
    let page = Curl::new("http://admin/metrics", None).arg("--unix-socket").arg(daemon.admin().to_str().unwrap());
    let page = page.header("Accept", "application/openmetrics-text; version=1.0.0").send();
    let series = format!("lxcproxy_fastcgi_{family}_total{{app=\"php\",backend=\"fpm\"}}");
    Exposition::parse(&page.text()).value(&series).unwrap_or(0.0)
}

#[test]
fn an_application_that_complains_without_end_does_not_fill_the_log_and_all_of_it_is_counted() {
    needs!(lxc, root, php_fpm, curl);
    let (_container, daemon) = served("", &[("loud", LOUD), ("escapes", ESCAPES)], "");
    assert_eq!(daemon.get("/escapes.php").text(), "fine");
    let line = daemon.wait_log(PATIENCE, |line| line.contains("and a bell"));
    assert!(line.contains("\\\\u{1b}[31m and a bell \\\\u{7} and {\\\"level\\\""), "{line}");
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["level"], "WARN", "{line}");
    assert_eq!((counted(&daemon, "stderr_bytes") > 40.0, counted(&daemon, "stderr_dropped_bytes")), (true, 0.0));

    let began = Instant::now();
    for _ in 0..40 {
        assert_eq!(daemon.get("/loud.php").text(), "fine");
    }
    let written = counted(&daemon, "stderr_bytes");
    assert!(written > 40.0 * 64.0 * 500.0, "{written}");
    assert!(counted(&daemon, "stderr_dropped_bytes") > written / 3.0, "one request logs 16 KiB");
    daemon.wait_log(PATIENCE, |line| line.contains("more to stderr than is logged") && line.contains("\"dropped\":"));
    let log = daemon.log();
    let logged: usize = log.lines().filter(|line| line.contains("loud loud")).map(str::len).sum();
    // 256 KiB at once and 64 KiB a second; a line of 500 bytes has a frame, too.
    let most = (256 + 64 * (usize::try_from(began.elapsed().as_secs()).unwrap() + 1)) * 1024 * 2;
    assert!(logged > 16 * 1024 && logged < most, "{logged} bytes, {most} at most");
}
