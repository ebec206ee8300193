//! What a request costs, in system calls. Where connections are kept: as many as a relay's that knows no HTTP. Waiting is not counted then:
//! under load one wait is for many requests.

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::keepalive::Agent;
use crate::support::responder::{self, Responder};
use crate::support::strace::{Call, Strace};
use crate::support::{needs, scratch, unix};

/// Requests that are counted.
const ROUNDS: usize = 100;

#[test]
fn a_request_takes_four_system_calls() {
    needs!(root, strace);
    let root = scratch();
    unix::answer_in(root.path());
    let daemon = daemon(&format!(
        "  container: {{runtime: Directory, rootfs: {}}}\n  backends: [{{name: web, http: {{unix: {}}}}}]",
        root.path().display(),
        unix::SOCKET
    ));
    takes_four(&daemon, |agent| agent.fetch("/", "app"));
    // Head and body come in one piece, and go in one.
    takes_four(&daemon, |agent| agent.post("/", "app", &"x".repeat(2000)));
}

#[test]
fn a_request_over_fastcgi_takes_four_system_calls() {
    needs!(root, strace);
    let application = Responder::keeping(|_| b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok".to_vec());
    let daemon = daemon(&format!("  backends: [{{name: web, fastcgi: {{tcp: \"{}\", keepConnections: 1}}}}]", application.address()));
    takes_four(&daemon, |agent| agent.fetch("/", "app"));
}

/// The client's request; then the socket is found and connected, watched, and written to without waiting until it can be; the answer is read,
/// the connection closed, the answer sent on.
#[test]
fn a_request_over_fastcgi_with_a_connection_of_its_own_takes_twelve_system_calls_and_two_waits() {
    needs!(root, strace);
    let root = scratch();
    responder::answer_in(root.path(), b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
    let daemon = daemon(&format!(
        "  container: {{runtime: Directory, rootfs: {}}}\n  backends: [{{name: web, fastcgi: {{unix: {}}}}}]",
        root.path().display(),
        responder::SOCKET
    ));
    let calls = calls(&daemon, "trace=%network,%desc,statx", &|agent: &mut Agent| agent.fetch("/", "app"));
    let shown = &calls[..calls.len().min(28)];
    let (waits, calls): (Vec<_>, Vec<_>) = calls.iter().partition(|(name, _)| name == "epoll_wait");
    for (name, times) in [("openat2", 1), ("socket", 1), ("connect", 1), ("epoll_ctl", 2), ("recvfrom", 2), ("sendto", 2), ("close", 2)] {
        let counted = calls.iter().filter(|(called, _)| called == name).count();
        assert!(counted >= times * ROUNDS, "{counted} times {name}: {shown:?}");
    }
    assert!(calls.len() < 12 * (ROUNDS + 1) + ROUNDS / 10, "{} calls: {shown:?}", calls.len());
    assert!(waits.len() < 2 * (ROUNDS + 1) + ROUNDS / 10, "{} waits: {shown:?}", waits.len());
}

/// A daemon with one thread that sends everything to this backend.
fn daemon(backend: &str) -> Daemon {
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: app}}\nspec:\n{backend}\n  rules: [{{backendRefs: [{{name: web}}]}}]\n"
    );
    let daemon = Daemon::builder().manifest("app.yaml", &manifest).arg("--threads").arg("1").start();
    daemon.wait_condition("app", "Ready", PATIENCE);
    daemon
}

/// Read, sent on; read, sent on.
fn takes_four(daemon: &Daemon, round: impl Fn(&mut Agent) -> (u16, String, Vec<u8>)) {
    let calls = calls(daemon, "trace=%network,readv,writev,splice,sendfile,epoll_ctl,timerfd_settime", &round);
    let count = |names: &[&str]| calls.iter().filter(|(name, result)| names.contains(&name.as_str()) && *result > 0).count();
    let (read, sent) = (count(&["recvfrom", "recvmsg", "readv"]), count(&["sendto", "sendmsg", "writev"]));
    let shown = &calls[..calls.len().min(20)];
    assert!(read >= 2 * ROUNDS && sent >= 2 * ROUNDS, "{read} times read, {sent} times sent: {shown:?}");
    assert!(calls.len() < 4 * (ROUNDS + 1) + ROUNDS / 10, "{} calls: {shown:?}", calls.len());
}

/// What the daemon calls during all rounds but the first. `kinds` as strace's `-e` takes them.
fn calls(daemon: &Daemon, kinds: &str, round: &impl Fn(&mut Agent) -> (u16, String, Vec<u8>)) -> Vec<Call> {
    let mut agent = Agent::connect(daemon.address());
    let mut round = || {
        let (status, head, body) = round(&mut agent);
        assert!(status == 200 && !body.is_empty(), "{head}");
    };
    round();
    let strace = Strace::attach(daemon.pid(), kinds);
    // One more: strace may leave before it has seen the end of the last call.
    (0..=ROUNDS).for_each(|_| round());
    strace.detach()
}
