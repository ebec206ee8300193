//! Manifests -> the real `lxcproxy` process, in directories of its own.
//!
//! In: manifests, flags, a network namespace. Out: a daemon that is ready, its answers (by `curl`), its conditions (by `lxcproxy get`).
//! Never: a wait without a deadline; a process that outlives its test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

use super::curl::{Curl, Response};
use super::log::Log;
use super::netns::Netns;

/// The program under test.
pub const LXCPROXY: &str = env!("CARGO_BIN_EXE_lxcproxy");

/// How long a daemon may take for what should be immediate. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two looks at something that tells nobody when it changes.
pub const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The longest one: a look that takes long is paused after as long as it took, so that what is waited for has time to come about.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What a daemon is started with.
#[derive(Debug, Default)]
pub struct Builder {
    manifests: BTreeMap<String, String>,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    netns: Option<Arc<Netns>>,
    within: Vec<String>,
    listen: Option<String>,
    broken_stdout: bool,
}

/// A running daemon. It lives as long as the test (its thread) that started it: the kernel kills it when that is gone.
#[derive(Debug)]
pub struct Daemon {
    dir: TempDir,
    started_with: Builder,
    child: Option<Child>,
    log: Arc<Log>,
    addresses: Vec<SocketAddr>,
}

impl Builder {
    /// A manifest that is there at the start; `name` is the file's.
    #[must_use]
    pub fn manifest(mut self, name: &str, text: &str) -> Self {
        self.manifests.insert(name.to_owned(), text.to_owned());
        self
    }

    /// More flags of `lxcproxy run`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Where LXC's containers are.
    #[must_use]
    pub fn lxcpath(self, lxcpath: impl Into<PathBuf>) -> Self {
        self.arg("--lxcpath").arg(lxcpath.into())
    }

    /// Runs it, and everything that asks it, inside a network namespace.
    #[must_use]
    pub fn inside(mut self, netns: Arc<Netns>) -> Self {
        self.netns = Some(netns);
        self
    }

