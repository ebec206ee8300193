//! A request -> the rule that answers it (pure).
//!
//! In: Apps that were compiled, requests as parts. Out: [`Match`]. Never: I/O, a clock, a header that is not matched.

mod app;
mod balance;
mod compression;
mod endpoint;
mod filter;
#[cfg(test)]
mod fixture;
mod listeners;
mod log_quota;
mod matcher;
pub mod media;
mod media_types;
pub mod path;
mod retry;
mod session;
mod sorted;
mod table;
mod template;
mod within;

pub use app::{
    Backend, CompiledApp, ErrorPage, FastcgiSettings, Files, HttpSettings, InternalFiles, Protocol, Rule, Script, Share, Timeouts,
};
pub use balance::{Balance, Check, Checked, Ejection, Finding, HashKey, Question};
pub use compression::{Coding, Codings, Compression};
pub use endpoint::{Endpoint, Health, InFlight, State};
pub use filter::{
    Allowed, BasicAuth, Cors, FieldValue, Filter, ForwardAuth, HeaderEdit, IpAccess, MaxConnections, Mirror, Origin, OriginError, Origins,
    Passwords, PathEdit, RateLimit, Redirect, Rewrite, Slot, Slots, Turn, Unusable,
};
pub use listeners::{Front, Listeners, Parent};
pub use log_quota::LogQuota;
pub use matcher::{Matcher, PathMatcher, Request, Specificity, ValueMatcher, anchored};
pub use media_types::MediaTypes;
pub use retry::Retry;
pub use session::{Place, Session, Terms};
pub use table::{Match, Miss, Table};
pub use template::{Placeholder, Template, TemplateError};
