//! `lxcproxy apply` and `delete`: the manifest directory changes whole or not at all, and the daemon follows.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::directory;
use super::get::site;
use crate::support::cli::{Said, lxcproxy_in, said};
use crate::support::daemon::{Daemon, LXCPROXY, PATIENCE, eventually};

/// `apply` or `delete`, in a directory with these files, on the manifests in its `m`.
fn change(dir: &Path, args: &[&str]) -> Said {
    lxcproxy_in(dir, &[args, &["--manifests", "m", "--admin", "none.sock"]].concat())
}

/// Every file of a directory, with its text.
fn files(dir: &Path) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| (path.strip_prefix(dir).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
    let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap().path())).collect();
    found.sort();
    found
}

fn file(name: &str, text: &str) -> (PathBuf, String) {
    (name.into(), text.to_owned())
}

#[test]
fn what_is_applied_is_served_and_what_is_deleted_is_not() {
    let daemon = Daemon::builder().manifest("other.yaml", &site("other", "other.example.org")).start();
    let status = |host: &str| daemon.request("/other.yaml").host(host).send().status;
    let manifests = daemon.manifests();
    let run =
        |args: &[&str]| said(daemon.cli(&[args, &["--manifests", manifests.to_str().unwrap()]].concat()).current_dir(daemon.scratch()));
    fs::write(daemon.scratch().join("blog.yaml"), site("blog", "blog.example.org")).unwrap();
    assert_eq!(status("blog.example.org"), 404);
    assert_eq!(run(&["apply", "-f", "blog.yaml", "--wait"]), Said::well("app.lxcproxy.dev/blog created\n"));
    assert_eq!(status("blog.example.org"), 200, "--wait has waited");
    assert_eq!(run(&["apply", "-f", "blog.yaml"]), Said::well("app.lxcproxy.dev/blog unchanged\n"));
    fs::write(daemon.scratch().join("blog.yaml"), site("blog", "new.example.org")).unwrap();
    assert_eq!(run(&["apply", "-f", "blog.yaml", "--wait"]), Said::well("app.lxcproxy.dev/blog configured\n"));
    assert_eq!((status("new.example.org"), status("blog.example.org")), (200, 404));
    assert_eq!(run(&["delete", "app/blog"]), Said::well("app.lxcproxy.dev \"blog\" deleted\n"));
    daemon.eventually(PATIENCE, || if status("new.example.org") == 404 { Ok(()) } else { Err("it is still served".to_owned()) });
    // The last one, too: an empty directory would be taken for a mistake.
    assert_eq!(run(&["delete", "app/other"]), Said::well("app.lxcproxy.dev \"other\" deleted\n"));
    daemon.eventually(PATIENCE, || if status("other.example.org") == 404 { Ok(()) } else { Err("it is still served".to_owned()) });
    assert_eq!(run(&["delete", "app/other"]), Said::failed(1, "error: app.lxcproxy.dev \"other\" not found\n"));
    assert_eq!(run(&["delete", "app/other", "--ignore-not-found"]), Said::well(""));
}

#[test]
fn what_get_prints_can_be_applied_and_is_no_change() {
    let daemon = Daemon::builder().manifest("blog.yaml", &site("blog", "blog.example.org")).start();
    daemon.wait_condition("blog", "Ready", PATIENCE);
    fs::write(daemon.manifests().join("wiki.json"), json("wiki")).unwrap();
    daemon.wait_condition("wiki", "Ready", PATIENCE);
    let manifests = daemon.manifests();
    let run = |args: &[&str]| said(daemon.cli(args).env("LXCPROXY_MANIFESTS", &manifests).current_dir(daemon.scratch()));
    let before = files(&manifests);
    for args in [&["apps", "-o", "yaml"], &["apps", "-o", "json"]] {
        fs::write(daemon.scratch().join("printed"), run(&[&["get"], &args[..]].concat()).out).unwrap();
        assert_eq!(run(&["diff", "printed"]), Said::well(""), "{args:?}");
        let unchanged = "app.lxcproxy.dev/blog unchanged\napp.lxcproxy.dev/wiki unchanged\n";
        assert_eq!(run(&["apply", "-f", "printed"]), Said::well(unchanged), "{args:?}");
    }
    assert_eq!(files(&manifests), before);
    let changed = |name: &str| run(&["get", "app", name, "-o", "yaml"]).out.replace(".example.org", ".example.com");
    fs::write(daemon.scratch().join("printed"), format!("{}---\n{}", changed("blog"), changed("wiki"))).unwrap();
    let configured = "app.lxcproxy.dev/blog configured\napp.lxcproxy.dev/wiki configured\n";
    assert_eq!(run(&["apply", "-f", "printed", "--wait"]), Said::well(configured));
    assert_eq!(daemon.request("/blog.yaml").host("blog.example.com").send().status, 200);
    for (name, text) in files(&manifests) {
        assert!(!["uid", "resourceVersion", "status"].iter().any(|word| text.contains(word)), "{}:\n{text}", name.display());
        assert_eq!(text.starts_with('{'), name.extension().is_some_and(|extension| extension == "json"), "JSON stays JSON:\n{text}");
    }
    assert_eq!(lxcproxy_in(&manifests, &["validate", "."]), Said::well("2 manifests valid\n"));
    // What was changed by hand is checked where it stands.
    fs::write(daemon.scratch().join("printed"), changed("blog").replace("hostnames", "hostname")).unwrap();
    let bad = run(&["apply", "-f", "printed"]);
    let line = changed("blog").lines().position(|line| line == "  hostnames:").unwrap() + 1;
    assert!(bad.code == 1 && bad.err.contains(&format!(" --> printed:{line}:3\n")), "{bad:?}");
    assert_eq!(bad.err.matches("error: ").count(), 2, "what the daemon has added is no error: {bad:?}");
}

