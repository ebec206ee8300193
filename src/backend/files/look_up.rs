//! Candidates of a rule -> the first that may be served.
//!
//! In: a container's root, `files` of a rule, percent-encoded paths, codings that the client takes. Out: [`Found`]. Never: a second
//! decoding, a look at what can't be normalised, a wait for a container on the thread that serves.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use super::Opened;
use super::docroot::{Docroot, Found};
use crate::backend::{Error, Phase};
use crate::container::rootfs::{Rootfs, View};
use crate::route::{Codings, ErrorPage, Files, path};

/// How long a container's file system may take until a request has its answer without it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The same for a page in place of our own.
const PATIENCE_FOR_PAGES: Duration = Duration::from_secs(1);

/// Looks for the candidates, in order. Each is one of the rule's templates, filled in, percent-encoded, before normalisation.
///
/// - A candidate that ends in `/` is a directory: its `index` names are tried. Without one of them it is nothing (nginx answers 403 there;
///   this way nothing is told about what exists).
///   With `listing` it is [`Found::Listing`].
/// - A directory without its `/` is [`Found::Directory`] if the rule has no `try` of its own, or shows directories, and no match otherwise,
///   as with nginx's `try_files`.
/// - An encoded slash or backslash ends the look-up: it names no file, and no later candidate may answer in its place.
/// - A FIFO, a device or a socket ends it, too.
/// - The script's part of a path ends at the first segment that is a regular file with a script's extension (byte by byte). A name
///   that differs from that only in case, by dots and spaces at its end, or by the ending of a coding (`a.php.gz`), is never sent.
/// - In place of a file a sibling is sent, of the first of `codings` that there is one in: a regular file, as old as the file or newer.
///
/// # Errors
/// [`Error::Local`] if descriptors or memory have run out, [`Error::File`] if the file system fails, [`Error::Timeout`] if it does not
/// answer. What may not be read is nothing.
pub async fn look_up<C, I>(root: &Arc<Rootfs>, files: &Arc<Files>, candidates: I, codings: Codings) -> Result<Found, Error>
where
    C: AsRef<str>,
    I: IntoIterator<Item = C> + Clone,
{
    match walk(root.at_hand(), files, candidates.clone(), codings) {
        Err(error) if is_not_at_hand(&error) => {
            let candidates: Vec<String> = candidates.into_iter().map(|candidate| candidate.as_ref().to_owned()).collect();
            let files = files.clone();
            elsewhere(root, move |view| walk(view, &files, candidates, codings)).await
        }
        found => found,
    }
}

/// What stands at a path beneath the root of `files`, where no client has a say: `decoded` as the file system has it, with a `/` first.
///
/// # Errors
/// As [`look_up`].
pub async fn find(root: &Arc<Rootfs>, files: &Arc<Files>, decoded: &[u8]) -> Result<Found, Error> {
    match find_in(root.at_hand(), files, decoded) {
        Err(error) if is_not_at_hand(&error) => {
            let (files, decoded) = (files.clone(), decoded.to_vec());
            elsewhere(root, move |view| find_in(view, &files, &decoded)).await
        }
        found => found,
    }
}

/// Opens a page of the container, wherever links inside it lead. Nobody asked for it: it may not take long.
///
/// # Errors
/// [`Error::File`] if it is no regular file, or can't be read.
pub async fn open(root: &Arc<Rootfs>, page: &ErrorPage) -> Result<Opened, Error> {
    let (file, content_type) = (page.file.clone(), page.content_type.clone());
    let open = move |view: View<'_>| Ok(Opened::new(view.entry(&file)?.open()?, content_type.clone()));
    root.look(PATIENCE_FOR_PAGES, open).await.map_err(Error::File)
}

/// The candidates, in order, as far as `root` may be looked at.
pub(super) fn walk<C: AsRef<str>>(
    root: View<'_>,
    files: &Files,
    candidates: impl IntoIterator<Item = C>,
    codings: Codings,
) -> Result<Found, Error> {
    let redirects = files.listing || matches!(files.candidates.as_slice(), [only] if only.is_path());
    let docroot = Docroot { root, files, redirects, codings };
    for candidate in candidates {
        let Ok(normal) = path::normalise(candidate.as_ref()) else { continue };
        let Some(decoded) = path::decode_for_lookup(&normal) else { return Ok(Found::Nothing) };
        match docroot.find(&decoded)? {
            Found::Nothing => {}
            found => return Ok(found),
        }
    }
    Ok(Found::Nothing)
}

