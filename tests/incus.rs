//! Containers of a real LXD, whose API is Incus' too: found, entered through their user namespace, stopped, started, and heard of.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lxcproxy::api::v1::{ContainerRef, Runtime};
use lxcproxy::container::watch::{Key, Starts};
use lxcproxy::container::{Error, Runtimes};

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxd::{Container, PAGE, SOCKET};
use crate::support::{needs, soon};

const KEY: Key = 7;

fn reference(container: &Container, runtime: Runtime) -> ContainerRef {
    let path = Some(container.directory().to_str().unwrap().to_owned());
    ContainerRef { name: container.name().parse().ok(), runtime, path, rootfs: None, pid_file: None }
}

/// An App with files, and nginx behind them.
fn manifest(app: &str, container: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {app}}}
spec:
  container: {container}
  hostnames: [{app}.example.org]
  backends: [{{name: web, http: {{unix: {SOCKET}}}}}]
  rules: [{{files: {{root: /var/www}}, backendRefs: [{{name: web}}]}}]
"
    )
}

fn ask(daemon: &Daemon, app: &str, path: &str) -> (u16, String) {
    let answer = daemon.request(path).host(&format!("{app}.example.org")).send();
    (answer.status, answer.text())
}

#[test]
fn a_container_of_lxd_is_served_stopped_and_served_again() {
    needs!(lxd, root, nginx, busybox, curl);
    let web = Container::started();
    web.wait_for_socket();
    let inside = std::fs::metadata(format!("/proc/{}/root{SOCKET}", web.pid().unwrap())).unwrap();
    assert!(inside.uid() >= 100_000, "its root is nobody here: {}", inside.uid());

    let (name, place) = (web.name(), web.directory());
    let daemon = Daemon::builder().start();
    for (app, runtime) in [("named", ", runtime: LXD"), ("auto", ""), ("incus", ", runtime: Incus")] {
        let container = format!("{{name: {name}, path: {}{runtime}}}", place.display());
        daemon.manifest(&format!("{app}.yaml"), &manifest(app, &container));
        daemon.wait_condition(app, "Ready", PATIENCE);
        assert_eq!(ask(&daemon, app, "/a?b"), (200, format!("{name} /a?b")), "{app}");
        assert_eq!(ask(&daemon, app, PAGE.0), (200, PAGE.1.to_owned()), "{app}");
    }

    web.stop();
    daemon.wait_reason("auto", "ResolvedRefs", "ContainerStopped", PATIENCE);
    daemon.wait_reason("named", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert_eq!(ask(&daemon, "named", "/a?b").0, 503);
    assert_eq!(ask(&daemon, "named", PAGE.0), (200, PAGE.1.to_owned()), "from its root on disk");

    web.start();
    daemon.wait_condition("named", "Ready", PATIENCE);
    for _ in 0..3 {
        web.restart();
        daemon.eventually(PATIENCE, || match ask(&daemon, "named", "/a?b") {
            (200, text) if text == format!("{name} /a?b") => Ok(()),
            (503, _) => Err("still 503".to_owned()),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn a_name_that_nobody_knows_is_told_in_one_line_with_all_who_were_asked() {
    needs!(lxd, lxc, root, curl);
    let idle = Container::new();
    let place = idle.directory();
    let daemon = Daemon::builder().start();
    for (app, runtime, asked) in [("named", ", runtime: LXD", &["LXD"][..]), ("auto", "", &["LXC", "Incus", "LXD"])] {
        let container = format!("{{name: nobody, path: {}{runtime}}}", place.display());
        daemon.manifest(&format!("{app}.yaml"), &manifest(app, &container));
        let message = daemon.wait_reason(app, "ResolvedRefs", "ContainerNotFound", PATIENCE);
        for product in asked {
            assert!(message.contains(&format!("{product} knows no container `nobody`")), "{message}");
        }
        assert!(message.contains(place.to_str().unwrap()) && !message.contains('\n'), "{message}");
    }
}

#[tokio::test]
async fn a_stopped_container_of_lxd_has_its_root_on_disk_and_a_started_one_its_own() {
    needs!(lxd, root, nginx, busybox);
    let idle = Container::new();
    let runtimes = Runtimes::new(None);
    let enter = async |runtime| runtimes.enter(Some(&reference(&idle, runtime)), Path::new("/"), None).await;
    let stopped = enter(Runtime::Lxd).await.unwrap();
    assert!(!stopped.alive && stopped.init.is_none());
    let page = stopped.root.unwrap().far().entry(&format!("/var/www{}", PAGE.0).parse().unwrap()).unwrap();
    assert_eq!(std::io::read_to_string(&**page.open().unwrap().0).unwrap(), PAGE.1);

    idle.start();
    let running = enter(Runtime::Auto).await.unwrap();
    assert_eq!(running.init.as_ref().map(|init| init.pid), idle.pid());
    let again = enter(Runtime::Auto).await.unwrap();
    assert!(Arc::ptr_eq(again.root.as_ref().unwrap(), running.root.as_ref().unwrap()));
    let other = enter(Runtime::Lxc).await.unwrap_err();
    assert!(matches!(&other, Error::NotFound(text) if text.starts_with("LXC knows no container")), "{other}");
}

#[tokio::test]
async fn a_container_of_lxd_that_starts_or_stops_gives_a_hint_at_once() {
    needs!(lxd, root, nginx, busybox);
    let idle = Arc::new(Container::new());
    for runtime in [Runtime::Lxd, Runtime::Auto] {
        let mut starts = Starts::new(None);
        starts.set(KEY, Some(&reference(&idle, runtime)));
        // The first hint says that the events are listened to; with `Auto` LXC's monitor gives another, later.
        assert_eq!(soon("the events", starts.next()).await, KEY);
        if runtime == Runtime::Auto {
            assert_eq!(soon("LXC's monitor", starts.next()).await, KEY);
        }
        for event in [Container::start, Container::restart, Container::stop] {
            let container = idle.clone();
            let done = tokio::task::spawn_blocking(move || {
                event(&container);
                Instant::now()
            });
            assert_eq!(soon("the event", starts.next()).await, KEY);
            let late = Instant::now().saturating_duration_since(done.await.unwrap());
            // Milliseconds, but for a machine that is busy; what is only found by looking again and again is found much later.
            assert!(late < Duration::from_secs(5), "{late:?}");
        }
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_waited_for_and_heard_of_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let path = Some(dir.path().to_str().unwrap().to_owned());
    let reference = ContainerRef { name: "web".parse().ok(), runtime: Runtime::Incus, path, rootfs: None, pid_file: None };
    let mut starts = Starts::new(None);
    starts.set(KEY, Some(&reference));
    // This thread runs the listener too: it has looked, and found nobody.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let listener = tokio::net::UnixListener::bind(dir.path().join("unix.socket")).unwrap();
    for what in ["the first hint", "the hint after it has come back"] {
        let daemon = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(stream).await.unwrap()
        };
        let (events, key) = tokio::join!(soon("a connection", daemon), soon(what, starts.next()));
        assert_eq!(key, KEY);
        drop(events);
    }
}
