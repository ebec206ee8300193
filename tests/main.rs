//! The tests that run the real thing: one binary, so that it is linked once.

#![allow(clippy::disallowed_methods, reason = "tests make the files and peers that they look at")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]
#![allow(unreachable_pub, reason = "nobody uses a test from outside")]
#![allow(clippy::print_stderr, reason = "what a test prints is shown when it fails")]

mod access_log;
mod admin;
mod answers;
mod application;
mod architecture;
mod attempts;
mod benches;
mod benches_scale;
mod cgi;
mod cli;
mod clients;
mod connections;
mod container;
mod cost;
mod demo;
mod docs;
mod endpoints;
mod fastcgi;
mod files;
mod filters;
mod flat;
mod gateways;
mod http;
mod incus;
mod last_good;
mod limits;
mod listings;
mod memory;
mod metrics;
mod process;
mod proxies;
mod raw;
mod reference;
mod replacements;
mod routing;
mod samples;
mod source;
mod state;
mod streams;
mod support;
mod wall;