fn find_in(root: View<'_>, files: &Files, decoded: &[u8]) -> Result<Found, Error> {
    Docroot { root, files, redirects: false, codings: Codings::default() }.find(decoded)
}

/// The kernel would have to ask a disk, or somebody else.
fn is_not_at_hand(error: &Error) -> bool {
    matches!(error, Error::Local(error) if error.kind() == ErrorKind::WouldBlock)
}

/// A look on a thread that may be lost to the container.
async fn elsewhere<F>(root: &Arc<Rootfs>, look: F) -> Result<Found, Error>
where
    F: FnOnce(View<'_>) -> Result<Found, Error> + Send + 'static,
{
    root.look_far(PATIENCE, move |view| Ok(look(view))).await.unwrap_or_else(|error| Err(not_looked(error)))
}

/// Why there was no look.
pub(super) fn not_looked(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::TimedOut => Error::Timeout(Phase::Files),
        _ => Error::Local(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::fixture::{Tree, rule};
    use super::*;
    use crate::api::v1::{Hidden, Symlinks};
    use crate::route::Template;

    /// What was found, as a line.
    fn found(tree: &Tree, files: &Files, candidates: &[&str]) -> String {
        match walk(tree.root.far(), files, candidates, Codings::default()).unwrap() {
            Found::File(opened) => format!("file of {}", opened.size()),
            Found::Script { script, name, path_info } => format!("script {script} {name} [{path_info}]"),
            Found::Directory => "directory".to_owned(),
            Found::Listing(_) => "listing".to_owned(),
            Found::Special => "special".to_owned(),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    fn assert_found(tree: &Tree, files: &Files, table: &[(&str, &str)]) {
        for (path, expected) in table {
            assert_eq!(found(tree, files, &[path]), *expected, "{path}");
        }
    }

    #[test]
    fn a_path_names_a_file_a_directory_or_nothing() {
        let tree = Tree::new(&[("www/a.css", "12345"), ("www/dir/index.html", "1"), ("www/empty/other", "22"), ("www/s p/ü", "333")]);
        assert_found(
            &tree,
            &rule("/www"),
            &[
                ("/a.css", "file of 5"),
                ("//a.css", "file of 5"),
                ("/dir/../a.css", "file of 5"),
                ("/%61.css", "file of 5"),
                ("/s%20p/%c3%bc", "file of 3"),
                ("/dir", "directory"),
                ("/dir/", "file of 1"),
                ("/empty", "directory"),
                ("/empty/", "nothing"),
                ("/", "nothing"),
                ("/a.css/", "nothing"),
                ("/a.css/b", "nothing"),
                ("/A.css", "nothing"),
                ("/missing", "nothing"),
                ("/missing/", "nothing"),
                (&format!("/{}", "x".repeat(300)), "nothing"),
                (&"/x".repeat(4000), "nothing"),
            ],
        );
    }

    #[test]
    fn nothing_outside_the_document_root_is_found() {
        let tree = Tree::new(&[("secret", "1"), ("www/a", "22"), ("www/%2e%2e", "333"), ("etc/passwd", "4444")]);
        for hidden in [Hidden::Deny, Hidden::Allow] {
            let files = Files { hidden, ..rule("/www") };
            for path in [
                "/../secret",
                "/..",
                "/%2e%2e/secret",
                "/.%2E/secret",
                "/..%2fsecret",
                "/..%5csecret",
                "/..\\secret",
                "/a/..%2f..%2fsecret",
                "/%252e%252e/secret",
                "/%2e%2e%2fsecret",
                "/a/../../secret",
                "//etc/passwd",
                "/%2fetc/passwd",
                "/a%00.css",
                "/a%0a",
                "/a%",
                "/a%zz",
                "a",
                "",
                "/\u{0}",
                "/%c0%ae%c0%ae/secret",
            ] {
                assert_eq!(found(&tree, &files, &[path]), "nothing", "{path}");
            }
            assert_eq!(found(&tree, &files, &["/%252e%252e"]), "file of 3", "decoded once, and once only");
        }
    }

    #[test]
    fn hidden_names_are_served_only_where_they_are_allowed() {
        let tree = Tree::new(&[("www/.git/config", "1"), ("www/.env", "22"), ("www/.well-known/acme", "333"), ("www/a/.x/b", "4444")]);
        let deny = rule("/www");
        for path in ["/.git/config", "/.env", "/%2eenv", "/a/.x/b", "/.git", "/.git/", "/.well-known/.x", "/.well-known2"] {
            assert_eq!(found(&tree, &deny, &[path]), "nothing", "{path}");
        }
        assert_eq!(found(&tree, &deny, &["/.well-known/acme"]), "file of 3");
        let allow = Files { hidden: Hidden::Allow, ..rule("/www") };
        assert_found(
            &tree,
            &allow,
            &[("/.git/config", "file of 1"), ("/.env", "file of 2"), ("/a/.x/b", "file of 4"), ("/.git", "directory")],
        );
    }

    #[test]
    fn the_first_candidate_that_fits_answers() {
        let tree = Tree::new(&[("www/dir/index.html", "1"), ("www/page.html", "22"), ("www/empty/x", "333")]);
        let candidates = ["{path}", "{path}/index.html", "{path}.html"].map(|text| Template::parse(text).unwrap());
        let files = Files { candidates: candidates.into(), ..rule("/www") };
        assert_eq!(found(&tree, &files, &["/dir", "/dir/index.html", "/dir.html"]), "file of 1");
        assert_eq!(found(&tree, &files, &["/page", "/page/index.html", "/page.html"]), "file of 2");
        assert_eq!(
            found(&tree, &files, &["/empty", "/empty/index.html", "/empty.html"]),
            "nothing",
            "a directory is no match without its slash"
        );
        assert_eq!(found(&tree, &files, &["/dir", "/dir/"]), "file of 1", "with its slash its index answers");
        assert_eq!(found(&tree, &files, &["/", "//index.html", "/.html"]), "nothing");
        assert_eq!(found(&tree, &files, &["/../x", "/page.html"]), "file of 2", "what can't be normalised is passed over");
        assert_eq!(found(&tree, &files, &["/a%2fb", "/page.html"]), "nothing", "an encoded slash names nothing at all");
        assert_eq!(found(&tree, &files, &[]), "nothing");
    }

    #[test]
    fn a_script_goes_to_its_backend_with_the_rest_of_the_path() {
        let tree = Tree::new(&[
            ("www/ttrss/index.php", "<?php"),
            ("www/dir.php/plain.css", "1"),
            ("www/dir.php/inner.php", "1"),
            ("www/a.cgi", "#!"),
            ("www/style.css", "22"),
            ("www/.hidden.php", "333"),
        ]);
        let files = Files { index: vec!["missing.php".into(), "index.php".into()], ..rule("/www").with_scripts(&[".php", ".cgi"]) };
        assert_found(
            &tree,
            &files,
            &[
                ("/ttrss/index.php", "script 0 /ttrss/index.php []"),
                ("/ttrss/index.php/a/b", "script 0 /ttrss/index.php [/a/b]"),
                ("/ttrss/index.php/", "script 0 /ttrss/index.php [/]"),
                ("/ttrss/index.php//x", "script 0 /ttrss/index.php [//x]"),
                ("/ttrss/index.php/.dot/b.php", "script 0 /ttrss/index.php [/.dot/b.php]"),
                ("/ttrss/index.php/style.css", "script 0 /ttrss/index.php [/style.css]"),
                ("//ttrss///index.php", "script 0 /ttrss/index.php []"),
                ("/ttrss/%69ndex.ph%70/a%20b", "script 0 /ttrss/index.php [/a b]"),
                ("/ttrss", "directory"),
                ("/ttrss/", "script 0 /ttrss/index.php []"),
                ("/a.cgi/x", "script 1 /a.cgi [/x]"),
                ("/dir.php", "directory"),
                ("/dir.php/", "nothing"),
                ("/dir.php/plain.css", "file of 1"),
                ("/dir.php/inner.php/y", "script 0 /dir.php/inner.php [/y]"),
                ("/missing.php", "nothing"),
                ("/style.css/x.php", "nothing"),
                ("/ttrss/missing.php/index.php", "nothing"),
                ("/ttrss/index.php%2fx", "nothing"),
                ("/ttrss/index.php/a%5cb", "nothing"),
                ("/ttrss/index.php%00", "nothing"),
                ("/ttrss/index.php%0a", "nothing"),
                ("/ttrss/index.php/%ff", "nothing"),
                ("/.hidden.php", "nothing"),
            ],
        );
        let front = Files { candidates: vec![Template::parse("{path}").unwrap(), Template::parse("/ttrss/index.php").unwrap()], ..files };
        assert_eq!(found(&tree, &front, &["/no/such", "/ttrss/index.php"]), "script 0 /ttrss/index.php []");
    }

    #[test]
    fn what_resembles_a_script_never_goes_out_as_bytes() {
        let names = ["www/a.PHP", "www/b.php.", "www/c.php ", "www/d.pHp. .", "www/INDEX.PHP", "www/php", "www/x.php.txt"];
        let tree = Tree::new(&names.map(|name| (name, "1")));
        let files = Files { index: vec!["INDEX.PHP".into()], ..rule("/www").with_scripts(&[".php"]) };
        for path in ["/a.PHP", "/b.php.", "/c.php%20", "/d.pHp.%20.", "/", "/a.PHP/x"] {
            assert_eq!(found(&tree, &files, &[path]), "nothing", "{path}");
        }
        assert_found(&tree, &files, &[("/php", "file of 1"), ("/x.php.txt", "file of 1")]);
        for path in ["/run.php.gz", "/run.PHP.br", "/run.php.zst.gz"] {
            tree.write(&format!("www{path}"), b"1");
            assert_eq!(found(&tree, &files, &[path]), "nothing", "{path}");
            assert_eq!(found(&tree, &rule("/www"), &[path]), "file of 1", "{path} where nothing is a script");
        }
    }

    #[test]
    fn links_are_followed_as_the_rule_says_and_never_out_of_the_container() {
        let tree = Tree::new(&[("www/in", "1"), ("www/run.php", "22"), ("etc/app.conf", "333"), ("lib/feed/icon", "4444")]);
        tree.link("in", "www/near");
        tree.link("/etc/app.conf", "www/abs");
        tree.link("/etc/hostname", "www/evil");
        tree.link("../../../../../../etc/hostname", "www/climb");
        tree.link("/lib/feed", "www/icons");
        tree.link("/etc/app.conf", "www/out.php");
        tree.link("run.php", "www/as.txt");
        tree.link("loop", "www/loop");
        let paths = ["/near", "/abs", "/evil", "/climb", "/icons", "/icons/icon", "/out.php", "/as.txt", "/loop"];
        let nothing = "nothing";
        for (symlinks, expected) in [
            (
                Symlinks::Follow,
                ["file of 1", "file of 3", nothing, nothing, "directory", "file of 4", "script 0 /out.php []", "file of 2", nothing],
            ),
            (Symlinks::Beneath, ["file of 1", nothing, nothing, nothing, nothing, nothing, nothing, "file of 2", nothing]),
            (Symlinks::Deny, [nothing; 9]),
        ] {
            let files = Files { symlinks, ..rule("/www").with_scripts(&[".php"]) };
            for (path, expected) in paths.iter().zip(expected) {
                assert_eq!(found(&tree, &files, &[path]), expected, "{path} {symlinks:?}");
            }
        }
    }

    #[test]
    fn the_root_of_the_container_can_be_the_document_root() {
        let tree = Tree::new(&[("index.html", "1"), ("a/b", "22")]);
        for symlinks in [Symlinks::Follow, Symlinks::Beneath, Symlinks::Deny] {
            let files = Files { symlinks, ..rule("") };
            assert_found(&tree, &files, &[("/", "file of 1"), ("/a/b", "file of 2"), ("/a", "directory")]);
        }
        assert_eq!(found(&tree, &rule("/no/such/root"), &["/"]), "nothing");
    }

    #[test]
    fn a_fifo_is_never_opened_and_nobody_answers_in_its_place() {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let tree = Tree::new(&[("www/x", "1")]);
            for name in ["www/fifo", "www/fifo.php", "www/index.html"] {
                tree.fifo(name);
            }
            let files = rule("/www").with_scripts(&[".php"]);
            sender.send(["/fifo", "/fifo.php/x", "/"].map(|path| found(&tree, &files, &[path, "/x"]))).unwrap();
        });
        let found = receiver.recv_timeout(Duration::from_secs(20)).expect("an answer in time");
        assert_eq!(found, ["special", "special", "file of 1"]);
    }
}
