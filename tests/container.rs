//! Containers as they really are: entered, left, restarted, and hostile.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lxcproxy::api::v1::{ContainerRef, Runtime};
use lxcproxy::container::netns::Network;
use lxcproxy::container::watch::{Key, Starts, Watch, Watcher};
use lxcproxy::container::{self, Error, Runtimes};
use lxcproxy::dial::{self, Address, Stream};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::lxc::{Container, PHP_SOCKET, Spec};
use crate::support::{PATIENCE, eventually, needs, run, soon};

const KEY: Key = 7;
/// Milliseconds, but for a machine that is busy with other tests; what is only found by looking again and again is found much later.
const AT_ONCE: Duration = Duration::from_secs(5);
const HTTPD: &str = "echo inside > /var/www/index.html; busybox httpd -p 127.0.0.1:8000 -h /var/www";

fn reference(container: &Container) -> ContainerRef {
    let path = Some(container.lxcpath().to_str().unwrap().to_owned());
    ContainerRef { name: container.name().parse().ok(), runtime: Runtime::Auto, path, rootfs: None, pid_file: None }
}

async fn enter(runtimes: &Runtimes, container: &Container, before: Option<&container::Container>) -> container::Container {
    runtimes.enter(Some(&reference(container)), Path::new("/"), before).await.unwrap()
}

fn unix(container: &container::Container, path: &str) -> Address {
    Address::Unix { root: container.root.clone().unwrap(), path: path.parse().unwrap() }
}

async fn connect(address: &Address) -> Result<Stream, dial::Error> {
    dial::connect(address, Some(tokio::time::Instant::now() + PATIENCE)).await
}

async fn listens(address: &Address) -> Stream {
    eventually("a connection", async || connect(address).await.ok()).await
}

fn watch(container: &container::Container, path: &str) -> Watch {
    Watch { container: container.clone(), paths: vec![path.parse().unwrap()] }
}

/// The time until the next hint that comes after `event`.
async fn reaction(what: &str, hint: impl Future<Output = Key>, event: impl FnOnce() + Send + 'static) -> Duration {
    let event = tokio::task::spawn_blocking(move || {
        event();
        Instant::now()
    });
    assert_eq!(soon(what, hint).await, KEY);
    let hinted = Instant::now();
    let late = hinted.saturating_duration_since(event.await.unwrap());
    eprintln!("{what}: hint {late:?} after the command had ended");
    late
}

#[tokio::test]
async fn a_socket_on_the_tmpfs_of_a_running_container_is_reached() {
    needs!(lxc, root, php_fpm);
    let php = Container::started(Spec { php_fpm: true, ..Spec::default() });
    let entered = enter(&Runtimes::new(None), &php, None).await;
    assert!(entered.alive);
    assert_eq!(entered.init.as_ref().map(|init| init.pid), php.pid());
    for path in [PHP_SOCKET.to_owned(), format!("/var{PHP_SOCKET}")] {
        assert!(matches!(listens(&unix(&entered, &path)).await, Stream::Unix(_)), "{path}");
    }
    assert!(!php.rootfs().join(&PHP_SOCKET[1..]).exists(), "it is not to be had through the root on disk");
}

