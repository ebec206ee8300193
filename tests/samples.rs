//! Every manifest in `manifests/` is served as it stands there.

use crate::cgi;
use crate::reference;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, Spec};
use crate::support::needs;

const MINIMAL: (&str, &str) = ("minimal.yaml", include_str!("../manifests/minimal.yaml"));

#[test]
fn every_sample_is_served_by_a_test() {
    let mut served: Vec<&str> = reference::SAMPLES.iter().chain([&MINIMAL, &cgi::GIT]).map(|(name, _)| *name).collect();
    served.sort_unstable();
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
    let mut there: Vec<String> = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort_unstable();
    assert_eq!(there, served, "a sample that no test serves, or a test whose sample is gone");
}

#[test]
fn the_smallest_manifest_serves_an_http_server_in_a_container() {
    needs!(lxc, root, nginx, curl);
    let lxcpath = LxcPath::new();
    let spec = Spec { name: Some("hello".into()), lxcpath: Some(lxcpath.clone()), ..Spec::default() };
    let _hello = Container::web(spec, "unix:/run/hello.sock");
    let daemon = Daemon::builder().lxcpath(lxcpath.path()).manifest(MINIMAL.0, MINIMAL.1).start();
    daemon.wait_condition("hello", "Ready", PATIENCE);
    let answer = daemon.request("/a/b?c").host("hello.example.org").send();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello GET /a/b?c hello.example.org"));
    assert_eq!(daemon.get("/a/b?c").status, 404, "other hosts are not its own");
}
