//! Parts and siblings of files: what a client gets that asks for them.

use std::time::{Duration, SystemTime};

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;

use super::fixture::{Tree, rule};
use super::look_up::walk;
use super::{Found, respond};
use crate::api::v1::{Hidden, Symlinks};
use crate::route::{Coding, Codings, Files, Template};

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn field(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A tree, a rule, and a client that takes some codings.
struct Client<'a> {
    tree: &'a Tree,
    files: &'a Files,
    takes: &'a [Coding],
}

impl Client<'_> {
    fn ask(&self, method: &Method, path: &str, fields: &[(HeaderName, &str)]) -> Answer {
        let codings = Codings::ranked(self.takes, |_| Some(1));
        let Found::File(opened) = walk(self.tree.root.far(), self.files, [path], codings).unwrap() else { panic!("{path} is no file") };
        let headers = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        let (head, body) = respond(opened, self.files, method, &headers).unwrap().into_parts();
        let body =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(body.collect()).unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn get(&self, path: &str, fields: &[(HeaderName, &str)]) -> Answer {
        self.ask(&Method::GET, path, fields)
    }

    /// The coding that is sent, or what else is found.
    fn sent(&self, path: &str) -> &'static str {
        match walk(self.tree.root.far(), self.files, [path], Codings::ranked(self.takes, |_| Some(1))).unwrap() {
            Found::File(opened) => opened.coding.map_or("as it is", Coding::name),
            Found::Script { .. } => "script",
            Found::Directory => "directory",
            Found::Listing(_) => "listing",
            Found::Special => "special",
            Found::Nothing => "nothing",
        }
    }
}

fn sample() -> Tree {
    let tree = Tree::new(&[("www/a.css", "0123456789")]);
    age(&tree, "www/a.css", 784_111_777);
    tree
}

