//! A request -> the CGI variables that an application sees (RFC 3875 section 4.1; nginx's `fastcgi_params`; pure).
//!
//! In: the request as it was matched and rewritten. Out: the head of a FastCGI request. Never: a header whose name an application could
//! take for another one; a path with more segments than the one that was matched.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, Method, Version, header};

use super::Params;
use crate::backend::digits::digits;
use crate::route::path::decode_for_lookup;
use crate::route::{FastcgiSettings, Placeholder, Template};

/// What the application is told about a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `REQUEST_METHOD`
    pub method: &'a Method,
    /// `REQUEST_URI`: path and query as the client sent them.
    pub uri: &'a str,
    /// `SERVER_PROTOCOL`
    pub version: Version,
    /// `HTTP_*`, `CONTENT_TYPE`
    pub headers: &'a HeaderMap,
    /// The normalised, rewritten path, percent-encoded.
    pub path: &'a str,
    /// `QUERY_STRING`, without its `?`.
    pub query: Option<&'a str>,
    /// The script that was found; `None`: the backend answers for every path.
    pub script: Option<Script<'a>>,
    /// The document root of the rule's files, if it has one: used when the backend names none. As the container sees it.
    pub files_root: Option<&'a str>,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// `SERVER_NAME`: the request's host, without port; may be empty.
    pub host: &'a str,
    /// The client: `REMOTE_ADDR`, `REMOTE_PORT`.
    pub client: SocketAddr,
    /// The address that the client connected to: `SERVER_ADDR`, `SERVER_PORT`.
    pub server: SocketAddr,
    /// `REMOTE_USER`: who has told the right password; then `AUTH_TYPE` is `Basic`.
    pub user: Option<&'a str>,
    /// Names the request in answers and logs.
    pub request_id: &'a str,
}

/// A script, and what follows it in the path.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// Beneath the document root, decoded: `/ttrss/index.php`.
    pub name: &'a str,
    /// Decoded; empty if nothing follows.
    pub path_info: &'a str,
}

/// `SERVER_SOFTWARE`
const SOFTWARE: &str = concat!("lxcproxy/", env!("CARGO_PKG_VERSION"));

/// Room for the longest IP address, and for the names of most fields.
const SCRATCH: usize = 48;

/// Writes the head of a request. `content_length`: the bytes that follow; `None` if the client announced no body, which gives an empty
/// `CONTENT_LENGTH`, as nginx does. `keep`: the backend shall leave the connection open.
#[must_use]
pub(in crate::backend::fastcgi) fn encode(
    settings: &FastcgiSettings,
    request: &Request<'_>,
    content_length: Option<u64>,
    keep: bool,
) -> Vec<u8> {
    let mut variables = Variables { params: Params::begin(keep), settings, scratch: Vec::with_capacity(SCRATCH) };
    variables.request(request);
    variables.content(request.headers, content_length);
    variables.paths(request);
    variables.ends(request);
    variables.fields(request.headers);
    variables.overrides(request);
    variables.params.finish()
}

struct Variables<'a> {
    params: Params,
    settings: &'a FastcgiSettings,
    /// Where a name or a value is put together.
    scratch: Vec<u8>,
}

