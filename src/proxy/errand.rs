//! A request on its way -> what is sent to a backend, once or several times.
//!
//! In: a request that filters have left as it is to be. Out: the same for each attempt. Never: a copy of what is sent once only.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Response};

use super::Proxy;
use super::forward::Forward;
use super::hop;
use super::record::Record;
use super::rescue::Cause;
use crate::backend::{Error, Replay, RequestBody, ResponseBody, fastcgi, http as http_backend};
use crate::route::{Backend, CompiledApp, Protocol, Rule};

/// A request for a backend.
pub(super) struct Errand<'f> {
    forward: Box<Forward<'f>>,
    form: Form,
    /// What it takes to send its body again; `None`: it is sent once.
    replay: Option<Replay>,
}

/// What is sent, as the backend's protocol wants it; `None` once some of it was sent.
enum Form {
    Http(Asked),
    Fastcgi(Option<fastcgi::Content>),
}

/// What an HTTP backend is asked, beside the head that all attempts share.
struct Asked {
    target: PathAndQuery,
    /// What `X-Forwarded-Port` says.
    port: Option<HeaderValue>,
    body: Option<RequestBody>,
}

impl<'f> Errand<'f> {
    /// The request for this backend. `repeats`: it may have to be sent again, if its method is for that (RFC 9110 section 9.2.2) and its
    /// body is small.
    pub(super) fn new(forward: Box<Forward<'f>>, body: RequestBody, backend: &Backend, repeats: bool) -> Result<Self, Cause> {
        let repeats = repeats && forward.method().is_idempotent();
        let (body, replay) = if repeats { Replay::of(body) } else { (body, None) };
        let form = Form::of(&forward, body, backend)?;
        Ok(Self { forward, form, replay })
    }

    /// Nothing of it was sent.
    pub(super) fn is_unsent(&self) -> bool {
        match &self.form {
            Form::Http(asked) => asked.body.is_some(),
            Form::Fastcgi(next) => next.is_some(),
        }
    }

    /// Whether it can be sent once more, to this backend; it is ready for that then.
    pub(super) fn rewind(&mut self, backend: &Backend) -> bool {
        if self.is_unsent() {
            return true;
        }
        let Some(body) = self.replay.as_ref().and_then(Replay::again) else { return false };
        let form = Form::of(&self.forward, body, backend);
        form.map(|form| self.form = form).is_ok()
    }

    /// The answer as the client gets it, and the request as it was; with a 101 client and backend are joined.
    pub(super) fn finish(
        mut self,
        answer: Response<ResponseBody>,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        record: &Record,
    ) -> Result<(Response<ResponseBody>, Box<Forward<'f>>), Cause> {
        let answer = match self.form {
            Form::Http(_) => hop::upgraded(answer, || self.forward.take_tunnel(), app, rule.timeouts.idle, record)?,
            Form::Fastcgi(_) => answer,
        };
        Ok((answer, self.forward))
    }
}

impl Form {
    fn of(forward: &Forward<'_>, body: RequestBody, backend: &Backend) -> Result<Self, Cause> {
        Ok(match &backend.protocol {
            Protocol::Http(_) => Self::Http(Asked { target: forward.target()?, port: forward.port(), body: Some(body) }),
            Protocol::Fastcgi(_) => Self::Fastcgi(Some(body.into())),
        })
    }
}

impl Proxy {
    /// Sends it to an endpoint of a backend, by their indexes. After an error the errand knows whether anything was sent.
    pub(super) async fn send(
        &self,
        errand: &mut Errand<'_>,
        app: &Arc<CompiledApp>,
        (index, endpoint): (usize, usize),
        rule: &Rule,
    ) -> Result<Response<ResponseBody>, Error> {
        let backend = &app.backends[index];
        let address = backend.endpoints[endpoint].address.as_ref().ok_or(Error::Unavailable)?;
        match (&mut errand.form, &backend.protocol) {
            (Form::Http(Asked { target, port, body: next }), Protocol::Http(settings)) => {
                let body = next.take().ok_or(Error::Unavailable)?;
                let ours = errand.forward.ours(settings, port.as_ref());
                let head = errand.forward.http(target, &ours);
                let call = http_backend::Call { address, timeouts: rule.timeouts, keep: backend.keep, protocol: settings.protocol };
                self.http.send(call, &head, body).await.map_err(|failed| {
                    *next = failed.unsent;
                    failed.error
                })
            }
            (Form::Fastcgi(next), Protocol::Fastcgi(settings)) => {
                let (content, forward) = (next.take().ok_or(Error::Unavailable)?, &errand.forward);
                let id = forward.values().id.digits();
                let id = str::from_utf8(&id).unwrap_or_default();
                let (request, timeouts, patient) = (forward.fastcgi(id), rule.timeouts, backend.hold.is_some());
                let call = fastcgi::Call { app, backend: index, endpoint, settings, request, content, patient, timeouts };
                // Boxed: every client's connection has room for the larger of both exchanges, and this one is three times the other. An
                // allocation here is 1,300 bytes there.
                Box::pin(self.fastcgi.exchange(call)).await.map_err(|failed| {
                    *next = failed.unsent;
                    failed.error
                })
            }
            // The backend has changed its protocol while the request waited.
            _ => Err(Error::Unavailable),
        }
    }
}