fn age(tree: &Tree, name: &str, seconds: u64) {
    tree.open(name).set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

fn precompressed(codings: &[Coding]) -> Files {
    Files { precompressed: codings.to_vec(), ..rule("/www") }
}

#[test]
fn several_ranges_are_parts_of_one_answer() {
    let (tree, files) = (sample(), rule("/www"));
    let client = Client { tree: &tree, files: &files, takes: &[] };
    let get = |fields: &[(HeaderName, &str)]| client.get("/a.css", fields);
    let answer = get(&[(RANGE, "bytes=0-1,20-,-3")]);
    let boundary = answer.field(CONTENT_TYPE).unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, bytes: &str| {
        format!("\r\n--{boundary}\r\nContent-Type: text/css; charset=utf-8\r\nContent-Range: bytes {range}/10\r\n\r\n{bytes}")
    };
    assert_eq!((answer.status, &answer.body), (206, &format!("{}{}\r\n--{boundary}--\r\n", part("0-1", "01"), part("7-9", "789"))));
    assert_eq!(answer.field(CONTENT_LENGTH), Some(answer.body.len().to_string().as_str()));
    assert_eq!(answer.field(CONTENT_RANGE), None, "it is in the parts (RFC 9110 section 15.3.7.2)");
    assert!(answer.field(ETAG).is_some() && answer.field(LAST_MODIFIED).is_some() && answer.field(VARY).is_none());
    let tag = answer.field(ETAG).unwrap();
    assert_eq!(get(&[(RANGE, "bytes=0-1,4-5"), (IF_RANGE, tag), (IF_MATCH, tag)]).status, 206);
    let stale = get(&[(RANGE, "bytes=0-1,4-5"), (IF_RANGE, "\"old\"")]);
    assert_eq!((stale.status, stale.body.as_str()), (200, "0123456789"));
    let one_left = get(&[(RANGE, "bytes=0-1,20-")]);
    assert_eq!((one_left.status, one_left.body.as_str(), one_left.field(CONTENT_RANGE)), (206, "01", Some("bytes 0-1/10")));
    let head = client.ask(&Method::HEAD, "/a.css", &[(RANGE, "bytes=0-1,4-5")]);
    assert_eq!((head.status, head.field(CONTENT_LENGTH)), (200, Some("10")));
}

#[test]
fn a_sibling_is_sent_with_its_own_tag_length_and_ranges_under_the_name_of_the_file() {
    let (tree, files) = (sample(), precompressed(&ALL));
    tree.write("www/a.css.br", b"sibling");
    let plain = Client { tree: &tree, files: &files, takes: &[] }.get("/a.css", &[]);
    assert_eq!((plain.field(VARY), plain.field(CONTENT_ENCODING), plain.body.len()), (Some("Accept-Encoding"), None, 10));
    let client = Client { tree: &tree, files: &files, takes: &[Coding::Br] };
    let get = |fields: &[(HeaderName, &str)]| client.get("/a.css", fields);
    let whole = get(&[]);
    assert_eq!((whole.status, whole.body.as_str(), whole.field(CONTENT_LENGTH)), (200, "sibling", Some("7")));
    assert_eq!((whole.field(CONTENT_ENCODING), whole.field(CONTENT_TYPE)), (Some("br"), Some("text/css; charset=utf-8")));
    let (tag, date) = (whole.field(ETAG).unwrap(), whole.field(LAST_MODIFIED).unwrap());
    assert!(tag.starts_with('"') && plain.field(ETAG) != Some(tag) && plain.field(LAST_MODIFIED) != Some(date));
    let part = get(&[(RANGE, "bytes=0-1"), (IF_RANGE, tag)]);
    assert_eq!((part.status, part.body.as_str(), part.field(CONTENT_RANGE)), (206, "si", Some("bytes 0-1/7")));
    assert_eq!((part.field(CONTENT_ENCODING), part.field(VARY)), (Some("br"), Some("Accept-Encoding")));
    let other = get(&[(RANGE, "bytes=0-1"), (IF_RANGE, plain.field(ETAG).unwrap())]);
    assert_eq!((other.status, other.body.as_str()), (200, "sibling"), "a part of the one does not fit the other");
    let several = get(&[(RANGE, "bytes=0-1,3-4")]);
    assert_eq!((several.status, several.field(CONTENT_ENCODING)), (206, Some("br")));
    assert!(several.body.contains("Content-Type: text/css") && several.body.contains("bytes 3-4/7"), "{}", several.body);
    let known = get(&[(IF_NONE_MATCH, tag)]);
    assert_eq!((known.status, known.field(VARY), known.field(ETAG)), (304, Some("Accept-Encoding"), Some(tag)));
    assert_eq!(get(&[(IF_NONE_MATCH, plain.field(ETAG).unwrap())]).status, 200);
    let behind = get(&[(RANGE, "bytes=8-")]);
    assert_eq!((behind.status, behind.field(CONTENT_RANGE), behind.field(CONTENT_ENCODING)), (416, Some("bytes */7"), None));
    assert_eq!(behind.field(VARY), Some("Accept-Encoding"));
    let head = client.ask(&Method::HEAD, "/a.css", &[]);
    assert_eq!((head.body.as_str(), &head.headers), ("", &whole.headers));
}

#[test]
fn the_sibling_is_the_first_that_is_there_and_that_the_client_takes() {
    let (tree, files) = (sample(), precompressed(&ALL));
    let sent = |takes: &[Coding]| Client { tree: &tree, files: &files, takes }.sent("/a.css");
    assert_eq!(sent(&ALL), "as it is");
    tree.write("www/a.css.gz", b"1");
    assert_eq!((sent(&ALL), sent(&[Coding::Br]), sent(&[])), ("gzip", "as it is", "as it is"));
    tree.write("www/a.css.br", b"1");
    assert_eq!((sent(&ALL), sent(&[Coding::Gzip, Coding::Br])), ("br", "gzip"));
    tree.write("www/a.css.zst", b"1");
    assert_eq!(sent(&ALL), "zstd");
}

#[test]
fn a_sibling_that_is_older_than_its_file_empty_or_no_file_is_passed_over() {
    let (tree, files) = (sample(), precompressed(&ALL));
    let sent = |name: &str| Client { tree: &tree, files: &files, takes: &ALL }.sent(name);
    tree.write("www/a.css.br", b"1");
    age(&tree, "www/a.css.br", 784_111_776);
    assert_eq!(sent("/a.css"), "as it is", "it is older");
    age(&tree, "www/a.css.br", 784_111_777);
    tree.open("www/a.css").set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_900)).unwrap();
    assert_eq!(sent("/a.css"), "br", "a tool that keeps whole seconds made it");
    tree.write("www/a.css.br", b"");
    assert_eq!(sent("/a.css"), "as it is", "it is empty");
    tree.fifo("www/a.css.zst");
    tree.write("www/a.css.gz/inner", b"1");
    assert_eq!(sent("/a.css"), "as it is");
    let long = "x".repeat(253);
    tree.write(&format!("www/{long}"), b"1");
    assert_eq!(sent(&format!("/{long}")), "as it is", "no name is longer than 255 bytes");
    assert_eq!(sent("/none"), "nothing");
    tree.write("www/none.gz", b"1");
    assert_eq!(sent("/none"), "nothing", "a sibling alone is nobody's");
}

