//! Real containers in a second: a rootfs skeleton with the host's `/usr` bind-mounted read-only, its own `/etc` and `/var`, a tmpfs on
//! `/run` and `/tmp`, a network of its own with nothing but loopback. They go when the test does, also when it panics.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::daemon::{PATIENCE, eventually};
use super::netns::Netns;
use super::{program, run, until};

/// php-fpm's socket, as the container sees it: on its tmpfs.
pub const PHP_SOCKET: &str = "/run/php/php8.2-fpm.sock";

/// php-fpm's configuration: one pool, and a log of the requests that it got at [`PHP_LOG`].
pub const PHP_FPM: &str = "\
[global]
pid = /run/php-fpm.pid
error_log = /var/log/php-fpm.log
[www]
user = www-data
group = www-data
listen = /run/php/php8.2-fpm.sock
listen.owner = www-data
listen.group = www-data
listen.mode = 0660
pm = static
pm.max_children = 2
access.log = /var/log/php-fpm.access.log
access.format = \"%m %r\"
";

/// The host's user that is root in a container with [`Spec::shifted`].
pub const SHIFT: u32 = 100_000;

/// One line for each request that php-fpm answered: method and path.
pub const PHP_LOG: &str = "/var/log/php-fpm.access.log";

/// Starts php-fpm; the socket is there when the command ends.
const START_PHP: &str = "mkdir -p /run/php; php-fpm8.2 -D -R -n -y /etc/php-fpm.conf";

/// Starts an nginx with [`web_conf`].
pub(super) const START_WEB: &str = "nginx -e /dev/null -c /etc/web.conf";

/// A directory for containers (`lxc.lxcpath`), of this test alone. Clones are the same directory; it is removed with the last.
#[derive(Clone)]
pub struct LxcPath(Arc<Owned>);

struct Owned {
    /// `/tmp/lxcproxy-test-PID-N`: `tests/sweep` finds what a killed run has left by the pid.
    top: PathBuf,
    /// Where LXC's programs run, and who wants to see the containers.
    netns: Option<Arc<Netns>>,
}

/// What a container is to be.
#[derive(Default)]
pub struct Spec {
    /// Its name; default: a new one that starts with `lxcproxy-test-`.
    pub name: Option<String>,
    /// Where it is kept; default: a directory of its own.
    pub lxcpath: Option<LxcPath>,
    /// Its users are other ones on the host, from [`SHIFT`] on: an unprivileged container, with a user namespace of its own.
    pub shifted: bool,
    /// Its root is an overlay over `rootfs`: storage that is there only while it runs.
    pub overlay: bool,
    /// Runs php-fpm with its socket at [`PHP_SOCKET`], mode 0660, of `www-data`.
    pub php_fpm: bool,
    /// Shell lines that its init runs, with loopback up and `/run` empty; programs that stay are to end in `&`.
    pub commands: Vec<String>,
}

/// A container; made stopped.
pub struct Container {
    name: String,
    lxcpath: LxcPath,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl LxcPath {
    /// A new, empty one.
    pub fn new() -> Self {
        Self::make(None)
    }

    /// A new, empty one, whose containers are started inside a network namespace: seen there, and nowhere else.
    pub fn inside(netns: Arc<Netns>) -> Self {
        Self::make(Some(netns))
    }

    fn make(netns: Option<Arc<Netns>>) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let top = PathBuf::from(format!("/tmp/lxcproxy-test-{}-{number}", std::process::id()));
        fs::create_dir_all(top.join("lxc")).unwrap();
        Self(Arc::new(Owned { top, netns }))
    }

    /// The directory, as `lxc-info -P` and `container.path` take it.
    pub fn path(&self) -> PathBuf {
        self.0.top.join("lxc")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        clear(&self.top, &self.top.join("lxc"), self.netns.as_deref());
    }
}

