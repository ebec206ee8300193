//! `filters` -> changes to requests and responses.

mod headers;
mod limits;
mod redirect;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Error, error};
use crate::api::v1::{self, FilterType};
use crate::route::{Filter, Slots};

pub(super) use limits::slots;

/// What outlives a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'k> {
    /// The filters that were in the place of these.
    pub(super) before: &'k [Filter],
    /// The slots of the App.
    pub(super) slots: &'k Arc<Slots>,
}

pub(super) fn compile(written: &[v1::Filter], kept: Kept<'_>, field: &str) -> Result<Vec<Filter>, Error> {
    written.iter().map(|filter| compile_one(filter, kept, field)).collect()
}

fn compile_one(written: &v1::Filter, kept: Kept<'_>, field: &str) -> Result<Filter, Error> {
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
        FilterType::IpAccess => limits::access(written.ip_access.as_ref().ok_or_else(absent)?, field).map(Filter::IpAccess),
        FilterType::RateLimit => limits::rate(written.rate_limit.as_ref().ok_or_else(absent)?, kept, field).map(Filter::RateLimit),
        FilterType::MaxConnections => {
            limits::connections(written.max_connections.as_ref().ok_or_else(absent)?, kept, field).map(Filter::MaxConnections)
        }
        _ => Err(error(field, format!("filter {:?} is not supported by this version", written.type_))),
    }
}
