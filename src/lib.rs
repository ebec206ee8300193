//! **lxcproxy**: the reverse proxy for system containers.
//!
//! ```text
//! *.yaml -> source -> manifest -> resolve -> compile -> snapshot => server -> proxy (match -> filters -> files) -> backend
//! ```
//!
//! Vocabulary, without policy:
//! - [`names`]: parsed once, valid ever after
//! - [`api`]: manifests and their status, as written
//! - [`metrics`]: what happens, counted per thread
//! - [`container`]: what a container is; `container::rootfs` is the only door to its files
//! - [`dial`]: an address becomes a connection
//! - [`listen`]: an address becomes sockets that clients can connect to
//! - [`route`]: a request finds its rule (pure)
//! - [`snapshot`]: the hatch between the planes, swapped whole
//!
//! Control plane (what should be, what is, what to serve):
//! - [`source`]: where manifests come from
//! - [`manifest`]: text becomes a typed object, or every error at once (pure)
//! - [`state`]: last good generations on disk
//! - [`resolve`]: looks at containers, sockets, roots
//! - [`compile`]: builds what requests meet (pure)
//! - [`reconcile`]: the loop, and its pure step
//!
//! Serving plane (the life of a request):
//! - [`backend`]: files, FastCGI, HTTP
//! - [`health`]: asks endpoints whether they are well
//! - [`proxy`]: match, filters, files, backend, rescue
//! - [`server`]: listeners, connections, drain; one runtime per core
//!
//! Outside:
//! - [`admin`]: says what is, over a unix socket
//! - [`telemetry`]: logs; [`config`]: settings; [`daemon`]: builds both planes; [`cli`]: one file per subcommand
//!
//! Laws: the two planes meet only in `snapshot`. A room names only rooms above it. Stages are types, not flags. One owner per decision.
//! The tests read the `use` lines and hold the house to them.
//!
//! Lexicon: a *manifest* is a file; an *App* is an object in it; a *generation* is a version of its spec; a *listing* is what a source saw;
//! a *look* finds what an App refers to; a *snapshot* is what is served; *served* means that a snapshot holds it.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make the files and peers that they look at"))]

pub mod admin;
pub mod api;
pub mod backend;
pub mod cli;
pub mod compile;
pub mod config;
pub mod container;
pub mod daemon;
pub mod dial;
pub mod health;
pub mod listen;
pub mod manifest;
pub mod metrics;
pub mod names;
pub mod proxy;
pub mod reconcile;
pub mod resolve;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod source;
pub mod state;
pub mod telemetry;
