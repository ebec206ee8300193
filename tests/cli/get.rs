//! `lxcproxy get apps`: every manifest of the directory in a line, with what is wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::cli::{Said, copy_program, lxcproxy_in, said};
use crate::support::daemon::{Daemon, LXCPROXY, PATIENCE};
use crate::support::needs;

/// A manifest of an application that is nothing but files.
pub(super) fn site(name: &str, host: &str) -> String {
    format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {name}}}
spec:
  container: {{runtime: Directory, rootfs: ..}}
  hostnames: [{host}]
  rules:
  - files: {{root: /manifests}}
"
    )
}

/// The cells of a table, without the ages, which move.
fn cells(table: &str) -> Vec<Vec<String>> {
    let header = table.lines().next().unwrap_or_default();
    let age = header.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).position(|cell| cell == "AGE");
    let row = |line: &str| {
        let mut cells: Vec<_> = line.split("   ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect();
        cells.remove(age.unwrap_or(4));
        cells
    };
    table.lines().map(row).collect()
}

fn get(daemon: &Daemon, args: &[&str]) -> Said {
    said(&mut daemon.cli(&[&["get", "apps"], args].concat()))
}

/// Two applications that are well, one that is broken; a file that holds none.
fn daemon() -> Daemon {
    let daemon = Daemon::builder()
        .manifest("blog.yaml", &site("blog", "blog.example.org"))
        .manifest("wiki.yaml", &site("wiki", "wiki.example.org, \"*.wiki.example.org\""))
        .manifest("notes.yaml", "hello\n")
        .start();
    for app in ["blog", "wiki"] {
        daemon.wait_condition(app, "Ready", PATIENCE);
    }
    daemon.manifest("wiki.yaml", &site("wiki", "wiki.example.org").replace("hostnames", "hostname"));
    daemon.wait_reason("wiki", "Accepted", "Invalid", PATIENCE);
    daemon
}

const NOTES: &str = "notes.yaml:1:1: expected an object with `apiVersion`, `kind`, `metadata` and `spec`, found the string `hello`";
const WIKI: &str = "wiki.yaml:6:3: spec.hostname: unknown field `hostname`; did you mean `hostnames`?";

#[test]
fn the_table_says_what_is_ready_and_why_something_is_not() {
    let daemon = daemon();
    let table = get(&daemon, &[]);
    assert_eq!((table.code, table.err.as_str()), (0, ""));
    let expected = [
        vec!["NAME", "READY", "REASON", "GENERATION", "MESSAGE"],
        vec!["blog", "True", "Ready", "1"],
        vec!["notes.yaml", "False", "Invalid", "0", NOTES],
        vec!["wiki", "False", "Invalid", "1", WIKI],
    ];
    assert_eq!(cells(&table.out), expected);
    let bare = get(&daemon, &["--no-headers"]);
    assert_eq!(cells(&bare.out), expected[1..]);
    let widths = |line: &str| ["True", "False"].iter().find_map(|word| line.find(word));
    assert!(table.out.lines().skip(1).all(|line| widths(line) == Some(13)), "{}", table.out);
}

#[test]
fn the_wide_table_says_where_it_comes_from_and_what_is_served() {
    let table = get(&daemon(), &["-o", "wide"]);
    let expected = [
        vec!["NAME", "READY", "REASON", "GENERATION", "SERVED", "CONTAINER", "HOSTNAMES", "FILE", "MESSAGE"],
        vec!["blog", "True", "Ready", "1", "1", "..", "blog.example.org", "blog.yaml"],
        vec!["notes.yaml", "False", "Invalid", "0", "<none>", "<none>", "<none>", "notes.yaml", NOTES],
        vec!["wiki", "False", "Invalid", "1", "1", "..", "wiki.example.org,*.wiki.example.org", "wiki.yaml", WIKI],
    ];
    assert_eq!(cells(&table.out), expected);
}

/// What kubectl would say.
fn missing(name: &str) -> String {
    format!("Error from server (NotFound): apps.lxcproxy.dev \"{name}\" not found\n")
}

#[test]
fn names_choose_and_an_unknown_one_is_an_error_beside_the_others() {
    let daemon = daemon();
    let named = get(&daemon, &["wiki", "blog"]);
    assert_eq!(cells(&named.out)[1..].iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["wiki", "blog"]);
    let half = get(&daemon, &["blog", "nobody"]);
    assert_eq!((half.code, half.err.as_str(), cells(&half.out).len()), (1, missing("nobody").as_str(), 2));
    assert_eq!(get(&daemon, &["nobody", "no/one?#%"]), Said::failed(1, &(missing("nobody") + &missing("no/one?#%"))));
    assert_eq!(get(&daemon, &["nobody", "-o", "json"]), Said::failed(1, &missing("nobody")));
    let shown = get(&daemon, &["notes.yaml"]);
    assert_eq!((shown.code, cells(&shown.out)[1][0].as_str()), (0, "notes.yaml"), "what the table shows can be asked for");
}

