//! A request -> the answer of a backend.
//!
//! In: a request on its way, the backend that was picked. Out: its answer, or why there is none. Never: a second attempt of what the
//! application may have seen.

use std::sync::Arc;

use http::Response;

use super::Proxy;
use super::balance::{self, Client, Tried};
use super::forward::Forward;
use super::hop;
use super::rescue::Cause;
use super::session::Visit;
use crate::backend::{Error, RequestBody, ResponseBody, fastcgi, http as http_backend};
use crate::route::{CompiledApp, Place, Protocol, Rule};

impl Proxy {
    /// Sends the request to a backend of the App, by its index.
    pub(super) async fn exchange(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        index: usize,
        mut forward: Forward<'_>,
    ) -> Result<Response<ResponseBody>, Cause> {
        let (record, visit) = (forward.record(), Visit::of(&forward));
        record.asks(app, index);
        let endpoint = balance::choose(&self.turns, app, index, Client::of(&forward), Tried::default());
        let mut body = forward.take_body(rule)?;
        self.mirror(app, rule, &forward, &mut body);
        let limit = rule.timeouts.request.filter(|_| body.length() == Some(0));
        let turn = balance::begin(app, index, endpoint, limit, record);
        match self.attempt(app, rule, (index, endpoint), forward, body).await {
            Ok(mut answer) => {
                balance::answered(turn, answer.status());
                visit.remember(rule, Place { backend: index, endpoint }, &mut answer);
                Ok(answer)
            }
            Err(cause) => {
                if let Cause::Backend(error) = &cause {
                    balance::failed(turn, error);
                }
                Err(cause)
            }
        }
    }

    /// Asks one endpoint.
    async fn attempt(
        &self,
        app: &Arc<CompiledApp>,
        rule: &Rule,
        (index, endpoint): (usize, usize),
        forward: Forward<'_>,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, Cause> {
        let (backend, record) = (&app.backends[index], forward.record());
        let address = backend.endpoints[endpoint].address.as_ref().ok_or(Cause::Backend(Error::Unavailable))?;
        match &backend.protocol {
            Protocol::Http(settings) => {
                let (request, client) = forward.into_http(settings, body)?;
                let call = http_backend::Call { address, timeouts: rule.timeouts, keep: backend.keep, protocol: settings.protocol };
                let answer = self.http.send(call, request).await.map_err(Cause::Backend)?;
                record.heard();
                hop::upgraded(answer, client, app, rule.timeouts.idle, record)
            }
            Protocol::Fastcgi(settings) => {
                let id = forward.values().id.to_string();
                let request = forward.fastcgi(&id);
                let call = fastcgi::Call { app, backend: index, endpoint, settings, request, body, timeouts: rule.timeouts };
                let answer = self.fastcgi.exchange(call).await.map_err(Cause::Backend)?;
                record.heard();
                Ok(answer)
            }
        }
    }
}
