//! `lxcproxy describe`: why does the site answer 503?

use crate::support::cli::{Said, said};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::site::Site;

fn describe(daemon: &Daemon, args: &[&str]) -> Said {
    said(&mut daemon.cli(&[&["describe"], args].concat()))
}

#[test]
fn a_site_that_answers_503_says_why_in_the_second_line_and_where_to_look_below() {
    needs!(nginx);
    let mut site = Site::new("hello");
    let daemon = Daemon::builder().manifest("blog.yaml", &site.manifest("blog", "blog.example.org", "")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    let fine = describe(&daemon, &["app/blog"]);
    assert!(fine.code == 0 && fine.err.is_empty() && !fine.out.contains("Problem:"), "{fine:?}");
    site.stop();
    daemon.wait_reason("blog", "Ready", "SocketNotFound", PATIENCE);
    let said = describe(&daemon, &["app", "blog"]);
    let lines: Vec<_> = said.out.lines().collect();
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((said.code, words(0).as_str()), (0, "Name: blog"));
    assert!(words(1).starts_with("Problem: SocketNotFound: backend `web`: there is no socket at /run/app.sock"), "{}", said.out);
    assert_eq!(words(2), "Requests that need it are answered with 503 until it is there.");
    assert!(words(3).ends_with(&format!("what is there: ls -l {}/run", site.rootfs().display())), "{}", said.out);
    for line in ["Backends:", "Rules:", "Conditions:", "File:"] {
        assert!(lines.iter().any(|found| found.starts_with(line)), "{line}: {}", said.out);
    }
}

#[test]
fn every_mistake_of_a_manifest_is_listed_with_what_is_served_meanwhile() {
    let manifest = super::get::site("blog", "blog.example.org");
    let daemon = Daemon::builder().manifest("blog.yaml", &manifest).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    daemon.manifest("blog.yaml", &manifest.replace("hostnames", "hostname").replace("root:", "rot:"));
    daemon.wait_reason("blog", "Accepted", "Invalid", PATIENCE);
    let said = describe(&daemon, &["apps"]);
    for words in ["spec.hostname: unknown field", "spec.rules[0].files.rot: unknown field", "Generation 1 is served as before"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
}

#[test]
fn what_is_not_there_is_an_error_beside_what_is() {
    let daemon = Daemon::builder().manifest("blog.yaml", &super::get::site("blog", "blog.example.org")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    let said = describe(&daemon, &["app", "nobody", "blog"]);
    assert_eq!((said.code, said.err.as_str()), (1, "Error from server (NotFound): apps.lxcproxy.dev \"nobody\" not found\n"));
    assert!(said.out.starts_with("Name:         blog\n"), "{}", said.out);
    assert_eq!(describe(&daemon, &["events"]).code, 2);
    assert_eq!(describe(&daemon, &["apps", "-l", "tier=none"]), Said { err: "No resources found\n".to_owned(), ..Said::well("") });
}

#[test]
fn the_source_says_what_it_reads() {
    let daemon = Daemon::builder().manifest("blog.yaml", &super::get::site("blog", "blog.example.org")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    let said = describe(&daemon, &["sources"]);
    let path = format!("Path:         {}", daemon.manifests().display());
    assert!(said.out.lines().any(|line| line == path), "{said:?}");
    assert!(said.out.lines().any(|line| line == "Files:        1"), "{said:?}");
}

#[test]
fn what_happened_stands_at_the_end() {
    let manifest = super::get::site("blog", "blog.example.org");
    let daemon = Daemon::builder().manifest("blog.yaml", &manifest).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    daemon.manifest("blog.yaml", "oops: [");
    daemon.wait_reason("blog", "Accepted", "Invalid", PATIENCE);
    let said = describe(&daemon, &["app/blog"]);
    let (_, events) = said.out.split_once("\nEvents:\n").unwrap_or_else(|| panic!("{}", said.out));
    assert!(events.lines().any(|line| line.trim_start().starts_with("Warning   Invalid")), "{events}");
}
