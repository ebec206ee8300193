//! Filters, applied in the order of the manifest; on the way back in the opposite order.
//!
//! In: filters, a request on its way; then its answer. Out: the same, changed; or an answer in its stead. Never: a filter that sees
//! another request.

mod basic_auth;
mod compression;
mod cors;
mod forward_auth;
mod headers;
mod limits;
mod mirror;
mod redirect;

use std::sync::Arc;

use http::{HeaderValue, Response};

use super::Proxy;
use super::forward::{self, Forward};
use super::rescue::Cause;
use super::values::Values;
use crate::backend::ResponseBody;
use crate::route::{CompiledApp, Cors, Filter, HeaderEdit, Rewrite, Timeouts};
pub(super) use mirror::Mirrors;

/// Where filters run.
#[derive(Clone, Copy)]
pub(super) struct Chain<'c> {
    pub(super) proxy: &'c Proxy,
    pub(super) app: &'c Arc<CompiledApp>,
    /// Length of the prefix that matched.
    pub(super) prefix: Option<usize>,
    /// Those of the rule.
    pub(super) timeouts: Timeouts,
}

/// What a filter has still to do once the answer is there.
enum Rest<'f> {
    /// Change its fields, by what placeholders stood for when the request came.
    Headers(&'f HeaderEdit, Values<'f>),
    /// Compress it.
    Compress(compression::Accepted<'f>),
    /// Say who may read it: this origin, or none.
    Cors(&'f Cors, Option<HeaderValue>),
}

/// All that filters have still to do, in their order. The first of it has its place at hand: most rules have no more, and need no allocation.
#[derive(Default)]
pub(super) struct Rests<'f> {
    first: Option<Rest<'f>>,
    more: Vec<Rest<'f>>,
}

impl<'f> Rests<'f> {
    fn push(&mut self, rest: Rest<'f>) {
        match &self.first {
            None => self.first = Some(rest),
            Some(_) => self.more.push(rest),
        }
    }

    /// The last one first.
    fn backwards(self) -> impl Iterator<Item = Rest<'f>> {
        self.more.into_iter().rev().chain(self.first)
    }
}

impl Chain<'_> {
    /// Changes a request; `Some`: the answer is there already. What is to be done with the answer is added to `rest`.
    pub(super) async fn request<'f>(
        &self,
        filters: &'f [Filter],
        forward: &mut Forward<'f>,
        rest: &mut Rests<'f>,
    ) -> Result<Option<Response<ResponseBody>>, Cause> {
        for filter in filters {
            match filter {
                Filter::RequestHeaders(edit) => {
                    let touched = edit.set.iter().chain(&edit.add).map(|(name, _)| name).chain(&edit.remove);
                    let (headers, values) = forward.edits(touched);
                    headers::apply(edit, headers, values);
                }
                Filter::ResponseHeaders(edit) => rest.push(Rest::Headers(edit, forward.values_as_matched())),
                Filter::Rewrite(rewrite) => self.rewrite(rewrite, forward),
                Filter::Compression(compression) => {
                    if let Some(accepted) = compression::Accepted::by(compression, forward) {
                        rest.push(Rest::Compress(accepted));
                    }
                }
                Filter::IpAccess(access) => limits::access(access, forward)?,
                Filter::RateLimit(limit) => limits::rate(limit, forward)?,
                Filter::MaxConnections(limit) => limits::connections(limit, forward).await?,
                Filter::Redirect(to) => {
                    return forward::redirect(to.status, &redirect::location(to, self.prefix, forward)).map(Some);
                }
                Filter::Mirror(mirror) if self.proxy.dice.hits(mirror.numerator, mirror.denominator) => forward.mirror_to(mirror.backend),
                Filter::Mirror(_) => {}
                Filter::Cors(cors) => {
                    if let Some(answer) = cors::preflight(cors, forward) {
                        return Ok(Some(answer));
                    }
                    rest.push(Rest::Cors(cors, cors::allowed_origin(cors, forward.headers())));
                }
                // Boxed: every request would carry their futures along.
                Filter::BasicAuth(auth) => Box::pin(basic_auth::check(self.proxy, auth, forward)).await?,
                Filter::ForwardAuth(auth) => {
                    if let Some(answer) = Box::pin(forward_auth::ask(self, auth, forward)).await? {
                        return Ok(Some(answer));
                    }
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
pub(super) fn answer(rest: Rests<'_>, answer: &mut Response<ResponseBody>) {
    for filter in rest.backwards() {
        match filter {
            Rest::Headers(edit, values) => headers::apply(edit, answer.headers_mut(), &values),
            Rest::Compress(accepted) => accepted.apply(answer),
            Rest::Cors(cors, origin) => cors::tell(cors, origin, answer.headers_mut()),
        }
    }
}
