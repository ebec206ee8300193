//! A real LXD of the tests' own, and unprivileged containers in it: the host's `/usr`, a tmpfs on `/run`, a network with nothing but
//! loopback, and an nginx on a socket of that tmpfs. Tests that run at one time share the daemon; it goes with the last of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};

use rustix::process::{Pid, Signal, kill_process};

use super::daemon::{PATIENCE, eventually};
use super::{lxc, run, until};

/// nginx's socket, as the container sees it.
pub const SOCKET: &str = "/run/app.sock";
/// A file that every container has below its document root `/var/www`, and what is in it.
pub const PAGE: (&str, &str) = ("/page.txt", "a page of the container\n");

/// A daemon with a directory, a network and mounts of its own: whatever it mounts, or asks the network for, is gone with it.
struct Lxd {
    /// `/tmp/lxcproxy-test-PID-lxd-N`: `tests/sweep` finds what a killed run has left by the pid.
    top: PathBuf,
    child: Child,
}

/// A container; made stopped.
pub struct Container {
    name: String,
    lxd: Arc<Lxd>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Lxd {
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Lxd>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let lxd = shared.upgrade().unwrap_or_else(|| Arc::new(Self::start()));
        *shared = Arc::downgrade(&lxd);
        lxd
    }

    fn start() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let top = PathBuf::from(format!("/tmp/lxcproxy-test-{}-lxd-{number}", std::process::id()));
        // Init's root in the container has to be able to come this far.
        fs::create_dir_all(top.join("lxd")).unwrap();
        let lxd = Self { child: spawn(&top), top };
        let ready = lxd.command("lxd").args(["waitready", "--timeout=60"]).output().unwrap();
        let said = || fs::read_to_string(lxd.top.join("log")).unwrap_or_default();
        assert!(ready.status.success(), "LXD does not start on this machine:\n{}", said());
        run(lxd.command("lxc").args(["storage", "create", "default", "dir"]));
        let image = lxd.image();
        run(lxd.command("lxc").args(["image", "import", "--alias", "base"]).arg(image));
        lxd
    }

    /// `LXD_DIR`.
    fn directory(&self) -> PathBuf {
        self.top.join("lxd")
    }

    /// A client of this daemon, with settings of its own.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LXD_DIR", self.directory()).env("LXD_CONF", self.top.join("client")).env("HOME", &self.top).stdin(Stdio::null());
        command
    }

    /// What every container is made from.
    fn image(&self) -> PathBuf {
        let (image, root) = (self.top.join("image"), self.top.join("image/rootfs"));
        for directory in ["usr", "etc", "var/www", "var/lib/nginx", "var/log", "proc", "sys", "dev", "run", "tmp", "root"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for link in ["bin", "sbin", "lib", "lib64"].iter().filter(|link| Path::new("/usr").join(link).exists()) {
            symlink(Path::new("usr").join(link), root.join(link)).unwrap();
        }
        for file in ["passwd", "group", "ld.so.cache"] {
            if let Ok(content) = fs::read(Path::new("/etc").join(file)) {
                fs::write(root.join("etc").join(file), content).unwrap();
            }
        }
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path /tmp/{kind}; ")).concat();
        let server = format!("server {{ listen unix:{SOCKET}; location / {{ return 200 '$hostname $request_uri'; }} }}");
        let http = format!("http {{ access_log off; {places} {server} }}");
        fs::write(root.join("etc/web.conf"), format!("user root; pid /run/web.pid; events {{}} {http}\n")).unwrap();
        fs::write(root.join("var/www").join(&PAGE.0[1..]), PAGE.1).unwrap();
        fs::write(root.join("etc/init"), INIT).unwrap();
        fs::set_permissions(root.join("etc/init"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(image.join("metadata.yaml"), "architecture: x86_64\ncreation_date: 1700000000\n").unwrap();
        let archive = self.top.join("image.tar");
        run(Command::new("tar").arg("-C").arg(&image).arg("-cf").arg(&archive).args(["metadata.yaml", "rootfs"]));
        archive
    }
}

impl Drop for Lxd {
    fn drop(&mut self) {
        // The containers are gone already: each of them holds this.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let ended = eventually(PATIENCE, || match self.child.try_wait() {
            Ok(None) => Err("LXD goes on".to_owned()),
            _ => Ok(()),
        });
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // With `Auto` its directory may be LXC's as well.
        lxc::clear(&self.top, &self.directory(), None);
    }
}

impl Container {
    /// Makes it, stopped.
    pub fn new() -> Self {
        let lxd = Lxd::shared();
        let name = format!("lxcproxy-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let container = Self { name, lxd };
        // It has no network device: its network is a new one with loopback alone.
        let settings = format!("raw.lxc={CONFIG}");
        run(container.lxc(&["init", "base"]).arg(&container.name).args(["-s", "default", "-c", &settings]));
        container
    }

    /// Makes it, and starts it.
    pub fn started() -> Self {
        let container = Self::new();
        container.start();
        container
    }

    /// Its name, as `container:` in a manifest takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the daemon keeps it (`LXD_DIR`).
    pub fn directory(&self) -> PathBuf {
        self.lxd.directory()
    }

    /// Starts it; its init runs when this returns, nginx may not yet.
    pub fn start(&self) {
        let output = self.lxc(&["start"]).arg(&self.name).output().unwrap();
        let said = || fs::read_to_string(self.directory().join("logs").join(&self.name).join("lxc.log")).unwrap_or_default();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "LXD does not start containers on this machine: {problem}\n{}", said());
    }

    /// Kills it, and waits until it has stopped.
    pub fn stop(&self) {
        run(self.lxc(&["stop", "--force"]).arg(&self.name));
    }

    /// Kills it and starts it again: a new init, a new `/run`.
    pub fn restart(&self) {
        run(self.lxc(&["restart", "--force"]).arg(&self.name));
    }

    /// The pid of its init, as the host sees it; `None`: stopped.
    pub fn pid(&self) -> Option<u32> {
        let state = run(self.lxc(&["query"]).arg(format!("/1.0/instances/{}/state", self.name)));
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0)
    }

    /// Waits until nginx's socket is there.
    pub fn wait_for_socket(&self) {
        until(&format!("{SOCKET} in {}", self.name), || {
            fs::symlink_metadata(format!("/proc/{}/root{SOCKET}", self.pid()?)).is_ok().then_some(())
        });
    }

    fn lxc(&self, arguments: &[&str]) -> Command {
        let mut command = self.lxd.command("lxc");
        command.args(arguments);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.lxc(&["delete", "--force"]).arg(&self.name).output();
    }
}

/// Starts the daemon by a thread that never ends: the kernel kills it with this process, not with the test that needed it first.
fn spawn(top: &Path) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--", "lxd", "--logfile"]).arg(top.join("log"));
    command.env("LXD_DIR", top.join("lxd")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        sender.send(command.spawn()).unwrap();
        loop {
            std::thread::park();
        }
    });
    receiver.recv().unwrap().unwrap_or_else(|error| panic!("lxd: {error}"))
}

const CONFIG: &str = "\
lxc.apparmor.profile = unconfined
lxc.init.cmd = /etc/init
lxc.mount.entry = /usr usr none ro,bind 0 0
lxc.mount.entry = tmpfs run tmpfs rw,nosuid,nodev,mode=755 0 0
";

const INIT: &str = "\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin
busybox ip link set lo up
nginx -e /dev/null -c /etc/web.conf
exec busybox sleep 86400
";
