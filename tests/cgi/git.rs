//! `git http-backend` under fcgiwrap, in a container, with the sample manifest: a real git clones and pushes. The same fcgiwrap runs
//! plain CGI scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::GIT;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, Spec};
use crate::support::{needs, run, scratch};

const HOST: &str = "git.example.org";
const SCRIPT: &str = "#!/bin/sh
echo 'Status: 202 Accepted'
echo 'Content-Type: text/plain'
echo
echo \"$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING $CONTENT_LENGTH\"
cat
echo 'it complains' >&2
";

/// The container `git` with an empty repository, and a daemon with manifests in front of it.
struct Forge {
    daemon: Daemon,
    container: Container,
    home: TempDir,
}

impl Forge {
    fn new(manifests: &[(&str, &str)]) -> Self {
        let lxcpath = LxcPath::new();
        let container = Container::new(Spec {
            name: Some("git".into()),
            lxcpath: Some(lxcpath.clone()),
            commands: vec!["fcgiwrap -f -c 4 -s unix:/run/fcgiwrap.socket &".into()],
            ..Spec::default()
        });
        container.write("/etc/git-users", &format!("alice:{}\n", bcrypt::hash("secret", 4).unwrap()));
        container.write("/srv/cgi/hello.cgi", SCRIPT);
        container.write("/srv/cgi/plain.cgi", SCRIPT);
        container.write("/srv/cgi/page.txt", "a page\n");
        fs::set_permissions(container.rootfs().join("srv/cgi/hello.cgi"), fs::Permissions::from_mode(0o755)).unwrap();
        let home = scratch();
        let repository = container.rootfs().join("srv/git/big.git");
        run(git(home.path()).args(["init", "-q", "--bare", "-b", "main"]).arg(&repository));
        container.start();
        let daemon = Daemon::builder().lxcpath(lxcpath.path());
        let daemon = manifests.iter().fold(daemon, |daemon, (name, text)| daemon.manifest(name, text)).start();
        daemon.wait_condition("git", "Ready", PATIENCE);
        Self { daemon, container, home }
    }

    fn url(&self, user: &str) -> String {
        format!("http://{user}{HOST}:{}/big.git", self.daemon.address().port())
    }

    /// A git that finds the host here, in a directory of its home.
    fn git(&self, directory: &str) -> Command {
        let mut command = git(self.home.path());
        command.arg("-C").arg(self.at(directory));
        command.arg("-c").arg(format!("http.curloptResolve={HOST}:{}:127.0.0.1", self.daemon.address().port()));
        command
    }

    fn at(&self, directory: &str) -> PathBuf {
        self.home.path().join(directory)
    }

    /// A file of random content, committed.
    fn commit(&self, directory: &str, name: &str, size: usize) {
        fs::write(self.at(directory).join(name), noise(size)).unwrap();
        run(self.git(directory).args(["add", "."]));
        run(self.git(directory).args(["commit", "-q", "-m", name]));
    }

    fn head(&self, directory: &str) -> String {
        run(self.git(directory).args(["rev-parse", "HEAD"]))
    }
}

