//! Real containers of systemd-nspawn, on the same skeleton as those of LXC, in a network of their own with nothing but loopback; and
//! systemd-machined, which knows them by name. They go when the test does, also when it panics.
//!
//! Where systemd is not PID 1 machined runs on a bus of the test's own, and takes a group of processes with the name of a unit for one.
//! Where it is, the machine's own machined is asked, and systemd makes a scope.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::lxc::{START_WEB, remove, skeleton, web_conf};
use super::{run, until};

/// systemd-machined; nobody has it on the path.
pub const MACHINED: &str = "/usr/lib/systemd/systemd-machined";

/// Where cgroups are: the one hierarchy, or the two that systemd uses beside those of the controllers.
const GROUPS: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// A machine; made stopped.
pub struct Machine {
    name: String,
    /// `/tmp/lxcproxy-test-PID-nspawn-N`: `tests/sweep` finds what a killed run has left by the pid.
    top: PathBuf,
    /// Where machined is asked; `None`: it is not registered.
    bus: Option<String>,
    child: Mutex<Option<Child>>,
}

/// A running systemd-machined.
pub struct Machined {
    address: String,
    top: PathBuf,
    children: Vec<Child>,
    /// Two would take each other's records for their own.
    _alone: File,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

fn number() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

impl Machined {
    /// The machine's own, or one that is started for this test, alone on the machine.
    pub fn start() -> Self {
        let alone = File::open("/run").unwrap();
        flock(&alone, FlockOperation::LockExclusive).unwrap();
        let top = PathBuf::from(format!("/tmp/lxcproxy-test-{}-machined-{}", std::process::id(), number()));
        fs::create_dir(&top).unwrap();
        if is_booted() {
            return Self { address: "unix:path=/run/dbus/system_bus_socket".into(), top, children: Vec::new(), _alone: alone };
        }
        let socket = top.join("bus.sock");
        let config = top.join("bus.conf");
        let allow = r#"<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>"#;
        let policy = format!(r#"<policy context="default"><allow user="*"/>{allow}</policy>"#);
        let listen = format!("<listen>unix:path={}</listen><auth>EXTERNAL</auth>", socket.display());
        fs::write(&config, format!("<busconfig><type>system</type>{listen}{policy}</busconfig>")).unwrap();
        let mut bus = bound("dbus-daemon");
        bus.arg(format!("--config-file={}", config.display())).args(["--nofork", "--nopidfile"]);
        let mut machined = Self { address: format!("unix:path={}", socket.display()), top, children: vec![quiet(bus)], _alone: alone };
        until("the bus", || socket.exists().then_some(()));
        let mut program = bound(MACHINED);
        program.env("DBUS_SYSTEM_BUS_ADDRESS", &machined.address);
        machined.children.push(quiet(program));
        until("systemd-machined", || machined.call("ListMachines", &[]).status.success().then_some(()));
        machined
    }

    /// A call of `org.freedesktop.machine1`.
    pub fn call(&self, method: &str, arguments: &[&str]) -> Output {
        let mut busctl = Command::new("busctl");
        busctl.env("DBUS_SYSTEM_BUS_ADDRESS", &self.address).args(["--auto-start=no", "call", "org.freedesktop.machine1"]);
        busctl.args(["/org/freedesktop/machine1", "org.freedesktop.machine1.Manager", method]).args(arguments).output().unwrap()
    }
}

impl Drop for Machined {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = Command::new("kill").arg(child.id().to_string()).output();
            let look = || child.try_wait().ok().flatten().map(drop).ok_or_else(|| "it goes on".to_owned());
            if super::daemon::eventually(super::PATIENCE, look).is_err() {
                end(child);
            }
        }
        if !is_booted() {
            // Where programs ask machined for users; it leaves the socket behind.
            let _ = fs::remove_file("/run/systemd/userdb/io.systemd.Machine");
        }
        remove(&self.top);
    }
}

impl Machine {
    /// Makes one, stopped, with an nginx that listens there and tells who it is. `registered`: known to machined while it runs.
    pub fn web(listen: &str, registered: Option<&Machined>) -> Self {
        let number = number();
        let name = format!("lxcproxy-test-{}-nspawn-{number}", std::process::id());
        let top = PathBuf::from("/tmp").join(&name);
        let machine = Self { name, top, bus: registered.map(|machined| machined.address.clone()), child: Mutex::default() };
        skeleton(&machine.rootfs(), &machine.name);
        machine.write("/etc/web.conf", &web_conf(listen));
        machine.write("/etc/rc", &format!("{START_WEB}\ntouch /run/ready"));
        machine
    }

