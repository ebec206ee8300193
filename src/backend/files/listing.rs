//! A directory -> an answer that shows what is in it.
//!
//! In: a directory beneath a rule's root, the form that the client likes. Out: 200 with names, sizes and times. Never: a name that a request
//! for it would not find; a link that is followed otherwise than the rule says; a directory read, or a page written,
//! on the thread that serves; more than [`LIMIT`].

mod page;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::conditional::{Validators, Verdict, evaluate};
use super::docroot::absent;
use super::look_up::{PATIENCE, not_looked};
use super::name;
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::{Entry, Kind, Limit, Rootfs, View};
use crate::route::Files;
pub use page::Form;
use page::{Item, Page};

/// How much of a directory is shown. A page of so many bytes of names, written at length, has at most some ten times as many.
const LIMIT: Limit = Limit { names: 10_000, bytes: 1 << 20 };

/// The name of the field that says that there is more, and what it says.
const TRUNCATED: (&str, HeaderValue) = ("x-listing-truncated", HeaderValue::from_static("true"));

/// How a directory is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// Its path as the client knows it, percent-encoded: the title.
    pub path: &'a str,
    /// The rule has something above it.
    pub has_parent: bool,
    /// What the client reads.
    pub form: Form,
}

/// The answer to GET or HEAD for a directory, see [`super::Found::Listing`]. `None`: it is gone, or may not be read. It has no tag and no
/// date, so that conditions are met or not whatever is in it.
///
/// # Errors
/// [`Error::Local`] if descriptors or memory have run out, [`Error::File`] if the file system fails, [`Error::Timeout`] if it does not
/// answer.
pub async fn list(
    root: &Arc<Rootfs>,
    files: &Arc<Files>,
    directory: Box<[u8]>,
    shape: Shape<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Response<ResponseBody>>, Error> {
    let (files, title) = (files.clone(), shape.path.to_owned());
    let written = root.look_far(PATIENCE, move |root| {
        let read = Seen { root, directory: &directory, files: &files }.read();
        let page = |items: &[Item], truncated| Page { title: &title, has_parent: shape.has_parent, items, truncated }.write(shape.form);
        // Written there, too: the longest takes as long as hundreds of requests.
        Ok(read.map(|(items, truncated)| (page(&items, truncated), truncated)))
    });
    let (text, truncated) = match written.await.map_err(not_looked)? {
        Ok(written) => written,
        Err(error) => return absent(error).map(|()| None),
    };
    let mut response = Response::new(ResponseBody::Empty);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    match evaluate(headers, &Validators { etag: b"", modified: None }) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(Some(response));
        }
        Verdict::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return Ok(Some(response));
        }
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(shape.form.content_type()));
    headers.insert(CONTENT_LENGTH, text.len().into());
    if truncated {
        headers.insert(TRUNCATED.0, TRUNCATED.1);
    }
    if method == Method::GET {
        *response.body_mut() = ResponseBody::Full(Bytes::from(text));
    }
    Ok(Some(response))
}

/// A directory, and who may see what of it.
struct Seen<'a> {
    root: View<'a>,
    directory: &'a [u8],
    files: &'a Files,
}

