//! A request -> the rule that answers it (pure).
//!
//! In: Apps that were compiled, requests as parts. Out: [`Match`]. Never: I/O, a clock, a header that is not matched.

mod app;
#[cfg(test)]
mod fixture;
mod listeners;
mod matcher;
pub mod path;
mod table;
mod template;

pub use app::{
    Backend, CompiledApp, FastcgiSettings, Files, Filter, HeaderEdit, HttpSettings, PathEdit, Protocol, Redirect, Rewrite, Rule, Script,
    Share, Timeouts,
};
pub use listeners::{Front, Listeners, Parent};
pub use matcher::{Matcher, PathMatcher, Request, Specificity, ValueMatcher, anchored};
pub use table::{Match, Miss, Table};
pub use template::{Placeholder, Template, TemplateError};
