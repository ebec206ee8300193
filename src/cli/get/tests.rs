//! Hand-made objects, and what each form shows of them.

use serde_json::json;

use super::*;

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message,
           "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn apps() -> Vec<Value> {
    let good = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "App",
        "metadata": {"name": "ttrss", "generation": 2},
        "spec": {"container": "ttrss", "hostnames": ["home.example.org", "*.example.net"], "rules": [{}]},
        "status": {"file": "ttrss.yaml", "servedGeneration": 2, "conditions": [condition("Ready", "True", "Ready", "")]}
    });
    let why = "broken.yaml:3:7: spec.rule: unknown field; did you mean `rules`?\nbroken.yaml:9:1: more";
    let bad = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "App",
        "metadata": {"name": "broken.yaml"},
        "status": {"file": "broken.yaml", "conditions": [
            condition("Accepted", "False", "Invalid", why),
            condition("Programmed", "False", "Invalid", "nothing is served"),
            condition("Ready", "False", "Invalid", "see Accepted")
        ]}
    });
    vec![good, bad]
}

fn gateway() -> Value {
    let listener = |name: &str, address: &str, apps: u64, programmed: &Value| {
        json!({"name": name, "address": address, "attachedApps": apps,
               "conditions": [condition("Accepted", "True", "Accepted", ""), programmed]})
    };
    json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "Gateway",
        "metadata": {"name": "public", "generation": 1},
        "spec": {"listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        "status": {"file": "gw.yaml", "servedGeneration": 1, "conditions": [
            condition("Accepted", "True", "Accepted", ""),
            condition("Programmed", "True", "Programmed", ""),
            condition("Ready", "False", "PortUnavailable", "Programmed: listener alt")
        ], "listeners": [
            listener("http", "0.0.0.0:80", 3, &condition("Programmed", "True", "Programmed", "")),
            listener("alt", "0.0.0.0:8081", 0, &condition("Programmed", "False", "PortUnavailable", "address in use"))
        ]}
    })
}

fn source() -> Value {
    json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "Source",
        "metadata": {"name": "manifests", "generation": 1},
        "spec": {"path": "/etc/lxcproxy.d"},
        "status": {"revision": "4d9c", "files": 3, "unread": {"sub": "permission denied"}, "conditions": [
            condition("Ready", "True", "Ready", ""), condition("Watching", "True", "Watching", "")
        ]}
    })
}

fn text(output: Option<Output>, lists: &[(Kind, Vec<Value>)]) -> String {
    let coloured = Printer::new(output, true, false).lists(lists, "7", false).unwrap();
    anstream::adapter::strip_str(&coloured).to_string()
}

fn words(table: &str) -> Vec<Vec<String>> {
    let words = |line: &str| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    table.lines().map(words).collect()
}

#[test]
fn an_app_that_is_not_ready_says_why_in_its_line() {
    let expected = "\
NAME          READY   REASON    GENERATION   AGE         MESSAGE
ttrss         True    Ready     2            <unknown>
broken.yaml   False   Invalid   0            <unknown>   broken.yaml:3:7: spec.rule: unknown field; did you mean `rules`?
";
    assert_eq!(text(None, &[(Kind::App, apps())]), expected);
    let bare = Printer::new(None, false, false).lists(&[(Kind::App, apps())], "", false).unwrap();
    assert_eq!(bare.lines().count(), 2);
    assert_eq!(text(None, &[(Kind::App, Vec::new())]), "");
}

#[test]
fn what_is_ready_is_green_and_what_is_not_is_red() {
    let table = Printer::new(None, true, false).lists(&[(Kind::App, apps())], "", false).unwrap();
    assert!(table.contains("\u{1b}[32mTrue\u{1b}[0m    Ready") && table.contains("\u{1b}[31mFalse\u{1b}[0m   Invalid"), "{table:?}");
}

#[test]
fn an_app_that_is_ready_says_what_an_older_one_answers_for_it() {
    let mut app = apps().remove(0);
    let conflict = condition("Conflicted", "True", "Conflicted", "spec.rules[0] has a match of the older App `x`");
    app["status"]["conditions"].as_array_mut().unwrap().push(conflict);
    assert!(text(None, &[(Kind::App, vec![app])]).ends_with("   spec.rules[0] has a match of the older App `x`\n"));
}

