//! `filters` -> changes to requests and responses.

mod compression;
mod headers;
mod redirect;

use super::{Error, error};
use crate::api::v1::{self, FilterType};
use crate::route::Filter;

pub(super) fn compile(written: &[v1::Filter], field: &str) -> Result<Vec<Filter>, Error> {
    written.iter().map(|filter| compile_one(filter, field)).collect()
}

fn compile_one(written: &v1::Filter, field: &str) -> Result<Filter, Error> {
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
        _ => Err(error(field, format!("filter {:?} is not supported by this version", written.type_))),
    }
}