impl Variables<'_> {
    /// What does not depend on where the script lies.
    fn request(&mut self, request: &Request<'_>) {
        self.set("QUERY_STRING", &[request.query.unwrap_or("").as_bytes()]);
        self.set("REQUEST_METHOD", &[request.method.as_str().as_bytes()]);
        self.set("REQUEST_URI", &[request.uri.as_bytes()]);
        self.set("SERVER_PROTOCOL", &[protocol(request.version)]);
        self.set("REQUEST_SCHEME", &[request.scheme.as_bytes()]);
        if request.scheme == "https" {
            self.set("HTTPS", &[b"on"]);
        }
        self.set("GATEWAY_INTERFACE", &[b"CGI/1.1"]);
        self.set("SERVER_SOFTWARE", &[SOFTWARE.as_bytes()]);
        // php-cgi refuses requests without it when it was built with --enable-force-cgi-redirect.
        self.set("REDIRECT_STATUS", &[b"200"]);
    }

    fn content(&mut self, headers: &HeaderMap, length: Option<u64>) {
        self.set("CONTENT_TYPE", &[headers.get(header::CONTENT_TYPE).map_or(b"", |value| value.as_bytes())]);
        self.scratch.clear();
        if let Some(length) = length {
            digits(&mut self.scratch, length, 10);
        }
        // Not by `set`: no override may tell another length than the bytes that are sent.
        self.params.pair(b"CONTENT_LENGTH", &[&self.scratch]);
    }

    /// `DOCUMENT_*`, `SCRIPT_*`, `PATH_*`.
    fn paths(&mut self, request: &Request<'_>) {
        let root = self.settings.root.as_ref().map(crate::names::ContainerPath::as_str).or(request.files_root);
        let root = root.map(|root| root.strip_suffix('/').unwrap_or(root).as_bytes());
        if let Some(root) = root {
            self.set("DOCUMENT_ROOT", &[if root.is_empty() { b"/" } else { root }]);
        }
        match request.script {
            Some(script) => self.script(root, script),
            None => self.whole_path(root, request.path),
        }
    }

    /// nginx's `fastcgi_params` has no `PATH_INFO`, so it is set only when something follows the script.
    fn script(&mut self, root: Option<&[u8]>, script: Script<'_>) {
        let (name, path_info) = (script.name.as_bytes(), script.path_info.as_bytes());
        self.set("SCRIPT_NAME", &[name]);
        self.set("DOCUMENT_URI", &[name, path_info]);
        self.script_filename(root, &[name]);
        if !path_info.is_empty() {
            self.set("PATH_INFO", &[path_info]);
            if let Some(root) = root {
                self.set("PATH_TRANSLATED", &[root, path_info]);
            }
        }
    }

    /// No script was looked up: the application answers for the whole path.
    fn whole_path(&mut self, root: Option<&[u8]>, path: &str) {
        let decoded = decode(path);
        let index = if path.ends_with('/') { self.settings.index.as_deref().unwrap_or("") } else { "" };
        let name = [&*decoded, index.as_bytes()];
        // `SCRIPT_NAME` and `PATH_INFO` make up the path together (RFC 3875 section 4.1.5): where `params` gives the second all of it,
        // as WSGI servers want it, the first is empty, or the application would find itself at twice the path.
        if self.overrides_name(b"PATH_INFO") {
            self.set("SCRIPT_NAME", &[]);
        } else {
            self.set("SCRIPT_NAME", &name);
        }
        self.set("DOCUMENT_URI", &name);
        self.script_filename(root, &name);
    }

    /// Only beneath a document root: without one, every file of the container would be a script. A name that php-fpm could split in
    /// another place (CVE-2019-11043) is left out.
    fn script_filename(&mut self, root: Option<&[u8]>, name: &[&[u8]]) {
        if let Some(root) = root
            && !name.iter().any(|piece| piece.contains(&b'\\'))
        {
            let (first, second) = (name.first().copied().unwrap_or(b""), name.get(1).copied().unwrap_or(b""));
            self.set("SCRIPT_FILENAME", &[root, first, second]);
        }
    }

    /// The two ends of the client's connection.
    fn ends(&mut self, request: &Request<'_>) {
        let (client, server) = (request.client, request.server);
        self.show("REMOTE_ADDR", |out| write_ip(out, client.ip()));
        self.show("REMOTE_PORT", |out| digits(out, client.port().into(), 10));
        // As nginx: empty if nobody was authenticated here.
        self.set("REMOTE_USER", &[request.user.unwrap_or("").as_bytes()]);
        if request.user.is_some() {
            self.set("AUTH_TYPE", &[b"Basic"]);
        }
        self.show("SERVER_ADDR", |out| write_ip(out, server.ip()));
        self.show("SERVER_PORT", |out| digits(out, server.port().into(), 10));
        if request.host.is_empty() {
            self.show("SERVER_NAME", |out| write_ip(out, server.ip()));
        } else {
            self.set("SERVER_NAME", &[request.host.as_bytes()]);
        }
    }

    /// `HTTP_*`. Fields of one name become one value (RFC 3875 section 4.1.18).
    fn fields(&mut self, headers: &HeaderMap) {
        let mut name = std::mem::take(&mut self.scratch);
        let mut joined = Vec::new();
        for field in headers.keys().filter(|field| is_passed(field)) {
            name.clear();
            name.extend_from_slice(b"HTTP_");
            name.extend(field.as_str().bytes().map(|byte| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }));
            if self.overrides_name(&name) {
                continue;
            }
            let mut values = headers.get_all(field).iter();
            let first = values.next().map_or(&b""[..], |value| value.as_bytes());
            joined.clear();
            for value in values {
                joined.extend_from_slice(if field == header::COOKIE { b"; " } else { b", " });
                joined.extend_from_slice(value.as_bytes());
            }
            // A `HeaderValue` holds no CR, LF or NUL.
            self.params.pair(&name, &[first, &joined]);
        }
        self.scratch = name;
    }

    /// The backend's own `params`; of two with one name the last counts.
    fn overrides(&mut self, request: &Request<'_>) {
        let params = &self.settings.params;
        for (at, (name, template)) in params.iter().enumerate() {
            let later = &params[at + 1..];
            if **name == *"CONTENT_LENGTH" || later.iter().any(|(other, _)| other == name) {
                continue;
            }
            if template.is_path() {
                self.checked_pair(name, &[&decode(request.path)]);
            } else {
                let value = fill(template, request);
                self.checked_pair(name, &[value.as_bytes()]);
            }
        }
    }

    /// A variable that `params` may replace.
    fn set(&mut self, name: &str, value: &[&[u8]]) {
        if !self.overrides_name(name.as_bytes()) {
            self.checked_pair(name, value);
        }
    }

    fn show(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        write(&mut value);
        self.set(name, &[&value]);
        self.scratch = value;
    }

    /// No value holds CR, LF or NUL, whatever a path or a manifest says.
    fn checked_pair(&mut self, name: &str, value: &[&[u8]]) {
        if !value.iter().any(|piece| piece.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))) {
            self.params.pair(name.as_bytes(), value);
        }
    }

    fn overrides_name(&self, name: &[u8]) -> bool {
        self.settings.params.iter().any(|(other, _)| other.as_bytes() == name)
    }
}

