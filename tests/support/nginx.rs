//! A server's configuration -> a private nginx that answers.
//!
//! In: what stands inside `server { }`, without `listen`. Out: its address. Never: the host's nginx, its files or its ports.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::curl::{Curl, Response};
use super::daemon::{PATIENCE, eventually};
use super::netns::Netns;

/// Another program may take the port between our look and nginx's: then another port is tried, so often at most.
const ATTEMPTS: usize = 5;

/// A running nginx; it ends with the test.
#[derive(Debug)]
pub struct Nginx {
    dir: TempDir,
    child: Child,
    address: SocketAddr,
    netns: Option<Arc<Netns>>,
}

impl Nginx {
    /// Starts one and waits until it answers. `server`: the text inside `server { }`.
    #[must_use]
    pub fn start(server: &str, netns: Option<&Arc<Netns>>) -> Self {
        let mut problem = String::new();
        for _ in 0..ATTEMPTS {
            match Self::attempt(server, netns.cloned()) {
                Ok(nginx) => return nginx,
                Err(error) => problem = error,
            }
        }
        panic!("nginx does not start: {problem}");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request by `curl`, to be made up further.
    pub fn request(&self, path: &str) -> Curl {
        Curl::new(&format!("http://{}{path}", self.address), self.netns.as_deref())
    }

    /// GET.
    pub fn get(&self, path: &str) -> Response {
        self.request(path).send()
    }

    /// A directory of its own; it goes with it.
    pub fn scratch(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What it has complained of.
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }

    fn attempt(server: &str, netns: Option<Arc<Netns>>) -> Result<Self, String> {
        let dir = super::scratch();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {};\n", dir.path().join(kind).display()))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\nuser root;\npid {prefix}/nginx.pid;\nerror_log {prefix}/error.log info;\nevents {{}}\nhttp {{\n\
             {places}    include /etc/nginx/mime.types;\n    default_type application/octet-stream;\n    access_log {prefix}/access.log;\n\
             server {{\nlisten {address};\n{server}\n}}\n}}\n",
            prefix = dir.path().display()
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = super::program(netns.as_deref(), "setpriv");
        command.args(["--pdeathsig", "KILL", "--", "nginx", "-p"]).arg(dir.path()).arg("-c").arg(&file);
        let stderr = fs::File::create(dir.path().join("stderr.log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let mut nginx = Self { dir, child, address, netns };
        let started = eventually(PATIENCE, || {
            if let Some(status) = nginx.child.try_wait().unwrap() {
                return Ok(Err(format!("it ended with {status}")));
            }
            // Any answer will do.
            nginx.request("/").try_send().map(|_| Ok(()))
        });
        let said = |problem: String| format!("{problem}\n{}", fs::read_to_string(nginx.dir.path().join("stderr.log")).unwrap_or_default());
        match started {
            Ok(Ok(())) => Ok(nginx),
            Ok(Err(problem)) | Err(problem) => Err(said(problem)),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Without a master there is one process, and this is it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- error log of nginx\n{}\n---", self.error_log());
        }
    }
}