#[tokio::test]
async fn a_link_to_a_socket_of_the_host_stays_inside() {
    needs!(lxc, root);
    let name = format!("/run/lxcproxy-test-{}.sock", std::process::id());
    let listener = UnixListener::bind(&name).unwrap();
    let evil = Container::started(Spec {
        commands: vec![format!("ln -s {name} /run/x.sock; ln -s /proc/1/root{name} /run/y.sock")],
        ..Spec::default()
    });
    evil.wait_for("-L", "/run/y.sock");
    evil.link(&name, "/var/www/z.sock");
    let entered = enter(&Runtimes::new(None), &evil, None).await;
    for path in ["/run/x.sock", "/run/y.sock", "/var/www/z.sock", &name] {
        let error = connect(&unix(&entered, path)).await.unwrap_err();
        assert!(matches!(error, dial::Error::NotFound(_) | dial::Error::Io(..)), "{path}: {error}");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came through to the host");
    std::fs::remove_file(&name).unwrap();
}

#[tokio::test]
async fn a_port_is_the_containers_own_and_never_the_hosts() {
    needs!(lxc, root, busybox);
    let web = Container::started(Spec { commands: vec![HTTPD.into()], ..Spec::default() });
    let entered = enter(&Runtimes::new(None), &web, None).await;
    let network = entered.network.clone().unwrap();
    assert!(matches!(network, Network::Namespace(_)));
    let mut stream = listens(&Address::Port { network: network.clone(), port: 8000 }).await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("inside\n"), "{answer}");

    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let error = connect(&Address::Port { network, port }).await.unwrap_err();
    assert!(matches!(error, dial::Error::Refused(_)), "{error}");
    assert!(connect(&Address::Port { network: Network::Host, port }).await.is_ok());
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    needs!(lxc, root);
    let idle = Container::started(Spec::default());
    let entered = enter(&Runtimes::new(None), &idle, None).await;
    // Of this thread, which is this test's alone.
    let all = capabilities(None).unwrap();
    let missing = CapabilitySet::SYS_PTRACE | CapabilitySet::SYS_ADMIN;
    set_capabilities(None, CapabilitySets { effective: all.effective - missing, ..all }).unwrap();
    let error = Runtimes::new(None).enter(Some(&reference(&idle)), Path::new("/"), None).await.unwrap_err();
    let port = connect(&Address::Port { network: entered.network.unwrap(), port: 8000 }).await.unwrap_err();
    set_capabilities(None, all).unwrap();
    assert!(matches!(&error, Error::PermissionDenied(text) if text.contains("CAP_SYS_PTRACE")), "{error}");
    assert!(matches!(port, dial::Error::PermissionDenied(_)), "{port}");
}

#[tokio::test]
async fn an_unchanged_container_is_entered_once() {
    needs!(lxc, root);
    let idle = Container::started(Spec::default());
    let runtimes = Runtimes::new(None);
    let first = enter(&runtimes, &idle, None).await;
    let second = enter(&runtimes, &idle, Some(&first)).await;
    let other = enter(&Runtimes::new(None), &idle, Some(&first)).await;
    for again in [&second, &other] {
        assert!(Arc::ptr_eq(first.init.as_ref().unwrap(), again.init.as_ref().unwrap()));
        assert!(Arc::ptr_eq(first.root.as_ref().unwrap(), again.root.as_ref().unwrap()));
    }
    let spec = ContainerRef { path: None, ..reference(&idle) };
    let default = Runtimes::new(Some(idle.lxcpath())).enter(Some(&spec), Path::new("/"), None).await.unwrap();
    assert_eq!(default.init.unwrap().pid, first.init.unwrap().pid, "the lxcpath of the daemon serves where the manifest has none");
}

#[tokio::test]
async fn a_restart_is_noticed_and_gives_a_new_init() {
    needs!(lxc, root);
    let idle = Arc::new(Container::started(Spec::default()));
    let runtimes = Runtimes::new(None);
    let before = enter(&runtimes, &idle, None).await;
    let mut watcher = Watcher::new();
    watcher.set(KEY, watch(&before, "/run/x.sock"));
    let stopping = idle.clone();
    let late = reaction("the end of init", watcher.next(), move || stopping.stop()).await;
    assert!(late < AT_ONCE, "{late:?}");

    let stopped = enter(&runtimes, &idle, Some(&before)).await;
    assert!(!stopped.alive && stopped.init.is_none() && stopped.network.is_none());
    idle.start();
    let after = enter(&runtimes, &idle, Some(&stopped)).await;
    assert_eq!(after.init.as_ref().map(|init| init.pid), idle.pid());
    assert!(!before.init.unwrap().is_running() && after.init.unwrap().is_running());
}

#[tokio::test]
async fn a_stopped_container_has_its_root_on_disk() {
    needs!(lxc, root);
    let idle = Container::new(Spec::default());
    idle.write("/var/www/page", "here");
    let runtimes = Runtimes::new(None);
    let stopped = enter(&runtimes, &idle, None).await;
    assert!(!stopped.alive && stopped.init.is_none());
    let page = stopped.root.as_ref().unwrap().far().entry(&"/var/www/page".parse().unwrap()).unwrap();
    assert_eq!(std::io::read_to_string(&**page.open().unwrap().0).unwrap(), "here");
    let again = enter(&runtimes, &idle, Some(&stopped)).await;
    assert!(Arc::ptr_eq(again.root.as_ref().unwrap(), stopped.root.as_ref().unwrap()));
}

