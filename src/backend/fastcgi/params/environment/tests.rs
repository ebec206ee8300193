//! What an application is told, read back from the bytes that are sent.

use super::super::read_back;
use super::*;

fn settings(root: Option<&str>, params: &[(&str, &str)]) -> FastcgiSettings {
    FastcgiSettings {
        root: root.map(|root| root.parse().unwrap()),
        index: Some("index.php".into()),
        params: params.iter().map(|(name, value)| ((*name).into(), Template::parse(value).unwrap())).collect(),
        stderr: std::sync::Arc::default(),
    }
}

fn request<'a>(headers: &'a HeaderMap, path: &'a str) -> Request<'a> {
    Request {
        method: &Method::GET,
        uri: "/raw?q=1",
        version: Version::HTTP_11,
        headers,
        path,
        query: Some("q=1"),
        script: None,
        files_root: None,
        scheme: "http",
        host: "home.example.org",
        client: "192.0.2.1:4711".parse().unwrap(),
        server: "[::1]:8080".parse().unwrap(),
        user: None,
        request_id: "r1",
    }
}

/// The variables, each name once.
fn seen(settings: &FastcgiSettings, request: &Request<'_>, length: Option<u64>) -> std::collections::BTreeMap<String, String> {
    let pairs = read_back(&encode(settings, request, length, false));
    let count = pairs.len();
    let map: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
    assert_eq!(map.len(), count, "a name came twice");
    map
}

#[test]
fn a_script_has_the_variables_of_nginx_with_paths_of_the_container() {
    let headers = HeaderMap::new();
    let script = Some(Script { name: "/ttrss/index.php", path_info: "" });
    let request = Request { script, ..request(&headers, "/ttrss/") };
    let seen = seen(&settings(Some("/var/www"), &[]), &request, None);
    for (name, value) in [
        ("QUERY_STRING", "q=1"),
        ("REQUEST_METHOD", "GET"),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("SCRIPT_NAME", "/ttrss/index.php"),
        ("SCRIPT_FILENAME", "/var/www/ttrss/index.php"),
        ("REQUEST_URI", "/raw?q=1"),
        ("DOCUMENT_URI", "/ttrss/index.php"),
        ("DOCUMENT_ROOT", "/var/www"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "http"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "4711"),
        ("REMOTE_USER", ""),
        ("SERVER_ADDR", "::1"),
        ("SERVER_PORT", "8080"),
        ("SERVER_NAME", "home.example.org"),
        ("REDIRECT_STATUS", "200"),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(seen["SERVER_SOFTWARE"].starts_with("lxcproxy/"));
    for absent in ["HTTPS", "PATH_INFO", "PATH_TRANSLATED"] {
        assert!(!seen.contains_key(absent), "{absent}");
    }
}

#[test]
fn what_follows_a_script_is_path_info() {
    let headers = HeaderMap::new();
    let script = Some(Script { name: "/x.php", path_info: "/a b" });
    let request = Request { script, files_root: Some("/srv"), scheme: "https", ..request(&headers, "/x.php/a%20b") };
    let seen = seen(&settings(None, &[]), &request, Some(0));
    for (name, value) in [
        ("SCRIPT_FILENAME", "/srv/x.php"),
        ("PATH_INFO", "/a b"),
        ("PATH_TRANSLATED", "/srv/a b"),
        ("DOCUMENT_URI", "/x.php/a b"),
        ("CONTENT_LENGTH", "0"),
        ("HTTPS", "on"),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn a_backend_for_every_path_gets_it_decoded_but_never_with_more_segments() {
    let headers = HeaderMap::new();
    let seafile = settings(None, &[("PATH_INFO", "{path}")]);
    let seen_at = |path| seen(&seafile, &request(&headers, path), None);
    let seen = seen_at("/seafile/a%20b");
    assert_eq!((&*seen["PATH_INFO"], &*seen["SCRIPT_NAME"]), ("/seafile/a b", ""));
    assert!(!seen.contains_key("SCRIPT_FILENAME"), "without a root no file of the container is a script");
    assert_eq!(seen_at("/seafile/..%2F..%2fx%5c%41")["PATH_INFO"], "/seafile/..%2F..%2fx%5cA");
}

#[test]
fn a_path_that_ends_in_a_slash_gets_the_index() {
    let headers = HeaderMap::new();
    let settings = settings(Some("/"), &[]);
    let at = |path| seen(&settings, &request(&headers, path), None);
    assert_eq!(at("/a/")["SCRIPT_FILENAME"], "/a/index.php");
    assert_eq!(at("/a/")["SCRIPT_NAME"], "/a/index.php");
    assert_eq!(at("/a/")["DOCUMENT_ROOT"], "/");
    assert_eq!(at("/a/x.php")["SCRIPT_FILENAME"], "/a/x.php");
    assert!(!at("/a\\x.php").contains_key("SCRIPT_FILENAME"));
}

#[test]
fn only_header_names_that_stay_unique_pass() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-one", "1"),
        ("x-one", "2"),
        ("x_one", "forged"),
        ("x.one", "forged"),
        ("proxy", "evil"),
        ("content-type", "text/plain"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    let seen = seen(&settings(None, &[]), &request(&headers, "/"), Some(3));
    let http: Vec<_> = seen.iter().filter(|(name, _)| name.starts_with("HTTP_")).collect();
    assert_eq!(http, [(&"HTTP_COOKIE".to_owned(), &"a=1; b=2".to_owned()), (&"HTTP_X_ONE".to_owned(), &"1, 2".to_owned())]);
    assert_eq!((&*seen["CONTENT_TYPE"], &*seen["CONTENT_LENGTH"]), ("text/plain", "3"));
}

#[test]
fn params_set_and_replace_and_the_last_one_counts() {
    let mut headers = HeaderMap::new();
    headers.insert("x-a", "client".parse().unwrap());
    let settings = settings(
        Some("/var/www"),
        &[
            ("SERVER_NAME", "fixed"),
            ("EXTRA", "first"),
            ("EXTRA", "{scheme}://{host}{path}?{query} {client_ip} {request_id}"),
            ("HTTP_X_A", "ours"),
            ("CONTENT_LENGTH", "99"),
            ("TWO_LINES", "a\nb"),
        ],
    );
    let seen = seen(&settings, &request(&headers, "/p%C3%A4"), Some(7));
    assert_eq!(seen["SERVER_NAME"], "fixed");
    assert_eq!(seen["EXTRA"], "http://home.example.org/pä?q=1 192.0.2.1 r1");
    assert_eq!(seen["HTTP_X_A"], "ours");
    assert_eq!(seen["CONTENT_LENGTH"], "7");
    assert!(!seen.contains_key("TWO_LINES"));
}

proptest::proptest! {
    #[test]
    fn decoding_never_panics_and_never_makes_a_segment(path in "/[ -~]{0,40}") {
        let slashes = |bytes: &[u8]| bytes.split(|byte| *byte == b'/').count();
        proptest::prop_assert_eq!(slashes(&decode(&path)), slashes(path.as_bytes()));
    }
}
