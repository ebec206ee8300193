//! Filters, applied in the order of the manifest; on the way back in the opposite order.
//!
//! In: filters, a request on its way; then its answer. Out: the same, changed; or an answer in its stead. Never: a filter that sees
//! another request.

mod headers;
mod limits;
mod redirect;

use std::sync::Arc;

use http::Response;

use super::Proxy;
use super::forward::{self, Forward};
use super::rescue::Cause;
use super::values::Values;
use crate::backend::ResponseBody;
use crate::route::{CompiledApp, Filter, HeaderEdit, Rewrite};

/// Where filters run.
#[derive(Clone, Copy)]
pub(super) struct Chain<'c> {
    pub(super) proxy: &'c Proxy,
    pub(super) app: &'c Arc<CompiledApp>,
    /// Length of the prefix that matched.
    pub(super) prefix: Option<usize>,
}

/// What a filter has still to do once the answer is there.
pub(super) enum Rest<'f> {
    /// Change its fields.
    Headers(&'f HeaderEdit),
}

impl Chain<'_> {
    /// Changes a request; `Some`: the answer is there already. What is to be done with the answer is added to `rest`.
    pub(super) async fn request<'f>(
        &self,
        filters: &'f [Filter],
        forward: &mut Forward<'_>,
        rest: &mut Vec<Rest<'f>>,
    ) -> Result<Option<Response<ResponseBody>>, Cause> {
        for filter in filters {
            match filter {
                Filter::RequestHeaders(edit) => {
                    let values = forward.values().clone();
                    headers::apply(edit, forward.headers_mut(), &values);
                }
                Filter::ResponseHeaders(edit) => rest.push(Rest::Headers(edit)),
                Filter::Rewrite(rewrite) => self.rewrite(rewrite, forward),
                Filter::IpAccess(access) => limits::access(access, forward)?,
                Filter::RateLimit(limit) => limits::rate(limit, forward)?,
                Filter::MaxConnections(limit) => limits::connections(limit, forward).await?,
                Filter::Redirect(to) => {
                    return forward::redirect(to.status, &redirect::location(to, self.prefix, forward)).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn rewrite(&self, rewrite: &Rewrite, forward: &mut Forward<'_>) {
        if let Some(host) = &rewrite.hostname {
            forward.set_host(host.clone());
        }
        if let Some(edit) = &rewrite.path {
            let path = forward.edited(edit, self.prefix);
            forward.set_path(&path);
        }
    }
}

/// Changes an answer: the filter that came last is the first.
pub(super) fn answer(rest: Vec<Rest<'_>>, answer: &mut Response<ResponseBody>, values: &Values<'_>) {
    for filter in rest.into_iter().rev() {
        match filter {
            Rest::Headers(edit) => headers::apply(edit, answer.headers_mut(), values),
        }
    }
}
