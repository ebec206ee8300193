//! The requests.

/// A request, and how the answers may differ.
pub struct Case {
    pub method: &'static str,
    pub path: &'static str,
    /// More arguments of curl.
    pub args: &'static [&'static str],
    /// The length of its body.
    pub body: Option<u32>,
    pub outcome: Outcome,
}

/// How the answers of the two compare.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// They are the same.
    Same,
    /// They are not, and that is right.
    Wanted {
        /// nginx's status.
        reference: u16,
        /// lxcproxy's.
        lxcproxy: u16,
        /// Why that is better.
        why: &'static str,
    },
    /// They are, but for one field, or the `bodies`.
    But {
        /// Which.
        field: &'static str,
        /// Why that is better.
        why: &'static str,
    },
}

impl Case {
    /// Whether it asks for the very same.
    pub fn is_same_request(&self, other: &Self) -> bool {
        (self.method, self.path, self.args, self.body) == (other.method, other.path, other.args, other.body)
    }

    /// With more arguments of curl.
    pub const fn with(mut self, args: &'static [&'static str]) -> Self {
        self.args = args;
        self
    }

    /// With a body of so many bytes.
    pub const fn body(mut self, length: u32) -> Self {
        self.body = Some(length);
        self
    }

    /// The answers differ, for a reason.
    pub const fn differs(mut self, reference: u16, lxcproxy: u16, why: &'static str) -> Self {
        self.outcome = Outcome::Wanted { reference, lxcproxy, why };
        self
    }

    /// The answers are the same but for one field, for a reason.
    pub const fn but(mut self, field: &'static str, why: &'static str) -> Self {
        self.outcome = Outcome::But { field, why };
        self
    }
}

const WHOLE_SEGMENTS: &str = "a prefix is made of whole segments";

pub const NOT_TOLD: &str = "what exists is not told";
pub const NO_URI: &str = "RFC 3986 section 2: such bytes are in no URI, a client has to encode them";
const OWN_SPACE: &str = "nginx sends the client to the rewritten path, which means nothing outside";

pub const fn ask(method: &'static str, path: &'static str) -> Case {
    Case { method, path, args: &[], body: None, outcome: Outcome::Same }
}

pub const fn get(path: &'static str) -> Case {
    ask("GET", path)
}

pub const fn head(path: &'static str) -> Case {
    ask("HEAD", path)
}

pub const fn post(path: &'static str, length: u32) -> Case {
    ask("POST", path).body(length)
}