/// Without any configuration but the test's.
fn git(home: &Path) -> Command {
    let mut command = Command::new("git");
    command.env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    command.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.org", "-c", "init.defaultBranch=main", "-c", "gc.auto=0"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// The same, telling of its requests.
fn traced(mut git: Command) -> Command {
    git.env("GIT_TRACE_CURL", "1").env("GIT_TRACE_CURL_NO_DATA", "1");
    git
}

/// What it has told.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_repository_is_pushed_cloned_and_fetched() {
    needs!(lxc, root, git, fcgiwrap);
    let forge = Forge::new(&[GIT]);
    run(git(forge.home.path()).args(["init", "-q", "-b", "main"]).arg(forge.at("work")));
    forge.commit("work", "first.bin", 3_000_000);
    forge.commit("work", "second.bin", 5_000_000);

    let nobody = forge.git("work").args(["push", "-q", &forge.url(""), "main"]).output().unwrap();
    assert!(!nobody.status.success(), "who pushes needs a password");
    let wrong = forge.git("work").args(["push", "-q", &forge.url("alice:guess@"), "main"]).output().unwrap();
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("Authentication failed"), "{wrong:?}");
    let mut push = traced(forge.git("work"));
    let pushed = push.args(["-c", "http.postBuffer=65536", "push", &forge.url("alice:secret@"), "main"]).output().unwrap();
    assert!(said(&pushed).to_ascii_lowercase().contains("transfer-encoding: chunked"), "8 MB are more than git measures");

    for (name, version) in [("new", "version=2"), ("old", "version=0")] {
        run(forge.git("").args(["-c", &format!("protocol.{version}"), "clone", "-q", &forge.url(""), name]));
        run(forge.git(name).args(["fsck", "--strict", "--full"]));
        assert_eq!(forge.head(name), forge.head("work"));
        for (file, size) in [("first.bin", 3_000_000), ("second.bin", 5_000_000)] {
            assert!(fs::read(forge.at(name).join(file)).unwrap() == noise(size), "{file} of {name}");
        }
    }
    run(forge.git("").args(["clone", "-q", "--depth", "1", &forge.url(""), "shallow"]));
    assert_eq!(forge.head("shallow"), forge.head("work"));
    assert_eq!(run(forge.git("shallow").args(["rev-list", "--count", "HEAD"])).trim(), "1");

    // Somebody with much of his own fetches what is new: what he has is a question of some length, which git compresses.
    for number in 0..80 {
        run(forge.git("new").args(["commit", "-q", "--allow-empty", "-m", &number.to_string()]));
    }
    forge.commit("work", "third.bin", 100_000);
    run(forge.git("work").args(["push", "-q", &forge.url("alice:secret@"), "main"]));
    let mut fetch = traced(forge.git("new"));
    let fetched = fetch.args(["fetch", "origin"]).output().unwrap();
    assert!(said(&fetched).to_ascii_lowercase().contains("content-encoding: gzip"), "a question that is compressed");
    assert_eq!(run(forge.git("new").args(["rev-parse", "origin/main"])), forge.head("work"));
    run(git(forge.home.path()).arg("-C").arg(forge.container.rootfs().join("srv/git/big.git")).args(["fsck", "--strict", "--full"]));
}

#[test]
fn nobody_writes_without_a_password_however_it_is_spelt() {
    needs!(lxc, root, git, fcgiwrap, curl);
    let forge = Forge::new(&[GIT]);
    let ask = |target: &str| forge.daemon.request("/").host(HOST).arg("--request-target").arg(target);
    assert_eq!(ask("/big.git/info/refs?service=git-upload-pack").send().status, 200, "who reads needs none");
    for service in ["git-receive-pack", "git%2Dreceive-pack", "git-upload-pack&service=git-receive-pack", "%67it-receive-pack&x"] {
        let answer = ask(&format!("/big.git/info/refs?service={service}")).send();
        assert!(matches!(answer.status, 401 | 403), "{service}: {answer:?}");
    }
    for path in ["git-receive-pack", "git%2Dreceive-pack", "x/../git-receive-pack", "./%2e/git-receive-pack", "/git-receive-pack"] {
        let answer = ask(&format!("/big.git/{path}")).header("Content-Type", "application/x-git-receive-pack-request").body("0000").send();
        assert!(matches!(answer.status, 401 | 403 | 404), "{path}: {answer:?}");
        let named = ask(&format!("/big.git/{path}"))
            .header("Remote-User", "alice")
            .header("Content-Type", "application/x-git-receive-pack-request");
        assert!(matches!(named.body("0000").send().status, 401 | 403 | 404), "{path}: it was believed");
    }
}

#[test]
fn fcgiwrap_runs_the_scripts_of_a_directory() {
    needs!(lxc, root, git, fcgiwrap, curl);
    let scripts = "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: git}
spec:
  container: git
  backends:
  - {name: cgi, fastcgi: {unix: /run/fcgiwrap.socket}}
  rules:
  - files: {root: /srv/cgi, scripts: [{extension: .cgi, backend: cgi}]}
";
    let forge = Forge::new(&[("cgi.yaml", scripts)]);
    let daemon = &forge.daemon;
    let answer = daemon.request("/hello.cgi/more?a=b").body("a body").send();
    assert_eq!((answer.status, answer.text().as_str()), (202, "POST /hello.cgi /more a=b 6\na body"));
    assert_eq!(answer.header("content-type"), "text/plain");
    daemon.wait_log(PATIENCE, |line| line.contains("it complains") && line.contains("\"app\":\"git\""));
    assert_eq!(daemon.get("/page.txt").text(), "a page\n");
    assert_eq!(daemon.get("/plain.cgi").status, 403, "fcgiwrap runs what may be run");
    assert_eq!(daemon.get("/none.cgi").status, 404);
}