    /// Runs it by a program that ends in running its arguments: one that makes other namespaces first.
    #[must_use]
    pub fn within(mut self, program: &[&str]) -> Self {
        self.within = program.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Another address than `127.0.0.1:0`.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// Its standard output is a pipe that nobody reads from, and that is closed.
    #[must_use]
    pub fn with_broken_stdout(mut self) -> Self {
        self.broken_stdout = true;
        self
    }

    /// Starts it, and waits until it listens and says that it is ready.
    #[must_use]
    pub fn start(self) -> Daemon {
        let dir = super::scratch();
        fs::create_dir(dir.path().join("manifests")).unwrap();
        let mut daemon = Daemon { dir, started_with: self, child: None, log: Arc::default(), addresses: Vec::new() };
        for (name, text) in &daemon.started_with.manifests {
            daemon.manifest(name, text);
        }
        daemon.start();
        daemon
    }
}

impl Daemon {
    /// A daemon with an empty manifest directory, state and admin socket of its own.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The manifest directory.
    pub fn manifests(&self) -> PathBuf {
        self.dir.path().join("manifests")
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The admin socket.
    pub fn admin(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// A directory of the test's own, for roots and sockets; it goes with the daemon.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a manifest so that nobody sees half of it: beside its place, then renamed over it.
    pub fn manifest(&self, name: &str, text: &str) {
        let place = self.manifests().join(name);
        fs::create_dir_all(place.parent().expect("a file is in a directory")).unwrap();
        let hidden = place.with_file_name(format!(".{}.new", place.file_name().expect("a file has a name").display()));
        fs::write(&hidden, text).unwrap();
        fs::rename(&hidden, place).unwrap();
    }

    /// Takes a manifest away.
    pub fn remove_manifest(&self, name: &str) {
        fs::remove_file(self.manifests().join(name)).unwrap();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// `http://127.0.0.1:PORT/path`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A request by `curl`, to be made up further.
    pub fn request(&self, path: &str) -> Curl {
        Curl::new(&self.url(path), self.started_with.netns.as_deref())
    }

    /// GET.
    pub fn get(&self, path: &str) -> Response {
        self.request(path).send()
    }

    /// `lxcproxy SUBCOMMAND... --admin SOCKET`, to be run by the caller.
    pub fn cli(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LXCPROXY);
        command.args(args).arg("--admin").arg(self.admin());
        command
    }

    /// `lxcproxy get apps -o json`: every App with its conditions, by name.
    pub fn apps(&self) -> BTreeMap<String, Value> {
        self.try_apps().unwrap_or_else(|problem| self.fail(&problem))
    }

    /// A condition of an App as `(status, reason, message)`; `None`: no such App, or no such condition.
    pub fn condition(&self, app: &str, condition: &str) -> Option<(String, String, String)> {
        find_condition(&self.apps(), app, condition)
    }

    /// Waits until a condition is True.
    pub fn wait_condition(&self, app: &str, condition: &str, patience: Duration) {
        self.eventually(patience, || {
            let apps = self.try_apps()?;
            match find_condition(&apps, app, condition) {
                Some((status, ..)) if status == "True" => Ok(()),
                Some((status, reason, message)) => Err(format!("{condition} of {app} is {status}: {reason}: {message}")),
                None => Err(format!("there is no {condition} of {app}; there is {:?}", apps.keys())),
            }
        });
    }

    /// Waits until a condition is not True for this reason; returns its message.
    pub fn wait_reason(&self, app: &str, condition: &str, reason: &str, patience: Duration) -> String {
        self.eventually(patience, || match find_condition(&self.try_apps()?, app, condition) {
            Some((status, found, message)) if status != "True" && found == reason => Ok(message),
            other => Err(format!("{condition} of {app} is {other:?}, not {reason}")),
        })
    }

    /// Looks again and again until there is an answer; fails with the last problem and the log.
    pub fn eventually<T>(&self, patience: Duration, look: impl FnMut() -> Result<T, String>) -> T {
        eventually(patience, look).unwrap_or_else(|problem| self.fail(&problem))
    }

    /// All that it has logged, restarts included.
    pub fn log(&self) -> String {
        self.log.lines().join("\n")
    }

    /// Waits for a line that satisfies.
    pub fn wait_log(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> String {
        self.log.wait(0, patience, &wanted).unwrap_or_else(|problem| self.fail(&problem))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(pid(self.child.as_ref().expect("the daemon runs")), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("the daemon runs");
        let ended = eventually(patience, || match child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err("the daemon has not ended".to_owned()),
        });
        ended.unwrap_or_else(|problem| {
            end(&mut child);
            self.fail(&problem)
        })
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
    }

    /// Starts it again with the same directories and flags, after `kill -9` if it still runs. Its port is a new one.
    pub fn restart(&mut self) {
        self.kill9();
        self.start();
    }

    fn start(&mut self) {
        let with = &self.started_with;
        // systemd's place is taken: READY=1 comes here.
        let notify = self.dir.path().join("notify.sock");
        let _ = fs::remove_file(&notify);
        let notified = UnixDatagram::bind(&notify).unwrap();
        // Without this a killed test would leave its daemon behind.
        let mut words = with.within.iter().map(String::as_str).chain(["setpriv"]);
        let mut command = super::program(with.netns.as_deref(), words.next().expect("there is one at least"));
        command.args(words).args(["--pdeathsig", "KILL", "--", LXCPROXY, "run", "--log-format", "json"]);
        command.arg("--manifests").arg(self.manifests()).arg("--state-dir").arg(self.state_dir()).arg("--admin").arg(self.admin());
        command.args(["--listen", with.listen.as_deref().unwrap_or("127.0.0.1:0")]).args(&with.args);
        for name in ["MANIFESTS", "STATE_DIR", "ADMIN", "LISTEN"] {
            command.env_remove(format!("LXCPROXY_{name}"));
        }
        command.env("NOTIFY_SOCKET", &notify).envs(with.envs.iter().cloned());
        let stdout = if with.broken_stdout { Stdio::piped() } else { Stdio::null() };
        let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let from = self.log.lines().len();
        self.log.follow(child.stderr.take().expect("stderr is a pipe"));
        self.child = Some(child);
        self.log.wait(from, PATIENCE, &|line| listening(line).is_some()).unwrap_or_else(|problem| self.fail(&problem));
        self.wait_ready(&notified);
        self.addresses = self.log.lines()[from..].iter().filter_map(|line| listening(line)).collect();
    }

    /// Waits for `READY=1`: the first snapshot is being served.
    fn wait_ready(&self, notified: &UnixDatagram) {
        let deadline = Instant::now() + PATIENCE;
        let mut message = [0; 4096];
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            notified.set_read_timeout(Some(left)).unwrap();
            if let Ok(length) = notified.recv(&mut message)
                && String::from_utf8_lossy(&message[..length]).lines().any(|line| line == "READY=1")
            {
                return;
            }
        }
        self.fail("the daemon listens, but did not say READY=1");
    }

    fn try_apps(&self) -> Result<BTreeMap<String, Value>, String> {
        let output = self.cli(&["get", "apps", "-o", "json"]).output().unwrap();
        if !output.status.success() {
            return Err(format!("`lxcproxy get apps` failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let list: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("`lxcproxy get apps` is not JSON: {error}"))?;
        let items = list["items"].as_array().ok_or("`lxcproxy get apps` has no items")?;
        // A manifest whose name is another's comes after that one: the one that has the name is meant.
        Ok(items.iter().rev().map(|item| (item["metadata"]["name"].as_str().unwrap_or_default().to_owned(), item.clone())).collect())
    }

    /// Fails the test; the log follows when the daemon is dropped.
    fn fail(&self, problem: &str) -> ! {
        panic!("{problem} (daemon in {})", self.dir.path().display());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- log of the daemon\n{}\n---", self.log.tail());
        }
    }
}

/// Looks again and again until there is an answer, or the deadline has passed.
///
/// # Errors
/// The last problem.
pub fn eventually<T>(patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + patience;
    loop {
        let began = Instant::now();
        match look() {
            Ok(answer) => return Ok(answer),
            Err(problem) if Instant::now() >= deadline => return Err(format!("after {patience:?}: {problem}")),
            Err(_) => std::thread::sleep(began.elapsed().clamp(LOOK_AGAIN, LONGEST_PAUSE)),
        }
    }
}

/// The address of a `listening` line of the log.
fn listening(line: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    // tracing's JSON has the fields of an event in an object of their own, or flattened.
    let fields = if event["fields"].is_object() { &event["fields"] } else { &event };
    let address = (fields["message"] == "listening").then(|| fields["address"].as_str())??;
    address.parse().ok()
}

fn find_condition(apps: &BTreeMap<String, Value>, app: &str, condition: &str) -> Option<(String, String, String)> {
    let conditions = apps.get(app)?["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|found| found["type"] == condition)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// SIGKILL, and its remains are taken in.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
