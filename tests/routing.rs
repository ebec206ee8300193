//! Routing as the Gateway API means it, against the real daemon: tables of requests and what has to become of them.
//!
//! In: manifests, backends that tell what they have seen. Out: every row that does not hold. Never: a row that depends on another.
//!
//! The rows hold what the upstream conformance tests (kubernetes-sigs/gateway-api, `conformance/tests`) hold, and more; `docs/routing.md` says
//! which is where.

mod echo;
mod fields;
mod hosts;
mod http2;
mod limits;
mod listeners;
mod paths;
mod precedence;
mod redirects;
mod refusals;
mod rewrites;
mod shares;
mod table;
mod upgrades;
mod values;
