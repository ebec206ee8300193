//! `filters` -> changes to requests and responses.

mod basic_auth;
mod compression;
mod cors;
mod forward_auth;
mod headers;
mod limits;
mod mirror;
mod redirect;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use super::{Error, error};
use crate::api::v1::{self, FilterType};
use crate::names::SectionName;
use crate::resolve::ResolvedApp;
use crate::route::{Filter, Slots};

pub(super) use limits::slots;

/// What filters refer to, and what outlives a change.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) resolved: &'s ResolvedApp,
    /// Backends by name.
    pub(super) names: &'s HashMap<&'s SectionName, usize>,
    /// The filters that were in the place of these.
    pub(super) before: &'s [Filter],
    /// The slots of the App.
    pub(super) slots: &'s Arc<Slots>,
}

pub(super) fn compile(written: &[v1::Filter], field: &str, scope: Scope<'_>) -> Result<Box<[Filter]>, Error> {
    written.iter().map(|filter| compile_one(filter, field, scope)).collect()
}

fn compile_one(written: &v1::Filter, field: &str, scope: Scope<'_>) -> Result<Filter, Error> {
    let absent = || error(field, format!("filter {:?} lacks its field", written.type_));
    match written.type_ {
        FilterType::RequestHeaderModifier => {
            headers::edit(written.request_header_modifier.as_ref().ok_or_else(absent)?, field).map(Filter::RequestHeaders)
        }
        FilterType::ResponseHeaderModifier => {
            headers::edit(written.response_header_modifier.as_ref().ok_or_else(absent)?, field).map(Filter::ResponseHeaders)
        }
        FilterType::RequestRedirect => {
            redirect::redirect(written.request_redirect.as_ref().ok_or_else(absent)?, field).map(Filter::Redirect)
        }
        FilterType::UrlRewrite => redirect::rewrite(written.url_rewrite.as_ref().ok_or_else(absent)?, field).map(Filter::Rewrite),
        FilterType::Compression => {
            compression::compression(written.compression.as_ref().ok_or_else(absent)?, field).map(Filter::Compression)
        }
        FilterType::RequestMirror => mirror::compile(written.request_mirror.as_ref().ok_or_else(absent)?, field, scope).map(Filter::Mirror),
        FilterType::Cors => cors::compile(written.cors.as_ref().ok_or_else(absent)?, field).map(Box::new).map(Filter::Cors),
        FilterType::BasicAuth => basic_auth::compile(written.basic_auth.as_ref().ok_or_else(absent)?, field, scope).map(Filter::BasicAuth),
        FilterType::ForwardAuth => {
            forward_auth::compile(written.forward_auth.as_ref().ok_or_else(absent)?, field, scope).map(Filter::ForwardAuth)
        }
        FilterType::IpAccess => limits::access(written.ip_access.as_ref().ok_or_else(absent)?, field).map(Filter::IpAccess),
        FilterType::RateLimit => limits::rate(written.rate_limit.as_ref().ok_or_else(absent)?, scope, field).map(Filter::RateLimit),
        FilterType::MaxConnections => {
            limits::connections(written.max_connections.as_ref().ok_or_else(absent)?, scope, field).map(Filter::MaxConnections)
        }
    }
}