impl Seen<'_> {
    /// What is there, directories first, each kind by name; whether there is more.
    fn read(&self) -> std::io::Result<(Vec<Item>, bool)> {
        let directory = self.root.entry_beneath(&self.files.root, self.directory, self.files.symlinks)?;
        let found = directory.names(LIMIT)?;
        let mut items: Vec<Item> = found.names.into_iter().filter_map(|name| self.item(&directory, name)).collect();
        items.sort_unstable_by(|one, other| (one.size.is_some(), &one.name).cmp(&(other.size.is_some(), &other.name)));
        Ok((items, found.truncated))
    }

    /// What a name stands for, if a request for it would find something.
    fn item(&self, directory: &Entry, name: Vec<u8>) -> Option<Item> {
        if !name::may_be_seen(&name, self.files.hidden) || !name::may_be_asked_for(&name) {
            return None;
        }
        let mut facts = directory.facts_of(&name).ok()?;
        if facts.is_link {
            let relative = if self.directory.is_empty() { name.clone() } else { [self.directory, b"/", &name].concat() };
            facts = self.root.entry_beneath(&self.files.root, &relative, self.files.symlinks).and_then(|entry| entry.facts()).ok()?;
        }
        let scripts = &self.files.scripts;
        let size = match facts.kind {
            Kind::Directory => None,
            Kind::File if name::script(&name, scripts).is_some() || !name::resembles_script(&name, scripts) => Some(facts.size),
            Kind::File | Kind::Socket | Kind::Other => return None,
        };
        Some(Item { name, size, modified: facts.modified })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::super::Found;
    use super::super::fixture::{Tree, rule};
    use super::super::look_up::walk;
    use super::*;
    use crate::api::v1::{Hidden, Symlinks};
    use crate::route::Codings;

    fn shown(tree: Tree, files: &Files, path: &str) -> (Response<()>, String) {
        let Found::Listing(directory) = walk(tree.root.far(), files, [path], Codings::default()).unwrap() else {
            panic!("{path} is not shown")
        };
        let shape = Shape { path, has_parent: false, form: Form::Json };
        let root = Arc::new(tree.root);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let answer = list(&root, &Arc::new(files.clone()), directory, shape, &Method::GET, &HeaderMap::new()).await.unwrap().unwrap();
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (Response::from_parts(head, ()), String::from_utf8(body.to_vec()).unwrap())
        })
    }

    /// Names, directories with a slash.
    fn names(tree: Tree, files: &Files, path: &str) -> Vec<String> {
        let items: Vec<serde_json::Value> = serde_json::from_str(&shown(tree, files, path).1).unwrap();
        let name =
            |item: &serde_json::Value| format!("{}{}", item["name"].as_str().unwrap(), if item["type"] == "directory" { "/" } else { "" });
        items.iter().map(name).collect()
    }

    fn sample() -> Tree {
        let tree = Tree::new(&[
            ("www/b.txt", "22"),
            ("www/a.php", "1"),
            ("www/UPPER.PHP", "1"),
            ("www/.hidden", "1"),
            ("www/.well-known/x", "1"),
            ("www/z/x", "1"),
            ("www/c\\d", "1"),
            ("www/new\nline", "1"),
            ("etc/app.conf", "333"),
        ]);
        for (target, name) in [("b.txt", "near"), ("/etc/app.conf", "far"), ("/etc", "etc"), ("/etc/passwd", "out"), ("loop", "loop")] {
            tree.link(target, &format!("www/{name}"));
        }
        tree.fifo("www/fifo");
        tree
    }

    #[test]
    fn what_a_request_would_find_is_shown_and_nothing_else() {
        let files = Files { listing: true, ..rule("/www").with_scripts(&[".php"]) };
        assert_eq!(names(sample(), &files, "/"), [".well-known/", "etc/", "z/", "a.php", "b.txt", "far", "near"]);
        let beneath = Files { symlinks: Symlinks::Beneath, ..files.clone() };
        assert_eq!(names(sample(), &beneath, "/"), [".well-known/", "z/", "a.php", "b.txt", "near"]);
        let deny = Files { symlinks: Symlinks::Deny, hidden: Hidden::Allow, ..files.clone() };
        assert_eq!(names(sample(), &deny, "/"), [".well-known/", "z/", ".hidden", "a.php", "b.txt"]);
        assert_eq!(names(sample(), &files, "/z/"), ["x"]);
        assert_eq!(names(sample(), &files, "/etc/"), ["app.conf"]);
    }

    #[test]
    fn an_index_goes_first_and_a_directory_has_its_slash() {
        let tree = Tree::new(&[("www/with/index.html", "1"), ("www/without/x", "1")]);
        let files = Files { listing: true, ..rule("/www") };
        let found = |path: &str| walk(tree.root.far(), &files, [path], Codings::default()).unwrap();
        assert!(matches!(found("/with/"), Found::File(_)));
        assert!(matches!(found("/without/"), Found::Listing(_)));
        assert!(matches!(found("/without"), Found::Directory));
        assert!(matches!(found("/missing/"), Found::Nothing));
        assert!(matches!(found("/without/x/"), Found::Nothing));
        let own = Files { candidates: vec![crate::route::Template::parse("{path}").unwrap(); 2], ..files.clone() };
        assert!(matches!(walk(tree.root.far(), &own, ["/without", "/x"], Codings::default()).unwrap(), Found::Directory));
        let plain = Files { listing: false, ..files };
        assert!(matches!(walk(tree.root.far(), &plain, ["/without/"], Codings::default()).unwrap(), Found::Nothing));
    }

    #[test]
    fn a_directory_without_end_is_cut_and_says_so() {
        let tree = Tree::new(&[]);
        for number in 0..LIMIT.names + 5 {
            tree.write(&format!("www/{number}"), b"");
        }
        let files = Files { listing: true, ..rule("/www") };
        let (head, text) = shown(tree, &files, "/");
        let items: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!((items.len(), head.headers().get("x-listing-truncated").unwrap().to_str().unwrap()), (LIMIT.names, "true"));
    }
}