/// A site of the manifest directory itself, as JSON.
fn json(name: &str) -> String {
    format!(
        r#"{{"apiVersion": "lxcproxy.dev/v1", "kind": "App", "metadata": {{"name": "{name}"}}, "spec": {{"hostnames": ["{name}.example.org"],
        "container": {{"runtime": "Directory", "rootfs": "."}}, "rules": [{{"files": {{"root": "/"}}}}]}}}}"#
    )
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let dir = directory(&[("m/a.yaml", &site("a", "a.org")), ("new.yaml", &format!("{}---\n{}", site("a", "b.org"), site("b", "b.org")))]);
    let before = files(&dir.path().join("m"));
    let lines = "app.lxcproxy.dev/a configured (dry run)\napp.lxcproxy.dev/b created (dry run)\n";
    assert_eq!(change(dir.path(), &["apply", "-f", "new.yaml", "--dry-run"]), Said::well(lines));
    assert_eq!(change(dir.path(), &["delete", "app/a", "--dry-run"]), Said::well("app.lxcproxy.dev \"a\" deleted (dry run)\n"));
    assert_eq!(files(&dir.path().join("m")), before);
}

#[test]
fn if_anything_is_invalid_nothing_is_written() {
    let dir = directory(&[("m/a.yaml", &site("a", "a.org")), ("good.yaml", &site("a", "b.org")), ("bad.yaml", &site("B", "b.org"))]);
    let before = files(&dir.path().join("m"));
    let said = change(dir.path(), &["apply", "-f", "good.yaml", "-f", "bad.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(
        said.err.contains(" --> bad.yaml:3:18\n") && said.err.ends_with("error: nothing has been applied: a manifest is invalid\n"),
        "{}",
        said.err
    );
    assert_eq!(change(dir.path(), &["apply", "-f", "good.yaml", "missing.yaml"]).code, 2);
    fs::write(dir.path().join("again.yaml"), site("a", "c.org")).unwrap();
    let twice = change(dir.path(), &["apply", "-f", "good.yaml", "again.yaml"]);
    assert_eq!(twice, Said::failed(1, "error: App `a` is in good.yaml and in again.yaml; give one of the two\n"));
    assert_eq!(files(&dir.path().join("m")), before);
}

#[test]
fn the_other_documents_of_a_file_keep_every_letter() {
    let (first, second, third) = (site("a", "a.org"), site("b", "b.org"), site("c", "c.org"));
    let all = format!("# licence\n---\n# about a\n{first}--- # about b\n{second}# end of b\n---\n# about c\n{third}# end\n");
    let dir = directory(&[("m/all.yaml", &all), ("b.yaml", &format!("# new b\n{}", site("b", "new.org")))]);
    assert_eq!(change(dir.path(), &["apply", "-f", "b.yaml"]), Said::well("app.lxcproxy.dev/b configured\n"));
    let expected = all.replace(&format!("--- # about b\n{second}# end of b\n"), &format!("---\n# new b\n{}", site("b", "new.org")));
    assert_eq!(files(&dir.path().join("m")), [file("all.yaml", &expected)]);
    assert_eq!(change(dir.path(), &["delete", "-f", "b.yaml", "-f", "m/all.yaml", "--dry-run"]).code, 1, "b is there twice");
    assert_eq!(change(dir.path(), &["delete", "app/b"]), Said::well("app.lxcproxy.dev \"b\" deleted\n"));
    let expected = format!("# licence\n---\n# about a\n{first}---\n# about c\n{third}# end\n");
    assert_eq!(files(&dir.path().join("m")), [file("all.yaml", &expected)]);
}

#[test]
fn what_comes_by_a_link_is_changed_where_it_comes_from() {
    let dir = directory(&[("real/a.yaml", &site("a", "a.org")), ("m/b.yaml", &site("b", "b.org")), ("new.yaml", &site("a", "new.org"))]);
    symlink("../real/a.yaml", dir.path().join("m/a.yaml")).unwrap();
    let place = dir.path().canonicalize().unwrap();
    for args in [&["apply", "-f", "new.yaml"][..], &["delete", "app/a"], &["apply", "-f", "new.yaml", "--dry-run"]] {
        let line =
            format!("error: {}/m/a.yaml is reached through a symbolic link; change the manifest where it comes from\n", place.display());
        assert_eq!(lxcproxy_in(&place, &[args, &["--manifests", "m", "--admin", "none.sock"]].concat()), Said::failed(1, &line));
    }
    assert_eq!(fs::read_to_string(dir.path().join("real/a.yaml")).unwrap(), site("a", "a.org"));
    fs::rename(dir.path().join("m"), dir.path().join("rev1")).unwrap();
    symlink("rev1", dir.path().join("m")).unwrap();
    let said = change(dir.path(), &["delete", "app/b"]);
    assert!(said.code == 1 && said.err.contains("is reached through a symbolic link"), "{said:?}");
}

#[test]
fn a_kill_in_the_middle_leaves_one_version_whole() {
    let dir = directory(&[("m/a.yaml", "")]);
    let place = dir.path().join("m/a.yaml");
    // Large enough that writing takes a while.
    let filler = format!("# {}\n", "x".repeat(100)).repeat(4_000);
    let version = |host: &str| format!("{filler}{}", site("a", host));
    let versions = [version("one.org"), version("two.org")];
    fs::write(&place, &versions[0]).unwrap();
    for (n, text) in versions.iter().enumerate() {
        fs::write(dir.path().join(format!("{n}.yaml")), text).unwrap();
    }
    // What the text is called until it has all of it.
    let unfinished = dir.path().join("m/.lxcproxy.tmp");
    let written = || fs::metadata(&unfinished).map_or(0, |found| found.len());
    let inode = || fs::metadata(&place).unwrap().ino();
    let found = || {
        let found = fs::read_to_string(&place).unwrap();
        versions.iter().position(|version| *version == found).unwrap_or_else(|| panic!("{} bytes of neither", found.len()))
    };
    let all = versions[0].len() as u64;
    for (moment, least) in [("the start", 0), ("a beginning", 1), ("the half", all / 2), ("the whole", all), ("the new name", u64::MAX)] {
        let (named, is_left) = (least == u64::MAX, (1..=all).contains(&least));
        // The kill may come too late.
        let hit = eventually(2 * PATIENCE, || {
            let _ = fs::remove_file(&unfinished);
            let (before, old) = (found(), inode());
            let mut command = Command::new(LXCPROXY);
            let file = format!("{}.yaml", 1 - before);
            command.current_dir(dir.path()).args(["apply", "--manifests", "m", "--admin", "none.sock", "-f", &file]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let is_due = || if named { inode() != old } else { written() >= least };
            while !is_due() && child.try_wait().unwrap().is_none() {}
            let _ = child.kill();
            let killed = child.wait().unwrap().signal() == Some(9);
            let changed = found() != before;
            if killed && changed == named && unfinished.exists() == is_left { Ok(()) } else { Err("it was too late".to_owned()) }
        });
        hit.unwrap_or_else(|problem| panic!("killed at {moment}: {problem}"));
    }
    fs::write(&unfinished, "left by a kill").unwrap();
    let last = 1 - found();
    assert_eq!(change(dir.path(), &["apply", "-f", &format!("{last}.yaml")]).code, 0);
    assert_eq!(files(&dir.path().join("m")), [file("a.yaml", &versions[last])], "no leftover");
}

#[test]
fn of_many_at_once_each_is_whole() {
    let dir = directory(&[("m/keep.yaml", &site("keep", "keep.org"))]);
    let start = |n: usize| {
        fs::write(
            dir.path().join(format!("{n}.yaml")),
            format!("{}---\n{}", site("same", &format!("h{n}.org")), site(&format!("own{n}"), "x.org")),
        )
        .unwrap();
        let mut command = Command::new(LXCPROXY);
        command.current_dir(dir.path()).args(["apply", "--manifests", "m", "--admin", "none.sock", "-f", &format!("{n}.yaml")]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..8).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let found = files(&dir.path().join("m"));
    assert_eq!(found.len(), 10, "{found:?}");
    let same = &found.iter().find(|(name, _)| name == Path::new("same.yaml")).unwrap().1;
    assert!((0..8).any(|n| *same == site("same", &format!("h{n}.org"))), "{same}");
}
