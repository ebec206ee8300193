//! Changes to requests and responses, as data: what `compile` made of `filters`.
//!
//! In: values that `compile` made. Out: plain fields. Never: a value that has still to be parsed.

mod cors;
mod passwords;
mod rate;
mod slots;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

use super::{Compression, Template};
use crate::names::Networks;
pub use cors::{Allowed, Cors, Origin, OriginError, Origins};
pub use passwords::{Passwords, Unusable};
pub use rate::RateLimit;
pub use slots::{MaxConnections, Slot, Slots, Turn};

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
    /// A copy goes to another backend.
    Mirror(Mirror),
    /// Cross-origin requests are allowed.
    Cors(Box<Cors>),
    /// Name and password are asked for.
    BasicAuth(BasicAuth),
    /// A backend is asked whether the request may pass.
    ForwardAuth(ForwardAuth),
    /// Clients are let in by their address.
    IpAccess(IpAccess),
    /// Each client gets so many requests in a time.
    RateLimit(RateLimit),
    /// So many requests at once; others wait.
    MaxConnections(MaxConnections),
}

/// Fields that are set, added, removed.
#[derive(Debug, Default)]
pub struct HeaderEdit {
    /// Replace all of the same name.
    pub set: Box<[(HeaderName, FieldValue)]>,
    /// Added to those that are there.
    pub add: Box<[(HeaderName, FieldValue)]>,
    /// Taken away.
    pub remove: Box<[HeaderName]>,
}

/// The value of a field that is set.
#[derive(Debug)]
pub enum FieldValue {
    /// The same for all requests: made once, and shared.
    Fixed(HeaderValue),
    /// With placeholders.
    Filled(Template),
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

/// Clients by address.
#[derive(Debug)]
pub struct IpAccess {
    /// Who may ask; none: everybody who is not denied.
    pub allow: Option<Networks>,
    /// Who may not, whatever `allow` says.
    pub deny: Networks,
}

impl IpAccess {
    /// Whether a client may ask.
    #[must_use]
    pub fn lets_in(&self, client: IpAddr) -> bool {
        !self.deny.contains(client) && self.allow.as_ref().is_none_or(|allow| allow.contains(client))
    }
}

/// A new path.
#[derive(Debug)]
pub enum PathEdit {
    /// All of it.
    Full(Box<str>),
    /// The prefix that matched.
    Prefix(Box<str>),
}

/// A copy of some requests goes to another backend.
#[derive(Debug, Clone, Copy)]
pub struct Mirror {
    /// Index in [`CompiledApp::backends`](super::CompiledApp::backends).
    pub backend: usize,
    /// How many requests...
    pub numerator: u32,
    /// ...of how many; at least 1.
    pub denominator: u32,
}

/// Name and password are asked for.
#[derive(Debug)]
pub struct BasicAuth {
    /// Who may pass; `None`: the file is not there, and nobody may.
    pub passwords: Option<Arc<Passwords>>,
    /// `WWW-Authenticate` (RFC 7617 section 2).
    pub challenge: HeaderValue,
}

/// A backend is asked whether the request may pass.
#[derive(Debug)]
pub struct ForwardAuth {
    /// Index in [`CompiledApp::backends`](super::CompiledApp::backends); it speaks HTTP.
    pub backend: usize,
    /// What it is asked for; `None`: what the client asks for.
    pub path: Option<Box<str>>,
    /// Fields that it sees beside `Authorization` and `Cookie`; `None`: all.
    pub shown: Option<Vec<HeaderName>>,
    /// Fields of its answer that the request goes on with, in place of the client's.
    pub taken: Vec<HeaderName>,
}
