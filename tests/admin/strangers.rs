//! Who may ask: users with the real system's groups, on a socket that somebody has opened to all by mistake.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::Value;

use super::{API, hold, schema};
use crate::support::cli::{Said, copy_program, said};
use crate::support::daemon::Daemon;
use crate::support::needs;

/// A group that nobody else uses.
const GROUP: u32 = 54_321;

/// A daemon whose socket belongs to [`GROUP`], and is open to everybody.
fn open_to_all() -> Daemon {
    let daemon = Daemon::builder().start();
    fs::set_permissions(daemon.scratch(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(daemon.admin(), None, Some(GROUP)).unwrap();
    fs::set_permissions(daemon.admin(), fs::Permissions::from_mode(0o666)).unwrap();
    daemon
}

/// What `curl` says to a user: the status code and the body.
fn asked_by(daemon: &Daemon, who: &[&str]) -> (String, Value) {
    let mut command = Command::new("setpriv");
    command.args(who).args(["--", "curl", "-q", "-sS", "--max-time", "30", "-w", "%{http_code}", "--unix-socket"]);
    let said = said(command.arg(daemon.admin()).arg(format!("http://lxcproxy{API}/apps")));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{who:?}");
    let (body, code) = said.out.rsplit_once('\n').unwrap();
    (code.to_owned(), serde_json::from_str(body).unwrap())
}

#[test]
fn root_the_group_of_the_file_and_nobody_else_may_ask() {
    needs!(root, setpriv, curl);
    let daemon = open_to_all();
    let (primary, supplementary) = (format!("--regid={GROUP}"), format!("--groups=65533,{GROUP}"));
    for who in [
        &["--reuid=0", "--regid=65534", "--clear-groups"][..],
        &["--reuid=65534", &primary, "--clear-groups"],
        &["--reuid=65534", "--regid=65534", &supplementary],
    ] {
        let (code, list) = asked_by(&daemon, who);
        assert_eq!((code.as_str(), &list["kind"]), ("200", &"AppList".into()), "{who:?}");
    }
    for who in [&["--reuid=65534", "--regid=65534", "--clear-groups"][..], &["--reuid=65534", "--regid=65534", "--groups=65533,54322"]] {
        let (code, status) = asked_by(&daemon, who);
        assert_eq!((code.as_str(), &status["reason"]), ("403", &"Forbidden".into()), "{who:?}");
        hold(&schema("Status"), &status);
        let words = format!(
            "user 65534 may not ask: it is not root, not the daemon's user (uid 0), and not in the group of the socket's file (gid {GROUP})"
        );
        assert_eq!(status["message"], words);
    }
}

#[test]
fn the_command_line_passes_the_refusal_on() {
    needs!(root, setpriv);
    let daemon = open_to_all();
    // Where the program was built may be nobody's business.
    let program = daemon.scratch().join("lxcproxy");
    copy_program(&program);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(program)
        .args(["get", "apps", "--admin"])
        .arg(daemon.admin());
    let line = format!(
        "Error from server (Forbidden): user 65534 may not ask: it is not root, not the daemon's user (uid 0), and not in the group of the socket's \
         file (gid {GROUP})\n"
    );
    assert_eq!(said(&mut command), Said::failed(1, &line));
}

#[test]
fn the_log_names_the_user_at_debug_level() {
    needs!(root, setpriv, curl);
    let daemon = Daemon::builder().arg("--log").arg("info,lxcproxy::admin=debug").start();
    fs::set_permissions(daemon.scratch(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(daemon.admin(), fs::Permissions::from_mode(0o666)).unwrap();
    asked_by(&daemon, &["--reuid=65533", "--regid=65533", "--clear-groups"]);
    daemon.wait_log(crate::support::PATIENCE, |line| {
        line.contains("admin connection") && line.contains("\"uid\":65533") && line.contains("\"admitted\":false")
    });
}