/// php-fpm folds `.`, space and `[` to `_`, so only names of letters, digits and `-` pass: no other one can forge a variable. `Proxy`
/// never does (httpoxy, CVE-2016-5385). Length and type of the body have variables of their own; its framing ends here.
fn is_passed(name: &HeaderName) -> bool {
    name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !matches!(name.as_str(), "proxy" | "content-length" | "content-type" | "transfer-encoding")
}

fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_09 => b"HTTP/0.9",
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_3 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    }
}

/// As `Display` has it, and IPv4 without `fmt`: with it, all variables of a request took 8,700 instructions, now 6,300.
fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (at, byte) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                digits(out, byte.into(), 10);
            }
        }
        IpAddr::V6(ip) => {
            // Writing to memory never fails.
            let _ = write!(out, "{ip}");
        }
    }
}

fn fill(template: &Template, request: &Request<'_>) -> String {
    let mut value = String::new();
    template.write(&mut value, |placeholder, out| match placeholder {
        // A path that decodes to no text stays as it came.
        Placeholder::Path => out.push_str(std::str::from_utf8(&decode(request.path)).unwrap_or(request.path)),
        Placeholder::Query => out.push_str(request.query.unwrap_or("")),
        Placeholder::Host => out.push_str(request.host),
        Placeholder::Scheme => out.push_str(request.scheme),
        Placeholder::ClientIp => {
            // Writing to a string never fails.
            let _ = write!(out, "{}", request.client.ip().to_canonical());
        }
        Placeholder::RequestId => out.push_str(request.request_id),
    });
    value
}

/// CGI's paths are decoded (RFC 3875 section 4.1.5). An encoded slash or backslash stays encoded: decoded, it would make segments, `..`
/// among them, that were not there when the path was matched.
fn decode(path: &str) -> Cow<'_, [u8]> {
    if let Some(decoded) = decode_for_lookup(path) {
        return decoded;
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = if *first == b'%' { tail.first_chunk::<2>().copied().and_then(hex_pair) } else { None };
        match escape {
            Some(byte) if !matches!(byte, b'/' | b'\\' | 0..0x20 | 0x7f) => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

fn hex_pair(pair: [u8; 2]) -> Option<u8> {
    let [high, low] = pair.map(|byte| char::from(byte).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests;