pub const TTRSS: &[Case] = &[
    get("/ttrss/"),
    get("/ttrss/?op=pref&x=%20y"),
    get("/ttrss/index.php"),
    get("/ttrss/index.php?"),
    head("/ttrss/"),
    head("/ttrss/tool.php"),
    post("/ttrss/", 0),
    post("/ttrss/index.php", 5000).with(&["-H", "Content-Type: application/x-www-form-urlencoded"]),
    post("/ttrss/tool.php?a=b", 900_000).with(&["-H", "Content-Type: application/octet-stream"]),
    post("/ttrss/tool.php", 70_000).with(&["-H", "Transfer-Encoding: chunked"]),
    post("/ttrss/", 1_048_576).with(&["-H", "Content-Type: application/octet-stream"]),
    post("/ttrss/", 1_048_577),
    ask("PUT", "/ttrss/tool.php").body(10),
    ask("DELETE", "/ttrss/tool.php"),
    ask("OPTIONS", "/ttrss/tool.php"),
    ask("OPTIONS", "/ttrss/").differs(405, 200, "a script is asked whatever the method, also as the index of a directory"),
    ask("PROPFIND", "/ttrss/tool.php"),
    get("/ttrss/tool.php").with(&[
        "-H",
        "Cookie: a=1; b=2",
        "-H",
        "Accept: text/html",
        "-H",
        "X-Custom: yes",
        "-H",
        "Authorization: Basic eDp5",
    ]),
    get("/ttrss/tool.php").with(&["-H", "X-Forwarded-For: 6.6.6.6", "-H", "Proxy: evil", "-H", "Forwarded: for=6.6.6.6"]),
    get("/ttrss/tool.php").with(&["-H", "X_Under: 1", "-H", "Connection: close"]),
    get("/ttrss/tool.php?status=404"),
    get("/ttrss/tool.php?status=302&location=/ttrss/x"),
    get("/ttrss/tool.php?status=204"),
    get("/ttrss/fatal.php"),
    get("/ttrss/slow.php"),
    get("/ttrss/slow.php").with(&["--http1.0"]),
    get("/ttrss/tool.php").with(&["--http1.0"]),
    get("/").with(&["--request-target", "http://home.example.org/ttrss/tool.php?x=1"]),
    get("/").with(&["--request-target", "/ttrss/tool.php?a?b=%zz&c=|^{}"]),
    get("/").with(&["--request-target", "/ttrss/tool.php?q=<\"x\">"]).differs(200, 400, NO_URI),
    get("/").with(&["--request-target", "/ttrss/tool.php?x#y"]).differs(200, 400, NO_URI),
    get("/").with(&["--request-target", "/ttrss/tool.php?\u{fc}"]),
    get("/ttrss/tool.php").with(&["-H", "X-Empty;", "-H", "X-Twice: 1", "-H", "X-Twice: 2", "-H", "X-Bytes: \u{fc}"]),
    ask("PATCH", "/ttrss/tool.php").body(10),
    get("/ttrss/lib/"),
    get("/ttrss/lib/?x"),
    get("/ttrss"),
    get("/ttrss?x=1&y=/"),
    head("/ttrss"),
    get("/ttrss/lib"),
    get("/ttrss/sub"),
    post("/ttrss/lib", 3),
    get("/ttrss/style.css"),
    head("/ttrss/style.css"),
    get("/ttrss/style.css?v=1"),
    get("/ttrss/near.css"),
    get("/ttrss/logo.png"),
    get("/ttrss/app.js"),
    get("/ttrss/feed.xml"),
    get("/ttrss/data.json"),
    get("/ttrss/LICENSE"),
    get("/ttrss/empty.txt"),
    head("/ttrss/empty.txt"),
    get("/ttrss/big.bin"),
    get("/ttrss/sub/page.html"),
    get("/ttrss/s%20p.txt"),
    get("/ttrss/s%20p.php"),
    get("/ttrss/%73tyle.css"),
    get("/ttrss//style.css"),
    get("/ttrss/./sub/../style.css"),
    get("/ttrss/.well-known/security.txt"),
    get("/ttrss/style.css").with(&["--http1.0"]),
    get("/").with(&["--request-target", "/ttrss/style.css#x"]).differs(200, 400, NO_URI),
    get("/").with(&["--request-target", "/ttrss/a+b;c=d,e.txt"]),
    get("/").with(&["--request-target", "/ttrss/\u{fc}.txt"]),
    get("/").with(&["--request-target", "/ttrss/<.txt"]).differs(404, 400, NO_URI),
    get("/ttrss/a%2Bb%3Bc%3dd%2ce.txt"),
    get("/ttrss/%C3%BC.txt"),
    get("/").with(&["--request-target", "/ttrss\\style.css"]).differs(404, 400, NO_URI),
    get("/ttrss/style.css%5c"),
    get("/ttrss/missing.css"),
    head("/ttrss/missing.css"),
    get("/ttrss/missing/"),
    get("/ttrss/style.css/"),
    get("/ttrss/style.css/x"),
    get("/ttrss/missing.php").differs(404, 404, "php-fpm is not asked for a script that is not there"),
    get("/ttrss/index.PHP"),
    post("/ttrss/style.css", 4),
    ask("PUT", "/ttrss/style.css").body(4),
    ask("DELETE", "/ttrss/style.css"),
    get("/ttrss/style.css").with(&["-H", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"]),
    get("/ttrss/style.css").with(&["-H", "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT"]),
    get("/ttrss/style.css").with(&["-H", "If-Modified-Since: Mon, 10 Sep 2001 01:46:40 GMT"]).differs(
        200,
        304,
        "RFC 9110 section 13.1.3: not modified since that date; nginx wants the very date",
    ),
    get("/ttrss/style.css").with(&["-H", "If-Modified-Since: not a date"]),
    get("/ttrss/style.css").with(&["-H", "If-None-Match: *"]),
    get("/ttrss/style.css").with(&["-H", "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT"]),
    get("/ttrss/style.css").with(&["-H", "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT"]),
    get("/ttrss/style.css").with(&["-r", "0-3"]),
    get("/ttrss/style.css").with(&["-r", "5-"]),
    get("/ttrss/style.css").with(&["-r", "-4"]),
    get("/ttrss/style.css").with(&["-r", "15-999"]),
    get("/ttrss/style.css").with(&["-r", "16-"]),
    get("/ttrss/style.css").with(&["-H", "Range: lines=1-2"]),
    head("/ttrss/style.css").with(&["-r", "0-3"]).differs(206, 200, "RFC 9110 section 14.2: only GET knows ranges"),
    get("/ttrss/style.css").with(&["-r", "0-3", "-H", "If-Range: Sun, 09 Sep 2001 01:46:40 GMT"]),
    get("/ttrss/style.css").with(&["-r", "0-3", "-H", "If-Range: Sun, 09 Sep 2001 01:46:39 GMT"]),
    get("/ttrss/empty.txt").with(&["-r", "0-3"]),
    get("/ttrss/big.bin").with(&["-r", "1000-70000"]),
    get("/../etc/passwd"),
    get("/ttrss/../../etc/passwd"),
    get("/ttrss/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    get("/ttrss/../gitlab/robots.txt"),
    get("/ttrss/style%2ecss"),
    get("/ttrss/%zz"),
    get("/ttrss/style.css%00"),
    get("/ttrssx"),
    get("/elsewhere"),
    get("/").differs(403, 404, "no App claims it"),
    get("/ttrss/index.php/a/b?x=1").differs(404, 200, "what follows a script is its PATH_INFO"),
    get("/ttrss/empty/").differs(403, 404, NOT_TOLD),
    get("/ttrss/.git/config").differs(200, 404, "hidden files are not served unless the manifest says so"),
    get("/ttrss/UPPER.PHP").differs(200, 404, "what resembles a script does not go out as bytes"),
    get("/ttrss/a%2f..%2fstyle.css").differs(200, 404, "an encoded slash makes no segments"),
    get("//ttrss/style.css").differs(200, 404, "what was matched is what is served: `//` is not `/`"),
    get("/ttrss/evil").differs(200, 200, "a link of the container leads to the container's file, not to the host's"),
    get("/ttrss/config").differs(404, 200, "so does a good one"),
];

pub const SEAHUB: &[Case] = &[
    get("/seafile"),
    get("/seafile/"),
    get("/seafile/repo/1?p=%2Fa"),
    get("/seafile/a%20b/%C3%BC"),
    get("/seafile/../seafile/x"),
    head("/seafile/"),
    post("/seafile/accounts/login/", 3000).with(&["-H", "Content-Type: application/x-www-form-urlencoded"]),
    post("/seafile/api", 0),
    post("/seafile/api", 100_000).with(&["-H", "Transfer-Encoding: chunked"]),
    post("/seafile/api", 1_048_577),
    ask("PUT", "/seafile/api").body(10),
    ask("DELETE", "/seafile/api"),
    get("/seafile/x?status=404"),
    get("/seafile/x?status=302&location=/seafile/y"),
    get("/seafile/x").with(&["-H", "Cookie: sessionid=1", "-H", "X-Requested-With: XMLHttpRequest", "-H", "If-None-Match: \"x\""]),
    get("/seafile/x").with(&["-H", "Host: home.example.org:8443"]),
    get("/seafile/x").with(&["-H", "Proxy: evil", "-H", "X-Forwarded-For: 6.6.6.6", "-H", "X_Under: 1"]),
    get("/").with(&["--request-target", "/seafile/\u{fc}/a+b;c=d"]),
    get("/seafile/x").with(&["--http1.0"]),
    get("/seafile//a"),
    get("/seafile/a%2Fb"),
    get("/seafilex").differs(200, 404, WHOLE_SEGMENTS),
];

pub const SEAFHTTP: &[Case] = &[
    get("/seafhttp/files/abc/a.txt"),
    get("/seafhttp/protocol-version?x=1&y=%2F"),
    get("/seafhttp/a%20b/%C3%BC"),
    get("/seafhttp/"),
    head("/seafhttp/files/abc/a.txt"),
    post("/seafhttp/upload-api/1", 20_000_000),
    post("/seafhttp/upload-api/1", 3_000_000).with(&["-H", "Transfer-Encoding: chunked"]),
    post("/seafhttp/upload", 0),
    ask("PUT", "/seafhttp/repo/1").body(100),
    ask("OPTIONS", "/seafhttp/upload").with(&["-H", "Origin: http://x"]),
    get("/seafhttp/x?status=403"),
    get("/seafhttp/x?status=302&location=/seafhttp/y"),
    get("/seafhttp/x").with(&["-H", "Seafile-Repo-Token: t", "-r", "0-3", "-H", "If-None-Match: \"x\"", "-H", "Accept-Encoding: gzip"]),
    get("/seafhttp/x").with(&["-H", "Connection: close, X-Hop", "-H", "X-Hop: 1", "-H", "TE: trailers", "-H", "Keep-Alive: 5"]),
    get("/seafhttp").differs(500, 200, "the reference rewrites it to nothing"),
    get("/seafhttp/a%2Fb"),
    get("/seafhttp//a"),
    get("/seafhttpx").differs(200, 404, WHOLE_SEGMENTS),
];

pub const SEAFMEDIA: &[Case] = &[
    get("/seafmedia/css/seahub.css"),
    head("/seafmedia/css/seahub.css"),
    get("/seafmedia/css/seahub.css?t=1398068110"),
    get("/seafmedia/img/logo.png"),
    get("/seafmedia/assets/app.min.js"),
    get("/seafmedia/fonts/a.woff2"),
    get("/seafmedia/x.php").differs(200, 200, "its media type is known; without `scripts` it is a file as any other"),
    get("/seafmedia/doc/").differs(404, 200, "nginx looks for the index where the path leads that is rewritten already"),
    get("/seafmedia/css/seahub.css").with(&["-r", "0-3"]),
    get("/seafmedia/css/seahub.css").with(&["-H", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"]),
    get("/seafmedia/missing.css"),
    post("/seafmedia/css/seahub.css", 3),
    post("/seafmedia/missing.css", 3),
    get("/seafmedia/css/").differs(403, 404, NOT_TOLD),
    get("/seafmedia/doc").differs(301, 301, OWN_SPACE),
    get("/seafmedia/../../../../../../etc/hostname"),
    get("/seafmedia/%2e%2e/%2e%2e/seafile"),
    get("/seafmedia").differs(301, 301, OWN_SPACE),
    get("/seafmediax/css/seahub.css"),
];

pub const GITLAB: &[Case] = &[
    get("/gitlab"),
    get("/gitlab/"),
    get("/gitlab/index.html"),
    get("/gitlab/help"),
    get("/gitlab/help.html"),
    get("/gitlab/both"),
    get("/gitlab/a%20b"),
    get("/gitlab/dir"),
    get("/gitlab/dir/"),
    get("/gitlab/assets/app.js"),
    get("/gitlab/robots.txt"),
    head("/gitlab/robots.txt"),
    get("/gitlab/robots.txt").with(&["-r", "0-3"]),
    get("/gitlab/robots.txt").with(&["-H", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"]),
    get("/gitlab/assets"),
    get("/gitlab/assets/"),
    get("/gitlab/users/sign_in?x=1"),
    get("/gitlab/a/b.git/info/refs?service=git-upload-pack"),
    get("/gitlab/a%20b/c"),
    head("/gitlab/users"),
    post("/gitlab/users/sign_in", 500).with(&["-H", "Content-Type: application/x-www-form-urlencoded"]),
    post("/gitlab/users", 0),
    post("/gitlab/users", 100_000).with(&["-H", "Transfer-Encoding: chunked"]),
    post("/gitlab/users", 1_048_577),
    ask("DELETE", "/gitlab/users/1"),
    ask("PUT", "/gitlab/users/1").body(7),
    get("/").with(&["--request-target", "/gitlab/x/-/a+b;c=d,(e)!~*'@:$&?q={}|^"]),
    get("/gitlab/x/%2e%2Fy/%7Euser/%41"),
    get("/gitlab/x").with(&["--http1.0"]),
    get("/gitlab/help").with(&["--http1.0"]),
    get("/gitlab/x?status=404"),
    get("/gitlab/x?status=302&location=http://home.example.org/gitlab/y"),
    get("/gitlab/x?status=304"),
    get("/gitlab/x?status=204"),
    get("/gitlab/x").with(&["-H", "Host: Home.Example.org:8443"]),
    get("/gitlab/x").with(&["-H", "Cookie: a=1; b=2", "-H", "PRIVATE-TOKEN: t", "-H", "X-CSRF-Token: u", "-H", "Accept-Encoding: gzip"]),
    get("/gitlab/x").with(&["-H", "X-Forwarded-For: 6.6.6.6", "-H", "X-Real-IP: 6.6.6.6", "-H", "X-Forwarded-Proto: https"]),
    post("/gitlab/robots.txt", 3).differs(405, 200, "a file answers GET and HEAD; what else there is to it the application knows"),
    get("/gitlab/pipe"),
    get("/gitlab/a%2Fb"),
    get("/gitlab//a"),
    get("/gitlabx").differs(200, 404, WHOLE_SEGMENTS),
];
