//! Plain LXC's containers that start or stop -> news, from `lxc-monitor`: one child for each lxcpath.
//!
//! In: an lxcpath. Out: [`News`]. Never: a failure where LXC is not installed.
//!
//! `lxc-monitor` starts one `lxc-monitord` for its lxcpath if there is none; containers report to that daemon, within a millisecond and
//! with or without systemd, and it goes away by itself 30 s after its last listener has. It may have others, so it is never told to quit.
//! A monitor ends with its reader, however that ends.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::super::orphan::ends_with_us;
use super::{News, Place};

/// `lxc-monitor` does not say when it has begun to listen; by then it has.
const SETTLED: Duration = Duration::from_secs(1);

/// Runs a child and passes on what it says, until it ends. `lxcpath`: `None` is LXC's own default.
pub(super) async fn listen(lxcpath: Option<&Path>, place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    relay(spawn(lxcpath)?, place, news).await
}

fn spawn(lxcpath: Option<&Path>) -> io::Result<Child> {
    let mut command = Command::new("lxc-monitor");
    if let Some(path) = lxcpath {
        command.arg("-P").arg(path);
    }
    command.args(["-n", ".*"]).env("LC_ALL", "C").kill_on_drop(true);
    ends_with_us(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Passes on what a child says, until it ends.
async fn relay(mut child: Child, place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    let Some(stdout) = child.stdout.take() else { return Ok(()) };
    // A line is as long as a name and a state: the child prints messages of a fixed size.
    let mut lines = BufReader::new(stdout).lines();
    let settled = Instant::now() + SETTLED;
    let mut told = false;
    loop {
        let message = tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => match changed(&line) {
                    Some(name) => News::Of(place.clone(), name.to_owned()),
                    None => continue,
                },
                None => break,
            },
            () = sleep_until(settled), if !told => {
                told = true;
                News::Any(place.clone())
            }
        };
        if news.send(message).await.is_err() {
            return Ok(());
        }
    }
    let status = child.wait().await?;
    tracing::debug!(%status, ?place, "lxc-monitor has ended");
    Ok(())
}

/// The container of `'web' changed state to [RUNNING]`, for states that change what can be reached.
fn changed(line: &str) -> Option<&str> {
    let (name, state) = line.strip_prefix('\'')?.rsplit_once("' changed state to [")?;
    matches!(state, "RUNNING]" | "STOPPED]").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_running_and_stopped_are_news() {
        assert_eq!(changed("'web' changed state to [RUNNING]"), Some("web"));
        assert_eq!(changed("'web' changed state to [STOPPED]"), Some("web"));
        for line in ["'web' changed state to [STARTING]", "'web' exited with status [0]", "", "web", "' changed state to ["] {
            assert_eq!(changed(line), None, "{line}");
        }
    }
}
