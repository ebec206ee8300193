//! What becomes of an answer: its content coding, the page of an error, the file that a backend has sent in its stead.

mod compression;
mod conditions;
mod offload;
mod pages;
mod php;
mod ranges;
mod siblings;
mod stream;

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use tempfile::TempDir;

use crate::support::curl::Response;
use crate::support::daemon::Daemon;
use crate::support::recorder::{Recorder, Request};
use crate::support::scratch;

/// A root directory and a backend, and a daemon that serves both as the App `shop`.
struct Shop {
    daemon: Daemon,
    root: TempDir,
    /// Kept: it answers for as long as it lives.
    backend: Recorder,
}

/// What the manifest says beyond that: YAML of one line each.
#[derive(Default)]
struct Says<'a> {
    /// In `spec`.
    spec: &'a str,
    /// In the backend.
    backend: &'a str,
    /// In the rule of the backend, and in that of `/files`.
    rule: &'a str,
}

impl Shop {
    fn new(files: &[(&str, &str)], says: &Says<'_>, answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let (root, backend) = (scratch(), Recorder::answering(answer));
        for (name, text) in files {
            write(root.path(), name, text);
        }
        let manifest = manifest(root.path(), backend.address(), says);
        Self { daemon: Daemon::builder().manifest("shop.yaml", &manifest).start(), root, backend }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.root.path(), name, text);
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let place = root.join(name);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, text).unwrap();
}

/// `/files` is `www/files`, everything else the backend.
fn manifest(root: &Path, backend: SocketAddr, says: &Says<'_>) -> String {
    let (root, Says { spec, backend: more, rule }) = (root.display(), says);
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: shop}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  {spec}
  backends:
  - name: web
    http: {{tcp: \"{backend}\"}}
    {more}
  rules:
  - matches: [{{path: {{value: /files}}}}]
    files: {{root: /www}}
    {rule}
  - backendRefs: [{{name: web}}]
    {rule}
"
    )
}

/// The path of a request.
fn path(request: &Request) -> &str {
    request.line().split(' ').nth(1).unwrap_or_default()
}

/// What was encoded, if it is whole.
fn decoded(answer: &Response) -> String {
    let (bytes, mut text) = (&*answer.body, String::new());
    let read = match answer.header("content-encoding") {
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_string(&mut text),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text),
        "" => return answer.text(),
        other => panic!("what is {other}?"),
    };
    read.unwrap_or_else(|error| panic!("{answer:?}: {error}"));
    text
}

/// A text of some length that compresses, but not to nothing.
fn prose(length: usize) -> String {
    let mut state = 7_u32;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(["some ", "words ", "that ", "come ", "again\n"][state as usize >> 16 & 3]);
        text.push_str(&(state >> 24).to_string());
    }
    text.truncate(length);
    text
}
