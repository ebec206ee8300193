//! A request on its way -> the same, for another path of its App.
//!
//! In: a request that a backend has had, a path. Out: the request as if the client had asked for that. Never: a body; what filters have made
//! of the request.

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, EXPECT, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderName, Method};

use super::Forward;
use crate::proxy::redirect::Detour;
use crate::route;

/// What a client asks of an answer that it reads.
const CONDITIONS: [HeaderName; 6] = [IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE];

/// What a client says of a request's body.
const OF_A_BODY: [HeaderName; 7] =
    [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, EXPECT];

impl Forward<'_> {
    /// What led here from other rules of the App; none: the client itself asks for this.
    pub(in crate::proxy) fn detour(&self) -> Option<&Detour> {
        self.detour.as_deref()
    }

    /// Asks for this in place of what the client asked for: as a new request, without a body, without what filters have made of the old
    /// one.
    pub(in crate::proxy) fn reroute(&mut self, path: &str, query: Option<&str>, detour: Box<Detour>) {
        self.before.restore(&mut self.parts.headers);
        let conditions = if self.is_read() { &[][..] } else { &CONDITIONS };
        for name in OF_A_BODY.iter().chain(conditions) {
            self.parts.headers.remove(name);
        }
        if self.parts.method != Method::HEAD {
            self.parts.method = Method::GET;
        }
        self.values.path = path.into();
        self.values.query = query.map(Into::into);
        self.matched = self.values.path.clone();
        self.detour = Some(detour);
        (self.body, self.host, self.script, self.stay, self.user) = (None, None, None, None, None);
        self.mirrors.clear();
    }

    /// The request as matchers see it.
    pub(in crate::proxy) fn as_matched(&self) -> route::Request<'_> {
        let (method, headers) = (&self.parts.method, &self.parts.headers);
        route::Request { host: &self.values.host, path: &self.matched, query: self.values.query.as_deref(), method, headers }
    }
}
