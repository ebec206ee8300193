//! A request -> the rule that answers it (pure).
//!
//! In: Apps that were compiled, requests as parts. Out: [`Match`]. Never: I/O, a clock, a header that is not matched.

mod app;
mod endpoint;
mod filter;
#[cfg(test)]
mod fixture;
mod listeners;
mod matcher;
pub mod path;
mod table;
mod template;

pub use app::{Backend, CompiledApp, FastcgiSettings, Files, HttpSettings, Protocol, Rule, Script, Share, Timeouts};
pub use endpoint::{Endpoint, Health, InFlight};
pub use filter::{Filter, HeaderEdit, IpAccess, MaxConnections, PathEdit, RateLimit, Redirect, Rewrite, Slot, Slots, Turn};
pub use listeners::{Front, Listeners, Parent};
pub use matcher::{Matcher, PathMatcher, Request, Specificity, ValueMatcher, anchored};
pub use table::{Match, Miss, Table};
pub use template::{Placeholder, Template, TemplateError};
