//! One tree of files and scripts, served by nginx and by lxcproxy side by side: the table of requests that both answer alike.
//!
//! nginx is set up as its documentation and Debian's `snippets/fastcgi-php.conf` advise; lxcproxy has one manifest. Each row of the tables
//! that is not `Same` says why ours is better.

mod conditions;
mod files;
mod listings;
mod methods;
mod names;
mod parts;
mod ranges;
mod scripts;
mod told;
mod tried;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::compare::Pair;
use super::table::Case;
use super::{application, hold};
use crate::support::curl::Curl;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::needs;
use crate::support::nginx::Nginx;

/// What both know of media types.
const MEDIA_TYPES: &str = "/etc/nginx/mime.types";

const HOST: &str = "tree.example";
const CONFIG: &str = include_str!("../fixtures/tree.nginx.conf");
const MANIFEST: &str = include_str!("../fixtures/tree.yaml");

/// 2001-09-09, of every file.
const MODIFIED: Duration = Duration::from_secs(1_000_000_000);

/// A file's content: sixteen bytes.
const TEXT: &str = "0123456789abcde\n";

const FILES: &[&str] = &[
    "www/index.html",
    "www/style.css",
    "www/app.js",
    "www/feed.xml",
    "www/data.json",
    "www/logo.png",
    "www/photo.jpg",
    "www/anim.gif",
    "www/icon.ico",
    "www/pic.svg",
    "www/pic.webp",
    "www/font.woff2",
    "www/doc.pdf",
    "www/a.zip",
    "www/video.mp4",
    "www/song.mp3",
    "www/mod.wasm",
    "www/page.htm",
    "www/read.txt",
    "www/table.csv",
    "www/LICENSE",
    "www/a.tar.gz",
    "www/UPPER.CSS",
    "www/a.unheard-of",
    "www/a.",
    "www/.hidden.txt",
    "www/.git/config",
    "www/.well-known/security.txt",
    "www/sub/.dot/x.txt",
    "www/s p.txt",
    "www/a+b;c=d,e.txt",
    "www/ü.txt",
    "www/100%.txt",
    "www/q?x.txt",
    "www/a#b.txt",
    "www/a:b.txt",
    "www/a&b.txt",
    "www/'\".txt",
    "www/back\\slash.txt",
    "www/[x].txt",
    "www/~.txt",
    "www/%41.txt",
    "www/sub/index.html",
    "www/sub/page.html",
    "www/sub/deep/x.txt",
    "www/noindex/x.txt",
    "www/s p/index.html",
    "www/ü/x.txt",
    "www/dir.css/index.html",
    "www/x.php",
    "www/s p.php",
    "www/ü.php",
    "www/a.php.txt",
    "www/a.php5",
    "www/.php",
    "www/UPPER.PHP",
    "www/php/index.php",
    "www/php/tool.php",
    "www/dir.php/x.txt",
    "www/dir.php/inner.php",
    "www/dir.php/index.php",
    "www/both/index.html",
    "www/both/index.php",
    "www/try/page.html",
    "www/try/both",
    "www/try/both.html",
    "www/try/dir/index.html",
    "www/try/empty/x.txt",
    "www/try/x.css",
    "www/try/x.php",
    "www/front/index.php",
    "www/front/real.css",
    "www/front/dir/x.txt",
    "www/fall/file.txt",
    "www/fall/dir/index.html",
    "www/fall/empty/x.txt",
    "www/cached/x.css",
    "www/cached/dir/index.html",
    "www/list/a.txt",
    "www/list/b\".txt",
    "www/list/ü.txt",
    "www/list/sub/x.txt",
    "www/list/sub/y.txt",
    "www/list/with/index.html",
    "www/list/s p/x.txt",
    "www/list/.hidden/x.txt",
    "www/packed/x.css",
    "www/packed/x.css.gz",
    "www/packed/y.css",
    "www/packed/index.html",
    "www/packed/index.html.gz",
    "other/x.txt",
    "other/index.html",
    "other/sub/index.html",
    "secret.txt",
];

/// The tree, and the two in front of it.
struct House {
    ours: Daemon,
    theirs: Nginx,
    _tree: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let tree = crate::support::scratch();
        plant(tree.path());
        application::start(&tree.path().join("app.sock"));
        let place = tree.path().to_str().unwrap();
        fs::write(tree.path().join("mime.types"), table(&fs::read_to_string(MEDIA_TYPES).unwrap())).unwrap();
        let ours = Daemon::builder().manifest("tree.yaml", &MANIFEST.replace("{tree}", place));
        let ours = ours.arg("--media-types").arg(tree.path().join("mime.types")).start();
        ours.wait_condition("tree", "Ready", PATIENCE);
        let theirs = Nginx::start(&CONFIG.replace("{tree}", place), None);
        Self { ours, theirs, _tree: tree }
    }
}

impl Pair for House {
    fn ours(&self, path: &str) -> Curl {
        self.ours.request(path).host(HOST)
    }

    fn theirs(&self, path: &str) -> Curl {
        self.theirs.request(path).host(HOST)
    }

    fn is_exact(&self) -> bool {
        true
    }
}

fn plant(tree: &Path) {
    for name in FILES {
        write(&tree.join(name), TEXT);
    }
    write(&tree.join("www/empty.txt"), "");
    write(&tree.join("www/big.bin"), &"0123456789abcdef".repeat(1 << 16));
    for (target, name) in [
        ("style.css", "near.css"),
        ("../secret.txt", "out.txt"),
        ("sub", "linked"),
        ("x.php", "as.txt"),
        ("style.css", "as.php"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
    ] {
        symlink(target, tree.join("www").join(name)).unwrap();
    }
    mknodat(CWD, tree.join("www/pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    for name in ["nothing", "list/empty"] {
        fs::create_dir(tree.join("www").join(name)).unwrap();
    }
    symlink("../sub", tree.join("www/list/linked")).unwrap();
    symlink("../style.css", tree.join("www/list/near.css")).unwrap();
}

/// nginx's table in the form of the system's.
fn table(nginx: &str) -> String {
    let lines = nginx.lines().filter(|line| !line.contains(['{', '}'])).map(|line| line.replace(';', ""));
    lines.collect::<Vec<_>>().join("\n")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + MODIFIED).unwrap();
}

const TABLES: &[&[Case]] = &[
    files::FILES,
    files::TYPES,
    names::NAMES,
    names::DOTS,
    tried::TRIED,
    tried::DIRECTORIES,
    listings::LISTINGS,
    scripts::SCRIPTS,
    ranges::RANGES,
    parts::PARTS,
    parts::SIBLINGS,
    conditions::CONDITIONS,
    methods::METHODS,
];

#[test]
fn a_tree_of_files_and_scripts_is_served_as_nginx_serves_it() {
    needs!(nginx, curl);
    let rows: usize = TABLES.iter().map(|table| table.len()).sum();
    assert!(rows >= 200, "{rows} requests");
    let all: Vec<&Case> = TABLES.iter().copied().flatten().collect();
    let twice = all.iter().enumerate().find(|(index, case)| all[..*index].iter().any(|other| other.is_same_request(case)));
    assert!(twice.is_none(), "{:?} is there twice", twice.map(|(_, case)| (case.method, case.path, case.args)));
    hold(&House::new(), &[(&all, told::TOLD)]);
}