#[tokio::test]
async fn an_unknown_container_is_not_found() {
    needs!(lxc, root);
    let idle = Container::new(Spec::default());
    let nobody = ContainerRef { name: "nobody".parse().ok(), ..reference(&idle) };
    let error = Runtimes::new(None).enter(Some(&nobody), Path::new("/"), None).await.unwrap_err();
    let place = idle.lxcpath();
    assert!(matches!(&error, Error::NotFound(text) if text.contains("nobody") && text.contains(place.to_str().unwrap())), "{error}");
}

#[tokio::test]
async fn a_socket_that_appears_in_a_container_gives_a_hint_at_once() {
    needs!(lxc, root, php);
    let idle = Arc::new(Container::started(Spec::default()));
    let entered = enter(&Runtimes::new(None), &idle, None).await;
    let mut watcher = Watcher::new();
    watcher.set(KEY, watch(&entered, PHP_SOCKET));
    let inside = idle.clone();
    reaction("the directory", watcher.next(), move || drop(inside.exec(&["mkdir", "/run/php"]))).await;
    let inside = idle.clone();
    let bind = format!("stream_socket_server('unix://{PHP_SOCKET}');");
    let late = reaction("the socket", watcher.next(), move || drop(inside.exec(&["php8.2", "-n", "-r", &bind]))).await;
    assert!(late < AT_ONCE, "{late:?}");
}

#[tokio::test]
async fn a_mount_over_a_watched_directory_gives_a_hint() {
    needs!(lxc, root);
    let idle = Arc::new(Container::started(Spec::default()));
    idle.exec(&["mkdir", "/run/app"]);
    let entered = enter(&Runtimes::new(None), &idle, None).await;
    let mut watcher = Watcher::new();
    watcher.set(KEY, watch(&entered, "/run/app/x.sock"));
    let inside = idle.clone();
    let late = reaction("the mount", watcher.next(), move || drop(inside.exec(&["mount", "-t", "tmpfs", "tmpfs", "/run/app"]))).await;
    assert!(late < AT_ONCE, "{late:?}");
    let inside = idle.clone();
    reaction("a file on the new mount", watcher.next(), move || drop(inside.exec(&["touch", "/run/app/x.sock"]))).await;
}

#[tokio::test]
async fn a_container_that_starts_gives_a_hint_at_once() {
    needs!(lxc, root);
    let idle = Arc::new(Container::new(Spec::default()));
    let mut starts = Starts::new(None);
    starts.set(KEY, Some(&reference(&idle)));
    // The first hint says that the monitor listens.
    assert_eq!(soon("the monitor", starts.next()).await, KEY);
    for _ in 0..3 {
        let starting = idle.clone();
        let late = reaction("the start", starts.next(), move || starting.start()).await;
        assert!(late < AT_ONCE, "{late:?}");
        let stopping = idle.clone();
        let late = reaction("the stop", starts.next(), move || stopping.stop()).await;
        assert!(late < AT_ONCE, "{late:?}");
    }
}

#[tokio::test]
async fn a_monitor_that_was_killed_is_started_again() {
    needs!(lxc, root);
    let idle = Arc::new(Container::new(Spec::default()));
    let mut starts = Starts::new(None);
    starts.set(KEY, Some(&reference(&idle)));
    assert_eq!(soon("the monitor", starts.next()).await, KEY);
    // Tells the daemon behind the monitor to quit, which ends the monitor of this lxcpath too.
    run(std::process::Command::new("lxc-monitor").arg("-P").arg(idle.lxcpath()).args(["-n", ".*", "-Q"]));
    assert_eq!(soon("the next monitor", starts.next()).await, KEY);
    let starting = idle.clone();
    reaction("the start", starts.next(), move || starting.start()).await;
}

#[test]
fn a_container_is_removed_when_its_test_panics() {
    needs!(lxc, root);
    let place = std::sync::Mutex::new(None);
    let result = std::panic::catch_unwind(|| {
        let container = Container::started(Spec::default());
        *place.lock().unwrap() = Some((container.lxcpath(), container.pid().unwrap()));
        std::panic::resume_unwind(Box::new("a failed test"));
    });
    assert!(result.is_err());
    let (lxcpath, pid) = place.into_inner().unwrap().unwrap();
    assert!(!lxcpath.parent().unwrap().exists());
    assert!(!Path::new(&format!("/proc/{pid}/root/etc/rc")).exists());
}