    /// Its name, as machined knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory of its image: what `/var/lib/machines` is to others.
    pub fn images(&self) -> PathBuf {
        self.top.join("machines")
    }

    /// Its root on the host's disk.
    pub fn rootfs(&self) -> PathBuf {
        self.images().join(&self.name)
    }

    /// Writes a file of its root on disk, with the directories above it.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.rootfs().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Starts it; what its init starts has started when this returns. It lives as long as the test (its thread): systemd-nspawn is told to
    /// end then, for one that is killed leaves its container behind.
    pub fn start(&self) {
        let groups = self.groups();
        for group in &groups {
            fs::create_dir_all(group).unwrap();
        }
        let mut command = Command::new("sh");
        let enter = r#"while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit; shift; done; shift; exec "$@""#;
        command.args(["-c", enter, "sh"]).args(&groups).args(["--", "setpriv", "--pdeathsig", "TERM", "--", "systemd-nspawn"]);
        if self.bus.is_none() || !is_booted() {
            command.arg("--keep-unit");
        }
        command.args(["--quiet", "--private-network", "--settings=no", "--link-journal=no", "--console=pipe"]);
        command.args(["--resolv-conf=off", "--timezone=off", "--bind-ro=/usr", "--machine", &self.name, "--directory"]);
        command.arg(self.rootfs()).arg(format!("--register={}", if self.bus.is_some() { "yes" } else { "no" })).arg("/etc/init");
        if let Some(bus) = &self.bus {
            command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        }
        let log = self.top.join("log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        *self.child.lock().unwrap() = Some(command.spawn().unwrap());
        let said = || fs::read_to_string(&log).unwrap_or_default();
        until("the machine", || {
            let ended = self.child.lock().unwrap().as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            assert!(!ended, "machine {} does not start:\n{}", self.name, said());
            self.leader().filter(|pid| Path::new(&format!("/proc/{pid}/root/run/ready")).exists())
        });
    }

    /// The pid of its init, as the host sees it: the one process of systemd-nspawn's own that is the first of its pid namespace.
    pub fn leader(&self) -> Option<u32> {
        let nspawn = self.child.lock().unwrap().as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("NSpid:") && line.split_whitespace().next_back() == Some("1"))
        })
    }

    /// Kills its init, and waits until systemd-nspawn has seen to the rest.
    pub fn stop(&self) {
        let ended = self.end();
        ended.unwrap_or_else(|problem| panic!("{}: {problem}", self.name));
    }

    fn end(&self) -> Result<(), String> {
        if let Some(leader) = self.leader() {
            let _ = Command::new("kill").args(["-KILL", &leader.to_string()]).output();
        }
        let Some(mut child) = self.child.lock().map_err(|error| error.to_string())?.take() else { return Ok(()) };
        let look = || child.try_wait().ok().flatten().map(drop).ok_or_else(|| "systemd-nspawn has not ended".to_owned());
        super::daemon::eventually(super::PATIENCE, look).inspect_err(|_| end(&mut child))
    }

    /// Runs a shell line inside, to its end.
    pub fn shell(&self, line: &str) {
        let leader = self.leader().unwrap().to_string();
        run(Command::new("nsenter").args(["-t", &leader, "-m", "-n", "-p", "-i", "-u", "-r", "--", "/usr/bin/sh", "-c", line]));
    }

    /// For machined a unit, because of the name.
    fn groups(&self) -> Vec<PathBuf> {
        let hierarchies: Vec<&str> = GROUPS[..2].iter().copied().filter(|group| Path::new(group).join("cgroup.procs").exists()).collect();
        let hierarchies = if hierarchies.is_empty() { GROUPS[2..].to_vec() } else { hierarchies };
        hierarchies.iter().map(|hierarchy| Path::new(hierarchy).join(format!("{}.service", self.name))).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.end();
        for group in self.groups() {
            let tidied = || Command::new("find").arg(&group).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]).output();
            let _ = super::daemon::eventually(super::PATIENCE, || {
                let _ = tidied();
                if group.exists() { Err("processes go on".to_owned()) } else { Ok(()) }
            });
        }
        let _ = fs::remove_file(format!("/run/systemd/machines/{}", self.name));
        let _ = fs::remove_file(format!("/run/systemd/machines/unit:{}.service", self.name));
        let _ = fs::remove_dir_all(format!("/run/systemd/nspawn/propagate/{}", self.name));
        remove(&self.top);
    }
}

/// As sd_booted(3).
fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// A program that ends with the thread that starts it.
fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", program]);
    command
}

fn quiet(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
