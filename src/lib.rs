//! **lxcproxy**: the reverse proxy for system containers.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make the files and peers that they look at"))]

pub mod admin;
pub mod api;
pub mod backend;
pub mod compile;
pub mod config;
pub mod container;
pub mod daemon;
pub mod dial;
pub mod manifest;
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