#[test]
fn the_wide_table_tells_where_an_app_comes_from() {
    let lines = words(&text(Some(Output::Wide), &[(Kind::App, apps())]));
    assert_eq!(lines[0][5..], ["SERVED", "CONTAINER", "HOSTNAMES", "FILE", "MESSAGE"]);
    assert_eq!(lines[1][5..], ["2", "ttrss", "home.example.org,*.example.net", "ttrss.yaml"]);
    assert_eq!(lines[2][5..9], ["<none>", "<none>", "<none>", "broken.yaml"]);
}

#[test]
fn a_gateway_shows_each_listener_and_what_is_in_the_way_of_one() {
    let lines = words(&text(None, &[(Kind::Gateway, vec![gateway()])]));
    assert_eq!(lines[0], ["NAME", "READY", "REASON", "ADDRESSES", "APPS", "GENERATION", "AGE", "MESSAGE"]);
    let message = "listener alt: address in use";
    assert_eq!(lines[1], ["public", "False", "PortUnavailable", "0.0.0.0:80,0.0.0.0:8081", "3,0", "1", "<unknown>", message]);
    let wide = words(&text(Some(Output::Wide), &[(Kind::Gateway, vec![gateway()])]));
    assert_eq!(wide[0][7..10], ["SERVED", "LISTENERS", "FILE"]);
    assert_eq!(wide[1][7..10], ["1", "http=Programmed,alt=PortUnavailable", "gw.yaml"]);
}

#[test]
fn a_source_shows_whether_it_is_watched_and_what_was_read() {
    let lines = words(&text(None, &[(Kind::Source, vec![source()])]));
    assert_eq!(lines[0], ["NAME", "READY", "WATCHING", "FILES", "REVISION", "LAST CHANGE", "PATH", "MESSAGE"]);
    assert_eq!(lines[1], ["manifests", "True", "True", "3", "4d9c", "<unknown>", "/etc/lxcproxy.d", "sub: permission denied"]);
    let mut polled = source();
    polled["status"]["conditions"][1] = condition("Watching", "False", "Polling", "no inotify watch is left");
    assert!(text(None, &[(Kind::Source, vec![polled])]).ends_with("   no inotify watch is left\n"));
}

#[test]
fn a_backend_has_a_line_for_each_endpoint() {
    let backend = json!({
        "apiVersion": "lxcproxy.dev/v1", "kind": "Backend", "metadata": {"name": "blog.web", "generation": 1},
        "spec": {"app": "blog", "backend": "web", "protocol": "HTTP", "loadBalancer": "LeastRequest"},
        "status": {"readyEndpoints": 1, "endpoints": [
            {"name": "/run/a.sock", "state": "Ready", "inFlight": 2, "consecutiveErrors": 1},
            {"name": "port 80", "state": "Unhealthy", "inFlight": 0, "consecutiveErrors": 0,
             "lastCheck": {"passed": false, "message": "status 503", "time": "2026-01-01T00:00:00Z"}},
            {"name": "/run/c.sock", "state": "Ejected", "inFlight": 0, "consecutiveErrors": 0, "ejectedUntil": "2001-01-01T00:00:00Z"}
        ]}
    });
    let expected = "\
NAME       PROTOCOL   ENDPOINT      STATE       IN-FLIGHT   ERRORS
blog.web   HTTP       /run/a.sock   Ready       2           1
blog.web   HTTP       port 80       Unhealthy   0           0
blog.web   HTTP       /run/c.sock   Ejected     0           0
";
    assert_eq!(text(None, &[(Kind::Backend, vec![backend.clone()])]), expected);
    let lines = words(&text(Some(Output::Wide), &[(Kind::Backend, vec![backend.clone()])]));
    assert_eq!(lines[0][6..], ["BALANCING", "EJECTED FOR", "LAST CHECK", "CHECKED"]);
    assert_eq!(
        (&lines[1][6..], &lines[2][6..9]),
        (&["LeastRequest", "-", "-", "-"].map(str::to_owned)[..], &["LeastRequest", "-", "status 503"].map(str::to_owned)[..])
    );
    assert_eq!(lines[3][7], "0s");
    assert_eq!(text(Some(Output::Name), &[(Kind::Backend, vec![backend])]), "backend.lxcproxy.dev/blog.web\n");
}

