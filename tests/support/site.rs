//! An application without a container: a root directory, files, and a real HTTP server on a unix socket inside it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::nginx::Nginx;

/// A root directory with `www/index.html` and nginx on `/run/app.sock`.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    server: Option<Nginx>,
}

impl Site {
    /// A site whose backend answers `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let dir = super::scratch();
        for place in ["www", "run"] {
            fs::create_dir(dir.path().join(place)).unwrap();
        }
        fs::write(dir.path().join("www/index.html"), "file\n").unwrap();
        let mut site = Self { dir, server: None };
        site.start(text);
        site
    }

    /// Starts the backend, answering `text`.
    pub fn start(&mut self, text: &str) {
        let socket = self.socket();
        self.server = Some(Nginx::start(&format!("listen unix:{};\nlocation / {{ return 200 '{text}\\n'; }}", socket.display()), None));
    }

    /// Stops the backend and takes its socket away.
    pub fn stop(&mut self) {
        self.server = None;
        let _ = fs::remove_file(self.socket());
    }

    /// The root, a path of the host.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/app.sock")
    }

    /// A manifest that sends everything to the backend, and `/files` to the files. `extra` goes into the rule of the backend.
    #[must_use]
    pub fn manifest(&self, name: &str, host: &str, extra: &str) -> String {
        format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {name}}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  hostnames: [{host}]
  backends:
  - name: web
    http: {{unix: /run/app.sock}}
  rules:
  - matches: [{{path: {{value: /files}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}]
    files: {{root: /www}}
  - backendRefs: [{{name: web}}]
    {extra}
",
            root = self.dir.path().display()
        )
    }

    /// The same, with a field of the answer that tells versions apart.
    #[must_use]
    pub fn version(&self, name: &str, host: &str, version: &str) -> String {
        let filter =
            format!("{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Version, value: \"{version}\"}}]}}}}");
        self.manifest(name, host, &format!("filters: [{filter}]"))
    }
}
