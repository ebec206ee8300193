//! Changes to requests and responses, as data: what `compile` made of `filters`.
//!
//! In: values that `compile` made. Out: plain fields. Never: a value that has still to be parsed.

use http::{HeaderName, HeaderValue, StatusCode};

use super::{Compression, Template};

/// A change to request or response.
#[derive(Debug)]
pub enum Filter {
    /// Fields of the request.
    RequestHeaders(HeaderEdit),
    /// Fields of the response.
    ResponseHeaders(HeaderEdit),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// Host or path are replaced.
    Rewrite(Rewrite),
    /// Answers are compressed.
    Compression(Compression),
}

/// Fields that are set, added, removed.
#[derive(Debug, Default)]
pub struct HeaderEdit {
    /// Replace all of the same name.
    pub set: Vec<(HeaderName, Template)>,
    /// Added to those that are there.
    pub add: Vec<(HeaderName, Template)>,
    /// Taken away.
    pub remove: Vec<HeaderName>,
}

/// The client is sent elsewhere.
#[derive(Debug)]
pub struct Redirect {
    /// `http` or `https`; `None`: as the request.
    pub scheme: Option<Box<str>>,
    /// `None`: as the request.
    pub hostname: Option<Box<str>>,
    /// `None`: as the request.
    pub port: Option<u16>,
    /// `None`: as the request.
    pub path: Option<PathEdit>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// Host or path are replaced.
#[derive(Debug)]
pub struct Rewrite {
    /// The `Host` that the backend sees.
    pub hostname: Option<HeaderValue>,
    /// The path that files and backends see.
    pub path: Option<PathEdit>,
}

/// A new path.
#[derive(Debug)]
pub enum PathEdit {
    /// All of it.
    Full(Box<str>),
    /// The prefix that matched.
    Prefix(Box<str>),
}
