//! What one App became: everything that a request needs, built once, read by every thread.
//!
//! In: values that `compile` made. Out: plain fields. Never: a string that has still to be parsed.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::{Balance, Check, Ejection, Endpoint, Filter, LogQuota, Matcher, MediaTypes, Parent, Retry, Session, Template};
use crate::container::init::Init;
use crate::container::rootfs::Rootfs;
use crate::names::{AppName, ContainerPath, HostPattern, SectionName};

/// An App as it is served.
#[derive(Debug)]
pub struct CompiledApp {
    /// The App's name; it stands in answers and logs.
    pub name: AppName,
    /// `metadata.generation` that this was made from.
    pub generation: u64,
    /// First seen, nanoseconds since the epoch: the older App wins a match that two have.
    pub first_seen: u64,
    /// The Gateways and listeners that lead to it; empty: every one.
    pub parents: Box<[Parent]>,
    /// Hosts that it answers for; empty: any.
    pub hostnames: Box<[HostPattern]>,
    /// In the order of the manifest.
    pub rules: Box<[Rule]>,
    /// In the order of the manifest; rules refer to them by index.
    pub backends: Box<[Backend]>,
    /// Where files are resolved; `None` while the container has no root that can be entered.
    pub root: Option<Arc<Rootfs>>,
    /// The init of its container; `None`: it does not run, or there is nothing to run.
    pub init: Option<Arc<Init>>,
    /// Pages of its own for answers that we give in its stead.
    pub error_pages: Box<[ErrorPage]>,
}

/// A file of the container in place of our own page.
#[derive(Debug)]
pub struct ErrorPage {
    /// For these; none is in two pages.
    pub statuses: Box<[StatusCode]>,
    /// The page.
    pub file: ContainerPath,
    /// Its media type.
    pub content_type: HeaderValue,
}

impl PartialEq for CompiledApp {
    /// It is equal to itself only: what was built anew is another one.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Requests, and what is done with them.
#[derive(Debug)]
pub struct Rule {
    /// The rule's name, or its index.
    pub name: Box<str>,
    /// Any of these has to match; never empty.
    pub matches: Box<[Matcher]>,
    /// Changes, in this order.
    pub filters: Box<[Filter]>,
    /// Files, tried before the backends.
    pub files: Option<Arc<Files>>,
    /// Backends by weight; weights of 0 are left out.
    pub backends: Box<[Share]>,
    /// `backendRefs` was written: without files and with no share left the answer is 500 (Gateway API).
    pub has_backend_refs: bool,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The largest request body in bytes; `None`: no limit.
    pub body_limit: Option<u64>,
    /// Keeps clients with one endpoint.
    pub session: Option<Box<Session>>,
    /// Whether and when a failed request is sent again.
    pub retry: Option<Retry>,
}

/// A backend's share of a rule's requests.
#[derive(Debug)]
pub struct Share {
    /// Index in [`CompiledApp::backends`].
    pub backend: usize,
    /// At least 1.
    pub weight: u32,
    /// Changes for this backend only.
    pub filters: Box<[Filter]>,
}

/// How long things may take; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The whole transaction.
    pub request: Option<Duration>,
    /// Until the backend has accepted the connection.
    pub connect: Option<Duration>,
    /// Between two bytes from or to the backend.
    pub idle: Option<Duration>,
}

/// What answers.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the manifest.
    pub name: SectionName,
    /// Where it is: at least one.
    pub endpoints: Box<[Endpoint]>,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// Idle connections kept per thread.
    pub keep: usize,
    /// Files that it may have sent in its stead.
    pub internal_files: Box<[InternalFiles]>,
    /// Which of several endpoints a request goes to.
    pub balance: Balance,
    /// When requests that fail take an endpoint out; `None`: there is one only, or it is not wanted.
    pub ejection: Option<Ejection>,
    /// How endpoints are asked whether they are well; `None`: they are not.
    pub check: Option<Box<Check>>,
    /// How long a request waits while it is away; `None`: not at all.
    pub hold: Option<Duration>,
}

/// Files that a backend may have sent in its stead, all of one directory.
#[derive(Debug)]
pub struct InternalFiles {
    /// What stands for the directory in `X-Accel-Redirect`: decoded, without a trailing `/`. `None`: nothing does.
    pub prefix: Option<Box<[u8]>>,
    /// The directory, and how it is looked into.
    pub files: Arc<Files>,
}

/// What is spoken with a backend.
#[derive(Debug)]
pub enum Protocol {
    /// HTTP
    Http(HttpSettings),
    /// FastCGI
    Fastcgi(FastcgiSettings),
}

/// How an HTTP backend is spoken to.
#[derive(Debug)]
pub struct HttpSettings {
    /// HTTP/1.1, or HTTP/2 by prior knowledge.
    pub protocol: crate::api::v1::HttpProtocol,
    /// The `Host` that it sees; `None`: the client's.
    pub host: Option<HeaderValue>,
}

/// How a FastCGI backend is spoken to.
#[derive(Debug)]
pub struct FastcgiSettings {
    /// Gives `DOCUMENT_ROOT` and `SCRIPT_FILENAME`, as the container sees them.
    pub root: Option<ContainerPath>,
    /// The script for a path that ends in `/`.
    pub index: Option<Box<str>>,
    /// Set or replaced, in this order.
    pub params: Vec<(Box<str>, Template)>,
    /// What the log takes of its stderr, on all threads and in all generations.
    pub stderr: Arc<LogQuota>,
}

/// Files of the container.
#[derive(Debug, Clone)]
pub struct Files {
    /// The document root as the container sees it, without a trailing `/` (empty for `/`).
    pub root: Box<str>,
    /// Names that answer for a directory.
    pub index: Vec<Box<str>>,
    /// Candidates, in this order.
    pub candidates: Vec<Template>,
    /// Extensions that are run.
    pub scripts: Vec<Script>,
    /// Whether names that start with a dot are served.
    pub hidden: crate::api::v1::Hidden,
    /// Which symbolic links are followed.
    pub symlinks: crate::api::v1::Symlinks,
    /// `Cache-Control` of files.
    pub cache_control: Option<HeaderValue>,
    /// Whether a directory without an index shows what is in it.
    pub listing: bool,
    /// Codings of siblings that are sent instead, the preferred first.
    pub precompressed: Vec<super::Coding>,
    /// Media types by the extensions of names.
    pub media: Arc<MediaTypes>,
}

/// An extension that is run.
#[derive(Debug, Clone)]
pub struct Script {
    /// With its dot.
    pub extension: Box<str>,
    /// Index in [`CompiledApp::backends`].
    pub backend: usize,
}
