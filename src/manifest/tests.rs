//! The pipeline as a whole: samples, fixtures, drift of the schemas, bytes of any kind.
#![allow(clippy::disallowed_methods, reason = "fixtures and schemas are files of this repository")]

use std::sync::Arc;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::api::v1::{ByteSize, Duration, FilterType, PathMatchType, Runtime};

const TTRSS: &str = "\
# yaml-language-server: $schema=../schemas/app.v1.json
apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: ttrss}
spec:
  container: ttrss                        # short for {name: ttrss, runtime: Auto}
  hostnames: [home.example.org]
  backends:
  - name: php
    fastcgi: {unix: /run/php/php8.2-fpm.sock, root: /var/www}   # both paths as the CONTAINER sees them
  rules:
  - matches: [{path: {type: PathPrefix, value: /ttrss}}]
    files:
      root: /var/www                      # file = root + request path (nginx `root`)
      index: [index.php]
      scripts: [{extension: .php, backend: php}]
";
const SEAFILE: &str = "\
apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: seafile}
spec:
  container: seafile
  hostnames: [home.example.org]
  backends:
  - name: seahub
    fastcgi: {tcp: \"192.168.122.21:8000\", params: [{name: PATH_INFO, value: \"{path}\"}]}
  - name: seafhttp
    http: {tcp: \"192.168.122.21:8082\"}
  rules:
  - matches: [{path: {value: /seafile}}]
    backendRefs: [{name: seahub}]
  - matches: [{path: {value: /seafhttp}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
    limits: {requestBody: Unlimited}      # client_max_body_size 0
    backendRefs: [{name: seafhttp}]
  - matches: [{path: {value: /seafmedia}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /media}}}]
    files: {root: /home/seafile/base/seafile-server-latest/seahub}
";
const GITLAB: &str = "\
apiVersion: lxcproxy.dev/v1
kind: App
metadata: {name: gitlab}
spec:
  container: gitlab
  hostnames: [home.example.org]
  backends:
  - name: web
    http: {unix: /home/git/gitlab/tmp/sockets/gitlab.socket}
  rules:
  - matches: [{path: {value: /gitlab}}]
    files:
      root: /home/git/gitlab/public
      try: [\"{path}\", \"{path}/index.html\", \"{path}.html\"]
    backendRefs: [{name: web}]            # nothing on disk: the application answers
    timeouts: {backendConnect: 300s, backendRead: 300s}
";
const GATEWAY: &str = "\
apiVersion: lxcproxy.dev/v1
kind: Gateway
metadata: {name: edge}
spec:
  listeners:
  - {name: web, port: 80, protocol: HTTP}
  - {name: admin, address: 127.0.0.1, port: 8080, protocol: HTTP, hostname: \"*.example.org\"}
";

/// The objects of a text without errors.
fn objects(text: &str) -> Vec<Object> {
    let parsed = parse("a.yaml", text.as_bytes());
    assert_eq!(parsed.errors().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    parsed.documents.into_iter().map(|document| document.result.unwrap()).collect()
}

fn app(text: &str) -> App {
    match objects(text).remove(0) {
        Object::App(app) => Arc::unwrap_or_clone(app),
        Object::Gateway(gateway) => panic!("{gateway:?}"),
    }
}

/// Every error as it is shown.
fn lines(file: &str, text: &[u8]) -> String {
    parse(file, text).errors().fold(String::new(), |mut all, error| {
        writeln!(all, "{error}").unwrap();
        all
    })
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_first_sample_application_means_what_it_says() {
    let spec = app(TTRSS).spec;
    let container = spec.container.clone().unwrap();
    assert_eq!((container.name.unwrap().as_str(), container.runtime, container.rootfs), ("ttrss", Runtime::Auto, None));
    assert_eq!(spec.hostnames[0].to_string(), "home.example.org");
    let php = spec.backends[0].fastcgi.as_ref().unwrap();
    assert_eq!((php.unix.as_ref().unwrap().as_str(), php.root.as_ref().unwrap().as_str()), ("/run/php/php8.2-fpm.sock", "/var/www"));
    assert_eq!(php.keep_connections, 0);
    let rule = &spec.rules[0];
    assert_eq!((rule.matches[0].path.type_, rule.matches[0].path.value.as_str()), (PathMatchType::PathPrefix, "/ttrss"));
    let files = rule.files.as_ref().unwrap();
    assert_eq!((files.index.as_slice(), files.try_.as_slice()), (&["index.php".to_owned()][..], &["{path}".to_owned()][..]));
    assert_eq!((files.scripts[0].extension.as_str(), files.scripts[0].backend.as_str()), (".php", "php"));
    assert_eq!(rule.limits.request_body, ByteSize::Bytes(1 << 20));
}

#[test]
fn the_second_sample_application_means_what_it_says() {
    let spec = app(SEAFILE).spec;
    let seahub = spec.backends[0].fastcgi.as_ref().unwrap();
    assert_eq!((seahub.tcp.as_deref(), seahub.params[0].value.as_str()), (Some("192.168.122.21:8000"), "{path}"));
    assert_eq!(spec.backends[1].http.as_ref().unwrap().host, "Preserve");
    assert_eq!(spec.rules[1].filters[0].type_, FilterType::UrlRewrite);
    let path = |rule: usize| spec.rules[rule].filters[0].url_rewrite.as_ref().unwrap().path.as_ref().unwrap();
    assert_eq!((path(1).replace_prefix_match.as_deref(), path(2).replace_prefix_match.as_deref()), (Some("/"), Some("/media")));
    assert_eq!(spec.rules[1].limits.request_body, ByteSize::Unlimited);
    assert_eq!((spec.rules[0].backend_refs[0].name.as_str(), spec.rules[0].backend_refs[0].weight), ("seahub", 1));
    assert!(spec.rules[2].backend_refs.is_empty() && spec.rules[2].files.is_some());
}

#[test]
fn the_third_sample_application_means_what_it_says() {
    let spec = app(GITLAB).spec;
    assert_eq!(spec.rules[0].files.as_ref().unwrap().try_, ["{path}", "{path}/index.html", "{path}.html"]);
    let timeouts = spec.rules[0].timeouts;
    let five_minutes = Duration::from_secs(300);
    assert_eq!((timeouts.backend_connect, timeouts.backend_read, timeouts.request), (five_minutes, five_minutes, Duration::ZERO));
}

#[test]
fn several_documents_of_a_file_stand_alone() {
    let text = format!("{TTRSS}---\n---\n{}---\n{GATEWAY}", SEAFILE.replace("rules:", "rulse:"));
    let parsed = parse("all.yaml", text.as_bytes());
    let told: Vec<_> = parsed.documents.iter().map(|it| (it.kind, it.name.as_deref(), it.line, it.result.is_ok())).collect();
    let (app, gateway) = (Some(Kind::App), Some(Kind::Gateway));
    assert_eq!(told, [(app, Some("ttrss"), 2, true), (app, Some("seafile"), 19, false), (gateway, Some("edge"), 41, true)]);
    assert!(parsed.errors.is_empty());
}

#[test]
fn a_file_of_comments_holds_nothing_and_that_is_no_error() {
    for text in ["# nothing yet\n", "---\n", "---\n# a\n---\n~\n"] {
        assert_eq!(parse("a.yaml", text.as_bytes()), Parsed { documents: Vec::new(), errors: Vec::new() }, "{text:?}");
    }
}

#[test]
fn json_is_read_as_well_and_status_is_ignored() {
    let mut value = serde_json::to_value(app(TTRSS)).unwrap();
    value["status"] = serde_json::json!({"conditions": [{"type": "Ready"}]});
    assert_eq!(app(&serde_json::to_string_pretty(&value).unwrap()).spec, app(TTRSS).spec);
}

#[test]
fn what_is_written_back_is_read_again() {
    for text in [TTRSS, SEAFILE, GITLAB] {
        let once = app(text);
        assert_eq!(app(&serde_json::to_string(&once).unwrap()), once);
    }
}

#[test]
fn what_is_not_done_yet_is_told_apart_from_what_is_wrong() {
    let parsed = parse("a.yaml", SEAFILE.replace("http: {", "http: {tls: {serverName: a.org}, ").as_bytes());
    assert_eq!(
        parsed.errors().map(|error| (error.unsupported, error.field.as_str())).collect::<Vec<_>>(),
        [(true, "spec.backends[1].http.tls")]
    );
}

#[test]
fn the_list_of_errors_is_bounded() {
    let fields: String = (0..500).fold(String::new(), |all, n| format!("{all}field{n}: 1\n"));
    let text = format!("{TTRSS}{fields}");
    let errors: Vec<_> = parse("a.yaml", text.as_bytes()).errors().map(|error| error.message.clone()).collect();
    assert_eq!((errors.len(), errors[100].as_str()), (101, "400 more errors are not shown"));
    let huge = format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {}}}\nspec: {{rules: [{{}}]}}\n", "x".repeat(100_000));
    assert!(lines("a.yaml", huge.as_bytes()).len() < 1000);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let errors = lines("a.yaml", &vec![b'#'; (1 << 20) + 1]);
    assert_eq!(errors, "a.yaml:1:1: the file has 1048577 bytes; at most 1048576 are read; split it into several files\n");
    let many = format!("a: [{}]\n", "1,".repeat(20_000));
    assert_eq!(lines("a.yaml", many.as_bytes()), "a.yaml:1:39999: the file holds more than 20000 values; split it into several files\n");
}

/// With `LXCPROXY_WRITE_FIXTURES=1` the `.errors` are written anew, to be read before they are committed.
#[test]
fn every_invalid_fixture_fails_with_the_words_beside_it() {
    let write = std::env::var_os("LXCPROXY_WRITE_FIXTURES").is_some();
    let paths = std::fs::read_dir(repository("tests/fixtures/invalid")).unwrap().map(|entry| entry.unwrap().path());
    let manifests: BTreeSet<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    assert!(manifests.len() >= 105, "{} fixtures", manifests.len());
    for path in manifests {
        let file = path.file_name().unwrap().to_str().unwrap();
        let found = lines(file, &std::fs::read(&path).unwrap());
        assert!(!found.is_empty(), "{file} has no error");
        let beside = path.with_extension("errors");
        if write {
            std::fs::write(&beside, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&beside).unwrap_or_default(), "{file}");
    }
}

#[test]
fn every_error_of_the_fixtures_has_a_place_a_field_and_a_cure() {
    for path in std::fs::read_dir(repository("tests/fixtures/invalid")).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let parsed = parse(path.file_name().unwrap().to_str().unwrap(), &bytes);
        for error in parsed.errors() {
            assert!(error.line >= 1 && error.column >= 1, "{error}");
            let of_the_whole = ["missing field `", "expected an object with `", "30 more errors"];
            let of_the_whole = parsed.errors.contains(error) || of_the_whole.iter().any(|start| error.message.starts_with(start));
            assert!(!error.field.is_empty() || of_the_whole, "no field: {error}");
            assert!(error.hint.is_some() || error.message.contains("expected "), "no cure: {error}");
            let excerpt = error.excerpt.as_ref().unwrap_or_else(|| panic!("no line: {error}"));
            let length = excerpt.text.chars().count() as u64;
            assert!(excerpt.width >= 1 && excerpt.start + excerpt.width <= length + 1 && length <= 170, "{error}: {excerpt:?}");
        }
    }
}

/// What is marked of the line, for each error.
fn marked(text: &str) -> Vec<String> {
    let part = |error: &Error| {
        let excerpt = error.excerpt.as_ref().unwrap();
        let (start, width) = (usize::try_from(excerpt.start).unwrap(), usize::try_from(excerpt.width).unwrap());
        excerpt.text.chars().skip(start).take(width).collect()
    };
    parse("a.yaml", text.as_bytes()).errors().map(part).collect()
}

#[test]
fn the_key_or_the_value_is_marked() {
    let text = TTRSS
        .replace("hostnames: [home.example.org]", "hostname: [home.example.org]  # x")
        .replace("type: PathPrefix", "type: 'Prefix, x'")
        .replace("index: [index.php]", "index: \"ü\"   # y")
        .replace("scripts: [{extension: .php, backend: php}]", "scripts:\n      - extension: .php   # z");
    assert_eq!(marked(&text), ["hostname", "'Prefix, x'", "\"ü\"", "extension: .php"]);
    assert_eq!(marked("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {}  # none\nspec:\n"), ["{}", ":"]);
    assert_eq!(marked("a: [b\n"), ["[b"]);
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_types() {
    for (kind, name) in [(Kind::App, "app"), (Kind::Gateway, "gateway")] {
        let generated = format!("{}\n", serde_json::to_string_pretty(&schema(kind)).unwrap());
        let committed = std::fs::read_to_string(repository(&format!("schemas/{name}.v1.json"))).unwrap_or_default();
        assert!(generated == committed, "regenerate it: lxcproxy schema {name} > schemas/{name}.v1.json");
    }
}

#[test]
fn every_field_of_the_schemas_is_described() {
    fn undescribed(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        let Some(fields) = schema.as_object() else { return };
        for (name, field) in fields.get("properties").and_then(|known| known.as_object()).into_iter().flatten() {
            if field.get("description").is_none() {
                found.push(format!("{path}.{name}"));
            }
        }
        for (key, inner) in fields {
            undescribed(inner, &format!("{path}/{key}"), found);
        }
    }
    let mut found = Vec::new();
    undescribed(&schema(Kind::App), "App", &mut found);
    undescribed(&schema(Kind::Gateway), "Gateway", &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_deepest_manifest_fits_into_a_small_stack() {
    let deep = format!("a: {}{}", "[".repeat(31), "]".repeat(31));
    let parse_it = move || parse("a.yaml", deep.as_bytes()).documents.len();
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(parse_it).unwrap();
    assert_eq!(thread.join().unwrap(), 1);
}

/// Whatever comes in, what goes out is bounded, placed inside the text, and never the words of a failed invariant.
fn holds_for(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parsed = parse("a.yaml", bytes);
    let last_line = bytes.split(|byte| *byte == b'\n').count() as u64 + 1;
    for error in parsed.errors() {
        prop_assert!(error.line >= 1 && error.column >= 1 && error.line <= last_line, "{error}");
        prop_assert!(!error.message.starts_with("can't be read"), "the schema and the types differ: {error}");
        let text = error.to_string();
        prop_assert!(text.len() < 8192 && !text.chars().any(char::is_control), "{text}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        holds_for(&bytes)?;
    }

    #[test]
    fn characters_of_yaml_never_panic(text in "[a-z0-9:{}\\[\\],&*!|>'\"%@`#? \n\t-]{0,120}") {
        holds_for(text.as_bytes())?;
    }

    #[test]
    fn a_mutated_manifest_never_panics(
        at in any::<prop::sample::Index>(),
        length in 0..12_usize,
        with in prop_oneof![
            Just(""), Just("~"), Just("0"), Just("-1"), Just("1e99"), Just("99999999999999999999"), Just("[]"), Just("{}"), Just("\n"),
            Just("[[]]"), Just("\"\""), Just("true"), Just(": "), Just("- "), Just("ä"), Just("80.0"), Just("{a: b}"), Just(".inf"),
        ],
    ) {
        for text in [TTRSS, SEAFILE, GITLAB, GATEWAY] {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            holds_for(&[&text.as_bytes()[..start], with.as_bytes(), &text.as_bytes()[end..]].concat())?;
        }
    }

    #[test]
    fn a_value_that_is_replaced_never_panics(at in any::<prop::sample::Index>(), with in 0..9_usize) {
        let words = ["~", "5", "-3", "4294967296", "18446744073709551616", "[]", "{}", "x", "[{name: a}]"];
        for text in [TTRSS, SEAFILE, GITLAB, GATEWAY] {
            let values: Vec<_> = text.match_indices(": ").map(|(start, _)| start + 2).collect();
            let start = values[at.index(values.len())];
            let end = text[start..].find([',', '}', ']', '\n']).map_or(text.len(), |length| start + length);
            holds_for(format!("{}{}{}", &text[..start], words[with], &text[end..]).as_bytes())?;
        }
    }
}