#[test]
fn siblings_are_looked_for_wherever_a_file_is_found() {
    let tree =
        Tree::new(&[("www/dir/index.html", "1"), ("www/dir/index.html.gz", "22"), ("www/page.html", "1"), ("www/page.html.gz", "22")]);
    let candidates = ["{path}", "{path}.html"].map(|text| Template::parse(text).unwrap());
    let files = Files { candidates: candidates.into(), ..precompressed(&ALL) };
    let found = |paths: &[&str]| match walk(tree.root.far(), &files, paths, Codings::ranked(&ALL, |_| Some(1))).unwrap() {
        Found::File(opened) => (opened.coding, opened.size()),
        other => panic!("{paths:?}: {other:?}"),
    };
    assert_eq!(found(&["/dir/"]), (Some(Coding::Gzip), 2));
    assert_eq!(found(&["/page", "/page.html"]), (Some(Coding::Gzip), 2));
    assert_eq!(found(&["/page.html.gz"]), (None, 2), "asked for by its own name it is a file like any other");
}

#[test]
fn a_sibling_obeys_what_the_rule_says_of_links_hidden_names_and_scripts() {
    let tree = Tree::new(&[
        ("www/a.css", "1"),
        ("www/.b.css", "1"),
        ("www/.b.css.gz", "22"),
        ("www/run.php", "1"),
        ("www/run.php.gz", "22"),
        ("www/c.css", "1"),
        ("www/c.css.gz", "22"),
        ("www/d.css", "1"),
        ("store/a.css.gz", "22"),
        ("secret", "22"),
    ]);
    tree.link("/store/a.css.gz", "www/a.css.gz");
    tree.link("/etc/hostname", "www/d.css.br");
    tree.link("../../../../../../etc/hostname", "www/d.css.gz");
    let follow = precompressed(&ALL).with_scripts(&[".php"]);
    let sent = |files: &Files, path: &str| Client { tree: &tree, files, takes: &ALL }.sent(path);
    assert_eq!(sent(&follow, "/a.css"), "gzip", "the link stays in the container");
    assert_eq!(sent(&follow, "/d.css"), "as it is", "these do not");
    for symlinks in [Symlinks::Beneath, Symlinks::Deny] {
        let files = Files { symlinks, ..precompressed(&ALL) };
        assert_eq!((sent(&files, "/a.css"), sent(&files, "/c.css")), ("as it is", "gzip"), "{symlinks:?}");
    }
    assert_eq!(sent(&follow, "/.b.css"), "nothing");
    assert_eq!(sent(&Files { hidden: Hidden::Allow, ..precompressed(&ALL) }, "/.b.css"), "gzip");
    assert_eq!((sent(&follow, "/run.php"), sent(&follow, "/run.php.gz"), sent(&follow, "/c.css.gz")), ("script", "nothing", "as it is"));
    let odd = precompressed(&ALL).with_scripts(&[".gz"]);
    assert_eq!((sent(&odd, "/c.css"), sent(&odd, "/c.css.gz")), ("as it is", "script"), "a sibling that is a script");
}