impl Container {
    /// Makes it, stopped.
    pub fn new(spec: Spec) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = spec.name.unwrap_or_else(|| format!("lxcproxy-test-{}-{number}", std::process::id()));
        let container = Self { name, lxcpath: spec.lxcpath.unwrap_or_else(LxcPath::new) };
        skeleton(&container.rootfs(), &container.name);
        container.configure(spec.shifted, spec.overlay);
        let mut commands = spec.commands;
        if spec.php_fpm {
            container.write("/etc/php-fpm.conf", PHP_FPM);
            commands.push(START_PHP.into());
        }
        container.write("/etc/rc", &commands.join("\n"));
        if spec.shifted {
            container.shift();
        }
        container
    }

    /// Gives what its root holds to its own root, whoever that is on the host: again after a file was written from outside.
    pub fn shift(&self) {
        run(Command::new("chown").args(["-hR", &format!("{SHIFT}:{SHIFT}")]).arg(self.rootfs()));
    }

    /// Makes it, and starts it.
    pub fn started(spec: Spec) -> Self {
        let container = Self::new(spec);
        container.start();
        container
    }

    /// Makes it, and starts it, with an nginx that listens there and tells who it is and what it was asked for.
    pub fn web(mut spec: Spec, listen: &str) -> Self {
        spec.commands.push(START_WEB.into());
        let shifted = spec.shifted;
        let container = Self::new(spec);
        container.write("/etc/web.conf", &web_conf(listen));
        if shifted {
            container.shift();
        }
        container.start();
        container
    }

    /// Its name, as `container:` in a manifest takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is kept (`lxc.lxcpath`).
    pub fn lxcpath(&self) -> PathBuf {
        self.lxcpath.path()
    }

    /// Its root on the host's disk. What lies on its `/run` and `/tmp` is not to be seen here.
    pub fn rootfs(&self) -> PathBuf {
        self.lxcpath().join(&self.name).join("rootfs")
    }

    /// Starts it; its init runs when this returns, what it starts may not yet.
    pub fn start(&self) {
        let log = self.lxcpath().join(&self.name).join("log");
        let output = self.lxc("lxc-start").args(["-d", "-l", "INFO", "-o"]).arg(&log).output().unwrap();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(output.status.success(), "container {} does not start:\n{}", self.name, said());
    }

    /// Kills it, and waits until it has stopped.
    pub fn stop(&self) {
        run(self.lxc("lxc-stop").arg("-k"));
    }

    /// Kills it and starts it again: a new init, a new `/run`.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// The pid of its init, as the host sees it; `None`: stopped.
    pub fn pid(&self) -> Option<u32> {
        run(self.lxc("lxc-info").args(["-p", "-H"])).trim().parse().ok()
    }

    /// Runs a program inside, to its end, and panics if it fails. Returns its standard output.
    pub fn exec(&self, command: &[&str]) -> String {
        run(self.attach().args(command))
    }

    /// Runs a shell line inside, to its end.
    pub fn shell(&self, line: &str) -> Output {
        self.attach().args(["sh", "-c", line]).output().unwrap()
    }

    /// Ends its php-fpm; the socket is gone then.
    pub fn stop_php(&self) {
        self.exec(&["sh", "-c", "kill -TERM $(cat /run/php-fpm.pid)"]);
        self.wait_for("! -S", PHP_SOCKET);
    }

    /// Starts its php-fpm again; it listens when this returns.
    pub fn start_php(&self) {
        self.exec(&["sh", "-c", START_PHP]);
    }

    /// Writes a file of its root on disk, with the directories above it. `path` is as the container sees it.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.on_disk(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Plants a symbolic link in its root on disk; `target` is as the container sees it.
    pub fn link(&self, target: &str, path: &str) {
        symlink(target, self.on_disk(path)).unwrap();
    }

    /// Waits until `test -e PATH` (or another test of sh: `-S` for a socket) holds inside.
    pub fn wait_for(&self, test: &str, path: &str) {
        until(&format!("test {test} {path} in {}", self.name), || {
            self.shell(&format!("test {test} {path}")).status.success().then_some(())
        });
    }

    fn on_disk(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    fn lxc(&self, tool: &str) -> Command {
        let mut command = program(self.lxcpath.0.netns.as_deref(), tool);
        command.arg("-P").arg(self.lxcpath()).args(["-n", &self.name]).env("LC_ALL", "C");
        command
    }

    fn attach(&self) -> Command {
        let mut command = self.lxc("lxc-attach");
        command.args(["--clear-env", "-v", "PATH=/usr/sbin:/usr/bin", "--"]);
        command
    }

    fn configure(&self, shifted: bool, overlay: bool) {
        let root = self.rootfs();
        let storage = if overlay {
            let upper = root.with_file_name("upper");
            fs::create_dir(&upper).unwrap();
            format!("overlay:{}:{}", root.display(), upper.display())
        } else {
            format!("dir:{}", root.display())
        };
        let map = if shifted { format!("lxc.idmap = u 0 {SHIFT} 65536\nlxc.idmap = g 0 {SHIFT} 65536\n") } else { String::new() };
        let config = format!("lxc.uts.name = {}\nlxc.rootfs.path = {storage}\n{map}{CONFIG}", self.name);
        fs::write(self.lxcpath().join(&self.name).join("config"), config).unwrap();
    }
}

