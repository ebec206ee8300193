//! What lxcproxy tells applications, and says of files, otherwise than the reference, and why. Whatever is not listed has to be the same.

/// A difference that is wanted.
pub struct Difference {
    /// The parameter, or the field of the head.
    pub name: &'static str,
    /// Whether it is this one: what nginx told, what lxcproxy tells.
    pub holds: Holds,
    /// Why it is wanted.
    pub why: &'static str,
}

pub type Holds = fn(Option<&str>, Option<&str>) -> bool;

/// Media types of nginx's `mime.types` that are written otherwise here, and why.
pub const MEDIA: &[(&str, &str, &str)] = &[
    ("application/javascript", "text/javascript", "RFC 9239 has made the former obsolete"),
    ("text/xml", "application/xml", "RFC 7303 section 9.2: they are one; this is its name in the system's table"),
];

pub const fn differs(name: &'static str, holds: Holds, why: &'static str) -> Difference {
    Difference { name, holds, why }
}

/// Both tell it, each its own.
pub const EACH_ITS_OWN: Holds = |theirs, ours| theirs.is_some() && ours.is_some();
pub const ONLY_LXCPROXY: Holds = |theirs, ours| theirs.is_none() && ours.is_some();
pub const ONLY_NGINX: Holds = |theirs, ours| theirs.is_some() && ours.is_none();

pub const NOT_A_HEADER: &str = "RFC 3875 section 4.1.18: what CONTENT_* says already is no header";
pub const OF_THE_CONNECTION: &str = "RFC 9110 section 7.6.1: it was about the client's connection, and this is another";
pub const CLAIM: &str = "a client that is no trusted proxy may say what it likes: it is not passed on";
const COMPLETE: &str = "the reference lists few parameters for seahub; here every FastCGI backend gets all of CGI's";
pub const ONE_PATH: &str = "the path that was matched is the path that is forwarded: `//` and `%2F` are not taken for `/`";
const STREAMS: &str = "an upload streams: nothing waits for its end";
const WHO_ASKS: &str = "the reference tells it to one of three applications; here all are told who asks for what";

/// Towards php-fpm.
pub const PHP: &[Difference] = &[
    differs("SERVER_SOFTWARE", EACH_ITS_OWN, "it is another program"),
    differs("SERVER_PORT", EACH_ITS_OWN, "they listen side by side"),
    differs("REMOTE_PORT", EACH_ITS_OWN, "these are two connections"),
    differs(
        "SCRIPT_FILENAME",
        |theirs, ours| theirs.map(|path| path.replacen("/var/www//", "/var/www/", 1)).as_deref() == ours,
        "the reference joins `/var/www/` and `/ttrss/...` with two slashes",
    ),
    differs(
        "DOCUMENT_ROOT",
        |theirs, ours| theirs.is_some_and(|path| path.ends_with("/ttrss/rootfs/var/www")) && ours == Some("/var/www"),
        "the reference tells the host's path, which the container does not have",
    ),
    differs(
        "REMOTE_USER",
        |theirs, ours| theirs == Some("x") && ours == Some(""),
        "nginx takes the name from `Authorization`, though nobody has checked the password",
    ),
    differs(
        "HTTP_X_TWICE",
        |theirs, ours| (theirs, ours) == (Some("2"), Some("1, 2")),
        "RFC 3875 section 4.1.18: fields of one name are one variable; of nginx's two PHP keeps the last",
    ),
    differs("HTTP_CONTENT_TYPE", ONLY_NGINX, NOT_A_HEADER),
    differs("HTTP_CONTENT_LENGTH", ONLY_NGINX, NOT_A_HEADER),
    differs("HTTP_TRANSFER_ENCODING", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_CONNECTION", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_X_FORWARDED_FOR", ONLY_NGINX, CLAIM),
    differs("HTTP_FORWARDED", ONLY_NGINX, CLAIM),
];