#[test]
fn several_kinds_are_several_tables_whose_names_say_the_kind() {
    let lists = [(Kind::App, apps()), (Kind::Gateway, Vec::new()), (Kind::Source, vec![source()])];
    let table = text(None, &lists);
    let tables: Vec<_> = table.split("\n\n").map(words).collect();
    assert_eq!((tables.len(), tables[0][1][0].as_str()), (2, "app.lxcproxy.dev/ttrss"));
    assert_eq!(tables[1][1][0], "source.lxcproxy.dev/manifests");
    assert_eq!(text(Some(Output::Name), &lists[1..]), "source.lxcproxy.dev/manifests\n");
    let list: Value = serde_json::from_str(&text(Some(Output::Json), &lists)).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&"List".into(), 3));
}

#[test]
fn a_name_that_two_manifests_want_is_named_once() {
    let mut apps = apps();
    apps.insert(1, apps[0].clone());
    assert_eq!(text(Some(Output::Name), &[(Kind::App, apps)]), "app.lxcproxy.dev/ttrss\napp.lxcproxy.dev/broken.yaml\n");
}

#[test]
fn yaml_and_json_are_the_same_object() {
    let lists = [(Kind::App, apps())];
    let from_yaml: Value = serde_yaml::from_str(&text(Some(Output::Yaml), &lists)).unwrap();
    let from_json: Value = serde_json::from_str(&text(Some(Output::Json), &lists)).unwrap();
    assert_eq!(from_yaml, from_json);
    assert_eq!((&from_json["kind"], &from_json["metadata"]["resourceVersion"]), (&"AppList".into(), &"7".into()));
    let one = Printer::new(Some(Output::Yaml), true, false).lists(&[(Kind::Source, vec![source()])], "7", true).unwrap();
    assert!(one.starts_with("apiVersion: lxcproxy.dev/v1\nkind: Source\n"), "{one}");
}

#[test]
fn no_form_lets_a_control_character_through() {
    let mut app = apps().remove(0);
    app["metadata"]["name"] = "a\u{9b}2Jb\u{7f}\u{1b}c".into();
    app["status"]["file"] = "a\u{9b}\nb".into();
    for output in [None, Some(Output::Wide), Some(Output::Name), Some(Output::Json), Some(Output::Yaml)] {
        let shown = text(output, &[(Kind::App, vec![app.clone()])]);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{output:?}: {shown:?}");
    }
}

#[test]
fn changes_are_lines_under_one_header_or_whole_objects() {
    let changes = [Change::Added(apps().remove(0)), Change::Deleted(apps().remove(1))];
    let shown = |output, events| {
        let mut printer = Printer::new(output, true, events);
        let text: String = changes.iter().map(|change| printer.change(Kind::App, change).unwrap()).collect();
        anstream::adapter::strip_str(&text).to_string()
    };
    let table = words(&shown(None, false));
    assert_eq!(table.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["NAME", "ttrss", "broken.yaml"]);
    let table = words(&shown(None, true));
    assert_eq!(table.iter().map(|row| row[..2].join(" ")).collect::<Vec<_>>(), ["EVENT NAME", "ADDED ttrss", "DELETED broken.yaml"]);
    let yaml = shown(Some(Output::Yaml), false);
    let documents: Vec<Value> = yaml.split("---\n").map(|text| serde_yaml::from_str(text).unwrap()).collect();
    assert_eq!(documents, apps());
    let json = shown(Some(Output::Json), true);
    let values: Vec<Value> = serde_json::Deserializer::from_str(&json).into_iter().map(Result::unwrap).collect();
    assert_eq!((&values[0]["type"], &values[1]["object"]["metadata"]["name"]), (&"ADDED".into(), &"broken.yaml".into()));
}
