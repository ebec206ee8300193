//! Several endpoints of one backend, through the real daemon: which gets a request, which does not, and who is told.

mod balancing;
mod checks;
mod ejection;
mod peer;
mod sessions;
mod shown;

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::curl::Response;
use crate::support::daemon::{Daemon, PATIENCE};
use peer::Peer;

/// A root directory with endpoints in its `/run`, and a daemon of one thread that serves them as the App `blog`. The daemon goes first.
struct House {
    daemon: Daemon,
    peers: Vec<Peer>,
    dir: TempDir,
}

impl House {
    /// Endpoints of these names. `backend` goes into their backend, `rule` into its rule.
    fn new(names: &[&str], backend: &str, rule: &str) -> Self {
        let house = Self::unready(names, names, backend, rule);
        house.daemon.wait_condition("blog", "Ready", PATIENCE);
        house
    }

    /// Those of `names` are in the manifest, those of `there` are there.
    fn unready(names: &[&str], there: &[&str], backend: &str, rule: &str) -> Self {
        let dir = crate::support::scratch();
        let run = dir.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let peers = there.iter().map(|name| Peer::start(&run, name)).collect();
        let manifest = manifest(&dir, &[("web", names)], backend, rule);
        let daemon = Daemon::builder().arg("--threads").arg("1").manifest("blog.yaml", &manifest).start();
        Self { daemon, peers, dir }
    }

    /// Writes another manifest, and waits until it is served.
    fn rewrite(&self, backends: &[(&str, &[&str])], backend: &str, rule: &str) {
        let generation = self.generation();
        self.daemon.manifest("blog.yaml", &manifest(&self.dir, backends, backend, rule));
        self.daemon.eventually(PATIENCE, || if self.generation() > generation { Ok(()) } else { Err(format!("{:?}", self.daemon.apps())) });
    }

    fn generation(&self) -> u64 {
        self.daemon.apps()["blog"]["status"]["servedGeneration"].as_u64().unwrap_or_default()
    }

    /// Which endpoint answers.
    fn ask(&self) -> String {
        let answer = self.daemon.get("/");
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.daemon.log());
        answer.text()
    }

    /// Who answers how many of so many requests.
    fn ask_often(&self, times: usize) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        for _ in 0..times {
            *answers.entry(self.ask()).or_default() += 1;
        }
        answers
    }

    /// With these fields.
    fn ask_with(&self, fields: &[(&str, &str)]) -> Response {
        fields.iter().fold(self.daemon.request("/"), |request, (name, value)| request.header(name, value)).send()
    }

    /// The endpoints, by name, as `get backends` tells.
    fn endpoints(&self) -> BTreeMap<String, Value> {
        let output = self.daemon.cli(&["get", "backends", "blog.web", "-o", "json"]).output().unwrap();
        let backend: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let endpoints = backend["status"]["endpoints"].as_array().unwrap().clone();
        let name = |endpoint: &Value| endpoint["name"].as_str().unwrap().trim_start_matches("/run/").trim_end_matches(".sock").to_owned();
        endpoints.into_iter().map(|endpoint| (name(&endpoint), endpoint)).collect()
    }

    fn wait_state(&self, endpoint: &str, state: &str) -> Value {
        self.daemon.eventually(PATIENCE, || match self.endpoints().remove(endpoint) {
            Some(found) if found["state"] == state => Ok(found),
            found => Err(format!("{endpoint} is not {state} but {found:?}")),
        })
    }
}

/// Backends on sockets of these names.
fn manifest(dir: &TempDir, backends: &[(&str, &[&str])], backend: &str, rule: &str) -> String {
    let backends = backends.iter().fold(String::new(), |all, (name, endpoints)| {
        let endpoints: Vec<_> = endpoints.iter().map(|name| format!("{{unix: /run/{name}.sock}}")).collect();
        format!("{all}  - name: {name}\n    http: {{endpoints: [{}]}}\n    {backend}\n", endpoints.join(", "))
    });
    let refs = if rule.contains("backendRefs") { "" } else { "backendRefs: [{name: web}]" };
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: blog}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  backends:
{backends}  rules:
  - matches: [{{path: {{value: /}}}}]
    {refs}
    {rule}
",
        dir.path().display()
    )
}