#[test]
fn json_is_an_object_for_one_name_and_a_list_else() {
    let daemon = daemon();
    let json = |args: &[&str]| {
        let said = get(&daemon, &[args, &["-o", "json"]].concat());
        serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    };
    let names = |list: &Value| list["items"].as_array().unwrap().iter().map(|app| app["metadata"]["name"].clone()).collect::<Vec<_>>();
    let all = json(&[]);
    assert_eq!((&all["apiVersion"], &all["kind"]), (&"lxcproxy.dev/v1".into(), &"AppList".into()));
    assert_eq!(names(&all), ["blog", "notes.yaml", "wiki"]);
    assert!(all["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(names(&json(&["wiki", "blog"])), ["wiki", "blog"]);
    let one = json(&["wiki"]);
    assert_eq!((&one["kind"], &one["metadata"]["name"], &one["status"]["file"]), (&"App".into(), &"wiki".into(), &"wiki.yaml".into()));
    assert_eq!(one["status"]["servedGeneration"], 1);
    let types: Vec<_> = one["status"]["conditions"].as_array().unwrap().iter().map(|condition| condition["type"].clone()).collect();
    assert_eq!(types, ["Accepted", "ResolvedRefs", "Programmed", "Ready"]);
}

#[test]
fn names_are_what_wait_and_get_take() {
    let daemon = daemon();
    assert_eq!(get(&daemon, &["-o", "name"]), Said::well("app.lxcproxy.dev/blog\napp.lxcproxy.dev/notes.yaml\napp.lxcproxy.dev/wiki\n"));
    assert_eq!(get(&daemon, &["-o", "name", "blog"]), Said::well("app.lxcproxy.dev/blog\n"));
}

#[test]
fn a_manifest_with_the_name_of_another_stands_below_it() {
    let daemon = daemon();
    // By its path it would come first; the older keeps the name.
    daemon.manifest("a-second.yaml", &site("blog", "second.example.org"));
    let message =
        "a-second.yaml:3:18: metadata.name: `blog` is the name of the App in blog.yaml; the older keeps it; give one of them another name";
    let rows = daemon.eventually(PATIENCE, || {
        let rows = cells(&get(&daemon, &["blog"]).out);
        if rows.len() == 3 { Ok(rows) } else { Err(format!("{rows:?}")) }
    });
    assert_eq!(rows[1..], [vec!["blog", "True", "Ready", "1"], vec!["blog", "False", "NameConflict", "0", message]]);
    assert_eq!(cells(&get(&daemon, &[]).out)[1..3], rows[1..]);
    let one: Value = serde_json::from_str(&get(&daemon, &["blog", "-o", "json"]).out).unwrap();
    assert_eq!(one["status"]["file"], "blog.yaml", "a program that asks for an App gets the App");
    assert_eq!(get(&daemon, &["blog", "-o", "name"]), Said::well("app.lxcproxy.dev/blog\n"));
    assert_eq!(get(&daemon, &["-o", "name"]), Said::well("app.lxcproxy.dev/blog\napp.lxcproxy.dev/notes.yaml\napp.lxcproxy.dev/wiki\n"));
}

#[test]
fn an_app_whose_match_an_older_one_has_says_so() {
    let daemon = daemon();
    daemon.manifest("late.yaml", &site("late", "blog.example.org"));
    daemon.wait_condition("late", "Ready", PATIENCE);
    let rows = cells(&get(&daemon, &["late"]).out);
    assert_eq!(rows[1], ["late", "True", "Ready", "1", "spec.rules[0] has a match of the older App `blog`, which answers"]);
}

#[test]
fn objects_are_chosen_as_with_kubectl() {
    let daemon = daemon();
    let names = |args: &[&str]| {
        let said = said(&mut daemon.cli(&[&["get"], args, &["-o", "name"]].concat()));
        (said.code, said.out.replace(".lxcproxy.dev", "").lines().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(names(&["app/wiki", "app.lxcproxy.dev/blog"]), (0, vec!["app/wiki".to_owned(), "app/blog".to_owned()]));
    assert_eq!(names(&["App", "wiki"]), (0, vec!["app/wiki".to_owned()]));
    assert_eq!(names(&["apps,gateways", "blog"]), (1, vec!["app/blog".to_owned()]));
    assert!(names(&["all"]).1.contains(&"app/notes.yaml".to_owned()));
    for (args, words) in [
        (&["pods"][..], "there is no resource type \"pods\""),
        (&["app/"], "must have a single resource and name"),
        (&["app/blog", "wiki"], "\"wiki\" has no type"),
        (&["apps", "blog", "-l", "a=b"], "name cannot be provided when a selector is specified"),
        (&["apps,gateways", "--watch"], "single resource type"),
        (&["apps", "--output-watch-events"], "--watch"),
        (&[], "required"),
    ] {
        let said = said(&mut daemon.cli(&[&["get"], args].concat()));
        assert!(said.code == 2 && said.out.is_empty() && said.err.contains(words), "{args:?}: {said:?}");
    }
}

#[test]
fn a_selector_chooses_by_label_and_a_bad_one_is_refused_in_the_words_of_the_daemon() {
    let daemon = daemon();
    daemon.manifest("blog.yaml", &site("blog", "blog.example.org").replace("{name: blog}", "{name: blog, labels: {tier: web}}"));
    let chosen = |selector: &str| get(&daemon, &["-l", selector, "-o", "name"]);
    daemon.eventually(PATIENCE, || match chosen("tier=web") {
        said if said == Said::well("app.lxcproxy.dev/blog\n") => Ok(()),
        said => Err(format!("{said:?}")),
    });
    assert!(!chosen("tier!=web").out.contains("blog"));
    let said = chosen("tier in web");
    assert!(said.code == 1 && said.err.starts_with("Error from server (BadRequest): "), "{said:?}");
}

#[test]
fn yaml_is_what_json_is() {
    let daemon = daemon();
    for args in [&["blog"][..], &[]] {
        let yaml: Value = serde_yaml::from_str(&get(&daemon, &[args, &["-o", "yaml"]].concat()).out).unwrap();
        let json: Value = serde_json::from_str(&get(&daemon, &[args, &["-o", "json"]].concat()).out).unwrap();
        assert_eq!(yaml, json);
    }
    assert!(get(&daemon, &["blog", "-o", "yaml"]).out.starts_with("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata:\n  name: blog\n"));
}

#[test]
fn colours_are_for_those_who_want_them() {
    let daemon = daemon();
    let coloured = |name: &str, value: &str| {
        let mut command = daemon.cli(&["get", "apps"]);
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        said(command.env(name, value)).out.contains('\u{1b}')
    };
    assert!(!coloured("TERM", "xterm"), "a pipe is no terminal");
    assert!(coloured("CLICOLOR_FORCE", "1"));
    let mut both = daemon.cli(&["get", "apps"]);
    assert!(!said(both.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")).out.contains('\u{1b}'));
    // A terminal, made by script(1).
    let program = format!("{LXCPROXY} get apps --admin {}", daemon.admin().display());
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &program, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CLICOLOR");
    let shown = said(terminal.stdin(std::process::Stdio::null())).out;
    assert!(shown.contains("\u{1b}[32mTrue\u{1b}[0m") && shown.contains("\u{1b}[31mFalse\u{1b}[0m"), "{shown:?}");
}

#[test]
fn nothing_to_show_is_said_and_is_no_error() {
    let daemon = Daemon::builder().start();
    assert_eq!(get(&daemon, &[]), Said { code: 0, out: String::new(), err: "No resources found\n".to_owned() });
    assert_eq!(get(&daemon, &["-o", "name"]), Said::well(""));
}

#[test]
fn without_a_daemon_it_says_what_is_missing() {
    let dir = crate::support::scratch();
    let commands = [
        &["get", "apps"][..],
        &["get", "apps", "--watch"],
        &["describe", "apps"],
        &["events"],
        &["wait", "app/blog", "--for=condition=Ready"],
    ];
    for args in commands {
        let said = lxcproxy_in(dir.path(), &[args, &["--admin", "admin.sock"]].concat());
        let line = "error: no daemon answers on admin.sock: No such file or directory (os error 2); is `lxcproxy run` running?\n";
        assert_eq!(said, Said::failed(1, line));
    }
}

#[test]
fn the_socket_is_not_for_everybody_and_the_line_says_so() {
    needs!(root);
    let daemon = daemon();
    fs::set_permissions(daemon.scratch(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where the program was built may be nobody's business.
    let program = daemon.scratch().join("lxcproxy");
    copy_program(&program);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(program)
        .args(["get", "apps", "--admin"])
        .arg(daemon.admin());
    let line = format!(
        "error: the daemon's socket {} is not for you: Permission denied (os error 13); ask as root, or as the daemon's user or group\n",
        daemon.admin().display()
    );
    assert_eq!(said(&mut command), Said::failed(1, &line));
}
