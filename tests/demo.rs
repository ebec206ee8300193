//! `lxcproxy demo`: each command that it prints does what is said, and nothing stays behind.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::support::cli::{Said, copy_program, said};
use crate::support::daemon::{LXCPROXY, PATIENCE, eventually};
use crate::support::log::Log;
use crate::support::needs;

/// The user without rights.
const NOBODY: u32 = 65534;

/// A running demo, in a directory for temporary files of its own.
struct Demo {
    child: Child,
    printed: Arc<Log>,
    noise: Arc<Log>,
    tmp: PathBuf,
    user: u32,
    _dir: TempDir,
}

impl Demo {
    /// Starts it as this user, with a directory of this name for its temporary files.
    fn start(user: u32, tmp: &str) -> Self {
        let dir = crate::support::scratch();
        let tmp = dir.path().join(tmp);
        fs::create_dir(&tmp).unwrap();
        let mut program = PathBuf::from(LXCPROXY);
        if user != geteuid().as_raw() {
            // Where the program was built may be nobody's business.
            program = dir.path().join("lxcproxy");
            copy_program(&program);
            chown(dir.path(), Some(user), Some(user)).unwrap();
            chown(&tmp, Some(user), Some(user)).unwrap();
        }
        let mut command = as_user(user, program.to_str().unwrap());
        command
            .arg("demo")
            .env("TMPDIR", &tmp)
            .env_remove("LXCPROXY_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (printed, noise) = (Arc::<Log>::default(), Arc::<Log>::default());
        printed.follow(child.stdout.take().unwrap());
        noise.follow(child.stderr.take().unwrap());
        let demo = Self { child, printed, noise, tmp, user, _dir: dir };
        demo.printed
            .wait(0, PATIENCE, &|line| line.starts_with("Ctrl-C"))
            .unwrap_or_else(|problem| panic!("{problem}: {}", demo.noise.tail()));
        demo
    }

    /// The lines below a heading, up to the next empty one.
    fn commands(&self, heading: &str) -> Vec<String> {
        let lines = self.printed.lines();
        let section = lines.iter().skip_while(|line| !line.starts_with(heading)).take_while(|line| !line.is_empty());
        section.filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
    }

    /// Gives a line to the shell, as it was printed; it has to go well. Returns its output.
    fn paste(&self, line: &str) -> String {
        let said = self.try_paste(line);
        assert_eq!(said.code, 0, "{line}: {said:?}");
        said.out
    }

    fn try_paste(&self, line: &str) -> Said {
        said(as_user(self.user, "sh").args(["-c", line]).env("HOME", &self.tmp).env_remove("LXCPROXY_ADMIN").stdin(Stdio::null()))
    }

    /// The last word of the first line.
    fn url(&self) -> String {
        self.printed.lines()[0].rsplit(' ').next().unwrap().trim_end_matches('/').to_owned()
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        eventually(PATIENCE, || self.child.try_wait().unwrap().ok_or_else(|| "it goes on".to_owned())).unwrap()
    }

    fn left_behind(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.tmp).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program with another user's rights, which ends with the test.
fn as_user(user: u32, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if user != geteuid().as_raw() {
        command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Every line of the three things to try, in their order.
fn tour(demo: &Demo) {
    let url = demo.url();
    let [look, edit, look_again] = &demo.commands("1. ")[..] else { panic!("{:?}", demo.commands("1. ")) };
    assert!(demo.paste(look).starts_with("The application inside answers: GET /api/\n"));
    assert_eq!(demo.paste(edit), "");
    assert!(demo.paste(look_again).starts_with("The application inside answers: GET /v2/\n"));
    assert_eq!(demo.paste(&format!("curl -s -o /dev/null -w '%{{http_code}}' {url}/api/")), "404");

    let [break_it, wait, show, look, repair, wait_again] = &demo.commands("2. ")[..] else { panic!("{:?}", demo.commands("2. ")) };
    assert_eq!(demo.paste(break_it), "");
    assert_eq!(demo.paste(wait), "app.lxcproxy.dev/hello condition met\n");
    let table = demo.paste(show);
    let row = table.lines().find(|line| line.starts_with("hello ")).unwrap_or_else(|| panic!("{table}"));
    assert!(row.contains("False   Invalid") && row.contains("hello.yaml:14:7: not YAML: unclosed bracket"), "{table}");
    assert!(demo.paste(look).contains("<h1>It works</h1>"));
    assert_eq!(demo.paste(repair), "");
    assert_eq!(demo.paste(wait_again), "app.lxcproxy.dev/hello condition met\n");
    assert!(demo.paste(show).contains("hello   True    Ready"));

    let [drop_in, wait, look] = &demo.commands("3. ")[..] else { panic!("{:?}", demo.commands("3. ")) };
    assert_eq!(demo.paste(drop_in), "");
    assert_eq!(demo.paste(wait), "app.lxcproxy.dev/second condition met\n");
    assert!(demo.paste(look).contains("<h1>The second application</h1>"));
}

#[test]
fn each_command_does_what_is_said_and_ctrl_c_leaves_nothing_behind() {
    let mut demo = Demo::start(geteuid().as_raw(), "tmp");
    let text = demo.printed.lines();
    assert!(text[0].starts_with("lxcproxy is serving http://127.0.0.1:"), "{}", text[0]);
    let manifests = demo.left_behind()[0].join("manifests");
    assert_eq!(Path::new(text[1].rsplit(' ').next().unwrap()), manifests, "{}", text[1]);
    tour(&demo);
    assert_eq!(demo.printed.lines(), text, "nothing is printed while it is tried");
    assert_eq!(demo.end(Signal::INT).code(), Some(0));
    assert_eq!(demo.left_behind(), Vec::<PathBuf>::new());
    assert_eq!(demo.noise.lines(), Vec::<String>::new());
}

#[test]
fn it_needs_no_rights() {
    needs!(root);
    let mut demo = Demo::start(NOBODY, "tmp");
    tour(&demo);
    assert_eq!(demo.end(Signal::INT).code(), Some(0));
    assert_eq!(demo.left_behind(), Vec::<PathBuf>::new());
}

#[test]
fn its_commands_hold_any_path_together() {
    let demo = Demo::start(geteuid().as_raw(), "my dir's $HOME");
    tour(&demo);
}

#[test]
fn it_ends_with_its_terminal_and_when_it_is_told_to() {
    for signal in [Signal::HUP, Signal::TERM] {
        let mut demo = Demo::start(geteuid().as_raw(), "tmp");
        assert_eq!(demo.end(signal).code(), Some(0), "{signal:?}");
        assert_eq!(demo.left_behind(), Vec::<PathBuf>::new(), "{signal:?}");
    }
}

#[test]
fn two_run_beside_each_other() {
    let (one, other) = (Demo::start(geteuid().as_raw(), "tmp"), Demo::start(geteuid().as_raw(), "tmp"));
    assert_ne!(one.url(), other.url());
    for demo in [&one, &other] {
        assert!(demo.paste(&demo.commands("1. ")[0]).starts_with("The application inside answers"));
    }
}
