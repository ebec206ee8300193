//! `matches` -> matchers.

use http::{HeaderName, Method};
use regex::Regex;

use super::{Error, error};
use crate::api::v1::{MatchType, PathMatchType, RouteMatch, ValueMatch};
use crate::route::{Matcher, PathMatcher, ValueMatcher, anchored};

pub(super) fn compile(written: &RouteMatch, field: &str) -> Result<Matcher, Error> {
    let value = written.path.value.as_str();
    let path = match written.path.type_ {
        PathMatchType::Exact => PathMatcher::Exact(value.into()),
        PathMatchType::PathPrefix => PathMatcher::Prefix(value.trim_end_matches('/').into()),
        PathMatchType::RegularExpression => PathMatcher::Regex(expression(value, field)?),
    };
    let headers = written.headers.iter().map(|header| {
        let name =
            HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| error(field, format!("`{}` is not a header name", header.name)))?;
        Ok((name, compile_value(header, field)?))
    });
    let query = written.query_params.iter().map(|param| Ok((param.name.as_str().into(), compile_value(param, field)?)));
    let method = written.method.as_deref().map(|method| Method::from_bytes(method.as_bytes()).map_err(|_| error(field, "not a method")));
    Ok(Matcher {
        path,
        method: method.transpose()?,
        headers: headers.collect::<Result<_, Error>>()?,
        query: query.collect::<Result<_, Error>>()?,
    })
}

fn compile_value(written: &ValueMatch, field: &str) -> Result<ValueMatcher, Error> {
    Ok(match written.type_ {
        MatchType::Exact => ValueMatcher::Exact(written.value.as_str().into()),
        MatchType::RegularExpression => ValueMatcher::Regex(expression(&written.value, field)?),
    })
}

fn expression(text: &str, field: &str) -> Result<Regex, Error> {
    anchored(text).map_err(|cause| error(field, cause.to_string()))
}