/// Towards a FastCGI server over TCP.
pub const SEAHUB: &[Difference] = &[
    differs("SERVER_PORT", EACH_ITS_OWN, "they listen side by side"),
    differs("SERVER_SOFTWARE", ONLY_LXCPROXY, COMPLETE),
    differs("REMOTE_ADDR", ONLY_LXCPROXY, COMPLETE),
    differs("REMOTE_PORT", ONLY_LXCPROXY, COMPLETE),
    differs("REMOTE_USER", ONLY_LXCPROXY, COMPLETE),
    differs("REQUEST_URI", ONLY_LXCPROXY, COMPLETE),
    differs("REQUEST_SCHEME", ONLY_LXCPROXY, COMPLETE),
    differs("DOCUMENT_URI", ONLY_LXCPROXY, COMPLETE),
    differs("GATEWAY_INTERFACE", ONLY_LXCPROXY, COMPLETE),
    differs("REDIRECT_STATUS", ONLY_LXCPROXY, COMPLETE),
    differs("SCRIPT_FILENAME", ONLY_NGINX, "it names a file that never was: nginx's own root and the request's path"),
    differs(
        "PATH_INFO",
        |theirs, ours| matches!((theirs, ours), (Some("/seafile/a"), Some("/seafile//a")) | (Some("/seafile/a/b"), Some("/seafile/a%2Fb"))),
        ONE_PATH,
    ),
    differs("HTTP_CONTENT_TYPE", ONLY_NGINX, NOT_A_HEADER),
    differs("HTTP_CONTENT_LENGTH", ONLY_NGINX, NOT_A_HEADER),
    differs("HTTP_TRANSFER_ENCODING", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_PROXY", ONLY_NGINX, "CVE-2016-5385 (httpoxy)"),
    differs("HTTP_X_FORWARDED_FOR", ONLY_NGINX, CLAIM),
];

/// Towards the HTTP server over TCP.
pub const SEAFHTTP: &[Difference] = &[
    differs("version", |theirs, ours| (theirs, ours) == (Some("HTTP/1.0"), Some("HTTP/1.1")), "connections are kept"),
    differs("connection", |theirs, ours| (theirs, ours) == (Some("close"), None), "connections are kept"),
    differs(
        "host",
        |theirs, ours| (theirs, ours) == (Some("192.168.122.21:8082"), Some("home.example.org")),
        "the application makes links from it: it is the name that the client knows",
    ),
    differs("x-hop", ONLY_NGINX, OF_THE_CONNECTION),
    differs("target", |theirs, ours| (theirs, ours) == (Some("/a/b"), Some("/a%2Fb")), ONE_PATH),
    differs("x-forwarded-for", ONLY_LXCPROXY, WHO_ASKS),
    differs("x-forwarded-proto", ONLY_LXCPROXY, WHO_ASKS),
    differs("x-forwarded-host", ONLY_LXCPROXY, WHO_ASKS),
    differs("x-real-ip", ONLY_LXCPROXY, WHO_ASKS),
    differs("transfer-encoding", |theirs, ours| (theirs, ours) == (None, Some("chunked")), STREAMS),
    differs("content-length", |theirs, ours| (theirs, ours) == (Some("3000000"), None), STREAMS),
];

/// Towards the HTTP server on a unix socket.
pub const GITLAB: &[Difference] = &[
    differs("version", |theirs, ours| (theirs, ours) == (Some("HTTP/1.0"), Some("HTTP/1.1")), "connections are kept"),
    differs("connection", |theirs, ours| (theirs, ours) == (Some("close"), None), "connections are kept"),
    differs("x-forwarded-host", ONLY_LXCPROXY, WHO_ASKS),
    differs("x-forwarded-for", |theirs, ours| (theirs, ours) == (Some("6.6.6.6, 127.0.0.1"), Some("127.0.0.1")), CLAIM),
    differs("transfer-encoding", |theirs, ours| (theirs, ours) == (None, Some("chunked")), STREAMS),
    differs("content-length", |theirs, ours| (theirs, ours) == (Some("100000"), None), STREAMS),
];