/// A root with the host's `/usr` to be mounted, and an `/etc/init` that runs `/etc/rc`.
pub(super) fn skeleton(root: &Path, hostname: &str) {
    for directory in ["usr", "etc", "var/www", "var/lib", "var/log", "proc", "sys", "dev", "run", "tmp", "root", "home"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for link in ["bin", "sbin", "lib", "lib64"].iter().filter(|link| Path::new("/usr").join(link).exists()) {
        symlink(Path::new("usr").join(link), root.join(link)).unwrap();
    }
    symlink("/run", root.join("var/run")).unwrap();
    for file in ["passwd", "group", "ld.so.cache", "mime.types"] {
        if let Ok(content) = fs::read(Path::new("/etc").join(file)) {
            fs::write(root.join("etc").join(file), content).unwrap();
        }
    }
    fs::write(root.join("etc/hostname"), format!("{hostname}\n")).unwrap();
    fs::write(root.join("etc/init"), INIT).unwrap();
    fs::set_permissions(root.join("etc/init"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// An nginx that tells who it is and what it was asked for.
pub(super) fn web_conf(listen: &str) -> String {
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path /tmp/{kind}; ")).concat();
    let answer = "return 200 '$hostname $request_method $request_uri $host';";
    let server = format!("server {{ listen {listen}; location / {{ {answer} }} }}");
    format!("user root; pid /run/web.pid; events {{}} http {{ access_log off; {places} {server} }}\n")
}

impl Drop for Container {
    fn drop(&mut self) {
        // Fails if it does not run.
        let _ = self.lxc("lxc-stop").arg("-k").output();
        remove(&self.lxcpath().join(&self.name));
    }
}

/// Removes a directory in which LXC has looked for containers, with what its programs have made elsewhere.
pub(super) fn clear(top: &Path, lxcpath: &Path, netns: Option<&Netns>) {
    // The daemon that lxc-monitor leaves behind for half a minute.
    if Path::new("/run/lxc").join(lxcpath.strip_prefix("/").unwrap_or(lxcpath)).join("monitor-fifo").exists() {
        let _ = program(netns, "lxc-monitor").arg("-P").arg(lxcpath).args(["-Q", "-n", ".*"]).output();
    }
    // The container's monitor, and an `lxc-info` whose daemon was killed, end by themselves, and make LXC's directories again before.
    let ended = eventually(PATIENCE, || if is_named(lxcpath) { Err("LXC's programs, or a daemon, go on".to_owned()) } else { Ok(()) });
    remove(top);
    for state in ["/run/lxc", "/run/lxc/lock"] {
        remove(&Path::new(state).join(top.strip_prefix("/").unwrap_or(top)));
    }
    // A test that waits for this each time would only be slow, and nobody would see why.
    assert!(ended.is_ok() || std::thread::panicking(), "{}: {ended:?}; a daemon has to go before its containers", lxcpath.display());
}

/// Whether a process has this path on its command line.
fn is_named(path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| line.windows(path.len()).any(|part| part == path))
}

/// Removes a tree, and nothing that is mounted in it.
pub(super) fn remove(path: &Path) {
    let _ = Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(path).output();
}

/// The network is a new one with loopback alone: with `none` an init of the container could reconfigure the host's.
const CONFIG: &str = "\
lxc.net.0.type = empty
lxc.apparmor.profile = unconfined
lxc.init.cmd = /etc/init
lxc.mount.auto = proc:mixed
lxc.mount.entry = /usr usr none ro,bind 0 0
lxc.mount.entry = tmpfs run tmpfs rw,nosuid,nodev,mode=755 0 0
lxc.mount.entry = tmpfs tmp tmpfs rw,nosuid,nodev,mode=1777 0 0
lxc.autodev = 1
lxc.tty.max = 0
lxc.pty.max = 16
";

const INIT: &str = "\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin
busybox ip link set lo up
. /etc/rc
exec busybox sleep 86400
";
